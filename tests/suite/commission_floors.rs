//! Commissions whose seller does not depend on what its buyer asks: a least price, or prices that
//! it has approved.

use crate::world::{Backend, World, on_every_journal, per_unit};
use catalog::Actor;
use serde_json::json;

on_every_journal!(
    the_seller_above_gets_at_least_the_floor,
    prices_that_nobody_above_approved_are_not_in_force,
    a_commission_that_a_reseller_grants_is_its_own_affair,
    a_commission_gives_back_no_more_than_it_took,
    what_a_seller_takes_back_moves_no_count_that_others_share,
    an_event_in_place_of_another_does_not_take_the_name_of_a_call,
    a_correction_where_links_are_open_is_refused_by_name,
);

async fn the_seller_above_gets_at_least_the_floor(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "least", per_unit("sms", "0.04"))
        .await;
    world
        .reseller(
            "agent",
            "platform",
            json!({ "commission_bp": 2500, "floor": "least" }),
        )
        .await;
    world.card("agent", "street", per_unit("sms", "0.10")).await;
    world.card("agent", "gratis", per_unit("sms", "0")).await;
    world
        .customer("pays", "agent", json!({ "card": "street" }))
        .await;
    world
        .customer("guest", "agent", json!({ "card": "gratis" }))
        .await;
    world
        .customer(
            "ended",
            "agent",
            json!({ "card": "street", "until": "2026-11-20T00:00:00Z" }),
        )
        .await;
    world
        .send("pays", "sms", "10")
        .id("a")
        .gives("rated 100 = platform 75 + agent 25, balance -100")
        .await;
    world
        .send("guest", "sms", "10")
        .id("b")
        .gives("rated 0 = platform 40 + agent -40, balance 0")
        .await;
    // Where the price below is not known, the floor is posted.
    world
        .send("ended", "sms", "10")
        .id("c")
        .gives("partly rated 0 = platform 40 + agent -40, open ended no_agreement")
        .await;
    world
        .accounts("pays -100, agent -55, revenue of agent 155")
        .await;
    world
        .send("pays", "sms", "10")
        .id("d")
        .costs("100 = platform 75 + agent 25, balance -200")
        .await;
    world
        .void("a")
        .gives("-100 = platform -75 + agent -25, balance 0")
        .await;
    world
        .void("b")
        .gives("0 = platform -40 + agent 40, balance 0")
        .await;
    world
        .void("c")
        .gives("0 = platform -40 + agent 40, balance 0")
        .await;
    world.accounts("").await;
}

