//! Files as people have them, through the commands that load them: each is charged right, or
//! refused in words that help.

use super::loading_tests::{Fixture, check};
use clock::Clock;

/// Yesterday, so that nothing is late.
fn yesterday() -> String {
    Clock::system().now().plus_secs(-24 * 3600).to_string()[..10].to_owned()
}

impl Fixture {
    /// Sends `text`, with `@DAY@` and `@EPOCH@` in it; what is printed, and the refused rows.
    fn ingest(&self, name: &str, text: &[u8], more: &str) -> String {
        let (day, epoch) = (
            yesterday(),
            Clock::system().now().plus_secs(-24 * 3600).micros() / 1_000_000,
        );
        let text = replaced(
            &replaced(text, "@DAY@", &day),
            "@EPOCH@",
            &epoch.to_string(),
        );
        let file = self.file_of(name, &text);
        let told = self.run("ingest", Some(&file), more);
        let refused = std::path::PathBuf::from(format!("{}.refused.ndjson", file.display()));
        let lines = std::fs::read_to_string(&refused).unwrap_or_default();
        let _ = std::fs::remove_file(refused);
        told + &lines
    }

    fn table(&self, text: &str, map: &str) -> String {
        let map = self.file("map.json", map);
        self.ingest(
            "calls.csv",
            text.as_bytes(),
            &format!("--format csv --map {}", map.display()),
        )
    }
}

