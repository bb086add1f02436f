//! What keys below the root try.

use super::subtree::Subtree;
use super::{Dice, Market};
use crate::served::{Answer, Asking};
use crate::world::prices;
use serde_json::{Value, json};

/// What a key may try, and how often of a hundred times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Report,
    TakeBack,
    ChangeTerms,
    EndTerms,
    NewTenant,
    NewPrices,
    BookMoney,
    Close,
    Hold,
    RateAgain,
    AskToBePaid,
    ChangeTenant,
}

const MOVES: [(Move, &str, u64); 12] = [
    (Move::Report, "report", 20),
    (Move::TakeBack, "take_back", 14),
    (Move::ChangeTerms, "change_terms", 14),
    (Move::EndTerms, "end_terms", 8),
    (Move::NewTenant, "new_tenant", 8),
    (Move::NewPrices, "new_prices", 8),
    (Move::BookMoney, "book_money", 10),
    (Move::Close, "close", 4),
    (Move::Hold, "hold", 8),
    (Move::RateAgain, "rate_again", 3),
    (Move::AskToBePaid, "ask_to_be_paid", 3),
    (Move::ChangeTenant, "change_tenant", 3),
];

/// `GREEDY_MOVES=report,take_back`: only these, to see which of them takes what.
fn any_move(dice: &mut Dice) -> Move {
    let only = std::env::var("GREEDY_MOVES").ok();
    let tried = |name: &str| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name));
    let all: Vec<Move> = MOVES.iter().filter(|(_, name, _)| tried(name)).flat_map(|(one, _, odds)| vec![*one; *odds as usize]).collect();
    dice.one(&all)
}

impl Subtree {
    pub async fn greedy(&mut self, market: &Market, now: &str) {
        let by = self.dice.below(self.holders.len() as u64) as usize;
        let (who, key) = (self.holders[by].tenant.clone(), self.holders[by].key.clone());
        match any_move(&mut self.dice) {
            Move::Report => self.report(&who, &key, now).await,
            Move::TakeBack => self.take_back(&who, &key, now).await,
            Move::ChangeTerms => self.change_terms(&who, &key, now).await,
            Move::EndTerms => self.end_terms(&who, &key, now).await,
            Move::NewTenant => self.new_tenant(market, &who, &key).await,
            Move::NewPrices => self.new_prices(&who, &key).await,
            Move::BookMoney => self.move_money(&who, &key).await,
            Move::Close => self.close(&who, &key).await,
            Move::Hold => self.hold(&who, &key, now).await,
            Move::RateAgain => self.rate_again(&who, &key).await,
            Move::AskToBePaid => self.ask_to_be_paid(&who, &key).await,
            Move::ChangeTenant => self.change_tenant(&who, &key).await,
        }
    }

    fn some(&mut self, of: &[String]) -> String {
        of[self.dice.below(of.len() as u64) as usize].clone()
    }

    fn someone(&mut self) -> String {
        let all: Vec<String> = self.customers.iter().chain(&self.resellers).cloned().collect();
        self.some(&all)
    }

    /// Usage of its own, the platform's next call, or one that the platform reported before.
    async fn report(&mut self, who: &str, key: &Asking, now: &str) {
        let id = match self.dice.below(4) {
            0 => self.next_call(),
            1 if !self.calls.is_empty() => {
                let number = self.dice.below(self.calls.len() as u64) as usize;
                self.calls[number].id.clone()
            }
            _ => self.fresh("own"),
        };
        let customers = self.customers.clone();
        let customer = self.some(&customers);
        let mut event = self.usage(&id, &customer, now);
        if self.dice.below(3) == 0 {
            event =
                json!({ "id": id, "customer": customer, "meter": "sms", "at": now, "quantity": self.dice.one(&["1", "0.3", "1000000"]) });
        }
        let answer = key.post("/v1/usage-events", event.clone()).await;
        self.note(format!("{who} reports {event}"), &answer);
        self.reported.push(id);
    }

