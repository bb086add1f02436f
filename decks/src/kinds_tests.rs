//! Price lists as people have them: each kind is read right, or refused with the column and what
//! helps.

use super::super::{Kind, Mode, parse};
use super::tests::{berlin, card, import, rates, told};
use super::*;
use crate::options::{DeckOptions, ValidTo};
use formats::input::table::Column;
use rating::Quantity;

/// The problem of a deck that is not read at all.
pub(super) fn stopped(text: &str, options: &DeckOptions) -> String {
    let problem = parse(text.as_bytes(), options).unwrap_err();
    format!("{}: {}", problem.code, problem.detail)
}

pub(super) fn map(json: &str) -> DeckOptions {
    DeckOptions {
        zone: berlin().zone,
        currency: berlin().currency,
        ..serde_json::from_str(json).unwrap()
    }
}

#[test]
fn a_column_that_is_not_understood_stops_the_import() {
    for title in ["Route", "Peak rate", "Old Rate", "Type", "Rate (incl. VAT)"] {
        let text = format!("Prefix,Rate,{title}\n9991,0.02,x\n");
        let stop = stopped(&text, &berlin());
        assert!(
            stop.starts_with("unknown_column: ")
                && stop.contains(title)
                && stop.contains("--ignore-column"),
            "{stop}"
        );
        let named = DeckOptions {
            ignore_columns: vec![Column::Name(title.to_lowercase())],
            ..berlin()
        };
        assert_eq!(told(&text, &named), ["9991  0.02/60 1/1"]);
        assert_eq!(
            parse(text.as_bytes(), &named).unwrap().ignored_columns,
            [title]
        );
    }
    // Of several each is named; a label is understood.
    let stop = stopped(
        "Prefix,Rate,Route,Region,Weekend\n9991,0.02,a,b,c\n",
        &berlin(),
    );
    assert!(
        stop.contains("`Route`, `Weekend`") && !stop.contains("Region"),
        "{stop}"
    );
    // A column stated by a name that the file does not have.
    let stop = stopped(
        "Prefix,Rate,Setup fee\n9991,0.02,1\n",
        &map(r#"{"columns":{"connect_fee":"Setup"}}"#),
    );
    assert!(
        stop.starts_with("unknown_column: ") && stop.contains("`Setup`"),
        "{stop}"
    );
}

#[test]
fn a_column_without_a_title_is_empty_or_stated() {
    assert_eq!(
        told("Prefix,Rate,\n9991,0.02,\n9992,0.03,60\n", &berlin()),
        ["9991  0.02/60 1/1", "line 3 column 2: unknown_column"]
    );
    let ignored = DeckOptions {
        ignore_columns: vec![Column::Name("2".into())],
        ..berlin()
    };
    assert_eq!(
        told("Prefix,Rate,\n9992,0.03,60\n", &ignored),
        ["9992  0.03/60 1/1"]
    );
    let headless = map(r#"{"headless":true,"columns":{"prefix":0,"price":1}}"#);
    assert_eq!(
        told("9991,0.02,60/60\n", &headless),
        ["line 1 column 2: unknown_column"]
    );
}

#[test]
fn a_next_increment_of_nothing_is_none() {
    for first in ["60", "6"] {
        let text = format!("Prefix,Rate,Initial increment,Next increment\n9991,0.02,{first},0\n");
        assert_eq!(
            told(&text, &berlin()),
            ["line 2 Next increment: missing_increment"],
            "{first}"
        );
        assert_eq!(
            told(&text, &map(r#"{"next":"1"}"#)),
            [format!("9991  0.02/60 {first}/1")]
        );
    }
}

/// The lines above the titles have no separator of their own.
#[test]
fn lines_above_the_titles_do_not_say_the_separator() {
    for line in [
        "Price list 2026",
        "Effective date: 2027-01-01",
        "Precios en EUR por minuto",
    ] {
        for separator in [";", "\t", "|", ","] {
            let text =
                format!("{line}\nPrefix,Destination,Rate\n9991,DE,0.02\n").replace(',', separator);
            assert_eq!(told(&text, &berlin()).len(), 1, "{line} {separator}");
            assert!(
                told(&text, &berlin())[0].starts_with("9991 DE 0.02/60"),
                "{line} {separator}: {:?}",
                told(&text, &berlin())
            );
        }
    }
}

#[test]
fn one_increment_alone_is_both() {
    for title in [
        "Increment",
        "Increments",
        "Billing increment",
        "Interval",
        "Takt",
    ] {
        assert_eq!(
            told(&format!("Prefix,Rate,{title}\n9991,0.02,6\n"), &berlin()),
            ["9991  0.02/60 6/6"],
            "{title}"
        );
    }
    let first = "Prefix,Rate,Initial increment\n9991,0.02,60\n9992,0.02,60/1\n";
    assert_eq!(
        told(first, &berlin()),
        [
            "9992  0.02/60 60/1",
            "line 2 Initial increment: missing_increment"
        ]
    );
    assert_eq!(
        told(first, &map(r#"{"next":"6"}"#)),
        ["9991  0.02/60 60/6", "9992  0.02/60 60/1"]
    );
    let both =
        "Prefix,Rate,Initial increment,Increment\n9991,0.02,60,6\n9992,0.02,60,\n9993,0.02,,6\n";
    assert_eq!(
        told(both, &berlin()),
        [
            "9991  0.02/60 60/6",
            "9993  0.02/60 6/6",
            "line 3 Initial increment: missing_increment"
        ]
    );
    assert_eq!(
        told(
            "Prefix,Rate,Initial increment (min),Next (sec)\n9991,0.02,1,30\n",
            &berlin()
        ),
        ["9991  0.02/60 60/30"]
    );
    assert!(
        stopped(
            "Prefix,Rate,Initial increment,Next increment,Increment\n",
            &berlin()
        )
        .starts_with("ambiguous_column")
    );
}

#[test]
fn a_price_says_its_currency_and_its_unit() {
    let usd = DeckOptions {
        currency: "USD".parse().ok(),
        ..berlin()
    };
    for (title, cell, want) in [
        ("Rate", "€0.02", "9991  0.02/60 1/1"),
        ("Rate", "0.02 EUR", "9991  0.02/60 1/1"),
        ("Rate", "2 ct", "9991  0.02/60 1/1"),
        ("Rate", "0.001/s", "9991  0.001/1 1/1"),
        ("Rate (cents)", "2", "9991  0.02/60 1/1"),
        ("ct/min", "2.5", "9991  0.025/60 1/1"),
        ("Rate per second", "0.001", "9991  0.001/1 1/1"),
        ("Preis pro Sekunde (Cent)", "0.1", "9991  0.001/1 1/1"),
        ("Rate per hour", "1.2", "9991  1.2/3600 1/1"),
        ("Rate", "$0.02", "line 2 Rate: currency_mismatch"),
        ("Rate", "0.02 £", "line 2 Rate: currency_mismatch"),
        ("Rate/min", "0.02/sec", "line 2 Rate/min: ambiguous_unit"),
        (
            "Rate (cents)",
            "€ 0.02",
            "line 2 Rate (cents): ambiguous_unit",
        ),
        ("Rate", "0.02*", "line 2 Rate: invalid_price"),
    ] {
        assert_eq!(
            told(&format!("Prefix,{title}\n9991,{cell}\n"), &berlin()),
            [want],
            "{title} {cell}"
        );
    }
    assert_eq!(
        told("Prefix,Rate\n9991,$0.02\n", &usd),
        ["9991  0.02/60 1/1"]
    );
    let fee = "Prefix,Rate,Setup fee (cents)\n9991,0.02,5\n";
    assert_eq!(told(fee, &berlin()), ["9991  0.02/60 1/1 +0.05"]);
    assert!(
        stopped("Prefix,Rate/sec\n9991,0.02\n", &map(r#"{"per":"60"}"#))
            .starts_with("ambiguous_unit")
    );
    assert!(stopped("Prefix,US$/min\n9991,0.02\n", &berlin()).starts_with("currency_mismatch"));
    assert!(
        stopped("All prices in USD\nPrefix,Rate\n9991,0.02\n", &berlin())
            .starts_with("currency_mismatch")
    );
    assert_eq!(
        told(
            "9991,2\n",
            &map(r#"{"headless":true,"cents":true,"columns":{"prefix":0,"price":1}}"#)
        ),
        ["9991  0.02/60 1/1"]
    );
    let unit = "Prefix,Rate,Unit\n9991,0.02,minute\n9992,0.01,sec\n9993,0.01,MB\n";
    assert_eq!(
        told(unit, &berlin()),
        [
            "9991  0.02/60 1/1",
            "9992  0.01/1 1/1",
            "line 4 Unit: invalid_unit"
        ]
    );
}

#[test]
fn a_row_in_another_currency_is_refused() {
    let deck = "Prefix,Destination,Rate,Currency\n49,Germany,0.02,USD\n33,France,0.02,EUR\n44,Britain,0.02,\n";
    assert_eq!(
        told(deck, &berlin()),
        [
            "33 France 0.02/60 1/1",
            "44 Britain 0.02/60 1/1",
            "line 2 Currency: currency_mismatch"
        ]
    );
}

#[test]
fn deleted_rows_close_and_blocked_rows_block() {
    let (first, _) = rates(
        &card(""),
        "prefix,destination,rate\n9991,Atlantis,0.02\n9992,Lemuria,0.03\n9993,Avalon,0.04\n",
        Mode::Full,
    );
    let deck = "prefix,destination,rate,status,effective\n9991,Atlantis,0.02,Deleted,\n9992,Lemuria,0.03,Blocked,\n9993,Avalon,0.04,Closed,2026-12-01\n9994,New,0.05,Active,\n9995,Odd,0.05,7,\n";
    let parsed = parse(deck.as_bytes(), &super::tests::utc()).unwrap();
    assert_eq!(
        parsed
            .refused
            .iter()
            .map(|r| (r.line, &*r.code))
            .collect::<Vec<_>>(),
        [(6, "unknown_status")]
    );
    let (next, shown) = lay_over(&first, &parsed, &import(Mode::Partial));
    let told: Vec<String> = next
        .rates
        .iter()
        .map(|r| {
            format!(
                "{} {} {:?}",
                r.prefixes.join(","),
                r.blocked,
                r.effective_until.is_some()
            )
        })
        .collect();
    assert_eq!(
        told,
        ["9992 true false", "9993 false true", "9994 false false"]
    );
    assert_eq!((shown.closed, shown.new, shown.changed), (2, 1, 1));
    assert!(
        shown
            .samples
            .iter()
            .any(|c| c.kind == Kind::Closed && c.prefix == "9991" && c.new_price.is_none())
    );
    // Deleted and for sale at once: nobody knows which.
    let both = "prefix,rate,status\n9991,0.02,Active\n9991,0.02,Deleted\n";
    assert_eq!(
        parse(both.as_bytes(), &berlin()).unwrap().refused[0].code,
        "contradiction"
    );
}

#[test]
fn an_expiry_ends_a_rate() {
    let deck = "Prefix,Destination,Rate,Effective Date,Expiry \
        Date\n49,Germany,0.02,2025-01-01,2025-12-31\n49,Germany,0.03,2026-01-01,\n33,France,0.01,2024-01-01,2025-01-01\n";
    let (_, told) = rates(&card(""), deck, Mode::Full);
    assert_eq!(told, ["germany 49 0.03 2026-01-01.."]);
    // What is sold today and has ended by the deck is closed.
    let (sold, _) = rates(
        &card(""),
        "prefix,destination,rate\n33,France,0.01\n",
        Mode::Full,
    );
    let (left, shown) = lay_over(
        &sold,
        &parse(deck.as_bytes(), &super::tests::utc()).unwrap(),
        &import(Mode::Partial),
    );
    assert_eq!((left.rates.len(), shown.closed, shown.new), (1, 1, 1));
}

#[test]
fn included_seconds_are_free() {
    let (card, _) = rates(
        &card(""),
        "prefix,rate,Included Seconds\n9991,0.02,20\n",
        Mode::Full,
    );
    assert_eq!(
        card.rates[0].call.as_ref().unwrap().included,
        Some(rating::Quantity::whole(20))
    );
}

#[test]
fn a_file_without_titles_loses_no_row() {
    let text = "49;Germany;0.0200\n4915;Germany Mobile;0.1000\n33;France;0.0100\n";
    let stop = stopped(text, &berlin());
    assert!(
        stop.contains("--map") && stop.contains("\"headless\":true"),
        "{stop}"
    );
    let by_index = map(r#"{"columns":{"prefix":0,"destination":1,"price":2}}"#);
    let want = [
        "33 France 0.01/60 1/1",
        "49 Germany 0.02/60 1/1",
        "4915 Germany Mobile 0.1/60 1/1",
    ];
    assert_eq!(told(text, &by_index), want);
    assert_eq!(told(&format!("Prefix;Name;Price\n{text}"), &by_index), want);
    assert_eq!(
        told(
            "Prefix;Name;Price\n49;x;0.02\n",
            &DeckOptions {
                headless: Some(true),
                ..by_index
            }
        ),
        ["line 1 column 0: invalid_prefix", "line 2 : invalid_row"]
    );
}

#[test]
fn prices_by_origin_are_rates_by_origin() {
    let deck = "prefix,destination,origin,rate\n9991,Atlantis,,0.10\n9991,Atlantis,\"49, \
        43\",0.02\n9991,Atlantis,EEA,0.03\n";
    assert_eq!(
        parse(deck.as_bytes(), &berlin()).unwrap().refused[0].column,
        "origin"
    );
    let (priced, keys) = rates(&card(""), &deck.replace("EEA", "33"), Mode::Full);
    assert_eq!(
        keys,
        [
            "atlantis 9991 0.1",
            "atlantis-from-33 9991 0.03",
            "atlantis-from-43 9991 0.02"
        ]
    );
    assert_eq!(priced.rates[2].origin_prefixes, ["43", "49"]);
    // A deck that says nothing of origins leaves them.
    let (left, _) = rates(&priced, "prefix,rate\n9991,0.2\n", Mode::Full);
    assert_eq!(left.rates.len(), 3);
}

#[test]
fn a_line_with_too_few_cells_is_refused() {
    let deck = parse(
        "prefix,destination,rate\n9991,Atlantis,0.02\n9992,Lem\n".as_bytes(),
        &berlin(),
    )
    .unwrap();
    assert_eq!(
        (
            deck.rows.len(),
            &*deck.refused[0].code,
            deck.refused[0].line
        ),
        (1, "invalid_row", 3)
    );
}

#[test]
fn every_encoding_is_read() {
    let text = "Prefix;Destination;Rate\n9991;Österreich;0,02 €\n";
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let latin1 = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    for bytes in [text.as_bytes().to_vec(), utf16, latin1] {
        let deck = parse(&bytes, &berlin()).unwrap();
        assert_eq!(
            (
                deck.name(&deck.rows[0]),
                deck.terms(&deck.rows[0]).price.to_string().as_str()
            ),
            ("Österreich", "0.02"),
            "{bytes:?}"
        );
    }
}

#[test]
fn area_codes_of_north_america_have_their_1() {
    let usd = DeckOptions {
        currency: "USD".parse().ok(),
        ..berlin()
    };
    for (deck, want) in [
        ("NPANXX,Rate\n212555,0.01\n", "1212555  0.01/60 1/1"),
        ("NPA-NXX,Rate\n212-555,0.01\n", "1212555  0.01/60 1/1"),
        ("NPA,Rate\n212,0.01\n", "1212  0.01/60 1/1"),
        ("NPANXX,Rate\n1212555,0.01\n", "1212555  0.01/60 1/1"),
        (
            "NPANXX,Rate\n112555,0.01\n",
            "line 2 NPANXX: invalid_prefix",
        ),
        ("NPANXX,Rate\n49,0.01\n", "line 2 NPANXX: invalid_prefix"),
        // Prices by jurisdiction are of the North American plan.
        (
            "Code,Interstate Rate\n212555,0.01\n",
            "line 2 Code: invalid_prefix",
        ),
        (
            "Code,Interstate Rate\n1212555,0.01\n",
            "1212555/interstate  0.01/60 1/1",
        ),
        (
            "Country Code,Area Code,Rate\n1,212,0.01\n",
            "1212  0.01/60 1/1",
        ),
        (
            "Country Code,Area Code,Rate\n1,1242,0.01\n",
            "line 2 Area Code: invalid_prefix",
        ),
    ] {
        assert_eq!(told(deck, &usd), [want], "{deck}");
    }
    let stated = map(r#"{"columns":{"npanxx":"Code"}}"#);
    assert_eq!(
        told("Code,Rate\n212555,0.01\n", &stated),
        ["1212555  0.01/60 1/1"]
    );
    let headless = map(r#"{"headless":true,"columns":{"npanxx":0,"price":1}}"#);
    assert_eq!(told("212555,0.01\n", &headless), ["1212555  0.01/60 1/1"]);
    // An area of which country?
    let stop = stopped("Area Code,Rate\n212,0.01\n", &usd);
    assert!(
        stop.contains("`Area Code`") && stop.contains("npanxx") && stop.contains("--map"),
        "{stop}"
    );
    assert_eq!(
        told(
            "Area Code,Rate\n49212,0.01\n",
            &map(r#"{"columns":{"prefix":"Area Code"}}"#)
        ),
        ["49212  0.01/60 1/1"]
    );
}

#[test]
fn lines_above_the_titles_are_understood_or_stop_the_import() {
    let deck = |above: &str| format!("{above},,\nCode,Destination,Rate\n49,Germany,1.5\n");
    let want = ["49 Germany 1.5/60 1/1"];
    for above in [
        "All rates in EUR cents per minute",
        "Alle Preise in Cent",
        "All rates per second",
        "Billing per second",
        "Abrechnung sekundengenau",
        "Sheet 1/2",
        "Rates 60/1",
        "Price list in US Dollars",
        "Prices in Swiss francs",
        "All prices in GBP",
        "Valid from 1 Jan 2027",
        "Effective 2026-12-01",
        "01.12.2026",
        "Gültig ab 1. Dezember 2026",
        "Price list of December 2026",
        "Peak rates",
        "All prices incl. VAT",
        "Connection fee 0.05 per call",
        "Minimum 30 seconds",
        "All prices per minute\n\nPrices are in cents",
        "Rates in EUR per 100 minutes",
        "Rabatt 10 %",
        "per started minute",
        "je angefangene Minute",
        "par minute entamée",
        "Rates in Rappen",
        "Rates per call",
        "Billing 60-60",
        "All calls 60 60",
        "from Monday",
        "For origin Germany",
        "Inbound rates",
        "Deleted codes",
        "All codes without country code",
        "Preise in Tsd",
        "Acme Telecom Ltd.",
    ] {
        let stop = stopped(&deck(above), &berlin());
        let last = above.lines().last().unwrap();
        assert!(
            stop.contains(last)
                && (stop.contains("--skip-lines") || stop.starts_with("currency_mismatch")),
            "{above}: {stop}"
        );
        let skipped = DeckOptions {
            skip_lines: above.lines().count(),
            ..berlin()
        };
        assert_eq!(told(&deck(above), &skipped), want, "{above}");
    }
    for above in [
        "Price list",
        "A-Z termination",
        "Our current price list, all destinations",
        "Liste de prix",
        "Alle Preise in EUR",
        "Prices in € per minute",
        "Price list 2026",
        "Rates (excl. VAT)",
        "ALL ROUTES",
    ] {
        assert_eq!(told(&deck(above), &berlin()), want, "{above}");
    }
    // What is stated is understood.
    assert_eq!(
        told(
            &deck("All rates in EUR cents per minute"),
            &map(r#"{"cents":true}"#)
        ),
        ["49 Germany 0.015/60 1/1"]
    );
    assert_eq!(
        told(&deck("All rates per second"), &map(r#"{"per":"1"}"#)),
        ["49 Germany 1.5/1 1/1"]
    );
    assert_eq!(
        told(
            &deck("Billing 60/6"),
            &map(r#"{"initial":"60","next":"6"}"#)
        ),
        ["49 Germany 1.5/60 60/6"]
    );
    // The titles say something else.
    let stop = stopped(
        "All rates per minute,,\nCode,Destination,Rate/sec\n49,Germany,1.5\n",
        &berlin(),
    );
    assert!(stop.contains("All rates per minute"), "{stop}");
}

#[test]
fn brackets_around_a_price_are_below_zero() {
    for cell in [
        "(0.01)",
        "EUR(0.01)",
        "( 0.01 EUR )",
        "-0.01",
        "\u{2212}0.01",
        "0.01-",
    ] {
        assert_eq!(
            told(&format!("Prefix,Rate\n9991,{cell}\n"), &berlin()),
            ["line 2 Rate: invalid_price"],
            "{cell}"
        );
    }
    assert_eq!(
        told("Prefix,Rate\n9991,0.01 (EUR)\n", &berlin()),
        ["9991  0.01/60 1/1"]
    );
}

#[test]
fn rows_that_contradict_each_other_are_all_refused() {
    let (sold, _) = rates(&card(""), "prefix,rate\n49,0.05\n33,0.02\n", Mode::Full);
    for rows in [
        "49,0.01\n49,0.02\n",
        "49,0.02\n49,0.01\n",
        "49,0.01\n49,0.01\n49,0.02\n",
    ] {
        for mode in [Mode::Full, Mode::Partial] {
            let deck = parse(
                format!("prefix,rate\n33,0.03\n{rows}").as_bytes(),
                &super::tests::utc(),
            )
            .unwrap();
            assert!(
                deck.refused.len() >= 2
                    && deck
                        .refused
                        .iter()
                        .all(|refusal| refusal.code == "contradiction"),
                "{:?}",
                deck.refused
            );
            assert!(
                deck.refused[0].detail.contains("49") && deck.refused[0].detail.contains('4'),
                "{}",
                deck.refused[0].detail
            );
            let (card, _) = lay_over(&sold, &deck, &import(mode));
            let told: Vec<String> = card
                .rates
                .iter()
                .map(|r| {
                    format!(
                        "{} {}",
                        r.prefixes[0],
                        r.call.as_ref().unwrap().steps[0].price
                    )
                })
                .collect();
            assert_eq!(told, ["33 0.03", "49 0.05"], "{rows}");
        }
    }
}

#[test]
fn a_country_code_and_an_area_code_are_joined_once() {
    let check = |titles: &str, row: &str, want: &str| {
        assert_eq!(
            told(&format!("{titles},Rate\n{row},0.01\n"), &berlin()),
            [want],
            "{titles} {row}"
        )
    };
    check("Country Code,Code", "49,30", "4930  0.01/60 1/1");
    check("Country Code,Code", "49,", "49  0.01/60 1/1");
    check(
        "Country Code,Code",
        "49,4930",
        "line 2 Code: ambiguous_prefix",
    );
    check(
        "Country Code,Code",
        "1,1242",
        "line 2 Code: ambiguous_prefix",
    );
    check(
        "Country Code,Code",
        "49,\"30,4931\"",
        "line 2 Code: ambiguous_prefix",
    );
    check("Country Code,Area Code", "49,4931", "494931  0.01/60 1/1");
    // The zero is dialled inside the country only; in Italy it belongs to the number.
    check("Country Code,Code", "49,030", "4930  0.01/60 1/1");
    check("Country Code,Area Code", "49,030", "4930  0.01/60 1/1");
    check("Country Code,Area Code", "39,06", "3906  0.01/60 1/1");
    check(
        "Country Code,Area Code",
        "49,0",
        "line 2 Area Code: invalid_prefix",
    );
    for cell in ["+49030", "49(0)30", "+49 030", "0049 (0)30"] {
        check("Code", cell, "4930  0.01/60 1/1");
    }
    check("Code", "+3906", "3906  0.01/60 1/1");
    check("Code", "030", "line 2 Code: invalid_prefix");
    check("Code", "000", "line 2 Code: invalid_prefix");
    check("Code", "490", "line 2 Code: invalid_prefix");
    let whole = map(r#"{"columns":{"prefix":"Code"},"ignore_columns":["Country Code"]}"#);
    assert_eq!(
        told("Country Code,Code,Rate\n49,4930,0.01\n", &whole),
        ["4930  0.01/60 1/1"]
    );
    let areas = map(r#"{"columns":{"area_code":"Code"}}"#);
    assert_eq!(
        told("Country Code,Code,Rate\n49,4931,0.01\n", &areas),
        ["494931  0.01/60 1/1"]
    );
}

#[test]
fn an_end_date_is_the_last_day() {
    let until = |title: &str, cell: &str| {
        let deck = parse(
            format!("prefix;rate;{title}\n49;0.01;{cell}\n").as_bytes(),
            &DeckOptions {
                date_form: formats::input::when::DateForm::DayFirst,
                ..berlin()
            },
        )
        .unwrap();
        deck.rows
            .first()
            .and_then(|row| deck.period(row).until)
            .map(|until| until.to_string())
            .unwrap_or_default()
    };
    for title in ["Gültig bis", "Valid to", "Expiry Date", "End date"] {
        assert_eq!(
            until(title, "31.12.2026"),
            "2026-12-31T23:00:00Z",
            "{title}"
        );
    }
    for cell in ["31-Dec-2026", "2026-12-31", "31/12/26"] {
        assert_eq!(until("Valid to", cell), "2026-12-31T23:00:00Z", "{cell}");
    }
    // A time of day is that instant. The night the clocks go back has 25 hours.
    assert_eq!(
        until("Valid to", "31.12.2026 12:00"),
        "2026-12-31T11:00:00Z"
    );
    assert_eq!(
        until("Valid to", "2026-12-31T12:00:00Z"),
        "2026-12-31T12:00:00Z"
    );
    assert_eq!(until("Valid to", "25.10.2026"), "2026-10-25T23:00:00Z");
    // One day is a period.
    let one = "prefix,rate,valid from,valid to\n49,0.01,2026-12-01,2026-12-01\n";
    assert_eq!(
        told(one, &berlin()),
        ["49  0.01/60 1/1 from 2026-11-30T23:00:00Z"]
    );
}

#[test]
fn the_first_row_of_a_file_by_numbers_is_no_title() {
    let by_index = map(r#"{"columns":{"prefix":0,"destination":1,"price":2}}"#);
    let first = |row: &str| told(&format!("{row}\n4915,Mobile,0.1\n"), &by_index);
    for (row, want) in [
        ("4930,Berlin,n/a", "line 1 column 2: invalid_price"),
        ("4930,Berlin,", "line 1 column 2: missing_price"),
        ("4930,Berlin,-0.01", "line 1 column 2: invalid_price"),
        ("4930,Berlin,$0.01", "line 1 column 2: currency_mismatch"),
        ("9#4930,Berlin,0.01", "line 1 column 0: technical_prefix"),
        ("n/a,Berlin,0.01", "line 1 column 0: invalid_prefix"),
        ("n/a,Berlin,$0.01", "line 1 column 0: invalid_prefix"),
    ] {
        assert_eq!(first(row), ["4915 Mobile 0.1/60 1/1", want], "{row}");
    }
    assert_eq!(first("Prefix,Name,Price"), ["4915 Mobile 0.1/60 1/1"]);
}

#[test]
fn a_prefix_with_a_comma_may_be_one_number() {
    for cell in ["1,212", "1,242", "44,207", "1,212,555"] {
        assert_eq!(
            told(&format!("Prefix,Rate\n\"{cell}\",0.01\n"), &berlin()),
            ["line 2 Prefix: ambiguous_prefix"],
            "{cell}"
        );
    }
    assert_eq!(
        told("Prefix,Rate\n\"4930,4931\",0.01\n", &berlin()),
        ["4930  0.01/60 1/1", "4931  0.01/60 1/1"]
    );
}

#[test]
fn an_increment_says_its_unit_and_both_parts() {
    for (cell, want) in [
        ("1/1 min", "line 2 Increments: invalid_increment"),
        ("60/60 sec", "9991  0.01/60 60/60"),
        ("60s/1s", "9991  0.01/60 60/1"),
        ("6/0", "line 2 Increments: missing_increment"),
        ("60/0", "line 2 Increments: missing_increment"),
        ("0/0", "9991  0.01/60 1/1"),
    ] {
        assert_eq!(
            told(
                &format!("Prefix,Rate,Increments\n9991,0.01,{cell}\n"),
                &berlin()
            ),
            [want],
            "{cell}"
        );
    }
}

#[test]
fn a_last_date_at_midnight_is_asked_for() {
    let of = |cell: &str| format!("Prefix,Rate,Valid to\n9991,0.01,{cell}\n");
    let until = |cell: &str, options: &DeckOptions| -> Vec<String> {
        let deck = parse(of(cell).as_bytes(), options).unwrap();
        let ends = deck.rows.iter().map(|row| {
            deck.period(row)
                .until
                .map(|until| until.to_string())
                .unwrap_or_default()
        });
        ends.chain(deck.refused.iter().map(|refused| refused.code.to_string()))
            .collect()
    };
    let end = "2026-12-31T23:00:00Z";
    assert_eq!(until("2026-12-31 00:00:00", &berlin()), ["ambiguous_date"]);
    assert_eq!(
        until(
            "2026-12-31 00:00:00",
            &DeckOptions {
                valid_to: Some(ValidTo::Day),
                ..berlin()
            }
        ),
        [end]
    );
    assert_eq!(
        until(
            "2027-01-01 00:00:00",
            &DeckOptions {
                valid_to: Some(ValidTo::Instant),
                ..berlin()
            }
        ),
        [end]
    );
    assert_eq!(
        (
            until("2026-12-31 23:59:59", &berlin()),
            until("2026-12-31", &berlin())
        ),
        (vec![end.to_owned()], vec![end.to_owned()])
    );
}

#[test]
fn increments_that_contradict_each_other_are_refused() {
    for (titles, row, want) in [
        (
            "Initial,Increment",
            "30,60/6",
            "line 2 Increment: ambiguous_increment",
        ),
        (
            "Initial,Next",
            "60/60,6",
            "line 2 Next: ambiguous_increment",
        ),
        ("Initial,Next", "30/6,1", "line 2 Next: ambiguous_increment"),
        (
            "Next,Increments",
            "6,60/1",
            "line 2 Increments: ambiguous_increment",
        ),
        ("Initial,Next", "60/1,1", "49  0.01/60 60/1"),
        ("Initial,Increment", "60,60/6", "49  0.01/60 60/6"),
        ("Initial,Next", "60,0", "line 2 Next: missing_increment"),
    ] {
        let deck = format!("Prefix,Rate,{titles}\n49,0.01,{row}\n");
        match parse(deck.as_bytes(), &berlin()) {
            Ok(_) => assert_eq!(told(&deck, &berlin()), [want], "{titles} {row}"),
            Err(problem) => {
                assert!(
                    problem.code.as_str().starts_with("ambiguous") && want.contains("ambiguous"),
                    "{titles} {row}: {}",
                    problem.detail
                )
            }
        }
    }
}

#[test]
fn a_letter_alone_is_no_unit() {
    for title in [
        "Rate C", "Rate S", "Rate A", "Rate H", "Rate P", "Rate in", "Rate (c)",
    ] {
        let stop = stopped(
            &format!("Prefix,{title}\n9991,0.02\n"),
            &map(r#"{"columns":{"prefix":"Prefix"}}"#),
        );
        assert!(stop.contains(title), "{title}: {stop}");
    }
    for (title, want) in [
        ("Rate/s", "0.02/1"),
        ("EUR/h", "0.02/3600"),
        ("c/min", "0.0002/60"),
        ("Rate per s", "0.02/1"),
        ("Rate ct", "0.0002/60"),
    ] {
        assert_eq!(
            told(&format!("Prefix,{title}\n9991,0.02\n"), &berlin()),
            [format!("9991  {want} 1/1")],
            "{title}"
        );
    }
    for cell in ["0.02 s", "0.02 a", "0.02 h", "0.02 in"] {
        assert_eq!(
            told(&format!("Prefix,Rate\n9991,{cell}\n"), &berlin()),
            ["line 2 Rate: invalid_price"],
            "{cell}"
        );
    }
    assert_eq!(
        told("Prefix,Rate,Unit\n9991,0.02,s\n", &berlin()),
        ["9991  0.02/1 1/1"]
    );
}

#[test]
fn a_column_means_one_thing() {
    let stop = stopped(
        "Prefix,Rate\n49,0.02\n",
        &map(r#"{"columns":{"price":"Rate","connect_fee":"rate"}}"#),
    );
    assert!(
        stop.starts_with("ambiguous_column")
            && stop.contains("price")
            && stop.contains("connect_fee")
            && stop.contains("`Rate`"),
        "{stop}"
    );
    let stop = stopped(
        "49,0.02\n",
        &map(r#"{"headless":true,"columns":{"prefix":0,"price":1,"connect_fee":1}}"#),
    );
    assert!(stop.starts_with("ambiguous_column"), "{stop}");
    // And a title names one column.
    let stop = stopped(
        "Prefix,Rate,Rate\n49,0.02,0.03\n",
        &map(r#"{"columns":{"price":"Rate"}}"#),
    );
    assert!(
        stop.starts_with("ambiguous_column") && stop.contains("`Rate`"),
        "{stop}"
    );
    let stop = stopped(
        "Code,Rate\n49,0.02\n",
        &map(r#"{"columns":{"prefix":"Kode","price":"Rate"}}"#),
    );
    assert!(
        stop.starts_with("unknown_column") && stop.contains("`Kode`") && stop.contains("`Code`"),
        "{stop}"
    );
}

#[test]
fn dashes_and_spaces_that_may_mean_two_things_are_refused() {
    for cell in [
        "46-7", "61-8", "7-7", "31-33", "33 34 39", "33 34", "1 212", "46 - 7", "33,34,39", "49,30",
    ] {
        let deck = parse(
            format!("Prefix,Rate\n\"{cell}\",0.02\n").as_bytes(),
            &berlin(),
        )
        .unwrap();
        assert_eq!(deck.rows, [], "{cell}");
        assert!(
            deck.refused[0].detail.contains(&format!("`{cell}`")),
            "{cell}: {}",
            deck.refused[0].detail
        );
    }
    for (cell, want) in [
        ("4477-4479", 3),
        ("4477-79", 3),
        ("61 38,39", 2),
        ("+1 212", 1),
        ("49 171", 1),
        ("1-809", 1),
        ("+33,+34,+39", 3),
    ] {
        assert_eq!(
            parse(
                format!("Prefix,Rate\n\"{cell}\",0.02\n").as_bytes(),
                &berlin()
            )
            .unwrap()
            .rows
            .len(),
            want,
            "{cell}"
        );
    }
}

#[test]
fn a_refusal_shows_the_whole_cell() {
    let shown = |titles: &str, row: &str| {
        let deck = parse(
            format!("Prefix,Rate{titles}\n{row}\n").as_bytes(),
            &berlin(),
        )
        .unwrap();
        deck.refused[0].detail.clone()
    };
    assert!(shown("", "46-7,0.01").contains("`46-7`"));
    assert!(shown("", "4479-4477,0.01").contains("`4479-4477`"));
    assert!(shown("", "1000-9999,0.01").contains("`1000-9999`"));
    assert!(shown(",Increments", "49,0.01,1/60/60").contains("`1/60/60`"));
}

#[test]
fn a_price_that_has_ended_is_said() {
    let deck = parse(
        "prefix,rate,valid to\n49,0.01,2020-01-01\n33,0.02,\n".as_bytes(),
        &super::tests::utc(),
    )
    .unwrap();
    let (_, shown) = lay_over(&card(""), &deck, &import(Mode::Full));
    assert_eq!((shown.new, shown.unchanged, shown.ended), (1, 0, 1));
}

#[test]
fn a_preview_shows_what_a_price_is_for() {
    let deck = parse(
        "prefix,origin,interstate,rate\n1212,1,0.01,0.02\n".as_bytes(),
        &super::tests::utc(),
    )
    .unwrap();
    let (_, shown) = lay_over(&card(""), &deck, &import(Mode::Full));
    let told: Vec<_> = shown
        .samples
        .iter()
        .map(|sample| (sample.jurisdiction, sample.origins.join(",")))
        .collect();
    assert_eq!(
        told,
        [
            (Jurisdiction::Any, "1".to_owned()),
            (Jurisdiction::Interstate, "1".to_owned())
        ]
    );
}

/// A card of three rates, and a deck laid over it: what it is billed in afterwards, and the
/// preview.
fn billed(deck: &str, options: &DeckOptions) -> (Vec<String>, super::super::Preview) {
    let rate = |key: &str, prefix: &str, initial: &str, next: &str| {
        format!(
            r#"{{"key":"{key}","meter":"call","prefixes":["{prefix}"],"name":"{key}","call":{{"initial":"{initial}","next":"{next}","steps":[{{"from":"0","price":"0.10","per":"60"}}]}}}}"#
        )
    };
    let base = card(
        &[
            rate("a", "9991", "60", "60"),
            rate("b", "9992", "30", "6"),
            rate("c", "9993", "1", "1"),
        ]
        .join(","),
    );
    let deck = parse(deck.as_bytes(), options).unwrap();
    let (after, preview) = lay_over(&base, &deck, &import(Mode::Full));
    let told = after.rates.iter().map(|rate| {
        let call = rate.call.as_ref().unwrap();
        format!(
            "{} {} {}/{}",
            rate.prefixes.join(","),
            call.steps[0].price,
            call.initial.unwrap(),
            call.next.unwrap()
        )
    });
    (told.collect(), preview)
}

#[test]
fn a_deck_without_increments_changes_none() {
    let deck = "prefix,destination,rate\n9991,a,0.12\n9992,b,0.10\n9993,c,0.08\n9994,d,0.20\n";
    let (rates, preview) = billed(deck, &berlin());
    assert_eq!(
        rates,
        [
            "9991 0.12 60/60",
            "9992 0.1 30/6",
            "9993 0.08 1/1",
            "9994 0.2 1/1"
        ]
    );
    assert_eq!((preview.new, preview.changed, preview.unchanged), (1, 2, 1));
    assert_eq!(
        (
            preview.increments_kept,
            preview.increments_unsaid,
            preview.increments_changed
        ),
        (2, 1, 0)
    );
    // From a date on too; the one that is in force then counts.
    let (rates, _) = billed(
        "prefix,destination,rate,effective \
            from\n9991,a,0.12,2026-12-01\n9992,b,0.10,\n9993,c,0.10,\n",
        &berlin(),
    );
    assert_eq!(
        rates,
        [
            "9991 0.1 60/60",
            "9991 0.12 60/60",
            "9992 0.1 30/6",
            "9993 0.1 1/1"
        ]
    );
}

#[test]
fn increments_that_change_are_named() {
    let deck = "prefix,destination,rate,increments\n9991,a,0.10,1/1\n9992,b,0.12,60/60\n9993,c,0.10,1/1\n9994,d,0.20,1/1\n";
    let (rates, preview) = billed(deck, &berlin());
    assert_eq!(
        rates,
        [
            "9991 0.1 1/1",
            "9992 0.12 60/60",
            "9993 0.1 1/1",
            "9994 0.2 1/1"
        ]
    );
    assert_eq!(
        (
            preview.increments_kept,
            preview.increments_unsaid,
            preview.increments_changed
        ),
        (0, 0, 2)
    );
    let named = |prefix: &str| {
        let change = preview
            .samples
            .iter()
            .find(|change| change.prefix == prefix)
            .unwrap();
        (
            change.kind,
            change.old_increments.clone().unwrap_or_default(),
            change.new_increments.clone().unwrap_or_default(),
        )
    };
    assert_eq!(
        named("9991"),
        (Kind::Changed, "60/60".to_owned(), "1/1".to_owned())
    );
    assert_eq!(
        named("9992"),
        (Kind::Increased, "30/6".to_owned(), "60/60".to_owned())
    );
    assert_eq!(named("9994"), (Kind::New, String::new(), String::new()));
    // Stated for the whole deck.
    let stated = DeckOptions {
        initial: Some(Quantity::whole(60)),
        next: Some(Quantity::whole(60)),
        ..berlin()
    };
    let (rates, preview) = billed(
        "prefix,destination,rate\n9991,a,0.10\n9992,b,0.10\n9993,c,0.10\n9994,d,0.20\n",
        &stated,
    );
    assert_eq!(
        rates,
        [
            "9991 0.1 60/60",
            "9992 0.1 60/60",
            "9993 0.1 60/60",
            "9994 0.2 60/60"
        ]
    );
    assert_eq!(
        (
            preview.increments_kept,
            preview.increments_unsaid,
            preview.increments_changed
        ),
        (0, 0, 2)
    );
}

#[test]
fn a_length_that_is_stated_is_named_as_the_map_calls_it() {
    for (options, want) in [
        (
            map(r#"{"per":"0"}"#),
            "invalid_field: `per`: expected more than 0 seconds",
        ),
        (
            map(r#"{"initial":"-1","next":"1"}"#),
            "invalid_field: `initial`: ",
        ),
        (map(r#"{"next":"0"}"#), "invalid_field: `next`: "),
    ] {
        let stop = stopped("Prefix,Rate\n9991,0.02\n", &options);
        assert!(stop.starts_with(want), "{stop}");
    }
}

/// The terms of each prefix after a deck was laid over three rates, one with everything, one
/// blocked, one plain; and the preview.
fn terms_after(deck: &str) -> (Vec<String>, super::super::Preview) {
    let base = card(
        r#"{"key":"a","meter":"call","prefixes":["9991"],"name":"a","rounding":{"mode":"up","decimals":2},"call":{"initial":"1","next":"1",
             "connect_fee":"0.10","minimum_duration":"30","free_if_shorter_than":"5","included":"10","maximum_charge":"9",
             "steps":[{"from":"0","price":"0.04","per":"60"}]}},
           {"key":"b","meter":"call","prefixes":["9992"],"name":"b","blocked":true,"call":{"initial":"1","next":"1","steps":[{"from":"0","price":"0.03","per":"60"}]}},
           {"key":"c","meter":"call","prefixes":["9993"],"name":"c","blocked":true},
           {"key":"d","meter":"call","prefixes":["9994"],"name":"d","call":{"initial":"1","next":"1","steps":[{"from":"0","price":"0.05","per":"60"}]}}"#,
    );
    let deck = parse(deck.as_bytes(), &berlin()).unwrap();
    let (after, preview) = lay_over(&base, &deck, &import(Mode::Partial));
    let again = lay_over(&after, &deck, &import(Mode::Partial)).1;
    assert_eq!(
        (again.new, again.changed, again.gaps),
        (0, 0, 0),
        "a second import changes nothing"
    );
    let told = after.rates.iter().map(|rate| {
        let none = rating::card::CallTerms::default();
        let call = rate.call.as_deref().unwrap_or(&none);
        let mut line = format!(
            "{} {}",
            rate.prefixes.join(","),
            call.steps
                .first()
                .map_or("-".to_owned(), |step| step.price.to_string())
        );
        let fees = [("+", call.connect_fee), ("max ", call.maximum_charge)]
            .map(|(mark, fee)| (mark, fee.map(|fee| fee.to_string())));
        let times = [
            (">", call.minimum_duration),
            ("<", call.free_if_shorter_than),
            ("free ", call.included),
        ];
        let times = times.map(|(mark, time)| (mark, time.map(|time| time.to_string())));
        for (mark, value) in fees.into_iter().chain(times) {
            line += &value
                .map(|value| format!(" {mark}{value}"))
                .unwrap_or_default();
        }
        line + if rate.rounding.is_some() {
            " rounded"
        } else {
            ""
        } + if rate.blocked { " blocked" } else { "" }
    });
    (told.collect(), preview)
}

fn sample<'p>(preview: &'p super::super::Preview, prefix: &str) -> &'p super::super::Change {
    preview
        .samples
        .iter()
        .find(|change| change.prefix == prefix)
        .unwrap_or_else(|| panic!("{prefix} in {preview:?}"))
}

#[test]
fn a_deck_of_prices_alone_changes_no_other_terms() {
    let (terms, preview) = terms_after("prefix,destination,rate\n9991,a,0.045\n9994,d,0.06\n");
    let (b, c) = ("9992 0.03 blocked", "9993 - blocked");
    assert_eq!(
        terms,
        [
            "9991 0.045 +0.1 max 9 >30 <5 free 10 rounded",
            b,
            c,
            "9994 0.06"
        ]
    );
    assert_eq!(
        (preview.terms_kept, preview.terms_changed, preview.increased),
        (1, 0, 2)
    );
    assert_eq!(sample(&preview, "9991").old_terms, None);
    // What it has a column for it says; the others stay, and what changes is named.
    let (terms, preview) =
        terms_after("prefix,destination,rate,connect fee\n9991,a,0.04,\n9994,d,0.05,0.01\n");
    assert_eq!(
        terms,
        [
            "9991 0.04 max 9 >30 <5 free 10 rounded",
            b,
            c,
            "9994 0.05 +0.01"
        ]
    );
    assert_eq!(
        (preview.terms_kept, preview.terms_changed, preview.changed),
        (1, 2, 2)
    );
    let fee = sample(&preview, "9994");
    assert_eq!(
        (fee.kind, fee.old_terms.as_deref(), fee.new_terms.as_deref()),
        (
            Kind::Changed,
            Some("no fee, minimum or free time"),
            Some("connect fee 0.01")
        )
    );
    assert!(
        sample(&preview, "9991")
            .old_terms
            .as_deref()
            .unwrap()
            .starts_with("connect fee 0.1, at least 30 s, ")
    );
}

#[test]
fn what_no_deck_can_say_is_named_where_a_deck_takes_its_place() {
    let steps =
        r#"[{"from":"0","price":"0.20","per":"60"},{"from":"60","price":"0.10","per":"60"}]"#;
    let base = card(&format!(
        r#"{{"key":"a","meter":"call","prefixes":["9991"],"call":{{"connect_fee":"0.1","steps":{steps}}}}}"#
    ));
    let deck = parse("prefix,rate\n9991,0.15\n".as_bytes(), &berlin()).unwrap();
    let (after, preview) = lay_over(&base, &deck, &import(Mode::Partial));
    assert_eq!(
        after.rates[0].call.as_ref().unwrap().connect_fee,
        Some("0.1".parse().unwrap())
    );
    assert_eq!(
        sample(&preview, "9991").old_terms.as_deref(),
        Some("connect fee 0.1, 2 prices by elapsed time")
    );
}

#[test]
fn a_deck_without_a_word_of_it_opens_nothing_that_is_blocked() {
    let (terms, preview) = terms_after("prefix,destination,rate\n9992,b,0.02\n9993,c,0.02\n");
    assert_eq!(terms[1..3], ["9992 0.02 blocked", "9993 0.02 blocked"]);
    assert_eq!(
        (preview.blocked_kept, preview.blocked, preview.opened),
        (2, 0, 0)
    );
    let (terms, preview) =
        terms_after("prefix,destination,rate,blocked\n9992,b,0.02,no\n9994,d,0.05,yes\n");
    assert_eq!((&*terms[1], &*terms[3]), ("9992 0.02", "9994 0.05 blocked"));
    assert_eq!(
        (
            preview.blocked_kept,
            preview.blocked,
            preview.opened,
            preview.changed
        ),
        (0, 1, 1, 2)
    );
    assert_eq!(
        (sample(&preview, "9992").kind, sample(&preview, "9994").kind),
        (Kind::Opened, Kind::Blocked)
    );
    let (_, preview) = terms_after("prefix,destination,rate,status\n9993,c,0.02,Active\n");
    assert_eq!(
        (sample(&preview, "9993").kind, preview.opened),
        (Kind::Opened, 1)
    );
}

#[test]
fn a_time_without_a_price_is_refused_or_named() {
    let head = "prefix,destination,rate,effective from,valid to,status\n";
    // Closed at once, and sold later: nobody says what is in between.
    let both =
        format!("{head}9994,d,0.05,,,Deleted\n9994,d,0.06,2027-01-01,,New\n9991,a,0.04,,,Active\n");
    let deck = parse(both.as_bytes(), &berlin()).unwrap();
    assert_eq!(
        deck.refused
            .iter()
            .map(|row| (row.line, &*row.code))
            .collect::<Vec<_>>(),
        [(2, "contradiction"), (3, "contradiction")]
    );
    assert!(
        deck.refused[0].detail.contains("9994")
            && deck.refused[0].detail.contains("2026-12-31T23:00:00Z"),
        "{deck:?}"
    );
    assert!(deck.spared.has("9994") && !deck.spared.has("9991"));
    let day = |text: &str| Some(format!("{text}T23:00:00Z").parse().unwrap());
    for (rows, from, until) in [
        (
            "9994,d,0.05,2026-12-01,,Deleted\n9994,d,0.06,2027-01-01,,New\n",
            "2026-11-30",
            "2026-12-31",
        ),
        (
            "9994,d,0.05,,2026-12-15,\n9994,d,0.06,2027-01-01,,\n",
            "2026-12-15",
            "2026-12-31",
        ),
        (
            "9995,e,0.05,,2026-12-15,\n9995,e,0.06,2027-01-01,,\n",
            "2026-12-15",
            "2026-12-31",
        ),
    ] {
        let (_, preview) = terms_after(&format!("{head}{rows}"));
        let change = sample(&preview, &rows[..4]);
        assert_eq!(
            (preview.gaps, change.gap_from, change.gap_until),
            (1, day(from), day(until)),
            "{rows}"
        );
    }
    for rows in [
        "9994,d,0.05,,2026-12-31,\n9994,d,0.06,2027-01-01,,\n",
        "9994,d,0.06,2027-01-01,,\n",
        "9995,e,0.06,2027-01-01,,\n",
    ] {
        assert_eq!(terms_after(&format!("{head}{rows}")).1.gaps, 0, "{rows}");
    }
}

#[test]
fn a_direction_is_outbound_alone() {
    for (cell, is_read) in [
        ("outbound", true),
        ("Outgoing", true),
        ("not outbound", false),
        ("inbound/outbound", false),
        ("both", false),
    ] {
        let deck = format!("Prefix,Rate,Direction\n9991,0.02,{cell}\n");
        let want = if is_read {
            "9991  0.02/60 1/1"
        } else {
            "line 2 Direction: unsupported_direction"
        };
        assert_eq!(told(&deck, &berlin()), [want], "{cell}");
    }
}

#[test]
fn a_sign_in_the_title_of_a_price_is_no_price() {
    for title in ["Rate ‰", "Cost%", "-Rate", "Rate (-)", "Rate *", "Rate +"] {
        let stop = stopped(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &berlin());
        assert!(
            stop.starts_with("missing_field: ") || stop.starts_with("unknown_column: "),
            "{title}: {stop}"
        );
        let stated = DeckOptions {
            columns: [(super::super::Field::Price, Column::Name(title.to_owned()))].into(),
            ..berlin()
        };
        let stop = stopped(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &stated);
        assert!(stop.starts_with("ambiguous_unit: "), "{title}: {stop}");
        let known = DeckOptions {
            per: Some(Quantity::whole(60)),
            cents: Some(false),
            ..stated
        };
        assert_eq!(
            told(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &known),
            ["9991 x 0.02/60 1/1"],
            "{title}"
        );
    }
}

/// A list in dollars became a card in euros.
#[test]
fn a_currency_in_the_title_of_a_price_is_not_lost() {
    for title in [
        "Rate ($)",
        "Price ($)",
        "Rate $",
        "Rate [$]",
        "$ Rate",
        "Preis ($)",
        "Rate (£)",
        "Rate (Rappen)",
        "Rate (grosze)",
    ] {
        let stop = stopped(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &berlin());
        assert!(stop.starts_with("currency_mismatch: "), "{title}: {stop}");
    }
    for title in ["Rate (centavos)", "Rate (öre)", "Rate $$", "$Rate"] {
        let stop = stopped(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &berlin());
        assert!(
            ["missing_field: ", "unknown_column: ", "currency_mismatch: "]
                .iter()
                .any(|code| stop.starts_with(code)),
            "{title}: {stop}"
        );
    }
    for title in ["Rate (€)", "€ Rate", "Rate (Eurocent)"] {
        let price = if title.contains("cent") {
            "0.0002"
        } else {
            "0.02"
        };
        assert_eq!(
            told(&format!("Prefix,Name,{title}\n9991,x,0.02\n"), &berlin()),
            [format!("9991 x {price}/60 1/1")],
            "{title}"
        );
    }
    let fee = stopped(
        "Prefix,Name,Rate,Connect fee ($)\n9991,x,0.02,0.1\n",
        &berlin(),
    );
    assert!(fee.starts_with("currency_mismatch: "), "{fee}");
}

#[test]
fn a_note_that_speaks_of_the_price_is_not_passed_over() {
    let head = "Prefix,Rate,Notes,Region,ISO2\n";
    for note in [
        "blocked",
        "rate in cents",
        "per call",
        "valid until 31.12.2026",
        "peak",
        "from 1 March 2027",
        "60/60",
        "plus 19% VAT",
        "0.02 €",
    ] {
        let deck = format!("{head}9991,0.02,{note},EU,CT\n9992,0.02,,EU,CT\n");
        assert_eq!(
            told(&deck, &berlin()),
            ["9992  0.02/60 1/1", "line 2 Notes: unread_note"],
            "{note}"
        );
        let left_out = DeckOptions {
            ignore_columns: vec![Column::Name("Notes".into())],
            ..berlin()
        };
        assert_eq!(told(&deck, &left_out).len(), 2, "{note}");
    }
    for note in [
        "premium route",
        "new",
        "CLI guaranteed",
        "Vodafone",
        "US",
        "North America",
        "T-Mobile",
        "No change",
        "n/a",
        "-",
    ] {
        assert_eq!(
            told(&format!("{head}9991,0.02,{note},EU,CT\n"), &berlin()),
            ["9991  0.02/60 1/1"],
            "{note}"
        );
    }
    // A column of comments is one of notes, beside names or not.
    for title in [
        "Comment",
        "Kommentar",
        "Commentaire",
        "Comentario",
        "Commento",
        "Bemerkung",
        "Remarques",
        "Note",
    ] {
        let comments = format!(
            "Prefix,Destination,{title},Rate\n9991,Atlantis,closed,0.02\n9992,Lemuria,new \
                route,0.02\n"
        );
        assert_eq!(
            told(&comments, &berlin()),
            [
                "9992 Lemuria 0.02/60 1/1",
                &format!("line 2 {title}: unread_note")
            ]
        );
        let alone = format!("Prefix,{title},Rate\n9991,GBP,0.02\n");
        assert_eq!(
            told(&alone, &berlin()),
            [format!("line 2 {title}: unread_note")]
        );
    }
}

#[test]
fn areas_of_north_america_are_behind_its_code() {
    let areas = |rows: &str| told(&format!("Country Code,NPA,Rate\n{rows}"), &berlin());
    assert_eq!(
        areas("1,212,0.02\n+1,213,0.02\n"),
        ["1212  0.02/60 1/1", "1213  0.02/60 1/1"]
    );
    assert_eq!(areas("44,212,0.02\n"), ["line 2 NPA: invalid_prefix"]);
    assert_eq!(
        told("NPA,Rate\n201-205,0.02\n", &berlin()),
        ["line 2 NPA: ambiguous_prefix"]
    );
    assert_eq!(
        told("NPANXX,Rate\n201-205,0.02\n", &berlin()),
        ["1201205  0.02/60 1/1"]
    );
    let behind = |area: &str| {
        told(
            &format!("Country Code,Area Code,Rate\n49,{area},0.02\n"),
            &berlin(),
        )
    };
    assert_eq!(behind("004930"), ["line 2 Area Code: ambiguous_prefix"]);
    assert_eq!(behind("0030-0031"), ["line 2 Area Code: ambiguous_prefix"]);
    assert_eq!(behind("030"), ["4930  0.02/60 1/1"]);
}

#[test]
fn a_number_alone_above_the_titles_is_not_passed_over() {
    for line in [
        "0.01",
        "1000",
        "Rates 100",
        "Price list 1000",
        "Outbound 60",
        "Tariff 30",
    ] {
        let stop = stopped(&format!("{line},\nPrefix,Rate\n9991,0.02\n"), &berlin());
        assert!(
            stop.starts_with("unknown_line") && stop.contains("--skip-lines 1"),
            "{stop}"
        );
    }
    assert_eq!(
        told("Price list 2026,\nPrefix,Rate\n9991,0.02\n", &berlin()),
        ["9991  0.02/60 1/1"]
    );
}

/// Each of them stopped the import, although what it says is understood.
#[test]
fn what_is_understood_above_the_titles_is_used_or_agrees() {
    for line in [
        "Currency: EUR",
        "Currency EUR",
        "Währung: EUR",
        "All rates are per minute",
        "All rates are in EUR per minute",
        "Precios en EUR por minuto",
        "Prezzi in EUR al minuto",
        "Tarifs en EUR par minute",
        "Alle Preise in EUR pro Minute",
    ] {
        assert_eq!(
            told(&format!("{line},\nPrefix,Rate\n9991,0.02\n"), &berlin()),
            ["9991  0.02/60 1/1"],
            "{line}"
        );
    }
    for line in ["Billing increment 60/1", "Billing: 60/1", "Taktung 60/1"] {
        assert_eq!(
            told(&format!("{line},\nPrefix,Rate\n9991,0.02\n"), &berlin()),
            ["9991  0.02/60 60/1"],
            "{line}"
        );
        // Beside a column of them, or others that are stated, nobody knows which count.
        assert!(
            stopped(
                &format!("{line},,\nPrefix,Rate,Increment\n9991,0.02,1/1\n"),
                &berlin()
            )
            .starts_with("unknown_line"),
            "{line}"
        );
        let stated = map(r#"{"initial":"1","next":"1"}"#);
        assert!(
            stopped(&format!("{line},\nPrefix,Rate\n9991,0.02\n"), &stated)
                .starts_with("unknown_line"),
            "{line}"
        );
    }
    assert!(
        stopped(
            "Billing 60/1,\nBilling 1/1,\nPrefix,Rate\n9991,0.02\n",
            &berlin()
        )
        .starts_with("unknown_line")
    );
    for (line, code) in [
        ("Currency: USD", "currency_mismatch"),
        ("Currency: peso", "unknown_line"),
        ("Prices in EUR per second", "unknown_line"),
    ] {
        assert!(
            stopped(&format!("{line},\nPrefix,Rate\n9991,0.02\n"), &berlin()).starts_with(code),
            "{line}"
        );
    }
}

#[test]
fn states_units_and_dates_without_an_end_are_read() {
    assert_eq!(
        told("NPANXX,State,Rate\n212555,NY,0.02\n", &berlin()),
        ["1212555  0.02/60 1/1"]
    );
    assert_eq!(
        told(
            "Prefix,Rate,Unit\n9991,0.02,EUR/min\n9992,0.02,USD/min\n",
            &berlin()
        ),
        ["9991  0.02/60 1/1", "line 3 Unit: invalid_unit"]
    );
    for (cell, is_end) in [
        ("0000-00-00", true),
        ("9999-12-31", true),
        ("9999-12-31 23:59:59", true),
        ("0000-00-00 00:00:00", false),
    ] {
        let title = if is_end { "Valid to" } else { "Effective date" };
        assert_eq!(
            told(
                &format!("Prefix,Rate,{title}\n9991,0.02,{cell}\n"),
                &berlin()
            ),
            ["9991  0.02/60 1/1"],
            "{cell}"
        );
    }
    assert_eq!(
        told(
            "Prefix,Rate,Effective date\n9991,0.02,9999-99-99\n",
            &berlin()
        ),
        ["line 2 Effective date: invalid_date"]
    );
}
