//! A usage event's life: received, rated, duplicate, kept, rated later.

use crate::world::{Backend, NOW, World, on_every_journal, per_unit, prices};
use metering::balance_monitor::BalanceMonitor;
use metering::command::Command;
use metering::committer::{self, Started};
use metering::queue::QUEUE_COMMANDS_MAX;
use metering::requests::{MoneyKind, Outcome};
use rating::Currency;
use serde_json::json;
use tenants::TenantKind;

on_every_journal!(
    equal_content_is_a_duplicate_and_other_content_a_conflict,
    the_same_identity_twice_in_one_batch,
    one_bad_event_never_costs_the_others,
    an_unknown_customers_usage_is_rated_once_it_is_known,
    kept_usage_is_only_ever_its_senders_customers,
    late_usage_is_kept_and_future_usage_refused,
    usage_without_a_rate_is_rated_when_it_comes_again,
    usage_without_an_agreement_is_kept,
    a_prepaid_account_overdraws_or_refuses,
    a_resellers_own_balance_can_refuse,
    top_ups_and_adjustments,
    what_was_not_committed_is_sent_again,
    a_failed_batch_takes_along_what_was_worked_out_on_it,
    a_full_queue_refuses_at_once,
    kept_usage_of_others_stands_in_nobodys_way,
    cards_of_one_link_count_each_meter_apart,
);

async fn equal_content_is_a_duplicate_and_other_content_a_conflict(backend: Backend) {
    let world = World::reference(backend).await;
    let first = || {
        world
            .call("acme-42", "600")
            .id("x")
            .with("b", "2")
            .with("a", "1")
            .amount("1.50")
    };
    first()
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    let books =
        "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of muster -10000";
    let mut equal = first().amount("1.5");
    equal.event.quantity = "600.000".parse().unwrap();
    equal
        .gives("duplicate 400 = platform 300 + muster 100, balance 4600")
        .await;
    let mut other = vec![
        first().at("2026-11-20T11:49:59Z"),
        first().to("+4930123457"),
        first().amount("1.51"),
        first().with("c", "3"),
    ];
    other.extend([
        world.call("acme-43", "600").id("x"),
        world.send("acme-42", "sms", "600").id("x"),
        world.call("acme-42", "601").id("x"),
    ]);
    for sending in other {
        sending.gives("rejected id_conflict").await;
    }
    world.accounts(books).await;
    // Another source is another name; the duplicate tells the present balance.
    first()
        .source("pbx-2")
        .gives("rated 400 = platform 300 + muster 100, balance 4200")
        .await;
    first()
        .gives("duplicate 400 = platform 300 + muster 100, balance 4200")
        .await;
    assert_eq!(
        world.audit().await.records.len(),
        4,
        "two top-ups, two calls"
    );
}

async fn the_same_identity_twice_in_one_batch(backend: Backend) {
    let world = World::reference(backend).await;
    let event = |quantity| world.send("acme-42", "sms", quantity).id("x");
    let unknown = || world.send("nobody", "sms", "1").id("y");
    let answers = world
        .batch(&[
            event("10"),
            event("10"),
            event("11"),
            unknown(),
            unknown(),
            event("10"),
        ])
        .await;
    assert_eq!(
        answers,
        [
            "rated 80 = platform 50 + muster 30, balance 4920",
            "duplicate 80 = platform 50 + muster 30, balance 4920",
            "rejected id_conflict",
            "unrated unknown_customer",
            "unrated unknown_customer again",
            "duplicate 80 = platform 50 + muster 30, balance 4920",
        ]
    );
    world
        .accounts(
            "acme-42 4920, acme-43 5000, muster 30, revenue of muster 50, external of \
        muster -10000",
        )
        .await;
}

async fn one_bad_event_never_costs_the_others(backend: Backend) {
    let world = World::reference(backend).await;
    let sms = || world.send("acme-42", "sms", "1");
    let answers = world
        .batch(&[
            sms(),
            world.send("acme-42", "fax", "1"),
            sms().at("2026-11-20T12:05:01Z"),
            world.send("nobody", "sms", "1"),
            sms().at("2026-10-01T00:00:00Z"),
            sms(),
        ])
        .await;
    assert_eq!(
        answers,
        [
            "rated 8 = platform 5 + muster 3, balance 4992",
            "unrated unknown_meter",
            "rejected future_event",
            "unrated unknown_customer",
            "unrated late",
            "rated 8 = platform 5 + muster 3, balance 4984",
        ]
    );
    world.audit().await;
}

