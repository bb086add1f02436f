//! What the platform and paying customers do.

use super::Market;
use super::subtree::{Call, Seats, Subtree, Terms};
use rating::{Instant, TenantId};
use serde_json::json;

impl Subtree {
    fn some_honest(&mut self) -> (String, TenantId) {
        let number = self.dice.below(self.honest.len() as u64) as usize;
        self.honest[number].clone()
    }

    pub async fn platform_reports(&mut self, market: &Market, now: Instant) {
        let of = self.some_honest();
        // Now and then it comes days later, with a switch that was cut off.
        let late = (self.dice.below(3) == 0).then(|| 1 + self.dice.below(9));
        self.platform_reports_of(market, of, late, now).await;
    }

    pub async fn platform_reports_of(
        &mut self,
        market: &Market,
        of: (String, TenantId),
        late: Option<u64>,
        now: Instant,
    ) {
        let (id, (customer, tenant)) = (self.next_call(), of);
        let mut event = self.usage(&id, &customer, now);
        if let Some(day) = late {
            event["at"] = json!(format!("{}-0{day}T09:00:00Z", &now.to_string()[..7]));
        }
        let minutes = event["quantity"].as_str().unwrap().parse::<i64>().unwrap() / 60;
        let answer = market.admin().post("/v1/usage-events", event).await;
        let splits = answer.body["splits"].as_array().into_iter().flatten();
        let own = splits
            .filter(|split| split["tenant"] == "platform")
            .filter_map(|split| split["cents"].as_i64())
            .sum::<i64>();
        let owed_cents = match self.terms {
            Terms::Wholesale | Terms::Prepaid => 30 * minutes,
            Terms::Floor => 20 * minutes,
            // A carried fraction may have made one cent of it.
            Terms::Approved | Terms::FreeRetail => (own - 1).max(0),
        };
        self.note(
            format!("the platform reports {id} of {customer}, {minutes} min, {own} cents"),
            &answer,
        );
        self.calls.push(Call {
            id,
            customer,
            tenant,
            owed_cents,
        });
    }

    pub async fn platform_counts_seats(&mut self, market: &Market, now: Instant) {
        let (of, count) = (self.some_honest(), self.dice.one(&[0, 1, 2, 5, 20]));
        self.platform_counts(market, of, count, now).await;
    }

    pub async fn platform_counts(
        &mut self,
        market: &Market,
        of: (String, TenantId),
        count: u64,
        at: Instant,
    ) {
        let ((customer, tenant), id) = (of, self.fresh("seats"));
        let event = json!({ "id": id, "customer": customer, "meter": "seats", "at": at.to_string(), "quantity": count.to_string() });
        let answer = market.admin().post("/v1/usage-events", event).await;
        self.note(
            format!("the platform counts {count} seats of {customer}"),
            &answer,
        );
        self.seats.push(Seats { tenant, at, count });
    }

    pub async fn customer_pays_some(
        &mut self,
        market: &Market,
        of: (String, TenantId),
        cents: i64,
    ) {
        let (customer, tenant) = of;
        let top_up = json!({ "tenant": customer, "cents": cents, "currency": "EUR", "reason": "paid", "method": "manual" });
        let key = self.fresh("pay");
        let answer = market.admin().once(&key).post("/v1/top-ups", top_up).await;
        if answer.status == 201 {
            *self.came_in.entry(tenant).or_default() += cents;
        }
        self.note(format!("{customer} pays {cents}"), &answer);
    }

    pub async fn customer_pays(&mut self, market: &Market) {
        let (of, cents) = (self.some_honest(), self.cents());
        self.customer_pays_some(market, of, cents).await;
    }

    /// A refund, or a dispute that was lost.
    pub async fn customer_is_given_back(&mut self, market: &Market) {
        let (customer, tenant) = self.some_honest();
        let most = self.came_in.get(&tenant).copied().unwrap_or_default();
        if most == 0 {
            return;
        }
        let cents = 1 + self.dice.below(most as u64) as i64;
        let back =
            json!({ "tenant": customer, "cents": -cents, "currency": "EUR", "reason": "refunded" });
        let key = self.fresh("back");
        let answer = market
            .admin()
            .once(&key)
            .post("/v1/adjustments", back)
            .await;
        if answer.status == 201 {
            *self.came_in.entry(tenant).or_default() -= cents;
        }
        self.note(format!("{customer} is given back {cents}"), &answer);
    }

    pub async fn platform_rates_again(&mut self, market: &Market) {
        let answer = market
            .admin()
            .post("/v1/usage-events/rate-again", json!({ "root": self.name }))
            .await;
        self.note("the platform rates again".to_owned(), &answer);
    }

    pub async fn platform_gives_another_share(&mut self, market: &Market, now: Instant) {
        let share = self.dice.one(&[0, 2500, 5000]);
        self.platform_gives(market, share, now).await;
    }

    pub async fn platform_gives(&mut self, market: &Market, share: u16, now: Instant) {
        if matches!(self.terms, Terms::Wholesale | Terms::Prepaid) {
            return;
        }
        let ended = format!("/v1/agreements/{}/end", self.latest_terms[&self.name]);
        market
            .admin()
            .post(&ended, json!({ "until": now.to_string() }))
            .await
            .ok();
        let mut terms = self.bought(market, share);
        (terms["currency"], terms["from"]) = (json!("EUR"), json!(now.to_string()));
        let answer = market.admin().post("/v1/agreements", terms.clone()).await;
        self.remember_platforms(&terms, &answer);
        self.note(format!("the platform agrees on {terms}"), &answer);
    }
}
