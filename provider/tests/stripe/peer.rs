//! The adapter against a peer that is not ours: a server in Python that checks every request
//! against the types of Stripe's official library, and signs with it. `tests/contract.sh` says
//! where its Python is; without it there is nothing to test.

use crate::world::{charge, key, request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use provider::stripe::{Stripe, StripeSettings};
use provider::{
    CheckoutRequest, CustomerRequest, DisputeStatus, Fee, Hook, HookError, MoveKind, MoveSum,
    Object, PayeeRequest, Payment, PaymentStatus, Provider as _, ProviderError, RefundRequest,
    RefundStatus, SessionStatus, TransferRequest,
};
use rating::{Cents, Currency, Instant};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// What was posted to us: signature and body.
type Inbox = Arc<Mutex<Vec<(String, Bytes)>>>;

struct Peer {
    url: String,
    stripe: Stripe,
    inbox: Inbox,
    _python: Child,
}

impl Peer {
    async fn start(python: &str) -> Self {
        let (inbox, hook) = listen().await;
        let port = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/contract/fake_stripe.py"
        );
        let mut command = Command::new(python);
        command
            .args([script, &port.to_string(), &hook, "whsec_a,whsec_b"])
            .kill_on_drop(true);
        let process = command.spawn().unwrap();
        let mut settings = StripeSettings::new("sk_test_1".parse().unwrap());
        settings.api_url = format!("http://127.0.0.1:{port}");
        settings.webhook_secrets = vec!["whsec_old".parse().unwrap(), "whsec_b".parse().unwrap()];
        settings.first_pause = Duration::from_millis(10);
        let peer = Self {
            url: settings.api_url.clone(),
            stripe: Stripe::new(&settings).unwrap(),
            inbox,
            _python: process,
        };
        peer.wait().await;
        peer
    }

    async fn wait(&self) {
        for _ in 0..300 {
            if self.stripe.ping().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the peer does not answer");
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::post(format!("{}/_ctl/{path}", self.url))
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    async fn fault(&self, path: &str, mode: &str) {
        self.control(
            "fault",
            json!({"path": format!("/v1{path}"), "mode": mode, "n": 1}),
        )
        .await;
    }

    async fn pay(&self, session: &str, method: &str) -> Payment {
        self.control(&format!("session/{session}/pay"), json!({"method": method}))
            .await;
        let session = self.stripe.session(session).await.unwrap();
        assert_eq!(session.status, SessionStatus::Complete);
        self.stripe
            .payment(&session.payment.unwrap())
            .await
            .unwrap()
    }

    async fn paid(&self, reference: &str) -> Payment {
        let page = self
            .stripe
            .create_checkout(&key(reference), &now_request(reference))
            .await
            .unwrap();
        self.pay(&page.id, "card").await
    }

    fn received(&self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut *self.inbox.lock().unwrap())
    }
}

async fn listen() -> (Inbox, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/v1/webhooks/stripe",
        listener.local_addr().unwrap()
    );
    let inbox = Inbox::default();
    let shared = inbox.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let inbox = shared.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let inbox = inbox.clone();
                async move {
                    let signature = request.headers()["stripe-signature"]
                        .to_str()
                        .unwrap()
                        .to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    inbox.lock().unwrap().push((signature, body));
                    Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (inbox, url)
}

#[expect(clippy::disallowed_methods, reason = "the peer has a clock of its own")]
fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_microsecond())
}

fn now_request(reference: &str) -> CheckoutRequest {
    CheckoutRequest {
        expires_at: now().plus_secs(3600),
        ..request(reference)
    }
}

/// The peer, if there is a Python to run it with.
async fn peer() -> Option<Peer> {
    match std::env::var("CENTWISE_TEST_STRIPE_PYTHON") {
        Ok(python) => Some(Peer::start(&python).await),
        Err(_) => None,
    }
}

