//! One row of a deck: prefixes, prices, terms, dates.

mod prefixes;
mod terms;

use super::Prefix;
use super::bad::Bad;
use super::columns::Columns;
use super::deck::{Deck, DeckRow, Period, Refusal, Says};
use super::field::Field;
use super::money::{Marks, MarksByLine, Notation, Price};
use super::options::{DeckOptions, ValidTo};
use super::terms::{Jurisdiction, Terms};
use super::words::{self, Status};
use formats::input::when::Clock;
use formats::sheet::{self, Cells, Record, shown, units};
use jiff::tz::TimeZone;
use problem::Code;
use rating::{Instant, Quantity};

/// Bytes of a destination's name.
pub const NAME_BYTES_MAX: usize = 200;

pub(super) struct Reader<'o> {
    options: &'o DeckOptions,
    columns: Columns,
    clock: Clock,
    notation: Notation,
    /// Of all rows, by a line above the titles.
    from: Option<Instant>,
    pub deck: Deck,
    /// Lines that were refused, in order.
    refused: Vec<u32>,
    marks: MarksByLine,
    /// A line of words, behind which nothing is read.
    words_at: Option<u32>,
}

/// Ends a name that was cut.
const CUT: &str = "…";

/// What is wrong with a row, and in which column.
type BadCell = (Option<usize>, Bad);

/// What is known when all rows are read.
pub(super) struct Rows {
    pub deck: Deck,
    /// Lines that were refused, in order.
    pub refused: Vec<u32>,
    pub marks: MarksByLine,
}

impl<'o> Reader<'o> {
    pub fn new(
        options: &'o DeckOptions,
        columns: Columns,
        clock: Clock,
        notation: Notation,
        from: Option<Instant>,
    ) -> Self {
        let mut deck = Deck::default();
        deck.names.of("");
        deck.origins.of(Vec::new());
        Self {
            options,
            columns,
            clock,
            notation,
            from,
            deck,
            refused: Vec::new(),
            marks: MarksByLine::default(),
            words_at: None,
        }
    }

    pub fn price_title(&self) -> String {
        self.columns
            .index(Field::Price)
            .map(|index| self.columns.title(index))
            .unwrap_or_default()
    }

    pub fn finish(mut self) -> Rows {
        self.deck.says = self.says();
        self.deck.ignored_columns = std::mem::take(&mut self.columns.ignored);
        Rows {
            deck: self.deck,
            refused: self.refused,
            marks: self.marks,
        }
    }

    /// What it has a column of, or what was stated for all rows.
    fn says(&self) -> Says {
        let has = |fields: &[Field]| {
            fields
                .iter()
                .any(|field| self.columns.index(*field).is_some())
        };
        let increments = self.options.initial.is_some() || self.options.next.is_some();
        Says {
            increments: increments || has(&[Field::Increments, Field::Initial, Field::Next]),
            connect_fee: has(&[Field::ConnectFee, Field::DisconnectFee]),
            minimum_duration: has(&[Field::MinimumDuration]),
            free_if_shorter_than: has(&[Field::FreeIfShorterThan]),
            included: has(&[Field::Included]),
            blocked: has(&[Field::Blocked, Field::Status]),
        }
    }

