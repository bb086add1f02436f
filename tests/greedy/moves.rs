//! What keys below the root try.

use super::subtree::{Subtree, Terms};
use super::{Dice, Market};
use centwise_tests::served::{Answer, Asking};
use rating::Instant;
use serde_json::{Value, json};

/// What a key may try; [`MOVES`] says how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Report,
    TakeBack,
    ChangeTerms,
    AgreeAnew,
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

const MOVES: [(Move, &str, u64); 13] = [
    (Move::Report, "report", 20),
    (Move::TakeBack, "take_back", 14),
    (Move::ChangeTerms, "change_terms", 12),
    (Move::AgreeAnew, "agree_anew", 10),
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
    let tried = |name: &str| {
        only.as_deref()
            .is_none_or(|only| only.split(',').any(|one| one == name))
    };
    let all: Vec<Move> = MOVES
        .iter()
        .filter(|(_, name, _)| tried(name))
        .flat_map(|(one, _, odds)| vec![*one; *odds as usize])
        .collect();
    dice.one(&all)
}

impl Subtree {
    pub async fn greedy(&mut self, market: &Market, now: Instant) {
        let by = self.dice.below(self.holders.len() as u64) as usize;
        let (who, key) = (
            self.holders[by].tenant.clone(),
            self.holders[by].key.clone(),
        );
        match any_move(&mut self.dice) {
            Move::Report => self.report(&who, &key, now).await,
            Move::TakeBack => self.take_back(&who, &key, now).await,
            Move::ChangeTerms => self.change_terms(&who, &key, now).await,
            Move::AgreeAnew => self.agree_on_other_terms(&who, &key, now).await,
            Move::EndTerms => self.end_terms(&who, &key, now).await,
            Move::NewTenant => self.new_tenant(market, &who, &key).await,
            Move::NewPrices => self.new_prices(&who, &key).await,
            Move::BookMoney => self.move_money(&who, &key).await,
            Move::Close => self.close(&who, &key).await,
            Move::Hold => self.hold(market, &who, &key, now).await,
            Move::RateAgain => self.rate_again(&who, &key).await,
            Move::AskToBePaid => self.ask_to_be_paid(&who, &key).await,
            Move::ChangeTenant => self.change_tenant(&who, &key).await,
        }
    }

    pub fn some(&mut self, of: &[String]) -> String {
        of[self.dice.below(of.len() as u64) as usize].clone()
    }

    pub fn someone(&mut self) -> String {
        let all: Vec<String> = self
            .customers
            .iter()
            .chain(&self.resellers)
            .cloned()
            .collect();
        self.some(&all)
    }

    /// Usage of its own, the platform's next call, or one that the platform reported before.
    async fn report(&mut self, who: &str, key: &Asking, now: Instant) {
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
        match self.dice.below(10) {
            0..3 => {
                let count = self.dice.one(&["1", "0.3", "9", "1000000"]);
                let sms = json!({ "id": id, "customer": customer, "meter": "sms", "at": now.to_string(), "quantity": count });
                self.report_event(who, key, sms).await;
            }
            3..5 => {
                let (count, ahead) = (self.dice.one(&[0, 1, 100]), self.dice.one(&[0, 240]));
                self.count_seats(who, key, &customer, count, now.plus_secs(ahead))
                    .await;
            }
            _ => {
                let event = self.usage(&id, &customer, now);
                self.report_event(who, key, event).await;
            }
        }
    }

    pub async fn report_event(&mut self, who: &str, key: &Asking, event: Value) {
        let answer = key.post("/v1/usage-events", event.clone()).await;
        self.note(format!("{who} reports {event}"), &answer);
        self.reported.push(event["id"].as_str().unwrap().to_owned());
    }

    pub async fn count_seats(
        &mut self,
        who: &str,
        key: &Asking,
        customer: &str,
        count: u64,
        at: Instant,
    ) {
        let id = self.fresh("seats");
        let event = json!({ "id": id, "customer": customer, "meter": "seats", "at": at.to_string(), "quantity": count.to_string() });
        self.report_event(who, key, event).await;
    }

