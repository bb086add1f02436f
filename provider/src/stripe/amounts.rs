//! Stripe's amounts and ours. Both count minor units, but not everywhere the same ones.
//! <https://docs.stripe.com/currencies>

use crate::{Fee, Method, ProviderError, Result};
use rating::rounding::{self, Mode};
use rating::{Cents, Currency};

/// Stripe counts whole units.
const ZERO_DECIMAL: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Stripe counts hundredths, of which it takes whole hundreds only.
const TWO_DECIMAL_WHOLE: &[&str] = &["ISK", "UGX"];
/// Stripe counts thousandths and takes whole tens of them.
const THREE_DECIMAL: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];
/// Stripe counts hundredths.
const TWO_DECIMAL: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN",
    "BMD", "BND", "BOB", "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP",
    "CRC", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL",
    "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "JMD", "KES",
    "KGS", "KHR", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MKD", "MMK",
    "MNT", "MOP", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR",
    "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD",
    "SCR", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "STN", "SZL", "THB", "TJS", "TOP", "TRY",
    "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "WST", "XCD", "YER", "ZAR", "ZMW",
];

/// What a SEPA direct debit may come to at Stripe.
const SEPA_CENTS_MAX: i64 = 1_000_000;

/// How Stripe counts a currency.
#[derive(Debug, Clone, Copy)]
struct Unit {
    decimals: u32,
    /// Its amounts are multiples of this.
    step: i64,
}

fn unit(currency: Currency) -> Result<Unit> {
    let code = currency.code();
    let listed = |list: &[&str]| list.contains(&code);
    let (decimals, step) = if listed(TWO_DECIMAL) {
        (2, 1)
    } else if listed(ZERO_DECIMAL) {
        (0, 1)
    } else if listed(TWO_DECIMAL_WHOLE) {
        (2, 100)
    } else if listed(THREE_DECIMAL) {
        (3, 10)
    } else {
        return Err(refused(
            "currency_not_supported",
            format!("{code} cannot be paid with"),
        ));
    };
    Ok(Unit { decimals, step })
}

/// Our cents as Stripe counts them.
///
/// # Errors
/// `Refused`: a currency that Stripe does not take, or an amount that it cannot say.
pub fn to_stripe(cents: Cents, currency: Currency) -> Result<i64> {
    let Unit { decimals, step } = unit(currency)?;
    let amount = scaled(cents.0, currency.exponent(), decimals).filter(|amount| amount % step == 0);
    amount.ok_or_else(|| {
        refused(
            "amount_not_payable",
            format!("{cents} minor units of {currency} cannot be paid exactly"),
        )
    })
}

/// Stripe's amount and currency (`eur`) as we count them.
///
/// # Errors
/// `Refused`: a currency that is not among ours, or parts of our smallest unit.
pub fn from_stripe(amount: i64, code: &str) -> Result<(Cents, Currency)> {
    let currency = currency(code)?;
    let cents = scaled(amount, unit(currency)?.decimals, currency.exponent());
    let cents = cents.ok_or_else(|| {
        refused(
            "amount_not_countable",
            format!("{amount} of {code} is not a whole minor unit"),
        )
    })?;
    Ok((Cents(cents), currency))
}

/// What was taken as a fee, in whole minor units; `None`: in a currency that is not among ours.
pub fn fee(amount: i64, code: &str) -> Option<Fee> {
    let currency = currency(code).ok()?;
    let (from, to) = (unit(currency).ok()?.decimals, currency.exponent());
    let cents = match scaled(amount, from, to) {
        Some(cents) => cents,
        // Of parts of a unit the nearest.
        None => {
            let parts = 10_i128.checked_pow(from.checked_sub(to)?)?;
            i64::try_from(rounding::divide(amount.into(), parts, Mode::HalfUp).ok()?).ok()?
        }
    };
    Some(Fee {
        cents: Cents(cents),
        currency,
    })
}

/// # Errors
/// `Refused`: a currency that is not among ours.
pub fn currency(code: &str) -> Result<Currency> {
    code.to_ascii_uppercase().parse().map_err(|_| {
        refused(
            "currency_not_supported",
            format!("{code} is not among ours"),
        )
    })
}

/// As Stripe writes it: `eur`.
pub fn code(currency: Currency) -> stripe_types::Currency {
    let code = currency.code().to_ascii_lowercase();
    code.parse()
        .unwrap_or(stripe_types::Currency::Unknown(code))
}

