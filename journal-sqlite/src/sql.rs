//! Every statement of the SQLite journal, and the helper that runs them over many rows.
//!
//! A statement of its own per row hops to the driver's thread each time; so look-ups take whole
//! `values` lists, in powers of two of rows, so that few different texts are ever prepared. Writes
//! are on their own thread already ([`db::writer`]): lists of one length there, single rows for
//! the rest.

use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use std::sync::{Arc, OnceLock};

/// The largest list has 2⁹ rows: at 15 columns well below SQLite's 32,766 parameters.
const POWER_MAX: usize = 9;
/// Rows written at once: 2^this. A list spares opening the table anew for every row.
const WRITE_POWER: usize = 6;

/// A statement with a `values` list of any length: head, `(?,…),(?,…)`, tail.
#[derive(Debug)]
pub struct Multi {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<Arc<str>>; POWER_MAX + 1],
}

impl Multi {
    pub const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self {
            head,
            columns,
            tail,
            texts: [const { OnceLock::new() }; POWER_MAX + 1],
        }
    }

    /// The text for 2^power rows.
    pub fn text(&self, power: usize) -> Arc<str> {
        Arc::clone(self.texts[power].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns].join(","));
            Arc::from(format!(
                "{}{}{}",
                self.head,
                vec![row.as_str(); 1 << power].join(","),
                self.tail
            ))
        }))
    }
}

pub static INSERT_RECORDS: Multi = Multi::new(
    "insert into records (seq, batch, root, tenant, kind, namespace, source, id, at_us, \
        received_us, content, body, personal, \
     personal_digest, reporter) values ",
    15,
    "",
);
pub static INSERT_BATCHES: Multi = Multi::new(
    "insert into batches (batch, root, first_seq, last_seq, records, hash, committed_us) values ",
    7,
    "",
);
pub static UPSERT_HEADS: Multi = Multi::new(
    "insert into heads (root, batch, hash) values ",
    3,
    " on conflict (root) do update set batch = excluded.batch, hash = excluded.hash",
);
pub static UPSERT_ACCOUNTS: Multi = Multi::new(
    "insert into accounts (tenant, kind, currency, posted, held) values ",
    5,
    " on conflict (tenant, kind, currency) do update set posted = excluded.posted, held = \
        excluded.held",
);
pub static UPSERT_CARRIES: Multi = Multi::new(
    "insert into carries (customer, links) values ",
    2,
    " on conflict (customer) do update set links = excluded.links",
);
pub static UPSERT_COUNTERS: Multi = Multi::new(
    "insert into counters (buyer, rate_key, month, quantity_nano, events, segment) values ",
    6,
    " on conflict (buyer, rate_key, month) do update set quantity_nano = excluded.quantity_nano, \
        events = excluded.events, \
     segment = excluded.segment",
);
pub static UPSERT_DISTINCT_VALUES: Multi = Multi::new(
    "insert into members (buyer, rate_key, month, value, count, at_us) values ",
    6,
    " on conflict (buyer, rate_key, month, value) do update set count = excluded.count, at_us = \
        excluded.at_us",
);
pub static UPSERT_HOLDS: Multi = Multi::new(
    "insert into holds (id, root, customer, state, expires_us, body) values ",
    6,
    " on conflict (id) do update set state = excluded.state, expires_us = excluded.expires_us, \
        body = excluded.body",
);
pub static UPSERT_AMENDMENTS: Multi = Multi::new(
    "insert into amendments (seq, kind, by) values ",
    3,
    " on conflict (seq) do update set kind = excluded.kind, by = excluded.by",
);
pub static INSERT_REPORTERS: Multi = Multi::new(
    "insert into reporters (root, namespace, reporter) values ",
    3,
    " on conflict (root, namespace, reporter) do nothing",
);
pub static INSERT_UNRATED: Multi = Multi::new("insert into unrated (root, seq) values ", 2, "");
pub static DELETE_UNRATED: Multi = Multi::new("delete from unrated where seq in (values ", 1, ")");

