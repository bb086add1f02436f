//! How often, and after which pauses, a request is sent again: by every client of this program.

use backon::{BackoffBuilder, ConstantBackoff, ConstantBuilder};
use std::time::Duration;

/// How often a request is sent again that the server was too busy for, or that was lost.
pub const RETRIES_MAX: usize = 60;
/// Unless a busy server says how long.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// However long it says.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Before the next connection.
const LOST_PAUSE: Duration = Duration::from_millis(200);

/// What is left of it for one request.
#[derive(Debug)]
pub struct Patience(ConstantBackoff);

impl Default for Patience {
    fn default() -> Self {
        let pauses = ConstantBuilder::new().with_delay(BUSY_PAUSE);
        Self(pauses.with_max_times(RETRIES_MAX).build())
    }
}

impl Patience {
    /// Waits after an answer that the server is too busy, as long as it says. `false`: that was one
    /// too many.
    pub async fn after_busy(&mut self, retry_after_secs: Option<u64>) -> bool {
        waited(self.busy_pause(retry_after_secs)).await
    }

    /// Waits after a connection that broke. `false`: that was one too many.
    pub async fn after_loss(&mut self) -> bool {
        waited(self.lost_pause()).await
    }

    fn busy_pause(&mut self, retry_after_secs: Option<u64>) -> Option<Duration> {
        let pause = self.0.next()?;
        let pause = retry_after_secs.map_or(pause, Duration::from_secs);
        Some(pause.min(BUSY_PAUSE_MAX))
    }

    fn lost_pause(&mut self) -> Option<Duration> {
        self.0.next().map(|_| LOST_PAUSE)
    }
}

async fn waited(pause: Option<Duration>) -> bool {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
    pause.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_and_no_pause_is_long() {
        let mut patience = Patience::default();
        assert_eq!(patience.busy_pause(None), Some(Duration::from_millis(50)));
        assert_eq!(patience.busy_pause(Some(1)), Some(Duration::from_secs(1)));
        assert_eq!(
            patience.busy_pause(Some(u64::MAX)),
            Some(Duration::from_secs(5))
        );
        for _ in 3..RETRIES_MAX {
            assert_eq!(patience.lost_pause(), Some(Duration::from_millis(200)));
        }
        assert_eq!(
            (patience.busy_pause(None), patience.lost_pause()),
            (None, None)
        );
    }
}
