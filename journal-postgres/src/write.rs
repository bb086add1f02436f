//! The rows of one batch on their way into the database, in the transaction that holds its roots.

use super::copy::Rows;
use super::ready::{Part, Ready, Written};
use super::root_cache::Delta;
use super::sql;
use db::{Result, SqlError};
use journal::codec::{hold_state_code, pack, reporter_code};
use journal::reporters::Reported;
use journal::{DistinctValue, DistinctValueKey, Seq};
use ledger::Hold;
use rating::TenantId;
use sqlx::PgConnection;
use std::collections::HashMap;

/// `settled`: those kept under these roots.
pub async fn write(
    conn: &mut PgConnection,
    ready: &Ready,
    settled: &[Seq],
    roots: &HashMap<i64, TenantId>,
) -> Result<()> {
    let written = match &ready.records {
        Written::Few(records) if records.keys.is_empty() => 0,
        Written::Few(records) => records.write(conn).await?,
        Written::Many(rows) => copy(conn, rows).await?,
    };
    expect(written, ready.placed.len() as u64, "recorded")?;
    if !ready.parts.is_empty() {
        expect(
            ready.batches.write(conn).await?,
            ready.parts.len() as u64,
            "recorded as batches",
        )?;
    }
    if !ready.touched.seqs.is_empty() {
        expect(
            ready.touched.write(conn).await?,
            ready.touched.seqs.len() as u64,
            "listed",
        )?;
    }
    reporters(conn, ready).await?;
    let (kept_roots, kept) = &ready.unrated;
    if !kept.is_empty() {
        let listed = sqlx::query(sql::PUT_UNRATED)
            .bind(kept_roots)
            .bind(kept)
            .execute(&mut *conn)
            .await?;
        expect(
            listed.rows_affected(),
            kept.len() as u64,
            "listed as unrated",
        )?;
    }
    for part in &ready.parts {
        if let Some(states) = &part.fold {
            fold(conn, part.after.root, states).await?;
        }
    }
    distinct_values(conn, &ready.distinct_values).await?;
    holds(conn, &ready.holds).await?;
    amendments(conn, ready).await?;
    settle(conn, settled, roots).await?;
    move_heads(conn, &ready.parts).await
}

async fn reporters(conn: &mut PgConnection, ready: &Ready) -> Result<()> {
    if ready.reporters.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&Reported) -> i64| ready.reporters.iter().map(value).collect::<Vec<i64>>();
    let namespaces: Vec<i16> = ready
        .reporters
        .iter()
        .map(|(_, namespace, _)| *namespace as i16)
        .collect();
    let (roots, tenants) = (
        of(|reported| reported.0.0),
        of(|reported| reporter_code(reported.2)),
    );
    let put = sqlx::query(sql::PUT_REPORTERS)
        .bind(roots)
        .bind(namespaces)
        .bind(tenants)
        .execute(conn)
        .await?;
    expect(
        put.rows_affected(),
        ready.reporters.len() as u64,
        "kept as reporters",
    )
}

async fn copy(conn: &mut PgConnection, rows: &Rows) -> Result<u64> {
    let mut copy = conn.copy_in_raw(sql::COPY_RECORDS).await?;
    copy.send(rows.bytes()).await?;
    Ok(copy.finish().await?)
}

/// Fewer rows than were meant to change: something else is going on, and nothing must stay.
pub fn expect(is: u64, wanted: u64, what: &str) -> Result<()> {
    if is == wanted {
        Ok(())
    } else {
        Err(SqlError::unavailable(format!(
            "{is} of {wanted} rows were {what}"
        )))
    }
}

async fn move_heads(conn: &mut PgConnection, parts: &[Part]) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&Part) -> i64| parts.iter().map(value).collect::<Vec<i64>>();
    let moved = sqlx::query(sql::MOVE_HEADS)
        .bind(of(|part| part.after.root.0))
        .bind(of(|part| part.after.batch))
        .bind(of(|part| part.after.last_seq))
        .bind(
            parts
                .iter()
                .map(|part| part.after.hash.to_vec())
                .collect::<Vec<_>>(),
        )
        .bind(of(|part| part.after.materialized_through))
        .bind(of(|part| part.after.reporters))
        .bind(of(|part| part.after.committed_at.micros()))
        .execute(conn)
        .await?;
    expect(moved.rows_affected(), parts.len() as u64, "moved")
}

