//! The greedy reseller: random operations of valid keys below the root, beside a platform that
//! reports real calls and counts seats, and customers that pay, are refunded and dispute. Whatever
//! those keys do:
//!
//! - what the platform is owed for what it reported never falls by their doing, nor its share of
//!   retail prices;
//! - no customer is credited what it was never charged, and no seller owes by a void or a hold what
//!   it may not owe;
//! - paid + payable commission never exceeds what came in less the platform's part, customer by
//!   customer;
//! - no request ends the server, and the books stay right (`verify`).
//!
//! Histories come from seeds: `GREEDY_SEEDS=17..18` repeats one. One in four tells one of the
//! [`stories`] of how something was taken before. A binary of its own, because it is also built
//! optimised and plays many: `GREEDY_SEEDS=0..100000 cargo test --release --locked --package
//! centwise-tests --test greedy`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test: what is not expected ends it"
)]

mod checks;
mod honest;
mod moves;
mod stories;
mod subtree;
mod terms;

use centwise_tests::dice::{Dice, seeds_of};
use centwise_tests::served::{Asking, Served};
use centwise_tests::{instant, prices, read_all};
use checks::{Books, CHECKS};
use futures_util::{StreamExt as _, stream};
use journal::JournalEntry;
use rating::{CardVersionId, TenantId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use subtree::Subtree;

const SEEDS: Range<u64> = 0..2000;
/// Histories that share a server: each has a root of its own.
const BESIDE: usize = 50;
/// At a time.
const SERVERS: usize = 2;
const STEPS: usize = 14;
/// From one step to the next.
const STEP_SECS: i64 = 600;

const NOVEMBER: &str = "2026-11-20T12:00:00Z";
/// The hold-back of November is over.
const DECEMBER: &str = "2026-12-20T12:00:00Z";
const JANUARY: &str = "2027-01-20T12:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_valid_key_takes_what_is_the_platforms() {
    let seeds = seeds_of("GREEDY_SEEDS", SEEDS);
    let ends = seeds.end;
    // Each on a thread of its own.
    let server = |first| async move {
        let (of_server, here) = (
            first..ends.min(first + BESIDE as u64),
            tokio::runtime::Handle::current(),
        );
        tokio::task::spawn_blocking(move || here.block_on(beside_each_other(of_server)))
            .await
            .unwrap()
    };
    let taken: Vec<Taken> = stream::iter(seeds.step_by(BESIDE).map(server))
        .buffered(SERVERS)
        .collect::<Vec<_>>()
        .await
        .concat();
    let mut by_check: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
    taken
        .iter()
        .for_each(|taken| by_check.entry(taken.check).or_default().push(taken));
    let line = |(check, of): (&&str, &Vec<&Taken>)| {
        let Taken {
            seed, story, what, ..
        } = of[0];
        format!(
            "{check}: {} histories, such as {seed} ({story}): {what}",
            of.len()
        )
    };
    let lines: Vec<String> = by_check.iter().map(line).collect();
    let first = taken
        .first()
        .map(|taken| taken.told.as_str())
        .unwrap_or_default();
    assert!(
        taken.is_empty(),
        "{}\nthe first:\n{first}",
        lines.join("\n")
    );
}

/// What was owed to the platform and was not charged, or was paid and had not come in.
#[derive(Clone)]
struct Taken {
    check: &'static str,
    seed: u64,
    story: &'static str,
    what: String,
    told: String,
}

/// Histories on one server: two months, with payouts after each.
async fn beside_each_other(seeds: Range<u64>) -> Vec<Taken> {
    let market = Market::open().await;
    let (mut subtrees, mut taken) = (Vec::new(), Vec::new());
    for seed in seeds {
        subtrees.push(Subtree::found(&market, seed).await);
    }
    for (from, until) in [(NOVEMBER, DECEMBER), (DECEMBER, JANUARY)] {
        let mut now = instant(from);
        for subtree in &mut subtrees {
            subtree.told = 0;
            for _ in 0..STEPS {
                if subtree.is_over(now) {
                    break;
                }
                market.served.set_clock(&now.to_string());
                subtree.step(&market, now).await;
                now = now.plus_secs(STEP_SECS);
            }
        }
        market.served.set_clock(until);
        market.check(&mut subtrees, &mut taken).await;
        market.pay_out().await;
        market.check(&mut subtrees, &mut taken).await;
    }
    for check in market.served.running.app.journal.verify().await.unwrap() {
        assert!(check.ok, "{check:?}");
    }
    taken
}

