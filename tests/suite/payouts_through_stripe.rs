//! The same through Stripe's adapter, over HTTP, against a stand-in for Stripe.

use crate::cashier::{DAY, EUR, payouts_by, told};
use crate::world::{Backend, World, on_every_journal};
use payments::payouts::{Payouts, default_settings};
use payments::stripe::{Stripe, StripeSettings};
use rating::Cents;
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use store::records::{Payout, PayoutMethod, PayoutSettings};
use test_stripe::{FakeStripe, Fault};

on_every_journal!(commission_reaches_a_connected_account_once);

struct Till {
    world: World,
    fake: FakeStripe,
    payouts: Payouts,
}

impl Till {
    async fn new(backend: Backend) -> Self {
        let world = World::reference(backend).await;
        let fake = FakeStripe::start(world.now().micros() / 1_000_000).await.unwrap();
        let mut settings = StripeSettings::new("sk_test_1".parse().unwrap());
        settings.api_url = fake.url();
        settings.timeout = Duration::from_secs(2);
        // Each fault is one that this process hears of.
        settings.attempts_max = 1;
        settings.requests_per_sec = NonZeroU32::new(10_000);
        let payouts = payouts_by(&world, Arc::new(Stripe::new(&settings).unwrap()));
        Self { world, fake, payouts }
    }

    fn pass(&self, secs: i64) {
        self.world.pass(secs);
        self.fake.set_now(self.world.now().micros() / 1_000_000);
    }

    async fn last(&self) -> Payout {
        self.world.records.payouts_below(&self.world.platform, None, None, 1).await.unwrap().data.remove(0)
    }

    /// 3.00 of commission, and a month to wait.
    async fn a_month_goes_by(&self) {
        for _ in 0..3 {
            assert!(self.world.call("acme-42", "600").text().await.starts_with("rated 400"));
        }
        self.pass(40 * DAY);
        assert_eq!(self.payouts.run(&self.world.actor(), None, 10, false, self.world.now()).await.unwrap().0.len(), 1);
    }

    async fn pay(&self) -> String {
        told(self.payouts.pay(&self.world.actor(), &self.last().await, self.world.now()).await)
    }

    async fn reverse(&self) -> String {
        told(self.payouts.reverse(&self.world.actor(), &self.last().await, self.world.now()).await)
    }

    async fn works(&self, secs: i64) -> String {
        self.pass(secs);
        self.payouts.work(self.world.now()).await.unwrap();
        told(Ok(self.last().await))
    }
}

async fn commission_reaches_a_connected_account_once(backend: Backend) {
    let till = Till::new(backend).await;
    let fresh = PayoutSettings { minimum: Cents(100), ..default_settings(&till.world.tenant("muster"), EUR, PayoutMethod::Stripe) };
    till.fake.foreign_payment(100_000, "eur");
    let url = "https://console.example/payouts";
    till.fake.fault("/accounts", Fault::Lost, 1);
    let open = async || till.payouts.onboard(&till.world.actor(), fresh.clone(), Some("DE"), url, url).await;
    assert!(open().await.is_err(), "the answer is lost");
    let opened = open().await.unwrap();
    assert!(opened.url.starts_with("https://connect.stripe.com/"));
    assert_eq!(till.fake.all("account").len(), 1);
    till.a_month_goes_by().await;
    assert_eq!(till.pay().await, "payee_not_ready");
    till.fake
        .account(opened.settings.payee.as_deref().unwrap(), json!({ "capabilities": { "transfers": "active" }, "payouts_enabled": true }));

    // Lost: the same key again. Unreadable, and forgotten by the time it is asked again: its transfers tell.
    till.fake.fault("/transfers", Fault::Lost, 1);
    assert!(till.pay().await.starts_with("Paying 300 #1"));
    assert_eq!(till.works(300).await, "Paid 300 #1");
    till.fake.fault("/transfers", Fault::Status(400), 1);
    let refused = till.reverse().await;
    assert_eq!(refused, "reversal_refused");
    till.fake.fault("/transfers", Fault::Lost, 1);
    assert!(till.reverse().await.starts_with("Reversing 300 #3"));
    assert_eq!(till.works(300).await, "Reversed 300 #3");

    till.a_month_goes_by().await;
    till.fake.fault("/transfers", Fault::Garbage, 1);
    assert!(till.pay().await.starts_with("Paying 600 #1"));
    assert_eq!(till.works(2 * DAY).await, "Paid 600 #1");
    let sent: Vec<i64> = till.fake.all("transfer").iter().map(|transfer| transfer["amount"].as_i64().unwrap()).collect();
    assert_eq!(sent, [600, 300]);
    till.world.accounts("acme-42 2600, acme-43 5000, revenue of muster 1800, external of muster -9400").await;
}
