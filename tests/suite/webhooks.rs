//! What is told arrives: signed, tried again, by whichever process lives; real servers on loopback
//! listen.

use crate::http_world::{Market, call, on_every_database};
use crate::receiver::{MailServer, Receiver};
use crate::world::{Backend, World, postgres_is_here};
use catalog::Period;
use hyper::Method;
use notices::address::Reach;
use notices::delivery_worker::DeliveryWorker;
use notices::mail::Mailer;
use notices::post::Poster;
use notices::rows::{
    Contact, Delivery, DeliveryState, Endpoint, EndpointPatch, Notice, NoticeKind, NoticeRows,
    Target, Wanted,
};
use rating::ids::{ContactId, EndpointId, NoticeId};
use serde_json::{Value, json};

/// Stamps a test on both databases.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::Told::new($crate::world::Backend::Sqlite).await).await })+
        }
        mod postgres_courier {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if super::postgres_is_here().await {
                    super::$test(super::Told::new($crate::world::Backend::Postgres).await).await
                }
            })+
        }
    };
}

on_both! {
    a_notice_arrives_signed,
    a_changed_secret_signs_beside_the_former_one_for_a_day,
    what_fails_is_tried_again_under_the_same_id,
    what_is_gone_is_switched_off,
    a_slow_endpoint_holds_up_no_other,
    slow_endpoints_hold_up_no_other_root,
    what_a_dead_process_had_begun_is_tried_by_another,
    several_processes_share_the_work,
    a_redirection_is_not_followed,
    who_is_switched_off_hears_nothing,
    contacts_are_written_to_in_their_language,
    without_a_mail_server_it_is_only_logged,
    a_mail_server_may_be_busy_or_refuse,
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Muster, its customer, and somebody who listens.
struct Told {
    world: World,
    receiver: Receiver,
    deliveries: DeliveryWorker,
}

impl Told {
    async fn new(backend: Backend) -> Self {
        let world = World::reference(backend).await;
        let deliveries = deliveries(&world, None);
        Self {
            receiver: Receiver::start().await,
            deliveries,
            world,
        }
    }

    async fn endpoint(&self, tenant: &str, path: &str, subtree: bool) -> Endpoint {
        let tenant = self.world.tenant(tenant);
        let endpoint = Endpoint {
            id: EndpointId(self.world.next_id()),
            root: tenant.root,
            tenant: tenant.id,
            url: self.receiver.url(path),
            secret: SECRET.into(),
            former: None,
            wanted: Wanted {
                kinds: None,
                subtree,
            },
            active: true,
            disabled_why: None,
            created_at: self.world.now(),
        };
        NoticeRows::of(&self.world.catalog)
            .create_endpoint(&self.world.actor(), &endpoint)
            .await
            .unwrap();
        endpoint
    }

    async fn contact(&self, tenant: &str, address: &str, locale: &str) -> Contact {
        let tenant = self.world.tenant(tenant);
        let contact = Contact {
            id: ContactId(self.world.next_id()),
            root: tenant.root,
            tenant: tenant.id,
            address: address.into(),
            locale: locale.into(),
            wanted: Wanted {
                kinds: None,
                subtree: false,
            },
            created_at: self.world.now(),
        };
        NoticeRows::of(&self.world.catalog)
            .create_contact(&self.world.actor(), &contact)
            .await
            .unwrap();
        contact
    }

    async fn happens(&self, tenant: &str, kind: NoticeKind, data: Value) -> NoticeId {
        let tenant = self.world.tenant(tenant);
        let id = NoticeId(self.world.next_id());
        let (root, created_at, cause) = (tenant.root, self.world.now(), format!("test {id}"));
        let notice = Notice {
            id,
            root,
            tenant: tenant.id,
            kind,
            cause,
            data,
            created_at,
        };
        assert!(
            NoticeRows::of(&self.world.catalog)
                .append_notice(&notice)
                .await
                .unwrap()
        );
        id
    }

    /// Begins what is due, and waits for its end.
    async fn deliver(&self) -> usize {
        let begun = self.deliveries.step().await.unwrap();
        self.deliveries.idle().await;
        begun
    }

    async fn log(&self, target: Target) -> Vec<Delivery> {
        NoticeRows::of(&self.world.catalog)
            .deliveries_of(target, Period::default(), None, 99)
            .await
            .unwrap()
            .data
    }
}

fn deliveries(world: &World, mailer: Option<Mailer>) -> DeliveryWorker {
    DeliveryWorker::new(
        world.catalog.clone(),
        world.notices_clock(),
        Poster::new(Reach::PrivateToo).unwrap(),
        mailer,
    )
}

async fn a_notice_arrives_signed(told: Told) {
    let endpoint = told.endpoint("muster", "/in", true).await;
    let data = json!({ "currency": "EUR", "balance_cents": 480, "threshold_cents": 500 });
    let notice = told.happens("acme-42", NoticeKind::BalanceLow, data).await;
    assert_eq!(told.deliver().await, 1);
    let got = told.receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(
        (got[0].path.as_str(), &got[0].id),
        ("/in", &notice.to_string())
    );
    assert_eq!(
        got[0].timestamp,
        (told.world.now().micros() / 1_000_000).to_string()
    );
    assert!(got[0].is_signed_with(SECRET), "{got:?}");
    let mut tampered = got[0].clone();
    tampered.body[0] ^= 1;
    assert!(!tampered.is_signed_with(SECRET));
    let customer = told.world.tenant("acme-42").id;
    assert_eq!(
        got[0].json(),
        json!({ "type": "balance.low", "timestamp": "2026-11-20T12:00:00Z", "data": {
            "tenant": "acme-42", "tenant_id": customer, "currency": "EUR", "balance_cents": 480, "threshold_cents": 500 } })
    );
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert_eq!(
        (log[0].state, log[0].attempts, log[0].last_status),
        (DeliveryState::Delivered, 1, Some(204))
    );
    assert_eq!(told.deliver().await, 0, "it arrived");
}

async fn a_changed_secret_signs_beside_the_former_one_for_a_day(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    let second = notices::signature::secret([9; 32]);
    NoticeRows::of(&told.world.catalog)
        .rotate_secret(&told.world.actor(), endpoint.id, &second)
        .await
        .unwrap();
    told.happens("muster", NoticeKind::HoldExpired, json!({ "count": 1 }))
        .await;
    told.deliver().await;
    told.world.pass(24 * 3600);
    told.happens("muster", NoticeKind::HoldExpired, json!({ "count": 2 }))
        .await;
    told.deliver().await;
    let signed: Vec<(bool, bool)> = told
        .receiver
        .got()
        .iter()
        .map(|got| (got.is_signed_with(SECRET), got.is_signed_with(&second)))
        .collect();
    assert_eq!(signed, [(true, true), (false, true)]);
}

async fn what_fails_is_tried_again_under_the_same_id(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    told.receiver.answers(&[500, 503]);
    let notice = told
        .happens(
            "muster",
            NoticeKind::PayoutPaid,
            json!({ "currency": "EUR", "cents": 5 }),
        )
        .await;
    assert_eq!(told.deliver().await, 1);
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert_eq!(
        (log[0].state, log[0].last_status),
        (DeliveryState::Waiting, Some(500))
    );
    assert_eq!(log[0].last_error.as_deref(), Some("it answered 500"));
    assert_eq!(told.deliver().await, 0, "not yet");
    told.world.pass(6);
    assert_eq!(told.deliver().await, 1);
    told.world.pass(60);
    assert_eq!(told.deliver().await, 0, "five minutes after the second");
    told.world.pass(6 * 60);
    assert_eq!(told.deliver().await, 1);
    let got = told.receiver.got();
    assert!(
        got.len() == 3
            && got.iter().all(|one| one.id == notice.to_string()
                && one.body == got[0].body
                && one.is_signed_with(SECRET))
    );
    let stamps: Vec<&str> = got.iter().map(|got| got.timestamp.as_str()).collect();
    assert!(
        stamps.is_sorted() && stamps[0] != stamps[2],
        "each attempt has its own time: {stamps:?}"
    );
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert_eq!(
        (log[0].state, log[0].attempts, log[0].last_error.as_deref()),
        (DeliveryState::Delivered, 3, None)
    );
}

async fn what_is_gone_is_switched_off(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    told.receiver.answers(&[500, 410]);
    for count in 0..2 {
        told.happens("muster", NoticeKind::HoldExpired, json!({ "count": count }))
            .await;
        told.deliver().await;
    }
    let off = NoticeRows::of(&told.world.catalog)
        .endpoint(endpoint.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (off.active, off.disabled_why.as_deref()),
        (false, Some("it answered 410: gone"))
    );
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert!(
        log.len() == 2
            && log
                .iter()
                .all(|delivery| delivery.state == DeliveryState::Failed),
        "{log:?}"
    );
    told.happens("muster", NoticeKind::HoldExpired, json!({ "count": 3 }))
        .await;
    told.world.pass(3600);
    assert_eq!(told.deliver().await, 0);
    assert_eq!(told.receiver.got().len(), 2);
    // Switched on and replayed, what was given up arrives.
    let on = EndpointPatch {
        active: Some(true),
        ..EndpointPatch::default()
    };
    NoticeRows::of(&told.world.catalog)
        .change_endpoint(&told.world.actor(), endpoint.id, on)
        .await
        .unwrap();
    NoticeRows::of(&told.world.catalog)
        .replay_delivery(&told.world.actor(), log[0].id)
        .await
        .unwrap();
    assert_eq!(told.deliver().await, 1);
    assert_eq!(told.receiver.got()[2].id, log[0].notice.to_string());
}

async fn a_slow_endpoint_holds_up_no_other(told: Told) {
    told.endpoint("muster", "/slow", true).await;
    told.endpoint("acme-42", "/in", false).await;
    for count in 0..20 {
        told.happens(
            "acme-42",
            NoticeKind::HoldExpired,
            json!({ "count": count }),
        )
        .await;
    }
    // The slow one keeps its few attempts under way; all of the other's arrive meanwhile.
    for _ in 0..20 {
        told.deliveries.step().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let arrived = |path: &str| {
        told.receiver
            .got()
            .iter()
            .filter(|got| got.path == path)
            .count()
    };
    for _ in 0..200 {
        if arrived("/in") == 20 {
            break;
        }
        told.deliveries.step().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        (arrived("/in"), arrived("/slow")),
        (20, notices::delivery_worker::ATTEMPTS_PER_TARGET_MAX)
    );
}

async fn slow_endpoints_hold_up_no_other_root(told: Told) {
    for _ in 0..20 {
        told.endpoint("muster", "/slow", false).await;
    }
    for count in 0..4 {
        told.happens("muster", NoticeKind::HoldExpired, json!({ "count": count }))
            .await;
    }
    told.deliveries.step().await.unwrap();
    told.world
        .reseller("other", "platform", json!({ "commission_bp": 2500 }))
        .await;
    told.endpoint("other", "/in", false).await;
    for count in 0..4 {
        told.happens("other", NoticeKind::HoldExpired, json!({ "count": count }))
            .await;
    }
    let arrived = |path: &str| {
        told.receiver
            .got()
            .iter()
            .filter(|got| got.path == path)
            .count()
    };
    for _ in 0..200 {
        told.deliveries.step().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if (arrived("/in"), arrived("/slow"))
            == (4, notices::delivery_worker::ATTEMPTS_PER_ROOT_MAX)
        {
            return;
        }
    }
    panic!(
        "{} of the other root's, {} of the slow ones",
        arrived("/in"),
        arrived("/slow")
    );
}

async fn what_a_dead_process_had_begun_is_tried_by_another(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    let notice = told
        .happens(
            "muster",
            NoticeKind::PayoutFailed,
            json!({ "currency": "EUR", "cents": 5 }),
        )
        .await;
    let (records, clock, now) = (
        &told.world.catalog,
        told.world.notices_clock(),
        told.world.now(),
    );
    notices::outbox::send_all(records, &clock, false)
        .await
        .unwrap();
    let due = NoticeRows::of(records)
        .deliveries_due(endpoint.root, Target::Endpoint(endpoint.id), now, 9)
        .await
        .unwrap()
        .remove(0);
    // It dies here, perhaps after it was answered.
    NoticeRows::of(records)
        .claim_delivery(&due, now, now.plus_secs(120))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told.deliver().await, 0);
    told.world.pass(121);
    assert_eq!(told.deliver().await, 1);
    assert_eq!(told.receiver.got()[0].id, notice.to_string());
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert_eq!(
        (log[0].state, log[0].attempts),
        (DeliveryState::Delivered, 2)
    );
}

async fn several_processes_share_the_work(told: Told) {
    told.endpoint("muster", "/in", false).await;
    let others: Vec<DeliveryWorker> = (0..3).map(|_| deliveries(&told.world, None)).collect();
    for count in 0..50 {
        told.happens("muster", NoticeKind::HoldExpired, json!({ "count": count }))
            .await;
    }
    for _ in 0..30 {
        futures_util::future::join_all(others.iter().map(async |deliveries| {
            deliveries.step().await.unwrap();
            deliveries.idle().await;
        }))
        .await;
    }
    let mut ids: Vec<String> = told.receiver.got().into_iter().map(|got| got.id).collect();
    assert_eq!(ids.len(), 50, "each once, as nobody died");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

async fn a_redirection_is_not_followed(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    told.receiver.answers(&[302]);
    told.happens("muster", NoticeKind::HoldExpired, json!({ "count": 1 }))
        .await;
    told.deliver().await;
    let log = told.log(Target::Endpoint(endpoint.id)).await;
    assert_eq!(
        (log[0].state, log[0].last_status, told.receiver.got().len()),
        (DeliveryState::Waiting, Some(302), 1)
    );
}

async fn who_is_switched_off_hears_nothing(told: Told) {
    let endpoint = told.endpoint("muster", "/in", false).await;
    told.happens("muster", NoticeKind::HoldExpired, json!({ "count": 1 }))
        .await;
    notices::outbox::send_all(&told.world.catalog, &told.world.notices_clock(), false)
        .await
        .unwrap();
    let off = EndpointPatch {
        active: Some(false),
        ..EndpointPatch::default()
    };
    NoticeRows::of(&told.world.catalog)
        .change_endpoint(&told.world.actor(), endpoint.id, off)
        .await
        .unwrap();
    told.deliver().await;
    assert!(told.receiver.got().is_empty());
    assert_eq!(
        told.log(Target::Endpoint(endpoint.id)).await[0]
            .last_error
            .as_deref(),
        Some("the endpoint is switched off")
    );
}

async fn contacts_are_written_to_in_their_language(told: Told) {
    let server = MailServer::start().await;
    let deliveries = deliveries(
        &told.world,
        Some(Mailer::new(&server.url, "Centwise <billing@example.com>").unwrap()),
    );
    for (locale, address) in [("de", "de@example.com"), ("fr", "fr@example.com")] {
        told.contact("acme-42", address, locale).await;
    }
    let notice = told
        .happens(
            "acme-42",
            NoticeKind::TopUpSucceeded,
            json!({ "currency": "EUR", "cents": 2500 }),
        )
        .await;
    deliveries.step().await.unwrap();
    deliveries.idle().await;
    let mut mails = server.mails();
    // Long lines are folded on their way.
    mails
        .iter_mut()
        .for_each(|(_, mail)| *mail = mail.replace("=\n", ""));
    mails.sort();
    let [(to_de, de), (to_fr, fr)] = &mails[..] else {
        panic!("{mails:?}")
    };
    assert_eq!(
        (to_de.join(","), to_fr.join(",")),
        ("de@example.com".to_owned(), "fr@example.com".to_owned())
    );
    for mail in [de, fr] {
        assert!(
            mail.contains("From: Centwise <billing@example.com>")
                && mail.contains(&format!("Message-ID: <{notice}@example.com>")),
            "{mail}"
        );
        assert!(
            mail.contains("text/plain") && mail.contains("text/html"),
            "{mail}"
        );
    }
    assert!(
        de.contains("Vielen Dank") && de.contains("Sie erhalten diese Nachricht"),
        "{de}"
    );
    assert!(fr.contains("Merci.") && fr.contains("Bonjour,"), "{fr}");
}

async fn without_a_mail_server_it_is_only_logged(told: Told) {
    let contact = told.contact("acme-42", "de@example.com", "de").await;
    told.happens("acme-42", NoticeKind::HoldExpired, json!({ "count": 1 }))
        .await;
    assert_eq!(told.deliver().await, 0);
    let log = told.log(Target::Contact(contact.id)).await;
    assert_eq!(
        (log.len(), log[0].state, log[0].next_at),
        (1, DeliveryState::Logged, None)
    );
}

async fn a_mail_server_may_be_busy_or_refuse(told: Told) {
    let server = MailServer::start().await;
    let deliveries = deliveries(
        &told.world,
        Some(Mailer::new(&server.url, "billing@example.com").unwrap()),
    );
    let contact = told.contact("acme-42", "de@example.com", "de").await;
    server.refuses(&["451 later", "550 no such user"]);
    for count in 0..2 {
        told.happens(
            "acme-42",
            NoticeKind::HoldExpired,
            json!({ "count": count }),
        )
        .await;
        deliveries.step().await.unwrap();
        deliveries.idle().await;
    }
    let log = told.log(Target::Contact(contact.id)).await;
    let states: Vec<_> = log
        .iter()
        .map(|delivery| (delivery.state, delivery.last_error.as_deref()))
        .collect();
    let want = [
        (DeliveryState::Failed, Some("the mail server refused it")),
        (
            DeliveryState::Waiting,
            Some("the mail server did not take it now"),
        ),
    ];
    assert_eq!(states, want, "newest first");
    told.world.pass(6);
    deliveries.step().await.unwrap();
    deliveries.idle().await;
    assert_eq!(server.mails().len(), 1);
}

mod over_http {
    use super::*;

    on_every_database!(
        an_endpoint_is_made_tried_changed_and_deleted,
        a_customer_that_crosses_its_threshold_is_told
    );

    async fn an_endpoint_is_made_tried_changed_and_deleted(market: Market) {
        let (muster, receiver) = (market.by("muster admin"), Receiver::start().await);
        let url = receiver.url("/in");
        let made = muster
            .post(
                "/v1/webhook-endpoints",
                json!({ "url": url, "kinds": ["balance.low"] }),
            )
            .await
            .ok();
        let (id, secret) = (
            made["id"].as_str().unwrap(),
            made["secret"].as_str().unwrap(),
        );
        let path = format!("/v1/webhook-endpoints/{id}");
        assert_eq!(
            muster.get(&path).await.ok()["secret"],
            Value::Null,
            "it is shown once"
        );

        let delivery = muster
            .once("try")
            .post(&format!("{path}/test"), json!({}))
            .await
            .ok()["delivery"]
            .clone();
        assert_eq!(
            muster
                .once("try")
                .post(&format!("{path}/test"), json!({}))
                .await
                .ok()["delivery"],
            delivery
        );
        let got = receiver.gets(1).await;
        assert!(
            got[0].is_signed_with(secret)
                && got[0].json()["type"] == "test"
                && got[0].json()["data"]["tenant"] == "muster"
        );

        let rotated = muster
            .post(&format!("{path}/rotate-secret"), json!({}))
            .await
            .ok();
        let second = rotated["secret"].as_str().unwrap();
        assert!(
            second != secret && rotated["former_secret_until"] == "2026-11-21T12:00:00Z",
            "{rotated}"
        );
        let replay = format!("{path}/deliveries/{}/replay", delivery.as_str().unwrap());
        muster.post(&replay, json!({})).await.ok();
        let got = receiver.gets(2).await;
        assert!(
            got[1].id == got[0].id
                && got[1].is_signed_with(secret)
                && got[1].is_signed_with(second)
        );
        let log = arrived(&market, &path).await;
        assert_eq!(
            (&log["id"], &log["status"], &log["kind"]),
            (&delivery, &json!(204), &json!("test"))
        );
        assert_eq!(log["payload"].as_str().unwrap().as_bytes(), got[1].body);

        let patch = async |change: Value| {
            muster
                .ask(Method::PATCH, &path, change.to_string().into())
                .await
                .unwrap()
        };
        assert_eq!(
            patch(json!({ "kinds": [], "active": false })).await.ok()["kinds"],
            json!([])
        );
        for (change, code) in [
            (json!({ "kinds": ["test"] }), "422 invalid_field"),
            (json!({ "kinds": ["no.such"] }), "422 invalid_field"),
            (json!({ "url": "ftp://example.com" }), "422 invalid_field"),
        ] {
            assert_eq!(patch(change).await.code(), code);
        }
        muster
            .ask(Method::DELETE, &path, Default::default())
            .await
            .unwrap()
            .ok();
        assert_eq!(muster.get(&path).await.code(), "404 not_found");
        let log = market.admin().get("/v1/audit-log?limit=1000").await.text;
        assert!(
            log.contains("rotate_secret") && log.contains("\"replay\"") && !log.contains("whsec_")
        );
    }

    /// The endpoint's newest delivery, once it has arrived.
    async fn arrived(market: &Market, path: &str) -> Value {
        for _ in 0..200 {
            let log = market
                .by("muster admin")
                .get(&format!("{path}/deliveries"))
                .await
                .ok();
            if log["data"][0]["state"] == "delivered" {
                return log["data"][0].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("nothing arrived");
    }

    async fn a_customer_that_crosses_its_threshold_is_told(market: Market) {
        let (muster, receiver) = (market.by("muster admin"), Receiver::start().await);
        let hook = json!({ "url": receiver.url("/in"), "tenant": "muster", "subtree": true });
        muster.post("/v1/webhook-endpoints", hook).await.ok();
        let path = "/v1/accounts/acme-42/threshold";
        let set = muster
            .ask(
                Method::PUT,
                path,
                json!({ "low_cents": 4600 }).to_string().into(),
            )
            .await
            .unwrap()
            .ok();
        assert_eq!(
            set,
            json!({ "tenant": "acme-42", "currency": "EUR", "low_cents": 4600 })
        );
        muster
            .post("/v1/usage-events", call("c1", "acme-42", "600"))
            .await
            .ok();
        let got = receiver.gets(1).await.remove(0).json();
        assert_eq!(
            (&got["type"], &got["data"]["balance_cents"]),
            (&json!("balance.low"), &json!(4600))
        );
        assert_eq!(
            muster.get(path).await.ok()["low_at"],
            "2026-11-20T12:00:00Z"
        );
        // Used up: told beside it, and to whoever it concerns only.
        muster
            .post("/v1/usage-events", call("c2", "acme-42", "7200"))
            .await
            .ok();
        let got = receiver.gets(2).await.remove(1).json();
        assert_eq!(
            (&got["type"], &got["data"]["tenant"]),
            (&json!("balance.exhausted"), &json!("acme-42"))
        );
    }
}
