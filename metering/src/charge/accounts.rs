//! What charges move on which accounts, the limits of those accounts, and each seller's part.

use journal::Charge;
use ledger::{AccountKey, Limit, LinkCharge};
use prepare::customer::Customer;
use prepare::measured::{MeasuredLink, Plan};
use rating::{Cents, Currency, Overflow, TenantId};
use smallvec::SmallVec;
use tenants::OnExhausted;

pub fn link_charges(charges: &[Charge]) -> SmallVec<[LinkCharge; 3]> {
    let mut links = SmallVec::new();
    charges.iter().for_each(|charge| links.push(charge.link));
    links
}

/// The buyers' limits: each agreement speaks for its own buyer's account.
pub fn limits(plan: &Plan) -> SmallVec<[Limit; 3]> {
    plan.links()
        .map(|link| limit(&link, plan.currency))
        .collect()
}

/// Those that usage is refused by, of the links that are charged.
pub fn refusing(plan: &Plan, charges: &[Charge]) -> SmallVec<[Limit; 3]> {
    let is_whole = charges.len() == plan.links().len();
    let is_charged = |link: &MeasuredLink<'_>| {
        is_whole
            || charges
                .iter()
                .any(|charge| charge.link.buyer == link.agreement.buyer)
    };
    let refuses = |link: &MeasuredLink<'_>| link.agreement.on_exhausted == OnExhausted::Refuse;
    let mut limits = SmallVec::new();
    for link in plan
        .links()
        .filter(|link| refuses(link) && is_charged(link))
    {
        limits.push(limit(&link, plan.currency));
    }
    limits
}

fn limit(link: &MeasuredLink<'_>, currency: Currency) -> Limit {
    Limit {
        account: link
            .settlement
            .buyer_account(link.agreement.buyer, currency),
        credit_limit: link.agreement.credit_limit,
        refuse: link.agreement.on_exhausted == OnExhausted::Refuse,
    }
}

/// Between which accounts the money of this link moves: the buyer's and the seller's.
pub fn accounts_of(
    link: &MeasuredLink<'_>,
    customer: &Customer,
    currency: Currency,
) -> [AccountKey; 2] {
    let (buyer, seller) = (link.agreement.buyer, link.agreement.seller);
    let charge = LinkCharge {
        buyer,
        seller,
        settlement: link.settlement,
        cents: Cents::ZERO,
    };
    [
        charge.buyer_account(currency),
        charge.seller_account(customer.tenant.root, customer.platform(), currency),
    ]
}

/// What the customer pays with: of its own link, as it is today; where that is not charged, what
/// the platform has of it.
pub fn customer_account(customer: TenantId, charges: &[Charge], currency: Currency) -> AccountKey {
    let own = charges
        .first()
        .filter(|charge| charge.link.buyer == customer);
    own.map_or(AccountKey::balance(customer, currency), |charge| {
        charge
            .link
            .settlement
            .today()
            .buyer_account(customer, currency)
    })
}

/// What the customer pays: the cents of its own link, if that is charged.
pub fn debit(customer: TenantId, charges: &[Charge]) -> Cents {
    charges
        .first()
        .filter(|charge| charge.link.buyer == customer)
        .map_or(Cents::ZERO, |charge| charge.link.cents)
}

/// Each seller's part, from the platform down. They sum to the customer's debit: where its own link
/// is not charged, the buyer of the lowest one that is pays by itself, which is a part below zero.
pub fn splits(
    customer: TenantId,
    charges: &[Charge],
) -> Result<SmallVec<[(TenantId, Cents); 3]>, Overflow> {
    let mut splits = ledger::splits_of(charges.iter().map(|charge| &charge.link))?;
    if let Some(lowest) = charges
        .first()
        .filter(|charge| charge.link.buyer != customer)
    {
        splits.push((lowest.link.buyer, lowest.link.cents.checked_neg()?));
    }
    Ok(splits)
}
