//! What an event costs on each link, and what it moves: the same code for a charge and for a dry
//! run.

use crate::states::{States, carry_of};
use crate::{counters, distinct_value, flats, shares};
use journal::{By, Charge, ChargePricing, CounterKey};
use ledger::{AccountKey, Limit, LinkCharge, Refusal, Settlement};
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, MeasuredLink, Method, Plan, UnratedReason};
use prepare::open::{self, BELOW_UNKNOWN, Open};
use prepare::plan::{Base, LinkTerms};
use rating::usage::{self, Counter, Unrated};
use rating::{Carry, Cents, Currency, Exact, Overflow, Quantity, TenantId, link};
use smallvec::SmallVec;
use tenants::OnExhausted;

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

/// What a commission is taken from.
#[derive(Debug, Clone)]
struct Below {
    /// What is left of a price after the commissions that come off first.
    left: Exact,
    /// Whose price, and those commissions; `None`: it is that of the link below.
    of: Option<(TenantId, Vec<u16>)>,
}

impl Below {
    fn of(charge: &Charge) -> Self {
        Self {
            left: charge.exact,
            of: None,
        }
    }
}

/// `charges`: from the lowest up to the link below.
fn below(base: Option<&Base>, charges: &[Option<&Charge>]) -> Result<Option<Below>, Overflow> {
    let Some(base) = base else {
        return Ok(charges.last().copied().flatten().map(Below::of));
    };
    let Some(first) = charges.len().checked_sub(base.down) else {
        return Ok(None);
    };
    let Some(retail) = charges[first] else {
        return Ok(None);
    };
    let mut best = base_price(retail, &base.counting)?;
    // What a floor above it comes to was paid as well.
    for (index, charge) in charges[first..].iter().enumerate().skip(1) {
        if let Some(charge) = charge
            .filter(|charge| matches!(charge.pricing, ChargePricing::Floored { applies: true, .. }))
        {
            let other = base_price(charge, &base.counting[index..])?;
            best = if other.left > best.left { other } else { best };
        }
    }
    Ok(Some(best))
}

/// `above`: commissions above the charge, from below up, as far as they count.
fn base_price(charge: &Charge, above: &[Option<u16>]) -> Result<Below, Overflow> {
    let less: Vec<u16> = above.iter().copied().flatten().collect();
    Ok(Below {
        left: link::commissions_of(charge.exact, &less)?,
        of: (!above.is_empty()).then_some((charge.link.buyer, less)),
    })
}

/// A commission without a floor.
fn price_share(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (commission_bp, below, charges): (u16, Option<Below>, &[Charge]),
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let Below { left, of } = below.ok_or(Unrated::NoRate)?;
    let exact = link::commission_of(left, commission_bp)?;
    let pricing = match of {
        Some((of, less)) => ChargePricing::CommissionOf {
            commission_bp,
            of,
            less,
        },
        None => ChargePricing::Commission { commission_bp },
    };
    let Some(share) = shares::share(prepared, plan, link) else {
        return finish(
            Draft {
                exact,
                pricing,
                ..Draft::on(link)
            },
            carry,
        );
    };
    let (exact, before, after) = share.bounded(exact, charges.iter(), states)?;
    finish(
        Draft {
            exact,
            pricing,
            counter: Some(share.own.id),
            before,
            after,
            ..Draft::on(link)
        },
        carry,
    )
}

#[inline]
fn price_link(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (below, charges): (Option<Below>, &[Charge]),
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let by = match link.method {
        Method::Card(by) => by,
        Method::Commission {
            commission_bp,
            floor,
        } => {
            let Some(floor) = floor.as_deref() else {
                return price_share(
                    prepared,
                    plan,
                    link,
                    (*commission_bp, below, charges),
                    carry,
                    states,
                );
            };
            let commission = below
                .map(|below| link::commission_of(below.left, *commission_bp))
                .transpose()?;
            return price_floored(
                prepared,
                plan,
                link,
                (*commission_bp, commission),
                floor,
                carry,
                states,
            );
        }
    };
    let counter = counters::counter(prepared, plan, link, states);
    let usage::Priced {
        exact,
        local,
        before,
        after,
    } = price_card(prepared, plan, link, (by, counter), states)?;
    let ByCard {
        version, measured, ..
    } = by;
    let (version, rate, prefix_len, pieces) = (
        *version,
        measured.found.rate,
        measured.found.prefix_len,
        measured.pieces.clone(),
    );
    let pricing = ChargePricing::Card {
        version,
        rate,
        prefix_len,
        pieces,
    };
    let (billed, counter) = (measured.billed, counter.map(|key| key.id));
    finish(
        Draft {
            exact,
            local,
            billed,
            counter,
            before,
            after,
            pricing,
            ..Draft::on(link)
        },
        carry,
    )
}

/// What a card makes of an event, and of its counter.
#[inline]
fn price_card(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (by, counter): (&ByCard, Option<CounterKey>),
    states: &States,
) -> Result<usage::Priced, Unrated> {
    let ByCard {
        version,
        card,
        measured,
        ..
    } = by;
    let usage = prepared.usage(plan);
    let Some(key) = counter else {
        return card.price(measured, &usage, &Counter::default(), &Counter::default());
    };
    let counted = states.counted(&key);
    let after = distinct_value::after(prepared, plan, link, (key, &counted.counter), states)?;
    let mut priced = card.price(measured, &usage, &counted.counter, &after)?;
    if let Some(flats) = flats::due(by, key, &counted, &after, states)? {
        priced.exact = priced.exact.checked_add(flats.due)?;
    }
    // What goes by order of arrival, cell by cell, is the event's own.
    let rate = measured.found.rate;
    let by = By {
        version: *version,
        rate,
        cell: 0,
    };
    Ok(counted.bounded(by, card.gives_money(rate), priced)?)
}