#[tokio::test]
async fn peer_pages_and_payments() {
    let Some(p) = peer().await else { return };
    let wanted = now_request("top_1");
    let page = p
        .stripe
        .create_checkout(&key("top_1"), &wanted)
        .await
        .unwrap();
    assert_eq!(
        p.stripe
            .create_checkout(&key("top_1"), &wanted)
            .await
            .unwrap(),
        page,
        "once"
    );
    assert_eq!(
        (page.status, page.cents, page.currency),
        (SessionStatus::Open, Cents(2500), Some(Currency::EUR))
    );
    let payment = p.pay(&page.id, "card").await;
    assert_eq!(
        (
            payment.status,
            payment.received,
            payment.reference.as_deref()
        ),
        (PaymentStatus::Succeeded, Cents(2500), Some("top_1"))
    );
    let paid = payment.charge.unwrap();
    assert_eq!(
        (paid.cents, paid.fees),
        (
            Cents(2500),
            vec![Fee {
                cents: Cents(62),
                currency: Currency::EUR
            }]
        )
    );
    assert_eq!(
        p.stripe.session_of(&payment.id).await.unwrap().unwrap().id,
        page.id
    );
    assert_eq!(p.stripe.payment_of(&paid.id).await, Ok(Some(payment.id)));

    for (reference, ok, expected) in [
        ("top_2", true, PaymentStatus::Succeeded),
        ("top_3", false, PaymentStatus::Open),
    ] {
        let page = p
            .stripe
            .create_checkout(&key(reference), &now_request(reference))
            .await
            .unwrap();
        let payment = p.pay(&page.id, "sepa").await;
        assert_eq!(payment.status, PaymentStatus::Processing);
        p.control(&format!("session/{}/settle", page.id), json!({"ok": ok}))
            .await;
        assert_eq!(
            p.stripe.payment(&payment.id).await.unwrap().status,
            expected
        );
    }
    let page = p
        .stripe
        .create_checkout(&key("top_4"), &now_request("top_4"))
        .await
        .unwrap();
    assert_eq!(
        p.stripe.expire_session(&page.id).await.unwrap().status,
        SessionStatus::Expired
    );
    assert_eq!(
        p.stripe.expire_session(&page.id).await.unwrap().status,
        SessionStatus::Expired
    );
}

#[tokio::test]
async fn peer_kept_methods() {
    let Some(p) = peer().await else { return };
    let customer = p
        .stripe
        .create_customer(
            &key("acc_1"),
            &CustomerRequest {
                reference: "acc_1".into(),
            },
        )
        .await
        .unwrap();
    let keep = CheckoutRequest {
        customer: Some(customer.clone()),
        save_method: true,
        ..now_request("top_1")
    };
    p.stripe
        .create_checkout(&key("top_1"), &keep)
        .await
        .unwrap();
    let keep = CheckoutRequest {
        save_method: true,
        ..now_request("top_2")
    };
    p.stripe
        .create_checkout(&key("top_2"), &keep)
        .await
        .unwrap();

    let kept = |method: &str| (customer.clone(), method.to_owned());
    let good = p
        .stripe
        .charge(&key("auto_1"), &charge("auto_1", &kept("pm_card_visa")))
        .await
        .unwrap();
    assert_eq!(
        (good.status, good.received),
        (PaymentStatus::Succeeded, Cents(5000))
    );
    for (reference, method, needs_payer) in [
        ("auto_2", "pm_card_chargeDeclined", false),
        ("auto_3", "pm_card_authenticationRequired", true),
    ] {
        let error = p
            .stripe
            .charge(&key(reference), &charge(reference, &kept(method)))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ProviderError::Declined(decline) if decline.needs_payer == needs_payer),
            "{error}"
        );
    }
    for (n, mode) in ["lost", "500", "409", "429"].into_iter().enumerate() {
        let reference = format!("auto_fault_{n}");
        p.fault("/payment_intents", mode).await;
        let first = p
            .stripe
            .charge(&key(&reference), &charge(&reference, &kept("pm_card_visa")))
            .await
            .unwrap();
        let again = p
            .stripe
            .charge(&key(&reference), &charge(&reference, &kept("pm_card_visa")))
            .await
            .unwrap();
        assert_eq!(first.id, again.id, "{mode}");
    }
}

