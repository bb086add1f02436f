//! What happened: entries, identities, batches, and the contract of a store: what the pipeline
//! needs of a database, and nothing else.
//!
//! One batch is one database transaction: records, balances, carries, counters, holds, hash chain.
//! `commit` returns when the batch is durable. A batch that fails leaves nothing behind.

pub mod codec;
mod counted;
mod effects;
pub mod hash;
mod keys;
mod kinds;
pub mod memory;
pub mod open_holds;
pub mod packed;
pub mod reporters;
pub mod retention;
mod steps;
pub mod verify;

pub use counted::{Counted, Place, Restated, Segment, SoFar};
pub use effects::{Effect, EffectKind, Effects, effects};
pub use keys::{KeysOf, Mark, StateKeys};
pub use kinds::{Kind, Namespace};
pub use rating::segments::{By, Charged};
pub use steps::{OpenLink, Steps, Trail};

use async_trait::async_trait;
use compact_str::CompactString;
use ledger::{AccountKey, Balance, Hold, LinkCharge, Posting};
use rating::fast::FastMap;
use rating::usage::{Counter, CounterId, Piece};
use rating::{
    AgreementId, CardVersionId, Carry, Cents, Currency, Exact, Instant, Quantity, TenantId,
    ids::HoldId,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// Position of a record in the journal: dense, in order of arrival, never reused. On PostgreSQL so
/// within a root, whose number is above the position.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Seq(pub i64);

/// Whose key named a command: no key takes an id away from another tenant's. `None`: the platform's
/// key, a step of our own, and whatever was recorded before reporters were told apart.
pub type Reporter = Option<TenantId>;

/// What a caller names a command by. Unique per root, reporter, namespace and source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub root: TenantId,
    pub reporter: Reporter,
    pub namespace: Namespace,
    pub source: CompactString,
    pub id: String,
}

impl Identity {
    pub fn name(&self) -> Name<'_> {
        Name {
            root: self.root,
            reporter: self.reporter,
            namespace: self.namespace,
            source: &self.source,
            id: &self.id,
        }
    }
}

/// An identity, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<'a> {
    pub root: TenantId,
    pub reporter: Reporter,
    pub namespace: Namespace,
    pub source: &'a str,
    pub id: &'a str,
}

/// An identity to look up, with its [`Journal::identity_key`].
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    pub key: u64,
    pub name: Name<'a>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Given by the journal at commit; 0 before.
    pub seq: Seq,
    pub kind: Kind,
    /// Leaf customer, or owner of the account that moved.
    pub tenant: TenantId,
    pub identity: Identity,
    /// The event's own start.
    pub at: Instant,
    /// The engine's time of arrival.
    pub received_at: Instant,
    /// Digest of the content as parsed, under the tenant's personal key: tells a resend from a
    /// conflict.
    pub content: [u8; 16],
    /// Everything that explains the money and names no person.
    pub body: EntryPayload,
    /// What names a person: erasable, in the hash chain by digest only.
    pub personal: Option<Personal>,
    /// Keyed digest of `personal`.
    pub personal_digest: [u8; 16],
}

impl JournalEntry {
    /// Links of a usage event that are not charged after this step of it, from the customer's own
    /// up.
    pub fn open(&self) -> &[OpenLink] {
        self.body
            .trail
            .steps
            .as_ref()
            .map_or(&[], |steps| &steps.open)
    }

    /// In which segment of its counter the charge of this buyer counts; `None`: in the first.
    pub fn place(&self, buyer: TenantId) -> Option<&Place> {
        self.body.place(buyer)
    }

    /// The step of the same event before this one.
    pub fn previous(&self) -> Option<Seq> {
        self.body
            .trail
            .steps
            .as_ref()
            .and_then(|steps| steps.previous)
    }

    /// The event whose lower links this one corrects.
    pub fn corrects(&self) -> Option<Seq> {
        self.body
            .trail
            .steps
            .as_ref()
            .and_then(|steps| steps.corrects)
    }

    /// Usage that is kept to be priced, in whole or in part.
    pub fn is_kept(&self) -> bool {
        self.kind == Kind::Unrated || (self.kind == Kind::Rated && !self.open().is_empty())
    }
}

/// Packed (postcard); append-only fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EntryPayload {
    pub currency: Option<Currency>,
    pub meter: CompactString,
    pub quantity: Quantity,
    /// Major units as text, for models that price an amount.
    pub amount: Option<String>,
    pub charges: Vec<Charge>,
    /// Moves that are not the consequence of charges: top-ups, adjustments.
    pub postings: Vec<Posting>,
    /// Unrated: the stable code. Adjustments, voids: the human's reason.
    pub reason: String,
    pub refers_to: Option<Seq>,
    pub hold: Option<HoldId>,
    /// Holds: cents set aside (placed, extended: the new totals) or given back, per account.
    pub held: Vec<(AccountKey, Cents)>,
    /// Captures above the hold, hold's new end, and other facts an answer repeats.
    pub expires_at: Option<Instant>,
    /// Void and correction: the distinct value withdrawn or added (`unique`, `max`, `latest`).
    pub distinct_value: Option<String>,
    /// Whose request it was, and what hangs together with it.
    #[serde(with = "steps::tail")]
    pub trail: Trail,
}

