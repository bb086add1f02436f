//! Versions of a rate card: drafts are edited, a published one never changes.

use super::audit_heads::{self, Sums, Table};
use super::cards::{card_held, card_in};
use super::tenants::tenant_held;
use super::{
    Actor, Catalog, CatalogError, Change, Page, RateCard, Result, audit, conflict, invalid,
    one_more,
};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, write};
use rating::card::CardDoc;
use rating::{CardVersionId, Currency, Instant, RateCardId, TenantId, ids::ApiKeyId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

macro_rules! columns {
    () => {
        "id, card_id, number, status, effective_from, created_at, created_by, published_at, \
            published_by, approved_by"
    };
}

statements! {
    NEXT_NUMBER = "select coalesce(max(number), 0) + 1 from card_versions where card_id = $1";
    INSERT = "insert into card_versions (id, root_id, card_id, number, status, created_at, \
        created_by, doc) values ($1, $2, $3, $4, 'draft', $5, $6, $7) on conflict do nothing";
    REPLACE = "update card_versions set doc = $2, created_at = $3, created_by = $4 where id = $1 \
        and status = 'draft'";
    PUBLISH = "update card_versions set status = 'published', effective_from = $2, published_at = \
        $3, published_by = $4, approved_by = $5 where id = $1 and status = 'draft'";
    APPROVE = "update card_versions set approved_by = $2 where id = $1 and status = 'published'";
    BY_ID = concat!("select ", columns!(), " from card_versions where id = $1");
    SAME_START = "select number from card_versions where card_id = $1 and effective_from = $2";
    IN_FORCE = "select id from card_versions where card_id = $1 and status = 'published' and \
        effective_from <= $2 order by effective_from desc limit 1";
    LIST = concat!("select ", columns!(), " from card_versions where card_id = $1 and number > $2 \
        order by number limit $3");
    PUBLISHED = concat!("select ", columns!(), " from card_versions where card_id = $1 and status \
        = 'published' order by effective_from");
    DOC = "select card_id, doc from card_versions where id = $1";
    DOC_BYTES = "select cast(length(doc) as bigint) from card_versions where id = $1";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    Draft,
    Published,
}

/// A version without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardVersion {
    pub id: CardVersionId,
    pub card: RateCardId,
    /// 1, 2, 3 … within its card.
    pub number: i64,
    pub status: VersionStatus,
    /// In force from here to the next published version's; published ones only.
    pub effective_from: Option<Instant>,
    /// Of a draft: when it was last replaced.
    pub created_at: Instant,
    pub created_by: Option<ApiKeyId>,
    pub published_at: Option<Instant>,
    pub published_by: Option<ApiKeyId>,
    /// Who published it, or the tenant farthest above who approved it since. `None`: the card's
    /// owner.
    pub approved_by: Option<TenantId>,
}

/// A version made out of another.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion<'a> {
    pub id: CardVersionId,
    /// `None`: the card had no prices.
    pub base: Option<CardVersionId>,
    /// Validated by the caller.
    pub doc: &'a CardDoc,
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    id: i64,
    card_id: i64,
    number: i64,
    status: String,
    effective_from: Option<i64>,
    created_at: i64,
    created_by: Option<i64>,
    published_at: Option<i64>,
    published_by: Option<i64>,
    approved_by: Option<i64>,
}

impl VersionRow {
    fn version(self) -> Result<CardVersion> {
        Ok(CardVersion {
            id: CardVersionId(self.id),
            card: RateCardId(self.card_id),
            number: self.number,
            status: from_word(&self.status)?,
            effective_from: self.effective_from.map(Instant),
            created_at: Instant(self.created_at),
            created_by: self.created_by.map(ApiKeyId),
            published_at: self.published_at.map(Instant),
            published_by: self.published_by.map(ApiKeyId),
            approved_by: self.approved_by.map(TenantId),
        })
    }
}

/// What the audit log shows of a version: the document by its digest and size.
fn summary(version: &CardVersion, doc: Option<&[u8]>) -> Value {
    json!({
        "card": version.card, "number": version.number, "status": version.status, "effective_from": version.effective_from,
        "doc_blake3": doc.map(|doc| blake3::hash(doc).to_hex().to_string()), "doc_bytes": doc.map(<[u8]>::len),
    })
}

fn changed(
    card: &RateCard,
    id: CardVersionId,
    action: &'static str,
    before: Option<Value>,
    after: Value,
) -> Change {
    let after = Some(after);
    Change {
        tenant: card.owner,
        root: card.root,
        resource: "rate_card_version",
        id: id.to_string(),
        action,
        before,
        after,
    }
}

/// A document as stored: compact JSON. Made before the writer is taken, as a deck takes its time.
struct Encoded {
    currency: Currency,
    json: Vec<u8>,
}

impl Encoded {
    fn of(doc: &CardDoc) -> Result<Self> {
        let json = serde_json::to_vec(doc).map_err(|error| invalid("doc", error.to_string()))?;
        Ok(Self {
            currency: doc.currency,
            json,
        })
    }

