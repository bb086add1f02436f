//! The payment provider's balance against what is posted.

use crate::error::Error;
use payments::service::PaymentService;
use provider::{BalanceMove, MoveSum};
use rating::Instant;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Reconciliation)]
pub struct ReconciliationBody {
    /// Whether everything matches.
    pub ok: bool,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    /// Movements of the provider's balance in the period.
    #[schema(example = 240)]
    pub moves: u64,
    /// Number of payments compared.
    #[schema(example = 120)]
    pub payments: u64,
    /// Movements that belong to no payment of ours: payouts to the bank, other business on the same
    /// account.
    #[schema(example = 3)]
    pub foreign: u64,
    #[schema(example = 0)]
    pub differences: u64,
    /// The first hundred.
    pub listed: Vec<DifferenceBody>,
    /// Movements that the books cannot count: in an unsupported currency, or in fractions of its
    /// smallest unit.
    #[schema(example = 0)]
    #[serde(default)]
    pub uncounted_moves: u64,
    /// The first hundred of them.
    #[serde(default)]
    pub uncounted: Vec<UncountedBody>,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = UncountedMove)]
pub struct UncountedBody {
    /// The provider's id of the movement.
    #[schema(example = "txn_3Pq…")]
    pub id: String,
    /// As the provider writes it.
    #[schema(example = "usdc")]
    pub currency: String,
    /// Before fees, in the provider's units of that currency.
    #[schema(example = 2500)]
    pub amount: i64,
    #[schema(example = 0)]
    pub fee: i64,
}

fn uncounted(one: BalanceMove) -> Option<UncountedBody> {
    match one.sum {
        MoveSum::Uncounted {
            amount,
            fee,
            currency,
        } => Some(UncountedBody {
            id: one.id,
            currency,
            amount,
            fee,
        }),
        MoveSum::Counted { .. } => None,
    }
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReconciliationDifference)]
pub struct DifferenceBody {
    /// The provider's id of a payment, of a transfer, or of a movement that belongs to neither.
    #[schema(example = "pi_3Pq…")]
    pub id: String,
    #[schema(example = "EUR")]
    pub currency: String,
    /// Amount net of fees, according to the provider.
    #[schema(example = 4900)]
    pub provider_cents: i64,
    /// Net amount as posted.
    #[schema(example = 0)]
    pub posted_cents: i64,
}

/// Compares what the provider moved in a period with what is posted.
///
/// # Errors
/// The provider or the books cannot be read.
pub async fn reconciliation(
    payments: &PaymentService,
    from: Instant,
    until: Instant,
) -> Result<ReconciliationBody, Error> {
    let found = payments.reconcile(from, until).await?;
    let listed = found.listed.into_iter().map(|one| DifferenceBody {
        id: one.id,
        currency: one.currency.code().to_owned(),
        provider_cents: one.provider.0,
        posted_cents: one.posted.0,
    });
    Ok(ReconciliationBody {
        ok: found.differences == 0,
        from: from.to_string(),
        until: until.to_string(),
        moves: found.moves,
        payments: found.payments,
        foreign: found.foreign,
        differences: found.differences,
        listed: listed.collect(),
        uncounted_moves: found.uncounted,
        uncounted: found
            .uncounted_listed
            .into_iter()
            .filter_map(uncounted)
            .collect(),
    })
}
