//! `centwise import-rates`: lays a rate deck over a card, by the server's own import: the new
//! version is made and published in one step, or nothing changes. With `--out` the same merge makes
//! a card file.

use super::client::{Answer, Call, Connection};
use super::progress::Progress;
use super::session::{Session, Target};
use super::{Ended, counted, not_usable};
use anyhow::{Context, anyhow, bail};
use clock::Clock;
use decks::{Change, Deck, DeckOptions, Import, Mode, Preview};
use formats::input::table::Column;
use formats::input::when::DateForm;
use hyper::StatusCode;
use hyper::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rating::card::CardDoc;
use rating::{Currency, Instant, Quantity};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use web::write::read_json;

/// Import a rate deck (CSV) into a rate card: preview it, then switch in one step
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Name of the rate card, which is created if it does not exist. Not needed with --out
    #[arg(long, value_name = "NAME", required_unless_present = "out")]
    card: Option<String>,
    /// Seller that the rate card belongs to [default: the key's own tenant]
    #[arg(long, value_name = "TENANT")]
    owner: Option<String>,
    /// Origin of the deck; columns are always found by their names
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// How to read the deck: {"columns", "delimiter", "decimal_comma", "per", "initial", "next" …}
    #[arg(long, value_name = "MAP.json")]
    map: Option<PathBuf>,
    /// Column that is irrelevant to the price (repeat for several). Any other unknown column stops
    /// the import
    #[arg(long, value_name = "NAME")]
    ignore_column: Vec<String>,
    /// Lines to skip at the beginning of the file: notes above the column names that are irrelevant
    /// to the price
    #[arg(long, value_name = "N")]
    skip_lines: Option<usize>,
    /// First and following increment for rows that have none, in seconds. Without this option and
    /// without an increment column, existing prefixes keep their increments, and new ones are
    /// billed by the second (1/1)
    #[arg(long, value_name = "FIRST/NEXT", value_parser = increments)]
    increments: Option<(Quantity, Quantity)>,
    /// Currency of a new card [default: EUR], or the currency that an existing card must have
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    /// IANA zone of a new card [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Meter that the prices apply to; it counts seconds
    #[arg(long, default_value = CALL)]
    meter: String,
    /// The deck is the full list: prefixes that are not in it are closed (default)
    #[arg(long)]
    full: bool,
    /// Keep prefixes that are not in the deck
    #[arg(long, conflicts_with = "full")]
    partial: bool,
    /// Import even if rows are refused: their prefixes keep their previous rates
    #[arg(long)]
    skip_refused: bool,
    /// Order of day, month and year in dates
    #[arg(long, value_enum)]
    date_order: Option<DateOrder>,
    /// Time at which the new prices take effect (RFC 3339) [default: now]
    #[arg(long, value_name = "INSTANT")]
    effective_from: Option<Instant>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Write a card file instead of changing a card (no database, no server)
    #[arg(long, value_name = "CARD.json")]
    out: Option<PathBuf>,
    /// Print the preview as one JSON object
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
    let file = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    match &args.out {
        Some(path) => write_card(args, file, path, out),
        None => super::runtime()?.block_on(change_card(args, file, out)),
    }
}

impl Args {
    fn at(&self) -> Instant {
        self.effective_from.unwrap_or_else(|| Clock::system().now())
    }

    /// Of the card that is changed.
    fn card(&self) -> &str {
        self.card.as_deref().unwrap_or_default()
    }

    fn mode(&self) -> Mode {
        if self.partial {
            Mode::Partial
        } else {
            Mode::Full
        }
    }

    fn new_card(&self) -> CardDoc {
        let (currency, zone) = (
            self.currency.unwrap_or(Currency::EUR),
            self.zone.clone().unwrap_or_else(|| "UTC".to_owned()),
        );
        CardDoc {
            currency,
            zone,
            fallback: None,
            meters: BTreeMap::new(),
            rates: Vec::new(),
        }
    }

