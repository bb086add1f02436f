//! `/v1/payouts`: commission paid out. The platform's operator creates and sends; resellers read
//! their own.

use crate::http::payouts::settings::BankBody;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::Actor;
use payouts::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings, PayoutState};
use payouts::{Considered, Month, Outcome, Reason};
use problem::Code;
use rating::ids::PayoutId;
use rating::{Cents, Instant, TenantId};
use schema::words;
use serde::{Deserialize, Serialize};
use web::auth::{self, Access, MayOperate, MayRead, tenant_named};
use web::page::{List, PageQuery, period};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write};

const REFERENCE_CHARS_MAX: usize = 140;

/// A payout of one reseller's commission for one period.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Payout)]
pub struct PayoutBody {
    #[schema(example = "pyt_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// The payout covers commission accrued up to the end of this month, less earlier payouts.
    #[schema(example = "2026-10")]
    pub period: String,
    /// `due`, `paying`, `paid`, `failed`, `reversing`, `reversed` or `canceled`.
    #[schema(value_type = words::PayoutState, example = "paid")]
    pub state: PayoutState,
    #[schema(example = 6000)]
    pub cents: i64,
    /// `stripe` or `bank`.
    #[schema(value_type = words::PayoutMethod, example = "bank")]
    pub method: PayoutMethod,
    /// The reseller's account at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankBody>,
    /// The bank file that it was sent in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ptf_0dks8xn2a4m1c")]
    pub file: Option<String>,
    /// The provider's id of the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// The bank's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Reason why it failed, or why it is not complete yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub paid_at: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PayoutsQuery {
    /// External id or `ten_…`: payouts of this reseller and those below. Default: the key's own
    /// tenant.
    pub reseller: Option<String>,
    #[param(value_type = Option<words::PayoutState>, inline, example = "due")]
    pub state: Option<PayoutState>,
    /// Created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// A payout to one reseller.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPayout, example = json!({"reseller": "muster-telecom"}))]
pub struct NewPayoutBody {
    /// External id or `ten_…`.
    pub reseller: String,
    /// Default: the last month whose hold-back period is over.
    #[schema(example = "2026-10")]
    pub period: Option<String>,
    /// Only after a restore, until it is resumed: the amount actually paid since the backup,
    /// according to the bank statement or the provider. Refused otherwise, because the payable
    /// amount is calculated.
    #[schema(example = 6000, minimum = 1)]
    pub cents: Option<i64>,
    /// With `cents`: reference from the bank statement, or the provider's transfer.
    #[schema(example = "statement 47, 2026-11-24")]
    pub reference: Option<String>,
}

/// A run over all resellers with payout settings.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"dry_run": true}))]
pub struct PayoutRun {
    /// Only report what would be created.
    #[serde(default)]
    pub dry_run: bool,
    /// Also send the payouts through the payment provider immediately.
    #[serde(default)]
    pub send: bool,
    /// `next_cursor` of the previous call.
    pub cursor: Option<String>,
    /// Resellers per call: 1 to 200. Default: 50.
    pub limit: Option<usize>,
}

/// Result of a run for one reseller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PayoutConsidered {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = "2026-10")]
    pub period: String,
    /// `created`, `would_be_created`, `exists`, `nothing_payable`, `withheld` (customers have not
    /// paid), `below_minimum`, `frozen` (a payment below is disputed), `unfinished` (the next run
    /// continues) or `failed` (see `error`; the other resellers are still processed).
    #[schema(value_type = words::PayoutOutcome, example = "created")]
    pub outcome: &'static str,
    #[schema(example = 6000)]
    pub payable_cents: i64,
    /// Commission withheld because customers have not paid.
    #[schema(example = 0)]
    pub withheld_cents: i64,
    /// Amount carried forward to the next period.
    #[schema(example = 0)]
    pub carried_cents: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout: Option<PayoutBody>,
    /// Reason why it could not be calculated, or could not be sent (it is then due).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub async fn shown(app: &App, payout: &Payout) -> Result<PayoutBody, ApiProblem> {
    Ok(PayoutBody {
        id: payout.id.to_string(),
        reseller: auth::tenant_by_id(app, payout.tenant)
            .await?
            .external_id
            .clone(),
        currency: payout.currency.code(),
        period: Month(payout.period).to_string(),
        state: payout.state,
        cents: payout.cents.0,
        method: payout.method,
        payee: payout.payee.clone(),
        bank: payout.bank.as_ref().map(BankBody::from),
        file: payout.file.map(|file| file.to_string()),
        transfer: payout.transfer.clone(),
        reference: payout.reference.clone(),
        error: payout.error.clone(),
        created_at: payout.created_at.to_string(),
        paid_at: payout.paid_at.map(|at| at.to_string()),
    })
}

