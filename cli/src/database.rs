//! Which database a command means, and what to do when it cannot be had.

use anyhow::bail;
use api::config::Config;
use api::database_url::Place;
use std::path::{Path, PathBuf};

/// The database of a command that does not serve.
#[derive(Debug, Clone, clap::Args)]
pub struct Database {
    /// Directory of the embedded database
    #[arg(
        long,
        env = "CENTWISE_DATA_DIR",
        default_value = "./centwise-data",
        value_name = "DIR"
    )]
    data_dir: PathBuf,
    /// Database to use instead: sqlite:PATH, a directory, or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        env = "CENTWISE_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
}

impl Database {
    /// Settings of a server inside this process, on any free port of this machine.
    pub fn config(&self) -> Config {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        Config {
            listen,
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            creates: false,
            ..Config::default()
        }
    }

    /// Of the embedded database, and of what is kept beside one on a server.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The database, which may not be there yet.
    pub fn place(&self) -> anyhow::Result<Place> {
        self.config().database()
    }

    /// The database; a file must be there.
    pub fn existing(&self) -> anyhow::Result<Place> {
        let place = self.place()?;
        match &place {
            Place::File(file) if !file.exists() => bail!(
                "there is no database {} (choose another with --data-dir or --database-url, or \
                    create one with `centwise serve`)",
                file.display()
            ),
            _ => Ok(place),
        }
    }
}

/// Adds what to do to an error of opening.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    if format!("{error:#}").contains("in use by another process") {
        // Its causes say the same in other words.
        return anyhow::anyhow!(
            "the database is in use by another process: a server is running on it. Stop the \
                server, or, for `ingest` and `import-rates`, use it with --url http[s]://HOST:PORT \
                --key KEY"
        );
    }
    error
}
