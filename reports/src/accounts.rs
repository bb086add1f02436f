//! What tenants have and owe.

use crate::error::Error;
use crate::sources::{Reader, Sources};
use catalog::Page;
use ledger::{AccountKey, AccountKind, Balance};
use prepare::plan;
use rating::{Cents, Currency, Instant};
use schema::list::List;
use schema::words;
use serde::Serialize;
use tenants::{Tenant, TenantKind};

/// Current state of one account.
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
    /// Amount set aside by open holds.
    #[schema(example = 0)]
    pub held_cents: i64,
    /// posted − held + credit limit. Absent: no limit (postpaid).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4600)]
    pub available_cents: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    pub credit_limit_cents: Option<i64>,
    /// The tenant's other account in this currency, if it is not empty: `book` next to its
    /// `balance`, or `balance` next to its `book`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherBody>,
}

/// An account that is not empty and that the tenant does not currently pay with.
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

/// The platform's account of one kind, in every currency ever agreed on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PlatformAccount)]
pub struct PlatformBody {
    #[schema(example = "platform")]
    pub tenant: String,
    /// `revenue` (the platform's earnings) unless another one is requested.
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

/// One account; for the platform without a currency, the account in every currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = AccountAnswer)]
pub enum AccountAnswer {
    One(Box<AccountBody>),
    Every(PlatformBody),
}

/// What a tenant pays with: by its agreement in force in that currency. Without one, where
/// something is left.
async fn paying_account(
    sources: &Sources,
    tenant: &Tenant,
    currency: Currency,
    now: Instant,
) -> Result<AccountKey, Error> {
    let (balance, book) = (
        AccountKey::balance(tenant.id, currency),
        AccountKey::book(tenant.id, currency),
    );
    if let Some(terms) = sources
        .agreement_in_force(tenant.id, now)
        .await?
        .filter(|terms| terms.currency == currency)
    {
        return Ok(plan::paying_account(&terms, sources.platform));
    }
    let is_empty = |of: Balance| of == Balance::default();
    let only_book = is_empty(sources.engine.balance(balance).await?)
        && !is_empty(sources.engine.balance(book).await?);
    Ok(if only_book { book } else { balance })
}

/// The account of the two that `account` is not, if something is in it.
async fn other_of(sources: &Sources, account: AccountKey) -> Result<Option<OtherBody>, Error> {
    let kind = match account.kind {
        AccountKind::Balance => AccountKind::Book,
        AccountKind::Book => AccountKind::Balance,
        _ => return Ok(None),
    };
    let Balance { posted, held } = sources
        .engine
        .balance(AccountKey { kind, ..account })
        .await?;
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
    sources: &Sources,
    tenant: &Tenant,
    account: AccountKey,
    now: Instant,
) -> Result<Option<Cents>, Error> {
    if !account.kind.is_of_buyer() || tenant.kind == TenantKind::Platform {
        return Ok(None);
    }
    let terms = sources
        .agreement_in_force(tenant.id, now)
        .await?
        .filter(|terms| plan::paying_account(terms, sources.platform) == account);
    Ok(terms.map_or(Some(Cents::ZERO), |terms| terms.credit_limit))
}

/// Which account is asked for by these names; the platform is told of its own, too.
///
/// # Errors
/// [`Error::NoAccount`]; as [`Sources::currency_of`].
pub async fn key_of(
    sources: &Sources,
    tenant: &Tenant,
    (account, currency): (Option<&str>, Option<&str>),
    platform: bool,
    now: Instant,
) -> Result<AccountKey, Error> {
    let currency = sources.currency_of(tenant, currency, now).await?;
    let Some(account) = account else {
        return paying_account(sources, tenant, currency, now).await;
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
        _ => return Err(Error::NoAccount),
    };
    Ok(AccountKey {
        tenant: tenant.id,
        kind,
        currency,
    })
}

/// What the platform has in one account per root is summed here.
async fn balance_of(
    sources: &Sources,
    reader: &Reader<'_>,
    tenant: &Tenant,
    account: AccountKey,
) -> Result<Balance, Error> {
    if tenant.kind != TenantKind::Platform || !account.kind.is_per_root() {
        return Ok(sources.engine.balance(account).await?);
    }
    let mut sum = Balance::default();
    for &root in sources
        .engine
        .directory()
        .roots_seen(&reader.caller)
        .await?
        .iter()
    {
        let balance = sources
            .engine
            .balance(AccountKey {
                tenant: root,
                ..account
            })
            .await?;
        sum.posted = sum
            .posted
            .checked_add(balance.posted)
            .map_err(|_| Error::SumTooLarge)?;
    }
    Ok(sum)
}

/// What the platform has of one account, in every currency.
///
/// # Errors
/// [`Error::NoAccount`], [`Error::SumTooLarge`]; the books cannot be read.
pub async fn platform_of(
    sources: &Sources,
    reader: &Reader<'_>,
    tenant: &Tenant,
    account: &str,
    now: Instant,
) -> Result<PlatformBody, Error> {
    let mut currencies = Vec::new();
    let mut kind = AccountKind::Revenue;
    for currency in sources.catalog.currencies().await? {
        let key = key_of(
            sources,
            tenant,
            (Some(account), Some(currency.code())),
            true,
            now,
        )
        .await?;
        kind = key.kind;
        currencies.push(CurrencyBody {
            currency: currency.code(),
            posted_cents: balance_of(sources, reader, tenant, key).await?.posted.0,
        });
    }
    Ok(PlatformBody {
        tenant: tenant.external_id.clone(),
        account: kind.name(),
        currencies,
    })
}

/// Current state of one account.
///
/// # Errors
/// [`Error::SumTooLarge`]; the books cannot be read.
pub async fn account(
    sources: &Sources,
    reader: &Reader<'_>,
    tenant: &Tenant,
    account: AccountKey,
    now: Instant,
) -> Result<AccountBody, Error> {
    let balance = balance_of(sources, reader, tenant, account).await?;
    let limit = limit_of(sources, tenant, account, now).await?;
    let available = balance.available(limit)?;
    Ok(AccountBody {
        tenant: tenant.external_id.clone(),
        account: account.kind.name(),
        currency: account.currency.code(),
        posted_cents: balance.posted.0,
        held_cents: balance.held.0,
        available_cents: available.map(|cents| cents.0),
        credit_limit_cents: limit.map(|cents| cents.0),
        other: other_of(sources, account).await?,
    })
}

/// What each of these buyers has or owes, with what it pays with; those that never had an agreement
/// are left out.
///
/// # Errors
/// As [`account`].
pub async fn of_buyers(
    sources: &Sources,
    reader: &Reader<'_>,
    buyers: &Page<Tenant>,
    now: Instant,
) -> Result<List<AccountBody>, Error> {
    let mut data = Vec::with_capacity(buyers.data.len());
    for buyer in &buyers.data {
        let Some(currency) = sources.usual_currency(buyer.id, now).await? else {
            continue;
        };
        let paying = paying_account(sources, buyer, currency, now).await?;
        data.push(account(sources, reader, buyer, paying, now).await?);
    }
    let last = buyers.data.last().map(|tenant| tenant.id.0);
    Ok(List::new(data, buyers.has_more, last))
}
