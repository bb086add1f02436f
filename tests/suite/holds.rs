//! Holds: placed along the chain or not at all, and ended once.

use crate::world::{Backend, World, on_every_journal, prices};
use serde_json::json;

on_every_journal!(
    a_hold_is_captured_by_the_usage_of_its_id,
    a_hold_is_captured_by_name,
    usage_above_its_hold_is_posted_and_says_so,
    a_hold_is_extended_and_released,
    a_hold_ends_by_itself,
    a_hold_ends_once,
    what_is_not_covered_is_not_held,
    a_hold_sets_aside_along_the_chain_or_nowhere,
    what_a_seller_above_has_is_not_told,
    as_much_as_the_balance_pays_for,
    a_retry_makes_the_same_hold,
    held_money_is_not_spent_by_others,
    hundreds_of_holds_end_at_once,
    open_holds_are_counted,
    an_extension_keeps_its_number_and_quantity,
);

async fn a_hold_is_captured_by_the_usage_of_its_id(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("c")
        .holds(3600, "open 600: acme-42 400")
        .await;
    world
        .accounts("acme-42 5000 held 400, acme-43 5000, external of muster -10000")
        .await;
    // Shorter than held: the rest is free again.
    world
        .call("acme-42", "300")
        .id("c")
        .gives("rated 200 = platform 150 + muster 50, balance 4800")
        .await;
    let books =
        "acme-42 4800, acme-43 5000, muster 50, revenue of muster 150, external of muster -10000";
    world.accounts(books).await;
    world
        .call("acme-42", "300")
        .id("c")
        .gives("duplicate 200 = platform 150 + muster 50, balance 4800")
        .await;
    assert_eq!(world.release("c", "r").await, "refused hold_ended");
    world.accounts(books).await;
}

async fn a_hold_is_captured_by_name(backend: Backend) {
    let world = World::reference(backend).await;
    let placed = world
        .call("acme-42", "600")
        .id("key-1")
        .hold(3600)
        .await
        .unwrap();
    world
        .call("acme-42", "600")
        .id("c1")
        .on_hold("key-1")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    assert_eq!(
        world.engine.hold(placed.id).await.unwrap().unwrap().state,
        ledger::HoldState::Captured
    );
    let by_id = world
        .call("acme-42", "60")
        .id("key-2")
        .hold(3600)
        .await
        .unwrap()
        .id
        .to_string();
    // Somebody else's hold is not captured: the usage is posted all the same.
    world
        .call("acme-43", "60")
        .id("c2")
        .on_hold(&by_id)
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    world
        .call("acme-42", "60")
        .id("c3")
        .on_hold(&by_id)
        .gives("rated 40 = platform 30 + muster 10, balance 4560")
        .await;
    world
        .call("acme-42", "60")
        .id("c4")
        .on_hold("no-such")
        .gives("rated 40 = platform 30 + muster 10, balance 4520")
        .await;
    world
        .accounts(
            "acme-42 4520, acme-43 4960, muster 130, revenue of muster 390, external of \
        muster -10000",
        )
        .await;
}

async fn usage_above_its_hold_is_posted_and_says_so(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .customer(
            "small",
            "muster",
            json!({ "card": "retail", "credit_limit": 0, "on_exhausted": "refuse" }),
        )
        .await;
    world.top_up("small", 100).await;
    world
        .call("small", "120")
        .id("c")
        .holds(3600, "open 120: small 80")
        .await;
    world
        .call("small", "600")
        .id("c")
        .gives("rated 400 = platform 300 + muster 100, balance -300, 320 over the hold")
        .await;
    world
        .call("small", "60")
        .gives("partly rated 0 = platform 30 + muster -30, open small exhausted")
        .await;
    world.audit().await;
}

