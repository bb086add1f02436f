//! What an event costs on each link, and what it moves: the same code for a charge and for a dry run.

use crate::directory::Customer;
use crate::member;
use crate::prepare::{Kept, MeasuredLink, Method, Plan, Prepared};
use crate::states::{States, carry_of};
use ledger::{AccountKey, Limit, LinkCharge, Settlement};
use rating::usage::{Counter, Unrated};
use rating::{Carry, Cents, Currency, Exact, Quantity, link};
use smallvec::SmallVec;
use store::journal::{Charge, ChargePricing, CounterKey};
use tenants::{Agreement, OnExhausted};

pub type Charges = Vec<Charge>;

/// Prices every link of the plan at the present counters and carries. Changes nothing.
pub fn price(prepared: &Prepared, customer: &Customer, plan: &Plan, states: &States) -> Result<Charges, Kept> {
    let links = plan.links();
    let mut charges = Charges::with_capacity(links.len());
    let carries = states.carries_of(customer.tenant.id);
    for link in links {
        let below = charges.last().map(|charge| charge.exact);
        let carry = carry_of(carries, link.agreement.buyer);
        charges.push(price_link(prepared, plan, &link, below, carry, states).map_err(|unrated| Kept(unrated.code()))?);
    }
    Ok(charges)
}

fn price_link(
    prepared: &Prepared,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    below: Option<Exact>,
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let buyer = link.agreement.buyer;
    match link.method {
        Method::Commission { commission_bp } => {
            let exact = link::commission_of(below.ok_or(Unrated::NoRate)?, *commission_bp)?;
            let pricing = ChargePricing::Commission { commission_bp: *commission_bp };
            finish(Draft { exact, pricing, ..Draft::on(link) }, carry)
        }
        Method::Card { version, card, measured } => {
            let usage = prepared.usage(plan);
            let counter = measured.counter.map(|id| CounterKey { buyer, id });
            let before = counter.map_or_else(Counter::default, |key| states.counter(&key));
            let after = match counter {
                Some(_) => member::after(prepared, plan, link, &before, states)?,
                None => before,
            };
            let priced = card.price(measured, &usage, &before, &after)?;
            let pricing = ChargePricing::Card {
                version: *version,
                rate: measured.found.rate,
                prefix_len: measured.found.prefix_len,
                pieces: measured.pieces.clone(),
            };
            let draft = Draft {
                exact: priced.exact,
                local: priced.local,
                billed: measured.billed,
                counter: measured.counter,
                before,
                after,
                pricing,
                ..Draft::on(link)
            };
            finish(draft, carry)
        }
    }
}

/// A charge but for its whole cents.
struct Draft<'a> {
    agreement: &'a Agreement,
    settlement: Settlement,
    exact: Exact,
    local: Exact,
    billed: Quantity,
    counter: Option<rating::usage::CounterId>,
    before: Counter,
    after: Counter,
    pricing: ChargePricing,
}

impl<'a> Draft<'a> {
    fn on(link: &MeasuredLink<'a>) -> Self {
        Self {
            agreement: link.agreement,
            settlement: link.settlement,
            exact: Exact::ZERO,
            local: Exact::ZERO,
            billed: Quantity::ZERO,
            counter: None,
            before: Counter::default(),
            after: Counter::default(),
            pricing: ChargePricing::Commission { commission_bp: 0 },
        }
    }
}

fn finish(draft: Draft<'_>, carry: Carry) -> Result<Charge, Unrated> {
    let link::LinkPosting { cents, carry } = link::post(carry, draft.exact)?;
    let agreement = draft.agreement;
    Ok(Charge {
        link: LinkCharge { buyer: agreement.buyer, seller: agreement.seller, settlement: draft.settlement, cents },
        agreement: agreement.id,
        pricing: draft.pricing,
        billed: draft.billed,
        counter: draft.counter,
        before: draft.before,
        after: draft.after,
        exact: draft.exact,
        local: draft.local,
        carry,
    })
}

pub fn link_charges(charges: &[Charge]) -> SmallVec<[LinkCharge; 3]> {
    charges.iter().map(|charge| charge.link).collect()
}

/// The buyers' limits: each agreement speaks for its own buyer's account.
pub fn limits(plan: &Plan) -> SmallVec<[Limit; 3]> {
    let limit = |link: MeasuredLink<'_>| Limit {
        account: link.settlement.buyer_account(link.agreement.buyer, plan.currency),
        credit_limit: link.agreement.credit_limit,
        refuse: link.agreement.on_exhausted == OnExhausted::Refuse,
    };
    plan.links().map(limit).collect()
}

/// Between which accounts the money of this link moves: the buyer's and the seller's.
pub fn accounts_of(link: &MeasuredLink<'_>, customer: &Customer, currency: Currency) -> [AccountKey; 2] {
    let (buyer, seller) = (link.agreement.buyer, link.agreement.seller);
    let charge = LinkCharge { buyer, seller, settlement: link.settlement, cents: Cents::ZERO };
    [charge.buyer_account(currency), charge.seller_account(customer.tenant.root, customer.platform(), currency)]
}

/// What the customer pays with: of the first link, as it is today.
pub fn customer_account(charges: &[Charge], currency: Currency) -> Option<AccountKey> {
    charges.first().map(|charge| charge.link.settlement.today().buyer_account(charge.link.buyer, currency))
}

/// What the customer pays: the first link's cents.
pub fn debit(charges: &[Charge]) -> Cents {
    charges.first().map_or(Cents::ZERO, |charge| charge.link.cents)
}
