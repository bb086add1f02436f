//! Many writers at once, on PostgreSQL through two pools, as two processes have them.

use super::*;
use db::Sqlite;
use rating::CardVersionId;
use std::future::Future;

on_every_database! {
    of_overlapping_agreements_one_is_made,
    a_name_is_taken_once,
    versions_are_numbered_without_gaps,
    a_closed_seller_has_no_open_buyer,
    a_secret_is_used_once,
    the_audit_log_keeps_everything,
}

const WRITERS: i64 = 16;

/// What came of many calls at once, each given its number from 1 on; every other one in a second
/// process.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    world: &World,
    call: impl Fn(Catalog, i64) -> F,
) -> Vec<T> {
    let other = match &world.db {
        Db::Sqlite(Sqlite { .. }) => world.catalog.clone(),
        Db::Postgres(_) => Catalog::new(&world.kept.open().await),
    };
    let records = |number: i64| {
        if number % 2 == 0 {
            world.catalog.clone()
        } else {
            other.clone()
        }
    };
    let tasks: Vec<_> = (1..=WRITERS)
        .map(|number| tokio::spawn(call(records(number), number)))
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// How many were done; all others were refused as `expected`.
#[track_caller]
fn done<T: std::fmt::Debug>(results: Vec<Result<T>>, expected: &str) -> usize {
    let (done, others): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    for other in others {
        assert_eq!(refused(other), expected);
    }
    done.len()
}

async fn of_overlapping_agreements_one_is_made(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let by = world.by();
    let made = at_once(&world, |records, number| {
        let (by, terms) = (by.clone(), commission(number, &muster, number, None));
        async move { records.create_agreement(&by, &terms).await }
    });
    assert_eq!(done(made.await, "conflict from"), 1);
    assert_eq!(
        world
            .catalog
            .agreements_of(&[muster.id])
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn a_name_is_taken_once(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let by = world.by();
    for (seller, kind) in [
        (&world.platform, TenantKind::Reseller),
        (&muster, TenantKind::Customer),
    ] {
        let made = at_once(&world, |records, number| {
            let (by, new) = (
                by.clone(),
                new(&tenant(
                    TenantId(seller.id.0 * 100 + number),
                    "wanted",
                    kind,
                    Some(seller),
                )),
            );
            async move { records.create_tenant(&by, &new).await }
        });
        assert_eq!(done(made.await, "conflict external_id"), 1);
    }
}

async fn versions_are_numbered_without_gaps(world: World) {
    let by = world.by();
    world
        .catalog
        .create_card(&by, &card(1, &world.platform, "standard"))
        .await
        .unwrap();
    let made = at_once(&world, |records, number| {
        let by = by.clone();
        async move {
            records
                .create_draft(&by, RateCardId(1), CardVersionId(number), &doc("49"))
                .await
        }
    });
    let mut numbers: Vec<i64> = made
        .await
        .into_iter()
        .map(|version| version.unwrap().number)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=WRITERS).collect::<Vec<_>>());
    let published = at_once(&world, |records, number| {
        let by = by.clone();
        async move { records.publish(&by, CardVersionId(number), at(500)).await }
    });
    assert_eq!(done(published.await, "conflict effective_from"), 1);
}

async fn a_closed_seller_has_no_open_buyer(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let by = world.by();
    let results = at_once(&world, |records, number| {
        let (by, id) = (by.clone(), muster.id);
        let buyer = new(&tenant(
            TenantId(100 + number),
            &format!("buyer {number}"),
            TenantKind::Customer,
            Some(&muster),
        ));
        async move {
            if number == 8 {
                records.close_tenant(&by, id).await.map(|_| ())
            } else {
                records.create_tenant(&by, &buyer).await
            }
        }
    });
    let open = results.await.iter().filter(|result| result.is_ok()).count();
    let closed = world
        .catalog
        .tenant(muster.id)
        .await
        .unwrap()
        .unwrap()
        .closed_at
        .is_some();
    let buyers = world
        .catalog
        .children(muster.id, None, 99)
        .await
        .unwrap()
        .data
        .len();
    assert!(
        if closed { buyers == 0 } else { buyers == open },
        "closed: {closed}, buyers: {buyers}, done: {open}"
    );
}

async fn a_secret_is_used_once(world: World) {
    let resellers = [
        world.reseller(10, "a", &world.platform).await,
        world.reseller(20, "b", &world.platform).await,
    ];
    let by = world.by();
    let made = at_once(&world, |records, number| {
        let owner = &resellers[usize::from(number % 4 == 0)];
        let (by, key) = (
            by.clone(),
            ApiKey {
                hash: [7; 32],
                ..key(number, owner)
            },
        );
        async move { records.create_key(&by, &key).await }
    });
    assert_eq!(done(made.await, "conflict id"), 1);
}

async fn the_audit_log_keeps_everything(world: World) {
    let by = world.by();
    let (platform, before) = (world.platform.id, world.log().await.len());
    let logged = at_once(&world, |records, number| {
        let by = by.clone();
        let (id, after) = (number.to_string(), None);
        let change = Change {
            tenant: platform,
            root: platform,
            resource: "top_up",
            id,
            action: "create",
            before: None,
            after,
        };
        async move { records.append_audit(&by, change).await }
    });
    assert_eq!(done(logged.await, ""), 16);
    assert_eq!(world.log().await.len(), before + 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_first_starts_one_makes_the_platform() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let options = PostgresOptions::default();
    let opened = (0..4).map(|_| Db::open_postgres(database.url(), &options));
    let opened: Vec<Db> = futures_util::future::try_join_all(opened).await.unwrap();
    let starting = opened.iter().zip(1_i64..).map(|(db, number)| async move {
        let platform = Tenant {
            external_id: "platform".into(),
            ..tenant(TenantId(number), "platform", TenantKind::Platform, None)
        };
        Catalog::new(db)
            .ensure_platform(
                &actor(platform.id),
                &new(&platform),
                &key(number, &platform),
            )
            .await
            .unwrap()
    });
    let made = futures_util::future::join_all(starting).await;
    let created: Vec<&Platform> = made
        .iter()
        .filter(|made| matches!(made, Platform::Created(_)))
        .collect();
    let [Platform::Created(platform)] = created[..] else {
        panic!("{made:?}")
    };
    assert!(made.iter().all(
        |made| matches!(made, Platform::Created(one) | Platform::Existing(one) if one == platform)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_moves_the_version_and_an_entry_does_not() {
    let sqlite = World::sqlite().await;
    assert_eq!(
        sqlite.catalog.shared_version().await.unwrap(),
        None,
        "there is no other process"
    );
    let Some(world) = World::postgres().await else {
        return;
    };
    let other = Catalog::new(&world.kept.open().await);
    let before = other.shared_version().await.unwrap();
    let muster = world.reseller(10, "muster", &world.platform).await;
    let made = other.shared_version().await.unwrap();
    assert!(made > before);
    let change = Change {
        tenant: muster.id,
        root: muster.root,
        resource: "top_up",
        id: "1".into(),
        action: "create",
        before: None,
        after: None,
    };
    world
        .catalog
        .append_audit(&world.by(), change)
        .await
        .unwrap();
    assert_eq!(other.shared_version().await.unwrap(), made);
    world
        .catalog
        .update_tenant(&world.by(), muster.id, TenantPatch::default())
        .await
        .unwrap();
    assert!(other.shared_version().await.unwrap() > made);
}
