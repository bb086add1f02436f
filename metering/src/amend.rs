//! Voids and corrections: −q in the original's counter and version, priced now, through the same carry.

use crate::charge::{self, Charges};
use crate::command::{Outcome, Posted, Problem};
use crate::member;
use crate::prepare::Prepared;
use crate::reach::is_above;
use crate::states::carry_of;
use crate::turn::{Earlier, Turn, refused};
use crate::void::Void;
use crate::work::{Amended, Done};
use ledger::{Event, LinkCharge};
use rating::usage::Counter;
use rating::{Exact, Overflow, link, rounding};
use store::hash;
use store::journal::{Body, Charge, ChargePricing, CounterKey, Kind, Personal, Record, Seq, Steps};

impl Turn {
    /// `None`: the event had never been priced, and now never will be.
    pub fn void(&mut self, void: &Void) -> Result<Option<Posted>, Problem> {
        if let Some(earlier) = self.earlier(void.named.keyed()).or_else(|| self.void_before(void)) {
            let record = self.earlier_record(&earlier);
            if record.body.refers_to != Some(void.original.seq) {
                return Err(Problem::new("idempotency_conflict", "this key was used to void another event"));
            }
            return self.void_posted(record);
        }
        self.check_voidable(void)?;
        let index = self.take_back(void, Some(void.named.key()))?;
        self.void_posted(self.record_at(index))
    }

    /// The same void, recorded before keys were told apart.
    fn void_before(&self, void: &Void) -> Option<Earlier> {
        let earlier = self.earlier(void.named_before.as_ref()?.keyed())?;
        (self.earlier_record(&earlier).body.refers_to == Some(void.original.seq)).then_some(earlier)
    }

    /// Posts and records it; where its record is. `key`: of its name, if it is looked up by one.
    pub fn take_back(&mut self, void: &Void, key: Option<u64>) -> Result<usize, Problem> {
        let charges = self.void_charges(void).map_err(|overflow| Problem::new("overflow", overflow.to_string()))?;
        self.post_void(void, &charges)?;
        self.grow(void.tenant(), &charges);
        member::remove(void, &mut self.states);
        let index = self.push(void_record(void, charges), key);
        self.amend(void.original.seq, Kind::Void, index);
        if void.listed && void.open.is_empty() {
            self.settle(void.original.seq);
        }
        Ok(index)
    }

    pub fn check_voidable(&self, void: &Void) -> Result<(), Problem> {
        // It was rated or voided between the look-up and this turn: the caller looks again.
        if self.amendment(void.original.seq).map(|amendment| amendment.by) != void.last {
            return Err(Problem::new(OVERTAKEN, "the event was changed meanwhile"));
        }
        if let Some(author) = void.by_report
            && is_above(&void.path, author, self.reporter_of(void))
        {
            return Err(Problem::new(OVERTAKEN, "the event was reported from above meanwhile"));
        }
        match (void.reaches, void.voided) {
            (true, _) => Ok(()),
            (false, true) => Err(Problem::new("already_voided", "the event was voided before")),
            (false, false) => Err(Problem::new("beyond_reach", BEYOND_REACH)),
        }
    }

    fn void_charges(&self, void: &Void) -> Result<Charges, Overflow> {
        let mut charges = Charges::new();
        for (index, original) in void.charged.body.charges.iter().enumerate() {
            let below = charges.last().map(|charge: &Charge| charge.exact);
            charges.push(self.void_charge(void, index, original, below)?);
        }
        Ok(charges)
    }

    fn void_charge(&self, void: &Void, index: usize, original: &Charge, below: Option<Exact>) -> Result<Charge, Overflow> {
        let buyer = original.link.buyer;
        let before = original.counter.map_or_else(Counter::default, |id| self.states.counter(&CounterKey { buyer, id }));
        let by_card = match (void.rate(original), void.cards.get(index)) {
            (Some(rate), Some(Some(card))) => {
                let after = match original.counter {
                    Some(_) => member::withdrawn(void, index, original, &before, &self.states)?,
                    None => before,
                };
                Some((card.give_back(rate, original.billed, original.local, &before, &after)?, after))
            }
            (Some(_), _) => return Err(Overflow),
            (None, _) => None,
        };
        let (exact, local, after) = match (&original.pricing, by_card) {
            (ChargePricing::Card { .. } | ChargePricing::Floored { applies: true, .. }, Some((priced, after))) => {
                (priced.exact, priced.local, after)
            }
            (ChargePricing::Commission { commission_bp } | ChargePricing::Floored { commission_bp, .. }, by_card) => {
                // Without the link below nothing is known but what it was.
                let exact = below.map_or_else(|| original.exact.checked_neg(), |below| link::commission_of(below, *commission_bp))?;
                (exact, Exact::ZERO, by_card.map_or(before, |(_, after)| after))
            }
            // Only usage is taken back.
            (ChargePricing::Card { .. } | ChargePricing::Carry, _) => return Err(Overflow),
        };
        let (cents, carry) = rounding::post(carry_of(self.states.carries_of(void.tenant()), buyer), exact)?;
        // What was paid from a shared balance went to the book, and comes back there: never to what the platform holds.
        let link = LinkCharge { settlement: original.link.settlement.today(), cents, ..original.link };
        Ok(Charge { link, before, after, exact, local, carry, ..original.clone() })
    }

