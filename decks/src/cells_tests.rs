//! Cells with several prefixes: a list of whole ones is certain, or it is refused.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// The prefixes between spaces, or the code of the refusal.
fn told(cell: &str) -> String {
    prefixes(cell, None).map_or_else(|(code, _)| code.to_owned(), |all| all.join(" "))
}

/// Each was a list of whole prefixes: Russia, Romania, Burkina Faso at the price of a part of
/// another country.
#[test]
fn a_prefix_and_the_end_of_another_are_no_list() {
    for cell in [
        "4477 78 79",
        "4477, 78, 79",
        "4420 7, 8",
        "4420 7",
        "447 7",
        "491 5",
        "4930 40",
        "4930,40",
        "4930;40",
        "4930|40",
        "4930, 31",
        "4930, 31-33",
        "4930-31, 40",
        "6138,39",
        "1204 226",
        "1204, 226",
        "390 6",
        "+390 6",
        "00390 6",
        "39 0 6",
        "390 6 2",
        "442 0",
        "120 4",
        "77 7",
        "2126 7",
        "3519 1",
        // An area of Kazakhstan, or all that begins with +7 02.
        "7701, 702",
        // Mobiles of Italy, or areas behind 39.
        "39320, 391",
        "39320,393",
        "4930 4",
        "4930, 49",
        "4930, 4",
        "+4930, 40",
        "004930, 40",
        // One destination is hardly of two countries: a country and its area.
        "49,30",
        "49, 30",
        "33, 6",
        "33,34,39",
        "44, 4477, 20",
        "4930, 4021",
        "1204, 2265",
        "4477 4478 49",
    ] {
        assert_eq!(told(cell), "ambiguous_prefix", "{cell}");
    }
}

/// What is between a country code and the end may be one prefix in groups, as numbers are written.
#[test]
fn digits_in_groups_are_no_list() {
    for cell in [
        "44 20 7946",
        "44 20 7",
        "44 20 7, 8",
        "1 204 226",
        "+1 204 226",
        "1 204-226",
        "49 30 40",
        "33 6 7",
        "61 38 39",
        "44 4477",
        "+44 4477",
        "44 20, 4477",
        "44 207, 8",
        "49 151, 52",
        "447101 44711",
        "4420 7946",
    ] {
        assert_eq!(told(cell), "ambiguous_prefix", "{cell}");
    }
    for (code, cell) in [
        ("44", "20 7946"),
        ("49", "30 40"),
        ("1", "204 226"),
        ("1", "204-226"),
        ("44", "207, 8"),
    ] {
        for read in [prefixes(cell, Some(code)), areas(cell, code)] {
            assert_eq!(
                read.map_err(|(code, _)| code),
                Err(AMBIGUOUS_PREFIX),
                "{code} {cell}"
            );
        }
    }
}

#[test]
fn whole_prefixes_are_a_list() {
    for (cell, want) in [
        ("4477 4478 4479", "4477 4478 4479"),
        ("4477 4478", "4477 4478"),
        ("4477, 4478 4479", "4477 4478 4479"),
        ("4477,4478;4479|4474", "4477 4478 4479 4474"),
        ("44, 4477", "44 4477"),
        ("49, 4930, 4940", "49 4930 4940"),
        ("7, 77", "7 77"),
        // Longer ones first, as lists in order of their digits are.
        ("447101, 44711, 4472", "ambiguous_prefix"),
        ("447101, 44711, 44712", "447101 44711 44712"),
        ("49151,4917", "49151 4917"),
        ("1876210, 187629, 18763", "1876210 187629 18763"),
        ("1809, 1829, 1849", "1809 1829 1849"),
        ("1809201, 182920", "1809201 182920"),
        ("4477-79, 4481", "4477 4478 4479 4481"),
        ("4915-4917,4930", "4915 4916 4917 4930"),
        // Each says that it is whole.
        ("+33, +34, +39", "33 34 39"),
        ("+33 +34", "33 34"),
        ("0033,0034", "33 34"),
        ("+4930, +40", "4930 40"),
        ("+49 30, +49 40", "4930 4940"),
        ("+4477-+4478, +49", "4477 4478 49"),
        // Networks of no country, and what one country has of several codes.
        ("881, 882", "881 882"),
        ("8816, 88213, 8835", "8816 88213 8835"),
        ("38349, 37744, 37745, 38128", "38349 37744 37745 38128"),
        ("379, 3906698", "379 3906698"),
        ("378, 390549", "378 390549"),
        // Codes that are not given out.
        ("9991, 9992", "9991 9992"),
        // Areas behind a country code.
        ("61 38,39", "6138 6139"),
        ("61 38, 39", "6138 6139"),
        ("49 30, 40", "4930 4940"),
        ("49 30, 211", "4930 49211"),
        ("49 171", "49171"),
        ("212 6", "2126"),
        ("1 204", "1204"),
        ("1 204, 226", "1204 1226"),
        ("39 06, 02", "3906 3902"),
    ] {
        assert_eq!(told(cell), want, "{cell}");
    }
    assert_eq!(
        areas("121, 1223, 20", "44").unwrap().join(" "),
        "44121 441223 4420"
    );
    assert_eq!(areas("0121, 020", "44").unwrap().join(" "), "44121 4420");
}

