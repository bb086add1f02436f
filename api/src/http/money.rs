//! `/v1/adjustments`, and top-ups by hand: money moved by whoever collects the account's money.

use crate::auth::{self, Access, MayWrite, tenant_named};
use crate::http::accounts::{currency_of, paying_account};
use crate::http::agreements::agreement_in_force;
use crate::http::tenants::at_field;
use crate::http::write::Write;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metering::command::{MoneyAnswer, MoneyKind, MoveMoney};
use rating::Cents;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::records::Change;
use tenants::{Collect, Tenant, TenantKind};

/// A correction of a balance by hand.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme-42", "cents": -250, "currency": "EUR", "reason": "goodwill taken back"}))]
pub struct NewAdjustment {
    /// External id or `ten_…`.
    pub tenant: String,
    /// Minor units: positive credits the balance, negative debits it.
    pub cents: i64,
    /// Default: of the tenant's agreement.
    pub currency: Option<String>,
    pub reason: String,
}

/// What moved.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MoneyMoved)]
pub struct MoneyBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 5000)]
    pub cents: i64,
    #[schema(example = 5000)]
    pub balance_cents: i64,
    /// The same request had been carried out before; nothing moved now.
    pub duplicate: bool,
}

/// The money of a link collected by the platform is at the platform: only its operator says what came in.
/// Of a link collected by the reseller: the seller, or anyone above.
pub async fn may_move(app: &App, access: &Access, tenant: &Tenant) -> Result<(), ApiProblem> {
    if access.is_platform_admin() {
        return Ok(());
    }
    access.administers(tenant)?;
    match agreement_in_force(app, tenant.id).await?.map(|terms| terms.collect) {
        Some(Collect::Reseller) => Ok(()),
        _ => Err(ApiProblem::new("forbidden", "the platform collects this tenant's money: only its operator moves it by hand")),
    }
}

/// A move as it was asked for.
#[derive(Debug)]
pub struct NewMove {
    pub kind: MoneyKind,
    pub tenant: String,
    pub cents: i64,
    pub currency: Option<String>,
    pub reason: String,
}

/// Moves money by hand, once per key.
///
/// # Errors
/// `missing_idempotency_key`, `forbidden`, and the books' own refusals.
pub async fn move_by_hand(app: &App, access: &Access, write: &Write, asked: NewMove) -> Result<(StatusCode, Json<MoneyBody>), ApiProblem> {
    let key = write.required_key()?;
    let tenant = tenant_named(app, access, &asked.tenant).await.map_err(|refused| at_field(refused, "tenant"))?;
    may_move(app, access, &tenant).await?;
    if tenant.kind == TenantKind::Platform {
        return Err(ApiProblem::field("invalid_field", "tenant", "the platform has no balance of its own"));
    }
    let account = paying_account(app, &tenant, currency_of(app, &tenant, asked.currency.as_deref()).await?).await?;
    let command = MoveMoney { kind: asked.kind, key, account, root: tenant.root, cents: Cents(asked.cents), reason: asked.reason.clone() };
    let answer = app.engine.move_money(command).await?;
    if !answer.duplicate {
        app.records.append_audit(&write.actor(app, access, Some(&asked.reason)), change(&tenant, &asked, &answer)).await?;
    }
    let status = if answer.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let external_id = auth::tenant_by_id(app, tenant.id).await?.external_id.clone();
    let body = MoneyBody {
        tenant: external_id,
        currency: account.currency.code(),
        cents: answer.cents.0,
        balance_cents: answer.balance.0,
        duplicate: answer.duplicate,
    };
    Ok((status, Json(body)))
}

fn change(tenant: &Tenant, asked: &NewMove, answer: &MoneyAnswer) -> Change {
    let resource = match asked.kind {
        MoneyKind::TopUp => "top_up",
        MoneyKind::Adjustment => "adjustment",
    };
    let after = Some(json!({"cents": answer.cents, "currency": answer.account.currency, "balance_cents": answer.balance}));
    Change { tenant: tenant.id, root: tenant.root, resource, id: answer.seq.0.to_string(), action: "create", before: None, after }
}

/// Adjust a balance by hand, with a reason
///
/// `Idempotency-Key` is required.
#[utoipa::path(post, path = "/v1/adjustments", tag = "money", request_body = NewAdjustment,
    responses((status = 201, body = MoneyBody), (status = 200, body = MoneyBody, description = "Carried out before")))]
pub async fn create_adjustment(State(app): State<App>, key: MayWrite, write: Write) -> Result<(StatusCode, Json<MoneyBody>), ApiProblem> {
    let NewAdjustment { tenant, cents, currency, reason } = write.read()?;
    move_by_hand(&app, &key, &write, NewMove { kind: MoneyKind::Adjustment, tenant, cents, currency, reason }).await
}
