//! Names: what a reseller calls its customers leads nobody else astray.

use crate::http_world::{Market, call, on_every_database, outcomes};
use crate::world::{Backend, World, on_every_journal, prices};
use catalog::CatalogError;
use serde_json::json;

on_every_database!(
    nobody_else_is_called_platform,
    a_copied_name_costs_nobody_an_event
);

async fn nobody_else_is_called_platform(market: Market) {
    let called =
        json!({ "external_id": "platform", "kind": "customer", "name": "x", "parent": "muster" });
    let refused = market.by("muster admin").post("/v1/tenants", called).await;
    assert_eq!(
        (refused.code().as_str(), &refused.body["field"]),
        ("422 invalid_field", &json!("external_id"))
    );
    let root =
        json!({ "external_id": "new-root", "kind": "reseller", "name": "x", "parent": "platform" });
    market.admin().post("/v1/tenants", root).await.ok();
}

async fn a_copied_name_costs_nobody_an_event(market: Market) {
    let (admin, agent, muster) = (
        market.admin(),
        market.by("agent admin"),
        market.by("muster admin"),
    );
    let copied =
        json!({ "external_id": "acme-42", "kind": "customer", "name": "x", "parent": "agent" });
    let copy = agent.post("/v1/tenants", copied).await.ok();
    let original = muster.get("/v1/tenants/acme-42").await.ok();
    // Kept, whoever it is meant for.
    let sent = admin
        .post(
            "/v1/usage-events",
            json!([call("c-1", "acme-42", "600"), call("c-2", "acme-43", "600")]),
        )
        .await;
    assert_eq!(outcomes(&sent), ["unrated ambiguous_customer", "rated"]);
    let kept = admin
        .get("/v1/usage-events/unrated?root=platform")
        .await
        .ok();
    assert_eq!(
        (&kept["data"][0]["id"], &kept["data"][0]["reason"]),
        (&json!("c-1"), &json!("ambiguous_customer")),
        "{kept}"
    );
    // Everything else is refused with whom it could be about.
    let hold = json!({ "usage": call("h", "acme-42", "60"), "ttl_secs": 60 });
    for answer in [
        admin.get("/v1/accounts/acme-42").await,
        admin.post("/v1/price", call("p", "acme-42", "60")).await,
        admin.once("h").post("/v1/holds", hold).await,
        admin
            .post(
                "/v1/tenants",
                json!({ "external_id": "y", "kind": "customer", "name": "y", "parent": "acme-42" }),
            )
            .await,
    ] {
        assert_eq!(answer.code(), "409 ambiguous_id", "{answer:?}");
        for one in [&copy, &original] {
            assert!(
                answer.text.contains(one["id"].as_str().unwrap()),
                "{answer:?}"
            );
        }
    }
    // In its own root a name is unique; and an id always is.
    assert_eq!(
        outcomes(
            &muster
                .post("/v1/usage-events", json!([call("c-3", "acme-42", "600")]))
                .await
        ),
        ["rated"]
    );
    let by_id = call("c-4", original["id"].as_str().unwrap(), "600");
    assert_eq!(
        outcomes(&admin.post("/v1/usage-events", json!([by_id])).await),
        ["rated"]
    );
    // Nobody is in memory after a change: whoever stands in one batch is looked for together, and
    // found as if alone.
    admin
        .post(
            "/v1/tenants",
            json!({ "external_id": "new", "kind": "reseller", "name": "x", "parent": "platform" }),
        )
        .await
        .ok();
    let original = original["id"].as_str().unwrap();
    let batch: Vec<_> = [
        original,
        "acme-42",
        "acme-43",
        "nobody",
        "platform",
        copy["id"].as_str().unwrap(),
        original,
        "acme-43",
    ]
    .iter()
    .enumerate()
    .map(|(n, customer)| call(&format!("d-{n}"), customer, "60"))
    .collect();
    let together = outcomes(&admin.post("/v1/usage-events", json!(batch)).await);
    let (alone, unknown) = ("unrated ambiguous_customer", "unrated unknown_customer");
    assert_eq!(
        together,
        [
            "rated",
            alone,
            "rated",
            unknown,
            "unrated no_seller",
            "partly_rated no_agreement",
            "rated",
            "rated"
        ]
    );
    assert_eq!(
        outcomes(
            &agent
                .post("/v1/usage-events", json!([batch[0], batch[2]]))
                .await
        ),
        [unknown, unknown]
    );
}

mod from_before {
    use super::*;

    on_every_journal!(tenants_called_platform_before_lock_nobody_out);

    /// Such names were taken before they were refused.
    async fn tenants_called_platform_before_lock_nobody_out(backend: Backend) {
        let world = World::new(backend).await;
        world
            .card(
                "platform",
                "wholesale",
                prices("0.30", "0.10", "1.00", "0.05"),
            )
            .await;
        world
            .reseller("muster", "platform", json!({ "card": "wholesale" }))
            .await;
        world
            .card("muster", "retail", prices("0.40", "0.15", "1.50", "0.08"))
            .await;
        world
            .customer("squatter", "muster", json!({ "card": "retail" }))
            .await;
        let renamed = format!(
            "update tenants set external_id = 'platform' where id = {}",
            world.tenant("squatter").id.0
        );
        world.sql(&renamed).await;
        let found = async |caller: &str, name: &str| match world
            .catalog
            .tenant_by_external_id(&world.tenant(caller), name)
            .await
        {
            Ok(tenant) => tenant.map_or("nobody".to_owned(), |tenant| tenant.id.to_string()),
            Err(CatalogError::Ambiguous { candidates, .. }) => {
                format!("{} of them", candidates.len())
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(
            found("platform", "platform").await,
            world.platform.id.to_string()
        );
        assert_eq!(
            found("muster", "platform").await,
            world.tenant("squatter").id.to_string()
        );
        assert_eq!(
            (
                found("muster", "muster").await,
                found("platform", "nobody").await
            ),
            (world.tenant("muster").id.to_string(), "nobody".into())
        );
    }
}
