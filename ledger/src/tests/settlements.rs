//! The reference chain of the design, settled both ways, and what follows from it.

use super::*;
use crate::{
    Refusal, adjustment, hold_amounts, nets, postings_of, reclassification, reversed, splits_of,
    top_up,
};
use rating::Exact;

/// The reference chain: customer 5 ← reseller 2 ← platform.
const CHAIN: [i64; 3] = [5, 2, 1];

fn splits(charges: &[LinkCharge]) -> Vec<(i64, i64)> {
    splits_of(charges)
        .unwrap()
        .into_iter()
        .map(|(tenant, cents)| (tenant.0, cents.0))
        .collect()
}

#[test]
fn ten_minutes_collected_by_the_platform() {
    let charges = charges(&CHAIN, 0, &[400, 300]);
    let mut books = books(&[(balance_of(5), 5_000)]);
    let posted = books
        .charge(&event(&charges, &[prepaid(5), prepaid(2)]))
        .unwrap();
    assert_eq!(state(&books, balance_of(5)), (4_600, 0));
    assert_eq!(
        state(&books, balance_of(2)),
        (100, 0),
        "the commission accrues, and an empty account pays 300 out of 400"
    );
    assert_eq!(state(&books, revenue()), (300, 0));
    assert_eq!(splits(&charges), [(1, 300), (2, 100)]);
    let entries: Vec<_> = posted
        .entries
        .iter()
        .map(|entry| (entry.account, entry.cents.0, entry.balance.0))
        .collect();
    assert_eq!(
        entries,
        [
            (balance_of(5), -400, 4_600),
            (balance_of(2), 100, 100),
            (revenue(), 300, 300)
        ]
    );
    assert_eq!(
        books.into_changed().len(),
        3,
        "what did not move is not written"
    );
}

#[test]
fn ten_minutes_collected_by_the_reseller() {
    let charges = charges(&CHAIN, 1, &[400, 300]);
    let mut books = books(&[
        (book_of(5), 5_000),
        (balance_of(5), 70),
        (balance_of(2), 1_000),
    ]);
    books
        .charge(&event(&charges, &[prepaid(5), prepaid(2)]))
        .unwrap();
    for (account, cents) in [
        (book_of(5), 4_600),
        (income_of(2), 400),
        (balance_of(2), 700),
        (revenue(), 300),
    ] {
        assert_eq!(state(&books, account), (cents, 0), "{account}");
    }
    assert_eq!(
        state(&books, balance_of(5)),
        (70, 0),
        "what the platform holds is not touched"
    );
    assert_eq!(splits(&charges), [(1, 300), (2, 100)]);
}

#[test]
fn records_from_before_the_book_move_what_they_moved() {
    let charges = settled(&CHAIN, 1, Settlement::ResellerShared, &[400, 300]);
    let mut books = books(&[(balance_of(5), 5_000), (balance_of(2), 1_000)]);
    books.charge(&event(&charges, &[])).unwrap();
    let moved = reclassification(TenantId(5), EUR, Cents(4_600))
        .unwrap()
        .unwrap();
    books.post(&[moved]).unwrap();
    for (account, cents) in [
        (balance_of(5), 0),
        (book_of(5), 4_600),
        (income_of(2), 400),
        (balance_of(2), 700),
        (revenue(), 300),
    ] {
        assert_eq!(state(&books, account), (cents, 0), "{account}");
    }
    assert_eq!(reclassification(TenantId(5), EUR, Cents(0)), Ok(None));
    let debt = reclassification(TenantId(5), EUR, Cents(-7))
        .unwrap()
        .unwrap();
    assert_eq!(
        (debt.from, debt.to, debt.cents),
        (book_of(5), balance_of(5), Cents(7))
    );
}

