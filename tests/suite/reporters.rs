//! One event, several reporters: no key takes an id away from one above or beside it, and along one
//! chain the highest reporter's report counts, in whatever order they come.

use crate::speak::Sending;
use crate::world::{Backend, World, on_every_journal, per_unit, postgres_is_here};
use futures_util::future::join_all;
use journal::Kind;
use metering::requests::{MoneyKind, Outcome};
use rating::Currency;
use serde_json::json;
use std::collections::BTreeMap;

on_every_journal!(
    a_guessed_id_does_not_keep_the_real_call_out,
    a_report_from_below_comes_second,
    the_same_from_above_is_on_record,
    what_was_taken_back_blocks_nobody,
    other_customers_have_other_events,
    kept_usage_is_one_event_too,
    usage_of_an_unknown_customer_is_charged_once,
    the_keys_of_voids_are_ones_own,
    the_keys_of_corrections_are_ones_own,
    the_keys_of_holds_are_ones_own,
    the_highest_report_counts_in_any_order,
    reports_from_all_sides_at_once,
    what_moves_others_below_keeps_no_report_from_above_out,
    a_report_that_cannot_be_taken_back_keeps_none_from_above_out,
);

async fn a_guessed_id_does_not_keep_the_real_call_out(backend: Backend) {
    let world = World::reference(backend).await;
    let guessed = || world.call("acme-42", "1").id("1763639000.17").by("acme-42");
    let real = || world.call("acme-42", "600").id("1763639000.17");
    guessed()
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    let answers = world.answers(&[real()]).await;
    assert_eq!(
        world.outcome_text(&answers[0].outcome),
        "rated 400 = platform 300 + muster 100, balance 4600"
    );
    let Outcome::Rated(posted) = &answers[0].outcome else {
        unreachable!()
    };
    assert!(
        posted.overruled.is_some(),
        "the answer says whose place it took"
    );
    real()
        .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
        .await;
    // One's own report again has the answer it had; something else is refused.
    guessed()
        .gives("duplicate 40 = platform 30 + muster 10, balance 4600")
        .await;
    world
        .call("acme-42", "2")
        .id("1763639000.17")
        .by("acme-42")
        .gives("rejected id_conflict")
        .await;
    world
        .call("acme-42", "2")
        .id("1763639000.17")
        .by("muster")
        .gives("rejected id_conflict")
        .await;
    world
        .accounts(
            "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of \
        muster -10000",
        )
        .await;
}

/// `agent` sells by a price that counts, under a floor of the platform's: each event's part depends
/// on the others.
async fn under_a_floor(world: &World, price: serde_json::Value) {
    world
        .card("platform", "least", per_unit("sms", "0.10"))
        .await;
    world
        .reseller(
            "agent",
            "platform",
            json!({ "commission_bp": 2500, "floor": "least" }),
        )
        .await;
    let rates = json!([{ "key": "sms", "meter": "sms", "price": price }]);
    world
        .card(
            "agent",
            "counting",
            json!({ "currency": "EUR", "rates": rates }),
        )
        .await;
    world
        .customer("leaf", "agent", json!({ "card": "counting" }))
        .await;
}