async fn a_hold_is_extended_and_released(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("c")
        .holds(60, "open 600: acme-42 400")
        .await;
    assert_eq!(
        world.extend("c", "x1", "1200", 60).await,
        "open 1200: acme-42 800"
    );
    assert_eq!(
        world.extend("c", "x1", "1200", 60).await,
        "open again 1200: acme-42 800"
    );
    assert_eq!(
        world.extend("c", "x1", "1300", 60).await,
        "refused idempotency_conflict"
    );
    assert_eq!(
        world.extend("c", "x2", "7501", 60).await,
        "refused insufficient_balance"
    );
    assert_eq!(
        world.extend("c", "x3", "7500", 60).await,
        "open 7500: acme-42 5000"
    );
    assert_eq!(
        world.extend("c", "x4", "60", 60).await,
        "open 60: acme-42 40"
    );
    world
        .accounts("acme-42 5000 held 40, acme-43 5000, external of muster -10000")
        .await;
    assert_eq!(world.release("c", "r").await, "released 0: acme-42 40");
    assert_eq!(
        world.release("c", "r").await,
        "released again 0: acme-42 40"
    );
    assert_eq!(
        world.extend("c", "x5", "60", 60).await,
        "refused hold_ended"
    );
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
    assert_eq!(world.release("nothing", "r").await, "refused not_found");
    assert_eq!(
        world.extend("nothing", "x", "60", 60).await,
        "refused not_found"
    );
}

async fn a_hold_ends_by_itself(backend: Backend) {
    let world = World::reference(backend).await;
    let balance = ledger::AccountKey::balance(world.tenant("acme-42").id, rating::Currency::EUR);
    world
        .call("acme-42", "600")
        .id("c")
        .holds(60, "open 600: acme-42 400")
        .await;
    world.pass(59);
    assert_eq!(world.engine.balance(balance).await.unwrap().held.0, 400);
    world.pass(1);
    // Over, recorded or not.
    assert_eq!(world.engine.balance(balance).await.unwrap().held.0, 0);
    assert_eq!(world.release("c", "r").await, "refused hold_over");
    assert_eq!(world.extend("c", "x", "600", 60).await, "refused hold_over");
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
    // The usage has happened: it is posted like any other.
    world
        .call("acme-42", "600")
        .id("c")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    world
        .call("acme-43", "600")
        .id("d")
        .holds(60, "open 600: acme-43 400")
        .await;
    world.pass(60);
    world.engine.sweep_holds().await.unwrap();
    world.engine.sweep_holds().await.unwrap();
    let books =
        "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of muster -10000";
    world.accounts(books).await;
}

async fn a_hold_ends_once(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "600")
        .id("c")
        .holds(60, "open 600: acme-42 400")
        .await;
    assert_eq!(world.release("c", "r1").await, "released 0: acme-42 400");
    assert_eq!(world.release("c", "r2").await, "refused hold_ended");
    world.pass(120);
    world.engine.sweep_holds().await.unwrap();
    world
        .call("acme-42", "600")
        .id("c")
        .on_hold("c")
        .gives("rated 400 = platform 300 + muster 100, balance 4600")
        .await;
    assert_eq!(world.release("c", "r3").await, "refused hold_ended");
    world
        .accounts(
            "acme-42 4600, acme-43 5000, muster 100, revenue of muster 300, external of \
        muster -10000",
        )
        .await;
}

async fn what_is_not_covered_is_not_held(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "7560")
        .id("a")
        .holds(60, "refused insufficient_balance")
        .await;
    world
        .call("acme-42", "7440")
        .id("b")
        .holds(60, "open 7440: acme-42 4960")
        .await;
    world
        .call("acme-42", "61")
        .id("c")
        .holds(60, "refused insufficient_balance")
        .await;
    world
        .call("acme-42", "60")
        .id("d")
        .holds(60, "open 60: acme-42 40")
        .await;
    world
        .call("acme-42", "1")
        .id("e")
        .holds(60, "refused insufficient_balance")
        .await;
    for (event, want) in [
        (world.call("nobody", "60"), "refused not_found"),
        (world.send("acme-42", "fax", "60"), "refused unknown_meter"),
        (
            world.call("acme-42", "60").at("2026-11-20T13:00:00Z"),
            "refused future_event",
        ),
    ] {
        event.holds(60, want).await;
    }
    world
        .call("acme-43", "60")
        .holds(0, "refused invalid_field")
        .await;
    world
        .call("acme-43", "0")
        .id("f")
        .holds(60, "open 0: ")
        .await;
    // Without a limit everything is covered.
    world
        .call("beta", "36000")
        .holds(60, "open 36000: beta 24000")
        .await;
    // A fraction of a cent is held as a whole one.
    world
        .send("acme-43", "sms", "0.1")
        .holds(60, "open 0.1: acme-43 1")
        .await;
    world.audit().await;
}

