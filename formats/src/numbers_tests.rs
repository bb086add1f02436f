//! Numbers as people and switches write them.

use super::*;
use proptest::prelude::*;
use std::borrow::Cow;

/// Why the country of a number is unclear.
fn doubt(text: &str, country: Option<&str>) -> Option<Doubt> {
    read(text, country)?.doubt
}

fn check(text: &str, country: &str, want: &str) {
    let country = Some(country).filter(|c| !c.is_empty());
    assert_eq!(
        normalise(text, country).as_deref().unwrap_or("none"),
        want,
        "{text} in {country:?}"
    );
}

/// `00` stands for `+` where it is switches that write it: `0044…` in Singapore was charged as the
/// Czech Republic (+420).
#[test]
fn two_zeros_are_not_cut_behind_the_third_digit() {
    for (text, country, want) in [
        ("00442071234567", "SG", "442071234567"),
        ("0012125551234", "KR", "12125551234"),
        ("005511987654321", "BR", "5511987654321"),
        ("0085291234567", "HK", "85291234567"),
        ("008613812345678", "HK", "8613812345678"),
        // Behind the country's own prefix, as it is dialled there.
        ("001442071234567", "SG", "442071234567"),
        ("001442071234567", "TH", "442071234567"),
    ] {
        check(text, country, want);
        assert_eq!(doubt(text, Some(country)), None, "{text} in {country}");
    }
    // Only behind one of the two are numbers in use.
    check("0033123456789", "SG", "33123456789");
    check("00852800123456", "HK", "852800123456");
    check("00661800123456", "TH", "661800123456");
    check("006518001234567", "SG", "6518001234567");
    check("006570001234567", "SG", "6570001234567");
    check("008551800123456", "KH", "8551800123456");
    check("005718001234567", "CO", "5718001234567");
    // A prefix that is none of zeros, where the whole is in use and what follows the prefix is not.
    check("994501234567", "FI", "994501234567");
    check("996312123456", "FI", "996312123456");
    check("16644923456", "TD", "16644923456");
    check("99049301234567", "FI", "49301234567");
    // Of two countries: both are in use, and neither is charged.
    assert_eq!(doubt("0014722345678", Some("TH")), Some(Doubt::Abroad));
}

/// Each of these was no number, and was charged by a rate without prefixes.
#[test]
fn what_means_a_number_is_understood_or_refused() {
    for text in [
        "4.93012E+11",
        "493,012,345,678",
        "493012345678.0",
        "+4930123XXX",
        "+4930123***",
        "4930123***",
        "+49 30 123456 x12",
        "+4930123456 ext 12",
        "+4930123456/+44207",
        "+4930123456&+44207",
        "+4930123456;+4930123457",
        "+4930123456p12",
        "+49-30-1234,,56#",
        "+49+30+123456",
        "1-800-FLOWERS",
        "w030123456",
        "*21*030123456#",
        "9#030123456#",
        "+0049 30 123456",
        "+004930123456",
        "+030123456",
        "++4930123456",
        "00+4930123456",
        "030123456,5",
        "'+4930123456",
        "=\"+4930123456\"",
        "４９３０１２３４５６",
        "٤٩٣٠١٢٣٤٥٦",
        "SIP/trunk/030123456",
        "sofia/gateway/north/+4930123456",
        "user4930123456@host",
        "+4930123456 <Bob>",
        "123456789012345678901234567890123",
    ] {
        assert!(is_garbled(text), "{text}");
    }
    for text in [
        "",
        "voicemail",
        "anonymous",
        "s",
        "s-NOANSWER",
        "conf-12",
        "ivr2",
        "queue 600",
        "vmu1001",
        "*98",
        "*21#",
        "#31#",
        "**1001",
        "*81001",
        "#",
        "*any",
        "voicemail@10.20.30.40",
        "sip:1001@10.20.30.40:5060",
        "112",
        "+112",
        "00",
        "030123456",
        "+49 (0)30 / 123-456",
        "tel:+49-30-123456;phone-context=x",
        "sip:+4930123456;npdi@h;user=phone",
        "+49 30 123456;ext=12",
        "SIPS:%2B4930123456@pbx.example",
        "493.012.345.678",
        // As a phone book copies it.
        "\u{202a}+4930123456\u{202c}",
        "\"Bob 1\" <sip:030123456@pbx.example>;tag=1",
    ] {
        assert!(!is_garbled(text), "{text}");
    }
    for (text, want) in [
        ("030123456#", "4930123456"),
        ("+4930123456#", "4930123456"),
        ("FMGL-030123456#", "4930123456"),
        ("PJSIP/030123456@trunk", "4930123456"),
        ("112#", "112"),
        ("*21#", "none"),
    ] {
        check(text, "DE", want);
        assert!(!is_garbled(text), "{text}");
    }
}

