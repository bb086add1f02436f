//! Who collects grants the credit: what a seller below the platform may agree on, and which money
//! is moved by hand. Each test is an attack, or what an honest seller needs meanwhile.

use crate::http_world::{Market, call, on_every_database};
use crate::served::{Answer, Asking};
use crate::unpaid_usage::MONTH_LATER;
use crate::world::{Backend, World, on_every_journal, prices};
use serde_json::{Value, json};

on_every_database!(
    nobody_grants_credit_at_the_platforms_risk,
    a_cap_is_passed_on_and_never_raised,
    who_collects_is_not_flipped_by_a_seller,
    a_change_of_who_collects_needs_empty_accounts,
    what_comes_into_force_later_finds_no_money_of_the_other,
    terms_are_not_prolonged_beyond_what_the_platform_gave,
    the_past_is_the_platforms_to_change,
    what_the_platform_tightened_stays_tight,
    money_is_moved_by_whose_it_is,
    what_is_left_in_the_other_account_is_settled_by_the_operator,
    a_seller_runs_its_own_book,
);

const START: &str = "2026-01-01T00:00:00Z";

/// A customer of muster's without terms.
async fn newcomer(market: &Market, name: &str) {
    let tenant =
        json!({ "external_id": name, "kind": "customer", "name": name, "parent": "muster" });
    market
        .by("muster admin")
        .post("/v1/tenants", tenant)
        .await
        .ok();
}

async fn agree(by: &Asking, market: &Market, buyer: &str, terms: Value) -> Answer {
    let mut body = json!({ "buyer": buyer, "currency": "EUR", "rate_card": market.id("retail"), "from": START });
    body.as_object_mut()
        .unwrap()
        .extend(terms.as_object().unwrap().clone());
    by.post("/v1/agreements", body).await
}

async fn end(by: &Asking, agreement: &Value, until: &str) -> Answer {
    by.post(
        &format!("/v1/agreements/{}/end", agreement["id"].as_str().unwrap()),
        json!({ "until": until }),
    )
    .await
}

async fn agreement_of(market: &Market, buyer: &str) -> Value {
    market
        .admin()
        .get(&format!("/v1/agreements?buyer={buyer}"))
        .await
        .ok()["data"][0]
        .clone()
}

async fn by_hand(by: &Asking, path: &str, tenant: &str, cents: i64, more: Value) -> Answer {
    let mut body =
        json!({ "tenant": tenant, "cents": cents, "currency": "EUR", "reason": "by hand" });
    if path.ends_with("top-ups") {
        body["method"] = json!("manual");
    }
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    by.once(&format!("{path}-{tenant}-{cents}-{more}"))
        .post(path, body)
        .await
}

async fn in_account(market: &Market, tenant: &str, account: &str) -> i64 {
    let path = format!("/v1/accounts/{tenant}?account={account}&currency=EUR");
    market.admin().get(&path).await.ok()["posted_cents"]
        .as_i64()
        .unwrap()
}

/// Issue 15, 2.1: a customer without a limit, a million messages, and the commission of it.
async fn nobody_grants_credit_at_the_platforms_risk(market: Market) {
    let muster = market.by("muster admin");
    newcomer(&market, "puppet").await;
    for (limit, want) in [
        (Value::Null, "403 credit_above_cap"),
        (json!(1), "403 credit_above_cap"),
        (json!(0), "201"),
    ] {
        let answer = agree(
            &muster,
            &market,
            "puppet",
            json!({ "credit_limit_cents": limit }),
        )
        .await;
        assert_eq!(answer.code(), want, "{answer:?}");
    }
    let hold = json!({ "usage": call("h", "puppet", "60"), "ttl_secs": 60 });
    assert_eq!(
        muster.once("h").post("/v1/holds", hold).await.code(),
        "402 insufficient_balance"
    );
    // Nor by ending its terms and making better ones.
    end(
        &muster,
        &agreement_of(&market, "puppet").await,
        "2026-11-20T12:00:00Z",
    )
    .await
    .ok();
    let better = json!({ "credit_limit_cents": null, "from": "2026-11-20T12:00:00Z" });
    assert_eq!(
        agree(&muster, &market, "puppet", better).await.code(),
        "403 credit_above_cap"
    );
    // The platform may.
    let granted = json!({ "credit_limit_cents": 700, "from": "2026-11-20T12:00:00Z" });
    agree(market.admin(), &market, "puppet", granted).await.ok();
}

