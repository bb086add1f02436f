//! `centwise price`: rates a usage file against one card, offline, by the code that charges.
//!
//! The file is rated in its own order. Counters and the carry run on per customer of the file, as
//! they would on a link of that customer; an event that comes again moves nothing.

use super::progress::Progress;
use super::{Ended, counted};
use anyhow::{Context, anyhow};
use formats::input::json::{self, Defaults};
use formats::sheet;
use prepare::offline::{Offline, Priced};
use prepare::prefixes;
use problem::Code;
use rating::card::CardDoc;
use rating::validate::{Mistake, parse_card};
use rating::{Cents, Currency, Exact};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write};
use std::path::{Path, PathBuf};
use tenants::tenant::check_country;

/// Rate a usage file with one rate card, without a database
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: lines were refused that a server would refuse as well: they are \
        malformed, or an id appears twice."
)]
pub struct Args {
    /// Rate card version, as JSON
    #[arg(long, value_name = "CARD.json")]
    card: PathBuf,
    /// Usage events, one JSON object per line
    #[arg(long, value_name = "FILE.ndjson")]
    usage: PathBuf,
    /// Rate card that others name as their fallback (repeat for several)
    #[arg(long, value_name = "NAME=CARD.json")]
    fallback: Vec<String>,
    /// ISO 3166 code of the customers' country, for national numbers such as 030 123456
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    /// Print one JSON line per event: {"id","exact","posted_cents","carry"} (plus "duplicate" if it
    /// came before) or {"id","error"}
    #[arg(long)]
    json: bool,
}

/// Bytes of the usage file that are parsed at a time.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let mut pricer = Pricer::open(args)?;
    let file = std::fs::File::open(&args.usage)
        .with_context(|| format!("cannot read the usage file {}", args.usage.display()))?;
    let progress = Progress::new("rating", file.metadata().map_or(0, |meta| meta.len()));
    let mut table = Table::new(pricer.link.currency());
    let mut reader = lines_of(file)
        .with_context(|| format!("cannot read the usage file {}", args.usage.display()))?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut lines: u64 = 0;
    while next_chunk(&mut reader, &mut chunk)? {
        for line in chunk.split(|&byte| byte == b'\n') {
            lines += 1;
            let Some(line) = pricer.line(line.trim_ascii(), lines) else {
                continue;
            };
            table.count(&line);
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&line)?)?
            } else {
                table.write(&line, out)?
            }
        }
        // Every chunk but the last ends with a line break, behind which `split` sees one line too
        // many.
        lines -= 1;
        progress.add(chunk.len() as u64);
    }
    if args.json {
        // Beside the lines, of which each is an event.
        for said in table.said_of_refused() {
            tracing::warn!("{said}");
        }
    } else {
        table.finish(out)?;
    }
    Ok(if table.refused.is_empty() {
        Ended::Well
    } else {
        Ended::Findings
    })
}

/// Lines that end with line feeds, whatever the file's encoding.
fn lines_of(file: std::fs::File) -> std::io::Result<Box<dyn BufRead>> {
    let mut reader = std::io::BufReader::new(file);
    if !sheet::is_rewritten(reader.fill_buf()?) {
        return Ok(Box::new(reader));
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(Box::new(std::io::Cursor::new(
        sheet::text_of(&bytes).into_owned(),
    )))
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
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
        #[serde(skip)]
        amount: Exact,
    },
    Refused {
        id: String,
        error: String,
        detail: String,
        /// A server keeps it without a price, and does not refuse it.
        #[serde(skip)]
        is_kept: bool,
    },
}

#[derive(Debug)]
struct Pricer {
    link: Offline,
}

impl Pricer {
    fn open(args: &Args) -> anyhow::Result<Self> {
        if let Some(country) = &args.country {
            check_country(country)
                .map_err(|wrong| anyhow!("--country {country}: {}", wrong.expected))?;
        }
        let mut pricer = Self::new(&card_file(&args.card)?, args.country.clone())
            .with_context(|| unusable(&args.card))?;
        for fallback in &args.fallback {
            let (name, file) = fallback
                .split_once('=')
                .with_context(|| format!("--fallback {fallback}: expected NAME=CARD.json"))?;
            pricer
                .fall_back_on(name, &card_file(Path::new(file))?)
                .with_context(|| unusable(Path::new(file)))?;
        }
        pricer.check().with_context(|| unusable(&args.card))?;
        Ok(pricer)
    }

