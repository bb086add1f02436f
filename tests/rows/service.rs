//! Keys, the audit log, idempotency, column maps, settings.

use super::*;
use serde_json::json;

on_every_database! {
    keys_are_found_by_hash_and_revoked,
    the_audit_log_shows_who_when_and_why_to_those_above,
    a_change_kept_elsewhere_is_logged_too,
    a_request_is_answered_once,
    of_many_at_once_one_is_first,
    column_maps_are_saved_by_name,
    settings_change,
    what_no_name_contains_is_not_found,
    records_survive_a_reopening,
}

async fn keys_are_found_by_hash_and_revoked(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let (of_muster, of_acme) = (
        key(1, &muster),
        ApiKey {
            scope: Scope::UsageWrite,
            expires_at: None,
            ..key(2, &acme)
        },
    );
    for key in [&of_muster, &of_acme] {
        records.create_key(&world.by(), key).await.unwrap();
    }
    assert_eq!(
        refused(
            records
                .create_key(
                    &world.by(),
                    &ApiKey {
                        id: ApiKeyId(3),
                        ..of_acme.clone()
                    }
                )
                .await
        ),
        "conflict id"
    );
    assert_eq!(
        refused(
            records
                .create_key(
                    &world.by(),
                    &ApiKey {
                        id: ApiKeyId(3),
                        root: acme.id,
                        ..of_acme.clone()
                    }
                )
                .await
        ),
        "invalid root"
    );
    assert_eq!(
        records.key_by_hash(&of_acme.hash).await.unwrap(),
        Some(of_acme.clone())
    );
    assert_eq!(records.key_by_hash(&[7; 32]).await.unwrap(), None);
    assert_eq!(
        records.key(of_muster.id).await.unwrap(),
        Some(of_muster.clone())
    );
    assert_eq!(
        records.keys_below(&muster, None, None, 1).await.unwrap(),
        Page {
            data: vec![of_muster.clone()],
            has_more: true
        }
    );
    assert_eq!(
        records.keys_below(&acme, None, None, 9).await.unwrap().data,
        std::slice::from_ref(&of_acme)
    );
    assert_eq!(
        records
            .keys_below(&world.platform, None, Some(of_acme.id), 9)
            .await
            .unwrap()
            .data
            .len(),
        1,
        "the admin's"
    );

    let revoked = records.revoke_key(&world.by(), of_acme.id).await.unwrap();
    assert_eq!(
        revoked,
        ApiKey {
            revoked_at: Some(world.by().at),
            ..of_acme.clone()
        }
    );
    let later = Actor {
        at: at(2 * DAY),
        ..world.by()
    };
    assert_eq!(
        records.revoke_key(&later, of_acme.id).await.unwrap(),
        revoked,
        "revoked once"
    );
    assert_eq!(
        records.key_by_hash(&of_acme.hash).await.unwrap(),
        Some(revoked)
    );
    assert_eq!(
        refused(records.revoke_key(&later, ApiKeyId(77)).await),
        "not found API key"
    );
    assert_eq!(
        world.log().await[4..],
        ["api_key create", "api_key create", "api_key revoke"]
    );
}

async fn the_audit_log_shows_who_when_and_why_to_those_above(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let other = world.reseller(20, "other", &world.platform).await;
    records
        .create_key(&world.by(), &key(1, &acme))
        .await
        .unwrap();

    let ids = |page: Page<AuditEntry>| {
        page.data
            .into_iter()
            .map(|entry| entry.resource_id)
            .collect::<Vec<_>>()
    };
    let below = ids(records
        .audit_log(&muster, &AuditFilter::default(), None, 9)
        .await
        .unwrap());
    assert_eq!(
        below,
        [
            ApiKeyId(1).to_string(),
            acme.id.to_string(),
            muster.id.to_string()
        ],
        "newest first"
    );
    assert_eq!(
        ids(records
            .audit_log(&acme, &AuditFilter::default(), None, 9)
            .await
            .unwrap())
        .len(),
        2
    );
    assert_eq!(
        ids(records
            .audit_log(&other, &AuditFilter::default(), None, 9)
            .await
            .unwrap()),
        [other.id.to_string()]
    );

    let first = records
        .audit_log(&muster, &AuditFilter::default(), None, 2)
        .await
        .unwrap();
    assert!(first.has_more);
    let next = records
        .audit_log(&muster, &AuditFilter::default(), Some(first.data[1].id), 2)
        .await
        .unwrap();
    assert_eq!(
        (ids(next.clone()), next.has_more),
        (vec![muster.id.to_string()], false)
    );

    let entry = &first.data[1];
    assert_eq!(
        (entry.actor_key, entry.actor_tenant, entry.at),
        (Some(ApiKeyId(900)), world.platform.id, world.by().at)
    );
    assert_eq!(
        (
            entry.request_id.as_str(),
            entry.reason.as_deref(),
            entry.before.as_ref()
        ),
        ("req-1", Some("a test"), None)
    );
    let all = records
        .audit_log(&world.platform, &AuditFilter::default(), None, 99)
        .await
        .unwrap();
    assert!(
        all.data.windows(2).all(|pair| pair[0].id > pair[1].id),
        "ids rise even within one microsecond"
    );
    let hash = blake3::Hash::from(key(1, &acme).hash).to_hex();
    assert!(
        !format!("{all:?}").contains(hash.as_str()),
        "no hash of a secret"
    );
}