async fn what_moves_others_below_keeps_no_report_from_above_out(backend: Backend) {
    for (model, guessed, other, real, accounts) in [
        (
            "volume",
            "rated 20 = platform 15 + agent 5, balance -20",
            "rated 100 = platform 75 + agent 25, balance -120",
            // 100 for five, and 1,475 up to 105; what it took of the one is given back.
            "rated 1475 = platform 1106 + agent 369, balance -1575",
            "leaf -1575, agent 394, revenue of agent 1181",
        ),
        (
            "graduated",
            "rated 20 = platform 15 + agent 5, balance -20",
            "rated 100 = platform 75 + agent 25, balance -120",
            "rated 1525 = platform 1143 + agent 382, balance -1625",
            "leaf -1625, agent 407, revenue of agent 1218",
        ),
    ] {
        let world = World::new(backend).await;
        let tiers = json!([{ "up_to": "10", "unit_price": "0.20" }, { "unit_price": "0.15" }]);
        under_a_floor(&world, json!({ "model": model, "tiers": tiers })).await;
        world
            .send("leaf", "sms", "1")
            .id("real")
            .by("agent")
            .gives(guessed)
            .await;
        world
            .send("leaf", "sms", "5")
            .id("other")
            .by("agent")
            .gives(other)
            .await;
        world
            .send("leaf", "sms", "100")
            .id("real")
            .gives(real)
            .await;
        world.accounts(accounts).await;
        world.audit().await;
    }
    // What came first cost 2.00 a piece, the rest nothing: what is given back for it is what its
    // customer gets back.
    let world = World::new(backend).await;
    let tiers = json!([{ "up_to": "10", "unit_price": "2.00" }, { "unit_price": "0" }]);
    under_a_floor(&world, json!({ "model": "graduated", "tiers": tiers })).await;
    world
        .send("leaf", "sms", "10")
        .id("real")
        .by("leaf")
        .gives("rated 2000 = platform 1500 + agent 500, balance -2000")
        .await;
    world
        .send("leaf", "sms", "10")
        .id("other")
        .gives("rated 0 = platform 100 + agent -100, balance -2000")
        .await;
    world
        .send("leaf", "sms", "1")
        .id("real")
        .gives("rated 0 = platform 10 + agent -10, balance -2000")
        .await;
    world
        .accounts("leaf -2000, agent 390, revenue of agent 1610")
        .await;
    world.audit().await;
}

async fn a_report_that_cannot_be_taken_back_keeps_none_from_above_out(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "60")
        .id("x")
        .by("muster")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    // What it would get back has no room in its balance.
    let room = 1_000_000_000_000_000 - 4960;
    for part in std::iter::repeat_n(10_000_000_000_000, 99)
        .chain([room - 99 * 10_000_000_000_000])
        .enumerate()
    {
        world
            .move_money(
                MoneyKind::Adjustment,
                "acme-42",
                part.1,
                Currency::EUR,
                &part.0.to_string(),
            )
            .await
            .unwrap();
    }
    let gives = "rated 400 = platform 300 + muster 100, balance 999999999999600";
    world.call("acme-42", "600").id("x").gives(gives).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives(&gives.replace("rated", "duplicate"))
        .await;
    world
        .call("acme-42", "60")
        .id("x")
        .by("muster")
        .gives("duplicate 40 = platform 30 + muster 10, balance 999999999999600")
        .await;
    world.audit().await;
}

async fn a_report_from_below_comes_second(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    for below in ["muster", "acme-42"] {
        world
            .call("acme-42", "600")
            .id("x")
            .by(below)
            .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
            .await;
        world
            .call("acme-42", "60")
            .id("x")
            .by(below)
            .gives("rejected id_conflict")
            .await;
        // By whatever name the customer is called.
        let mut by_id = world.call("acme-42", "600").id("x").by(below);
        by_id.event.customer = world.tenant("acme-42").id.to_string().into();
        by_id
            .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
            .await;
    }
    world
        .accounts(
            "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of \
        muster -10000",
        )
        .await;
}

