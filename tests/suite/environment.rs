//! Every environment variable: absent, empty, nonsense and right. The program starts, or refuses it
//! by name; nobody's secret is told.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Name, nonsense, and a right value.
const SETTINGS: [(&str, &str, &str); 32] = [
    ("CENTWISE_ADMIN_PER_SEC", "0", "60"),
    ("CENTWISE_BODY_BYTES_MAX", "1", "1000000"),
    ("CENTWISE_CA_FILE", "", "./ca.pem"),
    ("CENTWISE_CONNECTIONS_MAX", "0", "100"),
    ("CENTWISE_BACKUP_DIR", "no/such/place", "."),
    (
        "CENTWISE_DATABASE_URL",
        "host=db password=geheim",
        "./books",
    ),
    ("CENTWISE_DATA_DIR", "no/such/place", "./data"),
    ("CENTWISE_DRAIN_SECS_MAX", "soon", "5"),
    ("CENTWISE_ENGINE_DRAIN_SECS_MAX", "-1", "5"),
    ("CENTWISE_HEALTH_EMAIL", "", "ops@example.com"),
    ("CENTWISE_HEALTH_STATE", "", "./health-check.json"),
    ("CENTWISE_KEY", "", "cw_1"),
    ("CENTWISE_LISTEN", "localhost", "127.0.0.1:0"),
    ("CENTWISE_LIVE_PER_SEC", "0", "100"),
    ("CENTWISE_LOG", "loud", "warn"),
    ("CENTWISE_LOG_FORMAT", "xml", "json"),
    (
        "CENTWISE_MAIL_FROM",
        "nobody at all",
        "Centwise <billing@example.com>",
    ),
    ("CENTWISE_OTHER_PER_MIN", "0", "60"),
    ("CENTWISE_PAYOUTS", "never", "manual"),
    (
        "CENTWISE_PUBLIC_URL",
        "billing.example.com",
        "https://billing.example.com",
    ),
    ("CENTWISE_REQUEST_SECS_MAX", "0", "10"),
    ("CENTWISE_SMTP_URL", "geheim", "smtps://u:p@127.0.0.1:465"),
    ("CENTWISE_SPLIT_BY_ROOT", "maybe", "false"),
    ("CENTWISE_STALLED_SECS_MAX", "0", "30"),
    (
        "CENTWISE_STRIPE_API_URL",
        "api.stripe.com",
        "http://127.0.0.1:1/",
    ),
    (
        "CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS",
        "geheim",
        "whsec_2",
    ),
    ("CENTWISE_STRIPE_SECRET_KEY", "geheim", "sk_test_1"),
    ("CENTWISE_STRIPE_WEBHOOK_SECRETS", "geheim", "whsec_1"),
    ("CENTWISE_TIME_ZONE", "Mars/Phobos", "Europe/Berlin"),
    ("CENTWISE_TOP_UP_TERMS", "EUR", "EUR:1000-2000"),
    ("CENTWISE_URL", "", "http://127.0.0.1:1"),
    ("CENTWISE_USAGE_PER_SEC", "0", "100"),
];
/// Of a switch any nonsense is refused by the same rule; it is not among those whose text means
/// something.
const SWITCHES: [&str; 1] = ["CENTWISE_WEBHOOKS_TO_PRIVATE"];
const CENTWISE: &str = env!("CARGO_BIN_EXE_centwise-under-test");
const TIME_MAX: Duration = Duration::from_secs(60);

/// What a run printed, until it listened or ended.
struct Run {
    /// `None`: it listened.
    code: Option<i32>,
    errors: String,
}

async fn serve(directory: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = Command::new(CENTWISE);
    command.arg("serve").args(arguments);
    run(command, directory, settings).await
}

async fn run(mut command: Command, directory: &Path, settings: &[(&str, &str)]) -> Run {
    let mut child = command
        .current_dir(directory)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listens = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("listening on ") {
                return true;
            }
        }
        false
    };
    let listens = tokio::time::timeout(TIME_MAX, listens).await.unwrap();
    if listens {
        child.start_kill().unwrap();
    }
    let ended = child.wait_with_output().await.unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    Run {
        code: (!listens).then(|| ended.status.code().unwrap()),
        errors,
    }
}

