//! `/v1/adjustments`, and top-ups by hand: money moved by whoever collects the account's money.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catalog::Change;
use ledger::{AccountKey, AccountKind};
use metering::requests::{MoneyAnswer, MoneyKind, MoveMoney};
use prepare::plan;
use problem::Code;
use rating::{Cents, Currency};
use schema::words;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenants::{Tenant, TenantKind};
use web::auth::{self, Access, MayWrite, tenant_named};
use web::problem::{ApiProblem, at_field};
use web::state::App;
use web::write::Write;

/// A manual correction of a balance.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tenant": "acme-42", "cents": -250, "currency": "EUR", "reason": "goodwill taken back"}))]
pub struct NewAdjustment {
    /// External id or `ten_…`.
    pub tenant: String,
    /// Minor units: positive credits the balance, negative debits it.
    pub cents: i64,
    /// Default: the currency of the tenant's agreement.
    pub currency: Option<String>,
    /// `balance` or `book`. Default: the account that the tenant pays with under its agreement in
    /// force. The platform's operator may also move the remainder of the other account towards 0.
    #[schema(example = "balance")]
    pub account: Option<PayingAccount>,
    pub reason: String,
}

/// Result of a movement of money.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MoneyMoved)]
pub struct MoneyBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(value_type = words::AccountKind, example = "balance")]
    pub account: &'static str,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 5000)]
    pub cents: i64,
    #[schema(example = 5000)]
    pub balance_cents: i64,
    /// Whether the same request had been carried out before, so that nothing moved now.
    pub duplicate: bool,
}

/// The account that is moved by hand, by the agreement in force: the platform's money by its
/// operator alone; what a seller keeps in its own book by the seller, or anyone above.
///
/// # Errors
/// `forbidden`, `no_agreement_in_force`.
pub async fn account_by_hand(
    app: &App,
    access: &Access,
    tenant: &Tenant,
    currency: Option<Currency>,
) -> Result<AccountKey, ApiProblem> {
    access.administers(tenant)?;
    let none = || {
        ApiProblem::new(
            Code::NoAgreementInForce,
            "this tenant has no agreement in force",
        )
    };
    let terms = app
        .sources
        .agreement_in_force(tenant.id, app.clock.now())
        .await?
        .ok_or_else(none)?;
    if currency.is_some_and(|currency| currency != terms.currency) {
        let detail = format!("the agreement in force is in {}", terms.currency);
        return Err(ApiProblem::field(
            Code::NoAgreementInForce,
            "currency",
            detail,
        ));
    }
    let account = plan::paying_account(&terms, app.platform);
    if account.kind == AccountKind::Book || access.is_platform_admin() {
        return Ok(account);
    }
    Err(ApiProblem::new(
        Code::Forbidden,
        "the platform collects this tenant's money: only its operator may adjust it by hand",
    ))
}

/// What is left in an account that the tenant does not pay with now: the operator takes it towards
/// 0, and no further.
async fn account_to_settle(
    app: &App,
    tenant: &Tenant,
    asked: &NewMove,
    kind: AccountKind,
) -> Result<AccountKey, ApiProblem> {
    let account = AccountKey {
        tenant: tenant.id,
        kind,
        currency: app
            .sources
            .currency_of(tenant, asked.currency.as_deref(), app.clock.now())
            .await?,
    };
    let posted = i128::from(app.engine.balance(account).await?.posted.0);
    let after = posted + i128::from(asked.cents);
    if asked.kind == MoneyKind::Adjustment
        && after.abs() < posted.abs()
        && after.signum() * posted.signum() >= 0
    {
        return Ok(account);
    }
    let detail = format!(
        "the tenant does not currently pay with its {kind}: its {posted} cents may only be moved \
            towards 0"
    );
    Err(ApiProblem::field(
        Code::NoAgreementInForce,
        "account",
        detail,
    ))
}