    /// What the map says, then the format, then the options of the command line.
    fn options(&self, base: &CardDoc) -> anyhow::Result<DeckOptions> {
        let map = self.map.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display()))
        });
        let mut options: DeckOptions = match map.transpose()? {
            Some(map) => read_json(&map).map_err(|refused| not_usable(&refused))?,
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
        options
            .ignore_columns
            .extend(self.ignore_column.iter().cloned().map(Column::Name));
        options.skip_lines = self.skip_lines.unwrap_or(options.skip_lines);
        if let Some((initial, next)) = self.increments {
            (options.initial, options.next) = (Some(initial), Some(next));
        }
        options.zone = Some(base.zone.clone());
        options.currency = Some(base.currency);
        Ok(options)
    }

    fn deck(&self, file: &[u8], base: &CardDoc) -> anyhow::Result<Deck> {
        let read = decks::parse(file, &self.options(base)?);
        read.map_err(|problem| anyhow!("cannot read {}: {}", self.file.display(), problem.detail))
    }

    fn laid_over(&self) -> Import<'_> {
        Import {
            mode: self.mode(),
            meter: &self.meter,
            at: self.at(),
        }
    }

    /// Beside the preview: where that is one JSON object, nothing else stands there.
    fn say(&self, line: &str, out: &mut impl Write) -> anyhow::Result<()> {
        match self.json {
            true => writeln!(std::io::stderr(), "{line}")?,
            false => writeln!(out, "{line}")?,
        }
        Ok(())
    }

    /// A dry run that found rows which would stop the import says so by its exit code.
    fn ended(&self, preview: &Preview) -> Ended {
        if self.dry_run && preview.refused > 0 && !self.skip_refused {
            Ended::Findings
        } else {
            Ended::Well
        }
    }

    /// Refused rows stop an import, unless told otherwise.
    fn check_refused(&self, preview: &Preview) -> anyhow::Result<()> {
        if preview.refused == 0 || self.skip_refused || self.dry_run {
            return Ok(());
        }
        bail!(
            "{} cannot be read, so nothing was imported: fix the rows above, or import the others \
                with --skip-refused (prefixes of refused rows keep their previous rates)",
            rows(preview.refused)
        )
    }
}

/// The one meter that counts seconds on every server.
const CALL: &str = "call";

/// Each thing is let go of when the next is made of it: file, deck, card.
fn write_card(
    args: &Args,
    file: Vec<u8>,
    path: &PathBuf,
    out: &mut impl Write,
) -> anyhow::Result<Ended> {
    if args.meter != CALL {
        bail!(
            "a price list has prices of calls, by the minute, and without a server it is not known \
                what the meter {:?} counts: omit --meter, or import into a card on the server \
                (--card), where the meter must count seconds. Other prices, such as those of \
                messages, are written as a rate card (docs/rate-card.md)",
            args.meter
        );
    }
    let (base, import) = (args.new_card(), args.laid_over());
    let deck = args.deck(&file, &base)?;
    drop(file);
    if args.dry_run {
        let preview = decks::preview(&base, &deck, &import);
        show_and_check(args, &preview, out)?;
        return Ok(args.ended(&preview));
    }
    let (card, preview) = decks::lay_over(&base, &deck, &import);
    drop(deck);
    show_and_check(args, &preview, out)?;
    let mistakes = rating::compile::CompiledCard::compile(&card)
        .err()
        .unwrap_or_default();
    if let Some(first) = mistakes.first() {
        bail!(
            "the deck does not produce a valid card: {} at {}: {}",
            first.code,
            first.path,
            first.message
        );
    }
    write_json(&card, path).with_context(|| format!("cannot write {}", path.display()))?;
    args.say(
        &format!(
            "wrote {} to {}",
            counted(card.rates.len() as u64, "rate"),
            path.display()
        ),
        out,
    )?;
    Ok(Ended::Well)
}

/// Rate by rate, and never as a whole in memory.
fn write_json(card: &CardDoc, path: &PathBuf) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, card)?;
    file.flush()
}

