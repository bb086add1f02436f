//! Writes notices of what the engine's lookout saw: balances that are low or used up, usage without
//! a price, holds that ended by themselves, sellers that lose money.
//!
//! Invariants: a balance is told to be low once, until it rose above its threshold again, and used
//! up likewise: the row says which it is, and whoever moves it tells. What a process saw and did
//! not write, because it died, [`NoticeRecorder::sweep`] finds: it looks at the balances themselves, at
//! the start and every minute. What is only counted is told at most once a minute (a loss: once an
//! hour) and tenant, however many processes count; what was told already is kept for the next time.

use crate::Clock;
use crate::rows::{Limited, Notice, NoticeKind, NoticeRows, Reached, Threshold};
use catalog::{Catalog, CatalogError};
use ledger::{AccountKey, Balance};
use metering::Engine;
use metering::balance_monitor::{BalanceMonitor, Counts, Purpose};
use prepare::plan;
use problem::Problem;
use rating::ids::NoticeId;
use rating::{Cents, Currency, Exact, Instant, TenantId};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use tenants::Agreement;

/// Balances read at once.
const BALANCES_MAX: usize = 1_000;
const SWEEP_EVERY_SECS: i64 = 60;
/// Limits of balances that were used up are looked up again this often.
const FORGET_EVERY_SECS: i64 = 600;
const MINUTE_SECS: i64 = 60;
const HOUR_SECS: i64 = 3600;

/// Nothing more was written for now; the next step goes on.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("{0}")]
    Engine(Problem),
}

impl From<Problem> for Interrupted {
    fn from(problem: Problem) -> Self {
        Self::Engine(problem)
    }
}

/// One per process.
#[derive(Debug)]
pub struct NoticeRecorder {
    engine: Engine,
    catalog: Catalog,
    clock: Clock,
    /// The records' generation when thresholds were read last.
    read_under: Option<u64>,
    /// Thresholds as they were then.
    thresholds: HashMap<AccountKey, Cents>,
    swept_at: Option<Instant>,
    forgot_at: Instant,
    /// Whether every balance with a limit was looked at, as is done once.
    looked_at_limits: bool,
    /// Counted and not yet told.
    counts: Counts,
}

/// Exact cents per whole cent are rounded down: a loss is never shown smaller than it is.
fn floor_cents(exact: Exact) -> i64 {
    i64::try_from(exact.0.div_euclid(Exact::PER_CENT)).unwrap_or(i64::MIN)
}

impl NoticeRecorder {
    /// From now on the engine hands over what it sees.
    pub fn new(engine: Engine, clock: Clock) -> Self {
        let (catalog, now) = (engine.directory().catalog().clone(), clock.now());
        engine
            .balance_monitor()
            .set_thresholds(Purpose::Exhausted, []);
        let counts = engine.balance_monitor().take_counts();
        let thresholds = HashMap::new();
        Self {
            engine,
            catalog,
            clock,
            read_under: None,
            thresholds,
            swept_at: None,
            forgot_at: now,
            looked_at_limits: false,
            counts,
        }
    }

    fn balance_monitor(&self) -> &BalanceMonitor {
        self.engine.balance_monitor()
    }

    /// Everything there is to do now.
    ///
    /// # Errors
    /// A database failed; what was not written is written later.
    pub async fn step(&mut self) -> Result<(), Interrupted> {
        let now = self.clock.now();
        self.keep_marks(now).await?;
        let crossed: BTreeSet<AccountKey> = [Purpose::LowBalance, Purpose::Exhausted]
            .into_iter()
            .flat_map(|purpose| self.balance_monitor().take_crossed(purpose))
            .collect();
        self.look_at(&crossed.into_iter().collect::<Vec<_>>())
            .await?;
        if self
            .swept_at
            .is_none_or(|at| now >= at.plus_secs(SWEEP_EVERY_SECS))
        {
            self.sweep().await?;
            self.swept_at = Some(now);
        }
        self.tell_counts(now).await
    }

    /// Thresholds as they are set, whoever set them; the balances of new ones are looked at.
    async fn keep_marks(&mut self, now: Instant) -> Result<(), Interrupted> {
        if now >= self.forgot_at.plus_secs(FORGET_EVERY_SECS) {
            self.balance_monitor()
                .set_thresholds(Purpose::Exhausted, []);
            self.forgot_at = now;
        }
        let generation = self.engine.directory().shared_generation().now();
        if self.read_under == Some(generation) {
            return Ok(());
        }
        let mut marks = HashMap::new();
        let mut page = NoticeRows::of(&self.catalog).thresholds(None).await?;
        while let Some(last) = page.last().copied() {
            marks.extend(
                page.iter()
                    .filter_map(|row| Some((row, row.low?)))
                    .flat_map(|(row, low)| accounts_of(row).map(|account| (account, low))),
            );
            page = NoticeRows::of(&self.catalog)
                .thresholds(Some(&last))
                .await?;
        }
        // From here on no crossing is missed: what was crossed before is seen by looking.
        self.balance_monitor().set_thresholds(
            Purpose::LowBalance,
            marks.iter().map(|(account, low)| (*account, *low)),
        );
        let is_new =
            |(account, low): &(&AccountKey, &Cents)| self.thresholds.get(*account) != Some(*low);
        let new: Vec<AccountKey> = marks
            .iter()
            .filter(is_new)
            .map(|(account, _)| *account)
            .collect();
        self.look_at(&new).await?;
        (self.thresholds, self.read_under) = (marks, Some(generation));
        Ok(())
    }

