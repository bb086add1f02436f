//! Everything that moved a reseller's balance in one month, to the cent: page by page, or as the
//! rows of one file.

use crate::entries::{self, EntryBody};
use crate::error::Error;
use crate::sources::Sources;
use journal::{JournalEntry, Seq};
use payouts::rows::MoveKind;
use payouts::{CommissionAccount, Month, MonthView, moves};
use rating::Cents;
use schema::list::List;
use schema::words;
use serde::Serialize;
use tenants::Tenant;

/// Records read at once for a file.
const CSV_ROWS_AT_ONCE: usize = 1_000;

/// Total of one kind of balance movement.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatementSum {
    /// `charges_received`, `charges_paid`, `top_up`, `adjustment`, `refund`, `dispute`, `payout` or
    /// `payment`.
    #[schema(value_type = words::StatementSumKind, example = "charges_received")]
    pub kind: MoveKind,
    /// Positive: credited to the balance.
    #[schema(example = 400)]
    pub cents: i64,
    #[schema(example = 1)]
    pub entries: u64,
}

/// One movement of the balance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatementLine {
    #[serde(flatten)]
    pub entry: EntryBody,
    /// For a charge: amount received from the buyer below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pub received_cents: Option<i64>,
    /// For a charge: amount paid to the seller above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 300)]
    pub paid_cents: Option<i64>,
}

/// opening + Σ sums = closing, at any instant. Once `closed`, the statement no longer changes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommissionStatement {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = "2026-11")]
    pub month: String,
    /// Time zone in which the months are counted.
    #[schema(example = "UTC")]
    pub time_zone: String,
    #[schema(format = DateTime)]
    pub from: String,
    /// Exclusive.
    #[schema(format = DateTime)]
    pub until: String,
    pub closed: bool,
    #[schema(example = 0)]
    pub opening_cents: i64,
    #[schema(example = 100)]
    pub closing_cents: i64,
    /// Charges received − charges paid.
    #[schema(example = 100)]
    pub commission_cents: i64,
    /// The same total, from the beginning up to the end of this month.
    #[schema(example = 100)]
    pub accrued_cents: i64,
    pub sums: Vec<StatementSum>,
    /// Oldest first.
    #[serde(flatten)]
    pub lines: List<StatementLine>,
}

fn zone_name(sources: &Sources, month: Month) -> String {
    sources
        .payouts
        .calendar()
        .zone_of(month)
        .iana_name()
        .unwrap_or("UTC")
        .to_owned()
}

/// A page of a month's statement.
///
/// # Errors
/// The books cannot be read.
pub async fn statement(
    sources: &Sources,
    reseller: &Tenant,
    commission_account: CommissionAccount,
    view: &MonthView,
    after: Option<Seq>,
    limit: usize,
) -> Result<CommissionStatement, Error> {
    let (records, has_more) = sources
        .payouts
        .records_of(commission_account, view, after, limit)
        .await?;
    let last = records.last().map(|record| record.seq.0);
    let lines = lines(sources, &records, commission_account).await?;
    let lines = List::new(lines, has_more, last);
    Ok(with_lines(
        sources,
        reseller,
        commission_account,
        view,
        lines,
    ))
}

/// The statement of a month with these lines.
fn with_lines(
    sources: &Sources,
    reseller: &Tenant,
    commission_account: CommissionAccount,
    view: &MonthView,
    lines: List<StatementLine>,
) -> CommissionStatement {
    CommissionStatement {
        reseller: reseller.external_id.clone(),
        currency: commission_account.account.currency.code(),
        month: view.month.to_string(),
        time_zone: zone_name(sources, view.month),
        from: view.from.to_string(),
        until: view.until.to_string(),
        closed: view.is_closed,
        opening_cents: view.opening.0,
        closing_cents: view.closing.0,
        commission_cents: view.commission.0,
        accrued_cents: view.accrued.0,
        sums: view
            .sums
            .iter()
            .map(|(&kind, sum)| StatementSum {
                kind,
                cents: sum.cents.0,
                entries: sum.entries,
            })
            .collect(),
        lines,
    }
}

