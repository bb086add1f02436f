//! `ingest --follow`: a growing file, line by line, through rotation, truncation and `kill -9`.
//!
//! The position is noted after the server's answer, so a run that is killed sends a piece again,
//! and it is answered as a duplicate. A file that is not the one of the position was rotated: the
//! old one is looked for beside it, and read to its end first, then those that came between the
//! two. What is still written to a rotated file is sent too.

use super::pieces::{
    CHUNK_BYTES, LEGS_BYTES, check_first, first_lines, lines_above, titles_of, whole_len,
};
use super::position::{Identity, Place, Position, modified};
use super::rotated::{self, Neighbour};
use super::rows::Reading;
use super::texts::Texts;
use super::{Args, Progress, Summary, check_meter, send};
use crate::client::{Connection, Denied};
use crate::session::Session;
use anyhow::{Context, bail};
use formats::input::Row;
use problem::{Code, Problem};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Rotated files that are looked at once more.
const BEFORE_MAX: usize = 8;
const POLL: Duration = Duration::from_secs(1);
/// How long a server that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(5);
/// What helps where a file cannot be read piece by piece.
const WITHOUT_FOLLOW: &str = "run the same command without --follow, as often as you like (events \
    that were posted before are not charged again)";

pub async fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Summary> {
    if !args.target.is_of_a_server() {
        bail!("--follow sends to a running server: specify it with --url and --key");
    }
    let session = Session::open(&args.target).await?;
    let kept_in = args
        .position
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.position.json", args.file.display())));
    if !kept_in.exists() {
        tell_of_older_files(args, &kept_in, out)?;
    }
    let mut follower = Follower {
        args,
        position: Position::load(&kept_in)?,
        reads_as: Reading::digest(args)?,
        kept_in,
        connection: session.connect().await?,
        summary: Summary::default(),
        progress: Progress::new("following", 0),
    };
    check_meter(args, &mut follower.connection).await?;
    if !args.once && !args.file.exists() {
        tracing::warn!("{} does not exist yet: waiting for it", args.file.display());
    }
    let mut stop = std::pin::pin!(stopped());
    loop {
        // A piece is sent and noted, or not; only in between it may end.
        let went_on = match follower.step(out).await {
            Ok(went_on) => went_on,
            Err(error) if args.once || error.downcast_ref::<Unreachable>().is_none() => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!("{error:#}; trying again");
                tokio::select! { () = &mut stop => break, () = tokio::time::sleep(RETRY) => continue }
            }
        };
        match (went_on, args.once) {
            (true, _) => {}
            (false, true) => break,
            (false, false) => {
                tokio::select! { () = &mut stop => break, () = tokio::time::sleep(POLL) => {} }
            }
        }
    }
    let mut summary = follower.summary;
    summary.no_file = args.once && follower.position.before.is_empty() && !args.file.exists();
    drop(follower.connection);
    session.close().await?;
    Ok(summary)
}

/// Asked to end.
async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminated) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! { _ = terminated.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The server did not take a piece: it is sent again.
#[derive(Debug, thiserror::Error)]
#[error("the server did not take the last piece")]
struct Unreachable;

struct Follower<'a> {
    args: &'a Args,
    kept_in: PathBuf,
    position: Position,
    /// Of the options of this run.
    reads_as: String,
    connection: Connection,
    summary: Summary,
    progress: Progress,
}

/// A file that is read, and how far it was.
struct Source {
    file: File,
    path: PathBuf,
    place: Place,
    /// Rotated away.
    is_old: bool,
}