async fn change_card(args: &Args, file: Vec<u8>, out: &mut impl Write) -> anyhow::Result<Ended> {
    let session = Session::open(&args.target).await?;
    let mut connection = session.connect().await?;
    let done = Card::of(args)
        .change(&mut connection, file.into(), out)
        .await;
    drop(connection);
    session.close().await?;
    done
}

/// The card's place in the API.
struct Card<'a> {
    args: &'a Args,
    path: String,
}

#[derive(Debug, Deserialize)]
struct Imported {
    preview: Preview,
    version: Option<Version>,
    /// Where a version begins that was published before.
    effective_until: Option<Instant>,
}

#[derive(Debug, Deserialize)]
struct Version {
    number: i64,
    effective_from: Option<Instant>,
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl<'a> Card<'a> {
    fn of(args: &'a Args) -> Self {
        Self {
            args,
            path: format!("/v1/rate-cards/{}", encode(args.card())),
        }
    }

    async fn change(
        &self,
        connection: &mut Connection,
        file: Bytes,
        out: &mut impl Write,
    ) -> anyhow::Result<Ended> {
        let args = self.args;
        match self.currency(connection).await? {
            Some(currency) if args.currency.is_some_and(|wanted| wanted != currency) => {
                bail!(
                    "the card {} is in {currency}; a deck in another currency needs a card of its \
                        own",
                    args.card()
                )
            }
            Some(_) => {}
            None => {
                // Looked through first, so that a deck that is refused leaves no empty card.
                let base = args.new_card();
                let preview = decks::preview(&base, &args.deck(&file, &base)?, &args.laid_over());
                if args.dry_run || args.check_refused(&preview).is_err() {
                    show_and_check(args, &preview, out)?;
                    args.say("nothing was changed (--dry-run)", out)?;
                    return Ok(args.ended(&preview));
                }
                self.create(connection).await?;
            }
        }
        self.import(connection, file, out).await
    }

    async fn import(
        &self,
        connection: &mut Connection,
        file: Bytes,
        out: &mut impl Write,
    ) -> anyhow::Result<Ended> {
        let (progress, args) = (Progress::waiting("importing"), self.args);
        let mut answer = progress
            .over(self.post_deck(connection, file.clone(), args.dry_run))
            .await?;
        if answer.code() == "invalid_deck" {
            answer = progress
                .over(self.post_deck(connection, file, true))
                .await?;
        }
        let imported: Imported = answer.json()?;
        drop(progress);
        show_and_check(args, &imported.preview, out)?;
        let what = match imported.version {
            Some(Version {
                number,
                effective_from: Some(from),
            }) => {
                args.say(
                    &format!("{} version {number} is in force from {from}", args.card()),
                    out,
                )?;
                Some(format!("version {number} ends"))
            }
            _ if args.dry_run => {
                args.say("nothing was changed (--dry-run)", out)?;
                Some("these prices would end".to_owned())
            }
            _ => {
                args.say("the card already has these prices: nothing to do", out)?;
                None
            }
        };
        if let (Some(what), Some(until)) = (what, imported.effective_until) {
            // A version that is published never changes, and no two begin at one instant.
            let behind = until.plus_secs(1);
            tracing::warn!(
                "{what} at {until}: an already published version without these changes begins \
                    then. Import the deck for that date as well, one second later \
                    (--effective-from {behind})"
            );
        }
        Ok(args.ended(&imported.preview))
    }

    /// `None`: there is no such card.
    async fn currency(&self, connection: &mut Connection) -> anyhow::Result<Option<Currency>> {
        #[derive(Deserialize)]
        struct Head {
            currency: Currency,
        }
        let owner = self
            .args
            .owner
            .as_deref()
            .map(|owner| format!("?owner={}", encode(owner)))
            .unwrap_or_default();
        let answer = connection
            .send_patiently(&Call::get(&format!("{}{owner}", self.path)))
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            Ok(None)
        } else {
            Ok(Some(answer.json::<Head>()?.currency))
        }
    }

