//! `/v1/accounts/{tenant}`: balances, entries, statements.
//!
//! Accounts of a tenant: `balance` (what it pays its seller with, and where commission accrues,
//! when the platform collects), `book` (what it pays a seller with that collects itself), `income`
//! (of a reseller that collects itself), and for the platform `revenue` of each root.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use journal::Seq;
use problem::Code;
use rating::{Instant, TenantId};
use reports::accounts::{self, AccountAnswer, AccountBody, key_of};
use reports::entries::{self, EntryBody, StatementBody};
use schema::words;
use serde::Deserialize;
use tenants::TenantKind;
use web::auth::{self, MayAsk, MayRead, tenant_named};
use web::page::{List, PageQuery, period};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::turns;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Seller whose direct buyers are listed: external id or `ten_…`. Default: the key's own
    /// tenant.
    pub seller: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Which account of a tenant.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    /// `balance` or `book` (default: the one that the tenant pays with), or `income`; for a root,
    /// with platform keys: `revenue` or `external`.
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
    /// By time of posting, inclusive.
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
    /// By time of posting, inclusive.
    #[param(value_type = String, example = "2026-11-01T00:00:00Z", format = DateTime)]
    pub from: Instant,
    /// Exclusive. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

/// List the balances of a seller's direct buyers
///
/// The account that each buyer pays with, in the currency of its agreement; a negative amount is
/// owed. Buyers that never had an agreement are omitted.
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
    let now = app.clock.now();
    Ok(Json(
        accounts::of_buyers(&app.sources, &key.reader(), &found, now).await?,
    ))
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
    let (sources, reader, now) = (&app.sources, &key.reader(), app.clock.now());
    if is_platform && query.currency.is_none() {
        let account = asked.unwrap_or_default();
        return Ok(Json(AccountAnswer::Every(
            accounts::platform_of(sources, reader, &tenant, account, now).await?,
        )));
    }
    let names = (asked, query.currency.as_deref());
    let account = key_of(sources, &tenant, names, is_admin, now).await?;
    Ok(Json(AccountAnswer::One(Box::new(
        accounts::account(sources, reader, &tenant, account, now).await?,
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
    let names = (query.account.as_deref(), query.currency.as_deref());
    let (is_admin, now) = (key.is_platform_admin(), app.clock.now());
    let account = key_of(&app.sources, &tenant, names, is_admin, now).await?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (period, limit) = (period(query.from, query.until)?, page.limit()?);
    let after = page.after()?.map(Seq);
    Ok(Json(
        entries::page(&app.sources, account, period, after, limit).await?,
    ))
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
    let names = (query.account.as_deref(), query.currency.as_deref());
    let (is_admin, now) = (key.is_platform_admin(), app.clock.now());
    let account = key_of(&app.sources, &tenant, names, is_admin, now).await?;
    let until = query
        .until
        .unwrap_or_else(|| app.clock.now().plus_micros(1));
    if query.from >= until {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "from",
            "expected an instant before until",
        ));
    }
    let next = || app.reading_turns.next(&key);
    let (statement, turn) =
        entries::statement(&app.sources, &tenant, account, (query.from, until), next).await?;
    turns::json(turn, move || Ok(statement)).await
}
