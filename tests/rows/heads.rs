//! What is changed behind the server's back in the audit log, in agreements, published prices and
//! keys is found by `verify`.

use super::*;
use journal::Check;
use rating::CardVersionId;
use sqlx::AssertSqlSafe;

on_every_database! {
    every_change_behind_its_back_is_found,
    what_may_change_is_not_found,
    roots_from_before_begin_with_what_is_there,
    writers_at_once_lengthen_one_chain,
}

/// Terms that ended and others, prices that are approved, a draft, and a key that is revoked; also
/// made many at once.
async fn filled(world: &World) -> Tenant {
    let (records, by) = (&world.catalog, world.by());
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    records
        .create_agreement(&by, &commission(1, &acme, 100, Some(200)))
        .await
        .unwrap();
    records
        .end_agreement(&by, Authority::Platform, AgreementId(1), at(150))
        .await
        .unwrap();
    records
        .create_card(&by, &card(1, &muster, "retail"))
        .await
        .unwrap();
    for (id, prefix) in [(1, "49"), (2, "44")] {
        records
            .create_draft(&by, RateCardId(1), CardVersionId(id), &doc(prefix))
            .await
            .unwrap();
    }
    let muster_by = Actor {
        tenant: muster.id,
        ..world.by()
    };
    records
        .publish(&muster_by, CardVersionId(1), at(100))
        .await
        .unwrap();
    records.approve(&by, CardVersionId(1)).await.unwrap();
    records.create_key(&by, &key(1, &acme)).await.unwrap();
    records.revoke_key(&by, ApiKeyId(1)).await.unwrap();
    let many: Vec<Tenant> = (30..40)
        .map(|id| {
            tenant(
                TenantId(id),
                &format!("many-{id}"),
                TenantKind::Customer,
                Some(&muster),
            )
        })
        .collect();
    let bolt = tenant(
        TenantId(40),
        "bolt",
        TenantKind::Reseller,
        Some(&world.platform),
    );
    let terms: Vec<Agreement> = many
        .iter()
        .chain([&bolt])
        .map(|buyer| commission(buyer.id.0, buyer, 200, None))
        .collect();
    let new: Vec<NewTenant> = many.iter().chain([&bolt]).map(new).collect();
    records.create_tenants(&by, &new, &terms).await.unwrap();
    muster
}

/// What is wrong after a statement that is then undone; of none, as it is.
async fn wrong_after(world: &World, statement: Option<&str>) -> Vec<Check> {
    let checks = match &world.db {
        Db::Sqlite(db) => {
            let mut writer = db.writer.lock().await;
            let mut tx = sqlx::Connection::begin(&mut *writer).await.unwrap();
            if let Some(statement) = statement {
                let done = sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut *tx)
                    .await
                    .unwrap();
                assert!(done.rows_affected() > 0, "{statement}");
            }
            checks_of_sqlite(&mut tx).await.unwrap()
        }
        Db::Postgres(db) => {
            let mut tx = db.pool.begin().await.unwrap();
            if let Some(statement) = statement {
                let statement = statement
                    .replace("as blob", "as bytea")
                    .replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')");
                let done = sqlx::query(AssertSqlSafe(statement.as_str()))
                    .execute(&mut *tx)
                    .await
                    .unwrap();
                assert!(done.rows_affected() > 0, "{statement}");
            }
            checks_of_postgres(&mut tx).await.unwrap()
        }
    };
    assert_eq!(
        checks
            .iter()
            .map(|check| check.name.as_str())
            .collect::<Vec<_>>(),
        ["agreements", "card_versions", "api_keys", "audit_log"]
    );
    checks.into_iter().filter(|check| !check.ok).collect()
}

async fn run(world: &World, statement: &'static str) {
    match &world.db {
        Db::Sqlite(db) => sqlx::query(statement)
            .execute(&mut *db.writer.lock().await)
            .await
            .map(drop)
            .unwrap(),
        Db::Postgres(db) => sqlx::query(statement)
            .execute(&db.pool)
            .await
            .map(drop)
            .unwrap(),
    }
}

