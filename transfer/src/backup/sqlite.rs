//! The embedded database: a copy of its file, and a place for one.
//!
//! The copy is taken by SQLite's online backup inside one read transaction. Left to itself that
//! begins anew whenever another connection writes between two steps, and would never end beside a
//! busy server; within a transaction all steps see one moment. Commits go on meanwhile, but the
//! write-ahead log cannot begin anew before the copy is done, so it is taken at the disk's pace and
//! compressed afterwards.

use super::contents::{COUNTS, Contents, MIGRATIONS};
use super::{Advance, BackupError, Result};
use db::restoration::{MARK_RESTORED, RESTORATION, Restoration};
use db::{BUSY_TIMEOUT, acknowledged, lock_beside};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Pages between two looks at whether to go on.
const STEP_PAGES: i32 = 256;
const RECORDS: &str = "select coalesce(max(seq), 0) from records";
/// What belongs to a database beside its file. A log of another one would be played into the
/// restored one.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Copies a database as it is at one moment to a new file, also beside a running server. `advance`
/// may end it early.
pub fn copy_file(from: &Path, to: &Path, advance: Advance<'_>) -> Result<Contents> {
    let source = open_read_only(from)?;
    let snapshot = source.unchecked_transaction()?;
    let contents = contents(&snapshot)?;
    let page_bytes: u32 = snapshot.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mut target = Connection::open(to)?;
    target.pragma_update(None, "journal_mode", "off")?;
    target.pragma_update(None, "synchronous", "off")?;
    let copying = Backup::new(&snapshot, &mut target)?;
    let (mut left, mut step) = (None, StepResult::More);
    while step != StepResult::Done {
        step = copying.step(STEP_PAGES)?;
        if matches!(step, StepResult::Busy | StepResult::Locked) {
            // Somebody else has the new file open, or the old one is being taken out of its
            // write-ahead mode.
            return Err(std::io::Error::other("the database is locked").into());
        }
        let progress = copying.progress();
        let pages = left.unwrap_or(progress.pagecount) - progress.remaining;
        left = Some(progress.remaining);
        advance(u64::try_from(pages).unwrap_or(0) * u64::from(page_bytes))?;
    }
    Ok(contents)
}

pub fn contents_of_file(file: &Path) -> Result<Contents> {
    contents(&open_read_only(file)?)
}

