//! From the file to rows.

use super::above::{self, Above, LINES_ABOVE_MAX};
use super::columns::{self, Columns};
use super::deck::{Deck, DeckRow, Period, REFUSALS_KEPT, ROWS_MAX, Refusal};
use super::field::Field;
use super::money::{MarksByLine, Notation};
use super::options::DeckOptions;
use super::row::{Reader, Rows};
use formats::input::fields;
use formats::input::table::Column;
use formats::input::when::Clock;
use formats::sheet::{self, Cells, Record, Records, units};
use problem::{Code, Problem};
use rating::Quantity;
use std::collections::HashSet;

/// Reads a deck. An error: the options, a file without columns for prefix and price, columns that
/// are not understood or may mean the same, another currency than the card's, more than
/// [`ROWS_MAX`] rows.
pub fn parse(file: &[u8], options: &DeckOptions) -> Result<Deck, Problem> {
    check_options(options)?;
    if let Some(kind) = sheet::without_rows(file) {
        return Err(Problem::new(
            Code::UnreadableFile,
            format!(
                "the file is {kind}, not rows of text: unpack it or save it as CSV, and send that"
            ),
        ));
    }
    let text = sheet::text_of(file);
    let skipped = text
        .split_inclusive('\n')
        .take(options.skip_lines)
        .map(str::len)
        .sum();
    let delimiter = sheet::delimiter(options.delimiter, text.get(skipped..).unwrap_or_default())?;
    let clock = Clock::new(options.zone.as_deref(), options.date_form)?;
    let notation = Notation::new(options, delimiter);
    let mut records = Records::new(&text, delimiter);
    let mut search = Search {
        options,
        above: Vec::new(),
        nearly: None,
    };
    let skip_lines = u64::try_from(options.skip_lines).unwrap_or(u64::MAX);
    let (columns, line, first) = loop {
        let Some(record) = records.read() else {
            return Err(search.not_found());
        };
        if record.line <= skip_lines {
            continue;
        }
        let line = record.line;
        match search.look_at(&record)? {
            Looked::Title => {}
            Looked::Names(columns) => break (columns, line, None),
            Looked::Row(columns) => break (columns, line, Some(record.cells.clone())),
        }
    };
    columns.check(options)?;
    let Above { increments, from } = above::check(&search.above, line, options, &columns, &clock)?;
    let stated = increments.map(|(initial, next)| DeckOptions {
        initial: Some(initial),
        next: Some(next),
        ..options.clone()
    });
    let mut reader = Reader::new(
        stated.as_ref().unwrap_or(options),
        columns,
        clock,
        notation,
        from,
    );
    if let Some(cells) = &first {
        reader.row(&Record {
            line,
            cells,
            raw: "",
            is_open: false,
        });
    }
    while let Some(record) = records.read() {
        reader.row(&record);
        if reader.deck.rows.len() > ROWS_MAX {
            return Err(Problem::new(
                Code::DeckTooLarge,
                format!("a deck has at most {ROWS_MAX} prefixes"),
            ));
        }
    }
    Ok(finish(reader))
}

/// Lengths of time that are stated: what is wrong with one is named as the map calls it, and not by
/// its place in a card.
fn check_options(options: &DeckOptions) -> Result<(), Problem> {
    let stated = [
        ("per", options.per),
        ("initial", options.initial),
        ("next", options.next),
    ];
    let wrong = stated
        .into_iter()
        .find_map(|(name, value)| Some((name, value.filter(|value| *value <= Quantity::ZERO)?)));
    let expected = |(name, found): (&str, Quantity)| {
        fields::invalid(
            name,
            format_args!("expected more than 0 seconds, such as \"60\"; found {found}"),
        )
    };
    wrong.map_or(Ok(()), |wrong| Err(expected(wrong)))
}

/// Looks for the line of names: the first that has prefix and price; titles may stand above it.
struct Search<'o> {
    options: &'o DeckOptions,
    above: Vec<Cells>,
    /// The line that is the most like titles and names a prefix or a price, and not both.
    nearly: Option<Columns>,
}

enum Looked {
    Title,
    Names(Columns),
    /// There is no line of names: this is a row.
    Row(Columns),
}

/// What a line is where columns are stated by their numbers.
enum ByIndex {
    Row,
    Titles,
    /// A note above the titles.
    Above,
    Unclear,
}

