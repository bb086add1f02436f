//! The bounds of an event and of a balance: what is above them moves nothing, stands in nobody's
//! way and loses nothing.

use crate::world::{Backend, World, on_every_journal, one_rate, prices};
use metering::requests::MoneyKind;
use rating::{Cents, Currency};
use serde_json::{Value, json};

const EVENT: i64 = Cents::EVENT_MAX.0;
const BALANCE: i64 = Cents::BALANCE_MAX.0;

on_every_journal!(
    an_event_above_its_bound_is_kept,
    six_events_are_nothing_to_other_customers,
    moves_by_hand_are_bounded,
    a_hold_above_the_bounds_is_refused,
);

/// Prices that the event names, on every link; calls as usual.
fn open_prices() -> Value {
    let mut doc = prices("0.40", "0.15", "1.50", "0.08");
    doc["rates"].as_array_mut().unwrap().push(
        one_rate("cost", json!({ "model": "cost_plus", "factor": "92" }))["rates"][0].clone(),
    );
    doc["rates"]
        .as_array_mut()
        .unwrap()
        .push(one_rate("fee", json!({ "model": "dynamic" }))["rates"][0].clone());
    doc
}

/// platform ← evil (gets half of it) ← rich and poor.
async fn evil(backend: Backend) -> World {
    let world = World::new(backend).await;
    for meter in ["cost", "fee"] {
        world.meter(meter, json!({ "unit": "euro" })).await;
    }
    world
        .reseller("evil", "platform", json!({ "commission_bp": 5000 }))
        .await;
    world.card("evil", "retail", open_prices()).await;
    for customer in ["rich", "poor"] {
        world
            .customer(customer, "evil", json!({ "card": "retail" }))
            .await;
    }
    world
}

async fn an_event_above_its_bound_is_kept(backend: Backend) {
    let world = evil(backend).await;
    world
        .send("rich", "cost", "0")
        .amount("1000000000000000")
        .gives("unrated amount_too_large")
        .await;
    world
        .send("rich", "fee", "0")
        .amount("100000000000.01")
        .id("above")
        .gives("unrated amount_too_large")
        .await;
    world
        .send("rich", "fee", "0")
        .amount("100000000000.01")
        .id("above")
        .gives("unrated amount_too_large again")
        .await;
    let most = format!(
        "rated {EVENT} = platform {half} + evil {half}, balance -{EVENT}",
        half = EVENT / 2
    );
    world
        .send("rich", "fee", "0")
        .amount("100000000000")
        .gives(&most)
        .await;
    world
        .send("rich", "fee", "0")
        .amount("100000000000.01")
        .costs("refused amount_too_large")
        .await;
    assert_eq!(
        world.rate_again("evil").await,
        "rated 0, amount_too_large 2"
    );
    world
        .accounts(&format!(
            "rich -{EVENT}, evil {half}, revenue of evil {half}",
            half = EVENT / 2
        ))
        .await;
}

async fn six_events_are_nothing_to_other_customers(backend: Backend) {
    let world = evil(backend).await;
    for number in 0..6 {
        world
            .send("rich", "cost", "0")
            .amount("1000000000000000")
            .id(&format!("huge-{number}"))
            .gives("unrated amount_too_large")
            .await;
        assert!(
            world
                .send("rich", "fee", "0")
                .amount("100000000000")
                .text()
                .await
                .starts_with("rated")
        );
    }
    world
        .call("poor", "600")
        .gives("rated 400 = platform 200 + evil 200, balance -400")
        .await;
    // Its own balance at the bound: from there on it is kept, and the others are served.
    let account = world.tenant("rich").id;
    let more = (BALANCE - 6 * EVENT) / EVENT;
    for _ in 0..more {
        assert!(
            world
                .send("rich", "fee", "0")
                .amount("100000000000")
                .text()
                .await
                .starts_with("rated")
        );
    }
    let account = ledger::AccountKey::balance(account, Currency::EUR);
    assert_eq!(
        world.engine.balance(account).await.unwrap().posted,
        Cents(-BALANCE)
    );
    world
        .call("rich", "600")
        .id("late")
        .gives("partly rated 0 = platform 200 + evil -200, open rich balance_too_large")
        .await;
    world
        .call("poor", "600")
        .gives("rated 400 = platform 200 + evil 200, balance -800")
        .await;
    // Nothing is lost: with room it is rated.
    world
        .move_money(MoneyKind::TopUp, "rich", 400, Currency::EUR, "paid")
        .await
        .unwrap();
    assert!(world.rate_again("evil").await.starts_with("rated 1"));
    world.audit().await;
}

async fn moves_by_hand_are_bounded(backend: Backend) {
    let world = evil(backend).await;
    let moved = async |kind, cents: i64, key: &str| match world
        .move_money(kind, "rich", cents, Currency::EUR, key)
        .await
    {
        Ok(answer) => format!("balance {}", answer.balance),
        Err(problem) => format!("{} {}", problem.code, problem.field.unwrap_or_default()),
    };
    for cents in [-i64::MAX, i64::MIN, -EVENT - 1, EVENT + 1, i64::MAX] {
        assert_eq!(
            moved(MoneyKind::Adjustment, cents, "a").await,
            "amount_too_large cents",
            "{cents}"
        );
        let too_little = cents < 0;
        let want = if too_little {
            "invalid_amount "
        } else {
            "amount_too_large cents"
        };
        assert_eq!(moved(MoneyKind::TopUp, cents, "t").await, want, "{cents}");
    }
    for step in 1..=BALANCE / EVENT {
        assert_eq!(
            moved(MoneyKind::TopUp, EVENT, &format!("step-{step}")).await,
            format!("balance {}", step * EVENT)
        );
    }
    assert_eq!(
        moved(MoneyKind::TopUp, 1, "full").await,
        "balance_too_large "
    );
    assert_eq!(
        moved(MoneyKind::Adjustment, -1, "room").await,
        format!("balance {}", BALANCE - 1)
    );
    assert_eq!(
        moved(MoneyKind::TopUp, 1, "full-2").await,
        format!("balance {BALANCE}")
    );
    world.audit().await;
}

async fn a_hold_above_the_bounds_is_refused(backend: Backend) {
    let world = evil(backend).await;
    world
        .send("rich", "fee", "0")
        .amount("100000000000.01")
        .holds(60, "refused amount_too_large")
        .await;
    world
        .send("rich", "fee", "0")
        .amount("100000000000")
        .holds(60, &format!("open 0: rich {EVENT}"))
        .await;
    world.audit().await;
}
