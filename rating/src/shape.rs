//! What rates of a card may share: everything but key, name and prefixes.

use crate::card::{CallTerms, PriceModel, Rate, Rounding, Window};
use crate::{Instant, Quantity};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A rate, compared by its terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a>(pub(crate) &'a Rate);

/// The terms in the form of a rate without key, name and prefixes.
#[derive(PartialEq, Eq, serde::Serialize)]
struct Terms<'a> {
    key: &'a str,
    meter: &'a str,
    origin_prefixes: &'a [String],
    attributes: &'a BTreeMap<String, String>,
    effective_from: Option<Instant>,
    effective_until: Option<Instant>,
    window: &'a Option<Window>,
    priority: i32,
    blocked: bool,
    call: &'a Option<CallTerms>,
    price: &'a Option<PriceModel>,
    counted: bool,
    rounding: Option<Rounding>,
}

impl<'a> Shape<'a> {
    fn terms(self) -> Terms<'a> {
        let rate = self.0;
        Terms {
            key: "",
            meter: &rate.meter,
            origin_prefixes: &rate.origin_prefixes,
            attributes: &rate.attributes,
            effective_from: rate.effective_from,
            effective_until: rate.effective_until,
            window: &rate.window,
            priority: rate.priority,
            blocked: rate.blocked,
            call: &rate.call,
            price: &rate.price,
            counted: rate.counted,
            rounding: rate.rounding,
        }
    }

    /// JSON that reads as a rate without key, name and prefixes.
    pub(crate) fn text(self) -> Result<Box<str>, serde_json::Error> {
        serde_json::to_string(&self.terms()).map(String::into_boxed_str)
    }
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.terms() == other.terms()
    }
}
impl Eq for Shape<'_> {}

/// Over what usually differs; equality decides.
impl Hash for Shape<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let rate = self.0;
        (&rate.meter, rate.effective_from, rate.effective_until, rate.priority, rate.blocked).hash(hasher);
        (&rate.attributes, &rate.origin_prefixes).hash(hasher);
        let Some(call) = &rate.call else { return };
        (call.initial, call.next, call.connect_fee, call.minimum_duration).hash(hasher);
        for step in &call.steps {
            let (from, per): (Quantity, Quantity) = (step.from, step.per);
            (from, per, step.price, step.increment).hash(hasher);
        }
    }
}
