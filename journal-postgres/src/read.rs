//! Records by seq and by list. What lists propose is read and compared where it could be another's.

use super::chain_heads::{self, number_of};
use super::ready::unpacked_seqs;
use super::rows::{bytes, int, record};
use super::{Shared, sql};
use db::Result;
use journal::{EntryQuery, JournalEntry, Of, Seq};
use ledger::AccountKey;
use rating::TenantId;
use sqlx::PgConnection;

/// Seqs taken from a list at once.
const LIST_STEP_MAX: usize = 4096;
/// Rows of a list read at once: each may name thousands of records.
const TOUCHED_ROWS: i64 = 16;

pub async fn read(shared: &Shared, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
    let mut conn = shared.pool.acquire().await?;
    match &query.of {
        Of::All => every(&mut conn, query).await,
        Of::Seqs(seqs) => {
            let beyond = |seq: &&Seq| {
                query.after.is_none_or(|after| {
                    if query.newest_first {
                        **seq < after
                    } else {
                        **seq > after
                    }
                })
            };
            let seqs: Vec<Seq> = seqs.iter().filter(beyond).copied().collect();
            let mut records = by_seq(shared, &mut conn, seqs, query.newest_first).await?;
            records.truncate(query.limit);
            Ok(records)
        }
        Of::Unrated(root) => {
            let seqs = unrated(&mut conn, *root, query, query.limit).await?;
            by_seq(shared, &mut conn, seqs, query.newest_first).await
        }
        Of::EveryUnrated => {
            let mut seqs = Vec::new();
            for head in heads_beyond(&mut conn, query).await? {
                if seqs.len() < query.limit {
                    seqs.extend(
                        unrated(&mut conn, head.root, query, query.limit - seqs.len()).await?,
                    );
                }
            }
            by_seq(shared, &mut conn, seqs, query.newest_first).await
        }
        Of::Customer(tenant) => {
            let roots = roots_of(shared, &mut conn, *tenant).await?;
            let seqs = own(
                &mut conn,
                &roots,
                *tenant,
                query.after.map(|seq| seq.0),
                query.newest_first,
                query.limit,
            )
            .await?;
            by_seq(
                shared,
                &mut conn,
                seqs.into_iter().map(Seq).collect(),
                query.newest_first,
            )
            .await
        }
        Of::Account(account) => listed(shared, &mut conn, *account, query).await,
    }
}

fn start(query: &EntryQuery) -> i64 {
    query
        .after
        .map_or(if query.newest_first { i64::MAX } else { 0 }, |after| {
            after.0
        })
}

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Roots with records behind the query's start, in the order of their numbers.
async fn heads_beyond(
    conn: &mut PgConnection,
    query: &EntryQuery,
) -> Result<Vec<crate::head::Head>> {
    let mut chain_heads = chain_heads::every(conn).await?;
    let number = number_of(Seq(start(query)));
    if query.newest_first {
        chain_heads.retain(|head| head.number <= number);
        chain_heads.reverse();
    } else {
        chain_heads.retain(|head| head.number >= number);
    }
    Ok(chain_heads)
}

async fn unrated(
    conn: &mut PgConnection,
    root: TenantId,
    query: &EntryQuery,
    count: usize,
) -> Result<Vec<Seq>> {
    let text = if query.newest_first {
        sql::UNRATED_DOWN
    } else {
        sql::UNRATED_UP
    };
    let seqs = sqlx::query_scalar(text)
        .bind(root.0)
        .bind(start(query))
        .bind(limit(count))
        .fetch_all(conn)
        .await?;
    Ok(seqs.into_iter().map(Seq).collect())
}

/// Root by root, in the order of their numbers.
async fn every(conn: &mut PgConnection, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
    let (start, mut records) = (start(query), Vec::new());
    let chain_heads = heads_beyond(conn, query).await?;
    let text = if query.newest_first {
        sql::RECORDS_DOWN
    } else {
        sql::RECORDS_UP
    };
    for head in chain_heads {
        if records.len() >= query.limit {
            break;
        }
        let rows = sqlx::query(text)
            .bind(head.root.0)
            .bind(start)
            .bind(limit(query.limit - records.len()));
        for row in rows.fetch_all(&mut *conn).await? {
            records.push(record(&row)?);
        }
    }
    Ok(records)
}

