//! What others of the chain have reported of an event.

use crate::batch_executor::Earlier;
use crate::requests::Outcome;
use journal::JournalEntry;
use std::sync::Arc;

/// What others of the chain have reported of an event.
#[derive(Debug)]
pub enum Beside {
    Nothing,
    /// It was reported from above.
    Known(Outcome),
    /// The sender's own, from before reporters were told apart.
    Own(Earlier),
    /// Somebody below reported the same, and it stands.
    Confirms(Arc<JournalEntry>),
    /// Somebody below reported it otherwise, or it has no price yet. `None`: in this very batch.
    Overrules(Option<Arc<JournalEntry>>),
}
