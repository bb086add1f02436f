//! Amounts as people write them. Digits, their groups and the decimal point are ICU's; ICU's own
//! currency formatter is still called unstable (`icu_experimental`), so the symbols, and where they
//! stand, are a small table from the same source: CLDR 48, `de`, `en`, `fr`. A currency without a
//! symbol there is written by its ISO code.

use crate::Locale;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_decimal::options::DecimalFormatterOptions;
use rating::{Cents, Currency};

/// Between an amount and its symbol; no line breaks there.
const NO_BREAK: char = '\u{a0}';

thread_local! {
    /// ICU's formatters stay on their thread.
    static FORMATTERS: [Option<DecimalFormatter>; 3] =
        Locale::ALL.map(|locale| DecimalFormatter::try_new(locale.icu().into(), DecimalFormatterOptions::default()).ok());
}

/// `1.234,50 €`, `€1,234.50`, `1 234,50 €` (with spaces that do not break).
pub fn money(locale: Locale, cents: Cents, currency: Currency) -> String {
    let (symbol, sign) = (
        symbol(locale, currency),
        if cents < Cents::ZERO { "-" } else { "" },
    );
    let mut amount = Decimal::from(cents.0.unsigned_abs());
    // At most 4 decimals.
    amount.multiply_pow10(-i16::try_from(currency.exponent()).unwrap_or(0));
    let digits = written(locale, &amount);
    match locale {
        Locale::De | Locale::Fr => format!("{sign}{digits}{NO_BREAK}{symbol}"),
        // Letters do not run into digits.
        Locale::En if symbol.ends_with(char::is_alphabetic) => {
            format!("{sign}{symbol}{NO_BREAK}{digits}")
        }
        Locale::En => format!("{sign}{symbol}{digits}"),
    }
}

/// A whole number with its groups: `1.234`, `1,234`, `1 234`.
pub fn whole(locale: Locale, number: u64) -> String {
    written(locale, &Decimal::from(number))
}

fn written(locale: Locale, value: &Decimal) -> String {
    let formatted = FORMATTERS.with(|formatters| {
        Some(
            formatters[locale.place()]
                .as_ref()?
                .format(value)
                .to_string(),
        )
    });
    // The data of these three is compiled in: a test formats with each.
    formatted.unwrap_or_else(|| value.to_string())
}

/// What `locale` calls a currency; others by their code.
fn symbol(locale: Locale, currency: Currency) -> &'static str {
    let code = currency.code();
    match (locale, code) {
        (_, "EUR") => "€",
        (Locale::Fr, "USD") => "$US",
        (_, "USD") => "$",
        (Locale::Fr, "GBP") => "£GB",
        (_, "GBP") => "£",
        (Locale::De | Locale::En, "JPY") => "¥",
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_each_language_does() {
        // As the browsers' Intl.NumberFormat (ICU 78) writes them.
        for (code, cents, de, en, fr) in [
            (
                "EUR",
                12_345_650,
                "123.456,50\u{a0}€",
                "€123,456.50",
                "123\u{202f}456,50\u{a0}€",
            ),
            (
                "USD",
                12_345_650,
                "123.456,50\u{a0}$",
                "$123,456.50",
                "123\u{202f}456,50\u{a0}$US",
            ),
            (
                "CHF",
                12_345_650,
                "123.456,50\u{a0}CHF",
                "CHF\u{a0}123,456.50",
                "123\u{202f}456,50\u{a0}CHF",
            ),
            (
                "GBP",
                12_345_650,
                "123.456,50\u{a0}£",
                "£123,456.50",
                "123\u{202f}456,50\u{a0}£GB",
            ),
            (
                "JPY",
                123_457,
                "123.457\u{a0}¥",
                "¥123,457",
                "123\u{202f}457\u{a0}JPY",
            ),
            (
                "KWD",
                123_456_500,
                "123.456,500\u{a0}KWD",
                "KWD\u{a0}123,456.500",
                "123\u{202f}456,500\u{a0}KWD",
            ),
            ("EUR", -50, "-0,50\u{a0}€", "-€0.50", "-0,50\u{a0}€"),
            (
                "CHF",
                -50,
                "-0,50\u{a0}CHF",
                "-CHF\u{a0}0.50",
                "-0,50\u{a0}CHF",
            ),
            ("EUR", 0, "0,00\u{a0}€", "€0.00", "0,00\u{a0}€"),
            ("EUR", 1000, "10,00\u{a0}€", "€10.00", "10,00\u{a0}€"),
        ] {
            let currency = code.parse().unwrap();
            for (locale, want) in Locale::ALL.into_iter().zip([de, en, fr]) {
                assert_eq!(
                    money(locale, Cents(cents), currency),
                    want,
                    "{locale} {code} {cents}"
                );
            }
        }
    }

    #[test]
    fn the_largest_amounts_have_their_digits() {
        assert_eq!(
            money(Locale::En, Cents(i64::MAX), Currency::EUR),
            "€92,233,720,368,547,758.07"
        );
        assert_eq!(
            money(Locale::De, Cents(i64::MIN), Currency::EUR),
            "-92.233.720.368.547.758,08\u{a0}€"
        );
    }

    #[test]
    fn counts_have_groups() {
        for (locale, want) in
            Locale::ALL
                .into_iter()
                .zip(["1.234.567", "1,234,567", "1\u{202f}234\u{202f}567"])
        {
            assert_eq!(whole(locale, 1_234_567), want);
        }
    }
}
