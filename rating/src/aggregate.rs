//! How usage moves a counter: count, sum, max, unique, latest, and what a withdrawal leaves.
//!
//! `quantity` is what P is asked for, `events` how many reports stand. `count` and `sum` need
//! nothing but the counter. The others are decided by the *distinct values* of the counter: the
//! distinct values reported, each with how often it stands ([`distinct_value_text`] makes the
//! value).
//!
//! | aggregation | a report needs | a withdrawal needs |
//! |---|---|---|
//! | count, sum | nothing: `Report(Known::default())` | nothing: `Withdraw(Left::default())` |
//! | unique | `standing`: count of this value before | `standing`: count of this value after |
//! | max | nothing | `value`: [`standing_value`] of all distinct values after it is taken out |
//! | latest | `newest`: from the distinct value [`NEWEST`] | `value`: likewise |
//!
//! The caller then writes the distinct value's count ±1, and for `latest` the distinct value
//! [`NEWEST`] with the instant and the reporter's level of the value that stands. Of two reports of
//! one instant the larger is the latest: the order of arrival never decides.
//!
//! Invariant: a withdrawal restores quantity and events exactly as if the report had never been.

use crate::card::Aggregation;
use crate::usage::Counter;
use crate::{Instant, Overflow, Quantity};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How far below the platform a reporter is: 0 is the platform. Of `latest` values, those of the
/// highest reporter count.
pub type Level = u8;

/// Member of a `latest` counter whose `at` is the instant of the value that stands.
pub const NEWEST: &str = "";

/// What happens to a counter, with what must be known of its distinct values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DistinctValueChange {
    Report(Known),
    Withdraw(Left),
}

/// Before a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// `unique`: how often this value stands already.
    pub standing: i64,
    /// `latest`: the event's own reporter and instant.
    pub level: Level,
    pub at: Instant,
    /// `latest`: of the value that stands; `None` if there is none.
    pub newest: Option<Newest>,
}

/// Which `latest` value stands: of the highest reporter, the one of the latest instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest {
    pub level: Reverse<Level>,
    pub at: Instant,
}

/// The value that stands, of `max` and `latest`; of two `latest` ones of one instant the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stands {
    /// `latest` only.
    pub newest: Newest,
    pub quantity: Quantity,
}

impl Known {
    /// Whether the value that stands, stands against the reported one.
    fn is_behind(&self, stands: Quantity, reported: Quantity) -> bool {
        let own = Newest {
            level: Reverse(self.level),
            at: self.at,
        };
        self.newest
            .is_some_and(|newest| (newest, stands) > (own, reported))
    }
}

/// After a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// `unique`: how often this value still stands.
    pub standing: i64,
    /// `max`, `latest`: the value that stands now; `None` if nothing is left.
    pub value: Option<Quantity>,
}

/// The counter after a report or a withdrawal. `billed` is what the event brought when it was
/// reported (`CompiledModel::billed`), with its own sign in both cases: a withdrawal takes it back.
pub fn grow(
    aggregation: Aggregation,
    before: &Counter,
    billed: Quantity,
    distinct_value: DistinctValueChange,
) -> Result<Counter, Overflow> {
    match distinct_value {
        DistinctValueChange::Report(known) => {
            let quantity = match aggregation {
                Aggregation::Count => before.quantity.checked_add(Quantity::whole(1))?,
                Aggregation::Sum => before.quantity.checked_add(billed)?,
                Aggregation::Max if before.events > 0 => before.quantity.max(billed),
                Aggregation::Unique if known.standing > 0 => before.quantity,
                Aggregation::Unique => before.quantity.checked_add(Quantity::whole(1))?,
                Aggregation::Latest if known.is_behind(before.quantity, billed) => before.quantity,
                Aggregation::Max | Aggregation::Latest => billed,
            };
            Ok(Counter {
                quantity,
                events: before.events.checked_add(1).ok_or(Overflow)?,
            })
        }
        DistinctValueChange::Withdraw(left) => {
            let quantity = match aggregation {
                Aggregation::Count => before.quantity.checked_sub(Quantity::whole(1))?,
                Aggregation::Sum => before.quantity.checked_sub(billed)?,
                Aggregation::Unique if left.standing > 0 => before.quantity,
                Aggregation::Unique => before.quantity.checked_sub(Quantity::whole(1))?,
                Aggregation::Max | Aggregation::Latest => left.value.unwrap_or(Quantity::ZERO),
            };
            Ok(Counter {
                quantity,
                events: before.events.checked_sub(1).ok_or(Overflow)?,
            })
        }
    }
}