async fn prices_that_nobody_above_approved_are_not_in_force(backend: Backend) {
    let world = World::new(backend).await;
    world
        .reseller("agent", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world.card("agent", "street", per_unit("sms", "0.10")).await;
    world
        .customer("kiosk", "agent", json!({ "card": "street" }))
        .await;
    let gratis = world
        .publish_by(
            "agent",
            "street",
            "2026-11-01T00:00:00Z",
            per_unit("sms", "0"),
        )
        .await;
    world
        .send("kiosk", "sms", "10")
        .gives("rated 100 = platform 75 + agent 25, balance -100")
        .await;
    for (approver, want) in [
        ("agent", "100 = platform 75 + agent 25, balance -200"),
        ("platform", "0 = platform 0 + agent 0, balance -100"),
    ] {
        let actor = Actor {
            tenant: world.tenant(approver).id,
            ..world.actor()
        };
        world.catalog.approve(&actor, gratis).await.unwrap();
        world.engine.invalidate();
        world.send("kiosk", "sms", "10").costs(want).await;
    }
    // Free of that: whoever sells says so.
    for (name, terms) in [
        ("tied", json!({ "commission_bp": 2500 })),
        (
            "free",
            json!({ "commission_bp": 2500, "free_retail": true }),
        ),
    ] {
        let (card, customer) = (format!("{name}-street"), format!("{name}-kiosk"));
        world.reseller(name, "platform", terms).await;
        world
            .card_by(name, name, &card, per_unit("sms", "0.10"))
            .await;
        world
            .customer(&customer, name, json!({ "card": card }))
            .await;
    }
    world
        .send("tied-kiosk", "sms", "10")
        .gives("unrated card_not_approved")
        .await;
    world
        .send("free-kiosk", "sms", "10")
        .gives("rated 100 = platform 75 + free 25, balance -100")
        .await;
    let over =
        json!({ "commission_bp": 2500, "free_retail": true, "until": "2026-11-01T00:00:00Z" });
    world.reseller("over", "platform", over).await;
    assert_eq!(world.health().await.free_retail, 1, "in force");
    world.audit().await;
}

/// The platform sells to `head` at 25 % and `head` to `tail` at `tail_bp`; each says who agreed on
/// it.
async fn two_resellers(world: &World, name: &str, tail_bp: u16, by: &str) -> String {
    let (head, tail, kiosk) = (
        format!("{name}-head"),
        format!("{name}-tail"),
        format!("{name}-kiosk"),
    );
    world
        .reseller(
            &head,
            "platform",
            json!({ "commission_bp": 2500, "free_retail": name == "free" }),
        )
        .await;
    let by = if by == "head" { &head } else { by };
    world
        .reseller(&tail, &head, json!({ "commission_bp": tail_bp, "by": by }))
        .await;
    world
        .card(
            "platform",
            &format!("{name}-street"),
            per_unit("sms", "0.10"),
        )
        .await;
    world
        .customer(&kiosk, &tail, json!({ "card": format!("{name}-street") }))
        .await;
    kiosk
}

async fn a_commission_that_a_reseller_grants_is_its_own_affair(backend: Backend) {
    let world = World::new(backend).await;
    for (name, tail_bp, by, want) in [
        (
            "shared",
            2500,
            "platform",
            "platform 56 + shared-head 19 + shared-tail 25",
        ),
        (
            "own",
            2500,
            "head",
            "platform 75 + own-head 0 + own-tail 25",
        ),
        (
            "all",
            10_000,
            "head",
            "platform 75 + all-head -75 + all-tail 100",
        ),
        (
            "free",
            10_000,
            "head",
            "platform 75 + free-head -75 + free-tail 100",
        ),
    ] {
        let kiosk = two_resellers(&world, name, tail_bp, by).await;
        world
            .send(&kiosk, "sms", "10")
            .id(name)
            .gives(&format!("rated 100 = {want}, balance -100"))
            .await;
    }
    world
        .void("all")
        .gives("-100 = platform -75 + all-head 75 + all-tail -100, balance 0")
        .await;
    world.audit().await;

    // Three below the platform: what it agreed on itself counts, in between as well.
    world
        .reseller("a", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world
        .reseller("b", "a", json!({ "commission_bp": 2000, "by": "platform" }))
        .await;
    world
        .reseller("c", "b", json!({ "commission_bp": 5000, "by": "b" }))
        .await;
    world.card("platform", "abc", per_unit("sms", "1.00")).await;
    world.customer("leaf", "c", json!({ "card": "abc" })).await;
    // c's own 50 % is b's affair: of 1000, 800 are a's price and 600 the platform's.
    world
        .send("leaf", "sms", "10")
        .id("leaf")
        .gives("rated 1000 = platform 600 + a 200 + b -300 + c 500, balance -1000")
        .await;
    // What a reseller's own floor comes to is paid to the seller above it, which pays its share of
    // that.
    world.card("a", "three", per_unit("sms", "3.00")).await;
    for (name, floored, want) in [
        ("f", "f", "platform 2250 + a 750 + f -2200 + f-own 200"),
        ("g", "g-own", "platform 2250 + a 150 + g 600 + g-own -2000"),
    ] {
        let own = format!("{name}-own");
        let terms = |of: &str, by: &str| {
            let floor = if of == floored {
                json!("three")
            } else {
                json!(null)
            };
            json!({ "commission_bp": 2000, "by": by, "floor": floor })
        };
        world.reseller(name, "a", terms(name, "a")).await;
        world.reseller(&own, name, terms(&own, name)).await;
        world
            .customer(&format!("{name}-leaf"), &own, json!({ "card": "abc" }))
            .await;
        let sent = world
            .send(&format!("{name}-leaf"), "sms", "10")
            .id(name)
            .text()
            .await;
        assert_eq!(sent, format!("rated 1000 = {want}, balance -1000"));
        world.void(name).text().await;
    }
    // What a takes back of its own links stands above, and the platform's void finds what it was
    // taken from.
    world
        .void("leaf")
        .of("leaf")
        .by("a")
        .gives("-1000 = a -800 + b 300 + c -500, balance 0")
        .await;
    world
        .void("leaf")
        .gives("0 = platform -600 + a 600, balance 0")
        .await;
    world.audit().await;
}

/// Terms of `tail`, in its seller's own hand: until noon at a price or a share, from then on at a
/// share.
async fn terms_at_noon(world: &World, name: &str, before: serde_json::Value) -> String {
    let (head, tail, leaf) = (
        format!("{name}-head"),
        format!("{name}-tail"),
        format!("{name}-leaf"),
    );
    let noon = "2026-11-20T12:00:00Z";
    world
        .reseller(&head, "platform", json!({ "commission_bp": 2500 }))
        .await;
    let mut before = before;
    before["until"] = json!(noon);
    world.reseller(&tail, &head, before).await;
    world
        .agree(
            &tail,
            json!({ "commission_bp": 5000, "by": head, "from": noon }),
        )
        .await;
    world
        .customer(&leaf, &tail, json!({ "card": "retail" }))
        .await;
    leaf
}

fn retail() -> serde_json::Value {
    let allowance = json!({ "model": "per_unit", "unit_price": "1.00", "allowance": "100" });
    let falling = json!({ "model": "volume", "tiers": [{ "up_to": "100", "unit_price": "1.00" }, { "unit_price": "0" }] });
    let rate = |meter: &str, price: serde_json::Value| json!({ "key": meter, "meter": meter, "price": price });
    let each = || json!({ "model": "per_unit", "unit_price": "1.00" });
    let rates = [
        rate("seats", each()),
        rate("sms", allowance),
        rate("api_call", falling),
        rate("booking", each()),
    ];
    json!({ "currency": "EUR", "rates": rates })
}

async fn a_commission_gives_back_no_more_than_it_took(backend: Backend) {
    let world = World::new(backend).await;
    world
        .meter("seats", json!({ "unit": "seat", "aggregation": "latest" }))
        .await;
    world.card("platform", "retail", retail()).await;
    let halves = ["seats", "sms", "api_call", "booking"]
        .map(|meter| json!({ "key": meter, "meter": meter, "price": { "model": "per_unit", "unit_price": "0.50" } }));
    world
        .card(
            "platform",
            "half",
            json!({ "currency": "EUR", "rates": halves }),
        )
        .await;
    let (morning, noon) = ("2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z");
    // What tail bought at a price is not given back under a commission that took nothing yet; a
    // share is, in proportion.
    for (name, before, took, gives) in [
        (
            "bought",
            json!({ "card": "half" }),
            [3750, 1250, 5000],
            [0, 0, -10_000],
        ),
        (
            "shared",
            json!({ "commission_bp": 2500 }),
            [5625, 1875, 2500],
            [-5625, 625, -5000],
        ),
    ] {
        let leaf = terms_at_noon(&world, name, before).await;
        let of = |parts: [i64; 3]| {
            format!(
                "platform {} + {name}-head {} + {name}-tail {}",
                parts[0], parts[1], parts[2]
            )
        };
        let send = |meter: &str, id: &str, count: &str, at: &str| {
            world
                .send(&leaf, meter, count)
                .id(&format!("{name}-{id}"))
                .at(at)
        };
        // A value that goes down.
        send("seats", "up", "100", morning)
            .gives(&format!("rated 10000 = {}, balance -10000", of(took)))
            .await;
        send("seats", "down", "0", noon)
            .gives(&format!("rated -10000 = {}, balance 0", of(gives)))
            .await;
        // A cheaper tier.
        send("api_call", "many", "100", morning)
            .gives(&format!("rated 10000 = {}, balance -10000", of(took)))
            .await;
        send("api_call", "one", "1", noon)
            .gives(&format!("rated -10000 = {}, balance 0", of(gives)))
            .await;
        // Others move into the allowance of one that is taken back: of what they paid, no more goes
        // back than was taken.
        send("sms", "free", "100", morning).text().await;
        let now = of([7500, -2500, 5000]);
        send("sms", "charged", "100", noon)
            .gives(&format!("rated 10000 = {now}, balance -10000"))
            .await;
        world
            .void(&format!("{name}-free"))
            .gives(&format!(
                "-10000 = {}, balance 0",
                of([-3750, -1250, -5000])
            ))
            .await;
        // What has its own price is at the terms of its time.
        send("booking", "own", "100", noon)
            .gives(&format!("rated 10000 = {now}, balance -10000"))
            .await;
    }
    world.pass(12 * 86_400);
    let december = "2026-12-01T12:00:00Z";
    for name in ["bought", "shared"] {
        let send =
            |count: &str, at: &str| world.send(&format!("{name}-leaf"), "seats", count).at(at);
        let of = |sign: i64| {
            format!(
                "platform {} + {name}-head {} + {name}-tail {}",
                sign * 7500,
                sign * -2500,
                sign * 5000
            )
        };
        send("100", december)
            .gives(&format!("rated 10000 = {}, balance -20000", of(1)))
            .await;
        send("0", "2026-12-01T12:00:01Z")
            .gives(&format!("rated -10000 = {}, balance -10000", of(-1)))
            .await;
    }
    world.audit().await;
}

async fn what_a_seller_takes_back_moves_no_count_that_others_share(backend: Backend) {
    let world = World::new(backend).await;
    world
        .meter("seats", json!({ "unit": "seat", "aggregation": "latest" }))
        .await;
    world.card("platform", "retail", retail()).await;
    world
        .reseller("head", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world
        .customer("leaf", "head", json!({ "card": "retail" }))
        .await;
    let seats = |id: &str, count: &str, minute: u32| {
        world
            .send("leaf", "seats", count)
            .id(id)
            .at(&format!("2026-11-20T11:{minute:02}:00Z"))
    };
    seats("up", "100", 1)
        .gives("rated 10000 = platform 7500 + head 2500, balance -10000")
        .await;
    seats("down", "0", 2)
        .gives("rated -10000 = platform -7500 + head -2500, balance 0")
        .await;
    // Else the next report of none would be given back once more.
    world
        .void("down")
        .by("head")
        .gives("refused void_not_exact")
        .await;
    world
        .send("leaf", "booking", "10")
        .id("own")
        .gives("rated 1000 = platform 750 + head 250, balance -1000")
        .await;
    world
        .void("own")
        .key("c")
        .by("head")
        .corrects(seats("more", "1000", 3), "refused void_not_exact")
        .await;
    // What has its own price is between the two.
    world
        .void("own")
        .by("head")
        .gives("-1000 = head -1000, balance 0")
        .await;
    world
        .void("down")
        .gives("10000 = platform 7500 + head 2500, balance -10000")
        .await;
    world.audit().await;
}

async fn an_event_in_place_of_another_does_not_take_the_name_of_a_call(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "buys", per_unit("sms", "0.10"))
        .await;
    world
        .reseller("head", "platform", json!({ "card": "buys" }))
        .await;
    world.card("head", "sells", per_unit("sms", "0.20")).await;
    world
        .customer("leaf", "head", json!({ "card": "sells" }))
        .await;
    world
        .send("leaf", "sms", "1")
        .id("tiny")
        .gives("rated 20 = platform 10 + head 10, balance -20")
        .await;
    let real = || world.send("leaf", "sms", "500").id("real");
    world
        .void("tiny")
        .by("head")
        .corrects(
            real(),
            "-20 = head -20, balance 0; 10000 = head 10000, balance -10000",
        )
        .await;
    real()
        .gives("rated 10000 = platform 5000 + head 5000, balance -10000")
        .await;
    real()
        .gives("duplicate 10000 = platform 5000 + head 5000, balance -10000")
        .await;
    world.audit().await;
}

async fn a_correction_where_links_are_open_is_refused_by_name(backend: Backend) {
    let world = World::new(backend).await;
    for (owner, card) in [("platform", "first"), ("head", "second"), ("tail", "third")] {
        match owner {
            "head" => {
                world
                    .reseller("head", "platform", json!({ "card": "first" }))
                    .await
            }
            "tail" => {
                world
                    .reseller("tail", "head", json!({ "card": "second" }))
                    .await
            }
            _ => {}
        }
        let meter = if owner == "tail" { "booking" } else { "sms" };
        world.card(owner, card, per_unit(meter, "0.10")).await;
    }
    world
        .customer("leaf", "tail", json!({ "card": "third" }))
        .await;
    let sent = world.send("leaf", "sms", "10").id("open").text().await;
    assert!(sent.starts_with("partly rated"), "{sent}");
    world
        .void("open")
        .by("tail")
        .corrects(
            world.send("leaf", "booking", "1").id("closed"),
            "refused not_rated",
        )
        .await;
    world.audit().await;
}