#[tokio::test]
async fn peer_refunds_and_disputes() {
    let Some(p) = peer().await else { return };
    let payment = p.paid("top_1").await;
    let part = RefundRequest {
        reference: "ref_1".into(),
        payment: payment.id.clone(),
        cents: Cents(1000),
        currency: Currency::EUR,
    };
    p.fault("/refunds", "lost").await;
    let refund = p.stripe.refund(&key("ref_1"), &part).await.unwrap();
    assert_eq!(
        (refund.cents, refund.status, refund.reference.as_deref()),
        (Cents(1000), RefundStatus::Succeeded, Some("ref_1"))
    );
    assert_eq!(
        p.stripe
            .payment(&payment.id)
            .await
            .unwrap()
            .charge
            .unwrap()
            .refunds,
        std::slice::from_ref(&refund)
    );
    p.control(&format!("refund/{}/fail", refund.id), json!({}))
        .await;
    let paid = p.stripe.payment(&payment.id).await.unwrap().charge.unwrap();
    assert_eq!(paid.refunds[0].status, RefundStatus::Failed);

    let dispute = p
        .control(&format!("charge/{}/dispute", paid.id), json!({}))
        .await;
    let found = p
        .stripe
        .payment(&payment.id)
        .await
        .unwrap()
        .charge
        .unwrap()
        .disputes
        .remove(0);
    assert_eq!(
        (found.status, found.withdrawn, found.fee),
        (DisputeStatus::Open, Cents(2500), Cents(2000))
    );
    p.control(
        &format!("dispute/{}/close", dispute["id"].as_str().unwrap()),
        json!({"status": "won"}),
    )
    .await;
    let found = p
        .stripe
        .payment(&payment.id)
        .await
        .unwrap()
        .charge
        .unwrap()
        .disputes
        .remove(0);
    assert_eq!(
        (found.status, found.withdrawn),
        (DisputeStatus::Won, Cents::ZERO)
    );

    p.control(&format!("charge/{}/fraud", paid.id), json!({}))
        .await;
    p.control("refund_fee", json!({"cents": 35})).await;
    let more = RefundRequest {
        reference: "ref_2".into(),
        cents: Cents(500),
        ..part
    };
    p.stripe.refund(&key("ref_2"), &more).await.unwrap();
    let fees = p
        .stripe
        .payment(&payment.id)
        .await
        .unwrap()
        .charge
        .unwrap()
        .fees;
    assert_eq!(
        fees.iter().map(|fee| fee.cents.0).collect::<Vec<_>>(),
        [62, 35]
    );

    let page = p
        .stripe
        .moves(now().plus_secs(-3600), now().plus_secs(3600), None)
        .await
        .unwrap();
    let kinds: Vec<MoveKind> = page.data.iter().rev().map(|m| m.kind).collect();
    let refund = MoveKind::Refund;
    assert_eq!(
        kinds,
        [
            MoveKind::Charge,
            refund,
            refund,
            MoveKind::Dispute,
            MoveKind::Dispute,
            refund
        ]
    );
}

