//! `/v1/payouts/{payout}/…`: what an operator does with one payout.

use crate::http::payouts::payout::{PayoutBody, payout_named, short, shown};
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::Actor;
use payouts::Result as PayoutResult;
use payouts::rows::{Payout, PayoutState};
use serde::Deserialize;
use web::auth::MayOperate;
use web::problem::ApiProblem;
use web::state::App;
use web::write::{Done, Write};

/// How it was paid.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "statement 47, 2026-11-24"}))]
pub struct PaidBody {
    /// Reference from the bank statement, or the provider's transfer.
    pub reference: String,
}

/// Reason for the change.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "returned: account closed"}))]
pub struct WhyBody {
    pub reason: String,
}

async fn step<F: Future<Output = PayoutResult<Payout>>>(
    app: &App,
    key: &MayOperate,
    write: &Write,
    name: &str,
    take: impl FnOnce(Payout) -> F,
) -> Result<Response, ApiProblem> {
    let work = async {
        let payout = payout_named(app, key, name).await?;
        Ok(Done::ok(shown(app, &take(payout).await?).await?))
    };
    write.repeatable(app, key, work).await
}

/// A step that wants a reason, which the log keeps.
async fn step_because<F: Future<Output = PayoutResult<Payout>>>(
    app: &App,
    key: &MayOperate,
    write: &Write,
    name: &str,
    take: impl FnOnce(Actor, Payout, String) -> F,
) -> Result<Response, ApiProblem> {
    let reason = short("reason", &write.read::<WhyBody>()?.reason)?;
    let actor = write.actor(app, key, Some(&reason));
    step(app, key, write, name, |payout| take(actor, payout, reason)).await
}

/// Send a due payout, or a failed one again
///
/// Through the payment provider it is sent immediately. By bank, a failed payout becomes due again,
/// for the next file.
#[utoipa::path(post, path = "/v1/payouts/{payout}/pay", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    responses((status = 200, body = PayoutBody)))]
pub async fn pay_payout(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    app.held.may_pay_out()?;
    let actor = write.actor(&app, &key, None);
    let (payouts, actor) = (&app.payouts, &actor);
    let take = |payout: Payout| async move { payouts.pay(actor, &payout, actor.at).await };
    step(&app, &key, &write, &name, take).await
}

/// Mark a payout as paid by bank transfer
#[utoipa::path(post, path = "/v1/payouts/{payout}/paid", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    request_body = PaidBody, responses((status = 200, body = PayoutBody)))]
pub async fn mark_payout_paid(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let reference = short("reference", &write.read::<PaidBody>()?.reference)?;
    let actor = write.actor(&app, &key, None);
    let (payouts, actor, reference) = (&app.payouts, &actor, &reference);
    let is_restored = app.held.is_held();
    let take = |payout: Payout| async move {
        // It was due in the backup, and was paid since.
        match payout.state {
            PayoutState::Due if is_restored => {
                payouts
                    .paid_since(actor, &payout, reference, actor.at)
                    .await
            }
            _ => payouts.mark_paid(actor, &payout, reference, actor.at).await,
        }
    };
    step(&app, &key, &write, &name, take).await
}

/// Mark a payout as failed: the bank refused it, or the money was returned
///
/// The amount is credited back to the balance, and the payout can be sent again.
#[utoipa::path(post, path = "/v1/payouts/{payout}/failed", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    request_body = WhyBody, responses((status = 200, body = PayoutBody)))]
pub async fn mark_payout_failed(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let payouts = &app.payouts;
    let take = |actor: Actor, payout: Payout, reason: String| async move {
        payouts
            .mark_failed(&actor, &payout, &reason, actor.at)
            .await
    };
    step_because(&app, &key, &write, &name, take).await
}

/// Reverse a payout from the reseller's account at the provider
///
/// This works only while the account has the funds according to the provider. Otherwise the payout
/// stays paid, and the missing amount is set off against later commission.
#[utoipa::path(post, path = "/v1/payouts/{payout}/reverse", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    request_body = WhyBody, responses((status = 200, body = PayoutBody)))]
pub async fn reverse_payout(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let payouts = &app.payouts;
    let take = |actor: Actor, payout: Payout, _reason| async move {
        payouts.reverse(&actor, &payout, actor.at).await
    };
    step_because(&app, &key, &write, &name, take).await
}

/// Cancel a payout before any money has moved
///
/// Its commission moves to the next period's payout.
#[utoipa::path(post, path = "/v1/payouts/{payout}/cancel", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    request_body = WhyBody, responses((status = 200, body = PayoutBody)))]
pub async fn cancel_payout(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let payouts = &app.payouts;
    let take = |actor: Actor, payout: Payout, _reason| async move {
        payouts.cancel(&actor, &payout).await
    };
    step_because(&app, &key, &write, &name, take).await
}
