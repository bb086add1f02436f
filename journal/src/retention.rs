//! How late usage may come once old months of the journal were dropped.

use rating::Instant;

/// The shortest month: also the margin between the longest window and what is kept.
pub const MONTH_DAYS_MIN: i64 = 28;
pub const DAY_MICROS: i64 = 86_400_000_000;

/// The longest window that a tenant may have if records are there from an instant on: a month less
/// than that.
pub fn late_window_days_max(now: Instant, from: Instant) -> i64 {
    (now.micros() - from.micros()) / DAY_MICROS - MONTH_DAYS_MIN
}
