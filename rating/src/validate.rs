//! Every mistake of a rate card, each with its path, a stable code and what was expected.
//!
//! [`parse_card`] is strict about the form (`strict`), [`validate`] about the meaning (here), and
//! rates between which the match could not decide are refused (`ties`). A card without mistakes
//! compiles; one that is new has some sense too (`sense`), and fits its meters (`meters`). The
//! named limits are those of one rate card version.

pub mod meters;
pub mod sense;
pub mod spoken;
mod strict;
mod ties;

pub use spoken::located;

use crate::call::CallPlan;
use crate::card::{CallTerms, CardDoc, MeterTerms, Rate, Step};
use crate::model::CompiledModel;
use crate::money::Rate as Amount;
use crate::prefix::PREFIX_DIGITS_MAX;
use crate::window::{Window, Zone};
use crate::{Currency, Exact, Quantity};
use std::collections::HashSet;
use std::fmt::Display;

pub const CARD_BYTES_MAX: usize = 256 << 20;
pub const RATES_MAX: usize = 1_000_000;
/// Destination prefixes of a card, and origin prefixes of a card.
pub const PREFIXES_MAX: usize = 1_000_000;
pub const METERS_MAX: usize = 1_000;
pub const ATTRIBUTES_MAX: usize = 16;
pub const STEPS_MAX: usize = 64;
/// Bytes of a key, a name, a meter, an attribute's name or value.
pub const TEXT_BYTES_MAX: usize = 200;
/// Mistakes that one answer lists.
pub const MISTAKES_MAX: usize = 1_000;

/// One thing that is wrong with a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `rates[3].prefixes[0]`; empty: the document.
    pub path: String,
    pub code: &'static str,
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(
        path: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            code,
            message: message.into(),
        }
    }
    pub(crate) fn zone() -> Self {
        Self::new(
            "zone",
            "bad_zone",
            "expected an IANA time zone, such as Europe/Berlin",
        )
    }
    pub(crate) fn rate(index: usize, why: &dyn Display) -> Self {
        Self::new(format!("rates[{index}]"), "too_large", why.to_string())
    }
    pub(crate) fn card(why: &str) -> Self {
        Self::new("rates", "too_large", why)
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.code)
    }
}

/// Reads a card strictly: the document, or every mistake that can be found.
pub fn parse_card(json: &[u8]) -> Result<CardDoc, Vec<Mistake>> {
    if json.len() > CARD_BYTES_MAX {
        return Err(vec![Mistake::new(
            "",
            "too_long",
            format!("expected at most {CARD_BYTES_MAX} bytes"),
        )]);
    }
    let doc = strict::parse(json)?;
    let mut mistakes = validate(&doc);
    if mistakes.is_empty() {
        mistakes = sense::check(&doc, |_| true);
    }
    if mistakes.is_empty() {
        mistakes = meters::check(&doc, &doc.meters, meters::Known::Some, |_| true);
    }
    if mistakes.is_empty() {
        Ok(doc)
    } else {
        Err(mistakes)
    }
}

/// What is wrong with the meaning of a card: at most [`MISTAKES_MAX`] mistakes.
pub fn validate(doc: &CardDoc) -> Vec<Mistake> {
    let mut bad = Vec::new();
    if Zone::named(&doc.zone).is_none() {
        bad.push(Mistake::zone());
    }
    check_lists(doc, &mut bad);
    if let Some(fallback) = &doc.fallback {
        text(fallback, || "fallback".to_owned(), &mut bad);
    }
    for (name, meter) in &doc.meters {
        check_meter(name, meter, &mut bad);
    }
    let mut keys = HashSet::with_capacity(doc.rates.len());
    for (index, rate) in doc.rates.iter().enumerate() {
        if bad.len() >= MISTAKES_MAX {
            break;
        }
        let mut report = Report {
            index,
            bad: &mut bad,
        };
        if !keys.insert(rate.key.as_str()) {
            report.at(
                "key",
                "duplicate_key",
                "another rate of the card has this key",
            );
        }
        check_rate(rate, doc.currency, &mut report);
    }
    if bad.is_empty() {
        ties::check(&doc.rates, &mut bad);
    }
    bad.truncate(MISTAKES_MAX);
    bad
}

fn check_lists(doc: &CardDoc, bad: &mut Vec<Mistake>) {
    let prefixes: usize = doc
        .rates
        .iter()
        .map(|rate| rate.prefixes.len().max(1))
        .sum();
    let origins: usize = doc
        .rates
        .iter()
        .map(|rate| rate.origin_prefixes.len())
        .sum();
    for (path, length, most) in [
        ("rates", doc.rates.len(), RATES_MAX),
        ("rates[].prefixes", prefixes, PREFIXES_MAX),
        ("rates[].origin_prefixes", origins, PREFIXES_MAX),
        ("meters", doc.meters.len(), METERS_MAX),
    ] {
        if length > most {
            bad.push(Mistake::new(
                path,
                "too_many",
                format!("expected at most {most}, found {length}"),
            ));
        }
    }
    if doc.rates.is_empty() {
        bad.push(Mistake::new(
            "rates",
            "no_rates",
            "expected at least one rate",
        ));
    }
}

