//! Openings are made: audited first, then written root by root.

use super::{Cut, Plan, Result, Retention, RetentionError, open_holds_before};
use crate::root_cache::Delta;
use crate::{Shared, audit, chain_heads, opening_balances, sql, write};
use catalog::{Actor, Change, append_within};
use db::retry::Tries;
use journal::JournalError;
use journal::verify::Opening;
use rating::{Instant, TenantId};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Bytes of a root's totals: one value of the database holds them.
const TOTALS_BYTES_MAX: usize = 512 * 1024 * 1024;

/// One root's part of the work.
struct Folding<'a> {
    cut: &'a Cut,
    totals: &'a [u8],
    /// What arrived from here on stays.
    from: Instant,
    months: Vec<&'a str>,
    with_unrated: bool,
}

impl Retention {
    /// Audits everything and writes the openings. Nothing is dropped yet.
    ///
    /// # Errors
    /// Open holds, events without a price (unless they may go), or books that are not right.
    pub async fn fold(&self, plan: &Plan, with_unrated: bool, actor: &Actor) -> Result<()> {
        if plan.open_holds > 0 {
            return Err(RetentionError::OpenHolds {
                count: plan.open_holds,
            });
        }
        if plan.unrated > 0 && !with_unrated {
            return Err(RetentionError::Unrated {
                count: plan.unrated,
            });
        }
        let cuts = plan
            .cuts
            .iter()
            .map(|cut| (cut.last.root, cut.edge()))
            .collect();
        let (checks, totals) = audit::audit(self.pool(), &cuts).await?;
        if !checks.iter().all(|check| check.ok) {
            return Err(RetentionError::NotSound(checks));
        }
        for cut in &plan.cuts {
            // Without totals: another run was here before, and the opening lies there already.
            let Some(totals) = totals.get(&cut.last.root) else {
                continue;
            };
            let months = plan
                .months
                .iter()
                .map(|month| month.month.as_str())
                .collect();
            self.fold_root(
                &Folding {
                    cut,
                    totals,
                    from: plan.from,
                    months,
                    with_unrated,
                },
                actor,
            )
            .await?;
        }
        // Whoever has lengthened a window since the plan did so before its root's opening was
        // there, or was refused.
        self.check_windows(actor.at, plan.from).await
    }

    async fn fold_root(&self, folding: &Folding<'_>, actor: &Actor) -> Result<()> {
        if folding.totals.len() > TOTALS_BYTES_MAX {
            let (root, is) = (folding.cut.last.root, folding.totals.len());
            return Err(JournalError::Unavailable(format!(
                "{root}: its totals are {is} bytes, at most {TOTALS_BYTES_MAX} have room"
            ))
            .into());
        }
        let mut tries = Tries::default();
        loop {
            match self.fold_once(folding, actor).await {
                Err(RetentionError::Journal(JournalError::Conflict(reason))) => {
                    if !tries.pause().await {
                        return Err(JournalError::Unavailable(reason).into());
                    }
                }
                done => return done,
            }
        }
    }

    async fn fold_once(&self, folding: &Folding<'_>, actor: &Actor) -> Result<()> {
        let shared = &self.journal.shared;
        let Cut { number, last } = folding.cut;
        let root = last.root;
        let mut tx = shared.pool.begin().await?;
        follow(shared, &mut tx, root, last.batch).await?;
        let earlier = opening_balances::of(&mut tx, root).await?;
        if earlier
            .as_ref()
            .is_some_and(|earlier| earlier.batch >= last.batch)
        {
            return Ok(());
        }
        let holds = open_holds_before(&mut tx, root, super::latest(folding.from)).await?;
        if holds > 0 {
            return Err(RetentionError::OpenHolds { count: holds });
        }
        let before = earlier
            .as_ref()
            .map_or(chain_heads::first_seq(*number) - 1, |earlier| {
                earlier.last.0
            });
        let opening = Opening {
            root,
            batch: last.batch,
            last: last.last,
            hash: last.hash,
            committed_at: last.committed_at,
            from: folding.from,
            since: earlier.map_or(actor.at, |earlier| earlier.since),
            totals: folding.totals.to_vec(),
            digest: [0; 32],
        }
        .with_digest();
        opening_balances::put(&mut tx, &opening).await?;
        let unrated = forget(&mut tx, &opening, chain_heads::first_seq(*number)).await?;
        if unrated > 0 && !folding.with_unrated {
            return Err(RetentionError::Unrated {
                count: i64::try_from(unrated).unwrap_or(i64::MAX),
            });
        }
        let change = entry(&opening, opening.last.0 - before, unrated, &folding.months);
        append_within(tx, actor, &change)
            .await
            .map_err(of_log)?
            .commit()
            .await?;
        Ok(())
    }
}

/// A conflict there is one here.
fn of_log(error: catalog::CatalogError) -> RetentionError {
    match error {
        catalog::CatalogError::Db(error) => error.into(),
        error => error.into(),
    }
}

/// Rows of accounts, carries and counters follow the journal from afar; what they do not include
/// yet lies in batches that go. Locks the root's head.
async fn follow(
    shared: &Shared,
    conn: &mut PgConnection,
    root: TenantId,
    batch: i64,
) -> Result<()> {
    let chain_heads = chain_heads::lock(conn, &[root]).await?;
    let Some(head) = chain_heads
        .first()
        .filter(|head| head.materialized_through < batch)
        .cloned()
    else {
        return Ok(());
    };
    let known = chain_heads::known_as_of(shared, conn, chain_heads).await?;
    let known = known
        .get(&root)
        .ok_or_else(|| JournalError::Corrupt(format!("nothing is known of {root}")))?;
    write::fold(conn, root, &known.to_fold(&Delta::default())).await?;
    sqlx::query(sql::MOVE_FOLDED)
        .bind(root.0)
        .bind(head.batch)
        .execute(conn)
        .await?;
    Ok(())
}

/// What is said of records that go: how many were without a price.
async fn forget(conn: &mut PgConnection, opening: &Opening, first: i64) -> Result<u64> {
    let (root, last) = (opening.root.0, opening.last.0);
    sqlx::query(sql::DELETE_AMENDMENTS_UNTIL)
        .bind(root)
        .bind(last)
        .bind(first - 1)
        .execute(&mut *conn)
        .await?;
    Ok(sqlx::query(sql::DELETE_UNRATED_UNTIL)
        .bind(root)
        .bind(last)
        .execute(conn)
        .await?
        .rows_affected())
}

fn entry(opening: &Opening, records: i64, unrated: u64, months: &[&str]) -> Change {
    let hex = |bytes: &[u8]| -> Value {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into()
    };
    let after = json!({
        "from": opening.from,
        "months": months,
        "records": records,
        "unrated": unrated,
        "batch": opening.batch,
        "hash": hex(&opening.hash),
        "digest": hex(&opening.digest),
    });
    let (tenant, root, id) = (opening.root, opening.root, opening.root.to_string());
    Change {
        tenant,
        root,
        resource: "journal",
        id,
        action: "drop_months",
        before: None,
        after: Some(after),
    }
}
