//! Requests of Stripe's API.

use crate::acts;
use crate::params::Params;
use crate::refusal::{Answer, Refusal};
use crate::state::State;
use serde_json::{Value, json};

/// Answers a request; `path` is without `/v1`.
pub fn route(state: &mut State, method: &str, path: &[&str], params: &Params) -> Answer {
    match (method, path) {
        ("POST", ["checkout", "sessions"]) => checkout(state, params),
        ("POST", ["checkout", "sessions", id, "expire"]) => acts::expire(state, id),
        ("POST", ["payment_intents"]) => acts::payment_intent(state, params),
        ("POST", ["payment_intents", id, "cancel"]) => cancel(state, id),
        ("POST", ["refunds"]) => refund(state, params),
        ("POST", ["customers"]) => customer(state, params),
        ("POST", ["payment_methods", id, "detach"]) => acts::detach(state, id),
        ("POST", ["accounts"]) => account(state, params),
        ("POST", ["account_links"]) => account_link(state, params),
        ("POST", ["transfers"]) => transfer(state, params),
        ("POST", ["transfers", id, "reversals"]) => reversal(state, id, params),
        ("GET", ["balance"]) => Ok(crate::objects::make("balance", json!({}))),
        ("GET", ["events"]) => events(state, params),
        ("GET", ["balance_transactions"]) => list(
            state,
            "balance_transaction",
            "/v1/balance_transactions",
            params,
            &["source", "type", "currency"],
        ),
        ("GET", ["refunds"]) => list(
            state,
            "refund",
            "/v1/refunds",
            params,
            &["payment_intent", "charge"],
        ),
        ("GET", ["disputes"]) => list(
            state,
            "dispute",
            "/v1/disputes",
            params,
            &["payment_intent", "charge"],
        ),
        ("GET", ["checkout", "sessions"]) => list(
            state,
            "checkout.session",
            "/v1/checkout/sessions",
            params,
            &["payment_intent"],
        ),
        ("GET", ["checkout", "sessions", id]) => state.of_kind("checkout.session", id),
        ("GET", [kinds, id]) => state
            .of_kind(kinds.trim_end_matches('s'), id)
            .map(|object| expand(state, object, params)),
        _ => Err(Refusal::missing(&path.join("/"))),
    }
}

/// Puts objects where their ids are, along the paths of `expand`.
fn expand(state: &State, mut object: Value, params: &Params) -> Value {
    for path in params.list("expand") {
        expand_one(state, &mut object, path.as_str().unwrap_or_default());
    }
    object
}

fn expand_one(state: &State, object: &mut Value, path: &str) {
    let mut at = object;
    for name in path.split('.') {
        let Some(next) = at.get_mut(name) else { return };
        if let Some(found) = next.as_str().and_then(|id| state.get(id).ok()) {
            *next = found;
        }
        at = next;
    }
}

fn list(state: &State, kind: &str, url: &str, params: &Params, filters: &[&str]) -> Answer {
    let keep = |object: &Value| {
        filters.iter().all(|name| {
            params
                .text(name)
                .is_none_or(|wanted| object[*name] == wanted)
        })
    };
    let mut page = state.page(url, params, state.all(kind, keep))?;
    let paths: Vec<String> = params
        .list("expand")
        .iter()
        .filter_map(|path| path.as_str()?.strip_prefix("data.").map(str::to_owned))
        .collect();
    for object in page["data"].as_array_mut().into_iter().flatten() {
        paths
            .iter()
            .for_each(|path| expand_one(state, object, path));
    }
    Ok(page)
}

fn events(state: &State, params: &Params) -> Answer {
    let types: Vec<Value> = params.list("types");
    let wanted = |event: &Value| {
        params.text("type").is_none_or(|kind| event["type"] == kind)
            && (types.is_empty() || types.contains(&event["type"]))
    };
    // Those of connected accounts are listed there.
    state.page(
        "/v1/events",
        params,
        state.all("event", |event| event["account"].is_null() && wanted(event)),
    )
}