pub static SELECT_ACCOUNTS: Multi = Multi::new(
    "select a.tenant, a.kind, a.currency, a.posted, a.held from (values ",
    3,
    ") k cross join accounts a on a.tenant = k.column1 and a.kind = k.column2 and a.currency = \
        k.column3",
);
pub static SELECT_CARRIES: Multi = Multi::new(
    "select c.customer, c.links from (values ",
    1,
    ") k cross join carries c on c.customer = k.column1",
);
pub static SELECT_COUNTERS: Multi = Multi::new(
    "select c.buyer, c.rate_key, c.month, c.quantity_nano, c.events, c.segment from (values ",
    3,
    ") k cross join counters c on c.buyer = k.column1 and c.rate_key = k.column2 and c.month = \
        k.column3",
);
pub static SELECT_DISTINCT_VALUES: Multi = Multi::new(
    "select m.buyer, m.rate_key, m.month, m.value, m.count, m.at_us from (values ",
    4,
    ") k cross join members m on m.buyer = k.column1 and m.rate_key = k.column2 and m.month = \
        k.column3 and m.value = k.column4",
);
pub static SELECT_ALL_DISTINCT_VALUES: Multi = Multi::new(
    "select m.buyer, m.rate_key, m.month, m.value, m.count, m.at_us from (values ",
    3,
    ") k cross join members m on m.buyer = k.column1 and m.rate_key = k.column2 and m.month = \
        k.column3",
);
pub static SELECT_HOLDS: Multi = Multi::new(
    "select h.body from (values ",
    1,
    ") k cross join holds h on h.id = k.column1",
);
pub static SELECT_AMENDMENTS: Multi = Multi::new(
    "select a.seq, a.kind, a.by from (values ",
    1,
    ") k cross join amendments a on a.seq = k.column1",
);
pub static SELECT_RECORDS: Multi = Multi::new(
    "select r.seq, r.root, r.tenant, r.kind, r.namespace, r.source, r.id, r.at_us, r.received_us, \
        r.content, r.body, r.personal, \
     r.personal_digest, r.reporter from (values ",
    1,
    ") k cross join records r on r.seq = k.column1",
);
pub static INSERT_BLOCKS: Multi = Multi::new("insert into index_blocks (id, data) values ", 2, "");
pub static SELECT_BLOCKS: Multi = Multi::new(
    "select b.id, b.data from (values ",
    1,
    ") k cross join index_blocks b on b.id = k.column1",
);

pub const RECORDS_UP: &str = "select seq, root, tenant, kind, namespace, source, id, at_us, \
    received_us, content, body, personal, \
     personal_digest, reporter from records where seq > ? order by seq limit ?";
pub const RECORDS_DOWN: &str = "select seq, root, tenant, kind, namespace, source, id, at_us, \
    received_us, content, body, personal, \
     personal_digest, reporter from records where seq < ? order by seq desc limit ?";
pub const UNRATED_UP: &str =
    "select seq from unrated where root = ? and seq > ? order by seq limit ?";
pub const UNRATED_DOWN: &str =
    "select seq from unrated where root = ? and seq < ? order by seq desc limit ?";
pub const EVERY_UNRATED_UP: &str = "select seq from unrated where seq > ? order by seq limit ?";
pub const EVERY_UNRATED_DOWN: &str =
    "select seq from unrated where seq < ? order by seq desc limit ?";

pub const LAST_SEQ: &str = "select coalesce(max(seq), 0) from records";
pub const LAST_BATCH: &str = "select coalesce(max(batch), 0) from batches";
pub const LAST_COMMITTED: &str = "select committed_us from batches order by batch desc limit 1";
pub const HEADS: &str = "select root, batch, hash from heads";
pub const REPORTERS: &str = "select root, namespace, reporter from reporters";
pub const GET_META: &str = "select value from meta where name = ?";
pub const PUT_META: &str = "insert into meta (name, value) values (?, ?)";

pub const TAIL: &str = "select seq, root, tenant, namespace, source, id, body, kind, received_us \
    from records \
     where seq > ? order by seq limit ?";
/// The same, with what an identity is made of.
pub const TAIL_KEYS: &str = "select seq, root, tenant, namespace, source, id, body, kind, \
    received_us, reporter from records \
     where seq > ? order by seq limit ?";
