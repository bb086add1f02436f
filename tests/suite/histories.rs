//! Random histories: usage, duplicates, voids, corrections, top-ups, holds, captures, expiries and
//! new card versions in any order, on several resellers and customers with both settlements. The
//! database must answer as the memory does after every batch, and at the end the books must be
//! right by themselves and equal record by record, also when the file is opened again in the middle
//! of it.
//!
//! The histories come from seeds, so a failure names the one to repeat: `HISTORY_SEEDS=17..18`.
//! `HISTORY_OPERATIONS` sets how many operations each has (default 800; every history is checked in
//! full, and when one fails, the shortest beginning of it that fails is looked for).

use crate::audit::Audited;
use crate::speak::Sending;
use crate::world::{Backend, World, one_rate, postgres_is_here, prices};
use centwise_tests::dice::{Dice, seeds_of};
use db::Db;
use journal::{Journal, StateKeys};
use journal_postgres::PostgresJournal;
use journal_sqlite::SqliteJournal;
use metering::requests::MoneyKind;
use rating::{Currency, Instant};
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const SEEDS: Range<u64> = 0..18;
const OPERATIONS: usize = 800;
/// On PostgreSQL 10,000 operations take 20 seconds; where a transaction is of one root, a tenth of
/// that must do.
const SEEDS_ON_POSTGRES: Range<u64> = 0..13;
const SEEDS_BY_ROOT: Range<u64> = 0..2;
const OPERATIONS_BY_ROOT: usize = 500;
const CUSTOMERS: [&str; 6] = ["prepaid", "strict", "counted", "own-book", "deep", "kiosk"];
const METERS: [(&str, u64); 5] = [
    ("call", 900),
    ("sms", 12),
    ("api_call", 40),
    ("seats", 3),
    ("storage", 30),
];

/// Two resellers that leave the money with the platform or collect it, one under the other, prices
/// by the piece, by tiers, by distinct users, by the largest value, and by commission.
pub async fn market(backend: Backend) -> World {
    let world = World::new(backend).await;
    world
        .meter(
            "seats",
            json!({ "unit": "user", "aggregation": "unique", "unique_by": "user" }),
        )
        .await;
    world
        .meter("storage", json!({ "unit": "gib", "aggregation": "max" }))
        .await;
    world.card("platform", "wholesale", version(0)).await;
    world
        .reseller("agent", "platform", json!({ "card": "wholesale" }))
        .await;
    world
        .reseller(
            "shop",
            "platform",
            json!({ "card": "wholesale", "credit_limit": 20_000, "on_exhausted": "refuse" }),
        )
        .await;
    world
        .reseller(
            "sub",
            "shop",
            json!({ "commission_bp": 3333, "collect": "reseller", "credit_limit": 0 }),
        )
        .await;
    for owner in ["agent", "shop", "sub"] {
        world
            .card(owner, &format!("retail-{owner}"), version(1))
            .await;
    }
    world
        .customer(
            "prepaid",
            "agent",
            json!({ "card": "retail-agent", "credit_limit": 0 }),
        )
        .await;
    world
        .customer(
            "strict",
            "agent",
            json!({ "card": "retail-agent", "credit_limit": 100, "on_exhausted": "refuse" }),
        )
        .await;
    world
        .customer("counted", "agent", json!({ "card": "retail-agent" }))
        .await;
    world
        .customer(
            "own-book",
            "shop",
            json!({ "card": "retail-shop", "collect": "reseller" }),
        )
        .await;
    world
        .customer(
            "deep",
            "sub",
            json!({ "card": "retail-sub", "collect": "reseller", "credit_limit": 500 }),
        )
        .await;
    world
}

/// Prices that change from version to version; rate keys that stay.
fn version(number: u64) -> serde_json::Value {
    let tenth = |cents: u64| format!("0.{:03}", 100 + (cents * 37 + number * 53) % 300);
    let mut doc = prices(&tenth(1), &tenth(2), "1.5", "0.0713");
    let rates = doc["rates"].as_array_mut().unwrap();
    rates[1]["price"] = json!({ "model": "graduated", "tiers": [
        { "up_to": "100", "unit_price": tenth(3) }, { "up_to": "400", "unit_price": "0.0333" }, { "unit_price": "0.011", "flat": "0.5" }] });
    for meter in ["seats", "storage"] {
        rates.push(
            one_rate(
                meter,
                json!({ "model": "per_unit", "unit_price": tenth(4) }),
            )["rates"][0]
                .clone(),
        );
    }
    doc
}

