//! The server as a process of its own, so that it can be killed.

use crate::served::Asking;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub struct Process {
    child: Child,
    /// With the demo's platform key.
    pub admin: Asking,
    /// What it printed up to "listening on".
    pub printed: String,
}

impl Process {
    /// `serve --demo` on a free port, over this data directory; returns when it listens.
    pub async fn start(data_dir: &Path) -> Self {
        Self::start_on(data_dir, None).await
    }

    /// The same on another database; the directory keeps the demo's keys.
    pub async fn start_on(data_dir: &Path, database_url: Option<&str>) -> Self {
        Self::start_with(data_dir, database_url, &[]).await
    }

    /// The same with these settings.
    pub async fn start_with(
        data_dir: &Path,
        database_url: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_saying(data_dir, database_url, settings, Stdio::null()).await
    }

    /// The same; what it says on stderr goes there.
    pub async fn start_saying(
        data_dir: &Path,
        database_url: Option<&str>,
        settings: &[(&str, &str)],
        stderr: Stdio,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"))
            .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
            .args(
                database_url.map_or(["--data-dir", data_dir.to_str().unwrap()], |url| {
                    ["--database-url", url]
                }),
            )
            .env("CENTWISE_DATA_DIR", data_dir)
            .env("CENTWISE_ADMIN_PER_SEC", "100000")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("the server ended: {printed}"));
            printed.push_str(&line);
            printed.push('\n');
            if let Some(url) = line.strip_prefix("listening on http://") {
                let address: SocketAddr = url.parse().unwrap();
                let admin = Asking::new(address, &key_of(&printed, "platform"));
                return Self {
                    child,
                    admin,
                    printed,
                };
            }
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let line = self
            .printed
            .lines()
            .find_map(|line| line.strip_prefix("listening on "));
        line.unwrap().trim().to_owned()
    }

    /// Of the platform.
    pub fn key(&self) -> String {
        key_of(&self.printed, "platform")
    }

    /// Bytes of its memory: `VmRSS`, or `VmHWM`, the most there ever was. `None`: this system does
    /// not tell.
    pub fn memory(&self, what: &str) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
        line.trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<usize>()
            .ok()
            .map(|kib| kib * 1024)
    }

    /// As a power cut would: SIGKILL, and wait until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM: open requests finish. True: it ended well.
    pub async fn stop(self) -> bool {
        self.terminate().await == Some(0)
    }

    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap();
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// SIGTERM; its exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal("-TERM").await;
        self.child.wait().await.unwrap().code()
    }
}

/// `key of the platform:   cw_…`
pub fn key_of(printed: &str, whose: &str) -> String {
    let line = printed
        .lines()
        .find(|line| line.contains(&format!("key of the {whose}:")))
        .unwrap();
    line.split_whitespace()
        .find(|word| word.starts_with("cw_"))
        .unwrap()
        .to_owned()
}
