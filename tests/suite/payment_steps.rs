//! Steps of payments and payouts in the books: the first under a name counts.

use crate::world::{Backend, World, on_every_journal};
use journal::Kind;
use ledger::{AccountKey, Limit, Posting};
use metering::requests::{PaymentPosted, PostPayment};
use problem::Problem;
use rating::{Cents, Currency};

on_every_journal!(
    the_first_step_under_a_name_counts,
    what_must_be_covered_is_refused,
    a_step_sent_in_parallel_is_posted_once
);

const EUR: Currency = Currency::EUR;

/// Of acme-42: positive cents come in, negative ones go back.
fn step(world: &World, key: &str, cents: i64) -> PostPayment {
    let tenant = world.tenant("acme-42");
    let (balance, external) = (
        AccountKey::balance(tenant.id, EUR),
        AccountKey::external(tenant.root, EUR),
    );
    let (from, to) = if cents < 0 {
        (balance, external)
    } else {
        (external, balance)
    };
    PostPayment {
        source: "stripe".into(),
        key: key.to_owned(),
        root: tenant.root,
        tenant: tenant.id,
        currency: EUR,
        kind: Kind::TopUp,
        postings: vec![Posting {
            from,
            to,
            cents: Cents(cents.abs()),
        }],
        limits: Vec::new(),
        reason: format!("step of {cents}"),
    }
}

fn told(posted: Result<PaymentPosted, Problem>) -> String {
    match posted {
        Ok(posted) => {
            let sum: i64 = posted.postings.iter().map(|posting| posting.cents.0).sum();
            format!(
                "{}{sum} {}",
                if posted.duplicate { "again " } else { "" },
                posted.reason
            )
        }
        Err(problem) => problem.code.to_string(),
    }
}

async fn the_first_step_under_a_name_counts(backend: Backend) {
    let world = World::reference(backend).await;
    let post = |key, cents| world.engine.post_payment(step(&world, key, cents));
    assert_eq!(told(post("pi_1:0", 1000).await), "1000 step of 1000");
    assert_eq!(
        told(post("pi_1:0", 700).await),
        "again 1000 step of 1000",
        "who knows more by now hears what was posted"
    );
    assert_eq!(told(post("pi_1:1", -300).await), "300 step of -300");
    let mut elsewhere = step(&world, "pi_1:0", 5);
    elsewhere.source = "payouts".into();
    assert_eq!(
        told(world.engine.post_payment(elsewhere).await),
        "5 step of 5",
        "another source is another name"
    );
    // A caller's own key is no name of a step.
    let by_hand = world.engine.move_money(metering::requests::MoveMoney {
        kind: metering::requests::MoneyKind::TopUp,
        key: "pi_1:2".to_owned(),
        account: AccountKey::balance(world.tenant("acme-42").id, EUR),
        root: world.tenant("acme-42").root,
        cents: Cents(1),
        reason: String::new(),
    });
    assert!(!by_hand.await.unwrap().duplicate);
    assert_eq!(told(post("pi_1:2", 2).await), "2 step of 2");
    // Overdrawing is posted: it happened.
    assert_eq!(told(post("pi_1:3", -9000).await), "9000 step of -9000");
    world
        .accounts("acme-42 -3292, acme-43 5000, external of muster -1708")
        .await;
}

async fn what_must_be_covered_is_refused(backend: Backend) {
    let world = World::reference(backend).await;
    let account = AccountKey::balance(world.tenant("acme-42").id, EUR);
    let covered = |key, cents| {
        let limits = vec![Limit {
            account,
            credit_limit: Some(Cents::ZERO),
            refuse: true,
        }];
        world.engine.post_payment(PostPayment {
            limits,
            ..step(&world, key, cents)
        })
    };
    assert_eq!(told(covered("a", -5001).await), "insufficient_balance");
    assert_eq!(
        told(covered("a", -5000).await),
        "5000 step of -5000",
        "what was refused left nothing behind"
    );
    assert_eq!(told(covered("b", -1).await), "insufficient_balance");
    assert_eq!(told(covered("a", -1).await), "again 5000 step of -5000");
    let mut foreign = step(&world, "c", 1);
    foreign.currency = "USD".parse().unwrap();
    assert_eq!(
        told(world.engine.post_payment(foreign).await),
        "invalid_account",
        "one currency"
    );
    world
        .accounts("acme-43 5000, external of muster -5000")
        .await;
}

async fn a_step_sent_in_parallel_is_posted_once(backend: Backend) {
    let world = World::reference(backend).await;
    let steps = (0..50).map(|_| world.engine.post_payment(step(&world, "pi_1:0", 100)));
    let answers = futures_util::future::join_all(steps).await;
    assert_eq!(
        answers
            .into_iter()
            .filter(|answer| !answer.as_ref().unwrap().duplicate)
            .count(),
        1
    );
    world
        .accounts("acme-42 5100, acme-43 5000, external of muster -10100")
        .await;
}
