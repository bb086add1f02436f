//! Voids and corrections.

use crate::world::{Backend, World, on_every_journal, one_rate, per_unit};
use rating::{Carry, Exact};
use serde_json::json;

on_every_journal!(
    a_void_gives_back_on_every_link,
    a_void_in_the_middle_of_a_graduated_tier,
    a_void_is_priced_by_the_version_that_charged,
    voids_leave_no_fraction_behind,
    a_correction_restores_exactly,
    a_correction_that_cannot_be_priced_changes_nothing,
    the_key_of_a_void_is_no_key_of_a_correction,
    kept_usage_is_voided_for_good,
    usage_rated_later_is_voided_once,
    only_what_the_caller_sees_is_voided,
    a_void_of_ones_own_links_is_paid_for,
);

async fn a_void_gives_back_on_every_link(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("beta", "600")
        .id("x")
        .gives("rated 400 = platform 225 + agent 75 + sub-agent 100, balance -400")
        .await;
    world
        .call("acme-42", "60")
        .id("y")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    let back = "-400 = platform -225 + agent -75 + sub-agent -100, balance 0";
    world.void("x").gives(back).await;
    world.void("x").gives(back).await;
    world
        .void("x")
        .key("another")
        .gives("refused already_voided")
        .await;
    world
        .void("y")
        .key("void-x")
        .gives("-40 = platform -30 + muster -10, balance 5000")
        .await;
    world.void("void-x").gives("refused not_found").await;
    world.void("z").gives("refused not_found").await;
    world
        .void("x")
        .source("pbx")
        .gives("refused not_found")
        .await;
    // Voided is not forgotten: the same event again is a duplicate.
    world
        .call("beta", "600")
        .id("x")
        .gives("duplicate 400 = platform 225 + agent 75 + sub-agent 100, balance 0")
        .await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
    // Within one root a key belongs to one void.
    world
        .call("acme-42", "60")
        .id("v")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    world
        .void("v")
        .key("void-x")
        .gives("refused idempotency_conflict")
        .await;
}

async fn tiers(backend: Backend) -> World {
    let world = World::new(backend).await;
    let tiers = json!({ "model": "graduated", "tiers": [{ "up_to": "100", "unit_price": "0.10" }, { "unit_price": "0.05" }] });
    world
        .card("platform", "tiers", one_rate("api_call", tiers))
        .await;
    world
        .customer("acme", "platform", json!({ "card": "tiers" }))
        .await;
    world
}

async fn a_void_in_the_middle_of_a_graduated_tier(backend: Backend) {
    let world = tiers(backend).await;
    world
        .send("acme", "api_call", "80")
        .id("a")
        .gives("rated 800 = platform 800, balance -800")
        .await;
    world
        .send("acme", "api_call", "40")
        .id("b")
        .gives("rated 300 = platform 300, balance -1100")
        .await;
    world
        .send("acme", "api_call", "30")
        .id("c")
        .gives("rated 150 = platform 150, balance -1250")
        .await;
    // 150 → 70: 50 from the dear tier's end, 30 from the cheap one. What is left is P(70).
    world
        .void("a")
        .gives("-550 = platform -550, balance -700")
        .await;
    // 70 → 30.
    world
        .void("b")
        .gives("-400 = platform -400, balance -300")
        .await;
    world
        .void("c")
        .gives("-300 = platform -300, balance 0")
        .await;
    world
        .send("acme", "api_call", "0")
        .gives("rated 0 = platform 0, balance 0")
        .await;
    world.accounts("").await;
}

async fn a_void_is_priced_by_the_version_that_charged(backend: Backend) {
    let world = tiers(backend).await;
    world
        .send("acme", "api_call", "80")
        .id("a")
        .at("2026-11-20T10:00:00Z")
        .gives("rated 800 = platform 800, balance -800")
        .await;
    world
        .publish(
            "tiers",
            "2026-11-20T11:00:00Z",
            per_unit("api_call", "0.01"),
        )
        .await;
    world
        .send("acme", "api_call", "100")
        .id("b")
        .gives("rated 100 = platform 100, balance -900")
        .await;
    // Eighty of the first version, from zero on; b costs the same wherever it begins.
    world
        .void("a")
        .gives("-800 = platform -800, balance -100")
        .await;
    world
        .void("b")
        .gives("-100 = platform -100, balance 0")
        .await;
    world.audit().await;
}