/// `commission`: basis points and what they come to; `None` where the price below is not known: the
/// floor is all there is.
fn price_floored(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (commission_bp, commission): (u16, Option<Exact>),
    by: &ByCard,
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let counter = counters::counter(prepared, plan, link, states);
    let usage::Priced {
        exact: least,
        local,
        before,
        after,
    } = price_card(prepared, plan, link, (by, counter), states)?;
    let applies = commission.is_none_or(|commission| least >= commission);
    let exact = commission.unwrap_or(least).max(least);
    let ByCard {
        version, measured, ..
    } = by;
    let (version, rate, prefix_len, pieces) = (
        *version,
        measured.found.rate,
        measured.found.prefix_len,
        measured.pieces.clone(),
    );
    let pricing = ChargePricing::Floored {
        commission_bp,
        applies,
        version,
        rate,
        prefix_len,
        pieces,
    };
    let (billed, counter) = (measured.billed, counter.map(|key| key.id));
    finish(
        Draft {
            exact,
            local,
            billed,
            counter,
            before,
            after,
            pricing,
            ..Draft::on(link)
        },
        carry,
    )
}

/// A charge but for its whole cents.
struct Draft<'a> {
    agreement: &'a LinkTerms,
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

#[inline]
fn finish(draft: Draft<'_>, carry: Carry) -> Result<Charge, Unrated> {
    let link::LinkPosting { cents, carry } = link::post(carry, draft.exact)?;
    let agreement = draft.agreement;
    Ok(Charge {
        link: LinkCharge {
            buyer: agreement.buyer,
            seller: agreement.seller,
            settlement: draft.settlement,
            cents,
        },
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
    let mut links = SmallVec::new();
    charges.iter().for_each(|charge| links.push(charge.link));
    links
}

/// The buyers' limits: each agreement speaks for its own buyer's account.
pub fn limits(plan: &Plan) -> SmallVec<[Limit; 3]> {
    plan.links()
        .map(|link| limit(&link, plan.currency))
        .collect()
}

/// Those that usage is refused by, of the links that are charged.
pub fn refusing(plan: &Plan, charges: &[Charge]) -> SmallVec<[Limit; 3]> {
    let is_whole = charges.len() == plan.links().len();
    let is_charged = |link: &MeasuredLink<'_>| {
        is_whole
            || charges
                .iter()
                .any(|charge| charge.link.buyer == link.agreement.buyer)
    };
    let refuses = |link: &MeasuredLink<'_>| link.agreement.on_exhausted == OnExhausted::Refuse;
    let mut limits = SmallVec::new();
    for link in plan
        .links()
        .filter(|link| refuses(link) && is_charged(link))
    {
        limits.push(limit(&link, plan.currency));
    }
    limits
}

fn limit(link: &MeasuredLink<'_>, currency: Currency) -> Limit {
    Limit {
        account: link
            .settlement
            .buyer_account(link.agreement.buyer, currency),
        credit_limit: link.agreement.credit_limit,
        refuse: link.agreement.on_exhausted == OnExhausted::Refuse,
    }
}

/// Between which accounts the money of this link moves: the buyer's and the seller's.
pub fn accounts_of(
    link: &MeasuredLink<'_>,
    customer: &Customer,
    currency: Currency,
) -> [AccountKey; 2] {
    let (buyer, seller) = (link.agreement.buyer, link.agreement.seller);
    let charge = LinkCharge {
        buyer,
        seller,
        settlement: link.settlement,
        cents: Cents::ZERO,
    };
    [
        charge.buyer_account(currency),
        charge.seller_account(customer.tenant.root, customer.platform(), currency),
    ]
}

/// What the customer pays with: of its own link, as it is today; where that is not charged, what
/// the platform has of it.
pub fn customer_account(customer: TenantId, charges: &[Charge], currency: Currency) -> AccountKey {
    let own = charges
        .first()
        .filter(|charge| charge.link.buyer == customer);
    own.map_or(AccountKey::balance(customer, currency), |charge| {
        charge
            .link
            .settlement
            .today()
            .buyer_account(customer, currency)
    })
}

/// What the customer pays: the cents of its own link, if that is charged.
pub fn debit(customer: TenantId, charges: &[Charge]) -> Cents {
    charges
        .first()
        .filter(|charge| charge.link.buyer == customer)
        .map_or(Cents::ZERO, |charge| charge.link.cents)
}

/// Each seller's part, from the platform down. They sum to the customer's debit: where its own link
/// is not charged, the buyer of the lowest one that is pays by itself, which is a part below zero.
pub fn splits(
    customer: TenantId,
    charges: &[Charge],
) -> Result<SmallVec<[(TenantId, Cents); 3]>, Overflow> {
    let mut splits = ledger::splits_of(charges.iter().map(|charge| &charge.link))?;
    if let Some(lowest) = charges
        .first()
        .filter(|charge| charge.link.buyer != customer)
    {
        splits.push((lowest.link.buyer, lowest.link.cents.checked_neg()?));
    }
    Ok(splits)
}
