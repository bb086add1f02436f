//! Which column of a deck means what: by its title ([`super::titles`]), or as stated. A column that
//! is neither known nor stated stops the import, unless it is named as one to ignore: what it says
//! may be part of the price.

use super::field::Field;
use super::names::Fineness;
use super::options::DeckOptions;
use super::{stated, titles};
use formats::input::fields;
use formats::input::table::Column;
use formats::sheet::shown;
use formats::sheet::units::Unit;
use problem::{Code, Problem};
use rating::{Currency, Quantity};

#[derive(Debug, Clone, Copy)]
struct Found {
    field: Field,
    index: usize,
    unit: Unit,
}

/// The columns of one deck.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    found: Vec<Found>,
    /// As the file names them.
    pub titles: Vec<String>,
    /// Beside finer names ([`super::names`]): put before them.
    pub country: Option<usize>,
    /// Of names beside those, not used.
    pub other_names: Vec<usize>,
    /// Understood or named, and not used.
    pub ignored: Vec<String>,
    /// Of those, labels and notes that nobody named: what they say must mean nothing for a price
    /// ([`super::notes`]).
    pub notes: Vec<usize>,
    /// Neither known nor stated.
    unknown: Vec<usize>,
    /// Without a title, and not stated: nothing may stand in them.
    untitled: Vec<usize>,
    /// Stated by titles that the file does not have.
    missing: Vec<String>,
}

