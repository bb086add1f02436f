//! Carries end with their owner: what a customer owes below a cent is settled half up once it is
//! closed, or its agreement ends without a successor, on every link; it cannot be lost by spreading
//! calls over many customers.

use crate::world::{Backend, World, on_every_journal, per_unit, postgres_is_here};
use journal::Kind;
use rating::TenantId;
use serde_json::json;

on_every_journal!(
    calls_spread_over_many_customers_are_paid_for,
    a_closed_tenant_leaves_nothing_carried,
    an_agreement_without_a_successor_ends_what_is_carried,
    a_resellers_end_is_its_customers_end,
    what_comes_late_is_settled_again,
);

/// platform ← muster ← customers: 0.99 cents at wholesale, 1.4 at retail.
async fn sold_to(backend: Backend, customers: usize) -> World {
    let world = World::new(backend).await;
    world
        .card("platform", "wholesale", per_unit("sms", "0.0099"))
        .await;
    world
        .reseller("muster", "platform", json!({ "card": "wholesale" }))
        .await;
    world
        .card("muster", "retail", per_unit("sms", "0.014"))
        .await;
    for number in 0..customers {
        world
            .customer(&format!("c{number}"), "muster", json!({ "card": "retail" }))
            .await;
    }
    world
}

/// How many records of settled carries there are.
async fn settlements(world: &World) -> usize {
    world
        .audit()
        .await
        .records
        .iter()
        .filter(|record| record.kind == Kind::CarrySettled)
        .count()
}

async fn sweep(world: &World) {
    assert_eq!(world.engine.sweep_carries(TenantId(0)).await.unwrap(), None);
}

/// Each owes the platform less than a cent.
async fn calls_spread_over_many_customers_are_paid_for(backend: Backend) {
    const CUSTOMERS: usize = 200;
    let world = sold_to(backend, CUSTOMERS).await;
    for number in 0..CUSTOMERS {
        world
            .send(&format!("c{number}"), "sms", "1")
            .gives("rated 1 = platform 0 + muster 1, balance -1")
            .await;
    }
    let customers = |cents: i64| {
        (0..CUSTOMERS)
            .map(|number| format!("c{number} {cents}, "))
            .collect::<String>()
    };
    world
        .accounts(&format!("{}muster 200", customers(-1)))
        .await;
    let carried: Vec<_> = world
        .health()
        .await
        .carried
        .iter()
        .map(|(buyer, sum)| format!("{} {}", world.name(*buyer), sum.in_cents()))
        .collect();
    // What is only in memory has no command that looks at it.
    assert_eq!(
        carried,
        if matches!(backend, Backend::Memory) {
            vec![]
        } else {
            vec!["muster 198".to_owned()]
        }
    );
    for number in 0..CUSTOMERS {
        world.close(&format!("c{number}")).await;
    }
    // 198 cents at wholesale, a cent of each; 0.4 of each at retail are forgiven.
    world
        .accounts(&format!("{}revenue of muster 200", customers(-1)))
        .await;
    assert_eq!(settlements(&world).await, CUSTOMERS);
    sweep(&world).await;
    assert_eq!(settlements(&world).await, CUSTOMERS, "once");
}

async fn a_closed_tenant_leaves_nothing_carried(backend: Backend) {
    let world = sold_to(backend, 2).await;
    world
        .send("c0", "sms", "9")
        .gives("rated 12 = platform 8 + muster 4, balance -12")
        .await;
    world
        .send("c1", "sms", "1")
        .gives("rated 1 = platform 0 + muster 1, balance -1")
        .await;
    // 8.91 and 12.6 cents are owed for the first; nobody else's carry ends.
    world.close("c0").await;
    world
        .accounts("c0 -13, c1 -1, muster 5, revenue of muster 9")
        .await;
    world
        .send("c1", "sms", "1")
        .gives("rated 1 = platform 1 + muster 0, balance -2")
        .await;
    world.close("c1").await;
    world
        .accounts("c0 -13, c1 -3, muster 5, revenue of muster 11")
        .await;
    let audited = world.audit().await;
    assert!(
        audited.links.values().all(|(_, _, carry)| carry.0 == 0),
        "{:?}",
        audited.links
    );
}