pub const LIVE_RUNS: &str = "select run, level, first_seq, last_seq, ids, ids_filter, ids_keys, \
    lists, lists_filter, lists_keys \
     from index_runs where state = 1 order by first_seq";
pub const OTHER_RUNS: &str = "select run from index_runs where state <> 1";
pub const LAST_RUN: &str = "select coalesce(max(run), 0) from index_runs";
pub const BEGIN_RUN: &str = "insert into index_runs (run, state, level, first_seq, last_seq, ids, \
    ids_filter, ids_keys, lists, \
     lists_filter, lists_keys) values (?, 0, ?, ?, ?, x'', x'', 0, x'', x'', 0)";
pub const PUBLISH_RUN: &str = "update index_runs set state = 1, ids = ?, ids_filter = ?, ids_keys \
    = ?, lists = ?, lists_filter = ?, \
     lists_keys = ? where run = ?";
pub const RETIRE_RUN: &str = "update index_runs set state = 2 where run = ?";
pub const DELETE_BLOCKS: &str = "delete from index_blocks where id in (select id from \
    index_blocks where id >= ? and id < ? order by id limit ?)";
pub const DELETE_RUN: &str = "delete from index_runs where run = ?";

pub const OPEN_HOLDS: &str = "select body from holds where state = 1";
pub const HELD_ACCOUNTS: &str =
    "select tenant, kind, currency, posted, held from accounts where held <> 0";
pub const SET_META: &str = "insert into meta (name, value) values (?, ?) on conflict (name) do \
    update set value = excluded.value";
pub const RETIRE_ALL: &str = "update index_runs set state = 2";

pub const AUDIT_ROWS: &str = "select seq, batch, root, tenant, kind, namespace, source, id, \
    at_us, received_us, content, body, personal, \
     personal_digest, reporter from records where seq > ? order by seq limit ?";
pub const AUDIT_IDENTITIES: &str = "select seq, root, namespace, source, id, reporter from \
    records where seq > ? order by seq limit ?";
/// A file that no server of today has opened yet has records without a reporter.
pub const HAS_REPORTERS: &str =
    "select exists (select 1 from pragma_table_info('records') where name = 'reporter')";
pub const AUDIT_ROWS_BEFORE: &str = "select seq, batch, root, tenant, kind, namespace, source, \
    id, at_us, received_us, content, body, \
     personal, personal_digest, null from records where seq > ? order by seq limit ?";
pub const AUDIT_IDENTITIES_BEFORE: &str =
    "select seq, root, namespace, source, id, null from records where seq > ? order by seq limit ?";
pub const AUDIT_BATCHES: &str = "select batch, root, first_seq, last_seq, records, hash, \
    committed_us from batches \
     where batch > ? and batch <= ? order by batch, root";
pub const AUDIT_KEYS: &str = "select id, personal_key from tenants where personal_key is not null";
pub const AUDIT_ACCOUNTS: &str = "select tenant, kind, currency, posted, held from accounts";
pub const AUDIT_CARRIES: &str = "select customer, links from carries";
pub const AUDIT_COUNTERS: &str =
    "select buyer, rate_key, month, quantity_nano, events, segment from counters";
/// Likewise counters without a segment.
pub const HAS_SEGMENTS: &str =
    "select exists (select 1 from pragma_table_info('counters') where name = 'segment')";
pub const AUDIT_COUNTERS_BEFORE: &str =
    "select buyer, rate_key, month, quantity_nano, events, null from counters";
pub const AUDIT_AMENDMENTS: &str = "select seq, kind, by from amendments";

/// With the instant of its commit, and whether it is kept (as kind 2, or in part as kind 1) and
/// still to be rated.
pub const EXPORT_RECORDS: &str = "select r.seq, r.root, r.tenant, r.kind, r.namespace, r.source, \
    r.id, r.at_us, r.received_us, \
     r.content, r.body, r.personal, r.personal_digest, b.committed_us, \
     r.kind <= 2 and exists (select 1 from unrated u where u.seq = r.seq), r.reporter \
     from records r cross join batches b on b.batch = r.batch and b.root = r.root where r.seq > ? \
     order by r.seq limit ?";
