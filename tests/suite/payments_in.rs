//! Money in through a provider: whatever order, number and loss of messages, every cent lands once.

use crate::provider_double::{Double, Fault};
use crate::world::{Backend, World, on_every_journal};
use catalog::Period;
use notices::rows::NoticeRows;
use payments::refund::NewRefund;
use payments::rows::{PaymentRows, RefundState, TopUp};
use payments::service::{NewCheckout, PaymentService, Settings, Sources, TopUpTerms};
use problem::Problem;
use provider::DisputeStatus;
use rating::ids::TopUpId;
use rating::{Cents, Currency};
use std::sync::Arc;

on_every_journal!(
    a_page_is_paid_by_card_and_credited_once,
    a_direct_debit_counts_when_it_is_there,
    what_runs_out_or_fails_moves_nothing,
    one_request_is_one_page_whatever_is_lost,
    fifty_messages_at_once_credit_once,
    refunds_in_any_order_come_to_the_same,
    our_own_refund_is_debited_first,
    disputes_to_the_end,
    what_does_not_fit_is_nobodys,
    the_next_process_goes_on_where_one_died,
    messages_in_any_order_twice_or_lost_give_the_same_books,
);

const EUR: Currency = Currency::EUR;

/// A service over a provider in memory, in a world whose customer acme-42 has 50.00.
struct PaymentWorld {
    world: World,
    double: Double,
    service: PaymentService,
}

impl PaymentWorld {
    async fn new(backend: Backend) -> Self {
        let world = World::reference(backend).await;
        let double = Double::default();
        let service = service_of(&world, &double);
        Self {
            world,
            double,
            service,
        }
    }

    async fn ask(&self, key: &str, cents: i64) -> Result<TopUp, Problem> {
        let tenant = self.world.tenant("acme-42");
        let new = NewCheckout {
            tenant: &tenant,
            cents: Cents(cents),
            currency: EUR,
            locale: Some("de".to_owned()),
            success_url: None,
            cancel_url: None,
            save_method: false,
            request_key: key.to_owned(),
        };
        self.service.checkout(&self.world.actor(), new).await
    }

    /// Asked for and paid by card; the payment's id. Nothing was heard of it yet.
    async fn paid(&self, cents: i64) -> (TopUpId, String) {
        let top_up = self
            .ask(&format!("key-{}", self.world.next_id()), cents)
            .await
            .unwrap();
        (
            top_up.id,
            self.double.pay(top_up.session.as_deref().unwrap(), true),
        )
    }

    /// Everything that was told is delivered and worked off.
    async fn hear_all(&self) {
        for event in self.double.events() {
            self.service.hear(&event, b"{}").await.unwrap();
        }
        self.work().await;
        // What was in the way of each other in the database comes again a little later.
        for _ in 0..5 {
            if PaymentRows::of(&self.world.catalog)
                .inbox_look(rating::Instant(0))
                .await
                .unwrap()
                .waiting
                == 0
            {
                return;
            }
            self.world.pass(20);
            self.work().await;
        }
    }

    async fn work(&self) {
        while !self.service.round().await.unwrap().is_idle() {}
    }

    async fn state(&self, id: TopUpId) -> String {
        let top_up = PaymentRows::of(&self.world.catalog)
            .top_up(id)
            .await
            .unwrap()
            .unwrap();
        let failure = top_up
            .failure
            .map(|why| format!(" {why}"))
            .unwrap_or_default();
        format!("{:?}{failure}", top_up.state)
    }

    /// Balances, and that the provider holds what the books say it holds.
    async fn books(&self, want: &str) {
        self.world.accounts(want).await;
        let audited = self.world.audit().await;
        let outside: i64 = audited
            .accounts
            .iter()
            .filter(|(key, _)| key.kind == ledger::AccountKind::External)
            .map(|(_, balance)| -balance.posted.0)
            .sum();
        // 100.00 were paid in by hand.
        assert_eq!(
            outside - 10_000,
            self.double.balance(),
            "what the provider holds for us"
        );
        let found = self
            .service
            .reconcile(rating::Instant(0), rating::Instant::MAX)
            .await
            .unwrap();
        assert_eq!((found.differences, found.foreign), (0, 0), "{found:?}");
    }
}

