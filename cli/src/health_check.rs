//! `centwise health-check`: a quick look for cron. Exit code 0 healthy, 1 something wants
//! attention, 2 something is broken.

use super::finding::{Check, Status};
use super::health_mail::Told;
use super::{Ended, database::Database, health_payments, health_place};
use anyhow::{Context as _, bail};
use api::config::MailSettings;
use api::database_url::Place;
use api::payment_settings::PaymentSettings;
use catalog::credit_look::NAMED_MAX;
use clock::{Clock, STEP_SECS_MAX};
use db::{Db, PostgresOptions, SqlError, unfit};
use i18n::Locale;
use notices::mail::Mailer;
use rating::Instant;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use transfer::health::{CARRIED_CENTS_MAX, Health, look_at_file};
use web::setting_values::seconds;

/// Check the database, the balances and anomalies, for cron: exit code 0, 1 or 2
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Also print checks without findings
    #[arg(long)]
    verbose: bool,
    /// Print one JSON object: {"status","checks"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    payments: PaymentSettings,
    /// Address that receives an e-mail when the findings change, and once a day while something is
    /// wrong
    #[arg(long, env = "CENTWISE_HEALTH_EMAIL", value_name = "ADDRESS")]
    email: Option<String>,
    /// File that stores the content of the last e-mail. Default: next to the embedded database;
    /// with PostgreSQL in the data directory if there is one, otherwise in the current directory
    #[arg(long, env = "CENTWISE_HEALTH_STATE", value_name = "FILE")]
    state: Option<PathBuf>,
    /// Directory that `backup` writes to: warn if the newest backup is older than 26 hours
    #[arg(long, env = "CENTWISE_BACKUP_DIR", value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// Seconds without a response from the database that count as a failure
    #[arg(long, default_value_t = 60, value_parser = seconds(1), value_name = "SECONDS")]
    wait_secs: u64,
    /// Language of the e-mail: de, en or fr
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    email_language: Locale,
    #[command(flatten)]
    mail: MailSettings,
}

/// Whoever is told the same every five minutes reads it no more.
fn tell(
    args: &Args,
    recipient: &Recipient<'_>,
    status: Status,
    checks: &[Check],
) -> anyhow::Result<()> {
    const NOT_SENT: &str = "the e-mail about this was not sent";
    let told = Told::now(checks, Clock::system().now());
    let file = args
        .state
        .clone()
        .unwrap_or_else(|| state_file(args.database.place().ok(), args.database.data_dir()));
    if !told.is_news(Told::read(&file).as_ref()) {
        return Ok(());
    }
    write_to(recipient, args.email_language, status, checks).context(NOT_SENT)?;
    told.keep(&file).context(
        "the e-mail about this was sent, but that could not be recorded: the next run sends it \
            again (CENTWISE_HEALTH_STATE sets another file)",
    )
}

/// Beside the embedded database; where its directory is gone, in the one above, as somebody wants
/// to be told once of that, too. With a database on a server in the data directory, which a service
/// has in any case; else in the current one.
fn state_file(place: Option<Place>, data_dir: &Path) -> PathBuf {
    let file = match place {
        Some(Place::File(file)) => file,
        _ if data_dir.is_dir() => data_dir.join("centwise.db"),
        _ => PathBuf::from("./centwise.db"),
    };
    let directory = file
        .ancestors()
        .skip(1)
        .find(|directory| directory.as_os_str().is_empty() || directory.is_dir());
    directory
        .unwrap_or(Path::new("."))
        .join("health-check.json")
}

/// Whom to write to, and through which server.
struct Recipient<'a> {
    address: &'a str,
    mailer: Mailer,
}

