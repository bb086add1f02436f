//! Batches on their way into the journal, and what the commands behind them may know of them.

use crate::batch_executor::Fresh;
use crate::command::Command;
use journal::{Keyed, State};
use prepare::reporters::Reporters;
use std::collections::VecDeque;
use tokio::sync::watch;

/// A batch on its way into the journal. The next ones may take their turns meanwhile, on the states
/// this one leaves behind; they are committed, and answered, only after this one is durable.
pub struct InFlightBatch {
    pub landed: Landed,
    /// `None`: what follows needs more than the states.
    pub ahead: Option<Ahead>,
}

pub struct Ahead {
    pub state: State,
    /// Keys of the names it records.
    pub fresh: Fresh,
    /// Who has reported in its roots by then.
    pub reporters: Reporters,
}

/// Whether a batch became durable; `None`: not yet known.
#[derive(Clone)]
pub struct Landed(pub watch::Receiver<Option<bool>>);

/// Batches under way, oldest first, each worked out on the states that those before leave behind.
#[derive(Default)]
pub struct InFlightBatches {
    under_way: VecDeque<InFlightBatch>,
    /// One was not committed, and those behind it have not all landed: nothing may be worked out on
    /// them.
    lost: bool,
}

impl InFlightBatches {
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub fn push(&mut self, batch_in_flight: InFlightBatch) {
        self.under_way.push_back(batch_in_flight);
    }

    pub fn last(&self) -> Option<Landed> {
        self.under_way
            .back()
            .map(|batch_in_flight| batch_in_flight.landed.clone())
    }

    pub fn ahead(&self) -> impl DoubleEndedIterator<Item = &Ahead> {
        self.under_way
            .iter()
            .filter_map(|batch_in_flight| batch_in_flight.ahead.as_ref())
    }

    /// Waits until no more than `room` are under way; false: one was not committed, and none after
    /// it. Who stops waiting finds those that have not landed still here, and hears of one that was
    /// lost later.
    pub async fn land_down_to(&mut self, room: usize) -> bool {
        // After a failure those behind it are waited for too: they fail by themselves.
        while self.under_way.len() > room || self.lost {
            let Some(oldest) = self.under_way.front_mut() else {
                break;
            };
            self.lost |= !oldest.landed.wait().await;
            self.under_way.pop_front();
        }
        !std::mem::take(&mut self.lost)
    }

    pub async fn land_all(&mut self) -> bool {
        self.land_down_to(0).await
    }

    /// Whether these commands may take their turns before all is durable: they need nothing of it
    /// but states. `names`: all of theirs.
    pub fn may_run_ahead(&self, work: &[Command], names: &[Keyed<'_>]) -> bool {
        if self.lost
            || self.under_way.iter().any(|batch_in_flight| {
                batch_in_flight.ahead.is_none() || batch_in_flight.landed.is_lost()
            })
        {
            return false;
        }
        let is_fresh = |keyed: &Keyed<'_>| {
            self.ahead()
                .any(|ahead| ahead.fresh.contains_key(&keyed.key))
        };
        self.under_way.is_empty()
            || (work.iter().all(Command::needs_only_states) && !names.iter().any(is_fresh))
    }
}

impl Landed {
    /// As far as it is known now; also when the task that committed it panicked.
    fn is_lost(&self) -> bool {
        let landed = *self.0.borrow();
        landed.map_or_else(|| self.0.has_changed().is_err(), |well| !well)
    }

    /// False also when the task that committed it panicked.
    pub async fn wait(&mut self) -> bool {
        self.0
            .wait_for(Option::is_some)
            .await
            .is_ok_and(|landed| *landed == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches under way, and how to tell of each that it landed.
    fn under_way(count: usize) -> (InFlightBatches, Vec<watch::Sender<Option<bool>>>) {
        let mut in_flight = InFlightBatches::default();
        let tell = (0..count).map(|_| {
            let (tell, landed) = watch::channel(None);
            in_flight.push(InFlightBatch {
                landed: Landed(landed),
                ahead: None,
            });
            tell
        });
        let tell = tell.collect();
        (in_flight, tell)
    }

    /// What waiting comes to before anything else happens.
    fn landed_now(in_flight: &mut InFlightBatches, room: usize) -> Option<bool> {
        let mut waiting = std::pin::pin!(in_flight.land_down_to(room));
        match waiting
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
        {
            std::task::Poll::Ready(well) => Some(well),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_later_one_that_is_lost_does_not_hide_an_earlier_one() {
        let (mut in_flight, mut tell) = under_way(2);
        drop(tell.pop());
        assert_eq!(
            landed_now(&mut in_flight, 0),
            None,
            "the first is still under way"
        );
        assert!(!in_flight.is_empty());
        tell[0].send(Some(true)).unwrap();
        assert_eq!(
            landed_now(&mut in_flight, 0),
            Some(false),
            "the second was lost"
        );
        assert!(in_flight.is_empty());
    }

    #[test]
    fn who_stops_waiting_loses_none() {
        let (mut in_flight, tell) = under_way(2);
        assert_eq!(landed_now(&mut in_flight, 0), None);
        tell[0].send(Some(true)).unwrap();
        assert_eq!(
            landed_now(&mut in_flight, 0),
            None,
            "the second is still under way"
        );
        tell[1].send(Some(true)).unwrap();
        assert_eq!(landed_now(&mut in_flight, 0), Some(true));
    }

    #[test]
    fn nothing_is_worked_out_on_what_was_lost() {
        let (mut in_flight, tell) = under_way(3);
        tell[0].send(Some(false)).unwrap();
        assert!(
            !in_flight.may_run_ahead(&[], &[]),
            "it is known before anybody has waited"
        );
        assert_eq!(
            landed_now(&mut in_flight, 2),
            None,
            "those behind it have not landed"
        );
        assert!(!in_flight.may_run_ahead(&[], &[]), "who waited has gone");
        tell[1].send(Some(false)).unwrap();
        tell[2].send(Some(false)).unwrap();
        assert_eq!(landed_now(&mut in_flight, 2), Some(false));
        assert!(in_flight.may_run_ahead(&[], &[]));
    }

    #[test]
    fn a_task_that_panicked_is_a_loss_too() {
        let (in_flight, tell) = under_way(1);
        assert!(!in_flight.under_way[0].landed.is_lost(), "it is under way");
        drop(tell);
        assert!(in_flight.under_way[0].landed.is_lost());
    }

    #[test]
    fn after_a_failure_nothing_stays() {
        let (mut in_flight, tell) = under_way(3);
        tell[0].send(Some(false)).unwrap();
        tell[1].send(Some(false)).unwrap();
        tell[2].send(Some(false)).unwrap();
        assert_eq!(landed_now(&mut in_flight, 2), Some(false));
        assert!(in_flight.is_empty());
    }
}
