//! The turn of each command of a batch, in order, on the states the batch loaded. Pure: no await,
//! no clock; what it leaves behind is one [`Batch`].
//!
//! Invariants: whatever is validated is validated before the first change; a command that is
//! refused leaves nothing behind; the same identity twice in one batch is the same case as twice in
//! two.

pub(crate) mod posting;
mod told;
mod usage;

use crate::command::{Amended, Command, CommandResult};
use crate::states::States;
use journal::{Amendment, Batch, JournalEntry, Keyed, Kind, Seq, State, StateKeys};
use ledger::{Books, Refusal};
use problem::Problem;
use rating::Instant;
use rating::fast::FastMap;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// One batch under way.
#[derive(Debug)]
pub struct BatchExecutor {
    pub now: Instant,
    pub books: Books,
    pub states: States,
    /// What the journal knows already, by key.
    known: Known,
    /// Records that others are about: those that priced kept events later, those that were
    /// confirmed. By their seq.
    later: HashMap<Seq, Arc<JournalEntry>>,
    batch: Batch,
    /// This batch's own records, by key.
    fresh: Fresh,
    /// Names of events that take their turns in a later batch: what comes under these names comes
    /// after them.
    put_off: Vec<u64>,
    /// Records that a seller loses money with, by index.
    pub below_cost: Vec<u32>,
}

/// Records by the keys of their names; the names are compared too.
pub type Known = FastMap<u64, SmallVec<[Arc<JournalEntry>; 1]>>;
pub type Fresh = FastMap<u64, SmallVec<[u32; 2]>>;

/// The batch before a command that may have to be taken back.
#[derive(Debug)]
pub struct Saved {
    books: Books,
    states: States,
    batch: Batch,
    fresh: Fresh,
    below_cost: Vec<u32>,
}

/// Where a record stands: in the journal, or in this batch.
#[derive(Debug, Clone)]
pub enum Earlier {
    Stored(Arc<JournalEntry>),
    Fresh(usize),
}

impl BatchExecutor {
    pub fn new(
        now: Instant,
        keys: StateKeys,
        state: State,
        known: Known,
        later: HashMap<Seq, Arc<JournalEntry>>,
    ) -> Self {
        let (states, accounts) = States::new(state);
        let books = Books::load(keys.accounts, &accounts);
        let batch = Batch {
            committed_at: now,
            ..Batch::default()
        };
        Self {
            now,
            books,
            states,
            known,
            later,
            batch,
            fresh: Fresh::default(),
            put_off: Vec::new(),
            below_cost: Vec::new(),
        }
    }

    /// Room for this many records.
    pub fn reserve(&mut self, records: usize) {
        self.batch.records.reserve(records);
        self.fresh.reserve(records);
    }

    /// What is left behind, and the keys of what it records.
    pub fn into_batch(self) -> (Batch, Fresh) {
        let mut batch = self.batch;
        batch.state = State {
            accounts: self.books.into_changed(),
            carries: self.states.carries.into_changed(),
            counters: self.states.counters.into_changed(),
            distinct_values: self.states.distinct_values.into_changed(),
            holds: self.states.holds.into_changed(),
            amendments: FastMap::default(),
        };
        (batch, self.fresh)
    }

    pub fn take(&mut self, work: Command) -> CommandResult {
        match work {
            Command::Usage(prepared) => self.usage(prepared),
            Command::RateUnrated { kept, prepared } => self.rate_unrated(&kept, prepared),
            Command::Overrule {
                lower,
                void,
                event,
                own,
            } => self.overrule(lower, void.as_deref(), event, own),
            Command::Void(void) => CommandResult::Amended(self.void(&void).map(|posted| Amended {
                void: posted,
                event: None,
            })),
            Command::Correct { void, event } => CommandResult::Amended(self.correct(&void, event)),
            Command::PlaceHold(work) => CommandResult::Hold(self.place_hold(*work)),
            Command::ExtendHold { hold, named, work } => {
                CommandResult::Hold(self.extend_hold(hold, named, *work))
            }
            Command::ReleaseHold {
                hold,
                named,
                currency,
            } => CommandResult::Hold(self.release_hold(hold, named, currency)),
            Command::SettleCarries(settling) => {
                CommandResult::Settled(self.settle_carries(&settling))
            }
            Command::Sweep { .. } => CommandResult::Swept,
            Command::Reclassify {
                named,
                tenant,
                currency,
                received_at,
            } => CommandResult::Reclassified(self.reclassify(named, tenant, currency, received_at)),
            Command::Money {
                named,
                command,
                received_at,
            } => CommandResult::Money(self.money(named, &command, received_at)),
            Command::Payment {
                named,
                command,
                received_at,
            } => CommandResult::Payment(self.payment(named, *command, received_at)),
        }
    }

