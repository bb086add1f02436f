//! Chains and settlements: who pays, who keeps what, to the cent.

use crate::world::{Backend, World, on_every_journal, per_unit, prices};
use serde_json::json;

on_every_journal!(
    the_reference_chain,
    collected_by_the_reseller,
    commissions_all_the_way,
    commissions_of_tiny_amounts_add_up,
    three_links_with_three_cards,
    eight_links,
    a_currency_without_decimals,
    a_dry_run_costs_what_the_charge_will,
);

async fn the_reference_chain(backend: Backend) {
    let world = World::reference(backend).await;
    let call = world.call("acme-42", "600").id("call-1");
    call.clone()
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    let books =
        "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of muster -10000";
    world.accounts(books).await;
    for _ in 0..2 {
        call.clone()
            .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
            .await;
    }
    world.accounts(books).await;
    for (meter, want) in [
        ("sms", "rated 8 = platform 5 + muster 3, balance 4592"),
        (
            "api_call",
            "rated 15 = platform 10 + muster 5, balance 4577",
        ),
        (
            "booking",
            "rated 150 = platform 100 + muster 50, balance 4427",
        ),
    ] {
        world.send("acme-42", meter, "1").gives(want).await;
    }
    world
        .accounts(
            "acme-42 4427, acme-43 5000, muster 158, revenue of muster 415, external of \
        muster -10000",
        )
        .await;
}

async fn collected_by_the_reseller(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card(
            "platform",
            "wholesale",
            prices("0.30", "0.10", "1.00", "0.05"),
        )
        .await;
    world
        .reseller(
            "muster",
            "platform",
            json!({ "card": "wholesale", "credit_limit": 0 }),
        )
        .await;
    world
        .card("muster", "retail", prices("0.40", "0.15", "1.50", "0.08"))
        .await;
    world
        .customer(
            "acme-42",
            "muster",
            json!({ "card": "retail", "collect": "reseller" }),
        )
        .await;
    world.top_up("muster", 1000).await;
    world
        .call("acme-42", "600")
        .gives("rated 400 = platform 300 + muster 100, balance -400")
        .await;
    world
        .accounts(
            "book of acme-42 -400, income of muster 400, muster 700, revenue of muster \
        300, external of muster -1000",
        )
        .await;
}

async fn commissions_all_the_way(backend: Backend) {
    let world = World::reference(backend).await;
    // 4.00; the sub-agent keeps 25 %, the agent 25 % of the rest, the platform has what is left.
    world
        .call("beta", "600")
        .gives("rated 400 = platform 225 + agent 75 + sub-agent 100, balance -400")
        .await;
    world
        .accounts(
            "beta -400, sub-agent 100, agent 75, revenue of agent 225, acme-42 5000, \
        acme-43 5000, external of muster -10000",
        )
        .await;
}

