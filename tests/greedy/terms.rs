//! What keys below the root try with terms, tenants and prices.

use super::subtree::Subtree;
use super::{Market, first_free, graduated, list, volume};
use centwise_tests::served::Asking;
use rating::Instant;
use serde_json::{Value, json};

impl Subtree {
    /// Nothing, now, later, before.
    fn instant(&mut self, now: Instant) -> Value {
        let now = now.to_string();
        let later = format!("{}-28T00:00:00Z", &now[..7]);
        json!(self.dice.one(&[
            None,
            Some(now.as_str()),
            Some(later.as_str()),
            Some("2026-11-02T00:00:00Z")
        ]))
    }

    pub async fn change_terms(&mut self, who: &str, key: &Asking, now: Instant) {
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
            (
                "credit_limit_cents",
                &[Value::Null, json!(0), json!(1000), json!(10_000_000)],
            ),
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
        self.remember_agreement(&terms, &answer);
        self.note(format!("{who} agrees on {terms}"), &answer);
    }

    /// From now on a buyer has other terms.
    pub async fn agree_on_other_terms(&mut self, who: &str, key: &Asking, now: Instant) {
        let buyer = self.someone();
        let mut terms = json!({ "buyer": buyer, "credit_limit_cents": 0 });
        if self.resellers.contains(&buyer) && self.dice.below(2) == 0 {
            terms["commission_bp"] = json!(self.dice.one(&[0, 2500, 9999, 10_000]));
        } else {
            let cards = self.cards.clone();
            terms["rate_card"] = json!(self.some(&cards));
        }
        self.agree_anew(who, key, terms, now).await;
    }

    /// Ends the buyer's terms and agrees on these from now on.
    pub async fn agree_anew(&mut self, who: &str, key: &Asking, mut terms: Value, now: Instant) {
        let now = json!(now.to_string());
        if let Some(latest) = self.latest_terms.get(terms["buyer"].as_str().unwrap()) {
            let ended = key
                .post(
                    &format!("/v1/agreements/{latest}/end"),
                    json!({ "until": now }),
                )
                .await;
            self.note(format!("{who} ends {latest} at {now}"), &ended);
        }
        (terms["currency"], terms["from"]) = (json!("EUR"), now);
        let answer = key.post("/v1/agreements", terms.clone()).await;
        self.remember_agreement(&terms, &answer);
        self.note(format!("{who} agrees on {terms}"), &answer);
    }

    pub async fn end_terms(&mut self, who: &str, key: &Asking, now: Instant) {
        let (agreements, until) = (self.agreements.clone(), self.instant(now));
        let id = self.some(&agreements);
        let body = if until.is_null() {
            json!({})
        } else {
            json!({ "until": until })
        };
        let answer = key
            .post(&format!("/v1/agreements/{id}/end"), body.clone())
            .await;
        self.note(format!("{who} ends {id}: {body}"), &answer);
    }

    /// A customer or a reseller, with terms and a key as generous as it gets them.
    pub async fn new_tenant(&mut self, market: &Market, who: &str, key: &Asking) {
        let name = match self.dice.below(8) {
            0 => "platform".to_owned(),
            _ => self.fresh("t"),
        };
        let (kind, resellers) = (
            self.dice.one(&["customer", "customer", "reseller"]),
            self.resellers.clone(),
        );
        let tenant = json!({ "external_id": name, "kind": kind, "name": "x", "parent": self.some(&resellers) });
        let answer = key.post("/v1/tenants", tenant.clone()).await;
        self.note(format!("{who} makes {tenant}"), &answer);
        if answer.status != 201 {
            return;
        }
        let of_kind = if kind == "customer" {
            &mut self.customers
        } else {
            &mut self.resellers
        };
        of_kind.push(name.clone());
        let cards = self.cards.clone();
        for limit in [Value::Null, json!(0)] {
            let mut terms =
                json!({ "buyer": name, "currency": "EUR", "credit_limit_cents": limit });
            match kind {
                "customer" => terms["rate_card"] = json!(self.some(&cards)),
                _ => terms["commission_bp"] = json!(1000),
            }
            let answer = key.post("/v1/agreements", terms.clone()).await;
            self.remember_agreement(&terms, &answer);
            self.note(format!("{who} agrees on {terms}"), &answer);
        }
        let made = key
            .post(
                "/v1/api-keys",
                json!({ "name": "k", "tenant": name, "scope": "tenant_admin" }),
            )
            .await;
        if made.status == 201 {
            self.holder(market, &name, &made.body);
        }
    }

    pub async fn new_prices(&mut self, who: &str, key: &Asking) {
        let owner = self.someone();
        let name = self.fresh("card");
        let doc = match self.dice.below(12) {
            0 => json!({ "rates": [] }),
            1 => list("0", "0", "0", "0", "0"),
            2 => list("0.0001", "0.0001", "0.001", "0.0001", "0.01"),
            3 => list("0.40", "-10", "1.50", "0.08", "8"),
            4 => list("20", "5", "50", "1", "100"),
            5 => volume(list("0.40", "0.15", "1.50", "0.08", "8"), "sms"),
            6 => volume(list("0.40", "0.15", "1.50", "0.08", "8"), "seats"),
            7 => volume(list("0.40", "0.15", "1.50", "0.08", "8"), "call"),
            8 => graduated(list("0.40", "0.15", "1.50", "0.08", "8"), "call"),
            9 => first_free(list("0.40", "0.15", "1.50", "0.08", "8"), "call"),
            _ => list("0.40", "0.15", "1.50", "0.08", "8"),
        };
        let card = if self.dice.below(2) == 0 {
            let made = key
                .post(
                    "/v1/rate-cards",
                    json!({ "name": name, "currency": "EUR", "owner": owner }),
                )
                .await;
            self.note(format!("{who} makes card {name} of {owner}"), &made);
            let Some(id) = made.body["id"].as_str() else {
                return;
            };
            self.cards.push(id.to_owned());
            id.to_owned()
        } else {
            let cards = self.cards.clone();
            self.some(&cards)
        };
        self.publish(who, key, &card, doc).await;
    }

    /// In force from the beginning if it may be, from now on otherwise.
    pub async fn publish(&mut self, who: &str, key: &Asking, card: &str, mut doc: Value) {
        doc["currency"] = json!("EUR");
        let drafted = key
            .post(&format!("/v1/rate-cards/{card}/versions"), doc.clone())
            .await;
        let number = drafted.body["number"].as_i64().unwrap_or(1);
        let path = format!("/v1/rate-cards/{card}/versions/{number}/publish");
        let published = key
            .post(&path, json!({ "effective_from": "2026-01-01T00:00:00Z" }))
            .await;
        let published = if published.status < 300 {
            published
        } else {
            key.post(&path, json!({})).await
        };
        self.note(
            format!("{who} publishes {card} v{number} {doc}"),
            &published,
        );
    }
}
