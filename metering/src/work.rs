//! Commands as the committer takes them: everything that could be found out beforehand is in them.

use crate::command::{HoldAnswer, MoneyAnswer, MoveMoney, Outcome, Posted, Problem};
use crate::digest::Digest;
use crate::directory::Customer;
use crate::prepare::{MeasuredLink, Method, Prepared};
use ledger::AccountKey;
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::{Currency, Instant, ids::HoldId};
use std::sync::Arc;
use store::journal::{CounterKey, Identity, Record, Seq, StateKeys};

#[derive(Debug)]
pub enum Work {
    Usage(Box<Prepared>),
    /// A kept event, tried again on request.
    Again {
        kept: Arc<Record>,
        prepared: Box<Prepared>,
    },
    Void(Box<Void>),
    /// A void and a new event in one step, or neither.
    Correct {
        void: Box<Void>,
        event: Box<Prepared>,
    },
    PlaceHold(Box<HoldWork>),
    ExtendHold {
        hold: HoldId,
        identity: Identity,
        work: Box<HoldWork>,
    },
    ReleaseHold {
        hold: HoldId,
        identity: Identity,
        currency: Currency,
    },
    Money {
        identity: Identity,
        command: MoveMoney,
        received_at: Instant,
    },
    /// Nothing of its own: the batch it is in expires what is over.
    Sweep,
}

/// A hold to be placed, or extended to, with the usage it is for.
#[derive(Debug)]
pub struct HoldWork {
    pub id: HoldId,
    pub prepared: Prepared,
    pub ttl_secs: u32,
    pub as_much_as_possible: bool,
}

/// −q of an earlier event.
#[derive(Debug)]
pub struct Void {
    pub identity: Identity,
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

/// What became of a command.
#[derive(Debug)]
pub enum Done {
    Event(Outcome),
    Amended(Result<Amended, Problem>),
    Hold(Result<HoldAnswer, Problem>),
    Money(Result<MoneyAnswer, Problem>),
    Swept,
}

/// What a void, and the event in its place, moved. `None`: nothing had been posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    pub void: Option<Posted>,
    pub event: Option<Posted>,
}

impl Done {
    /// Records of this batch were named by their index (−1 − index); the journal has placed them.
    pub fn place(&mut self, first: Seq) {
        let fix = |seq: &mut Seq| {
            if seq.0 < 0 {
                seq.0 = first.0 + (-1 - seq.0);
            }
        };
        match self {
            Self::Event(Outcome::Rated(posted) | Outcome::Duplicate(posted)) => fix(&mut posted.seq),
            Self::Amended(Ok(amended)) => amended.void.iter_mut().chain(&mut amended.event).for_each(|posted| fix(&mut posted.seq)),
            Self::Money(Ok(answer)) => fix(&mut answer.seq),
            Self::Event(_) | Self::Amended(Err(_)) | Self::Hold(_) | Self::Money(Err(_)) | Self::Swept => {}
        }
    }
}

/// Sets hold ids apart from other digests; not a secret.
const HOLD_ID_KEY: [u8; 32] = *b"centwise hold id from its key  1";

/// The id of a hold follows from the caller's key, so that a retry makes the same request.
pub fn hold_id(root: rating::TenantId, source: &str, key: &str) -> HoldId {
    let digest = Digest::keyed(&HOLD_ID_KEY).number(root.0.into()).text(source).text(key).finish();
    let bytes: [u8; 8] = std::array::from_fn(|index| digest[index]);
    HoldId(i64::from_be_bytes(bytes) & i64::MAX)
}

impl Work {
    /// Names under which the journal may already know the command.
    pub fn identities(&self, into: &mut Vec<Identity>) {
        match self {
            Self::Usage(prepared) => {
                into.push(prepared.identity.clone());
                into.extend(prepared.orphan.clone());
            }
            Self::Again { prepared, .. } => into.push(prepared.identity.clone()),
            Self::Void(void) => into.push(void.identity.clone()),
            Self::Correct { void, event } => into.extend([void.identity.clone(), event.identity.clone()]),
            Self::PlaceHold(work) => into.push(work.prepared.identity.clone()),
            Self::ExtendHold { identity, .. } | Self::ReleaseHold { identity, .. } | Self::Money { identity, .. } => {
                into.push(identity.clone())
            }
            Self::Sweep => {}
        }
    }

    /// States that its turn may read or change.
    pub fn keys(&self, keys: &mut StateKeys) {
        match self {
            Self::Usage(prepared) => usage_keys(prepared, keys),
            Self::Again { kept, prepared } => {
                usage_keys(prepared, keys);
                keys.amendments.push(kept.seq);
            }
            Self::Void(void) => void.keys(keys),
            Self::Correct { void, event } => {
                void.keys(keys);
                usage_keys(event, keys);
            }
            Self::PlaceHold(work) | Self::ExtendHold { work, .. } => {
                usage_keys(&work.prepared, keys);
                keys.holds.push(work.id);
            }
            Self::ReleaseHold { hold, .. } => keys.holds.push(*hold),
            Self::Money { command, .. } => {
                let account = command.account;
                keys.accounts.extend([account, AccountKey::external(command.root, account.currency)]);
            }
            Self::Sweep => {}
        }
    }
}

fn usage_keys(prepared: &Prepared, keys: &mut StateKeys) {
    let (Some(customer), Ok(plan)) = (&prepared.customer, &prepared.priced) else { return };
    keys.carries.push(customer.tenant.id);
    for link in &plan.links {
        link_accounts(link, plan.currency, customer, keys);
        if let Method::Card { measured, .. } = &link.method
            && let Some(id) = measured.counter
        {
            keys.counters.push(CounterKey { buyer: link.agreement.buyer, id });
        }
    }
    crate::member::keys(prepared, plan, keys);
    // Usage carries its hold's name, or the same id.
    match &prepared.event.hold {
        Some(name) => keys.holds.push(named_hold(prepared.identity.root, &prepared.event.source, name)),
        None => keys.open_holds.push(hold_id(prepared.identity.root, &prepared.event.source, &prepared.event.id)),
    }
}

/// A hold by its `hld_…` id or by the caller's key.
pub fn named_hold(root: rating::TenantId, source: &str, name: &str) -> HoldId {
    name.parse().unwrap_or_else(|_| hold_id(root, source, name))
}

fn link_accounts(link: &MeasuredLink, currency: rating::Currency, customer: &Customer, keys: &mut StateKeys) {
    let agreement = &link.agreement;
    keys.accounts.extend([AccountKey::balance(agreement.buyer, currency), crate::charge::income_of(agreement, customer, currency)]);
}

impl Void {
    fn keys(&self, keys: &mut StateKeys) {
        keys.amendments.extend([self.original.seq, self.charged.seq]);
        crate::turn::record_keys(&self.charged, keys);
        keys.carries.push(self.charged.tenant);
        for charge in &self.charged.body.charges {
            if let Some(id) = charge.counter {
                keys.counters.push(CounterKey { buyer: charge.link.buyer, id });
            }
        }
        crate::member::void_keys(self, keys);
    }
}
