//! When `health-check` writes to somebody: when what it finds changes, and once a day while it
//! lasts.

use super::finding::{Check, Status};
use anyhow::Context as _;
use rating::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const AGAIN_SECS: i64 = 86_400;

/// What somebody was told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// By check, what is not well.
    findings: BTreeMap<String, Status>,
    at_us: i64,
}

impl Told {
    pub fn now(checks: &[Check], now: Instant) -> Self {
        let findings = checks.iter().filter(|check| check.status != Status::Ok);
        Self {
            findings: findings
                .map(|check| (check.name.to_owned(), check.status))
                .collect(),
            at_us: now.micros(),
        }
    }

    /// Has it to be told, after what was told before?
    pub fn is_news(&self, before: Option<&Self>) -> bool {
        match before {
            None => !self.findings.is_empty(),
            Some(before) if before.findings != self.findings => true,
            Some(before) => {
                !self.findings.is_empty() && self.at_us - before.at_us >= AGAIN_SECS * 1_000_000
            }
        }
    }

    /// `None`: nobody was told anything yet, or it cannot be read or understood any more: better
    /// told twice than not at all.
    pub fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// # Errors
    /// The file cannot be written: it would be told again and again.
    pub fn keep(&self, file: &Path) -> anyhow::Result<()> {
        std::fs::write(file, serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_and_what_lasts_once_a_day() {
        let check = |name, status| Check {
            name,
            status,
            detail: String::new(),
        };
        let at = |hour: i64| Instant::from_secs(hour * 3600);
        let well = |hour| Told::now(&[check("disk", Status::Ok)], at(hour));
        let low = |hour| Told::now(&[check("disk", Status::Warning)], at(hour));
        let full = |hour| Told::now(&[check("disk", Status::Failure)], at(hour));
        for (before, now, is_news) in [
            (None, well(0), false),
            (None, low(0), true),
            (Some(low(0)), low(1), false),
            (Some(low(0)), low(24), true),
            (Some(low(0)), full(1), true),
            (Some(full(0)), well(1), true),
            (Some(well(0)), well(48), false),
        ] {
            assert_eq!(now.is_news(before.as_ref()), is_news, "{before:?} {now:?}");
        }
    }

    #[test]
    fn what_was_told_is_kept_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("health-check.json");
        assert_eq!(Told::read(&file), None);
        let told = Told::now(
            &[Check {
                name: "disk",
                status: Status::Warning,
                detail: String::new(),
            }],
            Instant::from_secs(1),
        );
        told.keep(&file).unwrap();
        assert_eq!(Told::read(&file), Some(told));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Told::read(&file), None);
        // What cannot be read says nothing: an alarm is not kept back for it.
        assert_eq!(Told::read(dir.path()), None);
    }
}
