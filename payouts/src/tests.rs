//! Months added up, in memory: what every history keeps.

use super::calendar::Calendar;
use super::customers::{Share, grow, passed, share};
use super::earnings::add_up;
use super::month::Month;
use crate::commission_account::CommissionAccount;
use crate::rows::{CommissionMonth, MoveKind};
use jiff::tz::TimeZone;
use journal::{Charge, ChargePricing, EntryPayload, Identity, JournalEntry, Kind, Namespace, Seq};
use ledger::{AccountKey, LinkCharge, Posting, Settlement};
use proptest::prelude::*;
use rating::usage::Counter;
use rating::{AgreementId, Carry, Cents, Currency, Exact, Instant, Quantity, TenantId};

const PLATFORM: TenantId = TenantId(1);
const MUSTER: TenantId = TenantId(2);
const ACME: TenantId = TenantId(3);
const EUR: Currency = Currency::EUR;

fn commission_account() -> CommissionAccount {
    CommissionAccount {
        root: MUSTER,
        account: AccountKey::balance(MUSTER, EUR),
    }
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn charge(buyer: TenantId, seller: TenantId, settlement: Settlement, cents: i64) -> Charge {
    Charge {
        link: LinkCharge {
            buyer,
            seller,
            settlement,
            cents: Cents(cents),
        },
        agreement: AgreementId(1),
        pricing: ChargePricing::Commission {
            commission_bp: 2500,
        },
        billed: Quantity::default(),
        counter: None,
        before: Counter::default(),
        after: Counter::default(),
        exact: Exact::ZERO,
        local: Exact::ZERO,
        carry: Carry::ZERO,
    }
}

fn record(seq: i64, received_at: Instant, kind: Kind, body: EntryPayload) -> JournalEntry {
    JournalEntry {
        seq: Seq(seq),
        kind,
        tenant: MUSTER,
        identity: Identity {
            root: MUSTER,
            reporter: None,
            namespace: Namespace::Usage,
            source: "s".into(),
            id: seq.to_string(),
        },
        at: received_at,
        received_at,
        content: [0; 16],
        body: EntryPayload {
            currency: Some(EUR),
            ..body
        },
        personal: None,
        personal_digest: [0; 16],
    }
}

/// A call that muster sells for `received` and buys for `paid`.
fn sale(seq: i64, at: Instant, received: i64, paid: i64) -> JournalEntry {
    let charges = vec![
        charge(ACME, MUSTER, Settlement::Platform, received),
        charge(MUSTER, PLATFORM, Settlement::Platform, paid),
    ];
    record(
        seq,
        at,
        if received < 0 {
            Kind::Void
        } else {
            Kind::Rated
        },
        EntryPayload {
            charges,
            ..EntryPayload::default()
        },
    )
}

fn moved(seq: i64, at: Instant, kind: Kind, cents: i64) -> JournalEntry {
    let (external, balance) = (
        AccountKey::external(MUSTER, EUR),
        AccountKey::balance(MUSTER, EUR),
    );
    let (from, to) = if cents < 0 {
        (balance, external)
    } else {
        (external, balance)
    };
    let postings = vec![Posting {
        from,
        to,
        cents: Cents(cents.abs()),
    }];
    record(
        seq,
        at,
        kind,
        EntryPayload {
            postings,
            ..EntryPayload::default()
        },
    )
}

fn told(rows: &[CommissionMonth]) -> Vec<String> {
    let line = |row: &CommissionMonth| {
        let sums: Vec<String> = row
            .sums
            .iter()
            .map(|(kind, sum)| format!("{kind:?} {} in {}", sum.cents, sum.entries))
            .collect();
        let closed = if row.closed_at.is_some() {
            " closed"
        } else {
            ""
        };
        let (month, closing, accrued) = (
            Month(row.month),
            row.closing().unwrap(),
            row.accrued_through().unwrap(),
        );
        format!(
            "{month} {}..{}: {} + {} = {closing}, accrued {accrued}{closed}",
            row.after.0,
            row.through.0,
            row.opening,
            sums.join(", ")
        )
    };
    rows.iter().map(line).collect()
}

#[test]
fn months_follow_each_other_and_each_record_is_in_one() {
    let records = [
        moved(3, at("2026-10-01T00:00:00Z"), Kind::TopUp, 5000),
        sale(5, at("2026-10-31T23:59:59.999999Z"), 400, 300),
        sale(6, at("2026-11-01T00:00:00Z"), 400, 300),
        // Posted before midnight, written behind it.
        sale(7, at("2026-10-31T23:59:59.999998Z"), 40, 30),
        sale(9, at("2026-11-02T00:00:00Z"), -400, -300),
        moved(12, at("2027-01-05T00:00:00Z"), Kind::Payout, -110),
    ];
    let rows = add_up(
        commission_account(),
        None,
        Cents::ZERO,
        &records,
        &Calendar::of(TimeZone::UTC),
    )
    .unwrap();
    assert_eq!(
        told(&rows),
        [
            "2026-10 0..5: 0 + ChargesReceived 400 in 1, ChargesPaid -300 in 1, TopUp 5000 in 1 = \
                5100, accrued 100 closed",
            "2026-11 5..9: 5100 + ChargesReceived 40 in 3, ChargesPaid -30 in 3 = 5110, accrued \
                110 closed",
            "2027-01 9..12: 5110 + Payout -110 in 1 = 5000, accrued 110",
        ]
    );
    // What comes in once a month is closed is of the next.
    let closed = CommissionMonth {
        closed_at: Some(at("2027-02-01T01:00:00Z")),
        ..rows[2].clone()
    };
    let late = [sale(13, at("2027-01-31T23:59:59Z"), 10, 5)];
    let rows = add_up(
        commission_account(),
        Some(&closed),
        Cents::ZERO,
        &late,
        &Calendar::of(TimeZone::UTC),
    )
    .unwrap();
    assert_eq!(
        told(&rows),
        ["2027-02 12..13: 5000 + ChargesReceived 10 in 1, ChargesPaid -5 in 1 = 5005, accrued 115"]
    );
}

#[test]
fn what_a_reseller_collects_itself_is_not_the_platforms_to_pay() {
    let charges = vec![
        charge(ACME, MUSTER, Settlement::Reseller, 400),
        charge(MUSTER, PLATFORM, Settlement::Platform, 300),
    ];
    let own = record(
        1,
        at("2026-10-05T00:00:00Z"),
        Kind::Rated,
        EntryPayload {
            charges,
            ..EntryPayload::default()
        },
    );
    let rows = add_up(
        commission_account(),
        None,
        Cents::ZERO,
        &[moved(1, at("2026-10-01T00:00:00Z"), Kind::TopUp, 5000), own],
        &Calendar::of(TimeZone::UTC),
    )
    .unwrap();
    assert_eq!(rows[0].accrued_through(), Ok(Cents(-300)));
    assert!(!rows[0].sums.contains_key(&MoveKind::ChargesReceived));
}

/// Days after the one before, the record's cents, whether it is a sale.
fn history() -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
    prop::collection::vec((-1..20_i64, -3000..5000_i64, any::<bool>()), 1..60)
}

