//! `centwise backup`: the database and the settings in one file, beside running servers.

use super::database::Database;
use super::progress::Progress;
use super::stop::{Awaited, Stop};
use super::{Ended, runtime};
use crate::archive::{Manifest, Writer, copy, directory_of};
use crate::settings;
use anyhow::{Context, bail};
use api::database_url::Place;
use clock::Clock;
use db::unfit;
use lz4_flex::frame::FrameEncoder;
use rating::Instant;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use transfer::backup::{Advance, Dump, Folders, Kind, copy_file};

/// Back up the database and the settings to one file; servers may keep running
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to write, or a directory, in which the file is named after the current time
    path: PathBuf,
    #[command(flatten)]
    database: Database,
    /// With a directory: afterwards delete all but the newest N backups that this command named
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,
    /// Embedded database: directory for its copy until it is compressed [default: next to PATH]
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let place = args.database.existing()?;
    let now = Clock::system().now();
    let path = if args.path.is_dir() {
        args.path.join(name_at(now))
    } else {
        args.path.clone()
    };
    let names_folder = args.path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let folder = if names_folder || args.keep.is_some() {
        &args.path
    } else {
        directory_of(&path)
    };
    if !folder.exists() {
        bail!(
            "the directory {} does not exist: create it first",
            folder.display()
        );
    }
    if args.keep.is_some() && !args.path.is_dir() {
        bail!(
            "--keep needs a directory, and {} is not one",
            args.path.display()
        );
    }
    if path.exists() {
        bail!(
            "{} already exists: a backup never overwrites anything",
            path.display()
        );
    }
    let runtime = runtime()?;
    let stop = Stop::on_signals(&runtime);
    if let Place::File(file) = &place
        && let Some(why) = runtime
            .block_on(unfit(file))
            .with_context(|| format!("cannot read {}", file.display()))?
    {
        bail!("{why}. A backup of it would replace a better one");
    }
    let (bytes, records) = match &place {
        Place::File(file) => of_file(args, file, &path, now, &stop)?,
        Place::Postgres(url) => of_database(&runtime, url, &path, now, &stop)?,
    };
    writeln!(
        out,
        "backed up {records} records to {} ({bytes} bytes)",
        path.display()
    )?;
    for old in args
        .keep
        .map(|keep| older(&args.path, keep.get()))
        .transpose()?
        .unwrap_or_default()
    {
        std::fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        writeln!(out, "removed {}", old.display())?;
    }
    Ok(Ended::Well)
}

/// Copied first, at the disk's pace, because the server's write-ahead log grows meanwhile; then
/// compressed.
fn of_file(
    args: &Args,
    file: &Path,
    path: &Path,
    now: Instant,
    stop: &Stop,
) -> anyhow::Result<(u64, i64)> {
    let aside = args.temp_dir.as_deref().unwrap_or(directory_of(path));
    let aside = tempfile::Builder::new()
        .prefix(".centwise-backup-")
        .tempdir_in(aside);
    let aside = aside.with_context(|| {
        format!(
            "cannot write to the directory of {} (see --temp-dir)",
            path.display()
        )
    })?;
    let copied = aside.path().join("centwise.db");
    let progress = Progress::bytes("copying", file.metadata()?.len());
    let contents = copy_file(file, &copied, &mut stop.advance(&progress))
        .with_context(|| format!("cannot copy {}", file.display()))?;
    drop(progress);
    let records = contents.records;
    let mut manifest = Manifest::new(now, Kind::Sqlite, contents);
    note_settings(&mut manifest, file.parent());
    let mut writer = begun(path, &manifest)?;
    let progress = Progress::bytes("compressing", copied.metadata()?.len());
    let mut copied = File::open(copied)?;
    writer.database(Kind::Sqlite, |out| {
        compress(&mut copied, out, &mut stop.advance(&progress))
    })?;
    Ok((writer.finish()?, records))
}

fn of_database(
    runtime: &tokio::runtime::Runtime,
    url: &str,
    path: &Path,
    now: Instant,
    stop: &Stop,
) -> anyhow::Result<(u64, i64)> {
    let folders = Folders::usual(&std::env::var_os("PATH").unwrap_or_default());
    let mut dump = runtime.block_on(stop.or(Dump::begin(url, &folders)))?;
    let records = dump.contents.records;
    let mut manifest = Manifest::new(now, Kind::Postgresql, dump.contents.clone());
    manifest.dumped_by = Some(dump.program);
    note_settings(&mut manifest, None);
    let mut writer = begun(path, &manifest)?;
    let progress = Progress::bytes("dumping", 0);
    writer.database(Kind::Postgresql, |out| {
        let mut dumped = Awaited {
            runtime,
            stop,
            io: dump.output()?,
        };
        compress(&mut dumped, out, &mut stop.advance(&progress))?;
        Ok(runtime.block_on(stop.or(dump.finish()))?)
    })?;
    Ok((writer.finish()?, records))
}

fn begun(path: &Path, manifest: &Manifest) -> anyhow::Result<Writer> {
    if manifest.contents.is_newer(manifest.database) {
        bail!("this program is older than the database: back it up with the newer version");
    }
    Writer::create(path, manifest)
}

/// As they are in this process's environment: the server's, if both read them from the same file.
fn note_settings(manifest: &mut Manifest, data_dir: Option<&Path>) {
    (manifest.settings, manifest.left_out) = settings::of_server();
    if let Some(data_dir) = data_dir {
        manifest.settings.insert(
            "CENTWISE_DATA_DIR".to_owned(),
            data_dir.display().to_string(),
        );
    }
}

fn compress(
    from: &mut dyn std::io::Read,
    into: &mut dyn Write,
    advance: Advance<'_>,
) -> anyhow::Result<()> {
    let mut compressing = FrameEncoder::new(into);
    copy(from, &mut compressing, advance)?;
    compressing.finish()?;
    Ok(())
}

/// `centwise-2026-11-20T09-00-00Z.tar`
fn name_at(now: Instant) -> String {
    let seconds: String = now.to_string().chars().take(19).collect();
    format!("centwise-{}Z.tar", seconds.replace(':', "-"))
}

/// All but the newest of the files in a directory that have such a name.
fn older(directory: &Path, keep: usize) -> anyhow::Result<Vec<PathBuf>> {
    let is_ours = |name: &str| {
        let digits_out: String = name
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        digits_out == "centwise-0000-00-00T00-00-00Z.tar"
    };
    let names: Result<Vec<_>, _> = std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    let mut ours: Vec<_> = names?
        .into_iter()
        .filter(|name| name.to_str().is_some_and(is_ours))
        .collect();
    ours.sort_unstable_by(|a, b| b.cmp(a));
    Ok(ours
        .into_iter()
        .skip(keep)
        .map(|name| directory.join(name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_its_own_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let names =
            [0, 1, 3, 2].map(|day| name_at(Instant::from_secs(1_795_168_800 + day * 86_400)));
        assert_eq!(names[0], "centwise-2026-11-20T10-00-00Z.tar");
        for name in names.iter().map(String::as_str).chain([
            "centwise-of-may.tar",
            "centwise-2020-01-01T00-00-00Z.tar.x4.partial",
        ]) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let old = older(dir.path(), 2).unwrap();
        assert_eq!(
            old,
            [dir.path().join(&names[1]), dir.path().join(&names[0])]
        );
        assert!(older(dir.path(), 4).unwrap().is_empty());
    }
}
