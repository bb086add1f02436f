//! What Stripe answers instead.

use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub body: Value,
}

pub type Answer<T = Value> = Result<T, Refusal>;

impl Refusal {
    pub fn new(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        Self {
            status,
            body: json!({"error": {"type": kind, "code": code, "message": message}}),
        }
    }

    pub fn invalid(code: &str, message: &str) -> Self {
        Self::new(400, "invalid_request_error", Some(code), message)
    }

    pub fn parameter(code: &str, param: &str) -> Self {
        let mut refusal = Self::invalid(code, &format!("{code}: {param}"));
        refusal.body["error"]["param"] = param.into();
        refusal
    }

    /// Of what a path names; a parameter that names it is a 400.
    pub fn missing(id: &str) -> Self {
        Self::new(
            404,
            "invalid_request_error",
            Some("resource_missing"),
            &format!("No such object: '{id}'"),
        )
    }

    pub fn declined(code: &str, decline_code: &str, payment_intent: Value) -> Self {
        let mut refusal = Self::new(402, "card_error", Some(code), "Your card was declined.");
        refusal.body["error"]["decline_code"] = decline_code.into();
        refusal.body["error"]["payment_intent"] = payment_intent;
        refusal
    }

    /// The same, where a parameter named what is not there.
    pub fn named(self) -> Self {
        Self {
            status: 400,
            ..self
        }
    }
}
