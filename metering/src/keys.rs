//! Which states a command's turn may read or change: all of them are loaded before the first turn.

use crate::command::Command;
use crate::void::Void;
use crate::{charge, counters, distinct_value, shares};
use journal::{Counted, CounterKey, JournalEntry, StateKeys};
use ledger::{AccountKey, Hold};
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::measured::{MeasuredLink, Plan};
use rating::Currency;
use rating::fast::FastMap;

impl Command {
    /// States that its turn may read or change.
    pub fn keys(&self, keys: &mut StateKeys) {
        match self {
            Self::Usage(prepared) => usage_keys(prepared, keys),
            Self::RateUnrated { kept, prepared } => {
                usage_keys(prepared, keys);
                keys.amendments.push(kept.seq);
            }
            Self::Void(void) => void.keys(keys),
            Self::Correct { void, event } => {
                void.keys(keys);
                usage_keys(event, keys);
            }
            Self::Overrule {
                void,
                event,
                own,
                lower,
            } => {
                void.iter().for_each(|void| void.keys(keys));
                keys.amendments.push(*lower);
                usage_keys(event, keys);
                keys.amendments.extend(own.as_ref().map(|own| own.seq));
            }
            // A hold placed before is loaded with the record that placed it.
            Self::PlaceHold(work) => usage_keys(&work.prepared, keys),
            Self::ExtendHold { hold, work, .. } => {
                usage_keys(&work.prepared, keys);
                keys.under(work.prepared.name().name.root);
                keys.holds.push(*hold);
            }
            Self::ReleaseHold { hold, named, .. } => {
                keys.under(named.identity.root);
                keys.holds.push(*hold);
            }
            Self::Money { command, .. } => {
                let account = command.account;
                keys.under(command.root);
                keys.accounts.extend([
                    account,
                    AccountKey::external(command.root, account.currency),
                ]);
            }
            Self::Payment { command, .. } => {
                keys.under(command.root);
                keys.accounts.extend(
                    command
                        .postings
                        .iter()
                        .flat_map(|posting| [posting.from, posting.to]),
                );
            }
            Self::Reclassify {
                named,
                tenant,
                currency,
                ..
            } => {
                keys.under(named.identity.root);
                keys.accounts.extend([
                    AccountKey::balance(*tenant, *currency),
                    AccountKey::book(*tenant, *currency),
                ]);
            }
            Self::SettleCarries(settling) => settling.keys(keys),
            Self::Sweep { .. } => {}
        }
    }
}

impl Command {
    /// States that its turn may read or change as well, now that its counters are known.
    pub fn later_keys(&self, counters: &FastMap<CounterKey, Counted>, keys: &mut StateKeys) {
        let prepared = match self {
            Self::Usage(prepared) | Self::RateUnrated { prepared, .. } => prepared,
            Self::Correct { event, .. } | Self::Overrule { event, .. } => event,
            _ => return,
        };
        let (Some(customer), Ok(plan)) = (&prepared.customer, &prepared.priced) else {
            return;
        };
        keys.under(customer.tenant.root);
        distinct_value::later_keys(prepared, plan, counters, keys);
    }
}

fn usage_keys(prepared: &RatedEvent, keys: &mut StateKeys) {
    let (Some(customer), Ok(plan)) = (&prepared.customer, &prepared.priced) else {
        return;
    };
    keys.under(customer.tenant.root);
    keys.carries.push(customer.tenant.id);
    for link in plan.links() {
        link_accounts(&link, plan.currency, customer, keys);
    }
    // Usage carries its hold's name, or the same id.
    let holds = if prepared.event.hold.is_some() {
        &mut keys.holds
    } else {
        &mut keys.open_holds
    };
    holds.push(prepared.hold);
    if plan.counts() {
        counter_keys(prepared, plan, keys);
    }
}

fn counter_keys(prepared: &RatedEvent, plan: &Plan, keys: &mut StateKeys) {
    for link in plan.links() {
        keys.counters
            .extend(counters::candidates(prepared, plan, &link));
        keys.counters
            .extend(shares::share(prepared, plan, &link).map(|share| share.own));
    }
    distinct_value::keys(prepared, plan, keys);
}

fn link_accounts(
    link: &MeasuredLink<'_>,
    currency: Currency,
    customer: &Customer,
    keys: &mut StateKeys,
) {
    keys.accounts
        .extend(charge::accounts_of(link, customer, currency));
}

impl Void {
    fn keys(&self, keys: &mut StateKeys) {
        keys.amendments
            .extend([self.original.seq, self.charged.seq]);
        record_keys(&self.charged, keys);
        keys.under(self.charged.identity.root);
        keys.carries.push(self.charged.tenant);
        keys.accounts.extend(
            self.charged
                .body
                .currency
                .map(|currency| AccountKey::balance(self.charged.tenant, currency)),
        );
        keys.accounts
            .extend(self.cover.as_ref().map(|(limit, _)| limit.account));
        for charge in &self.charged.body.charges {
            if let Some(id) = charge.counter {
                keys.counters.push(CounterKey {
                    buyer: charge.link.buyer,
                    id,
                });
            }
        }
        distinct_value::void_keys(self, keys);
    }
}

/// The accounts a record's charges touch, and whether a kept event was rated or voided since.
pub fn record_keys(record: &JournalEntry, keys: &mut StateKeys) {
    if record.is_kept() {
        // Without it a resend would be charged again.
        keys.amendments.push(record.seq);
    }
    let Some(currency) = record.body.currency else {
        return;
    };
    keys.under(record.identity.root);
    if record.is_kept() {
        // What is open of it may be charged now.
        keys.accounts
            .push(AccountKey::balance(record.tenant, currency));
    }
    for charge in &record.body.charges {
        let (buyer, root) = (charge.link.buyer, record.identity.root);
        // Where it was, and where a void puts it back.
        let settlement = charge.link.settlement;
        keys.accounts.extend([
            settlement.buyer_account(buyer, currency),
            settlement.today().buyer_account(buyer, currency),
        ]);
        let seller = charge.link.seller;
        keys.accounts.extend([
            AccountKey::balance(seller, currency),
            AccountKey::income(seller, currency),
            AccountKey::revenue(root, currency),
        ]);
    }
    record
        .body
        .postings
        .iter()
        .for_each(|posting| keys.accounts.extend([posting.from, posting.to]));
    record
        .body
        .held
        .iter()
        .for_each(|(account, _)| keys.accounts.push(*account));
    keys.holds.extend(record.body.hold);
}

/// What expiring this hold changes.
pub fn expiry_keys(hold: &Hold, keys: &mut StateKeys) {
    keys.under(hold.root);
    keys.accounts
        .extend(hold.amounts.iter().map(|(account, _)| *account));
    keys.holds.push(hold.id);
}
