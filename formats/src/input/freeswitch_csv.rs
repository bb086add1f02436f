//! FreeSWITCH call records as mod_cdr_csv writes them, by default in its "example" template.
//! Times are local and have no zone: [`Options::zone`] is required. The event starts at the answer.

use super::cdr::{self, Call, Options};
use super::fields;
use super::freeswitch_legs::Channel;
use super::legs::{self, Leg};
use super::row::Row;
use super::when::Clock;
use crate::UsageEvent;
use crate::sheet::{self, Record};
use problem::Problem;
use rating::Quantity;
use std::borrow::Cow;
use std::collections::HashSet;

/// The "example" template.
pub const COLUMNS: [&str; 15] = [
    "caller_id_name",
    "caller_id_number",
    "destination_number",
    "context",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "uuid",
    "bleg_uuid",
    "accountcode",
    "read_codec",
    "write_codec",
];

/// Columns that are kept as attributes.
const KEPT: [&str; 2] = ["direction", "hangup_cause"];

/// The rows of a file. An error: the options.
pub fn parse(file: &[u8], options: &Options) -> Result<Vec<Row>, Problem> {
    let clock = options.clock()?;
    let text = sheet::text_of(file);
    let columns = columns(options);
    Ok(cdr::each_leg(&text, options, |record| {
        (
            row(record, &columns, &clock, options),
            leg(record, &columns),
        )
    }))
}

/// Rows of calls that name another leg whose row is not in the file, and do not say which of the
/// two they are: in two files, sent one by one, each is charged.
///
/// # Errors
/// The options.
pub fn lone_legs(file: &[u8], options: &Options) -> Result<usize, Problem> {
    let (clock, text) = (options.clock()?, sheet::text_of(file));
    let columns = columns(options);
    let mut legs = Vec::new();
    cdr::each_row(&text, b',', |record| {
        let row = row(record, &columns, &clock, options);
        if matches!(row, Row::Event { .. }) && record.named(&columns, "direction").is_none() {
            legs.push(leg(record, &columns));
        }
        row
    });
    let all: HashSet<&str> = legs.iter().map(|leg| leg.own.as_str()).collect();
    Ok(legs
        .iter()
        .filter(|leg| {
            leg.others
                .iter()
                .any(|other| *other != leg.own && !all.contains(other.as_str()))
        })
        .count())
}

fn columns(options: &Options) -> Vec<&str> {
    if options.columns.is_empty() {
        COLUMNS.to_vec()
    } else {
        options.columns.iter().map(String::as_str).collect()
    }
}

/// With both legs in one file each has a row, and one of them names the other. Which was made to
/// reach somebody is not in the "example" template: the one that the file has first is the call,
/// also when it has grown. A column `direction` tells it.
fn leg(record: &Record<'_>, columns: &[&str]) -> Leg {
    let cell = |name: &str| record.named(columns, name);
    let own = cell("uuid").unwrap_or_default();
    let other = cell("bleg_uuid").filter(|other| *other != own);
    let is = |direction: &str| {
        cell("direction").is_some_and(|said| said.eq_ignore_ascii_case(direction))
    };
    let is_call = cell("last_bridge_role").is_some_and(|role| role == "originator");
    let channel = Channel {
        own: Cow::Borrowed(own),
        get: |name: &str| cell(name).map(Cow::Borrowed),
    };
    let (originator, half_of) = (channel.originator(), channel.second_half());
    let bridged = other
        .filter(|_| is("outbound") && !is_call)
        .map(|other| ("bleg_uuid", Cow::Borrowed(other)));
    let alone = [
        (
            half_of.clone(),
            "half of a loopback channel, and not known to be the first",
        ),
        (originator.clone(), "a leg that was made for another one"),
        (bridged, "an outbound leg that was bridged with another"),
    ];
    let alone = alone
        .into_iter()
        .find_map(|(named, what)| named.map(|(name, other)| legs::alone(name, &other, what)));
    let is_made = originator.is_some() || half_of.is_some();
    Leg {
        own: own.to_owned(),
        others: channel.others(),
        is_outbound: is("outbound") || originator.is_some(),
        half_of: half_of.map(|(_, first)| first.into_owned()),
        came_in: other
            .filter(|_| is("inbound") && !is_made)
            .map(|other| ("bleg_uuid", other.to_owned())),
        alone,
        ..Leg::default()
    }
}

