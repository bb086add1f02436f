//! What resellers earned from each customer so far, and what the platform was paid for it (its rows
//! are in the customers' root): added up from the journal in its order, each record once, beside
//! the months of the same reseller. All of it can be worked out again as long as the journal is
//! there.

use super::PayoutRows;
use catalog::{Page, Result, one_more};
use db::sql::{Tx, change, corrupt, insert_many, look, read, statements};
use journal::Seq;
use rating::{Cents, Currency, TenantId};

macro_rules! customers_of {
    () => {
        concat!(
            "select c.customer_id, c.cents, c.passed_cents, c.gained_cents, t.path from \
                commission_customers c",
            " join tenants t on t.root_id = c.root_id and t.id = c.customer_id",
            " where c.root_id = $1 and c.tenant_id = $2 and c.currency = $3 and c.customer_id > $4"
        )
    };
}

macro_rules! steps_max {
    () => {
        1_000_000_000_000_000_000
    };
}

/// Cents that a sum of single steps comes to at most, up or down: many may cancel each other out,
/// so that balances bound no such sum. It only says how much of a loss somebody may have to bear,
/// and no loss is as large.
const STEPS_MAX: i64 = steps_max!();

/// A sum of single steps, within [`STEPS_MAX`].
pub fn add_steps(one: Cents, other: Cents) -> Cents {
    Cents(one.0.saturating_add(other.0).clamp(-STEPS_MAX, STEPS_MAX))
}

macro_rules! add_steps {
    ($column:literal) => {
        concat!(
            " ",
            $column,
            " = case when commission_customers.",
            $column,
            " + excluded.",
            $column,
            " > ",
            steps_max!(),
            " then ",
            steps_max!(),
            " when commission_customers.",
            $column,
            " + excluded.",
            $column,
            " < -",
            steps_max!(),
            " then -",
            steps_max!(),
            " else commission_customers.",
            $column,
            " + excluded.",
            $column,
            " end"
        )
    };
}

statements! {
    POSITION = "select through_seq, own_cents, is_complete from commission_positions where \
        root_id = $1 and tenant_id = $2 and currency = $3";
    PUT_POSITION = concat!(
        "insert into commission_positions (root_id, tenant_id, currency, through_seq, own_cents, \
            is_complete) values ($1, $2, $3, $4, $5, $6)",
        " on conflict (root_id, tenant_id, currency)",
        " do update set through_seq = excluded.through_seq, own_cents = excluded.own_cents, \
            is_complete = excluded.is_complete"
    );
    ADD = concat!(
        "insert into commission_customers (root_id, tenant_id, currency, customer_id, cents, \
            passed_cents, gained_cents) values ($1, $2, $3, $4, $5, $6, $7)",
        " on conflict (root_id, tenant_id, currency, customer_id) do update set cents = \
            commission_customers.cents + excluded.cents,",
        add_steps!("passed_cents"), ",", add_steps!("gained_cents")
    );
    PAGE = concat!(customers_of!(), " order by c.customer_id limit $5");
    LOSSES = concat!(customers_of!(), " and (c.cents < 0 or c.passed_cents > 0) order by \
        c.customer_id limit $5");
    GAINED = concat!(
        "select cast(coalesce(sum(cents), 0) as bigint) from commission_customers",
        " where root_id = $1 and tenant_id = $2 and currency = $3 and cents > 0"
    );
    LOST = concat!(
        "select count(*) from commission_customers c join commission_customers u on u.root_id = \
            c.root_id and u.currency = c.currency",
        " and u.customer_id = c.customer_id and u.tenant_id = $3 and (u.cents < 0 or \
            u.passed_cents > 0) where c.root_id = $1 and c.tenant_id = $2 and c.currency = $4"
    );
}

/// How far a reseller's commission by customer is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommissionPosition {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    /// Inclusive.
    pub through: Seq,
    /// Not negative, voids aside: bought for customers that it collects from itself, or for its own
    /// use.
    pub own: Cents,
    /// False: records that the months know were gone already.
    pub is_complete: bool,
}

/// A reseller's commission from one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerCommission {
    pub customer: TenantId,
    pub cents: Cents,
    /// What it lost in single steps while those below it gained: already taken off.
    pub passed: Cents,
    /// What it gained in single steps: what it lost in others is not taken off.
    pub gained: Cents,
    /// Of the customer, from the platform down to it.
    pub path: Vec<TenantId>,
}

/// What records came to: stored if the position still is `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomersGrown {
    pub before: Option<CommissionPosition>,
    pub after: CommissionPosition,
    /// To be added; each customer once.
    pub customers: Vec<CustomerGrown>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerGrown {
    pub customer: TenantId,
    pub cents: Cents,
    pub passed: Cents,
    pub gained: Cents,
}

