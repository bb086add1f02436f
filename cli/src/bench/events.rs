//! Usage events as request bodies: distinct ids, destinations under a generated deck, customers in
//! turn. Written by hand into one buffer, because the load generator shares its cores with the
//! server.

use super::deck::{Deck, NUMBER_DIGITS};
use super::random::Random;
use super::zipf::Zipf;
use super::{Ids, Mix};
use clock::Clock;
use std::sync::Arc;

const CALL_SECS_MAX: i64 = 600;

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
        Self {
            roots: customers.div_ceil(Self::CUSTOMERS_PER_ROOT),
            customers,
        }
    }
    /// How many customers one draw is made from: a batch of one reseller holds only that one's.
    pub fn drawn_from(self, mix: Mix) -> usize {
        if mix == Mix::OneRoot {
            Self::CUSTOMERS_PER_ROOT
        } else {
            self.customers
        }
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

/// Whose usage comes when.
#[derive(Debug, Clone)]
pub struct Spread {
    pub people: People,
    pub mix: Mix,
    /// Over as many as [`People::drawn_from`]. None: all use alike.
    pub zipf: Option<Arc<Zipf>>,
}

/// One connection's stream of events.
#[derive(Debug)]
pub struct Events {
    pub deck: Arc<Deck>,
    pub spread: Spread,
    pub ids: Ids,
    pub clock: Clock,
    random: Random,
}

impl Events {
    /// `stream` sets connections apart: no two write the same ids.
    pub fn new(deck: Arc<Deck>, spread: Spread, ids: Ids, clock: Clock, stream: u64) -> Self {
        let seed = clock.now().micros().cast_unsigned().rotate_left(20)
            ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self {
            deck,
            spread,
            ids,
            clock,
            random: Random::new(seed),
        }
    }

    /// `count` events as NDJSON into `body`, their customers into `who`; both are cleared first.
    pub fn write(&mut self, count: u64, body: &mut Vec<u8>, who: &mut Vec<u32>) {
        body.clear();
        who.clear();
        let now = self.clock.now();
        // The longest has just ended.
        let at = now.plus_secs(-CALL_SECS_MAX).to_string();
        let root = self.random.below(self.spread.people.roots);
        for _ in 0..count {
            let customer = self.customer(root);
            who.push(u32::try_from(customer).unwrap_or(u32::MAX));
            body.extend_from_slice(b"{\"id\":\"");
            push_id(body, self.ids, now.micros() / 1000, &mut self.random);
            self.push_usage(body, customer, &at);
            body.push(b'\n');
        }
    }

    /// From `,"source"` on, without an id; ends the object.
    pub fn push_usage(&mut self, body: &mut Vec<u8>, customer: usize, at: &str) {
        let mut number = [0; NUMBER_DIGITS];
        self.deck.number(&mut self.random, &mut number);
        let seconds = 1 + self.random.below(CALL_SECS_MAX.unsigned_abs() as usize);
        body.extend_from_slice(b"\",\"source\":\"bench\",\"customer\":\"bench-c");
        push_decimal(body, customer, 6);
        body.extend_from_slice(b"\",\"meter\":\"call\",\"quantity\":\"");
        push_decimal(body, seconds, 1);
        body.extend_from_slice(b"\",\"at\":\"");
        body.extend_from_slice(at.as_bytes());
        body.extend_from_slice(b"\",\"destination\":\"+");
        body.extend_from_slice(&number);
        body.extend_from_slice(b"\"}");
    }

    pub fn id(&mut self) -> String {
        let mut id = Vec::new();
        push_id(
            &mut id,
            self.ids,
            self.clock.now().micros() / 1000,
            &mut self.random,
        );
        String::from_utf8(id).unwrap_or_default()
    }

    pub fn any_customer(&mut self) -> usize {
        self.drawn(self.spread.people.customers)
    }

    fn customer(&mut self, root: usize) -> usize {
        match self.spread.mix {
            Mix::Mixed => self.any_customer(),
            Mix::OneRoot => {
                let first = root * People::CUSTOMERS_PER_ROOT;
                let own = People::CUSTOMERS_PER_ROOT.min(self.spread.people.customers - first);
                first + self.drawn(own)
            }
        }
    }

    fn drawn(&mut self, below: usize) -> usize {
        match &self.spread.zipf {
            None => self.random.below(below),
            Some(zipf) => zipf.draw(&mut self.random) % below,
        }
    }
}

/// RFC 9562: version 7 has the milliseconds first, version 4 is random throughout.
fn push_id(body: &mut Vec<u8>, ids: Ids, unix_ms: i64, random: &mut Random) {
    let (low, high) = (random.next(), random.next());
    let (head, version) = match ids {
        Ids::V7 => (unix_ms.cast_unsigned() & 0xffff_ffff_ffff, b'7'),
        Ids::V4 => (high >> 16, b'4'),
    };
    push_hex(body, head >> 16, 8);
    body.push(b'-');
    push_hex(body, head, 4);
    body.push(b'-');
    body.push(version);
    push_hex(body, high, 3);
    body.push(b'-');
    push_hex(body, 0x8000 | (low >> 50), 4);
    body.push(b'-');
    push_hex(body, low, 12);
}

/// The last `digits` hexadecimal digits.
fn push_hex(body: &mut Vec<u8>, value: u64, digits: u32) {
    let nibbles = (0..digits)
        .rev()
        .map(|place| (value >> (4 * place)) as usize & 15);
    body.extend(nibbles.map(|nibble| b"0123456789abcdef"[nibble]));
}

/// With leading zeros up to `width` digits, as `{value:0width$}` would.
fn push_decimal(body: &mut Vec<u8>, mut value: usize, width: usize) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut from = DIGITS_MAX;
    while value > 0 {
        from -= 1;
        digits[from] = b"0123456789"[value % 10];
        value /= 10;
    }
    body.extend_from_slice(&digits[from.min(DIGITS_MAX - width.min(DIGITS_MAX))..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn ids_of(ids: Ids) -> Vec<String> {
        let clock = Clock::at(rating::Instant::from_secs(1_800_000_000));
        let spread = Spread {
            people: People::new(250),
            mix: Mix::OneRoot,
            zipf: None,
        };
        let mut events = Events::new(Arc::new(Deck::generate(100, 1)), spread, ids, clock, 3);
        let (mut body, mut who) = (Vec::new(), Vec::new());
        events.write(500, &mut body, &mut who);
        assert!(
            who.iter()
                .all(|&c| People::root_of(c as usize) == People::root_of(who[0] as usize)),
            "one root"
        );
        let parsed: Vec<_> = formats::input::ndjson::rows(&body);
        let id = |row: formats::input::Row| row.into_parsed().unwrap().unwrap().id;
        parsed.into_iter().map(id).collect()
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for value in [0, 7, 10, 600, 999_999, 1_000_000, usize::MAX] {
            let (mut body, mut hex) = (Vec::new(), Vec::new());
            push_decimal(&mut body, value, 6);
            push_hex(&mut hex, value as u64, 16);
            assert_eq!(
                (body, hex),
                (
                    format!("{value:06}").into_bytes(),
                    format!("{value:016x}").into_bytes()
                )
            );
        }
    }

    #[test]
    fn events_are_well_formed_and_their_ids_distinct() {
        for (ids, version) in [(Ids::V7, '7'), (Ids::V4, '4')] {
            let all = ids_of(ids);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), 500);
            assert!(
                all.iter()
                    .all(|id| id.len() == 36 && id.chars().nth(14) == Some(version)),
                "{}",
                all[0]
            );
        }
    }
}
