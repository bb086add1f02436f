//! The loading commands as they are typed, one after the other over the demo's database.

use super::*;
use crate::demo;
use api::{config::Config, server};
use clock::Clock;
use std::path::{Path, PathBuf};

const DECK: &str =
    "Prefix,Destination,Rate\n4930,Berlin,0.10\n4989,Munich,0.20\n4940,Hamburg,0.30\n";
const HOUR_SECS: i64 = 3600;

pub(super) struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: directory.path().to_owned(),
            ..Config::default()
        };
        let seeded = runtime().unwrap().block_on(async {
            let running = server::serve(&config, Clock::system()).await?;
            demo::start(&running, directory.path(), &mut io::sink()).await?;
            running.stop().await.unwrap();
            anyhow::Ok(())
        });
        seeded.unwrap();
        Self { directory }
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.file_of(name, text.as_bytes())
    }

    pub(super) fn file_of(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What a command prints, and how it ended.
    pub(super) fn run(&self, command: &str, file: Option<&Path>, more: &str) -> String {
        let mut words = vec!["centwise".to_owned(), command.to_owned()];
        words.extend(file.map(|file| file.display().to_string()));
        words.extend(more.split_whitespace().map(str::to_owned));
        words.extend([
            "--data-dir".to_owned(),
            self.directory.path().display().to_string(),
        ]);
        told(&words)
    }

    /// The same of a command without a database.
    pub(super) fn offline(&self, words: &[&str]) -> String {
        told(
            &["centwise"]
                .iter()
                .chain(words)
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    fn import(&self, deck: &str, more: &str) -> String {
        let file = self.file("deck.csv", deck);
        self.run(
            "import-rates",
            Some(&file),
            &format!("--card Retail --owner muster-telecom {more}"),
        )
    }
}

fn told(words: &[String]) -> String {
    let mut out = Vec::new();
    let ended = run(Cli::try_parse_from(words).unwrap(), &mut out);
    let out = String::from_utf8(out).unwrap();
    match ended {
        Ok(Ended::Well) => format!("{out}exit 0\n"),
        Ok(Ended::Findings) => format!("{out}exit 1\n"),
        Err(error) => format!("{out}error: {error:#}"),
    }
}

/// The fixture's database with a server on it, for as long as this lives.
pub(super) struct Serving {
    pub(super) fixture: Fixture,
    url: String,
    key: String,
    running: Option<server::Running>,
    runtime: tokio::runtime::Runtime,
}

impl Serving {
    pub(super) fn over(fixture: Fixture) -> Self {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: fixture.directory().to_owned(),
            ..Config::default()
        };
        let runtime = runtime().unwrap();
        let (running, key) = runtime.block_on(async {
            let running = server::serve(&config, Clock::system()).await.unwrap();
            let platform = running.app.catalog.platform().await.unwrap().unwrap();
            let seeder = api::seed::Seeder::new(
                &running.app.catalog,
                &running.app.clock,
                platform.id,
                "tests",
            );
            let (_, key) = seeder
                .key(&platform, tenants::Scope::PlatformAdmin, "tests", None)
                .await
                .unwrap();
            (running, key)
        });
        Self {
            fixture,
            url: running.url(),
            key,
            running: Some(running),
            runtime,
        }
    }

    pub(super) fn run(&self, words: &[&str]) -> String {
        self.run_with(&self.key, words)
    }

    /// A key of the platform's with less than everything.
    pub(super) fn key_of(&self, scope: &str) -> String {
        let scope = serde_json::from_value(scope.into()).unwrap();
        let app = &self.running.as_ref().unwrap().app;
        self.runtime.block_on(async {
            let platform = app.catalog.platform().await.unwrap().unwrap();
            let seeder = api::seed::Seeder::new(&app.catalog, &app.clock, platform.id, "tests");
            seeder.key(&platform, scope, "tests", None).await.unwrap().1
        })
    }

    pub(super) fn run_with(&self, key: &str, words: &[&str]) -> String {
        self.run_at(&self.url, key, words)
    }

    /// Through something in front of the server.
    pub(super) fn run_through(&self, url: &str, words: &[&str]) -> String {
        self.run_at(url, &self.key, words)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn run_at(&self, url: &str, key: &str, words: &[&str]) -> String {
        let target = ["--url", url, "--key", key];
        told(
            &["centwise"]
                .iter()
                .chain(words)
                .chain(&target)
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = self.runtime.block_on(running.stop());
        }
    }
}

#[track_caller]
pub(super) fn check(told: &str, wants: &[&str]) {
    for want in wants {
        assert!(told.contains(want), "{want:?} is not in:\n{told}");
    }
}

#[test]
fn decks_and_usage_are_loaded_and_safe_to_repeat() {
    let fixture = Fixture::new();
    let now = Clock::system().now();
    let from = format!("--effective-from {}", now.plus_secs(-2 * HOUR_SECS));
    check(
        &fixture.import(DECK, "--dry-run"),
        &["3 new, 0 changed", "nothing was changed", "exit 0"],
    );
    check(
        &fixture.import(DECK, &from),
        &["3 new, 0 changed", "Retail version 2 is in force"],
    );
    check(
        &fixture.import(DECK, ""),
        &["0 new, 0 changed", "3 unchanged", "nothing to do"],
    );

    let next = DECK
        .replace("0.10", "0.12")
        .replace("4940,Hamburg,0.30", "4969,Frankfurt,x");
    check(
        &fixture.import(&next, "--dry-run"),
        &[
            "0 new, 1 changed (1 increased, 0 decreased), 1 closed",
            "1 row refused",
            "line 4, Rate",
            "exit 1",
        ],
    );
    check(
        &fixture.import(&next, ""),
        &[
            "error: 1 row cannot be read, so nothing was imported",
            "--skip-refused",
        ],
    );
    let unread = next.replace("4969", "49.69");
    check(
        &fixture.import(&unread, "--skip-refused"),
        &[
            "1 changed (1 increased, 0 decreased), 0 closed",
            "although not in the deck: 1 prefix",
            "version 3 is in force",
        ],
    );

    let event = |id: u32, to: &str| {
        let at = now.plus_secs(-HOUR_SECS);
        format!(
            "{{\"id\":\"{id}\",\"customer\":\"acme-42\",\"meter\":\"call\",\"quantity\":\"60\",\"at\":\"{at}\",\"destination\":\"{to}\"}}\n"
        )
    };
    let usage = fixture.file(
        "usage.ndjson",
        &(event(1, "+4930123456") + &event(2, "+4940123456") + "{\"id\":\"3\"}\n"),
    );
    let ingest = || fixture.run("ingest", Some(&usage), "--format ndjson");
    check(
        &ingest(),
        &["3 rows: 2 posted, 0 duplicate, 0 unrated (kept), 0 skipped, 1 refused"],
    );
    check(
        &ingest(),
        &["3 rows: 0 posted, 2 duplicate, 0 unrated (kept), 0 skipped, 1 refused"],
    );
    check(&fixture.run("verify", None, "--json"), &["\"ok\":true"]);
}

#[test]
fn a_card_that_is_not_there_is_made_by_a_good_deck_only() {
    let fixture = Fixture::new();
    let file = fixture.file("deck.csv", &DECK.replace("0.30", "x"));
    let import = |more: &str| {
        fixture.run(
            "import-rates",
            Some(&file),
            &format!("--card carriers {more}"),
        )
    };
    check(
        &import(""),
        &["2 new", "1 row refused", "error: 1 row cannot be read"],
    );
    check(
        &import("--dry-run"),
        &["2 new", "nothing was changed", "exit 1"],
    );
    check(
        &import("--dry-run --skip-refused"),
        &["2 new", "nothing was changed", "exit 0"],
    );
    check(
        &import("--skip-refused"),
        &["2 new", "carriers version 1 is in force"],
    );
    check(
        &import("--skip-refused --currency USD"),
        &["error: the card carriers is in EUR"],
    );
    let card = fixture.directory.path().join("card.json");
    let out = format!("--out {}", card.display());
    check(&import(&out), &["error: 1 row cannot be read"]);
    assert!(!card.exists());
    check(
        &import(&format!("{out} --skip-refused")),
        &["wrote 2 rates"],
    );
}
