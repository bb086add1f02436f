//! Money set aside for usage to come.

use super::Engine;
use crate::command::{Command, HoldCommand, out_of_step};
use crate::holds;
use crate::named::Named;
use crate::record::event_of;
use crate::requests::{Covered, HoldAnswer, PlaceHold, SellerCover, UsageEvent};
use compact_str::{ToCompactString, format_compact};
use journal::{Identity, Namespace, Reporter, StateKeys};
use ledger::Hold;
use prepare::caller::Caller;
use prepare::failures::journal_problem;
use prepare::hold_name::{hold_id, may_end};
use prepare::preparer::Lateness;
use problem::{Code, Problem};
use rating::Quantity;
use rating::ids::HoldId;

impl Engine {
    /// Commission that is withheld counts as money here: see [`Self::place_covered_hold`].
    pub async fn place_hold(
        &self,
        caller: &Caller,
        request: PlaceHold,
    ) -> Result<HoldAnswer, Problem> {
        let work = self.new_hold(caller, request).await?;
        self.submit_one(Command::PlaceHold(Box::new(work)))
            .await?
            .hold()
    }

    /// A seller's own account is debited only where its cover is known, and not beyond that.
    pub async fn place_covered_hold(
        &self,
        caller: &Caller,
        request: PlaceHold,
        covers: &[SellerCover],
    ) -> Result<Covered, Problem> {
        let work = HoldCommand {
            covers: Some(covers.to_vec()),
            ..self.new_hold(caller, request).await?
        };
        Ok(self
            .submit_one(Command::PlaceHold(Box::new(work)))
            .await?
            .hold()?
            .covered())
    }

    pub(crate) async fn new_hold(
        &self,
        caller: &Caller,
        request: PlaceHold,
    ) -> Result<HoldCommand, Problem> {
        let mut usage = request.usage;
        if usage.id.is_empty() {
            usage.id.clone_from(&request.key);
        }
        let work = self
            .hold_work(caller, usage, request.ttl_secs, request.as_much_as_possible)
            .await?;
        Ok(if request.begins_now {
            HoldCommand {
                prepared: work.prepared.said_without_at(),
                ..work
            }
        } else {
            work
        })
    }

    pub(crate) async fn hold_work(
        &self,
        caller: &Caller,
        usage: UsageEvent,
        ttl_secs: Option<u32>,
        as_much_as_possible: bool,
    ) -> Result<HoldCommand, Problem> {
        let prepared = self
            .preparer(caller, Lateness::Kept)
            .await?
            .prepare(usage)
            .await?;
        self.check_customer(caller, &prepared).await?;
        let ttl_secs = holds::ttl_secs(ttl_secs, &prepared)?;
        let id = hold_id(
            prepared.root,
            prepared.reporter,
            &prepared.event.source,
            &prepared.event.id,
        );
        let prepared = prepared.in_namespace(Namespace::Hold, &*self.journal);
        Ok(HoldCommand {
            id,
            prepared,
            ttl_secs,
            as_much_as_possible,
            covers: None,
        })
    }

    /// As [`Self::extend_covered_hold`], and commission that is withheld counts as money.
    pub async fn extend_hold(
        &self,
        caller: &Caller,
        name: &str,
        key: &str,
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
    ) -> Result<HoldAnswer, Problem> {
        self.extend(caller, (name, key), quantity, ttl_secs, None)
            .await
    }

    /// `quantity`: the new total; absent: the hold's own. Covers are as in
    /// [`Self::place_covered_hold`].
    pub async fn extend_covered_hold(
        &self,
        caller: &Caller,
        (name, key): (&str, &str),
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
        covers: &[SellerCover],
    ) -> Result<Covered, Problem> {
        Ok(self
            .extend(
                caller,
                (name, key),
                quantity,
                ttl_secs,
                Some(covers.to_vec()),
            )
            .await?
            .covered())
    }

    pub(crate) async fn extend(
        &self,
        caller: &Caller,
        (name, key): (&str, &str),
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
        covers: Option<Vec<SellerCover>>,
    ) -> Result<HoldAnswer, Problem> {
        let hold = self.hold_to_change(caller, name).await?;
        let placed = self.placed(&hold).await?;
        let mut usage = event_of(&placed);
        usage.quantity = quantity.unwrap_or(hold.quantity);
        if usage.quantity.is_negative() {
            return Err(Problem::field(
                Code::NegativeQuantity,
                "quantity",
                "expected 0 or more",
            ));
        }
        usage.customer = placed.tenant.to_compact_string();
        let work = HoldCommand {
            covers,
            ..self.hold_work(caller, usage, ttl_secs, false).await?
        };
        let identity = step_identity(&hold, self.directory.reporter(caller).await?, "extend", key);
        self.submit_one(Command::ExtendHold {
            hold: hold.id,
            named: Named::new(identity, &*self.journal),
            work: Box::new(work),
        })
        .await?
        .hold()
    }

    pub async fn release_hold(
        &self,
        caller: &Caller,
        name: &str,
        key: &str,
    ) -> Result<HoldAnswer, Problem> {
        let hold = self.hold_to_change(caller, name).await?;
        let currency = match hold.amounts.first() {
            Some((account, _)) => account.currency,
            // Nothing was set aside: only the record says in which currency.
            None => self
                .placed(&hold)
                .await?
                .body
                .currency
                .ok_or_else(out_of_step)?,
        };
        let identity = step_identity(
            &hold,
            self.directory.reporter(caller).await?,
            "release",
            key,
        );
        self.submit_one(Command::ReleaseHold {
            hold: hold.id,
            named: Named::new(identity, &*self.journal),
            currency,
        })
        .await?
        .hold()
    }

    /// A hold that the caller placed, or somebody it sells to: what a seller above set aside is not
    /// for those below to end.
    pub(crate) async fn hold_to_change(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Hold, Problem> {
        let hold = self.hold_named(caller, name).await?;
        let path = self
            .directory
            .path(hold.customer)
            .await?
            .unwrap_or_default();
        if may_end(&path, self.directory.reporter(caller).await?, &hold) {
            return Ok(hold);
        }
        Err(Problem::new(
            Code::PlacedAbove,
            "a seller above placed this hold: only that seller, or one above it, may change it",
        ))
    }

    pub async fn hold(&self, id: HoldId) -> Result<Option<Hold>, Problem> {
        let keys = StateKeys {
            holds: vec![id],
            ..StateKeys::default()
        };
        Ok(self
            .journal
            .load(&keys)
            .await
            .map_err(journal_problem)?
            .holds
            .remove(&id))
    }
}

pub(crate) fn step_identity(hold: &Hold, reporter: Reporter, step: &str, key: &str) -> Identity {
    let source = format_compact!("{}:{}:{step}", hold.source, hold.key);
    Identity {
        root: hold.root,
        reporter,
        namespace: Namespace::HoldStep,
        source,
        id: key.to_owned(),
    }
}
