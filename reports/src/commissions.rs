//! What a reseller earned: charges received − charges paid, and what has accrued.

use crate::entries::since;
use crate::error::Error;
use crate::sources::Sources;
use journal::{EffectKind, JournalEntry, Seq};
use ledger::{AccountKey, AccountKind};
use payouts::{self, CommissionAccount, Payouts};
use rating::{Cents, Currency, Instant, TenantId};
use serde::Serialize;
use std::collections::HashMap;
use tenants::{Tenant, TenantKind};

/// A reseller's commission for a period.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Commission)]
pub struct CommissionBody {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    /// Received from its buyers, net of voids.
    #[schema(example = 400)]
    pub received_cents: i64,
    /// Paid to its seller, net of voids.
    #[schema(example = 300)]
    pub paid_cents: i64,
    /// received − paid, regardless of who collects. A monthly statement
    /// (`/v1/commissions/statement`) contains only the part that the platform collects, by the
    /// months of the platform's time zone.
    #[schema(example = 100)]
    pub commission_cents: i64,
    /// As in the current month's statement: commission on everything the platform collects, from
    /// the beginning until now. Absent while it is still being calculated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 100)]
    pub accrued_cents: Option<i64>,
    /// Current balance: accrued commission, top-ups, adjustments and payouts.
    /// `/v1/commissions/payable` shows how much of it can be paid out.
    #[schema(example = 100)]
    pub balance_cents: i64,
}

/// A reseller's balance that its commission accrues on.
///
/// # Errors
/// [`Error::NoReseller`]; as [`Sources::currency_of`].
pub async fn account_of(
    sources: &Sources,
    reseller: &Tenant,
    currency: Option<&str>,
    now: Instant,
) -> Result<CommissionAccount, Error> {
    if reseller.kind != TenantKind::Reseller {
        return Err(Error::NoReseller);
    }
    let currency = sources.currency_of(reseller, currency, now).await?;
    Ok(Payouts::commission_account(reseller, currency))
}

/// The commission of a period. What is much to read takes a turn, which `next` gives.
///
/// # Errors
/// As [`since`]; [`Error::SumTooLarge`].
pub async fn commission<T, E: From<Error>, F: Future<Output = Result<T, E>>>(
    sources: &Sources,
    reseller: &Tenant,
    currency: Currency,
    (from, until): (Instant, Instant),
    now: Instant,
    next: impl Fn() -> F,
) -> Result<CommissionBody, E> {
    let (mut records, mut turn) = (HashMap::<Seq, JournalEntry>::new(), None);
    for of in [AccountKey::balance, AccountKey::book, AccountKey::income] {
        let account = of(reseller.id, currency);
        records.extend(
            since(sources, account, from, &mut turn, &next)
                .await?
                .into_iter()
                .map(|record| (record.seq, record)),
        );
    }
    let within = records.values().filter(|record| record.received_at < until);
    let (received, paid) = sums(within, reseller.id)?;
    let commission = received.checked_sub(paid).map_err(|_| Error::SumTooLarge)?;
    let balance = sources
        .engine
        .balance(AccountKey::balance(reseller.id, currency))
        .await
        .map_err(Error::from)?
        .posted;
    Ok(CommissionBody {
        reseller: reseller.external_id.clone(),
        currency: currency.code(),
        from: from.to_string(),
        until: until.to_string(),
        received_cents: received.0,
        paid_cents: paid.0,
        commission_cents: commission.0,
        accrued_cents: accrued(sources, reseller, currency, now)
            .await?
            .map(|cents| cents.0),
        balance_cents: balance.0,
    })
}

/// As the statement of the present month has it; `None`: it is still being added up.
async fn accrued(
    sources: &Sources,
    reseller: &Tenant,
    currency: Currency,
    now: Instant,
) -> Result<Option<Cents>, Error> {
    let month = sources.payouts.calendar().month_of(now);
    let account = Payouts::commission_account(reseller, currency);
    match sources.payouts.month(account, month, now).await {
        Ok(view) => Ok(Some(view.accrued)),
        // What is asked for is a period: it is answered all the same.
        Err(payouts::Error::Unfinished | payouts::Error::Overflow(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Added up wider than cents: of large charges and their voids only what is left must be a number
/// of cents.
fn sums<'a>(
    records: impl Iterator<Item = &'a JournalEntry>,
    reseller: TenantId,
) -> Result<(Cents, Cents), Error> {
    // The platform's revenue is kept per root, under the root's id: it is not the root's money.
    let is_own =
        |account: AccountKey| account.tenant == reseller && account.kind != AccountKind::Revenue;
    let (mut received, mut paid) = (0_i128, 0_i128);
    for record in records {
        let effects = journal::effects(record.identity.root, None, &record.body)?;
        for effect in effects.iter().filter(|effect| is_own(effect.account)) {
            match effect.kind {
                EffectKind::ChargeReceived => received += i128::from(effect.cents.0),
                EffectKind::ChargePaid => paid -= i128::from(effect.cents.0),
                EffectKind::Posted => {}
            }
        }
    }
    let cents = |sum: i128| {
        i64::try_from(sum)
            .map(Cents)
            .map_err(|_| Error::SumTooLarge)
    };
    Ok((cents(received)?, cents(paid)?))
}