fn checkout(state: &mut State, params: &Params) -> Answer {
    let lines = params.list("line_items");
    let number = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let total: i64 = lines
        .iter()
        .map(|line| number(&line["price_data"]["unit_amount"]) * number(&line["quantity"]))
        .sum();
    let currency = lines
        .first()
        .map_or(Value::Null, |line| line["price_data"]["currency"].clone());
    let expires_at = params.int("expires_at").unwrap_or(state.now + 86_400);
    if !(1800 - 60..=86_400 + 60).contains(&(expires_at - state.now)) {
        return Err(Refusal::parameter("expires_at_out_of_range", "expires_at"));
    }
    if total <= 0 || params.text("success_url").is_none() {
        return Err(Refusal::invalid(
            "parameter_missing",
            "line_items with an amount, and success_url",
        ));
    }
    if let Some(customer) = params.text("customer") {
        state.named(customer)?;
    }
    let id = state.make(
        "checkout.session",
        json!({
            "mode": params.text("mode"), "status": "open", "payment_status": "unpaid", "amount_total": total, "amount_subtotal": total,
            "currency": currency, "customer": params.text("customer"), "client_reference_id": params.text("client_reference_id"),
            "metadata": params.map("metadata"), "success_url": params.text("success_url"), "cancel_url": params.text("cancel_url"),
            "locale": params.text("locale"), "payment_method_types": params.list("allowed_payment_method_types"),
            "expires_at": expires_at, "payment_intent": null, "_payment": params.map("payment_intent_data"),
            "_keeps_customer": params.text("customer_creation") == Some("always"),
        }),
    );
    Ok(state.set(
        &id,
        json!({"url": format!("https://checkout.stripe.com/c/pay/{id}")}),
    ))
}

fn cancel(state: &mut State, id: &str) -> Answer {
    let intent = state.of_kind("payment_intent", id)?;
    if matches!(
        intent["status"].as_str(),
        Some("succeeded" | "canceled" | "processing")
    ) {
        return Err(Refusal::invalid(
            "payment_intent_unexpected_state",
            "it cannot be canceled",
        ));
    }
    let intent = state.set(id, json!({"status": "canceled"}));
    state.emit("payment_intent.canceled", &intent, None);
    Ok(intent)
}

fn refund(state: &mut State, params: &Params) -> Answer {
    let charge = match (params.text("charge"), params.text("payment_intent")) {
        (Some(charge), _) => charge.to_owned(),
        (None, Some(payment)) => state.named(payment)?["latest_charge"]
            .as_str()
            .unwrap_or("-")
            .to_owned(),
        (None, None) => return Err(Refusal::parameter("parameter_missing", "payment_intent")),
    };
    acts::refund(
        state,
        &charge,
        params.int("amount"),
        &params.map("metadata"),
    )
}

fn customer(state: &mut State, params: &Params) -> Answer {
    let id = state.make(
        "customer",
        json!({"metadata": params.map("metadata"), "email": params.text("email")}),
    );
    state.get(&id)
}

fn account(state: &mut State, params: &Params) -> Answer {
    let fields = json!({
        "country": params.text("country"), "metadata": params.map("metadata"), "payouts_enabled": false, "charges_enabled": false,
        "details_submitted": false, "capabilities": {"transfers": "inactive"},
        "requirements": {"currently_due": ["external_account", "tos_acceptance.date"], "past_due": []},
    });
    let id = state.make("account", fields);
    state.get(&id)
}

fn account_link(state: &State, params: &Params) -> Answer {
    let account = params.text("account").unwrap_or_default();
    state.named(account)?;
    let url = format!("https://connect.stripe.com/setup/{account}");
    Ok(crate::objects::make(
        "account_link",
        json!({"created": state.now, "expires_at": state.now + 300, "url": url}),
    ))
}

fn transfer(state: &mut State, params: &Params) -> Answer {
    let (amount, currency) = (
        params.int("amount").unwrap_or(0),
        params.text("currency").unwrap_or_default(),
    );
    let destination = params.text("destination").unwrap_or_default();
    let account = state.named(destination)?;
    if account["capabilities"]["transfers"] != "active" {
        return Err(Refusal::invalid(
            "insufficient_capabilities_for_transfer",
            "the account may not receive transfers",
        ));
    }
    if amount <= 0 || amount > state.balance(currency) {
        return Err(Refusal::invalid(
            "balance_insufficient",
            "You have insufficient available funds in your Stripe account.",
        ));
    }
    acts::transfer(
        state,
        amount,
        currency,
        destination,
        &params.map("metadata"),
    )
}

fn reversal(state: &mut State, id: &str, params: &Params) -> Answer {
    acts::reverse(state, id, params.int("amount"))
}
