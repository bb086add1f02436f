//! `/v1/top-ups`: money in. On a page of the payment provider, or (who collects the money by hand)
//! booked as received.

use crate::http::balances::adjustments::{MoneyBody, NewMove, account_by_hand, move_by_hand};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metering::requests::MoneyKind;
use payments::refund::NewRefund;
use payments::rows::{Payment, PaymentRows, Refund, RefundState, TopUp, TopUpState};
use payments::service::NewCheckout;
use problem::Code;
use rating::ids::TopUpId;
use rating::{Cents, Instant};
use schema::words;
use serde::{Deserialize, Serialize};
use tenants::TenantKind;
use web::auth::{self, Access, MayOperate, MayRead, MayWrite, tenant_named};
use web::page::{List, PageQuery, PeriodQuery, period};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::Write;

/// Payment method of a top-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopUpMethod {
    /// On a page of the payment provider; its address is in the answer.
    Checkout,
    /// It has come in outside of any payment provider, and is booked at once.
    Manual,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme-42", "cents": 5000, "currency": "EUR", "method": "checkout", "locale": "de"}))]
pub struct NewTopUp {
    /// External id or `ten_…`.
    pub tenant: String,
    /// Minor units, positive.
    pub cents: i64,
    /// Default: the currency of the tenant's agreement.
    pub currency: Option<String>,
    /// Default: `manual` for callers allowed to post this tenant's money manually, `checkout` for
    /// everyone else.
    pub method: Option<TopUpMethod>,
    #[serde(default)]
    pub reason: String,
    /// Language of the payment page: `de`, `en` or `fr`. Default: the language of the payer's
    /// browser.
    #[schema(value_type = Option<words::Locale>, example = "de")]
    pub locale: Option<String>,
    /// Where the payer is sent afterwards. Default: a page of this server.
    pub success_url: Option<String>,
    /// Where the payer is sent after leaving without payment.
    pub cancel_url: Option<String>,
    /// Save the payment method for the balance's automatic top-up, which must already be set.
    #[serde(default)]
    pub save_method: bool,
}