fn service_of(world: &World, double: &Double) -> PaymentService {
    let (engine, counter) = (
        world.engine.clone(),
        Arc::new(std::sync::atomic::AtomicI64::new(
            world.next_id() * 1_000_000,
        )),
    );
    let sources = Sources {
        now: Arc::new(move || engine.now()),
        id: Arc::new(move || counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst)),
        token: Arc::new(|| Ok([7; 16])),
    };
    let terms = vec![TopUpTerms {
        currency: EUR,
        min: Cents(1000),
        max: Cents(100_000),
        presets: vec![],
    }];
    let settings = Settings {
        public_url: Some("https://billing.example".to_owned()),
        terms,
    };
    let provider: Arc<dyn provider::Provider> = Arc::new(double.clone());
    PaymentService::new(
        world.catalog.clone(),
        world.engine.clone(),
        Some(provider),
        settings,
        sources,
        world.platform.id,
        None,
    )
}

async fn a_page_is_paid_by_card_and_credited_once(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (top_up, _) = world.paid(2500).await;
    assert_eq!(world.state(top_up).await, "Pending");
    world.hear_all().await;
    world.hear_all().await;
    assert_eq!(world.state(top_up).await, "Succeeded");
    world
        .books("acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450")
        .await;
    let heard = NoticeRows::of(&world.world.catalog)
        .unsent_notices()
        .await
        .unwrap();
    assert_eq!(
        heard
            .iter()
            .map(|notice| notice.kind.name())
            .collect::<Vec<_>>(),
        ["top_up.succeeded"],
        "told once"
    );
    for (cents, code) in [
        (999, "amount_out_of_range"),
        (100_001, "amount_out_of_range"),
    ] {
        assert_eq!(
            world.ask("other", cents).await.unwrap_err().code.as_str(),
            code
        );
    }
}

async fn a_direct_debit_counts_when_it_is_there(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    for (well, state, books) in [
        (
            true,
            "Succeeded",
            "acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450",
        ),
        (
            false,
            "Failed insufficient_funds",
            "acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450",
        ),
    ] {
        let top_up = world.ask(&format!("sepa-{well}"), 2500).await.unwrap();
        let session = top_up.session.unwrap();
        world.double.pay(&session, false);
        world.hear_all().await;
        assert_eq!(
            world.state(top_up.id).await,
            "Processing",
            "completed is not paid"
        );
        world.double.settle(&session, well);
        world.hear_all().await;
        assert_eq!(world.state(top_up.id).await, state);
        world.books(books).await;
    }
}

async fn what_runs_out_or_fails_moves_nothing(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let top_up = world.ask("a", 2500).await.unwrap();
    world.double.expire(top_up.session.as_deref().unwrap());
    world.hear_all().await;
    assert_eq!(world.state(top_up.id).await, "Expired");
    world.double.faults(&[Fault::Refused]);
    assert_eq!(
        world.ask("b", 2500).await.unwrap_err().code.as_str(),
        "provider_refused"
    );
    assert_eq!(
        world.ask("b", 2500).await.unwrap().state,
        payments::rows::TopUpState::Failed,
        "the same request, the same answer"
    );
    world
        .books("acme-42 5000, acme-43 5000, external of muster -10000")
        .await;
}

async fn one_request_is_one_page_whatever_is_lost(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    world.double.faults(&[Fault::Down, Fault::Lost]);
    for _ in 0..2 {
        assert_eq!(
            world.ask("a", 2500).await.unwrap_err().code.as_str(),
            "provider_unavailable"
        );
    }
    let page = world.ask("a", 2500).await.unwrap();
    assert_eq!(world.ask("a", 2500).await.unwrap().url, page.url);
    assert_eq!(
        world.ask("a", 2600).await.unwrap_err().code.as_str(),
        "idempotency_conflict"
    );
    assert_eq!(world.double.sessions(), 1);
    // The caller never comes back: the page is asked for by the worker, with the same key.
    world.double.faults(&[Fault::Lost]);
    world.ask("b", 2500).await.unwrap_err();
    world.world.pass(20);
    world.work().await;
    assert!(world.ask("b", 2500).await.unwrap().url.is_some());
    assert_eq!(world.double.sessions(), 2);
    // Paid before we ever heard which page it is.
    world.double.faults(&[Fault::Lost]);
    world.ask("c", 2500).await.unwrap_err();
    world.double.pay("cs_0003", true);
    world.hear_all().await;
    world
        .books("acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450")
        .await;
    // Twenty at once.
    let asked = futures_util::future::join_all((0..20).map(|_| world.ask("d", 2500))).await;
    assert!(
        asked
            .into_iter()
            .all(|page| page.is_ok_and(|page| page.cents == Cents(2500)))
    );
    assert_eq!(world.double.sessions(), 4);
}

