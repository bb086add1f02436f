//! States by key: hot ones from memory, the rest in one statement per kind.

use super::rows::{account, carries, counter, distinct_value, hold, int};
use super::states::{bind_account, bind_counter};
use super::{Shared, sql};
use db::{Result, SqlError};
use journal::{Amendment, CounterKey, Kind, Seq, State, StateKeys};
use ledger::{AccountKey, Hold};
use rating::{Instant, TenantId, ids::HoldId};
use sqlx::SqliteConnection;

/// Keys that memory does not answer.
struct Missing {
    accounts: Vec<AccountKey>,
    carries: Vec<TenantId>,
    counters: Vec<CounterKey>,
    holds: Vec<HoldId>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.carries.is_empty()
            && self.counters.is_empty()
            && self.holds.is_empty()
    }
}

pub async fn load(shared: &Shared, keys: &StateKeys) -> Result<State> {
    let mut state = State::default();
    let (missing, commits) = {
        let mut guard = shared.hot()?;
        let hot = &mut *guard;
        let missing = Missing {
            accounts: hot.accounts.lookup(
                &keys.accounts,
                &hot.pending.accounts,
                &mut state.accounts,
            ),
            carries: hot
                .carries
                .lookup(&keys.carries, &hot.pending.carries, &mut state.carries),
            counters: hot.counters.lookup(
                &keys.counters,
                &hot.pending.counters,
                &mut state.counters,
            ),
            holds: hot
                .holds
                .lookup(&keys.holds, &hot.pending.holds, &mut state.holds),
        };
        let open = keys
            .open_holds
            .iter()
            .filter_map(|id| hot.open_holds.get(id).map(|hold| (*id, hold.clone())));
        state.holds.extend(open);
        (missing, hot.commits)
    };
    let cold = !(keys.distinct_values.is_empty()
        && keys.all_distinct_values.is_empty()
        && keys.amendments.is_empty());
    if missing.is_empty() && !cold {
        return Ok(state);
    }
    let mut conn = shared.db.readers.acquire().await?;
    read_hot_kinds(&mut conn, &missing, &mut state).await?;
    read_cold_kinds(&mut conn, keys, &mut state).await?;
    let mut hot = shared.hot()?;
    // What was read before a commit may be older than what the commit left in memory.
    if hot.commits == commits {
        hot.accounts.learn(&missing.accounts, &state.accounts);
        hot.carries.learn(&missing.carries, &state.carries);
        hot.counters.learn(&missing.counters, &state.counters);
        hot.holds.learn(&missing.holds, &state.holds);
    }
    Ok(state)
}

async fn read_hot_kinds(
    conn: &mut SqliteConnection,
    missing: &Missing,
    state: &mut State,
) -> Result<()> {
    sql::select(
        conn,
        &sql::SELECT_ACCOUNTS,
        missing.accounts.clone(),
        bind_account,
        |row| {
            let (key, balance) = account(row)?;
            state.accounts.insert(key, balance);
            Ok::<_, SqlError>(())
        },
    )
    .await?;
    let bind_customer = |values: &mut sql::Values, customer: TenantId| {
        values.int(customer.0);
    };
    sql::select(
        conn,
        &sql::SELECT_CARRIES,
        missing.carries.clone(),
        bind_customer,
        |row| {
            let (customer, links) = carries(row)?;
            state.carries.insert(customer, links);
            Ok::<_, SqlError>(())
        },
    )
    .await?;
    sql::select(
        conn,
        &sql::SELECT_COUNTERS,
        missing.counters.clone(),
        bind_counter,
        |row| {
            let (key, counter) = counter(row)?;
            state.counters.insert(key, counter);
            Ok::<_, SqlError>(())
        },
    )
    .await?;
    let bind_hold = |values: &mut sql::Values, id: HoldId| {
        values.int(id.0);
    };
    sql::select(
        conn,
        &sql::SELECT_HOLDS,
        missing.holds.clone(),
        bind_hold,
        |row| {
            let hold = hold(row)?;
            state.holds.insert(hold.id, hold);
            Ok::<_, SqlError>(())
        },
    )
    .await
}

async fn read_cold_kinds(
    conn: &mut SqliteConnection,
    keys: &StateKeys,
    state: &mut State,
) -> Result<()> {
    let distinct_values = &mut state.distinct_values;
    let mut take = |row: &sqlx::sqlite::SqliteRow| {
        let (key, distinct_value) = distinct_value(row)?;
        distinct_values.insert(key, distinct_value);
        Ok::<_, SqlError>(())
    };
    sql::select(
        conn,
        &sql::SELECT_DISTINCT_VALUES,
        keys.distinct_values.clone(),
        |values, key| {
            bind_counter(values, key.counter);
            values.text(key.value);
        },
        &mut take,
    )
    .await?;
    sql::select(
        conn,
        &sql::SELECT_ALL_DISTINCT_VALUES,
        keys.all_distinct_values.clone(),
        bind_counter,
        &mut take,
    )
    .await?;
    let bind_seq = |values: &mut sql::Values, seq: Seq| {
        values.int(seq.0);
    };
    sql::select(
        conn,
        &sql::SELECT_AMENDMENTS,
        keys.amendments.clone(),
        bind_seq,
        |row| {
            let kind = int(row, 1)?;
            let kind = Kind::from_code(kind)
                .ok_or_else(|| SqlError::corrupt(format!("amendments: unknown kind {kind}")))?;
            state.amendments.insert(
                Seq(int(row, 0)?),
                Amendment {
                    kind,
                    by: Seq(int(row, 2)?),
                },
            );
            Ok(())
        },
    )
    .await
}

pub fn expired_holds(shared: &Shared, now: Instant, limit: usize) -> Result<Vec<Hold>> {
    Ok(shared
        .hot()?
        .open_holds
        .over(now)
        .take(limit)
        .cloned()
        .collect())
}