async fn the_same_from_above_is_on_record(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .by("muster")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    for _ in 0..2 {
        world
            .call("acme-42", "600")
            .id("x")
            .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
            .await;
    }
    world
        .call("acme-42", "60")
        .id("x")
        .gives("rejected id_conflict")
        .await;
    world
        .call("acme-42", "600")
        .id("x")
        .by("acme-42")
        .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
        .await;
    let kinds: Vec<Kind> = world
        .audit()
        .await
        .by_root()
        .records
        .iter()
        .map(|record| record.kind)
        .collect();
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == Kind::Confirmed)
            .count(),
        1,
        "{kinds:?}"
    );
    // Taken back by the platform it is gone for everybody.
    world
        .void("x")
        .gives("-400 = platform -300 + muster -100, balance 5000")
        .await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn what_was_taken_back_blocks_nobody(backend: Backend) {
    let world = World::reference(backend).await;
    for quantity in ["600", "60"] {
        let id = format!("q{quantity}");
        let minutes: i64 = quantity.parse::<i64>().unwrap() / 60;
        world
            .call("acme-42", quantity)
            .id(&id)
            .by("muster")
            .text()
            .await;
        world.void(&id).by("muster").text().await;
        let report = world.call("acme-42", "600").id(&id);
        assert!(
            report
                .text()
                .await
                .starts_with("rated 400 = platform 300 + muster 100"),
            "{minutes} min were reported and taken back"
        );
        let below = world
            .call("acme-42", "600")
            .id(&id)
            .by("acme-42")
            .text()
            .await;
        assert!(below.starts_with("duplicate 400"), "{below}");
    }
    world
        .accounts(
            "acme-42 4200, acme-43 5000, muster 200, revenue of muster 600, external of \
        muster -10000",
        )
        .await;
}

