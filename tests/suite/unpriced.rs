//! What has no price says what it lacks, and a newcomer's first event has one.

use crate::http_world::{Market, on_every_database};
use crate::served::Asking;
use crate::world::prices;
use serde_json::{Value, json};

on_every_database!(
    a_newcomers_first_event_is_priced,
    terms_without_a_beginning_follow_those_that_ended,
    usage_of_a_meter_that_nobody_made_is_kept,
    an_answer_says_which_link_lacks_what,
    kept_usage_of_the_whole_subtree_is_listed,
    what_kept_usage_lacks_is_worked_out_when_it_is_read,
    a_correction_without_a_price_says_what_it_lacks,
    records_of_a_switch_are_of_a_meter_in_seconds,
);

fn usage(id: &str, customer: &str, meter: &str, at: &str) -> Value {
    json!({ "id": id, "customer": customer, "meter": meter, "quantity": "60", "at": at, "destination": "+4930123456" })
}

async fn send(who: &Asking, event: Value) -> Value {
    who.post("/v1/usage-events", event).await.ok()
}

async fn newcomer(market: &Market, name: &str, agreement: Value) -> Value {
    let muster = market.by("muster admin");
    muster
        .post(
            "/v1/tenants",
            json!({ "external_id": name, "kind": "customer", "name": name, "parent": "muster" }),
        )
        .await
        .ok();
    let mut terms = json!({ "buyer": name, "currency": "EUR", "rate_card": market.id("retail"), "credit_limit_cents": 0 });
    terms
        .as_object_mut()
        .unwrap()
        .extend(agreement.as_object().unwrap().clone());
    muster.post("/v1/agreements", terms).await.ok()
}

/// Prices of a seller, published without saying from when on.
async fn card(market: &Market, name: &str, owner: &str) -> String {
    let admin = market.admin();
    let card = admin
        .post(
            "/v1/rate-cards",
            json!({ "name": name, "currency": "EUR", "owner": owner }),
        )
        .await
        .ok();
    let id = card["id"].as_str().unwrap().to_owned();
    let mut doc = prices("0.40", "0.15", "1.50", "0.08");
    doc["currency"] = json!("EUR");
    admin
        .post(&format!("/v1/rate-cards/{id}/versions"), doc)
        .await
        .ok();
    admin
        .post(
            &format!("/v1/rate-cards/{id}/versions/1/publish"),
            json!({}),
        )
        .await
        .ok();
    id
}

async fn a_newcomers_first_event_is_priced(market: Market) {
    market.served.set_clock("2026-11-20T12:00:40Z");
    let fresh = card(&market, "fresh", "muster").await;
    newcomer(&market, "newcomer", json!({ "rate_card": fresh })).await;
    // Its switch's clock is a little behind, or the call began before somebody pressed the button.
    let answer = send(
        market.admin(),
        usage("n-1", "newcomer", "call", "2026-11-20T12:00:05Z"),
    )
    .await;
    assert_eq!(answer["status"], "rated", "{answer}");
    // A deck goes the same way.
    let deck = market
        .admin()
        .post(
            "/v1/rate-cards",
            json!({ "name": "deck", "currency": "EUR", "owner": "muster" }),
        )
        .await
        .ok();
    let import = format!("/v1/rate-cards/{}/import", deck["id"].as_str().unwrap());
    let csv = "Prefix,Destination,Rate\n49,Germany,0.10\n";
    let imported = market
        .admin()
        .sending("text/csv")
        .ask(hyper::Method::POST, &import, csv.into())
        .await
        .unwrap()
        .ok();
    assert_eq!(
        imported["version"]["effective_from"], "2026-11-20T12:00:00Z",
        "{imported}"
    );
}

