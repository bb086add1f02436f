//! A stand-in and an adapter that asks it, with little patience.

use provider::stripe::{Stripe, StripeSettings};
use provider::{CallKey, ChargeRequest, CheckoutRequest, Method, Payment, Provider as _, Session};
use rating::{Cents, Currency, Instant};
use std::num::NonZeroU32;
use std::time::Duration;
use test_stripe::{Behaviour, FakeStripe};

pub const NOW: i64 = 1_795_000_000;

pub struct World {
    pub fake: FakeStripe,
    pub stripe: Stripe,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut StripeSettings)) -> Self {
        let fake = FakeStripe::start(NOW).await.unwrap();
        let mut settings = StripeSettings::new("sk_test_1".parse().unwrap());
        settings.api_url = fake.url();
        settings.webhook_secrets =
            vec!["whsec_own".parse().unwrap(), "whsec_next".parse().unwrap()];
        settings.connect_webhook_secrets = vec!["whsec_connect".parse().unwrap()];
        settings.timeout = Duration::from_millis(500);
        settings.first_pause = Duration::from_millis(1);
        settings.requests_per_sec = NonZeroU32::new(10_000);
        change(&mut settings);
        Self {
            stripe: Stripe::new(&settings).unwrap(),
            fake,
        }
    }

    pub async fn checkout(&self, reference: &str) -> Session {
        self.stripe
            .create_checkout(&key(reference), &request(reference))
            .await
            .unwrap()
    }

    /// A payment by card of 25.00 EUR.
    pub async fn paid(&self, reference: &str) -> Payment {
        let page = self.checkout(reference).await;
        let id = self.fake.pay(&page.id, &Behaviour::Succeeds).unwrap();
        self.stripe.payment(&id).await.unwrap()
    }

    /// A customer with a method that was kept when it paid.
    pub async fn kept(&self, reference: &str) -> (String, String) {
        let keep = CheckoutRequest {
            save_method: true,
            ..request(reference)
        };
        let page = self
            .stripe
            .create_checkout(&key(reference), &keep)
            .await
            .unwrap();
        let id = self.fake.pay(&page.id, &Behaviour::Succeeds).unwrap();
        let payment = self.stripe.payment(&id).await.unwrap();
        (payment.customer.unwrap(), payment.method.unwrap())
    }
}

pub fn key(operation: &str) -> CallKey {
    CallKey(format!("{operation}:0"))
}

pub fn request(reference: &str) -> CheckoutRequest {
    CheckoutRequest {
        reference: reference.into(),
        cents: Cents(2500),
        currency: Currency::EUR,
        description: "Top-up Muster Telecom".into(),
        methods: vec![Method::Card, Method::SepaDebit],
        locale: Some("de".into()),
        success_url: "https://centwise.example/top-ups/done?top_up=top_1".into(),
        cancel_url: "https://centwise.example/top-ups/canceled".into(),
        expires_at: Instant::from_secs(NOW + 3600),
        customer: None,
        save_method: false,
    }
}

pub fn charge(reference: &str, (customer, method): &(String, String)) -> ChargeRequest {
    ChargeRequest {
        reference: reference.into(),
        cents: Cents(5000),
        currency: Currency::EUR,
        description: "Automatic top-up".into(),
        customer: customer.clone(),
        method: method.clone(),
    }
}