/// The distinct value of an event: its distinct attribute (`unique_by`), its quantity (`max`), its
/// instant, quantity and reporter's level (`latest`; 0 is left out). `None`: the aggregation has no
/// distinct values, or the event lacks the attribute.
pub fn distinct_value_text(aggregation: Aggregation, report: &Report<'_>) -> Option<String> {
    let Report {
        at,
        quantity,
        unique_by,
        level,
    } = report;
    match aggregation {
        Aggregation::Count | Aggregation::Sum => None,
        Aggregation::Unique => unique_by.map(str::to_owned),
        Aggregation::Max => Some(quantity.0.to_string()),
        Aggregation::Latest if *level == 0 => Some(format!("{}/{}", at.micros(), quantity.0)),
        Aggregation::Latest => Some(format!("{}/{}/{level}", at.micros(), quantity.0)),
    }
}

/// The value that stands among the distinct values of a `max` or `latest` counter, as (value,
/// count). `None`: no distinct value is left. `Overflow`: a value that [`distinct_value_text`] did
/// not make.
pub fn standing_value<'a>(
    distinct_values: impl IntoIterator<Item = (&'a str, i64)>,
) -> Result<Option<Stands>, Overflow> {
    let mut standing = None;
    for (value, count) in distinct_values {
        if count > 0 && value != NEWEST {
            standing = standing.max(Some(value_of(value)?));
        }
    }
    Ok(standing)
}

fn value_of(distinct_value: &str) -> Result<Stands, Overflow> {
    let (at, value) = distinct_value
        .split_once('/')
        .unwrap_or(("0", distinct_value));
    let (quantity, level) = value.split_once('/').unwrap_or((value, "0"));
    let at = at.parse().map(Instant).map_err(|_| Overflow)?;
    let level = level.parse().map(Reverse).map_err(|_| Overflow)?;
    Ok(Stands {
        newest: Newest { level, at },
        quantity: quantity.parse().map(Quantity).map_err(|_| Overflow)?,
    })
}

/// One report of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    pub at: Instant,
    pub quantity: Quantity,
    /// `unique`: the distinct attribute.
    pub unique_by: Option<&'a str>,
    /// Of its reporter.
    pub level: Level,
}

