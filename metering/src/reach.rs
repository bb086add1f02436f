//! How far up a void or a correction reaches: as far as its author sells.
//!
//! What a seller above is owed for usage that it, or the platform, reported is not for a seller
//! below to take back. The links above stand; what the author gave back to its own customers is
//! between them.

use crate::shares;
use crate::standing::Standing;
use crate::void::Void;
use journal::{JournalEntry, OpenLink, Reporter};
use prepare::event::RatedEvent;
use problem::{Code, Problem};
use rating::TenantId;
use smallvec::SmallVec;

/// Links of an event that an author may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    author: TenantId,
    /// Buyers on the links above, from the root down.
    above: SmallVec<[TenantId; 4]>,
    /// The author sells on none of its links.
    nothing: bool,
    /// It is whole only because nobody above the author reported the event.
    by_report: bool,
}

/// Whether a reporter (`None`: the platform) is above a tenant on this path, from the platform
/// down.
pub fn is_above(path: &[TenantId], tenant: TenantId, reporter: Reporter) -> bool {
    let at = |one: TenantId| path.iter().position(|other| *other == one);
    let reporter = reporter.map_or(Some(0), at);
    reporter.is_some_and(|reporter| at(tenant).is_none_or(|tenant| reporter < tenant))
}

/// Whose key reported an event: the platform's, as long as a record does not say so. What nobody's
/// customer sent is known by its sender alone.
pub fn reported_by(event: &JournalEntry, path: &[TenantId]) -> TenantId {
    let is_unattributed = event
        .personal
        .as_ref()
        .is_some_and(|personal| personal.customer_hint.is_some());
    let platform = path.first().copied().unwrap_or(event.tenant);
    event.identity.reporter.unwrap_or(if is_unattributed {
        event.tenant
    } else {
        platform
    })
}

impl Reach {
    /// `path`: of the event's customer, from the platform down. `whole`: the author's own subtree
    /// reported it.
    pub fn of(author: TenantId, path: &[TenantId], whole: bool) -> Self {
        let is_platform = path.first() == Some(&author);
        if whole || is_platform {
            return Self {
                author,
                above: SmallVec::new(),
                nothing: false,
                by_report: !is_platform,
            };
        }
        let sells_from = path
            .iter()
            .position(|tenant| *tenant == author)
            .map_or(path.len(), |at| at + 1);
        Self {
            author,
            above: path[1.min(path.len())..sells_from].into(),
            nothing: sells_from == path.len(),
            by_report: false,
        }
    }

    /// All the way.
    pub fn whole(path: &[TenantId]) -> Self {
        Self {
            author: path.first().copied().unwrap_or(TenantId(0)),
            above: SmallVec::new(),
            nothing: false,
            by_report: false,
        }
    }

    /// Of whom nobody above must have reported the event.
    pub fn by_report(&self) -> Option<TenantId> {
        self.by_report.then_some(self.author)
    }

    /// Whether the link of this buyer is within it.
    pub fn covers(&self, buyer: TenantId) -> bool {
        !self.nothing && !self.above.contains(&buyer)
    }

    /// Who gives back what it still owes for on the links above.
    pub fn pays_itself(&self) -> Option<TenantId> {
        (!self.nothing && !self.above.is_empty()).then_some(self.author)
    }

    pub const fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// Links above that stay open.
    pub fn open_above(&self, event: &JournalEntry, standing: &Standing) -> Vec<OpenLink> {
        match &standing.open {
            Some(open) => open
                .iter()
                .filter(|open| !self.covers(open.buyer))
                .cloned()
                .collect(),
            None => self
                .above
                .iter()
                .rev()
                .map(|buyer| OpenLink {
                    buyer: *buyer,
                    reason: event.body.reason.as_str().into(),
                })
                .collect(),
        }
    }

    /// The event in place of a voided one, on as many links as were voided: those above stand as
    /// they were.
    pub fn limit(
        &self,
        mut event: Box<RatedEvent>,
        void: &Void,
    ) -> Result<Box<RatedEvent>, Problem> {
        let original = &void.original;
        let before = original
            .corrects()
            .is_some()
            .then(|| {
                original
                    .body
                    .charges
                    .last()
                    .map(|charge| charge.link.seller)
            })
            .flatten();
        let Some(seller) = before.or((!self.above.is_empty()).then_some(self.author)) else {
            return Ok(event);
        };
        if !void.open.is_empty() {
            return Err(Problem::new(
                Code::UpperLinksOpen,
                "links above those that this key may correct are not yet priced",
            ));
        }
        if event
            .priced
            .as_ref()
            .is_ok_and(|plan| shares::is_followed_above(plan, seller))
        {
            return Err(Problem::new(Code::VoidNotExact, shares::FOLLOWED));
        }
        event.corrects = Some(original.seq);
        if let Ok(plan) = &mut event.priced {
            plan.keep_up_to(seller);
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_reaches_as_far_as_it_sells() {
        let path = [1, 2, 3, 4].map(TenantId);
        for (author, whole, covered) in [
            (1, false, &[4, 3, 2][..]),
            (2, false, &[4, 3]),
            (3, false, &[4]),
            (4, false, &[]),
            (2, true, &[4, 3, 2]),
        ] {
            let reach = Reach::of(TenantId(author), &path, whole);
            let found: Vec<i64> = [4, 3, 2]
                .into_iter()
                .filter(|buyer| reach.covers(TenantId(*buyer)))
                .collect();
            assert_eq!(found, covered, "{author} {whole}");
        }
    }
}
