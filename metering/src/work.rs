//! Commands as the committer takes them: everything that could be found out beforehand is in them.

use crate::command::{HoldAnswer, MoneyAnswer, MoveMoney, Outcome, Posted, Problem};
use crate::prepare::Prepared;
use crate::void::Void;
use rating::{Currency, Instant, ids::HoldId};
use std::sync::Arc;
use store::journal::{Identity, Record, Seq};

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
            Self::Correct { void, event } => {
                into.extend([void.identity.clone(), event.identity.clone()]);
                into.extend(event.orphan.clone());
            }
            Self::PlaceHold(work) => into.push(work.prepared.identity.clone()),
            Self::ExtendHold { identity, .. } | Self::ReleaseHold { identity, .. } | Self::Money { identity, .. } => {
                into.push(identity.clone())
            }
            Self::Sweep => {}
        }
    }
}
