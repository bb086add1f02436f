//! What rates of a card may share (everything but key, name and prefixes), and the texts that
//! explain them.

use crate::card::{CallTerms, PriceModel, Rate, Rounding, Window};
use crate::{Instant, Quantity};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
    window: &'a Option<Box<Window>>,
    priority: i32,
    blocked: bool,
    call: &'a Option<Arc<CallTerms>>,
    price: &'a Option<Box<PriceModel>>,
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
        (
            &rate.meter,
            rate.effective_from,
            rate.effective_until,
            rate.priority,
            rate.blocked,
        )
            .hash(hasher);
        (&rate.attributes, &rate.origin_prefixes).hash(hasher);
        let Some(call) = &rate.call else { return };
        (
            call.initial,
            call.next,
            call.connect_fee,
            call.minimum_duration,
        )
            .hash(hasher);
        for step in &call.steps {
            let (from, per): (Quantity, Quantity) = (step.from, step.per);
            (from, per, step.price, step.increment).hash(hasher);
        }
    }
}

/// Keys, names and the terms as JSON: read only to explain.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    keys_and_names: String,
    /// Where the key and the name of each rate end.
    ends: Vec<(u32, u32)>,
    pub(crate) terms: Vec<Box<str>>,
}

impl Texts {
    pub(crate) fn add(&mut self, key: &str, name: &str) -> Result<(), std::num::TryFromIntError> {
        self.keys_and_names.push_str(key);
        let key_end = u32::try_from(self.keys_and_names.len())?;
        self.keys_and_names.push_str(name);
        self.ends
            .push((key_end, u32::try_from(self.keys_and_names.len())?));
        Ok(())
    }
    pub(crate) fn size_bytes(&self) -> usize {
        let terms: usize = self
            .terms
            .iter()
            .map(|text| text.len() + size_of::<Box<str>>())
            .sum();
        self.keys_and_names.capacity() + self.ends.capacity() * size_of::<(u32, u32)>() + terms
    }
    pub(crate) fn key_and_name(&self, rate: u32) -> Option<(&str, &str)> {
        let rate = rate as usize;
        let &(key_end, name_end) = self.ends.get(rate)?;
        let start = rate
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| end.1);
        let text = |from: u32, until: u32| self.keys_and_names.get(from as usize..until as usize);
        text(start, key_end).zip(text(key_end, name_end))
    }
}
