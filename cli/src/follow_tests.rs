//! `ingest --follow` against a running server: every line once, whatever happens to the file and to
//! the command.

use super::loading_tests::{Fixture, Serving, check};
use clock::Clock;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) fn line(id: u32) -> String {
    let day = &Clock::system().now().plus_secs(-24 * 3600).to_string()[..10];
    format!(
        "\"acme-42\",\"100\",\"+4930123456\",\"from\",\"D\",\"SIP/1\",\"SIP/2\",\"Dial\",\"x\",\"{day} 09:00:00\",\"{day} 09:00:05\",\"{day} 09:01:05\",65,60,\"ANSWERED\",\"DOC\",\"u.{id}\",\"\",\"\",\"u.{id}\",{id}\n"
    )
}

pub(super) fn lines(ids: std::ops::Range<u32>) -> String {
    ids.map(line).collect()
}

pub(super) struct Master {
    pub(super) serving: Serving,
    pub(super) file: PathBuf,
}

impl Master {
    pub(super) fn new() -> Self {
        let serving = Serving::over(Fixture::new());
        let folder = serving.fixture.directory().join("cdr");
        std::fs::create_dir(&folder).unwrap();
        Self {
            serving,
            file: folder.join("Master.csv"),
        }
    }
    pub(super) fn append(&self, text: &str) {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    pub(super) fn follow(&self) -> String {
        self.serving.run(&[
            "ingest",
            &self.file.display().to_string(),
            "--format",
            "asterisk",
            "--zone",
            "UTC",
            "--follow",
            "--once",
        ])
    }
    pub(super) fn rename(&self, name: &str) -> PathBuf {
        let to = self.file.with_file_name(name);
        std::fs::rename(&self.file, &to).unwrap();
        to
    }
    fn position(&self) -> PathBuf {
        PathBuf::from(format!("{}.position.json", self.file.display()))
    }
    pub(super) fn tell(&self, wants: &[&str]) {
        check(&self.follow(), wants);
    }
}

#[test]
fn a_growing_file_is_charged_line_by_line() {
    let master = Master::new();
    master.tell(&["0 rows"]);
    let (first, mut written) = (lines(0..2), 0);
    // However much of a line is there, it counts when it is whole.
    for cut in [
        10,
        first.len() / 2 - 1,
        first.len() / 2 + 7,
        first.len() - 1,
    ] {
        master.append(&first[written..cut]);
        written = cut;
        let told = master.follow();
        assert!(
            told.contains("0 posted") || told.contains("1 posted"),
            "{told}"
        );
        check(
            &told,
            &[
                "0 duplicate",
                "0 refused",
                "the last line is not complete yet",
                "exit 0",
            ],
        );
    }
    master.append(&first[written..]);
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
    master.tell(&["0 rows"]);
    // Killed between the answer and the note: the piece comes again.
    let noted = std::fs::read(master.position()).unwrap();
    master.append(&lines(2..4));
    master.tell(&["2 posted"]);
    std::fs::write(master.position(), noted).unwrap();
    master.tell(&["0 posted, 2 duplicate"]);
    std::fs::remove_file(master.position()).unwrap();
    master.tell(&["4 rows: 0 posted, 4 duplicate"]);
}

#[test]
fn rotation_and_truncation_lose_nothing() {
    let master = Master::new();
    master.append(&lines(0..3));
    master.tell(&["3 posted"]);
    // Renamed, with lines that nobody has seen yet; they do not wait for the new file.
    master.append(&lines(3..5));
    let old = master.rename("Master.csv.1");
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
    master.append(&lines(5..6));
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
    // Copied and truncated.
    master.append(&lines(6..8));
    std::fs::rename(&old, master.file.with_file_name("Master.csv.2")).unwrap();
    std::fs::copy(&master.file, &old).unwrap();
    std::fs::write(&master.file, "").unwrap();
    master.append(&lines(8..9));
    master.tell(&["3 posted, 0 duplicate", "exit 0"]);
    // Grown again beyond where it was.
    std::fs::write(&master.file, lines(20..30)).unwrap();
    master.tell(&[
        "10 posted",
        "was rotated, and the old file is not in the same directory",
        "exit 1",
    ]);
    // Refused lines are kept with those of the runs before.
    master.append("broken\n");
    master.tell(&["1 refused", "exit 1"]);
    master.append("again\n");
    master.tell(&["1 refused"]);
    let refused =
        std::fs::read_to_string(format!("{}.refused.ndjson", master.file.display())).unwrap();
    let at: Vec<u64> = refused
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["line"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(at, [11, 12]);
}

#[test]
fn a_file_with_titles_is_followed_too() {
    let master = Master::new();
    let day = &Clock::system().now().plus_secs(-24 * 3600).to_string()[..10];
    let map = master.serving.fixture.file("map.json", r#"{"columns":{"id":"id","at":"at","quantity":"s","destination":"to"},"constants":{"meter":"call","customer":"acme-42"},"zone":"UTC"}"#);
    let file = |path: &Path| path.display().to_string();
    let follow = || {
        master.serving.run(&[
            "ingest",
            &file(&master.file),
            "--format",
            "csv",
            "--map",
            &file(&map),
            "--follow",
            "--once",
        ])
    };
    master.append(&format!("to,s,id,at\n+4930123456,60,a,{day} 09:00:00\n"));
    check(&follow(), &["2 rows: 1 posted", "1 skipped"]);
    master.append(&format!(
        "+4930123456,60,b,{day} 09:00:00\n+4930123456,60,c,{day} 09:"
    ));
    check(&follow(), &["1 row: 1 posted", "not complete yet"]);
    master.append("00:00\nx\n");
    let told = follow();
    check(
        &told,
        &[
            "2 rows: 1 posted",
            "1 refused",
            "line 5: 1 cells for 4 columns",
        ],
    );
}

#[test]
fn events_as_json_lines_are_followed_too() {
    let master = Master::new();
    let day = &Clock::system().now().plus_secs(-24 * 3600).to_string()[..10];
    let event = |id: u32| {
        format!(
            "{{\"id\":\"n{id}\",\"customer\":\"acme-42\",\"meter\":\"api_call\",\"quantity\":1,\"at\":\"{day}T09:00:00Z\"}}\n"
        )
    };
    let follow = || {
        master.serving.run(&[
            "ingest",
            &master.file.display().to_string(),
            "--format",
            "ndjson",
            "--follow",
            "--once",
        ])
    };
    let (first, second) = (event(1), event(2));
    master.append(&format!("{first}{}", &second[..40]));
    check(
        &follow(),
        &["1 row: 1 posted", "not complete yet", "exit 0"],
    );
    master.append(&second[40..]);
    check(&follow(), &["1 row: 1 posted, 0 duplicate", "exit 0"]);
}

#[test]
fn what_is_not_followed_is_sent_without_it_as_its_refusal_says() {
    let master = Master::new();
    let answered = Clock::system().now().plus_secs(-24 * 3600).micros() / 1_000_000;
    let record = format!(
        "{{\"variables\":{{\"uuid\":\"j\",\"direction\":\"inbound\",\"accountcode\":\"acme-42\",\"billsec\":\"60\",\"answer_epoch\":\"{answered}\"}},\"callflow\":[{{\"caller_profile\":{{\"destination_number\":\"+4930123456\"}}}}]}}\n"
    );
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(line(77).encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (format, file, other_way) in [
        ("freeswitch", record.as_bytes(), "/v1/ingest/freeswitch"),
        ("asterisk", &utf16, "UTF-8"),
    ] {
        std::fs::write(&master.file, file).unwrap();
        let path = master.file.display().to_string();
        let words = [
            "ingest", &path, "--format", format, "--zone", "UTC", "--follow", "--once",
        ];
        check(
            &master.serving.run(&words),
            &[
                "error",
                "Master.csv",
                "the same command without --follow",
                "as often as you like",
                other_way,
            ],
        );
        // It is right.
        check(
            &master.serving.run(&words[..6]),
            &["1 posted, 0 duplicate", "exit 0"],
        );
        check(
            &master.serving.run(&words[..6]),
            &["0 posted, 1 duplicate", "exit 0"],
        );
    }
}

#[test]
fn a_file_of_which_no_row_can_be_read_is_not_passed_over() {
    let master = Master::new();
    master.append(&lines(0..2));
    let path = master.file.display().to_string();
    let position = || {
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(master.position()).unwrap())
            .unwrap()["offset"]
            .clone()
    };
    let follow = |more: &[&str]| {
        let words = ["ingest", &path, "--follow", "--once", "--format"];
        master.serving.run(
            &words
                .into_iter()
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    for (more, helps) in [
        (&["asterisk"][..], "2 zone_required"),
        (&["asterisk"], "--zone"),
        (&["ndjson"], "--format"),
        (&["freeswitch", "--zone", "UTC"], "--format"),
        (
            &["asterisk", "--zone", "UTC", "--customer", "userfield"],
            "--customer",
        ),
    ] {
        check(
            &follow(more),
            &["error", "no row of ", helps, "nothing was sent", "line 1"],
        );
        assert_eq!(position(), 0);
        assert!(!PathBuf::from(format!("{path}.refused.ndjson")).exists());
    }
    master.tell(&["2 rows: 2 posted", "exit 0"]);
    // Later a bad row is one bad row.
    master.append("broken\n");
    master.tell(&["1 row: 0 posted", "1 refused", "exit 1"]);
}

#[test]
fn other_options_at_a_later_run_do_not_pass_over_rows() {
    let master = Master::new();
    let path = master.file.display().to_string();
    let position = || {
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(master.position()).unwrap())
            .unwrap()["offset"]
            .clone()
    };
    let follow = |more: &[&str]| {
        let words = ["ingest", &path, "--follow", "--once", "--format"];
        master.serving.run(
            &words
                .into_iter()
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    // Where the file was rotated, that is noted: the new one is read from its beginning.
    let check_stops = |wrong: &[&[&str]], before: serde_json::Value| {
        for more in wrong {
            check(
                &follow(more),
                &[
                    "error",
                    "no new row of ",
                    "nothing was sent",
                    "the options differ from those",
                ],
            );
            assert_eq!(position(), before, "{more:?}");
            assert!(!PathBuf::from(format!("{path}.refused.ndjson")).exists());
        }
    };
    let wrong: &[&[&str]] = &[
        &["asterisk"],
        &["ndjson"],
        &["freeswitch", "--zone", "UTC"],
        &["asterisk", "--zone", "UTC", "--customer", "userfield"],
    ];
    master.append(&lines(0..1));
    master.tell(&["1 posted"]);
    master.append(&lines(1..3));
    check_stops(wrong, position());
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
    // The same of a file that was rotated.
    master.append(&lines(3..4));
    master.rename("Master.csv.1");
    master.append(&lines(4..5));
    check_stops(wrong, 0.into());
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
    // A wrong format that finds no columns is said by itself.
    master.append(&lines(5..6));
    check(
        &follow(&["csv"]),
        &["error", "no column has the name of a field of an event"],
    );
    master.tell(&["1 posted"]);
    // By options that read rows a bad row is one bad row, also by new ones.
    master.append("broken\n");
    master.tell(&["1 row: 0 posted", "1 refused", "exit 1"]);
    master.append(&format!("{}broken\n", line(6)));
    check(
        &follow(&["asterisk", "--zone", "Europe/Berlin"]),
        &["2 rows: 1 posted", "1 refused"],
    );
    master.append("broken\n");
    check(
        &follow(&["asterisk", "--zone", "Europe/Berlin"]),
        &["1 row: 0 posted", "1 refused"],
    );
}

/// A run that read no row yet does not say by which options rows are read.
#[test]
fn another_customers_column_does_not_pass_over_rows() {
    let master = Master::new();
    let path = master.file.display().to_string();
    let position = || {
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(master.position()).unwrap())
            .unwrap()["offset"]
            .clone()
    };
    let wrong = [
        "ingest",
        &path,
        "--follow",
        "--once",
        "--format",
        "asterisk",
        "--zone",
        "UTC",
        "--customer",
        "uniqueid",
    ];
    master.append(&line(0).replace("ANSWERED", "NO ANSWER"));
    master.tell(&["1 skipped"]);
    let before = position();
    master.append(&lines(1..3));
    check(
        &master.serving.run(&wrong),
        &["error", "unknown_customer", "the position is unchanged"],
    );
    assert_eq!(position(), before);
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
    master.append(&lines(3..4));
    check(
        &master.serving.run(&wrong),
        &["error", "unknown_customer", "the position is unchanged"],
    );
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
    // Several columns of customers stand in one, between commas.
    master.append(&lines(4..5));
    let several = wrong.map(|word| {
        if word == "uniqueid" {
            "userfield,accountcode"
        } else {
            word
        }
    });
    check(
        &master.serving.run(&several),
        &["1 row: 1 posted", "exit 0"],
    );
}

#[test]
fn what_cannot_be_followed_is_said_in_words_of_people() {
    let master = Master::new();
    master.append(&lines(0..1));
    for text in ["", "{", "[]", "{\"offset\": 0} x"] {
        std::fs::write(master.position(), text).unwrap();
        let told = master.follow();
        check(
            &told,
            &[
                "error",
                "Master.csv.position.json",
                "remove it to send the file from its beginning",
            ],
        );
        assert!(
            !told.contains("line 1 column") && !told.contains("struct"),
            "{told}"
        );
    }
    let folder = master.file.parent().unwrap().display().to_string();
    let follow = [
        "ingest", &folder, "--format", "asterisk", "--zone", "UTC", "--follow", "--once",
    ];
    check(
        &master.serving.run(&follow),
        &["error", &folder, "is a directory"],
    );
    std::fs::remove_file(master.position()).unwrap();
    std::fs::write(&master.file, lines(0..2).replace('\n', "\r")).unwrap();
    master.tell(&["error", "carriage return alone", "without --follow"]);
    let path = master.file.display().to_string();
    let whole = ["ingest", &path, "--format", "asterisk", "--zone", "UTC"];
    check(&master.serving.run(&whole), &["2 rows: 2 posted", "exit 0"]);
}

#[test]
fn a_file_that_does_not_exist_is_said() {
    let master = Master::new();
    master.tell(&["0 rows", "the file does not exist", "exit 1"]);
    master.append(&lines(0..1));
    master.tell(&["1 row: 1 posted", "exit 0"]);
    std::fs::remove_file(&master.file).unwrap();
    master.tell(&["0 rows", "the file does not exist", "exit 1"]);
    // Renamed, and not yet made anew.
    master.append(&lines(1..2));
    master.tell(&["1 posted"]);
    master.rename("Master.csv.1");
    master.tell(&["0 rows", "exit 0"]);
}

#[test]
fn a_refused_row_is_kept_with_its_text() {
    let master = Master::new();
    let bad = line(1)
        .replace("acme-42", "nobody")
        .replace("65,60", "65,6000");
    let quoted = line(2)
        .replace("\"x\"", "\"x\ny\"")
        .replace("\"ANSWERED\"", "\"8\"");
    master.append(&format!("{}{bad}{quoted}{}", line(0), line(3)));
    master.tell(&["4 rows: 2 posted", "2 refused", "exit 1"]);
    let refused = || -> Vec<serde_json::Value> {
        let text =
            std::fs::read_to_string(format!("{}.refused.ndjson", master.file.display())).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let told = refused();
    let file = master.file.display().to_string();
    for (told, line, code, row) in [
        (&told[0], 2, "contradiction", &bad),
        (&told[1], 3, "unknown_disposition", &quoted),
    ] {
        assert_eq!(
            (&told["file"], &told["line"], &told["code"]),
            (&file.as_str().into(), &line.into(), &code.into())
        );
        assert_eq!(told["row"], row.trim_end());
        assert!(!told["detail"].as_str().unwrap().is_empty());
    }
    // The same where the file has grown, and without following it.
    let bad = bad.replace("u.1", "u.9");
    master.append(&bad);
    master.tell(&["1 row: 0 posted", "1 refused"]);
    assert_eq!(
        (&refused()[2]["line"], &refused()[2]["row"]),
        (&6.into(), &bad.trim_end().into())
    );
    master
        .serving
        .run(&["ingest", &file, "--format", "asterisk", "--zone", "UTC"]);
    let rows: Vec<String> = refused()
        .iter()
        .map(|told| told["row"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        rows,
        [
            told[0]["row"].as_str().unwrap(),
            quoted.trim_end(),
            bad.trim_end()
        ]
    );
}

#[test]
fn a_key_that_opens_nothing_ends_the_follower() {
    let master = Master::new();
    master.append(&lines(0..1));
    let file = master.file.display().to_string();
    let follow = [
        "ingest", &file, "--format", "asterisk", "--zone", "UTC", "--follow",
    ];
    // Without --once: it would ask for ever.
    let wrong = format!("cw_{}", "0".repeat(52));
    check(
        &master.serving.run_with(&wrong, &follow),
        &["error: ", "line 1", "401 Unauthorized: unauthorized"],
    );
    let read = master.serving.key_of("tenant_read");
    check(
        &master.serving.run_with(&read, &follow),
        &[
            "403 Forbidden: forbidden",
            "the scope `platform_admin` or `tenant_admin` or `usage_write`",
        ],
    );
    master.tell(&["1 posted"]);
}

#[test]
fn what_is_kept_without_a_price_is_told_by_reason() {
    let mut summary = super::ingest::Summary::default();
    let texts =
        super::ingest::Texts::new(Path::new("a.csv"), std::borrow::Cow::Borrowed(b""), 1, &[]);
    for answer in [
        r#"{"status":"unrated","reason":"no_rate"}"#,
        r#"{"status":"partly_rated","reason":"no_rate"}"#,
        r#"{"status":"rated"}"#,
    ] {
        summary.count(
            1,
            String::new(),
            serde_json::from_str(answer).unwrap(),
            &texts,
        );
    }
    assert_eq!(
        summary.lately_kept().as_deref(),
        Some("2 rows kept without a price, at least on some links (2 no_rate)")
    );
    assert_eq!(summary.lately_kept(), None, "told once");
}
