//! Commission is paid only from money that came in: what a customer owes is withheld from its
//! sellers, from its own upward, before a payout and after it.

use crate::http_world::{Market, call, on_every_database};
use crate::served::Asking;
use crate::world::one_rate;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

on_every_database!(
    usage_that_nobody_paid_gives_no_commission,
    a_customer_pays_later_and_its_commission_with_it,
    the_own_seller_withholds_first_and_the_one_above_the_rest,
    commission_is_taken_back_after_the_payout,
    what_is_due_is_looked_at_again_when_it_is_sent,
    a_reseller_below_zero_is_a_customer_as_well,
    what_is_sold_below_cost_is_withheld_from_those_below,
    money_given_with_a_price_below_zero_is_nobodys_commission,
    what_a_commission_never_took_its_seller_does_not_give_back,
    a_payout_hides_no_loss_that_is_sold_downwards,
    withheld_commission_covers_no_hold,
    withheld_commission_pays_for_no_void,
    a_customer_named_later_from_below_is_paid_for_before_anybody_above,
    what_a_customer_gets_back_takes_commission_with_it,
    payouts_run_at_once_pay_once,
);

pub const MONTH_LATER: &str = "2026-12-20T12:00:00Z";

impl Market {
    async fn agree(&self, buyer: &str, kind: &str, seller: &str, terms: Value) {
        let admin = self.admin();
        admin
            .post(
                "/v1/tenants",
                json!({ "external_id": buyer, "kind": kind, "name": buyer, "parent": seller }),
            )
            .await
            .ok();
        let mut agreement =
            json!({ "buyer": buyer, "currency": "EUR", "from": "2026-01-01T00:00:00Z" });
        agreement
            .as_object_mut()
            .unwrap()
            .extend(terms.as_object().unwrap().clone());
        admin.post("/v1/agreements", agreement).await.ok();
    }

    /// A card of the seller's for SMS by the piece; its id.
    async fn sms_card(&self, owner: &str, unit_price: &str) -> String {
        self.card_of(
            owner,
            one_rate(
                "sms",
                json!({ "model": "per_unit", "unit_price": unit_price }),
            ),
        )
        .await
    }

    /// A published card; its id.
    async fn card_of(&self, owner: &str, doc: Value) -> String {
        let card = json!({ "name": format!("{owner} {}", doc["rates"][0]["price"]["unit_price"]), "currency": "EUR", "owner": owner });
        let card = self.once().post("/v1/rate-cards", card).await.ok()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.publish(&card, 1, doc, "2026-01-01T00:00:00Z").await;
        card
    }

    async fn publish(&self, card: &str, number: u32, mut doc: Value, from: &str) {
        doc["currency"] = json!("EUR");
        self.admin()
            .post(&format!("/v1/rate-cards/{card}/versions"), doc)
            .await
            .ok();
        let path = format!("/v1/rate-cards/{card}/versions/{number}/publish");
        self.admin()
            .post(&path, json!({ "effective_from": from }))
            .await
            .ok();
    }

    /// A reseller on 25 % commission, paid by bank from 1.00 on, with one customer who may owe as
    /// much as it likes.
    async fn on_credit(&self, reseller: &str, seller: &str, customer: &str, unit_price: &str) {
        self.agree(
            reseller,
            "reseller",
            seller,
            json!({ "commission_bp": 2500 }),
        )
        .await;
        let card = self.sms_card(reseller, unit_price).await;
        self.agree(
            customer,
            "customer",
            reseller,
            json!({ "rate_card": card, "credit_limit_cents": null }),
        )
        .await;
        self.by_bank(reseller).await;
    }

    async fn by_bank(&self, tenant: &str) {
        let change = json!({ "method": "bank", "minimum_cents": 100, "bank": { "holder": tenant, "iban": "DE89370400440532013000" } });
        let path = format!("/v1/tenants/{tenant}/payout-settings");
        self.admin()
            .ask(hyper::Method::PATCH, &path, change.to_string().into())
            .await
            .unwrap()
            .ok();
    }

    async fn send_sms(&self, id: &str, customer: &str, count: &str, at: &str) {
        let sms = json!({ "id": id, "customer": customer, "meter": "sms", "quantity": count, "at": at, "destination": "+4915112345" });
        assert_eq!(
            self.admin().post("/v1/usage-events", sms).await.ok()["status"],
            "rated"
        );
    }

    async fn use_of(&self, meter: &str, id: &str, customer: &str, quantity: &str, at: &str) {
        let id = format!("{id} {customer}");
        let usage = json!({ "id": id, "customer": customer, "meter": meter, "quantity": quantity, "at": at });
        assert_eq!(
            self.admin().post("/v1/usage-events", usage).await.ok()["status"],
            "rated"
        );
    }