/// `None`: nobody is written to. What is wrong is seen at once, and not when the first alarm goes
/// nowhere.
fn recipient(args: &Args) -> anyhow::Result<Option<Recipient<'_>>> {
    let Some(address) = &args.email else {
        return Ok(None);
    };
    if !notices::mail::is_mailbox(address) {
        bail!("CENTWISE_HEALTH_EMAIL (--email): expected one address, such as ops@example.com");
    }
    let none = "CENTWISE_HEALTH_EMAIL (--email) needs a mail server: set CENTWISE_SMTP_URL and \
        CENTWISE_MAIL_FROM";
    let mailer = args.mail.mailer()?.context(none)?;
    Ok(Some(Recipient { address, mailer }))
}

/// Through the server's mail server; what is well is left out.
fn write_to(
    to: &Recipient<'_>,
    language: Locale,
    status: Status,
    checks: &[Check],
) -> anyhow::Result<()> {
    let findings: Vec<String> = checks
        .iter()
        .filter(|check| check.status != Status::Ok)
        .map(Check::line)
        .collect();
    let mail = notices::mail::alert(language, status.word(), &findings.join("\n"));
    let id = format!("health-{}", Clock::system().id());
    Ok(super::runtime()?.block_on(to.mailer.send(to.address, &id, language, &mail))?)
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    status: Status,
    checks: &'a [Check],
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let recipient = recipient(args)?;
    let checks = checks(args);
    let status = checks
        .iter()
        .map(|check| check.status)
        .max()
        .unwrap_or(Status::Ok);
    if args.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string(&Verdict {
                status,
                checks: &checks
            })?
        )?;
    } else {
        for check in checks
            .iter()
            .filter(|check| args.verbose || check.status != Status::Ok)
        {
            writeln!(out, "{}", check.line())?;
        }
    }
    out.flush()?;
    if let Some(recipient) = &recipient {
        tell(args, recipient, status, &checks)?;
    }
    match status {
        Status::Ok => Ok(Ended::Well),
        Status::Warning => Ok(Ended::Findings),
        Status::Failure => bail!("the database is not healthy"),
    }
}

fn checks(args: &Args) -> Vec<Check> {
    let mut checks = of_database(args);
    if let Ok(Place::File(file)) = args.database.existing()
        && let Some(data_dir) = file.parent()
    {
        checks.push(health_place::disk(data_dir));
    }
    checks.extend(
        args.backup_dir
            .as_deref()
            .map(|dir| health_place::backup(dir, Clock::system().now())),
    );
    checks
}

fn of_database(args: &Args) -> Vec<Check> {
    match look(args).and_then(|health| Ok((health, health_payments::provider(&args.payments)?))) {
        Ok((health, provider)) => {
            let of_payments = health_payments::judged(
                &health.payments,
                provider.is_some(),
                Clock::system().now(),
            );
            let clock = clock(&health, Clock::system().now());
            judged(&health)
                .into_iter()
                .chain([clock, restored(&health)])
                .chain(provider)
                .chain(of_payments)
                .collect()
        }
        Err(error) => vec![Check {
            name: "database",
            status: Status::Failure,
            detail: format!("{error:#}"),
        }],
    }
}

fn look(args: &Args) -> anyhow::Result<Health> {
    let (place, now) = (args.database.existing()?, Clock::system().now());
    let looked = async {
        Ok(match &place {
            Place::File(file) => match unfit(file).await.map_err(SqlError::from)? {
                Some(why) => bail!(why),
                None => look_at_file(file, now).await?,
            },
            Place::Postgres(url) => {
                transfer::look_at_database(
                    &Db::open_postgres(url, &PostgresOptions::existing()).await?,
                    now,
                )
                .await?
            }
        })
    };
    let runtime = super::runtime()?;
    let looked = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(args.wait_secs), looked).await
    });
    // What hangs is not waited for.
    runtime.shutdown_background();
    looked.unwrap_or_else(|_elapsed| {
        bail!(
            "the database has not answered within {} s (--wait-secs)",
            args.wait_secs
        )
    })
}