    /// Looks at every balance with a threshold, or that was told to be used up; the first time at
    /// every one with a limit.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub async fn sweep(&mut self) -> Result<(), Interrupted> {
        let mut page = NoticeRows::of(&self.catalog).thresholds(None).await?;
        while let Some(last) = page.last().copied() {
            self.look_at(&page.iter().flat_map(accounts_of).collect::<Vec<_>>())
                .await?;
            page = NoticeRows::of(&self.catalog)
                .thresholds(Some(&last))
                .await?;
        }
        if !self.looked_at_limits {
            self.look_at_limits().await?;
            self.looked_at_limits = true;
        }
        Ok(())
    }

    async fn platform(&self) -> Result<TenantId, Interrupted> {
        Ok(self
            .catalog
            .platform()
            .await?
            .ok_or(CatalogError::NotFound { what: "platform" })?
            .id)
    }

    async fn look_at_limits(&self) -> Result<(), Interrupted> {
        let (mut after, platform) = (0, self.platform().await?);
        loop {
            let page = NoticeRows::of(&self.catalog)
                .limited_balances(self.clock.now(), after)
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.after;
            for some in page.chunks(BALANCES_MAX) {
                let accounts: Vec<AccountKey> = some
                    .iter()
                    .map(|limited| account_with_limit(limited, platform))
                    .collect();
                let balances = self.engine.balances(&accounts).await?;
                let used_up = some
                    .iter()
                    .zip(&balances)
                    .filter(|(limited, (_, balance))| {
                        balance.posted.0 <= limited.limit.0.saturating_neg()
                    });
                let used_up: Vec<AccountKey> = used_up.map(|(_, (account, _))| *account).collect();
                self.look_at(&used_up).await?;
            }
        }
    }

    /// Tells, or takes back, what these balances are now: of what each tenant pays with.
    async fn look_at(&self, accounts: &[AccountKey]) -> Result<(), Interrupted> {
        for some in accounts.chunks(BALANCES_MAX) {
            let mut terms: HashMap<TenantId, Vec<Agreement>> = HashMap::new();
            for agreement in self
                .catalog
                .agreements_of(
                    &some
                        .iter()
                        .map(|account| account.tenant)
                        .collect::<Vec<_>>(),
                )
                .await?
            {
                terms.entry(agreement.buyer).or_default().push(agreement);
            }
            let (now, platform) = (self.clock.now(), self.platform().await?);
            let paying = |account: &AccountKey| {
                let in_force = in_force(
                    terms.get(&account.tenant).map_or(&[], Vec::as_slice),
                    account.currency,
                    now,
                );
                let balance = || AccountKey::balance(account.tenant, account.currency);
                in_force.map_or_else(balance, |terms| plan::paying_account(terms, platform))
            };
            let paying: BTreeSet<AccountKey> = some.iter().map(paying).collect();
            for (account, balance) in self
                .engine
                .balances(&paying.into_iter().collect::<Vec<_>>())
                .await?
            {
                self.judge(
                    account,
                    balance,
                    terms.get(&account.tenant).map_or(&[], Vec::as_slice),
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn judge(
        &self,
        account: AccountKey,
        balance: Balance,
        terms: &[Agreement],
    ) -> Result<(), Interrupted> {
        let Some(tenant) = self.catalog.tenant(account.tenant).await? else {
            return Ok(());
        };
        let (root, now, posted) = (tenant.root, self.clock.now(), balance.posted);
        let threshold = NoticeRows::of(&self.catalog)
            .threshold(root, tenant.id, account.currency)
            .await?;
        if let Some(Threshold {
            low: Some(low),
            low_at,
            ..
        }) = threshold
        {
            let data = json!({ "currency": account.currency, "balance_cents": posted, "threshold_cents": low });
            let is = if posted <= low {
                Some((NoticeKind::BalanceLow, data))
            } else {
                None
            };
            self.set(root, account, Reached::Low(low), low_at.is_some(), is)
                .await?;
        }
        let limit = limit_of(terms, account.currency, now);
        let mark = limit.map(|limit| Cents(limit.0.saturating_neg()));
        let used_up = mark.is_some_and(|mark| posted <= mark);
        let data = json!({ "currency": account.currency, "balance_cents": posted, "credit_limit_cents": limit });
        let is = used_up.then_some((NoticeKind::BalanceExhausted, data));
        let was_told = threshold.is_some_and(|threshold| threshold.exhausted_at.is_some());
        self.set(root, account, Reached::Exhausted, was_told, is)
            .await?;
        if posted <= Cents::ZERO || was_told {
            self.balance_monitor()
                .set_threshold(Purpose::Exhausted, account, mark, used_up);
        }
        Ok(())
    }

    /// Moves one of a balance's states where it is not what it should be.
    async fn set(
        &self,
        root: TenantId,
        account: AccountKey,
        reached: Reached,
        was_told: bool,
        is: Option<(NoticeKind, Value)>,
    ) -> Result<(), Interrupted> {
        match is {
            Some((kind, data)) if !was_told => {
                let now = self.clock.now();
                let id = self.clock.id();
                let cause = format!(
                    "{}:{}:{}:{id}",
                    kind.name(),
                    account.tenant,
                    account.currency
                );
                let notice = Notice {
                    id: NoticeId(id),
                    root,
                    tenant: account.tenant,
                    kind,
                    cause,
                    data,
                    created_at: now,
                };
                NoticeRows::of(&self.catalog)
                    .tell_reached(account.currency, reached, &notice)
                    .await?;
            }
            None if was_told => {
                NoticeRows::of(&self.catalog)
                    .rearm(root, account.tenant, account.currency, reached)
                    .await?;
            }
            _ => {}
        }
        Ok(())
    }

    // ---- what is counted ----

    async fn tell_counts(&mut self, now: Instant) -> Result<(), Interrupted> {
        let new = self.engine.balance_monitor().take_counts();
        self.counts.add(new);
        let (minute, hour) = (
            now.micros() / 1_000_000 / MINUTE_SECS,
            now.micros() / 1_000_000 / HOUR_SECS,
        );
        let unrated: Vec<_> = self.counts.unrated.keys().cloned().collect();
        for key in unrated {
            let (root, tenant, reason) = &key;
            let cause = format!("usage.unrated:{tenant}:{reason}:{minute}");
            let data = json!({ "reason": reason, "count": self.counts.unrated.get(&key) });
            if self
                .tell(*root, *tenant, NoticeKind::UsageUnrated, cause, data)
                .await?
            {
                self.counts.unrated.remove(&key);
            }
        }
        let expired: Vec<_> = self.counts.expired.keys().copied().collect();
        for key in expired {
            let (root, tenant) = key;
            let data = json!({ "count": self.counts.expired.get(&key) });
            if self
                .tell(
                    root,
                    tenant,
                    NoticeKind::HoldExpired,
                    format!("hold.expired:{tenant}:{minute}"),
                    data,
                )
                .await?
            {
                self.counts.expired.remove(&key);
            }
        }
        let losses: Vec<((TenantId, TenantId, Currency), Exact)> = self
            .counts
            .losses
            .iter()
            .map(|(key, sum)| (*key, *sum))
            .collect();
        for (key, sum) in losses {
            let (root, tenant, currency) = key;
            let data = json!({ "currency": currency, "cents": floor_cents(sum), "exact_cents": sum.in_cents() });
            if self
                .tell(
                    root,
                    tenant,
                    NoticeKind::MarginNegative,
                    format!("margin.negative:{tenant}:{currency}:{hour}"),
                    data,
                )
                .await?
            {
                self.counts.losses.remove(&key);
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        root: TenantId,
        tenant: TenantId,
        kind: NoticeKind,
        cause: String,
        data: Value,
    ) -> Result<bool, Interrupted> {
        let (id, created_at) = (NoticeId(self.clock.id()), self.clock.now());
        Ok(NoticeRows::of(&self.catalog)
            .append_notice(&Notice {
                id,
                root,
                tenant,
                kind,
                cause,
                data,
                created_at,
            })
            .await?)
    }
}

fn account_with_limit(limited: &Limited, platform: TenantId) -> AccountKey {
    plan::settlement(limited.collect, limited.seller, platform)
        .buyer_account(limited.tenant, limited.currency)
}

/// Either may be what the tenant pays with.
fn accounts_of(row: &Threshold) -> [AccountKey; 2] {
    [
        AccountKey::balance(row.tenant, row.currency),
        AccountKey::book(row.tenant, row.currency),
    ]
}

/// The credit limit in force. `None`: there is none, or nobody sells to this tenant in that
/// currency.
fn limit_of(terms: &[Agreement], currency: Currency, now: Instant) -> Option<Cents> {
    in_force(terms, currency, now)?.credit_limit
}

fn in_force(terms: &[Agreement], currency: Currency, now: Instant) -> Option<&Agreement> {
    terms
        .iter()
        .find(|terms| terms.currency == currency && terms.in_force(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_never_shown_smaller() {
        for (exact, cents) in [
            (-1, -1),
            (-Exact::PER_CENT, -1),
            (-Exact::PER_CENT - 1, -2),
            (0, 0),
        ] {
            assert_eq!(floor_cents(Exact(exact)), cents, "{exact}");
        }
    }
}