async fn other_customers_have_other_events(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "60")
        .id("x")
        .by("acme-42")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    world
        .call("acme-43", "60")
        .id("x")
        .by("acme-43")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    world
        .call("beta", "60")
        .id("x")
        .by("agent")
        .gives("rated 40 = platform 22 + agent 8 + sub-agent 10, balance -40")
        .await;
    // The platform's of that id is its own customer's.
    world
        .call("acme-43", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rejected id_conflict")
        .await;
    // By its name alone the caller's own is meant; where it has none, several are refused.
    world
        .void("x")
        .gives("-400 = platform -300 + muster -100, balance 5000")
        .await;
    world
        .void("x")
        .by("muster")
        .gives("refused ambiguous_id")
        .await;
    world
        .void("x")
        .by("muster")
        .of("acme-42")
        .gives("-40 = platform -30 + muster -10, balance 5000")
        .await;
    world.void("x").of("beta").key("another").text().await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn kept_usage_is_one_event_too(backend: Backend) {
    let world = World::reference(backend).await;
    let fax = |by: &str, pages: &str| world.send("acme-42", "fax", pages).id("f").by(by);
    world.meter("fax", json!({ "unit": "page" })).await;
    fax("acme-42", "1").gives("unrated no_rate").await;
    // What the reseller says counts, priced or not; the customer's is not tried any more.
    fax("muster", "5").gives("unrated no_rate").await;
    fax("acme-42", "1").gives("unrated voided again").await;
    fax("acme-42", "7").gives("rejected id_conflict").await;
    assert_eq!(world.rate_again("muster").await, "rated 0, no_rate 1");
    for (card, price) in [("wholesale", "0.10"), ("retail", "0.20")] {
        let mut doc = crate::world::prices("0.30", "0.10", "1.00", "0.05");
        doc["rates"]
            .as_array_mut()
            .unwrap()
            .push(crate::world::per_unit("fax", price)["rates"][0].clone());
        world.publish(card, "2026-01-01T00:00:00Z", doc).await;
    }
    assert_eq!(world.rate_again("muster").await, "rated 1");
    fax("muster", "5")
        .gives("duplicate 100 = platform 50 + muster 50, balance 4900")
        .await;
    fax("acme-42", "1").gives("unrated voided again").await;
    // The platform confirms what was rated later.
    fax("platform", "5")
        .gives("duplicate 100 = platform 50 + muster 50, balance 4900")
        .await;
    world
        .accounts(
            "acme-42 4900, acme-43 5000, muster 50, revenue of muster 50, external of \
        muster -10000",
        )
        .await;
}

async fn usage_of_an_unknown_customer_is_charged_once(backend: Backend) {
    let world = World::reference(backend).await;
    let call = |by: &str, seconds: &str, id: &str| world.call("late-comer", seconds).id(id).by(by);
    for id in ["a", "b"] {
        call("muster", "60", id)
            .gives("unrated unknown_customer")
            .await;
        call("platform", "60", id)
            .gives("unrated unknown_customer")
            .await;
    }
    call("muster", "60", "c")
        .gives("unrated unknown_customer")
        .await;
    call("muster", "60", "d")
        .gives("unrated unknown_customer")
        .await;
    world
        .customer("late-comer", "muster", json!({ "card": "retail" }))
        .await;
    // In either order, sent again or tried again.
    call("muster", "60", "a")
        .gives("rated 40 = platform 30 + muster 10, balance -40")
        .await;
    call("platform", "60", "a")
        .gives("duplicate 40 = platform 30 + muster 10, balance -40")
        .await;
    call("platform", "60", "b")
        .gives("rated 40 = platform 30 + muster 10, balance -80")
        .await;
    call("platform", "600", "c")
        .gives("rated 400 = platform 300 + muster 100, balance -480")
        .await;
    assert_eq!(world.rate_again("muster").await, "rated 2, id_conflict 1");
    call("muster", "60", "b")
        .gives("duplicate 40 = platform 30 + muster 10, balance -520")
        .await;
    // Rated from below meanwhile, and reported from above with something else.
    call("platform", "120", "d")
        .gives("rated 80 = platform 60 + muster 20, balance -560")
        .await;
    world
        .accounts(
            "late-comer -560, acme-42 5000, acme-43 5000, muster 140, revenue of muster \
        420, external of muster -10000",
        )
        .await;
}

async fn the_keys_of_voids_are_ones_own(backend: Backend) {
    let world = World::reference(backend).await;
    for (id, by) in [("x", "platform"), ("y", "muster"), ("z", "acme-42")] {
        world.call("acme-42", "60").id(id).by(by).text().await;
    }
    world.void("x").key("void-1").text().await;
    world
        .void("y")
        .by("muster")
        .key("void-1")
        .gives("-40 = platform -30 + muster -10, balance 4960")
        .await;
    world
        .void("z")
        .by("acme-42")
        .key("void-1")
        .gives("-40 = platform -30 + muster -10, balance 5000")
        .await;
    world
        .void("z")
        .by("acme-42")
        .key("void-1")
        .gives("-40 = platform -30 + muster -10, balance 5000")
        .await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn the_keys_of_corrections_are_ones_own(backend: Backend) {
    let world = World::reference(backend).await;
    let reports = [("x", "platform"), ("y", "muster"), ("z", "acme-42")];
    for (id, by) in reports {
        world.call("acme-42", "60").id(id).by(by).text().await;
    }
    for ((id, by), before) in reports.into_iter().zip([4880, 4840, 4800]) {
        let want = format!(
            "-40 = platform -30 + muster -10, balance {}; 80 = platform 60 + muster 20, balance {}",
            before + 40,
            before - 40
        );
        let right = || world.call("acme-42", "120").id(&format!("{id}-2"));
        let made = world.void(id).by(by).key("fix-1").corrected(&right()).await;
        assert_eq!(made, want, "{by}");
        // Sent again it is the same correction; of another event it is refused.
        let again = world.void(id).by(by).key("fix-1").corrected(&right()).await;
        assert!(
            again.starts_with("-40 = platform -30 + muster -10")
                && again.contains("; 80 = platform 60 + muster 20"),
            "{by}: {again}"
        );
        let other = world.void(&format!("{id}-2")).by(by).key("fix-1");
        other
            .corrects(
                world.call("acme-42", "180").id(&format!("{id}-3")),
                "refused idempotency_conflict",
            )
            .await;
    }
    world
        .accounts(
            "acme-42 4760, acme-43 5000, muster 60, revenue of muster 180, external of \
        muster -10000",
        )
        .await;
}

async fn the_keys_of_holds_are_ones_own(backend: Backend) {
    let world = World::reference(backend).await;
    let call = |by: &str| world.call("acme-42", "600").id("call-1").by(by);
    call("acme-42").holds(600, "open 600: acme-42 400").await;
    call("platform").holds(600, "open 600: acme-42 400").await;
    call("platform")
        .holds(600, "open again 600: acme-42 400")
        .await;
    // The platform names its own; somebody else names his, or what he sees.
    let held = async |name: &str| {
        world
            .engine
            .hold_named(&world.caller(name), "call-1")
            .await
            .map(|hold| hold.id)
    };
    let (own, customers) = (
        held("platform").await.unwrap(),
        held("acme-42").await.unwrap(),
    );
    assert_ne!(own, customers);
    assert_eq!(
        held("muster").await.unwrap_err().code.as_str(),
        "ambiguous_id"
    );
    assert_eq!(
        world.extend("call-1", "k", "1200", 600).await,
        "open 1200: acme-42 800"
    );
    // The customer's usage captures its own, and the platform's call is still covered.
    call("acme-42")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    world
        .accounts(
            "acme-42 4600 held 800, acme-43 5000, muster 100, revenue of muster 300, \
        external of muster -10000",
        )
        .await;
    world
        .call("acme-42", "1200")
        .id("call-1")
        .gives("rated 800 = platform 600 + muster 200, balance 4200")
        .await;
    world
        .accounts(
            "acme-42 4200, acme-43 5000, muster 200, revenue of muster 600, external of \
        muster -10000",
        )
        .await;
    assert_eq!(
        held("muster").await.unwrap_err().code.as_str(),
        "ambiguous_id"
    );
    for (by, want) in [
        ("muster", "refused placed_above"),
        ("platform", "refused hold_ended"),
    ] {
        assert_eq!(
            world.hold_text(
                world
                    .engine
                    .release_hold(&world.caller(by), &own.to_string(), "k")
                    .await
            ),
            want
        );
    }
}

// ---- in any order ----

/// From the platform down.
const REPORTERS: [&str; 3] = ["platform", "muster", "acme-42"];
const IDS: u64 = 6;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What is on record of one event by one reporter.
#[derive(Debug, Clone, Copy)]
struct Reported {
    minutes: u64,
    stands: bool,
    /// The reporter below whose report it only confirms.
    confirms: Option<usize>,
}

/// The rules in their plainest form: by reporter.
#[derive(Debug, Clone, Copy, Default)]
struct Event([Option<Reported>; 3]);

impl Event {
    fn report(&mut self, by: usize, minutes: u64) -> &'static str {
        let known = |before: Reported| {
            if before.minutes == minutes {
                "duplicate"
            } else {
                "rejected"
            }
        };
        if let Some(own) = self.0[by] {
            return known(own);
        }
        if let Some(above) = self.0[..by].iter().flatten().next() {
            return known(*above);
        }
        let below = (by + 1..3).find(|below| {
            self.0[*below].is_some_and(|report| report.stands && report.confirms.is_none())
        });
        let new = Reported {
            minutes,
            stands: true,
            confirms: None,
        };
        match below {
            Some(below) if self.0[below].is_some_and(|report| report.minutes == minutes) => {
                self.0[by] = Some(Reported {
                    confirms: Some(below),
                    ..new
                });
                return "duplicate";
            }
            Some(below) => {
                self.0[below] = self.0[below].map(|report| Reported {
                    stands: false,
                    ..report
                })
            }
            None => {}
        }
        self.0[by] = Some(new);
        "rated"
    }

    /// By the platform: of the report that counts.
    fn void(&mut self) -> &'static str {
        let Some(highest) = (0..3).find(|by| self.0[*by].is_some()) else {
            return "not_found";
        };
        let charged = self.0[highest]
            .and_then(|report| report.confirms)
            .unwrap_or(highest);
        let Some(report) = &mut self.0[charged] else {
            return "not_found";
        };
        if std::mem::replace(&mut report.stands, false) {
            "voided"
        } else {
            "already_voided"
        }
    }

    /// Minutes that are charged.
    fn charged(&self) -> u64 {
        self.0
            .iter()
            .flatten()
            .filter(|report| report.stands && report.confirms.is_none())
            .map(|report| report.minutes)
            .sum()
    }
}