    async fn create(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let card = self.args.new_card();
        let new = json!({ "name": self.args.card(), "currency": card.currency, "owner": self.args.owner });
        let key = clock::request_id(&Clock::system());
        let call = Call::post("/v1/rate-cards", "application/json", new.to_string());
        connection.send_patiently(&call.keyed(&key)).await?.ok()?;
        Ok(())
    }

    /// Under a key of its own, so that it may be sent twice.
    async fn post_deck(
        &self,
        connection: &mut Connection,
        file: Bytes,
        preview: bool,
    ) -> anyhow::Result<Answer> {
        let args = self.args;
        let map = serde_json::to_string(&args.options(&args.new_card())?)?;
        let mut query = format!(
            "meter={}&map={}&preview={preview}&skip_refused={}",
            encode(&args.meter),
            encode(&map),
            args.skip_refused
        );
        let mode = if args.mode() == Mode::Partial {
            "partial"
        } else {
            "full"
        };
        let from = args.effective_from.map(|from| from.to_string());
        let (owner, zone) = (args.owner.clone(), args.zone.clone());
        for (name, value) in [
            ("mode", Some(mode.to_owned())),
            ("owner", owner),
            ("zone", zone),
            ("effective_from", from),
        ] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", encode(&value)));
            }
        }
        let path = format!("{}/import?{query}", self.path);
        let key = clock::request_id(&Clock::system());
        connection
            .send_patiently(&Call::post(&path, "text/csv", file).keyed(&key))
            .await
    }
}

fn rows(count: usize) -> String {
    counted(count as u64, "row")
}

/// `60/1`.
fn increments(text: &str) -> Result<(Quantity, Quantity), String> {
    let (first, next) = text.split_once('/').unwrap_or((text, text));
    let seconds = |part: &str| {
        part.trim()
            .parse()
            .ok()
            .filter(|seconds: &Quantity| *seconds > Quantity::ZERO)
    };
    let expected = || "expected seconds, such as 60/60, 30/6 or 1/1".to_owned();
    Ok((
        seconds(first).ok_or_else(expected)?,
        seconds(next).ok_or_else(expected)?,
    ))
}

/// What is wrong is named after what was shown.
fn show_and_check(args: &Args, preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    show(args, preview, out)?;
    out.flush()?;
    args.check_refused(preview)
}

/// What the deck changes of increments, and what it does not say of them.
fn show_increments(preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    let Preview {
        increments_changed,
        increments_kept,
        increments_unsaid,
        ..
    } = preview;
    if *increments_changed > 0 {
        writeln!(
            out,
            "{} with different increments than before (as 60/60 -> 1/1 below)",
            counted(*increments_changed as u64, "prefix")
        )?;
    }
    if *increments_kept > 0 {
        let prefixes = counted(*increments_kept as u64, "prefix");
        writeln!(
            out,
            "the deck has no increments: unchanged for {prefixes} (set others with --increments \
                FIRST/NEXT)"
        )?;
    }
    if *increments_unsaid > 0 {
        writeln!(
            out,
            "the deck has no increments: {} new, billed by the second (1/1; set others with \
                --increments FIRST/NEXT)",
            counted(*increments_unsaid as u64, "prefix")
        )?;
    }
    Ok(())
}

/// What the deck changes beside prices and increments, what it does not say of it, and what it
/// leaves without a price for a time.
fn show_terms(preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    let Preview {
        terms_changed,
        terms_kept,
        blocked,
        opened,
        blocked_kept,
        gaps,
        ..
    } = preview;
    let prefixes = |count: usize| counted(count as u64, "prefix");
    if *terms_changed > 0 {
        writeln!(
            out,
            "{} with different fees, minimums or free time than before (in brackets below)",
            prefixes(*terms_changed)
        )?;
    }
    if *terms_kept > 0 {
        writeln!(
            out,
            "the deck does not cover all fees, minimums and free time: those of {} are unchanged",
            prefixes(*terms_kept)
        )?;
    }
    if *blocked + *opened > 0 {
        writeln!(
            out,
            "newly blocked: {}; unblocked: {}",
            prefixes(*blocked),
            prefixes(*opened)
        )?;
    }
    if *blocked_kept > 0 {
        let prefixes = prefixes(*blocked_kept);
        writeln!(
            out,
            "the deck does not say which prefixes are blocked: still blocked, at the new price: \
                {prefixes} (unblock with a column Blocked or Status)"
        )?;
    }
    if *gaps > 0 {
        writeln!(
            out,
            "{} without a price for some time between other prices (shown below)",
            prefixes(*gaps)
        )?;
    }
    Ok(())
}

