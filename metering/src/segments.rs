//! Segments of counters: which one a charge counts in, and the earlier ones, each kept as a
//! distinct value of its counter.
//!
//! A segment ends when an event is priced by another rate of another version, and behind every
//! event whose price depends on its order of arrival. It is written then and read only when an
//! event is taken back.

use journal::{By, Counted, CounterKey, DistinctValue, DistinctValueKey};
use rating::segments::Charged;
use rating::usage::Counter;
use rating::{CardVersionId, Exact, Instant, Overflow, Quantity};
use std::collections::BTreeMap;
use std::str::Split;

/// What the name of such a distinct value begins with; no value of another one does.
const MARK: char = '#';
/// What was charged before it: nothing was counted; by the prices of the segment itself; without a
/// bound.
const NOTHING: &str = "0";
const SAME: &str = "=";
const NO_BOUND: &str = "-";

/// A segment that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub number: u32,
    /// `None`: from before segments were kept.
    pub by: Option<By>,
    pub growth: Counter,
    /// What the counter was charged in front of it; `None`: that was not kept.
    pub before: Option<Charged>,
}

impl Closed {
    /// The last segment of a counter, that ends now. `Overflow`: it grew by more than can be held.
    pub(crate) fn of(counted: &Counted) -> Result<Self, Overflow> {
        let segment = counted.segment;
        let before = counted.so_far.map(|so_far| so_far.before);
        Ok(Self {
            number: segment.number,
            by: segment.by,
            growth: counted.counter.checked_sub(segment.start)?,
            before,
        })
    }

    pub fn key(&self, counter: CounterKey) -> DistinctValueKey {
        let Self { number, growth, .. } = self;
        let by = self.by.map(|by| {
            format!(
                "{}{}",
                by_text(by),
                self.before
                    .map(|before| before_text(&before, by))
                    .unwrap_or_default()
            )
        });
        let by = by.unwrap_or_default();
        DistinctValueKey {
            counter,
            value: format!("{MARK}{number}/{}/{}{by}", growth.quantity.0, growth.events),
        }
    }

    /// `None`: the distinct value is something else.
    pub fn read(value: &str) -> Option<Self> {
        let mut fields = value.strip_prefix(MARK)?.split('/');
        let (number, quantity) = (
            fields.next()?.parse().ok()?,
            Quantity(fields.next()?.parse().ok()?),
        );
        let growth = Counter {
            quantity,
            events: fields.next()?.parse().ok()?,
        };
        let by = match fields.next() {
            None => None,
            Some(version) => Some(read_by(version, &mut fields)?),
        };
        let before = match (by, fields.next()) {
            (Some(by), Some(first)) => Some(read_before(first, by, &mut fields)?),
            _ => None,
        };
        Some(Self {
            number,
            by,
            growth,
            before,
        })
    }
}

fn by_text(
    By {
        version,
        rate,
        cell,
    }: By,
) -> String {
    format!("/{}/{rate}/{cell}", version.0)
}

fn before_text(Charged { by, sum, least }: &Charged, own: By) -> String {
    let Some(by) = by else {
        return format!("/{NOTHING}");
    };
    let by = if *by == own {
        format!("/{SAME}")
    } else {
        by_text(*by)
    };
    let least = least.map_or(NO_BOUND.to_owned(), |least| least.0.to_string());
    format!("{by}/{}/{least}", sum.0)
}

fn read_by(version: &str, fields: &mut Split<'_, char>) -> Option<By> {
    let version = CardVersionId(version.parse().ok()?);
    Some(By {
        version,
        rate: fields.next()?.parse().ok()?,
        cell: fields.next()?.parse().ok()?,
    })
}

fn read_before(first: &str, own: By, fields: &mut Split<'_, char>) -> Option<Charged> {
    let by = match first {
        NOTHING => return Some(Charged::default()),
        SAME => own,
        version => read_by(version, fields)?,
    };
    let sum = Exact(fields.next()?.parse().ok()?);
    let least = match fields.next()? {
        NO_BOUND => None,
        least => Some(Exact(least.parse().ok()?)),
    };
    Some(Charged {
        by: Some(by),
        sum,
        least,
    })
}

/// That a segment is as it is; or was, and is no more.
pub fn stands(stands: bool) -> DistinctValue {
    DistinctValue {
        count: i64::from(stands),
        at: Instant(0),
    }
}

/// Those of a counter that have ended, from this number on.
pub fn closed<'a>(
    distinct_values: impl Iterator<Item = (&'a DistinctValueKey, &'a DistinctValue)>,
    counter: CounterKey,
    from: u32,
) -> BTreeMap<u32, Closed> {
    let standing = distinct_values
        .filter(|(key, distinct_value)| key.counter == counter && distinct_value.count > 0);
    let closed = standing.filter_map(|(key, _)| Closed::read(&key.value));
    closed
        .filter(|closed| closed.number >= from)
        .map(|closed| (closed.number, closed))
        .collect()
}

/// Whether a distinct value is a segment, and no value that was reported.
pub fn is_segment(value: &str) -> bool {
    value.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::TenantId;
    use rating::usage::CounterId;

    #[test]
    fn a_segment_reads_back_from_its_name() {
        let counter = CounterKey {
            buyer: TenantId(7),
            id: CounterId {
                rate_key: 1,
                month: 2,
            },
        };
        let growth = Counter {
            quantity: Quantity(-5),
            events: 3,
        };
        let by = By {
            version: CardVersionId(9),
            rate: 4,
            cell: 2,
        };
        let of = |by: Option<By>, before: Option<Charged>| Closed {
            number: 12,
            by,
            growth,
            before,
        };
        let charged = |by: By, least: Option<Exact>| {
            Some(Charged {
                by: Some(by),
                sum: Exact(-7),
                least,
            })
        };
        let other = By { rate: 5, ..by };
        for closed in [
            of(None, None),
            of(Some(by), None),
            of(Some(by), Some(Charged::default())),
            of(Some(by), charged(by, None)),
            of(Some(by), charged(by, Some(Exact(-9)))),
            of(Some(by), charged(other, Some(Exact::ZERO))),
        ] {
            assert_eq!(Closed::read(&closed.key(counter).value), Some(closed));
        }
        assert_eq!(of(Some(by), None).key(counter).value, "#12/-5/3/9/4/2");
        for other in [
            "",
            "7",
            "-7",
            "1000000/7",
            "00ff",
            "#",
            "#x/1/1",
            "#1/1",
            "#1/1/1/9",
            "#1/1/1/9/4/2/=",
            "#1/1/1/9/4/2/9/4/2/1",
        ] {
            assert_eq!(Closed::read(other), None, "{other}");
        }
    }
}