/// A top-up through the payment provider.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TopUp)]
pub struct TopUpBody {
    #[schema(example = "top_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 5000)]
    pub cents: i64,
    /// `checkout` or `auto`.
    #[schema(value_type = words::TopUpOrigin, example = "checkout")]
    pub origin: payments::rows::Origin,
    /// `pending`, `processing` (paid, but not received yet and not spendable), `succeeded`,
    /// `failed` or `expired`.
    #[schema(value_type = words::TopUpState, example = "pending")]
    pub state: TopUpState,
    /// The payment page, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Stable code for the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A top-up in full.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TopUpDetail)]
pub struct TopUpDetail {
    #[serde(flatten)]
    pub top_up: TopUpBody,
    /// Amount on the balance: paid, less refunded and disputed amounts.
    #[schema(example = 5000)]
    pub credited_cents: i64,
    #[schema(example = 0)]
    pub refunded_cents: i64,
    /// Amount set aside because the payer's bank disputes it.
    #[schema(example = 0)]
    pub disputed_cents: i64,
    pub refunds: Vec<RefundBody>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum TopUpAnswer {
    Checkout(TopUpBody),
    Manual(MoneyBody),
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Refund)]
pub struct RefundBody {
    #[schema(example = "rfd_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = 1000)]
    pub cents: i64,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// `pending`, `sent` (debited; at the provider or on its way there), `succeeded` or `failed`
    /// (credited back).
    #[schema(value_type = words::RefundState, example = "succeeded")]
    pub state: RefundState,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cents": 1000, "reason": "cancelled by the customer"}))]
pub struct NewRefundBody {
    /// Minor units. Default: the entire remainder of the top-up.
    pub cents: Option<i64>,
    /// The provider's id of the payment, if several payments name this top-up (see `GET
    /// /v1/payments/suspense`). Default: the top-up's own payment, or else the first one with a
    /// remainder.
    #[schema(example = json!(null))]
    pub payment: Option<String>,
    pub reason: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TopUpsQuery {
    /// Top-ups of this tenant and those below it: external id or `ten_…`. Default: the key's own
    /// tenant.
    pub tenant: Option<String>,
    /// Requested at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Limits and suggestions for top-ups in one currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TopUpTerms)]
pub struct TermsBody {
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 1000)]
    pub min_cents: i64,
    #[schema(example = 100_000)]
    pub max_cents: i64,
    /// Amounts to suggest to a payer.
    #[schema(example = json!([1000, 2500, 5000, 10000, 25000]))]
    pub presets_cents: Vec<i64>,
}

/// A payment that matches no top-up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SuspensePayment)]
pub struct SuspenseBody {
    /// The provider's id of the payment.
    #[schema(example = "pi_3Pq…")]
    pub id: String,
    /// The top-up that the payment names.
    pub top_up: String,
    #[schema(example = "acme-42")]
    pub tenant: String,
    /// ISO 4217; the provider's own code if the payment is not counted.
    #[schema(example = "EUR")]
    pub currency: String,
    /// Minor units; the provider's own units if the payment is not counted.
    #[schema(example = 2500)]
    pub cents: i64,
    /// Whether the books can count it. If so, it is on the platform's `suspense` account.
    #[schema(example = true)]
    pub counted: bool,
    #[schema(format = DateTime)]
    pub created_at: String,
}

async fn shown(app: &App, top_up: &TopUp) -> Result<TopUpBody, ApiProblem> {
    Ok(TopUpBody {
        id: top_up.id.to_string(),
        tenant: auth::tenant_by_id(app, top_up.tenant)
            .await?
            .external_id
            .clone(),
        currency: top_up.currency.code(),
        cents: top_up.cents.0,
        origin: top_up.origin,
        state: top_up.state,
        url: top_up
            .url
            .clone()
            .filter(|_| top_up.state == TopUpState::Pending),
        failure: top_up.failure.clone(),
        created_at: top_up.created_at.to_string(),
        expires_at: top_up.expires_at.to_string(),
    })
}

fn refund_shown(refund: &Refund) -> RefundBody {
    RefundBody {
        id: refund.id.to_string(),
        cents: refund.cents.0,
        currency: refund.currency.code(),
        state: refund.state,
        reason: refund.reason.clone(),
        failure: refund.failure.clone(),
        created_at: refund.created_at.to_string(),
    }
}

/// Top up a balance: on a payment page, or manually
///
/// `Idempotency-Key` is required: the same key gives the same page.
#[utoipa::path(post, path = "/v1/top-ups", tag = "money", request_body = NewTopUp,
    responses((status = 201, body = TopUpAnswer), (status = 200, body = TopUpAnswer, description = "Already carried out before")))]
pub async fn create_top_up(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<(StatusCode, Json<TopUpAnswer>), ApiProblem> {
    let new: NewTopUp = write.read()?;
    let request_key = write.required_key()?;
    let tenant = tenant_named(&app, &key, &new.tenant)
        .await
        .map_err(|refused| at_field(refused, "tenant"))?;
    let (by_hand, why_not) = match new.method {
        Some(method) => (method == TopUpMethod::Manual, None),
        None => match account_by_hand(&app, &key, &tenant, None).await {
            Ok(_) => (true, None),
            Err(refused) => (false, Some(refused)),
        },
    };
    if by_hand {
        let NewTopUp {
            tenant,
            cents,
            currency,
            reason,
            ..
        } = new;
        let (status, body) = move_by_hand(
            &app,
            &key,
            &write,
            NewMove {
                kind: MoneyKind::TopUp,
                tenant,
                cents,
                currency,
                account: None,
                reason,
            },
        )
        .await?;
        return Ok((status, Json(TopUpAnswer::Manual(body.0))));
    }
    if tenant.kind == TenantKind::Platform {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "tenant",
            "the platform has no balance of its own",
        ));
    }
    if let Err(no_page) = app.payments.provider() {
        // Whoever meant to book it by hand hears why that is not possible.
        let lacks_terms =
            why_not.filter(|refused| refused.problem.code == Code::NoAgreementInForce);
        return Err(lacks_terms.unwrap_or_else(|| no_page.into()));
    }
    app.payments.payer(&tenant).await?;
    let checkout = NewCheckout {
        tenant: &tenant,
        cents: Cents(new.cents),
        currency: app
            .sources
            .currency_of(&tenant, new.currency.as_deref(), app.clock.now())
            .await?,
        locale: locale(new.locale)?,
        success_url: web_address("success_url", new.success_url)?,
        cancel_url: web_address("cancel_url", new.cancel_url)?,
        save_method: new.save_method,
        request_key: format!("{}:{request_key}", key.key.id),
    };
    let asked_at = app.clock.now();
    let top_up = app
        .payments
        .checkout(&write.actor(&app, &key, Some(&new.reason)), checkout)
        .await?;
    let status = if top_up.created_at >= asked_at {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(TopUpAnswer::Checkout(shown(&app, &top_up).await?)),
    ))
}

