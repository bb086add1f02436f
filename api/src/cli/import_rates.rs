//! `centwise import-rates`: lays a rate deck over a card. Shows what would change, then switches in
//! one step: a draft with every price, published as a whole.

use super::Ended;
use super::client::{Answer, Call, Connection};
use super::progress::Progress;
use super::session::{Session, Target};
use crate::clock::{self, Clock};
use anyhow::{Context, anyhow, bail};
use hyper::StatusCode;
use hyper::body::Bytes;
use metering::deck::{self, DeckOptions, Import, Mode, Preview};
use metering::input::when::DateForm;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rating::card::CardDoc;
use rating::{Currency, Instant};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Lay a rate deck (CSV) over a rate card: preview, then switch in one step
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Name of the rate card; made if it is not there
    #[arg(long, value_name = "NAME")]
    card: String,
    /// The seller it belongs to [default: the key's own tenant]
    #[arg(long, value_name = "TENANT")]
    owner: Option<String>,
    /// Where the deck comes from; columns are found by their names in any case
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// How to read it: {"columns", "delimiter", "decimal_comma", "per", "initial", "next" …}
    #[arg(long, value_name = "MAP.json")]
    map: Option<PathBuf>,
    /// Currency of a new card [default: EUR], or what the card's must be
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    /// IANA zone of a new card [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Meter that the prices are for
    #[arg(long, default_value = "call")]
    meter: String,
    /// The deck is the whole list: prefixes it does not name are closed (the default)
    #[arg(long)]
    full: bool,
    /// Prefixes that the deck does not name stay
    #[arg(long, conflicts_with = "full")]
    partial: bool,
    /// Order of day, month and year in dates
    #[arg(long, value_enum)]
    date_order: Option<DateOrder>,
    /// When the new prices come into force (RFC 3339) [default: now]
    #[arg(long, value_name = "INSTANT")]
    effective_from: Option<Instant>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Write a card file instead of changing a card (no database, no server)
    #[arg(long, value_name = "CARD.json")]
    out: Option<PathBuf>,
    /// The preview as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Auto,
    Astpp,
    Magnusbilling,
    A2billing,
    Kazoo,
    Ivozprovider,
    /// Semicolons
    Callwithus,
    /// Dates with the month first
    #[value(name = "46labs")]
    Labs46,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DateOrder {
    Dmy,
    Mdy,
    Iso,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let file = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    match &args.out {
        Some(path) => write_card(args, &file, path, out)?,
        None => super::runtime()?.block_on(change_card(args, &file, out))?,
    }
    Ok(Ended::Well)
}

impl Args {
    fn at(&self) -> Instant {
        self.effective_from.unwrap_or_else(|| Clock::system().now())
    }

    fn import(&self, at: Instant) -> Import<'_> {
        Import { mode: if self.partial { Mode::Partial } else { Mode::Full }, meter: &self.meter, at }
    }

    fn new_card(&self) -> CardDoc {
        let (currency, zone) = (self.currency.unwrap_or(Currency::EUR), self.zone.clone().unwrap_or_else(|| "UTC".to_owned()));
        CardDoc { currency, zone, fallback: None, meters: BTreeMap::new(), rates: Vec::new() }
    }

    /// What the map says, then the format, then the options of the command line.
    fn options(&self, base: &CardDoc) -> anyhow::Result<DeckOptions> {
        let map = self.map.as_ref().map(|path| std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display())));
        let mut options: DeckOptions = match map.transpose()? {
            Some(map) => serde_json::from_slice(&map).context("the map is not usable")?,
            None => DeckOptions::default(),
        };
        match self.format {
            Format::Callwithus => options.delimiter = options.delimiter.or(Some(';')),
            Format::Labs46 => options.date_form = DateForm::MonthFirst,
            _ => {}
        }
        match self.date_order {
            Some(DateOrder::Dmy) => options.date_form = DateForm::DayFirst,
            Some(DateOrder::Mdy) => options.date_form = DateForm::MonthFirst,
            Some(DateOrder::Iso) => options.date_form = DateForm::YearFirst,
            None => {}
        }
        options.zone = Some(base.zone.clone());
        options.currency = Some(base.currency);
        Ok(options)
    }

    /// The deck laid over a card, and what that changes.
    fn laid_over(&self, base: &CardDoc, file: &[u8], at: Instant) -> anyhow::Result<(CardDoc, Preview)> {
        let read = deck::parse(file, &self.options(base)?);
        let deck = read.map_err(|problem| anyhow!("cannot read {}: {}", self.file.display(), problem.detail))?;
        let import = self.import(at);
        Ok((deck::to_card(base, &deck, &import), deck::preview(base, &deck, &import)))
    }
}

fn write_card(args: &Args, file: &[u8], path: &PathBuf, out: &mut impl Write) -> anyhow::Result<()> {
    let (card, preview) = args.laid_over(&args.new_card(), file, args.at())?;
    show(args, &preview, out)?;
    if args.dry_run {
        return Ok(());
    }
    std::fs::write(path, serde_json::to_vec_pretty(&card)?).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(out, "wrote {} rates to {}", card.rates.len(), path.display())?;
    Ok(())
}

