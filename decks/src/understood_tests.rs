//! What people write in notes and titles: understood as a whole, or refused in words that help.

use super::super::parse;
use super::kinds_tests::{map, stopped};
use super::tests::{berlin, told};
use crate::options::DeckOptions;
use formats::input::table::Column;

/// Each of them passed as meaning nothing: a note of which any word is not known to mean nothing is
/// refused.
#[test]
fn a_note_is_understood_as_a_whole_or_refused() {
    for note in [
        "excl. Sat",
        "only CLI",
        "x2",
        "0.05",
        "ceased",
        "not available",
        "nuit",
        "solo fine settimana",
        "HT",
        "GBP",
        "min",
        "60",
        "Sa/So",
        "zzgl.",
        "nur Mobil",
        "nicht verfügbar",
        "eingestellt",
        "indisponible",
        "hors service",
        "week-end",
        "no disponible",
        "sólo noche",
        "sin IVA",
        "non disponibile",
        "IVA esclusa",
        "notte",
        "festivi",
        "EUR",
        "US$",
        "euros",
        "×2",
        "1.5x",
        "+10",
        "double",
        "% increase",
        "new!",
        "price",
        "half",
        "*",
        "see note 1",
        "call us for price",
        "EEA origin",
        "from EU",
        "Montag",
        "dimanche",
        "sábado",
        "domenica",
        "via Frankfurt",
        "valid",
        "effective",
        "Christmas",
    ] {
        let deck = format!("Prefix;Rate;Notes\n9991;0.02;{note}\n");
        let refused = parse(deck.as_bytes(), &berlin()).unwrap().refused;
        assert_eq!(
            refused.first().map(|row| &*row.code),
            Some("unread_note"),
            "{note}"
        );
        assert!(
            refused[0].detail.contains(&format!("`{note}`"))
                && refused[0].detail.contains("--ignore-column `Notes`"),
            "{refused:?}"
        );
        let left_out = DeckOptions {
            ignore_columns: vec![Column::Name("Notes".into())],
            ..berlin()
        };
        assert_eq!(told(&deck, &left_out), ["9991  0.02/60 1/1"], "{note}");
    }
    let prose = "new ".repeat(60);
    for (title, cell, is_read) in [
        ("Notes", &*prose, false),
        ("Notes", &prose[..100], true),
        ("Notes", "New rate", true),
        ("Notes", "Price decrease", true),
        ("Region", "Europe", true),
        ("Region", "Western Europe", true),
        ("Region", "HT", true),
        ("Region", "EEA", true),
        ("Region", "Zone 2", true),
        ("Region", "Naher Osten", true),
        ("Region", "Moyen-Orient", true),
        ("Region", "Medio", false),
        ("Region", "EEA origin", false),
        ("Region", "GBP", false),
        ("Region", "2", false),
        ("Region", "Zone 0.05", false),
        ("Region", "blocked", false),
        ("Continent", "North America", true),
        ("ISO", "HT", true),
        ("ISO3", "HTI", true),
        ("ISO3", "CHE", true),
        ("ISO Code", "USD", false),
        ("ISO Code", "x2", false),
        ("Country ISO", "DE peak", false),
    ] {
        let deck = format!("Prefix,Rate,{title}\n9991,0.02,{cell}\n");
        let want = if is_read {
            "9991  0.02/60 1/1".to_owned()
        } else {
            format!("line 2 {title}: unread_note")
        };
        assert_eq!(told(&deck, &berlin()), [want], "{title} {cell}");
    }
}

/// Usual titles and values that were not known.
#[test]
fn usual_titles_of_increments_are_known() {
    for (titles, row, want) in [
        ("Interval 1,Interval N", "60,1", "60/1"),
        ("interval_1,interval_n", "60,6", "60/6"),
        ("Interval 1,Interval 2", "60,6", "60/6"),
        ("Takt 1,Takt 2", "60,1", "60/1"),
        ("1. Takt,2. Takt", "60,1", "60/1"),
        ("Increment 1,Increment N", "30,6", "30/6"),
        ("Billing interval", "60/60", "60/60"),
        ("Billing increment", "6", "6/6"),
        ("Billing", "60/60", "60/60"),
        ("Initial interval,Billing interval", "60,1", "60/1"),
    ] {
        assert_eq!(
            told(
                &format!("Prefix,Rate,{titles}\n9991,0.02,{row}\n"),
                &berlin()
            ),
            [format!("9991  0.02/60 {want}")],
            "{titles}"
        );
    }
    // One of them alone says nothing of the other.
    assert_eq!(
        told("Prefix,Rate,Interval 1\n9991,0.02,60\n", &berlin()),
        ["line 2 Interval 1: missing_increment"]
    );
}

