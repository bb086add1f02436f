//! Moves of positive cents, and how the charges of one event become moves.
//!
//! Link k posts p_k cents from its buyer to its seller. Collected by the platform: from the buyer's
//! balance to the seller's, or to the platform's revenue of the root. Collected by the reseller:
//! from the buyer's book to the seller's income. What the platform holds and what a reseller keeps
//! are never one account. Zero cents post nothing, negative cents post the other way. Charges are
//! listed from the customer's link up to the platform's.

use crate::{AccountKey, Refusal};
use rating::{Cents, Currency, Exact, Overflow, TenantId, rounding};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One move of positive cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub from: AccountKey,
    pub to: AccountKey,
    pub cents: Cents,
}

/// What the ledger needs to know of one link's charge. `cents` may be zero (no posting) or negative
/// (seller → buyer: voids, volume prices).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCharge {
    pub buyer: TenantId,
    pub seller: TenantId,
    pub settlement: Settlement,
    pub cents: Cents,
}

/// Between which accounts a link's money moves. Packed as one byte: the first two are what was a
/// `bool` before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// Collected by the platform: the buyer's balance → the seller's.
    #[default]
    Platform,
    /// Collected by the reseller, in records from before the two were kept apart: the buyer's
    /// balance → the seller's income.
    ResellerShared,
    /// Collected by the reseller: the buyer's book → the seller's income.
    Reseller,
}

impl Settlement {
    /// Where the same link's money is today: what was in a shared balance went to the book.
    pub const fn today(self) -> Self {
        match self {
            Self::Platform => Self::Platform,
            Self::ResellerShared | Self::Reseller => Self::Reseller,
        }
    }

    /// What the buyer pays with.
    pub const fn buyer_account(self, buyer: TenantId, currency: Currency) -> AccountKey {
        match self {
            Self::Platform | Self::ResellerShared => AccountKey::balance(buyer, currency),
            Self::Reseller => AccountKey::book(buyer, currency),
        }
    }

    /// Where the money of a seller goes that is not the platform.
    pub const fn seller_account(self, seller: TenantId, currency: Currency) -> AccountKey {
        match self {
            Self::Platform => AccountKey::balance(seller, currency),
            Self::ResellerShared | Self::Reseller => AccountKey::income(seller, currency),
        }
    }
}

pub type Postings = SmallVec<[Posting; 4]>;
/// Signed cents per account, each account once, in order of first appearance.
pub type Nets = SmallVec<[(AccountKey, Cents); 4]>;
/// Positive cents per account, each account once: what a hold sets aside.
pub type Amounts = SmallVec<[(AccountKey, Cents); 2]>;

impl LinkCharge {
    /// What the buyer pays with.
    pub const fn buyer_account(&self, currency: Currency) -> AccountKey {
        self.settlement.buyer_account(self.buyer, currency)
    }

    /// Where the seller's money goes.
    pub fn seller_account(
        &self,
        root: TenantId,
        platform: TenantId,
        currency: Currency,
    ) -> AccountKey {
        match self.seller {
            seller if seller == platform => AccountKey::revenue(root, currency),
            seller => self.settlement.seller_account(seller, currency),
        }
    }
}

/// The moves of one event, or of those of its links that are charged now. The charges must be links
/// of one chain without a gap; the root's own link, and no other, is with the platform.
pub fn postings_of(
    root: TenantId,
    platform: TenantId,
    currency: Currency,
    charges: &[LinkCharge],
) -> Result<Postings, Refusal> {
    check_chain(root, platform, charges.iter().copied())?;
    let mut postings = Postings::new();
    for charge in charges {
        let (buyer, seller) = (
            charge.buyer_account(currency),
            charge.seller_account(root, platform, currency),
        );
        match charge.cents.0 {
            0 => {}
            1.. => postings.push(Posting {
                from: buyer,
                to: seller,
                cents: charge.cents,
            }),
            _ => postings.push(Posting {
                from: seller,
                to: buyer,
                cents: charge.cents.checked_neg()?,
            }),
        }
    }
    Ok(postings)
}

