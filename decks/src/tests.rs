use super::super::{Kind, Mode, parse};
use super::*;
use crate::options::DeckOptions;
use formats::input::when::DateForm;
use proptest::prelude::*;
use rating::Currency;

const ASTPP: &str = include_str!("../../tests/fixtures/deck_astpp.csv");
const UNION: &str = include_str!("../../tests/fixtures/deck_union.csv");
const CALLWITHUS: &str = include_str!("../../tests/fixtures/deck_callwithus.csv");
const LABS46: &str = include_str!("../../tests/fixtures/deck_46labs.csv");

pub(super) fn berlin() -> DeckOptions {
    DeckOptions {
        zone: Some("Europe/Berlin".into()),
        currency: Some(Currency::EUR),
        ..DeckOptions::default()
    }
}

/// Each row as `prefix[/jurisdiction] name price/per initial/next +fee <free from`; then each
/// refusal.
pub(super) fn told(text: &str, options: &DeckOptions) -> Vec<String> {
    let deck = parse(text.as_bytes(), options).unwrap();
    let rows = deck.rows.iter().map(|row| {
        let t = deck.terms(row);
        let mut line = row.prefix.to_string();
        line += &row
            .jurisdiction
            .value()
            .map(|j| format!("/{j}"))
            .unwrap_or_default();
        line += &format!(
            " {} {}/{} {}/{}",
            deck.name(row),
            t.price,
            t.per,
            t.initial,
            t.next
        );
        for (mark, value) in [
            ("+", t.connect_fee.to_string()),
            ("<", t.free_if_shorter_than.to_string()),
            (">", t.minimum_duration.to_string()),
        ] {
            if value != "0" {
                line += &format!(" {mark}{value}");
            }
        }
        line + &deck
            .period(row)
            .from
            .map(|from| format!(" from {from}"))
            .unwrap_or_default()
    });
    let refused = deck
        .refused
        .iter()
        .map(|r| format!("line {} {}: {}", r.line, r.column, r.code));
    rows.chain(refused).collect()
}

#[test]
fn the_known_forms_are_read() {
    assert_eq!(
        told(ASTPP, &berlin()),
        [
            "99910 Nowhere 0.0125/60 30/6",
            "999101 Nowhere, Mobile 0.125/60 60/60 +0.05 <3",
            "999102 Nowhere, Mobile 0.125/60 60/60 +0.05 <3",
            "line 5 Code: missing_prefix",
            "line 6 Cost / Min (EUR): invalid_price",
        ]
    );
    assert_eq!(
        told(UNION, &berlin()),
        [
            "88831 Lyonesse 0.05/60 1/1",
            "88832 Lyonesse 0.05/60 1/1",
            "88833 Lyonesse 0.05/60 1/1",
            "9991 Atlantis 0.02/60 60/1",
            "99915 Atlantis Mobile 0.1/60 60/1 +0.01",
            "99916 Atlantis Mobile 0.1/60 60/1 +0.01",
            "99917 Atlantis Mobile 0.1/60 60/1 +0.01 from 2026-10-31T23:00:00Z",
            "99917 Atlantis Mobile 0.12/60 60/1 +0.01 from 2026-11-30T23:00:00Z",
            "line 8 : contradiction",
            "line 9 : contradiction",
            "line 10 : contradiction",
            "line 12 Effective_from: invalid_date",
        ]
    );
    assert_eq!(
        told(CALLWITHUS, &berlin()),
        [
            "9991 Atlantis 0.02/60 60/60",
            "99915 Atlantis; Mobile 0.1/60 30/6",
            "9992 Lemuria 0.03/60 1/1"
        ]
    );
    assert_eq!(
        told(
            LABS46,
            &DeckOptions {
                date_form: DateForm::MonthFirst,
                ..berlin()
            }
        )[..4],
        [
            "1999555  0.0045/60 6/6 from 2026-10-31T23:00:00Z",
            "1999555/interstate  0.0021/60 6/6 from 2026-10-31T23:00:00Z",
            "1999555/intrastate  0.0045/60 6/6 from 2026-10-31T23:00:00Z",
            "1999556  0.004/60 6/6 from 2026-10-31T23:00:00Z",
        ]
    );
    let magnus = "dialprefix,destination,rateinitial,initblock,billingblock,minimal_time_charge,connectcharge,disconnectcharge,package_offer\n9991,Atlantis,0.02,30,6,2,0.01,0.02,0\n";
    assert_eq!(
        told(magnus, &berlin()),
        ["9991 Atlantis 0.02/60 30/6 +0.03 <2"]
    );
    let a2billing = "dialprefix,destination,rateinitial,initblock,billingblock,connectcharge,stepchargea\n9991,Atlantis,0.02,0,0,0,0\n9992,Lemuria,0.02,0,0,0,0.5\n";
    assert_eq!(
        told(a2billing, &berlin()),
        [
            "9991 Atlantis 0.02/60 1/1",
            "line 3 stepchargea: unsupported_term"
        ]
    );
    let kazoo = "prefix,rate_cost,rate_increment,rate_minimum,rate_nocharge_time,rate_surcharge,rate_name,iso_country_code,direction\n9991,0.02,6,60,5,0.01,AT_1,XX,\n9992,0.02,6,60,0,0,LE_1,XX,inbound\n";
    assert_eq!(
        told(kazoo, &berlin()),
        [
            "9991 AT_1 0.02/60 60/6 +0.01 <5",
            "line 3 direction: unsupported_direction"
        ]
    );
    let ivoz =
        "Name;Prefix;Per minute rate;Connection charge;Charge period\nAtlantis;+9991;0.02;0;60\n";
    assert_eq!(told(ivoz, &berlin()), ["9991 Atlantis 0.02/60 60/60"]);
}