/// What is meant is told, and how it is written so that it means one thing.
#[test]
fn a_list_that_is_doubtful_says_what_to_write() {
    let detail = |cell: &str| prefixes(cell, None).unwrap_err().1;
    for (cell, parts) in [
        (
            "4477 78 79",
            &["`4477 78 79`", "`78`", "4478", "`4477, 4478`", "+78"][..],
        ),
        ("4930,40", &["`4930,40`", "`40`", "4940", "+40"]),
        ("33,34,39", &["`33,34,39`", "`34`", "3334", "+34"]),
        ("44 20 7946", &["`44 20 7946`", "44207946", "`44 20, 7946`"]),
        ("44 4477", &["`44 4477`", "`4477`", "`44, 4477`"]),
        ("447101 44711", &["`447101 44711`", "`447101, 44711`"]),
        (
            "4930, 4021",
            &["`4021`", "no prefix of the country", "+4021"],
        ),
        ("390 6", &["`390 6`", "+6", "`390, 396`", "3906"]),
        ("447 7", &["`447 7`", "+7", "4477"]),
        (
            "44 20 7",
            &["`44 20 7`", "`+44, +20, +7`", "`44 20, 7`", "44207"],
        ),
        ("44 20", &["`44 20`", "`+44, +20`", "4420"]),
    ] {
        let said = detail(cell);
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{cell}: {said}"
        );
    }
}

#[test]
fn prefixes_of_the_calling_number_are_of_many_countries() {
    let read =
        |cell: &str| origins(cell).map_or_else(|(code, _)| code.to_owned(), |all| all.join(" "));
    for (cell, want) in [
        ("49, 43", "49 43"),
        ("30, 31, 32, 33, 351", "30 31 32 33 351"),
        ("49, 43, 4420", "49 43 4420"),
        ("4420 7", "ambiguous_prefix"),
        ("4930, 40", "ambiguous_prefix"),
        ("44 20 7946", "ambiguous_prefix"),
    ] {
        assert_eq!(read(cell), want, "{cell}");
    }
}

#[test]
fn a_zero_in_brackets_says_that_an_area_follows() {
    for (cell, want) in [
        ("44 (0)20", "4420"),
        ("44(0)20", "4420"),
        ("44 (0) 20", "4420"),
        ("33 (0)6", "336"),
        ("+44 (0) 20", "4420"),
        ("49(0)30, 40", "4930 4940"),
        ("44 (0)20 7946", "ambiguous_prefix"),
        ("39 (0)6", "3906"),
        ("49(0)4912", "494912"),
    ] {
        assert_eq!(told(cell), want, "{cell}");
    }
}

#[test]
fn a_dash_is_a_range_or_stands_before_an_area() {
    for (cell, want) in [
        ("1-204", "1204"),
        ("1-876", "1876"),
        ("+1-876", "1876"),
        ("1-204, 1-226", "1204 1226"),
        ("1 - 204", "1204"),
        ("1-204555", "1204555"),
        ("49-171", "49171"),
        ("4915 - 4917", "4915 4916 4917"),
        ("4915\u{2013}4917", "4915 4916 4917"),
        ("4915 \u{2014} 17", "4915 4916 4917"),
        ("4477-79", "4477 4478 4479"),
        ("390-399", "390 391 392 393 394 395 396 397 398 399"),
        // A range, or an area behind a country code; areas, or one and its exchange.
        ("46 - 7", "ambiguous_prefix"),
        ("1-204-226", "ambiguous_prefix"),
        ("1204-226", "ambiguous_prefix"),
        ("1-204-5", "ambiguous_prefix"),
        ("1-20", "ambiguous_prefix"),
        ("1-1204", "ambiguous_prefix"),
        ("44-4477", "ambiguous_prefix"),
        ("390-6", "ambiguous_prefix"),
        ("881-883", "ambiguous_prefix"),
        // Of two countries.
        ("38-39", "ambiguous_prefix"),
        ("4899-4901", "ambiguous_prefix"),
        ("4479 - 4477", "invalid_prefix"),
    ] {
        assert_eq!(told(cell), want, "{cell}");
    }
}