fn locale(named: Option<String>) -> Result<Option<String>, ApiProblem> {
    match named.as_deref() {
        None | Some("de" | "en" | "fr") => Ok(named),
        Some(_) => Err(ApiProblem::field(
            Code::InvalidField,
            "locale",
            "expected de, en or fr",
        )),
    }
}

fn web_address(field: &'static str, url: Option<String>) -> Result<Option<String>, ApiProblem> {
    const URL_BYTES_MAX: usize = 2000;
    let fits = |url: &String| {
        let parsed = url.parse::<axum::http::Uri>().ok();
        url.len() <= URL_BYTES_MAX
            && parsed.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
    };
    match &url {
        Some(given) if !fits(given) => Err(ApiProblem::field(
            Code::InvalidField,
            field,
            "expected an address that begins with https://",
        )),
        _ => Ok(url),
    }
}

/// List top-ups through the payment provider, newest first
#[utoipa::path(get, path = "/v1/top-ups", tag = "money", params(TopUpsQuery), responses((status = 200, body = List<TopUpBody>)))]
pub async fn list_top_ups(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<TopUpsQuery>,
) -> Result<Json<List<TopUpBody>>, ApiProblem> {
    let top = auth::tenant_or_own(&app, &key, query.tenant.as_deref()).await?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let period = period(query.from, query.until)?;
    let found = PaymentRows::of(&app.catalog_of(&key))
        .top_ups_below(&top, period, page.after()?.map(TopUpId), page.limit()?)
        .await?;
    let app = &app;
    let page = List::shown(
        found,
        |top_up| top_up.id.0,
        |top_up| async move { shown(app, &top_up).await },
    );
    Ok(Json(page.await?))
}

/// Read the limits of top-ups through the payment provider, by currency
#[utoipa::path(get, path = "/v1/top-ups/terms", tag = "money", responses((status = 200, body = Vec<TermsBody>)))]
pub async fn list_terms(
    State(app): State<App>,
    _key: MayRead,
) -> Result<Json<Vec<TermsBody>>, ApiProblem> {
    app.payments.provider()?;
    let shown = app.payments.terms().iter().map(|terms| TermsBody {
        currency: terms.currency.code(),
        min_cents: terms.min.0,
        max_cents: terms.max.0,
        presets_cents: terms.presets.iter().map(|preset| preset.0).collect(),
    });
    Ok(Json(shown.collect()))
}

async fn visible(app: &App, access: &Access, id: &str) -> Result<TopUp, ApiProblem> {
    let catalog = app.catalog_of(access);
    let find = |id: TopUpId| async move { PaymentRows::of(&catalog).top_up(id).await };
    auth::visible(app, access, "top-up", id, find, |top_up| top_up.tenant).await
}

/// Read a top-up and the state of its money
#[utoipa::path(get, path = "/v1/top-ups/{top_up}", tag = "money", params(("top_up" = String, Path, description = "`top_…`")),
    responses((status = 200, body = TopUpDetail)))]
