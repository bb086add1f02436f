//! `/v1/usage-events/{source}/{id}`: why every cent moved. A read of what was recorded, not a
//! recomputation. A key sees the charges of links whose buyer is in its subtree.

use crate::error::Error;
use crate::lacking::{self, Today};
use crate::names::{Names, OpenLinkBody, Split};
use crate::sources::{Reader, Sources};
use crate::summaries::{customer_of, debit_of, key_of, kind_name};
use metering::charge;
use metering::standing::Standing;
use rating::card::Rate;
use rating::usage::{Counter, CounterId, Piece};
use rating::{Cents, Currency, Exact, TenantId, money};
use schema::card;
use schema::words;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::journal::{Charge, ChargePricing, EntryQuery, JournalEntry, Kind, Of, Seq};

/// A usage event with everything that explains its money.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationBody<'a> {
    #[schema(example = "0192f1")]
    pub id: String,
    #[schema(example = "pbx-1")]
    pub source: String,
    /// External id of the tenant whose key reported it, if the caller sees that tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "muster-telecom")]
    pub reporter: Option<String>,
    /// The key that reported it, where `reporter` is shown; absent for what was reported before
    /// keys were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub api_key: Option<String>,
    /// The report from below whose place this one took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrules: Option<OverruledBody>,
    /// `rated`, `partly_rated` (some links are `open`), `unrated`, `voided` or `partly_voided`
    /// (upper links stand).
    #[schema(value_type = words::ExplanationStatus, example = "rated")]
    pub status: &'static str,
    #[schema(example = "acme-42")]
    pub customer: String,
    #[schema(example = "call")]
    pub meter: String,
    #[schema(example = "600", format = "decimal")]
    pub quantity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "decimal")]
    pub amount: Option<String>,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4930123456")]
    pub destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Why the event had no price when it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of an event that is kept, or charged on some links only: what it lacks now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Today>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pub debit_cents: Option<i64>,
    pub splits: Vec<Split<'a>>,
    /// From the customer's own link up.
    pub charges: Vec<ChargeBody>,
    /// Links that are not charged, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenLinkBody<'a>>,
    /// Partly voided: buyers whose charges stand, because whoever took the event back does not sell
    /// there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["muster-telecom"]))]
    pub stands: Vec<&'a str>,
    /// What was done to the event later: rated, taken back.
    pub later: Vec<LaterBody>,
}

/// What one buyer owes one seller for the event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Charge)]
pub struct ChargeBody {
    #[schema(example = "acme-42")]
    pub buyer: String,
    #[schema(example = "muster-telecom")]
    pub seller: String,
    #[schema(example = "agr_0dks8xn2a4m1c")]
    pub agreement: String,
    /// Posted, in whole minor units: floor(carry before + exact).
    #[schema(example = 400)]
    pub cents: i64,
    /// In cents, exact.
    #[schema(example = "400", format = "decimal")]
    pub exact_cents: String,
    /// The same in major units.
    #[schema(example = "4", format = "decimal")]
    pub exact: String,
    /// The part of `exact_cents` that depends on this event alone (connect fee, increments).
    #[schema(example = "400", format = "decimal")]
    pub local_cents: String,
    /// Of a void: the part of `exact_cents` that other events of the month come to, whose prices
    /// are others without this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "-200", format = "decimal")]
    pub other_events_cents: Option<String>,
    /// The fraction of a cent owed before and after.
    #[schema(example = "0", format = "decimal")]
    pub carry_before_cents: String,
    #[schema(example = "0", format = "decimal")]
    pub carry_after_cents: String,
    /// What the counter grew by (calls: billed seconds).
    #[schema(example = "600", format = "decimal")]
    pub billed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<CounterBody>,
    /// Priced by a card (`rate`) or as a share of the link below (`commission_bp`); with both, the
    /// card is the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission_bp: Option<u16>,
    /// Of a commission that is not taken from the link below: from whose price it is (external id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission_of: Option<String>,
    /// Commissions above that price which come off first, from below up, in basis points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commission_less_bp: Vec<u16>,
    /// Of a commission with a floor: whether the floor's price counted, being the greater one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_applies: Option<bool>,
}

/// The month's quantity of this buyer under this rate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CounterMove)]
pub struct CounterBody {
    #[schema(example = "2026-11")]
    pub month: String,
    #[schema(example = "0", format = "decimal")]
    pub quantity_before: String,
    #[schema(example = "600", format = "decimal")]
    pub quantity_after: String,
    pub events_before: i64,
    pub events_after: i64,
}