#[test]
fn columns_come_in_any_order_and_under_titles() {
    let text = "Price list of November\n\nRate\tCode\tCountry\tDestination\n0,02\t9991, \
        9992\tX\tAtlantis\n";
    assert_eq!(
        told(
            text,
            &DeckOptions {
                delimiter: Some('\t'),
                ..berlin()
            }
        ),
        ["9991 Atlantis 0.02/60 1/1", "9992 Atlantis 0.02/60 1/1"]
    );
    let codes = "country code,area code,rate\n61,\"38,39\",0.02\n62,,0.03\n";
    assert_eq!(
        told(codes, &berlin()),
        ["6138  0.02/60 1/1", "6139  0.02/60 1/1", "62  0.03/60 1/1"]
    );
    let stated: DeckOptions = serde_json::from_str(
        r#"{"headless":true,"columns":{"prefix":1,"price":0},"per":"1","delimiter":";"}"#,
    )
    .unwrap();
    assert_eq!(told("0.5;9991\n", &stated), ["9991  0.5/1 1/1"]);
}

#[test]
fn a_long_name_is_cut_and_costs_nothing() {
    let deck = parse(
        format!("prefix,destination,rate\n9991,{},0.02\n", "ü".repeat(150)).as_bytes(),
        &berlin(),
    )
    .unwrap();
    assert_eq!((deck.rows.len(), deck.refused.len()), (1, 0));
    assert!(deck.name(&deck.rows[0]).len() <= 200 && deck.name(&deck.rows[0]).ends_with("ü…"));
}

#[test]
fn what_is_doubtful_is_asked() {
    let check = |text: &str, options: DeckOptions, want: &str| {
        assert_eq!(
            parse(text.as_bytes(), &options).unwrap_err().code.as_str(),
            want,
            "{text}"
        )
    };
    check("a,b\n1,2\n", berlin(), "missing_field");
    check("", berlin(), "missing_field");
    check("prefix,rate,price\n1,2,3\n", berlin(), "ambiguous_column");
    check("prefix,rate (USD)\n1,2\n", berlin(), "currency_mismatch");
    check(
        "prefix,rate\n1,2\n",
        DeckOptions {
            zone: Some("x".into()),
            ..berlin()
        },
        "invalid_field",
    );
    assert_eq!(
        told("prefix;rate\n9991;0,02\n9992;0.02\n", &berlin()),
        ["9992  0.02/60 1/1", "line 2 rate: invalid_price"]
    );
    assert_eq!(
        told("prefix,rate\n9991,\"0,02\"\n", &berlin()),
        ["line 2 rate: invalid_price"]
    );
    assert_eq!(
        told(
            "prefix,rate,effective\n9991,0.02,2026-11-20\n",
            &DeckOptions::default()
        ),
        ["line 2 effective: zone_required"]
    );
}

