//! IBAN and BIC: checked when they are stored, so that a file holds none that a bank would refuse.

use super::text::{NAME_CHARS_MAX, sepa};
use crate::rows::BankAccount;

/// The countries of SEPA's geographical scope by the country code of their IBANs (EPC409-09).
/// British crown dependencies and French territories have IBANs of their state.
const SEPA_EEA: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Outside the European Economic Area, where a bank may ask for the BIC as well.
const SEPA_BEYOND: [&str; 11] = [
    "AD", "AL", "CH", "GB", "MC", "MD", "ME", "MK", "RS", "SM", "VA",
];
/// Gibraltar has its own.
const GIBRALTAR: &str = "GI";

/// What is wrong with an account, by its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct BadAccount {
    pub field: &'static str,
    pub expected: &'static str,
}

const fn bad(field: &'static str, expected: &'static str) -> BadAccount {
    BadAccount { field, expected }
}

/// An account in its electronic form, from text as people write it.
///
/// # Errors
/// [`BadAccount`].
pub fn bank_account(
    holder: &str,
    iban: &str,
    bic: Option<&str>,
) -> Result<BankAccount, BadAccount> {
    let compact = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_ascii_uppercase()
    };
    let account = BankAccount {
        holder: holder.trim().to_owned(),
        iban: compact(iban),
        bic: bic.map(compact).filter(|bic| !bic.is_empty()),
    };
    check_payable(&account)?;
    Ok(account)
}

/// Whether a SEPA credit transfer can go to, or from, this account.
///
/// # Errors
/// [`BadAccount`].
pub fn check_payable(account: &BankAccount) -> Result<(), BadAccount> {
    if sepa(&account.holder, NAME_CHARS_MAX).is_empty()
        || account.holder.chars().any(char::is_control)
    {
        return Err(bad("holder", "expected the name of the account's holder"));
    }
    // Lengths and structures by country, and the check digits.
    account
        .iban
        .parse::<iban::Iban>()
        .map_err(|_| bad("iban", "expected an IBAN whose check digits and length fit"))?;
    let country = account.iban.get(..2).unwrap_or_default();
    let is_eea = SEPA_EEA.contains(&country);
    if !is_eea && !SEPA_BEYOND.contains(&country) && country != GIBRALTAR {
        return Err(bad(
            "iban",
            "expected an IBAN of a country that takes part in SEPA",
        ));
    }
    match &account.bic {
        Some(bic) if !is_bic(bic) => Err(bad(
            "bic",
            "expected a BIC of 8 or 11 characters, such as COBADEFF or COBADEFFXXX",
        )),
        None if !is_eea => Err(bad(
            "bic",
            "expected a BIC as well: the bank is outside the European Economic Area",
        )),
        _ => Ok(()),
    }
}

/// ISO 9362, as the schema has it: `[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?`.
fn is_bic(bic: &str) -> bool {
    let word = |part: &[u8]| {
        part.iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    match bic.as_bytes() {
        bytes if bytes.len() != 8 && bytes.len() != 11 => false,
        bytes => word(bytes) && bytes[4..6].iter().all(u8::is_ascii_uppercase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_taken_as_people_write_them_and_checked() {
        let ok = bank_account(
            " Muster Telecom GmbH ",
            "de89 3704 0044 0532 0130 00",
            Some("cobadeffxxx"),
        )
        .unwrap();
        assert_eq!(
            (ok.holder.as_str(), ok.iban.as_str(), ok.bic.as_deref()),
            (
                "Muster Telecom GmbH",
                "DE89370400440532013000",
                Some("COBADEFFXXX")
            )
        );
        assert_eq!(
            (ok.masked().as_str(), format!("{ok:?}").as_str()),
            ("DE89…3000", "DE89…3000")
        );
        for (holder, iban, bic, field) in [
            ("", "DE89370400440532013000", None, "holder"),
            ("Muster\n", "DE89370400440532013000", None, ""),
            ("Muster\u{7}x", "DE89370400440532013000", None, "holder"),
            ("Muster", "DE88370400440532013000", None, "iban"),
            ("Muster", "DE8937040044053201300", None, "iban"),
            ("Muster", "XX89370400440532013000", None, "iban"),
            ("Muster", "TR330006100519786457841326", None, "iban"),
            ("Muster", "FR1420041010050500013M02606", None, ""),
            ("Muster", "GB29NWBK60161331926819", None, "bic"),
            ("Muster", "GB29NWBK60161331926819", Some("NWBKGB2L"), ""),
            ("Muster", "CH9300762011623852957", Some("UBSWCHZH80A"), ""),
            ("Muster", "DE89370400440532013000", Some("COBADEFFX"), "bic"),
            ("Muster", "DE89370400440532013000", Some("COBA1EFF"), "bic"),
        ] {
            let found = bank_account(holder, iban, bic)
                .err()
                .map_or("", |bad| bad.field);
            assert_eq!(found, field, "{holder:?} {iban} {bic:?}");
        }
    }
}
