//! The order of the checks: each row breaks one rule less than the one before it, and the first
//! rule that is broken is the one answered. A refusal changes nothing.

use super::*;
use crate::{HoldState, Posting, REASON_CHARS_MAX, Refusal, adjustment, top_up};
use rating::fast::FastMap;

const CHAIN: [i64; 4] = [4, 3, 2, 1];

fn exhausted(tenant: i64, available: i64, asked: i64) -> Refusal {
    Refusal::Exhausted {
        account: balance_of(tenant),
        available: Cents(available),
        asked: Cents(asked),
    }
}
fn insufficient(tenant: i64, available: i64, asked: i64) -> Refusal {
    Refusal::Insufficient {
        account: balance_of(tenant),
        available: Cents(available),
        asked: Cents(asked),
    }
}

/// Runs a command that must be refused and must leave the books alone.
#[track_caller]
fn refused<T: std::fmt::Debug + PartialEq>(
    books: &mut Books,
    command: impl FnOnce(&mut Books) -> Result<T, Refusal>,
    want: Refusal,
) {
    let before: FastMap<_, _> = books.changed().collect();
    assert_eq!(command(books), Err(want));
    assert_eq!(
        books.changed().collect::<FastMap<_, _>>(),
        before,
        "a refusal changes nothing"
    );
}

#[test]
fn charge() {
    let fine = charges(&CHAIN, 2, &[400, 300, 200]);
    let broken = [fine[0], fine[2]];
    let rich = [(book_of(4), 400), (book_of(3), 300), (balance_of(2), 200)];
    let limits = [prepaid_in_book(4), prepaid_in_book(3), prepaid(2)];
    let exhausted_book = |tenant, asked| Refusal::Exhausted {
        account: book_of(tenant),
        available: Cents(0),
        asked: Cents(asked),
    };
    refused(
        &mut Books::default(),
        |b| b.charge(&event(&broken, &limits)),
        Refusal::BrokenChain,
    );
    refused(
        &mut Books::default(),
        |b| b.charge(&event(&fine, &limits)),
        Refusal::NotLoaded {
            account: book_of(4),
        },
    );
    // Limits in the order of the links, each on its account's net.
    refused(
        &mut books(&[]),
        |b| b.charge(&event(&fine, &limits)),
        exhausted_book(4, 400),
    );
    refused(
        &mut books(&rich[..1]),
        |b| b.charge(&event(&fine, &limits)),
        exhausted_book(3, 300),
    );
    refused(
        &mut books(&rich[..2]),
        |b| b.charge(&event(&fine, &limits)),
        exhausted(2, 0, 200),
    );
    let full = [
        (book_of(4), 400),
        (book_of(3), 300),
        (balance_of(2), 200),
        (income_of(3), i64::MAX - 399),
    ];
    let mut nearly_full = Books::load(
        all_accounts(),
        &full
            .map(|(key, cents)| {
                (
                    key,
                    Balance {
                        posted: Cents(cents),
                        held: Cents::ZERO,
                    },
                )
            })
            .into_iter()
            .collect(),
    );
    refused(
        &mut nearly_full,
        |b| b.charge(&event(&fine, &limits)),
        Refusal::Overflow,
    );
    assert!(books(&rich).charge(&event(&fine, &limits)).is_ok());
}

#[test]
fn a_charge_minds_only_the_limits_that_refuse() {
    let charges = charges(&CHAIN, 2, &[400, 300, 200]);
    let posts = Limit {
        refuse: false,
        ..prepaid_in_book(4)
    };
    let postpaid = Limit {
        credit_limit: None,
        ..prepaid_in_book(3)
    };
    let credit = Limit {
        credit_limit: Some(Cents(200)),
        ..prepaid(2)
    };
    let mut books = books(&[]);
    books
        .charge(&event(&charges, &[posts, postpaid, credit]))
        .unwrap();
    assert_eq!(
        [book_of(4), book_of(3), balance_of(2)].map(|account| state(&books, account).0),
        [-400, -300, -200]
    );
    refused(
        &mut books,
        |b| b.charge(&event(&charges, &[posts, postpaid, credit])),
        exhausted(2, 0, 200),
    );
    // An overdrawn account is no obstacle to what costs it nothing, or pays it.
    for cents in [[0, 0, 0], [-4, -3, -2]] {
        books
            .charge(&event(
                &super::charges(&CHAIN, 2, &cents),
                &[prepaid_in_book(4), prepaid_in_book(3), prepaid(2)],
            ))
            .unwrap();
    }
}

