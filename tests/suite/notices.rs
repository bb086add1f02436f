//! What the engine saw becomes notices: once, on every journal, whoever saw it, and also when
//! whoever saw it died.

use crate::world::{Backend, World, on_every_journal, per_unit, postgres_is_here};
use metering::balance_monitor::Purpose;
use notices::recorder::NoticeRecorder;
use notices::rows::{Notice, NoticeKind, NoticeRows};
use rating::{Cents, Currency};
use serde_json::json;

on_every_journal! {
    a_crossing_is_told_once_and_again_after_a_rise,
    a_balance_that_was_low_when_its_threshold_came_is_told_again_after_a_rise,
    two_hundred_debits_across_a_threshold_are_one_crossing,
    what_nobody_wrote_is_found_at_the_next_start,
    a_balance_with_a_limit_is_told_to_be_used_up,
    unrated_usage_is_counted_by_the_minute,
    holds_that_end_by_themselves_are_told,
    a_seller_hears_that_it_loses_money,
    who_tops_up_automatically_hears_of_its_marks,
}

fn recorder(world: &World) -> NoticeRecorder {
    NoticeRecorder::new(world.engine.clone(), world.notices_clock())
}

async fn threshold(world: &World, tenant: &str, cents: Option<i64>) {
    let id = world.tenant(tenant).id;
    NoticeRows::of(&world.catalog)
        .set_threshold(&world.actor(), id, Currency::EUR, cents.map(Cents))
        .await
        .unwrap();
    world.engine.invalidate();
}

/// Every notice so far: `balance.low acme-42 {…}`, oldest first.
async fn told(world: &World) -> Vec<String> {
    let line = |notice: Notice| {
        format!(
            "{} {} {}",
            notice.kind.name(),
            world.name(notice.tenant),
            notice.data
        )
    };
    NoticeRows::of(&world.catalog)
        .unsent_notices()
        .await
        .unwrap()
        .into_iter()
        .map(line)
        .collect()
}

async fn count(world: &World, kind: NoticeKind) -> usize {
    NoticeRows::of(&world.catalog)
        .unsent_notices()
        .await
        .unwrap()
        .iter()
        .filter(|notice| notice.kind == kind)
        .count()
}

async fn a_crossing_is_told_once_and_again_after_a_rise(backend: Backend) {
    let world = World::reference(backend).await;
    let mut recorder = recorder(&world);
    threshold(&world, "acme-42", Some(4600)).await;
    recorder.step().await.unwrap();
    world.call("acme-42", "540").text().await;
    recorder.step().await.unwrap();
    assert!(told(&world).await.is_empty(), "4640 are left");
    world.call("acme-42", "60").text().await;
    world.call("acme-42", "60").text().await;
    recorder.step().await.unwrap();
    let low =
        r#"balance.low acme-42 {"balance_cents":4560,"currency":"EUR","threshold_cents":4600}"#;
    assert_eq!(told(&world).await, [low]);
    world.call("acme-42", "60").text().await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 1);
    world.top_up("acme-42", 1000).await;
    recorder.step().await.unwrap();
    world.call("acme-42", "1500").text().await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 2, "it rose, and fell again");
    threshold(&world, "acme-42", None).await;
    recorder.step().await.unwrap();
    world.call("acme-42", "60").text().await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 2, "nobody wants to know");
}

async fn a_balance_that_was_low_when_its_threshold_came_is_told_again_after_a_rise(
    backend: Backend,
) {
    let world = World::reference(backend).await;
    let mut recorder = recorder(&world);
    threshold(&world, "acme-42", Some(5500)).await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 1, "it is low");
    world.top_up("acme-42", 1000).await;
    recorder.step().await.unwrap();
    world.call("acme-42", "1500").text().await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 2, "it rose, and fell again");
}

