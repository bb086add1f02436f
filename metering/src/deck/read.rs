//! From the file to rows.

use super::cells::{self, Bad, Decimals};
use super::columns::{self, Columns, Field};
use super::{Deck, DeckOptions, DeckRow, Jurisdiction, LINES_ABOVE_MAX, NAME_BYTES_MAX, ROWS_MAX, Refusal, Terms};
use crate::command::Problem;
use crate::input::{cdr, fields, when::Clock};
use rating::money::Rate as Amount;
use rating::{Instant, Quantity};
use std::collections::HashMap;
use std::hash::Hash;

/// Reads a deck. An error: the options, a file without columns for prefix and price, columns that may
/// mean the same, another currency than the card's, more than [`ROWS_MAX`] rows.
pub fn parse(file: &[u8], options: &DeckOptions) -> Result<Deck, Problem> {
    let text = cdr::file_text(file);
    let delimiter = match options.delimiter {
        Some(c) => u8::try_from(c).ok().filter(u8::is_ascii).ok_or_else(|| fields::invalid("delimiter", "expected one ASCII character"))?,
        None => cdr::delimiter_of(&text),
    };
    let clock = Clock::new(options.zone.as_deref(), options.date_form)?;
    let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let mut cells = csv::StringRecord::new();
    let columns = find_columns(&mut csv, &mut cells, options)?;
    columns.check_currency(options.currency)?;
    let decimals = Decimals { comma: options.decimal_comma, comma_free: delimiter != b',', ..Decimals::default() };
    let mut reader = Reader {
        options,
        columns,
        clock,
        decimals,
        deck: Deck::default(),
        names: Intern::default(),
        terms: Intern::default(),
        comma_lines: Vec::new(),
    };
    reader.names.of(String::new());
    // Without a line of names the first line is already a row.
    let mut pending = options.headless;
    loop {
        if !std::mem::take(&mut pending) && !next(&mut csv, &mut cells, &mut reader.deck) {
            break;
        }
        if cells.iter().any(|cell| !cell.trim().is_empty()) {
            reader.row(line_of(&cells), &cells);
        }
        if reader.deck.rows.len() > ROWS_MAX {
            return Err(Problem::new("deck_too_large", format!("a deck has at most {ROWS_MAX} prefixes")));
        }
    }
    Ok(reader.finish())
}

fn line_of(cells: &csv::StringRecord) -> u32 {
    cells.position().map_or(0, |p| u32::try_from(p.line()).unwrap_or(u32::MAX))
}

/// `false`: the end. A row that is no CSV ends the file and is refused.
fn next(csv: &mut csv::Reader<&[u8]>, cells: &mut csv::StringRecord, deck: &mut Deck) -> bool {
    match csv.read_record(cells) {
        Ok(more) => more,
        Err(error) => {
            let line = error.position().map_or(0, |p| u32::try_from(p.line()).unwrap_or(u32::MAX));
            deck.refused.push(Refusal {
                line,
                column: String::new(),
                code: "invalid_row".into(),
                detail: format!("not a CSV row: {error}"),
            });
            deck.spared.any = true;
            false
        }
    }
}

/// The line of names is the first that has prefix and price; titles may stand above it.
fn find_columns(csv: &mut csv::Reader<&[u8]>, cells: &mut csv::StringRecord, options: &DeckOptions) -> Result<Columns, Problem> {
    let mut first = Vec::new();
    for _ in 0..=LINES_ABOVE_MAX {
        if !matches!(csv.read_record(cells), Ok(true)) {
            break;
        }
        let columns = Columns::of(&cells.iter().collect::<Vec<_>>(), options)?;
        if columns.has_what_it_takes() {
            return Ok(columns);
        }
        if first.is_empty() {
            first = columns.titles;
        }
    }
    Err(columns::not_found(&first))
}

/// Equal values once, by number.
#[derive(Debug)]
struct Intern<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Intern<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Hash + Eq + Clone> Intern<T> {
    fn of(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}

struct Reader<'o> {
    options: &'o DeckOptions,
    columns: Columns,
    clock: Clock,
    decimals: Decimals,
    deck: Deck,
    names: Intern<String>,
    terms: Intern<Terms>,
    /// Lines whose prices were read by a decimal comma that nobody stated.
    comma_lines: Vec<u32>,
}

/// Ends a name that was cut.
const CUT: &str = "…";

/// What is wrong with a row, and in which column.
type BadCell = (Option<usize>, Bad);