async fn the_highest_report_counts_in_any_order(backend: Backend) {
    let histories = if matches!(backend, Backend::Memory | Backend::Sqlite) {
        40
    } else {
        8
    };
    for seed in 0..histories {
        if matches!(backend, Backend::Postgres | Backend::PostgresByRoot)
            && !postgres_is_here().await
        {
            return;
        }
        history(&World::reference(backend).await, seed).await;
    }
}

async fn history(world: &World, seed: u64) {
    let (mut dice, mut events) = (Dice(seed), BTreeMap::<u64, Event>::new());
    for step in 0..30 {
        if dice.below(6) == 0 {
            let id = dice.below(IDS);
            let want = events.entry(id).or_default().void();
            let got = world
                .void(&format!("e{id}"))
                .key(&format!("v{step}"))
                .text()
                .await;
            let got = got.strip_prefix("refused ").unwrap_or("voided");
            assert_eq!(got, want, "seed {seed}, step {step}, event {id}");
            continue;
        }
        let by = dice.below(3) as usize;
        let reports: Vec<(u64, u64)> = (0..1 + dice.below(4))
            .map(|_| (dice.below(IDS), 1 + dice.below(3)))
            .collect();
        let sendings: Vec<Sending<'_>> = reports
            .iter()
            .map(|(id, minutes)| report(world, by, *id, *minutes))
            .collect();
        let got = world.batch(&sendings).await;
        for ((id, minutes), got) in reports.iter().zip(got) {
            let want = events.entry(*id).or_default().report(by, *minutes);
            assert!(
                got.starts_with(want),
                "seed {seed}, step {step}, event {id} of {minutes} min by {}: {got}, not {want}",
                REPORTERS[by]
            );
        }
    }
    let minutes: u64 = events.values().map(Event::charged).sum();
    charged_exactly(world, minutes as i64).await;
}

