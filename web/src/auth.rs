//! Who asks, and what may they do? `Authorization: Bearer cw_…` (or HTTP basic with the key as
//! password) → an API key with a scope and a subtree.
//!
//! A handler cannot learn the caller without naming what it needs: [`MayRead`], [`MayAsk`],
//! [`MayUse`], [`MayWrite`], [`MayOperate`]. A scope that does not suffice is 403, whatever was
//! asked for; anything outside the key's subtree is 404, whether it exists or not.
//!
//! Keys are kept in memory until the next cold write: revoking one takes effect at once.

pub use crate::access::Access;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use base64::Engine as _;
use catalog::CatalogError;
use problem::Code;
use rating::TenantId;
use std::str::FromStr;
use std::sync::Arc;
use tenants::key::Need;
use tenants::{Scope, Tenant};

/// The key of a request.
///
/// # Errors
/// `unauthorized`: no key, or one that is unknown, expired or revoked (never which of them).
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Arc<Access>, ApiProblem> {
    let refused = || {
        ApiProblem::new(
            Code::Unauthorized,
            "send a valid key as Authorization: Bearer cw_…",
        )
    };
    let secret = secret_of(headers).ok_or_else(refused)?;
    let hash = tenants::key::hash(&secret);
    let access = app
        .keys
        .get_or_read(hash, load(app, hash))
        .await?
        .ok_or_else(refused)?;
    let now = app.clock.now();
    access.key.check(&secret, now).map_err(|_| refused())?;
    app.key_uses.note(access.key.id, now);
    Ok(access)
}

async fn load(app: &App, hash: [u8; 32]) -> Result<Option<Arc<Access>>, ApiProblem> {
    let Some(key) = app.catalog.key_by_hash(&hash).await? else {
        return Ok(None);
    };
    let Some(tenant) = app.catalog.tenant(key.tenant).await? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Access { key, tenant })))
}

/// The secret, as a bearer token or as the password of HTTP basic (all that some switches can
/// send).
fn secret_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(
            base64::engine::general_purpose::STANDARD
                .decode(rest.trim())
                .ok()?,
        )
        .ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    tenants::key::is_secret(&secret).then_some(secret)
}

/// A key whose scope does not suffice, and which ones would.
fn not_with(scope: Scope, need: Need) -> ApiProblem {
    let enough: Vec<String> = Scope::ALL
        .iter()
        .filter(|scope| scope.allows(need))
        .map(|scope| format!("`{}`", scope.name()))
        .collect();
    let detail = format!(
        "this request needs a key with the scope {}; this key has the scope `{}`",
        enough.join(" or "),
        scope.name()
    );
    ApiProblem::new(Code::Forbidden, detail)
}

macro_rules! permission {
    ($(#[$doc:meta])* $name:ident, $need:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Arc<Access>);

        impl std::ops::Deref for $name {
            type Target = Access;
            fn deref(&self) -> &Access {
                &self.0
            }
        }

        impl FromRequestParts<App> for $name {
            type Rejection = ApiProblem;
            async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiProblem> {
                let access = parts.extensions.get::<Arc<Access>>().cloned();
                let access = access.ok_or_else(|| ApiProblem::new(Code::Unauthorized, "send a valid \
                    key as Authorization: Bearer cw_…"))?;
                if access.key.scope.allows(Need::$need) { Ok(Self(access)) } else { Err(not_with(access.key.scope, Need::$need)) }
            }
        }
    };
}

permission!(/// Reads in the subtree.
    MayRead, Read);
permission!(/// Asks for balances and prices.
    MayAsk, Ask);
permission!(/// Sends usage, places holds.
    MayUse, UsageWrite);
permission!(/// Changes records and money in the subtree.
    MayWrite, TenantWrite);
permission!(/// Runs the platform.
    MayOperate, PlatformWrite);
permission!(/// Reads the installation's measures.
    MayMeasure, Measure);

/// A tenant named in a path or body, by external id or `ten_…`.
///
/// # Errors
/// `not_found` for what is outside the key's subtree, `ambiguous_id` for a name that two roots use,
/// and the key's own does not.
pub async fn tenant_named(
    app: &App,
    access: &Access,
    name: &str,
) -> Result<Arc<Tenant>, ApiProblem> {
    let read = async {
        let tenant = match name.parse::<TenantId>() {
            Ok(id) => app
                .catalog_of(access)
                .tenant(id)
                .await?
                .filter(|tenant| access.sees(tenant)),
            Err(_) => {
                app.catalog_of(access)
                    .tenant_by_external_id(&access.tenant, name)
                    .await?
            }
        };
        Ok::<_, ApiProblem>(tenant.map(Arc::new))
    };
    found(
        app.tenants_by_name
            .get_or_read((access.key.tenant, name.to_owned()), read)
            .await?,
    )
}

/// A tenant by id, seen or not: for showing its external id.
pub async fn tenant_by_id(app: &App, id: TenantId) -> Result<Arc<Tenant>, ApiProblem> {
    Ok(app.sources.tenant(id).await?)
}

/// The tenant that a call names; the key's own if it names none.
///
/// # Errors
/// As [`tenant_named`].
pub async fn tenant_or_own(
    app: &App,
    access: &Access,
    name: Option<&str>,
) -> Result<Arc<Tenant>, ApiProblem> {
    match name {
        Some(name) => tenant_named(app, access, name).await,
        None => tenant_by_id(app, access.key.tenant).await,
    }
}

/// What belongs to a tenant of the key's subtree.
///
/// # Errors
/// `not_found` for everything else, and for what is no id.
pub async fn visible<I: FromStr, T, F: Future<Output = Result<Option<T>, CatalogError>>>(
    app: &App,
    access: &Access,
    what: &str,
    id: &str,
    find: impl FnOnce(I) -> F,
    owner: impl FnOnce(&T) -> TenantId,
) -> Result<T, ApiProblem> {
    let missing = || ApiProblem::not_found(what);
    let id: I = id.parse().map_err(|_| missing())?;
    let it = find(id).await?.ok_or_else(missing)?;
    let tenant = tenant_by_id(app, owner(&it)).await?;
    if access.sees(&tenant) {
        Ok(it)
    } else {
        Err(missing())
    }
}

fn found(tenant: Option<Arc<Tenant>>) -> Result<Arc<Tenant>, ApiProblem> {
    tenant.ok_or_else(|| ApiProblem::not_found("tenant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_bearer_secrets_of_ours_are_looked_up() {
        let secret = tenants::key::new_secret([7; 32]);
        for (value, ours) in [
            (format!("Bearer {secret}"), true),
            (format!("bearer {secret}"), true),
            (format!("Basic {secret}"), false),
            (
                format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(format!("switch:{secret}"))
                ),
                true,
            ),
            ("Bearer cw_abc".to_owned(), false),
            (secret.clone(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_str(&value).unwrap(),
            );
            assert_eq!(secret_of(&headers), ours.then(|| secret.clone()), "{value}");
        }
        assert_eq!(secret_of(&HeaderMap::new()), None);
    }
}
