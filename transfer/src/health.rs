//! A quick look at a database file: what `health-check` reports. Costs nothing that grows with the
//! journal; the whole audit is `verify`.

use catalog::{CLOCK_STEP, ClockStep, credit_look};
use db::Result;
use db::restoration::{RESTORATION, Restoration};
use journal::Carries;
use journal_sqlite::states::{self, Accounts};
use ledger::{AccountKey, Balance};
use notices::rows::{Undelivered, late_and_lately, undelivered};
use payments::rows::look::{IS_MIGRATED, LATE_SECS, LOOK, PaymentsLook, Row, STUCK_SECS};
use rating::fast::FastMap;
use rating::{Cents, Currency, Exact, Instant, TenantId};
use sqlx::{Connection, SqliteConnection};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const RECORDS: &str = "select coalesce(max(seq), 0) from records";
const LAST: &str = "select received_us from records order by seq desc limit 1";
const UNRATED: &str = "select count(*) from unrated";
/// Commissions that leave retail prices free, in force at an instant or later; a file that is not
/// yet migrated has none.
const HAS_FREE_RETAIL: &str =
    "select count(*) from pragma_table_info('agreements') where name = 'free_retail'";
const FREE_RETAIL: &str =
    "select count(*) from agreements where free_retail = 1 and (until_at is null or until_at > ?)";
/// Prepaid buyers and their limits.
const LIMITS: &str = "select buyer_id, credit_limit_cents from agreements \
     where credit_limit_cents is not null and from_at <= ? and (until_at is null or until_at > ?)";

/// What may be carried of a reseller's customers, in sum, before it is named.
pub const CARRIED_CENTS_MAX: Cents = Cents(100);

/// Overdrawn balances that are named.
pub(crate) const NAMED_MAX: usize = 10;
/// Of a tenant.
const NAME: &str = "select external_id from tenants where id = ?";

/// A balance below its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdrawn {
    /// External id.
    pub tenant: String,
    pub cents_below: i128,
    pub currency: Currency,
}

/// What a look at the database found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    pub records: i64,
    pub last_record_at: Option<Instant>,
    /// Events kept without a price.
    pub unrated: i64,
    /// Agreements by commission that leave retail prices free.
    pub free_retail: i64,
    pub open_holds: i64,
    /// Open holds whose end has passed: swept within a second by a running server.
    pub overdue_holds: i64,
    /// Currencies that do not sum to zero, accounts that hold less than nothing: always 0.
    pub unbalanced: i64,
    /// Prepaid balances below their limit.
    pub overdrawn: i64,
    /// The first few of them, the farthest below first.
    pub most_overdrawn: Vec<Overdrawn>,
    /// Buyers that sell on (resellers), with what is carried of their customers on their own links,
    /// where that is more than [`CARRIED_CENTS_MAX`].
    pub carried: Vec<(TenantId, Exact)>,
    pub payments: PaymentsLook,
    /// Buyers with more credit than their sellers may give; at most one more than are named.
    pub over_cap: Vec<String>,
    /// A server's clock has stepped, and nobody has accepted it.
    pub clock_step: Option<ClockStep>,
    /// The database came from a backup, and nobody has looked through it since.
    pub restoration: Option<Restoration>,
    /// Notices that did not arrive.
    pub undelivered: Undelivered,
}

async fn free_retail(conn: &mut SqliteConnection, now: Instant) -> Result<i64> {
    match count(conn, HAS_FREE_RETAIL).await? {
        0 => Ok(0),
        _ => Ok(sqlx::query_scalar(FREE_RETAIL)
            .bind(now.micros())
            .fetch_one(conn)
            .await?),
    }
}

/// Looks at a database file, also beside a running server. `now` decides which holds are over.
pub async fn look_at_file(file: &Path, now: Instant) -> Result<Health> {
    let mut conn = db::open_sqlite_read_only(file).await?;
    let mut snapshot = conn.begin().await?;
    let last: Option<i64> = sqlx::query_scalar(LAST)
        .fetch_optional(&mut *snapshot)
        .await?;
    let (accounts, open_holds) = states::current_books(&mut snapshot).await?;
    let all_carries = states::current_carries(&mut snapshot).await?;
    let limits: HashMap<i64, i64> = sqlx::query_as(LIMITS)
        .bind(now.micros())
        .bind(now.micros())
        .fetch_all(&mut *snapshot)
        .await?
        .into_iter()
        .collect();
    let below = overdrawn(&accounts, &limits);
    let mut most_overdrawn = Vec::new();
    for (key, cents_below) in below.iter().take(NAMED_MAX) {
        let tenant = sqlx::query_scalar(NAME)
            .bind(key.tenant.0)
            .fetch_one(&mut *snapshot)
            .await?;
        most_overdrawn.push(Overdrawn {
            tenant,
            cents_below: *cents_below,
            currency: key.currency,
        });
    }
    Ok(Health {
        undelivered: late_notices(&mut snapshot, now).await?,
        records: count(&mut snapshot, RECORDS).await?,
        last_record_at: last.map(Instant),
        unrated: count(&mut snapshot, UNRATED).await?,
        free_retail: free_retail(&mut snapshot, now).await?,
        open_holds: open_holds.len() as i64,
        overdue_holds: open_holds
            .iter()
            .filter(|hold| hold.expires_at < now)
            .count() as i64,
        unbalanced: unbalanced(&accounts),
        overdrawn: below.len() as i64,
        most_overdrawn,
        carried: carried(&all_carries),
        payments: payments(&mut snapshot, now).await?,
        over_cap: over_cap(&mut snapshot, now).await?,
        clock_step: clock_step(
            sqlx::query_scalar(CLOCK_STEP)
                .fetch_optional(&mut *snapshot)
                .await?,
        ),
        restoration: restoration(
            sqlx::query_scalar(RESTORATION)
                .fetch_optional(&mut *snapshot)
                .await?,
        ),
    })
}