    fn cell<'c>(&self, cells: &'c Cells, field: Field) -> Option<(usize, &'c str)> {
        let index = self.columns.index(field)?;
        cells.filled(index).map(|cell| (index, cell))
    }

    pub fn row(&mut self, record: &Record<'_>) {
        let line = u32::try_from(record.line).unwrap_or(u32::MAX);
        let mut marks = Marks::default();
        if let Err((column, (code, detail))) = self.read(line, record, &mut marks) {
            let column = column
                .map(|index| self.columns.title(index))
                .unwrap_or_default();
            self.deck.refuse(Refusal {
                line,
                column,
                code: code.into(),
                detail,
            });
            self.refused.push(line);
            match self.prefixes(record.cells) {
                Ok(prefixes) if self.check_form(record).is_ok() => {
                    self.deck
                        .spared
                        .prefixes
                        .extend(prefixes.iter().map(|prefix| Prefix::from(&**prefix)));
                }
                _ => self.deck.spared.any = true,
            }
        }
        self.marks.note(line, marks);
    }

    /// As many cells as titles: otherwise a comma that was not quoted moved the others along, or
    /// the line was cut.
    fn check_form(&self, record: &Record<'_>) -> Result<(), BadCell> {
        let (cells, names) = (record.cells, self.columns.titles.len());
        let wrong = |detail: String| Err((None, ("invalid_row", detail)));
        if record.is_open {
            return wrong("a quote is opened and not closed".to_owned());
        }
        if (names..cells.len()).any(|index| cells.filled(index).is_some()) {
            return wrong(format!(
                "{} cells for {names} columns: is a comma in a name or price not quoted?",
                cells.len()
            ));
        }
        if cells.len() < names {
            return wrong(format!(
                "{} cells for {names} columns: is the line cut?",
                cells.len()
            ));
        }
        Ok(())
    }

    /// Titles, or units, where a prefix and a price belong: what is behind them may be of other
    /// columns.
    fn check_behind(&mut self, line: u32, cells: &Cells) -> Result<(), BadCell> {
        if let Some(at) = self.words_at {
            return Err((
                None,
                (
                    "invalid_row",
                    format!(
                        "line {at} has words where a prefix and a price belong: it may name other \
                            columns or units"
                    ),
                ),
            ));
        }
        if self.has_words(cells) {
            self.words_at = Some(line);
        }
        Ok(())
    }

    /// No prefix can be read, and no price either, or one with a unit (`0.01 €`) that is of no
    /// destination.
    fn has_words(&self, cells: &Cells) -> bool {
        let filled = |index: usize| cells.filled(index).map(|text| (index, text));
        let prefix = self
            .columns
            .prefix()
            .and_then(|(_, index)| filled(index))
            .or_else(|| filled(self.columns.index(Field::CountryCode)?));
        let is_plain = |(_, text): (usize, &str)| text.bytes().all(|b| b.is_ascii_digit());
        if prefix.is_some_and(is_plain) || self.prefixes(cells).is_ok() {
            return false;
        }
        let prices = || self.priced_fields().filter_map(|(_, index)| filled(index));
        let is_word = |(_, text): (usize, &str)| {
            text.contains(|c: char| c.is_alphabetic() || "$€£¥¢".contains(c))
                && !sheet::is_nothing(text)
        };
        let is_title = |(index, text): (usize, &str)| {
            self.columns
                .titles
                .get(index)
                .is_some_and(|title| title.eq_ignore_ascii_case(text.trim()))
        };
        let is_price = |(_, text): (usize, &str)| units::split(text.trim()).is_some();
        let is_unit = prefix.is_none()
            && self.cell(cells, Field::Destination).is_none()
            && prices().any(is_word);
        let are_words = prices().next().is_some()
            && !prices().any(is_price)
            && prices().chain(prefix).any(is_word);
        (is_unit || are_words) && !prices().all(is_title)
    }

    fn read(&mut self, line: u32, record: &Record<'_>, marks: &mut Marks) -> Result<(), BadCell> {
        self.check_behind(line, record.cells)?;
        self.check_form(record)?;
        let cells = record.cells;
        let prefixes = self.prefixes(cells)?;
        self.check_supported(cells)?;
        let status = self.status(cells)?;
        let period = self.period(cells, status)?;
        let origin = self.origin(cells)?;
        let per = self.per(cells)?;
        let name = self.name(cells, status)?;
        let priced = if period.closes {
            self.closed()
        } else {
            self.prices(cells, per, status, marks)?
        };
        let (name, origin, period) = (
            self.deck.names.of(&name),
            self.deck.origins.of(origin),
            self.deck.periods.of(period),
        );
        for (jurisdiction, terms) in priced {
            let terms = self.deck.terms.of(terms);
            let row = |prefix: &str| DeckRow {
                prefix: Prefix::from(prefix),
                line,
                origin,
                name,
                terms,
                period,
                jurisdiction,
            };
            self.deck
                .rows
                .extend(prefixes.iter().map(|prefix| row(prefix)));
        }
        Ok(())
    }

    /// The price columns that the deck has.
    fn priced_fields(&self) -> impl Iterator<Item = (Jurisdiction, usize)> + '_ {
        let fields = [
            (Jurisdiction::Any, Field::Price),
            (Jurisdiction::Interstate, Field::PriceInterstate),
            (Jurisdiction::Intrastate, Field::PriceIntrastate),
        ];
        fields
            .into_iter()
            .filter_map(|(jurisdiction, field)| Some((jurisdiction, self.columns.index(field)?)))
    }

    fn closed(&self) -> Vec<(Jurisdiction, Terms)> {
        self.priced_fields()
            .map(|(jurisdiction, _)| (jurisdiction, Terms::default()))
            .collect()
    }

    fn prices(
        &self,
        cells: &Cells,
        per: Option<(usize, Quantity)>,
        status: Status,
        marks: &mut Marks,
    ) -> Result<Vec<(Jurisdiction, Terms)>, BadCell> {
        let base = self.base_terms(cells, status, marks)?;
        let mut priced = Vec::with_capacity(1);
        for (jurisdiction, index) in self.priced_fields() {
            let Some(cell) = cells.filled(index) else {
                continue;
            };
            let title = self.columns.unit(index);
            let Price {
                amount: price,
                seconds,
            } = self
                .notation
                .price(cell, title, marks)
                .map_err(|bad| (Some(index), bad))?;
            let said = [
                seconds,
                title.seconds,
                per.map(|(_, per)| per),
                self.options.per,
            ];
            let mut said = said.into_iter().flatten();
            let first = said.next().unwrap_or(Quantity::whole(60));
            if let Some(other) = said.find(|other| *other != first) {
                let detail = format!(
                    "{} is for {first} s, and its title, its unit or `per` says {other}",
                    shown(cell)
                );
                return Err((Some(index), ("ambiguous_unit", detail)));
            }
            priced.push((
                jurisdiction,
                Terms {
                    price,
                    per: first,
                    ..base
                },
            ));
        }
        match (priced.is_empty(), base.blocked) {
            (true, true) => Ok(vec![(
                Jurisdiction::Any,
                Terms {
                    per: Quantity::whole(60),
                    ..base
                },
            )]),
            (true, false) => Err((
                self.columns.index(Field::Price),
                ("missing_price", "expected a price".to_owned()),
            )),
            (false, _) => Ok(priced),
        }
    }

    /// Of a prefix that is not sold any more: from when.
    fn period(&self, cells: &Cells, status: Status) -> Result<Period, BadCell> {
        let from = self.date(cells, Field::EffectiveFrom)?.or(self.from);
        let until = self.until(cells)?;
        if status == Status::Deleted {
            return Ok(Period {
                from: from.or(until),
                until: None,
                closes: true,
            });
        }
        if let Some(until) = until
            && until <= from.unwrap_or(Instant::MIN)
        {
            let column = self.columns.index(Field::EffectiveUntil);
            return Err((
                column,
                (
                    "invalid_date",
                    "expected a later date than the one it begins with".to_owned(),
                ),
            ));
        }
        Ok(Period {
            from,
            until,
            closes: false,
        })
    }

    fn date(&self, cells: &Cells, field: Field) -> Result<Option<Instant>, BadCell> {
        let says_none = |cell: &str| match field {
            Field::EffectiveUntil => words::is_never(cell, true),
            _ => words::is_never(cell, false) || words::is_at_once(cell),
        };
        let Some((index, cell)) = self.cell(cells, field).filter(|(_, cell)| !says_none(cell))
        else {
            return Ok(None);
        };
        let read = self.clock.read("date", cell);
        read.map(Some).map_err(|problem| {
            let code = match problem.code {
                Code::ZoneRequired => problem.code.as_str(),
                _ => "invalid_date",
            };
            (Some(index), (code, problem.detail))
        })
    }

    /// A date alone is the last day, to its end; so is its last minute or second. Midnight may be
    /// how a day is written, or the instant at which the price ends.
    fn until(&self, cells: &Cells) -> Result<Option<Instant>, BadCell> {
        let Some(read) = self.date(cells, Field::EffectiveUntil)? else {
            return Ok(None);
        };
        let (index, cell) = self
            .cell(cells, Field::EffectiveUntil)
            .map_or((0, ""), |(index, cell)| (index, cell.trim()));
        let is_compact = cell.len() == 8 && cell.bytes().all(|b| b.is_ascii_digit());
        let is_alone = is_compact
            || self
                .clock
                .read("date", &format!("{cell} 00:00:01"))
                .is_ok_and(|later| later == read.plus_secs(1));
        let time = self
            .clock
            .zone
            .as_ref()
            .map(|zone| read.timestamp().to_zoned(zone.clone()).time());
        let is_midnight =
            !is_alone && time.is_some_and(|time| time == jiff::civil::Time::midnight());
        if is_midnight && self.options.valid_to.is_none() {
            let detail = format!(
                "{} may be the last day, or the instant at which the price ends: say which by \
                    `valid_to` (day or instant, --map)",
                shown(cell)
            );
            return Err((Some(index), ("ambiguous_date", detail)));
        }
        let is_last_minute = time.is_some_and(|time| time.hour() == 23 && time.minute() == 59);
        let is_day = match self.options.valid_to {
            Some(ValidTo::Instant) => false,
            Some(ValidTo::Day) => is_alone || is_last_minute || is_midnight,
            None => is_alone || is_last_minute,
        };
        let next_day = |zone: &TimeZone| {
            let day = read
                .timestamp()
                .to_zoned(zone.clone())
                .date()
                .tomorrow()
                .ok()?;
            Instant::from_micros(
                day.to_zoned(zone.clone())
                    .ok()?
                    .timestamp()
                    .as_microsecond(),
            )
        };
        Ok(self
            .clock
            .zone
            .as_ref()
            .filter(|_| is_day)
            .and_then(next_day)
            .or(Some(read)))
    }
}
