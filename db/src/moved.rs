//! An embedded database that was moved to PostgreSQL says so in itself: whoever opened it to write
//! would begin a second set of the same books. It can still be read.

use super::{lock_beside, options};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::Path;

const MARK: &str = "insert into meta (name, value) values ('moved', $1) on conflict (name) do \
    update set value = excluded.value";
const MARKED: &str = "select value from meta where name = 'moved'";
const TAKE_BACK: &str = "delete from meta where name = 'moved'";

/// `to`: the new database as messages name it.
pub async fn mark(connection: &mut SqliteConnection, to: &str) -> Result<(), sqlx::Error> {
    sqlx::query(MARK)
        .bind(to.as_bytes())
        .execute(connection)
        .await?;
    Ok(())
}

/// What to say to whoever opens it, if it was moved.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    file: &Path,
) -> Result<Option<String>, sqlx::Error> {
    let to: Option<Vec<u8>> = sqlx::query_scalar(MARKED)
        .fetch_optional(connection)
        .await?;
    Ok(to.map(|to| {
        format!(
            "{} was moved to {}: serve that one, with --database-url. If nobody served it yet and \
                the move shall not count, say \
             `centwise migrate-store --take-back`",
            file.display(),
            String::from_utf8_lossy(&to)
        )
    }))
}

/// The move does not count: the file may be opened again. False: it was not moved.
///
/// # Errors
/// Another process has the file, or it is no database of Centwise.
pub async fn take_back(file: &Path) -> Result<bool, sqlx::Error> {
    let _lock = lock_beside(file).await?;
    let mut connection = options(file).connect().await?;
    let done = take_back_in(&mut connection).await?;
    connection.close().await?;
    Ok(done)
}

pub async fn take_back_in(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query(TAKE_BACK)
        .execute(connection)
        .await?
        .rows_affected()
        > 0)
}
