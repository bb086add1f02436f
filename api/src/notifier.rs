//! Notices at work in a server: what the engine saw is written down, what is written is sent, what
//! is old goes.

use crate::config::Config;
use anyhow::Context as _;
use notices::Clock;
use notices::delivery_worker::DeliveryWorker;
use notices::post::Poster;
use notices::recorder::NoticeRecorder;
use notices::rows::NoticeRows;
use std::sync::Arc;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};
use tokio::sync::Mutex;
use web::state::App;

const STEP_EVERY: Duration = Duration::from_secs(1);
const PURGE_EVERY_ROUNDS: u64 = 600;

#[derive(Debug, Clone)]
pub struct Notifier {
    app: App,
    /// What it saw and did not write down yet outlives a panic.
    recorder: Arc<Mutex<NoticeRecorder>>,
    pub deliveries: DeliveryWorker,
}

impl Notifier {
    /// # Errors
    /// The settings of e-mail make no sense, or there is no TLS.
    pub fn new(config: &Config, app: &App) -> anyhow::Result<Self> {
        let (times, ids) = (app.clock.clone(), app.clock.clone());
        let clock = Clock {
            now: Arc::new(move || times.now()),
            id: Arc::new(move || ids.id()),
        };
        let mailer = config.mail.mailer().context("cannot send e-mail")?;
        let poster = Poster::new(config.reach()).context("cannot send webhooks")?;
        let deliveries = DeliveryWorker::new(app.catalog.clone(), clock.clone(), poster, mailer);
        Ok(Self {
            app: app.clone(),
            recorder: Arc::new(Mutex::new(NoticeRecorder::new(app.engine.clone(), clock))),
            deliveries,
        })
    }

    /// Until it is cancelled: attempts under way then are tried again by whoever comes next.
    pub async fn run(self, token: CancellationToken) {
        let mut recorder = self.recorder.lock().await;
        let (mut rounds, mut round) = (Rounds::new(STEP_EVERY, token), 0_u64);
        while rounds.next().await {
            round += 1;
            if let Err(error) = recorder.step().await {
                tracing::warn!(%error, "recording notices failed");
            }
            if self.app.held.is_held() {
                continue;
            }
            if let Err(error) = self.deliveries.step().await {
                tracing::warn!(%error, "notice delivery round failed");
            }
            if round.is_multiple_of(PURGE_EVERY_ROUNDS)
                && let Err(error) = NoticeRows::of(&self.app.catalog)
                    .purge_notices(self.app.clock.now())
                    .await
            {
                tracing::warn!(%error, "purging old notices failed");
            }
        }
    }
}
