//! What a line of a file is: the titles, a record, or words that say something of the records
//! behind it.

use super::super::answered::{self, Answered};
use super::super::cdr;
use super::columns::{Column, Place, shown_titles};
use super::{DISPOSITION, Reader};
use crate::input::row::Row;
use crate::sheet::decimal::{self, Mark};
use crate::sheet::duration::{self, DurationForm};
use crate::sheet::{self, Record};
use problem::{Code, Problem};

/// What the first line of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    Titles,
    Record,
    Unclear,
}

pub(super) fn unclear_first(header: &[String]) -> Problem {
    let detail = format!(
        "the first line `{}` may be the titles or a record: say by `headless` which (false: \
            titles, true: a record), and take notes above \
         the titles out of the file",
        shown_titles(header)
    );
    Problem::field(Code::AmbiguousColumn, "headless", detail)
}

/// Of a first line that was taken for a record.
pub(super) fn said_of_titles(mut row: Row) -> Row {
    if let Row::Refused { problem, .. } = &mut row {
        problem
            .detail
            .push_str(" (if this line is that of the titles, say so by `headless`: false)");
    }
    row
}

impl Reader<'_> {
    /// Are all columns stated by their numbers, so that no title of the file is known?
    fn is_by_index(&self) -> bool {
        let by_index = |column: &Column| match column {
            Column::Index(_) => true,
            Column::Name(_) => false,
            Column::Several(all) => all.iter().all(|column| matches!(column, Column::Index(_))),
        };
        !self.map.columns.is_empty()
            && self
                .map
                .columns
                .values()
                .chain(self.map.attributes.values())
                .all(by_index)
    }

    /// Where columns are stated by their numbers a first line with a time or a quantity is a
    /// record, and one of words alone in each of the columns is the titles. What is neither (`Units
    /// (6s)`; a note) is not guessed: its words may say a unit.
    pub(super) fn first_is(&self, record: Option<&Record<'_>>) -> First {
        let Some(record) = record.filter(|_| self.is_by_index() && self.map.headless.is_none())
        else {
            return First::Titles;
        };
        let cells: Vec<_> = self
            .fields
            .iter()
            .map(|(_, place)| place.read(record))
            .collect();
        match self.measures().next().is_some() {
            true if self.has_measure(record) => First::Record,
            true if cells.iter().all(Option::is_some) && self.has_words_alone(record) => {
                First::Titles
            }
            true => First::Unclear,
            false if cells.iter().flatten().any(|text| has_digit(text)) => First::Record,
            false => First::Titles,
        }
    }

    /// A line that is stated to be that of the titles has one for each column that is used; a note
    /// above them has not.
    pub(super) fn check_stated_titles(&self, header: &[String]) -> Result<(), Problem> {
        let is_stated = self.map.headless == Some(false) && self.is_by_index();
        let Some(index) = self
            .used()
            .find(|index| is_stated && header.get(*index).is_none_or(String::is_empty))
        else {
            return Ok(());
        };
        let detail = format!(
            "the first line `{}` is stated to be that of the titles, and has none for column \
                {index}: take notes above the titles out of the \
             file, or name another column by its title",
            shown_titles(header)
        );
        Err(Problem::field(Code::AmbiguousColumn, "headless", detail))
    }

    /// Columns of numbers and times.
    fn measures(&self) -> impl Iterator<Item = (&str, &Place)> {
        let measures = self
            .fields
            .iter()
            .filter(|(name, _)| matches!(*name, "at" | "end" | "quantity" | "amount"));
        measures.map(|(name, place)| (*name, place))
    }

    /// Has it a time, a quantity or an amount that can be read?
    fn has_measure(&self, record: &Record<'_>) -> bool {
        self.measures().any(|(name, place)| {
            place
                .read(record)
                .is_some_and(|text| self.is_measure(name, &text, record))
        })
    }

    fn is_measure(&self, name: &str, text: &str, record: &Record<'_>) -> bool {
        match name {
            "quantity" => {
                let form = self.map.duration_form.unwrap_or_default();
                let is_read = |form| {
                    [Mark::Point, Mark::Comma]
                        .into_iter()
                        .any(|mark| duration::read(text, form, mark).is_ok())
                };
                // `100 ms` may be a duration, whatever is stated, and may be the unit of those
                // behind it.
                if has_letter(text) {
                    self.may_be_timed(record) && is_read(DurationForm::Seconds)
                } else {
                    is_read(form)
                }
            }
            "amount" => [Mark::Point, Mark::Comma]
                .into_iter()
                .any(|mark| decimal::plain(text, mark).is_some()),
            // One that misses its zone is one all the same.
            _ => {
                has_digit(text)
                    && self
                        .clock
                        .moment(name, text)
                        .map_or_else(|problem| problem.code != Code::InvalidField, |_| true)
            }
        }
    }

    /// Are there figures where its times belong, though they may not be read?
    fn may_be_timed(&self, record: &Record<'_>) -> bool {
        let mut times = self
            .measures()
            .filter(|(name, _)| matches!(*name, "at" | "end"));
        times.all(|(_, place)| {
            place.read(record).is_some_and(|text| {
                has_digit(&text) && (!has_letter(&text) || is_mostly_figures(&text))
            })
        })
    }

    /// Titles, or units, in place of numbers and times: not one of them has a digit.
    fn has_words_alone(&self, record: &Record<'_>) -> bool {
        let cells: Vec<_> = self
            .measures()
            .filter_map(|(_, place)| place.read(record))
            .collect();
        cells.iter().any(|text| is_word(text)) && !cells.iter().any(|text| has_digit(text))
    }

    /// Is it no record, but words that may be of the records behind it: units, the titles of
    /// another export, a note? Whatever figures it has, none of them is a time or a number that can
    /// be read.
    pub(super) fn is_of_words(&self, record: &Record<'_>) -> bool {
        let says_answer = || {
            self.value(record, DISPOSITION)
                .is_some_and(|text| answered::of(&text) != Answered::Unknown)
        };
        if self.measures().next().is_none() || says_answer() {
            return false;
        }
        let mut cells = self
            .measures()
            .filter_map(|(name, place)| Some((name, place.read(record)?)));
        // A date that cannot be read is one all the same.
        let is_date =
            |name: &str, text: &str| matches!(name, "at" | "end") && is_mostly_figures(text);
        self.is_note(record)
            || (cells.any(|(name, text)| is_word(&text) && !is_date(name, &text))
                && !self.has_measure(record))
    }

    /// One cell alone, which is neither the number of a call that was not answered nor a time or a
    /// number; or several without a figure, where nothing was measured.
    fn is_note(&self, record: &Record<'_>) -> bool {
        let mut filled = (0..record.cells.len()).filter(|index| record.cell(*index).is_some());
        let (Some(index), None) = (filled.next(), filled.next()) else {
            return self
                .measures()
                .all(|(_, place)| place.read(record).is_none())
                && has_letter(record.raw)
                && !has_digit(record.raw);
        };
        let text = record.cell(index).unwrap_or_default();
        match self
            .fields
            .iter()
            .find(|(_, place)| place.indices().contains(&index))
        {
            Some((name @ ("at" | "end"), _)) => !self.is_measure(name, text, record),
            Some((name @ ("quantity" | "amount"), _)) => {
                has_letter(text) || !self.is_measure(name, text, record)
            }
            Some(("id", _)) => is_word(text) && !is_identity(text),
            _ => is_word(text),
        }
    }

    /// The refusal of such a line.
    pub(super) fn words(&self, record: &Record<'_>) -> Row {
        let shown = sheet::shown(record.raw);
        let what = if self.is_note(record) {
            "is no record"
        } else {
            "has words where the time and the quantity belong"
        };
        let misshapen = self
            .misshapen(record)
            .map_or(String::new(), |why| format!("{why} "));
        let why = format!(
            "{misshapen}{shown} {what}, and may say something of the lines behind it: they are \
                not read; take it out of the file"
        );
        cdr::refused(record, why)
    }

    /// The first line once more, as in files that were put together.
    pub(super) fn is_titles_again(&self, record: &Record<'_>, header: &[String]) -> bool {
        let same = |(index, title): (usize, &String)| {
            record
                .cell(index)
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(title.trim())
        };
        !header.is_empty()
            && self.width.is_some_and(|width| record.cells.len() <= width)
            && header.iter().enumerate().all(same)
    }

    /// A record that stands behind other titles, or units.
    pub(super) fn behind(&self, record: &Record<'_>, line: u64) -> Row {
        match self.row(record) {
            Row::Event { .. } => {
                let shown = sheet::shown(record.raw);
                cdr::refused(
                    record,
                    format!(
                        "{shown} stands behind line {line}, whose words may name other columns or \
                            units"
                    ),
                )
            }
            row => row,
        }
    }
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

