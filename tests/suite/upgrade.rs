//! A data directory of an earlier build, opened by this one.
//!
//! `before_reporters.sql` is the dump of one that knew no reporters (the build of 2026-11-28):
//! `serve --demo`, then `before_reporters.ndjson` sent with the platform's key and
//! `before_reporters.csv` with the key of Muster Telecom's switch, then call 1795165644.1 voided by
//! Muster Telecom with the key `void-1`. Its books are those that this build answered for.

use catalog::Catalog;
use db::Db;
use formats::input::{Row, ndjson, table};
use journal::{Check, Journal};
use journal_sqlite::SqliteJournal;
use metering::requests::{Caller, Outcome, UsageEvent, VoidRequest};
use metering::{Directory, Engine};
use rating::{Currency, Instant, TenantId};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use tenants::Scope;
use transfer::audit::verify_file;

const DUMP: &str = include_str!("../fixtures/before_reporters.sql");
const OF_THE_PLATFORM: &str = include_str!("../fixtures/before_reporters.ndjson");
const OF_THE_SWITCH: &str = include_str!("../fixtures/before_reporters.csv");
const NOW: &str = "2026-11-29T05:00:00Z";
const BALANCES: [(&str, i64); 4] = [
    ("acme-42", 3728),
    ("beta-7", 3492),
    ("gamma-1", 4976),
    ("delta-3", 4960),
];

struct Installation {
    engine: Engine,
    journal: SqliteJournal,
    tenants: HashMap<String, (TenantId, TenantId)>,
}

impl Installation {
    async fn open(file: &Path) -> Self {
        let tenants = load(file).await;
        assert_sound(&verify_file(file).await.unwrap());
        let db = Db::open_sqlite(file).await.unwrap();
        let journal = SqliteJournal::open(&db).await.unwrap();
        let now: Instant = NOW.parse().unwrap();
        let engine = Engine::start(
            Arc::new(journal.clone()),
            Directory::new(Catalog::new(&db)),
            Arc::new(move || now),
        );
        Self {
            engine,
            journal,
            tenants,
        }
    }

    fn caller(&self, name: &str) -> Caller {
        let (tenant, root) = self.tenants[name];
        Caller {
            tenant,
            root,
            scope: if name == "platform" {
                Scope::PlatformAdmin
            } else {
                Scope::TenantAdmin
            },
            key: None,
        }
    }