    /// Voids or corrects something, its own or the platform's.
    async fn take_back(&mut self, who: &str, key: &Asking, now: &str) {
        let mut ids: Vec<String> = self.calls.iter().map(|call| call.id.clone()).collect();
        ids.extend(self.reported.iter().cloned());
        if ids.is_empty() {
            return;
        }
        let id = self.some(&ids);
        let once = key.once(&format!("back-{}", self.dice.below(8)));
        let mut body = json!({ "reason": "not made" });
        if self.dice.below(3) == 0 {
            body["customer"] = json!(self.someone());
        }
        let answer = if self.dice.below(2) == 0 {
            once.post(&format!("/v1/usage-events/default/{id}/void"), body.clone()).await
        } else {
            let (customers, new) = (self.customers.clone(), self.fresh("new"));
            let customer = self.some(&customers);
            body["event"] = self.usage(&new, &customer, now);
            self.reported.push(new);
            once.post(&format!("/v1/usage-events/default/{id}/correct"), body.clone()).await
        };
        self.note(format!("{who} takes back {id}: {body}"), &answer);
    }

    /// Nothing, now, later, before.
    fn instant(&mut self, now: &str) -> Value {
        let later = format!("{}-25T00:00:00Z", &now[..7]);
        json!(self.dice.one(&[None, Some(now), Some(later.as_str()), Some("2026-11-02T00:00:00Z")]))
    }

    async fn change_terms(&mut self, who: &str, key: &Asking, now: &str) {
        let mut terms = json!({ "buyer": self.someone(), "currency": self.dice.one(&["EUR", "EUR", "EUR", "USD"]) });
        match self.dice.below(4) {
            0 => terms["commission_bp"] = json!(self.dice.one(&[0, 2500, 10_000])),
            _ => {
                let cards = self.cards.clone();
                terms["rate_card"] = json!(self.some(&cards));
            }
        }
        for (field, values) in [
            ("collect", &[json!("platform"), json!("reseller")][..]),
            ("credit_limit_cents", &[Value::Null, json!(0), json!(1000), json!(10_000_000)]),
            ("on_exhausted", &[json!("post"), json!("refuse")]),
            ("free_retail", &[Value::Null, Value::Null, json!(true)]),
        ] {
            let value = values[self.dice.below(values.len() as u64) as usize].clone();
            if !value.is_null() {
                terms[field] = value;
            }
        }
        for field in ["from", "until"] {
            let value = self.instant(now);
            if !value.is_null() {
                terms[field] = value;
            }
        }
        let answer = key.post("/v1/agreements", terms.clone()).await;
        self.remember_agreement(&answer);
        self.note(format!("{who} agrees on {terms}"), &answer);
    }

    fn remember_agreement(&mut self, answer: &Answer) {
        if answer.status == 201 {
            self.agreements.push(answer.body["id"].as_str().unwrap().to_owned());
        }
    }

    async fn end_terms(&mut self, who: &str, key: &Asking, now: &str) {
        let (agreements, until) = (self.agreements.clone(), self.instant(now));
        let id = self.some(&agreements);
        let body = if until.is_null() { json!({}) } else { json!({ "until": until }) };
        let answer = key.post(&format!("/v1/agreements/{id}/end"), body.clone()).await;
        self.note(format!("{who} ends {id}: {body}"), &answer);
    }

    /// A customer or a reseller, with terms and a key as generous as it gets them.
    async fn new_tenant(&mut self, market: &Market, who: &str, key: &Asking) {
        let name = match self.dice.below(8) {
            0 => "platform".to_owned(),
            _ => self.fresh("t"),
        };
        let (kind, resellers) = (self.dice.one(&["customer", "customer", "reseller"]), self.resellers.clone());
        let tenant = json!({ "external_id": name, "kind": kind, "name": "x", "parent": self.some(&resellers) });
        let answer = key.post("/v1/tenants", tenant.clone()).await;
        self.note(format!("{who} makes {tenant}"), &answer);
        if answer.status != 201 {
            return;
        }
        let of_kind = if kind == "customer" { &mut self.customers } else { &mut self.resellers };
        of_kind.push(name.clone());
        let cards = self.cards.clone();
        for limit in [Value::Null, json!(0)] {
            let mut terms = json!({ "buyer": name, "currency": "EUR", "credit_limit_cents": limit });
            match kind {
                "customer" => terms["rate_card"] = json!(self.some(&cards)),
                _ => terms["commission_bp"] = json!(1000),
            }
            let answer = key.post("/v1/agreements", terms.clone()).await;
            self.remember_agreement(&answer);
            self.note(format!("{who} agrees on {terms}"), &answer);
        }
        let made = key.post("/v1/api-keys", json!({ "name": "k", "tenant": name, "scope": "tenant_admin" })).await;
        if made.status == 201 {
            self.holder(market, &name, &made.body);
        }
    }

