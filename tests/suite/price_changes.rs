//! A change of prices gives back no more than was charged: over another version or another card of
//! one counter. Prices that are the same in both, and prices below zero, are as they would be
//! without a change.

use crate::world::{Backend, World, on_every_journal, one_rate, per_unit};
use journal_sqlite::JournalOptions;
use serde_json::{Value, json};

on_every_journal!(
    a_cheaper_version_gives_back_no_more_than_was_charged,
    a_dry_run_knows_the_bound,
    the_same_prices_in_another_version_change_nothing,
    a_card_of_another_agreement_gives_back_no_more_than_was_charged,
    a_fallback_with_the_same_key_gives_back_no_more_than_was_charged,
    a_void_behind_the_change_is_as_if_the_event_had_never_been_reported,
    a_void_before_the_change_is_as_if_the_event_had_never_been_reported,
    a_void_between_two_versions_joins_what_it_parted,
    a_value_that_goes_down_gives_back_no_more_than_was_charged,
    amounts_and_values_under_one_key_are_two_counters,
    nothing_of_it_becomes_commission,
    a_floor_gives_back_no_more_than_it_came_to,
    prices_below_zero_go_on_giving,
);

const BEFORE: &str = "2026-11-20T08:00:00Z";
const CHANGE: &str = "2026-11-20T10:00:00Z";

/// Ten at 1000.00 each, and more than ten for nothing.
fn falling() -> Value {
    json!({ "model": "volume", "tiers": [{ "up_to": "10", "unit_price": "1000" }, { "unit_price": "0" }] })
}

/// An SMS costs 0.01 in the morning, and what `later` says from ten o'clock on.
async fn sold(backend: Backend, later: Value) -> World {
    let world = World::new(backend).await;
    world
        .card("platform", "card", per_unit("sms", "0.01"))
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world.publish("card", CHANGE, one_rate("sms", later)).await;
    world
}

async fn a_cheaper_version_gives_back_no_more_than_was_charged(backend: Backend) {
    let world = sold(backend, falling()).await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated 0 = platform 0, balance 0")
        .await;
    // A straggler of the morning is charged, and behind it there is nothing left to fall.
    world
        .send("acme", "sms", "2")
        .at(BEFORE)
        .gives("rated 2 = platform 2, balance -2")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated 0 = platform 0, balance -2")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_dry_run_knows_the_bound(backend: Backend) {
    let world = sold(backend, falling()).await;
    world
        .send("acme", "sms", "9")
        .at(BEFORE)
        .gives("rated 9 = platform 9, balance -9")
        .await;
    world
        .send("acme", "sms", "1")
        .costs("100000 = platform 100000, balance -100009")
        .await;
    world
        .send("acme", "sms", "2")
        .costs("-9 = platform -9, balance 0")
        .await;
}

