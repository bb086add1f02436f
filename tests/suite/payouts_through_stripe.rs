//! The same through Stripe's adapter, over HTTP, against a stand-in for Stripe.

use crate::cashier::{DAY, EUR, payouts_by, told};
use crate::world::{Backend, World, on_every_journal};
use catalog::Period;
use payments::service::{PaymentService, Settings, Sources};
use payouts::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings};
use payouts::{Payouts, default_settings};
use provider::stripe::{Stripe, StripeSettings};
use provider::{Hook, Provider};
use rating::Cents;
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use test_stripe::{Delivery, FakeStripe, Fault, Order};

on_every_journal!(
    commission_reaches_a_connected_account_once,
    a_transfer_taken_back_at_stripe_is_unpaid_again
);

struct PaymentWorld {
    world: World,
    fake: FakeStripe,
    payouts: Payouts,
    stripe: Arc<Stripe>,
    service: PaymentService,
}

impl PaymentWorld {
    async fn new(backend: Backend) -> Self {
        let world = World::reference(backend).await;
        let fake = FakeStripe::start(world.now().micros() / 1_000_000)
            .await
            .unwrap();
        let mut settings = StripeSettings::new("sk_test_1".parse().unwrap());
        settings.api_url = fake.url();
        settings.timeout = Duration::from_secs(2);
        // Each fault is one that this process hears of.
        settings.attempts_max = 1;
        settings.requests_per_sec = NonZeroU32::new(10_000);
        settings.webhook_secrets = vec!["whsec_1".parse().unwrap()];
        let stripe = Arc::new(Stripe::new(&settings).unwrap());
        let payouts = payouts_by(&world, Arc::<Stripe>::clone(&stripe));
        let (engine, ids) = (world.engine.clone(), AtomicI64::new(1_000_000));
        let sources = Sources {
            now: Arc::new(move || engine.now()),
            id: Arc::new(move || ids.fetch_add(1, Ordering::SeqCst)),
            token: Arc::new(|| Ok([7; 16])),
        };
        let (provider, settings): (Arc<dyn Provider>, _) = (
            Arc::<Stripe>::clone(&stripe),
            Settings {
                public_url: None,
                terms: vec![],
            },
        );
        let (records, engine) = (world.catalog.clone(), world.engine.clone());
        let service = PaymentService::new(
            records,
            engine,
            Some(provider),
            settings,
            sources,
            world.platform.id,
            Some(payouts.clone()),
        );
        Self {
            world,
            fake,
            payouts,
            stripe,
            service,
        }
    }

    /// Everything that was told is delivered, twice, and worked off.
    async fn hear_all(&self) {
        for message in self.fake.messages(&Delivery {
            copies: 2,
            order: Order::Backwards,
            ..Delivery::signed(&["whsec_1"])
        }) {
            let event = self
                .stripe
                .receive(
                    Hook::Own,
                    Some(&message.signature),
                    message.body.as_bytes(),
                    self.world.now(),
                )
                .unwrap();
            self.service
                .hear(&event, message.body.as_bytes())
                .await
                .unwrap();
        }
        while !self.service.round().await.unwrap().is_idle() {}
    }

    /// Differences as (provider, posted), and whether all is well.
    async fn reconciled(&self) -> Vec<(i64, i64)> {
        let found = self
            .service
            .reconcile(rating::Instant(0), rating::Instant::MAX)
            .await
            .unwrap();
        found
            .listed
            .iter()
            .map(|one| (one.provider.0, one.posted.0))
            .collect()
    }

    fn pass(&self, secs: i64) {
        self.world.pass(secs);
        self.fake.set_now(self.world.now().micros() / 1_000_000);
    }

    async fn last(&self) -> Payout {
        PayoutRows::of(&self.world.catalog)
            .payouts_below(&self.world.platform, None, Period::default(), None, 1)
            .await
            .unwrap()
            .data
            .remove(0)
    }

    /// 3.00 of commission, and a month to wait.
    async fn a_month_goes_by(&self) {
        for _ in 0..3 {
            assert!(
                self.world
                    .call("acme-42", "600")
                    .text()
                    .await
                    .starts_with("rated 400")
            );
        }
        self.pass(40 * DAY);
        assert_eq!(
            self.payouts
                .run(&self.world.actor(), None, 10, false, self.world.now())
                .await
                .unwrap()
                .0
                .len(),
            1
        );
    }

    async fn pay(&self) -> String {
        told(
            self.payouts
                .pay(&self.world.actor(), &self.last().await, self.world.now())
                .await,
        )
    }

