//! An event that waits for its turn.

use crate::caller::Caller;
use crate::content::{NO_KEY, content_digest};
use crate::customer::Customer;
use crate::dialled::Dialled;
use crate::lack::Lack;
use crate::measure::usage_of;
use crate::measured::{ByCard, MeasuredLink, Method, Plan, UnratedReason};
use crate::reporters::{self, Other};
use compact_str::CompactString;
use formats::UsageEvent;
use journal::{Identity, Journal, Keyed, Name, Namespace, Personal, Reporter, Seq, hash};
use problem::{Code, Problem};
use rating::aggregate::Level;
use rating::ids::{ApiKeyId, HoldId};
use rating::usage::Usage;
use rating::{Instant, Quantity, TenantId};
use smallvec::SmallVec;
use std::sync::Arc;

/// An event that waits for its turn.
#[derive(Debug, Clone)]
pub struct RatedEvent {
    pub event: UsageEvent,
    /// Whose books: the customer's root, or the key's own for an unknown customer.
    pub root: TenantId,
    pub namespace: Namespace,
    /// Whose key reports it.
    pub reporter: Reporter,
    /// Of its name in the journal.
    pub(crate) key: u64,
    /// Who else on the chain may have reported it, the highest first.
    pub(crate) others: Vec<Other>,
    /// Where the event lies if it came before its customer was known: under the key's own root.
    pub(crate) unattributed: Option<(TenantId, u64)>,
    /// Digest of the content as sent, under the customer's key: tells a resend from a conflict.
    pub content: [u8; 16],
    /// Of what names a person, as it stands in a record of a rated event.
    pub(crate) personal_digest: [u8; 16],
    /// The hold that this usage captures, if it is there: the one it names, or the one of its own
    /// id.
    pub hold: HoldId,
    pub(crate) dialled: Dialled,
    /// Whose key sent it, and which.
    pub sender: TenantId,
    pub sender_key: Option<ApiKeyId>,
    /// `None`: kept under the key's own root until somebody creates it.
    pub customer: Option<Arc<Customer>>,
    pub received_at: Instant,
    /// Priced but for the counters, or why it cannot be.
    pub priced: Result<Box<Plan>, UnratedReason>,
    /// What links without a price lack; mostly nothing.
    pub lacks: Vec<Lack>,
    /// The event that it corrects on the lower links alone.
    pub corrects: Option<Seq>,
}