/// The rate that applied, as it was published.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AppliedRate)]
pub struct RateBody {
    #[schema(example = "ver_0dks8xn2a4m1c")]
    pub version: String,
    #[schema(example = "de-mobile")]
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digits of the destination that matched; the rate's attributes are in `terms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "49")]
    pub matched_prefix: Option<String>,
    /// The rate as published: attributes, window, increments, prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<card::Rate>)]
    pub terms: Option<Rate>,
    /// The stretches of a call, each under one rate and step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<PieceBody>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Piece)]
pub struct PieceBody {
    #[schema(example = "de-mobile")]
    pub rate_key: String,
    pub step: u16,
    /// Elapsed, where the stretch begins.
    #[schema(example = "0", format = "decimal")]
    pub from: String,
    /// Billed, in whole increments.
    #[schema(example = "600", format = "decimal")]
    pub billed: String,
}

/// A report of the same event by a tenant below, with other content: it was taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Overruled)]
pub struct OverruledBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme-42")]
    pub reporter: Option<String>,
    #[schema(format = DateTime)]
    pub received_at: String,
    #[schema(example = "1", format = "decimal")]
    pub quantity: String,
    /// What the customer had been debited for it. Absent: it had no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 40)]
    pub debit_cents: Option<i64>,
}

/// What was done to an event after it was received.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LaterStep)]
pub struct LaterBody {
    /// `rated_later` or `void`.
    #[schema(value_type = words::LaterKind, example = "void")]
    pub kind: &'static str,
    /// The key that did it, if the caller sees whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub api_key: Option<String>,
    #[schema(format = DateTime)]
    pub received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = -400)]
    pub debit_cents: Option<i64>,
    /// Of a void: its cents may differ from the original's by rounding and tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<ChargeBody>,
}

/// Explains an event, as far as its reader may know.
///
/// # Errors
/// What the engine says of it; the books cannot be read.
pub async fn explain<T>(
    sources: &Sources,
    reader: &Reader<'_>,
    (source, id): (&str, &str),
    customer: Option<&str>,
    tell: impl FnOnce(&ExplanationBody<'_>) -> T,
) -> Result<T, Error> {
    let original = sources
        .engine
        .locate(&reader.caller, source, id, customer)
        .await?;
    let steps = sources.engine.steps(&original).await?;
    let standing = Standing::after(steps.iter().map(AsRef::as_ref));
    let charged = as_charged(&original, &steps, &standing);
    let mut body = explained(sources, reader, &original, &charged).await?;
    body.overrules = overruled(sources, reader, &original).await?;
    body.status = status(&standing);
    for step in &steps[1..] {
        body.later
            .push(later_body(sources, reader, step, &standing.charged).await?);
    }
    let parts = charge::splits(charged.tenant, &charged.body.charges)?;
    let open = standing.open.as_deref().unwrap_or_default();
    if matches!(body.status, "unrated" | "partly_rated") {
        body.now = Some(lacking::today(sources, reader, &original).await?);
    }
    let standing_buyers = standing
        .charges
        .iter()
        .map(|charge| charge.link.buyer)
        .filter(|_| standing.voided);
    let named: Vec<TenantId> = parts
        .iter()
        .map(|(tenant, _)| *tenant)
        .chain(open.iter().map(|open| open.buyer))
        .collect();
    let named = named.into_iter().chain(standing_buyers.clone());
    let names = Names::of(sources, reader, named).await?;
    body.splits = names.splits(&parts);
    body.open = names.open(open);
    body.stands = standing_buyers
        .filter(|buyer| names.sees_link(*buyer))
        .map(|buyer| names.external_id(buyer))
        .collect();
    Ok(tell(&body))
}

async fn read(sources: &Sources, seq: Seq) -> Result<Vec<JournalEntry>, Error> {
    Ok(sources
        .journal
        .read(&EntryQuery {
            of: Of::Seqs(vec![seq]),
            after: None,
            newest_first: false,
            limit: 1,
        })
        .await?)
}

/// The event with every charge that was made of it.
fn as_charged(
    original: &JournalEntry,
    steps: &[Arc<JournalEntry>],
    standing: &Standing,
) -> JournalEntry {
    let rated = standing
        .rated
        .and_then(|by| steps.iter().find(|step| step.seq == by.seq));
    let mut record = rated.map_or_else(|| original.clone(), |step| JournalEntry::clone(step));
    record.body.charges.clone_from(&standing.charged);
    record
}

fn status(standing: &Standing) -> &'static str {
    match (
        standing.voided,
        standing.charges.is_empty(),
        standing.is_open(),
    ) {
        (true, true, _) => "voided",
        (true, false, _) => "partly_voided",
        (false, true, _) => "unrated",
        (false, false, true) => "partly_rated",
        (false, false, false) => "rated",
    }
}