/// Prices by the piece.
fn list(call: &str, api_call: &str, booking: &str, sms: &str, seat: &str) -> Value {
    let mut doc = prices(call, api_call, booking, sms);
    let seats = json!({ "key": "seats", "meter": "seats", "price": { "model": "per_unit", "unit_price": seat } });
    doc["rates"].as_array_mut().unwrap().push(seats);
    doc
}

/// The same, but of this meter ten cost 1,000 each, and more than ten nothing at all.
fn volume(doc: Value, meter: &str) -> Value {
    priced(
        doc,
        meter,
        json!({ "model": "volume", "tiers": [{ "up_to": "10", "unit_price": "1000" }, { "unit_price": "0" }] }),
    )
}

/// The same, but of this meter the first minute of the month is dear, and the rest hardly costs
/// anything.
fn graduated(doc: Value, meter: &str) -> Value {
    priced(
        doc,
        meter,
        json!({ "model": "graduated", "tiers": [{ "up_to": "60", "unit_price": "0.50" }, { "unit_price": "0.0001" }] }),
    )
}

/// The same, but of this meter one event of the month is free: the order of arrival counts.
fn first_free(doc: Value, meter: &str) -> Value {
    priced(
        doc,
        meter,
        json!({ "model": "percentage", "rate": "1", "amount_from": "quantity", "free_events": 1 }),
    )
}

fn priced(mut doc: Value, meter: &str, price: Value) -> Value {
    let rate = doc["rates"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|rate| rate["key"] == meter)
        .unwrap();
    *rate = json!({ "key": meter, "meter": meter, "price": price });
    doc
}

/// The platform, its cards, and its bank.
#[derive(Debug)]
pub struct Market {
    pub served: Served,
    pub wholesale: String,
    pub floor: String,
    platform: TenantId,
}

impl Market {
    async fn open() -> Self {
        let served = Served::new().await;
        let platform = served.running.app.platform;
        let market = Self {
            served,
            wholesale: String::new(),
            floor: String::new(),
            platform,
        };
        for (meter, unit) in [
            ("call", "second"),
            ("sms", "message"),
            ("booking", "booking"),
            ("api_call", "call"),
            ("seats", "seat"),
        ] {
            let aggregation = if meter == "seats" { "latest" } else { "sum" };
            market
                .admin()
                .post(
                    "/v1/meters",
                    json!({ "name": meter, "unit": unit, "aggregation": aggregation }),
                )
                .await
                .ok();
        }
        let (wholesale, _) = market
            .card(
                "wholesale",
                "platform",
                list("0.30", "0.10", "1.00", "0.05", "5"),
            )
            .await;
        let (floor, _) = market
            .card(
                "floor",
                "platform",
                list("0.20", "0.05", "0.50", "0.02", "1"),
            )
            .await;
        let settings = json!({ "method": "bank", "bank": { "holder": "Plattform GmbH", "iban": "DE89370400440532013000" } });
        market
            .patch("/v1/tenants/platform/payout-settings", settings)
            .await;
        Self {
            wholesale,
            floor,
            ..market
        }
    }

    pub fn admin(&self) -> &Asking {
        &self.served.admin
    }

    async fn patch(&self, path: &str, body: Value) {
        self.admin()
            .ask(hyper::Method::PATCH, path, body.to_string().into())
            .await
            .unwrap()
            .ok();
    }

    /// What it earns goes to its bank, from a cent on.
    pub async fn by_bank(&self, reseller: &str) {
        let bank = json!({ "holder": "Reseller", "iban": "DE89370400440532013000" });
        let settings = json!({ "method": "bank", "minimum_cents": 1, "bank": bank });
        self.patch(&format!("/v1/tenants/{reseller}/payout-settings"), settings)
            .await;
    }