#[derive(Debug, Clone)]
pub enum Operation {
    /// Events of one batch: (number of the event, whether it names hold number …).
    Batch(Vec<Event>),
    Void(usize),
    Correct(usize, Event),
    TopUp(&'static str, i64, u64),
    Adjust(&'static str, i64, u64),
    Hold(Event, u32, bool),
    Extend(usize, u64, u64),
    Release(usize, u64),
    Pass(u64),
    Publish(&'static str, u64),
    RateAgain(&'static str),
    NewCustomer,
}

#[derive(Debug, Clone)]
pub struct Event {
    number: usize,
    customer: &'static str,
    meter: &'static str,
    quantity: u64,
    /// Seconds after the beginning.
    at: i64,
    user: u64,
    hold: Option<usize>,
}

/// What may happen next depends on what happened: events are resent, held, voided by their number.
pub struct Plot {
    dice: Dice,
    pub events: Vec<Event>,
    holds: Vec<Event>,
    steps: u64,
    /// Seconds since the beginning.
    pub now: i64,
}

impl Plot {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            events: Vec::new(),
            holds: Vec::new(),
            steps: 0,
            now: 0,
        }
    }
    fn event(&mut self) -> Event {
        let (meter, most) = self.dice.one(&METERS);
        let mut event = Event {
            number: self.events.len(),
            customer: self.dice.one(&CUSTOMERS),
            meter,
            quantity: self.dice.below(most),
            at: self.now
                - (self.dice.below(40 * 86_400) * self.dice.below(2) * self.dice.below(2)) as i64,
            user: self.dice.below(4),
            hold: None,
        };
        if let Some(hold) = self.some(self.holds.len(), 3) {
            // Usage of a hold: by the hold's name, or under the hold's own id (events and holds
            // share numbers).
            let held = self.holds[hold].clone();
            event = Event {
                number: event.number,
                quantity: self.dice.below(most),
                hold: Some(held.number),
                ..held
            };
        }
        self.events.push(event.clone());
        event
    }
    /// One in `odds` times a position below `count`.
    fn some(&mut self, count: usize, odds: u64) -> Option<usize> {
        (count > 0 && self.dice.below(odds) == 0).then(|| self.dice.below(count as u64) as usize)
    }
    fn resent(&mut self) -> Event {
        match self.some(self.events.len(), 6) {
            Some(known) => {
                let mut event = self.events[known].clone();
                // Seldom with other content.
                event.quantity += u64::from(self.dice.below(8) == 0);
                event
            }
            None => self.event(),
        }
    }
    fn any_event(&mut self) -> usize {
        self.dice.below(self.events.len().max(1) as u64) as usize
    }

    /// One of the last few: older ones are mostly over.
    fn recent_hold(&mut self) -> usize {
        self.holds
            .len()
            .saturating_sub(1 + self.dice.below(4) as usize)
    }

    fn pass(&mut self) -> Operation {
        let secs = self.dice.below(900);
        self.now += secs as i64;
        Operation::Pass(secs)
    }
    fn publish(&mut self, number: u64) -> Operation {
        self.now += 1;
        Operation::Publish(
            self.dice
                .one(&["wholesale", "retail-agent", "retail-shop", "retail-sub"]),
            number,
        )
    }

    pub fn next(&mut self) -> Operation {
        self.steps += 1;
        let key = self.steps;
        let who = self.dice.one(&CUSTOMERS[..5]);
        match self.dice.below(100) {
            0..38 => {
                let count = 1 + self.dice.below(12);
                Operation::Batch((0..count).map(|_| self.resent()).collect())
            }
            38..45 => Operation::Void(self.any_event()),
            45..49 => Operation::Correct(self.any_event(), self.resent()),
            49..54 => Operation::TopUp(who, self.dice.below(3000) as i64, self.dice.below(key) / 2),
            54..56 => Operation::Adjust(
                self.dice.one(&["shop", "sub", who]),
                self.dice.below(4000) as i64 - 1500,
                key,
            ),
            56..72 => {
                let event = match self.some(self.holds.len(), 8) {
                    Some(known) => self.holds[known].clone(),
                    None => self.event(),
                };
                self.holds.push(event.clone());
                Operation::Hold(
                    event,
                    1 + self.dice.below(7200) as u32,
                    self.dice.below(3) == 0,
                )
            }
            72..80 => Operation::Extend(self.recent_hold(), self.dice.below(2000), key),
            80..86 => Operation::Release(self.recent_hold(), key),
            86..92 => self.pass(),
            92..95 => self.publish(key),
            95..98 => Operation::RateAgain(self.dice.one(&["agent", "shop", "platform"])),
            _ => Operation::NewCustomer,
        }
    }
}

fn sending<'a>(world: &'a World, event: &Event) -> Sending<'a> {
    let mut sending = world
        .send(event.customer, event.meter, &event.quantity.to_string())
        .id(&format!("n{}", event.number));
    sending.event.at = crate::world::instant(crate::world::NOW).plus_secs(event.at);
    sending.event.hold = event.hold.map(|number| format!("n{number}"));
    match event.meter {
        "call" => sending.to("+4930123456"),
        "seats" => sending.with("user", &event.user.to_string()),
        _ => sending,
    }
}

