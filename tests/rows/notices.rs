//! Endpoints, contacts, notices, deliveries, thresholds.

use super::*;
use rating::ids::{ContactId, DeliveryId, EndpointId, NoticeId};
use serde_json::json;

on_every_database! {
    endpoints_are_made_changed_and_disabled,
    a_changed_secret_leaves_the_former_one_for_a_day,
    contacts_are_made_changed_and_deleted,
    a_tenant_has_so_many_endpoints,
    who_wants_to_hears_of_tenants_below,
    a_cause_is_told_once,
    a_notice_is_sent_once,
    a_delivery_is_tried_by_one_at_a_time,
    a_replayed_delivery_begins_again,
    a_crossing_is_told_once_however_many_see_it,
    a_threshold_set_anew_is_told_anew,
    what_is_old_goes,
}

fn endpoint(id: i64, tenant: &Tenant, wanted: Wanted) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        root: tenant.root,
        tenant: tenant.id,
        url: "https://hooks.example/in".into(),
        secret: "whsec_first".into(),
        former: None,
        wanted,
        active: true,
        disabled_why: None,
        created_at: at(5),
    }
}

fn all() -> Wanted {
    Wanted {
        kinds: None,
        subtree: false,
    }
}

fn notice(id: i64, tenant: &Tenant, kind: NoticeKind, cause: &str) -> Notice {
    let data = json!({ "count": 3 });
    Notice {
        id: NoticeId(id),
        root: tenant.root,
        tenant: tenant.id,
        kind,
        cause: cause.into(),
        data,
        created_at: at(DAY),
    }
}

fn delivery(id: i64, to: &Endpoint, notice: &Notice) -> NewDelivery {
    NewDelivery {
        id: DeliveryId(id),
        root: to.root,
        tenant: to.tenant,
        target: Target::Endpoint(to.id),
        notice: notice.id,
        kind: notice.kind,
        payload: "{}".into(),
        to_be_tried: true,
    }
}

async fn undelivered_at(world: &World, secs: i64) -> Undelivered {
    let (due, since) = late_and_lately(at(secs));
    match &world.db {
        Db::Sqlite(db) => sqlx::query_as(undelivered())
            .bind(due)
            .bind(since)
            .fetch_one(&db.readers)
            .await
            .unwrap(),
        Db::Postgres(db) => sqlx::query_as(undelivered())
            .bind(due)
            .bind(since)
            .fetch_one(&db.pool)
            .await
            .unwrap(),
    }
}

/// A reseller with an endpoint, and a notice about it.
async fn muster_with_endpoint(world: &World) -> (Tenant, Endpoint, Notice) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let endpoint = endpoint(100, &muster, all());
    NoticeRows::of(&world.catalog)
        .create_endpoint(&world.by(), &endpoint)
        .await
        .unwrap();
    let notice = notice(1, &muster, NoticeKind::HoldExpired, "a");
    assert!(
        NoticeRows::of(&world.catalog)
            .append_notice(&notice)
            .await
            .unwrap()
    );
    (muster, endpoint, notice)
}

