//! Prices through the engine: counters, versions, aggregations, calls that are cut.

use crate::world::{Backend, World, card_doc, on_every_journal, one_rate, per_unit};
use rating::card::Aggregation;
use rating::compile::CompiledCard;
use rating::usage::{Number, Usage};
use rating::{Exact, Instant, Quantity};
use serde_json::{Value, json};

on_every_journal!(
    a_resellers_counter_runs_over_all_its_customers,
    a_new_version_goes_on_at_the_quantity_reached,
    a_month_begins_at_midnight_in_the_cards_zone,
    a_fallback_card_is_asked_when_there_is_no_rate,
    distinct_values_are_counted_while_they_stand,
    the_largest_value_stands,
    the_latest_value_stands,
    the_latest_value_of_the_highest_reporter_stands,
    each_customer_has_a_latest_value_of_its_own,
    amounts_in_the_event,
    calls_are_cut,
    a_call_of_no_time_costs_what_its_card_says,
    short_numbers_are_in_no_country,
    the_rate_of_the_world_is_of_numbers_with_a_country,
);

async fn sold(backend: Backend, meter: &str, terms: Value, price: Value) -> World {
    let world = World::new(backend).await;
    world.meter(meter, terms).await;
    world.card("platform", "card", one_rate(meter, price)).await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world
}

async fn a_resellers_counter_runs_over_all_its_customers(backend: Backend) {
    let world = World::new(backend).await;
    let volume = json!({ "model": "volume", "tiers": [{ "up_to": "10", "unit_price": "0.10" }, { "unit_price": "0.05" }] });
    world
        .card("platform", "volume", one_rate("sms", volume))
        .await;
    world
        .reseller("muster", "platform", json!({ "card": "volume" }))
        .await;
    world
        .card("muster", "retail", per_unit("sms", "0.12"))
        .await;
    for customer in ["one", "two"] {
        world
            .customer(customer, "muster", json!({ "card": "retail" }))
            .await;
    }
    world
        .send("one", "sms", "8")
        .gives("rated 96 = platform 80 + muster 16, balance -96")
        .await;
    // 8 at 0.10 become 12 at 0.05: the reseller gets 20 cents back from the platform.
    world
        .send("two", "sms", "4")
        .id("x")
        .gives("rated 48 = platform -20 + muster 68, balance -48")
        .await;
    world
        .send("two", "sms", "2")
        .gives("rated 24 = platform 10 + muster 14, balance -72")
        .await;
    world
        .void("x")
        .gives("-48 = platform 30 + muster -78, balance -24")
        .await;
    world
        .accounts("one -96, two -24, muster 20, revenue of muster 100")
        .await;
}

async fn a_new_version_goes_on_at_the_quantity_reached(backend: Backend) {
    let graduated = |first: &str, then: &str| {
        one_rate(
            "api_call",
            json!({ "model": "graduated", "tiers": [{ "up_to": "100", "unit_price": first }, { "unit_price": then }] }),
        )
    };
    let world = World::new(backend).await;
    world
        .card("platform", "card", graduated("0.10", "0.05"))
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    let morning = |quantity: &str| {
        world
            .send("acme", "api_call", quantity)
            .at("2026-11-20T08:00:00Z")
    };
    morning("90")
        .gives("rated 900 = platform 900, balance -900")
        .await;
    world
        .publish("card", "2026-11-20T10:00:00Z", graduated("0.20", "0.02"))
        .await;
    // 90 are counted: ten more in the first tier, ten in the second.
    world
        .send("acme", "api_call", "20")
        .gives("rated 220 = platform 220, balance -1120")
        .await;
    // A straggler of the morning is priced by the morning's version, at the quantity reached.
    morning("10")
        .gives("rated 50 = platform 50, balance -1170")
        .await;
    world.audit().await;
}

async fn a_month_begins_at_midnight_in_the_cards_zone(backend: Backend) {
    let world = World::new(backend).await;
    let mut doc = one_rate(
        "api_call",
        json!({ "model": "per_unit", "unit_price": "0.10", "allowance": "5" }),
    );
    doc["zone"] = json!("Europe/Berlin");
    world.card("platform", "card", doc).await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    for (at, want) in [
        (
            "2026-10-31T22:00:00Z",
            "rated 20 = platform 20, balance -20",
        ),
        (
            "2026-10-31T22:59:59Z",
            "rated 70 = platform 70, balance -90",
        ),
        (
            "2026-10-31T23:00:00Z",
            "rated 20 = platform 20, balance -110",
        ),
        (
            "2026-11-01T00:00:00Z",
            "rated 70 = platform 70, balance -180",
        ),
    ] {
        world.send("acme", "api_call", "7").at(at).gives(want).await;
    }
    world.audit().await;
}

