//! Whether the database takes a write now: for load balancers, which send nobody where nothing can
//! be kept.

use super::{Db, Sqlite};
use crate::retry;
use rusqlite::params;
use std::os::unix::fs::MetadataExt as _;

/// What a file's disk must have left: the write-ahead log grows to half of it before it begins
/// anew.
pub const FREE_BYTES_MIN: u64 = 64 << 20;

const PROBED: &str = "insert into meta (name, value) values ('probed', $1) on conflict (name) do \
    update set value = excluded.value";

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    #[error("{0} is no longer the file that was opened: it was removed or replaced")]
    Replaced(String),
    #[error("the disk of {file} has {free_mb} MB left; at least {} MB are needed", FREE_BYTES_MIN >> 20)]
    DiskFull { file: String, free_mb: u64 },
    #[error("{0}")]
    Database(String),
}

impl Db {
    /// Writes something that means nothing, durably, and waits for as long as that takes. `at_us`
    /// is now.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub async fn probe(&self, at_us: i64) -> Result<(), Unwritable> {
        let database = |error: &dyn std::fmt::Display| Unwritable::Database(error.to_string());
        match self {
            Self::Sqlite(db) => {
                db.check_file()?;
                let write = move |connection: &mut rusqlite::Connection, (): &mut ()| {
                    connection
                        .prepare_cached(PROBED)?
                        .execute(params![at_us.to_le_bytes()])?;
                    Ok(())
                };
                db.write((), write).await.map_err(|error| database(&error))
            }
            Self::Postgres(db) => {
                match sqlx::query(PROBED)
                    .bind(at_us.to_le_bytes().as_slice())
                    .execute(&db.pool)
                    .await
                {
                    // Another process asks at the same moment, and writes.
                    Err(error) if retry::was_undone(&error) => Ok(()),
                    written => written.map(drop).map_err(|error| database(&error)),
                }
            }
        }
    }
}

impl Sqlite {
    /// What is committed into a file that was removed, nobody will ever find.
    ///
    /// # Errors
    /// No directory has the file any more.
    pub fn check_linked(&self) -> Result<(), Unwritable> {
        let [_, opened] = &*self.locks;
        let is_gone = opened
            .metadata()
            .map_or(true, |metadata| metadata.nlink() == 0);
        if is_gone {
            Err(Unwritable::Replaced(self.file.display().to_string()))
        } else {
            Ok(())
        }
    }

    /// It is where it was opened, and its disk has room. SQLite itself writes on into a file that
    /// nobody will find again.
    fn check_file(&self) -> Result<(), Unwritable> {
        let file = self.file.display().to_string();
        let [_, opened] = &*self.locks;
        let same = match (self.file.metadata(), opened.metadata()) {
            (Ok(there), Ok(opened)) => (there.dev(), there.ino()) == (opened.dev(), opened.ino()),
            _ => false,
        };
        if !same {
            return Err(Unwritable::Replaced(file));
        }
        let disk = rustix::fs::fstatvfs(opened)
            .map_err(|error| Unwritable::Database(error.to_string()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < FREE_BYTES_MIN {
            return Err(Unwritable::DiskFull {
                file,
                free_mb: free >> 20,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_gone_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let db = Db::open_sqlite(&file).await.unwrap();
        db.probe(1).await.unwrap();
        std::fs::rename(&file, dir.path().join("elsewhere.db")).unwrap();
        for _ in 0..2 {
            assert!(matches!(db.probe(2).await, Err(Unwritable::Replaced(_))));
            // Another one in its place is no better.
            std::fs::write(&file, "").unwrap();
        }
        std::fs::rename(dir.path().join("elsewhere.db"), &file).unwrap();
        db.probe(3).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_on_a_server_takes_one() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let db = Db::open_postgres(database.url(), &crate::PostgresOptions::default())
            .await
            .unwrap();
        db.probe(1).await.unwrap();
    }
}
