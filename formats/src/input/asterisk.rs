//! Asterisk call records as cdr_csv writes them (`Master.csv`), and as the usual cdr_custom
//! template does.
//!
//! The two differ in their columns; each row shows which it is by where its three times stand.
//! Times are local and have no zone: [`Options::zone`] is required unless they carry one. Identity:
//! `uniqueid` alone is shared by the legs of a forked call, so it is (uniqueid, sequence), or else
//! (linkedid, uniqueid, dstchannel); a row without `uniqueid` is known by its content. Only
//! answered rows are usage, however that is spelt: rows of `NO ANSWER` may have a billsec all the
//! same.

use super::answered::{self, Answered};
use super::cdr::{self, Call, Options};
use super::fields;
use super::legs::{self, CalledHalf, Leg};
use super::row::Row;
use super::when::Clock;
use crate::sheet::{self, Record};
use crate::{UsageEvent, numbers};
use problem::Problem;
use rating::Quantity;
use std::borrow::Cow;

/// cdr_csv; the last five as configured.
pub const COLUMNS: [&str; 21] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
];

/// The template of cdr_custom.conf's sample.
pub const CUSTOM_COLUMNS: [&str; 19] = [
    "clid",
    "src",
    "dst",
    "dcontext",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "accountcode",
    "uniqueid",
    "userfield",
    "sequence",
];

/// The rows of a file. An error: the options.
pub fn parse(file: &[u8], options: &Options) -> Result<Vec<Row>, Problem> {
    let clock = options.clock()?;
    let text = sheet::text_of(file);
    let own: Vec<&str> = options.columns.iter().map(String::as_str).collect();
    Ok(cdr::each_leg(&text, options, |record| {
        let columns = if own.is_empty() {
            columns_of(record)
        } else {
            Some(&own[..])
        };
        let Some(columns) = columns else {
            let detail = "expected the columns of cdr_csv or of the sample of cdr_custom: name \
                them if they are others";
            return (cdr::refused(record, detail), Leg::default());
        };
        (row(record, columns, &clock, options), leg(record, columns))
    }))
}

/// The two halves of a local channel, `Local/…;1` and `;2`, each have a record of the one call that
/// goes through it.
fn leg(record: &Record<'_>, columns: &[&str]) -> Leg {
    let half = |name: &str| {
        record
            .named(columns, name)
            .and_then(|channel| channel.strip_prefix("Local/")?.rsplit_once(';'))
    };
    let whole = |name: &str, wanted: &str| {
        half(name)
            .filter(|(_, half)| *half == wanted)
            .map(|(channel, _)| channel.to_owned())
    };
    let own = whole("channel", "2");
    let channel = record.named(columns, "channel").unwrap_or_default();
    // A call file calls such a channel: what is dialled stands in the second half's record.
    let is_silent = record
        .named(columns, "dst")
        .is_none_or(|dst| numbers::normalise(dst, None).is_none());
    let called_by_switch = whole("channel", "1").map(|channel| CalledHalf { channel, is_silent });
    let is_silent_half = called_by_switch.as_ref().is_some_and(|half| half.is_silent);
    let second = own
        .as_ref()
        .map(|_| legs::alone("channel", channel, "the second half of a local channel"));
    let first = || {
        legs::alone(
            "channel",
            channel,
            "a half of a local channel that dialled nobody",
        )
    };
    Leg {
        is_outbound: own.is_some(),
        is_local_second: own.is_some(),
        over_trunk: is_over_trunk(record, columns),
        alone: second.or_else(|| is_silent_half.then(first)),
        called_by_switch,
        own: own.unwrap_or_else(|| channel.to_owned()),
        others: whole("dstchannel", "1").into_iter().collect(),
        ..Leg::default()
    }
}

