//! What is wrong with a JSON text, for people: no lines and columns of a text that has one line,
//! and no names of types.

use std::borrow::Cow;

/// Characters of what stands before that a message shows.
const BEFORE_CHARS_MAX: usize = 40;

/// What is wrong, and what stands before it.
pub fn located(json: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = plainly(without_place(&text));
    if error.line() == 0 {
        return what.into_owned();
    }
    let line = json
        .split(|byte| *byte == b'\n')
        .nth(error.line() - 1)
        .unwrap_or_default();
    let before = &line[..error.column().min(line.len())];
    let near = String::from_utf8_lossy(&before[before.len().saturating_sub(BEFORE_CHARS_MAX)..]);
    let near = near.trim_start_matches('\u{fffd}').trim();
    if near.is_empty() {
        what.into_owned()
    } else {
        format!("{what}, behind `{near}`")
    }
}

/// Without ` at line 1 column 9`.
pub fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(what, _)| what)
}

/// What is said of values, without the names that types have in Rust.
pub fn plainly(text: &str) -> Cow<'_, str> {
    match text {
        _ if text.starts_with("EOF while parsing") => {
            return Cow::Borrowed("it ends in the middle");
        }
        "trailing characters" => return Cow::Borrowed("expected the end of it"),
        "trailing comma" => return Cow::Borrowed("a comma stands before the end"),
        "key must be a string" => return Cow::Borrowed("expected a name in quotes"),
        "number out of range" => return Cow::Borrowed("the number is too large"),
        "recursion limit exceeded" => return Cow::Borrowed("there are too many levels"),
        "invalid escape" => return Cow::Borrowed("a backslash is not followed by what JSON knows"),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            return Cow::Borrowed("half a character is escaped");
        }
        _ => {}
    }
    if let Some(name) = text.strip_prefix("duplicate field ") {
        return Cow::Owned(format!("{name} is given twice"));
    }
    let Some((found, expected)) = text.rsplit_once(", expected ") else {
        return Cow::Borrowed(text);
    };
    let theirs = [
        "invalid type: ",
        "invalid value: ",
        "unknown variant ",
        "unknown field ",
        "invalid length ",
    ];
    if let Some(name) = text
        .strip_prefix("unknown field ")
        .and_then(|rest| rest.split('`').nth(1))
    {
        return Cow::Owned(format!("there is no field `{name}`; expected {expected}"));
    }
    let found = theirs
        .iter()
        .find_map(|prefix| found.strip_prefix(prefix))
        .unwrap_or(found);
    Cow::Owned(format!(
        "expected {}, found {}",
        expectation(expected),
        value(found)
    ))
}

fn expectation(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "string or map" => "a text",
        "a character" => "one character",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") || other.ends_with("enum") => "an object",
        other => other.strip_prefix("expected ").unwrap_or(other),
    }
}

/// `string "no"` → `"no"`, ``integer `5` `` → `5`.
fn value(found: &str) -> &str {
    match found.split_once(' ') {
        Some(("string", text)) => text,
        Some(("integer" | "boolean", text)) => text.trim_matches('`'),
        Some(("floating", text)) => text.trim_start_matches("point ").trim_matches('`'),
        _ => match found {
            "map" => "an object",
            "sequence" => "a list",
            "null" | "unit value" => "null",
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    #[expect(dead_code, reason = "only read")]
    struct Thing {
        count: u8,
        mark: Option<bool>,
        kind: Option<Kind>,
        sign: Option<char>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Other,
    }

    fn said<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        located(
            json.as_bytes(),
            &serde_json::from_str::<T>(json).unwrap_err(),
        )
    }

    #[test]
    fn no_types_of_rust_and_no_lines_and_columns() {
        for (json, want) in [
            (
                "{\"count\":\"x\"}",
                "expected a whole number, 0 or more, found \"x\", behind `{\"count\":\"x\"`",
            ),
            (
                "{\"count\":-1}",
                "expected a whole number, 0 or more, found -1, behind `{\"count\":-1`",
            ),
            (
                "{\"count\":0.5}",
                "expected a whole number, 0 or more, found 0.5, behind `{\"count\":0.5`",
            ),
            (
                "{\"count\":1,\"mark\":\"yes\"}",
                "expected true or false, found \"yes\", behind `{\"count\":1,\"mark\":\"yes\"`",
            ),
            (
                "{\"count\":1,\"kind\":\"two\"}",
                "expected `one` or `other`, found `two`, behind `{\"count\":1,\"kind\":\"two\"`",
            ),
            (
                "{\"count\":1,\"count\":1}",
                "`count` is given twice, behind `{\"count\":1,\"count\"`",
            ),
            (
                "{\"count\":1,\"sign\":\"::\"}",
                "expected one character, found \"::\", behind `{\"count\":1,\"sign\":\"::\"`",
            ),
            (
                "{\"count\":1,\"more\":1}",
                "there is no field `more`; expected one of `count`, `mark`, `kind`, `sign`, \
                    behind `{\"count\":1,\"more\"`",
            ),
            (
                "{\"count\":1",
                "it ends in the middle, behind `{\"count\":1`",
            ),
            (
                "{\"count\":1} x",
                "expected the end of it, behind `{\"count\":1} x`",
            ),
            (
                "{\"count\":1,}",
                "a comma stands before the end, behind `{\"count\":1,}`",
            ),
        ] {
            let said = said::<Thing>(json);
            assert_eq!(said, want);
            assert!(
                !said.contains("column")
                    && !said.contains("invalid type")
                    && !said.contains("variant"),
                "{said}"
            );
        }
    }
}
