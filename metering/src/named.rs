//! What a command is called.

use journal::{Identity, Journal, Keyed};

/// A command's identity with its key in the journal.
#[derive(Debug, Clone)]
pub struct Named {
    pub identity: Identity,
    key: u64,
}

impl Named {
    pub fn new(identity: Identity, journal: &dyn Journal) -> Self {
        Self {
            key: journal.identity_key(identity.name()),
            identity,
        }
    }
    pub fn key(&self) -> u64 {
        self.key
    }
    pub fn keyed(&self) -> Keyed<'_> {
        Keyed {
            key: self.key,
            name: self.identity.name(),
        }
    }
}