async fn a_hold_sets_aside_along_the_chain_or_nowhere(backend: Backend) {
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
            "acme",
            "muster",
            json!({ "card": "retail", "collect": "reseller", "credit_limit": 1000 }),
        )
        .await;
    world
        .call("acme", "600")
        .id("a")
        .holds(60, "refused insufficient_balance")
        .await;
    world.accounts("").await;
    world.top_up("muster", 300).await;
    world
        .call("acme", "600")
        .id("a")
        .holds(60, "open 600: acme 400 + muster 300")
        .await;
    world
        .accounts("book of acme 0 held 400, muster 300 held 300, external of muster -300")
        .await;
    world
        .call("acme", "60")
        .id("b")
        .holds(60, "refused insufficient_balance")
        .await;
    world
        .call("acme", "540")
        .id("a")
        .gives("rated 360 = platform 270 + muster 90, balance -360")
        .await;
    world
        .accounts(
            "book of acme -360, income of muster 360, muster 30, revenue of muster 270, \
        external of muster -300",
        )
        .await;
}

async fn what_a_seller_above_has_is_not_told(backend: Backend) {
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
            "acme",
            "muster",
            json!({ "card": "retail", "collect": "reseller", "credit_limit": 1000 }),
        )
        .await;
    for (caller, is_told) in [("platform", true), ("muster", true), ("acme", false)] {
        let problem = world
            .call("acme", "600")
            .id(caller)
            .by(caller)
            .hold(60)
            .await
            .unwrap_err();
        assert_eq!(problem.code.as_str(), "insufficient_balance", "{caller}");
        let names = problem
            .detail
            .contains(&world.tenant("muster").id.to_string())
            || problem.detail.contains("300");
        assert_eq!(names, is_told, "{caller}: {}", problem.detail);
    }
}

async fn as_much_as_the_balance_pays_for(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .call("acme-42", "10000")
        .id("a")
        .holds_as_much(60, "open 7500: acme-42 5000")
        .await;
    world
        .call("acme-42", "10000")
        .id("b")
        .holds_as_much(60, "refused insufficient_balance")
        .await;
    world
        .call("acme-43", "600")
        .id("c")
        .holds_as_much(60, "open 600: acme-43 400")
        .await;
    world
        .call("acme-43", "10000")
        .id("d")
        .holds_as_much(60, "open 6900: acme-43 4600")
        .await;
    world.audit().await;
}

