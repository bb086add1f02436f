//! What an event costs on each link, and what it moves: the same code for a charge and for a dry
//! run.

mod accounts;
mod below;
mod one_link;

pub use accounts::{accounts_of, customer_account, debit, limits, link_charges, refusing, splits};

use crate::states::{States, carry_of};
use below::{Below, below};
use journal::Charge;
use ledger::{AccountKey, Refusal};
use one_link::price_link;
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::measured::{Method, Plan, UnratedReason};
use prepare::open::{self, BELOW_UNKNOWN, Open};
use rating::usage::Unrated;
use smallvec::SmallVec;

pub type Charges = Vec<Charge>;

/// What an event costs on the links that can be charged, and which cannot.
#[derive(Debug)]
pub struct Priced {
    pub charges: Charges,
    /// From the customer's own link up.
    pub open: Vec<Open>,
}

impl Priced {
    /// Leaves the lowest links out that a refusal is about; false: none is left, or the refusal is
    /// about none.
    pub fn cut(&mut self, refusal: &Refusal, plan: &Plan) -> bool {
        let count = match refusal {
            Refusal::Exhausted { account, .. } => exhausted(&self.charges, plan, *account),
            Refusal::BrokenChain | Refusal::NotLoaded { .. } | Refusal::NotHeld { .. } => {
                return false;
            }
            // Whatever is wrong with the amounts may be wrong with the lowest one.
            _ => 1,
        };
        let count = count.min(self.charges.len());
        self.open
            .extend(self.charges.drain(..count).map(|charge| Open {
                buyer: charge.link.buyer,
                reason: refusal.code().as_str(),
            }));
        !self.charges.is_empty()
    }
}

/// How many of the charges are not posted when this account is used up: up to the sales of whoever
/// said `refuse`.
fn exhausted(charges: &[Charge], plan: &Plan, account: AccountKey) -> usize {
    let Some(at) = charges
        .iter()
        .position(|charge| charge.link.buyer_account(account.currency) == account)
    else {
        return 1;
    };
    let buyer = charges[at].link.buyer;
    let author = plan
        .links()
        .find(|link| link.agreement.buyer == buyer)
        .map(|link| link.agreement.refusing);
    charges
        .iter()
        .rposition(|charge| Some(charge.link.seller) == author)
        .map_or(at, |last| last.max(at))
        + 1
}

/// Prices the links of the plan that can be priced at the present counters and carries. Changes
/// nothing.
pub fn price_standing(
    prepared: &RatedEvent,
    customer: &Customer,
    plan: &Plan,
    states: &States,
) -> Result<Priced, UnratedReason> {
    match price(prepared, customer, plan, states) {
        Ok(charges) => Ok(Priced {
            charges,
            open: plan.open.clone(),
        }),
        Err(_kept) => price_upper(prepared, customer, plan, states),
    }
}

/// The same where not every link can be priced: those above.
fn price_upper(
    prepared: &RatedEvent,
    customer: &Customer,
    plan: &Plan,
    states: &States,
) -> Result<Priced, UnratedReason> {
    let carries = states.carries_of(customer.tenant.id);
    let mut links: SmallVec<[_; 4]> = plan
        .open
        .iter()
        .map(|open| (open.buyer, Some(open.reason)))
        .collect();
    let mut charges: Vec<Option<Charge>> = Vec::new();
    for link in plan.links() {
        let below = below(
            link.base,
            &charges
                .iter()
                .map(Option::as_ref)
                .collect::<SmallVec<[_; 4]>>(),
        );
        let below = below.map_err(|overflow| UnratedReason(Unrated::from(overflow).code()))?;
        let carry = carry_of(carries, link.agreement.buyer);
        let charge = match (link.method, &below) {
            (Method::Commission { floor: None, .. }, None) => Err(BELOW_UNKNOWN),
            _ => {
                let charged: Charges = charges.iter().flatten().cloned().collect();
                price_link(prepared, plan, &link, (below, &charged), carry, states)
                    .map_err(|unrated| unrated.code())
            }
        };
        links.push((link.agreement.buyer, charge.as_ref().err().copied()));
        charges.push(charge.ok());
    }
    let (first, open) = open::cut(&links);
    let charges: Charges = charges
        .into_iter()
        .skip(first.saturating_sub(plan.open.len()))
        .flatten()
        .collect();
    if charges.is_empty() {
        Err(UnratedReason(open::reason(&open)))
    } else {
        Ok(Priced { charges, open })
    }
}

/// Prices every link of the plan at the present counters and carries. Changes nothing.
pub fn price(
    prepared: &RatedEvent,
    customer: &Customer,
    plan: &Plan,
    states: &States,
) -> Result<Charges, UnratedReason> {
    let links = plan.links();
    let mut charges = Charges::with_capacity(links.len());
    let carries = states.carries_of(customer.tenant.id);
    for link in links {
        let below = match link.base {
            None => charges.last().map(Below::of),
            Some(_) => below(
                link.base,
                &charges.iter().map(Some).collect::<SmallVec<[_; 4]>>(),
            )
            .map_err(|overflow| UnratedReason(Unrated::from(overflow).code()))?,
        };
        let carry = carry_of(carries, link.agreement.buyer);
        match price_link(prepared, plan, &link, (below, &charges), carry, states) {
            Ok(charge) => charges.push(charge),
            Err(unrated) => return Err(UnratedReason(unrated.code())),
        }
    }
    Ok(charges)
}
