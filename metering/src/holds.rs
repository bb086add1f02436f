//! Holds take their turns like usage: placed, extended, released, expired, each a record of its
//! own.
//!
//! A hold's amounts come from the same pricing as the charge, at the present counters, rounded up.

use crate::batch_executor::{BatchExecutor, refused};
use crate::charge;
use crate::command::HoldCommand;
use crate::named::Named;
use crate::record::{event_body, record_of};
use crate::requests::{HoldAnswer, SellerCover};
use journal::{EntryPayload, Identity, JournalEntry, Kind, Namespace, Seq};
use ledger::{AccountKey, AccountKind, Amounts, Hold, Limit, Refusal};
use prepare::customer::Customer;
use prepare::event::RatedEvent;
use prepare::measured::Plan;
use problem::{Code, Problem};
use rating::card::CALL_UNIT;
use rating::{Cents, Currency, Instant, Overflow, Quantity, TenantId, ids::HoldId};
use smallvec::SmallVec;

/// Seconds a hold may last.
pub const TTL_SECS_MAX: u32 = 7 * 86_400;
/// Seconds a hold lasts unless the request says otherwise: for a call behind its longest duration,
/// which is set aside, and which no other usage may spend meanwhile.
pub const TTL_SECS_DEFAULT: u32 = 300;

/// How long a hold lasts.
///
/// # Errors
/// `invalid_field`: not 1 to [`TTL_SECS_MAX`] seconds.
pub(crate) fn ttl_secs(asked: Option<u32>, prepared: &RatedEvent) -> Result<u32, Problem> {
    if let Some(asked) = asked {
        let range = 1..=TTL_SECS_MAX;
        return range.contains(&asked).then_some(asked).ok_or_else(|| {
            Problem::field(
                Code::InvalidField,
                "ttl_secs",
                format!("expected 1 to {TTL_SECS_MAX} seconds"),
            )
        });
    }
    let is_call = prepared
        .priced
        .as_ref()
        .is_ok_and(|plan| plan.meter.unit == CALL_UNIT);
    let lasts = if is_call {
        u32::try_from(prepared.event.quantity.0 / Quantity::ONE).unwrap_or(TTL_SECS_MAX)
    } else {
        0
    };
    Ok(lasts.saturating_add(TTL_SECS_DEFAULT).min(TTL_SECS_MAX))
}

impl BatchExecutor {
    /// Takes a hold that is over out of `held`: a recorded step of the engine's own.
    pub fn expire(&mut self, due: &Hold) {
        let mut hold = self.states.holds.get(&due.id).unwrap_or(due).clone();
        if let Err(refusal) = self.books.expire(&mut hold, self.now) {
            // Ended by somebody else meanwhile; anything more serious shows in `verify`.
            tracing::warn!(hold = %due.id, %refusal, "hold could not be expired");
            return;
        }
        let identity = Identity {
            root: hold.root,
            reporter: None,
            namespace: Namespace::Engine,
            source: hold.source.as_str().into(),
            id: hold.key.clone(),
        };
        self.push(
            step_record(&hold, Kind::HoldExpired, identity, self.now),
            None,
        );
        self.states.holds.set(hold.id, hold);
    }

