//! One root: what the platform set up there, what it does, and everything that is known of it.

use super::{Dice, Market};
use crate::served::{Answer, Asking};
use crate::world::prices;
use rating::TenantId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What the root buys at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// Calls at 0.30 a minute.
    Wholesale,
    /// 75 % of what its customers pay, and at least 0.20 a minute.
    Floor,
    /// 75 % of what its customers pay, at prices that the platform published.
    Approved,
}

/// A call that the platform's switch reported.
pub struct Call {
    pub id: String,
    pub customer: String,
    pub tenant: TenantId,
    /// At the least, and for good.
    pub owed_cents: i64,
}

/// Who asks: the tenant of a key, and the key.
pub struct Holder {
    pub tenant: String,
    pub key: Asking,
}

pub struct Subtree {
    seed: u64,
    pub dice: Dice,
    pub name: String,
    pub root: TenantId,
    pub terms: Terms,
    pub holders: Vec<Holder>,
    pub resellers: Vec<String>,
    pub customers: Vec<String>,
    pub cards: Vec<String>,
    pub agreements: Vec<String>,
    pub calls: Vec<Call>,
    /// Ids of usage that its own keys reported.
    pub reported: Vec<String>,
    pub holds: Vec<String>,
    /// What customers paid to the platform and did not get back.
    pub came_in: BTreeMap<TenantId, i64>,
    honest: Vec<(String, TenantId)>,
    steps: u64,
    log: Vec<String>,
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GREEDY_SEEDS={}..{} ({:?})\n{}", self.seed, self.seed + 1, self.terms, self.log.join("\n"))
    }
}

impl Subtree {
    /// A reseller with two prepaid customers and a third one below another reseller, whose money the platform collects, and
    /// keys for everybody.
    pub async fn found(market: &Market, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let terms = dice.one(&[Terms::Wholesale, Terms::Floor, Terms::Approved]);
        let name = format!("r{seed}");
        let mut subtree = Self {
            seed,
            dice,
            name: name.clone(),
            root: TenantId(0),
            terms,
            holders: Vec::new(),
            resellers: vec![name.clone()],
            customers: Vec::new(),
            cards: Vec::new(),
            agreements: Vec::new(),
            calls: Vec::new(),
            reported: Vec::new(),
            holds: Vec::new(),
            came_in: BTreeMap::new(),
            honest: Vec::new(),
            steps: 0,
            log: Vec::new(),
        };
        subtree.root = subtree.buyer(market, &name, "reseller", "platform").await;
        let mut bought = json!({ "buyer": name });
        match terms {
            Terms::Wholesale => bought["rate_card"] = json!(market.wholesale),
            Terms::Floor => (bought["commission_bp"], bought["floor_rate_card"]) = (json!(2500), json!(market.floor)),
            Terms::Approved => bought["commission_bp"] = json!(2500),
        }
        subtree.agree(market, bought).await;
        let retail = market.card(&format!("{name}-retail"), &name, prices("0.40", "0.15", "1.50", "0.08")).await;
        subtree.cards.push(retail.clone());
        for customer in [format!("{name}-a"), format!("{name}-b")] {
            let id = subtree.buyer(market, &customer, "customer", &name).await;
            subtree.agree(market, json!({ "buyer": customer, "rate_card": retail, "credit_limit_cents": 0 })).await;
            subtree.honest.push((customer.clone(), id));
            subtree.customers.push(customer);
        }
        subtree.sell_through_another(market).await;
        let below = [format!("{name}-a"), format!("{name}-s")];
        for (tenant, scope) in [(&name, "tenant_admin"), (&name, "usage_write"), (&below[0], "tenant_admin"), (&below[1], "tenant_admin")] {
            let key = market.admin().post("/v1/api-keys", json!({ "name": "k", "tenant": tenant, "scope": scope })).await.ok();
            subtree.holder(market, tenant, &key);
        }
        subtree
    }

    /// What the reseller charges the one below is theirs to settle.
    async fn sell_through_another(&mut self, market: &Market) {
        let (root, seller, customer) = (self.name.clone(), format!("{}-s", self.name), format!("{}-c", self.name));
        let between = market.card(&format!("{seller}-buys"), &root, prices("0.36", "0.13", "1.40", "0.07")).await;
        self.buyer(market, &seller, "reseller", &root).await;
        let retail = market.card(&format!("{seller}-retail"), &seller, prices("0.50", "0.20", "2.00", "0.10")).await;
        self.agree(market, json!({ "buyer": seller, "rate_card": between })).await;
        let id = self.buyer(market, &customer, "customer", &seller).await;
        self.agree(market, json!({ "buyer": customer, "rate_card": retail, "credit_limit_cents": 0 })).await;
        self.cards.extend([between, retail]);
        self.resellers.push(seller);
        self.honest.push((customer.clone(), id));
        self.customers.push(customer);
    }

    async fn buyer(&self, market: &Market, name: &str, kind: &str, seller: &str) -> TenantId {
        let tenant = json!({ "external_id": name, "kind": kind, "name": name, "parent": seller });
        id_of(&market.admin().post("/v1/tenants", tenant).await.ok())
    }

    async fn agree(&mut self, market: &Market, mut terms: Value) {
        (terms["currency"], terms["from"]) = (json!("EUR"), json!("2026-01-01T00:00:00Z"));
        let made = market.admin().post("/v1/agreements", terms).await.ok();
        self.agreements.push(made["id"].as_str().unwrap().to_owned());
    }

