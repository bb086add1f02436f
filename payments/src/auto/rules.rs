//! When a balance is topped up by itself, and what its row is afterwards. Pure.
//!
//! A month's spending is counted when a top-up begins, and given back if it fails: so no crash
//! exceeds the cap.

use crate::rows::{AutoState, AutoTopUp};
use db::retry::pause_secs;
use provider::Decline;
use rating::ids::TopUpId;
use rating::{Cents, Instant, Overflow};

/// After a top-up that came in.
pub const COOL_DOWN_SECS: i64 = 60;
/// After the first refusal; doubled with each further one in a row, up to the other.
pub const BACK_OFF_SECS_MIN: i64 = 3600;
pub const BACK_OFF_SECS_MAX: i64 = 12 * 3600;
/// Refusals of one day (UTC), and refusals in a row after which the payer must do something.
pub const DAY_FAILURES_MAX: i64 = 3;
pub const FAILURES_MAX: i64 = 9;
/// A balance is looked at this often, whatever was heard of it.
pub const LOOK_SECS: i64 = 60;

const DAY_SECS: i64 = 86_400;

/// Why nothing is begun now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Off, paused, or without a method.
    NotOn,
    UnderWay,
    /// Until then.
    Until(Instant),
    /// The balance is above the threshold.
    Enough,
    /// It is not, because something else than usage was taken from it.
    NotByUsage,
    /// Until the next month begins.
    MonthSpent(Instant),
    /// A payment of this tenant is disputed.
    Disputed,
}

/// How a top-up that was under way ended without money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Declined(Decline),
    /// The provider refused it as it was, or nobody will ever know: a human must look.
    Refused(String),
}

impl End {
    /// A stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Declined(decline) => decline.reason.as_deref().unwrap_or(&decline.code),
            Self::Refused(code) => code,
        }
    }

    pub fn needs_payer(&self) -> bool {
        matches!(self, Self::Declined(decline) if decline.needs_payer)
    }

    fn is_the_last(&self) -> bool {
        match self {
            Self::Declined(decline) => decline.is_hard || decline.needs_payer,
            Self::Refused(_) => true,
        }
    }
}

/// Whether a top-up may begin. `balance` was read after the row.
pub fn may_begin(
    auto: &AutoTopUp,
    balance: Cents,
    disputes: i64,
    now: Instant,
) -> Result<(), Wait> {
    if auto.state != AutoState::On || auto.customer.is_none() || auto.method.is_none() {
        return Err(Wait::NotOn);
    }
    if auto.open.is_some() {
        return Err(Wait::UnderWay);
    }
    if balance > auto.threshold {
        return Err(Wait::Enough);
    }
    // What usage alone would have left.
    if balance
        .checked_add(auto.other)
        .is_ok_and(|by_usage| by_usage > auto.threshold)
    {
        return Err(Wait::NotByUsage);
    }
    if now < auto.not_before {
        return Err(Wait::Until(auto.not_before));
    }
    if disputes > 0 {
        return Err(Wait::Disputed);
    }
    let (month, next_month) = month_of(now);
    let spent = if auto.month == month {
        auto.month_spent
    } else {
        Cents::ZERO
    };
    match spent.checked_add(auto.amount) {
        Ok(spent) if spent <= auto.month_max => Ok(()),
        _ => Err(Wait::MonthSpent(next_month)),
    }
}

/// With a top-up under way.
pub fn begun(auto: &AutoTopUp, top_up: TopUpId, now: Instant) -> Result<AutoTopUp, Overflow> {
    let (month, _) = month_of(now);
    let spent = if auto.month == month {
        auto.month_spent
    } else {
        Cents::ZERO
    };
    Ok(AutoTopUp {
        open: Some(top_up),
        month,
        month_spent: spent.checked_add(auto.amount)?,
        next_at: Some(now.plus_secs(LOOK_SECS)),
        updated_at: now,
        ..auto.clone()
    })
}

/// The money is there.
pub fn succeeded(auto: &AutoTopUp, now: Instant) -> AutoTopUp {
    let not_before = now.plus_secs(COOL_DOWN_SECS);
    AutoTopUp {
        open: None,
        failures: 0,
        not_before,
        next_at: look_at(auto.state, not_before),
        updated_at: now,
        ..auto.clone()
    }
}