/// Each was charged abroad, or had no price.
#[test]
fn bare_numbers_that_only_the_country_has_are_its_own() {
    for (text, country, want) in [
        ("900123456", "ES", "34900123456"),
        ("900 123 456", "ES", "34900123456"),
        ("912345678", "ES", "34912345678"),
        ("612345678", "ES", "34612345678"),
        ("4008001234", "CN", "864008001234"),
        ("221234567", "PL", "48221234567"),
        ("501234567", "PL", "48501234567"),
        ("912345678", "PT", "351912345678"),
        ("22123456", "NO", "4722123456"),
        ("20123456", "DK", "4520123456"),
        ("601234567", "CZ", "420601234567"),
        ("2101234567", "GR", "302101234567"),
        ("912345678", "CL", "56912345678"),
        ("21234567", "HK", "85221234567"),
        ("61234567", "SG", "6561234567"),
        ("3401234567", "IT", "393401234567"),
        ("1133334444", "BR", "551133334444"),
        ("11987654321", "BR", "5511987654321"),
        ("8001234567", "MX", "528001234567"),
        ("800123456", "CL", "56800123456"),
    ] {
        check(text, country, want);
        assert_eq!(doubt(text, Some(country)), None, "{text} in {country}");
        assert!(!is_short(text, want, Some(country)), "{text} in {country}");
    }
    // Each of these was charged abroad.
    for (text, country, want) in [
        // A zero behind what could be a country code.
        ("950511482", "ES", "34950511482"),
        ("950 23 45 67", "ES", "34950234567"),
        ("630123456", "ES", "34630123456"),
        ("980 12 34 56", "ES", "34980123456"),
        ("530123456", "PL", "48530123456"),
        ("530842556", "CZ", "420530842556"),
        ("27063860", "LV", "37127063860"),
        ("27061275", "LU", "35227061275"),
        ("40123456", "NO", "4740123456"),
        ("27 022 479", "TN", "21627022479"),
        ("950277242", "CL", "56950277242"),
        ("8206 5846", "SG", "6582065846"),
        ("660 445 712", "LI", "423660445712"),
        // Countries with a national prefix that nobody writes before these.
        ("989123456", "PE", "51989123456"),
        ("9841234567", "NP", "9779841234567"),
        ("2704 3481", "UY", "59827043481"),
        ("98 64 46 66", "MC", "37798644666"),
        ("88123456", "MN", "97688123456"),
        ("72721679", "BO", "59172721679"),
        ("555 12 34 56", "GE", "995555123456"),
        ("71 123 456", "LB", "96171123456"),
        ("8 612 34567", "LT", "37061234567"),
        ("8 801 123 4567", "BY", "3758011234567"),
        ("8 029 123-45-67", "BY", "375291234567"),
        ("8 050 123 45 67", "UA", "380501234567"),
        ("(601) 2345678", "CO", "576012345678"),
        // Services.
        ("4004-1234", "BR", "5540041234"),
        ("600 123 4567", "CL", "566001234567"),
        ("1900 123 4567", "SG", "6519001234567"),
        ("70001234567", "SG", "6570001234567"),
        ("1800 111 2222", "GT", "50218001112222"),
        ("1800 123 4567", "IN", "9118001234567"),
        ("1300 123 456", "AU", "611300123456"),
        ("1800 123 456", "IE", "3531800123456"),
        ("444 0 123", "TR", "904440123"),
        ("1544-1234", "KR", "8215441234"),
        ("1800 123 456", "TH", "661800123456"),
        // A carrier's code behind the zero.
        ("0 15 11 98765-4321", "BR", "5511987654321"),
    ] {
        check(text, country, want);
        assert_eq!(doubt(text, Some(country)), None, "{text} in {country}");
    }
    // Of both, or a zero was lost: neither is charged.
    for (text, country) in [
        ("681 721 234", "LU"),
        // Numbers of seven digits are in use in Iran.
        ("984123456", "PE"),
        ("3281234567", "IT"),
        ("15112345678", "DE"),
        ("17612345678", "DE"),
        ("533099256", "AE"),
        ("27897541", "AE"),
        // A line of a switch, and a national number; or one abroad that nobody has.
        ("0 0151 12345678", "DE"),
        ("0030 123456", "DE"),
        // The zero of its own is not the one behind a country code.
        ("6001234567", "AR"),
        ("18004251234", "IN"),
        ("18602666666", "IN"),
        ("18003333333", "SG"),
        ("40231326", "NO"),
    ] {
        assert!(
            matches!(doubt(text, Some(country)), Some(Doubt::National { .. })),
            "{text} in {country}"
        );
    }
    // International ones stay what they are.
    for (text, country) in [
        ("4930123456", "GR"),
        ("4930123456", "ES"),
        ("442079460000", "NO"),
        ("12125550100", "SG"),
        ("8613912345678", "HK"),
    ] {
        check(text, country, text);
        assert_eq!(doubt(text, Some(country)), None, "{text} in {country}");
    }
}