#[test]
fn the_table_has_every_setting() {
    let example = include_str!("../../.env.example");
    let named = example
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .map(|(name, _)| name);
    let named: BTreeSet<&str> = named.filter(|name| name.starts_with("CENTWISE_")).collect();
    let table: BTreeSet<&str> = SETTINGS
        .iter()
        .map(|(name, ..)| *name)
        .chain(SWITCHES)
        .collect();
    assert_eq!(table, named);
}

#[tokio::test]
async fn what_is_absent_empty_or_right_starts() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let check = |what: &'static str,
                 settings: Vec<(&'static str, &'static str)>,
                 arguments: &'static [&'static str]| async move {
        let run = serve(here, &settings, arguments).await;
        assert_eq!(run.code, None, "{what}: {}", run.errors);
        assert!(
            !run.errors.contains("is not known"),
            "{what}: {}",
            run.errors
        );
    };
    let everything = SETTINGS.iter().map(|(name, ..)| *name).chain(SWITCHES);
    check("absent", Vec::new(), &["--listen", "127.0.0.1:0"]).await;
    check(
        "empty",
        everything.map(|name| (name, "")).collect(),
        &["--listen", "127.0.0.1:0", "--data-dir", "empty"],
    )
    .await;
    check(
        "right",
        SETTINGS
            .iter()
            .map(|(name, _, right)| (*name, *right))
            .collect(),
        &[],
    )
    .await;
    assert!(here.join("empty/centwise.db").exists() && here.join("books/centwise.db").exists());
}