async fn fifty_messages_at_once_credit_once(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (top_up, payment) = world.paid(2500).await;
    let row = PaymentRows::of(&world.world.catalog)
        .top_up(top_up)
        .await
        .unwrap()
        .unwrap();
    let events = world.double.events();
    // Messages, the payer's page, and two workers of two processes that share the records.
    let other = service_of(&world.world, &world.double);
    let settled = (0..25).map(|turn| {
        let (service, event, payment) = (
            if turn % 2 == 0 {
                &world.service
            } else {
                &other
            },
            &events[turn % events.len()],
            &payment,
        );
        async move {
            service.hear(event, b"{}").await.unwrap();
            service.settle(payment, None).await.map(drop)
        }
    });
    let pages = (0..25).map(|_| world.service.look_at_page(&row));
    let (settled, pages, _, _) = tokio::join!(
        futures_util::future::join_all(settled),
        futures_util::future::join_all(pages),
        world.service.round(),
        other.round(),
    );
    assert!(
        settled
            .into_iter()
            .chain(pages)
            .filter(|done| done.is_ok())
            .count()
            > 0
    );
    world.hear_all().await;
    world
        .books("acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450")
        .await;
}

async fn refunds_in_any_order_come_to_the_same(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (_, payment) = world.paid(2500).await;
    let first = world.double.refund_there(&payment, 1000);
    // All is heard of a payment that was partly given back before we heard of it at all.
    world.hear_all().await;
    world
        .books("acme-42 6500, acme-43 5000, expense of muster -50, external of muster -11450")
        .await;
    world.double.refund_there(&payment, 1500);
    world.hear_all().await;
    world
        .books("acme-42 5000, acme-43 5000, expense of muster -50, external of muster -9950")
        .await;
    // 30 days later one of them fails.
    world.double.fail_refund(&payment, &first);
    world.hear_all().await;
    world
        .books("acme-42 6000, acme-43 5000, expense of muster -50, external of muster -10950")
        .await;
}

async fn our_own_refund_is_debited_first(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (top_up, _) = world.paid(2500).await;
    world.hear_all().await;
    let row = PaymentRows::of(&world.world.catalog)
        .top_up(top_up)
        .await
        .unwrap()
        .unwrap();
    let refund = |key: &str, cents| {
        let new = NewRefund {
            top_up: &row,
            payment: None,
            cents: Some(Cents(cents)),
            reason: "goodwill".to_owned(),
            request_key: key.to_owned(),
        };
        let actor = world.world.actor();
        let service = &world.service;
        async move { service.refund(&actor, new).await }
    };
    // The answer is lost: debited, and sent again with the same key.
    world.double.faults(&[Fault::Lost]);
    assert_eq!(
        refund("a", 1000).await.unwrap_err().code.as_str(),
        "provider_unavailable"
    );
    world
        .books("acme-42 6500, acme-43 5000, expense of muster -50, external of muster -11450")
        .await;
    world.world.pass(60);
    world.work().await;
    assert_eq!(
        refund("a", 1000).await.unwrap().state,
        RefundState::Succeeded
    );
    world.hear_all().await;
    world
        .books("acme-42 6500, acme-43 5000, expense of muster -50, external of muster -11450")
        .await;
    // Refused for good: the debit is given back.
    world.double.faults(&[Fault::Refused]);
    assert_eq!(
        refund("b", 500).await.unwrap_err().code.as_str(),
        "provider_refused"
    );
    world
        .books("acme-42 6500, acme-43 5000, expense of muster -50, external of muster -11450")
        .await;
    // What is left of the payment, and what is left of the balance.
    assert_eq!(
        refund("c", 1501).await.unwrap_err().code.as_str(),
        "amount_out_of_range"
    );
    world
        .world
        .move_money(
            metering::requests::MoneyKind::Adjustment,
            "acme-42",
            -6000,
            EUR,
            "spent",
        )
        .await
        .unwrap();
    assert_eq!(
        refund("d", 1500).await.unwrap_err().code.as_str(),
        "insufficient_balance"
    );
    assert_eq!(
        refund("e", 500).await.unwrap().state,
        RefundState::Succeeded
    );
    assert_eq!(
        world
            .world
            .audit()
            .await
            .records
            .iter()
            .filter(|record| record.kind == journal::Kind::Refund)
            .count(),
        4,
        "a, b there and back, e"
    );
}

