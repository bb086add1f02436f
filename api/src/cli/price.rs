//! `centwise price`: rates a usage file against one card, offline, by the code that charges.
//!
//! The file is rated in its own order. Counters and the carry run on per customer of the file, as
//! they would on a link of that customer.

use super::Ended;
use super::progress::Progress;
use anyhow::Context;
use metering::command::{Problem, UsageEvent};
use metering::input::json::{self, Defaults};
use metering::numbers;
use rating::aggregate::{self, Known, MemberChange};
use rating::card::CardDoc;
use rating::compile::CompiledCard;
use rating::link::{self, LinkPosting};
use rating::usage::{Counter, CounterId, Measured, Unrated, Usage};
use rating::validate::{Mistake, parse_card};
use rating::{Carry, Cents, Currency, Exact, Instant, Overflow};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;

/// Rate a usage file against one card, without a database
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rate card version, as JSON
    #[arg(long, value_name = "CARD.json")]
    card: PathBuf,
    /// Usage events, one JSON object per line
    #[arg(long, value_name = "FILE.ndjson")]
    usage: PathBuf,
    /// One JSON line per event: {"id","exact","posted_cents","carry"} or {"id","error"}
    #[arg(long)]
    json: bool,
}

/// Bytes of the usage file that are parsed at a time.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// The unit of a meter of calls.
const SECOND: &str = "second";

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let card = std::fs::read(&args.card).with_context(|| format!("cannot read the card {}", args.card.display()))?;
    let mut pricer = Pricer::new(&card).with_context(|| format!("the card {} is not usable", args.card.display()))?;
    let file = std::fs::File::open(&args.usage).with_context(|| format!("cannot read the usage file {}", args.usage.display()))?;
    let progress = Progress::new("rating", file.metadata().map_or(0, |meta| meta.len()));
    let mut table = Table::new(pricer.card.currency());
    let mut reader = std::io::BufReader::new(file);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut lines: u64 = 0;
    while next_chunk(&mut reader, &mut chunk)? {
        for line in chunk.split(|&byte| byte == b'\n') {
            lines += 1;
            let Some(line) = pricer.line(line.trim_ascii(), lines) else { continue };
            if args.json { writeln!(out, "{}", serde_json::to_string(&line)?)? } else { table.write(&line, out)? }
        }
        // Every chunk but the last ends with a line break, behind which `split` sees one line too many.
        lines -= 1;
        progress.add(chunk.len() as u64);
    }
    if !args.json {
        table.finish(out)?;
    }
    Ok(Ended::Well)
}