async fn terms_without_a_beginning_follow_those_that_ended(market: Market) {
    market.served.set_clock("2026-11-20T12:00:20Z");
    let first = newcomer(&market, "newcomer", json!({})).await;
    assert_eq!(first["from"], "2026-11-20T12:00:00Z");
    let muster = market.by("muster admin");
    let terms = json!({ "buyer": "newcomer", "currency": "EUR", "rate_card": market.id("retail"), "credit_limit_cents": 0 });
    // Terms in force are in the way as before.
    assert_eq!(
        muster.post("/v1/agreements", terms.clone()).await.code(),
        "409 conflict"
    );
    muster
        .post(
            &format!("/v1/agreements/{}/end", first["id"].as_str().unwrap()),
            json!({}),
        )
        .await
        .ok();
    market.served.set_clock("2026-11-20T12:00:50Z");
    let second = muster.post("/v1/agreements", terms).await.ok();
    assert_eq!(
        second["from"], "2026-11-20T12:00:20Z",
        "without a gap, and without an overlap"
    );
    // A version published twice within a minute begins at once.
    let fresh = card(&market, "fresh", "muster").await;
    let mut doc = prices("0.50", "0.15", "1.50", "0.08");
    doc["currency"] = json!("EUR");
    muster
        .post(&format!("/v1/rate-cards/{fresh}/versions"), doc)
        .await
        .ok();
    let again = muster
        .post(
            &format!("/v1/rate-cards/{fresh}/versions/2/publish"),
            json!({}),
        )
        .await
        .ok();
    assert_eq!(again["effective_from"], "2026-11-20T12:00:50Z");
}