async fn disputes_to_the_end(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (_, payment) = world.paid(2500).await;
    world.hear_all().await;
    let paid = "acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450";
    world.double.dispute(&payment, 2500, DisputeStatus::Inquiry);
    world.hear_all().await;
    world.books(paid).await;
    let dispute = world.double.dispute(&payment, 2500, DisputeStatus::Open);
    world.hear_all().await;
    world
        .books(
            "acme-42 5000, disputed of acme-42 2500, acme-43 5000, expense of muster -50, \
        external of muster -12450",
        )
        .await;
    assert_eq!(
        payouts::rows::PayoutRows::of(&world.world.catalog)
            .open_disputes_below(&world.world.tenant("muster"))
            .await
            .unwrap(),
        1
    );
    world.double.withdraw(&payment, &dispute);
    world.hear_all().await;
    world
        .books("acme-42 5000, acme-43 5000, expense of muster -2050, external of muster -7950")
        .await;
    world.double.close(&payment, &dispute, true);
    world.hear_all().await;
    world
        .books("acme-42 7500, acme-43 5000, expense of muster -2050, external of muster -10450")
        .await;
    assert_eq!(
        payouts::rows::PayoutRows::of(&world.world.catalog)
            .open_disputes_below(&world.world.tenant("muster"))
            .await
            .unwrap(),
        0
    );
    // Given back, and then disputed all the same: the payer is debited once, the rest is the
    // platform's loss.
    world.double.refund_there(&payment, 2000);
    let again = world.double.dispute(&payment, 2500, DisputeStatus::Open);
    world.double.withdraw(&payment, &again);
    world.double.close(&payment, &again, false);
    world.hear_all().await;
    world
        .books("acme-42 5000, acme-43 5000, expense of muster -6050, external of muster -3950")
        .await;
}

async fn what_does_not_fit_is_nobodys(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let (top_up, _) = world.paid(2500).await;
    world.hear_all().await;
    let paid_twice = world.double.stray(&top_up.to_string(), 2500);
    let unknown = world.double.stray("top_0000000000001", 2500);
    world.hear_all().await;
    let row = PaymentRows::of(&world.world.catalog)
        .payment(&paid_twice)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !row.is_own
            && PaymentRows::of(&world.world.catalog)
                .payment(&unknown)
                .await
                .unwrap()
                .is_none()
    );
    world
        .world
        .accounts(
            "acme-42 7500, acme-43 5000, suspense of muster 2500, expense of muster \
        -100, external of muster -14900",
        )
        .await;
    let suspense = PaymentRows::of(&world.world.catalog)
        .payments_in_suspense(Period::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(
        suspense
            .data
            .iter()
            .map(|payment| payment.id.as_str())
            .collect::<Vec<_>>(),
        [paid_twice.as_str()]
    );
    // Given back at the provider: nothing is nobody's any more.
    world.double.refund_there(&paid_twice, 2500);
    world.hear_all().await;
    world
        .world
        .accounts("acme-42 7500, acme-43 5000, expense of muster -100, external of muster -12400")
        .await;
}

