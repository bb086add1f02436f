//! One event, reported by several tenants of one chain: the highest reporter's counts.
//!
//! After a report from above, one from below is a duplicate or a conflict. After one from below,
//! the same from above is a duplicate that is kept on record, and another content takes the lower
//! one's place: a void and a new event in one step. What somebody below has taken back is no report
//! any more. Where the lower one cannot be taken back, whatever the reason, both stand: nothing
//! that somebody below does keeps a report from above from being charged.

use crate::batch_executor::{BatchExecutor, Earlier};
use crate::beside::Beside;
use crate::command::CommandResult;
use crate::record::{event_body, record_of};
use crate::requests::Outcome;
use crate::void::Void;
use journal::{Amendment, EntryPayload, JournalEntry, Kind, Reporter, Seq};
use prepare::event::RatedEvent;
use prepare::reporters::rank;
use problem::{Code, Problem};
use std::sync::Arc;

impl BatchExecutor {
    /// `own`: a record of the sender's own that is tried again.
    pub fn beside(&self, prepared: &RatedEvent, own: Option<&JournalEntry>) -> Beside {
        for (is_above, keyed) in prepared.others() {
            let Some(earlier) = self.earlier(keyed) else {
                continue;
            };
            let record = self.earlier_record(&earlier);
            if own.is_some_and(|own| own.seq == record.seq) {
                continue;
            }
            let charged = self.charged_by(record);
            if charged.is_none() && is_unattributed(record) {
                // Another's is of a customer that nobody knew yet; when that is known it is tried
                // again, and finds this one.
                if is_above
                    && record.tenant == prepared.sender
                    && hint_of(record) == Some(prepared.event.customer.as_str())
                {
                    return Beside::Own(earlier);
                }
                continue;
            }
            let customer = charged.map_or(record.tenant, |charged| charged.tenant);
            if prepared
                .customer
                .as_ref()
                .is_none_or(|known| known.tenant.id != customer)
            {
                continue;
            }
            if is_above {
                return Beside::Known(self.known_from_above(record, prepared));
            }
            if own.is_some_and(|own| self.took_back_both(prepared, own, record)) {
                return Beside::Known(self.answered(record));
            }
            if record.kind == Kind::Confirmed || self.is_taken_back(record) {
                continue;
            }
            return match earlier {
                // An event in place of one that stands above it is charged on its lower links
                // alone.
                Earlier::Stored(lower)
                    if is_same(record, prepared)
                        && charged.is_some()
                        && record.corrects().is_none() =>
                {
                    Beside::Confirms(lower)
                }
                Earlier::Stored(lower) => Beside::Overrules(Some(lower)),
                Earlier::Fresh(_) => Beside::Overrules(None),
            };
        }
        Beside::Nothing
    }

    /// What somebody above has reported counts: nothing moves.
    fn known_from_above(&self, record: &JournalEntry, prepared: &RatedEvent) -> Outcome {
        if !is_same(record, prepared) {
            let (source, id) = (&record.identity.source, &record.identity.id);
            let detail = format!(
                "the event {id:?} of source {source:?} was already reported by a seller above, \
                    with different content"
            );
            return Outcome::Rejected(Problem::field(Code::IdConflict, "id", detail));
        }
        self.answered(record)
    }

    /// The first answer to an event, whoever reported it.
    pub fn answered(&self, record: &JournalEntry) -> Outcome {
        match (
            record.kind,
            record.body.refers_to.and_then(|lower| self.referred(lower)),
        ) {
            (Kind::Confirmed, Some(lower)) => self.told(lower, &self.standing(lower)),
            _ => self.told(record, &self.standing(record)),
        }
    }

    /// Nothing of it stands, nor will be charged: a void that reached some of its links only leaves
    /// it where it is.
    fn is_taken_back(&self, record: &JournalEntry) -> bool {
        let is_void = matches!(
            self.amendment(record.seq),
            Some(Amendment {
                kind: Kind::Void,
                ..
            })
        );
        is_void && self.standing(record).charges.is_empty()
    }

    /// The report from below was voided by the sender, or somebody above it, when the sender's own
    /// was kept already: it was about both. What comes after a void is reported anew.
    fn took_back_both(
        &self,
        prepared: &RatedEvent,
        own: &JournalEntry,
        lower: &JournalEntry,
    ) -> bool {
        let Some(void) = self
            .amendment(lower.seq)
            .filter(|amendment| amendment.kind == Kind::Void)
        else {
            return false;
        };
        let path = prepared
            .customer
            .as_ref()
            .map_or(&[][..], |customer| customer.tenant.path.as_slice());
        let reach = |reporter| rank(path, reporter).unwrap_or(usize::MAX);
        let took_its_place = own.body.refers_to == Some(lower.seq);
        !took_its_place
            && self.is_taken_back(lower)
            && self.referred(void.by).is_some_and(|void| {
                void.received_at >= own.received_at
                    && reach(void.identity.reporter) <= reach(prepared.reporter)
            })
    }

