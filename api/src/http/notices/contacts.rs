//! `/v1/contacts`: whom to write to, in which language, and of what.

use crate::http::notices::webhook_endpoints::wanted_kinds;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n::Locale;
use notices::rows::{Contact, ContactPatch, NoticeKind, NoticeRows, Wanted};
use problem::Code;
use rating::ids::ContactId;
use schema::words;
use serde::{Deserialize, Serialize};
use web::auth::{self, Access, MayRead, MayWrite};
use web::page::{List, PageQuery};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write, knowing};

/// An email address that receives notices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Contact)]
pub struct ContactBody {
    #[schema(example = "ctc_0dks8xn2a4m1c")]
    pub id: String,
    /// External id of the tenant it belongs to.
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "billing@acme.example")]
    pub address: String,
    /// `de`, `en` or `fr`.
    #[schema(value_type = words::Locale, example = "de")]
    pub locale: String,
    /// Kinds of notices. Empty: every kind.
    #[schema(value_type = Vec<words::NoticeKind>, example = json!(["balance.low", "top_up.succeeded"]))]
    pub kinds: Vec<NoticeKind>,
    /// Whether it also receives notices about tenants below.
    pub subtree: bool,
    #[schema(format = DateTime)]
    pub created_at: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewContact, example = json!({"address": "billing@acme.example", "locale": "de", "kinds": ["balance.low"], "tenant": "acme-42"}))]
pub struct NewContactBody {
    pub address: String,
    /// `de`, `en` or `fr`. Default: `en`.
    #[schema(value_type = Option<words::Locale>)]
    pub locale: Option<String>,
    /// Default: the key's own tenant.
    pub tenant: Option<String>,
    /// Default: every kind.
    #[serde(default)]
    #[schema(value_type = Vec<words::NoticeKind>)]
    pub kinds: Vec<NoticeKind>,
    /// Whether it also receives notices about tenants below. Default: no.
    #[serde(default)]
    pub subtree: bool,
}

/// Fields to change. Omitted fields stay as they are.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactChange, example = json!({"locale": "fr"}))]
pub struct ContactChange {
    pub address: Option<String>,
    #[schema(value_type = Option<words::Locale>)]
    pub locale: Option<String>,
    /// Kinds of notices. Empty: every kind.
    #[schema(value_type = Option<Vec<words::NoticeKind>>)]
    pub kinds: Option<Vec<NoticeKind>>,
    pub subtree: Option<bool>,
}

fn checked_locale(locale: &str) -> Result<String, ApiProblem> {
    let locale: Locale = locale.parse().map_err(|error: i18n::UnknownLocale| {
        ApiProblem::field(Code::InvalidField, "locale", error.to_string())
    })?;
    Ok(locale.code().to_owned())
}

fn check_address(address: &str) -> Result<(), ApiProblem> {
    if notices::mail::is_address(address) {
        return Ok(());
    }
    Err(ApiProblem::field(
        Code::InvalidField,
        "address",
        "expected an e-mail address, such as billing@example.com",
    ))
}

async fn shown(app: &App, contact: &Contact) -> Result<ContactBody, ApiProblem> {
    Ok(ContactBody {
        id: contact.id.to_string(),
        tenant: auth::tenant_by_id(app, contact.tenant)
            .await?
            .external_id
            .clone(),
        address: contact.address.clone(),
        locale: contact.locale.clone(),
        kinds: contact.wanted.kinds.clone().unwrap_or_default(),
        subtree: contact.wanted.subtree,
        created_at: contact.created_at.to_string(),
    })
}

async fn visible_contact(app: &App, access: &Access, id: &str) -> Result<Contact, ApiProblem> {
    let catalog = app.catalog_of(access);
    let find = |id: ContactId| async move { NoticeRows::of(&catalog).contact(id).await };
    auth::visible(app, access, "contact", id, find, |contact| contact.tenant).await
}

/// Add an address that receives notices
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", request_body = NewContactBody, responses((status = 201, body = ContactBody)))]
pub async fn create_contact(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewContactBody = write.read()?;
    let tenant = auth::tenant_or_own(app, key, new.tenant.as_deref())
        .await
        .map_err(|refused| at_field(refused, "tenant"))?;
    check_address(&new.address)?;
    let contact = Contact {
        id: ContactId(app.clock.id()),
        root: tenant.root,
        tenant: tenant.id,
        address: new.address,
        locale: new
            .locale
            .as_deref()
            .map_or_else(|| Ok(Locale::default().code().to_owned()), checked_locale)?,
        wanted: Wanted {
            kinds: wanted_kinds(new.kinds)?,
            subtree: new.subtree,
        },
        created_at: app.clock.now(),
    };
    let work = |actor| async move {
        NoticeRows::of(&app.catalog)
            .create_contact(&actor, &contact)
            .await?;
        Ok(Done::created(shown(app, &contact).await?))
    };
    let again = |made| async move {
        Ok(Done::created(
            shown(app, &contact_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}

async fn contact_made(app: &App, made: &Made) -> Result<Contact, ApiProblem> {
    NoticeRows::of(&app.catalog)
        .contact(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("contact"))
}

/// List the addresses of the key's own subtree
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts", params(PageQuery), responses((status = 200, body = List<ContactBody>)))]
pub async fn list_contacts(
    State(app): State<App>,
    key: MayRead,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<ContactBody>>, ApiProblem> {
    let found = NoticeRows::of(&app.catalog_of(&key))
        .contacts_below(&key.tenant, page.after()?.map(ContactId), page.limit()?)
        .await?;
    let app = &app;
    let page = List::shown(
        found,
        |contact| contact.id.0,
        |contact| async move { shown(app, &contact).await },
    );
    Ok(Json(page.await?))
}

/// Change an address, its language or its kinds
#[utoipa::path(patch, path = "/v1/contacts/{contact}", tag = "contacts", params(("contact" = String, Path, description = "`ctc_…`")),
    request_body = ContactChange, responses((status = 200, body = ContactBody)))]
pub async fn change_contact(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let contact = visible_contact(app, key, &id).await?;
    let change: ContactChange = write.read()?;
    if let Some(address) = &change.address {
        check_address(address)?;
    }
    let locale = change.locale.as_deref().map(checked_locale).transpose()?;
    let kinds = change.kinds.map(wanted_kinds).transpose()?;
    let patch = ContactPatch {
        address: change.address,
        locale,
        kinds,
        subtree: change.subtree,
    };
    let work = |actor| async move {
        let changed = NoticeRows::of(&app.catalog)
            .change_contact(&actor, contact.id, patch)
            .await?;
        Ok(Done::ok(shown(app, &changed).await?))
    };
    let again = |made| async move {
        Ok(Done::ok(
            shown(app, &contact_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}

/// Remove an address and give up pending messages to it
#[utoipa::path(delete, path = "/v1/contacts/{contact}", tag = "contacts", params(("contact" = String, Path, description = "`ctc_…`")),
    responses((status = 200, body = ContactBody, description = "The record before its removal")))]
pub async fn delete_contact(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key, id) = (&app, &key, &id);
    let work = |actor| async move {
        let contact = visible_contact(app, key, id).await?;
        let was = shown(app, &contact).await?;
        NoticeRows::of(&app.catalog)
            .delete_contact(&knowing(actor, &was)?, contact.id)
            .await?;
        Ok(Done::ok(was))
    };
    let again = |made: Made| async move { Ok(Done::ok(made.known()?)) };
    write.once(app, key, work, again).await
}
