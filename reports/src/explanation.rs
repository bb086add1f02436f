//! What an explanation says of an event.

use crate::lacking::Today;
use crate::names::{OpenLinkBody, Split};
use rating::card::Rate;
use schema::{card, words};
use serde::Serialize;
use std::collections::BTreeMap;

/// A usage event with everything that explains its charges.
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
    /// The key that reported it, where `reporter` is shown. Absent for events from before keys were
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub api_key: Option<String>,
    /// The report from below that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrules: Option<OverruledBody>,
    /// `rated`, `partly_rated` (some links are `open`), `unrated`, `voided` or `partly_voided`
    /// (charges on upper links remain).
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
    /// Reason why the event had no price on arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For an event that is kept, or charged on some links only: what it lacks now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Today>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pub debit_cents: Option<i64>,
    pub splits: Vec<Split<'a>>,
    /// Starting with the customer's own link.
    pub charges: Vec<ChargeBody>,
    /// Links that are not charged, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenLinkBody<'a>>,
    /// For a partly voided event: buyers whose charges remain, because the tenant that voided the
    /// event does not sell on those links.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["muster-telecom"]))]
    pub stands: Vec<&'a str>,
    /// Later changes to the event: rated, voided.
    pub later: Vec<LaterBody>,
}

/// Charge from one seller to one buyer for the event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Charge)]
pub struct ChargeBody {
    #[schema(example = "acme-42")]
    pub buyer: String,
    #[schema(example = "muster-telecom")]
    pub seller: String,
    #[schema(example = "agr_0dks8xn2a4m1c")]
    pub agreement: String,
    /// Posted amount in whole minor units: floor(carry before + exact).
    #[schema(example = 400)]
    pub cents: i64,
    /// Exact amount in cents.
    #[schema(example = "400", format = "decimal")]
    pub exact_cents: String,
    /// The same amount in major units.
    #[schema(example = "4", format = "decimal")]
    pub exact: String,
    /// The part of `exact_cents` that depends on this event alone (connect fee, increments).
    #[schema(example = "400", format = "decimal")]
    pub local_cents: String,
    /// For a void: the part of `exact_cents` that comes from other events of the month, whose
    /// prices change without this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "-200", format = "decimal")]
    pub other_events_cents: Option<String>,
    /// Fraction of a cent owed before this charge; `carry_after_cents` is owed after it.
    #[schema(example = "0", format = "decimal")]
    pub carry_before_cents: String,
    #[schema(example = "0", format = "decimal")]
    pub carry_after_cents: String,
    /// Quantity added to the counter (for calls: billed seconds).
    #[schema(example = "600", format = "decimal")]
    pub billed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<CounterBody>,
    /// Priced by a rate card (`rate`) or as a share of the link below (`commission_bp`). With both,
    /// the rate card is the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission_bp: Option<u16>,
    /// For a commission that is not taken from the link below: external id of the buyer whose price
    /// it is taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission_of: Option<String>,
    /// Commissions above that price that are deducted first, from the bottom up, in basis points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commission_less_bp: Vec<u16>,
    /// For a commission with a floor: whether the floor's price applied because it is the higher
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_applies: Option<bool>,
}

/// The buyer's quantity of the month under this rate, before and after.
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

/// The rate that was applied, as published.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AppliedRate)]
pub struct RateBody {
    #[schema(example = "ver_0dks8xn2a4m1c")]
    pub version: String,
    #[schema(example = "de-mobile")]
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digits of the destination that matched. The rate's attributes are in `terms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "49")]
    pub matched_prefix: Option<String>,
    /// The rate as published: attributes, window, increments, prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<card::Rate>)]
    pub terms: Option<Rate>,
    /// Segments of a call, each with one rate and step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<PieceBody>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Piece)]
pub struct PieceBody {
    #[schema(example = "de-mobile")]
    pub rate_key: String,
    pub step: u16,
    /// Elapsed time at which the segment begins.
    #[schema(example = "0", format = "decimal")]
    pub from: String,
    /// Billed quantity, in whole increments.
    #[schema(example = "600", format = "decimal")]
    pub billed: String,
}

/// A report of the same event by a tenant below, with different content, that was voided.
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
    /// Amount that the customer had been debited for it. Absent: it had no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 40)]
    pub debit_cents: Option<i64>,
}

/// A change to an event after it was received.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LaterStep)]
pub struct LaterBody {
    /// `rated_later` or `void`.
    #[schema(value_type = words::LaterKind, example = "void")]
    pub kind: &'static str,
    /// The key that did it, if the caller can see its tenant.
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
    /// For a void: the cents may differ from the original's because of rounding and tiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<ChargeBody>,
}
