//! First start, facts about this database, settings, and counts for health.

use super::bulk::{NewTenant, insert};
use super::tenants::{platform_held, platform_in, summary};
use super::{Actor, Catalog, CatalogError, Change, Result, audit, check_name, invalid, keys};
use db::Db;
use db::sql::{change, corrupt, look, read, statements, write};
use serde_json::{Value, json};
use tenants::{ApiKey, Tenant, TenantKind};

statements! {
    META = "select value from meta where name = $1";
    /// PostgreSQL only: on SQLite there is one process, which knows what it changed.
    VERSION = "select coalesce(sum(version), 0)::bigint from versions";
    SETTING = "select value_json from settings where name = $1";
    SET = "insert into settings (root_id, name, value_json, updated_at) values ($1, $2, $3, $4)";
    SET_AGAIN = "update settings set value_json = $3, updated_at = $4 where root_id = $1 and name \
        = $2";
    COUNTS = concat!(
        "select (select count(*) from tenants) as tenants, (select count(*) from tenants where \
            closed_at is not null) as closed,",
        " (select count(*) from agreements) as agreements, (select count(*) from meters) as \
            meters, (select count(*) from rate_cards) as rate_cards,",
        " (select count(*) from card_versions) as card_versions, (select count(*) from api_keys) \
            as api_keys,",
        " (select count(*) from audit_log) as audit_entries, (select count(*) from idempotency) \
            as idempotency_keys"
    );
}

/// What [`Catalog::ensure_platform`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platform {
    /// First start: the platform and its admin key were created as given.
    Created(Tenant),
    /// It was there; nothing was changed.
    Existing(Tenant),
}

/// Rows by resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow, serde::Serialize)]
pub struct Counts {
    pub tenants: i64,
    /// Of the tenants.
    pub closed: i64,
    pub agreements: i64,
    pub meters: i64,
    pub rate_cards: i64,
    pub card_versions: i64,
    pub api_keys: i64,
    pub audit_entries: i64,
    pub idempotency_keys: i64,
}

impl Catalog {
    /// Creates the platform and its admin key unless there is a platform.
    pub async fn ensure_platform(
        &self,
        actor: &Actor,
        new: &NewTenant,
        key: &ApiKey,
    ) -> Result<Platform> {
        let made = write!(self, |tx| {
            if let Some(platform) = platform_in(tx).await? {
                return Ok(Platform::Existing(platform));
            }
            let tenant = &new.tenant;
            if tenant.kind != TenantKind::Platform || key.tenant != tenant.id {
                return Err(invalid("kind", "expected the platform and a key of it"));
            }
            insert(tx, std::slice::from_ref(new)).await?;
            let (id, after) = (tenant.id.to_string(), Some(summary(tenant)));
            let change = Change {
                tenant: tenant.id,
                root: tenant.root,
                resource: "tenant",
                id,
                action: "create",
                before: None,
                after,
            };
            audit::append(tx, actor, &change).await?;
            keys::insert(tx, actor, key).await?;
            Ok(Platform::Created(tenant.clone()))
        });
        match (made, self.platform().await?) {
            // Another process was faster.
            (Err(CatalogError::Conflict { .. }), Some(platform)) => {
                Ok(Platform::Existing(platform))
            }
            (made, _) => made,
        }
    }

    /// A fact about this database that never changes once it is there (its secret, its format).
    pub async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(read!(self, fetch_optional as (Vec<u8>,), META, name)?.map(|(value,)| value))
    }

    /// A number that differs whenever any process has changed a record that may be kept in memory.
    /// `None`: no other process can.
    pub async fn shared_version(&self) -> Result<Option<i64>> {
        match &self.db {
            Db::Sqlite(_) => Ok(None),
            Db::Postgres(_) => Ok(Some(read!(self, fetch_one as (i64,), VERSION)?.0)),
        }
    }

    pub async fn setting(&self, name: &str) -> Result<Option<Value>> {
        let row = read!(self, fetch_optional as (String,), SETTING, name)?;
        Ok(row
            .map(|(text,)| serde_json::from_str(&text).map_err(corrupt))
            .transpose()?)
    }

    /// Settings are shown in the audit log: no secrets.
    pub async fn set_setting(&self, actor: &Actor, name: &str, value: &Value) -> Result<()> {
        check_name("name", name)?;
        write!(self, |tx| {
            let platform = platform_held(tx).await?;
            let before = look!(tx, fetch_optional as (String,), SETTING, name)?;
            let set = if before.is_some() { SET_AGAIN } else { SET };
            change!(
                tx,
                set,
                platform.0,
                name,
                value.to_string(),
                actor.at.micros()
            )?;
            let before = before
                .map(|(text,)| serde_json::from_str(&text).map_err(corrupt))
                .transpose()?;
            let (id, after) = (name.to_owned(), Some(json!(value)));
            let change = Change {
                tenant: platform,
                root: platform,
                resource: "setting",
                id,
                action: "set",
                before,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }

    pub async fn counts(&self) -> Result<Counts> {
        Ok(read!(self, fetch_one as Counts, COUNTS)?)
    }
}
