//! Agreements, meters, rate cards and their versions.

use super::*;
use ::tenants::Pricing;
use rating::CardVersionId;
use rating::card::{Aggregation, MeterTerms};
use rating::ids::MeterId;

on_every_database! {
    agreements_of_a_buyer_never_overlap,
    an_agreement_must_fit_its_buyer_and_card,
    a_meter_has_one_name_on_the_platform,
    a_card_has_one_name_per_owner,
    a_version_is_made_and_published_or_neither,
    a_published_version_never_changes,
}

async fn agreements_of_a_buyer_never_overlap(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let first = commission(1, &muster, 100, Some(200));
    let last = commission(2, &muster, 300, None);
    for terms in [&first, &last] {
        records.create_agreement(&world.by(), terms).await.unwrap();
    }
    let cases = [
        (150, Some(160), "conflict from"),
        (50, Some(101), "conflict from"),
        (199, Some(250), "conflict from"),
        (50, None, "conflict from"),
        (250, None, "conflict from"),
        (400, Some(500), "conflict from"),
        (250, Some(250), "invalid until"),
    ];
    for (from, until, expected) in cases {
        let terms = commission(9, &muster, from, until);
        assert_eq!(
            refused(records.create_agreement(&world.by(), &terms).await),
            expected,
            "{from}..{until:?}"
        );
    }
    let between = commission(3, &muster, 200, Some(300));
    records
        .create_agreement(&world.by(), &between)
        .await
        .unwrap();
    assert_eq!(
        records
            .agreements_of(&[muster.id, world.platform.id])
            .await
            .unwrap(),
        [first.clone(), between.clone(), last.clone()]
    );

    assert_eq!(
        refused(
            records
                .end_agreement(&world.by(), Authority::Platform, between.id, at(301))
                .await
        ),
        "conflict from"
    );
    assert_eq!(
        refused(
            records
                .end_agreement(&world.by(), Authority::Platform, between.id, at(200))
                .await
        ),
        "invalid until"
    );
    assert_eq!(
        refused(
            records
                .end_agreement(&world.by(), Authority::Platform, AgreementId(77), at(200))
                .await
        ),
        "not found agreement"
    );
    let ended = records
        .end_agreement(&world.by(), Authority::Platform, between.id, at(250))
        .await
        .unwrap();
    assert_eq!(
        ended,
        Agreement {
            until: Some(at(250)),
            ..between
        }
    );
    assert_eq!(
        records.agreement(ended.id).await.unwrap(),
        Some(ended.clone())
    );
    let page = records
        .agreements_by_buyer(muster.id, Period::default(), Some(first.id), 1)
        .await
        .unwrap();
    assert_eq!(
        page,
        Page {
            data: vec![last.clone()],
            has_more: true
        }
    );
    assert_eq!(
        records
            .agreements_below(&world.platform, Period::default(), None, 9)
            .await
            .unwrap()
            .data,
        [first, last, ended]
    );
    assert_eq!(
        world.log().await[3..],
        [
            "agreement create",
            "agreement create",
            "agreement create",
            "agreement end"
        ]
    );
}

async fn an_agreement_must_fit_its_buyer_and_card(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let other = world.reseller(20, "other", &world.platform).await;
    for card in [
        card(1, &muster, "retail"),
        card(2, &world.platform, "list"),
        card(3, &other, "foreign"),
    ] {
        records.create_card(&world.by(), &card).await.unwrap();
    }
    let ok = commission(1, &acme, 0, None);
    let wholesale = |card| Agreement {
        pricing: Pricing::Wholesale {
            rate_card: RateCardId(card),
        },
        ..ok.clone()
    };
    let cases = [
        (
            "invalid seller",
            Agreement {
                seller: other.id,
                ..ok.clone()
            },
        ),
        (
            "not found buyer",
            Agreement {
                buyer: TenantId(99),
                ..ok.clone()
            },
        ),
        ("invalid buyer", commission(1, &world.platform, 0, None)),
        (
            "invalid commission_bp",
            Agreement {
                pricing: Pricing::Commission {
                    commission_bp: 10_001,
                },
                ..ok.clone()
            },
        ),
        (
            "invalid credit_limit_cents",
            Agreement {
                credit_limit: Some(Cents(-1)),
                ..ok.clone()
            },
        ),
        ("not found rate card", wholesale(99)),
        ("not found rate card", wholesale(3)),
        (
            "invalid currency",
            Agreement {
                currency: "JPY".parse().unwrap(),
                ..wholesale(1)
            },
        ),
    ];
    for (expected, terms) in cases {
        assert_eq!(
            refused(records.create_agreement(&world.by(), &terms).await),
            expected,
            "{terms:?}"
        );
    }
    let own = Agreement {
        until: Some(at(10)),
        credit_limit: None,
        ..wholesale(1)
    };
    let above = Agreement {
        id: AgreementId(2),
        from: at(10),
        ..wholesale(2)
    };
    records.create_agreement(&world.by(), &own).await.unwrap();
    assert_eq!(
        refused(
            records
                .create_agreement(
                    &world.by(),
                    &Agreement {
                        id: own.id,
                        ..above.clone()
                    }
                )
                .await
        ),
        "conflict id"
    );
    records.create_agreement(&world.by(), &above).await.unwrap();
    assert_eq!(
        records.agreements_of(&[acme.id]).await.unwrap(),
        [own, above]
    );
    records.close_tenant(&world.by(), acme.id).await.unwrap();
    assert_eq!(
        refused(
            records
                .create_agreement(
                    &world.by(),
                    &Agreement {
                        id: AgreementId(3),
                        ..ok
                    }
                )
                .await
        ),
        "conflict buyer"
    );
}

