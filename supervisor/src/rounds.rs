//! The rounds of a task that does something now and then.

use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The first round is at once.
#[derive(Debug)]
pub struct Rounds {
    ticks: Interval,
    token: CancellationToken,
}

impl Rounds {
    pub fn new(every: Duration, token: CancellationToken) -> Self {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, token }
    }

    /// Waits until the next round is due; `false`: the task is to end. May be dropped and asked
    /// again.
    pub async fn next(&mut self) -> bool {
        self.token
            .run_until_cancelled(self.ticks.tick())
            .await
            .is_some()
    }
}