impl Search<'_> {
    fn look_at(&mut self, record: &Record<'_>) -> Result<Looked, Problem> {
        match self.by_index(record.cells) {
            Some(ByIndex::Row) => {
                return Columns::of_indices(record.cells.len(), self.options).map(Looked::Row);
            }
            Some(ByIndex::Unclear) => {
                return Err(columns::unclear_line(
                    record.line,
                    &record.cells.iter().collect::<Vec<_>>(),
                ));
            }
            Some(ByIndex::Above) => return self.above(record),
            Some(ByIndex::Titles) | None => {}
        }
        let columns = Columns::of(&record.cells.iter().collect::<Vec<_>>(), self.options)?;
        if columns.has_what_it_takes() {
            return Ok(Looked::Names(columns));
        }
        if columns.nearness() > self.nearly.as_ref().map_or(0, Columns::nearness) {
            self.nearly = Some(columns);
        }
        self.above(record)
    }

    fn above(&mut self, record: &Record<'_>) -> Result<Looked, Problem> {
        self.above.push(record.cells.clone());
        if self.above.len() > LINES_ABOVE_MAX {
            Err(self.not_found())
        } else {
            Ok(Looked::Title)
        }
    }

    /// Where columns are stated by their numbers. Digits alone where prefixes are begin a row;
    /// words where prefixes and prices are stand in the titles; a line without both is a note. What
    /// is neither (`E.164`; `Rate (6 s)`) is not guessed: it may say a unit.
    fn by_index(&self, cells: &Cells) -> Option<ByIndex> {
        let (columns, headless) = (&self.options.columns, self.options.headless);
        let is_by_index = !columns.is_empty()
            && columns
                .values()
                .all(|column| matches!(column, Column::Index(_)));
        if headless == Some(true) || !is_by_index {
            return headless.filter(|headless| *headless).map(|_| ByIndex::Row);
        }
        let filled = |is_meant: &dyn Fn(Field) -> bool| {
            let meant = columns.iter().filter(|(field, _)| is_meant(**field));
            let texts = meant.filter_map(|(_, column)| {
                if let Column::Index(index) = column {
                    cells.filled(*index)
                } else {
                    None
                }
            });
            texts.collect::<Vec<&str>>()
        };
        let prefixes = filled(&|field| field.is_prefix() || field == Field::CountryCode);
        let prices = filled(&Field::is_price);
        let has_digit = |text: &&str| text.bytes().any(|b| b.is_ascii_digit());
        let reads_as_price = |text: &&str| has_digit(text) && units::split(text.trim()).is_some();
        let has_prefix = prefixes
            .iter()
            .any(|text| has_digit(text) && !text.contains(char::is_alphabetic));
        let is_full = !prefixes.is_empty() && !prices.is_empty();
        Some(match () {
            () if headless == Some(false) => {
                if is_full {
                    ByIndex::Titles
                } else {
                    ByIndex::Above
                }
            }
            () if has_prefix
                || (prefixes.iter().all(|text| sheet::is_nothing(text))
                    && prices.iter().any(reads_as_price)) =>
            {
                ByIndex::Row
            }
            () if !is_full => ByIndex::Above,
            () if prefixes.iter().chain(&prices).any(has_digit) => ByIndex::Unclear,
            () => ByIndex::Titles,
        })
    }

    fn not_found(&self) -> Problem {
        let first: Vec<String> = self
            .above
            .first()
            .map(|cells| cells.iter().map(str::to_owned).collect())
            .unwrap_or_default();
        let is_there = |name: &str| {
            self.above
                .iter()
                .flat_map(Cells::iter)
                .any(|cell| cell.trim().eq_ignore_ascii_case(name.trim()))
        };
        let missing = self
            .options
            .columns
            .values()
            .find_map(|column| match column {
                Column::Name(name) if !is_there(name) => Some(name),
                _ => None,
            });
        match missing {
            Some(name) => columns::stated_not_found(name, &first),
            None => self
                .nearly
                .as_ref()
                .map_or_else(|| columns::not_found(&first), Columns::not_both),
        }
    }
}

fn finish(reader: Reader<'_>) -> Deck {
    let column = reader.price_title();
    let Rows {
        mut deck,
        refused,
        marks,
    } = reader.finish();
    refuse_doubtful(&mut deck, &refused, &marks, &column);
    refuse_contradictions(&mut deck);
    refuse_contradicting_periods(&mut deck);
    spare_what_refused_rows_name(&mut deck);
    deck.refused.sort_by_key(|refusal| refusal.line);
    deck.refused.truncate(REFUSALS_KEPT);
    deck
}

/// A prefix that a refused row names keeps its price, whatever another row says of it.
fn spare_what_refused_rows_name(deck: &mut Deck) {
    let named = std::mem::take(&mut deck.spared.prefixes);
    deck.rows.retain(|row| !named.contains(&row.prefix));
    deck.spared.prefixes = named;
}

/// Prices whose comma or point nothing explains. `known`: lines that are refused anyway, in order.
fn refuse_doubtful(deck: &mut Deck, known: &[u32], marks: &MarksByLine, column: &str) {
    let (lines, refusals) = marks.refused(column);
    let doubted = deck.rows.extract_if(.., |row| lines.contains(&row.line));
    deck.spared.prefixes.extend(doubted.map(|row| row.prefix));
    refusals
        .filter(|refusal| known.binary_search(&refusal.line).is_err())
        .for_each(|refusal| deck.refuse(refusal));
}