    /// Published by the platform.
    pub async fn card(&self, name: &str, owner: &str, mut doc: Value) -> (String, CardVersionId) {
        doc["currency"] = json!("EUR");
        let card = self
            .admin()
            .post(
                "/v1/rate-cards",
                json!({ "name": name, "currency": "EUR", "owner": owner }),
            )
            .await
            .ok();
        let id = card["id"].as_str().unwrap().to_owned();
        self.admin()
            .post(&format!("/v1/rate-cards/{id}/versions"), doc)
            .await
            .ok();
        let publish = json!({ "effective_from": "2026-01-01T00:00:00Z" });
        let version = self
            .admin()
            .post(&format!("/v1/rate-cards/{id}/versions/1/publish"), publish)
            .await
            .ok();
        (id, version["id"].as_str().unwrap().parse().unwrap())
    }

    /// Whatever is due goes out by bank.
    async fn pay_out(&self) {
        let mut cursor = Value::Null;
        loop {
            let run = self
                .admin()
                .post("/v1/payouts/run", json!({ "cursor": cursor, "limit": 200 }))
                .await
                .ok();
            cursor = run["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let file = self
            .admin()
            .once(&format!("file-{}", self.served.running.app.clock.now()))
            .post("/v1/payouts/sepa-file", json!({}))
            .await;
        if file.status < 300 {
            let path = format!(
                "/v1/payouts/sepa-file/{}/paid",
                file.body["id"].as_str().unwrap()
            );
            self.admin()
                .post(&path, json!({ "reference": "statement" }))
                .await
                .ok();
        }
    }

    /// Every check of every root that did not fail it before.
    async fn check(&self, subtrees: &mut [Subtree], taken: &mut Vec<Taken>) {
        let records = read_all(&*self.served.running.app.journal).await;
        let mut by_root: HashMap<TenantId, Vec<&JournalEntry>> = HashMap::new();
        records.iter().for_each(|record| {
            by_root
                .entry(record.identity.root)
                .or_default()
                .push(record)
        });
        for subtree in subtrees {
            let records = by_root.get(&subtree.root).map_or(&[][..], Vec::as_slice);
            let books = Books {
                platform: self.platform,
                subtree,
                records,
            };
            let mut found: Vec<(&str, String)> = CHECKS
                .iter()
                .filter_map(|(name, check)| Some((*name, check(&books)?)))
                .collect();
            let left = left(&books);
            found.extend(
                self.payable(subtree, &left)
                    .await
                    .map(|what| ("payable", what)),
            );
            for (check, what) in found {
                if !taken
                    .iter()
                    .any(|taken| taken.check == check && taken.seed == subtree.seed)
                {
                    let (seed, story, told) = (
                        subtree.seed,
                        subtree.story(),
                        format!("{check}: {what}\n{subtree}"),
                    );
                    taken.push(Taken {
                        check,
                        seed,
                        story,
                        what,
                        told,
                    });
                }
            }
            subtree.earned = left;
        }
    }

    /// What its resellers were paid, and would be, comes from what their customers paid.
    async fn payable(&self, subtree: &Subtree, left: &BTreeMap<TenantId, i64>) -> Option<String> {
        let most: i64 = left.values().sum();
        let (mut paid, mut payable, mut answers) = (0, 0, String::new());
        for reseller in &subtree.resellers {
            let answer = self
                .admin()
                .get(&format!(
                    "/v1/commissions/payable?reseller={reseller}&currency=EUR"
                ))
                .await;
            if reseller == "platform" && answer.code() == "409 ambiguous_id" {
                continue;
            }
            assert_eq!(answer.status, 200, "{answer:?}\n{subtree}");
            paid += answer.body["paid_out_cents"].as_i64().unwrap_or_default();
            payable += answer.body["payable_cents"].as_i64().unwrap_or_default();
            answers = format!("{answers}\n{}", answer.text);
        }
        (paid + payable > most)
            .then(|| format!("{paid} paid, {payable} payable, {most} at most of {left:?}{answers}"))
    }
}

/// By customer, what came in less the platform's part, which is never below nothing; or, if that is
/// more, what it was when there were payouts before: what is lost since was paid for good reason.
fn left(books: &Books) -> BTreeMap<TenantId, i64> {
    let (part, mut came_in) = (books.part(), books.given());
    for (customer, cents) in &books.subtree.came_in {
        *came_in.entry(*customer).or_default() += cents;
    }
    let mut left = books.subtree.earned.clone();
    for (customer, came_in) in &came_in {
        let now = came_in - part.get(customer).copied().unwrap_or_default().max(0);
        let most = left.entry(*customer).or_default();
        *most = (*most).max(now);
    }
    left
}