pub const EXPORT_HOLDS: &str = "select body from holds where id >= ? order by id limit ?";
pub const EXPORT_DISTINCT_VALUES: &str =
    "select buyer, rate_key, month, value, count, at_us from members";
pub const EXPORT_HOMES: &str = "select id, root_id from tenants";
pub const EXPORT_PLATFORM: &str = "select id from tenants where kind = 'platform'";

#[cfg(test)]
pub static EVERY_MULTI: &[&Multi] = &[
    &INSERT_RECORDS,
    &INSERT_BATCHES,
    &UPSERT_HEADS,
    &UPSERT_ACCOUNTS,
    &UPSERT_CARRIES,
    &UPSERT_COUNTERS,
    &UPSERT_DISTINCT_VALUES,
    &UPSERT_HOLDS,
    &UPSERT_AMENDMENTS,
    &INSERT_REPORTERS,
    &INSERT_UNRATED,
    &DELETE_UNRATED,
    &SELECT_ACCOUNTS,
    &SELECT_CARRIES,
    &SELECT_COUNTERS,
    &SELECT_DISTINCT_VALUES,
    &SELECT_ALL_DISTINCT_VALUES,
    &SELECT_HOLDS,
    &SELECT_AMENDMENTS,
    &SELECT_RECORDS,
    &INSERT_BLOCKS,
    &SELECT_BLOCKS,
];
#[cfg(test)]
pub const EVERY: &[&str] = &[
    RECORDS_UP,
    RECORDS_DOWN,
    UNRATED_UP,
    UNRATED_DOWN,
    EVERY_UNRATED_UP,
    EVERY_UNRATED_DOWN,
    LAST_SEQ,
    LAST_BATCH,
    LAST_COMMITTED,
    HEADS,
    REPORTERS,
    GET_META,
    PUT_META,
    TAIL,
    TAIL_KEYS,
    HAS_REPORTERS,
    AUDIT_ROWS_BEFORE,
    AUDIT_IDENTITIES_BEFORE,
    LIVE_RUNS,
    OTHER_RUNS,
    LAST_RUN,
    BEGIN_RUN,
    PUBLISH_RUN,
    RETIRE_RUN,
    DELETE_BLOCKS,
    DELETE_RUN,
    OPEN_HOLDS,
    HELD_ACCOUNTS,
    SET_META,
    RETIRE_ALL,
    AUDIT_ROWS,
    AUDIT_IDENTITIES,
    AUDIT_BATCHES,
    AUDIT_KEYS,
    AUDIT_ACCOUNTS,
    AUDIT_CARRIES,
    AUDIT_COUNTERS,
    AUDIT_AMENDMENTS,
    EXPORT_RECORDS,
    EXPORT_HOLDS,
    EXPORT_DISTINCT_VALUES,
    EXPORT_HOMES,
    EXPORT_PLATFORM,
];

/// The values of a look-up's keys. A value that does not encode is reported by `select`.
#[derive(Debug, Default)]
pub struct Values {
    args: SqliteArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.add(value)
    }
    pub fn text(&mut self, value: String) -> &mut Self {
        self.add(value)
    }
    fn add<'v, T: sqlx::Encode<'v, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
        &mut self,
        value: T,
    ) -> &mut Self {
        if let Err(error) = self.args.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
    fn into_arguments(self) -> Result<SqliteArguments, sqlx::Error> {
        match self.failed {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok(self.args),
        }
    }
}

/// The values of the rows of a writing statement, bound one after the other from where they lie.
#[derive(Debug)]
pub struct Binder<'s, 'c> {
    statement: &'s mut rusqlite::Statement<'c>,
    bound: usize,
}

impl Binder<'_, '_> {
    pub fn int(&mut self, value: i64) -> rusqlite::Result<&mut Self> {
        self.bind(ValueRef::Integer(value))
    }
    pub fn text(&mut self, value: &str) -> rusqlite::Result<&mut Self> {
        self.bind(ValueRef::Text(value.as_bytes()))
    }
    pub fn blob(&mut self, value: &[u8]) -> rusqlite::Result<&mut Self> {
        self.bind(ValueRef::Blob(value))
    }
    pub fn null(&mut self) -> rusqlite::Result<&mut Self> {
        self.bind(ValueRef::Null)
    }
    fn bind(&mut self, value: ValueRef<'_>) -> rusqlite::Result<&mut Self> {
        self.bound += 1;
        self.statement
            .raw_bind_parameter(self.bound, ToSqlOutput::Borrowed(value))?;
        Ok(self)
    }
}

