//! `centwise restore`: a backup into an empty place, or aside to prove it; both end with the audit.

use super::database::{Database, explained};
use super::progress::Progress;
use super::stop::{Awaited, Stop};
use super::{Ended, runtime, verify};
use crate::archive::{Backup, directory_of};
use anyhow::{Context, bail};
use api::database_url::Place;
use catalog::Catalog;
use clock::Clock;
use db::restoration::Restoration;
use db::{Db, PostgresOptions};
use journal::Check;
use rating::Instant;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use transfer::backup::{
    Contents, Folders, Kind, Restore, Scratch, Vacant, contents_of_database, contents_of_file,
};

/// Restore a backup to an empty database and audit it, or test it with --check
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File written by `centwise backup`
    #[arg(required_unless_present = "mark")]
    path: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// Test the backup without touching any installation: restore it separately, audit it and
    /// remove it again. A PostgreSQL backup needs a --database-url whose user may create a database
    /// on that server
    #[arg(long)]
    check: bool,
    /// Restore nothing; mark the database as restored to this moment, after a snapshot or a
    /// point-in-time recovery: payouts, automatic top-ups and deliveries wait for `centwise resume`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["path", "check", "json"])]
    mark: Option<Instant>,
    /// With --check, embedded database: directory to restore it to [default: next to PATH]
    #[arg(long, value_name = "DIR", requires = "check")]
    temp_dir: Option<PathBuf>,
    /// Print the audit as one JSON object: {"ok","checks"}
    #[arg(long)]
    json: bool,
}

/// A restore under way.
struct Restoring {
    runtime: Runtime,
    stop: Stop,
    backup: Backup,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    match (&args.path, args.mark) {
        (Some(path), _) => restore(args, path, out),
        (None, Some(backup_at)) => mark(args, backup_at, out),
        (None, None) => bail!("specify a file written by `centwise backup`"),
    }
}

/// What a server says of it, which pays nothing out before somebody has looked through what
/// happened since.
const HELD: &str = "payouts, automatic top-ups and deliveries are held until `centwise resume` on \
    a server for this database";

fn mark(args: &Args, backup_at: Instant, out: &mut impl Write) -> anyhow::Result<Ended> {
    let (place, now) = (args.database.existing()?, Clock::system().now());
    if backup_at > now {
        bail!(
            "--mark {backup_at} is in the future: expected the moment that the database was \
            restored to"
        );
    }
    runtime()?.block_on(async {
        let db = match &place {
            Place::File(file) => Db::open_sqlite(file)
                .await
                .map_err(|error| explained(error.into()))?,
            Place::Postgres(url) => Db::open_postgres(url, &PostgresOptions::existing()).await?,
        };
        let marked = Catalog::new(&db)
            .mark_restored(&of_backup(now, backup_at))
            .await;
        db.close().await;
        anyhow::Ok(marked?)
    })?;
    writeln!(out, "{HELD}")?;
    Ok(Ended::Well)
}

fn of_backup(restored_at: Instant, backup_at: Instant) -> Restoration {
    Restoration {
        restored_us: restored_at.micros(),
        backup_us: backup_at.micros(),
    }
}

fn restore(args: &Args, path: &Path, out: &mut impl Write) -> anyhow::Result<Ended> {
    let runtime = runtime()?;
    let stop = Stop::on_signals(&runtime);
    let progress = Progress::bytes("reading", Backup::size(path));
    let backup = Backup::open(path, &mut stop.advance(&progress))?;
    drop(progress);
    let restoring = Restoring {
        runtime,
        stop,
        backup,
    };
    let checks = if args.check {
        restoring.aside(args, path)?
    } else {
        restoring.to_place(&args.database.place()?)?
    };
    if !args.json {
        let manifest = &restoring.backup.manifest;
        let done = if args.check { "checked" } else { "restored" };
        let of = format!(
            "{} records of {}",
            manifest.contents.records, manifest.made_at
        );
        writeln!(
            out,
            "{done} {} ({of}, centwise {}, {})",
            path.display(),
            manifest.program,
            manifest.database
        )?;
        for name in &manifest.left_out {
            writeln!(out, "{name} was set but is not in the backup")?;
        }
    }
    if !args.check && !args.json {
        writeln!(out, "{HELD}")?;
    }
    verify::report(&checks, args.json, out)
}

