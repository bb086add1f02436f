//! JSON of a given shape; what is wrong with it is named by its path.

use crate::problem::ApiProblem;
use problem::Code;
use rating::json;
use rating::validate::{located, spoken};
use serde::de::DeserializeOwned;

/// JSON of this shape; what is wrong is named by its path.
///
/// # Errors
/// As [`super::Write::read`].
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    if let Ok(value) = json::from_slice(bytes) {
        return match std::str::from_utf8(bytes)
            .ok()
            .and_then(formats::input::given_twice)
        {
            Some(path) => Err(ApiProblem::field(Code::InvalidField, path, "given twice")),
            None => Ok(value),
        };
    }
    // What is broken is not looked at for its shape.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        && !error.is_data()
    {
        return Err(mistake(bytes, "", &error));
    }
    // Read again for the path to what is wrong, which most requests need not keep track of.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(json::ByName(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        mistake(bytes, &path, error.inner())
    })?;
    reader.end().map_err(|error| mistake(bytes, "", &error))?;
    Ok(value)
}

/// The parameter `map` of a query; what is wrong is named by its path in it.
///
/// # Errors
/// `invalid_field`.
pub fn read_map<T: DeserializeOwned>(map: &str) -> Result<T, ApiProblem> {
    read_json(map.as_bytes()).map_err(|refused| {
        let inside = refused
            .problem
            .field
            .filter(|path| !path.is_empty() && path != ".");
        let field = inside.map_or_else(|| "map".to_owned(), |path| format!("map.{path}"));
        ApiProblem::field(Code::InvalidField, field, refused.problem.detail)
    })
}

fn mistake(json: &[u8], path: &str, error: &serde_json::Error) -> ApiProblem {
    if !error.is_data() {
        return ApiProblem::new(
            Code::InvalidJson,
            format!("not valid JSON: {}", located(json, error)),
        );
    }
    let text = error.to_string();
    let text = spoken::without_place(&text);
    let named = text.split('`').nth(1).unwrap_or_default();
    let at = |name: &str| {
        if path == "." || path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    if text.starts_with("missing field") {
        return ApiProblem::field(
            Code::MissingField,
            at(named),
            format!("{named} is required"),
        );
    }
    if text.starts_with("duplicate field") {
        let field = if path.ends_with(named) {
            path.to_owned()
        } else {
            at(named)
        };
        return ApiProblem::field(Code::InvalidField, field, "given twice");
    }
    if text.starts_with("unknown field") {
        let field = if path.ends_with(named) {
            path.to_owned()
        } else {
            at(named)
        };
        let known: Vec<&str> = text.split('`').skip(3).step_by(2).collect();
        return ApiProblem::field(
            Code::UnknownField,
            field,
            format!(
                "there is no such field; the fields here are {}",
                known.join(", ")
            ),
        );
    }
    ApiProblem::field(Code::InvalidField, path, spoken::plainly(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        cents: i64,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (json, code, field) in [
            ("{", "invalid_json", None),
            ("[", "invalid_json", None),
            ("[1", "invalid_json", None),
            ("{\"name\":\"a\",\"inner\":[]} x", "invalid_json", None),
            ("{\"inner\":[]}", "missing_field", Some("name")),
            (
                "{\"name\":\"a\",\"inner\":[],\"more\":1}",
                "unknown_field",
                Some("more"),
            ),
            (
                "{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}",
                "invalid_field",
                Some("inner[0].cents"),
            ),
            (
                "{\"name\":\"a\",\"inner\":[{}]}",
                "missing_field",
                Some("inner[0].cents"),
            ),
        ] {
            let refused = read_json::<Outer>(json.as_bytes()).unwrap_err().problem;
            assert_eq!(
                (refused.code.as_str(), refused.field.as_deref()),
                (code, field),
                "{json}: {}",
                refused.detail
            );
        }
    }

    #[test]
    fn an_object_is_no_list_of_its_values() {
        for (json, field) in [
            ("[\"a\",[]]", "."),
            ("{\"name\":\"a\",\"inner\":[{\"cents\":1},[1]]}", "inner[1]"),
        ] {
            let refused = read_json::<Outer>(json.as_bytes()).unwrap_err().problem;
            assert_eq!(
                (
                    refused.code.as_str(),
                    refused.field.as_deref(),
                    refused.detail.as_str()
                ),
                (
                    "invalid_field",
                    Some(field),
                    "expected an object, found a list"
                )
            );
        }
        assert_eq!(
            read_map::<Outer>("[]")
                .unwrap_err()
                .problem
                .field
                .as_deref(),
            Some("map")
        );
        let options = read_map::<decks::DeckOptions>("[]").unwrap_err().problem;
        assert_eq!(options.detail, "expected an object, found a list");
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        for (json, field) in [
            (
                "{\"name\":\"a\",\"inner\":[],\"map\":{\"x\":1,\"x\":2}}",
                "map.x",
            ),
            ("{\"name\":\"a\",\"name\":\"b\",\"map\":{}}", "name"),
        ] {
            let refused =
                read_json::<std::collections::BTreeMap<String, serde_json::Value>>(json.as_bytes())
                    .unwrap_err()
                    .problem;
            assert_eq!(
                (
                    refused.code.as_str(),
                    refused.field.as_deref(),
                    refused.detail.as_str()
                ),
                ("invalid_field", Some(field), "given twice")
            );
        }
        let refused = read_json::<Outer>(b"{\"name\":\"a\",\"name\":\"b\",\"inner\":[]}")
            .unwrap_err()
            .problem;
        assert_eq!(
            (refused.field.as_deref(), refused.detail.as_str()),
            (Some("name"), "given twice")
        );
    }

    #[test]
    fn a_map_is_named_with_its_path() {
        let refused = read_map::<Outer>("{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}")
            .unwrap_err()
            .problem;
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("invalid_field", Some("map.inner[0].cents"))
        );
        assert_eq!(
            read_map::<Outer>("{").unwrap_err().problem.field.as_deref(),
            Some("map")
        );
    }

    #[test]
    fn messages_name_fields_and_no_types_of_rust() {
        for (json, detail) in [
            (
                "{\"name\":\"a\",\"inner\":[],\"more\":1}",
                "there is no such field; the fields here are name, inner",
            ),
            (
                "{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}",
                "expected a whole number, found \"x\"",
            ),
            ("{\"name\":5,\"inner\":[]}", "expected a text, found 5"),
            ("{\"name\":\"a\",\"inner\":5}", "expected a list, found 5"),
            (
                "{\"name\":\"a\",",
                "not valid JSON: it ends in the middle, behind `{\"name\":\"a\",`",
            ),
        ] {
            assert_eq!(
                read_json::<Outer>(json.as_bytes())
                    .unwrap_err()
                    .problem
                    .detail,
                detail,
                "{json}"
            );
        }
    }
}
