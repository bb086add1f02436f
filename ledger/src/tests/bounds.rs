//! The bounds of an event and of a balance; and that accounts which many share are never full.

use super::*;
use crate::{Refusal, adjustment, reclassification, top_up};

const EVENT: i64 = Cents::EVENT_MAX.0;
const BALANCE: i64 = Cents::BALANCE_MAX.0;
/// Where accounts that many share begin to take small moves only.
const SHARED: i64 = 4_000_000_000_000_000_000;
const SMALL: i64 = 1_000_000_000;

/// Balances as they stand, without what brought them there.
fn standing(posted: &[(AccountKey, i64)]) -> Books {
    let found: FastMap<_, _> = posted
        .iter()
        .map(|&(key, cents)| {
            (
                key,
                Balance {
                    posted: Cents(cents),
                    held: Cents::ZERO,
                },
            )
        })
        .collect();
    Books::load(all_accounts(), &found)
}

fn charge(books: &mut Books, chain: &[i64], cents: &[i64]) -> Result<(), Refusal> {
    let charges = charges(chain, 0, cents);
    books.charge(&event(&charges, &[])).map(drop)
}

#[test]
fn a_customer_goes_as_far_as_its_bound_and_no_further() {
    for (before, cents, want) in [
        (EVENT - BALANCE, EVENT, Ok(())),
        (EVENT - BALANCE - 1, EVENT, Err(balance_of(5))),
        (-BALANCE, 1, Err(balance_of(5))),
        (-BALANCE, -1, Ok(())),
        (BALANCE, EVENT, Ok(())),
        (BALANCE, -1, Err(balance_of(5))),
        // From before there were bounds: back is always right, across zero as well.
        (i64::MIN + 1, -EVENT, Ok(())),
        (i64::MAX, 1, Ok(())),
        (i64::MAX - 1, -1, Err(balance_of(5))),
    ] {
        let mut books = standing(&[(balance_of(5), before)]);
        let want = want.map_err(|account| Refusal::BalanceTooLarge { account });
        assert_eq!(
            charge(&mut books, &[5, 2, 1], &[cents, cents]),
            want,
            "{before} − {cents}"
        );
    }
}

#[test]
fn a_customer_at_its_bound_stands_in_nobodys_way() {
    // Reseller 3 sells to customer 4, and is below what a customer may owe; so is the root.
    let mut books = standing(&[
        (balance_of(4), -BALANCE),
        (balance_of(3), -3 * BALANCE),
        (balance_of(2), -5 * BALANCE),
    ]);
    assert_eq!(
        charge(&mut books, &[4, 3, 2, 1], &[1, 1, 1]),
        Err(Refusal::BalanceTooLarge {
            account: balance_of(4)
        })
    );
    charge(&mut books, &[5, 2, 1], &[EVENT, EVENT]).unwrap();
    // Usage of the reseller itself is another customer's.
    let of_the_links_above = charges(&[3, 2, 1], 0, &[EVENT, EVENT]);
    let event = Event {
        customer: TenantId(4),
        ..event(&of_the_links_above, &[])
    };
    books.charge(&event).unwrap();
    assert_eq!(
        charge(&mut books, &[3, 2, 1], &[1, 1]),
        Err(Refusal::BalanceTooLarge {
            account: balance_of(3)
        })
    );
}

