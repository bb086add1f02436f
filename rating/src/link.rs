//! From one event's exact amounts to whole cents on every link of the chain.
//!
//! A link is priced by a card or by commission: the exact amount of the link below it (nearer to
//! the customer) minus the buyer's share. Each link keeps a carry per leaf customer, so that per
//! link and customer posted = floor(Σ exact) and Σ posted + carry = Σ exact, always.

use crate::usage::Unrated;
use crate::{Carry, Cents, Exact, Overflow, rounding};
use smallvec::SmallVec;

/// Basis points of the whole: 100 %.
pub const BASIS_POINTS: u16 = 10_000;

/// What a link posts for an event, and what it owes from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPosting {
    /// May be zero (a charge without a posting) or negative (seller → buyer).
    pub cents: Cents,
    pub carry: Carry,
}

/// What the buyer of a commission link owes: the amount of the link below minus `commission_bp`,
/// half-even at 10⁻¹² cent. A share above 100 % is no amount at all and an error.
pub fn commission_of(exact_below: Exact, commission_bp: u16) -> Result<Exact, Overflow> {
    let kept = BASIS_POINTS.checked_sub(commission_bp).ok_or(Overflow)?;
    let scaled = exact_below
        .0
        .checked_mul(i128::from(kept))
        .ok_or(Overflow)?;
    rounding::divide(scaled, i128::from(BASIS_POINTS), rounding::Mode::HalfEven).map(Exact)
}

/// What is left of a price after several commissions, each taken from what the one before it left.
pub fn commissions_of(price: Exact, shares_bp: &[u16]) -> Result<Exact, Overflow> {
    shares_bp
        .iter()
        .try_fold(price, |left, share| commission_of(left, *share))
}

/// What a link gives back, of what it was charged, where the price that it follows gives back
/// `back` (below zero) of what it came to so far (above zero): in that proportion, half-even at
/// 10⁻¹² cent, and at most all of it.
pub fn given_back(charged: Exact, so_far: Exact, back: Exact) -> Result<Exact, Overflow> {
    let back = back.max(so_far.checked_neg()?);
    rounding::divide_sum(charged.0, back.0, 0, so_far.0, rounding::Mode::HalfEven).map(Exact)
}

/// Posts one event on a link: floor(carry + exact) cents, the rest is carried on. What an event
/// comes to is bounded here and nowhere else, for charges, dry runs and the command line.
pub fn post(carry: Carry, exact: Exact) -> Result<LinkPosting, Unrated> {
    let (cents, carry) = rounding::post(carry, exact)?;
    if cents.is_within(Cents::EVENT_MAX) {
        Ok(LinkPosting { cents, carry })
    } else {
        Err(Unrated::TooLarge)
    }
}