async fn an_unknown_customers_usage_is_rated_once_it_is_known(backend: Backend) {
    // Sent with the platform's key, it lies under the platform's root; with the reseller's, under
    // its own.
    for sender in ["platform", "muster"] {
        let world = World::reference(backend).await;
        let event = |id: &str| world.send("new", "sms", "10").id(id).by(sender);
        for id in ["a", "b", "c"] {
            event(id).gives("unrated unknown_customer").await;
        }
        assert_eq!(
            world.rate_again(sender).await,
            "rated 0, unknown_customer 3"
        );
        let mut other = event("a");
        other.event.quantity = "11".parse().unwrap();
        other.clone().gives("rejected id_conflict").await;
        world
            .customer("new", "muster", json!({ "card": "retail" }))
            .await;
        other.gives("rejected id_conflict").await;
        event("a")
            .gives("rated 80 = platform 50 + muster 30, balance -80")
            .await;
        event("a")
            .gives("duplicate 80 = platform 50 + muster 30, balance -80")
            .await;
        assert_eq!(
            world.batch(&[event("b"), event("b")]).await[1],
            "duplicate 80 = platform 50 + muster 30, balance -160"
        );
        // Under the other key it has the same name only where its customer is.
        assert_eq!(world.rate_again(sender).await, "rated 1");
        assert_eq!(world.rate_again(sender).await, "rated 0");
        event("c")
            .gives("duplicate 80 = platform 50 + muster 30, balance -240")
            .await;
        event("c")
            .by("muster")
            .gives("duplicate 80 = platform 50 + muster 30, balance -240")
            .await;
        let books = "new -240, acme-42 5000, acme-43 5000, muster 90, revenue of muster 150, \
            external of muster -10000";
        world.accounts(books).await;
    }
}

async fn kept_usage_is_only_ever_its_senders_customers(backend: Backend) {
    let world = World::reference(backend).await;
    // The agent's key sends usage of somebody else's customer: to the agent nobody of that name
    // exists.
    world
        .send("acme-42", "sms", "10")
        .id("x")
        .by("agent")
        .gives("unrated unknown_customer")
        .await;
    world
        .send("beta", "sms", "10")
        .id("y")
        .by("sub-agent")
        .gives("rated 80 = platform 45 + agent 15 + sub-agent 20, balance -80")
        .await;
    assert_eq!(
        world.rate_again("agent").await,
        "rated 0, unknown_customer 1"
    );
    // The same name under the reseller's own root is another event.
    world
        .send("acme-42", "sms", "10")
        .id("x")
        .by("muster")
        .gives("rated 80 = platform 50 + muster 30, balance 4920")
        .await;
    // Two keys of one root: what a sub-agent could not see stays unseen, whoever asks.
    world.card("agent", "direct", per_unit("sms", "1")).await;
    world
        .customer("direct", "agent", json!({ "card": "direct" }))
        .await;
    world
        .send("direct", "sms", "1")
        .id("z")
        .by("sub-agent")
        .gives("unrated unknown_customer")
        .await;
    assert_eq!(
        world.rate_again("agent").await,
        "rated 0, unknown_customer 2"
    );
    world.audit().await;
}

async fn late_usage_is_kept_and_future_usage_refused(backend: Backend) {
    let world = World::reference(backend).await;
    let sms = || world.send("acme-42", "sms", "1");
    sms()
        .at("2026-11-20T12:05:00Z")
        .gives("rated 8 = platform 5 + muster 3, balance 4992")
        .await;
    sms()
        .at("2026-11-20T12:05:00.000001Z")
        .gives("rejected future_event")
        .await;
    sms()
        .at("2026-10-16T12:00:00Z")
        .id("edge")
        .gives("rated 8 = platform 5 + muster 3, balance 4984")
        .await;
    sms()
        .at("2026-10-16T11:59:59.999999Z")
        .id("late")
        .gives("unrated late")
        .await;
    sms()
        .at("2026-10-16T11:59:59.999999Z")
        .id("late")
        .gives("unrated late again")
        .await;
    // An event stays known when its time is long past.
    world.pass(90 * 86_400);
    sms()
        .at("2026-10-16T12:00:00Z")
        .id("edge")
        .gives("duplicate 8 = platform 5 + muster 3, balance 4984")
        .await;
    assert_eq!(world.rate_again("muster").await, "rated 1");
    sms()
        .at("2026-10-16T11:59:59.999999Z")
        .id("late")
        .gives("duplicate 8 = platform 5 + muster 3, balance 4976")
        .await;
    world.audit().await;
}

