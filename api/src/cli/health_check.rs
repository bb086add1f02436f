//! `centwise health-check`: a quick look for cron. Exit code 0 healthy, 1 something wants attention,
//! 2 something is broken.

use super::Ended;
use super::{database::Database, health_payments};
use crate::clock::Clock;
use crate::config::Place;
use crate::paying::PaymentSettings;
use anyhow::bail;
use serde::Serialize;
use std::io::Write;
use store::db::{Db, PostgresOptions};
use store::sqlite::health::{Health, look_at_file};

/// Look at the database, the balances and anomalies, for cron: exit code 0, 1 or 2
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Also what is well
    #[arg(long)]
    verbose: bool,
    /// One JSON object: {"status","checks"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    payments: PaymentSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Warning,
    Failure,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    pub detail: String,
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    status: Status,
    checks: &'a [Check],
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let checks = checks(args);
    let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&Verdict { status, checks: &checks })?)?;
    } else {
        for Check { name, status, detail } in checks.iter().filter(|check| args.verbose || check.status != Status::Ok) {
            let word = match status {
                Status::Ok => "ok",
                Status::Warning => "WARNING",
                Status::Failure => "FAILURE",
            };
            writeln!(out, "{word:<8} {name:<10} {detail}")?;
        }
    }
    out.flush()?;
    match status {
        Status::Ok => Ok(Ended::Well),
        Status::Warning => Ok(Ended::Findings),
        Status::Failure => bail!("the database is not healthy"),
    }
}

fn checks(args: &Args) -> Vec<Check> {
    match look(args).and_then(|health| Ok((health, health_payments::provider(&args.payments)?))) {
        Ok((health, provider)) => {
            let of_payments = health_payments::judged(&health.payments, provider.is_some(), Clock::system().now());
            judged(&health).into_iter().chain(provider).chain(of_payments).collect()
        }
        Err(error) => vec![Check { name: "database", status: Status::Failure, detail: format!("{error:#}") }],
    }
}

fn look(args: &Args) -> anyhow::Result<Health> {
    let (place, now) = (args.database.existing()?, Clock::system().now());
    super::runtime()?.block_on(async {
        Ok(match &place {
            Place::File(file) => look_at_file(file, now).await?,
            Place::Postgres(url) => {
                store::postgres::look_at_database(&Db::open_postgres(url, &PostgresOptions::default()).await?, now).await?
            }
        })
    })
}

fn judged(health: &Health) -> Vec<Check> {
    let when = |count: i64, status| if count == 0 { Status::Ok } else { status };
    let last = health.last_record_at.map_or_else(|| "none yet".to_owned(), |at| format!("the last at {at}"));
    let check = |name, status, detail| Check { name, status, detail };
    vec![
        check("database", Status::Ok, format!("{} records, {last}", health.records)),
        check(
            "balances",
            when(health.unbalanced, Status::Failure),
            format!("{} sums or holds that cannot be (run `centwise verify`)", health.unbalanced),
        ),
        check("overdrawn", when(health.overdrawn, Status::Warning), format!("{} balances below their limit", health.overdrawn)),
        check(
            "unrated",
            when(health.unrated, Status::Warning),
            format!("{} events without a price (GET /v1/usage-events/unrated says why)", health.unrated),
        ),
        check(
            "holds",
            when(health.overdue_holds, Status::Warning),
            format!("{} open, {} of them over (a running server sweeps them)", health.open_holds, health.overdue_holds),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_decides() {
        let worst = |health: Health| judged(&health).iter().map(|check| check.status).max();
        assert_eq!(worst(Health::default()), Some(Status::Ok));
        assert_eq!(worst(Health { unrated: 1, open_holds: 7, ..Health::default() }), Some(Status::Warning));
        assert_eq!(worst(Health { overdrawn: 1, unbalanced: 1, ..Health::default() }), Some(Status::Failure));
    }
}
