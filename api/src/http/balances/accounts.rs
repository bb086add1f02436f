//! `/v1/accounts/{tenant}`: balances, entries, statements.
//!
//! Accounts of a tenant: `balance` (what it pays its seller with, and where commission accrues,
//! when the platform collects), `book` (what it pays a seller with that collects itself), `income`
//! (of a reseller that collects itself), and for the platform `revenue` of each root.

use crate::http::balances::entries::{self, EntryBody, StatementBody};
use crate::http::prices::agreements::{agreement_in_force, usual_currency};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use ledger::{AccountKey, AccountKind, Balance};
use metering::plan;
use rating::{Cents, Currency, Instant, TenantId};
use schema::words;
use serde::{Deserialize, Serialize};
use store::journal::{Of, Seq};
use tenants::{Tenant, TenantKind};
use web::auth::{self, Access, MayAsk, MayRead, tenant_named};
use web::page::{List, PageQuery, period};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::turns;

/// One account now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Account)]
pub struct AccountBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(value_type = words::AccountKind, example = "balance")]
    pub account: &'static str,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 4600)]
    pub posted_cents: i64,
    /// Set aside by open holds.
    #[schema(example = 0)]
    pub held_cents: i64,
    /// posted − held + credit limit. Absent: no limit (postpaid).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4600)]
    pub available_cents: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    pub credit_limit_cents: Option<i64>,
    /// What else is there of this tenant and currency: in its `balance` beside its `book`, or the
    /// other way round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherBody>,
}

/// An account that the tenant does not pay with now, and that is not empty.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OtherAccount)]
pub struct OtherBody {
    #[schema(value_type = words::AccountKind, example = "book")]
    pub account: &'static str,
    #[schema(example = 1200)]
    pub posted_cents: i64,
    #[schema(example = 0)]
    pub held_cents: i64,
}

/// What the platform has of one account, in every currency that was ever agreed on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PlatformAccount)]
pub struct PlatformBody {
    #[schema(example = "platform")]
    pub tenant: String,
    /// `revenue` unless another is asked for: what the platform earned.
    #[schema(value_type = words::AccountKind, example = "revenue")]
    pub account: &'static str,
    pub currencies: Vec<CurrencyBody>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CurrencySum)]
pub struct CurrencyBody {
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 300)]
    pub posted_cents: i64,
}

