//! Commands as the committer takes them: everything that could be found out beforehand is in them.

use crate::carries::Settling;
use crate::command::{HoldAnswer, MoneyAnswer, MoveMoney, Outcome, PaymentPosted, PostPayment, Posted, Problem};
use crate::prepare::Prepared;
use crate::void::Void;
use rating::{Currency, Instant, TenantId, ids::HoldId};
use std::sync::Arc;
use store::journal::{Identity, Journal, Keyed, Placed, Record, Seq};

#[derive(Debug, Clone)]
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
        named: Named,
        work: Box<HoldWork>,
    },
    ReleaseHold {
        hold: HoldId,
        named: Named,
        currency: Currency,
    },
    Money {
        named: Named,
        command: Box<MoveMoney>,
        received_at: Instant,
    },
    Payment {
        named: Named,
        command: Box<PostPayment>,
        received_at: Instant,
    },
    /// What a tenant had in one balance with a seller that collects itself goes to the seller's book, once.
    Reclassify {
        named: Named,
        tenant: TenantId,
        currency: Currency,
        received_at: Instant,
    },
    SettleCarries(Box<Settling>),
    /// Nothing of its own: the batch it is in expires what is over.
    Sweep {
        root: TenantId,
    },
}

/// A command's identity with its key in the journal.
#[derive(Debug, Clone)]
pub struct Named {
    pub identity: Identity,
    key: u64,
}

impl Named {
    pub fn new(identity: Identity, journal: &dyn Journal) -> Self {
        Self { key: journal.identity_key(identity.name()), identity }
    }
    pub fn key(&self) -> u64 {
        self.key
    }
    pub fn keyed(&self) -> Keyed<'_> {
        Keyed { key: self.key, name: self.identity.name() }
    }
}

/// A hold to be placed, or extended to, with the usage it is for.
#[derive(Debug, Clone)]
pub struct HoldWork {
    pub id: HoldId,
    pub prepared: Prepared,
    pub ttl_secs: u32,
    pub as_much_as_possible: bool,
}

/// What became of a command.
#[derive(Debug)]
pub enum Done {
    Event(Outcome),
    Amended(Result<Amended, Problem>),
    Hold(Result<HoldAnswer, Problem>),
    Money(Result<MoneyAnswer, Problem>),
    Payment(Result<PaymentPosted, Problem>),
    /// Whether something moved.
    Reclassified(Result<bool, Problem>),
    /// Whether anything was carried.
    Settled(Result<bool, Problem>),
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
    pub fn place(&mut self, placed: &Placed) {
        let fix = |seq: &mut Seq| {
            if let Ok(index) = usize::try_from(-1 - seq.0) {
                *seq = placed.at(index);
            }
        };
        match self {
            Self::Event(Outcome::Rated(posted) | Outcome::Duplicate(posted)) => fix(&mut posted.seq),
            Self::Amended(Ok(amended)) => amended.void.iter_mut().chain(&mut amended.event).for_each(|posted| fix(&mut posted.seq)),
            Self::Money(Ok(answer)) => fix(&mut answer.seq),
            Self::Payment(Ok(posted)) => fix(&mut posted.seq),
            Self::Event(_) | Self::Amended(Err(_)) | Self::Hold(_) | Self::Money(Err(_)) | Self::Payment(Err(_)) => {}
            Self::Reclassified(_) | Self::Settled(_) | Self::Swept => {}
        }
    }
}

impl Work {
    /// Of the batch before its own: neither its records nor what it amended.
    pub fn needs_only_states(&self) -> bool {
        match self {
            Self::Usage(_)
            | Self::PlaceHold(_)
            | Self::ExtendHold { .. }
            | Self::ReleaseHold { .. }
            | Self::Money { .. }
            | Self::Payment { .. }
            | Self::Reclassify { .. }
            | Self::SettleCarries(_)
            | Self::Sweep { .. } => true,
            Self::Again { .. } | Self::Void(_) | Self::Correct { .. } => false,
        }
    }
    /// The root whose books it moves; a lane works through each root's commands in order.
    pub fn root(&self) -> TenantId {
        match self {
            Self::Usage(prepared) | Self::Again { prepared, .. } => prepared.name().name.root,
            Self::Void(void) | Self::Correct { void, .. } => void.named.identity.root,
            Self::PlaceHold(work) => work.prepared.name().name.root,
            Self::ExtendHold { named, .. } | Self::ReleaseHold { named, .. } | Self::Money { named, .. } | Self::Payment { named, .. } => {
                named.identity.root
            }
            Self::Reclassify { named, .. } => named.identity.root,
            Self::SettleCarries(settling) => settling.root,
            Self::Sweep { root } => *root,
        }
    }
    /// Another root whose books or lists it may change as well.
    pub fn other_root(&self) -> Option<TenantId> {
        let other = match self {
            Self::Again { kept, .. } => kept.identity.root,
            Self::Void(void) => void.original.identity.root,
            Self::Correct { event, .. } => event.name().name.root,
            _ => return None,
        };
        (other != self.root()).then_some(other)
    }
    /// Names under which the journal may already know the command.
    pub fn names<'a>(&'a self, into: &mut Vec<Keyed<'a>>) {
        match self {
            Self::Usage(prepared) => {
                into.push(prepared.name());
                into.extend(prepared.orphan());
            }
            Self::Again { prepared, .. } => into.push(prepared.name()),
            Self::Void(void) => into.push(void.named.keyed()),
            Self::Correct { void, event } => {
                into.extend([void.named.keyed(), event.name()]);
                into.extend(event.orphan());
            }
            Self::PlaceHold(work) => into.push(work.prepared.name()),
            Self::ExtendHold { named, .. } | Self::ReleaseHold { named, .. } | Self::Money { named, .. } | Self::Payment { named, .. } => {
                into.push(named.keyed())
            }
            Self::Reclassify { named, .. } => into.push(named.keyed()),
            Self::SettleCarries(_) | Self::Sweep { .. } => {}
        }
    }
}
