//! `/v1/agreements`: the terms of one link. Written by a seller (or one above it), never by the
//! buyer.

use crate::http::prices::rate_cards::card_named;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use ledger::{AccountKey, Balance};
use problem::Code;
use rating::{AgreementId, Cents, Currency, Instant};
use schema::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tenants::agreement::COMMISSION_BP_DEFAULT;
use tenants::{Agreement, Authority, Collect, OnExhausted, Pricing, Tenant, TenantKind, authority};
use web::auth::{self, Access, MayRead, MayWrite, tenant_named};
use web::page::{List, PageQuery, period};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write};

/// The terms of one link.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Agreement)]
pub struct AgreementBody {
    #[schema(example = "agr_0dks8xn2a4m1c")]
    pub id: String,
    /// External id of the buyer.
    #[schema(example = "acme-42")]
    pub buyer: String,
    #[schema(example = "muster-telecom")]
    pub seller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// `wholesale` (with `rate_card`) or `commission` (with `commission_bp`).
    #[schema(value_type = words::Pricing, example = "wholesale")]
    pub pricing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "crd_0dks8xn2a4m1c")]
    pub rate_card: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2500)]
    pub commission_bp: Option<u16>,
    /// Commissions only: the seller receives at least the price from this rate card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_rate_card: Option<String>,
    /// Commissions without a floor only: whether the buyer may sell at rate cards that no seller
    /// above it published or approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_retail: Option<bool>,
    #[schema(value_type = words::Collect, example = "platform")]
    pub collect: Collect,
    /// Available = posted − held + this. Absent: no limit (postpaid); 0: prepaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    pub credit_limit_cents: Option<i64>,
    #[schema(value_type = words::OnExhausted, example = "post")]
    pub on_exhausted: OnExhausted,
    /// Resellers only: maximum credit it may give to each buyer that the platform collects from.
    /// Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 10000)]
    pub credit_cap_cents: Option<i64>,
    /// External id of the tenant that agreed to it. A commission reduces the share of a seller
    /// further up only if that seller, or one above it, agreed to it. Absent: not recorded, and
    /// treated as agreed by the platform; or it is a seller above the key's own tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "platform")]
    pub author: Option<String>,
    #[schema(format = DateTime)]
    pub from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// New terms for a buyer. A customer buys at a `rate_card`; a reseller buys at a `rate_card` or
