//! What was answered against what stands in the books: the sum of charges per customer and
//! reseller, the platform's revenue, and that nothing is held any more.

use super::events::People;
use crate::client::{Call, Connection, Endpoint};
use anyhow::Context;
use serde::Deserialize;

/// Cents by customer and by reseller, and the platform's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Balances: minus what was debited.
    pub customers: Vec<i64>,
    /// Balances: plus what was earned.
    pub roots: Vec<i64>,
    pub platform: i64,
    pub held: i64,
}

impl Sums {
    pub fn new(people: People) -> Self {
        Self {
            customers: vec![0; people.customers],
            roots: vec![0; people.roots],
            platform: 0,
            held: 0,
        }
    }

    /// One event: `parts` from the platform down.
    pub fn add(&mut self, customer: u32, debit: i64, parts: &[i64]) {
        let customer = customer as usize;
        if let Some(balance) = self.customers.get_mut(customer) {
            *balance -= debit;
        }
        let Some((platform, rest)) = parts.split_first() else {
            return;
        };
        self.platform += platform;
        if let Some(balance) = self.roots.get_mut(People::root_of(customer)) {
            *balance += rest.iter().sum::<i64>();
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let pairs = self
            .customers
            .iter_mut()
            .zip(&other.customers)
            .chain(self.roots.iter_mut().zip(&other.roots));
        pairs.for_each(|(own, others)| *own += others);
        self.platform += other.platform;
        self.held += other.held;
    }
}

pub fn balance_path(tenant: &str) -> String {
    format!("/v1/accounts/{tenant}")
}

#[derive(Debug, Deserialize)]
struct Account {
    posted_cents: i64,
    held_cents: i64,
}

pub fn posted_cents(answer: &[u8]) -> anyhow::Result<i64> {
    Ok(account(answer)?.posted_cents)
}

fn account(answer: &[u8]) -> anyhow::Result<Account> {
    serde_json::from_slice(answer).context("the server's response is not a balance")
}

/// Reads every balance there is to read.
pub async fn read(endpoint: &Endpoint, people: People) -> anyhow::Result<Sums> {
    const CONNECTIONS: usize = 16;
    let shares = (0..CONNECTIONS).map(|share| read_share(endpoint, people, share, CONNECTIONS));
    let mut sums = Sums::new(people);
    for share in futures_util::future::try_join_all(shares).await? {
        sums.merge(&share);
    }
    Ok(sums)
}

async fn read_share(
    endpoint: &Endpoint,
    people: People,
    share: usize,
    of: usize,
) -> anyhow::Result<Sums> {
    let mut connection = endpoint.connect().await?;
    let mut sums = Sums::new(people);
    for customer in (share..people.customers).step_by(of) {
        let account = read_one(&mut connection, &People::customer_name(customer)).await?;
        sums.customers[customer] = account.posted_cents;
        sums.held += account.held_cents;
    }
    for root in (share..people.roots).step_by(of) {
        let name = People::root_name(root);
        let account = read_one(&mut connection, &name).await?;
        sums.roots[root] = account.posted_cents;
        sums.held += account.held_cents;
        sums.platform += read_one(&mut connection, &format!("{name}?account=revenue"))
            .await?
            .posted_cents;
    }
    Ok(sums)
}

async fn read_one(connection: &mut Connection, tenant: &str) -> anyhow::Result<Account> {
    account(
        &connection
            .send_patiently(&Call::get(&balance_path(tenant)))
            .await?
            .ok()?,
    )
}