#[tokio::test]
async fn nonsense_is_refused_by_name_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let partners = [
        (
            "CENTWISE_MAIL_FROM",
            "CENTWISE_SMTP_URL",
            "smtps://u:p@127.0.0.1:465",
        ),
        ("CENTWISE_SMTP_URL", "CENTWISE_MAIL_FROM", "a@example.com"),
    ];
    let table = SETTINGS
        .iter()
        .filter(|(_, nonsense, _)| !nonsense.is_empty())
        .map(|(name, nonsense, _)| (*name, *nonsense));
    for (name, nonsense) in table.chain(SWITCHES.map(|name| (name, "maybe"))) {
        let partner = partners
            .iter()
            .find(|(of, ..)| *of == name)
            .map(|(_, partner, value)| (*partner, *value));
        let settings: Vec<_> = [(name, nonsense)].into_iter().chain(partner).collect();
        let listens: &[&str] = if name == "CENTWISE_LISTEN" {
            &[]
        } else {
            &["--listen", "127.0.0.1:0"]
        };
        let run = serve(directory.path(), &settings, listens).await;
        assert_eq!(run.code, Some(2), "{name}: {}", run.errors);
        assert!(run.errors.contains(name), "{name}: {}", run.errors);
        assert!(!run.errors.contains("geheim"), "{name}: {}", run.errors);
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

/// Right by itself, wrong beside what else is set or missing.
#[tokio::test]
async fn settings_that_do_not_go_together_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (settings, named) in [
        (
            &[("CENTWISE_SPLIT_BY_ROOT", "true")][..],
            "CENTWISE_SPLIT_BY_ROOT",
        ),
        (
            &[("CENTWISE_STRIPE_WEBHOOK_SECRETS", "whsec_1")],
            "without CENTWISE_STRIPE_SECRET_KEY",
        ),
        (
            &[("CENTWISE_STRIPE_SECRET_KEY", "sk_test_1")],
            "without CENTWISE_PUBLIC_URL",
        ),
        (
            &[("CENTWISE_SMTP_URL", "smtps://u:p@127.0.0.1")],
            "CENTWISE_MAIL_FROM",
        ),
        (
            &[("CENTWISE_TOP_UP_TERMS", "EUR:10-20;EUR:30-40")],
            "CENTWISE_TOP_UP_TERMS (--top-up-terms): EUR has terms twice",
        ),
        (
            &[("CENTWISE_CONNECTIONS_MAX", "18446744073709551615")],
            "CENTWISE_CONNECTIONS_MAX",
        ),
        (
            &[(
                "CENTWISE_DATABASE_URL",
                "postgres://u:p@h/d?sslmode=verify_full",
            )],
            "CENTWISE_DATABASE_URL",
        ),
        (
            &[
                ("CENTWISE_STRIPE_SECRET_KEY", "sk_test_geheim x"),
                ("CENTWISE_PUBLIC_URL", "https://b.example.com"),
            ],
            "CENTWISE_STRIPE_SECRET_KEY",
        ),
        (
            &[
                ("CENTWISE_STRIPE_SECRET_KEY", "sk_"),
                ("CENTWISE_PUBLIC_URL", "https://b.example.com"),
            ],
            "CENTWISE_STRIPE_SECRET_KEY",
        ),
        (
            &[
                ("CENTWISE_STRIPE_WEBHOOK_SECRETS", "whsec_"),
                ("CENTWISE_STRIPE_SECRET_KEY", "sk_test_1"),
            ],
            "CENTWISE_STRIPE_WEBHOOK_SECRETS",
        ),
        (
            &[("CENTWISE_PUBLIC_URL", "https://u:geheim@b.example")],
            "CENTWISE_PUBLIC_URL",
        ),
        (
            &[
                ("CENTWISE_MAIL_FROM", "a@example.com"),
                ("CENTWISE_SMTP_URL", "smtp://u:geheim@h:587?TLS=required"),
            ],
            "CENTWISE_SMTP_URL",
        ),
        (
            &[
                ("CENTWISE_KEY", "a"),
                ("CENTWISE_DATABASE_URL", "x"),
                ("CENTWISE_DATABASE_URL_FILE", "y"),
            ],
            "are both set",
        ),
    ] {
        let run = serve(directory.path(), settings, &[]).await;
        assert_eq!(run.code, Some(2), "{settings:?}: {}", run.errors);
        assert!(
            run.errors.contains(named) && !run.errors.contains("geheim"),
            "{settings:?}: {}",
            run.errors
        );
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test]
async fn a_variable_that_means_nothing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let run = serve(
        directory.path(),
        &[("CENTWISE_DATABSE_URL", "postgres://u:geheim@h/d")],
        &["--listen", "127.0.0.1:0"],
    )
    .await;
    assert_eq!(run.code, None, "{}", run.errors);
    assert!(
        run.errors
            .contains("CENTWISE_DATABSE_URL is not known (did you mean CENTWISE_DATABASE_URL?)"),
        "{}",
        run.errors
    );
    assert!(!run.errors.contains("geheim"), "{}", run.errors);
}

/// A wrong directory is no new platform.
#[tokio::test]
async fn only_the_server_makes_a_database() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("usage.ndjson"), "").unwrap();
    std::fs::write(directory.path().join("deck.csv"), "Prefix,Price\n49,0.02\n").unwrap();
    for arguments in [
        &["ingest", "usage.ndjson", "--format", "ndjson"][..],
        &["import-rates", "deck.csv", "--card", "x", "--dry-run"],
    ] {
        let mut command = Command::new(CENTWISE);
        let ended = command
            .args(arguments)
            .current_dir(directory.path())
            .env_clear()
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(
            errors.contains("there is no database") && errors.contains("centwise serve"),
            "{errors}"
        );
        assert!(
            !directory.path().join("centwise-data").exists(),
            "{arguments:?}"
        );
    }
}