/// The worked example of DESIGN: 0.0004 EUR per call, three links, 25 % commission each.
async fn commissions_of_tiny_amounts_add_up(backend: Backend) {
    let world = World::new(backend).await;
    world
        .reseller("upper", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world
        .reseller("lower", "upper", json!({ "commission_bp": 2500 }))
        .await;
    world
        .card("lower", "tiny", per_unit("api_call", "0.0004"))
        .await;
    world
        .customer("acme", "lower", json!({ "card": "tiny" }))
        .await;
    let mut sent = 0;
    let mut cents = Vec::new();
    while sent < 10_000 {
        let batch: Vec<_> = (0..500)
            .map(|_| world.send("acme", "api_call", "1"))
            .collect();
        for answer in world.batch(&batch).await {
            sent += 1;
            if !answer.starts_with("rated 0 = platform 0 + upper 0 + lower 0") {
                cents.push((sent, answer));
            }
        }
    }
    let first: Vec<(usize, &str)> = cents
        .iter()
        .take(4)
        .map(|(n, answer)| (*n, answer.as_str()))
        .collect();
    assert_eq!(
        first,
        [
            (25, "rated 1 = platform 0 + upper 0 + lower 1, balance -1"),
            (34, "rated 0 = platform 0 + upper 1 + lower -1, balance -1"),
            (45, "rated 0 = platform 1 + upper -1 + lower 0, balance -1"),
            (50, "rated 1 = platform 0 + upper 0 + lower 1, balance -2"),
        ]
    );
    world
        .accounts("acme -400, lower 100, upper 75, revenue of upper 225")
        .await;
}

async fn three_links_with_three_cards(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card(
            "platform",
            "level-1",
            prices("0.20", "0.05", "1.00", "0.04"),
        )
        .await;
    world
        .reseller("wide", "platform", json!({ "card": "level-1" }))
        .await;
    world
        .card("wide", "level-2", prices("0.30", "0.07", "1.20", "0.05"))
        .await;
    world
        .reseller("near", "wide", json!({ "card": "level-2" }))
        .await;
    world
        .card("near", "level-3", prices("0.40", "0.10", "1.50", "0.08"))
        .await;
    world
        .customer("acme", "near", json!({ "card": "level-3" }))
        .await;
    world
        .call("acme", "61")
        .gives("rated 80 = platform 40 + wide 20 + near 20, balance -80")
        .await;
    // Near sells below its cost: its part is negative.
    world
        .publish(
            "level-3",
            "2026-11-20T12:00:01Z",
            prices("0.25", "0.10", "1.50", "0.08"),
        )
        .await;
    world.pass(62);
    world
        .call("acme", "60")
        .gives("rated 25 = platform 20 + wide 10 + near -5, balance -105")
        .await;
    world
        .accounts("acme -105, near 15, wide 30, revenue of wide 60")
        .await;
}

async fn eight_links(backend: Backend) {
    let world = World::new(backend).await;
    let mut seller = "platform".to_owned();
    for level in 1..=7 {
        let name = format!("r{level}");
        world
            .reseller(&name, &seller, json!({ "commission_bp": 5000 }))
            .await;
        seller = name;
    }
    world.card("r7", "deep", per_unit("booking", "1.28")).await;
    world
        .customer("acme", "r7", json!({ "card": "deep" }))
        .await;
    let want =
        "rated 128 = platform 1 + r1 1 + r2 2 + r3 4 + r4 8 + r5 16 + r6 32 + r7 64, balance -128";
    world.send("acme", "booking", "1").gives(want).await;
    world.audit().await;
}

async fn a_currency_without_decimals(backend: Backend) {
    let world = World::new(backend).await;
    let yen = |price: &str| {
        let mut doc = per_unit("booking", price);
        doc["currency"] = json!("JPY");
        doc
    };
    world.card("platform", "wholesale-jpy", yen("90.5")).await;
    world
        .reseller(
            "tokyo",
            "platform",
            json!({ "card": "wholesale-jpy", "currency": "JPY" }),
        )
        .await;
    world.card("tokyo", "retail-jpy", yen("120")).await;
    world
        .customer(
            "kiosk",
            "tokyo",
            json!({ "card": "retail-jpy", "currency": "JPY" }),
        )
        .await;
    world
        .customer(
            "euro",
            "tokyo",
            json!({ "card": "retail-jpy", "currency": "JPY", "until": "2026-11-20T00:00:00Z" }),
        )
        .await;
    world
        .send("kiosk", "booking", "1")
        .gives("rated 120 = platform 90 + tokyo 30, balance -120")
        .await;
    world
        .send("kiosk", "booking", "1")
        .gives("rated 120 = platform 91 + tokyo 29, balance -240")
        .await;
    world
        .card("tokyo", "retail-eur", per_unit("booking", "1"))
        .await;
    world
        .agree(
            "euro",
            json!({ "card": "retail-eur", "from": "2026-11-20T00:00:00Z" }),
        )
        .await;
    world
        .send("euro", "booking", "1")
        .gives("partly rated 0 = platform 90 + tokyo -90, open euro mixed_currencies")
        .await;
    world
        .accounts("kiosk -240 JPY, tokyo -31 JPY, revenue of tokyo 271 JPY")
        .await;
}

async fn a_dry_run_costs_what_the_charge_will(backend: Backend) {
    let world = World::reference(backend).await;
    for _ in 0..2 {
        world
            .call("acme-42", "600")
            .costs("400 = platform 300 + muster 100, balance 4600")
            .await;
    }
    world.call("nobody", "600").costs("refused not_found").await;
    world
        .send("acme-42", "sms", "0.1")
        .gives("rated 0 = platform 0 + muster 0, balance 5000")
        .await;
    world
        .send("acme-42", "sms", "0.1")
        .costs("1 = platform 1 + muster 0, balance 4999")
        .await;
    world
        .send("acme-42", "sms", "0.1")
        .gives("rated 1 = platform 1 + muster 0, balance 4999")
        .await;
    world
        .accounts("acme-42 4999, acme-43 5000, revenue of muster 1, external of muster -10000")
        .await;
}
