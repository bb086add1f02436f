//! What stands of a usage event after all that was done to it: which links are charged, which are
//! open.
//!
//! An event's steps are its own record, later ratings of links that were open, and voids, each
//! about some of its links. A link is charged once: what one step charged no later one charges
//! again, unless it was taken back between them.

use crate::void::Below;
use journal::{Charge, JournalEntry, Kind, OpenLink, Place, Seq};
use rating::{Currency, Exact, TenantId};

/// A link that cannot be charged now, with the stable code of the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub buyer: TenantId,
    pub reason: &'static str,
}

impl Open {
    pub fn link(self) -> OpenLink {
        OpenLink {
            buyer: self.buyer,
            reason: self.reason.into(),
        }
    }
}

/// Why a commission has no price while that of the link below it is not known.
pub const BELOW_UNKNOWN: &str = "price_below_unknown";

/// Where the links begin that can be charged, with those below them. `links`: buyers from the
/// customer's own up, each with its own reason not to be charged. Upper links do not depend on
/// lower ones. A lower link is not charged while one above it is open: else its seller would earn
/// on what it does not pay for.
pub fn cut(links: &[(TenantId, Option<&'static str>)]) -> (usize, Vec<Open>) {
    let first = links
        .iter()
        .rposition(|(_, reason)| reason.is_some())
        .map_or(0, |last| last + 1);
    let open = |&(buyer, reason): &(TenantId, Option<&'static str>)| Open {
        buyer,
        reason: reason.unwrap_or(tenants::chain::ABOVE_OPEN),
    };
    (first, links[..first].iter().map(open).collect())
}

/// The reason that an event is kept for: of the link nearest to the customer that has one of its
/// own.
pub fn reason(open: &[Open]) -> &'static str {
    let own = open
        .iter()
        .find(|open| ![tenants::chain::ABOVE_OPEN, BELOW_UNKNOWN].contains(&open.reason));
    own.or(open.first()).map_or("no_rate", |open| open.reason)
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Charges that were not taken back, from the customer's link up.
    pub charges: Vec<Charge>,
    /// Every charge, taken back or not: what the event came to.
    pub charged: Vec<Charge>,
    /// Where on their counters the charges that stand count.
    pub places: Vec<Place>,
    /// What the last void gave back, by buyer.
    pub given_back: Vec<(TenantId, Exact)>,
    /// Links yet to be charged. `None`: it was never priced, and all of them are.
    pub open: Option<Vec<OpenLink>>,
    pub voided: bool,
    /// The last step that charged something.
    pub rated: Option<RatedBy>,
}

/// A step that charged something: where it is, whose usage, in which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatedBy {
    pub seq: Seq,
    pub customer: TenantId,
    pub currency: Currency,
    /// The report from below whose place the event took.
    pub overruled: Option<Seq>,
}

impl Standing {
    /// After these steps, oldest first.
    pub fn after<'a>(steps: impl IntoIterator<Item = &'a JournalEntry>) -> Self {
        let mut standing = Self::default();
        for step in steps {
            standing.add(step);
        }
        standing
    }

    fn add(&mut self, step: &JournalEntry) {
        match step.kind {
            Kind::Unrated => {}
            Kind::Void => {
                self.voided = true;
                let taken_back = |charge: &Charge| {
                    step.body
                        .charges
                        .iter()
                        .any(|back| back.link.buyer == charge.link.buyer)
                };
                self.charges.retain(|charge| !taken_back(charge));
                self.given_back.extend(
                    step.body
                        .charges
                        .iter()
                        .map(|back| (back.link.buyer, back.exact)),
                );
                self.open = Some(step.open().to_vec());
            }
            // Upper links are charged first.
            _ => {
                for charges in [&mut self.charges, &mut self.charged] {
                    charges.splice(0..0, step.body.charges.iter().cloned());
                }
                self.places.retain(|place| {
                    step.body
                        .charges
                        .iter()
                        .all(|charge| charge.link.buyer != place.buyer)
                });
                self.places.extend(
                    step.body
                        .charges
                        .iter()
                        .filter_map(|charge| step.place(charge.link.buyer)),
                );
                self.open = Some(step.open().to_vec());
                let overruled = step
                    .body
                    .refers_to
                    .filter(|_| step.kind == Kind::Rated)
                    .or(self.rated.and_then(|by| by.overruled));
                self.rated = step.body.currency.map(|currency| RatedBy {
                    seq: step.seq,
                    customer: step.tenant,
                    currency,
                    overruled,
                });
            }
        }
    }

    /// What was given back last, by buyer.
    pub fn given_back(&self) -> Vec<(TenantId, Below)> {
        let mut last: Vec<(TenantId, Below)> = Vec::new();
        for (buyer, exact) in self.given_back.iter().rev() {
            let Some(own) = self
                .charged
                .iter()
                .find(|charge| charge.link.buyer == *buyer)
            else {
                continue;
            };
            if last.iter().all(|(other, _)| other != buyer) {
                last.push((
                    *buyer,
                    Below {
                        exact: *exact,
                        others_stand: own.exact.checked_neg() == Ok(*exact),
                    },
                ));
            }
        }
        last
    }

    /// Whether there is anything left to be priced.
    pub fn is_open(&self) -> bool {
        self.open.as_ref().is_none_or(|open| !open.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_above_the_last_obstacle_are_charged() {
        let table: [(&[Option<&str>], &[&str]); 5] = [
            (&[None, None, None], &[]),
            (&[Some("no_rate"), None, None], &["no_rate"]),
            (
                &[None, Some("no_rate"), None],
                &["link_above_open", "no_rate"],
            ),
            (
                &[Some("no_rate"), Some(BELOW_UNKNOWN), None],
                &["no_rate", BELOW_UNKNOWN],
            ),
            (
                &[Some("no_rate"), None, Some("overflow")],
                &["no_rate", "link_above_open", "overflow"],
            ),
        ];
        for (links, want) in table {
            let links: Vec<_> = links
                .iter()
                .zip(2_i64..)
                .map(|(reason, buyer)| (TenantId(buyer), *reason))
                .collect();
            let (first, open) = cut(&links);
            assert_eq!(
                (
                    first,
                    open.iter().map(|open| open.reason).collect::<Vec<_>>()
                ),
                (want.len(), want.to_vec())
            );
        }
    }
}