fn replaced(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest
        .windows(from.len())
        .position(|window| window == from.as_bytes())
    {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    [out, rest.to_vec()].concat()
}

const MAPPED: &str =
    r#""constants":{"meter":"call","source":"pbx","customer":"acme-42"},"zone":"UTC""#;

#[test]
fn a_comma_that_is_not_quoted_charges_nothing() {
    let fixture = Fixture::new();
    let rows = "AcctId,accountcode,dst,lastdata,start,answer,duration,billsec,disposition\n901,acme-42,+4930123456,SIP/trunk/4930123456,60,@DAY@ 11:46:00,@DAY@ 11:46:43,49,6,ANSWERED\n";
    let map = r#"{"columns":{"id":"AcctId","customer":"accountcode","at":"answer","quantity":"billsec","destination":"dst"},"constants":{"meter":"call"},"zone":"UTC"}"#;
    check(
        &fixture.table(rows, map),
        &["0 posted", "1 refused", "10 cells for 9 columns", "exit 1"],
    );
}

#[test]
fn a_bad_byte_in_a_name_charges_the_call() {
    let fixture = Fixture::new();
    let record = |id: &str, name: &[u8]| {
        let mut record = format!(r#"{{"variables":{{"uuid":"{id}","direction":"inbound","accountcode":"acme-42","billsec":"60","answer_epoch":"@EPOCH@"}},"callflow":[{{"caller_profile":{{"caller_id_name":""#).into_bytes();
        record.extend_from_slice(name);
        record.extend_from_slice(b"\",\"destination_number\":\"+4930123456\"}}]}\n");
        record
    };
    let file = [record("a", b"M\xfcller"), record("b", b"ok")].concat();
    check(
        &fixture.ingest("calls.json", &file, "--format freeswitch"),
        &["2 rows: 2 posted", "0 refused", "exit 0"],
    );
}

const MASTER: &str = "\"acme-42\",\"100\",\"+4930123456\",\"from-internal\",\"Desk \
    <100>\",\"SIP/100-1\",\"SIP/t-2\",\"Dial\",\"SIP/t/1\",\"@DAY@ 09:00:00\",\"@DAY@ \
    09:00:05\",\"@DAY@ \
    09:01:05\",65,60,\"ANSWERED\",\"DOCUMENTATION\",\"u.1\",\"\",\"\",\"u.1\",12\n";

#[test]
fn a_file_in_which_nothing_is_an_event_does_not_end_well() {
    let fixture = Fixture::new();
    let csv = |text: &str, more: &str| {
        fixture.ingest(
            "calls.csv",
            text.as_bytes(),
            &format!("--format csv {more}"),
        )
    };
    check(
        &csv("a;b;c\n1;2;3\n", ""),
        &[
            "error",
            "no column has the name of a field of an event",
            "--map",
        ],
    );
    let map = fixture.file(
        "map.json",
        r#"{"columns":{"id":0,"customer":1,"at":2,"quantity":3},"constants":{"meter":"call"}}"#,
    );
    for more in [String::new(), format!("--map {}", map.display())] {
        check(
            &csv("<html><body>404</body></html>\n", &more),
            &["error", "is HTML, not rows of text"],
        );
    }
    check(
        &fixture.ingest(
            "calls.xml",
            b"<?xml version=\"1.0\"?>\n<cdr/>\n",
            "--format freeswitch",
        ),
        &["error", "is XML, not rows of text"],
    );
    check(
        &fixture.ingest(
            "calls.xml",
            b"<cdr core-uuid=\"1\"/>\n",
            "--format freeswitch",
        ),
        &["error", "mod_json_cdr are read"],
    );
    let list = fixture.file("list.json", "[]");
    check(
        &csv("id\n", &format!("--map {}", list.display())),
        &["error", "expected an object, found a list"],
    );
    // The titles of an event, and no row yet.
    check(
        &csv("id;customer;meter;at;quantity\n", ""),
        &["1 skipped", "exit 0"],
    );
    // Lines that a carriage return ends alone.
    let rows = "id;customer;meter;at;quantity\ra;acme-42;api_call;@DAY@T09:00:00Z;1\rb;acme-42;api_call;@DAY@T09:00:00Z;x\rc;acme-42;api_call;@DAY@T09:00:00Z;1";
    let told = csv(rows, "");
    check(
        &told,
        &[
            "1 posted",
            "1 refused",
            "line 3",
            "not complete yet",
            "\"row\":\"b;acme-42;api_call;",
        ],
    );
    check(
        &csv(rows, "--whole"),
        &["1 posted, 1 duplicate", "1 refused"],
    );
}

#[test]
fn half_a_line_is_left_for_the_next_run() {
    let fixture = Fixture::new();
    let asterisk = |text: &str| {
        fixture.ingest(
            "Master.csv",
            text.as_bytes(),
            "--format asterisk --zone Europe/Berlin",
        )
    };
    for cut in [1, 2, 5, 12, 22, 40, 60] {
        let told = asterisk(&MASTER[..MASTER.len() - cut]);
        check(
            &told,
            &[
                "0 posted",
                "0 refused",
                "the last line is not complete yet",
                "exit 0",
            ],
        );
    }
    check(&asterisk(MASTER), &["1 posted, 0 duplicate"]);
    let next = MASTER.replace("u.1", "u.2");
    check(
        &asterisk(&format!("{MASTER}{}", &next[..100])),
        &["0 posted, 1 duplicate", "not complete yet"],
    );
    check(
        &asterisk(&format!("{MASTER}{next}")),
        &["1 posted, 1 duplicate"],
    );
    // A finished file may end without a line feed.
    let last = MASTER.replace("u.1", "u.3");
    let told = fixture.ingest(
        "Master.csv",
        last.trim_end().as_bytes(),
        "--format asterisk --zone Europe/Berlin --whole",
    );
    check(&told, &["1 posted"]);
}

/// Whoever mended the refused row sent half of the next one with it, which was charged under
/// another id than the whole.
#[test]
fn the_text_of_a_refused_row_ends_with_it() {
    let fixture = Fixture::new();
    let refused = MASTER.replace(",65,60,", ",65,5,");
    let half = MASTER.replace("u.1", "u.2");
    let told = fixture.ingest(
        "Master.csv",
        format!("{refused}{}", &half[..half.len() - 2]).as_bytes(),
        "--format asterisk --zone Europe/Berlin",
    );
    check(&told, &["1 refused", "not complete yet"]);
    let row: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let row = row["row"].as_str().unwrap();
    assert!(
        row.ends_with(",12") && row.contains("u.1") && !row.contains("u.2"),
        "{row}"
    );
}

#[test]
fn a_call_cannot_have_lasted_longer_than_since_it_began() {
    let fixture = Fixture::new();
    let map = r#"{"headless":true,"delimiter":"|","columns":{"at":0,"quantity":1,"id":2,"destination":3},"constants":{"meter":"call","customer":"acme-42"},"date_form":"epoch_seconds"}"#;
    let rows = "@EPOCH@|136.298900|a|+4930123456\n@EPOCH@|136298900000.000000|b|+4930123456\n";
    check(
        &fixture.table(rows, map),
        &[
            "1 posted",
            "1 refused",
            "impossible_duration",
            "136298900000 s",
            "exit 1",
        ],
    );
}

#[test]
fn an_extension_is_no_country() {
    let fixture = Fixture::new();
    let deck = fixture.file(
        "deck.csv",
        "Prefix,Destination,Rate_per_min\n1,United \
        States,0.0100\n49,Germany,0.0200\n112,Emergency,0\n",
    );
    let card = fixture.file("card.json", "");
    check(
        &fixture.run(
            "import-rates",
            Some(&deck),
            &format!("--card t --out {}", card.display()),
        ),
        &["wrote 3 rates"],
    );
    let event = |id: &str, to: &str| {
        format!(
            "{{\"id\":\"{id}\",\"customer\":\"c\",\"meter\":\"call\",\"quantity\":\"60\",\"at\":\"2026-11-20T10:00:00Z\",\"destination\":\"{to}\"}}\n"
        )
    };
    let usage = event("ext", "1002")
        + &event("real", "+14155550100")
        + &event("short", "112")
        + &event("bare", "14155550100");
    let usage = fixture.file("usage.ndjson", &usage);
    let told = fixture.offline(&[
        "price",
        "--card",
        &card.display().to_string(),
        "--usage",
        &usage.display().to_string(),
        "--json",
    ]);
    check(
        &told,
        &[
            "\"id\":\"ext\",\"error\":\"no_rate\"",
            "\"id\":\"real\",\"exact\":\"0.01\"",
            "\"id\":\"short\",\"exact\":\"0\"",
            "\"id\":\"bare\",\"exact\":\"0.01\"",
        ],
    );
}

#[test]
fn lines_that_price_cannot_read_end_it_with_1() {
    let fixture = Fixture::new();
    let deck = fixture.file(
        "deck.csv",
        "Prefix,Destination,Rate_per_min\n49,Germany,0.0200\n",
    );
    let card = fixture.directory().join("card.json");
    check(
        &fixture.run(
            "import-rates",
            Some(&deck),
            &format!("--card t --out {}", card.display()),
        ),
        &["wrote 1 rate "],
    );
    let event = |id: &str, more: &str| {
        format!(
            "{{\"id\":\"{id}\",\"meter\":\"call\",\"at\":\"2026-11-20T10:00:00Z\",\"destination\":\"+4930123456\",{more}}}\n"
        )
    };
    let price = |text: &str, more: &[&str]| {
        let usage = fixture.file("usage.ndjson", text).display().to_string();
        let card = card.display().to_string();
        let words = ["price", "--card", &card, "--usage", &usage];
        fixture.offline(
            &words
                .into_iter()
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    let good = event("a", "\"quantity\":60");
    check(
        &price(&good, &[]),
        &["1 event, 0 without a price", "exit 0"],
    );
    let elsewhere = good.replace("+4930", "+3330").replace("\"a\"", "\"b\"");
    check(
        &price(&format!("{good}{elsewhere}"), &[]),
        &["no_rate", "2 events, 1 without a price", "exit 0"],
    );
    let bad = [
        event("c", "\"quantity\":\"x\""),
        event("d", "\"quantity\":-1"),
        "{\n".to_owned(),
        event("e", "\"quantity\":\"y\""),
    ]
    .concat();
    check(
        &price(&format!("{good}{bad}"), &[]),
        &[
            "2 lines refused: invalid_field",
            "1 line refused: negative_quantity",
            "1 line refused: invalid_json",
            "exit 1",
        ],
    );
    check(
        &price(&format!("{good}{bad}"), &["--json"]),
        &["\"error\":\"invalid_json\"", "exit 1"],
    );
    check(
        &price(&format!("{good}{}", event("a", "\"quantity\":61")), &[]),
        &["1 line refused: id_conflict", "exit 1"],
    );
}

#[test]
fn marks_and_durations_are_read_as_they_are_written() {
    let fixture = Fixture::new();
    let map = format!(
        r#"{{"columns":{{"id":"id","at":"at","quantity":"seconds","destination":"to"}},"decimal_comma":true,{MAPPED}}}"#
    );
    let rows = "id;at;seconds;to\na;@DAY@T09:00:00Z;90,5;+4930123456\nb;@DAY@T09:00:00Z;90.5;+4930123456\n";
    check(
        &fixture.table(rows, &map),
        &["1 posted", "1 refused", "`90.5`", "decimal_comma"],
    );
    let map = format!(
        r#"{{"columns":{{"id":"callid","at":"time-answered","quantity":"duration","destination":"dial-no"}},{MAPPED},"skip_zero":true}}"#
    );
    let rows = "callid,duration,time-answered,dial-no\nc,00:01:23,@DAY@ \
        09:00:05,004930123456\nd,,,004930123456\n";
    check(
        &fixture.table(rows, &map),
        &[
            "1 posted",
            "2 skipped",
            "not answered",
            "0 refused",
            "exit 0",
        ],
    );
}

#[test]
fn decks_are_read_or_say_what_helps() {
    let fixture = Fixture::new();
    let card = fixture.directory().join("card.json");
    let import = |text: &str, more: &str| {
        let _ = std::fs::remove_file(&card);
        let file = fixture.file("deck.csv", text);
        let told = fixture.run(
            "import-rates",
            Some(&file),
            &format!(
                "--card t --zone Europe/Berlin --out {} {more}",
                card.display()
            ),
        );
        told + &std::fs::read_to_string(&card).unwrap_or_default()
    };
    let currency = "Prefix,Destination,Rate,Currency\n49,Germany,0.02,USD\n33,France,0.02,EUR\n";
    check(
        &import(currency, "--currency EUR"),
        &[
            "line 2, Currency",
            "currency_mismatch",
            "nothing was imported",
        ],
    );
    let expiry = "Prefix,Destination,Rate,Effective Date,Expiry \
        Date\n49,Germany,0.03,2026-01-01,\n33,France,0.01,2024-01-01,2025-01-01\n";
    let told = import(expiry, "");
    check(&told, &["wrote 1 rate", "Germany"]);
    assert!(!told.contains("France"), "{told}");
    let month = "Prefix,Destination,Rate,Effective Date\n49,Germany,0.02,1-Dec-2026\n";
    check(
        &import(month, "--date-order dmy"),
        &["wrote 1 rate", "2026-11-30T23:00:00Z"],
    );
    check(
        &import(&month.replace("1-Dec-2026", "1/12/2026"), ""),
        &["`1/12/2026`", "--date-order"],
    );
    let headless = "49;Germany;0.0200\n4915;Germany Mobile;0.1000\n33;France;0.0100\n";
    check(&import(headless, ""), &["--map", "headless"]);
    let map = fixture.file(
        "map.json",
        r#"{"columns":{"prefix":0,"destination":1,"price":2}}"#,
    );
    check(
        &import(headless, &format!("--map {}", map.display())),
        &["wrote 3 rates", "\"49\""],
    );
    let above = "All rates in EUR cents per minute,\nPrefix,Rate\n49,1.5\n";
    check(
        &import(above, ""),
        &["`All rates in EUR cents per minute`", "--skip-lines 1"],
    );
    check(
        &import(above, "--skip-lines 1"),
        &["wrote 1 rate", "\"price\":\"1.5\""],
    );
    let wrong = fixture.file("wrong.json", r#"{"decimal_comma":"yes"}"#);
    let told = import(headless, &format!("--map {}", wrong.display()));
    check(&told, &["`decimal_comma`: expected true or false"]);
    assert!(!told.contains("at line"), "{told}");
    check(
        &import("Prefix,Rate,Route\n49,0.02,x\n", ""),
        &["`Route`", "--ignore-column"],
    );
    check(
        &import("Prefix,Rate,Route\n49,0.02,x\n", "--ignore-column Route"),
        &["wrote 1 rate", "ignored columns: Route"],
    );
}

#[test]
fn exponents_and_transfers_and_legs() {
    let fixture = Fixture::new();
    let event = b"{\"id\":\"e\",\"customer\":\"acme-42\",\"meter\":\"api_call\",\"quantity\":1e-7,\"at\":\"@DAY@T10:00:00Z\"}\n";
    check(
        &fixture.ingest("usage.ndjson", event, "--format ndjson"),
        &["1 posted"],
    );
    let map = format!(
        r#"{{"columns":{{"id":["uniqueid","sequence"],"at":"calldate","quantity":"billsec","destination":"dst"}},{MAPPED},"skip_zero":true}}"#
    );
    let rows = "calldate,src,dst,billsec,disposition,uniqueid,sequence\n@DAY@ \
        09:00:00,100,+4930123456,60,ANSWERED,u.1,7\n@DAY@ \
        09:01:00,100,+4930999999,120,ANSWERED,u.1,8\n@DAY@ 09:05:00,100,+4930999999,60,NO \
        ANSWER,u.2,9\n";
    check(
        &fixture.table(rows, &map),
        &["2 posted", "2 skipped", "0 refused"],
    );
    check(
        &fixture.table(rows, &map.replace("[\"uniqueid\",\"sequence\"]", "{}")),
        &["expected a column's title"],
    );
}

/// It was charged by a rate without prefixes.
#[test]
fn a_destination_that_is_half_understood_is_refused() {
    let fixture = Fixture::new();
    let file: String = ["4.93012E+11", "+4930123XXX", "'+4930123456"]
        .iter()
        .enumerate()
        .map(|(id, to)| {
            format!("{{\"id\":\"g{id}\",\"customer\":\"acme-42\",\"meter\":\"sms\",\"quantity\":1,\"at\":\"@DAY@T10:00:00Z\",\"destination\":\"{to}\"}}\n")
        })
        .collect();
    check(
        &fixture.ingest("usage.ndjson", file.as_bytes(), "--format ndjson"),
        &["0 posted", "3  refused: invalid_number", "exit 1"],
    );
}

#[test]
fn refused_rows_are_counted_by_code_and_end_with_1() {
    let fixture = Fixture::new();
    let line = |id: &str, more: &str| {
        format!(
            "{{\"id\":\"{id}\",\"customer\":\"acme-42\",\"meter\":\"sms\",{more}\"at\":\"@DAY@T10:00:00Z\",\"destination\":\"+4930123456\"}}\n"
        )
    };
    let file = line("a", "\"quantity\":1,")
        + &line("b", "")
        + &line("c", "")
        + &line("d", "\"quantity\":\"x\",");
    let told = fixture.ingest("usage.ndjson", file.as_bytes(), "--format ndjson");
    check(
        &told,
        &[
            "1 posted",
            "3 refused",
            "2  refused: missing_field",
            "1  refused: invalid_field",
            "cannot read `x`",
            "such as line 2",
            "exit 1",
        ],
    );
    check(
        &fixture.ingest(
            "usage.ndjson",
            line("a", "\"quantity\":1,").as_bytes(),
            "--format ndjson",
        ),
        &["1 duplicate", "exit 0"],
    );
}

#[test]
fn half_a_line_in_utf16_is_left_for_the_next_run() {
    let fixture = Fixture::new();
    let utf16 = |text: &str| -> Vec<u8> {
        let text = text.replace("@DAY@", &yesterday());
        [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect()
    };
    let file = utf16(MASTER);
    for cut in [1, 2, 4, 7, 20] {
        let told = fixture.ingest(
            "Master.csv",
            &file[..file.len() - cut],
            "--format asterisk --zone Europe/Berlin",
        );
        check(
            &told,
            &[
                "0 posted",
                "0 refused",
                "the last line is not complete yet",
                "exit 0",
            ],
        );
    }
    check(
        &fixture.ingest(
            "Master.csv",
            &file,
            "--format asterisk --zone Europe/Berlin",
        ),
        &["1 posted", "exit 0"],
    );
}

#[test]
fn a_file_that_is_no_text_is_named() {
    let fixture = Fixture::new();
    for (first, what) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet"),
    ] {
        for format in ["csv", "freeswitch", "asterisk", "ndjson"] {
            check(
                &fixture.ingest("calls.csv", first, &format!("--format {format} --zone UTC")),
                &["error", what],
            );
        }
    }
    let record = r#"{"variables":{"uuid":"bom","direction":"inbound","accountcode":"acme-42","billsec":"60","answer_epoch":"@EPOCH@"},"callflow":[{"caller_profile":{"destination_number":"+4930123456"}}]}"#;
    check(
        &fixture.ingest(
            "calls.json",
            format!("\u{feff}{record}\n").as_bytes(),
            "--format freeswitch",
        ),
        &["1 posted", "exit 0"],
    );
    let form = format!("cdr={record}").replace("\"bom\"", "\"form\"");
    check(
        &fixture.ingest("calls.form", form.as_bytes(), "--format freeswitch"),
        &["1 posted", "exit 0"],
    );
}

#[test]
fn legs_in_two_files_are_told() {
    let fixture = Fixture::new();
    let leg = |uuid: &str, other: &str| {
        format!(
            "X,1002,+4930123456,default,@DAY@ 09:00:00,@DAY@ 09:00:03,@DAY@ \
                09:01:03,61,60,NORMAL_CLEARING,{uuid},{other},acme-42,PCMU,PCMU\n"
        )
    };
    let ingest = |text: &str| {
        fixture.ingest(
            "Master.csv",
            text.as_bytes(),
            "--format freeswitch --zone UTC",
        )
    };
    check(
        &ingest(&leg("A", "B")),
        &[
            "1 posted",
            "1 row of calls whose other leg (bleg_uuid)",
            "--follow",
            "direction",
            "exit 0",
        ],
    );
    let both = ingest(&(leg("A", "B") + &leg("B", "A")));
    check(&both, &["0 posted, 1 duplicate", "1 skipped", "exit 0"]);
    assert!(!both.contains("other leg"), "{both}");
}

#[test]
fn increments_are_kept_stated_or_named() {
    let fixture = Fixture::new();
    let import = |deck: &str, more: &str| {
        let file = fixture.file("deck.csv", deck);
        fixture.run(
            "import-rates",
            Some(&file),
            &format!("--card carriers --owner muster-telecom {more}"),
        )
    };
    let priced = "Prefix,Destination,Rate\n49,Germany,0.02\n";
    check(
        &import(priced, "--increments 60/60"),
        &["1 new", "version 1 is in force"],
    );
    let told = import(&priced.replace("0.02", "0.03"), "");
    check(
        &told,
        &[
            "1 changed (1 increased",
            "unchanged for 1 prefix",
            "version 2 is in force",
        ],
    );
    assert!(
        !told.contains("->  1/1") && !told.contains("60/60 ->"),
        "{told}"
    );
    let told = import(
        "Prefix,Destination,Rate,Increments\n49,Germany,0.03,1/1\n",
        "--dry-run",
    );
    check(
        &told,
        &[
            "1 changed",
            "1 prefix with different increments than before",
            "60/60 -> 1/1",
        ],
    );
    check(
        &import(
            "Prefix,Destination,Rate\n49,Germany,0.03\n33,France,0.01\n",
            "--dry-run",
        ),
        &["1 prefix new, billed by the second"],
    );
    check(
        &import(priced, "--increments 60/60 --dry-run"),
        &["1 changed (0 increased, 1 decreased)"],
    );
}

#[test]
fn fees_and_blocks_are_kept_or_named() {
    let fixture = Fixture::new();
    let import = |deck: &str, more: &str| {
        let file = fixture.file("deck.csv", deck);
        fixture.run(
            "import-rates",
            Some(&file),
            &format!("--card carriers --owner muster-telecom {more}"),
        )
    };
    let first = "Prefix,Destination,Rate,Increment,Connect \
        fee,Blocked\n49,Germany,0.02,1/1,0.10,no\n44,Britain,0.03,1/1,0,yes\n";
    check(&import(first, ""), &["2 new", "version 1 is in force"]);
    let told = import(
        "Prefix,Destination,Rate\n49,Germany,0.03\n44,Britain,0.02\n",
        "",
    );
    check(
        &told,
        &[
            "2 changed (1 increased, 1 decreased)",
            "those of 1 prefix are unchanged",
            "still blocked, at the new price: 1 prefix",
            "version 2",
        ],
    );
    assert!(
        !told.contains("unblocked") && !told.contains("connect fee"),
        "{told}"
    );
    let told = import(
        "Prefix,Destination,Rate,Connect fee,Blocked\n49,Germany,0.03,,yes\n44,Britain,0.02,,no\n",
        "--dry-run",
    );
    check(
        &told,
        &[
            "newly blocked: 1 prefix; unblocked: 1 prefix",
            "  blocked    49",
            "  opened     44",
            "(connect fee 0.1 -> no fee",
        ],
    );
    let told = import(
        "Prefix,Destination,Rate,Valid from,Valid \
            to\n49,Germany,0.03,,2098-11-30\n49,Germany,0.04,2099-01-01,\n",
        "--dry-run --partial",
    );
    check(
        &told,
        &[
            "1 prefix without a price for some time",
            "no price from 2098-12-01T00:00:00Z until 2099-01-01T00:00:00Z",
        ],
    );
}
