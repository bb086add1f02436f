//! Lines of words between records, and columns beside those of the map.

use super::tests::{BOOKINGS, CALLS, outcomes};

const ROW: &str = "2;2026-11-29 09:00:00;50;+4930123456\n";

fn named(more: &str) -> String {
    format!(
        r#"{{"columns":{{"id":"Nr","at":"Start","quantity":"Duration","destination":"To"}},{more}{CALLS}}}"#
    )
}

/// Each was one refused row, or none, and what stands behind it was charged by the titles above.
#[test]
fn a_line_of_words_ends_what_is_read_whatever_figures_it_has() {
    let told = |line: &str, more: &str| {
        outcomes(
            &format!("Nr;Start;Duration;To\n{line}\n{ROW}"),
            &named(more),
        )
    };
    for line in [
        "Nr;Start;Duration (6s);To",
        "Nr;Start;Units (6s);To",
        ";;6s;",
        ";;(6 s);",
        ";;x6;",
        ";;1/10 s;",
        ";;1/60;",
        ";;%;",
        "Nr;Start;€;To",
        "Nr;Start 1;Duration;To",
        "Nr;Start (UTC+1);Duration (min);To",
        "#;yyyy-mm-dd;1 min;E.164",
        "Nr;Start;100 ms;To",
        "Call 2;Start 2;Duration 2 (min);To 2",
        ";UTC+1;;",
        "Nr;2026;Minuten;To",
        "Leg;01.11.2026-30.11.2026;Minuten;",
        ";;;min",
        "Minutes;;;",
        "min;;;",
        "Dauer-in-Minuten;;;",
        "Cents;;;",
        "60s;;;",
        "Durations in minutes;;;",
        "Durations in minutes",
        "Dauern in;;;Minuten",
    ] {
        assert_eq!(told(line, ""), ["invalid_row", "invalid_row"], "{line}");
    }
    // Where durations may have words, too.
    for (line, form) in [
        ("Nr;Start;100 ms;To", "milliseconds"),
        ("#;yyyy-mm-dd;1 min;E.164", "seconds"),
        (";;1 min;", "seconds"),
    ] {
        assert_eq!(
            told(line, &format!(r#""duration_form":"{form}","#)),
            ["invalid_row", "invalid_row"],
            "{line}"
        );
    }
}

/// A record that cannot be read, or is none, says nothing of the others.
#[test]
fn a_record_that_cannot_be_read_costs_only_itself() {
    let told = |line: &str, more: &str| {
        outcomes(
            &format!("Nr;Start;Duration;To\n{line}\n{ROW}"),
            &named(more),
        )
    };
    for (line, want) in [
        ("1;29.11.2026 09:00;50;+4930123456", "invalid_field"),
        ("1;2026-11-29 09:00:00;fifty;+4930123456", "invalid_field"),
        ("1;2026-11-29 09:00:00;;+4930123456", "missing_field"),
        ("1;2026-11-29 09:00 CET;;+4930123456", "invalid_field"),
        ("1;11/1/2026 12:00:00 AM;0m 0s;+4930123456", "invalid_field"),
        ("1;;;", "skipped"),
        ("1795165644.0;;;", "skipped"),
        ("t-17;;;", "skipped"),
        ("6f5902ac-0101-4a0b-9c00-00000000010a;;;", "skipped"),
        ("abc;;;+4930123456", "skipped"),
        (";;1234;", "missing_field"),
        (";2026-11-29T09:00:00Z;;", "missing_field"),
        ("Nr;Start;Duration;To", "skipped"),
    ] {
        assert_eq!(told(line, ""), [want, "50"], "{line}");
    }
    let worded = r#""duration_form":"seconds","#;
    assert_eq!(
        told("1;2026-11-31 09:00;1m 23s;+4930123456", worded),
        ["invalid_field", "50"]
    );
    // A word that says whether the call was answered.
    let states = named("").replace(r#""destination":"To""#, r#""disposition":"To""#);
    let rows = "Nr;Start;Duration;To\nabc;-;none;NO ANSWER\n2;2026-11-29 \
        09:00:00;50;ANSWERED\nNr;Start;Duration;State\n";
    assert_eq!(outcomes(rows, &states), ["skipped", "50", "invalid_row"]);
}

/// A note was skipped as a call that was not answered, or was taken for the titles.
#[test]
fn notes_above_records_without_titles_are_no_titles() {
    let map = |more: &str| {
        format!(r#"{{"columns":{{"id":0,"at":1,"quantity":2,"destination":3}},{more}{CALLS}}}"#)
    };
    let rows = |line: &str, more: &str| {
        outcomes(
            &format!("\n1;2026-11-29 09:00:00;50;+4930123456\n{line}\n{ROW}"),
            &map(more),
        )
    };
    for line in ["Minutes;;;", "Nr;Start;Units (6s);To"] {
        assert_eq!(
            rows(line, r#""headless":true,"#),
            ["invalid_row", "invalid_row"],
            "{line}"
        );
        let first = outcomes(&format!("{line}\n{ROW}"), &map(r#""headless":true,"#));
        assert_eq!(first, ["invalid_row"], "{line}");
    }
    for line in [
        "Durations in minutes;;;",
        "Minutes;;;",
        ";;;min",
        "Nr;Start;;To",
    ] {
        assert_eq!(
            outcomes(&format!("{line}\n{ROW}"), &map(r#""headless":false,"#)),
            ["file: ambiguous_column"],
            "{line}"
        );
    }
    assert_eq!(
        outcomes(
            &format!("Nr;Start;Duration;To\n{ROW}"),
            &map(r#""headless":false,"#)
        ),
        ["50"]
    );
    // Named by one of its titles, the line is known; the others may be without.
    let one = map(r#""headless":false,"#).replace(r#""quantity":2"#, r#""quantity":"Duration""#);
    assert_eq!(
        outcomes(&format!(";Start;Duration;To\n{ROW}"), &one),
        ["50"]
    );
}

/// Each was passed over: five minutes as five seconds, dollars as euros, a call that nobody
/// answered.
#[test]
fn columns_that_say_what_numbers_are_or_whether_a_row_counts_are_mapped_or_left_out() {
    let told = |field: &str, title: &str, more: &str| {
        let (measure, stated) = if field == "amount" {
            ("Amount", BOOKINGS)
        } else {
            ("Duration", CALLS)
        };
        let map = format!(
            r#"{{"columns":{{"id":"Nr","at":"Start","{field}":"{measure}"}},{more}{stated}}}"#
        );
        outcomes(
            &format!("Nr;Start;{measure};{title}\n1;2026-11-29 09:00:00;5;x\n"),
            &map,
        )
    };
    for title in [
        "Unit",
        "unit",
        "Duration unit",
        "DurationUnit",
        "Einheit",
        "Unité",
        "Status",
        "Call disposition",
        "Hangup cause",
        "hangup_cause",
        "HangupCause",
        "Answered",
        "Void",
        "Storno",
        "Ergebnis",
        "Résultat",
        "Estado",
        "Esito",
    ] {
        assert_eq!(
            told("quantity", title, ""),
            ["file: unknown_column"],
            "{title}"
        );
        assert_eq!(
            told(
                "quantity",
                title,
                &format!(r#""ignore_columns":["{}"],"#, title.to_lowercase())
            ),
            ["5"],
            "{title}"
        );
        assert_eq!(
            told(
                "quantity",
                title,
                &format!(r#""attributes":{{"x":"{title}"}},"#)
            ),
            ["5"],
            "{title}"
        );
    }
    for title in [
        "Currency",
        "Währung",
        "Devise",
        "Moneda",
        "Valuta",
        "Currency code",
    ] {
        assert_eq!(
            told("amount", title, ""),
            ["file: unknown_column"],
            "{title}"
        );
        assert_eq!(
            told("amount", title, r#""ignore_columns":[3],"#),
            ["1 5"],
            "{title}"
        );
        // Nothing of it is charged.
        assert_eq!(told("quantity", title, ""), ["5"], "{title}");
    }
    for title in [
        "Status code of the switch",
        "Trunk",
        "Type",
        "Caller",
        "Units",
    ] {
        assert_eq!(told("quantity", title, ""), ["5"], "{title}");
    }
    // One that is not there is a mistake.
    assert_eq!(
        told("quantity", "Unit", r#""ignore_columns":["Units"],"#),
        ["file: unknown_column"]
    );
    assert_eq!(
        told("quantity", "Trunk", r#""ignore_columns":["Units"],"#),
        ["file: unknown_column"]
    );
}