async fn a_retry_makes_the_same_hold(backend: Backend) {
    let world = World::reference(backend).await;
    let hold = || {
        world
            .call("acme-42", "600")
            .id("c")
            .at("2026-11-20T12:00:00Z")
    };
    let first = hold().hold(60).await.unwrap();
    world.pass(1);
    let again = hold().hold(60).await.unwrap();
    assert_eq!(
        (again.id, again.expires_at, again.duplicate),
        (first.id, first.expires_at, true)
    );
    world
        .call("acme-42", "601")
        .id("c")
        .at("2026-11-20T12:00:00Z")
        .holds(60, "refused idempotency_conflict")
        .await;
    world
        .accounts("acme-42 5000 held 400, acme-43 5000, external of muster -10000")
        .await;
    assert_eq!(world.release("c", "r").await, "released 0: acme-42 400");
    hold().holds(60, "released again 600: acme-42 400").await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn held_money_is_not_spent_by_others(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .customer(
            "strict",
            "muster",
            json!({ "card": "retail", "credit_limit": 0, "on_exhausted": "refuse" }),
        )
        .await;
    world.top_up("strict", 100).await;
    world
        .call("strict", "120")
        .id("c")
        .holds(60, "open 120: strict 80")
        .await;
    world
        .send("strict", "sms", "3")
        .gives("partly rated 0 = platform 15 + muster -15, open strict exhausted")
        .await;
    world
        .send("strict", "sms", "2")
        .gives("rated 16 = platform 10 + muster 6, balance 84")
        .await;
    world
        .call("strict", "120")
        .id("c")
        .gives("rated 80 = platform 60 + muster 20, balance 4")
        .await;
    world
        .send("strict", "sms", "1")
        .gives("partly rated 0 = platform 5 + muster -5, open strict exhausted")
        .await;
    world.audit().await;
}

/// More than one batch may expire: every one is recorded, and none counts meanwhile.
async fn hundreds_of_holds_end_at_once(backend: Backend) {
    let world = World::reference(backend).await;
    let count = metering::SWEEP_HOLDS_MAX + 10;
    world.top_up("acme-42", 40 * count as i64).await;
    let placed: Vec<_> = (0..count)
        .map(|n| world.call("acme-42", "60").id(&format!("h{n}")))
        .collect();
    for chunk in placed.chunks(64) {
        let holds = chunk.iter().map(|event| event.hold(60));
        for answer in futures_util::future::join_all(holds).await {
            answer.unwrap();
        }
    }
    world.pass(60);
    world
        .call("acme-42", "7500")
        .id("all")
        .hold(60)
        .await
        .unwrap();
    let audited = world.audit().await;
    let expired = audited
        .records
        .iter()
        .filter(|record| record.kind == journal::Kind::HoldExpired)
        .count();
    assert_eq!(expired, count);
}

async fn an_extension_keeps_its_number_and_quantity(backend: Backend) {
    let world = World::new(backend).await;
    let rate = |prefix: &str, price: &str| json!({ "key": prefix, "meter": "call", "prefixes": [prefix], "call": { "initial": "60", "next": "60", "steps": [{ "from": "0", "price": price, "per": "60" }] } });
    world
        .card(
            "platform",
            "by-country",
            json!({ "rates": [rate("49", "0.40"), rate("1", "0.01")] }),
        )
        .await;
    world
        .customer("yankee", "platform", json!({ "card": "by-country" }))
        .await;
    world.set_country("yankee", "US").await;
    // Its digits alone, 4912345678, look like a number inside the US.
    let call = |id: &str| world.call("yankee", "600").to("+4912345678").id(id);
    call("c").holds(60, "open 600: yankee 400").await;
    assert_eq!(
        world.extend("c", "x1", "1200", 60).await,
        "open 1200: yankee 800"
    );
    let longer = world
        .engine
        .extend_hold(&world.caller("platform"), "c", "x2", None, Some(60))
        .await;
    assert_eq!(world.hold_text(longer), "open 1200: yankee 800");
    assert_eq!(
        world.extend("c", "x3", "-1", 60).await,
        "refused negative_quantity"
    );
    // The same for what is kept and rated later.
    call("late")
        .at("2026-09-20T12:00:00Z")
        .gives("unrated late")
        .await;
    assert_eq!(world.rate_again("yankee").await, "rated 1");
    world
        .accounts("yankee -400 held 800, revenue of yankee 400")
        .await;
}

/// By the database: what is in memory alone is in none.
async fn open_holds_are_counted(backend: Backend) {
    if matches!(backend, Backend::Memory) {
        return;
    }
    let world = World::reference(backend).await;
    let count = async || world.catalog.standing().await.unwrap().holds;
    for (id, open) in [("one", 1), ("two", 2)] {
        world.call("acme-42", "60").id(id).hold(3600).await.unwrap();
        assert_eq!(count().await, open);
    }
    world.release("one", "r").await;
    assert_eq!(count().await, 1);
}
