//! What was measured of a usage on every link: all that can be said before its turn.

use crate::open::Open;
use crate::plan::{Base, LinkTerms, PlanLink, Timeline};
use ledger::Settlement;
use problem::{Code, Problem};
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::usage::Measured;
use rating::{CardVersionId, Currency, Quantity, TenantId};
use smallvec::SmallVec;
use std::sync::Arc;

/// Every link measured that can be charged, up to the platform's.
#[derive(Debug, Clone)]
pub struct Plan {
    pub currency: Currency,
    pub meter: Arc<MeterTerms>,
    /// What was measured: the event's own, or another for a hold.
    pub(crate) quantity: Quantity,
    pub(crate) chain: Arc<[PlanLink]>,
    /// Links of the chain below those that are charged.
    pub(crate) skipped: usize,
    /// Of the chain's other links, in their order.
    pub(crate) methods: SmallVec<[Method; 2]>,
    /// Links that cannot be charged, from the customer's own up; mostly none.
    pub open: Vec<Open>,
}

/// One link of a plan, as it is charged.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredLink<'a> {
    pub agreement: &'a LinkTerms,
    pub settlement: Settlement,
    pub method: &'a Method,
    /// Of a commission, if it is not taken from the link below.
    pub base: Option<&'a Base>,
}

/// What the price of a link goes by.
#[derive(Debug, Clone)]
pub enum Method {
    Card(ByCard),
    /// With a least price, if there is one.
    Commission {
        commission_bp: u16,
        floor: Option<Box<ByCard>>,
    },
}

/// Measured by a version of a card.
#[derive(Debug, Clone)]
pub struct ByCard {
    pub version: CardVersionId,
    pub card: Arc<CompiledCard>,
    pub measured: Measured,
    /// Of its card, with the versions of the month compiled, where some of the price is due once in
    /// a month.
    pub timeline: Option<Arc<Timeline>>,
}

impl Method {
    /// The card that prices the link, or bounds its price.
    #[inline]
    pub fn by_card(&self) -> Option<&ByCard> {
        match self {
            Self::Card(by) => Some(by),
            Self::Commission { floor, .. } => floor.as_deref(),
        }
    }
}

/// Why a well-formed event has no price now: a stable code, kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnratedReason(pub &'static str);

impl UnratedReason {
    /// For commands that must be priced at once: holds, dry runs.
    pub fn problem(&self) -> Problem {
        Problem::new(
            Code::of_reason(self.0),
            format!("this usage cannot be priced: {}", self.0.replace('_', " ")),
        )
    }
}

impl Plan {
    /// From the customer's own link up, or the lowest that can be charged.
    #[inline]
    pub fn links(&self) -> impl ExactSizeIterator<Item = MeasuredLink<'_>> {
        self.chain[self.skipped..]
            .iter()
            .zip(&self.methods)
            .map(|(link, method)| MeasuredLink {
                agreement: &link.agreement,
                settlement: link.settlement,
                method,
                base: link.base.as_deref(),
            })
    }
}

impl Plan {
    /// Every link, or the problem of what must be priced at once.
    pub fn check_whole(&self) -> Result<(), Problem> {
        let Some(open) = self.open.first() else {
            return Ok(());
        };
        let (buyer, why) = (open.buyer, open.reason.replace('_', " "));
        Err(Problem::new(
            Code::of_reason(open.reason),
            format!("this usage cannot be priced on the link of {buyer}: {why}"),
        ))
    }

    /// Of the links only those up to the sales of `seller`: what corrects them alone.
    pub fn keep_up_to(&mut self, seller: TenantId) {
        let last = self
            .links()
            .position(|link| link.agreement.seller == seller);
        if let Some(last) = last {
            self.methods.truncate(last + 1);
        }
    }

    /// Whether any of its prices depends on what the month has counted; most do not.
    #[inline]
    pub fn counts(&self) -> bool {
        self.methods.iter().any(|method| {
            method
                .by_card()
                .is_some_and(|by| by.measured.counter.is_some())
        })
    }
}
