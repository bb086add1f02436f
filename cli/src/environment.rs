//! The command line together with its environment: an empty variable counts as absent, a secret may
//! lie in a file, an error names the variable that was typed, and a variable that means nothing is
//! named.

use super::{Cli, LOG_SETTING};
use crate::settings::{self, OF_A_FILE};
use anyhow::{Context as _, bail};
use api::config::Config;
use api::reload::Reread;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use provider::secret::{BlankSecret, Secret};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use tracing_subscriber::EnvFilter;

const PREFIX: &str = "CENTWISE_";
/// Each says where the books are.
const PLACES: [&str; 3] = [DATA_DIR, "database-url", "url"];
const DATA_DIR: &str = "data-dir";
/// From here on a name is told as what was probably meant.
const ALIKE: f64 = 0.85;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// By name; what is empty is there, too.
type Variables = BTreeMap<String, OsString>;

/// Takes this process's arguments and environment. Wrong ones end it, as `--help` does.
///
/// # Errors
/// A secret's file cannot be read, or the secret is given twice.
pub fn command_line() -> anyhow::Result<Cli> {
    let variables = variables();
    let (mut command, arguments) = prepared(std::env::args_os().collect(), &variables)?;
    let parsed = command.try_get_matches_from_mut(&arguments);
    let parsed = parsed.and_then(|matches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    let cli = parsed.unwrap_or_else(|error| with_its_variable(error, &command, &arguments).exit());
    for line in unknown(variables.keys().map(String::as_str)) {
        writeln!(std::io::stderr(), "warning: {line}")?;
    }
    Ok(cli)
}

fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)))
        .filter(is_ours)
        .collect()
}

fn is_ours((name, _): &(String, OsString)) -> bool {
    name.starts_with(PREFIX)
}

fn variable_of(argument: &Arg) -> Option<&str> {
    argument.get_env().and_then(|name| name.to_str())
}

/// What is parsed, and by which rules.
fn prepared(
    arguments: Vec<OsString>,
    variables: &Variables,
) -> anyhow::Result<(Command, Vec<OsString>)> {
    let command = of_the_place_typed(Cli::command(), &arguments)?;
    // Before those that are empty are taken away: the secret of an empty variable may lie in a
    // file.
    let arguments = with_secrets_of_files(&command, arguments, variables)?;
    Ok((without_empty(command, variables), arguments))
}

/// Where the books are is said by one option; which is typed counts, and not the variable of
/// another.
fn of_the_place_typed(command: Command, arguments: &[OsString]) -> anyhow::Result<Command> {
    let Some(name) = subcommand(&command, arguments).map(|command| command.get_name().to_owned())
    else {
        return Ok(command);
    };
    let typed: Vec<&str> = PLACES
        .into_iter()
        .filter(|option| is_typed(option, arguments))
        .collect();
    match typed.as_slice() {
        [] => Ok(command),
        [typed] => {
            // Beside a database on a server the data directory keeps what else there is.
            let others: Vec<&str> = PLACES
                .into_iter()
                .filter(|option| option != typed && *option != DATA_DIR)
                .collect();
            let is_another = |argument: &Arg| {
                argument
                    .get_long()
                    .is_some_and(|option| others.contains(&option))
            };
            let of_typed = |argument: Arg| {
                if is_another(&argument) {
                    argument.env(None::<&'static str>)
                } else {
                    argument
                }
            };
            Ok(command.mut_subcommand(name, |command| command.mut_args(of_typed)))
        }
        [one, other, ..] => {
            bail!("--{one} and --{other} both say where the books are: use only one of them")
        }
    }
}

fn without_empty(command: Command, variables: &Variables) -> Command {
    let is_empty = |argument: &Arg| {
        variable_of(argument)
            .and_then(|name| variables.get(name))
            .is_some_and(|value| value.is_empty())
    };
    let command = command.mut_args(|argument| {
        if is_empty(&argument) {
            argument.env(None::<&'static str>)
        } else {
            argument
        }
    });
    command.mut_subcommands(|command| without_empty(command, variables))
}

fn subcommand<'c>(command: &'c Command, arguments: &[OsString]) -> Option<&'c Command> {
    arguments
        .get(1)
        .and_then(|name| command.find_subcommand(name))
}