async fn usage_without_a_rate_is_rated_when_it_comes_again(backend: Backend) {
    let world = World::reference(backend).await;
    world.meter("fax", json!({ "unit": "page" })).await;
    let fax = || world.send("acme-42", "fax", "3").id("f");
    fax().gives("unrated no_rate").await;
    world
        .publish("retail", "2026-11-01T00:00:00Z", per_unit("fax", "0.10"))
        .await;
    fax().gives("unrated no_rate again").await;
    world
        .publish("wholesale", "2026-11-01T00:00:00Z", per_unit("fax", "0.05"))
        .await;
    assert_eq!(
        world.batch(&[fax(), fax()]).await,
        [
            "rated 30 = platform 15 + muster 15, balance 4970",
            "duplicate 30 = platform 15 + muster 15, balance 4970"
        ]
    );
    fax()
        .gives("duplicate 30 = platform 15 + muster 15, balance 4970")
        .await;
    assert_eq!(world.rate_again("muster").await, "rated 0");
    world
        .accounts(
            "acme-42 4970, acme-43 5000, muster 15, revenue of muster 15, external of \
        muster -10000",
        )
        .await;
}

async fn usage_without_an_agreement_is_kept(backend: Backend) {
    let world = World::reference(backend).await;
    world.buyer(TenantKind::Customer, "fresh", "muster").await;
    world
        .send("fresh", "sms", "1")
        .gives("partly rated 0 = platform 5 + muster -5, open fresh no_agreement")
        .await;
    world
        .send("platform", "sms", "1")
        .gives("unrated no_seller")
        .await;
    let id = world.agree("fresh", json!({ "card": "retail", "from": "2026-11-20T00:00:00Z", "until": "2026-11-20T11:00:00Z" })).await;
    for (at, want) in [
        (
            "2026-11-19T23:59:59Z",
            "partly rated 0 = platform 5 + muster -5, open fresh no_agreement",
        ),
        (
            "2026-11-20T00:00:00Z",
            "rated 8 = platform 5 + muster 3, balance -8",
        ),
        (
            "2026-11-20T10:59:59Z",
            "rated 8 = platform 5 + muster 3, balance -16",
        ),
        (
            "2026-11-20T11:00:00Z",
            "partly rated 0 = platform 5 + muster -5, open fresh no_agreement",
        ),
    ] {
        world.send("fresh", "sms", "1").at(at).gives(want).await;
    }
    assert!(world.catalog.agreement(id).await.unwrap().is_some());
    world
        .catalog
        .close_tenant(&world.actor(), world.tenant("fresh").id)
        .await
        .unwrap();
    world.engine.invalidate();
    world
        .send("fresh", "sms", "1")
        .at(NOW)
        .gives("partly rated 0 = platform 5 + muster -5, open fresh tenant_closed")
        .await;
    world
        .send("fresh", "sms", "1")
        .at("2026-11-20T10:00:00Z")
        .gives("rated 8 = platform 5 + muster 3, balance -24")
        .await;
    world.audit().await;
}

async fn a_prepaid_account_overdraws_or_refuses(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .customer(
            "posts",
            "muster",
            json!({ "card": "retail", "credit_limit": 0 }),
        )
        .await;
    world
        .customer(
            "refuses",
            "muster",
            json!({ "card": "retail", "credit_limit": 50, "on_exhausted": "refuse" }),
        )
        .await;
    world
        .send("posts", "sms", "10")
        .gives("rated 80 = platform 50 + muster 30, balance -80")
        .await;
    world
        .send("refuses", "sms", "6")
        .gives("rated 48 = platform 30 + muster 18, balance -48")
        .await;
    world
        .send("refuses", "sms", "1")
        .id("x")
        .gives("partly rated 0 = platform 5 + muster -5, open refuses exhausted")
        .await;
    world
        .send("refuses", "sms", "0")
        .gives("rated 0 = platform 0 + muster 0, balance -48")
        .await;
    world
        .send("refuses", "sms", "1")
        .id("x")
        .gives("partly rated 0 = platform 5 + muster -5, open refuses exhausted again")
        .await;
    world.top_up("refuses", 7).await;
    world
        .send("refuses", "sms", "1")
        .id("x")
        .gives("rated 8 = platform 5 + muster 3, balance -49")
        .await;
    world.top_up("refuses", 7).await;
    world
        .send("refuses", "sms", "1")
        .gives("rated 8 = platform 5 + muster 3, balance -50")
        .await;
    world.audit().await;
}

