//! Money moved by hand: top-ups and adjustments, against the root's external account.
//! They give the moves; [`crate::Books::post`] books them.

use crate::{AccountKey, AccountKind, Posting, REASON_CHARS_MAX, Refusal, room};
use rating::{Cents, Currency, TenantId};

/// Money in: external → what the tenant pays with. `cents` must be positive, and one move's at
/// most.
pub fn top_up(root: TenantId, account: AccountKey, cents: Cents) -> Result<Posting, Refusal> {
    if !account.kind.is_of_buyer() {
        return Err(Refusal::BadAccount { account });
    }
    if cents <= Cents::ZERO {
        return Err(Refusal::BadAmount);
    }
    room::check_move(cents)?;
    Ok(Posting {
        from: AccountKey::external(root, account.currency),
        to: account,
        cents,
    })
}

/// A human's correction: positive cents credit the account, negative ones debit it, whatever its
/// limit says. The reason is required.
pub fn adjustment(
    root: TenantId,
    account: AccountKey,
    cents: Cents,
    reason: &str,
) -> Result<Posting, Refusal> {
    if account.kind == AccountKind::External {
        return Err(Refusal::BadAccount { account });
    }
    if cents == Cents::ZERO {
        return Err(Refusal::BadAmount);
    }
    room::check_move(cents)?;
    if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Refusal::BadReason);
    }
    let external = AccountKey::external(root, account.currency);
    Ok(match cents > Cents::ZERO {
        true => Posting {
            from: external,
            to: account,
            cents,
        },
        false => Posting {
            from: account,
            to: external,
            cents: cents.checked_neg()?,
        },
    })
}

/// What a tenant had in one balance with a seller that collects itself, moved to the book of that
/// seller; `None`: nothing. It is done once, when the two became different accounts.
pub fn reclassification(
    tenant: TenantId,
    currency: Currency,
    balance: Cents,
) -> Result<Option<Posting>, Refusal> {
    let (from, to) = (
        AccountKey::balance(tenant, currency),
        AccountKey::book(tenant, currency),
    );
    Ok(match balance.0 {
        0 => None,
        1.. => Some(Posting {
            from,
            to,
            cents: balance,
        }),
        _ => Some(Posting {
            from: to,
            to: from,
            cents: balance.checked_neg()?,
        }),
    })
}
