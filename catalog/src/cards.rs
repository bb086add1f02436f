//! A seller's rate cards. Prices are in their versions.

use super::paths::below;
use super::tenants::tenant_held;
use super::{
    Actor, Catalog, CatalogError, Change, Page, Result, audit, check_name, conflict, invalid,
    one_more,
};
use db::sql::{Tx, change, corrupt, fetch_any, look, read, statements, write};
use rating::{Currency, Instant, RateCardId, TenantId};
use serde_json::json;
use std::collections::HashMap;
use tenants::Tenant;

macro_rules! columns {
    () => {
        "c.id, c.root_id, c.owner_id, c.name, c.currency, c.created_at"
    };
}

statements! {
    INSERT = "insert into rate_cards (id, root_id, owner_id, name, currency, created_at) values \
        ($1, $2, $3, $4, $5, $6) on conflict do nothing";
    TAKEN = "select id from rate_cards where owner_id = $1 and name = $2";
    BY_ID = concat!("select ", columns!(), " from rate_cards c where c.id = $1");
    BY_IDS = concat!("select ", columns!(), " from rate_cards c where c.id in ($1)");
    BY_NAME = concat!("select ", columns!(), " from rate_cards c where c.owner_id = $1 and c.name \
        = $2");
    BY_OWNER = concat!(
        "select ", columns!(), " from rate_cards c where c.owner_id = $1 and c.id > $2",
        " and (cast($3 as text) is null or c.name = $3) order by c.id limit $4"
    );
    BELOW = concat!(
        "select ", columns!(), " from rate_cards c join tenants t on t.id = c.owner_id",
        " where t.path >= $1 and t.path < $2 and c.id > $3 and (cast($4 as text) is null or \
            c.name = $4) order by c.id limit $5"
    );
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateCard {
    pub id: RateCardId,
    /// The seller whose prices these are.
    pub owner: TenantId,
    pub root: TenantId,
    /// Unique per owner.
    pub name: String,
    pub currency: Currency,
    pub created_at: Instant,
}

/// What an agreement must know of the card it names.
pub struct CardHead {
    pub owner: TenantId,
    pub currency: Currency,
}

#[derive(sqlx::FromRow)]
pub struct CardRow {
    id: i64,
    root_id: i64,
    owner_id: i64,
    name: String,
    currency: String,
    created_at: i64,
}

impl CardRow {
    fn card(self) -> Result<RateCard> {
        Ok(RateCard {
            id: RateCardId(self.id),
            owner: TenantId(self.owner_id),
            root: TenantId(self.root_id),
            name: self.name,
            currency: self.currency.parse().map_err(corrupt)?,
            created_at: Instant(self.created_at),
        })
    }
}

pub async fn heads_in(
    tx: &mut Tx<'_>,
    ids: &[RateCardId],
) -> Result<HashMap<RateCardId, CardHead>> {
    let rows = fetch_any!(tx tx, CardRow, BY_IDS, ids);
    let cards = rows.into_iter().map(CardRow::card);
    cards
        .map(|card| {
            card.map(|card| {
                (
                    card.id,
                    CardHead {
                        owner: card.owner,
                        currency: card.currency,
                    },
                )
            })
        })
        .collect()
}

pub async fn card_in(tx: &mut Tx<'_>, id: RateCardId) -> Result<Option<RateCard>> {
    look!(tx, fetch_optional as CardRow, BY_ID, id.0)?
        .map(CardRow::card)
        .transpose()
}

/// The card as it is and stays until this transaction is over, with its versions.
pub async fn card_held(tx: &mut Tx<'_>, id: RateCardId) -> Result<RateCard> {
    let card = card_in(tx, id)
        .await?
        .ok_or(CatalogError::NotFound { what: "rate card" })?;
    tx.lock(&[card.root]).await?;
    // A card never changes; only its versions come and go.
    Ok(card)
}

impl Catalog {
    pub async fn create_card(&self, actor: &Actor, card: &RateCard) -> Result<()> {
        check_name("name", &card.name)?;
        write!(self, |tx| {
            let owner = tenant_held(tx, card.owner).await?;
            if card.root != owner.root {
                return Err(invalid("root", "expected the owner's root"));
            }
            let name = card.name.as_str();
            if look!(tx, fetch_optional as (i64,), TAKEN, owner.id.0, name)?.is_some() {
                return Err(conflict(
                    "name",
                    format!("its owner has a rate card {name} already"),
                ));
            }
            let (code, created_at) = (card.currency.code(), card.created_at.micros());
            if change!(
                tx,
                INSERT,
                card.id.0,
                owner.root.0,
                owner.id.0,
                name,
                code,
                created_at
            )? == 0
            {
                return Err(conflict("id", "it is taken"));
            }
            let after = Some(json!({ "owner": owner.id, "name": name, "currency": code }));
            let (id, resource) = (card.id.to_string(), "rate_card");
            let change = Change {
                tenant: owner.id,
                root: owner.root,
                resource,
                id,
                action: "create",
                before: None,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }

    pub async fn card(&self, id: RateCardId) -> Result<Option<RateCard>> {
        read!(self, fetch_optional as CardRow, BY_ID, id.0)?
            .map(CardRow::card)
            .transpose()
    }

    pub async fn card_by_name(&self, owner: TenantId, name: &str) -> Result<Option<RateCard>> {
        read!(self, fetch_optional as CardRow, BY_NAME, owner.0, name)?
            .map(CardRow::card)
            .transpose()
    }

    /// Of any name, or of this one.
    pub async fn cards_by_owner(
        &self,
        owner: TenantId,
        name: Option<&str>,
        after: Option<RateCardId>,
        limit: usize,
    ) -> Result<Page<RateCard>> {
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self,
            fetch_all as CardRow,
            BY_OWNER,
            owner.0,
            after,
            name,
            one_more(limit)
        )?;
        Page::of(rows, limit, CardRow::card)
    }

    /// The same owned by `top` or under it.
    pub async fn cards_below(
        &self,
        top: &Tenant,
        name: Option<&str>,
        after: Option<RateCardId>,
        limit: usize,
    ) -> Result<Page<RateCard>> {
        let (first, end) = below(&top.path);
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self,
            fetch_all as CardRow,
            BELOW,
            first,
            end,
            after,
            name,
            one_more(limit)
        )?;
        Page::of(rows, limit, CardRow::card)
    }
}
