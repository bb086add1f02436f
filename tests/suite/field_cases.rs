//! Cases from the field, by their numbers: small files of the kind that people really have
//! (`tests/fixtures/cases/`), through the commands as they are typed, against a server of its own.
//!
//! `@DAY@` in a file is yesterday, `@EPOCH@` and `@E@` the same in seconds, so that nothing is
//! late.

use crate::backup::{run, text, well};
use crate::process::Process;
use hyper::Method;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What is typed, and what is read in its answer; then what the server says of an event.
struct Case {
    name: &'static str,
    /// One command a line.
    commands: &'static [Typed],
    /// Source/id, and what explains it; empty: there is no such event.
    events: &'static [(&'static str, &'static [&'static str])],
}

/// The command's words, what must be in what it prints and writes, and what must not.
type Typed = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// What `price` and `import-rates` write a card to.
const IMPORT: &str = "--card t --zone Europe/Berlin --out card.json";

fn cases() -> Vec<Case> {
    let case = |name, commands, events| Case {
        name,
        commands,
        events,
    };
    vec![
        // 19 cells for 18 names: an unquoted comma shifts everything behind it.
        case(
            "B-001",
            &[(
                "ingest cdr.csv --format csv --map map.json",
                &["0 posted", "1 refused", "19 cells for 18 columns", "exit 1"],
                &[],
            )],
            &[("b001/901", &[])],
        ),
        // A bad byte in a display name, which any caller chooses, keeps no call from being charged.
        case(
            "B-002",
            &[(
                "ingest latin1.json --format freeswitch",
                &["2 rows: 2 posted", "0 refused", "exit 0"],
                &[],
            )],
            &[
                ("default/b002-a", &["\"destination\":\"4930123456\""]),
                ("default/b002-b", &["\"destination\":\"4930123456\""]),
            ],
        ),
        // A call that began yesterday has not lasted thousands of years; the other row is charged.
        case(
            "B-005",
            &[(
                "ingest kam.csv --format csv --map map.json",
                &["1 posted", "1 refused", "impossible_duration", "exit 1"],
                &[],
            )],
            &[
                ("b005/b005-1", &["\"quantity\":\"136.2989\""]),
                ("b005/b005-3", &[]),
            ],
        ),
        // An internal number is no call to a country.
        case(
            "B-006",
            &[
                (
                    "import-rates deck.csv IMPORT",
                    &["wrote 3 rates", "exit 0"],
                    &[],
                ),
                (
                    "price --card card.json --usage usage.ndjson --json",
                    &[
                        "\"id\":\"ext\",\"error\":\"no_rate\"",
                        "\"id\":\"real\",\"exact\":\"0.01\"",
                    ],
                    &[],
                ),
            ],
            &[],
        ),
        // With `decimal_comma` a point stands before groups of three digits only.
        case(
            "B-007",
            &[(
                "ingest cdr.csv --format csv --map map.json",
                &["1 posted", "1 refused", "`90.5`", "decimal_comma", "exit 1"],
                &[],
            )],
            &[
                ("b007/b007-1", &["\"quantity\":\"90.5\""]),
                ("b007/b007-2", &[]),
            ],
        ),
        // Rows in another currency are not in a card in EUR.
        case(
            "B-008",
            &[(
                "import-rates column.csv --currency EUR IMPORT",
                &[
                    "line 2, Currency",
                    "currency_mismatch",
                    "nothing was imported",
                ],
                &[],
            )],
            &[],
        ),
        // `Expiry Date` ends a rate: France is not sold any more.
        case(
            "B-010",
            &[(
                "import-rates deck.csv IMPORT",
                &["exit 0", "\"prefixes\":[\"49\"]", "0.03"],
                &["\"33\"", "France"],
            )],
            &[],
        ),
        // What JavaScript, Python and Go write for small numbers.
        case(
            "B-013",
            &[(
                "ingest usage.ndjson --format ndjson",
                &["1 posted", "exit 0"],
                &[],
            )],
            &[("default/b013-1", &["\"quantity\":\"0.0000001\""])],
        ),
        // The number first dialled, not the one that the call was transferred to.
        case(
            "B-014",
            &[(
                "ingest fs.json --format freeswitch",
                &["1 posted", "exit 0"],
                &[],
            )],
            &[("default/b014", &["\"destination\":\"88112345678\""])],
        ),
        // 00:01:23 is 83 s; the unanswered row is skipped.
        case(
            "B-017",
            &[(
                "ingest 3cx.csv --format csv --map map.json",
                &[
                    "1 posted",
                    "1  skipped: not answered",
                    "0 refused",
                    "exit 0",
                ],
                &[],
            )],
            &[
                ("b017/b017-1", &["\"quantity\":\"83\"", "09:00:05"]),
                ("b017/b017-2", &[]),
            ],
        ),
        // A month by its name is not doubtful.
        case(
            "B-018",
            &[(
                "import-rates month.csv --date-order dmy IMPORT",
                &["wrote 1 rate", "2026-11-30T23:00:00Z", "exit 0"],
                &[],
            )],
            &[],
        ),
        // Without titles: the message says what helps, and the first row is a rate.
        case(
            "B-020",
            &[
                (
                    "import-rates deck.csv IMPORT",
                    &["--map", "headless", "error"],
                    &["wrote"],
                ),
                (
                    "import-rates deck.csv IMPORT --map map.json",
                    &["wrote 3 rates", "\"49\"", "\"4915\"", "\"33\"", "exit 0"],
                    &[],
                ),
            ],
            &[],
        ),
        // Two legs of one call share `uniqueid`: an id of several columns tells them apart.
        case(
            "B-024",
            &[
                (
                    "ingest cdr.csv --format csv --map map.json",
                    &["1 posted", "1 refused", "id_conflict", "exit 1"],
                    &[],
                ),
                (
                    "ingest cdr.csv --format csv --map map2.json",
                    &["2 posted", "0 refused", "exit 0"],
                    &[],
                ),
            ],
            &[],
        ),
    ]
}

