//! Writing a backup.

use super::{BUFFER_BYTES, CHECKSUMS, MANIFEST, Manifest, database_part};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use transfer::backup::Kind;

/// A backup that is being written. Dropped before its end, it leaves nothing behind; a process that
/// is killed leaves a file `NAME.….partial`.
pub struct Writer {
    path: PathBuf,
    made_at_secs: u64,
    tar: tar::Builder<BufWriter<NamedTempFile>>,
    checksums: String,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({})", self.path.display())
    }
}

impl Writer {
    /// Begins with the manifest.
    ///
    /// # Errors
    /// There is something at `path`, or nothing can be written there.
    pub fn create(path: &Path, manifest: &Manifest) -> anyhow::Result<Self> {
        if path.exists() {
            bail!(
                "{} already exists: a backup never overwrites anything",
                path.display()
            );
        }
        let name = path
            .file_name()
            .context("expected the path of a file")?
            .to_string_lossy();
        let prefix = format!("{name}.");
        // For its owner alone from the start.
        let mut named = tempfile::Builder::new();
        let partial = named
            .prefix(&prefix)
            .suffix(".partial")
            .tempfile_in(directory_of(path));
        let partial = partial
            .with_context(|| format!("cannot write to the directory of {}", path.display()))?;
        let tar = tar::Builder::new(BufWriter::with_capacity(BUFFER_BYTES, partial));
        let made_at_secs = u64::try_from(manifest.made_at.micros() / 1_000_000).unwrap_or(0);
        let mut writer = Self {
            path: path.to_owned(),
            made_at_secs,
            tar,
            checksums: String::new(),
        };
        let text = serde_json::to_vec_pretty(manifest)?;
        writer.part(MANIFEST, |out| Ok(out.write_all(&text)?))?;
        Ok(writer)
    }

    /// The second part, as `fill` writes it.
    pub fn database(
        &mut self,
        kind: Kind,
        fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.part(database_part(kind), fill)
    }

    /// Writes the checksums, waits for the disk and puts the file in its place. Its size in bytes.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        let checksums = std::mem::take(&mut self.checksums);
        self.part(CHECKSUMS, |out| Ok(out.write_all(checksums.as_bytes())?))?;
        let partial = self
            .tar
            .into_inner()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        partial.as_file().sync_all()?;
        let file = partial
            .persist_noclobber(&self.path)
            .map_err(|failed| failed.error);
        let file = file.with_context(|| format!("cannot write {}", self.path.display()))?;
        File::open(directory_of(&self.path))?.sync_all()?;
        Ok(file.metadata()?.len())
    }

    fn part(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(self.made_at_secs);
        let mut out = Hashing {
            out: self.tar.append_writer(&mut header, name)?,
            hasher: blake3::Hasher::new(),
        };
        fill(&mut out)?;
        let Hashing { out, hasher } = out;
        out.finish()?;
        self.checksums
            .push_str(&format!("{}  {name}\n", hasher.finalize().to_hex()));
        Ok(())
    }
}

/// `.` for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

struct Hashing<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
