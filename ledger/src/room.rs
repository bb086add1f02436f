//! How far from zero an account may go.
//!
//! What one tenant has or owes is at most [`Cents::BALANCE_MAX`]. Accounts that the usage of many
//! customers moves (the platform's, kept per root; a reseller's income, and its balance where its
//! customers' usage moves it) have all of a 64-bit number instead, and are never full: up to
//! [`SHARED_MAX`] they take any event, and from there on moves of at most [`SMALL_MAX`], of which
//! there is room for five thousand million more. So whoever reports events of the largest kind, or
//! has many customers at their bounds, stands in the way of its own large events and of nobody's
//! calls. One customer's account at its bound stops its own link alone: what its sellers owe each
//! other is on accounts with room.
//!
//! Towards zero every move is right, so that what was accepted before there were bounds can be
//! taken back.

use crate::{AccountKey, AccountKind, Balance, Refusal};
use rating::{Cents, Overflow, TenantId};

/// From here on an account that many share takes small moves only.
const SHARED_MAX: Cents = Cents(4_000_000_000_000_000_000);
/// A small move: 10,000,000.00.
const SMALL_MAX: Cents = Cents(1_000_000_000);

/// Whose accounts a command keeps to the bound of one tenant's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Usage and holds: the customer's, whose event it is.
    Of(TenantId),
    /// Money moved by hand and by payments: each tenant's.
    Every,
    /// A balance that becomes another account as it is: nobody has more than before, and no bound
    /// is asked.
    Whole,
}

impl Own {
    const fn has(self, account: AccountKey) -> bool {
        let is_of_one = account.kind.is_of_buyer() || matches!(account.kind, AccountKind::Disputed);
        match self {
            Self::Of(tenant) => is_of_one && account.tenant.0 == tenant.0,
            Self::Every | Self::Whole => is_of_one,
        }
    }
}

/// Whether an account may be changed like this.
#[inline]
pub(crate) fn check(
    own: Own,
    account: AccountKey,
    before: Balance,
    after: Balance,
) -> Result<(), Refusal> {
    // Within one tenant's bound every account has room, whosever it is: nearly all are.
    if after.posted.is_within(Cents::BALANCE_MAX) && after.held.is_within(Cents::BALANCE_MAX) {
        return Ok(());
    }
    check_far(own, account, before, after)
}

/// The same of an account that is beyond the bound of one tenant.
#[cold]
fn check_far(
    own: Own,
    account: AccountKey,
    before: Balance,
    after: Balance,
) -> Result<(), Refusal> {
    // posted − held stays a number: every later check of what is available needs it.
    after.posted.checked_sub(after.held)?;
    let fits = |before: Cents, after: Cents| match own.has(account) {
        _ if own == Own::Whole => true,
        true => goes_back(before, after) || after.is_within(Cents::BALANCE_MAX),
        false => goes_back(before, after) || after.is_within(SHARED_MAX) || is_small(before, after),
    };
    match fits(before.posted, after.posted) && fits(before.held, after.held) {
        true => Ok(()),
        false => Err(Refusal::BalanceTooLarge { account }),
    }
}

const fn goes_back(before: Cents, after: Cents) -> bool {
    after.is_within(before)
}

fn is_small(before: Cents, after: Cents) -> bool {
    after
        .checked_sub(before)
        .is_ok_and(|moved| moved.is_within(SMALL_MAX))
}

/// What one move by hand or of a payment comes to.
pub(crate) fn check_move(cents: Cents) -> Result<(), Refusal> {
    if cents.is_within(Cents::EVENT_MAX) {
        Ok(())
    } else {
        Err(Refusal::AmountTooLarge)
    }
}

/// What is there to be used, in a range that posted, held and a limit never leave.
pub(crate) fn available(balance: Balance, credit_limit: Cents) -> i128 {
    i128::from(balance.posted.0) - i128::from(balance.held.0) + i128::from(credit_limit.0)
}

/// The same as cents.
pub(crate) fn narrow(cents: i128) -> Result<Cents, Overflow> {
    i64::try_from(cents).map(Cents).map_err(|_| Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rating::Currency;

    fn amounts() -> impl Strategy<Value = Cents> {
        let edges =
            [Cents::ZERO, Cents::BALANCE_MAX, SHARED_MAX, Cents(i64::MAX)].map(|edge| edge.0);
        let near = (prop::sample::select(edges.to_vec()), -2..=2_i64)
            .prop_map(|(edge, by)| edge.saturating_add(by));
        (prop_oneof![near, any::<i64>()], any::<bool>())
            .prop_map(|(cents, owed)| Cents(if owed { cents.saturating_neg() } else { cents }))
    }

    proptest! {
        /// Most accounts are far within every bound, and are not asked whose they are: the answer
        /// is the same.
        #[test]
        fn the_short_way_says_the_same(
            kind in prop::sample::select(vec![AccountKind::Balance, AccountKind::Book, AccountKind::Income, AccountKind::Revenue]),
            own in prop::sample::select(vec![Own::Of(TenantId(1)), Own::Of(TenantId(2)), Own::Every, Own::Whole]),
            (before, after, held_before, held) in (amounts(), amounts(), amounts(), amounts()),
        ) {
            let account = AccountKey { tenant: TenantId(1), kind, currency: Currency::EUR };
            let (before, after) = (Balance { posted: before, held: held_before }, Balance { posted: after, held });
            prop_assert_eq!(check(own, account, before, after), check_far(own, account, before, after));
        }
    }
}