/// At least one link; each one's seller is the next one's buyer; only the root buys from the
/// platform.
///
/// # Errors
/// [`Refusal::BrokenChain`].
pub fn check_chain(
    root: TenantId,
    platform: TenantId,
    charges: impl IntoIterator<Item = LinkCharge>,
) -> Result<(), Refusal> {
    let mut above: Option<TenantId> = None;
    for charge in charges {
        let joined = above.is_none_or(|tenant| tenant == charge.buyer);
        let sold = charge.buyer != charge.seller
            && charge.buyer != platform
            && (charge.buyer == root) == (charge.seller == platform);
        if !joined || !sold {
            return Err(Refusal::BrokenChain);
        }
        above = Some(charge.seller);
    }
    if above.is_some() {
        Ok(())
    } else {
        Err(Refusal::BrokenChain)
    }
}

/// The platform, as the charges of a root name it: the seller of the root's own link. Charges of
/// lower links alone do not name it, and none of their sellers is it: nobody has the id 0.
pub fn platform_in(root: TenantId, charges: impl IntoIterator<Item = LinkCharge>) -> TenantId {
    charges
        .into_iter()
        .find(|charge| charge.buyer == root)
        .map_or(TenantId(0), |charge| charge.seller)
}

/// What the moves come to on each account they touch: the sum over all is zero.
pub fn nets(postings: &[Posting]) -> Result<Nets, Overflow> {
    let mut nets = Nets::new();
    for posting in postings {
        add_net(&mut nets, posting.from, posting.cents.checked_neg()?)?;
        add_net(&mut nets, posting.to, posting.cents)?;
    }
    Ok(nets)
}

fn add_net(nets: &mut Nets, account: AccountKey, cents: Cents) -> Result<(), Overflow> {
    match nets.iter_mut().find(|(key, _)| *key == account) {
        Some((_, net)) => *net = net.checked_add(cents)?,
        None => nets.push((account, cents)),
    }
    Ok(())
}

/// The same moves the other way round.
pub fn reversed(postings: &[Posting]) -> Postings {
    postings
        .iter()
        .map(|p| Posting {
            from: p.to,
            to: p.from,
            cents: p.cents,
        })
        .collect()
}

/// Each seller's part, from the platform down: the seller of link k keeps p_k − p_{k+1}, the
/// platform the last. They sum to the customer's debit, p_1.
pub fn splits_of<'a>(
    charges: impl IntoIterator<Item = &'a LinkCharge, IntoIter: DoubleEndedIterator>,
) -> Result<SmallVec<[(TenantId, Cents); 3]>, Overflow> {
    let mut above = Cents::ZERO;
    let mut splits = SmallVec::new();
    for charge in charges.into_iter().rev() {
        splits.push((charge.seller, charge.cents.checked_sub(above)?));
        above = charge.cents;
    }
    Ok(splits)
}

/// What a hold for this usage sets aside: ceil(net exact) cents on each account with a net debit;
/// nothing for free usage. The links' own `cents` are not looked at.
pub fn hold_amounts(
    root: TenantId,
    platform: TenantId,
    currency: Currency,
    links: impl IntoIterator<Item = (LinkCharge, Exact), IntoIter: Clone>,
) -> Result<Amounts, Refusal> {
    let links = links.into_iter();
    check_chain(root, platform, links.clone().map(|(charge, _)| charge))?;
    let mut debits: SmallVec<[(AccountKey, Exact); 4]> = SmallVec::new();
    for (charge, exact) in links {
        let (buyer, seller) = (
            charge.buyer_account(currency),
            charge.seller_account(root, platform, currency),
        );
        for (account, debit) in [(buyer, exact), (seller, exact.checked_neg()?)] {
            match debits.iter_mut().find(|(key, _)| *key == account) {
                Some((_, sum)) => *sum = sum.checked_add(debit)?,
                None => debits.push((account, debit)),
            }
        }
    }
    let debits = debits.into_iter().filter(|(_, debit)| *debit > Exact::ZERO);
    debits
        .map(|(account, debit)| Ok((account, rounding::ceil_cents(debit)?)))
        .collect()
}
