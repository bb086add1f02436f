//! NDJSON: one JSON event per line. Blank lines are nothing; each problem says its line.

use super::json::{self, Defaults};
use super::row::{self, Parsed, Row};
use crate::{BATCH_EVENTS_MAX, sheet};
use problem::Problem;

/// The events of a request's body, in order.
pub fn parse(body: &[u8]) -> Result<Vec<Parsed>, Problem> {
    let (mut events, text) = (Vec::new(), sheet::text_of(body));
    for row in rows_of(&text) {
        if events.len() == BATCH_EVENTS_MAX {
            return Err(row::too_many());
        }
        events.extend(row.into_parsed());
    }
    Ok(events)
}

/// The rows of a file of any length.
pub fn rows(file: &[u8]) -> Vec<Row> {
    rows_of(&sheet::text_of(file)).collect()
}

fn rows_of(text: &str) -> impl Iterator<Item = Row> + '_ {
    let lines = text.split('\n').map(str::trim_ascii);
    (1..)
        .zip(lines)
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| Row::of(number, json::event(line, &Defaults::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_usage() {
        let told: Vec<String> = rows(include_bytes!("../../../tests/fixtures/usage.ndjson"))
            .iter()
            .map(crate::input::row::tell)
            .collect();
        assert_eq!(
            told,
            [
                "1 acme-42 call 600 2026-11-20T09:00:00Z +4930123456 from - id n1",
                "2 acme-42 sms 1 2026-11-20T09:00:01Z 004930123456 from - id n2",
                "4 acme-43 booking 1 2026-11-20T09:00:00Z - from - id n3",
                "5 refused quantity negative_quantity",
                "6 refused colour unknown_field",
                "7 refused - invalid_json",
            ]
        );
    }

    #[test]
    fn encodings_are_those_of_every_file() {
        let line = r#"{"id":"a","customer":"c","meter":"sms","quantity":1,"at":"2026-11-20T09:00:00Z","attributes":{"name":"Müller"}}"#;
        let both = format!("{line}\n{}\n", line.replace("\"a\"", "\"b\""));
        let utf16: Vec<u8> = both.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin = encoding_rs::WINDOWS_1252.encode(&both).0.into_owned();
        let half = [
            latin.split_inclusive(|&byte| byte == b'\n').next().unwrap(),
            both.lines().nth(1).unwrap().as_bytes(),
        ]
        .concat();
        for file in [
            both.clone().into_bytes(),
            [b"\xff\xfe", &utf16[..]].concat(),
            latin,
            half,
        ] {
            let events: Vec<_> = parse(&file)
                .unwrap()
                .into_iter()
                .map(Result::unwrap)
                .collect();
            assert_eq!(
                events
                    .iter()
                    .map(|event| event.id.as_str())
                    .collect::<Vec<_>>(),
                ["a", "b"]
            );
            assert!(
                events
                    .iter()
                    .all(|event| event.attributes == [("name".to_owned(), "Müller".to_owned())]),
                "{events:?}"
            );
        }
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let good =
            r#"{"id":"a","customer":"c","meter":"sms","quantity":1,"at":"2026-11-20T09:00:00Z"}"#;
        let body = format!("\u{feff}{good}\r\n\n{{\"id\":\"b\"}}\nnot json\n{good}");
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.len(), 4);
        assert!(parsed[0].is_ok() && parsed[3].is_ok());
        let (id, problem) = parsed[1].clone().unwrap_err();
        assert_eq!(
            (id.as_str(), problem.code.as_str(), problem.detail.as_str()),
            ("b", "missing_field", "line 3: `customer` is missing")
        );
        let (_, problem) = parsed[2].clone().unwrap_err();
        assert_eq!(problem.code.as_str(), "invalid_json");
        assert!(problem.detail.starts_with("line 4: "), "{}", problem.detail);
    }
}
