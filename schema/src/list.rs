//! Lists: `{data, has_more, next_cursor}`. A cursor is opaque to the caller: the position after
//! which the next page starts.

use catalog::Page;
use serde::Serialize;

/// What cursors begin with.
pub const CURSOR: &str = "cur";

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    pub data: Vec<T>,
    pub has_more: bool,
    /// Present if there are more rows: the `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// `last` is the position of the last row.
    pub fn new(data: Vec<T>, has_more: bool, last: Option<i64>) -> Self {
        let next_cursor = last
            .filter(|_| has_more)
            .map(|position| rating::ids::encode(CURSOR, position));
        Self {
            data,
            has_more,
            next_cursor,
        }
    }

    /// Rows as they were found, each as its reader sees it.
    ///
    /// # Errors
    /// What `show` says of a row.
    pub async fn shown<R, E, F: Future<Output = Result<T, E>>>(
        found: Page<R>,
        position: impl Fn(&R) -> i64,
        show: impl Fn(R) -> F,
    ) -> Result<Self, E> {
        let last = found.data.last().map(position);
        let mut data = Vec::with_capacity(found.data.len());
        for row in found.data {
            data.push(show(row).await?);
        }
        Ok(Self::new(data, found.has_more, last))
    }

    /// A list that is never longer than one page.
    pub fn whole(data: Vec<T>) -> Self {
        Self {
            data,
            has_more: false,
            next_cursor: None,
        }
    }
}