async fn a_cap_is_passed_on_and_never_raised(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    end(
        admin,
        &agreement_of(&market, "muster").await,
        "2026-11-20T12:00:00Z",
    )
    .await
    .ok();
    let capped = json!({ "rate_card": market.id("wholesale"), "credit_cap_cents": 500, "from": "2026-11-20T12:00:00Z" });
    assert_eq!(
        agree(admin, &market, "muster", capped).await.ok()["credit_cap_cents"],
        500
    );
    newcomer(&market, "within").await;
    let above = agree(
        &muster,
        &market,
        "within",
        json!({ "credit_limit_cents": 501 }),
    )
    .await;
    assert_eq!(
        (above.code().as_str(), &above.body["field"]),
        ("403 credit_above_cap", &json!("credit_limit_cents"))
    );
    agree(
        &muster,
        &market,
        "within",
        json!({ "credit_limit_cents": 500 }),
    )
    .await
    .ok();
    let no_reseller = agree(
        &muster,
        &market,
        "acme-43",
        json!({ "credit_cap_cents": 1, "credit_limit_cents": 0 }),
    )
    .await;
    assert_eq!(no_reseller.code(), "422 invalid_field");

    let sub =
        json!({ "external_id": "sub", "kind": "reseller", "name": "sub", "parent": "muster" });
    muster.post("/v1/tenants", sub).await.ok();
    let passed_on = |cap: i64| json!({ "credit_limit_cents": 0, "credit_cap_cents": cap });
    let above = agree(&muster, &market, "sub", passed_on(501)).await;
    assert_eq!(
        (above.code().as_str(), &above.body["field"]),
        ("403 credit_above_cap", &json!("credit_cap_cents"))
    );
    agree(&muster, &market, "sub", passed_on(200)).await.ok();
    let below =
        json!({ "external_id": "below", "kind": "customer", "name": "below", "parent": "sub" });
    muster.post("/v1/tenants", below).await.ok();
    assert_eq!(
        agree(
            &muster,
            &market,
            "below",
            json!({ "credit_limit_cents": 201 })
        )
        .await
        .code(),
        "403 credit_above_cap"
    );
    agree(
        &muster,
        &market,
        "below",
        json!({ "credit_limit_cents": 200 }),
    )
    .await
    .ok();
}

/// Issue 15, 2.2: end the agreement, `collect: reseller`, a manual top-up of any amount, back to
/// `platform`.
async fn who_collects_is_not_flipped_by_a_seller(market: Market) {
    let muster = market.by("muster admin");
    let before = market.balance("acme-42").await;
    // Only a future-dated agreement; while the present one lasts, and after it ended.
    let future = json!({ "collect": "reseller", "from": "2027-06-01T00:00:00Z" });
    end(
        &muster,
        &agreement_of(&market, "acme-42").await,
        "2026-11-20T12:00:01Z",
    )
    .await
    .ok();
    assert_eq!(
        agree(&muster, &market, "acme-42", future.clone())
            .await
            .code(),
        "403 platform_sets_collect"
    );
    assert_eq!(
        by_hand(&muster, "/v1/top-ups", "acme-42", 1_000_000, json!({}))
            .await
            .code(),
        "403 forbidden"
    );
    market.served.set_clock("2026-11-20T12:00:02Z");
    for terms in [
        future,
        json!({ "collect": "reseller", "from": "2026-11-20T12:00:01Z" }),
    ] {
        assert_eq!(
            agree(&muster, &market, "acme-42", terms).await.code(),
            "403 platform_sets_collect"
        );
    }
    // None in force means no.
    for path in ["/v1/top-ups", "/v1/adjustments"] {
        assert_eq!(
            by_hand(&muster, path, "acme-42", 1_000_000, json!({}))
                .await
                .code(),
            "409 no_agreement_in_force"
        );
    }
    assert_eq!(
        by_hand(market.admin(), "/v1/top-ups", "acme-42", 100, json!({}))
            .await
            .code(),
        "409 no_agreement_in_force"
    );
    assert_eq!(
        (
            in_account(&market, "acme-42", "balance").await,
            in_account(&market, "acme-42", "book").await
        ),
        (before, 0)
    );
    // What it calls meanwhile is owed to the platform, and none of it is commission.
    market.served.set_clock("2026-11-20T12:30:00Z");
    let mut event = call("meanwhile", "acme-42", "600");
    event["at"] = json!("2026-11-20T12:10:00Z");
    assert_eq!(
        market.admin().post("/v1/usage-events", event).await.ok()["status"],
        "partly_rated"
    );
    assert_eq!(
        (
            market.revenue("muster").await,
            market.balance("muster").await
        ),
        (300, -300)
    );
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("muster").await,
        "-300 - 0 - 0 = 0 payable, 300 debt"
    );
}

