//! `centwise verify`: audits the books, also beside a running server.

use super::Ended;
use super::database::Database;
use api::database_url::Place;
use db::{Db, PostgresOptions};
use journal::Check;
use serde::Serialize;
use std::io::Write;

/// Audit the books: balances, sums, charges, carries, holds, identities and hash chain, as well as
/// agreements, prices, keys and the audit log
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Print one JSON object: {"ok","checks"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    ok: bool,
    checks: &'a [Check],
}

async fn audit(place: &Place) -> anyhow::Result<Vec<Check>> {
    Ok(match place {
        Place::File(file) => transfer::audit::verify_file(file).await?,
        Place::Postgres(url) => {
            transfer::audit::verify_database(
                &Db::open_postgres(url, &PostgresOptions::existing()).await?,
            )
            .await?
        }
    })
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let place = args.database.existing()?;
    report(&super::runtime()?.block_on(audit(&place))?, args.json, out)
}

/// Prints what an audit found.
pub fn report(checks: &[Check], json: bool, out: &mut impl Write) -> anyhow::Result<Ended> {
    let ok = checks.iter().all(|check| check.ok);
    if json {
        writeln!(out, "{}", serde_json::to_string(&Verdict { ok, checks })?)?;
    } else {
        for check in checks {
            let verdict = if check.ok { "ok" } else { "WRONG" };
            writeln!(
                out,
                "{:<16} {verdict:<6} {:>12} examined",
                check.name, check.examined
            )?;
            check
                .differences
                .iter()
                .try_for_each(|difference| writeln!(out, "  {difference}"))?;
        }
        writeln!(
            out,
            "{}",
            if ok {
                "the books are right"
            } else {
                "the books are NOT right: keep this database as it is, and restore a backup \
                    beside it"
            }
        )?;
    }
    Ok(if ok { Ended::Well } else { Ended::Findings })
}
