//! The half of a usage event's way that needs no turn: customer, chain, cards, measuring. Runs in
//! the caller's task, many at a time; what depends on counters and balances is left to the
//! committer.
//!
//! Nearly every event finds all it needs in memory ([`UsagePreparer::at_hand`]); the others wait
//! for the records ([`UsagePreparer::prepare`]).

mod plan;

use crate::caller::{Caller, FUTURE_SECS_MAX};
use crate::content::NO_KEY;
use crate::customer::Customer;
use crate::dialled::{Dialled, as_sent, normalised};
use crate::directory::Directory;
use crate::event::RatedEvent;
use crate::hold_name::{hold_id, named_hold};
use crate::lack::Lack;
use crate::lacks;
use crate::measure::{no_meter, usage_of};
use crate::measured::{Plan, UnratedReason};
use crate::plan::Timeline;
use formats::UsageEvent;
use journal::{Journal, Name, Namespace, Reporter, hash};
use problem::{Code, Problem};
use rating::card::{CALL_UNIT, MeterTerms};
use rating::usage::{Unrated, Usage};
use rating::{CardVersionId, Instant, Quantity, TenantId};
use std::sync::Arc;

/// Late events are not priced by themselves; an operator's call may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    Kept,
    Accepted,
}

/// Where the events of one request are prepared.
#[derive(Debug)]
pub struct UsagePreparer<'a> {
    directory: &'a Directory,
    journal: &'a dyn Journal,
    caller: &'a Caller,
    /// Whose key it is.
    reporter: Reporter,
    now: Instant,
    late: Lateness,
    /// What is told has happened: it ended before now.
    is_over: bool,
    /// The meter of the event before: mostly this one's too.
    meter: Option<(String, Arc<MeterTerms>)>,
}

/// Who and what an event is about.
struct About {
    meter: Arc<MeterTerms>,
    customer: Option<Arc<Customer>>,
    /// Why there is none.
    nobody: &'static str,
}

/// What memory does not have.
enum Missing {
    Version {
        timeline: Arc<Timeline>,
        id: CardVersionId,
    },
    Fallback {
        timeline: Arc<Timeline>,
        name: String,
    },
}

/// A plan, or why the event is kept without one; or what has to be read first.
type Planned = Result<Result<Box<Plan>, UnratedReason>, Missing>;

