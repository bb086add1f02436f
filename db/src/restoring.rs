//! A PostgreSQL database that a backup is being restored into: a table of its own says so, from
//! before the first table of the backup is there until the database is opened. `pg_restore` commits
//! everything at once, and nobody can add to its transaction.

use crate::restoration::{MARK_RESTORED, RESTORATION, Restoration};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

const BEGIN: &str =
    "create table if not exists restoring (value bytea not null); delete from restoring";
const NOTE: &str = "insert into restoring (value) values ($1)";
const HAS_TABLES: &str = "select exists (select 1 from pg_class where relnamespace = \
    current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'f') and relname <> \
    'restoring')";
const IS_THERE: &str =
    "select to_regclass('restoring') is not null, to_regclass('_sqlx_migrations') is not null";
const NOTED: &str = "select value from restoring";
const END: &str = "drop table restoring";

/// What a database says about a restore into it.
pub(super) enum Restoring {
    No,
    /// Nothing of the backup is there.
    BrokenOff,
    Done,
}

/// False: there are tables already.
pub async fn begin(
    connection: &mut PgConnection,
    restoration: &Restoration,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if sqlx::query_scalar::<_, bool>(HAS_TABLES)
        .fetch_one(&mut *transaction)
        .await?
    {
        return Ok(false);
    }
    transaction.execute(BEGIN).await?;
    sqlx::query(NOTE)
        .bind(restoration.to_bytes())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Nothing came of it.
pub async fn withdraw(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(END).await.map(drop)
}

pub(super) async fn look(connection: &mut PgConnection) -> Result<Restoring, sqlx::Error> {
    let (is_noted, has_tables): (bool, bool) =
        sqlx::query_as(IS_THERE).fetch_one(connection).await?;
    Ok(match (is_noted, has_tables) {
        (false, _) => Restoring::No,
        (true, false) => Restoring::BrokenOff,
        (true, true) => Restoring::Done,
    })
}

/// The database itself is marked. A second process that does so meanwhile finds the table gone.
pub(super) async fn mark(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let noted: Option<Vec<u8>> = sqlx::query_scalar(NOTED)
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(noted) = noted {
        let before: Option<Vec<u8>> = sqlx::query_scalar(RESTORATION)
            .fetch_optional(&mut *transaction)
            .await?;
        let marked = Restoration::read(&noted)
            .map_or(noted, |noted| noted.beside(before.as_deref()).to_bytes());
        sqlx::query(MARK_RESTORED)
            .bind(marked)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.execute(END).await?;
    transaction.commit().await
}