fn row(record: &Record<'_>, columns: &[&str], clock: &Clock, options: &Options) -> Row {
    if let Some(why) = cdr::misshapen(record, columns.len(), Some(columns.len() - 1)) {
        return cdr::refused(record, why);
    }
    if record.cell(0) == columns.first().copied() {
        return Row::Skipped {
            line: record.line,
            why: "the columns' names".to_owned(),
        };
    }
    match event(record, columns, clock, options) {
        Ok(Ok(event)) => Row::Event {
            line: record.line,
            event,
        },
        Ok(Err(why)) => Row::Skipped {
            line: record.line,
            why,
        },
        Err(problem) => Row::Refused {
            line: record.line,
            id: record.named(columns, "uuid").unwrap_or_default().to_owned(),
            problem,
        },
    }
}

fn event(
    record: &Record<'_>,
    columns: &[&str],
    clock: &Clock,
    options: &Options,
) -> Result<Result<UsageEvent, String>, Problem> {
    let cell = |name: &str| record.named(columns, name).map(Cow::Borrowed);
    let required = |name: &str| cell(name).ok_or_else(|| fields::missing(name));
    let id = required("uuid")?.into_owned();
    let not_answered = || {
        Ok(Err(format!(
            "not answered: {}",
            cell("hangup_cause").unwrap_or_default()
        )))
    };
    // Without a time of its answer nobody answered, whatever the seconds say.
    let Some(answer) = cell("answer_stamp") else {
        return not_answered();
    };
    let seconds = fields::quantity("billsec", &required("billsec")?)?;
    if seconds == Quantity::ZERO {
        return not_answered();
    }
    let answer = clock
        .moment("answer_stamp", &answer)?
        .timed("answer_stamp", &answer)?;
    // Of a call that was transferred they end with the transfer.
    let billed = cdr::Length {
        seconds,
        field: "billsec",
        may_be_shorter: true,
    };
    let times = cdr::Times::of_cells(
        ["start_stamp", "answer_stamp", "end_stamp"],
        answer,
        clock,
        cell,
    )?;
    times.check(billed)?;
    options.check_columns(columns, columns, &KEPT)?;
    let at = answer.at;
    let attributes = KEPT.map(|name| (name, cell(name))).into();
    let (destination, origin) = (cell("destination_number"), cell("caller_id_number"));
    let called = Some("destination_number").filter(|name| columns.contains(name));
    Call {
        id,
        at,
        seconds,
        destination,
        called,
        origin,
        attributes,
        raw: record.raw,
    }
    .into_event(options, cell)
    .map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/freeswitch_cdr.csv");

    fn berlin() -> Options {
        Options {
            zone: Some("Europe/Berlin".to_owned()),
            ..Options::default()
        }
    }

    #[test]
    fn answered_calls_become_events() {
        let rows = parse(FIXTURE, &berlin()).unwrap();
        let told: Vec<String> = rows.iter().map(crate::input::row::tell).collect();
        assert_eq!(
            told,
            [
                "1 acme-42 call 61 2026-11-20T08:00:05Z +4930123456 from 1002 id \
                    6f5902ac-0001-4a0b-9c00-000000000001",
                "2 acme-42 call 327 2026-11-20T08:10:10Z 0301234567 from 1004 id \
                    6f5902ac-0002-4a0b-9c00-000000000002",
                "3 skipped: not answered: NO_USER_RESPONSE",
                "4 refused customer missing_field",
                "5 refused answer_stamp invalid_field",
                "6 acme-43 call 20 2026-11-20T22:59:00Z voicemail from 1004 id \
                    6f5902ac-0006-4a0b-9c00-000000000006",
            ]
        );
    }

    #[test]
    fn unanswered_and_second_legs_are_no_usage() {
        let line = |uuid: &str, other: &str, start: &str, answer: &str| {
            format!(
                "x,1002,+4930123456,default,{start},{answer},2026-11-20 \
                    09:01:06,66,60,NORMAL_CLEARING,{uuid},{other},acme-42,PCMU,PCMU\n"
            )
        };
        let (start, later, answer) = (
            "2026-11-20 09:00:00",
            "2026-11-20 09:00:02",
            "2026-11-20 09:00:06",
        );
        for (file, call) in [
            (
                line("A", "B", start, answer) + &line("B", "A", later, answer),
                "A",
            ),
            // The first one, as it was charged if the file was read before the other was written.
            (
                line("B", "", later, answer) + &line("A", "B", start, answer),
                "B",
            ),
            (
                line("B", "A", later, answer) + &line("A", "B", start, answer),
                "B",
            ),
            (
                line("A", "B", start, answer) + &line("B", "", start, answer),
                "A",
            ),
            (
                line("A", "", start, answer) + &line("C", "", start, ""),
                "A",
            ),
            // The first record twice is a duplicate, whatever stands between.
            (
                line("A", "", start, answer)
                    + &line("B", "A", start, answer)
                    + &line("A", "", start, answer),
                "A A",
            ),
        ] {
            let rows = parse(file.as_bytes(), &berlin()).unwrap();
            let ids: Vec<&str> = rows
                .iter()
                .filter_map(|row| {
                    if let Row::Event { event, .. } = row {
                        Some(event.id.as_str())
                    } else {
                        None
                    }
                })
                .collect();
            assert_eq!(ids.join(" "), call, "{file}");
        }
    }

    /// A row of the "example" template, with further cells.
    fn leg_of(uuid: &str, other: &str, more: &str) -> String {
        format!(
            "x,1002,+4930123456,default,2026-11-20 09:00:00,2026-11-20 09:00:06,2026-11-20 \
                09:01:06,66,60,NORMAL_CLEARING,{uuid},{other},acme-42,PCMU,PCMU{more}\n"
        )
    }

    /// It was charged as a call inside the house.
    #[test]
    fn a_row_that_says_no_number_called_is_refused() {
        let told = |to: &str| {
            crate::input::row::tell(
                &parse(
                    leg_of("A", "", "")
                        .replacen("+4930123456", to, 1)
                        .as_bytes(),
                    &berlin(),
                )
                .unwrap()[0],
            )
        };
        assert_eq!(told(""), "1 refused destination missing_field");
        assert!(told("voicemail").starts_with("1 acme-42 call 60 "));
        // A template without the column.
        let columns = "uuid,accountcode,billsec,answer_stamp"
            .split(',')
            .map(str::to_owned)
            .collect();
        let rows = parse(
            b"u1,acme-42,6,2026-11-20 09:00:00\n",
            &Options {
                columns,
                ..berlin()
            },
        )
        .unwrap();
        assert!(matches!(&rows[..], [Row::Event { .. }]));
    }

    #[test]
    fn with_a_direction_the_legs_are_known_over_files() {
        let columns: Vec<String> = COLUMNS
            .iter()
            .chain(&["direction"])
            .map(|name| (*name).to_owned())
            .collect();
        let options = Options {
            columns,
            ..berlin()
        };
        let told = |file: &str, options: &Options| -> Vec<&str> {
            let tell = |row: Row| match row {
                Row::Event { .. } => "event",
                Row::Skipped { .. } => "skipped",
                Row::Refused { problem, .. } => problem.code.as_str(),
            };
            parse(file.as_bytes(), options)
                .unwrap()
                .into_iter()
                .map(tell)
                .collect()
        };
        let (call, second) = (leg_of("A", "B", ",inbound"), leg_of("B", "A", ",outbound"));
        assert_eq!(told(&call, &options), ["event"]);
        assert_eq!(told(&second, &options), ["second_leg"]);
        assert_eq!(
            told(&format!("{second}{call}"), &options),
            ["skipped", "event"]
        );
        assert_eq!(
            told(
                &second,
                &Options {
                    both_legs: true,
                    ..options.clone()
                }
            ),
            ["event"]
        );
        assert_eq!(told(&leg_of("B", "", ",outbound"), &options), ["event"]);
        assert_eq!(
            told(&format!("{call}{}", leg_of("B", "A", ",inbound")), &options),
            ["second_leg", "second_leg"]
        );
        assert_eq!(
            lone_legs(format!("{call}{second}").as_bytes(), &options).unwrap(),
            0
        );
    }

    #[test]
    fn legs_are_known_by_columns_of_the_switchs_variables() {
        let told = |column: &str, rows: &[(&str, &str)]| -> Vec<&str> {
            let columns: Vec<String> = COLUMNS
                .iter()
                .chain(&["direction", column])
                .map(|name| (*name).to_owned())
                .collect();
            let file: String = rows
                .iter()
                .map(|(id, named)| leg_of(id, "", &format!(",,{named}")))
                .collect();
            let tell = |row: Row| match row {
                Row::Event { .. } => "event",
                Row::Skipped { .. } => "skipped",
                Row::Refused { problem, .. } => problem.code.as_str(),
            };
            parse(
                file.as_bytes(),
                &Options {
                    columns,
                    ..berlin()
                },
            )
            .unwrap()
            .into_iter()
            .map(tell)
            .collect()
        };
        assert_eq!(told("originating_leg_uuid", &[("B", "A")]), ["second_leg"]);
        assert_eq!(
            told("originating_leg_uuid", &[("B", "A"), ("A", "")]),
            ["skipped", "event"]
        );
        assert_eq!(
            told("loopback_leg", &[("A", "A"), ("B", "B")]),
            ["event", "second_leg"]
        );
        assert_eq!(
            told("originate_signal_bond", &[("A", "B"), ("B", "A")]),
            ["event", "skipped"]
        );
    }

    #[test]
    fn a_call_that_was_forwarded_outside_is_no_second_leg() {
        let told = |from: &str, on: &str| -> Vec<&str> {
            let file = leg_of("A", "B", "").replacen("+4930123456", from, 1)
                + &leg_of("B", "A", "").replacen("+4930123456", on, 1);
            let tell = |row: Row| match row {
                Row::Event { .. } => "event",
                Row::Skipped { .. } => "skipped",
                Row::Refused { problem, .. } => problem.code.as_str(),
            };
            parse(file.as_bytes(), &berlin())
                .unwrap()
                .into_iter()
                .map(tell)
                .collect()
        };
        assert_eq!(told("200", "004917612345678"), ["event", "second_leg"]);
        assert_eq!(told("017612345678", "+4917612345678"), ["event", "skipped"]);
        assert_eq!(told("+4930123456", "200"), ["event", "skipped"]);
    }

    #[test]
    fn options_that_fit_no_column_are_refused() {
        let row = leg_of("A", "", "");
        let told = |options: Options| match &parse(row.as_bytes(), &options).unwrap()[0] {
            Row::Refused { problem, .. } => format!(
                "{} {}",
                problem.code,
                problem.field.as_deref().unwrap_or("-")
            ),
            _ => "-".to_owned(),
        };
        let (to, keeps) = (
            |name: &str| Some(name.to_owned()),
            |name: &str| vec![name.to_owned()],
        );
        assert_eq!(
            told(Options {
                destination: to("zz"),
                ..berlin()
            }),
            "unknown_column destination"
        );
        assert_eq!(
            told(Options {
                attributes: keeps("zz"),
                ..berlin()
            }),
            "unknown_column attributes"
        );
        assert_eq!(
            told(Options {
                destination: to("caller_id_number"),
                attributes: keeps("read_codec"),
                ..berlin()
            }),
            "-"
        );
        assert_eq!(
            told(Options {
                attributes: keeps("direction"),
                ..berlin()
            }),
            "-"
        );
        let millis = Options {
            seconds: cdr::SecondsField::Billmsec,
            ..berlin()
        };
        assert_eq!(
            parse(row.as_bytes(), &millis).unwrap_err().field.as_deref(),
            Some("seconds")
        );
    }

    #[test]
    fn rows_whose_other_leg_is_elsewhere_are_counted() {
        let count = |file: &str| lone_legs(file.as_bytes(), &berlin()).unwrap();
        assert_eq!(count(&leg_of("A", "B", "")), 1);
        assert_eq!(
            count(
                &(leg_of("A", "B", "")
                    + &leg_of("B", "A", "")
                    + &leg_of("C", "", "")
                    + &leg_of("D", "E", ""))
            ),
            1
        );
        assert_eq!(count(&leg_of("A", "B", "").replace(",60,", ",0,")), 0);
    }

    #[test]
    fn a_record_that_contradicts_itself_is_not_charged() {
        let good = "x,1002,+4930123456,d,2026-11-20 09:00:00,2026-11-20 09:00:06,2026-11-20 \
            09:01:06,66,60,OK,A,,acme-42,PCMU,PCMU\n";
        for (from, to, want) in [
            ("66,60", "66,60", "-"),
            ("66,60", "66,6000", "contradiction"),
            ("66,60", "6006,6000", "contradiction"),
            ("66,60", "20,60", "contradiction"),
            ("09:01:06", "08:59:06", "contradiction"),
            ("66,60", "660,60", "contradiction"),
            ("66,60", "61,60", "-"),
            (
                "2026-11-20 09:00:00",
                "2026-11-20 10:00:00",
                "contradiction",
            ),
        ] {
            let rows = parse(good.replace(from, to).as_bytes(), &berlin()).unwrap();
            let code = if let Row::Refused { problem, .. } = &rows[0] {
                problem.code.as_str()
            } else {
                "-"
            };
            assert_eq!(code, want, "{from} {to}");
        }
    }

    #[test]
    fn the_zone_is_asked_for() {
        let rows = parse(FIXTURE, &Options::default()).unwrap();
        assert!(
            matches!(&rows[0], Row::Refused { problem, .. } if problem.code.as_str() == "zone_required")
        );
        assert!(
            parse(
                FIXTURE,
                &Options {
                    zone: Some("nowhere".to_owned()),
                    ..Options::default()
                }
            )
            .is_err()
        );
    }

    #[test]
    fn another_template_is_named_by_its_columns() {
        let columns = "uuid,accountcode,billsec,answer_stamp,destination_number"
            .split(',')
            .map(str::to_owned)
            .collect();
        let rows = parse(
            b"u1,acme-42,6,2026-11-20 09:00:00,+4930123456\n",
            &Options {
                columns,
                ..berlin()
            },
        )
        .unwrap();
        assert!(
            matches!(&rows[..], [Row::Event { event, .. }] if event.id == "u1" && event.quantity == Quantity::whole(6))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, &berlin());
        }
    }
}
