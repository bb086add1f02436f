//! Somebody who pays commission out: a world in which muster earns, a provider in memory, and what
//! payouts read like.

use crate::payee::Payer;
use crate::world::{Backend, World};
use catalog::Period;
use jiff::tz::TimeZone;
use payouts::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings};
use payouts::{Calendar, Error, Outcome, Payouts, default_settings};
use provider::Provider;
use rating::{Cents, Currency};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub const DAY: i64 = 86_400;
pub const EUR: Currency = Currency::EUR;

/// A world in which muster earns commission, and what pays it out.
pub struct Cashier {
    pub world: World,
    pub payer: Arc<Payer>,
    pub payouts: Payouts,
}

pub fn payouts_of(world: &World, payer: &Arc<Payer>) -> Payouts {
    payouts_by(world, Arc::<Payer>::clone(payer))
}

pub fn payouts_by(world: &World, provider: Arc<dyn Provider>) -> Payouts {
    static NEXT: AtomicI64 = AtomicI64::new(10_000);
    let new_id = Arc::new(|| NEXT.fetch_add(1, Ordering::Relaxed));
    Payouts::new(
        world.engine.clone(),
        world.catalog.clone(),
        Some(provider),
        Calendar::of(TimeZone::UTC),
        world.platform.id,
        new_id,
    )
}

impl Cashier {
    /// muster has earned 3 × 100 cents in November; it is 20 December, and its account at the
    /// provider is ready.
    pub async fn in_december(backend: Backend, method: PayoutMethod) -> Self {
        let world = World::reference(backend).await;
        let payer = Arc::new(Payer::default());
        let payouts = payouts_of(&world, &payer);
        let cashier = Self {
            world,
            payer,
            payouts,
        };
        cashier.payer.enable(true);
        cashier.settle_with("muster", method).await;
        cashier.earn(3).await;
        cashier.world.pass(30 * DAY);
        cashier
    }

    /// Payouts from 1.00 on.
    pub async fn settle_with(&self, reseller: &str, method: PayoutMethod) -> PayoutSettings {
        let tenant = self.world.tenant(reseller);
        let settings = PayoutSettings {
            minimum: Cents(100),
            ..default_settings(&tenant, EUR, method)
        };
        let settings = PayoutRows::of(&self.world.catalog)
            .put_payout_settings(&self.world.actor(), &settings)
            .await
            .unwrap();
        if method == PayoutMethod::Bank {
            return settings;
        }
        let opened = self
            .payouts
            .onboard(
                &self.world.actor(),
                settings,
                Some("DE"),
                "https://a.example",
                "https://a.example",
            )
            .await;
        opened.unwrap().settings
    }

    /// Calls of 10 minutes: each 1.00 of commission.
    pub async fn earn(&self, calls: usize) {
        for _ in 0..calls {
            assert!(
                self.world
                    .call("acme-42", "600")
                    .text()
                    .await
                    .starts_with("rated 400")
            );
        }
    }

    /// `period outcome cents`, by reseller.
    pub async fn run(&self, dry_run: bool) -> Vec<String> {
        let (considered, next) = self
            .payouts
            .run(&self.world.actor(), None, 100, dry_run, self.world.now())
            .await
            .unwrap();
        assert_eq!(next, None);
        let line = |one: &payouts::Considered| {
            let outcome = match &one.outcome {
                Outcome::Created(payout) => format!("created {}", payout.cents),
                Outcome::Would(cents) => format!("would be {cents}"),
                Outcome::No(reason) => format!("{reason:?}"),
                Outcome::Failed(why) => format!("failed: {why}"),
            };
            let carried = one.payable.map_or(0, |payable| payable.carried.0);
            format!(
                "{} {} {outcome}, {carried} carried",
                self.world.name(one.tenant),
                one.period
            )
        };
        considered.iter().map(line).collect()
    }

    /// Every payout, oldest first.
    pub async fn all(&self) -> Vec<Payout> {
        let mut found = PayoutRows::of(&self.world.catalog)
            .payouts_below(&self.world.platform, None, Period::default(), None, 100)
            .await
            .unwrap()
            .data;
        found.reverse();
        found
    }

    /// The only one.
    pub async fn one(&self) -> Payout {
        let mut all = self.all().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub async fn pay(&self, payout: &Payout) -> String {
        told(
            self.payouts
                .pay(&self.world.actor(), payout, self.world.now())
                .await,
        )
    }

    pub async fn state(&self) -> String {
        told(Ok(self.one().await))
    }

    /// The worker, in all of the next hour.
    pub async fn an_hour_passes(&self) {
        for _ in 0..60 {
            self.world.pass(60);
            self.payouts.work(self.world.now()).await.unwrap();
        }
    }
}

/// `Paid 300 #1 (error)`.
pub fn told(result: Result<Payout, Error>) -> String {
    match result {
        Ok(payout) => {
            let error = payout
                .error
                .map(|error| format!(" ({error})"))
                .unwrap_or_default();
            format!(
                "{:?} {} #{}{error}",
                payout.state, payout.cents, payout.idempotency_epoch
            )
        }
        Err(Error::Refused(problem)) => problem.code.to_string(),
        Err(other) => other.to_string(),
    }
}
