//! Accounts, carries, counters and holds between their rows and the end of the journal.
//!
//! The records say all that happens to them, so their rows need not follow every commit: hot rows,
//! and holds under ids that are hashes, would dirty hundreds of pages for a thousand records.
//! Changes gather in memory (`Pending`) and are written, all in one transaction with a batch, every
//! `pending_records_max` records; `states_through` in `meta` is the last record the rows include.
//! What follows it is worked out again at opening.
//!
//! `held` is always the sum of open holds, wherever these are known from.

use super::pending::Pending;
use super::rows::{account, bytes, carries, counter, hold, int, text};
use super::sql::{self, Values};
use db::{Result, SqlError};
use journal::codec::{hold_state_code, pack, unpack};
use journal::{Carries, Counted, CounterKey, EntryPayload, Kind, State};
use ledger::{AccountKey, Balance, Hold, HoldState};
use rating::fast::FastMap;
use rating::{Carry, Cents, Instant, TenantId, ids::HoldId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Name of the last included seq in `meta`: 8 bytes, little endian.
pub const STATES_THROUGH: &str = "states_through";
/// Records of the tail read at once.
const TAIL_ROWS: i64 = 16_384;

/// Writes all of them, in key order, so that neighbours share their pages.
pub fn write(tx: &rusqlite::Connection, pending: &Pending, through: i64) -> Result<()> {
    sql::write(
        tx,
        &sql::UPSERT_ACCOUNTS,
        &sorted(pending.accounts.iter()),
        |row, (key, balance)| {
            let [tenant, kind, currency] = account_columns(**key);
            row.int(tenant)?
                .int(kind)?
                .int(currency)?
                .int(balance.posted.0)?
                .int(balance.held.0)?;
            Ok(())
        },
    )?;
    let carries = sorted(pending.carries.iter())
        .into_iter()
        .map(|(customer, links)| Ok((customer.0, pack(links)?)));
    sql::write(
        tx,
        &sql::UPSERT_CARRIES,
        &carries.collect::<Result<Vec<_>>>()?,
        |row, (customer, links)| {
            row.int(*customer)?.blob(links)?;
            Ok(())
        },
    )?;
    let counters = sorted(pending.counters.iter())
        .into_iter()
        .map(|(key, tally)| Ok((key, tally.counter, tally.packed()?)));
    sql::write(
        tx,
        &sql::UPSERT_COUNTERS,
        &counters.collect::<Result<Vec<_>>>()?,
        |row, (key, counter, segment)| {
            row.int(key.buyer.0)?
                .int(key.id.rate_key)?
                .int(i64::from(key.id.month))?;
            row.text(&counter.quantity.0.to_string())?
                .int(counter.events)?
                .blob(segment)?;
            Ok(())
        },
    )?;
    let holds = sorted(pending.holds.iter())
        .into_iter()
        .map(|(_, hold)| Ok((hold, pack(hold)?)));
    sql::write(
        tx,
        &sql::UPSERT_HOLDS,
        &holds.collect::<Result<Vec<_>>>()?,
        |row, (hold, body)| {
            row.int(hold.id.0)?.int(hold.root.0)?.int(hold.customer.0)?;
            row.int(hold_state_code(hold.state))?
                .int(hold.expires_at.micros())?
                .blob(body)?;
            Ok(())
        },
    )?;
    tx.prepare_cached(sql::SET_META)?
        .execute((STATES_THROUGH, through.to_le_bytes()))?;
    Ok(())
}

pub fn sorted<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = entries.collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    all
}

fn account_columns(key: AccountKey) -> [i64; 3] {
    [
        key.tenant.0,
        key.kind as i64,
        i64::from(key.currency.numeric()),
    ]
}

pub fn bind_account(values: &mut Values, key: AccountKey) {
    let [tenant, kind, currency] = account_columns(key);
    values.int(tenant).int(kind).int(currency);
}

pub fn bind_counter(values: &mut Values, key: CounterKey) {
    values
        .int(key.buyer.0)
        .int(key.id.rate_key)
        .int(i64::from(key.id.month));
}

