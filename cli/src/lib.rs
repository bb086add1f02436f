//! The command line: one command per file. Results go to stdout, logs and bars to stderr.

mod admin_key;
mod archive;
mod backup;
mod bench;
mod client;
mod database;
mod demo;
mod environment;
#[cfg(test)]
mod field_tests;
mod finding;
#[cfg(test)]
mod follow_tests;
mod health_check;
mod health_mail;
mod health_payments;
mod health_place;
mod import_rates;
mod ingest;
#[cfg(test)]
mod loading_tests;
mod migrate_store;
mod patience;
mod price;
mod progress;
mod reconcile;
mod restore;
mod resume;
mod retention;
#[cfg(test)]
mod rotation_tests;
mod serve;
mod session;
mod settings;
mod stop;
#[cfg(test)]
mod tls_tests;
mod verify;

use clap::{Parser, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::LazyLock;

const EXIT_CODES: &str = "Exit codes:
  0  success
  1  completed with findings: rows were refused (`ingest`, or `import-rates --dry-run` if they \
  would stop the import; they are listed and counted), `verify`, `restore`, `retention`, \
  `migrate-store` or `reconcile` found a difference, `health-check` a warning, `bench` a wrong sum
  2  could not run: bad arguments, an unreadable file, no database, no server; `health-check`: a \
  failure

Logs go to stderr; CENTWISE_LOG sets their level (error, warn, info, debug; default: info for \
`serve`, warn for the other commands).";

/// Level of the log; every other setting is an option's variable.
pub const LOG_SETTING: &str = "CENTWISE_LOG";

/// Rates metered usage along a chain of sellers and moves the money exactly once.
#[derive(Debug, Parser)]
#[command(name = "centwise", version = VERSION.as_str(), after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// With what caused it; nothing twice, and without what only a driver calls it.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error
        .chain()
        .map(|cause| cause.to_string().replace("error with configuration: ", ""))
    {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Of the program, and of the tables that it makes.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (schema version {})",
        env!("CARGO_PKG_VERSION"),
        db::schema_version::known()
    )
});

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Price(price::Args),
    ImportRates(Box<import_rates::Args>),
    Ingest(ingest::Args),
    Bench(bench::Args),
    Verify(verify::Args),
    Retention(retention::Args),
    HealthCheck(health_check::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Resume(resume::Args),
    MigrateStore(migrate_store::Args),
    Reconcile(reconcile::Args),
    AdminKey(admin_key::Args),
}

/// How a command ended when it did run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    /// Exit code 1: it ran, and found something wrong.
    Findings,
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let ended = environment::command_line()
        .and_then(|cli| logged(cli, &mut out))
        .and_then(|ended| Ok(out.flush().map(|()| ended)?));
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", told(&error));
            ExitCode::from(2)
        }
    }
}

fn logged(cli: Cli, out: &mut impl Write) -> anyhow::Result<Ended> {
    match &cli.command {
        Command::Serve(args) => log_to_stderr("info", args.logs_json())?,
        _ => log_to_stderr("warn", false)?,
    }
    run(cli, out)
}

fn run(cli: Cli, out: &mut impl Write) -> anyhow::Result<Ended> {
    match cli.command {
        Command::Serve(args) => serve::run(*args, out),
        Command::Price(args) => price::run(&args, out),
        Command::ImportRates(args) => import_rates::run(&args, out),
        Command::Ingest(args) => ingest::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Retention(args) => retention::run(&args, out),
        Command::HealthCheck(args) => health_check::run(&args, out),
        Command::Backup(args) => backup::run(&args, out),
        Command::Restore(args) => restore::run(&args, out),
        Command::Resume(args) => resume::run(&args, out),
        Command::MigrateStore(args) => migrate_store::run(&args, out),
        Command::Reconcile(args) => reconcile::run(&args, out),
        Command::AdminKey(args) => admin_key::run(&args, out),
    }
}

/// `1 row`, `2 rows`, `3 prefixes`.
fn counted(count: u64, what: &str) -> String {
    let end = match count {
        1 => "",
        _ if what.ends_with('x') => "es",
        _ => "s",
    };
    format!("{count} {what}{end}")
}

/// A map that cannot be read: where, and what was expected.
fn not_usable(refused: &web::problem::ApiProblem) -> anyhow::Error {
    let problem = &refused.problem;
    let field = problem
        .field
        .as_deref()
        .filter(|field| !field.is_empty() && *field != ".")
        .map(|field| format!("`{field}`: "));
    anyhow::anyhow!(
        "the map is not usable: {}{}",
        field.unwrap_or_default(),
        problem.detail
    )
}

/// Threads for a server, or for waiting on one.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// `centwise … | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn log_to_stderr(level: &str, json: bool) -> anyhow::Result<()> {
    let filter = environment::log_filter(level)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    if json {
        log.json().init()
    } else {
        log.init()
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_command_and_the_exit_codes() {
        insta::assert_snapshot!(Cli::command().render_long_help());
    }
}
