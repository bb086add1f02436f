//! Every setting that the program reads from its environment, taken from the command line's own
//! definition.

use crate::{Cli, LOG_SETTING};
use clap::CommandFactory;
use std::collections::BTreeMap;

/// Behind the name of a secret's variable: the file that it lies in.
pub const OF_A_FILE: &str = "_FILE";

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    /// `None`: not set unless somebody sets it.
    pub default: Option<String>,
    /// It is not to be shown.
    pub secret: bool,
    /// `serve` reads it, and not only the commands beside it.
    pub of_server: bool,
}

impl Setting {
    /// Every variable that it is read from.
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        let of_a_file = self.secret.then(|| format!("{}{OF_A_FILE}", self.name));
        std::iter::once(self.name.clone()).chain(of_a_file)
    }
}

/// By name.
pub fn all() -> Vec<Setting> {
    let mut command = Cli::command();
    command.build();
    let log = Setting {
        name: LOG_SETTING.to_owned(),
        default: None,
        secret: false,
        of_server: true,
    };
    let mut settings = BTreeMap::from([(log.name.clone(), log)]);
    for command in command.get_subcommands() {
        let of_server = command.get_name() == "serve";
        for argument in command.get_arguments() {
            let Some(name) = argument
                .get_env()
                .map(|name| name.to_string_lossy().into_owned())
            else {
                continue;
            };
            let default = argument
                .get_default_values()
                .first()
                .map(|value| value.to_string_lossy().into_owned());
            let secret = argument.is_hide_env_values_set();
            let setting = settings.entry(name.clone()).or_insert(Setting {
                name,
                default,
                secret,
                of_server,
            });
            setting.of_server |= of_server;
        }
    }
    settings.into_values().collect()
}

/// The server's settings as this process's environment has them, and the names of the secret ones
/// that are set.
pub fn of_server() -> (BTreeMap<String, String>, Vec<String>) {
    let (mut settings, mut left_out) = (BTreeMap::new(), Vec::new());
    for setting in all().into_iter().filter(|setting| setting.of_server) {
        let value = |name: &String| std::env::var(name).ok().filter(|value| !value.is_empty());
        let set = value(&setting.name);
        if setting.secret {
            left_out.extend(
                setting
                    .names()
                    .find(|name| value(name).is_some())
                    .map(|_| setting.name),
            );
        } else if let Some(value) = set.or(setting.default) {
            settings.insert(setting.name, value);
        }
    }
    (settings, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_known_and_never_kept() {
        let secret: Vec<_> = all()
            .into_iter()
            .filter(|setting| setting.secret)
            .map(|setting| setting.name)
            .collect();
        assert_eq!(
            secret,
            [
                "CENTWISE_DATABASE_URL",
                "CENTWISE_KEY",
                "CENTWISE_SMTP_URL",
                "CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS",
                "CENTWISE_STRIPE_SECRET_KEY",
                "CENTWISE_STRIPE_WEBHOOK_SECRETS"
            ]
        );
        let (settings, _) = of_server();
        assert!(
            settings.contains_key("CENTWISE_LISTEN")
                && settings.contains_key("CENTWISE_SPLIT_BY_ROOT"),
            "{settings:?}"
        );
        assert!(
            !settings.contains_key("CENTWISE_DATABASE_URL")
                && !settings.contains_key("CENTWISE_URL"),
            "{settings:?}"
        );
    }

    const EXAMPLE: &str = include_str!("../../.env.example");
    const DEPLOYED: [&str; 9] = [
        include_str!("../../deploy/Dockerfile"),
        include_str!("../../deploy/compose.yaml"),
        include_str!("../../deploy/nightly.sh"),
        include_str!("../../deploy/systemd/centwise.service"),
        include_str!("../../deploy/systemd/centwise-backup.service"),
        include_str!("../../deploy/systemd/centwise-health-check.service"),
        include_str!("../../deploy/systemd/centwise-restore-check.service"),
        include_str!("../../deploy/systemd/centwise-retention.service"),
        include_str!("../../deploy/systemd/centwise-verify.service"),
    ];

    #[test]
    fn the_example_names_every_setting_with_its_default() {
        let lines = EXAMPLE.lines().filter_map(|line| {
            line.strip_prefix('#')
                .filter(|line| line.starts_with("CENTWISE_"))
        });
        let named = lines
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name, value.trim_matches('\'')));
        let named: BTreeMap<&str, &str> = named.collect();
        let all = all();
        let (known, named_only): (Vec<_>, Vec<_>) = (
            all.iter().map(|setting| setting.name.as_str()).collect(),
            named.keys().copied().collect(),
        );
        assert_eq!(named_only, known);
        for Setting { name, default, .. } in all.iter().filter(|setting| setting.default.is_some())
        {
            assert_eq!(Some(named[name.as_str()]), default.as_deref(), "{name}");
        }
        assert!(
            EXAMPLE
                .lines()
                .all(|line| line.is_empty() || line.starts_with('#')),
            "as it is, it changes nothing"
        );
    }

    #[test]
    fn what_is_deployed_sets_what_there_is() {
        let known: Vec<String> = all()
            .into_iter()
            .flat_map(|setting| setting.names())
            .collect();
        for file in DEPLOYED {
            let words = file.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
            for word in words.filter(|word| word.starts_with("CENTWISE_")) {
                assert!(known.iter().any(|name| name == word), "{word}");
            }
        }
    }

    /// Otherwise the image cannot be built.
    #[test]
    fn the_image_is_built_from_every_crate() {
        let workspace = include_str!("../../Cargo.toml");
        let members = workspace
            .lines()
            .find_map(|line| line.strip_prefix("members = "))
            .unwrap();
        let context = include_str!("../../deploy/Dockerfile.dockerignore");
        for member in members
            .split('"')
            .filter(|part| part.starts_with(char::is_alphabetic))
        {
            let folder = member.split('/').next().unwrap();
            assert!(
                context
                    .lines()
                    .any(|line| line.strip_prefix('!') == Some(folder)),
                "{folder}"
            );
        }
        let toolchain = workspace
            .lines()
            .find_map(|line| line.strip_prefix("rust-version = "))
            .unwrap()
            .trim_matches('"');
        assert!(
            DEPLOYED[0].contains(&format!("FROM rust:{toolchain}-")),
            "{toolchain}"
        );
    }
}
