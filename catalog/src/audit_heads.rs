//! That rows stay as they were written: for each root its audit log as one hash chain, and of
//! agreements, published prices and keys the sums of the digests of their rows. `verify` works both
//! out again from the rows.
//!
//! Invariants: whoever changes such a row changes the sum in the same transaction, an entry of the
//! log lengthens the chain, and the root is held meanwhile. New roots begin with nothing; those
//! from before begin, all at once, with what is there when the first server starts that knows of
//! this. None of it is secret: whoever may write the database can make it anew, but not by mistake.

use super::{Catalog, Result};
use db::NO_TIMEOUT;
use db::sql::{Tx, change, corrupt, fetch_any, insert_many, look, read, statements, write};
use futures_util::TryStreamExt;
use journal::Check;
use rating::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Changes whenever what is hashed does.
const DOMAIN: &[u8] = b"centwise audit log 1";
/// What tells of a record of the journal, by its seq: where the books move to PostgreSQL, it has
/// another.
pub const OF_RECORDS: [&str; 2] = ["top_up", "adjustment"];
/// Of one check.
const DIFFERENCES_MAX: usize = 10;

macro_rules! entry {
    () => {
        "root_id, id, tenant_id, at, actor_key_id, actor_tenant_id, resource, resource_id, \
            action, before_json, after_json, reason, request_id"
    };
}
macro_rules! agreement {
    () => {
        "root_id, id, buyer_id, seller_id, currency, pricing, rate_card_id, commission_bp, \
            collect, credit_limit_cents, on_exhausted, \
         credit_cap_cents, author_id, refused_by, floor_card_id, free_retail, from_at, until_at"
    };
}
/// A draft may change.
macro_rules! version {
    () => {
        "root_id, id, card_id, number, effective_from, created_at, created_by, published_at, \
            published_by, approved_by, doc"
    };
}
/// Without when it was last used.
macro_rules! key {
    () => {
        "root_id, id, tenant_id, scope, name, hash, created_at, expires_at, revoked_at, made_by"
    };
}

statements! {
    HEAD = "select root_id, entries, hash, agreements, card_versions, api_keys from audit_heads \
        where root_id = $1";
    HEADS = "select root_id, entries, hash, agreements, card_versions, api_keys from audit_heads \
        order by root_id";
    BEGUN = "select exists (select 1 from audit_heads)";
    BEGIN = "insert into audit_heads (root_id, entries, hash, agreements, card_versions, \
        api_keys) values ($1, $2, $3, $4, $5, $6)";
    PUT = "update audit_heads set entries = $2, hash = $3, agreements = $4, card_versions = $5, \
        api_keys = $6 where root_id = $1";
    ROOTS = "select id from tenants where id = root_id order by id";
    ENTRY = concat!("select ", entry!(), " from audit_log where root_id = $1 and id = $2");
    AGREEMENTS = concat!("select ", agreement!(), " from agreements where id in ($1)");
    VERSIONS = concat!("select ", version!(), " from card_versions where status = 'published' and \
        id in ($1)");
    KEYS = concat!("select ", key!(), " from api_keys where id in ($1)");
    EVERY_ENTRY = concat!("select ", entry!(), " from audit_log order by root_id, id");
    EVERY_AGREEMENT = concat!("select ", agreement!(), " from agreements");
    EVERY_VERSION = concat!("select ", version!(), " from card_versions where status = 'published'");
    EVERY_KEY = concat!("select ", key!(), " from api_keys");
}

const HAS_HEADS: &str =
    "select exists (select 1 from sqlite_master where type = 'table' and name = 'audit_heads')";

#[derive(Debug, FromRow, Serialize)]
struct Entry {
    root_id: i64,
    id: i64,
    tenant_id: i64,
    at: i64,
    actor_key_id: Option<i64>,
    actor_tenant_id: i64,
    resource: String,
    resource_id: String,
    action: String,
    before_json: Option<String>,
    after_json: Option<String>,
    reason: Option<String>,
    request_id: String,
}

#[derive(Debug, FromRow, Serialize)]
struct AgreementRow {
    root_id: i64,
    id: i64,
    buyer_id: i64,
    seller_id: i64,
    currency: String,
    pricing: String,
    rate_card_id: Option<i64>,
    commission_bp: Option<i64>,
    collect: String,
    credit_limit_cents: Option<i64>,
    on_exhausted: String,
    credit_cap_cents: Option<i64>,
    author_id: Option<i64>,
    refused_by: Option<i64>,
    floor_card_id: Option<i64>,
    free_retail: i64,
    from_at: i64,
    until_at: Option<i64>,
}

