//! What became of the rows, and what is said of it.

use super::Args;
use super::texts::Texts;
use crate::counted;
use problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub rows: u64,
    posted: u64,
    duplicate: u64,
    /// Charged on their upper links, and kept for the others.
    #[serde(skip_serializing_if = "is_zero")]
    partly_rated: u64,
    unrated: u64,
    skipped: u64,
    refused: u64,
    /// Lines at the end of the file that are not whole yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub unfinished: u64,
    /// Rotated files whose last rows nobody has seen.
    #[serde(skip_serializing_if = "is_zero")]
    pub files_not_found: u64,
    /// The file is not there, and neither is one that it was before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_file: bool,
    /// Rows that name another leg of their call whose row is not in the file, and do not say which
    /// of the two they are.
    #[serde(skip_serializing_if = "is_zero")]
    pub legs_elsewhere: u64,
    /// Why rows were skipped, kept without a price, or refused, and how often.
    reasons: BTreeMap<String, u64>,
    /// Refusals of each code since they were told last.
    #[serde(skip)]
    lately: BTreeMap<String, u64>,
    /// Kept without a price since it was told last, by reason.
    #[serde(skip)]
    lately_kept: BTreeMap<String, u64>,
    /// The first refusal of each code.
    #[serde(skip)]
    examples: BTreeMap<String, String>,
    /// Not yet written to a file.
    #[serde(skip)]
    refusals: Vec<Refusal>,
    #[serde(skip)]
    refused_file: Option<PathBuf>,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A line of FILE.refused.ndjson.
#[derive(Debug, Serialize)]
struct Refusal {
    file: String,
    line: u64,
    id: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    detail: String,
    /// The row itself, to be sent again.
    row: String,
}

/// The server's answer to an event.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    status: String,
    reason: Option<String>,
    problem: Option<Refused>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    code: String,
    field: Option<String>,
    detail: Option<String>,
}

impl Summary {
    /// Is there anything that somebody has to look at?
    pub fn has_findings(&self) -> bool {
        self.refused > 0 || self.files_not_found > 0 || self.no_file
    }

    pub fn skip(&mut self, why: String) {
        self.skipped += 1;
        *self.reasons.entry(format!("skipped: {why}")).or_default() += 1;
    }

    pub fn refuse_row(&mut self, line: u64, id: String, problem: Problem, texts: &Texts) {
        self.refuse(
            line,
            id,
            Refused {
                code: problem.code.to_string(),
                field: problem.field,
                detail: Some(problem.detail),
            },
            texts,
        );
    }

    fn refuse(&mut self, line: u64, id: String, refused: Refused, texts: &Texts) {
        let Refused {
            code,
            field,
            detail,
        } = refused;
        let detail = detail.unwrap_or_default();
        self.refused += 1;
        *self.reasons.entry(format!("refused: {code}")).or_default() += 1;
        *self.lately.entry(code.clone()).or_default() += 1;
        self.examples
            .entry(code.clone())
            .or_insert_with(|| format!("line {line}: {detail}"));
        self.refusals.push(Refusal {
            file: texts.file(),
            line,
            id,
            code,
            field,
            detail,
            row: texts.row(line),
        });
    }

    /// How many rows were refused since this was asked last, by code. `None`: none.
    pub fn lately_refused(&mut self) -> Option<String> {
        let lately = std::mem::take(&mut self.lately);
        let by_code: Vec<String> = lately
            .iter()
            .map(|(code, count)| format!("{count} {code}"))
            .collect();
        (!lately.is_empty()).then(|| {
            format!(
                "{} refused ({})",
                counted(lately.values().sum(), "row"),
                by_code.join(", ")
            )
        })
    }

    /// How many rows were kept without a price, on some links at least, since this was asked last.
    /// `None`: none.
    pub fn lately_kept(&mut self) -> Option<String> {
        let lately = std::mem::take(&mut self.lately_kept);
        let by_reason: Vec<String> = lately
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let rows = counted(lately.values().sum(), "row");
        (!lately.is_empty()).then(|| {
            format!(
                "{rows} kept without a price, at least on some links ({})",
                by_reason.join(", ")
            )
        })
    }

