//! Stripe's objects with every field that is never missing.

use serde_json::{Map, Value};
use std::sync::LazyLock;

static SKELETONS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("objects.json")).unwrap_or_default());

/// What ids of a kind begin with.
pub fn prefix(kind: &str) -> &str {
    match kind {
        "account" => "acct",
        "balance_transaction" => "txn",
        "charge" => "ch",
        "checkout.session" => "cs_test",
        "customer" => "cus",
        "dispute" => "dp",
        "event" => "evt",
        "radar.early_fraud_warning" => "issfr",
        "v2.core.event" => "evt_test",
        "payment_intent" => "pi",
        "payment_method" => "pm",
        "refund" => "re",
        "transfer" => "tr",
        "transfer_reversal" => "trr",
        other => other,
    }
}

/// An object of this kind with these fields.
pub fn make(kind: &str, fields: Value) -> Value {
    let mut object = SKELETONS
        .get(kind)
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()));
    merge(&mut object, fields);
    object
}

/// Fields take the place of those that are there.
pub fn merge(object: &mut Value, fields: Value) {
    if let (Value::Object(object), Value::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}