impl Reader<'_> {
    fn cell<'c>(&self, cells: &'c csv::StringRecord, field: Field) -> Option<(usize, &'c str)> {
        let index = self.columns.index(field)?;
        cells.get(index).map(str::trim).filter(|cell| !cell.is_empty()).map(|cell| (index, cell))
    }

    fn row(&mut self, line: u32, cells: &csv::StringRecord) {
        let had_comma = std::mem::take(&mut self.decimals.seen_comma);
        if let Err((column, (code, detail))) = self.read(line, cells) {
            let column = column.map(|index| self.columns.title(index)).unwrap_or_default();
            self.deck.refused.push(Refusal { line, column, code: code.into(), detail });
            match self.prefixes(cells) {
                Ok(prefixes) if !self.is_shifted(cells) => self.deck.spared.prefixes.extend(prefixes),
                _ => self.deck.spared.any = true,
            }
        }
        if self.decimals.seen_comma {
            self.comma_lines.push(line);
        }
        self.decimals.seen_comma |= had_comma;
    }

    /// More cells than names: a comma that was not quoted moved the others along.
    fn is_shifted(&self, cells: &csv::StringRecord) -> bool {
        let names = if self.options.headless { cells.len() } else { self.columns.titles.len() };
        cells.iter().skip(names).any(|cell| !cell.trim().is_empty())
    }

    fn read(&mut self, line: u32, cells: &csv::StringRecord) -> Result<(), BadCell> {
        if self.is_shifted(cells) {
            return Err((None, ("invalid_row", "more cells than columns: is a comma in a name or price not quoted?".to_owned())));
        }
        let prefixes = self.prefixes(cells)?;
        self.check_supported(cells)?;
        let name = self.name(cells);
        let from = self.date(cells, Field::EffectiveFrom)?;
        let until = self.date(cells, Field::EffectiveUntil)?;
        if let Some(until) = until
            && until <= from.unwrap_or(Instant::MIN)
        {
            let column = self.columns.index(Field::EffectiveUntil);
            return Err((column, ("invalid_date", "expected a later date than the one it begins with".to_owned())));
        }
        let mut priced = Vec::with_capacity(1);
        for (jurisdiction, field) in [
            (Jurisdiction::Any, Field::Price),
            (Jurisdiction::Interstate, Field::PriceInterstate),
            (Jurisdiction::Intrastate, Field::PriceIntrastate),
        ] {
            if let Some((index, cell)) = self.cell(cells, field) {
                priced.push((jurisdiction, self.decimals.price(cell).map_err(|bad| (Some(index), bad))?));
            }
        }
        let base = self.base_terms(cells)?;
        if base.blocked && priced.is_empty() {
            priced.push((Jurisdiction::Any, Amount::ZERO));
        }
        if priced.is_empty() {
            return Err((self.columns.index(Field::Price), ("missing_price", "expected a price".to_owned())));
        }
        let name = self.names.of(name);
        for (jurisdiction, price) in priced {
            let terms = self.terms.of(Terms { price, ..base });
            for prefix in &prefixes {
                let prefix = prefix.clone();
                self.deck.rows.push(DeckRow { line, prefix, jurisdiction, name, terms, effective_from: from, effective_until: until });
            }
        }
        Ok(())
    }

    fn prefixes(&self, cells: &csv::StringRecord) -> Result<Vec<Box<str>>, BadCell> {
        let code = self.cell(cells, Field::CountryCode);
        let (index, cell) = match (self.cell(cells, Field::Prefix), code) {
            (Some(found), _) => found,
            (None, Some((index, _))) => (index, ""),
            (None, None) => return Err((self.columns.index(Field::Prefix), ("missing_prefix", "expected a prefix".to_owned()))),
        };
        cells::prefixes(cell, code.map(|(_, code)| code)).map_err(|bad| (Some(index), bad))
    }

    /// A label for people: a long one is cut and says so, and costs no row its price.
    fn name(&self, cells: &csv::StringRecord) -> String {
        let name = self.cell(cells, Field::Destination).map_or("", |(_, name)| name);
        if name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
            return name.to_owned();
        }
        let mut kept: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if kept.len() > NAME_BYTES_MAX {
            kept.truncate(kept.floor_char_boundary(NAME_BYTES_MAX - CUT.len()));
            kept.push_str(CUT);
        }
        kept
    }

    fn date(&self, cells: &csv::StringRecord, field: Field) -> Result<Option<Instant>, BadCell> {
        let Some((index, cell)) = self.cell(cells, field) else { return Ok(None) };
        let read = self.clock.read("date", cell);
        read.map(Some).map_err(|problem| {
            let code = if problem.code == "zone_required" { problem.code } else { "invalid_date" };
            (Some(index), (code, problem.detail))
        })
    }

    /// Terms that this deck has and a rate cannot say are refused, not forgotten.
    fn check_supported(&self, cells: &csv::StringRecord) -> Result<(), BadCell> {
        for index in self.columns.all(Field::Unsupported) {
            let cell = cells.get(index).unwrap_or_default().trim();
            if cell.bytes().any(|b| matches!(b, b'1'..=b'9')) {
                return Err((Some(index), ("unsupported_term", "expected 0: this term is not known here".to_owned())));
            }
        }
        match self.cell(cells, Field::Direction) {
            Some((index, cell)) if !cell.to_ascii_lowercase().contains("outbound") => {
                Err((Some(index), ("unsupported_direction", "expected outbound: inbound prices belong to a card of their own".to_owned())))
            }
            _ => Ok(()),
        }
    }

    /// Everything but the price.
    fn base_terms(&mut self, cells: &csv::StringRecord) -> Result<Terms, BadCell> {
        let (initial, next) = self.increments(cells)?;
        let mut connect_fee = Amount::ZERO;
        for field in [Field::ConnectFee, Field::DisconnectFee] {
            if let Some((index, cell)) = self.cell(cells, field) {
                let fee = self.decimals.price(cell).map_err(|bad| (Some(index), bad))?;
                let sum = connect_fee.0.checked_add(fee.0).and_then(|sum| Amount::from_decimal(sum).ok());
                connect_fee = sum.ok_or((Some(index), ("invalid_price", "the fees are too large".to_owned())))?;
            }
        }
        let seconds = |field: Field| match self.cell(cells, field) {
            Some((index, cell)) => cells::seconds(cell).map_err(|bad| (Some(index), bad)),
            None => Ok(Quantity::ZERO),
        };
        let blocked = match self.cell(cells, Field::Blocked) {
            Some((index, cell)) => cells::flag(cell).map_err(|bad| (Some(index), bad))?,
            None => false,
        };
        let (minimum_duration, free_if_shorter_than) = (seconds(Field::MinimumDuration)?, seconds(Field::FreeIfShorterThan)?);
        Ok(Terms {
            price: Amount::ZERO,
            per: self.options.per,
            initial,
            next,
            connect_fee,
            minimum_duration,
            free_if_shorter_than,
            blocked,
        })
    }

    /// Initial and following increment; 0 stands for "none", as A2Billing writes it.
    fn increments(&self, cells: &csv::StringRecord) -> Result<(Quantity, Quantity), BadCell> {
        let read = |field: Field| match self.cell(cells, field) {
            Some((index, cell)) => cells::increments(cell).map(Some).map_err(|bad| (Some(index), bad)),
            None => Ok(None),
        };
        let (initial, next) = (read(Field::Initial)?, read(Field::Next)?);
        let (initial, next) = match (initial, next) {
            (_, Some((first, Some(second)))) => (Some(first), Some(second)),
            (Some((first, Some(second))), _) => (Some(first), Some(second)),
            (initial, next) => (initial.map(|(q, _)| q), next.map(|(q, _)| q)),
        };
        let some = |quantity: Option<Quantity>| quantity.filter(|q| *q != Quantity::ZERO);
        let following = some(next).unwrap_or(self.options.next);
        let first = some(initial).unwrap_or(if next.is_some() { following } else { self.options.initial });
        Ok((first, following))
    }

    fn finish(mut self) -> Deck {
        if self.decimals.seen_point && !self.comma_lines.is_empty() {
            self.refuse_commas();
        }
        self.deck.ignored_columns = std::mem::take(&mut self.columns.ignored);
        self.deck.names = self.names.values;
        self.deck.terms = self.terms.values;
        refuse_contradictions(&mut self.deck);
        self.deck
    }

    /// Prices with a point and prices with a comma in one file: what the comma means was not stated.
    fn refuse_commas(&mut self) {
        let column = self.columns.index(Field::Price).map(|index| self.columns.title(index)).unwrap_or_default();
        let doubtful: std::collections::HashSet<u32> = self.comma_lines.iter().copied().collect();
        let doubted = self.deck.rows.extract_if(.., |row| doubtful.contains(&row.line));
        self.deck.spared.prefixes.extend(doubted.map(|row| row.prefix));
        let detail = "the file has prices with a point and with a comma: state which by the decimal comma option";
        let refusals = self.comma_lines.iter().map(|&line| Refusal {
            line,
            column: column.clone(),
            code: "invalid_price".into(),
            detail: detail.to_owned(),
        });
        self.deck.refused.extend(refusals);
    }
}

/// Rows in order of prefix, jurisdiction and date; of several rows for the same, those that agree with
/// the first are counted and those that do not are refused.
fn refuse_contradictions(deck: &mut Deck) {
    deck.rows
        .sort_by(|a, b| (&a.prefix, a.jurisdiction, a.effective_from, a.line).cmp(&(&b.prefix, b.jurisdiction, b.effective_from, b.line)));
    let Deck { rows, refused, duplicates, .. } = deck;
    rows.dedup_by(|row, first| {
        let same = (&row.prefix, row.jurisdiction, row.effective_from) == (&first.prefix, first.jurisdiction, first.effective_from);
        if same && (row.terms, row.effective_until) == (first.terms, first.effective_until) {
            *duplicates += 1;
        } else if same {
            let detail = format!("line {} has another price for prefix {} from the same date", first.line, row.prefix);
            refused.push(Refusal { line: row.line, column: String::new(), code: "contradiction".into(), detail });
        }
        same
    });
    refused.sort_by_key(|refusal| refusal.line);
}
