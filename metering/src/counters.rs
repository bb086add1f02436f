//! In which counter an event counts on a link.
//!
//! A reseller's counter runs over all its customers: that is what a volume discount means. A
//! `latest` value is one customer's (its seats, what it has stored), and says nothing of another's:
//! there each customer has a counter of its own, on every link.

use crate::states::States;
use journal::{Counted, CounterKey};
use prepare::customer::Customer;
use prepare::digest::Digest;
use prepare::event::RatedEvent;
use prepare::measured::{MeasuredLink, Plan};
use rating::TenantId;
use rating::card::Aggregation;
use rating::usage::CounterId;
use smallvec::SmallVec;
use tenants::TenantKind;

/// Counters of one link that an event may count in: the last, unless the first has been in use
/// since before.
pub type Candidates = SmallVec<[CounterKey; 2]>;

/// Empty: the link has none.
pub fn candidates(prepared: &RatedEvent, plan: &Plan, link: &MeasuredLink<'_>) -> Candidates {
    let mut found = Candidates::new();
    let Some(by) = link.method.by_card() else {
        return found;
    };
    let Some(id) = by.measured.counter else {
        return found;
    };
    let buyer = link.agreement.buyer;
    found.push(CounterKey { buyer, id });
    let is_latest = || {
        by.card
            .aggregation(by.measured.found.rate, plan.meter.aggregation)
            == Aggregation::Latest
    };
    // What a reseller uses itself is told from its customers' too.
    let is_shared = |customer: &Customer| {
        buyer != customer.tenant.id || customer.tenant.kind != TenantKind::Customer
    };
    if let Some(customer) = prepared
        .customer
        .as_deref()
        .filter(|customer| is_shared(customer))
        && is_latest()
    {
        found.push(CounterKey {
            buyer,
            id: of_customer(id, customer.tenant.id),
        });
    }
    found
}

/// The one that the event counts in.
pub fn counter(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    states: &States,
) -> Option<CounterKey> {
    let candidates = candidates(prepared, plan, link);
    let first = candidates.first()?;
    let of_before = candidates.len() > 1 && is_of_before(&states.counted(first));
    if of_before {
        Some(*first)
    } else {
        candidates.last().copied()
    }
}

/// Months that began before customers were told apart go on as they began, so that nothing is
/// charged again. What a counter was charged so far is kept since then, so that nobody can bring
/// such a counter into being.
pub fn is_of_before(counted: &Counted) -> bool {
    counted.counter.events > 0 && counted.so_far.is_none()
}

fn of_customer(id: CounterId, customer: TenantId) -> CounterId {
    let digest = Digest::keyed(&[0; 32])
        .number(id.rate_key.into())
        .number(customer.0.into())
        .finish();
    let bytes = std::array::from_fn(|index| digest[index]);
    CounterId {
        rate_key: i64::from_le_bytes(bytes) & i64::MAX,
        ..id
    }
}
