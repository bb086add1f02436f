//! One batch from its commands to what it leaves behind: finds what is known, loads the states,
//! lets every command take its turn.

use crate::batch_executor::{BatchExecutor, Fresh, Known};
use crate::command::{Command, CommandResult};
use crate::in_flight::{Ahead, InFlightBatches};
use journal::{
    Amendment, Batch, EntryQuery, Journal, JournalEntry, JournalError, Keyed, Kind, Namespace, Of,
    Seq, State, StateKeys,
};
use ledger::Hold;
use prepare::reporters::Reporters;
use rating::Instant;
use rating::fast::FastMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Holds that are swept before the commands of one commit: a sweep never stalls the commands that
/// wait behind it.
pub const SWEEP_HOLDS_MAX: usize = 1_000;

/// What the turns of a batch came to: nothing of it is durable yet.
pub struct Executed {
    pub done: Vec<CommandResult>,
    pub batch: Batch,
    pub fresh: Fresh,
    /// Who has reported in its roots by now.
    pub reporters: Reporters,
    /// Records that a seller loses money with, by index.
    pub below_cost: Vec<u32>,
}

/// The journal and the batches on their way into it.
pub struct Execution<'a> {
    pub journal: &'a dyn Journal,
    pub in_flight: &'a InFlightBatches,
}

impl Execution<'_> {
    /// Tells the commands who else may have reported their events.
    pub async fn look_beside(&self, work: &mut [Command]) -> Result<Reporters, JournalError> {
        let mut reporters = Reporters::default();
        for command in work.iter() {
            if let Some((root, reporter)) = command.reported() {
                reporters.add(root, reporter);
            }
            command
                .voided_in()
                .into_iter()
                .for_each(|root| reporters.add_root(root));
        }
        for (root, reporter) in self
            .journal
            .reporters(&reporters.roots(), Namespace::Usage)
            .await?
        {
            reporters.add(root, reporter);
        }
        self.in_flight
            .ahead()
            .for_each(|ahead| reporters.extend(&ahead.reporters));
        if reporters.are_several() {
            work.iter_mut()
                .for_each(|command| command.look_beside(&reporters, self.journal));
        }
        Ok(reporters)
    }

    /// `expired`: holds that end before the first turn.
    pub async fn run(
        &self,
        now: Instant,
        expired: &[Hold],
        work: Vec<Command>,
        known: Known,
    ) -> Result<Executed, JournalError> {
        let turn = self.prepare(now, expired, &work, known).await?;
        execute(turn, expired, work)
    }

    /// Everything the turns need.
    pub async fn prepare(
        &self,
        now: Instant,
        expired: &[Hold],
        work: &[Command],
        known: Known,
    ) -> Result<BatchExecutor, JournalError> {
        let mut keys = StateKeys::default();
        expired
            .iter()
            .for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
        work.iter().for_each(|command| command.keys(&mut keys));
        known
            .values()
            .flatten()
            .for_each(|record| crate::keys::record_keys(record, &mut keys));
        let confirmed = self.confirmed(&known).await?;
        if !known.is_empty() && work.iter().any(Command::has_others) {
            // Whether what others have reported still stands.
            let others = known.values().flatten().chain(confirmed.values());
            keys.amendments.extend(others.map(|record| record.seq));
            confirmed
                .values()
                .for_each(|record| crate::keys::record_keys(record, &mut keys));
        }
        let mut state = self.load(&keys).await?;
        if state
            .counters
            .values()
            .any(|counted| counted.segment.number > 0)
        {
            let mut later = StateKeys::default();
            work.iter()
                .for_each(|command| command.later_keys(&state.counters, &mut later));
            if !later.distinct_values.is_empty() {
                state
                    .distinct_values
                    .extend(self.load(&later).await?.distinct_values);
            }
        }
        let mut later = self.later_steps(&state.amendments).await?;
        later.extend(confirmed);
        // A resend of an event that was rated later answers with that record and its balance now; a
        // hold may have been placed on other accounts than its usage would take now.
        let mut more = StateKeys::default();
        later
            .values()
            .for_each(|record| crate::keys::record_keys(record, &mut more));
        for hold in state.holds.values() {
            more.under(hold.root);
            more.accounts
                .extend(hold.amounts.iter().map(|(account, _)| *account));
        }
        let more = more.other_accounts(&state.accounts);
        if !more.accounts.is_empty() {
            state.accounts.extend(self.load(&more).await?.accounts);
            keys.accounts.extend(more.accounts);
        }
        Ok(BatchExecutor::new(now, keys, state, known, later))
    }

    /// The states as the batches under way leave them.
    async fn load(&self, keys: &StateKeys) -> Result<State, JournalError> {
        let mut state = self.journal.load(keys).await?;
        for Ahead { state: newer, .. } in self.in_flight.ahead() {
            state.accounts.reserve(newer.accounts.len());
            state.accounts.extend(&newer.accounts);
            state.carries.reserve(newer.carries.len());
            state.carries.extend(
                newer
                    .carries
                    .iter()
                    .map(|(key, value)| (*key, value.clone())),
            );
            state.counters.extend(&newer.counters);
            state.distinct_values.extend(
                newer
                    .distinct_values
                    .iter()
                    .map(|(key, value)| (key.clone(), *value)),
            );
            state
                .holds
                .extend(newer.holds.iter().map(|(key, value)| (*key, value.clone())));
        }
        Ok(state)
    }

    /// What the journal already holds under the names of these commands.
    pub async fn known(&self, names: &[Keyed<'_>]) -> Result<Known, JournalError> {
        let mut known = Known::default();
        for (keyed, record) in names.iter().zip(self.journal.find(names).await?) {
            if let Some(record) = record {
                known.entry(keyed.key).or_default().push(record);
            }
        }
        Ok(known)
    }

    /// What the confirming ones of these records are about.
    async fn confirmed(
        &self,
        known: &Known,
    ) -> Result<HashMap<Seq, Arc<JournalEntry>>, JournalError> {
        let confirming = known
            .values()
            .flatten()
            .filter(|record| record.kind == Kind::Confirmed);
        self.by_seq(
            confirming
                .filter_map(|record| record.body.refers_to)
                .collect(),
        )
        .await
    }

    /// What was done later to kept events, or what is to be voided: every step of them but their
    /// own records.
    async fn later_steps(
        &self,
        amendments: &FastMap<Seq, Amendment>,
    ) -> Result<HashMap<Seq, Arc<JournalEntry>>, JournalError> {
        let mut later = HashMap::new();
        let mut seqs: Vec<Seq> = amendments.values().map(|amendment| amendment.by).collect();
        while !seqs.is_empty() {
            let records = self.by_seq(seqs).await?;
            seqs = records
                .values()
                .filter_map(|record| record.previous())
                .filter(|seq| !later.contains_key(seq))
                .collect();
            later.extend(records);
        }
        Ok(later)
    }

    async fn by_seq(
        &self,
        seqs: Vec<Seq>,
    ) -> Result<HashMap<Seq, Arc<JournalEntry>>, JournalError> {
        if seqs.is_empty() {
            return Ok(HashMap::new());
        }
        let limit = seqs.len();
        let records = self
            .journal
            .read(&EntryQuery {
                of: Of::Seqs(seqs),
                after: None,
                newest_first: false,
                limit,
            })
            .await?;
        Ok(records
            .into_iter()
            .map(|record| (record.seq, Arc::new(record)))
            .collect())
    }
}

