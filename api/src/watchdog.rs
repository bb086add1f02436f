//! Nothing waits without somebody noticing: once a second every queue and lane of the engine is
//! looked at. One whose oldest command has waited too long makes the server not ready, by its name,
//! and its age is a measure.

use clock::monotonic;
use metering::watch::Waiting;
use problem::Code;
use std::collections::BTreeSet;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};
use web::problem::ApiProblem;
use web::state::App;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Until it is cancelled.
pub async fn watch(app: App, token: CancellationToken) {
    let mut rounds = Rounds::new(LOOK_EVERY, token);
    let mut stalled = BTreeSet::new();
    while rounds.next().await {
        stalled = told(&app, &stalled);
    }
}

/// Logs what has changed since the last time; answers the names of what is stalled now.
fn told(app: &App, before: &BTreeSet<String>) -> BTreeSet<String> {
    let waiting = look(app);
    let stalled: Vec<&Waiting> = waiting
        .iter()
        .filter(|waiting| is_stalled(app, waiting))
        .collect();
    for waiting in stalled
        .iter()
        .filter(|waiting| !before.contains(&waiting.name))
    {
        tracing::error!(%waiting, "commands wait too long: the server is not ready");
    }
    let now: BTreeSet<String> = stalled
        .into_iter()
        .map(|waiting| waiting.name.clone())
        .collect();
    for name in before.difference(&now) {
        tracing::info!(name, "commands no longer wait too long");
    }
    now
}

fn look(app: &App) -> Vec<Waiting> {
    app.engine.waiting(monotonic())
}

fn is_stalled(app: &App, waiting: &Waiting) -> bool {
    waiting.oldest > app.stalled_time_max || waiting.has_ended
}

/// # Errors
/// `unavailable`: the engine takes no commands any more. `stalled`: some wait too long; it says
/// where. `not_writable`: what was taken last could not be committed. `task_down`: a task of the
/// background panics again and again; it says which.
pub fn ready(app: &App) -> Result<(), ApiProblem> {
    if !app.engine.is_running() {
        return Err(ApiProblem::unavailable(&"the engine has stopped"));
    }
    let stalled: Vec<String> = look(app)
        .iter()
        .filter(|waiting| is_stalled(app, waiting))
        .map(ToString::to_string)
        .collect();
    if !stalled.is_empty() {
        return Err(ApiProblem::new(Code::Stalled, stalled.join("; ")));
    }
    if let Some(why) = app.engine.failing(monotonic()) {
        return Err(ApiProblem::new(
            Code::NotWritable,
            format!("the last batches were not committed: {why}"),
        ));
    }
    let down = app.supervisor.down();
    if down.is_empty() {
        Ok(())
    } else {
        Err(ApiProblem::new(Code::TaskDown, down.join("; ")))
    }
}

/// The measures of every queue and lane, as they are now.
pub fn measure(app: &App) {
    for Waiting {
        name,
        oldest,
        count,
        ..
    } in look(app)
    {
        metrics::gauge!("centwise_oldest_waiting_seconds", "queue" => name.clone())
            .set(oldest.as_secs_f64());
        // Counted, far below 2³².
        metrics::gauge!("centwise_waiting", "queue" => name)
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}