    async fn reverse(&self) -> String {
        told(
            self.payouts
                .reverse(&self.world.actor(), &self.last().await, self.world.now())
                .await,
        )
    }

    async fn works(&self, secs: i64) -> String {
        self.pass(secs);
        self.payouts.work(self.world.now()).await.unwrap();
        told(Ok(self.last().await))
    }
}

async fn commission_reaches_a_connected_account_once(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let fresh = PayoutSettings {
        minimum: Cents(100),
        ..default_settings(&world.world.tenant("muster"), EUR, PayoutMethod::Stripe)
    };
    world.fake.foreign_payment(100_000, "eur");
    let url = "https://console.example/payouts";
    world.fake.fault("/accounts", Fault::Lost, 1);
    let open = async || {
        world
            .payouts
            .onboard(&world.world.actor(), fresh.clone(), Some("DE"), url, url)
            .await
    };
    assert!(open().await.is_err(), "the answer is lost");
    let opened = open().await.unwrap();
    assert!(opened.url.starts_with("https://connect.stripe.com/"));
    assert_eq!(world.fake.all("account").len(), 1);
    world.a_month_goes_by().await;
    assert_eq!(world.pay().await, "payee_not_ready");
    world.fake.account(
        opened.settings.payee.as_deref().unwrap(),
        json!({ "capabilities": { "transfers": "active" }, "payouts_enabled": true }),
    );

    // Lost: the same key again. Unreadable, and forgotten by the time it is asked again: its
    // transfers tell.
    world.fake.fault("/transfers", Fault::Lost, 1);
    assert!(world.pay().await.starts_with("Paying 300 #1"));
    assert_eq!(world.works(300).await, "Paid 300 #1");
    world.fake.fault("/transfers", Fault::Status(400), 1);
    let refused = world.reverse().await;
    assert_eq!(refused, "reversal_refused");
    world.fake.fault("/transfers", Fault::Lost, 1);
    assert!(world.reverse().await.starts_with("Reversing 300 #3"));
    assert_eq!(world.works(300).await, "Reversed 300 #3");

    world.a_month_goes_by().await;
    world.fake.fault("/transfers", Fault::Garbage, 1);
    assert!(world.pay().await.starts_with("Paying 600 #1"));
    assert_eq!(world.works(2 * DAY).await, "Paid 600 #1");
    let sent: Vec<i64> = world
        .fake
        .all("transfer")
        .iter()
        .map(|transfer| transfer["amount"].as_i64().unwrap())
        .collect();
    assert_eq!(sent, [600, 300]);
    world
        .world
        .accounts("acme-42 2600, acme-43 5000, revenue of muster 1800, external of muster -9400")
        .await;
}

async fn a_transfer_taken_back_at_stripe_is_unpaid_again(backend: Backend) {
    let world = PaymentWorld::new(backend).await;
    let fresh = PayoutSettings {
        minimum: Cents(100),
        ..default_settings(&world.world.tenant("muster"), EUR, PayoutMethod::Stripe)
    };
    let url = "https://console.example/payouts";
    let opened = world
        .payouts
        .onboard(&world.world.actor(), fresh, Some("DE"), url, url)
        .await
        .unwrap();
    world.fake.account(
        opened.settings.payee.as_deref().unwrap(),
        json!({ "capabilities": { "transfers": "active" }, "payouts_enabled": true }),
    );
    world.fake.foreign_payment(100_000, "eur");
    world.a_month_goes_by().await;
    assert!(world.pay().await.starts_with("Paid 300 #1"));
    world.hear_all().await;
    assert_eq!(world.reconciled().await, []);
    // A part of it: shown, because the payout is neither paid nor unpaid.
    let transfer = world.last().await.transfer.unwrap();
    world.fake.reverse_there(&transfer, Some(100)).unwrap();
    world.hear_all().await;
    assert!(told(Ok(world.last().await)).starts_with("Paid 300"));
    assert_eq!(world.reconciled().await, [(-200, -300)]);
    // All of it, on Stripe's own pages.
    world.fake.reverse_there(&transfer, None).unwrap();
    world.hear_all().await;
    assert_eq!(told(Ok(world.last().await)), "Reversed 300 #2");
    assert_eq!(world.reconciled().await, []);
    world
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, muster 300, revenue of muster 900, external \
        of muster -10000",
        )
        .await;
    // It is commission again, paid with the next period.
    world.a_month_goes_by().await;
    assert!(world.pay().await.starts_with("Paid 600"));
    world.hear_all().await;
    assert_eq!(world.reconciled().await, []);
    // One that we never asked for.
    world.fake.transfer_there(50, "eur").unwrap();
    assert_eq!(world.reconciled().await, [(-50, 0)]);
}
