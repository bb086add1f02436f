//! Commission paid out through a provider: once, whatever is lost and whoever dies.

use crate::cashier::{Cashier, DAY, EUR, payouts_of, told};
use crate::payee::Fault;
use crate::world::{Backend, on_every_journal};
use journal::Seq;
use notices::rows::NoticeRows;
use payments::rows::{Payment, PaymentRows, Settlement};
use payouts::rows::{CommissionMonth, MoveKind, PayoutMethod, PayoutRows, Sum};
use payouts::{Payouts, default_settings};
use rating::Cents;
use serde_json::json;
use std::sync::Arc;

on_every_journal!(
    a_month_is_paid_out_once,
    what_is_lost_on_the_way_is_sent_once,
    what_is_refused_is_given_back_and_may_be_sent_again,
    whoever_dies_others_go_on,
    a_reversal_needs_funds_else_the_negative_is_carried_forward,
    many_runs_create_one_payout,
    one_that_fails_keeps_nobody_elses,
    what_was_spent_meanwhile_is_not_paid_out,
    a_dispute_below_freezes_payouts,
    an_account_is_opened_once_and_read_again,
    statements_add_up_month_by_month,
);

async fn a_month_is_paid_out_once(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.earn(1).await;
    let commission_account = "acme-42 3400, acme-43 5000, revenue of muster 1200";
    assert_eq!(
        cashier.run(true).await,
        ["muster 2026-11 would be 300, 0 carried"]
    );
    assert_eq!(cashier.all().await, []);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-11 created 300, 0 carried"]
    );
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-11 Exists, 0 carried"]
    );
    cashier
        .world
        .accounts(&format!(
            "{commission_account}, muster 400, external of muster -10000"
        ))
        .await;
    let due = cashier.one().await;
    assert_eq!(cashier.pay(&due).await, "Paid 300 #1");
    assert_eq!(cashier.pay(&due).await, "not_payable", "as it was before");
    assert_eq!(cashier.pay(&cashier.one().await).await, "payout_state");
    assert_eq!(cashier.payer.transfers(), ["300"]);
    cashier
        .world
        .accounts(&format!(
            "{commission_account}, muster 100, external of muster -9700"
        ))
        .await;
    // December's is held back until the middle of January, and below nothing else.
    cashier.world.pass(12 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-11 Exists, 0 carried"]
    );
    cashier.world.pass(14 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 100, 0 carried"]
    );
    let log = cashier
        .world
        .catalog
        .audit_log(
            &cashier.world.tenant("muster"),
            &catalog::AuditFilter::default(),
            None,
            100,
        )
        .await
        .unwrap();
    let of: Vec<&str> = log
        .data
        .iter()
        .rev()
        .filter(|entry| entry.resource == "payout")
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(of, ["create", "pay", "paid", "create"]);
}

