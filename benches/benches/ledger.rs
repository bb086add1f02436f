//! The pure ledger step: one event over two links posted into the books of 10,000 customers under
//! 100 resellers, each customer in turn. Every answer is checked, and the platform's revenue at the
//! end.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledger::{AccountKey, Balance, Books, Event, Limit, LinkCharge, Settlement};
use rating::fast::FastMap;
use rating::{Cents, Currency, TenantId};

const PLATFORM: TenantId = TenantId(1);
const CUSTOMERS: i64 = 10_000;
const ROOTS: i64 = 100;
const EVENTS: i64 = 1_000;
const RETAIL: Cents = Cents(40);
const WHOLESALE: Cents = Cents(30);

fn chain(number: i64) -> (TenantId, TenantId) {
    // 7919 is prime: every customer once before any of them comes again.
    let customer = number * 7_919 % CUSTOMERS;
    (
        TenantId(100 + customer % ROOTS),
        TenantId(10_000 + customer),
    )
}

fn accounts() -> impl Iterator<Item = AccountKey> {
    let of = |number| {
        let (root, customer) = chain(number);
        [
            AccountKey::balance(customer, Currency::EUR),
            AccountKey::balance(root, Currency::EUR),
            AccountKey::revenue(root, Currency::EUR),
        ]
    };
    (0..CUSTOMERS).flat_map(of)
}

/// What the customer pays, checked against its limit.
fn charge(books: &mut Books, number: i64) -> Cents {
    let (root, customer) = chain(number);
    let account = AccountKey::balance(customer, Currency::EUR);
    let charges = [
        LinkCharge {
            buyer: customer,
            seller: root,
            settlement: Settlement::Platform,
            cents: RETAIL,
        },
        LinkCharge {
            buyer: root,
            seller: PLATFORM,
            settlement: Settlement::Platform,
            cents: WHOLESALE,
        },
    ];
    let limits = [Limit {
        account,
        credit_limit: Some(Cents(i64::MAX / 4)),
        refuse: true,
    }];
    let event = Event {
        root,
        customer: charges[0].buyer,
        platform: PLATFORM,
        currency: Currency::EUR,
        charges: &charges,
        limits: &limits,
    };
    let posted = books.charge(&event).unwrap();
    posted
        .entries
        .iter()
        .find(|entry| entry.account == account)
        .unwrap()
        .cents
}

fn two_links(c: &mut Criterion) {
    let none: FastMap<AccountKey, Balance> = FastMap::default();
    let (mut books, mut number) = (Books::load(accounts(), &none), 0);
    let mut group = c.benchmark_group("ledger");
    group.throughput(Throughput::Elements(EVENTS.unsigned_abs()));
    group.bench_function("charge over two links", |b| {
        b.iter(|| {
            let debits: i64 = (number..number + EVENTS)
                .map(|event| charge(&mut books, event).0)
                .sum();
            number += EVENTS;
            assert_eq!(debits, -RETAIL.0 * EVENTS);
        });
    });
    group.finish();
    let revenue = |root| {
        books
            .balance(AccountKey::revenue(TenantId(100 + root), Currency::EUR))
            .unwrap()
            .posted
            .0
    };
    assert_eq!((0..ROOTS).map(revenue).sum::<i64>(), WHOLESALE.0 * number);
}

criterion_group!(name = benches; config = common::short(); targets = two_links);
criterion_main!(benches);
