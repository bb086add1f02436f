//! What tests ask of a [`World`] and how answers read: one line of text each.
//!
//! `rated 400 = platform 300 + muster 100, balance 4600`, `duplicate …`, `unrated no_rate`,
//! `unrated no_rate again`, `rejected id_conflict`; a hold: `open 600 of 400: acme-42 400`.

use crate::world::{World, instant};
use metering::command::Amended;
use metering::requests::{
    EventAnswer, HoldAnswer, Outcome, PlaceHold, Posted, UsageEvent, VoidRequest,
};
use problem::Problem;
use rating::Quantity;
use std::panic::Location;

/// One usage event on its way; everything but customer, meter and quantity has a default.
#[derive(Clone)]
pub struct Sending<'a> {
    world: &'a World,
    caller: String,
    pub event: UsageEvent,
}

impl World {
    /// A usage event of now, with an id of its own, sent with the platform's key.
    pub fn send(&self, customer: &str, meter: &str, quantity: &str) -> Sending<'_> {
        let event = UsageEvent {
            id: format!("e{}", self.next_id()),
            source: "default".into(),
            customer: customer.into(),
            meter: meter.into(),
            quantity: quantity.parse().unwrap(),
            at: self.now(),
            ..UsageEvent::default()
        };
        Sending {
            world: self,
            caller: "platform".into(),
            event,
        }
    }

    /// A call of so many seconds to Berlin that has just ended.
    pub fn call(&self, customer: &str, seconds: &str) -> Sending<'_> {
        let mut call = self.send(customer, "call", seconds).to("+4930123456");
        call.event.at = self
            .now()
            .plus_secs(-i64::try_from(call.event.quantity.0 / Quantity::ONE).unwrap());
        call
    }

    /// Sends events as one batch; the answers in order.
    pub async fn batch(&self, events: &[Sending<'_>]) -> Vec<String> {
        let answers = self.answers(events).await;
        answers
            .iter()
            .map(|answer| self.outcome_text(&answer.outcome))
            .collect()
    }

    pub async fn answers(&self, events: &[Sending<'_>]) -> Vec<EventAnswer> {
        let caller = self.caller(events.first().map_or("platform", |sending| &sending.caller));
        self.engine
            .ingest(
                &caller,
                events
                    .iter()
                    .map(|sending| Ok(sending.event.clone()))
                    .collect(),
            )
            .await
            .unwrap()
    }

    /// Takes an event back; the command's key is `void-` and its id.
    pub fn void(&self, id: &str) -> Voiding<'_> {
        let (source, key) = ("default".to_owned(), format!("void-{id}"));
        let request = VoidRequest {
            source,
            id: id.into(),
            customer: None,
            key,
            reason: "a test".into(),
            cover: None,
        };
        Voiding {
            world: self,
            caller: "platform".into(),
            request,
        }
    }

    pub async fn rate_again(&self, root: &str) -> String {
        let root = self.tenant(root).id;
        let summary = self
            .engine
            .rate_again(&self.caller("platform"), Some(root), None, 10_000)
            .await
            .unwrap();
        let unrated: Vec<String> = summary
            .unrated
            .iter()
            .map(|(reason, count)| format!(", {reason} {count}"))
            .collect();
        let partly = if summary.partly_rated > 0 {
            format!(", partly rated {}", summary.partly_rated)
        } else {
            String::new()
        };
        format!("rated {}{partly}{}", summary.rated, unrated.concat())
    }

    pub async fn release(&self, hold: &str, key: &str) -> String {
        let answer = self
            .engine
            .release_hold(&self.caller("platform"), hold, key)
            .await;
        self.hold_text(answer)
    }
    pub async fn extend(&self, hold: &str, key: &str, quantity: &str, ttl_secs: u32) -> String {
        let quantity = Some(quantity.parse().unwrap());
        let answer = self
            .engine
            .extend_hold(
                &self.caller("platform"),
                hold,
                key,
                quantity,
                Some(ttl_secs),
            )
            .await;
        self.hold_text(answer)
    }

    // ---- texts ----

    pub fn outcome_text(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Rated(posted) => format!("rated {}", self.posted_text(posted)),
            Outcome::PartlyRated {
                posted,
                open,
                duplicate,
            } => {
                let open: Vec<String> = open
                    .iter()
                    .map(|open| format!("{} {}", self.name(open.buyer), open.reason))
                    .collect();
                let splits: Vec<String> = posted
                    .splits
                    .iter()
                    .map(|&(tenant, cents)| format!("{} {cents}", self.name(tenant)))
                    .collect();
                let again = if *duplicate { " again" } else { "" };
                format!(
                    "partly rated {} = {}, open {}{again}",
                    posted.debit,
                    splits.join(" + "),
                    open.join(", ")
                )
            }
            Outcome::Duplicate(posted) => format!("duplicate {}", self.posted_text(posted)),
            Outcome::Unrated {
                reason,
                duplicate: false,
            } => format!("unrated {reason}"),
            Outcome::Unrated {
                reason,
                duplicate: true,
            } => format!("unrated {reason} again"),
            Outcome::Rejected(problem) => format!("rejected {}", problem.code),
        }
    }

    fn posted_text(&self, posted: &Posted) -> String {
        let splits: Vec<String> = posted
            .splits
            .iter()
            .map(|&(tenant, cents)| format!("{} {cents}", self.name(tenant)))
            .collect();
        let sum: i64 = posted.splits.iter().map(|(_, cents)| cents.0).sum();
        assert_eq!(sum, posted.debit.0, "the parts sum to the debit");
        assert!(posted.seq.0 > 0, "an answer names a record of the journal");
        let over = posted
            .over_hold
            .map(|cents| format!(", {cents} over the hold"))
            .unwrap_or_default();
        format!(
            "{} = {}, balance {}{over}",
            posted.debit,
            splits.join(" + "),
            posted.balance
        )
    }

    fn amended_text(&self, answer: Result<Amended, Problem>) -> String {
        match answer {
            Err(problem) => format!("refused {}", problem.code),
            Ok(Amended { void, event }) => {
                let text = |posted: &Option<Posted>| {
                    posted
                        .as_ref()
                        .map_or("nothing".to_owned(), |posted| self.posted_text(posted))
                };
                match event {
                    None => text(&void),
                    Some(_) => format!("{}; {}", text(&void), text(&event)),
                }
            }
        }
    }

    pub fn hold_text(&self, answer: Result<HoldAnswer, Problem>) -> String {
        let answer = match answer {
            Ok(answer) => answer,
            Err(problem) => return format!("refused {}", problem.code),
        };
        let amounts: Vec<String> = answer
            .amounts
            .iter()
            .map(|(account, cents)| format!("{} {cents}", self.name(account.tenant)))
            .collect();
        let again = if answer.duplicate { " again" } else { "" };
        format!(
            "{}{again} {}: {}",
            answer.state,
            answer.quantity,
            amounts.join(" + ")
        )
    }
}

