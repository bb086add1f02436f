//! Reports of usage in the OpenAPI document. They are read by `formats::input`, in place and
//! faster than by types like these.

use crate::card::Decimal;
use crate::words;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

words! { CloudEventsVersion { "1.0" } }

/// A usage event. Unknown fields are refused; a field that is `null` counts as absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "0192f1", "source": "pbx-1", "customer": "acme-42", "meter": "call", "quantity": "600",
    "at": "2026-11-20T09:00:00Z", "destination": "+4930123456", "attributes": {"direction": "outbound"}}))]
pub struct UsageEvent {
    /// Identifies the event within its source: sending the same event again moves nothing.
    #[schema(min_length = 1, max_length = 255)]
    pub id: String,
    /// The system that reports it. Default: `default`.
    #[schema(min_length = 1, max_length = 128)]
    pub source: Option<String>,
    /// External id or `ten_…`.
    #[schema(min_length = 1, max_length = 255)]
    pub customer: String,
    #[schema(min_length = 1, max_length = 128)]
    pub meter: String,
    /// In the meter's unit. Default: 1 if there is an `amount`.
    pub quantity: Option<Decimal>,
    /// Cost or value in major units, for prices that depend on it.
    pub amount: Option<Decimal>,
    /// Start of the usage.
    #[schema(format = DateTime)]
    pub at: String,
    /// The number called.
    #[schema(max_length = 64)]
    pub destination: Option<String>,
    /// The calling number.
    #[schema(max_length = 64)]
    pub origin: Option<String>,
    /// At most 32.
    pub attributes: Option<BTreeMap<String, String>>,
    /// The hold to capture, by id or by the key it was placed under.
    #[schema(min_length = 1, max_length = 255)]
    pub hold: Option<String>,
}

/// Usage to be priced, as it would be reported, without the fields that are not known yet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"customer": "acme-42", "meter": "call", "quantity": "600", "destination": "+4930123456"}))]
pub struct PlannedUsage {
    #[schema(min_length = 1, max_length = 255)]
    pub id: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    pub source: Option<String>,
    /// External id or `ten_…`.
    #[schema(min_length = 1, max_length = 255)]
    pub customer: String,
    #[schema(min_length = 1, max_length = 128)]
    pub meter: String,
    /// In the meter's unit. Default: 1 if there is an `amount`.
    pub quantity: Option<Decimal>,
    pub amount: Option<Decimal>,
    /// Default: now.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    #[schema(max_length = 64)]
    pub destination: Option<String>,
    #[schema(max_length = 64)]
    pub origin: Option<String>,
    pub attributes: Option<BTreeMap<String, String>>,
    #[schema(min_length = 1, max_length = 255)]
    pub hold: Option<String>,
}

/// Several events, at most 10 000.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageBatch {
    pub events: Vec<UsageEvent>,
}

/// One event, or several. A bare list of events is accepted as well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum UsageReport {
    One(Box<UsageEvent>),
    Several(UsageBatch),
}

/// A usage event as a CloudEvent 1.0. Extension attributes are allowed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"specversion": "1.0", "id": "0192f1", "source": "pbx-1", "type": "call", "subject": "acme-42",
    "time": "2026-11-20T09:00:00Z", "data": {"quantity": "600", "destination": "+4930123456"}}))]
pub struct CloudEvent {
    #[schema(value_type = CloudEventsVersion, inline)]
    pub specversion: String,
    pub id: String,
    pub source: String,
    /// The meter, unless `data.meter` names one.
    #[serde(rename = "type")]
    pub kind: String,
    /// The customer, unless `data.customer` names one.
    pub subject: Option<String>,
    /// Start of the usage, unless `data.at` gives it.
    #[schema(format = DateTime)]
    pub time: Option<String>,
    /// `quantity`, `amount`, `destination`, `origin`, `attributes`, `hold`; with a `map`, whatever
    /// the map names.
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Value>,
}