impl Restoring {
    fn to_place(&self, place: &Place) -> anyhow::Result<Vec<Check>> {
        match (self.backup.manifest.database, place) {
            (Kind::Sqlite, Place::File(file)) => self.to_file(file),
            (Kind::Postgresql, Place::Postgres(url)) => self.to_database(url),
            (Kind::Sqlite, Place::Postgres(_)) => {
                bail!(
                    "the backup is of an embedded database and cannot be restored to PostgreSQL: \
                        omit --database-url"
                )
            }
            (Kind::Postgresql, Place::File(_)) => {
                bail!(
                    "the backup is of a PostgreSQL database: specify an empty one with \
                        --database-url postgres://…"
                )
            }
        }
    }

    fn aside(&self, args: &Args, path: &Path) -> anyhow::Result<Vec<Check>> {
        match (self.backup.manifest.database, args.database.place()?) {
            (Kind::Sqlite, _) => {
                let aside = args.temp_dir.as_deref().unwrap_or(directory_of(path));
                let aside = tempfile::Builder::new()
                    .prefix(".centwise-check-")
                    .tempdir_in(aside);
                let aside = aside.with_context(|| {
                    format!(
                        "cannot write to the directory of {} (see --temp-dir)",
                        path.display()
                    )
                })?;
                self.to_file(&aside.path().join("centwise.db"))
            }
            (Kind::Postgresql, Place::Postgres(url)) => self.to_scratch(&url),
            (Kind::Postgresql, Place::File(_)) => bail!(
                "the backup is of a PostgreSQL database: specify a server for a temporary one with \
                    --database-url postgres://…"
            ),
        }
    }

    fn to_file(&self, file: &Path) -> anyhow::Result<Vec<Check>> {
        let vacant = self.runtime.block_on(Vacant::reserve(file))?;
        let written = self
            .write(&vacant)
            .and_then(|()| Ok(vacant.take_draft(&self.restoration())?));
        if let Err(error) = written {
            let _what_is_left = vacant.remove_draft();
            return Err(error.context(format!("cannot restore to {}", file.display())));
        }
        drop(vacant);
        self.wait("auditing", async {
            // Brings its tables up to date.
            Db::open_sqlite(file).await?.close().await;
            self.compare(&contents_of_file(file)?)?;
            Ok(transfer::audit::verify_file(file).await?)
        })
    }

    fn write(&self, vacant: &Vacant) -> anyhow::Result<()> {
        let mut file = vacant.begin_draft()?;
        let progress = Progress::bytes("restoring", 0);
        self.backup
            .database(&mut file, &mut self.stop.advance(&progress))?;
        Ok(file.sync_all()?)
    }

    fn to_database(&self, url: &str) -> anyhow::Result<Vec<Check>> {
        let folders = Folders::usual(&std::env::var_os("PATH").unwrap_or_default());
        let dumped_by = self.backup.manifest.dumped_by.unwrap_or(0);
        let mut restore = self.runtime.block_on(self.stop.or(Restore::begin(
            url,
            dumped_by,
            &folders,
            &self.restoration(),
        )))?;
        let progress = Progress::bytes("restoring", 0);
        let mut input = Awaited {
            runtime: &self.runtime,
            stop: &self.stop,
            io: restore.input()?,
        };
        let written = self
            .backup
            .database(&mut input, &mut self.stop.advance(&progress));
        drop(progress);
        // A program that ended early says why; for any other reason it must not take what it got
        // for the whole.
        written.or_else(|error| {
            if is_broken_pipe(&error) {
                Ok(())
            } else {
                Err(error)
            }
        })?;
        self.wait("restoring", async { Ok(restore.finish().await?) })?;
        self.wait("auditing", async {
            let db = Db::open_postgres(url, &PostgresOptions::default()).await?;
            self.compare(&contents_of_database(url).await?)?;
            let checks = transfer::audit::verify_database(&db).await;
            db.close().await;
            Ok(checks?)
        })
    }

    fn to_scratch(&self, url: &str) -> anyhow::Result<Vec<Check>> {
        let name = format!("centwise_check_{:08x}", clock::random_u32());
        let scratch = self.runtime.block_on(Scratch::create(url, &name))?;
        let checks = self.to_database(scratch.url());
        let removed = self
            .runtime
            .block_on(scratch.remove())
            .with_context(|| format!("the database {name} was left behind: remove it"));
        checks.and_then(|checks| removed.map(|()| checks))
    }

    fn restoration(&self) -> Restoration {
        of_backup(Clock::system().now(), self.backup.manifest.made_at)
    }

    fn wait<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let progress = Progress::waiting(what);
        self.runtime.block_on(self.stop.or(progress.over(work)))
    }

    fn compare(&self, restored: &Contents) -> anyhow::Result<()> {
        let stated = &self.backup.manifest.contents;
        if !stated.same_rows(restored) {
            bail!(
                "the restored rows differ from the backup: found {restored:?}, expected \
                {stated:?}"
            );
        }
        Ok(())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
