//! Automatic top-ups: whatever falls, fails, is lost or comes at once, one charge, and never more
//! than was agreed.

use crate::cashier::payouts_by;
use crate::world::{Backend, World, on_every_journal, prices};
use catalog::Period;
use metering::requests::MoneyKind;
use notices::rows::{NoticeKind, NoticeRows};
use payments::auto::AutoTerms;
use payments::refund::NewRefund;
use payments::rows::{AutoState, AutoTopUp, PaymentRows, RefundState, TopUp, TopUpState};
use payments::service::{NewCheckout, PaymentService, Settings, Sources, TopUpTerms};
use payouts::rows::{PayoutMethod, PayoutRows, PayoutSettings, PayoutState};
use payouts::{bank_account, default_settings};
use problem::Problem;
use provider::stripe::{Stripe, StripeSettings};
use provider::{Hook, Provider};
use rating::ids::TopUpId;
use rating::{Cents, Currency};
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use test_stripe::{Behaviour, Delivery, FakeStripe, Fault};

on_every_journal!(
    two_hundred_debits_are_one_charge,
    a_declined_card_is_tried_three_times_a_day,
    an_answer_that_is_lost_is_one_charge,
    a_direct_debit_is_not_repeated_while_it_is_on_its_way,
    who_must_be_there_gets_a_page,
    what_is_gone_is_charged_no_longer,
    a_month_has_its_cap_and_disputes_wait,
    the_next_process_goes_on_where_one_died,
    after_a_restore_nothing_is_charged_until_somebody_has_looked,
    only_usage_starts_a_charge,
    what_goes_back_of_a_page_starts_no_charge,
    a_payout_starts_no_charge,
    a_refunded_automatic_top_up_pauses_the_setting,
    a_refund_before_the_process_died_starts_no_charge,
    who_is_closed_or_has_no_agreement_is_not_charged,
    a_contested_method_is_off_until_it_is_set_up_anew,
);

const EUR: Currency = Currency::EUR;

/// Desks over the stand-in for Stripe, in a world whose customer acme-42 has 50.00 and pays by a
/// kept card.
struct Shop {
    world: World,
    fake: FakeStripe,
    stripe: Arc<Stripe>,
    service: PaymentService,
}

impl Shop {
    /// acme-42 is topped up with 50.00 at 10.00 and below, at most 120.00 a month.
    async fn new(backend: Backend) -> Self {
        let world = World::reference(backend).await;
        // Something that costs as many cents as it is used.
        world.meter("cent", json!({ "unit": "cent" })).await;
        for (card, unit_price) in [("wholesale", "0.005"), ("retail", "0.01")] {
            let mut doc = prices("0.30", "0.10", "1.00", "0.05");
            let rate = json!({ "key": "cent", "meter": "cent", "price": { "model": "per_unit", "unit_price": unit_price } });
            doc["rates"].as_array_mut().unwrap().push(rate);
            world.publish(card, "2021-01-01T00:00:00Z", doc).await;
        }
        let fake = FakeStripe::start(world.engine.now().micros() / 1_000_000)
            .await
            .unwrap();
        let mut settings = StripeSettings::new("sk_test_1".parse().unwrap());
        settings.api_url = fake.url();
        settings.webhook_secrets = vec!["whsec_1".parse().unwrap()];
        settings.timeout = Duration::from_millis(500);
        settings.attempts_max = 2;
        settings.first_pause = Duration::from_millis(1);
        settings.requests_per_sec = NonZeroU32::new(10_000);
        let stripe = Arc::new(Stripe::new(&settings).unwrap());
        let service = service_of(&world, &stripe);
        let shop = Self {
            world,
            fake,
            stripe,
            service,
        };
        let terms = AutoTerms {
            is_on: true,
            threshold: Cents(1000),
            amount: Cents(5000),
            month_max: Cents(12_000),
        };
        let tenant = shop.world.tenant("acme-42");
        shop.service
            .set_auto(&shop.world.actor(), &tenant, EUR, terms)
            .await
            .unwrap();
        shop.keep(Behaviour::Succeeds).await;
        shop
    }