/// One account, or of the platform without a currency: every currency of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = AccountAnswer)]
pub enum AccountAnswer {
    One(Box<AccountBody>),
    Every(PlatformBody),
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Whose direct buyers: external id or `ten_…`. Default: the key's own tenant.
    pub seller: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Which account of a tenant.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    /// `balance` or `book` (default: what the tenant pays with), or `income`; of a root, for
    /// platform keys: `revenue` or `external`.
    #[param(value_type = Option<words::AccountKind>, inline)]
    pub account: Option<String>,
    /// ISO 4217. Default: the currency of the tenant's agreement.
    pub currency: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    #[param(value_type = Option<words::AccountKind>, inline)]
    pub account: Option<String>,
    pub currency: Option<String>,
    /// By the time of posting, inclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    #[param(value_type = Option<words::AccountKind>, inline)]
    pub account: Option<String>,
    pub currency: Option<String>,
    /// By the time of posting, inclusive.
    #[param(value_type = String, example = "2026-11-01T00:00:00Z", format = DateTime)]
    pub from: Instant,
    /// Exclusive. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

/// The currency of an account: as asked, or of the tenant's agreement.
///
/// # Errors
/// `missing_field` where there is nothing to go by.
pub async fn currency_of(
    app: &App,
    tenant: &Tenant,
    asked: Option<&str>,
) -> Result<Currency, ApiProblem> {
    if let Some(code) = asked {
        return code.parse().map_err(|error: rating::money::BadCurrency| {
            ApiProblem::field("invalid_field", "currency", error.to_string())
        });
    }
    usual_currency(app, tenant.id).await?.ok_or_else(|| {
        ApiProblem::field(
            "missing_field",
            "currency",
            "this tenant has no agreement to take the currency from",
        )
    })
}

/// What a tenant pays with: by its agreement in force in that currency. Without one, where
/// something is left.
pub async fn paying_account(
    app: &App,
    tenant: &Tenant,
    currency: Currency,
) -> Result<AccountKey, ApiProblem> {
    let (balance, book) = (
        AccountKey::balance(tenant.id, currency),
        AccountKey::book(tenant.id, currency),
    );
    if let Some(terms) = agreement_in_force(app, tenant.id)
        .await?
        .filter(|terms| terms.currency == currency)
    {
        return Ok(plan::paying_account(&terms, app.platform));
    }
    let is_empty = |of: Balance| of == Balance::default();
    let only_book =
        is_empty(app.engine.balance(balance).await?) && !is_empty(app.engine.balance(book).await?);
    Ok(if only_book { book } else { balance })
}

/// The account of the two that `account` is not, if something is in it.
async fn other_of(app: &App, account: AccountKey) -> Result<Option<OtherBody>, ApiProblem> {
    let kind = match account.kind {
        AccountKind::Balance => AccountKind::Book,
        AccountKind::Book => AccountKind::Balance,
        _ => return Ok(None),
    };
    let Balance { posted, held } = app.engine.balance(AccountKey { kind, ..account }).await?;
    let other = OtherBody {
        account: kind.name(),
        posted_cents: posted.0,
        held_cents: held.0,
    };
    Ok((other.posted_cents != 0 || other.held_cents != 0).then_some(other))
}

/// The credit limit of what a tenant pays with; of its other account, and without an agreement in
/// force, there is none to draw on.
async fn limit_of(
    app: &App,
    tenant: &Tenant,
    account: AccountKey,
) -> Result<Option<Cents>, ApiProblem> {
    if !account.kind.is_of_buyer() || tenant.kind == TenantKind::Platform {
        return Ok(None);
    }
    let terms = agreement_in_force(app, tenant.id)
        .await?
        .filter(|terms| plan::paying_account(terms, app.platform) == account);
    Ok(terms.map_or(Some(Cents::ZERO), |terms| terms.credit_limit))
}

async fn key_of(
    app: &App,
    tenant: &Tenant,
    account: Option<&str>,
    currency: Option<&str>,
    platform: bool,
) -> Result<AccountKey, ApiProblem> {
    let currency = currency_of(app, tenant, currency).await?;
    let Some(account) = account else {
        return paying_account(app, tenant, currency).await;
    };
    let kind = match account {
        "balance" => AccountKind::Balance,
        "book" => AccountKind::Book,
        "income" => AccountKind::Income,
        // Kept per root, and the platform's own affair.
        "revenue" if platform => AccountKind::Revenue,
        "external" if platform => AccountKind::External,
        "suspense" if platform => AccountKind::Suspense,
        "expense" if platform => AccountKind::Expense,
        "disputed" => AccountKind::Disputed,
        _ => {
            return Err(ApiProblem::field(
                "invalid_field",
                "account",
                "expected balance, book, income or disputed",
            ));
        }
    };
    Ok(AccountKey {
        tenant: tenant.id,
        kind,
        currency,
    })
}

/// What the platform has in one account per root is summed here.
async fn balance_of(
    app: &App,
    access: &Access,
    tenant: &Tenant,
    account: AccountKey,
) -> Result<Balance, ApiProblem> {
    if tenant.kind != TenantKind::Platform || !account.kind.is_per_root() {
        return Ok(app.engine.balance(account).await?);
    }
    let overflow = |_: rating::Overflow| ApiProblem::sum_too_large();
    let mut sum = Balance::default();
    for &root in app
        .engine
        .directory()
        .roots_seen(&access.caller())
        .await?
        .iter()
    {
        let balance = app
            .engine
            .balance(AccountKey {
                tenant: root,
                ..account
            })
            .await?;
        sum.posted = sum.posted.checked_add(balance.posted).map_err(overflow)?;
    }
    Ok(sum)
}

async fn platform_of(
    app: &App,
    access: &Access,
    tenant: &Tenant,
    account: &str,
) -> Result<PlatformBody, ApiProblem> {
    let mut currencies = Vec::new();
    let mut kind = AccountKind::Revenue;
    for currency in app.catalog.currencies().await? {
        let key = key_of(app, tenant, Some(account), Some(currency.code()), true).await?;
        kind = key.kind;
        currencies.push(CurrencyBody {
            currency: currency.code(),
            posted_cents: balance_of(app, access, tenant, key).await?.posted.0,
        });
    }
    Ok(PlatformBody {
        tenant: tenant.external_id.clone(),
        account: kind.name(),
        currencies,
    })
}

async fn shown(
    app: &App,
    access: &Access,
    tenant: &Tenant,
    account: AccountKey,
) -> Result<AccountBody, ApiProblem> {
    let balance = balance_of(app, access, tenant, account).await?;
    let limit = limit_of(app, tenant, account).await?;
    let available = balance
        .available(limit)
        .map_err(|error| ApiProblem::internal(&error))?;
    Ok(AccountBody {
        tenant: tenant.external_id.clone(),
        account: account.kind.name(),
        currency: account.currency.code(),
        posted_cents: balance.posted.0,
        held_cents: balance.held.0,
        available_cents: available.map(|cents| cents.0),
        credit_limit_cents: limit.map(|cents| cents.0),
        other: other_of(app, account).await?,
    })
}

/// List what the direct buyers of a seller have or owe
///
/// What each pays with, in the currency of its agreement: below zero it owes. Buyers that never had
/// an agreement are left out.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", params(AccountsQuery), responses((status = 200, body = List<AccountBody>)))]
pub async fn list_accounts(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<List<AccountBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(TenantId), page.limit()?);
    let seller = auth::tenant_or_own(&app, &key, query.seller.as_deref()).await?;
    let found = app
        .catalog_of(&key)
        .children(seller.id, after, limit)
        .await?;
    let last = found.data.last().map(|tenant| tenant.id.0);
    let mut data = Vec::with_capacity(found.data.len());
    for buyer in &found.data {
        let Some(currency) = usual_currency(&app, buyer.id).await? else {
            continue;
        };
        let account = paying_account(&app, buyer, currency).await?;
        data.push(shown(&app, &key, buyer, account).await?);
    }
    Ok(Json(List::new(data, found.has_more, last)))
}

