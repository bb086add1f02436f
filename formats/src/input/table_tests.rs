use super::*;
use problem::Code;
use proptest::prelude::*;

const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/usage_table.csv");
const MAP: &str = include_str!("../../../tests/fixtures/usage_table.json");

fn map() -> ColumnMap {
    serde_json::from_str(MAP).unwrap()
}

#[test]
fn columns_mean_what_the_map_says() {
    let told: Vec<String> = parse(FIXTURE, &map())
        .unwrap()
        .iter()
        .map(crate::input::row::tell)
        .collect();
    assert_eq!(
        told,
        [
            "1 skipped: the columns' names",
            "2 acme-42 call 90.5 2026-11-20T08:00:00Z +4930123456 from - id t-1",
            "3 skipped: a quantity of 0",
            "4 refused customer missing_field",
            "5 refused at invalid_field",
            "6 acme-43 call 1234.5 2026-11-20T08:08:00Z 0301234567 from - id t-5",
        ]
    );
}

#[test]
fn the_map_is_checked_first() {
    for (from, to, code) in [
        ("\"id\"", "\"ident\"", "unknown_field"),
        ("Call ID", "Nothing", "unknown_column"),
        ("Europe/Berlin", "x", "invalid_field"),
        ("\";\"", "\"€\"", "invalid_field"),
    ] {
        let map: ColumnMap = serde_json::from_str(&MAP.replacen(from, to, 1)).unwrap();
        assert_eq!(
            parse(FIXTURE, &map).unwrap_err().code.as_str(),
            code,
            "{to}"
        );
    }
    assert!(serde_json::from_str::<ColumnMap>(r#"{"colums":{}}"#).is_err());
}

#[test]
fn without_names_columns_are_indices() {
    let map: ColumnMap = serde_json::from_str(r#"{"headless":true,"columns":{"id":0,"quantity":1,"at":2},"constants":{"customer":"c","meter":"sms"},"date_form":"epoch_seconds"}"#).unwrap();
    let told: Vec<String> = parse(b"a\t1\t1795165200\n", &map)
        .unwrap()
        .iter()
        .map(crate::input::row::tell)
        .collect();
    assert_eq!(told, ["1 c sms 1 2026-11-20T09:00:00Z - from - id a"]);
}

/// The rows of a file by a map: `line quantity at destination id`, or why not.
fn told(file: &str, map: &str) -> Vec<String> {
    parse(file.as_bytes(), &serde_json::from_str(map).unwrap())
        .unwrap()
        .iter()
        .skip(1)
        .map(crate::input::row::tell)
        .collect()
}

pub(super) const BOOKINGS: &str = r#""constants":{"meter":"booking","customer":"c"},"zone":"UTC""#;
pub(super) const CALLS: &str = r#""constants":{"meter":"call","customer":"c"},"zone":"UTC""#;

#[test]
fn a_row_of_more_or_fewer_cells_is_refused() {
    let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
    let file = "id,data,at,s\na,x,2026-11-20 09:00,6\nb,x,60,2026-11-20 \
        09:00,49,6\nc,x,2026-11-20 09:00\nd,\"x,60\",2026-11-20 09:00,6,,\n";
    let told = told(file, &map);
    assert_eq!(
        told[1..3],
        ["3 refused - invalid_row", "4 refused - invalid_row"]
    );
    assert_eq!(
        (told.len(), &told[3]),
        (
            4,
            &"5 c call 6 2026-11-20T09:00:00Z - from - id d".to_owned()
        )
    );
}

#[test]
fn a_mark_stands_where_it_may() {
    let map = format!(
        r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},"decimal_comma":true,{CALLS}}}"#
    );
    let file = "id;at;s\na;2026-11-20 09:00;90,5\nb;2026-11-20 09:00;90.5\nc;2026-11-20 \
        09:00;1.234,5\nd;2026-11-20 09:00;1,2.3\n";
    let quantities: Vec<String> = told(file, &map)
        .iter()
        .map(|row| row.split(' ').nth(3).unwrap().to_owned())
        .collect();
    assert_eq!(
        quantities,
        ["90.5", "invalid_field", "1234.5", "invalid_field"]
    );
    let rows = parse(
        b"id;at;s\na;2026-11-20 09:00;90,5\n",
        &serde_json::from_str(&map.replace("true", "false")).unwrap(),
    )
    .unwrap();
    assert!(
        matches!(&rows[1], Row::Refused { problem, .. } if problem.detail.contains("`90,5`") && problem.detail.contains("decimal_comma"))
    );
}

