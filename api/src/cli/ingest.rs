//! `centwise ingest`: sends a usage file, batch after batch. Safe to repeat: what was posted is
//! answered as a duplicate, and nothing moves twice.

use super::Ended;
use super::client::{Call, Connection};
use super::progress::Progress;
use super::session::{Session, Target};
use anyhow::{Context, bail};
use metering::command::{Problem, UsageEvent};
use metering::input::table::{Column, ColumnMap};
use metering::input::{self, Row};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Send a usage file: NDJSON, CSV, or the call records of FreeSWITCH or Asterisk
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// freeswitch: JSON (mod_json_cdr), or CSV (mod_cdr_csv, "example" template) if the file is not JSON
    #[arg(long, value_enum)]
    format: Format,
    /// IANA zone of times without one, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// How to read the file: csv: its column map; freeswitch, asterisk: options (meter, source, seconds, columns …)
    #[arg(long, value_name = "MAP.json")]
    map: Option<PathBuf>,
    /// Variable or column that names the customer (several: the first that is not empty) [default: accountcode]
    #[arg(long, value_name = "NAME")]
    customer: Vec<String>,
    #[command(flatten)]
    target: Target,
    /// The summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Ndjson,
    Csv,
    Freeswitch,
    Asterisk,
}

/// Events per request.
const BATCH_EVENTS: usize = 2000;
const PATH: &str = "/v1/usage-events";

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let file = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let rows = rows(args, &file)?;
    let summary = super::runtime()?.block_on(send(args, rows))?;
    summary.write(args, out)?;
    Ok(Ended::Well)
}

fn rows(args: &Args, file: &[u8]) -> anyhow::Result<Vec<Row>> {
    let map =
        args.map.as_ref().map(|path| std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display()))).transpose()?;
    let looks_like_json = matches!(file.trim_ascii_start().first(), Some(b'{' | b'['));
    let rows = match args.format {
        Format::Ndjson => Ok(input::ndjson::rows(file).collect()),
        Format::Csv => input::table::parse(file, &column_map(args, map.as_deref(), file)?),
        Format::Freeswitch if looks_like_json => input::freeswitch::parse(file, &options(args, map.as_deref())?),
        Format::Freeswitch => input::freeswitch_csv::parse(file, &options(args, map.as_deref())?),
        Format::Asterisk => input::asterisk::parse(file, &options(args, map.as_deref())?),
    };
    rows.map_err(|problem| anyhow::anyhow!("cannot read {}: {}", args.file.display(), problem.detail))
}

fn options(args: &Args, map: Option<&[u8]>) -> anyhow::Result<input::cdr::Options> {
    let mut options: input::cdr::Options =
        map.map(serde_json::from_slice).transpose().context("the map is not usable")?.unwrap_or_default();
    if args.zone.is_some() {
        options.zone = args.zone.clone();
    }
    if !args.customer.is_empty() {
        options.customer = args.customer.clone();
    }
    Ok(options)
}

/// Without a map the columns are those of the same name as an event's fields.
fn column_map(args: &Args, map: Option<&[u8]>, file: &[u8]) -> anyhow::Result<ColumnMap> {
    let mut columns = match map {
        Some(map) => serde_json::from_slice(map).context("the map is not usable")?,
        None => columns_by_name(file),
    };
    if args.zone.is_some() {
        columns.zone = args.zone.clone();
    }
    if let Some(name) = args.customer.first() {
        columns.columns.insert("customer".to_owned(), Column::Name(name.clone()));
    }
    Ok(columns)
}

fn columns_by_name(file: &[u8]) -> ColumnMap {
    const FIELDS: [&str; 10] = ["id", "source", "customer", "meter", "quantity", "amount", "at", "destination", "origin", "hold"];
    let first = file.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let names: Vec<&str> = first.split([',', ';', '\t']).map(|name| name.trim_matches(['"', '\r', ' ', '\u{feff}'])).collect();
    let known = FIELDS.iter().filter(|field| names.contains(field));
    let columns = known.map(|field| ((*field).to_owned(), Column::Name((*field).to_owned()))).collect();
    ColumnMap { columns, ..ColumnMap::default() }
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    posted: u64,
    duplicate: u64,
    /// Charged on their upper links, and kept for the others.
    #[serde(skip_serializing_if = "is_zero")]
    partly_rated: u64,
    unrated: u64,
    skipped: u64,
    refused: u64,
    /// Why rows were skipped, kept without a price, or refused, and how often.
    reasons: std::collections::BTreeMap<String, u64>,
    #[serde(skip)]
    refusals: Vec<Refusal>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Debug, Serialize)]
struct Refusal {
    line: u64,
    id: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    detail: String,
}

/// The server's answer to a batch.
#[derive(Debug, Deserialize)]
struct Answers {
    data: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    status: String,
    reason: Option<String>,
    problem: Option<Refused>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    code: String,
    field: Option<String>,
    detail: Option<String>,
}

