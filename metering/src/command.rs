//! Commands as the committer takes them: everything that could be found out beforehand is in them.

use crate::named::Named;
use crate::requests::{
    HoldAnswer, MoneyAnswer, MoveMoney, Outcome, PaymentPosted, PostPayment, Posted, SellerCover,
};
use crate::settling::Settling;
use crate::void::Void;
use journal::{Journal, JournalEntry, Keyed, Placed, Reporter, Seq};
use prepare::event::RatedEvent;
use prepare::reporters::Reporters;
use problem::{Code, Problem};
use rating::{Currency, Instant, TenantId, ids::HoldId};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub enum Command {
    Usage(Box<RatedEvent>),
    /// A kept event, tried again on request.
    RateUnrated {
        kept: Arc<JournalEntry>,
        prepared: Box<RatedEvent>,
    },
    Void(Box<Void>),
    /// A void and a new event in one step, or neither.
    Correct {
        void: Box<Void>,
        event: Box<RatedEvent>,
    },
    /// A report from above in the place of one from below with other content. `own`: its sender's
    /// kept event, tried again.
    Overrule {
        lower: Seq,
        /// `None`: the lower one cannot be taken back, so both stand.
        void: Option<Box<Void>>,
        event: Box<RatedEvent>,
        own: Option<Arc<JournalEntry>>,
    },
    PlaceHold(Box<HoldCommand>),
    ExtendHold {
        hold: HoldId,
        named: Named,
        work: Box<HoldCommand>,
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
    /// What a tenant had in one balance with a seller that collects itself goes to the seller's
    /// book, once.
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

/// A hold to be placed, or extended to, with the usage it is for.
#[derive(Debug, Clone)]
pub struct HoldCommand {
    pub id: HoldId,
    pub prepared: Box<RatedEvent>,
    pub ttl_secs: u32,
    pub as_much_as_possible: bool,
    /// `Some`: a seller's account is debited only where what it withholds is known. `None`:
    /// commission counts as money.
    pub covers: Option<Vec<SellerCover>>,
}

/// What became of a command.
#[derive(Debug)]
pub enum CommandResult {
    Event(Outcome),
    /// Nothing yet: a report from below has to be taken back in the same step, and how must be
    /// found out first.
    Overrules(Box<Overrules>),
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

/// An event in the place of one that somebody below reported.
#[derive(Debug)]
pub struct Overrules {
    pub event: Box<RatedEvent>,
    /// Its sender's kept event, tried again.
    pub own: Option<Arc<JournalEntry>>,
    /// `None`: it came in the same batch, and is on record by now.
    pub lower: Option<Arc<JournalEntry>>,
}

/// What a void, and the event in its place, moved. `None`: nothing had been posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    pub void: Option<Posted>,
    pub event: Option<Posted>,
}

impl CommandResult {
    pub fn overrules(
        event: Box<RatedEvent>,
        own: Option<Arc<JournalEntry>>,
        lower: Option<Arc<JournalEntry>>,
    ) -> Self {
        Self::Overrules(Box::new(Overrules { event, own, lower }))
    }
    /// Records of this batch were named by their index (−1 − index); the journal has placed them.
    pub fn place(&mut self, placed: &Placed) {
        let fix = |seq: &mut Seq| {
            if let Ok(index) = usize::try_from(-1 - seq.0) {
                *seq = placed.at(index);
            }
        };
        match self {
            Self::Event(
                Outcome::Rated(posted)
                | Outcome::PartlyRated { posted, .. }
                | Outcome::Duplicate(posted),
            ) => fix(&mut posted.seq),
            Self::Amended(Ok(amended)) => amended
                .void
                .iter_mut()
                .chain(&mut amended.event)
                .for_each(|posted| fix(&mut posted.seq)),
            Self::Money(Ok(answer)) => fix(&mut answer.seq),
            Self::Payment(Ok(posted)) => fix(&mut posted.seq),
            Self::Event(_)
            | Self::Overrules(_)
            | Self::Amended(Err(_))
            | Self::Hold(_)
            | Self::Money(Err(_))
            | Self::Payment(Err(_)) => {}
            Self::Reclassified(_) | Self::Settled(_) | Self::Swept => {}
        }
    }
}

impl Command {
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
            Self::RateUnrated { .. }
            | Self::Void(_)
            | Self::Correct { .. }
            | Self::Overrule { .. } => false,
        }
    }
    /// The root whose books it moves; a lane works through each root's commands in order.
    pub fn root(&self) -> TenantId {
        match self {
            Self::Usage(prepared) | Self::RateUnrated { prepared, .. } => prepared.name().name.root,
            Self::Void(void) | Self::Correct { void, .. } => void.named.identity.root,
            Self::Overrule { event, .. } => event.name().name.root,
            Self::PlaceHold(work) => work.prepared.name().name.root,
            Self::ExtendHold { named, .. }
            | Self::ReleaseHold { named, .. }
            | Self::Money { named, .. }
            | Self::Payment { named, .. } => named.identity.root,
            Self::Reclassify { named, .. } => named.identity.root,
            Self::SettleCarries(settling) => settling.root,
            Self::Sweep { root } => *root,
        }
    }
    /// Another root whose books or lists it may change as well.
    pub fn other_root(&self) -> Option<TenantId> {
        let other = match self {
            Self::RateUnrated { kept, .. } => kept.identity.root,
            Self::Overrule { own, .. } => own.as_ref()?.identity.root,
            Self::Void(void) => void.original.identity.root,
            Self::Correct { event, .. } => event.name().name.root,
            _ => return None,
        };
        (other != self.root()).then_some(other)
    }
    /// Who reports usage by it, and where.
    pub fn reported(&self) -> Option<(TenantId, Reporter)> {
        let event = match self {
            Self::Usage(event)
            | Self::RateUnrated {
                prepared: event, ..
            }
            | Self::Correct { event, .. }
            | Self::Overrule { event, .. } => event,
            _ => return None,
        };
        Some((event.root, event.reporter))
    }
    /// The event that it takes back.
    fn void(&self) -> Option<&Void> {
        match self {
            Self::Void(void) | Self::Correct { void, .. } => Some(void),
            Self::Overrule { void, .. } => void.as_deref(),
            _ => None,
        }
    }
    /// Whether anybody else may have reported its events.
    pub fn has_others(&self) -> bool {
        let event = match self {
            Self::Usage(event)
            | Self::RateUnrated {
                prepared: event, ..
            }
            | Self::Correct { event, .. }
            | Self::Overrule { event, .. } => event,
            Self::Void(void) => return void.others().next().is_some(),
            _ => return false,
        };
        event.others().next().is_some()
            || self
                .void()
                .is_some_and(|void| void.others().next().is_some())
    }
    /// Another root whose reporters it asks for.
    pub fn voided_in(&self) -> Option<TenantId> {
        self.void().map(|void| void.original.identity.root)
    }
    /// Finds the names by which others may have reported its events.
    pub fn look_beside(&mut self, reporters: &Reporters, journal: &dyn Journal) {
        let void =
            |void: &mut Void| void.look_beside(reporters.of(void.original.identity.root), journal);
        let event = |event: &mut RatedEvent| event.look_beside(reporters.of(event.root), journal);
        match self {
            Self::Usage(usage)
            | Self::RateUnrated {
                prepared: usage, ..
            } => event(usage),
            Self::Void(taken) => void(taken),
            Self::Correct {
                void: taken,
                event: usage,
            } => {
                void(taken);
                event(usage);
            }
            Self::Overrule {
                void: taken,
                event: usage,
                ..
            } => {
                taken.as_deref_mut().map(void);
                event(usage);
            }
            _ => {}
        }
    }
    /// Names under which the journal may already know the command.
    pub fn names<'a>(&'a self, into: &mut Vec<Keyed<'a>>) {
        match self {
            Self::Usage(prepared) => usage_names(prepared, into),
            Self::RateUnrated { prepared, .. } => {
                into.push(prepared.name());
                into.extend(prepared.others().map(|(_, keyed)| keyed));
            }
            Self::Void(void) => void_names(void, into),
            Self::Correct { void, event } => {
                void_names(void, into);
                usage_names(event, into);
            }
            // Its void has no name that anybody looks up.
            Self::Overrule { event, .. } => usage_names(event, into),
            Self::PlaceHold(work) => into.push(work.prepared.name()),
            Self::ExtendHold { named, .. }
            | Self::ReleaseHold { named, .. }
            | Self::Money { named, .. }
            | Self::Payment { named, .. } => into.push(named.keyed()),
            Self::Reclassify { named, .. } => into.push(named.keyed()),
            Self::SettleCarries(_) | Self::Sweep { .. } => {}
        }
    }
}

fn usage_names<'a>(prepared: &'a RatedEvent, into: &mut Vec<Keyed<'a>>) {
    into.push(prepared.name());
    into.extend(prepared.unattributed());
    into.extend(prepared.others().map(|(_, keyed)| keyed));
}

fn void_names<'a>(void: &'a Void, into: &mut Vec<Keyed<'a>>) {
    into.push(void.named.keyed());
    into.extend(void.named_before.as_ref().map(Named::keyed));
    into.extend(void.others());
}

impl CommandResult {
    pub(crate) fn event(self) -> Result<Outcome, Problem> {
        match self {
            Self::Event(outcome) => Ok(outcome),
            _ => Err(out_of_step()),
        }
    }
    pub(crate) fn hold(self) -> Result<HoldAnswer, Problem> {
        match self {
            Self::Hold(answer) => answer,
            _ => Err(out_of_step()),
        }
    }
}

/// The committer answered something else than was asked: a fault of ours.
pub(crate) fn out_of_step() -> Problem {
    Problem::new(
        Code::Internal,
        "the engine's answer does not match the command",
    )
}
