//! −q of an earlier event: what its turn needs to know.

use crate::work::Named;
use rating::Instant;
use rating::TenantId;
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use std::sync::Arc;
use store::journal::{Charge, ChargePricing, Record};

/// Everything that could be found out beforehand.
#[derive(Debug, Clone)]
pub struct Void {
    pub named: Named,
    /// The event as it was first recorded.
    pub original: Arc<Record>,
    /// The record that carries its charges: the original, or the later rating of a kept event.
    pub charged: Arc<Record>,
    /// Keys the digests of the customer's data.
    pub personal_key: [u8; 32],
    pub meter: Arc<MeterTerms>,
    /// The versions that priced it, by link; `None`: by commission.
    pub cards: Vec<Option<Arc<CompiledCard>>>,
    pub reason: String,
    pub received_at: Instant,
}

impl Void {
    /// The rate of a charge that a card priced.
    pub fn rate(&self, charge: &Charge) -> Option<u32> {
        match charge.pricing {
            ChargePricing::Card { rate, .. } => Some(rate),
            ChargePricing::Commission { .. } | ChargePricing::Carry => None,
        }
    }
    pub fn tenant(&self) -> TenantId {
        self.charged.tenant
    }
}
