//! What a row says of a call beside its price, and what it must not say.

use super::{BadCell, Reader};
use crate::columns::seconds_of;
use crate::field::Field;
use crate::increments;
use crate::money::Marks;
use crate::notes::{self, Holds};
use crate::terms::{Beside, Terms};
use crate::words::{self, Status};
use formats::sheet::{Cells, shown, units};
use rating::Quantity;
use rating::money::Rate as Amount;

impl Reader<'_> {
    /// Terms that this deck has and a rate cannot say are refused, not forgotten.
    pub(super) fn check_supported(&self, cells: &Cells) -> Result<(), BadCell> {
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
            Some((index, cell)) if !words::is_outbound(cell) => {
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
    pub(super) fn check_notes(&self, cells: &Cells) -> Result<(), BadCell> {
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

    pub(super) fn check_currency(&self, cells: &Cells) -> Result<(), BadCell> {
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
    pub(super) fn per(&self, cells: &Cells) -> Result<Option<(usize, Quantity)>, BadCell> {
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
    pub(super) fn base_terms(
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
            Some((index, cell)) => increments::seconds(
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
    pub(super) fn increments(&self, cells: &Cells) -> Result<(Quantity, Quantity), BadCell> {
        let read = |field: Field| match self.cell(cells, field) {
            Some((index, cell)) => increments::increments(
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
