//! What a provider's payments have come to in the books: where each stands between the journal and
//! the provider.

use super::{PaymentRows, TopUp, top_ups};
use ::notices::rows::{self as notices, Notice};
use catalog::{Actor, CatalogError, Change, Page, Period, Result, audit, one_more};
use db::sql::{Tx, change, corrupt, read, statements, write};
use rating::{Cents, Currency, Instant, TenantId, ids::TopUpId};

macro_rules! columns {
    () => {
        "id, root_id, tenant_id, top_up_id, currency, status, is_own, generation, balance_cents, \
            disputed_cents, suspense_cents, \
         expense_cents, received_cents, refunded_cents, withdrawn_cents, open_disputes, \
         created_at, updated_at, contests, \
         foreign_currency, foreign_amount, fee_currency, fee_cents, fee_generation"
    };
}

statements! {
    INSERT = concat!(
        "insert into payments (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
            $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
        " on conflict do nothing"
    );
    BY_ID = concat!("select ", columns!(), " from payments where id = $1");
    OF_TOP_UP = concat!("select ", columns!(), " from payments where top_up_id = $1 order by \
        created_at, id");
    IN_SUSPENSE = concat!(
        "select ", columns!(), " from payments where (suspense_cents <> 0 or foreign_amount <> 0) \
            and id > $1",
        " and created_at >= $2 and created_at < $3 order by id limit $4"
    );
    CHANGED = "select id from payments where updated_at >= $1 and updated_at < $2 order by id";
    /// Whoever saw the row as it is changes it.
    PUT = concat!(
        "update payments set status = $4, is_own = $5, generation = $6, balance_cents = $7, \
            disputed_cents = $8, suspense_cents = $9,",
        " expense_cents = $10, received_cents = $11, refunded_cents = $12, withdrawn_cents = $13, \
            open_disputes = $14,",
        " updated_at = $15, contests = $16, foreign_currency = $17, foreign_amount = $18, \
            fee_currency = $19, fee_cents = $20,",
        " fee_generation = $21 where root_id = $1 and id = $2 and updated_at = $3"
    );
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The provider's.
    pub id: String,
    pub root: TenantId,
    /// Whose top-up it pays.
    pub tenant: TenantId,
    pub top_up: TopUpId,
    pub currency: Currency,
    /// The provider's state of it, in our words.
    pub status: String,
    /// It is what the top-up asked for; else its money is nobody's.
    pub is_own: bool,
    /// Steps posted so far; the next one is named by this.
    pub idempotency_epoch: i64,
    /// What those steps came to: on the tenant's balance, …
    pub balance: Cents,
    /// … set aside for disputes, …
    pub disputed: Cents,
    /// … of nobody, …
    pub suspense: Cents,
    /// … and as costs (negative).
    pub expense: Cents,
    /// As last seen at the provider: paid in, …
    pub received: Cents,
    /// … given back, …
    pub refunded: Cents,
    /// … withdrawn by disputes.
    pub withdrawn: Cents,
    pub open_disputes: i64,
    /// Disputes and reports of fraud that were acted on.
    pub contests: i64,
    /// What of it cannot be counted in the books, as the provider counts: nothing of it is posted.
    pub foreign: Option<Foreign>,
    /// Fees in the currency that it was converted to, as posted.
    pub fees: Option<FeesElsewhere>,
    pub created_at: Instant,
    /// Differs after every change.
    pub updated_at: Instant,
}

/// Money in a currency that is not ours, or in parts of our smallest unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// In the provider's words: `usdc`.
    pub currency: String,
    /// In the provider's units; 0 once it was given back.
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeesElsewhere {
    pub currency: Currency,
    pub cents: Cents,
    /// Steps posted so far; the next one is named by this.
    pub idempotency_epoch: i64,
}

/// What one look at the provider changes here.
#[derive(Debug)]
pub struct Settlement<'a> {
    pub payment: (&'a Payment, &'a Payment),
    pub top_up: Option<(&'a TopUp, &'a TopUp)>,
    pub change: Option<Change>,
    /// What is told of it.
    pub notices: Vec<Notice>,
}

#[derive(sqlx::FromRow)]
struct PaymentRow {
    id: String,
    root_id: i64,
    tenant_id: i64,
    top_up_id: i64,
    currency: String,
    status: String,
    is_own: i64,
    #[sqlx(rename = "generation")]
    idempotency_epoch: i64,
    balance_cents: i64,
    disputed_cents: i64,
    suspense_cents: i64,
    expense_cents: i64,
    received_cents: i64,
    refunded_cents: i64,
    withdrawn_cents: i64,
    open_disputes: i64,
    created_at: i64,
    updated_at: i64,
    contests: i64,
    foreign_currency: Option<String>,
    foreign_amount: i64,
    fee_currency: Option<String>,
    fee_cents: i64,
    fee_generation: i64,
}