impl<'a> UsagePreparer<'a> {
    pub fn new(
        directory: &'a Directory,
        journal: &'a dyn Journal,
        (caller, reporter): (&'a Caller, Reporter),
        now: Instant,
        late: Lateness,
    ) -> Self {
        Self {
            directory,
            journal,
            caller,
            reporter,
            now,
            late,
            is_over: false,
            meter: None,
        }
    }

    /// Of usage that is reported, not asked for: a call cannot have lasted longer than since it
    /// began.
    pub fn of_reports(self) -> Self {
        Self {
            is_over: true,
            ..self
        }
    }

    /// With what is in memory; `Err`: something is not. What is refused is malformed (in the
    /// future) and is not kept.
    pub fn at_hand(
        &mut self,
        mut event: UsageEvent,
    ) -> Result<Result<Box<RatedEvent>, Problem>, Box<UsageEvent>> {
        if let Err(problem) = self.check(&event) {
            return Ok(Err(problem));
        }
        let Some(meter) = self.meter_at_hand(&event.meter) else {
            return Err(Box::new(event));
        };
        if let Err(problem) = self.check_over(&event, &meter) {
            return Ok(Err(problem));
        }
        let Some(customer) = self
            .directory
            .customer_at_hand(self.caller, &event.customer)
        else {
            return Err(Box::new(event));
        };
        let about = About {
            meter,
            customer: Some(customer),
            nobody: "unknown_customer",
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        match self.plan(&about, &event, dialled.number) {
            Ok(priced) => Ok(Ok(self.assemble(event, about, content, dialled, priced))),
            Err(_missing) => Err(Box::new(as_sent(event, dialled))),
        }
    }

    /// The same, after reading what is missing.
    pub async fn prepare(&mut self, mut event: UsageEvent) -> Result<Box<RatedEvent>, Problem> {
        self.check(&event)?;
        let Some(meter) = self.directory.meter(&event.meter).await? else {
            return Err(Problem::field(
                Code::UnknownMeter,
                "meter",
                format!("there is no meter {:?}", event.meter),
            ));
        };
        self.check_over(&event, &meter)?;
        let (customer, nobody) = self.customer_of(&event).await?;
        let about = About {
            meter,
            customer,
            nobody,
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        loop {
            match self.plan(&about, &event, dialled.number) {
                Ok(priced) => return Ok(self.assemble(event, about, content, dialled, priced)),
                Err(Missing::Version { timeline, id }) => {
                    if let Some(slot) = timeline.versions.iter().find(|slot| slot.id == id) {
                        self.directory.compiled(slot).await?;
                    }
                }
                Err(Missing::Fallback { timeline, name }) => {
                    self.directory.load_fallback(&timeline, &name).await?
                }
            }
        }
    }

    /// The same for what has happened: it is kept where there is no such meter, which can be made
    /// later.
    pub async fn prepare_report(
        &mut self,
        mut event: UsageEvent,
    ) -> Result<Box<RatedEvent>, Problem> {
        if self.directory.meter(&event.meter).await?.is_some() {
            return self.prepare(event).await;
        }
        self.check(&event)?;
        let (customer, nobody) = self.customer_of(&event).await?;
        let kept = UnratedReason(if customer.is_some() {
            UNKNOWN_METER
        } else {
            nobody
        });
        let about = About {
            meter: no_meter(),
            customer,
            nobody,
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        Ok(self.assemble(event, about, content, dialled, Err(kept)))
    }

    async fn customer_of(
        &self,
        event: &UsageEvent,
    ) -> Result<(Option<Arc<Customer>>, &'static str), Problem> {
        match self.directory.customer(self.caller, &event.customer).await {
            Ok(customer) => Ok((customer, "unknown_customer")),
            // Whose it is, its sender can say later: what happened is kept.
            Err(problem) if problem.code == Code::AmbiguousId => Ok((None, "ambiguous_customer")),
            Err(problem) => Err(problem),
        }
    }

    fn check(&self, event: &UsageEvent) -> Result<(), Problem> {
        if event.at <= self.now.plus_secs(FUTURE_SECS_MAX) {
            return Ok(());
        }
        Err(Problem::field(
            Code::FutureEvent,
            "at",
            format!(
                "expected at most {FUTURE_SECS_MAX} s ahead of the server's clock ({})",
                self.now
            ),
        ))
    }

    fn check_over(&self, event: &UsageEvent, meter: &MeterTerms) -> Result<(), Problem> {
        const NANOS_PER_MICRO: i128 = Quantity::ONE / 1_000_000;
        let ended = i128::from(event.at.micros()) + event.quantity.0 / NANOS_PER_MICRO;
        if !self.is_over
            || meter.unit != CALL_UNIT
            || ended <= i128::from(self.now.plus_secs(FUTURE_SECS_MAX).micros())
        {
            return Ok(());
        }
        let detail = format!(
            "a call of {} s that began at {} would not have ended yet (now: {}): `quantity` is \
                in seconds, `at` is when the call began",
            event.quantity, event.at, self.now
        );
        Err(Problem::field(Code::ImpossibleDuration, "quantity", detail))
    }

    fn meter_at_hand(&mut self, name: &str) -> Option<Arc<MeterTerms>> {
        if let Some((_, meter)) = self.meter.as_ref().filter(|(last, _)| last == name) {
            return Some(Arc::clone(meter));
        }
        let meter = self.directory.meter_at_hand(name)?;
        self.meter = Some((name.to_owned(), Arc::clone(&meter)));
        Some(meter)
    }

    fn assemble(
        &self,
        event: UsageEvent,
        about: About,
        content: [u8; 16],
        dialled: Dialled,
        priced: Result<Box<Plan>, UnratedReason>,
    ) -> Box<RatedEvent> {
        let lacks = self.lacks(&event, &about, &priced, &dialled);
        let customer = about.customer;
        let root = customer
            .as_ref()
            .map_or(self.caller.root, |c| c.tenant.root);
        let reporter = self.reporter;
        let name = |root| Name {
            root,
            reporter,
            namespace: Namespace::Usage,
            source: &event.source,
            id: &event.id,
        };
        let key = |root| self.journal.identity_key(name(root));
        let unattributed =
            (root != self.caller.root).then(|| (self.caller.root, key(self.caller.root)));
        let hold = match &event.hold {
            Some(name) => named_hold(root, reporter, &event.source, name),
            None => hold_id(root, reporter, &event.source, &event.id),
        };
        let hint = customer.is_none().then_some(event.customer.as_str());
        let personal_key = customer.as_ref().map_or(&NO_KEY, |c| &c.personal_key);
        let texts = [
            event.destination.as_deref(),
            event.origin.as_deref(),
            hint,
            event.raw.as_deref(),
        ];
        let personal_digest = hash::personal_digest_of(personal_key, texts, &event.attributes);
        Box::new(RatedEvent {
            key: key(root),
            reporter,
            others: Vec::new(),
            root,
            namespace: Namespace::Usage,
            unattributed,
            content,
            personal_digest,
            hold,
            dialled,
            sender: self.caller.tenant,
            sender_key: self.caller.key,
            customer,
            received_at: self.now,
            priced,
            lacks,
            corrects: None,
            event,
        })
    }

    /// In words, where something has no price.
    fn lacks(
        &self,
        event: &UsageEvent,
        about: &About,
        priced: &Result<Box<Plan>, UnratedReason>,
        dialled: &Dialled,
    ) -> Vec<Lack> {
        let reason = match priced {
            Ok(plan) if plan.open.is_empty() => return Vec::new(),
            Ok(_) => None,
            Err(kept) => Some(kept.0),
        };
        let Some(customer) = &about.customer else {
            let name = &event.customer;
            let detail = match about.nobody {
                "ambiguous_customer" => {
                    format!("several tenants are called {name:?}: use the tenant's id (ten_…)")
                }
                _ => format!("there is no tenant {name:?} below the key's tenant"),
            };
            return vec![Lack::of_event(about.nobody, detail)];
        };
        if reason == Some("late") {
            let days = customer.tenant.late_window_days;
            return vec![Lack::of_event(
                "late",
                format!("it is older than {days} days; rate it again by hand to price it"),
            )];
        }
        if reason == Some(UNKNOWN_METER) {
            let detail = format!(
                "there is no meter {:?}: create it (POST /v1/meters), then rate again",
                event.meter
            );
            return vec![Lack::of_event(UNKNOWN_METER, detail)];
        }
        let usage = usage_of(event, &about.meter, dialled.number);
        let reasons = match priced {
            Ok(plan) => plan
                .open
                .iter()
                .map(|open| (open.buyer, open.reason))
                .collect(),
            Err(_) => self.reasons(customer, &usage, &about.meter),
        };
        let mut lacks = lacks::of_chain(self.directory, customer, (&usage, &about.meter), &reasons);
        if let Some(doubt) = &dialled.doubt {
            for lack in lacks
                .iter_mut()
                .filter(|lack| lack.reason == Unrated::NoRate.code())
            {
                lack.detail = format!("{}; {doubt}", lack.detail);
            }
        }
        lacks
    }

    /// Of every link of the chain that has no price.
    fn reasons(
        &self,
        customer: &Customer,
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Vec<(TenantId, &'static str)> {
        let Some(at) = customer.chain_at(usage.at) else {
            return Vec::new();
        };
        let chain = match &at.links {
            Ok(chain) => chain,
            Err(error) => {
                let buyers = customer.tenant.path.iter().skip(1).rev();
                let lacking = buyers.filter(|buyer| {
                    !customer
                        .agreements_of(**buyer)
                        .any(|terms| terms.in_force(usage.at))
                });
                let lacking: Vec<_> = lacking.map(|buyer| (*buyer, NO_AGREEMENT)).collect();
                let is_that = error.code() == NO_AGREEMENT && !lacking.is_empty();
                return if is_that {
                    lacking
                } else {
                    vec![(customer.tenant.id, error.code())]
                };
            }
        };
        let mut reasons: Vec<_> = at
            .open
            .iter()
            .map(|open| (open.buyer, open.reason))
            .collect();
        for link in chain.iter() {
            if let Ok(Err(kept)) = self.measure_link(link, usage, meter) {
                reasons.push((link.agreement.buyer, kept.0));
            }
        }
        reasons
    }
}

/// The reason of an event whose meter nobody has made.
const UNKNOWN_METER: &str = "unknown_meter";
/// The reason of a buyer without terms.
const NO_AGREEMENT: &str = "no_agreement";