async fn usage_of_a_meter_that_nobody_made_is_kept(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster usage"));
    let kept = send(
        &muster,
        usage("f-1", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    assert_eq!(
        (&kept["status"], &kept["reason"]),
        (&json!("unrated"), &json!("unknown_meter")),
        "{kept}"
    );
    assert!(
        kept["detail"]
            .as_str()
            .unwrap()
            .starts_with("there is no meter \"fax\""),
        "{kept}"
    );
    send(
        &muster,
        usage("f-2", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    let hold =
        json!({ "usage": usage("f-3", "acme-42", "fax", "2026-11-20T09:00:00Z"), "ttl_secs": 300 });
    assert_eq!(
        admin.post("/v1/holds", hold).await.code(),
        "422 unknown_meter",
        "what has not happened is refused"
    );
    let voided = muster
        .once("void-f")
        .post(
            "/v1/usage-events/default/f-2/void",
            json!({ "reason": "no fax" }),
        )
        .await;
    assert_eq!(voided.status, 200, "{voided:?}");
    admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "page" }))
        .await
        .ok();
    let listed = admin.get("/v1/usage-events/unrated").await.ok();
    assert_eq!(
        (
            listed["data"].as_array().unwrap().len(),
            &listed["data"][0]["now"]["reason"]
        ),
        (1, &json!("no_rate")),
        "{listed}"
    );
    for (name, owner) in [("wholesale", "platform"), ("retail", "muster")] {
        let mut doc = prices("0.40", "0.15", "1.50", "0.08");
        doc["currency"] = json!("EUR");
        let fax = json!({ "key": "fax", "meter": "fax", "price": { "model": "per_unit", "unit_price": "0.01" } });
        doc["rates"].as_array_mut().unwrap().push(fax);
        let path = format!("/v1/rate-cards/{}/versions", market.id(name));
        admin.post(&path, doc).await.ok();
        let published = admin
            .post(
                &format!("{path}/2/publish"),
                json!({ "effective_from": "2026-11-20T08:00:00Z" }),
            )
            .await;
        assert_eq!(published.status, 200, "{owner}: {published:?}");
    }
    let again = admin
        .post("/v1/usage-events/rate-again", json!({}))
        .await
        .ok();
    assert_eq!(again["rated"], 1, "{again}");
    assert_eq!(market.balance("acme-42").await, 5000 - 60);
    assert_eq!(
        send(
            &muster,
            usage("f-1", "acme-42", "fax", "2026-11-20T09:00:00Z")
        )
        .await["status"],
        "duplicate"
    );
}

async fn an_answer_says_which_link_lacks_what(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    newcomer(&market, "later", json!({ "from": "2026-11-20T11:00:00Z" })).await;
    let early = send(admin, usage("l-1", "later", "call", "2026-11-20T09:00:00Z")).await;
    // The reseller's own link has a price: its usage is owed above.
    assert_eq!(
        (&early["status"], &early["reason"]),
        (&json!("partly_rated"), &json!("no_agreement")),
        "{early}"
    );
    assert_eq!(
        early["detail"],
        "the agreement begins at 2026-11-20T11:00:00Z"
    );
    let open = json!([{ "buyer": "later", "reason": "no_agreement", "detail": "the agreement \
        begins at 2026-11-20T11:00:00Z", "begins_at": "2026-11-20T11:00:00Z" }]);
    assert_eq!(early["open"], open);
    let unknown = send(
        admin,
        usage("l-2", "nobody", "call", "2026-11-20T09:00:00Z"),
    )
    .await;
    assert_eq!(
        unknown["detail"], "there is no tenant \"nobody\" below the key's tenant",
        "{unknown}"
    );
    // A meter that no card prices: both links say so to the platform, and to the customer its own.
    admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "page" }))
        .await
        .ok();
    let fax = send(
        admin,
        usage("l-3", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    let says = |answer: &Value| {
        let links = answer["open"].as_array().unwrap().iter();
        links
            .map(|link| {
                format!("{} {}: {}", link["buyer"], link["reason"], link["detail"])
                    .replace(['"', '\\'], "")
            })
            .collect::<Vec<_>>()
    };
    let own = "acme-42 no_rate: the rate card retail: no rate is of this meter";
    assert_eq!(
        says(&fax),
        [
            own,
            "muster no_rate: the rate card wholesale: no rate is of this meter"
        ],
        "{fax}"
    );
    let to_customer = send(
        &market.by("acme-42 admin"),
        usage("l-4", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    assert_eq!(says(&to_customer), [own], "{to_customer}");
    // And with the card that stands behind one.
    muster
        .post(
            "/v1/rate-cards",
            json!({ "name": "special", "currency": "EUR" }),
        )
        .await
        .ok();
    let sms = json!({ "key": "sms", "meter": "sms", "price": { "model": "per_unit", "unit_price": "1" } });
    let doc = json!({ "currency": "EUR", "rates": [sms], "fallback": "retail" });
    muster
        .post("/v1/rate-cards/special/versions", doc)
        .await
        .ok();
    muster
        .post(
            "/v1/rate-cards/special/versions/1/publish",
            json!({ "effective_from": "2026-01-01T00:00:00Z" }),
        )
        .await
        .ok();
    newcomer(
        &market,
        "special-1",
        json!({ "rate_card": "special", "from": "2026-01-01T00:00:00Z" }),
    )
    .await;
    let behind = send(
        &market.by("muster admin"),
        usage("l-7", "special-1", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    let both = "special-1 no_rate: the rate card special: no rate is of this meter; the rate card \
        retail: no rate is of this meter";
    assert_eq!(says(&behind)[0], both, "{behind}");
    let again = send(
        admin,
        usage("l-3", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    assert_eq!(says(&again).len(), 2, "a resend hears the same: {again}");
    // A card whose first version begins later, and one that has none.
    let later = muster
        .post(
            "/v1/rate-cards",
            json!({ "name": "empty", "currency": "EUR" }),
        )
        .await
        .ok();
    newcomer(
        &market,
        "waiting",
        json!({ "rate_card": later["id"], "from": "2026-01-01T00:00:00Z" }),
    )
    .await;
    let at = "2026-11-20T09:00:00Z";
    let none = send(admin, usage("l-5", "waiting", "call", at)).await;
    assert_eq!(
        none["detail"], "the rate card \"empty\": no version of it is published",
        "{none}"
    );
    let mut doc = prices("0.40", "0.15", "1.50", "0.08");
    doc["currency"] = json!("EUR");
    muster.post("/v1/rate-cards/empty/versions", doc).await.ok();
    muster
        .post(
            "/v1/rate-cards/empty/versions/1/publish",
            json!({ "effective_from": "2026-11-20T11:30:00Z" }),
        )
        .await
        .ok();
    let begins = send(admin, usage("l-6", "waiting", "call", at)).await;
    assert_eq!(
        begins["open"][0]["begins_at"], "2026-11-20T11:30:00Z",
        "{begins}"
    );
}

async fn kept_usage_of_the_whole_subtree_is_listed(market: Market) {
    let admin = market.admin();
    admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "page" }))
        .await
        .ok();
    for (id, customer) in [
        ("k-1", "acme-42"),
        ("k-2", "beta"),
        ("k-3", "acme-43"),
        ("k-4", "nobody"),
    ] {
        send(admin, usage(id, customer, "fax", "2026-11-20T09:00:00Z")).await;
    }
    let listed = async |who: &Asking, query: &str| -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = who
                .get(&format!("/v1/usage-events/unrated?{query}{cursor}"))
                .await
                .ok();
            ids.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| event["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        ids.sort();
        ids
    };
    for limit in ["limit=1", "limit=3", "limit=50"] {
        assert_eq!(
            listed(admin, limit).await,
            ["k-1", "k-2", "k-3", "k-4"],
            "{limit}"
        );
        assert_eq!(
            listed(&market.by("muster read"), limit).await,
            ["k-1", "k-3"],
            "{limit}"
        );
        assert_eq!(
            listed(&market.by("acme-42 admin"), limit).await,
            ["k-1"],
            "{limit}"
        );
        assert_eq!(
            listed(&market.by("agent admin"), limit).await,
            ["k-2"],
            "{limit}"
        );
    }
    assert_eq!(listed(admin, "root=muster").await, ["k-1", "k-3"]);
    // Nor is anything passed over when they are rated again: the platform's key is asked for all of
    // them.
    let again = async |who: &Asking, body: Value| {
        let answer = who.post("/v1/usage-events/rate-again", body).await.ok();
        answer["unrated"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["count"].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(again(admin, json!({})).await, 4);
    assert_eq!(again(admin, json!({ "root": "muster" })).await, 2);
    assert_eq!(again(&market.by("muster admin"), json!({})).await, 2);
}

async fn what_kept_usage_lacks_is_worked_out_when_it_is_read(market: Market) {
    let (admin, muster) = (market.admin(), market.by("muster admin"));
    let explained = async |who: &Asking, id: &str| {
        who.get(&format!("/v1/usage-events/default/{id}"))
            .await
            .ok()
    };
    let now = async || {
        let listed = muster.get("/v1/usage-events/unrated").await.ok()["data"][0]["now"].clone();
        assert_eq!(
            explained(&muster, "t-1").await["now"],
            listed,
            "explained as it is listed"
        );
        listed
    };
    send(
        &muster,
        usage("t-1", "newcomer", "call", "2026-11-20T09:00:00Z"),
    )
    .await;
    let first = now().await;
    assert_eq!(
        (&first["status"], &first["reason"]),
        (&json!("lacking"), &json!("unknown_customer")),
        "{first}"
    );
    assert!(
        first["detail"]
            .as_str()
            .unwrap()
            .contains("there is no tenant \"newcomer\""),
        "{first}"
    );
    // The tenant is there now: the reason of then would mislead.
    muster.post("/v1/tenants", json!({ "external_id": "newcomer", "kind": "customer", "name": "N", "parent": "muster" })).await.ok();
    let second = now().await;
    let open = json!([{ "buyer": "newcomer", "reason": "no_agreement", "detail": "there is no \
        agreement" }]);
    assert_eq!(
        (&second["reason"], &second["open"]),
        (&json!("no_agreement"), &open),
        "{second}"
    );
    // With its agreement the event waits for nothing but to be rated again.
    let terms = json!({ "buyer": "newcomer", "currency": "EUR", "rate_card": market.id("retail"), "credit_limit_cents": 0, "from": "2026-11-01T00:00:00Z" });
    muster.post("/v1/agreements", terms).await.ok();
    assert_eq!(now().await, json!({ "status": "priced" }));
    assert_eq!(
        explained(&muster, "t-1").await["reason"],
        "unknown_customer",
        "as it was recorded"
    );
    muster
        .post("/v1/usage-events/rate-again", json!({}))
        .await
        .ok();
    assert_eq!(explained(&muster, "t-1").await.get("now"), None);

    // Each sees what its own links lack.
    admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "page" }))
        .await
        .ok();
    send(
        admin,
        usage("t-2", "acme-42", "fax", "2026-11-20T09:00:00Z"),
    )
    .await;
    for (who, buyers) in [
        ("muster admin", &["acme-42", "muster"][..]),
        ("acme-42 admin", &["acme-42"]),
    ] {
        let now = explained(&market.by(who), "t-2").await["now"].clone();
        let shown: Vec<_> = now["open"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["buyer"].as_str().unwrap())
            .collect();
        assert_eq!(
            (&now["reason"], shown),
            (&json!("no_rate"), buyers.to_vec()),
            "{now}"
        );
    }
}

/// It said `no_rate` and nothing else.
async fn a_correction_without_a_price_says_what_it_lacks(market: Market) {
    let admin = market.admin();
    let sent = send(
        admin,
        usage("c-1", "acme-42", "call", "2026-11-20T09:00:00Z"),
    )
    .await;
    assert_eq!(sent["status"], "rated", "{sent}");
    admin
        .post("/v1/meters", json!({ "name": "page", "unit": "page" }))
        .await
        .ok();
    for (customer, lacks) in [
        ("acme-42", "no_rate: the rate card \"retail\": "),
        ("nobody", "unknown_customer"),
    ] {
        let event = usage("c-2", customer, "page", "2026-11-20T09:00:00Z");
        let mut reported = event.clone();
        reported["id"] = json!(format!("r-{customer}"));
        let said = send(admin, reported).await;
        let asked = json!({ "reason": "another number", "event": event });
        let refused = admin
            .once(customer)
            .post("/v1/usage-events/default/c-1/correct", asked)
            .await;
        assert_eq!(refused.code(), "422 not_rated", "{refused:?}");
        assert!(
            refused.text.contains(&lacks.replace('"', "\\\"")),
            "{refused:?}"
        );
        assert!(
            customer != "acme-42"
                || refused
                    .text
                    .contains(&said["detail"].as_str().unwrap().replace('"', "\\\"")),
            "{said} {refused:?}"
        );
    }
}

/// A call of a minute was charged as sixty messages.
async fn records_of_a_switch_are_of_a_meter_in_seconds(market: Market) {
    const ROW: &str = "\"acme-42\",\"1\",\"+4930123456\",\"c\",\"x\",\"SIP/a-1\",\"SIP/b-2\",\"Dial\",\"\",\"2026-11-20 09:00:00\",\"2026-11-20 09:00:01\",\"2026-11-20 09:01:01\",61,60,\"ANSWERED\",\"DOC\",\"u.1\",\"\",\"\",\"u.1\",1\n";
    let asterisk = async |meter: &str| {
        let path = format!("/v1/ingest/asterisk?zone=UTC&meter={meter}&source={meter}");
        market
            .admin()
            .sending("text/csv")
            .ask(hyper::Method::POST, &path, ROW.into())
            .await
            .unwrap()
    };
    let refused = asterisk("sms").await;
    assert_eq!(refused.code(), "400 invalid_request", "{refused:?}");
    assert!(
        refused.text.contains("in seconds") && refused.text.contains("sms"),
        "{refused:?}"
    );
    let freeswitch = market
        .admin()
        .post(
            "/v1/ingest/freeswitch?meter=sms",
            json!({ "variables": {} }),
        )
        .await;
    assert_eq!(freeswitch.code(), "400 invalid_request", "{freeswitch:?}");
    let taken = asterisk("call").await;
    assert!(
        taken.status == 200 && taken.text.contains("\"status\":\"rated\""),
        "{taken:?}"
    );
    // Kept until somebody makes it.
    assert_eq!(asterisk("fax").await.status, 200);
}
