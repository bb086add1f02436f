//! What an event of Stripe is about. Read leniently: an event comes in the version of the API that its endpoint was made
//! with, so nothing but ids is taken from it.
//! <https://docs.stripe.com/api/events/types>

use crate::provider::{Event, Object};
use rating::Instant;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    created: i64,
    livemode: bool,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    object: Value,
}

/// The event in the body of a message; `None` if there is none.
pub fn parse(body: &[u8]) -> Option<Event> {
    let raw: Raw = serde_json::from_slice(body).ok()?;
    if raw.id.is_empty() || raw.kind.is_empty() {
        return None;
    }
    let object = about(&raw.kind, &raw.data.object, raw.account.as_deref());
    Some(Event {
        id: raw.id,
        kind: raw.kind,
        object,
        created_at: Instant::from_secs(raw.created),
        live: raw.livemode,
        account: raw.account,
    })
}

/// What an event of this kind about this object is to us. Objects of a connected account are not ours: only how the
/// account itself is.
pub fn about(kind: &str, object: &Value, account: Option<&str>) -> Object {
    let Some(id) = id(object) else { return Object::Other };
    let sort = object["object"].as_str().unwrap_or_default();
    if let Some(account) = account {
        let is_account = matches!(sort, "account" | "capability" | "payout" | "application") || kind.starts_with("account.");
        return if is_account { Object::Payee(account.into()) } else { Object::Other };
    }
    match sort {
        "checkout.session" => Object::Session(id),
        "payment_intent" => Object::Payment(id),
        "charge" => of_payment(object, Some(id)),
        "refund" | "dispute" => of_payment(object, self::id(&object["charge"])),
        "transfer" => Object::Transfer(id),
        "transfer_reversal" => self::id(&object["transfer"]).map_or(Object::Other, Object::Transfer),
        "account" => Object::Payee(id),
        "payment_method" if kind == "payment_method.detached" => Object::MethodGone(id),
        "mandate" if object["status"] == "inactive" => Object::MandateGone { mandate: id, method: self::id(&object["payment_method"]) },
        "customer" if kind == "customer.deleted" => Object::CustomerGone(id),
        _ => Object::Other,
    }
}

fn of_payment(object: &Value, charge: Option<String>) -> Object {
    let by_payment = id(&object["payment_intent"]).map(Object::OfPayment);
    by_payment.or(charge.map(Object::OfCharge)).unwrap_or(Object::Other)
}

/// Of an object, or of a reference to one.
fn id(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["id"].as_str()).filter(|id| !id.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: &str, object: Value, expected: Object) {
        assert_eq!(about(kind, &object, None), expected, "{kind}");
        let whole = json!({"id": "evt_1", "type": kind, "created": 1, "livemode": false, "data": {"object": object}});
        let event = parse(whole.to_string().as_bytes()).unwrap();
        assert_eq!((event.id.as_str(), event.kind.as_str(), event.object), ("evt_1", kind, expected));
        assert_eq!((event.created_at, event.live, event.account), (Instant::from_secs(1), false, None));
    }

    #[test]
    fn what_events_are_about() {
        let of = |id: &str| Object::OfPayment(id.into());
        check("checkout.session.completed", json!({"object": "checkout.session", "id": "cs_1"}), Object::Session("cs_1".into()));
        check("payment_intent.succeeded", json!({"object": "payment_intent", "id": "pi_1"}), Object::Payment("pi_1".into()));
        check("charge.refunded", json!({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}), of("pi_1"));
        check("charge.refunded", json!({"object": "charge", "id": "ch_1", "payment_intent": null}), Object::OfCharge("ch_1".into()));
        check("refund.failed", json!({"object": "refund", "id": "re_1", "charge": "ch_1", "payment_intent": {"id": "pi_1"}}), of("pi_1"));
        check("refund.failed", json!({"object": "refund", "id": "re_1"}), Object::Other);
        check("charge.dispute.closed", json!({"object": "dispute", "id": "dp_1", "charge": "ch_1"}), Object::OfCharge("ch_1".into()));
        check("transfer.reversed", json!({"object": "transfer", "id": "tr_1"}), Object::Transfer("tr_1".into()));
        check("payment_method.detached", json!({"object": "payment_method", "id": "pm_1"}), Object::MethodGone("pm_1".into()));
        check("payment_method.attached", json!({"object": "payment_method", "id": "pm_1"}), Object::Other);
        let mandate = |status: &str| json!({"object": "mandate", "id": "mandate_1", "status": status, "payment_method": "pm_1"});
        let gone = Object::MandateGone { mandate: "mandate_1".into(), method: Some("pm_1".into()) };
        check("mandate.updated", mandate("inactive"), gone);
        check("mandate.updated", mandate("active"), Object::Other);
        check("customer.deleted", json!({"object": "customer", "id": "cus_1"}), Object::CustomerGone("cus_1".into()));
        check("customer.updated", json!({"object": "customer", "id": "cus_1"}), Object::Other);
        check("invoice.paid", json!({"object": "invoice", "id": "in_1"}), Object::Other);
        check("something.new", json!({"object": "something", "id": "x_1"}), Object::Other);
        check("something.new", json!({}), Object::Other);
    }

    #[test]
    fn of_a_connected_account_only_the_account_matters() {
        let on_account = |kind: &str, object: Value| about(kind, &object, Some("acct_1"));
        let payee = Object::Payee("acct_1".into());
        assert_eq!(on_account("account.updated", json!({"object": "account", "id": "acct_1"})), payee);
        assert_eq!(on_account("payout.failed", json!({"object": "payout", "id": "po_1"})), payee);
        assert_eq!(on_account("account.application.deauthorized", json!({"object": "application", "id": "ca_1"})), payee);
        assert_eq!(on_account("payment_intent.succeeded", json!({"object": "payment_intent", "id": "pi_1"})), Object::Other);
    }

    #[test]
    fn what_is_no_event() {
        for body in ["", "null", "[]", "{}", r#"{"id":"evt_1"}"#, r#"{"id":"","type":"x","livemode":true}"#, r#"{"id":"evt_1","type":"x"}"#]
        {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
        let thin = parse(br#"{"id":"evt_1","type":"v2.core.event","livemode":true}"#).unwrap();
        assert_eq!((thin.object, thin.live), (Object::Other, true));
    }
}