    /// The operator, each request another one.
    fn once(&self) -> Asking {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.admin()
            .once(&format!("request {}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    async fn adjust(&self, tenant: &str, cents: i64) {
        let moved =
            json!({ "tenant": tenant, "cents": cents, "currency": "EUR", "reason": "by hand" });
        self.once().post("/v1/adjustments", moved).await.ok();
    }

    /// accrued − withheld − paid out → payable, debt.
    pub async fn payable(&self, reseller: &str) -> String {
        let payable = self
            .admin()
            .get(&format!("/v1/commissions/payable?reseller={reseller}"))
            .await
            .ok();
        let cents = |name: &str| {
            payable[name]
                .as_i64()
                .unwrap_or_else(|| panic!("no {name} in {payable}"))
        };
        let lines = payable["withheld_by_customer"].as_array().unwrap();
        let sum: i64 = lines
            .iter()
            .map(|line| line["withheld_cents"].as_i64().unwrap())
            .sum();
        assert_eq!(
            (sum, lines.len() as u64),
            (
                cents("withheld_cents"),
                payable["withheld_customers"].as_u64().unwrap()
            ),
            "{payable}"
        );
        let (accrued, withheld, paid) = (
            cents("accrued_cents"),
            cents("withheld_cents"),
            cents("paid_out_cents"),
        );
        let debt = cents("debt_cents");
        format!(
            "{accrued} - {withheld} - {paid} = {} payable, {debt} debt",
            cents("payable_cents")
        )
    }

    async fn withheld(&self, reseller: &str) -> Vec<String> {
        let payable = self
            .admin()
            .get(&format!("/v1/commissions/payable?reseller={reseller}"))
            .await
            .ok();
        let line = |line: &Value| {
            format!(
                "{} {} of {}",
                line["customer"].as_str().unwrap(),
                line["withheld_cents"],
                line["shortfall_cents"]
            )
        };
        payable["withheld_by_customer"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect()
    }

    async fn run(&self) -> Vec<String> {
        let run = self.once().post("/v1/payouts/run", json!({})).await.ok();
        let line = |one: &Value| {
            format!(
                "{} {} {}",
                one["reseller"].as_str().unwrap(),
                one["outcome"].as_str().unwrap(),
                one["payable_cents"]
            )
        };
        run["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["outcome"] != "exists")
            .map(line)
            .collect()
    }

    /// A page of the payment provider, paid; the payment.
    async fn pay_by_card(&self, tenant: &str, cents: i64) -> String {
        let page = json!({ "tenant": tenant, "cents": cents, "method": "checkout" });
        let page = self.once().post("/v1/top-ups", page).await.ok();
        let session = page["url"].as_str().unwrap().rsplit('/').next().unwrap();
        let payment = self
            .served
            .stripe
            .pay(session, &test_stripe::Behaviour::Succeeds)
            .unwrap();
        self.hear().await;
        payment
    }

    /// What the provider tells.
    async fn hear(&self) {
        self.served
            .running
            .app
            .payments
            .poll(rating::Instant(0))
            .await
            .unwrap();
        self.served.work_off_payments().await;
    }

    /// What a bank would pay: the cents in a new file, or why there is none.
    async fn file(&self) -> String {
        let made = self.once().post("/v1/payouts/sepa-file", json!({})).await;
        if made.status >= 300 {
            made.code()
        } else {
            made.body["cents"].to_string()
        }
    }
}

async fn usage_that_nobody_paid_gives_no_commission(market: Market) {
    market.by_bank("platform").await;
    market
        .on_credit("greedy", "platform", "straw-man", "0.0617")
        .await;
    market
        .send_sms("all", "straw-man", "1000000", "2026-11-20T09:00:00Z")
        .await;
    assert_eq!(
        (
            market.balance("straw-man").await,
            market.balance("greedy").await
        ),
        (-6_170_000, 1_542_500)
    );
    assert_eq!(market.revenue("greedy").await, 4_627_500);
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("greedy").await,
        "1542500 - 1542500 - 0 = 0 payable, 0 debt"
    );
    assert_eq!(
        market.withheld("greedy").await,
        ["straw-man 1542500 of 6170000"]
    );
    assert_eq!(market.run().await, ["greedy withheld 0"]);
    assert_eq!(
        market
            .once()
            .post("/v1/payouts", json!({ "reseller": "greedy" }))
            .await
            .code(),
        "409 not_payable"
    );
    assert_eq!(
        (market.file().await, market.revenue("greedy").await),
        ("409 nothing_due".to_owned(), 4_627_500)
    );
}

async fn a_customer_pays_later_and_its_commission_with_it(market: Market) {
    market.by_bank("platform").await;
    market
        .on_credit("fair", "platform", "monthly", "0.10")
        .await;
    market
        .send_sms("november", "monthly", "1000", "2026-11-20T09:00:00Z")
        .await;
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("fair").await,
        "2500 - 2500 - 0 = 0 payable, 0 debt"
    );
    // A part of the bill: its own seller waits for the rest, the platform has had what is its own.
    market.adjust("monthly", 8_000).await;
    assert_eq!(
        market.payable("fair").await,
        "2500 - 2000 - 0 = 500 payable, 0 debt"
    );
    assert_eq!(market.withheld("fair").await, ["monthly 2000 of 2000"]);
    market.adjust("monthly", 2_000).await;
    assert_eq!(
        market.payable("fair").await,
        "2500 - 0 - 0 = 2500 payable, 0 debt"
    );
    assert_eq!(
        (market.run().await, market.file().await),
        (vec!["fair created 2500".to_owned()], "2500".to_owned())
    );
    // What it uses this month and has not paid is borne by all that its seller earned from it.
    market
        .send_sms("december", "monthly", "400", "2026-12-20T09:00:00Z")
        .await;
    assert_eq!(
        market.payable("fair").await,
        "2500 - 3500 - 2500 = 0 payable, 2500 debt"
    );
    market.adjust("monthly", 4_000).await;
    assert_eq!(
        market.payable("fair").await,
        "2500 - 0 - 2500 = 0 payable, 0 debt"
    );
}

async fn the_own_seller_withholds_first_and_the_one_above_the_rest(market: Market) {
    market
        .agree(
            "upper",
            "reseller",
            "platform",
            json!({ "commission_bp": 2000 }),
        )
        .await;
    market.by_bank("upper").await;
    market.on_credit("lower", "upper", "debtor", "0.10").await;
    let card = market.sms_card("upper", "0.10").await;
    market
        .agree(
            "payer",
            "customer",
            "upper",
            json!({ "rate_card": card, "credit_limit_cents": 0 }),
        )
        .await;
    market.adjust("payer", 1_000).await;
    market
        .send_sms("unpaid", "debtor", "100", "2026-11-20T09:00:00Z")
        .await;
    market
        .send_sms("paid", "payer", "100", "2026-11-20T09:00:00Z")
        .await;
    market.served.set_clock(MONTH_LATER);
    // 10.00 = 2.50 lower + 1.50 upper + 6.00 platform.
    for (came_in, lower, upper) in [
        (
            0,
            "250 - 250 - 0 = 0 payable, 0 debt",
            "350 - 150 - 0 = 200 payable, 0 debt",
        ),
        (
            500,
            "250 - 250 - 0 = 0 payable, 0 debt",
            "350 - 150 - 0 = 200 payable, 0 debt",
        ),
        (
            150,
            "250 - 250 - 0 = 0 payable, 0 debt",
            "350 - 100 - 0 = 250 payable, 0 debt",
        ),
        (
            101,
            "250 - 249 - 0 = 0 payable, 0 debt",
            "350 - 0 - 0 = 350 payable, 0 debt",
        ),
        (
            249,
            "250 - 0 - 0 = 250 payable, 0 debt",
            "350 - 0 - 0 = 350 payable, 0 debt",
        ),
    ] {
        if came_in > 0 {
            market.adjust("debtor", came_in).await;
        }
        assert_eq!(
            (
                market.payable("lower").await.as_str(),
                market.payable("upper").await.as_str()
            ),
            (lower, upper),
            "{came_in} more"
        );
    }
}

async fn commission_is_taken_back_after_the_payout(market: Market) {
    market.by_bank("platform").await;
    market.by_bank("muster").await;
    let event = |id: &str, customer: &str, at: &str| {
        let mut event = call(id, customer, "6000");
        event["at"] = json!(at);
        event
    };
    for (id, customer) in [("one", "acme-42"), ("two", "acme-43")] {
        market
            .admin()
            .post(
                "/v1/usage-events",
                event(id, customer, "2026-11-20T09:00:00Z"),
            )
            .await
            .ok();
    }
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        (market.run().await, market.file().await),
        (vec!["muster created 2000".to_owned()], "2000".to_owned())
    );
    assert_eq!(
        market.payable("muster").await,
        "2000 - 0 - 2000 = 0 payable, 0 debt"
    );
    // What acme-42 had paid goes back to it, as after a lost dispute.
    market.adjust("acme-42", -5_000).await;
    assert_eq!(market.balance("acme-42").await, -4_000);
    assert_eq!(
        market.payable("muster").await,
        "2000 - 1000 - 2000 = 0 payable, 1000 debt"
    );
    // A void takes the rest.
    let void = json!({ "reason": "never happened" });
    market
        .once()
        .post("/v1/usage-events/default/two/void", void)
        .await
        .ok();
    assert_eq!(
        market.payable("muster").await,
        "2000 - 1000 - 2000 = 0 payable, 2000 debt"
    );
    // Later commission is set off against it before anything is paid.
    for id in ["three", "four", "five"] {
        market
            .admin()
            .post(
                "/v1/usage-events",
                event(id, "acme-43", "2026-12-20T09:00:00Z"),
            )
            .await
            .ok();
        market
            .adjust("acme-43", 4_000 + i64::from(id == "five"))
            .await;
    }
    market.served.set_clock("2027-01-20T12:00:00Z");
    assert_eq!(
        market.payable("muster").await,
        "4000 - 1000 - 2000 = 1000 payable, 0 debt"
    );
    assert_eq!(
        (market.run().await, market.file().await),
        (vec!["muster created 1000".to_owned()], "1000".to_owned())
    );
}

async fn what_is_due_is_looked_at_again_when_it_is_sent(market: Market) {
    market.by_bank("platform").await;
    market.by_bank("muster").await;
    for (id, customer) in [("one", "acme-42"), ("two", "acme-43")] {
        market
            .admin()
            .post("/v1/usage-events", call(id, customer, "6000"))
            .await
            .ok();
    }
    market.served.set_clock(MONTH_LATER);
    assert_eq!(market.run().await, ["muster created 2000"]);
    // Between the run and the file for the bank.
    market.adjust("acme-42", -5_000).await;
    // There is something on the balance that would cover it: its own money, which is no commission.
    market.adjust("muster", 10_000).await;
    assert_eq!(market.file().await, "409 nothing_due");
    let payouts = market.admin().get("/v1/payouts?reseller=muster").await.ok();
    assert_eq!(
        (
            &payouts["data"][0]["state"],
            payouts["data"].as_array().unwrap().len()
        ),
        (&json!("due"), 1)
    );
    let due = format!("/v1/payouts/{}", payouts["data"][0]["id"].as_str().unwrap());
    assert_eq!(
        market
            .once()
            .post(&format!("{due}/paid"), json!({ "reference": "by hand" }))
            .await
            .code(),
        "409 not_payable"
    );
    assert_eq!(
        market.payable("muster").await,
        "2000 - 1000 - 2000 = 0 payable, 0 debt",
        "nothing went out yet"
    );
    // It pays again: the same payout goes out.
    market.adjust("acme-42", 4_000).await;
    assert_eq!(market.file().await, "2000");
}

/// The customer pays its price of nothing; what the reseller owes for it nobody pays.
async fn a_reseller_below_zero_is_a_customer_as_well(market: Market) {
    market
        .agree(
            "upper",
            "reseller",
            "platform",
            json!({ "commission_bp": 2500 }),
        )
        .await;
    market.by_bank("upper").await;
    let dear = market.sms_card("upper", "1.00").await;
    market
        .agree(
            "lower",
            "reseller",
            "upper",
            json!({ "rate_card": dear, "credit_limit_cents": 0 }),
        )
        .await;
    let free = market.sms_card("lower", "0").await;
    market
        .agree(
            "friend",
            "customer",
            "lower",
            json!({ "rate_card": free, "credit_limit_cents": 0 }),
        )
        .await;
    market
        .send_sms("free", "friend", "100", "2026-11-20T09:00:00Z")
        .await;
    assert_eq!(
        (market.balance("lower").await, market.balance("upper").await),
        (-10_000, 2_500)
    );
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("upper").await,
        "2500 - 2500 - 0 = 0 payable, 0 debt"
    );
    assert_eq!(market.withheld("upper").await, ["lower 2500 of 10000"]);
    market.adjust("lower", 10_000).await;
    assert_eq!(
        market.payable("upper").await,
        "2500 - 0 - 0 = 2500 payable, 0 debt"
    );
}

