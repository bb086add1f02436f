//! Lists: `{data, has_more, next_cursor}`. A cursor is opaque to the caller: the position after
//! which the next page starts.

use crate::problem::ApiProblem;
use catalog::Period;
use problem::Code;
use rating::Instant;
use schema::list::CURSOR;
pub use schema::list::List;
use serde::Deserialize;

const PAGE_ROWS_DEFAULT: usize = 50;
const PAGE_ROWS_MAX: usize = 1000;

/// Where a page starts and how long it is.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Rows per page: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl PageQuery {
    /// # Errors
    /// `invalid_field` naming `limit`.
    pub fn limit(&self) -> Result<usize, ApiProblem> {
        match self.limit.unwrap_or(PAGE_ROWS_DEFAULT) {
            limit @ 1..=PAGE_ROWS_MAX => Ok(limit),
            _ => Err(ApiProblem::field(
                Code::InvalidField,
                "limit",
                format!("expected 1 to {PAGE_ROWS_MAX}"),
            )),
        }
    }

    /// The position to go on from.
    ///
    /// # Errors
    /// `invalid_field` naming `cursor`.
    pub fn after(&self) -> Result<Option<i64>, ApiProblem> {
        let decode = |text: &String| rating::ids::decode(CURSOR, text);
        self.cursor.as_ref().map(decode).transpose().map_err(|_| {
            ApiProblem::field(
                Code::InvalidField,
                "cursor",
                "expected the next_cursor of an earlier page",
            )
        })
    }
}

/// Of a list: from when until when.
///
/// # Errors
/// `invalid_field` naming `from` for a period that nothing is in.
pub fn period(from: Option<Instant>, until: Option<Instant>) -> Result<Period, ApiProblem> {
    match (from, until) {
        (Some(from), Some(until)) if from >= until => Err(ApiProblem::field(
            Code::InvalidField,
            "from",
            "expected an instant before until",
        )),
        _ => Ok(Period { from, until }),
    }
}

/// Where a page of a period starts and how long it is.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PeriodQuery {
    /// Created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Rows per page: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Where a page of what has a name starts and how long it is.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NamedQuery {
    /// Exact name.
    pub name: Option<String>,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Rows per page: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_position() {
        let page = List::new(vec![()], true, Some(42));
        let query = PageQuery {
            cursor: page.next_cursor,
            limit: None,
        };
        assert_eq!(query.after().ok(), Some(Some(42)));
    }

    #[test]
    fn limits_and_cursors_are_checked() {
        for (limit, ok) in [
            (Some(0), false),
            (Some(1), true),
            (None, true),
            (Some(1000), true),
            (Some(1001), false),
        ] {
            assert_eq!(
                PageQuery {
                    cursor: None,
                    limit
                }
                .limit()
                .is_ok(),
                ok,
                "{limit:?}"
            );
        }
        assert!(
            PageQuery {
                cursor: Some("10".to_owned()),
                limit: None
            }
            .after()
            .is_err()
        );
    }
}
