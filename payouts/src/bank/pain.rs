//! `pain.001.001.09`, CustomerCreditTransferInitiationV09 of ISO 20022, as the SEPA credit transfer
//! uses it (EPC132-08): one group of payments in euros, each with the payout's id from end to end.

use super::text::{ENTRY_CHARS_MAX, NAME_CHARS_MAX, sepa};
use crate::rows::BankAccount;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use rating::Cents;
use std::io;

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

/// What one file says. Texts are in SEPA's characters already.
#[derive(Debug)]
pub struct Document<'a> {
    /// At most 35 characters, never used again.
    pub message_id: &'a str,
    /// `2026-11-20T12:00:00Z`.
    pub created_at: &'a str,
    /// `2026-11-23`.
    pub execution_on: &'a str,
    pub debtor: &'a BankAccount,
    pub transfers: &'a [Transfer],
    /// Σ of the transfers.
    pub cents: Cents,
}

#[derive(Debug)]
pub struct Transfer {
    /// At most 35 characters, never used again.
    pub end_to_end_id: String,
    pub cents: Cents,
    pub creditor: BankAccount,
    /// What the payee reads on its account.
    pub entry: String,
}

type Xml = Writer<Vec<u8>>;

/// The file's bytes, as UTF-8 text.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn write(document: &Document<'_>) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("Document")
        .with_attribute(("xmlns", NAMESPACE))
        .write_inner_content(|xml| {
            within(xml, "CstmrCdtTrfInitn", |xml| {
                header(xml, document)?;
                payments(xml, document)
            })
        })?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn within(
    xml: &mut Xml,
    name: &str,
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.create_element(name)
        .write_inner_content(inner)
        .map(|_| ())
}

fn text(xml: &mut Xml, name: &str, text: &str) -> io::Result<()> {
    xml.create_element(name)
        .write_text_content(BytesText::new(text))
        .map(|_| ())
}

fn header(xml: &mut Xml, document: &Document<'_>) -> io::Result<()> {
    within(xml, "GrpHdr", |xml| {
        text(xml, "MsgId", document.message_id)?;
        text(xml, "CreDtTm", document.created_at)?;
        totals(xml, document)?;
        within(xml, "InitgPty", |xml| {
            text(xml, "Nm", &sepa(&document.debtor.holder, NAME_CHARS_MAX))
        })
    })
}

fn totals(xml: &mut Xml, document: &Document<'_>) -> io::Result<()> {
    text(xml, "NbOfTxs", &document.transfers.len().to_string())?;
    text(xml, "CtrlSum", &euros(document.cents))
}

fn payments(xml: &mut Xml, document: &Document<'_>) -> io::Result<()> {
    within(xml, "PmtInf", |xml| {
        text(xml, "PmtInfId", document.message_id)?;
        text(xml, "PmtMtd", "TRF")?;
        totals(xml, document)?;
        within(xml, "PmtTpInf", |xml| {
            within(xml, "SvcLvl", |xml| text(xml, "Cd", "SEPA"))
        })?;
        within(xml, "ReqdExctnDt", |xml| {
            text(xml, "Dt", document.execution_on)
        })?;
        within(xml, "Dbtr", |xml| {
            text(xml, "Nm", &sepa(&document.debtor.holder, NAME_CHARS_MAX))
        })?;
        account(xml, "DbtrAcct", document.debtor)?;
        // A debtor's bank must be named, if only as one that is not.
        within(xml, "DbtrAgt", |xml| {
            within(xml, "FinInstnId", |xml| match &document.debtor.bic {
                Some(bic) => text(xml, "BICFI", bic),
                None => within(xml, "Othr", |xml| text(xml, "Id", "NOTPROVIDED")),
            })
        })?;
        text(xml, "ChrgBr", "SLEV")?;
        document
            .transfers
            .iter()
            .try_for_each(|one| transfer(xml, one))
    })
}

fn transfer(xml: &mut Xml, one: &Transfer) -> io::Result<()> {
    within(xml, "CdtTrfTxInf", |xml| {
        within(xml, "PmtId", |xml| {
            text(xml, "InstrId", &one.end_to_end_id)?;
            text(xml, "EndToEndId", &one.end_to_end_id)
        })?;
        within(xml, "Amt", |xml| {
            let amount = euros(one.cents);
            xml.create_element("InstdAmt")
                .with_attribute(("Ccy", "EUR"))
                .write_text_content(BytesText::new(&amount))
                .map(|_| ())
        })?;
        if let Some(bic) = &one.creditor.bic {
            within(xml, "CdtrAgt", |xml| {
                within(xml, "FinInstnId", |xml| text(xml, "BICFI", bic))
            })?;
        }
        within(xml, "Cdtr", |xml| {
            text(xml, "Nm", &sepa(&one.creditor.holder, NAME_CHARS_MAX))
        })?;
        account(xml, "CdtrAcct", &one.creditor)?;
        within(xml, "RmtInf", |xml| {
            text(xml, "Ustrd", &sepa(&one.entry, ENTRY_CHARS_MAX))
        })
    })
}

fn account(xml: &mut Xml, name: &str, account: &BankAccount) -> io::Result<()> {
    within(xml, name, |xml| {
        within(xml, "Id", |xml| text(xml, "IBAN", &account.iban))
    })
}

/// Positive cents as euros: `1234.56`.
fn euros(cents: Cents) -> String {
    let cents = cents.0.unsigned_abs();
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