async fn a_change_of_who_collects_needs_empty_accounts(market: Market) {
    let admin = market.admin();
    let own = json!({ "collect": "reseller", "from": "2026-12-01T00:00:00Z" });
    end(
        admin,
        &agreement_of(&market, "acme-42").await,
        "2026-12-01T00:00:00Z",
    )
    .await
    .ok();
    let refused = agree(admin, &market, "acme-42", own.clone()).await;
    assert_eq!(
        (refused.code().as_str(), &refused.body["field"]),
        ("409 accounts_not_empty", &json!("collect")),
        "{refused:?}"
    );
    by_hand(admin, "/v1/adjustments", "acme-42", -5000, json!({}))
        .await
        .ok();
    // Nothing may be held either.
    by_hand(admin, "/v1/top-ups", "acme-42", 40, json!({}))
        .await
        .ok();
    let hold = json!({ "usage": call("h", "acme-42", "60"), "ttl_secs": 600 });
    admin.once("hold").post("/v1/holds", hold).await.ok();
    by_hand(admin, "/v1/adjustments", "acme-42", -40, json!({}))
        .await
        .ok();
    assert_eq!(
        agree(admin, &market, "acme-42", own.clone()).await.code(),
        "409 accounts_not_empty"
    );
    admin
        .once("release")
        .post("/v1/holds/h/release", json!({}))
        .await
        .ok();
    agree(admin, &market, "acme-42", own).await.ok();
}

