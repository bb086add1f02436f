//! Values as they are stored: packed (postcard), and the codes of columns. The same in every
//! database.

use crate::{JournalError, Reporter, Result};
use ledger::{AccountKind, HoldState};
use postcard::ser_flavors::Flavor;
use rating::TenantId;
use serde::{Serialize, de::DeserializeOwned};

/// # Errors
/// `Corrupt`: what no format can hold.
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

/// 1 is what the index of open holds is made of.
pub const fn hold_state_code(state: HoldState) -> i64 {
    match state {
        HoldState::Open => 1,
        HoldState::Captured => 2,
        HoldState::Released => 3,
        HoldState::Expired => 4,
    }
}
