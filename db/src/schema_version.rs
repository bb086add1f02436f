//! How new the tables are: a program does not open a database that a newer one has changed.

use sqlx::migrate::Migrator;

/// Newest first; none: no server ever began here.
pub const NEWEST: &str = "select coalesce(max(version), 0) from _sqlx_migrations";

/// The newest tables that this program knows.
pub fn known() -> i64 {
    newest(&crate::SQLITE_MIGRATIONS).max(newest(&crate::POSTGRES_MIGRATIONS))
}

fn newest(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// What to say of a database whose tables are of this version, if this program does not know them.
pub fn newer(stored: i64) -> Option<String> {
    let known = known();
    (stored > known).then(|| {
        format!(
            "this program is older than the database: it knows tables up to version {known} \
                (centwise {}), and these are of version \
             {stored}. Use the newer program again, or restore a backup from before the upgrade",
            env!("CARGO_PKG_VERSION")
        )
    })
}
