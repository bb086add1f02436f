//! Price lists as people have them: each kind is read right, or refused with the column and what helps.

use super::super::{DeckOptions, Kind, Mode, parse};
use super::tests::{berlin, card, import, rates, told};
use super::*;
use crate::input::table::Column;

/// The problem of a deck that is not read at all.
fn stopped(text: &str, options: &DeckOptions) -> String {
    let problem = parse(text.as_bytes(), options).unwrap_err();
    format!("{}: {}", problem.code, problem.detail)
}

fn map(json: &str) -> DeckOptions {
    DeckOptions { zone: berlin().zone, currency: berlin().currency, ..serde_json::from_str(json).unwrap() }
}

#[test]
fn a_column_that_is_not_understood_stops_the_import() {
    for title in ["Route", "Peak rate", "Old Rate", "Type", "Rate (incl. VAT)"] {
        let text = format!("Prefix,Rate,{title}\n9991,0.02,x\n");
        let stop = stopped(&text, &berlin());
        assert!(stop.starts_with("unknown_column: ") && stop.contains(title) && stop.contains("--ignore-column"), "{stop}");
        let named = DeckOptions { ignore_columns: vec![Column::Name(title.to_lowercase())], ..berlin() };
        assert_eq!(told(&text, &named), ["9991  0.02/60 1/1"]);
        assert_eq!(parse(text.as_bytes(), &named).unwrap().ignored_columns, [title]);
    }
    // Of several each is named; a label is understood.
    let stop = stopped("Prefix,Rate,Route,Region,Weekend\n9991,0.02,a,b,c\n", &berlin());
    assert!(stop.contains("`Route`, `Weekend`") && !stop.contains("Region"), "{stop}");
    // A column stated by a name that the file does not have.
    let stop = stopped("Prefix,Rate,Setup fee\n9991,0.02,1\n", &map(r#"{"columns":{"connect_fee":"Setup"}}"#));
    assert!(stop.starts_with("unknown_column: ") && stop.contains("`Setup`"), "{stop}");
}

#[test]
fn a_column_without_a_title_is_empty_or_stated() {
    assert_eq!(told("Prefix,Rate,\n9991,0.02,\n9992,0.03,60\n", &berlin()), ["9991  0.02/60 1/1", "line 3 column 2: unknown_column"]);
    let ignored = DeckOptions { ignore_columns: vec![Column::Name("2".into())], ..berlin() };
    assert_eq!(told("Prefix,Rate,\n9992,0.03,60\n", &ignored), ["9992  0.03/60 1/1"]);
    let headless = map(r#"{"headless":true,"columns":{"prefix":0,"price":1}}"#);
    assert_eq!(told("9991,0.02,60/60\n", &headless), ["line 1 column 2: unknown_column"]);
}

#[test]
fn one_increment_alone_is_both() {
    for title in ["Increment", "Increments", "Billing increment", "Interval", "Takt"] {
        assert_eq!(told(&format!("Prefix,Rate,{title}\n9991,0.02,6\n"), &berlin()), ["9991  0.02/60 6/6"], "{title}");
    }
    let first = "Prefix,Rate,Initial increment\n9991,0.02,60\n9992,0.02,60/1\n";
    assert_eq!(told(first, &berlin()), ["9992  0.02/60 60/1", "line 2 Initial increment: missing_increment"]);
    assert_eq!(told(first, &map(r#"{"next":"6"}"#)), ["9991  0.02/60 60/6", "9992  0.02/60 60/1"]);
    let both = "Prefix,Rate,Initial increment,Increment\n9991,0.02,60,6\n9992,0.02,60,\n9993,0.02,,6\n";
    assert_eq!(told(both, &berlin()), ["9991  0.02/60 60/6", "9993  0.02/60 6/6", "line 3 Initial increment: missing_increment"]);
    assert_eq!(told("Prefix,Rate,Initial increment (min),Next (sec)\n9991,0.02,1,30\n", &berlin()), ["9991  0.02/60 60/30"]);
    assert!(stopped("Prefix,Rate,Initial increment,Next increment,Increment\n", &berlin()).starts_with("ambiguous_column"));
}

#[test]
fn a_price_says_its_currency_and_its_unit() {
    let usd = DeckOptions { currency: "USD".parse().ok(), ..berlin() };
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
        ("Rate (cents)", "€ 0.02", "line 2 Rate (cents): ambiguous_unit"),
        ("Rate", "0.02*", "line 2 Rate: invalid_price"),
    ] {
        assert_eq!(told(&format!("Prefix,{title}\n9991,{cell}\n"), &berlin()), [want], "{title} {cell}");
    }
    assert_eq!(told("Prefix,Rate\n9991,$0.02\n", &usd), ["9991  0.02/60 1/1"]);
    let fee = "Prefix,Rate,Setup fee (cents)\n9991,0.02,5\n";
    assert_eq!(told(fee, &berlin()), ["9991  0.02/60 1/1 +0.05"]);
    assert!(stopped("Prefix,Rate/sec\n9991,0.02\n", &map(r#"{"per":"60"}"#)).starts_with("ambiguous_unit"));
    assert!(stopped("Prefix,US$/min\n9991,0.02\n", &berlin()).starts_with("currency_mismatch"));
    assert!(stopped("All prices in USD\nPrefix,Rate\n9991,0.02\n", &berlin()).starts_with("currency_mismatch"));
    assert_eq!(told("9991,2\n", &map(r#"{"headless":true,"cents":true,"columns":{"prefix":0,"price":1}}"#)), ["9991  0.02/60 1/1"]);
    let unit = "Prefix,Rate,Unit\n9991,0.02,minute\n9992,0.01,sec\n9993,0.01,MB\n";
    assert_eq!(told(unit, &berlin()), ["9991  0.02/60 1/1", "9992  0.01/1 1/1", "line 4 Unit: invalid_unit"]);
}

#[test]
fn a_row_in_another_currency_is_refused() {
    let deck = "Prefix,Destination,Rate,Currency\n49,Germany,0.02,USD\n33,France,0.02,EUR\n44,Britain,0.02,\n";
    assert_eq!(told(deck, &berlin()), ["33 France 0.02/60 1/1", "44 Britain 0.02/60 1/1", "line 2 Currency: currency_mismatch"]);
}

#[test]
fn deleted_rows_close_and_blocked_rows_block() {
    let (first, _) = rates(&card(""), "prefix,destination,rate\n9991,Atlantis,0.02\n9992,Lemuria,0.03\n9993,Avalon,0.04\n", Mode::Full);
    let deck = "prefix,destination,rate,status,effective\n9991,Atlantis,0.02,Deleted,\n9992,Lemuria,0.03,Blocked,\n9993,Avalon,0.04,Closed,2026-12-01\n9994,New,0.05,Active,\n9995,Odd,0.05,7,\n";
    let parsed = parse(deck.as_bytes(), &super::tests::utc()).unwrap();
    assert_eq!(parsed.refused.iter().map(|r| (r.line, &*r.code)).collect::<Vec<_>>(), [(6, "unknown_status")]);
    let (next, shown) = lay_over(&first, &parsed, &import(Mode::Partial));
    let told: Vec<String> =
        next.rates.iter().map(|r| format!("{} {} {:?}", r.prefixes.join(","), r.blocked, r.effective_until.is_some())).collect();
    assert_eq!(told, ["9992 true false", "9993 false true", "9994 false false"]);
    assert_eq!((shown.closed, shown.new, shown.changed), (2, 1, 1));
    assert!(shown.samples.iter().any(|c| c.kind == Kind::Closed && c.prefix == "9991" && c.new_price.is_none()));
    // Deleted and for sale at once: nobody knows which.
    let both = "prefix,rate,status\n9991,0.02,Active\n9991,0.02,Deleted\n";
    assert_eq!(parse(both.as_bytes(), &berlin()).unwrap().refused[0].code, "contradiction");
}

#[test]
fn an_expiry_ends_a_rate() {
    let deck = "Prefix,Destination,Rate,Effective Date,Expiry Date\n49,Germany,0.02,2025-01-01,2025-12-31\n49,Germany,0.03,2026-01-01,\n33,France,0.01,2024-01-01,2025-01-01\n";
    let (_, told) = rates(&card(""), deck, Mode::Full);
    assert_eq!(told, ["germany 49 0.03 2026-01-01.."]);
    // What is sold today and has ended by the deck is closed.
    let (sold, _) = rates(&card(""), "prefix,destination,rate\n33,France,0.01\n", Mode::Full);
    let (left, shown) = lay_over(&sold, &parse(deck.as_bytes(), &super::tests::utc()).unwrap(), &import(Mode::Partial));
    assert_eq!((left.rates.len(), shown.closed, shown.new), (1, 1, 1));
}

#[test]
fn included_seconds_are_free() {
    let (card, _) = rates(&card(""), "prefix,rate,Included Seconds\n9991,0.02,20\n", Mode::Full);
    assert_eq!(card.rates[0].call.as_ref().unwrap().included, Some(rating::Quantity::whole(20)));
}

#[test]
fn a_file_without_titles_loses_no_row() {
    let text = "49;Germany;0.0200\n4915;Germany Mobile;0.1000\n33;France;0.0100\n";
    let stop = stopped(text, &berlin());
    assert!(stop.contains("--map") && stop.contains("\"headless\":true"), "{stop}");
    let by_index = map(r#"{"columns":{"prefix":0,"destination":1,"price":2}}"#);
    let want = ["33 France 0.01/60 1/1", "49 Germany 0.02/60 1/1", "4915 Germany Mobile 0.1/60 1/1"];
    assert_eq!(told(text, &by_index), want);
    assert_eq!(told(&format!("Prefix;Name;Price\n{text}"), &by_index), want);
    assert_eq!(
        told("Prefix;Name;Price\n49;x;0.02\n", &DeckOptions { headless: true, ..by_index }),
        ["49 x 0.02/60 1/1", "line 1 column 0: invalid_prefix"]
    );
}

#[test]
fn prices_by_origin_are_rates_by_origin() {
    let deck = "prefix,destination,origin,rate\n9991,Atlantis,,0.10\n9991,Atlantis,\"49, 43\",0.02\n9991,Atlantis,EEA,0.03\n";
    assert_eq!(parse(deck.as_bytes(), &berlin()).unwrap().refused[0].column, "origin");
    let (priced, keys) = rates(&card(""), &deck.replace("EEA", "33"), Mode::Full);
    assert_eq!(keys, ["atlantis 9991 0.1", "atlantis-from-33 9991 0.03", "atlantis-from-43 9991 0.02"]);
    assert_eq!(priced.rates[2].origin_prefixes, ["43", "49"]);
    // A deck that says nothing of origins leaves them.
    let (left, _) = rates(&priced, "prefix,rate\n9991,0.2\n", Mode::Full);
    assert_eq!(left.rates.len(), 3);
}

#[test]
fn a_line_with_too_few_cells_is_refused() {
    let deck = parse("prefix,destination,rate\n9991,Atlantis,0.02\n9992,Lem\n".as_bytes(), &berlin()).unwrap();
    assert_eq!((deck.rows.len(), &*deck.refused[0].code, deck.refused[0].line), (1, "invalid_row", 3));
}

#[test]
fn every_encoding_is_read() {
    let text = "Prefix;Destination;Rate\n9991;Österreich;0,02 €\n";
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin1 = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    for bytes in [text.as_bytes().to_vec(), utf16, latin1] {
        let deck = parse(&bytes, &berlin()).unwrap();
        assert_eq!((deck.names[1].as_str(), deck.terms[0].price.to_string().as_str()), ("Österreich", "0.02"), "{bytes:?}");
    }
}
