//! The agreements from a customer up to the platform at an instant.
//!
//! Upper links are never free: a link that cannot stand (no agreement, its seller collects where a
//! seller above it does not let it, another currency) takes only those below it along. What is
//! above is owed all the same.

use crate::{Agreement, CHAIN_LINKS_MAX, Collect, Pricing, Tenant};
use rating::{Currency, Instant, TenantId};
use smallvec::SmallVec;

/// One link of a chain: what the buyer owes its seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub agreement: Agreement,
}

/// Links that stand, up to the platform's (last); at least one, at most [`CHAIN_LINKS_MAX`]. Each
/// link's seller is the next link's buyer; the last one is the platform. Those below them are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub root: TenantId,
    pub customer: TenantId,
    pub platform: TenantId,
    pub currency: Currency,
    pub links: SmallVec<[Link; 3]>,
    /// Buyers whose links do not stand, from the customer up, and why; mostly none.
    pub open: Vec<(TenantId, ChainError)>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the platform has no seller")]
    Platform,
    #[error("the chain has more than {CHAIN_LINKS_MAX} links")]
    TooLong,
    #[error("the customer was closed")]
    Closed,
    #[error("no agreement between {buyer} and its seller was in force")]
    NoAgreement { buyer: TenantId },
    #[error("several agreements between {buyer} and its seller were in force")]
    SeveralAgreements { buyer: TenantId },
    #[error("the agreement of {buyer} is not with its seller")]
    Seller { buyer: TenantId },
    #[error("the agreements of the chain are in different currencies")]
    Currencies,
    #[error(
        "the link of {buyer} is collected by the platform while a link above it is collected by \
            its seller"
    )]
    Collection { buyer: TenantId },
    #[error("the customer's own link has no rate card")]
    NoPrice,
    /// The link is in order by itself; one above it is not. Nobody earns on usage that it does not
    /// pay for.
    #[error("a link above that of {buyer} is open")]
    AboveOpen { buyer: TenantId },
}

impl ChainError {
    /// Stable: the reason under which usage is kept as unrated, or a link as open.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Platform => "no_seller",
            Self::TooLong => "chain_too_long",
            Self::Closed => "tenant_closed",
            Self::NoAgreement { .. } => "no_agreement",
            Self::SeveralAgreements { .. } => "several_agreements",
            Self::Seller { .. } => "wrong_seller",
            Self::Currencies => "mixed_currencies",
            Self::Collection { .. } => "mixed_collection",
            Self::NoPrice => "no_rate_card",
            Self::AboveOpen { .. } => ABOVE_OPEN,
        }
    }
}

/// The reason of a link that is in order by itself, under one that is not.
pub const ABOVE_OPEN: &str = "link_above_open";

/// The chain of a customer at an instant. `agreements` are those of every buyer on its path, of any
/// time; others are ignored. From the platform downwards each link is checked by itself (one
/// agreement in force, with the parent), then against those above it (currency, collection); the
/// first that fails ends the chain. `Err`: no link stands, for the reason of the one nearest to the
/// customer that has one of its own.
pub fn build(
    customer: &Tenant,
    agreements: &[Agreement],
    at: Instant,
) -> Result<Chain, ChainError> {
    let count = customer.path.len().saturating_sub(1);
    if count == 0 {
        return Err(ChainError::Platform);
    }
    if count > CHAIN_LINKS_MAX {
        return Err(ChainError::TooLong);
    }
    let sales = customer.path.windows(2).rev();
    let found: SmallVec<[Result<Link, ChainError>; 3]> = sales
        .map(|sale| link(sale[0], sale[1], customer, agreements, at))
        .collect();
    let standing = standing(&found);
    let (below, above) = found.split_at(count - standing);
    let links: SmallVec<[Link; 3]> = above.iter().flatten().cloned().collect();
    let open = open(&customer.path, below, links.first());
    let Some(top) = links.last() else {
        let own = open
            .into_iter()
            .map(|(_, error)| error)
            .find(|error| !matches!(error, ChainError::AboveOpen { .. }));
        return Err(own.unwrap_or(ChainError::Platform));
    };
    let currency = top.agreement.currency;
    Ok(Chain {
        root: customer.root,
        customer: customer.id,
        platform: customer.path[0],
        currency,
        links,
        open,
    })
}

