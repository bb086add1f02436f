//! Reading a backup: what is not whole is refused before anything of it is used.

use super::{BUFFER_BYTES, FORMAT, MANIFEST, Manifest, SMALL_PART_BYTES_MAX, database_part};
use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Archive, Entry};
use transfer::backup::Advance;

type Part<'a> = Entry<'a, BufReader<File>>;

/// A backup that is whole and that this program can restore.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    pub manifest: Manifest,
}

/// What every format of a manifest begins with.
#[derive(Deserialize)]
struct Origin {
    format: u32,
    program: String,
}

impl Backup {
    /// Reads all of it, and compares each part with its checksum. `advance` is told of bytes of the
    /// file.
    ///
    /// # Errors
    /// It cannot be read, is no backup, is damaged, or was made by a newer program.
    pub fn open(path: &Path, advance: Advance<'_>) -> anyhow::Result<Self> {
        let mut archive = archive(path)?;
        let mut parts = archive.entries()?;
        let first = parts
            .next()
            .and_then(Result::ok)
            .filter(|part| part.path_bytes().as_ref() == MANIFEST.as_bytes());
        let text =
            small(first.with_context(|| format!("{} is not a Centwise backup", path.display()))?);
        let text = text.map_err(|error| damaged(path, &error))?;
        let origin: Origin =
            serde_json::from_slice(&text).map_err(|error| damaged(path, &error))?;
        if origin.format > FORMAT {
            return Err(newer(path, &origin.program));
        }
        let mut checksums = vec![(MANIFEST.to_owned(), blake3::hash(&text))];
        let database = parts
            .next()
            .ok_or_else(|| ends_early(path))?
            .map_err(|error| damaged(path, &error))?;
        let mut ended = false;
        let hashed = hashed(database, &mut |bytes| {
            advance(bytes).inspect_err(|_| ended = true)
        });
        checksums.push(hashed.map_err(|error| {
            if ended {
                error.into()
            } else {
                damaged(path, &error)
            }
        })?);
        let last = parts
            .next()
            .ok_or_else(|| ends_early(path))?
            .map_err(|error| damaged(path, &error))?;
        let stated = small(last).map_err(|error| damaged(path, &error))?;
        compare(path, &checksums, &stated)?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| damaged(path, &error))?;
        let ours = version(env!("CARGO_PKG_VERSION"));
        if version(&manifest.program) > ours || manifest.contents.is_newer(manifest.database) {
            return Err(newer(path, &manifest.program));
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
        })
    }

    /// Writes the database as it was dumped. `advance` is told of bytes written.
    pub fn database(&self, into: &mut dyn Write, advance: Advance<'_>) -> anyhow::Result<()> {
        let mut archive = archive(&self.path)?;
        let name = database_part(self.manifest.database);
        for part in archive.entries()? {
            let part = part?;
            if part.path_bytes().as_ref() == name.as_bytes() {
                return Ok(copy(
                    &mut lz4_flex::frame::FrameDecoder::new(part),
                    into,
                    advance,
                )?);
            }
        }
        bail!("{} has no part {name}", self.path.display())
    }

    /// In bytes.
    pub fn size(path: &Path) -> u64 {
        path.metadata().map_or(0, |file| file.len())
    }
}

/// Copies all of it. `advance` is told of bytes.
pub fn copy(
    from: &mut dyn Read,
    into: &mut dyn Write,
    advance: Advance<'_>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return into.flush();
        }
        into.write_all(&buffer[..read])?;
        advance(read as u64)?;
    }
}

fn archive(path: &Path) -> anyhow::Result<Archive<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Archive::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

fn small(part: Part<'_>) -> std::io::Result<Vec<u8>> {
    let (stated, mut bytes) = (part.size(), Vec::new());
    part.take(SMALL_PART_BYTES_MAX).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == stated {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

fn hashed(mut part: Part<'_>, advance: Advance<'_>) -> std::io::Result<(String, blake3::Hash)> {
    let (name, stated) = (
        String::from_utf8_lossy(&part.path_bytes()).into_owned(),
        part.size(),
    );
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    copy(&mut part, &mut hasher, &mut |read| {
        bytes += read;
        advance(read)
    })?;
    if bytes == stated {
        Ok((name, hasher.finalize()))
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Every part is stated once, in order, and is what was stated.
fn compare(path: &Path, found: &[(String, blake3::Hash)], stated: &[u8]) -> anyhow::Result<()> {
    let stated = String::from_utf8_lossy(stated);
    let mut lines = stated.lines();
    for (name, hash) in found {
        if lines.next() != Some(&format!("{}  {name}", hash.to_hex())) {
            return Err(damaged(
                path,
                &format!("{name} does not match its checksum"),
            ));
        }
    }
    if lines.next().is_some() {
        Err(ends_early(path))
    } else {
        Ok(())
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow!("{} is damaged: {why}", path.display())
}

fn ends_early(path: &Path) -> anyhow::Error {
    damaged(path, &"it ends too early")
}

fn newer(path: &Path, program: &str) -> anyhow::Error {
    anyhow!(
        "{} was created by centwise {program}, which is newer than this version ({}): restore it \
            with that version",
        path.display(),
        env!("CARGO_PKG_VERSION")
    )
}

/// Major, minor, patch.
fn version(text: &str) -> Vec<u64> {
    text.split(['.', '-', '+'])
        .take(3)
        .map(|number| number.parse().unwrap_or(0))
        .collect()
}
