//! Tenants, one and many.

use super::*;

on_every_database! {
    a_platform_is_made_once,
    tenants_are_found_by_id_name_path_and_subtree,
    lists_go_page_by_page,
    a_tenant_that_does_not_fit_is_refused,
    a_tenant_is_updated_and_closed,
    a_hundred_thousand_tenants_are_made_at_once,
}

async fn a_platform_is_made_once(world: World) {
    let other = tenant(TenantId(2), "other", TenantKind::Platform, None);
    let again = world
        .catalog
        .ensure_platform(&world.by(), &new(&other), &key(902, &other))
        .await
        .unwrap();
    assert_eq!(again, Platform::Existing(world.platform.clone()));
    assert_eq!(
        world.catalog.platform().await.unwrap(),
        Some(world.platform.clone())
    );
    assert_eq!(
        refused(world.catalog.create_tenant(&world.by(), &new(&other)).await),
        "conflict id"
    );
    assert_eq!(world.log().await, ["tenant create", "api_key create"]);
}

async fn tenants_are_found_by_id_name_path_and_subtree(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let below = world.reseller(11, "below", &muster).await;
    let acme = world.customer(12, "acme", &below).await;
    let other = world.reseller(20, "other", &world.platform).await;
    let namesake = world.customer(21, "acme", &other).await;

    assert_eq!(records.tenant(acme.id).await.unwrap(), Some(acme.clone()));
    assert_eq!(records.tenant(TenantId(99)).await.unwrap(), None);
    assert_eq!(
        records.tenant_path(acme.id).await.unwrap(),
        [
            acme.clone(),
            below.clone(),
            muster.clone(),
            world.platform.clone()
        ]
    );
    assert_eq!(records.tenant_path(TenantId(99)).await.unwrap(), []);

    for (caller, found) in [
        (&muster, Some(&acme)),
        (&below, Some(&acme)),
        (&acme, Some(&acme)),
        (&other, Some(&namesake)),
        (&namesake, Some(&namesake)),
    ] {
        assert_eq!(
            records
                .tenant_by_external_id(caller, "acme")
                .await
                .unwrap()
                .as_ref(),
            found,
            "{}",
            caller.external_id
        );
    }
    assert_eq!(
        records
            .tenant_by_external_id(&below, "muster")
            .await
            .unwrap(),
        None,
        "a seller is not in the subtree"
    );
    assert_eq!(
        refused(records.tenant_by_external_id(&world.platform, "acme").await),
        "ambiguous acme"
    );
    assert_eq!(
        records
            .tenant_by_external_id(&world.platform, "below")
            .await
            .unwrap(),
        Some(below.clone())
    );

    // Many at once are the same, but for those that are there twice.
    let names = ["acme", "below", "muster", "platform", "nobody"];
    for (caller, found) in [
        (&muster, "acme below muster"),
        (&below, "acme below"),
        (&other, "acme"),
        (&world.platform, "below muster"),
    ] {
        let mut tenants = records
            .tenants_by_external_ids(caller, &names)
            .await
            .unwrap();
        tenants.sort_by(|a, b| a.external_id.cmp(&b.external_id));
        for tenant in &tenants {
            assert_eq!(
                records
                    .tenant_by_external_id(caller, &tenant.external_id)
                    .await
                    .unwrap()
                    .as_ref(),
                Some(tenant)
            );
        }
        let tenants: Vec<String> = tenants
            .into_iter()
            .map(|tenant| tenant.external_id)
            .collect();
        assert_eq!(tenants.join(" "), found, "{}", caller.external_id);
    }
    assert_eq!(
        records.tenants_by_external_ids(&muster, &[]).await.unwrap(),
        []
    );

    let keys = records
        .personal_keys(&[acme.id, muster.id, acme.id, TenantId(99)])
        .await
        .unwrap();
    assert_eq!(
        keys,
        [
            (muster.id, new(&muster).personal_key),
            (acme.id, new(&acme).personal_key)
        ]
    );
    let mut found = records
        .tenants(&[acme.id, muster.id, TenantId(99)])
        .await
        .unwrap();
    found.sort_by_key(|tenant| tenant.id);
    assert_eq!(found, [muster, acme]);
}