/// `upper` buys at 0.30 and sells to `lower` for next to nothing; the customer pays 1.00, and
/// `upper` nothing.
async fn what_is_sold_below_cost_is_withheld_from_those_below(market: Market) {
    market
        .agree(
            "upper",
            "reseller",
            "platform",
            json!({ "rate_card": market.sms_card("platform", "0.30").await }),
        )
        .await;
    let cheap = market.sms_card("upper", "0.0001").await;
    market
        .agree("lower", "reseller", "upper", json!({ "rate_card": cheap }))
        .await;
    let retail = market.sms_card("lower", "1.00").await;
    market
        .agree(
            "payer",
            "customer",
            "lower",
            json!({ "rate_card": retail, "credit_limit_cents": 0 }),
        )
        .await;
    market.by_bank("platform").await;
    market.by_bank("upper").await;
    market.by_bank("lower").await;
    market.adjust("payer", 10_000).await;
    market
        .send_sms("all", "payer", "100", "2026-11-20T09:00:00Z")
        .await;
    assert_eq!(
        (market.balance("upper").await, market.balance("lower").await),
        (-2_999, 9_999)
    );
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        market.payable("lower").await,
        "9999 - 2999 - 0 = 7000 payable, 0 debt"
    );
    assert_eq!(market.withheld("lower").await, ["payer 2999 of 2999"]);
    assert_eq!(
        market.payable("upper").await,
        "-2999 - 0 - 0 = 0 payable, 2999 debt"
    );
    // It pays a part of what it lost.
    market.adjust("upper", 1_999).await;
    assert_eq!(
        market.payable("lower").await,
        "9999 - 1000 - 0 = 8999 payable, 0 debt"
    );
    assert_eq!(
        market.withheld("lower").await,
        ["payer 1000 of 1000"],
        "and not what the one above lost"
    );
    market.run().await;
    assert_eq!(market.file().await, "8999");
    // Once paid out it is a debt of the one below.
    market.adjust("upper", -1_000).await;
    assert_eq!(
        market.payable("lower").await,
        "9999 - 2000 - 8999 = 0 payable, 1000 debt"
    );
}

