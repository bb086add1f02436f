//! What does this cost? Pure: no clock, no randomness, no I/O, no floating point.
//!
//! Vocabulary: a *usage* (meter, quantity, instant, destination, attributes) is matched against a
//! *rate card version*, priced by one *rate* into an *exact* amount (10⁻¹² cent), and posted in
//! whole cents per link of the chain, the fraction carried to the next event.
//!
//! Invariants: every rounding of the workspace is in [`rounding`]; overflow is an error; increments
//! are never materialised; Σ posted + carry = Σ exact.

pub mod aggregate;
pub mod below_zero;
pub mod call;
pub mod card;
pub mod compile;
pub mod fast;
pub mod ids;
pub mod instant;
pub mod json;
pub mod link;
pub mod model;
pub mod money;
pub mod prefix;
pub mod price;
pub mod quantity;
pub mod ratio;
pub mod rounding;
pub mod segments;
mod shape;
pub mod spend;
pub mod usage;
pub mod validate;
pub mod window;

pub use ids::{AgreementId, CardVersionId, RateCardId, TenantId};
pub use instant::Instant;
pub use money::{Carry, Cents, Currency, Exact};
pub use quantity::Quantity;
pub use ratio::Ratio;
pub use usage::Unrated;

/// A number left the range in which it can be held exactly. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number is too large to be held exactly")]
pub struct Overflow;