#[derive(Debug, FromRow, Serialize)]
struct VersionRow {
    root_id: i64,
    id: i64,
    card_id: i64,
    number: i64,
    effective_from: Option<i64>,
    created_at: i64,
    created_by: Option<i64>,
    published_at: Option<i64>,
    published_by: Option<i64>,
    approved_by: Option<i64>,
    doc: Vec<u8>,
}

#[derive(Debug, FromRow, Serialize)]
struct KeyRow {
    root_id: i64,
    id: i64,
    tenant_id: i64,
    scope: String,
    name: String,
    hash: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    made_by: Option<i64>,
}

/// What is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Agreements,
    Versions,
    Keys,
}

const TABLES: [(Table, &str); 3] = [
    (Table::Agreements, "agreements"),
    (Table::Versions, "card_versions"),
    (Table::Keys, "api_keys"),
];

/// Of digests, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u64; 4]);

impl Sum {
    fn with(self, other: Self, each: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|part| {
            each(self.0[part], other.0[part])
        }))
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, u64::wrapping_add)
    }

    fn minus(self, other: Self) -> Self {
        self.with(other, u64::wrapping_sub)
    }

    /// A row alone.
    fn of(row: &impl Serialize) -> Result<Self, sqlx::Error> {
        Self::read(blake3::hash(&postcard::to_stdvec(row).map_err(corrupt)?).as_bytes())
    }

    fn read(bytes: &[u8]) -> Result<Self, sqlx::Error> {
        let bytes: &[u8; 32] = bytes
            .try_into()
            .map_err(|_| corrupt("a sum of other than 32 bytes"))?;
        let part = |part: usize| std::array::from_fn(|at| bytes[part * 8 + at]);
        Ok(Self(std::array::from_fn(|index| {
            u64::from_le_bytes(part(index))
        })))
    }

    fn bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|part| part.to_le_bytes()).collect()
    }
}

/// By root: taken before a change, and given back after it.
pub type Sums = BTreeMap<i64, Sum>;

/// Where a root has got to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Head {
    entries: i64,
    hash: [u8; 32],
    sums: [Sum; 3],
}

#[derive(Debug, FromRow)]
struct HeadRow {
    root_id: i64,
    entries: i64,
    hash: Vec<u8>,
    agreements: Vec<u8>,
    card_versions: Vec<u8>,
    api_keys: Vec<u8>,
}

impl HeadRow {
    fn head(&self) -> Result<Head, sqlx::Error> {
        let hash = self
            .hash
            .as_slice()
            .try_into()
            .map_err(|_| corrupt("a hash of other than 32 bytes"))?;
        let sums = [
            Sum::read(&self.agreements)?,
            Sum::read(&self.card_versions)?,
            Sum::read(&self.api_keys)?,
        ];
        Ok(Head {
            entries: self.entries,
            hash,
            sums,
        })
    }
}

impl Head {
    fn lengthen(&mut self, entry: Entry) -> Result<(), sqlx::Error> {
        let moves = OF_RECORDS.contains(&entry.resource.as_str())
            && entry.resource_id.parse::<i64>().is_ok();
        let entry = if moves {
            Entry {
                resource_id: String::new(),
                ..entry
            }
        } else {
            entry
        };
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(DOMAIN)
            .update(&self.hash)
            .update(&postcard::to_stdvec(&entry).map_err(corrupt)?);
        self.hash = *hasher.finalize().as_bytes();
        self.entries += 1;
        Ok(())
    }

    fn add(&mut self, table: Table, row: &impl Serialize) -> Result<(), sqlx::Error> {
        let sum = &mut self.sums[table as usize];
        *sum = sum.plus(Sum::of(row)?);
        Ok(())
    }
}

async fn head_of(tx: &mut Tx<'_>, root: i64) -> Result<Option<Head>> {
    Ok(look!(tx, fetch_optional as HeadRow, HEAD, root)?
        .map(|row| row.head())
        .transpose()?)
}

async fn put(tx: &mut Tx<'_>, root: i64, head: &Head) -> Result<()> {
    let [agreements, versions, keys] = head.sums.map(Sum::bytes);
    change!(
        tx,
        PUT,
        root,
        head.entries,
        head.hash.as_slice(),
        agreements,
        versions,
        keys
    )?;
    Ok(())
}

