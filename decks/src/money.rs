//! Prices of a deck: their digits, their currency, their unit.
//!
//! Whether `1,234` is a little more than one or a thousand is stated, or shown by other prices of
//! the file: [`Marks`] gathers what they show. A number that nothing decides is refused.

use super::bad::Bad;
use super::deck::Refusal;
use super::options::DeckOptions;
use formats::sheet::decimal::{self, Mark};
use formats::sheet::shown;
use formats::sheet::units::{self, Unit};
use rating::money::Rate as Amount;
use rating::{Currency, Quantity};
use rust_decimal::Decimal;
use std::collections::HashSet;

const BAD_PRICE: &str = "invalid_price";
const STATE_WHICH: &str = "say which by `decimal_comma` (--map {\"decimal_comma\":true}, or false)";

/// How the numbers of a deck are written.
#[derive(Debug, Clone, Copy)]
pub struct Notation {
    /// As stated.
    comma: Option<bool>,
    /// Cells are separated by something else than commas, so a comma in a price is one of decimals
    /// or groups.
    comma_free: bool,
    card: Option<Currency>,
    cents: Option<bool>,
}

/// A price of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub amount: Amount,
    /// What its cell says it is for.
    pub seconds: Option<Quantity>,
}

impl Notation {
    pub fn new(options: &DeckOptions, delimiter: u8) -> Self {
        Self {
            comma: options.decimal_comma,
            comma_free: delimiter != b',',
            card: options.currency,
            cents: options.cents,
        }
    }

    /// Of numbers that are not money.
    pub fn mark(&self) -> Mark {
        match self.comma {
            Some(true) => Mark::Comma,
            Some(false) => Mark::GroupedPoint,
            None => Mark::Point,
        }
    }

    /// A price in major units, not below zero. `title`: the unit that the column's title says.
    pub fn price(&self, cell: &str, title: Unit, marks: &mut Marks) -> Result<Price, Bad> {
        let expected = || {
            (
                BAD_PRICE,
                format!(
                    "cannot read {}: expected a decimal with at most 12 decimals, such as 0.0125",
                    shown(cell)
                ),
            )
        };
        let (unit, number) = units::split(cell.trim()).ok_or_else(expected)?;
        self.check_currency(cell, unit)?;
        let in_cents = unit.is_minor || title.is_minor || self.cents == Some(true);
        if in_cents && !unit.is_minor && unit.currency.is_some() {
            return Err((
                "ambiguous_unit",
                format!(
                    "{} names a currency in a column of cents: say by `cents` which it is",
                    shown(cell)
                ),
            ));
        }
        let digits = self.digits(cell, number, marks)?;
        let amount = amount(&digits).ok_or_else(expected)?;
        if amount.is_negative() {
            return Err((
                BAD_PRICE,
                format!(
                    "{} is below zero: expected a price of 0 or more",
                    shown(cell)
                ),
            ));
        }
        let amount = if in_cents {
            self.in_major_units(amount).ok_or_else(expected)?
        } else {
            amount
        };
        Ok(Price {
            amount,
            seconds: unit.seconds,
        })
    }

    fn check_currency(&self, cell: &str, unit: Unit) -> Result<(), Bad> {
        match (unit.currency, self.card) {
            (Some(named), Some(card)) if named != card => Err((
                "currency_mismatch",
                format!("{} is in {named}, the card is in {card}", shown(cell)),
            )),
            _ => Ok(()),
        }
    }

    /// The number in digits and a point.
    fn digits(&self, cell: &str, number: &str, marks: &mut Marks) -> Result<String, Bad> {
        let wrong = |detail: &str| (BAD_PRICE, format!("{}: {detail}", shown(cell)));
        if number.contains(['e', 'E']) {
            marks.point |= number.contains('.');
            return Ok(number.to_owned());
        }
        let (comma, point) = (number.contains(','), number.contains('.'));
        let mark = match self.comma {
            Some(true) => Mark::Comma,
            Some(false) => Mark::GroupedPoint,
            None if comma && (point || !self.comma_free) => {
                return Err(wrong(&format!(
                    "a comma may be decimal or not: {STATE_WHICH}"
                )));
            }
            None if comma => Mark::Comma,
            None => Mark::Point,
        };
        if self.comma.is_none() && self.comma_free {
            marks.note(comma, point, decimal::is_doubtful(number));
        }
        let hint = || match self.comma {
            Some(true) if point => {
                "a decimal comma is stated (`decimal_comma`), and a point stands only between \
                    groups of three digits"
            }
            _ => "expected a decimal with at most 12 decimals, such as 0.0125",
        };
        decimal::plain(number, mark)
            .map(|digits| digits.into_owned())
            .ok_or_else(|| wrong(hint()))
    }

    fn in_major_units(&self, amount: Amount) -> Option<Amount> {
        let decimals = self.card.map_or(2, Currency::exponent);
        let major = amount.0.checked_mul(Decimal::new(1, decimals))?;
        if decimals == 0 {
            None
        } else {
            Amount::from_decimal(major.normalize()).ok()
        }
    }
}