/// The accounts were empty when the platform agreed on it; what is paid until then, and after,
/// stays where it was paid.
async fn what_comes_into_force_later_finds_no_money_of_the_other(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    newcomer(&market, "flips").await;
    let [first, then] = ["2026-11-20T13:00:00Z", "2026-11-20T14:00:00Z"];
    agree(
        admin,
        &market,
        "flips",
        json!({ "collect": "reseller", "until": first }),
    )
    .await
    .ok();
    agree(
        admin,
        &market,
        "flips",
        json!({ "collect": "platform", "credit_limit_cents": 0, "from": first, "until": then }),
    )
    .await
    .ok();
    agree(
        admin,
        &market,
        "flips",
        json!({ "collect": "reseller", "from": then }),
    )
    .await
    .ok();
    let printed = by_hand(&muster, "/v1/top-ups", "flips", 1_000_000, json!({}))
        .await
        .ok();
    assert_eq!(
        (&printed["account"], &printed["balance_cents"]),
        (&json!("book"), &json!(1_000_000))
    );
    let (paid, commission) = (
        market.revenue("muster").await,
        market.balance("muster").await,
    );
    market.served.set_clock("2026-11-20T13:30:00Z");
    let mut usage = call("h", "flips", "60");
    usage["at"] = json!("2026-11-20T13:30:00Z");
    let hold = json!({ "usage": usage, "ttl_secs": 60 });
    assert_eq!(
        muster.once("h").post("/v1/holds", hold).await.code(),
        "402 insufficient_balance"
    );
    assert_eq!(
        by_hand(&muster, "/v1/adjustments", "flips", 5, json!({}))
            .await
            .code(),
        "403 forbidden"
    );
    by_hand(admin, "/v1/top-ups", "flips", 90, json!({}))
        .await
        .ok();
    let shown = admin.get("/v1/accounts/flips").await.ok();
    assert_eq!(
        (&shown["account"], &shown["posted_cents"]),
        (&json!("balance"), &json!(90))
    );
    assert_eq!(
        shown["other"],
        json!({ "account": "book", "posted_cents": 1_000_000, "held_cents": 0 })
    );
    market.served.set_clock("2026-11-20T14:30:00Z");
    let shown = admin.get("/v1/accounts/flips").await.ok();
    assert_eq!(
        (
            &shown["account"],
            &shown["posted_cents"],
            &shown["other"]["posted_cents"]
        ),
        (&json!("book"), &json!(1_000_000), &json!(90))
    );
    assert_eq!(
        (
            market.revenue("muster").await,
            market.balance("muster").await
        ),
        (paid, commission)
    );
    // What was printed pays for calls in the seller's own book: the platform has its part, and no
    // commission is paid from it.
    let mut event = call("printed", "flips", "600");
    event["at"] = json!("2026-11-20T14:10:00Z");
    assert_eq!(
        admin.post("/v1/usage-events", event).await.ok()["balance_cents"],
        999_600
    );
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("muster").await,
        "-300 - 0 - 0 = 0 payable, 0 debt"
    );
    assert_eq!(
        (
            market.revenue("muster").await,
            market.balance("muster").await
        ),
        (paid + 300, commission - 300)
    );
}

async fn terms_are_not_prolonged_beyond_what_the_platform_gave(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    newcomer(&market, "lent").await;
    let lent = agree(
        admin,
        &market,
        "lent",
        json!({ "credit_limit_cents": null, "until": "2027-01-01T00:00:00Z" }),
    )
    .await
    .ok();
    assert_eq!(
        end(&muster, &lent, "2028-01-01T00:00:00Z").await.code(),
        "403 credit_above_cap"
    );
    end(&muster, &lent, "2026-12-01T00:00:00Z").await.ok();
    assert_eq!(
        end(&muster, &lent, "2027-01-01T00:00:00Z").await.code(),
        "403 credit_above_cap"
    );
    end(admin, &lent, "2028-01-01T00:00:00Z").await.ok();
}

async fn the_past_is_the_platforms_to_change(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    let [earlier, now, later] = [
        "2026-11-20T11:59:00Z",
        "2026-11-20T12:00:00Z",
        "2026-12-01T00:00:00Z",
    ];
    newcomer(&market, "dated").await;
    let credit = |from: &str, until: Option<&str>| json!({ "credit_limit_cents": 0, "from": from, "until": until });
    let first = agree(
        &muster,
        &market,
        "dated",
        credit("2026-11-01T00:00:00Z", Some(later)),
    )
    .await
    .ok();
    let end_by = async |by: &Asking, terms: &Value, until: &str| {
        let answer = end(by, terms, until).await;
        if answer.status == 200 {
            String::new()
        } else {
            format!(
                "{} {}",
                answer.code(),
                answer.body["field"].as_str().unwrap()
            )
        }
    };
    assert_eq!(
        end_by(&muster, &first, earlier).await,
        "403 terms_of_the_past until"
    );
    assert_eq!(end_by(&muster, &first, now).await, "");
    let before = agree(
        &muster,
        &market,
        "dated",
        credit("2026-10-01T00:00:00Z", Some("2026-11-01T00:00:00Z")),
    )
    .await;
    assert_eq!(
        (before.code().as_str(), &before.body["field"]),
        ("403 terms_of_the_past", &json!("from")),
        "{before:?}"
    );
    assert_eq!(end_by(&muster, &first, later).await, "", "its own terms");
    assert_eq!(end_by(&muster, &first, now).await, "");
    let given = agree(admin, &market, "dated", credit(now, Some(later)))
        .await
        .ok();
    assert_eq!(
        end_by(&muster, &given, "2027-01-01T00:00:00Z").await,
        "403 terms_from_above until"
    );
    assert_eq!(end_by(admin, &given, "2026-11-20T13:00:00Z").await, "");
    assert_eq!(
        end_by(&muster, &given, "2026-11-20T12:30:00Z").await,
        "",
        "sooner"
    );
    agree(
        admin,
        &market,
        "dated",
        credit("2026-10-01T00:00:00Z", Some("2026-11-01T00:00:00Z")),
    )
    .await
    .ok();
}

