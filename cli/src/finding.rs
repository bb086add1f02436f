//! What one check of `health-check` finds.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Warning,
    Failure,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    pub detail: String,
}

impl Status {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Failure => "FAILURE",
        }
    }
}

impl Check {
    pub fn line(&self) -> String {
        format!(
            "{:<8} {:<10} {}",
            self.status.word(),
            self.name,
            self.detail
        )
    }
}