    /// The payer pays a page of 10.00 that keeps the method; the method then behaves so.
    async fn keep(&self, behaviour: Behaviour) -> String {
        self.pays_and_keeps("acme-42").await;
        let method = self.auto().await.method.unwrap();
        self.fake.behave(&method, behaviour);
        self.pass(61);
        method
    }

    async fn pays_and_keeps(&self, buyer: &str) {
        let tenant = self.world.tenant(buyer);
        let new = NewCheckout {
            tenant: &tenant,
            cents: Cents(1000),
            currency: EUR,
            locale: None,
            success_url: None,
            cancel_url: None,
            save_method: true,
            request_key: format!("keep-{}", self.world.next_id()),
        };
        let page = self
            .service
            .checkout(&self.world.actor(), new)
            .await
            .unwrap();
        self.fake
            .pay(page.session.as_deref().unwrap(), &Behaviour::Succeeds)
            .unwrap();
        self.hear_all().await;
    }

    /// Everything that was told is delivered and worked off.
    async fn hear_all(&self) {
        for message in self.fake.messages(&Delivery::signed(&["whsec_1"])) {
            let now = self.world.engine.now();
            let event = self
                .stripe
                .receive(
                    Hook::Own,
                    Some(&message.signature),
                    message.body.as_bytes(),
                    now,
                )
                .unwrap();
            self.service
                .hear(&event, message.body.as_bytes())
                .await
                .unwrap();
        }
        // What was in the way of each other comes again a little later.
        for _ in 0..20 {
            match self.service.round().await.unwrap() {
                round if round.failed > 0 => self.pass(20),
                round if round.is_idle() => return,
                _ => {}
            }
        }
    }

    fn pass(&self, secs: i64) {
        self.world.pass(secs);
        self.fake
            .set_now(self.world.engine.now().micros() / 1_000_000);
    }

    async fn auto(&self) -> AutoTopUp {
        PaymentRows::of(&self.world.catalog)
            .auto_top_up(self.world.tenant("acme-42").id, EUR)
            .await
            .unwrap()
            .unwrap()
    }

    /// Usage of so many cents.
    async fn spend(&self, cents: i64) {
        let told = self
            .world
            .send("acme-42", "cent", &cents.to_string())
            .text()
            .await;
        assert!(told.starts_with(&format!("rated {cents} ")), "{told}");
    }

    async fn adjust(&self, cents: i64) {
        let name = format!("adjusted-{}", self.world.next_id());
        self.world
            .move_money(MoneyKind::Adjustment, "acme-42", cents, EUR, &name)
            .await
            .unwrap();
    }

    /// Looks again and again, by this process and by one that has just started, for so many hours.
    async fn hours_pass(&self, hours: i64) {
        let next = service_of(&self.world, &self.stripe);
        for _ in 0..hours {
            self.pass(3600);
            self.service.auto_round().await.unwrap();
            next.auto_round().await.unwrap();
            self.hear_all().await;
        }
    }