async fn change_card(args: &Args, file: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
    let session = Session::open(&args.target).await?;
    let mut connection = session.connect().await?;
    let at = args.at();
    let card = Card::of(args);
    let base = card.read(&mut connection, at).await?;
    let old = base.clone().unwrap_or_else(|| args.new_card());
    if args.currency.is_some_and(|wanted| wanted != old.currency) {
        bail!("the card {} is in {}; a deck in another currency needs a card of its own", args.card, old.currency);
    }
    let (new, preview) = args.laid_over(&old, file, at)?;
    show(args, &preview, out)?;
    out.flush()?;
    if args.dry_run {
        writeln!(out, "nothing was changed (--dry-run)")?;
    } else if base.as_ref() == Some(&new) {
        writeln!(out, "the card has these prices already: nothing to do")?;
    } else {
        card.switch(&mut connection, &new, at).await?;
        writeln!(out, "{} is in force from {at}: {} rates", args.card, new.rates.len())?;
    }
    drop(connection);
    session.close().await
}

/// The card's place in the API.
struct Card<'a> {
    args: &'a Args,
    path: String,
    /// `?owner=…`, or nothing.
    owner: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    id: String,
    effective_from: Option<Instant>,
    card: Option<CardDoc>,
}

#[derive(Debug, Deserialize)]
struct Versions {
    data: Vec<Version>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl<'a> Card<'a> {
    fn of(args: &'a Args) -> Self {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let owner = args.owner.as_deref().map(|owner| format!("?owner={}", encode(owner))).unwrap_or_default();
        Self { args, path: format!("/v1/rate-cards/{}", encode(&args.card)), owner }
    }

    /// The prices in force at an instant; an empty card that has none, `None` for no card at all.
    async fn read(&self, connection: &mut Connection, at: Instant) -> anyhow::Result<Option<CardDoc>> {
        #[derive(Deserialize)]
        struct Head {
            currency: Currency,
        }
        let answer = connection.send_patiently(&Call::get(&format!("{}{}", self.path, self.owner))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let head: Head = answer.json()?;
        let Some(version) = self.in_force(connection, at).await? else {
            return Ok(Some(CardDoc { currency: head.currency, ..self.args.new_card() }));
        };
        let path = format!("{}/versions/{version}{}", self.path, self.owner);
        let version: Version = connection.send_patiently(&Call::get(&path)).await?.json()?;
        version.card.map(Some).context("the server showed a version without its prices")
    }

    async fn in_force(&self, connection: &mut Connection, at: Instant) -> anyhow::Result<Option<String>> {
        let mut latest: Option<(Instant, String)> = None;
        let mut cursor = String::new();
        loop {
            let question = if self.owner.is_empty() { "?" } else { "&" };
            let path = format!("{}/versions{}{question}limit=1000{cursor}", self.path, self.owner);
            let page: Versions = connection.send_patiently(&Call::get(&path)).await?.json()?;
            let published = page.data.into_iter().filter_map(|version| version.effective_from.map(|from| (from, version.id)));
            latest = published.filter(|(from, _)| *from <= at).chain(latest).max();
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={}", utf8_percent_encode(&next, NON_ALPHANUMERIC)),
                None => return Ok(latest.map(|(_, id)| id)),
            }
        }
    }

    /// Under a key of its own, so that it may be sent twice.
    async fn post(&self, connection: &mut Connection, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Answer> {
        let key = clock::request_id(&Clock::system());
        connection.send_patiently(&Call::post(path, "application/json", body).keyed(&key)).await
    }

    /// Draft, then publish: until then nobody sees a price of it.
    async fn switch(&self, connection: &mut Connection, card: &CardDoc, at: Instant) -> anyhow::Result<()> {
        let progress = Progress::new("storing and publishing", 0);
        let answer = connection.send_patiently(&Call::get(&format!("{}{}", self.path, self.owner))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let new = json!({ "name": self.args.card, "currency": card.currency, "owner": self.args.owner });
            self.post(connection, "/v1/rate-cards", new.to_string()).await?.ok()?;
        }
        progress.add(1);
        let body = serde_json::to_vec(card)?;
        let path = format!("{}/versions{}", self.path, self.owner);
        let draft: Version = self.post(connection, &path, body).await?.json()?;
        progress.add(1);
        let path = format!("{}/versions/{}/publish{}", self.path, draft.id, self.owner);
        let body = json!({ "effective_from": at }).to_string();
        self.post(connection, &path, body).await?.ok()?;
        Ok(())
    }
}

fn show(args: &Args, preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    if args.json {
        writeln!(out, "{}", serde_json::to_string(preview)?)?;
        return Ok(());
    }
    let Preview { new, changed, increased, decreased, closed, renamed, unchanged, refused, duplicates, .. } = preview;
    writeln!(
        out,
        "{new} new, {changed} changed ({increased} dearer, {decreased} cheaper), {closed} closed, {renamed} renamed, {unchanged} unchanged; {refused} rows refused, {duplicates} said twice"
    )?;
    for change in &preview.samples {
        let price = |price: Option<rating::money::Rate>| price.map_or_else(|| "-".to_owned(), |price| price.to_string());
        let kind = format!("{:?}", change.kind).to_lowercase();
        writeln!(
            out,
            "  {kind:<10} {:<12} {:<32} {:>10} -> {}",
            change.prefix,
            change.destination,
            price(change.old_price),
            price(change.new_price)
        )?;
    }
    for refusal in &preview.refusals {
        let column = if refusal.column.is_empty() { String::new() } else { format!(", {}", refusal.column) };
        writeln!(out, "  refused    line {}{column}: {} ({})", refusal.line, refusal.detail, refusal.code)?;
    }
    if !preview.ignored_columns.is_empty() {
        writeln!(out, "  columns that mean nothing for a price: {}", preview.ignored_columns.join(", "))?;
    }
    Ok(())
}