#[test]
fn a_new_rate_beside_an_old_one() {
    let both = "Prefix,Destination,New Rate,Old Rate,Effective Date\n9991,x,0.02,0.03,2026-12-01\n";
    let stop = stopped(both, &berlin());
    assert!(
        stop.starts_with("unknown_column: ")
            && stop.contains("`Old Rate`")
            && stop.contains("--ignore-column"),
        "{stop}"
    );
    assert!(!stop.contains("New Rate"), "{stop}");
    let named = DeckOptions {
        ignore_columns: vec![Column::Name("Old Rate".into())],
        ..berlin()
    };
    assert_eq!(
        told(both, &named),
        ["9991 x 0.02/60 1/1 from 2026-11-30T23:00:00Z"]
    );
    for title in [
        "New price",
        "Neuer Preis",
        "Nouveau prix",
        "Nuevo precio",
        "Nuovo prezzo",
        "New Rate (EUR/min)",
        "New rate per minute",
    ] {
        assert_eq!(
            told(&format!("Prefix,{title}\n9991,0.02\n"), &berlin()),
            ["9991  0.02/60 1/1"],
            "{title}"
        );
    }
    // Two prices, of which nobody says which counts.
    assert!(
        stopped("Prefix,Rate,New Rate\n9991,0.02,0.03\n", &berlin())
            .starts_with("ambiguous_column")
    );
    assert_eq!(
        told("Prefix,New Rate\n9991,\n", &berlin()),
        ["line 2 New Rate: missing_price"]
    );
}

#[test]
fn a_price_that_is_in_force_at_once_has_no_date() {
    for cell in [
        "immediately",
        "Immediate",
        "sofort",
        "ab sofort",
        "now",
        "at once",
        "immédiatement",
        "inmediato",
        "immediato",
        "With immediate effect",
    ] {
        assert_eq!(
            told(
                &format!("Prefix,Rate,Effective date\n9991,0.02,{cell}\n"),
                &berlin()
            ),
            ["9991  0.02/60 1/1"],
            "{cell}"
        );
    }
    // An end is a date.
    for (title, cell) in [
        ("Valid to", "immediately"),
        ("Effective date", "soon"),
        ("Effective date", "asap"),
        ("Effective date", "7 days"),
    ] {
        let deck = parse(
            format!("Prefix,Rate,{title}\n9991,0.02,{cell}\n").as_bytes(),
            &berlin(),
        )
        .unwrap();
        assert_eq!(
            deck.refused.first().map(|row| &*row.code),
            Some("invalid_date"),
            "{cell}"
        );
    }
}

#[test]
fn a_file_without_prefixes_or_without_prices_says_which() {
    let missing = |text: &str| stopped(text, &berlin());
    let stop = missing("Prefix,Destination,Offer\n9991,x,0.02\n");
    assert!(
        stop.contains("no line of titles has a price beside `Prefix`")
            && stop.contains("`Offer`")
            && stop.contains("\"price\":"),
        "{stop}"
    );
    let stop = missing("Tariff\nArea,Destination,Rate\n9991,x,0.02\n");
    assert!(
        stop.contains("no line of titles has a prefix beside `Rate`")
            && stop.contains("`Area`")
            && stop.contains("\"prefix\":"),
        "{stop}"
    );
    let stop = missing("a,b\n1,2\n");
    assert!(
        stop.contains("neither a prefix nor a price") && stop.contains("headless"),
        "{stop}"
    );
}