async fn lines(
    sources: &Sources,
    records: &[JournalEntry],
    commission_account: CommissionAccount,
) -> Result<Vec<StatementLine>, Error> {
    let mut lines = Vec::with_capacity(records.len());
    let voided = entries::Voided::by(sources, records).await?;
    for record in records {
        let Some(entry) =
            entries::of_record(sources, record, commission_account.account, &voided).await?
        else {
            continue;
        };
        let moved = moves(record, commission_account.account)?;
        let of = |kind| {
            moved
                .iter()
                .find(|(moved, _)| *moved == kind)
                .map(|(_, cents)| cents.0)
        };
        let (received_cents, paid_cents) = (
            of(MoveKind::ChargesReceived),
            of(MoveKind::ChargesPaid).map(|cents| -cents),
        );
        lines.push(StatementLine {
            entry,
            received_cents,
            paid_cents,
        });
    }
    Ok(lines)
}

/// Where a file is.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Opening,
    Behind(Seq, Cents),
    End,
}

/// The next rows of a file, and where it is then; `None`: it has ended. Row by row, so that a month
/// of any length takes no memory. A file that broke off has no closing row.
///
/// # Errors
/// The books cannot be read: the file breaks off.
pub async fn next_rows(
    sources: &Sources,
    commission_account: CommissionAccount,
    view: &MonthView,
    part: Part,
) -> std::io::Result<Option<(Vec<u8>, Part)>> {
    match part {
        Part::Opening => Ok(Some((
            opening_rows(view)?,
            Part::Behind(view.after, view.opening),
        ))),
        Part::Behind(after, balance) => {
            let rows = some_rows(sources, commission_account, view, after, balance);
            rows.await.map(Some)
        }
        Part::End => Ok(None),
    }
}

const CSV_COLUMNS: [&str; 12] = [
    "posted_at",
    "kind",
    "cents",
    "balance_cents",
    "received_cents",
    "paid_cents",
    "id",
    "source",
    "customer",
    "meter",
    "quantity",
    "reason",
];

/// A text that others chose: a spreadsheet would work out one that begins as a formula does
/// (OWASP, CSV injection), and shows the apostrophe as none.
fn no_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

fn opening_rows(view: &MonthView) -> std::io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(CSV_COLUMNS)?;
    rows.write_record(balance_row(&view.from.to_string(), "opening", view.opening))?;
    rows.into_inner()
        .map_err(|error| std::io::Error::other(error.to_string()))
}

fn balance_row(at: &str, kind: &str, balance: Cents) -> [String; 12] {
    let mut row = <[String; 12]>::default();
    (row[0], row[1], row[3]) = (at.to_owned(), kind.to_owned(), balance.to_string());
    row
}

async fn some_rows(
    sources: &Sources,
    commission_account: CommissionAccount,
    view: &MonthView,
    after: Seq,
    mut balance: Cents,
) -> std::io::Result<(Vec<u8>, Part)> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "statement export aborted");
        std::io::Error::other("the statement broke off")
    };
    let read = sources
        .payouts
        .records_of(commission_account, view, Some(after), CSV_ROWS_AT_ONCE)
        .await;
    let (records, has_more) = read.map_err(|error| failed(&error))?;
    let shown = lines(sources, &records, commission_account)
        .await
        .map_err(|error| failed(&error))?;
    let mut rows = csv::Writer::from_writer(Vec::new());
    for StatementLine {
        entry,
        received_cents,
        paid_cents,
    } in shown
    {
        balance = balance
            .checked_add(Cents(entry.cents))
            .map_err(|error| failed(&error))?;
        let number = |cents: Option<i64>| cents.map(|cents| cents.to_string()).unwrap_or_default();
        let quantity = entry.quantity.unwrap_or_default();
        let (cents, now) = (entry.cents.to_string(), balance.to_string());
        rows.write_record([
            entry.posted_at,
            entry.kind.to_owned(),
            cents,
            now,
            number(received_cents),
            number(paid_cents),
            no_formula(entry.id),
            no_formula(entry.source),
            no_formula(entry.customer),
            no_formula(entry.meter),
            quantity,
            no_formula(entry.reason),
        ])?;
    }
    let next = match records.last() {
        Some(last) if has_more => Part::Behind(last.seq, balance),
        _ => {
            rows.write_record(balance_row(&view.until.to_string(), "closing", balance))?;
            Part::End
        }
    };
    Ok((
        rows.into_inner()
            .map_err(|error| failed(&error.to_string()))?,
        next,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, want) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("acme-42", "acme-42"),
            ("", ""),
        ] {
            assert_eq!(no_formula(text.to_owned()), want);
        }
    }
}