async fn a_change_kept_elsewhere_is_logged_too(world: World) {
    let platform = world.platform.id;
    let change = Change {
        tenant: platform,
        root: platform,
        resource: "top_up",
        id: "t-1".into(),
        action: "create",
        before: None,
        after: Some(json!({ "cents": 500 })),
    };
    world
        .catalog
        .append_audit(
            &Actor {
                key: None,
                reason: None,
                ..world.by()
            },
            change,
        )
        .await
        .unwrap();
    let entry = world
        .catalog
        .audit_log(&world.platform, &AuditFilter::default(), None, 1)
        .await
        .unwrap()
        .data
        .remove(0);
    assert_eq!(
        (entry.actor_key, entry.reason, entry.after),
        (None, None, Some(json!({ "cents": 500 })))
    );

    let change = Change {
        tenant: platform,
        root: platform,
        resource: "top_up",
        id: "t-2".into(),
        action: "create",
        before: None,
        after: None,
    };
    world
        .catalog
        .append_audit(
            &Actor {
                reason: Some("a\0b".into()),
                ..world.by()
            },
            change,
        )
        .await
        .unwrap();
    let entry = world
        .catalog
        .audit_log(&world.platform, &AuditFilter::default(), None, 1)
        .await
        .unwrap()
        .data
        .remove(0);
    assert_eq!(entry.reason.as_deref(), Some("a\u{fffd}b"));
}

pub(super) fn attempt(key: &str, digest: u8, secs: i64) -> Attempt {
    Attempt {
        root: TenantId(1),
        caller: ApiKeyId(5),
        key: key.into(),
        digest: [digest; 32],
        at: at(secs),
    }
}

async fn a_request_is_answered_once(world: World) {
    let records = &world.catalog;
    let begin = async |key: &'static str, digest, secs| {
        records
            .begin_idempotent(&attempt(key, digest, secs))
            .await
            .unwrap()
    };
    let replay = Begun::Replay {
        status: 201,
        body: b"{}".to_vec(),
    };

    assert_eq!(begin("a", 1, 100).await, Begun::Fresh);
    assert_eq!(begin("a", 1, 101).await, Begun::InFlight);
    assert_eq!(begin("a", 2, 101).await, Begun::Mismatch);
    records
        .finish_idempotent(&attempt("a", 1, 100), 201, b"{}")
        .await
        .unwrap();
    assert_eq!(begin("a", 1, 102).await, replay);
    assert_eq!(begin("a", 2, 102).await, Begun::Mismatch);
    assert_eq!(
        records
            .begin_idempotent(&Attempt {
                caller: ApiKeyId(6),
                ..attempt("a", 2, 102)
            })
            .await
            .unwrap(),
        Begun::Fresh,
        "another caller"
    );
    assert_eq!(begin("a", 1, 100 + REMEMBERED_SECS - 1).await, replay);
    assert_eq!(
        begin("a", 2, 100 + REMEMBERED_SECS).await,
        Begun::Fresh,
        "a day later it is a new key"
    );

    assert_eq!(begin("b", 1, 100).await, Begun::Fresh);
    records
        .abandon_idempotent(&attempt("b", 1, 100))
        .await
        .unwrap();
    assert_eq!(begin("b", 2, 101).await, Begun::Fresh);
    assert_eq!(
        begin("b", 2, 101 + IN_FLIGHT_SECS_MAX).await,
        Begun::Fresh,
        "the first attempt is dead"
    );
    records
        .finish_idempotent(&attempt("b", 2, 101), 500, b"late")
        .await
        .unwrap();
    assert_eq!(
        begin("b", 2, 102 + IN_FLIGHT_SECS_MAX).await,
        Begun::InFlight,
        "the dead attempt answers nothing"
    );
    records
        .finish_idempotent(&attempt("b", 2, 101 + IN_FLIGHT_SECS_MAX), 200, b"x")
        .await
        .unwrap();
    records
        .abandon_idempotent(&attempt("b", 2, 101 + IN_FLIGHT_SECS_MAX))
        .await
        .unwrap();
    assert_eq!(
        begin("b", 2, 103 + IN_FLIGHT_SECS_MAX).await,
        Begun::Replay {
            status: 200,
            body: b"x".to_vec()
        }
    );

    assert_eq!(
        records
            .purge_idempotent(at(102 + REMEMBERED_SECS))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        records
            .purge_idempotent(at(103 + REMEMBERED_SECS))
            .await
            .unwrap(),
        1
    );
    assert_eq!(records.counts().await.unwrap().idempotency_keys, 2);
    assert_eq!(
        refused(records.begin_idempotent(&attempt("", 1, 1)).await),
        "invalid Idempotency-Key"
    );
}