/// Splits `len` rows into powers of two, largest first.
fn powers(mut len: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let power = (len.checked_ilog2()? as usize).min(POWER_MAX);
        len -= 1 << power;
        Some(power)
    })
}

/// Runs a writing statement over all rows, on the writing thread.
pub fn write<T>(
    connection: &rusqlite::Connection,
    multi: &'static Multi,
    rows: &[T],
    bind: impl Fn(&mut Binder<'_, '_>, &T) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    write_numbered(connection, multi, rows, |binder, _, row| bind(binder, row))
}

/// [`write`], and `bind` hears the row's place.
pub fn write_numbered<T>(
    connection: &rusqlite::Connection,
    multi: &'static Multi,
    rows: &[T],
    bind: impl Fn(&mut Binder<'_, '_>, usize, &T) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let lists = rows.len() & !((1 << WRITE_POWER) - 1);
    for (power, range) in [(WRITE_POWER, 0..lists), (0, lists..rows.len())] {
        if range.is_empty() {
            continue;
        }
        let mut statement = connection.prepare_cached(&multi.text(power))?;
        for start in range.step_by(1 << power) {
            let mut binder = Binder {
                statement: &mut statement,
                bound: 0,
            };
            (start..start + (1 << power))
                .try_for_each(|index| bind(&mut binder, index, &rows[index]))?;
            statement.raw_execute()?;
        }
    }
    Ok(())
}

/// Runs a look-up over all keys and hands every row found to `each`, in no particular order.
pub async fn select<T, E: From<sqlx::Error>>(
    conn: &mut SqliteConnection,
    multi: &'static Multi,
    keys: Vec<T>,
    bind: impl Fn(&mut Values, T),
    mut each: impl FnMut(&SqliteRow) -> Result<(), E>,
) -> Result<(), E> {
    let powers = powers(keys.len());
    let mut keys = keys.into_iter();
    for power in powers {
        let args = chunk(multi, power, &mut keys, &bind)?;
        let rows = sqlx::query_with(AssertSqlSafe(multi.text(power)), args)
            .fetch_all(&mut *conn)
            .await?;
        rows.iter().try_for_each(&mut each)?;
    }
    Ok(())
}

fn chunk<T>(
    multi: &Multi,
    power: usize,
    rows: &mut impl Iterator<Item = T>,
    bind: &impl Fn(&mut Values, T),
) -> Result<SqliteArguments, sqlx::Error> {
    let mut values = Values::default();
    values.args.reserve(multi.columns << power, 0);
    rows.take(1 << power).for_each(|row| bind(&mut values, row));
    values.into_arguments()
}

#[cfg(test)]
mod tests {
    use super::*;
    use db::Db;
    use sqlx::{Executor, SqlStr};

    #[test]
    fn rows_are_split_into_powers_of_two() {
        assert_eq!(powers(0).count(), 0);
        assert_eq!(powers(1).collect::<Vec<_>>(), [0]);
        assert_eq!(
            powers(1000).collect::<Vec<_>>(),
            [8, 7, 6, 5, 3].iter().fold(vec![9], |mut all, &p| {
                all.push(p);
                all
            })
        );
        assert_eq!(powers(10_000).map(|p| 1 << p).sum::<usize>(), 10_000);
    }

    #[tokio::test]
    async fn every_statement_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let Db::Sqlite(db) = Db::open_sqlite(&dir.path().join("centwise.db"))
            .await
            .unwrap()
        else {
            unreachable!()
        };
        let mut conn = db.writer.lock().await;
        for multi in EVERY_MULTI {
            for power in [0, POWER_MAX] {
                let text = multi.text(power);
                conn.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(Arc::clone(
                    &text,
                ))))
                .await
                .unwrap_or_else(|e| panic!("{text}: {e}"));
            }
        }
        for text in EVERY {
            conn.prepare(SqlStr::from_static(text))
                .await
                .unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }
}