impl<'a> Sending<'a> {
    pub fn id(mut self, id: &str) -> Self {
        self.event.id = id.into();
        self
    }
    pub fn source(mut self, source: &str) -> Self {
        self.event.source = source.into();
        self
    }
    pub fn at(mut self, at: &str) -> Self {
        self.event.at = instant(at);
        self
    }
    pub fn to(mut self, destination: &str) -> Self {
        self.event.destination = Some(destination.into());
        self
    }
    pub fn with(mut self, attribute: &str, value: &str) -> Self {
        self.event.attributes.push((attribute.into(), value.into()));
        self.event.attributes.sort();
        self
    }
    pub fn amount(mut self, amount: &str) -> Self {
        self.event.amount = Some(amount.parse().unwrap());
        self
    }
    /// Names the hold that the usage captures.
    pub fn on_hold(mut self, hold: &str) -> Self {
        self.event.hold = Some(hold.into());
        self
    }
    /// Sent with a key of this tenant.
    pub fn by(mut self, caller: &str) -> Self {
        self.caller = caller.into();
        self
    }

    pub async fn text(&self) -> String {
        self.world.batch(std::slice::from_ref(self)).await.remove(0)
    }
    #[track_caller]
    pub fn gives(self, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move { assert_eq!(self.text().await, want, "at {from}") }
    }
    /// A dry run: the same text as [`Self::gives`] without its first word.
    #[track_caller]
    pub fn costs(self, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move {
            let quote = self
                .world
                .engine
                .quote(&self.world.caller(&self.caller), self.event.clone())
                .await;
            let text = match quote {
                Ok(mut quote) => {
                    quote.posted.seq.0 = 1;
                    self.world.posted_text(&quote.posted)
                }
                Err(problem) => format!("refused {}", problem.code),
            };
            assert_eq!(text, want, "at {from}");
        }
    }
    fn place(&self, ttl_secs: u32, as_much_as_possible: bool) -> PlaceHold {
        PlaceHold {
            key: self.event.id.clone(),
            usage: self.event.clone(),
            begins_now: false,
            ttl_secs: Some(ttl_secs),
            as_much_as_possible,
        }
    }
    pub async fn hold(&self, ttl_secs: u32) -> Result<HoldAnswer, Problem> {
        self.world
            .engine
            .place_hold(
                &self.world.caller(&self.caller),
                self.place(ttl_secs, false),
            )
            .await
    }
    pub async fn hold_as_much(&self, ttl_secs: u32) -> Result<HoldAnswer, Problem> {
        self.world
            .engine
            .place_hold(&self.world.caller(&self.caller), self.place(ttl_secs, true))
            .await
    }
    #[track_caller]
    pub fn holds(self, ttl_secs: u32, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move {
            assert_eq!(
                self.world.hold_text(self.hold(ttl_secs).await),
                want,
                "at {from}"
            )
        }
    }
    /// A hold for as much of the quantity as the balance pays for.
    #[track_caller]
    pub fn holds_as_much(self, ttl_secs: u32, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move {
            assert_eq!(
                self.world.hold_text(self.hold_as_much(ttl_secs).await),
                want,
                "at {from}"
            )
        }
    }
}

