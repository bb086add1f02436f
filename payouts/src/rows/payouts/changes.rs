//! Changes of payouts: each guarded by the version of its row, with its entry in the audit log and
//! the notice to the reseller in the same transaction.

use super::row::{Payout, PayoutState};
use super::{COUNTING, INSERT, UPDATE};
use crate::rows::PayoutRows;
use crate::rows::payout_settings::BankAccount;
use ::notices::rows::{self as notices, Notice, NoticeKind};
use catalog::{Actor, Change, Result, audit, conflict};
use db::sql::{Tx, change, corrupt, look, word, write};
use rating::ids::NoticeId;
use rating::{Cents, Instant};
use serde_json::{Value, json};

/// What the audit log shows.
fn summary(payout: &Payout) -> Value {
    json!({
        "state": payout.state, "cents": payout.cents, "currency": payout.currency, "method": payout.method, "generation": payout.idempotency_epoch,
        "payee": payout.payee, "bank": payout.bank.as_ref().map(BankAccount::masked), "transfer": payout.transfer,
        "reference": payout.reference, "error": payout.error,
    })
}

async fn log(
    tx: &mut Tx<'_>,
    actor: &Actor,
    before: Option<&Payout>,
    after: &Payout,
    action: &'static str,
) -> Result<()> {
    let (tenant, root, id) = (after.tenant, after.root, after.id.to_string());
    let change = Change {
        tenant,
        root,
        resource: "payout",
        id,
        action,
        before: before.map(summary),
        after: Some(summary(after)),
    };
    audit::append(tx, actor, &change).await
}

async fn counting_in(tx: &mut Tx<'_>, payout: &Payout) -> Result<Cents> {
    let Payout {
        root,
        tenant,
        currency,
        id,
        ..
    } = payout;
    let (cents,) = look!(
        tx,
        fetch_one as (i64,),
        COUNTING,
        root.0,
        tenant.0,
        currency.code(),
        id.0
    )?;
    Ok(Cents(cents))
}

/// Writes what may change of a row, if it still is as `before`. The log of its root is held.
async fn replace(tx: &mut Tx<'_>, before: &Payout, after: &Payout) -> Result<bool> {
    let bank = after.bank.as_ref();
    let changed = change!(
        tx,
        UPDATE,
        before.root.0,
        before.id.0,
        before.version,
        word(&after.state)?,
        word(&after.method)?,
        after.idempotency_epoch,
        after.attempts,
        after.next_at.map(Instant::micros),
        after.payee.as_deref(),
        bank.map(|bank| bank.holder.as_str()),
        bank.map(|bank| bank.iban.as_str()),
        bank.and_then(|bank| bank.bic.as_deref()),
        after.file.map(|file| file.0),
        after.transfer.as_deref(),
        after.reference.as_deref(),
        after.error.as_deref(),
        after.begun_at.map(Instant::micros),
        after.paid_at.map(Instant::micros),
        after.cents.0,
    )?;
    if changed == 1 {
        tell(tx, before, after).await?;
    }
    Ok(changed == 1)
}

/// The reseller hears of it, in the transaction that says so.
async fn tell(tx: &mut Tx<'_>, before: &Payout, after: &Payout) -> Result<()> {
    let kind = match after.state {
        // Not again where taking it back was refused.
        PayoutState::Paid
            if !matches!(before.state, PayoutState::Paid | PayoutState::Reversing) =>
        {
            NoticeKind::PayoutPaid
        }
        PayoutState::Failed if before.state != PayoutState::Failed => NoticeKind::PayoutFailed,
        _ => return Ok(()),
    };
    let data = json!({ "payout": after.id, "currency": after.currency, "cents": after.cents, "error": after.error });
    let notice = Notice {
        id: NoticeId(after.id.0),
        root: after.root,
        tenant: after.tenant,
        kind,
        cause: format!(
            "payout:{}:{}:{}",
            after.id,
            after.idempotency_epoch,
            word(&after.state)?
        ),
        data,
        created_at: after.paid_at.or(after.begun_at).unwrap_or(after.created_at),
    };
    notices::append(tx, &notice).await.map(drop)
}

/// The same with its entry in the log.
pub(in crate::rows) async fn replace_logged(
    tx: &mut Tx<'_>,
    actor: &Actor,
    before: &Payout,
    after: &Payout,
    action: &'static str,
) -> Result<bool> {
    Ok(replace(tx, before, after).await?
        && log(tx, actor, Some(before), after, action)
            .await
            .map(|()| true)?)
}

impl PayoutRows<'_> {
    /// A new payout, if other payouts of the reseller still come to `others`, as they were when its
    /// cents were worked out, and the period has none yet. False: worked out from what is no longer
    /// so.
    pub async fn create_payout(self, actor: &Actor, new: &Payout, others: Cents) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(new.root).await?;
            if counting_in(tx, new).await? != others {
                return Ok(false);
            }
            let Payout {
                id,
                root,
                tenant,
                period,
                cents,
                idempotency_epoch,
                attempts,
                created_at,
                version,
                ..
            } = new;
            let (currency, state, method) =
                (new.currency.code(), word(&new.state)?, word(&new.method)?);
            let (id, created_at) = (id.0, created_at.micros());
            let inserted = change!(
                &mut *tx,
                INSERT,
                id,
                root.0,
                tenant.0,
                currency,
                *period,
                state,
                cents.0,
                method,
                *idempotency_epoch,
                *attempts,
                created_at,
                *version
            )?;
            if inserted == 0 {
                return Ok(false);
            }
            log(tx, actor, None, new, "create").await?;
            Ok(true)
        })
    }

    /// `after` in place of `before`, and an entry in the log if somebody asked for it. False: it
    /// has changed since.
    pub async fn replace_payout(
        self,
        by: Option<(&Actor, &'static str)>,
        before: &Payout,
        after: &Payout,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(before.root).await?;
            match by {
                Some((actor, action)) => replace_logged(tx, actor, before, after, action).await,
                None => replace(tx, before, after).await,
            }
        })
    }

    /// The same for a payout that counted for nothing and shall count again: its cents and those of
    /// all others come to no more than `most`.
    ///
    /// # Errors
    /// `Conflict`: another period has paid the money meanwhile.
    pub async fn revive_payout(
        self,
        actor: &Actor,
        before: &Payout,
        after: &Payout,
        most: Cents,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(before.root).await?;
            let others = counting_in(tx, before).await?;
            if others.checked_add(after.cents).map_err(corrupt)? > most {
                return Err(conflict(
                    "state",
                    "later payouts hold this commission: cancel it, the rest is carried forward",
                ));
            }
            replace_logged(tx, actor, before, after, "retry").await
        })
    }
}
