//! What the connections do: send usage, place and release holds, read balances. Each keeps the sums
//! of what was answered, to be compared with the books afterwards.

use super::answers::each_posted;
use super::books::Sums;
use super::events::{Events, People};
use super::load::Work;
use super::wire::{Ask, Wire};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::sync::Arc;

const USAGE_PATH: &str = "/v1/usage-events";
const HOLDS_PATH: &str = "/v1/holds";
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// Sends batches of usage; a batch of one goes as a single JSON object.
#[derive(Debug)]
pub struct Ingest {
    events: Events,
    batch: u64,
    body: Vec<u8>,
    who: Vec<u32>,
    pub sums: Sums,
}

impl Ingest {
    pub fn new(events: Events, batch: u64) -> Self {
        let sums = Sums::new(events.spread.people);
        Self {
            events,
            batch,
            body: Vec::new(),
            who: Vec::new(),
            sums,
        }
    }
}

impl Work for Ingest {
    fn events_per_round(&self) -> u64 {
        self.batch
    }

    fn prepare(&mut self) {
        self.events.write(self.batch, &mut self.body, &mut self.who);
    }

    async fn round(&mut self, wire: &mut Wire) -> anyhow::Result<()> {
        let content_type = if self.batch == 1 { JSON } else { NDJSON };
        let answer = wire
            .ask(&Ask::post(USAGE_PATH, content_type, &self.body))
            .await?;
        let (who, sums) = (&self.who, &mut self.sums);
        let sound = each_posted(answer, who.len(), |index, debit, parts| {
            sums.add(who.get(index).copied().unwrap_or_default(), debit, parts);
        });
        ensure!(
            sound,
            "an event was not posted, or its splits do not add up to its debit: {}",
            excerpt(answer)
        );
        Ok(())
    }
}

/// The first piece of an answer that is worth showing.
fn excerpt(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[..answer.len().min(600)]).into_owned()
}

/// Places a hold and releases it: one authorisation.
#[derive(Debug)]
pub struct Authorize {
    events: Events,
    body: Vec<u8>,
    key: String,
}

impl Authorize {
    pub fn new(events: Events) -> Self {
        Self {
            events,
            body: Vec::new(),
            key: String::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Placed<'a> {
    id: &'a str,
}

impl Work for Authorize {
    fn events_per_round(&self) -> u64 {
        1
    }

    fn prepare(&mut self) {
        self.key = self.events.id();
        let customer = self.events.any_customer();
        let at = self.events.clock.now().to_string();
        self.body.clear();
        self.body.extend_from_slice(b"{\"usage\":{\"id\":\"");
        self.body.extend_from_slice(self.key.as_bytes());
        self.events.push_usage(&mut self.body, customer, &at);
        self.body.push(b'}');
    }

    async fn round(&mut self, wire: &mut Wire) -> anyhow::Result<()> {
        let placed = wire
            .ask(&Ask::post(HOLDS_PATH, JSON, &self.body).keyed(&self.key))
            .await?;
        let Placed { id } =
            serde_json::from_slice(placed).context("the server's response is not a hold")?;
        let path = format!("{HOLDS_PATH}/{id}/release");
        self.key.push_str("-r");
        wire.ask(&Ask::post(&path, JSON, b"{}").keyed(&self.key))
            .await?;
        Ok(())
    }
}

/// Reads one balance after the other, and compares each with what it must be.
#[derive(Debug)]
pub struct Balance {
    events: Events,
    customer: usize,
    expected: Arc<Sums>,
    path: String,
}

impl Balance {
    pub fn new(events: Events, expected: Arc<Sums>) -> Self {
        Self {
            events,
            customer: 0,
            expected,
            path: String::new(),
        }
    }
}

impl Work for Balance {
    fn events_per_round(&self) -> u64 {
        1
    }

    fn prepare(&mut self) {
        self.customer = self.events.any_customer();
        self.path = super::books::balance_path(&People::customer_name(self.customer));
    }

    async fn round(&mut self, wire: &mut Wire) -> anyhow::Result<()> {
        let got = super::books::posted_cents(wire.ask(&Ask::get(&self.path)).await?)?;
        let want = self
            .expected
            .customers
            .get(self.customer)
            .context("a customer that does not exist")?;
        if got != *want {
            bail!("{} returned {got} cents, expected {want}", self.path);
        }
        Ok(())
    }
}
