//! When PostgreSQL asks to try again, and when it may be done: the one place that knows.

use std::time::Duration;

/// Attempts after the first. Under serializable isolation each of many writers of one root may lose
/// to each other.
const AGAIN_MAX: u32 = 40;
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How often something was tried.
#[derive(Debug, Default)]
pub struct Tries {
    again: u32,
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
        if self.again == AGAIN_MAX {
            return false;
        }
        let pause = PAUSE_MIN
            .saturating_mul(1 << self.again.min(10))
            .min(PAUSE_MAX);
        self.again += 1;
        tokio::time::sleep(pause).await;
        true
    }
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
        tries.again = AGAIN_MAX;
        assert!(!tries.again(&gone()).await);
    }
}
