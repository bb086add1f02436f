//! Every setting of the server, from the command line or the environment, with its unit and
//! default.

use crate::database_url::{self, BadDatabaseUrl, Place};
use crate::payment_settings::PaymentSettings;
use anyhow::{Context as _, bail};
use clap::builder::BoolishValueParser;
use jiff::tz::TimeZone;
use metering::requests::BODY_BYTES_MAX;
use notices::address::Reach;
use notices::mail::Mailer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use web::limits::LimitSettings;
use web::setting_values::{address, body_bytes, connections, seconds};

#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Address and port to listen on (port 0: any free port).
    #[arg(long, env = "CENTWISE_LISTEN", default_value = "127.0.0.1:8080", value_parser = address(), value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Directory of the embedded database.
    #[arg(
        long,
        env = "CENTWISE_DATA_DIR",
        default_value = "./centwise-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
    /// Database to use: `sqlite:PATH`, a directory (`./DIR` for a new one), or
    /// `postgres://USER:PASSWORD@HOST/DATABASE`. Default: the embedded database in the data
    /// directory.
    #[arg(
        long,
        env = "CENTWISE_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// PostgreSQL: restrict each transaction to one reseller's books, for a database that is
    /// distributed by root.
    #[arg(long, env = "CENTWISE_SPLIT_BY_ROOT", value_parser = BoolishValueParser::new())]
    pub split_by_root: bool,
    /// Log format: readable lines or JSON.
    #[arg(
        long,
        env = "CENTWISE_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// Largest request body, in bytes.
    #[arg(long, env = "CENTWISE_BODY_BYTES_MAX", default_value_t = BODY_BYTES_MAX, value_parser = body_bytes(), value_name = "BYTES", hide = true)]
    pub body_bytes_max: usize,
    /// Maximum number of open connections. Another 32 are served for health checks and metrics
    /// only; any more are closed.
    #[arg(long, env = "CENTWISE_CONNECTIONS_MAX", default_value_t = 4096, value_parser = connections(), value_name = "N")]
    pub connections_max: usize,
    /// Maximum duration of a request, in seconds.
    #[arg(long, env = "CENTWISE_REQUEST_SECS_MAX", default_value_t = 30, value_parser = seconds(1), value_name = "SECONDS")]
    pub request_secs_max: u64,
    /// Time for open requests to finish when the server stops, in seconds.
    #[arg(long, env = "CENTWISE_DRAIN_SECS_MAX", default_value_t = 20, value_parser = seconds(0), value_name = "SECONDS")]
    pub drain_secs_max: u64,
    /// Time for the engine to finish its accepted work after that, in seconds. When it runs out,
    /// the process ends anyway, with exit code 2.
    #[arg(long, env = "CENTWISE_ENGINE_DRAIN_SECS_MAX", default_value_t = 30, value_parser = seconds(0), value_name = "SECONDS")]
    pub engine_drain_secs_max: u64,
    /// Time that a command may wait in one of the engine's queues or lanes before the server
    /// reports that it is not ready, in seconds.
    #[arg(long, env = "CENTWISE_STALLED_SECS_MAX", default_value_t = 30, value_parser = seconds(1), value_name = "SECONDS")]
    pub stalled_secs_max: u64,
    /// Accept this machine's clock although it has stepped or is behind the books, so that money is
    /// written again.
    #[arg(long)]
    pub accept_clock: bool,
    #[command(flatten)]
    pub limits: LimitSettings,
    #[command(flatten)]
    pub payments: PaymentSettings,
    /// Also allow webhooks to private addresses and without TLS, for receivers that run next to the
    /// server.
    #[arg(long, env = "CENTWISE_WEBHOOKS_TO_PRIVATE", value_parser = BoolishValueParser::new())]
    pub webhooks_to_private: bool,
    #[command(flatten)]
    pub mail: MailSettings,
    /// Time zone of the platform (IANA name), in which the months of statements and payouts are
    /// counted.
    #[arg(
        long,
        env = "CENTWISE_TIME_ZONE",
        default_value = "UTC",
        value_name = "ZONE"
    )]
    pub time_zone: String,
    /// Whether due payouts are created, and sent if they go through the provider, every day or only
    /// on request.
    #[arg(
        long,
        env = "CENTWISE_PAYOUTS",
        default_value = "manual",
        value_name = "MODE"
    )]
    pub payouts: PayoutsMode,
    /// Directory that `centwise backup` writes to; the age of the newest backup is exported as a
    /// metric.
    #[arg(long, env = "CENTWISE_BACKUP_DIR", value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// Whether a database that is not there is made, and a platform in an empty one: by `serve`
    /// alone.
    #[arg(skip = true)]
    pub creates: bool,
}