/// under a commission. Send only one of `rate_card` and `commission_bp`; without either, the
/// commission is 25 %.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAgreement, example = json!({"buyer": "acme-42", "currency": "EUR", "rate_card": "retail", "collect": "platform", "credit_limit_cents": 0}))]
pub struct NewAgreementBody {
    pub buyer: String,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// The seller's rate card, by name or `crd_…`.
    pub rate_card: Option<String>,
    /// The buyer's share of what its own customers pay, in basis points.
    pub commission_bp: Option<u16>,
    /// Commissions only: one of the seller's rate cards, by name or `crd_…`. The seller receives at
    /// least its price.
    pub floor_rate_card: Option<String>,
    /// Commissions without a floor only: the buyer may sell at rate cards that no seller above it
    /// published or approved.
    #[serde(default)]
    pub free_retail: bool,
    /// Where the buyer's money is collected: `platform` (default) or `reseller`. A seller below the
    /// platform chooses once, for a new buyer, and can choose `platform` only if the platform also
    /// collects on every link above. The platform may change it while both of the buyer's accounts
    /// are empty.
    #[serde(default)]
    #[schema(value_type = Option<words::Collect>, default = "platform", example = "platform")]
    pub collect: Collect,
    /// In minor units. Absent: no limit (postpaid); 0: prepaid. With `collect: platform`, a seller
    /// below the platform can give at most its own `credit_cap_cents`.
    pub credit_limit_cents: Option<i64>,
    /// Resellers only: maximum credit it may give to each buyer that the platform collects from.
    /// Default: none.
    pub credit_cap_cents: Option<i64>,
    /// Usage that the balance does not cover: `post` (default) charges it anyway and lets the
    /// balance go below zero; `refuse` keeps it open (`exhausted`).
    #[serde(default)]
    #[schema(value_type = Option<words::OnExhausted>, default = "post", example = "post")]
    pub on_exhausted: OnExhausted,
    /// Default: the beginning of the current minute (later if the buyer's previous terms ended
    /// within it).
    #[schema(value_type = Option<String>, example = "2026-11-01T00:00:00Z", format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

/// End of an agreement.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"until": "2026-12-01T00:00:00Z"}))]
pub struct AgreementEnd {
    /// Exclusive. Default: now.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AgreementsQuery {
    /// External id or `ten_…`. Default: every buyer in the key's subtree.
    pub buyer: Option<String>,
    /// Still in force at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// In force before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

async fn shown(app: &App, key: &Access, terms: &Agreement) -> Result<AgreementBody, ApiProblem> {
    let (pricing, rate_card, commission_bp) = match terms.pricing {
        Pricing::Wholesale { rate_card } => ("wholesale", Some(rate_card.to_string()), None),
        Pricing::Commission { commission_bp } => ("commission", None, Some(commission_bp)),
    };
    let author = match terms.author {
        Some(author) => Some(auth::tenant_by_id(app, author).await?),
        None => None,
    };
    // A seller above the own one is nobody's business.
    let author = author
        .filter(|author| author.id == terms.seller || key.sees(author))
        .map(|author| author.external_id.clone());
    Ok(AgreementBody {
        id: terms.id.to_string(),
        buyer: auth::tenant_by_id(app, terms.buyer)
            .await?
            .external_id
            .clone(),
        seller: auth::tenant_by_id(app, terms.seller)
            .await?
            .external_id
            .clone(),
        currency: terms.currency.code(),
        pricing,
        rate_card,
        commission_bp,
        floor_rate_card: terms.floor.map(|card| card.to_string()),
        free_retail: commission_bp.map(|_| terms.free_retail),
        collect: terms.collect,
        credit_limit_cents: terms.credit_limit.map(|cents| cents.0),
        on_exhausted: terms.on_exhausted,
        credit_cap_cents: (terms.credit_cap.0 > 0).then_some(terms.credit_cap.0),
        author,
        from: terms.from.to_string(),
        until: terms.until.map(|at| at.to_string()),
    })
}

/// Agree on terms with a buyer
#[utoipa::path(post, path = "/v1/agreements", tag = "agreements", request_body = NewAgreementBody, responses((status = 201, body = AgreementBody)))]
pub async fn create_agreement(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewAgreementBody = write.read()?;
    let buyer = tenant_named(app, key, &new.buyer)
        .await
        .map_err(|refused| at_field(refused, "buyer"))?;
    key.administers(&buyer)?;
    let terms = new.terms(app, key, &buyer).await?;
    let work = |actor| async move {
        if key.authority() == Authority::Platform {
            check_accounts(app, &terms).await?;
        }
        app.catalog.agree(&actor, key.authority(), &terms).await?;
        app.invalidate();
        Ok(Done::created(shown(app, key, &terms).await?))
    };
    let again = |made| async move {
        Ok(Done::created(
            shown(app, key, &agreement_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}

async fn agreement_made(app: &App, made: &Made) -> Result<Agreement, ApiProblem> {
    app.catalog
        .agreement(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("agreement"))
}

/// Who collects changes only while the buyer has nothing with either, and nothing is held: money of
/// one is never the other's.
async fn check_accounts(app: &App, terms: &Agreement) -> Result<(), ApiProblem> {
    let others = app.catalog.agreements_of(&[terms.buyer]).await?;
    if terms.seller == app.platform || !authority::changes_collect(terms, &others) {
        return Ok(());
    }
    let currencies: BTreeSet<Currency> = others
        .iter()
        .map(|other| other.currency)
        .chain([terms.currency])
        .collect();
    for currency in currencies {
        for account in [
            AccountKey::balance(terms.buyer, currency),
            AccountKey::book(terms.buyer, currency),
        ] {
            let balance = app.engine.balance(account).await?;
            if balance != Balance::default() {
                let (kind, Balance { posted, held }) = (account.kind, balance);
                let detail = format!(
                    "the buyer's {kind} must first be at 0 with nothing held: it has {posted} \
                        cents, {held} of them held"
                );
                return Err(ApiProblem::field(Code::AccountsNotEmpty, "collect", detail));
            }
        }
    }
    Ok(())
}

impl NewAgreementBody {
    async fn terms(
        self,
        app: &App,
        access: &Access,
        buyer: &Tenant,
    ) -> Result<Agreement, ApiProblem> {
        let seller = buyer.parent.ok_or_else(|| {
            ApiProblem::field(Code::InvalidField, "buyer", "the platform has no seller")
        })?;
        let pricing = match (&self.rate_card, self.commission_bp) {
            (Some(_), Some(_)) => {
                return Err(ApiProblem::field(
                    Code::InvalidField,
                    "commission_bp",
                    "expected either rate_card or commission_bp",
                ));
            }
            (Some(name), None) => {
                let owner = auth::tenant_by_id(app, seller).await?;
                Pricing::Wholesale {
                    rate_card: card_named(app, access, name, Some(&owner))
                        .await
                        .map_err(|refused| at_field(refused, "rate_card"))?
                        .id,
                }
            }
            (None, _) if buyer.kind == TenantKind::Customer => {
                let detail = "a customer buys at a rate card of its seller: a commission is a \
                    share of what a reseller's own customers pay";
                return Err(ApiProblem::field(Code::MissingField, "rate_card", detail));
            }
            (None, share) => Pricing::Commission {
                commission_bp: share.unwrap_or(COMMISSION_BP_DEFAULT),
            },
        };
        let floor = match &self.floor_rate_card {
            None => None,
            Some(name) => {
                let owner = auth::tenant_by_id(app, seller).await?;
                Some(
                    card_named(app, access, name, Some(&owner))
                        .await
                        .map_err(|refused| at_field(refused, "floor_rate_card"))?
                        .id,
                )
            }
        };
        let terms = Agreement {
            id: AgreementId(app.clock.id()),
            buyer: buyer.id,
            seller,
            currency: self.currency,
            pricing,
            collect: self.collect,
            credit_limit: self.credit_limit_cents.map(Cents),
            on_exhausted: self.on_exhausted,
            credit_cap: Cents(self.credit_cap_cents.unwrap_or(0)),
            refused_by: (self.on_exhausted == OnExhausted::Refuse).then_some(access.key.tenant),
            floor,
            free_retail: self.free_retail,
            author: Some(access.key.tenant),
            from: match self.from {
                Some(from) => from,
                None => beginning(
                    &app.catalog.agreements_of(&[buyer.id]).await?,
                    app.clock.now(),
                ),
            },
            until: self.until,
        };
        terms.validate()?;
        if terms.credit_cap > Cents::ZERO && buyer.kind != TenantKind::Reseller {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "credit_cap_cents",
                "only a reseller can give credit",
            ));
        }
        Ok(terms)
    }
}

/// When terms begin that name no beginning: with the present minute, so that a newcomer's first
/// event has a price although its switch's clock is a little behind; where the buyer's terms before
/// ended within it, at their end.
fn beginning(others: &[Agreement], now: Instant) -> Instant {
    let ended = others
        .iter()
        .filter_map(|other| other.until)
        .filter(|until| *until <= now);
    ended.max().unwrap_or(Instant::MIN).max(now.minute())
}

/// List the agreements of a buyer, or of every buyer below
#[utoipa::path(get, path = "/v1/agreements", tag = "agreements", params(AgreementsQuery), responses((status = 200, body = List<AgreementBody>)))]
pub async fn list_agreements(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<AgreementsQuery>,
) -> Result<Json<List<AgreementBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(AgreementId), page.limit()?);
    let period = period(query.from, query.until)?;
    let found = match &query.buyer {
        Some(name) => {
            let buyer = tenant_named(&app, &key, name).await?.id;
            app.catalog_of(&key)
                .agreements_by_buyer(buyer, period, after, limit)
                .await?
        }
        None => {
            app.catalog_of(&key)
                .agreements_below(&key.tenant, period, after, limit)
                .await?
        }
    };
    let (app, key): (&App, &Access) = (&app, &key);
    let page = List::shown(
        found,
        |terms| terms.id.0,
        |terms| async move { shown(app, key, &terms).await },
    );
    Ok(Json(page.await?))
}

/// End an agreement
///
/// A later end than before is subject to the same rules as new terms.
#[utoipa::path(post, path = "/v1/agreements/{agreement}/end", tag = "agreements", params(("agreement" = String, Path, description = "`agr_…`")),
    request_body = AgreementEnd, responses((status = 200, body = AgreementBody)))]
pub async fn end_agreement(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let missing = || ApiProblem::not_found("agreement");
    let id: AgreementId = id.parse().map_err(|_| missing())?;
    let terms = app
        .catalog_of(key)
        .agreement(id)
        .await?
        .ok_or_else(missing)?;
    let buyer = auth::tenant_by_id(app, terms.buyer).await?;
    if !key.sees(&buyer) {
        return Err(missing());
    }
    key.administers(&buyer)?;
    let end: AgreementEnd = write.read()?;
    let work = |actor| async move {
        let until = end.until.unwrap_or_else(|| app.clock.now());
        let terms = app
            .catalog
            .end_agreement(&actor, key.authority(), id, until)
            .await?;
        app.invalidate();
        Ok(Done::ok(shown(app, key, &terms).await?))
    };
    let again = |made| async move {
        Ok(Done::ok(
            shown(app, key, &agreement_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}