    pub fn place_hold(&mut self, work: HoldCommand) -> Result<HoldAnswer, Problem> {
        if let Some(earlier) = self.earlier(work.prepared.name()) {
            let record = self.earlier_record(&earlier);
            if record.content != work.prepared.content {
                return Err(Problem::new(
                    Code::IdempotencyConflict,
                    "this key was used for another hold",
                ));
            }
            let (quantity, currency) = (
                record.body.quantity,
                record.body.currency.ok_or_else(not_found)?,
            );
            let hold = self.states.holds.get(&work.id).ok_or_else(not_found)?;
            return Ok(hold_answer(hold, quantity, currency, true));
        }
        let (customer, plan) = priced(&work.prepared)?;
        let nothing = Hold::new(
            work.id,
            customer.tenant.root,
            customer.tenant.id,
            self.now,
            self.now,
            Amounts::new(),
        );
        if let Some(looks) = self.looks(&work, customer, plan, &nothing)? {
            return Ok(HoldAnswer {
                looks,
                ..hold_answer(&nothing, Quantity::ZERO, plan.currency, false)
            });
        }
        let (quantity, amounts) = self.amounts_above(&work, customer, plan, &nothing)?;
        let expires_at = self.now.plus_secs(i64::from(work.ttl_secs));
        let event = &work.prepared.event;
        let hold = Hold::new(
            work.id,
            customer.tenant.root,
            customer.tenant.id,
            self.now,
            expires_at,
            amounts,
        )
        .named(&event.source, &event.id)
        .of(quantity);
        let limits = self.limits(&work, plan)?;
        self.books
            .place_hold(&hold, &limits, self.now)
            .map_err(|refusal| refused_to(&work.prepared, refusal))?;
        let (currency, key) = (plan.currency, work.prepared.name().key);
        let record = hold_record(
            work.prepared,
            Kind::HoldPlaced,
            None,
            &hold,
            currency,
            quantity,
        );
        self.push(record, Some(key));
        let answer = hold_answer(&hold, quantity, currency, false);
        self.states.holds.set(hold.id, hold);
        Ok(answer)
    }

    /// The hold's new totals are those of the quantity given (elapsed and still to come).
    pub fn extend_hold(
        &mut self,
        id: HoldId,
        named: Named,
        work: HoldCommand,
    ) -> Result<HoldAnswer, Problem> {
        let mut hold = self.states.holds.get(&id).ok_or_else(not_found)?.clone();
        let (customer, plan) = priced(&work.prepared)?;
        if let Some(earlier) = self.earlier(named.keyed()) {
            let record = self.earlier_record(&earlier);
            if record.content != work.prepared.content {
                return Err(Problem::new(
                    Code::IdempotencyConflict,
                    "this key was used for another extension",
                ));
            }
            return Ok(hold_answer(
                &hold,
                record.body.quantity,
                plan.currency,
                true,
            ));
        }
        hold.check_open(self.now).map_err(refused)?;
        if let Some(looks) = self.looks(&work, customer, plan, &hold)? {
            return Ok(HoldAnswer {
                looks,
                ..hold_answer(&hold, hold.quantity, plan.currency, false)
            });
        }
        let (quantity, amounts) = self.amounts_above(&work, customer, plan, &hold)?;
        let expires_at = self.now.plus_secs(i64::from(work.ttl_secs));
        let limits = self.limits(&work, plan)?;
        let extended = self
            .books
            .extend_hold(&mut hold, amounts, expires_at, &limits, self.now);
        extended.map_err(|refusal| refused_to(&work.prepared, refusal))?;
        hold.quantity = quantity;
        let (currency, key) = (plan.currency, named.key());
        self.push(
            hold_record(
                work.prepared,
                Kind::HoldExtended,
                Some(named.identity),
                &hold,
                currency,
                quantity,
            ),
            Some(key),
        );
        let answer = hold_answer(&hold, quantity, currency, false);
        self.states.holds.set(id, hold);
        Ok(answer)
    }

    pub fn release_hold(
        &mut self,
        id: HoldId,
        named: Named,
        currency: Currency,
    ) -> Result<HoldAnswer, Problem> {
        let mut hold = self.states.holds.get(&id).ok_or_else(not_found)?.clone();
        if self.earlier(named.keyed()).is_some() {
            return Ok(hold_answer(&hold, Quantity::ZERO, currency, true));
        }
        self.books.release(&mut hold, self.now).map_err(refused)?;
        let key = named.key();
        self.push(
            step_record(&hold, Kind::HoldReleased, named.identity, self.now),
            Some(key),
        );
        let answer = hold_answer(&hold, Quantity::ZERO, currency, false);
        self.states.holds.set(id, hold);
        Ok(answer)
    }

    /// The buyers' limits. Of a seller what came in since its cover was looked at does not count,
    /// nor what it withholds: the bound is only ever stricter.
    fn limits(&self, work: &HoldCommand, plan: &Plan) -> Result<SmallVec<[Limit; 3]>, Problem> {
        let mut limits = charge::limits(plan);
        for limit in &mut limits {
            if let Some(cover) = work
                .covers
                .iter()
                .flatten()
                .find(|cover| cover.account == limit.account)
            {
                *limit = self.within(*limit, cover)?;
            }
        }
        Ok(limits)
    }

