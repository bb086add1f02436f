//! What both sides count and add up to.

use super::tables::TABLES;
use db::{Result, SqlError};
use futures_util::TryStreamExt;
use journal::Kind;
use journal::codec::hold_state_code;
use journal_postgres::import::Import;
use journal_sqlite::export::Export;
use ledger::{AccountKind, HoldState};
use rating::Currency;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One number, as each side has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub what: String,
    pub source: i128,
    pub target: i128,
}

/// By name; absent is zero.
#[derive(Debug, Default)]
struct Tallies(BTreeMap<String, i128>);

pub(super) async fn compare(export: &Export, import: &Import) -> Result<Vec<Compared>> {
    let (Tallies(source), Tallies(target)) = (of_source(export).await?, of_target(import).await?);
    let names: BTreeSet<&String> = source.keys().chain(target.keys()).collect();
    let of = |tallies: &BTreeMap<String, i128>, name: &String| {
        tallies.get(name).copied().unwrap_or_default()
    };
    Ok(names
        .into_iter()
        .map(|name| Compared {
            what: name.clone(),
            source: of(&source, name),
            target: of(&target, name),
        })
        .collect())
}

/// Lists of the journal that have the same rows on both.
const LISTS: [(&str, &str); 4] = [
    ("heads", "roots with records"),
    ("unrated", "events to be rated"),
    ("amendments", "amendments"),
    ("openings", "openings"),
];

async fn of_source(export: &Export) -> Result<Tallies> {
    let mut tallies = Tallies::default();
    for table in TABLES {
        tallies.add(table.name, export.count(table.source).await?);
    }
    for (table, name) in LISTS {
        tallies.add(name, export.count(table).await?);
    }
    tallies.records(
        export
            .counts("select kind, count(*) from records group by kind")
            .await?,
    )?;
    let states = export.states().await?;
    for (key, balance) in &states.accounts {
        tallies.accounts(
            key.kind,
            key.currency,
            [1, i128::from(balance.posted.0), i128::from(balance.held.0)],
        );
    }
    tallies.add("carries", states.carries.len() as i64);
    for counter in states.counters.values().map(|tally| tally.counter) {
        tallies.counters([1, i128::from(counter.events), counter.quantity.0]);
    }
    let mut holds = export.holds().await?;
    loop {
        let piece = holds.next().await?;
        if piece.is_empty() {
            break;
        }
        tallies.holds(piece.iter().map(|hold| (hold_state_code(hold.state), 1)));
    }
    let mut distinct_values = export.distinct_values();
    while let Some((_, distinct_value)) = distinct_values.try_next().await? {
        tallies.distinct_values([1, i128::from(distinct_value.count)]);
    }
    Ok(tallies)
}

async fn of_target(import: &Import) -> Result<Tallies> {
    let (mut tallies, mut counting) = (Tallies::default(), import.counting().await?);
    for table in TABLES {
        tallies.add(table.name, counting.count(table.target).await?);
    }
    for (table, name) in LISTS {
        tallies.add(name, counting.count(table).await?);
    }
    tallies.records(counting.records().await?)?;
    for (kind, currency, sums) in counting.accounts().await? {
        tallies.accounts(kind, currency, sums);
    }
    tallies.add("carries", counting.count("carries").await?);
    tallies.counters(counting.counters().await?);
    tallies.holds(counting.holds().await?.into_iter());
    tallies.distinct_values(counting.distinct_values().await?);
    Ok(tallies)
}

impl Tallies {
    fn add(&mut self, name: impl Into<String>, count: impl Into<i128>) {
        *self.0.entry(name.into()).or_default() += count.into();
    }

    fn records(&mut self, counts: Vec<(i64, i64)>) -> Result<()> {
        for (code, count) in counts {
            let kind = Kind::from_code(code)
                .ok_or_else(|| SqlError::corrupt(format!("records: unknown kind {code}")))?;
            self.add(format!("records {kind:?}"), count);
        }
        Ok(())
    }

    /// How many, posted and held cents.
    fn accounts(
        &mut self,
        kind: AccountKind,
        currency: Currency,
        [count, posted, held]: [i128; 3],
    ) {
        self.add(format!("accounts {currency} {kind}"), count);
        self.add(format!("accounts {currency} {kind}, posted cents"), posted);
        self.add(format!("accounts {currency} {kind}, held cents"), held);
    }

    /// How many, events and quantities.
    fn counters(&mut self, [count, events, quantity]: [i128; 3]) {
        self.add("counters", count);
        self.add("counters, events", events);
        self.add("counters, quantity in billionths", quantity);
    }

    /// How many by state.
    fn holds(&mut self, counts: impl Iterator<Item = (i64, i64)>) {
        const STATES: [HoldState; 4] = [
            HoldState::Open,
            HoldState::Captured,
            HoldState::Released,
            HoldState::Expired,
        ];
        for (code, count) in counts {
            let state = STATES
                .into_iter()
                .find(|state| hold_state_code(*state) == code);
            self.add(
                state.map_or_else(
                    || format!("holds in state {code}"),
                    |state| format!("holds {state}"),
                ),
                count,
            );
        }
    }

    /// How many, and how often they were reported.
    fn distinct_values(&mut self, [count, reports]: [i128; 2]) {
        self.add("members", count);
        self.add("members, reports", reports);
    }
}
