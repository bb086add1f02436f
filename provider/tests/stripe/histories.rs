//! Events that are sent to us, and the lists of what happened.

use crate::world::{NOW, World};
use provider::{BalanceMove, Event, Hook, HookError, MoveKind, MoveSum, Object, Provider as _};
use rating::Instant;
use serde_json::json;
use test_stripe::{Delivery, Message, Order};

impl World {
    fn receive(&self, hook: Hook, message: &Message) -> Result<Event, HookError> {
        self.stripe.receive(
            hook,
            Some(&message.signature),
            message.body.as_bytes(),
            Instant::from_secs(NOW),
        )
    }

    async fn all_events(&self, since: i64) -> Vec<Event> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .stripe
                .events(Instant::from_secs(since), after.as_deref())
                .await
                .unwrap();
            all.extend(page.data);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn messages_are_believed_by_their_signature() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let keep = |secrets: &[&str]| Delivery {
        keep: true,
        ..Delivery::signed(secrets)
    };
    for secrets in [
        &["whsec_own"][..],
        &["whsec_next"],
        &["whsec_old", "whsec_own"],
        &["whsec_next", "whsec_newer"],
    ] {
        let messages = w.fake.messages(&keep(secrets));
        assert_eq!(messages.len(), 4);
        let events: Vec<Event> = messages
            .iter()
            .map(|message| w.receive(Hook::Own, message).unwrap())
            .collect();
        assert_eq!(events[2].kind, "payment_intent.succeeded");
        assert_eq!(events[2].object, Object::Payment(payment.id.clone()));
        assert_eq!(
            (events[2].created_at, events[2].live),
            (Instant::from_secs(NOW), false)
        );
        assert!(
            messages
                .iter()
                .all(|message| w.receive(Hook::Connected, message) == Err(HookError::Forged)),
            "another address"
        );
    }
    let refused = [
        (keep(&["whsec_other"]), HookError::Forged),
        (keep(&[""]), HookError::Forged),
        (keep(&[]), HookError::Unsigned),
        (
            Delivery {
                tamper: true,
                ..keep(&["whsec_own"])
            },
            HookError::Forged,
        ),
        (
            Delivery {
                skew_secs: -301,
                ..keep(&["whsec_own"])
            },
            HookError::Stale,
        ),
        (
            Delivery {
                skew_secs: 301,
                ..keep(&["whsec_own"])
            },
            HookError::Stale,
        ),
    ];
    for (delivery, error) in refused {
        assert!(
            w.fake
                .messages(&delivery)
                .iter()
                .all(|message| w.receive(Hook::Own, message) == Err(error)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_shuffled_delivery_is_the_same_events() {
    let w = World::new().await;
    w.paid("top_1").await;
    let as_made = w.fake.messages(&Delivery {
        keep: true,
        ..Delivery::signed(&["whsec_own"])
    });
    let shuffled = Delivery {
        order: Order::Shuffled(7),
        copies: 3,
        ..Delivery::signed(&["whsec_own"])
    };
    let shuffled = w.fake.messages(&shuffled);
    assert_eq!(shuffled.len(), 3 * as_made.len());
    assert!(as_made.iter().all(|one| {
        shuffled
            .iter()
            .filter(|other| other.event == one.event)
            .count()
            == 3
    }));
    assert!(w.fake.waiting().is_empty());
}

#[tokio::test]
async fn events_of_connected_accounts_come_to_their_own_address() {
    let w = World::new().await;
    w.fake.account("acct_1", json!({}));
    w.fake.emit(
        "account.updated",
        &json!({"object": "account", "id": "acct_1"}),
        Some("acct_1"),
    );
    let messages = w.fake.messages(&Delivery {
        only: Some(vec!["account.updated".into()]),
        ..Delivery::signed(&["whsec_connect"])
    });
    let event = w
        .receive(Hook::Connected, messages.last().unwrap())
        .unwrap();
    assert_eq!(
        (event.object, event.account.as_deref()),
        (Object::Payee("acct_1".into()), Some("acct_1"))
    );
    assert_eq!(
        w.receive(Hook::Own, messages.last().unwrap()),
        Err(HookError::Forged)
    );
}

#[tokio::test]
async fn what_was_not_delivered_is_listed() {
    let w = World::new().await;
    for n in 0..60 {
        w.paid(&format!("top_{n}")).await;
    }
    let delivered: Vec<Event> = w
        .fake
        .messages(&Delivery::signed(&["whsec_own"]))
        .iter()
        .map(|message| w.receive(Hook::Own, message).unwrap())
        .collect();
    let mut listed = w.all_events(NOW - 10).await;
    assert_eq!(listed.len(), 240, "three pages");
    listed.reverse();
    assert_eq!(listed, delivered, "the same, newest first");
    w.fake.set_now(NOW + 100);
    w.paid("top_60").await;
    assert_eq!(w.all_events(NOW + 50).await.len(), 4);
}

#[tokio::test]
async fn the_moves_of_the_balance() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let refund = w.fake.refund(&payment.id, 500).unwrap();
    w.fake.end_refund(&refund, "failed").unwrap();
    let dispute = w
        .fake
        .dispute(&payment.id, Some(1000), "needs_response")
        .unwrap();
    w.fake.pay_out(300, "eur");
    let page = w
        .stripe
        .moves(Instant::from_secs(NOW), Instant::from_secs(NOW + 1), None)
        .await
        .unwrap();
    let sums = |m: &BalanceMove| match &m.sum {
        MoveSum::Counted { cents, fee, .. } => (cents.0, fee.0),
        MoveSum::Uncounted { .. } => panic!("{m:?}"),
    };
    let moves: Vec<_> = page
        .data
        .iter()
        .rev()
        .map(|m| (m.kind, sums(m).0, sums(m).1))
        .collect();
    assert_eq!(
        moves,
        [
            (MoveKind::Charge, 2500, 62),
            (MoveKind::Refund, -500, 0),
            (MoveKind::Refund, 500, 0),
            (MoveKind::Dispute, -1000, 2000),
            (MoveKind::ToBank, -300, 0),
        ]
    );
    assert_eq!(page.data[1].source.as_deref(), Some(dispute.as_str()));
    assert_eq!(page.data[4].source, payment.charge.map(|charge| charge.id));
    assert_eq!(
        page.data.iter().map(|m| sums(m).0 - sums(m).1).sum::<i64>(),
        w.fake.balance("eur")
    );
    let before = w
        .stripe
        .moves(Instant::from_secs(NOW - 10), Instant::from_secs(NOW), None)
        .await
        .unwrap();
    assert!(before.data.is_empty());
    assert_eq!(sums(&page.data[0]).0, -300);
    // What is not ours to count, and what is sent back from a transfer.
    w.fake.adjust(2275, 0, "isk");
    let transfer = w.fake.transfer_there(100, "eur").unwrap();
    w.fake.reverse_there(&transfer, None).unwrap();
    let page = w
        .stripe
        .moves(Instant::from_secs(NOW), Instant::from_secs(NOW + 1), None)
        .await
        .unwrap();
    assert_eq!(
        (page.data[0].kind, page.data[0].source.as_ref()),
        (MoveKind::Transfer, Some(&transfer))
    );
    assert_eq!(
        (page.data[2].kind, &page.data[2].source),
        (MoveKind::Adjustment, &None)
    );
    assert_eq!(
        page.data[2].sum,
        MoveSum::Uncounted {
            amount: 2275,
            fee: 0,
            currency: "isk".into()
        }
    );
}

#[tokio::test]
async fn moves_come_in_pages() {
    let w = World::new().await;
    for _ in 0..130 {
        w.fake.foreign_payment(100, "eur");
    }
    let (from, until) = (Instant::from_secs(NOW), Instant::from_secs(NOW + 1));
    let first = w.stripe.moves(from, until, None).await.unwrap();
    let second = w
        .stripe
        .moves(from, until, first.next.as_deref())
        .await
        .unwrap();
    assert_eq!(
        (first.data.len(), second.data.len(), second.next),
        (100, 30, None)
    );
}