async fn what_is_lost_on_the_way_is_sent_once(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.run(false).await;
    cashier
        .payer
        .fails([Fault::AnswerLost, Fault::NotSent, Fault::AnswerLost]);
    let lost = "Paying 300 #1 (the outcome is unknown: the connection broke)";
    assert_eq!(cashier.pay(&cashier.one().await).await, lost);
    // It is not canceled, nor marked as failed, nor paid again.
    let paying = cashier.one().await;
    assert_eq!(cashier.pay(&paying).await, "payout_state");
    assert_eq!(
        told(
            cashier
                .payouts
                .cancel(&cashier.world.actor(), &paying)
                .await
        ),
        "payout_state"
    );
    assert_eq!(
        told(
            cashier
                .payouts
                .mark_failed(&cashier.world.actor(), &paying, "x", cashier.world.now())
                .await
        ),
        "payout_state"
    );
    cashier.an_hour_passes().await;
    assert_eq!(
        (cashier.state().await.as_str(), cashier.payer.calls()),
        ("Paid 300 #1", 4)
    );
    assert_eq!(cashier.payer.transfers(), ["300"]);
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;

    // Unknown until the provider has forgotten the key: its moves tell.
    cashier.earn(2).await;
    cashier.world.pass(35 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 200, 0 carried"]
    );
    let due = cashier.all().await.pop().unwrap();
    cashier.payer.fails([Fault::AnswerLost]);
    assert!(cashier.pay(&due).await.starts_with("Paying 200"));
    cashier.world.pass(2 * DAY);
    cashier.payouts.work(cashier.world.now()).await.unwrap();
    assert_eq!(told(Ok(cashier.all().await.pop().unwrap())), "Paid 200 #1");
    assert_eq!(cashier.payer.transfers(), ["300", "200"]);

    // The same where nothing went out: somebody must say so, and then it is given back.
    cashier.earn(2).await;
    cashier.world.pass(35 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2027-01 created 200, 0 carried"]
    );
    cashier.payer.fails([Fault::RequestLost]);
    assert!(
        cashier
            .pay(&cashier.all().await.pop().unwrap())
            .await
            .starts_with("Paying 200")
    );
    cashier.world.pass(2 * DAY);
    cashier.payouts.work(cashier.world.now()).await.unwrap();
    let unclear = cashier.all().await.pop().unwrap();
    assert!(
        unclear
            .error
            .as_deref()
            .is_some_and(|error| error.contains("say paid or failed")),
        "{unclear:?}"
    );
    let failed = cashier
        .payouts
        .mark_failed(
            &cashier.world.actor(),
            &unclear,
            "never sent",
            cashier.world.now(),
        )
        .await;
    assert_eq!(told(failed), "Failed 200 #1 (never sent)");
    assert_eq!(
        cashier.pay(&cashier.all().await.pop().unwrap()).await,
        "Paid 200 #2"
    );
    assert_eq!(cashier.payer.transfers().len(), 3);
    cashier
        .world
        .accounts("acme-42 2200, acme-43 5000, revenue of muster 2100, external of muster -9300")
        .await;
}

async fn what_is_refused_is_given_back_and_may_be_sent_again(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.run(false).await;
    cashier.payer.fails([Fault::Refused, Fault::Refused]);
    let refused = "(refused (balance_insufficient): not enough)";
    assert_eq!(
        cashier.pay(&cashier.one().await).await,
        format!("Failed 300 #1 {refused}")
    );
    cashier
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, revenue of muster 900, muster 300, \
        external of muster -10000",
        )
        .await;
    assert_eq!(
        cashier.pay(&cashier.one().await).await,
        format!("Failed 300 #2 {refused}")
    );
    assert_eq!(cashier.pay(&cashier.one().await).await, "Paid 300 #3");
    let heard = NoticeRows::of(&cashier.world.catalog)
        .unsent_notices()
        .await
        .unwrap();
    let heard: Vec<_> = heard
        .iter()
        .map(|notice| (notice.kind.name(), notice.data["cents"].as_i64()))
        .collect();
    assert_eq!(
        heard,
        [
            ("payout.failed", Some(300)),
            ("payout.failed", Some(300)),
            ("payout.paid", Some(300))
        ]
    );
    assert_eq!(cashier.payer.transfers(), ["300"]);
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;

    // What failed and was paid with the next month is not paid again.
    cashier.earn(1).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 100, 0 carried"]
    );
    cashier.payer.fails([Fault::Refused]);
    let december = cashier.all().await.pop().unwrap();
    assert!(cashier.pay(&december).await.starts_with("Failed"));
    cashier.earn(1).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2027-01 created 200, 0 carried"]
    );
    let [_, december, january] = cashier.all().await.try_into().unwrap();
    let again = cashier
        .payouts
        .pay(&cashier.world.actor(), &december, cashier.world.now())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        again.contains("later payouts hold this commission"),
        "{again}"
    );
    assert_eq!(
        told(
            cashier
                .payouts
                .cancel(&cashier.world.actor(), &december)
                .await
        ),
        "Canceled 100 #1 (refused (balance_insufficient): not enough)"
    );
    assert_eq!(cashier.pay(&january).await, "Paid 200 #1");
    assert_eq!(cashier.payer.transfers(), ["300", "200"]);
    cashier
        .world
        .accounts("acme-42 3000, acme-43 5000, revenue of muster 1500, external of muster -9500")
        .await;
}

