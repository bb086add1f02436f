//! What a commission is taken from: the price of the link below, or of the link that it names.

use journal::{Charge, ChargePricing};
use prepare::plan::Base;
use rating::{Exact, Overflow, TenantId, link};

/// What a commission is taken from.
#[derive(Debug, Clone)]
pub(super) struct Below {
    /// What is left of a price after the commissions that come off first.
    pub(super) left: Exact,
    /// Whose price, and those commissions; `None`: it is that of the link below.
    pub(super) of: Option<(TenantId, Vec<u16>)>,
}

impl Below {
    pub(super) fn of(charge: &Charge) -> Self {
        Self {
            left: charge.exact,
            of: None,
        }
    }
}

/// `charges`: from the lowest up to the link below.
pub(super) fn below(
    base: Option<&Base>,
    charges: &[Option<&Charge>],
) -> Result<Option<Below>, Overflow> {
    let Some(base) = base else {
        return Ok(charges.last().copied().flatten().map(Below::of));
    };
    let Some(first) = charges.len().checked_sub(base.down) else {
        return Ok(None);
    };
    let Some(retail) = charges[first] else {
        return Ok(None);
    };
    let mut best = base_price(retail, &base.counting)?;
    // What a floor above it comes to was paid as well.
    for (index, charge) in charges[first..].iter().enumerate().skip(1) {
        if let Some(charge) = charge
            .filter(|charge| matches!(charge.pricing, ChargePricing::Floored { applies: true, .. }))
        {
            let other = base_price(charge, &base.counting[index..])?;
            best = if other.left > best.left { other } else { best };
        }
    }
    Ok(Some(best))
}

/// `above`: commissions above the charge, from below up, as far as they count.
fn base_price(charge: &Charge, above: &[Option<u16>]) -> Result<Below, Overflow> {
    let less: Vec<u16> = above.iter().copied().flatten().collect();
    Ok(Below {
        left: link::commissions_of(charge.exact, &less)?,
        of: (!above.is_empty()).then_some((charge.link.buyer, less)),
    })
}
