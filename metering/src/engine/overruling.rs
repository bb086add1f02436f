//! Reports from above in the place of those from below: what the turn (`crate::overrule`) asks the
//! engine to load before.

use super::Engine;
use crate::command::{Command, CommandResult, Overrules};
use crate::engine::amend::{LOOKS_MAX, kept_changing};
use crate::requests::Outcome;
use crate::void::Void;
use futures_util::{StreamExt as _, stream};
use journal::{Identity, JournalEntry, Namespace};
use prepare::event::RatedEvent;
use problem::{Code, Problem};
use std::collections::HashMap;
use std::sync::Arc;

/// Reports from below whose place is taken at a time by one request.
const OVERRULED_AT_ONCE: usize = 250;
/// Why a report from below was taken back.
const OVERRULED: &str = "reported with other content by a seller above";

impl Engine {
    /// Many at once share a commit: whoever guesses ids below brings nobody down to one event at a
    /// time. Of reports of one event each waits for those before it.
    pub(super) async fn overrule_all(
        &self,
        overruling: Vec<(usize, Box<Overrules>)>,
    ) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(overruling.len());
        let (mut seen, mut rounds) = (HashMap::<u64, usize>::new(), Vec::<Vec<_>>::new());
        for (place, overrules) in overruling {
            let round = seen.entry(overrules.event.name().key).or_default();
            if rounds.len() == *round {
                rounds.push(Vec::new());
            }
            rounds[*round].push((place, overrules));
            *round += 1;
        }
        for round in rounds {
            let overruled = stream::iter(round)
                .map(|(place, overrules)| async move { (place, self.overrule(*overrules).await) });
            let mut overruled = overruled.buffered(OVERRULED_AT_ONCE);
            while let Some((place, outcome)) = overruled.next().await {
                outcomes.push((place, outcome.unwrap_or_else(Outcome::Rejected)));
            }
        }
        outcomes
    }

    /// Puts an event in the place of the report from below that stands: both in one step. What
    /// changes meanwhile is looked at again.
    pub(super) async fn overrule(&self, mut overrules: Overrules) -> Result<Outcome, Problem> {
        for look in 1..=LOOKS_MAX {
            let Overrules { event, own, lower } = overrules;
            let work = match (lower, own) {
                (Some(lower), own) => {
                    let seq = lower.seq;
                    // Whoever keeps it changing keeps nothing from being charged.
                    let void = if look < LOOKS_MAX {
                        self.void_below(lower, &event).await?
                    } else {
                        None
                    };
                    Command::Overrule {
                        lower: seq,
                        void: void.map(Box::new),
                        event,
                        own,
                    }
                }
                (None, Some(kept)) => Command::RateUnrated {
                    kept,
                    prepared: event,
                },
                (None, None) => Command::Usage(event),
            };
            match self.submit_one(work).await? {
                CommandResult::Overrules(next) => overrules = *next,
                done => return done.event(),
            }
        }
        Err(kept_changing())
    }

    /// `None`: it cannot be taken back.
    async fn void_below(
        &self,
        lower: Arc<JournalEntry>,
        event: &RatedEvent,
    ) -> Result<Option<Void>, Problem> {
        let (source, id) = (event.event.source.clone(), event.event.id.clone());
        let identity = |root| Identity {
            root,
            reporter: event.reporter,
            namespace: Namespace::Engine,
            source,
            id,
        };
        match self
            .void_work(
                (event.sender, event.sender_key, None),
                lower,
                identity,
                OVERRULED,
            )
            .await
        {
            Ok((void, _)) => Ok(Some(void)),
            Err(problem) if problem.code == Code::Unavailable => Err(problem),
            Err(_) => Ok(None),
        }
    }
}