async fn a_meter_has_one_name_on_the_platform(world: World) {
    let records = &world.catalog;
    let terms = |aggregation, unique_by: Option<&str>| MeterTerms {
        unit: "user".into(),
        aggregation,
        unique_by: unique_by.map(str::to_owned),
    };
    let meter = |id, name: &str, terms| Meter {
        id: MeterId(id),
        name: name.into(),
        terms,
        created_at: at(4),
    };
    let users = meter(1, "users", terms(Aggregation::Unique, Some("user_id")));
    let sms = meter(2, "sms", terms(Aggregation::Sum, None));
    for meter in [&users, &sms] {
        records.create_meter(&world.by(), meter).await.unwrap();
    }
    let cases = [
        (
            "conflict name",
            meter(3, "sms", terms(Aggregation::Max, None)),
        ),
        (
            "conflict id",
            meter(2, "other", terms(Aggregation::Max, None)),
        ),
        (
            "invalid unique_by",
            meter(3, "x", terms(Aggregation::Unique, None)),
        ),
        (
            "invalid unique_by",
            meter(3, "x", terms(Aggregation::Sum, Some("a"))),
        ),
        ("invalid name", meter(3, "", terms(Aggregation::Sum, None))),
    ];
    for (expected, meter) in cases {
        assert_eq!(
            refused(records.create_meter(&world.by(), &meter).await),
            expected,
            "{meter:?}"
        );
    }
    assert_eq!(records.meter(users.id).await.unwrap(), Some(users.clone()));
    assert_eq!(
        records.meter_by_name("sms").await.unwrap(),
        Some(sms.clone())
    );
    assert_eq!(
        records.meters(None, None, 1).await.unwrap(),
        Page {
            data: vec![users.clone()],
            has_more: true
        }
    );
    assert_eq!(
        records.meters(None, Some(users.id), 1).await.unwrap(),
        Page {
            data: vec![sms],
            has_more: false
        }
    );
    assert_eq!(world.log().await[2..], ["meter create", "meter create"]);
}

async fn a_card_has_one_name_per_owner(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let cards = [
        card(1, &world.platform, "standard"),
        card(2, &muster, "standard"),
        card(3, &muster, "promo"),
    ];
    for card in &cards {
        records.create_card(&world.by(), card).await.unwrap();
    }
    assert_eq!(
        refused(
            records
                .create_card(&world.by(), &card(4, &muster, "promo"))
                .await
        ),
        "conflict name"
    );
    assert_eq!(
        refused(
            records
                .create_card(&world.by(), &card(3, &muster, "new"))
                .await
        ),
        "conflict id"
    );
    assert_eq!(
        refused(
            records
                .create_card(
                    &world.by(),
                    &RateCard {
                        owner: TenantId(9),
                        ..card(4, &muster, "x")
                    }
                )
                .await
        ),
        "not found tenant"
    );
    assert_eq!(
        records.card(RateCardId(2)).await.unwrap().as_ref(),
        Some(&cards[1])
    );
    assert_eq!(
        records
            .card_by_name(muster.id, "standard")
            .await
            .unwrap()
            .as_ref(),
        Some(&cards[1])
    );
    assert_eq!(
        records
            .cards_by_owner(muster.id, None, None, 9)
            .await
            .unwrap()
            .data,
        cards[1..]
    );
    assert_eq!(
        records
            .cards_below(&world.platform, None, Some(RateCardId(1)), 1)
            .await
            .unwrap(),
        Page {
            data: vec![cards[1].clone()],
            has_more: true
        }
    );
    assert_eq!(
        records
            .cards_below(&muster, None, None, 9)
            .await
            .unwrap()
            .data,
        cards[1..]
    );
}

