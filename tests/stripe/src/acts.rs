//! What becomes of money: payments, refunds, disputes.

use crate::params::Params;
use crate::refusal::{Answer, Refusal};
use crate::state::{Behaviour, State};
use serde_json::{Value, json};

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}

fn int(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or(0)
}

// --- Payments

pub fn payment_intent(state: &mut State, params: &Params) -> Answer {
    let (customer, method) = (params.text("customer"), params.text("payment_method"));
    if let Some(customer) = customer {
        state
            .of_kind("customer", customer)
            .map_err(Refusal::named)?;
    }
    if let Some(method) = method {
        let owner = state.named(method)?["customer"].clone();
        if owner.as_str() != customer {
            return Err(Refusal::invalid(
                "payment_method_unexpected_state",
                "The payment method does not belong to the customer.",
            ));
        }
    }
    let id = new_intent(
        state,
        params.int("amount").unwrap_or(0),
        params.text("currency").unwrap_or_default(),
        &params.map("metadata"),
    );
    state.set(&id, json!({"customer": customer, "payment_method": method, "description": params.text("description")}));
    if params.text("confirm") == Some("true") {
        confirm(state, &id, params.text("off_session") == Some("true"))?;
    }
    state.get(&id)
}

pub fn new_intent(state: &mut State, amount: i64, currency: &str, metadata: &Value) -> String {
    let id = state.make(
        "payment_intent",
        json!({"amount": amount, "currency": currency, "metadata": metadata, "status": "requires_payment_method", "payment_method_types": ["card", "sepa_debit"]}),
    );
    let intent = state.set(&id, json!({"client_secret": format!("{id}_secret_x")}));
    state.emit("payment_intent.created", &intent, None);
    id
}

fn confirm(state: &mut State, id: &str, off_session: bool) -> Answer<()> {
    let method = text(&state.get(id)?, "payment_method");
    match state.behaviours.get(&method).cloned() {
        Some(Behaviour::Succeeds) => succeed(state, id, "card"),
        Some(Behaviour::Sepa) => process(state, id),
        Some(Behaviour::Declines(code, decline_code)) => {
            return Err(decline(state, id, code, decline_code));
        }
        Some(Behaviour::NeedsPayer) if off_session => {
            return Err(decline(
                state,
                id,
                "authentication_required",
                "authentication_required",
            ));
        }
        Some(Behaviour::NeedsPayer) => {
            let intent = state.set(id, json!({"status": "requires_action"}));
            state.emit("payment_intent.requires_action", &intent, None);
        }
        None => {
            return Err(Refusal::invalid(
                "payment_intent_unexpected_state",
                "it has no payment method",
            ));
        }
    }
    Ok(())
}

/// An attempt that the bank refuses: the payment stays open.
pub fn decline(state: &mut State, id: &str, code: &str, decline_code: &str) -> Refusal {
    let error = json!({"type": "card_error", "code": code, "decline_code": decline_code, "message": "Your card was declined."});
    let intent = state.set(
        id,
        json!({"status": "requires_payment_method", "last_payment_error": error}),
    );
    state.emit("payment_intent.payment_failed", &intent, None);
    Refusal::declined(code, decline_code, intent)
}

fn new_charge(state: &mut State, intent: &Value, method: &str) -> String {
    let fields = json!({
        "amount": intent["amount"], "currency": intent["currency"], "payment_intent": intent["id"], "customer": intent["customer"],
        "payment_method": intent["payment_method"], "metadata": intent["metadata"], "payment_method_details": {"type": method},
        "livemode": intent["livemode"], "status": "pending", "captured": true, "amount_captured": intent["amount"],
    });
    state.make("charge", fields)
}

/// A direct debit is on its way.
pub fn process(state: &mut State, id: &str) {
    let Ok(intent) = state.get(id) else { return };
    let charge = new_charge(state, &intent, "sepa_debit");
    let intent = state.set(id, json!({"status": "processing", "latest_charge": charge}));
    state.emit("payment_intent.processing", &intent, None);
}

