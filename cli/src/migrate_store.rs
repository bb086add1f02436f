//! `centwise migrate-store`: moves an installation from the embedded database into an empty one on
//! PostgreSQL.
//!
//! Copy, compare, audit both; a mark keeps servers out of the new database until all of it is
//! right, and from then on out of the old one.

use super::progress::Progress;
use super::{Ended, database, runtime};
use anyhow::{Context, bail};
use api::database_url::{self, Place};
use db::{Db, PostgresOptions};
use journal::Check;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use transfer::moving::{Compared, Move, MoveError};

/// Move an installation from the embedded database into an empty PostgreSQL database
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Embedded database, whose server must be stopped: sqlite:PATH of its directory or file
    #[arg(long, value_name = "SQLITE")]
    from: String,
    /// Empty target database: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        env = "CENTWISE_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        required_unless_present = "take_back"
    )]
    to: Option<String>,
    /// Move nothing; revoke a completed move so that the embedded database can be served again.
    /// Only if the PostgreSQL database has never been served
    #[arg(long, conflicts_with = "json")]
    take_back: bool,
    /// Print one JSON object: {"ok","seconds","compared","source","target"}
    #[arg(long)]
    json: bool,
}

/// What came of it. A move that found the source wrong has compared nothing.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    seconds: f64,
    compared: Vec<Compared>,
    source: Vec<Check>,
    target: Vec<Check>,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    if args.take_back {
        return take_back(&args.from, out);
    }
    let (from, to) = places(args)?;
    let report = runtime()?.block_on(moved(&from, &to))?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.ok {
        Ended::Well
    } else {
        Ended::Findings
    })
}

fn take_back(from: &str, out: &mut impl Write) -> anyhow::Result<Ended> {
    let Place::File(file) = place(from)? else {
        bail!("expected --from sqlite:PATH, the embedded database that was moved")
    };
    there(&file)?;
    if !runtime()?
        .block_on(db::take_back(&file))
        .map_err(|error| database::explained(error.into()))?
    {
        bail!(
            "{} was not moved: there is nothing to take back",
            file.display()
        );
    }
    writeln!(
        out,
        "{} may be served again. Remove the database that it was moved to: both contain the same \
            books",
        file.display()
    )?;
    Ok(Ended::Well)
}

fn place(url: &str) -> anyhow::Result<Place> {
    Ok(database_url::place(Some(url), Path::new("."))?)
}

fn there(file: &Path) -> anyhow::Result<()> {
    if !file.exists() {
        bail!("there is no database {}", file.display());
    }
    Ok(())
}

fn places(args: &Args) -> anyhow::Result<(PathBuf, String)> {
    match (
        place(&args.from)?,
        place(args.to.as_deref().unwrap_or_default())?,
    ) {
        (Place::File(file), Place::Postgres(url)) => there(&file).map(|()| (file, url)),
        _ => bail!(
            "expected --from sqlite:PATH and --to postgres://…: an embedded database is moved to \
                PostgreSQL, and not back"
        ),
    }
}

async fn moved(from: &Path, to: &str) -> anyhow::Result<Report> {
    let started = Instant::now();
    let target = Db::open_postgres(to, &PostgresOptions::default()).await?;
    let prepared = Move::prepare(from, &target).await.map_err(explained)?;
    let source = Progress::waiting("auditing the source")
        .over(prepared.audit())
        .await
        .context("cannot audit the source")?;
    if !right(&source) {
        return Ok(Report {
            source,
            ..Report::default()
        });
    }
    let copied = {
        let bar = Progress::new("copying", prepared.rows().await?);
        prepared
            .copy(&mut |rows| bar.add(rows))
            .await
            .context("the move was interrupted: recreate the target before the next attempt")?
    };
    let compared = Progress::waiting("comparing")
        .over(copied.compare())
        .await
        .context("cannot compare the source and the target")?;
    let target = Progress::waiting("auditing the target")
        .over(copied.audit())
        .await
        .context("cannot audit the target")?;
    let ok = right(&target) && compared.iter().all(|one| one.source == one.target);
    if ok {
        copied.release().await.context(
            "it is not known whether servers may open the new database: start one on it",
        )?;
    }
    Ok(Report {
        ok,
        seconds: started.elapsed().as_secs_f64(),
        compared,
        source,
        target,
    })
}

fn right(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.ok)
}

/// With what to do where another process has the source.
fn explained(error: MoveError) -> anyhow::Error {
    let in_use = matches!(&error, MoveError::Source { error, .. } if error.to_string().contains("in use by another process"));
    let error = anyhow::Error::from(error);
    if in_use {
        error.context(
            "a server is running on the source: stop it, so that no more data arrives there",
        )
    } else {
        error
    }
}

fn print(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    if report.compared.is_empty() {
        differences(&report.source, out)?;
        writeln!(
            out,
            "the books of the source are NOT right: nothing was copied"
        )?;
        return Ok(());
    }
    let width = report
        .compared
        .iter()
        .map(|one| one.what.len())
        .max()
        .unwrap_or_default();
    writeln!(out, "{:<width$} {:>20} {:>20}", "", "source", "target")?;
    for Compared {
        what,
        source,
        target,
    } in &report.compared
    {
        writeln!(
            out,
            "{what:<width$} {source:>20} {target:>20}{}",
            if source == target { "" } else { "  DIFFERS" }
        )?;
    }
    let verdict = |check: Option<&Check>| {
        if check.is_some_and(|check| check.ok) {
            "ok"
        } else {
            "WRONG"
        }
    };
    for check in &report.target {
        let before = report
            .source
            .iter()
            .find(|before| before.name == check.name);
        writeln!(
            out,
            "{:<width$} {:>20} {:>20}",
            format!("audit of {}", check.name),
            verdict(before),
            verdict(Some(check))
        )?;
    }
    differences(&report.target, out)?;
    if report.ok {
        writeln!(
            out,
            "moved in {:.1} s; both sides are the same. Serve the new database with \
                --database-url; the old one can no longer be served",
            report.seconds
        )?;
    } else {
        writeln!(
            out,
            "both sides are NOT the same: the target stays closed to servers; the source is \
                unchanged"
        )?;
    }
    Ok(())
}

fn differences(checks: &[Check], out: &mut impl Write) -> anyhow::Result<()> {
    let all = checks.iter().flat_map(|check| {
        check
            .differences
            .iter()
            .map(move |difference| (&check.name, difference))
    });
    for (name, difference) in all {
        writeln!(out, "  {name}: {difference}")?;
    }
    Ok(())
}