/// It was placed on the balance that was moved meanwhile: what was held is given back there, and
/// the book pays.
#[test]
fn a_hold_from_before_the_book_ends_right() {
    let links = settled(&CHAIN, 1, Settlement::ResellerShared, &[0, 0])
        .into_iter()
        .zip([400, 300].map(|cents| Exact(cents * Exact::PER_CENT)));
    let held = hold_amounts(ROOT, PLATFORM, EUR, links).unwrap();
    assert_eq!(
        held,
        amounts_on(&[(balance_of(5), 400), (balance_of(2), 300)])
    );
    for end in ["capture", "release", "expire"] {
        let mut books = books(&[(balance_of(5), 5_000), (balance_of(2), 1_000)]);
        let mut hold = Hold::new(HoldId(1), ROOT, TenantId(5), NOW, END, held.clone());
        books.place_hold(&hold, &[], NOW).unwrap();
        books
            .post(&[reclassification(TenantId(5), EUR, Cents(5_000))
                .unwrap()
                .unwrap()])
            .unwrap();
        let (mut paid, usage) = (0, charges(&CHAIN, 1, &[380, 280]));
        match end {
            "capture" => {
                let posted = books.capture(&event(&usage, &[]), &mut hold, NOW).unwrap();
                assert_eq!(posted.over_hold, amounts_on(&[(book_of(5), 380)]));
                paid = 380;
            }
            "release" => books.release(&mut hold, NOW).unwrap(),
            _ => books.expire(&mut hold, END).unwrap(),
        }
        assert_eq!(
            (state(&books, balance_of(5)), state(&books, book_of(5))),
            ((0, 0), (5_000 - paid, 0)),
            "{end}"
        );
        assert_eq!(state(&books, balance_of(2)).1, 0, "{end}");
    }
}

/// The journal keeps charges packed, and hashes those bytes.
#[test]
fn a_settlement_is_packed_as_the_byte_that_was_there_before() {
    #[derive(serde::Serialize)]
    struct Before {
        buyer: TenantId,
        seller: TenantId,
        to_income: bool,
        cents: Cents,
    }
    for (to_income, settlement) in [
        (false, Settlement::Platform),
        (true, Settlement::ResellerShared),
    ] {
        let (buyer, seller, cents) = (TenantId(1 << 40), TenantId(7), Cents(-400));
        let before = postcard::to_stdvec(&Before {
            buyer,
            seller,
            to_income,
            cents,
        })
        .unwrap();
        assert_eq!(
            postcard::from_bytes::<LinkCharge>(&before).unwrap(),
            LinkCharge {
                buyer,
                seller,
                settlement,
                cents
            }
        );
        assert_eq!(
            postcard::to_stdvec(&LinkCharge {
                buyer,
                seller,
                settlement,
                cents
            })
            .unwrap(),
            before
        );
    }
    assert_eq!(postcard::to_stdvec(&Settlement::Reseller).unwrap(), [2]);
}

#[test]
fn the_resellers_own_prepaid_balance_counts_when_it_collects() {
    let charges = charges(&CHAIN, 1, &[400, 300]);
    let mut books = books(&[(book_of(5), 5_000), (balance_of(2), 299)]);
    let refusal = Refusal::Exhausted {
        account: balance_of(2),
        available: Cents(299),
        asked: Cents(300),
    };
    assert_eq!(
        books.charge(&event(&charges, &[prepaid(5), prepaid(2)])),
        Err(refusal)
    );
    assert_eq!(books.changed().count(), 0, "no link posts");
}

#[test]
fn zero_posts_nothing_and_negative_cents_go_the_other_way() {
    for (cents, want) in [
        ([0, 0], vec![]),
        ([1, 0], vec![(5, 2, 1)]),
        ([-4, -3], vec![(2, 5, 4), (2, 2, 3)]),
    ] {
        let postings = postings_of(ROOT, PLATFORM, EUR, &charges(&CHAIN, 0, &cents)).unwrap();
        let moves: Vec<_> = postings
            .iter()
            .map(|p| (p.from.tenant.0, p.to.tenant.0, p.cents.0))
            .collect();
        assert_eq!(moves, want, "{cents:?}");
    }
    let given_back = postings_of(ROOT, PLATFORM, EUR, &charges(&CHAIN, 0, &[-4, -3])).unwrap();
    assert_eq!(given_back[1].from, revenue());
}

