//! Lists asked for by name and by time, and what a filter shows to whom.

use crate::http_world::{Market, call, on_every_database};
use crate::isolation::fill;
use crate::served::Asking;
use serde_json::{Value, json};

on_every_database!(
    what_has_a_name_is_found_by_it,
    what_has_a_date_is_found_by_it,
    usage_and_entries_are_read_from_when_until_when,
);

/// One field of each row, in order.
async fn column(by: &Asking, path: &str, field: &str) -> Vec<String> {
    let list = by.get(path).await.ok();
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn what_has_a_name_is_found_by_it(market: Market) {
    let (admin, muster, agent) = (
        market.admin(),
        market.by("muster admin"),
        market.by("agent admin"),
    );
    // A namesake of acme-42 below another reseller, and one of its own seller's.
    for (seller, external_id) in [("agent", "acme-42"), ("muster", "acme-44")] {
        let twin = json!({ "external_id": external_id, "kind": "customer", "name": "acme-42", "parent": seller });
        admin.post("/v1/tenants", twin).await.ok();
    }
    let parents = async |by: &Asking, query: &str| {
        column(by, &format!("/v1/tenants?{query}"), "parent").await
    };
    let ids = async |by: &Asking, query: &str| {
        column(by, &format!("/v1/tenants?{query}"), "external_id").await
    };
    assert_eq!(
        parents(admin, "subtree=true&external_id=acme-42").await,
        ["muster", "agent"]
    );
    assert_eq!(
        parents(admin, "subtree=true&name=acme-42").await,
        ["muster", "muster", "agent"]
    );
    assert_eq!(
        ids(admin, "subtree=true&name=acme-42&external_id=acme-44").await,
        ["acme-44"]
    );
    assert_eq!(
        ids(admin, "name=acme-42").await,
        [""; 0],
        "not one of its own buyers"
    );
    assert_eq!(ids(admin, "name=muster").await, ["muster"]);
    assert_eq!(
        ids(admin, "parent=agent&external_id=acme-42").await,
        ["acme-42"]
    );
    assert_eq!(ids(&muster, "name=acme-42").await, ["acme-42", "acme-44"]);
    assert_eq!(
        ids(&muster, "name=Acme-42").await,
        [""; 0],
        "a name is as it is written"
    );
    assert_eq!(
        parents(&agent, "subtree=true&name=acme-42").await,
        ["agent"],
        "nothing of another's"
    );
    assert_eq!(
        ids(&agent, "subtree=true&external_id=acme-44").await,
        [""; 0],
        "nothing of another's"
    );
    // Page by page.
    let first = muster.get("/v1/tenants?name=acme-42&limit=1").await.ok();
    let next = format!(
        "name=acme-42&limit=1&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    assert_eq!(
        (ids(&muster, &next).await, &first["data"][0]["external_id"]),
        (vec!["acme-44".to_owned()], &json!("acme-42"))
    );

    admin
        .post(
            "/v1/rate-cards",
            json!({ "name": "retail", "currency": "EUR", "owner": "agent" }),
        )
        .await
        .ok();
    assert_eq!(
        column(admin, "/v1/rate-cards?name=retail", "owner").await,
        ["muster", "agent"]
    );
    assert_eq!(
        column(admin, "/v1/rate-cards?name=retail&owner=muster", "owner").await,
        ["muster"]
    );
    assert_eq!(
        column(&agent, "/v1/rate-cards?name=retail", "owner").await,
        ["agent"]
    );
    assert_eq!(column(&agent, "/v1/meters?name=sms", "name").await, ["sms"]);
    assert_eq!(column(&agent, "/v1/meters?name=fax", "name").await, [""; 0]);
    assert_eq!(
        column(admin, "/v1/api-keys?name=muster%20read", "tenant").await,
        ["muster"]
    );
    assert_eq!(
        column(&agent, "/v1/api-keys?name=muster%20read", "tenant").await,
        [""; 0]
    );
}

/// How many rows there are before an instant, from it on, and of the other's.
async fn parted(market: &Market, path: &str, at: &str) -> [usize; 3] {
    let (muster, agent) = (market.by("muster admin"), market.by("agent admin"));
    let join = if path.contains('?') { '&' } else { '?' };
    let count = async |by: &Asking, query: String| {
        by.get(&query).await.ok()["data"].as_array().unwrap().len()
    };
    let all = count(&muster, path.to_owned()).await;
    let before = count(&muster, format!("{path}{join}until={at}")).await;
    let since = count(&muster, format!("{path}{join}from={at}")).await;
    assert_eq!(before + since, all, "{path}");
    let never = muster
        .get(&format!("{path}{join}from={at}&until={at}"))
        .await;
    assert_eq!(
        (never.code().as_str(), &never.body["field"]),
        ("422 invalid_field", &json!("from")),
        "{path}"
    );
    let foreign = if path.contains("/deliveries") {
        0
    } else {
        count(&agent, format!("{path}{join}from={at}")).await
    };
    [before, since, foreign]
}

async fn what_has_a_date_is_found_by_it(market: Market) {
    let filled = fill(&market).await;
    let paid_at = "2026-12-20T12:00:00Z";
    assert_eq!(parted(&market, "/v1/payouts", paid_at).await, [0, 1, 1]);
    assert_eq!(
        parted(&market, "/v1/payouts?state=due", "2026-12-20T12:00:01Z").await,
        [0, 0, 0],
        "it is in a file"
    );
    assert_eq!(parted(&market, "/v1/top-ups", paid_at).await, [0, 1, 0]);
    let deliveries = format!("/v1/webhook-endpoints/{}/deliveries", filled.endpoint);
    let [before, since, _] = parted(&market, &deliveries, paid_at).await;
    assert!(before == 0 && since > 0);
    let [before, since, _] = parted(&market, &deliveries, "2026-12-20T12:00:01Z").await;
    assert!(before > 0 && since == 0);
    assert_eq!(
        parted(&market, "/v1/audit-log?resource=payout", paid_at).await[0],
        0
    );
    for later in [paid_at, "2026-12-20T12:00:01Z"] {
        let suspense = market
            .admin()
            .get(&format!("/v1/payments/suspense?from={later}"))
            .await
            .ok();
        assert_eq!(suspense["data"], json!([]));
    }

    // Terms by when they are in force.
    let end = format!("/v1/agreements/{}/end", market.id("muster agreement"));
    market
        .admin()
        .post(&end, json!({ "until": "2027-01-01T00:00:00Z" }))
        .await
        .ok();
    let card = market.id("wholesale");
    let new = json!({ "buyer": "muster", "currency": "EUR", "rate_card": card, "credit_limit_cents": null, "from": "2027-02-01T00:00:00Z" });
    market.admin().post("/v1/agreements", new).await.ok();
    let begun = async |query: &str| {
        column(
            market.admin(),
            &format!("/v1/agreements?buyer=muster&{query}"),
            "from",
        )
        .await
    };
    let (old, new) = ("2026-01-01T00:00:00Z", "2027-02-01T00:00:00Z");
    assert_eq!(begun("").await, [old, new]);
    assert_eq!(begun("from=2026-12-31T23:59:59Z").await, [old, new]);
    assert_eq!(
        begun("from=2027-01-01T00:00:00Z").await,
        [new],
        "its end is not in force"
    );
    assert_eq!(begun("until=2027-02-01T00:00:00Z").await, [old]);
    assert_eq!(
        begun("from=2027-01-01T00:00:00Z&until=2027-02-01T00:00:00Z").await,
        [""; 0],
        "nothing in between"
    );
    let own = column(
        &market.by("muster admin"),
        "/v1/agreements?from=2027-01-01T00:00:00Z",
        "buyer",
    )
    .await;
    assert_eq!(own, ["acme-42", "acme-43", "muster"]);
    assert_eq!(
        column(
            &market.by("agent admin"),
            "/v1/agreements?from=2027-01-01T00:00:00Z",
            "buyer"
        )
        .await,
        ["agent", "beta"]
    );
}

/// Everything of a list, page by page.
async fn whole(by: &Asking, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = by.get(&format!("{path}&limit=3{cursor}")).await.ok();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn usage_and_entries_are_read_from_when_until_when(market: Market) {
    let (admin, acme) = (market.admin(), market.by("acme-42 admin"));
    let minute = |minute: usize| format!("2026-11-20T12:{minute:02}:00Z");
    for at in 1..9 {
        market.served.set_clock(&minute(at));
        // Several of one instant, and others' in between.
        for one in 0..=at % 3 {
            admin
                .post(
                    "/v1/usage-events",
                    call(&format!("c-{at}-{one}"), "acme-42", "60"),
                )
                .await
                .ok();
            admin
                .post(
                    "/v1/usage-events",
                    call(&format!("b-{at}-{one}"), "beta", "60"),
                )
                .await
                .ok();
            admin
                .post(
                    "/v1/usage-events",
                    call(&format!("d-{at}-{one}"), "acme-43", "60"),
                )
                .await
                .ok();
        }
    }
    for (by, list, time) in [
        (&acme, "/v1/usage-events?customer=acme-42", "received_at"),
        (
            &acme,
            "/v1/accounts/acme-42/entries?account=balance",
            "posted_at",
        ),
        (
            admin,
            "/v1/accounts/muster/entries?account=revenue",
            "posted_at",
        ),
    ] {
        let all = whole(by, list).await;
        assert!(all.len() >= 15, "{list}");
        for (from, until) in
            (0..10).flat_map(|from| (from + 1..11).map(move |until| (minute(from), minute(until))))
        {
            let within = |row: &&Value| (&*from..&*until).contains(&row[time].as_str().unwrap());
            let want: Vec<&Value> = all.iter().filter(within).collect();
            let found = whole(by, &format!("{list}&from={from}&until={until}")).await;
            assert_eq!(
                found.iter().collect::<Vec<_>>(),
                want,
                "{list} from {from} until {until}"
            );
        }
        let since = whole(by, &format!("{list}&from={}", minute(5))).await;
        let before = whole(by, &format!("{list}&until={}", minute(5))).await;
        assert_eq!([since, before].concat(), all, "{list}");
    }
    let foreign = market
        .by("agent admin")
        .get(&format!(
            "/v1/usage-events?customer=acme-42&from={}",
            minute(1)
        ))
        .await;
    assert_eq!(foreign.code(), "404 not_found");
    let refused = acme
        .get(&format!(
            "/v1/usage-events?from={}&until={}",
            minute(2),
            minute(2)
        ))
        .await;
    assert_eq!(
        (refused.code().as_str(), &refused.body["field"]),
        ("422 invalid_field", &json!("from"))
    );
}
