//! Settings, months, payouts and files: each change is made from what is still so, or not at all.

use super::*;
use crate::payouts::PayoutState::{Canceled, Due, Failed, Paying};
use journal::Seq;
use rating::ids::{PayoutFileId, PayoutId};

on_every_database!(
    settings_are_changed_from_what_they_are,
    months_grow_from_the_latest,
    customers_grow_from_their_position,
    a_period_has_one_payout,
    a_file_is_stored_whole
);

fn settings(tenant: &Tenant) -> PayoutSettings {
    let bank = BankAccount {
        holder: "Muster".into(),
        iban: "DE89370400440532013000".into(),
        bic: Some("COBADEFF".into()),
    };
    PayoutSettings {
        root: tenant.root,
        tenant: tenant.id,
        currency: Currency::EUR,
        method: PayoutMethod::Stripe,
        hold_back_days: 14,
        minimum: Cents(2500),
        bank: Some(bank),
        country: Some("DE".into()),
        payee: Some("acct_1".into()),
        payee_idempotency_epoch: 2,
        transfers_enabled: true,
        payouts_enabled: false,
        requirements: vec!["external_account".into()],
        payee_read_at: Some(at(5)),
        version: 0,
        updated_at: at(0),
    }
}

fn payout(id: i64, tenant: &Tenant, period: i64, cents: i64) -> Payout {
    Payout {
        id: PayoutId(id),
        root: tenant.root,
        tenant: tenant.id,
        currency: Currency::EUR,
        period,
        state: Due,
        cents: Cents(cents),
        method: PayoutMethod::Bank,
        idempotency_epoch: 1,
        attempts: 0,
        next_at: None,
        payee: None,
        bank: None,
        file: None,
        transfer: None,
        reference: None,
        error: None,
        created_at: at(7),
        begun_at: None,
        paid_at: None,
        version: 1,
    }
}

async fn settings_are_changed_from_what_they_are(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let records = &world.catalog;
    assert_eq!(
        PayoutRows::of(records)
            .payout_settings(muster.id)
            .await
            .unwrap(),
        None
    );
    let first = PayoutRows::of(records)
        .put_payout_settings(&world.by(), &settings(&muster))
        .await
        .unwrap();
    assert_eq!((first.version, first.updated_at), (1, at(DAY)));
    assert_eq!(
        PayoutRows::of(records)
            .payout_settings(muster.id)
            .await
            .unwrap()
            .as_ref(),
        Some(&first)
    );
    assert_eq!(
        PayoutRows::of(records)
            .payout_settings_of_payee("acct_1")
            .await
            .unwrap()
            .as_ref(),
        Some(&first)
    );
    let plain = PayoutSettings {
        bank: None,
        payee: None,
        payee_read_at: None,
        country: None,
        requirements: Vec::new(),
        ..first.clone()
    };
    let second = PayoutRows::of(records)
        .put_payout_settings(&world.by(), &plain)
        .await
        .unwrap();
    assert_eq!(
        PayoutRows::of(records)
            .payout_settings(muster.id)
            .await
            .unwrap()
            .as_ref(),
        Some(&second)
    );
    assert_eq!(
        refused(
            PayoutRows::of(records)
                .put_payout_settings(&world.by(), &first)
                .await
        ),
        "conflict version"
    );
    assert_eq!(
        refused(
            PayoutRows::of(records)
                .put_payout_settings(&world.by(), &settings(&muster))
                .await
        ),
        "conflict version",
        "there are some"
    );
    let page = PayoutRows::of(records)
        .all_payout_settings(None, 10)
        .await
        .unwrap();
    assert_eq!((page.data, page.has_more), (vec![second], false));
    assert_eq!(
        world.log().await[3..],
        ["payout_settings put", "payout_settings put"]
    );
    let log = records
        .audit_log(&world.platform, &AuditFilter::default(), None, 10)
        .await
        .unwrap();
    assert!(
        format!("{log:?}").contains("DE89…3000")
            && !format!("{log:?} {first:?}").contains("DE8937")
    );
}