#[test]
fn numbers_become_their_international_digits() {
    for (text, country, want) in [
        ("+4930123456", "", "4930123456"),
        ("+4930123456", "US", "4930123456"),
        ("4930123456", "", "4930123456"),
        ("4930123456", "DE", "4930123456"),
        ("004930123456", "", "4930123456"),
        ("004930123456", "DE", "4930123456"),
        ("004930123456", "de", "4930123456"),
        ("0114930123456", "", "4930123456"),
        ("0114930123456", "US", "4930123456"),
        ("004930123456", "US", "4930123456"),
        ("00114930123456", "AU", "4930123456"),
        ("8104930123456", "RU", "4930123456"),
        ("030123456", "DE", "4930123456"),
        ("030123456", "", "030123456"),
        ("01134960000", "GB", "441134960000"),
        ("84955550100", "RU", "74955550100"),
        ("8613912345678", "RU", "8613912345678"),
        ("0655501234", "HU", "3655501234"),
        ("0612345678", "IT", "390612345678"),
        ("2125550100", "US", "12125550100"),
        ("12125550100", "US", "12125550100"),
        ("4420055501", "US", "4420055501"),
        ("911", "US", "911"),
        ("112", "DE", "112"),
        ("0", "DE", "0"),
        ("00", "DE", "00"),
        ("+49 (0)30 / 123-456", "", "4930123456"),
        ("0049(0)30123456", "", "4930123456"),
        ("0049 (0) 30 123456", "DE", "4930123456"),
        ("+39 (0)6 12345678", "", "390612345678"),
        ("(0)30 123456", "DE", "4930123456"),
        ("(030) 123.456", "DE", "4930123456"),
        ("1 (212) 555-0100", "US", "12125550100"),
        (
            "sip:+4930123456@pbx.example;transport=udp",
            "",
            "4930123456",
        ),
        (
            "\"Bob\" <sip:030123456@pbx.example>;tag=1",
            "DE",
            "4930123456",
        ),
        ("SIPS:%2B4930123456@pbx.example", "", "4930123456"),
        ("tel:+49-30-123456;phone-context=x", "", "4930123456"),
        ("030123456", "ZZ", "030123456"),
        ("030123456", "Deutschland", "030123456"),
        ("voicemail", "DE", "none"),
        ("*98", "DE", "none"),
        ("1-800-FLOWERS", "US", "none"),
        ("49+30", "", "none"),
        ("+", "", "none"),
        ("", "", "none"),
        ("&", "DE", "none"),
        ("123456789012345678901234567890123", "", "none"),
    ] {
        check(text, country, want);
    }
}

