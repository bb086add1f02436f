//! The files beside a followed one: those that it was before it was rotated, and copies of them.

use super::position::{Identity, Place, modified};
use anyhow::Context;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file beside, whose name begins as that of the followed one.
#[derive(Debug, Clone)]
pub struct Neighbour {
    pub path: PathBuf,
    pub identity: Identity,
    pub modified: u64,
    length: u64,
    /// What its name has behind the followed file's: `.1`, `-20261128`.
    suffix: String,
}

impl Neighbour {
    /// `Master.csv.1`, `Master.csv-20261128`, `Master-20261128.csv`, `Master.csv.old`; not
    /// `Master.csv.bak`.
    pub fn is_rotated(&self) -> bool {
        let name = self.unpacked();
        let rest = name.strip_prefix(['.', '-', '_']).unwrap_or_default();
        rest == "old" || rest.starts_with(|c: char| c.is_ascii_digit())
    }
    pub fn is_packed(&self) -> bool {
        self.unpacked() != self.suffix
    }
    fn unpacked(&self) -> &str {
        [".gz", ".bz2", ".xz", ".zst", ".zip"]
            .iter()
            .find_map(|end| self.suffix.strip_suffix(end))
            .unwrap_or(&self.suffix)
    }
    /// Rotation counts up: of two files with one time the one with the higher number is the older.
    fn age(&self) -> (u64, std::cmp::Reverse<u64>) {
        (
            self.modified,
            std::cmp::Reverse(
                self.unpacked()
                    .strip_prefix('.')
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(0),
            ),
        )
    }
}

/// Beside `path`, without `ours`; the oldest first.
pub fn neighbours(path: &Path, ours: &Path) -> anyhow::Result<Vec<Neighbour>> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
    {
        let entry = entry?;
        let is_ours = |other: &str| {
            let kept = ours
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            other == name
                || other.ends_with(".refused.ndjson")
                || other == kept
                || other.strip_suffix(".new") == Some(kept)
        };
        let Some(suffix) = entry
            .file_name()
            .to_str()
            .filter(|other| !is_ours(other))
            .and_then(|other| suffix_of(other, name))
        else {
            continue;
        };
        // It may be renamed or removed at this moment.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_file() {
            let (identity, modified, length) =
                (Identity::of(&metadata), modified(&metadata), metadata.len());
            found.push(Neighbour {
                path: entry.path(),
                identity,
                modified,
                length,
                suffix,
            });
        }
    }
    found.sort_by_key(Neighbour::age);
    Ok(found)
}

/// `Master.csv.1` → `.1`, `Master-20261128.csv` → `-20261128`. `None`: another file's name.
fn suffix_of(other: &str, name: &str) -> Option<String> {
    let behind = other.strip_prefix(name).map(str::to_owned);
    let within = || {
        let (stem, extension) = name.rsplit_once('.')?;
        let rest = other.strip_prefix(stem)?;
        let (date, packed) = rest.split_once(&format!(".{extension}"))?;
        Some(format!("{date}{packed}"))
    };
    behind.or_else(within)
}

/// The file of a place under another name: itself, or, where it was truncated, the longest copy of
/// it.
pub fn find(
    place: &Place,
    beside: &[Neighbour],
    is_truncated: bool,
) -> std::io::Result<Option<(File, Neighbour)>> {
    if let Some(found) = itself(place, beside)? {
        return Ok(Some(found));
    }
    if !is_truncated && place.file.is_some() {
        return Ok(None);
    }
    let mut copies: Vec<&Neighbour> = beside
        .iter()
        .filter(|other| is_likely_copy(place, other))
        .collect();
    copies.sort_by_key(|copy| std::cmp::Reverse((copy.length, copy.modified)));
    for copy in copies {
        if let Some(file) = opened(place, copy)? {
            return Ok(Some((file, copy.clone())));
        }
    }
    Ok(None)
}

/// Somebody's copy as far as the file was sent has nothing more; titles alone are those of many
/// files, of which only a younger one is it.
fn is_likely_copy(place: &Place, other: &Neighbour) -> bool {
    let is_younger =
        || other.is_rotated() && place.modified.is_some_and(|seen| other.modified > seen);
    // Noted before files were known otherwise than by their content.
    let has_records = place.has_records || (place.file.is_none() && place.offset > 0);
    !other.is_packed()
        && if has_records {
            other.is_rotated() || other.length > place.offset
        } else {
            is_younger()
        }
}

/// The file of a place that was renamed.
pub fn itself(place: &Place, beside: &[Neighbour]) -> std::io::Result<Option<(File, Neighbour)>> {
    let Some(found) = beside
        .iter()
        .find(|other| place.file == Some(other.identity))
    else {
        return Ok(None);
    };
    Ok(opened(place, found)?.map(|file| (file, found.clone())))
}

/// What a file that was read to its end, and is not there any more, was compressed into, and
/// whether it had been written to since: by the time, and where the file says it by the length,
/// that it had when it was read. `others`: whose compressed files are not it.
pub fn packed_of<'b>(
    place: &Place,
    others: &[Place],
    beside: &'b [Neighbour],
) -> std::io::Result<Option<(&'b Neighbour, bool)>> {
    const SECOND_NANOS: u64 = 1_000_000_000;
    let second = |nanos: u64| nanos / SECOND_NANOS;
    let Some(seen) = place.modified else {
        return Ok(None);
    };
    let mut grown = None;
    for other in beside
        .iter()
        .filter(|other| other.is_packed() && second(other.modified) >= second(seen))
    {
        let is_as_long = unpacked_len(&other.path)?
            .is_none_or(|length| u64::from(length) == place.offset & u64::from(u32::MAX));
        if second(other.modified) == second(seen) && is_as_long {
            return Ok(Some((other, false)));
        }
        let is_of_another = others.iter().any(|known| {
            known.file != place.file
                && known
                    .modified
                    .is_some_and(|at| second(at) == second(other.modified))
        });
        grown = grown.or(Some(other).filter(|_| !is_of_another));
    }
    Ok(grown.map(|other| (other, true)))
}

/// Bytes that a gzip file has unpacked, modulo 2³², as its end says. `None`: it is none.
fn unpacked_len(path: &Path) -> std::io::Result<Option<u32>> {
    const END_BYTES: i64 = 4;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(None);
    }
    let mut end = [0; END_BYTES as usize];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-END_BYTES))
            .and_then(|_| file.read_exact(&mut end))
    });
    Ok(read.ok().map(|()| u32::from_le_bytes(end)))
}

fn opened(place: &Place, found: &Neighbour) -> std::io::Result<Option<File>> {
    let mut file = match File::open(&found.path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(place.is_in(&mut file)?.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files() {
        for (other, want) in [
            ("Master.csv.1", true),
            ("Master.csv-20261128", true),
            ("Master-20261128.csv", true),
            ("Master.csv.2.gz", true),
            ("Master.csv.old", true),
            ("Master.csv.bak", false),
            ("Master.csv.position.json", false),
            ("Master.csv~", false),
            ("Master2.csv", false),
        ] {
            let metadata = std::fs::metadata(".").unwrap();
            let (identity, path) = (Identity::of(&metadata), PathBuf::from(other));
            let neighbour = |suffix| Neighbour {
                path,
                identity,
                modified: 0,
                length: 0,
                suffix,
            };
            assert_eq!(
                suffix_of(other, "Master.csv").is_some_and(|suffix| neighbour(suffix).is_rotated()),
                want,
                "{other}"
            );
        }
    }
}
