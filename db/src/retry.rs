//! When PostgreSQL asks to try again, and when it may be done; and how long what is kept in a row
//! waits for its next attempt: the one place that knows.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Attempts after the first. Under serializable isolation each of many writers of one root may lose
/// to each other.
const AGAIN_MAX: usize = 40;
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(250);
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(PAUSE_MIN)
    .with_max_delay(PAUSE_MAX)
    .with_max_times(AGAIN_MAX);
/// Doublings that are worked out; no bound is that far away.
const DOUBLINGS_MAX: i64 = 20;

/// How often something was tried.
#[derive(Debug, Default)]
pub struct Tries {
    /// From the first failure on: most statements have none.
    pauses: Option<ExponentialBackoff>,
}

impl Tries {
    /// Waits a moment, longer each time, if `error` (of anything but a commit) means that the same
    /// may succeed now.
    pub async fn again(&mut self, error: &sqlx::Error) -> bool {
        (was_cut_off(error) || was_undone(error)) && self.pause().await
    }

    /// The same for an error of a commit. A connection that broke there leaves open whether the
    /// work was done: only the server's own word that it was not counts.
    pub async fn again_after_commit(&mut self, error: &sqlx::Error) -> bool {
        (was_undone(error) || code(error).as_deref() == Some("XX000")) && self.pause().await
    }

    pub async fn pause(&mut self) -> bool {
        let pauses = self.pauses.get_or_insert_with(|| PAUSES.build());
        let Some(pause) = pauses.next() else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }
}

/// Seconds until the next attempt at what is kept in a row, after so many failures in a row:
/// `first`, and twice as long after each further one, up to `most`. In whole seconds from the
/// number alone, so that every process works out the same.
pub fn pause_secs(first: i64, most: i64, failures: i64) -> i64 {
    let doublings = failures.saturating_sub(1).clamp(0, DOUBLINGS_MAX);
    first.saturating_mul(1 << doublings).min(most)
}

/// Nothing of the transaction stays, or nobody knows: the whole of it may be done again by who can
/// tell.
pub fn may_be_done_again(error: &sqlx::Error) -> bool {
    was_cut_off(error) || was_undone(error) || code(error).as_deref() == Some("XX000")
}

fn code(error: &sqlx::Error) -> Option<String> {
    error
        .as_database_error()?
        .code()
        .map(|code| code.into_owned())
}

/// Serialization failure or deadlock: rolled back for the sake of another transaction.
pub fn was_undone(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// The connection is gone, or the server is going or coming.
fn was_cut_off(error: &sqlx::Error) -> bool {
    match code(error) {
        Some(code) => code.starts_with("08") || code.starts_with("57P0"),
        None => matches!(error, sqlx::Error::Io(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_succeed_is_not_tried_again() {
        let gone = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let mut tries = Tries::default();
        assert!(!tries.again(&sqlx::Error::RowNotFound).await);
        assert!(
            !tries.again_after_commit(&gone()).await,
            "it may have been done"
        );
        assert!(tries.again(&gone()).await);
        tries.pauses = Some(PAUSES.with_max_times(0).build());
        assert!(!tries.again(&gone()).await);
    }

    #[test]
    fn statements_are_tried_for_some_seconds() {
        let pauses: Vec<u128> = PAUSES.build().map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses.len(), AGAIN_MAX);
        assert_eq!(pauses[..9], [2, 4, 8, 16, 32, 64, 128, 250, 250]);
        assert_eq!(pauses.iter().sum::<u128>(), 8504);
    }

    #[test]
    fn rows_wait_twice_as_long_after_each_failure() {
        let after = |failures| pause_secs(15, 3600, failures);
        assert_eq!([0, 1, 2, 3].map(after), [15, 15, 30, 60]);
        assert_eq!([8, 9, 10, i64::MAX].map(after), [1920, 3600, 3600, 3600]);
        assert_eq!(pause_secs(i64::MAX / 2, i64::MAX, 100), i64::MAX);
    }
}
