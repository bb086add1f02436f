//! What was acknowledged last, remembered beside a database file.
//!
//! A write-ahead log that is damaged or gone takes the newest commits with it, and SQLite opens
//! what is left without a word: for it they never were. So the last batch and the newest entry of
//! the audit log are written down after each commit, and looked for at the next opening. Nothing
//! waits for this to reach the disk: what the system loses of it asks for less, never for what is
//! not there.

use sqlx::SqliteConnection;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Of the file's name.
const SUFFIX: &str = "-last";
/// Numbers of the batch and of the change, the batch's hash, and a digest of these.
const BYTES: usize = 8 + 8 + 32 + 16;
const DIGESTED: usize = BYTES - 16;

const HAS_TABLE: &str = "select count(*) from sqlite_master where type = 'table' and name = ?";
const LAST_BATCH: &str = "select coalesce(max(batch), 0) from batches";
const OF_BATCH: &str = "select root, hash from batches where batch = ? order by root";
pub const LAST_CHANGE: &str = "select coalesce(max(id), 0) from audit_log";

pub fn path_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(SUFFIX);
    PathBuf::from(name)
}

/// The last batch, and the newest entry of the audit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Last {
    batch: i64,
    hash: [u8; 32],
    change: i64,
}

impl Last {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.batch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.change.to_le_bytes());
        bytes[16..DIGESTED].copy_from_slice(&self.hash);
        let digest = blake3::hash(&bytes[..DIGESTED]);
        bytes[DIGESTED..].copy_from_slice(&digest.as_bytes()[..BYTES - DIGESTED]);
        bytes
    }

    /// `None`: half written, or nothing of ours.
    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (said, digest) = bytes.split_at_checked(DIGESTED)?;
        if digest != &blake3::hash(said).as_bytes()[..BYTES - DIGESTED] {
            return None;
        }
        let number = |at: usize| {
            said.get(at..at + 8)?
                .try_into()
                .ok()
                .map(i64::from_le_bytes)
        };
        Some(Self {
            batch: number(0)?,
            change: number(8)?,
            hash: said[16..].try_into().ok()?,
        })
    }

    fn read(file: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::read(path_beside(file)) {
            Ok(bytes) => {
                let read = Self::of_bytes(&bytes);
                // Empty: made, and nothing was committed since.
                if read.is_none() && !bytes.is_empty() {
                    tracing::warn!(file = %path_beside(file).display(), "last acknowledged commit \
                        cannot be read: unknown whether the database has lost commits (`centwise \
                        verify` checks what is there)");
                }
                Ok(read)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Of the roots' new heads, in order of the roots.
pub fn hash_of<'a>(chain_heads: impl Iterator<Item = (i64, &'a [u8])>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (root, hash) in chain_heads {
        hasher.update(&root.to_le_bytes());
        hasher.update(hash);
    }
    *hasher.finalize().as_bytes()
}

/// Open for as long as the database is.
#[derive(Debug)]
pub struct Acknowledged {
    file: File,
    last: Mutex<Last>,
}

impl Acknowledged {
    /// Of a database that was looked at by [`missing`].
    pub fn beside(file: &Path) -> std::io::Result<Self> {
        let last = Last::read(file)?.unwrap_or_default();
        let options = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path_beside(file))?;
        Ok(Self {
            file: options,
            last: Mutex::new(last),
        })
    }

    pub fn batch(&self, batch: i64, hash: [u8; 32]) {
        self.remember(|last| (last.batch, last.hash) = (batch, hash));
    }

    pub fn change(&self, id: i64) {
        self.remember(|last| last.change = last.change.max(id));
    }

    fn remember(&self, change: impl FnOnce(&mut Last)) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut last);
        // What stands there is true as well, only older.
        if let Err(error) = self.file.write_all_at(&last.to_bytes(), 0) {
            tracing::warn!(%error, "recording the last commit beside the database failed");
        }
    }
}

/// What was acknowledged and is not in the database; `None`: everything is there, as far as it is
/// remembered.
pub async fn missing(
    file: &Path,
    conn: &mut SqliteConnection,
) -> Result<Option<String>, sqlx::Error> {
    // Before the database: whoever writes beside this has committed what stands here.
    let Some(last) = Last::read(file)? else {
        return Ok(None);
    };
    let batch = number(conn, "batches", LAST_BATCH).await?;
    if batch < last.batch {
        return Ok(Some(format!(
            "batch {} was acknowledged, and the last one here is {batch}",
            last.batch
        )));
    }
    let chain_heads: Vec<(i64, Vec<u8>)> = if last.batch > 0 {
        sqlx::query_as(OF_BATCH)
            .bind(last.batch)
            .fetch_all(&mut *conn)
            .await?
    } else {
        Vec::new()
    };
    // None: an old one that is kept no longer.
    if !chain_heads.is_empty()
        && hash_of(
            chain_heads
                .iter()
                .map(|(root, hash)| (*root, hash.as_slice())),
        ) != last.hash
    {
        return Ok(Some(format!(
            "batch {} that was acknowledged is another one than the one here",
            last.batch
        )));
    }
    let change = number(conn, "audit_log", LAST_CHANGE).await?;
    let lost = format!(
        "the audit log's entry {} was acknowledged, and the last one here is {change}",
        last.change
    );
    Ok((change < last.change).then_some(lost))
}

/// What to do about it.
pub fn way_out(file: &Path, lost: &str) -> String {
    let (file, last) = (file.display(), path_beside(file));
    format!(
        "{file} has lost commits: {lost}. Its write-ahead log ({file}-wal) is damaged or missing, \
            or the file is an older copy. \
         Put the log back beside it; or restore the newest backup and send again what came since; \
         or, to go on without what is lost, \
         remove {} (docs/operations.md, \"Lost commits\")",
        last.display()
    )
}

async fn number(
    conn: &mut SqliteConnection,
    table: &str,
    statement: &'static str,
) -> Result<i64, sqlx::Error> {
    let there: i64 = sqlx::query_scalar(HAS_TABLE)
        .bind(table)
        .fetch_one(&mut *conn)
        .await?;
    if there == 0 {
        Ok(0)
    } else {
        sqlx::query_scalar(statement).fetch_one(conn).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_written_says_nothing() {
        let last = Last {
            batch: 7,
            hash: [3; 32],
            change: 1 << 60,
        };
        let bytes = last.to_bytes();
        assert_eq!(Last::of_bytes(&bytes), Some(last));
        for cut in 0..BYTES {
            assert_eq!(Last::of_bytes(&bytes[..cut]), None, "{cut}");
            let mut other = bytes;
            other[cut] ^= 1;
            assert_eq!(Last::of_bytes(&other), None, "{cut}");
        }
    }
}