/// One operation on one world; the answer as text.
pub async fn run(world: &World, plot: &Plot, operation: &Operation) -> String {
    match operation {
        Operation::Batch(events) => {
            let events: Vec<_> = events.iter().map(|event| sending(world, event)).collect();
            world.batch(&events).await.join("\n")
        }
        Operation::Void(number) => world.void(&format!("n{number}")).text().await,
        Operation::Correct(number, event) => {
            world
                .void(&format!("n{number}"))
                .corrected(&sending(world, event))
                .await
        }
        Operation::TopUp(name, cents, key) => {
            money(world, MoneyKind::TopUp, name, *cents, *key).await
        }
        Operation::Adjust(name, cents, key) => {
            money(world, MoneyKind::Adjustment, name, *cents, *key).await
        }
        Operation::Hold(event, ttl, false) => {
            world.hold_text(sending(world, event).hold(*ttl).await)
        }
        Operation::Hold(event, ttl, true) => {
            world.hold_text(sending(world, event).hold_as_much(*ttl).await)
        }
        Operation::Extend(hold, quantity, key) => {
            let Some(event) = plot.holds.get(*hold) else {
                return String::new();
            };
            world
                .extend(
                    &format!("n{}", event.number),
                    &format!("x{key}"),
                    &quantity.to_string(),
                    300,
                )
                .await
        }
        Operation::Release(hold, key) => {
            let Some(event) = plot.holds.get(*hold) else {
                return String::new();
            };
            world
                .release(&format!("n{}", event.number), &format!("r{key}"))
                .await
        }
        Operation::Pass(secs) => {
            world.pass(*secs as i64);
            world.engine.sweep_holds().await.unwrap();
            String::new()
        }
        Operation::Publish(card, number) => {
            let from = world.now().to_string();
            world.publish(card, &from, version(*number)).await;
            world.pass(1);
            String::new()
        }
        Operation::RateAgain(root) => world.rate_again(root).await,
        Operation::NewCustomer if !world.knows("kiosk") => {
            world
                .customer(
                    "kiosk",
                    "shop",
                    json!({ "card": "retail-shop", "collect": "reseller" }),
                )
                .await;
            String::new()
        }
        Operation::NewCustomer => String::new(),
    }
}

async fn money(world: &World, kind: MoneyKind, name: &str, cents: i64, key: u64) -> String {
    match world
        .move_money(kind, name, cents, Currency::EUR, &format!("m{key}"))
        .await
    {
        Ok(answer) => format!(
            "{} balance {} {}",
            answer.cents, answer.balance, answer.duplicate
        ),
        Err(problem) => problem.code.to_string(),
    }
}

/// Plays one history on both journals; how far it came, and why it went no further.
async fn play(backend: Backend, seed: u64, operations: usize) -> Result<Played, String> {
    let (memory, database) = (market(Backend::Memory).await, market(backend).await);
    let mut plot = Plot::new(seed);
    let mut done = 0;
    while done < operations {
        let operation = plot.next();
        if backend == Backend::PostgresByRoot && matches!(operation, Operation::Correct(..)) {
            // It may be of two roots, and is refused then.
            continue;
        }
        let (want, got) = (
            run(&memory, &plot, &operation).await,
            run(&database, &plot, &operation).await,
        );
        if want != got {
            return Err(format!(
                "operation {done} {operation:?}\nmemory:\n{want}\n{backend:?}:\n{got}"
            ));
        }
        done += match &operation {
            Operation::Batch(events) => events.len(),
            _ => 1,
        };
        if plot.steps.is_multiple_of(40) {
            same(&memory, &database).await?;
        }
    }
    let audited = same(&memory, &database).await?;
    let mut kinds = BTreeMap::new();
    audited
        .records
        .iter()
        .for_each(|record| *kinds.entry(format!("{:?}", record.kind)).or_default() += 1);
    Ok(Played {
        operations: done,
        kinds,
    })
}

/// What a history came to.
struct Played {
    operations: usize,
    kinds: BTreeMap<String, usize>,
}

/// The books of both, and of the database as another process finds it.
async fn same(memory: &World, database: &World) -> Result<Audited, String> {
    let (want, got) = (
        memory.audit().await.by_root(),
        database.audit().await.by_root(),
    );
    for (want, got) in want.records.iter().zip(&got.records) {
        if want != got {
            return Err(format!("memory: {want:?}\ndatabase: {got:?}"));
        }
    }
    if want != got {
        return Err("the books differ".to_owned());
    }
    match (&database.sqlite, &database.db) {
        (Some(journal), _) => {
            journal.settle().await.unwrap();
            let (_image, journal) = crashed(&database.file).await;
            same_when_opened_again(&want, memory, Arc::new(journal)).await?;
        }
        (None, db) => {
            same_when_opened_again(
                &want,
                memory,
                Arc::new(PostgresJournal::open(db).await.unwrap()),
            )
            .await?
        }
    }
    Ok(want)
}

