//! One root: what the platform set up there, what everybody does, and everything that is known of
//! it.

use super::stories::{STORIES, Story};
use super::{Dice, Market, list};
use centwise_tests::served::{Answer, Asking};
use rating::{AgreementId, CardVersionId, Instant, TenantId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// What the root buys at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// Calls at 0.30 a minute, seats at 5.00.
    Wholesale,
    /// The same; the platform gives it no credit.
    Prepaid,
    /// 75 % of what its customers pay, and at least 0.20 a minute.
    Floor,
    /// 75 % of what its customers pay, at prices that the platform published.
    Approved,
    /// 75 % of what its customers pay, at any prices.
    FreeRetail,
}

/// A call that the platform's switch reported.
pub struct Call {
    pub id: String,
    pub customer: String,
    pub tenant: TenantId,
    /// At the least, and for good.
    pub owed_cents: i64,
}

/// How many seats of a customer the platform saw.
pub struct Seats {
    pub tenant: TenantId,
    pub at: Instant,
    pub count: u64,
}

/// Who asks: the tenant of a key, and the key.
pub struct Holder {
    pub tenant: String,
    pub key: Asking,
}

/// Of [`Subtree::cards`]: what the root sells at, what it sells to the reseller below it at, and
/// that one to its customer.
pub const RETAIL: usize = 0;
pub const BETWEEN: usize = 1;
pub const LOWER_RETAIL: usize = 2;

pub struct Subtree {
    pub seed: u64,
    pub dice: Dice,
    pub name: String,
    pub root: TenantId,
    pub terms: Terms,
    pub holders: Vec<Holder>,
    pub resellers: Vec<String>,
    pub customers: Vec<String>,
    pub cards: Vec<String>,
    pub agreements: Vec<String>,
    /// By buyer: the latest that was agreed on.
    pub latest_terms: BTreeMap<String, String>,
    /// Those that the platform made.
    pub of_platform: HashSet<AgreementId>,
    /// Versions that the platform published.
    pub published: HashSet<CardVersionId>,
    pub calls: Vec<Call>,
    pub seats: Vec<Seats>,
    /// Ids of usage that its own keys reported.
    pub reported: Vec<String>,
    pub holds: Vec<String>,
    /// Those among them that nothing covered.
    pub uncovered: Vec<String>,
    /// What customers paid to the platform and did not get back.
    pub came_in: BTreeMap<TenantId, i64>,
    /// By customer: the most that was its sellers' at a payout; the money may be lost since.
    pub earned: BTreeMap<TenantId, i64>,
    /// Those that the platform's switch knows.
    pub honest: Vec<(String, TenantId)>,
    pub story: Option<&'static Story>,
    /// What is told of it in this month.
    pub told: usize,
    steps: u64,
    log: Vec<String>,
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, terms, story) = (self.seed, self.terms, self.story());
        write!(
            f,
            "GREEDY_SEEDS={seed}..{} ({terms:?}, {story})\n{}",
            seed + 1,
            self.log.join("\n")
        )
    }
}

