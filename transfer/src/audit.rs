//! The audit of a whole database: the journal, and that what was logged and published stays as it
//! was.

use db::{Db, NO_TIMEOUT, Result, SNAPSHOT, SqlError, acknowledged};
use journal::Check;
use sqlx::Connection;
use std::path::Path;

/// Audits an open database, wherever it is.
///
/// # Errors
/// It cannot be read.
pub async fn verify(db: &Db) -> Result<Vec<Check>> {
    match db {
        Db::Sqlite(db) => verify_file(db.file()).await,
        Db::Postgres(_) => verify_database(db).await,
    }
}

/// Audits a database file, also beside a running server: it reads snapshots and writes nothing.
///
/// # Errors
/// It cannot be read.
pub async fn verify_file(file: &Path) -> Result<Vec<Check>> {
    let mut conn = db::open_sqlite_read_only(file).await?;
    let lost = acknowledged::missing(file, &mut conn).await?;
    let mut checks = journal_sqlite::verify(&mut conn).await?;
    let mut snapshot = conn.begin().await?;
    checks.extend(catalog::checks_of_sqlite(&mut snapshot).await?);
    checks.push(Check {
        name: "acknowledged".to_owned(),
        ok: lost.is_none(),
        examined: 1,
        differences: lost.into_iter().collect(),
    });
    Ok(checks)
}

/// Audits a database, also beside running servers: it reads snapshots and writes nothing.
///
/// # Errors
/// It cannot be read, or is not on PostgreSQL.
pub async fn verify_database(db: &Db) -> Result<Vec<Check>> {
    let Db::Postgres(db) = db else {
        return Err(SqlError::unavailable("this is not a PostgreSQL database"));
    };
    let mut checks = journal_postgres::verify(&db.pool).await?;
    let mut snapshot = db.pool.begin_with(SNAPSHOT).await?;
    sqlx::raw_sql(NO_TIMEOUT).execute(&mut *snapshot).await?;
    checks.extend(catalog::checks_of_postgres(&mut snapshot).await?);
    Ok(checks)
}
