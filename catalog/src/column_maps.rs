//! Column maps saved for imports of CSV files.

use super::tenants::tenant_held;
use super::{Actor, Catalog, CatalogError, Change, Page, Result, audit, check_name, one_more};
use db::sql::{Tx, change, corrupt, look, read, statements, write};
use rating::{Instant, TenantId};
use serde_json::Value;

statements! {
    PUT = "insert into column_maps (root_id, owner_id, name, map_json, updated_at) values ($1, \
        $2, $3, $4, $5)";
    PUT_AGAIN = "update column_maps set map_json = $4, updated_at = $5 where root_id = $1 and \
        owner_id = $2 and name = $3";
    GET = "select owner_id, name, map_json, updated_at from column_maps where owner_id = $1 and \
        name = $2";
    LIST = "select owner_id, name, map_json, updated_at from column_maps where owner_id = $1 and \
        name > $2 order by name limit $3";
    DELETE = "delete from column_maps where owner_id = $1 and name = $2";
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMap {
    pub owner: TenantId,
    /// Unique per owner.
    pub name: String,
    /// Read and checked by the importer.
    pub map: Value,
    pub updated_at: Instant,
}

#[derive(sqlx::FromRow)]
struct MapRow {
    owner_id: i64,
    name: String,
    map_json: String,
    updated_at: i64,
}

impl MapRow {
    fn map(self) -> Result<ColumnMap> {
        let map = serde_json::from_str(&self.map_json).map_err(corrupt)?;
        Ok(ColumnMap {
            owner: TenantId(self.owner_id),
            name: self.name,
            map,
            updated_at: Instant(self.updated_at),
        })
    }
}

async fn map_in(tx: &mut Tx<'_>, owner: TenantId, name: &str) -> Result<Option<ColumnMap>> {
    look!(tx, fetch_optional as MapRow, GET, owner.0, name)?
        .map(MapRow::map)
        .transpose()
}

impl Catalog {
    /// Saves a map, in place of the owner's map of that name.
    pub async fn put_column_map(
        &self,
        actor: &Actor,
        owner: TenantId,
        name: &str,
        map: &Value,
    ) -> Result<()> {
        check_name("name", name)?;
        write!(self, |tx| {
            let root = tenant_held(tx, owner).await?.root;
            let before = map_in(tx, owner, name).await?.map(|before| before.map);
            let put = if before.is_some() { PUT_AGAIN } else { PUT };
            change!(
                tx,
                put,
                root.0,
                owner.0,
                name,
                map.to_string(),
                actor.at.micros()
            )?;
            let (id, after) = (name.to_owned(), Some(map.clone()));
            let change = Change {
                tenant: owner,
                root,
                resource: "column_map",
                id,
                action: "put",
                before,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }

    pub async fn column_map(&self, owner: TenantId, name: &str) -> Result<Option<ColumnMap>> {
        read!(self, fetch_optional as MapRow, GET, owner.0, name)?
            .map(MapRow::map)
            .transpose()
    }

    /// The owner's maps by name.
    pub async fn column_maps(
        &self,
        owner: TenantId,
        after_name: Option<&str>,
        limit: usize,
    ) -> Result<Page<ColumnMap>> {
        let rows = read!(
            self,
            fetch_all as MapRow,
            LIST,
            owner.0,
            after_name.unwrap_or_default(),
            one_more(limit)
        )?;
        Page::of(rows, limit, MapRow::map)
    }

    pub async fn delete_column_map(
        &self,
        actor: &Actor,
        owner: TenantId,
        name: &str,
    ) -> Result<()> {
        write!(self, |tx| {
            let root = tenant_held(tx, owner).await?.root;
            let before = map_in(tx, owner, name)
                .await?
                .ok_or(CatalogError::NotFound { what: "column map" })?;
            change!(tx, DELETE, owner.0, name)?;
            let (id, before) = (name.to_owned(), Some(before.map));
            let change = Change {
                tenant: owner,
                root,
                resource: "column_map",
                id,
                action: "delete",
                before,
                after: None,
            };
            audit::append(tx, actor, &change).await
        })
    }
}
