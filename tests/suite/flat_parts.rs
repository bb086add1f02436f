//! What is due once in a month (`flat`, and the flats of tiers) over a change of prices: another
//! card's is due anew, another version's of the same card by its difference upwards. In any order
//! of arrival, and each once.

use crate::price_changes::verified;
use crate::world::{Backend, World, on_every_journal, one_rate, per_unit};
use journal_sqlite::JournalOptions;
use serde_json::{Value, json};

on_every_journal!(
    a_dearer_flat_of_another_version_is_due_by_the_difference,
    a_cheaper_flat_of_another_version_gives_nothing_back,
    a_flat_of_another_card_is_due_anew,
    a_flat_after_prices_by_the_unit_is_due_in_full,
    flats_of_tiers_are_due_as_far_as_they_are_entered,
    a_fallback_card_has_a_flat_of_its_own,
    a_void_over_two_versions_leaves_the_flat_of_the_other,
    a_void_over_two_cards_leaves_the_flat_of_the_other,
    the_last_event_under_a_card_takes_its_flat_with_it,
    the_only_event_of_a_month_takes_its_flat_with_it,
    a_floor_counts_its_flats_like_a_price,
);

const BEFORE: &str = "2026-11-20T08:00:00Z";
const CHANGE: &str = "2026-11-20T10:00:00Z";
const LATER: &str = "2026-11-20T11:00:00Z";

fn flat(amount: &str) -> Value {
    one_rate("line", json!({ "model": "flat", "amount": amount }))
}

async fn with_line(backend: Backend) -> World {
    let world = World::new(backend).await;
    world.meter("line", json!({ "unit": "use" })).await;
    world
}

/// One card, with another version from ten o'clock on.
async fn two_versions(backend: Backend, first: Value, second: Value) -> World {
    let world = with_line(backend).await;
    world.card("platform", "card", first).await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    world.publish("card", CHANGE, second).await;
    world
}

/// A change of plan at ten o'clock, and back again at eleven.
async fn two_cards(backend: Backend, first: Value, second: Value) -> World {
    let world = with_line(backend).await;
    world.card("platform", "small", first).await;
    world.card("platform", "large", second).await;
    change_of_plan(&world).await;
    world
}

async fn change_of_plan(world: &World) {
    world
        .customer(
            "acme",
            "platform",
            json!({ "card": "small", "until": CHANGE }),
        )
        .await;
    world
        .agree(
            "acme",
            json!({ "card": "large", "from": CHANGE, "until": LATER }),
        )
        .await;
    world
        .agree("acme", json!({ "card": "small", "from": LATER }))
        .await;
}