async fn by_seq(
    shared: &Shared,
    conn: &mut PgConnection,
    mut seqs: Vec<Seq>,
    newest_first: bool,
) -> Result<Vec<JournalEntry>> {
    seqs.sort_unstable();
    seqs.dedup();
    let roots = chain_heads::roots_of(shared, seqs.iter().copied()).await?;
    let of = |seq: &Seq| Some((roots.get(&number_of(*seq))?.0, seq.0));
    let (roots, seqs): (Vec<i64>, Vec<i64>) = seqs.iter().filter_map(of).unzip();
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql::RECORDS_BY_SEQ)
        .bind(roots)
        .bind(seqs)
        .fetch_all(conn)
        .await?;
    let mut records: Vec<JournalEntry> = rows.iter().map(record).collect::<Result<_>>()?;
    if newest_first {
        records.reverse();
    }
    Ok(records)
}

/// The tenant's root, or every root if nobody knows.
async fn roots_of(shared: &Shared, conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<i64>> {
    if let Some(root) = super::load::home_of(shared, conn, tenant).await? {
        return Ok(vec![root.0]);
    }
    Ok(chain_heads::every(conn)
        .await?
        .into_iter()
        .map(|head| head.root.0)
        .collect())
}

/// The next seqs of a leaf customer's own records.
async fn own(
    conn: &mut PgConnection,
    roots: &[i64],
    tenant: TenantId,
    after: Option<i64>,
    newest_first: bool,
    count: usize,
) -> Result<Vec<i64>> {
    let text = if newest_first {
        sql::CUSTOMER_DOWN
    } else {
        sql::CUSTOMER_UP
    };
    let after = after.unwrap_or(if newest_first { i64::MAX } else { 0 });
    Ok(sqlx::query_scalar(text)
        .bind(roots)
        .bind(tenant.0)
        .bind(after)
        .bind(limit(count))
        .fetch_all(conn)
        .await?)
}

/// The next seqs of the records that touched an account and were not its owner's own.
async fn touched(
    conn: &mut PgConnection,
    roots: &[i64],
    account: AccountKey,
    after: Option<i64>,
    newest_first: bool,
    count: usize,
) -> Result<Vec<i64>> {
    let text = if newest_first {
        sql::TOUCHED_DOWN
    } else {
        sql::TOUCHED_UP
    };
    let mut after = after.unwrap_or(if newest_first { i64::MAX } else { 0 });
    let mut seqs: Vec<i64> = Vec::new();
    while seqs.len() < count {
        let rows = sqlx::query(text)
            .bind(roots)
            .bind(account.tenant.0)
            .bind(account.kind as i16)
            .bind(i32::from(account.currency.numeric()))
            .bind(after)
            .bind(TOUCHED_ROWS)
            .fetch_all(&mut *conn)
            .await?;
        for row in &rows {
            let part = unpacked_seqs(int(row, 0)?, bytes(row, 1)?);
            seqs.extend(part.into_iter().filter(|seq| {
                if newest_first {
                    *seq < after
                } else {
                    *seq > after
                }
            }));
        }
        let farthest = if newest_first {
            seqs.iter().min()
        } else {
            seqs.iter().max()
        };
        match farthest {
            Some(seq) if rows.len() as i64 == TOUCHED_ROWS => after = *seq,
            _ => break,
        }
    }
    Ok(seqs)
}

/// Pages through the union of an account's lists; the records decide what belongs to it.
async fn listed(
    shared: &Shared,
    conn: &mut PgConnection,
    account: AccountKey,
    query: &EntryQuery,
) -> Result<Vec<JournalEntry>> {
    let roots = roots_of(shared, conn, account.tenant).await?;
    let mut page: Vec<JournalEntry> = Vec::new();
    let mut after = query.after.map(|after| after.0);
    while page.len() < query.limit {
        let step = (query.limit - page.len()).min(LIST_STEP_MAX);
        let mut seqs = touched(conn, &roots, account, after, query.newest_first, step).await?;
        if account.kind.is_of_buyer() {
            seqs.extend(
                own(
                    conn,
                    &roots,
                    account.tenant,
                    after,
                    query.newest_first,
                    step,
                )
                .await?,
            );
        }
        seqs.sort_unstable();
        seqs.dedup();
        if query.newest_first {
            seqs.reverse();
        }
        seqs.truncate(step);
        let Some(&last) = seqs.last() else { break };
        let ended = seqs.len() < step;
        after = Some(last);
        let records = by_seq(
            shared,
            conn,
            seqs.into_iter().map(Seq).collect(),
            query.newest_first,
        )
        .await?;
        page.extend(
            records
                .into_iter()
                .filter(|record| record.accounts().contains(&account)),
        );
        if ended {
            break;
        }
    }
    Ok(page)
}