/// Of a date and a time of day, and hardly a word.
fn is_mostly_figures(text: &str) -> bool {
    const FIGURES_MIN: usize = 8;
    let figures = text.bytes().filter(u8::is_ascii_digit).count();
    figures >= FIGURES_MIN && figures > text.chars().filter(|c| c.is_alphabetic()).count()
}

fn has_letter(text: &str) -> bool {
    text.contains(char::is_alphabetic)
}

/// Letters, or the sign of a unit.
fn is_word(text: &str) -> bool {
    const SIGNS: [char; 8] = ['%', '‰', '€', '$', '£', '¥', '″', '′'];
    (has_letter(text) && !sheet::is_nothing(text)) || text.contains(SIGNS)
}

/// `1795165644.0`, `t-17`, `6f5902ac-0101-4a0b-9c00-00000000010a`: figures, and not more letters. A
/// unit ends with its letters (`60s`).
fn is_identity(text: &str) -> bool {
    const HEX_DIGITS_MIN: usize = 8;
    let figures = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    let is_hex = || {
        letters().all(|c| c.is_ascii_hexdigit()) && figures + letters().count() >= HEX_DIGITS_MIN
    };
    let ends_in_figure = || {
        text.trim_end_matches(|c: char| !c.is_alphanumeric())
            .ends_with(|c: char| c.is_ascii_digit())
    };
    !text.contains(char::is_whitespace)
        && figures > 1
        && (is_hex() || (ends_in_figure() && figures >= letters().count()))
}
