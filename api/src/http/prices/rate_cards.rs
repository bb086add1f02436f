//! `/v1/rate-cards`: a seller's price books. Their prices are in the versions.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::RateCard;
use problem::Code;
use rating::{Currency, RateCardId};
use serde::{Deserialize, Serialize};
use tenants::{Tenant, TenantKind};
use web::auth::{self, Access, MayRead, MayWrite, tenant_named};
use web::page::{List, PageQuery};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write};

/// A seller's rate card.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RateCard)]
pub struct RateCardBody {
    #[schema(example = "crd_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "retail")]
    pub name: String,
    /// External id of the seller.
    #[schema(example = "muster-telecom")]
    pub owner: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(format = DateTime)]
    pub created_at: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRateCard, example = json!({"name": "retail", "currency": "EUR", "owner": "muster-telecom"}))]
pub struct NewRateCardBody {
    /// Unique per seller.
    pub name: String,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// The seller, by external id or `ten_…`. Default: the key's own tenant.
    pub owner: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RateCardsQuery {
    /// External id or `ten_…` of a seller. Default: every seller in the key's subtree.
    pub owner: Option<String>,
    /// Exact name: at most one card per seller.
    pub name: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Whose card a name in the path is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OwnerQuery {
    /// Seller of the card named in the path, by external id or `ten_…`. Default: the key's own
    /// tenant.
    pub owner: Option<String>,
}

/// The card of a path.
///
/// # Errors
/// `not_found` for what is outside the key's subtree.
pub async fn card_at(
    app: &App,
    access: &Access,
    name: &str,
    query: &OwnerQuery,
) -> Result<RateCard, ApiProblem> {
    match &query.owner {
        Some(owner) => {
            card_named(
                app,
                access,
                name,
                Some(&*tenant_named(app, access, owner).await?),
            )
            .await
        }
        None => card_named(app, access, name, None).await,
    }
}

/// A card by `crd_…`, or by its name under `owner` (default: the key's own tenant).
///
/// # Errors
/// `not_found` for what is outside the key's subtree.
pub async fn card_named(
    app: &App,
    access: &Access,
    name: &str,
    owner: Option<&Tenant>,
) -> Result<RateCard, ApiProblem> {
    let found = match name.parse::<RateCardId>() {
        Ok(id) => app.catalog_of(access).card(id).await?,
        Err(_) => {
            app.catalog_of(access)
                .card_by_name(owner.unwrap_or(&access.tenant).id, name)
                .await?
        }
    };
    let card = found.ok_or_else(|| ApiProblem::not_found("rate card"))?;
    let owner = auth::tenant_by_id(app, card.owner).await?;
    if access.sees(&owner) {
        Ok(card)
    } else {
        Err(ApiProblem::not_found("rate card"))
    }
}

async fn shown(app: &App, card: &RateCard) -> Result<RateCardBody, ApiProblem> {
    Ok(RateCardBody {
        id: card.id.to_string(),
        name: card.name.clone(),
        owner: auth::tenant_by_id(app, card.owner)
            .await?
            .external_id
            .clone(),
        currency: card.currency.code(),
        created_at: card.created_at.to_string(),
    })
}

/// Create a rate card
#[utoipa::path(post, path = "/v1/rate-cards", tag = "rate-cards", request_body = NewRateCardBody, responses((status = 201, body = RateCardBody)))]
pub async fn create_rate_card(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewRateCardBody = write.read()?;
    let owner = auth::tenant_or_own(app, key, new.owner.as_deref())
        .await
        .map_err(|refused| at_field(refused, "owner"))?;
    if owner.kind == TenantKind::Customer {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "owner",
            "a customer cannot own a rate card",
        ));
    }
    let card = RateCard {
        id: RateCardId(app.clock.id()),
        owner: owner.id,
        root: owner.root,
        name: new.name,
        currency: new.currency,
        created_at: app.clock.now(),
    };
    let work = |actor| async move {
        app.catalog.create_card(&actor, &card).await?;
        app.invalidate();
        Ok(Done::created(shown(app, &card).await?))
    };
    let again = |made: Made| async move {
        let card = app
            .catalog
            .card(made.id()?)
            .await?
            .ok_or_else(|| ApiProblem::not_found("rate card"))?;
        Ok(Done::created(shown(app, &card).await?))
    };
    write.once(app, key, work, again).await
}

/// Read a rate card
#[utoipa::path(get, path = "/v1/rate-cards/{card}", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), OwnerQuery), responses((status = 200, body = RateCardBody)))]
pub async fn get_rate_card(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
    Query(owner): Query<OwnerQuery>,
) -> Result<Json<RateCardBody>, ApiProblem> {
    let card = card_at(&app, &key, &name, &owner).await?;
    Ok(Json(shown(&app, &card).await?))
}

/// List rate cards
#[utoipa::path(get, path = "/v1/rate-cards", tag = "rate-cards", params(RateCardsQuery), responses((status = 200, body = List<RateCardBody>)))]
pub async fn list_rate_cards(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<RateCardsQuery>,
) -> Result<Json<List<RateCardBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(RateCardId), page.limit()?);
    let name = query.name.as_deref();
    let found = match &query.owner {
        Some(owner) => {
            let owner = tenant_named(&app, &key, owner).await?.id;
            app.catalog_of(&key)
                .cards_by_owner(owner, name, after, limit)
                .await?
        }
        None => {
            app.catalog_of(&key)
                .cards_below(&key.tenant, name, after, limit)
                .await?
        }
    };
    let app = &app;
    let page = List::shown(
        found,
        |card| card.id.0,
        |card| async move { shown(app, &card).await },
    );
    Ok(Json(page.await?))
}