#[tokio::test]
async fn peer_payees_and_transfers() {
    let Some(p) = peer().await else { return };
    let payee = p
        .stripe
        .create_payee(
            &key("payee_1"),
            &PayeeRequest {
                reference: "tnt_1".into(),
                country: "DE".into(),
            },
        )
        .await
        .unwrap();
    let url = p
        .stripe
        .onboarding_url(
            &payee.id,
            "https://centwise.example/back",
            "https://centwise.example/again",
        )
        .await
        .unwrap();
    assert!(url.starts_with("https://"));
    p.control(
        &format!("account/{}", payee.id),
        json!({"capabilities": {"transfers": "active"}, "payouts_enabled": true}),
    )
    .await;
    let payee = p.stripe.payee(&payee.id).await.unwrap();
    assert!(payee.transfers_enabled && payee.payouts_enabled);

    p.paid("top_1").await;
    p.fault("/transfers", "lost").await;
    let wanted = TransferRequest {
        reference: "pay_1".into(),
        payee: payee.id,
        cents: Cents(1000),
        currency: Currency::EUR,
    };
    let transfer = p.stripe.transfer(&key("pay_1"), &wanted).await.unwrap();
    assert_eq!(
        (transfer.cents, transfer.reference.as_deref()),
        (Cents(1000), Some("pay_1"))
    );
    let after = p
        .stripe
        .reverse_transfer(&key("rev_1"), &transfer.id, Cents(400), Currency::EUR)
        .await
        .unwrap();
    assert_eq!((&after.id, after.reversed), (&transfer.id, Cents(400)));
    // On its own pages: what is taken back, adjusted, and in a currency that is not ours.
    p.control(
        &format!("transfer/{}/reverse", transfer.id),
        json!({"amount": 100}),
    )
    .await;
    p.control("adjust", json!({"amount": -300, "currency": "eur"}))
        .await;
    p.control("adjust", json!({"amount": 2275, "currency": "isk"}))
        .await;
    let moves = p
        .stripe
        .moves(now().plus_secs(-3600), now().plus_secs(3600), None)
        .await
        .unwrap()
        .data;
    assert_eq!(
        moves[0].sum,
        MoveSum::Uncounted {
            amount: 2275,
            fee: 0,
            currency: "isk".into()
        }
    );
    assert_eq!(moves[1].kind, MoveKind::Adjustment);
    assert_eq!(
        (moves[2].kind, moves[2].source.as_ref()),
        (MoveKind::Transfer, Some(&transfer.id))
    );
}

#[tokio::test]
async fn peer_signatures_and_events() {
    let Some(p) = peer().await else { return };
    let payment = p.paid("top_1").await;
    p.control(
        "deliver",
        json!({"order": "shuffle", "dup": 3, "keep": true}),
    )
    .await;
    let messages = p.received();
    let events: Vec<_> = messages
        .iter()
        .map(|(signature, body)| {
            p.stripe
                .receive(Hook::Own, Some(signature), body, now())
                .unwrap()
        })
        .collect();
    assert_eq!(
        events
            .iter()
            .filter(|event| event.object == Object::Payment(payment.id.clone()))
            .count(),
        6,
        "created and succeeded"
    );
    p.control("thin", json!({"type": "v1.billing.meter.no_meter_found"}))
        .await;
    p.control(
        "deliver",
        json!({"only": ["v1.billing.meter.no_meter_found"]}),
    )
    .await;
    let (signature, body) = p.received().remove(0);
    assert_eq!(
        p.stripe
            .receive(Hook::Own, Some(&signature), &body, now())
            .unwrap()
            .object,
        Object::SecondForm
    );
    let listed = p
        .stripe
        .events(now().plus_secs(-3600), None)
        .await
        .unwrap()
        .data;
    assert!(listed.iter().all(|event| events.contains(event)) && listed.len() * 3 == events.len());

    for (change, error) in [
        (json!({"tamper": true}), HookError::Forged),
        (json!({"secret": "whsec_x"}), HookError::Forged),
        (json!({"skew": -400}), HookError::Stale),
        (json!({"skew": 400}), HookError::Stale),
    ] {
        let mut delivery = json!({"keep": true});
        delivery
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        p.control("deliver", delivery).await;
        let refused = |(signature, body): (String, Bytes)| {
            p.stripe.receive(Hook::Own, Some(&signature), &body, now())
        };
        assert!(
            p.received()
                .into_iter()
                .all(|message| refused(message) == Err(error)),
            "{error}"
        );
    }
}