#[test]
fn what_is_held_is_not_available_to_usage_without_the_hold() {
    let mut books = books(&[(balance_of(4), 400)]);
    let mut placed = hold(&[(4, 300)]);
    books.place_hold(&placed, &[prepaid(4)], NOW).unwrap();
    let usage = charges(&CHAIN, 0, &[101, 0, 0]);
    refused(
        &mut books,
        |b| b.charge(&event(&usage, &[prepaid(4)])),
        exhausted(4, 100, 101),
    );
    books.release(&mut placed, NOW).unwrap();
    books.charge(&event(&usage, &[prepaid(4)])).unwrap();
    assert_eq!(state(&books, balance_of(4)), (299, 0));
}

#[test]
fn capture() {
    let fine = charges(&CHAIN, 0, &[250, 200, 100]);
    let broken = [fine[0], fine[2]];
    let others = charges(&[5, 2, 1], 0, &[250, 100]);
    let mut books = books(&[(balance_of(4), 400)]);
    let mut open = hold(&[(4, 300)]);
    books.place_hold(&open, &[prepaid(4)], NOW).unwrap();

    let mut captured = Hold {
        state: HoldState::Captured,
        ..open.clone()
    };
    refused(
        &mut books,
        |b| b.capture(&event(&others, &[]), &mut captured, END),
        Refusal::HoldOfAnother,
    );
    refused(
        &mut books,
        |b| b.capture(&event(&broken, &[]), &mut captured, END),
        Refusal::HoldEnded {
            state: HoldState::Captured,
        },
    );
    refused(
        &mut books,
        |b| b.capture(&event(&broken, &[]), &mut open, END),
        Refusal::HoldOver,
    );
    refused(
        &mut books,
        |b| b.capture(&event(&broken, &[]), &mut open, NOW),
        Refusal::BrokenChain,
    );
    let mut too_much = Hold {
        amounts: amounts(&[(4, 301)]),
        ..open.clone()
    };
    refused(
        &mut books,
        |b| b.capture(&event(&fine, &[]), &mut too_much, NOW),
        Refusal::NotHeld {
            account: balance_of(4),
        },
    );
    assert_eq!(
        (open.state, too_much.state),
        (HoldState::Open, HoldState::Open)
    );

    let posted = books
        .capture(&event(&fine, &[prepaid(4)]), &mut open, NOW)
        .unwrap();
    assert_eq!(
        (open.state, state(&books, balance_of(4))),
        (HoldState::Captured, (150, 0)),
        "a smaller capture releases the rest"
    );
    assert!(posted.over_hold.is_empty());
    refused(
        &mut books,
        |b| b.capture(&event(&fine, &[]), &mut open, NOW),
        Refusal::HoldEnded {
            state: HoldState::Captured,
        },
    );
}

#[test]
fn a_capture_above_its_hold_posts_and_says_so() {
    let mut books = books(&[(balance_of(4), 300), (balance_of(3), 10)]);
    let mut open = hold(&[(4, 300)]);
    books.place_hold(&open, &[prepaid(4)], NOW).unwrap();
    let usage = charges(&CHAIN, 0, &[350, 360, 100]);
    let posted = books
        .capture(&event(&usage, &[prepaid(4), prepaid(3)]), &mut open, NOW)
        .unwrap();
    assert_eq!(posted.over_hold, amounts(&[(4, 50), (3, 10)]));
    assert_eq!(
        (state(&books, balance_of(4)), state(&books, balance_of(3))),
        ((-50, 0), (0, 0))
    );
}

#[test]
fn a_capture_that_costs_nothing_gives_everything_back() {
    let mut books = books(&[(balance_of(4), 300)]);
    let mut open = hold(&[(4, 300)]);
    books.place_hold(&open, &[prepaid(4)], NOW).unwrap();
    let posted = books
        .capture(&event(&charges(&CHAIN, 0, &[0, 0, 0]), &[]), &mut open, NOW)
        .unwrap();
    assert!(posted.entries.is_empty() && posted.over_hold.is_empty());
    assert_eq!(state(&books, balance_of(4)), (300, 0));
}

