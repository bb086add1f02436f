//! The agreements from a customer up to the platform at an instant.

use crate::{Agreement, CHAIN_LINKS_MAX, Collect, Pricing, Tenant};
use rating::{Currency, Instant, TenantId};
use smallvec::SmallVec;

/// One link of a chain: what the buyer owes its seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub agreement: Agreement,
}

/// Links from the customer's own (first) up to the platform's (last); at least one, at most
/// [`CHAIN_LINKS_MAX`]. Each link's seller is the next link's buyer; the last one is the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub root: TenantId,
    pub customer: TenantId,
    pub platform: TenantId,
    pub currency: Currency,
    pub links: SmallVec<[Link; 3]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the platform buys from nobody")]
    Platform,
    #[error("the chain has more than {CHAIN_LINKS_MAX} links")]
    TooLong,
    #[error("no agreement between {buyer} and its seller was in force")]
    NoAgreement { buyer: TenantId },
    #[error("several agreements between {buyer} and its seller were in force")]
    SeveralAgreements { buyer: TenantId },
    #[error("the agreement of {buyer} is not with its seller")]
    Seller { buyer: TenantId },
    #[error("the agreements of the chain are in different currencies")]
    Currencies,
    #[error("the link of {buyer} is collected by its seller while a link between it and the customer is collected by the platform")]
    Collection { buyer: TenantId },
    #[error("the customer's own link has no rate card")]
    NoPrice,
}

impl ChainError {
    /// Stable: the reason under which usage is kept as unrated.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Platform => "no_seller",
            Self::TooLong => "chain_too_long",
            Self::NoAgreement { .. } => "no_agreement",
            Self::SeveralAgreements { .. } => "several_agreements",
            Self::Seller { .. } => "wrong_seller",
            Self::Currencies => "mixed_currencies",
            Self::Collection { .. } => "mixed_collection",
            Self::NoPrice => "no_rate_card",
        }
    }
}

/// The chain of a customer at an instant. `agreements` are those of every buyer on its path, of any
/// time; others are ignored. Order of checks: length, agreements from the customer upwards (one in
/// force, with the parent), currency, collection, price.
pub fn build(customer: &Tenant, agreements: &[Agreement], at: Instant) -> Result<Chain, ChainError> {
    let links = customer.path.len().saturating_sub(1);
    if links == 0 {
        return Err(ChainError::Platform);
    }
    if links > CHAIN_LINKS_MAX {
        return Err(ChainError::TooLong);
    }
    let sales = customer.path.windows(2).rev();
    let links = sales.map(|sale| link(sale[0], sale[1], agreements, at)).collect::<Result<SmallVec<[Link; 3]>, _>>()?;
    let currency = links[0].agreement.currency;
    if links.iter().any(|link| link.agreement.currency != currency) {
        return Err(ChainError::Currencies);
    }
    check_collection(&links)?;
    if !matches!(links[0].agreement.pricing, Pricing::Wholesale { .. }) {
        return Err(ChainError::NoPrice);
    }
    Ok(Chain { root: customer.root, customer: customer.id, platform: customer.path[0], currency, links })
}

fn link(seller: TenantId, buyer: TenantId, agreements: &[Agreement], at: Instant) -> Result<Link, ChainError> {
    let mut in_force = agreements.iter().filter(|agreement| agreement.buyer == buyer && agreement.in_force(at));
    let agreement = in_force.next().ok_or(ChainError::NoAgreement { buyer })?;
    if in_force.next().is_some() {
        return Err(ChainError::SeveralAgreements { buyer });
    }
    if agreement.seller != seller {
        return Err(ChainError::Seller { buyer });
    }
    Ok(Link { agreement: agreement.clone() })
}