async fn lists_go_page_by_page(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let a = world.customer(12, "a", &muster).await;
    let sub = world.reseller(13, "sub", &muster).await;
    let b = world.customer(15, "b", &sub).await;
    let c = world.customer(14, "c", &muster).await;
    let other = world.reseller(20, "other", &world.platform).await;

    let first = records.children(muster.id, None, 2).await.unwrap();
    assert_eq!(
        first,
        Page {
            data: vec![a.clone(), sub.clone()],
            has_more: true
        }
    );
    let second = records.children(muster.id, Some(sub.id), 2).await.unwrap();
    assert_eq!(
        second,
        Page {
            data: vec![c.clone()],
            has_more: false
        }
    );

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = records
            .tenants_below(&world.platform, after, 2)
            .await
            .unwrap();
        after = page.data.last().map(|tenant| tenant.id);
        seen.extend(page.data);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(
        seen,
        [
            world.platform.clone(),
            muster.clone(),
            a,
            sub.clone(),
            b.clone(),
            c,
            other.clone()
        ]
    );
    assert_eq!(
        records.tenants_below(&sub, None, 9).await.unwrap().data,
        [sub.clone(), b.clone()]
    );
    assert_eq!(records.tenants_below(&b, None, 9).await.unwrap().data, [b]);
    assert_eq!(
        refused(records.tenants_below(&sub, Some(other.id), 9).await),
        "invalid cursor"
    );
}

async fn a_tenant_that_does_not_fit_is_refused(world: World) {
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let mut deep = muster.clone();
    for level in 0..7 {
        deep = world
            .reseller(100 + level, &format!("level {level}"), &deep)
            .await;
    }
    let ok = tenant(TenantId(50), "new", TenantKind::Customer, Some(&muster));
    let cases = [
        (
            "conflict external_id",
            Tenant {
                external_id: "acme".into(),
                ..ok.clone()
            },
        ),
        (
            "conflict external_id",
            tenant(
                TenantId(51),
                "muster",
                TenantKind::Reseller,
                Some(&world.platform),
            ),
        ),
        // Reserved: nobody else may be taken for the platform.
        (
            "invalid external_id",
            tenant(
                TenantId(51),
                "platform",
                TenantKind::Reseller,
                Some(&world.platform),
            ),
        ),
        (
            "conflict id",
            Tenant {
                id: acme.id,
                path: acme.path.clone(),
                ..ok.clone()
            },
        ),
        ("conflict id", acme.clone()),
        (
            "invalid path",
            Tenant {
                root: world.platform.id,
                ..ok.clone()
            },
        ),
        (
            "invalid path",
            Tenant {
                path: acme.path.clone(),
                ..ok.clone()
            },
        ),
        (
            "invalid parent",
            tenant(TenantId(52), "x", TenantKind::Customer, Some(&acme)),
        ),
        (
            "invalid parent",
            tenant(TenantId(52), "x", TenantKind::Customer, Some(&deep)),
        ),
        (
            "invalid external_id",
            Tenant {
                external_id: TenantId(7).to_string(),
                ..ok.clone()
            },
        ),
        (
            "invalid external_id",
            Tenant {
                external_id: " ".into(),
                ..ok.clone()
            },
        ),
        (
            "invalid country",
            Tenant {
                country: Some("Germany".into()),
                ..ok.clone()
            },
        ),
        (
            "not found seller",
            Tenant {
                parent: Some(TenantId(77)),
                ..ok.clone()
            },
        ),
        (
            "not found seller",
            Tenant {
                parent: None,
                ..ok.clone()
            },
        ),
    ];
    let before = world.catalog.counts().await.unwrap();
    for (expected, tenant) in cases {
        assert_eq!(
            refused(
                world
                    .catalog
                    .create_tenant(&world.by(), &new(&tenant))
                    .await
            ),
            expected,
            "{tenant:?}"
        );
    }
    assert_eq!(
        world.catalog.counts().await.unwrap(),
        before,
        "a refused write leaves nothing"
    );
    world.make(ok).await;
}