async fn money_given_with_a_price_below_zero_is_nobodys_commission(market: Market) {
    let admin = market.by("muster admin");
    let card = admin
        .post(
            "/v1/rate-cards",
            json!({ "name": "gifts", "currency": "EUR" }),
        )
        .await
        .ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut doc = one_rate("sms", json!({ "model": "per_unit", "unit_price": "-10" }));
    doc["currency"] = json!("EUR");
    admin
        .post(&format!("/v1/rate-cards/{card}/versions"), doc)
        .await
        .ok();
    let refused = admin
        .post(
            &format!("/v1/rate-cards/{card}/versions/1/publish"),
            json!({}),
        )
        .await;
    assert_eq!(refused.code(), "422 invalid_card", "{refused:?}");
    assert!(
        refused.text.contains("rates[0].price.unit_price") && refused.text.contains("negative"),
        "{refused:?}"
    );
    // The platform's own may: it gives what is its own.
    market.sms_card("platform", "-0.01").await;
}

/// Each message has its own price, and terms changed under way; then the month counts, and gives a
/// customer back what it paid. The platform took nothing of that count: whoever sold it bears it.
async fn what_a_commission_never_took_its_seller_does_not_give_back(market: Market) {
    let noon = "2026-11-20T12:00:00Z";
    let falling = json!({ "model": "volume", "tiers": [{ "up_to": "1000", "unit_price": "1.00" }, { "unit_price": "0" }] });
    for (reseller, customer, collect) in [
        ("held", "tenant-of-held", "platform"),
        ("own", "tenant-of-own", "reseller"),
    ] {
        let terms = |share: u16| json!({ "commission_bp": share, "free_retail": true, "credit_limit_cents": null });
        let mut before = terms(1000);
        before["until"] = json!(noon);
        market.agree(reseller, "reseller", "platform", before).await;
        let mut after = terms(2500);
        (after["buyer"], after["currency"], after["from"]) =
            (json!(reseller), json!("EUR"), json!(noon));
        market.once().post("/v1/agreements", after).await.ok();
        let card = market.sms_card(reseller, "1.00").await;
        market
            .publish(
                &card,
                2,
                one_rate("sms", falling.clone()),
                "2026-11-20T12:30:00Z",
            )
            .await;
        market
            .agree(
                customer,
                "customer",
                reseller,
                json!({ "rate_card": card, "collect": collect, "credit_limit_cents": null }),
            )
            .await;
        market.by_bank(reseller).await;
    }
    market.served.set_clock("2026-11-20T13:00:00Z");
    for (reseller, customer) in [("held", "tenant-of-held"), ("own", "tenant-of-own")] {
        market
            .use_of("sms", "on", customer, "1000", "2026-11-20T12:10:00Z")
            .await;
        market
            .use_of("sms", "off", customer, "1", "2026-11-20T12:40:00Z")
            .await;
        assert_eq!(
            (
                market.balance(customer).await,
                market.balance(reseller).await
            ),
            (0, -75_000),
            "{reseller}"
        );
    }
    market.served.set_clock(MONTH_LATER);
    for (reseller, debt) in [("held", 75_000), ("own", 0)] {
        assert_eq!(
            market.payable(reseller).await,
            format!("-75000 - 0 - 0 = 0 payable, {debt} debt"),
            "{reseller}"
        );
    }
    let run = market.run().await;
    assert!(run.iter().all(|line| !line.contains("created")), "{run:?}");
}