    /// The record that carries an event's charges; `None`: it has no price.
    fn charged_by<'a>(&'a self, record: &'a JournalEntry) -> Option<&'a JournalEntry> {
        let original = match (record.kind, record.body.refers_to) {
            (Kind::Confirmed, Some(lower)) => self.referred(lower)?,
            _ => record,
        };
        match original.kind {
            Kind::Unrated => self
                .standing(original)
                .rated
                .and_then(|by| self.referred(by.seq)),
            _ => Some(original),
        }
    }

    /// The report from above of what is on record already: it moves nothing, and stays on record.
    pub fn confirm(&mut self, prepared: Box<RatedEvent>, lower: Arc<JournalEntry>) -> Outcome {
        let outcome = self.answered(&lower);
        let body = EntryPayload {
            refers_to: Some(lower.seq),
            ..event_body(&prepared)
        };
        let key = prepared.name().key;
        let record = record_of(prepared, Kind::Confirmed, body);
        self.refer_to(lower);
        self.push(record, Some(key));
        outcome
    }

    /// Takes the lower one's report back and records this one, or answers what has become of it
    /// meanwhile.
    pub fn overrule(
        &mut self,
        lower: Seq,
        void: Option<&Void>,
        event: Box<RatedEvent>,
        own: Option<Arc<JournalEntry>>,
    ) -> CommandResult {
        let is_first = own.is_some() || self.earlier(event.name()).is_none();
        let beside = self.beside(&event, own.as_deref());
        let is_lower = |record: &JournalEntry| record.seq == lower;
        let stands = is_first
            && matches!(&beside, Beside::Overrules(Some(record)) | Beside::Confirms(record) if is_lower(record));
        let mut stays = void.is_none().then_some(lower);
        if let Some(void) = void.filter(|_| stands) {
            match self.take_back_whole(void) {
                Ok(()) if own.is_none() => {
                    return CommandResult::Event(self.first(event, Some(lower)));
                }
                // It is looked at again.
                Ok(())
                | Err(Problem {
                    code: Code::Overtaken,
                    ..
                }) => {}
                Err(_) => stays = Some(lower),
            }
        }
        match own {
            Some(kept) => self.again_beside(&kept, event, stays),
            None => self.usage_beside(event, stays),
        }
    }

    /// Or nothing of it.
    fn take_back_whole(&mut self, void: &Void) -> Result<(), Problem> {
        self.check_voidable(void)?;
        let before = self.save();
        self.take_back(void, None)
            .map(drop)
            .inspect_err(|_| self.restore(before))
    }

    /// The highest tenant that has reported the event: its own reporter, or one above who reported
    /// the same.
    pub fn reporter_of(&self, void: &Void) -> Reporter {
        let path = void.path.as_slice();
        let confirms = |record: &JournalEntry| {
            record.kind == Kind::Confirmed && record.body.refers_to == Some(void.original.seq)
        };
        let above = void.others().filter_map(|keyed| {
            let earlier = self.earlier(keyed)?;
            confirms(self.earlier_record(&earlier)).then_some(keyed.name.reporter)
        });
        let all = std::iter::once(void.original.identity.reporter).chain(above);
        all.min_by_key(|reporter| rank(path, *reporter).unwrap_or(usize::MAX))
            .flatten()
    }
}

/// Kept while its customer was unknown: it belongs to its sender.
pub fn is_unattributed(record: &JournalEntry) -> bool {
    record.kind == Kind::Unrated && hint_of(record).is_some()
}

fn hint_of(record: &JournalEntry) -> Option<&str> {
    record
        .personal
        .as_ref()
        .and_then(|personal| personal.customer_hint.as_deref())
}

/// The same content. Everybody has names of his own for a customer, and what came before it was
/// known was kept under no key.
fn is_same(record: &JournalEntry, prepared: &RatedEvent) -> bool {
    let is = |content: [u8; 16]| record.content == content;
    is(prepared.content)
        || prepared.contents_by_other_names().into_iter().any(is)
        || hint_of(record).is_some_and(|hint| {
            is_unattributed(record) && is(prepared.unattributed_content_as(hint))
        })
}
