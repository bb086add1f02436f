//! The terms of each link. A link is named by its buyer; its periods never overlap.

use super::audit_heads::{self, Sums, Table};
use super::cards::{CardHead, heads_in};
use super::paths::below;
use super::tenants::{tenant_held, tenants_in};
use super::{
    Actor, Catalog, CatalogError, Change, Page, Period, Result, audit, conflict, invalid, one_more,
};
use db::sql::{
    Tx, change, corrupt, fetch_any, from_word, insert_many, look, read, statements, word, write,
};
use rating::{AgreementId, Cents, Currency, Instant, RateCardId, TenantId};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use tenants::{Agreement, Authority, Pricing, Tenant, authority};

macro_rules! columns {
    () => {
        "a.id, a.buyer_id, a.seller_id, a.currency, a.pricing, a.rate_card_id, a.commission_bp, \
            a.collect, a.credit_limit_cents, a.on_exhausted, a.credit_cap_cents, a.refused_by, \
            a.floor_card_id, a.free_retail, a.author_id, a.from_at, a.until_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into agreements (id, root_id, buyer_id, seller_id, currency, pricing, \
            rate_card_id, commission_bp, collect, credit_limit_cents, on_exhausted, \
            credit_cap_cents, author_id, refused_by, floor_card_id, free_retail, from_at, \
            until_at)",
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
            $18) on conflict do nothing"
    );
    BY_ID = concat!("select ", columns!(), " from agreements a where a.id = $1");
    BY_BUYERS = concat!("select ", columns!(), " from agreements a where a.buyer_id in ($1) order \
        by a.buyer_id, a.from_at");
    BY_BUYER = concat!(
        "select ", columns!(), " from agreements a where a.buyer_id = $1 and a.id > $2",
        " and (a.until_at is null or a.until_at > $3) and a.from_at < $4 order by a.id limit $5"
    );
    BELOW = concat!(
        "select ", columns!(), " from agreements a join tenants t on t.id = a.buyer_id",
        " where t.path >= $1 and t.path < $2 and a.id > $3",
        " and (a.until_at is null or a.until_at > $4) and a.from_at < $5 order by a.id limit $6"
    );
    CURRENCIES = "select distinct currency from agreements order by currency";
    END = "update agreements set until_at = $2, author_id = $3 where id = $1";
}

#[derive(sqlx::FromRow)]
struct AgreementRow {
    id: i64,
    buyer_id: i64,
    seller_id: i64,
    currency: String,
    pricing: String,
    rate_card_id: Option<i64>,
    commission_bp: Option<i64>,
    collect: String,
    credit_limit_cents: Option<i64>,
    on_exhausted: String,
    credit_cap_cents: Option<i64>,
    refused_by: Option<i64>,
    floor_card_id: Option<i64>,
    free_retail: i64,
    author_id: Option<i64>,
    from_at: i64,
    until_at: Option<i64>,
}

impl AgreementRow {
    fn agreement(self) -> Result<Agreement> {
        let pricing = match (self.rate_card_id, self.commission_bp) {
            (Some(card), None) => Pricing::Wholesale {
                rate_card: RateCardId(card),
            },
            (None, Some(bp)) => Pricing::Commission {
                commission_bp: u16::try_from(bp).map_err(corrupt)?,
            },
            _ => {
                return Err(corrupt(format!(
                    "agreement {} is priced as {}",
                    self.id, self.pricing
                ))
                .into());
            }
        };
        Ok(Agreement {
            id: AgreementId(self.id),
            buyer: TenantId(self.buyer_id),
            seller: TenantId(self.seller_id),
            currency: self.currency.parse().map_err(corrupt)?,
            pricing,
            collect: from_word(&self.collect)?,
            credit_limit: self.credit_limit_cents.map(Cents),
            on_exhausted: from_word(&self.on_exhausted)?,
            credit_cap: Cents(self.credit_cap_cents.unwrap_or(0)),
            refused_by: self.refused_by.map(TenantId),
            floor: self.floor_card_id.map(RateCardId),
            free_retail: self.free_retail != 0,
            author: self.author_id.map(TenantId),
            from: Instant(self.from_at),
            until: self.until_at.map(Instant),
        })
    }
}

