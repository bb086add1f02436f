//! Rows to values and back.

use db::{Result, SqlError};
use journal::codec::{account_kind, unpack};
use journal::{
    Carries, Counted, CounterKey, DistinctValue, DistinctValueKey, Identity, JournalEntry, Kind,
    Namespace, Seq,
};
use ledger::{AccountKey, Balance, Hold};
use rating::usage::{Counter, CounterId};
use rating::{Cents, Currency, Instant, Quantity, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

pub fn int(row: &SqliteRow, column: usize) -> Result<i64> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn optional_int(row: &SqliteRow, column: usize) -> Result<Option<i64>> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn text(row: &SqliteRow, column: usize) -> Result<String> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn bytes(row: &SqliteRow, column: usize) -> Result<&[u8]> {
    Ok(row.try_get_unchecked(column)?)
}

fn digest(row: &SqliteRow, column: usize) -> Result<[u8; 16]> {
    bytes(row, column)?
        .try_into()
        .map_err(|_| SqlError::corrupt("a digest is not 16 bytes long"))
}

/// The columns of `SELECT_RECORDS` and its like.
pub fn record(row: &SqliteRow) -> Result<JournalEntry> {
    record_by(row, 13)
}

/// The same, with the reporter in another column.
pub fn record_by(row: &SqliteRow, reporter: usize) -> Result<JournalEntry> {
    let seq = int(row, 0)?;
    let bad = |what: &str| SqlError::corrupt(format!("record {seq}: unknown {what}"));
    let personal: Option<&[u8]> = row.try_get_unchecked(11)?;
    Ok(JournalEntry {
        seq: Seq(seq),
        identity: identity(row, 1, 4, 5, reporter)?,
        tenant: TenantId(int(row, 2)?),
        kind: Kind::from_code(int(row, 3)?).ok_or_else(|| bad("kind"))?,
        at: Instant(int(row, 7)?),
        received_at: Instant(int(row, 8)?),
        content: digest(row, 9)?,
        body: unpack(bytes(row, 10)?, &format!("record {seq}"))?,
        personal: personal
            .map(|packed| unpack(packed, "personal"))
            .transpose()?,
        personal_digest: digest(row, 12)?,
    })
}

/// Root, namespace and reporter at their columns, source and id side by side at `source`.
pub fn identity(
    row: &SqliteRow,
    root: usize,
    namespace: usize,
    source: usize,
    reporter: usize,
) -> Result<Identity> {
    let namespace = int(row, namespace)?;
    Ok(Identity {
        root: TenantId(int(row, root)?),
        reporter: optional_int(row, reporter)?.map(TenantId),
        namespace: Namespace::from_code(namespace)
            .ok_or_else(|| SqlError::corrupt(format!("unknown namespace {namespace}")))?,
        source: text(row, source)?.into(),
        id: text(row, source + 1)?,
    })
}

pub fn account(row: &SqliteRow) -> Result<(AccountKey, Balance)> {
    let bad = |what: &str, code: i64| SqlError::corrupt(format!("accounts: unknown {what} {code}"));
    let (kind, currency) = (int(row, 1)?, int(row, 2)?);
    let key = AccountKey {
        tenant: TenantId(int(row, 0)?),
        kind: account_kind(kind).ok_or_else(|| bad("kind", kind))?,
        currency: u16::try_from(currency)
            .ok()
            .and_then(Currency::from_numeric)
            .ok_or_else(|| bad("currency", currency))?,
    };
    Ok((
        key,
        Balance {
            posted: Cents(int(row, 3)?),
            held: Cents(int(row, 4)?),
        },
    ))
}

pub fn carries(row: &SqliteRow) -> Result<(TenantId, Carries)> {
    Ok((TenantId(int(row, 0)?), unpack(bytes(row, 1)?, "carries")?))
}

fn counter_key(row: &SqliteRow) -> Result<CounterKey> {
    let month =
        i32::try_from(int(row, 2)?).map_err(|e| SqlError::corrupt(format!("month: {e}")))?;
    Ok(CounterKey {
        buyer: TenantId(int(row, 0)?),
        id: CounterId {
            rate_key: int(row, 1)?,
            month,
        },
    })
}

pub fn counter(row: &SqliteRow) -> Result<(CounterKey, Counted)> {
    let quantity: i128 = text(row, 3)?
        .parse()
        .map_err(|e| SqlError::corrupt(format!("counters: {e}")))?;
    let counter = Counter {
        quantity: Quantity(quantity),
        events: int(row, 4)?,
    };
    let packed: Option<&[u8]> = row.try_get_unchecked(5)?;
    Ok((counter_key(row)?, Counted::unpacked(counter, packed)?))
}

pub fn distinct_value(row: &SqliteRow) -> Result<(DistinctValueKey, DistinctValue)> {
    let key = DistinctValueKey {
        counter: counter_key(row)?,
        value: text(row, 3)?,
    };
    Ok((
        key,
        DistinctValue {
            count: int(row, 4)?,
            at: Instant(int(row, 5)?),
        },
    ))
}

pub fn hold(row: &SqliteRow) -> Result<Hold> {
    Ok(unpack(bytes(row, 0)?, "hold")?)
}