/// The file as a crash would leave it, in a directory of its own.
pub fn image(of: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    let file = image.path().join("centwise.db");
    for end in ["", "-wal"] {
        let name = |file: &Path| format!("{}{end}", file.display());
        std::fs::copy(name(of), name(&file)).unwrap();
    }
    image
}

async fn crashed(of: &Path) -> (tempfile::TempDir, SqliteJournal) {
    let image = image(of);
    let file = image.path().join("centwise.db");
    let journal = SqliteJournal::open(&Db::open_sqlite(&file).await.unwrap())
        .await
        .unwrap();
    (image, journal)
}

/// What rows do not know yet follows from the records, to the last field.
async fn same_when_opened_again(
    audited: &Audited,
    memory: &World,
    journal: Arc<dyn Journal>,
) -> Result<(), String> {
    let holds = audited
        .records
        .iter()
        .filter_map(|record| record.body.hold)
        .collect();
    let keys = StateKeys {
        holds,
        accounts: audited.accounts.keys().copied().collect(),
        ..StateKeys::default()
    };
    let (want, got) = (
        memory.journal.load(&keys).await.unwrap(),
        journal.load(&keys).await.unwrap(),
    );
    for (id, hold) in &want.holds {
        if got.holds.get(id) != Some(hold) {
            return Err(format!(
                "memory: {hold:?}\nopened again: {:?}",
                got.holds.get(id)
            ));
        }
    }
    for (key, balance) in &want.accounts {
        let is = got.accounts.get(key).copied().unwrap_or_default();
        if is != *balance {
            return Err(format!(
                "{key}: {balance:?} in memory, {is:?} when opened again"
            ));
        }
    }
    let all = |journal: Arc<dyn Journal>| async move {
        journal
            .expired_holds(Instant::MAX, usize::MAX)
            .await
            .unwrap()
    };
    let open = (all(Arc::clone(&memory.journal)).await, all(journal).await);
    if open.0 == open.1 {
        Ok(())
    } else {
        Err(format!("open in memory and when opened again: {open:?}"))
    }
}

pub fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn seeds(default: Range<u64>) -> Range<u64> {
    seeds_of("HISTORY_SEEDS", default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_does_what_the_memory_does() {
    let (total, kinds) = play_all(
        Backend::Sqlite,
        seeds(SEEDS),
        number("HISTORY_OPERATIONS", OPERATIONS),
    )
    .await;
    if std::env::var("HISTORY_SEEDS").is_err() {
        assert!(total >= 10_000, "only {total} operations");
        let rare: Vec<_> = kinds.iter().filter(|(_, count)| **count < 25).collect();
        assert!(
            kinds.len() == 10 && rare.is_empty(),
            "every kind of record occurs, and often: {kinds:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_does_what_the_memory_does() {
    let (total, _) = play_all(
        Backend::Postgres,
        seeds(SEEDS_ON_POSTGRES),
        number("HISTORY_OPERATIONS", OPERATIONS),
    )
    .await;
    assert!(
        total >= 10_000 || std::env::var("HISTORY_SEEDS").is_ok() || !postgres_is_here().await,
        "only {total} operations"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_by_root_does_what_the_memory_does() {
    play_all(
        Backend::PostgresByRoot,
        seeds(SEEDS_BY_ROOT),
        number("HISTORY_OPERATIONS", OPERATIONS_BY_ROOT),
    )
    .await;
}

/// Operations, and records by kind.
async fn play_all(
    backend: Backend,
    seeds: Range<u64>,
    operations: usize,
) -> (usize, BTreeMap<String, usize>) {
    let (mut total, mut kinds) = (0, BTreeMap::<String, usize>::new());
    for seed in seeds {
        if backend != Backend::Sqlite && !postgres_is_here().await {
            break;
        }
        match play(backend, seed, operations).await {
            Ok(played) => {
                total += played.operations;
                played
                    .kinds
                    .into_iter()
                    .for_each(|(kind, count)| *kinds.entry(kind).or_default() += count);
            }
            Err(why) => {
                // The shortest beginning of this history that goes wrong.
                let (mut fine, mut wrong, mut shortest) = (0, operations, why);
                while fine + 1 < wrong && (backend == Backend::Sqlite || postgres_is_here().await) {
                    let middle = fine + (wrong - fine) / 2;
                    match play(backend, seed, middle).await {
                        Ok(_) => fine = middle,
                        Err(why) => (wrong, shortest) = (middle, why),
                    }
                }
                panic!("seed {seed}, {wrong} operations: {shortest}");
            }
        }
    }
    (total, kinds)
}
