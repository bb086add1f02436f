//! Windows against the calendar: what they contain, and that nothing changes before the next
//! boundary.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use rating::Instant;
use rating::card;
use rating::window::{Window, Zone};

/// Half-hour and two-hour changes of the clocks among them.
const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/New_York",
];
/// Days before: clocks forward and back in Europe, in Australia, the turn of a year, a leap day.
const BASES: [&str; 6] = [
    "2026-03-27T00:00:00Z",
    "2026-10-23T00:00:00Z",
    "2026-04-03T00:00:00Z",
    "2026-12-30T00:00:00Z",
    "2028-02-27T00:00:00Z",
    "2026-11-01T00:00:00Z",
];

fn clock() -> impl Strategy<Value = Option<(u32, u32)>> {
    prop::option::of((0_u32..24, prop::sample::select(vec![0_u32, 15, 30, 59])))
}

fn text(time: Option<(u32, u32)>) -> Option<String> {
    time.map(|(hours, minutes)| format!("{hours:02}:{minutes:02}"))
}

prop_compose! {
    fn a_window()(
        weekdays in prop::collection::vec(1_u8..=7, 0..4),
        months in prop::collection::vec(prop::sample::select(vec![1_u8, 2, 3, 4, 10, 11, 12]), 0..3),
        month_days in prop::collection::vec(prop::sample::select(vec![1_u8, 2, 25, 28, 29, 31]), 0..4),
        years in prop::collection::vec(2026_i16..2029, 0..2),
        from in clock(),
        until in clock(),
    ) -> card::Window {
        card::Window { weekdays, months, month_days, years, from: text(from), until: text(until) }
    }
}

fn contains(window: &card::Window, at: Instant, zone: &TimeZone) -> bool {
    let local = zone.to_datetime(at.timestamp());
    let minutes = |text: &Option<String>, absent: i32| {
        text.as_ref().map_or(absent, |t| {
            t.split(':')
                .fold(0, |sum, part| sum * 60 + part.parse::<i32>().unwrap())
        })
    };
    let (from, until) = (minutes(&window.from, 0), minutes(&window.until, 1_440));
    let time = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let among = |list: &[u8], n: i8| list.is_empty() || list.contains(&n.cast_unsigned());
    let on = |date: Date| {
        among(&window.weekdays, date.weekday().to_monday_one_offset())
            && among(&window.months, date.month())
            && among(&window.month_days, date.day())
            && (window.years.is_empty() || window.years.contains(&date.year()))
    };
    if from < until {
        return on(local.date()) && (from..until).contains(&time);
    }
    (on(local.date()) && time >= from) || (on(local.date().yesterday().unwrap()) && time < until)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn nothing_changes_before_the_next_boundary(
        window in a_window(),
        zone in prop::sample::select(ZONES.to_vec()),
        base in prop::sample::select(BASES.to_vec()),
        offset_secs in 0_i64..6 * 86_400,
        share in 0_i64..1_000,
    ) {
        let calendar = TimeZone::get(zone).unwrap();
        let zone = Zone::named(zone).unwrap();
        let Ok(compiled) = Window::compile(&window) else { return Ok(()) };
        let at = base.parse::<Instant>().unwrap().plus_secs(offset_secs);
        let inside = compiled.contains(zone.local(at));
        prop_assert_eq!(inside, contains(&window, at, &calendar));
        let next = compiled.next_boundary(&zone, at, zone.local(at));
        prop_assert!(next.is_none_or(|next| next > at));
        let end = next.unwrap_or(at.plus_secs(30 * 86_400)).micros();
        for between in [at.micros() + (end - at.micros()) / 1_000 * share, end - 1] {
            prop_assert_eq!(compiled.contains(zone.local(Instant(between))), inside, "{} to {:?}", at, next);
        }
    }

    #[test]
    fn windows_said_to_exclude_each_other_never_meet(
        a in a_window(),
        b in a_window(),
        zone in prop::sample::select(ZONES.to_vec()),
        base in prop::sample::select(BASES.to_vec()),
    ) {
        let zone = Zone::named(zone).unwrap();
        let (Ok(a), Ok(b)) = (Window::compile(&a), Window::compile(&b)) else { return Ok(()) };
        prop_assert_eq!(a.may_overlap(&b), b.may_overlap(&a));
        let start = base.parse::<Instant>().unwrap();
        for quarter in (0..6 * 96).filter(|_| !a.may_overlap(&b)) {
            let local = zone.local(start.plus_secs(quarter * 900));
            prop_assert!(!(a.contains(local) && b.contains(local)), "{}", start.plus_secs(quarter * 900));
        }
    }

    #[test]
    fn the_month_is_that_of_the_zone(zone in prop::sample::select(ZONES.to_vec()), at in 0_i64..4_102_444_800) {
        let local = TimeZone::get(zone).unwrap().to_datetime(Instant::from_secs(at).timestamp());
        let month = i32::from(local.year()) * 12 + i32::from(local.month()) - 1;
        prop_assert_eq!(Zone::named(zone).unwrap().month(Instant::from_secs(at)), month);
    }
}
