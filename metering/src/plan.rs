//! A customer's chain as the pipeline uses it: agreements by period, each with the versions of its card.

use ledger::{AccountKey, Settlement};
use rating::compile::CompiledCard;
use rating::{CardVersionId, Instant, RateCardId, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use tenants::{Agreement, Chain, ChainError, Collect, Pricing, Tenant};
use tokio::sync::OnceCell;

/// One published version; compiled when it is first needed.
#[derive(Debug)]
pub struct VersionSlot {
    pub id: CardVersionId,
    pub effective_from: Instant,
    pub compiled: OnceCell<Arc<CompiledCard>>,
}

/// The published versions of one card, oldest first.
#[derive(Debug)]
pub struct Timeline {
    pub card: RateCardId,
    /// Whose card it is: a fallback card is looked up under the same owner.
    pub owner: TenantId,
    pub versions: Vec<VersionSlot>,
}

impl Timeline {
    /// The version in force at an instant.
    pub fn in_force(&self, at: Instant) -> Option<&VersionSlot> {
        let count = self.versions.partition_point(|slot| slot.effective_from <= at);
        count.checked_sub(1).and_then(|index| self.versions.get(index))
    }
}

/// One link with the card that prices it (`None`: by commission).
#[derive(Debug, Clone)]
pub struct PlanLink {
    pub agreement: Agreement,
    pub settlement: Settlement,
    pub timeline: Option<Arc<Timeline>>,
}

/// The chain of one customer during `[from, until)`, or why there is none.
#[derive(Debug)]
pub struct ChainPlan {
    from: Instant,
    until: Option<Instant>,
    pub links: Result<Arc<[PlanLink]>, ChainError>,
}

impl ChainPlan {
    pub fn covers(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// The customer's chains over all time: one plan between any two changes of an agreement.
pub fn plans(customer: &Tenant, agreements: &[Agreement], timelines: &HashMap<RateCardId, Arc<Timeline>>) -> Vec<ChainPlan> {
    let mut changes: Vec<Instant> = agreements.iter().flat_map(|a| [Some(a.from), a.until]).flatten().collect();
    changes.push(Instant::MIN);
    changes.sort_unstable();
    changes.dedup();
    (0..changes.len())
        .map(|index| ChainPlan {
            from: changes[index],
            until: changes.get(index + 1).copied(),
            links: tenants::chain::build(customer, agreements, changes[index]).map(|chain| links(chain, timelines)),
        })
        .collect()
}

fn links(chain: Chain, timelines: &HashMap<RateCardId, Arc<Timeline>>) -> Arc<[PlanLink]> {
    let platform = chain.platform;
    let with_card = |link: tenants::Link| PlanLink {
        settlement: settlement_of(&link.agreement, platform),
        timeline: match link.agreement.pricing {
            Pricing::Wholesale { rate_card } => timelines.get(&rate_card).cloned(),
            Pricing::Commission { .. } => None,
        },
        agreement: link.agreement,
    };
    chain.links.into_iter().map(with_card).collect()
}

/// Between which accounts the money of this link moves. Who buys from the platform itself pays the platform either way.
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
