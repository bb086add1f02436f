//! Carries end with their owner (DESIGN §8, T6): once a tenant is closed, or a link of its chain
//! has ended without a successor, what is carried of it on each link is settled half up, from buyer
//! to seller, in a record of its own kind.
//!
//! Whether there is anything to settle is decided in the turn, on the carries as they are then: so
//! it may be asked for again and again, by any number of processes, and is done once. Usage that
//! comes late for such a customer carries on from 0, and is settled by the next sweep like the
//! first. An agreement that begins in the future is a successor.
//!
//! A carry has no currency: it is settled in that of the customer's latest agreement, like the
//! usage that went on with it.

use crate::batch_executor::{BatchExecutor, refused};
use crate::command::{Command, CommandResult};
use crate::engine::Engine;
use crate::settling::Settling;
use journal::{Charge, ChargePricing, StateKeys};
use ledger::{Event, LinkCharge};
use prepare::failures::{journal_problem, record_problem};
use problem::Problem;
use rating::usage::Counter;
use rating::{AgreementId, Carry, Exact, Quantity, TenantId, rounding};
use std::collections::HashMap;
use tenants::{Agreement, Tenant};

/// Tenants that one step of the sweep looks at.
pub const SWEPT_TENANTS_MAX: usize = 1_000;

fn settled(
    link: LinkCharge,
    agreement: AgreementId,
    carry: Carry,
) -> Result<Charge, rating::Overflow> {
    let (cents, exact) = rounding::end_carry(carry)?;
    Ok(Charge {
        link: LinkCharge { cents, ..link },
        agreement,
        pricing: ChargePricing::Carry,
        billed: Quantity::ZERO,
        counter: None,
        before: Counter::default(),
        after: Counter::default(),
        exact,
        local: Exact::ZERO,
        carry: Carry::ZERO,
    })
}

impl BatchExecutor {
    /// Whether there was anything to settle.
    pub fn settle_carries(&mut self, settling: &Settling) -> Result<bool, Problem> {
        let carries = self.states.carries_of(settling.customer);
        if carries.iter().all(|(_, carry)| *carry == Carry::ZERO) {
            return Ok(false);
        }
        let on = |buyer| crate::states::carry_of(carries, buyer);
        let charges = settling
            .links
            .iter()
            .map(|&(link, agreement)| settled(link, agreement, on(link.buyer)));
        let charges: Vec<Charge> = charges
            .collect::<Result<_, _>>()
            .map_err(|overflow| refused(overflow.into()))?;
        let links = crate::charge::link_charges(&charges);
        let Settling {
            root,
            customer,
            platform,
            currency,
            ..
        } = *settling;
        self.books
            .charge(&Event {
                root,
                customer,
                platform,
                currency,
                charges: &links,
                limits: &[],
            })
            .map_err(refused)?;
        self.carry(customer, &charges);
        self.push(settling.record(charges, self.now), None);
        Ok(true)
    }
}

impl Engine {
    /// Settles what is carried of those of these tenants that are closed or whose agreements ended;
    /// of how many there was something.
    pub async fn settle_carries(&self, tenants: &[Tenant]) -> Result<usize, Problem> {
        let mut keys = StateKeys::default();
        for tenant in tenants {
            keys.under(tenant.root);
            keys.carries.push(tenant.id);
        }
        let carries = self
            .journal()
            .load(&keys)
            .await
            .map_err(journal_problem)?
            .carries;
        let is_open = |tenant: &&Tenant| {
            carries
                .get(&tenant.id)
                .is_some_and(|links| links.iter().any(|(_, carry)| *carry != Carry::ZERO))
        };
        let open: Vec<&Tenant> = tenants.iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(0);
        }
        let mut buyers: Vec<TenantId> = open
            .iter()
            .flat_map(|tenant| tenant.path.iter().skip(1).copied())
            .collect();
        buyers.sort_unstable();
        buyers.dedup();
        let mut agreements: HashMap<TenantId, Vec<Agreement>> = HashMap::new();
        for one in self
            .directory()
            .catalog()
            .agreements_of(&buyers)
            .await
            .map_err(record_problem)?
        {
            agreements.entry(one.buyer).or_default().push(one);
        }
        let now = self.now();
        let ended = open
            .into_iter()
            .filter_map(|tenant| Settling::of(tenant, &agreements, now));
        let done = self
            .submit(
                ended
                    .map(|one| Command::SettleCarries(Box::new(one)))
                    .collect(),
            )
            .await?;
        let mut settled = 0;
        for one in done {
            match one {
                CommandResult::Settled(Ok(anything)) => settled += usize::from(anything),
                CommandResult::Settled(Err(problem)) => {
                    tracing::warn!(%problem, "settling a customer's carry failed")
                }
                _ => {}
            }
        }
        Ok(settled)
    }

    /// One step of a round over all tenants: those behind `after`. `None`: the round is over.
    pub async fn sweep_carries(&self, after: TenantId) -> Result<Option<TenantId>, Problem> {
        let tenants = self
            .directory()
            .catalog()
            .tenants_from(after, SWEPT_TENANTS_MAX)
            .await
            .map_err(record_problem)?;
        self.settle_carries(&tenants).await?;
        Ok(tenants
            .last()
            .filter(|_| tenants.len() == SWEPT_TENANTS_MAX)
            .map(|last| last.id))
    }
}
