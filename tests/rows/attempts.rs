//! Attempts at requests whose work is marked in its own transaction.

use super::service::attempt;
use super::*;
use rating::CardVersionId;

on_every_database! {
    what_an_attempt_made_is_known_without_its_answer,
    a_refusal_marks_nothing,
    an_attempt_that_lost_its_place_changes_nothing,
    a_transaction_of_several_changes_is_one_piece_of_work,
    an_attempt_either_commits_or_is_replaced,
}

impl World {
    /// Somebody who changes something in the name of an attempt.
    fn once(&self, attempt: &Attempt, known: Option<&[u8]>) -> Actor {
        Actor {
            once: Some(Once {
                attempt: attempt.clone(),
                known: known.map(Into::into),
            }),
            ..self.by()
        }
    }

    fn named(&self, id: i64, name: &str) -> NewTenant {
        new(&tenant(
            TenantId(id),
            name,
            TenantKind::Reseller,
            Some(&self.platform),
        ))
    }
}

async fn what_an_attempt_made_is_known_without_its_answer(world: World) {
    let records = &world.catalog;
    let begin = async |digest, secs| {
        records
            .begin_idempotent(&attempt("a", digest, secs))
            .await
            .unwrap()
    };
    let first = attempt("a", 1, 100);
    assert_eq!(begin(1, 100).await, Begun::Fresh);
    assert_eq!(begin(1, 101).await, Begun::InFlight, "nothing is committed");
    records
        .create_tenant(&world.once(&first, Some(b"{}")), &world.named(10, "muster"))
        .await
        .unwrap();

    let (resource, id, known) = (
        "tenant".to_owned(),
        TenantId(10).to_string(),
        Some(b"{}".to_vec()),
    );
    let made = Begun::Made {
        begun_at: at(100),
        resource,
        id,
        known,
    };
    assert_eq!(begin(1, 101).await, made, "at once");
    assert_eq!(
        begin(1, 100 + IN_FLIGHT_SECS_MAX).await,
        made,
        "and after the time of attempts"
    );
    assert_eq!(
        begin(2, 100 + IN_FLIGHT_SECS_MAX).await,
        Begun::Mismatch,
        "what is done is remembered for a day"
    );
    records.abandon_idempotent(&first).await.unwrap();
    assert_eq!(
        begin(1, 102).await,
        made,
        "what is committed is not forgotten"
    );
    assert_eq!(
        begin(2, 100 + REMEMBERED_SECS).await,
        Begun::Fresh,
        "a day later it is a new key"
    );
    assert_eq!(
        begin(2, 101 + REMEMBERED_SECS).await,
        Begun::InFlight,
        "of which nothing is known yet"
    );

    assert_eq!(
        records
            .begin_idempotent(&attempt("b", 1, 100))
            .await
            .unwrap(),
        Begun::Fresh
    );
    let renamed = TenantPatch {
        name: Some("Muster".into()),
        ..TenantPatch::default()
    };
    records
        .update_tenant(
            &world.once(&attempt("b", 1, 100), None),
            TenantId(10),
            renamed,
        )
        .await
        .unwrap();
    records
        .finish_idempotent(&attempt("b", 1, 100), 200, b"answer")
        .await
        .unwrap();
    let replay = Begun::Replay {
        status: 200,
        body: b"answer".to_vec(),
    };
    assert_eq!(
        records
            .begin_idempotent(&attempt("b", 1, 101))
            .await
            .unwrap(),
        replay
    );
}

async fn a_refusal_marks_nothing(world: World) {
    let records = &world.catalog;
    world.reseller(10, "muster", &world.platform).await;
    let first = attempt("a", 1, 100);
    assert_eq!(
        records.begin_idempotent(&first).await.unwrap(),
        Begun::Fresh
    );
    let taken = records
        .create_tenant(&world.once(&first, None), &world.named(11, "muster"))
        .await;
    assert_eq!(refused(taken), "conflict external_id");
    assert_eq!(
        records
            .begin_idempotent(&attempt("a", 1, 101))
            .await
            .unwrap(),
        Begun::InFlight
    );
    records.abandon_idempotent(&first).await.unwrap();
    assert_eq!(
        records
            .begin_idempotent(&attempt("a", 2, 101))
            .await
            .unwrap(),
        Begun::Fresh
    );
}