/// Whole lines, about [`CHUNK_BYTES`] of them; false at the end of the file.
fn next_chunk(reader: &mut impl BufRead, chunk: &mut Vec<u8>) -> anyhow::Result<bool> {
    chunk.clear();
    while chunk.len() < CHUNK_BYTES && reader.read_until(b'\n', chunk)? > 0 {}
    Ok(!chunk.is_empty())
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Line {
    Priced {
        id: String,
        /// Major units.
        exact: String,
        posted_cents: i64,
        /// Cents.
        carry: String,
        #[serde(skip)]
        amount: Exact,
    },
    Refused {
        id: String,
        error: String,
        detail: String,
    },
}

/// What one customer of the file has reached.
#[derive(Debug, Default)]
struct Book {
    carry: Carry,
    counters: HashMap<CounterId, Counter>,
    /// How often each distinct value of a counter was reported (`unique`).
    members: HashMap<(CounterId, String), i64>,
    /// When the value of a counter that stands was reported (`latest`).
    newest: HashMap<CounterId, Instant>,
}

impl Book {
    /// Where the event's counter stands before and after it. Changes nothing yet.
    fn grown(&self, usage: &Usage<'_>, measured: &Measured, member: Option<&str>) -> Result<(Counter, Counter), Overflow> {
        let Some(id) = measured.counter else { return Ok(Default::default()) };
        let before = self.counters.get(&id).copied().unwrap_or_default();
        let standing = member.and_then(|value| self.members.get(&(id, value.to_owned()))).copied().unwrap_or_default();
        let known = Known { standing, at: usage.at, newest: self.newest.get(&id).copied() };
        let after = aggregate::grow(usage.aggregation, &before, measured.billed, MemberChange::Report(known))?;
        Ok((before, after))
    }

    fn keep(&mut self, id: CounterId, after: Counter, at: Instant, member: Option<String>) {
        self.counters.insert(id, after);
        if let Some(value) = member {
            *self.members.entry((id, value)).or_default() += 1;
        }
        let newest = self.newest.entry(id).or_insert(at);
        *newest = at.max(*newest);
    }
}

#[derive(Debug)]
struct Pricer {
    doc: CardDoc,
    card: CompiledCard,
    books: HashMap<String, Book>,
}

impl Pricer {
    fn new(card: &[u8]) -> anyhow::Result<Self> {
        let doc = parse_card(card).map_err(listed)?;
        let card = CompiledCard::compile(&doc).map_err(listed)?;
        Ok(Self { doc, card, books: HashMap::new() })
    }

    /// The answer to one line; `None` for a blank one.
    fn line(&mut self, line: &[u8], number: u64) -> Option<Line> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        // A file of one customer need not name it.
        let defaults = Defaults { customer: Some("default"), ..Defaults::default() };
        let parsed = match std::str::from_utf8(line) {
            Ok(text) => json::event(text, &defaults),
            Err(_) => Err((String::new(), Problem::new("invalid_json", "expected UTF-8"))),
        };
        Some(match parsed {
            Ok(event) => self.priced(event),
            Err((id, problem)) => {
                Line::Refused { id, error: problem.code.to_owned(), detail: format!("line {number}: {}", problem.detail) }
            }
        })
    }

    fn priced(&mut self, event: UsageEvent) -> Line {
        match self.post(&event) {
            Ok((amount, cents, carry)) => {
                let exact = amount.in_major(self.card.currency());
                Line::Priced { id: event.id, exact, posted_cents: cents.0, carry: carry.in_cents(), amount }
            }
            Err(unrated) => Line::Refused { id: event.id, error: unrated.code().to_owned(), detail: self.explained(&unrated) },
        }
    }

    /// Counters and carry move only when the event has a price.
    fn post(&mut self, event: &UsageEvent) -> Result<(Exact, Cents, Carry), Unrated> {
        let (destination, origin) = (digits(event.destination.as_deref()), digits(event.origin.as_deref()));
        let usage = Usage {
            meter: &event.meter,
            is_call: self.is_call(&event.meter),
            aggregation: self.doc.meters.get(event.meter.as_str()).map(|terms| terms.aggregation).unwrap_or_default(),
            at: event.at,
            quantity: event.quantity,
            amount: event.amount,
            destination: destination.as_deref(),
            origin: origin.as_deref(),
            attributes: &event.attributes,
        };
        let measured = self.card.measure(&usage)?;
        let book = self.books.entry(event.customer.to_string()).or_default();
        let member = Self::member(&self.doc, &usage, &measured);
        let (before, after) = book.grown(&usage, &measured, member.as_deref())?;
        let priced = self.card.price(&measured, &usage, &before, &after)?;
        let LinkPosting { cents, carry } = link::post(book.carry, priced.exact)?;
        if let Some(id) = measured.counter {
            book.keep(id, priced.after, usage.at, member);
        }
        book.carry = carry;
        Ok((priced.exact, cents, carry))
    }

    /// The distinct value that the event adds to its counter, if its meter looks at one.
    fn member(doc: &CardDoc, usage: &Usage<'_>, measured: &Measured) -> Option<String> {
        let named = doc.meters.get(usage.meter).and_then(|terms| terms.unique_by.as_deref());
        let value = named.and_then(|name| usage.attributes.iter().find(|(own, _)| own == name));
        aggregate::member_value(usage.aggregation, measured.billed, usage.at, value.map(|(_, value)| value.as_str()))
    }

    /// By the card's own `meters`; without an entry a meter with call terms is a call.
    fn is_call(&self, meter: &str) -> bool {
        match self.doc.meters.get(meter) {
            Some(terms) => terms.unit == SECOND,
            None => self.doc.rates.iter().any(|rate| rate.meter == meter && rate.call.is_some()),
        }
    }

    fn explained(&self, unrated: &Unrated) -> String {
        match (unrated, self.card.fallback()) {
            (Unrated::NoRate, Some(fallback)) => format!("{unrated}; its fallback card {fallback:?} is not asked offline"),
            _ => unrated.to_string(),
        }
    }
}

/// A number as its digits; what cannot be read as one stays as it is, and matches no prefix.
fn digits(number: Option<&str>) -> Option<Cow<'_, str>> {
    number.map(|text| numbers::normalise(text, None).unwrap_or(Cow::Borrowed(text)))
}

fn listed(mistakes: Vec<Mistake>) -> anyhow::Error {
    let lines: Vec<String> = mistakes.iter().map(|m| format!("\n  {} [{}] {}", m.path, m.code, m.message)).collect();
    anyhow::anyhow!("it has {} mistakes:{}", mistakes.len(), lines.concat())
}

/// The readable form: a line per event, and a sum.
#[derive(Debug)]
struct Table {
    currency: Currency,
    events: u64,
    refused: u64,
    exact: Exact,
    posted: Cents,
}

impl Table {
    fn new(currency: Currency) -> Self {
        Self { currency, events: 0, refused: 0, exact: Exact::ZERO, posted: Cents::ZERO }
    }

