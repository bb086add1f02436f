//! `bench rate`: pricing alone, in process, on one core. Two links (the wholesale card at 75 % of
//! retail), a generated deck, destinations that differ from event to event.
//!
//! The sums of every 64th customer are computed again, slowly: by trying every prefix of the number
//! in a hash map, and from the deck's own prices.

use super::deck::{Deck, NUMBER_DIGITS, STEP_SECS};
use super::random::Random;
use super::report::{Report, new_histogram, peak_rss_mb};
use super::{Args, SEED};
use crate::progress::Progress;
use anyhow::{Context, anyhow};
use rating::card::Aggregation;
use rating::compile::CompiledCard;
use rating::usage::{Counter, Number, Usage};
use rating::{Carry, Cents, Exact, Instant, Quantity, rounding};
use std::collections::HashMap;
use std::time::Instant as Stopwatch;

const EVENTS_DEFAULT: u64 = 10_000_000;
const DECK_DEFAULT: usize = 300_000;
/// Retail, wholesale: percent of the deck's prices.
const PERCENTS: [u32; 2] = [100, 75];
/// Numbers made beforehand: far more than any cache holds.
const NUMBERS: usize = 1 << 20;
const CHUNK: u64 = 1000;
const DURATION_SECS_MAX: usize = 1800;
const CHECKED_EVERY: u32 = 64;

/// What is rated: number, seconds, customer.
struct Workload {
    digits: String,
    calls: Vec<(u16, u32)>,
}

impl Workload {
    fn generate(deck: &Deck, customers: usize) -> anyhow::Result<Self> {
        let mut random = Random::new(SEED + 1);
        let mut digits = String::with_capacity(NUMBERS * NUMBER_DIGITS);
        let mut calls = Vec::with_capacity(NUMBERS);
        let mut number = [0; NUMBER_DIGITS];
        for _ in 0..NUMBERS {
            deck.number(&mut random, &mut number);
            digits.push_str(std::str::from_utf8(&number)?);
            calls.push((
                u16::try_from(1 + random.below(DURATION_SECS_MAX))?,
                u32::try_from(random.below(customers))?,
            ));
        }
        Ok(Self { digits, calls })
    }
    fn number(&self, index: usize) -> &str {
        &self.digits[index * NUMBER_DIGITS..(index + 1) * NUMBER_DIGITS]
    }
}

/// What one customer owes on each link.
#[derive(Clone, Default)]
struct Owed {
    carry: [Carry; 2],
    posted: [Cents; 2],
}

pub fn run(args: &Args) -> anyhow::Result<Report> {
    let (size, customers) = (args.deck.unwrap_or(DECK_DEFAULT), args.tenants.max(1));
    let deck = Deck::generate(size, SEED);
    let compile = |percent| {
        CompiledCard::compile(&deck.card(percent))
            .map_err(|mistakes| anyhow!("the generated deck does not compile: {mistakes:?}"))
    };
    let cards = [compile(PERCENTS[0])?, compile(PERCENTS[1])?];
    let work = Workload::generate(&deck, customers)?;
    let mut owed = vec![Owed::default(); customers];
    rate_chunk(&cards, &work, 0, NUMBERS as u64, &mut owed)?;
    owed.fill(Owed::default());

    let (events, latency, elapsed) = timed(args, &cards, &work, &mut owed)?;
    let checked = check(&deck, &work, events, &owed);
    let more = vec![
        ("deck", size.into()),
        ("links", 2.into()),
        ("customers", customers.into()),
        ("latency_of", "1000 events".into()),
    ];
    Ok(Report {
        events,
        elapsed,
        latency,
        rss_mb: peak_rss_mb("self"),
        checked,
        cost: None,
        more,
    })
}

type Timed = (u64, hdrhistogram::Histogram<u64>, std::time::Duration);

fn timed(
    args: &Args,
    cards: &[CompiledCard; 2],
    work: &Workload,
    owed: &mut [Owed],
) -> anyhow::Result<Timed> {
    let (limit, mut latency, mut events) = (args.limit(EVENTS_DEFAULT), new_histogram()?, 0);
    let progress = Progress::new("rating", limit.events.unwrap_or(0));
    let started = Stopwatch::now();
    while limit.events.is_none_or(|max| events < max)
        && limit.duration.is_none_or(|max| started.elapsed() < max)
    {
        let count = limit.events.map_or(CHUNK, |max| CHUNK.min(max - events));
        let begun = Stopwatch::now();
        rate_chunk(cards, work, events, count, owed)?;
        latency.saturating_record(u64::try_from(begun.elapsed().as_micros())?);
        events += count;
        progress.add(count);
    }
    Ok((events, latency, started.elapsed()))
}

fn rate_chunk(
    cards: &[CompiledCard; 2],
    work: &Workload,
    from: u64,
    count: u64,
    owed: &mut [Owed],
) -> anyhow::Result<()> {
    let at = Instant::from_secs(1_800_000_000);
    let none = Counter::default();
    for event in from..from + count {
        let index = usize::try_from(event)? % NUMBERS;
        let (seconds, customer) = work.calls[index];
        let usage = Usage {
            meter: "call",
            is_call: true,
            aggregation: Aggregation::Sum,
            at,
            quantity: Quantity::whole(i64::from(seconds)),
            amount: None,
            number: Number::International,
            destination: Some(work.number(index)),
            origin: None,
            attributes: &[],
        };
        let owed = owed
            .get_mut(customer as usize)
            .context("a customer that does not exist")?;
        for (link, card) in cards.iter().enumerate() {
            let measured = card.measure(&usage)?;
            let priced = card.price(&measured, &usage, &none, &none)?;
            let (cents, carry) = rounding::post(owed.carry[link], priced.exact)?;
            owed.carry[link] = carry;
            owed.posted[link] = owed.posted[link].checked_add(cents)?;
        }
    }
    Ok(())
}

/// Σ posted and carry of every 64th customer, found again without any of the code that was
/// measured.
fn check(deck: &Deck, work: &Workload, events: u64, owed: &[Owed]) -> bool {
    let destinations: HashMap<&str, u32> = deck
        .prefixes
        .iter()
        .map(|(digits, destination)| (&**digits, *destination))
        .collect();
    let mut sums = vec![[0_i128; 2]; owed.len()];
    for (index, &(seconds, customer)) in work
        .calls
        .iter()
        .enumerate()
        .filter(|(_, (_, customer))| customer % CHECKED_EVERY == 0)
    {
        let rounds = i128::from(events / NUMBERS as u64)
            + i128::from((index as u64) < events % NUMBERS as u64);
        let number = work.number(index);
        let Some(destination) = (1..=NUMBER_DIGITS)
            .rev()
            .find_map(|length| destinations.get(&number[..length]))
        else {
            return false;
        };
        let steps = (i128::from(seconds) + i128::from(STEP_SECS) - 1) / i128::from(STEP_SECS);
        for (sum, percent) in sums[customer as usize].iter_mut().zip(PERCENTS) {
            // Price in 1/10,000 per minute, in percent: a step of 6 s costs price · percent / 10⁷
            // of the major unit.
            *sum += rounds
                * steps
                * i128::from(deck.prices[*destination as usize])
                * i128::from(percent)
                * 10_000_000;
        }
    }
    let sampled = owed.iter().zip(&sums).step_by(CHECKED_EVERY as usize);
    sampled.into_iter().all(|(owed, sums)| {
        (0..2).all(|link| {
            i128::from(owed.posted[link].0) * Exact::PER_CENT + i128::from(owed.carry[link].0)
                == sums[link]
        })
    })
}