/// What of a change is neither price nor increment.
fn beside(change: &Change) -> String {
    let terms = change
        .old_terms
        .iter()
        .zip(&change.new_terms)
        .map(|(old, new)| format!("  ({old} -> {new})"));
    let gap = change
        .gap_from
        .iter()
        .zip(&change.gap_until)
        .map(|(from, until)| format!("  no price from {from} until {until}"));
    terms.chain(gap).collect()
}

/// Which calls a price is for, if not all to its prefix.
fn only_for(change: &Change) -> String {
    let jurisdiction = change.jurisdiction.value().map(|value| format!(" {value}"));
    let origins = Some(&change.origins)
        .filter(|origins| !origins.is_empty())
        .map(|origins| format!(" from {}", origins.join(", ")));
    jurisdiction.into_iter().chain(origins).collect()
}

fn show(args: &Args, preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    if args.json {
        writeln!(out, "{}", serde_json::to_string(preview)?)?;
        return Ok(());
    }
    let Preview {
        new,
        changed,
        increased,
        decreased,
        closed,
        ended,
        spared,
        renamed,
        unchanged,
        refused,
        duplicates,
        ..
    } = preview;
    writeln!(
        out,
        "{new} new, {changed} changed ({increased} increased, {decreased} decreased), {closed} \
            closed, {renamed} renamed, {unchanged} unchanged; {} refused, {duplicates} duplicate",
        rows(*refused)
    )?;
    if *ended > 0 {
        writeln!(
            out,
            "{} already expired and not imported",
            if *ended == 1 {
                "1 price is".to_owned()
            } else {
                format!("{ended} prices are")
            }
        )?;
    }
    if *spared > 0 {
        let spared = counted(*spared as u64, "prefix");
        writeln!(
            out,
            "unchanged although not in the deck: {spared} (refused rows may have meant them)"
        )?;
    }
    show_increments(preview, out)?;
    show_terms(preview, out)?;
    for change in &preview.samples {
        let billed = change
            .old_increments
            .iter()
            .zip(&change.new_increments)
            .map(|(old, new)| format!("  {old} -> {new}"))
            .next();
        let price = |price: Option<rating::money::Rate>| {
            price.map_or_else(|| "-".to_owned(), |price| price.to_string())
        };
        let kind = format!("{:?}", change.kind).to_lowercase();
        writeln!(
            out,
            "  {kind:<10} {:<12} {:<32} {:>10} -> {}{}{}{}",
            change.prefix,
            change.destination,
            price(change.old_price),
            price(change.new_price),
            billed.unwrap_or_default(),
            beside(change),
            only_for(change)
        )?;
    }
    for refusal in &preview.refusals {
        let column = if refusal.column.is_empty() {
            String::new()
        } else {
            format!(", {}", refusal.column)
        };
        writeln!(
            out,
            "  refused    line {}{column}: {} ({})",
            refusal.line, refusal.detail, refusal.code
        )?;
    }
    if preview.refusals.len() < *refused {
        writeln!(
            out,
            "  refused    … and {} more",
            refused - preview.refusals.len()
        )?;
    }
    if !preview.ignored_columns.is_empty() {
        writeln!(
            out,
            "  ignored columns: {}",
            preview.ignored_columns.join(", ")
        )?;
    }
    Ok(())
}
