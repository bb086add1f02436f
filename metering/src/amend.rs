//! Voids and corrections: the month as if the event had never been reported (`taken.rs`), posted
//! through the same carry.

use crate::batch_executor::{BatchExecutor, Earlier, refused};
use crate::charge::{self, Charges};
use crate::command::{Amended, CommandResult};
use crate::reach::is_above;
use crate::requests::{Outcome, Posted};
use crate::states::carry_of;
use crate::taken::{Taken, Taking};
use crate::void::{Below, Void};
use crate::{distinct_value, flats, segments, shares};
use journal::{
    Charge, ChargePricing, CounterKey, EntryPayload, JournalEntry, Kind, Personal, Place, Seq,
    Steps, Trail, hash,
};
use ledger::{Balance, Event, Limit, LinkCharge, Refusal};
use prepare::event::RatedEvent;
use problem::{Code, Problem};
use rating::usage::Unrated;
use rating::{Cents, Exact, Overflow, link, rounding};

impl BatchExecutor {
    /// `None`: the event had never been priced, and now never will be.
    pub fn void(&mut self, void: &Void) -> Result<Option<Posted>, Problem> {
        if let Some(earlier) = self
            .earlier(void.named.keyed())
            .or_else(|| self.void_before(void))
        {
            let record = self.earlier_record(&earlier);
            if record.body.refers_to != Some(void.original.seq) {
                return Err(Problem::new(
                    Code::IdempotencyConflict,
                    "this key was used to void another event",
                ));
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
        let backs = self.void_charges(void)?;
        let charges: Charges = backs.iter().map(|back| back.charge.clone()).collect();
        self.post_void(void, &charges)?;
        self.carry(void.tenant(), &charges);
        backs.iter().for_each(|back| self.shrink(back));
        distinct_value::remove(void, &mut self.states);
        let places = backs.iter().filter_map(|back| back.taken.place).collect();
        let index = self.push(void_record(void, charges, places), key);
        self.amend(void.original.seq, Kind::Void, index);
        if void.listed && void.open.is_empty() {
            self.settle(void.original.seq);
        }
        Ok(index)
    }

    /// The counter without what is taken back, and its earlier segments.
    fn shrink(&mut self, Back { charge, taken }: &Back) {
        let Some(id) = charge.counter else { return };
        let key = CounterKey {
            buyer: charge.link.buyer,
            id,
        };
        let mut counted = self.states.counted(&key);
        counted.follow(charge, taken.place.as_ref(), true);
        self.states.counters.set(key, counted);
        for (card, charged) in taken.flats.iter().flat_map(|flats| &flats.0) {
            flats::keep(key, *card, *charged, &mut self.states);
        }
        for (was, is) in &taken.moved {
            self.states
                .distinct_values
                .set(was.key(key), segments::stands(false));
            self.states
                .distinct_values
                .set(is.key(key), segments::stands(true));
        }
    }

    pub fn check_voidable(&self, void: &Void) -> Result<(), Problem> {
        // It was rated or voided between the look-up and this turn: the caller looks again.
        if self
            .amendment(void.original.seq)
            .map(|amendment| amendment.by)
            != void.last
        {
            return Err(Problem::new(
                Code::Overtaken,
                "the event was changed meanwhile",
            ));
        }
        if let Some(author) = void.by_report
            && is_above(&void.path, author, self.reporter_of(void))
        {
            return Err(Problem::new(
                Code::Overtaken,
                "the event was reported from above meanwhile",
            ));
        }
        match (void.reaches, void.voided) {
            (true, _) if void.is_followed => {
                Err(Problem::new(Code::VoidNotExact, shares::FOLLOWED))
            }
            (true, _) => Ok(()),
            (false, true) => Err(Problem::new(
                Code::AlreadyVoided,
                "the event was voided before",
            )),
            (false, false) => Err(Problem::new(Code::BeyondReach, BEYOND_REACH)),
        }
    }

    fn void_charges(&self, void: &Void) -> Result<Vec<Back>, Problem> {
        let mut backs: Vec<Back> = Vec::new();
        for (index, original) in void.charged.body.charges.iter().enumerate() {
            let back = self.void_charge(void, index, original, &backs)?;
            backs.push(back);
        }
        Ok(backs)
    }

    fn void_charge(
        &self,
        void: &Void,
        index: usize,
        original: &Charge,
        backs: &[Back],
    ) -> Result<Back, Problem> {
        let buyer = original.link.buyer;
        let by_card = match (void.rate(original), void.cards.get(index)) {
            (Some(rate), Some(Some(card))) => Some(
                Taking {
                    void,
                    index,
                    charge: original,
                    card,
                    rate,
                }
                .taken(&self.states)?,
            ),
            (Some(_), _) => return Err(overflow(Overflow)),
            (None, _) => None,
        };
        let below = below(void, original, backs);
        let as_it_was = || original.exact.checked_neg().map_err(overflow);
        let taken = match (&original.pricing, by_card) {
            (ChargePricing::Card { .. }, Some(taken)) => taken,
            (
                ChargePricing::Commission { commission_bp }
                | ChargePricing::CommissionOf { commission_bp, .. },
                _,
            ) => {
                let less = if let ChargePricing::CommissionOf { less, .. } = &original.pricing {
                    less.as_slice()
                } else {
                    &[]
                };
                // Without the link below nothing is known but what it was.
                let exact = match below {
                    Some(below) => {
                        let left = link::commissions_of(below.exact, less).map_err(overflow)?;
                        link::commission_of(left, *commission_bp).map_err(overflow)?
                    }
                    None => as_it_was()?,
                };
                let others_stand = below.is_none_or(|below| below.others_stand);
                self.share_taken(void, original, exact, backs)
                    .map(|taken| Taken {
                        others_stand,
                        ..taken
                    })
                    .map_err(overflow)?
            }
            (
                ChargePricing::Floored {
                    applies,
                    commission_bp,
                    ..
                },
                Some(floor),
            ) => {
                let local = if *applies { floor.local } else { Exact::ZERO };
                // Which of both is the greater one was decided event by event.
                let moving = below.filter(|below| !below.others_stand);
                if floor.others_stand && moving.is_none() {
                    Taken {
                        exact: as_it_was()?,
                        local,
                        ..floor
                    }
                } else if void.is_overruled {
                    // No more than by either of both.
                    let mut exact = if floor.others_stand {
                        as_it_was()?
                    } else {
                        as_it_was()?.max(floor.exact)
                    };
                    if let Some(below) = moving {
                        exact = exact.max(
                            link::commission_of(below.exact, *commission_bp).map_err(overflow)?,
                        );
                    }
                    Taken {
                        exact,
                        local: Exact::ZERO,
                        ..floor
                    }
                } else {
                    return Err(Problem::new(Code::VoidNotExact, NOT_EXACT));
                }
            }
            // Only usage is taken back.
            (
                ChargePricing::Card { .. } | ChargePricing::Floored { .. } | ChargePricing::Carry,
                _,
            ) => return Err(overflow(Overflow)),
        };
        let carry = carry_of(self.states.carries_of(void.tenant()), buyer);
        let (cents, carry) = rounding::post(carry, taken.exact).map_err(overflow)?;
        // As bounded as a charge: others of the month may come to much more without it. Charges of
        // before there was a bound go back.
        let most = Cents(original.link.cents.0.saturating_abs()).max(Cents::EVENT_MAX);
        if !cents.is_within(most) {
            return Err(Problem::new(
                Code::of_reason(Unrated::TooLarge.code()),
                TOO_LARGE,
            ));
        }
        // What was paid from a shared balance went to the book, and comes back there: never to what
        // the platform holds.
        let link = LinkCharge {
            settlement: original.link.settlement.today(),
            cents,
            ..original.link
        };
        let Taken {
            before,
            after,
            exact,
            local,
            ..
        } = taken;
        Ok(Back {
            charge: Charge {
                link,
                before,
                after,
                exact,
                local,
                carry,
                ..original.clone()
            },
            taken,
        })
    }

    /// A commission that is taken back, given what it would be by its terms. Where terms changed
    /// within the month, that is no more than it came to itself, or in proportion to what was taken
    /// of the month.
    fn share_taken(
        &self,
        void: &Void,
        original: &Charge,
        exact: Exact,
        backs: &[Back],
    ) -> Result<Taken, Overflow> {
        let key = original.counter.map(|id| CounterKey {
            buyer: original.link.buyer,
            id,
        });
        let before = key.map(|key| self.states.counter(&key)).unwrap_or_default();
        let own = original.exact.checked_neg()?;
        let followed = backs
            .iter()
            .rev()
            .map(|back| &back.charge)
            .find(|charge| charge.by(0).is_some());
        let exact = match followed.filter(|_| void.terms_changed) {
            Some(followed) => {
                exact.max(own.min(shares::least(&before, followed, &self.states)?.unwrap_or(own)))
            }
            None => exact,
        };
        let after = if key.is_some() {
            shares::after(&before, exact, -1)?
        } else {
            before
        };
        Ok(Taken {
            exact,
            before,
            after,
            ..Taken::default()
        })
    }

    fn post_void(&mut self, void: &Void, charges: &Charges) -> Result<(), Problem> {
        let Some(currency) = void.charged.body.currency else {
            return Ok(());
        };
        if charges.is_empty() {
            return Ok(());
        }
        let links = charge::link_charges(charges);
        let (root, customer) = (void.charged.identity.root, void.tenant());
        let platform = ledger::platform_in(root, links.iter().copied());
        // What is taken back posts whatever the limits say, but that of a seller which gives back
        // what it still owes above.
        let limit = self.author_limit(void)?;
        let limits = limit.as_slice();
        self.books
            .charge(&Event {
                root,
                platform,
                customer,
                currency,
                charges: &links,
                limits,
            })
            .map(drop)
            .map_err(not_covered)
    }

    /// What a void that leaves links above standing may cost its author.
    fn author_limit(&self, void: &Void) -> Result<Option<Limit>, Problem> {
        match &void.cover {
            Some((limit, Some(cover))) => self.within(*limit, cover).map(Some),
            Some((limit, None)) => Ok(Some(*limit)),
            None => Ok(None),
        }
    }

    /// Both or neither. What the void alone would cost its author need not be covered, only what
    /// both come to.
    pub fn correct(&mut self, void: &Void, event: Box<RatedEvent>) -> Result<Amended, Problem> {
        let again = self.earlier(void.named.keyed()).is_some();
        let before = self.save();
        let limit = self.author_limit(void)?;
        let balance = limit.map(|limit| self.books.balance(limit.account).unwrap_or_default());
        let voided = self.void(&Void {
            cover: None,
            ..void.clone()
        })?;
        let lack = event
            .lack_seen_by(event.sender)
            .map(|lack| lack.detail.clone());
        let outcome = match self.usage(event) {
            CommandResult::Event(outcome) => outcome,
            _ => Outcome::Rejected(not_its_own()),
        };
        match outcome {
            Outcome::Duplicate(posted) if again => Ok(Amended {
                void: voided,
                event: Some(posted),
            }),
            // The void was made with this key, the event was not: the key belongs to something
            // else.
            Outcome::Rated(_) | Outcome::Unrated { .. } if again => {
                self.restore(before);
                Err(Problem::new(
                    Code::IdempotencyConflict,
                    "this key was used for a void without this event",
                ))
            }
            Outcome::Rated(posted) => {
                if let Some(problem) = limit
                    .zip(balance)
                    .and_then(|(limit, was)| self.uncovered(limit, was))
                {
                    self.restore(before);
                    return Err(problem);
                }
                Ok(Amended {
                    void: voided,
                    event: Some(posted),
                })
            }
            Outcome::Duplicate(_) => {
                self.restore(before);
                Err(not_its_own())
            }
            Outcome::PartlyRated { open, .. } => {
                self.restore(before);
                Err(not_rated(
                    open.first().map_or("", |open| &open.reason),
                    lack.as_deref(),
                ))
            }
            Outcome::Unrated { reason, .. } => {
                self.restore(before);
                Err(not_rated(&reason, lack.as_deref()))
            }
            Outcome::Rejected(problem) => {
                self.restore(before);
                Err(problem)
            }
        }
    }

    /// Whether an account lost more than it had available.
    fn uncovered(&self, limit: Limit, was: Balance) -> Option<Problem> {
        let is = self.books.balance(limit.account).ok()?;
        let asked = was
            .posted
            .checked_sub(is.posted)
            .ok()
            .filter(|asked| *asked > Cents::ZERO)?;
        let credit = limit.credit_limit?;
        let available = was
            .posted
            .checked_sub(was.held)
            .and_then(|left| left.checked_add(credit))
            .ok()?;
        (asked > available).then(|| {
            not_covered(Refusal::Exhausted {
                account: limit.account,
                available,
                asked,
            })
        })
    }

    fn void_posted(&self, record: &JournalEntry) -> Result<Option<Posted>, Problem> {
        if record.body.charges.is_empty() {
            Ok(None)
        } else {
            self.posted_of(record).map(Some).map_err(refused)
        }
    }
}

/// One charge as it is taken back, and what that does to its counter.
struct Back {
    charge: Charge,
    taken: Taken,
}

/// What is given back, now or before, on the link from whose price a commission was taken; else on
/// the link below.
fn below(void: &Void, original: &Charge, backs: &[Back]) -> Option<Below> {
    let buyer = match original.pricing {
        ChargePricing::CommissionOf { of, .. } => of,
        _ => void
            .path
            .iter()
            .copied()
            .skip_while(|tenant| *tenant != original.link.buyer)
            .nth(1)?,
    };
    if let Some(back) = backs.iter().find(|back| back.charge.link.buyer == buyer) {
        return Some(Below {
            exact: back.charge.exact,
            others_stand: back.taken.others_stand,
        });
    }
    void.given_back
        .iter()
        .find(|(tenant, _)| *tenant == buyer)
        .map(|(_, below)| *below)
}

fn overflow(overflow: Overflow) -> Problem {
    Problem::new(Code::Overflow, overflow.to_string())
}

fn not_covered(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Exhausted {
            account,
            available,
            asked,
        } => Problem::new(
            Code::InsufficientBalance,
            format!(
                "the links above keep their charges, so {account} pays for this void itself: it \
                    has {available} cents available, but {asked} are needed"
            ),
        ),
        refusal => refused(refusal),
    }
}

fn not_its_own() -> Problem {
    Problem::field(
        Code::IdConflict,
        "id",
        "the corrected event needs an id of its own; this one was reported before",
    )
}

/// Why the event in place of a voided one is refused. `lack`: what it misses, in words, as a report
/// of it would say.
pub fn not_rated(reason: &str, lack: Option<&str>) -> Problem {
    let lack = lack.map_or(String::new(), |lack| format!(": {lack}"));
    Problem::new(
        Code::NotRated,
        format!("the corrected event cannot be priced ({reason}{lack}); nothing was changed"),
    )
}

const BEYOND_REACH: &str = "the event was reported from above, and none of its links is sold by \
    this key's tenant or below it";

const NOT_EXACT: &str = "a link of this event is sold by commission with a floor, and other \
    events of the month would cost a different amount without this one: their amounts on that \
    link are not known, so nothing was changed";

const TOO_LARGE: &str = "without this event, others of the month would cost more, or less, than \
    one event may cost, so nothing was changed";

fn void_record(void: &Void, charges: Charges, places: Vec<Place>) -> JournalEntry {
    let charged = &void.charged;
    let body = EntryPayload {
        currency: charged.body.currency,
        meter: charged.body.meter.clone(),
        quantity: rating::Quantity(-charged.body.quantity.0),
        amount: charged.body.amount.clone(),
        charges,
        postings: Vec::new(),
        reason: void.reason.clone(),
        refers_to: Some(void.original.seq),
        distinct_value: charged.body.distinct_value.clone(),
        trail: Trail {
            key: void.key,
            steps: (void.last.is_some() || !void.open.is_empty() || !places.is_empty()).then(
                || {
                    Box::new(Steps {
                        open: void.open.clone(),
                        previous: void.last,
                        corrects: None,
                        places,
                    })
                },
            ),
        },
        ..EntryPayload::default()
    };
    JournalEntry {
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
