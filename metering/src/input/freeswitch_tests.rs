use super::*;
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
    assert_eq!(super::super::tell(&one(&body, options)), want, "{change:?}");
}

const GOOD: &str = "1 acme-42 call 68 2026-11-20T08:00:03.954373Z +4930123456 from 1001 id 6f5902ac-0101-4a0b-9c00-000000000101";

#[test]
fn an_answered_call_becomes_an_event() {
    check(("", ""), &Options::default(), GOOD);
    let Row::Event { event, .. } = one(FIXTURE, &Options::default()) else { panic!() };
    assert_eq!(event.attributes, [("direction".into(), "inbound".into()), ("hangup_cause".into(), "NORMAL_CLEARING".into())]);
    assert_eq!(event.raw.as_deref(), Some(FIXTURE.trim()));
}

#[test]
fn the_tenant_chooses() {
    let millis = Options { seconds: SecondsField::Billmsec, ..Options::default() };
    check(("", ""), &millis, &GOOD.replace("call 68", "call 67.54"));
    let own =
        Options { customer: vec!["tenant".into(), "sip_from_user".into()], destination: Some("sip_to_user".into()), ..Options::default() };
    check(("", ""), &own, &GOOD.replace("acme-42", "1001"));
    let kept = Options { attributes: vec!["carrier".into(), "nothing".into()], ..Options::default() };
    let Row::Event { event, .. } = one(FIXTURE, &kept) else { panic!() };
    assert_eq!(event.attributes[0], ("carrier".into(), "north-1".into()));
    let plain = Options { url_encoded: false, ..Options::default() };
    check(("", ""), &plain, &GOOD.replace('+', "%2B"));
}

#[test]
fn what_is_not_usage_is_said() {
    let options = Options::default();
    let second = r#""direction": "outbound", "originator": "6f5902ac-0100-4a0b-9c00-000000000100""#;
    check(("\"direction\": \"inbound\",\n", &format!("{second},\n")), &options, "1 skipped: a second leg of the call");
    check(("\"direction\": \"inbound\",\n", &format!("{second},\n")), &Options { both_legs: true, ..options.clone() }, GOOD);
    check(("\"billsec\": \"68\"", "\"billsec\": \"0\""), &options, "1 skipped: not answered: NORMAL_CLEARING");
    check(("\"accountcode\": \"acme-42\",", ""), &options, "1 refused customer missing_field");
    check(("\"accountcode\": \"acme-42\",", "\"accountcode\": \"\","), &options, "1 refused customer missing_field");
    check(("\"billsec\": \"68\"", "\"billsec\": \"x\""), &options, "1 refused billsec invalid_field");
    check(("\"billsec\": \"68\",", ""), &options, "1 refused billsec missing_field");
    check(("\"answer_uepoch\": \"1795161603954373\"", "\"answer_uepoch\": \"0\""), &options, "1 refused answer_uepoch missing_field");
    check(("\"answer_uepoch\": \"1795161603954373\",", ""), &options, &GOOD.replace(".954373", ""));
    check(("\"uuid\": \"6f5902ac-0101-4a0b-9c00-000000000101\",", ""), &options, "1 refused uuid missing_field");
    check(("\"variables\"", "\"vars\""), &options, "1 refused variables missing_field");
}

#[test]
fn forms_and_files() {
    let options = Options::default();
    let compact = FIXTURE.trim();
    let encoded = percent_encoding::utf8_percent_encode(compact, percent_encoding::NON_ALPHANUMERIC);
    let packed = base64::engine::general_purpose::STANDARD.encode(compact);
    for body in [format!("cdr={encoded}"), format!("cdr={packed}"), format!("cdr={encoded}&uuid=a_1"), format!("[{compact}]")] {
        assert_eq!(super::super::tell(&one(&body, &options)), GOOD);
    }
    let two = parse(format!("{compact}\n{compact}").as_bytes(), &options).unwrap();
    assert_eq!(two.iter().map(Row::line).collect::<Vec<_>>(), [1, 2]);
    for (bad, code) in
        [("", "invalid_json"), ("x", "invalid_json"), ("cdr=%%", "invalid_field"), ("cdr=%ff", "invalid_field"), ("{", "invalid_json")]
    {
        assert_eq!(parse(bad.as_bytes(), &options).unwrap_err().code, code, "{bad}");
    }
    assert!(matches!(one("[5]", &options), Row::Refused { .. }));
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
