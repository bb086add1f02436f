//! FreeSWITCH call records as mod_json_cdr posts them: JSON, or a form `cdr=` with the JSON
//! URL-encoded or in base64; from a file also several, one after the other or as an array.
//!
//! Values are text, URL-encoded by default. The event starts at the answer (`answer_uepoch`), its id
//! is the channel's `uuid`, so that a replayed post is a duplicate. A bridged call posts twice:
//! the second leg is skipped unless the tenant wants both.

use super::Row;
use super::cdr::{Call, Options, SecondsField};
use super::fields;
use super::json;
use super::rawjson::{Elements, Pairs};
use super::when::epoch;
use crate::command::{Problem, UsageEvent};
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use rating::{Instant, Quantity};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Names of one object of a record (real ones have some 200 variables).
const NAMES_MAX: usize = 4096;
type Object<'a> = Pairs<'a, NAMES_MAX>;

/// The records of a body or file; the number of a row is the record's place in it.
/// An error: the body is neither JSON nor a form with a `cdr`.
pub fn parse(body: &[u8], options: &Options) -> Result<Vec<Row>, Problem> {
    let text = super::utf8(body)?.trim();
    let form = text.strip_prefix("cdr=").map(|value| form_value(value.split('&').next().unwrap_or_default())).transpose()?;
    let text = form.as_deref().unwrap_or(text);
    let mut rows = Vec::new();
    for (record, number) in records(text)?.into_iter().zip(1..) {
        rows.push(row(number, record, options));
    }
    Ok(rows)
}

/// Records of one body or file.
pub const RECORDS_MAX: usize = 100_000;

fn records(text: &str) -> Result<Vec<&str>, Problem> {
    let too_many = || Problem::new("batch_too_large", format!("at most {RECORDS_MAX} records are read at once: send several"));
    if text.starts_with('[') {
        let all = Elements::<RECORDS_MAX>::read(text).map_err(json::not_json)?;
        return if all.more { Err(too_many()) } else { Ok(all.raws) };
    }
    let mut all = Vec::new();
    for record in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        if all.len() == RECORDS_MAX {
            return Err(too_many());
        }
        all.push(record.map_err(json::not_json)?.get());
    }
    if all.is_empty() { Err(Problem::new("invalid_json", "the body is empty")) } else { Ok(all) }
}

/// The JSON of a form's value: URL-encoded, or base64 (whose `+` and `/` may be URL-encoded in turn).
fn form_value(value: &str) -> Result<String, Problem> {
    let expected = || Problem::field("invalid_field", "cdr", "`cdr`: expected a record as JSON, URL-encoded or in base64");
    let decoded = percent_decode_str(value).decode_utf8().map_err(|_| expected())?;
    if decoded.trim_start().starts_with(['{', '[']) {
        return Ok(decoded.into_owned());
    }
    let packed: String = decoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| expected())?;
    String::from_utf8(bytes).map_err(|_| expected())
}

fn row(number: u64, raw: &str, options: &Options) -> Row {
    let refused = |id: String, problem| Row::Refused { line: number, id, problem };
    let Some(record) = Post::read(raw, options.url_encoded) else {
        let problem = Problem::field("missing_field", "variables", "expected a call record: an object with `variables`");
        return refused(String::new(), problem);
    };
    match record.event(raw, options) {
        Ok(Ok(event)) => Row::Event { line: number, event },
        Ok(Err(why)) => Row::Skipped { line: number, why },
        Err(problem) => refused(record.var("uuid").unwrap_or_default().into_owned(), problem),
    }
}

/// One posted record.
struct Post<'a> {
    variables: Object<'a>,
    /// Of the last stretch of the call flow.
    profile: Option<Object<'a>>,
    url_encoded: bool,
}

impl<'a> Post<'a> {
    fn read(raw: &'a str, url_encoded: bool) -> Option<Self> {
        let record = Object::read(raw).ok()?;
        let variables = Object::read(record.get("variables")?).ok()?;
        let flow = record.get("callflow").and_then(|flow| match flow.starts_with('[') {
            true => serde_json::from_str::<Vec<&RawValue>>(flow).ok()?.first().map(|first| first.get()),
            false => Some(flow),
        });
        let profile = flow.and_then(|flow| Object::read(flow).ok()?.get("caller_profile")).and_then(|profile| Object::read(profile).ok());
        Some(Self { variables, profile, url_encoded })
    }

    fn decoded(&self, value: Cow<'a, str>) -> Cow<'a, str> {
        if !self.url_encoded || !value.contains('%') {
            return value;
        }
        // A lone % in a value that was not encoded leaves it as it is.
        match percent_decode_str(&value).decode_utf8() {
            Ok(decoded) => Cow::Owned(decoded.into_owned()),
            Err(_) => value,
        }
    }

    /// A variable that is there and not empty.
    fn var(&self, name: &str) -> Option<Cow<'a, str>> {
        self.variables.scalar(name).map(|value| self.decoded(value))
    }

    fn profile(&self, name: &str) -> Option<Cow<'a, str>> {
        self.profile.as_ref().and_then(|profile| profile.scalar(name)).map(|value| self.decoded(value))
    }

    /// Created to reach somebody for another channel of the same call.
    fn is_second_leg(&self) -> bool {
        let other = |name: &str| self.var(name).is_some_and(|leg| Some(leg) != self.var("uuid"));
        self.var("direction").is_some_and(|direction| direction == "outbound") && (other("call_uuid") || other("originator"))
    }

    fn answered_at(&self) -> Result<Option<Instant>, Problem> {
        for (name, decimals) in [("answer_uepoch", 6), ("answer_epoch", 0)] {
            if let Some(text) = self.var(name) {
                let at = epoch(&text, decimals).ok_or_else(|| fields::invalid(name, "expected a time since 1970 in digits"))?;
                return Ok((at > Instant::MIN).then_some(at));
            }
        }
        Ok(None)
    }

    fn seconds(&self, field: SecondsField) -> Result<Quantity, Problem> {
        let (name, per_second) = match field {
            SecondsField::Billsec => ("billsec", 1),
            SecondsField::Billmsec => ("billmsec", 1000),
        };
        let text = self.var(name).ok_or_else(|| fields::missing(name))?;
        let whole: u32 = text.parse().map_err(|_| fields::invalid(name, "expected a whole number"))?;
        Ok(Quantity(i128::from(whole) * (Quantity::ONE / per_second)))
    }

    /// The event, or why the record is none.
    fn event(&self, raw: &'a str, options: &Options) -> Result<Result<UsageEvent, String>, Problem> {
        let id = self.var("uuid").ok_or_else(|| fields::missing("uuid"))?.into_owned();
        if !options.both_legs && self.is_second_leg() {
            return Ok(Err("a second leg of the call".to_owned()));
        }
        let seconds = self.seconds(options.seconds)?;
        let answered = self.answered_at()?;
        if seconds == Quantity::ZERO {
            let cause = self.var("hangup_cause").unwrap_or_default();
            return Ok(Err(format!("not answered: {cause}")));
        }
        let at = answered.ok_or_else(|| fields::missing("answer_uepoch"))?;
        let attributes = ["direction", "hangup_cause"].map(|name| (name, self.var(name))).into();
        let destination = self.profile("destination_number");
        let origin = self.profile("caller_id_number");
        let call = Call { id, at, seconds, destination, origin, attributes, raw };
        call.into_event(options, |name| self.var(name).or_else(|| self.profile(name))).map(Ok)
    }
}

#[cfg(test)]
#[path = "freeswitch_tests.rs"]
mod tests;