    fn fit_for(&self, card: &RateCard) -> Result<&[u8]> {
        if self.currency == card.currency {
            Ok(&self.json)
        } else {
            Err(invalid(
                "currency",
                format!("the rate card is in {}", card.currency),
            ))
        }
    }
}

async fn draft_in(tx: &mut Tx<'_>, id: CardVersionId) -> Result<(CardVersion, RateCard)> {
    let row = look!(&mut *tx, fetch_optional as VersionRow, BY_ID, id.0)?;
    let version = row
        .ok_or(CatalogError::NotFound {
            what: "rate card version",
        })?
        .version()?;
    if version.status == VersionStatus::Published {
        return Err(conflict("status", "a published version never changes"));
    }
    let card = card_in(tx, version.card)
        .await?
        .ok_or(CatalogError::NotFound { what: "rate card" })?;
    Ok((version, card))
}

/// The draft as it is and stays until this transaction is over.
async fn draft_held(tx: &mut Tx<'_>, id: CardVersionId) -> Result<(CardVersion, RateCard)> {
    let (_, card) = draft_in(tx, id).await?;
    tx.lock(&[card.root]).await?;
    draft_in(tx, id).await
}

async fn insert_draft(
    tx: &mut Tx<'_>,
    actor: &Actor,
    card: &RateCard,
    id: CardVersionId,
    doc: &Encoded,
) -> Result<CardVersion> {
    let doc = doc.fit_for(card)?;
    let (number,) = look!(&mut *tx, fetch_one as (i64,), NEXT_NUMBER, card.id.0)?;
    let by = actor.key.map(|key| key.0);
    if change!(
        &mut *tx,
        INSERT,
        id.0,
        card.root.0,
        card.id.0,
        number,
        actor.at.micros(),
        by,
        doc
    )? == 0
    {
        return Err(conflict("id", "it is taken"));
    }
    let version = CardVersion {
        id,
        card: card.id,
        number,
        status: VersionStatus::Draft,
        effective_from: None,
        created_at: actor.at,
        created_by: actor.key,
        published_at: None,
        published_by: None,
        approved_by: None,
    };
    audit::append(
        tx,
        actor,
        &changed(card, id, "create", None, summary(&version, Some(doc))),
    )
    .await?;
    Ok(version)
}

async fn publish_in(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: CardVersionId,
    effective_from: Instant,
) -> Result<CardVersion> {
    let (mut version, card) = draft_in(tx, id).await?;
    let from = effective_from.micros();
    if let Some((other,)) = look!(
        &mut *tx,
        fetch_optional as (i64,),
        SAME_START,
        card.id.0,
        from
    )? {
        return Err(conflict(
            "effective_from",
            format!("version {other} takes effect at that instant"),
        ));
    }
    let before = summary(&version, None);
    if change!(
        &mut *tx,
        PUBLISH,
        id.0,
        from,
        actor.at.micros(),
        actor.key.map(|key| key.0),
        actor.tenant.0
    )? == 0
    {
        return Err(conflict("status", "a published version never changes"));
    }
    audit_heads::changed(tx, Table::Versions, &Sums::new(), &[id.0]).await?;
    version.approved_by = Some(actor.tenant);
    version.status = VersionStatus::Published;
    version.effective_from = Some(effective_from);
    (version.published_at, version.published_by) = (Some(actor.at), actor.key);
    audit::append(
        tx,
        actor,
        &changed(&card, id, "publish", Some(before), summary(&version, None)),
    )
    .await?;
    Ok(version)
}

impl Catalog {
    /// Adds a draft with the card's next number. The document is validated by the caller.
    pub async fn create_draft(
        &self,
        actor: &Actor,
        card: RateCardId,
        id: CardVersionId,
        doc: &CardDoc,
    ) -> Result<CardVersion> {
        let doc = Encoded::of(doc)?;
        write!(self, |tx| {
            let card = card_held(tx, card).await?;
            insert_draft(tx, actor, &card, id, &doc).await
        })
    }

    /// Adds a version and puts it in force, both or neither: prices made out of `base`, the version
    /// in force at that instant, which must still be it.
    pub async fn create_published(
        &self,
        actor: &Actor,
        card: RateCardId,
        new: &NewVersion<'_>,
        effective_from: Instant,
    ) -> Result<CardVersion> {
        let doc = Encoded::of(new.doc)?;
        write!(self, |tx| {
            let held = card_held(tx, card).await?;
            let base = look!(
                tx,
                fetch_optional as (i64,),
                IN_FORCE,
                card.0,
                effective_from.micros()
            )?;
            if base.map(|(id,)| CardVersionId(id)) != new.base {
                return Err(conflict(
                    "effective_from",
                    "another version was published meanwhile; try again",
                ));
            }
            insert_draft(tx, actor, &held, new.id, &doc).await?;
            publish_in(tx, actor, new.id, effective_from).await
        })
    }

