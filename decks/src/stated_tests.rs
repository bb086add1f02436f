//! Titles of columns that are stated: understood by all their words, or refused until it is stated
//! what the numbers are.

use super::kinds_tests::{map, stopped};
use super::tests::{berlin, told};

/// The problem's code, or what is read of the row.
fn read(titles: &str, row: &str, options: &str) -> String {
    let deck = format!("{titles}\n{row}\n");
    match super::super::parse(deck.as_bytes(), &map(options)) {
        Ok(_) => told(&deck, &map(options)).join("; "),
        Err(problem) => problem.code.to_string(),
    }
}

/// Each was charged as 2.00 a minute.
#[test]
fn a_price_whose_title_has_an_unknown_word_is_refused() {
    for title in [
        "Cost (millicents)",
        "Zehntelcent",
        "tausendstel",
        "Rate tenths",
        "Rate in thousandths",
        "Rate k",
        "Rate bp",
        "Rate in öre",
        "Rate in centavos",
        "Rate BTC",
        "Minutes per EUR",
        "Units per minute",
        "Flat rate",
        "Markup",
        "Margin",
        "Rate Peak",
        "Weekend",
        "Tarif heures creuses",
        "Price, gross",
        "Price per call",
        "Rate incl. VAT",
        "Rate 2",
    ] {
        let titles = format!("Prefix;Destination;{title}");
        let column = format!(r#""columns":{{"price":"{title}"}}"#);
        assert_eq!(
            read(&titles, "9991;X;2", &format!("{{{column}}}")),
            "ambiguous_unit",
            "{title}"
        );
        let by_number = r#"{"columns":{"prefix":0,"destination":1,"price":2},"headless":false}"#;
        assert_eq!(
            read(&titles, "9991;X;2", by_number),
            "ambiguous_unit",
            "{title}"
        );
        // Who states what the numbers are knows it.
        let stated = format!(r#"{{{column},"per":"60","cents":false}}"#);
        assert_eq!(
            read(&titles, "9991;X;2", &stated),
            "9991 X 2/60 1/1",
            "{title}"
        );
    }
    for (title, want) in [
        ("Our rate", "2/60"),
        ("Unser Preis (ct)", "0.02/60"),
        ("Sell price per second", "2/1"),
        ("Neuer Tarif EUR/min", "2/60"),
        ("Votre prix", "2/60"),
        ("Agreed price, outbound", "2/60"),
    ] {
        let options = format!(r#"{{"columns":{{"price":"{title}"}}}}"#);
        assert_eq!(
            read(&format!("Prefix;Destination;{title}"), "9991;X;2", &options),
            format!("9991 X {want} 1/1"),
            "{title}"
        );
    }
    let refused = stopped(
        "Prefix;Markup\n9991;2\n",
        &map(r#"{"columns":{"price":"Markup"}}"#),
    );
    assert!(refused.contains("`per`, `cents`"), "{refused}");
}

/// `Min dur (ms)` of 1000 was 1000 seconds.
#[test]
fn a_length_whose_title_has_an_unknown_word_is_refused() {
    for (field, title) in [
        ("minimum_duration", "Min dur (ms)"),
        ("minimum_duration", "Min dur units"),
        ("minimum_duration", "Min dur (pulses)"),
        ("increments", "Increment (ms)"),
        ("increments", "Increment ms"),
        ("increments", "Billing increment (tenths)"),
        ("initial", "Pulses"),
        ("included", "Free units"),
    ] {
        let options = format!(r#"{{"columns":{{"{field}":"{title}"}},"next":"1"}}"#);
        assert_eq!(
            read(&format!("Prefix;Rate;{title}"), "9991;2;1000", &options),
            "ambiguous_unit",
            "{title}"
        );
    }
    for (field, title, want) in [
        ("increments", "1st & next billing step", "9991  2/60 60/60"),
        (
            "minimum_duration",
            "Least duration billed (minutes)",
            "ambiguous_unit",
        ),
        (
            "minimum_duration",
            "Minimum billed duration (minutes)",
            "9991  2/60 1/1 >3600",
        ),
        ("increments", "Abrechnung Takt", "9991  2/60 60/60"),
    ] {
        let options = format!(r#"{{"columns":{{"{field}":"{title}"}}}}"#);
        assert_eq!(
            read(&format!("Prefix;Rate;{title}"), "9991;2;60", &options),
            want,
            "{title}"
        );
    }
}

/// Each was read in the card's zone, in the order stated, and to the end of the day.
#[test]
fn a_date_whose_title_has_an_unknown_word_is_refused() {
    for title in [
        "Effective MDY",
        "Date MMDDYY",
        "Effective Date PST",
        "Effective Date Z",
        "Effective Date Zulu",
        "Effective Date +02:00",
        "Effective Date Asia/Tokyo",
        "Effective Date - Eastern Time",
        "Effective after",
        "Closed on",
    ] {
        let options =
            format!(r#"{{"columns":{{"effective_from":"{title}"}},"date_form":"day_first"}}"#);
        assert_eq!(
            read(
                &format!("Prefix;Rate;{title}"),
                "9991;2;03/04/2027",
                &options
            ),
            "ambiguous_date",
            "{title}"
        );
    }
    for title in [
        "Valid before",
        "Ends before",
        "Closed from",
        "bis ausschließlich",
        "First day without",
        "Ends (beginning of day)",
    ] {
        let options = format!(r#"{{"columns":{{"effective_until":"{title}"}}}}"#);
        assert_eq!(
            read(
                &format!("Prefix;Rate;{title}"),
                "9991;2;2027-01-01",
                &options
            ),
            "ambiguous_date",
            "{title}"
        );
    }
    for (field, title) in [
        ("effective_from", "Price valid from"),
        ("effective_from", "Start date"),
        ("effective_until", "End of validity"),
        ("effective_from", "Gültig ab Datum"),
    ] {
        let options = format!(r#"{{"columns":{{"{field}":"{title}"}}}}"#);
        assert!(
            read(
                &format!("Prefix;Rate;{title}"),
                "9991;2;2027-01-01",
                &options
            )
            .starts_with("9991"),
            "{title}"
        );
    }
}

#[test]
fn an_end_that_is_an_instant_is_one_also_without_a_time() {
    let until = |title: &str, valid_to: &str, cell: &str| {
        let options = format!(r#"{{"columns":{{"effective_until":"{title}"}}{valid_to}}}"#);
        let deck = format!("Prefix;Rate;{title}\n9991;2;{cell}\n");
        let read = super::super::parse(deck.as_bytes(), &map(&options));
        read.map_or_else(
            |problem| problem.code.to_string(),
            |deck| deck.period(&deck.rows[0]).until.unwrap().to_string(),
        )
    };
    let (day, instant) = (r#","valid_to":"day""#, r#","valid_to":"instant""#);
    for (title, valid_to, cell, want) in [
        ("Valid to (exclusive)", "", "2027-01-01", "ambiguous_date"),
        ("Valid to (exclusive)", day, "2027-01-01", "ambiguous_date"),
        (
            "Valid to (exclusive)",
            instant,
            "2027-01-01",
            "2026-12-31T23:00:00Z",
        ),
        ("Valid to", instant, "01.01.2027", "2026-12-31T23:00:00Z"),
        ("Valid to", day, "2027-01-01", "2027-01-01T23:00:00Z"),
        ("Valid to", "", "2027-01-01", "2027-01-01T23:00:00Z"),
        (
            "Valid to (inclusive)",
            instant,
            "2027-01-01 00:00",
            "ambiguous_date",
        ),
        (
            "Valid to (inclusive)",
            day,
            "2027-01-01 00:00",
            "2027-01-01T23:00:00Z",
        ),
    ] {
        let valid_to = if cell.contains('.') {
            format!(r#"{valid_to},"date_form":"day_first""#)
        } else {
            valid_to.to_owned()
        };
        assert_eq!(
            until(title, &valid_to, cell),
            want,
            "{title} {valid_to} {cell}"
        );
    }
}

#[test]
fn prefixes_whose_title_says_that_they_are_none_are_refused() {
    for title in [
        "Vorwahl (ohne 49)",
        "National prefix",
        "Prefix without country code",
        "MCC",
        "LRN",
        "Excluded prefix",
        "Blocked prefixes",
    ] {
        let options = format!(r#"{{"columns":{{"prefix":"{title}"}}}}"#);
        assert_eq!(
            read(&format!("{title};Rate"), "212;2", &options),
            "ambiguous_column",
            "{title}"
        );
    }
    assert_eq!(
        read(
            "Dialling area;Rate",
            "9991;2",
            r#"{"columns":{"prefix":"Dialling area"}}"#
        ),
        "9991  2/60 1/1"
    );
}

/// What is behind such a line was sold by the titles at the beginning.
#[test]
fn a_line_of_words_with_figures_is_no_row() {
    for words in [
        "Prefix 1;Name;Rate (ct)",
        "E.164;Name;Rate (ct)",
        "Prefix;Name;ct/100",
        "Code;Country;€/100 min",
        ";;0.01 €",
        ";;€ / 60 s",
        "Code 2;Country;ct",
        ";;(6s)",
        ";;per 1 s",
        "Vorwahl;Land;Preis 2027",
    ] {
        let read = told(
            &format!("Prefix;Name;Rate\n9991;X;2\n{words}\n9992;Y;2\n"),
            &berlin(),
        );
        assert_eq!(read[0], "9991 X 2/60 1/1", "{words}");
        assert!(
            read.len() == 3 && read[2].starts_with("line 4 : invalid_row"),
            "{words}: {read:?}"
        );
        let by_number =
            map(r#"{"headless":true,"columns":{"prefix":0,"destination":1,"price":2}}"#);
        let read = told(&format!("{words}\n9992;Y;2\n"), &by_number);
        assert!(
            read.iter().all(|line| line.starts_with("line ")),
            "{words}: {read:?}"
        );
    }
    // A bad row costs itself alone.
    for row in [
        "9992;Y;free of charge",
        "49x;Y;0.02",
        ";Y;0.02 EUR",
        "Mobile;;",
    ] {
        let read = told(&format!("Prefix;Name;Rate\n{row}\n9993;Z;2\n"), &berlin());
        assert_eq!(read[0], "9993 Z 2/60 1/1", "{row}: {read:?}");
    }
}

#[test]
fn periods_of_one_prefix_do_not_overlap() {
    let deck = |end: &str, begin: &str| {
        format!(
            "Prefix;Rate;Valid from;Valid to\n9991;1;2026-11-01;{end}\n9991;2;{begin};\n9992;3;;\n"
        )
    };
    let read = told(&deck("2027-01-31", "2027-01-01"), &berlin());
    assert_eq!(
        read,
        [
            "9992  3/60 1/1",
            "line 2 : contradiction",
            "line 3 : contradiction"
        ]
    );
    for (end, begin) in [
        ("2026-12-31", "2027-01-01"),
        ("2026-12-30", "2027-01-01"),
        ("", "2027-01-01"),
    ] {
        assert_eq!(told(&deck(end, begin), &berlin()).len(), 3, "{end} {begin}");
        assert!(
            told(&deck(end, begin), &berlin())
                .iter()
                .all(|line| !line.contains("contradiction")),
            "{end} {begin}"
        );
    }
}

/// The other row changed its price.
#[test]
fn a_prefix_that_a_refused_row_names_keeps_its_price() {
    let read = told(
        "Prefix,Name,Rate,Notes\n9991,Berlin,0.01,x2\n9991,Berlin,0.01,\n9992,Bonn,0.02,\n",
        &berlin(),
    );
    assert_eq!(read, ["9992 Bonn 0.02/60 1/1", "line 2 Notes: unread_note"]);
}
