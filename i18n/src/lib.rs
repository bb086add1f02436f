//! What a customer reads: messages, money and dates in German, English and French. Pure.
//!
//! Vocabulary: a *message* is named by its key in `messages/*.ftl` (Fluent), a part of it as
//! `key.part`; an *argument* is text that is ready to show, or a count that decides between
//! singular and plural.
//!
//! Invariants: every language has every message with the same arguments (a test compares them);
//! amounts go from whole minor units to text without a float; a fraction of the currency is always
//! shown in full (`10.00`, never `10`).

mod dates;
mod locale;
mod messages;
mod money;

pub use dates::{date, date_time, instant};
pub use locale::{Locale, UnknownLocale};
pub use messages::{Arg, has, say};
pub use money::{money, whole};
