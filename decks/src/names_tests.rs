//! Which column names a destination, and names that say something of the price.

use super::super::parse;
use super::kinds_tests::{map, stopped};
use super::tests::{berlin, told};
use crate::options::DeckOptions;
use formats::input::table::Column;

/// The name of the first row, and the columns that were left out.
fn check(titles: &str, row: &str, name: &str, left_out: &[&str]) {
    let deck = parse(format!("{titles}\n{row}\n").as_bytes(), &berlin()).unwrap();
    assert_eq!(
        (deck.refused.len(), deck.ignored_columns.as_slice()),
        (
            0,
            left_out
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .as_slice()
        )
    );
    assert_eq!(deck.name(&deck.rows[0]), name, "{titles}");
}

#[test]
fn the_finest_of_several_names_is_kept() {
    check(
        "Country,Prefix,Description,Rate",
        "Germany,4915,Germany Mobile,0.02",
        "Germany Mobile",
        &[],
    );
    check(
        "Country,Prefix,Description,Rate",
        "Germany,4915,Mobile,0.02",
        "Germany Mobile",
        &[],
    );
    check(
        "Description,Prefix,Country,Rate",
        "Mobile,4915,Germany,0.02",
        "Germany Mobile",
        &[],
    );
    check(
        "Country,Prefix,Description,Rate",
        "Germany,4915,,0.02",
        "Germany",
        &[],
    );
    check(
        "Name,Prefix,Destination,Rate",
        "DE-M,4915,Germany Mobile,0.02",
        "Germany Mobile",
        &["Name"],
    );
    check(
        "Name,Prefix,Description,Rate",
        "Germany,4915,Mobile,0.02",
        "Germany",
        &["Description"],
    );
    check(
        "Land;Vorwahl;Ziel;Preis",
        "Österreich;436;Österreich Mobil;0,02",
        "Österreich Mobil",
        &[],
    );
}

#[test]
fn a_name_that_says_something_of_the_price_is_not_read() {
    for name in [
        "Cuba - BLOCKED",
        "France (per call)",
        "Spain (cents)",
        "Deutschland pro Anruf",
        "Deutschland Mobil, gesperrt",
        "France (bloqué)",
        "France mobile, par appel",
        "Germany Off-Peak",
        "Germany incl. VAT",
        "Germany per second",
        "Germany /sec",
        "Germany SMS",
        "Germany USD",
        "Iridium (suspended)",
        "Italia (bloccato)",
    ] {
        for titles in [
            "Destination;Country",
            "Country;Destination",
            "Name;Description",
            "Description;Name",
        ] {
            let deck = format!(
                "Prefix;{titles};Rate\n9991;{name};Germany;0.02\n9992;Germany;{name};0.02\n9993;Germany;Mobile;0.02\n"
            );
            let read = told(&deck, &berlin());
            assert_eq!(
                read.iter()
                    .filter(|line| line.ends_with(": unread_note"))
                    .count(),
                2,
                "{name} {read:?}"
            );
        }
    }
    // The way out, and what its own column says as well.
    let left_out = DeckOptions {
        ignore_columns: vec![Column::Name("Destination".into())],
        ..berlin()
    };
    assert_eq!(
        told(
            "Prefix,Destination,Rate\n9991,Cuba - blocked,0.02\n",
            &left_out
        ),
        ["9991  0.02/60 1/1"]
    );
    let deck = parse(
        b"Prefix,Destination,Rate,Status\n9991,Cuba - blocked,0.02,blocked\n",
        &berlin(),
    )
    .unwrap();
    assert_eq!(
        (deck.refused.len(), deck.terms(&deck.rows[0]).blocked),
        (0, true)
    );
    for name in [
        "Call center Berlin",
        "Germany Callback",
        "Sec Mobile",
        "Peru Day",
        "Saint Vincent",
        "Block Island",
        "Toll-free",
    ] {
        assert_eq!(
            told(
                &format!("Prefix,Destination,Rate\n9991,{name},0.02\n"),
                &berlin()
            ),
            [format!("9991 {name} 0.02/60 1/1")]
        );
    }
}

#[test]
fn an_area_and_its_exchange_in_columns_of_their_own() {
    let deck = "NPA,NXX,Interstate,Intrastate\n212,555,0.01,0.02\n212,\"556,557\",0.01,0.02\n1213,555,0.01,0.02\n";
    let read = parse(deck.as_bytes(), &berlin()).unwrap();
    let prefixes: Vec<String> = read.rows.iter().map(|row| row.prefix.to_string()).collect();
    assert_eq!(
        prefixes,
        [
            "1212555", "1212555", "1212556", "1212556", "1212557", "1212557", "1213555", "1213555"
        ]
    );
    // An area alone is one; what is no exchange is refused.
    assert_eq!(
        told("NPA,NXX,Rate\n212,,0.01\n", &berlin()),
        ["1212  0.01/60 1/1"]
    );
    for (area, exchange) in [
        ("212", "55"),
        ("212", "5555"),
        ("212", "x55"),
        ("21", "555"),
        ("212555", "556"),
        ("212", "550-559"),
    ] {
        assert_eq!(
            told(
                &format!("NPA;NXX;Rate\n{area};{exchange};0.01\n"),
                &berlin()
            ),
            ["line 2 NPA: invalid_prefix"],
            "{area} {exchange}"
        );
    }
    assert!(
        stopped("NPANXX,NXX,Rate\n212555,555,0.01\n", &berlin())
            .starts_with("ambiguous_column: `NXX`")
    );
    assert!(
        stopped("Prefix,NXX,Rate\n212,555,0.01\n", &berlin())
            .starts_with("ambiguous_column: `NXX`")
    );
    let stated = map(r#"{"headless":true,"columns":{"npanxx":0,"nxx":1,"price":2}}"#);
    assert_eq!(told("212,555,0.01\n", &stated), ["1212555  0.01/60 1/1"]);
}

#[test]
fn titles_of_real_price_lists() {
    for (titles, row, want) in [
        (
            "Destination Prefixes,Origination Prefixes,Rate",
            "9991,49,0.02",
            "9991  0.02/60 1/1",
        ),
        ("Prefix,Kosten/Min", "9991,0.02", "9991  0.02/60 1/1"),
        ("Prefix,ppm", "9991,0.02", "9991  0.02/60 1/1"),
        (
            "Prefix,Rate,Charge period (s)",
            "9991,0.02,60",
            "9991  0.02/60 60/60",
        ),
        (
            "Prefix,Rate,Einrichtungsgebühr",
            "9991,0.02,0",
            "9991  0.02/60 1/1",
        ),
        (
            "Prefix,Rate,Coste de conexión",
            "9991,0.02,0",
            "9991  0.02/60 1/1",
        ),
    ] {
        assert_eq!(
            told(&format!("{titles}\n{row}\n"), &berlin()),
            [want],
            "{titles}"
        );
    }
}
