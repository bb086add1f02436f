//! A customer's chain as the pipeline uses it: agreements by period, each with the versions of its
//! card.

use crate::open::Open;
use ledger::{AccountKey, Settlement};
use rating::compile::CompiledCard;
use rating::{AgreementId, CardVersionId, Cents, Currency, Instant, RateCardId, TenantId};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use tenants::{Agreement, Chain, ChainError, Collect, OnExhausted, Pricing, Tenant};
use tokio::sync::OnceCell;

/// One published version; compiled when it is first needed.
#[derive(Debug)]
pub struct VersionSlot {
    pub id: CardVersionId,
    pub effective_from: Instant,
    /// Who published it, or approved it from farthest above.
    pub approved_by: TenantId,
    pub compiled: OnceCell<Arc<CompiledCard>>,
}

/// The published versions of one card, oldest first.
#[derive(Debug)]
pub struct Timeline {
    pub card: RateCardId,
    pub name: String,
    /// Whose card it is: a fallback card is looked up under the same owner.
    pub owner: TenantId,
    pub versions: Vec<VersionSlot>,
}

impl Timeline {
    /// A version that is in force at some time from `from` on and is not in memory.
    pub fn not_compiled_since(&self, from: Instant) -> Option<CardVersionId> {
        let first = self
            .versions
            .partition_point(|slot| slot.effective_from <= from)
            .saturating_sub(1);
        self.versions[first..]
            .iter()
            .find(|slot| slot.compiled.get().is_none())
            .map(|slot| slot.id)
    }

    /// A version that is in memory.
    #[inline]
    pub fn compiled(&self, version: CardVersionId) -> Option<&CompiledCard> {
        self.versions
            .iter()
            .find(|slot| slot.id == version)?
            .compiled
            .get()
            .map(AsRef::as_ref)
    }

    /// The version in force at an instant; with an approval needed, the latest that has one.
    #[inline]
    pub fn in_force(&self, at: Instant, approval: Option<&[TenantId]>) -> Option<&VersionSlot> {
        let count = self
            .versions
            .partition_point(|slot| slot.effective_from <= at);
        match approval {
            None => count
                .checked_sub(1)
                .and_then(|index| self.versions.get(index)),
            Some(approval) => self.versions[..count]
                .iter()
                .rev()
                .find(|slot| approval.contains(&slot.approved_by)),
        }
    }
}

/// What an event needs of an agreement: every event reads it, of customers that are far apart in
/// memory, so it is small.
#[derive(Debug, Clone, Copy)]
pub struct LinkTerms {
    pub id: AgreementId,
    pub buyer: TenantId,
    pub seller: TenantId,
    pub currency: Currency,
    pub pricing: Pricing,
    pub credit_limit: Option<Cents>,
    pub on_exhausted: OnExhausted,
    /// Who said `refuse`.
    pub refusing: TenantId,
}

impl LinkTerms {
    fn of(agreement: &Agreement) -> Self {
        let Agreement {
            id,
            buyer,
            seller,
            currency,
            pricing,
            credit_limit,
            on_exhausted,
            ..
        } = *agreement;
        Self {
            id,
            buyer,
            seller,
            currency,
            pricing,
            credit_limit,
            on_exhausted,
            refusing: agreement.refusing(),
        }
    }
}

/// One link with the card that prices it, or bounds its price (`None`: by commission alone).
#[derive(Debug, Clone)]
pub struct PlanLink {
    pub agreement: LinkTerms,
    pub settlement: Settlement,
    pub timeline: Option<Arc<Timeline>>,
    /// Whose approval its prices need; mostly nobody's.
    pub approval: Option<Arc<[TenantId]>>,
    /// Of a commission: from which price it is taken, if not from that of the link below.
    pub base: Option<Arc<Base>>,
}

/// The price that a commission is taken from where a seller further down granted a commission of
/// its own accord: that is its own affair, and makes nobody's share above it smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// How many links below.
    pub down: usize,
    /// The commissions above it, from below up, in basis points; `None`: it does not count.
    pub counting: Vec<Option<u16>>,
}

/// The chain of one customer during `[from, until)`, or why there is none.
#[derive(Debug)]
pub struct ChainPlan {
    from: Instant,
    until: Option<Instant>,
    /// Those that stand.
    pub links: Result<Arc<[PlanLink]>, ChainError>,
    /// Links below them that do not; mostly none.
    pub open: Box<[Open]>,
}

