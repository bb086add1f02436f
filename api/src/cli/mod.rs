//! The command line: one command per file. Results go to stdout, logs and bars to stderr.

mod bench;
mod price;
mod progress;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0  done (rows that were refused are listed, and counted in the summary)
  1  done, and something is wrong: `verify` found a difference, `health-check` a warning, `bench` a wrong sum
  2  could not run: bad arguments, an unreadable file, no database, no server; `health-check`: a failure

Logs go to stderr; CENTWISE_LOG sets their level (error, warn, info, debug).";

/// Rates metered usage along a chain of sellers, and moves the money exactly once.
#[derive(Debug, Parser)]
#[command(name = "centwise", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Price(price::Args),
    Bench(bench::Args),
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
    let cli = Cli::parse();
    log_to_stderr();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let ended = run(cli, &mut out).and_then(|ended| Ok(out.flush().map(|()| ended)?));
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli, out: &mut impl Write) -> anyhow::Result<Ended> {
    match cli.command {
        Command::Price(args) => price::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
    }
}

/// `centwise … | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CENTWISE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
