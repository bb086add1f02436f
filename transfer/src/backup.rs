//! What of a database goes into a backup and comes out of it: a copy of the file on SQLite, a dump
//! by `pg_dump` on PostgreSQL, both of one moment and beside running servers. What the backup's own
//! file looks like is the caller's business.

mod contents;
mod postgres;
mod programs;
mod sqlite;

pub use contents::{Contents, Kind};
pub use postgres::{Dump, Restore, Scratch, contents_of_database};
pub use programs::Folders;
pub use sqlite::{Vacant, contents_of_file, copy_file};

use db::OpenError;
use std::path::PathBuf;

/// Told how many bytes were done since it was told last; an error ends the work.
pub type Advance<'a> = &'a mut dyn FnMut(u64) -> std::io::Result<()>;

/// A backup was not made, or not restored; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already: restore into another place, or move it away", .0.display())]
    Occupied(PathBuf),
    #[error("{server} has tables already: restore into an empty database")]
    NotEmpty { server: String },
    #[error("{0} has no tables of Centwise")]
    NotOurs(String),
    #[error(
        "{name} was found neither in PATH nor in /usr/lib/postgresql/*/bin: install PostgreSQL's \
            client programs, version {at_least} or later"
    )]
    NoProgram { name: &'static str, at_least: u32 },
    #[error("{} is of PostgreSQL {found}, and {at_least} or later is needed: install newer client \
        programs", .path.display())]
    OldProgram {
        path: PathBuf,
        found: u32,
        at_least: u32,
    },
    #[error("{name} failed: {errors}")]
    Program { name: &'static str, errors: String },
    #[error(
        "the user {user} may not make a database on the server of {server}, and the check needs \
            one for as long as it runs: let a \
         superuser say `alter role {role} createdb`, or name another user with --database-url"
    )]
    MayNotCreate {
        server: String,
        user: String,
        role: String,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database failed: {0}")]
    Db(#[from] sqlx::Error),
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

pub type Result<T, E = BackupError> = std::result::Result<T, E>;
