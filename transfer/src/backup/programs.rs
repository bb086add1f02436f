//! PostgreSQL's own programs: found, run, and heard when they fail.

use super::{BackupError, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

const DEBIAN: &str = "/usr/lib/postgresql";
/// Of what a program has to say when it fails.
const ERROR_BYTES_MAX: u64 = 16 * 1024;

/// Where programs are looked for, in this order.
#[derive(Debug, Clone)]
pub struct Folders(pub Vec<PathBuf>);

/// A program of this major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub name: &'static str,
    pub path: PathBuf,
    pub major: u32,
}

impl Folders {
    /// Those of a `PATH`, then Debian's.
    pub fn usual(path: &std::ffi::OsStr) -> Self {
        let debian = std::fs::read_dir(DEBIAN)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        Self(std::env::split_paths(path).chain(debian).collect())
    }

    /// The oldest that is new enough: what a program of PostgreSQL writes may be too new for an
    /// older server.
    pub(super) fn find(&self, name: &'static str, at_least: u32) -> Result<Program> {
        let found = self
            .0
            .iter()
            .map(|folder| folder.join(name))
            .filter(|path| path.is_file());
        let mut found: Vec<Program> = found
            .filter_map(|path| {
                Some(Program {
                    name,
                    major: major_of(&path)?,
                    path,
                })
            })
            .collect();
        found.sort_by_key(|program| program.major);
        let newest = found.last().cloned();
        match (
            found.into_iter().find(|program| program.major >= at_least),
            newest,
        ) {
            (Some(program), _) => Ok(program),
            (
                None,
                Some(Program {
                    path, major: found, ..
                }),
            ) => Err(BackupError::OldProgram {
                path,
                found,
                at_least,
            }),
            (None, None) => Err(BackupError::NoProgram { name, at_least }),
        }
    }
}

/// `pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`
fn major_of(program: &Path) -> Option<u32> {
    let said = std::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    major_in(&String::from_utf8_lossy(&said.stdout))
}

fn major_in(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    let digits = version
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}

/// A program at work; dropped before its end, it is killed.
#[derive(Debug)]
pub(super) struct Working {
    name: &'static str,
    child: Child,
    errors: Option<JoinHandle<String>>,
}

impl Working {
    /// Its output is read with [`Working::output`].
    pub fn reading(
        program: &Program,
        arguments: &[String],
        environment: &[(&'static str, String)],
    ) -> Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Self::start(program.name, command, environment)
    }

    /// It reads what is written to [`Working::input`].
    pub fn writing(
        program: &Program,
        arguments: &[String],
        environment: &[(&'static str, String)],
    ) -> Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Self::start(program.name, command, environment)
    }

    /// `environment` carries what no other user of this machine may see, as the command line would
    /// show it.
    fn start(
        name: &'static str,
        mut command: Command,
        environment: &[(&'static str, String)],
    ) -> Result<Self> {
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let errors = child.stderr.take().map(|stderr| tokio::spawn(said(stderr)));
        Ok(Self {
            name,
            child,
            errors,
        })
    }

    pub fn output(&mut self) -> Result<&mut ChildStdout> {
        self.child.stdout.as_mut().ok_or_else(closed)
    }

    pub fn input(&mut self) -> Result<&mut ChildStdin> {
        self.child.stdin.as_mut().ok_or_else(closed)
    }

    /// Closes its input, waits for it, and passes on why it failed.
    pub async fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        let said = match self.errors.take() {
            Some(errors) => errors.await.unwrap_or_default(),
            None => String::new(),
        };
        if status.success() {
            return Ok(());
        }
        let errors = if said.trim().is_empty() {
            status.to_string()
        } else {
            said.trim().to_owned()
        };
        Err(BackupError::Program {
            name: self.name,
            errors,
        })
    }
}

fn closed() -> BackupError {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

/// The beginning of what it says; the rest is read, so that it never waits for a reader.
async fn said(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let _as_far_as_it_goes = (&mut stderr)
        .take(ERROR_BYTES_MAX)
        .read_to_end(&mut kept)
        .await;
    let _rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions() {
        for (said, major) in [
            (
                "pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some(15),
            ),
            ("pg_restore (PostgreSQL) 18beta2\n", Some(18)),
            ("pg_dump (PostgreSQL) 17", Some(17)),
            ("pg_dump (something else) 3", None),
        ] {
            assert_eq!(major_in(said), major, "{said}");
        }
    }

    /// A folder with a `pg_dump` of this version.
    fn folder(dir: &Path, major: u32) -> PathBuf {
        let folder = dir.join(major.to_string());
        std::fs::create_dir(&folder).unwrap();
        let program = folder.join("pg_dump");
        std::fs::write(
            &program,
            format!(
                "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump \
            (PostgreSQL) {major}.1' && exit\necho some output\necho \"no way for $WHO\" >&2\nexit \
            3\n"
            ),
        )
        .unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        folder
    }

    #[test]
    fn the_oldest_that_is_new_enough_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders(vec![
            folder(dir.path(), 17),
            folder(dir.path(), 14),
            folder(dir.path(), 16),
        ]);
        assert_eq!(folders.find("pg_dump", 15).unwrap().major, 16);
        assert_eq!(folders.find("pg_dump", 17).unwrap().major, 17);
        let old = folders.find("pg_dump", 18).unwrap_err().to_string();
        assert!(
            old.contains("17/pg_dump is of PostgreSQL 17, and 18 or later is needed"),
            "{old}"
        );
        let none = Folders(Vec::new())
            .find("pg_dump", 15)
            .unwrap_err()
            .to_string();
        assert!(
            none.starts_with(
                "pg_dump was found neither in PATH nor in /usr/lib/postgresql/*/bin: install"
            ),
            "{none}"
        );
    }

    #[tokio::test]
    async fn what_a_program_says_when_it_fails_is_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let program = Folders(vec![folder(dir.path(), 15)])
            .find("pg_dump", 15)
            .unwrap();
        let mut reading = Working::reading(&program, &[], &[("WHO", "you".to_owned())]).unwrap();
        let mut out = String::new();
        reading
            .output()
            .unwrap()
            .read_to_string(&mut out)
            .await
            .unwrap();
        assert_eq!(out, "some output\n");
        assert_eq!(
            reading.finish().await.unwrap_err().to_string(),
            "pg_dump failed: no way for you"
        );
        let writing = Working::writing(&program, &[], &[("WHO", "me".to_owned())]).unwrap();
        assert_eq!(
            writing.finish().await.unwrap_err().to_string(),
            "pg_dump failed: no way for me"
        );
    }
}