#[test]
fn the_trunk_zero_is_dialled_inside_the_country_only() {
    for (text, country, want) in [
        ("49(0)15112345678", "", "4915112345678"),
        ("49(0)15112345678", "DE", "4915112345678"),
        ("49 (0) 151 / 12345678", "US", "4915112345678"),
        ("01149(0)15112345678", "DE", "4915112345678"),
        ("01149(0)15112345678", "US", "4915112345678"),
        ("001149(0)15112345678", "AU", "4915112345678"),
        ("+49015112345678", "", "4915112345678"),
        ("+49 (0151) 12345678", "US", "4915112345678"),
        ("0049 0151 12345678", "DE", "4915112345678"),
        ("0049015112345678", "", "4915112345678"),
        ("sip:+49015112345678@pbx.example", "", "4915112345678"),
        ("49015112345678", "DE", "4915112345678"),
        ("+4402079460000", "", "442079460000"),
        ("+44 (0) 20 7946 0000", "GB", "442079460000"),
        ("+36 06 1 234 5678", "", "3612345678"),
        ("+784955550100", "", "74955550100"),
        ("+74955550100", "", "74955550100"),
        ("+78125550100", "", "78125550100"),
        ("+80055501000", "", "80055501000"),
        ("+34 (0) 912345678", "", "34912345678"),
        // Where it belongs to the number.
        ("+390612345678", "", "390612345678"),
        ("39(0)612345678", "", "390612345678"),
        ("0039 06 12345678", "DE", "390612345678"),
        ("+2250712345678", "", "2250712345678"),
        ("+225 (0)712345678", "", "2250712345678"),
        ("+37805490123456", "", "37805490123456"),
    ] {
        check(text, country, want);
    }
}

#[test]
fn an_emergency_number_is_not_an_international_one() {
    for (text, country) in [
        ("000", "AU"),
        ("000", ""),
        ("000", "DE"),
        ("0000", "DE"),
        ("00", "DE"),
    ] {
        check(text, country, text);
        assert!(
            is_short(
                text,
                text,
                Some(country).filter(|country| !country.is_empty())
            ),
            "{text} in {country}"
        );
    }
}

#[test]
fn short_numbers_are_told() {
    for (text, country, want) in [
        ("1002", "", true),
        ("112", "DE", true),
        ("911", "US", true),
        ("sip:1002@pbx.example", "", true),
        ("10-02", "", true),
        ("5550100", "US", true),
        // Behind 55 (Brazil) there are 10 digits.
        ("5550100", "", true),
        ("+1002", "", true),
        ("+112", "DE", true),
        ("00112", "DE", true),
        ("001002", "", true),
        ("01002", "DE", true),
        // A number without its area: none of a country begins so and is so long.
        ("12345678", "DE", true),
        ("33123", "DE", true),
        ("12125550100", "DE", false),
        ("+1 212 555 0100", "", false),
        ("01002345", "DE", false),
        ("99915123", "", false),
        ("4930123456", "", false),
        ("voicemail", "", false),
        ("", "", false),
    ] {
        let country = Some(country).filter(|country| !country.is_empty());
        let digits = normalise(text, country);
        assert_eq!(
            is_short(text, digits.as_deref().unwrap_or(text), country),
            want,
            "{text} in {country:?}"
        );
    }
}