#[test]
fn durations_are_written_in_many_ways() {
    let file = "id,at,end,s\na,2026-11-20 09:00:05,2026-11-20 09:01:28,00:01:23\nb,,2026-11-20 \
        09:10:20,\nc,2026-11-20 09:00:05,,\n";
    let by = |columns: &str, form: &str| {
        told(
            file,
            &format!(r#"{{"columns":{{"id":"id","at":"at",{columns}}}{form},{CALLS}}}"#),
        )
    };
    let want = [
        "2 c call 83 2026-11-20T09:00:05Z - from - id a",
        "3 skipped: not answered: neither begin nor duration",
    ];
    assert_eq!(by(r#""quantity":"s""#, "")[..2], want);
    let ended = by(r#""end":"end""#, "");
    assert_eq!(
        (&ended[0][..], &ended[2][..]),
        (want[0], "4 refused quantity missing_field")
    );
    let minutes = format!(
        r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},"duration_form":"minutes_seconds",{CALLS}}}"#
    );
    assert_eq!(
        told("id,at,s\na,2026-11-20 09:00:05,01:23\n", &minutes),
        want[..1]
    );
}

#[test]
fn an_id_of_several_columns_and_a_date_of_two() {
    let file = "day,time,s,u,n\n2026-11-20,09:00:05,83,a,7\n2026-11-20,09:00:05,83,a:7,\n2026-11-20,09:00:05,83,,\n";
    let map =
        format!(r#"{{"columns":{{"id":["u","n"],"at":["day","time"],"quantity":"s"}},{CALLS}}}"#);
    let want =
        |line: u8, id: &str| format!("{line} c call 83 2026-11-20T09:00:05Z - from - id {id}");
    assert_eq!(
        told(file, &map),
        [
            want(2, "a:7"),
            want(3, "a\\:7:"),
            "4 refused id missing_field".to_owned()
        ]
    );
    let wrong =
        serde_json::from_str(&map.replace(r#""quantity":"s""#, r#""quantity":["s"]"#)).unwrap();
    assert_eq!(
        parse(file.as_bytes(), &wrong).unwrap_err().field.as_deref(),
        Some("quantity")
    );
    let error = serde_json::from_str::<ColumnMap>(r#"{"columns":{"id":{}}}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("expected a column's title"), "{error}");
}

#[test]
fn unanswered_rows_are_no_usage_whatever_their_seconds() {
    let file = "id,at,s,disposition\na,2026-11-20 09:00,60,NOANSWER\nb,2026-11-20 \
        09:00,60,Answered\nc,2026-11-20 09:00,60,7\n";
    let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
    let (skipped, answered) = (
        "2 skipped: not answered: NOANSWER",
        "3 c call 60 2026-11-20T09:00:00Z - from - id b",
    );
    let mapped = map.replace(
        r#""quantity":"s""#,
        r#""quantity":"s","disposition":"disposition""#,
    );
    assert_eq!(
        told(file, &mapped),
        [
            skipped,
            answered,
            "4 refused disposition unknown_disposition"
        ]
    );
    // Of calls it need not be named; a word that is not known was charged.
    assert_eq!(
        told(file, &map),
        [
            skipped,
            answered,
            "4 refused disposition unknown_disposition"
        ]
    );
    let left_out = map.replacen('{', r#"{"ignore_columns":["disposition"],"#, 1);
    assert_eq!(
        told(file, &left_out)[0],
        "2 c call 60 2026-11-20T09:00:00Z - from - id a"
    );
    // Of messages it was looked at too.
    let messages =
        map.replace("\"call\"", "\"sms\"")
            .replacen('{', r#"{"duration_form":"number","#, 1);
    assert_eq!(
        parse(file.as_bytes(), &serde_json::from_str(&messages).unwrap())
            .unwrap_err()
            .code
            .as_str(),
        "unknown_column"
    );
}

#[test]
fn a_first_line_that_is_a_record_is_one() {
    let map = format!(r#"{{"columns":{{"id":0,"at":1,"quantity":2}},{CALLS}}}"#);
    let rows = |text: &str| {
        parse(text.as_bytes(), &serde_json::from_str(&map).unwrap())
            .unwrap()
            .len()
    };
    let first = |text: &str| {
        matches!(
            parse(text.as_bytes(), &serde_json::from_str(&map).unwrap()).unwrap()[0],
            Row::Event { .. }
        )
    };
    assert!(
        rows("a,2026-11-20 09:00,6\n") == 1
            && first("a,2026-11-20 09:00,6\n")
            && !first("id,at,s\na,2026-11-20 09:00,6\n")
    );
}

/// Of the rows behind the titles: `quantity amount` of an event, or the code.
pub(super) fn outcomes(file: &str, map: &str) -> Vec<String> {
    let rows = match parse(file.as_bytes(), &serde_json::from_str(map).unwrap()) {
        Ok(rows) => rows,
        Err(problem) => return vec![format!("file: {}", problem.code)],
    };
    let outcome = |row: &Row| match row {
        Row::Event { event, .. } => format!(
            "{}{}",
            event.quantity,
            event
                .amount
                .map_or(String::new(), |amount| format!(" {amount}"))
        ),
        Row::Skipped { .. } => "skipped".to_owned(),
        Row::Refused { problem, .. } => {
            assert!(problem.detail.contains('`'), "{}", problem.detail);
            problem.code.to_string()
        }
    };
    rows.iter().skip(1).map(outcome).collect()
}

#[test]
fn units_in_a_title_are_not_passed_over() {
    let row = |title: &str, value: &str| format!("id;at;{title}\na;2026-11-20 09:00;{value}\n");
    let map = |field: &str, title: &str, more: &str| {
        let stated = if field == "amount" { BOOKINGS } else { CALLS };
        format!(r#"{{"columns":{{"id":"id","at":"at","{field}":"{title}"}},{more}{stated}}}"#)
    };
    for (title, value, more, want) in [
        ("Dauer (min)", "5", "", "ambiguous_unit"),
        ("Dauer (min)", "00:05:00", "", "300"),
        ("Dauer (min)", "5", r#""duration_form":"minutes","#, "300"),
        (
            "Dauer (min)",
            "5",
            r#""duration_form":"number","#,
            "file: ambiguous_unit",
        ),
        (
            "Dauer (min)",
            "5",
            r#""duration_form":"seconds","#,
            "file: ambiguous_unit",
        ),
        ("Duration ms", "5000", "", "ambiguous_unit"),
        (
            "Duration ms",
            "5000",
            r#""duration_form":"milliseconds","#,
            "5",
        ),
        ("Dauer (s)", "5", "", "5"),
    ] {
        assert_eq!(
            outcomes(&row(title, value), &map("quantity", title, more)),
            [want],
            "{title} {value} {more}"
        );
    }
    for (title, value, more, want) in [
        ("Betrag (cents)", "150", "", "file: ambiguous_unit"),
        (
            "Betrag (cents)",
            "150",
            r#""amount_unit":"cents","#,
            "1 1.5",
        ),
        ("Preis (USD)", "1.5", "", "file: ambiguous_unit"),
        ("Preis (USD)", "1.5", r#""amount_unit":"major","#, "1 1.5"),
        ("Betrag", "1.5", "", "1 1.5"),
    ] {
        assert_eq!(
            outcomes(&row(title, value), &map("amount", title, more)),
            [want],
            "{title} {value} {more}"
        );
    }
}

#[test]
fn a_point_that_may_stand_between_groups_is_asked_for() {
    let map = |more: &str| {
        format!(r#"{{"columns":{{"id":"id","at":"at","amount":"Betrag"}},{more}{BOOKINGS}}}"#)
    };
    let file = "id;at;Betrag\na;2026-11-20 09:00;1.234\nb;2026-11-20 09:00;0,50\nc;2026-11-20 \
        09:00;12.5\n";
    assert_eq!(
        outcomes(file, &map("")),
        ["ambiguous_number", "invalid_field", "1 12.5"]
    );
    assert_eq!(
        outcomes(file, &map(r#""decimal_comma":true,"#)),
        ["1 1234", "1 0.5", "invalid_field"]
    );
    assert_eq!(
        outcomes(file, &map(r#""decimal_comma":false,"#)),
        ["1 1.234", "invalid_field", "1 12.5"]
    );
    // Between commas a point is the decimal one, unless another number of the file shows a comma.
    let with_commas = file.replace(';', ",").replace("0,50", "\"0,50\"");
    assert_eq!(
        outcomes(&with_commas, &map("")),
        ["ambiguous_number", "invalid_field", "1 12.5"]
    );
    assert_eq!(
        outcomes(&with_commas.replace("\"0,50\"", "0.50"), &map("")),
        ["1 1.234", "1 0.5", "1 12.5"]
    );
}

#[test]
fn a_duration_over_the_hour_that_is_there_twice_is_asked_for() {
    let map = r#"{"columns":{"id":"id","at":"at","end":"end"},"constants":{"meter":"call","customer":"c"},"zone":"America/New_York"}"#;
    for (at, end, want) in [
        (
            "2026-11-01 01:10:00",
            "2026-11-01 01:40:00",
            "ambiguous_time",
        ),
        (
            "2026-11-01 00:50:00",
            "2026-11-01 01:10:00",
            "ambiguous_time",
        ),
        (
            "2026-11-01 01:50:00",
            "2026-11-01 02:10:00",
            "ambiguous_time",
        ),
        (
            "2026-11-01 01:10:00-0400",
            "2026-11-01 01:40:00-0500",
            "5400",
        ),
        ("2026-11-01 00:50:00", "2026-11-01 02:10:00", "8400"),
        ("2026-03-08 02:10:00", "2026-03-08 03:10:00", "no_such_time"),
        ("2026-11-02 01:10:00", "2026-11-02 01:40:00", "1800"),
    ] {
        assert_eq!(
            outcomes(&format!("id,at,end\na,{at},{end}\n"), map),
            [want],
            "{at} {end}"
        );
    }
    // With a quantity it is the earlier one.
    let measured = map.replace(r#""end":"end""#, r#""quantity":"s""#);
    assert_eq!(
        outcomes("id,at,s\na,2026-11-01 01:10:00,60\n", &measured),
        ["60"]
    );
}

#[test]
fn a_first_line_that_is_a_bad_record_is_refused_and_no_titles() {
    let by_index = |headless: &str| {
        format!(
            r#"{{"columns":{{"id":0,"customer":1,"at":2,"quantity":3,"destination":4}},{headless}"constants":{{"meter":"call"}}}}"#
        )
    };
    let first = |line: &str, headless: &str| {
        let rows = parse(
            line.as_bytes(),
            &serde_json::from_str(&by_index(headless)).unwrap(),
        )
        .unwrap();
        crate::input::row::tell(&rows[0])
    };
    for line in [
        "a,c,2026-11-20T09:00:00Z,abc,+4930123456\n",
        "a,c,2026-11-20T09:00:00Z,,+4930123456\n",
        "a,c,2026-11-20T09:00:00Z,60,9#4930123456\n",
        "a,c,2026-11-20T09:00:00Z,-5,+4930123456\n",
        "a,c,2026-11-20 09:00:00,60,+4930123456\n",
        "17,c,yesterday,60,+4930123456\n",
    ] {
        assert!(
            first(line, "").starts_with("1 refused "),
            "{line} {}",
            first(line, "")
        );
    }
    assert_eq!(
        first("id,customer,at,quantity,to\n", ""),
        "1 skipped: the columns' names"
    );
    // Titles with figures in them are stated.
    let doubtful = parse(
        "id,customer,at,quantity 1,to\n".as_bytes(),
        &serde_json::from_str(&by_index("")).unwrap(),
    )
    .unwrap_err();
    assert_eq!(
        (doubtful.code.as_str(), doubtful.field.as_deref()),
        ("ambiguous_column", Some("headless")),
        "{}",
        doubtful.detail
    );
    assert_eq!(
        first("id,customer,at,quantity 1,to\n", "\"headless\":false,"),
        "1 skipped: the columns' names"
    );
}

/// A figure in one title made the line a record, and a note above the titles the titles: the unit
/// was not looked at.
#[test]
fn columns_by_number_have_titles_all_the_same() {
    let map = |more: &str| {
        format!(r#"{{"columns":{{"id":0,"at":1,"quantity":2,"destination":3}},{more}{CALLS}}}"#)
    };
    let row = "1;2026-11-20 09:00:00;50;+4930123456\n";
    let stated = |line: &str, more: &str| outcomes(&format!("{line}\n{row}"), &map(more));
    for titles in [
        "Nr;Start;Units (6s);To",
        "Nr;Start;Duration (100ms);To",
        "Nr;Start;Duration 10s;To",
        "Nr;Start;Quantity (1000s);To",
        "Nr;Time 2;Ring time;To",
        "Nr;Start1;Units;To",
        "Durations in minutes;;;",
        "Report of calls;;;",
        "Report of November 2026;;;",
        "Nr;;Duration;To",
    ] {
        assert_eq!(stated(titles, ""), ["file: ambiguous_column"], "{titles}");
    }
    for (titles, want) in [
        ("Nr;Start;Units (6s);To", "file: ambiguous_unit"),
        ("Nr;Time 2;Ring time;To", "file: ambiguous_unit"),
        ("Nr;Start;Minutes;To", "ambiguous_unit"),
    ] {
        assert_eq!(stated(titles, r#""headless":false,"#), [want], "{titles}");
    }
    assert_eq!(stated("Nr;Start;Duration;To", ""), ["50"]);
    assert_eq!(stated("0;2026-11-20 09:00:00;5;+4930123457", ""), ["50"]);
}

/// Words in place of numbers: a line of units, the titles of another export, a note.
#[test]
fn what_stands_behind_other_titles_is_not_read_by_the_first() {
    let map = format!(
        r#"{{"columns":{{"id":"Nr","at":"Start","quantity":"Duration","destination":"To"}},{CALLS}}}"#
    );
    let row = |nr: u8| format!("{nr};2026-11-20 09:00:00;50;+4930123456\n");
    let told = |lines: &str| {
        outcomes(
            &format!("Nr;Start;Duration;To\n{}{lines}\n{}", row(1), row(2)),
            &map,
        )
    };
    for titles in [
        ";;(min);",
        "Nr;Start;Duration (min);To",
        "Start;Nr;Minutes;To",
    ] {
        assert_eq!(
            told(titles),
            ["50", "invalid_row", "invalid_row"],
            "{titles}"
        );
    }
    // The same once more, as in files that were put together; nothing of a value.
    assert_eq!(told("Nr;Start;Duration;To")[2..], ["50"]);
    assert_eq!(told("3;2026-11-20 09:00:00;n/a;+4930123456")[2..], ["50"]);
    assert_eq!(
        told("Durations in minutes;;;"),
        ["50", "invalid_row", "invalid_row"]
    );
}

#[test]
fn what_is_said_twice_must_agree() {
    let map = |columns: &str| format!(r#"{{"columns":{{"id":"id","at":"at",{columns}}},{CALLS}}}"#);
    let file = "id,at,end,s\na,2026-11-20 09:00:00,2026-11-20 09:10:00,600\nb,2026-11-20 \
        09:00:00,2026-11-20 09:10:00,30\nc,2026-11-20 09:00:00,2026-11-20 09:10:00,\nd,2026-11-20 \
        09:00:00,2026-11-20 08:00:00,60\n";
    let both = map(r#""quantity":"s","end":"end""#);
    assert_eq!(
        outcomes(file, &both),
        ["600", "contradiction", "600", "contradiction"]
    );
    // Two columns of one title.
    let twice = "id,at,dur,Dur\na,2026-11-20 09:00:00,65,60\n";
    assert_eq!(
        outcomes(twice, &map(r#""quantity":"dur""#)),
        ["file: ambiguous_column"]
    );
    assert_eq!(outcomes(twice, &map(r#""quantity":3"#)), ["60"]);
}

#[test]
fn a_column_beyond_the_file_is_no_column() {
    let file = "id,at,s\na,2026-11-20 09:00:00,60\n";
    let map = |more: &str| {
        format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"{more}}},{CALLS}}}"#)
    };
    assert_eq!(outcomes(file, &map("")), ["60"]);
    for more in [
        r#","destination":3"#,
        r#","hold":99"#,
        r#","disposition":99"#,
        r#"},"attributes":{"region":99"#,
    ] {
        assert_eq!(
            outcomes(file, &map(more)),
            ["file: unknown_column"],
            "{more}"
        );
    }
    let constant = map("")
        .replace(r#""quantity":"s""#, r#""quantity":99"#)
        .replace(r#""meter":"#, r#""quantity":"1","meter":"#);
    assert_eq!(outcomes(file, &constant), ["file: unknown_column"]);
    // Whose first line is a record, or is said to be one.
    let by_number =
        format!(r#"{{"columns":{{"id":0,"at":1,"quantity":2,"destination":9}},{CALLS}}}"#);
    let parsed = |map: &str| parse(&file.as_bytes()[8..], &serde_json::from_str(map).unwrap());
    assert_eq!(
        parsed(&by_number).unwrap_err().code.as_str(),
        "unknown_column"
    );
    let headless = by_number.replacen('{', r#"{"headless":true,"#, 1);
    assert!(
        matches!(&parsed(&headless).unwrap()[0], Row::Refused { problem, .. } if problem.code == Code::InvalidRow)
    );
    // Nothing is there yet.
    assert_eq!(
        parse(b"", &serde_json::from_str(&by_number).unwrap()).unwrap(),
        []
    );
}

#[test]
fn a_column_is_one_thing() {
    let file = "id,at,qty,amount\na,2026-11-20 09:00:00,60,1\n";
    let by = |columns: &str| {
        outcomes(
            file,
            &format!(r#"{{"columns":{{"at":"at",{columns}}},{CALLS}}}"#),
        )
    };
    for columns in [
        r#""id":"id","quantity":"qty","customer":"qty""#,
        r#""id":"id","quantity":"qty","destination":"qty""#,
        r#""id":"id","quantity":"qty","destination":2"#,
        r#""id":"id","quantity":"qty","amount":"qty""#,
        r#""id":"id","end":"at""#,
        r#""id":"qty","quantity":"qty""#,
    ] {
        assert_eq!(by(columns), ["file: ambiguous_column"], "{columns}");
    }
    // What a name is may be several things.
    let names = r#""id":["id","qty"],"quantity":"qty","customer":"id","origin":"id","hold":"id""#;
    assert_eq!(by(names), ["60"]);
}

#[test]
fn a_file_without_a_column_of_an_event_is_none() {
    for file in [
        "a;b;c\n1;2;3\n",
        "<html><body>404</body></html>\n",
        "ID,Customer\n1,c\n",
    ] {
        let problem = parse(
            file.as_bytes(),
            &ColumnMap::by_names(file.as_bytes()).unwrap(),
        )
        .unwrap_err();
        assert_eq!(problem.code.as_str(), "unknown_column", "{file}");
        assert!(
            problem.detail.contains(
                file.split([';', '\n'])
                    .next()
                    .unwrap()
                    .split(',')
                    .next()
                    .unwrap()
            ),
            "{}",
            problem.detail
        );
    }
    assert_eq!(parse(b"", &ColumnMap::default()).unwrap(), []);
    assert_eq!(
        parse(
            b"id;colour\n",
            &ColumnMap::by_names(b"id;colour\n").unwrap()
        )
        .unwrap()
        .len(),
        1
    );
}

#[test]
fn lines_may_end_in_a_carriage_return_alone() {
    let file = "id,at,s\ra,2026-11-20 09:00:00,60\rb,2026-11-20 09:00:00,\"6\r1\"\rc,2026-11-20 \
        09:00:00,7\r";
    let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
    assert_eq!(outcomes(file, &map), ["60", "invalid_field", "7"]);
    // Within a line that a line feed ends it is a character like others.
    let mixed = "id,at,s,name\na,2026-11-20 09:00:00,60,x\ry\r\n";
    assert_eq!(outcomes(mixed, &map), ["60"]);
}

#[test]
fn a_mapped_disposition_that_is_empty_says_nothing() {
    let map = format!(
        r#"{{"columns":{{"id":"id","at":"at","quantity":"s","disposition":"state"}},{CALLS}}}"#
    );
    let file =
        "id,at,s,state\na,2026-11-20 09:00:00,60,\nb,2026-11-20 09:00:00,60,ANSWERED\n17,,,\n";
    assert_eq!(outcomes(file, &map), ["missing_field", "60", "skipped"]);
}

#[test]
fn an_instant_has_a_time_of_day() {
    let map = |more: &str| {
        format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{more}{CALLS}}}"#)
    };
    let file = "id,at,s\na,2026-11-20,60\nb,20261120,60\nc,2026-11-20 00:00:00,60\n";
    assert_eq!(
        outcomes(file, &map("")),
        ["invalid_field", "invalid_field", "60"]
    );
    assert_eq!(
        outcomes(file, &map(r#""whole_days":true,"#)),
        ["60", "60", "60"]
    );
    let minutes = r#""duration_form":"minutes_seconds","#;
    assert_eq!(
        outcomes(
            "id,at,s\na,2026-11-20 09:00,90\nb,2026-11-20 09:00,83:05\n",
            &map(minutes)
        ),
        ["invalid_field", "4985"]
    );
}

/// Each was read as seconds, or as major units.
#[test]
fn what_a_title_says_is_understood_or_stated() {
    let of = |title: &str, more: &str| {
        outcomes(
            &format!("id,at,{title}\na,2026-11-20 09:00:00,60\n"),
            &format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"{title}"}},{more}{CALLS}}}"#),
        )
    };
    for title in [
        "Units (6s)",
        "6s units",
        "Einheiten",
        "Blöcke",
        "horas",
        "GB used",
        "Ring time",
        "End",
        "Seconds since start",
    ] {
        assert_eq!(of(title, ""), ["file: ambiguous_unit"], "{title}");
        assert_eq!(of(title, r#""duration_form":"number","#), ["60"], "{title}");
    }
    // Of six seconds, and of hours, none of these forms is.
    for title in ["Units (6s)", "6s units", "Duration x10", "Duration (h)"] {
        for form in ["seconds", "milliseconds", "minutes"] {
            assert_eq!(
                of(title, &format!(r#""duration_form":"{form}","#)),
                ["file: ambiguous_unit"],
                "{title} {form}"
            );
        }
    }
    for title in [
        "Gesprächsdauer (s)",
        "Durée en secondes",
        "Duration",
        "billsec",
        "Duración",
    ] {
        assert_eq!(of(title, ""), ["60"], "{title}");
    }
    let amount = |title: &str, more: &str| {
        let map =
            format!(r#"{{"columns":{{"id":"id","at":"at","amount":"{title}"}},{more}{BOOKINGS}}}"#);
        outcomes(&format!("id,at,{title}\na,2026-11-20 09:00:00,60\n"), &map)
    };
    for title in [
        "Amount x100",
        "price_e2",
        "-Amount",
        "Rabatt",
        "Unit price",
        "Points",
    ] {
        assert_eq!(amount(title, ""), ["file: ambiguous_unit"], "{title}");
        assert_eq!(
            amount(title, r#""amount_unit":"major","#),
            ["1 60"],
            "{title}"
        );
    }
    assert_eq!(amount("Gesamtbetrag", ""), ["1 60"]);
}

/// Each was read an hour off, or as its begin.
#[test]
fn a_title_of_times_agrees_with_what_is_stated() {
    let file = |title: &str, at: &str| format!("id,{title},s\na,{at},60\n");
    let map = |column: &str, more: &str| {
        format!(
            r#"{{"columns":{{"id":"id","at":{column},"quantity":"s"}},"constants":{{"meter":"call","customer":"c"}},{more}}}"#
        )
    };
    let local = "2026-11-20 09:00:00";
    for (title, at, more, want) in [
        (
            "Start (UTC)",
            local,
            r#""zone":"Europe/Berlin""#,
            "file: ambiguous_zone",
        ),
        ("Start (UTC)", local, r#""zone":"UTC""#, "60"),
        ("Start (Berlin)", local, r#""zone":"Europe/Berlin""#, "60"),
        (
            "Start (CET)",
            local,
            r#""zone":"Europe/Berlin""#,
            "file: ambiguous_column",
        ),
        (
            "start_ms",
            "1795165200",
            r#""date_form":"epoch_seconds""#,
            "file: ambiguous_date",
        ),
        (
            "start_ms",
            "1795165200000",
            r#""date_form":"epoch_millis""#,
            "60",
        ),
        (
            "start_epoch",
            "1795165200",
            r#""date_form":"epoch_seconds""#,
            "60",
        ),
        (
            "MM/DD/YYYY",
            "11/12/2026 09:00",
            r#""date_form":"day_first","zone":"UTC""#,
            "file: ambiguous_date",
        ),
        (
            "End time",
            local,
            r#""zone":"UTC""#,
            "file: ambiguous_column",
        ),
        ("Started at", local, r#""zone":"UTC""#, "60"),
    ] {
        assert_eq!(
            outcomes(&file(title, at), &map(&format!("{title:?}"), more)),
            [want],
            "{title} {more}"
        );
    }
    // Stated by its number.
    assert_eq!(
        outcomes(&file("End time", local), &map("1", r#""zone":"UTC""#)),
        ["60"]
    );
}

#[test]
fn the_separator_that_a_spreadsheet_states_is_no_record() {
    let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
    let rows = parse(
        b"sep=;\r\nid;at;s\r\na;2026-11-20 09:00:00;60\r\n",
        &serde_json::from_str(&map).unwrap(),
    )
    .unwrap();
    let told: Vec<String> = rows.iter().map(crate::input::row::tell).collect();
    assert_eq!(
        told,
        [
            "2 skipped: the columns' names",
            "3 c call 60 2026-11-20T09:00:00Z - from - id a"
        ]
    );
    assert_eq!(
        ColumnMap::by_names(b"sep=;\nid;at;quantity\n")
            .unwrap()
            .columns
            .len(),
        3
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in "([-0-9a-z.,:\"ü \
        ]{0,12};){0,8}\n([-0-9a-z.,:\"ü ]{0,12};){0,8}") {
        let _ = parse(&bytes, &ColumnMap::default());
        let text = [&FIXTURE[..42], rows.as_bytes()].concat();
        let _ = parse(&text, &map());
    }
}