    /// A seller's limit within what its balance covers.
    pub fn within(&self, limit: Limit, cover: &SellerCover) -> Result<Limit, Problem> {
        let Some(credit) = limit
            .credit_limit
            .filter(|_| cover.account == limit.account)
        else {
            return Ok(limit);
        };
        let posted = self.books.balance(limit.account).map_err(refused)?.posted;
        let since = posted
            .checked_sub(cover.posted)
            .map_err(overflow)?
            .max(Cents::ZERO);
        let bound = credit
            .checked_sub(since)
            .and_then(|bound| bound.checked_sub(cover.withheld));
        Ok(Limit {
            credit_limit: Some(bound.map_err(overflow)?),
            ..limit
        })
    }

    /// Sellers' own accounts that the usage would debit, and whose covers are asked for and not
    /// known.
    fn looks(
        &self,
        work: &HoldCommand,
        customer: &Customer,
        plan: &Plan,
        present: &Hold,
    ) -> Result<Option<Vec<AccountKey>>, Problem> {
        let Some(known) = work.covers.as_ref().filter(|_| plan.links().len() > 1) else {
            return Ok(None);
        };
        let limits = charge::limits(plan);
        let is_limited = |account: AccountKey| {
            limits
                .iter()
                .any(|limit| limit.account == account && limit.credit_limit.is_some())
        };
        let is_unknown = |account: &AccountKey| {
            let is_sellers =
                account.kind == AccountKind::Balance && account.tenant != customer.tenant.id;
            is_sellers
                && is_limited(*account)
                && !known.iter().any(|cover| cover.account == *account)
        };
        let whole =
            self.amounts_of(&work.prepared, customer, plan, work.prepared.event.quantity)?;
        let looks: Vec<AccountKey> = more_than(present, &whole)
            .iter()
            .map(|(account, _)| *account)
            .filter(is_unknown)
            .collect();
        Ok(Some(looks).filter(|looks| !looks.is_empty()))
    }

    /// What the usage would set aside, and for which quantity, when `present` is held already.
    fn amounts_above(
        &self,
        work: &HoldCommand,
        customer: &Customer,
        plan: &Plan,
        present: &Hold,
    ) -> Result<(Quantity, Amounts), Problem> {
        let asked = work.prepared.event.quantity;
        let whole = self.amounts_of(&work.prepared, customer, plan, asked)?;
        let limits = self.limits(work, plan)?;
        let fits = |amounts: &Amounts| {
            self.books
                .check_cover(&more_than(present, amounts), &limits)
        };
        match fits(&whole) {
            Ok(()) => Ok((asked, whole)),
            Err(Refusal::Insufficient { .. }) if work.as_much_as_possible => {
                self.as_much(work, customer, plan, &fits)
            }
            Err(refusal) => Err(refused_to(&work.prepared, refusal)),
        }
    }

    /// The largest whole quantity whose hold is covered: the price never falls as a call goes on.
    fn as_much(
        &self,
        work: &HoldCommand,
        customer: &Customer,
        plan: &Plan,
        fits: &dyn Fn(&Amounts) -> Result<(), Refusal>,
    ) -> Result<(Quantity, Amounts), Problem> {
        let (mut granted, mut refused_at) =
            (0_i128, work.prepared.event.quantity.0 / Quantity::ONE + 1);
        let mut best = None;
        while granted + 1 < refused_at {
            let middle = granted + (refused_at - granted) / 2;
            let amounts = self.amounts_of(
                &work.prepared,
                customer,
                plan,
                Quantity(middle * Quantity::ONE),
            )?;
            match fits(&amounts) {
                Ok(()) => (granted, best) = (middle, Some(amounts)),
                Err(_) => refused_at = middle,
            }
        }
        let amounts = best.ok_or_else(|| {
            Problem::new(
                Code::InsufficientBalance,
                "the balance does not cover the first unit",
            )
        })?;
        Ok((Quantity(granted * Quantity::ONE), amounts))
    }