async fn of_many_at_once_one_is_first(world: World) {
    let tasks = (0..16).map(|_| {
        let catalog = world.catalog.clone();
        tokio::spawn(async move {
            catalog
                .begin_idempotent(&attempt("k", 1, 100))
                .await
                .unwrap()
        })
    });
    let mut fresh = 0;
    for task in tasks.collect::<Vec<_>>() {
        fresh += i32::from(task.await.unwrap() == Begun::Fresh);
    }
    assert_eq!(fresh, 1);
}

async fn column_maps_are_saved_by_name(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    for (name, map) in [
        ("b", json!({ "at": 1 })),
        ("a", json!({ "at": 2 })),
        ("b", json!({ "at": 3 })),
    ] {
        records
            .put_column_map(&world.by(), muster.id, name, &map)
            .await
            .unwrap();
    }
    let map = |name: &str, column: i64| ColumnMap {
        owner: muster.id,
        name: name.into(),
        map: json!({ "at": column }),
        updated_at: world.by().at,
    };
    assert_eq!(
        records.column_map(muster.id, "b").await.unwrap(),
        Some(map("b", 3))
    );
    assert_eq!(
        records.column_map(world.platform.id, "b").await.unwrap(),
        None
    );
    assert_eq!(
        records.column_maps(muster.id, None, 1).await.unwrap(),
        Page {
            data: vec![map("a", 2)],
            has_more: true
        }
    );
    assert_eq!(
        records.column_maps(muster.id, Some("a"), 9).await.unwrap(),
        Page {
            data: vec![map("b", 3)],
            has_more: false
        }
    );
    records
        .delete_column_map(&world.by(), muster.id, "a")
        .await
        .unwrap();
    assert_eq!(
        refused(records.delete_column_map(&world.by(), muster.id, "a").await),
        "not found column map"
    );
    assert_eq!(
        refused(
            records
                .put_column_map(&world.by(), TenantId(77), "a", &json!({}))
                .await
        ),
        "not found tenant"
    );
    assert_eq!(
        world.log().await[3..],
        [
            "column_map put",
            "column_map put",
            "column_map put",
            "column_map delete"
        ]
    );
}

async fn what_no_name_contains_is_not_found(world: World) {
    for found in [
        world.catalog.meter_by_name("a\0b").await.map(|_| ()),
        world
            .catalog
            .card_by_name(TenantId(1), "a\0b")
            .await
            .map(|_| ()),
    ] {
        assert!(
            matches!(found, Ok(()) | Err(CatalogError::Invalid { .. })),
            "{found:?}"
        );
    }
}

async fn settings_change(world: World) {
    let records = &world.catalog;
    assert_eq!(records.setting("limits").await.unwrap(), None);
    for value in [json!({ "a": 1 }), json!({ "a": 2 })] {
        records
            .set_setting(&world.by(), "limits", &value)
            .await
            .unwrap();
        assert_eq!(records.setting("limits").await.unwrap(), Some(value));
    }
    let entry = records
        .audit_log(&world.platform, &AuditFilter::default(), None, 1)
        .await
        .unwrap()
        .data
        .remove(0);
    assert_eq!(
        (entry.before, entry.after),
        (Some(json!({ "a": 1 })), Some(json!({ "a": 2 })))
    );

    let counts = records.counts().await.unwrap();
    assert_eq!(
        counts,
        Counts {
            tenants: 1,
            api_keys: 1,
            audit_entries: 4,
            ..Counts::default()
        }
    );
}

async fn records_survive_a_reopening(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let World {
        catalog, db, kept, ..
    } = world;
    drop((catalog, db));
    assert_eq!(
        Catalog::new(&kept.open().await)
            .tenant(muster.id)
            .await
            .unwrap(),
        Some(muster)
    );
}

#[tokio::test]
async fn calls_can_run_on_any_thread() {
    fn sent<F: Future + Send>(future: F) -> F {
        future
    }
    let world = World::sqlite().await;
    let (records, by) = (&world.catalog, world.by());
    sent(records.create_tenants(&by, &[], &[])).await.unwrap();
    assert_eq!(
        sent(records.agreements_of(&[TenantId(5)])).await.unwrap(),
        []
    );
    assert_eq!(sent(records.tenant_path(TenantId(5))).await.unwrap(), []);
    assert_eq!(
        refused(sent(records.publish(&by, rating::CardVersionId(5), at(1))).await),
        "not found rate card version"
    );
}