impl Columns {
    pub fn index(&self, field: Field) -> Option<usize> {
        self.found
            .iter()
            .find(|found| found.field == field)
            .map(|found| found.index)
    }
    pub fn all(&self, field: Field) -> impl Iterator<Item = usize> + '_ {
        self.found
            .iter()
            .filter(move |found| found.field == field)
            .map(|found| found.index)
    }
    /// The column of prefixes, and how they are written there.
    pub fn prefix(&self) -> Option<(Field, usize)> {
        self.found
            .iter()
            .find(|found| found.field.is_prefix())
            .map(|found| (found.field, found.index))
    }
    fn like(&self, field: Field) -> Option<usize> {
        self.found
            .iter()
            .find(|found| found.field.is_like(field))
            .map(|found| found.index)
    }
    /// The units of the columns of prices.
    pub fn units_of_prices(&self) -> impl Iterator<Item = Unit> + '_ {
        self.found
            .iter()
            .filter(|found| found.field.is_price())
            .map(|found| found.unit)
    }
    /// Of all columns of money.
    pub fn units_of_money(&self) -> impl Iterator<Item = Unit> + '_ {
        self.found
            .iter()
            .filter(|found| found.field.is_money())
            .map(|found| found.unit)
    }
    /// The unit that its title says.
    pub fn unit(&self, index: usize) -> Unit {
        self.found
            .iter()
            .find(|found| found.index == index)
            .map(|found| found.unit)
            .unwrap_or_default()
    }
    pub fn title(&self, index: usize) -> String {
        self.titles
            .get(index)
            .filter(|title| !title.is_empty())
            .cloned()
            .unwrap_or_else(|| format!("column {index}"))
    }
    fn price(&self) -> Option<usize> {
        self.found
            .iter()
            .find(|found| found.field.is_price())
            .map(|found| found.index)
    }
    fn any_prefix(&self) -> Option<usize> {
        self.prefix()
            .map(|(_, index)| index)
            .or(self.index(Field::CountryCode))
    }
    pub fn has_what_it_takes(&self) -> bool {
        self.price().is_some() && self.any_prefix().is_some()
    }
    /// How near it is to a line of titles: how many it has, if a prefix or a price is among them.
    pub fn nearness(&self) -> usize {
        let has_one = self.price().is_some() || self.any_prefix().is_some();
        if has_one {
            self.titles.iter().filter(|title| !title.is_empty()).count()
        } else {
            0
        }
    }
    pub fn has_increments(&self) -> bool {
        [Field::Increments, Field::Initial, Field::Next]
            .iter()
            .any(|field| self.index(*field).is_some())
    }
    pub fn untitled(&self) -> &[usize] {
        &self.untitled
    }

    /// Of a file without a line of titles, by its first row.
    pub fn of_indices(width: usize, options: &DeckOptions) -> Result<Self, Problem> {
        let mut columns = Self {
            titles: vec![String::new(); width],
            ..Self::default()
        };
        for (field, column) in &options.columns {
            let Column::Index(index) = column else {
                return Err(by_index(*field));
            };
            columns.found.push(Found {
                field: *field,
                index: *index,
                unit: Unit::default(),
            });
        }
        columns.check_stated()?;
        let stated = |index: usize| {
            columns.found.iter().any(|found| found.index == index) || options.ignores(index, "")
        };
        let untitled = (0..width).filter(|index| !stated(*index)).collect();
        Ok(Self {
            untitled,
            ..columns
        })
    }

    /// Of a row of names. `Ok` even if prefix or price are not among them: it may be a title line.
    pub fn of(titles: &[&str], options: &DeckOptions) -> Result<Self, Problem> {
        let mut columns = Self {
            titles: titles.iter().map(|title| title.trim().to_owned()).collect(),
            ..Self::default()
        };
        for (field, column) in &options.columns {
            let index = column.index_in(titles).ok_or_else(|| one_column(*field))?;
            if let Column::Name(name) = column {
                columns
                    .missing
                    .extend(index.is_none().then(|| name.clone()));
                stated::check_once(*field, name, titles)?;
            }
            let meant = index.and_then(|index| titles::meaning(titles.get(index)?));
            let title = index.and_then(|index| titles.get(index));
            if let Some(title) =
                title.filter(|_| matches!(field, Field::EffectiveFrom | Field::EffectiveUntil))
            {
                stated::check_dates(*field, title, options)?;
            }
            title.map_or(Ok(()), |title| stated::check_prefixes(*field, title))?;
            let unit = match (meant, title) {
                (Some((_, unit)), _) => unit,
                (None, Some(title)) => stated::unit_of(*field, title, options)?,
                (None, None) => Unit::default(),
            };
            // Stated as prefixes, and by its title those of the North American plan.
            let is_npanxx =
                *field == Field::Prefix && meant.is_some_and(|(field, _)| field == Field::Npanxx);
            let field = if is_npanxx { Field::Npanxx } else { *field };
            columns
                .found
                .extend(index.map(|index| Found { field, index, unit }));
        }
        columns.check_stated()?;
        let mut ambiguous = None;
        for (index, title) in titles.iter().enumerate() {
            if columns.found.iter().any(|found| found.index == index) {
                continue;
            }
            if options.ignores(index, title.trim()) {
                columns.ignored.push(columns.title(index));
                continue;
            }
            match titles::meaning(title) {
                Some((Field::Label, _)) => {
                    columns.ignored.push(columns.title(index));
                    columns.notes.push(index);
                }
                Some((field, _)) if options.columns.keys().any(|stated| stated.is_like(field)) => {
                    columns.ignored.push(columns.title(index))
                }
                Some((Field::Destination, _)) if columns.index(Field::Destination).is_some() => {
                    columns.another_name(index)
                }
                Some((field, _)) if !field.may_repeat() && columns.like(field).is_some() => {
                    ambiguous =
                        ambiguous.or(columns.like(field).map(|first| (field, first, index)));
                }
                Some((field, unit)) => columns.found.push(Found { field, index, unit }),
                None if title.trim().is_empty() => columns.untitled.push(index),
                None => columns.unknown.push(index),
            }
        }
        if !columns.has_what_it_takes() {
            return Ok(columns);
        }
        columns.settle_state();
        columns.settle_increments(&mut ambiguous);
        match ambiguous {
            Some((field, first, second)) => Err(ambiguous_column(
                field,
                &columns.title(first),
                &columns.title(second),
            )),
            None => Ok(columns),
        }
    }

    /// Beside areas of the North American plan, `State` is that of a federation (NY), and says
    /// nothing of the price.
    fn settle_state(&mut self) {
        if self.index(Field::Npanxx).is_none() {
            return;
        }
        let is_state = |found: &Found, titles: &[String]| {
            found.field == Field::Status
                && titles
                    .get(found.index)
                    .is_some_and(|title| title.eq_ignore_ascii_case("state"))
        };
        let Some(at) = self
            .found
            .iter()
            .position(|found| is_state(found, &self.titles))
        else {
            return;
        };
        let index = self.found.remove(at).index;
        self.ignored.push(self.title(index));
        self.notes.push(index);
    }

    /// `Increment` beside `Initial increment` is the next one; beside both it is nobody knows what.
    fn settle_increments(&mut self, ambiguous: &mut Option<(Field, usize, usize)>) {
        let (Some(both), Some(_)) = (
            self.index(Field::Increments),
            self.index(Field::Initial).or(self.index(Field::Next)),
        ) else {
            return;
        };
        match self.index(Field::Next) {
            Some(next) => *ambiguous = ambiguous.or(Some((Field::Next, next, both))),
            None => self
                .found
                .iter_mut()
                .filter(|found| found.field == Field::Increments)
                .for_each(|found| found.field = Field::Next),
        }
    }

    /// A column is stated for one field, and one field has no two.
    fn check_stated(&self) -> Result<(), Problem> {
        for (at, one) in self.found.iter().enumerate() {
            for other in self.found.iter().skip(at + 1) {
                let (first, second) = (one.field.name(), other.field.name());
                if one.index == other.index {
                    let detail = format!(
                        "`{first}` and `{second}` are both {}: a column is one of them",
                        shown(&self.title(one.index))
                    );
                    return Err(Problem::field(Code::AmbiguousColumn, "columns", detail));
                }
                if one.field.is_like(other.field) {
                    let detail = format!(
                        "`{first}` and `{second}` both hold the prefixes: state one of them"
                    );
                    return Err(Problem::field(Code::AmbiguousColumn, "columns", detail));
                }
            }
        }
        Ok(())
    }

    /// The finest stays the name; that of the country is put before it, where it is not a whole one
    /// (`Destination`).
    fn another_name(&mut self, index: usize) {
        let Some(at) = self
            .found
            .iter()
            .position(|found| found.field == Field::Destination)
        else {
            return;
        };
        let taken = self.found[at].index;
        let fineness = |index: usize| Fineness::of(&self.title(index));
        let (finer, other) = if fineness(index) > fineness(taken) {
            (index, taken)
        } else {
            (taken, index)
        };
        let is_of_country = fineness(other) == Fineness::Country
            && fineness(finer) == Fineness::Any
            && self.country.is_none();
        self.found[at].index = finer;
        if is_of_country {
            self.country = Some(other);
        } else {
            self.other_names.push(other);
            self.ignored.push(self.title(other));
        }
    }

    /// Checks what the titles say together with the options and the card.
    pub fn check(&self, options: &DeckOptions) -> Result<(), Problem> {
        self.check_known()?;
        self.check_area()?;
        self.check_exchange()?;
        self.check_units(options)?;
        let Some(card) = options.currency else {
            return Ok(());
        };
        let named = self
            .found
            .iter()
            .filter(|found| found.field.is_money())
            .filter_map(|found| Some((found.index, found.unit.currency?)));
        match named.into_iter().find(|(_, named)| *named != card) {
            Some((index, other)) => Err(foreign(&self.title(index), other, card)),
            None => Ok(()),
        }
    }

    /// The problem of a file whose line of titles names one of prefix and price.
    pub fn not_both(&self) -> Problem {
        let (missing, there) = match self.price() {
            Some(price) => ("prefix", price),
            None => ("price", self.any_prefix().unwrap_or_default()),
        };
        let detail = format!(
            "no line of titles has a {missing} beside {}; the others there are `{}`: say which is \
                the {missing} by --map {{\"columns\":{{\"{missing}\":\"TITLE\"}}}}",
            shown(&self.title(there)),
            self.titles
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != there)
                .map(|(_, title)| title.as_str())
                .collect::<Vec<_>>()
                .join("`, `")
        );
        Problem {
            detail,
            ..fields::missing("columns")
        }
    }

    fn check_known(&self) -> Result<(), Problem> {
        if let Some(name) = self.missing.first() {
            let detail = format!(
                "the file has no column {}; it has `{}`",
                shown(name),
                self.titles.join("`, `")
            );
            return Err(Problem::field(Code::UnknownColumn, "columns", detail));
        }
        let unknown: Vec<String> = self
            .unknown
            .iter()
            .map(|&index| shown(&self.title(index)))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "what {} mean{} for a price is not known, so nothing is read: say it by `columns` \
                (--map), or leave them out by `ignore_columns` (--ignore-column NAME, once for \
                each)",
            unknown.join(", "),
            if unknown.len() == 1 { "s" } else { "" }
        );
        Err(Problem::field(Code::UnknownColumn, "columns", detail))
    }

    /// An area of which country?
    fn check_area(&self) -> Result<(), Problem> {
        let Some(index) = self
            .index(Field::AreaCode)
            .filter(|_| self.index(Field::CountryCode).is_none())
        else {
            return Ok(());
        };
        let detail = format!(
            "{} has area codes, and no column says of which country: state it as `prefix` if it \
                holds whole prefixes such as 4930, or as `npanxx` if they are of the North \
                American plan (--map {{\"columns\":{{\"npanxx\":{index}}}}})",
            shown(&self.title(index))
        );
        Err(Problem::field(Code::AmbiguousColumn, "columns", detail))
    }

    /// An exchange of which area?
    fn check_exchange(&self) -> Result<(), Problem> {
        let is_behind = |index: usize| {
            titles::is_area_alone(&self.title(index))
                || self.titles.get(index).is_none_or(String::is_empty)
        };
        match (self.index(Field::Nxx), self.index(Field::Npanxx)) {
            (None, _) => Ok(()),
            (Some(_), Some(npanxx)) if is_behind(npanxx) => Ok(()),
            (Some(nxx), _) => {
                let detail = format!(
                    "{} has exchanges of the North American plan: state the column of their areas \
                        as `npanxx`",
                    shown(&self.title(nxx))
                );
                Err(Problem::field(Code::AmbiguousColumn, "columns", detail))
            }
        }
    }

    /// A title that says per second where per minute is stated, or a length of money.
    fn check_units(&self, options: &DeckOptions) -> Result<(), Problem> {
        for Found { field, index, unit } in &self.found {
            let title = shown(&self.title(*index));
            let wrong =
                |detail: String| Err(Problem::field(Code::AmbiguousUnit, "columns", detail));
            if let (true, Some(stated), Some(said)) = (field.is_price(), options.per, unit.seconds)
                && stated != said
            {
                return wrong(format!(
                    "{title} is a price for {said} s, and `per` says {stated}: leave one of them \
                        out"
                ));
            }
            if unit.is_minor && options.cents == Some(false) {
                return wrong(format!(
                    "{title} is in cents, and `cents` says it is not: leave one of them out"
                ));
            }
            if (unit.is_of_money() && !field.is_money())
                || (unit.seconds.is_some() && !field.is_price() && !field.is_duration())
            {
                return wrong(format!(
                    "{title} has a unit that {} does not have",
                    field.name()
                ));
            }
        }
        Ok(())
    }
}

