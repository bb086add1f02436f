//! Accounts, carries and counters between their rows and the end of the journal.
//!
//! The records say all that happens to them, so their rows need not follow every commit: hot rows
//! would dirty hundreds of pages for a thousand records. Changes gather in memory (`Pending`) and are
//! written, all in one transaction with a batch, every `pending_records_max` records; `states_through`
//! in `meta` is the last record the rows include. What follows it is worked out again at opening.
//!
//! `held` is always the sum of open holds, and holds are written with the batch that changes them.

use super::cache::HotStates;
use super::rows::{account, bytes, carries, hold, int, pack, unpack};
use super::sql::{self, Values};
use crate::journal::{Body, Carries, CounterKey, JournalError, Result};
use ledger::{AccountKey, Balance, Hold, LinkCharge};
use rating::fast::FastMap;
use rating::usage::Counter;
use rating::{Carry, Cents, Overflow, TenantId};
use smallvec::SmallVec;
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// Name of the last included seq in `meta`: 8 bytes, little endian.
pub const STATES_THROUGH: &str = "states_through";
/// Records of the tail read at once.
const TAIL_ROWS: i64 = 16_384;

/// States that are newer than their rows, and how many records made them so.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    pub accounts: FastMap<AccountKey, Balance>,
    pub carries: FastMap<TenantId, Carries>,
    pub counters: FastMap<CounterKey, Counter>,
    pub records: usize,
}

impl Pending {
    pub fn add(
        &mut self,
        accounts: FastMap<AccountKey, Balance>,
        carries: FastMap<TenantId, Carries>,
        counters: FastMap<CounterKey, Counter>,
        records: usize,
    ) {
        self.accounts.extend(accounts);
        self.carries.extend(carries);
        self.counters.extend(counters);
        self.records += records;
    }
}

impl HotStates {
    /// The rows include everything pending.
    pub fn written(&mut self) {
        let Pending { accounts, carries, counters, .. } = std::mem::take(&mut self.pending);
        accounts.into_iter().for_each(|(key, value)| self.accounts.put(key, Some(value)));
        carries.into_iter().for_each(|(key, value)| self.carries.put(key, Some(value)));
        counters.into_iter().for_each(|(key, value)| self.counters.put(key, Some(value)));
    }
}

/// Writes all of them, in key order, so that neighbours share their pages.
pub fn write(tx: &rusqlite::Connection, pending: &Pending, through: i64) -> Result<()> {
    sql::write(tx, &sql::UPSERT_ACCOUNTS, &sorted(pending.accounts.iter()), |row, (key, balance)| {
        let [tenant, kind, currency] = account_columns(**key);
        row.int(tenant)?.int(kind)?.int(currency)?.int(balance.posted.0)?.int(balance.held.0)?;
        Ok(())
    })?;
    let carries = sorted(pending.carries.iter()).into_iter().map(|(customer, links)| Ok((customer.0, pack(links)?)));
    sql::write(tx, &sql::UPSERT_CARRIES, &carries.collect::<Result<Vec<_>>>()?, |row, (customer, links)| {
        row.int(*customer)?.blob(links)?;
        Ok(())
    })?;
    sql::write(tx, &sql::UPSERT_COUNTERS, &sorted(pending.counters.iter()), |row, (key, counter)| {
        row.int(key.buyer.0)?.int(key.id.rate_key)?.int(i64::from(key.id.month))?;
        row.text(&counter.quantity.0.to_string())?.int(counter.events)?;
        Ok(())
    })?;
    tx.prepare_cached(sql::SET_META)?.execute((STATES_THROUGH, through.to_le_bytes()))?;
    Ok(())
}

pub fn sorted<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = entries.collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    all
}

fn account_columns(key: AccountKey) -> [i64; 3] {
    [key.tenant.0, key.kind as i64, i64::from(key.currency.numeric())]
}

pub fn bind_account(values: &mut Values, key: AccountKey) {
    let [tenant, kind, currency] = account_columns(key);
    values.int(tenant).int(kind).int(currency);
}

/// The last record that the rows include.
pub async fn through(conn: &mut SqliteConnection) -> Result<i64> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(sql::GET_META).bind(STATES_THROUGH).fetch_optional(conn).await?;
    let bad = |_| JournalError::Corrupt("states_through is not 8 bytes long".into());
    stored.map_or(Ok(0), |bytes| bytes.try_into().map(i64::from_le_bytes).map_err(bad))
}

/// What the records after the rows' last one did.
#[derive(Default)]
struct Tail {
    posted: FastMap<AccountKey, i64>,
    carries: FastMap<TenantId, Carries>,
    counters: FastMap<CounterKey, Counter>,
    records: usize,
    /// One of them placed, changed or ended a hold.
    holds: bool,
}

impl Tail {
    fn record(&mut self, root: TenantId, tenant: TenantId, body: &Body) -> Result<(), ledger::Refusal> {
        self.records += 1;
        self.holds |= body.hold.is_some();
        if let (Some(last), Some(currency)) = (body.charges.last(), body.currency) {
            let links: SmallVec<[LinkCharge; 4]> = body.charges.iter().map(|charge| charge.link).collect();
            for posting in ledger::postings_of(root, last.link.seller, currency, &links)? {
                self.post(&posting)?;
            }
        }
        for posting in &body.postings {
            self.post(posting)?;
        }
        for charge in &body.charges {
            set_carry(self.carries.entry(tenant).or_default(), charge.link.buyer, charge.carry);
            if let Some(id) = charge.counter {
                self.counters.insert(CounterKey { buyer: charge.link.buyer, id }, charge.after);
            }
        }
        Ok(())
    }