/// Nobody is locked out of the platform: not by an address that is taken at the first start, nor by
/// a revoked key.
#[tokio::test]
async fn an_admin_key_is_never_lost() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = serve(directory.path(), &[], &["--listen", &address]).await;
    assert_eq!(run.code, Some(2), "{}", run.errors);
    assert!(
        !directory.path().join("centwise-data").exists(),
        "no platform was made whose key nobody saw"
    );
    let run = serve(directory.path(), &[], &["--listen", "127.0.0.1:0"]).await;
    assert_eq!(run.code, None, "{}", run.errors);
    let mut command = Command::new(CENTWISE);
    let made = command
        .arg("admin-key")
        .current_dir(directory.path())
        .env_clear()
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    assert!(
        made.status.success() && printed.contains("key_") && printed.contains(": cw_"),
        "{printed}"
    );
}

#[tokio::test]
async fn what_is_refused_says_what_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        (
            "CENTWISE_LISTEN",
            "localhost:8080",
            "expected an IP address and a port, such as 127.0.0.1:8080",
        ),
        (
            "CENTWISE_REQUEST_SECS_MAX",
            "20s",
            "expected a whole number of seconds, at least 1, without a unit",
        ),
        (
            "CENTWISE_DRAIN_SECS_MAX",
            "20s",
            "expected a whole number of seconds, at least 0, without a unit",
        ),
    ] {
        let run = serve(directory.path(), &[(name, value)], &[]).await;
        assert_eq!(run.code, Some(2), "{name}");
        assert!(
            run.errors.contains(expected) && run.errors.contains(name),
            "{name}: {}",
            run.errors
        );
    }
}

#[tokio::test]
async fn a_provider_that_nobody_listens_to_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let key = [
        ("CENTWISE_STRIPE_SECRET_KEY", "sk_test_geheim"),
        ("CENTWISE_PUBLIC_URL", "https://billing.example.com"),
    ];
    let run = serve(directory.path(), &key, &["--listen", "127.0.0.1:0"]).await;
    assert!(
        run.code.is_none()
            && run
                .errors
                .contains("without CENTWISE_STRIPE_WEBHOOK_SECRETS"),
        "{}",
        run.errors
    );
    assert!(!run.errors.contains("geheim"), "{}", run.errors);
    let both = [
        key[0],
        key[1],
        ("CENTWISE_STRIPE_WEBHOOK_SECRETS", "whsec_1"),
    ];
    let run = serve(directory.path(), &both, &["--listen", "127.0.0.1:0"]).await;
    assert!(
        run.code.is_none() && !run.errors.contains("CENTWISE_STRIPE_WEBHOOK_SECRETS"),
        "{}",
        run.errors
    );
}

const ANYWHERE: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// The file was passed over, and a second, empty platform served.
#[tokio::test]
async fn an_empty_variable_hides_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("url"), "./books\n").unwrap();
    let run = serve(
        here,
        &[
            ("CENTWISE_DATABASE_URL", ""),
            ("CENTWISE_DATABASE_URL_FILE", "url"),
        ],
        &ANYWHERE,
    )
    .await;
    assert_eq!(run.code, None, "{}", run.errors);
    assert!(here.join("books/centwise.db").exists() && !here.join("centwise-data").exists());
}

/// The option was passed over, and another platform served, backed up or restored into.
#[tokio::test]
async fn the_place_that_is_typed_counts() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let other = [("CENTWISE_DATABASE_URL", "./other")];
    let typed = ["--data-dir", "./typed"];
    let run = serve(here, &other, &[&ANYWHERE[..], &typed].concat()).await;
    assert_eq!(run.code, None, "{}", run.errors);
    assert!(here.join("typed/centwise.db").exists() && !here.join("other").exists());
    let run = serve(
        here,
        &[],
        &[&ANYWHERE[..], &typed, &["--database-url", "./other"]].concat(),
    )
    .await;
    assert_eq!(run.code, Some(2), "{}", run.errors);
    assert!(
        run.errors
            .contains("--data-dir and --database-url both say where the books are"),
        "{}",
        run.errors
    );
    // What the variable names is not there.
    for command in ["verify", "health-check", "admin-key"] {
        let ended = Command::new(CENTWISE)
            .arg(command)
            .args(typed)
            .current_dir(here)
            .env_clear()
            .envs(other)
            .output()
            .await
            .unwrap();
        assert_ne!(ended.status.code(), Some(2), "{command}: {ended:?}");
    }
    let backup = ["backup", "one.tar", "--data-dir", "./typed"];
    let ended = Command::new(CENTWISE)
        .args(backup)
        .current_dir(here)
        .env_clear()
        .envs(other)
        .output()
        .await
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let restore = ["restore", "one.tar", "--data-dir", "./restored"];
    let ended = Command::new(CENTWISE)
        .args(restore)
        .current_dir(here)
        .env_clear()
        .envs(other)
        .output()
        .await
        .unwrap();
    assert!(
        ended.status.success()
            && here.join("restored/centwise.db").exists()
            && !here.join("other").exists(),
        "{ended:?}"
    );
}