/// The event and its charges; `splits` and `later` are left to the caller.
pub async fn explained(
    sources: &Sources,
    reader: &Reader<'_>,
    original: &JournalEntry,
    charged: &JournalEntry,
) -> Result<ExplanationBody<'static>, Error> {
    let personal = original.personal.clone().unwrap_or_default();
    let rated = !charged.body.charges.is_empty();
    Ok(ExplanationBody {
        id: original.identity.id.clone(),
        source: original.identity.source.to_string(),
        api_key: key_of(sources, reader, original).await?,
        reporter: reporter_of(sources, reader, original).await?,
        overrules: None,
        status: if rated { "rated" } else { "unrated" },
        customer: customer_of(sources, original).await?,
        meter: original.body.meter.to_string(),
        quantity: original.body.quantity.to_string(),
        amount: original.body.amount.clone(),
        at: original.at.to_string(),
        received_at: original.received_at.to_string(),
        destination: personal.destination.map(Into::into),
        origin: personal.origin.map(Into::into),
        attributes: personal.attributes.into_iter().collect(),
        reason: Some(original.body.reason.clone()).filter(|reason| !rated && !reason.is_empty()),
        now: None,
        currency: charged.body.currency.map(Currency::code),
        debit_cents: debit_of(charged),
        splits: Vec::new(),
        open: Vec::new(),
        stands: Vec::new(),
        charges: charges(sources, reader, charged).await?,
        later: Vec::new(),
    })
}

/// Who reported it, as far as the caller may know.
async fn reporter_of(
    sources: &Sources,
    reader: &Reader<'_>,
    record: &JournalEntry,
) -> Result<Option<String>, Error> {
    let id = match record.identity.reporter {
        Some(reporter) => reporter,
        None => sources
            .tenant(record.tenant)
            .await?
            .path
            .first()
            .copied()
            .unwrap_or(record.tenant),
    };
    let tenant = sources.tenant(id).await?;
    Ok(reader.sees(&tenant).then(|| tenant.external_id.clone()))
}

async fn overruled(
    sources: &Sources,
    reader: &Reader<'_>,
    original: &JournalEntry,
) -> Result<Option<OverruledBody>, Error> {
    let (Kind::Rated | Kind::Unrated, Some(lower)) = (original.kind, original.body.refers_to)
    else {
        return Ok(None);
    };
    let Some(lower) = read(sources, lower).await?.pop() else {
        return Ok(None);
    };
    Ok(Some(OverruledBody {
        reporter: reporter_of(sources, reader, &lower).await?,
        received_at: lower.received_at.to_string(),
        quantity: lower.body.quantity.to_string(),
        debit_cents: debit_of(&lower),
    }))
}

/// `charged`: what the event had come to.
async fn later_body(
    sources: &Sources,
    reader: &Reader<'_>,
    step: &JournalEntry,
    charged: &[Charge],
) -> Result<LaterBody, Error> {
    let is_void = step.kind == Kind::Void;
    let mut charges = if is_void {
        charges(sources, reader, step).await?
    } else {
        Vec::new()
    };
    for back in &mut charges {
        let agreement = |charge: &&Charge| charge.agreement.to_string() == back.agreement;
        let own = charged
            .iter()
            .find(agreement)
            .map_or(Exact::ZERO, |charge| charge.exact);
        let given = step
            .body
            .charges
            .iter()
            .find(agreement)
            .map_or(Exact::ZERO, |charge| charge.exact);
        let others = given.checked_add(own)?;
        back.other_events_cents = (others != Exact::ZERO).then(|| others.in_cents());
    }
    Ok(LaterBody {
        kind: kind_name(step.kind).unwrap_or("other"),
        api_key: key_of(sources, reader, step).await?,
        received_at: step.received_at.to_string(),
        reason: Some(step.body.reason.clone()).filter(|reason| !reason.is_empty()),
        debit_cents: debit_of(step),
        charges,
    })
}

/// The charges that the caller may see.
async fn charges(
    sources: &Sources,
    reader: &Reader<'_>,
    record: &JournalEntry,
) -> Result<Vec<ChargeBody>, Error> {
    let currency = record.body.currency.unwrap_or(Currency::EUR);
    let destination = record
        .personal
        .as_ref()
        .and_then(|personal| personal.destination.as_deref());
    let mut shown = Vec::with_capacity(record.body.charges.len());
    for charge in &record.body.charges {
        if sources.sees_link(reader, charge.link.buyer).await? {
            shown.push(charge_body(sources, charge, currency, destination).await?);
        }
    }
    Ok(shown)
}

