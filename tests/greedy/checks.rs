//! What must be true of a root, whatever the keys below it did: read from its records alone.

use super::subtree::{Call, Subtree, Terms};
use journal::{Charge, ChargePricing, JournalEntry, Kind, Namespace, Seq};
use ledger::{AccountKey, LinkCharge};
use rating::usage::CounterId;
use rating::{Cents, Currency, Exact, Instant, TenantId};
use std::collections::{BTreeMap, HashSet};

/// One root and its records, oldest first.
pub struct Books<'a> {
    pub platform: TenantId,
    pub subtree: &'a Subtree,
    pub records: &'a [&'a JournalEntry],
}

/// What is wrong, if anything is.
type Check = fn(&Books) -> Option<String>;

pub const CHECKS: [(&str, Check); 9] = [
    ("owed", owed),
    ("usage from below", usage_from_below),
    ("share", share),
    ("share of seats", share_of_seats),
    ("seats", seats),
    ("seats from below", seats_from_below),
    ("credited", credited),
    ("voided on credit", voided_on_credit),
    ("held on credit", held_on_credit),
];

/// What the platform's wholesale card asks for a seat.
const SEAT: Cents = Cents(500);
/// Exact amounts are rounded once for each event.
const ROUNDED: i128 = 1000;

impl Books<'_> {
    /// The link at which the platform sells.
    fn top<'r>(&self, record: &'r JournalEntry) -> Option<&'r Charge> {
        record
            .body
            .charges
            .iter()
            .find(|charge| charge.link.seller == self.platform)
    }

    fn top_exact(&self, record: &JournalEntry) -> Exact {
        self.top(record).map_or(Exact::ZERO, |top| top.exact)
    }

    fn sum_at_top<'r>(&self, records: impl IntoIterator<Item = &'r &'r JournalEntry>) -> Exact {
        records.into_iter().fold(Exact::ZERO, |sum, record| {
            sum.checked_add(self.top_exact(record)).unwrap()
        })
    }

    /// The platform's report of a call, and the one from below that it confirms.
    fn reports_of(&self, call: &Call) -> HashSet<Seq> {
        let is_report = |record: &&&JournalEntry| {
            let JournalEntry {
                identity, tenant, ..
            } = record;
            let is_platforms =
                identity.namespace == Namespace::Usage && identity.reporter.is_none();
            is_platforms && identity.id == call.id && *tenant == call.tenant
        };
        let reports = self.records.iter().filter(is_report);
        let confirmed = |record: &JournalEntry| {
            record
                .body
                .refers_to
                .filter(|_| record.kind == Kind::Confirmed)
        };
        reports
            .flat_map(|record| [Some(record.seq), confirmed(record)])
            .flatten()
            .collect()
    }

    /// What the platform had of each customer, in cents.
    pub fn part(&self) -> BTreeMap<TenantId, i64> {
        let mut part = BTreeMap::new();
        for record in self
            .records
            .iter()
            .filter(|record| matches!(record.kind, Kind::Rated | Kind::RatedLater | Kind::Void))
        {
            *part.entry(record.tenant).or_default() +=
                self.top(record).map_or(0, |top| top.link.cents.0);
        }
        part
    }

    /// What sellers gave back of their own to each customer, while the links above stand: out of
    /// what they have, or as a debt that the platform let them make. A seller that takes back what
    /// it had given has given nothing, and not less.
    pub fn given(&self) -> BTreeMap<TenantId, i64> {
        let mut by_seller: BTreeMap<(TenantId, TenantId), i64> = BTreeMap::new();
        let is_own = |record: &&&JournalEntry| {
            let JournalEntry { kind, identity, .. } = record;
            *kind == Kind::Void
                && identity.namespace == Namespace::Amend
                && identity.reporter.is_some()
                && self.top(record).is_none()
        };
        for record in self.records.iter().filter(is_own) {
            let charges = record.body.charges.iter().map(|charge| charge.link);
            for own in charges.take(1).filter(|own| own.buyer == record.tenant) {
                *by_seller.entry((record.tenant, own.seller)).or_default() -= own.cents.0;
            }
        }
        let mut given = BTreeMap::new();
        for ((customer, _), cents) in by_seller {
            *given.entry(customer).or_default() += cents.max(0);
        }
        given
    }

    /// The least that this link comes to, given what the one below it does: terms that somebody
    /// below the platform agreed on leave the retail price as it is, unless the platform published
    /// the card, or leaves prices free.
    fn least(&self, below: i128, charge: &Charge) -> i128 {
        let is_platforms = self.subtree.of_platform.contains(&charge.agreement);
        match &charge.pricing {
            ChargePricing::Commission { commission_bp }
            | ChargePricing::CommissionOf { commission_bp, .. }
            | ChargePricing::Floored { commission_bp, .. }
                if is_platforms =>
            {
                below * i128::from(10_000 - commission_bp) / 10_000
            }
            ChargePricing::Card { .. } if is_platforms => charge.exact.0,
            ChargePricing::Card { .. } if self.is_agreed(charge) => below.min(charge.exact.0),
            _ => below,
        }
    }

    /// By a card whose prices the platform takes its part of: one that it approved, or any where
    /// retail prices are free.
    fn is_agreed(&self, charge: &Charge) -> bool {
        let is_free = matches!(self.subtree.terms, Terms::FreeRetail);
        matches!(&charge.pricing, ChargePricing::Card { version, .. } if is_free || self.subtree.published.contains(version))
    }
}