fn report<'a>(world: &'a World, by: usize, id: u64, minutes: u64) -> Sending<'a> {
    world
        .call("acme-42", &(minutes * 60).to_string())
        .id(&format!("e{id}"))
        .by(REPORTERS[by])
}

async fn charged_exactly(world: &World, minutes: i64) {
    let (customer, seller, platform) = (5000 - 40 * minutes, 10 * minutes, 30 * minutes);
    let moved = if minutes == 0 {
        String::new()
    } else {
        format!("muster {seller}, revenue of muster {platform}, ")
    };
    world
        .accounts(&format!(
            "acme-42 {customer}, acme-43 5000, {moved}external of muster -10000"
        ))
        .await;
}

/// All of them at once, each with another content: what the platform says is charged, once.
async fn reports_from_all_sides_at_once(backend: Backend) {
    let world = World::reference(backend).await;
    all_at_once(&world, &[&world]).await;
}

async fn all_at_once(world: &World, processes: &[&World]) {
    const EVENTS: u64 = 30;
    let sides = (0..EVENTS).flat_map(|id| (0..3).map(move |by| (id, by)));
    let sent = sides.map(|(id, by)| async move {
        let process = processes[(id as usize + by) % processes.len()];
        report(process, by, id, 1 + by as u64).text().await
    });
    for answer in join_all(sent).await {
        assert!(
            ["rated", "duplicate", "rejected id_conflict"]
                .iter()
                .any(|want| answer.starts_with(want)),
            "{answer}"
        );
    }
    charged_exactly(world, EVENTS as i64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_hears_of_a_new_reporter() {
    if postgres_is_here().await {
        let world = World::reference(Backend::Postgres).await;
        let other = world.beside().await;
        all_at_once(&world, &[&world, &other]).await;
    }
}