async fn charge_body(
    sources: &Sources,
    charge: &Charge,
    currency: Currency,
    destination: Option<&str>,
) -> Result<ChargeBody, Error> {
    let (rate, commission_bp) = match &charge.pricing {
        ChargePricing::Card {
            version,
            rate,
            prefix_len,
            pieces,
        } => (
            Some(
                rate_body(
                    sources,
                    *version,
                    *rate,
                    matched(destination, *prefix_len),
                    pieces,
                )
                .await?,
            ),
            None,
        ),
        ChargePricing::Commission { commission_bp }
        | ChargePricing::CommissionOf { commission_bp, .. } => (None, Some(*commission_bp)),
        ChargePricing::Carry => (None, None),
        ChargePricing::Floored {
            commission_bp,
            version,
            rate,
            prefix_len,
            pieces,
            ..
        } => (
            Some(
                rate_body(
                    sources,
                    *version,
                    *rate,
                    matched(destination, *prefix_len),
                    pieces,
                )
                .await?,
            ),
            Some(*commission_bp),
        ),
    };
    let (commission_of, commission_less_bp) = match &charge.pricing {
        ChargePricing::CommissionOf { of, less, .. } => {
            (Some(external_id(sources, *of).await?), less.clone())
        }
        _ => (None, Vec::new()),
    };
    Ok(ChargeBody {
        buyer: external_id(sources, charge.link.buyer).await?,
        seller: external_id(sources, charge.link.seller).await?,
        agreement: charge.agreement.to_string(),
        cents: charge.link.cents.0,
        exact_cents: charge.exact.in_cents(),
        exact: charge.exact.in_major(currency),
        local_cents: charge.local.in_cents(),
        other_events_cents: None,
        carry_before_cents: carry_before(charge),
        carry_after_cents: charge.carry.in_cents(),
        billed: charge.billed.to_string(),
        counter: charge
            .counter
            .filter(|_| rate.is_some())
            .map(|id| counter_body(id, charge.before, charge.after)),
        rate,
        commission_bp,
        commission_of,
        commission_less_bp,
        floor_applies: match charge.pricing {
            ChargePricing::Floored { applies, .. } => Some(applies),
            _ => None,
        },
    })
}

async fn external_id(sources: &Sources, id: TenantId) -> Result<String, Error> {
    Ok(sources.tenant(id).await?.external_id.clone())
}

/// carry after = carry before + exact − posted.
fn carry_before(charge: &Charge) -> String {
    let posted = Exact::from_cents(Cents(charge.link.cents.0));
    let before = i128::from(charge.carry.0)
        .saturating_sub(charge.exact.0)
        .saturating_add(posted.0);
    money::plain_decimal(before, Exact::CENT_DECIMALS)
}

fn matched(destination: Option<&str>, prefix_len: u8) -> Option<String> {
    let digits = destination
        .filter(|_| prefix_len > 0)?
        .chars()
        .filter(char::is_ascii_digit);
    Some(digits.take(usize::from(prefix_len)).collect())
}

fn counter_body(id: CounterId, before: Counter, after: Counter) -> CounterBody {
    CounterBody {
        month: format!(
            "{:04}-{:02}",
            id.month.div_euclid(12),
            id.month.rem_euclid(12) + 1
        ),
        quantity_before: before.quantity.to_string(),
        quantity_after: after.quantity.to_string(),
        events_before: before.events,
        events_after: after.events,
    }
}

async fn rate_body(
    sources: &Sources,
    version: rating::CardVersionId,
    rate: u32,
    matched_prefix: Option<String>,
    pieces: &[Piece],
) -> Result<RateBody, Error> {
    let card = sources.engine.directory().version(version).await?;
    let key = |rate: u32| card.rate_key(rate).unwrap_or_default().to_owned();
    let terms = card.doc_rate(rate);
    let piece = |piece: &Piece| PieceBody {
        rate_key: key(piece.rate),
        step: piece.step,
        from: piece.from.to_string(),
        billed: piece.billed.to_string(),
    };
    Ok(RateBody {
        version: version.to_string(),
        key: key(rate),
        name: terms.as_ref().and_then(|terms| terms.name.clone()),
        matched_prefix,
        pieces: pieces.iter().map(piece).collect(),
        terms,
    })
}

/// For the dry run: the record as it would be, in the same form.
pub async fn explained_quote(
    sources: &Sources,
    reader: &Reader<'_>,
    record: JournalEntry,
) -> Result<ExplanationBody<'static>, Error> {
    let record = Arc::new(record);
    explained(sources, reader, &record, &record).await
}
