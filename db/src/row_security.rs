//! The second wall: what is read for one root is read as a role that row-level security keeps to
//! that root.
//!
//! The first fence is the code, which asks for a caller's own subtree only. Should a statement ever
//! forget to, this role shows it nothing of another root. It costs a second round trip, so it
//! stands where a caller's key reads records, and not where the server itself reads (to
//! authenticate, to price, to post).

use super::Postgres;
use rating::TenantId;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

/// What it may read; nothing else, and it may write nothing.
const TABLES: &[&str] = &[
    "tenants",
    "rate_cards",
    "card_versions",
    "agreements",
    "meters",
    "api_keys",
    "audit_log",
    "column_maps",
    "settings",
    "top_ups",
    "payments",
    "refunds",
    "webhook_endpoints",
    "contacts",
    "notices",
    "deliveries",
    "balance_thresholds",
    "commission_months",
    "commission_positions",
    "commission_customers",
    "payout_settings",
    "payouts",
    "auto_top_ups",
];

const MAKE: &str = "create role centwise_reader nologin";
const JOIN: &str = "grant centwise_reader to current_user";
const IS_MADE: &str = "select exists (select 1 from pg_roles where rolname = 'centwise_reader')";
const IS_JOINED: &str = "select pg_has_role(current_user, 'centwise_reader', 'member')";
/// The schema and the tables in it that it may not read yet.
const NOT_GRANTED: &str = concat!(
    "select format('grant usage on schema %I to centwise_reader', current_schema()) where not \
        has_schema_privilege('centwise_reader', current_schema(), 'usage')",
    " union all select format('grant select on %I to centwise_reader', name) from \
        unnest($1::text[]) as name",
    " where not has_table_privilege('centwise_reader', quote_ident(name), 'select')"
);

/// A connection to read with.
#[derive(Debug)]
pub enum Reader {
    /// As the server: every row.
    Open(PoolConnection<sqlx::Postgres>),
    /// In a transaction that sees one root and changes nothing.
    Walled(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Reader {
    pub fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Open(connection) => connection,
            Self::Walled(transaction) => transaction,
        }
    }
}

impl Postgres {
    /// To read everything, or rows of one root only.
    pub async fn reader(&self, root: Option<TenantId>) -> Result<Reader, sqlx::Error> {
        match root {
            Some(root) if self.has_row_security => {
                let begin = format!(
                    "begin read only; set local role centwise_reader; set local centwise.roots = \
                        '{}'",
                    root.0
                );
                Ok(Reader::Walled(
                    self.pool.begin_with(AssertSqlSafe(begin)).await?,
                ))
            }
            _ => Ok(Reader::Open(self.pool.acquire().await?)),
        }
    }
}

/// Makes the role, and its grants, unless they are there. False: this user may not.
pub(super) async fn raise(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for (is_done, doing) in [(IS_MADE, MAKE), (IS_JOINED, JOIN)] {
        let (done,): (bool,) = sqlx::query_as(is_done).fetch_one(&mut *connection).await?;
        if !done && !was_allowed(connection.execute(doing).await)? {
            return Ok(false);
        }
    }
    let missing: Vec<(String,)> = sqlx::query_as(NOT_GRANTED)
        .bind(TABLES)
        .fetch_all(&mut *connection)
        .await?;
    for (grant,) in missing {
        if !was_allowed(connection.execute(AssertSqlSafe(grant)).await)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn was_allowed<T>(result: Result<T, sqlx::Error>) -> Result<bool, sqlx::Error> {
    let insufficient_privilege = |error: &sqlx::Error| {
        error
            .as_database_error()
            .is_some_and(|error| error.code().as_deref() == Some("42501"))
    };
    match result {
        Ok(_) => Ok(true),
        Err(error) if insufficient_privilege(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