async fn two_hundred_debits_across_a_threshold_are_one_crossing(backend: Backend) {
    let world = World::reference(backend).await;
    threshold(&world, "acme-42", Some(4200)).await;
    // On PostgreSQL another process looks as well.
    let other = if world.postgres.is_some() && backend == Backend::Postgres {
        Some(world.beside().await)
    } else {
        None
    };
    let worlds: Vec<&World> = std::iter::once(&world).chain(other.as_ref()).collect();
    let mut witnesses: Vec<NoticeRecorder> = worlds.iter().map(|world| recorder(world)).collect();
    for recorder in &mut witnesses {
        recorder.step().await.unwrap();
    }
    // 5000 cents, 200 messages of 8: the hundredth crosses.
    let debits = (0..200).map(async |index: usize| {
        worlds[index % worlds.len()]
            .send("acme-42", "sms", "1")
            .text()
            .await
    });
    let looking = async {
        for _ in 0..20 {
            for recorder in &mut witnesses {
                recorder.step().await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (debited, ()) =
        futures_util::future::join(futures_util::future::join_all(debits), looking).await;
    assert!(
        debited.iter().all(|answer| answer.starts_with("rated 8 ")),
        "{debited:?}"
    );
    for recorder in &mut witnesses {
        recorder.step().await.unwrap();
    }
    assert_eq!(count(&world, NoticeKind::BalanceLow).await, 1);
    assert_eq!(told(&world).await.len(), 1);
}

async fn what_nobody_wrote_is_found_at_the_next_start(backend: Backend) {
    let world = World::reference(backend).await;
    threshold(&world, "acme-42", Some(4600)).await;
    // Whoever saw these died before it wrote anything.
    world.call("acme-42", "600").text().await;
    world.call("acme-43", "7500").text().await;
    let mut after = recorder(&world);
    after.step().await.unwrap();
    assert_eq!(
        (
            count(&world, NoticeKind::BalanceLow).await,
            count(&world, NoticeKind::BalanceExhausted).await
        ),
        (1, 1)
    );
    // And one that rises unseen is told anew.
    world.top_up("acme-42", 1000).await;
    recorder(&world).step().await.unwrap();
    world.call("acme-42", "3000").text().await;
    recorder(&world).step().await.unwrap();
    assert_eq!(count(&world, NoticeKind::BalanceLow).await, 2);
    // The sweep of one that lives on sees it too, a minute later.
    world.top_up("acme-43", 100).await;
    world
        .engine
        .balance_monitor()
        .take_crossed(Purpose::Exhausted);
    world.pass(61);
    after.step().await.unwrap();
    world.call("acme-43", "600").text().await;
    after.step().await.unwrap();
    assert_eq!(count(&world, NoticeKind::BalanceExhausted).await, 2);
}

async fn a_balance_with_a_limit_is_told_to_be_used_up(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .customer(
            "credit",
            "muster",
            json!({ "card": "retail", "credit_limit": 100 }),
        )
        .await;
    let mut recorder = recorder(&world);
    recorder.step().await.unwrap();
    world.call("acme-42", "7500").text().await;
    // Without a limit, and within it.
    world.call("beta", "600").text().await;
    world.call("credit", "120").text().await;
    recorder.step().await.unwrap();
    assert_eq!(
        told(&world).await,
        [
            r#"balance.exhausted acme-42 {"balance_cents":0,"credit_limit_cents":0,"currency":"EUR"}"#
        ]
    );
    world.call("acme-42", "60").text().await;
    world.call("beta", "60").text().await;
    world.call("credit", "60").text().await;
    recorder.step().await.unwrap();
    let told = told(&world).await;
    assert_eq!(
        told[1..],
        [
            r#"balance.exhausted credit {"balance_cents":-120,"credit_limit_cents":100,"currency":"EUR"}"#
        ]
    );
    for cents in [100, 100] {
        world.top_up("acme-42", cents).await;
        recorder.step().await.unwrap();
    }
    world.call("acme-42", "300").text().await;
    recorder.step().await.unwrap();
    assert_eq!(
        count(&world, NoticeKind::BalanceExhausted).await,
        3,
        "it rose, and was used up again"
    );
}

async fn unrated_usage_is_counted_by_the_minute(backend: Backend) {
    let world = World::reference(backend).await;
    let (mut one, mut two) = (recorder(&world), recorder(&world));
    one.step().await.unwrap();
    for _ in 0..3 {
        world
            .send("acme-42", "api_call", "1")
            .at("2026-09-01T00:00:00Z")
            .gives("unrated late")
            .await;
    }
    world
        .call("nobody", "60")
        .gives("unrated unknown_customer")
        .await;
    one.step().await.unwrap();
    let mut lines = told(&world).await;
    lines.sort();
    let unrated = [
        r#"usage.unrated acme-42 {"count":3,"reason":"late"}"#,
        r#"usage.unrated platform {"count":1,"reason":"unknown_customer"}"#,
    ];
    assert_eq!(lines, unrated);
    for _ in 0..2 {
        world
            .send("acme-42", "api_call", "1")
            .at("2026-09-01T00:00:00Z")
            .gives("unrated late")
            .await;
        two.step().await.unwrap();
    }
    assert_eq!(told(&world).await.len(), 2, "this minute has been told of");
    world.pass(60);
    two.step().await.unwrap();
    assert_eq!(
        told(&world).await[2..],
        [r#"usage.unrated acme-42 {"count":2,"reason":"late"}"#]
    );
}

async fn holds_that_end_by_themselves_are_told(backend: Backend) {
    let world = World::reference(backend).await;
    let mut recorder = recorder(&world);
    world
        .call("acme-42", "60")
        .id("h1")
        .holds(60, "open 60: acme-42 40")
        .await;
    world
        .call("acme-42", "60")
        .id("h2")
        .holds(60, "open 60: acme-42 40")
        .await;
    world.pass(61);
    world.engine.sweep_holds().await.unwrap();
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await, [r#"hold.expired acme-42 {"count":2}"#]);
}

async fn a_seller_hears_that_it_loses_money(backend: Backend) {
    let world = World::reference(backend).await;
    let mut recorder = recorder(&world);
    world.card("muster", "cheap", per_unit("sms", "0.03")).await;
    world
        .customer("thrifty", "muster", json!({ "card": "cheap" }))
        .await;
    world
        .send("thrifty", "sms", "10")
        .gives("rated 30 = platform 50 + muster -20, balance -30")
        .await;
    recorder.step().await.unwrap();
    let loss = r#"margin.negative muster {"cents":-20,"currency":"EUR","exact_cents":"-20"}"#;
    assert_eq!(told(&world).await, [loss]);
    world.send("thrifty", "sms", "10").text().await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 1, "once an hour");
    // Together with what earns more than that it is no loss.
    world.pass(3600);
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 2);
    world.pass(3600);
    world
        .batch(&[
            world.send("thrifty", "sms", "1"),
            world.call("acme-42", "600"),
        ])
        .await;
    recorder.step().await.unwrap();
    assert_eq!(told(&world).await.len(), 2);
}

async fn who_tops_up_automatically_hears_of_its_marks(backend: Backend) {
    let world = World::reference(backend).await;
    let account = ledger::AccountKey::balance(world.tenant("acme-42").id, Currency::EUR);
    let balance_monitor = world.engine.balance_monitor().clone();
    balance_monitor.set_thresholds(Purpose::TopUp, [(account, Cents(4600))]);
    let waiting = tokio::spawn(async move { balance_monitor.crossed(Purpose::TopUp).await });
    world.call("acme-42", "600").text().await;
    assert_eq!(waiting.await.unwrap(), [account]);
    assert_eq!(
        world.engine.balances(&[account]).await.unwrap()[0].1.posted,
        Cents(4600)
    );
}

/// Two processes see the same crossing at once; one of them tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_one_tells() {
    if !postgres_is_here().await {
        return;
    }
    let world = World::reference(Backend::Postgres).await;
    threshold(&world, "acme-42", Some(4600)).await;
    world.call("acme-42", "600").text().await;
    let mut witnesses: Vec<NoticeRecorder> = (0..8).map(|_| recorder(&world)).collect();
    futures_util::future::join_all(
        witnesses
            .iter_mut()
            .map(async |recorder| recorder.step().await.unwrap()),
    )
    .await;
    assert_eq!(count(&world, NoticeKind::BalanceLow).await, 1);
}