impl EntryPayload {
    /// In which segment of its counter the charge of this buyer counts; `None`: in the first.
    pub fn place(&self, buyer: TenantId) -> Option<&Place> {
        self.trail
            .steps
            .as_ref()?
            .places
            .iter()
            .find(|place| place.buyer == buyer)
    }
}

/// What one buyer owes one seller for an event: everything `explain` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub link: LinkCharge,
    pub agreement: AgreementId,
    pub pricing: ChargePricing,
    /// What the counter grew by (calls: billed seconds).
    pub billed: Quantity,
    pub counter: Option<CounterId>,
    pub before: Counter,
    pub after: Counter,
    pub exact: Exact,
    /// The event-local part of `exact`.
    pub local: Exact,
    /// The carry after this charge.
    pub carry: Carry,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChargePricing {
    Card {
        version: CardVersionId,
        rate: u32,
        prefix_len: u8,
        pieces: SmallVec<[Piece; 1]>,
    },
    Commission {
        commission_bp: u16,
    },
    /// No usage: what was carried, settled ([`Kind::CarrySettled`]).
    Carry,
    /// A commission with a least price by a card: the greater of both (`applies`: the card's).
    Floored {
        commission_bp: u16,
        applies: bool,
        version: CardVersionId,
        rate: u32,
        prefix_len: u8,
        pieces: SmallVec<[Piece; 1]>,
    },
    /// A commission that is not taken from the link below: not every commission further down counts
    /// against its seller.
    CommissionOf {
        commission_bp: u16,
        /// The buyer on the link from whose price it is taken.
        of: TenantId,
        /// Commissions above that one which count, from below up, in basis points: they are taken
        /// off first.
        less: Vec<u16>,
    },
}

impl ChargePricing {
    /// The version of the card that priced it, or bounds its price.
    pub const fn version(&self) -> Option<CardVersionId> {
        match self {
            Self::Card { version, .. } | Self::Floored { version, .. } => Some(*version),
            Self::Commission { .. } | Self::CommissionOf { .. } | Self::Carry => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Personal {
    pub destination: Option<CompactString>,
    pub origin: Option<CompactString>,
    pub attributes: Vec<(String, String)>,
    /// The customer as the sender named it, when it is unknown.
    pub customer_hint: Option<CompactString>,
    /// The record as received, for formats that are not our own.
    pub raw: Option<String>,
}

/// A counter: the link (by its buyer), the leaf key of the card, the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterKey {
    pub buyer: TenantId,
    pub id: CounterId,
}

/// One distinct value of a `unique`, `max` or `latest` counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DistinctValueKey {
    pub counter: CounterKey,
    pub value: String,
}

/// How often a distinct value was reported, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DistinctValue {
    pub count: i64,
    pub at: Instant,
}

/// Carries of one leaf customer, by the buyer of the link. Packed in one row.
pub type Carries = SmallVec<[(TenantId, Carry); 3]>;

/// What became of a record later: void or late rating, by which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    pub kind: Kind,
    pub by: Seq,
}

/// States by key; what is absent has never been written (zero).
#[derive(Debug, Clone, Default)]
pub struct State {
    pub accounts: FastMap<AccountKey, Balance>,
    pub carries: FastMap<TenantId, Carries>,
    pub counters: FastMap<CounterKey, Counted>,
    /// Their values come from callers, so their hashes are keyed.
    pub distinct_values: HashMap<DistinctValueKey, DistinctValue>,
    pub holds: FastMap<HoldId, Hold>,
    pub amendments: FastMap<Seq, Amendment>,
}

/// One transaction: records in order (their `seq` still unset), and every state that changed, as it
/// is after the last record. `amendments` here are keyed by the amended record; `by` is the index
/// of the amending record within `records`, turned into its seq by the journal.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub committed_at: Instant,
    pub records: Vec<JournalEntry>,
    /// The [`Journal::identity_key`] of every record, where its caller had it at hand; or nothing
    /// at all.
    pub identity_keys: Vec<u64>,
    pub state: State,
    pub amendments: Vec<(Seq, Kind, usize)>,
    /// Records by index of usage that is not rated, or not on every link: to be listed and rated
    /// later.
    pub unrated: Vec<usize>,
    /// Those of them that are now rated on every link.
    pub settled: Vec<Seq>,
    pub packed: Packing,
}

/// What [`Journal::pack`] made of a batch: of a type that the store alone knows.
#[derive(Debug, Clone, Default)]
pub struct Packing(pub Option<Arc<dyn Any + Send + Sync>>);

/// Head of one root's hash chain after one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHead {
    pub batch: i64,
    pub root: TenantId,
    pub first: Seq,
    pub last: Seq,
    pub records: i64,
    pub hash: [u8; 32],
    pub committed_at: Instant,
}

/// Which records to read, oldest first (`newest_first` turns it round), at most `limit`.
#[derive(Debug, Clone)]
pub struct EntryQuery {
    pub of: Of,
    /// Exclusive position to go on from.
    pub after: Option<Seq>,
    pub newest_first: bool,
    pub limit: usize,
}

