//! An event priced, posted and recorded.

use super::{BatchExecutor, relative};
use crate::batch_executor::told::fault;
use crate::charge::{self, Charges, Priced};
use crate::distinct_value;
use crate::record::{event_body, record_of};
use crate::requests::{Outcome, Posted};
use crate::standing::RatedBy;
use journal::{
    Charge, EntryPayload, JournalEntry, Kind, Namespace, OpenLink, Place, Seq, Steps, Trail,
};
use ledger::{Event, Limit, LinkCharge, Refusal};
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::hold_name::may_end;
use prepare::measured::{Plan, UnratedReason};
use prepare::open::{BELOW_UNKNOWN, Open};
use rating::ids::HoldId;
use rating::{Cents, Currency, TenantId};

impl BatchExecutor {
    /// Prices and posts; when it refuses, nothing has changed.
    pub fn rate(&mut self, prepared: &RatedEvent) -> Result<Rated, UnratedReason> {
        let plan = prepared.priced.as_ref().map_err(Clone::clone)?;
        let customer = prepared
            .customer
            .as_ref()
            .ok_or(UnratedReason("unknown_customer"))?;
        let mut priced = charge::price_standing(prepared, customer, plan, &self.states)?;
        let (hold, over_hold) = self
            .post_usage(prepared, customer, plan, &mut priced)
            .map_err(|refusal| UnratedReason(refusal.code().as_str()))?;
        let Priced { charges, open } = priced;
        let places = self.grow(prepared, customer, plan, &charges);
        let open = open.into_iter().map(Open::link).collect();
        Ok(Rated {
            charges,
            places,
            open,
            currency: plan.currency,
            hold,
            over_hold,
        })
    }

    /// With its hold, if there is one that is open; otherwise under the limits.
    pub(super) fn post_usage(
        &mut self,
        prepared: &RatedEvent,
        customer: &Customer,
        plan: &Plan,
        priced: &mut Priced,
    ) -> Result<(Option<HoldId>, Option<Cents>), Refusal> {
        let id = prepared.hold;
        while let Some(hold) = self.states.holds.get(&id) {
            // A hold of one's own follows from one's own id.
            if prepared.event.hold.is_some()
                && !may_end(&customer.tenant.path, prepared.reporter, hold)
            {
                break;
            }
            let mut hold = hold.clone();
            let links = charge::link_charges(&priced.charges);
            match self
                .books
                .capture(&event(customer, plan, &links, &[]), &mut hold, self.now)
            {
                Ok(posted) => {
                    self.states.holds.set(id, hold);
                    let account = charge::customer_account(
                        customer.tenant.id,
                        &priced.charges,
                        plan.currency,
                    );
                    let over = posted
                        .over_hold
                        .iter()
                        .find(|(of, _)| *of == account)
                        .map(|&(_, cents)| cents);
                    return Ok((Some(id), over));
                }
                // The usage has happened: it is posted like any other.
                Err(Refusal::HoldOver | Refusal::HoldEnded { .. } | Refusal::HoldOfAnother) => {
                    break;
                }
                Err(refusal) if !priced.cut(&refusal, plan) => return Err(refusal),
                Err(_cut) => {}
            }
        }
        self.post_cut(customer, plan, priced).map(|()| (None, None))
    }

    /// Posts the charges under their limits; those that are refused, from the lowest up, are left
    /// out and open.
    pub(super) fn post_cut(
        &mut self,
        customer: &Customer,
        plan: &Plan,
        priced: &mut Priced,
    ) -> Result<(), Refusal> {
        loop {
            let (links, limits) = (
                charge::link_charges(&priced.charges),
                charge::refusing(plan, &priced.charges),
            );
            match self.books.charge(&event(customer, plan, &links, &limits)) {
                Ok(_posted) => return Ok(()),
                Err(refusal) if !priced.cut(&refusal, plan) => return Err(refusal),
                Err(_cut) => {}
            }
        }
    }

    /// Carries, counters and their distinct values after these charges of an event, and where on
    /// the counters these count.
    pub(super) fn grow(
        &mut self,
        prepared: &RatedEvent,
        customer: &Customer,
        plan: &Plan,
        charges: &[Charge],
    ) -> Vec<Place> {
        self.carry(customer.tenant.id, charges);
        let places = self.count(prepared, plan, charges);
        distinct_value::add(prepared, plan, charges, &places, &mut self.states);
        places
    }

    /// The carries after these charges.
    pub fn carry(&mut self, customer: TenantId, charges: &[Charge]) {
        self.states.set_carries(
            customer,
            charges
                .iter()
                .map(|charge| (charge.link.buyer, charge.carry)),
        );
    }

