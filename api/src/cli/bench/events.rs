//! Usage events as request bodies: distinct ids, destinations under a generated deck, customers in
//! turn. Written by hand into one buffer, because the load generator shares its cores with the server.

use super::deck::{Deck, NUMBER_DIGITS};
use super::random::Random;
use super::{Ids, Mix};
use crate::clock::Clock;
use std::fmt::Write as _;
use std::sync::Arc;

const DURATION_SECS_MAX: usize = 600;

/// Who uses: `roots` resellers below the platform, each with its customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct People {
    pub roots: usize,
    pub customers: usize,
}

impl People {
    pub const CUSTOMERS_PER_ROOT: usize = 100;

    pub fn new(customers: usize) -> Self {
        let customers = customers.max(1);
        Self { roots: customers.div_ceil(Self::CUSTOMERS_PER_ROOT), customers }
    }
    pub fn root_of(customer: usize) -> usize {
        customer / Self::CUSTOMERS_PER_ROOT
    }
    pub fn customer_name(customer: usize) -> String {
        format!("bench-c{customer:06}")
    }
    pub fn root_name(root: usize) -> String {
        format!("bench-r{root:06}")
    }
}

/// One connection's stream of events.
#[derive(Debug)]
pub struct Events {
    pub deck: Arc<Deck>,
    pub people: People,
    pub ids: Ids,
    pub mix: Mix,
    pub clock: Clock,
    random: Random,
}

impl Events {
    /// `stream` sets connections apart: no two write the same ids.
    pub fn new(deck: Arc<Deck>, people: People, ids: Ids, mix: Mix, clock: Clock, stream: u64) -> Self {
        let seed = clock.now().micros().cast_unsigned().rotate_left(20) ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self { deck, people, ids, mix, clock, random: Random::new(seed) }
    }

    /// `count` events as NDJSON into `body`, their customers into `who`; both are cleared first.
    pub fn write(&mut self, count: u64, body: &mut String, who: &mut Vec<u32>) {
        body.clear();
        who.clear();
        let now = self.clock.now();
        let at = now.plus_secs(-1).to_string();
        let root = self.random.below(self.people.roots);
        for _ in 0..count {
            let customer = self.customer(root);
            who.push(u32::try_from(customer).unwrap_or(u32::MAX));
            body.push_str("{\"id\":\"");
            push_id(body, self.ids, now.micros() / 1000, &mut self.random);
            self.push_usage(body, customer, &at);
            body.push('\n');
        }
    }

    /// From `,"source"` on, without an id; ends the object.
    pub fn push_usage(&mut self, body: &mut String, customer: usize, at: &str) {
        let mut number = [0; NUMBER_DIGITS];
        self.deck.number(&mut self.random, &mut number);
        let seconds = 1 + self.random.below(DURATION_SECS_MAX);
        // Writing into a String does not fail.
        let _ = write!(
            body,
            "\",\"source\":\"bench\",\"customer\":\"bench-c{customer:06}\",\"meter\":\"call\",\"quantity\":\"{seconds}\",\"at\":\"{at}\",\"destination\":\"+"
        );
        number.iter().for_each(|&digit| body.push(char::from(digit)));
        body.push_str("\"}");
    }

    pub fn push_id(&mut self, body: &mut String) {
        push_id(body, self.ids, self.clock.now().micros() / 1000, &mut self.random);
    }

    pub fn any_customer(&mut self) -> usize {
        self.random.below(self.people.customers)
    }

    fn customer(&mut self, root: usize) -> usize {
        match self.mix {
            Mix::Mixed => self.any_customer(),
            Mix::OneRoot => {
                let first = root * People::CUSTOMERS_PER_ROOT;
                let own = People::CUSTOMERS_PER_ROOT.min(self.people.customers - first);
                first + self.random.below(own)
            }
        }
    }
}

/// RFC 9562: version 7 has the milliseconds first, version 4 is random throughout.
fn push_id(body: &mut String, ids: Ids, unix_ms: i64, random: &mut Random) {
    let (low, high) = (random.next(), random.next());
    let (head, version) = match ids {
        Ids::V7 => (unix_ms.cast_unsigned() & 0xffff_ffff_ffff, 7),
        Ids::V4 => (high >> 16, 4),
    };
    let _ = write!(
        body,
        "{:08x}-{:04x}-{version}{:03x}-{:04x}-{:012x}",
        head >> 16,
        head & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn ids_of(ids: Ids) -> Vec<String> {
        let clock = Clock::at(rating::Instant::from_secs(1_800_000_000));
        let mut events = Events::new(Arc::new(Deck::generate(100, 1)), People::new(250), ids, Mix::OneRoot, clock, 3);
        let (mut body, mut who) = (String::new(), Vec::new());
        events.write(500, &mut body, &mut who);
        assert!(who.iter().all(|&c| People::root_of(c as usize) == People::root_of(who[0] as usize)), "one root");
        let parsed: Vec<_> = metering::input::ndjson::rows(body.as_bytes()).collect();
        let id = |row: metering::input::Row| row.into_parsed().unwrap().unwrap().id;
        parsed.into_iter().map(id).collect()
    }

    #[test]
    fn events_are_well_formed_and_their_ids_distinct() {
        for (ids, version) in [(Ids::V7, '7'), (Ids::V4, '4')] {
            let all = ids_of(ids);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), 500);
            assert!(all.iter().all(|id| id.len() == 36 && id.chars().nth(14) == Some(version)), "{}", all[0]);
        }
    }
}
