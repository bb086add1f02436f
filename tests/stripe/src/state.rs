//! What the stand-in knows.

use crate::objects;
use crate::params::Params;
use crate::refusal::{Answer, Refusal};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What goes wrong with the next requests to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status before anything is done.
    Status(u16),
    /// Done, and the connection closed without an answer.
    Lost,
    /// Done, and never answered.
    Timeout,
    /// Done, and answered with 200 and something that cannot be read.
    Garbage,
}

/// What charging a saved method comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    Succeeds,
    /// A direct debit: processing until it is settled.
    Sepa,
    /// 402 with this code and decline code.
    Declines(&'static str, &'static str),
    /// The bank wants to see the payer.
    NeedsPayer,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Without `/v1`: `/refunds`.
    pub path: String,
    pub key: Option<String>,
    pub version: Option<String>,
    pub params: Value,
}

#[derive(Debug, Default)]
pub struct State {
    /// Seconds.
    pub now: i64,
    /// In the order they were made.
    objects: Vec<Value>,
    by_id: HashMap<String, usize>,
    /// Ids of events that wait for their delivery.
    pub queue: Vec<String>,
    pub log: Vec<Seen>,
    /// By key: fingerprint of the request, status, answer.
    pub answered: HashMap<String, (String, u16, Value)>,
    /// Path, fault, how often still.
    pub faults: Vec<(String, Fault, u32)>,
    pub behaviours: HashMap<String, Behaviour>,
    /// New refunds are pending.
    pub refunds_wait: bool,
    /// What Stripe takes for a refund.
    pub refund_fee: i64,
    /// The currency of the account's balance, if payments in others are converted to it.
    pub settles_in: Option<String>,
    counted: usize,
}

impl State {
    pub fn at(now: i64) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    /// A new object; its id.
    pub fn make(&mut self, kind: &str, fields: Value) -> String {
        self.counted += 1;
        let id = format!("{}_{:06}", objects::prefix(kind), self.counted);
        let mut object = objects::make(kind, fields);
        objects::merge(&mut object, json!({"id": id, "created": self.now}));
        self.by_id.insert(id.clone(), self.objects.len());
        self.objects.push(object);
        id
    }

    pub fn get(&self, id: &str) -> Answer {
        self.by_id
            .get(id)
            .map(|&at| self.objects[at].clone())
            .ok_or_else(|| Refusal::missing(id))
    }

    /// As a parameter names it.
    pub fn named(&self, id: &str) -> Answer {
        self.get(id).map_err(Refusal::named)
    }

    pub fn of_kind(&self, kind: &str, id: &str) -> Answer {
        self.get(id)
            .ok()
            .filter(|object| object["object"] == kind)
            .ok_or_else(|| Refusal::missing(id))
    }

    /// Changes fields of an object; the object as it is then.
    pub fn set(&mut self, id: &str, fields: Value) -> Value {
        let Some(&at) = self.by_id.get(id) else {
            return Value::Null;
        };
        objects::merge(&mut self.objects[at], fields);
        self.objects[at].clone()
    }

    /// All of a kind for which `keep` holds, newest first.
    pub fn all(&self, kind: &str, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.objects
            .iter()
            .rev()
            .filter(|object| object["object"] == kind && keep(object))
            .cloned()
            .collect()
    }

    /// A page of a list, by the parameters of lists.
    pub fn page(&self, url: &str, params: &Params, mut data: Vec<Value>) -> Answer {
        let bound = |name: &str| {
            params.0["created"][name]
                .as_str()
                .and_then(|secs| secs.parse::<i64>().ok())
        };
        let created = |object: &Value| object["created"].as_i64().unwrap_or(0);
        data.retain(|object| {
            bound("gte").is_none_or(|secs| created(object) >= secs)
                && bound("lt").is_none_or(|secs| created(object) < secs)
        });
        if let Some(after) = params.text("starting_after") {
            let at = data
                .iter()
                .position(|object| object["id"] == after)
                .ok_or_else(|| Refusal::missing(after).named())?;
            data.drain(..=at);
        }
        let limit = usize::try_from(params.int("limit").unwrap_or(10))
            .unwrap_or(10)
            .clamp(1, 100);
        let has_more = data.len() > limit;
        data.truncate(limit);
        Ok(json!({"object": "list", "url": url, "data": data, "has_more": has_more}))
    }

    /// An event about an object as it is now; it waits for its delivery.
    pub fn emit(&mut self, kind: &str, object: &Value, account: Option<&str>) -> String {
        let livemode = object["livemode"].as_bool().unwrap_or(false);
        let fields = json!({"type": kind, "livemode": livemode, "api_version": "2026-09-30.endive", "pending_webhooks": 1, "data": {"object": object}});
        let id = self.make("event", fields);
        if let Some(account) = account {
            self.set(&id, json!({"account": account}));
        }
        self.queue.push(id.clone());
        id
    }

    /// An event of the second form: it names its object and has nothing of it.
    pub fn emit_thin(&mut self, kind: &str) -> String {
        let related =
            json!({"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"});
        let id = self.make("v2.core.event", json!({"object": "v2.core.event", "type": kind, "livemode": false, "related_object": related}));
        self.set(&id, json!({"created": "2026-11-20T12:00:00.000Z"}));
        self.queue.push(id.clone());
        id
    }

    /// A move of the balance; its id.
    pub fn entry(
        &mut self,
        kind: &str,
        amount: i64,
        currency: &str,
        source: &str,
        fee: i64,
    ) -> String {
        let fields = json!({
            "type": kind, "amount": amount, "currency": currency, "fee": fee, "net": amount - fee, "source": source,
            "status": "available", "reporting_category": kind, "balance_type": "payments", "available_on": self.now,
        });
        self.make("balance_transaction", fields)
    }

    pub fn balance(&self, currency: &str) -> i64 {
        let entries = self.all("balance_transaction", |entry| entry["currency"] == currency);
        entries
            .iter()
            .filter_map(|entry| entry["net"].as_i64())
            .sum()
    }

    /// The fault that the next request to a path meets.
    pub fn fault(&mut self, path: &str) -> Option<Fault> {
        let found = self
            .faults
            .iter_mut()
            .find(|(prefix, _, left)| *left > 0 && path.starts_with(prefix.as_str()))?;
        found.2 -= 1;
        Some(found.1)
    }
}