    /// Rows that the server keeps for somebody it knows.
    pub fn taken(&self) -> u64 {
        let of_nobody = self
            .reasons
            .get("unrated: unknown_customer")
            .copied()
            .unwrap_or_default();
        self.posted + self.duplicate + self.partly_rated + (self.unrated - of_nobody)
    }

    pub fn count(&mut self, line: u64, id: String, outcome: Outcome, texts: &Texts) {
        match (outcome.status.as_str(), outcome.problem) {
            ("rated", _) => self.posted += 1,
            ("duplicate", _) => self.duplicate += 1,
            (status @ ("unrated" | "partly_rated"), _) => {
                *(if status == "unrated" {
                    &mut self.unrated
                } else {
                    &mut self.partly_rated
                }) += 1;
                let reason = outcome.reason.unwrap_or_default();
                *self
                    .reasons
                    .entry(format!("{status}: {reason}"))
                    .or_default() += 1;
                *self.lately_kept.entry(reason).or_default() += 1;
            }
            (_, Some(refused)) => self.refuse(line, id, refused, texts),
            (status, None) => self.refuse(
                line,
                id,
                Refused {
                    code: status.to_owned(),
                    field: None,
                    detail: None,
                },
                texts,
            ),
        }
    }

    /// Into FILE.refused.ndjson, or among the output where that cannot be written. `append`: to
    /// those of runs before.
    pub fn write_refusals(
        &mut self,
        file: &Path,
        append: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        if self.refusals.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for refusal in self.refusals.drain(..) {
            text.push_str(&serde_json::to_string(&refusal)?);
            text.push('\n');
        }
        let mut name = file.as_os_str().to_owned();
        name.push(".refused.ndjson");
        let options = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(!append)
            .append(append)
            .open(&name);
        match options.and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_data())
        }) {
            Ok(()) => self.refused_file = Some(PathBuf::from(name)),
            Err(_) => out.write_all(text.as_bytes())?,
        }
        Ok(())
    }

    pub fn write(&self, args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let Self {
            rows,
            posted,
            duplicate,
            unrated,
            skipped,
            refused,
            ..
        } = self;
        writeln!(
            out,
            "{}: {posted} posted, {duplicate} duplicate, {unrated} unrated (kept), {skipped} \
                skipped, {refused} refused",
            counted(*rows, "row")
        )?;
        if self.partly_rated > 0 {
            writeln!(
                out,
                "in addition, {} partly rated: charged on their upper links and kept for the \
                    others",
                self.partly_rated
            )?;
        }
        for (reason, count) in &self.reasons {
            writeln!(out, "  {count:>8}  {reason}")?;
        }
        for (code, example) in &self.examples {
            writeln!(out, "  {code}, such as {example}")?;
        }
        self.write_rest(out)
    }

    fn write_rest(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(file) = &self.refused_file {
            writeln!(out, "refused rows and reasons: {}", file.display())?;
        }
        if self.unrated + self.partly_rated > 0 {
            writeln!(
                out,
                "unrated events are kept: once the card or the customer exists, POST \
                    /v1/usage-events/rate-again prices them"
            )?;
        }
        if self.unfinished > 0 {
            writeln!(
                out,
                "the last line is not complete yet (it has no line feed, or a quote is open): it \
                    is left for the next run; use --whole if the file is complete"
            )?;
        }
        if self.no_file {
            writeln!(
                out,
                "the file does not exist, and no rotated file is in its directory: nothing was sent"
            )?;
        }
        if self.legs_elsewhere > 0 {
            let rows = counted(self.legs_elsewhere, "row");
            writeln!(
                out,
                "{rows} of calls whose other leg (bleg_uuid) has no row in this file: if the \
                    switch writes a row for each leg, send both in one file or with --follow; in \
                    two files sent separately, both legs are charged. With a column direction in \
                    the switch's template, the second leg is recognized automatically"
            )?;
        }
        if self.files_not_found > 0 {
            writeln!(
                out,
                "a rotated file was not found: send it separately with `centwise ingest`, nothing \
                    is posted twice"
            )?;
        }
        Ok(())
    }
}
