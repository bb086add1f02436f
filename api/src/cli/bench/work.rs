//! What the connections do: send usage, place and release holds, read balances. Each keeps the sums
//! of what was answered, to be compared with the books afterwards.

use super::answers::each_posted;
use super::books::Sums;
use super::events::{Events, People};
use super::load::Work;
use crate::cli::client::{Call, Connection};
use anyhow::{Context, bail, ensure};
use hyper::body::Bytes;
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
    body: String,
    who: Vec<u32>,
    pub sums: Sums,
}

impl Ingest {
    pub fn new(events: Events, batch: u64) -> Self {
        let sums = Sums::new(events.people);
        Self { events, batch, body: String::new(), who: Vec::new(), sums }
    }
}

impl Work for Ingest {
    fn events_per_round(&self) -> u64 {
        self.batch
    }

    fn prepare(&mut self) {
        // The last body went away with its request: reserve what it took.
        self.body.reserve(usize::try_from(self.batch).unwrap_or(0) * 256);
        self.events.write(self.batch, &mut self.body, &mut self.who);
    }

    async fn round(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let content_type = if self.batch == 1 { JSON } else { NDJSON };
        let body = Bytes::from(std::mem::take(&mut self.body));
        let answer = connection.send_patiently(&Call::post(USAGE_PATH, content_type, body)).await?.ok()?;
        let (who, sums) = (&self.who, &mut self.sums);
        let sound = each_posted(&answer, who.len(), |index, debit, parts| {
            sums.add(who.get(index).copied().unwrap_or_default(), debit, parts);
        });
        ensure!(sound, "an event was not posted, or its parts do not sum to its debit: {}", excerpt(&answer));
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
    body: String,
    key: String,
}

impl Authorize {
    pub fn new(events: Events) -> Self {
        Self { events, body: String::new(), key: String::new() }
    }
}

#[derive(Debug, Deserialize)]
struct Placed {
    id: String,
}

impl Work for Authorize {
    fn events_per_round(&self) -> u64 {
        1
    }

    fn prepare(&mut self) {
        self.key.clear();
        self.events.push_id(&mut self.key);
        let customer = self.events.any_customer();
        let at = self.events.clock.now().to_string();
        self.body.clear();
        self.body.push_str("{\"usage\":{\"id\":\"");
        self.body.push_str(&self.key);
        self.events.push_usage(&mut self.body, customer, &at);
        self.body.push('}');
    }

    async fn round(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let place = Call::post(HOLDS_PATH, JSON, std::mem::take(&mut self.body)).keyed(&self.key);
        let placed: Placed = connection.send_patiently(&place).await?.json()?;
        let (path, key) = (format!("{HOLDS_PATH}/{}/release", placed.id), format!("{}-r", self.key));
        connection.send_patiently(&Call::post(&path, JSON, "{}").keyed(&key)).await?.ok()?;
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
        Self { events, customer: 0, expected, path: String::new() }
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

    async fn round(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let answer = connection.send_patiently(&Call::get(&self.path)).await?.ok()?;
        let got = super::books::posted_cents(&answer)?;
        let want = self.expected.customers.get(self.customer).context("a customer that does not exist")?;
        if got != *want {
            bail!("{} answers {got} cents, {want} are right", self.path);
        }
        Ok(())
    }
}