    pub(super) fn record_rated(
        &mut self,
        prepared: Box<RatedEvent>,
        rated: Rated,
        kind: Kind,
        Refers { kept, overruled }: Refers<'_>,
    ) -> Outcome {
        let previous = kept
            .and_then(|kept| self.amendment(kept.seq))
            .map(|amendment| amendment.by);
        let Rated {
            charges,
            places,
            open,
            currency,
            hold,
            over_hold,
        } = rated;
        let (is_open, corrects) = (!open.is_empty(), prepared.corrects);
        let has_steps = is_open || previous.is_some() || corrects.is_some() || !places.is_empty();
        let body = EntryPayload {
            currency: Some(currency),
            charges,
            reason: if kind == Kind::Rated {
                reason_of(&open)
            } else {
                String::new()
            },
            hold,
            refers_to: kept.map(|record| record.seq).or(overruled),
            trail: Trail {
                key: prepared.sender_key,
                steps: has_steps.then(|| {
                    Box::new(Steps {
                        open: open.clone(),
                        previous,
                        corrects,
                        places,
                    })
                }),
            },
            ..event_body(&prepared)
        };
        let mut key = Some(prepared.name().key);
        let below_cost = body
            .charges
            .windows(2)
            .any(|pair| pair[0].exact < pair[1].exact);
        let mut record = record_of(prepared, kind, body);
        if kept.is_some_and(|kept| kept.identity == record.identity) {
            // The kept record is the one that its identity finds.
            record.identity.namespace = Namespace::Engine;
            key = None;
        }
        let index = self.push(record, key);
        if below_cost {
            self.below_cost.push(index as u32);
        }
        if kept.is_some() || is_open {
            return self.record_step(index, kind, kept, open, over_hold);
        }
        match self.posted_of(&self.batch.records[index]) {
            Ok(posted) => Outcome::Rated(Posted {
                over_hold,
                ..posted
            }),
            Err(refusal) => fault(refusal),
        }
    }

    /// The answer to an event that is charged in several steps; this one is at `index`.
    pub(super) fn record_step(
        &mut self,
        index: usize,
        kind: Kind,
        kept: Option<&JournalEntry>,
        open: Vec<OpenLink>,
        over_hold: Option<Cents>,
    ) -> Outcome {
        let is_open = !open.is_empty();
        let posted = match kept {
            Some(kept) => {
                self.amend(kept.seq, kind, index);
                if !is_open {
                    self.settle(kept.seq);
                }
                let record = &self.batch.records[index];
                let currency = record.body.currency.ok_or(Refusal::BrokenChain);
                let customer = record.tenant;
                let by = currency.map(|currency| RatedBy {
                    seq: relative(index),
                    customer,
                    currency,
                    overruled: None,
                });
                by.and_then(|by| self.posted(by, &self.standing(kept).charged))
            }
            None => {
                self.batch.unrated.push(index);
                self.posted_of(&self.batch.records[index])
            }
        };
        match posted {
            Ok(posted) if is_open => Outcome::PartlyRated {
                posted,
                open,
                duplicate: false,
            },
            Ok(posted) => Outcome::Rated(Posted {
                over_hold,
                ..posted
            }),
            Err(refusal) => fault(refusal),
        }
    }
}

/// Other records that one is about.
pub(crate) struct Refers<'a> {
    pub(crate) kept: Option<&'a JournalEntry>,
    pub(crate) overruled: Option<Seq>,
}

/// What rating an event came to.
#[derive(Debug)]
pub struct Rated {
    pub charges: Charges,
    /// Where on their counters these count.
    pub places: Vec<Place>,
    /// Links that are not charged, from the customer's own up.
    pub open: Vec<OpenLink>,
    pub currency: Currency,
    pub hold: Option<HoldId>,
    pub over_hold: Option<Cents>,
}

/// On its way into the books.
pub(crate) fn event<'a>(
    customer: &Customer,
    plan: &Plan,
    charges: &'a [LinkCharge],
    limits: &'a [Limit],
) -> Event<'a> {
    let (root, platform, customer) = (
        customer.tenant.root,
        customer.platform(),
        customer.tenant.id,
    );
    Event {
        root,
        platform,
        customer,
        currency: plan.currency,
        charges,
        limits,
    }
}

/// Of the link nearest to the customer that has a reason of its own.
pub(crate) fn reason_of(open: &[OpenLink]) -> String {
    let own = open
        .iter()
        .find(|open| ![tenants::chain::ABOVE_OPEN, BELOW_UNKNOWN].contains(&open.reason.as_str()));
    own.or(open.first())
        .map(|open| open.reason.to_string())
        .unwrap_or_default()
}