/// Through which server e-mail goes; without one it is only logged that there was something to
/// write.
#[derive(Clone, Default, clap::Args)]
pub struct MailSettings {
    /// Mail server: `smtps://USER:PASSWORD@HOST:465`, or
    /// `smtp://USER:PASSWORD@HOST:587?tls=required`.
    #[arg(
        long,
        env = "CENTWISE_SMTP_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub smtp_url: Option<String>,
    /// Sender of e-mail: `Centwise <billing@example.com>`.
    #[arg(long, env = "CENTWISE_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
}

/// Without the password in the URL.
impl std::fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailSettings")
            .field("mail_from", &self.mail_from)
            .finish_non_exhaustive()
    }
}

impl MailSettings {
    /// `None`: no e-mail is sent.
    ///
    /// # Errors
    /// One of the two is missing, or makes no sense.
    pub fn mailer(&self) -> anyhow::Result<Option<Mailer>> {
        match (&self.smtp_url, &self.mail_from) {
            (None, None) => Ok(None),
            (Some(url), Some(from)) => {
                let mailer = Mailer::new(url, from);
                mailer
                    .map(Some)
                    .context("CENTWISE_SMTP_URL (--smtp-url) and CENTWISE_MAIL_FROM (--mail-from)")
            }
            (Some(_), None) => anyhow::bail!("e-mail needs a sender: set CENTWISE_MAIL_FROM"),
            (None, Some(_)) => anyhow::bail!("e-mail needs a server: set CENTWISE_SMTP_URL"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PayoutsMode {
    Manual,
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("./centwise-data"),
            database_url: None,
            split_by_root: false,
            log_format: LogFormat::Text,
            body_bytes_max: BODY_BYTES_MAX,
            connections_max: 4096,
            request_secs_max: 30,
            drain_secs_max: 20,
            engine_drain_secs_max: 30,
            stalled_secs_max: 30,
            accept_clock: false,
            limits: LimitSettings::default(),
            payments: PaymentSettings::default(),
            webhooks_to_private: false,
            mail: MailSettings::default(),
            time_zone: "UTC".to_owned(),
            payouts: PayoutsMode::Manual,
            backup_dir: None,
            creates: true,
        }
    }
}

impl Config {
    /// The database to open.
    ///
    /// # Errors
    /// The URL names none.
    pub fn database(&self) -> anyhow::Result<Place> {
        if database_url::is_url(&self.data_dir) {
            return Err(BadDatabaseUrl::UrlAsPath).context("CENTWISE_DATA_DIR (--data-dir)");
        }
        database_url::place(self.database_url.as_deref(), &self.data_dir)
            .context("CENTWISE_DATABASE_URL (--database-url)")
    }

    /// Whether these settings go together, before anything is opened or made.
    ///
    /// # Errors
    /// One of them makes no sense, or not beside another.
    pub fn check(&self) -> anyhow::Result<()> {
        let place = self.database()?;
        if self.split_by_root && matches!(place, Place::File(_)) {
            bail!(
                "CENTWISE_SPLIT_BY_ROOT (--split-by-root) is for PostgreSQL; the database is an \
                    embedded one"
            );
        }
        if let Some(dir) = self.backup_dir.as_deref().filter(|dir| !dir.is_dir()) {
            if database_url::is_url(dir) {
                bail!(
                    "CENTWISE_BACKUP_DIR (--backup-dir): expected a directory, and not a URL (its \
                        text is not shown)"
                );
            }
            bail!(
                "CENTWISE_BACKUP_DIR (--backup-dir): {} is not a directory",
                dir.display()
            );
        }
        self.payments.check()?;
        self.mail.mailer()?;
        TimeZone::get(&self.time_zone).map(drop).with_context(|| {
            format!(
                "CENTWISE_TIME_ZONE (--time-zone): `{}` is not a time zone; expected an IANA \
                    name such as Europe/Berlin",
                self.time_zone
            )
        })
    }

    /// Where webhooks may go.
    pub fn reach(&self) -> Reach {
        if self.webhooks_to_private {
            Reach::PrivateToo
        } else {
            Reach::PublicOnly
        }
    }

    pub fn request_time_max(&self) -> Duration {
        Duration::from_secs(self.request_secs_max.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn defaults_of_the_command_line_are_the_defaults() {
        let line = Line::parse_from(["serve"]);
        assert_eq!(
            format!("{:?}", line.config),
            format!("{:?}", Config::default())
        );
    }
}