async fn a_fallback_card_is_asked_when_there_is_no_rate(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "standard", per_unit("sms", "0.10"))
        .await;
    let mut special = per_unit("booking", "2");
    special["fallback"] = json!("standard");
    world.card("platform", "special", special.clone()).await;
    world
        .customer("acme", "platform", json!({ "card": "special" }))
        .await;
    world
        .send("acme", "booking", "1")
        .gives("rated 200 = platform 200, balance -200")
        .await;
    world
        .send("acme", "sms", "1")
        .gives("rated 10 = platform 10, balance -210")
        .await;
    world
        .send("acme", "api_call", "1")
        .gives("unrated no_rate")
        .await;
    let lacks = async |customer: &str| -> String {
        let answers = world
            .answers(&[world.send(customer, "api_call", "1")])
            .await;
        answers[0]
            .lacks
            .iter()
            .map(|lack| lack.detail.as_str())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    let own = "the rate card \"special\": no rate is of this meter";
    assert_eq!(
        lacks("acme").await,
        format!("{own}; the rate card \"standard\": no rate is of this meter")
    );
    // One that was never made.
    let mut lonely = per_unit("booking", "2");
    lonely["fallback"] = json!("gone");
    world.card("platform", "lonely", lonely).await;
    world
        .customer("lost", "platform", json!({ "card": "lonely" }))
        .await;
    world
        .send("lost", "api_call", "1")
        .gives("unrated no_rate")
        .await;
    let none = "the rate card \"lonely\": no rate is of this meter, and its fallback \
        card \"gone\" does not exist";
    assert_eq!(lacks("lost").await, none);
    // Cards that point at each other end somewhere.
    let mut standard = per_unit("sms", "0.20");
    standard["fallback"] = json!("special");
    world
        .publish("standard", "2026-11-20T12:00:00Z", standard)
        .await;
    world
        .send("acme", "api_call", "1")
        .gives("unrated no_rate")
        .await;
    let said = lacks("acme").await;
    assert!(
        said.starts_with(own) && said.ends_with("; too many cards fall back on one another"),
        "{said}"
    );
    world
        .send("acme", "sms", "1")
        .gives("rated 20 = platform 20, balance -230")
        .await;
    world.audit().await;
}

async fn distinct_values_are_counted_while_they_stand(backend: Backend) {
    let terms = json!({ "unit": "user", "aggregation": "unique", "unique_by": "user" });
    let world = sold(
        backend,
        "seats",
        terms,
        json!({ "model": "per_unit", "unit_price": "1" }),
    )
    .await;
    let seen = |user: &str, id: &str| world.send("acme", "seats", "1").id(id).with("user", user);
    seen("ann", "1")
        .gives("rated 100 = platform 100, balance -100")
        .await;
    seen("ann", "2")
        .gives("rated 0 = platform 0, balance -100")
        .await;
    seen("bob", "3")
        .gives("rated 100 = platform 100, balance -200")
        .await;
    assert_eq!(
        world.batch(&[seen("cyn", "4"), seen("cyn", "5")]).await[1],
        "rated 0 = platform 0, balance -300"
    );
    world.void("1").gives("0 = platform 0, balance -300").await;
    world
        .void("2")
        .gives("-100 = platform -100, balance -200")
        .await;
    seen("ann", "6")
        .gives("rated 100 = platform 100, balance -300")
        .await;
    world
        .send("acme", "seats", "1")
        .gives("unrated no_attribute")
        .await;
    seen("", "7").gives("unrated no_attribute").await;
    world.audit().await;
}

async fn the_largest_value_stands(backend: Backend) {
    let terms = json!({ "unit": "gib", "aggregation": "max" });
    let world = sold(
        backend,
        "storage",
        terms,
        json!({ "model": "per_unit", "unit_price": "0.10" }),
    )
    .await;
    let peak = |value: &str, id: &str| world.send("acme", "storage", value).id(id);
    for (value, id, want) in [
        ("10", "1", "rated 100 = platform 100, balance -100"),
        ("7", "2", "rated 0 = platform 0, balance -100"),
        ("15", "3", "rated 50 = platform 50, balance -150"),
        ("15", "4", "rated 0 = platform 0, balance -150"),
    ] {
        peak(value, id).gives(want).await;
    }
    world.void("3").gives("0 = platform 0, balance -150").await;
    world
        .void("4")
        .gives("-50 = platform -50, balance -100")
        .await;
    world
        .void("1")
        .gives("-30 = platform -30, balance -70")
        .await;
    world.void("2").gives("-70 = platform -70, balance 0").await;
    peak("3", "5")
        .gives("rated 30 = platform 30, balance -30")
        .await;
    world.audit().await;
}

