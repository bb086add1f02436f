//! Holds, balances, statements, commissions, voids, switches' records.

use super::Service;
use serde_json::json;

#[tokio::test]
async fn a_statement_adds_up_and_a_commission_is_received_less_paid() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    service.usage(&admin, Service::call("c1")).await.ok();
    service.clock.set("2026-11-20T13:00:00Z".parse().unwrap());
    service.usage(&admin, Service::call("c2")).await.ok();
    let statement = service
        .get(
            &admin,
            "/v1/accounts/acme-42/statement?from=2026-11-20T12:30:00Z",
        )
        .await
        .ok();
    assert_eq!(
        (&statement["opening_cents"], &statement["closing_cents"]),
        (&json!(4600), &json!(4200))
    );
    assert_eq!(
        (
            statement["entries"].as_array().map(Vec::len),
            &statement["entries"][0]["cents"]
        ),
        (Some(1), &json!(-400))
    );
    let earlier =
        "/v1/accounts/acme-42/statement?from=2026-11-20T00:00:00Z&until=2026-11-20T12:30:00Z";
    let statement = service.get(&admin, earlier).await.ok();
    assert_eq!(
        (
            &statement["opening_cents"],
            &statement["closing_cents"],
            statement["entries"].as_array().map(Vec::len)
        ),
        (&json!(0), &json!(4600), Some(2))
    );
    let commission = service
        .get(
            &admin,
            "/v1/commissions?reseller=muster&from=2026-11-01T00:00:00Z",
        )
        .await
        .ok();
    let sums = [
        "received_cents",
        "paid_cents",
        "commission_cents",
        "accrued_cents",
    ]
    .map(|name| commission[name].as_i64().unwrap());
    assert_eq!(sums, [800, 600, 200, 200]);
    // What is topped up is no commission: one name, one meaning, here and in the statement of the
    // month.
    let top_up = json!({ "tenant": "muster", "cents": 1000, "reason": "bank transfer" });
    service.post(&admin, "/v1/top-ups", top_up).await.ok();
    let commission = service
        .get(
            &admin,
            "/v1/commissions?reseller=muster&from=2026-11-01T00:00:00Z",
        )
        .await
        .ok();
    let statement = service
        .get(
            &admin,
            "/v1/commissions/statement?reseller=muster&month=2026-11",
        )
        .await
        .ok();
    assert_eq!(
        (&commission["accrued_cents"], &statement["accrued_cents"]),
        (&json!(200), &json!(200))
    );
    assert_eq!(
        (&commission["balance_cents"], &statement["closing_cents"]),
        (&json!(1200), &json!(1200))
    );
    let page = service
        .get(&admin, "/v1/accounts/acme-42/entries?limit=2")
        .await
        .ok();
    assert_eq!(
        (page["data"].as_array().map(Vec::len), &page["has_more"]),
        (Some(2), &json!(true))
    );
    let next = format!(
        "/v1/accounts/acme-42/entries?cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    assert_eq!(
        service.get(&admin, &next).await.ok()["data"][0]["kind"],
        "top_up"
    );
    let revenue = service
        .get(&admin, "/v1/accounts/platform?account=revenue&currency=EUR")
        .await
        .ok();
    assert_eq!(revenue["posted_cents"], 600);
}

