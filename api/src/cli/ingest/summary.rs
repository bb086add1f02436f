//! What became of the rows, and what is said of it.

use super::Args;
use metering::command::Problem;
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
    /// Why rows were skipped, kept without a price, or refused, and how often.
    reasons: BTreeMap<String, u64>,
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

#[derive(Debug, Serialize)]
struct Refusal {
    line: u64,
    id: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    detail: String,
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
        self.refused > 0 || self.files_not_found > 0
    }

    pub fn skip(&mut self, why: String) {
        self.skipped += 1;
        *self.reasons.entry(format!("skipped: {why}")).or_default() += 1;
    }

    pub fn refuse_row(&mut self, line: u64, id: String, problem: Problem) {
        self.refuse(Refusal { line, id, code: problem.code.to_owned(), field: problem.field, detail: problem.detail });
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        *self.reasons.entry(format!("refused: {}", refusal.code)).or_default() += 1;
        let example = || format!("line {}: {}", refusal.line, refusal.detail);
        self.examples.entry(refusal.code.clone()).or_insert_with(example);
        self.refusals.push(refusal);
    }

    pub fn count(&mut self, line: u64, id: String, outcome: Outcome) {
        match (outcome.status.as_str(), outcome.problem) {
            ("rated", _) => self.posted += 1,
            ("duplicate", _) => self.duplicate += 1,
            (status @ ("unrated" | "partly_rated"), _) => {
                *(if status == "unrated" { &mut self.unrated } else { &mut self.partly_rated }) += 1;
                *self.reasons.entry(format!("{status}: {}", outcome.reason.unwrap_or_default())).or_default() += 1;
            }
            (_, Some(Refused { code, field, detail })) => {
                self.refuse(Refusal { line, id, code, field, detail: detail.unwrap_or_default() })
            }
            (status, None) => self.refuse(Refusal { line, id, code: status.to_owned(), field: None, detail: String::new() }),
        }
    }

    /// Into FILE.refused.ndjson, or among the output where that cannot be written. `append`: to those of runs before.
    pub fn write_refusals(&mut self, file: &Path, append: bool, out: &mut impl Write) -> anyhow::Result<()> {
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
        let options = std::fs::OpenOptions::new().create(true).write(true).truncate(!append).append(append).open(&name);
        match options.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_data())) {
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
        let Self { rows, posted, duplicate, unrated, skipped, refused, .. } = self;
        writeln!(
            out,
            "{rows} rows: {posted} posted, {duplicate} duplicate, {unrated} unrated (kept), {skipped} skipped, {refused} refused"
        )?;
        if self.partly_rated > 0 {
            writeln!(out, "besides them {} partly rated: charged on their upper links, and kept for the others", self.partly_rated)?;
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
            writeln!(out, "the refused rows and why: {}", file.display())?;
        }
        if self.unrated + self.partly_rated > 0 {
            writeln!(out, "unrated events are kept: once the card or the customer is there, POST /v1/usage-events/rate-again prices them")?;
        }
        if self.unfinished > 0 {
            writeln!(
                out,
                "the last line is not whole yet (no line feed ends it, or a quote is open): it is left for the next run; --whole says that the file is finished"
            )?;
        }
        if self.files_not_found > 0 {
            writeln!(out, "a rotated file was not found: send it by itself with `centwise ingest`, nothing is posted twice")?;
        }
        Ok(())
    }
}
