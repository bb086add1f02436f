//! States as they are after the last record: each under the root of its tenant.

use db::{Result, SqlError};
use futures_util::TryStreamExt;
use journal::State;
use journal_postgres::Delta;
use journal_postgres::import::Import;
use journal_sqlite::export::Export;
use rating::TenantId;
use std::collections::BTreeMap;

/// States of one kind and root, or members, in one statement.
const ROWS_MAX: usize = 10_000;

pub(super) async fn copy(export: &Export, import: &Import) -> Result<()> {
    let tenant_roots = export.tenant_roots().await?;
    let home = |tenant: TenantId| {
        let home = tenant_roots.get(&tenant).copied();
        home.ok_or_else(|| {
            SqlError::corrupt(format!("{tenant} has states, and there is no such tenant"))
        })
    };
    for (root, states) in by_root(export.states().await?, &home)? {
        put(import, root, &states).await?;
    }
    let mut holds = export.holds().await?;
    loop {
        let piece = holds.next().await?;
        if piece.is_empty() {
            break;
        }
        for part in piece.chunks(ROWS_MAX) {
            import.put_holds(part).await?;
        }
    }
    let mut distinct_values = export.distinct_values();
    let mut part = Vec::new();
    while let Some((key, distinct_value)) = distinct_values.try_next().await? {
        part.push((home(key.counter.buyer)?, key, distinct_value));
        if part.len() == ROWS_MAX {
            import.put_distinct_values(&part).await?;
            part.clear();
        }
    }
    import.put_distinct_values(&part).await
}

fn by_root(
    states: State,
    home: &impl Fn(TenantId) -> Result<TenantId>,
) -> Result<BTreeMap<TenantId, Delta>> {
    let mut roots: BTreeMap<TenantId, Delta> = BTreeMap::new();
    for (key, balance) in states.accounts {
        roots
            .entry(home(key.tenant)?)
            .or_default()
            .accounts
            .push((key, balance));
    }
    for (customer, links) in states.carries {
        roots
            .entry(home(customer)?)
            .or_default()
            .carries
            .push((customer, links));
    }
    for (key, counter) in states.counters {
        roots
            .entry(home(key.buyer)?)
            .or_default()
            .counters
            .push((key, counter));
    }
    for states in roots.values_mut() {
        states.accounts.sort_unstable_by_key(|(key, _)| *key);
        states.carries.sort_unstable_by_key(|(key, _)| *key);
        states.counters.sort_unstable_by_key(|(key, _)| *key);
    }
    Ok(roots)
}

async fn put(import: &Import, root: TenantId, states: &Delta) -> Result<()> {
    for part in states.accounts.chunks(ROWS_MAX) {
        import
            .put_states(
                root,
                &Delta {
                    accounts: part.to_vec(),
                    ..Delta::default()
                },
            )
            .await?;
    }
    for part in states.carries.chunks(ROWS_MAX) {
        import
            .put_states(
                root,
                &Delta {
                    carries: part.to_vec(),
                    ..Delta::default()
                },
            )
            .await?;
    }
    for part in states.counters.chunks(ROWS_MAX) {
        import
            .put_states(
                root,
                &Delta {
                    counters: part.to_vec(),
                    ..Delta::default()
                },
            )
            .await?;
    }
    Ok(())
}
