//! The languages there are.

use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use icu_locale_core::{Locale as IcuLocale, locale};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use unic_langid::LanguageIdentifier;

/// A language that every message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Locale {
    De,
    /// What is used unless somebody asks for another.
    #[default]
    En,
    Fr,
}

/// The text names no language that there are messages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLocale;

/// Languages of one `Accept-Language` header that are looked at.
const RANGES_MAX: usize = 32;
/// Thousandths of a quality of 1.
const WHOLE_QUALITY: u32 = 1000;

static KNOWN: LazyLock<[LanguageIdentifier; 3]> =
    LazyLock::new(|| Locale::ALL.map(|locale| locale.code().parse().unwrap_or_default()));

impl Locale {
    pub const ALL: [Self; 3] = [Self::De, Self::En, Self::Fr];

    /// `de`, `en` or `fr`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// The best of a request's `Accept-Language` (RFC 9110, 12.5.4): by quality, then in the order
    /// given; regions count as their language. English when none fits.
    pub fn of_accept_language(header: &str) -> Self {
        let mut ranges: Vec<(u32, LanguageIdentifier)> = header
            .split(',')
            .take(RANGES_MAX)
            .filter_map(range)
            .collect();
        // Those of one quality stay in their order.
        ranges.sort_by_key(|(quality, _)| Reverse(*quality));
        let asked: Vec<_> = ranges.into_iter().map(|(_, language)| language).collect();
        negotiate_languages(&asked, &*KNOWN, None, NegotiationStrategy::Lookup)
            .first()
            .and_then(|best| best.language.as_str().parse().ok())
            .unwrap_or_default()
    }

    /// Where it is in [`Self::ALL`].
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::De => 0,
            Self::En => 1,
            Self::Fr => 2,
        }
    }

    pub(crate) const fn icu(self) -> IcuLocale {
        match self {
            Self::De => locale!("de"),
            Self::En => locale!("en"),
            Self::Fr => locale!("fr"),
        }
    }
}

/// A language of the header with its quality, unless that is 0. The library that negotiates takes
/// languages in their order and knows no qualities.
fn range(text: &str) -> Option<(u32, LanguageIdentifier)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = match parts.next()? {
        "*" => Locale::En.code(),
        tag => tag,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let quality = quality.map_or(Some(WHOLE_QUALITY), thousandths)?;
    // Calendars and the like come after a subtag of one letter, and are not asked for.
    let subtags: Vec<&str> = tag
        .split(['-', '_'])
        .take_while(|subtag| subtag.len() > 1)
        .collect();
    let language = subtags.join("-").parse().ok()?;
    (quality > 0).then_some((quality, language))
}

/// `0.8` → 800; `None`: not a quality.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u32 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole * WHOLE_QUALITY + fraction).filter(|quality| *quality <= WHOLE_QUALITY)
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A language tag, such as `de` or `fr-CH`.
impl FromStr for Locale {
    type Err = UnknownLocale;
    fn from_str(tag: &str) -> Result<Self, UnknownLocale> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|known| known.code().eq_ignore_ascii_case(language))
            .ok_or(UnknownLocale)
    }
}

impl fmt::Display for UnknownLocale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected de, en or fr")
    }
}

impl std::error::Error for UnknownLocale {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_choose_a_language() {
        for (header, want) in [
            ("de", Locale::De),
            ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", Locale::Fr),
            ("en;q=0.8, de;q=0.9", Locale::De),
            ("it, de;q=0.4, en;q=0.3", Locale::De),
            ("it", Locale::En),
            ("", Locale::En),
            ("*", Locale::En),
            ("de;q=0, fr;q=0.001", Locale::Fr),
            ("de;q=nonsense, fr", Locale::Fr),
            ("DE-at", Locale::De),
            ("de, en", Locale::De),
            ("de-AT", Locale::De),
            ("nl, *;q=0.1, fr;q=0.05", Locale::En),
            ("de-DE-u-co-phonebk", Locale::De),
            ("fr_CA", Locale::Fr),
            ("zh-Hant-TW, en-GB;q=0.2, fr;q=0.3", Locale::Fr),
            ("de;q=NaN, de;q=2, de;q=0.0001", Locale::En),
            (
                "und, , ;q=1, \u{e4}, toolongforalanguage, fr;q=0.001",
                Locale::Fr,
            ),
        ] {
            assert_eq!(Locale::of_accept_language(header), want, "{header:?}");
        }
    }

    #[test]
    fn languages_are_read_from_their_tags() {
        assert_eq!("fr-BE".parse(), Ok(Locale::Fr));
        assert_eq!("nl".parse::<Locale>(), Err(UnknownLocale));
        assert!(
            Locale::ALL
                .iter()
                .all(|locale| locale.code().parse() == Ok(*locale)
                    && Locale::ALL[locale.place()] == *locale)
        );
    }
}