/// The last record that the rows include.
pub async fn through(conn: &mut SqliteConnection) -> Result<i64> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(sql::GET_META)
        .bind(STATES_THROUGH)
        .fetch_optional(conn)
        .await?;
    let bad = |_| SqlError::corrupt("states_through is not 8 bytes long");
    stored.map_or(Ok(0), |bytes| {
        bytes.try_into().map(i64::from_le_bytes).map_err(bad)
    })
}

/// What the records after the rows' last one did.
#[derive(Default)]
struct Tail {
    /// Wider than a balance: added up posting by posting, where the books went by what a record
    /// came to on an account.
    posted: FastMap<AccountKey, i128>,
    carries: FastMap<TenantId, Carries>,
    /// From their rows on.
    counters: FastMap<CounterKey, Counted>,
    /// Holds that were open at the rows' last record.
    stored_holds: FastMap<HoldId, Hold>,
    /// Holds that were placed, changed or ended since.
    holds: FastMap<HoldId, Hold>,
    /// One of the records placed, changed or ended a hold.
    held_moved: bool,
    records: usize,
}

impl Tail {
    fn record(
        &mut self,
        root: TenantId,
        tenant: TenantId,
        kind: Kind,
        body: &EntryPayload,
    ) -> Result<(), ledger::Refusal> {
        self.records += 1;
        self.held_moved |= body.hold.is_some();
        for effect in journal::effects(root, None, body)? {
            *self.posted.entry(effect.account).or_default() += i128::from(effect.cents.0);
        }
        for charge in &body.charges {
            set_carry(
                self.carries.entry(tenant).or_default(),
                charge.link.buyer,
                charge.carry,
            );
            if let Some(id) = charge.counter {
                let tally = self
                    .counters
                    .entry(CounterKey {
                        buyer: charge.link.buyer,
                        id,
                    })
                    .or_default();
                tally.follow(charge, body.place(charge.link.buyer), kind == Kind::Void);
            }
        }
        Ok(())
    }

    /// What the engine made of the hold, as `metering` records it.
    fn hold(&mut self, id: HoldId, row: &SqliteRow, kind: Kind, body: EntryPayload) -> Result<()> {
        let no_end = || SqlError::corrupt(format!("{id}: a hold without an end"));
        if kind == Kind::HoldPlaced {
            let (root, customer, placed_at) = (
                TenantId(int(row, 1)?),
                TenantId(int(row, 2)?),
                Instant(int(row, 8)?),
            );
            let hold = Hold::new(
                id,
                root,
                customer,
                placed_at,
                body.expires_at.ok_or_else(no_end)?,
                body.held.into(),
            );
            self.holds.insert(
                id,
                hold.named(&text(row, 4)?, &text(row, 5)?).of(body.quantity),
            );
            return Ok(());
        }
        let hold = match self.holds.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => match self.stored_holds.get(&id) {
                Some(stored) => free.insert(stored.clone()),
                // A lost row: the audit tells of it.
                None => return Ok(()),
            },
        };
        match kind {
            Kind::HoldExtended => {
                (hold.amounts, hold.quantity) = (body.held.into(), body.quantity);
                hold.expires_at = body.expires_at.ok_or_else(no_end)?;
            }
            Kind::HoldReleased => hold.state = HoldState::Released,
            Kind::HoldExpired => hold.state = HoldState::Expired,
            // Usage: whatever it came to, the amounts stay as they were set aside.
            _ => hold.state = HoldState::Captured,
        }
        Ok(())
    }

    /// Those of the rows that nothing happened to, and those of the tail.
    fn open_holds(&self) -> Vec<Hold> {
        let untouched = self
            .stored_holds
            .values()
            .filter(|hold| !self.holds.contains_key(&hold.id));
        untouched
            .chain(
                self.holds
                    .values()
                    .filter(|hold| hold.state == HoldState::Open),
            )
            .cloned()
            .collect()
    }
}

fn set_carry(carries: &mut Carries, buyer: TenantId, carry: Carry) {
    match carries.iter_mut().find(|(of, _)| *of == buyer) {
        Some((_, old)) => *old = carry,
        None => carries.push((buyer, carry)),
    }
}