async fn the_latest_value_stands(backend: Backend) {
    let terms = json!({ "unit": "licence", "aggregation": "latest" });
    let world = sold(
        backend,
        "licences",
        terms,
        json!({ "model": "per_unit", "unit_price": "0.10" }),
    )
    .await;
    let state = |value: &str, hour: u8| {
        world
            .send("acme", "licences", value)
            .id(&format!("h{hour}"))
            .at(&format!("2026-11-20T{hour:02}:00:00Z"))
    };
    state("10", 1)
        .gives("rated 100 = platform 100, balance -100")
        .await;
    state("20", 3)
        .gives("rated 100 = platform 100, balance -200")
        .await;
    state("5", 2)
        .gives("rated 0 = platform 0, balance -200")
        .await;
    world
        .void("h3")
        .gives("-150 = platform -150, balance -50")
        .await;
    state("8", 4)
        .gives("rated 30 = platform 30, balance -80")
        .await;
    world.void("h2").gives("0 = platform 0, balance -80").await;
    world
        .void("h4")
        .gives("20 = platform 20, balance -100")
        .await;
    world
        .void("h1")
        .gives("-100 = platform -100, balance 0")
        .await;
    world.audit().await;
}

/// `seats` at 1.00 each, sold by `agent` at a commission of 25 % or at 0.50 wholesale.
async fn seats(backend: Backend, is_wholesale: bool) -> World {
    let world = World::new(backend).await;
    world
        .meter("seats", json!({ "unit": "seat", "aggregation": "latest" }))
        .await;
    world
        .card(
            "platform",
            "seats-own",
            one_rate(
                "seats",
                json!({ "model": "per_unit", "unit_price": "0.50" }),
            ),
        )
        .await;
    world
        .card(
            "platform",
            "seats-retail",
            one_rate(
                "seats",
                json!({ "model": "per_unit", "unit_price": "1.00" }),
            ),
        )
        .await;
    let terms = if is_wholesale {
        json!({ "card": "seats-own" })
    } else {
        json!({ "commission_bp": 2500 })
    };
    world.reseller("agent", "platform", terms).await;
    for customer in ["acme", "beta"] {
        world
            .customer(customer, "agent", json!({ "card": "seats-retail" }))
            .await;
    }
    world
}

async fn the_latest_value_of_the_highest_reporter_stands(backend: Backend) {
    let world = seats(backend, false).await;
    let report = |id: &str, value: &str, hour: u8, by: &str| {
        world
            .send("acme", "seats", value)
            .id(id)
            .at(&format!("2026-11-20T{hour:02}:00:00Z"))
            .by(by)
    };
    report("own", "3", 1, "acme")
        .gives("rated 300 = platform 225 + agent 75, balance -300")
        .await;
    report("r1", "5", 2, "agent")
        .gives("rated 200 = platform 150 + agent 50, balance -500")
        .await;
    report("p1", "100", 3, "platform")
        .gives("rated 9500 = platform 7125 + agent 2375, balance -10000")
        .await;
    // Whatever those below say, and however late: what the platform said stands.
    report("own-later", "0", 5, "acme")
        .gives("rated 0 = platform 0 + agent 0, balance -10000")
        .await;
    report("r2", "1", 6, "agent")
        .gives("rated 0 = platform 0 + agent 0, balance -10000")
        .await;
    report("p2", "90", 4, "platform")
        .gives("rated -1000 = platform -750 + agent -250, balance -9000")
        .await;
    // Taken back, it leaves the highest of the others.
    world
        .void("p2")
        .gives("1000 = platform 750 + agent 250, balance -10000")
        .await;
    world
        .void("p1")
        .gives("-9900 = platform -7425 + agent -2475, balance -100")
        .await;
    world
        .void("r2")
        .gives("400 = platform 300 + agent 100, balance -500")
        .await;
    world
        .void("r1")
        .gives("-500 = platform -375 + agent -125, balance 0")
        .await;
    world
        .void("own-later")
        .gives("300 = platform 225 + agent 75, balance -300")
        .await;
    world
        .void("own")
        .gives("-300 = platform -225 + agent -75, balance 0")
        .await;
    world.accounts("").await;
}