pub(super) fn card(rates: &str) -> CardDoc {
    serde_json::from_str(&format!(r#"{{"currency":"EUR","rates":[{rates}]}}"#)).unwrap()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub(super) fn import(mode: Mode) -> Import<'static> {
    Import {
        mode,
        meter: "call",
        at: at("2026-11-20T00:00:00Z"),
    }
}

pub(super) fn utc() -> DeckOptions {
    DeckOptions {
        zone: Some("UTC".into()),
        ..DeckOptions::default()
    }
}

/// The card's rates after an import: `key prefixes price from..until`.
pub(super) fn rates(base: &CardDoc, deck: &str, mode: Mode) -> (CardDoc, Vec<String>) {
    let deck = parse(deck.as_bytes(), &utc()).unwrap();
    let card = to_card(base, &deck, &import(mode));
    assert_eq!(rating::validate::validate(&card), []);
    let again = preview(&card, &deck, &import(mode));
    assert_eq!(
        (again.new, again.changed, again.closed, again.renamed),
        (0, 0, 0, 0),
        "a second import changes nothing"
    );
    assert_eq!(to_card(&card, &deck, &import(mode)), card);
    let day = |i: Option<Instant>| {
        i.map(|i| i.to_string()[..10].to_owned())
            .unwrap_or_default()
    };
    let told = card.rates.iter().map(|r| {
        let price = r
            .call
            .as_ref()
            .map(|c| c.steps[0].price.to_string())
            .unwrap_or_default();
        let period = if r.effective_from.or(r.effective_until).is_some() {
            format!(" {}..{}", day(r.effective_from), day(r.effective_until))
        } else {
            String::new()
        };
        format!("{} {} {price}{period}", r.key, r.prefixes.join(","))
    });
    (card.clone(), told.collect())
}

const FIRST: &str = "prefix,destination,rate\n9991,Atlantis,0.02\n99915,Atlantis \
    Mobile,0.10\n99916,Atlantis Mobile,0.10\n9992,,0.03\n";

#[test]
fn keys_are_stable_across_imports() {
    let sms = r#"{"key":"atlantis","meter":"sms","prefixes":["9991"],"price":{"model":"per_unit","unit_price":"0.05"}},
        {"key":"night","meter":"call","prefixes":["9991"],"window":{"from":"22:00"},"priority":1,"call":{"steps":[{"from":"0","price":"0.01","per":"60"}]}}"#;
    let (card, first) = rates(&card(sms), FIRST, Mode::Full);
    let kept = ["atlantis 9991 ", "night 9991 0.01"];
    assert_eq!(
        first,
        [
            &kept[..],
            &[
                "atlantis-9991 9991 0.02",
                "atlantis-mobile 99915,99916 0.1",
                "p9992 9992 0.03"
            ]
        ]
        .concat()
    );
    // Another price: the same keys. A break-out leaves the others of its name alone.
    let (card, dearer) = rates(&card, &FIRST.replace("0.02", "0.025"), Mode::Full);
    assert_eq!(
        dearer,
        [
            &kept[..],
            &[
                "atlantis-9991 9991 0.025",
                "atlantis-mobile 99915,99916 0.1",
                "p9992 9992 0.03"
            ]
        ]
        .concat()
    );
    let (card, split) = rates(
        &card,
        "prefix,destination,rate\n99916,Atlantis Mobile,0.2\n",
        Mode::Partial,
    );
    assert_eq!(
        split,
        [
            &kept[..],
            &[
                "atlantis-9991 9991 0.025",
                "atlantis-mobile 99915 0.1",
                "atlantis-mobile-99916 99916 0.2",
                "p9992 9992 0.03"
            ]
        ]
        .concat()
    );
    // A full deck closes what it does not name, and nothing else.
    let (_, closed) = rates(&card, "prefix,destination,rate\n9992,,0.03\n", Mode::Full);
    assert_eq!(closed, [&kept[..], &["p9992 9992 0.03"]].concat());
}

#[test]
fn announced_changes_keep_the_old_price_until_their_day() {
    let (card, _) = rates(&card(""), FIRST, Mode::Full);
    let announce = "prefix,destination,rate,effective\n9991,Atlantis,0.04,2026-12-01\n9993,Lyonesse,0.05,2026-12-01\n";
    let (card, announced) = rates(&card, announce, Mode::Partial);
    assert_eq!(
        announced,
        [
            "atlantis 9991 0.02 ..2026-12-01",
            "atlantis@2026-12-01 9991 0.04 2026-12-01..",
            "atlantis-mobile 99915,99916 0.1",
            "p9992 9992 0.03",
            "lyonesse 9993 0.05 2026-12-01..",
        ]
    );
    // Moved to another day: the announcement before is dropped.
    let (_, moved) = rates(
        &card,
        &announce.replace("2026-12-01", "2026-12-15"),
        Mode::Partial,
    );
    assert_eq!(
        moved[..2],
        [
            "atlantis 9991 0.02 ..2026-12-15",
            "atlantis@2026-12-15 9991 0.04 2026-12-15.."
        ]
    );
    // A full deck that begins in December closes the others in December.
    let (_, full) = rates(&card, announce, Mode::Full);
    assert_eq!(
        full,
        [
            "atlantis 9991 0.02 ..2026-12-01",
            "atlantis@2026-12-01 9991 0.04 2026-12-01..",
            "atlantis-mobile 99915,99916 0.1 ..2026-12-01",
            "p9992 9992 0.03 ..2026-12-01",
            "lyonesse 9993 0.05 2026-12-01..",
        ]
    );
    // The same price from a day in the past is no change.
    let past = FIRST
        .replace("rate\n", "rate,effective\n")
        .replace("0.02", "0.02,2020-01-01");
    let (before, first) = rates(&super::tests::card(""), FIRST, Mode::Full);
    assert_eq!(rates(&before, &past, Mode::Partial).1, first);
}

#[test]
fn a_preview_counts_and_shows() {
    let (card, _) = rates(&card(""), FIRST, Mode::Full);
    let deck = "prefix,destination,rate,initial increment\n9991,Atlantis,0.03,\n99915,Atlantis \
        Mobile,0.05,\n99916,Atlantis \
        Mobile,0.10,60/1\n9993,Lyonesse,x,\n9994,Avalon,0.07,\n9994,Avalon,0.07,\n";
    let deck = parse(deck.as_bytes(), &utc()).unwrap();
    let full = preview(&card, &deck, &import(Mode::Full));
    assert_eq!(
        (
            full.new,
            full.changed,
            full.increased,
            full.decreased,
            full.closed,
            full.unchanged
        ),
        (1, 3, 1, 1, 1, 0)
    );
    assert_eq!(
        (full.refused, full.duplicates, full.refusals[0].line),
        (1, 1, 5)
    );
    let shown: Vec<_> = full
        .samples
        .iter()
        .map(|c| {
            (
                c.kind,
                c.prefix.as_str(),
                c.old_price.map(|p| p.to_string()),
                c.new_price.map(|p| p.to_string()),
            )
        })
        .collect();
    let price = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            (Kind::Increased, "9991", price("0.02"), price("0.03")),
            (Kind::Decreased, "99915", price("0.1"), price("0.05")),
            (Kind::Changed, "99916", price("0.1"), price("0.1")),
            (Kind::Closed, "9992", price("0.03"), None),
            (Kind::New, "9994", None, price("0.07")),
        ]
    );
    let partial = preview(&card, &deck, &import(Mode::Partial));
    assert_eq!((partial.closed, partial.unchanged), (0, 1));
}

