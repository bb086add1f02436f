//! 64 writers against one prepaid account: usage and holds, never below the limit, not one cent
//! off.

use crate::http_world::{Market, call};
use crate::served::Asking;
use crate::world::{Backend, World, on_every_journal, postgres_is_here};
use metering::requests::Outcome;
use serde_json::json;
use std::sync::Arc;

on_every_journal!(
    an_account_never_goes_below_its_limit,
    the_same_event_from_all_sides_is_posted_once
);

const WRITERS: usize = 64;
const COMMANDS: usize = 12;
const BATCHES: usize = 25;

/// What one writer knows it spent: cents of the events that were rated.
async fn write(world: Arc<World>, writer: usize) -> i64 {
    let mut spent = 0;
    for command in 0..COMMANDS {
        let id = format!("w{writer}-{command}");
        let call = world
            .call("acme", &(60 * (1 + (writer + command) % 3)).to_string())
            .id(&id);
        let answers = match (writer + command) % 4 {
            // A call that was allowed to start is posted, whatever others did meanwhile.
            0 => match call.hold(3600).await {
                Ok(_) => world.answers(&[call]).await,
                Err(problem) => {
                    assert_eq!(problem.code.as_str(), "insufficient_balance");
                    continue;
                }
            },
            1 => {
                if call.hold(3600).await.is_ok() {
                    let _released = world.release(&id, "r").await;
                }
                continue;
            }
            2 => vec![
                world.answers(std::slice::from_ref(&call)).await.remove(0),
                world.answers(&[call]).await.remove(0),
            ],
            _ => {
                world
                    .answers(&[
                        call,
                        world.send("acme", "sms", "3").id(&format!("{id}-sms")),
                    ])
                    .await
            }
        };
        for answer in answers {
            match answer.outcome {
                Outcome::Rated(posted) => {
                    assert!(posted.balance.0 >= 0, "{posted:?}");
                    spent += posted.debit.0;
                }
                Outcome::Duplicate(_) => {}
                Outcome::PartlyRated { open, .. } => assert_eq!(open[0].reason, "exhausted"),
                Outcome::Unrated { reason, .. } => assert_eq!(reason, "exhausted"),
                Outcome::Rejected(problem) => panic!("{problem:?}"),
            }
        }
    }
    spent
}

async fn an_account_never_goes_below_its_limit(backend: Backend) {
    let world = Arc::new(World::reference(backend).await);
    sell_out(&world, &Arc::clone(&world)).await;
}

/// Half of the writers go through another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_never_goes_below_its_limit_over_two_engines() {
    if postgres_is_here().await {
        let world = Arc::new(World::reference(Backend::Postgres).await);
        let other = Arc::new(world.beside().await);
        sell_out(&world, &other).await;
    }
}

/// Under serializable the database undoes batches for the sake of others, although their roots are
/// locked: every lane of both processes gets through with all of its batches, and nothing is posted
/// twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_batches_that_were_undone_begin_again() {
    if !postgres_is_here().await {
        return;
    }
    let world = World::reference(Backend::Postgres).await;
    let processes = [
        world.beside_serializable().await,
        world.beside_serializable().await,
    ];
    let sell = async |seller: usize| {
        let process = &processes[seller % 2];
        for batch in 0..BATCHES {
            let sms = |customer| {
                process
                    .send(customer, "sms", "1")
                    .id(&format!("{seller}-{batch}-{customer}"))
            };
            let answers = process
                .batch(&["acme-42", "beta", "acme-43"].map(sms))
                .await;
            assert!(
                answers.iter().all(|answer| answer.starts_with("rated")),
                "{answers:?}"
            );
        }
    };
    tokio::join!(sell(0), sell(1), sell(2), sell(3));
    let audited = world.audit().await;
    for (customer, before) in [("acme-42", 5000), ("beta", 0), ("acme-43", 5000)] {
        let account = ledger::AccountKey::balance(world.tenant(customer).id, rating::Currency::EUR);
        assert_eq!(
            audited.accounts[&account].posted.0,
            before - 8 * (4 * BATCHES) as i64,
            "{customer}"
        );
    }
}