/// One that cannot be read is one all the same.
pub(crate) fn restoration(stored: Option<Vec<u8>>) -> Option<Restoration> {
    Restoration::read(&stored?)
}

pub(crate) fn clock_step(stored: Option<Vec<u8>>) -> Option<ClockStep> {
    stored.map(|bytes| {
        ClockStep::read(&bytes).unwrap_or(ClockStep {
            time_us: 0,
            wall_us: 0,
            process: 0,
        })
    })
}

/// A file that no server of this version has opened yet has no payments.
async fn payments(conn: &mut SqliteConnection, now: Instant) -> Result<PaymentsLook> {
    if count(conn, IS_MIGRATED).await? == 0 {
        return Ok(PaymentsLook::default());
    }
    let (late, stuck) = (
        now.plus_secs(-LATE_SECS).micros(),
        now.plus_secs(-STUCK_SECS).micros(),
    );
    let row: Row = sqlx::query_as(LOOK)
        .bind(late)
        .bind(stuck)
        .fetch_one(conn)
        .await?;
    Ok(row.into())
}

/// Likewise no caps.
async fn over_cap(conn: &mut SqliteConnection, now: Instant) -> Result<Vec<String>> {
    if count(conn, credit_look::IS_MIGRATED).await? == 0 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar(credit_look::OVER_CAP)
        .bind(now.micros())
        .fetch_all(conn)
        .await?)
}

/// Likewise no notices.
async fn late_notices(conn: &mut SqliteConnection, now: Instant) -> Result<Undelivered> {
    const IS_MIGRATED: &str =
        "select count(*) from sqlite_master where type = 'table' and name = 'deliveries'";
    if count(conn, IS_MIGRATED).await? == 0 {
        return Ok(Undelivered::default());
    }
    let (due, since) = late_and_lately(now);
    Ok(sqlx::query_as(undelivered())
        .bind(due)
        .bind(since)
        .fetch_one(conn)
        .await?)
}

/// Currencies that do not sum to zero, and accounts that hold less than nothing.
pub(crate) fn unbalanced(accounts: &Accounts) -> i64 {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for (key, balance) in accounts {
        *sums.entry(key.currency).or_default() += i128::from(balance.posted.0);
    }
    let held = accounts
        .values()
        .filter(|balance| balance.held < Cents::ZERO)
        .count();
    (held + sums.values().filter(|sum| **sum != 0).count()) as i64
}

/// What is carried of many customers is money that their seller has not paid upwards; one
/// customer's is less than a cent.
pub(crate) fn carried(carries: &FastMap<TenantId, Carries>) -> Vec<(TenantId, Exact)> {
    let mut sums: BTreeMap<TenantId, i128> = BTreeMap::new();
    let links = carries
        .iter()
        .flat_map(|(customer, links)| links.iter().filter(move |(buyer, _)| buyer != customer));
    for (buyer, carry) in links {
        *sums.entry(*buyer).or_default() += i128::from(carry.0);
    }
    let most = Exact::from_cents(CARRIED_CENTS_MAX);
    sums.into_iter()
        .map(|(buyer, sum)| (buyer, Exact(sum)))
        .filter(|(_, sum)| *sum > most)
        .collect()
}

/// Balances below their limit, and by how many cents, the farthest first: usage that happened was
/// posted although it overdrew.
pub(crate) fn overdrawn(
    accounts: &Accounts,
    limits: &HashMap<i64, i64>,
) -> Vec<(AccountKey, i128)> {
    let below = |(key, balance): (&AccountKey, &Balance)| {
        let limit = limits
            .get(&key.tenant.0)
            .filter(|_| key.kind.is_of_buyer())?;
        let available =
            i128::from(balance.posted.0) - i128::from(balance.held.0) + i128::from(*limit);
        (available < 0).then_some((*key, -available))
    };
    let mut found: Vec<_> = accounts.iter().filter_map(below).collect();
    found.sort_unstable_by_key(|(key, below)| (std::cmp::Reverse(*below), key.tenant.0));
    found
}

async fn count(conn: &mut SqliteConnection, statement: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(statement).fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Carry;

    #[test]
    fn what_is_carried_of_many_customers_is_named() {
        let most = 999_999_999_999;
        let of = |customers: i64| -> FastMap<TenantId, Carries> {
            let links = |customer| {
                Carries::from_iter([
                    (TenantId(customer), Carry(most)),
                    (TenantId(2), Carry(most)),
                ])
            };
            (1000..1000 + customers)
                .map(|customer| (TenantId(customer), links(customer)))
                .collect()
        };
        assert_eq!(carried(&of(100)), [], "99.9 cents and less");
        assert_eq!(
            carried(&of(101)),
            [(TenantId(2), Exact(i128::from(most) * 101))]
        );
    }

    #[tokio::test]
    async fn an_empty_database_is_healthy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let _open = db::Db::open_sqlite(&file).await.unwrap();
        assert_eq!(
            look_at_file(&file, Instant::from_secs(1)).await.unwrap(),
            Health::default()
        );
    }
}
