//! Copying the write-ahead log back into the file, beside the writing thread.
//!
//! Left to the commit that crosses a threshold, it would hold up every commit behind it for tens of
//! milliseconds. Here a thread with a connection of its own copies while commits go on; what they add
//! meanwhile is left over, so the log does not begin anew by itself. When it has grown to
//! [`LOG_PAGES_MAX`] all the same, the writing thread waits for the other one and copies the little that is
//! left before its next work.

use crate::db::BUSY_TIMEOUT;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Result};
use std::cell::Cell;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Pages in the log that are worth copying: large enough to fold many writes of a hot page into one.
pub const COPY_PAGES: i32 = 512;
/// Pages at which the log has to begin anew; the file is read once at opening, so this bounds a restart too.
const LOG_PAGES_MAX: i32 = 4 * COPY_PAGES;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static LOG_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writing thread's side.
#[derive(Debug)]
pub struct Checkpoints {
    nudge: SyncSender<()>,
    /// Held by who copies.
    turn: Arc<Mutex<()>>,
    /// Pages in the log when the other thread was told last.
    told: i32,
}

impl Checkpoints {
    /// Takes over the checkpoints of `writer`. The thread ends with this value.
    pub fn start(file: &Path, writer: &Connection) -> std::io::Result<Self> {
        let connection = open(file).map_err(std::io::Error::other)?;
        let (nudge, nudged) = sync_channel(1);
        let turn = Arc::new(Mutex::new(()));
        let theirs = Arc::clone(&turn);
        std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || serve(&connection, &nudged, &theirs))?;
        writer.wal_hook(Some(note_pages));
        Ok(Self { nudge, turn, told: 0 })
    }

    /// After every piece of work, on the thread that writes.
    pub fn after_work(&mut self, writer: &Connection) {
        let pages = LOG_PAGES.get();
        if pages < self.told {
            // It began anew.
            self.told = 0;
        }
        if pages >= LOG_PAGES_MAX {
            copy(writer, &self.turn);
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

fn serve(connection: &Connection, nudged: &Receiver<()>, turn: &Mutex<()>) {
    while nudged.recv().is_ok() {
        copy(connection, turn);
    }
}

/// As far as readers let it, without waiting for them. What it leaves is copied next time.
fn copy(connection: &Connection, turn: &Mutex<()>) {
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let passive = connection.query_row("pragma wal_checkpoint(passive)", [], |row| row.get::<_, i64>(0));
    if let Err(error) = passive {
        tracing::warn!(%error, "the write-ahead log was not copied back; the next commit tries again");
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
        let log_bytes = || std::fs::metadata(dir.path().join("one.db-wal")).map_or(0, |log| log.len());
        writer.run((), |writer, ()| Ok(writer.execute_batch("create table pages (page blob)")?)).await.unwrap();
        let mut bytes_max = 0;
        for _ in 0..PAGES / 64 {
            let insert = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 64) insert into pages select zeroblob(4000) from n";
            writer.run((), move |writer, ()| Ok(writer.execute(insert, [])?)).await.unwrap();
            bytes_max = bytes_max.max(log_bytes());
        }
        let written = writer.run((), |writer, ()| Ok(writer.query_row("select count(*) from pages", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(written.await.unwrap(), PAGES);
        let page_bytes = 4096 + 24;
        assert!(bytes_max < (LOG_PAGES_MAX as u64 + 100) * page_bytes, "{bytes_max}");
        assert!(std::fs::metadata(&file).unwrap().len() > (PAGES as u64 / 2) * 4096, "nothing was copied");
    }
}