/// 1 to 140 characters without control characters.
pub fn short(field: &'static str, text: &str) -> Result<String, ApiProblem> {
    let text = text.trim();
    let ok = (1..=REFERENCE_CHARS_MAX).contains(&text.chars().count())
        && !text.chars().any(char::is_control);
    let expected = || {
        ApiProblem::field(
            Code::InvalidField,
            field,
            format!("expected 1 to {REFERENCE_CHARS_MAX} printable characters"),
        )
    };
    ok.then(|| text.to_owned()).ok_or_else(expected)
}

/// A payout of a path, in the key's subtree.
///
/// # Errors
/// `not_found`.
pub async fn payout_named(app: &App, access: &Access, name: &str) -> Result<Payout, ApiProblem> {
    let catalog = app.catalog_of(access);
    let find = |id: PayoutId| async move { PayoutRows::of(&catalog).payout(id).await };
    auth::visible(app, access, "payout", name, find, |payout| payout.tenant).await
}

/// List payouts, newest first
#[utoipa::path(get, path = "/v1/payouts", tag = "payouts", params(PayoutsQuery), responses((status = 200, body = List<PayoutBody>)))]
pub async fn list_payouts(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<PayoutsQuery>,
) -> Result<Json<List<PayoutBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (before, limit) = (page.after()?.map(PayoutId), page.limit()?);
    let top = auth::tenant_or_own(&app, &key, query.reseller.as_deref()).await?;
    let period = period(query.from, query.until)?;
    let found = PayoutRows::of(&app.catalog_of(&key))
        .payouts_below(&top, query.state, period, before, limit)
        .await?;
    let app = &app;
    let page = List::shown(
        found,
        |payout| payout.id.0,
        |payout| async move { shown(app, &payout).await },
    );
    Ok(Json(page.await?))
}

/// Read a payout
#[utoipa::path(get, path = "/v1/payouts/{payout}", tag = "payouts", params(("payout" = String, Path, description = "`pyt_…`")),
    responses((status = 200, body = PayoutBody)))]
pub async fn get_payout(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
) -> Result<Json<PayoutBody>, ApiProblem> {
    let payout = payout_named(&app, &key, &name).await?;
    Ok(Json(shown(&app, &payout).await?))
}

async fn settings_of(app: &App, tenant: TenantId) -> Result<PayoutSettings, ApiProblem> {
    let missing = || {
        ApiProblem::new(
            Code::PayeeNotReady,
            "this reseller has no payout settings yet",
        )
    };
    PayoutRows::of(&app.catalog)
        .payout_settings(tenant)
        .await?
        .filter(|_| tenant != app.platform)
        .ok_or_else(missing)
}

/// Create a reseller's payout for a period
///
/// A period has only one payout: a repeated request returns it as it is. After a restore, payouts
/// made since the backup are entered with their `cents` and `reference` and count as paid.
#[utoipa::path(post, path = "/v1/payouts", tag = "payouts", request_body = NewPayoutBody,
    responses((status = 201, body = PayoutBody), (status = 200, body = PayoutBody, description = "It already exists")))]
pub async fn create_payout(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let new: NewPayoutBody = write.read()?;
    let reseller = tenant_named(&app, &key, &new.reseller)
        .await
        .map_err(|refused| at_field(refused, "reseller"))?;
    let settings = settings_of(&app, reseller.id).await?;
    let now = app.clock.now();
    let bad = |error: payouts::BadMonth| {
        ApiProblem::field(Code::InvalidField, "period", error.to_string())
    };
    let period = new
        .period
        .as_deref()
        .map_or(Ok(app.payouts.period_due(&settings, now)), |text| {
            text.parse().map_err(bad)
        })?;
    let app = &app;
    if let Some((cents, reference)) = paid_since(app, &new, period)? {
        let actor = write.actor(app, &key, None);
        let work = async {
            let stated = (period, cents);
            let payouts = &app.payouts;
            let entered = payouts
                .enter_paid(&actor, &settings, stated, &reference, now)
                .await?;
            Ok(Done::created(shown(app, &entered).await?))
        };
        return write.repeatable(app, &key, work).await;
    }
    let work = |actor| async move {
        let considered = app
            .payouts
            .consider(&actor, &settings, period, false, now)
            .await?;
        match considered.outcome {
            Outcome::Created(payout) => Ok(Done::created(shown(app, &payout).await?)),
            Outcome::No(Reason::Exists) => {
                let PayoutSettings {
                    root,
                    tenant,
                    currency,
                    ..
                } = settings;
                let found = PayoutRows::of(&app.catalog)
                    .payout_of_period(root, tenant, currency, period.0)
                    .await?;
                Ok(Done::ok(
                    shown(app, &found.ok_or_else(|| ApiProblem::not_found("payout"))?).await?,
                ))
            }
            Outcome::No(Reason::Frozen) => Err(ApiProblem::new(
                Code::PayoutFrozen,
                "a payment below this reseller is disputed",
            )),
            Outcome::No(Reason::Unfinished) => Err(payouts::Error::Unfinished.into()),
            Outcome::No(_) | Outcome::Would(_) | Outcome::Failed(_) => Err(nothing(&considered)),
        }
    };
    let again = |made: Made| async move {
        let payout = PayoutRows::of(&app.catalog)
            .payout(made.id()?)
            .await?
            .ok_or_else(|| ApiProblem::not_found("payout"))?;
        Ok(Done::created(shown(app, &payout).await?))
    };
    write.once(app, &key, work, again).await
}