/// A void on its way, perhaps with an event in its place.
pub struct Voiding<'a> {
    world: &'a World,
    caller: String,
    pub request: VoidRequest,
}

impl Voiding<'_> {
    pub fn key(mut self, key: &str) -> Self {
        self.request.key = key.into();
        self
    }
    pub fn source(mut self, source: &str) -> Self {
        self.request.source = source.into();
        self
    }
    pub fn of(mut self, customer: &str) -> Self {
        self.request.customer = Some(customer.into());
        self
    }
    pub fn by(mut self, caller: &str) -> Self {
        self.caller = caller.into();
        self
    }
    pub async fn text(&self) -> String {
        self.world.amended_text(
            self.world
                .engine
                .void(&self.world.caller(&self.caller), &self.request)
                .await,
        )
    }
    /// `-400 = platform -300 + muster -100, balance 5000`, `nothing`, `refused already_voided`.
    #[track_caller]
    pub fn gives(self, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move { assert_eq!(self.text().await, want, "at {from}") }
    }
    pub async fn corrected(&self, by: &Sending<'_>) -> String {
        let caller = self.world.caller(&self.caller);
        self.world.amended_text(
            self.world
                .engine
                .correct(&caller, &self.request, by.event.clone())
                .await,
        )
    }
    /// The void, `; `, and the event in its place.
    #[track_caller]
    pub fn corrects(self, by: Sending<'_>, want: &str) -> impl Future<Output = ()> {
        let from = Location::caller();
        async move { assert_eq!(self.corrected(&by).await, want, "at {from}") }
    }
}
