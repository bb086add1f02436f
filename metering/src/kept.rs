//! What has become of usage since it was reported: what it lacks, or that it was taken back.

use crate::engine::Engine;
use crate::record::event_of;
use crate::requests::{EventAnswer, Outcome};
use journal::{JournalEntry, Kind, Seq, StateKeys};
use prepare::caller::Caller;
use prepare::lack::Lack;
use prepare::preparer::Lateness;
use problem::{Code, Problem};

impl Engine {
    /// What trying this event again would lack, link by link: nothing, if it would have a price on
    /// all of them. Whether a balance covers it only the turn itself knows. Nothing is written.
    ///
    /// # Errors
    /// The records cannot be read.
    pub async fn lacking(
        &self,
        caller: &Caller,
        record: &JournalEntry,
    ) -> Result<Vec<Lack>, Problem> {
        // As its sender: the customer is looked for where the sender could have meant it.
        let sender = Caller {
            tenant: record.tenant,
            root: record.identity.root,
            ..*caller
        };
        match self
            .preparer_of(&sender, record.identity.reporter, Lateness::Accepted)
            .prepare(event_of(record))
            .await
        {
            Ok(prepared) => Ok(prepared.lacks),
            Err(problem) if problem.code == Code::Unavailable => Err(problem),
            Err(problem) => Ok(vec![Lack::of_event(problem.code.as_str(), problem.detail)]),
        }
    }

    /// Marks answers to what was reported again after it had been taken back. They are right
    /// without, so that nothing fails here.
    pub(crate) async fn note_voided(&self, answers: &mut [EventAnswer]) {
        let first = |answer: &EventAnswer| match &answer.outcome {
            Outcome::Duplicate(posted) => Some(posted.seq),
            _ => None,
        };
        let amendments: Vec<Seq> = answers.iter().filter_map(first).collect();
        if amendments.is_empty() {
            return;
        }
        let keys = StateKeys {
            amendments,
            ..StateKeys::default()
        };
        let Ok(state) = self.journal().load(&keys).await else {
            return;
        };
        for answer in answers {
            let amendment = first(answer).and_then(|seq| state.amendments.get(&seq));
            answer.voided = amendment.is_some_and(|amendment| amendment.kind == Kind::Void);
        }
    }
}
