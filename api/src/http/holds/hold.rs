//! `/v1/holds`: may this usage start, and for how long? Funds are set aside along the whole chain,
//! or not at all.

use crate::http::usage::price::usage_at;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ledger::{AccountKey, HoldState};
use metering::requests::{Caller, Covered, HoldAnswer, PlaceHold, SellerCover};
use problem::{Code, Problem};
use rating::{Cents, Instant, Quantity};
use schema::usage::PlannedUsage;
use schema::words;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use web::auth::{self, Access, MayAsk, MayUse};
use web::problem::ApiProblem;
use web::state::App;
use web::write::Write;

/// How often one request asks: with nothing known, with each seller's least cover, and with the
/// exact one.
const LOOKS_MAX: usize = 8;

/// Hold for usage that is about to happen.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"usage": {"id": "0192f1", "customer": "acme-42", "meter": "call", "quantity": "3600", "destination": "+4930123456"}, "as_much_as_possible": true}))]
pub struct NewHold {
    /// A usage event; `id` and `at` may be omitted. Usage reported later under the same id, or
    /// naming the hold, captures it.
    #[schema(value_type = PlannedUsage)]
    pub usage: Box<RawValue>,
    /// Seconds from now, at most a week. Default: 300; for a call, its quantity plus 300.
    pub ttl_secs: Option<u32>,
    /// Hold for the largest quantity that the balances cover, up to `usage.quantity`.
    #[serde(default)]
    pub as_much_as_possible: bool,
}

/// Changes to a hold.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": "7200"}))]
pub struct HoldExtension {
    /// The new total. Default: unchanged.
    #[schema(value_type = Option<String>, format = "decimal")]
    pub quantity: Option<Quantity>,
    /// Seconds from now. Default: as for a new hold.
    pub ttl_secs: Option<u32>,
}

/// Funds set aside.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Hold)]
pub struct HoldBody {
    #[schema(example = "hld_0dks8xn2a4m1c")]
    pub id: String,
    /// External id.
    #[schema(example = "acme-42")]
    pub customer: String,
    /// `open`, `captured`, `released` or `expired`.
    #[schema(value_type = words::HoldState, example = "open")]
    pub state: HoldState,
    /// Quantity granted. Absent when a hold is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "3600", format = "decimal")]
    pub quantity: Option<String>,
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Cents set aside on the customer's balance.
    #[schema(example = 2400)]
    pub held_cents: i64,
    /// Amounts on every account of the chain that the caller can see.
    pub amounts: Vec<HeldBody>,
    /// Whether the same request had been answered before.
    pub duplicate: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HeldAmount)]
pub struct HeldBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 2400)]
    pub cents: i64,
}

async fn shown(app: &App, access: &Access, answer: HoldAnswer) -> Result<HoldBody, ApiProblem> {
    let held = |account: &AccountKey| account.tenant == answer.customer;
    let held_cents = answer
        .amounts
        .iter()
        .filter(|(account, _)| held(account))
        .map(|(_, cents)| cents.0)
        .sum();
    Ok(HoldBody {
        id: answer.id.to_string(),
        customer: auth::tenant_by_id(app, answer.customer)
            .await?
            .external_id
            .clone(),
        state: answer.state,
        quantity: Some(answer.quantity.to_string()).filter(|_| answer.state == HoldState::Open),
        expires_at: answer.expires_at.to_string(),
        held_cents,
        amounts: amounts(app, access, &answer.amounts).await?,
        duplicate: answer.duplicate,
    })
}

async fn amounts(
    app: &App,
    access: &Access,
    amounts: &[(AccountKey, Cents)],
) -> Result<Vec<HeldBody>, ApiProblem> {
    let mut shown = Vec::with_capacity(amounts.len());
    for (account, cents) in amounts {
        let tenant = auth::tenant_by_id(app, account.tenant).await?;
        if access.sees(&tenant) {
            shown.push(HeldBody {
                tenant: tenant.external_id.clone(),
                currency: account.currency.code(),
                cents: cents.0,
            });
        }
    }
    Ok(shown)
}

/// What is asked of the engine.
enum Ask<'a> {
    Place(&'a PlaceHold),
    Extend {
        hold: &'a str,
        step: &'a str,
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
    },
}