async fn the_same_prices_in_another_version_change_nothing(backend: Backend) {
    let volume = json!({ "model": "volume", "tiers": [{ "up_to": "99", "unit_price": "1" }, { "unit_price": "0.8" }] });
    let world = sold(backend, volume.clone()).await;
    world
        .publish("card", "2026-11-20T07:00:00Z", one_rate("sms", volume))
        .await;
    world
        .send("acme", "sms", "95")
        .at(BEFORE)
        .gives("rated 9500 = platform 9500, balance -9500")
        .await;
    world
        .send("acme", "sms", "5")
        .id("b")
        .gives("rated -1500 = platform -1500, balance -8000")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated 80 = platform 80, balance -8080")
        .await;
    world
        .void("b")
        .gives("1520 = platform 1520, balance -9600")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_card_of_another_agreement_gives_back_no_more_than_was_charged(backend: Backend) {
    let world = World::new(backend).await;
    world.card("platform", "old", per_unit("sms", "0.01")).await;
    world
        .card("platform", "new", one_rate("sms", falling()))
        .await;
    world
        .customer(
            "acme",
            "platform",
            json!({ "card": "old", "until": CHANGE }),
        )
        .await;
    world
        .agree("acme", json!({ "card": "new", "from": CHANGE }))
        .await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .id("a")
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    world
        .void("a")
        .gives("100000 = platform 100000, balance -100000")
        .await;
    world
        .void("b")
        .gives("-100000 = platform -100000, balance 0")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_fallback_with_the_same_key_gives_back_no_more_than_was_charged(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "abroad", one_rate("sms", falling()))
        .await;
    let price = json!({ "model": "per_unit", "unit_price": "0.01" });
    let home = json!({ "fallback": "abroad", "rates": [{ "key": "sms", "meter": "sms", "prefixes": ["49"], "price": price }] });
    world.card("platform", "card", home).await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world
        .send("acme", "sms", "10")
        .to("+4930123456")
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .to("+33123456")
        .id("b")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    world
        .send("acme", "sms", "1")
        .to("+4930123456")
        .gives("rated 1 = platform 1, balance -1")
        .await;
    world.void("b").gives("10 = platform 10, balance -11").await;
    world.audit().await;
    verified(&world).await;
}

async fn a_void_behind_the_change_is_as_if_the_event_had_never_been_reported(backend: Backend) {
    let world = sold(backend, falling()).await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    world
        .send("acme", "sms", "1")
        .id("c")
        .gives("rated 0 = platform 0, balance 0")
        .await;
    world.void("b").gives("0 = platform 0, balance 0").await;
    world.void("c").gives("10 = platform 10, balance -10").await;
    // The next one of the morning goes on where its version left off.
    world
        .send("acme", "sms", "1")
        .at(BEFORE)
        .gives("rated 1 = platform 1, balance -11")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated 0 = platform 0, balance -11")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_void_before_the_change_is_as_if_the_event_had_never_been_reported(backend: Backend) {
    let world = sold(backend, falling()).await;
    for n in 1..=10 {
        world
            .send("acme", "sms", "1")
            .id(&format!("m{n}"))
            .at(BEFORE)
            .text()
            .await;
    }
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    // It is the tenth one now, and costs 1000.00.
    world
        .void("m3")
        .gives("100009 = platform 100009, balance -100009")
        .await;
    world
        .void("m4")
        .gives("-1 = platform -1, balance -100008")
        .await;
    world
        .send("acme", "sms", "2")
        .id("c")
        .gives("rated -100008 = platform -100008, balance 0")
        .await;
    world
        .void("b")
        .gives("200008 = platform 200008, balance -200008")
        .await;
    world
        .void("c")
        .gives("-200000 = platform -200000, balance -8")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_void_between_two_versions_joins_what_it_parted(backend: Backend) {
    // Eleven cost less than ten, and a hundred more again.
    let volume = json!({ "model": "volume", "tiers": [{ "up_to": "10", "unit_price": "1000" }, { "unit_price": "1" }] });
    let world = sold(backend, volume).await;
    world
        .publish("card", "2026-11-20T11:00:00Z", per_unit("sms", "0.02"))
        .await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .at(CHANGE)
        .gives("rated -10 = platform -10, balance 0")
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .at("2026-11-20T11:00:00Z")
        .gives("rated 2 = platform 2, balance -2")
        .await;
    world
        .send("acme", "sms", "10")
        .id("c")
        .at(CHANGE)
        .gives("rated 1000 = platform 1000, balance -1002")
        .await;
    // Without it eleven and ten more are one stretch of the second version, which is not at an end
    // of what it gives back.
    world
        .void("b")
        .gives("-1002 = platform -1002, balance 0")
        .await;
    world
        .send("acme", "sms", "10000")
        .at(CHANGE)
        .gives("rated 2110 = platform 2110, balance -2110")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_value_that_goes_down_gives_back_no_more_than_was_charged(backend: Backend) {
    let world = World::new(backend).await;
    world
        .meter("level", json!({ "unit": "gib", "aggregation": "latest" }))
        .await;
    world
        .card("platform", "card", per_unit("level", "0.01"))
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world
        .publish("card", CHANGE, per_unit("level", "1000"))
        .await;
    let level = |at: &str, quantity: &str| {
        world
            .send("acme", "level", quantity)
            .at(&format!("2026-11-20T{at}:00Z"))
    };
    level("08:00", "10")
        .gives("rated 10 = platform 10, balance -10")
        .await;
    level("10:10", "0")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    level("10:20", "10")
        .gives("rated 10 = platform 10, balance -10")
        .await;
    level("10:30", "11")
        .gives("rated 100000 = platform 100000, balance -100010")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn amounts_and_values_under_one_key_are_two_counters(backend: Backend) {
    let world = World::new(backend).await;
    let percent = json!({ "model": "graduated_percentage", "tiers": [{ "rate": "10" }] });
    for meter in ["max", "latest"] {
        world
            .meter(meter, json!({ "unit": "unit", "aggregation": meter }))
            .await;
        world
            .card("platform", meter, one_rate(meter, percent.clone()))
            .await;
        world
            .publish(
                meter,
                CHANGE,
                one_rate(meter, json!({ "model": "per_unit", "unit_price": "5" })),
            )
            .await;
        let buyer = format!("of {meter}");
        world
            .customer(&buyer, "platform", json!({ "card": meter }))
            .await;
        let value = format!("value of {meter}");
        world
            .send(&buyer, meter, "8")
            .id(&value)
            .gives("rated 4000 = platform 4000, balance -4000")
            .await;
        world
            .send(&buyer, meter, "1")
            .amount("10")
            .at(BEFORE)
            .gives("rated 100 = platform 100, balance -4100")
            .await;
        world
            .void(&value)
            .gives("-4000 = platform -4000, balance -100")
            .await;
    }
    world.audit().await;
    verified(&world).await;
}

async fn nothing_of_it_becomes_commission(backend: Backend) {
    let world = World::new(backend).await;
    world
        .reseller("agent", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world.card("agent", "street", per_unit("sms", "0.04")).await;
    world
        .customer("acme", "agent", json!({ "card": "street" }))
        .await;
    world
        .publish("street", CHANGE, one_rate("sms", falling()))
        .await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .gives("rated 40 = platform 30 + agent 10, balance -40")
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -40 = platform -30 + agent -10, balance 0")
        .await;
    world.accounts("").await;
    world
        .void("b")
        .gives("40 = platform 30 + agent 10, balance -40")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_floor_gives_back_no_more_than_it_came_to(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "least", per_unit("sms", "0.01"))
        .await;
    world
        .reseller(
            "agent",
            "platform",
            json!({ "commission_bp": 2500, "floor": "least" }),
        )
        .await;
    // There is no price for faxes below; the link above is charged the floor all the same.
    world.card("agent", "street", per_unit("fax", "1")).await;
    world
        .customer("acme", "agent", json!({ "card": "street" }))
        .await;
    world
        .publish("least", CHANGE, one_rate("sms", falling()))
        .await;
    let partly = |cents: i64| {
        format!(
            "partly rated 0 = platform {cents} + agent {}, open acme no_rate",
            -cents
        )
    };
    let text = world.send("acme", "sms", "10").at(BEFORE).text().await;
    assert_eq!(text, partly(10));
    let text = world.send("acme", "sms", "1").text().await;
    assert_eq!(text, partly(-10));
    world.accounts("").await;
}

async fn prices_below_zero_go_on_giving(backend: Backend) {
    let world = sold(backend, json!({ "model": "per_unit", "unit_price": "-1" })).await;
    world
        .send("acme", "sms", "5")
        .at(BEFORE)
        .id("a")
        .gives("rated 5 = platform 5, balance -5")
        .await;
    world
        .send("acme", "sms", "5")
        .id("b")
        .at(CHANGE)
        .gives("rated -500 = platform -500, balance 495")
        .await;
    // A version without such prices gives nothing on top.
    world
        .publish("card", "2026-11-20T11:00:00Z", one_rate("sms", falling()))
        .await;
    world
        .send("acme", "sms", "1")
        .id("c")
        .at("2026-11-20T11:00:00Z")
        .gives("rated 0 = platform 0, balance 495")
        .await;
    world
        .void("a")
        .gives("99995 = platform 99995, balance -99500")
        .await;
    world
        .void("b")
        .gives("500 = platform 500, balance -100000")
        .await;
    world
        .void("c")
        .gives("-100000 = platform -100000, balance 0")
        .await;
    world.audit().await;
    verified(&world).await;
}

/// What is stored beside the journal follows from it.
pub async fn verified(world: &World) {
    let checks = match (&world.sqlite, &world.postgres) {
        (Some(sqlite), _) => {
            sqlite.settle().await.unwrap();
            transfer::audit::verify_file(&world.file).await.unwrap()
        }
        (None, Some(_)) => transfer::audit::verify_database(&world.db).await.unwrap(),
        (None, None) => return,
    };
    let wrong: Vec<_> = checks.into_iter().filter(|check| !check.ok).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What is kept of a counter is worked out again from the journal, also where the bound held.
#[tokio::test]
async fn the_bound_outlives_a_crash() {
    let world = sold(Backend::Sqlite, falling()).await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .id("a")
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -10 = platform -10, balance 0")
        .await;
    let options = || JournalOptions {
        recent_records_max: 64,
        fan_out: 2,
        pending_records_max: 1000,
    };
    let world = world.opened_again(options()).await;
    world
        .send("acme", "sms", "1")
        .gives("rated 0 = platform 0, balance 0")
        .await;
    world
        .void("a")
        .gives("200000 = platform 200000, balance -200000")
        .await;
    let world = world
        .opened_again(JournalOptions {
            pending_records_max: 1,
            ..options()
        })
        .await;
    world
        .send("acme", "sms", "8")
        .id("c")
        .gives("rated 800000 = platform 800000, balance -1000000")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated -1000000 = platform -1000000, balance 0")
        .await;
    verified(&world).await;
    let world = world.opened_again(options()).await;
    world
        .void("c")
        .gives("300000 = platform 300000, balance -300000")
        .await;
    verified(&world).await;
    world.audit().await;
}

/// Of a counter from before the bound it is not known what it was charged: until its month ends it
/// is not bounded.
#[tokio::test]
async fn counters_from_before_are_not_bounded() {
    let options = || JournalOptions {
        recent_records_max: 64,
        fan_out: 2,
        pending_records_max: 1,
    };
    let world = World::with(Backend::Sqlite, options()).await;
    world
        .card("platform", "card", per_unit("sms", "0.01"))
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world
        .send("acme", "sms", "10")
        .at(BEFORE)
        .gives("rated 10 = platform 10, balance -10")
        .await;
    world.sqlite.as_ref().unwrap().settle().await.unwrap();
    world.sql("update counters set segment = null").await;
    let world = world.opened_again(options()).await;
    verified(&world).await;
    world
        .publish("card", CHANGE, one_rate("sms", falling()))
        .await;
    world
        .send("acme", "sms", "1")
        .id("b")
        .gives("rated -1000000 = platform -1000000, balance 999990")
        .await;
    world
        .void("b")
        .gives("1000000 = platform 1000000, balance -10")
        .await;
    verified(&world).await;
    world.audit().await;
}
