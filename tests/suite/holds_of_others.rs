//! What a seller above set aside, nobody below ends.

use crate::http_world::{Market, call, on_every_database, outcomes};
use hyper::Method;
use serde_json::{Value, json};

on_every_database!(
    a_hold_of_a_seller_above_is_not_ended_from_below,
    usage_from_below_does_not_capture_a_hold_of_a_seller_above
);

impl Market {
    /// 10 minutes of acme-42; the hold's id.
    async fn held_by(&self, name: &str, key: &str) -> String {
        let asking = if name == "platform" {
            self.admin().once(key)
        } else {
            self.by(name).once(key)
        };
        let hold = json!({ "usage": call(key, "acme-42", "600"), "ttl_secs": 3600 });
        asking.post("/v1/holds", hold).await.ok()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn held(&self) -> i64 {
        self.admin()
            .get("/v1/accounts/acme-42?currency=EUR")
            .await
            .ok()["held_cents"]
            .as_i64()
            .unwrap()
    }
}

async fn a_hold_of_a_seller_above_is_not_ended_from_below(market: Market) {
    let steps = |hold: &str| {
        [
            (format!("/v1/holds/{hold}/release"), json!({})),
            (
                format!("/v1/holds/{hold}/extend"),
                json!({ "quantity": "1" }),
            ),
            (format!("/v1/holds/{hold}/extend"), json!({ "ttl_secs": 1 })),
        ]
    };
    let hold = market.held_by("platform", "call-1").await;
    for below in ["muster admin", "muster usage", "acme-42 admin"] {
        for (number, (path, body)) in steps(&hold).into_iter().enumerate() {
            let refused = market
                .by(below)
                .once(&format!("{below} {number}"))
                .post(&path, body)
                .await;
            assert!(
                ["403 placed_above", "403 forbidden"].contains(&refused.code().as_str()),
                "{below} {path}: {refused:?}"
            );
        }
    }
    assert_eq!(market.held().await, 400);
    // One's own, and whoever one sells to: as ever.
    for (placer, key, by) in [
        ("acme-42 admin", "call-2", "muster usage"),
        ("muster usage", "call-3", "muster admin"),
    ] {
        let hold = market.held_by(placer, key).await;
        market
            .by(by)
            .once(key)
            .post(&format!("/v1/holds/{hold}/release"), json!({}))
            .await
            .ok();
    }
    let hold_of_muster = market.held_by("muster usage", "call-4").await;
    for hold in [hold, hold_of_muster] {
        market
            .admin()
            .once(&hold)
            .post(&format!("/v1/holds/{hold}/release"), json!({}))
            .await
            .ok();
    }
    assert_eq!(market.held().await, 0);
}

async fn usage_from_below_does_not_capture_a_hold_of_a_seller_above(market: Market) {
    let hold = market.held_by("platform", "call-1").await;
    let naming = |id: &str, hold: &str, seconds: &str| {
        let mut usage = call(id, "acme-42", seconds);
        usage["hold"] = json!(hold);
        json!([usage])
    };
    for below in ["muster usage", "muster admin"] {
        let sent = market
            .by(below)
            .post("/v1/usage-events", naming(below, &hold, "60"))
            .await;
        assert_eq!(outcomes(&sent), ["rated"], "it has happened: it is charged");
        assert_eq!(market.held().await, 400, "{below}");
    }
    assert_eq!(
        outcomes(
            &market
                .admin()
                .post("/v1/usage-events", naming("call-1", &hold, "600"))
                .await
        ),
        ["rated"]
    );
    assert_eq!(
        (market.held().await, market.balance("acme-42").await),
        (0, 5000 - 2 * 40 - 400)
    );
    // The platform's usage captures what a seller below set aside for it.
    let hold = market.held_by("muster usage", "call-2").await;
    assert_eq!(
        outcomes(
            &market
                .admin()
                .post("/v1/usage-events", naming("call-2", &hold, "60"))
                .await
        ),
        ["rated"]
    );
    assert_eq!(market.held().await, 0);
    let gone = market
        .admin()
        .ask(Method::GET, &format!("/v1/holds/{hold}"), "".into())
        .await
        .unwrap();
    assert_ne!(gone.body["state"], Value::from("open"), "{gone:?}");
}
