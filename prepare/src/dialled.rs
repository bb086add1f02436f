//! The numbers of an event as digits, as its customer's country writes them.

use crate::content::{NO_KEY, content_digest};
use crate::customer::Customer;
use compact_str::CompactString;
use formats::UsageEvent;
use formats::numbers::{self, Doubt};
use rating::usage::Number;

/// Numbers become digits as the customer's country writes them. The digest of the content as sent,
/// and the numbers that changed, as they were.
pub(crate) fn normalised(
    event: &mut UsageEvent,
    customer: Option<&Customer>,
) -> ([u8; 16], Dialled) {
    let content = content_digest(
        customer.map_or(&NO_KEY, |c| &c.personal_key),
        event,
        &event.customer,
        [None, None],
    );
    (
        content,
        dial(event, customer.and_then(|c| c.tenant.country.as_deref())),
    )
}

/// Numbers become digits as the country writes them; those that changed, as they were. What cannot
/// be read as a number stays as it is, and matches no prefix.
pub(crate) fn dial(event: &mut UsageEvent, country: Option<&str>) -> Dialled {
    let read = |number: &mut Option<CompactString>| {
        let text = number.as_deref()?;
        let read = numbers::read(text, country)?;
        let (digits, doubt) = (
            Some(read.digits)
                .filter(|digits| *digits != text)
                .map(CompactString::from),
            read.doubt,
        );
        Some((digits.and_then(|digits| number.replace(digits)), doubt))
    };
    let (origin, _) = read(&mut event.origin).unwrap_or_default();
    let (destination, doubt) = read(&mut event.destination).unwrap_or_default();
    let sent = [destination, origin];
    let destination = event.destination.as_deref().unwrap_or_default();
    let text = sent[0].as_deref().unwrap_or(destination);
    let number = match doubt {
        Some(_) => Number::Unclear,
        None if numbers::is_short(text, destination, country) => Number::Short,
        None if numbers::is_of_no_country(destination) => Number::WithoutCountry,
        None => Number::International,
    };
    Dialled {
        sent,
        number,
        doubt,
    }
}

/// What became of an event's numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialled {
    /// Destination and origin as sent, where the customer's country made other digits of them.
    pub(crate) sent: [Option<CompactString>; 2],
    pub(crate) number: Number,
    /// It may be one of a country, but nobody knows which.
    pub(crate) doubt: Option<Doubt>,
}

/// The event before [`normalised`].
pub(crate) fn as_sent(event: UsageEvent, dialled: Dialled) -> UsageEvent {
    let [destination, origin] = dialled.sent;
    UsageEvent {
        destination: destination.or(event.destination),
        origin: origin.or(event.origin),
        ..event
    }
}