impl Ask<'_> {
    async fn once(
        &self,
        app: &App,
        caller: &Caller,
        covers: &[SellerCover],
    ) -> Result<Covered, Problem> {
        match self {
            Self::Place(hold) => {
                app.engine
                    .place_covered_hold(caller, (*hold).clone(), covers)
                    .await
            }
            Self::Extend {
                hold,
                step,
                quantity,
                ttl_secs,
            } => {
                app.engine
                    .extend_covered_hold(caller, (*hold, *step), *quantity, *ttl_secs, covers)
                    .await
            }
        }
    }

    /// Looks at what sellers withhold where their own accounts would be debited: mostly none are.
    /// Commission that is withheld is no money, and none is looked upon as money as long as the
    /// rest covers it. Where as much as possible is asked for, it is found out exactly at once,
    /// since less would be granted.
    async fn answered(&self, app: &App, caller: &Caller) -> Result<HoldAnswer, ApiProblem> {
        let mut most = !matches!(self, Self::Place(hold) if hold.as_much_as_possible);
        let mut covers: Vec<SellerCover> = Vec::new();
        for _ in 0..LOOKS_MAX {
            match self.once(app, caller, &covers).await {
                Ok(Covered::Hold(answer)) => return Ok(answer),
                Ok(Covered::Looks(accounts)) => {
                    for account in accounts {
                        covers.push(
                            app.payouts
                                .seller_cover(account, most, app.clock.now())
                                .await?,
                        );
                    }
                }
                Err(refused)
                    if refused.code == Code::InsufficientBalance && most && !covers.is_empty() =>
                {
                    (covers, most) = (Vec::new(), false);
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        Err(payouts::Error::Busy.into())
    }
}

/// Place a hold
///
/// Identified by `Idempotency-Key`, or by the usage's own id. The response is 402 if a balance of
/// the chain does not cover it; commission that a seller withholds covers nothing.
#[utoipa::path(post, path = "/v1/holds", tag = "holds", request_body = NewHold,
    responses((status = 201, body = HoldBody), (status = 200, body = HoldBody, description = "The same hold, placed earlier")))]
pub async fn place_hold(
    State(app): State<App>,
    key: MayUse,
    write: Write,
) -> Result<(StatusCode, Json<HoldBody>), ApiProblem> {
    let new: NewHold = write.read()?;
    let mut usage = usage_at(
        new.usage.get(),
        write.key().unwrap_or_default(),
        Some(Instant::MIN),
    )
    .map_err(|mut refused| {
        if refused.problem.code == Code::MissingField
            && refused.problem.field.as_deref() == Some("id")
        {
            return write.required_key().err().unwrap_or(refused);
        }
        refused.problem.field = refused.problem.field.map(|field| format!("usage.{field}"));
        refused
    })?;
    let begins_now = usage.at == Instant::MIN;
    if begins_now {
        usage.at = app.clock.now();
    }
    let hold = PlaceHold {
        key: usage.id.clone(),
        usage,
        begins_now,
        ttl_secs: new.ttl_secs,
        as_much_as_possible: new.as_much_as_possible,
    };
    let answer = Ask::Place(&hold).answered(&app, &key.caller()).await?;
    let status = if answer.duplicate {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(shown(&app, &key, answer).await?)))
}

/// Extend a hold: new total quantity, new end
#[utoipa::path(post, path = "/v1/holds/{hold}/extend", tag = "holds", params(("hold" = String, Path, description = "`hld_…` or the key it was placed under")),
    request_body = HoldExtension, responses((status = 200, body = HoldBody)))]
pub async fn extend_hold(
    State(app): State<App>,
    key: MayUse,
    Path(hold): Path<String>,
    write: Write,
) -> Result<Json<HoldBody>, ApiProblem> {
    let change: HoldExtension = write.read()?;
    let step = write.required_key()?;
    let ask = Ask::Extend {
        hold: &hold,
        step: &step,
        quantity: change.quantity,
        ttl_secs: change.ttl_secs,
    };
    let answer = ask.answered(&app, &key.caller()).await?;
    Ok(Json(shown(&app, &key, answer).await?))
}

/// Release a hold that was not used
#[utoipa::path(post, path = "/v1/holds/{hold}/release", tag = "holds", params(("hold" = String, Path, description = "`hld_…` or the key it was placed under")),
    responses((status = 200, body = HoldBody)))]
pub async fn release_hold(
    State(app): State<App>,
    key: MayUse,
    Path(hold): Path<String>,
    write: Write,
) -> Result<Json<HoldBody>, ApiProblem> {
    // A hold ends once: without a key of its own a release is named by what it does.
    let step = write.key().unwrap_or("release");
    let answer = app.engine.release_hold(&key.caller(), &hold, step).await?;
    Ok(Json(shown(&app, &key, answer).await?))
}

/// Read a hold
#[utoipa::path(get, path = "/v1/holds/{hold}", tag = "holds", params(("hold" = String, Path, description = "`hld_…` or the key it was placed under")),
    responses((status = 200, body = HoldBody)))]
pub async fn get_hold(
    State(app): State<App>,
    key: MayAsk,
    Path(name): Path<String>,
) -> Result<Json<HoldBody>, ApiProblem> {
    let hold = app.engine.hold_named(&key.caller(), &name).await?;
    let over = hold.state == HoldState::Open && hold.is_over(app.clock.now());
    let own = |(account, cents): &(AccountKey, Cents)| {
        if account.tenant == hold.customer {
            cents.0
        } else {
            0
        }
    };
    Ok(Json(HoldBody {
        id: hold.id.to_string(),
        customer: auth::tenant_by_id(&app, hold.customer)
            .await?
            .external_id
            .clone(),
        state: if over { HoldState::Expired } else { hold.state },
        quantity: None,
        expires_at: hold.expires_at.to_string(),
        held_cents: hold.amounts.iter().map(own).sum(),
        amounts: amounts(&app, &key, &hold.amounts).await?,
        duplicate: false,
    }))
}