/// The card's prefixes after a deck was laid over [`FIRST`], and how many were closed and spared.
fn left(deck: &str, mode: Mode, options: &DeckOptions) -> (String, usize, usize) {
    let (base, _) = rates(&card(""), FIRST, Mode::Full);
    let (card, preview) = lay_over(
        &base,
        &parse(deck.as_bytes(), options).unwrap(),
        &import(mode),
    );
    let priced = |r: &Rate| {
        format!(
            "{}={}",
            r.prefixes.join(","),
            r.call
                .as_ref()
                .map_or(String::new(), |c| c.steps[0].price.to_string())
        )
    };
    (
        card.rates.iter().map(priced).collect::<Vec<_>>().join(" "),
        preview.closed,
        preview.spared,
    )
}

#[test]
fn a_refused_row_closes_nothing() {
    let check = |rows: &str, want: (&str, usize, usize)| {
        let deck = format!("prefix,destination,rate\n{rows}");
        assert_eq!(
            left(&deck, Mode::Full, &utc()),
            (want.0.to_owned(), want.1, want.2),
            "{rows}"
        );
    };
    check("9991,Atlantis,0.05\n", ("9991=0.05", 3, 0));
    // Its prefixes keep their rates, the others are closed.
    check(
        "9991,Atlantis,0.05\n99915,Atlantis Mobile,x\n",
        ("9991=0.05 99915=0.1", 2, 1),
    );
    check(
        "9991,Atlantis,0.05\n\"99915,99916\",Atlantis Mobile,-1\n",
        ("9991=0.05 99915,99916=0.1", 1, 2),
    );
    // Whatever another row says of them.
    check("9991,Atlantis,x\n9991,Atlantis,0.05\n", ("9991=0.02", 3, 1));
    // A row whose prefix cannot be read may mean any.
    check(
        "9991,Atlantis,0.05\n9.9E+4,Atlantis Mobile,0.2\n",
        ("9991=0.05 99915,99916=0.1 9992=0.03", 0, 3),
    );
    check(
        "9991,Atlantis,0.05\n99915,Atlantis Mobile,0,2\n",
        ("9991=0.05 99915,99916=0.1 9992=0.03", 0, 3),
    );
    // What a refused row names is no news either.
    check("9991,Atlantis,0.05\n9999,Lyonesse,x\n", ("9991=0.05", 3, 0));
    let commas = "prefix;destination;rate\n9991;Atlantis;0.05\n99915;Atlantis Mobile;0,2\n";
    assert_eq!(
        left(commas, Mode::Full, &utc()),
        ("9991=0.05 99915=0.1".to_owned(), 2, 1)
    );
    let all = "9991=0.05 99915,99916=0.1 9992=0.03".to_owned();
    assert_eq!(
        left(
            "prefix,rate,destination\n9991,0.05,Atlantis\n99915,x,\n",
            Mode::Partial,
            &utc()
        ),
        (all, 0, 0)
    );
}