#[test]
fn what_may_be_national_is_no_number_abroad() {
    // `own`: as a number abroad nothing of the kind is in use.
    let (abroad, own, national, none) = ("-", "own", "national", "none");
    for (text, country, want) in [
        // Mobiles and landlines of countries in which nothing, or nothing that must be there, goes
        // before them.
        ("44987654321", "BR", own),
        ("49987654321", "BR", national),
        ("33 98765-4321", "br", national),
        ("sip:3334567890@pbx", "BR", abroad),
        ("8832345678", "BR", own),
        ("8812345678", "IN", own),
        ("4932345678", "BR", own),
        ("13812345678", "CN", own),
        ("461234567", "PL", own),
        ("4951234567", "RU", national),
        ("9551234567", "RU", own),
        ("8212345678", "IN", own),
        ("3912345678", "ES", abroad),
        // Only one of the two.
        ("12125550100", "BR", abroad),
        ("12125550100", "CN", abroad),
        ("4930123456", "PL", abroad),
        ("4930123456", "IT", abroad),
        ("442079460000", "PL", abroad),
        ("5511912345678", "BR", abroad),
        ("8613912345678", "RU", abroad),
        ("84955550100", "RU", abroad),
        ("2125550100", "US", own),
        // Said.
        ("+44987654321", "BR", abroad),
        ("0044987654321", "DE", abroad),
        ("001444987654321", "BR", abroad),
        // Its prefix has to be dialled, or nobody knows the country.
        ("4930123456", "DE", abroad),
        ("33123456789", "DE", abroad),
        // Britain has none that begins so, Germany has one, without its zero.
        ("44987654321", "DE", national),
        // Of ten digits in North America, if an area is called so.
        ("3725123456", "US", abroad),
        ("2484217123", "US", own),
        ("44987654321", "", abroad),
        // No area and no exchange begins with 0 or 1, and no number is so long.
        ("10912345678", "BR", none),
        ("13391234567", "HK", none),
        ("12121234567", "US", none),
        ("11234567890", "US", none),
        // The North American plan has ten digits.
        ("180010123456", "PH", own),
        ("10102881 2125551234", "US", none),
        ("4930123456789012", "", none),
        ("+4930123456789012", "", none),
        // A prefix of a switch or a carrier before a number.
        ("3651 0612345678", "FR", none),
        ("8 10 44 20 7946 0958", "LT", none),
        ("9 0 11 98765-4321", "BR", none),
        // Nothing behind the country's code.
        ("+49", "DE", none),
        ("0049", "DE", none),
        ("004930123456789012", "DE", none),
        // A carrier's code behind `00`.
        ("0033 010 44 20 7946 0958", "JP", none),
        ("0030 12345", "GB", none),
        ("+11234567890", "US", abroad),
        ("voicemail", "BR", abroad),
        ("112", "BR", abroad),
    ] {
        let country = Some(country).filter(|country| !country.is_empty());
        let told = match doubt(text, country) {
            None if read(text, country).is_some_and(|read| read.digits.len() > text.len()) => own,
            None => abroad,
            Some(Doubt::TooLong { .. }) => "too long",
            Some(Doubt::National { .. }) => national,
            Some(Doubt::Abroad) => "two abroad",
            Some(Doubt::NoNumber) => none,
        };
        assert_eq!(told, want, "{text} in {country:?}");
    }
}

#[test]
fn a_technical_prefix_is_told() {
    for (text, want) in [
        ("9#4930123456", "9#"),
        ("1234#+4930123456", "1234#"),
        ("*31#112", "*31#"),
        ("*67*4155550100", "*67*"),
        ("sip:9#4930123456@pbx", "9#"),
        ("*674155550100", "*"),
        ("*98", "-"),
        // FreePBX picks up with two.
        ("**1001", "-"),
        ("**4930123456", "**"),
        ("*81001", "-"),
        ("*123", "-"),
        ("*21#", "-"),
        ("4930123456", "-"),
        ("support#desk", "-"),
    ] {
        assert_eq!(technical_prefix(text).unwrap_or("-"), want, "{text}");
    }
}

#[test]
fn every_territory_is_one_that_a_tenant_may_have() {
    for line in include_str!("../data/territories.csv").lines().skip(1) {
        let code = line.split(',').next().unwrap();
        assert_eq!(tenants::tenant::check_country(code), Ok(()), "{code}");
    }
}

#[test]
fn the_common_forms_do_not_allocate() {
    for text in ["+4930123456", "4930123456", "004930123456"] {
        assert!(
            matches!(normalise(text, Some("DE")), Some(Cow::Borrowed(_))),
            "{text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn any_text_gives_digits_or_nothing(text in "(sip:)?[-+0-9 ().<>@;%ü]{0,40}", country in "[A-Z]{2}") {
        if let Some(digits) = normalise(&text, Some(&country)) {
            prop_assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
        }
        let _ = normalise(&text, None);
    }

    #[test]
    fn international_digits_are_a_fixed_point_without_a_country(digits in "[1-9][0-9]{0,14}") {
        let once = normalise(&digits, None).unwrap().into_owned();
        let twice = normalise(&once, None).unwrap().into_owned();
        prop_assert_eq!(&twice, &once);
        // But for a national prefix behind the country code.
        prop_assert!(once == digits || once.len() < digits.len() && digits.starts_with(&once[..1]) && digits.ends_with(&once[3..]));
    }
}
