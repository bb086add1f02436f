//! What is measured. Meters belong to the platform; everybody sees them.

use super::tenants::platform_held;
use super::{
    Actor, Catalog, CatalogError, Change, Page, Result, audit, check_name, conflict, invalid,
    one_more,
};
use db::sql::{change, from_word, look, read, statements, word, write};
use rating::card::{Aggregation, MeterTerms};
use rating::{Instant, ids::MeterId};
use serde_json::json;

macro_rules! columns {
    () => {
        "id, name, unit, aggregation, unique_by, created_at"
    };
}

statements! {
    INSERT = "insert into meters (id, root_id, name, unit, aggregation, unique_by, created_at) \
        values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
    TAKEN = "select id from meters where root_id = $1 and name = $2";
    BY_ID = concat!("select ", columns!(), " from meters where id = $1");
    BY_NAME = concat!("select ", columns!(), " from meters where name = $1");
    CHANGE = "update meters set unit = $2, aggregation = $3, unique_by = $4 where id = $1";
    LIST = concat!("select ", columns!(), " from meters where id > $1 and (cast($2 as text) is \
        null or name = $2) order by id limit $3");
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    pub id: MeterId,
    /// Unique on the platform; never changes.
    pub name: String,
    pub terms: MeterTerms,
    pub created_at: Instant,
}

#[derive(sqlx::FromRow)]
struct MeterRow {
    id: i64,
    name: String,
    unit: String,
    aggregation: String,
    unique_by: Option<String>,
    created_at: i64,
}

impl MeterRow {
    fn meter(self) -> Result<Meter> {
        let aggregation = from_word(&self.aggregation)?;
        let terms = MeterTerms {
            unit: self.unit,
            aggregation,
            unique_by: self.unique_by,
        };
        Ok(Meter {
            id: MeterId(self.id),
            name: self.name,
            terms,
            created_at: Instant(self.created_at),
        })
    }
}

fn check_terms(terms: &MeterTerms) -> Result<()> {
    check_name("unit", &terms.unit)?;
    if (terms.aggregation == Aggregation::Unique) != terms.unique_by.is_some() {
        return Err(invalid(
            "unique_by",
            "expected with aggregation `unique`, and only with it",
        ));
    }
    Ok(())
}

impl Catalog {
    /// Other terms for a meter of which the caller has made sure that there is no usage yet.
    pub async fn change_meter(
        &self,
        actor: &Actor,
        id: MeterId,
        terms: &MeterTerms,
    ) -> Result<Meter> {
        check_terms(terms)?;
        write!(self, |tx| {
            let platform = platform_held(tx).await?;
            let found = look!(tx, fetch_optional as MeterRow, BY_ID, id.0)?;
            let meter = found
                .ok_or(CatalogError::NotFound { what: "meter" })?
                .meter()?;
            if meter.terms == *terms {
                return Ok(meter);
            }
            let aggregation = word(&terms.aggregation)?;
            change!(
                tx,
                CHANGE,
                id.0,
                terms.unit.as_str(),
                aggregation,
                terms.unique_by.as_deref()
            )?;
            let shown = |terms: &MeterTerms| json!({ "unit": terms.unit, "aggregation": terms.aggregation, "unique_by": terms.unique_by });
            let (before, after) = (Some(shown(&meter.terms)), Some(shown(terms)));
            let change = Change {
                tenant: platform,
                root: platform,
                resource: "meter",
                id: id.to_string(),
                action: "change",
                before,
                after,
            };
            audit::append(tx, actor, &change).await?;
            Ok(Meter {
                terms: terms.clone(),
                ..meter
            })
        })
    }

    pub async fn create_meter(&self, actor: &Actor, meter: &Meter) -> Result<()> {
        check_name("name", &meter.name)?;
        check_terms(&meter.terms)?;
        write!(self, |tx| {
            let platform = platform_held(tx).await?;
            let Meter {
                id,
                name,
                terms,
                created_at,
            } = meter;
            if look!(
                tx,
                fetch_optional as (i64,),
                TAKEN,
                platform.0,
                name.as_str()
            )?
            .is_some()
            {
                return Err(conflict("name", format!("there is a meter {name} already")));
            }
            let aggregation = word(&terms.aggregation)?;
            let (unit, unique_by) = (terms.unit.as_str(), terms.unique_by.as_deref());
            if change!(
                tx,
                INSERT,
                id.0,
                platform.0,
                name.as_str(),
                unit,
                aggregation,
                unique_by,
                created_at.micros()
            )? == 0
            {
                return Err(conflict("id", "it is taken"));
            }
            let after = Some(
                json!({ "name": name, "unit": unit, "aggregation": terms.aggregation, "unique_by": unique_by }),
            );
            let change = Change {
                tenant: platform,
                root: platform,
                resource: "meter",
                id: id.to_string(),
                action: "create",
                before: None,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }

    pub async fn meter(&self, id: MeterId) -> Result<Option<Meter>> {
        read!(self, fetch_optional as MeterRow, BY_ID, id.0)?
            .map(MeterRow::meter)
            .transpose()
    }

    pub async fn meter_by_name(&self, name: &str) -> Result<Option<Meter>> {
        read!(self, fetch_optional as MeterRow, BY_NAME, name)?
            .map(MeterRow::meter)
            .transpose()
    }

    /// Of any name, or of this one.
    pub async fn meters(
        &self,
        name: Option<&str>,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Page<Meter>> {
        let rows = read!(
            self,
            fetch_all as MeterRow,
            LIST,
            after.map_or(0, |id| id.0),
            name,
            one_more(limit)
        )?;
        Page::of(rows, limit, MeterRow::meter)
    }
}
