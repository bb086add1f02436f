//! What an event of Stripe is about. Read leniently: an event comes in the version of the API that
//! its endpoint was made with, so nothing but ids is taken from it.
//! <https://docs.stripe.com/api/events/types>

use crate::{Event, HookError, Object, is_id};
use rating::Instant;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// `event`, or `v2.core.event`: the second form.
    #[serde(default)]
    object: String,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    livemode: Option<bool>,
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

/// What the second form says it is. It has the id of its object and nothing else of it.
/// <https://docs.stripe.com/event-destinations#thin-events>
const SECOND_FORM: &str = "v2.core.event";
const KIND_BYTES_MAX: usize = 255;

/// `evt_…`
pub fn is_event_id(text: &str) -> bool {
    text.strip_prefix("evt_").is_some_and(is_id)
}

/// The event in the body of a message.
///
/// # Errors
/// `Malformed`: there is none. `Unnamed`: it has no id by which it could be kept.
pub fn parse(body: &[u8]) -> Result<Event, HookError> {
    let raw: Raw = serde_json::from_slice(body).map_err(|_| HookError::Malformed)?;
    let is_second = raw.object == SECOND_FORM;
    if raw.id.is_empty() || raw.kind.is_empty() || (raw.livemode.is_none() && !is_second) {
        return Err(HookError::Malformed);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !is_event_id(&raw.id) || raw.kind.len() > KIND_BYTES_MAX || !raw.kind.bytes().all(plain) {
        return Err(HookError::Unnamed);
    }
    let object = if is_second {
        Object::SecondForm
    } else {
        about(&raw.kind, &raw.data.object, raw.account.as_deref())
    };
    let at = raw
        .created
        .as_i64()
        .map(Instant::from_secs)
        .or_else(|| raw.created.as_str()?.parse().ok());
    Ok(Event {
        id: raw.id,
        kind: raw.kind,
        object,
        created_at: at.unwrap_or(Instant(0)),
        live: raw.livemode.unwrap_or(false),
        account: raw.account.filter(|account| is_id(account)),
    })
}

/// What an event of this kind about this object is to us; what is named in no way that Stripe names
/// it is `Unnamed`.
pub fn about(kind: &str, object: &Value, account: Option<&str>) -> Object {
    let object = named(kind, object, account);
    if object.is_named() && begins_well(&object) {
        object
    } else {
        Object::Unnamed
    }
}

/// Whether its ids begin as Stripe's do.
fn begins_well(object: &Object) -> bool {
    let any = |id: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| id.starts_with(prefix));
    let is_method = |id: &str| any(id, &["pm_", "card_", "src_", "ba_"]);
    match object {
        Object::Session(id) => any(id, &["cs_"]),
        Object::Payment(id) | Object::OfPayment(id) | Object::FraudOf(id) => any(id, &["pi_"]),
        Object::OfCharge(id) | Object::FraudOfCharge(id) => any(id, &["ch_", "py_"]),
        Object::Transfer(id) => any(id, &["tr_"]),
        Object::Payee(id) => any(id, &["acct_"]),
        Object::MethodGone(id) => is_method(id),
        Object::MandateGone { mandate, method } => {
            any(mandate, &["mandate_"]) && method.as_deref().is_none_or(is_method)
        }
        Object::CustomerGone(id) => any(id, &["cus_"]),
        Object::Unnamed | Object::SecondForm | Object::Other => true,
    }
}

/// Objects of a connected account are not ours: only how the account itself is.
fn named(kind: &str, object: &Value, account: Option<&str>) -> Object {
    let Some(id) = id(object) else {
        return Object::Other;
    };
    let sort = object["object"].as_str().unwrap_or_default();
    if let Some(account) = account {
        let is_account = matches!(sort, "account" | "capability" | "payout" | "application")
            || kind.starts_with("account.");
        return if is_account {
            Object::Payee(account.into())
        } else {
            Object::Other
        };
    }
    match sort {
        "checkout.session" => Object::Session(id),
        "payment_intent" => Object::Payment(id),
        "charge" => of_payment(object, Some(id)),
        "refund" | "dispute" => of_payment(object, self::id(&object["charge"])),
        "radar.early_fraud_warning" if kind == "radar.early_fraud_warning.created" => {
            let by_payment = self::id(&object["payment_intent"]).map(Object::FraudOf);
            by_payment
                .or(self::id(&object["charge"]).map(Object::FraudOfCharge))
                .unwrap_or(Object::Other)
        }
        "transfer" => Object::Transfer(id),
        "transfer_reversal" => {
            self::id(&object["transfer"]).map_or(Object::Other, Object::Transfer)
        }
        "account" => Object::Payee(id),
        "payment_method" if kind == "payment_method.detached" => Object::MethodGone(id),
        "mandate" if object["status"] == "inactive" => Object::MandateGone {
            mandate: id,
            method: self::id(&object["payment_method"]),
        },
        "customer" if kind == "customer.deleted" => Object::CustomerGone(id),
        _ => Object::Other,
    }
}

fn of_payment(object: &Value, charge: Option<String>) -> Object {
    let by_payment = id(&object["payment_intent"]).map(Object::OfPayment);
    by_payment
        .or(charge.map(Object::OfCharge))
        .unwrap_or(Object::Other)
}

