//! `ingest --follow`: a growing file, line by line, through rotation, truncation and `kill -9`.
//!
//! The position is noted after the server's answer, so a run that is killed sends a piece again,
//! and it is answered as a duplicate. A file that is not the one of the position was rotated: the
//! old one is looked for beside it, and read to its end first, then those that came between the
//! two. What is still written to a rotated file is sent too.

mod piece;
mod rotation;

use super::position::Position;
use super::rows::Reading;
use super::{Args, Progress, Summary, check_meter, rotated};
use crate::client::Connection;
use crate::session::Session;
use anyhow::{Context, bail};
use piece::{Source, Unreachable};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const POLL: Duration = Duration::from_secs(1);
/// How long a server that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(5);

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
