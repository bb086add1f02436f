//! An event that is reported: the first time, again, or beside the report of somebody else.

use super::{BatchExecutor, Earlier};
use crate::batch_executor::posting::{Rated, Refers};
use crate::beside::Beside;
use crate::charge;
use crate::command::CommandResult;
use crate::record::{event_body, record_of};
use crate::requests::Outcome;
use crate::standing::Standing;
use journal::{EntryPayload, JournalEntry, Kind, OpenLink, Seq};
use prepare::event::RatedEvent;
use problem::{Code, Problem};
use rating::TenantId;
use std::sync::Arc;

impl BatchExecutor {
    pub fn usage(&mut self, prepared: Box<RatedEvent>) -> CommandResult {
        self.usage_beside(prepared, None)
    }

    /// `standing`: a report from below that cannot be taken back.
    pub fn usage_beside(
        &mut self,
        prepared: Box<RatedEvent>,
        standing: Option<Seq>,
    ) -> CommandResult {
        if self.put_off.contains(&prepared.name().key) {
            return CommandResult::overrules(prepared, None, None);
        }
        if let Some(earlier) = self
            .earlier(prepared.name())
            .or_else(|| self.unattributed(&prepared))
        {
            return self.resent(&earlier, prepared);
        }
        match self.beside(&prepared, None) {
            Beside::Nothing => CommandResult::Event(self.first(prepared, None)),
            Beside::Known(outcome) => CommandResult::Event(outcome),
            Beside::Own(earlier) => self.resent(&earlier, prepared),
            Beside::Confirms(lower) => CommandResult::Event(self.confirm(prepared, lower)),
            Beside::Overrules(Some(lower)) if standing == Some(lower.seq) => {
                CommandResult::Event(self.first(prepared, None))
            }
            Beside::Overrules(lower) => {
                self.put_off.push(prepared.name().key);
                CommandResult::overrules(prepared, None, lower)
            }
        }
    }

    /// An event that was not reported before; `overruled`: the report from below whose place it
    /// takes.
    pub fn first(&mut self, prepared: Box<RatedEvent>, overruled: Option<Seq>) -> Outcome {
        match self.rate(&prepared) {
            Ok(rated) => self.record_rated(
                prepared,
                rated,
                Kind::Rated,
                Refers {
                    kept: None,
                    overruled,
                },
            ),
            Err(kept) => {
                let body = EntryPayload {
                    reason: kept.0.to_owned(),
                    refers_to: overruled,
                    ..event_body(&prepared)
                };
                let key = prepared.name().key;
                let index = self.push(record_of(prepared, Kind::Unrated, body), Some(key));
                self.batch.unrated.push(index);
                Outcome::Unrated {
                    reason: kept.0.to_owned(),
                    duplicate: false,
                }
            }
        }
    }

    /// The same event from before its customer was known. Another customer's event of that id is
    /// another event.
    pub(super) fn unattributed(&self, prepared: &RatedEvent) -> Option<Earlier> {
        let earlier = self.earlier(prepared.unattributed()?)?;
        let hint = self
            .earlier_record(&earlier)
            .personal
            .as_ref()
            .and_then(|personal| personal.customer_hint.as_deref());
        hint.is_some_and(|hint| hint == prepared.event.customer)
            .then_some(earlier)
    }

    /// The same identity again: the first answer, a conflict, or another try at a kept event.
    pub fn resent(&mut self, earlier: &Earlier, prepared: Box<RatedEvent>) -> CommandResult {
        let record = self.earlier_record(earlier);
        // What came before its customer was known was kept under no key.
        let same = record.content == prepared.content
            || (record.kind == Kind::Unrated && record.content == prepared.unattributed_content());
        if !same {
            let detail = format!(
                "the event {:?} of source {:?} was already reported with different content",
                record.identity.id, record.identity.source
            );
            return CommandResult::Event(Outcome::Rejected(Problem::field(
                Code::IdConflict,
                "id",
                detail,
            )));
        }
        match earlier {
            Earlier::Stored(kept) if kept.is_kept() => self.rate_unrated(kept, prepared),
            _ => CommandResult::Event(self.answered(record)),
        }
    }

    /// Rates what is open of a kept event. An event has one step in a batch: the next one names it
    /// by its seq.
    pub fn rate_unrated(
        &mut self,
        kept: &Arc<JournalEntry>,
        prepared: Box<RatedEvent>,
    ) -> CommandResult {
        self.again_beside(kept, prepared, None)
    }