/// Of an object, or of a reference to one.
fn id(value: &Value) -> Option<String> {
    value
        .as_str()
        .or_else(|| value["id"].as_str())
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: &str, object: Value, expected: Object) {
        assert_eq!(about(kind, &object, None), expected, "{kind}");
        let whole = json!({"id": "evt_1", "type": kind, "created": 1, "livemode": false, "data": {"object": object}});
        let event = parse(whole.to_string().as_bytes()).unwrap();
        assert_eq!(
            (event.id.as_str(), event.kind.as_str(), event.object),
            ("evt_1", kind, expected)
        );
        assert_eq!(
            (event.created_at, event.live, event.account),
            (Instant::from_secs(1), false, None)
        );
    }

    #[test]
    fn what_events_are_about() {
        let of = |id: &str| Object::OfPayment(id.into());
        check(
            "checkout.session.completed",
            json!({"object": "checkout.session", "id": "cs_1"}),
            Object::Session("cs_1".into()),
        );
        check(
            "payment_intent.succeeded",
            json!({"object": "payment_intent", "id": "pi_1"}),
            Object::Payment("pi_1".into()),
        );
        check(
            "charge.refunded",
            json!({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}),
            of("pi_1"),
        );
        check(
            "charge.refunded",
            json!({"object": "charge", "id": "ch_1", "payment_intent": null}),
            Object::OfCharge("ch_1".into()),
        );
        check(
            "refund.failed",
            json!({"object": "refund", "id": "re_1", "charge": "ch_1", "payment_intent": {"id": "pi_1"}}),
            of("pi_1"),
        );
        check(
            "refund.failed",
            json!({"object": "refund", "id": "re_1"}),
            Object::Other,
        );
        check(
            "charge.dispute.closed",
            json!({"object": "dispute", "id": "dp_1", "charge": "ch_1"}),
            Object::OfCharge("ch_1".into()),
        );
        check(
            "transfer.reversed",
            json!({"object": "transfer", "id": "tr_1"}),
            Object::Transfer("tr_1".into()),
        );
        check(
            "payment_method.detached",
            json!({"object": "payment_method", "id": "pm_1"}),
            Object::MethodGone("pm_1".into()),
        );
        check(
            "payment_method.attached",
            json!({"object": "payment_method", "id": "pm_1"}),
            Object::Other,
        );
        let mandate = |status: &str| json!({"object": "mandate", "id": "mandate_1", "status": status, "payment_method": "pm_1"});
        let gone = Object::MandateGone {
            mandate: "mandate_1".into(),
            method: Some("pm_1".into()),
        };
        check("mandate.updated", mandate("inactive"), gone);
        check("mandate.updated", mandate("active"), Object::Other);
        check(
            "customer.deleted",
            json!({"object": "customer", "id": "cus_1"}),
            Object::CustomerGone("cus_1".into()),
        );
        check(
            "customer.updated",
            json!({"object": "customer", "id": "cus_1"}),
            Object::Other,
        );
        check(
            "invoice.paid",
            json!({"object": "invoice", "id": "in_1"}),
            Object::Other,
        );
        check(
            "something.new",
            json!({"object": "something", "id": "x_1"}),
            Object::Other,
        );
        check("something.new", json!({}), Object::Other);
    }

    #[test]
    fn of_a_connected_account_only_the_account_matters() {
        let on_account = |kind: &str, object: Value| about(kind, &object, Some("acct_1"));
        let payee = Object::Payee("acct_1".into());
        assert_eq!(
            on_account(
                "account.updated",
                json!({"object": "account", "id": "acct_1"})
            ),
            payee
        );
        assert_eq!(
            on_account("payout.failed", json!({"object": "payout", "id": "po_1"})),
            payee
        );
        assert_eq!(
            on_account(
                "account.application.deauthorized",
                json!({"object": "application", "id": "ca_1"})
            ),
            payee
        );
        assert_eq!(
            on_account(
                "payment_intent.succeeded",
                json!({"object": "payment_intent", "id": "pi_1"})
            ),
            Object::Other
        );
    }

    #[test]
    fn what_is_no_event() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"id":"evt_1"}"#,
            r#"{"id":"","type":"x","livemode":true}"#,
            r#"{"id":"evt_1","type":"x"}"#,
        ] {
            assert_eq!(parse(body.as_bytes()), Err(HookError::Malformed), "{body}");
        }
        for id in ["../balance", "evt_\\u0000", "evt_", "pi_1", "evt_1/../x"] {
            let body = format!(r#"{{"id":"{id}","type":"x","livemode":true}}"#);
            assert_eq!(parse(body.as_bytes()), Err(HookError::Unnamed), "{id}");
        }
        let thin =
            br#"{"id":"evt_test_65R9","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","created":"2026-11-20T12:00:00Z"}"#;
        let thin = parse(thin).unwrap();
        assert_eq!(
            (thin.object, thin.created_at.to_string().as_str()),
            (Object::SecondForm, "2026-11-20T12:00:00Z")
        );
    }

    #[test]
    fn what_is_named_in_no_way_of_stripes() {
        for id in [
            "../balance",
            "pi_1\u{0}",
            "pi_1?expand[]=customer",
            "pi_1/../../balance",
            "ch_1",
            "pi_%2e",
        ] {
            check(
                "payment_intent.succeeded",
                json!({"object": "payment_intent", "id": id}),
                Object::Unnamed,
            );
            check(
                "charge.refunded",
                json!({"object": "charge", "id": "ch_1", "payment_intent": id}),
                Object::Unnamed,
            );
        }
        let on_account = about(
            "account.updated",
            &json!({"object": "account", "id": "acct_1"}),
            Some("acct_1/../balance"),
        );
        assert_eq!(on_account, Object::Unnamed);
        let warning = json!({"object": "radar.early_fraud_warning", "id": "issfr_1", "charge": "ch_1", "payment_intent": "pi_1"});
        check(
            "radar.early_fraud_warning.created",
            warning.clone(),
            Object::FraudOf("pi_1".into()),
        );
        check("radar.early_fraud_warning.updated", warning, Object::Other);
    }
}
