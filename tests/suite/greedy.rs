//! The greedy reseller: random operations of valid keys below the root, beside a platform that reports real calls and
//! customers that pay, are refunded and dispute. Whatever those keys do:
//!
//! - what the platform is owed for the calls that it reported never falls by their doing;
//! - paid + payable commission never exceeds what came in less the platform's part, customer by customer;
//! - no request ends the server, and the books stay right (`verify`).
//!
//! Histories come from seeds: `GREEDY_SEEDS=17..18` repeats one, `GREEDY_SEEDS=0..100000` plays many.

mod moves;
mod subtree;

use crate::audit::read_all;
use crate::histories::{Dice, seeds_of};
use crate::served::{Asking, Served};
use crate::world::prices;
use futures_util::{StreamExt as _, stream};
use rating::{Cents, Exact, TenantId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use store::journal::{Kind, Namespace, Record, Seq};
use subtree::Subtree;

const SEEDS: Range<u64> = 0..2000;
/// Histories that share a server: each has a root of its own.
const BESIDE: usize = 50;
/// At a time.
const SERVERS: usize = 2;
const STEPS: usize = 14;

const NOVEMBER: &str = "2026-11-20T12:00:00Z";
/// The hold-back of November is over.
const DECEMBER: &str = "2026-12-20T12:00:00Z";
const JANUARY: &str = "2027-01-20T12:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_valid_key_takes_what_is_the_platforms() {
    let seeds = seeds_of("GREEDY_SEEDS", SEEDS);
    let ends = seeds.end;
    let servers = seeds.step_by(BESIDE).map(|first| beside_each_other(first..ends.min(first + BESIDE as u64)));
    let taken: Vec<Taken> = stream::iter(servers).buffered(SERVERS).collect::<Vec<_>>().await.concat();
    let of = |kind: &str| taken.iter().filter(|taken| taken.kind == kind).count();
    let first = taken.first().map(|taken| taken.told.as_str()).unwrap_or_default();
    assert!(taken.is_empty(), "{} owed and not charged, {} paid and not earned; the first:\n{first}", of(OWED), of(PAYABLE));
}

/// What was owed to the platform and was not charged, or was paid and had not come in.
#[derive(Clone)]
struct Taken {
    kind: &'static str,
    told: String,
}

const OWED: &str = "owed";
const PAYABLE: &str = "payable";

/// Histories on one server: two months, with payouts after each.
async fn beside_each_other(seeds: Range<u64>) -> Vec<Taken> {
    let market = Market::open().await;
    let (mut subtrees, mut taken) = (Vec::new(), Vec::new());
    for seed in seeds {
        subtrees.push(Subtree::found(&market, seed).await);
    }
    for (from, until) in [(NOVEMBER, DECEMBER), (DECEMBER, JANUARY)] {
        market.served.set_clock(from);
        for subtree in &mut subtrees {
            for _ in 0..STEPS {
                subtree.step(&market, from).await;
            }
        }
        market.served.set_clock(until);
        taken.extend(market.check(&subtrees).await);
        market.pay_out().await;
        taken.extend(market.check(&subtrees).await);
    }
    for check in market.served.running.app.journal.verify().await.unwrap() {
        assert!(check.ok, "{check:?}");
    }
    taken
}