    fn write(&mut self, line: &Line, out: &mut impl Write) -> anyhow::Result<()> {
        if self.events == 0 {
            writeln!(out, "{:<36} {:>20} {:>12} {:>16}", "id", format!("exact {}", self.currency), "posted cents", "carry cents")?;
        }
        self.events += 1;
        match line {
            Line::Priced { id, exact, posted_cents, carry, amount } => {
                self.exact = self.exact.checked_add(*amount)?;
                self.posted = self.posted.checked_add(Cents(*posted_cents))?;
                writeln!(out, "{id:<36} {exact:>20} {posted_cents:>12} {carry:>16}")?;
            }
            Line::Refused { id, error, detail } => {
                self.refused += 1;
                writeln!(out, "{id:<36} {error}: {detail}")?;
            }
        }
        Ok(())
    }

    fn finish(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let sum = format!("{} events, {} without a price", self.events, self.refused);
        writeln!(out, "{sum:<36} {:>20} {:>12}", self.exact.in_major(self.currency), self.posted)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"{"currency":"EUR","meters":{"seat":{"unit":"seat","aggregation":"unique","unique_by":"user"}},"rates":[
        {"key":"de","meter":"call","prefixes":["49"],"call":{"initial":"60","next":"60","steps":[{"from":"0","price":"0.40","per":"60"}]}},
        {"key":"mobile","meter":"call","prefixes":["4915"],"call":{"initial":"6","next":"6","steps":[{"from":"0","price":"0.0333","per":"60"}]}},
        {"key":"seat","meter":"seat","price":{"model":"per_unit","unit_price":"2"}},
        {"key":"api","meter":"api_call","price":{"model":"graduated","tiers":[{"up_to":"2","unit_price":"0.0015"},{"unit_price":"0.10"}]}}]}"#;

    /// Answers to events given as (customer, the rest of the event), as JSON lines.
    #[track_caller]
    fn check(events: &[(&str, &str, &str)]) {
        let mut pricer = Pricer::new(CARD.as_bytes()).unwrap();
        for (number, (customer, rest, want)) in (1..).zip(events) {
            let event = format!(r#"{{"id":"{number}","customer":"{customer}","at":"2026-11-20T09:00:00Z",{rest}}}"#);
            let line = serde_json::to_value(pricer.line(event.as_bytes(), number).unwrap()).unwrap();
            let got = match line.get("error") {
                Some(error) => error.as_str().unwrap().to_owned(),
                None => format!("{} {} {}", line["exact"].as_str().unwrap(), line["posted_cents"], line["carry"].as_str().unwrap()),
            };
            assert_eq!(got, *want, "event {number}: {event}");
        }
    }

    #[test]
    fn counters_and_carry_run_on_per_customer() {
        check(&[
            ("a", r#""meter":"call","quantity":"600","destination":"+4930123456""#, "4 400 0"),
            ("a", r#""meter":"call","quantity":"7","destination":"0049151123456""#, "0.00666 0 0.666"),
            ("a", r#""meter":"api_call","quantity":"1""#, "0.0015 0 0.816"),
            ("a", r#""meter":"api_call","quantity":"3""#, "0.2015 20 0.966"),
            ("b", r#""meter":"api_call","quantity":"3""#, "0.103 10 0.3"),
            ("a", r#""meter":"seat","quantity":"1","attributes":{"user":"x"}"#, "2 200 0.966"),
            ("a", r#""meter":"seat","quantity":"1","attributes":{"user":"x"}"#, "0 0 0.966"),
            ("a", r#""meter":"seat","quantity":"1","attributes":{"user":"y"}"#, "2 200 0.966"),
        ]);
    }

    #[test]
    fn what_has_no_price_moves_nothing() {
        check(&[
            ("a", r#""meter":"call","quantity":"60","destination":"+1212555""#, "no_rate"),
            ("a", r#""meter":"call","quantity":"many","destination":"+4930""#, "invalid_field"),
            ("a", r#""meter":"fax","quantity":"1""#, "no_rate"),
            ("a", r#""meter":"api_call","quantity":"1""#, "0.0015 0 0.15"),
        ]);
    }

    #[test]
    fn the_table_sums_up() {
        let mut pricer = Pricer::new(CARD.as_bytes()).unwrap();
        let (mut table, mut out) = (Table::new(pricer.card.currency()), Vec::new());
        for (number, line) in (1..).zip([
            r#"{"id":"c1","customer":"a","meter":"call","quantity":"61","at":"2026-11-20T09:00:00Z","destination":"+4930"}"#,
            r#"{"id":"c2"}"#,
            "",
            r#"{"id":"c3","meter":"api_call","quantity":"1","at":"2026-11-20T09:00:00Z"}"#,
        ]) {
            pricer.line(line.as_bytes(), number).into_iter().for_each(|line| table.write(&line, &mut out).unwrap());
        }
        table.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(
            lines,
            [
                "id exact EUR posted cents carry cents",
                "c1 0.8 80 0",
                "c2 missing_field: line 2: `meter` is missing",
                "c3 0.0015 0 0.15",
                "3 events, 1 without a price 0.8015 80",
            ]
        );
    }
}
