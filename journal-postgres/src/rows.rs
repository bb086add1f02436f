//! Rows to values.

use db::{Result, SqlError};
use journal::codec::{account_kind, unpack};
use journal::{
    BatchHead, Carries, Counted, CounterKey, DistinctValue, DistinctValueKey, Identity,
    JournalEntry, Kind, Namespace, Seq,
};
use ledger::{AccountKey, Balance, Hold};
use rating::usage::{Counter, CounterId};
use rating::{Cents, Currency, Instant, Quantity, TenantId};
use sqlx::Row;
use sqlx::postgres::PgRow;

pub fn int(row: &PgRow, column: usize) -> Result<i64> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn optional_int(row: &PgRow, column: usize) -> Result<Option<i64>> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn small(row: &PgRow, column: usize) -> Result<i64> {
    let value: i16 = row.try_get_unchecked(column)?;
    Ok(i64::from(value))
}

fn middle(row: &PgRow, column: usize) -> Result<i32> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn text(row: &PgRow, column: usize) -> Result<&str> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn bytes(row: &PgRow, column: usize) -> Result<&[u8]> {
    Ok(row.try_get_unchecked(column)?)
}

fn digest(row: &PgRow, column: usize) -> Result<[u8; 16]> {
    bytes(row, column)?
        .try_into()
        .map_err(|_| SqlError::corrupt("a digest is not 16 bytes long"))
}

/// A hash of another length is as wrong as one of other bytes.
pub fn hash(row: &PgRow, column: usize) -> Result<[u8; 32]> {
    Ok(bytes(row, column)?.try_into().unwrap_or_default())
}

/// The columns of `sql::RECORD_COLUMNS`.
pub fn record(row: &PgRow) -> Result<JournalEntry> {
    let seq = int(row, 1)?;
    let bad = |what: &str| SqlError::corrupt(format!("record {seq}: unknown {what}"));
    let personal: Option<&[u8]> = row.try_get_unchecked(11)?;
    let identity = Identity {
        root: TenantId(int(row, 0)?),
        reporter: optional_int(row, 13)?.map(TenantId),
        namespace: Namespace::from_code(small(row, 4)?).ok_or_else(|| bad("namespace"))?,
        source: text(row, 5)?.into(),
        id: text(row, 6)?.to_owned(),
    };
    Ok(JournalEntry {
        seq: Seq(seq),
        identity,
        tenant: TenantId(int(row, 2)?),
        kind: Kind::from_code(small(row, 3)?).ok_or_else(|| bad("kind"))?,
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

/// tenant, kind, currency, posted, held
pub fn account(row: &PgRow) -> Result<(AccountKey, Balance)> {
    let bad = |what: &str, code: i64| SqlError::corrupt(format!("accounts: unknown {what} {code}"));
    let (kind, currency) = (small(row, 1)?, middle(row, 2)?);
    let key = AccountKey {
        tenant: TenantId(int(row, 0)?),
        kind: account_kind(kind).ok_or_else(|| bad("kind", kind))?,
        currency: u16::try_from(currency)
            .ok()
            .and_then(Currency::from_numeric)
            .ok_or_else(|| bad("currency", i64::from(currency)))?,
    };
    Ok((
        key,
        Balance {
            posted: Cents(int(row, 3)?),
            held: Cents(int(row, 4)?),
        },
    ))
}

/// customer, links
pub fn carries(row: &PgRow) -> Result<(TenantId, Carries)> {
    Ok((TenantId(int(row, 0)?), unpack(bytes(row, 1)?, "carries")?))
}

fn counter_key(row: &PgRow) -> Result<CounterKey> {
    Ok(CounterKey {
        buyer: TenantId(int(row, 0)?),
        id: CounterId {
            rate_key: int(row, 1)?,
            month: middle(row, 2)?,
        },
    })
}

/// buyer, rate_key, month, quantity_nano, events, segment
pub fn counter(row: &PgRow) -> Result<(CounterKey, Counted)> {
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

/// buyer, rate_key, month, value, count, at_us
pub fn distinct_value(row: &PgRow) -> Result<(DistinctValueKey, DistinctValue)> {
    let key = DistinctValueKey {
        counter: counter_key(row)?,
        value: text(row, 3)?.to_owned(),
    };
    Ok((
        key,
        DistinctValue {
            count: int(row, 4)?,
            at: Instant(int(row, 5)?),
        },
    ))
}

pub fn hold(row: &PgRow) -> Result<Hold> {
    Ok(unpack(bytes(row, 0)?, "hold")?)
}

/// batch, root, first_seq, last_seq, records, hash, committed_us
pub fn batch(row: &PgRow) -> Result<BatchHead> {
    Ok(BatchHead {
        batch: int(row, 0)?,
        root: TenantId(int(row, 1)?),
        first: Seq(int(row, 2)?),
        last: Seq(int(row, 3)?),
        records: int(row, 4)?,
        hash: hash(row, 5)?,
        committed_at: Instant(int(row, 6)?),
    })
}