/// The money is there.
pub fn succeed(state: &mut State, id: &str, method: &str) {
    let Ok(intent) = state.get(id) else { return };
    let (amount, currency) = (int(&intent, "amount"), text(&intent, "currency"));
    let on_its_way = (intent["status"] == "processing").then(|| text(&intent, "latest_charge"));
    let charge = on_its_way.unwrap_or_else(|| new_charge(state, &intent, method));
    let (kind, fee) = if method == "card" {
        ("charge", amount * 15 / 1000 + 25)
    } else {
        ("payment", 35)
    };
    let entry = match state.settles_in.clone() {
        // Counted in the account's currency, at two for one, and the fee with it.
        Some(settled_in) if settled_in != currency => {
            let entry = state.entry(kind, amount * 2, &settled_in, &charge, fee);
            state.set(&entry, json!({"exchange_rate": 2.0}));
            entry
        }
        _ => state.entry(kind, amount, &currency, &charge, fee),
    };
    let charged = state.set(
        &charge,
        json!({"status": "succeeded", "paid": true, "balance_transaction": entry}),
    );
    let paid = json!({"status": "succeeded", "amount_received": amount, "latest_charge": charge, "last_payment_error": null});
    let intent = state.set(id, paid);
    state.emit("charge.succeeded", &charged, None);
    state.emit("payment_intent.succeeded", &intent, None);
}

/// The direct debit that was on its way came back.
pub fn bounce(state: &mut State, id: &str) {
    let Ok(intent) = state.get(id) else { return };
    let charge = state.set(
        &text(&intent, "latest_charge"),
        json!({"status": "failed", "failure_code": "insufficient_funds"}),
    );
    state.emit("charge.failed", &charge, None);
    decline(
        state,
        id,
        "payment_intent_payment_attempt_failed",
        "insufficient_funds",
    );
}

// --- Pages

/// The payment of a page, made at the first attempt.
pub fn intent_of(state: &mut State, session: &str) -> Answer<String> {
    let page = state.of_kind("checkout.session", session)?;
    if let Some(intent) = page["payment_intent"].as_str() {
        return Ok(intent.to_owned());
    }
    let data = &page["_payment"];
    let metadata = data.get("metadata").cloned().unwrap_or_else(|| json!({}));
    let id = new_intent(
        state,
        int(&page, "amount_total"),
        &text(&page, "currency"),
        &metadata,
    );
    state.set(&id, json!({"customer": page["customer"], "setup_future_usage": data["setup_future_usage"], "livemode": page["livemode"]}));
    Ok(id)
}

/// The payer is done with an open page; the method is kept if the page said so.
pub fn pay(state: &mut State, session: &str, behaviour: &Behaviour) -> Answer<String> {
    let page = state.of_kind("checkout.session", session)?;
    if page["status"] != "open" {
        return Err(Refusal::invalid("session_not_open", "This page is over."));
    }
    let id = intent_of(state, session)?;
    let keeps = state.get(&id)?["setup_future_usage"] == "off_session";
    let mut customer = page["customer"].clone();
    if customer.is_null() && (keeps || page["_keeps_customer"] == true) {
        customer = state.make("customer", json!({})).into();
    }
    let is_sepa = *behaviour == Behaviour::Sepa;
    let owner = if keeps { customer.clone() } else { Value::Null };
    let method = state.make(
        "payment_method",
        json!({"type": if is_sepa { "sepa_debit" } else { "card" }, "customer": owner}),
    );
    state.behaviours.insert(method.clone(), behaviour.clone());
    state.set(&id, json!({"customer": customer, "payment_method": method}));
    state.set(
        session,
        json!({"payment_intent": id, "status": "complete", "url": null, "customer": customer}),
    );
    if is_sepa {
        process(state, &id);
    } else {
        succeed(state, &id, "card");
        state.set(session, json!({"payment_status": "paid"}));
    }
    let page = state.get(session)?;
    state.emit("checkout.session.completed", &page, None);
    Ok(id)
}

/// The payer pays an open page in another way than was asked for: another amount, or in another
/// currency.
pub fn pay_as(state: &mut State, session: &str, amount: i64, currency: &str) -> Answer<String> {
    let id = intent_of(state, session)?;
    state.set(&id, json!({"amount": amount, "currency": currency}));
    pay_intent(state, session, &id)
}

