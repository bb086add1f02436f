//! What stands of a usage event after all that was done to it: which links are charged, which are
//! open.
//!
//! An event's steps are its own record, later ratings of links that were open, and voids, each
//! about some of its links. A link is charged once: what one step charged no later one charges
//! again, unless it was taken back between them.

use crate::void::Below;
use journal::{Charge, JournalEntry, Kind, OpenLink, Place, Seq};
use rating::{Currency, Exact, TenantId};

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