/// Those of the methods by which this amount can be paid.
///
/// # Errors
/// `Refused` if there is none.
pub fn methods_for(methods: &[Method], cents: Cents, currency: Currency) -> Result<Vec<Method>> {
    let payable = |method: &&Method| match method {
        Method::Card => true,
        Method::SepaDebit => currency == Currency::EUR && cents.0 <= SEPA_CENTS_MAX,
    };
    let methods: Vec<Method> = methods.iter().filter(payable).copied().collect();
    if methods.is_empty() {
        return Err(refused(
            "method_not_usable",
            format!("no method can pay {cents} minor units of {currency}"),
        ));
    }
    Ok(methods)
}

/// `value` counted in 10⁻ᵗᵒ instead of 10⁻ᶠʳᵒᵐ; `None` if that is not whole, or too large.
fn scaled(value: i64, from: u32, to: u32) -> Option<i64> {
    let factor = 10_i64.checked_pow(from.abs_diff(to))?;
    if to >= from {
        value.checked_mul(factor)
    } else {
        (value % factor == 0).then(|| value / factor)
    }
}

fn refused(code: &str, detail: String) -> ProviderError {
    ProviderError::Refused {
        code: code.into(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What we count, and Stripe; `None`: it cannot be paid.
    fn check(currency: &str, cents: i64, stripe: Option<i64>) {
        let ours: Currency = currency.parse().unwrap();
        assert_eq!(
            to_stripe(Cents(cents), ours).ok(),
            stripe,
            "{cents} {currency}"
        );
        if let Some(amount) = stripe {
            assert_eq!(
                from_stripe(amount, &currency.to_lowercase()),
                Ok((Cents(cents), ours))
            );
        }
    }

    #[test]
    fn units_are_stripes() {
        check("EUR", 1050, Some(1050));
        check("EUR", -1050, Some(-1050));
        check("JPY", 500, Some(500));
        check("MGA", 50_000, Some(500)); // ISO 4217 gives it two decimals, Stripe none.
        check("MGA", 50_050, None);
        check("ISK", 5, Some(500)); // ISO none, Stripe two, the last two always 0.
        check("UGX", 1200, Some(120_000));
        check("KWD", 1230, Some(1230));
        check("KWD", 1234, None);
        check("JPY", i64::MAX, Some(i64::MAX));
        check("ISK", i64::MAX, None);
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        for code in ["IQD", "LYD", "CUP", "KPW"] {
            let refused = to_stripe(Cents(100_000), code.parse().unwrap());
            assert!(
                matches!(refused, Err(ProviderError::Refused { code, .. }) if code == "currency_not_supported"),
                "{code}"
            );
        }
        assert!(from_stripe(100, "usdc").is_err());
        assert!(from_stripe(550, "isk").is_err(), "half a krona");
    }

    #[test]
    fn fees_are_whole_units() {
        let taken = |amount, code| fee(amount, code).map(|fee| (fee.cents.0, fee.currency.code()));
        assert_eq!(taken(62, "eur"), Some((62, "EUR")));
        assert_eq!(taken(2275, "isk"), Some((23, "ISK")));
        assert_eq!(taken(-2249, "isk"), Some((-22, "ISK")));
        assert_eq!(taken(62, "usdc"), None);
    }

    #[test]
    fn every_listed_currency_is_one_of_ours_with_the_expected_exponent() {
        let lists: [(&[&str], u32); 2] = [(TWO_DECIMAL, 2), (THREE_DECIMAL, 3)];
        for (list, exponent) in lists {
            let other =
                |code: &&&str| code.parse::<Currency>().map(Currency::exponent) != Ok(exponent);
            assert_eq!(
                list.iter().filter(other).count(),
                0,
                "{:?}",
                list.iter().filter(other).collect::<Vec<_>>()
            );
        }
        for code in ZERO_DECIMAL
            .iter()
            .filter(|c| **c != "MGA")
            .chain(TWO_DECIMAL_WHOLE)
        {
            assert_eq!(code.parse::<Currency>().unwrap().exponent(), 0, "{code}");
        }
        for code in [TWO_DECIMAL, THREE_DECIMAL, ZERO_DECIMAL, TWO_DECIMAL_WHOLE].concat() {
            assert_eq!(
                super::code(code.parse().unwrap()).to_string(),
                code.to_lowercase()
            );
        }
    }

    #[test]
    fn sepa_is_for_euros_up_to_ten_thousand() {
        let both = [Method::Card, Method::SepaDebit];
        assert_eq!(
            methods_for(&both, Cents(1_000_000), Currency::EUR).unwrap(),
            both
        );
        assert_eq!(
            methods_for(&both, Cents(1_000_001), Currency::EUR).unwrap(),
            [Method::Card]
        );
        assert_eq!(
            methods_for(&both, Cents(1000), "USD".parse().unwrap()).unwrap(),
            [Method::Card]
        );
        assert!(methods_for(&[Method::SepaDebit], Cents(1000), "USD".parse().unwrap()).is_err());
    }
}
