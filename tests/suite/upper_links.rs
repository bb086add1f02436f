//! Upper links are never free: whatever a reseller does below, what the platform is owed for the
//! calls that it reported stands; and what was open is charged once when it can be.

use crate::world::{Backend, World, on_every_journal, per_unit, prices};
use serde_json::{Value, json};

on_every_journal!(
    what_is_open_is_charged_later_and_nothing_twice,
    a_refusal_reaches_up_as_far_as_its_author_sells,
    a_lower_link_is_not_charged_under_an_open_one,
    what_the_platform_would_collect_below_a_sellers_own_book_is_open,
    no_hold_and_no_price_on_a_chain_with_an_open_link,
    usage_of_a_hold_whose_chain_broke_is_posted_as_far_as_it_can_be,
    mended_and_rated_again_the_books_are_as_if_nothing_had_failed,
);

async fn what_is_open_is_charged_later_and_nothing_twice(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .reseller("near", "muster", json!({ "card": "retail" }))
        .await;
    world.card("near", "street", per_unit("sms", "0.10")).await;
    world
        .customer(
            "kiosk",
            "near",
            json!({ "card": "street", "until": "2026-11-20T00:00:00Z" }),
        )
        .await;
    let sms = || world.send("kiosk", "sms", "10").id("x");
    let open = "partly rated 0 = platform 50 + muster 30 + near -80, open kiosk no_agreement";
    sms().gives(open).await;
    assert_eq!(
        world.batch(&[sms(), sms()]).await,
        [format!("{open} again"), format!("{open} again")]
    );
    assert_eq!(
        world.rate_again("muster").await,
        "rated 0, partly rated 1, no_agreement 1"
    );
    let books =
        "acme-42 5000, acme-43 5000, external of muster -10000, muster 30, revenue of muster 50";
    world.accounts(&format!("{books}, near -80")).await;
    world
        .agree(
            "kiosk",
            json!({ "card": "street", "from": "2026-11-20T00:00:00Z" }),
        )
        .await;
    let whole = "100 = platform 50 + muster 30 + near 20, balance -100";
    assert_eq!(
        world.batch(&[sms(), sms()]).await,
        [format!("rated {whole}"), format!("duplicate {whole}")]
    );
    sms().gives(&format!("duplicate {whole}")).await;
    assert_eq!(world.rate_again("muster").await, "rated 0");
    world
        .accounts(&format!("{books}, near 20, kiosk -100"))
        .await;
    world
        .void("x")
        .gives("-100 = platform -50 + muster -30 + near -20, balance 0")
        .await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn a_refusal_reaches_up_as_far_as_its_author_sells(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .reseller("near", "muster", json!({ "card": "retail" }))
        .await;
    world.card("near", "street", per_unit("sms", "0.10")).await;
    for (author, want) in [
        (
            "near",
            "partly rated 0 = platform 5 + muster 3 + near -8, open near-buyer exhausted",
        ),
        (
            "muster",
            "partly rated 0 = platform 5 + muster -5, open muster-buyer exhausted, near exhausted",
        ),
        ("platform", "unrated exhausted"),
    ] {
        let buyer = format!("{author}-buyer");
        let terms = json!({ "card": "street", "credit_limit": 0, "on_exhausted": "refuse", "refused_by": author });
        world.customer(&buyer, "near", terms).await;
        world.send(&buyer, "sms", "1").gives(want).await;
        world.top_up(&buyer, 10).await;
        assert_eq!(world.rate_again("muster").await, "rated 1");
    }
    world
        .accounts(
            "acme-42 5000, acme-43 5000, external of muster -10030, near 6, muster 9, \
        revenue of muster 15",
        )
        .await;
}

/// Its seller would earn on usage that it does not pay for.
async fn a_lower_link_is_not_charged_under_an_open_one(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .buyer(tenants::TenantKind::Reseller, "late-comer", "platform")
        .await;
    world
        .card("late-comer", "street", per_unit("sms", "0.10"))
        .await;
    world
        .customer("kiosk", "late-comer", json!({ "card": "street" }))
        .await;
    world
        .send("kiosk", "sms", "1")
        .gives("unrated no_agreement")
        .await;
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn what_the_platform_would_collect_below_a_sellers_own_book_is_open(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .reseller(
            "near",
            "muster",
            json!({ "card": "retail", "collect": "reseller" }),
        )
        .await;
    world.card("near", "street", per_unit("sms", "0.10")).await;
    world
        .customer("kiosk", "near", json!({ "card": "street" }))
        .await;
    let open = "partly rated 0 = platform 50 + muster 30 + near -80, open kiosk mixed_collection";
    world.send("kiosk", "sms", "10").id("x").gives(open).await;
    assert_eq!(
        world.rate_again("muster").await,
        "rated 0, partly rated 1, mixed_collection 1"
    );
    let rest = "acme-42 5000, acme-43 5000, external of muster -10000";
    world
        .accounts(&format!(
            "{rest}, book of near -80, income of muster 80, muster -50, revenue of muster 50"
        ))
        .await;
    // Its own seller takes nothing of it back.
    world.void("x").by("near").gives("nothing").await;
    world
        .void("x")
        .key("all")
        .gives("0 = platform -50 + muster -30 + near 80, balance 0")
        .await;
    world.accounts(rest).await;
}

async fn no_hold_and_no_price_on_a_chain_with_an_open_link(backend: Backend) {
    let world = World::reference(backend).await;
    world
        .customer(
            "ended",
            "muster",
            json!({ "card": "retail", "until": "2026-11-20T00:00:00Z" }),
        )
        .await;
    world
        .card("muster", "empty", per_unit("booking", "1"))
        .await;
    world
        .customer("nothing", "muster", json!({ "card": "empty" }))
        .await;
    world
        .reseller("tied", "platform", json!({ "commission_bp": 2500 }))
        .await;
    world
        .card_by("tied", "tied", "unseen", prices("0", "0", "0", "0"))
        .await;
    world
        .customer("unapproved", "tied", json!({ "card": "unseen" }))
        .await;
    world
        .reseller(
            "own",
            "muster",
            json!({ "card": "retail", "collect": "reseller" }),
        )
        .await;
    world
        .card("own", "street", prices("0.50", "0.20", "2", "0.10"))
        .await;
    world
        .customer("mixed", "own", json!({ "card": "street" }))
        .await;
    world
        .customer("closed", "muster", json!({ "card": "retail" }))
        .await;
    world.close("closed").await;
    world.pass(60);
    for (customer, reason) in [
        ("ended", "no_agreement"),
        ("nothing", "no_rate"),
        ("unapproved", "card_not_approved"),
        ("mixed", "mixed_collection"),
        ("closed", "tenant_closed"),
    ] {
        let refused = format!("refused {reason}");
        world
            .call(customer, "60")
            .id(customer)
            .holds(60, &refused)
            .await;
        world
            .call(customer, "60")
            .id(customer)
            .holds_as_much(60, &refused)
            .await;
        world.call(customer, "60").costs(&refused).await;
    }
    world
        .accounts("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn usage_of_a_hold_whose_chain_broke_is_posted_as_far_as_it_can_be(backend: Backend) {
    let world = World::reference(backend).await;
    let agreement = world
        .customer_of(
            "muster",
            "walk-in",
            json!({ "card": "retail", "credit_limit": 0 }),
        )
        .await;
    world.top_up("walk-in", 100).await;
    world
        .call("walk-in", "120")
        .id("c")
        .holds(3600, "open 120: walk-in 80")
        .await;
    world
        .catalog
        .end_agreement(
            &world.actor(),
            tenants::Authority::Platform,
            agreement,
            crate::world::instant("2026-11-20T08:00:00Z"),
        )
        .await
        .unwrap();
    world.engine.invalidate();
    world
        .call("walk-in", "120")
        .id("c")
        .gives("partly rated 0 = platform 60 + muster -60, open walk-in no_agreement")
        .await;
    world
        .accounts(
            "acme-42 5000, acme-43 5000, walk-in 100, external of muster -10100, muster \
        -60, revenue of muster 60",
        )
        .await;
}

/// Random faults of lower links, then mended: link by link the same sums as where there never was a
/// fault.
async fn mended_and_rated_again_the_books_are_as_if_nothing_had_failed(backend: Backend) {
    const EVENTS: u64 = 60;
    let sound = World::new(backend).await;
    let broken = World::new(backend).await;
    for (world, is_broken) in [(&sound, false), (&broken, true)] {
        world
            .card("platform", "wide", per_unit("sms", "0.0311"))
            .await;
        world
            .reseller("upper", "platform", json!({ "card": "wide" }))
            .await;
        let rate = |meter, price| {
            if is_broken {
                per_unit("booking", "1")
            } else {
                per_unit(meter, price)
            }
        };
        world.card("upper", "middle", rate("sms", "0.0471")).await;
        world
            .reseller("lower", "upper", json!({ "card": "middle" }))
            .await;
        world
            .card("lower", "street", per_unit("sms", "0.0777"))
            .await;
        let ends = if is_broken {
            json!("2026-11-20T09:00:00Z")
        } else {
            Value::Null
        };
        world
            .customer("a", "lower", json!({ "card": "street", "until": ends }))
            .await;
        let refuse = json!({ "card": "street", "credit_limit": 0, "on_exhausted": if is_broken { "refuse" } else { "post" }, "refused_by": "upper" });
        world.customer("b", "lower", refuse).await;
        // A small generator of our own, the same for both.
        let mut seed = 7_u64;
        for n in 0..EVENTS {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (customer, quantity) = (
                if seed & (1 << 40) == 0 { "a" } else { "b" },
                1 + (seed >> 45) % 9,
            );
            let at = if seed & (1 << 41) == 0 {
                "2026-11-20T08:30:00Z"
            } else {
                "2026-11-20T09:30:00Z"
            };
            world
                .send(customer, "sms", &quantity.to_string())
                .id(&format!("e{n}"))
                .at(at)
                .text()
                .await;
            if is_broken && n == EVENTS / 2 {
                world
                    .publish("middle", "2020-01-02T00:00:00Z", per_unit("sms", "0.0471"))
                    .await;
                assert!(world.rate_again("upper").await.contains("partly rated"));
            }
        }
        if is_broken {
            world
                .agree(
                    "a",
                    json!({ "card": "street", "from": "2026-11-20T09:00:00Z" }),
                )
                .await;
        }
        world.top_up("b", 10_000).await;
        let again = world.rate_again("upper").await;
        assert!(!again.contains("partly"), "{again}");
    }
    let named = |world: &World, audited: crate::audit::Audited| {
        let links = audited
            .links
            .into_iter()
            .map(|((customer, buyer), sums)| (world.name(customer), world.name(buyer), sums));
        let mut links: Vec<_> = links.collect();
        links.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        links
    };
    let (want, found) = (
        named(&sound, sound.audit().await),
        named(&broken, broken.audit().await),
    );
    assert_eq!(found, want);
    assert_eq!(want.len(), 6);
}

mod over_http {
    use crate::http_world::{Market, call, on_every_database};
    use crate::unpaid_usage::MONTH_LATER;
    use crate::world::{per_unit, prices};
    use serde_json::json;

    on_every_database!(the_platform_is_owed_for_what_it_reported);

    /// Every way in which a reseller's own key could keep a customer's link from being charged.
    async fn the_platform_is_owed_for_what_it_reported(market: Market) {
        let muster = market.by("muster admin");
        for (name, mut doc) in [
            ("empty", per_unit("booking", "1")),
            ("gratis", prices("0", "0", "0", "0")),
        ] {
            doc["currency"] = json!("EUR");
            let card = muster
                .post(
                    "/v1/rate-cards",
                    json!({ "name": name, "currency": "EUR", "owner": "muster" }),
                )
                .await
                .ok();
            let path = format!("/v1/rate-cards/{}/versions", card["id"].as_str().unwrap());
            muster.post(&path, doc).await.ok();
            muster
                .post(
                    &format!("{path}/1/publish"),
                    json!({ "effective_from": "2026-01-01T00:00:00Z" }),
                )
                .await
                .ok();
        }
        let table = [
            ("ended", "retail", "post", "no_agreement"),
            ("closed", "retail", "post", "tenant_closed"),
            ("nothing", "empty", "post", "no_rate"),
            ("refusing", "retail", "refuse", "exhausted"),
            ("free", "gratis", "post", ""),
        ];
        let mut owed = 0;
        for (name, card, exhausted, reason) in table {
            muster.post("/v1/tenants", json!({ "external_id": name, "kind": "customer", "name": name, "parent": "muster" })).await.ok();
            let agreement = json!({ "buyer": name, "currency": "EUR", "rate_card": card, "credit_limit_cents": 0,
                "on_exhausted": exhausted, "from": "2026-01-01T00:00:00Z" });
            let agreement = muster.post("/v1/agreements", agreement).await.ok();
            let is_over = ["ended", "closed"].contains(&name);
            let (seconds, cents) = if is_over { ("240", 120) } else { ("600", 300) };
            let mut event = call(name, name, seconds);
            match name {
                "ended" => {
                    let path = format!("/v1/agreements/{}/end", agreement["id"].as_str().unwrap());
                    muster.post(&path, json!({})).await.ok();
                }
                "closed" => {
                    muster
                        .post("/v1/tenants/closed/close", json!({}))
                        .await
                        .ok();
                }
                _ => {}
            }
            if is_over {
                event["at"] = json!("2026-11-20T12:01:00Z");
            }
            let answer = market.admin().post("/v1/usage-events", event).await.ok();
            owed += cents;
            assert_eq!(
                answer["splits"][0],
                json!({ "tenant": "platform", "cents": cents }),
                "{name}: {answer}"
            );
            if reason.is_empty() {
                assert_eq!(
                    (answer["status"].as_str(), answer["debit_cents"].as_i64()),
                    (Some("rated"), Some(0)),
                    "{name}"
                );
            } else {
                let open: Vec<_> = answer["open"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|link| (&link["buyer"], &link["reason"]))
                    .collect();
                assert_eq!(open, [(&json!(name), &json!(reason))], "{name}: {answer}");
                assert_eq!(
                    (answer["status"].as_str(), answer["balance_cents"].as_i64()),
                    (Some("partly_rated"), None),
                    "{name}"
                );
            }
            assert_eq!(market.balance("muster").await, -owed, "{name}");
        }
        assert_eq!(market.revenue("muster").await, owed);
        let listed = market
            .admin()
            .get("/v1/usage-events/unrated?root=muster")
            .await
            .ok();
        assert_eq!(
            listed["data"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|event| event["kind"] == "partly_rated")
                .count(),
            4
        );
        let explained = market
            .admin()
            .get("/v1/usage-events/default/ended")
            .await
            .ok();
        assert_eq!(
            (&explained["status"], &explained["open"][0]["reason"]),
            (&json!("partly_rated"), &json!("no_agreement"))
        );
        market.served.set_clock(MONTH_LATER);
        assert_eq!(
            market.payable("muster").await,
            "-1140 - 0 - 0 = 0 payable, 1140 debt"
        );
    }
}
