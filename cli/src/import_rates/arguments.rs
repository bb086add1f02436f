//! The options of `import-rates`, and what they say of the deck, of a new card and of the import.

use crate::not_usable;
use crate::session::Target;
use anyhow::{Context, anyhow};
use clock::Clock;
use decks::{Deck, DeckOptions, Import, Mode};
use formats::input::table::Column;
use formats::input::when::DateForm;
use rating::card::CardDoc;
use rating::{Currency, Instant, Quantity};
use std::collections::BTreeMap;
use std::path::PathBuf;
use web::write::read_json;

/// Import a rate deck (CSV) into a rate card: preview it, then switch in one step
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FILE.csv")]
    pub(super) file: PathBuf,
    /// Name of the rate card, which is created if it does not exist. Not needed with --out
    #[arg(long, value_name = "NAME", required_unless_present = "out")]
    card: Option<String>,
    /// Seller that the rate card belongs to [default: the key's own tenant]
    #[arg(long, value_name = "TENANT")]
    pub(super) owner: Option<String>,
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
    pub(super) currency: Option<Currency>,
    /// IANA zone of a new card [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// Meter that the prices apply to; it counts seconds
    #[arg(long, default_value = CALL)]
    pub(super) meter: String,
    /// The deck is the full list: prefixes that are not in it are closed (default)
    #[arg(long)]
    full: bool,
    /// Keep prefixes that are not in the deck
    #[arg(long, conflicts_with = "full")]
    partial: bool,
    /// Import even if rows are refused: their prefixes keep their previous rates
    #[arg(long)]
    pub(super) skip_refused: bool,
    /// Order of day, month and year in dates
    #[arg(long, value_enum)]
    date_order: Option<DateOrder>,
    /// Time at which the new prices take effect (RFC 3339) [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub(super) effective_from: Option<Instant>,
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write a card file instead of changing a card (no database, no server)
    #[arg(long, value_name = "CARD.json")]
    pub(super) out: Option<PathBuf>,
    /// Print the preview as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) target: Target,
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

impl Args {
    fn at(&self) -> Instant {
        self.effective_from.unwrap_or_else(|| Clock::system().now())
    }

    /// Of the card that is changed.
    pub(super) fn card(&self) -> &str {
        self.card.as_deref().unwrap_or_default()
    }

    pub(super) fn mode(&self) -> Mode {
        if self.partial {
            Mode::Partial
        } else {
            Mode::Full
        }
    }

    pub(super) fn new_card(&self) -> CardDoc {
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
    pub(super) fn options(&self, base: &CardDoc) -> anyhow::Result<DeckOptions> {
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

    pub(super) fn deck(&self, file: &[u8], base: &CardDoc) -> anyhow::Result<Deck> {
        let read = decks::parse(file, &self.options(base)?);
        read.map_err(|problem| anyhow!("cannot read {}: {}", self.file.display(), problem.detail))
    }

    pub(super) fn laid_over(&self) -> Import<'_> {
        Import {
            mode: self.mode(),
            meter: &self.meter,
            at: self.at(),
        }
    }
}

/// The one meter that counts seconds on every server.
pub(super) const CALL: &str = "call";

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