    /// How many events were answered how.
    async fn send(&self, by: &str, events: Vec<UsageEvent>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for answer in self
            .engine
            .ingest(&self.caller(by), events.into_iter().map(Ok).collect())
            .await
            .unwrap()
        {
            let kind = match answer.outcome {
                Outcome::Rated(_) => "rated".to_owned(),
                Outcome::PartlyRated { .. } => "partly_rated".to_owned(),
                Outcome::Duplicate(_) => "duplicate".to_owned(),
                Outcome::Unrated { reason, duplicate } => {
                    format!("{reason}{}", if duplicate { " again" } else { "" })
                }
                Outcome::Rejected(problem) => problem.code.to_string(),
            };
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    async fn assert_books(&self, when: &str) {
        for (name, cents) in BALANCES {
            let account = ledger::AccountKey::balance(self.tenants[name].0, Currency::EUR);
            assert_eq!(
                self.engine.balance(account).await.unwrap().posted.0,
                cents,
                "{name}, {when}"
            );
        }
        assert_sound(&self.journal.verify().await.unwrap());
    }
}

/// The dumped directory, as it was; its tenants and their roots by name.
async fn load(file: &Path) -> HashMap<String, (TenantId, TenantId)> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(DUMP).execute(&mut connection).await.unwrap();
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("select external_id, id, root_id from tenants")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    connection.close().await.unwrap();
    rows.into_iter()
        .map(|(name, id, root)| (name, (TenantId(id), TenantId(root))))
        .collect()
}

fn assert_sound(checks: &[Check]) {
    let wrong: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    assert!(wrong.is_empty() && !checks.is_empty(), "{wrong:#?}");
}

fn of_the_platform() -> Vec<UsageEvent> {
    ndjson::parse(OF_THE_PLATFORM.as_bytes())
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

fn of_the_switch() -> Vec<UsageEvent> {
    let columns = json!({ "id": "uniqueid", "customer": "account", "at": "start", "quantity": "billsec", "destination": "dst" });
    let map = json!({ "columns": columns, "constants": { "meter": "call", "source": "asterisk" } });
    let rows = table::parse(
        OF_THE_SWITCH.as_bytes(),
        &serde_json::from_value(map).unwrap(),
    )
    .unwrap();
    rows.into_iter()
        .filter_map(Row::into_parsed)
        .map(Result::unwrap)
        .collect()
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter()
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_files_sent_again_after_the_upgrade_charge_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::open(&dir.path().join("centwise.db")).await;
    installation.assert_books("opened").await;
    for _ in 0..2 {
        let again = installation.send("platform", of_the_platform()).await;
        assert_eq!(
            again,
            counts(&[("duplicate", 3), ("unknown_customer again", 1)])
        );
        let again = installation.send("muster-telecom", of_the_switch()).await;
        assert_eq!(
            again,
            counts(&[("duplicate", 24), ("unknown_customer again", 1)]),
            "by the key that sent it"
        );
        let again = installation
            .send(
                "acme-42",
                of_the_switch()
                    .into_iter()
                    .filter(|event| event.customer == "acme-42")
                    .collect(),
            )
            .await;
        assert_eq!(again, counts(&[("duplicate", 12)]), "by the customer's");
    }
    let by_platform = installation.send("platform", of_the_switch()).await;
    assert_eq!(
        by_platform,
        counts(&[("duplicate", 24), ("unknown_customer", 1)]),
        "by the platform's, which knows no late-comer either"
    );
    installation
        .assert_books("after all of it was sent again")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_directory_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::open(&dir.path().join("centwise.db")).await;
    // The void that was made before is the same void today.
    let request = |key: &str| VoidRequest {
        source: "asterisk".into(),
        id: "1795165644.1".into(),
        customer: None,
        key: key.into(),
        reason: "test call".into(),
        cover: None,
    };
    let muster = installation.caller("muster-telecom");
    let again = installation
        .engine
        .void(&muster, &request("void-1"))
        .await
        .unwrap();
    assert_eq!(again.void.unwrap().debit.0, -12);
    assert_eq!(
        installation
            .engine
            .void(&muster, &request("void-2"))
            .await
            .unwrap_err()
            .code
            .as_str(),
        "already_voided"
    );
    // What was recorded before counts as the platform's; what comes now is its sender's.
    let mut other: Vec<UsageEvent> = of_the_switch()
        .into_iter()
        .filter(|event| event.id == "1795165644.2")
        .collect();
    other[0].quantity = "600".parse().unwrap();
    assert_eq!(
        installation.send("muster-telecom", other.clone()).await,
        counts(&[("id_conflict", 1)])
    );
    other[0].id = "1795170000.1".into();
    assert_eq!(
        installation.send("acme-42", other.clone()).await,
        counts(&[("rated", 1)])
    );
    other[0].quantity = "60".parse().unwrap();
    assert_eq!(
        installation.send("muster-telecom", other.clone()).await,
        counts(&[("rated", 1)])
    );
    assert_eq!(
        installation.send("acme-42", other).await,
        counts(&[("id_conflict", 1)])
    );
    assert_sound(&installation.journal.verify().await.unwrap());
    let account = ledger::AccountKey::balance(installation.tenants["acme-42"].0, Currency::EUR);
    assert_eq!(
        installation.engine.balance(account).await.unwrap().posted.0,
        3728 - 40
    );
}
