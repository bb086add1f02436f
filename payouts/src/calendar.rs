//! The zones that the platform's months are counted in: another one counts from the month after it
//! was set, so that a month that has begun ends where it would have ended.

use super::month::Month;
use jiff::tz::TimeZone;
use rating::Instant;
use serde::{Deserialize, Serialize};

/// Never empty; the first zone counts for every month before the second one's.
#[derive(Debug, Clone)]
pub struct Calendar {
    zones: Vec<(Month, TimeZone)>,
}

/// As it is kept in the database.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    /// `2026-12`; of the first: nothing.
    from: Option<String>,
    zone: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored time zones of the platform's months cannot be read: {0}")]
pub struct Unreadable(String);

impl Calendar {
    pub fn of(zone: TimeZone) -> Self {
        Self {
            zones: vec![(Month::MIN, zone)],
        }
    }

    /// # Errors
    /// It is not what [`Calendar::stored`] wrote, or a zone is no longer known.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let unreadable = |error: &dyn std::fmt::Display| Unreadable(error.to_string());
        let stored: Vec<Stored> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let mut zones = Vec::with_capacity(stored.len());
        for Stored { from, zone } in stored {
            let from = from
                .map_or(Ok(Month::MIN), |from| from.parse())
                .map_err(|error| unreadable(&error))?;
            zones.push((
                from,
                TimeZone::get(&zone).map_err(|error| unreadable(&error))?,
            ));
        }
        let in_order = zones.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && zones.first().is_some_and(|(from, _)| *from == Month::MIN);
        in_order
            .then_some(Self { zones })
            .ok_or_else(|| unreadable(&"they are not in order"))
    }

    pub fn stored(&self) -> String {
        let one = |(from, zone): &(Month, TimeZone)| Stored {
            from: (*from != Month::MIN).then(|| from.to_string()),
            zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        };
        serde_json::json!(self.zones.iter().map(one).collect::<Vec<_>>()).to_string()
    }

    /// The same with a zone that counts from the next month on, unless it counts then already.
    pub fn with(&self, zone: TimeZone, now: Instant) -> Self {
        let from = self.month_of(now).next();
        let mut zones: Vec<_> = self
            .zones
            .iter()
            .filter(|(begins, _)| *begins < from)
            .cloned()
            .collect();
        if zones
            .last()
            .is_none_or(|(_, last)| last.iana_name() != zone.iana_name())
        {
            zones.push((from, zone));
        }
        Self { zones }
    }

    pub fn zone_of(&self, month: Month) -> &TimeZone {
        let last = self.zones.iter().rev().find(|(from, _)| *from <= month);
        &last.unwrap_or(&self.zones[0]).1
    }

    /// Its first instant.
    pub fn start(&self, month: Month) -> Instant {
        month.start(self.zone_of(month))
    }

    /// The first instant after it.
    pub fn until(&self, month: Month) -> Instant {
        self.start(month.next())
    }

    /// The month that an instant is in.
    pub fn month_of(&self, at: Instant) -> Month {
        let mut month = Month::of(at, &self.zones[self.zones.len() - 1].1);
        while at < self.start(month) && month > Month::MIN {
            month = month.before();
        }
        while at >= self.until(month) && month < Month::MAX {
            month = month.next();
        }
        month
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn another_zone_counts_from_the_next_month_on() {
        let calendar =
            Calendar::of(TimeZone::UTC).with(zone("Europe/Berlin"), at("2026-11-29T12:00:00Z"));
        let month = |text: &str| text.parse::<Month>().unwrap();
        // November begins in the old zone and ends where December begins, an hour earlier than it
        // would have.
        assert_eq!(calendar.start(month("2026-11")), at("2026-11-01T00:00:00Z"));
        assert_eq!(calendar.until(month("2026-11")), at("2026-11-30T23:00:00Z"));
        assert_eq!(calendar.until(month("2026-12")), at("2026-12-31T23:00:00Z"));
        for (instant, in_month) in [
            ("2026-10-31T23:30:00Z", "2026-10"),
            ("2026-11-01T00:00:00Z", "2026-11"),
            ("2026-11-30T22:59:59Z", "2026-11"),
            ("2026-11-30T23:00:00Z", "2026-12"),
            ("2026-12-31T23:00:00Z", "2027-01"),
        ] {
            assert_eq!(calendar.month_of(at(instant)), month(in_month), "{instant}");
        }
        let west = calendar.with(zone("America/Los_Angeles"), at("2026-11-29T13:00:00Z"));
        assert_eq!(
            west.until(month("2026-11")),
            at("2026-12-01T08:00:00Z"),
            "set again in the same month: the last one counts"
        );
        assert_eq!(west.month_of(at("2026-12-01T07:59:59Z")), month("2026-11"));
        assert_eq!(
            west.with(TimeZone::UTC, at("2026-11-30T00:00:00Z"))
                .stored(),
            "[{\"from\":null,\"zone\":\"UTC\"}]",
            "and back"
        );
    }

    #[test]
    fn what_is_stored_reads_back() {
        let calendar =
            Calendar::of(zone("Europe/Berlin")).with(TimeZone::UTC, at("2026-11-29T12:00:00Z"));
        let text = calendar.stored();
        assert_eq!(
            text,
            "[{\"from\":null,\"zone\":\"Europe/Berlin\"},{\"from\":\"2026-12\",\"zone\":\"UTC\"}]"
        );
        assert_eq!(Calendar::read(&text).unwrap().stored(), text);
        for text in [
            "",
            "[]",
            "[{\"from\":null,\"zone\":\"Mars/Base\"}]",
            "[{\"from\":\"2026-12\",\"zone\":\"UTC\"}]",
        ] {
            assert!(Calendar::read(text).is_err(), "{text}");
        }
    }
}