#[derive(sqlx::FromRow)]
struct PositionRow {
    through_seq: i64,
    own_cents: i64,
    is_complete: i64,
}

#[derive(sqlx::FromRow)]
struct CustomerRow {
    customer_id: i64,
    cents: i64,
    passed_cents: i64,
    gained_cents: i64,
    path: Vec<u8>,
}

impl PositionRow {
    fn position(self, root: TenantId, tenant: TenantId, currency: Currency) -> CommissionPosition {
        let (through, own, is_complete) = (
            Seq(self.through_seq),
            Cents(self.own_cents),
            self.is_complete != 0,
        );
        CommissionPosition {
            root,
            tenant,
            currency,
            through,
            own,
            is_complete,
        }
    }
}

impl CustomerRow {
    fn customer(self) -> Result<CustomerCommission> {
        let path = self.path.chunks_exact(8).map(|id| {
            <[u8; 8]>::try_from(id)
                .map(i64::from_be_bytes)
                .map(TenantId)
        });
        let path = path.collect::<Result<_, _>>().map_err(corrupt)?;
        let (cents, passed, gained) = (
            Cents(self.cents),
            Cents(self.passed_cents),
            Cents(self.gained_cents),
        );
        Ok(CustomerCommission {
            customer: TenantId(self.customer_id),
            cents,
            passed,
            gained,
            path,
        })
    }
}

/// Whether the position is still where it was. The log of the root is held, and so it stays.
pub(super) async fn is_at(tx: &mut Tx<'_>, grown: &CustomersGrown) -> Result<bool> {
    let CommissionPosition {
        root,
        tenant,
        currency,
        ..
    } = grown.after;
    let found = look!(
        tx,
        fetch_optional as PositionRow,
        POSITION,
        root.0,
        tenant.0,
        currency.code()
    )?;
    Ok(found.map(|row| row.position(root, tenant, currency)) == grown.before)
}

pub(super) async fn grow(tx: &mut Tx<'_>, grown: &CustomersGrown) -> Result<()> {
    let CommissionPosition {
        root,
        tenant,
        currency,
        through,
        own,
        is_complete,
    } = grown.after;
    change!(
        &mut *tx,
        PUT_POSITION,
        root.0,
        tenant.0,
        currency.code(),
        through.0,
        own.0,
        i64::from(is_complete)
    )?;
    insert_many!(
        tx,
        ADD,
        grown.customers,
        |row| root.0,
        tenant.0,
        currency.code(),
        row.customer.0,
        row.cents.0,
        add_steps(row.passed, Cents::ZERO).0,
        add_steps(row.gained, Cents::ZERO).0
    );
    Ok(())
}

impl PayoutRows<'_> {
    /// `None`: nothing of it is added up.
    pub async fn commission_position(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<Option<CommissionPosition>> {
        let row = read!(
            self.0,
            fetch_optional as PositionRow,
            POSITION,
            root.0,
            tenant.0,
            currency.code()
        )?;
        Ok(row.map(|row| row.position(root, tenant, currency)))
    }

    /// A reseller's commission by customer, in the order of their ids, behind `after`; with what
    /// its own buyers' customers brought it.
    pub async fn commission_customers(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<CustomerCommission>> {
        let after = after.map_or(0, |after| after.0);
        let rows = read!(
            self.0,
            fetch_all as CustomerRow,
            PAGE,
            root.0,
            tenant.0,
            currency.code(),
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, CustomerRow::customer)
    }

    /// The same of those customers on whom it lost.
    pub async fn losses(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<CustomerCommission>> {
        let after = after.map_or(0, |after| after.0);
        let rows = read!(
            self.0,
            fetch_all as CustomerRow,
            LOSSES,
            root.0,
            tenant.0,
            currency.code(),
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, CustomerRow::customer)
    }

    /// What a reseller earned from all customers that brought it something.
    pub async fn commission_gained(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<Cents> {
        let gained: i64 = read!(
            self.0,
            fetch_one as (i64,),
            GAINED,
            root.0,
            tenant.0,
            currency.code()
        )?
        .0;
        Ok(Cents(gained))
    }

    /// Whether a seller lost on any of the customers that a reseller below it sold to.
    pub async fn lost_on_customers_of(
        self,
        root: TenantId,
        seller: TenantId,
        reseller: TenantId,
        currency: Currency,
    ) -> Result<bool> {
        let lost: i64 = read!(
            self.0,
            fetch_one as (i64,),
            LOST,
            root.0,
            reseller.0,
            seller.0,
            currency.code()
        )?
        .0;
        Ok(lost > 0)
    }
}
