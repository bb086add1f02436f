//! `centwise ingest`: sends a usage file, batch after batch. Safe to repeat: what was posted is
//! answered as a duplicate, and nothing moves twice. A last line that is not whole is left for the
//! next run.

mod follow;
mod pieces;
mod position;
mod rotated;
mod rows;
mod summary;
mod texts;

use super::Ended;
use super::client::{Call, Connection};
use super::progress::Progress;
use super::session::{Session, Target};
use anyhow::{Context, bail};
use formats::input::Row;
use formats::input::cdr::not_in_seconds;
use formats::input::fields::METER;
use metering::requests::UsageEvent;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rating::card::CALL_UNIT;
use rows::Reading;
use serde::Deserialize;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use summary::Outcome;
pub(super) use summary::Summary;
pub(super) use texts::Texts;

/// Send a usage file: NDJSON, CSV, or the call records of FreeSWITCH or Asterisk
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: rows were refused (FILE.refused.ndjson has the line, reason and \
        text of each), or a file was not found."
)]
pub struct Args {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file. freeswitch: JSON (mod_json_cdr), or CSV (mod_cdr_csv, "example"
    /// template) if the file is not JSON
    #[arg(long, value_enum)]
    format: Format,
    /// IANA zone for times without a zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// How to read the file. csv: its column map; freeswitch, asterisk: options (meter, source,
    /// seconds, columns …)
    #[arg(long, value_name = "MAP.json")]
    map: Option<PathBuf>,
    /// Variable or column that names the customer. Of several (accountcode,peeraccount, or repeated
    /// --customer), the first non-empty one counts [default: accountcode]
    #[arg(long, value_name = "NAME")]
    customer: Vec<String>,
    /// Continue from where the last run ended and follow lines appended to the file, also after
    /// rotation or truncation
    #[arg(long)]
    follow: bool,
    /// With --follow: exit once everything currently in the file has been sent
    #[arg(long, requires = "follow")]
    once: bool,
    /// With --follow: file that stores the position [default: FILE.position.json]
    #[arg(long, value_name = "PATH", requires = "follow")]
    position: Option<PathBuf>,
    /// The file is complete: send its last line even without a line feed at its end
    #[arg(long, conflicts_with = "follow")]
    whole: bool,
    #[command(flatten)]
    target: Target,
    /// Print the summary as one JSON object
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
    let summary = if args.follow {
        super::runtime()?.block_on(follow::run(args, out))?
    } else {
        let file = std::fs::read(&args.file)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        let reading = Reading::of(args, &file)?;
        let (rows, unfinished) = reading
            .rows(&file, args.whole)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        let texts = reading.texts(args, &file, &rows);
        let mut summary = super::runtime()?.block_on(send_all(args, rows, &texts))?;
        summary.unfinished = unfinished;
        summary.legs_elsewhere = reading.legs_elsewhere(&file);
        summary.write_refusals(&args.file, false, out)?;
        summary
    };
    summary.write(args, out)?;
    Ok(if summary.has_findings() {
        Ended::Findings
    } else {
        Ended::Well
    })
}

async fn send_all(args: &Args, rows: Vec<Row>, texts: &Texts<'_>) -> anyhow::Result<Summary> {
    let session = Session::open(&args.target).await?;
    let mut connection = session.connect().await?;
    check_meter(args, &mut connection).await?;
    let progress = Progress::new("sending", rows.len() as u64);
    let mut summary = Summary::default();
    send(&mut connection, rows, texts, &mut summary, &progress).await?;
    drop(connection);
    session.close().await?;
    Ok(summary)
}

/// What a switch bills are seconds: another meter than that of calls must count them. Where the key
/// may not read meters, who asks for another one knows what it counts.
async fn check_meter(args: &Args, connection: &mut Connection) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Meter {
        unit: String,
    }
    let Some(name) = rows::meter_of_calls(args)?.filter(|name| name != METER) else {
        return Ok(());
    };
    let path = format!(
        "/v1/meters/{}",
        utf8_percent_encode(&name, NON_ALPHANUMERIC)
    );
    let answer = connection.send_patiently(&Call::get(&path)).await?;
    if !answer.status.is_success() {
        return Ok(());
    }
    let Meter { unit } = answer.json()?;
    if unit == CALL_UNIT {
        Ok(())
    } else {
        bail!("{}", not_in_seconds(&name, &unit))
    }
}

/// In batches. Nothing is lost if it fails half way: all of it may be sent again.
async fn send(
    connection: &mut Connection,
    rows: Vec<Row>,
    texts: &Texts<'_>,
    summary: &mut Summary,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut batch: Vec<(u64, UsageEvent)> = Vec::with_capacity(BATCH_EVENTS.min(rows.len()));
    for row in rows {
        summary.rows += 1;
        match row {
            Row::Event { line, event } => batch.push((line, event)),
            Row::Skipped { why, .. } => summary.skip(why),
            Row::Refused { line, id, problem } => summary.refuse_row(line, id, problem, texts),
        }
        if batch.len() == BATCH_EVENTS {
            post(connection, &mut batch, texts, summary).await?;
            progress.add(BATCH_EVENTS as u64);
        }
    }
    post(connection, &mut batch, texts, summary).await
}

/// The server's answer to a batch.
#[derive(Debug, Deserialize)]
struct Answers {
    data: Vec<Outcome>,
}

async fn post(
    connection: &mut Connection,
    batch: &mut Vec<(u64, UsageEvent)>,
    texts: &Texts<'_>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = batch.iter().map(|(_, event)| as_json(event)).collect();
    let body = serde_json::to_vec(&events)?;
    let answers: Answers = connection
        .send_patiently(&Call::post(PATH, "application/json", body))
        .await?
        .json()?;
    if answers.data.len() != batch.len() {
        bail!(
            "the server answered {} of {} events; send the file again, nothing is posted twice",
            answers.data.len(),
            batch.len()
        );
    }
    for ((line, event), outcome) in batch.drain(..).zip(answers.data) {
        summary.count(line, event.id, outcome, texts);
    }
    Ok(())
}

/// The JSON form of an event, as `formats::input::json` reads it.
fn as_json(event: &UsageEvent) -> serde_json::Value {
    let mut value = json!({
        "id": event.id, "source": event.source, "customer": event.customer, "meter": event.meter, "quantity": event.quantity, "at": event.at,
    });
    let optional = [
        ("amount", event.amount.map(|amount| amount.to_string())),
        (
            "destination",
            event.destination.as_deref().map(str::to_owned),
        ),
        ("origin", event.origin.as_deref().map(str::to_owned)),
        ("hold", event.hold.clone()),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            value[name] = text.into();
        }
    }
    if !event.attributes.is_empty() {
        value["attributes"] = event
            .attributes
            .iter()
            .map(|(name, text)| (name.clone(), json!(text)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    value
}