/// Once a link is collected by its reseller, so is every link between it and the customer: from the
/// customer upwards, links collected by resellers come first, those collected by the platform after.
fn check_collection(links: &[Link]) -> Result<(), ChainError> {
    let broken =
        links.windows(2).find(|pair| pair[0].agreement.collect == Collect::Platform && pair[1].agreement.collect == Collect::Reseller);
    broken.map_or(Ok(()), |pair| Err(ChainError::Collection { buyer: pair[1].agreement.buyer }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agreement, tenant};
    use rating::{Currency, Instant};

    const NOW: Instant = Instant::from_secs(1_000);

    /// Platform 1 ← reseller 2 ← sub-reseller 3 ← customer 4.
    fn agreements() -> Vec<Agreement> {
        vec![agreement(2, 1), agreement(3, 2), agreement(4, 3)]
    }

    fn check(change: impl FnOnce(&mut Vec<Agreement>), want: Result<Vec<i64>, ChainError>) {
        let mut agreements = agreements();
        change(&mut agreements);
        let buyers = build(&tenant(&[1, 2, 3, 4]), &agreements, NOW)
            .map(|chain| chain.links.iter().map(|link| link.agreement.buyer.0).collect::<Vec<_>>());
        assert_eq!(buyers, want);
    }

    #[test]
    fn a_chain_runs_from_the_customer_to_the_platform() {
        check(|_| {}, Ok(vec![4, 3, 2]));
        check(|a| a.reverse(), Ok(vec![4, 3, 2]));
        let chain = build(&tenant(&[1, 2, 3, 4]), &agreements(), NOW).unwrap();
        assert_eq!((chain.root, chain.customer, chain.platform), (TenantId(2), TenantId(4), TenantId(1)));
        assert_eq!(build(&tenant(&[1]), &agreements(), NOW), Err(ChainError::Platform));
    }

    #[test]
    fn periods_are_half_open() {
        let ended = |until| move |a: &mut Vec<Agreement>| a[1].until = Some(until);
        check(ended(NOW.plus_micros(1)), Ok(vec![4, 3, 2]));
        check(ended(NOW), Err(ChainError::NoAgreement { buyer: TenantId(3) }));
        check(|a| a[2].from = NOW, Ok(vec![4, 3, 2]));
        check(|a| a[2].from = NOW.plus_micros(1), Err(ChainError::NoAgreement { buyer: TenantId(4) }));
        let successor = |a: &mut Vec<Agreement>| {
            a[0].until = Some(NOW);
            a.push(Agreement { from: NOW, ..agreement(2, 1) });
        };
        check(successor, Ok(vec![4, 3, 2]));
    }

    /// Each row breaks one rule more than the next: the first check that fails is the one answered.
    #[test]
    fn the_order_of_the_checks() {
        type Step = (fn(&mut Vec<Agreement>), ChainError);
        let steps: [Step; 6] = [
            (|a| a[2].until = Some(NOW), ChainError::NoAgreement { buyer: TenantId(4) }),
            (|a| a.push(agreement(3, 2)), ChainError::SeveralAgreements { buyer: TenantId(3) }),
            (|a| a[0].seller = TenantId(9), ChainError::Seller { buyer: TenantId(2) }),
            (|a| a[1].currency = "USD".parse().unwrap(), ChainError::Currencies),
            (|a| a[1].collect = Collect::Reseller, ChainError::Collection { buyer: TenantId(3) }),
            (|a| a[2].pricing = Pricing::Commission { commission_bp: 2_500 }, ChainError::NoPrice),
        ];
        for first in 0..steps.len() {
            let broken = |a: &mut Vec<Agreement>| steps[first..].iter().rev().for_each(|(step, _)| step(a));
            check(broken, Err(steps[first].1.clone()));
        }
    }

    #[test]
    fn links_collected_by_resellers_are_the_ones_nearest_to_the_customer() {
        use Collect::{Platform as P, Reseller as R};
        // From the customer upwards.
        for (collect, ok) in [
            ([P, P, P], true),
            ([R, P, P], true),
            ([R, R, P], true),
            ([R, R, R], true),
            ([P, R, P], false),
            ([R, P, R], false),
            ([P, P, R], false),
        ] {
            let mut agreements = agreements();
            for (agreement, collect) in agreements.iter_mut().rev().zip(collect) {
                agreement.collect = collect;
            }
            let chain = build(&tenant(&[1, 2, 3, 4]), &agreements, NOW);
            assert_eq!(chain.is_ok(), ok, "{collect:?}");
        }
    }

    #[test]
    fn at_most_eight_links() {
        for (links, ok) in [(CHAIN_LINKS_MAX, true), (CHAIN_LINKS_MAX + 1, false)] {
            let path: Vec<i64> = (1..).take(links + 1).collect();
            let agreements: Vec<_> = path.windows(2).map(|sale| agreement(sale[1], sale[0])).collect();
            let chain = build(&tenant(&path), &agreements, NOW);
            assert_eq!(chain.map(|chain| chain.links.len()), if ok { Ok(links) } else { Err(ChainError::TooLong) });
        }
        assert_eq!(agreement(2, 1).currency, Currency::EUR);
    }
}