#[derive(Debug, Clone)]
pub enum Of {
    All,
    Seqs(Vec<Seq>),
    /// Every record that moved or held cents of this account, or charged it (also zero cents).
    Account(AccountKey),
    Customer(TenantId),
    /// Kept and not yet rated, of one root.
    Unrated(TenantId),
    /// The same of every root.
    EveryUnrated,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written; the same batch may be tried again.
    #[error("the database is busy or gone: {0}")]
    Unavailable(String),
    /// Another transaction was in the way: nothing was written, and the same at once may succeed.
    #[error("another transaction was in the way: {0}")]
    Conflict(String),
    /// It must not be opened by this program, and the same again says the same.
    #[error("{0}")]
    Unfit(String),
    #[error("the journal does not read back: {0}")]
    Corrupt(String),
}

pub type Result<T, E = JournalError> = std::result::Result<T, E>;

/// Where a commit put its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// The first here, the others densely behind it.
    From(Seq),
    Each(Vec<Seq>),
}

impl Placed {
    /// Of the record at this index of the batch.
    pub fn at(&self, index: usize) -> Seq {
        match self {
            Self::From(first) => Seq(first.0 + index as i64),
            Self::Each(seqs) => seqs.get(index).copied().unwrap_or_default(),
        }
    }
}

/// How a journal that several processes write wants its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// Batches at once, each of other roots.
    pub count: usize,
    /// A batch is of one root.
    pub one_root: bool,
    /// The database may undo a batch for the sake of another (isolation above read committed), so
    /// that its commands are kept until it is committed.
    pub may_be_undone: bool,
}

/// A journal that several processes write: a batch begins by locking its roots.
#[async_trait]
pub trait Locking: Journal {
    fn lanes(&self) -> Lanes;
    /// The journal as this batch alone sees and changes it, until it has committed or is dropped:
    /// nobody else writes to these roots meanwhile. Its [`Journal::expired_holds`] are those of
    /// these roots.
    async fn enter(&self, roots: &[TenantId]) -> Result<Arc<dyn Journal>>;
}

/// Where the journal of a root begins, once months of it were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Whatever arrived from here on is there.
    pub from: Instant,
    /// When records of this root were dropped for the first time.
    pub since: Instant,
}

impl Beginning {
    /// Whether an event of this instant, which came in at `received_at`, may have come before as
    /// well: when it came, what had arrived at its own time was gone already.
    pub fn may_hide(&self, at: Instant, received_at: Instant) -> bool {
        at < self.from && received_at >= self.since
    }
}

/// Few methods; implemented for SQLite, PostgreSQL and memory.
#[async_trait]
pub trait Journal: Send + Sync + std::fmt::Debug + 'static {
    /// A hash of the identity that nobody outside can choose; made by the callers' tasks, so that a
    /// batch need not hash while others wait.
    fn identity_key(&self, name: Name<'_>) -> u64;
    /// The first record under each identity, in order.
    async fn find(&self, identities: &[Keyed<'_>]) -> Result<Vec<Option<Arc<JournalEntry>>>>;
    /// [`Self::find`] for identities whose keys are not at hand.
    async fn find_each(&self, identities: &[Identity]) -> Result<Vec<Option<Arc<JournalEntry>>>> {
        let keyed: Vec<Keyed<'_>> = identities
            .iter()
            .map(|one| Keyed {
                key: self.identity_key(one.name()),
                name: one.name(),
            })
            .collect();
        self.find(&keyed).await
    }
    /// Who has ever named something of this namespace in the books of these roots (usage or holds;
    /// of others nobody asks).
    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>>;
    async fn load(&self, keys: &StateKeys) -> Result<State>;
    /// Does beforehand what a commit needs no position for. It may run while another batch is
    /// committed; the records must not change afterwards.
    fn pack(&self, _batch: &mut Batch) {}
    /// Durable on return.
    async fn commit(&self, batch: Batch) -> Result<Placed>;
    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>>;
    /// Open holds that are over at `now`, oldest end first, at most `limit`.
    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>>;
    /// Audits the books: the checks of `verify`, with the first differences.
    async fn verify(&self) -> Result<Vec<Check>>;
    /// When the newest batch of these books was committed; of a journal that is locked: of its
    /// roots. No later batch of theirs may be dated before.
    async fn last_committed_at(&self) -> Result<Instant> {
        Ok(Instant::MIN)
    }
    /// `None`: everything of the root is there.
    async fn beginning(&self, _root: TenantId) -> Result<Option<Beginning>> {
        Ok(None)
    }
    /// `None`: nobody else writes, and a batch may be worked out on states that are not yet
    /// durable.
    fn locking(&self) -> Option<&dyn Locking> {
        None
    }
}

/// One line of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `balances`, `zero_sum`, `charges`, `carry`, `holds`, `identities`, `opening_balances`, `hash_chain`,
    /// ….
    pub name: String,
    pub ok: bool,
    pub examined: u64,
    /// The first differences, each naming what differs (a batch, an account).
    pub differences: Vec<String>,
}