impl ChainPlan {
    #[inline]
    pub fn covers(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// The customer's chains over all time: one plan between any two changes of an agreement.
pub fn plans(
    customer: &Tenant,
    agreements: &[Agreement],
    timelines: &HashMap<RateCardId, Arc<Timeline>>,
) -> Vec<ChainPlan> {
    let mut changes: Vec<Instant> = agreements
        .iter()
        .flat_map(|a| [Some(a.from), a.until])
        .flatten()
        .collect();
    changes.push(Instant::MIN);
    changes.extend(customer.closed_at);
    changes.sort_unstable();
    changes.dedup();
    (0..changes.len())
        .map(|index| {
            let (from, until) = (changes[index], changes.get(index + 1).copied());
            let chain = tenants::chain::build(customer, agreements, from);
            let open = chain.as_ref().map(open).unwrap_or_default();
            ChainPlan {
                from,
                until,
                links: chain.map(|chain| links(chain, timelines)),
                open,
            }
        })
        .collect()
}

fn open(chain: &Chain) -> Box<[Open]> {
    chain
        .open
        .iter()
        .map(|(buyer, error)| Open {
            buyer: *buyer,
            reason: error.code(),
        })
        .collect()
}

/// Whose approval a link's prices need, and from which price its commission is taken.
type Rules = (Option<Arc<[TenantId]>>, Option<Arc<Base>>);

fn links(chain: Chain, timelines: &HashMap<RateCardId, Arc<Timeline>>) -> Arc<[PlanLink]> {
    let platform = chain.platform;
    let indices = 0..chain.links.len();
    let rules: Vec<_> = indices
        .map(|index| {
            (
                approval(&chain.links[index..]),
                base(&chain.links, index).map(Arc::new),
            )
        })
        .collect();
    let with_card = |(link, (approval, base)): (tenants::Link, Rules)| PlanLink {
        settlement: settlement_of(&link.agreement, platform),
        timeline: match link.agreement.pricing {
            Pricing::Wholesale { rate_card } => timelines.get(&rate_card).cloned(),
            Pricing::Commission { .. } => link
                .agreement
                .floor
                .and_then(|floor| timelines.get(&floor).cloned()),
        },
        agreement: LinkTerms::of(&link.agreement),
        approval,
        base,
    };
    chain.links.into_iter().zip(rules).map(with_card).collect()
}

/// Who may approve the first link's prices, where a commission above is taken from them: the seller
/// of the highest such link that neither leaves prices free nor has a floor, and those above it.
fn approval(links: &[tenants::Link]) -> Option<Arc<[TenantId]>> {
    let [own, above @ ..] = links else {
        return None;
    };
    if !matches!(own.agreement.pricing, Pricing::Wholesale { .. }) {
        return None;
    }
    approvers(
        &above
            .iter()
            .map(|link| &link.agreement)
            .collect::<SmallVec<[&Agreement; 8]>>(),
    )
}

/// The same of the prices of a seller, by the agreements from its own up.
pub fn approvers(above: &[&Agreement]) -> Option<Arc<[TenantId]>> {
    let commissions = above
        .iter()
        .take_while(|terms| matches!(terms.pricing, Pricing::Commission { .. }))
        .count();
    let highest = above[..commissions]
        .iter()
        .rposition(|terms| !terms.free_retail && terms.floor.is_none())?;
    Some(above[highest..].iter().map(|terms| terms.seller).collect())
}

/// From which price the commission of a link without a floor is taken. One further down counts
/// against its seller only if that one agreed on it, or a seller above it did.
fn base(links: &[tenants::Link], index: usize) -> Option<Base> {
    let own = &links[index].agreement;
    if own.floor.is_some() || !matches!(own.pricing, Pricing::Commission { .. }) {
        return None;
    }
    let approvers: SmallVec<[TenantId; 4]> = links[index..]
        .iter()
        .map(|link| link.agreement.seller)
        .collect();
    let below = links[..index]
        .iter()
        .rev()
        .map_while(|link| match link.agreement.pricing {
            Pricing::Commission { commission_bp } => {
                Some((link.agreement.is_approved_by(&approvers), commission_bp))
            }
            Pricing::Wholesale { .. } => None,
        });
    // From above down.
    let below: SmallVec<[(bool, u16); 4]> = below.collect();
    let lowest = below.iter().rposition(|(is_approved, _)| !is_approved)?;
    let down = lowest + 2;
    index.checked_sub(down)?;
    let counting = below[..=lowest]
        .iter()
        .rev()
        .map(|(is_approved, commission_bp)| is_approved.then_some(*commission_bp));
    Some(Base {
        down,
        counting: counting.collect(),
    })
}

/// Between which accounts the money of this link moves. Who buys from the platform itself pays the
/// platform either way.
pub fn settlement_of(agreement: &Agreement, platform: TenantId) -> Settlement {
    settlement(agreement.collect, agreement.seller, platform)
}

/// The same, where only this much of an agreement is known.
pub fn settlement(collect: Collect, seller: TenantId, platform: TenantId) -> Settlement {
    match collect {
        Collect::Reseller if seller != platform => Settlement::Reseller,
        Collect::Reseller | Collect::Platform => Settlement::Platform,
    }
}

/// What a buyer pays with under this agreement.
pub fn paying_account(agreement: &Agreement, platform: TenantId) -> AccountKey {
    settlement_of(agreement, platform).buyer_account(agreement.buyer, agreement.currency)
}