    async fn new_prices(&mut self, who: &str, key: &Asking) {
        let owner = self.someone();
        let name = self.fresh("card");
        let mut doc = match self.dice.below(6) {
            0 => json!({ "rates": [] }),
            1 => prices("0", "0", "0", "0"),
            2 => prices("0.0001", "0.0001", "0.001", "0.0001"),
            3 => prices("0.40", "-10", "1.50", "0.08"),
            4 => prices("20", "5", "50", "1"),
            _ => prices("0.40", "0.15", "1.50", "0.08"),
        };
        doc["currency"] = json!("EUR");
        let card = if self.dice.below(2) == 0 {
            let made = key.post("/v1/rate-cards", json!({ "name": name, "currency": "EUR", "owner": owner })).await;
            self.note(format!("{who} makes card {name} of {owner}"), &made);
            let Some(id) = made.body["id"].as_str() else { return };
            self.cards.push(id.to_owned());
            id.to_owned()
        } else {
            let cards = self.cards.clone();
            self.some(&cards)
        };
        let drafted = key.post(&format!("/v1/rate-cards/{card}/versions"), doc.clone()).await;
        let number = drafted.body["version"].as_i64().unwrap_or(1);
        let path = format!("/v1/rate-cards/{card}/versions/{number}/publish");
        let published = key.post(&path, json!({ "effective_from": "2026-01-01T00:00:00Z" })).await;
        let published = if published.status < 300 { published } else { key.post(&path, json!({})).await };
        self.note(format!("{who} publishes {card} v{number} {doc}"), &published);
    }

    async fn move_money(&mut self, who: &str, key: &Asking) {
        let (tenant, cents) = (self.someone(), self.cents());
        let signed = if self.dice.below(4) == 0 { -cents } else { cents };
        let once = key.once(&self.fresh("money"));
        let (path, body) = match self.dice.below(2) {
            0 => ("/v1/top-ups", json!({ "tenant": tenant, "cents": cents, "currency": "EUR", "reason": "x", "method": "manual" })),
            _ => ("/v1/adjustments", json!({ "tenant": tenant, "cents": signed, "currency": "EUR", "reason": "x" })),
        };
        let answer = once.post(path, body.clone()).await;
        self.note(format!("{who} moves money {path} {body}"), &answer);
    }

    async fn close(&mut self, who: &str, key: &Asking) {
        let tenant = self.someone();
        let answer = key.post(&format!("/v1/tenants/{tenant}/close"), json!({})).await;
        self.note(format!("{who} closes {tenant}"), &answer);
    }

    async fn hold(&mut self, who: &str, key: &Asking, now: &str) {
        if !self.holds.is_empty() && self.dice.below(2) == 0 {
            let holds = self.holds.clone();
            let (hold, step) = (self.some(&holds), self.dice.one(&["extend", "release"]));
            let body = if step == "extend" { json!({ "quantity": "6000" }) } else { json!({}) };
            let answer = key.once(&self.fresh("step")).post(&format!("/v1/holds/{hold}/{step}"), body).await;
            return self.note(format!("{who} {step}s {hold}"), &answer);
        }
        let (customers, id) = (self.customers.clone(), self.next_call());
        let customer = self.some(&customers);
        let usage = self.usage(&id, &customer, now);
        let once = key.once(&self.fresh("hold"));
        let answer = once.post("/v1/holds", json!({ "usage": usage, "ttl_secs": 3600, "as_much_as_possible": true })).await;
        if let Some(id) = answer.body["id"].as_str() {
            self.holds.push(id.to_owned());
        }
        self.note(format!("{who} holds {usage}"), &answer);
    }

    async fn rate_again(&mut self, who: &str, key: &Asking) {
        let answer = key.post("/v1/usage-events/rate-again", json!({ "root": self.name })).await;
        self.note(format!("{who} rates again"), &answer);
    }

    async fn ask_to_be_paid(&mut self, who: &str, key: &Asking) {
        let answer = key.post("/v1/payouts", json!({ "reseller": self.name })).await;
        self.note(format!("{who} asks for a payout"), &answer);
    }

    async fn change_tenant(&mut self, who: &str, key: &Asking) {
        let (tenant, change) = (self.someone(), self.dice.one(&[r#"{"late_window_days":0}"#, r#"{"country":"US"}"#]));
        let answer = key.ask(hyper::Method::PATCH, &format!("/v1/tenants/{tenant}"), change.into()).await.unwrap();
        self.note(format!("{who} changes {tenant}: {change}"), &answer);
    }
}