#[test]
fn place_hold() {
    let limits = [prepaid(4), prepaid(3)];
    let mut some = books(&[(balance_of(4), 299), (balance_of(3), 99)]);
    let ended = Hold {
        state: HoldState::Released,
        ..hold(&[(4, 0)])
    };
    refused(
        &mut some,
        |b| b.place_hold(&ended, &limits, END),
        Refusal::HoldEnded {
            state: HoldState::Released,
        },
    );
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(4, 0)]), &limits, END),
        Refusal::BadExpiry,
    );
    for bad in [&[(4, 0)][..], &[(4, -1)], &[(4, 1), (4, 1)]] {
        refused(
            &mut some,
            |b| b.place_hold(&hold(bad), &limits, NOW),
            Refusal::BadAmount,
        );
    }
    refused(
        &mut Books::default(),
        |b| b.place_hold(&hold(&[(4, 300)]), &limits, NOW),
        Refusal::NotLoaded {
            account: balance_of(4),
        },
    );
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(4, 300), (3, 100)]), &limits, NOW),
        insufficient(4, 299, 300),
    );
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(4, 299), (3, 100)]), &limits, NOW),
        insufficient(3, 99, 100),
    );
    some.place_hold(&hold(&[(4, 299), (3, 99)]), &limits, NOW)
        .unwrap();
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(4, 1)]), &limits, NOW),
        insufficient(4, 0, 1),
    );
    let postpaid = Limit {
        credit_limit: None,
        ..prepaid(4)
    };
    some.place_hold(&hold(&[(4, 1_000)]), &[postpaid], NOW)
        .unwrap();
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(4, i64::MAX)]), &[postpaid], NOW),
        Refusal::AmountTooLarge,
    );
    // Holds mind every limit, also where usage is posted even if it overdraws.
    let posts = Limit {
        refuse: false,
        ..prepaid(3)
    };
    refused(
        &mut some,
        |b| b.place_hold(&hold(&[(3, 1)]), &[posts], NOW),
        insufficient(3, 0, 1),
    );
    some.place_hold(&hold(&[]), &limits, NOW).unwrap();
}

#[test]
fn extend_hold() {
    let limits = [prepaid(4), prepaid(3)];
    let mut books = books(&[(balance_of(4), 400), (balance_of(3), 50)]);
    let mut open = hold(&[(4, 300)]);
    books.place_hold(&open, &limits, NOW).unwrap();
    let extend = |to: &'static [(i64, i64)], until, now| {
        move |b: &mut Books, hold: &mut Hold| b.extend_hold(hold, amounts(to), until, &limits, now)
    };

    let mut swept = Hold {
        state: HoldState::Expired,
        ..open.clone()
    };
    refused(
        &mut books,
        |b| extend(&[(4, 0)], NOW, NOW)(b, &mut swept),
        Refusal::HoldOver,
    );
    refused(
        &mut books,
        |b| extend(&[(4, 0)], NOW, END)(b, &mut open),
        Refusal::HoldOver,
    );
    refused(
        &mut books,
        |b| extend(&[(4, 0)], NOW, NOW)(b, &mut open),
        Refusal::BadExpiry,
    );
    refused(
        &mut books,
        |b| extend(&[(4, 0)], END, NOW)(b, &mut open),
        Refusal::BadAmount,
    );
    refused(
        &mut books,
        |b| extend(&[(4, 1), (9, 1)], END, NOW)(b, &mut open),
        Refusal::NotLoaded {
            account: balance_of(9),
        },
    );
    refused(
        &mut books,
        |b| extend(&[(4, 401)], END, NOW)(b, &mut open),
        insufficient(4, 100, 101),
    );
    refused(
        &mut books,
        |b| extend(&[(4, 400), (3, 51)], END, NOW)(b, &mut open),
        insufficient(3, 50, 51),
    );
    assert_eq!(open, hold(&[(4, 300)]), "all of it or nothing");

    let later = END.plus_secs(60);
    extend(&[(4, 400), (3, 50)], later, NOW)(&mut books, &mut open).unwrap();
    assert_eq!(
        (
            state(&books, balance_of(4)),
            state(&books, balance_of(3)),
            open.expires_at
        ),
        ((400, 400), (50, 50), later)
    );
    extend(&[(4, 10)], later, END)(&mut books, &mut open).unwrap();
    assert_eq!(
        (state(&books, balance_of(4)), state(&books, balance_of(3))),
        ((400, 10), (50, 0)),
        "new totals may be smaller"
    );
}

