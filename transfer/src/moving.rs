//! An installation moved from an embedded database into an empty one on PostgreSQL.
//!
//! Records of both are the same rows, copied table by table. The journal is one sequence there and
//! one per root here: its records are written again in order of arrival, through PostgreSQL's own
//! way of writing them, under new seqs; what refers to a record is translated (`seqs`); batches are
//! formed anew, and with them every root's hash chain. States are copied as they are at the end.
//! Nothing is believed: both sides are counted, added up and audited, and until that has gone well
//! a mark keeps servers from opening the new database. From then on one keeps them from the old
//! one.

mod compare;
mod pieces;
mod seqs;
mod states;
mod tables;

pub use compare::Compared;

use db::{Db, OpenError, Result, SqlError, Sqlite, moved, name_of};
use journal::{Check, Placed};
use journal_postgres::import::{self, Import, JOURNAL_TABLES};
use journal_sqlite::export::Export;
use pieces::{Piece, Pieces};
use rating::TenantId;
use seqs::Seqs;
use std::path::{Path, PathBuf};
use tables::TABLES;
use tokio::sync::mpsc;

/// Pieces read ahead of the one that is written.
const PIECES_AHEAD: usize = 2;
/// Records read at once.
const READ_ROWS: i64 = 10_000;

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("cannot open {file}: {error}")]
    Source { file: String, error: sqlx::Error },
    #[error("{0} has no platform: no server ever began there, and there is nothing to move")]
    NothingThere(String),
    #[error(transparent)]
    Target(#[from] OpenError),
    #[error(
        "the database to move into is not empty: there are rows in its table {0}. Make an empty \
            one (createdb)"
    )]
    NotEmpty(String),
    #[error(transparent)]
    Journal(#[from] SqlError),
}

/// A move that is about to begin: the source is locked, the target empty.
#[derive(Debug)]
pub struct Move {
    file: PathBuf,
    source: Sqlite,
    /// The target as messages name it.
    to: String,
    export: Export,
    platform: TenantId,
    target: Db,
}

/// A move whose copy is complete: to be compared, audited and, if all is well, released.
#[derive(Debug)]
pub struct Copied {
    source: Sqlite,
    to: String,
    export: Export,
    target: Db,
    import: Import,
}

impl Move {
    /// Locks the source, and brings its tables up to date as its server would; looks whether the
    /// target is empty.
    pub async fn prepare(source: &Path, target: &Db) -> Result<Self, MoveError> {
        let file = || source.display().to_string();
        let opened = Db::open_sqlite(source).await;
        let (Db::Sqlite(db), Db::Postgres(postgres)) = (
            opened.map_err(|error| MoveError::Source {
                file: file(),
                error,
            })?,
            target,
        ) else {
            return Err(SqlError::unavailable(
                "a move is from a SQLite file to a PostgreSQL database",
            )
            .into());
        };
        let export = Export::of(&db);
        let platform = export
            .platform()
            .await?
            .ok_or_else(|| MoveError::NothingThere(file()))?;
        let to = name_of(&postgres.pool.connect_options());
        match import::occupied(postgres, &every_table()).await? {
            Some(table) => Err(MoveError::NotEmpty(table)),
            None => Ok(Self {
                file: source.to_owned(),
                source: db,
                to,
                export,
                platform,
                target: target.clone(),
            }),
        }
    }

    /// The audit of the source: what is wrong there would be wrong here.
    pub async fn audit(&self) -> Result<Vec<Check>> {
        crate::audit::verify_file(&self.file).await
    }

    /// Rows that will be copied, about.
    pub async fn rows(&self) -> Result<u64> {
        let mut rows = self.export.last_seq().await?.0.unsigned_abs();
        for table in TABLES {
            rows += self.export.count(table.source).await?.unsigned_abs();
        }
        Ok(rows)
    }

    /// Copies everything; `copied` hears of every so many rows.
    pub async fn copy(self, copied: &mut dyn FnMut(u64)) -> Result<Copied, MoveError> {
        let Self {
            file,
            source,
            to,
            export,
            platform,
            target,
        } = self;
        let import = Import::claim(&target, platform, &every_table())
            .await?
            .map_err(MoveError::NotEmpty)?;
        let seqs = journal(&export, &import, Seqs::beside(&file)?, copied).await?;
        for table in TABLES {
            tables::copy(&export, &import, table, &seqs, copied).await?;
        }
        states::copy(&export, &import).await?;
        import.complete(&every_table()).await?;
        Ok(Copied {
            source,
            to,
            export,
            target,
            import,
        })
    }
}

impl Copied {
    /// What both sides count and add up to, line by line.
    pub async fn compare(&self) -> Result<Vec<Compared>> {
        compare::compare(&self.export, &self.import).await
    }

    /// The audit of the target.
    pub async fn audit(&self) -> Result<Vec<Check>> {
        crate::audit::verify_database(&self.target).await
    }

    /// Lets servers open the target, and the source no more: first the one and then the other, so
    /// that at no moment both can be.
    pub async fn release(self) -> Result<()> {
        moved::mark(&mut *self.source.writer.lock().await, &self.to).await?;
        self.import.release().await
    }
}

fn every_table() -> Vec<&'static str> {
    TABLES
        .iter()
        .map(|table| table.name)
        .chain(JOURNAL_TABLES.iter().copied())
        .collect()
}

/// Writes every record again; where each of them is now.
async fn journal(
    export: &Export,
    import: &Import,
    seqs: Seqs,
    copied: &mut dyn FnMut(u64),
) -> Result<Seqs> {
    let numbers = import.number(&export.roots().await?).await?;
    let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
    let reading = tokio::spawn(read(export.clone(), Pieces::new(numbers, seqs), sender));
    while let Some(Piece { batch, placed }) = receiver.recv().await {
        let count = placed.len() as u64;
        if import.commit(batch).await? != Placed::Each(placed) {
            return Err(SqlError::corrupt(
                "records were placed elsewhere than was reckoned with",
            ));
        }
        copied(count);
    }
    reading
        .await
        .map_err(|e| SqlError::unavailable(e.to_string()))?
}

/// Reads ahead, until everything is read or nobody takes it any more.
async fn read(export: Export, mut pieces: Pieces, to: mpsc::Sender<Piece>) -> Result<Seqs> {
    let mut after = journal::Seq(0);
    loop {
        let lines = export.lines(after, READ_ROWS).await?;
        let Some(last) = lines.last() else { break };
        after = last.record.seq;
        for line in lines {
            if let Some(piece) = pieces.add(line)?
                && to.send(piece).await.is_err()
            {
                return Err(SqlError::unavailable("the copy was given up"));
            }
        }
    }
    let (rest, seqs) = pieces.finish();
    if let Some(rest) = rest {
        to.send(rest)
            .await
            .map_err(|_| SqlError::unavailable("the copy was given up"))?;
    }
    Ok(seqs)
}

#[cfg(test)]
mod tests;
