//! The directory of the embedded database: nobody else's to read, and never made by mistake.

use anyhow::{Context as _, bail};
use db::check_new;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes what is not there of `file` and its directory; logs a new one, so that a mistyped name is
/// seen.
///
/// # Errors
/// The directory that it would lie in is not there either, or cannot be written.
pub fn create(file: &Path) -> anyhow::Result<()> {
    if let Some(directory) = file
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        create_directory(directory)?;
    }
    check_new(file).map_err(anyhow::Error::msg)?;
    // Its companions get the mode that the file has.
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(file)
    {
        Ok(_) => {
            tracing::warn!(file = %file.display(), "no database found: creating a new, empty \
                installation")
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
                tracing::warn!(file = %file.display(), "database file is empty: creating a new, \
                    empty installation");
            }
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", file.display()));
        }
    }
    Ok(())
}

fn create_directory(directory: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "cannot create the directory {}: its parent does not exist. Is the name right \
                (--data-dir, CENTWISE_DATA_DIR, --database-url)?",
            directory.display()
        ),
        Err(error) => Err(error)
            .with_context(|| format!("cannot create the directory {}", directory.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_installation_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/centwise.db");
        create(&file).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(file.parent().unwrap()), mode(&file)),
            (DIRECTORY_MODE, FILE_MODE)
        );
        create(&file).unwrap();
    }

    #[test]
    fn a_name_whose_parent_is_missing_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let refused = create(&dir.path().join("no/such/centwise.db"))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("no/such") && refused.contains("--data-dir"),
            "{refused}"
        );
        assert!(!dir.path().join("no").exists());
    }
}
