//! Whether the database takes writes: asked with a write, at most once a second however often
//! readiness is asked for.

use crate::problem::ApiProblem;
use catalog::Catalog;
use clock::{Clock, monotonic};
use problem::Code;
use std::time::Duration;
use tokio::sync::Mutex;

/// Load balancers give up soon.
const PROBE_TIME_MAX: Duration = Duration::from_millis(1500);
/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer.
#[derive(Debug, Default)]
pub struct Readiness {
    last: Mutex<Option<Asked>>,
}

#[derive(Debug, Clone)]
struct Asked {
    at: Duration,
    /// Why it takes none.
    refused: Option<String>,
}

impl Readiness {
    /// # Errors
    /// `not_writable`: the database took no write, or did not answer in time; it says why.
    pub async fn ready(&self, catalog: &Catalog, clock: &Clock) -> Result<(), ApiProblem> {
        // Whoever comes meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        let fresh = last
            .as_ref()
            .filter(|asked| monotonic().saturating_sub(asked.at) < FRESH);
        let asked = match fresh {
            Some(asked) => asked.clone(),
            None => {
                let asked = ask(catalog, clock).await;
                tell(last.as_ref(), &asked);
                last.insert(asked).clone()
            }
        };
        asked
            .refused
            .map_or(Ok(()), |why| Err(ApiProblem::new(Code::NotWritable, why)))
    }
}

async fn ask(catalog: &Catalog, clock: &Clock) -> Asked {
    let refused = match tokio::time::timeout(PROBE_TIME_MAX, catalog.probe(clock.now())).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why.to_string()),
        Err(_elapsed) => Some(format!(
            "the database has not answered within {} ms",
            PROBE_TIME_MAX.as_millis()
        )),
    };
    Asked {
        at: monotonic(),
        refused,
    }
}

/// Logs what has changed.
fn tell(before: Option<&Asked>, now: &Asked) {
    match (
        before.and_then(|before| before.refused.as_ref()),
        &now.refused,
    ) {
        (None, Some(why)) => {
            tracing::error!(%why, "database does not accept writes: the server is not ready")
        }
        (Some(_), None) => tracing::info!("database accepts writes again"),
        _ => {}
    }
}