fn open_read_only(file: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn contents(connection: &Connection) -> Result<Contents> {
    let migrations = connection
        .prepare(MIGRATIONS)?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let records = connection.query_row(RECORDS, [], |row| row.get(0))?;
    let counts = connection.query_row(COUNTS, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(Contents::new(migrations, records, counts))
}

/// A place where a database may be put: nothing is there, and no server starts there meanwhile.
#[derive(Debug)]
pub struct Vacant {
    file: PathBuf,
    _lock: File,
}

impl Vacant {
    /// Makes the directory if need be, its owner's alone.
    ///
    /// # Errors
    /// The directory above it is missing; a database is there, or what one left behind, or another
    /// process is about to make one.
    pub async fn reserve(file: &Path) -> Result<Self> {
        check_vacant(file)?;
        if let Some(directory) = file
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty() && !directory.exists())
        {
            DirBuilder::new().mode(0o700).create(directory)?;
        }
        let lock = lock_beside(file).await?;
        check_vacant(file)?;
        Ok(Self {
            file: file.to_owned(),
            _lock: lock,
        })
    }

    fn draft(&self) -> PathBuf {
        beside(&self.file, ".restoring")
    }

    /// Where to write the database to. What an interrupted restore left there is gone, its log too:
    /// it would be played into this one.
    pub fn begin_draft(&self) -> Result<File> {
        self.remove_draft()?;
        Ok(OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(self.draft())?)
    }

    /// Leaves nothing of the draft.
    pub fn remove_draft(&self) -> Result<()> {
        let draft = self.draft();
        Ok(COMPANIONS
            .iter()
            .try_for_each(|suffix| remove_if_there(&beside(&draft, suffix)))?)
    }

    /// The draft becomes the database, and knows that it was restored: at no moment is one there
    /// that does not.
    pub fn take_draft(&self, restoration: &Restoration) -> Result<()> {
        check_vacant(&self.file)?;
        let draft = self.draft();
        mark(&draft, restoration)?;
        // It tells of the database that was here before.
        remove_if_there(&acknowledged::path_beside(&self.file))?;
        std::fs::rename(draft, &self.file)?;
        let directory = self
            .file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Ok(File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?)
    }
}

/// The last connection that closes leaves no log.
fn mark(draft: &Path, restoration: &Restoration) -> Result<()> {
    let connection = Connection::open_with_flags(
        draft,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "synchronous", "full")?;
    let before: Option<Vec<u8>> = connection
        .query_row(RESTORATION, [], |row| row.get(0))
        .optional()?;
    connection.execute(
        MARK_RESTORED,
        [restoration.beside(before.as_deref()).to_bytes()],
    )?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(File::open(draft)?.sync_all()?)
}

fn remove_if_there(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn check_vacant(file: &Path) -> Result<()> {
    let found = COMPANIONS
        .iter()
        .map(|suffix| beside(file, suffix))
        .find(|path| path.exists());
    found.map_or(Ok(()), |path| Err(BackupError::Occupied(path)))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use db::Db;
    use std::io::Write as _;

    async fn database(dir: &Path) -> (PathBuf, Db) {
        let file = dir.join("centwise.db");
        (file.clone(), Db::open_sqlite(&file).await.unwrap())
    }

    #[tokio::test]
    async fn a_copy_is_of_one_moment_though_others_write() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _db) = database(dir.path()).await;
        let writer = Connection::open(&file).unwrap();
        writer
            .execute_batch("create table pages (number integer, page blob)")
            .unwrap();
        let write = |number: i64, pages: i64| {
            let fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < \
                ?2) insert into pages select ?1, zeroblob(16000) from n";
            writer.execute(fill, [number, pages]).unwrap()
        };
        write(0, 2 * i64::from(STEP_PAGES));
        let (copy, mut bytes, mut steps) = (dir.path().join("copy.db"), 0, 0);
        let mut while_copying = |done| {
            (bytes, steps) = (bytes + done, steps + 1);
            write(steps, 10);
            Ok(())
        };
        let contents = copy_file(&file, &copy, &mut while_copying).unwrap();
        assert!(steps > 2, "{steps}");
        assert_eq!(bytes, std::fs::metadata(&copy).unwrap().len());
        let copied = Connection::open(&copy).unwrap();
        let of = |sql: &str| {
            copied
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(
            (
                of("select count(*) from pages"),
                of("select max(number) from pages")
            ),
            (2 * i64::from(STEP_PAGES), 0)
        );
        assert_eq!(
            copied
                .query_row("pragma integrity_check", [], |row| row.get::<_, String>(0))
                .unwrap(),
            "ok"
        );
        assert_eq!(contents, contents_of_file(&copy).unwrap());
        assert_eq!(contents.migrations, super::super::Kind::Sqlite.migrations());
    }

    #[tokio::test]
    async fn a_copy_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _db) = database(dir.path()).await;
        let ended = copy_file(&file, &dir.path().join("copy.db"), &mut |_| {
            Err(std::io::Error::other("enough"))
        })
        .unwrap_err();
        assert_eq!(ended.to_string(), "enough");
    }

    #[tokio::test]
    async fn a_place_is_vacant_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/centwise.db");
        let vacant = Vacant::reserve(&file).await.unwrap();
        assert!(
            Db::open_sqlite(&file)
                .await
                .unwrap_err()
                .to_string()
                .contains("in use"),
            "no server starts there"
        );
        let (restoration, (copied, _db)) = (
            Restoration {
                restored_us: 2,
                backup_us: 1,
            },
            database(dir.path()).await,
        );
        vacant
            .begin_draft()
            .unwrap()
            .write_all(b"no database at all, of some length")
            .unwrap();
        assert!(matches!(
            vacant.take_draft(&restoration).unwrap_err(),
            BackupError::Sqlite(_)
        ));
        assert!(!file.exists());

        std::fs::write(beside(&vacant.draft(), "-wal"), "of the one before").unwrap();
        drop(vacant.begin_draft().unwrap());
        copy_file(&copied, &vacant.draft(), &mut |_| Ok(())).unwrap();
        vacant.take_draft(&restoration).unwrap();
        drop(vacant);
        let alone = std::fs::read_dir(file.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut alone: Vec<_> = alone.collect();
        alone.sort();
        assert_eq!(alone, ["centwise.db", "centwise.db.lock"]);
        let restored = Connection::open(&file).unwrap();
        let mark: Vec<u8> = restored
            .query_row(
                "select value from meta where name = 'restored'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(
            mark, br#"{"backup_us":1,"restored_us":2}"#,
            "before anybody opens it"
        );
        drop(restored);
        assert!(
            matches!(Vacant::reserve(&file).await.unwrap_err(), BackupError::Occupied(path) if path == file)
        );
        std::fs::remove_file(&file).unwrap();
        std::fs::write(beside(&file, "-wal"), "of another").unwrap();
        assert!(
            Vacant::reserve(&file)
                .await
                .unwrap_err()
                .to_string()
                .contains("centwise.db-wal is there already")
        );
    }
}