/// `upper` was paid out what it earned. Later it earns as much from usage that nobody pays for, and
/// loses as much on what `lower` sells: on its balance nothing is missing.
async fn a_payout_hides_no_loss_that_is_sold_downwards(market: Market) {
    market.by_bank("platform").await;
    let dear = market.sms_card("platform", "0.75").await;
    market
        .agree(
            "upper",
            "reseller",
            "platform",
            json!({ "rate_card": dear }),
        )
        .await;
    let retail = market.sms_card("upper", "1.00").await;
    market
        .agree(
            "payer",
            "customer",
            "upper",
            json!({ "rate_card": retail, "credit_limit_cents": 0 }),
        )
        .await;
    market
        .agree(
            "straw-man",
            "customer",
            "upper",
            json!({ "rate_card": retail, "credit_limit_cents": null }),
        )
        .await;
    let cheap = market.sms_card("upper", "0.50").await;
    market
        .agree("lower", "reseller", "upper", json!({ "rate_card": cheap }))
        .await;
    let card = market.sms_card("lower", "1.00").await;
    market
        .agree(
            "below",
            "customer",
            "lower",
            json!({ "rate_card": card, "credit_limit_cents": 0 }),
        )
        .await;
    market.by_bank("upper").await;
    market.by_bank("lower").await;
    market.adjust("payer", 1_000).await;
    market
        .send_sms("paid", "payer", "10", "2026-11-20T09:00:00Z")
        .await;
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        (market.run().await, market.file().await),
        (
            vec![
                "upper created 250".to_owned(),
                "lower nothing_payable 0".to_owned()
            ],
            "250".to_owned()
        )
    );
    market
        .send_sms("unpaid", "straw-man", "10", "2026-12-20T09:00:00Z")
        .await;
    market.adjust("below", 1_000).await;
    market
        .send_sms("lost", "below", "10", "2026-12-20T09:00:00Z")
        .await;
    assert_eq!(
        (market.balance("upper").await, market.balance("lower").await),
        (0, 500)
    );
    market.served.set_clock("2027-01-20T12:00:00Z");
    // 10.00 came in from `below`, and 7.50 of it are the platform's.
    assert_eq!(
        market.payable("lower").await,
        "500 - 250 - 0 = 250 payable, 0 debt"
    );
    assert_eq!(market.withheld("lower").await, ["below 250 of 250"]);
    market.adjust("straw-man", 1_000).await;
    assert_eq!(
        market.payable("lower").await,
        "500 - 0 - 0 = 500 payable, 0 debt"
    );
}

