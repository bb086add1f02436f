//! The charges of a record: on which links they may be, the carries that they leave, and the
//! counters that they move.

use super::Audit;
use crate::hash::Row;
use crate::{ChargePricing, CounterKey, EntryPayload, Kind, Place};
use rating::{Carry, TenantId, rounding};

impl Audit {
    pub(super) fn charges(&mut self, row: &Row<'_>, kind: Kind, body: &EntryPayload) {
        self.charge_tally.examined += 1;
        let priced = matches!(
            kind,
            Kind::Rated | Kind::RatedLater | Kind::Void | Kind::CarrySettled
        );
        if !priced && !body.charges.is_empty() {
            self.charge_tally.differs(format_args!(
                "record {} has charges and is no rated event",
                row.seq
            ));
        }
        if body.charges.is_empty() {
            return;
        }
        if let Some(what) = misplaced(row, kind, body) {
            self.charge_tally
                .differs(format_args!("record {}: {what}", row.seq));
        }
        if body.currency.is_none() {
            return self.charge_tally.differs(format_args!(
                "record {}: charges without a currency",
                row.seq
            ));
        }
        for charge in &body.charges {
            if kind == Kind::CarrySettled {
                self.settled(row, charge);
            }
            self.carry(row, charge);
            self.counter(row, kind, charge, body.place(charge.link.buyer));
        }
    }

    fn carry(&mut self, row: &Row<'_>, charge: &crate::Charge) {
        self.carry_tally.examined += 1;
        let carry = self
            .carries
            .entry((TenantId(row.tenant), charge.link.buyer))
            .or_default();
        if rounding::post(*carry, charge.exact) != Ok((charge.link.cents, charge.carry)) {
            let (exact, cents, after) = (
                charge.exact.in_cents(),
                charge.link.cents,
                charge.carry.in_cents(),
            );
            let before = carry.in_cents();
            self.carry_tally.differs(format_args!(
                "record {}: carry {before} + {exact} is not {cents} + {after}",
                row.seq
            ));
        }
        *carry = charge.carry;
    }

    /// What ends with its owner ends half up, and by nothing else. Asked before [`Self::carry`].
    fn settled(&mut self, row: &Row<'_>, charge: &crate::Charge) {
        let carry = self
            .carries
            .get(&(TenantId(row.tenant), charge.link.buyer))
            .copied()
            .unwrap_or_default();
        let half_up = rounding::end_carry(carry) == Ok((charge.link.cents, charge.exact));
        if !half_up
            || charge.carry != Carry::ZERO
            || charge.counter.is_some()
            || charge.pricing != ChargePricing::Carry
        {
            let (is, exact) = (carry.in_cents(), charge.exact.in_cents());
            self.carry_tally.differs(format_args!(
                "record {}: carry {is} was settled as {} cents by {exact}",
                row.seq, charge.link.cents
            ));
        }
    }

    fn counter(
        &mut self,
        row: &Row<'_>,
        kind: Kind,
        charge: &crate::Charge,
        place: Option<&Place>,
    ) {
        let Some(id) = charge.counter else { return };
        self.counter_tally.examined += 1;
        let counter = self
            .counters
            .entry(CounterKey {
                buyer: charge.link.buyer,
                id,
            })
            .or_default();
        if counter.counter != charge.before {
            let (is, was) = (charge.before.quantity, counter.counter.quantity);
            self.counter_tally.differs(format_args!(
                "record {}: the counter starts at {is} and stood at {was}",
                row.seq
            ));
        }
        counter.follow(charge, place, kind == Kind::Void);
    }
}

/// Whether charges begin or end at a link where they must not. Usage is charged up to the platform,
/// save what corrects lower links alone; from the customer up, save where links are open. Later
/// steps may be about any links.
fn misplaced(row: &Row<'_>, kind: Kind, body: &EntryPayload) -> Option<&'static str> {
    let (first, last) = (body.charges.first()?, body.charges.last()?);
    let is_open = body
        .trail
        .steps
        .as_ref()
        .is_some_and(|steps| !steps.open.is_empty());
    if kind != Kind::Rated {
        return None;
    }
    if !is_open && first.link.buyer.0 != row.tenant {
        return Some("the first charge is not the customer's");
    }
    (body
        .trail
        .steps
        .as_ref()
        .is_none_or(|steps| steps.corrects.is_none())
        && last.link.buyer.0 != row.root)
        .then_some("the last charge is not the platform's")
}
