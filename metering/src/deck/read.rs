//! From the file to rows.

use super::columns::{self, Columns, Field};
use super::money::{MarksByLine, Notation};
use super::row::Reader;
use super::{Deck, DeckOptions, LINES_ABOVE_MAX, ROWS_MAX, Refusal, cells};
use crate::command::Problem;
use crate::input::table::Column;
use crate::input::when::Clock;
use crate::sheet::units::Unit;
use crate::sheet::{self, Cells, Record, Records};

/// Reads a deck. An error: the options, a file without columns for prefix and price, columns that are not understood or
/// may mean the same, another currency than the card's, more than [`ROWS_MAX`] rows.
pub fn parse(file: &[u8], options: &DeckOptions) -> Result<Deck, Problem> {
    let text = sheet::text_of(file);
    let delimiter = sheet::delimiter(options.delimiter, &text)?;
    let clock = Clock::new(options.zone.as_deref(), options.date_form)?;
    let notation = Notation::new(options, delimiter);
    let mut records = Records::new(&text, delimiter);
    let mut search = Search { options, notation, above: Vec::new() };
    let columns = loop {
        let Some(record) = records.read() else { return Err(search.not_found()) };
        match search.look_at(&record)? {
            Looked::Title => {}
            Looked::Names(columns) => break (columns, None),
            Looked::Row(columns) => break (columns, Some((record.line, record.cells.clone()))),
        }
    };
    let (columns, first) = columns;
    columns.check(options)?;
    columns::check_above(&search.above, options)?;
    let mut reader = Reader::new(options, columns, clock, notation);
    if let Some((line, cells)) = &first {
        reader.row(&Record { line: *line, cells, raw: "", is_open: false });
    }
    while let Some(record) = records.read() {
        reader.row(&record);
        if reader.deck.rows.len() > ROWS_MAX {
            return Err(Problem::new("deck_too_large", format!("a deck has at most {ROWS_MAX} prefixes")));
        }
    }
    Ok(finish(reader))
}

/// Looks for the line of names: the first that has prefix and price; titles may stand above it.
struct Search<'o> {
    options: &'o DeckOptions,
    notation: Notation,
    above: Vec<Cells>,
}

enum Looked {
    Title,
    Names(Columns),
    /// There is no line of names: this is a row.
    Row(Columns),
}

impl Search<'_> {
    fn look_at(&mut self, record: &Record<'_>) -> Result<Looked, Problem> {
        if self.options.headless || self.is_row(record.cells) {
            return Columns::of_indices(record.cells.len(), self.options).map(Looked::Row);
        }
        let columns = Columns::of(&record.cells.iter().collect::<Vec<_>>(), self.options)?;
        if columns.has_what_it_takes() {
            return Ok(Looked::Names(columns));
        }
        self.above.push(record.cells.clone());
        if self.above.len() > LINES_ABOVE_MAX { Err(self.not_found()) } else { Ok(Looked::Title) }
    }

    /// Columns are stated by their numbers, and a prefix and a price stand where they should.
    fn is_row(&self, cells: &Cells) -> bool {
        let columns = &self.options.columns;
        let by_index = !columns.is_empty() && columns.values().all(|column| matches!(column, Column::Index(_)));
        let cell = |field: Field| match columns.get(&field) {
            Some(Column::Index(index)) => cells.filled(*index),
            _ => None,
        };
        let reads_as_price = |text| self.notation.price(text, Unit::default(), &mut Default::default()).is_ok();
        by_index
            && [Field::Prefix, Field::CountryCode].into_iter().filter_map(cell).any(|text| cells::prefixes(text, None).is_ok())
            && [Field::Price, Field::PriceInterstate, Field::PriceIntrastate].into_iter().filter_map(cell).any(reads_as_price)
    }

    fn not_found(&self) -> Problem {
        let first: Vec<String> = self.above.first().map(|cells| cells.iter().map(str::to_owned).collect()).unwrap_or_default();
        columns::not_found(&first)
    }
}

fn finish(reader: Reader<'_>) -> Deck {
    let column = reader.price_title();
    let (mut deck, marks) = reader.finish();
    refuse_doubtful(&mut deck, &marks, &column);
    refuse_contradictions(&mut deck);
    deck
}

/// Prices whose comma or point nothing explains.
fn refuse_doubtful(deck: &mut Deck, marks: &MarksByLine, column: &str) {
    let (lines, refusals) = marks.refused(column);
    let doubted = deck.rows.extract_if(.., |row| lines.contains(&row.line));
    deck.spared.prefixes.extend(doubted.map(|row| row.prefix));
    let known: Vec<u32> = deck.refused.iter().map(|refusal| refusal.line).collect();
    deck.refused.extend(refusals.into_iter().filter(|refusal| !known.contains(&refusal.line)));
}

/// Rows in order of prefix, jurisdiction, origin and date; of several rows for the same, those that agree with
/// the first are counted and those that do not are refused.
fn refuse_contradictions(deck: &mut Deck) {
    let Deck { rows, refused, duplicates, origins, .. } = deck;
    let origin = |number: u32| origins.get(number as usize);
    rows.sort_by(|a, b| {
        (&a.prefix, a.jurisdiction, origin(a.origin), a.effective_from, a.line).cmp(&(
            &b.prefix,
            b.jurisdiction,
            origin(b.origin),
            b.effective_from,
            b.line,
        ))
    });
    rows.dedup_by(|row, first| {
        let same = (&row.prefix, row.jurisdiction, row.origin, row.effective_from)
            == (&first.prefix, first.jurisdiction, first.origin, first.effective_from);
        if same && (row.closes || row.terms == first.terms) && (row.closes, row.effective_until) == (first.closes, first.effective_until) {
            *duplicates += 1;
        } else if same {
            let detail = format!("line {} has another price for prefix {} from the same date", first.line, row.prefix);
            refused.push(Refusal { line: row.line, column: String::new(), code: "contradiction".into(), detail });
        }
        same
    });
    refused.sort_by_key(|refusal| refusal.line);
}