/// The money (`cents`, begun at `begun_at`) will not come.
pub fn failed(
    auto: &AutoTopUp,
    end: &End,
    cents: Cents,
    begun_at: Instant,
    now: Instant,
) -> Result<AutoTopUp, Overflow> {
    let (day, failures) = (day_of(now), auto.failures + 1);
    let day_failures = if auto.day == day {
        auto.day_failures + 1
    } else {
        1
    };
    let same_month = auto.month == month_of(begun_at).0;
    let month_spent = if same_month {
        auto.month_spent.checked_sub(cents)?.max(Cents::ZERO)
    } else {
        auto.month_spent
    };
    let mut after = AutoTopUp {
        open: None,
        day,
        day_failures,
        failures,
        month_spent,
        updated_at: now,
        ..auto.clone()
    };
    if auto.state == AutoState::On && (end.is_the_last() || failures >= FAILURES_MAX) {
        after.state = AutoState::Paused;
        after.pause = Some(end.code().to_owned());
    }
    let pause = pause_secs(BACK_OFF_SECS_MIN, BACK_OFF_SECS_MAX, failures);
    after.not_before = now.plus_secs(pause);
    if day_failures >= DAY_FAILURES_MAX {
        after.not_before = after
            .not_before
            .max(Instant::from_secs((day + 1) * DAY_SECS));
    }
    after.next_at = look_at(after.state, after.not_before);
    Ok(after)
}

/// The row after a move of its balance by anything but usage. What was taken is remembered until as
/// much came in by other ways than an automatic top-up.
pub fn moved(auto: &AutoTopUp, cents: Cents) -> Result<AutoTopUp, Overflow> {
    Ok(AutoTopUp {
        other: auto.other.checked_sub(cents)?.max(Cents::ZERO),
        ..auto.clone()
    })
}

/// Paused until its payer does something.
pub fn paused(auto: &AutoTopUp, why: &str, now: Instant) -> AutoTopUp {
    let state = if auto.state == AutoState::On {
        AutoState::Paused
    } else {
        auto.state
    };
    let pause = if state == AutoState::Paused {
        Some(why.to_owned())
    } else {
        auto.pause.clone()
    };
    AutoTopUp {
        state,
        pause,
        next_at: auto.open.and(auto.next_at),
        updated_at: now,
        ..auto.clone()
    }
}

/// Off, because its tenant may pay no longer.
pub fn switched_off(auto: &AutoTopUp, why: &str, now: Instant) -> AutoTopUp {
    let (state, pause) = (AutoState::Off, Some(why.to_owned()));
    AutoTopUp {
        state,
        pause,
        next_at: auto.open.and(auto.next_at),
        updated_at: now,
        ..auto.clone()
    }
}

/// Paused, because what it was to be paid with is gone.
pub fn without_method(auto: &AutoTopUp, why: &str, now: Instant) -> AutoTopUp {
    let state = if auto.state == AutoState::On {
        AutoState::Paused
    } else {
        auto.state
    };
    let pause = (state == AutoState::Paused).then(|| why.to_owned());
    // A top-up under way is still followed.
    AutoTopUp {
        state,
        pause,
        method: None,
        next_at: auto.open.and(auto.next_at),
        updated_at: now,
        ..auto.clone()
    }
}

/// With a method that its payer just paid a top-up with: whatever it was paused for is settled.
pub fn with_method(
    auto: &AutoTopUp,
    top_up: TopUpId,
    customer: &str,
    method: &str,
    now: Instant,
) -> AutoTopUp {
    let state = if auto.state == AutoState::Paused {
        AutoState::On
    } else {
        auto.state
    };
    AutoTopUp {
        state,
        pause: None,
        customer: Some(customer.to_owned()),
        method: Some(method.to_owned()),
        kept: Some(top_up),
        failures: 0,
        day_failures: 0,
        not_before: now.plus_secs(COOL_DOWN_SECS),
        next_at: auto
            .open
            .and(auto.next_at)
            .or(look_at(state, now.plus_secs(COOL_DOWN_SECS))),
        updated_at: now,
        ..auto.clone()
    }
}

/// Whether and when it is looked at again.
pub fn look_at(state: AutoState, at: Instant) -> Option<Instant> {
    (state == AutoState::On).then_some(at)
}

pub fn day_of(at: Instant) -> i64 {
    at.micros().div_euclid(DAY_SECS * 1_000_000)
}

