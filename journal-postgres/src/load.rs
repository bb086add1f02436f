//! States by key: from what is known of a root, the rest from rows in one statement per kind.

use super::root_cache::{Missing, RootSnapshot, poisoned};
use super::rows::{account, carries, counter, distinct_value, hold, int, small};
use super::{Shared, chain_heads, sql};
use db::{Result, SqlError};
use journal::{Amendment, CounterKey, DistinctValueKey, KeysOf, Kind, Seq, State, StateKeys};
use ledger::HoldState;
use rating::fast::FastMap;
use rating::{TenantId, ids::HoldId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::{BTreeSet, HashMap};

/// Keys by the root they belong to, as `load` answers them from memory or rows.
pub type Roots = FastMap<TenantId, RootSnapshot>;

/// Everything of locked roots, through their transaction.
pub async fn load_locked(
    conn: &mut PgConnection,
    keys: &StateKeys,
    roots: &mut Roots,
    tenant_roots: &TenantRoots,
) -> Result<State> {
    let mut state = State::default();
    let missing = from_memory(keys, |root| roots.get(&root), tenant_roots, &mut state);
    read_rows(conn, &missing, &mut state).await?;
    for (root, missing) in &missing {
        if let Some(known) = roots.get_mut(root) {
            known.learn(missing, &state);
        }
    }
    read_distinct_values(conn, keys, tenant_roots, &mut state).await?;
    read_holds(conn, keys, &mut state).await?;
    open_holds(keys, roots, &mut state);
    Ok(state)
}

/// Roots of tenants whose keys came without one.
#[derive(Debug, Default)]
pub struct TenantRoots(HashMap<TenantId, TenantId>);

impl TenantRoots {
    fn of(&self, root: Option<TenantId>, tenant: TenantId) -> Option<TenantId> {
        root.or_else(|| self.0.get(&tenant).copied())
    }

    /// A tenant never changes its root.
    pub async fn find(shared: &Shared, keys: &StateKeys) -> Result<Self> {
        let mut tenants = BTreeSet::new();
        let unknown = |root: &Option<TenantId>| root.is_none();
        keys.runs(KeysOf::Accounts, &keys.accounts)
            .filter(|(r, _)| unknown(r))
            .for_each(|(_, run)| tenants.extend(run.iter().map(|k| k.tenant)));
        keys.runs(KeysOf::Carries, &keys.carries)
            .filter(|(r, _)| unknown(r))
            .for_each(|(_, run)| tenants.extend(run));
        keys.runs(KeysOf::Counters, &keys.counters)
            .filter(|(r, _)| unknown(r))
            .for_each(|(_, run)| tenants.extend(run.iter().map(|k| k.buyer)));
        let mut tenant_roots = HashMap::new();
        if !tenants.is_empty() {
            {
                let known = shared.tenant_roots.lock().map_err(poisoned)?;
                tenants.retain(|tenant| {
                    known
                        .get(tenant)
                        .is_none_or(|root| tenant_roots.insert(*tenant, *root).is_some())
                });
            }
            let mut conn = shared.pool.acquire().await?;
            let ids: Vec<i64> = tenants.iter().map(|tenant| tenant.0).collect();
            for row in sqlx::query(sql::ROOTS_OF_TENANTS)
                .bind(ids)
                .fetch_all(&mut *conn)
                .await?
            {
                tenant_roots.insert(TenantId(int(&row, 0)?), TenantId(int(&row, 1)?));
            }
            shared.learn_tenant_roots(&tenant_roots)?;
        }
        Ok(Self(tenant_roots))
    }

    /// Every root that these keys belong to.
    pub fn roots(&self, keys: &StateKeys) -> BTreeSet<TenantId> {
        let marked = keys.marks.iter().map(|mark| mark.root());
        marked.chain(self.0.values().copied()).collect()
    }
}

fn from_memory<'a>(
    keys: &StateKeys,
    of: impl Fn(TenantId) -> Option<&'a RootSnapshot>,
    tenant_roots: &TenantRoots,
    state: &mut State,
) -> HashMap<TenantId, Missing> {
    let mut missing: HashMap<TenantId, Missing> = HashMap::new();
    for (root, run) in keys.runs(KeysOf::Accounts, &keys.accounts) {
        for key in run {
            if !state.accounts.contains_key(key)
                && let Some(known) = tenant_roots.of(root, key.tenant).and_then(&of)
            {
                known.account(*key, state, missing.entry(known.head.root).or_default());
            }
        }
    }
    for (root, run) in keys.runs(KeysOf::Carries, &keys.carries) {
        for key in run {
            if !state.carries.contains_key(key)
                && let Some(known) = tenant_roots.of(root, *key).and_then(&of)
            {
                known.carries(*key, state, missing.entry(known.head.root).or_default());
            }
        }
    }
    for (root, run) in keys.runs(KeysOf::Counters, &keys.counters) {
        for key in run {
            if !state.counters.contains_key(key)
                && let Some(known) = tenant_roots.of(root, key.buyer).and_then(&of)
            {
                known.counter(*key, state, missing.entry(known.head.root).or_default());
            }
        }
    }
    missing.values_mut().for_each(Missing::without_repeats);
    missing.retain(|_, missing| !missing.is_empty());
    missing
}

