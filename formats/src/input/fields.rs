//! The checks that every format shares: limits and the meaning of each field of an event.
//! Each refusal names the field, what was expected and a stable code.

use super::called;
use crate::sheet::{decimal, shown};
use crate::{UsageEvent, numbers};
use compact_str::CompactString;
use problem::{Code, Problem};
use rating::money::Rate as Amount;
use rating::{Instant, Quantity};
use std::borrow::Cow;

/// Characters of an id, a customer's id or a hold.
pub const ID_CHARS_MAX: usize = 255;
/// Characters of a source or a meter's name.
pub const NAME_CHARS_MAX: usize = 128;
/// Characters of a destination or origin.
pub const NUMBER_CHARS_MAX: usize = 64;
pub const ATTRIBUTES_MAX: usize = 32;
pub const ATTRIBUTE_NAME_CHARS_MAX: usize = 64;
pub const ATTRIBUTE_VALUE_CHARS_MAX: usize = 256;

/// The source of events that name none.
pub const DEFAULT_SOURCE: &str = "default";

fn longer_than(text: &str, chars: usize) -> bool {
    text.len() > chars && text.chars().count() > chars
}

fn has_control(text: &str) -> bool {
    // Bytes 0x00–0x1f and 0x7f; the C1 controls begin with byte 0xc2 in UTF-8.
    text.bytes().any(|b| b < 0x20 || b == 0x7f || b == 0xc2) && text.chars().any(char::is_control)
}

pub fn missing(field: &str) -> Problem {
    Problem::field(Code::MissingField, field, format!("`{field}` is missing"))
}

pub fn invalid(field: &str, expected: impl std::fmt::Display) -> Problem {
    Problem::field(Code::InvalidField, field, format!("`{field}`: {expected}"))
}

/// 1 to `chars_max` characters without control characters.
pub fn text<'a>(field: &str, value: &'a str, chars_max: usize) -> Result<&'a str, Problem> {
    if value.is_empty() || longer_than(value, chars_max) || has_control(value) {
        return Err(invalid(
            field,
            format_args!("expected 1 to {chars_max} characters without control characters"),
        ));
    }
    Ok(value)
}

/// The identity of what is reported: one that says nothing, or that has lost its digits, is that of
/// many.
pub fn identity(value: &str) -> Result<(), Problem> {
    if called::has_lost_digits(value) {
        return Err(lost_digits(value));
    }
    if called::is_no_id(value) {
        Err(says_nothing(value))
    } else {
        Ok(())
    }
}

fn says_nothing(value: &str) -> Problem {
    invalid(
        "id",
        format_args!(
            "{} says nothing: expected what tells the event from all others",
            shown(value)
        ),
    )
}

fn lost_digits(value: &str) -> Problem {
    let detail = format_args!(
        "{} has lost its digits, as in a spreadsheet: others would have the same id; export its \
            column as text",
        shown(value)
    );
    invalid("id", detail)
}

/// Of several columns, or of those of a switch: no part of it has lost what it said.
fn identity_of_parts(value: &str) -> Result<(), Problem> {
    let parts = || value.split(':');
    if let Some(part) =
        parts().find(|part| called::has_lost_digits(part) || called::is_spoilt(part))
    {
        return Err(lost_digits(part));
    }
    if parts().all(called::is_no_id) {
        Err(says_nothing(value))
    } else {
        identity(value)
    }
}

/// That nobody is said to have been called.
pub fn nobody_called(value: &str) -> Problem {
    let what = if value.trim().is_empty() {
        "it is empty".to_owned()
    } else {
        format!("{} says nothing", shown(value))
    };
    let detail = format!(
        "`destination`: {what}: whom it called is not known; send the number. Where there is \
            none, leave the field or the column out, or \
         give such rows what the switch writes, such as s or voicemail (in a map of columns by \
         `constants`)"
    );
    Problem::field(Code::MissingField, "destination", detail)
}

/// A number called: what holds none is a name of a switch's own, or an address.
fn check_called(value: &str) -> Result<(), Problem> {
    let digits = value.strip_prefix('+').unwrap_or(value);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    if called::is_nothing(value) {
        return Err(nobody_called(value));
    }
    if called::is_internal(value) {
        return Ok(());
    }
    let detail = format!(
        "`destination`: {} is no number: send the one that was called, such as +4930123456 (an \
            internal destination is an address, such as \
         sip:alice@pbx.example, or what switches write, such as voicemail, queue-sales or \
         conf-12; a name of a place may be an attribute)",
        shown(value)
    );
    Err(Problem::field(Code::InvalidNumber, "destination", detail))
}

/// A destination or origin; an origin that is empty is none.
pub fn number(field: &str, value: &str) -> Result<Option<CompactString>, Problem> {
    if field == "destination"
        && let Some(prefix) = numbers::technical_prefix(value)
    {
        let detail = format!(
            "`destination`: {} has the technical prefix {} before the number: send the number \
                without it",
            shown(value),
            shown(prefix)
        );
        return Err(Problem::field(Code::TechnicalPrefix, field, detail));
    }
    if field == "destination" && numbers::is_garbled(value) {
        let detail = format!(
            "`destination`: {} means a number and is not wholly understood: send it as \
                +4930123456 (what is no number is a name with a few \
             figures, such as conf-12, or a switch's own code, such as *98)",
            shown(value)
        );
        return Err(Problem::field(Code::InvalidNumber, field, detail));
    }
    if value.is_empty() {
        return if field == "destination" {
            Err(nobody_called(value))
        } else {
            Ok(None)
        };
    }
    let value = text(field, value, NUMBER_CHARS_MAX)?;
    if field == "destination" {
        check_called(value)?;
    }
    Ok(Some(value.into()))
}

