//! What people write in notes and titles: understood as a whole, or refused in words that help.

use super::super::{DeckOptions, parse};
use super::kinds_tests::{map, stopped};
use super::tests::{berlin, told};
use crate::input::table::Column;

/// Each of them passed as meaning nothing: a note of which any word is not known to mean nothing is refused.
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
        assert_eq!(refused.first().map(|row| &*row.code), Some("unread_note"), "{note}");
        assert!(refused[0].detail.contains(&format!("`{note}`")) && refused[0].detail.contains("--ignore-column `Notes`"), "{refused:?}");
        let left_out = DeckOptions { ignore_columns: vec![Column::Name("Notes".into())], ..berlin() };
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
        let want = if is_read { "9991  0.02/60 1/1".to_owned() } else { format!("line 2 {title}: unread_note") };
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
        assert_eq!(told(&format!("Prefix,Rate,{titles}\n9991,0.02,{row}\n"), &berlin()), [format!("9991  0.02/60 {want}")], "{titles}");
    }
    // One of them alone says nothing of the other.
    assert_eq!(told("Prefix,Rate,Interval 1\n9991,0.02,60\n", &berlin()), ["line 2 Interval 1: missing_increment"]);
}

#[test]
fn a_new_rate_beside_an_old_one() {
    let both = "Prefix,Destination,New Rate,Old Rate,Effective Date\n9991,x,0.02,0.03,2026-12-01\n";
    let stop = stopped(both, &berlin());
    assert!(stop.starts_with("unknown_column: ") && stop.contains("`Old Rate`") && stop.contains("--ignore-column"), "{stop}");
    assert!(!stop.contains("New Rate"), "{stop}");
    let named = DeckOptions { ignore_columns: vec![Column::Name("Old Rate".into())], ..berlin() };
    assert_eq!(told(both, &named), ["9991 x 0.02/60 1/1 from 2026-11-30T23:00:00Z"]);
    for title in ["New price", "Neuer Preis", "Nouveau prix", "Nuevo precio", "Nuovo prezzo", "New Rate (EUR/min)", "New rate per minute"] {
        assert_eq!(told(&format!("Prefix,{title}\n9991,0.02\n"), &berlin()), ["9991  0.02/60 1/1"], "{title}");
    }
    // Two prices, of which nobody says which counts.
    assert!(stopped("Prefix,Rate,New Rate\n9991,0.02,0.03\n", &berlin()).starts_with("ambiguous_column"));
    assert_eq!(told("Prefix,New Rate\n9991,\n", &berlin()), ["line 2 New Rate: missing_price"]);
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
        assert_eq!(told(&format!("Prefix,Rate,Effective date\n9991,0.02,{cell}\n"), &berlin()), ["9991  0.02/60 1/1"], "{cell}");
    }
    // An end is a date.
    for (title, cell) in [("Valid to", "immediately"), ("Effective date", "soon"), ("Effective date", "asap"), ("Effective date", "7 days")]
    {
        let deck = parse(format!("Prefix,Rate,{title}\n9991,0.02,{cell}\n").as_bytes(), &berlin()).unwrap();
        assert_eq!(deck.refused.first().map(|row| &*row.code), Some("invalid_date"), "{cell}");
    }
}

#[test]
fn a_file_without_prefixes_or_without_prices_says_which() {
    let missing = |text: &str| stopped(text, &berlin());
    let stop = missing("Prefix,Destination,Offer\n9991,x,0.02\n");
    assert!(
        stop.contains("no line of titles has a price beside `Prefix`") && stop.contains("`Offer`") && stop.contains("\"price\":"),
        "{stop}"
    );
    let stop = missing("Tariff\nArea,Destination,Rate\n9991,x,0.02\n");
    assert!(
        stop.contains("no line of titles has a prefix beside `Rate`") && stop.contains("`Area`") && stop.contains("\"prefix\":"),
        "{stop}"
    );
    let stop = missing("a,b\n1,2\n");
    assert!(stop.contains("neither a prefix nor a price") && stop.contains("headless"), "{stop}");
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
        let options = DeckOptions { date_form: crate::input::when::DateForm::DayFirst, ..berlin() };
        assert_eq!(told(&deck, &options), ["9991 x 0.02/60 1/1 from 2026-11-30T23:00:00Z"], "{line}");
    }
    assert_eq!(told("Effective date: immediately\nPrefix,Rate\n9991,0.02\n", &berlin()), ["9991  0.02/60 1/1"]);
    for (line, titles) in [
        ("Effective date: 2026-12-01", "Prefix,Rate,Effective date"),
        ("Effective date: 2026-12-01\nValid from: 2026-12-02", "Prefix,Rate,Notes"),
        ("Effective date: 1/12/2026", "Prefix,Rate,Notes"),
        ("Effective date: 2026-12-01 60/60", "Prefix,Rate,Notes"),
        ("Valid until: 2026-12-31", "Prefix,Rate,Notes"),
        ("Date: 2026-12-01", "Prefix,Rate,Notes"),
        ("Valid from 2026-12-01", "Prefix,Rate,Notes"),
    ] {
        let stop = stopped(&format!("{line}\n{titles}\n9991,0.02,\n"), &berlin());
        assert!(
            stop.starts_with("unknown_line: ") && stop.contains("Effective date: 2026-12-01") && stop.contains("--skip-lines"),
            "{stop}"
        );
    }
}

/// The message says that a column can be stated: who does so does not lose its unit.
#[test]
fn a_stated_column_has_the_unit_of_its_title_or_is_refused() {
    let options = |title: &str, more: &str| map(&format!(r#"{{"columns":{{"price":"{title}"}}{more}}}"#));
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
        assert_eq!(told(&deck(title), &options(title, r#","per":"60","cents":false"#)), ["9991  0.02/60 1/1"], "{title}");
    }
    let durations = "Prefix,Rate,Min. Dauer (min)\n9991,0.02,2\n";
    let minutes = told(durations, &map(r#"{"columns":{"minimum_duration":"Min. Dauer (min)"}}"#));
    assert!(minutes[0].contains("120"), "{minutes:?}");
}