    /// The latest payment of so many cents.
    fn payment_of(&self, cents: i64) -> String {
        let found = self
            .fake
            .all("payment_intent")
            .into_iter()
            .find(|payment| payment["amount"] == cents);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn end_agreement(&self, buyer: &str) {
        let (now, tenant) = (self.world.now(), self.world.tenant(buyer));
        for terms in self
            .world
            .catalog
            .agreements_of(&[tenant.id])
            .await
            .unwrap()
        {
            self.world
                .catalog
                .end_agreement(
                    &self.world.actor(),
                    tenants::Authority::Platform,
                    terms.id,
                    now,
                )
                .await
                .unwrap();
        }
        self.world.engine.invalidate();
    }

    async fn close(&self, name: &str) {
        self.world
            .catalog
            .close_tenant(&self.world.actor(), self.world.tenant(name).id)
            .await
            .unwrap();
        self.world.engine.invalidate();
    }

    async fn page(&self, key: &str, cents: i64) -> Result<TopUp, Problem> {
        let tenant = self.world.tenant("acme-42");
        let new = NewCheckout {
            tenant: &tenant,
            cents: Cents(cents),
            currency: EUR,
            locale: None,
            success_url: None,
            cancel_url: None,
            save_method: false,
            request_key: key.to_owned(),
        };
        self.service.checkout(&self.world.actor(), new).await
    }

    async fn set(&self, is_on: bool) -> Result<AutoTopUp, Problem> {
        let terms = AutoTerms {
            is_on,
            threshold: Cents(1000),
            amount: Cents(5000),
            month_max: Cents(50_000),
        };
        self.service
            .set_auto(
                &self.world.actor(),
                &self.world.tenant("acme-42"),
                EUR,
                terms,
            )
            .await
    }

    async fn balance(&self) -> i64 {
        self.balance_of("acme-42").await
    }

    async fn balance_of(&self, name: &str) -> i64 {
        let tenant = self.world.tenant(name).id;
        self.world
            .engine
            .balance(ledger::AccountKey::balance(tenant, EUR))
            .await
            .unwrap()
            .posted
            .0
    }

    /// Why its automatic top-up is paused, as often as somebody was told.
    async fn told_of_pauses(&self) -> Vec<String> {
        let notices = NoticeRows::of(&self.world.catalog)
            .unsent_notices()
            .await
            .unwrap();
        let pauses = notices
            .iter()
            .filter(|notice| notice.kind == NoticeKind::AutoTopUpPaused);
        pauses
            .map(|notice| notice.data["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Charges of kept methods that Stripe was asked for, by whatever came of them.
    fn asked(&self) -> usize {
        self.fake.seen("POST", "/payment_intents").len()
    }

    /// Those that came to money.
    fn charged(&self) -> usize {
        let of_a_page = |charge: &serde_json::Value| {
            self.fake
                .object(charge["payment_intent"].as_str().unwrap())
                .unwrap()["amount"]
                == 1000
        };
        self.fake
            .all("charge")
            .iter()
            .filter(|charge| charge["status"] == "succeeded" && !of_a_page(charge))
            .count()
    }
}

fn service_of(world: &World, stripe: &Arc<Stripe>) -> PaymentService {
    let (engine, counter) = (
        world.engine.clone(),
        Arc::new(AtomicI64::new(world.next_id() * 1_000_000)),
    );
    let sources = Sources {
        now: Arc::new(move || engine.now()),
        id: Arc::new(move || counter.fetch_add(1, Ordering::SeqCst)),
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
    let provider: Arc<dyn Provider> = stripe.clone();
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

async fn two_hundred_debits_are_one_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    assert_eq!(shop.balance().await, 6000);
    let other = service_of(&shop.world, &shop.stripe);
    let tenant = shop.world.tenant("acme-42").id;
    // Each debit is looked at at once, by one of two processes.
    let debits = (0..200).map(|turn| {
        let (service, shop) = (if turn % 2 == 0 { &shop.service } else { &other }, &shop);
        async move {
            shop.spend(26).await;
            service.top_up_if_low(tenant, EUR).await
        }
    });
    let looked: Vec<Result<Option<TopUpId>, Problem>> =
        futures_util::future::join_all(debits).await;
    assert!(looked.iter().all(Result::is_ok), "{looked:?}");
    assert_eq!(
        looked
            .into_iter()
            .filter(|begun| matches!(begun, Ok(Some(_))))
            .count(),
        1
    );
    assert_eq!(
        (shop.asked(), shop.charged(), shop.balance().await),
        (1, 1, 6000 - 5200 + 5000)
    );
    shop.hear_all().await;
    assert_eq!(
        (shop.balance().await, shop.auto().await.month_spent),
        (5800, Cents(5000))
    );
}

async fn a_declined_card_is_tried_three_times_a_day(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.keep(Behaviour::Declines("card_declined", "insufficient_funds"))
        .await;
    shop.spend(6500).await;
    let mut by_day = std::collections::BTreeMap::<i64, usize>::new();
    for _ in 0..3 * 48 {
        let before = shop.asked();
        shop.service.auto_round().await.unwrap();
        shop.hear_all().await;
        *by_day
            .entry(shop.world.engine.now().micros() / 86_400_000_000)
            .or_default() += shop.asked() - before;
        shop.pass(1800);
    }
    assert!(
        by_day.values().all(|tried| *tried <= 3) && by_day.values().sum::<usize>() >= 6,
        "{by_day:?}"
    );
    let auto = shop.auto().await;
    assert_eq!(
        (shop.charged(), auto.open, auto.month_spent),
        (0, None, Cents::ZERO)
    );
    // The card works again; paying it anew had brought the balance above its threshold.
    shop.keep(Behaviour::Succeeds).await;
    shop.spend(1000).await;
    shop.service.auto_round().await.unwrap();
    shop.hear_all().await;
    assert_eq!((shop.charged(), shop.auto().await.failures), (1, 0));
}

async fn an_answer_that_is_lost_is_one_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.spend(5500).await;
    shop.fake.fault("/payment_intents", Fault::Lost, 2);
    shop.service.auto_round().await.unwrap();
    assert!(shop.auto().await.open.is_some());
    // Whoever looks meanwhile begins nothing.
    for _ in 0..3 {
        shop.service
            .top_up_if_low(shop.world.tenant("acme-42").id, EUR)
            .await
            .unwrap();
    }
    assert_eq!((shop.charged(), shop.asked()), (1, 2));
    // Nothing was heard of it: the row is due, and asks again under the same key.
    shop.fake.drop_waiting();
    shop.pass(60);
    shop.hear_all().await;
    let keys: Vec<_> = shop
        .fake
        .seen("POST", "/payment_intents")
        .into_iter()
        .map(|seen| seen.key)
        .collect();
    assert!(
        keys.len() == 3 && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    assert_eq!(
        (shop.charged(), shop.balance().await, shop.auto().await.open),
        (1, 5500, None)
    );
}

async fn a_direct_debit_is_not_repeated_while_it_is_on_its_way(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.keep(Behaviour::Sepa).await;
    shop.spend(6500).await;
    for _ in 0..5 {
        shop.service.auto_round().await.unwrap();
        shop.hear_all().await;
        shop.pass(3600);
    }
    assert_eq!(
        (shop.asked(), shop.balance().await),
        (1, 500),
        "shown, not spendable"
    );
    let payment = shop.fake.all("payment_intent").remove(0)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    shop.fake.settle(&payment, true);
    shop.hear_all().await;
    assert_eq!((shop.balance().await, shop.auto().await.open), (5500, None));
}

async fn who_must_be_there_gets_a_page(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.keep(Behaviour::NeedsPayer).await;
    shop.spend(6500).await;
    shop.service.auto_round().await.unwrap();
    shop.hear_all().await;
    let auto = shop.auto().await;
    assert_eq!(
        (auto.state, auto.pause.as_deref(), auto.open),
        (AutoState::Paused, Some("authentication_required"), None)
    );
    let is_instead = |page: &serde_json::Value| page["amount_total"] == 5000;
    let url = shop
        .fake
        .all("checkout.session")
        .into_iter()
        .find(is_instead)
        .unwrap()["url"]
        .clone();
    for _ in 0..3 {
        shop.pass(86_400);
        shop.service.auto_round().await.unwrap();
    }
    assert_eq!(shop.asked(), 1, "nothing more until the payer was there");
    // Paid on the page, which keeps the method anew: it goes on.
    let page = shop
        .fake
        .all("checkout.session")
        .into_iter()
        .find(|page| page["url"] == url)
        .unwrap();
    shop.fake
        .pay(page["id"].as_str().unwrap(), &Behaviour::Succeeds)
        .unwrap();
    shop.hear_all().await;
    assert_eq!(
        (shop.balance().await, shop.auto().await.state),
        (5500, AutoState::On)
    );
    shop.spend(5000).await;
    shop.pass(61);
    shop.service.auto_round().await.unwrap();
    shop.hear_all().await;
    assert_eq!(shop.balance().await, 5500);
}

async fn what_is_gone_is_charged_no_longer(backend: Backend) {
    let shop = Shop::new(backend).await;
    for (gone, because) in [
        (0, "method_gone"),
        (1, "mandate_gone"),
        (2, "customer_gone"),
    ] {
        let method = shop.keep(Behaviour::Succeeds).await;
        assert_eq!(shop.auto().await.state, AutoState::On);
        match gone {
            0 => shop.fake.detach(&method).unwrap(),
            1 => shop.fake.end_mandate(&method),
            _ => shop
                .fake
                .delete_customer(&shop.auto().await.customer.unwrap())
                .unwrap(),
        }
        shop.hear_all().await;
        let auto = shop.auto().await;
        assert_eq!(
            (auto.state, auto.pause.as_deref(), auto.method),
            (AutoState::Paused, Some(because), None)
        );
        assert_eq!(shop.told_of_pauses().await.last().unwrap(), because);
    }
    assert_eq!(shop.told_of_pauses().await.len(), 3);
    shop.spend(8500).await;
    shop.pass(3600);
    shop.service.auto_round().await.unwrap();
    assert_eq!(shop.asked(), 0);
    // Gone, and nothing was heard of it: refused once, and paused.
    let method = shop.keep(Behaviour::Succeeds).await;
    shop.spend(1000).await;
    shop.fake.detach(&method).unwrap();
    shop.fake.drop_waiting();
    for _ in 0..3 {
        shop.pass(3600);
        shop.service.auto_round().await.unwrap();
    }
    assert_eq!(
        (shop.asked(), shop.auto().await.state),
        (1, AutoState::Paused)
    );
}

async fn a_month_has_its_cap_and_disputes_wait(backend: Backend) {
    let shop = Shop::new(backend).await;
    for charged in [1, 2, 2] {
        let all_but_500 = shop.balance().await - 500;
        shop.spend(all_but_500).await;
        shop.pass(61);
        shop.service.auto_round().await.unwrap();
        shop.hear_all().await;
        assert_eq!(shop.charged(), charged);
    }
    shop.pass(3600);
    shop.service.auto_round().await.unwrap();
    assert_eq!(shop.told_of_pauses().await, ["month_max_reached"], "once");
    shop.pass(31 * 86_400);
    let payment = shop.fake.all("payment_intent").remove(0)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let dispute = shop
        .fake
        .dispute(&payment, Some(100), "needs_response")
        .unwrap();
    shop.hear_all().await;
    // Somebody keeps a method anew: it waits all the same until the dispute is over.
    shop.keep(Behaviour::Succeeds).await;
    shop.spend(1000).await;
    shop.hours_pass(2).await;
    assert_eq!(shop.charged(), 2, "as long as a payment is disputed");
    shop.fake.close_dispute(&dispute, "won").unwrap();
    shop.hear_all().await;
    shop.pass(600);
    shop.service.auto_round().await.unwrap();
    assert_eq!(shop.charged(), 3);
}

async fn the_next_process_goes_on_where_one_died(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.spend(5500).await;
    // Dies after the row was written, before or while Stripe is asked.
    shop.fake.fault("/payment_intents", Fault::Timeout, 2);
    let _ended = tokio::time::timeout(Duration::from_millis(200), shop.service.auto_round()).await;
    let next = service_of(&shop.world, &shop.stripe);
    shop.pass(3600);
    for _ in 0..3 {
        while !next.round().await.unwrap().is_idle() {}
        next.auto_round().await.unwrap();
        shop.pass(600);
    }
    assert_eq!(
        (shop.charged(), shop.balance().await, shop.auto().await.open),
        (1, 5500, None)
    );
}

async fn after_a_restore_nothing_is_charged_until_somebody_has_looked(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.service.hold_charges(true);
    shop.spend(5500).await;
    let tenant = shop.world.tenant("acme-42").id;
    assert_eq!(shop.service.top_up_if_low(tenant, EUR).await.unwrap(), None);
    for _ in 0..3 {
        shop.pass(3600);
        assert_eq!(shop.service.auto_round().await.unwrap(), 0);
    }
    assert_eq!((shop.asked(), shop.balance().await), (0, 500));
    shop.service.hold_charges(false);
    shop.service.auto_round().await.unwrap();
    shop.hear_all().await;
    assert_eq!((shop.asked(), shop.balance().await), (1, 5500));
}

async fn only_usage_starts_a_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    // A debit by hand, and a refund of what was paid on a page, at Stripe's own pages.
    shop.adjust(-4500).await;
    let paid_by_page = shop.payment_of(1000);
    shop.fake.refund(&paid_by_page, 1000).unwrap();
    shop.hear_all().await;
    assert_eq!(shop.balance().await, 500);
    shop.hours_pass(3).await;
    // Usage that would not have reached the threshold without them.
    shop.spend(400).await;
    shop.service
        .top_up_if_low(shop.world.tenant("acme-42").id, EUR)
        .await
        .unwrap();
    shop.hours_pass(3).await;
    assert_eq!(
        (shop.asked(), shop.balance().await, shop.auto().await.state),
        (0, 100, AutoState::On)
    );
    // What was taken by hand is given back: usage counts from there.
    shop.adjust(5500).await;
    shop.spend(4599).await;
    shop.hours_pass(1).await;
    assert_eq!((shop.asked(), shop.balance().await), (0, 1001));
    shop.spend(1).await;
    shop.pass(61);
    shop.service.auto_round().await.unwrap();
    shop.hear_all().await;
    assert_eq!((shop.charged(), shop.balance().await), (1, 6000));
    // Usage that reached it by itself, whatever else was taken meanwhile.
    shop.adjust(-2000).await;
    shop.spend(5000).await;
    shop.hours_pass(2).await;
    assert_eq!((shop.charged(), shop.balance().await), (2, 4000));
}

/// Refunded by API: another payment than the one that kept the method.
async fn what_goes_back_of_a_page_starts_no_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    let page = shop.page("once", 3000).await.unwrap();
    shop.fake
        .pay(page.session.as_deref().unwrap(), &Behaviour::Succeeds)
        .unwrap();
    shop.hear_all().await;
    shop.spend(6000).await;
    assert_eq!(shop.balance().await, 3000);
    let top_up = PaymentRows::of(&shop.world.catalog)
        .top_up(page.id)
        .await
        .unwrap()
        .unwrap();
    let (cents, reason, request_key) = (
        Some(Cents(2000)),
        "goodwill".to_owned(),
        "refund".to_owned(),
    );
    let new = NewRefund {
        top_up: &top_up,
        payment: None,
        cents,
        reason,
        request_key,
    };
    assert_eq!(
        shop.service
            .refund(&shop.world.actor(), new)
            .await
            .unwrap()
            .state,
        RefundState::Succeeded
    );
    shop.hear_all().await;
    shop.hours_pass(3).await;
    assert_eq!(
        (shop.asked(), shop.balance().await, shop.auto().await.state),
        (0, 1000, AutoState::On)
    );
    shop.spend(1999).await;
    shop.hours_pass(1).await;
    assert_eq!(shop.asked(), 0);
    shop.spend(1).await;
    shop.hours_pass(1).await;
    assert_eq!((shop.asked(), shop.balance().await), (1, 4000));
}

/// A reseller has an automatic top-up too; its balance falls by what is paid out to it.
async fn a_payout_starts_no_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    let (world, muster) = (&shop.world, shop.world.tenant("muster"));
    let terms = AutoTerms {
        is_on: true,
        threshold: Cents(1000),
        amount: Cents(5000),
        month_max: Cents(12_000),
    };
    shop.service
        .set_auto(&world.actor(), &muster, EUR, terms)
        .await
        .unwrap();
    shop.pays_and_keeps("muster").await;
    shop.spend(4000).await;
    assert_eq!(shop.balance_of("muster").await, 3000);
    let bank = Some(bank_account("Muster", "DE89370400440532013000", None).unwrap());
    let settings = PayoutSettings {
        minimum: Cents(100),
        bank,
        ..default_settings(&muster, EUR, PayoutMethod::Bank)
    };
    PayoutRows::of(&world.catalog)
        .put_payout_settings(&world.actor(), &settings)
        .await
        .unwrap();
    let payouts = payouts_by(world, shop.stripe.clone());
    shop.pass(40 * 86_400);
    payouts
        .run(&world.actor(), None, 10, false, world.now())
        .await
        .unwrap();
    let due = PayoutRows::of(&world.catalog)
        .payouts_below(&world.platform, None, Period::default(), None, 10)
        .await
        .unwrap()
        .data
        .remove(0);
    let paid = payouts
        .mark_paid(&world.actor(), &due, "statement 47", world.now())
        .await
        .unwrap();
    assert_eq!((paid.state, paid.cents), (PayoutState::Paid, Cents(2000)));
    assert_eq!(shop.balance_of("muster").await, 1000);
    shop.hours_pass(3).await;
    assert_eq!((shop.asked(), shop.balance_of("muster").await), (0, 1000));
    // Its own usage, counted from where it stood without the payout.
    world
        .send("muster", "cent", "3998")
        .gives("rated 1999 = platform 1999, balance -999")
        .await;
    shop.hours_pass(1).await;
    assert_eq!(shop.asked(), 0);
    world
        .send("muster", "cent", "2")
        .gives("rated 1 = platform 1, balance -1000")
        .await;
    shop.hours_pass(1).await;
    assert_eq!((shop.charged(), shop.balance_of("muster").await), (1, 4000));
}

async fn a_refunded_automatic_top_up_pauses_the_setting(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.set(true).await.unwrap();
    for by_api in [false, true] {
        let pauses = shop.told_of_pauses().await.len();
        let charged = shop.charged();
        let down_to_the_threshold = shop.balance().await - 1000;
        shop.spend(down_to_the_threshold).await;
        shop.hours_pass(1).await;
        assert_eq!((shop.charged(), shop.balance().await), (charged + 1, 6000));
        let payment = shop.payment_of(5000);
        if by_api {
            let top_up = PaymentRows::of(&shop.world.catalog)
                .top_up_by_payment(&payment)
                .await
                .unwrap()
                .unwrap();
            let new = NewRefund {
                top_up: &top_up,
                payment: None,
                cents: None,
                reason: "goodwill".to_owned(),
                request_key: "refund".to_owned(),
            };
            assert_eq!(
                shop.service
                    .refund(&shop.world.actor(), new)
                    .await
                    .unwrap()
                    .state,
                RefundState::Succeeded
            );
        } else {
            // In parts: paused once.
            shop.fake.refund(&payment, 2000).unwrap();
            shop.hear_all().await;
            shop.fake.refund(&payment, 3000).unwrap();
        }
        shop.hear_all().await;
        let auto = shop.auto().await;
        assert_eq!(
            (auto.state, auto.pause.as_deref()),
            (AutoState::Paused, Some("refunded"))
        );
        let told = shop.told_of_pauses().await;
        assert_eq!(
            (told.len(), told.last().map(String::as_str)),
            (pauses + 1, Some("refunded"))
        );
        shop.spend(1).await;
        shop.hours_pass(3).await;
        assert_eq!(
            (shop.charged(), shop.balance().await),
            (charged + 1, 999),
            "not after one cent of usage either"
        );
        // Its payer sets it again: it goes on.
        assert_eq!(shop.set(true).await.unwrap().state, AutoState::On);
        shop.hours_pass(1).await;
        assert_eq!((shop.charged(), shop.balance().await), (charged + 2, 5999));
    }
}

async fn a_refund_before_the_process_died_starts_no_charge(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.spend(4000).await;
    // The process hears of the refund and dies; the next one has only the books.
    let payment = shop.payment_of(1000);
    shop.fake.refund(&payment, 1000).unwrap();
    shop.hear_all().await;
    shop.adjust(-500).await;
    let next = service_of(&shop.world, &shop.stripe);
    for _ in 0..5 {
        shop.pass(61);
        next.auto_round().await.unwrap();
    }
    assert_eq!((shop.asked(), shop.balance().await), (0, 500));
    shop.spend(1000).await;
    shop.pass(61);
    next.auto_round().await.unwrap();
    assert_eq!(shop.asked(), 1);
}

async fn who_is_closed_or_has_no_agreement_is_not_charged(backend: Backend) {
    for (case, code) in [
        (0, "no_agreement_in_force"),
        (1, "tenant_closed"),
        (2, "no_agreement_in_force"),
    ] {
        let shop = Shop::new(backend).await;
        let way = shop.page("on its way", 2500).await.unwrap();
        shop.fake
            .pay(way.session.as_deref().unwrap(), &Behaviour::Sepa)
            .unwrap();
        shop.hear_all().await;
        shop.spend(5500).await;
        match case {
            0 => shop.end_agreement("acme-42").await,
            1 => shop.close("acme-42").await,
            _ => shop.end_agreement("muster").await,
        }
        shop.hours_pass(3).await;
        let auto = shop.auto().await;
        assert_eq!(
            (shop.asked(), auto.state, auto.pause.as_deref()),
            (0, AutoState::Off, Some(code)),
            "case {case}"
        );
        assert_eq!(shop.told_of_pauses().await, [code], "told once");
        assert_eq!(
            shop.page("another", 2500).await.unwrap_err().code.as_str(),
            code
        );
        assert_eq!(shop.set(true).await.unwrap_err().code.as_str(), code);
        assert_eq!(
            shop.set(false).await.unwrap().state,
            AutoState::Off,
            "off is always possible"
        );
        // What was on its way is credited, and can be given back.
        shop.fake.settle(&shop.payment_of(2500), true);
        shop.hear_all().await;
        assert_eq!(shop.balance().await, 3000);
        let top_up = PaymentRows::of(&shop.world.catalog)
            .top_up(way.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(top_up.state, TopUpState::Succeeded);
        let new = NewRefund {
            top_up: &top_up,
            payment: None,
            cents: None,
            reason: "closed".to_owned(),
            request_key: "refund".to_owned(),
        };
        assert_eq!(
            shop.service
                .refund(&shop.world.actor(), new)
                .await
                .unwrap()
                .state,
            RefundState::Succeeded
        );
        assert_eq!(shop.balance().await, 500);
    }
}

async fn a_contested_method_is_off_until_it_is_set_up_anew(backend: Backend) {
    let shop = Shop::new(backend).await;
    shop.set(true).await.unwrap();
    for because in ["fraud_reported", "disputed"] {
        let down = shop.balance().await - 1000;
        shop.spend(down).await;
        shop.hours_pass(1).await;
        let (charged, payment) = (shop.charged(), shop.payment_of(5000));
        assert_eq!(shop.balance().await, 6000);
        let dispute = if because == "disputed" {
            Some(shop.fake.dispute(&payment, None, "needs_response").unwrap())
        } else {
            shop.fake.warn_of_fraud(&payment).unwrap();
            None
        };
        shop.hear_all().await;
        let auto = shop.auto().await;
        assert_eq!(
            (auto.state, auto.pause.as_deref(), &auto.method),
            (AutoState::Paused, Some(because), &None)
        );
        assert_eq!(shop.told_of_pauses().await.last().unwrap(), because);
        if let Some(dispute) = dispute {
            shop.fake.close_dispute(&dispute, "won").unwrap();
            shop.hear_all().await;
        }
        // Setting it again is not enough: there is no method.
        assert_eq!(shop.set(true).await.unwrap().method, None);
        let down = shop.balance().await - 500;
        shop.spend(down).await;
        shop.hours_pass(3).await;
        assert_eq!(shop.charged(), charged, "{because}");
        // Its payer pays anew, with a method to keep. What was contested is looked at again, and
        // changes nothing.
        shop.keep(Behaviour::Succeeds).await;
        shop.service.settle(&payment, None).await.unwrap();
        assert!(shop.auto().await.method.is_some());
        shop.spend(1000).await;
        shop.hours_pass(1).await;
        assert_eq!(
            (shop.charged(), shop.balance().await),
            (charged + 1, 5500),
            "{because}"
        );
        assert_eq!(shop.set(true).await.unwrap().state, AutoState::On);
    }
}