async fn send(args: &Args, rows: Vec<Row>) -> anyhow::Result<Summary> {
    let session = Session::open(&args.target).await?;
    let mut connection = session.connect().await?;
    let progress = Progress::new("sending", rows.len() as u64);
    let mut summary = Summary { rows: rows.len() as u64, ..Summary::default() };
    let mut batch: Vec<(u64, UsageEvent)> = Vec::with_capacity(BATCH_EVENTS);
    for row in rows {
        match row {
            Row::Event { line, event } => batch.push((line, event)),
            Row::Skipped { why, .. } => summary.skip(why),
            Row::Refused { line, id, problem } => summary.refuse_row(line, id, problem),
        }
        if batch.len() == BATCH_EVENTS {
            post(&mut connection, &mut batch, &mut summary).await?;
            progress.add(BATCH_EVENTS as u64);
        }
    }
    post(&mut connection, &mut batch, &mut summary).await?;
    drop(connection);
    session.close().await?;
    Ok(summary)
}

async fn post(connection: &mut Connection, batch: &mut Vec<(u64, UsageEvent)>, summary: &mut Summary) -> anyhow::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = batch.iter().map(|(_, event)| as_json(event)).collect();
    let body = serde_json::to_vec(&events)?;
    let answers: Answers = connection.send_patiently(&Call::post(PATH, "application/json", body)).await?.json()?;
    if answers.data.len() != batch.len() {
        bail!("the server answered {} of {} events; send the file again, nothing is posted twice", answers.data.len(), batch.len());
    }
    for ((line, event), outcome) in batch.drain(..).zip(answers.data) {
        summary.count(line, event.id, outcome);
    }
    Ok(())
}

/// The JSON form of an event, as [`input::json`] reads it.
fn as_json(event: &UsageEvent) -> serde_json::Value {
    let mut value = json!({
        "id": event.id, "source": event.source, "customer": event.customer, "meter": event.meter, "quantity": event.quantity, "at": event.at,
    });
    let optional = [
        ("amount", event.amount.map(|amount| amount.to_string())),
        ("destination", event.destination.as_deref().map(str::to_owned)),
        ("origin", event.origin.as_deref().map(str::to_owned)),
        ("hold", event.hold.clone()),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            value[name] = text.into();
        }
    }
    if !event.attributes.is_empty() {
        value["attributes"] =
            event.attributes.iter().map(|(name, text)| (name.clone(), json!(text))).collect::<serde_json::Map<_, _>>().into();
    }
    value
}

impl Summary {
    fn skip(&mut self, why: String) {
        self.skipped += 1;
        *self.reasons.entry(format!("skipped: {why}")).or_default() += 1;
    }

    fn refuse_row(&mut self, line: u64, id: String, problem: Problem) {
        self.refuse(Refusal { line, id, code: problem.code.to_owned(), field: problem.field, detail: problem.detail });
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        *self.reasons.entry(format!("refused: {}", refusal.code)).or_default() += 1;
        self.refusals.push(refusal);
    }

    fn count(&mut self, line: u64, id: String, outcome: Outcome) {
        match (outcome.status.as_str(), outcome.problem) {
            ("rated", _) => self.posted += 1,
            ("duplicate", _) => self.duplicate += 1,
            (status @ ("unrated" | "partly_rated"), _) => {
                *(if status == "unrated" { &mut self.unrated } else { &mut self.partly_rated }) += 1;
                *self.reasons.entry(format!("{status}: {}", outcome.reason.unwrap_or_default())).or_default() += 1;
            }
            (_, Some(Refused { code, field, detail })) => {
                self.refuse(Refusal { line, id, code, field, detail: detail.unwrap_or_default() })
            }
            (status, None) => self.refuse(Refusal { line, id, code: status.to_owned(), field: None, detail: String::new() }),
        }
    }

    fn write(&self, args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
        let refused_file = self.write_refusals(args, out)?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let Self { rows, posted, duplicate, unrated, skipped, refused, .. } = self;
        writeln!(
            out,
            "{rows} rows: {posted} posted, {duplicate} duplicate, {unrated} unrated (kept), {skipped} skipped, {refused} refused"
        )?;
        if self.partly_rated > 0 {
            writeln!(out, "besides them {} partly rated: charged on their upper links, and kept for the others", self.partly_rated)?;
        }
        for (reason, count) in &self.reasons {
            writeln!(out, "  {count:>8}  {reason}")?;
        }
        if let Some(file) = refused_file {
            writeln!(out, "the refused rows and why: {}", file.display())?;
        }
        if *unrated + self.partly_rated > 0 {
            writeln!(out, "unrated events are kept: once the card or the customer is there, POST /v1/usage-events/rate-again prices them")?;
        }
        Ok(())
    }

    /// Into FILE.refused.ndjson, or among the output where that cannot be written.
    fn write_refusals(&self, args: &Args, out: &mut impl Write) -> anyhow::Result<Option<PathBuf>> {
        if self.refusals.is_empty() {
            return Ok(None);
        }
        let mut text = String::new();
        for refusal in &self.refusals {
            text.push_str(&serde_json::to_string(refusal)?);
            text.push('\n');
        }
        let mut name = args.file.as_os_str().to_owned();
        name.push(".refused.ndjson");
        match std::fs::write(&name, &text) {
            Ok(()) => Ok(Some(PathBuf::from(name))),
            Err(_) => {
                out.write_all(text.as_bytes())?;
                Ok(None)
            }
        }
    }
}