async fn what_the_platform_tightened_stays_tight(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    newcomer(&market, "strict").await;
    let terms = |on_exhausted: &str, from: &str, until: Option<&str>| json!({ "credit_limit_cents": 0, "on_exhausted": on_exhausted, "from": from, "until": until });
    let [first, then] = ["2026-11-20T12:00:00Z", "2026-12-01T00:00:00Z"];
    agree(
        admin,
        &market,
        "strict",
        terms("refuse", START, Some(first)),
    )
    .await
    .ok();
    let loose = agree(&muster, &market, "strict", terms("post", first, None)).await;
    assert_eq!(
        (loose.code().as_str(), &loose.body["field"]),
        ("403 only_tighter", &json!("on_exhausted")),
        "{loose:?}"
    );
    agree(
        &muster,
        &market,
        "strict",
        terms("refuse", first, Some(then)),
    )
    .await
    .ok();
    agree(admin, &market, "strict", terms("post", then, None))
        .await
        .ok();
}

async fn money_is_moved_by_whose_it_is(market: Market) {
    let (admin, muster, own) = (
        market.admin(),
        market.by("muster admin"),
        market.by("acme-42 admin"),
    );
    newcomer(&market, "booked").await;
    agree(&muster, &market, "booked", json!({ "collect": "reseller" }))
        .await
        .ok();
    for path in ["/v1/top-ups", "/v1/adjustments"] {
        // The platform's money: only its operator.
        assert_eq!(
            by_hand(&muster, path, "acme-43", 100, json!({}))
                .await
                .code(),
            "403 forbidden"
        );
        assert_eq!(
            by_hand(&own, path, "acme-42", 100, json!({})).await.code(),
            "403 forbidden"
        );
        assert_eq!(
            by_hand(admin, path, "acme-43", 100, json!({})).await.ok()["account"],
            "balance"
        );
        // The seller's own book: the seller, or anyone above; never the platform's money.
        assert_eq!(
            by_hand(&muster, path, "booked", 100, json!({})).await.ok()["account"],
            "book"
        );
        assert_eq!(
            by_hand(admin, path, "booked", 101, json!({})).await.ok()["account"],
            "book"
        );
    }
    let balance = json!({ "account": "balance" });
    assert_eq!(
        by_hand(&muster, "/v1/adjustments", "booked", 100, balance.clone())
            .await
            .code(),
        "403 forbidden"
    );
    assert_eq!(
        by_hand(
            &muster,
            "/v1/adjustments",
            "acme-43",
            100,
            json!({ "account": "book" })
        )
        .await
        .code(),
        "403 forbidden"
    );
    assert_eq!(
        by_hand(admin, "/v1/adjustments", "booked", 100, balance)
            .await
            .code(),
        "409 no_agreement_in_force"
    );
    assert_eq!(
        (
            in_account(&market, "booked", "balance").await,
            in_account(&market, "booked", "book").await
        ),
        (0, 402)
    );
    // Its customers pay it, not the platform's provider.
    let page = json!({ "tenant": "booked", "cents": 1000, "method": "checkout" });
    assert_eq!(
        admin.once("page").post("/v1/top-ups", page).await.code(),
        "422 not_collected_here"
    );
}