async fn an_agreement_without_a_successor_ends_what_is_carried(backend: Backend) {
    let world = sold_to(backend, 0).await;
    for (customer, until) in [
        ("ends", "2026-11-20T12:10:00Z"),
        ("follows", "2026-11-20T12:10:00Z"),
        ("later", "2026-11-20T12:10:00Z"),
    ] {
        world
            .customer(
                customer,
                "muster",
                json!({ "card": "retail", "until": until }),
            )
            .await;
        world
            .send(customer, "sms", "1")
            .gives("rated 1 = platform 0 + muster 1, balance -1")
            .await;
    }
    world
        .agree(
            "follows",
            json!({ "card": "retail", "from": "2026-11-20T12:10:00Z" }),
        )
        .await;
    world
        .agree(
            "later",
            json!({ "card": "retail", "from": "2026-12-01T00:00:00Z" }),
        )
        .await;
    sweep(&world).await;
    assert_eq!(settlements(&world).await, 0, "none has ended");
    world.pass(600);
    sweep(&world).await;
    sweep(&world).await;
    assert_eq!(settlements(&world).await, 1);
    world
        .accounts("ends -1, follows -1, later -1, muster 2, revenue of muster 1")
        .await;
}

async fn a_resellers_end_is_its_customers_end(backend: Backend) {
    let world = sold_to(backend, 2).await;
    world
        .reseller(
            "agent",
            "platform",
            json!({ "card": "wholesale", "until": "2026-11-20T12:10:00Z" }),
        )
        .await;
    world
        .reseller("sub", "agent", json!({ "commission_bp": 5000 }))
        .await;
    world
        .card("sub", "retail-sub", per_unit("sms", "0.014"))
        .await;
    world
        .customer("deep", "sub", json!({ "card": "retail-sub" }))
        .await;
    world
        .send("deep", "sms", "1")
        .gives("rated 1 = platform 0 + agent 0 + sub 1, balance -1")
        .await;
    world
        .send("c0", "sms", "1")
        .gives("rated 1 = platform 0 + muster 1, balance -1")
        .await;
    world.pass(600);
    sweep(&world).await;
    // 1.4 cents at retail, 0.7 of them the agent's, 0.99 the platform's.
    world
        .accounts(
            "deep -1, agent 0, c0 -1, muster 1, revenue of agent 1"
                .replace("agent 0, ", "")
                .as_str(),
        )
        .await;
    assert_eq!(settlements(&world).await, 1);
}

async fn what_comes_late_is_settled_again(backend: Backend) {
    let world = sold_to(backend, 1).await;
    world
        .send("c0", "sms", "1")
        .gives("rated 1 = platform 0 + muster 1, balance -1")
        .await;
    world.pass(60);
    world.close("c0").await;
    world.accounts("c0 -1, revenue of muster 1").await;
    // It happened before the end, and carries on from nothing.
    let late = world
        .send("c0", "sms", "1")
        .at("2026-11-20T12:00:30Z")
        .id("late");
    late.gives("rated 1 = platform 0 + muster 1, balance -2")
        .await;
    sweep(&world).await;
    world.accounts("c0 -2, revenue of muster 2").await;
    // A void of what was settled leaves a carry, which ends like any other.
    world
        .void("late")
        .gives("-2 = platform -1 + muster -1, balance 0")
        .await;
    sweep(&world).await;
    sweep(&world).await;
    let audited = world.audit().await;
    assert!(
        audited.links.values().all(|(_, _, carry)| carry.0 == 0),
        "{:?}",
        audited.links
    );
    assert_eq!(settlements(&world).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_processes_settle_what_is_carried_once() {
    if !postgres_is_here().await {
        return;
    }
    let world = sold_to(Backend::Postgres, 12).await;
    for number in 0..12 {
        world
            .send(&format!("c{number}"), "sms", "1")
            .gives("rated 1 = platform 0 + muster 1, balance -1")
            .await;
        world
            .catalog
            .close_tenant(&world.actor(), world.tenant(&format!("c{number}")).id)
            .await
            .unwrap();
    }
    let other = world.beside().await;
    let (one, two) = tokio::join!(
        world.engine.sweep_carries(TenantId(0)),
        other.engine.sweep_carries(TenantId(0))
    );
    assert_eq!((one, two), (Ok(None), Ok(None)));
    assert_eq!(settlements(&world).await, 12);
}
