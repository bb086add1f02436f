//! What a provider tells us is kept before it is answered. All that comes in at once is kept in one transaction, so
//! that many messages beside heavy traffic cost few commits.

use metering::command::Problem;
use store::records::{ProviderEvent, Records};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait to be kept; further ones are refused, and told again by the provider.
const WAITING_MAX: usize = 2_000;
/// Messages of one transaction.
const TOGETHER_MAX: usize = 500;

type Letter = (ProviderEvent, oneshot::Sender<bool>);

#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Letter>);

impl Inbox {
    /// On the present runtime, until the last clone is gone.
    pub fn start(records: Records) -> Self {
        let (letters, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(keep(records, waiting));
        Self(letters)
    }

    /// Durable on return; known events are kept once.
    ///
    /// # Errors
    /// `overloaded`, `unavailable`: it was not kept, and must be told again.
    pub async fn put(&self, event: ProviderEvent) -> Result<(), Problem> {
        let (reply, kept) = oneshot::channel();
        self.0.try_send((event, reply)).map_err(|_| Problem::new("overloaded", "too many messages are waiting; send it again"))?;
        match kept.await {
            Ok(true) => Ok(()),
            _ => Err(Problem::new("unavailable", "the message was not kept; send it again")),
        }
    }
}

async fn keep(records: Records, mut waiting: mpsc::Receiver<Letter>) {
    let mut letters = Vec::new();
    while waiting.recv_many(&mut letters, TOGETHER_MAX).await > 0 {
        let (events, replies): (Vec<_>, Vec<_>) = letters.drain(..).unzip();
        let kept = records.keep_provider_events(&events).await;
        if let Err(error) = &kept {
            tracing::error!(%error, messages = events.len(), "messages of the payment provider were not kept");
        }
        for reply in replies {
            // Who went away is told again by itself.
            let _gone = reply.send(kept.is_ok());
        }
    }
}