async fn what_is_left_in_the_other_account_is_settled_by_the_operator(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    end(
        &muster,
        &agreement_of(&market, "acme-42").await,
        "2026-11-20T12:00:00Z",
    )
    .await
    .ok();
    let balance = json!({ "account": "balance" });
    let settle = async |by: &Asking, cents: i64| {
        by_hand(by, "/v1/adjustments", "acme-42", cents, balance.clone())
            .await
            .code()
    };
    assert_eq!(settle(&muster, -100).await, "409 no_agreement_in_force");
    for beyond in [1, -5001, -10_001] {
        assert_eq!(
            settle(admin, beyond).await,
            "409 no_agreement_in_force",
            "{beyond}"
        );
    }
    assert_eq!(
        (settle(admin, -4000).await, settle(admin, -1000).await),
        ("201".to_owned(), "201".to_owned())
    );
    assert_eq!(in_account(&market, "acme-42", "balance").await, 0);
}

/// The platform bears no risk: the seller's own prepaid balance pays for every call.
async fn a_seller_runs_its_own_book(market: Market) {
    let muster = market.by("muster admin");
    newcomer(&market, "regular").await;
    agree(
        &muster,
        &market,
        "regular",
        json!({ "collect": "reseller", "until": "2026-12-01T00:00:00Z" }),
    )
    .await
    .ok();
    agree(&muster, &market, "regular", json!({ "collect": "reseller", "credit_limit_cents": 2000, "from": "2026-12-01T00:00:00Z" }))
        .await
        .ok();
    let (paid, had) = (
        market.revenue("muster").await,
        market.balance("muster").await,
    );
    let sent = muster
        .post("/v1/usage-events", json!([call("c", "regular", "600")]))
        .await
        .ok();
    assert_eq!(
        (
            &sent["data"][0]["debit_cents"],
            &sent["data"][0]["balance_cents"]
        ),
        (&json!(400), &json!(-400))
    );
    assert_eq!(
        (
            market.revenue("muster").await - paid,
            market.balance("muster").await - had
        ),
        (300, -300)
    );
    let statement = muster
        .get("/v1/accounts/regular/statement?from=2026-01-01T00:00:00Z")
        .await
        .ok();
    assert_eq!(
        (&statement["account"], &statement["closing_cents"]),
        (&json!("book"), &json!(-400))
    );
}

mod listed {
    use super::*;

    on_every_journal!(credit_beyond_the_cap_is_listed);

    /// Agreements from before there were caps stay in force.
    async fn credit_beyond_the_cap_is_listed(backend: Backend) {
        let world = World::new(backend).await;
        world
            .card(
                "platform",
                "wholesale",
                prices("0.30", "0.10", "1.00", "0.05"),
            )
            .await;
        for (seller, cap) in [("capped", 500), ("plain", 0)] {
            world
                .reseller(
                    seller,
                    "platform",
                    json!({ "card": "wholesale", "credit_cap": cap }),
                )
                .await;
            let retail = format!("retail of {seller}");
            world
                .card(seller, &retail, prices("0.40", "0.15", "1.50", "0.08"))
                .await;
            for (name, terms) in [
                ("unlimited", json!({ "card": retail })),
                ("at", json!({ "card": retail, "credit_limit": 500 })),
                ("above", json!({ "card": retail, "credit_limit": 501 })),
                ("prepaid", json!({ "card": retail, "credit_limit": 0 })),
                ("own", json!({ "card": retail, "collect": "reseller" })),
                (
                    "over",
                    json!({ "card": retail, "until": "2026-11-01T00:00:00Z" }),
                ),
            ] {
                world
                    .customer(&format!("{seller} {name}"), seller, terms)
                    .await;
            }
        }
        let listed = async || world.health().await.over_cap.join(", ");
        assert_eq!(listed().await, "", "the platform itself agreed on it");
        world.sql("update agreements set author_id = null").await;
        assert_eq!(
            listed().await,
            "capped above, capped unlimited, plain above, plain at, plain unlimited"
        );
    }
}
