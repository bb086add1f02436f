//! The reference call, from the first answer to its explanation.

use super::Service;
use serde_json::json;

#[tokio::test]
async fn a_call_is_rated_once_and_explained() {
    let service = Service::reference().await;
    let answer = service.usage(&service.admin, Service::call("c1")).await;
    assert_eq!(answer.status, 201);
    let rated = json!({"id": "c1", "status": "rated", "currency": "EUR", "debit_cents": 400,
        "splits": [{"tenant": "platform", "cents": 300}, {"tenant": "muster", "cents": 100}], "balance_cents": 4600});
    assert_eq!(answer.body, rated);
    let again = service.usage(&service.admin, Service::call("c1")).await;
    assert_eq!(
        (
            again.status.as_u16(),
            &again.body["status"],
            &again.body["balance_cents"]
        ),
        (200, &json!("duplicate"), &json!(4600))
    );
    let mut other = Service::call("c1");
    other["quantity"] = json!("601");
    assert_eq!(
        service.usage(&service.admin, other).await.code(),
        (409, "id_conflict")
    );

    let why = service
        .get(&service.admin, "/v1/usage-events/pbx-1/c1")
        .await
        .ok();
    assert_eq!(
        (
            &why["status"],
            &why["debit_cents"],
            why["charges"].as_array().map(Vec::len)
        ),
        (&json!("rated"), &json!(400), Some(2))
    );
    let retail = &why["charges"][0];
    assert_eq!(
        (
            &retail["buyer"],
            &retail["seller"],
            &retail["exact"],
            &retail["carry_after_cents"]
        ),
        (
            &json!("acme-42"),
            &json!("muster"),
            &json!("4"),
            &json!("0")
        )
    );
    assert_eq!(
        (
            &retail["rate"]["key"],
            &retail["rate"]["matched_prefix"],
            &retail["billed"]
        ),
        (&json!("all"), &json!("49"), &json!("600"))
    );
    assert_eq!(why["splits"], rated["splits"]);
}

#[tokio::test]
async fn each_key_sees_its_own_side() {
    let service = Service::reference().await;
    let reader = service.key("acme-42", "tenant_read").await;
    service
        .usage(&service.admin, Service::call("c1"))
        .await
        .ok();
    let why = service.get(&reader, "/v1/usage-events/pbx-1/c1").await.ok();
    assert_eq!(
        (why["charges"].as_array().map(Vec::len), &why["splits"]),
        (Some(1), &json!([{"tenant": "muster", "cents": 400}])),
        "not what the reseller pays"
    );
    for path in [
        "/v1/tenants/muster",
        "/v1/accounts/muster",
        "/v1/rate-cards/retail?owner=muster",
        "/v1/agreements?buyer=muster",
    ] {
        assert_eq!(
            service.get(&reader, path).await.code(),
            (404, "not_found"),
            "{path}"
        );
    }
    assert_eq!(
        service.usage(&reader, Service::call("c2")).await.code(),
        (403, "forbidden")
    );
    let own = service.key("acme-42", "tenant_admin").await;
    let gift = json!({"tenant": "acme-42", "cents": 1, "method": "manual"});
    assert_eq!(
        service.post(&own, "/v1/top-ups", gift.clone()).await.code(),
        (403, "forbidden"),
        "nobody tops themselves up"
    );
    let muster = service.key("muster", "tenant_admin").await;
    assert_eq!(
        service.post(&muster, "/v1/top-ups", gift).await.code(),
        (403, "forbidden"),
        "the platform collects"
    );
    assert_eq!(
        service
            .post(
                &own,
                "/v1/usage-events/pbx-1/c1/void",
                json!({"reason": "mine"})
            )
            .await
            .code(),
        (403, "forbidden")
    );
}

