//! Where every record is now.

use db::{Result, SqlError};
use journal::Seq;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Kept in memory before they go to the file.
const NEWEST_MAX: usize = 65_536;
const BYTES: u64 = 8;

/// The new seq of each old one, which count from 1: the newest in memory, the rest in a file
/// without a name.
#[derive(Debug)]
pub(super) struct Seqs {
    file: File,
    in_file: u64,
    newest: Vec<i64>,
}

impl Seqs {
    /// In the directory of this file.
    pub(super) fn beside(file: &Path) -> Result<Self> {
        let directory = file
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(directory).map_err(failed)?;
        Ok(Self {
            file,
            in_file: 0,
            newest: Vec::new(),
        })
    }

    /// The next old seq's.
    pub(super) fn push(&mut self, seq: Seq) -> Result<()> {
        if self.newest.len() == NEWEST_MAX {
            let bytes: Vec<u8> = self.newest.drain(..).flat_map(i64::to_le_bytes).collect();
            self.file
                .seek(SeekFrom::End(0))
                .and_then(|_| self.file.write_all(&bytes))
                .map_err(failed)?;
            self.in_file += NEWEST_MAX as u64;
        }
        self.newest.push(seq.0);
        Ok(())
    }

    /// `None`: there was no such record.
    pub(super) fn of(&self, old: Seq) -> Result<Option<Seq>> {
        let Some(index) = u64::try_from(old.0).ok().and_then(|old| old.checked_sub(1)) else {
            return Ok(None);
        };
        if let Some(index) = index.checked_sub(self.in_file) {
            return Ok(usize::try_from(index)
                .ok()
                .and_then(|index| self.newest.get(index))
                .map(|seq| Seq(*seq)));
        }
        let (mut file, mut bytes) = (&self.file, [0; BYTES as usize]);
        file.seek(SeekFrom::Start(index * BYTES))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(failed)?;
        Ok(Some(Seq(i64::from_le_bytes(bytes))))
    }
}

fn failed(error: std::io::Error) -> SqlError {
    SqlError::unavailable(format!("the list of records: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_where_it_is_now() {
        let dir = tempfile::tempdir().unwrap();
        let mut seqs = Seqs::beside(&dir.path().join("centwise.db")).unwrap();
        let count = 2 * NEWEST_MAX as i64 + 10;
        for old in 1..=count {
            assert_eq!(seqs.of(Seq(old)).unwrap(), None, "not yet");
            seqs.push(Seq(7 * old)).unwrap();
            assert_eq!(
                seqs.of(Seq(old / 2 + 1)).unwrap(),
                Some(Seq(7 * (old / 2 + 1)))
            );
        }
        for old in [1, 2, NEWEST_MAX as i64, NEWEST_MAX as i64 + 1, count] {
            assert_eq!(seqs.of(Seq(old)).unwrap(), Some(Seq(7 * old)));
        }
        for none in [-1, 0, count + 1] {
            assert_eq!(seqs.of(Seq(none)).unwrap(), None);
        }
    }
}