async fn voids_leave_no_fraction_behind(backend: Backend) {
    let world = World::new(backend).await;
    world
        .reseller("upper", "platform", json!({ "commission_bp": 3333 }))
        .await;
    world
        .card("upper", "odd", per_unit("api_call", "0.0037"))
        .await;
    world
        .customer("acme", "upper", json!({ "card": "odd" }))
        .await;
    let events: Vec<_> = (1..=30)
        .map(|n| {
            world
                .send("acme", "api_call", &n.to_string())
                .id(&format!("e{n}"))
        })
        .collect();
    world.batch(&events).await;
    for n in (1..=30).rev().step_by(2).chain((1..30).step_by(2)) {
        world.void(&format!("e{n}")).text().await;
    }
    world.accounts("").await;
    for (link, (exact, posted, carry)) in world.audit().await.links {
        assert_eq!(
            (exact, posted.0, carry),
            (Exact::ZERO, 0, Carry::ZERO),
            "{link:?}"
        );
    }
}

async fn a_correction_restores_exactly(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    let right = || world.call("acme-42", "540").id("x-2");
    let want = "-400 = platform -300 + muster -100, balance 5000; 360 = platform 270 + muster 90, \
        balance 4640";
    world.void("x").corrects(right(), want).await;
    // A retry tells the same moves, at the present balance.
    let again = "-400 = platform -300 + muster -100, balance 4640; 360 = platform 270 + muster \
        90, balance 4640";
    world.void("x").corrects(right(), again).await;
    world
        .void("x")
        .key("other")
        .corrects(right(), "refused already_voided")
        .await;
    // To another customer.
    let other = world.call("acme-43", "540").id("x-3");
    let want = "-360 = platform -270 + muster -90, balance 5000; 360 = platform 270 + muster 90, \
        balance 4640";
    world.void("x-2").corrects(other, want).await;
    world
        .accounts(
            "acme-42 5000, acme-43 4640, muster 90, revenue of muster 270, external of \
        muster -10000",
        )
        .await;
}

async fn a_correction_that_cannot_be_priced_changes_nothing(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    world
        .send("acme-42", "sms", "1")
        .id("y")
        .gives("rated 8 = platform 5 + muster 3, balance 4592")
        .await;
    let table = [
        (world.call("nobody", "540"), "refused not_rated"),
        (world.send("acme-42", "fax", "540"), "refused unknown_meter"),
        (
            world.call("acme-42", "540").at("2026-11-20T13:00:00Z"),
            "refused future_event",
        ),
        // The new event needs an id of its own.
        (world.call("acme-42", "540").id("x"), "refused id_conflict"),
        (world.call("acme-42", "600").id("x"), "refused id_conflict"),
        (
            world.send("acme-42", "sms", "1").id("y"),
            "refused id_conflict",
        ),
        (
            world.send("acme-42", "sms", "2").id("y"),
            "refused id_conflict",
        ),
    ];
    for (event, want) in table {
        world.void("x").corrects(event, want).await;
    }
    world
        .accounts(
            "acme-42 4592, acme-43 5000, muster 103, revenue of muster 305, external of \
        muster -10000",
        )
        .await;
    let want = "-400 = platform -300 + muster -100, balance 4992; 40 = platform 30 + muster 10, \
        balance 4952";
    world
        .void("x")
        .corrects(world.call("acme-42", "60"), want)
        .await;
    world.audit().await;
}

async fn the_key_of_a_void_is_no_key_of_a_correction(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    world
        .void("x")
        .gives("-400 = platform -300 + muster -100, balance 5000")
        .await;
    world
        .void("x")
        .corrects(
            world.call("acme-42", "540").id("x-2"),
            "refused idempotency_conflict",
        )
        .await;
    world
        .call("acme-42", "60")
        .id("y")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    let want =
        "-40 = platform -30 + muster -10, balance 5000; 80 = platform 60 + muster 20, balance 4920";
    world
        .void("y")
        .corrects(world.call("acme-42", "120").id("y-2"), want)
        .await;
    world
        .void("y")
        .corrects(
            world.call("acme-42", "180").id("y-3"),
            "refused idempotency_conflict",
        )
        .await;
    world
        .accounts(
            "acme-42 4920, acme-43 5000, muster 20, revenue of muster 60, external of \
        muster -10000",
        )
        .await;
    world.audit().await;
}