/// Posts one event on every link, in the order given: floor(carry + exact), the rest is carried on.
pub fn post_links(
    links: impl IntoIterator<Item = (Carry, Exact)>,
) -> Result<SmallVec<[LinkPosting; 3]>, Unrated> {
    links
        .into_iter()
        .map(|(carry, exact)| post(carry, exact))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PER_CENT: i128 = Exact::PER_CENT;

    /// Exact amounts along a chain: the customer's, then one commission link per share.
    fn chain(first: Exact, shares: &[u16]) -> Vec<Exact> {
        let mut exacts = vec![first];
        for &share in shares {
            exacts.push(commission_of(exacts[exacts.len() - 1], share).unwrap());
        }
        exacts
    }

    #[test]
    fn a_commission_is_rounded_half_even() {
        // (amount below, basis points, what is left) in 10⁻¹² cent
        for (below, bp, want) in [
            (40_000_000_000, 2_500, 30_000_000_000),
            (30_000_000_000, 2_500, 22_500_000_000),
            (1, 5_000, 0),
            (3, 5_000, 2),
            (-1, 5_000, 0),
            (-3, 5_000, -2),
            (7, 0, 7),
            (7, 10_000, 0),
        ] {
            assert_eq!(
                commission_of(Exact(below), bp),
                Ok(Exact(want)),
                "{below} − {bp} bp"
            );
        }
        assert_eq!(commission_of(Exact(7), 10_001), Err(Overflow));
        assert_eq!(commission_of(Exact(i128::MAX), 1), Err(Overflow));
    }

    #[test]
    fn a_link_gives_back_in_proportion() {
        let most = i128::from(Cents::EVENT_MAX.0) * PER_CENT;
        // (charged, what the price came to, what of it is given back)
        for (charged, so_far, back, want) in [
            (375, 1000, -1000, -375),
            (375, 1000, -500, -188),
            (375, 1000, -100, -38),
            (0, 1000, -1000, 0),
            (375, 1000, -2000, -375),
            (most, most, -most, -most),
            (most / 2, most, -(most / 2), -(most / 4)),
        ] {
            assert_eq!(
                given_back(Exact(charged), Exact(so_far), Exact(back)),
                Ok(Exact(want)),
                "{charged} {so_far} {back}"
            );
        }
        assert_eq!(given_back(Exact(1), Exact::ZERO, Exact(1)), Err(Overflow));
    }

    #[test]
    fn an_event_comes_to_at_most_its_bound() {
        let most = i128::from(Cents::EVENT_MAX.0) * PER_CENT;
        for (carry, exact, want) in [
            (0, most, Ok((10_000_000_000_000, 0))),
            (0, -most, Ok((-10_000_000_000_000, 0))),
            (
                0,
                most + PER_CENT - 1,
                Ok((10_000_000_000_000, PER_CENT as i64 - 1)),
            ),
            (1, most + PER_CENT - 1, Err(Unrated::TooLarge)),
            (0, most + PER_CENT, Err(Unrated::TooLarge)),
            (0, -most - 1, Err(Unrated::TooLarge)),
            (0, i128::MAX, Err(Unrated::Overflow(Overflow))),
        ] {
            let got = post(Carry(carry), Exact(exact));
            assert_eq!(
                got.map(|posted| (posted.cents.0, posted.carry.0)),
                want,
                "{carry} + {exact}"
            );
        }
    }

    /// DESIGN, "Parts": 0.0004 EUR per call on three links with 25 % commission each.
    #[test]
    fn the_worked_example_of_parts() {
        let exacts = chain(Exact(40_000_000_000), &[2_500, 2_500]);
        assert_eq!(
            exacts.iter().map(|e| e.in_cents()).collect::<Vec<_>>(),
            ["0.04", "0.03", "0.0225"]
        );

        let (mut carries, mut totals) = ([Carry::ZERO; 3], [0_i64; 3]);
        let mut first_posts = Vec::new();
        for event in 1..=10_000 {
            let posted = post_links(carries.into_iter().zip(exacts.iter().copied())).unwrap();
            let cents = [0, 1, 2].map(|link| posted[link].cents.0);
            if event <= 50 && cents != [0; 3] {
                first_posts.push((event, cents));
            }
            for link in 0..3 {
                (carries[link], totals[link]) = (posted[link].carry, totals[link] + cents[link]);
            }
        }
        assert_eq!(
            first_posts,
            [
                (25, [1, 0, 0]),
                (34, [0, 1, 0]),
                (45, [0, 0, 1]),
                (50, [1, 0, 0])
            ]
        );
        let parts = [totals[0] - totals[1], totals[1] - totals[2], totals[2]];
        assert_eq!((totals[0], parts), (400, [100, 75, 225]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn posted_is_the_floor_of_the_exact_sum_on_every_link(
            events in prop::collection::vec(-5_000_000_000_000_000_i128..9_000_000_000_000_000, 0..30),
            shares in prop::collection::vec(0_u16..=10_000, 0..8),
        ) {
            let links = shares.len() + 1;
            let (mut carries, mut posted, mut exact) = (vec![Carry::ZERO; links], vec![0_i128; links], vec![0_i128; links]);
            for event in events {
                let exacts = chain(Exact(event), &shares);
                let cents = post_links(carries.iter().copied().zip(exacts.iter().copied())).unwrap();
                for link in 0..links {
                    carries[link] = cents[link].carry;
                    posted[link] += i128::from(cents[link].cents.0);
                    exact[link] += exacts[link].0;
                    prop_assert!((0..PER_CENT).contains(&i128::from(carries[link].0)));
                    prop_assert_eq!(posted[link], exact[link].div_euclid(PER_CENT));
                    prop_assert_eq!(posted[link] * PER_CENT + i128::from(carries[link].0), exact[link]);
                }
                // The parts of every event sum to the customer's debit by construction.
                let parts: i64 = (0..links).map(|k| cents[k].cents.0 - cents.get(k + 1).map_or(0, |above| above.cents.0)).sum();
                prop_assert_eq!(parts, cents[0].cents.0);
            }
        }

        #[test]
        fn a_commission_leaves_between_nothing_and_everything(below in -(1_i128 << 100)..(1_i128 << 100), bp in 0_u16..=10_000) {
            let left = commission_of(Exact(below), bp).unwrap().0;
            prop_assert!(left.abs() <= below.abs() && left.signum() * below.signum() >= 0);
            prop_assert_eq!(commission_of(Exact(-below), bp), Ok(Exact(-left)), "a void gives \
                back what was taken");
        }
    }
}