async fn endpoints_are_made_changed_and_disabled(world: World) {
    let (muster, made, _) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    assert_eq!(
        NoticeRows::of(records).endpoint(made.id).await.unwrap(),
        Some(made.clone())
    );
    assert_eq!(
        NoticeRows::of(records)
            .endpoints_below(&world.platform, None, 9)
            .await
            .unwrap()
            .data,
        std::slice::from_ref(&made)
    );
    let patch = EndpointPatch {
        url: Some("https://other.example".into()),
        kinds: Some(Some(vec![NoticeKind::PayoutPaid])),
        ..EndpointPatch::default()
    };
    let changed = NoticeRows::of(records)
        .change_endpoint(&world.by(), made.id, patch)
        .await
        .unwrap();
    assert_eq!(
        (changed.url.as_str(), changed.wanted.kinds.as_deref()),
        ("https://other.example", Some(&[NoticeKind::PayoutPaid][..]))
    );
    assert_eq!(
        NoticeRows::of(records).endpoint(made.id).await.unwrap(),
        Some(changed)
    );

    assert!(
        NoticeRows::of(records)
            .disable_endpoint(&world.by(), made.id, "it answered 410")
            .await
            .unwrap()
    );
    assert!(
        !NoticeRows::of(records)
            .disable_endpoint(&world.by(), made.id, "it answered 410")
            .await
            .unwrap()
    );
    let off = NoticeRows::of(records)
        .endpoint(made.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (off.active, off.disabled_why.as_deref()),
        (false, Some("it answered 410"))
    );
    assert!(
        NoticeRows::of(records)
            .endpoints_wanting(&muster, NoticeKind::PayoutPaid)
            .await
            .unwrap()
            .is_empty()
    );
    let patch = EndpointPatch {
        active: Some(true),
        ..EndpointPatch::default()
    };
    assert_eq!(
        NoticeRows::of(records)
            .change_endpoint(&world.by(), made.id, patch)
            .await
            .unwrap()
            .disabled_why,
        None
    );
    NoticeRows::of(records)
        .delete_endpoint(&world.by(), made.id)
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records).endpoint(made.id).await.unwrap(),
        None
    );
    assert_eq!(
        refused(
            NoticeRows::of(records)
                .delete_endpoint(&world.by(), made.id)
                .await
        ),
        "not found webhook endpoint"
    );
    let log = world.log().await;
    let of_endpoints: Vec<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("webhook_endpoint "))
        .collect();
    assert_eq!(
        of_endpoints,
        ["create", "change", "disable", "change", "delete"]
    );
    let told = format!(
        "{:?}",
        records
            .audit_log(&world.platform, &AuditFilter::default(), None, 99)
            .await
            .unwrap()
    );
    assert!(!told.contains("whsec_"), "no secret in the audit log");
}

async fn a_changed_secret_leaves_the_former_one_for_a_day(world: World) {
    let (_, made, _) = muster_with_endpoint(&world).await;
    let rotated = NoticeRows::of(&world.catalog)
        .rotate_secret(&world.by(), made.id, "whsec_second")
        .await
        .unwrap();
    assert_eq!(
        (rotated.secret.as_str(), &rotated.former),
        (
            "whsec_second",
            &Some(("whsec_first".to_owned(), at(2 * DAY)))
        )
    );
    assert_eq!(
        NoticeRows::of(&world.catalog)
            .endpoint(made.id)
            .await
            .unwrap(),
        Some(rotated)
    );
    assert!(
        !format!("{made:?}").contains("whsec_") && !format!("{made:?}").contains("hooks.example")
    );
}

async fn contacts_are_made_changed_and_deleted(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let records = &world.catalog;
    let made = Contact {
        id: ContactId(7),
        root: muster.root,
        tenant: muster.id,
        address: "ops@muster.example".into(),
        locale: "de".into(),
        wanted: all(),
        created_at: at(5),
    };
    NoticeRows::of(records)
        .create_contact(&world.by(), &made)
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records)
            .contacts_wanting(&muster, NoticeKind::BalanceLow)
            .await
            .unwrap(),
        std::slice::from_ref(&made)
    );
    let patch = ContactPatch {
        locale: Some("fr".into()),
        subtree: Some(true),
        ..ContactPatch::default()
    };
    let changed = NoticeRows::of(records)
        .change_contact(&world.by(), made.id, patch)
        .await
        .unwrap();
    assert_eq!(
        changed,
        Contact {
            locale: "fr".into(),
            wanted: Wanted {
                kinds: None,
                subtree: true
            },
            ..made.clone()
        }
    );
    assert_eq!(
        NoticeRows::of(records)
            .contacts_below(&muster, None, 9)
            .await
            .unwrap()
            .data,
        [changed]
    );
    NoticeRows::of(records)
        .delete_contact(&world.by(), made.id)
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records).contact(made.id).await.unwrap(),
        None
    );
    let told = format!(
        "{:?} {made:?}",
        records
            .audit_log(&world.platform, &AuditFilter::default(), None, 99)
            .await
            .unwrap()
    );
    assert!(!told.contains("ops@"), "no address in a log");
}

