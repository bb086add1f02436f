//! A void or a correction reaches up only as far as its author sells: what the platform's switch
//! reported is owed to the platform, whatever a reseller gives back to its own customers.

use crate::world::{Backend, World, on_every_journal};
use serde_json::json;

on_every_journal!(
    upper_links_stand_and_the_platform_takes_them_back,
    a_correction_below_prices_its_own_links_only,
    a_kept_event_is_voided_as_far_as_its_author_sells,
);

async fn upper_links_stand_and_the_platform_takes_them_back(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("beta", "600")
        .id("x")
        .gives("rated 400 = platform 225 + agent 75 + sub-agent 100, balance -400")
        .await;
    world
        .void("x")
        .by("beta")
        .gives("refused beyond_reach")
        .await;
    let back = "-400 = sub-agent -400, balance 0";
    world.void("x").by("sub-agent").key("1").gives(back).await;
    world.void("x").by("sub-agent").key("1").gives(back).await;
    world
        .void("x")
        .by("sub-agent")
        .key("2")
        .gives("refused already_voided")
        .await;
    let rest = "acme-42 5000, acme-43 5000, external of muster -10000";
    world
        .accounts(&format!(
            "{rest}, sub-agent -300, agent 75, revenue of agent 225"
        ))
        .await;
    world
        .void("x")
        .by("agent")
        .key("3")
        .gives("0 = agent -300 + sub-agent 300, balance 0")
        .await;
    world
        .accounts(&format!("{rest}, agent -225, revenue of agent 225"))
        .await;
    world
        .void("x")
        .by("agent")
        .key("4")
        .gives("refused already_voided")
        .await;
    world
        .void("x")
        .key("5")
        .gives("0 = platform -225 + agent 225, balance 0")
        .await;
    world
        .void("x")
        .key("6")
        .gives("refused already_voided")
        .await;
    world.accounts(rest).await;
}

async fn a_correction_below_prices_its_own_links_only(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("x")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    let right = || world.call("acme-42", "60").id("x-2");
    let want = "-400 = muster -400, balance 5000; 40 = muster 40, balance 4960";
    world.void("x").by("muster").corrects(right(), want).await;
    let rest = "acme-43 5000, external of muster -10000";
    world
        .accounts(&format!(
            "{rest}, acme-42 4960, muster -260, revenue of muster 300"
        ))
        .await;
    // Corrected again, it is still about those links alone; so is the platform's own correction of
    // it.
    let want = "-40 = muster -40, balance 5000; 80 = muster 80, balance 4920";
    world
        .void("x-2")
        .by("muster")
        .corrects(world.call("acme-42", "120").id("x-3"), want)
        .await;
    let want = "-80 = muster -80, balance 5000; 40 = muster 40, balance 4960";
    world
        .void("x-3")
        .corrects(world.call("acme-42", "60").id("x-4"), want)
        .await;
    world
        .void("x")
        .key("all")
        .gives("0 = platform -300 + muster 300, balance 4960")
        .await;
    world
        .accounts(&format!("{rest}, acme-42 4960, muster 40"))
        .await;
}

async fn a_kept_event_is_voided_as_far_as_its_author_sells(backend: Backend) {
    let world = World::reference(backend).await;
    world.meter("fax", json!({ "unit": "page" })).await;
    let fax = || world.send("acme-42", "fax", "3").id("f");
    fax().gives("unrated no_rate").await;
    world.void("f").by("muster").gives("nothing").await;
    world
        .void("f")
        .by("muster")
        .key("2")
        .gives("refused already_voided")
        .await;
    for (card, price) in [("retail", "0.10"), ("wholesale", "0.05")] {
        world
            .publish(
                card,
                "2026-11-01T00:00:00Z",
                crate::world::per_unit("fax", price),
            )
            .await;
    }
    assert_eq!(world.rate_again("muster").await, "rated 1");
    world
        .accounts(
            "acme-42 5000, acme-43 5000, external of muster -10000, muster -15, revenue of \
        muster 15",
        )
        .await;
    world
        .void("f")
        .key("3")
        .gives("0 = platform -15 + muster 15, balance 5000")
        .await;
    assert_eq!(world.rate_again("muster").await, "rated 0");
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

mod over_http {
    use crate::http_world::{Market, call, on_every_database};
    use crate::unpaid_usage::MONTH_LATER;
    use serde_json::json;

    on_every_database!(a_resellers_keys_do_not_erase_what_it_owes);

    async fn a_resellers_keys_do_not_erase_what_it_owes(market: Market) {
        for (id, key) in [
            ("by-admin", "muster admin"),
            ("by-switch", "muster usage"),
            ("corrected", "muster admin"),
        ] {
            let before = market.balance("muster").await;
            market
                .admin()
                .post("/v1/usage-events", call(id, "acme-42", "4284"))
                .await
                .ok();
            let owed = 2160;
            let (path, customer) = (
                format!("/v1/usage-events/default/{id}"),
                market.balance("acme-42").await,
            );
            let answer = if id == "corrected" {
                let event = call("corrected-2", "acme-42", "0");
                market
                    .by(key)
                    .once(id)
                    .post(
                        &format!("{path}/correct"),
                        json!({ "reason": "gone", "event": event }),
                    )
                    .await
            } else {
                market
                    .by(key)
                    .once(id)
                    .post(&format!("{path}/void"), json!({ "reason": "gone" }))
                    .await
            };
            assert_eq!(answer.ok()["void"]["debit_cents"], json!(-2880), "{id}");
            assert_eq!(market.balance("acme-42").await, customer + 2880, "{id}");
            assert_eq!(market.balance("muster").await, before - owed, "{id}");
            let explained = market.admin().get(&path).await.ok();
            assert_eq!(
                (&explained["status"], &explained["stands"]),
                (&json!("partly_voided"), &json!(["muster"])),
                "{id}"
            );
            let refused = market
                .by("acme-42 admin")
                .once("x")
                .post(&format!("{path}/void"), json!({ "reason": "gone" }))
                .await;
            assert_eq!(refused.code(), "403 forbidden", "{id}");
        }
        market.served.set_clock(MONTH_LATER);
        assert_eq!(
            (
                market.revenue("muster").await,
                market.balance("muster").await
            ),
            (3 * 2160, -3 * 2160)
        );
        assert_eq!(
            market.payable("muster").await,
            "-6480 - 0 - 0 = 0 payable, 6480 debt"
        );
    }
}
