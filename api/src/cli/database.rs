//! Which database a command means, and what to do when it cannot be had.

use crate::config::{Config, Place, is_postgres};
use anyhow::bail;
use std::path::{Path, PathBuf};

/// The database of a command that does not serve.
#[derive(Debug, Clone, clap::Args)]
pub struct Database {
    /// Directory of the embedded database
    #[arg(long, env = "CENTWISE_DATA_DIR", default_value = "./centwise-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Another database: sqlite:PATH, a directory, or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "CENTWISE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl Database {
    /// Settings of a server inside this process, on any free port of this machine.
    pub fn config(&self) -> anyhow::Result<Config> {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        settled(Config { listen, data_dir: self.data_dir.clone(), database_url: self.database_url.clone(), ..Config::default() })
    }

    /// The database, which may not be there yet.
    pub fn place(&self) -> anyhow::Result<Place> {
        Ok(self.config()?.database()?)
    }

    /// The database; a file must be there.
    pub fn existing(&self) -> anyhow::Result<Place> {
        let place = self.place()?;
        match &place {
            Place::File(file) if !file.exists() => bail!(
                "there is no database {} (name another with --data-dir or --database-url, or make one with `centwise serve`)",
                file.display()
            ),
            _ => Ok(place),
        }
    }
}

/// Settles what the URL names: a file, or a directory for `data_dir`.
pub fn settled(mut config: Config) -> anyhow::Result<Config> {
    let Some(url) = &config.database_url else { return Ok(config) };
    if is_postgres(url) {
        return Ok(config);
    }
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    let directory = match path {
        None if url.contains("://") => bail!("cannot use the database {url:?}: expected sqlite:PATH, a directory or postgres://…"),
        None => Some(url.as_str()),
        Some(path) => Some(path).filter(|path| path.ends_with('/') || Path::new(path).is_dir()),
    };
    if let Some(directory) = directory {
        (config.data_dir, config.database_url) = (PathBuf::from(directory), None);
    }
    Ok(config)
}

/// Adds what to do to an error of opening.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    if format!("{error:#}").contains("in use by another process") {
        return error.context("a server is running on this database: stop it, or go through it with --url http://HOST:PORT --key KEY");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files_or_directories() {
        let here = std::env::temp_dir().display().to_string();
        for (url, want) in [
            (None, Some("./centwise-data/centwise.db".to_owned())),
            (Some("books".to_owned()), Some("books/centwise.db".to_owned())),
            (Some("sqlite:a/b.sqlite".to_owned()), Some("a/b.sqlite".to_owned())),
            (Some("sqlite:new/".to_owned()), Some("new/centwise.db".to_owned())),
            (Some(format!("sqlite:{here}")), Some(format!("{here}/centwise.db"))),
            (Some("mysql://h/d".to_owned()), None),
        ] {
            let database = Database { data_dir: PathBuf::from("./centwise-data"), database_url: url.clone() };
            let place = database.config().ok().and_then(|config| config.database().ok());
            assert_eq!(place, want.map(|path| Place::File(PathBuf::from(path))), "{url:?}");
        }
    }
}