/// As options of this process alone: its list of arguments, which others see, stays as it is.
fn with_secrets_of_files(
    command: &Command,
    mut arguments: Vec<OsString>,
    variables: &Variables,
) -> anyhow::Result<Vec<OsString>> {
    let Some(command) = subcommand(command, &arguments) else {
        return Ok(arguments);
    };
    let mut secrets = Vec::new();
    for argument in command
        .get_arguments()
        .filter(|argument| argument.is_hide_env_values_set())
    {
        let (Some(name), Some(option)) = (variable_of(argument), argument.get_long()) else {
            continue;
        };
        if is_typed(option, &arguments) {
            continue;
        }
        if let Some(secret) = secret_of_file(name, variables)? {
            secrets.push(OsString::from(format!("--{option}={secret}")));
        }
    }
    arguments.splice(2..2, secrets);
    Ok(arguments)
}

fn is_typed(option: &str, arguments: &[OsString]) -> bool {
    let texts = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .filter_map(|text| text.strip_prefix("--"));
    texts
        .into_iter()
        .any(|text| text.split('=').next() == Some(option))
}

fn secret_of_file(name: &str, variables: &Variables) -> anyhow::Result<Option<String>> {
    let of_file = format!("{name}{OF_A_FILE}");
    let Some(file) = variables.get(&of_file).filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    if variables.get(name).is_some_and(|value| !value.is_empty()) {
        bail!("{name} and {of_file} are both set: unset one of them");
    }
    let text = std::fs::read_to_string(file)
        // Not its name: somebody may have set the secret itself.
        .with_context(|| format!("{of_file}: cannot read the file that it names"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("{of_file}: the file is empty");
    }
    Ok(Some(secret.to_owned()))
}

/// The server's settings with the secrets that can change under way, as their files have them now.
/// A variable without a file is what it was: nobody changes the environment of a process from
/// outside.
///
/// # Errors
/// A file cannot be read, or what it has makes no sense: names the variable, never the secret.
pub fn reread(config: &Config) -> anyhow::Result<Reread> {
    reread_with(
        config,
        &variables(),
        &std::env::args_os().collect::<Vec<_>>(),
    )
}

fn reread_with(
    config: &Config,
    variables: &Variables,
    arguments: &[OsString],
) -> anyhow::Result<Reread> {
    let (mut config, mut from_files) = (config.clone(), Vec::new());
    let mut read = |name: &'static str, option: &str| {
        let secret = if is_typed(option, arguments) {
            None
        } else {
            secret_of_file(name, variables)?
        };
        from_files.extend(secret.is_some().then_some(name));
        anyhow::Ok(secret)
    };
    let payments = &mut config.payments;
    if let Some(key) = read("CENTWISE_STRIPE_SECRET_KEY", "stripe-secret-key")? {
        payments.stripe_secret_key = Some(key.parse().context("CENTWISE_STRIPE_SECRET_KEY_FILE")?);
    }
    if let Some(secrets) = read("CENTWISE_STRIPE_WEBHOOK_SECRETS", "stripe-webhook-secrets")? {
        payments.stripe_webhook_secrets =
            several(&secrets).context("CENTWISE_STRIPE_WEBHOOK_SECRETS_FILE")?;
    }
    if let Some(secrets) = read(
        "CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS",
        "stripe-connect-webhook-secrets",
    )? {
        payments.stripe_connect_webhook_secrets =
            several(&secrets).context("CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS_FILE")?;
    }
    if let Some(url) = read("CENTWISE_SMTP_URL", "smtp-url")? {
        config.mail.smtp_url = Some(url);
    }
    config.payments.check()?;
    Ok(Reread { config, from_files })
}

fn several(secrets: &str) -> Result<Vec<Secret>, BlankSecret> {
    secrets.split(',').map(str::parse).collect()
}

/// An option that nobody typed has its value from a variable: the error says from which.
fn with_its_variable(
    mut error: clap::Error,
    command: &Command,
    arguments: &[OsString],
) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let Some(command) = subcommand(command, arguments) else {
        return error;
    };
    let Some(argument) = command
        .get_arguments()
        .find(|argument| argument.to_string() == *shown)
    else {
        return error;
    };
    let Some(name) = variable_of(argument) else {
        return error;
    };
    if argument
        .get_long()
        .is_some_and(|option| is_typed(option, arguments))
    {
        return error;
    }
    let tip = StyledStr::from(format!(
        "the value comes from the environment variable {name}"
    ));
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    error
}