#[test]
fn a_seller_may_lose_on_an_event_and_the_parts_still_sum_to_the_debit() {
    assert_eq!(
        splits(&charges(&[4, 3, 2, 1], 0, &[0, 1, 0])),
        [(1, 0), (2, 1), (3, -1)]
    );
    assert_eq!(
        splits(&charges(&[4, 3, 2, 1], 0, &[400, 300, 225])),
        [(1, 225), (2, 75), (3, 100)]
    );
}

#[test]
fn charges_that_are_no_chain_are_refused() {
    let good = charges(&[4, 3, 2, 1], 0, &[4, 3, 2]);
    let broken = [
        vec![],
        vec![good[0], good[2]],
        // Only the root buys from the platform.
        charges(&[4, 3, 1], 0, &[4, 3]),
        good.iter().rev().copied().collect(),
        charges(&[4, 4, 1], 0, &[4, 3]),
        charges(&[4, 1, 2, 1], 0, &[4, 3, 2]),
    ];
    for charges in broken {
        assert_eq!(
            postings_of(ROOT, PLATFORM, EUR, &charges),
            Err(Refusal::BrokenChain),
            "{charges:?}"
        );
    }
    // What is charged now may be some of a chain's links: upper ones before lower ones.
    for run in [&good[..2], &good[1..], &good[2..]] {
        assert_eq!(
            postings_of(ROOT, PLATFORM, EUR, run).map(|postings| postings.len()),
            Ok(run.len()),
            "{run:?}"
        );
    }
}

#[test]
fn a_hold_covers_the_net_debit_of_each_account_rounded_up() {
    const CENT: i128 = Exact::PER_CENT;
    // (links collected by resellers, exact amounts of the links, what is held)
    for (collected, exacts, want) in [
        (0, [400 * CENT, 300 * CENT], vec![(balance_of(5), 400)]),
        (
            1,
            [400 * CENT, 300 * CENT],
            vec![(book_of(5), 400), (balance_of(2), 300)],
        ),
        (0, [CENT / 2, CENT / 4], vec![(balance_of(5), 1)]),
        (0, [CENT + 1, CENT], vec![(balance_of(5), 2)]),
        (
            0,
            [300 * CENT, 400 * CENT],
            vec![(balance_of(5), 300), (balance_of(2), 100)],
        ),
        (1, [0, 1], vec![(balance_of(2), 1)]),
        (0, [0, 0], vec![]),
    ] {
        let links = charges(&CHAIN, collected, &[0, 0])
            .into_iter()
            .zip(exacts.map(Exact));
        assert_eq!(
            hold_amounts(ROOT, PLATFORM, EUR, links),
            Ok(amounts_on(&want)),
            "{collected} {exacts:?}"
        );
    }
}

#[test]
fn reversing_moves_restores_every_balance() {
    let charges = charges(&[4, 3, 2, 1], 1, &[400, 300, 200]);
    let mut books = books(&[(balance_of(4), 500), (balance_of(3), 500)]);
    let before = snapshot(&books);
    books.charge(&event(&charges, &[])).unwrap();
    let postings = postings_of(ROOT, PLATFORM, EUR, &charges).unwrap();
    books.post(&reversed(&postings)).unwrap();
    assert_eq!(snapshot(&books), before);
    assert_eq!(
        nets(&postings)
            .unwrap()
            .iter()
            .map(|(_, cents)| cents.0)
            .sum::<i64>(),
        0
    );
}

#[test]
fn money_by_hand_comes_from_outside_and_says_why() {
    let mut books = books(&[]);
    books
        .post(&[top_up(ROOT, balance_of(4), Cents(5_000)).unwrap()])
        .unwrap();
    books
        .post(&[adjustment(ROOT, balance_of(4), Cents(-6_000), "chargeback").unwrap()])
        .unwrap();
    assert_eq!(
        (state(&books, balance_of(4)), state(&books, external())),
        ((-1_000, 0), (1_000, 0))
    );
    books
        .post(&[adjustment(ROOT, income_of(3), Cents(1), "opening balance").unwrap()])
        .unwrap();
    assert_eq!(state(&books, income_of(3)), (1, 0));
}