/// How a column's durations are counted.
pub fn seconds_of(unit: Unit) -> Quantity {
    unit.seconds.unwrap_or(Quantity::whole(1))
}

pub fn foreign(title: &str, other: Currency, card: Currency) -> Problem {
    Problem::field(
        Code::CurrencyMismatch,
        "currency",
        format!("{} is in {other}, the card is in {card}", shown(title)),
    )
}

fn by_index(field: Field) -> Problem {
    let name = field.name();
    let detail =
        format!("`{name}`: without a line of titles (`headless`) a column is its number from 0");
    Problem::field(Code::InvalidField, format!("columns.{name}"), detail)
}

fn one_column(field: Field) -> Problem {
    let name = field.name();
    Problem::field(
        Code::InvalidField,
        format!("columns.{name}"),
        format!("`{name}`: expected one column, by its title or its number from 0"),
    )
}

fn ambiguous_column(field: Field, first: &str, second: &str) -> Problem {
    let name = field.name();
    let detail =
        format!("`{first}` and `{second}` may both be {name}: say which by `columns` (--map)");
    Problem::field(Code::AmbiguousColumn, name, detail)
}

/// The problem of a line that may be of titles or a row.
pub fn unclear_line(line: u64, cells: &[&str]) -> Problem {
    let detail = format!(
        "line {line} `{}` may be that of the titles or a row: say by `headless` which (--map, \
            false: titles, true: a row)",
        cells.join("`, `")
    );
    Problem::field(Code::AmbiguousColumn, "headless", detail)
}

/// The problem of a file in which no line has a column that was stated.
pub fn stated_not_found(name: &str, first: &[String]) -> Problem {
    let detail = format!(
        "no line has a column {}; the first has `{}`",
        shown(name),
        first.join("`, `")
    );
    Problem::field(Code::UnknownColumn, "columns", detail)
}

/// The problem of a file in which no line names prefix and price.
pub fn not_found(first: &[String]) -> Problem {
    let titles = first.join("`, `");
    let detail = format!(
        "the lines name neither a prefix nor a price; the first has `{titles}`: say which column \
            is which by --map {{\"columns\":{{\"prefix\":0,\"price\":2}}}}, \
            with \"headless\":true if there is no line of titles"
    );
    Problem {
        detail,
        ..fields::missing("columns")
    }
}