fn check_meter(name: &str, meter: &MeterTerms, bad: &mut Vec<Mistake>) {
    text(name, || "meters".to_owned(), bad);
    text(&meter.unit, || format!("meters.{name}.unit"), bad);
    let unique = meter.aggregation == crate::card::Aggregation::Unique;
    if unique != meter.unique_by.is_some() {
        let message =
            "expected the attribute to count by with aggregation `unique`, and with no other";
        bad.push(Mistake::new(
            format!("meters.{name}.unique_by"),
            "bad_unique_by",
            message,
        ));
    }
}

fn text(value: &str, path: impl Fn() -> String, bad: &mut Vec<Mistake>) {
    if value.is_empty() {
        bad.push(Mistake::new(path(), "empty", "expected some text"));
    }
    if value.len() > TEXT_BYTES_MAX {
        bad.push(Mistake::new(
            path(),
            "too_long",
            format!("expected at most {TEXT_BYTES_MAX} bytes"),
        ));
    }
}

/// Where the mistakes of one rate go; paths are built only for mistakes.
struct Report<'a> {
    index: usize,
    bad: &'a mut Vec<Mistake>,
}

impl Report<'_> {
    fn at(&mut self, path: impl Display, code: &'static str, message: impl Into<String>) {
        let index = self.index;
        self.bad.push(Mistake::new(
            format!("rates[{index}].{path}"),
            code,
            message,
        ));
    }
    fn text(&mut self, value: &str, path: &str) {
        let index = self.index;
        text(value, || format!("rates[{index}].{path}"), self.bad);
    }
    fn positive(&mut self, value: Option<Quantity>, path: impl Display) {
        if value.is_some_and(|q| q.0 <= 0) {
            self.at(path, "not_positive", "expected more than 0");
        }
    }
    fn quantity(&mut self, value: Option<Quantity>, path: impl Display) {
        if value.is_some_and(Quantity::is_negative) {
            self.at(path, "negative", "expected 0 or more");
        }
    }
    fn amount(&mut self, value: Option<Amount>, path: impl Display) {
        if value.is_some_and(Amount::is_negative) {
            self.at(path, "negative", "expected 0 or more");
        }
    }
}

fn check_rate(rate: &Rate, currency: Currency, report: &mut Report<'_>) {
    let before = report.bad.len();
    report.text(&rate.key, "key");
    report.text(&rate.meter, "meter");
    if let Some(name) = &rate.name {
        report.text(name, "name");
    }
    check_prefixes(&rate.prefixes, "prefixes", report);
    check_prefixes(&rate.origin_prefixes, "origin_prefixes", report);
    check_attributes(rate, report);
    if let (from, Some(until)) = (rate.effective_from, rate.effective_until)
        && until <= from.unwrap_or(crate::Instant::MIN)
    {
        report.at(
            "effective_until",
            "empty_period",
            "expected a later instant than effective_from",
        );
    }
    if let Some(Err(mistakes)) = rate.window.as_deref().map(Window::compile) {
        for (path, code, message) in mistakes {
            report.at(format_args!("window.{path}"), code, message);
        }
    }
    let finest = Exact::CENT_DECIMALS + currency.exponent();
    if rate
        .rounding
        .is_some_and(|rounding| u32::from(rounding.decimals) > finest)
    {
        report.at(
            "rounding.decimals",
            "out_of_range",
            format!("expected 0 to {finest}"),
        );
    }
    check_pricing(rate, report);
    if report.bad.len() == before {
        check_compiles(rate, currency, report);
    }
}

fn check_prefixes(prefixes: &[String], path: &str, report: &mut Report<'_>) {
    for (number, prefix) in prefixes.iter().enumerate() {
        if !prefix.bytes().all(|b| b.is_ascii_digit()) {
            report.at(
                format_args!("{path}[{number}]"),
                "not_digits",
                "expected digits only, without + or spaces",
            );
        }
        if prefix.len() > PREFIX_DIGITS_MAX {
            report.at(
                format_args!("{path}[{number}]"),
                "too_long",
                format!("expected at most {PREFIX_DIGITS_MAX} digits"),
            );
        }
    }
}

fn check_attributes(rate: &Rate, report: &mut Report<'_>) {
    if rate.attributes.len() > ATTRIBUTES_MAX {
        report.at(
            "attributes",
            "too_many",
            format!("expected at most {ATTRIBUTES_MAX}"),
        );
    }
    for (name, value) in &rate.attributes {
        if name.is_empty() || name.len() > TEXT_BYTES_MAX || value.len() > TEXT_BYTES_MAX {
            report.at(
                format_args!("attributes.{name}"),
                "bad_attribute",
                format!("expected a name, and at most {TEXT_BYTES_MAX} bytes each"),
            );
        }
    }
}

