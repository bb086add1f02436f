//! How it stands with payments: what `health-check` reports of them.

use rating::Instant;

/// What was told is worked off within seconds; this old, nobody does.
pub const LATE_SECS: i64 = 600;
/// Given up within this is news.
pub const STUCK_SECS: i64 = 7 * 86_400;

/// Late: received before $1; stuck: given up, received since $2.
pub const LOOK: &str = concat!(
    "select (select count(*) from provider_events where next_at is not null and received_at < $1),",
    " (select count(*) from provider_events where state = 'stuck' and received_at >= $2),",
    " (select coalesce(max(received_at), 0) from provider_events where body is not null),",
    " (select count(*) from payments where suspense_cents <> 0 or foreign_amount <> 0),",
    " (select count(*) from payments where open_disputes > 0),",
    " (select count(*) from refunds where next_at is not null and created_at < $1)"
);
pub const IS_MIGRATED: &str =
    "select count(*) from sqlite_master where type = 'table' and name = 'provider_events'";

/// Columns of [`LOOK`], in order.
pub type Row = (i64, i64, i64, i64, i64, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaymentsLook {
    /// Messages of the provider that wait to be worked off.
    pub late: i64,
    /// Messages that were given up in the last week.
    pub stuck: i64,
    /// When the provider last told anything.
    pub last_told_at: Option<Instant>,
    /// Payments that no top-up fits.
    pub in_suspense: i64,
    pub disputed: i64,
    /// Refunds whose outcome is not known.
    pub waiting_refunds: i64,
}

impl From<Row> for PaymentsLook {
    fn from((late, stuck, told, in_suspense, disputed, waiting_refunds): Row) -> Self {
        let last_told_at = (told > 0).then_some(Instant(told));
        Self {
            late,
            stuck,
            last_told_at,
            in_suspense,
            disputed,
            waiting_refunds,
        }
    }
}