/// What nobody paid stands on the seller's balance, and pays for nothing that it gives away below
/// cost.
async fn withheld_commission_covers_no_hold(market: Market) {
    let wholesale = market.sms_card("platform", "0.30").await;
    market
        .agree(
            "greedy",
            "reseller",
            "platform",
            json!({ "rate_card": wholesale, "credit_limit_cents": 0 }),
        )
        .await;
    let retail = market.sms_card("greedy", "1.00").await;
    market
        .agree(
            "straw-man",
            "customer",
            "greedy",
            json!({ "rate_card": retail, "credit_limit_cents": null }),
        )
        .await;
    let free = market.sms_card("greedy", "0").await;
    market
        .agree(
            "friend",
            "customer",
            "greedy",
            json!({ "rate_card": free, "credit_limit_cents": 0 }),
        )
        .await;
    market
        .send_sms("fake", "straw-man", "100", "2026-11-20T09:00:00Z")
        .await;
    assert_eq!(
        (
            market.balance("straw-man").await,
            market.balance("greedy").await
        ),
        (-10_000, 7_000)
    );
    let sms = |id: &str, count: &str, more: bool| {
        let usage = json!({ "id": id, "customer": "friend", "meter": "sms", "quantity": count, "destination": "+4915112345" });
        json!({ "usage": usage, "as_much_as_possible": more })
    };
    let place = async |id: &str, count: &str, more: bool| {
        market.once().post("/v1/holds", sms(id, count, more)).await
    };
    assert_eq!(
        place("first", "10", false).await.code(),
        "402 insufficient_balance"
    );
    assert_eq!(
        place("second", "10", true).await.code(),
        "402 insufficient_balance"
    );
    // Its own money does.
    market.adjust("greedy", 300).await;
    let held = place("third", "20", true).await.ok();
    assert_eq!(
        (
            &held["quantity"],
            &held["amounts"][0]["tenant"],
            &held["amounts"][0]["cents"]
        ),
        (&json!("10"), &json!("greedy"), &json!(300))
    );
    assert_eq!(
        place("fourth", "1", false).await.code(),
        "402 insufficient_balance"
    );
    let longer = async || {
        market
            .once()
            .post("/v1/holds/third/extend", json!({ "quantity": "20" }))
            .await
    };
    assert_eq!(longer().await.code(), "402 insufficient_balance");
    // And so does commission once its customer has paid.
    market.adjust("straw-man", 10_000).await;
    assert_eq!(longer().await.ok()["amounts"][0]["cents"], 600);
    assert_eq!(place("fourth", "1", false).await.status, 201);
}