    /// What is already recorded under a name.
    pub fn earlier(&self, keyed: Keyed<'_>) -> Option<Earlier> {
        if let Some(record) = self.known.get(&keyed.key).and_then(|known| {
            known
                .iter()
                .find(|record| record.identity.name() == keyed.name)
        }) {
            return Some(Earlier::Stored(Arc::clone(record)));
        }
        let same =
            |index: &&u32| self.batch.records[**index as usize].identity.name() == keyed.name;
        self.fresh
            .get(&keyed.key)?
            .iter()
            .find(same)
            .map(|index| Earlier::Fresh(*index as usize))
    }

    pub fn earlier_record<'a>(&'a self, earlier: &'a Earlier) -> &'a JournalEntry {
        match earlier {
            Earlier::Stored(record) => record,
            Earlier::Fresh(index) => &self.batch.records[*index],
        }
    }

    /// Appends a record; its position in the batch. `key`: of its name; steps of the engine have
    /// none.
    pub fn push(&mut self, mut record: JournalEntry, key: Option<u64>) -> usize {
        let index = self.batch.records.len();
        self.batch.identity_keys.push(key.unwrap_or_default());
        if let Some(key) = key {
            // A batch has far fewer than 2³² records: the queue is bounded.
            self.fresh.entry(key).or_default().push(index as u32);
        }
        record.seq = relative(index);
        // Statements go by this instant: it follows the order of the journal, also where a large
        // batch was long in preparing.
        record.received_at = self.now;
        self.batch.records.push(record);
        index
    }

    pub fn record_at(&self, index: usize) -> &JournalEntry {
        &self.batch.records[index]
    }

    /// Everything a command may change, to go back to.
    pub fn save(&self) -> Saved {
        Saved {
            books: self.books.clone(),
            states: self.states.clone(),
            batch: self.batch.clone(),
            fresh: self.fresh.clone(),
            below_cost: self.below_cost.clone(),
        }
    }

    pub fn restore(&mut self, saved: Saved) {
        let Saved {
            books,
            states,
            batch,
            fresh,
            below_cost,
        } = saved;
        (
            self.books,
            self.states,
            self.batch,
            self.fresh,
            self.below_cost,
        ) = (books, states, batch, fresh, below_cost);
    }

    pub fn amend(&mut self, of: Seq, kind: Kind, by: usize) {
        self.states.amended.insert(
            of,
            Amendment {
                kind,
                by: relative(by),
            },
        );
        self.batch.amendments.push((of, kind, by));
    }

    pub fn amendment(&self, of: Seq) -> Option<Amendment> {
        self.states.amended.get(&of).copied()
    }

    /// A kept event needs no more rating.
    pub fn settle(&mut self, kept: Seq) {
        self.batch.settled.push(kept);
    }

    /// A record that another one is about.
    pub fn referred(&self, seq: Seq) -> Option<&JournalEntry> {
        match usize::try_from(-1 - seq.0) {
            Ok(index) => self.batch.records.get(index),
            Err(_) => self.later.get(&seq).map(AsRef::as_ref),
        }
    }

    /// It will be asked for by its seq.
    pub fn refer_to(&mut self, record: Arc<JournalEntry>) {
        self.later.insert(record.seq, record);
    }
}

/// A record of this batch before the journal has placed it.
pub fn relative(index: usize) -> Seq {
    Seq(-1 - i64::try_from(index).unwrap_or(i64::MAX - 1))
}

/// A refusal of the ledger as the caller sees it.
pub fn refused(refusal: Refusal) -> Problem {
    Problem::new(refusal.code(), refusal.to_string())
}