fn month(at: Instant) -> String {
    at.to_string()[..7].to_owned()
}

/// Every call that the platform reported is charged at its own price, or at least at the floor.
fn owed(books: &Books) -> Option<String> {
    for call in &books.subtree.calls {
        let of = books.reports_of(call);
        let is_of = |record: &&&JournalEntry| {
            of.contains(&record.seq) || record.body.refers_to.is_some_and(|seq| of.contains(&seq))
        };
        let charged = books.sum_at_top(books.records.iter().filter(is_of));
        let owed = Exact::from_cents(Cents(call.owed_cents));
        if charged < owed {
            return Some(format!(
                "{} of {}: {} of {} cents charged",
                call.id,
                call.customer,
                charged.in_cents(),
                owed.in_cents()
            ));
        }
    }
    None
}

/// What keys below the platform report of a meter, and take back, never costs it anything on the
/// whole. A single void may: it changes what others of its counter come to (seed 13542).
fn usage_from_below(books: &Books) -> Option<String> {
    let of_calls: HashSet<Seq> = books
        .subtree
        .calls
        .iter()
        .flat_map(|call| books.reports_of(call))
        .collect();
    let is_of_call = |record: &JournalEntry| {
        of_calls.contains(&record.seq)
            || record
                .body
                .refers_to
                .is_some_and(|seq| of_calls.contains(&seq))
    };
    let mut sums: BTreeMap<(TenantId, String, &str), i128> = BTreeMap::new();
    // What is carried of a closed customer is settled half up: half a cent to the one or to the
    // other.
    let is_of_others = |record: &&&JournalEntry| {
        record.kind != Kind::CarrySettled && record.body.meter != "seats" && !is_of_call(record)
    };
    for record in books.records.iter().filter(is_of_others) {
        let sum = sums
            .entry((record.tenant, month(record.at), &record.body.meter))
            .or_default();
        *sum += books.top_exact(record).0;
        if *sum + ROUNDED < 0 {
            return Some(format!(
                "{}: {} cents for what others reported",
                record.identity.id,
                Exact(*sum).in_cents()
            ));
        }
    }
    None
}

/// A share of the retail price is of the retail price, whatever sellers below agree on with each
/// other.
fn share(books: &Books) -> Option<String> {
    let is_usage = |record: &&&JournalEntry| {
        matches!(record.kind, Kind::Rated | Kind::RatedLater) && record.body.meter != "seats"
    };
    books.records.iter().filter(is_usage).find_map(|record| {
        let [retail, above @ ..] = record.body.charges.as_slice() else {
            return None;
        };
        let top = above.last().filter(|top| {
            top.link.seller == books.platform && retail.link.buyer == record.tenant
        })?;
        let is_commission = matches!(
            top.pricing,
            ChargePricing::Commission { .. } | ChargePricing::CommissionOf { .. }
        );
        let least = above
            .iter()
            .fold(retail.exact.0, |below, charge| books.least(below, charge));
        let taken = is_commission && retail.exact > Exact::ZERO && top.exact.0 + ROUNDED < least;
        taken.then(|| {
            let (id, least) = (&record.identity.id, Exact(least));
            format!(
                "{id}: {} of {} cents charged, retail {}",
                top.exact.in_cents(),
                least.in_cents(),
                retail.exact.in_cents()
            )
        })
    })
}