/// Payouts and what else is held is forgotten where nobody is told of it.
fn restored(health: &Health) -> Check {
    let (status, detail) = match health.restoration {
        None => (Status::Ok, "nothing is on hold after a restore".to_owned()),
        Some(of) => {
            let (backup, restored) = (of.backup_at(), of.restored_at());
            let what = "payouts, automatic top-ups and deliveries are held until `centwise resume`";
            (
                Status::Warning,
                format!("a backup of {backup}, restored at {restored}: {what}"),
            )
        }
    };
    Check {
        name: "restored",
        status,
        detail,
    }
}

/// A server whose clock has stepped writes no money; and this machine's clock against the books.
fn clock(health: &Health, now: Instant) -> Check {
    let behind = health
        .last_record_at
        .map_or(0, |last| (last.micros() - now.micros()) / 1_000_000);
    let (status, detail) = match health.clock_step {
        Some(step) => (
            Status::Failure,
            format!(
                "a server's clock stepped from {} to {}: it writes no money until the clock is \
                    corrected or accepted (POST /v1/clock/accept)",
                step.time(),
                step.wall()
            ),
        ),
        None if behind > STEP_SECS_MAX => (
            Status::Failure,
            format!(
                "this machine's clock is {} days behind the last record: a server would write no \
                    money",
                behind / 86_400
            ),
        ),
        None => (Status::Ok, "agrees with the books".to_owned()),
    };
    Check {
        name: "clock",
        status,
        detail,
    }
}

fn judged(health: &Health) -> Vec<Check> {
    let when = |count: i64, status| if count == 0 { Status::Ok } else { status };
    let last = health
        .last_record_at
        .map_or_else(|| "none yet".to_owned(), |at| format!("the last at {at}"));
    let (check, late) = (
        |name, status, detail| Check {
            name,
            status,
            detail,
        },
        health.undelivered,
    );
    vec![
        check(
            "database",
            Status::Ok,
            format!("{} records, {last}", health.records),
        ),
        check(
            "balances",
            when(health.unbalanced, Status::Failure),
            format!(
                "{} impossible sums or holds (run `centwise verify`)",
                health.unbalanced
            ),
        ),
        check(
            "overdrawn",
            when(health.overdrawn, Status::Warning),
            overdrawn(health),
        ),
        check(
            "credit",
            when(health.over_cap.len() as i64, Status::Warning),
            over_cap(&health.over_cap),
        ),
        carries(health),
        check(
            "unrated",
            when(health.unrated, Status::Warning),
            format!(
                "{} events without a price, at least on some of their links (GET \
                    /v1/usage-events/unrated shows what each lacks; an operator's key shows all)",
                health.unrated
            ),
        ),
        check(
            "free_retail",
            Status::Ok,
            format!(
                "{} commissions leave retail prices free (see free_retail and floor_rate_card of \
                    agreements)",
                health.free_retail
            ),
        ),
        check(
            "holds",
            when(health.overdue_holds, Status::Warning),
            format!(
                "{} open, {} of them past their end (a running server expires them)",
                health.open_holds, health.overdue_holds
            ),
        ),
        check(
            "notices",
            when(late.unsent + late.overdue + late.failed, Status::Warning),
            format!(
                "{} not sent (a running server sends them), {} failed in the last day, {} \
                    endpoints disabled",
                late.unsent + late.overdue,
                late.failed,
                late.disabled
            ),
        ),
    ]
}

/// Whose balances they are, and by how much.
fn overdrawn(health: &Health) -> String {
    let count = super::counted(health.overdrawn.unsigned_abs(), "balance");
    let by = |below: &transfer::health::Overdrawn| {
        format!(
            "{} by {} cents {}",
            below.tenant, below.cents_below, below.currency
        )
    };
    let named: Vec<String> = health.most_overdrawn.iter().map(by).collect();
    let more = if health.overdrawn > named.len() as i64 {
        ", …"
    } else {
        ""
    };
    let colon = if named.is_empty() { "" } else { ": " };
    format!(
        "{count} below the limit of their agreement{colon}{}{more}",
        named.join(", ")
    )
}