async fn each_customer_has_a_latest_value_of_its_own(backend: Backend) {
    let world = seats(backend, true).await;
    // What a reseller uses itself is nobody else's.
    world
        .send("agent", "seats", "0")
        .id("own")
        .gives("rated 0 = platform 0, balance 0")
        .await;
    world
        .send("acme", "seats", "100")
        .id("a1")
        .gives("rated 10000 = platform 5000 + agent 5000, balance -10000")
        .await;
    world
        .send("beta", "seats", "5")
        .id("b1")
        .gives("rated 500 = platform 250 + agent 250, balance -500")
        .await;
    world
        .send("acme", "seats", "101")
        .id("a2")
        .gives("rated 100 = platform 50 + agent 50, balance -10100")
        .await;
    world
        .void("b1")
        .gives("-500 = platform -250 + agent -250, balance 0")
        .await;
    world
        .void("a2")
        .gives("-100 = platform -50 + agent -50, balance -10000")
        .await;
    world
        .accounts("acme -10000, agent 5000, revenue of agent 5000")
        .await;
}

async fn amounts_in_the_event(backend: Backend) {
    let world = World::new(backend).await;
    let price = |key: &str, price: Value| json!({ "key": key, "meter": "booking", "attributes": { "kind": key }, "price": price });
    let rates = json!({ "rates": [
        price("cost", json!({ "model": "cost_plus", "factor": "1.25" })),
        price("own", json!({ "model": "dynamic" })),
        price("share", json!({ "model": "percentage", "rate": "2.9", "fixed": "0.30" })),
    ]});
    world.card("platform", "amounts", rates).await;
    world
        .customer("acme", "platform", json!({ "card": "amounts" }))
        .await;
    let of = |kind: &str, amount: &str| {
        world
            .send("acme", "booking", "1")
            .with("kind", kind)
            .amount(amount)
    };
    of("cost", "8.00")
        .id("a")
        .gives("rated 1000 = platform 1000, balance -1000")
        .await;
    of("own", "0.019")
        .id("b")
        .gives("rated 1 = platform 1, balance -1001")
        .await;
    of("share", "100")
        .id("c")
        .gives("rated 320 = platform 320, balance -1321")
        .await;
    world
        .send("acme", "booking", "1")
        .with("kind", "cost")
        .gives("unrated no_amount")
        .await;
    world
        .send("acme", "booking", "1")
        .with("kind", "none")
        .gives("unrated no_rate")
        .await;
    for (id, want) in [
        ("c", "-320 = platform -320, balance -1001"),
        ("a", "-1000 = platform -1000, balance -1"),
    ] {
        world.void(id).gives(want).await;
    }
    world.void("b").gives("-1 = platform -1, balance 0").await;
    world.audit().await;
}

fn per_second(key: &str, per_minute: &str, terms: Value) -> Value {
    let mut rate = json!({ "key": key, "meter": "call", "prefixes": ["49"],
        "call": { "initial": "1", "next": "1", "steps": [{ "from": "0", "price": per_minute, "per": "60" }] } });
    for (name, value) in terms.as_object().unwrap() {
        rate[name] = value.clone();
    }
    rate
}

/// A rate priced by P(q).
fn by_minute(key: &str, unit_price: &str, window: Value) -> Value {
    json!({ "key": key, "meter": "call", "prefixes": ["49"], "window": window, "call": { "initial": "1", "next": "1" },
        "price": { "model": "per_unit", "unit_price": unit_price, "per": "60" } })
}

