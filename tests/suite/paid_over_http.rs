//! Payments through the whole server: what callers are answered, what payers read, what the
//! provider tells, in a world that means no well.

use crate::http_world::{Market, on_every_database};
use crate::served::Answer;
use hyper::Method;
use notices::rows::{NoticeKind, NoticeRows};
use payments::rows::PaymentRows;
use serde_json::{Value, json};
use test_stripe::{Behaviour, Delivery};

on_every_database!(
    a_top_up_needs_an_agreement_in_its_currency,
    who_is_closed_or_has_no_agreement_gets_no_payment_page,
    the_payers_page_says_what_the_books_know,
    moves_that_cannot_be_counted_are_listed,
    a_payment_in_a_currency_that_is_not_ours_is_in_suspense,
    money_of_nobody_can_be_given_back,
    what_is_done_on_the_providers_pages_differs,
    fees_of_refunds_and_conversions_are_posted,
    ids_that_are_none_are_ignored_by_name,
);

impl Market {
    async fn ask_for(&self, key: &str, body: Value) -> Answer {
        let mut asked = json!({ "tenant": "acme-42", "cents": 2500, "method": "checkout" });
        asked
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        self.admin().once(key).post("/v1/top-ups", asked).await
    }

    /// A page of 25.00: the top-up's id, and the provider's of the page.
    async fn page(&self, key: &str) -> (String, String) {
        let page = self.ask_for(key, json!({})).await.ok();
        (
            text(&page["id"]),
            text(&page["url"]).rsplit('/').next().unwrap().to_owned(),
        )
    }

    async fn paid(&self, key: &str) -> (String, String) {
        let (top_up, session) = self.page(key).await;
        let payment = self
            .served
            .stripe
            .pay(&session, &Behaviour::Succeeds)
            .unwrap();
        self.hear_all().await;
        (top_up, payment)
    }

    async fn tell(&self, messages: &[test_stripe::Message]) -> Vec<u16> {
        let mut statuses = Vec::new();
        for message in messages {
            let asking = self.admin().with_key(None).signed(&message.signature);
            statuses.push(
                asking
                    .ask(
                        Method::POST,
                        "/v1/webhooks/stripe",
                        message.body.clone().into(),
                    )
                    .await
                    .unwrap()
                    .status,
            );
        }
        statuses
    }

    /// All that waits at the provider is told and worked off.
    async fn hear_all(&self) {
        let messages = self.served.stripe.messages(&Delivery::signed(&["whsec_1"]));
        assert!(
            self.tell(&messages)
                .await
                .iter()
                .all(|status| *status == 200)
        );
        self.served.work_off_payments().await;
    }

    /// A minute later: a comparison ends before its own moment.
    async fn reconciled(&self) -> Value {
        self.served.set_clock(
            &self
                .served
                .running
                .app
                .clock
                .now()
                .plus_secs(60)
                .to_string(),
        );
        self.admin()
            .get("/v1/payments/reconciliation?days=2")
            .await
            .ok()
    }