#[tokio::test]
async fn batches_answer_in_order_and_one_bad_event_costs_only_itself() {
    let service = Service::reference().await;
    let mut bad = Service::call("b2");
    bad["quantity"] = json!("-1");
    let mut nowhere = Service::call("b3");
    nowhere["destination"] = json!("+1212555");
    let answer = service
        .usage(&service.admin, json!([Service::call("b1"), bad, nowhere]))
        .await;
    assert_eq!(answer.status, 200);
    let statuses: Vec<_> = answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(statuses, ["rated", "rejected", "unrated"]);
    assert_eq!(
        answer.body["counts"],
        json!({"rated": 1, "duplicate": 0, "unrated": 1, "rejected": 1})
    );
    let unrated = service
        .get(&service.admin, "/v1/usage-events/unrated?root=muster")
        .await
        .ok();
    assert_eq!(
        (&unrated["data"][0]["id"], &unrated["data"][0]["reason"]),
        (&json!("b3"), &json!("no_rate"))
    );
    let headers = [
        ("content-type", "application/x-ndjson"),
        ("prefer", "return=minimal"),
    ];
    let lines = format!("{}\n{}\n", Service::call("b1"), Service::call("b4"));
    let minimal = service
        .with_headers(&service.admin, "POST", "/v1/usage-events", &headers, lines)
        .await;
    assert_eq!(minimal.headers["preference-applied"], "return=minimal");
    assert_eq!(
        minimal.body,
        json!({"data": [], "counts": {"rated": 1, "duplicate": 1, "unrated": 0, "rejected": 0}})
    );
}

#[tokio::test]
async fn bad_requests_have_their_problem() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let json = [("content-type", "application/json")];
    let send = |body: &str| {
        service.with_headers(&admin, "POST", "/v1/usage-events", &json, body.to_owned())
    };
    assert_eq!(send("{").await.code(), (400, "invalid_json"));
    assert_eq!(
        send(
            &Service::call("x")
                .to_string()
                .replace("600", "1234567890123456789012345678901234567890")
        )
        .await
        .code()
        .0,
        422
    );
    assert_eq!(
        send(
            &Service::call("x")
                .to_string()
                .replace("2026-11-20T09", "2026-11-20T13")
        )
        .await
        .code(),
        (422, "future_event")
    );
    assert_eq!(
        send(&" ".repeat(17 * 1024 * 1024)).await.code(),
        (413, "body_too_large")
    );
    let csv = service
        .with_headers(
            &admin,
            "POST",
            "/v1/usage-events",
            &[("content-type", "text/csv")],
            String::new(),
        )
        .await;
    assert_eq!(csv.code(), (415, "unsupported_media_type"));
    assert_eq!(
        service.get(&admin, "/v1/nothing").await.code(),
        (404, "not_found")
    );
    let wrong = service
        .with_headers(&admin, "DELETE", "/v1/tenants", &[], String::new())
        .await;
    assert_eq!(
        (wrong.code(), wrong.headers.contains_key("allow")),
        ((405, "method_not_allowed"), true)
    );
    assert_eq!(
        service.get("", "/v1/tenants").await.code(),
        (401, "unauthorized")
    );
    assert_eq!(
        service.get(&admin, "/v1/tenants?limit=x").await.code().0,
        400
    );
    let tie = json!({"currency": "EUR", "rates": [{"key": "a", "meter": "sms", "price": {"model": "per_unit", "unit_price": "1"}}, {"key": "b", "meter": "sms", "price": {"model": "per_unit", "unit_price": "2"}}]});
    let refused = service
        .post(&admin, "/v1/rate-cards/wholesale/versions", tie)
        .await;
    assert_eq!(refused.code(), (422, "invalid_card"));
    assert!(
        refused.body["errors"]
            .as_array()
            .is_some_and(|errors| !errors.is_empty()),
        "{}",
        refused.body
    );
    let id = service
        .with_headers(
            &admin,
            "GET",
            "/v1/tenants/nobody",
            &[("x-request-id", "mine-7")],
            String::new(),
        )
        .await;
    assert_eq!(
        (&id.headers["x-request-id"], &id.body["request_id"]),
        (&"mine-7".parse().unwrap(), &json!("mine-7"))
    );
    assert_eq!(id.headers["content-type"], "application/problem+json");
}