async fn a_tenant_has_so_many_endpoints(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    for id in 1..=i64::try_from(ENDPOINTS_MAX).unwrap() {
        NoticeRows::of(&world.catalog)
            .create_endpoint(&world.by(), &endpoint(id, &muster, all()))
            .await
            .unwrap();
    }
    assert_eq!(
        refused(
            NoticeRows::of(&world.catalog)
                .create_endpoint(&world.by(), &endpoint(99, &muster, all()))
                .await
        ),
        "conflict tenant"
    );
}

async fn who_wants_to_hears_of_tenants_below(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let other = world.reseller(20, "other", &world.platform).await;
    let low = Wanted {
        kinds: Some(vec![NoticeKind::BalanceLow]),
        subtree: true,
    };
    for (id, tenant, wanted) in [
        (1, &acme, all()),
        (2, &muster, all()),
        (3, &muster, low.clone()),
        (
            4,
            &world.platform,
            Wanted {
                kinds: None,
                subtree: true,
            },
        ),
        (
            5,
            &other,
            Wanted {
                kinds: None,
                subtree: true,
            },
        ),
    ] {
        NoticeRows::of(records)
            .create_endpoint(&world.by(), &endpoint(id, tenant, wanted))
            .await
            .unwrap();
    }
    let ids = async |tenant: &Tenant, kind| {
        NoticeRows::of(records)
            .endpoints_wanting(tenant, kind)
            .await
            .unwrap()
            .iter()
            .map(|endpoint| endpoint.id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&acme, NoticeKind::BalanceLow).await, [1, 3, 4]);
    assert_eq!(ids(&acme, NoticeKind::HoldExpired).await, [1, 4]);
    assert_eq!(ids(&muster, NoticeKind::BalanceLow).await, [2, 3, 4]);
}

async fn a_cause_is_told_once(world: World) {
    let (muster, _, first) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    assert!(
        !NoticeRows::of(records)
            .append_notice(&notice(2, &muster, NoticeKind::HoldExpired, "a"))
            .await
            .unwrap()
    );
    assert!(
        NoticeRows::of(records)
            .append_notice(&notice(1, &muster, NoticeKind::HoldExpired, "b"))
            .await
            .unwrap(),
        "another id is found"
    );
    let unsent = NoticeRows::of(records).unsent_notices().await.unwrap();
    assert_eq!(
        unsent,
        [first, notice(2, &muster, NoticeKind::HoldExpired, "b")]
    );
}

async fn a_notice_is_sent_once(world: World) {
    let (_, endpoint, notice) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    let (first, second) = (
        delivery(1, &endpoint, &notice),
        delivery(2, &endpoint, &notice),
    );
    let (one, two) = tokio::join!(
        NoticeRows::of(records).send_notice(&notice, std::slice::from_ref(&first), at(DAY)),
        NoticeRows::of(records).send_notice(&notice, std::slice::from_ref(&second), at(DAY))
    );
    assert_eq!(
        [one.unwrap(), two.unwrap()]
            .iter()
            .filter(|sent| **sent)
            .count(),
        1
    );
    assert!(
        NoticeRows::of(records)
            .unsent_notices()
            .await
            .unwrap()
            .is_empty()
    );
    let log = NoticeRows::of(records)
        .deliveries_of(Target::Endpoint(endpoint.id), Period::default(), None, 9)
        .await
        .unwrap();
    assert_eq!(log.data.len(), 1);
    assert_eq!(
        (log.data[0].state, log.data[0].next_at, log.data[0].attempts),
        (DeliveryState::Waiting, Some(at(DAY)), 0)
    );
}

