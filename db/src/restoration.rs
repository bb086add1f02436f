//! That a database came from a backup, as it says so itself.

use rating::Instant;
use serde::{Deserialize, Serialize};

pub const RESTORATION: &str = "select value from meta where name = 'restored'";
pub const MARK_RESTORED: &str = "insert into meta (name, value) values ('restored', $1) on \
    conflict (name) do update set value = excluded.value";

/// A database that was restored, and that nobody has looked through since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    pub restored_us: i64,
    /// The moment that the database is of.
    pub backup_us: i64,
}

impl Restoration {
    pub fn restored_at(&self) -> Instant {
        Instant(self.restored_us)
    }
    pub fn backup_at(&self) -> Instant {
        Instant(self.backup_us)
    }
    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::json!(self).to_string().into_bytes()
    }
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
    /// As long as nobody has looked through the restore before, what it lacks is missing still: the
    /// earlier backup counts.
    pub fn beside(self, before: Option<&[u8]>) -> Self {
        let before = before.and_then(Self::read);
        Self {
            backup_us: before.map_or(self.backup_us, |before| {
                before.backup_us.min(self.backup_us)
            }),
            ..self
        }
    }
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({ "restored_at": self.restored_at().to_string(), "backup_at": self.backup_at().to_string() })
    }
}