async fn begin(tx: &mut Tx<'_>, heads: &[(i64, Head)]) -> Result<()> {
    let _begun = insert_many!(
        tx,
        BEGIN,
        heads,
        |row| row.0,
        row.1.entries,
        row.1.hash.as_slice(),
        row.1.sums[0].bytes(),
        row.1.sums[1].bytes(),
        row.1.sums[2].bytes(),
    );
    Ok(())
}

/// New roots, of which there is nothing yet. In a database from before they begin with the others.
pub async fn begin_new(tx: &mut Tx<'_>, roots: &[TenantId], with_platform: bool) -> Result<()> {
    let (begun,) = look!(&mut *tx, fetch_one as (bool,), BEGUN)?;
    if !begun && !with_platform {
        return Ok(());
    }
    let heads: Vec<(i64, Head)> = roots.iter().map(|root| (root.0, Head::default())).collect();
    begin(tx, &heads).await
}

/// An entry of a root's log that is there now.
pub async fn lengthened(tx: &mut Tx<'_>, root: TenantId, id: i64) -> Result<()> {
    let Some(mut head) = head_of(tx, root.0).await? else {
        return Ok(());
    };
    head.lengthen(look!(tx, fetch_one as Entry, ENTRY, root.0, id)?)?;
    put(tx, root.0, &head).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowId(i64);

/// What rows come to as they are: to be taken before they are changed.
pub async fn sums_of(tx: &mut Tx<'_>, table: Table, ids: &[i64]) -> Result<Sums> {
    let ids: Vec<RowId> = ids.iter().copied().map(RowId).collect();
    let mut sums = Sums::new();
    let mut add = |root: i64, sum: Sum| {
        let of_root = sums.entry(root).or_default();
        *of_root = of_root.plus(sum);
    };
    match table {
        Table::Agreements => {
            for row in fetch_any!(tx tx, AgreementRow, AGREEMENTS, ids) {
                add(row.root_id, Sum::of(&row)?);
            }
        }
        Table::Versions => {
            for row in fetch_any!(tx tx, VersionRow, VERSIONS, ids) {
                add(row.root_id, Sum::of(&row)?);
            }
        }
        Table::Keys => {
            for row in fetch_any!(tx tx, KeyRow, KEYS, ids) {
                add(row.root_id, Sum::of(&row)?);
            }
        }
    }
    Ok(sums)
}

/// Rows are others now, or new: `before` is what they came to.
pub async fn changed(tx: &mut Tx<'_>, table: Table, before: &Sums, ids: &[i64]) -> Result<()> {
    let after = sums_of(tx, table, ids).await?;
    let of = |sums: &Sums, root: i64| sums.get(&root).copied().unwrap_or_default();
    let roots: BTreeSet<i64> = before.keys().chain(after.keys()).copied().collect();
    for root in roots {
        let Some(mut head) = head_of(tx, root).await? else {
            continue;
        };
        let sum = &mut head.sums[table as usize];
        *sum = sum.plus(of(&after, root)).minus(of(before, root));
        put(tx, root, &head).await?;
    }
    Ok(())
}

/// What there is, by root, and how many rows of each kind; the log last.
#[derive(Debug, Default)]
struct Found {
    heads: BTreeMap<i64, Head>,
    examined: [u64; 4],
}

impl Found {
    fn row(&mut self, root: i64, table: Table, row: &impl Serialize) -> Result<(), sqlx::Error> {
        self.examined[table as usize] += 1;
        self.heads.entry(root).or_default().add(table, row)
    }

    fn entry(&mut self, entry: Entry) -> Result<(), sqlx::Error> {
        self.examined[3] += 1;
        self.heads.entry(entry.root_id).or_default().lengthen(entry)
    }
}

/// Over a connection of either kind, row by row: a document may be large.
macro_rules! found {
    ($conn:expr) => {{
        let mut found = Found::default();
        found!(@ $conn, AgreementRow, EVERY_AGREEMENT, |row| found.row(row.root_id, Table::Agreements, &row));
        found!(@ $conn, VersionRow, EVERY_VERSION, |row| found.row(row.root_id, Table::Versions, &row));
        found!(@ $conn, KeyRow, EVERY_KEY, |row| found.row(row.root_id, Table::Keys, &row));
        found!(@ $conn, Entry, EVERY_ENTRY, |row| found.entry(row));
        found
    }};
    (@ $conn:expr, $row:ty, $sql:expr, |$one:ident| $add:expr) => {{
        let mut rows = sqlx::query_as::<_, $row>($sql).fetch(&mut *$conn);
        while let Some($one) = rows.try_next().await? {
            $add?;
        }
    }};
}

impl Catalog {
    /// Roots from before begin with what is there; how many.
    pub async fn begin_audit_heads(&self) -> Result<usize> {
        let (roots, begun) = (
            read!(self, fetch_all as (i64,), ROOTS)?,
            read!(self, fetch_all as HeadRow, HEADS)?,
        );
        if begun.len() == roots.len() {
            return Ok(0);
        }
        write!(self, |tx| {
            let roots: Vec<(i64,)> = look!(&mut *tx, fetch_all as (i64,), ROOTS)?;
            tx.lock(
                &roots
                    .iter()
                    .map(|(root,)| TenantId(*root))
                    .collect::<Vec<_>>(),
            )
            .await?;
            let mut found: Found = match &mut *tx {
                Tx::Sqlite(tx) => found!(*tx),
                Tx::Postgres(tx) => {
                    // It takes as long as there are rows.
                    sqlx::raw_sql(NO_TIMEOUT).execute(&mut **tx).await?;
                    found!(*tx)
                }
            };
            let begun: BTreeSet<i64> = look!(&mut *tx, fetch_all as HeadRow, HEADS)?
                .into_iter()
                .map(|row| row.root_id)
                .collect();
            let new = roots.iter().filter(|(root,)| !begun.contains(root));
            let heads: Vec<(i64, Head)> = new
                .map(|(root,)| (*root, found.heads.remove(root).unwrap_or_default()))
                .collect();
            begin(tx, &heads).await?;
            Ok(heads.len())
        })
    }
}

/// The checks of a file; none where it is from before.
pub async fn checks_of_sqlite(snapshot: &mut SqliteConnection) -> Result<Vec<Check>, sqlx::Error> {
    if !sqlx::query_scalar::<_, bool>(HAS_HEADS)
        .fetch_one(&mut *snapshot)
        .await?
    {
        return Ok(Vec::new());
    }
    let found = found!(snapshot);
    let heads: Vec<HeadRow> = sqlx::query_as(HEADS).fetch_all(&mut *snapshot).await?;
    let roots: Vec<i64> = sqlx::query_scalar(ROOTS).fetch_all(&mut *snapshot).await?;
    checks(&found, &heads, &roots)
}

pub async fn checks_of_postgres(snapshot: &mut PgConnection) -> Result<Vec<Check>, sqlx::Error> {
    let found = found!(snapshot);
    let heads: Vec<HeadRow> = sqlx::query_as(HEADS).fetch_all(&mut *snapshot).await?;
    let roots: Vec<i64> = sqlx::query_scalar(ROOTS).fetch_all(&mut *snapshot).await?;
    checks(&found, &heads, &roots)
}

fn checks(found: &Found, heads: &[HeadRow], roots: &[i64]) -> Result<Vec<Check>, sqlx::Error> {
    let heads: BTreeMap<i64, Head> = heads
        .iter()
        .map(|row| Ok((row.root_id, row.head()?)))
        .collect::<Result<_, sqlx::Error>>()?;
    let (none, mut differences) = (Head::default(), <[Vec<String>; 4]>::default());
    // Before the first start nothing has begun; then all begin together.
    let all = roots.iter().chain(found.heads.keys()).chain(heads.keys());
    let every: BTreeSet<i64> = all.copied().filter(|_| !heads.is_empty()).collect();
    for root in every {
        let (root_id, is) = (TenantId(root), found.heads.get(&root).unwrap_or(&none));
        let Some(head) = heads.get(&root) else {
            differences[3].push(format!(
                "root {root_id}: the recorded checksum of its rows is gone"
            ));
            continue;
        };
        for (index, (_, name)) in TABLES
            .iter()
            .enumerate()
            .filter(|(index, _)| head.sums[*index] != is.sums[*index])
        {
            differences[index].push(format!(
                "root {root_id}: the rows of {name} are not those that were written"
            ));
        }
        if head.entries != is.entries {
            differences[3].push(format!(
                "root {root_id}: {} entries, and {} were written",
                is.entries, head.entries
            ));
        } else if head.hash != is.hash {
            differences[3].push(format!("root {root_id}: an entry is not as it was written"));
        }
    }
    let names = TABLES
        .map(|(_, name)| name)
        .into_iter()
        .chain(["audit_log"]);
    let checks =
        names
            .zip(differences)
            .zip(found.examined)
            .map(|((name, mut differences), examined)| {
                differences.truncate(DIFFERENCES_MAX);
                Check {
                    name: name.to_owned(),
                    ok: differences.is_empty(),
                    examined,
                    differences,
                }
            });
    Ok(checks.collect())
}
