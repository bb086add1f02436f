//! What an explanation says of an event.

use crate::lacking::Today;
use crate::names::{OpenLinkBody, Split};
use rating::card::Rate;
use schema::{card, words};
use serde::Serialize;
use std::collections::BTreeMap;

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