    pub fn holder(&mut self, market: &Market, tenant: &str, key: &Value) {
        let secret = key["secret"].as_str().unwrap();
        self.holders.push(Holder { tenant: tenant.to_owned(), key: market.admin().with_key(Some(secret)) });
    }

    /// A name that nothing else has.
    pub fn fresh(&mut self, of: &str) -> String {
        self.steps += 1;
        format!("{}-{of}-{}", self.name, self.steps)
    }

    /// From a cent to 1,000.00; small amounts as often as large ones.
    pub fn cents(&mut self) -> i64 {
        let most = self.dice.one(&[100, 3000, 100_000]);
        self.dice.below(most) as i64 + 1
    }

    pub fn note(&mut self, what: String, answer: &Answer) {
        assert!(answer.status < 500, "{what}: {answer:?}\n{self}");
        let status = answer.body["status"].as_str().unwrap_or_default();
        self.log.push(format!("{what} -> {} {status}", answer.code()));
    }

    /// One operation of somebody.
    pub async fn step(&mut self, market: &Market, now: &str) {
        match self.dice.below(100) {
            0..22 => self.platform_reports(market, now).await,
            22..30 => self.customer_pays(market).await,
            30..35 => self.customer_is_given_back(market).await,
            35..38 => self.platform_rates_again(market).await,
            _ => self.greedy(market, now).await,
        }
    }

    /// The id of the platform's next call: anybody can guess it.
    pub fn next_call(&self) -> String {
        format!("{}-call-{}", self.name, self.calls.len())
    }

    pub fn usage(&mut self, id: &str, customer: &str, now: &str) -> Value {
        let minutes = 1 + self.dice.below(9);
        json!({ "id": id, "customer": customer, "meter": "call", "quantity": (minutes * 60).to_string(),
            "at": began(now, minutes), "destination": "+4930123456" })
    }

    async fn platform_reports(&mut self, market: &Market, now: &str) {
        let number = self.dice.below(self.honest.len() as u64) as usize;
        let (id, (customer, tenant)) = (self.next_call(), self.honest[number].clone());
        let mut event = self.usage(&id, &customer, now);
        if self.dice.below(3) == 0 {
            // It comes days later, with a switch that was cut off.
            event["at"] = json!(format!("{}-0{}T09:00:00Z", &now[..7], 1 + self.dice.below(9)));
        }
        let minutes = event["quantity"].as_str().unwrap().parse::<i64>().unwrap() / 60;
        let answer = market.admin().post("/v1/usage-events", event).await;
        let splits = answer.body["splits"].as_array().into_iter().flatten();
        let own = splits.filter(|split| split["tenant"] == "platform").filter_map(|split| split["cents"].as_i64()).sum::<i64>();
        let owed_cents = match self.terms {
            Terms::Wholesale => 30 * minutes,
            Terms::Floor => 20 * minutes,
            // A carried fraction may have made one cent of it.
            Terms::Approved => (own - 1).max(0),
        };
        self.note(format!("the platform reports {id} of {customer}, {minutes} min, {own} cents"), &answer);
        self.calls.push(Call { id, customer, tenant, owed_cents });
    }

    async fn customer_pays(&mut self, market: &Market) {
        let number = self.dice.below(self.honest.len() as u64) as usize;
        let ((customer, tenant), cents) = (self.honest[number].clone(), self.cents());
        let top_up = json!({ "tenant": customer, "cents": cents, "currency": "EUR", "reason": "paid", "method": "manual" });
        let key = self.fresh("pay");
        let answer = market.admin().once(&key).post("/v1/top-ups", top_up).await;
        if answer.status == 201 {
            *self.came_in.entry(tenant).or_default() += cents;
        }
        self.note(format!("{customer} pays {cents}"), &answer);
    }

    /// A refund, or a dispute that was lost.
    async fn customer_is_given_back(&mut self, market: &Market) {
        let number = self.dice.below(self.honest.len() as u64) as usize;
        let (customer, tenant) = self.honest[number].clone();
        let most = self.came_in.get(&tenant).copied().unwrap_or_default();
        if most == 0 {
            return;
        }
        let cents = 1 + self.dice.below(most as u64) as i64;
        let back = json!({ "tenant": customer, "cents": -cents, "currency": "EUR", "reason": "refunded" });
        let key = self.fresh("back");
        let answer = market.admin().once(&key).post("/v1/adjustments", back).await;
        if answer.status == 201 {
            *self.came_in.entry(tenant).or_default() -= cents;
        }
        self.note(format!("{customer} is given back {cents}"), &answer);
    }

    async fn platform_rates_again(&mut self, market: &Market) {
        let answer = market.admin().post("/v1/usage-events/rate-again", json!({ "root": self.name })).await;
        self.note("the platform rates again".to_owned(), &answer);
    }
}

/// The number behind a `ten_…` id.
pub fn id_of(tenant: &Value) -> TenantId {
    tenant["id"].as_str().unwrap().parse().unwrap()
}

/// A call that is over now.
fn began(now: &str, minutes: u64) -> String {
    let now: rating::Instant = now.parse().unwrap();
    now.plus_secs(-60 * i64::try_from(minutes).unwrap()).to_string()
}
