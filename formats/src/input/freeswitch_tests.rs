use super::*;
use crate::input::cdr::SecondsField;
use proptest::prelude::*;

const FIXTURE: &str = include_str!("../../../tests/fixtures/freeswitch_json_cdr.json");

fn one(body: &str, options: &Options) -> Row {
    let mut rows = parse(body.as_bytes(), options).unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn check(change: (&str, &str), options: &Options, want: &str) {
    let body = FIXTURE.replacen(change.0, change.1, 1);
    assert!(change.0.is_empty() || body != FIXTURE, "{change:?}");
    assert_eq!(
        crate::input::row::tell(&one(&body, options)),
        want,
        "{change:?}"
    );
}

const GOOD: &str = "1 acme-42 call 68 2026-11-20T08:00:03.954373Z +4930123456 from 1001 id \
    6f5902ac-0101-4a0b-9c00-000000000101";

#[test]
fn an_answered_call_becomes_an_event() {
    check(("", ""), &Options::default(), GOOD);
    let Row::Event { event, .. } = one(FIXTURE, &Options::default()) else {
        panic!()
    };
    assert_eq!(
        event.attributes,
        [
            ("direction".into(), "inbound".into()),
            ("hangup_cause".into(), "NORMAL_CLEARING".into())
        ]
    );
    assert_eq!(event.raw.as_deref(), Some(FIXTURE.trim()));
}

#[test]
fn the_tenant_chooses() {
    let millis = Options {
        seconds: SecondsField::Billmsec,
        ..Options::default()
    };
    check(("", ""), &millis, &GOOD.replace("call 68", "call 67.54"));
    let own = Options {
        customer: vec!["tenant".into(), "sip_from_user".into()],
        destination: Some("sip_to_user".into()),
        ..Options::default()
    };
    check(("", ""), &own, &GOOD.replace("acme-42", "1001"));
    let kept = Options {
        attributes: vec!["carrier".into(), "nothing".into()],
        ..Options::default()
    };
    let Row::Event { event, .. } = one(FIXTURE, &kept) else {
        panic!()
    };
    assert_eq!(event.attributes[0], ("carrier".into(), "north-1".into()));
    let plain = Options {
        url_encoded: false,
        ..Options::default()
    };
    check(("", ""), &plain, &GOOD.replace('+', "%2B"));
}

#[test]
fn what_is_not_usage_is_said() {
    let options = Options::default();
    let second = r#""direction": "outbound", "originator": "6f5902ac-0100-4a0b-9c00-000000000100""#;
    check(
        ("\"direction\": \"inbound\",\n", &format!("{second},\n")),
        &options,
        "1 skipped: a second leg of the call",
    );
    check(
        ("\"direction\": \"inbound\",\n", &format!("{second},\n")),
        &Options {
            both_legs: true,
            ..options.clone()
        },
        GOOD,
    );
    let unanswered = FIXTURE
        .replace("\"billsec\": \"68\"", "\"billsec\": \"0\"")
        .replace("67540", "0")
        .replace("67539896", "0");
    assert_eq!(
        crate::input::row::tell(&one(&unanswered, &options)),
        "1 skipped: not answered: NORMAL_CLEARING"
    );
    check(
        ("\"accountcode\": \"acme-42\",", ""),
        &options,
        "1 refused customer missing_field",
    );
    check(
        ("\"accountcode\": \"acme-42\",", "\"accountcode\": \"\","),
        &options,
        "1 refused customer missing_field",
    );
    check(
        ("\"billsec\": \"68\"", "\"billsec\": \"x\""),
        &options,
        "1 refused billsec invalid_field",
    );
    check(
        ("\"billsec\": \"68\",", ""),
        &options,
        "1 refused billsec missing_field",
    );
    // Answered and not answered: it was skipped.
    check(
        (
            "\"answer_uepoch\": \"1795161603954373\"",
            "\"answer_uepoch\": \"0\"",
        ),
        &options,
        "1 refused answer_epoch contradiction",
    );
    let never = FIXTURE.replace("1795161603954373", "0").replace(
        "\"answer_epoch\": \"1795161603\"",
        "\"answer_epoch\": \"0\"",
    );
    assert_eq!(
        crate::input::row::tell(&one(&never, &options)),
        "1 skipped: not answered: NORMAL_CLEARING"
    );
    check(
        ("\"answer_uepoch\": \"1795161603954373\",", ""),
        &options,
        &GOOD.replace(".954373", ""),
    );
    check(
        ("\"uuid\": \"6f5902ac-0101-4a0b-9c00-000000000101\",", ""),
        &options,
        "1 refused uuid missing_field",
    );
    check(
        ("\"variables\"", "\"vars\""),
        &options,
        "1 refused variables missing_field",
    );
}

#[test]
fn forms_and_files() {
    let options = Options::default();
    let compact = FIXTURE.trim();
    let encoded =
        percent_encoding::utf8_percent_encode(compact, percent_encoding::NON_ALPHANUMERIC);
    let packed = base64::engine::general_purpose::STANDARD.encode(compact);
    for body in [
        format!("cdr={encoded}"),
        format!("cdr={packed}"),
        format!("cdr={encoded}&uuid=a_1"),
        format!("[{compact}]"),
    ] {
        assert_eq!(crate::input::row::tell(&one(&body, &options)), GOOD);
    }
    let two = parse(format!("{compact}\n{compact}").as_bytes(), &options).unwrap();
    assert_eq!(two.iter().map(Row::line).collect::<Vec<_>>(), [1, 2]);
    for (bad, code) in [
        ("", "invalid_json"),
        ("x", "invalid_json"),
        ("cdr=%%", "invalid_field"),
        ("cdr=%ff", "invalid_field"),
        ("{]", "invalid_json"),
    ] {
        assert_eq!(
            parse(bad.as_bytes(), &options).unwrap_err().code.as_str(),
            code,
            "{bad}"
        );
    }
    assert!(matches!(one("[5]", &options), Row::Refused { .. }));
}

#[test]
fn a_bad_byte_in_a_name_costs_nobody_a_call() {
    let options = Options::default();
    let named = |bytes: &[u8]| {
        let unnamed = FIXTURE.replacen("\"caller_id_name\": \"Alice\",", "", 1);
        let (before, after) = unnamed.split_once("\"caller_id_number\"").unwrap();
        [
            before.as_bytes(),
            b"\"caller_id_name\": \"M",
            bytes,
            b"ller\", \"caller_id_number\"",
            after.as_bytes(),
        ]
        .concat()
    };
    let file = [named(b"\xfc"), b"\n".to_vec(), named("ü".as_bytes())].concat();
    let told: Vec<String> = parse(&file, &options)
        .unwrap()
        .iter()
        .map(crate::input::row::tell)
        .collect();
    assert_eq!(told, [GOOD.to_owned(), GOOD.replacen('1', "2", 1)]);
    let packed = base64::engine::general_purpose::STANDARD.encode(named(b"\xfc"));
    assert_eq!(
        crate::input::row::tell(&one(&format!("cdr={packed}"), &options)),
        GOOD
    );
    // What names somebody must be clean.
    let dirty = String::from_utf8(FIXTURE.as_bytes().to_vec())
        .unwrap()
        .replace("acme-42", "acme-XX")
        .into_bytes();
    let dirty: Vec<u8> = dirty
        .into_iter()
        .map(|byte| if byte == b'X' { 0xfc } else { byte })
        .collect();
    assert_eq!(
        crate::input::row::tell(&parse(&dirty, &options).unwrap()[0]),
        "1 refused customer invalid_field"
    );
}

#[test]
fn a_broken_record_costs_only_itself() {
    let compact: String = FIXTURE.split_whitespace().collect::<Vec<_>>().join(" ");
    let half = &compact[..compact.len() / 2];
    let file = format!("{compact}\n{half}\n{compact}\n{half}");
    let told: Vec<String> = parse(file.as_bytes(), &Options::default())
        .unwrap()
        .iter()
        .map(crate::input::row::tell)
        .collect();
    assert_eq!(
        told[1..],
        [
            "2 refused - invalid_json",
            &GOOD.replacen('1', "3", 1),
            "4 refused - incomplete_record"
        ]
    );
}

/// The fixture with a call flow of these numbers, newest first.
fn flow(stretches: &[(&str, &str)]) -> String {
    let stretch = |(index, to): &(&str, &str)| {
        format!(
            r#"{{"profile_index":"{index}","caller_profile":{{"caller_id_number":"1001","destination_number":"{to}"}}}}"#
        )
    };
    let stretches: Vec<String> = stretches.iter().map(stretch).collect();
    let start = FIXTURE.find("\"callflow\"").unwrap();
    format!(
        "{}\"callflow\":[{}]}}",
        &FIXTURE[..start],
        stretches.join(",")
    )
}

#[test]
fn a_transfer_does_not_change_what_was_dialled() {
    let options = Options::default();
    for stretches in [
        &[("2", "1002"), ("1", "+4930123456")][..],
        &[("", "1002"), ("", "+4930123456")],
        &[("1", "+4930123456")],
        &[("3", "1002"), ("2", "+4930123456"), ("1", "park")],
    ] {
        let row = one(&flow(stretches), &options);
        assert_eq!(crate::input::row::tell(&row), GOOD, "{stretches:?}");
        let Row::Event { event, .. } = row else {
            panic!()
        };
        let to = event
            .attributes
            .iter()
            .find(|(name, _)| name == "transferred_to")
            .map(|(_, to)| to.as_str());
        assert_eq!(to, (stretches.len() > 1).then_some("1002"));
    }
}

#[test]
fn both_legs_of_a_call_in_one_file_are_one_call() {
    let record = |uuid: &str, direction: &str, other: &str| {
        format!(
            r#"{{"variables":{{"uuid":"{uuid}","direction":"{direction}",{other}"accountcode":"a","answer_epoch":"1795161603","billsec":"60"}},"callflow":[{{"caller_profile":{{"destination_number":"100"}}}}]}}"#
        )
    };
    for (first, second) in [
        (
            record("A", "inbound", "\"bridge_uuid\":\"B\","),
            record("B", "outbound", "\"bridge_uuid\":\"A\","),
        ),
        (
            record("A", "inbound", "\"bridge_uuid\":\"B\","),
            record("B", "outbound", ""),
        ),
        (
            record("A", "", ""),
            record("B", "", "\"last_bridge_to\":\"A\","),
        ),
    ] {
        for file in [format!("{first}\n{second}"), format!("{second}\n{first}")] {
            let rows = parse(file.as_bytes(), &Options::default()).unwrap();
            let charged: Vec<&str> = rows
                .iter()
                .filter_map(|row| {
                    if let Row::Event { event, .. } = row {
                        Some(event.id.as_str())
                    } else {
                        None
                    }
                })
                .collect();
            assert!(
                charged == ["A"] || (charged == ["B"] && !file.contains("inbound")),
                "{charged:?} of {file}"
            );
            let both = Options {
                both_legs: true,
                ..Options::default()
            };
            assert_eq!(
                parse(file.as_bytes(), &both)
                    .unwrap()
                    .iter()
                    .filter(|row| matches!(row, Row::Event { .. }))
                    .count(),
                2
            );
        }
    }
}

#[test]
fn a_second_leg_shows_in_its_own_record_or_is_refused() {
    let tell = |more: &str| {
        let (direction, own) = (
            "\"direction\": \"inbound\",\n",
            "\"direction\": \"outbound\",",
        );
        let names = [
            "last_bridge_role",
            "bridge_uuid",
            "signal_bond",
            "last_bridge_to",
            "other_leg_unique_id",
        ];
        let unsaid = names.iter().fold(FIXTURE.to_owned(), |text, name| {
            text.replacen(&format!("\"{name}\""), &format!("\"x_{name}\""), 1)
        });
        crate::input::row::tell(&one(
            &unsaid.replacen(direction, &format!("{own}{more}\n"), 1),
            &Options::default(),
        ))
    };
    for (more, want) in [
        (
            "\"originating_leg_uuid\": \"A\",",
            "1 skipped: a second leg of the call",
        ),
        (
            "\"originator\": \"A\",",
            "1 skipped: a second leg of the call",
        ),
        (
            "\"bridge_uuid\": \"A\",",
            "1 refused bridge_uuid second_leg",
        ),
        (
            "\"signal_bond\": \"A\",",
            "1 refused signal_bond second_leg",
        ),
        (
            "\"last_bridge_role\": \"originatee\",",
            "1 skipped: a second leg of the call",
        ),
        // Click to call: the extension that rang first was charged, and the number outside was not.
        (
            "\"bridge_uuid\": \"B\", \"last_bridge_role\": \"originator\",",
            "1 refused bridge_uuid second_leg",
        ),
        ("", GOOD),
    ] {
        assert_eq!(tell(more), want, "{more}");
    }
}

/// An answered record with these further variables.
fn leg(id: &str, direction: &str, more: &[(&str, &str)]) -> String {
    let more: String = more
        .iter()
        .map(|(name, value)| format!(r#","{name}":"{value}""#))
        .collect();
    format!(
        r#"{{"variables":{{"uuid":"{id}","direction":"{direction}","accountcode":"acme","billsec":"60","answer_epoch":"1795161603"{more}}},"callflow":[{{"caller_profile":{{"destination_number":"100"}}}}]}}"#
    )
}

/// What becomes of each of these records.
fn outcomes(records: &[&str], options: &Options) -> Vec<&'static str> {
    let tell = |row: &Row| match row {
        Row::Event { .. } => "event",
        Row::Skipped { .. } => "skipped",
        Row::Refused { problem, .. } => {
            assert!(problem.detail.contains("both_legs"), "{}", problem.detail);
            problem.code.as_str()
        }
    };
    parse(records.join("\n").as_bytes(), options)
        .unwrap()
        .iter()
        .map(tell)
        .collect()
}

#[test]
fn both_halves_of_a_loopback_channel_are_one_call() {
    let (one, both) = (
        Options::default(),
        Options {
            both_legs: true,
            ..Options::default()
        },
    );
    let first = leg(
        "a",
        "inbound",
        &[("loopback_leg", "A"), ("other_loopback_leg_uuid", "b")],
    );
    let second = leg(
        "b",
        "inbound",
        &[("loopback_leg", "B"), ("other_loopback_leg_uuid", "a")],
    );
    assert_eq!(outcomes(&[&first, &second], &one), ["event", "skipped"]);
    assert_eq!(outcomes(&[&second, &first], &one), ["skipped", "event"]);
    assert_eq!(outcomes(&[&first], &one), ["event"]);
    assert_eq!(outcomes(&[&second], &one), ["second_leg"]);
    assert_eq!(outcomes(&[&first, &second], &both), ["event", "event"]);
    // As the switch makes them: the first half goes out, and the second comes in and names who made
    // it.
    let out = first.replace("\"inbound\"", "\"outbound\"");
    assert_eq!(outcomes(&[&second, &out], &one), ["skipped", "event"]);
    let made = leg("b", "inbound", &[("other_loopback_from_uuid", "a")]);
    assert_eq!(outcomes(&[&out, &made], &one), ["event", "skipped"]);
    // For a caller: the first half was made for it, and is no call either.
    let caller = leg(
        "x",
        "inbound",
        &[("bridge_uuid", "a"), ("last_bridge_role", "originator")],
    );
    let (for_it, reached) = (
        out.replace("\"uuid\"", "\"originator\":\"x\",\"uuid\""),
        leg("y", "outbound", &[("originator", "b")]),
    );
    assert_eq!(
        outcomes(&[&caller, &for_it, &second, &reached], &one),
        ["event", "skipped", "skipped", "skipped"]
    );
    // Which half it is is not said.
    assert_eq!(
        outcomes(
            &[&leg("b", "inbound", &[("other_loopback_leg_uuid", "a")])],
            &one
        ),
        ["second_leg"]
    );
}

/// The extension was charged, and the mobile that it was forwarded to was a second leg of it.
#[test]
fn a_call_that_was_forwarded_outside_is_no_second_leg() {
    let one = Options::default();
    let to = |record: String, number: &str| record.replace("\"100\"", &format!("{number:?}"));
    let told = |from: &str, on: &str, more: &[(&str, &str)]| {
        let call = to(
            leg(
                "a",
                "inbound",
                &[("bridge_uuid", "b"), ("last_bridge_role", "originator")],
            ),
            from,
        );
        let more: Vec<_> = [("originator", "a"), ("bridge_uuid", "a")]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let second = to(leg("b", "outbound", &more), on);
        let told = outcomes(&[&call, &second], &one);
        assert_eq!(
            outcomes(&[&second, &call], &one),
            told.iter().rev().copied().collect::<Vec<_>>()
        );
        assert_eq!(
            outcomes(
                &[&call, &second],
                &Options {
                    both_legs: true,
                    ..one.clone()
                }
            ),
            ["event", "event"]
        );
        assert_eq!(told[0], "event");
        // Who pays for it may be somebody else.
        assert_eq!(
            outcomes(&[&call.replace("acme", "beta"), &second], &one),
            told
        );
        assert_eq!(outcomes(&[&second], &one), ["skipped"]);
        told[1]
    };
    assert_eq!(told("200", "004917612345678", &[]), "second_leg");
    assert_eq!(told("+4930123456", "004917612345678", &[]), "second_leg");
    // The same number in another form; an extension, a ring group.
    for (from, on) in [
        ("004917612345678", "+4917612345678"),
        ("017612345678", "4917612345678"),
        ("9017612345678", "017612345678"),
    ] {
        assert_eq!(told(from, on, &[]), "skipped", "{from} {on}");
    }
    assert_eq!(told("+4930123456", "200", &[]), "skipped");
    assert_eq!(told("600", "201", &[]), "skipped");
    // A short number over a carrier's gateway.
    assert_eq!(told("200", "22833", &[]), "skipped");
    assert_eq!(
        told("200", "22833", &[("sip_gateway_name", "north")]),
        "second_leg"
    );
    assert_eq!(
        told("22833", "22833", &[("sip_gateway_name", "north")]),
        "skipped"
    );
    // Nobody answered there.
    let call = to(leg("a", "inbound", &[]), "200");
    let silent = to(
        leg("b", "outbound", &[("originator", "a")]),
        "004917612345678",
    )
    .replace("1795161603", "0");
    assert_eq!(outcomes(&[&call, &silent], &one), ["event", "skipped"]);
}

#[test]
fn legs_that_were_made_together_are_one_call() {
    let one = Options::default();
    let first = leg("a", "inbound", &[("originate_signal_bond", "b")]);
    let second = leg("b", "outbound", &[("originate_signal_bond", "a")]);
    assert_eq!(outcomes(&[&first, &second], &one), ["event", "skipped"]);
    assert_eq!(outcomes(&[&second, &first], &one), ["skipped", "event"]);
    assert_eq!(
        (outcomes(&[&first], &one), outcomes(&[&second], &one)),
        (vec!["event"], vec!["second_leg"])
    );
}

#[test]
fn who_names_its_originator_is_a_second_leg_whatever_its_direction_says() {
    let one = Options::default();
    let first = leg("a", "inbound", &[("bridge_uuid", "b")]);
    for name in [
        "originating_leg_uuid",
        "originator",
        "ent_originate_aleg_uuid",
    ] {
        for (direction, alone) in [
            ("outbound", "skipped"),
            ("Outbound", "skipped"),
            ("", "second_leg"),
            ("inbound", "second_leg"),
        ] {
            let second = leg("b", direction, &[(name, "a")]);
            assert_eq!(outcomes(&[&second], &one), [alone], "{name} {direction}");
            assert_eq!(
                outcomes(&[&first, &second], &one),
                ["event", "skipped"],
                "{name} {direction}"
            );
            assert_eq!(
                outcomes(&[&second, &first], &one),
                ["skipped", "event"],
                "{name} {direction}"
            );
        }
        // Itself is nobody else.
        assert_eq!(outcomes(&[&leg("b", "", &[(name, "b")])], &one), ["event"]);
    }
}

#[test]
fn a_form_with_two_records_is_refused() {
    let record = leg("a", "inbound", &[]);
    let encoded =
        percent_encoding::utf8_percent_encode(&record, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    let other = encoded.replace("%22a%22", "%22b%22");
    let problem = parse(
        format!("cdr={encoded}&cdr={other}").as_bytes(),
        &Options::default(),
    )
    .unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.field.as_deref()),
        ("invalid_field", Some("cdr"))
    );
    assert_eq!(
        parse(
            format!("cdr={encoded}&uuid=a").as_bytes(),
            &Options::default()
        )
        .unwrap()
        .len(),
        1
    );
}

#[test]
fn stretches_are_in_the_order_of_their_numbers() {
    for (stretches, want) in [
        (
            &[("1", "+4930123456"), ("2", "+88112345678")][..],
            "+4930123456",
        ),
        (
            &[("9", "+4930123456"), ("10", "+88112345678")],
            "+4930123456",
        ),
        (
            &[("10", "+88112345678"), ("9", "+4930123456")],
            "+4930123456",
        ),
        // Not all are numbered, or not differently: as they are listed, newest first.
        (
            &[("1", "+4930123456"), ("", "+88112345678")],
            "+88112345678",
        ),
        (
            &[("1", "+4930123456"), ("1", "+88112345678")],
            "+88112345678",
        ),
    ] {
        let row = one(&flow(stretches), &Options::default());
        let Row::Event { event, .. } = row else {
            panic!("{row:?}")
        };
        assert_eq!(event.destination.as_deref(), Some(want), "{stretches:?}");
    }
}

#[test]
fn what_is_told_twice_must_agree() {
    let (options, millis) = (
        Options::default(),
        Options {
            seconds: SecondsField::Billmsec,
            ..Options::default()
        },
    );
    let msec = "\"billmsec\": \"67540\"";
    for (to, want) in [
        ("\"billmsec\": \"6754\"", "contradiction"),
        ("\"billmsec\": \"675400\"", "contradiction"),
        ("\"billmsec\": \"0\"", "contradiction"),
        ("\"billmsec\": \"soon\"", "invalid_field"),
    ] {
        let field = if want == "contradiction" {
            "billsec"
        } else {
            "billmsec"
        };
        check((msec, to), &options, &format!("1 refused {field} {want}"));
        let body = FIXTURE.replacen(msec, to, 1);
        assert!(
            crate::input::row::tell(&one(&body, &millis)).ends_with(want),
            "{to}"
        );
    }
    check((msec, "\"billmsec\": \"69000\""), &options, GOOD);
    check((msec, "\"billmsec\": \"\""), &options, GOOD);
    check(
        ("\"billusec\": \"67539896\"", "\"billusec\": \"67539\""),
        &options,
        "1 refused billsec contradiction",
    );
    // Nobody is charged nothing for it.
    check(
        ("\"billsec\": \"68\"", "\"billsec\": \"0\""),
        &options,
        "1 refused billsec contradiction",
    );
    let start = "\"start_uepoch\": \"1795161600534355\"";
    check(
        (start, "\"start_uepoch\": \"1795164603954373\""),
        &options,
        "1 refused start_epoch contradiction",
    );
    let late = FIXTURE
        .replacen(start, "\"start_uepoch\": \"1795161604954373\"", 1)
        .replacen("\"duration\": \"71\"", "\"duration\": \"67\"", 1);
    assert_eq!(crate::input::row::tell(&one(&late, &options)), GOOD);
    // Longer than from the start to the end; a transfer ends it earlier.
    check(
        ("\"duration\": \"71\"", "\"duration\": \"710\""),
        &options,
        "1 refused duration contradiction",
    );
}

#[test]
fn times_in_another_unit_are_refused() {
    let options = Options::default();
    let micros = "\"answer_uepoch\": \"1795161603954373\"";
    check(
        (micros, "\"answer_uepoch\": \"1795161603\""),
        &options,
        "1 refused answer_uepoch invalid_field",
    );
    check(
        (micros, "\"answer_uepoch\": \"1795161603954\""),
        &options,
        "1 refused answer_uepoch invalid_field",
    );
    check(
        (
            "\"answer_epoch\": \"1795161603\"",
            "\"answer_epoch\": \"1795161603954\"",
        ),
        &options,
        "1 refused answer_epoch invalid_field",
    );
}

#[test]
fn a_variable_given_twice_is_refused() {
    check(
        (
            "\"billsec\": \"68\"",
            "\"billsec\": \"68\", \"billsec\": \"6800\"",
        ),
        &Options::default(),
        "1 refused variables.billsec invalid_field",
    );
    check(
        ("\"uuid\"", "\"uuid\": \"u2\", \"uuid\""),
        &Options::default(),
        "1 refused variables.uuid invalid_field",
    );
    check(
        ("\"variables\"", "\"variables\": {}, \"variables\""),
        &Options::default(),
        "1 refused variables invalid_field",
    );
    check(
        (
            "\"destination_number\"",
            "\"destination_number\": \"100\", \"destination_number\"",
        ),
        &Options::default(),
        "1 refused callflow.caller_profile.destination_number invalid_field",
    );
}

#[test]
fn two_legs_that_came_in_are_not_both_charged() {
    let record = |id: &str, other: &str, more: &str| {
        format!(
            r#"{{"variables":{{"uuid":"{id}","direction":"inbound","accountcode":"acme","billsec":"60","answer_epoch":"1795161603","bridge_uuid":"{other}"{more}}},"callflow":[{{"caller_profile":{{"destination_number":"100"}}}}]}}"#
        )
    };
    let told = |body: &str, options: &Options| -> Vec<String> {
        let tell = |row: &Row| match row {
            Row::Event { .. } => "event".to_owned(),
            Row::Skipped { .. } => "skipped".to_owned(),
            Row::Refused { problem, .. } => format!(
                "{} {}",
                problem.code,
                problem.field.as_deref().unwrap_or("-")
            ),
        };
        parse(body.as_bytes(), options)
            .unwrap()
            .iter()
            .map(tell)
            .collect()
    };
    let (first, second) = (record("a", "b", ""), record("b", "a", ""));
    let (asked, was_asked) = (
        ", \"last_bridge_role\": \"originator\"",
        ", \"last_bridge_role\": \"originatee\"",
    );
    let both = Options {
        both_legs: true,
        ..Options::default()
    };
    // Nothing says which of them is the call.
    assert_eq!(
        told(&format!("{first}\n{second}"), &Options::default()),
        ["second_leg bridge_uuid", "second_leg bridge_uuid"]
    );
    assert_eq!(
        told(&format!("{first}\n{second}"), &both),
        ["event", "event"]
    );
    // Who asked for the bridge is it, together or one by one.
    let (first, second) = (record("a", "b", asked), record("b", "a", was_asked));
    for file in [format!("{first}\n{second}"), format!("{second}\n{first}")] {
        let mut all = told(&file, &Options::default());
        all.sort();
        assert_eq!(all, ["event", "second_leg bridge_uuid"]);
    }
    assert_eq!(told(&first, &Options::default()), ["event"]);
    assert_eq!(
        told(&second, &Options::default()),
        ["second_leg bridge_uuid"]
    );
    assert_eq!(told(&second, &both), ["event"]);
    // It reached somebody itself before it was transferred to the other; or the other one was made
    // to reach it.
    let reached = record(
        "b",
        "a",
        ", \"last_bridge_role\": \"originatee\", \"originate_disposition\": \"SUCCESS\"",
    );
    assert_eq!(told(&reached, &Options::default()), ["event"]);
    let agent = first.replace("\"inbound\"", "\"outbound\"");
    assert_eq!(
        told(&format!("{second}\n{agent}"), &Options::default()),
        ["event", "skipped"]
    );
}

#[test]
fn a_record_that_contradicts_itself_is_not_charged() {
    let (options, end, refused) = (
        Options::default(),
        "\"end_uepoch\": \"1795161671494269\"",
        "1 refused billsec contradiction",
    );
    // Transferred before it ended.
    check(
        (end, "\"end_uepoch\": \"1795162671494269\""),
        &options,
        GOOD,
    );
    check(
        (end, "\"end_uepoch\": \"1795161613494269\""),
        &options,
        refused,
    );
    check(
        (end, "\"end_uepoch\": \"1795161003494269\""),
        &options,
        refused,
    );
    check(
        ("\"billsec\": \"68\"", "\"billsec\": \"6800\""),
        &options,
        refused,
    );
    check(
        ("\"duration\": \"71\"", "\"duration\": \"20\""),
        &options,
        refused,
    );
    let answered = "\"answer_epoch\": \"1795161603\"";
    check(
        (answered, "\"answer_epoch\": \"1795161003\""),
        &options,
        "1 refused answer_epoch contradiction",
    );
}

#[test]
fn a_file_of_records_is_known_whatever_its_encoding() {
    let utf16: Vec<u8> = FIXTURE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for file in [
        FIXTURE.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", FIXTURE.as_bytes()].concat(),
        [b"\xff\xfe", &utf16[..]].concat(),
    ] {
        assert!(is_json(&file));
        assert_eq!(
            crate::input::row::tell(&parse(&file, &Options::default()).unwrap()[0]),
            GOOD
        );
    }
    assert!(
        is_json(b"cdr=%7B%7D") && is_json(b" [") && !is_json(b"\"X\",1002,+4930") && !is_json(b"")
    );
}

/// Each was charged as a call inside the house.
#[test]
fn a_record_that_says_no_number_called_is_refused() {
    let (options, refused) = (Options::default(), "1 refused destination missing_field");
    let number = "\"destination_number\": \"%2B4930123456\"";
    let without = FIXTURE
        .replace("\"park\"", "\"\"")
        .replace(number, "\"destination_number\": \"\"");
    assert_eq!(crate::input::row::tell(&one(&without, &options)), refused);
    assert_eq!(
        crate::input::row::tell(&one(&FIXTURE.replace("\"callflow\"", "\"flow\""), &options)),
        refused
    );
    assert_eq!(crate::input::row::tell(&one(&flow(&[]), &options)), refused);
    let named = FIXTURE
        .replace("\"park\"", "\"Germany\"")
        .replace("%2B4930123456", "Germany");
    assert_eq!(
        crate::input::row::tell(&one(&named, &options)),
        "1 refused destination invalid_number"
    );
    // A variable that has it.
    let named = Options {
        destination: Some("sip_to_user".into()),
        ..options
    };
    assert_eq!(crate::input::row::tell(&one(&without, &named)), GOOD);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn never_panics(at in 0..FIXTURE.len(), cut in 0..40_usize, put in "[-0-9a-z%\"{}\\[\\]:,]{0,6}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let end = (at + cut).min(FIXTURE.len());
        let _ = parse(format!("{}{put}{}", &FIXTURE[..at], &FIXTURE[end..]).as_bytes(), &Options::default());
        let _ = parse(&bytes, &Options::default());
        let _ = parse(&[b"cdr=", &bytes[..]].concat(), &Options::default());
    }
}