/// The states after the journal's last record, as far as their rows are older; and every hold that
/// is open then.
pub async fn current(conn: &mut SqliteConnection) -> Result<(Pending, Vec<Hold>)> {
    let tail = read_tail(conn).await?;
    let open_holds = tail.open_holds();
    let mut accounts = stored_accounts(conn, &tail, &open_holds).await?;
    for (key, posted) in &tail.posted {
        let balance = accounts.entry(*key).or_default();
        let sum = i128::from(balance.posted.0) + posted;
        balance.posted =
            Cents(i64::try_from(sum).map_err(|_| SqlError::corrupt(format!("{key}: overflow")))?);
    }
    let mut carries: FastMap<TenantId, Carries> = FastMap::default();
    let customers: Vec<TenantId> = tail.carries.keys().copied().collect();
    let bind = |values: &mut Values, customer: TenantId| {
        values.int(customer.0);
    };
    sql::select(conn, &sql::SELECT_CARRIES, customers, bind, |row| {
        carries.extend([self::carries(row)?]);
        Ok::<_, SqlError>(())
    })
    .await?;
    for (customer, links) in &tail.carries {
        let known = carries.entry(*customer).or_default();
        links
            .iter()
            .for_each(|&(buyer, carry)| set_carry(known, buyer, carry));
    }
    Ok((
        Pending {
            accounts,
            carries,
            counters: tail.counters,
            holds: tail.holds,
            records: tail.records,
        },
        open_holds,
    ))
}

pub type Accounts = FastMap<AccountKey, Balance>;

/// Every account and every open hold after the journal's last record.
pub async fn current_books(conn: &mut SqliteConnection) -> Result<(Accounts, Vec<Hold>)> {
    let mut accounts = Accounts::default();
    for row in sqlx::query(sql::AUDIT_ACCOUNTS)
        .fetch_all(&mut *conn)
        .await?
    {
        accounts.extend([account(&row)?]);
    }
    let (pending, open_holds) = current(conn).await?;
    accounts.extend(pending.accounts);
    Ok((accounts, open_holds))
}

/// What is carried of every customer after the journal's last record.
pub async fn current_carries(conn: &mut SqliteConnection) -> Result<FastMap<TenantId, Carries>> {
    let mut all = FastMap::default();
    for row in sqlx::query(sql::AUDIT_CARRIES)
        .fetch_all(&mut *conn)
        .await?
    {
        all.extend([carries(&row)?]);
    }
    all.extend(current(conn).await?.0.carries);
    Ok(all)
}

/// Every account, carry and counter after the journal's last record, and every open hold; and the
/// holds, open or ended, that are newer than their rows.
pub async fn every(conn: &mut SqliteConnection) -> Result<(State, FastMap<HoldId, Hold>)> {
    let mut state = State::default();
    for row in sqlx::query(sql::AUDIT_ACCOUNTS)
        .fetch_all(&mut *conn)
        .await?
    {
        state.accounts.extend([account(&row)?]);
    }
    for row in sqlx::query(sql::AUDIT_CARRIES)
        .fetch_all(&mut *conn)
        .await?
    {
        state.carries.extend([carries(&row)?]);
    }
    let counters = if has_segments(conn).await? {
        sql::AUDIT_COUNTERS
    } else {
        sql::AUDIT_COUNTERS_BEFORE
    };
    for row in sqlx::query(counters).fetch_all(&mut *conn).await? {
        state.counters.extend([counter(&row)?]);
    }
    let (pending, open_holds) = current(conn).await?;
    state
        .holds
        .extend(open_holds.into_iter().map(|hold| (hold.id, hold)));
    state.accounts.extend(pending.accounts);
    state.carries.extend(pending.carries);
    state.counters.extend(pending.counters);
    Ok((state, pending.holds))
}

