//! `centwise retention`: drops old months of a PostgreSQL database, beside running servers.

use super::Ended;
use super::database::Database;
use anyhow::{Context as _, bail};
use api::database_url::Place;
use catalog::{Actor, Catalog};
use clock::Clock;
use db::{Db, PostgresOptions};
use journal::Check;
use journal_postgres::retention::{KEEP_MONTHS_MIN, PATIENCE, Plan, Retention, RetentionError};
use serde::Serialize;
use std::io::Write;

/// Drop the records of old months (PostgreSQL) after an audit; balances stay exact
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Number of full months to keep before the current one; at least one month more than the
    /// longest late_window_days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(i64::from(KEEP_MONTHS_MIN)..=1200))]
    keep_months: u32,
    /// Only show what would be dropped
    #[arg(long)]
    dry_run: bool,
    /// Also drop events without a price in these months
    #[arg(long)]
    with_unrated: bool,
    /// Print one JSON object: {"ok","from","months","unrated","open_holds","dropped","checks"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Month<'a> {
    month: &'a str,
    records: i64,
    batches: i64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    from: String,
    months: Vec<Month<'a>>,
    unrated: i64,
    open_holds: usize,
    dropped: &'a [String],
    checks: &'a [Check],
}

/// What was planned, what went, and what was found wrong instead.
struct Done {
    plan: Plan,
    dropped: Vec<String>,
    checks: Vec<Check>,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let Place::Postgres(url) = args.database.existing()? else {
        bail!("{}", RetentionError::Embedded);
    };
    let done = super::runtime()?.block_on(work(args, &url))?;
    if args.json {
        write_json(&done, out)?
    } else {
        write_text(args, &done, out)?
    }
    Ok(if done.checks.is_empty() {
        Ended::Well
    } else {
        Ended::Findings
    })
}

async fn work(args: &Args, url: &str) -> anyhow::Result<Done> {
    let db = Db::open_postgres(url, &PostgresOptions::existing()).await?;
    let (clock, retention) = (Clock::system(), Retention::open(&db).await?);
    if args.dry_run {
        let plan = retention.plan(clock.now(), args.keep_months).await?;
        return Ok(Done {
            plan,
            dropped: Vec::new(),
            checks: Vec::new(),
        });
    }
    // What an earlier run had begun with, unless it had not come to every root.
    let mut dropped = match retention.drop_months(clock.now(), PATIENCE).await {
        Err(RetentionError::NotIncluded { .. }) => Vec::new(),
        done => done?,
    };
    let plan = retention.plan(clock.now(), args.keep_months).await?;
    if !plan.months.is_empty() {
        let platform = Catalog::new(&db)
            .platform()
            .await?
            .context("this database has no platform yet")?;
        let reason = format!("centwise retention --keep-months {}", args.keep_months);
        let actor = Actor {
            key: None,
            tenant: platform.id,
            at: clock.now(),
            request_id: clock::request_id(&clock),
            reason: Some(reason),
            once: None,
        };
        match retention.fold(&plan, args.with_unrated, &actor).await {
            Err(RetentionError::NotSound(checks)) => {
                return Ok(Done {
                    plan,
                    dropped,
                    checks,
                });
            }
            done => done?,
        }
        dropped.extend(retention.drop_months(clock.now(), PATIENCE).await?);
    }
    Ok(Done {
        plan,
        dropped,
        checks: Vec::new(),
    })
}

fn write_json(done: &Done, out: &mut impl Write) -> anyhow::Result<()> {
    let Done {
        plan,
        dropped,
        checks,
    } = done;
    let months = plan
        .months
        .iter()
        .map(|of| Month {
            month: &of.month,
            records: of.records,
            batches: of.batches,
        })
        .collect();
    let report = Report {
        ok: checks.is_empty(),
        from: plan.from.to_string(),
        months,
        unrated: plan.unrated,
        open_holds: plan.open_holds,
        dropped,
        checks,
    };
    Ok(writeln!(out, "{}", serde_json::to_string(&report)?)?)
}

fn write_text(args: &Args, done: &Done, out: &mut impl Write) -> anyhow::Result<()> {
    let Done {
        plan,
        dropped,
        checks,
    } = done;
    writeln!(
        out,
        "records that arrived from {} onwards are kept",
        plan.from
    )?;
    for month in &plan.months {
        writeln!(
            out,
            "{:<8} {:>12} records in {:>9} batches",
            month.month, month.records, month.batches
        )?;
    }
    if plan.months.is_empty() && dropped.is_empty() {
        writeln!(out, "there is nothing older")?;
    }
    if plan.unrated > 0 || plan.open_holds > 0 {
        writeln!(
            out,
            "among them {} events without a price, and {} open holds",
            plan.unrated, plan.open_holds
        )?;
    }
    for check in checks.iter().filter(|check| !check.ok) {
        writeln!(out, "{} WRONG", check.name)?;
        check
            .differences
            .iter()
            .try_for_each(|difference| writeln!(out, "  {difference}"))?;
    }
    match (args.dry_run, checks.is_empty(), dropped.is_empty()) {
        (true, ..) => writeln!(out, "nothing was dropped: this was a dry run")?,
        (_, false, _) => writeln!(out, "nothing was dropped: the books are NOT right")?,
        (_, _, false) => writeln!(out, "dropped {}", dropped.join(", "))?,
        _ => {}
    }
    Ok(())
}
