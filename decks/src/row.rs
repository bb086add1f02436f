//! One row of a deck: prefixes, prices, terms, dates.

use super::cells::{self, Bad, Status};
use super::columns::{Columns, Field, seconds_of};
use super::money::{Marks, MarksByLine, Notation, Price};
use super::notes::{self, Holds};
use super::{
    Beside, Deck, DeckOptions, DeckRow, Jurisdiction, NAME_BYTES_MAX, Period, Prefix, Refusal,
    Says, Terms, ValidTo, lists, names, npanxx, titles,
};
use formats::input::when::Clock;
use formats::sheet::{self, Cells, Record, shown, units};
use jiff::tz::TimeZone;
use rating::money::Rate as Amount;
use rating::{Instant, Quantity};
use std::borrow::Cow;

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

    fn prefixes(&self, cells: &Cells) -> Result<Vec<Box<str>>, BadCell> {
        let code = self.cell(cells, Field::CountryCode);
        let column = self.columns.prefix();
        let filled = column.and_then(|(field, index)| Some((field, index, cells.filled(index)?)));
        let (field, index, cell) = match (filled, code) {
            (Some(found), _) => found,
            (None, Some((index, _))) => (Field::AreaCode, index, ""),
            (None, None) => {
                return Err((
                    column.map(|(_, index)| index),
                    ("missing_prefix", "expected a prefix".to_owned()),
                ));
            }
        };
        let code = code.map(|(_, code)| code);
        let read = match (field, code) {
            (Field::Npanxx, Some(code)) if !npanxx::is_country_code(code) => {
                Err(npanxx::not_its_code(code))
            }
            (Field::Npanxx, _) if self.cell(cells, Field::Nxx).is_some() => npanxx::with_exchange(
                cell,
                self.cell(cells, Field::Nxx).map_or("", |(_, nxx)| nxx),
            ),
            (Field::Npanxx, _) => {
                npanxx::prefixes(cell, titles::is_area_alone(&self.columns.title(index)))
            }
            (Field::AreaCode, Some(code)) => cells::areas(cell, code),
            _ => cells::prefixes(cell, code),
        };
        let read = read.and_then(|prefixes| self.check_jurisdiction(cells, prefixes));
        read.map_err(|bad| (Some(index), bad))
    }

    /// Prices by jurisdiction are of the North American plan, whose country code is 1.
    fn check_jurisdiction(
        &self,
        cells: &Cells,
        prefixes: Vec<Box<str>>,
    ) -> Result<Vec<Box<str>>, Bad> {
        let has = |field: Field| self.cell(cells, field).is_some();
        match prefixes.iter().find(|prefix| !prefix.starts_with('1')) {
            Some(other) if has(Field::PriceInterstate) || has(Field::PriceIntrastate) => {
                let detail = format!(
                    "{} has a price by jurisdiction and does not begin with 1: if it is an area \
                        of the North American plan, state its column as `npanxx` (--map)",
                    shown(other)
                );
                Err(("invalid_prefix", detail))
            }
            _ => Ok(prefixes),
        }
    }

    /// Prefixes of the calling number, in order; none: any.
    fn origin(&self, cells: &Cells) -> Result<Vec<String>, BadCell> {
        match self.cell(cells, Field::Origin) {
            None => Ok(Vec::new()),
            Some((_, any)) if ["any", "all", "*"].contains(&any.to_lowercase().as_str()) => {
                Ok(Vec::new())
            }
            Some((index, cell)) => {
                let read = cells::origins(cell).map_err(|(code, detail)| {
                    let expected = format!(
                        "cannot read {}: expected prefixes of the calling number, or `any`",
                        shown(cell)
                    );
                    (
                        Some(index),
                        (
                            code,
                            if code == lists::AMBIGUOUS_PREFIX {
                                detail
                            } else {
                                expected
                            },
                        ),
                    )
                })?;
                let mut origins: Vec<String> = read.into_iter().map(String::from).collect();
                origins.sort_unstable();
                origins.dedup();
                Ok(origins)
            }
        }
    }

    /// A label for people: a long one is cut and says so, and costs no row its price. One that says
    /// something of the price does.
    fn name<'c>(&self, cells: &'c Cells, status: Status) -> Result<Cow<'c, str>, BadCell> {
        let at = |index: Option<usize>| {
            index
                .and_then(|index| cells.filled(index))
                .unwrap_or_default()
        };
        let finest = self.columns.index(Field::Destination);
        for index in finest
            .into_iter()
            .chain(self.columns.country)
            .chain(self.columns.other_names.iter().copied())
        {
            if let Some(word) = names::says_of_price(at(Some(index)), status != Status::Open) {
                return Err((Some(index), names::not_read(at(Some(index)), &word)));
            }
        }
        let name = names::joined(at(self.columns.country), at(finest));
        if name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
            return Ok(name);
        }
        let mut kept: String = name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if kept.len() > NAME_BYTES_MAX {
            kept.truncate(kept.floor_char_boundary(NAME_BYTES_MAX - CUT.len()));
            kept.push_str(CUT);
        }
        Ok(Cow::Owned(kept))
    }

    fn status(&self, cells: &Cells) -> Result<Status, BadCell> {
        let status = match self.cell(cells, Field::Status) {
            Some((index, cell)) => cells::status(cell).map_err(|bad| (Some(index), bad))?,
            None => Status::Open,
        };
        let blocked = match self.cell(cells, Field::Blocked) {
            Some((index, cell)) => cells::flag(cell).map_err(|bad| (Some(index), bad))?,
            None => false,
        };
        Ok(if blocked && status == Status::Open {
            Status::Blocked
        } else {
            status
        })
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
            Field::EffectiveUntil => cells::is_never(cell, true),
            _ => cells::is_never(cell, false) || cells::is_at_once(cell),
        };
        let Some((index, cell)) = self.cell(cells, field).filter(|(_, cell)| !says_none(cell))
        else {
            return Ok(None);
        };
        let read = self.clock.read("date", cell);
        read.map(Some).map_err(|problem| {
            let code = if problem.code == "zone_required" {
                problem.code
            } else {
                "invalid_date"
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

    /// Terms that this deck has and a rate cannot say are refused, not forgotten.
    fn check_supported(&self, cells: &Cells) -> Result<(), BadCell> {
        for index in self.columns.all(Field::Unsupported) {
            let cell = cells.get(index).unwrap_or_default().trim();
            if !cell.bytes().all(|b| matches!(b, b'0' | b'.' | b',')) {
                return Err((
                    Some(index),
                    (
                        "unsupported_term",
                        format!("{}: expected 0: this term is not known here", shown(cell)),
                    ),
                ));
            }
        }
        for &index in self.columns.untitled() {
            if let Some(cell) = cells.filled(index) {
                let detail = format!(
                    "{} stands in a column without a title: say what it means by `columns` \
                        (--map), or leave it out by --ignore-column {index}",
                    shown(cell)
                );
                return Err((Some(index), ("unknown_column", detail)));
            }
        }
        self.check_notes(cells)?;
        self.check_currency(cells)?;
        match self.cell(cells, Field::Direction) {
            Some((index, cell)) if !cells::is_outbound(cell) => {
                let detail = format!(
                    "{}: expected outbound: inbound prices belong to a card of their own",
                    shown(cell)
                );
                Err((Some(index), ("unsupported_direction", detail)))
            }
            _ => Ok(()),
        }
    }

    /// What a note says of the price is not read as part of it.
    fn check_notes(&self, cells: &Cells) -> Result<(), BadCell> {
        let mut notes = self
            .columns
            .notes
            .iter()
            .filter_map(|&index| Some((index, cells.filled(index)?)));
        let unread = |(index, note)| {
            Some((
                index,
                note,
                notes::unread(Holds::of(&self.columns.title(index)), note)?,
            ))
        };
        let Some((index, note, word)) = notes.find_map(unread) else {
            return Ok(());
        };
        let title = self.columns.title(index);
        let which = if word == note {
            String::new()
        } else {
            format!(", by {}", shown(word))
        };
        let detail = format!(
            "{} in a column of notes may say something of the price{which}, which is not read \
                there: if nothing in this column does, leave it out (--ignore-column {}); \
                otherwise state what it means by `columns` (--map)",
            shown(note),
            shown(&title)
        );
        Err((Some(index), ("unread_note", detail)))
    }

    fn check_currency(&self, cells: &Cells) -> Result<(), BadCell> {
        let (Some((index, cell)), Some(card)) =
            (self.cell(cells, Field::Currency), self.options.currency)
        else {
            return Ok(());
        };
        match units::currency(cell) {
            Some(named) if named == card => Ok(()),
            Some(named) => Err((
                Some(index),
                (
                    "currency_mismatch",
                    format!("{} is {named}, the card is in {card}", shown(cell)),
                ),
            )),
            None => Err((
                Some(index),
                (
                    "currency_mismatch",
                    format!(
                        "cannot read {}: expected {card}, the card's currency",
                        shown(cell)
                    ),
                ),
            )),
        }
    }

    /// What a column of units says that the price is for.
    fn per(&self, cells: &Cells) -> Result<Option<(usize, Quantity)>, BadCell> {
        let Some((index, cell)) = self.cell(cells, Field::Unit) else {
            return Ok(None);
        };
        // `EUR/min` of a card in EUR says its unit.
        let is_own = |unit: &units::Unit| {
            !unit.is_minor
                && unit
                    .currency
                    .is_none_or(|named| self.options.currency == Some(named))
        };
        let said = units::of(cell).filter(is_own).and_then(|unit| unit.seconds);
        let said = said.or_else(|| {
            cell.parse()
                .ok()
                .filter(|seconds: &Quantity| *seconds > Quantity::ZERO)
        });
        let expected = || {
            (
                Some(index),
                (
                    "invalid_unit",
                    format!(
                        "cannot read {}: expected minute, second, or a number of seconds",
                        shown(cell)
                    ),
                ),
            )
        };
        said.map(|seconds| Some((index, seconds)))
            .ok_or_else(expected)
    }

    /// Everything but the price.
    fn base_terms(
        &self,
        cells: &Cells,
        status: Status,
        marks: &mut Marks,
    ) -> Result<Terms, BadCell> {
        let (initial, next) = self.increments(cells)?;
        let mut connect_fee = Amount::ZERO;
        for field in [Field::ConnectFee, Field::DisconnectFee] {
            if let Some((index, cell)) = self.cell(cells, field) {
                let fee = self
                    .notation
                    .price(cell, self.columns.unit(index), marks)
                    .map_err(|bad| (Some(index), bad))?;
                let sum = connect_fee
                    .0
                    .checked_add(fee.amount.0)
                    .and_then(|sum| Amount::from_decimal(sum).ok());
                let sum = sum.filter(|_| fee.seconds.is_none());
                connect_fee = sum.ok_or_else(|| {
                    (
                        Some(index),
                        (
                            "invalid_price",
                            format!("{}: expected one sum for the call", shown(cell)),
                        ),
                    )
                })?;
            }
        }
        let seconds = |field: Field| match self.cell(cells, field) {
            Some((index, cell)) => cells::seconds(
                cell,
                seconds_of(self.columns.unit(index)),
                self.notation.mark(),
            )
            .map_err(|bad| (Some(index), bad)),
            None => Ok(Quantity::ZERO),
        };
        Ok(Terms {
            price: Amount::ZERO,
            per: Quantity::ZERO,
            initial,
            next,
            connect_fee,
            minimum_duration: seconds(Field::MinimumDuration)?,
            free_if_shorter_than: seconds(Field::FreeIfShorterThan)?,
            included: seconds(Field::Included)?,
            blocked: status == Status::Blocked,
            beside: Beside::default(),
        })
    }

    /// Initial and following increment. One alone, in a column for both, is both; the first alone
    /// says nothing of the second. 0 stands for "none", as A2Billing writes it.
    fn increments(&self, cells: &Cells) -> Result<(Quantity, Quantity), BadCell> {
        let read = |field: Field| match self.cell(cells, field) {
            Some((index, cell)) => cells::increments(
                cell,
                seconds_of(self.columns.unit(index)),
                self.notation.mark(),
            )
            .map(|(first, second)| Some((index, first, second)))
            .map_err(|bad| (Some(index), bad)),
            None => Ok(None),
        };
        let (both, initial, next) = (
            read(Field::Increments)?,
            read(Field::Initial)?,
            read(Field::Next)?,
        );
        let (mut first, mut following) = (None, None);
        for (field, column) in [
            (Field::Initial, initial),
            (Field::Next, next),
            (Field::Increments, both),
        ] {
            let Some((index, one, second)) = column else {
                continue;
            };
            let (says_first, says_next) = match (field, second) {
                (_, Some(second)) => (Some(one), Some(second)),
                (Field::Next, None) => (None, Some(one)),
                (Field::Initial, None) => (Some(one), None),
                (_, None) => (Some(one), Some(one)),
            };
            for (known, says) in [(&mut first, says_first), (&mut following, says_next)] {
                let says = says.filter(|says| *says != Quantity::ZERO);
                if known.is_some_and(|known: Quantity| says.is_some_and(|says| says != known)) {
                    let detail = format!(
                        "{} contradicts the increment in another column",
                        shown(cells.filled(index).unwrap_or_default())
                    );
                    return Err((Some(index), ("ambiguous_increment", detail)));
                }
                *known = known.or(says);
            }
        }
        if let (Some((index, ..)), Some(first), None, None) = (initial, first, next, following)
            && self.options.next.is_none()
        {
            let detail = format!(
                "{first} is the first increment alone: write {first}/1 or {first}/{first}, or say \
                    the next by `next` (--map)"
            );
            return Err((Some(index), ("missing_increment", detail)));
        }
        let one = Quantity::whole(1);
        // `60/0`, or a column of its own.
        let is_zero =
            |(_, _, second): &(usize, Quantity, Option<Quantity>)| *second == Some(Quantity::ZERO);
        let of_its_own = next.filter(|(_, one, second)| {
            *one == Quantity::ZERO && second.is_none() && self.options.next.is_none()
        });
        let zero = [both, initial, next]
            .into_iter()
            .flatten()
            .find(is_zero)
            .or(of_its_own);
        if let (Some((index, ..)), Some(first), None) =
            (zero, first.filter(|first| *first != one), following)
        {
            let detail = format!(
                "behind a first increment of {first} the next one is 0: write {first}/1 or \
                    {first}/{first}"
            );
            return Err((Some(index), ("missing_increment", detail)));
        }
        let next = following.unwrap_or(self.options.next.unwrap_or(one));
        let initial = first.unwrap_or(if following.is_some() {
            next
        } else {
            self.options.initial.unwrap_or(one)
        });
        Ok((initial, next))
    }
}