async fn read_rows(
    conn: &mut PgConnection,
    missing: &HashMap<TenantId, Missing>,
    state: &mut State,
) -> Result<()> {
    let (mut roots, mut tenants, mut kinds, mut currencies) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (root, key) in missing
        .iter()
        .flat_map(|(root, missing)| missing.accounts.iter().map(move |key| (root, key)))
    {
        roots.push(root.0);
        tenants.push(key.tenant.0);
        kinds.push(key.kind as i16);
        currencies.push(i32::from(key.currency.numeric()));
    }
    if !roots.is_empty() {
        let rows = sqlx::query(sql::ACCOUNTS_OF)
            .bind(roots)
            .bind(tenants)
            .bind(kinds)
            .bind(currencies);
        state
            .accounts
            .extend(values(rows.fetch_all(&mut *conn).await?, account)?);
    }
    let customers = missing
        .iter()
        .flat_map(|(root, missing)| missing.carries.iter().map(|customer| (root.0, customer.0)));
    let (roots, customers): (Vec<i64>, Vec<i64>) = customers.unzip();
    if !roots.is_empty() {
        let rows = sqlx::query(sql::CARRIES_OF)
            .bind(roots)
            .bind(customers)
            .fetch_all(&mut *conn)
            .await?;
        state.carries.extend(values(rows, carries)?);
    }
    let counters: Vec<(TenantId, CounterKey)> = missing
        .iter()
        .flat_map(|(root, missing)| missing.counters.iter().map(|key| (*root, *key)))
        .collect();
    if !counters.is_empty() {
        let [roots, buyers, rate_keys] = counter_columns(&counters);
        let rows = sqlx::query(sql::COUNTERS_OF)
            .bind(roots)
            .bind(buyers)
            .bind(rate_keys)
            .bind(months(&counters))
            .fetch_all(conn)
            .await?;
        state.counters.extend(values(rows, counter)?);
    }
    Ok(())
}

fn counter_columns(keys: &[(TenantId, CounterKey)]) -> [Vec<i64>; 3] {
    let of = |value: fn(&(TenantId, CounterKey)) -> i64| keys.iter().map(value).collect();
    [
        of(|(root, _)| root.0),
        of(|(_, key)| key.buyer.0),
        of(|(_, key)| key.id.rate_key),
    ]
}

fn months(keys: &[(TenantId, CounterKey)]) -> Vec<i32> {
    keys.iter().map(|(_, key)| key.id.month).collect()
}