fn pay_intent(state: &mut State, session: &str, id: &str) -> Answer<String> {
    state.set(
        session,
        json!({"payment_intent": id, "status": "complete", "url": null, "payment_status": "paid"}),
    );
    succeed(state, id, "card");
    let page = state.get(session)?;
    state.emit("checkout.session.completed", &page, None);
    Ok(id.to_owned())
}

/// What a direct debit came to; with the events of its page, if it has one.
pub fn settle(state: &mut State, intent: &str, ok: bool) {
    if ok {
        succeed(state, intent, "sepa_debit")
    } else {
        bounce(state, intent)
    }
    let Some(page) = state
        .all("checkout.session", |page| page["payment_intent"] == intent)
        .into_iter()
        .next()
    else {
        return;
    };
    let id = text(&page, "id");
    let page = if ok {
        state.set(&id, json!({"payment_status": "paid"}))
    } else {
        page
    };
    let kind = if ok {
        "checkout.session.async_payment_succeeded"
    } else {
        "checkout.session.async_payment_failed"
    };
    state.emit(kind, &page, None);
}

pub fn expire(state: &mut State, session: &str) -> Answer {
    let page = state.of_kind("checkout.session", session)?;
    if page["status"] != "open" {
        return Err(Refusal::invalid(
            "session_not_open",
            "Only Checkout Sessions with a status in [\"open\"] can be expired.",
        ));
    }
    let page = state.set(session, json!({"status": "expired", "url": null}));
    state.emit("checkout.session.expired", &page, None);
    Ok(page)
}

// --- What is taken back

pub fn refund(state: &mut State, charge: &str, amount: Option<i64>, metadata: &Value) -> Answer {
    let charged = state.of_kind("charge", charge).map_err(Refusal::named)?;
    let left = int(&charged, "amount") - int(&charged, "amount_refunded");
    let amount = amount.unwrap_or(left);
    if charged["status"] != "succeeded" || left <= 0 {
        return Err(Refusal::invalid(
            "charge_already_refunded",
            "Charge has already been refunded.",
        ));
    }
    if charged["_is_refundable"] == false {
        return Err(Refusal::invalid(
            "charge_disputed",
            "This charge has been charged back; it cannot be refunded.",
        ));
    }
    if amount > left || amount <= 0 {
        return Err(Refusal::invalid(
            "amount_too_large",
            "Refund amount is greater than unrefunded amount on charge",
        ));
    }
    let currency = text(&charged, "currency");
    let status = if state.refunds_wait {
        "pending"
    } else {
        "succeeded"
    };
    let id = state.make(
        "refund",
        json!({"amount": amount, "currency": currency, "charge": charge, "payment_intent": charged["payment_intent"], "status": status, "metadata": metadata}),
    );
    let fee = state.refund_fee;
    let entry = state.entry("refund", -amount, &currency, &id, fee);
    let refund = state.set(&id, json!({"balance_transaction": entry}));
    let charged = state.set(charge, json!({"amount_refunded": int(&charged, "amount_refunded") + amount, "refunded": amount == left}));
    state.emit("refund.created", &refund, None);
    state.emit("charge.refunded", &charged, None);
    Ok(refund)
}

/// A refund that waited is through, or comes back: failed (perhaps weeks after it succeeded) or
/// canceled.
pub fn end_refund(state: &mut State, id: &str, status: &str) -> Answer<()> {
    let refund = state.of_kind("refund", id)?;
    let (amount, currency) = (int(&refund, "amount"), text(&refund, "currency"));
    let mut refund = state.set(id, json!({"status": status}));
    if status != "succeeded" {
        let entry = state.entry("refund_failure", amount, &currency, id, 0);
        refund = state.set(id, json!({"failure_balance_transaction": entry}));
        let charge = text(&refund, "charge");
        let refunded = int(&state.get(&charge)?, "amount_refunded") - amount;
        state.set(
            &charge,
            json!({"amount_refunded": refunded, "refunded": false}),
        );
    }
    if status == "failed" {
        state.emit("refund.failed", &refund, None);
    }
    state.emit("refund.updated", &refund, None);
    Ok(())
}

