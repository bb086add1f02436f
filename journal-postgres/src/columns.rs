//! Rows as one array per column, for `unnest`: one message each way. `copy` takes more of them
//! faster, and on a network waits for the other side before it ends: worth it from some hundred
//! rows on.

use super::sql;
use db::Result;
use sqlx::PgConnection;
use sqlx::types::Uuid;

/// Rows of `records`.
#[derive(Debug, Default)]
pub struct Records {
    /// root, seq, batch, tenant, at_us, received_us
    pub bigs: [Vec<i64>; 6],
    pub keys: Vec<Option<Uuid>>,
    /// kind, namespace
    pub smalls: [Vec<i16>; 2],
    /// source, id
    pub texts: [Vec<String>; 2],
    /// content, personal_digest, body
    pub bytes: [Vec<Vec<u8>>; 3],
    pub personals: Vec<Option<Vec<u8>>>,
    pub reporters: Vec<Option<i64>>,
}

impl Records {
    pub async fn write(&self, conn: &mut PgConnection) -> Result<u64> {
        let mut query = sqlx::query(sql::PUT_RECORDS);
        for column in &self.bigs {
            query = query.bind(column);
        }
        query = query.bind(&self.keys);
        for column in &self.smalls {
            query = query.bind(column);
        }
        for column in &self.texts {
            query = query.bind(column);
        }
        for column in &self.bytes {
            query = query.bind(column);
        }
        Ok(query
            .bind(&self.personals)
            .bind(&self.reporters)
            .execute(conn)
            .await?
            .rows_affected())
    }
}

/// Rows of `touched`.
#[derive(Debug, Default)]
pub struct Touched {
    pub roots: Vec<i64>,
    pub tenants: Vec<i64>,
    pub kinds: Vec<i16>,
    pub currencies: Vec<i32>,
    /// first_seq, last_seq, received_us
    pub bigs: [Vec<i64>; 3],
    pub seqs: Vec<Vec<u8>>,
}

impl Touched {
    pub async fn write(&self, conn: &mut PgConnection) -> Result<u64> {
        let mut query = sqlx::query(sql::PUT_TOUCHED)
            .bind(&self.roots)
            .bind(&self.tenants)
            .bind(&self.kinds)
            .bind(&self.currencies);
        for column in &self.bigs {
            query = query.bind(column);
        }
        Ok(query.bind(&self.seqs).execute(conn).await?.rows_affected())
    }
}

/// Rows of `batches`.
#[derive(Debug, Default)]
pub struct Batches {
    /// root, batch, first_seq, last_seq, records
    pub bigs: [Vec<i64>; 5],
    pub hashes: Vec<Vec<u8>>,
    pub committed: Vec<i64>,
    pub states: Vec<Vec<u8>>,
}

impl Batches {
    pub async fn write(&self, conn: &mut PgConnection) -> Result<u64> {
        let mut query = sqlx::query(sql::PUT_BATCHES);
        for column in &self.bigs {
            query = query.bind(column);
        }
        Ok(query
            .bind(&self.hashes)
            .bind(&self.committed)
            .bind(&self.states)
            .execute(conn)
            .await?
            .rows_affected())
    }
}