    async fn suspense(&self) -> Vec<Value> {
        self.admin().get("/v1/payments/suspense").await.ok()["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// An endpoint that is told of what needs attention: notices go out beside the test.
    async fn attentive(&self) -> String {
        let hook = json!({ "url": "http://127.0.0.1:1/", "kinds": ["payment.attention"], "subtree": true });
        text(&self.admin().post("/v1/webhook-endpoints", hook).await.ok()["id"])
    }

    /// How often.
    async fn told(&self, endpoint: &str) -> usize {
        while NoticeRows::of(&self.served.running.app.catalog)
            .unsent_notices()
            .await
            .unwrap()
            .iter()
            .any(|one| one.kind == NoticeKind::PaymentAttention)
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.admin()
            .get(&format!("/v1/webhook-endpoints/{endpoint}/deliveries"))
            .await
            .ok()["data"]
            .as_array()
            .unwrap()
            .len()
    }

    async fn end_agreements(&self, buyer: &str) {
        let found = self
            .admin()
            .get(&format!("/v1/agreements?buyer={buyer}"))
            .await
            .ok();
        for terms in found["data"].as_array().unwrap() {
            self.admin()
                .post(
                    &format!("/v1/agreements/{}/end", text(&terms["id"])),
                    json!({}),
                )
                .await
                .ok();
        }
    }

    /// What a browser shows at one of the addresses that the provider sends a payer back to.
    async fn read(&self, session: &str, which: &str) -> String {
        let page = self.served.stripe.object(session).unwrap();
        let path = text(&page[which])
            .strip_prefix("https://billing.example")
            .unwrap()
            .to_owned();
        let answer = self.admin().with_key(None).get(&path).await;
        assert_eq!(answer.status, 200);
        answer.text
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

async fn a_top_up_needs_an_agreement_in_its_currency(market: Market) {
    for (method, code) in [
        ("checkout", "422 currency_not_agreed"),
        ("manual", "409 no_agreement_in_force"),
    ] {
        let asked = json!({ "currency": "USD", "method": method, "reason": "cash" });
        assert_eq!(market.ask_for(method, asked).await.code(), code, "{method}");
    }
    let auto = json!({ "enabled": true, "threshold_cents": 1000, "amount_cents": 5000, "month_max_cents": 9000, "currency": "USD" });
    let set = market
        .admin()
        .ask(
            Method::PUT,
            "/v1/accounts/acme-42/auto-top-up",
            auto.to_string().into(),
        )
        .await
        .unwrap();
    assert_eq!(set.code(), "422 currency_not_agreed");
    assert_eq!(
        market
            .ask_for("euros", json!({ "currency": "EUR" }))
            .await
            .status,
        201
    );
    assert!(
        market
            .served
            .stripe
            .all("checkout.session")
            .iter()
            .all(|page| page["currency"] == "eur")
    );
}

async fn who_is_closed_or_has_no_agreement_gets_no_payment_page(market: Market) {
    let (open, session) = market.page("open").await;
    market.end_agreements("acme-42").await;
    market
        .admin()
        .post("/v1/tenants/acme-43/close", json!({}))
        .await
        .ok();
    for (tenant, code) in [
        ("acme-42", "409 no_agreement_in_force"),
        ("acme-43", "422 tenant_closed"),
    ] {
        assert_eq!(
            market
                .ask_for(tenant, json!({ "tenant": tenant, "currency": "EUR" }))
                .await
                .code(),
            code
        );
        let auto = json!({ "enabled": true, "threshold_cents": 1, "amount_cents": 5000, "month_max_cents": 9000, "currency": "EUR" });
        let path = format!("/v1/accounts/{tenant}/auto-top-up");
        assert_eq!(
            market
                .admin()
                .ask(Method::PUT, &path, auto.to_string().into())
                .await
                .unwrap()
                .code(),
            code
        );
    }
    assert_eq!(market.served.stripe.all("checkout.session").len(), 1);
    // Who is paying already is credited, and can be given it back.
    market
        .served
        .stripe
        .pay(&session, &Behaviour::Succeeds)
        .unwrap();
    market.hear_all().await;
    assert_eq!(market.balance("acme-42").await, 7500);
    let refunds = format!("/v1/top-ups/{open}/refunds");
    assert_eq!(
        market
            .admin()
            .once("back")
            .post(&refunds, json!({ "reason": "closed" }))
            .await
            .ok()["state"],
        "succeeded"
    );
    assert_eq!(market.balance("acme-42").await, 5000);
}

async fn the_payers_page_says_what_the_books_know(market: Market) {
    let titles = [
        "Not paid yet",
        "Thank you",
        "Payment in progress",
        "Payment failed",
        "Payment refunded",
    ];
    let title_of = |page: &str| {
        titles
            .iter()
            .find(|title| page.contains(&format!("<title>{title}</title>")))
            .copied()
            .unwrap_or("?")
    };
    let both = async |session: &str| {
        let (done, cancelled) = (
            market.read(session, "success_url").await,
            market.read(session, "cancel_url").await,
        );
        assert_eq!(title_of(&done), title_of(&cancelled), "{done} {cancelled}");
        for page in [&done, &cancelled] {
            assert!(
                !page.contains("acme") && !page.contains("pi_") && !page.contains("top_"),
                "{page}"
            );
        }
        (title_of(&done), done.contains("http-equiv=\"refresh\""))
    };
    // Its link is opened without paying.
    let (top_up, card) = market.page("card").await;
    assert_eq!(both(&card).await, ("Not paid yet", true));
    let payment = market
        .served
        .stripe
        .pay(&card, &Behaviour::Succeeds)
        .unwrap();
    market.served.set_clock("2026-11-20T12:01:00Z");
    assert_eq!(
        both(&card).await,
        ("Thank you", false),
        "nobody told us of it yet"
    );
    market.served.stripe.refund(&payment, 2500).unwrap();
    market.hear_all().await;
    assert_eq!(both(&card).await, ("Payment refunded", false), "{top_up}");
    let (_, sepa) = market.page("sepa").await;
    let payment = market.served.stripe.pay(&sepa, &Behaviour::Sepa).unwrap();
    market.served.set_clock("2026-11-20T12:02:00Z");
    assert_eq!(both(&sepa).await, ("Payment in progress", true));
    market.served.stripe.settle(&payment, false);
    market.hear_all().await;
    assert_eq!(both(&sepa).await, ("Payment failed", false));
    let (_, late) = market.page("late").await;
    market.served.stripe.expire(&late).unwrap();
    market.served.set_clock("2026-11-20T12:03:00Z");
    assert_eq!(both(&late).await, ("Payment failed", false));
    // A link that somebody guessed: nothing tells a wrong one from one that cannot be.
    let guess = async |token: &str| {
        market
            .admin()
            .with_key(None)
            .get(&format!("/pay/{token}/done"))
            .await
    };
    let (wrong, bad) = (guess(&"0".repeat(32)).await, guess("x").await);
    assert_eq!(
        (wrong.status, bad.status, &wrong.body["detail"]),
        (404, 404, &bad.body["detail"])
    );
}

async fn moves_that_cannot_be_counted_are_listed(market: Market) {
    market.paid("a").await;
    let tokens = market.served.stripe.adjust(1000, 0, "usdc");
    let parts = market.served.stripe.adjust(2275, 0, "isk");
    let found = market.reconciled().await;
    let listed = found["uncounted"].as_array().unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|one| {
            (
                text(&one["id"]),
                text(&one["currency"]),
                one["amount"].clone(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            (parts, "isk".to_owned(), json!(2275)),
            (tokens, "usdc".to_owned(), json!(1000))
        ]
    );
    assert_eq!(
        (&found["payments"], &found["differences"], &found["moves"]),
        (&json!(1), &json!(0), &json!(3)),
        "it went on"
    );
}

async fn a_payment_in_a_currency_that_is_not_ours_is_in_suspense(market: Market) {
    let attentive = market.attentive().await;
    let (top_up, session) = market.page("a").await;
    let payment = market.served.stripe.pay_as(&session, 2500, "usdc").unwrap();
    market.hear_all().await;
    assert_eq!(market.balance("acme-42").await, 5000);
    let suspense = market.suspense().await;
    assert_eq!(suspense.len(), 1, "{suspense:?}");
    assert_eq!(
        (text(&suspense[0]["id"]), text(&suspense[0]["top_up"])),
        (payment.clone(), top_up)
    );
    assert_eq!(
        (text(&suspense[0]["currency"]), &suspense[0]["cents"]),
        ("usdc".to_owned(), &json!(2500))
    );
    assert_eq!(market.told(&attentive).await, 1);
    // Told again, it is the same; given back at the provider, it is settled.
    market
        .served
        .running
        .app
        .payments
        .poll(rating::Instant(0))
        .await
        .unwrap();
    market.served.work_off_payments().await;
    assert_eq!(market.told(&attentive).await, 1);
    market.served.stripe.refund(&payment, 2500).unwrap();
    market.hear_all().await;
    assert_eq!(market.suspense().await, Vec::<Value>::new());
    // Parts of a unit that is not divided.
    let (_, session) = market.page("b").await;
    market.served.stripe.pay_as(&session, 2275, "isk").unwrap();
    market.hear_all().await;
    assert_eq!(market.suspense().await.len(), 1);
}

async fn money_of_nobody_can_be_given_back(market: Market) {
    // Another amount than was asked for: the top-up itself was never paid.
    let (top_up, session) = market.page("a").await;
    let payment = market.served.stripe.pay_as(&session, 4000, "eur").unwrap();
    market.hear_all().await;
    assert_eq!(market.suspense().await.len(), 1);
    // The tenant is below zero: this is none of its money.
    let debit = json!({ "tenant": "acme-42", "cents": -9000, "reason": "debt" });
    market
        .admin()
        .once("debt")
        .post("/v1/adjustments", debit)
        .await
        .ok();
    let refunds = format!("/v1/top-ups/{top_up}/refunds");
    let part = market
        .admin()
        .once("part")
        .post(&refunds, json!({ "cents": 1500, "reason": "not theirs" }))
        .await
        .ok();
    assert_eq!(
        (&part["state"], &part["cents"]),
        (&json!("succeeded"), &json!(1500))
    );
    let named = json!({ "reason": "not theirs", "payment": payment });
    assert_eq!(
        market.admin().once("rest").post(&refunds, named).await.ok()["cents"],
        2500
    );
    assert_eq!(
        (
            market.suspense().await.len(),
            market.balance("acme-42").await
        ),
        (0, -4000)
    );
    let again = market
        .admin()
        .once("more")
        .post(&refunds, json!({ "reason": "not theirs" }))
        .await;
    assert_eq!(again.code(), "409 not_refundable");
    let foreign = json!({ "reason": "not theirs", "payment": "pi_other" });
    assert_eq!(
        market
            .admin()
            .once("other")
            .post(&refunds, foreign)
            .await
            .code(),
        "422 invalid_field"
    );
    market.hear_all().await;
    assert_eq!(market.reconciled().await["differences"], 0);
}

async fn what_is_done_on_the_providers_pages_differs(market: Market) {
    market.paid("a").await;
    assert_eq!(market.reconciled().await["ok"], true);
    let transfer = market.served.stripe.transfer_there(700, "eur").unwrap();
    let adjustment = market.served.stripe.adjust(-300, 0, "eur");
    let found = market.reconciled().await;
    let of = |id: &str| {
        let one = found["listed"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["id"] == id)
            .unwrap_or_else(|| panic!("{found}"));
        (
            one["provider_cents"].as_i64().unwrap(),
            one["posted_cents"].as_i64().unwrap(),
        )
    };
    assert_eq!(
        (found["ok"].as_bool(), found["differences"].as_u64()),
        (Some(false), Some(2))
    );
    assert_eq!((of(&transfer), of(&adjustment)), ((-700, 0), (-300, 0)));
    // Taken back altogether, the transfer comes to nothing.
    market
        .served
        .stripe
        .reverse_there(&transfer, Some(200))
        .unwrap();
    let found = market.reconciled().await;
    let one = found["listed"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == transfer.as_str())
        .unwrap();
    assert_eq!(one["provider_cents"], -500);
    market.served.stripe.reverse_there(&transfer, None).unwrap();
    assert_eq!(
        market.reconciled().await["differences"],
        1,
        "the adjustment"
    );
}

async fn fees_of_refunds_and_conversions_are_posted(market: Market) {
    let stripe = &market.served.stripe;
    let expense = async |currency: &str| {
        let account = format!("/v1/accounts/muster?account=expense&currency={currency}");
        market.admin().get(&account).await.ok()["posted_cents"]
            .as_i64()
            .unwrap()
    };
    stripe.refund_fee(35);
    let (_, payment) = market.paid("a").await;
    stripe.refund(&payment, 1000).unwrap();
    market.hear_all().await;
    assert_eq!(
        expense("EUR").await,
        -62 - 35,
        "of the charge and of the refund"
    );
    assert_eq!(stripe.balance("eur"), 2500 - 1000 - 62 - 35);
    let refund = stripe.refund(&payment, 500).unwrap();
    stripe.end_refund(&refund, "failed").unwrap();
    market.hear_all().await;
    assert_eq!(
        expense("EUR").await,
        -62 - 35 - 35,
        "it is not given back when the refund fails"
    );
    assert_eq!(market.reconciled().await["ok"], true);
    stripe.settles_in("usd");
    market.paid("b").await;
    assert_eq!(
        (expense("EUR").await, expense("USD").await),
        (-62 - 35 - 35, -62),
        "taken in the currency that it is converted to"
    );
    let found = market.reconciled().await;
    assert_eq!(found["ok"], true, "{found}");
    for check in transfer::audit::verify(market.served.running.app.catalog.db())
        .await
        .unwrap()
    {
        assert!(check.ok, "{check:?}");
    }
}

async fn ids_that_are_none_are_ignored_by_name(market: Market) {
    let stripe = &market.served.stripe;
    let objects = [
        (
            "payment_intent.succeeded",
            json!({ "object": "payment_intent", "id": "../balance" }),
        ),
        (
            "payment_intent.succeeded",
            json!({ "object": "payment_intent", "id": "pi_1\u{0}" }),
        ),
        (
            "payment_intent.succeeded",
            json!({ "object": "payment_intent", "id": "pi_1?expand[]=customer" }),
        ),
        (
            "charge.refunded",
            json!({ "object": "charge", "id": "ch_1", "payment_intent": "pi_1/../../balance" }),
        ),
        (
            "charge.refunded",
            json!({ "object": "charge", "id": "../events" }),
        ),
        (
            "checkout.session.completed",
            json!({ "object": "checkout.session", "id": "cs_test_%2e%2e" }),
        ),
        (
            "transfer.reversed",
            json!({ "object": "transfer", "id": "tr_\u{0}" }),
        ),
        (
            "payment_method.detached",
            json!({ "object": "payment_method", "id": "pm_'\u{0}" }),
        ),
        (
            "customer.deleted",
            json!({ "object": "customer", "id": "x".repeat(100_000) }),
        ),
    ];
    for (kind, object) in &objects {
        stripe.emit(kind, object, None);
    }
    stripe.emit_thin("v1.billing.meter.error_report_triggered");
    let before = stripe.seen("GET", "/").len();
    market.hear_all().await;
    assert_eq!(
        stripe.seen("GET", "/").len(),
        before,
        "the provider is asked for none of them"
    );
    let app = &market.served.running.app;
    let look = PaymentRows::of(&app.catalog)
        .inbox_look(rating::Instant(0))
        .await
        .unwrap();
    assert_eq!(look.waiting, 0);
    let (mut notes, mut ids) = (Vec::new(), Vec::new());
    for event in stripe
        .all("event")
        .iter()
        .chain(&stripe.all("v2.core.event"))
    {
        ids.push(text(&event["id"]));
    }
    for id in ids {
        let event = PaymentRows::of(&app.catalog)
            .provider_event(&id)
            .await
            .unwrap()
            .unwrap();
        notes.push((format!("{:?}", event.state), event.note.unwrap_or_default()));
    }
    let named = notes
        .iter()
        .filter(|(_, note)| note == "an id that is none of the provider's")
        .count();
    assert_eq!(
        (notes.len(), named),
        (objects.len() + 1, objects.len()),
        "{notes:?}"
    );
    assert!(
        notes.iter().all(|(state, _)| state == "Ignored"),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|(_, note)| note == "an event of the second form"),
        "{notes:?}"
    );
}
