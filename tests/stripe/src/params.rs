//! Form-encoded parameters (`a[b][0][c]=v`) and which of them a request takes.

use crate::refusal::{Answer, Refusal};
use serde_json::{Map, Value};

/// Parameters as nested objects; lists have their indices as names.
#[derive(Debug, Clone, Default)]
pub struct Params(pub Value);

impl Params {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// The map under a name; empty if there is none.
    pub fn map(&self, name: &str) -> Value {
        match &self.0[name] {
            Value::Null => Value::Object(Map::new()),
            map => map.clone(),
        }
    }

    /// The entries of a list under a name.
    pub fn list(&self, name: &str) -> Vec<Value> {
        self.0[name]
            .as_object()
            .map(|list| list.values().cloned().collect())
            .unwrap_or_default()
    }
}

/// Reads `text` and refuses what is not in `spec`: names like `line_items.*.quantity:int`, `!`
/// behind those that must be there.
pub fn read(text: &[u8], spec: &[&str]) -> Answer<Params> {
    let mut root = Value::Object(Map::new());
    for (key, value) in form_urlencoded::parse(text) {
        let path: Vec<&str> = key
            .split(['[', ']'])
            .filter(|part| !part.is_empty())
            .collect();
        check(&path, &value, &key, spec)?;
        let mut at = &mut root;
        for part in path {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[part];
        }
        *at = Value::String(value.into_owned());
    }
    let missing = spec
        .iter()
        .find(|name| name.ends_with('!') && root.get(bare(name)).is_none());
    match missing {
        Some(name) => Err(Refusal::parameter("parameter_missing", bare(name))),
        None => Ok(Params(root)),
    }
}

fn check(path: &[&str], value: &str, key: &str, spec: &[&str]) -> Answer<()> {
    let fits = |name: &&&str| {
        let parts: Vec<&str> = bare(name).split('.').collect();
        parts.len() == path.len()
            && parts
                .iter()
                .zip(path)
                .all(|(part, given)| *part == "*" || part == given)
    };
    let Some(name) = spec.iter().find(fits) else {
        return Err(Refusal::parameter("parameter_unknown", key));
    };
    if name.contains(":int") && value.parse::<i64>().is_err() {
        return Err(Refusal::parameter("parameter_invalid_integer", key));
    }
    Ok(())
}

fn bare(name: &str) -> &str {
    name.trim_end_matches('!').trim_end_matches(":int")
}

const PAGE: [&str; 7] = [
    "limit:int",
    "starting_after",
    "ending_before",
    "created.gte:int",
    "created.gt:int",
    "created.lt:int",
    "created.lte:int",
];

/// What a request takes; `None`: there is no such request here.
pub fn of(method: &str, path: &[&str]) -> Option<Vec<&'static str>> {
    let own: &[&str] = match (method, path) {
        ("POST", ["checkout", "sessions"]) => &CHECKOUT,
        ("POST", ["payment_intents"]) => &PAYMENT_INTENT,
        ("POST", ["refunds"]) => &[
            "payment_intent",
            "charge",
            "amount:int",
            "metadata.*",
            "reason",
        ],
        ("POST", ["customers"]) => &["metadata.*", "email", "name"],
        ("POST", ["accounts"]) => &ACCOUNT,
        ("POST", ["account_links"]) => &["account!", "type!", "return_url", "refresh_url"],
        ("POST", ["transfers"]) => &[
            "amount:int",
            "currency!",
            "destination!",
            "metadata.*",
            "transfer_group",
            "source_transaction",
        ],
        ("POST", ["transfers", _, "reversals"]) => &["amount:int", "metadata.*"],
        (
            "POST",
            ["checkout", "sessions", _, "expire"]
            | ["payment_methods", _, "detach"]
            | ["payment_intents", _, "cancel"],
        ) => &[],
        ("GET", ["checkout", "sessions"] | ["refunds"] | ["disputes"]) => {
            &["payment_intent", "charge"]
        }
        ("GET", ["events"]) => &["type", "types.*", "delivery_success"],
        ("GET", ["balance_transactions"]) => &["source", "type", "currency", "payout"],
        ("GET", ["balance"] | ["checkout", "sessions", _]) => &[],
        ("GET", [kind, _]) if ONE.contains(kind) => &[],
        _ => return None,
    };
    let is_list = method == "GET"
        && matches!(
            path,
            ["checkout", "sessions"] | ["refunds" | "disputes" | "events" | "balance_transactions"]
        );
    let page: &[&str] = if is_list { &PAGE } else { &[] };
    Some([own, page, &["expand.*"]].concat())
}

const ONE: [&str; 10] = [
    "accounts",
    "balance_transactions",
    "charges",
    "customers",
    "disputes",
    "events",
    "payment_intents",
    "payment_methods",
    "refunds",
    "transfers",
];

const CHECKOUT: [&str; 21] = [
    "mode",
    "client_reference_id",
    "metadata.*",
    "customer",
    "customer_creation",
    "line_items.*.quantity:int",
    "line_items.*.price_data.currency",
    "line_items.*.price_data.unit_amount:int",
    "line_items.*.price_data.product_data.name",
    "payment_intent_data.description",
    "payment_intent_data.metadata.*",
    "payment_intent_data.setup_future_usage",
    "allowed_payment_method_types.*",
    "adaptive_pricing.enabled",
    "locale",
    "success_url",
    "cancel_url",
    "expires_at:int",
    "submit_type",
    "ui_mode",
    "return_url",
];

const PAYMENT_INTENT: [&str; 12] = [
    "amount:int!",
    "currency!",
    "customer",
    "payment_method",
    "allowed_payment_method_types.*",
    "confirm",
    "off_session",
    "error_on_requires_action",
    "description",
    "metadata.*",
    "setup_future_usage",
    "transfer_group",
];

const ACCOUNT: [&str; 8] = [
    "country",
    "type",
    "email",
    "metadata.*",
    "capabilities.*.requested",
    "controller.fees.payer",
    "controller.losses.payments",
    "controller.stripe_dashboard.type",
];