    pub async fn replace_draft(
        &self,
        actor: &Actor,
        id: CardVersionId,
        doc: &CardDoc,
    ) -> Result<CardVersion> {
        let doc = Encoded::of(doc)?;
        write!(self, |tx| {
            let (mut version, card) = draft_held(tx, id).await?;
            let doc = doc.fit_for(&card)?;
            let before = summary(&version, None);
            (version.created_at, version.created_by) = (actor.at, actor.key);
            if change!(
                tx,
                REPLACE,
                id.0,
                doc,
                actor.at.micros(),
                actor.key.map(|key| key.0)
            )? == 0
            {
                return Err(conflict("status", "a published version never changes"));
            }
            audit::append(
                tx,
                actor,
                &changed(
                    &card,
                    id,
                    "replace",
                    Some(before),
                    summary(&version, Some(doc)),
                ),
            )
            .await?;
            Ok(version)
        })
    }

    /// Puts a draft in force from an instant on; from here it never changes.
    pub async fn publish(
        &self,
        actor: &Actor,
        id: CardVersionId,
        effective_from: Instant,
    ) -> Result<CardVersion> {
        write!(self, |tx| {
            draft_held(tx, id).await?;
            publish_in(tx, actor, id, effective_from).await
        })
    }

    /// A seller above the card's owner lets those below sell at these prices under its commission.
    /// Who is farthest above speaks for all between; the prices stay as they are.
    pub async fn approve(&self, actor: &Actor, id: CardVersionId) -> Result<CardVersion> {
        write!(self, |tx| {
            let found = look!(&mut *tx, fetch_optional as VersionRow, BY_ID, id.0)?;
            let version = found
                .ok_or(CatalogError::NotFound {
                    what: "rate card version",
                })?
                .version()?;
            let card = card_held(tx, version.card).await?;
            let mut version = look!(&mut *tx, fetch_one as VersionRow, BY_ID, id.0)?.version()?;
            if version.status != VersionStatus::Published {
                return Err(conflict(
                    "status",
                    "only a published version can be approved",
                ));
            }
            let path = tenant_held(tx, card.owner).await?.path;
            let level = |tenant: TenantId| {
                path.iter()
                    .position(|one| *one == tenant)
                    .unwrap_or(path.len())
            };
            if level(actor.tenant) >= level(version.approved_by.unwrap_or(card.owner)) {
                return Ok(version);
            }
            let before = json!({ "approved_by": version.approved_by });
            let sums = audit_heads::sums_of(tx, Table::Versions, &[id.0]).await?;
            change!(&mut *tx, APPROVE, id.0, actor.tenant.0)?;
            audit_heads::changed(tx, Table::Versions, &sums, &[id.0]).await?;
            version.approved_by = Some(actor.tenant);
            let after = json!({ "approved_by": version.approved_by });
            audit::append(
                tx,
                actor,
                &changed(&card, id, "approve", Some(before), after),
            )
            .await?;
            Ok(version)
        })
    }

    pub async fn version(&self, id: CardVersionId) -> Result<Option<CardVersion>> {
        read!(self, fetch_optional as VersionRow, BY_ID, id.0)?
            .map(VersionRow::version)
            .transpose()
    }

    /// Drafts and published versions by number.
    pub async fn versions(
        &self,
        card: RateCardId,
        after_number: Option<i64>,
        limit: usize,
    ) -> Result<Page<CardVersion>> {
        let after = after_number.unwrap_or(0);
        let rows = read!(
            self,
            fetch_all as VersionRow,
            LIST,
            card.0,
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, VersionRow::version)
    }

    /// Every published version, by the instant it takes effect.
    pub async fn published_versions(&self, card: RateCardId) -> Result<Vec<CardVersion>> {
        let rows = read!(self, fetch_all as VersionRow, PUBLISHED, card.0)?;
        rows.into_iter().map(VersionRow::version).collect()
    }

    /// How large a version's document is; 0 for one that is not there.
    pub async fn version_bytes(&self, id: CardVersionId) -> Result<u64> {
        let row = read!(self, fetch_optional as (i64,), DOC_BYTES, id.0)?;
        Ok(row.map_or(0, |(bytes,)| bytes.unsigned_abs()))
    }

    pub async fn version_doc(&self, id: CardVersionId) -> Result<Option<CardDoc>> {
        Ok(self.version_of(id).await?.map(|(_, doc)| doc))
    }

    /// With the card that it is a version of.
    pub async fn version_of(&self, id: CardVersionId) -> Result<Option<(RateCardId, CardDoc)>> {
        let row = read!(self, fetch_optional as (i64, Vec<u8>), DOC, id.0)?;
        let Some((card, doc)) = row else {
            return Ok(None);
        };
        let parse = move || serde_json::from_slice(&doc).map_err(corrupt);
        // A large one takes longer than others should wait.
        let doc = tokio::task::spawn_blocking(parse)
            .await
            .map_err(corrupt)??;
        Ok(Some((RateCardId(card), doc)))
    }
}