async fn a_tenant_is_updated_and_closed(world: World) {
    let records = &world.catalog;
    let muster = world.reseller(10, "muster", &world.platform).await;
    let acme = world.customer(11, "acme", &muster).await;
    let patch = TenantPatch {
        name: Some("Acme Ltd".into()),
        country: Some(None),
        late_window_days: None,
    };
    let updated = records
        .update_tenant(&world.by(), acme.id, patch)
        .await
        .unwrap();
    assert_eq!(
        updated,
        Tenant {
            name: "Acme Ltd".into(),
            country: None,
            ..acme.clone()
        }
    );
    assert_eq!(
        records.tenant(acme.id).await.unwrap(),
        Some(updated.clone())
    );

    assert_eq!(
        refused(records.close_tenant(&world.by(), muster.id).await),
        "conflict id"
    );
    let closed = records.close_tenant(&world.by(), acme.id).await.unwrap();
    assert_eq!(
        closed,
        Tenant {
            closed_at: Some(world.by().at),
            ..updated
        }
    );
    assert_eq!(
        refused(records.close_tenant(&world.by(), acme.id).await),
        "conflict closed_at"
    );
    records.close_tenant(&world.by(), muster.id).await.unwrap();
    let late = tenant(TenantId(12), "late", TenantKind::Customer, Some(&muster));
    assert_eq!(
        refused(records.create_tenant(&world.by(), &new(&late)).await),
        "conflict parent"
    );
    assert_eq!(
        refused(records.close_tenant(&world.by(), world.platform.id).await),
        "invalid id"
    );
    assert_eq!(
        refused(
            records
                .update_tenant(&world.by(), TenantId(99), TenantPatch::default())
                .await
        ),
        "not found tenant"
    );

    let log = records
        .audit_log(&world.platform, &AuditFilter::default(), None, 3)
        .await
        .unwrap();
    let (before, after) = (
        log.data[2].before.clone().unwrap(),
        log.data[2].after.clone().unwrap(),
    );
    assert_eq!(
        (log.data[2].action.as_str(), log.data[2].reason.as_deref()),
        ("update", Some("a test"))
    );
    assert_eq!(
        (&before["name"], &after["name"], &after["country"]),
        (
            &"The acme".into(),
            &"Acme Ltd".into(),
            &serde_json::Value::Null
        )
    );
}

async fn a_hundred_thousand_tenants_are_made_at_once(world: World) {
    const RESELLERS: i64 = 100;
    const CUSTOMERS: i64 = 100_000;
    let mut tenants: Vec<NewTenant> = Vec::new();
    let mut terms = Vec::new();
    for reseller in 0..RESELLERS {
        tenants.push(new(&tenant(
            TenantId(1000 + reseller),
            &format!("r{reseller}"),
            TenantKind::Reseller,
            Some(&world.platform),
        )));
    }
    for customer in 0..CUSTOMERS {
        let seller = tenants[usize::try_from(customer % RESELLERS).unwrap()]
            .tenant
            .clone();
        let buyer = tenant(
            TenantId(10_000 + customer),
            &format!("c{customer}"),
            TenantKind::Customer,
            Some(&seller),
        );
        terms.push(commission(customer + 1, &buyer, 0, None));
        tenants.push(new(&buyer));
    }
    world
        .catalog
        .create_tenants(&world.by(), &tenants, &terms)
        .await
        .unwrap();
    let counts = world.catalog.counts().await.unwrap();
    assert_eq!(
        (counts.tenants, counts.agreements),
        (1 + RESELLERS + CUSTOMERS, CUSTOMERS)
    );
    let last = &tenants.last().unwrap().tenant;
    assert_eq!(
        world.catalog.tenant(last.id).await.unwrap().as_ref(),
        Some(last)
    );
    let of_some: Vec<TenantId> = tenants[5000..8000]
        .iter()
        .map(|new| new.tenant.id)
        .collect();
    assert_eq!(
        world.catalog.agreements_of(&of_some).await.unwrap(),
        terms[4900..7900]
    );
    assert_eq!(
        world.log().await.last().map(String::as_str),
        Some("tenant create_many")
    );

    let reseller = &tenants[7].tenant;
    let page = world
        .catalog
        .tenants_below(reseller, None, LIST_ROWS_MAX)
        .await
        .unwrap();
    assert_eq!(
        (page.data.len(), page.has_more),
        (LIST_ROWS_MAX, true),
        "1001 tenants"
    );
    let clash = NewTenant {
        tenant: Tenant {
            external_id: "c5".into(),
            ..tenant(
                TenantId(9),
                "x",
                TenantKind::Customer,
                Some(&tenants[5].tenant),
            )
        },
        ..tenants[0].clone()
    };
    assert_eq!(
        refused(
            world
                .catalog
                .create_tenants(&world.by(), &[clash], &[])
                .await
        ),
        "conflict external_id"
    );
}
