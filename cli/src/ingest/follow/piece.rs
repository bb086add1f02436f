//! One piece of a file: read with what tells how to read it, sent, and the place after it.

use super::Follower;
use crate::client::Denied;
use crate::ingest::pieces::{
    CHUNK_BYTES, LEGS_BYTES, check_first, first_lines, lines_above, titles_of, whole_len,
};
use crate::ingest::position::{Place, modified};
use crate::ingest::rotated;
use crate::ingest::rows::Reading;
use crate::ingest::send;
use crate::ingest::texts::Texts;
use anyhow::{Context, bail};
use formats::input::Row;
use problem::{Code, Problem};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What helps where a file cannot be read piece by piece.
const WITHOUT_FOLLOW: &str = "run the same command without --follow, as often as you like (events \
    that were posted before are not charged again)";

/// The server did not take a piece: it is sent again.
#[derive(Debug, thiserror::Error)]
#[error("the server did not take the last piece")]
pub(super) struct Unreachable;

/// A file that is read, and how far it was.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) place: Place,
    /// Rotated away.
    pub(super) is_old: bool,
}

impl Follower<'_> {
    /// Reads and sends a piece; the place after it. `None`: there is nothing more.
    pub(super) async fn piece(
        &mut self,
        mut source: Source,
        out: &mut impl Write,
    ) -> anyhow::Result<Option<Place>> {
        let Source {
            file,
            path,
            place,
            is_old,
        } = &mut source;
        let seen = modified(&file.metadata()?);
        file.seek(SeekFrom::Start(place.offset))?;
        let mut piece = Vec::new();
        Read::by_ref(file)
            .take(CHUNK_BYTES)
            .read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(None);
        }
        let titles = if place.offset == 0 {
            Vec::new()
        } else {
            first_lines(file)?
        };
        let reading = Reading::of(self.args, if titles.is_empty() { &piece } else { &titles })?;
        self.check_bytes(if titles.is_empty() { &piece } else { &titles })?;
        if matches!(reading, Reading::FreeswitchJson(_)) {
            bail!(
                "{} has mod_json_cdr records, which --follow does not read: {WITHOUT_FOLLOW}, or \
                    have the switch post each record to /v1/ingest/freeswitch directly",
                self.args.file.display()
            );
        }
        let length = whole_len(&reading, &piece, *is_old);
        if length == 0 {
            if piece.len() as u64 == CHUNK_BYTES {
                bail!(
                    "line {} is longer than {CHUNK_BYTES} bytes",
                    place.lines + 1
                );
            }
            match *is_old {
                true if !place.is_read => self.refuse_rest(&source, &piece, out)?,
                true => {}
                false => self.summary.unfinished = 1,
            }
            return Ok(None);
        }
        piece.truncate(length);
        self.summary.unfinished = 0;
        let above = if reading.has_legs() {
            self.legs_above(file, place, *is_old)?
        } else {
            titles_of(&reading, titles)
        };
        let rows = self.rows(&reading, above, &piece, place.lines)?;
        let is_read = rows.iter().any(|row| matches!(row, Row::Event { .. }));
        let is_as_before = self.position.read_as.as_ref() == Some(&self.reads_as);
        if !is_as_before {
            let others_were = self.position.read_as.is_some() || self.position.here.offset > 0;
            check_first(&self.args.file, &rows, others_were)?;
        }
        let has_records =
            place.has_records || rows.iter().any(|row| !matches!(row, Row::Skipped { .. }));
        let texts = Texts::new(path, Cow::Borrowed(&piece), place.lines + 1, &rows);
        let taken = self.summary.taken();
        let sent = send(
            &mut self.connection,
            rows,
            &texts,
            &mut self.summary,
            &self.progress,
        )
        .await;
        sent.map_err(|error| {
            if error.downcast_ref::<Denied>().is_some() {
                error
            } else {
                error.context(Unreachable)
            }
        })
        .with_context(|| {
            format!(
                "{} was not sent from line {} onwards",
                path.display(),
                place.lines + 1
            )
        })?;
        if is_read {
            self.read_as_now(self.summary.taken() > taken)?;
        }
        self.tell(path);
        self.summary.write_refusals(&self.args.file, true, out)?;
        let lines = piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let after = place.after(file, length as u64, lines)?;
        Ok(Some(Place {
            has_records,
            is_read: false,
            modified: place.modified.max(Some(seen)),
            ..after
        }))
    }

    /// Notes the options by which rows were read. By others than before the server has to keep one
    /// of them.
    fn read_as_now(&mut self, is_taken: bool) -> anyhow::Result<()> {
        let was_read = self.position.read_as.is_some() || self.position.here.offset > 0;
        let is_changed = was_read && self.position.read_as.as_ref() != Some(&self.reads_as);
        if is_changed && !is_taken {
            bail!(
                "{} in {}, and nothing else was read: the options differ from those used for the \
                    previous rows, and the position is unchanged",
                self.summary
                    .lately_refused()
                    .or_else(|| self.summary.lately_kept())
                    .unwrap_or_default(),
                self.args.file.display()
            );
        }
        self.position.read_as = Some(self.reads_as.clone());
        Ok(())
    }

    /// What cannot be read piece by piece.
    fn check_bytes(&self, first: &[u8]) -> anyhow::Result<()> {
        let file = self.args.file.display();
        if formats::sheet::is_utf16(first) {
            bail!(
                "{file} is in UTF-16, which --follow does not read: {WITHOUT_FOLLOW}, or have it \
                    written in UTF-8"
            );
        }
        if formats::sheet::has_only_returns(first) {
            bail!(
                "the lines of {file} end with a carriage return alone, which --follow does not \
                    support: {WITHOUT_FOLLOW}"
            );
        }
        Ok(())
    }

    /// The last line of a rotated file, which no line feed ends: nobody knows how long it was to
    /// be.
    fn refuse_rest(
        &mut self,
        source: &Source,
        rest: &[u8],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let (line, path) = (source.place.lines + 1, source.path.display());
        let detail = format!(
            "{path} was rotated and ends in the middle of a line: it may be cut off and was not \
                sent; if it is complete, send it with `centwise ingest {path} --whole`: nothing is \
                posted twice"
        );
        self.summary.rows += 1;
        let texts = Texts::new(&source.path, Cow::Borrowed(rest), line, &[]);
        self.summary.refuse_row(
            line,
            String::new(),
            Problem::new(Code::IncompleteRecord, detail),
            &texts,
        );
        self.tell(&source.path);
        self.summary.write_refusals(&self.args.file, true, out)
    }

    /// On stderr, at once: a follower ends late, or never.
    fn tell(&mut self, path: &Path) {
        if let Some(refused) = self.summary.lately_refused() {
            tracing::warn!(
                "{}: {refused}; {}.refused.ndjson has the text of each",
                path.display(),
                self.args.file.display()
            );
        }
        if let Some(kept) = self.summary.lately_kept() {
            tracing::warn!(
                "{}: {kept}; GET /v1/usage-events/unrated shows what each lacks, then POST \
                    /v1/usage-events/rate-again prices them",
                path.display()
            );
        }
    }

    /// Of a piece, with what tells how to read it before it; lines are those of the file.
    fn rows(
        &self,
        reading: &Reading,
        above: Vec<u8>,
        piece: &[u8],
        lines: u64,
    ) -> anyhow::Result<Vec<Row>> {
        let lines_above = above.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let read = reading
            .parse(&[&above, piece].concat())
            .map_err(|problem| anyhow::anyhow!("{}", problem.detail));
        let mut rows = read.with_context(|| format!("cannot read {}", self.args.file.display()))?;
        rows.retain(|row| row.line() > lines_above);
        for row in &mut rows {
            match row {
                Row::Event { line, .. } | Row::Skipped { line, .. } | Row::Refused { line, .. } => {
                    *line = *line - lines_above + lines
                }
            }
        }
        Ok(rows)
    }

    /// Records just before the place, also of the file before this one: one of them may be the
    /// other leg of a call.
    fn legs_above(&self, file: &mut File, place: &Place, is_old: bool) -> anyhow::Result<Vec<u8>> {
        let above = lines_above(file, place.offset)?;
        if is_old || place.offset >= LEGS_BYTES {
            return Ok(above);
        }
        let Some(before) = self.position.before.last() else {
            return Ok(above);
        };
        let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
        let Some((mut old, _)) = rotated::itself(before, &beside)? else {
            return Ok(above);
        };
        Ok([lines_above(&mut old, before.offset)?, above].concat())
    }
}
