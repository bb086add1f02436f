//! What of a reseller's commission can be paid out.

use crate::error::Error;
use crate::sources::Sources;
use payouts::rows::{PayoutMethod, PayoutSettings};
use payouts::{Because, CommissionAccount, Cover, default_settings};
use rating::Instant;
use schema::words;
use serde::Serialize;
use tenants::Tenant;

/// Debt of a customer or of a reseller below, or loss of a seller above on it, and the commission
/// withheld because of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WithheldBody {
    #[schema(example = "acme-42")]
    pub customer: String,
    /// `unpaid`: it owes this. `sold_below_cost`: a seller above, or the platform, made a loss on
    /// its usage; for the reseller itself, it got back more for its own purchases than it had paid.
    /// `overpaid`: more was paid out to it than it has earned, and the difference is outstanding.
    #[schema(value_type = words::WithheldBecause, example = "unpaid")]
    pub because: &'static str,
    /// Amount below zero. With `sold_below_cost`, the part that this reseller bears, without the
    /// losses of others.
    #[schema(example = 4000)]
    pub shortfall_cents: i64,
    #[schema(example = 1000)]
    pub withheld_cents: i64,
}

/// payable = accrued − withheld − paid out, at most the available balance, at least the minimum.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PayableBody {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// The last month whose hold-back period is over.
    #[schema(example = "2026-10")]
    pub period: String,
    #[schema(example = 14)]
    pub hold_back_days: u16,
    /// Commission from the beginning up to the end of the period.
    #[schema(example = 10000)]
    pub accrued_cents: i64,
    /// Commission since the end of the period. It is not payable yet, and withheld amounts are
    /// taken from it first. Negative: voids.
    #[schema(example = 0)]
    pub later_cents: i64,
    /// Commission, from any month, on customers who have not paid. Each seller up the chain
    /// withholds up to its own commission.
    #[schema(example = 0)]
    pub withheld_cents: i64,
    /// The largest first, at most 100.
    pub withheld_by_customer: Vec<WithheldBody>,
    /// Total number of such customers.
    #[schema(example = 0)]
    pub withheld_customers: usize,
    /// Payouts that are due, in progress or paid.
    #[schema(example = 4000)]
    pub paid_out_cents: i64,
    /// Current balance, excluding amounts set aside by holds.
    #[schema(example = 7500)]
    pub available_cents: i64,
    /// Smaller amounts are carried forward.
    #[schema(example = 2500)]
    pub minimum_cents: i64,
    #[schema(example = 6000)]
    pub payable_cents: i64,
    /// Amount that the next period begins with. Negative: it must be earned back first.
    #[schema(example = 0)]
    pub carried_cents: i64,
    /// Amount paid out that is no longer commission (because of a void, a refund or a lost
    /// dispute). It blocks payouts until later commission has made up for it.
    #[schema(example = 0)]
    pub debt_cents: i64,
}

/// Customers listed under `withheld_by_customer`.
const WITHHELD_LISTED_MAX: usize = 100;

async fn withheld_of(sources: &Sources, cover: &Cover) -> Result<Vec<WithheldBody>, Error> {
    let mut listed = Vec::new();
    for one in cover.withheld.iter().take(WITHHELD_LISTED_MAX) {
        listed.push(WithheldBody {
            customer: sources.tenant(one.tenant).await?.external_id.clone(),
            because: match one.because {
                Because::Unpaid => "unpaid",
                Because::SoldBelowCost => "sold_below_cost",
                Because::Overpaid => "overpaid",
            },
            shortfall_cents: one.shortfall.0,
            withheld_cents: one.cents.0,
        });
    }
    Ok(listed)
}

/// What can be paid out now, by these settings.
///
/// # Errors
/// The books cannot be read; they are still being added up.
pub async fn payable(
    sources: &Sources,
    reseller: &Tenant,
    commission_account: CommissionAccount,
    stored: Option<PayoutSettings>,
    now: Instant,
) -> Result<PayableBody, Error> {
    let currency = commission_account.account.currency;
    let mut settings =
        stored.unwrap_or_else(|| default_settings(reseller, currency, PayoutMethod::Bank));
    settings.currency = currency;
    let period = sources.payouts.period_due(&settings, now);
    let (standing, cover) = sources.payouts.standing(&settings, period, now).await?;
    let payable = standing.payable()?;
    Ok(PayableBody {
        reseller: reseller.external_id.clone(),
        currency: settings.currency.code(),
        period: period.to_string(),
        hold_back_days: settings.hold_back_days,
        accrued_cents: standing.accrued.0,
        later_cents: standing.later.0,
        withheld_cents: standing.withheld.0,
        withheld_by_customer: withheld_of(sources, &cover).await?,
        withheld_customers: cover.withheld.len(),
        paid_out_cents: standing.paid_out.0,
        available_cents: standing.available.0,
        minimum_cents: standing.minimum.0,
        payable_cents: payable.cents.0,
        carried_cents: payable.carried.0,
        debt_cents: payable.debt.0,
    })
}
