//! FreeSWITCH call records as mod_json_cdr posts them: JSON, or a form `cdr=` with the JSON
//! URL-encoded or in base64; from a file also several, one after the other or as an array.
//!
//! Values are text, URL-encoded by default. The event starts at the answer (`answer_uepoch`), its
//! id is the channel's `uuid`, so that a replayed post is a duplicate. A bridged call posts twice:
//! the second leg is skipped unless the tenant wants both. The destination is the number first
//! dialled, whatever the call was transferred to later.

use super::cdr::Options;
use super::freeswitch_post::Post;
use super::legs::{self, Leg};
use super::rawjson::{self, Elements};
use super::row::Row;
use super::{fields, json};
use crate::sheet;
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use problem::{Code, Problem};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The records of a body or file; the number of a row is the record's place in it. A byte that is
/// no UTF-8 becomes a replacement character: callers choose their names, and none of them keeps a
/// call from being charged. An error: the body is neither JSON nor a form with a `cdr`.
pub fn parse(body: &[u8], options: &Options) -> Result<Vec<Row>, Problem> {
    let text = unpacked(body)?;
    let (mut rows, mut legs) = (Vec::new(), Vec::new());
    for (record, number) in records(&text)?.into_iter().zip(1..) {
        let (read, leg) = match record {
            Ok(record) => row(number, record, options),
            Err((_, problem)) => (
                Row::Refused {
                    line: number,
                    id: String::new(),
                    problem,
                },
                Leg::default(),
            ),
        };
        rows.push(read);
        legs.push(leg);
    }
    if !options.both_legs {
        legs::skip_second(&mut rows, &legs);
    }
    Ok(rows)
}

/// The text of each record, in order.
pub fn texts(body: &[u8]) -> Vec<String> {
    let Ok(text) = unpacked(body) else {
        return Vec::new();
    };
    let of = |record: Text<'_>| {
        record
            .unwrap_or_else(|(broken, _)| broken.trim())
            .to_owned()
    };
    records(&text)
        .unwrap_or_default()
        .into_iter()
        .map(of)
        .collect()
}

/// Out of a form, where it is one.
fn unpacked(body: &[u8]) -> Result<String, Problem> {
    let text = text_of(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    let Some(form) = text.strip_prefix("cdr=") else {
        return Ok(text.to_owned());
    };
    let (value, rest) = form.split_once('&').unwrap_or((form, ""));
    if rest.split('&').any(|pair| pair.starts_with("cdr=")) {
        return Err(fields::invalid(
            "cdr",
            "given twice: a form has one record; several are sent one by one, or as an array of \
                JSON",
        ));
    }
    form_value(value)
}

/// Is a file one of records in JSON, or a form as the switch posts it?
pub fn is_json(file: &[u8]) -> bool {
    const FIRST_BYTES: usize = 1024;
    let text = text_of(file.get(..FIRST_BYTES).unwrap_or(file));
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_start();
    text.starts_with(['{', '[']) || text.starts_with("cdr=")
}

/// UTF-16 if it shows; a byte that is no UTF-8 becomes a replacement character.
fn text_of(body: &[u8]) -> Cow<'_, str> {
    if sheet::is_utf16(body) {
        sheet::text_of(body)
    } else {
        String::from_utf8_lossy(body)
    }
}

/// Records of one body or file.
pub const RECORDS_MAX: usize = 100_000;

/// A record's text; of a broken one also what is wrong with it.
type Text<'t> = Result<&'t str, (&'t str, Problem)>;

/// A broken record costs only itself, unless it is all there is.
fn records(text: &str) -> Result<Vec<Text<'_>>, Problem> {
    let too_many = || {
        Problem::new(
            Code::BatchTooLarge,
            format!("at most {RECORDS_MAX} records are read at once: send several"),
        )
    };
    if text.starts_with('[') {
        let all =
            Elements::<RECORDS_MAX>::read(text).map_err(|error| json::not_json(text, &error))?;
        return if all.more {
            Err(too_many())
        } else {
            Ok(all.raws.into_iter().map(Ok).collect())
        };
    }
    let (mut all, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        if all.len() == RECORDS_MAX {
            return Err(too_many());
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let next = match stream.next() {
            Some(Ok(record)) => {
                all.push(Ok(record.get()));
                stream.byte_offset()
            }
            Some(Err(error)) => {
                // The next record begins a line of its own.
                let next = rest.find("\n{").map_or(rest.len(), |at| at + 1);
                let is_cut = error.is_eof() && next == rest.len();
                let cut = || {
                    Problem::new(
                        Code::IncompleteRecord,
                        "the record ends in the middle: the rest of it is not there yet",
                    )
                };
                let problem = if is_cut {
                    cut()
                } else {
                    json::not_json(rest, &error)
                };
                all.push(Err((rest.get(..next).unwrap_or_default(), problem)));
                next
            }
            None => break,
        };
        rest = rest.get(next..).unwrap_or_default().trim_start();
    }
    match &all[..] {
        [] => Err(Problem::new(Code::InvalidJson, "the body is empty")),
        [Err((_, problem))] if problem.code != Code::IncompleteRecord => Err(problem.clone()),
        _ => Ok(all),
    }
}

/// The JSON of a form's value: URL-encoded, or base64 (whose `+` and `/` may be URL-encoded in
/// turn).
fn form_value(value: &str) -> Result<String, Problem> {
    let expected = || {
        Problem::field(
            Code::InvalidField,
            "cdr",
            "`cdr`: expected a record as JSON, URL-encoded or in base64",
        )
    };
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    if decoded.trim_start().starts_with(['{', '[']) {
        return Ok(decoded.into_owned());
    }
    let packed: String = decoded
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| expected())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(number: u64, raw: &str, options: &Options) -> (Row, Leg) {
    let refused = |id: String, problem| Row::Refused {
        line: number,
        id,
        problem,
    };
    let Some(record) = Post::read(raw, options.url_encoded) else {
        let problem = Problem::field(
            Code::MissingField,
            "variables",
            "expected a call record: an object with `variables`",
        );
        return (refused(String::new(), problem), Leg::default());
    };
    if let Some(path) = rawjson::given_twice(raw) {
        return (
            refused(
                record.var("uuid").unwrap_or_default().into_owned(),
                json::twice(&path),
            ),
            Leg::default(),
        );
    }
    let row = match record.event(raw, options) {
        Ok(Ok(event)) => Row::Event {
            line: number,
            event,
        },
        Ok(Err(why)) => Row::Skipped { line: number, why },
        Err(problem) => refused(record.var("uuid").unwrap_or_default().into_owned(), problem),
    };
    (row, record.leg(options))
}

#[cfg(test)]
#[path = "freeswitch_tests.rs"]
mod tests;