/// The payer's bank asks for the money (`needs_response`), or only asks (`warning_needs_response`).
pub fn dispute(
    state: &mut State,
    intent: &str,
    amount: Option<i64>,
    status: &str,
) -> Answer<String> {
    let charge = text(&state.of_kind("payment_intent", intent)?, "latest_charge");
    let charged = state.set(&charge, json!({"disputed": true}));
    let amount = amount.unwrap_or(int(&charged, "amount"));
    let id = state.make(
        "dispute",
        json!({"amount": amount, "currency": charged["currency"], "charge": charge, "payment_intent": intent, "reason": "fraudulent", "status": status}),
    );
    let disputed = state.get(&id)?;
    state.emit("charge.dispute.created", &disputed, None);
    if !status.starts_with("warning_") {
        withdraw(state, &id, 2000)?;
    }
    Ok(id)
}

/// Its money is taken from us, with a fee.
pub fn withdraw(state: &mut State, id: &str, fee: i64) -> Answer<()> {
    let dispute = state.of_kind("dispute", id)?;
    state.set(&text(&dispute, "charge"), json!({"_is_refundable": false}));
    book(state, &dispute, -int(&dispute, "amount"), fee)?;
    let dispute = state.set(id, json!({"status": "needs_response"}));
    state.emit("charge.dispute.funds_withdrawn", &dispute, None);
    Ok(())
}

/// `won`: the money comes back, the fee does not. `lost`, `warning_closed`, or anything else: it
/// stays as it is.
pub fn close(state: &mut State, id: &str, status: &str) -> Answer<()> {
    let before = state.of_kind("dispute", id)?;
    let dispute = state.set(id, json!({"status": status}));
    state.emit("charge.dispute.closed", &dispute, None);
    let was_withdrawn = before["balance_transactions"]
        .as_array()
        .is_some_and(|entries| !entries.is_empty());
    if status == "won" && was_withdrawn {
        book(state, &dispute, int(&dispute, "amount"), 0)?;
        let dispute = state.get(id)?;
        state.emit("charge.dispute.funds_reinstated", &dispute, None);
    }
    Ok(())
}

fn book(state: &mut State, dispute: &Value, amount: i64, fee: i64) -> Answer<()> {
    let id = text(dispute, "id");
    let entry = state.entry("adjustment", amount, &text(dispute, "currency"), &id, fee);
    let mut entries = dispute["balance_transactions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    entries.push(state.get(&entry)?);
    state.set(&id, json!({"balance_transactions": entries}));
    Ok(())
}

// --- Transfers

/// Sent to an account, by us or on Stripe's own pages.
pub fn transfer(
    state: &mut State,
    amount: i64,
    currency: &str,
    destination: &str,
    metadata: &Value,
) -> Answer {
    let id = state.make("transfer", json!({"amount": amount, "currency": currency, "destination": destination, "metadata": metadata}));
    let entry = state.entry("transfer", -amount, currency, &id, 0);
    let transfer = state.set(&id, json!({"balance_transaction": entry}));
    state.emit("transfer.created", &transfer, None);
    Ok(transfer)
}

/// Taken back from an account: `None`: all that is left.
pub fn reverse(state: &mut State, id: &str, amount: Option<i64>) -> Answer {
    let transfer = state.of_kind("transfer", id)?;
    let (all, reversed) = (int(&transfer, "amount"), int(&transfer, "amount_reversed"));
    let amount = amount.unwrap_or(all - reversed);
    if amount <= 0 || amount > all - reversed {
        return Err(Refusal::invalid(
            "amount_too_large",
            "Reversal amount exceeds transfer",
        ));
    }
    let transfer = state.set(
        id,
        json!({"amount_reversed": reversed + amount, "reversed": reversed + amount == all}),
    );
    let currency = text(&transfer, "currency");
    let reversal = state.make(
        "transfer_reversal",
        json!({"amount": amount, "currency": currency, "transfer": id}),
    );
    let entry = state.entry("transfer_refund", amount, &currency, &reversal, 0);
    state.emit("transfer.reversed", &transfer, None);
    Ok(state.set(&reversal, json!({"balance_transaction": entry})))
}

// --- Methods and customers

/// A method can be used no longer.
pub fn detach(state: &mut State, method: &str) -> Answer {
    state.of_kind("payment_method", method)?;
    let method = state.set(method, json!({"customer": null}));
    state.emit("payment_method.detached", &method, None);
    Ok(method)
}