/// From before there were caps, or a cap was lowered since: only the platform may let this be.
fn over_cap(names: &[String]) -> String {
    let listed = names
        .iter()
        .take(NAMED_MAX)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let (count, more) = if names.len() > NAMED_MAX {
        (NAMED_MAX, " and more")
    } else {
        (names.len(), "")
    };
    let colon = if names.is_empty() { "" } else { ": " };
    format!(
        "{count}{more} buyers with more credit than the platform lets their sellers \
            give{colon}{listed}"
    )
}

/// Many customers below a cent each are money that was never paid upwards.
fn carries(health: &Health) -> Check {
    let named: Vec<String> = health
        .carried
        .iter()
        .map(|(buyer, sum)| format!("{buyer} {}", sum.in_cents()))
        .collect();
    let (status, detail) = match named.is_empty() {
        true => (
            Status::Ok,
            format!(
                "no reseller has more than {CARRIED_CENTS_MAX} cents in its customers' carried \
                    fractions of a cent"
            ),
        ),
        false => (
            Status::Warning,
            format!(
                "cents in customers' carried fractions of a cent, by reseller: {}",
                named.join(", ")
            ),
        ),
    };
    Check {
        name: "carries",
        status,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::ClockStep;
    use notices::rows::Undelivered;

    #[test]
    fn a_clock_that_stepped_or_is_behind_the_books_is_a_failure() {
        let (now, day) = (Instant::from_secs(1_000_000_000), 86_400);
        let status = |health: Health| clock(&health, now).status;
        let last = |secs| Health {
            last_record_at: Some(now.plus_secs(secs)),
            ..Health::default()
        };
        assert_eq!(
            [
                status(Health::default()),
                status(last(-400 * day)),
                status(last(day))
            ],
            [Status::Ok; 3]
        );
        assert_eq!(status(last(day + 1)), Status::Failure);
        let step = ClockStep {
            time_us: now.micros(),
            wall_us: now.plus_secs(4 * day).micros(),
            process: 1,
        };
        let check = clock(
            &Health {
                clock_step: Some(step),
                ..Health::default()
            },
            now,
        );
        assert_eq!(check.status, Status::Failure);
        assert!(check.detail.contains("2001-09-13"), "{}", check.detail);
    }

    #[test]
    fn what_is_wrong_decides() {
        let worst = |health: Health| judged(&health).iter().map(|check| check.status).max();
        assert_eq!(worst(Health::default()), Some(Status::Ok));
        let undelivered = Undelivered {
            failed: 1,
            ..Undelivered::default()
        };
        assert_eq!(
            worst(Health {
                undelivered,
                ..Health::default()
            }),
            Some(Status::Warning)
        );
        assert_eq!(
            worst(Health {
                unrated: 1,
                open_holds: 7,
                ..Health::default()
            }),
            Some(Status::Warning)
        );
        assert_eq!(
            worst(Health {
                overdrawn: 1,
                unbalanced: 1,
                ..Health::default()
            }),
            Some(Status::Failure)
        );
    }

    #[test]
    fn overdrawn_balances_are_named() {
        let below = |tenant: &str, cents_below| transfer::health::Overdrawn {
            tenant: tenant.to_owned(),
            cents_below,
            currency: rating::Currency::EUR,
        };
        let health = Health {
            overdrawn: 3,
            most_overdrawn: vec![below("acme-42", 440), below("beta-7", 1)],
            ..Health::default()
        };
        assert_eq!(
            overdrawn(&health),
            "3 balances below the limit of their agreement: acme-42 by 440 cents EUR, beta-7 by 1 \
                cents EUR, …"
        );
        assert_eq!(
            overdrawn(&Health::default()),
            "0 balances below the limit of their agreement"
        );
    }
}