#[test]
fn release_and_expire() {
    let mut books = books(&[(balance_of(4), 400)]);
    let mut open = hold(&[(4, 300)]);
    books.place_hold(&open, &[prepaid(4)], NOW).unwrap();
    refused(
        &mut books,
        |b| b.expire(&mut open, END.plus_micros(-1)),
        Refusal::HoldNotOver,
    );
    refused(&mut books, |b| b.release(&mut open, END), Refusal::HoldOver);
    books.expire(&mut open, END).unwrap();
    assert_eq!(
        (open.state, state(&books, balance_of(4))),
        (HoldState::Expired, (400, 0))
    );
    refused(&mut books, |b| b.release(&mut open, END), Refusal::HoldOver);
    refused(
        &mut books,
        |b| b.expire(&mut open, END),
        Refusal::HoldEnded {
            state: HoldState::Expired,
        },
    );

    let mut again = hold(&[(4, 400)]);
    books.place_hold(&again, &[prepaid(4)], NOW).unwrap();
    books.release(&mut again, END.plus_micros(-1)).unwrap();
    refused(
        &mut books,
        |b| b.release(&mut again, NOW),
        Refusal::HoldEnded {
            state: HoldState::Released,
        },
    );
    refused(
        &mut books,
        |b| b.expire(&mut again, END),
        Refusal::HoldEnded {
            state: HoldState::Released,
        },
    );
}

#[test]
fn a_hold_that_is_more_than_what_is_held_stays_open() {
    let mut books = books(&[(balance_of(4), 1_000)]);
    let mut hold = hold(&[(4, 1)]);
    books.place_hold(&hold, &[prepaid(4)], NOW).unwrap();
    hold.amounts = amounts(&[(4, 2)]);
    refused(
        &mut books,
        |books| books.expire(&mut hold, END),
        Refusal::NotHeld {
            account: balance_of(4),
        },
    );
    assert_eq!(hold.state, HoldState::Open);
}

#[test]
fn money_by_hand() {
    let (account, blank, long) = (balance_of(4), " ", "x".repeat(REASON_CHARS_MAX + 1));
    assert_eq!(
        top_up(ROOT, income_of(3), Cents(0)),
        Err(Refusal::BadAccount {
            account: income_of(3)
        })
    );
    for cents in [0, -1] {
        assert_eq!(top_up(ROOT, account, Cents(cents)), Err(Refusal::BadAmount));
    }
    assert_eq!(
        adjustment(ROOT, external(), Cents(0), blank),
        Err(Refusal::BadAccount {
            account: external()
        })
    );
    assert_eq!(
        adjustment(ROOT, account, Cents(0), blank),
        Err(Refusal::BadAmount)
    );
    for reason in ["", blank, &long] {
        assert_eq!(
            adjustment(ROOT, account, Cents(1), reason),
            Err(Refusal::BadReason)
        );
    }
    let most = Cents::EVENT_MAX;
    for cents in [
        Cents(i64::MIN),
        Cents(-most.0 - 1),
        Cents(most.0 + 1),
        Cents(i64::MAX),
    ] {
        assert_eq!(
            adjustment(ROOT, account, cents, "typo"),
            Err(Refusal::AmountTooLarge)
        );
        let too_little = if cents < Cents::ZERO {
            Refusal::BadAmount
        } else {
            Refusal::AmountTooLarge
        };
        assert_eq!(top_up(ROOT, account, cents), Err(too_little));
    }

    let to_itself = Posting {
        from: account,
        to: account,
        cents: Cents(-1),
    };
    refused(
        &mut books(&[]),
        |b| b.post(&[to_itself]),
        Refusal::BadAccount { account },
    );
    refused(
        &mut books(&[]),
        |b| {
            b.post(&[Posting {
                from: external(),
                ..to_itself
            }])
        },
        Refusal::BadAmount,
    );
    let max = top_up(ROOT, account, most).unwrap();
    let full = Cents::BALANCE_MAX.0 - most.0 + 1;
    refused(
        &mut books(&[(account, full)]),
        |b| b.post(&[max]),
        Refusal::BalanceTooLarge { account },
    );
}

#[test]
fn loading_more_keeps_what_has_changed() {
    let mut books = books(&[]);
    books
        .post(&[top_up(ROOT, balance_of(4), Cents(5)).unwrap()])
        .unwrap();
    books.add([
        (balance_of(4), Balance::default()),
        (
            balance_of(9),
            Balance {
                posted: Cents(7),
                held: Cents(1),
            },
        ),
    ]);
    assert_eq!(
        (state(&books, balance_of(4)), state(&books, balance_of(9))),
        ((5, 0), (7, 1))
    );
}