/// The number of a month, and when the next begins; in UTC.
pub fn month_of(at: Instant) -> (i64, Instant) {
    let date = at.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let next = date
        .last_of_month()
        .tomorrow()
        .ok()
        .and_then(|first| first.to_zoned(jiff::tz::TimeZone::UTC).ok());
    (
        month,
        next.and_then(|next| Instant::from_micros(next.timestamp().as_microsecond()))
            .unwrap_or(Instant::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::{Currency, TenantId};

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn now() -> Instant {
        at("2026-11-20T09:00:00Z")
    }

    /// Tops up 50.00 below 10.00, at most 120.00 a month.
    fn auto() -> AutoTopUp {
        AutoTopUp {
            root: TenantId(1),
            tenant: TenantId(2),
            currency: Currency::EUR,
            state: AutoState::On,
            threshold: Cents(1000),
            amount: Cents(5000),
            month_max: Cents(12_000),
            customer: Some("cus_1".into()),
            method: Some("pm_1".into()),
            kept: Some(TopUpId(1)),
            pause: None,
            open: None,
            month: 0,
            month_spent: Cents(11_000),
            day: 0,
            day_failures: 3,
            failures: 0,
            not_before: Instant::MIN,
            next_at: Some(Instant::MIN),
            seen: None,
            other: Cents::ZERO,
            created_at: Instant::MIN,
            updated_at: Instant::MIN,
        }
    }

    fn declined(reason: &str, is_hard: bool, needs_payer: bool) -> End {
        End::Declined(Decline {
            code: "card_declined".into(),
            reason: Some(reason.into()),
            is_hard,
            needs_payer,
        })
    }

    #[test]
    fn the_ladder_of_reasons_to_wait() {
        let check = |auto: &AutoTopUp, balance, disputes, expected| {
            assert_eq!(may_begin(auto, Cents(balance), disputes, now()), expected);
        };
        check(&auto(), 1000, 0, Ok(()));
        check(&auto(), 1001, 0, Err(Wait::Enough));
        check(&auto(), -5000, 1, Err(Wait::Disputed));
        for off in [AutoState::Paused, AutoState::Off] {
            check(
                &AutoTopUp {
                    state: off,
                    ..auto()
                },
                0,
                0,
                Err(Wait::NotOn),
            );
        }
        check(
            &AutoTopUp {
                method: None,
                ..auto()
            },
            0,
            0,
            Err(Wait::NotOn),
        );
        check(
            &AutoTopUp {
                open: Some(TopUpId(1)),
                ..auto()
            },
            0,
            0,
            Err(Wait::UnderWay),
        );
        check(
            &AutoTopUp {
                other: Cents(500),
                ..auto()
            },
            600,
            0,
            Err(Wait::NotByUsage),
        );
        check(
            &AutoTopUp {
                other: Cents(500),
                ..auto()
            },
            500,
            0,
            Ok(()),
        );
        let later = now().plus_secs(1);
        check(
            &AutoTopUp {
                not_before: later,
                ..auto()
            },
            0,
            0,
            Err(Wait::Until(later)),
        );
        check(
            &AutoTopUp {
                not_before: now(),
                ..auto()
            },
            0,
            0,
            Ok(()),
        );
    }

    #[test]
    fn what_was_taken_otherwise_is_made_up_by_what_comes_in() {
        let after = |moves: &[i64]| {
            moves
                .iter()
                .fold(auto(), |row, cents| moved(&row, Cents(*cents)).unwrap())
                .other
                .0
        };
        assert_eq!(after(&[-500]), 500);
        assert_eq!(after(&[-500, 200, -100]), 400);
        assert_eq!(
            after(&[5000, -500]),
            500,
            "what came in before makes up for nothing"
        );
        assert_eq!(after(&[-500, 5000, -1]), 1);
        assert!(
            moved(
                &AutoTopUp {
                    other: Cents(i64::MAX),
                    ..auto()
                },
                Cents(-1)
            )
            .is_err()
        );
    }

    #[test]
    fn what_its_tenant_may_not_pay_is_off() {
        let off = switched_off(&auto(), "tenant_closed", now());
        assert_eq!(
            (off.state, off.pause.as_deref(), off.next_at),
            (AutoState::Off, Some("tenant_closed"), None)
        );
        let refunded = paused(&auto(), "refunded", now());
        assert_eq!(
            (
                refunded.state,
                refunded.pause.as_deref(),
                refunded.method.is_some()
            ),
            (AutoState::Paused, Some("refunded"), true)
        );
        assert_eq!(
            paused(&off, "refunded", now()).pause.as_deref(),
            Some("tenant_closed")
        );
    }

    #[test]
    fn a_month_has_its_cap() {
        let mut row = auto();
        for id in 1..=2 {
            assert_eq!(may_begin(&row, Cents(0), 0, now()), Ok(()));
            row = AutoTopUp {
                not_before: now(),
                ..succeeded(&begun(&row, TopUpId(id), now()).unwrap(), now())
            };
        }
        assert_eq!(row.month_spent, Cents(10_000));
        assert_eq!(
            may_begin(&row, Cents(0), 0, now()),
            Err(Wait::MonthSpent(at("2026-12-01T00:00:00Z")))
        );
        assert_eq!(
            may_begin(&row, Cents(0), 0, at("2026-12-01T00:00:00Z")),
            Ok(())
        );
    }

    #[test]
    fn what_failed_is_not_spent() {
        let under_way = begun(&auto(), TopUpId(1), now()).unwrap();
        assert_eq!(under_way.month_spent, Cents(5000));
        let after = failed(
            &under_way,
            &declined("insufficient_funds", false, false),
            Cents(5000),
            now(),
            now(),
        )
        .unwrap();
        assert_eq!(
            (after.month_spent, after.open, after.state),
            (Cents::ZERO, None, AutoState::On)
        );
        // Begun in November, failed in December, when something was spent already.
        let december = AutoTopUp {
            month: month_of(at("2026-12-01T00:00:00Z")).0,
            month_spent: Cents(5000),
            ..under_way
        };
        let after = failed(
            &december,
            &declined("insufficient_funds", false, false),
            Cents(5000),
            now(),
            at("2026-12-02T00:00:00Z"),
        );
        assert_eq!(after.unwrap().month_spent, Cents(5000));
    }

    #[test]
    fn a_declined_card_is_tried_three_times_a_day_and_nine_times_in_all() {
        let (mut row, mut tried, mut time) = (auto(), Vec::new(), at("2026-11-20T00:00:00Z"));
        for _ in 0..10 * 24 * 60 {
            if may_begin(&row, Cents(0), 0, time).is_ok() {
                tried.push(day_of(time));
                let under_way = begun(&row, TopUpId(1), time).unwrap();
                row = failed(
                    &under_way,
                    &declined("insufficient_funds", false, false),
                    Cents(5000),
                    time,
                    time,
                )
                .unwrap();
            }
            time = time.plus_secs(60);
        }
        let most = tried
            .iter()
            .map(|day| tried.iter().filter(|other| *other == day).count())
            .max();
        assert_eq!((tried.len(), most), (9, Some(3)), "{tried:?}");
        assert_eq!(
            (row.state, row.pause.as_deref(), row.next_at),
            (AutoState::Paused, Some("insufficient_funds"), None)
        );
    }

    #[test]
    fn what_cannot_help_pauses_at_once() {
        for end in [
            declined("lost_card", true, false),
            declined("authentication_required", false, true),
            End::Refused("unknown".into()),
        ] {
            let after = failed(
                &begun(&auto(), TopUpId(1), now()).unwrap(),
                &end,
                Cents(5000),
                now(),
                now(),
            )
            .unwrap();
            assert_eq!(
                (after.state, after.pause.as_deref(), after.next_at),
                (AutoState::Paused, Some(end.code()), None)
            );
            let resumed = with_method(&after, TopUpId(2), "cus_2", "pm_2", now());
            assert_eq!(
                (resumed.state, resumed.pause, resumed.failures),
                (AutoState::On, None, 0)
            );
        }
    }

    #[test]
    fn without_a_method_it_is_paused() {
        let gone = without_method(&auto(), "method_gone", now());
        assert_eq!(
            (gone.state, gone.pause.as_deref(), &gone.method),
            (AutoState::Paused, Some("method_gone"), &None)
        );
        let off = without_method(
            &AutoTopUp {
                state: AutoState::Off,
                ..auto()
            },
            "method_gone",
            now(),
        );
        assert_eq!(
            (off.state, off.pause, off.method),
            (AutoState::Off, None, None)
        );
    }

    #[test]
    fn months_are_utc() {
        assert_eq!(
            month_of(at("2026-12-31T23:59:59Z")),
            (2026 * 12 + 11, at("2027-01-01T00:00:00Z"))
        );
        assert_eq!(month_of(at("2027-01-01T00:00:00Z")).0, 2027 * 12);
    }
}