/// Names under which the journal may already know these commands.
pub fn names_of(work: &[Command]) -> Vec<Keyed<'_>> {
    let mut names = Vec::with_capacity(2 * work.len());
    work.iter().for_each(|command| command.names(&mut names));
    names
}

/// A full page of holds that are over ends in a step of its own.
pub async fn expire_page(
    journal: &dyn Journal,
    now: Instant,
    expired: &[Hold],
) -> Result<(), JournalError> {
    let mut keys = StateKeys::default();
    expired
        .iter()
        .for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
    let state = journal.load(&keys).await?;
    let mut turn = BatchExecutor::new(now, keys, state, Known::default(), HashMap::new());
    expired.iter().for_each(|hold| turn.expire(hold));
    let (batch, _) = turn.into_batch();
    if batch.records.is_empty() {
        return Err(JournalError::Corrupt(
            "holds that are over cannot be expired; see verify".to_owned(),
        ));
    }
    journal.commit(batch).await.map(drop)
}

/// A fault of ours in one command must not end the committer, and with it all later commands.
pub fn execute(
    mut turn: BatchExecutor,
    expired: &[Hold],
    work: Vec<Command>,
) -> Result<Executed, JournalError> {
    let turns = std::panic::AssertUnwindSafe(|| {
        turn.reserve(expired.len() + work.len());
        expired.iter().for_each(|hold| turn.expire(hold));
        let done = work.into_iter().map(|command| turn.take(command)).collect();
        let below_cost = std::mem::take(&mut turn.below_cost);
        let (batch, fresh) = turn.into_batch();
        Executed {
            done,
            batch,
            fresh,
            reporters: Reporters::default(),
            below_cost,
        }
    });
    std::panic::catch_unwind(turns)
        .map_err(|_| JournalError::Corrupt("a command panicked; its batch was given up".to_owned()))
}