/// The platform, its cards, and its bank.
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
        let market = Self { served, wholesale: String::new(), floor: String::new(), platform };
        for (meter, unit) in [("call", "second"), ("sms", "message"), ("booking", "booking"), ("api_call", "call")] {
            market.admin().post("/v1/meters", json!({ "name": meter, "unit": unit })).await.ok();
        }
        let wholesale = market.card("wholesale", "platform", prices("0.30", "0.10", "1.00", "0.05")).await;
        let floor = market.card("floor", "platform", prices("0.20", "0.05", "0.50", "0.02")).await;
        let settings = json!({ "method": "bank", "bank": { "holder": "Plattform GmbH", "iban": "DE89370400440532013000" } });
        market.patch("/v1/tenants/platform/payout-settings", settings).await;
        Self { wholesale, floor, ..market }
    }

    pub fn admin(&self) -> &Asking {
        &self.served.admin
    }

    async fn patch(&self, path: &str, body: Value) {
        self.admin().ask(hyper::Method::PATCH, path, body.to_string().into()).await.unwrap().ok();
    }

    /// Published by the platform.
    pub async fn card(&self, name: &str, owner: &str, mut doc: Value) -> String {
        doc["currency"] = json!("EUR");
        let card = self.admin().post("/v1/rate-cards", json!({ "name": name, "currency": "EUR", "owner": owner })).await.ok();
        let id = card["id"].as_str().unwrap().to_owned();
        self.admin().post(&format!("/v1/rate-cards/{id}/versions"), doc).await.ok();
        let publish = json!({ "effective_from": "2026-01-01T00:00:00Z" });
        self.admin().post(&format!("/v1/rate-cards/{id}/versions/1/publish"), publish).await.ok();
        id
    }

    /// Whatever is due goes out by bank.
    async fn pay_out(&self) {
        let mut cursor = Value::Null;
        loop {
            let run = self.admin().post("/v1/payouts/run", json!({ "cursor": cursor, "limit": 200 })).await.ok();
            cursor = run["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let file =
            self.admin().once(&format!("file-{}", self.served.running.app.clock.now())).post("/v1/payouts/sepa-file", json!({})).await;
        if file.status < 300 {
            let path = format!("/v1/payouts/sepa-file/{}/paid", file.body["id"].as_str().unwrap());
            self.admin().post(&path, json!({ "reference": "statement" })).await.ok();
        }
    }

    async fn check(&self, subtrees: &[Subtree]) -> Vec<Taken> {
        let records = read_all(&*self.served.running.app.journal).await;
        let mut by_root: HashMap<TenantId, Vec<&Record>> = HashMap::new();
        records.iter().for_each(|record| by_root.entry(record.identity.root).or_default().push(record));
        let mut taken = Vec::new();
        for subtree in subtrees {
            let records = by_root.get(&subtree.root).map_or(&[][..], Vec::as_slice);
            let told = |kind: &'static str| move |what: String| Taken { kind, told: format!("{what}\n{subtree}") };
            taken.extend(self.owed(subtree, records).map(told(OWED)));
            taken.extend(self.payable(subtree, records).await.map(told(PAYABLE)));
        }
        taken
    }

    /// What the records of the root charge at the platform's link, exactly.
    fn top(&self, record: &Record) -> (Exact, Cents) {
        let top = record.body.charges.iter().find(|charge| charge.link.seller == self.platform);
        top.map_or((Exact::ZERO, Cents::ZERO), |charge| (charge.exact, charge.link.cents))
    }

    /// Every call that the platform reported is charged at its own price, or at least at the floor.
    fn owed(&self, subtree: &Subtree, records: &[&Record]) -> Option<String> {
        for call in &subtree.calls {
            let usage = |record: &&&Record| record.identity.namespace == Namespace::Usage && record.identity.id == call.id;
            let of: Vec<Seq> =
                records.iter().filter(usage).filter(|record| record.tenant == call.tenant).map(|record| record.seq).collect();
            let is_of = |record: &&&Record| of.contains(&record.seq) || record.body.refers_to.is_some_and(|seq| of.contains(&seq));
            let charged = records.iter().filter(is_of).fold(Exact::ZERO, |sum, record| sum.checked_add(self.top(record).0).unwrap());
            let owed = Exact::from_cents(Cents(call.owed_cents));
            if charged < owed {
                return Some(format!("{} of {}: {} of {} cents charged", call.id, call.customer, charged.in_cents(), owed.in_cents()));
            }
        }
        None
    }

    /// What its resellers were paid, and would be, comes from what their customers paid.
    async fn payable(&self, subtree: &Subtree, records: &[&Record]) -> Option<String> {
        let mut part: BTreeMap<TenantId, i64> = BTreeMap::new();
        for record in records.iter().filter(|record| matches!(record.kind, Kind::Rated | Kind::RatedLater | Kind::Void)) {
            *part.entry(record.tenant).or_default() += self.top(record).1.0;
        }
        let left = |(customer, came_in): (&TenantId, &i64)| (came_in - part.get(customer).copied().unwrap_or_default()).max(0);
        let most: i64 = subtree.came_in.iter().map(left).sum();
        let (mut paid, mut payable, mut debt) = (0, 0, 0);
        for reseller in &subtree.resellers {
            let answer = self.admin().get(&format!("/v1/commissions/payable?reseller={reseller}&currency=EUR")).await;
            if reseller == "platform" && answer.code() == "409 ambiguous_id" {
                continue;
            }
            assert_eq!(answer.status, 200, "{answer:?}\n{subtree}");
            let cents = |name: &str| answer.body[name].as_i64().unwrap_or_default();
            paid += cents("paid_out_cents");
            payable += cents("payable_cents");
            // What was paid for good reason and is lost since: a refund after the payout.
            let paid_out = cents("paid_out_cents");
            debt += (paid_out + cents("withheld_cents") - cents("accrued_cents")).clamp(0, paid_out.max(0));
        }
        let is_right = payable == 0 || paid + payable - debt <= most;
        (!is_right).then(|| format!("{paid} paid, {payable} payable, {debt} owed back, {most} at most"))
    }
}