/// Whose record it is, how its sale is settled and for how much (`None`: that link is not charged),
/// what muster pays.
type Links = (i64, Option<(Settlement, i64)>, Option<i64>);

fn links() -> impl Strategy<Value = Vec<Links>> {
    let settlement = prop::sample::select(vec![
        Settlement::Platform,
        Settlement::ResellerShared,
        Settlement::Reseller,
    ]);
    let cents = -3000..5000_i64;
    prop::collection::vec(
        (
            2..6_i64,
            prop::option::of((settlement, cents.clone())),
            prop::option::of(cents),
        ),
        1..40,
    )
}

fn of_links(seq: i64, &(tenant, sold, bought): &Links) -> JournalEntry {
    let mut charges = Vec::new();
    charges.extend(
        sold.map(|(settlement, cents)| charge(TenantId(tenant + 10), MUSTER, settlement, cents)),
    );
    charges.extend(bought.map(|cents| charge(MUSTER, PLATFORM, Settlement::Platform, cents)));
    let record = record(
        seq,
        at("2026-10-05T00:00:00Z"),
        Kind::Rated,
        EntryPayload {
            charges,
            ..EntryPayload::default()
        },
    );
    JournalEntry {
        tenant: TenantId(tenant),
        ..record
    }
}

#[test]
fn commission_is_from_the_customer_and_what_is_bought_for_others_is_not() {
    let bought = Some(300);
    for (case, links, want) in [
        (
            "collected by the platform",
            (4, Some((Settlement::Platform, 400)), bought),
            Some(Share::Commission(Cents(100))),
        ),
        (
            "a void",
            (4, Some((Settlement::Platform, -400)), Some(-300)),
            Some(Share::Commission(Cents(-100))),
        ),
        (
            "its own link is not charged yet",
            (4, None, bought),
            Some(Share::Commission(Cents(-300))),
        ),
        (
            "and is later",
            (4, Some((Settlement::Platform, 400)), None),
            Some(Share::Commission(Cents(400))),
        ),
        (
            "collected by itself",
            (4, Some((Settlement::Reseller, 400)), bought),
            Some(Share::Own(Cents(300))),
        ),
        (
            "before its book was an account",
            (4, Some((Settlement::ResellerShared, 400)), bought),
            Some(Share::Own(Cents(300))),
        ),
        (
            "its own usage",
            (2, None, bought),
            Some(Share::Own(Cents(300))),
        ),
        ("not its business", (4, None, None), None),
    ] {
        assert_eq!(
            share(&of_links(1, &links), commission_account()),
            Ok(want),
            "{case}"
        );
    }
    let dollars = CommissionAccount {
        account: AccountKey::balance(MUSTER, "USD".parse().unwrap()),
        ..commission_account()
    };
    assert_eq!(share(&of_links(1, &(4, None, bought)), dollars), Ok(None));
}