async fn whoever_dies_others_go_on(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.run(false).await;
    cashier.payer.fails([Fault::Hangs]);
    // The one that asked is gone while it waits for the answer.
    let due = cashier.one().await;
    tokio::select! {
        paid = cashier.pay(&due) => panic!("it heard the answer: {paid}"),
        () = cashier.payer.was_called(1) => {}
    }
    let others = payouts_of(&cashier.world, &cashier.payer);
    assert_eq!(
        others.work(cashier.world.now()).await.unwrap(),
        0,
        "it is still the turn of the one that died"
    );
    cashier.world.pass(200);
    assert_eq!(others.work(cashier.world.now()).await.unwrap(), 1);
    assert_eq!(
        (cashier.state().await.as_str(), cashier.payer.transfers()),
        ("Paid 300 #1", vec!["300".to_owned()])
    );
    // Likewise while it asks for the money back.
    cashier.payer.fails([Fault::Hangs]);
    let (paid, actor) = (cashier.one().await, cashier.world.actor());
    tokio::select! {
        _ = cashier.payouts.reverse(&actor, &paid, cashier.world.now()) => panic!("it heard the \
            answer"),
        () = cashier.payer.was_called(3) => {}
    }
    cashier.world.pass(200);
    assert_eq!(others.work(cashier.world.now()).await.unwrap(), 1);
    assert_eq!(
        (cashier.state().await.as_str(), cashier.payer.transfers()),
        ("Reversed 300 #2", vec!["300 reversed".to_owned()])
    );
    cashier
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, revenue of muster 900, muster 300, \
        external of muster -10000",
        )
        .await;
}

async fn a_reversal_needs_funds_else_the_negative_is_carried_forward(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.run(false).await;
    assert_eq!(cashier.pay(&cashier.one().await).await, "Paid 300 #1");
    let reverse = async || {
        told(
            cashier
                .payouts
                .reverse(
                    &cashier.world.actor(),
                    &cashier.one().await,
                    cashier.world.now(),
                )
                .await,
        )
    };
    cashier.payer.fails([Fault::AnswerLost]);
    assert!(reverse().await.starts_with("Reversing 300 #2"));
    cashier.an_hour_passes().await;
    assert_eq!(
        (cashier.state().await.as_str(), cashier.payer.transfers()),
        ("Reversed 300 #2", vec!["300 reversed".to_owned()])
    );
    assert_eq!(reverse().await, "payout_state");
    cashier
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, revenue of muster 900, muster 300, \
        external of muster -10000",
        )
        .await;

    // Paid with the next month; then nothing is left to take back, and a call of November is void.
    cashier.earn(1).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 400, 0 carried"]
    );
    let december = cashier.all().await.pop().unwrap();
    assert_eq!(cashier.pay(&december).await, "Paid 400 #1");
    cashier.payer.empty();
    let december = cashier.all().await.pop().unwrap();
    let refused = cashier
        .payouts
        .reverse(&cashier.world.actor(), &december, cashier.world.now())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("no funds") && refused.contains("set off against later commission"),
        "{refused}"
    );
    assert!(
        told(Ok(cashier.all().await.pop().unwrap()))
            .starts_with("Paid 400 #2 (refused (insufficient_funds)")
    );
    cashier
        .world
        .move_money(
            metering::requests::MoneyKind::Adjustment,
            "muster",
            -150,
            EUR,
            "chargeback",
        )
        .await
        .unwrap();
    cashier.earn(2).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2027-01 BelowMinimum, 200 carried"],
        "200 earned, 150 of it owed"
    );
    cashier.earn(2).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2027-02 created 250, 150 carried"]
    );
    cashier
        .world
        .accounts(
            "acme-42 1800, acme-43 5000, revenue of muster 2400, muster 250, \
        external of muster -9450",
        )
        .await;
}

async fn many_runs_create_one_payout(backend: Backend) {
    let cashier = Arc::new(Cashier::in_december(backend, PayoutMethod::Stripe).await);
    let mut runs = Vec::new();
    for _ in 0..16 {
        let (cashier, payouts) = (
            Arc::clone(&cashier),
            payouts_of(&cashier.world, &cashier.payer),
        );
        runs.push(tokio::spawn(async move {
            payouts
                .run_all(&cashier.world.actor(), cashier.world.now())
                .await
                .unwrap()
        }));
    }
    let mut created = 0;
    for run in runs {
        created += run.await.unwrap();
    }
    assert_eq!(
        (created, cashier.state().await.as_str()),
        (1, "Paid 300 #1")
    );
    assert_eq!(cashier.payer.transfers(), ["300"]);
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;
}