/// What the audit log shows of an agreement.
fn summary(terms: &Agreement) -> Value {
    json!({
        "buyer": terms.buyer, "seller": terms.seller, "currency": terms.currency, "terms": terms.pricing, "collect": terms.collect,
        "credit_limit_cents": terms.credit_limit, "on_exhausted": terms.on_exhausted, "credit_cap_cents": terms.credit_cap,
        "refused_by": terms.refused_by, "floor_rate_card": terms.floor, "free_retail": terms.free_retail,
        "from": terms.from, "until": terms.until,
    })
}

impl Catalog {
    /// As the platform.
    pub async fn create_agreement(&self, actor: &Actor, terms: &Agreement) -> Result<()> {
        self.agree(actor, Authority::Platform, terms).await
    }

    /// What is checked of a seller's own stays so: every other agreement below its root waits
    /// meanwhile.
    pub async fn agree(&self, actor: &Actor, by: Authority, terms: &Agreement) -> Result<()> {
        write!(self, |tx| {
            let buyer = tenant_held(tx, terms.buyer).await.map_err(no_buyer)?;
            check_authority(tx, by, &buyer, terms, actor.at).await?;
            insert(tx, actor, std::slice::from_ref(terms), HashMap::new()).await?;
            if by == Authority::Seller {
                let all = of_buyers_in(tx, &[terms.buyer]).await?;
                authority::check_beginning(terms, &all, actor.at)?;
            }
            audit::append(tx, actor, &changed(terms, buyer.root, "create", None)).await
        })
    }

    /// Sets the end (exclusive). It may be moved until it meets the next agreement of the buyer; to
    /// let terms last longer is to agree on them anew, and whoever does so is their author.
    pub async fn end_agreement(
        &self,
        actor: &Actor,
        by: Authority,
        id: AgreementId,
        until: Instant,
    ) -> Result<Agreement> {
        write!(self, |tx| {
            let buyer = agreement_in(tx, id).await?.buyer;
            let buyer = tenant_held(tx, buyer).await?;
            let root = buyer.root;
            let mut terms = agreement_in(tx, id).await?;
            let (before, ended) = (summary(&terms), terms.until);
            terms.until = Some(until);
            if ended.is_some_and(|ended| ended < until) {
                check_authority(tx, by, &buyer, &terms, actor.at).await?;
            }
            if by == Authority::Seller {
                authority::check_end(&terms, ended, (&buyer.path, actor.tenant), actor.at)?;
            }
            if ended.is_some_and(|ended| ended < until) {
                terms.author = Some(actor.tenant);
            }
            check_period(&terms)?;
            check_overlap(&terms, &of_buyers_in(tx, &[terms.buyer]).await?)?;
            let sums = audit_heads::sums_of(tx, Table::Agreements, &[id.0]).await?;
            change!(
                &mut *tx,
                END,
                id.0,
                until.micros(),
                terms.author.map(|author| author.0)
            )?;
            audit_heads::changed(tx, Table::Agreements, &sums, &[id.0]).await?;
            audit::append(tx, actor, &changed(&terms, root, "end", Some(before))).await?;
            Ok(terms)
        })
    }

    pub async fn agreement(&self, id: AgreementId) -> Result<Option<Agreement>> {
        read!(self, fetch_optional as AgreementRow, BY_ID, id.0)?
            .map(AgreementRow::agreement)
            .transpose()
    }

    /// Every agreement of these buyers, past and future: per buyer, oldest first.
    pub async fn agreements_of(&self, buyers: &[TenantId]) -> Result<Vec<Agreement>> {
        let rows = fetch_any!(pool self, AgreementRow, BY_BUYERS, buyers);
        rows.into_iter().map(AgreementRow::agreement).collect()
    }

    /// Those in force at some instant of the period.
    pub async fn agreements_by_buyer(
        &self,
        buyer: TenantId,
        period: Period,
        after: Option<AgreementId>,
        limit: usize,
    ) -> Result<Page<Agreement>> {
        let (after, (from, until)) = (after.map_or(0, |id| id.0), period.micros());
        let rows = read!(
            self,
            fetch_all as AgreementRow,
            BY_BUYER,
            buyer.0,
            after,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, AgreementRow::agreement)
    }

    /// Every currency that was ever agreed on.
    pub async fn currencies(&self) -> Result<Vec<Currency>> {
        let rows = read!(self, fetch_all as (String,), CURRENCIES)?;
        rows.into_iter()
            .map(|(code,)| Ok(code.parse().map_err(corrupt)?))
            .collect()
    }