impl Follower<'_> {
    /// One piece of the file, or of those that it was before. `false`: there is nothing new.
    async fn step(&mut self, out: &mut impl Write) -> anyhow::Result<bool> {
        let mut file = open(&self.args.file)?;
        self.settle(file.as_mut(), out)?;
        if !self.position.before.is_empty() {
            let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
            for number in 0..self.position.before.len() {
                if self.rest_of(number, &beside, out).await? {
                    return Ok(true);
                }
            }
            self.forget();
        }
        let Some(file) = file else { return Ok(false) };
        let source = Source {
            file,
            path: self.args.file.clone(),
            place: self.position.here.clone(),
            is_old: false,
        };
        let Some(place) = self.piece(source, out).await? else {
            return Ok(false);
        };
        self.position.here = place;
        self.position.save(&self.kept_in)?;
        Ok(true)
    }

    /// What is left of a rotated file.
    async fn rest_of(
        &mut self,
        number: usize,
        beside: &[Neighbour],
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let Some(place) = self.position.before.get(number).cloned() else {
            return Ok(false);
        };
        let Some((file, found)) = rotated::itself(&place, beside)? else {
            if !place.is_read {
                self.not_sent("a rotated file", &place, out)?;
            } else if let Some((packed, true)) =
                rotated::packed_of(&place, &self.position.before, beside)?
            {
                let path = packed.path.display();
                self.not_sent(
                    &format!(
                        "{path} was written to before it was compressed, and the uncompressed file"
                    ),
                    &place,
                    out,
                )?;
            }
            return self.leave_behind(number).map(|()| false);
        };
        let (is_read, seen) = (place.is_read, modified(&file.metadata()?));
        match self
            .piece(
                Source {
                    file,
                    path: found.path,
                    place,
                    is_old: true,
                },
                out,
            )
            .await?
        {
            Some(place) => {
                if let Some(kept) = self.position.before.get_mut(number) {
                    *kept = place;
                }
                self.position.save(&self.kept_in)?;
                Ok(true)
            }
            // Nothing more, as of its last writing.
            None => self.read_to_its_end(number, is_read, seen).map(|()| false),
        }
    }

    fn read_to_its_end(&mut self, number: usize, was_read: bool, seen: u64) -> anyhow::Result<()> {
        let Some(place) = self.position.before.get_mut(number) else {
            return Ok(());
        };
        let is_as_noted = was_read && place.modified >= Some(seen);
        (place.is_read, place.modified) = (true, place.modified.max(Some(seen)));
        if is_as_noted {
            Ok(())
        } else {
            self.position.save(&self.kept_in)
        }
    }

    /// A file that is not there any more.
    fn leave_behind(&mut self, number: usize) -> anyhow::Result<()> {
        if let Some(place) = self.position.before.get_mut(number) {
            (place.is_read, place.is_gone) = (true, true);
        }
        self.position.save(&self.kept_in)
    }

    /// Those that are gone, and the oldest of the files that were read.
    fn forget(&mut self) {
        self.position.before.retain(|place| !place.is_gone);
        while self.position.before.len() > BEFORE_MAX {
            let Some(oldest) = self.position.before.iter().position(|place| place.is_read) else {
                return;
            };
            self.position.before.remove(oldest);
        }
    }

    /// Makes the position one of the present file; those that it was before, and that came between,
    /// are to be read first.
    fn settle(&mut self, file: Option<&mut File>, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(file) = file else {
            return if self.position.here.file.is_some() {
                self.leave(None, out)
            } else {
                Ok(())
            };
        };
        if !self.position.here.is_of(file)? {
            return self.leave(Some(file), out);
        }
        let metadata = file.metadata()?;
        let here = &mut self.position.here;
        let is_new = here.file.is_none();
        here.file = Some(Identity::of(&metadata));
        here.modified = here.modified.or(Some(modified(&metadata)));
        let seen = here.modified;
        // Titles are those of many files, and no content is that of all: it may have been
        // truncated.
        let has_more = !here.has_records && {
            let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
            self.take_between(&beside, seen, Some(Identity::of(&metadata)), out)?
        };
        if is_new || has_more {
            self.position.save(&self.kept_in)
        } else {
            Ok(())
        }
    }

    /// The name is another file's, or nobody's at the moment: the file of the position is looked
    /// for beside it.
    fn leave(&mut self, file: Option<&mut File>, out: &mut impl Write) -> anyhow::Result<()> {
        let here = self.position.here.clone();
        let metadata = file.as_ref().map(|file| file.metadata()).transpose()?;
        let now = metadata.as_ref().map(Identity::of);
        let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
        let is_itself = match file {
            Some(file) => here.has_records && here.is_in(file)?,
            None => false,
        };
        match rotated::find(&here, &beside, now.is_some() && now == here.file)? {
            Some((_, found)) => {
                self.position
                    .before
                    .retain(|place| place.file != Some(found.identity));
                self.position.before.push(Place {
                    file: Some(found.identity),
                    is_read: false,
                    ..here.clone()
                });
            }
            // Removed, and not yet written again.
            None if metadata.is_none() => return Ok(()),
            // Put back, or replaced by a copy of itself: its records say so.
            None if is_itself => {
                self.position.here.file = now;
                return self.position.save(&self.kept_in);
            }
            None => self.not_sent(
                &format!("{} was rotated, and the old file", self.args.file.display()),
                &here,
                out,
            )?,
        }
        // Without a file of its own yet: what was seen last tells which files came between.
        let nowhere = || Place {
            modified: here.modified,
            ..Place::default()
        };
        self.position.here = metadata.as_ref().map_or_else(nowhere, Place::start_of);
        self.take_between(&beside, here.modified, now, out)?;
        self.position.save(&self.kept_in)
    }

    /// Files that were rotated away since, and that nobody has read.
    fn take_between(
        &mut self,
        beside: &[Neighbour],
        seen: Option<u64>,
        now: Option<Identity>,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let is_known = |other: &Neighbour| {
            self.position
                .before
                .iter()
                .any(|place| place.file == Some(other.identity))
        };
        let is_between = |other: &&Neighbour| {
            other.is_rotated()
                && seen.is_some_and(|seen| other.modified > seen)
                && now != Some(other.identity)
                && !is_known(other)
        };
        let between: Vec<&Neighbour> = beside.iter().filter(is_between).collect();
        let is_beside = |place: &Place| {
            beside
                .iter()
                .any(|other| place.file == Some(other.identity))
        };
        let mut theirs = Vec::new();
        for place in self
            .position
            .before
            .iter()
            .filter(|place| place.is_read && !place.is_gone && !is_beside(place))
        {
            theirs.extend(
                rotated::packed_of(place, &self.position.before, beside)?
                    .map(|(packed, _)| packed.identity),
            );
        }
        for other in &between {
            if theirs.contains(&other.identity) {
                // Of a file that is known: what it lacks is said of that one.
            } else if other.is_packed() {
                self.summary.files_not_found += 1;
                writeln!(
                    out,
                    "{} is compressed and was not read: decompress it and send it separately",
                    other.path.display()
                )?;
            } else {
                self.position.before.push(Place {
                    file: Some(other.identity),
                    ..Place::default()
                });
            }
        }
        if let Some(latest) = between.iter().map(|other| other.modified).max() {
            self.position.here.modified = self.position.here.modified.max(Some(latest));
        }
        Ok(!between.is_empty())
    }

    fn not_sent(&mut self, what: &str, place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
        self.summary.files_not_found += 1;
        writeln!(
            out,
            "{what} is not in the same directory: its content after byte {} (line {}) was not sent",
            place.offset, place.lines
        )?;
        Ok(out.flush()?)
    }

    /// Reads and sends a piece; the place after it. `None`: there is nothing more.
    async fn piece(
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

/// Files of the same name that were there before anybody followed it.
fn tell_of_older_files(args: &Args, kept_in: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let beside = rotated::neighbours(&args.file, kept_in)?;
    let older: Vec<String> = beside
        .iter()
        .filter(|other| other.is_rotated())
        .map(|other| other.path.display().to_string())
        .collect();
    if !older.is_empty() {
        let names = older.join(", ");
        writeln!(
            out,
            "following {} from now on; older files are not sent: {names} (send them with `centwise \
                ingest`)",
            args.file.display()
        )?;
    }
    Ok(())
}

/// `None`: there is no such file at the moment.
fn open(path: &Path) -> anyhow::Result<Option<File>> {
    if path.is_dir() {
        bail!("{} is a directory: specify the file in it", path.display());
    }
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
