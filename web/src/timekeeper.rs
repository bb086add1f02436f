//! Time in the books never runs backwards, and does not jump because somebody's clock does.
//!
//! [`Clock`] notices a step of the wall clock of more than a day. From then on no money is written,
//! here or by a process that starts anew, until an operator accepts the new time in any process of
//! the database (`POST /v1/clock/accept`, or `serve --accept-clock`), or the clock is set right.
//! Reads go on, at the time that the monotonic clock counts.

use crate::state::App;
use catalog::{Actor, Catalog, CatalogError, ClockStep};
use clock::{Clock, STEP_SECS_MAX, Step};
use journal::{Journal, JournalError};
use problem::{Code, Problem};
use rating::TenantId;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// # Errors
/// `clock_stepped`, with what to do.
pub fn may_write(clock: &Clock) -> Result<(), Problem> {
    match clock.stepped() {
        None => Ok(()),
        Some(step) => Err(Problem::new(Code::ClockStepped, told(step))),
    }
}

fn told(step: Step) -> String {
    let (secs, way) = (
        step.secs().unsigned_abs(),
        if step.secs() < 0 {
            "behind"
        } else {
            "ahead of"
        },
    );
    format!(
        "the server's clock shows {}, {} h {way} the time of the books; nothing was posted. Set \
            the clock right, or accept it: \
         POST /v1/clock/accept with a platform administrator's key, or restart with serve \
         --accept-clock",
        step.wall,
        secs / 3600
    )
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// At the start there is no earlier reading to compare with: the books have one. A clock that is
/// more than a day behind the last batch is not believed, nor one that had stepped when the server
/// before this one ended, unless `accept` says so.
///
/// # Errors
/// The books cannot be read.
pub async fn begin(
    catalog: &Catalog,
    journal: &dyn Journal,
    clock: &Clock,
    platform: TenantId,
    accept: bool,
) -> Result<(), Error> {
    let (last, unaccepted, wall) = (
        journal.last_committed_at().await?,
        catalog.clock_step().await?,
        clock.now(),
    );
    if wall.micros().saturating_sub(last.micros()) / 1_000_000 > STEP_SECS_MAX && last.micros() > 0
    {
        tracing::warn!(last_batch = %last, now = %wall, "last batch is more than a day old");
    }
    if last.micros().saturating_sub(wall.micros()) / 1_000_000 > STEP_SECS_MAX {
        clock.expect_time(last);
    } else if let Some(step) = unaccepted {
        clock.expect_time(step.time().max(last));
    }
    match clock.stepped() {
        Some(step) if accept => {
            tracing::warn!(books = %step.time, now = %step.wall, "clock accepted as it is");
            accept_now(
                catalog,
                clock,
                &actor(clock, platform, "serve --accept-clock"),
                platform,
            )
            .await?;
        }
        Some(step) => tracing::error!("{}", told(step)),
        None if accept && unaccepted.is_some() => {
            accept_now(
                catalog,
                clock,
                &actor(clock, platform, "serve --accept-clock"),
                platform,
            )
            .await?;
        }
        None => {}
    }
    Ok(())
}

fn actor(clock: &Clock, platform: TenantId, reason: &str) -> Actor {
    let request_id = clock::request_id(clock);
    Actor {
        key: None,
        tenant: platform,
        at: clock.now(),
        request_id,
        reason: Some(reason.to_owned()),
        once: None,
    }
}

/// What the wall clock shows counts from now on: here at once, in the other processes within a
/// second or two.
///
/// # Errors
/// The database failed; nothing is accepted.
pub async fn accept_now(
    catalog: &Catalog,
    clock: &Clock,
    actor: &Actor,
    platform: TenantId,
) -> Result<(), CatalogError> {
    let wall = clock
        .stepped()
        .map_or_else(|| clock.now(), |step| step.wall);
    catalog.accept_clock_step(actor, platform, wall).await?;
    clock.accept();
    Ok(())
}

/// Tells the database of a step, and hears from there that it was accepted. Until it is cancelled.
pub async fn watch(app: App, token: CancellationToken) {
    let mut rounds = Rounds::new(LOOK_EVERY, token);
    let process = app.clock.id();
    let mut kept = None;
    while rounds.next().await {
        match look(&app, process, kept).await {
            Ok(now) => kept = now,
            Err(error) => tracing::warn!(%error, "updating the clock state in the database failed"),
        }
    }
}

/// `kept`: the step that the database had, at the last look.
async fn look(
    app: &App,
    process: i64,
    kept: Option<ClockStep>,
) -> Result<Option<ClockStep>, CatalogError> {
    match (app.clock.stepped(), kept) {
        (None, None) => Ok(None),
        (Some(step), None) => {
            tracing::error!("{}", told(step));
            let step = ClockStep {
                time_us: step.time.micros(),
                wall_us: step.wall.micros(),
                process,
            };
            app.catalog.put_clock_step(&step).await.map(Some)
        }
        (Some(_), Some(before)) => {
            if app.catalog.clock_step().await? == Some(before) {
                return Ok(kept);
            }
            app.clock.accept();
            tracing::warn!(now = %app.clock.now(), "clock was accepted as it is: posting resumes");
            Ok(None)
        }
        (None, Some(before)) => {
            tracing::warn!(now = %app.clock.now(), "clock agrees with the books again: posting \
                resumes");
            if before.process == process {
                app.catalog.withdraw_clock_step(&before).await?;
            }
            Ok(None)
        }
    }
}