async fn calls_are_cut(backend: Backend) {
    let world = World::new(backend).await;
    let cards = [
        (
            "windows",
            json!([
                per_second(
                    "day",
                    "0.60",
                    json!({ "window": { "from": "08:00", "until": "20:00" } })
                ),
                per_second(
                    "night",
                    "0.06",
                    json!({ "window": { "from": "20:00", "until": "08:00" } })
                )
            ]),
        ),
        (
            "weekdays",
            json!([
                per_second(
                    "week",
                    "0.60",
                    json!({ "window": { "weekdays": [1, 2, 3, 4, 5] } })
                ),
                per_second(
                    "weekend",
                    "0.06",
                    json!({ "window": { "weekdays": [6, 7] } })
                )
            ]),
        ),
        (
            "small-hours",
            json!([
                per_second(
                    "two",
                    "0.06",
                    json!({ "priority": 1, "window": { "from": "02:00", "until": "03:00" } })
                ),
                per_second("other", "0.60", json!({}))
            ]),
        ),
        (
            "change",
            json!([
                per_second(
                    "old",
                    "0.60",
                    json!({ "effective_until": "2026-11-19T10:00:00Z" })
                ),
                per_second(
                    "new",
                    "0.06",
                    json!({ "effective_from": "2026-11-19T10:00:00Z" })
                )
            ]),
        ),
        (
            "gap",
            json!([
                per_second(
                    "old",
                    "0.60",
                    json!({ "effective_until": "2026-11-19T10:00:00Z" })
                ),
                per_second(
                    "new",
                    "0.06",
                    json!({ "effective_from": "2026-11-19T10:00:01Z" })
                )
            ]),
        ),
        (
            "offsets",
            json!([{ "key": "o", "meter": "call", "prefixes": ["49"], "call": { "initial": "60", "next": "6", "connect_fee": "0.05",
            "steps": [{ "from": "0", "price": "0.60", "per": "60" }, { "from": "60", "price": "0.06", "per": "60" }] } }]),
        ),
        ("second", json!([per_second("flat", "0.40", json!({}))])),
        (
            "modelled",
            json!([
                by_minute("day", "0.10", json!({ "until": "18:00" })),
                by_minute("night", "0.02", json!({ "from": "18:00" }))
            ]),
        ),
    ];
    for (name, rates) in cards {
        world
            .card(
                "platform",
                name,
                json!({ "zone": "Europe/Berlin", "rates": rates }),
            )
            .await;
        world
            .customer(&format!("on-{name}"), "platform", json!({ "card": name }))
            .await;
    }
    let table = [
        // 20:00 in Berlin is 19:00 UTC: a minute of day, a minute of night.
        (
            "windows",
            "2026-11-19T18:59:00Z",
            "120",
            "rated 66 = platform 66",
        ),
        // Friday's last minute and Saturday's first.
        (
            "weekdays",
            "2026-11-13T22:59:00Z",
            "120",
            "rated 66 = platform 66",
        ),
        // The clocks go back on 25 October: 02:00 to 03:00 lasts two hours, and this call begins at
        // its half.
        (
            "small-hours",
            "2026-10-25T00:30:00Z",
            "7200",
            "rated 2340 = platform 2340",
        ),
        // On other days one hour.
        (
            "small-hours",
            "2026-10-26T01:30:00Z",
            "7200",
            "rated 5580 = platform 5580",
        ),
        (
            "change",
            "2026-11-19T09:59:00Z",
            "120",
            "rated 66 = platform 66",
        ),
        (
            "gap",
            "2026-11-19T09:59:00Z",
            "60",
            "rated 60 = platform 60",
        ),
        ("gap", "2026-11-19T09:59:00Z", "61", "unrated no_rate"),
        // A minute and its connect fee, then 0.6 cents for six seconds.
        (
            "offsets",
            "2026-11-19T09:59:00Z",
            "120",
            "rated 71 = platform 71",
        ),
        // 25 hours by the second.
        (
            "second",
            "2026-11-18T09:00:00Z",
            "90000",
            "rated 60000 = platform 60000",
        ),
        // 17:59 in Berlin, under a price by the unit: a minute of day, a minute of night.
        (
            "modelled",
            "2026-11-19T16:59:00Z",
            "120",
            "rated 12 = platform 12",
        ),
        (
            "modelled",
            "2026-11-19T16:58:00Z",
            "120",
            "rated 20 = platform 20",
        ),
        (
            "modelled",
            "2026-11-19T22:59:00Z",
            "120",
            "rated 12 = platform 12",
        ),
    ];
    for (card, at, seconds, want) in table {
        let answer = world
            .call(&format!("on-{card}"), seconds)
            .at(at)
            .text()
            .await;
        assert_eq!(
            answer.split(", balance").next(),
            Some(want),
            "{card} at {at}"
        );
    }
    world.audit().await;
}

