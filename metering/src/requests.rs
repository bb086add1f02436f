//! What can be asked of the engine, and what it answers. One vocabulary for HTTP, files and tests.

use compact_str::CompactString;
pub use formats::{BATCH_EVENTS_MAX, UsageEvent};
use journal::{JournalEntry, Kind, OpenLink, Seq};
use ledger::{AccountKey, Limit, Posting};
pub use prepare::caller::Caller;
use prepare::lack::Lack;
use problem::Problem;
use rating::ids::HoldId;
use rating::{Cents, Currency, Instant, Quantity, TenantId};
use smallvec::SmallVec;

/// Bytes of one request body.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

impl HoldAnswer {
    pub(crate) fn covered(self) -> Covered {
        if self.looks.is_empty() {
            Covered::Hold(self)
        } else {
            Covered::Looks(self.looks)
        }
    }
}

/// The answer to one event of a batch, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAnswer {
    pub id: String,
    pub outcome: Outcome,
    /// Where it has no price, or not on every link: what is lacking, from the customer's own link
    /// up.
    pub lacks: Vec<Lack>,
    /// A duplicate of what was taken back meanwhile: its first cents are not owed any more.
    pub voided: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Rated(Posted),
    /// Some links are charged, from the platform's down; the others are open.
    PartlyRated {
        /// What is posted so far. `balance` is the customer's only where its own link is not open.
        posted: Posted,
        /// From the customer's own link up.
        open: Vec<OpenLink>,
        duplicate: bool,
    },
    /// The first cents and the present balance.
    Duplicate(Posted),
    /// A resend of an event that is still unrated.
    Unrated {
        reason: String,
        duplicate: bool,
    },
    Rejected(Problem),
}

/// What an event moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub seq: Seq,
    pub customer: TenantId,
    pub currency: Currency,
    /// What the customer was debited (negative: given back).
    pub debit: Cents,
    /// From the platform down: each seller's part; sums to `debit`. Below zero: a seller that pays
    /// for what is open below it.
    pub splits: SmallVec<[(TenantId, Cents); 3]>,
    /// The customer's posted balance after this event (a duplicate: now).
    pub balance: Cents,
    /// A capture that was larger than its hold: by how many cents of the customer.
    pub over_hold: Option<Cents>,
    /// The report from below, with other content, whose place it took.
    pub overruled: Option<Seq>,
}

/// Takes an event back, or corrects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidRequest {
    pub source: String,
    pub id: String,
    /// Whose event, if the caller sees several roots that may use the same ids.
    pub customer: Option<String>,
    /// Idempotency-Key.
    pub key: String,
    pub reason: String,
    /// What the caller's own balance covers, where links above stand; `None`: all that is posted on
    /// it.
    pub cover: Option<SellerCover>,
}

/// What rating kept events again came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgainSummary {
    pub rated: u64,
    /// Still open on some of their links.
    pub partly_rated: u64,
    /// Still without a price, by reason.
    pub unrated: Vec<(String, u64)>,
    /// Where to go on; `None`: every kept event was tried.
    pub next: Option<Seq>,
}

/// A dry run: the same code as the charge, nothing written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub posted: Posted,
    /// The record as it would have been written, for `explain`.
    pub record: JournalEntry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceHold {
    /// The caller's key (Idempotency-Key or the event's id): the hold's identity, source "default"
    /// unless given.
    pub key: String,
    /// The usage expected; its `id` is the one the capture may carry.
    pub usage: UsageEvent,
    /// The request does not say when it begins: now. Sent again, it begins later and is the same.
    pub begins_now: bool,
    /// Absent: as long as the usage lasts, see [`crate::holds::ttl_secs`].
    pub ttl_secs: Option<u32>,
    /// Telephony: hold for the longest duration the balance pays for, up to `usage.quantity`.
    pub as_much_as_possible: bool,
}

/// What a seller has on an account that the platform collects on, and how much of it is commission
/// that it withholds: a look at it. What came in since does not count, so that an old look only
/// refuses more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SellerCover {
    pub account: AccountKey,
    /// Posted, before what is withheld was worked out.
    pub posted: Cents,
    pub withheld: Cents,
}

/// What a hold was answered that asks for the sellers' covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covered {
    Hold(HoldAnswer),
    /// Nothing was set aside: the covers of these accounts must be known first.
    Looks(Vec<AccountKey>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldAnswer {
    pub id: HoldId,
    pub customer: TenantId,
    pub currency: Currency,
    /// Cents set aside per account of the chain.
    pub amounts: Vec<(AccountKey, Cents)>,
    /// Granted quantity (≤ asked with `as_much_as_possible`).
    pub quantity: Quantity,
    pub state: ledger::HoldState,
    pub expires_at: Instant,
    pub duplicate: bool,
    /// Not empty: nothing was set aside, since the covers of these accounts are not known.
    pub looks: Vec<AccountKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyKind {
    /// External → balance.
    TopUp,
    /// Signed: positive credits the account from the root's external account, negative debits it.
    Adjustment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveMoney {
    pub kind: MoneyKind,
    /// Idempotency-Key.
    pub key: String,
    pub account: AccountKey,
    pub root: TenantId,
    pub cents: Cents,
    /// A human's reason; required for adjustments.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyAnswer {
    pub seq: Seq,
    pub account: AccountKey,
    pub cents: Cents,
    pub balance: Cents,
    pub duplicate: bool,
}

/// A step of a payment or a payout. Its name is ours: whoever died before it heard the answer sends
/// the step again, perhaps with other postings because it knows more by now, and hears what was
/// posted under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostPayment {
    /// Whose steps these are: `stripe`, `payouts`.
    pub source: CompactString,
    /// Unique per root and source.
    pub key: String,
    pub root: TenantId,
    /// Whose statement shows it.
    pub tenant: TenantId,
    pub currency: Currency,
    pub kind: Kind,
    /// Between accounts of this root.
    pub postings: Vec<Posting>,
    /// Accounts that must be able to pay what they lose by it. Empty: what happened is posted.
    pub limits: Vec<Limit>,
    pub reason: String,
}

/// What is posted under the name of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPosted {
    pub seq: Seq,
    /// Of the first command under this name.
    pub postings: Vec<Posting>,
    pub reason: String,
    pub at: Instant,
    /// It had been posted before.
    pub duplicate: bool,
}
