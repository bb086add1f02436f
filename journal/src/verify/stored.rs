//! What is stored besides the records, compared with what follows from them.

use super::Audit;
use super::tally::{Tally, compare};
use crate::{Amendment, Counted, State};
use ledger::{AccountKey, HoldState};
use rating::{Carry, Cents, TenantId};
use std::collections::HashMap;

/// What is stored besides the records, at the same moment.
#[derive(Debug, Default)]
pub struct Stored {
    /// Every account, carry, counter, open hold and amendment.
    pub state: State,
    /// Every root's chain head.
    pub chain_heads: HashMap<TenantId, [u8; 32]>,
}

impl Audit {
    pub(super) fn compare(&mut self, stored: &Stored) {
        self.chain.finish(&stored.chain_heads);
        self.sum_up(stored);
        self.compare_balances(stored);
        self.compare_carries(stored);
        compare(
            "counter",
            &self.counters,
            &stored.state.counters,
            Counted::agrees,
            &mut self.counter_tally,
        );
        compare(
            "amendment of",
            &self.amendments,
            &stored.state.amendments,
            Amendment::eq,
            &mut self.amendment_tally,
        );
        self.amendment_tally.examined += self.amendments.len() as u64;
        self.compare_holds(stored);
    }

    fn sum_up(&mut self, stored: &Stored) {
        for (key, balance) in stored
            .state
            .accounts
            .iter()
            .filter(|(_, balance)| balance.posted != Cents::ZERO)
        {
            self.zero_sum_examined += 1;
            *self.sums.entry(key.currency).or_default() += i128::from(balance.posted.0);
        }
    }

    pub(super) fn zero_sum(&mut self) -> Tally {
        let mut tally = Tally {
            examined: self.zero_sum_examined,
            ..Tally::default()
        };
        for (currency, sum) in std::mem::take(&mut self.sums)
            .into_iter()
            .filter(|(_, sum)| *sum != 0)
        {
            tally.differs(format_args!("{currency}: the accounts sum to {sum} cents"));
        }
        tally
    }

    fn compare_balances(&mut self, stored: &Stored) {
        for (key, balance) in &stored.state.accounts {
            let sum = self.balances.remove(key).unwrap_or_default();
            if sum != i128::from(balance.posted.0) {
                self.balance_tally.differs(format_args!(
                    "{key}: the balance is {}, its entries sum to {sum}",
                    balance.posted
                ));
            }
        }
        for (key, sum) in self.balances.drain().filter(|(_, sum)| *sum != 0) {
            self.balance_tally.differs(format_args!(
                "{key}: there is no such account, its entries sum to {sum}"
            ));
        }
    }

    fn compare_carries(&mut self, stored: &Stored) {
        let links = stored.state.carries.iter().flat_map(|(&customer, links)| {
            links
                .iter()
                .map(move |&(buyer, carry)| ((customer, buyer), carry))
        });
        let stored: HashMap<(TenantId, TenantId), Carry> =
            links.filter(|(_, carry)| *carry != Carry::ZERO).collect();
        self.carries.retain(|_, carry| *carry != Carry::ZERO);
        for (key, carry) in &self.carries {
            if stored.get(key) != Some(carry) {
                let (customer, buyer) = key;
                let is = stored.get(key).copied().unwrap_or_default().in_cents();
                self.carry_tally.differs(format_args!(
                    "{customer} on the link of {buyer}: {is} is carried, not {}",
                    carry.in_cents()
                ));
            }
        }
        for (customer, buyer) in stored.keys().filter(|key| !self.carries.contains_key(key)) {
            self.carry_tally.differs(format_args!(
                "{customer} on the link of {buyer}: something is carried without a charge"
            ));
        }
    }

    fn compare_holds(&mut self, stored: &Stored) {
        let mut held: HashMap<AccountKey, i128> = HashMap::new();
        for hold in stored
            .state
            .holds
            .values()
            .filter(|hold| hold.state == HoldState::Open)
        {
            match self.held.remove(&hold.id) {
                Some(amounts) if amounts.as_slice() == hold.amounts.as_slice() => {}
                Some(_) => self.hold_tally.differs(format_args!(
                    "{}: the hold is not what its records say",
                    hold.id
                )),
                None => self.hold_tally.differs(format_args!(
                    "{}: the hold is open without a record",
                    hold.id
                )),
            }
            hold.amounts.iter().for_each(|(account, cents)| {
                *held.entry(*account).or_default() += i128::from(cents.0)
            });
        }
        for hold in self.held.keys() {
            self.hold_tally.differs(format_args!(
                "{hold}: the hold is open by its records and not stored as open"
            ));
        }
        for (key, balance) in &stored.state.accounts {
            let sum = held.remove(key).unwrap_or_default();
            if sum != i128::from(balance.held.0) {
                self.hold_tally.differs(format_args!(
                    "{key}: {} held, its open holds sum to {sum}",
                    balance.held
                ));
            }
        }
        for key in held.keys() {
            self.hold_tally.differs(format_args!(
                "{key}: there is no such account, and holds on it are open"
            ));
        }
    }
}