fn values<T>(rows: Vec<PgRow>, value: fn(&PgRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(value).collect()
}

async fn read_distinct_values(
    conn: &mut PgConnection,
    keys: &StateKeys,
    tenant_roots: &TenantRoots,
    state: &mut State,
) -> Result<()> {
    let of = |root: Option<TenantId>, key: &DistinctValueKey| {
        Some((tenant_roots.of(root, key.counter.buyer)?, key.counter))
    };
    let (mut counters, mut names) = (Vec::new(), Vec::new());
    for (root, run) in keys.runs(KeysOf::DistinctValues, &keys.distinct_values) {
        for key in run {
            counters.extend(of(root, key));
            names.push(key.value.as_str());
        }
    }
    if !counters.is_empty() && counters.len() == names.len() {
        let [roots, buyers, rate_keys] = counter_columns(&counters);
        let query = sqlx::query(sql::DISTINCT_VALUES_OF)
            .bind(roots)
            .bind(buyers)
            .bind(rate_keys)
            .bind(months(&counters))
            .bind(names);
        state
            .distinct_values
            .extend(values(query.fetch_all(&mut *conn).await?, distinct_value)?);
    }
    let mut counters = Vec::new();
    for (root, run) in keys.runs(KeysOf::AllMembers, &keys.all_distinct_values) {
        counters.extend(
            run.iter()
                .filter_map(|key| Some((tenant_roots.of(root, key.buyer)?, *key))),
        );
    }
    if !counters.is_empty() {
        let [roots, buyers, rate_keys] = counter_columns(&counters);
        let query = sqlx::query(sql::ALL_DISTINCT_VALUES_OF)
            .bind(roots)
            .bind(buyers)
            .bind(rate_keys)
            .bind(months(&counters));
        state
            .distinct_values
            .extend(values(query.fetch_all(conn).await?, distinct_value)?);
    }
    Ok(())
}

/// Rows of holds are never behind.
async fn read_holds(conn: &mut PgConnection, keys: &StateKeys, state: &mut State) -> Result<()> {
    let (mut roots, mut ids, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for (root, run) in keys.runs(KeysOf::Holds, &keys.holds) {
        match root {
            Some(root) => run.iter().for_each(|id| {
                roots.push(root.0);
                ids.push(id.0);
            }),
            None => alone.extend(run.iter().map(|id| id.0)),
        }
    }
    if !ids.is_empty() {
        let rows = sqlx::query(sql::HOLDS_OF)
            .bind(roots)
            .bind(ids)
            .fetch_all(&mut *conn)
            .await?;
        state
            .holds
            .extend(values(rows, hold)?.into_iter().map(|hold| (hold.id, hold)));
    }
    if !alone.is_empty() {
        let rows = sqlx::query(sql::HOLDS_BY_ID)
            .bind(alone)
            .fetch_all(conn)
            .await?;
        state
            .holds
            .extend(values(rows, hold)?.into_iter().map(|hold| (hold.id, hold)));
    }
    Ok(())
}

/// Every open hold of a known root is in memory.
fn open_holds(keys: &StateKeys, roots: &Roots, state: &mut State) {
    for (root, run) in keys.runs(KeysOf::OpenHolds, &keys.open_holds) {
        let Some(known) = root.and_then(|root| roots.get(&root)) else {
            continue;
        };
        state.holds.extend(
            run.iter()
                .filter_map(|id| known.open_holds.get(id))
                .map(|hold| (hold.id, hold.clone())),
        );
    }
}

/// Open ones among holds of roots that the caller does not know.
pub async fn open_holds_alone(
    conn: &mut PgConnection,
    keys: &StateKeys,
    state: &mut State,
) -> Result<()> {
    let unknown = keys
        .runs(KeysOf::OpenHolds, &keys.open_holds)
        .filter(|(root, _)| root.is_none());
    let ids: Vec<i64> = unknown
        .flat_map(|(_, run)| run)
        .map(|id: &HoldId| id.0)
        .collect();
    if !ids.is_empty() {
        let holds = values(
            sqlx::query(sql::HOLDS_BY_ID)
                .bind(ids)
                .fetch_all(conn)
                .await?,
            hold,
        )?;
        state.holds.extend(
            holds
                .into_iter()
                .filter(|hold| hold.state == HoldState::Open)
                .map(|hold| (hold.id, hold)),
        );
    }
    Ok(())
}

/// Amendments lie under the root of what amends.
pub async fn amendments(conn: &mut PgConnection, seqs: &[Seq], state: &mut State) -> Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    for row in sqlx::query(sql::AMENDMENTS_BY_SEQ)
        .bind(seqs)
        .fetch_all(conn)
        .await?
    {
        let kind = small(&row, 1)?;
        let kind = Kind::from_code(kind)
            .ok_or_else(|| SqlError::corrupt(format!("amendments: unknown kind {kind}")))?;
        state.amendments.insert(
            Seq(int(&row, 0)?),
            Amendment {
                kind,
                by: Seq(int(&row, 2)?),
            },
        );
    }
    Ok(())
}

/// The root of one tenant; `None`: no record of it says so.
pub async fn home_of(
    shared: &Shared,
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Option<TenantId>> {
    if let Some(root) = shared.tenant_roots.lock().map_err(poisoned)?.get(&tenant) {
        return Ok(Some(*root));
    }
    let Some(row) = sqlx::query(sql::ROOTS_OF_TENANTS)
        .bind(vec![tenant.0])
        .fetch_optional(conn)
        .await?
    else {
        return Ok(None);
    };
    let root = TenantId(int(&row, 1)?);
    shared.learn_tenant_roots(&HashMap::from([(tenant, root)]))?;
    Ok(Some(root))
}

/// From memory alone, if that is as new as the heads and has everything.
async fn at_hand(
    shared: &Shared,
    keys: &StateKeys,
    tenant_roots: &TenantRoots,
    roots: &[TenantId],
) -> Result<Option<State>> {
    let others = [
        keys.distinct_values.len(),
        keys.all_distinct_values.len(),
        keys.holds.len(),
        keys.open_holds.len(),
        keys.amendments.len(),
    ];
    if others.iter().any(|count| *count > 0) {
        return Ok(None);
    }
    let chain_heads = chain_heads::read(&mut *shared.pool.acquire().await?, roots).await?;
    let root_cache = shared.root_cache.lock().map_err(poisoned)?;
    let is_new = |head: &crate::head::Head| {
        root_cache
            .get(head.root)
            .is_some_and(|known| known.head == *head)
    };
    if chain_heads.len() < roots.len() || !chain_heads.iter().all(is_new) {
        return Ok(None);
    }
    let mut state = State::default();
    let missing = from_memory(keys, |root| root_cache.get(root), tenant_roots, &mut state);
    Ok(missing.is_empty().then_some(state))
}

/// Without locks: one moment of the database.
pub async fn load(shared: &Shared, keys: &StateKeys) -> Result<State> {
    let tenant_roots = TenantRoots::find(shared, keys).await?;
    let roots: Vec<TenantId> = tenant_roots.roots(keys).into_iter().collect();
    if let Some(state) = at_hand(shared, keys, &tenant_roots, &roots).await? {
        return Ok(state);
    }
    let mut snapshot = shared.pool.begin_with(sql::SNAPSHOT).await?;
    let chain_heads = if roots.is_empty() {
        Vec::new()
    } else {
        chain_heads::read(&mut snapshot, &roots).await?
    };
    let mut known = chain_heads::known_as_of(shared, &mut snapshot, chain_heads).await?;
    let state = load_locked(&mut snapshot, keys, &mut known, &tenant_roots).await;
    shared.shelve(known)?;
    let mut state = state?;
    open_holds_alone(&mut snapshot, keys, &mut state).await?;
    amendments(&mut snapshot, &keys.amendments, &mut state).await?;
    Ok(state)
}