async fn months_grow_from_the_latest(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let month = |month, after, through, closed_at: Option<i64>| CommissionMonth {
        root: muster.root,
        tenant: muster.id,
        currency: Currency::EUR,
        month,
        after: Seq(after),
        through: Seq(through),
        opening: Cents(-5),
        accrued: Cents(7),
        sums: Sums::from([
            (
                MoveKind::ChargesReceived,
                Sum {
                    cents: Cents(40),
                    entries: 2,
                },
            ),
            (
                MoveKind::ChargesPaid,
                Sum {
                    cents: Cents(-30),
                    entries: 1,
                },
            ),
            (
                MoveKind::TopUp,
                Sum {
                    cents: Cents(100),
                    entries: 1,
                },
            ),
        ]),
        closed_at: closed_at.map(at),
    };
    let up_to = async |number| {
        PayoutRows::of(&world.catalog)
            .commission_month(muster.root, muster.id, Currency::EUR, number)
            .await
            .unwrap()
    };
    let add = async |latest: Option<&CommissionMonth>, rows: &[CommissionMonth]| {
        PayoutRows::of(&world.catalog)
            .add_commission(latest, rows, None)
            .await
            .unwrap()
    };
    let (october, november) = (month(10, 0, 4, None), month(11, 9, 12, None));
    assert!(add(None, std::slice::from_ref(&october)).await);
    assert_eq!(
        (
            october.closing(),
            october.commission(),
            october.accrued_through()
        ),
        (Ok(Cents(105)), Ok(Cents(10)), Ok(Cents(17)))
    );
    assert!(
        !add(None, std::slice::from_ref(&november)).await,
        "there is a later row than none"
    );
    let closed = month(10, 0, 9, Some(50));
    assert!(add(Some(&october), &[closed.clone(), november.clone()]).await);
    assert!(
        !add(Some(&october), std::slice::from_ref(&closed)).await,
        "it is not the latest any more"
    );
    assert_eq!(
        (up_to(9).await, up_to(10).await, up_to(i64::MAX).await),
        (None, Some(closed), Some(november))
    );
    assert!(add(None, &[]).await);
}

