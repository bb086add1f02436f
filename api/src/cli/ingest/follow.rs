//! `ingest --follow`: a growing file, line by line, through rotation, truncation and `kill -9`.
//!
//! The position is noted after the server's answer, so a run that is killed sends a piece again, and it is answered as a
//! duplicate. A file that is not the one of the position was rotated: the old one is looked for beside it, under a name that
//! begins with its own, and read to its end first.

use super::position::Position;
use super::rows::Reading;
use super::{Args, Progress, Summary, send};
use crate::cli::client::Connection;
use crate::cli::session::Session;
use anyhow::{Context, bail};
use metering::input::Row;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes that are read and sent at a time.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
const POLL: Duration = Duration::from_secs(1);
/// How long a server that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(5);
/// What helps where a file cannot be read piece by piece.
const WITHOUT_FOLLOW: &str = "give the same command without --follow, as often as you like (what was posted before is not charged again)";

pub async fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Summary> {
    if !args.target.is_of_a_server() {
        bail!("--follow sends to a running server: name it by --url and --key");
    }
    let session = Session::open(&args.target).await?;
    let position = args.position.clone().unwrap_or_else(|| PathBuf::from(format!("{}.position.json", args.file.display())));
    let mut follower = Follower {
        args,
        position: Position::load(&position)?,
        kept_in: position,
        connection: session.connect().await?,
        summary: Summary::default(),
        progress: Progress::new("following", 0),
    };
    let mut stop = std::pin::pin!(stopped());
    loop {
        // A piece is sent and noted, or not; only in between it may end.
        let went_on = match follower.step(out).await {
            Ok(went_on) => went_on,
            Err(error) if args.once || error.downcast_ref::<Unreachable>().is_none() => return Err(error),
            Err(error) => {
                tracing::warn!("{error:#}; trying again");
                tokio::select! { () = &mut stop => break, () = tokio::time::sleep(RETRY) => continue }
            }
        };
        match (went_on, args.once) {
            (true, _) => {}
            (false, true) => break,
            (false, false) => tokio::select! { () = &mut stop => break, () = tokio::time::sleep(POLL) => {} },
        }
    }
    let summary = follower.summary;
    drop(follower.connection);
    session.close().await?;
    Ok(summary)
}

/// Asked to end.
async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
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
    connection: Connection,
    summary: Summary,
    progress: Progress,
}

impl Follower<'_> {
    /// One piece of the file. `false`: there is nothing new.
    async fn step(&mut self, out: &mut impl Write) -> anyhow::Result<bool> {
        let Some(mut file) = open(&self.args.file)? else { return Ok(false) };
        if self.position.is_in(&mut file)? {
            return self.piece(&mut file, false, out).await;
        }
        match rotated(&self.args.file, &self.position)? {
            Some(mut old) => while self.piece(&mut old, true, out).await? {},
            None => {
                self.summary.files_not_found += 1;
                writeln!(
                    out,
                    "{} was rotated, and the old file is not beside it: what it had behind byte {} (line {}) was not sent",
                    self.args.file.display(),
                    self.position.offset,
                    self.position.lines
                )?;
                out.flush()?;
            }
        }
        self.position = Position::default();
        self.position.save(&self.kept_in)?;
        Ok(true)
    }

    /// Reads, sends and notes. `finished`: nothing more will be written to the file.
    async fn piece(&mut self, file: &mut File, finished: bool, out: &mut impl Write) -> anyhow::Result<bool> {
        file.seek(SeekFrom::Start(self.position.offset))?;
        let mut piece = Vec::new();
        Read::by_ref(file).take(CHUNK_BYTES).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(false);
        }
        let titles = if self.position.offset == 0 { Vec::new() } else { first_lines(file)? };
        let reading = Reading::of(self.args, if titles.is_empty() { &piece } else { &titles })?;
        if metering::sheet::is_utf16(if titles.is_empty() { &piece } else { &titles }) {
            bail!("{} is in UTF-16, which --follow does not read: {WITHOUT_FOLLOW}, or have it written in UTF-8", self.args.file.display());
        }
        if matches!(reading, Reading::FreeswitchJson(_)) {
            bail!(
                "{} has mod_json_cdr's records, which --follow does not read: {WITHOUT_FOLLOW}, or let the switch post each record to \
                 /v1/ingest/freeswitch by itself",
                self.args.file.display()
            );
        }
        let last = finished && (piece.len() as u64) < CHUNK_BYTES;
        let length = if last { piece.len() } else { reading.whole_len(&piece) };
        if length == 0 {
            if piece.len() as u64 == CHUNK_BYTES {
                bail!("line {} is longer than {CHUNK_BYTES} bytes", self.position.lines + 1);
            }
            self.summary.unfinished = 1;
            return Ok(false);
        }
        piece.truncate(length);
        self.summary.unfinished = 0;
        let rows = self.rows(&reading, &titles, &piece)?;
        let sent = send(&mut self.connection, rows, &mut self.summary, &self.progress).await;
        sent.map_err(|error| error.context(Unreachable))?;
        self.summary.write_refusals(&self.args.file, true, out)?;
        let lines = piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.position = self.position.after(file, length as u64, lines)?;
        self.position.save(&self.kept_in)?;
        Ok(true)
    }

    /// Of a piece, with the file's titles before it; lines are those of the file.
    fn rows(&self, reading: &Reading, first: &[u8], piece: &[u8]) -> anyhow::Result<Vec<Row>> {
        let titles = first.get(..reading.titles_len(first)).unwrap_or_default();
        let with_titles = [titles, piece].concat();
        let read = reading.parse(&with_titles).map_err(|problem| anyhow::anyhow!("{}", problem.detail));
        let mut rows = read.with_context(|| format!("cannot read {}", self.args.file.display()))?;
        let above = titles.iter().filter(|&&byte| byte == b'\n').count() as u64;
        rows.retain(|row| row.line() > above);
        let moved = |line: u64| line - above + self.position.lines;
        for row in &mut rows {
            match row {
                Row::Event { line, .. } | Row::Skipped { line, .. } | Row::Refused { line, .. } => *line = moved(*line),
            }
        }
        Ok(rows)
    }
}

/// `None`: there is no such file at the moment.
fn open(path: &Path) -> anyhow::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Enough of the file to find its titles in.
fn first_lines(file: &mut File) -> std::io::Result<Vec<u8>> {
    const FIRST_BYTES: u64 = 64 * 1024;
    file.seek(SeekFrom::Start(0))?;
    let mut first = Vec::new();
    file.take(FIRST_BYTES).read_to_end(&mut first)?;
    Ok(first)
}

/// The file of the position under another name: `Master.csv.1`, `Master.csv-20261128`.
fn rotated(path: &Path, position: &Position) -> anyhow::Result<Option<File>> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        let is_another = entry.file_name().to_str().is_some_and(|other| other != name && other.starts_with(name));
        if !is_another || !entry.file_type()?.is_file() {
            continue;
        }
        let mut file = File::open(entry.path())?;
        if position.is_in(&mut file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}