async fn account_of(
    app: &App,
    access: &Access,
    tenant: &Tenant,
    asked: &NewMove,
) -> Result<AccountKey, ApiProblem> {
    let currency = match &asked.currency {
        Some(_) => Some(
            app.sources
                .currency_of(tenant, asked.currency.as_deref(), app.clock.now())
                .await?,
        ),
        None => None,
    };
    let paying = account_by_hand(app, access, tenant, currency).await;
    match asked.account {
        None => paying,
        Some(named) => match paying {
            Ok(paying) if paying.kind == named.kind() => Ok(paying),
            Err(refused) if !access.is_platform_admin() => Err(refused),
            _ if access.is_platform_admin() => {
                account_to_settle(app, tenant, asked, named.kind()).await
            }
            _ => Err(ApiProblem::field(
                Code::Forbidden,
                "account",
                "only the platform's operator may adjust an account that the tenant does not \
                    currently pay with",
            )),
        },
    }
}

/// One of the two accounts that a tenant can pay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayingAccount {
    Balance,
    Book,
}

impl PayingAccount {
    const fn kind(self) -> AccountKind {
        match self {
            Self::Balance => AccountKind::Balance,
            Self::Book => AccountKind::Book,
        }
    }
}

/// A move as it was asked for.
#[derive(Debug)]
pub struct NewMove {
    pub kind: MoneyKind,
    pub tenant: String,
    pub cents: i64,
    pub currency: Option<String>,
    /// Default: what the tenant pays with.
    pub account: Option<PayingAccount>,
    pub reason: String,
}

/// Moves money by hand, once per key.
///
/// # Errors
/// `missing_idempotency_key`, `forbidden`, `no_agreement_in_force`, and the books' own refusals.
pub async fn move_by_hand(
    app: &App,
    access: &Access,
    write: &Write,
    asked: NewMove,
) -> Result<(StatusCode, Json<MoneyBody>), ApiProblem> {
    let key = write.required_key()?;
    let tenant = tenant_named(app, access, &asked.tenant)
        .await
        .map_err(|refused| at_field(refused, "tenant"))?;
    if tenant.kind == TenantKind::Platform {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "tenant",
            "the platform has no balance of its own",
        ));
    }
    let account = account_of(app, access, &tenant, &asked).await?;
    let command = MoveMoney {
        kind: asked.kind,
        key,
        account,
        root: tenant.root,
        cents: Cents(asked.cents),
        reason: asked.reason.clone(),
    };
    let answer = app.engine.move_money(command).await?;
    if !answer.duplicate {
        app.catalog
            .append_audit(
                &write.actor(app, access, Some(&asked.reason)),
                change(&tenant, &asked, &answer),
            )
            .await?;
    }
    let status = if answer.duplicate {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let external_id = auth::tenant_by_id(app, tenant.id)
        .await?
        .external_id
        .clone();
    let body = MoneyBody {
        tenant: external_id,
        account: account.kind.name(),
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
    let after = Some(
        json!({"cents": answer.cents, "account": answer.account.kind, "currency": answer.account.currency, "balance_cents": answer.balance}),
    );
    Change {
        tenant: tenant.id,
        root: tenant.root,
        resource,
        id: answer.seq.0.to_string(),
        action: "create",
        before: None,
        after,
    }
}

/// Adjust a balance manually, with a reason
///
/// `Idempotency-Key` is required.
#[utoipa::path(post, path = "/v1/adjustments", tag = "money", request_body = NewAdjustment,
    responses((status = 201, body = MoneyBody), (status = 200, body = MoneyBody, description = "Already carried out before")))]
pub async fn create_adjustment(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<(StatusCode, Json<MoneyBody>), ApiProblem> {
    let NewAdjustment {
        tenant,
        cents,
        currency,
        account,
        reason,
    } = write.read()?;
    move_by_hand(
        &app,
        &key,
        &write,
        NewMove {
            kind: MoneyKind::Adjustment,
            tenant,
            cents,
            currency,
            account,
            reason,
        },
    )
    .await
}
