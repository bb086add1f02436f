//! The migrated database that every test's own is copied from.

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, migrate::Migrator};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Makes it unless it is there; its name. It is named after the migrations, so that it fits whoever
/// finds it.
pub(crate) async fn prepare(url: &str) -> anyhow::Result<String> {
    let name = name();
    let options: PgConnectOptions = url_of(url, "postgres")?.parse()?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .context("cannot connect")?;
    // One test process at a time; the lock goes with the connection.
    sqlx::query("select pg_advisory_lock(hashtextextended($1, 0))")
        .bind(&name)
        .execute(&mut connection)
        .await?;
    let found: Option<(bool,)> =
        sqlx::query_as("select datistemplate from pg_database where datname = $1")
            .bind(&name)
            .fetch_optional(&mut connection)
            .await?;
    if found != Some((true,)) {
        // One that is no template was given up half-way.
        for statement in [
            format!("drop database if exists {name} with (force)"),
            format!("create database {name} encoding 'UTF8' template template0"),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        let mut inside = PgConnection::connect(&url_of(url, &name)?).await?;
        MIGRATIONS
            .run(&mut inside)
            .await
            .context("the migrations fail")?;
        inside.close().await?;
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "alter database {name} is_template true"
        )))
        .execute(&mut connection)
        .await?;
    }
    connection.close().await?;
    Ok(name)
}

fn name() -> String {
    // FNV-1a over the migrations' own checksums.
    let bytes = MIGRATIONS
        .iter()
        .flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("centwise_template_{hash:016x}")
}

/// The URL of another database of the same server.
pub(crate) fn url_of(url: &str, database: &str) -> anyhow::Result<String> {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").context("expected postgres://…")?;
    let server = rest.split_once('/').map_or(rest, |(server, _)| server);
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Ok(format!("{scheme}://{server}/{database}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_another_database() {
        assert_eq!(
            url_of("postgres://a:b@h:5/x?sslmode=require", "y").unwrap(),
            "postgres://a:b@h:5/y?sslmode=require"
        );
        assert_eq!(url_of("postgres://h", "y").unwrap(), "postgres://h/y");
    }
}