/// Of these names, those that nothing reads.
fn unknown<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let known: Vec<String> = settings::all()
        .into_iter()
        .flat_map(|setting| setting.names())
        .collect();
    let alike = |name: &str| {
        // What all of them begin with makes none of them alike.
        let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
        let best = known
            .iter()
            .map(|known| (strsim::jaro_winkler(&own(name), &own(known)), known))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(measure, _)| *measure > ALIKE)
            .map(|(_, known)| format!(" (did you mean {known}?)"))
    };
    let unknown = names.filter(|name| !known.iter().any(|known| known == name));
    unknown
        .map(|name| {
            format!(
                "the environment variable {name} is not known{}",
                alike(name).unwrap_or_default()
            )
        })
        .collect()
}

/// What is logged: `CENTWISE_LOG`, or this level.
///
/// # Errors
/// The variable has a word that is no level; taken for a module's name, it would switch the log
/// off.
pub fn log_filter(level: &str) -> anyhow::Result<EnvFilter> {
    let text = std::env::var(LOG_SETTING).unwrap_or_default();
    filter(if text.is_empty() { level } else { &text }, level)
}

fn filter(text: &str, level: &str) -> anyhow::Result<EnvFilter> {
    let expected = || {
        format!(
            "{LOG_SETTING}: `{text}` is not a level; expected {}, or MODULE=LEVEL, separated by \
                commas",
            LEVELS.join(", ")
        )
    };
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    if !text
        .split(',')
        .all(|word| word.contains('=') || is_level(word.trim()))
    {
        bail!(expected());
    }
    // Modules alone say nothing of the others: a typing error in one would switch the log off.
    let of_modules_alone = !text.split(',').any(|word| is_level(word.trim()));
    let text = if of_modules_alone {
        format!("{level},{text}")
    } else {
        text.to_owned()
    };
    EnvFilter::builder().parse(&text).with_context(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_mean_nothing_are_named() {
        let names = [
            "CENTWISE_LISTEN",
            "CENTWISE_KEY_FILE",
            "CENTWISE_LISTEN_FILE",
            "CENTWISE_STRIPE_SECRET",
            "CENTWISE_LOG",
            "CENTWISE_DEMO",
        ];
        insta::assert_snapshot!(unknown(names.into_iter()).join("\n"));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for well in ["info", "WARN", "error,sqlx=debug", "centwise_api=trace"] {
            assert!(filter(well, "info").is_ok(), "{well}");
        }
        // Modules beside the level that holds for the others.
        assert_eq!(
            filter("inf=debug", "info").unwrap().to_string(),
            "inf=debug,info"
        );
        assert_eq!(
            filter("sqlx=debug,warn", "info").unwrap().to_string(),
            "sqlx=debug,warn"
        );
        for bad in ["loud", "info,loud", "sqlx=loud", ""] {
            let refused = filter(bad, "info").unwrap_err();
            assert!(
                refused.to_string().starts_with("CENTWISE_LOG: "),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_secret_lies_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "cw_secret\n").unwrap();
        let set = |names: &[(&str, &std::path::Path)]| -> Variables {
            names
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_os_str().to_owned()))
                .collect()
        };
        let read = |names: &[(&str, &std::path::Path)], typed: &[&str]| {
            let arguments = ["centwise", "ingest"]
                .iter()
                .chain(typed)
                .map(OsString::from)
                .collect();
            with_secrets_of_files(&Cli::command(), arguments, &set(names))
                .map_err(|error| format!("{error:#}"))
        };
        let arguments = read(&[("CENTWISE_KEY_FILE", &file)], &["a.csv"]).unwrap();
        assert_eq!(
            arguments,
            ["centwise", "ingest", "--key=cw_secret", "a.csv"]
        );
        let typed = read(&[("CENTWISE_KEY_FILE", &file)], &["--key", "other"]).unwrap();
        assert_eq!(typed.len(), 4, "what is typed counts: {typed:?}");
        let twice = read(
            &[("CENTWISE_KEY_FILE", &file), ("CENTWISE_KEY", "x".as_ref())],
            &[],
        )
        .unwrap_err();
        assert!(
            twice.contains("CENTWISE_KEY and CENTWISE_KEY_FILE"),
            "{twice}"
        );
        let missing = read(&[("CENTWISE_KEY_FILE", &dir.path().join("none"))], &[]).unwrap_err();
        assert!(
            missing.starts_with("CENTWISE_KEY_FILE: cannot read"),
            "{missing}"
        );
    }

    fn parsed_with(
        variables: &[(&str, &std::path::Path)],
        typed: &[&str],
    ) -> Result<(Vec<String>, Vec<OsString>), String> {
        let variables: Variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_os_str().to_owned()))
            .collect();
        let arguments = ["centwise"]
            .iter()
            .chain(typed)
            .map(OsString::from)
            .collect();
        let (command, arguments) =
            prepared(arguments, &variables).map_err(|error| format!("{error:#}"))?;
        let read = command
            .find_subcommand(typed[0])
            .unwrap()
            .get_arguments()
            .filter_map(variable_of)
            .map(str::to_owned)
            .collect();
        Ok((read, arguments))
    }

    /// The file was passed over, and a new, empty platform made.
    #[test]
    fn an_empty_variable_hides_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "./books\n").unwrap();
        for (name, option, command) in [
            ("CENTWISE_DATABASE_URL", "database-url", "serve"),
            ("CENTWISE_STRIPE_SECRET_KEY", "stripe-secret-key", "serve"),
            ("CENTWISE_KEY", "key", "ingest"),
            ("CENTWISE_DATABASE_URL", "to", "migrate-store"),
        ] {
            let of_file = format!("{name}{OF_A_FILE}");
            let (read, arguments) =
                parsed_with(&[(name, "".as_ref()), (&of_file, &file)], &[command]).unwrap();
            assert_eq!(
                arguments[2..],
                [OsString::from(format!("--{option}=./books"))],
                "{name}"
            );
            assert!(!read.iter().any(|variable| variable == name), "{name}");
        }
    }

    /// A second, empty platform was served, or the wrong one restored into.
    #[test]
    fn the_place_that_is_typed_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "./books\n").unwrap();
        let variables: [(&str, &std::path::Path); 3] = [
            ("CENTWISE_DATABASE_URL_FILE", &file),
            ("CENTWISE_URL", "http://h".as_ref()),
            ("CENTWISE_DATA_DIR", "there".as_ref()),
        ];
        let mut command = Cli::command();
        command.build();
        let with_both = |command: &&Command| {
            ["data-dir", "database-url"]
                .iter()
                .all(|option| has(command, option))
        };
        let names: Vec<&str> = command
            .get_subcommands()
            .filter(with_both)
            .map(Command::get_name)
            .collect();
        assert!(names.len() >= 9, "{names:?}");
        for name in names {
            let (read, arguments) = parsed_with(&variables, &[name, "--data-dir", "here"]).unwrap();
            assert_eq!(arguments.len(), 4, "{name}: {arguments:?}");
            for variable in ["CENTWISE_DATABASE_URL", "CENTWISE_URL"] {
                assert!(
                    !read.iter().any(|known| known == variable),
                    "{name}: {variable}"
                );
            }
            let refused = parsed_with(&[], &[name, "--data-dir=here", "--database-url", "./there"])
                .unwrap_err();
            assert_eq!(
                refused,
                "--data-dir and --database-url both say where the books are: use only one of them",
                "{name}"
            );
            let (_, arguments) = parsed_with(&variables, &[name]).unwrap();
            assert_eq!(arguments[2], "--database-url=./books", "{name}");
            let (read, _) =
                parsed_with(&variables, &[name, "--database-url", "postgres://h/d"]).unwrap();
            assert!(
                read.iter().any(|known| known == "CENTWISE_DATA_DIR"),
                "{name}: what lies beside the database"
            );
        }
    }

    fn has(command: &Command, option: &str) -> bool {
        command
            .get_arguments()
            .any(|argument| argument.get_long() == Some(option))
    }

    #[test]
    fn secrets_are_read_again_from_their_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("smtp");
        std::fs::write(&file, "smtp://localhost:25\n").unwrap();
        let variables =
            Variables::from([("CENTWISE_SMTP_URL_FILE".to_owned(), file.into_os_string())]);
        let read = |typed: &[&str]| {
            let arguments: Vec<OsString> = ["centwise", "serve"]
                .iter()
                .chain(typed)
                .map(OsString::from)
                .collect();
            reread_with(&Config::default(), &variables, &arguments).unwrap()
        };
        let Reread { config, from_files } = read(&[]);
        assert_eq!(
            (config.mail.smtp_url.as_deref(), from_files),
            (Some("smtp://localhost:25"), vec!["CENTWISE_SMTP_URL"])
        );
        let Reread { config, from_files } = read(&["--smtp-url", "smtp://typed:25"]);
        assert_eq!(
            (config.mail.smtp_url, from_files),
            (None, Vec::new()),
            "what was typed counts"
        );
    }
}