async fn a_delivery_is_tried_by_one_at_a_time(world: World) {
    let (muster, endpoint, notice) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    NoticeRows::of(records)
        .send_notice(&notice, &[delivery(1, &endpoint, &notice)], at(DAY))
        .await
        .unwrap();
    let target = Target::Endpoint(endpoint.id);
    assert!(
        NoticeRows::of(records)
            .targets_due(at(DAY - 1))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        NoticeRows::of(records).targets_due(at(DAY)).await.unwrap(),
        [(muster.root, target)]
    );
    let due = NoticeRows::of(records)
        .deliveries_due(muster.root, target, at(DAY), 9)
        .await
        .unwrap()
        .remove(0);
    let claim = || NoticeRows::of(records).claim_delivery(&due, at(DAY), at(DAY + 60));
    let (one, two) = tokio::join!(claim(), claim());
    let mut claimed: Vec<Delivery> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    assert_eq!(claimed.len(), 1);
    let claimed = claimed.remove(0);
    assert_eq!(claimed.attempts, 1);
    assert!(
        NoticeRows::of(records)
            .targets_due(at(DAY + 59))
            .await
            .unwrap()
            .is_empty()
    );

    // Whoever had it dies; another takes it when its time is over, and the first then changes
    // nothing.
    let again = NoticeRows::of(records)
        .deliveries_due(muster.root, target, at(DAY + 60), 9)
        .await
        .unwrap()
        .remove(0);
    let again = NoticeRows::of(records)
        .claim_delivery(&again, at(DAY + 60), at(DAY + 120))
        .await
        .unwrap()
        .unwrap();
    let failed = Tried {
        state: DeliveryState::Failed,
        next_at: None,
        status: None,
        error: Some("late".into()),
    };
    NoticeRows::of(records)
        .delivery_tried(&claimed, &failed, at(DAY + 61))
        .await
        .unwrap();
    let delivered = Tried {
        state: DeliveryState::Delivered,
        next_at: None,
        status: Some(204),
        error: None,
    };
    NoticeRows::of(records)
        .delivery_tried(&again, &delivered, at(DAY + 61))
        .await
        .unwrap();
    let kept = NoticeRows::of(records)
        .delivery(again.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (kept.state, kept.attempts, kept.last_status, kept.done_at),
        (DeliveryState::Delivered, 2, Some(204), Some(at(DAY + 61)))
    );
}

async fn a_replayed_delivery_begins_again(world: World) {
    let (muster, endpoint, sent) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    NoticeRows::of(records)
        .send_notice(&sent, &[delivery(1, &endpoint, &sent)], at(DAY))
        .await
        .unwrap();
    NoticeRows::of(records)
        .disable_endpoint(&world.by(), endpoint.id, "it answered 410")
        .await
        .unwrap();
    let given_up = NoticeRows::of(records)
        .delivery(DeliveryId(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            given_up.state,
            given_up.next_at,
            given_up.last_error.as_deref()
        ),
        (DeliveryState::Failed, None, Some("it answered 410"))
    );
    let replayed = NoticeRows::of(records)
        .replay_delivery(&world.by(), DeliveryId(1))
        .await
        .unwrap();
    assert_eq!(
        (replayed.state, replayed.next_at, replayed.notice),
        (DeliveryState::Waiting, Some(world.by().at), sent.id)
    );
    assert_eq!(
        NoticeRows::of(records)
            .targets_due(at(DAY))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        refused(
            NoticeRows::of(records)
                .replay_delivery(&world.by(), DeliveryId(9))
                .await
        ),
        "not found delivery"
    );
    assert!(world.log().await.contains(&"delivery replay".to_owned()));
    assert_eq!(
        undelivered_at(&world, DAY + 300).await,
        Undelivered {
            unsent: 0,
            overdue: 0,
            failed: 0,
            disabled: 1
        }
    );
    NoticeRows::of(records)
        .append_notice(&notice(9, &muster, NoticeKind::HoldExpired, "late"))
        .await
        .unwrap();
    assert_eq!(
        undelivered_at(&world, DAY + 301).await,
        Undelivered {
            unsent: 1,
            overdue: 1,
            failed: 0,
            disabled: 1
        }
    );
}