/// Sorted by key, so that neighbours share their pages.
pub async fn fold(conn: &mut PgConnection, root: TenantId, states: &Delta) -> Result<()> {
    let Delta {
        accounts,
        carries,
        counters,
        ..
    } = states;
    if !accounts.is_empty() {
        sqlx::query(sql::PUT_ACCOUNTS)
            .bind(vec![root.0; accounts.len()])
            .bind(
                accounts
                    .iter()
                    .map(|(key, _)| key.tenant.0)
                    .collect::<Vec<_>>(),
            )
            .bind(
                accounts
                    .iter()
                    .map(|(key, _)| key.kind as i16)
                    .collect::<Vec<_>>(),
            )
            .bind(
                accounts
                    .iter()
                    .map(|(key, _)| i32::from(key.currency.numeric()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                accounts
                    .iter()
                    .map(|(_, balance)| balance.posted.0)
                    .collect::<Vec<_>>(),
            )
            .bind(
                accounts
                    .iter()
                    .map(|(_, balance)| balance.held.0)
                    .collect::<Vec<_>>(),
            )
            .execute(&mut *conn)
            .await?;
    }
    if !carries.is_empty() {
        sqlx::query(sql::PUT_CARRIES)
            .bind(vec![root.0; carries.len()])
            .bind(
                carries
                    .iter()
                    .map(|(customer, _)| customer.0)
                    .collect::<Vec<_>>(),
            )
            .bind(
                carries
                    .iter()
                    .map(|(_, links)| Ok(pack(links)?))
                    .collect::<Result<Vec<_>>>()?,
            )
            .execute(&mut *conn)
            .await?;
    }
    if !counters.is_empty() {
        sqlx::query(sql::PUT_COUNTERS)
            .bind(vec![root.0; counters.len()])
            .bind(
                counters
                    .iter()
                    .map(|(key, _)| key.buyer.0)
                    .collect::<Vec<_>>(),
            )
            .bind(
                counters
                    .iter()
                    .map(|(key, _)| key.id.rate_key)
                    .collect::<Vec<_>>(),
            )
            .bind(
                counters
                    .iter()
                    .map(|(key, _)| key.id.month)
                    .collect::<Vec<_>>(),
            )
            .bind(
                counters
                    .iter()
                    .map(|(_, tally)| tally.counter.quantity.0.to_string())
                    .collect::<Vec<_>>(),
            )
            .bind(
                counters
                    .iter()
                    .map(|(_, tally)| tally.counter.events)
                    .collect::<Vec<_>>(),
            )
            .bind(
                counters
                    .iter()
                    .map(|(_, tally)| Ok(tally.packed()?))
                    .collect::<Result<Vec<_>>>()?,
            )
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

pub async fn distinct_values(
    conn: &mut PgConnection,
    distinct_values: &[(TenantId, DistinctValueKey, DistinctValue)],
) -> Result<()> {
    if distinct_values.is_empty() {
        return Ok(());
    }
    sqlx::query(sql::PUT_DISTINCT_VALUES)
        .bind(
            distinct_values
                .iter()
                .map(|(root, ..)| root.0)
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, key, _)| key.counter.buyer.0)
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, key, _)| key.counter.id.rate_key)
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, key, _)| key.counter.id.month)
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, key, _)| key.value.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, _, distinct_value)| distinct_value.count)
                .collect::<Vec<_>>(),
        )
        .bind(
            distinct_values
                .iter()
                .map(|(_, _, distinct_value)| distinct_value.at.micros())
                .collect::<Vec<_>>(),
        )
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn holds(conn: &mut PgConnection, holds: &[Hold]) -> Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(sql::PUT_HOLDS)
        .bind(holds.iter().map(|hold| hold.id.0).collect::<Vec<_>>())
        .bind(holds.iter().map(|hold| hold.root.0).collect::<Vec<_>>())
        .bind(holds.iter().map(|hold| hold.customer.0).collect::<Vec<_>>())
        .bind(
            holds
                .iter()
                .map(|hold| hold_state_code(hold.state) as i16)
                .collect::<Vec<_>>(),
        )
        .bind(
            holds
                .iter()
                .map(|hold| hold.expires_at.micros())
                .collect::<Vec<_>>(),
        )
        .bind(holds.iter().map(pack).collect::<Result<Vec<_>, _>>()?)
        .execute(conn)
        .await?;
    Ok(())
}

async fn amendments(conn: &mut PgConnection, ready: &Ready) -> Result<()> {
    // Of one record the last counts, and one statement takes each row once.
    let last: HashMap<(i64, i64), (i16, i64)> = ready
        .amendments
        .iter()
        .map(|&(root, amended, kind, by)| ((root, amended.0), (kind as i16, by.0)))
        .collect();
    if last.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<_>, Vec<_>) = last.into_iter().unzip();
    let ((roots, seqs), (kinds, bys)): ((Vec<_>, Vec<_>), (Vec<_>, Vec<_>)) =
        (keys.into_iter().unzip(), values.into_iter().unzip());
    sqlx::query(sql::PUT_AMENDMENTS)
        .bind(roots)
        .bind(seqs)
        .bind(kinds)
        .bind(bys)
        .execute(conn)
        .await?;
    Ok(())
}

/// Kept events that need no more rating; `roots`: by number.
pub async fn settle(
    conn: &mut PgConnection,
    settled: &[Seq],
    roots: &HashMap<i64, TenantId>,
) -> Result<()> {
    let of = |seq: &Seq| {
        roots
            .get(&super::chain_heads::number_of(*seq))
            .map(|root| (root.0, seq.0))
    };
    let (roots, seqs): (Vec<i64>, Vec<i64>) = settled.iter().filter_map(of).unzip();
    if !seqs.is_empty() {
        sqlx::query(sql::DELETE_UNRATED)
            .bind(roots)
            .bind(seqs)
            .execute(conn)
            .await?;
    }
    Ok(())
}