    /// The same whose buyer is `top` or under it.
    pub async fn agreements_below(
        &self,
        top: &Tenant,
        period: Period,
        after: Option<AgreementId>,
        limit: usize,
    ) -> Result<Page<Agreement>> {
        let ((first, end), (from, until)) = (below(&top.path), period.micros());
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self,
            fetch_all as AgreementRow,
            BELOW,
            first,
            end,
            after,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, AgreementRow::agreement)
    }
}

fn changed(
    terms: &Agreement,
    root: TenantId,
    action: &'static str,
    before: Option<Value>,
) -> Change {
    let after = Some(summary(terms));
    Change {
        tenant: terms.buyer,
        root,
        resource: "agreement",
        id: terms.id.to_string(),
        action,
        before,
        after,
    }
}

/// Terms are checked against what the buyer's sellers may when they come into force.
async fn check_authority(
    tx: &mut Tx<'_>,
    by: Authority,
    buyer: &Tenant,
    terms: &Agreement,
    now: Instant,
) -> Result<()> {
    if by == Authority::Platform {
        return Ok(());
    }
    let of_path = of_buyers_in(tx, &buyer.path).await?;
    let at = terms.from.max(now);
    let sellers = buyer.path.iter().skip(1).filter(|id| **id != buyer.id);
    let sellers: Vec<Option<&Agreement>> = sellers
        .map(|id| of_path.iter().find(|of| of.buyer == *id && of.in_force(at)))
        .collect();
    let others: Vec<Agreement> = of_path
        .iter()
        .filter(|other| other.buyer == buyer.id)
        .cloned()
        .collect();
    Ok(authority::check_seller(terms, &sellers, &others)?)
}

fn no_buyer(error: CatalogError) -> CatalogError {
    match error {
        CatalogError::NotFound { .. } => CatalogError::NotFound { what: "buyer" },
        other => other,
    }
}

async fn agreement_in(tx: &mut Tx<'_>, id: AgreementId) -> Result<Agreement> {
    let row = look!(tx, fetch_optional as AgreementRow, BY_ID, id.0)?;
    row.ok_or(CatalogError::NotFound { what: "agreement" })?
        .agreement()
}

async fn of_buyers_in(tx: &mut Tx<'_>, buyers: &[TenantId]) -> Result<Vec<Agreement>> {
    let rows = fetch_any!(tx tx, AgreementRow, BY_BUYERS, buyers);
    rows.into_iter().map(AgreementRow::agreement).collect()
}

/// Checks and inserts agreements of buyers whose roots are held. `tenants`: those just created in
/// this transaction, without agreements yet.
pub async fn insert(
    tx: &mut Tx<'_>,
    author: &Actor,
    new: &[Agreement],
    mut tenants: HashMap<TenantId, Tenant>,
) -> Result<()> {
    let stored: Vec<TenantId> = new
        .iter()
        .map(|terms| terms.buyer)
        .filter(|id| !tenants.contains_key(id))
        .collect();
    let mut periods: HashMap<TenantId, Vec<Agreement>> = HashMap::with_capacity(new.len());
    for terms in of_buyers_in(tx, &stored).await? {
        periods.entry(terms.buyer).or_default().push(terms);
    }
    tenants.extend(
        tenants_in(tx, &stored)
            .await?
            .into_iter()
            .map(|tenant| (tenant.id, tenant)),
    );
    let cards = cards_of(tx, new).await?;
    let mut rows = Vec::with_capacity(new.len());
    for terms in new {
        let buyer = tenants
            .get(&terms.buyer)
            .ok_or(CatalogError::NotFound { what: "buyer" })?;
        check(terms, buyer, &cards)?;
        let others = periods.entry(terms.buyer).or_default();
        check_overlap(terms, others)?;
        others.push(terms.clone());
        rows.push((
            terms,
            buyer.root,
            word(&terms.collect)?,
            word(&terms.on_exhausted)?,
        ));
    }
    let inserted = insert_many!(
        tx,
        INSERT,
        rows,
        |row| row.0.id.0,
        row.1.0,
        row.0.buyer.0,
        row.0.seller.0,
        row.0.currency.code(),
        pricing_columns(row.0.pricing).0,
        pricing_columns(row.0.pricing).1,
        pricing_columns(row.0.pricing).2,
        row.2.as_str(),
        row.0.credit_limit.map(|cents| cents.0),
        row.3.as_str(),
        (row.0.credit_cap > Cents::ZERO).then_some(row.0.credit_cap.0),
        author.tenant.0,
        row.0.refused_by.map(|tenant| tenant.0),
        row.0.floor.map(|card| card.0),
        i64::from(row.0.free_retail),
        row.0.from.micros(),
        row.0.until.map(|at| at.micros()),
    );
    // Periods were compared above: only an id can be taken.
    if usize::try_from(inserted).ok() != Some(new.len()) {
        return Err(conflict("id", "it is taken"));
    }
    let ids: Vec<i64> = new.iter().map(|terms| terms.id.0).collect();
    audit_heads::changed(tx, Table::Agreements, &Sums::new(), &ids).await
}