/// The files of one case, in a folder of their own, and the server that they go to.
struct Desk<'a> {
    folder: tempfile::TempDir,
    server: &'a Process,
}

impl<'a> Desk<'a> {
    fn of(case: &str, server: &'a Process) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/cases")
            .join(case);
        for file in
            std::fs::read_dir(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display()))
        {
            let file = file.unwrap();
            std::fs::write(
                folder.path().join(file.file_name()),
                dated(&std::fs::read(file.path()).unwrap()),
            )
            .unwrap();
        }
        Self { folder, server }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command prints, how it ended, and what it wrote beside the files.
    async fn types(&self, typed: &str) -> String {
        let typed = typed.replace("IMPORT", IMPORT);
        let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
        command
            .args(typed.split(' '))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        if typed.starts_with("ingest") {
            command.args(["--url", &self.server.url(), "--key", &self.server.key()]);
        }
        let ended = command.output().await.unwrap();
        let mut told = format!(
            "{}{}",
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr)
        );
        told.push_str(&match ended.status.code() {
            Some(code @ 0..=1) => format!("exit {code}\n"),
            other => format!("error {other:?}\n"),
        });
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(".refused.ndjson") || path.ends_with("card.json") {
                told.push_str(&std::fs::read_to_string(&path).unwrap());
                if !path.ends_with("card.json") {
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
        told
    }
}

fn yesterday() -> rating::Instant {
    clock::Clock::system().now().plus_secs(-24 * 3600)
}

fn dated(text: &[u8]) -> Vec<u8> {
    let day = yesterday().to_string()[..10].to_owned();
    let epoch = (yesterday().micros() / 1_000_000).to_string();
    let marks = [("@DAY@", &day), ("@EPOCH@", &epoch), ("@E@", &epoch)];
    let mut text = text.to_vec();
    for (mark, value) in marks {
        while let Some(at) = text
            .windows(mark.len())
            .position(|window| window == mark.as_bytes())
        {
            text.splice(at..at + mark.len(), value.bytes());
        }
    }
    text
}

async fn server() -> (tempfile::TempDir, Process) {
    let data_dir = tempfile::tempdir().unwrap();
    let settings = [
        ("CENTWISE_OTHER_PER_MIN", "100000"),
        ("CENTWISE_WEBHOOKS_TO_PRIVATE", "true"),
    ];
    let process = Process::start_with(data_dir.path(), None, &settings).await;
    (data_dir, process)
}

#[tokio::test]
async fn every_case_is_charged_right_or_refused_in_words_that_help() {
    let (_data_dir, server) = server().await;
    for Case {
        name,
        commands,
        events,
    } in cases()
    {
        let desk = Desk::of(name, &server);
        for (typed, wants, never) in commands {
            let told = desk.types(typed).await;
            wants.iter().for_each(|want| {
                assert!(
                    told.contains(want),
                    "{name}: {typed}: {want:?} is not in\n{told}"
                )
            });
            never.iter().for_each(|never| {
                assert!(
                    !told.contains(never),
                    "{name}: {typed}: {never:?} is in\n{told}"
                )
            });
        }
        for (event, wants) in events {
            let answer = server.admin.get(&format!("/v1/usage-events/{event}")).await;
            assert_eq!(
                answer.status,
                if wants.is_empty() { 404 } else { 200 },
                "{name}: {answer:?}"
            );
            wants.iter().for_each(|want| {
                assert!(
                    answer.text.contains(want),
                    "{name}: {want:?} is not in\n{}",
                    answer.text
                )
            });
        }
    }
}

/// B-002: the same over HTTP.
#[tokio::test]
async fn b_002_a_switch_posts_a_bad_byte_in_a_display_name() {
    let (_data_dir, server) = server().await;
    let desk = Desk::of("B-002", &server);
    let file = std::fs::read(desk.file("latin1.json")).unwrap();
    let first = file.split(|byte| *byte == b'\n').next().unwrap().to_vec();
    let answer = server
        .admin
        .ask(Method::POST, "/v1/ingest/freeswitch", first.into())
        .await
        .unwrap();
    assert!(answer.text.contains("\"rated\""), "{answer:?}");
}

/// B-003: however the last line is cut, the call is charged once, and when it is whole.
#[tokio::test]
async fn b_003_a_last_line_that_is_half_there_is_charged_once() {
    let (_data_dir, server) = server().await;
    let desk = Desk::of("B-003", &server);
    let whole = std::fs::read(desk.file("row.csv")).unwrap();
    let balance = async || {
        server.admin.get("/v1/accounts/acme-42").await.ok()["posted_cents"]
            .as_i64()
            .unwrap()
    };
    let before = balance().await;
    for left in [1, 3, 12, 22, 37, 60] {
        std::fs::write(desk.file("Master.csv"), &whole[..whole.len() - left]).unwrap();
        let told = desk
            .types("ingest Master.csv --format asterisk --zone Europe/Berlin")
            .await;
        assert!(
            told.contains("0 posted") && told.contains("the last line is not complete yet"),
            "{left}: {told}"
        );
        assert_eq!(balance().await, before, "{left}");
    }
    std::fs::write(desk.file("Master.csv"), &whole).unwrap();
    for wants in ["1 posted, 0 duplicate", "0 posted, 1 duplicate"] {
        let told = desk
            .types("ingest Master.csv --format asterisk --zone Europe/Berlin")
            .await;
        assert!(told.contains(wants), "{told}");
        assert_eq!(balance().await, before - 40);
    }
}

/// By the command line too.
#[tokio::test]
async fn records_of_a_switch_are_sent_for_a_meter_in_seconds() {
    let (_data_dir, server) = server().await;
    let desk = Desk::of("B-003", &server);
    std::fs::copy(desk.file("row.csv"), desk.file("Master.csv")).unwrap();
    server
        .admin
        .post("/v1/meters", json!({ "name": "page", "unit": "page" }))
        .await
        .ok();
    server
        .admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "second" }))
        .await
        .ok();
    for (meter, wants) in [
        ("page", "the meter \"page\" counts in \"page\""),
        ("fax", "1 unrated"),
        ("call", "1 posted"),
    ] {
        std::fs::write(
            desk.file("map.json"),
            format!(r#"{{"meter":"{meter}","source":"{meter}"}}"#),
        )
        .unwrap();
        let told = desk
            .types("ingest Master.csv --format asterisk --zone Europe/Berlin --map map.json")
            .await;
        assert!(told.contains(wants), "{told}");
    }
    let followed =
        "ingest Master.csv --format asterisk --zone Europe/Berlin --map map.json --follow --once";
    std::fs::write(desk.file("map.json"), r#"{"meter":"page"}"#).unwrap();
    let told = desk.types(followed).await;
    assert!(told.contains("counts in \"page\""), "{told}");
}

/// B-012: a balance that was low when its threshold was set, rose, and fell again is told to be low
/// twice.
#[tokio::test]
async fn b_012_a_balance_that_rises_and_falls_is_told_again() {
    let (_data_dir, server) = server().await;
    let (admin, key) = (&server.admin, |n: u32| {
        server.admin.once(&format!("b012-{n}"))
    });
    let hook =
        json!({ "url": "http://127.0.0.1:9/none", "kinds": ["balance.low"], "subtree": true });
    let hook = key(1).post("/v1/webhook-endpoints", hook).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tenant = json!({ "external_id": "b012", "kind": "customer", "name": "x", "parent": "muster-telecom" });
    key(2).post("/v1/tenants", tenant).await.ok();
    let terms = json!({ "buyer": "b012", "currency": "EUR", "rate_card": "Retail", "credit_limit_cents": 0, "from": "2026-11-01T00:00:00Z" });
    key(3).post("/v1/agreements", terms).await.ok();
    let top_up = async |n: u32, cents: i64| {
        key(n)
            .post(
                "/v1/top-ups",
                json!({ "tenant": "b012", "cents": cents, "reason": "t" }),
            )
            .await
            .ok()
    };
    top_up(4, 400).await;
    admin
        .ask(
            Method::PUT,
            "/v1/accounts/b012/threshold",
            json!({ "low_cents": 500 }).to_string().into(),
        )
        .await
        .unwrap()
        .ok();
    assert_eq!(told(&server, &hook, 1).await, [400]);
    top_up(5, 500).await;
    // Whoever watches hears of both; what lies between them is no notice.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let at = clock::Clock::system().now().to_string();
    let event = json!({ "id": "b012-1", "customer": "b012", "meter": "api_call", "quantity": "40", "at": at });
    admin.post("/v1/usage-events", event).await.ok();
    assert_eq!(told(&server, &hook, 2).await, [300, 400]);
}

/// The balances that a webhook was told of, sorted; waits until there are so many.
async fn told(server: &Process, hook: &str, count: usize) -> Vec<i64> {
    for _ in 0..300 {
        let list = server
            .admin
            .get(&format!("/v1/webhook-endpoints/{hook}/deliveries"))
            .await;
        let mut balances: Vec<i64> = numbers(&list.text, "balance_cents");
        balances.sort_unstable();
        if balances.len() >= count {
            return balances;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("fewer than {count} notices");
}

/// Every number under this name, wherever it is (notices are in the deliveries as text).
fn numbers(text: &str, name: &str) -> Vec<i64> {
    let plain = text.replace('\\', "");
    let field = format!("\"{name}\":");
    let after = plain.split(&field).skip(1);
    after
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_digit() || *c == '-')
                .collect::<String>()
                .parse()
                .unwrap()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_file_is_of_no_card() {
    let dir = tempfile::tempdir().unwrap();
    let (deck, card) = (dir.path().join("deck.csv"), dir.path().join("card.json"));
    std::fs::write(
        &deck,
        "Prefix,Destination,Rate_per_min\n49,Germany,0.0200\n",
    )
    .unwrap();
    let told = well(&run(&["import-rates", text(&deck), "--out", text(&card)]).await);
    assert!(
        told.contains("1 new") && told.contains("wrote 1 rate to"),
        "{told}"
    );
    assert!(
        std::fs::read_to_string(&card)
            .unwrap()
            .contains("\"prefixes\":[\"49\"]")
    );
    // Into a server or a database it is laid over a card.
    let refused = run(&["import-rates", text(&deck)]).await;
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(2) && why.contains("--card <NAME>"),
        "{why}"
    );
}
