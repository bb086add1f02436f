//! How far a file was sent: kept beside it, durably, after the server has answered. What was sent
//! and not yet noted is sent again and answered as a duplicate.
//!
//! A file is known by what the file system calls it (a number that a new name does not change, and
//! its birth), and by its content: the bytes at its beginning and before the position. So a file
//! that was rotated away is found again, a copy of it is not mistaken for it, and neither is a new
//! file that begins with the same titles.

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of each end that a file is known by.
const MARK_BYTES: u64 = 1024;

/// Of a file, whatever its name. Numbers are given again to new files: their births differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    number: u64,
    born: Option<u64>,
}

impl Identity {
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let number = 0;
        Self {
            number,
            born: metadata.created().ok().map(nanos),
        }
    }
}

/// Since 1970.
fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// When the file was written to last.
pub fn modified(metadata: &Metadata) -> u64 {
    metadata.modified().map_or(0, nanos)
}

/// How far one file was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Bytes that were sent.
    pub offset: u64,
    /// Lines that were sent.
    pub lines: u64,
    /// Digest of the file's first bytes, at most up to `offset`.
    pub(super) head: String,
    /// Digest of the last bytes before `offset`.
    pub(super) tail: String,
    /// `None`: not seen yet, or noted by a version that knew files by their content only.
    #[serde(default)]
    pub file: Option<Identity>,
    /// When it had been written to last as it was read.
    #[serde(default)]
    pub modified: Option<u64>,
    /// What was sent had records, not titles only: no other file begins like that.
    #[serde(default)]
    pub has_records: bool,
    /// Rotated away and sent to its end; what is written to it all the same is still sent.
    #[serde(default)]
    pub is_read: bool,
    /// It is not there any more, and what became of it was said.
    #[serde(default)]
    pub is_gone: bool,
}

impl Place {
    pub fn start_of(metadata: &Metadata) -> Self {
        Self {
            file: Some(Identity::of(metadata)),
            modified: Some(modified(metadata)),
            ..Self::default()
        }
    }

    /// After `bytes` more, `lines` of them.
    pub fn after(&self, file: &mut File, bytes: u64, lines: u64) -> std::io::Result<Self> {
        let offset = self.offset + bytes;
        Ok(Self {
            offset,
            lines: self.lines + lines,
            head: head(file, offset)?,
            tail: tail(file, offset)?,
            ..self.clone()
        })
    }

    /// Is it this very file, as it was or longer?
    pub fn is_of(&self, file: &mut File) -> std::io::Result<bool> {
        let identity = Identity::of(&file.metadata()?);
        Ok(self.file.is_none_or(|known| known == identity) && self.is_in(file)?)
    }

    /// Has the file the content that was sent?
    pub fn is_in(&self, file: &mut File) -> std::io::Result<bool> {
        if self.offset == 0 {
            return Ok(true);
        }
        Ok(file.metadata()?.len() >= self.offset
            && head(file, self.offset)? == self.head
            && tail(file, self.offset)? == self.tail)
    }
}

/// The place in the file that is followed, and in those that it was before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    #[serde(flatten)]
    pub here: Place,
    /// Rotated away, the oldest first.
    #[serde(default)]
    pub before: Vec<Place>,
    /// How rows were read that could be: a digest of the options. `None`: none was yet, or by a
    /// version that did not note it.
    #[serde(default)]
    pub read_as: Option<String>,
}

impl Position {
    /// The beginning, where nothing is kept yet.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            // What serde says of it is of no help to whoever did not write it.
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                let what = if text.trim_ascii().is_empty() {
                    "is empty"
                } else {
                    "is not the position of a followed file, or is incomplete"
                };
                anyhow!(
                    "{} {what}: remove it to send the file from its beginning, nothing is \
                    posted twice",
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
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()
        };
        write().with_context(|| {
            format!(
                "cannot write {} (--position sets another path)",
                path.display()
            )
        })
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