    fn amounts_of(
        &self,
        prepared: &RatedEvent,
        customer: &Customer,
        plan: &Plan,
        quantity: Quantity,
    ) -> Result<Amounts, Problem> {
        let charges = if quantity == prepared.event.quantity {
            charge::price(prepared, customer, plan, &self.states)
        } else {
            let plan = prepared
                .of_quantity(plan, quantity)
                .map_err(|kept| kept.problem())?;
            charge::price(prepared, customer, &plan, &self.states)
        };
        let charges = charges.map_err(|kept| kept.problem())?;
        let links = charges.iter().map(|charge| (charge.link, charge.exact));
        ledger::hold_amounts(
            customer.tenant.root,
            customer.platform(),
            plan.currency,
            links,
        )
        .map_err(refused)
    }
}

fn hold_answer(hold: &Hold, quantity: Quantity, currency: Currency, duplicate: bool) -> HoldAnswer {
    HoldAnswer {
        id: hold.id,
        customer: hold.customer,
        currency,
        amounts: hold.amounts.to_vec(),
        quantity,
        state: hold.state,
        expires_at: hold.expires_at,
        duplicate,
        looks: Vec::new(),
    }
}

/// What the new totals set aside beyond what is held.
fn more_than(present: &Hold, totals: &Amounts) -> Amounts {
    let more = |&(account, cents): &(AccountKey, Cents)| {
        (
            account,
            Cents(cents.0.saturating_sub(present.amount(account).0)),
        )
    };
    totals
        .iter()
        .map(more)
        .filter(|(_, cents)| *cents > Cents::ZERO)
        .collect()
}

fn priced(prepared: &RatedEvent) -> Result<(&Customer, &Plan), Problem> {
    let customer = prepared
        .customer
        .as_deref()
        .ok_or_else(|| Problem::field(Code::NotFound, "customer", "there is no such customer"))?;
    let plan = prepared.priced.as_ref().map_err(|kept| kept.problem())?;
    plan.check_whole()?;
    Ok((customer, plan))
}

/// What a seller above the caller has, is not for the caller to know.
fn refused_to(prepared: &RatedEvent, refusal: Refusal) -> Problem {
    let path = prepared
        .customer
        .as_ref()
        .map_or(&[][..], |customer| customer.tenant.path.as_slice());
    let place = |tenant: TenantId| path.iter().position(|one| *one == tenant);
    match refusal {
        Refusal::Insufficient { account, .. } if place(account.tenant) < place(prepared.sender) => {
            Problem::new(
                refusal.code(),
                "a seller above the key's tenant does not have enough available for this",
            )
        }
        refusal => refused(refusal),
    }
}

fn overflow(overflow: Overflow) -> Problem {
    refused(overflow.into())
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "there is no such hold")
}

/// The journal makes the hold from it again, every field. `named`: another identity than the
/// usage's own.
fn hold_record(
    prepared: Box<RatedEvent>,
    kind: Kind,
    named: Option<Identity>,
    hold: &Hold,
    currency: Currency,
    quantity: Quantity,
) -> JournalEntry {
    let body = EntryPayload {
        currency: Some(currency),
        quantity,
        hold: Some(hold.id),
        held: hold.amounts.iter().copied().collect(),
        expires_at: Some(hold.expires_at),
        ..event_body(&prepared)
    };
    let record = record_of(prepared, kind, body);
    JournalEntry {
        identity: named.unwrap_or(record.identity),
        ..record
    }
}

fn step_record(hold: &Hold, kind: Kind, identity: Identity, at: Instant) -> JournalEntry {
    let body = EntryPayload {
        currency: hold
            .amounts
            .first()
            .map(|(account, _): &(AccountKey, Cents)| account.currency),
        hold: Some(hold.id),
        held: hold.amounts.iter().copied().collect(),
        ..EntryPayload::default()
    };
    let (tenant, digest) = (hold.customer, [0; 16]);
    let content = [0; 16];
    JournalEntry {
        seq: Seq(0),
        kind,
        tenant,
        identity,
        at,
        received_at: at,
        content,
        body,
        personal: None,
        personal_digest: digest,
    }
}