/// A whole period `[from, until)` from its reports, in any order: what the counter must have
/// reached.
pub fn over(
    aggregation: Aggregation,
    reports: &[Report<'_>],
    from: Instant,
    until: Instant,
) -> Result<Counter, Overflow> {
    let inside = || {
        reports
            .iter()
            .filter(|report| (from..until).contains(&report.at))
    };
    let events = i64::try_from(inside().count()).map_err(|_| Overflow)?;
    let quantity = match aggregation {
        Aggregation::Count => Quantity::whole(events),
        Aggregation::Sum => inside().try_fold(Quantity::ZERO, |sum, report| {
            sum.checked_add(report.quantity)
        })?,
        Aggregation::Max => inside()
            .map(|report| report.quantity)
            .max()
            .unwrap_or_default(),
        Aggregation::Latest => {
            let latest =
                inside().max_by_key(|report| (Reverse(report.level), report.at, report.quantity));
            latest.map(|report| report.quantity).unwrap_or_default()
        }
        Aggregation::Unique => {
            let distinct: BTreeSet<_> = inside().map(|report| report.unique_by).collect();
            Quantity::whole(i64::try_from(distinct.len()).map_err(|_| Overflow)?)
        }
    };
    Ok(Counter { quantity, events })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A counter with its distinct values, kept the way the engine keeps them.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    struct Kept {
        counter: Counter,
        distinct_values: BTreeMap<String, i64>,
        newest: Option<Newest>,
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    const ALL: [Aggregation; 5] = [
        Aggregation::Count,
        Aggregation::Sum,
        Aggregation::Max,
        Aggregation::Unique,
        Aggregation::Latest,
    ];

    impl Kept {
        fn report(&mut self, aggregation: Aggregation, report: &Report<'_>) {
            let value = distinct_value_text(aggregation, report).unwrap_or_default();
            let count = self.distinct_values.entry(value).or_default();
            let known = Known {
                standing: *count,
                level: report.level,
                at: report.at,
                newest: self.newest,
            };
            self.counter = grow(
                aggregation,
                &self.counter,
                report.quantity,
                DistinctValueChange::Report(known),
            )
            .unwrap();
            *count += 1;
            self.newest = self.newest.max(Some(Newest {
                level: Reverse(report.level),
                at: report.at,
            }));
        }

        fn withdraw(&mut self, aggregation: Aggregation, report: &Report<'_>) {
            let value = distinct_value_text(aggregation, report).unwrap_or_default();
            let count = self.distinct_values.get_mut(&value).unwrap();
            *count -= 1;
            let standing = *count;
            self.distinct_values.retain(|_, count| *count > 0);
            let left = match aggregation {
                Aggregation::Max | Aggregation::Latest => {
                    standing_value(self.distinct_values.iter().map(|(v, c)| (v.as_str(), *c)))
                        .unwrap()
                }
                _ => None,
            };
            let left = (
                Left {
                    standing,
                    value: left.map(|stands| stands.quantity),
                },
                left.map(|stands| stands.newest),
            );
            self.counter = grow(
                aggregation,
                &self.counter,
                report.quantity,
                DistinctValueChange::Withdraw(left.0),
            )
            .unwrap();
            self.newest = left.1;
        }
    }

    fn reports() -> impl Strategy<Value = Vec<Report<'static>>> {
        let one = (0_i64..6, -3_i64..9, 0_usize..NAMES.len(), 0_u8..3);
        let report = one.prop_map(|(at, units, name, level)| Report {
            at: Instant::from_secs(at),
            quantity: Quantity::whole(units),
            unique_by: Some(NAMES[name]),
            level,
        });
        prop::collection::vec(report, 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_order_with_withdrawals_is_the_whole_period(
            (stay, order) in reports().prop_flat_map(|stay| { let n = stay.len(); (Just(stay), Just((0..n).collect::<Vec<_>>()).prop_shuffle()) }),
            gone in reports(),
        ) {
            for aggregation in ALL {
                let mut kept = Kept::default();
                gone.iter().for_each(|report| kept.report(aggregation, report));
                order.iter().for_each(|&i| kept.report(aggregation, &stay[i]));
                gone.iter().for_each(|report| kept.withdraw(aggregation, report));
                prop_assert_eq!(kept.counter, over(aggregation, &stay, Instant::MIN, Instant::MAX).unwrap(), "{:?}", aggregation);
            }
        }

        #[test]
        fn a_withdrawal_restores_the_counter(before in reports(), extra in reports()) {
            for aggregation in ALL {
                let mut kept = Kept::default();
                before.iter().for_each(|report| kept.report(aggregation, report));
                let restored = kept.clone();
                for report in extra.iter().take(1) {
                    kept.report(aggregation, report);
                    kept.withdraw(aggregation, report);
                }
                prop_assert_eq!(kept.counter, restored.counter, "{:?}", aggregation);
                prop_assert_eq!(kept.distinct_values, restored.distinct_values, "{:?}", aggregation);
            }
        }
    }

    #[test]
    fn a_period_is_half_open() {
        let at = |secs, units| Report {
            at: Instant::from_secs(secs),
            quantity: Quantity::whole(units),
            unique_by: None,
            level: 0,
        };
        let reports = [at(1, 2), at(2, 3), at(3, 5)];
        let counter = over(
            Aggregation::Sum,
            &reports,
            Instant::from_secs(1),
            Instant::from_secs(3),
        )
        .unwrap();
        assert_eq!(
            counter,
            Counter {
                quantity: Quantity::whole(5),
                events: 2
            }
        );
    }

    #[test]
    fn of_two_reports_of_one_instant_the_larger_is_the_latest() {
        let before = Counter {
            quantity: Quantity::whole(5),
            events: 1,
        };
        for (units, want) in [(4, 5), (6, 6)] {
            let newest = Some(Newest {
                level: Reverse(0),
                at: Instant(7),
            });
            let known = Known {
                standing: 0,
                level: 0,
                at: Instant(7),
                newest,
            };
            let after = grow(
                Aggregation::Latest,
                &before,
                Quantity::whole(units),
                DistinctValueChange::Report(known),
            );
            assert_eq!(
                after,
                Ok(Counter {
                    quantity: Quantity::whole(want),
                    events: 2
                })
            );
        }
    }

    #[test]
    fn the_end_of_the_range_is_an_error() {
        let full = Counter {
            quantity: Quantity(i128::MAX),
            events: i64::MAX,
        };
        for aggregation in ALL {
            assert_eq!(
                grow(
                    aggregation,
                    &full,
                    Quantity(1),
                    DistinctValueChange::Report(Known::default())
                ),
                Err(Overflow)
            );
        }
        assert_eq!(standing_value([("not a number", 1)]), Err(Overflow));
    }
}
