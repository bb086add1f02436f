//! What records can no longer tell, where old months were dropped: whether an event had come
//! before.

use journal::{Beginning, Journal, JournalEntry};
use prepare::failures::journal_problem;
use problem::Problem;
use rating::TenantId;
use std::collections::HashMap;

/// Why a kept event is not rated: it is older than the records, and may have been paid for in those
/// that are gone.
pub const BEFORE_RECORDS: &str = "before_records";

/// Where the journals of roots begin, each read once.
#[derive(Debug)]
pub struct RetentionStart<'a> {
    journal: &'a dyn Journal,
    known: HashMap<TenantId, Option<Beginning>>,
}

impl<'a> RetentionStart<'a> {
    pub fn of(journal: &'a dyn Journal) -> Self {
        Self {
            journal,
            known: HashMap::new(),
        }
    }

    /// Whether a kept event may have been rated in the books of `root` before it came in.
    pub async fn may_hide(&mut self, kept: &JournalEntry, root: TenantId) -> Result<bool, Problem> {
        let beginning = match self.known.get(&root) {
            Some(beginning) => *beginning,
            None => {
                let beginning = self
                    .journal
                    .beginning(root)
                    .await
                    .map_err(journal_problem)?;
                self.known.insert(root, beginning);
                beginning
            }
        };
        Ok(beginning.is_some_and(|beginning| beginning.may_hide(kept.at, kept.received_at)))
    }
}