    /// Once all cards are there.
    fn check(&self) -> anyhow::Result<()> {
        let mistakes = self.link.check();
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(listed(mistakes))
        }
    }

    fn new(card: &[u8], country: Option<String>) -> anyhow::Result<Self> {
        let doc = read_card(card)?;
        Ok(Self {
            link: Offline::new(&doc, country).map_err(listed)?,
        })
    }

    fn fall_back_on(&mut self, name: &str, card: &[u8]) -> anyhow::Result<()> {
        let doc = read_card(card)?;
        self.link.fall_back_on(name, &doc).map_err(listed)
    }

    /// The answer to one line; `None` for a blank one.
    fn line(&mut self, line: &[u8], number: u64) -> Option<Line> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        // A file of one customer need not name it.
        let defaults = Defaults {
            customer: Some("default"),
            ..Defaults::default()
        };
        Some(match json::event(&sheet::text_of(line), &defaults) {
            Ok(event) => {
                let id = event.id.clone();
                match self.link.post(event) {
                    Ok(priced) => self.line_of(id, priced),
                    Err(refused) => {
                        let is_kept = refused.code != Code::IdConflict.as_str();
                        Line::Refused {
                            id,
                            error: refused.code.to_owned(),
                            detail: refused.detail,
                            is_kept,
                        }
                    }
                }
            }
            Err((id, problem)) => Line::Refused {
                id,
                error: problem.code.to_string(),
                detail: format!("line {number}: {}", problem.detail),
                is_kept: false,
            },
        })
    }

    fn line_of(
        &self,
        id: String,
        Priced {
            exact: amount,
            cents,
            carry,
            duplicate,
        }: Priced,
    ) -> Line {
        let exact = amount.in_major(self.link.currency());
        Line::Priced {
            id,
            exact,
            posted_cents: cents.0,
            carry: carry.in_cents(),
            duplicate,
            amount,
        }
    }
}

/// As a server would take it for a draft.
fn read_card(json: &[u8]) -> anyhow::Result<CardDoc> {
    let doc = parse_card(json).map_err(listed)?;
    let mistakes = prefixes::mistakes(&doc);
    if mistakes.is_empty() {
        Ok(doc)
    } else {
        Err(listed(mistakes))
    }
}

fn card_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read the card {}", path.display()))
}

fn unusable(path: &Path) -> String {
    format!("the card {} is not usable", path.display())
}

fn listed(mistakes: Vec<Mistake>) -> anyhow::Error {
    let lines: Vec<String> = mistakes
        .iter()
        .map(|m| format!("\n  {} [{}] {}", m.path, m.code, m.message))
        .collect();
    let count = if let [_] = mistakes.as_slice() {
        "a mistake".to_owned()
    } else {
        format!("{} mistakes", mistakes.len())
    };
    anyhow::anyhow!("it has {count}:{}", lines.concat())
}

/// The readable form: a line per event, and a sum.
#[derive(Debug)]
struct Table {
    currency: Currency,
    events: u64,
    unpriced: u64,
    /// How many of which code a server would refuse.
    refused: BTreeMap<String, u64>,
    exact: Exact,
    posted: Cents,
}

impl Table {
    fn new(currency: Currency) -> Self {
        Self {
            currency,
            events: 0,
            unpriced: 0,
            refused: BTreeMap::new(),
            exact: Exact::ZERO,
            posted: Cents::ZERO,
        }
    }

    fn count(&mut self, line: &Line) {
        if let Line::Refused {
            error,
            is_kept: false,
            ..
        } = line
        {
            *self.refused.entry(error.clone()).or_default() += 1;
        }
    }

    fn said_of_refused(&self) -> Vec<String> {
        self.refused
            .iter()
            .map(|(code, count)| format!("{} refused: {code}", counted(*count, "line")))
            .collect()
    }

    fn write(&mut self, line: &Line, out: &mut impl Write) -> anyhow::Result<()> {
        if self.events == 0 {
            writeln!(
                out,
                "{:<36} {:>20} {:>12} {:>16}",
                "id",
                format!("exact {}", self.currency),
                "posted cents",
                "carry cents"
            )?;
        }
        self.events += 1;
        match line {
            Line::Priced {
                id,
                exact,
                posted_cents,
                carry,
                duplicate,
                amount,
            } => {
                self.exact = self.exact.checked_add(*amount)?;
                self.posted = self.posted.checked_add(Cents(*posted_cents))?;
                let again = if *duplicate { "  duplicate" } else { "" };
                writeln!(
                    out,
                    "{id:<36} {exact:>20} {posted_cents:>12} {carry:>16}{again}"
                )?;
            }
            Line::Refused {
                id, error, detail, ..
            } => {
                self.unpriced += 1;
                writeln!(out, "{id:<36} {error}: {detail}")?;
            }
        }
        Ok(())
    }