impl PaymentRow {
    fn payment(self) -> Result<Payment> {
        let amount = self.foreign_amount;
        let (cents, idempotency_epoch) = (Cents(self.fee_cents), self.fee_generation);
        let fees = |currency: String| {
            Ok::<_, CatalogError>(FeesElsewhere {
                currency: currency.parse().map_err(corrupt)?,
                cents,
                idempotency_epoch,
            })
        };
        Ok(Payment {
            id: self.id,
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            top_up: TopUpId(self.top_up_id),
            currency: self.currency.parse().map_err(corrupt)?,
            status: self.status,
            is_own: self.is_own != 0,
            idempotency_epoch: self.idempotency_epoch,
            balance: Cents(self.balance_cents),
            disputed: Cents(self.disputed_cents),
            suspense: Cents(self.suspense_cents),
            expense: Cents(self.expense_cents),
            received: Cents(self.received_cents),
            refunded: Cents(self.refunded_cents),
            withdrawn: Cents(self.withdrawn_cents),
            open_disputes: self.open_disputes,
            contests: self.contests,
            foreign: self
                .foreign_currency
                .map(|currency| Foreign { currency, amount }),
            fees: self.fee_currency.map(fees).transpose()?,
            created_at: Instant(self.created_at),
            updated_at: Instant(self.updated_at),
        })
    }
}

async fn insert(tx: &mut Tx<'_>, new: &Payment) -> Result<bool> {
    let inserted = change!(
        tx,
        INSERT,
        new.id.as_str(),
        new.root.0,
        new.tenant.0,
        new.top_up.0,
        new.currency.code(),
        new.status.as_str(),
        i64::from(new.is_own),
        new.idempotency_epoch,
        new.balance.0,
        new.disputed.0,
        new.suspense.0,
        new.expense.0,
        new.received.0,
        new.refunded.0,
        new.withdrawn.0,
        new.open_disputes,
        new.created_at.micros(),
        new.updated_at.micros(),
        new.contests,
        new.foreign
            .as_ref()
            .map(|foreign| foreign.currency.as_str()),
        new.foreign.as_ref().map_or(0, |foreign| foreign.amount),
        new.fees.as_ref().map(|fees| fees.currency.code()),
        new.fees.as_ref().map_or(0, |fees| fees.cents.0),
        new.fees.as_ref().map_or(0, |fees| fees.idempotency_epoch),
    )?;
    Ok(inserted == 1)
}

async fn put(tx: &mut Tx<'_>, before: &Payment, after: &Payment) -> Result<bool> {
    let changed = change!(
        tx,
        PUT,
        before.root.0,
        before.id.as_str(),
        before.updated_at.micros(),
        after.status.as_str(),
        i64::from(after.is_own),
        after.idempotency_epoch,
        after.balance.0,
        after.disputed.0,
        after.suspense.0,
        after.expense.0,
        after.received.0,
        after.refunded.0,
        after.withdrawn.0,
        after.open_disputes,
        after
            .updated_at
            .micros()
            .max(before.updated_at.micros() + 1),
        after.contests,
        after
            .foreign
            .as_ref()
            .map(|foreign| foreign.currency.as_str()),
        after.foreign.as_ref().map_or(0, |foreign| foreign.amount),
        after.fees.as_ref().map(|fees| fees.currency.code()),
        after.fees.as_ref().map_or(0, |fees| fees.cents.0),
        after.fees.as_ref().map_or(0, |fees| fees.idempotency_epoch),
    )?;
    Ok(changed == 1)
}

impl PaymentRows<'_> {
    /// The first to hear of a payment writes it down; everybody else (false) finds it.
    pub async fn create_payment(self, new: &Payment) -> Result<bool> {
        write!(self.0, |tx| { insert(tx, new).await })
    }

    pub async fn payment(self, id: &str) -> Result<Option<Payment>> {
        read!(self.0, fetch_optional as PaymentRow, BY_ID, id)?
            .map(PaymentRow::payment)
            .transpose()
    }

    pub async fn payments_of(self, top_up: TopUpId) -> Result<Vec<Payment>> {
        read!(self.0, fetch_all as PaymentRow, OF_TOP_UP, top_up.0)?
            .into_iter()
            .map(PaymentRow::payment)
            .collect()
    }

    /// Payments whose money belongs to nobody we know, by id.
    pub async fn payments_in_suspense(
        self,
        period: Period,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Payment>> {
        let (after, (from, until)) = (after.unwrap_or_default(), period.micros());
        let rows = read!(
            self.0,
            fetch_all as PaymentRow,
            IN_SUSPENSE,
            after,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, PaymentRow::payment)
    }

    /// Payments whose rows changed in `[from, until)`.
    pub async fn payments_changed(self, from: Instant, until: Instant) -> Result<Vec<String>> {
        let rows = read!(
            self.0,
            fetch_all as (String,),
            CHANGED,
            from.micros(),
            until.micros()
        )?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Writes what was seen and posted, all of it or (false: somebody else was faster) nothing.
    pub async fn put_settlement(self, actor: &Actor, settlement: &Settlement<'_>) -> Result<bool> {
        write!(self.0, |tx| {
            let (before, after) = settlement.payment;
            if settlement.change.is_some() {
                tx.lock_log(after.root).await?;
            }
            if !put(tx, before, after).await? {
                return Ok(false);
            }
            if let Some((before, after)) = settlement.top_up
                && !top_ups::put(tx, before, after).await?
            {
                return Err(catalog::conflict(
                    "top_up",
                    "it was changed at the same time",
                ));
            }
            if let Some(change) = &settlement.change {
                audit::append(tx, actor, change).await?;
            }
            for notice in &settlement.notices {
                notices::append(tx, notice).await?;
            }
            Ok(true)
        })
    }
}