async fn what_was_spent_meanwhile_is_not_paid_out(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.run(false).await;
    cashier
        .world
        .move_money(
            metering::requests::MoneyKind::Adjustment,
            "muster",
            -1,
            EUR,
            "spent",
        )
        .await
        .unwrap();
    assert_eq!(cashier.pay(&cashier.one().await).await, "not_payable");
    assert_eq!(
        told(
            cashier
                .payouts
                .cancel(&cashier.world.actor(), &cashier.one().await)
                .await
        ),
        "Canceled 300 #1"
    );
    cashier.earn(1).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 399, 1 carried"]
    );
    // A top-up of its own is the reseller's to spend, and no commission.
    cashier.world.top_up("muster", 5000).await;
    cashier.world.pass(31 * DAY);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2027-01 BelowMinimum, 1 carried"]
    );
    assert_eq!(cashier.payer.calls(), 0);
}

async fn a_dispute_below_freezes_payouts(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    let (acme, actor) = (cashier.world.tenant("acme-42"), cashier.world.actor());
    let disputed = Payment {
        id: "pi_1".to_owned(),
        root: acme.root,
        tenant: acme.id,
        top_up: rating::ids::TopUpId(1),
        currency: EUR,
        status: "succeeded".to_owned(),
        is_own: true,
        idempotency_epoch: 0,
        balance: Cents::ZERO,
        disputed: Cents::ZERO,
        suspense: Cents::ZERO,
        expense: Cents::ZERO,
        received: Cents(1000),
        refunded: Cents::ZERO,
        withdrawn: Cents::ZERO,
        open_disputes: 1,
        contests: 0,
        foreign: None,
        fees: None,
        created_at: cashier.world.now(),
        updated_at: cashier.world.now(),
    };
    assert!(
        PaymentRows::of(&cashier.world.catalog)
            .create_payment(&disputed)
            .await
            .unwrap()
    );
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-11 Frozen, 0 carried"]
    );
    let over = Payment {
        open_disputes: 0,
        ..disputed.clone()
    };
    let settlement = Settlement {
        payment: (&disputed, &over),
        top_up: None,
        change: None,
        notices: Vec::new(),
    };
    assert!(
        PaymentRows::of(&cashier.world.catalog)
            .put_settlement(&actor, &settlement)
            .await
            .unwrap()
    );
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-11 created 300, 0 carried"]
    );
    let over = PaymentRows::of(&cashier.world.catalog)
        .payment("pi_1")
        .await
        .unwrap()
        .unwrap();
    let again = Payment {
        open_disputes: 1,
        ..over.clone()
    };
    let settlement = Settlement {
        payment: (&over, &again),
        top_up: None,
        change: None,
        notices: Vec::new(),
    };
    assert!(
        PaymentRows::of(&cashier.world.catalog)
            .put_settlement(&actor, &settlement)
            .await
            .unwrap()
    );
    assert_eq!(cashier.pay(&cashier.one().await).await, "payout_frozen");
    assert_eq!(
        (cashier.payer.calls(), cashier.state().await.as_str()),
        (0, "Due 300 #1")
    );
}

