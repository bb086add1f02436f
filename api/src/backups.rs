//! The directory that `centwise backup` writes into, looked at from outside: how old the newest one
//! is.

use rating::Instant;
use std::io;
use std::path::Path;

/// When the newest backup of those that the command gave their names was begun; `None`: there is
/// none.
///
/// # Errors
/// The directory cannot be read.
pub fn newest(dir: &Path) -> io::Result<Option<Instant>> {
    let mut newest = None;
    for entry in dir.read_dir()? {
        newest = newest.max(entry?.file_name().to_str().and_then(time_of));
    }
    Ok(newest)
}

/// Of `centwise-2026-11-20T03-00-00Z.tar`.
fn time_of(name: &str) -> Option<Instant> {
    let time = name.strip_prefix("centwise-")?.strip_suffix(".tar")?;
    let (day, hour) = time.split_once('T')?;
    format!("{day}T{}", hour.replace('-', ":")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_told_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()).unwrap(), None);
        for name in [
            "centwise-2026-11-20T03-00-00Z.tar",
            "centwise-2026-11-21T03-00-00Z.tar",
            "centwise-of-may.tar",
            "x.tar",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            newest(dir.path()).unwrap(),
            Some("2026-11-21T03:00:00Z".parse().unwrap())
        );
        assert!(newest(&dir.path().join("none")).is_err());
    }
}