/// How many links stand, from the platform's down.
fn standing(found: &[Result<Link, ChainError>]) -> usize {
    let mut above: Option<&Link> = None;
    for (count, link) in found.iter().rev().enumerate() {
        match link {
            Ok(link) if above.is_none_or(|above| fits(link, above).is_ok()) => above = Some(link),
            _ => return count,
        }
    }
    found.len()
}

/// One currency; and once a link is collected by its reseller, so is every link between it and the
/// customer.
fn fits(link: &Link, above: &Link) -> Result<(), ChainError> {
    if link.agreement.currency != above.agreement.currency {
        return Err(ChainError::Currencies);
    }
    match (above.agreement.collect, link.agreement.collect) {
        (Collect::Reseller, Collect::Platform) => Err(ChainError::Collection {
            buyer: link.agreement.buyer,
        }),
        _ => Ok(()),
    }
}

/// Why the links of `below` are open: the reason of each, or that it is below another one. `above`:
/// the lowest that stands.
fn open(
    path: &[TenantId],
    below: &[Result<Link, ChainError>],
    above: Option<&Link>,
) -> Vec<(TenantId, ChainError)> {
    let reason = |(index, link): (usize, &Result<Link, ChainError>)| {
        let buyer = path[path.len() - 1 - index];
        let above = match below.get(index + 1) {
            Some(above) => above.as_ref().ok(),
            None => above,
        };
        let error = match (link, above) {
            (Err(error), _) => Some(error.clone()),
            (Ok(link), Some(above)) => fits(link, above).err(),
            (Ok(_), None) => None,
        };
        (buyer, error.unwrap_or(ChainError::AboveOpen { buyer }))
    };
    below.iter().enumerate().map(reason).collect()
}

