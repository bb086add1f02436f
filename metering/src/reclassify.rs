//! What buyers of a seller that collects itself had in one balance, from before the seller's book
//! was an account of its own, moved to that book.
//!
//! Invariants: each balance once, under a name of its own, whichever process comes first; the sum
//! of the two accounts stays. What comes to the balance later is the platform's and stays there.

use crate::command::{Command, CommandResult, out_of_step};
use crate::engine::Engine;
use crate::named::Named;
use catalog::Reclassification;
use journal::{Identity, Namespace};
use ledger::Settlement;
use prepare::failures::record_problem;
use prepare::plan::settlement_of;
use problem::Problem;
use rating::Instant;
use std::collections::HashMap;
use tenants::Agreement;

impl Engine {
    /// Moves what is waiting to be moved; how many balances that were. Done before anything is
    /// served.
    ///
    /// # Errors
    /// `unavailable`: the rest goes on at the next start.
    pub async fn reclassify(&self) -> Result<u64, Problem> {
        let records = self.directory().catalog();
        let mut moved = 0;
        loop {
            let waiting = records.reclassifications().await.map_err(record_problem)?;
            if waiting.is_empty() {
                return Ok(moved);
            }
            let work = self.of_own_books(&waiting).await?;
            for done in self.submit(work).await? {
                match done {
                    CommandResult::Reclassified(done) => moved += u64::from(done?),
                    _ => return Err(out_of_step()),
                }
            }
            records
                .reclassified(&waiting)
                .await
                .map_err(record_problem)?;
        }
    }

    /// Of those whose seller collects itself now.
    async fn of_own_books(&self, waiting: &[Reclassification]) -> Result<Vec<Command>, Problem> {
        let (records, now) = (self.directory().catalog(), self.now());
        let buyers: Vec<_> = waiting.iter().map(|one| one.tenant).collect();
        let mut terms: HashMap<_, Vec<Agreement>> = HashMap::new();
        for agreement in records
            .agreements_of(&buyers)
            .await
            .map_err(record_problem)?
        {
            terms.entry(agreement.buyer).or_default().push(agreement);
        }
        let Some(platform) = records.platform().await.map_err(record_problem)? else {
            return Ok(Vec::new());
        };
        let mut work = Vec::new();
        for one in waiting {
            let of_currency: Vec<&Agreement> = terms
                .get(&one.tenant)
                .into_iter()
                .flatten()
                .filter(|a| a.currency == one.currency)
                .collect();
            if present(&of_currency, now)
                .is_some_and(|terms| settlement_of(terms, platform.id) == Settlement::Reseller)
            {
                let id = format!("book:{}:{}", one.tenant, one.currency);
                let identity = Identity {
                    root: one.root,
                    reporter: None,
                    namespace: Namespace::Payment,
                    source: "books".into(),
                    id,
                };
                let named = Named::new(identity, &**self.journal());
                work.push(Command::Reclassify {
                    named,
                    tenant: one.tenant,
                    currency: one.currency,
                    received_at: now,
                });
            }
        }
        Ok(work)
    }
}

/// In force now, else the last that was.
fn present<'a>(terms: &[&'a Agreement], now: Instant) -> Option<&'a Agreement> {
    let begun = || terms.iter().filter(|terms| terms.from <= now);
    begun()
        .find(|terms| terms.in_force(now))
        .or_else(|| begun().max_by_key(|terms| terms.from))
        .copied()
}
