//! NDJSON: one JSON event per line. Blank lines are nothing; each problem says its line.

use super::json::{self, Defaults};
use super::{Parsed, Row};
use crate::command::{BATCH_EVENTS_MAX, Problem};

/// The events of a request's body, in order.
pub fn parse(body: &[u8]) -> Result<Vec<Parsed>, Problem> {
    let mut events = Vec::new();
    for row in rows(body) {
        if events.len() == BATCH_EVENTS_MAX {
            return Err(json::too_many());
        }
        events.extend(row.into_parsed());
    }
    Ok(events)
}

/// The rows of a file of any length.
pub fn rows(file: &[u8]) -> impl Iterator<Item = Row> + '_ {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let lines = file.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty()).map(|(number, line)| Row::of(number, one(line)))
}

fn one(line: &[u8]) -> Parsed {
    let text = super::utf8(line).map_err(|problem| (String::new(), problem))?;
    json::event(text, &Defaults::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_usage() {
        let told: Vec<String> = rows(include_bytes!("../../../tests/fixtures/usage.ndjson")).map(|row| super::super::tell(&row)).collect();
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
    fn a_bad_line_costs_only_itself() {
        let good = r#"{"id":"a","customer":"c","meter":"sms","quantity":1,"at":"2026-11-20T09:00:00Z"}"#;
        let body = format!("\u{feff}{good}\r\n\n{{\"id\":\"b\"}}\nnot json\n{good}");
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.len(), 4);
        assert!(parsed[0].is_ok() && parsed[3].is_ok());
        let (id, problem) = parsed[1].clone().unwrap_err();
        assert_eq!((id.as_str(), problem.code, problem.detail.as_str()), ("b", "missing_field", "line 3: `customer` is missing"));
        let (_, problem) = parsed[2].clone().unwrap_err();
        assert_eq!(problem.code, "invalid_json");
        assert!(problem.detail.starts_with("line 4: "), "{}", problem.detail);
    }
}
