//! Rows to values and back.

use crate::journal::{
    Carries, Counted, CounterKey, DistinctValue, DistinctValueKey, Identity, JournalEntry,
    JournalError, Kind, Namespace, Reporter, Result, Seq,
};
use ledger::{AccountKey, AccountKind, Balance, Hold, HoldState};
use postcard::ser_flavors::Flavor;
use rating::usage::{Counter, CounterId};
use rating::{Cents, Currency, Instant, Quantity, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::Configuration(why) => Self::Unfit(why.to_string()),
            error if crate::retry::may_be_done_again(&error) => Self::Conflict(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<crate::runs::BadBlock> for JournalError {
    fn from(error: crate::runs::BadBlock) -> Self {
        Self::Corrupt(error.to_string())
    }
}

pub fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|e| JournalError::Corrupt(e.to_string()))
}

/// Appends to what is there.
struct Append<'b>(&'b mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// [`pack`] behind what `bytes` holds already.
pub fn pack_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<()> {
    postcard::serialize_with_flavor(value, Append(bytes))
        .map_err(|e| JournalError::Corrupt(e.to_string()))
}

pub fn unpack<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| JournalError::Corrupt(format!("{what}: {e}")))
}

/// What is packed there, and the bytes behind it.
pub fn unpack_from<'b, T: DeserializeOwned>(bytes: &'b [u8], what: &str) -> Result<(T, &'b [u8])> {
    postcard::take_from_bytes(bytes).map_err(|e| JournalError::Corrupt(format!("{what}: {e}")))
}

pub fn int(row: &SqliteRow, column: usize) -> Result<i64> {
    Ok(row.try_get_unchecked(column)?)
}

pub fn optional_int(row: &SqliteRow, column: usize) -> Result<Option<i64>> {
    Ok(row.try_get_unchecked(column)?)
}

/// A reporter in a row of `reporters`.
pub const fn reporter(code: i64) -> Reporter {
    if code == 0 {
        None
    } else {
        Some(TenantId(code))
    }
}

/// In a row of `reporters`: the platform is 0, which is no tenant's id.
pub fn reporter_code(reporter: Reporter) -> i64 {
    reporter.map_or(0, |tenant| tenant.0)
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
        .map_err(|_| JournalError::Corrupt("a digest is not 16 bytes long".into()))
}

/// The columns of `SELECT_RECORDS` and its like.
pub fn record(row: &SqliteRow) -> Result<JournalEntry> {
    record_by(row, 13)
}

/// The same, with the reporter in another column.
pub fn record_by(row: &SqliteRow, reporter: usize) -> Result<JournalEntry> {
    let seq = int(row, 0)?;
    let bad = |what: &str| JournalError::Corrupt(format!("record {seq}: unknown {what}"));
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
            .ok_or_else(|| JournalError::Corrupt(format!("unknown namespace {namespace}")))?,
        source: text(row, source)?.into(),
        id: text(row, source + 1)?,
    })
}

pub fn account(row: &SqliteRow) -> Result<(AccountKey, Balance)> {
    let bad =
        |what: &str, code: i64| JournalError::Corrupt(format!("accounts: unknown {what} {code}"));
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

pub const fn account_kind(code: i64) -> Option<AccountKind> {
    Some(match code {
        1 => AccountKind::Balance,
        2 => AccountKind::Income,
        3 => AccountKind::Revenue,
        4 => AccountKind::External,
        5 => AccountKind::Suspense,
        6 => AccountKind::Disputed,
        7 => AccountKind::Expense,
        8 => AccountKind::Book,
        _ => return None,
    })
}

pub fn carries(row: &SqliteRow) -> Result<(TenantId, Carries)> {
    Ok((TenantId(int(row, 0)?), unpack(bytes(row, 1)?, "carries")?))
}

fn counter_key(row: &SqliteRow) -> Result<CounterKey> {
    let month =
        i32::try_from(int(row, 2)?).map_err(|e| JournalError::Corrupt(format!("month: {e}")))?;
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
        .map_err(|e| JournalError::Corrupt(format!("counters: {e}")))?;
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
    unpack(bytes(row, 0)?, "hold")
}

/// 1 is what the index of open holds is made of.
pub const fn hold_state_code(state: HoldState) -> i64 {
    match state {
        HoldState::Open => 1,
        HoldState::Captured => 2,
        HoldState::Released => 3,
        HoldState::Expired => 4,
    }
}