/// Does a call of a short number leave the switch? Its channel is not that of an extension of the
/// name, and what was dialled is, as far as the record says, the number behind a trunk's name
/// (`PJSIP/22833@trunk`, `SIP/north/22833`), and no device (`PJSIP/alice`).
fn is_over_trunk(record: &Record<'_>, columns: &[&str]) -> bool {
    let cell = |name: &str| record.named(columns, name).unwrap_or_default();
    let (channel, number) = (cell("dstchannel"), cell("dst").trim_start_matches('0'));
    let peer = channel.split_once('/').map_or("", |(_, rest)| {
        rest.rsplit_once('-').map_or(rest, |(peer, _)| peer)
    });
    let of_number =
        |text: &str| !number.is_empty() && (text.ends_with(number) || text.starts_with(number));
    if peer.is_empty() || channel.starts_with("Local/") || of_number(peer) {
        return false;
    }
    let dialled = cell("lastdata").split(',').next().unwrap_or_default();
    let names_it = |one: &str| {
        one.split(['/', '@'])
            .skip(1)
            .any(|part| part != peer && of_number(part))
    };
    dialled.is_empty() || dialled.split('&').any(names_it)
}

/// `start` and `end` tell the template: in cdr_custom's they come one column earlier. Where one of
/// them is empty, the other and the disposition do.
fn columns_of(record: &Record<'_>) -> Option<&'static [&'static str]> {
    let first = record.cell(0);
    let is_time = |index: usize| {
        let bytes = record.cell(index).unwrap_or_default().as_bytes();
        bytes.len() >= 16
            && bytes[..4].iter().all(u8::is_ascii_digit)
            && bytes[4] == b'-'
            && bytes[13] == b':'
    };
    let is_one_short = |columns: &[&str]| {
        let index = |name: &str| {
            columns
                .iter()
                .position(|column| *column == name)
                .unwrap_or(columns.len())
        };
        let (start, end) = (index("start"), index("end"));
        let are_times = [(start, end), (end, start)]
            .into_iter()
            .any(|(one, other)| is_time(one) && record.cell(other).is_none());
        are_times
            && record
                .cell(index("disposition"))
                .is_some_and(|text| answered::of(text) != Answered::Unknown)
    };
    match (is_time(8) && is_time(10), is_time(9) && is_time(11)) {
        (true, false) => Some(&CUSTOM_COLUMNS),
        (false, true) => Some(&COLUMNS),
        // The names themselves, in the first line.
        _ if first == Some("accountcode") => Some(&COLUMNS),
        _ if first == Some("clid") => Some(&CUSTOM_COLUMNS),
        _ => match (is_one_short(&CUSTOM_COLUMNS), is_one_short(&COLUMNS)) {
            (true, false) => Some(&CUSTOM_COLUMNS),
            (false, true) => Some(&COLUMNS),
            _ => None,
        },
    }
}

fn row(record: &Record<'_>, columns: &[&str], clock: &Clock, options: &Options) -> Row {
    if let Some(why) = cdr::misshapen(
        record,
        columns.len(),
        columns.iter().position(|name| *name == "disposition"),
    ) {
        return cdr::refused(record, why);
    }
    if record.cell(0) == columns.first().copied() {
        return Row::Skipped {
            line: record.line,
            why: "the columns' names".to_owned(),
        };
    }
    let id = identity(record, columns);
    match event(record, columns, &id, clock, options) {
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
            id,
            problem,
        },
    }
}

fn identity(record: &Record<'_>, columns: &[&str]) -> String {
    let cell = |name: &str| record.named(columns, name);
    match (
        cell("uniqueid"),
        cell("sequence"),
        cell("linkedid"),
        cell("dstchannel"),
    ) {
        (Some(unique), Some(sequence), ..) => format!("{unique}:{sequence}"),
        (Some(unique), None, Some(linked), channel) => {
            format!("{linked}:{unique}:{}", channel.unwrap_or_default())
        }
        (Some(unique), None, None, channel) => format!("{unique}:{}", channel.unwrap_or_default()),
        (None, ..) => format!(
            "row-{}",
            &blake3::hash(record.raw.as_bytes()).to_hex()[..32]
        ),
    }
}