async fn a_version_is_made_and_published_or_neither(world: World) {
    let records = &world.catalog;
    let card = card(1, &world.platform, "standard");
    records.create_card(&world.by(), &card).await.unwrap();
    let (first, second) = (doc("49"), doc("4930"));
    let new = |id, base: Option<i64>, doc| NewVersion {
        id: CardVersionId(id),
        base: base.map(CardVersionId),
        doc,
    };
    let one = records
        .create_published(&world.by(), card.id, &new(11, None, &first), at(500))
        .await
        .unwrap();
    assert_eq!(
        (one.number, one.status, one.effective_from),
        (1, VersionStatus::Published, Some(at(500)))
    );
    assert_eq!(records.version(one.id).await.unwrap(), Some(one.clone()));
    // The version in force is another by now; that instant is taken.
    assert_eq!(
        refused(
            records
                .create_published(&world.by(), card.id, &new(12, None, &second), at(600))
                .await
        ),
        "conflict effective_from"
    );
    assert_eq!(
        refused(
            records
                .create_published(&world.by(), card.id, &new(12, Some(11), &second), at(400))
                .await
        ),
        "conflict effective_from"
    );
    assert_eq!(
        refused(
            records
                .create_published(&world.by(), card.id, &new(12, Some(11), &second), at(500))
                .await
        ),
        "conflict effective_from"
    );
    assert_eq!(
        records.versions(card.id, None, 9).await.unwrap().data,
        std::slice::from_ref(&one),
        "no draft is left behind"
    );
    let two = records
        .create_published(&world.by(), card.id, &new(12, Some(11), &second), at(600))
        .await
        .unwrap();
    assert_eq!(
        records.published_versions(card.id).await.unwrap(),
        [one, two]
    );
    let actions = ["create", "publish", "create", "publish"]
        .map(|action| format!("rate_card_version {action}"));
    assert_eq!(world.log().await[3..], actions);
}

async fn a_published_version_never_changes(world: World) {
    let records = &world.catalog;
    let card = card(1, &world.platform, "standard");
    records.create_card(&world.by(), &card).await.unwrap();
    let (one, two) = (CardVersionId(11), CardVersionId(12));
    let draft = records
        .create_draft(&world.by(), card.id, one, &doc("49"))
        .await
        .unwrap();
    assert_eq!(
        (draft.number, draft.status, draft.effective_from),
        (1, VersionStatus::Draft, None)
    );
    records
        .replace_draft(&world.by(), one, &doc("4930"))
        .await
        .unwrap();
    assert_eq!(records.version_doc(one).await.unwrap(), Some(doc("4930")));
    let published = records.publish(&world.by(), one, at(500)).await.unwrap();
    assert_eq!(records.version(one).await.unwrap(), Some(published.clone()));
    assert_eq!(
        (published.effective_from, published.published_at),
        (Some(at(500)), Some(world.by().at))
    );

    assert_eq!(
        refused(records.replace_draft(&world.by(), one, &doc("1")).await),
        "conflict status"
    );
    assert_eq!(
        refused(records.publish(&world.by(), one, at(600)).await),
        "conflict status"
    );
    assert_eq!(records.version_doc(one).await.unwrap(), Some(doc("4930")));

    assert_eq!(
        records
            .create_draft(&world.by(), card.id, two, &doc("1"))
            .await
            .unwrap()
            .number,
        2
    );
    assert_eq!(
        refused(
            records
                .create_draft(&world.by(), card.id, two, &doc("1"))
                .await
        ),
        "conflict id"
    );
    assert_eq!(
        records.published_versions(card.id).await.unwrap(),
        std::slice::from_ref(&published)
    );
    assert_eq!(
        refused(records.publish(&world.by(), two, at(500)).await),
        "conflict effective_from"
    );
    let earlier = records.publish(&world.by(), two, at(400)).await.unwrap();
    assert_eq!(
        records.published_versions(card.id).await.unwrap(),
        [earlier.clone(), published.clone()]
    );
    assert_eq!(
        records.versions(card.id, None, 1).await.unwrap(),
        Page {
            data: vec![published],
            has_more: true
        }
    );
    assert_eq!(
        records.versions(card.id, Some(1), 1).await.unwrap(),
        Page {
            data: vec![earlier],
            has_more: false
        }
    );

    let yen = CardDoc {
        currency: "JPY".parse().unwrap(),
        ..doc("1")
    };
    assert_eq!(
        refused(
            records
                .create_draft(&world.by(), card.id, CardVersionId(13), &yen)
                .await
        ),
        "invalid currency"
    );
    assert_eq!(
        refused(
            records
                .create_draft(&world.by(), RateCardId(9), CardVersionId(13), &doc("1"))
                .await
        ),
        "not found rate card"
    );
    assert_eq!(
        refused(records.publish(&world.by(), CardVersionId(13), at(1)).await),
        "not found rate card version"
    );
    let actions = ["create", "replace", "publish", "create", "publish"]
        .map(|action| format!("rate_card_version {action}"));
    assert_eq!(world.log().await[3..], actions);
}
