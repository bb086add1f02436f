//! What builds before this one left behind: the same books, and what this build does with them.

use crate::served::Served;
use crate::world::{Backend, World, on_every_journal, prices};
use ledger::AccountKey;
use metering::requests::{MoneyKind, MoveMoney};
use rating::{Cents, Currency};
use serde_json::{Value, json};

/// A data directory of the build of 2026-11-28, when a customer of a seller that collects itself
/// had one balance for what the seller holds and what the platform does. muster (wholesale, 0.05
/// per SMS) sells at 0.08 to acme (collected by the platform), own, owes and idle (by muster), and
/// to sub (commission, by muster), which sells at 0.12 to deep.
const BEFORE: &str = include_str!("../fixtures/before_2026_11_28.sql");
const KEY: &str = "cw_sf93jandevfe6qz9yjyqnyycdmdts4pmfz05yjfdz29qdqnatvm0";
const LATER: &str = "2026-11-29T04:00:00Z";

/// `own book 1576 available 2576`, and what its other account has.
async fn account(served: &Served, tenant: &str) -> String {
    let shown = served
        .admin
        .get(&format!("/v1/accounts/{tenant}"))
        .await
        .ok();
    let held = |held: &Value| {
        if *held == 0 {
            String::new()
        } else {
            format!(" held {held}")
        }
    };
    let available = shown["available_cents"]
        .as_i64()
        .map(|cents| format!(" available {cents}"))
        .unwrap_or_default();
    let other = match &shown["other"] {
        Value::Null => String::new(),
        other => format!(
            ", {} {}{}",
            other["account"].as_str().unwrap(),
            other["posted_cents"],
            held(&other["held_cents"])
        ),
    };
    let (kind, posted) = (shown["account"].as_str().unwrap(), &shown["posted_cents"]);
    format!(
        "{tenant} {kind} {posted}{}{available}{other}",
        held(&shown["held_cents"])
    )
}

fn sms(id: &str, customer: &str, quantity: &str) -> Value {
    json!({ "id": id, "customer": customer, "meter": "sms", "quantity": quantity, "at": "2026-11-29T03:45:00Z" })
}

