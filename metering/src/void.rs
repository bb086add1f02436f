//! −q of an earlier event: what its turn needs to know.

use crate::named::Named;
use crate::requests::SellerCover;
use journal::{
    Charge, ChargePricing, CounterKey, Journal, JournalEntry, Keyed, Name, OpenLink, Place,
    Reporter, Seq,
};
use ledger::Limit;
use prepare::reporters::{self, Other};
use rating::aggregate::Level;
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::{CardVersionId, Exact, Instant, TenantId, ids::ApiKeyId};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// What is given back on a link below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Below {
    pub exact: Exact,
    /// No other event's price changes there.
    pub others_stand: bool,
}

/// Everything that could be found out beforehand.
#[derive(Debug, Clone)]
pub struct Void {
    pub named: Named,
    /// The same key as it was before reporters were told apart.
    pub named_before: Option<Named>,
    /// Whose request it was.
    pub key: Option<ApiKeyId>,
    /// From the platform down to the customer.
    pub path: SmallVec<[TenantId; 4]>,
    /// Who else on the chain may have reported the event.
    pub others: Vec<Other>,
    /// The event as it was first recorded.
    pub original: Arc<JournalEntry>,
    /// The event with the charges that are to be taken back: as it was recorded, or as it stands on
    /// those of its links that the void reaches.
    pub charged: Arc<JournalEntry>,
    /// The last step of the event when this was found out, if it was not its own record.
    pub last: Option<Seq>,
    /// Links above those that the void reaches which stay open.
    pub open: Vec<OpenLink>,
    /// Whether there was anything to take back, or to keep from being charged later.
    pub reaches: bool,
    /// Whether some of the event is still listed to be rated.
    pub listed: bool,
    /// Whether it was taken back before, as far as this void reaches.
    pub voided: bool,
    /// It reaches as far as it does because nobody above this tenant reported the event.
    pub by_report: Option<TenantId>,
    /// A report from above takes its place: that must not wait for what cannot be worked out.
    pub is_overruled: bool,
    /// Keys the digests of the customer's data.
    pub personal_key: [u8; 32],
    pub meter: Arc<MeterTerms>,
    /// The versions that priced it, by link; `None`: by commission.
    pub cards: Vec<Option<Arc<CompiledCard>>>,
    /// Where on their counters its charges count.
    pub places: Vec<Place>,
    /// Counters of which everything is needed ([`crate::behind::Behind`]).
    pub whole: Vec<CounterKey>,
    /// What prices their segments.
    pub versions: HashMap<CardVersionId, Arc<CompiledCard>>,
    /// What was given back before on its other links, by buyer.
    pub given_back: Vec<(TenantId, Below)>,
    /// What its author must cover, where links above those that it reaches stand; with what is
    /// known of its balance.
    pub cover: Option<(Limit, Option<SellerCover>)>,
    /// Terms of its sellers changed within the month, or after it.
    pub terms_changed: bool,
    /// A commission that stands follows what is taken back below it:
    /// [`shares::is_followed`](crate::shares).
    pub is_followed: bool,
    pub reason: String,
    pub received_at: Instant,
    /// Held until it is taken back, if that takes long.
    pub turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl Void {
    /// The rate of a charge that a card priced.
    pub fn rate(&self, charge: &Charge) -> Option<u32> {
        match charge.pricing {
            ChargePricing::Card { rate, .. } | ChargePricing::Floored { rate, .. } => Some(rate),
            ChargePricing::Commission { .. }
            | ChargePricing::CommissionOf { .. }
            | ChargePricing::Carry => None,
        }
    }
    /// Where on its counter the charge of this buyer counts; `None`: in the first segment.
    pub fn place(&self, buyer: TenantId) -> Option<&Place> {
        self.places.iter().find(|place| place.buyer == buyer)
    }
    /// How far below the platform its reporter is.
    pub fn level(&self) -> Level {
        reporters::level(&self.path, self.original.identity.reporter)
    }
    pub fn tenant(&self) -> TenantId {
        self.charged.tenant
    }
    /// The event's names by others of the chain.
    pub fn others(&self) -> impl Iterator<Item = Keyed<'_>> {
        let name = self.original.identity.name();
        self.others.iter().map(move |other| Keyed {
            key: other.key,
            name: Name {
                reporter: other.reporter,
                ..name
            },
        })
    }
    /// `reporters`: all that have ever reported in the event's root.
    pub fn look_beside(&mut self, reporters: &[Reporter], journal: &dyn Journal) {
        self.others = reporters::others(
            reporters,
            &self.path,
            self.original.identity.name(),
            journal,
        );
    }
}