/// The same of areas and exchanges: `556` was an area of its own, and `212555-556` a prefix of nine
/// digits.
#[test]
fn exchanges_of_north_america_are_whole_or_refused() {
    for (cell, is_area, want) in [
        ("212555, 556", false, "ambiguous_prefix"),
        ("212555 556", false, "ambiguous_prefix"),
        ("212555-556", false, "ambiguous_prefix"),
        ("212555, 213", false, "ambiguous_prefix"),
        ("212 213", true, "ambiguous_prefix"),
        ("201-205", true, "ambiguous_prefix"),
        ("212 555 1 2", false, "ambiguous_prefix"),
        ("1 212555 556", false, "ambiguous_prefix"),
        ("212555", false, "1212555"),
        ("212 555", false, "1212555"),
        ("(212) 555", false, "1212555"),
        ("212.555", false, "1212555"),
        ("1-212-555", false, "1212555"),
        ("+1 212 555 1234", false, "12125551234"),
        ("1212-555", false, "1212555"),
        ("201-205", false, "1201205"),
        ("212, 213", true, "1212 1213"),
        ("212; 213555", false, "1212 1213555"),
        ("1212555, 1213", false, "1212555 1213"),
        ("212555-212557", false, "1212555 1212556 1212557"),
        ("212\u{2013}555", false, "1212555"),
    ] {
        let read = super::super::npanxx::prefixes(cell, is_area)
            .map_or_else(|(code, _)| code.to_owned(), |all| all.join(" "));
        assert_eq!(read, want, "{cell} {is_area}");
    }
}

/// A country code, areas of one length that do not begin with it, and how they are written in one
/// cell.
fn written() -> impl Strategy<Value = (String, Vec<String>, usize, usize)> {
    let codes = select(vec![
        "49", "44", "39", "33", "7", "61", "212", "353", "380", "1",
    ]);
    (
        codes,
        2..5_usize,
        prop::collection::vec("[2-9][1-9]{4}", 1..4),
        0..7_usize,
        1..5_usize,
    )
        .prop_map(|(code, len, areas, form, kept)| {
            let areas = areas
                .into_iter()
                .map(|area| area[..len].to_owned())
                .filter(|area| !area.starts_with(code));
            let mut areas: Vec<String> = Some("3".repeat(len))
                .into_iter()
                .chain(areas)
                .filter(|area| !area.starts_with(code))
                .collect();
            if areas.is_empty() {
                areas.push("8".repeat(len));
            }
            (code.to_owned(), areas, form, kept)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// However somebody writes it, it is what was meant, or refused.
    #[test]
    fn a_list_is_what_was_meant_or_refused((code, areas, form, kept) in written()) {
        let with = |between: &str, parts: &[String]| parts.join(between);
        let mut meant: Vec<String> = areas.iter().map(|area| format!("{code}{area}")).collect();
        let (first, kept) = (meant[0].clone(), kept.min(areas[0].len()));
        // The end of each but the first: `4477, 78`.
        let ends = || -> Vec<String> {
            Some(first.clone()).into_iter().chain(areas[1..].iter().map(|area| area[area.len() - kept..].to_owned())).collect()
        };
        let cell = match form {
            0 => with(", ", &meant),
            1 => with(" ", &meant),
            2 => format!("+{}", with(";+", &meant)),
            3 => format!("{code} {}", with(",", &areas)),
            4 => format!("{code}(0){}", with(", ", &areas)),
            5 => {
                let cell = with([", ", " "][kept % 2], &ends());
                meant = ends().iter().map(|end| format!("{}{end}", &first[..first.len() - end.len()])).collect();
                cell
            }
            _ => {
                meant = vec![format!("{code}{}", areas.concat())];
                format!("{code} {}", with(" ", &areas))
            }
        };
        // Italy keeps its zero.
        let keeps_zero = code == "39";
        match prefixes(&cell, None) {
            Ok(read) => prop_assert!(read.iter().map(|p| p.to_string()).eq(meant.iter().cloned()) || (keeps_zero && form == 4), "{cell}: {read:?}"),
            Err((bad, _)) => {
                prop_assert_eq!(bad, AMBIGUOUS_PREFIX, "{}", &cell);
                prop_assert!(form > 2, "{} is refused", &cell);
            }
        }
    }
}