    /// `stays`: a report from below that cannot be taken back.
    pub fn again_beside(
        &mut self,
        kept: &Arc<JournalEntry>,
        prepared: Box<RatedEvent>,
        stays: Option<Seq>,
    ) -> CommandResult {
        let standing = self.standing(kept);
        let amended_now = self
            .amendment(kept.seq)
            .is_some_and(|amendment| amendment.by < Seq(0));
        if !standing.is_open() || amended_now {
            return CommandResult::Event(self.told(kept, &standing));
        }
        if standing.open.is_some() {
            return CommandResult::Event(self.rate_open(kept, &standing, prepared));
        }
        if prepared.name().name != kept.identity.name()
            && let Some(earlier) = self.earlier(prepared.name())
        {
            // It came again under its customer's root: what became of it there counts.
            let resent = self.resent(&earlier, prepared);
            return self.settled_by(kept, resent);
        }
        let is_own_name = prepared.name().name == kept.identity.name();
        match self.beside(&prepared, Some(kept.as_ref())) {
            Beside::Nothing | Beside::Own(_) => {}
            Beside::Confirms(lower) | Beside::Overrules(Some(lower))
                if stays == Some(lower.seq) => {}
            Beside::Known(outcome) => return self.settled_by(kept, CommandResult::Event(outcome)),
            // The kept record has the name under which it would be confirmed: it is rated instead.
            Beside::Confirms(lower) if is_own_name => {
                return CommandResult::overrules(prepared, Some(Arc::clone(kept)), Some(lower));
            }
            Beside::Confirms(lower) => {
                let confirmed = CommandResult::Event(self.confirm(prepared, lower));
                return self.settled_by(kept, confirmed);
            }
            Beside::Overrules(lower) => {
                return CommandResult::overrules(prepared, Some(Arc::clone(kept)), lower);
            }
        }
        CommandResult::Event(match self.rate(&prepared) {
            Ok(rated) => self.record_rated(
                prepared,
                rated,
                Kind::RatedLater,
                Refers {
                    kept: Some(kept),
                    overruled: None,
                },
            ),
            Err(reason) => Outcome::Unrated {
                reason: reason.0.to_owned(),
                duplicate: true,
            },
        })
    }

    /// What became of an event by another record needs no more rating.
    pub(super) fn settled_by(&mut self, kept: &JournalEntry, done: CommandResult) -> CommandResult {
        if matches!(
            done,
            CommandResult::Event(
                Outcome::Rated(_) | Outcome::PartlyRated { .. } | Outcome::Duplicate(_)
            )
        ) {
            self.settle(kept.seq);
        }
        done
    }

    /// Charges those of the open links that can be charged now, up to the lowest that was charged
    /// before, and no other.
    pub(super) fn rate_open(
        &mut self,
        kept: &JournalEntry,
        standing: &Standing,
        prepared: Box<RatedEvent>,
    ) -> Outcome {
        let still = standing.open.clone().unwrap_or_default();
        let is_open = |buyer: TenantId| still.iter().any(|open| open.buyer == buyer);
        let (Some(customer), Ok(plan)) = (&prepared.customer, &prepared.priced) else {
            return self.told(kept, standing);
        };
        let Ok(mut priced) = charge::price_standing(&prepared, customer, plan, &self.states) else {
            return self.told(kept, standing);
        };
        priced.charges.retain(|charge| is_open(charge.link.buyer));
        let joined = priced.charges.last().map(|charge| charge.link.buyer)
            == still.last().map(|open| open.buyer);
        let now = if joined && self.post_cut(customer, plan, &mut priced).is_ok() {
            std::mem::take(&mut priced.charges)
        } else {
            Vec::new()
        };
        let open = still
            .iter()
            .filter(|open| !now.iter().any(|charge| charge.link.buyer == open.buyer))
            .map(|open| {
                let reason = priced.open.iter().find(|new| new.buyer == open.buyer);
                reason.map_or_else(|| open.clone(), |new| new.link())
            });
        let open: Vec<OpenLink> = open.collect();
        if now.is_empty() {
            return self.told(
                kept,
                &Standing {
                    open: Some(open),
                    ..standing.clone()
                },
            );
        }
        let places = self.grow(&prepared, customer, plan, &now);
        let rated = Rated {
            charges: now,
            places,
            open,
            currency: plan.currency,
            hold: None,
            over_hold: None,
        };
        self.record_rated(
            prepared,
            rated,
            Kind::RatedLater,
            Refers {
                kept: Some(kept),
                overruled: None,
            },
        )
    }
}