pub async fn get_top_up(
    State(app): State<App>,
    key: MayRead,
    Path(id): Path<String>,
) -> Result<Json<TopUpDetail>, ApiProblem> {
    let top_up = visible(&app, &key, &id).await?;
    let catalog = app.catalog_of(&key);
    let payments: Vec<Payment> = PaymentRows::of(&catalog)
        .payments_of(top_up.id)
        .await?
        .into_iter()
        .filter(|payment| payment.is_own)
        .collect();
    let sum = |of: fn(&Payment) -> Cents| {
        let sum = payments
            .iter()
            .map(of)
            .try_fold(Cents::ZERO, Cents::checked_add);
        sum.map(|cents| cents.0)
            .map_err(|error| ApiProblem::internal(&error))
    };
    let refunds = PaymentRows::of(&catalog).refunds_of(top_up.id).await?;
    Ok(Json(TopUpDetail {
        credited_cents: sum(|payment| payment.balance)?,
        refunded_cents: sum(|payment| payment.refunded)?,
        disputed_cents: sum(|payment| payment.disputed)?,
        refunds: refunds.iter().map(refund_shown).collect(),
        top_up: shown(&app, &top_up).await?,
    }))
}

/// Refund a top-up in full or in part
///
/// The balance is debited first and must cover the refund. A payment that does not match its top-up
/// belongs to no balance and is refunded regardless of the balance. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/v1/top-ups/{top_up}/refunds", tag = "money", request_body = NewRefundBody,
    params(("top_up" = String, Path, description = "`top_…`")),
    responses((status = 201, body = RefundBody), (status = 200, body = RefundBody, description = "Already carried out before")))]
pub async fn create_refund(
    State(app): State<App>,
    key: MayOperate,
    Path(id): Path<String>,
    write: Write,
) -> Result<(StatusCode, Json<RefundBody>), ApiProblem> {
    let new: NewRefundBody = write.read()?;
    let request_key = format!("{}:{}", key.key.id, write.required_key()?);
    if new.reason.trim().is_empty() || new.reason.chars().count() > ledger::REASON_CHARS_MAX {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "reason",
            format!("expected 1 to {} characters", ledger::REASON_CHARS_MAX),
        ));
    }
    let top_up = visible(&app, &key, &id).await?;
    let (asked_at, actor) = (app.clock.now(), write.actor(&app, &key, Some(&new.reason)));
    let refund = NewRefund {
        top_up: &top_up,
        payment: new.payment,
        cents: new.cents.map(Cents),
        reason: new.reason,
        request_key,
    };
    let refund = app.payments.refund(&actor, refund).await?;
    let status = if refund.created_at >= asked_at {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(refund_shown(&refund))))
}

/// List payments that match no top-up
///
/// The money is on the platform's `suspense` account, except for payments that the books cannot
/// count. Refund it (`POST /v1/top-ups/{top_up}/refunds` with its `payment`, or on the provider's
/// pages), or post it manually.
#[utoipa::path(get, path = "/v1/payments/suspense", tag = "money", params(PeriodQuery), responses((status = 200, body = List<SuspenseBody>)))]
pub async fn list_suspense(
    State(app): State<App>,
    _key: MayOperate,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<List<SuspenseBody>>, ApiProblem> {
    let period = period(query.from, query.until)?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let found = PaymentRows::of(&app.catalog)
        .payments_in_suspense(period, page.cursor.as_deref(), page.limit()?)
        .await?;
    // The provider's ids are their order: there is no number to go on from.
    let next_cursor = found
        .data
        .last()
        .filter(|_| found.has_more)
        .map(|payment| payment.id.clone());
    let (has_more, mut data) = (found.has_more, Vec::with_capacity(found.data.len()));
    for payment in found.data {
        let foreign = payment.foreign.filter(|foreign| foreign.amount != 0);
        let counted = foreign.is_none();
        let (currency, cents) = foreign.map_or(
            (payment.currency.code().to_owned(), payment.suspense.0),
            |foreign| (foreign.currency, foreign.amount),
        );
        data.push(SuspenseBody {
            id: payment.id,
            top_up: payment.top_up.to_string(),
            tenant: auth::tenant_by_id(&app, payment.tenant)
                .await?
                .external_id
                .clone(),
            currency,
            cents,
            counted,
            created_at: payment.created_at.to_string(),
        });
    }
    Ok(Json(List {
        data,
        has_more,
        next_cursor,
    }))
}