impl Subtree {
    /// A reseller with two prepaid customers and a third one below another reseller, whose money
    /// the platform collects, and keys for everybody.
    pub async fn found(market: &Market, seed: u64) -> Self {
        let mut subtree = Self::new(seed);
        let name = subtree.name.clone();
        subtree.root = subtree.buyer(market, &name, "reseller", "platform").await;
        let bought = subtree.bought(market, 2500);
        subtree.agree(market, bought).await;
        let retail = subtree
            .card(
                market,
                "retail",
                &name,
                list("0.40", "0.15", "1.50", "0.08", "8"),
            )
            .await;
        for customer in [format!("{name}-a"), format!("{name}-b")] {
            let id = subtree.buyer(market, &customer, "customer", &name).await;
            subtree
                .agree(
                    market,
                    json!({ "buyer": customer, "rate_card": retail, "credit_limit_cents": 0 }),
                )
                .await;
            subtree.honest.push((customer.clone(), id));
            subtree.customers.push(customer);
        }
        subtree.sell_through_another(market).await;
        let below = [format!("{name}-a"), format!("{name}-s")];
        for (tenant, scope) in [
            (&name, "tenant_admin"),
            (&name, "usage_write"),
            (&below[0], "tenant_admin"),
            (&below[1], "tenant_admin"),
        ] {
            let key = market
                .admin()
                .post(
                    "/v1/api-keys",
                    json!({ "name": "k", "tenant": tenant, "scope": scope }),
                )
                .await
                .ok();
            subtree.holder(market, tenant, &key);
        }
        for reseller in [&name, &below[1]] {
            market.by_bank(reseller).await;
        }
        subtree
    }

    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let story =
            (dice.below(4) == 0).then(|| &STORIES[dice.below(STORIES.len() as u64) as usize]);
        let any = dice.one(&[
            Terms::Wholesale,
            Terms::Prepaid,
            Terms::Floor,
            Terms::Approved,
            Terms::FreeRetail,
        ]);
        Self {
            seed,
            dice,
            name: format!("r{seed}"),
            root: TenantId(0),
            terms: story.map_or(any, |story| story.terms),
            holders: Vec::new(),
            resellers: vec![format!("r{seed}")],
            customers: Vec::new(),
            cards: Vec::new(),
            agreements: Vec::new(),
            latest_terms: BTreeMap::new(),
            of_platform: HashSet::new(),
            published: HashSet::new(),
            calls: Vec::new(),
            seats: Vec::new(),
            reported: Vec::new(),
            holds: Vec::new(),
            uncovered: Vec::new(),
            came_in: BTreeMap::new(),
            earned: BTreeMap::new(),
            honest: Vec::new(),
            story,
            told: 0,
            steps: 0,
            log: Vec::new(),
        }
    }

    /// What the root buys at; `share`: of what its customers pay, in basis points.
    pub fn bought(&self, market: &Market, share: u16) -> Value {
        let mut terms = json!({ "buyer": self.name });
        match self.terms {
            Terms::Wholesale => terms["rate_card"] = json!(market.wholesale),
            Terms::Prepaid => {
                (terms["rate_card"], terms["credit_limit_cents"]) =
                    (json!(market.wholesale), json!(0))
            }
            Terms::Floor => {
                (terms["commission_bp"], terms["floor_rate_card"]) =
                    (json!(share), json!(market.floor))
            }
            Terms::Approved => terms["commission_bp"] = json!(share),
            Terms::FreeRetail => {
                (terms["commission_bp"], terms["free_retail"]) = (json!(share), json!(true))
            }
        }
        terms
    }

    /// What the reseller charges the one below is theirs to settle.
    async fn sell_through_another(&mut self, market: &Market) {
        let (root, seller, customer) = (
            self.name.clone(),
            format!("{}-s", self.name),
            format!("{}-c", self.name),
        );
        let between = self
            .card(
                market,
                "between",
                &root,
                list("0.36", "0.13", "1.40", "0.07", "6"),
            )
            .await;
        self.buyer(market, &seller, "reseller", &root).await;
        let retail = self
            .card(
                market,
                "retail",
                &seller,
                list("0.50", "0.20", "2.00", "0.10", "10"),
            )
            .await;
        self.agree(market, json!({ "buyer": seller, "rate_card": between }))
            .await;
        let id = self.buyer(market, &customer, "customer", &seller).await;
        self.agree(
            market,
            json!({ "buyer": customer, "rate_card": retail, "credit_limit_cents": 0 }),
        )
        .await;
        self.resellers.push(seller);
        self.honest.push((customer.clone(), id));
        self.customers.push(customer);
    }

    /// Published by the platform.
    async fn card(&mut self, market: &Market, name: &str, owner: &str, doc: Value) -> String {
        let (card, version) = market.card(&format!("{owner}-{name}"), owner, doc).await;
        self.published.insert(version);
        self.cards.push(card.clone());
        card
    }

    async fn buyer(&self, market: &Market, name: &str, kind: &str, seller: &str) -> TenantId {
        let tenant = json!({ "external_id": name, "kind": kind, "name": name, "parent": seller });
        id_of(&market.admin().post("/v1/tenants", tenant).await.ok())
    }

    async fn agree(&mut self, market: &Market, mut terms: Value) {
        (terms["currency"], terms["from"]) = (json!("EUR"), json!("2026-01-01T00:00:00Z"));
        let made = market.admin().post("/v1/agreements", terms.clone()).await;
        self.remember_platforms(&terms, &made);
        made.ok();
    }

    pub fn holder(&mut self, market: &Market, tenant: &str, key: &Value) {
        let secret = key["secret"].as_str().unwrap();
        self.holders.push(Holder {
            tenant: tenant.to_owned(),
            key: market.admin().with_key(Some(secret)),
        });
    }

    /// The root itself.
    pub fn root_key(&self) -> (String, Asking) {
        (self.holders[0].tenant.clone(), self.holders[0].key.clone())
    }

    pub fn remember_agreement(&mut self, terms: &Value, answer: &Answer) {
        if answer.status == 201 {
            let id = answer.body["id"].as_str().unwrap().to_owned();
            self.latest_terms
                .insert(terms["buyer"].as_str().unwrap().to_owned(), id.clone());
            self.agreements.push(id);
        }
    }

    pub fn remember_platforms(&mut self, terms: &Value, answer: &Answer) {
        self.remember_agreement(terms, answer);
        self.of_platform.extend(
            answer.body["id"]
                .as_str()
                .map(|id| id.parse::<AgreementId>().unwrap()),
        );
    }

    pub fn story(&self) -> &'static str {
        self.story.map_or("at random", |story| story.name)
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
        self.log
            .push(format!("{what} -> {} {status}", answer.code()));
    }

    /// One operation of somebody.
    pub async fn step(&mut self, market: &Market, now: Instant) {
        if let Some(act) = self.go_on(now) {
            return self.act(market, act, now).await;
        }
        match self.dice.below(100) {
            0..17 => self.platform_reports(market, now).await,
            17..22 => self.platform_counts_seats(market, now).await,
            22..30 => self.customer_pays(market).await,
            30..35 => self.customer_is_given_back(market).await,
            35..38 => self.platform_rates_again(market).await,
            38..41 => self.platform_gives_another_share(market, now).await,
            _ => self.greedy(market, now).await,
        }
    }

    /// The id of the platform's next call: anybody can guess it.
    pub fn next_call(&self) -> String {
        format!("{}-call-{}", self.name, self.calls.len())
    }

    pub fn usage(&mut self, id: &str, customer: &str, now: Instant) -> Value {
        let minutes = 1 + self.dice.below(9);
        let began = now.plus_secs(-60 * minutes as i64);
        json!({ "id": id, "customer": customer, "meter": "call", "quantity": (minutes * 60).to_string(),
            "at": began.to_string(), "destination": "+4930123456" })
    }
}

/// The number behind a `ten_…` id.
pub fn id_of(tenant: &Value) -> TenantId {
    tenant["id"].as_str().unwrap().parse().unwrap()
}
