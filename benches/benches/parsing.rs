//! Bytes to usage events, in every form they come in: 1000 events (200 records of a switch), each
//! with an id of its own. The events and the sum of their quantities are what was written.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use formats::input::{Parsed, Row, asterisk, cdr::Options, cloudevents, freeswitch, json, ndjson};
use metering::requests::UsageEvent;
use rating::Quantity;
use std::hint::black_box;

const EVENTS: usize = 1_000;
const RECORDS: usize = 200;

fn seconds(number: usize) -> usize {
    1 + number % 600
}

fn event(number: usize) -> String {
    format!(
        r#"{{"id":"01934b6e-7a10-7c31-8f00-{number:012x}","source":"pbx-1","customer":"acme-{:04}","meter":"call","quantity":"{}","at":"2026-11-20T09:00:00Z","destination":"+49301{number:07}"}}"#,
        number % 100,
        seconds(number)
    )
}

fn cloudevent(number: usize) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"01934b6e-7a10-7c31-8f00-{number:012x}","source":"/pbx/1","type":"call","subject":"acme-{:04}","time":"2026-11-20T09:00:00Z","datacontenttype":"application/json","data":{{"quantity":{},"destination":"+49301{number:07}"}}}}"#,
        number % 100,
        seconds(number)
    )
}

/// The first record of the fixture under other ids: some 60 variables, of which eight are looked
/// at.
fn freeswitch_records() -> String {
    let file = include_str!("../../tests/fixtures/freeswitch_json_cdr.json");
    let first: serde_json::Value = serde_json::Deserializer::from_str(file)
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let record = |number: usize| {
        let mut record = first.clone();
        record["variables"]["uuid"] = format!("6f5902ac-0101-4a0b-9c00-{number:012x}").into();
        record["variables"]["billsec"] = seconds(number).to_string().into();
        record["variables"]["billmsec"] = (seconds(number) * 1000).to_string().into();
        record["variables"]["billusec"] = (seconds(number) * 1_000_000).to_string().into();
        record["variables"]["duration"] = (seconds(number) + 3).to_string().into();
        record["variables"]["mduration"] = ((seconds(number) + 3) * 1000).to_string().into();
        record["variables"]["uduration"] = ((seconds(number) + 3) * 1_000_000).to_string().into();
        let answered: u64 = record["variables"]["answer_uepoch"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let ended = answered + seconds(number) as u64 * 1_000_000;
        record["variables"]["end_uepoch"] = ended.to_string().into();
        record["variables"]["end_epoch"] = (ended / 1_000_000).to_string().into();
        record.to_string()
    };
    (0..RECORDS).map(record).collect::<Vec<_>>().join("\n")
}

fn asterisk_rows() -> String {
    let row = |number: usize| {
        let billed = seconds(number);
        let ended = 7 * 60 + 24 + billed;
        let ended = format!("09:{:02}:{:02}", ended / 60, ended % 60);
        format!(
            r#""acme-42","15550100001","+49301{number:07}","from-pbx","""Alice"" <15550100001>","SIP/211474-00000000","SIP/north-00000001","Dial","SIP/north/4930123456,60","2026-11-20 09:07:20","2026-11-20 09:07:24","2026-11-20 {ended}",{},{billed},"ANSWERED","DOCUMENTATION","1795165644.{number}","","","1795165644.{number}",{number}"#,
            billed + 4
        )
    };
    (0..RECORDS).map(row).collect::<Vec<_>>().join("\n")
}

fn check(events: impl Iterator<Item = UsageEvent>, expected: usize) {
    let (mut count, mut sum) = (0, 0);
    for event in events {
        count += 1;
        sum += event.quantity.0;
    }
    let quantity = (0..expected).map(seconds).sum::<usize>();
    assert_eq!(
        (count, Quantity(sum)),
        (expected, Quantity::whole(quantity as i64))
    );
}

fn of_body(parsed: Vec<Parsed>) -> impl Iterator<Item = UsageEvent> {
    parsed.into_iter().map(Result::unwrap)
}

fn of_file(rows: Vec<Row>) -> impl Iterator<Item = UsageEvent> {
    rows.into_iter()
        .map(|row| row.into_parsed().unwrap().unwrap())
}

fn parsing(c: &mut Criterion) {
    let all = |one: fn(usize) -> String, between: &str| {
        (0..EVENTS).map(one).collect::<Vec<_>>().join(between)
    };
    let array = format!("[{}]", all(event, ","));
    let lines = all(event, "\n");
    let cloud = format!("[{}]", all(cloudevent, ","));
    let (freeswitch, asterisk) = (freeswitch_records(), asterisk_rows());
    let options = Options {
        zone: Some("Europe/Berlin".to_owned()),
        ..Options::default()
    };
    let mut group = c.benchmark_group("parsing");
    let mut bench = |name: &str, body: &str, count: usize, parse: &dyn Fn(&[u8])| {
        group.throughput(Throughput::ElementsAndBytes {
            elements: count as u64,
            bytes: body.len() as u64,
        });
        group.bench_function(name, |b| b.iter(|| parse(black_box(body.as_bytes()))));
    };
    bench("json array", &array, EVENTS, &|body| {
        check(of_body(json::parse(body).unwrap()), EVENTS)
    });
    bench("ndjson", &lines, EVENTS, &|body| {
        check(of_body(ndjson::parse(body).unwrap()), EVENTS)
    });
    bench("cloudevents", &cloud, EVENTS, &|body| {
        check(of_body(cloudevents::parse(body, None).unwrap()), EVENTS)
    });
    bench("freeswitch", &freeswitch, RECORDS, &|body| {
        check(of_file(freeswitch::parse(body, &options).unwrap()), RECORDS)
    });
    bench("asterisk", &asterisk, RECORDS, &|body| {
        check(of_file(asterisk::parse(body, &options).unwrap()), RECORDS)
    });
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = parsing);
criterion_main!(benches);