/// A directory was made of the user's name and password, or named with them.
#[tokio::test]
async fn a_url_is_taken_for_no_path_and_not_shown() {
    const URL: &str = "postgres://u:geheim@h/d";
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let as_path = ["sqlite:", "sqlite://", "./", "/"].map(|before| format!("{before}{URL}"));
    let of_url = as_path
        .iter()
        .map(|value| ("CENTWISE_DATABASE_URL", "--database-url", value.as_str()));
    for (name, option, value) in of_url.chain([
        ("CENTWISE_DATA_DIR", "--data-dir", URL),
        ("CENTWISE_BACKUP_DIR", "--backup-dir", URL),
    ]) {
        for (settings, arguments) in [(vec![(name, value)], vec![]), (vec![], vec![option, value])]
        {
            let run = serve(here, &settings, &[&ANYWHERE[..], &arguments].concat()).await;
            assert_eq!(run.code, Some(2), "{value}: {}", run.errors);
            assert!(
                run.errors.contains(name) && !run.errors.contains("geheim"),
                "{value}: {}",
                run.errors
            );
        }
        let verified = Command::new(CENTWISE)
            .arg("verify")
            .current_dir(here)
            .env_clear()
            .env(name, value)
            .output()
            .await
            .unwrap();
        assert!(
            !String::from_utf8_lossy(&verified.stderr).contains("geheim"),
            "{verified:?}"
        );
    }
    assert_eq!(
        std::fs::read_dir(here).unwrap().count(),
        0,
        "nothing was made"
    );
}

/// Files that the owner's group or others may read or write, in this directory.
fn open_to_others(directory: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([directory.to_owned()]);
    let is_open = |path: &std::path::PathBuf| {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o077 != 0
    };
    files
        .filter(is_open)
        .map(|path| path.display().to_string())
        .collect()
}

#[tokio::test]
async fn whatever_the_umask_an_installation_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "umask 000; exec \"$@\"",
            "sh",
            CENTWISE,
            "serve",
            "--demo",
        ])
        .args(ANYWHERE);
    let run = run(command, directory.path(), &[("PATH", "/usr/bin:/bin")]).await;
    assert_eq!(run.code, None, "{}", run.errors);
    assert!(
        run.errors.contains("creating a new, empty installation"),
        "it is announced: {}",
        run.errors
    );
    let data = directory.path().join("centwise-data");
    for file in [
        "centwise.db",
        "centwise.db-wal",
        "centwise.db-last",
        "demo-keys.json",
    ] {
        assert!(data.join(file).exists(), "{file}");
    }
    assert_eq!(open_to_others(&data), [""; 0]);
}

/// It listened, and ended: the keys had no directory.
#[tokio::test]
async fn a_demo_on_a_server_makes_the_directory_of_its_keys() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let run = serve(
        directory.path(),
        &[],
        &[&ANYWHERE[..], &["--demo", "--database-url", database.url()]].concat(),
    )
    .await;
    assert_eq!(run.code, None, "{}", run.errors);
    let data = directory.path().join("centwise-data");
    assert!(data.join("demo-keys.json").exists() && !data.join("centwise.db").exists());
    assert_eq!(open_to_others(&data), [""; 0]);
}