async fn a_resellers_own_balance_can_refuse(backend: Backend) {
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
            json!({ "card": "wholesale", "credit_limit": 0, "on_exhausted": "refuse" }),
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
    world.top_up("muster", 300).await;
    world
        .call("acme-42", "601")
        .gives("unrated exhausted")
        .await;
    world
        .call("acme-42", "600")
        .gives("rated 400 = platform 300 + muster 100, balance -400")
        .await;
    world
        .send("acme-42", "sms", "1")
        .gives("unrated exhausted")
        .await;
    // With collection by the platform the reseller earns on every event: nothing to refuse.
    world
        .customer("acme-43", "muster", json!({ "card": "retail" }))
        .await;
    world
        .call("acme-43", "600")
        .gives("rated 400 = platform 300 + muster 100, balance -400")
        .await;
    let books = "book of acme-42 -400, acme-43 -400, income of muster 400, muster 100, revenue of \
        muster 600, external of muster -300";
    world.accounts(books).await;
}

async fn top_ups_and_adjustments(backend: Backend) {
    let world = World::reference(backend).await;
    let eur = Currency::EUR;
    let first = world
        .move_money(MoneyKind::TopUp, "acme-42", 100, eur, "k")
        .await
        .unwrap();
    assert_eq!((first.balance.0, first.duplicate), (5100, false));
    let again = world
        .move_money(MoneyKind::TopUp, "acme-42", 100, eur, "k")
        .await
        .unwrap();
    assert_eq!(
        (again.balance.0, again.duplicate, again.seq),
        (5100, true, first.seq)
    );
    for (kind, cents, key, code) in [
        (MoneyKind::TopUp, 101, "k", "idempotency_conflict"),
        (MoneyKind::Adjustment, 100, "k", "idempotency_conflict"),
        (MoneyKind::TopUp, -1, "l", "invalid_amount"),
        (MoneyKind::TopUp, 0, "l", "invalid_amount"),
        (MoneyKind::Adjustment, 0, "l", "invalid_amount"),
    ] {
        assert_eq!(
            world
                .move_money(kind, "acme-42", cents, eur, key)
                .await
                .unwrap_err()
                .code
                .as_str(),
            code
        );
    }
    let down = world
        .move_money(MoneyKind::Adjustment, "acme-42", -6000, eur, "m")
        .await
        .unwrap();
    assert_eq!(down.balance.0, -900);
    world
        .accounts("acme-42 -900, acme-43 5000, external of muster -4100")
        .await;
}

async fn what_was_not_committed_is_sent_again(backend: Backend) {
    let world = World::reference(backend).await;
    let Some(memory) = &world.memory else { return };
    memory.fail_next_commits(1).unwrap();
    let sms = world.send("acme-42", "sms", "1").id("x");
    let failed = world
        .engine
        .ingest(&world.caller("platform"), vec![Ok(sms.event.clone())])
        .await;
    assert_eq!(failed.unwrap_err().code.as_str(), "unavailable");
    sms.gives("rated 8 = platform 5 + muster 3, balance 4992")
        .await;
    world
        .engine
        .drain(std::time::Duration::from_secs(30))
        .await
        .unwrap();
    let late = world
        .engine
        .ingest(
            &world.caller("platform"),
            vec![Ok(world.send("acme-42", "sms", "1").event)],
        )
        .await;
    assert_eq!(late.unwrap_err().code.as_str(), "unavailable");
    world.audit().await;
}