/// A quantity in the meter's unit; below zero is refused (a void or correction makes its own).
pub fn quantity(field: &str, value: &str) -> Result<Quantity, Problem> {
    let refused = |why: &dyn std::fmt::Display| {
        invalid(field, format_args!("cannot read {}: {why}", shown(value)))
    };
    let plain = match decimal::without_exponent(value) {
        Some(plain) => plain,
        None if decimal::has_exponent(value) => {
            return Err(refused(
                &"expected at most 15 digits before the point and 9 decimals",
            ));
        }
        None => Cow::Borrowed(value),
    };
    not_negative(
        field,
        plain
            .parse()
            .map_err(|wrong: rating::quantity::BadQuantity| refused(&wrong))?,
    )
}

pub fn not_negative(field: &str, quantity: Quantity) -> Result<Quantity, Problem> {
    if quantity.is_negative() {
        Err(below_zero(Code::NegativeQuantity, field, &quantity))
    } else {
        Ok(quantity)
    }
}

/// An amount in major units, not below zero.
pub fn amount(field: &str, value: &str) -> Result<Amount, Problem> {
    let plain = decimal::without_exponent(value).unwrap_or(Cow::Borrowed(value));
    let amount: Amount = plain
        .parse()
        .map_err(|e| invalid(field, format_args!("cannot read {}: {e}", shown(value))))?;
    if amount.is_negative() {
        Err(below_zero(Code::NegativeAmount, field, &amount))
    } else {
        Ok(amount)
    }
}

fn below_zero(code: Code, field: &str, found: &dyn std::fmt::Display) -> Problem {
    let detail = format!(
        "`{field}`: {found} is below zero: expected 0 or more (usage is taken back with a void or \
            a correction)"
    );
    Problem::field(code, field, detail)
}

/// An RFC 3339 instant with a zone.
pub fn instant(field: &str, value: &str) -> Result<Instant, Problem> {
    value
        .parse()
        .map_err(|e| invalid(field, format_args!("cannot read {}: {e}", shown(value))))
}

/// `quantity` is required unless an `amount` stands in its place; then it is 1. Of a call it would
/// be one second.
pub fn measure(
    quantity: Option<Quantity>,
    amount: Option<Amount>,
    meter: &str,
) -> Result<Quantity, Problem> {
    match (quantity, amount) {
        (Some(quantity), _) => Ok(quantity),
        (None, Some(_)) if meter == METER => {
            let detail = "`quantity` is missing: how many seconds a call lasted is not known by \
                its `amount`";
            Err(Problem::field(Code::MissingField, "quantity", detail))
        }
        (None, Some(_)) => Ok(Quantity::whole(1)),
        (None, None) => Err(missing("quantity")),
    }
}

/// Adds an attribute to those of an event; [`sort_attributes`] refuses a name given twice.
pub fn push_attribute(
    attributes: &mut Vec<(String, String)>,
    name: &str,
    value: &str,
) -> Result<(), Problem> {
    if attributes.len() >= ATTRIBUTES_MAX {
        return Err(invalid(
            "attributes",
            format_args!("at most {ATTRIBUTES_MAX} are kept"),
        ));
    }
    if name.is_empty() || longer_than(name, ATTRIBUTE_NAME_CHARS_MAX) || has_control(name) {
        return Err(invalid(
            "attributes",
            format_args!(
                "a name has 1 to {ATTRIBUTE_NAME_CHARS_MAX} characters without control characters"
            ),
        ));
    }
    if longer_than(value, ATTRIBUTE_VALUE_CHARS_MAX) || has_control(value) {
        let expected = format_args!(
            "expected at most {ATTRIBUTE_VALUE_CHARS_MAX} characters without control characters"
        );
        return Err(invalid(&format!("attributes.{name}"), expected));
    }
    attributes.push((name.to_owned(), value.to_owned()));
    Ok(())
}

/// By name; a name given twice is refused.
pub fn sort_attributes(attributes: &mut [(String, String)]) -> Result<(), Problem> {
    attributes.sort_unstable();
    match attributes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(invalid(&format!("attributes.{}", pair[0].0), "given twice")),
        None => Ok(()),
    }
}

/// Names and numbers have no byte that was no text.
fn clean(field: &str, value: &str) -> Result<(), Problem> {
    if value.contains('\u{fffd}') {
        return Err(invalid(
            field,
            format_args!("{} has a byte that is no UTF-8", shown(value)),
        ));
    }
    Ok(())
}

/// Checks the texts of an event that a file format put together from its own columns.
pub fn check(mut event: UsageEvent) -> Result<UsageEvent, Problem> {
    let texts = [
        ("id", event.id.as_str(), ID_CHARS_MAX),
        ("customer", &event.customer, ID_CHARS_MAX),
    ];
    for (field, value, chars_max) in texts.into_iter().chain([
        ("source", event.source.as_str(), NAME_CHARS_MAX),
        ("meter", &event.meter, NAME_CHARS_MAX),
    ]) {
        if value.is_empty() {
            return Err(missing(field));
        }
        text(field, value, chars_max)?;
        clean(field, value)?;
    }
    identity_of_parts(&event.id)?;
    for (field, value) in [
        ("destination", &mut event.destination),
        ("origin", &mut event.origin),
    ] {
        clean(field, value.as_deref().unwrap_or_default())?;
        *value = value
            .as_deref()
            .map_or(Ok(None), |value| number(field, value))?;
    }
    sort_attributes(&mut event.attributes)?;
    Ok(event)
}

/// The meter of call records, if none is named.
pub const METER: &str = "call";