    fn finish(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let sum = format!(
            "{}, {} without a price",
            counted(self.events, "event"),
            self.unpriced
        );
        writeln!(
            out,
            "{sum:<36} {:>20} {:>12}",
            self.exact.in_major(self.currency),
            self.posted
        )?;
        for said in self.said_of_refused() {
            writeln!(out, "  {said}")?;
        }
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
        let mut pricer = Pricer::new(CARD.as_bytes(), None).unwrap();
        for (number, (customer, rest, want)) in (1..).zip(events) {
            let event = format!(
                r#"{{"id":"{number}","customer":"{customer}","at":"2026-11-20T09:00:00Z",{rest}}}"#
            );
            assert_eq!(
                answer(&mut pricer, &event),
                *want,
                "event {number}: {event}"
            );
        }
    }

    fn answer(pricer: &mut Pricer, event: &str) -> String {
        let line = serde_json::to_value(pricer.line(event.as_bytes(), 1).unwrap()).unwrap();
        match line.get("error") {
            Some(error) => error.as_str().unwrap().to_owned(),
            None => {
                let again = line.get("duplicate").map_or("", |_| " duplicate");
                format!(
                    "{} {} {}{again}",
                    line["exact"].as_str().unwrap(),
                    line["posted_cents"],
                    line["carry"].as_str().unwrap()
                )
            }
        }
    }