/// A line above the titles that dates all rows.
#[test]
fn a_date_above_the_titles_is_that_of_all_rows() {
    for line in [
        "Effective date: 2026-12-01",
        "Effective date,2026-12-01",
        "Gültig ab: 1.12.2026",
        "Valid from: 1 Dec 2026",
        "Decorrenza: 1 dicembre 2026",
    ] {
        let deck = format!("{line},\n,,\nPrefix,Destination,Rate\n9991,x,0.02\n");
        let options = DeckOptions {
            date_form: formats::input::when::DateForm::DayFirst,
            ..berlin()
        };
        assert_eq!(
            told(&deck, &options),
            ["9991 x 0.02/60 1/1 from 2026-11-30T23:00:00Z"],
            "{line}"
        );
    }
    assert_eq!(
        told(
            "Effective date: immediately\nPrefix,Rate\n9991,0.02\n",
            &berlin()
        ),
        ["9991  0.02/60 1/1"]
    );
    for (line, titles) in [
        ("Effective date: 2026-12-01", "Prefix,Rate,Effective date"),
        (
            "Effective date: 2026-12-01\nValid from: 2026-12-02",
            "Prefix,Rate,Notes",
        ),
        ("Effective date: 1/12/2026", "Prefix,Rate,Notes"),
        ("Effective date: 2026-12-01 60/60", "Prefix,Rate,Notes"),
        ("Valid until: 2026-12-31", "Prefix,Rate,Notes"),
        ("Date: 2026-12-01", "Prefix,Rate,Notes"),
        ("Valid from 2026-12-01", "Prefix,Rate,Notes"),
    ] {
        let stop = stopped(&format!("{line}\n{titles}\n9991,0.02,\n"), &berlin());
        assert!(
            stop.starts_with("unknown_line: ")
                && stop.contains("Effective date: 2026-12-01")
                && stop.contains("--skip-lines"),
            "{stop}"
        );
    }
}