async fn every_change_behind_its_back_is_found(world: World) {
    let muster = filled(&world).await;
    assert_eq!(wrong_after(&world, None).await, []);
    let columns = [
        (
            "agreements",
            "id = 1",
            &[
                "id = 999",
                "buyer_id = 30",
                "seller_id = 11",
                "currency = 'USD'",
                "commission_bp = 2501",
                "collect = 'platform'",
                "credit_limit_cents = null",
                "on_exhausted = 'post'",
                "credit_cap_cents = null",
                "author_id = 10",
                "refused_by = 10",
                "floor_card_id = 1",
                "free_retail = 1",
                "from_at = from_at + 1",
                "until_at = null",
            ][..],
        ),
        ("agreements", "id = 30", &["commission_bp = 9999"]),
        (
            "card_versions",
            "id = 1",
            &[
                "number = 9",
                "effective_from = effective_from + 1",
                "created_at = created_at + 1",
                "created_by = null",
                "published_at = published_at + 1",
                "published_by = null",
                "approved_by = null",
                "doc = cast('{}' as blob)",
                "status = 'draft', effective_from = null, published_at = null",
            ],
        ),
        (
            "card_versions",
            "id = 2",
            &["status = 'published', effective_from = 5, published_at = 5"],
        ),
        (
            "api_keys",
            "id = 1",
            &[
                "tenant_id = 10",
                "scope = 'tenant_read'",
                "name = 'another'",
                "hash = zeroblob(32)",
                "created_at = created_at + 1",
                "expires_at = null",
                "revoked_at = null",
                "made_by = 5",
            ],
        ),
        (
            "audit_log",
            "resource = 'rate_card' and resource_id = 'crd_0000000000001'",
            &[
                "id = id + 1000000",
                "tenant_id = 11",
                "at = at + 1",
                "actor_key_id = null",
                "actor_tenant_id = 10",
                "resource = 'meter'",
                "resource_id = 'crd_0000000000002'",
                "action = 'change'",
                "before_json = 'null'",
                "after_json = null",
                "reason = null",
                "request_id = 'another'",
            ],
        ),
    ];
    for (table, place, changes) in columns {
        for change in changes {
            let wrong = wrong_after(
                &world,
                Some(&format!("update {table} set {change} where {place}")),
            )
            .await;
            let names: Vec<&str> = wrong.iter().map(|check| check.name.as_str()).collect();
            assert_eq!(names, [table], "{change}");
            assert!(
                wrong[0].differences[0].contains(&muster.id.to_string()),
                "{wrong:?}"
            );
        }
    }
    for (table, place) in [
        ("agreements", "id = 35"),
        ("card_versions", "id = 1"),
        ("api_keys", "id = 1"),
    ] {
        let wrong = wrong_after(&world, Some(&format!("delete from {table} where {place}"))).await;
        assert_eq!(
            wrong
                .iter()
                .map(|check| check.name.as_str())
                .collect::<Vec<_>>(),
            [table]
        );
    }
    // The first entry of a root, and the last.
    for which in ["min(id)", "max(id)"] {
        let wrong = wrong_after(
            &world,
            Some(&format!(
                "delete from audit_log where root_id = 10 and id = (select {which} from \
                audit_log where root_id = 10)"
            )),
        )
        .await;
        assert_eq!(
            wrong
                .iter()
                .map(|check| check.name.as_str())
                .collect::<Vec<_>>(),
            ["audit_log"],
            "{which}"
        );
    }
    let forged = "insert into api_keys (id, root_id, tenant_id, scope, name, hash, created_at) \
                  select 999, root_id, tenant_id, 'tenant_admin', name, zeroblob(32), created_at \
                  from api_keys where id = 1";
    assert_eq!(wrong_after(&world, Some(forged)).await[0].name, "api_keys");
    for change in [
        "set entries = entries + 1",
        "set hash = zeroblob(32)",
        "set api_keys = zeroblob(32)",
    ] {
        assert_eq!(
            wrong_after(
                &world,
                Some(&format!("update audit_heads {change} where root_id = 10"))
            )
            .await
            .len(),
            1,
            "{change}"
        );
    }
    let gone = wrong_after(&world, Some("delete from audit_heads where root_id = 10")).await;
    assert!(
        gone[0].name == "audit_log" && gone[0].differences[0].contains("is gone"),
        "{gone:?}"
    );
}

async fn what_may_change_is_not_found(world: World) {
    filled(&world).await;
    for change in [
        "update api_keys set last_used_at = 5",
        "update card_versions set doc = cast('{}' as blob) where status = 'draft'",
        "delete from card_versions where status = 'draft'",
        "update tenants set name = 'another' where id = 11",
    ] {
        assert_eq!(wrong_after(&world, Some(change)).await, [], "{change}");
    }
}

async fn roots_from_before_begin_with_what_is_there(world: World) {
    let muster = filled(&world).await;
    run(&world, "delete from audit_heads").await;
    assert_eq!(wrong_after(&world, None).await, []);
    assert_eq!(world.catalog.begin_audit_heads().await.unwrap(), 3);
    assert_eq!(world.catalog.begin_audit_heads().await.unwrap(), 0);
    assert_eq!(wrong_after(&world, None).await, []);
    world
        .catalog
        .create_key(&world.by(), &key(2, &muster))
        .await
        .unwrap();
    world
        .catalog
        .end_agreement(&world.by(), Authority::Platform, AgreementId(31), at(500))
        .await
        .unwrap();
    assert_eq!(wrong_after(&world, None).await, []);
    for (change, name) in [
        (
            "update agreements set commission_bp = 1 where id = 32",
            "agreements",
        ),
        (
            "update agreements set until_at = null where id = 31",
            "agreements",
        ),
        (
            "update audit_log set reason = null where root_id = 10 and action = 'publish'",
            "audit_log",
        ),
    ] {
        assert_eq!(wrong_after(&world, Some(change)).await[0].name, name);
    }
}

async fn writers_at_once_lengthen_one_chain(world: World) {
    let muster = filled(&world).await;
    let write = async |id: i64| {
        let (records, muster) = (&world.catalog, &muster);
        records
            .create_key(&world.by(), &key(id, muster))
            .await
            .unwrap();
        records
            .append_audit(&world.by(), changed(muster))
            .await
            .unwrap();
        records
            .end_agreement(
                &world.by(),
                Authority::Platform,
                AgreementId(id - 70),
                at(id + 500),
            )
            .await
            .unwrap();
    };
    futures_util::future::join_all((100..110).map(write)).await;
    assert_eq!(wrong_after(&world, None).await, []);
    assert_eq!(
        wrong_after(
            &world,
            Some("update api_keys set made_by = 7 where id = 105")
        )
        .await[0]
            .name,
        "api_keys"
    );
}

fn changed(tenant: &Tenant) -> Change {
    let (id, after) = (tenant.id.to_string(), None);
    Change {
        tenant: tenant.id,
        root: tenant.root,
        resource: "tenant",
        id,
        action: "change",
        before: None,
        after,
    }
}