fn event(
    record: &Record<'_>,
    columns: &[&str],
    id: &str,
    clock: &Clock,
    options: &Options,
) -> Result<Result<UsageEvent, String>, Problem> {
    let cell = |name: &str| record.named(columns, name).map(Cow::Borrowed);
    let required = |name: &str| cell(name).ok_or_else(|| fields::missing(name));
    let disposition = required("disposition")?;
    match answered::of(&disposition) {
        Answered::Yes => {}
        Answered::No => return Ok(Err(format!("not answered: {disposition}"))),
        Answered::Unknown => return Err(answered::unknown("disposition", &disposition)),
    }
    // The dialplan's own word that nobody is billed for it.
    if cell("amaflags").is_some_and(|flag| flag.eq_ignore_ascii_case("OMIT")) {
        return Ok(Err(
            "the switch says that it is not billed: amaflags OMIT".to_owned()
        ));
    }
    let seconds = fields::quantity("billsec", &required("billsec")?)?;
    if seconds == Quantity::ZERO {
        return Ok(Err("answered for 0 seconds".to_owned()));
    }
    // Where the columns are stated, they may be left out.
    if let Some(name) = ["start", "end"]
        .into_iter()
        .find(|name| options.columns.is_empty() && cell(name).is_none())
    {
        return Err(fields::missing(name));
    }
    let answer = required("answer")?;
    let answer = clock.moment("answer", &answer)?.timed("answer", &answer)?;
    let billed = cdr::Length {
        seconds,
        field: "billsec",
        may_be_shorter: false,
    };
    let times = cdr::Times::of_cells(["start", "answer", "end"], answer, clock, cell)?;
    times.check(billed)?;
    let kept_from = if options.columns.is_empty() {
        &COLUMNS[..]
    } else {
        columns
    };
    options.check_columns(columns, kept_from, &["context", "application", "trunk"])?;
    let at = answer.at;
    let attributes = vec![
        ("context", cell("dcontext")),
        ("application", cell("lastapp")),
        ("trunk", cell("dstchannel").map(trunk_of)),
    ];
    let (destination, origin) = (cell("dst"), cell("src"));
    let called = Some("dst").filter(|name| columns.contains(name));
    Call {
        id: id.to_owned(),
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

/// `PJSIP/carrier-00000003` → `PJSIP/carrier`.
fn trunk_of(channel: Cow<'_, str>) -> Cow<'_, str> {
    match channel.rsplit_once('-') {
        Some((trunk, _)) => Cow::Owned(trunk.to_owned()),
        None => channel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: &[u8] = include_bytes!("../../../tests/fixtures/asterisk_cdr.csv");
    const CUSTOM: &[u8] = include_bytes!("../../../tests/fixtures/asterisk_cdr_custom.csv");

    fn berlin() -> Options {
        Options {
            zone: Some("Europe/Berlin".to_owned()),
            ..Options::default()
        }
    }

    fn check(file: &[u8], options: &Options, want: &[&str]) {
        let told: Vec<String> = parse(file, options)
            .unwrap()
            .iter()
            .map(crate::input::row::tell)
            .collect();
        assert_eq!(told, want);
    }

    #[test]
    fn only_answered_legs_are_usage() {
        check(
            CSV,
            &berlin(),
            &[
                "1 acme-42 call 27 2026-11-20T08:07:24Z +4930123456 from 15550100001 id \
                    1795165644.0:0",
                "2 skipped: not answered: NO ANSWER",
                "3 acme-42 call 30 2026-11-20T08:33:20Z 0301234567 from 15550100001 id \
                    1795167200.6:6",
                "4 skipped: answered for 0 seconds",
                "5 skipped: not answered: BUSY",
                "6 refused customer missing_field",
                "7 acme-43 call 12 2026-11-20T09:00:03Z 211553 from 15550100002 id \
                    host1-1795168800.1:7",
            ],
        );
    }

    #[test]
    fn the_custom_template_shows_itself() {
        check(
            CUSTOM,
            &Options {
                customer: vec!["accountcode".into(), "src".into()],
                ..berlin()
            },
            &[
                "1 client1 call 13 2026-11-20T08:51:50Z 6789 from client1 id 1795165892.2:2",
                "2 skipped: not answered: NO ANSWER",
                "3 acme-42 call 18 2026-11-20T09:18:33Z +4930123456 from client1 id 1795167506.0:0",
            ],
        );
    }

    /// A row of cdr_csv.
    fn line(channel: &str, dstchannel: &str, disposition: &str, id: &str) -> String {
        format!(
            "acme,1,+4930123456,c,x,{channel},{dstchannel},Dial,,2026-11-20 09:00:00,2026-11-20 \
                09:00:01,2026-11-20 09:01:01,61,60,{disposition},DOC,{id},,,l,1\n"
        )
    }

    #[test]
    fn answered_is_a_matter_of_words() {
        for (disposition, want) in [
            ("Answered", "event"),
            ("ANSWER", "event"),
            ("NOANSWER", "skipped"),
            ("no answer", "skipped"),
            ("CONGESTION", "skipped"),
            ("8", "unknown_disposition"),
        ] {
            let rows = parse(
                line("SIP/a-1", "SIP/b-2", disposition, "u.1").as_bytes(),
                &berlin(),
            )
            .unwrap();
            let got = match &rows[0] {
                Row::Event { .. } => "event",
                Row::Skipped { .. } => "skipped",
                Row::Refused { problem, .. } => problem.code.as_str(),
            };
            assert_eq!(got, want, "{disposition}");
        }
    }

    #[test]
    fn what_the_dialplan_omits_is_not_charged() {
        let tell = |flag: &str| {
            crate::input::row::tell(
                &parse(
                    line("SIP/a-1", "SIP/b-2", "ANSWERED", "u.1")
                        .replace("DOC", flag)
                        .as_bytes(),
                    &berlin(),
                )
                .unwrap()[0],
            )
        };
        for flag in ["OMIT", "omit"] {
            assert_eq!(
                tell(flag),
                "1 skipped: the switch says that it is not billed: amaflags OMIT"
            );
        }
        for flag in ["DOCUMENTATION", "BILLING", "", "3"] {
            assert!(tell(flag).contains("call 60"), "{flag}");
        }
    }

    #[test]
    fn both_halves_of_a_local_channel_are_one_call() {
        let first = line("SIP/100-1", "Local/30@out-7;1", "ANSWERED", "u.1");
        let second = line("Local/30@out-7;2", "SIP/trunk-2", "ANSWERED", "u.2");
        let other = line("Local/31@out-8;2", "SIP/trunk-3", "ANSWERED", "u.3");
        let rows = parse(format!("{second}{first}{other}").as_bytes(), &berlin()).unwrap();
        let told = |rows: &[Row]| -> Vec<&str> {
            rows.iter()
                .map(|row| match row {
                    Row::Event { .. } => "event",
                    Row::Skipped { .. } => "skipped",
                    Row::Refused { problem, .. } => problem.code.as_str(),
                })
                .collect()
        };
        assert_eq!(told(&rows), ["skipped", "event", "second_leg"]);
        // By itself too, since its first half may be charged before or after it; unless such halves
        // are calls.
        assert_eq!(
            told(&parse(second.as_bytes(), &berlin()).unwrap()),
            ["second_leg"]
        );
        assert_eq!(
            told(&parse(first.as_bytes(), &berlin()).unwrap()),
            ["event"]
        );
        assert_eq!(
            told(
                &parse(
                    second.as_bytes(),
                    &Options {
                        both_legs: true,
                        ..berlin()
                    }
                )
                .unwrap()
            ),
            ["event"]
        );
    }

    /// The first was charged as a call to `s`, and the second refused as if the first were not
    /// there.
    #[test]
    fn a_channel_that_the_switch_called_is_one_call() {
        let told = |rows: &[String]| -> Vec<String> {
            let tell = |row: &Row| match row {
                Row::Event { event, .. } => event.destination.as_deref().unwrap_or("-").to_owned(),
                Row::Skipped { .. } => "skipped".to_owned(),
                Row::Refused { problem, .. } => problem.code.to_string(),
            };
            parse(rows.concat().as_bytes(), &berlin())
                .unwrap()
                .iter()
                .map(tell)
                .collect()
        };
        let to = |row: &str, number: &str| row.replace("+4930123456", number);
        let first = to(&line("Local/030@out-19;1", "", "ANSWERED", "u.1"), "s");
        let second = line("Local/030@out-19;2", "PJSIP/trunk-2", "ANSWERED", "u.2");
        assert_eq!(
            told(&[first.clone(), second.clone()]),
            ["skipped", "+4930123456"]
        );
        assert_eq!(
            told(&[second.clone(), first.clone()]),
            ["+4930123456", "skipped"]
        );
        // Alone, the other may be charged.
        assert_eq!(told(std::slice::from_ref(&first)), ["second_leg"]);
        assert_eq!(told(std::slice::from_ref(&second)), ["second_leg"]);
        // Nobody answered it, or it is nobody's: what went out is the call.
        let unanswered = line("Local/030@out-19;1", "", "NO ANSWER", "u.1");
        assert_eq!(
            told(&[unanswered, second.clone()]),
            ["skipped", "+4930123456"]
        );
        let queue = line("PJSIP/1-1", "Local/030@out-19;1", "NO ANSWER", "u.1");
        assert_eq!(told(&[queue, second.clone()]), ["skipped", "+4930123456"]);
        let inbound = to(
            &line("PJSIP/in-1", "Local/030@out-19;1", "ANSWERED", "u.1"),
            "1001",
        )
        .replacen("acme", "", 1);
        assert_eq!(
            told(&[inbound, second.clone()]),
            ["missing_field", "+4930123456"]
        );
        // It dialled somebody itself: two calls, of which one is charged.
        let both = to(
            &line("Local/030@out-19;1", "PJSIP/trunk-1", "ANSWERED", "u.1"),
            "+442079460000",
        );
        assert_eq!(told(&[both, second]), ["+442079460000", "second_leg"]);
    }

    /// Follow me: the extension was charged, and the call to the mobile that it was forwarded to
    /// was not.
    #[test]
    fn a_call_that_was_forwarded_outside_is_no_second_leg() {
        let told = |first: &str, second: &str| -> Vec<String> {
            let first = line("PJSIP/100-1", "Local/1@out-19;1", "ANSWERED", "u.1")
                .replace("+4930123456", first);
            let second = line("Local/1@out-19;2", "PJSIP/trunk-2", "ANSWERED", "u.2")
                .replace("+4930123456", second);
            let tell = |row: &Row| match row {
                Row::Event { event, .. } => event.destination.as_deref().unwrap_or("-").to_owned(),
                Row::Skipped { .. } => "skipped".to_owned(),
                Row::Refused { problem, .. } => problem.code.to_string(),
            };
            parse(format!("{first}{second}").as_bytes(), &berlin())
                .unwrap()
                .iter()
                .map(tell)
                .collect()
        };
        assert_eq!(told("200", "017612345678"), ["200", "second_leg"]);
        assert_eq!(
            told("+4930123456", "017612345678"),
            ["+4930123456", "second_leg"]
        );
        // A line of the switch, a prefix of calls abroad, a member of a queue.
        assert_eq!(
            told("0017612345678", "017612345678"),
            ["0017612345678", "skipped"]
        );
        assert_eq!(
            told("017612345678", "4917612345678"),
            ["017612345678", "skipped"]
        );
        let distinct_value = |device: &str, dialled: &str| {
            let first = line("PJSIP/100-1", "Local/1@out-19;1", "ANSWERED", "u.1")
                .replace("+4930123456", "600");
            let second = line(
                "Local/1@out-19;2",
                &format!("{device}-2"),
                "ANSWERED",
                "u.2",
            )
            .replace("+4930123456", "201");
            let second = second.replace("Dial,,", &format!("Dial,{dialled},"));
            let rows = parse(format!("{first}{second}").as_bytes(), &berlin()).unwrap();
            if let Row::Refused { problem, .. } = &rows[1] {
                problem.code.as_str()
            } else {
                "skipped"
            }
        };
        assert_eq!(distinct_value("PJSIP/201", "PJSIP/201"), "skipped");
        assert_eq!(distinct_value("PJSIP/alice", "PJSIP/alice"), "skipped");
        assert_eq!(
            distinct_value("PJSIP/alice", "\"PJSIP/alice&PJSIP/bob,60\""),
            "skipped"
        );
        assert_eq!(
            distinct_value("PJSIP/north", "PJSIP/201@north"),
            "second_leg"
        );
        assert_eq!(
            distinct_value("SIP/north", "\"SIP/north/201,60\""),
            "second_leg"
        );
        // Directory enquiries, a premium service: a short number is no extension where a trunk
        // takes it.
        assert_eq!(told("200", "22833"), ["200", "second_leg"]);
        assert_eq!(told("200", "11833"), ["200", "second_leg"]);
        assert_eq!(told("9011833", "11833"), ["9011833", "skipped"]);
        assert_eq!(told("11833", "011833"), ["11833", "skipped"]);
    }

    /// It was said to have other columns.
    #[test]
    fn an_empty_time_is_said_by_its_name() {
        let told = |from: &str| {
            let row = line("SIP/a-1", "SIP/b-2", "ANSWERED", "u.1").replacen(from, "", 1);
            crate::input::row::tell(&parse(row.as_bytes(), &berlin()).unwrap()[0])
        };
        assert_eq!(told("2026-11-20 09:01:01"), "1 refused end missing_field");
        assert_eq!(told("2026-11-20 09:00:00"), "1 refused start missing_field");
        assert_eq!(
            told("2026-11-20 09:00:01"),
            "1 refused answer missing_field"
        );
        let unanswered =
            line("SIP/a-1", "SIP/b-2", "NO ANSWER", "u.1").replacen("2026-11-20 09:01:01", "", 1);
        assert_eq!(
            crate::input::row::tell(&parse(unanswered.as_bytes(), &berlin()).unwrap()[0]),
            "1 skipped: not answered: NO ANSWER"
        );
        let custom = std::str::from_utf8(CUSTOM)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .replacen("2026-11-20 09:52:03", "", 1);
        assert_eq!(
            crate::input::row::tell(&parse(custom.as_bytes(), &berlin()).unwrap()[0]),
            "1 refused end missing_field",
            "{custom}"
        );
    }

    #[test]
    fn a_record_that_contradicts_itself_is_not_charged() {
        let good = line("SIP/a-1", "SIP/b-2", "ANSWERED", "u.1");
        for (from, to, want) in [
            ("61,60", "61,60", "-"),
            ("61,60", "62,61", "-"),
            ("61,60", "61,3600", "contradiction"),
            ("61,60", "3700,3600", "contradiction"),
            ("61,60", "61,6", "contradiction"),
            ("61,60", "30,60", "contradiction"),
            (
                "2026-11-20 09:01:01",
                "2026-11-20 08:59:00",
                "contradiction",
            ),
            ("61,60", "6100,60", "contradiction"),
            (
                "2026-11-20 09:00:00",
                "2026-11-20 10:00:00",
                "contradiction",
            ),
            // 61 seconds in 10.
            (
                "2026-11-20 09:00:00",
                "2026-11-20 09:00:51",
                "contradiction",
            ),
            ("2026-11-20 09:00:00", "2026-11-20 08:59:59", "-"),
            ("2026-11-20 09:00:00", "2026-03-29 02:30:00", "no_such_time"),
            // Its times show the template.
            ("2026-11-20 09:01:01", "soon", "invalid_row"),
            ("2026-11-20 09:00:01", "2026-11-20", "invalid_field"),
        ] {
            let rows = parse(good.replace(from, to).as_bytes(), &berlin()).unwrap();
            let code = |row: &Row| {
                if let Row::Refused { problem, .. } = row {
                    problem.code.as_str()
                } else {
                    "-"
                }
            };
            assert_eq!(code(&rows[0]), want, "{from} {to}");
        }
        // In the hour that is there twice, one of its readings is enough.
        let night = [
            ("09:00:00", "02:49:59"),
            ("09:00:01", "02:50:00"),
            ("09:01:01", "02:10:00"),
        ]
        .iter()
        .fold(good, |row, (from, to)| {
            row.replace(&format!("2026-11-20 {from}"), &format!("2026-10-25 {to}"))
        });
        let rows = parse(night.replace("61,60", "1201,1200").as_bytes(), &berlin()).unwrap();
        assert!(matches!(&rows[..], [Row::Event { .. }]), "{rows:?}");
    }

    #[test]
    fn options_that_fit_no_column_are_refused() {
        let row = line("SIP/a-1", "SIP/b-2", "ANSWERED", "u.1");
        let told = |options: Options| match &parse(row.as_bytes(), &options).unwrap()[0] {
            Row::Refused { problem, .. } => format!(
                "{} {}",
                problem.code,
                problem.field.as_deref().unwrap_or("-")
            ),
            Row::Event { event, .. } => event.destination.as_deref().unwrap_or("-").to_owned(),
            Row::Skipped { why, .. } => why.clone(),
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
                destination: to("src"),
                attributes: keeps("peeraccount"),
                ..berlin()
            }),
            "1"
        );
        assert_eq!(
            told(Options {
                attributes: keeps("trunk"),
                ..berlin()
            }),
            "+4930123456"
        );
        // The other template has no such column.
        let custom = String::from_utf8(CUSTOM.to_vec()).unwrap();
        let rows = parse(
            custom.as_bytes(),
            &Options {
                destination: to("peeraccount"),
                ..berlin()
            },
        )
        .unwrap();
        assert!(
            matches!(&rows[0], Row::Refused { problem, .. } if problem.code.as_str() == "unknown_column"),
            "{rows:?}"
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
    fn a_row_of_more_or_fewer_cells_is_refused() {
        let good = line("SIP/a-1", "SIP/b-2", "ANSWERED", "u.1");
        let more = good.trim_end().to_owned() + ",x\n";
        let fewer: String = good.split(',').take(12).collect::<Vec<_>>().join(",") + "\n";
        let rows = parse(format!("{more}{fewer}{good}").as_bytes(), &berlin()).unwrap();
        let codes: Vec<&str> = rows
            .iter()
            .map(|row| {
                if let Row::Refused { problem, .. } = row {
                    problem.code.as_str()
                } else {
                    "-"
                }
            })
            .collect();
        assert_eq!(codes, ["invalid_row", "invalid_row", "-"]);
    }

    /// It was charged as a call inside the house.
    #[test]
    fn a_row_that_says_no_number_called_is_refused() {
        let told = |to: &str| {
            let row = line("PJSIP/a-1", "PJSIP/trunk-2", "ANSWERED", "u.1").replacen(
                "+4930123456",
                to,
                1,
            );
            crate::input::row::tell(&parse(row.as_bytes(), &berlin()).unwrap()[0])
        };
        for to in ["", "-", "n/a"] {
            assert_eq!(told(to), "1 refused destination missing_field", "{to}");
        }
        assert_eq!(told("Germany"), "1 refused destination invalid_number");
        for to in ["s", "1001", "voicemail", "*98", "queue-sales"] {
            assert!(told(to).starts_with("1 acme call 60 "), "{to} {}", told(to));
        }
    }

    #[test]
    fn identity_without_a_sequence() {
        let row = |tail: &str| {
            format!(
                "\"acme\",\"1\",\"2\",\"c\",\"x\",\"SIP/a-1\",\"SIP/b-2\",\"Dial\",\"\",\"2026-11-20 09:00:00\",\"2026-11-20 09:00:01\",\"2026-11-20 09:00:09\",9,8,\"ANSWERED\",\"DOC\"{tail}\n"
            )
        };
        for (tail, want) in [
            (",\"u.1\",\"\",\"\",\"l.1\",7", "u.1:7"),
            (",\"u.1\",\"\",\"\",\"l.1\"", "l.1:u.1:SIP/b-2"),
            (",\"u.1\"", "u.1:SIP/b-2"),
            ("", "row-"),
        ] {
            let rows = parse(row(tail).as_bytes(), &berlin()).unwrap();
            let [Row::Event { event, .. }] = &rows[..] else {
                panic!("{rows:?}")
            };
            assert!(event.id.starts_with(want), "{}", event.id);
            assert_eq!(
                event.attributes,
                [
                    ("application".into(), "Dial".into()),
                    ("context".into(), "c".into()),
                    ("trunk".into(), "SIP/b".into())
                ]
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cells in prop::collection::vec("[-0-9:a-zü\" ]{0,20}", 0..24)) {
            let _ = parse(&bytes, &berlin());
            let _ = parse(cells.join(",").as_bytes(), &berlin());
        }
    }
}