async fn cards_of(tx: &mut Tx<'_>, new: &[Agreement]) -> Result<HashMap<RateCardId, CardHead>> {
    let priced = new
        .iter()
        .filter_map(|terms| pricing_columns(terms.pricing).1)
        .map(RateCardId);
    let named: HashSet<RateCardId> = priced
        .chain(new.iter().filter_map(|terms| terms.floor))
        .collect();
    heads_in(tx, &named.into_iter().collect::<Vec<_>>()).await
}

/// The columns `pricing`, `rate_card_id`, `commission_bp`.
fn pricing_columns(pricing: Pricing) -> (&'static str, Option<i64>, Option<i64>) {
    match pricing {
        Pricing::Wholesale { rate_card } => ("wholesale", Some(rate_card.0), None),
        Pricing::Commission { commission_bp } => {
            ("commission", None, Some(i64::from(commission_bp)))
        }
    }
}

fn check(terms: &Agreement, buyer: &Tenant, cards: &HashMap<RateCardId, CardHead>) -> Result<()> {
    check_period(terms)?;
    let Some(seller) = buyer.parent else {
        return Err(invalid("buyer", "the platform has no seller"));
    };
    if terms.seller != seller {
        return Err(invalid(
            "seller",
            format!("the seller of {} is {seller}", terms.buyer),
        ));
    }
    if buyer.closed_at.is_some() {
        return Err(conflict("buyer", "the buyer is closed"));
    }
    if terms.credit_limit.is_some_and(|limit| limit < Cents::ZERO) {
        return Err(invalid("credit_limit_cents", "expected 0 or more"));
    }
    match terms.pricing {
        Pricing::Commission { commission_bp } if commission_bp > 10_000 => {
            Err(invalid("commission_bp", "expected 0 to 10000"))
        }
        Pricing::Commission { .. } => terms
            .floor
            .map_or(Ok(()), |floor| check_card(terms, floor, buyer, cards)),
        Pricing::Wholesale { .. } if terms.floor.is_some() => {
            Err(invalid("floor_rate_card", "only a commission has a floor"))
        }
        Pricing::Wholesale { rate_card } => check_card(terms, rate_card, buyer, cards),
    }
}

/// The seller's own card, or one of a tenant above it.
fn check_card(
    terms: &Agreement,
    card: RateCardId,
    buyer: &Tenant,
    cards: &HashMap<RateCardId, CardHead>,
) -> Result<()> {
    let card = cards
        .get(&card)
        .filter(|card| card.owner != buyer.id && buyer.path.contains(&card.owner));
    let card = card.ok_or(CatalogError::NotFound { what: "rate card" })?;
    if card.currency == terms.currency {
        return Ok(());
    }
    Err(invalid(
        "currency",
        format!("the rate card is in {}", card.currency),
    ))
}

fn check_period(terms: &Agreement) -> Result<()> {
    if terms.until.is_some_and(|until| until <= terms.from) {
        return Err(invalid("until", "expected an instant after `from`"));
    }
    Ok(())
}

fn check_overlap(terms: &Agreement, others: &[Agreement]) -> Result<()> {
    let until = |terms: &Agreement| terms.until.unwrap_or(Instant::MAX);
    let meets = |other: &&Agreement| {
        other.id != terms.id && other.from < until(terms) && terms.from < until(other)
    };
    match others.iter().find(meets) {
        Some(other) => Err(conflict(
            "from",
            format!("agreement {} is in force in that period", other.id),
        )),
        None => Ok(()),
    }
}