async fn withheld_commission_pays_for_no_void(market: Market) {
    let wholesale = market.sms_card("platform", "0.30").await;
    market
        .agree(
            "greedy",
            "reseller",
            "platform",
            json!({ "rate_card": wholesale, "credit_limit_cents": 0 }),
        )
        .await;
    let retail = market.sms_card("greedy", "1.00").await;
    for (customer, credit) in [("straw-man", json!(null)), ("payer", json!(0))] {
        market
            .agree(
                customer,
                "customer",
                "greedy",
                json!({ "rate_card": retail, "credit_limit_cents": credit }),
            )
            .await;
    }
    market.adjust("payer", 10_000).await;
    for (id, customer) in [("real", "payer"), ("fake", "straw-man")] {
        market
            .send_sms(id, customer, "100", "2026-11-20T09:00:00Z")
            .await;
    }
    assert_eq!(
        (
            market.balance("payer").await,
            market.balance("greedy").await
        ),
        (0, 14_000)
    );
    let key = json!({ "name": "its own", "tenant": "greedy", "scope": "tenant_admin" });
    let key = market.once().post("/v1/api-keys", key).await.ok();
    let greedy = market.admin().with_key(key["secret"].as_str());
    let void = async |key: &str| {
        greedy
            .once(key)
            .post(
                "/v1/usage-events/default/real/void",
                json!({ "reason": "a gift" }),
            )
            .await
    };
    assert_eq!(void("first").await.code(), "402 insufficient_balance");
    market.adjust("straw-man", 10_000).await;
    void("second").await.ok();
    assert_eq!(
        (
            market.balance("payer").await,
            market.balance("greedy").await
        ),
        (10_000, 4_000)
    );
}

/// A reseller gives a call of one of its customers to another: the links above it stay as they are,
/// so those above have never sold to the one that owes.
async fn a_customer_named_later_from_below_is_paid_for_before_anybody_above(market: Market) {
    market
        .agree(
            "upper",
            "reseller",
            "platform",
            json!({ "commission_bp": 5000 }),
        )
        .await;
    market.by_bank("upper").await;
    for (buyer, kind, seller, unit_price) in [
        ("lower", "reseller", "upper", "0.08"),
        ("debtor", "customer", "lower", "0.10"),
    ] {
        let card = market.sms_card(seller, unit_price).await;
        market
            .agree(
                buyer,
                kind,
                seller,
                json!({ "rate_card": card, "credit_limit_cents": null }),
            )
            .await;
    }
    market.by_bank("lower").await;
    market
        .admin()
        .post(
            "/v1/tenants",
            json!({ "external_id": "unnamed", "kind": "customer", "name": "x", "parent": "lower" }),
        )
        .await
        .ok();
    let sms = json!({ "id": "sent", "customer": "unnamed", "meter": "sms", "quantity": "100", "at": "2026-11-20T09:00:00Z", "destination": "+4915112345" });
    let sent = market.admin().post("/v1/usage-events", sms.clone()).await;
    assert_eq!(sent.ok()["status"], "partly_rated");

    let key = json!({ "name": "its own", "tenant": "lower", "scope": "tenant_admin" });
    let key = market.once().post("/v1/api-keys", key).await.ok();
    let mut event = sms;
    event["id"] = json!("named");
    event["customer"] = json!("debtor");
    market
        .admin()
        .with_key(key["secret"].as_str())
        .once("it was theirs")
        .post(
            "/v1/usage-events/default/sent/correct",
            json!({ "reason": "it was theirs", "event": event }),
        )
        .await
        .ok();
    assert_eq!(
        (
            market.balance("debtor").await,
            market.balance("lower").await,
            market.balance("upper").await
        ),
        (-1_000, 200, 400)
    );

    market.served.set_clock(MONTH_LATER);
    for (came_in, upper) in [
        (0, "400 - 400 - 0 = 0 payable, 0 debt"),
        (500, "400 - 300 - 0 = 100 payable, 0 debt"),
        (500, "400 - 0 - 0 = 400 payable, 0 debt"),
    ] {
        if came_in > 0 {
            market.adjust("debtor", came_in).await;
        }
        assert_eq!(market.payable("upper").await, upper, "{came_in} more");
    }
    assert_eq!(
        market.payable("lower").await,
        "200 - 0 - 0 = 200 payable, 0 debt"
    );
}

async fn what_a_customer_gets_back_takes_commission_with_it(market: Market) {
    market.by_bank("platform").await;
    market.on_credit("fair", "platform", "payer", "0.10").await;
    market
        .send_sms("november", "payer", "100", "2026-11-20T09:00:00Z")
        .await;
    let payment = market.pay_by_card("payer", 1000).await;
    market.served.set_clock(MONTH_LATER);
    assert_eq!(
        (market.run().await, market.file().await),
        (vec!["fair created 250".to_owned()], "250".to_owned())
    );
    market.served.stripe.refund(&payment, 200).unwrap();
    market.hear().await;
    assert_eq!(
        (
            market.balance("payer").await,
            market.payable("fair").await.as_str()
        ),
        (-200, "250 - 200 - 250 = 0 payable, 200 debt")
    );
    let other = market.pay_by_card("payer", 1000).await;
    assert_eq!(
        market.payable("fair").await,
        "250 - 0 - 250 = 0 payable, 0 debt"
    );
    // While it is disputed the money is set aside; then it is lost.
    let dispute = market
        .served
        .stripe
        .dispute(&other, None, "needs_response")
        .unwrap();
    market.hear().await;
    assert_eq!(
        (
            market.balance("payer").await,
            market.payable("fair").await.as_str()
        ),
        (-200, "250 - 200 - 250 = 0 payable, 200 debt")
    );
    market
        .served
        .stripe
        .close_dispute(&dispute, "lost")
        .unwrap();
    market.hear().await;
    assert_eq!(
        market.payable("fair").await,
        "250 - 200 - 250 = 0 payable, 200 debt"
    );
    assert_eq!(
        market.run().await,
        Vec::<String>::new(),
        "this period has one"
    );
    // Later commission is set off against it.
    market
        .send_sms("december", "payer", "200", "2026-12-20T09:00:00Z")
        .await;
    market.adjust("payer", 2000).await;
    market.served.set_clock("2027-01-20T12:00:00Z");
    assert_eq!(
        market.payable("fair").await,
        "750 - 200 - 250 = 300 payable, 0 debt"
    );
}