/// Whatever is agreed on under way: of what a customer's seats came to in a month, the platform has
/// no less than the least share that it took of any of them. That is its share of the retail price,
/// or of the price of a seller under way that counts: from version to version the one does not move
/// with the other (seed 5116).
fn share_of_seats(books: &Books) -> Option<String> {
    let of_retail = missing_shares(books, |retail, _| retail.exact);
    let under_way = missing_shares(books, |retail, record| {
        let counts =
            |charge: &&Charge| charge.link.seller != books.platform && books.is_agreed(charge);
        record
            .body
            .charges
            .iter()
            .rfind(counts)
            .unwrap_or(retail)
            .exact
    });
    of_retail
        .into_iter()
        .find_map(|(of, missing)| under_way.contains_key(&of).then_some(missing))
}

/// By customer and month, where the platform's part of the seats' prices is less than the least
/// share.
fn missing_shares(
    books: &Books,
    price_of: impl Fn(&Charge, &JournalEntry) -> Exact,
) -> BTreeMap<(TenantId, String), String> {
    // The price and the platform's part, and the least share in millionths.
    let mut sums: BTreeMap<(TenantId, String), (i128, i128, i128)> = BTreeMap::new();
    let mut others: HashSet<(TenantId, String)> = HashSet::new();
    for record in books
        .records
        .iter()
        .filter(|record| record.body.meter == "seats" && !record.body.charges.is_empty())
    {
        let of = (record.tenant, month(record.at));
        let retail = record
            .body
            .charges
            .first()
            .filter(|retail| retail.link.buyer == record.tenant);
        let shared = |top: &&Charge| {
            matches!(
                top.pricing,
                ChargePricing::Commission { .. } | ChargePricing::CommissionOf { .. }
            )
        };
        let (Some(retail), Some(top)) = (retail, books.top(record).filter(shared)) else {
            others.insert(of);
            continue;
        };
        let of_record = price_of(retail, record);
        let (price, part, least) = sums.entry(of).or_insert((0, 0, i128::MAX));
        (*price, *part) = (*price + of_record.0, *part + top.exact.0);
        if of_record > Exact::ZERO {
            *least = (*least).min(top.exact.0 * 1_000_000 / of_record.0);
        }
    }
    let missing = |(of, (price, part, least)): ((TenantId, String), (i128, i128, i128))| {
        let owed = if least == i128::MAX {
            0
        } else {
            price * least / 1_000_000
        };
        let told = || {
            format!(
                "{}: {} of {} cents, price {}",
                of.1,
                Exact(part).in_cents(),
                Exact(owed).in_cents(),
                Exact(price).in_cents()
            )
        };
        (part + ROUNDED * 1000 < owed).then(|| (of.clone(), told()))
    };
    sums.into_iter()
        .filter(|(of, _)| !others.contains(of))
        .filter_map(missing)
        .collect()
}

/// At the platform's own price every customer's seats count, as many as the platform saw last.
fn seats(books: &Books) -> Option<String> {
    if !matches!(books.subtree.terms, Terms::Wholesale | Terms::Prepaid) {
        return None;
    }
    let mut last: BTreeMap<(String, TenantId), (Instant, u64)> = BTreeMap::new();
    for seen in &books.subtree.seats {
        let last = last.entry((month(seen.at), seen.tenant)).or_default();
        *last = (*last).max((seen.at, seen.count));
    }
    let months: HashSet<&String> = last.keys().map(|(month, _)| month).collect();
    months.into_iter().find_map(|of| {
        let count: u64 = last
            .iter()
            .filter(|((month, _), _)| month == of)
            .map(|(_, (_, count))| count)
            .sum();
        let owed = Exact::from_cents(Cents(SEAT.0 * count as i64));
        let charged = books.sum_at_top(
            books
                .records
                .iter()
                .filter(|record| record.body.meter == "seats" && month(record.at) == *of),
        );
        (charged < owed).then(|| {
            format!(
                "{of}: {} of {} cents charged for {count} seats",
                charged.in_cents(),
                owed.in_cents()
            )
        })
    })
}