fn link(
    seller: TenantId,
    buyer: TenantId,
    customer: &Tenant,
    agreements: &[Agreement],
    at: Instant,
) -> Result<Link, ChainError> {
    let own = buyer == customer.id;
    if own && customer.closed_at.is_some_and(|closed| at >= closed) {
        return Err(ChainError::Closed);
    }
    let mut in_force = agreements
        .iter()
        .filter(|agreement| agreement.buyer == buyer && agreement.in_force(at));
    let agreement = in_force.next().ok_or(ChainError::NoAgreement { buyer })?;
    if in_force.next().is_some() {
        return Err(ChainError::SeveralAgreements { buyer });
    }
    if agreement.seller != seller {
        return Err(ChainError::Seller { buyer });
    }
    if own && !matches!(agreement.pricing, Pricing::Wholesale { .. }) {
        return Err(ChainError::NoPrice);
    }
    Ok(Link {
        agreement: agreement.clone(),
    })
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

    type Found<'a> = Result<(&'a [i64], &'a [(i64, &'a str)]), ChainError>;

    /// Buyers of the links that stand, and of those that are open with their codes, from the
    /// customer up.
    fn check(change: impl FnOnce(&mut Vec<Agreement>), want: Found<'_>) {
        let mut agreements = agreements();
        change(&mut agreements);
        let chain = build(&tenant(&[1, 2, 3, 4]), &agreements, NOW);
        let found = chain.map(|chain| {
            let links: Vec<i64> = chain
                .links
                .iter()
                .map(|link| link.agreement.buyer.0)
                .collect();
            (
                links,
                chain
                    .open
                    .iter()
                    .map(|(buyer, error)| (buyer.0, error.code()))
                    .collect::<Vec<_>>(),
            )
        });
        assert_eq!(
            found,
            want.map(|(links, open)| (links.to_vec(), open.to_vec()))
        );
    }

    const WHOLE: Found<'_> = Ok((&[4, 3, 2], &[]));

    #[test]
    fn a_chain_runs_from_the_customer_to_the_platform() {
        check(|_| {}, WHOLE);
        check(|a| a.reverse(), WHOLE);
        let chain = build(&tenant(&[1, 2, 3, 4]), &agreements(), NOW).unwrap();
        assert_eq!(
            (chain.root, chain.customer, chain.platform),
            (TenantId(2), TenantId(4), TenantId(1))
        );
        assert_eq!(
            build(&tenant(&[1]), &agreements(), NOW),
            Err(ChainError::Platform)
        );
    }

    #[test]
    fn periods_are_half_open() {
        let ended = |until| move |a: &mut Vec<Agreement>| a[1].until = Some(until);
        check(ended(NOW.plus_micros(1)), WHOLE);
        check(
            ended(NOW),
            Ok((&[2], &[(4, ABOVE_OPEN), (3, "no_agreement")])),
        );
        check(|a| a[2].from = NOW, WHOLE);
        check(
            |a| a[2].from = NOW.plus_micros(1),
            Ok((&[3, 2], &[(4, "no_agreement")])),
        );
        let successor = |a: &mut Vec<Agreement>| {
            a[0].until = Some(NOW);
            a.push(Agreement {
                from: NOW,
                ..agreement(2, 1)
            });
        };
        check(successor, WHOLE);
    }

    #[test]
    fn a_link_that_does_not_stand_takes_along_those_below_it() {
        check(
            |a| a.push(agreement(4, 3)),
            Ok((&[3, 2], &[(4, "several_agreements")])),
        );
        check(
            |a| a[1].seller = TenantId(9),
            Ok((&[2], &[(4, ABOVE_OPEN), (3, "wrong_seller")])),
        );
        check(
            |a| a[2].currency = "USD".parse().unwrap(),
            Ok((&[3, 2], &[(4, "mixed_currencies")])),
        );
        check(
            |a| a[1].currency = "USD".parse().unwrap(),
            Ok((&[2], &[(4, "mixed_currencies"), (3, "mixed_currencies")])),
        );
        check(
            |a| a[1].collect = Collect::Reseller,
            Ok((&[3, 2], &[(4, "mixed_collection")])),
        );
        check(
            |a| {
                a[2].pricing = Pricing::Commission {
                    commission_bp: 2_500,
                }
            },
            Ok((&[3, 2], &[(4, "no_rate_card")])),
        );
        let both = |a: &mut Vec<Agreement>| {
            a[2].until = Some(NOW);
            a[1].until = Some(NOW);
        };
        check(
            both,
            Ok((&[2], &[(4, "no_agreement"), (3, "no_agreement")])),
        );
    }

    #[test]
    fn without_the_platforms_own_link_there_is_no_chain() {
        check(
            |a| a[0].until = Some(NOW),
            Err(ChainError::NoAgreement { buyer: TenantId(2) }),
        );
        let all = |a: &mut Vec<Agreement>| {
            a.iter_mut()
                .for_each(|agreement| agreement.until = Some(NOW))
        };
        check(all, Err(ChainError::NoAgreement { buyer: TenantId(4) }));
    }

    #[test]
    fn a_closed_customer_owes_nothing_more_and_its_sellers_do() {
        let closed = Tenant {
            closed_at: Some(NOW),
            ..tenant(&[1, 2, 3, 4])
        };
        let open = |at| build(&closed, &agreements(), at).unwrap().open;
        assert_eq!(open(NOW), [(TenantId(4), ChainError::Closed)]);
        assert_eq!(open(NOW.plus_micros(-1)), []);
    }

    #[test]
    fn links_collected_by_resellers_are_the_ones_nearest_to_the_customer() {
        use Collect::{Platform as P, Reseller as R};
        // From the customer upwards; how many stand.
        for (collect, standing) in [
            ([P, P, P], 3),
            ([R, P, P], 3),
            ([R, R, P], 3),
            ([R, R, R], 3),
            ([P, R, P], 2),
            ([R, P, R], 1),
            ([P, P, R], 1),
        ] {
            let mut agreements = agreements();
            for (agreement, collect) in agreements.iter_mut().rev().zip(collect) {
                agreement.collect = collect;
            }
            let chain = build(&tenant(&[1, 2, 3, 4]), &agreements, NOW).unwrap();
            assert_eq!(chain.links.len(), standing, "{collect:?}");
        }
    }

    #[test]
    fn at_most_eight_links() {
        for (links, ok) in [(CHAIN_LINKS_MAX, true), (CHAIN_LINKS_MAX + 1, false)] {
            let path: Vec<i64> = (1..).take(links + 1).collect();
            let agreements: Vec<_> = path
                .windows(2)
                .map(|sale| agreement(sale[1], sale[0]))
                .collect();
            let chain = build(&tenant(&path), &agreements, NOW);
            assert_eq!(
                chain.map(|chain| chain.links.len()),
                if ok {
                    Ok(links)
                } else {
                    Err(ChainError::TooLong)
                }
            );
        }
        assert_eq!(agreement(2, 1).currency, Currency::EUR);
    }
}