/// ACME buys from the reseller below muster.
#[test]
fn what_is_lost_while_those_below_gain_is_passed_on() {
    const LOWER: TenantId = TenantId(7);
    let chain = |kind, prices: [i64; 3]| {
        let [used, sold, paid] = prices;
        let links = [
            (ACME, LOWER, used),
            (LOWER, MUSTER, sold),
            (MUSTER, PLATFORM, paid),
        ];
        let charges = links
            .map(|(buyer, seller, cents)| charge(buyer, seller, Settlement::Platform, cents))
            .to_vec();
        JournalEntry {
            tenant: ACME,
            ..record(
                1,
                at("2026-10-05T00:00:00Z"),
                kind,
                EntryPayload {
                    charges,
                    ..EntryPayload::default()
                },
            )
        }
    };
    for (case, kind, prices, want) in [
        ("everybody earns", Kind::Rated, [1000, 800, 600], 0),
        ("sold below cost", Kind::Rated, [1000, 1, 300], 299),
        ("the customer gained more", Kind::Rated, [50, 1, 300], 49),
        (
            "given back as it was charged",
            Kind::Rated,
            [-1000, -800, -600],
            0,
        ),
        (
            "given back, and the one below keeps some",
            Kind::Rated,
            [-1000, -1400, -600],
            400,
        ),
        (
            "a void of what was earned",
            Kind::Void,
            [-1000, -800, -600],
            0,
        ),
        (
            "a void of what was sold below cost",
            Kind::Void,
            [-1000, -1, -300],
            -299,
        ),
    ] {
        assert_eq!(
            passed(&chain(kind, prices), commission_account()),
            Ok(Cents(want)),
            "{case}"
        );
    }
}

proptest! {
    #[test]
    fn customers_and_own_purchases_come_to_the_commission(links in links(), cut in 1..7_usize) {
        let records: Vec<JournalEntry> = links.iter().enumerate().map(|(index, links)| of_links(index as i64 + 1, links)).collect();
        let months = add_up(commission_account(), None, Cents::ZERO, &records, &Calendar::of(TimeZone::UTC)).unwrap();
        let whole = grow(commission_account(), None, true, &records).unwrap();
        let by_customer: i64 = whole.customers.iter().map(|one| one.cents.0).sum();
        prop_assert_eq!(by_customer - whole.after.own.0, months.last().unwrap().accrued_through().unwrap().0);
        let (mut position, mut sums) = (None, std::collections::BTreeMap::<TenantId, (i64, i64, i64)>::new());
        for piece in records.chunks(cut) {
            let grown = grow(commission_account(), position, true, piece).unwrap();
            position = Some(grown.after);
            for one in grown.customers {
                let sum = sums.entry(one.customer).or_default();
                *sum = (sum.0 + one.cents.0, sum.1 + one.passed.0, sum.2 + one.gained.0);
            }
        }
        prop_assert_eq!(position, Some(whole.after));
        prop_assert_eq!(sums, whole.customers.iter().map(|one| (one.customer, (one.cents.0, one.passed.0, one.gained.0))).collect());
    }

    #[test]
    fn however_it_is_read_the_months_are_the_same_and_add_up(history in history(), cut in 1..7_usize) {
        let mut now = at("2026-01-01T00:00:00Z");
        let records: Vec<JournalEntry> = history.iter().enumerate().map(|(index, &(days, cents, is_sale))| {
            now = now.plus_secs(days * 86_400);
            let seq = index as i64 + 1;
            if is_sale { sale(seq, now, cents, cents / 3) } else { moved(seq, now, Kind::Adjustment, if cents == 0 { 1 } else { cents }) }
        }).collect();
        let whole = add_up(commission_account(), None, Cents::ZERO, &records, &Calendar::of(TimeZone::UTC)).unwrap();
        let mut pieces: Vec<CommissionMonth> = Vec::new();
        for piece in records.chunks(cut) {
            let latest = pieces.last().cloned();
            let rows = add_up(commission_account(), latest.as_ref(), Cents::ZERO, piece, &Calendar::of(TimeZone::UTC)).unwrap();
            if latest.as_ref().is_some_and(|latest| latest.closed_at.is_none()) {
                pieces.pop();
            }
            pieces.extend(rows);
        }
        prop_assert_eq!(&pieces, &whole);
        let (mut balance, mut accrued, mut last) = (0, 0, Seq(0));
        for row in &whole {
            prop_assert_eq!((row.opening.0, row.accrued.0, row.after), (balance, accrued, last));
            (balance, accrued, last) = (row.closing().unwrap().0, row.accrued_through().unwrap().0, row.through);
        }
        let sold: i64 = history.iter().filter(|one| one.2).map(|&(_, cents, _)| cents - cents / 3).sum();
        let other: i64 = history.iter().filter(|one| !one.2).map(|&(_, cents, _)| if cents == 0 { 1 } else { cents }).sum();
        prop_assert_eq!((accrued, balance), (sold, sold + other));
        prop_assert_eq!(whole.iter().flat_map(|row| row.sums.values()).map(|sum| sum.entries).sum::<u64>() > 0, true);
        prop_assert!(whole.windows(2).all(|pair| pair[0].month < pair[1].month && pair[0].closed_at.is_some()));
    }
}