/// A rate has `call.steps` or `price`, with or without other call terms; a blocked one needs
/// neither.
fn check_pricing(rate: &Rate, report: &mut Report<'_>) {
    let steps = rate
        .call
        .as_ref()
        .is_some_and(|call| !call.steps.is_empty());
    match (steps, rate.price.is_some()) {
        (true, true) => report.at(
            "call.steps",
            "steps_with_price",
            "expected either `call.steps` or `price`, not both",
        ),
        (false, false) if !rate.blocked => {
            report.at("price", "no_price", "expected `call.steps` or `price`")
        }
        _ => {}
    }
    let Some(call) = &rate.call else { return };
    if rate.price.is_some() {
        for (limit, path) in [
            (call.minimum_charge, "call.minimum_charge"),
            (call.maximum_charge, "call.maximum_charge"),
        ] {
            if limit.is_some() {
                report.at(
                    path,
                    "limit_with_price",
                    "expected no limit per call beside `price`, which has limits of its own",
                );
            }
        }
    }
    check_call(call, report);
}

fn check_call(call: &CallTerms, report: &mut Report<'_>) {
    report.positive(call.initial, "call.initial");
    report.positive(call.next, "call.next");
    report.quantity(call.minimum_duration, "call.minimum_duration");
    report.quantity(call.free_if_shorter_than, "call.free_if_shorter_than");
    report.quantity(call.included, "call.included");
    report.amount(call.connect_fee, "call.connect_fee");
    report.amount(call.minimum_charge, "call.minimum_charge");
    report.amount(call.maximum_charge, "call.maximum_charge");
    if let (Some(least), Some(most)) = (call.minimum_charge, call.maximum_charge)
        && least > most
    {
        report.at(
            "call.minimum_charge",
            "minimum_above_maximum",
            "expected at most maximum_charge",
        );
    }
    if call.steps.len() > STEPS_MAX {
        report.at(
            "call.steps",
            "too_many",
            format!("expected at most {STEPS_MAX}"),
        );
    }
    let mut before = None;
    for (number, step) in call.steps.iter().enumerate() {
        check_step(step, number, before, report);
        before = Some(step.from);
    }
}

fn check_step(step: &Step, number: usize, before: Option<Quantity>, report: &mut Report<'_>) {
    let path = |field: &str| format!("call.steps[{number}].{field}");
    match before {
        None if step.from != Quantity::ZERO => report.at(
            path("from"),
            "first_step_not_at_zero",
            "expected 0 for the first step",
        ),
        Some(before) if step.from <= before => report.at(
            path("from"),
            "step_order",
            "expected more than the step before",
        ),
        _ => {}
    }
    if step.price.is_negative() {
        report.at(path("price"), "negative", "expected 0 or more");
    }
    if step.per.0 <= 0 {
        report.at(path("per"), "not_positive", "expected more than 0");
    }
    if step.increment.is_some_and(|q| q.0 <= 0) {
        report.at(path("increment"), "not_positive", "expected more than 0");
    }
    if step.fixed_fee.is_some_and(Amount::is_negative) {
        report.at(path("fixed_fee"), "negative", "expected 0 or more");
    }
}

/// The price model's own mistakes, and numbers that cannot be held exactly.
fn check_compiles(rate: &Rate, currency: Currency, report: &mut Report<'_>) {
    if let Some(Err(mistakes)) = rate
        .price
        .as_ref()
        .map(|price| CompiledModel::compile(price, currency, rate.rounding))
    {
        for (path, code, message) in mistakes {
            report.at(format_args!("price.{path}"), code, message);
        }
    }
    if let Some(Err(overflow)) = rate
        .call
        .as_ref()
        .filter(|call| !surely_fits(call))
        .map(|call| CallPlan::compile(call, currency))
    {
        report.at("call", "too_large", overflow.to_string());
    }
}

/// Nearly every rate of a deck: prices below a million, blocks below 10⁹ units, whose product with
/// the scales of both is below 10³⁸ and so within 127 bits.
fn surely_fits(call: &CallTerms) -> bool {
    let small = |amount: Option<Amount>| {
        amount.is_none_or(|a| {
            a.0.scale() <= Amount::DECIMALS && a.0.mantissa() < 1_000_000 * 10_i128.pow(a.0.scale())
        })
    };
    let short =
        |quantity: Option<Quantity>| quantity.is_none_or(|q| q < Quantity::whole(1_000_000_000));
    let steps = call
        .steps
        .iter()
        .all(|step| small(Some(step.price)) && small(step.fixed_fee) && short(step.increment));
    steps
        && short(call.initial)
        && short(call.next)
        && [call.connect_fee, call.minimum_charge, call.maximum_charge]
            .into_iter()
            .all(small)
}

#[cfg(test)]
mod tests;
