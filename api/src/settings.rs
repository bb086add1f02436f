//! Every setting that the program reads from its environment, taken from the command line's own definition.

use crate::cli::{Cli, LOG_SETTING};
use clap::CommandFactory;
use std::collections::BTreeMap;

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

/// By name.
pub fn all() -> Vec<Setting> {
    let mut command = Cli::command();
    command.build();
    let log = Setting { name: LOG_SETTING.to_owned(), default: None, secret: false, of_server: true };
    let mut settings = BTreeMap::from([(log.name.clone(), log)]);
    for command in command.get_subcommands() {
        let of_server = command.get_name() == "serve";
        for argument in command.get_arguments() {
            let Some(name) = argument.get_env().map(|name| name.to_string_lossy().into_owned()) else { continue };
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let secret = argument.is_hide_env_values_set();
            let setting = settings.entry(name.clone()).or_insert(Setting { name, default, secret, of_server });
            setting.of_server |= of_server;
        }
    }
    settings.into_values().collect()
}

/// The server's settings as this process's environment has them, and the names of the secret ones that are set.
pub fn of_server() -> (BTreeMap<String, String>, Vec<String>) {
    let (mut settings, mut left_out) = (BTreeMap::new(), Vec::new());
    for setting in all().into_iter().filter(|setting| setting.of_server) {
        let set = std::env::var(&setting.name).ok();
        if setting.secret {
            left_out.extend(set.map(|_| setting.name));
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
        let secret: Vec<_> = all().into_iter().filter(|setting| setting.secret).map(|setting| setting.name).collect();
        assert_eq!(secret, ["CENTWISE_DATABASE_URL", "CENTWISE_KEY"]);
        let (settings, _) = of_server();
        assert!(settings.contains_key("CENTWISE_LISTEN") && settings.contains_key("CENTWISE_SPLIT_BY_ROOT"), "{settings:?}");
        assert!(!settings.contains_key("CENTWISE_DATABASE_URL") && !settings.contains_key("CENTWISE_URL"), "{settings:?}");
    }
}