async fn sell_out(world: &Arc<World>, other: &Arc<World>) {
    world
        .customer(
            "acme",
            "muster",
            json!({ "card": "retail", "credit_limit": 0, "on_exhausted": "refuse" }),
        )
        .await;
    world.top_up("acme", 10_000).await;
    let tenants = world.tenants.lock().unwrap().clone();
    *other.tenants.lock().unwrap() = tenants;
    let through = |writer: usize| {
        Arc::clone(if writer.is_multiple_of(2) {
            world
        } else {
            other
        })
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(through(writer), writer)))
        .collect();
    let mut spent = 0;
    for writer in writers {
        spent += writer.await.unwrap();
    }
    let audited = world.audit().await;
    let account = ledger::AccountKey::balance(world.tenant("acme").id, rating::Currency::EUR);
    let balance = audited.accounts[&account];
    assert_eq!(balance.posted.0, 10_000 - spent);
    assert_eq!(balance.held.0, 0, "every hold was captured or released");
    assert!(
        (0..40).contains(&balance.posted.0),
        "it was spent down to less than a minute: {}",
        balance.posted
    );
}

async fn the_same_event_from_all_sides_is_posted_once(backend: Backend) {
    let world = Arc::new(World::reference(backend).await);
    let senders: Vec<_> = (0..WRITERS)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.call("acme-42", "600").id("once").text().await })
        })
        .collect();
    let mut rated = 0;
    for sender in senders {
        rated += usize::from(sender.await.unwrap().starts_with("rated"));
    }
    assert_eq!(rated, 1);
    world
        .accounts(
            "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of \
        muster -10000",
        )
        .await;
}

/// The same over HTTP: every writer has a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_never_goes_below_its_limit_over_http() {
    let market = Market::new().await;
    let servers = vec![market.admin().clone()];
    spend_all(&market, servers).await;
}

/// Two processes serve the same account at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_never_goes_below_its_limit_over_two_processes() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let other = market.served.beside().await;
    let servers = vec![market.admin().clone(), other.admin.clone()];
    spend_all(&market, servers).await;
}

/// 64 writers, each at one of the servers.
async fn spend_all(market: &Market, servers: Vec<Asking>) {
    let wholesale = market.id("wholesale").to_owned();
    market
        .admin()
        .post("/v1/tenants", json!({ "external_id": "strict", "kind": "customer", "name": "s", "parent": "platform" }))
        .await
        .ok();
    let terms = json!({ "buyer": "strict", "currency": "EUR", "rate_card": wholesale, "credit_limit_cents": 0, "on_exhausted": "refuse", "from": "2026-01-01T00:00:00Z" });
    market.admin().post("/v1/agreements", terms).await.ok();
    let top_up =
        json!({ "tenant": "strict", "cents": 10_000, "currency": "EUR", "reason": "cash" });
    market
        .admin()
        .once("t")
        .post("/v1/top-ups", top_up)
        .await
        .ok();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write_over_http(
                servers[writer % servers.len()].clone(),
                writer,
            ))
        })
        .collect();
    let mut spent = 0;
    for writer in writers {
        spent += writer.await.unwrap();
    }
    let account = market.admin().get("/v1/accounts/strict").await.ok();
    assert_eq!(
        (
            account["posted_cents"].as_i64(),
            account["held_cents"].as_i64()
        ),
        (Some(10_000 - spent), Some(0))
    );
    assert!(
        (0..30).contains(&(10_000 - spent)),
        "it was spent down to less than a minute: {spent}"
    );
}

async fn write_over_http(server: Asking, writer: usize) -> i64 {
    let mut spent = 0;
    for command in 0..COMMANDS {
        let id = format!("w{writer}-{command}");
        let event = call(
            &id,
            "strict",
            &(60 * (1 + (writer + command) % 3)).to_string(),
        );
        if (writer + command).is_multiple_of(3) {
            let placed = server
                .once(&id)
                .post("/v1/holds", json!({ "usage": event, "ttl_secs": 600 }))
                .await;
            if placed.code() == "402 insufficient_balance" {
                continue;
            }
            assert_eq!(placed.code(), "201");
        }
        let answer = server.post("/v1/usage-events", event).await;
        match answer.status {
            201 => {
                spent += answer.body["debit_cents"].as_i64().unwrap();
                assert!(answer.body["balance_cents"].as_i64().unwrap() >= 0);
            }
            _ => assert_eq!(
                (answer.status, answer.body["reason"].as_str()),
                (202, Some("exhausted"))
            ),
        }
    }
    spent
}