    fn post_void(&mut self, void: &Void, charges: &Charges) -> Result<(), Problem> {
        let Some(currency) = void.charged.body.currency else { return Ok(()) };
        if charges.is_empty() {
            return Ok(());
        }
        let links = charge::link_charges(charges);
        let (root, customer) = (void.charged.identity.root, void.tenant());
        let platform = ledger::platform_in(root, &links);
        // What is taken back posts whatever the limits say.
        self.books.charge(&Event { root, platform, customer, currency, charges: &links, limits: &[] }).map(drop).map_err(refused)
    }

    /// Both or neither.
    pub fn correct(&mut self, void: &Void, event: Box<Prepared>) -> Result<Amended, Problem> {
        let again = self.earlier(void.named.keyed()).is_some();
        let before = self.save();
        let voided = self.void(void)?;
        let outcome = match self.usage(event) {
            Done::Event(outcome) => outcome,
            _ => Outcome::Rejected(not_its_own()),
        };
        match outcome {
            Outcome::Duplicate(posted) if again => Ok(Amended { void: voided, event: Some(posted) }),
            // The void was made with this key, the event was not: the key belongs to something else.
            Outcome::Rated(_) | Outcome::Unrated { .. } if again => {
                self.restore(before);
                Err(Problem::new("idempotency_conflict", "this key was used for a void without this event"))
            }
            Outcome::Rated(posted) => Ok(Amended { void: voided, event: Some(posted) }),
            Outcome::Duplicate(_) => {
                self.restore(before);
                Err(not_its_own())
            }
            Outcome::PartlyRated { open, .. } => {
                self.restore(before);
                Err(not_rated(open.first().map_or("", |open| &open.reason)))
            }
            Outcome::Unrated { reason, .. } => {
                self.restore(before);
                Err(not_rated(&reason))
            }
            Outcome::Rejected(problem) => {
                self.restore(before);
                Err(problem)
            }
        }
    }

    fn void_posted(&self, record: &Record) -> Result<Option<Posted>, Problem> {
        if record.body.charges.is_empty() { Ok(None) } else { self.posted_of(record).map(Some).map_err(refused) }
    }
}

fn not_its_own() -> Problem {
    Problem::field("id_conflict", "id", "the corrected event needs an id of its own; this one was reported before")
}

/// Why the event in place of a voided one is refused.
pub fn not_rated(reason: &str) -> Problem {
    Problem::new("not_rated", format!("the corrected event cannot be priced ({reason}); nothing was changed"))
}

const BEYOND_REACH: &str = "the event was reported from above, and none of its links is sold by this key's tenant or below it";

/// The engine looks again and retries on this code.
pub const OVERTAKEN: &str = "overtaken";

fn void_record(void: &Void, charges: Charges) -> Record {
    let charged = &void.charged;
    let body = Body {
        currency: charged.body.currency,
        meter: charged.body.meter.clone(),
        quantity: rating::Quantity(-charged.body.quantity.0),
        amount: charged.body.amount.clone(),
        charges,
        postings: Vec::new(),
        reason: void.reason.clone(),
        refers_to: Some(void.original.seq),
        member: charged.body.member.clone(),
        steps: (void.last.is_some() || !void.open.is_empty())
            .then(|| Box::new(Steps { open: void.open.clone(), previous: void.last, corrects: None })),
        ..Body::default()
    };
    Record {
        seq: Seq(0),
        kind: Kind::Void,
        tenant: void.tenant(),
        identity: void.named.identity.clone(),
        at: charged.at,
        received_at: void.received_at,
        content: charged.content,
        body,
        personal: None,
        personal_digest: hash::personal_digest(&void.personal_key, &Personal::default()),
    }
}