async fn customers_grow_from_their_position(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let lower = world.reseller(11, "lower", &muster).await;
    let (first, second) = (
        world.customer(12, "acme", &lower).await,
        world.customer(13, "beta", &muster).await,
    );
    let at = |through, own, is_complete| {
        let (root, tenant, currency) = (muster.root, muster.id, Currency::EUR);
        CommissionPosition {
            root,
            tenant,
            currency,
            through: Seq(through),
            own: Cents(own),
            is_complete,
        }
    };
    let grown = |before, after, customers: &[(&Tenant, i64)]| CustomersGrown {
        before,
        after,
        customers: customers
            .iter()
            .map(|(tenant, cents)| CustomerGrown {
                customer: tenant.id,
                cents: Cents(*cents),
                passed: Cents(1),
                gained: Cents(3),
            })
            .collect(),
    };
    let add = async |grown: &CustomersGrown| {
        PayoutRows::of(&world.catalog)
            .add_commission(None, &[], Some(grown))
            .await
            .unwrap()
    };
    let position = async || {
        PayoutRows::of(&world.catalog)
            .commission_position(muster.root, muster.id, Currency::EUR)
            .await
            .unwrap()
    };
    let page = async |after: Option<&Tenant>, limit| {
        let after = after.map(|tenant| tenant.id);
        let page = PayoutRows::of(&world.catalog)
            .commission_customers(muster.root, muster.id, Currency::EUR, after, limit)
            .await
            .unwrap();
        let lines: Vec<_> = page
            .data
            .iter()
            .map(|one| {
                (
                    one.customer,
                    one.cents.0,
                    one.passed.0,
                    one.gained.0,
                    one.path.len(),
                )
            })
            .collect();
        (lines, page.has_more)
    };
    assert_eq!(
        (position().await, page(None, 10).await),
        (None, (vec![], false))
    );
    assert!(
        add(&grown(
            None,
            at(5, 7, true),
            &[(&first, 100), (&second, -3)]
        ))
        .await
    );
    assert!(
        !add(&grown(None, at(9, 0, true), &[(&first, 1)])).await,
        "it is somewhere else by now"
    );
    assert!(
        add(&grown(
            Some(at(5, 7, true)),
            at(9, 7, false),
            &[(&first, -40)]
        ))
        .await
    );
    assert_eq!(position().await, Some(at(9, 7, false)));
    let (one, other) = (
        (first.id, 60, 2, 6, first.path.len()),
        (second.id, -3, 1, 3, second.path.len()),
    );
    assert_eq!(page(None, 10).await, (vec![one, other], false));
    assert_eq!(
        (page(None, 1).await, page(Some(&first), 1).await),
        ((vec![one], true), (vec![other], false))
    );
    // The platform's rows are in the root of the customers.
    let position = CommissionPosition {
        tenant: world.platform.id,
        ..at(9, 0, true)
    };
    assert!(add(&grown(None, position, &[(&first, -5), (&second, 5)])).await);
    let losses = async |seller: &Tenant| {
        let page = PayoutRows::of(&world.catalog)
            .losses(muster.root, seller.id, Currency::EUR, None, 10)
            .await
            .unwrap();
        page.data
            .iter()
            .map(|one| (one.customer, one.cents.0, one.passed.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        losses(&world.platform).await,
        [(first.id, -5, 1), (second.id, 5, 1)]
    );
    // One key reports up and down for as long as it likes: what single steps come to has a bound,
    // and nobody's payouts end.
    let mut far = grown(Some(at(9, 7, false)), at(10, 7, false), &[(&first, 0)]);
    (far.customers[0].passed, far.customers[0].gained) = (Cents(i64::MIN), Cents(i64::MAX));
    assert!(add(&far).await);
    (far.before, far.after.through) = (Some(far.after), Seq(11));
    assert!(add(&far).await);
    let ((_, _, passed, gained, _), bound) = (page(None, 1).await.0[0], 1_000_000_000_000_000_000);
    assert_eq!((passed, gained), (-bound, bound));
    assert_eq!(
        PayoutRows::of(&world.catalog)
            .commission_position(lower.root, lower.id, Currency::EUR)
            .await
            .unwrap(),
        None
    );
}

async fn a_period_has_one_payout(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let other = world.reseller(20, "other", &world.platform).await;
    let records = &world.catalog;
    let (first, twin, second) = (
        payout(1, &muster, 10, 300),
        payout(2, &muster, 10, 300),
        payout(3, &muster, 11, 50),
    );
    let counting = async || {
        let sums = PayoutRows::of(records)
            .payouts_counting(muster.root, muster.id, Currency::EUR)
            .await
            .unwrap();
        sums.gone.checked_add(sums.due).unwrap()
    };
    assert!(
        PayoutRows::of(records)
            .create_payout(&world.by(), &first, Cents(0))
            .await
            .unwrap()
    );
    assert!(
        !PayoutRows::of(records)
            .create_payout(&world.by(), &twin, Cents(300))
            .await
            .unwrap(),
        "the period has one"
    );
    assert!(
        !PayoutRows::of(records)
            .create_payout(&world.by(), &second, Cents(0))
            .await
            .unwrap(),
        "worked out from what was before"
    );
    assert!(
        PayoutRows::of(records)
            .create_payout(&world.by(), &second, Cents(300))
            .await
            .unwrap()
    );
    assert!(
        PayoutRows::of(records)
            .create_payout(&world.by(), &payout(4, &other, 10, 9), Cents(0))
            .await
            .unwrap()
    );
    assert_eq!(
        (
            PayoutRows::of(records)
                .payout(first.id)
                .await
                .unwrap()
                .as_ref(),
            counting().await
        ),
        (Some(&first), Cents(350))
    );

    let bank = settings(&muster).bank;
    let paying = Payout {
        state: Paying,
        bank,
        next_at: Some(at(90)),
        begun_at: Some(at(80)),
        attempts: 1,
        ..first.clone()
    };
    assert!(
        PayoutRows::of(records)
            .replace_payout(None, &first, &paying)
            .await
            .unwrap()
    );
    assert!(
        !PayoutRows::of(records)
            .replace_payout(None, &first, &paying)
            .await
            .unwrap(),
        "of two processes one goes on"
    );
    let paying = Payout {
        version: 2,
        ..paying
    };
    assert_eq!(
        PayoutRows::of(records)
            .payout_known(first.id)
            .await
            .unwrap(),
        paying
    );
    assert_eq!(
        PayoutRows::of(records)
            .payouts_waiting(at(89), 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        PayoutRows::of(records)
            .payouts_waiting(at(90), 10)
            .await
            .unwrap(),
        std::slice::from_ref(&paying)
    );

    let beside = async |one: &Payout| {
        let sums = PayoutRows::of(records)
            .payouts_beside(muster.root, muster.id, Currency::EUR, Some(one))
            .await
            .unwrap();
        [sums.gone, sums.due, sums.debited].map(|cents| cents.0)
    };
    assert_eq!(
        beside(&paying).await,
        [0, 0, 0],
        "what is due for a later period waits"
    );
    assert_eq!(
        beside(&second).await,
        [300, 0, 0],
        "nobody knows yet whether it is off the balance"
    );
    let failed = Payout {
        state: Failed,
        next_at: None,
        error: Some("refused".into()),
        ..paying.clone()
    };
    assert!(
        PayoutRows::of(records)
            .replace_payout(Some((&world.by(), "fail")), &paying, &failed)
            .await
            .unwrap()
    );
    let (failed, again) = (
        Payout {
            version: 3,
            ..failed.clone()
        },
        Payout {
            state: Paying,
            idempotency_epoch: 2,
            ..failed
        },
    );
    assert_eq!(counting().await, Cents(50));
    assert_eq!(
        refused(
            PayoutRows::of(records)
                .revive_payout(&world.by(), &failed, &again, Cents(349))
                .await
        ),
        "conflict state"
    );
    assert!(
        PayoutRows::of(records)
            .revive_payout(&world.by(), &failed, &again, Cents(350))
            .await
            .unwrap()
    );
    assert_eq!(counting().await, Cents(350));

    assert_eq!(
        (beside(&again).await, beside(&second).await),
        ([0, 0, 0], [300, 0, 300])
    );
    let canceled = Payout {
        state: Canceled,
        ..second.clone()
    };
    assert!(
        PayoutRows::of(records)
            .replace_payout(Some((&world.by(), "cancel")), &second, &canceled)
            .await
            .unwrap()
    );
    let list = async |top: &Tenant, state, before| {
        let page = PayoutRows::of(records)
            .payouts_below(top, state, Period::default(), before, 10)
            .await
            .unwrap();
        page.data
            .iter()
            .map(|payout| payout.id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&world.platform, None, None).await, [4, 3, 1]);
    assert_eq!(
        (
            list(&muster, None, Some(PayoutId(3))).await,
            list(&other, None, None).await
        ),
        (vec![1], vec![4])
    );
    assert_eq!(list(&muster, Some(Canceled), None).await, [3]);
    let walled = PayoutRows::of(&world.catalog.within(other.root))
        .payouts_below(&other, None, Period::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(walled.data.len(), 1);
    assert_eq!(
        PayoutRows::of(records)
            .payout_of_period(muster.root, muster.id, Currency::EUR, 12)
            .await
            .unwrap(),
        None
    );
    let log = records
        .audit_log(&muster, &AuditFilter::default(), None, 100)
        .await
        .unwrap();
    let of: Vec<&str> = log
        .data
        .iter()
        .rev()
        .filter(|entry| entry.resource == "payout")
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(of, ["create", "create", "fail", "retry", "cancel"]);
}

async fn a_file_is_stored_whole(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let other = world.reseller(20, "other", &world.platform).await;
    let records = &world.catalog;
    let mut taken = Vec::new();
    for one in [payout(1, &muster, 10, 300), payout(2, &other, 10, 50)] {
        PayoutRows::of(records)
            .create_payout(&world.by(), &one, Cents(0))
            .await
            .unwrap();
        taken.push((
            one.clone(),
            Payout {
                state: Paying,
                file: Some(PayoutFileId(5)),
                ..one
            },
        ));
    }
    let file = PayoutFile {
        id: PayoutFileId(5),
        root: world.platform.id,
        currency: Currency::EUR,
        execution_on: "2026-11-23".into(),
        debtor: settings(&muster).bank.unwrap(),
        payouts: 2,
        cents: Cents(350),
        created_at: at(9),
        xml: "<Document/>".into(),
    };
    let mut stale = taken.clone();
    stale[1].0.version = 7;
    assert_eq!(
        refused(
            PayoutRows::of(records)
                .create_payout_file(&world.by(), &file, &stale)
                .await
        ),
        "conflict payouts"
    );
    assert_eq!(
        (
            PayoutRows::of(records).payout_file(file.id).await.unwrap(),
            PayoutRows::of(records)
                .payouts_of_file(file.id)
                .await
                .unwrap()
        ),
        (None, vec![])
    );
    PayoutRows::of(records)
        .create_payout_file(&world.by(), &file, &taken)
        .await
        .unwrap();
    assert_eq!(
        PayoutRows::of(records)
            .payout_file(file.id)
            .await
            .unwrap()
            .as_ref(),
        Some(&file)
    );
    let of: Vec<i64> = PayoutRows::of(records)
        .payouts_of_file(file.id)
        .await
        .unwrap()
        .iter()
        .map(|payout| payout.id.0)
        .collect();
    assert_eq!(of, [1, 2]);
    let due = PayoutRows::of(records)
        .payouts_in_state(Due, PayoutMethod::Bank, Some(Currency::EUR), None, 10)
        .await
        .unwrap();
    let paying = PayoutRows::of(records)
        .payouts_in_state(Paying, PayoutMethod::Bank, None, Some(PayoutId(1)), 10)
        .await
        .unwrap();
    assert_eq!((due.data.len(), paying.data.len()), (0, 1));
}