    /// What events of one customer, given without id and instant, cost in EUR under a card.
    #[track_caller]
    fn check_card(mut pricer: Pricer, events: &[(&str, &str)]) {
        for (number, (rest, want)) in events.iter().enumerate() {
            let answer = answer(
                &mut pricer,
                &format!(r#"{{"id":"{number}","at":"2026-11-20T09:00:00Z",{rest}}}"#),
            );
            assert_eq!(
                answer.split(' ').next().unwrap(),
                *want,
                "event {number}: {rest}"
            );
        }
    }

    fn pricer(meters: &str, rates: &str) -> Pricer {
        Pricer::new(
            format!(r#"{{"currency":"EUR","meters":{{{meters}}},"rates":[{rates}]}}"#).as_bytes(),
            None,
        )
        .unwrap()
    }

    #[test]
    fn amounts_are_summed_whatever_the_meter_does() {
        let meter = r#""sale":{"unit":"sale","aggregation":"count"}"#;
        let tiers = r#"{"key":"s","meter":"sale","price":{"model":"graduated_percentage","tiers":[{"up_to":"1000","rate":"2"},{"rate":"1"}]}}"#;
        check_card(
            pricer(meter, tiers),
            &[
                (r#""meter":"sale","amount":"1500""#, "25"),
                (r#""meter":"sale","amount":"100""#, "1"),
            ],
        );
    }

    #[test]
    fn who_is_counted_must_be_named() {
        let meter = r#""seat":{"unit":"seat","aggregation":"unique","unique_by":"user"}"#;
        let seats = r#"{"key":"s","meter":"seat","price":{"model":"per_unit","unit_price":"8"}}"#;
        check_card(
            pricer(meter, seats),
            &[
                (r#""meter":"seat","quantity":"1""#, "no_attribute"),
                (
                    r#""meter":"seat","quantity":"1","attributes":{"user":""}"#,
                    "no_attribute",
                ),
                (
                    r#""meter":"seat","quantity":"1","attributes":{"user":"ann"}"#,
                    "8",
                ),
                (
                    r#""meter":"seat","quantity":"1","attributes":{"user":"ann"}"#,
                    "0",
                ),
            ],
        );
    }

    #[test]
    fn the_fallback_card_is_asked() {
        let rate = |key: &str, prefix: &str, price: &str| {
            format!(
                r#"{{"key":"{key}","meter":"call","prefixes":["{prefix}"],"call":{{"steps":[{{"from":"0","price":"{price}","per":"60"}}]}}}}"#
            )
        };
        let card = format!(
            r#"{{"currency":"EUR","fallback":"world","rates":[{}]}}"#,
            rate("de", "49", "0.02")
        );
        let world = format!(
            r#"{{"currency":"EUR","rates":[{}]}}"#,
            rate("any", "", "0.50")
        );
        let calls = |abroad| {
            [
                (
                    r#""meter":"call","quantity":"60","destination":"+4930123456""#,
                    "0.02",
                ),
                (
                    r#""meter":"call","quantity":"60","destination":"+33123456789""#,
                    abroad,
                ),
            ]
        };
        let mut both = Pricer::new(card.as_bytes(), None).unwrap();
        both.fall_back_on("world", world.as_bytes()).unwrap();
        check_card(both, &calls("0.5"));
        check_card(
            Pricer::new(card.as_bytes(), None).unwrap(),
            &calls("no_rate"),
        );
        let mut alone = Pricer::new(card.as_bytes(), None).unwrap();
        let Some(Line::Refused { detail, .. }) =
            alone.line(br#"{"id":"1","at":"2026-11-20T09:00:00Z","meter":"call","quantity":"60","destination":"+33123456789"}"#, 1)
        else {
            panic!("it has no price")
        };
        assert!(detail.contains("--fallback world=FILE.json"), "{detail}");
    }

    /// As the server does it, whose meter `call` counts seconds.
    #[test]
    fn a_call_under_a_price_is_cut_where_its_windows_change() {
        let rate = |key: &str, from: &str, until: &str, price: &str| {
            format!(
                r#"{{"key":"{key}","meter":"call","window":{{"from":"{from}","until":"{until}"}},"price":{{"model":"per_unit","unit_price":"{price}","per":"60"}}}}"#
            )
        };
        let rates = [
            rate("day", "08:00", "18:00", "0.30"),
            rate("night", "18:00", "08:00", "0.03"),
        ]
        .join(",");
        let mut pricer = pricer("", &rates);
        let call = r#"{"id":"1","at":"2026-11-20T17:55:00Z","meter":"call","quantity":"600"}"#;
        assert_eq!(answer(&mut pricer, call).split(' ').next(), Some("1.65"));
    }

    /// Whether usage lasts decides about its price, and only its meter's unit says so.
    #[test]
    fn the_unit_of_a_meter_is_asked_for_where_it_matters() {
        let rate = |key: &str, more: &str| {
            format!(
                r#"{{"key":"{key}","meter":"use","price":{{"model":"per_unit","unit_price":"1"}}{more}}}"#
            )
        };
        let day = rate("day", r#","window":{"from":"08:00","until":"18:00"}"#);
        let night = rate("night", r#","window":{"from":"18:00","until":"08:00"}"#);
        let (now, next) = (
            rate("now", ""),
            rate("next", r#","effective_from":"2027-01-01T00:00:00Z""#),
        );
        let unsaid = "meters.use [unit_required] rates[0].window makes the price change";
        for (meters, rates, want) in [
            ("", format!("{day},{night}"), Some(unsaid)),
            (r#""use":{"unit":"second"}"#, format!("{day},{night}"), None),
            (r#""use":{"unit":"unit"}"#, format!("{day},{night}"), None),
            (
                "",
                format!("{now},{next}"),
                Some("meters.use [unit_required] rates[1].effective_from makes the price change"),
            ),
            ("", next.clone(), None),
            ("", now.clone(), None),
            ("", day.replace("\"use\"", "\"call\""), None),
        ] {
            let said = pricer(meters, &rates)
                .check()
                .err()
                .map(|error| error.to_string());
            match want {
                None => assert_eq!(said, None, "{rates}"),
                Some(want) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(want)),
                    "{rates}: {said:?}"
                ),
            }
        }
        let event = r#"{"id":"1","at":"2026-11-20T17:55:00Z","meter":"use","quantity":"600"}"#;
        let exact = |unit: &str, cheap: &str| {
            let mut pricer = pricer(
                &format!(r#""use":{{"unit":"{unit}"}}"#),
                &format!("{day},{cheap}"),
            );
            answer(&mut pricer, event)
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        let cheap = night.replace("unit_price\":\"1\"", "unit_price\":\"0.1\"");
        assert_eq!(
            (exact("second", &cheap), exact("unit", &cheap)),
            ("330".to_owned(), "600".to_owned())
        );
    }

    #[test]
    fn fallback_cards_come_to_an_end_and_are_asked() {
        let card = |fallback: &str| {
            let fallback = if fallback.is_empty() {
                String::new()
            } else {
                format!(r#","fallback":"{fallback}""#)
            };
            format!(
                r#"{{"currency":"EUR"{fallback},"rates":[{{"key":"a","meter":"m","price":{{"model":"flat","amount":"1"}}}}]}}"#
            )
        };
        let check = |first: &str, others: &[(&str, &str)], want: Option<&str>| {
            let mut pricer = Pricer::new(card(first).as_bytes(), None).unwrap();
            let given = others
                .iter()
                .try_for_each(|(name, next)| pricer.fall_back_on(name, card(next).as_bytes()));
            let said = given
                .and_then(|()| pricer.check())
                .err()
                .map(|error| error.to_string());
            match want {
                None => assert_eq!(said, None, "{first} {others:?}"),
                Some(want) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(want)),
                    "{first} {others:?}: {said:?}"
                ),
            }
        };
        check("x", &[("x", "y"), ("y", "")], None);
        check("x", &[], None);
        check(
            "x",
            &[("x", "x")],
            Some(r#"fallback [fallback_cycle] "x" -> "x""#),
        );
        check(
            "x",
            &[("x", "y"), ("y", "x")],
            Some(r#"[fallback_cycle] "x" -> "y" -> "x""#),
        );
        check(
            "x",
            &[("x", ""), ("x", "y")],
            Some(r#"[given_twice] the fallback card "x""#),
        );
        check(
            "x",
            &[("x", ""), ("y", "")],
            Some(r#"[unused_fallback] no card names "y" as its fallback; the named ones are "x""#),
        );
        check("", &[("y", "")], Some("[unused_fallback]"));
        let long = [
            ("1", "2"),
            ("2", "3"),
            ("3", "4"),
            ("4", "5"),
            ("5", "6"),
            ("6", "7"),
            ("7", "8"),
            ("8", ""),
        ];
        check("1", &long, Some("[too_many_fallbacks]"));
    }

    #[test]
    fn a_prefix_that_no_number_begins_with_is_refused() {
        let card = |prefix: &str| {
            format!(
                r#"{{"currency":"EUR","rates":[{{"key":"a","meter":"call","prefixes":["{prefix}"],"call":{{"steps":[{{"from":"0","price":"1"}}]}}}}]}}"#
            )
        };
        let said = Pricer::new(card("0049").as_bytes(), None)
            .unwrap_err()
            .to_string();
        assert!(
            said.contains(r#"rates[0].prefixes[0] [no_such_number] no number begins with "0049""#),
            "{said}"
        );
        assert!(Pricer::new(card("49").as_bytes(), None).is_ok());
    }

    #[test]
    fn national_numbers_are_those_of_the_country() {
        let card = r#"{"currency":"EUR","rates":[{"key":"de","meter":"call","prefixes":["4930"],"call":{"steps":[{"from":"0","price":"0.02","per":"60"}]}}]}"#;
        let berlin = |want| {
            [(
                r#""meter":"call","quantity":"60","destination":"030 123456""#,
                want,
            )]
        };
        check_card(
            Pricer::new(card.as_bytes(), Some("DE".to_owned())).unwrap(),
            &berlin("0.02"),
        );
        check_card(
            Pricer::new(card.as_bytes(), None).unwrap(),
            &berlin("no_rate"),
        );
    }

    #[test]
    fn an_event_that_comes_again_moves_nothing() {
        let mut pricer = Pricer::new(CARD.as_bytes(), None).unwrap();
        let event = |id: &str, source: &str, quantity: &str| {
            format!(
                r#"{{"id":"{id}","source":"{source}","at":"2026-11-20T09:00:00Z","meter":"api_call","quantity":{quantity}}}"#
            )
        };
        for (event, want) in [
            (event("a", "x", "\"2\""), "0.003 0 0.3"),
            (event("a", "x", "\"2.0\""), "0 0 0.3 duplicate"),
            (event("a", "x", "3"), "id_conflict"),
            (event("a", "y", "1"), "0.1 10 0.3"),
            (event("a", "x", "2"), "0 0 0.3 duplicate"),
            // What has no price is kept under its id too.
            (event("b", "x", "2").replace("api_call", "fax"), "no_rate"),
            (event("b", "x", "2").replace("api_call", "fax"), "no_rate"),
            (event("b", "x", "2"), "id_conflict"),
            (event("b", "y", "2"), "0.2 20 0.3"),
        ] {
            assert_eq!(answer(&mut pricer, &event), want, "{event}");
        }
    }

    #[test]
    fn counters_and_carry_run_on_per_customer() {
        check(&[
            (
                "a",
                r#""meter":"call","quantity":"600","destination":"+4930123456""#,
                "4 400 0",
            ),
            (
                "a",
                r#""meter":"call","quantity":"7","destination":"0049151123456""#,
                "0.00666 0 0.666",
            ),
            (
                "a",
                r#""meter":"api_call","quantity":"1""#,
                "0.0015 0 0.816",
            ),
            (
                "a",
                r#""meter":"api_call","quantity":"3""#,
                "0.2015 20 0.966",
            ),
            ("b", r#""meter":"api_call","quantity":"3""#, "0.103 10 0.3"),
            (
                "a",
                r#""meter":"seat","quantity":"1","attributes":{"user":"x"}"#,
                "2 200 0.966",
            ),
            (
                "a",
                r#""meter":"seat","quantity":"1","attributes":{"user":"x"}"#,
                "0 0 0.966",
            ),
            (
                "a",
                r#""meter":"seat","quantity":"1","attributes":{"user":"y"}"#,
                "2 200 0.966",
            ),
        ]);
    }

    #[test]
    fn what_has_no_price_moves_nothing() {
        check(&[
            (
                "a",
                r#""meter":"call","quantity":"60","destination":"+1212555""#,
                "no_rate",
            ),
            (
                "a",
                r#""meter":"call","quantity":"many","destination":"+4930123456""#,
                "invalid_field",
            ),
            ("a", r#""meter":"fax","quantity":"1""#, "no_rate"),
            ("a", r#""meter":"api_call","quantity":"1""#, "0.0015 0 0.15"),
        ]);
    }

    #[test]
    fn usage_is_read_whatever_its_encoding() {
        let line = r#"{"id":"a","meter":"api_call","quantity":"2","at":"2026-11-20T09:00:00Z","attributes":{"name":"Müller"}}"#;
        let both = format!("{line}\n{}\n", line.replace("\"a\"", "\"b\""));
        let utf16: Vec<u8> = both.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin: Vec<u8> = both
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        let folder = tempfile::tempdir().unwrap();
        for bytes in [
            both.clone().into_bytes(),
            utf16,
            latin,
            both.replace('\n', "\r").into_bytes(),
        ] {
            let path = folder.path().join("usage.ndjson");
            std::fs::write(&path, &bytes).unwrap();
            let mut text = Vec::new();
            lines_of(std::fs::File::open(&path).unwrap())
                .unwrap()
                .read_to_end(&mut text)
                .unwrap();
            let mut pricer = Pricer::new(CARD.as_bytes(), None).unwrap();
            let lines = text
                .split(|&byte| byte == b'\n')
                .filter_map(|line| pricer.line(line, 1));
            assert_eq!(
                lines
                    .filter(|line| matches!(line, Line::Priced { .. }))
                    .count(),
                2,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn the_table_sums_up() {
        let mut pricer = Pricer::new(CARD.as_bytes(), None).unwrap();
        let (mut table, mut out) = (Table::new(pricer.link.currency()), Vec::new());
        for (number, line) in (1..).zip([
            r#"{"id":"c1","customer":"a","meter":"call","quantity":"61","at":"2026-11-20T09:00:00Z","destination":"+4930123456"}"#,
            r#"{"id":"c2"}"#,
            "",
            r#"{"id":"c3","meter":"api_call","quantity":"1","at":"2026-11-20T09:00:00Z"}"#,
            r#"{"id":"c3","meter":"api_call","quantity":"1","at":"2026-11-20T09:00:00Z"}"#,
        ]) {
            if let Some(line) = pricer.line(line.as_bytes(), number) {
                table.count(&line);
                table.write(&line, &mut out).unwrap();
            }
        }
        table.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(
            lines,
            [
                "id exact EUR posted cents carry cents",
                "c1 0.8 80 0",
                "c2 missing_field: line 2: `meter` is missing",
                "c3 0.0015 0 0.15",
                "c3 0 0 0.15 duplicate",
                "4 events, 1 without a price 0.8015 80",
                "1 line refused: missing_field",
            ]
        );
    }
}
