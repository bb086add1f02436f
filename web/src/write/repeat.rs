//! A write that is sent again under its `Idempotency-Key`: done once, and answered the same.

use super::Write;
use super::answer::{Done, Stored, answer, replayed};
use crate::access::Access;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::response::Response;
use catalog::{Actor, Attempt, Begun, Once};
use problem::Code;
use rating::Instant;
use serde::Serialize;
use serde_json::value::RawValue;
use std::str::FromStr;

impl Write {
    /// Does a cold write at most once per `Idempotency-Key` (without one: now). `work` changes the
    /// records in one transaction, by the actor that it is given: that one marks the attempt.
    /// `again` answers a retry whose first answer was lost, from the record as it is then.
    ///
    /// # Errors
    /// `idempotency_conflict`, `idempotency_in_progress`, and the write's own refusals (which are
    /// not kept: nothing was changed).
    pub async fn once<T: Serialize, W, U: Serialize, A>(
        &self,
        app: &App,
        access: &Access,
        work: impl FnOnce(Actor) -> W,
        again: impl FnOnce(Made) -> A,
    ) -> Result<Response, ApiProblem>
    where
        W: Future<Output = Result<Done<T>, ApiProblem>>,
        A: Future<Output = Result<Done<U>, ApiProblem>>,
    {
        let actor = self.actor(app, access, None);
        let Some(attempt) = self.attempt(access, actor.at) else {
            return work(actor).await?.store().map(answer);
        };
        match self.begin(app, &attempt).await? {
            Begin::Fresh => {}
            Begin::Answered(response) => return Ok(response),
            Begin::Made(begun_at, made) => {
                // Whoever made it may not have come to say so.
                app.invalidate();
                let stored = again(made).await?.store()?;
                keep(
                    app,
                    &Attempt {
                        at: begun_at,
                        ..attempt
                    },
                    &stored,
                )
                .await?;
                return Ok(replayed(stored));
            }
        }
        let actor = Actor {
            once: Some(Once {
                attempt: attempt.clone(),
                known: None,
            }),
            ..actor
        };
        finish(app, &attempt, work(actor).await).await
    }

    /// Does a write of several transactions, and answers the same again per `Idempotency-Key`. If
    /// the server dies on the way, or before it has kept the answer, a retry does it again: it must
    /// come to the same, or be refused.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn repeatable<T: Serialize>(
        &self,
        app: &App,
        access: &Access,
        work: impl Future<Output = Result<Done<T>, ApiProblem>>,
    ) -> Result<Response, ApiProblem> {
        let Some(attempt) = self.attempt(access, app.clock.now()) else {
            return work.await?.store().map(answer);
        };
        match self.begin(app, &attempt).await? {
            Begin::Fresh => finish(app, &attempt, work.await).await,
            Begin::Answered(response) => Ok(response),
            Begin::Made(..) => Err(in_progress()),
        }
    }

    fn attempt(&self, access: &Access, at: Instant) -> Option<Attempt> {
        let key = self.idempotency_key.as_deref()?;
        let target = format!("{} {}", self.target.0, self.target.1);
        let digest = *blake3::Hasher::new()
            .update(target.as_bytes())
            .update(b"\n")
            .update(&self.body)
            .finalize()
            .as_bytes();
        Some(Attempt {
            root: access.key.root,
            caller: access.key.id,
            key: key.into(),
            digest,
            at,
        })
    }

    async fn begin(&self, app: &App, attempt: &Attempt) -> Result<Begin, ApiProblem> {
        match app.catalog.begin_idempotent(attempt).await? {
            Begun::Fresh => Ok(Begin::Fresh),
            Begun::Replay { status, body } => Ok(Begin::Answered(replayed(Stored {
                status,
                body,
                is_kept: true,
            }))),
            Begun::Made {
                begun_at,
                id,
                known,
                ..
            } => Ok(Begin::Made(begun_at, Made { id, known })),
            Begun::Mismatch => Err(ApiProblem::field(
                Code::IdempotencyConflict,
                "Idempotency-Key",
                "use a new key for a new request",
            )),
            Begun::InFlight => Err(in_progress()),
        }
    }
}

/// What is to be done of a request with a key.
enum Begin {
    Fresh,
    Answered(Response),
    Made(Instant, Made),
}

fn in_progress() -> ApiProblem {
    ApiProblem::new(Code::IdempotencyInProgress, "try again in a moment")
}

async fn finish<T: Serialize>(
    app: &App,
    attempt: &Attempt,
    done: Result<Done<T>, ApiProblem>,
) -> Result<Response, ApiProblem> {
    let stored = match done.and_then(Done::store) {
        Ok(stored) => stored,
        Err(refused) => {
            app.catalog.abandon_idempotent(attempt).await?;
            return Err(refused);
        }
    };
    keep(app, attempt, &stored).await?;
    Ok(answer(stored))
}

async fn keep(app: &App, attempt: &Attempt, stored: &Stored) -> Result<(), ApiProblem> {
    if stored.is_kept {
        app.catalog
            .finish_idempotent(attempt, stored.status, &stored.body)
            .await?;
    }
    Ok(())
}

/// What a request made whose answer was lost.
#[derive(Debug)]
pub struct Made {
    id: String,
    known: Option<Vec<u8>>,
}

impl Made {
    /// Of the record that was made or changed.
    ///
    /// # Errors
    /// It is another kind's.
    pub fn id<I: FromStr<Err: std::fmt::Display>>(&self) -> Result<I, ApiProblem> {
        self.id
            .parse()
            .map_err(|error| ApiProblem::internal(&error))
    }

    /// What [`knowing`] kept.
    ///
    /// # Errors
    /// Nothing was.
    pub fn known(&self) -> Result<Box<RawValue>, ApiProblem> {
        serde_json::from_slice(self.known.as_deref().unwrap_or_default())
            .map_err(|error| ApiProblem::internal(&error))
    }
}

/// A value as it will be answered.
///
/// # Errors
/// It is no JSON.
pub fn json_of(value: &impl Serialize) -> Result<Box<RawValue>, ApiProblem> {
    serde_json::value::to_raw_value(value).map_err(|error| ApiProblem::internal(&error))
}

/// The actor, whose attempt keeps what the answer needs besides the record.
///
/// # Errors
/// It is no JSON.
pub fn knowing(actor: Actor, known: &impl Serialize) -> Result<Actor, ApiProblem> {
    let Some(once) = actor.once else {
        return Ok(actor);
    };
    let known = json_of(known)?;
    Ok(Actor {
        once: Some(Once {
            known: Some(known.get().as_bytes().into()),
            ..once
        }),
        ..actor
    })
}
