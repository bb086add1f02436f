//! What is wrong with something that came in.

/// A refusal: which field, what was expected, a stable code. Becomes problem+json.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// Stable: `invalid_json`, `missing_field`, `invalid_field`, `unknown_field`, `id_conflict`,
    /// `future_event`, `impossible_duration`, `not_found`, `insufficient_balance`, `hold_over`,
    /// `overloaded`, …
    pub code: &'static str,
    /// JSON pointer-like path of the field, if one is to blame: `quantity`, `rates[3].prefixes[0]`.
    pub field: Option<String>,
    pub detail: String,
}

impl Problem {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            detail: detail.into(),
        }
    }
    pub fn field(code: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: Some(field.into()),
            detail: detail.into(),
        }
    }
}