#[tokio::test]
async fn a_hold_is_placed_extended_released_and_captured() {
    let service = Service::reference().await;
    let switch = service.key("muster", "usage_write").await;
    let usage = json!({"id": "h1", "customer": "acme-42", "meter": "call", "quantity": "600", "destination": "+4930123456"});
    let placed = service
        .post(&switch, "/v1/holds", json!({"usage": usage}))
        .await;
    assert_eq!(
        (
            placed.status.as_u16(),
            &placed.body["held_cents"],
            &placed.body["state"]
        ),
        (201, &json!(400), &json!("open"))
    );
    let balance = service.get(&switch, "/v1/accounts/acme-42").await.ok();
    assert_eq!(
        (
            &balance["posted_cents"],
            &balance["held_cents"],
            &balance["available_cents"]
        ),
        (&json!(5000), &json!(400), &json!(4600))
    );
    let hold = placed.body["id"].as_str().unwrap().to_owned();
    let longer = service
        .post(
            &switch,
            &format!("/v1/holds/{hold}/extend"),
            json!({"quantity": "1200"}),
        )
        .await
        .ok();
    assert_eq!(longer["held_cents"], 800);
    let released = service
        .post(&switch, &format!("/v1/holds/{hold}/release"), json!({}))
        .await
        .ok();
    assert_eq!(released["state"], "released");
    assert_eq!(
        service
            .get(&switch, &format!("/v1/holds/{hold}"))
            .await
            .ok()["state"],
        "released"
    );
    let far = json!({"id": "h2", "customer": "acme-42", "meter": "call", "quantity": "8000", "destination": "+4930123456"});
    assert_eq!(
        service
            .post(&switch, "/v1/holds", json!({"usage": far}))
            .await
            .code(),
        (402, "insufficient_balance")
    );
    let as_much = service
        .post(
            &switch,
            "/v1/holds",
            json!({"usage": far, "as_much_as_possible": true}),
        )
        .await
        .ok();
    assert_eq!(
        (&as_much["quantity"], &as_much["held_cents"]),
        (&json!("7500"), &json!(5000))
    );
}

#[tokio::test]
async fn a_price_is_the_charge_that_would_be() {
    let service = Service::reference().await;
    let ask = json!({"customer": "acme-42", "meter": "call", "quantity": "61", "destination": "+4930123456"});
    let price = service
        .post(&service.admin, "/v1/price", ask.clone())
        .await
        .ok();
    assert_eq!(
        (
            &price["debit_cents"],
            &price["balance_cents"],
            &price["charges"][0]["billed"]
        ),
        (&json!(80), &json!(4920), &json!("120"))
    );
    assert_eq!(
        service
            .get(&service.admin, "/v1/accounts/acme-42")
            .await
            .ok()["posted_cents"],
        5000
    );
}

#[tokio::test]
async fn a_void_and_a_correction_give_back() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    service.usage(&admin, Service::call("v1")).await.ok();
    let void = service
        .post(
            &admin,
            "/v1/usage-events/pbx-1/v1/void",
            json!({"reason": "never connected"}),
        )
        .await
        .ok();
    assert_eq!(
        (&void["void"]["debit_cents"], &void["void"]["balance_cents"]),
        (&json!(-400), &json!(5000))
    );
    let why = service.get(&admin, "/v1/usage-events/pbx-1/v1").await.ok();
    assert_eq!(
        (
            &why["status"],
            &why["later"][0]["kind"],
            &why["later"][0]["reason"]
        ),
        (&json!("voided"), &json!("void"), &json!("never connected"))
    );
    assert_eq!(
        service
            .post(
                &admin,
                "/v1/usage-events/pbx-1/v1/void",
                json!({"reason": "again"})
            )
            .await
            .code(),
        (409, "already_voided")
    );
    let log = service.get(&admin, "/v1/audit-log?limit=1").await.ok();
    let entry = &log["data"][0];
    assert_eq!(
        (&entry["action"], &entry["reason"], &entry["tenant"]),
        (&json!("void"), &json!("never connected"), &json!("acme-42"))
    );
    assert_eq!(
        (&entry["resource_id"], &entry["after"]["void_cents"]),
        (&json!("pbx-1/v1"), &json!(-400))
    );
    service.usage(&admin, Service::call("v2")).await.ok();
    let mut shorter = Service::call("v2-b");
    shorter["quantity"] = json!("60");
    let body = json!({"reason": "wrong duration", "event": shorter});
    let corrected = service
        .post(&admin, "/v1/usage-events/pbx-1/v2/correct", body)
        .await
        .ok();
    assert_eq!(
        (
            &corrected["event"]["debit_cents"],
            &corrected["event"]["balance_cents"]
        ),
        (&json!(40), &json!(4960))
    );
}