async fn an_attempt_that_lost_its_place_changes_nothing(world: World) {
    let records = &world.catalog;
    let (slow, second) = (
        attempt("a", 1, 100),
        attempt("a", 1, 100 + IN_FLIGHT_SECS_MAX),
    );
    assert_eq!(records.begin_idempotent(&slow).await.unwrap(), Begun::Fresh);
    assert_eq!(
        records.begin_idempotent(&second).await.unwrap(),
        Begun::Fresh,
        "nothing was heard of the first"
    );
    let create = async |by: &Attempt, id| {
        records
            .create_tenant(&world.once(by, None), &world.named(id, &format!("t-{id}")))
            .await
    };
    assert_eq!(refused(create(&slow, 10).await), "overtaken");
    assert_eq!(records.tenant(TenantId(10)).await.unwrap(), None);
    create(&second, 11).await.unwrap();
    assert_eq!(refused(create(&slow, 10).await), "overtaken");
    records
        .finish_idempotent(&second, 201, b"{}")
        .await
        .unwrap();
    assert_eq!(
        refused(create(&second, 12).await),
        "overtaken",
        "it was answered"
    );
    let all = records
        .children(world.platform.id, None, 9)
        .await
        .unwrap()
        .data;
    assert_eq!(
        all.into_iter().map(|one| one.id).collect::<Vec<_>>(),
        [TenantId(11)]
    );
}

async fn a_transaction_of_several_changes_is_one_piece_of_work(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let card = card(5, &muster, "retail");
    records.create_card(&world.by(), &card).await.unwrap();
    let by = attempt("a", 1, 100);
    assert_eq!(records.begin_idempotent(&by).await.unwrap(), Begun::Fresh);
    let new = NewVersion {
        id: CardVersionId(11),
        base: None,
        doc: &doc("49"),
    };
    // A draft, and its publication.
    records
        .create_published(&world.once(&by, None), card.id, &new, at(500))
        .await
        .unwrap();
    let made = records
        .begin_idempotent(&attempt("a", 1, 101))
        .await
        .unwrap();
    let (resource, id) = (
        "rate_card_version".to_owned(),
        CardVersionId(11).to_string(),
    );
    assert_eq!(
        made,
        Begun::Made {
            begun_at: at(100),
            resource,
            id,
            known: None
        }
    );
}

/// The first comes to commit at the very moment at which it is given up.
async fn an_attempt_either_commits_or_is_replaced(world: World) {
    let mut committed = 0;
    for round in 0..24 {
        let key = format!("k-{round}");
        let (slow, second) = (
            attempt(&key, 1, 100),
            attempt(&key, 1, 100 + IN_FLIGHT_SECS_MAX),
        );
        assert_eq!(
            world.catalog.begin_idempotent(&slow).await.unwrap(),
            Begun::Fresh
        );
        let (actor, new) = (
            world.once(&slow, None),
            world.named(10 + round, &format!("t-{round}")),
        );
        let catalog = world.catalog.clone();
        let first = tokio::spawn(async move { catalog.create_tenant(&actor, &new).await });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let begun = world.catalog.begin_idempotent(&second).await.unwrap();
        match first.await.unwrap() {
            Ok(()) => {
                committed += 1;
                assert!(
                    matches!(begun, Begun::Made { .. } | Begun::InFlight),
                    "round {round}: {begun:?}"
                );
            }
            Err(CatalogError::Overtaken) => assert_eq!(begun, Begun::Fresh, "round {round}"),
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    let made = world
        .catalog
        .children(world.platform.id, None, 99)
        .await
        .unwrap()
        .data
        .len();
    assert_eq!(made, committed);
}