impl RatedEvent {
    /// Why what must be priced at once cannot be, in words about what the caller may see.
    pub fn unpriced(&self, caller: &Caller) -> Option<Problem> {
        let lack = self.lack_seen_by(caller.tenant)?;
        Some(Problem::new(
            Code::of_reason(lack.reason),
            format!("this usage cannot be priced: {}", lack.detail),
        ))
    }
    /// What it lacks, on a link that this tenant may see.
    pub fn lack_seen_by(&self, tenant: TenantId) -> Option<&Lack> {
        let path = self
            .customer
            .as_ref()
            .map_or(&[][..], |customer| customer.tenant.path.as_slice());
        let place = |tenant: TenantId| path.iter().position(|id| *id == tenant);
        let own = place(tenant);
        self.lacks
            .iter()
            .find(|lack| lack.buyer.is_none_or(|buyer| place(buyer) >= own))
    }
    /// It took a while to measure: a call that was cut often, or one that was given up.
    #[inline]
    pub fn was_long(&self) -> bool {
        const PIECES: usize = 32;
        let pieces = |link: MeasuredLink<'_>| {
            link.method
                .by_card()
                .map_or(0, |by| by.measured.pieces.len())
        };
        self.priced.as_ref().map_or(true, |plan| {
            !plan.open.is_empty() || plan.links().any(|link| pieces(link) > PIECES)
        })
    }
    /// How far below the platform its reporter is.
    #[inline]
    pub fn level(&self) -> Level {
        reporters::level(
            self.customer
                .as_ref()
                .map_or(&[][..], |customer| customer.tenant.path.as_slice()),
            self.reporter,
        )
    }
    /// As measured by this plan.
    #[inline]
    pub fn usage(&self, plan: &Plan) -> Usage<'_> {
        Usage {
            quantity: plan.quantity,
            ..usage_of(&self.event, &plan.meter, self.dialled.number)
        }
    }
    /// Its name in the journal.
    #[inline]
    pub fn name(&self) -> Keyed<'_> {
        Keyed {
            key: self.key,
            name: self.named(self.root),
        }
    }
    #[inline]
    pub fn unattributed(&self) -> Option<Keyed<'_>> {
        self.unattributed.map(|(root, key)| Keyed {
            key,
            name: self.named(root),
        })
    }
    #[inline]
    fn named(&self, root: TenantId) -> Name<'_> {
        Name {
            root,
            reporter: self.reporter,
            namespace: self.namespace,
            source: &self.event.source,
            id: &self.event.id,
        }
    }
    /// Its names by others of the chain, the highest first; whether they sell to its reporter.
    #[inline]
    pub fn others(&self) -> impl Iterator<Item = (bool, Keyed<'_>)> {
        let keyed = |other: &Other| Keyed {
            key: other.key,
            name: Name {
                reporter: other.reporter,
                ..self.named(self.root)
            },
        };
        self.others
            .iter()
            .map(move |other| (other.is_above, keyed(other)))
    }
    /// `reporters`: all that have ever reported in its root.
    pub fn look_beside(&mut self, reporters: &[Reporter], journal: &dyn Journal) {
        let path = self
            .customer
            .as_ref()
            .map_or(&[][..], |customer| customer.tenant.path.as_slice());
        self.others = reporters::others(reporters, path, self.named(self.root), journal);
    }
    /// Another kind of command about this usage; what is recorded under its name is of that kind.
    pub fn in_namespace(
        mut self: Box<Self>,
        namespace: Namespace,
        journal: &dyn Journal,
    ) -> Box<Self> {
        (self.namespace, self.unattributed) = (namespace, None);
        self.others.clear();
        self.key = journal.identity_key(self.named(self.root));
        self
    }
    /// The content's digest as it was kept while the customer was unknown.
    #[inline]
    pub fn unattributed_content(&self) -> [u8; 16] {
        self.unattributed_content_as(&self.event.customer)
    }
    /// The same, if the customer was called so.
    #[inline]
    pub fn unattributed_content_as(&self, customer: &str) -> [u8; 16] {
        self.content_under(&NO_KEY, customer)
    }
    /// The content's digests as if the customer were called otherwise: everybody has names of his
    /// own.
    pub fn contents_by_other_names(&self) -> SmallVec<[[u8; 16]; 2]> {
        let Some(customer) = &self.customer else {
            return SmallVec::new();
        };
        let (id, external_id) = (
            customer.tenant.id.to_string(),
            customer.tenant.external_id.as_str(),
        );
        let others = [id.as_str(), external_id]
            .into_iter()
            .filter(|name| *name != self.event.customer);
        others
            .map(|name| self.content_under(&customer.personal_key, name))
            .collect()
    }
    /// A request that does not say `at` means the moment it comes: its digest leaves it out.
    pub fn said_without_at(mut self: Box<Self>) -> Box<Self> {
        let at = std::mem::replace(&mut self.event.at, Instant::MIN);
        let key = self
            .customer
            .as_ref()
            .map_or(NO_KEY, |customer| customer.personal_key);
        self.content = self.content_under(&key, &self.event.customer);
        self.event.at = at;
        self
    }
    fn content_under(&self, key: &[u8; 32], customer: &str) -> [u8; 16] {
        content_digest(
            key,
            &self.event,
            customer,
            [
                self.dialled.sent[0].as_deref(),
                self.dialled.sent[1].as_deref(),
            ],
        )
    }
    /// The same usage with another quantity, measured again: what a hold for less would be.
    pub fn of_quantity(&self, plan: &Plan, quantity: Quantity) -> Result<Plan, UnratedReason> {
        let usage = Usage {
            quantity,
            ..self.usage(plan)
        };
        let mut methods = SmallVec::new();
        let again = |by: &ByCard| -> Result<ByCard, UnratedReason> {
            let measured = by
                .card
                .measure(&usage)
                .map_err(|unrated| UnratedReason(unrated.code()))?;
            Ok(ByCard {
                version: by.version,
                card: Arc::clone(&by.card),
                measured,
                timeline: by.timeline.clone(),
            })
        };
        for method in &plan.methods {
            methods.push(match method {
                Method::Card(by) => Method::Card(again(by)?),
                Method::Commission {
                    commission_bp,
                    floor,
                } => {
                    let floor = floor.as_deref().map(again).transpose()?.map(Box::new);
                    Method::Commission {
                        commission_bp: *commission_bp,
                        floor,
                    }
                }
            });
        }
        let (meter, chain) = (Arc::clone(&plan.meter), Arc::clone(&plan.chain));
        Ok(Plan {
            currency: plan.currency,
            meter,
            quantity,
            chain,
            skipped: plan.skipped,
            methods,
            open: plan.open.clone(),
        })
    }
    #[inline]
    pub fn personal_key(&self) -> &[u8; 32] {
        self.customer
            .as_ref()
            .map_or(&NO_KEY, |customer| &customer.personal_key)
    }
    /// An unknown customer's usage belongs to its sender: only there will its customer be looked
    /// for.
    #[inline]
    pub fn owner(&self) -> TenantId {
        self.customer
            .as_ref()
            .map_or(self.sender, |customer| customer.tenant.id)
    }

    /// Its identity and personal part for the record. `as_sent`: what will be prepared again (kept
    /// usage, holds); digits that are normal already could be taken for a national number.
    #[inline]
    pub fn into_record_parts(
        self: Box<Self>,
        as_sent: bool,
    ) -> (Identity, Option<Personal>, [u8; 16]) {
        let Self {
            event,
            dialled:
                Dialled {
                    sent: [destination, origin],
                    ..
                },
            root,
            reporter,
            namespace,
            customer,
            personal_digest,
            ..
        } = *self;
        let again = as_sent && (destination.is_some() || origin.is_some());
        let number = |sent: Option<CompactString>, digits: Option<CompactString>| {
            if as_sent { sent.or(digits) } else { digits }
        };
        let personal = Personal {
            destination: number(destination, event.destination),
            origin: number(origin, event.origin),
            attributes: event.attributes,
            customer_hint: customer.is_none().then_some(event.customer),
            raw: event.raw,
        };
        let key = customer
            .as_ref()
            .map_or(&NO_KEY, |customer| &customer.personal_key);
        let digest = if again {
            hash::personal_digest(key, &personal)
        } else {
            personal_digest
        };
        let identity = Identity {
            root,
            reporter,
            namespace,
            source: event.source,
            id: event.id,
        };
        (
            identity,
            (personal != Personal::default()).then_some(personal),
            digest,
        )
    }
}