/// Read a balance
#[utoipa::path(get, path = "/v1/accounts/{tenant}", tag = "accounts", params(("tenant" = String, Path, description = "External id or `ten_…`"), AccountQuery),
    responses((status = 200, body = AccountAnswer)))]
pub async fn get_account(
    State(app): State<App>,
    key: MayAsk,
    Path(name): Path<String>,
    Query(query): Query<AccountQuery>,
) -> Result<Json<AccountAnswer>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    let is_admin = key.is_platform_admin();
    let is_platform = tenant.kind == TenantKind::Platform && is_admin;
    // It buys nothing, and has no balance.
    let asked = query
        .account
        .as_deref()
        .or(is_platform.then_some("revenue"));
    if is_platform && query.currency.is_none() {
        let account = asked.unwrap_or_default();
        return Ok(Json(AccountAnswer::Every(
            platform_of(&app, &key, &tenant, account).await?,
        )));
    }
    let account = key_of(&app, &tenant, asked, query.currency.as_deref(), is_admin).await?;
    Ok(Json(AccountAnswer::One(Box::new(
        shown(&app, &key, &tenant, account).await?,
    ))))
}

/// List the entries of an account, newest first
#[utoipa::path(get, path = "/v1/accounts/{tenant}/entries", tag = "accounts", params(("tenant" = String, Path, description = "External id or `ten_…`"), EntriesQuery),
    responses((status = 200, body = List<EntryBody>)))]
pub async fn list_entries(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
    Query(query): Query<EntriesQuery>,
) -> Result<Json<List<EntryBody>>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    let account = key_of(
        &app,
        &tenant,
        query.account.as_deref(),
        query.currency.as_deref(),
        key.is_platform_admin(),
    )
    .await?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (period, limit) = (period(query.from, query.until)?, page.limit()?);
    let records = entries::within(
        &app,
        Of::Account(account),
        period,
        page.after()?.map(Seq),
        limit + 1,
    )
    .await?;
    let has_more = records.len() > limit;
    let shown = &records[..records.len().min(limit)];
    let mut data = Vec::with_capacity(shown.len());
    let voided = entries::Voided::by(&app, shown).await?;
    for record in shown {
        data.extend(entries::of_record(&app, record, account, &voided).await?);
    }
    Ok(Json(List::new(
        data,
        has_more,
        shown.last().map(|record| record.seq.0),
    )))
}

/// Read a statement: opening balance, every entry of the period, closing balance
#[utoipa::path(get, path = "/v1/accounts/{tenant}/statement", tag = "accounts", params(("tenant" = String, Path, description = "External id or `ten_…`"), StatementQuery),
    responses((status = 200, body = StatementBody)))]
pub async fn get_statement(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
    Query(query): Query<StatementQuery>,
) -> Result<Response, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    let account = key_of(
        &app,
        &tenant,
        query.account.as_deref(),
        query.currency.as_deref(),
        key.is_platform_admin(),
    )
    .await?;
    let until = query
        .until
        .unwrap_or_else(|| app.clock.now().plus_micros(1));
    if query.from >= until {
        return Err(ApiProblem::field(
            "invalid_field",
            "from",
            "expected an instant before until",
        ));
    }
    if let Some(beginning) = app.journal.beginning(tenant.root).await?
        && query.from < beginning.from
    {
        return Err(ApiProblem::field(
            "before_records",
            "from",
            format!("the records of this account begin at {}", beginning.from),
        ));
    }
    let (statement, turn) = entries::statement(
        &app,
        &key,
        (&tenant.external_id, account.kind.name()),
        account,
        (query.from, until),
    )
    .await?;
    turns::json(turn, move || Ok(statement)).await
}
