//! A batch of a thousand calls through the engine (prepare, queue, turn, commit), without HTTP:
//! what the pipeline itself costs, on the journal in memory. Every answer is checked.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]

mod common;

use catalog::{Actor, Catalog, Meter, NewTenant, RateCard};
use compact_str::format_compact;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use db::Db;
use journal::memory::MemoryJournal;
use metering::requests::{Caller, EventAnswer, Outcome, UsageEvent};
use metering::{Directory, Engine};
use rating::card::{CardDoc, MeterTerms};
use rating::{
    AgreementId, CardVersionId, Currency, Instant, Quantity, RateCardId, TenantId, ids::MeterId,
};
use std::sync::Arc;
use tenants::{Agreement, Collect, OnExhausted, Pricing, Scope, Tenant, TenantKind};

const RESELLERS: i64 = 100;
const CUSTOMERS_EACH: i64 = 100;
const BATCH: usize = 1_000;
const NOW: Instant = Instant::from_secs(1_795_000_000);
const PLATFORM: TenantId = TenantId(1);
/// A minute costs the customer this much.
const RETAIL_CENTS: i64 = 40;

fn tenant(id: i64, kind: TenantKind, path: &[i64]) -> NewTenant {
    let path: smallvec::SmallVec<[TenantId; 4]> = path.iter().map(|&id| TenantId(id)).collect();
    let tenant = Tenant {
        id: TenantId(id),
        external_id: format!("t-{id}"),
        kind,
        name: format!("Tenant {id}"),
        parent: path.len().checked_sub(2).map(|index| path[index]),
        root: path.get(1).copied().unwrap_or(PLATFORM),
        path,
        country: None,
        late_window_days: 35,
        created_at: NOW,
        closed_at: None,
    };
    NewTenant {
        tenant,
        personal_key: [7; 32],
    }
}

fn agreement(id: i64, buyer: i64, seller: i64, card: i64) -> Agreement {
    Agreement {
        id: AgreementId(id),
        buyer: TenantId(buyer),
        seller: TenantId(seller),
        currency: Currency::EUR,
        pricing: Pricing::Wholesale {
            rate_card: RateCardId(card),
        },
        collect: Collect::Platform,
        credit_limit: None,
        on_exhausted: OnExhausted::Post,
        credit_cap: rating::Cents::ZERO,
        refused_by: None,
        floor: None,
        free_retail: false,
        author: None,
        from: Instant::MIN,
        until: None,
    }
}

fn customer_id(reseller: i64, customer: i64) -> i64 {
    1_000 + reseller * 1_000 + customer
}

async fn card(catalog: &Catalog, actor: &Actor, id: i64, price: &str) {
    let card = RateCard {
        id: RateCardId(id),
        owner: PLATFORM,
        root: PLATFORM,
        name: format!("card-{id}"),
        currency: Currency::EUR,
        created_at: NOW,
    };
    catalog.create_card(actor, &card).await.unwrap();
    let doc: CardDoc = serde_json::from_value(serde_json::json!({
        "currency": "EUR",
        "rates": [{"key": "all", "meter": "call", "prefixes": [""], "call": {"initial": "60", "next": "1", "steps": [{"from": "0", "price": price, "per": "60"}]}}]
    }))
    .unwrap();
    catalog
        .create_draft(actor, card.id, CardVersionId(id), &doc)
        .await
        .unwrap();
    catalog
        .publish(actor, CardVersionId(id), Instant::MIN)
        .await
        .unwrap();
}

async fn engine(db: &Db) -> Engine {
    let catalog = Catalog::new(db);
    let actor = Actor {
        key: None,
        tenant: PLATFORM,
        at: NOW,
        request_id: "bench".to_owned(),
        reason: None,
        once: None,
    };
    let mut tenants = vec![tenant(1, TenantKind::Platform, &[1])];
    let mut agreements = Vec::new();
    for reseller in 1..=RESELLERS {
        let id = 10 + reseller;
        tenants.push(tenant(id, TenantKind::Reseller, &[1, id]));
        agreements.push(agreement(id, id, 1, 1));
        for customer in 0..CUSTOMERS_EACH {
            let customer = customer_id(reseller, customer);
            tenants.push(tenant(customer, TenantKind::Customer, &[1, id, customer]));
            agreements.push(agreement(customer, customer, id, 2));
        }
    }
    catalog.create_tenant(&actor, &tenants[0]).await.unwrap();
    card(&catalog, &actor, 1, "0.30").await;
    card(&catalog, &actor, 2, "0.40").await;
    catalog
        .create_tenants(&actor, &tenants[1..], &agreements)
        .await
        .unwrap();
    let terms = MeterTerms {
        unit: "second".to_owned(),
        aggregation: rating::card::Aggregation::Sum,
        unique_by: None,
    };
    catalog
        .create_meter(
            &actor,
            &Meter {
                id: MeterId(1),
                name: "call".to_owned(),
                terms,
                created_at: NOW,
            },
        )
        .await
        .unwrap();
    Engine::start(
        Arc::new(MemoryJournal::new()),
        Directory::new(catalog),
        Arc::new(|| NOW),
    )
}

fn batch(number: usize) -> Vec<Result<UsageEvent, (String, problem::Problem)>> {
    let event = |index: usize| {
        let spread = (number * BATCH + index).wrapping_mul(7_919);
        let (reseller, customer) = (
            spread as i64 % RESELLERS + 1,
            spread as i64 / RESELLERS % CUSTOMERS_EACH,
        );
        Ok(UsageEvent {
            id: format!("0192{number:08x}{index:08x}"),
            source: "bench".into(),
            customer: format_compact!("t-{}", customer_id(reseller, customer)),
            meter: "call".into(),
            quantity: Quantity::whole(60),
            at: NOW,
            destination: Some(format_compact!("+4930{spread:08}")),
            ..UsageEvent::default()
        })
    };
    (0..BATCH).map(event).collect()
}

fn check(answers: &[EventAnswer]) {
    let debits: i64 = answers
        .iter()
        .map(|answer| match &answer.outcome {
            Outcome::Rated(posted) => posted.debit.0,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(debits, RETAIL_CENTS * BATCH as i64);
}

fn ingest(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = runtime.block_on(async {
        engine(
            &Db::open_sqlite(&folder.path().join("records.sqlite"))
                .await
                .unwrap(),
        )
        .await
    });
    let caller = Caller {
        tenant: PLATFORM,
        root: PLATFORM,
        scope: Scope::PlatformAdmin,
        key: None,
    };
    let mut number = 0;
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("ingest 1000 calls over 10,000 customers, memory", |b| {
        b.iter(|| {
            number += 1;
            check(
                &runtime
                    .block_on(engine.ingest(&caller, batch(number)))
                    .unwrap(),
            );
        });
    });
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = ingest);
criterion_main!(benches);