/// What was paid since the backup of a restored database, and how; `None`: nothing is stated.
fn paid_since(
    app: &App,
    new: &NewPayoutBody,
    period: Month,
) -> Result<Option<(Cents, String)>, ApiProblem> {
    let (cents, reference) = match (new.cents, &new.reference) {
        (None, None) => return Ok(None),
        (Some(cents), Some(reference)) => (cents, short("reference", reference)?),
        (Some(_), None) => {
            let expected = "expected the bank's or the provider's reference together with cents";
            return Err(ApiProblem::field(Code::MissingField, "reference", expected));
        }
        (None, Some(_)) => {
            let expected = "expected the cents that were paid together with the reference";
            return Err(ApiProblem::field(Code::MissingField, "cents", expected));
        }
    };
    if !app.held.is_held() {
        let detail = "the payable amount is calculated; cents are stated only after a restore, \
            for payouts made since the backup";
        return Err(ApiProblem::field(Code::NotRestored, "cents", detail));
    }
    if !(1..=Cents::EVENT_MAX.0).contains(&cents) {
        let expected = format!("expected 1 to {}", Cents::EVENT_MAX);
        return Err(ApiProblem::field(Code::InvalidField, "cents", expected));
    }
    let present = app.payouts.month_of(app.clock.now());
    if period > present {
        let expected = format!("expected {present} or a month before it");
        return Err(ApiProblem::field(Code::InvalidField, "period", expected));
    }
    Ok(Some((Cents(cents), reference)))
}

fn nothing(considered: &Considered) -> ApiProblem {
    let carried = considered.payable.map_or(0, |payable| payable.carried.0);
    let (word, withheld) = (word(&considered.outcome), considered.withheld);
    ApiProblem::new(
        Code::NotPayable,
        format!(
            "{word}: {carried} cents are carried forward, {withheld} are withheld for lack of \
                customer payments"
        ),
    )
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Created(_) => "created",
        Outcome::Would(_) => "would_be_created",
        Outcome::Failed(_) => "failed",
        Outcome::No(Reason::Exists) => "exists",
        Outcome::No(Reason::NothingPayable) => "nothing_payable",
        Outcome::No(Reason::Withheld) => "withheld",
        Outcome::No(Reason::BelowMinimum) => "below_minimum",
        Outcome::No(Reason::Frozen) => "frozen",
        Outcome::No(Reason::Unfinished) => "unfinished",
    }
}

/// Create the due payouts of all resellers
///
/// May be called at any time and as often as you like: a period has only one payout.
#[utoipa::path(post, path = "/v1/payouts/run", tag = "payouts", request_body = PayoutRun,
    responses((status = 200, body = List<PayoutConsidered>)))]
pub async fn run_payouts(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let asked: PayoutRun = write.read()?;
    if asked.send {
        app.held.may_pay_out()?;
    }
    let page = PageQuery {
        cursor: asked.cursor.clone(),
        limit: asked.limit,
    };
    let (after, limit) = (page.after()?.map(TenantId), page.limit()?);
    let (actor, now) = (write.actor(&app, &key, None), app.clock.now());
    let work = async {
        let (considered, next) = app
            .payouts
            .run(&actor, after, limit, asked.dry_run, now)
            .await?;
        let mut data = Vec::with_capacity(considered.len());
        for one in considered {
            data.push(considered_body(&app, &actor, one, asked.send).await?);
        }
        Ok(Done::ok(List::new(
            data,
            next.is_some(),
            next.map(|tenant| tenant.0),
        )))
    };
    write.repeatable(&app, &key, work).await
}

async fn considered_body(
    app: &App,
    actor: &Actor,
    considered: Considered,
    send: bool,
) -> Result<PayoutConsidered, ApiProblem> {
    let outcome = word(&considered.outcome);
    let (mut payout, mut error) = (None, None);
    if let Outcome::Failed(why) = &considered.outcome {
        error = Some(why.clone());
    }
    if let Outcome::Created(created) = &considered.outcome {
        let mut now_so = Payout::clone(created);
        if send && created.method == PayoutMethod::Stripe {
            match app.payouts.pay(actor, created, actor.at).await {
                Ok(sent) => now_so = sent,
                Err(refused) => error = Some(refused.to_string()),
            }
        }
        payout = Some(shown(app, &now_so).await?);
    }
    Ok(PayoutConsidered {
        reseller: auth::tenant_by_id(app, considered.tenant)
            .await?
            .external_id
            .clone(),
        currency: considered.currency.code(),
        period: considered.period.to_string(),
        outcome,
        payable_cents: considered.payable.map_or(0, |payable| payable.cents.0),
        withheld_cents: considered.withheld.0,
        carried_cents: considered.payable.map_or(0, |payable| payable.carried.0),
        payout,
        error,
    })
}