    fn post(&mut self, posting: &ledger::Posting) -> Result<(), Overflow> {
        let from = self.posted.entry(posting.from).or_default();
        *from = from.checked_sub(posting.cents.0).ok_or(Overflow)?;
        let to = self.posted.entry(posting.to).or_default();
        *to = to.checked_add(posting.cents.0).ok_or(Overflow)?;
        Ok(())
    }
}

fn set_carry(carries: &mut Carries, buyer: TenantId, carry: Carry) {
    match carries.iter_mut().find(|(of, _)| *of == buyer) {
        Some((_, old)) => *old = carry,
        None => carries.push((buyer, carry)),
    }
}

/// The states after the journal's last record, as far as their rows are older.
pub async fn pending(conn: &mut SqliteConnection, open_holds: &[Hold]) -> Result<Pending> {
    let tail = read_tail(conn).await?;
    let mut accounts = stored_accounts(conn, &tail, open_holds).await?;
    for (key, posted) in &tail.posted {
        let balance = accounts.entry(*key).or_default();
        balance.posted = Cents(balance.posted.0.checked_add(*posted).ok_or_else(|| JournalError::Corrupt(format!("{key}: overflow")))?);
    }
    let mut carries: FastMap<TenantId, Carries> = FastMap::default();
    let customers: Vec<TenantId> = tail.carries.keys().copied().collect();
    let bind = |values: &mut Values, customer: TenantId| {
        values.int(customer.0);
    };
    sql::select(conn, &sql::SELECT_CARRIES, customers, bind, |row| {
        carries.extend([self::carries(row)?]);
        Ok::<_, JournalError>(())
    })
    .await?;
    for (customer, links) in &tail.carries {
        let known = carries.entry(*customer).or_default();
        links.iter().for_each(|&(buyer, carry)| set_carry(known, buyer, carry));
    }
    Ok(Pending { accounts, carries, counters: tail.counters, records: tail.records })
}

pub type Accounts = FastMap<AccountKey, Balance>;

/// Every account as it is after the journal's last record.
pub async fn current_accounts(conn: &mut SqliteConnection) -> Result<Accounts> {
    let open_holds: Vec<Hold> = sqlx::query(sql::OPEN_HOLDS).fetch_all(&mut *conn).await?.iter().map(hold).collect::<Result<_>>()?;
    let mut accounts = Accounts::default();
    for row in sqlx::query(sql::AUDIT_ACCOUNTS).fetch_all(&mut *conn).await? {
        accounts.extend([account(&row)?]);
    }
    accounts.extend(pending(conn, &open_holds).await?.accounts);
    Ok(accounts)
}

async fn read_tail(conn: &mut SqliteConnection) -> Result<Tail> {
    let mut tail = Tail::default();
    let mut seq = through(conn).await?;
    loop {
        let rows = sqlx::query(sql::TAIL).bind(seq).bind(TAIL_ROWS).fetch_all(&mut *conn).await?;
        let Some(last) = rows.last() else { return Ok(tail) };
        seq = int(last, 0)?;
        for row in &rows {
            let seq = int(row, 0)?;
            let body: Body = unpack(bytes(row, 6)?, &format!("record {seq}"))?;
            let posted = tail.record(TenantId(int(row, 1)?), TenantId(int(row, 2)?), &body);
            posted.map_err(|refusal| JournalError::Corrupt(format!("record {seq}: {refusal}")))?;
        }
    }
}

/// Rows of the accounts that the tail moved; and, if it touched holds, of all that hold something, with
/// what they hold now.
async fn stored_accounts(conn: &mut SqliteConnection, tail: &Tail, open_holds: &[Hold]) -> Result<FastMap<AccountKey, Balance>> {
    let mut held: FastMap<AccountKey, i64> = FastMap::default();
    for (account, cents) in open_holds.iter().flat_map(|hold| &hold.amounts) {
        *held.entry(*account).or_default() += cents.0;
    }
    let mut wanted: HashMap<AccountKey, ()> = tail.posted.keys().map(|key| (*key, ())).collect();
    let mut accounts: FastMap<AccountKey, Balance> = FastMap::default();
    if tail.holds {
        wanted.extend(held.keys().map(|key| (*key, ())));
        for row in sqlx::query(sql::HELD_ACCOUNTS).fetch_all(&mut *conn).await? {
            accounts.extend([account(&row)?]);
        }
    }
    sql::select(conn, &sql::SELECT_ACCOUNTS, wanted.keys().copied().collect(), bind_account, |row| {
        accounts.extend([account(row)?]);
        Ok::<_, JournalError>(())
    })
    .await?;
    if tail.holds {
        for key in wanted.into_keys() {
            accounts.entry(key).or_default();
        }
        accounts.iter_mut().for_each(|(key, balance)| balance.held = Cents(held.get(key).copied().unwrap_or_default()));
    }
    Ok(accounts)
}
