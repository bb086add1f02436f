//! What a backup says of the database in it, so that a restore can compare.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sqlite,
    Postgresql,
}

impl Kind {
    /// Numbers of the migrations that this program knows.
    pub fn migrations(self) -> Vec<i64> {
        let migrations = match self {
            Self::Sqlite => &db::SQLITE_MIGRATIONS,
            Self::Postgresql => &db::POSTGRES_MIGRATIONS,
        };
        migrations
            .iter()
            .map(|migration| migration.version)
            .collect()
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Numbers of the migrations that its tables come from.
    pub migrations: Vec<i64>,
    /// Records of the journal, ever.
    pub records: i64,
    pub tenants: i64,
    pub agreements: i64,
    pub card_versions: i64,
    pub api_keys: i64,
}

pub(super) const MIGRATIONS: &str = "select version from _sqlx_migrations order by version";
/// Tenants, agreements, card versions, keys.
pub(super) const COUNTS: &str = "select (select count(*) from tenants), (select count(*) from \
    agreements), \
     (select count(*) from card_versions), (select count(*) from api_keys)";

impl Contents {
    pub(super) const fn new(
        migrations: Vec<i64>,
        records: i64,
        (tenants, agreements, card_versions, api_keys): (i64, i64, i64, i64),
    ) -> Self {
        Self {
            migrations,
            records,
            tenants,
            agreements,
            card_versions,
            api_keys,
        }
    }

    /// Are the tables of a newer program than this one?
    pub fn is_newer(&self, kind: Kind) -> bool {
        let known = kind.migrations();
        self.migrations
            .iter()
            .any(|migration| !known.contains(migration))
    }

    /// The same rows, whichever migrations came since.
    pub fn same_rows(&self, other: &Self) -> bool {
        let counts = |of: &Self| {
            (
                of.records,
                of.tenants,
                of.agreements,
                of.card_versions,
                of.api_keys,
            )
        };
        counts(self) == counts(other)
    }
}