async fn a_call_of_no_time_costs_what_its_card_says(backend: Backend) {
    let world = World::new(backend).await;
    for (zero, cents) in [("free", 0), ("charged", 5)] {
        let call = json!({ "connect_fee": "0.05", "zero_duration": zero, "steps": [{ "from": "0", "price": "0.60", "per": "60" }] });
        world.card("platform", zero, json!({ "rates": [{ "key": "c", "meter": "call", "prefixes": ["49"], "call": call }] })).await;
        world
            .customer(&format!("on-{zero}"), "platform", json!({ "card": zero }))
            .await;
        let call = |seconds: &str| {
            world
                .call(&format!("on-{zero}"), seconds)
                .id(&format!("{zero} {seconds}"))
        };
        call("0")
            .gives(&format!(
                "rated {cents} = platform {cents}, balance {}",
                -cents
            ))
            .await;
        call("60")
            .gives(&format!("rated 65 = platform 65, balance {}", -65 - cents))
            .await;
        world
            .void(&format!("{zero} 0"))
            .gives(&format!("{} = platform {}, balance -65", -cents, -cents))
            .await;
    }
    world.audit().await;
}

async fn short_numbers_are_in_no_country(backend: Backend) {
    let world = World::new(backend).await;
    let rate = |prefix: &str, price: &str| json!({ "key": prefix, "meter": "call", "prefixes": [prefix], "call": { "steps": [{ "from": "0", "price": price, "per": "60" }] } });
    world
        .card(
            "platform",
            "card",
            json!({ "rates": [rate("1", "0.01"), rate("49", "0.02"), rate("112", "0.05")] }),
        )
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    for (to, want) in [
        ("+14155550100", "rated 1 = platform 1"),
        ("14155550100", "rated 1 = platform 1"),
        ("1002", "unrated no_rate"),
        ("+1002", "unrated no_rate"),
        ("4912", "unrated no_rate"),
        ("030123456", "rated 2 = platform 2"),
        // As a whole, whatever stands before it.
        ("112", "rated 5 = platform 5"),
        ("+112", "rated 5 = platform 5"),
        ("1123", "unrated no_rate"),
    ] {
        let answer = world.call("acme", "60").to(to).text().await;
        assert_eq!(answer.split(", balance").next(), Some(want), "{to}");
    }
    world.audit().await;
}

/// `""` is of every number with a country's code: what no country's numbers begin with was sold at
/// the world's price.
async fn the_rate_of_the_world_is_of_numbers_with_a_country(backend: Backend) {
    let world = World::new(backend).await;
    let rate = |prefix: &str, price: &str| json!({ "key": format!("to-{prefix}"), "meter": "call", "prefixes": [prefix], "call": { "steps": [{ "from": "0", "price": price, "per": "60" }] } });
    world
        .card(
            "platform",
            "card",
            json!({ "rates": [rate("49", "0.02"), rate("", "0.99")] }),
        )
        .await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    for (country, to, want) in [
        ("DE", "030123456", "rated 2 = platform 2"),
        ("DE", "+442071234567", "rated 99 = platform 99"),
        ("DE", "+99912345678", "unrated no_rate"),
        ("DE", "999123456789", "unrated no_rate"),
        ("US", "030123456", "unrated no_rate"),
        ("US", "0442071234567", "unrated no_rate"),
        ("US", "01712345678", "unrated no_rate"),
        ("US", "000000000", "unrated no_rate"),
        ("US", "+88213123456", "rated 99 = platform 99"),
    ] {
        world.set_country("acme", country).await;
        let answer = world.call("acme", "60").to(to).text().await;
        assert_eq!(
            answer.split(", balance").next(),
            Some(want),
            "{country} {to}"
        );
    }
    world.audit().await;
}

/// Closed form: the price of a call does not take longer the longer the call is.
#[test]
fn a_call_of_25_hours_takes_microseconds() {
    let card = CompiledCard::compile(&card_doc(
        json!({ "rates": [per_second("flat", "0.40", json!({}))] }),
    ))
    .unwrap();
    let usage = Usage {
        meter: "call",
        is_call: true,
        aggregation: Aggregation::Sum,
        at: "2026-11-18T09:00:00Z".parse::<Instant>().unwrap(),
        quantity: Quantity::whole(90_000),
        amount: None,
        number: Number::International,
        destination: Some("4930123456"),
        origin: None,
        attributes: &[],
    };
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        let measured = card.measure(&usage).unwrap();
        assert_eq!(measured.local, Exact(60_000 * Exact::PER_CENT));
        assert_eq!(measured.pieces.len(), 1);
    }
    assert!(
        began.elapsed().as_micros() < 1000 * 100,
        "1000 calls took {:?}",
        began.elapsed()
    );
}
