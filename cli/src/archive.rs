//! The file of a backup: a tar archive that every `tar` reads, with three parts in this order.
//!
//! - `manifest.json`: what is in it, when and by which program it was made, and the settings
//!   ([`Manifest`]).
//! - `database.sqlite.lz4` or `database.dump.lz4`: the copied file, or what `pg_dump` wrote, as an
//!   LZ4 frame.
//! - `checksums`: BLAKE3 of each part before it, in the form of `b3sum`.
//!
//! It is written under a name of its own and gets its place, which must be free, when all of it is
//! durable. It is read twice: as a whole before anything else happens, then its database.

mod read;
mod write;

pub use read::{Backup, copy};
pub use write::{Writer, directory_of};

use rating::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use transfer::backup::{Contents, Kind};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const CHECKSUMS: &str = "checksums";
/// Of the parts that are read into memory.
const SMALL_PART_BYTES_MAX: u64 = 1 << 20;
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the archive.
    pub format: u32,
    /// Version of the program that made it.
    pub program: String,
    pub made_at: Instant,
    pub database: Kind,
    /// Major version of the `pg_dump` that wrote the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dumped_by: Option<u32>,
    pub contents: Contents,
    /// Settings of the server by the names of their variables, as they were where the backup was
    /// made.
    pub settings: BTreeMap<String, String>,
    /// Settings that are secret, and were set: to be kept elsewhere.
    pub left_out: Vec<String>,
}

impl Manifest {
    pub fn new(made_at: Instant, database: Kind, contents: Contents) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let (settings, left_out) = (BTreeMap::new(), Vec::new());
        Self {
            format: FORMAT,
            program,
            made_at,
            database,
            dumped_by: None,
            contents,
            settings,
            left_out,
        }
    }
}

const fn database_part(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "database.sqlite.lz4",
        Kind::Postgresql => "database.dump.lz4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    fn manifest() -> Manifest {
        let contents = Contents {
            migrations: vec![1, 2],
            records: 3,
            tenants: 4,
            agreements: 5,
            card_versions: 6,
            api_keys: 7,
        };
        Manifest::new(Instant::from_secs(1_795_000_000), Kind::Sqlite, contents)
    }

    /// Something that compresses, and something that does not.
    fn database() -> Vec<u8> {
        let noise = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
        std::iter::repeat_n(7, 100_000).chain(noise).collect()
    }

    fn written(dir: &Path, manifest: &Manifest) -> PathBuf {
        let path = dir.join("one.tar");
        let mut writer = Writer::create(&path, manifest).unwrap();
        writer
            .database(Kind::Sqlite, |out| {
                let mut compressing = lz4_flex::frame::FrameEncoder::new(out);
                compressing.write_all(&database()).unwrap();
                compressing.finish().unwrap();
                Ok(())
            })
            .unwrap();
        assert!(!path.exists(), "it has its name when it is whole");
        writer.finish().unwrap();
        path
    }

    fn open(path: &Path) -> anyhow::Result<Backup> {
        Backup::open(path, &mut |_| Ok(()))
    }

    #[test]
    fn what_is_written_is_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), &manifest());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let backup = open(&path).unwrap();
        assert_eq!(backup.manifest, manifest());
        let mut restored = Vec::new();
        backup.database(&mut restored, &mut |_| Ok(())).unwrap();
        assert!(restored == database());
        let again = Writer::create(&path, &manifest())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(again.contains("already exists"), "{again}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn one_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.tar");
        let mut writer = Writer::create(&path, &manifest()).unwrap();
        writer
            .database(Kind::Sqlite, |_| anyhow::bail!("stopped"))
            .unwrap_err();
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), &manifest());
        let whole = std::fs::read(&path).unwrap();
        let damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            open(&path).map(|_| ()).unwrap_err().to_string()
        };
        // Every byte of the headers and of the first part, and some of the others.
        let places = (0..700)
            .chain((1024..whole.len() - 1536).step_by(4999))
            .chain([whole.len() - 2048, whole.len() - 1600]);
        for place in places.filter(|place| whole[*place] != 0) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            let why = damaged(&bytes);
            assert!(
                why.contains("is damaged") || why.contains("is not a Centwise backup"),
                "{place}: {why}"
            );
        }
        for length in [0, 300, 600, 1100, 5000, whole.len() / 2, whole.len() - 2100] {
            let why = damaged(&whole[..length]);
            assert!(
                why.contains("is damaged") || why.contains("is not a Centwise backup"),
                "{length}: {why}"
            );
        }
        let none = damaged(b"something else");
        assert!(none.contains("one.tar is not a Centwise backup"), "{none}");
    }

    #[test]
    fn one_of_a_newer_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for newer in [
            Manifest {
                format: FORMAT + 1,
                ..manifest()
            },
            Manifest {
                program: "99.0.0".to_owned(),
                ..manifest()
            },
            Manifest {
                contents: Contents {
                    migrations: vec![1, 2, 99],
                    ..manifest().contents
                },
                ..manifest()
            },
        ] {
            let path = written(dir.path(), &newer);
            let why = open(&path).map(|_| ()).unwrap_err().to_string();
            assert!(
                why.contains("was created by centwise") && why.contains("newer than this version"),
                "{why}"
            );
            std::fs::remove_file(path).unwrap();
        }
    }
}
