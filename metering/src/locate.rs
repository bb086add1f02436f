//! Events and holds by the names that callers gave them. Everybody names his own; so a name is
//! looked for among the caller's own first, then among those of others that it sees. What is not
//! one alone is refused, with the candidates.

use crate::engine::Engine;
use crate::overrule::is_unattributed;
use journal::{Identity, JournalEntry, Kind, Namespace, Reporter, StateKeys};
use ledger::Hold;
use prepare::caller::Caller;
use prepare::failures::journal_problem;
use prepare::hold_name::hold_id;
use prepare::reporters::rank;
use problem::{Code, Problem};
use rating::{TenantId, ids::HoldId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Candidates that a refusal names.
const CANDIDATES_NAMED_MAX: usize = 5;

impl Engine {
    /// The usage event a caller names, by its record that counts.
    pub async fn locate(
        &self,
        caller: &Caller,
        source: &str,
        id: &str,
        customer: Option<&str>,
    ) -> Result<Arc<JournalEntry>, Problem> {
        let customer = match customer {
            Some(name) => Some(self.customer(caller, name).await?),
            None => None,
        };
        let roots = match &customer {
            Some(customer) => [customer.tenant.root].into(),
            None => self.directory().roots_seen(caller).await?,
        };
        let own = self.directory().reporter(caller).await?;
        let name = |(root, reporter)| Identity {
            root,
            reporter,
            namespace: Namespace::Usage,
            source: source.into(),
            id: id.to_owned(),
        };
        let names: Vec<Identity> = self
            .reporters_in(&roots, Namespace::Usage, own)
            .await?
            .into_iter()
            .map(name)
            .collect();
        let (mut reported, mut unattributed) = (Vec::new(), None);
        for record in self
            .journal()
            .find_each(&names)
            .await
            .map_err(journal_problem)?
            .into_iter()
            .flatten()
        {
            if !self.directory().sees(caller, record.tenant).await? {
                continue;
            }
            if is_unattributed(&record) {
                // Perhaps it came again under its customer's root and was rated there.
                unattributed = Some(record);
            } else if customer
                .as_ref()
                .is_none_or(|customer| customer.tenant.id == record.tenant)
            {
                reported.push(record);
            }
        }
        match self.counting(reported, own).await? {
            Some(record) => self.reported_first(record).await,
            None => unattributed
                .ok_or_else(|| Problem::new(Code::NotFound, "there is no such usage event")),
        }
    }

    /// Of one customer: the highest reporter's.
    async fn counting(
        &self,
        mut reported: Vec<Arc<JournalEntry>>,
        own: Reporter,
    ) -> Result<Option<Arc<JournalEntry>>, Problem> {
        let customers = |records: &mut dyn Iterator<Item = &Arc<JournalEntry>>| {
            records.map(|record| record.tenant).collect::<BTreeSet<_>>()
        };
        let mut of = customers(
            &mut reported
                .iter()
                .filter(|record| record.identity.reporter == own),
        );
        if of.is_empty() {
            of = customers(&mut reported.iter());
        }
        let Some(customer) = of.first().copied() else {
            return Ok(None);
        };
        if of.len() > 1 {
            let ids: Vec<String> = of
                .iter()
                .take(CANDIDATES_NAMED_MAX)
                .map(ToString::to_string)
                .collect();
            let detail = format!(
                "several customers have an event of this source and id: name one of {}",
                ids.join(", ")
            );
            return Err(Problem::field(Code::AmbiguousId, "customer", detail));
        }
        let path = self.directory().path(customer).await?.unwrap_or_default();
        reported.retain(|record| record.tenant == customer);
        Ok(reported
            .into_iter()
            .min_by_key(|record| rank(&path, record.identity.reporter).unwrap_or(usize::MAX)))
    }

    /// What a confirming record is about.
    async fn reported_first(
        &self,
        record: Arc<JournalEntry>,
    ) -> Result<Arc<JournalEntry>, Problem> {
        match (record.kind, record.body.refers_to) {
            (Kind::Confirmed, Some(lower)) => self.record(lower).await,
            _ => Ok(record),
        }
    }

    /// Whose names to look for in these roots: the caller's own first.
    async fn reporters_in(
        &self,
        roots: &[TenantId],
        of: Namespace,
        own: Reporter,
    ) -> Result<Vec<(TenantId, Reporter)>, Problem> {
        let mut all: Vec<(TenantId, Reporter)> = roots
            .iter()
            .flat_map(|root| [(*root, own), (*root, None)])
            .collect();
        all.extend(
            self.journal()
                .reporters(roots, of)
                .await
                .map_err(journal_problem)?,
        );
        all.sort_unstable_by_key(|(root, reporter)| (*reporter != own, *root, *reporter));
        all.dedup();
        Ok(all)
    }

    /// The hold a caller names: `hld_…`, or its own key with the source "default".
    pub async fn hold_named(&self, caller: &Caller, name: &str) -> Result<Hold, Problem> {
        let own = self.directory().reporter(caller).await?;
        let named: Vec<(Reporter, HoldId)> = match name.parse() {
            Ok(id) => vec![(own, id)],
            Err(_) => {
                let roots = self.directory().roots_seen(caller).await?;
                let all = self.reporters_in(&roots, Namespace::Hold, own).await?;
                all.into_iter()
                    .map(|(root, reporter)| (reporter, hold_id(root, reporter, "default", name)))
                    .collect()
            }
        };
        // A key of the caller's may name a hold in every root; all are looked up at once.
        let keys = StateKeys {
            holds: named.iter().map(|(_, id)| *id).collect(),
            ..StateKeys::default()
        };
        let mut found = self
            .journal()
            .load(&keys)
            .await
            .map_err(journal_problem)?
            .holds;
        let mut seen: Vec<(Reporter, Hold)> = Vec::new();
        for (reporter, hold) in named
            .iter()
            .filter_map(|(reporter, id)| Some((*reporter, found.remove(id)?)))
        {
            if self.directory().sees(caller, hold.customer).await? {
                seen.push((reporter, hold));
            }
        }
        if seen.iter().any(|(reporter, _)| *reporter == own) {
            seen.retain(|(reporter, _)| *reporter == own);
        }
        if seen.len() > 1 {
            let ids: Vec<String> = seen
                .iter()
                .take(CANDIDATES_NAMED_MAX)
                .map(|(_, hold)| hold.id.to_string())
                .collect();
            return Err(Problem::new(
                Code::AmbiguousId,
                format!(
                    "several holds have this key: name one of {}",
                    ids.join(", ")
                ),
            ));
        }
        seen.pop()
            .map(|(_, hold)| hold)
            .ok_or_else(|| Problem::new(Code::NotFound, "there is no such hold"))
    }

    /// The record that placed a hold.
    pub(crate) async fn placed(&self, hold: &Hold) -> Result<Arc<JournalEntry>, Problem> {
        let (source, key) = (hold.source.as_str(), hold.key.as_str());
        let all = self
            .reporters_in(&[hold.root], Namespace::Hold, None)
            .await?;
        let is_its = |(root, reporter): &(TenantId, Reporter)| {
            hold_id(*root, *reporter, source, key) == hold.id
        };
        let name = |(root, reporter)| Identity {
            root,
            reporter,
            namespace: Namespace::Hold,
            source: source.into(),
            id: key.to_owned(),
        };
        let names: Vec<Identity> = all.into_iter().filter(is_its).map(name).collect();
        let placed = self
            .journal()
            .find_each(&names)
            .await
            .map_err(journal_problem)?
            .into_iter()
            .flatten()
            .next();
        placed.ok_or_else(|| Problem::new(Code::NotFound, "the records of this hold are gone"))
    }
}