async fn read_tail(conn: &mut SqliteConnection) -> Result<Tail> {
    let mut tail = Tail::default();
    for row in sqlx::query(sql::OPEN_HOLDS).fetch_all(&mut *conn).await? {
        let hold = hold(&row)?;
        tail.stored_holds.insert(hold.id, hold);
    }
    let mut seq = through(conn).await?;
    loop {
        let rows = sqlx::query(sql::TAIL)
            .bind(seq)
            .bind(TAIL_ROWS)
            .fetch_all(&mut *conn)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(tail);
        };
        seq = int(last, 0)?;
        let mut bodies = Vec::with_capacity(rows.len());
        for row in &rows {
            bodies.push(unpack::<EntryPayload>(
                bytes(row, 6)?,
                &format!("record {}", int(row, 0)?),
            )?);
        }
        read_counters(conn, &mut tail, &bodies).await?;
        for (row, body) in rows.iter().zip(bodies) {
            let seq = int(row, 0)?;
            let kind = Kind::from_code(int(row, 7)?)
                .ok_or_else(|| SqlError::corrupt(format!("record {seq}: unknown kind")))?;
            let posted = tail.record(TenantId(int(row, 1)?), TenantId(int(row, 2)?), kind, &body);
            posted.map_err(|refusal| SqlError::corrupt(format!("record {seq}: {refusal}")))?;
            if let Some(hold) = body.hold {
                tail.hold(hold, row, kind, body)?;
            }
        }
    }
}

/// A file that no server of today has opened yet has counters without a segment.
async fn has_segments(conn: &mut SqliteConnection) -> Result<bool> {
    Ok(sqlx::query_scalar(sql::HAS_SEGMENTS)
        .fetch_one(conn)
        .await?)
}

/// Rows of the counters that these records move for the first time in the tail.
async fn read_counters(
    conn: &mut SqliteConnection,
    tail: &mut Tail,
    bodies: &[EntryPayload],
) -> Result<()> {
    let moved = bodies.iter().flat_map(|body| &body.charges);
    let moved = moved.filter_map(|charge| {
        charge.counter.map(|id| CounterKey {
            buyer: charge.link.buyer,
            id,
        })
    });
    let mut missing: Vec<CounterKey> = moved
        .filter(|key| !tail.counters.contains_key(key))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() || !has_segments(conn).await? {
        return Ok(());
    }
    sql::select(conn, &sql::SELECT_COUNTERS, missing, bind_counter, |row| {
        tail.counters.extend([counter(row)?]);
        Ok::<_, SqlError>(())
    })
    .await
}

/// Rows of the accounts that the tail moved; and, if it touched holds, of all that hold something,
/// with what they hold now.
async fn stored_accounts(
    conn: &mut SqliteConnection,
    tail: &Tail,
    open_holds: &[Hold],
) -> Result<FastMap<AccountKey, Balance>> {
    let mut held: FastMap<AccountKey, Cents> = FastMap::default();
    for (account, cents) in open_holds.iter().flat_map(|hold| &hold.amounts) {
        let sum = held.entry(*account).or_default();
        *sum = sum
            .checked_add(*cents)
            .map_err(|_| SqlError::corrupt(format!("{account}: overflow of what is held")))?;
    }
    let mut wanted: HashMap<AccountKey, ()> = tail.posted.keys().map(|key| (*key, ())).collect();
    let mut accounts: FastMap<AccountKey, Balance> = FastMap::default();
    if tail.held_moved {
        wanted.extend(held.keys().map(|key| (*key, ())));
        for row in sqlx::query(sql::HELD_ACCOUNTS)
            .fetch_all(&mut *conn)
            .await?
        {
            accounts.extend([account(&row)?]);
        }
    }
    sql::select(
        conn,
        &sql::SELECT_ACCOUNTS,
        wanted.keys().copied().collect(),
        bind_account,
        |row| {
            accounts.extend([account(row)?]);
            Ok::<_, SqlError>(())
        },
    )
    .await?;
    if tail.held_moved {
        for key in wanted.into_keys() {
            accounts.entry(key).or_default();
        }
        accounts
            .iter_mut()
            .for_each(|(key, balance)| balance.held = held.get(key).copied().unwrap_or_default());
    }
    Ok(accounts)
}