/// Plain decimals, and what spreadsheets make of small numbers: `1.5E-05`, exactly.
fn amount(digits: &str) -> Option<Amount> {
    decimal::without_exponent(digits)?.parse().ok()
}

/// What the prices of a file show of its decimals, where nothing is stated and cells are not
/// separated by commas.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    comma: bool,
    point: bool,
    /// A number that can be read in both ways.
    doubtful: bool,
    /// A number with a mark that can be read in one way only.
    clear: bool,
}

impl Marks {
    fn note(&mut self, comma: bool, point: bool, doubtful: bool) {
        self.comma |= comma;
        self.point |= point;
        self.doubtful |= doubtful;
        self.clear |= (comma || point) && !doubtful;
    }
    fn and(self, other: Self) -> Self {
        Self {
            comma: self.comma || other.comma,
            point: self.point || other.point,
            doubtful: self.doubtful || other.doubtful,
            clear: self.clear || other.clear,
        }
    }
}

/// The marks of a whole file, by line.
#[derive(Debug, Default)]
pub struct MarksByLine {
    all: Marks,
    /// Lines with a comma, or with a doubtful number.
    lines: Vec<(u32, Marks)>,
}

impl MarksByLine {
    pub fn note(&mut self, line: u32, marks: Marks) {
        self.all = self.all.and(marks);
        if marks.comma || marks.doubtful {
            self.lines.push((line, marks));
        }
    }

    /// Lines whose prices were read in one of two possible ways, and why they are refused.
    pub fn refused(&self, column: &str) -> (HashSet<u32>, impl Iterator<Item = Refusal>) {
        let Marks {
            comma,
            point,
            clear,
            ..
        } = self.all;
        let is_refused = move |marks: &Marks| match (comma && point, clear) {
            (true, _) => true,
            (false, false) => marks.doubtful,
            (false, true) => false,
        };
        let why = if comma && point {
            format!("the file has prices with a point and with a comma: {STATE_WHICH}")
        } else {
            format!(
                "its comma or point may stand before decimals or between groups of digits: \
                    {STATE_WHICH}"
            )
        };
        let lines: HashSet<u32> = self
            .lines
            .iter()
            .filter(|(_, marks)| is_refused(marks))
            .map(|(line, _)| *line)
            .collect();
        let refusal = move |line| Refusal {
            line,
            column: column.to_owned(),
            code: BAD_PRICE.into(),
            detail: why.clone(),
        };
        let refusals = self
            .lines
            .iter()
            .filter(move |(_, marks)| is_refused(marks))
            .map(|(line, _)| *line)
            .map(refusal);
        (lines, refusals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_money() {
        for (cell, comma, delimiter, want) in [
            ("0.0125", None, b',', "0.0125"),
            ("€ 0.0125", None, b',', "0.0125"),
            ("$ 0.0125", None, b',', "currency_mismatch"),
            ("0.0125 USD", None, b',', "currency_mismatch"),
            ("1.25 ct", None, b',', "0.0125"),
            ("1.25 ct/min", None, b',', "0.0125"),
            (".5", None, b',', "0.5"),
            ("1.5E-05", None, b',', "0.000015"),
            ("0", None, b',', "0"),
            ("0,0125", None, b';', "0.0125"),
            ("0,0125", Some(true), b',', "0.0125"),
            ("1.234,5", Some(true), b',', "1234.5"),
            ("1,234.5", Some(false), b';', "1234.5"),
            ("0,0125", None, b',', "invalid_price"),
            ("0,0125", Some(false), b';', "invalid_price"),
            ("0.0125", Some(true), b';', "invalid_price"),
            ("1,234.5", None, b';', "invalid_price"),
            ("-1", None, b',', "invalid_price"),
            ("n/a", None, b',', "invalid_price"),
            ("0.1234567890123", None, b',', "invalid_price"),
        ] {
            let options = DeckOptions {
                decimal_comma: comma,
                currency: Some(Currency::EUR),
                ..DeckOptions::default()
            };
            let read = Notation::new(&options, delimiter).price(
                cell,
                Unit::default(),
                &mut Marks::default(),
            );
            assert_eq!(
                read.map_or_else(
                    |(code, _)| code.to_owned(),
                    |price| price.amount.to_string()
                ),
                want,
                "{cell}"
            );
        }
    }

    #[test]
    fn what_nothing_decides_is_refused() {
        let refused = |cells: &[&str]| {
            let notation = Notation::new(&DeckOptions::default(), b';');
            let mut all = MarksByLine::default();
            for (cell, line) in cells.iter().zip(1..) {
                let mut marks = Marks::default();
                notation.price(cell, Unit::default(), &mut marks).unwrap();
                all.note(line, marks);
            }
            all.refused("Rate")
                .1
                .map(|refusal| refusal.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(refused(&["1,234", "0,02"]), [0; 0]);
        assert_eq!(refused(&["1.234", "0.02"]), [0; 0]);
        assert_eq!(refused(&["1,234", "2"]), [1]);
        assert_eq!(refused(&["1.234"]), [1]);
        assert_eq!(refused(&["1.234", "0,02", "0.05", "3"]), [1, 2]);
    }
}