/// The message says that a column can be stated: who does so does not lose its unit.
#[test]
fn a_stated_column_has_the_unit_of_its_title_or_is_refused() {
    let options =
        |title: &str, more: &str| map(&format!(r#"{{"columns":{{"price":"{title}"}}{more}}}"#));
    let deck = |title: &str| format!("Prefix,{title}\n9991,0.02\n");
    for (title, want) in [
        ("Our offer", "9991  0.02/60 1/1"),
        ("Our offer cents/min", "9991  0.0002/60 1/1"),
        ("Unsere Konditionen (ct)", "9991  0.0002/60 1/1"),
        ("Our offer per second", "9991  0.02/1 1/1"),
    ] {
        assert_eq!(told(&deck(title), &options(title, "")), [want], "{title}");
    }
    for title in [
        "Rate per 10 seconds",
        "Rate/6s",
        "Price per call",
        "Rate (mills)",
        "Rate x100",
        "Monthly rate",
        "Price per SMS",
        "Rate %",
        "Preis in Rp.",
        "Inbound rate",
        "Preis inkl. MwSt",
    ] {
        let stop = stopped(&deck(title), &options(title, ""));
        assert!(stop.contains("ambiguous_unit"), "{title}: {stop}");
        // Whoever says both knows what it is.
        assert_eq!(
            told(
                &deck(title),
                &options(title, r#","per":"60","cents":false"#)
            ),
            ["9991  0.02/60 1/1"],
            "{title}"
        );
    }
    let durations = "Prefix,Rate,Min. Dauer (min)\n9991,0.02,2\n";
    let minutes = told(
        durations,
        &map(r#"{"columns":{"minimum_duration":"Min. Dauer (min)"}}"#),
    );
    assert!(minutes[0].contains("120"), "{minutes:?}");
}

/// A figure in one title made the line a row, and a note above the titles the titles: what they say
/// of the price was not looked at.
#[test]
fn columns_by_number_have_titles_all_the_same() {
    let by_index =
        map(r#"{"columns":{"prefix":0,"destination":1,"price":2},"ignore_columns":[3]}"#);
    let stated = |headless: bool| DeckOptions {
        headless: Some(headless),
        ..by_index.clone()
    };
    for titles in [
        "E.164;Name;Rate (ct);x",
        "Prefix (E164);Name;Rate;x",
        "Prefix 1;Name;Rate;x",
        "Prefix;Name;€/100min;x",
        "Prefix;Name;0.01 €;x",
    ] {
        let stop = stopped(&format!("{titles}\n49;Germany;2;x\n"), &by_index);
        assert!(stop.contains("headless"), "{titles}: {stop}");
    }
    assert_eq!(
        told("E.164;Name;Rate (ct);x\n49;Germany;2;x\n", &stated(false)),
        ["49 Germany 0.02/60 1/1"]
    );
    assert_eq!(
        told(
            "Price list;;;\nE.164;Name;Rate (ct);x\n49;Germany;2;x\n",
            &stated(false)
        )
        .len(),
        1
    );
    assert_eq!(
        told("Prefix;Name;Rate (ct);x\n49;Germany;2;x\n", &by_index),
        ["49 Germany 0.02/60 1/1"]
    );
    // What stands above is read as it is above titles.
    for note in ["Prices in cents;;;", "Currency;USD;;", "Billing 60/60;;;"] {
        for titles in ["", "Prefix;Name;Rate;x\n"] {
            let by = DeckOptions {
                currency: "EUR".parse().ok(),
                ..by_index.clone()
            };
            let read = parse(format!("{note}\n{titles}49;Germany;2;x\n").as_bytes(), &by);
            let is_read = read.as_ref().is_ok_and(|deck| {
                note.starts_with("Billing")
                    && deck
                        .rows
                        .iter()
                        .all(|row| deck.terms(row).initial.to_string() == "60")
            });
            assert!(read.is_err() || is_read, "{note} {titles}: {read:?}");
        }
    }
}

/// A line of units, or the titles of another list.
#[test]
fn what_stands_behind_other_titles_is_not_read_by_the_first() {
    for titles in [";;(ct)", "Code;Name;Cents per minute"] {
        let rows = told(
            &format!("Prefix;Name;Rate\n49;Germany;2\n{titles}\n33;France;2\n"),
            &berlin(),
        );
        assert_eq!(rows[..1], ["49 Germany 2/60 1/1"], "{titles}");
        assert!(
            rows[1].starts_with("line 3 ") && rows[2].starts_with("line 4 ") && rows.len() == 3,
            "{titles}: {rows:?}"
        );
    }
    let rows = told(
        "Prefix;Name;Rate\n49;Germany;2\nPrefix;Name;Rate\n33;France;2\n",
        &berlin(),
    );
    assert!(rows.contains(&"33 France 2/60 1/1".to_owned()), "{rows:?}");
}

#[test]
fn titles_of_dates_that_are_stated_agree_with_how_they_are_read() {
    let dated = |title: &str, field: &str, more: &str| {
        let options = map(&format!(
            r#"{{"columns":{{"{field}":"{title}"}},"zone":"Europe/Berlin"{more}}}"#
        ));
        parse(
            format!("Prefix;Name;Rate;{title}\n49;Germany;0.02;2027-01-01\n").as_bytes(),
            &options,
        )
        .map_err(|problem| problem.code)
    };
    for (title, field, more, code) in [
        (
            "Effective Date (GMT)",
            "effective_from",
            "",
            "ambiguous_zone",
        ),
        (
            "Effective Date (EST)",
            "effective_from",
            "",
            "ambiguous_date",
        ),
        (
            "Effective Date (MM/DD/YYYY)",
            "effective_from",
            r#","date_form":"day_first""#,
            "ambiguous_date",
        ),
        (
            "Valid to (exclusive)",
            "effective_until",
            "",
            "ambiguous_date",
        ),
        (
            "Valid to, exclusive",
            "effective_until",
            "",
            "ambiguous_date",
        ),
    ] {
        assert_eq!(
            dated(title, field, more).unwrap_err().as_str(),
            code,
            "{title}"
        );
    }
    for (title, field, more) in [
        ("Change date", "effective_from", ""),
        ("Effective Date (YYYY-MM-DD)", "effective_from", ""),
        (
            "Valid to (exclusive)",
            "effective_until",
            r#","valid_to":"instant""#,
        ),
    ] {
        assert!(
            dated(title, field, more).is_ok(),
            "{title}: {:?}",
            dated(title, field, more)
        );
    }
}

#[test]
fn ordinals_in_titles_of_increments_are_no_units() {
    let stated = |first: &str, next: &str| {
        let options = map(&format!(
            r#"{{"columns":{{"initial":"{first}","next":"{next}"}}}}"#
        ));
        (
            format!("Prefix;Name;Rate;{first};{next}\n49;Germany;0.02;30;6\n"),
            options,
        )
    };
    for (first, next) in [("1st Increment", "2nd Increment"), ("Step 1", "Step 2")] {
        let (file, options) = stated(first, next);
        assert_eq!(
            told(&file, &options),
            ["49 Germany 0.02/60 30/6"],
            "{first}"
        );
    }
    let (file, options) = stated("First (6 s)", "Then");
    let stop = stopped(&file, &options);
    assert!(
        stop.contains("`initial` and `next`") && !stop.contains("cents"),
        "{stop}"
    );
}