async fn the_next_process_goes_on_where_one_died(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    // Between the message and the post: kept, and worked off by the next.
    let (first, _) = world.paid(2500).await;
    for event in world.double.events() {
        world.service.hear(&event, b"{}").await.unwrap();
    }
    let next = service_of(&world.world, &world.double);
    while !next.round().await.unwrap().is_idle() {}
    assert_eq!(world.state(first).await, "Succeeded");
    world
        .books("acme-42 7500, acme-43 5000, expense of muster -50, external of muster -12450")
        .await;
    // Between the post and the row, and it had seen less than there is by now.
    let (second, payment) = world.paid(2500).await;
    let acme = world.world.tenant("acme-42");
    let (external, balance) = (
        ledger::AccountKey::external(acme.root, EUR),
        ledger::AccountKey::balance(acme.id, EUR),
    );
    let step = metering::requests::PostPayment {
        source: "stripe".into(),
        key: format!("{payment}:0"),
        root: acme.root,
        tenant: acme.id,
        currency: EUR,
        kind: journal::Kind::TopUp,
        postings: vec![ledger::Posting {
            from: external,
            to: balance,
            cents: Cents(2500),
        }],
        limits: Vec::new(),
        reason: "payment received".to_owned(),
    };
    world.world.engine.post_payment(step).await.unwrap();
    world.double.refund_there(&payment, 1000);
    world.hear_all().await;
    assert_eq!(world.state(second).await, "Succeeded");
    world
        .books("acme-42 9000, acme-43 5000, expense of muster -100, external of muster -13900")
        .await;
}

fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed * 2 + 1;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// What happens to three payments, and when which of it is told, or never.
async fn history(world: &PaymentWorld, seed: u64, disturbed: bool) -> String {
    // What happens is the same whatever is told of it.
    let (mut happens, mut told) = (numbers(seed), numbers(seed + 1000));
    let mut below = |n: u64| happens() % n;
    let mut told = |n: u64| told() % n;
    let (mut payments, mut top_ups) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (top_up, payment) = world.paid(2500).await;
        top_ups.push(top_up);
        payments.push(payment);
    }
    for _ in 0..10 {
        let payment = &payments[usize::try_from(below(3)).unwrap()];
        match below(7) {
            0 => drop(
                world
                    .double
                    .refund_there(payment, 100 + i64::try_from(below(300)).unwrap()),
            ),
            1 => {
                let refund = world.double.refund_there(payment, 200);
                if below(2) == 0 {
                    world.double.fail_refund(payment, &refund);
                }
            }
            // The provider takes something for refunds, or for no more of them.
            5 => world
                .double
                .refund_fee(i64::try_from(below(2) * 35).unwrap()),
            6 => match below(2) {
                0 => world.double.report_fraud(payment),
                _ => drop(world.double.stray_abroad(
                    &top_ups[usize::try_from(below(3)).unwrap()].to_string(),
                    2500,
                )),
            },
            2 => drop(world.double.dispute(
                payment,
                300,
                if below(2) == 0 {
                    DisputeStatus::Inquiry
                } else {
                    DisputeStatus::Open
                },
            )),
            _ => {
                let dispute = world.double.dispute(payment, 400, DisputeStatus::Open);
                world.double.withdraw(payment, &dispute);
                if below(2) == 0 {
                    world.double.close(payment, &dispute, below(2) == 0);
                }
            }
        }
        if disturbed {
            let events = world.double.events();
            for _ in 0..told(6) {
                let event = &events[usize::try_from(told(events.len() as u64)).unwrap()];
                world.service.hear(event, b"{}").await.unwrap();
            }
            if told(3) == 0 {
                world.work().await;
            }
        } else {
            world.hear_all().await;
        }
    }
    // Whatever was never told is found.
    world.service.poll(rating::Instant(0)).await.unwrap();
    world.work().await;
    let found = world
        .service
        .reconcile(rating::Instant(0), rating::Instant::MAX)
        .await
        .unwrap();
    assert_eq!(
        (found.differences, found.foreign),
        (0, 0),
        "seed {seed}: {found:?}"
    );
    let audited = world.world.audit().await;
    audited
        .accounts
        .iter()
        .map(|(key, balance)| format!("{key} {}\n", balance.posted))
        .collect()
}

async fn messages_in_any_order_twice_or_lost_give_the_same_books(backend: Backend) {
    for seed in 0..4 {
        let (calm, wild) = (
            PaymentWorld::new(backend).await,
            PaymentWorld::new(backend).await,
        );
        assert_eq!(
            history(&calm, seed, false).await,
            history(&wild, seed, true).await,
            "seed {seed}"
        );
        let (calm, wild) = (calm.double.balance(), wild.double.balance());
        assert_eq!(calm, wild, "the same happened");
    }
}
