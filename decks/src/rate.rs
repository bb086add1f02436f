//! A rate as a deck makes it.

use super::terms::Terms;
use rating::card::{CallTerms, Rate};
use std::sync::Arc;

/// What terms say beside the prices of a call.
pub(crate) fn with_terms(terms: &Terms, call: Arc<CallTerms>, rate: Rate) -> Rate {
    let (rounding, counted) = (terms.beside.rounding, terms.beside.counted);
    Rate {
        call: Some(call),
        blocked: terms.blocked,
        rounding,
        counted,
        ..rate
    }
}

pub(crate) fn blank(meter: &str) -> Rate {
    Rate {
        key: String::new(),
        meter: meter.to_owned(),
        prefixes: Vec::new(),
        origin_prefixes: Vec::new(),
        attributes: Default::default(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: None,
        price: None,
        counted: false,
        rounding: None,
    }
}