/// Rows in order of prefix, jurisdiction, origin and date; of several rows for the same, those that
/// agree are counted, and those that do not are refused: all of them, because none says that it is
/// the right one.
fn refuse_contradictions(deck: &mut Deck) {
    // Out of the deck while it is asked what they say.
    let mut rows = std::mem::take(&mut deck.rows);
    rows.sort_unstable_by(|a, b| order(deck, a).cmp(&order(deck, b)));
    let mut kept = Vec::with_capacity(rows.len());
    let mut rest = rows.as_slice();
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .take_while(|row| are_for_the_same(deck, row, first))
            .count();
        let (same, behind) = rest.split_at(same);
        rest = behind;
        let Some(other) = same.iter().find(|row| !agree(deck, row, first)) else {
            deck.duplicates += same.len() - 1;
            kept.extend((0..same.len()).map(|index| index == 0));
            continue;
        };
        kept.extend(same.iter().map(|_| false));
        deck.spared.prefixes.insert(first.prefix.clone());
        for row in same {
            let detail = format!(
                "lines {} and {} say different things of prefix {} from the same date",
                first.line, other.line, &*first.prefix
            );
            deck.refuse(Refusal {
                line: row.line,
                column: String::new(),
                code: "contradiction".into(),
                detail,
            });
        }
    }
    let mut kept = kept.into_iter();
    rows.retain(|_| kept.next().unwrap_or(true));
    deck.rows = rows;
}

/// Rows of one prefix whose periods contradict each other: all of them are refused. They are in
/// order.
fn refuse_contradicting_periods(deck: &mut Deck) {
    let mut rows = std::mem::take(&mut deck.rows);
    let mut lines = HashSet::new();
    for same in rows.chunk_by(|a, b| {
        (&a.prefix, a.jurisdiction, a.origin) == (&b.prefix, b.jurisdiction, b.origin)
    }) {
        let Some((first, detail)) = closed_and_sold(deck, same).or_else(|| overlapping(deck, same))
        else {
            continue;
        };
        deck.spared.prefixes.insert(first.prefix.clone());
        for row in same
            .iter()
            .filter(|row| lines.insert((row.line, row.prefix.clone(), row.jurisdiction)))
        {
            deck.refuse(Refusal {
                line: row.line,
                column: String::new(),
                code: "contradiction".into(),
                detail: detail.clone(),
            });
        }
    }
    if !lines.is_empty() {
        rows.retain(|row| !lines.contains(&(row.line, row.prefix.clone(), row.jurisdiction)));
    }
    deck.rows = rows;
}

/// A prefix that is deleted without a date, and sold from a date on: its price until then is over
/// by the one row, and stays by what a row with a date means.
fn closed_and_sold<'r>(deck: &Deck, same: &'r [DeckRow]) -> Option<(&'r DeckRow, String)> {
    let period = |row: &DeckRow| deck.period(row);
    let closing = same
        .iter()
        .find(|row| period(row).closes && period(row).from.is_none())?;
    let sold = same.iter().find(|row| !period(row).closes)?;
    let from = period(sold)
        .from
        .map(|from| from.to_string())
        .unwrap_or_default();
    let detail = format!(
        "line {} deletes prefix {} at once, and line {} sells it from {from}: give the deleted \
            row a date, or leave it out if the price before stays until then",
        closing.line, &*closing.prefix, sold.line
    );
    Some((closing, detail))
}

/// A price with an end that another one begins before.
fn overlapping<'r>(deck: &Deck, same: &'r [DeckRow]) -> Option<(&'r DeckRow, String)> {
    same.windows(2).find_map(|pair| {
        let [first, next] = pair else { return None };
        let (before, after) = (deck.period(first), deck.period(next));
        let (until, from) = (
            before.until?,
            after.from.filter(|_| !before.closes && !after.closes)?,
        );
        let detail = || {
            format!(
                "line {} sells prefix {} until {until}, and line {} from {from}: end the first \
                    where the next begins",
                first.line, &*first.prefix, next.line
            )
        };
        (from < until).then(|| (first, detail()))
    })
}

fn order<'d>(deck: &'d Deck, row: &'d DeckRow) -> impl Ord + 'd {
    (
        &row.prefix,
        row.jurisdiction,
        deck.origin(row),
        deck.period(row).from,
        row.line,
    )
}

fn are_for_the_same(deck: &Deck, a: &DeckRow, b: &DeckRow) -> bool {
    (&a.prefix, a.jurisdiction, a.origin) == (&b.prefix, b.jurisdiction, b.origin)
        && deck.period(a).from == deck.period(b).from
}

fn agree(deck: &Deck, a: &DeckRow, b: &DeckRow) -> bool {
    let (one, other): (Period, Period) = (deck.period(a), deck.period(b));
    (one.closes, one.until) == (other.closes, other.until) && (one.closes || a.terms == b.terms)
}