async fn kept_usage_is_voided_for_good(backend: Backend) {
    let world = World::reference(backend).await;
    world.meter("fax", json!({ "unit": "page" })).await;
    let fax = || world.send("acme-42", "fax", "3").id("f");
    fax().gives("unrated no_rate").await;
    world.void("f").gives("nothing").await;
    world.void("f").gives("nothing").await;
    world
        .void("f")
        .key("other")
        .gives("refused already_voided")
        .await;
    world
        .publish("retail", "2026-11-01T00:00:00Z", per_unit("fax", "0.10"))
        .await;
    world
        .publish("wholesale", "2026-11-01T00:00:00Z", per_unit("fax", "0.05"))
        .await;
    fax().gives("unrated voided again").await;
    assert_eq!(world.rate_again("muster").await, "rated 0");
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn usage_rated_later_is_voided_once(backend: Backend) {
    // Kept under the platform's root and rated under its customer's, or kept and rated under one.
    for sender in ["platform", "muster"] {
        let world = World::reference(backend).await;
        let sms = || world.send("new", "sms", "10").id("x").by(sender);
        sms().gives("unrated unknown_customer").await;
        world
            .customer("new", "muster", json!({ "card": "retail" }))
            .await;
        sms()
            .gives("rated 80 = platform 50 + muster 30, balance -80")
            .await;
        let back = "-80 = platform -50 + muster -30, balance 0";
        world.void("x").gives(back).await;
        world.void("x").gives(back).await;
        world.void("x").of("new").gives(back).await;
        world
            .void("x")
            .of("new")
            .key("2")
            .gives("refused already_voided")
            .await;
        world
            .void("x")
            .by("muster")
            .key("3")
            .gives("refused already_voided")
            .await;
        world
            .void("x")
            .key("4")
            .gives("refused already_voided")
            .await;
        world
            .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
            .await;
    }
}

async fn only_what_the_caller_sees_is_voided(backend: Backend) {
    let world = World::reference(backend).await;
    for root in ["acme-42", "beta"] {
        world.send(root, "sms", "100").id("x").text().await;
    }
    for stranger in ["acme-43", "agent"] {
        world
            .void("x")
            .of("acme-42")
            .by(stranger)
            .gives("refused not_found")
            .await;
    }
    world
        .void("x")
        .by("acme-43")
        .gives("refused not_found")
        .await;
    // One id in two roots: the customer tells which.
    world
        .void("x")
        .of("beta")
        .gives("-800 = platform -450 + agent -150 + sub-agent -200, balance 0")
        .await;
    // The platform reported it: what muster owes for it is not muster's to take back.
    world
        .void("x")
        .of("acme-42")
        .by("muster")
        .gives("-800 = muster -800, balance 5000")
        .await;
    world
        .accounts(
            "acme-42 5000, acme-43 5000, muster -500, revenue of muster 500, external of \
        muster -10000",
        )
        .await;
}

/// The customer would have its money again, and its seller no end of debt.
async fn a_void_of_ones_own_links_is_paid_for(backend: Backend) {
    let world = World::new(backend).await;
    world
        .card("platform", "wholesale", per_unit("sms", "0.05"))
        .await;
    world
        .card("platform", "retail", per_unit("sms", "0.08"))
        .await;
    for (seller, terms) in [
        ("buys", json!({ "card": "wholesale" })),
        ("shares", json!({ "commission_bp": 3750 })),
    ] {
        let (customer, limited) = (format!("{seller}-kiosk"), |mut terms: serde_json::Value| {
            terms["credit_limit"] = json!(0);
            terms
        });
        world.reseller(seller, "platform", limited(terms)).await;
        world
            .customer(
                &customer,
                seller,
                json!({ "card": "retail", "credit_limit": 0 }),
            )
            .await;
        world.top_up(&customer, 1000).await;
        let (a, b) = (format!("{seller}-a"), format!("{seller}-b"));
        world
            .send(&customer, "sms", "100")
            .id(&a)
            .gives(&format!(
                "rated 800 = platform 500 + {seller} 300, balance 200"
            ))
            .await;
        world
            .void(&a)
            .by(seller)
            .gives("refused insufficient_balance")
            .await;
        world
            .void(&a)
            .by(seller)
            .key("again")
            .gives("refused insufficient_balance")
            .await;
        // With money of its own it gives back what it likes; what it reported itself goes back all
        // the way.
        world.top_up(seller, 500).await;
        world
            .void(&a)
            .by(seller)
            .gives(&format!("-800 = {seller} -800, balance 1000"))
            .await;
        world
            .send(&customer, "sms", "100")
            .id(&b)
            .by(seller)
            .gives(&format!(
                "rated 800 = platform 500 + {seller} 300, balance 200"
            ))
            .await;
        world
            .void(&b)
            .by(seller)
            .gives(&format!(
                "-800 = platform -500 + {seller} -300, balance 1000"
            ))
            .await;
        // A correction is paid for by what it comes to.
        let (c, d) = (format!("{seller}-c"), format!("{seller}-d"));
        world.send(&customer, "sms", "100").id(&c).text().await;
        let other = |count: &str| world.send(&customer, "sms", count).id(&d);
        world
            .void(&c)
            .by(seller)
            .corrects(other("1"), "refused insufficient_balance")
            .await;
        let want = format!("-800 = {seller} -800, balance 1000; 792 = {seller} 792, balance 208");
        world.void(&c).by(seller).corrects(other("99"), &want).await;
        // It reported that one itself, but the link above the first stands.
        world
            .void(&d)
            .by(seller)
            .gives("refused insufficient_balance")
            .await;
    }
    world.audit().await;
}
