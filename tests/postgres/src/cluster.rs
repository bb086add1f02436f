//! A cluster of its own in a temporary folder, watched over by a shell that outlives this process.
//!
//! The shell reads from a pipe of which this process holds the other end. When the process ends,
//! also by a signal that nobody can catch, the pipe closes: the shell stops the server and removes
//! the folder.

use anyhow::Context as _;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

const USER: &str = "centwise";
const START_ATTEMPTS_MAX: u32 = 5;
/// Statements wait for locks of each other on purpose in tests: deadlocks are looked for early.
const SETTINGS: &[&str] = &[
    "max_connections=300",
    "shared_buffers=64MB",
    "max_wal_size=256MB",
    "deadlock_timeout=100ms",
    "jit=off",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];
const START_TIME_MAX: Duration = Duration::from_secs(60);
const START_PAUSE: Duration = Duration::from_millis(50);

/// Makes the cluster, runs the server and waits for the pipe to close. Signals to the tests' group
/// are not for it.
const WATCH: &str = r#"
trap '' INT TERM HUP
folder=$1; bin=$2; port=$3; user=$4; shift 4
printf %s "$PASSWORD" >"$folder/password"
if "$bin/initdb" -D "$folder/data" -U "$user" -A scram-sha-256 --pwfile="$folder/password" -E UTF8 --locale=C -N >"$folder/log" 2>&1 </dev/null
then
  "$bin/postgres" -D "$folder/data" -k "$folder" -h 127.0.0.1 -p "$port" "$@" >>"$folder/log" 2>&1 </dev/null &
  server=$!
  read -r _
  kill -QUIT "$server" 2>/dev/null
  wait "$server"
else
  read -r _
fi
cd /
rm -rf "$folder"
"#;

/// The folder with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// From `PATH`, else the newest of Debian's.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter_map(|folder| {
                Some((
                    folder.file_name()?.to_str()?.parse().ok()?,
                    folder.join("bin"),
                ))
            })
            .collect();
        debian.sort();
        let debian = debian.into_iter().rev().map(|(_, folder)| folder);
        std::env::split_paths(&path)
            .chain(debian)
            .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
            .map(Self)
    }
}

/// A running cluster; it ends with this.
#[derive(Debug)]
pub(crate) struct Cluster {
    url: String,
    watch: Child,
    /// Closing it ends the cluster.
    pipe: Option<ChildStdin>,
}

impl Cluster {
    /// # Errors
    /// The cluster cannot be made or does not come up.
    pub(crate) async fn start(programs: &Programs) -> anyhow::Result<Self> {
        let owner = owner()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(programs, owner).await {
                // Somebody else may have taken the port in between.
                Err(_) if attempt < START_ATTEMPTS_MAX => attempt += 1,
                done => return done,
            }
        }
    }

    async fn start_once(programs: &Programs, owner: Option<(u32, u32)>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("centwise-postgres-")
            .tempdir()?
            .keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        if let Some((uid, gid)) = owner {
            chown(&folder, Some(uid), Some(gid))?;
        }
        let password = password()?;
        // From here on the shell removes the folder, whatever happens.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut watch = command("/bin/sh", owner, &folder);
        watch
            .args(["-c", WATCH, "watch"])
            .arg(&folder)
            .arg(&programs.0)
            .arg(port.to_string())
            .arg(USER);
        for setting in SETTINGS {
            watch.args(["-c", setting]);
        }
        let mut watch = watch
            .env("PASSWORD", &password)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .context("/bin/sh")?;
        let pipe = watch.stdin.take();
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres");
        let mut cluster = Self { url, watch, pipe };
        match cluster.wait().await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                Err(error.context(log))
            }
        }
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let options: PgConnectOptions = self.url.parse()?;
        let mut last = None;
        for _ in 0..START_TIME_MAX.as_millis() / START_PAUSE.as_millis() {
            anyhow::ensure!(
                self.watch.try_wait()?.is_none(),
                "the cluster ended at once"
            );
            match PgConnection::connect_with(&options).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        anyhow::bail!("the cluster does not answer: {last:?}")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        drop(self.watch.wait());
    }
}

/// Runs as the cluster's owner: the server refuses to run as root.
fn command(program: &str, owner: Option<(u32, u32)>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some((uid, gid)) = owner {
        command.gid(gid).uid(uid);
    }
    command
}

/// Uid and gid of somebody without rights if this process is root's.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    let output = Command::new("id").arg("-u").output().context("id -u")?;
    if String::from_utf8_lossy(&output.stdout).trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let found = ["postgres", "nobody"].iter().find_map(|name| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    found.map(Some).context(
        "tests run as root, and there is neither a user postgres nor nobody to run the server",
    )
}

/// Other users of the machine are kept out.
#[expect(
    clippy::disallowed_methods,
    reason = "a password is not an input of a test"
)]
fn password() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
