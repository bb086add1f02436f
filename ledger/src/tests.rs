//! The ladder of checks in order, the settlements of the reference chain, random histories; and
//! what they share: platform 1 ← reseller 2 (the root) ← sub-reseller 3 ← customer 4; customer 5
//! under 2.

mod bounds;
mod histories;
mod ladder;
mod settlements;

use crate::{
    AccountKey, Amounts, Balance, Books, Event, Hold, Limit, LinkCharge, Posting, Settlement,
};
use rating::fast::FastMap;
use rating::{Cents, Currency, Instant, TenantId, ids::HoldId};

const EUR: Currency = Currency::EUR;
const PLATFORM: TenantId = TenantId(1);
const ROOT: TenantId = TenantId(2);
const NOW: Instant = Instant::from_secs(1_000);
const END: Instant = Instant::from_secs(1_060);

fn balance_of(tenant: i64) -> AccountKey {
    AccountKey::balance(TenantId(tenant), EUR)
}
fn book_of(tenant: i64) -> AccountKey {
    AccountKey::book(TenantId(tenant), EUR)
}
fn income_of(tenant: i64) -> AccountKey {
    AccountKey::income(TenantId(tenant), EUR)
}
fn revenue() -> AccountKey {
    AccountKey::revenue(ROOT, EUR)
}
fn external() -> AccountKey {
    AccountKey::external(ROOT, EUR)
}

fn all_accounts() -> Vec<AccountKey> {
    let tenants =
        (2..=5).flat_map(|tenant| [balance_of(tenant), book_of(tenant), income_of(tenant)]);
    tenants.chain([revenue(), external()]).collect()
}

/// Books with these posted cents, brought in through the external account, and nothing else.
fn books(posted: &[(AccountKey, i64)]) -> Books {
    let mut found: FastMap<_, _> = posted
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
    let brought_in: i64 = posted.iter().map(|(_, cents)| cents).sum();
    found.insert(
        external(),
        Balance {
            posted: Cents(-brought_in),
            held: Cents::ZERO,
        },
    );
    Books::load(all_accounts(), &found)
}

/// (posted, held) of an account.
fn state(books: &Books, account: AccountKey) -> (i64, i64) {
    let balance = books.balance(account).unwrap();
    (balance.posted.0, balance.held.0)
}

fn snapshot(books: &Books) -> Vec<(i64, i64)> {
    all_accounts()
        .into_iter()
        .map(|account| state(books, account))
        .collect()
}

/// The charges of a chain of tenants from the customer up to the platform; the first
/// `reseller_collected` links are collected by their sellers, if those are not the platform.
fn charges(chain: &[i64], reseller_collected: usize, cents: &[i64]) -> Vec<LinkCharge> {
    settled(chain, reseller_collected, Settlement::Reseller, cents)
}

fn settled(
    chain: &[i64],
    reseller_collected: usize,
    by_reseller: Settlement,
    cents: &[i64],
) -> Vec<LinkCharge> {
    assert_eq!(chain.len(), cents.len() + 1);
    let link = |(index, sale): (usize, &[i64])| {
        let (buyer, seller) = (TenantId(sale[0]), TenantId(sale[1]));
        let settlement = if index < reseller_collected && seller != PLATFORM {
            by_reseller
        } else {
            Settlement::Platform
        };
        LinkCharge {
            buyer,
            seller,
            settlement,
            cents: Cents(cents[index]),
        }
    };
    chain.windows(2).enumerate().map(link).collect()
}

fn event<'a>(charges: &'a [LinkCharge], limits: &'a [Limit]) -> Event<'a> {
    let customer = charges.first().map_or(PLATFORM, |charge| charge.buyer);
    Event {
        root: ROOT,
        customer,
        platform: PLATFORM,
        currency: EUR,
        charges,
        limits,
    }
}

/// Prepaid, and usage that it cannot pay is refused.
fn prepaid(tenant: i64) -> Limit {
    Limit {
        account: balance_of(tenant),
        credit_limit: Some(Cents::ZERO),
        refuse: true,
    }
}

fn prepaid_in_book(tenant: i64) -> Limit {
    Limit {
        account: book_of(tenant),
        ..prepaid(tenant)
    }
}

fn amounts(of: &[(i64, i64)]) -> Amounts {
    of.iter()
        .map(|&(tenant, cents)| (balance_of(tenant), Cents(cents)))
        .collect()
}

fn amounts_on(of: &[(AccountKey, i64)]) -> Amounts {
    of.iter()
        .map(|&(account, cents)| (account, Cents(cents)))
        .collect()
}

/// A hold of customer 4 from NOW to END.
fn hold(of: &[(i64, i64)]) -> Hold {
    Hold::new(HoldId(1), ROOT, TenantId(4), NOW, END, amounts(of))
}
