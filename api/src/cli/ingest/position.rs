//! How far a file was sent: kept beside it, durably, after the server has answered. What was sent and not yet noted is
//! sent again and answered as a duplicate.
//!
//! A file is known by its content, not by its name: the bytes at its beginning and before the position. So a file that
//! was rotated away is found again, and one that was cut or replaced is not mistaken for it.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of each end that a file is known by.
const MARK_BYTES: u64 = 1024;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Bytes that were sent.
    pub offset: u64,
    /// Lines that were sent.
    pub lines: u64,
    /// Digest of the file's first bytes, at most up to `offset`.
    head: String,
    /// Digest of the last bytes before `offset`.
    tail: String,
}

impl Position {
    /// The beginning, where nothing is kept yet.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{} is no position of a followed file: remove it to send the file from its beginning, nothing is posted twice",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Written beside, then put in its place: whatever happens, one of the two is there.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let beside = PathBuf::from(format!("{}.new", path.display()));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()
        };
        write().with_context(|| format!("cannot write {} (--position names another place)", path.display()))
    }

    /// After `bytes` more, `lines` of them.
    pub fn after(&self, file: &mut File, bytes: u64, lines: u64) -> std::io::Result<Self> {
        let offset = self.offset + bytes;
        Ok(Self { offset, lines: self.lines + lines, head: head(file, offset)?, tail: tail(file, offset)? })
    }

    /// Is it a position of this file?
    pub fn is_in(&self, file: &mut File) -> std::io::Result<bool> {
        if self.offset == 0 {
            return Ok(true);
        }
        Ok(file.metadata()?.len() >= self.offset && head(file, self.offset)? == self.head && tail(file, self.offset)? == self.tail)
    }
}

fn head(file: &mut File, offset: u64) -> std::io::Result<String> {
    digest(file, 0, MARK_BYTES.min(offset))
}

fn tail(file: &mut File, offset: u64) -> std::io::Result<String> {
    let length = MARK_BYTES.min(offset);
    digest(file, offset - length, length)
}

fn digest(file: &mut File, from: u64, length: u64) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(blake3::hash(&bytes).to_hex().as_str().to_owned())
}