async fn an_account_is_opened_once_and_read_again(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier.payer.enable(false);
    let sub_agent = cashier.world.tenant("sub-agent");
    let fresh = || default_settings(&sub_agent, EUR, PayoutMethod::Stripe);
    let open = async |country: &str| {
        let url = "https://console.example/payouts";
        cashier
            .payouts
            .onboard(&cashier.world.actor(), fresh(), Some(country), url, url)
            .await
    };
    assert!(
        open("XX").await.is_err(),
        "a country that the provider does not take"
    );
    let opened = futures_util::future::join_all((0..8).map(|_| open("DE"))).await;
    let links: Vec<String> = opened
        .into_iter()
        .map(|opened| opened.unwrap().url)
        .collect();
    assert!(
        links
            .iter()
            .all(|link| *link == format!("https://connect.example/acct_{}", sub_agent.id)),
        "{links:?}"
    );
    assert_eq!(cashier.payer.payees(), 2, "muster's and this one");
    let settings = || async {
        PayoutRows::of(&cashier.world.catalog)
            .payout_settings(sub_agent.id)
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(
        (
            settings().await.transfers_enabled,
            settings().await.requirements
        ),
        (false, vec!["external_account".to_owned()])
    );
    cashier.payer.enable(true);
    assert_eq!(
        cashier
            .payouts
            .poll_payees(cashier.world.now())
            .await
            .unwrap(),
        2
    );
    assert!(settings().await.transfers_enabled);
    assert_eq!(
        cashier
            .payouts
            .poll_payees(cashier.world.now())
            .await
            .unwrap(),
        0,
        "only now and then"
    );
    assert_eq!(
        cashier
            .payouts
            .refresh_payee("acct_of_nobody", cashier.world.now())
            .await
            .unwrap(),
        None
    );
}

async fn statements_add_up_month_by_month(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Stripe).await;
    cashier
        .world
        .move_money(
            metering::requests::MoneyKind::Adjustment,
            "muster",
            25,
            EUR,
            "bonus",
        )
        .await
        .unwrap();
    cashier.earn(2).await;
    cashier.run(false).await;
    cashier.pay(&cashier.one().await).await;
    cashier.world.pass(40 * DAY);
    let commission_account = Payouts::commission_account(&cashier.world.tenant("muster"), EUR);
    let mut told = Vec::new();
    for month in ["2026-10", "2026-11", "2026-12", "2027-01"] {
        let view = cashier
            .payouts
            .month(
                commission_account,
                month.parse().unwrap(),
                cashier.world.now(),
            )
            .await
            .unwrap();
        let sums: Vec<String> = view
            .sums
            .iter()
            .map(|(kind, sum)| format!("{kind:?} {}", sum.cents))
            .collect();
        let (mut after, mut records) = (None, 0);
        loop {
            let (page, has_more) = cashier
                .payouts
                .records_of(commission_account, &view, after, 1)
                .await
                .unwrap();
            (after, records) = (page.last().map(|record| record.seq), records + page.len());
            if !has_more {
                break;
            }
        }
        let closed = if view.is_closed { " closed" } else { "" };
        told.push(format!(
            "{month}: {} {} = {}, {records} records{closed}",
            view.opening,
            sums.join(" "),
            view.closing
        ));
    }
    assert_eq!(
        told,
        [
            "2026-10: 0  = 0, 0 records closed",
            "2026-11: 0 ChargesReceived 1200 ChargesPaid -900 = 300, 3 records closed",
            "2026-12: 300 ChargesReceived 800 ChargesPaid -600 Adjustment 25 Payout -300 = 225, 4 \
                records closed",
            "2027-01: 225  = 225, 0 records",
        ]
    );
}

/// Whatever is wrong with one reseller's sums, the others are paid.
async fn one_that_fails_keeps_nobody_elses(backend: Backend) {
    let cashier = Cashier::in_december(backend, PayoutMethod::Bank).await;
    cashier
        .world
        .reseller("far", "platform", json!({ "commission_bp": 2500 }))
        .await;
    cashier.settle_with("far", PayoutMethod::Bank).await;
    let far = cashier.world.tenant("far");
    let much = Sum {
        cents: Cents(i64::MAX),
        entries: 1,
    };
    let month = CommissionMonth {
        root: far.root,
        tenant: far.id,
        currency: EUR,
        month: 2026 * 12 + 10,
        after: Seq(0),
        through: Seq(1),
        opening: Cents::ZERO,
        accrued: Cents(i64::MAX),
        sums: [(MoveKind::ChargesReceived, much)].into(),
        closed_at: None,
    };
    assert!(
        PayoutRows::of(&cashier.world.catalog)
            .add_commission(None, &[month], None)
            .await
            .unwrap()
    );
    let run = cashier.run(false).await;
    assert_eq!(
        run,
        [
            "muster 2026-11 created 300, 0 carried",
            "far 2026-11 failed: a sum of cents is too large, 0 carried"
        ]
    );
}
