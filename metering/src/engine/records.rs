//! Records of the journal, and the customers that requests name.

use super::Engine;
use journal::{EntryQuery, JournalEntry, Of, Seq, StateKeys};
use prepare::caller::Caller;
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::failures::journal_problem;
use problem::{Code, Problem};
use std::sync::Arc;

impl Engine {
    /// An event's own record and what was done to it later, oldest first.
    pub async fn steps(
        &self,
        original: &Arc<JournalEntry>,
    ) -> Result<Vec<Arc<JournalEntry>>, Problem> {
        let keys = StateKeys {
            amendments: vec![original.seq],
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        let mut steps = vec![Arc::clone(original)];
        let mut next = state
            .amendments
            .get(&original.seq)
            .map(|amendment| amendment.by);
        while let Some(seq) = next {
            let step = self.record(seq).await?;
            next = step.previous();
            steps.insert(1, step);
        }
        Ok(steps)
    }

    /// The record at a position.
    pub async fn record(&self, seq: Seq) -> Result<Arc<JournalEntry>, Problem> {
        let query = EntryQuery {
            of: Of::Seqs(vec![seq]),
            after: None,
            newest_first: false,
            limit: 1,
        };
        let found = self
            .journal
            .read(&query)
            .await
            .map_err(journal_problem)?
            .pop();
        found
            .map(Arc::new)
            .ok_or_else(|| Problem::new(Code::NotFound, "there is no such record"))
    }

    /// What must be priced at once needs one customer: none, or several of that name, are refused.
    pub(crate) async fn check_customer(
        &self,
        caller: &Caller,
        prepared: &RatedEvent,
    ) -> Result<(), Problem> {
        match prepared.customer {
            Some(_) => Ok(()),
            None => self
                .customer(caller, &prepared.event.customer)
                .await
                .map(drop),
        }
    }

    pub async fn customer(&self, caller: &Caller, name: &str) -> Result<Arc<Customer>, Problem> {
        let found = self.directory.customer(caller, name).await?;
        found.ok_or_else(|| Problem::field(Code::NotFound, "customer", "there is no such customer"))
    }
}
