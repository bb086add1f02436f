//! Why a link has no price, in words.

use rating::{Instant, TenantId};

/// Why one link has no price, or the whole event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Who buys on the link; `None`: no link comes into it.
    pub buyer: Option<TenantId>,
    pub reason: &'static str,
    pub detail: String,
    /// From when on the link has what it lacks.
    pub begins_at: Option<Instant>,
}

impl Lack {
    pub fn of_event(reason: &'static str, detail: String) -> Self {
        Self {
            buyer: None,
            reason,
            detail,
            begins_at: None,
        }
    }
}