async fn sound(served: &Served) {
    for check in transfer::audit::verify(served.running.app.catalog.db())
        .await
        .unwrap()
    {
        assert!(check.ok, "{check:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_in_resellers_books_becomes_an_account_of_its_own() {
    let served = Served::left(BEFORE, KEY, LATER).await;
    sound(&served).await;
    for want in [
        "acme balance 4920 available 4920",
        // Holds from before the upgrade stay where they were placed, and end there.
        "own book 1576 available 2576, balance 0 held 240",
        "owes book -200 available 800",
        "sub book 937 available 937, balance 0 held 45",
        "deep book -84 available 416, balance 0 held 60",
        "idle book 0 available 0",
        "muster balance 2605 held 175 available 2430",
    ] {
        assert_eq!(
            account(&served, want.split_once(' ').unwrap().0).await,
            want
        );
    }
    let entries = served
        .admin
        .get("/v1/accounts/own/statement?from=2026-11-28T00:00:00Z")
        .await
        .ok();
    assert_eq!(
        (
            &entries["entries"][0]["kind"],
            &entries["entries"][0]["cents"]
        ),
        (&json!("reclassification"), &json!(1576))
    );

    // Opened once more: nothing moves again.
    let records = served.running.app.engine.reclassify().await.unwrap();
    let again = served.restarted(LATER).await;
    assert_eq!(
        (records, account(&again, "own").await.as_str()),
        (0, "own book 1576 available 2576, balance 0 held 240")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_and_events_from_before_end_right_in_the_book() {
    let served = Served::left(BEFORE, KEY, LATER).await;
    let admin = &served.admin;
    // Usage carries its hold's id.
    let captured = admin
        .post("/v1/usage-events", json!([sms("h-1", "own", "10")]))
        .await
        .ok();
    assert_eq!(
        (
            &captured["data"][0]["debit_cents"],
            &captured["data"][0]["balance_cents"]
        ),
        (&json!(80), &json!(1496))
    );
    assert_eq!(
        account(&served, "own").await,
        "own book 1496 available 2496, balance 0 held 160"
    );
    admin
        .once("r")
        .post("/v1/holds/h-2/release", json!({}))
        .await
        .ok();
    assert_eq!(
        account(&served, "own").await,
        "own book 1496 available 2496"
    );
    served.set_clock("2026-12-06T04:00:00Z");
    served.running.app.engine.sweep_holds().await.unwrap();
    assert_eq!(
        account(&served, "deep").await,
        "deep book -84 available 416"
    );
    assert_eq!(account(&served, "sub").await, "sub book 937 available 937");
    // A void gives back to the book, never to what the platform holds.
    let voided = admin
        .once("v")
        .post(
            "/v1/usage-events/default/o-1/void",
            json!({ "reason": "wrong", "customer": "own" }),
        )
        .await
        .ok();
    assert_eq!(voided["void"]["balance_cents"], 1896, "{voided}");
    assert_eq!(
        account(&served, "own").await,
        "own book 1896 available 2896"
    );
    sound(&served).await;
}

/// As the migration lists it.
async fn list(world: &World, name: &str) {
    let tenant = world.tenant(name);
    let row = format!(
        "insert into reclassifications (root_id, tenant_id, currency) values ({}, {}, 'EUR')",
        tenant.root.0, tenant.id.0
    );
    world.sql(&row).await;
}

async fn on_balance(world: &World, name: &str, cents: i64) {
    let tenant = world.tenant(name);
    let (account, reason) = (
        AccountKey::balance(tenant.id, Currency::EUR),
        "before".to_owned(),
    );
    let key = format!("b{}", world.next_id());
    let command = MoveMoney {
        kind: MoneyKind::Adjustment,
        key,
        account,
        root: tenant.root,
        cents: Cents(cents),
        reason,
    };
    world.engine.move_money(command).await.unwrap();
}

on_every_journal!(each_balance_is_moved_once_whoever_comes_first);

async fn each_balance_is_moved_once_whoever_comes_first(backend: Backend) {
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
            json!({ "card": "wholesale", "collect": "reseller" }),
        )
        .await;
    world
        .card("muster", "retail", prices("0.40", "0.15", "1.50", "0.08"))
        .await;
    for name in ["owns", "owes", "was", "never"] {
        world
            .customer(
                name,
                "muster",
                json!({ "card": "retail", "collect": "reseller", "until": "2026-11-01T00:00:00Z" }),
            )
            .await;
    }
    world
        .agree(
            "owns",
            json!({ "card": "retail", "collect": "reseller", "from": "2026-11-01T00:00:00Z" }),
        )
        .await;
    world
        .agree(
            "was",
            json!({ "card": "retail", "from": "2026-11-01T00:00:00Z" }),
        )
        .await;
    for (name, cents) in [("owns", 500), ("owes", -300), ("was", 70), ("muster", 1000)] {
        on_balance(&world, name, cents).await;
    }
    for name in ["owns", "owes", "was", "never"] {
        list(&world, name).await;
    }
    let first = world.engine.reclassify().await.unwrap();
    let books =
        "book of owns 500, book of owes -300, was 70, muster 1000, external of muster -1270";
    world.accounts(books).await;
    // What comes to a balance later is the platform's: the same names do nothing more.
    on_balance(&world, "owns", 40).await;
    list(&world, "owns").await;
    let second = world.engine.reclassify().await.unwrap();
    assert_eq!((first, second), (2, 0));
    world
        .accounts(
            "owns 40, book of owns 500, book of owes -300, was 70, muster 1000, external \
        of muster -1310",
        )
        .await;
}