async fn payouts_run_at_once_pay_once(market: Market) {
    market.by_bank("platform").await;
    market.by_bank("muster").await;
    for (id, customer) in [("one", "acme-42"), ("two", "acme-43")] {
        market
            .admin()
            .post("/v1/usage-events", call(id, customer, "6000"))
            .await
            .ok();
    }
    market.adjust("acme-43", -2_000).await;
    market.served.set_clock(MONTH_LATER);
    // acme-43 owes 10.00, all of what muster earned from it.
    let runs = futures_util::future::join_all((0..8).map(|_| market.run())).await;
    let created: Vec<&String> = runs
        .iter()
        .flatten()
        .filter(|line| line.contains("created"))
        .collect();
    assert_eq!(created, ["muster created 1000"]);
    let files = futures_util::future::join_all((0..4).map(|_| market.file())).await;
    assert_eq!(
        files.iter().filter(|made| *made == "1000").count(),
        1,
        "{files:?}"
    );
    assert_eq!(
        market.payable("muster").await,
        "2000 - 1000 - 1000 = 0 payable, 0 debt"
    );
}

/// Months were added up before commission by customer was: it is made up for once, from the
/// beginning.
mod before {
    use crate::cashier::{Cashier, EUR};
    use crate::world::{Backend, on_every_journal};
    use journal::{EntryQuery, Of, Seq};
    use metering::requests::MoneyKind;
    use payouts::rows::{CommissionMonth, MoveKind, PayoutMethod, PayoutRows, Sum, Sums};
    use rating::Cents;

    on_every_journal!(months_that_were_there_before_are_added_up_by_customer);

    async fn months_that_were_there_before_are_added_up_by_customer(backend: Backend) {
        let cashier = Cashier::in_december(backend, PayoutMethod::Bank).await;
        let (world, muster) = (&cashier.world, cashier.world.tenant("muster"));
        let account = ledger::AccountKey::balance(muster.id, EUR);
        let all = EntryQuery {
            of: Of::Account(account),
            after: None,
            newest_first: false,
            limit: 100,
        };
        let records = world.journal.read(&all).await.unwrap();
        assert_eq!(records.len(), 3);
        let sum = |cents| Sum {
            cents: Cents(cents),
            entries: 2,
        };
        let november = CommissionMonth {
            root: muster.root,
            tenant: muster.id,
            currency: EUR,
            month: 2026 * 12 + 10,
            after: Seq(0),
            through: records[1].seq,
            opening: Cents(0),
            accrued: Cents(0),
            sums: Sums::from([
                (MoveKind::ChargesReceived, sum(800)),
                (MoveKind::ChargesPaid, sum(-600)),
            ]),
            closed_at: None,
        };
        assert!(
            PayoutRows::of(&world.catalog)
                .add_commission(None, std::slice::from_ref(&november), None)
                .await
                .unwrap()
        );
        // Of 50.00, three calls of 4.00 and this: 2.50 are missing.
        world
            .move_money(MoneyKind::Adjustment, "acme-42", -4_050, EUR, "chargeback")
            .await
            .unwrap();
        assert_eq!(
            cashier.run(true).await,
            ["muster 2026-11 BelowMinimum, 50 carried"]
        );
        let by_customer = PayoutRows::of(&world.catalog)
            .commission_customers(muster.root, muster.id, EUR, None, 10)
            .await
            .unwrap();
        let lines: Vec<_> = by_customer
            .data
            .iter()
            .map(|one| (world.name(one.customer), one.cents.0, one.path.len()))
            .collect();
        assert_eq!(
            (lines, by_customer.has_more),
            (vec![("acme-42".to_owned(), 300, 3)], false)
        );
        let position = PayoutRows::of(&world.catalog)
            .commission_position(muster.root, muster.id, EUR)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (position.through, position.own, position.is_complete),
            (records[2].seq, Cents(0), true)
        );
        // Again: nothing is added twice.
        assert_eq!(
            cashier.run(true).await,
            ["muster 2026-11 BelowMinimum, 50 carried"]
        );
    }
}