#[tokio::test]
async fn explain_shows_what_a_void_changes_of_other_events() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    service
        .post(
            &admin,
            "/v1/meters",
            json!({"name": "booking", "unit": "booking"}),
        )
        .await
        .ok();
    service
        .post(
            &admin,
            "/v1/rate-cards",
            json!({"name": "desk", "currency": "EUR", "owner": "platform"}),
        )
        .await
        .ok();
    let price = json!({"model": "percentage", "rate": "10", "free_events": 1});
    let doc =
        json!({"currency": "EUR", "rates": [{"key": "all", "meter": "booking", "price": price}]});
    service
        .post(&admin, "/v1/rate-cards/desk/versions?owner=platform", doc)
        .await
        .ok();
    let publish = json!({"effective_from": "2026-01-01T00:00:00Z"});
    service
        .post(
            &admin,
            "/v1/rate-cards/desk/versions/1/publish?owner=platform",
            publish,
        )
        .await
        .ok();
    service
        .post(&admin, "/v1/tenants", json!({"external_id": "shop", "kind": "customer", "name": "Shop", "parent": "platform"}))
        .await
        .ok();
    service.agree(&admin, json!({"buyer": "shop", "currency": "EUR", "rate_card": "desk", "from": "2026-01-01T00:00:00Z"})).await;
    for (id, amount) in [("a", "10"), ("b", "20")] {
        let at = "2026-11-20T09:00:00Z";
        let event = json!({"id": id, "customer": "shop", "meter": "booking", "quantity": "1", "amount": amount, "at": at});
        service.usage(&admin, event).await.ok();
    }
    for (id, want, others) in [("a", "-200", json!("-200")), ("b", "0", json!("200"))] {
        service
            .post(
                &admin,
                &format!("/v1/usage-events/default/{id}/void"),
                json!({"reason": "cancelled"}),
            )
            .await
            .ok();
        let why = service
            .get(&admin, &format!("/v1/usage-events/default/{id}"))
            .await
            .ok();
        let charge = &why["later"][0]["charges"][0];
        assert_eq!(
            (&charge["exact_cents"], &charge["other_events_cents"]),
            (&json!(want), &others),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_switch_posts_with_basic_auth() {
    use base64::Engine as _;
    let service = Service::reference().await;
    let key = service.key("muster", "usage_write").await;
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("switch:{key}"))
    );
    let variables = json!({"uuid": "u1", "direction": "inbound", "billsec": "600", "duration": "605", "answer_uepoch": "1795165200000000", "start_uepoch": "1795165195000000",
        "end_uepoch": "1795165800000000", "accountcode": "acme-42", "destination_number": "004930123456", "sip_to_user": "004930123456", "hangup_cause": "NORMAL_CLEARING"});
    let record = json!({"variables": variables, "callflow": [{"caller_profile": {"destination_number": "004930123456", "caller_id_number": "4989123"}}]});
    let headers = [
        ("authorization", basic.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = service
        .with_headers(
            "",
            "POST",
            "/v1/ingest/freeswitch?source=fs-1",
            &headers,
            record.to_string(),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["counts"]["rated"], 1, "{}", answer.body);
}

#[tokio::test]
async fn a_deck_is_previewed_and_imported() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let deck = "Destination,Prefix,Rate\nGermany,49,0.50\nGermany Mobile,4915,0.60\n".to_owned();
    let headers = [("content-type", "text/csv")];
    let path = "/v1/rate-cards/retail/import?owner=muster&initial=60&next=60";
    let preview = service
        .with_headers(
            &admin,
            "POST",
            &format!("{path}&preview=true"),
            &headers,
            deck.clone(),
        )
        .await
        .ok();
    assert_eq!(
        (&preview["preview"]["new"], preview.get("version")),
        (&json!(1), None),
        "{preview}"
    );
    let imported = service
        .with_headers(&admin, "POST", path, &headers, deck)
        .await
        .ok();
    assert_eq!(imported["version"]["number"], 2);
    let diff = service
        .get(
            &admin,
            "/v1/rate-cards/retail/versions/2/diff?owner=muster&against=1",
        )
        .await
        .ok();
    assert!(diff["new_count"].as_u64() >= Some(1), "{diff}");
    let ask = json!({"customer": "acme-42", "meter": "call", "quantity": "60", "destination": "+4915123456"});
    assert_eq!(
        service.post(&admin, "/v1/price", ask).await.ok()["debit_cents"],
        60
    );
}