/// Once the platform is paid for its count of a customer's seats in a month, what others report
/// takes nothing from it. A count that has no price, as one of a customer that its seller has
/// closed, is in nobody's place (seed 10553). What others reported before goes back as it was
/// charged where its share was counted under terms that were over when the platform counted: no
/// count of the platform's moved it (seeds 55991, 106860).
fn seats_from_below(books: &Books) -> Option<String> {
    let mut by_others: BTreeMap<(TenantId, String), i128> = BTreeMap::new();
    let mut reported_before: HashSet<Seq> = HashSet::new();
    let mut moved_by_platform: HashSet<(TenantId, Option<CounterId>)> = HashSet::new();
    for record in books
        .records
        .iter()
        .filter(|record| record.body.meter == "seats")
    {
        let (of, namespace) = ((record.tenant, month(record.at)), record.identity.namespace);
        let is_reported = matches!(record.kind, Kind::Rated | Kind::RatedLater);
        let share = (record.tenant, books.top(record).and_then(|top| top.counter));
        if record.identity.reporter.is_none() {
            if is_reported {
                by_others.entry(of).or_default();
                moved_by_platform.insert(share);
            }
            continue;
        }
        if is_reported && !by_others.contains_key(&of) {
            reported_before.insert(record.seq);
        }
        let takes_back = record.body.refers_to.filter(|_| record.kind == Kind::Void);
        if takes_back.is_some_and(|seq| reported_before.contains(&seq))
            && share.1.is_some()
            && !moved_by_platform.contains(&share)
        {
            continue;
        }
        let is_of_others =
            is_reported || (record.kind == Kind::Void && namespace == Namespace::Amend);
        if let Some(sum) = by_others.get_mut(&of).filter(|_| is_of_others) {
            *sum += books.top_exact(record).0;
            if *sum + ROUNDED < 0 {
                return Some(format!(
                    "{}: {} cents for what others reported",
                    record.identity.id,
                    Exact(*sum).in_cents()
                ));
            }
        }
    }
    None
}

/// No counter of a month ever gives a customer more than it took.
fn credited(books: &Books) -> Option<String> {
    let mut sums: BTreeMap<(TenantId, String, Option<CounterId>), i128> = BTreeMap::new();
    for record in books.records {
        for charge in record
            .body
            .charges
            .iter()
            .filter(|charge| charge.link.buyer == record.tenant)
        {
            let sum = sums
                .entry((record.tenant, month(record.at), charge.counter))
                .or_default();
            *sum += charge.exact.0;
            // What is carried of a closed customer is settled.
            if *sum < -Exact::PER_CENT {
                return Some(format!(
                    "{}: {} cents, {} in all",
                    record.identity.id,
                    charge.exact.in_cents(),
                    Exact(*sum).in_cents()
                ));
            }
        }
    }
    None
}

/// No void of the root's takes its account, whose money the platform collects, below what it may
/// owe.
fn voided_on_credit(books: &Books) -> Option<String> {
    if books.subtree.terms != Terms::Prepaid {
        return None;
    }
    let (root, mut balance) = (books.subtree.root, 0);
    // What one request did came in at one instant.
    for step in books
        .records
        .chunk_by(|one, next| one.received_at == next.received_at)
    {
        let after = balance + step.iter().map(|record| books.moved(record)).sum::<i64>();
        // What goes back all the way costs the root its own part alone; an event in its place is
        // usage as any other. So it is in the place of one that was kept and never charged (seed
        // 115800: reported of a customer out of reach, corrected by the root): nothing goes back.
        let is_void = |record: &&&JournalEntry| {
            let is_own = record.identity.namespace == Namespace::Amend
                && record.identity.reporter == Some(root);
            let gives_back = !record.body.charges.is_empty();
            record.kind == Kind::Void && is_own && gives_back && books.top(record).is_none()
        };
        if let Some(void) = step.iter().find(is_void).filter(|_| after < balance.min(0)) {
            return Some(format!(
                "{} took the balance from {balance} to {after}",
                void.identity.id
            ));
        }
        balance = after;
    }
    None
}

/// No hold stands on what the root withholds.
fn held_on_credit(books: &Books) -> Option<String> {
    books.subtree.uncovered.first().cloned()
}

impl Books<'_> {
    /// By how much a record moves the root's balance.
    fn moved(&self, record: &JournalEntry) -> i64 {
        let account = AccountKey::balance(self.subtree.root, Currency::EUR);
        let links: Vec<LinkCharge> = record
            .body
            .charges
            .iter()
            .map(|charge| charge.link)
            .collect();
        let charged = match (record.body.currency, links.is_empty()) {
            (Some(currency), false) => {
                ledger::postings_of(record.identity.root, self.platform, currency, &links).unwrap()
            }
            _ => ledger::Postings::new(),
        };
        let all = charged.iter().chain(&record.body.postings);
        all.map(|posting| {
            i64::from(posting.to == account) * posting.cents.0
                - i64::from(posting.from == account) * posting.cents.0
        })
        .sum()
    }
}
