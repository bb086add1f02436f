//! Why every cent of an event moved: a read of what was recorded, not a recomputation. A reader sees
//! the charges of links whose buyer is in its subtree.

use crate::error::Error;
use crate::explanation::{
    ChargeBody, CounterBody, ExplanationBody, LaterBody, OverruledBody, PieceBody, RateBody,
};
use crate::lacking;
use crate::names::Names;
use crate::sources::{Reader, Sources};
use crate::summaries::{customer_of, debit_of, key_of, kind_name};
use journal::{Charge, ChargePricing, EntryQuery, JournalEntry, Kind, Of, Seq};
use metering::charge;
use metering::standing::Standing;
use rating::usage::{Counter, CounterId, Piece};
use rating::{Cents, Currency, Exact, TenantId, money};
use std::sync::Arc;

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
async fn explained(
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
