//! Events on their way to us: signed, in some order, perhaps more than once.

use crate::state::State;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// How events are delivered that wait.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Two while a secret is being replaced: both sign.
    pub secrets: Vec<String>,
    pub order: Order,
    /// How often each comes.
    pub copies: usize,
    /// Seconds by which the time of the signature is off.
    pub skew_secs: i64,
    /// The body is changed after it was signed.
    pub tamper: bool,
    /// Only these kinds; the others go on waiting.
    pub only: Option<Vec<String>>,
    /// They go on waiting, too.
    pub keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    AsMade,
    Backwards,
    /// By a seed.
    Shuffled(u64),
}

/// One message as it is sent.
#[derive(Debug, Clone)]
pub struct Message {
    pub event: String,
    pub kind: String,
    /// About an account that commissions are paid to: goes to the other address.
    pub connected: bool,
    /// Of the header `Stripe-Signature`.
    pub signature: String,
    pub body: String,
}

impl Delivery {
    /// Everything that waits, once, in order.
    pub fn signed(secrets: &[&str]) -> Self {
        Self {
            secrets: secrets.iter().map(|&secret| secret.to_owned()).collect(),
            order: Order::AsMade,
            copies: 1,
            skew_secs: 0,
            tamper: false,
            only: None,
            keep: false,
        }
    }

    pub(crate) fn messages(&self, state: &mut State) -> Vec<Message> {
        let waiting: Vec<Value> = state
            .queue
            .iter()
            .filter_map(|id| state.get(id).ok())
            .collect();
        let wanted = |event: &&Value| {
            self.only
                .as_ref()
                .is_none_or(|kinds| kinds.iter().any(|kind| event["type"] == kind.as_str()))
        };
        let chosen: Vec<Value> = waiting.iter().filter(wanted).cloned().collect();
        if !self.keep {
            state
                .queue
                .retain(|id| !chosen.iter().any(|event| event["id"] == id.as_str()));
        }
        let mut all: Vec<Value> = (0..self.copies)
            .flat_map(|_| chosen.iter().cloned())
            .collect();
        match self.order {
            Order::AsMade => {}
            Order::Backwards => all.reverse(),
            Order::Shuffled(seed) => shuffle(&mut all, seed),
        }
        all.iter()
            .map(|event| self.message(event, state.now))
            .collect()
    }

    fn message(&self, event: &Value, now: i64) -> Message {
        // Stripe indents what it sends: who verifies anything but the raw bytes fails.
        let body = serde_json::to_string_pretty(&public(event)).unwrap_or_default();
        let time = now + self.skew_secs;
        let signatures: String = self
            .secrets
            .iter()
            .map(|secret| format!(",v1={}", sign(secret, time, &body)))
            .collect();
        Message {
            event: event["id"].as_str().unwrap_or_default().to_owned(),
            kind: event["type"].as_str().unwrap_or_default().to_owned(),
            connected: event["account"].is_string(),
            signature: format!("t={time}{signatures},v0={}", "0".repeat(64)),
            body: if self.tamper {
                body.replacen("\"livemode\": false", "\"livemode\": true", 1)
            } else {
                body
            },
        }
    }
}

/// Without what is only ours: names that begin with `_`.
pub fn public(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !name.starts_with('_'))
            .map(|(name, value)| (name.clone(), public(value)))
            .collect(),
        Value::Array(values) => values.iter().map(public).collect(),
        value => value.clone(),
    }
}

fn sign(secret: &str, time: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{time}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Fisher and Yates, by Knuth's numbers.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut number = seed.wrapping_mul(2).wrapping_add(1);
    for at in (1..items.len()).rev() {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(number >> 33).unwrap_or(0) % (at + 1);
        items.swap(at, other);
    }
}