#[test]
fn jurisdictions_are_rates_that_ask_for_an_attribute() {
    let deck = parse(
        LABS46.as_bytes(),
        &DeckOptions {
            date_form: DateForm::MonthFirst,
            zone: Some("UTC".into()),
            ..DeckOptions::default()
        },
    )
    .unwrap();
    let card = to_card(&card(""), &deck, &import(Mode::Full));
    assert_eq!(rating::validate::validate(&card), []);
    let keys: Vec<&str> = card.rates.iter().map(|rate| rate.key.as_str()).collect();
    assert_eq!(
        keys[..3],
        ["p1999555", "p1999555-interstate", "p1999555-intrastate"]
    );
    assert_eq!(
        card.rates[1]
            .attributes
            .get("jurisdiction")
            .map(String::as_str),
        Some("interstate")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120), body in "([-+0-9a-c,;. /\"\n]{0,60})") {
        let _ = parse(&bytes, &utc());
        let _ = parse(&[b"prefix,destination,rate,increments,effective\n", &bytes[..]].concat(), &utc());
        let _ = parse(format!("prefix;rate;destination\n{body}").as_bytes(), &utc());
    }

    #[test]
    fn any_two_decks_make_a_valid_card(first in any_deck(), second in any_deck(), full in any::<bool>()) {
        let mode = if full { Mode::Full } else { Mode::Partial };
        let (first, second) = (parse(first.as_bytes(), &utc()).unwrap(), parse(second.as_bytes(), &utc()).unwrap());
        let card = to_card(&card(""), &first, &import(mode));
        let (next, shown) = lay_over(&card, &second, &import(mode));
        if !next.rates.is_empty() {
            prop_assert_eq!(rating::validate::validate(&next), vec![]);
            let screened = preview_and_screen(&card, &second, &import(mode));
            prop_assert_eq!(screened, (shown, true), "a preview need not make such a card");
        }
        let again = preview(&next, &second, &import(mode));
        prop_assert_eq!((again.new, again.changed, again.closed, again.renamed), (0, 0, 0, 0));
    }
}

/// Few prefixes, names, prices and days, so that they meet.
fn any_deck() -> impl Strategy<Value = String> {
    let row = (
        "[1-3]{1,2}",
        "(A|B|a b)?",
        "0\\.0[1-3]",
        "(2026-1[0-2]-0[1-3])?",
    );
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        let mut text = "prefix,destination,rate,effective\n".to_owned();
        for (prefix, name, price, day) in rows {
            text += &format!("{prefix},{name},{price},{day}\n");
        }
        text
    })
}
