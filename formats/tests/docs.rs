//! Every example of `docs/usage-formats.md` is read by its parser, and is the event that the page
//! says.
//!
//! What a block is stands in its fence: "json cloudevents", "csv asterisk"; "json becomes" is what
//! the block before it must come to.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use formats::UsageEvent;
use formats::input::cdr::Options;
use formats::input::own_fields::OwnFields;
use formats::input::table::{self, ColumnMap};
use formats::input::{
    Parsed, Row, asterisk, cloudevents, freeswitch, freeswitch_csv, json, ndjson,
};

const PAGE: &str = include_str!("../../docs/usage-formats.md");

#[test]
fn the_page_says_what_the_parsers_do() {
    let options = Options {
        zone: Some("Europe/Berlin".to_owned()),
        ..Options::default()
    };
    let (mut found, mut map, mut compared) = (Vec::new(), ColumnMap::default(), 0);
    let mut own: Option<OwnFields> = None;
    for (fence, text) in blocks(PAGE) {
        let bytes = text.as_bytes();
        found = match fence {
            "json events" => events(json::parse(bytes).unwrap()),
            "ndjson" => events(ndjson::parse(bytes).unwrap()),
            "json own" => {
                own = Some(serde_json::from_str(text).unwrap());
                continue;
            }
            "json cloudevents" => events(cloudevents::parse(bytes, own.take().as_ref()).unwrap()),
            "json freeswitch" => rows(freeswitch::parse(bytes, &options).unwrap()),
            "csv freeswitch" => rows(freeswitch_csv::parse(bytes, &options).unwrap()),
            "csv asterisk" => rows(asterisk::parse(bytes, &options).unwrap()),
            "csv table" => rows(table::parse(bytes, &map).unwrap()),
            "json columns" => {
                map = serde_json::from_str(text).unwrap();
                continue;
            }
            "json becomes" => {
                assert_eq!(found, events(json::parse(bytes).unwrap()), "{text}");
                compared += 1;
                continue;
            }
            other => panic!("a block of an unknown kind: {other}"),
        };
        assert!(!found.is_empty(), "no event in {text}");
    }
    assert_eq!(compared, 7);
}

/// What stands after the fence, and the text between the fences.
fn blocks(page: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    page.split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap())
}

fn events(parsed: Vec<Parsed>) -> Vec<UsageEvent> {
    parsed
        .into_iter()
        .map(|event| UsageEvent {
            raw: None,
            ..event.unwrap()
        })
        .collect()
}

fn rows(rows: Vec<Row>) -> Vec<UsageEvent> {
    events(rows.into_iter().filter_map(Row::into_parsed).collect())
}