#[test]
fn events_of_the_largest_kind_never_fill_what_many_share() {
    let mut books = standing(&[
        (revenue(), SHARED - 2 * EVENT),
        (balance_of(2), 2 * EVENT - SHARED),
    ]);
    charge(&mut books, &[5, 2, 1], &[EVENT, EVENT]).unwrap();
    charge(&mut books, &[5, 2, 1], &[EVENT, EVENT]).unwrap();
    // The next large one is kept; a call goes on, and a void of a large one.
    assert_eq!(
        charge(&mut books, &[5, 2, 1], &[EVENT, EVENT]),
        Err(Refusal::BalanceTooLarge { account: revenue() })
    );
    charge(&mut books, &[5, 2, 1], &[SMALL, SMALL]).unwrap();
    charge(&mut books, &[5, 2, 1], &[-EVENT, -EVENT]).unwrap();
    // What was brought here before there were bounds: there is room for calls at its very end.
    let mut books = standing(&[
        (revenue(), i64::MAX - SMALL),
        (balance_of(2), SMALL - i64::MAX),
    ]);
    charge(&mut books, &[5, 2, 1], &[SMALL, SMALL]).unwrap();
}

#[test]
fn moves_by_hand_end_at_the_bound_of_a_balance() {
    let account = balance_of(2);
    let too_large = Refusal::BalanceTooLarge { account };
    let mut books = standing(&[(account, BALANCE - EVENT)]);
    books
        .post(&[top_up(ROOT, account, Cents(EVENT)).unwrap()])
        .unwrap();
    assert_eq!(
        books.post(&[top_up(ROOT, account, Cents(1)).unwrap()]),
        Err(too_large)
    );
    books
        .post(&[adjustment(ROOT, account, Cents(-EVENT), "back").unwrap()])
        .unwrap();
    // A balance that its customers' usage brought there comes back by hand.
    let mut books = standing(&[(account, -2 * BALANCE)]);
    assert_eq!(
        books.post(&[adjustment(ROOT, account, Cents(-1), "more").unwrap()]),
        Err(too_large)
    );
    books
        .post(&[adjustment(ROOT, account, Cents(EVENT), "back").unwrap()])
        .unwrap();
    let large = Posting {
        from: account,
        to: external(),
        cents: Cents(EVENT + 1),
    };
    assert_eq!(books.pay(&[large], &[]), Err(Refusal::AmountTooLarge));
}

#[test]
fn a_balance_becomes_a_book_as_large_as_it_is() {
    for cents in [
        -3 * BALANCE,
        9_200_000_000_000_000_000,
        -9_200_000_000_000_000_000,
    ] {
        let mut books = standing(&[(balance_of(4), cents)]);
        books.add([(AccountKey::book(TenantId(4), EUR), Balance::default())]);
        let posting = reclassification(TenantId(4), EUR, Cents(cents))
            .unwrap()
            .unwrap();
        books.reclassify(posting).unwrap();
        assert_eq!(state(&books, balance_of(4)), (0, 0));
        assert_eq!(
            state(&books, AccountKey::book(TenantId(4), EUR)),
            (cents, 0)
        );
    }
}

#[test]
fn holds_keep_to_the_same_bounds() {
    let mut books = standing(&[]);
    assert_eq!(
        books.place_hold(&hold(&[(4, EVENT + 1)]), &[], NOW),
        Err(Refusal::AmountTooLarge)
    );
    let largest = hold(&[(4, EVENT), (3, EVENT)]);
    for _ in 0..BALANCE / EVENT {
        books.place_hold(&largest, &[], NOW).unwrap();
    }
    assert_eq!(
        books.place_hold(&largest, &[], NOW),
        Err(Refusal::BalanceTooLarge {
            account: balance_of(4)
        })
    );
    let of_the_reseller = hold(&[(3, EVENT)]);
    books.place_hold(&of_the_reseller, &[], NOW).unwrap();
    assert_eq!(state(&books, balance_of(3)).1, BALANCE + EVENT);
}

#[test]
fn a_limit_is_asked_at_the_ends_of_the_range() {
    let limit = Limit {
        credit_limit: Some(Cents(BALANCE)),
        ..prepaid(2)
    };
    let mut books = standing(&[(balance_of(2), i64::MAX - EVENT)]);
    let charges = charges(&[5, 2, 1], 0, &[EVENT - 1, EVENT]);
    books.charge(&event(&charges, &[limit])).unwrap();
}