    /// Voids or corrects something, its own or the platform's.
    async fn take_back(&mut self, who: &str, key: &Asking, now: Instant) {
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
            once.post(&format!("/v1/usage-events/default/{id}/void"), body.clone())
                .await
        } else {
            let (customers, new) = (self.customers.clone(), self.fresh("new"));
            let customer = self.some(&customers);
            body["event"] = self.usage(&new, &customer, now);
            self.reported.push(new);
            once.post(
                &format!("/v1/usage-events/default/{id}/correct"),
                body.clone(),
            )
            .await
        };
        self.note(format!("{who} takes back {id}: {body}"), &answer);
    }

    async fn move_money(&mut self, who: &str, key: &Asking) {
        let (tenant, cents) = (self.someone(), self.cents());
        let signed = if self.dice.below(4) == 0 {
            -cents
        } else {
            cents
        };
        let once = key.once(&self.fresh("money"));
        let (path, body) = match self.dice.below(2) {
            0 => (
                "/v1/top-ups",
                json!({ "tenant": tenant, "cents": cents, "currency": "EUR", "reason": "x", "method": "manual" }),
            ),
            _ => (
                "/v1/adjustments",
                json!({ "tenant": tenant, "cents": signed, "currency": "EUR", "reason": "x" }),
            ),
        };
        let answer = once.post(path, body.clone()).await;
        self.note(format!("{who} moves money {path} {body}"), &answer);
    }

    async fn close(&mut self, who: &str, key: &Asking) {
        let tenant = self.someone();
        let answer = key
            .post(&format!("/v1/tenants/{tenant}/close"), json!({}))
            .await;
        self.note(format!("{who} closes {tenant}"), &answer);
    }

    async fn hold(&mut self, market: &Market, who: &str, key: &Asking, now: Instant) {
        if !self.holds.is_empty() && self.dice.below(2) == 0 {
            let holds = self.holds.clone();
            let (hold, step) = (self.some(&holds), self.dice.one(&["extend", "release"]));
            let body = if step == "extend" {
                json!({ "quantity": "6000" })
            } else {
                json!({})
            };
            let answer = key
                .once(&self.fresh("step"))
                .post(&format!("/v1/holds/{hold}/{step}"), body)
                .await;
            return self.note(format!("{who} {step}s {hold}"), &answer);
        }
        let customers = self.customers.clone();
        let customer = self.some(&customers);
        self.place_hold(market, who, key, &customer, now).await;
    }

    pub async fn place_hold(
        &mut self,
        market: &Market,
        who: &str,
        key: &Asking,
        customer: &str,
        now: Instant,
    ) {
        let id = self.next_call();
        let usage = self.usage(&id, customer, now);
        let once = key.once(&self.fresh("hold"));
        let answer = once
            .post(
                "/v1/holds",
                json!({ "usage": usage, "ttl_secs": 3600, "as_much_as_possible": true }),
            )
            .await;
        if let Some(id) = answer.body["id"].as_str() {
            self.holds.push(id.to_owned());
            self.look_at_cover(market, &answer).await;
        }
        self.note(format!("{who} holds {usage}"), &answer);
    }

    /// Whether the root, which has no credit, had what was set aside on its account: what it
    /// withholds is not its own.
    async fn look_at_cover(&mut self, market: &Market, hold: &Answer) {
        let of_root = hold.body["amounts"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|held| held["tenant"] == *self.name);
        if self.terms != Terms::Prepaid
            || of_root.is_none_or(|held| held["cents"].as_i64().unwrap() <= 0)
        {
            return;
        }
        let account = market
            .admin()
            .get(&format!(
                "/v1/accounts/{}?account=balance&currency=EUR",
                self.name
            ))
            .await
            .ok();
        let payable = market
            .admin()
            .get(&format!(
                "/v1/commissions/payable?reseller={}&currency=EUR",
                self.name
            ))
            .await
            .ok();
        let cents = |of: &Value, name: &str| of[name].as_i64().unwrap();
        let (posted, held, withheld) = (
            cents(&account, "posted_cents"),
            cents(&account, "held_cents"),
            cents(&payable, "withheld_cents"),
        );
        if posted - held - withheld < 0 {
            self.uncovered.push(format!(
                "{}: {posted} posted, {held} held, {withheld} withheld",
                hold.body["id"]
            ));
        }
    }

    async fn rate_again(&mut self, who: &str, key: &Asking) {
        let answer = key
            .post("/v1/usage-events/rate-again", json!({ "root": self.name }))
            .await;
        self.note(format!("{who} rates again"), &answer);
    }

    async fn ask_to_be_paid(&mut self, who: &str, key: &Asking) {
        let answer = key
            .post("/v1/payouts", json!({ "reseller": self.name }))
            .await;
        self.note(format!("{who} asks for a payout"), &answer);
    }

    async fn change_tenant(&mut self, who: &str, key: &Asking) {
        let (tenant, change) = (
            self.someone(),
            self.dice
                .one(&[r#"{"late_window_days":0}"#, r#"{"country":"US"}"#]),
        );
        let answer = key
            .ask(
                hyper::Method::PATCH,
                &format!("/v1/tenants/{tenant}"),
                change.into(),
            )
            .await
            .unwrap();
        self.note(format!("{who} changes {tenant}: {change}"), &answer);
    }
}