async fn a_crossing_is_told_once_however_many_see_it(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let (records, eur) = (&world.catalog, Currency::EUR);
    NoticeRows::of(records)
        .set_threshold(&world.by(), muster.id, eur, Some(Cents(500)))
        .await
        .unwrap();
    for (reached, kind, round) in [
        (Reached::Low(Cents(500)), NoticeKind::BalanceLow, 0),
        (Reached::Exhausted, NoticeKind::BalanceExhausted, 1),
        (Reached::Low(Cents(500)), NoticeKind::BalanceLow, 2),
    ] {
        let seen = (0..8).map(|id| {
            notice(
                100 * (round + 1) + id,
                &muster,
                kind,
                &format!("{round} {id}"),
            )
        });
        let told = futures_util::future::join_all(seen.map(async |notice| {
            NoticeRows::of(records)
                .tell_reached(eur, reached, &notice)
                .await
                .unwrap()
        }))
        .await;
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "{reached:?}");
        assert!(
            NoticeRows::of(records)
                .rearm(muster.root, muster.id, eur, reached)
                .await
                .unwrap()
        );
        assert!(
            !NoticeRows::of(records)
                .rearm(muster.root, muster.id, eur, reached)
                .await
                .unwrap()
        );
    }
    let other = notice(900, &muster, NoticeKind::BalanceLow, "other");
    assert!(
        !NoticeRows::of(records)
            .tell_reached(eur, Reached::Low(Cents(400)), &other)
            .await
            .unwrap(),
        "the threshold is another now"
    );
    assert_eq!(
        NoticeRows::of(records)
            .unsent_notices()
            .await
            .unwrap()
            .len(),
        3
    );
}

async fn a_threshold_set_anew_is_told_anew(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let (records, eur) = (&world.catalog, Currency::EUR);
    let set = NoticeRows::of(records)
        .set_threshold(&world.by(), muster.id, eur, Some(Cents(500)))
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records).thresholds(None).await.unwrap(),
        [set]
    );
    assert!(
        NoticeRows::of(records)
            .tell_reached(
                eur,
                Reached::Low(Cents(500)),
                &notice(1, &muster, NoticeKind::BalanceLow, "a")
            )
            .await
            .unwrap()
    );
    assert_eq!(
        NoticeRows::of(records)
            .threshold(muster.root, muster.id, eur)
            .await
            .unwrap()
            .unwrap()
            .low_at,
        Some(at(DAY))
    );
    NoticeRows::of(records)
        .set_threshold(&world.by(), muster.id, eur, Some(Cents(600)))
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records)
            .threshold(muster.root, muster.id, eur)
            .await
            .unwrap()
            .unwrap()
            .low_at,
        None
    );
    let none = NoticeRows::of(records)
        .set_threshold(&world.by(), muster.id, eur, None)
        .await
        .unwrap();
    assert!(
        NoticeRows::of(records)
            .thresholds(None)
            .await
            .unwrap()
            .is_empty()
            && none.low.is_none()
    );
    assert!(
        NoticeRows::of(records)
            .thresholds(Some(&set))
            .await
            .unwrap()
            .is_empty()
    );
    records
        .create_agreement(&world.by(), &commission(5, &muster, 0, None))
        .await
        .unwrap();
    let limited = NoticeRows::of(records)
        .limited_balances(at(DAY), 0)
        .await
        .unwrap();
    let (collect, seller) = (Collect::Reseller, muster.parent.unwrap());
    let (root, tenant, limit) = (muster.root, muster.id, Cents(5));
    assert_eq!(
        limited,
        [Limited {
            after: 5,
            root,
            tenant,
            currency: eur,
            limit,
            collect,
            seller
        }]
    );
}

async fn what_is_old_goes(world: World) {
    let (muster, endpoint, sent) = muster_with_endpoint(&world).await;
    let records = &world.catalog;
    NoticeRows::of(records)
        .send_notice(&sent, &[delivery(1, &endpoint, &sent)], at(DAY))
        .await
        .unwrap();
    NoticeRows::of(records)
        .append_notice(&notice(2, &muster, NoticeKind::HoldExpired, "unsent"))
        .await
        .unwrap();
    assert_eq!(
        NoticeRows::of(records)
            .purge_notices(at(DAY + NOTICES_KEPT_SECS))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        NoticeRows::of(records)
            .purge_notices(at(DAY + NOTICES_KEPT_SECS + 1))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        NoticeRows::of(records)
            .unsent_notices()
            .await
            .unwrap()
            .len(),
        1,
        "what was not told stays"
    );
}
