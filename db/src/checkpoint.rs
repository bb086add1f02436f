//! Copying the write-ahead log back into the file, beside the writing thread.
//!
//! Left to the commit that crosses a threshold, it would hold up every commit behind it for tens of
//! milliseconds. Here a thread with a connection of its own copies while commits go on; what they
//! add meanwhile is left over, so the log does not begin anew by itself. When it has grown to
//! [`LOG_PAGES_MAX`] all the same, the writing thread waits for the other one and copies the little
//! that is left before its next work.
//!
//! A reader that stays (a backup, an audit) keeps all that is written after it began in the log.
//! When it goes there is much to copy, and the writing thread leaves that to the other one, which
//! goes on until little is left.

use crate::limits::BUSY_TIMEOUT;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Result};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Pages in the log that are worth copying: large enough to fold many writes of a hot page into
/// one.
pub const COPY_PAGES: i32 = 512;
/// Pages at which the log has to begin anew; the file is read once at opening, so this bounds a
/// restart too.
const LOG_PAGES_MAX: i32 = 4 * COPY_PAGES;
/// Times that the log is copied in a row before the writing thread has to wait after all: were
/// copying slower than writing, the log would grow for ever.
const CATCH_UPS_MAX: usize = 8;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static LOG_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writing thread's side.
#[derive(Debug)]
pub struct Checkpoints {
    nudge: SyncSender<()>,
    copies: Arc<Copies>,
    /// Pages in the log when the other thread was told last.
    told: i32,
}

/// What both sides know.
#[derive(Debug, Default)]
struct Copies {
    /// Pages of the log that were copied when it was looked at last; held by who copies.
    turn: Mutex<i32>,
    /// More is left in the log than the writing thread should wait for.
    behind: AtomicBool,
}

impl Checkpoints {
    /// Takes over the checkpoints of `writer`. The thread ends with this value.
    pub fn start(file: &Path, writer: &Connection) -> std::io::Result<Self> {
        let connection = open(file).map_err(std::io::Error::other)?;
        let (nudge, nudged) = sync_channel(1);
        let copies = Arc::new(Copies::default());
        let theirs = Arc::clone(&copies);
        std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || serve(&connection, &nudged, &theirs))?;
        writer.wal_hook(Some(note_pages));
        Ok(Self {
            nudge,
            copies,
            told: 0,
        })
    }

    /// After every piece of work, on the thread that writes.
    pub fn after_work(&mut self, writer: &Connection) {
        let pages = LOG_PAGES.get();
        if pages < self.told {
            // It began anew.
            self.told = 0;
        }
        if pages >= LOG_PAGES_MAX && !self.copies.behind.load(Ordering::Relaxed) {
            self.copies.copy(writer);
        } else if pages >= self.told + COPY_PAGES {
            self.told = pages;
            // Full: it has been told already.
            let _told = self.nudge.try_send(());
        }
    }
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

fn note_pages(_log: &Wal, pages: i32) -> Result<()> {
    LOG_PAGES.set(pages);
    Ok(())
}

fn serve(connection: &Connection, nudged: &Receiver<()>, copies: &Copies) {
    while nudged.recv().is_ok() {
        copies.catch_up(connection);
    }
}

impl Copies {
    /// While much is copied, much is added.
    fn catch_up(&self, connection: &Connection) {
        for _ in 0..CATCH_UPS_MAX {
            if self.copy(connection) <= LOG_PAGES_MAX {
                return;
            }
        }
        self.behind.store(false, Ordering::Relaxed);
    }

    /// As far as readers let it, without waiting for them. What it leaves is copied next time. How
    /// many pages were copied.
    fn copy(&self, connection: &Connection) -> i32 {
        let mut copied_before = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Is another checkpoint under way? Pages in the log, and those of them that are copied.
        let passive = connection.query_row("pragma wal_checkpoint(passive)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        match passive {
            Ok((false, log, copied)) => {
                let (log, copied): (i32, i32) = (log, copied);
                // Fewer than before: the log has begun anew.
                let pages = if copied < *copied_before {
                    copied
                } else {
                    copied - *copied_before
                };
                *copied_before = copied;
                self.behind.store(
                    log - copied > LOG_PAGES_MAX || pages > LOG_PAGES_MAX,
                    Ordering::Relaxed,
                );
                pages
            }
            Ok((true, ..)) => 0,
            Err(error) => {
                tracing::warn!(%error, "write-ahead log checkpoint failed; the next commit tries \
                    again");
                0
            }
        }
    }
}

/// Copies all of the log back and cuts it.
///
/// # Errors
/// Somebody still reads, or the file cannot be written.
pub fn empty_log(writer: &Connection) -> Result<()> {
    let busy: bool = writer.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    if busy {
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::Writer;

    #[tokio::test]
    async fn the_log_begins_anew_while_work_goes_on() {
        const PAGES: i64 = 4 * LOG_PAGES_MAX as i64;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("one.db");
        let writer = Writer::start(&file).unwrap();
        let log_bytes =
            || std::fs::metadata(dir.path().join("one.db-wal")).map_or(0, |log| log.len());
        writer
            .run((), |writer, ()| {
                Ok(writer.execute_batch("create table pages (page blob)")?)
            })
            .await
            .unwrap();
        let mut bytes_max = 0;
        for _ in 0..PAGES / 64 {
            let insert = "with recursive n(i) as (select 1 union all select i + 1 from n where i \
                < 64) insert into pages select zeroblob(4000) from n";
            writer
                .run((), move |writer, ()| Ok(writer.execute(insert, [])?))
                .await
                .unwrap();
            bytes_max = bytes_max.max(log_bytes());
        }
        let written = writer.run((), |writer, ()| {
            Ok(writer.query_row("select count(*) from pages", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(written.await.unwrap(), PAGES);
        let page_bytes = 4096 + 24;
        assert!(
            bytes_max < (LOG_PAGES_MAX as u64 + 100) * page_bytes,
            "{bytes_max}"
        );
        assert!(
            std::fs::metadata(&file).unwrap().len() > (PAGES as u64 / 2) * 4096,
            "nothing was copied"
        );
    }

    /// `pages` of them, each commit of some.
    fn write(writer: &Connection, checkpoints: &mut Checkpoints, pages: i32) {
        let insert = "with recursive n(i) as (select 1 union all select i + 1 from n where i < \
            64) insert into pages select zeroblob(4000) from n";
        for _ in 0..pages / 64 {
            writer.execute(insert, []).unwrap();
            checkpoints.after_work(writer);
        }
    }

    #[test]
    fn what_a_long_reader_left_is_not_for_the_writing_thread() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("one.db");
        let writer = open(&file).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer
            .execute_batch("pragma synchronous = off; create table pages (page blob)")
            .unwrap();
        let mut checkpoints = Checkpoints::start(&file, &writer).unwrap();
        let behind = |checkpoints: &Checkpoints| checkpoints.copies.behind.load(Ordering::Relaxed);
        let reader = open(&file).unwrap();
        reader
            .execute_batch("begin; select count(*) from pages")
            .unwrap();
        write(&writer, &mut checkpoints, 4 * LOG_PAGES_MAX);
        assert!(
            behind(&checkpoints) && LOG_PAGES.get() >= 4 * LOG_PAGES_MAX,
            "{}",
            LOG_PAGES.get()
        );
        reader.execute_batch("commit").unwrap();
        for _ in 0..1000 {
            write(&writer, &mut checkpoints, 64);
            if LOG_PAGES.get() < LOG_PAGES_MAX {
                assert!(!behind(&checkpoints));
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the log did not begin anew");
    }
}
