//! One record of the file as a usage event, or why it is none.

use super::columns::Place;
use super::{DISPOSITION, Reader};
use crate::UsageEvent;
use crate::input::answered::{self, Answered};
use crate::input::cdr;
use crate::input::fields::{self, DEFAULT_SOURCE, push_attribute};
use crate::input::row::Row;
use crate::input::said;
use crate::input::when::Moment;
use crate::sheet::decimal::{self, Mark};
use crate::sheet::duration::{self, DurationForm};
use crate::sheet::{self, Record, Records};
use compact_str::CompactString;
use problem::{Code, Problem};
use rating::Quantity;
use std::borrow::Cow;

impl Reader<'_> {
    pub(super) fn row(&self, record: &Record<'_>) -> Row {
        if let Some(why) = self.misshapen(record) {
            return cdr::refused(record, why);
        }
        match self
            .not_answered(record)
            .map_or_else(|| self.event(record).map(Ok), |why| why.map(Err))
        {
            Ok(Ok(event)) if self.map.skip_zero && event.quantity == Quantity::ZERO => {
                Row::Skipped {
                    line: record.line,
                    why: "a quantity of 0".to_owned(),
                }
            }
            Ok(Ok(event)) => Row::Event {
                line: record.line,
                event,
            },
            Ok(Err(why)) => Row::Skipped {
                line: record.line,
                why,
            },
            Err(problem) => Row::Refused {
                line: record.line,
                id: self.value(record, "id").unwrap_or_default().into_owned(),
                problem,
            },
        }
    }

    /// As many cells as titles: otherwise a comma that was not quoted moved the others along, or
    /// the line was cut.
    pub(super) fn misshapen(&self, record: &Record<'_>) -> Option<String> {
        let last = self.used().max();
        let names = self
            .width
            .unwrap_or_else(|| last.map_or(0, |last| last + 1));
        let cells = record.cells.len();
        if self.width.is_some() && (names..cells).any(|index| record.cell(index).is_some()) {
            return Some(format!(
                "{cells} cells for {names} columns: is a comma in a cell not quoted?"
            ));
        }
        (cells < names).then(|| format!("{cells} cells for {names} columns: is the line cut?"))
    }

    /// Why the row is no usage, if it is none.
    fn not_answered(&self, record: &Record<'_>) -> Option<Result<String, Problem>> {
        if let Some(text) = self.value(record, DISPOSITION) {
            return match answered::of(&text) {
                Answered::Yes => None,
                Answered::No => Some(Ok(format!("not answered: {text}"))),
                Answered::Unknown => Some(Err(answered::unknown(DISPOSITION, &text))),
            };
        }
        let is_empty = |field: &str| {
            self.fields.iter().any(|(name, _)| *name == field)
                && self.value(record, field).is_none()
        };
        let measured = ["quantity", "end"]
            .into_iter()
            .filter(|field| self.fields.iter().any(|(name, _)| name == field))
            .all(is_empty);
        if is_empty("at") && measured && self.value(record, "amount").is_none() {
            return Some(Ok("not answered: neither begin nor duration".to_owned()));
        }
        is_empty(DISPOSITION).then(|| Err(answered::missing(DISPOSITION)))
    }

    pub(super) fn value<'r>(&'r self, record: &'r Record<'_>, field: &str) -> Option<Cow<'r, str>> {
        let place = self.fields.iter().find(|(name, _)| *name == field);
        let constant = || {
            self.map
                .constants
                .get(field)
                .map(|text| Cow::Borrowed(text.as_str()))
        };
        place
            .and_then(|(_, place)| place.read(record))
            .or_else(constant)
    }

    /// What stands before the decimals of a number; an error: nothing says what its mark is.
    fn mark(&self, field: &str, text: &str) -> Result<Mark, Problem> {
        match self.map.decimal_comma {
            Some(true) => Ok(Mark::Comma),
            None if decimal::is_doubtful(text)
                && (self.delimiter != b',' || self.shows_commas()) =>
            {
                let detail = format!(
                    "`{field}`: {} may be a little more than one or a thousand times that: say by \
                        `decimal_comma` true or false which",
                    sheet::shown(text)
                );
                Err(Problem::field(Code::AmbiguousNumber, field, detail))
            }
            _ => Ok(Mark::Point),
        }
    }

    /// Has another number of the file a decimal comma? Asked only where one is in doubt.
    fn shows_commas(&self) -> bool {
        *self.shows_commas.get_or_init(|| {
            let mut records = Records::new(self.text, self.delimiter);
            let is_comma = |text: &str| {
                decimal::plain(text, Mark::Comma).is_some()
                    && decimal::plain(text, Mark::GroupedPoint).is_none()
            };
            while let Some(record) = records.read() {
                if ["quantity", "amount"].into_iter().any(|field| {
                    self.value(&record, field)
                        .is_some_and(|text| is_comma(&text))
                }) {
                    return true;
                }
            }
            false
        })
    }

    fn amount(&self, record: &Record<'_>) -> Result<Option<rating::money::Rate>, Problem> {
        let Some(text) = self.value(record, "amount") else {
            return Ok(None);
        };
        let mark = self.mark("amount", &text)?;
        let expected = || fields::invalid("amount", duration::number_expected(&text, mark));
        let plain = decimal::plain(&text, mark).ok_or_else(expected)?;
        said::amount(self.map.amount_unit, fields::amount("amount", &plain)?).map(Some)
    }

    /// Its own column, if it has something.
    fn measured(&self, record: &Record<'_>) -> Result<Option<Quantity>, Problem> {
        let Some(text) = self.value(record, "quantity") else {
            return Ok(None);
        };
        // `00:01:23` says its units itself.
        if let (Err(problem), false) = (&self.unit, text.contains(':')) {
            return Err(problem.clone());
        }
        let (form, mark) = (
            self.map.duration_form.unwrap_or_default(),
            self.mark("quantity", &text)?,
        );
        let hint = || match duration::read(&text, DurationForm::Seconds, mark) {
            Ok(_) if form == DurationForm::Number => "; `duration_form`: seconds reads this",
            _ => "",
        };
        let read = duration::read(&text, form, mark)
            .map_err(|detail| fields::invalid("quantity", format_args!("{detail}{}", hint())))?;
        fields::not_negative("quantity", read).map(Some)
    }

    fn moment(&self, field: &str, text: &str) -> Result<Moment, Problem> {
        let moment = self.clock.moment(field, text)?;
        if self.map.whole_days {
            return Ok(moment);
        }
        moment.timed(field, text).map_err(|mut problem| {
            problem.detail.push_str(
                "; where an instant is its day's beginning, say so by `whole_days`: true",
            );
            problem
        })
    }

    /// By its own column, or from the begin to the end: if both are there, they agree.
    fn quantity(&self, record: &Record<'_>, at: Moment) -> Result<Option<Quantity>, Problem> {
        let measured = self.measured(record)?;
        let Some(text) = self.value(record, "end") else {
            return Ok(measured);
        };
        let end = self.moment("end", &text)?;
        if let Some(seconds) = measured {
            let what = cdr::Length {
                seconds,
                field: "quantity",
                may_be_shorter: false,
            };
            return what
                .agrees(at, end, "`at` to `end`")
                .map(|()| Some(seconds));
        }
        if at.again.or(end.again).is_some() {
            let detail = format!(
                "`end`: on the way to {} the clocks are put back or forward, so that the duration \
                    may be an hour off: give a `quantity`, or \
                 both times with their offset, such as +01:00",
                sheet::shown(&text)
            );
            return Err(Problem::field(Code::AmbiguousTime, "end", detail));
        }
        let micros = end.at.micros() - at.at.micros();
        if micros < 0 {
            return Err(fields::invalid(
                "end",
                format_args!("{} is before the begin", sheet::shown(&text)),
            ));
        }
        Ok(Some(Quantity(
            i128::from(micros) * (Quantity::ONE / 1_000_000),
        )))
    }

    /// Is the cell of the number called empty? In a file of several meters others than calls need
    /// none.
    fn says_nobody(&self, record: &Record<'_>) -> bool {
        let has = |field: &str| self.fields.iter().any(|(name, _)| *name == field);
        let is_of_calls = || {
            self.value(record, "meter")
                .is_none_or(|meter| meter.eq_ignore_ascii_case(fields::METER))
        };
        has("destination")
            && self.value(record, "destination").is_none()
            && (!has("meter") || is_of_calls())
    }

    /// An id of several columns: where the first says nothing, the others may be those of many
    /// calls.
    fn check_parts(&self, record: &Record<'_>) -> Result<(), Problem> {
        let several = self
            .fields
            .iter()
            .find(|(name, _)| *name == "id")
            .filter(|(_, place)| matches!(place, Place::Several(..)));
        let first = several.and_then(|(_, place)| place.indices().first());
        let first = first
            .map(|index| record.cell(*index).ok_or_else(|| fields::missing("id")))
            .transpose()?;
        first.map_or(Ok(()), fields::identity)
    }

    fn event(&self, record: &Record<'_>) -> Result<UsageEvent, Problem> {
        let text = |field: &str| self.value(record, field).map(CompactString::from);
        let amount = self.amount(record)?;
        let at = self
            .value(record, "at")
            .ok_or_else(|| fields::missing("at"))?;
        let at = self.moment("at", &at)?;
        let quantity = fields::measure(
            self.quantity(record, at)?,
            amount,
            &self.value(record, "meter").unwrap_or_default(),
        )?;
        let is_no_usage = self.map.skip_zero && quantity == Quantity::ZERO;
        if !is_no_usage && self.says_nobody(record) {
            return Err(fields::nobody_called(""));
        }
        self.check_parts(record)?;
        let mut attributes = Vec::new();
        for (name, index) in &self.attributes {
            if let Some(value) = record.cell(*index) {
                push_attribute(&mut attributes, name, value)?;
            }
        }
        fields::check(UsageEvent {
            id: text("id").unwrap_or_default().into(),
            source: text("source").unwrap_or_else(|| DEFAULT_SOURCE.into()),
            customer: text("customer").unwrap_or_default(),
            meter: text("meter").unwrap_or_default(),
            quantity,
            amount,
            at: at.at,
            destination: text("destination"),
            origin: text("origin"),
            attributes,
            hold: text("hold").map(Into::into),
            raw: Some(record.raw.to_owned()),
        })
    }
}