async fn a_dearer_flat_of_another_version_is_due_by_the_difference(backend: Backend) {
    let world = two_versions(backend, flat("9.90"), flat("19.90")).await;
    world.publish("card", LATER, flat("24.90")).await;
    let line = |at: &str| world.send("acme", "line", "1").at(at);
    line(BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line(CHANGE)
        .costs("1000 = platform 1000, balance -1990")
        .await;
    line(CHANGE)
        .gives("rated 1000 = platform 1000, balance -1990")
        .await;
    line(CHANGE)
        .gives("rated 0 = platform 0, balance -1990")
        .await;
    line(BEFORE)
        .gives("rated 0 = platform 0, balance -1990")
        .await;
    line(LATER)
        .gives("rated 500 = platform 500, balance -2490")
        .await;
    for at in [CHANGE, BEFORE, LATER] {
        line(at).gives("rated 0 = platform 0, balance -2490").await;
    }
    // Another month begins anew, under its own version.
    world.pass(12 * 86_400);
    line("2026-12-01T12:00:00Z")
        .gives("rated 2490 = platform 2490, balance -4980")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_cheaper_flat_of_another_version_gives_nothing_back(backend: Backend) {
    let world = two_versions(backend, flat("9.90"), flat("4.90")).await;
    world.publish("card", LATER, flat("12.90")).await;
    let line = |at: &str| world.send("acme", "line", "1").at(at);
    line(BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line(CHANGE)
        .gives("rated 0 = platform 0, balance -990")
        .await;
    line(LATER)
        .gives("rated 300 = platform 300, balance -1290")
        .await;
    line(CHANGE)
        .gives("rated 0 = platform 0, balance -1290")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_flat_of_another_card_is_due_anew(backend: Backend) {
    let world = two_cards(backend, flat("9.90"), flat("19.90")).await;
    world
        .publish("large", "2026-11-20T10:30:00Z", flat("20.90"))
        .await;
    let line = |at: &str| world.send("acme", "line", "1").at(at);
    line(BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line(CHANGE)
        .gives("rated 1990 = platform 1990, balance -2980")
        .await;
    // Each once: also of what comes late, and back under the first card.
    for at in [BEFORE, CHANGE, LATER, CHANGE, BEFORE] {
        line(at).gives("rated 0 = platform 0, balance -2980").await;
    }
    line("2026-11-20T10:30:00Z")
        .gives("rated 100 = platform 100, balance -3080")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_flat_after_prices_by_the_unit_is_due_in_full(backend: Backend) {
    let world = two_versions(backend, per_unit("line", "1"), flat("9.90")).await;
    world
        .send("acme", "line", "2")
        .at(BEFORE)
        .gives("rated 200 = platform 200, balance -200")
        .await;
    world
        .send("acme", "line", "1")
        .at(CHANGE)
        .gives("rated 990 = platform 990, balance -1190")
        .await;
    world
        .send("acme", "line", "1")
        .at(CHANGE)
        .gives("rated 0 = platform 0, balance -1190")
        .await;
    world
        .send("acme", "line", "1")
        .at(BEFORE)
        .gives("rated 100 = platform 100, balance -1290")
        .await;
    world.audit().await;
    verified(&world).await;
}

fn graduated(first: &str, second: &str) -> Value {
    let tiers = json!([{ "up_to": "10", "unit_price": "0.10", "flat": first }, { "unit_price": "0.10", "flat": second }]);
    one_rate("line", json!({ "model": "graduated", "tiers": tiers }))
}

fn volume(first: &str, second: &str) -> Value {
    let tiers = json!([{ "up_to": "10", "unit_price": "0", "flat": first }, { "unit_price": "0", "flat": second }]);
    one_rate("line", json!({ "model": "volume", "tiers": tiers }))
}

async fn flats_of_tiers_are_due_as_far_as_they_are_entered(backend: Backend) {
    let world = two_cards(backend, graduated("1", "2"), graduated("3", "5")).await;
    world
        .publish("large", "2026-11-20T10:30:00Z", graduated("4", "4.50"))
        .await;
    let line = |quantity: &str, at: &str| world.send("acme", "line", quantity).at(at);
    line("5", BEFORE)
        .gives("rated 150 = platform 150, balance -150")
        .await;
    // The first tier's of the other card, and the second's when that is entered.
    line("5", CHANGE)
        .gives("rated 350 = platform 350, balance -500")
        .await;
    line("1", CHANGE)
        .gives("rated 510 = platform 510, balance -1010")
        .await;
    // Both are entered now: 8.50 of this version, 8.00 were paid.
    line("1", "2026-11-20T10:30:00Z")
        .gives("rated 60 = platform 60, balance -1070")
        .await;
    // The second tier of the first card.
    line("1", LATER)
        .gives("rated 210 = platform 210, balance -1280")
        .await;
    line("1", CHANGE)
        .gives("rated 10 = platform 10, balance -1290")
        .await;
    world.audit().await;

    let world = two_versions(backend, volume("1", "2"), volume("1.50", "3")).await;
    let line = |quantity: &str, at: &str| world.send("acme", "line", quantity).at(at);
    line("5", BEFORE)
        .gives("rated 100 = platform 100, balance -100")
        .await;
    line("1", CHANGE)
        .gives("rated 50 = platform 50, balance -150")
        .await;
    line("5", CHANGE)
        .gives("rated 150 = platform 150, balance -300")
        .await;
    line("1", BEFORE)
        .gives("rated 0 = platform 0, balance -300")
        .await;
    world.audit().await;
}

async fn a_fallback_card_has_a_flat_of_its_own(backend: Backend) {
    let world = with_line(backend).await;
    world.card("platform", "abroad", flat("7")).await;
    let price = json!({ "model": "flat", "amount": "2" });
    let home = json!({ "fallback": "abroad", "rates": [{ "key": "line", "meter": "line", "prefixes": ["49"], "price": price }] });
    world.card("platform", "card", home).await;
    world
        .customer("acme", "platform", json!({ "card": "card" }))
        .await;
    let line = |to: &str| world.send("acme", "line", "1").to(to);
    line("+4930123456")
        .gives("rated 200 = platform 200, balance -200")
        .await;
    line("+33123456")
        .gives("rated 700 = platform 700, balance -900")
        .await;
    line("+4930123456")
        .gives("rated 0 = platform 0, balance -900")
        .await;
    line("+33123456")
        .gives("rated 0 = platform 0, balance -900")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_void_over_two_versions_leaves_the_flat_of_the_other(backend: Backend) {
    let world = two_versions(backend, flat("9.90"), flat("19.90")).await;
    let line = |id: &str, at: &str| world.send("acme", "line", "1").id(id).at(at);
    line("a", BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line("b", CHANGE)
        .gives("rated 1000 = platform 1000, balance -1990")
        .await;
    line("c", BEFORE)
        .gives("rated 0 = platform 0, balance -1990")
        .await;
    // Without a it is b that owes all of it.
    world.void("a").gives("0 = platform 0, balance -1990").await;
    world
        .void("b")
        .gives("-1000 = platform -1000, balance -990")
        .await;
    line("d", CHANGE)
        .gives("rated 1000 = platform 1000, balance -1990")
        .await;
    world
        .void("d")
        .gives("-1000 = platform -1000, balance -990")
        .await;
    world
        .void("c")
        .gives("-990 = platform -990, balance 0")
        .await;
    line("e", BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line("f", CHANGE)
        .gives("rated 1000 = platform 1000, balance -1990")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_void_over_two_cards_leaves_the_flat_of_the_other(backend: Backend) {
    let world = two_cards(backend, flat("9.90"), flat("19.90")).await;
    let line = |id: &str, at: &str| world.send("acme", "line", "1").id(id).at(at);
    line("a", BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    line("b", CHANGE)
        .gives("rated 1990 = platform 1990, balance -2980")
        .await;
    world
        .void("a")
        .gives("-990 = platform -990, balance -1990")
        .await;
    line("c", LATER)
        .gives("rated 990 = platform 990, balance -2980")
        .await;
    let right = line("b-2", BEFORE);
    world
        .void("b")
        .corrects(
            right,
            "-1990 = platform -1990, balance -990; 0 = platform 0, balance -990",
        )
        .await;
    line("d", CHANGE)
        .gives("rated 1990 = platform 1990, balance -2980")
        .await;
    world.void("c").gives("0 = platform 0, balance -2980").await;
    world
        .void("b-2")
        .gives("-990 = platform -990, balance -1990")
        .await;
    world
        .void("d")
        .gives("-1990 = platform -1990, balance 0")
        .await;
    world.accounts("").await;
    verified(&world).await;
}

async fn the_last_event_under_a_card_takes_its_flat_with_it(backend: Backend) {
    let world = two_cards(backend, per_unit("line", "0.10"), graduated("1", "2")).await;
    let line =
        |id: &str, quantity: &str, at: &str| world.send("acme", "line", quantity).id(id).at(at);
    line("a", "10", BEFORE)
        .gives("rated 100 = platform 100, balance -100")
        .await;
    line("b", "1", CHANGE)
        .gives("rated 310 = platform 310, balance -410")
        .await;
    line("c", "1", BEFORE)
        .gives("rated 10 = platform 10, balance -420")
        .await;
    line("d", "1", CHANGE)
        .gives("rated 10 = platform 10, balance -430")
        .await;
    world
        .void("b")
        .gives("-10 = platform -10, balance -420")
        .await;
    // Without the ten, the second tier is not entered.
    world
        .void("a")
        .gives("-300 = platform -300, balance -120")
        .await;
    world
        .void("d")
        .gives("-110 = platform -110, balance -10")
        .await;
    line("e", "1", CHANGE)
        .gives("rated 110 = platform 110, balance -120")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn the_only_event_of_a_month_takes_its_flat_with_it(backend: Backend) {
    let world = two_versions(backend, flat("9.90"), graduated("1", "2")).await;
    let line = |id: &str, at: &str| world.send("acme", "line", "1").id(id).at(at);
    line("a", BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    world
        .void("a")
        .gives("-990 = platform -990, balance 0")
        .await;
    line("b", CHANGE)
        .gives("rated 110 = platform 110, balance -110")
        .await;
    line("c", BEFORE)
        .gives("rated 890 = platform 890, balance -1000")
        .await;
    line("d", CHANGE)
        .gives("rated 10 = platform 10, balance -1010")
        .await;
    world.audit().await;
    verified(&world).await;
}

async fn a_floor_counts_its_flats_like_a_price(backend: Backend) {
    let world = with_line(backend).await;
    world.card("platform", "least", flat("2")).await;
    world.publish("least", CHANGE, flat("3")).await;
    world
        .reseller(
            "agent",
            "platform",
            json!({ "commission_bp": 2500, "floor": "least" }),
        )
        .await;
    world.card("agent", "street", per_unit("line", "1")).await;
    world
        .customer("acme", "agent", json!({ "card": "street" }))
        .await;
    let line = |id: &str, at: &str| world.send("acme", "line", "1").id(id).at(at);
    line("a", BEFORE)
        .gives("rated 100 = platform 200 + agent -100, balance -100")
        .await;
    line("b", CHANGE)
        .gives("rated 100 = platform 100 + agent 0, balance -200")
        .await;
    line("c", CHANGE)
        .gives("rated 100 = platform 75 + agent 25, balance -300")
        .await;
    world
        .void("c")
        .gives("-100 = platform -75 + agent -25, balance -200")
        .await;
    line("d", BEFORE)
        .gives("rated 100 = platform 75 + agent 25, balance -300")
        .await;
    world.audit().await;
    verified(&world).await;
}

fn options() -> JournalOptions {
    JournalOptions {
        recent_records_max: 64,
        fan_out: 2,
        pending_records_max: 1000,
    }
}

/// What was charged under which card is known after a start, whether the journal's tail was written
/// into rows or not.
#[tokio::test]
async fn flats_that_were_charged_outlive_a_crash() {
    let world = two_cards(Backend::Sqlite, flat("9.90"), flat("19.90")).await;
    world
        .send("acme", "line", "1")
        .id("a")
        .at(BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    world
        .send("acme", "line", "1")
        .id("b")
        .at(CHANGE)
        .gives("rated 1990 = platform 1990, balance -2980")
        .await;
    let world = world.opened_again(options()).await;
    world
        .send("acme", "line", "1")
        .id("c")
        .at(LATER)
        .gives("rated 0 = platform 0, balance -2980")
        .await;
    let world = world
        .opened_again(JournalOptions {
            pending_records_max: 1,
            ..options()
        })
        .await;
    world
        .send("acme", "line", "1")
        .id("d")
        .at(CHANGE)
        .gives("rated 0 = platform 0, balance -2980")
        .await;
    world.void("a").gives("0 = platform 0, balance -2980").await;
    verified(&world).await;
    world.audit().await;
}

/// Of months that began before this was kept: a version that begins under way knows what the one
/// before it charged.
#[tokio::test]
async fn a_month_from_before_flats_were_kept_charges_none_twice() {
    let world = two_versions(Backend::Sqlite, flat("9.90"), flat("19.90")).await;
    world
        .send("acme", "line", "1")
        .id("a")
        .at(BEFORE)
        .gives("rated 990 = platform 990, balance -990")
        .await;
    world.sqlite.as_ref().unwrap().settle().await.unwrap();
    world.sql("delete from members").await;
    let world = world.opened_again(options()).await;
    world
        .send("acme", "line", "1")
        .id("b")
        .at(BEFORE)
        .gives("rated 0 = platform 0, balance -990")
        .await;
    world.sql("delete from members").await;
    let world = world.opened_again(options()).await;
    world
        .send("acme", "line", "1")
        .id("c")
        .at(CHANGE)
        .gives("rated 1000 = platform 1000, balance -1990")
        .await;
    world
        .send("acme", "line", "1")
        .id("d")
        .at(BEFORE)
        .gives("rated 0 = platform 0, balance -1990")
        .await;
    world
        .void("c")
        .gives("-1000 = platform -1000, balance -990")
        .await;
    verified(&world).await;

    // Its prices had changed before: there it goes on as it began.
    let world = two_versions(Backend::Sqlite, flat("9.90"), flat("9.90")).await;
    for at in [BEFORE, CHANGE] {
        world.send("acme", "line", "1").at(at).text().await;
    }
    world.sqlite.as_ref().unwrap().settle().await.unwrap();
    world
        .sql("delete from members where value not like '#_/%'")
        .await;
    let world = world.opened_again(options()).await;
    world.publish("card", LATER, flat("19.90")).await;
    world
        .send("acme", "line", "1")
        .id("e")
        .at(LATER)
        .gives("rated 0 = platform 0, balance -990")
        .await;
    world.void("e").gives("0 = platform 0, balance -990").await;
    world.audit().await;
    verified(&world).await;
}

/// `centwise price` counts them like the server.
#[test]
fn a_dry_run_over_a_file_charges_the_flat_of_the_fallback_card_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let card = |doc: Value| serde_json::to_string(&crate::world::card_doc(doc)).unwrap();
    let price = json!({ "model": "flat", "amount": "2" });
    let home = json!({ "fallback": "abroad", "rates": [{ "key": "line", "meter": "line", "prefixes": ["49"], "price": price }] });
    let (home, abroad) = (
        file("home.json", card(home)),
        file("abroad.json", card(flat("7"))),
    );
    let numbers = ["+4930123456", "+33123456", "+4930123456", "+33123456"];
    let lines = numbers.iter().enumerate().map(|(id, to)| {
        let event = json!({ "id": id.to_string(), "customer": "acme", "meter": "line", "quantity": "1", "at": CHANGE, "destination": to });
        format!("{event}\n")
    });
    let usage = file("usage.ndjson", lines.collect());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .arg("price")
        .arg("--card")
        .arg(home)
        .arg("--usage")
        .arg(usage)
        .arg("--json");
    let told = command
        .arg("--fallback")
        .arg(format!("abroad={}", abroad.display()))
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let exact: Vec<String> = lines
        .filter_map(|line| Some(line["exact"].as_str()?.to_owned()))
        .collect();
    assert_eq!(exact, ["2", "7", "0", "0"], "{text}");
}