/// Large batches take their turns while others commit: those that were worked out on one that fails
/// fail too, and sent again each event is posted once.
async fn a_failed_batch_takes_along_what_was_worked_out_on_it(backend: Backend) {
    let world = World::reference(backend).await;
    let caller = world.caller("platform");
    let events = |round: usize, batch: usize| -> Vec<_> {
        (0..1_100)
            .map(|n| {
                Ok(world
                    .send("acme-42", "sms", "1")
                    .id(&format!("{round}-{batch}-{n}"))
                    .event)
            })
            .collect()
    };
    for round in 0..3 {
        if let Some(memory) = &world.memory {
            memory.fail_next_commits(1).unwrap();
        }
        let sent = (0..5).map(|batch| world.engine.ingest(&caller, events(round, batch)));
        let answers = futures_util::future::join_all(sent).await;
        let failed: Vec<usize> = (0..5).filter(|&batch| answers[batch].is_err()).collect();
        assert_eq!(
            failed.is_empty(),
            world.memory.is_none(),
            "round {round}: {failed:?}"
        );
        for batch in 0..5 {
            let again = world
                .engine
                .ingest(&caller, events(round, batch))
                .await
                .unwrap();
            let rated = again
                .iter()
                .filter(|answer| matches!(answer.outcome, Outcome::Rated(_)))
                .count();
            assert_eq!(
                rated,
                if failed.contains(&batch) { 1_100 } else { 0 },
                "round {round}, batch {batch}"
            );
        }
    }
    world.audit().await;
}

/// The queue is bounded in commands: what does not fit is refused and may be sent again.
async fn a_full_queue_refuses_at_once(backend: Backend) {
    let world = World::new(backend).await;
    let now = world.now();
    let clock = std::sync::Arc::new(move || now);
    let Started { queue, worker, .. } = committer::start(
        std::sync::Arc::clone(&world.journal),
        clock,
        BalanceMonitor::default(),
    );
    let sweeps = |count: usize| {
        (0..count)
            .map(|_| Command::Sweep {
                root: rating::TenantId(1),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        queue
            .submit(sweeps(QUEUE_COMMANDS_MAX + 1))
            .await
            .unwrap_err()
            .code
            .as_str(),
        "overloaded"
    );
    assert_eq!(
        queue
            .submit(sweeps(QUEUE_COMMANDS_MAX))
            .await
            .unwrap()
            .len(),
        QUEUE_COMMANDS_MAX
    );
    let (most, one) = futures_util::future::join(
        queue.submit(sweeps(QUEUE_COMMANDS_MAX)),
        queue.submit(sweeps(1)),
    )
    .await;
    assert_eq!(
        (most.unwrap().len(), one.unwrap_err().code.as_str()),
        (QUEUE_COMMANDS_MAX, "overloaded")
    );
    assert_eq!(
        queue.submit(sweeps(1)).await.unwrap().len(),
        1,
        "there is room again"
    );
    drop(queue);
    worker.await.unwrap();
}

async fn kept_usage_of_others_stands_in_nobodys_way(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("nobody", "60")
        .id("1")
        .gives("unrated unknown_customer")
        .await;
    // Another customer's event of that id is another event.
    world
        .call("acme-42", "600")
        .id("1")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    // Kept with the platform's key, then sent and rated with the reseller's: a void means what was
    // rated.
    world
        .call("newcomer", "600")
        .id("2")
        .gives("unrated unknown_customer")
        .await;
    world
        .customer("newcomer", "muster", json!({ "card": "retail" }))
        .await;
    world
        .call("newcomer", "600")
        .id("2")
        .by("muster")
        .gives("rated 400 = platform 300 + muster 100, balance -400")
        .await;
    world
        .void("2")
        .gives("-400 = platform -300 + muster -100, balance 0")
        .await;
    assert_eq!(
        world.rate_again("platform").await,
        "rated 1, unknown_customer 1"
    );
    world
        .accounts(
            "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of \
        muster -10000",
        )
        .await;
}

async fn cards_of_one_link_count_each_meter_apart(backend: Backend) {
    let world = World::new(backend).await;
    let tiers = json!({ "model": "graduated", "tiers": [{ "up_to": "100", "unit_price": "1.00" }, { "unit_price": "0.50" }] });
    world
        .card(
            "platform",
            "bookings",
            json!({ "rates": [{ "key": "all", "meter": "booking", "price": tiers }] }),
        )
        .await;
    let sms = json!({ "key": "all", "meter": "sms", "price": { "model": "per_unit", "unit_price": "0.01" } });
    world
        .card(
            "platform",
            "messages",
            json!({ "fallback": "bookings", "rates": [sms] }),
        )
        .await;
    world
        .customer("acme", "platform", json!({ "card": "messages" }))
        .await;
    world
        .send("acme", "sms", "100")
        .gives("rated 100 = platform 100, balance -100")
        .await;
    world
        .send("acme", "booking", "1")
        .gives("rated 100 = platform 100, balance -200")
        .await;
    world.audit().await;
}
