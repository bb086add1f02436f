//! The smallest engine there can be: makes batches whose books are right, for tests and benches.
//!
//! Chain: customer → its root (a reseller, 25 % commission) → platform 1. Names no crate by
//! `crate::`, so that benches include this file as it is.

use journal::{
    Batch, Charge, ChargePricing, CounterKey, EntryPayload, Identity, JournalEntry, Kind,
    Namespace, Personal, Seq, State, hash,
};
use ledger::{AccountKey, Balance, Hold, HoldState, LinkCharge, Posting, Settlement};
use rating::usage::{Counter, CounterId};
use rating::{
    AgreementId, CardVersionId, Carry, Cents, Currency, Exact, Instant, Quantity, TenantId,
    ids::HoldId, rounding,
};
use smallvec::{SmallVec, smallvec};

pub const PLATFORM: TenantId = TenantId(1);

#[derive(Debug, Clone, Default)]
pub struct TestLedger {
    pub books: State,
    batch: Batch,
    now: i64,
}

pub fn identity(root: TenantId, namespace: Namespace, id: &str) -> Identity {
    Identity {
        root,
        reporter: None,
        namespace,
        source: "pbx-1".into(),
        id: id.into(),
    }
}

impl TestLedger {
    /// Everything since the last call, as one batch.
    pub fn ring_up(&mut self) -> Batch {
        self.now += 1_000_000;
        let mut batch = std::mem::take(&mut self.batch);
        batch.committed_at = Instant(self.now);
        batch
    }

    /// One call of a customer: `exact` at retail; counted for the customer's link.
    pub fn sale(&mut self, root: TenantId, customer: TenantId, id: &str, exact: Exact) -> usize {
        let wholesale = Exact(exact.0 * 3 / 4);
        let charges: Vec<Charge> = vec![
            self.charge(customer, customer, root, exact, true),
            self.charge(customer, root, PLATFORM, wholesale, false),
        ];
        self.post_charges(root, &charges);
        let body = EntryPayload {
            currency: Some(Currency::EUR),
            meter: "call".into(),
            quantity: Quantity::whole(600),
            charges,
            ..EntryPayload::default()
        };
        self.push(
            Kind::Rated,
            customer,
            identity(root, Namespace::Usage, id),
            body,
        )
    }

    /// Usage that cannot be priced.
    pub fn unrated(&mut self, root: TenantId, customer: TenantId, id: &str) -> usize {
        let body = EntryPayload {
            meter: "call".into(),
            quantity: Quantity::whole(1),
            reason: "no_rate".into(),
            ..EntryPayload::default()
        };
        let index = self.push(
            Kind::Unrated,
            customer,
            identity(root, Namespace::Usage, id),
            body,
        );
        self.batch.unrated.push(index);
        index
    }

    /// Prices a kept event.
    pub fn rate_later(&mut self, root: TenantId, customer: TenantId, kept: Seq, exact: Exact) {
        let index = self.sale(root, customer, "later", exact);
        let record = &mut self.batch.records[index];
        (
            record.kind,
            record.identity.namespace,
            record.body.refers_to,
        ) = (Kind::RatedLater, Namespace::Engine, Some(kept));
        self.batch.amendments.push((kept, Kind::RatedLater, index));
        self.batch.settled.push(kept);
    }

    pub fn top_up(&mut self, root: TenantId, customer: TenantId, id: &str, cents: i64) {
        let posting = Posting {
            from: AccountKey::external(root, Currency::EUR),
            to: AccountKey::balance(customer, Currency::EUR),
            cents: Cents(cents),
        };
        self.post(&posting);
        let body = EntryPayload {
            currency: Some(Currency::EUR),
            postings: vec![posting],
            ..EntryPayload::default()
        };
        self.push(
            Kind::TopUp,
            customer,
            identity(root, Namespace::Money, id),
            body,
        );
    }

    pub fn hold(
        &mut self,
        root: TenantId,
        customer: TenantId,
        id: HoldId,
        cents: i64,
        until: Instant,
    ) {
        let account = AccountKey::balance(customer, Currency::EUR);
        let (placed_at, key) = (self.arrival(), id.to_string());
        let hold = Hold::new(
            id,
            root,
            customer,
            placed_at,
            until,
            smallvec![(account, Cents(cents))],
        )
        .named("pbx-1", &key);
        self.change_held(account, cents);
        self.push_hold(
            Kind::HoldPlaced,
            identity(root, Namespace::Hold, &key),
            hold.of(Quantity::whole(cents)),
        );
    }

    /// The hold's new total.
    pub fn extend(&mut self, id: HoldId, cents: i64, until: Instant) {
        let mut hold = self.books.holds[&id].clone();
        let account = AccountKey::balance(hold.customer, Currency::EUR);
        self.give_back(&hold);
        self.change_held(account, cents);
        (hold.amounts, hold.expires_at) = (smallvec![(account, Cents(cents))], until);
        self.push_hold(
            Kind::HoldExtended,
            identity(hold.root, Namespace::HoldStep, "more"),
            hold.of(Quantity::whole(cents)),
        );
    }

    pub fn release(&mut self, id: HoldId) {
        self.end_hold(
            id,
            Kind::HoldReleased,
            Namespace::HoldStep,
            HoldState::Released,
        );
    }

    pub fn expire(&mut self, id: HoldId) {
        self.end_hold(id, Kind::HoldExpired, Namespace::Engine, HoldState::Expired);
    }

    /// A call of a hold.
    pub fn capture(&mut self, id: HoldId, exact: Exact) {
        let hold = self.books.holds[&id].clone();
        let index = self.sale(hold.root, hold.customer, &id.to_string(), exact);
        self.batch.records[index].body.hold = Some(id);
        self.give_back(&hold);
        self.set_hold(Hold {
            state: HoldState::Captured,
            ..hold
        });
    }

    fn end_hold(&mut self, id: HoldId, kind: Kind, namespace: Namespace, state: HoldState) {
        let hold = self.books.holds[&id].clone();
        self.give_back(&hold);
        self.push_hold(
            kind,
            identity(hold.root, namespace, &id.to_string()),
            Hold { state, ..hold },
        );
    }

    fn give_back(&mut self, hold: &Hold) {
        hold.amounts
            .iter()
            .for_each(|&(account, cents)| self.change_held(account, -cents.0));
    }

    fn push_hold(&mut self, kind: Kind, identity: Identity, hold: Hold) {
        let total = matches!(kind, Kind::HoldPlaced | Kind::HoldExtended);
        let body = EntryPayload {
            currency: Some(Currency::EUR),
            quantity: if total { hold.quantity } else { Quantity::ZERO },
            hold: Some(hold.id),
            held: hold.amounts.iter().copied().collect(),
            expires_at: total.then_some(hold.expires_at),
            ..EntryPayload::default()
        };
        self.push(kind, hold.customer, identity, body);
        self.set_hold(hold);
    }

    fn set_hold(&mut self, hold: Hold) {
        self.books.holds.insert(hold.id, hold.clone());
        self.batch.state.holds.insert(hold.id, hold);
    }

    fn charge(
        &mut self,
        customer: TenantId,
        buyer: TenantId,
        seller: TenantId,
        exact: Exact,
        counted: bool,
    ) -> Charge {
        let carries = self.books.carries.entry(customer).or_default();
        let at = carries
            .iter()
            .position(|(of, _)| *of == buyer)
            .unwrap_or(carries.len());
        if at == carries.len() {
            carries.push((buyer, Carry::ZERO));
        }
        let (cents, carry) = rounding::post(carries[at].1, exact).unwrap();
        carries[at].1 = carry;
        let carries = carries.clone();
        self.batch.state.carries.insert(customer, carries);
        let id = CounterId {
            rate_key: 77,
            month: 24_322,
        };
        let key = CounterKey { buyer, id };
        let before = if counted {
            self.books
                .counters
                .get(&key)
                .copied()
                .unwrap_or_default()
                .counter
        } else {
            Counter::default()
        };
        let more = Counter {
            quantity: Quantity::whole(600),
            events: 1,
        };
        let after = if counted {
            before.checked_add(more).unwrap()
        } else {
            before
        };
        let charge = Charge {
            link: LinkCharge {
                buyer,
                seller,
                settlement: Settlement::Platform,
                cents,
            },
            agreement: AgreementId(buyer.0 + 1),
            pricing: ChargePricing::Card {
                version: CardVersionId(9_000_000_001),
                rate: 17,
                prefix_len: 4,
                pieces: SmallVec::new(),
            },
            billed: Quantity::whole(600),
            counter: counted.then_some(id),
            before,
            after,
            exact,
            local: Exact::ZERO,
            carry,
        };
        if counted {
            let counted = self.books.counters.entry(key).or_default();
            counted.follow(&charge, None, false);
            self.batch.state.counters.insert(key, *counted);
        }
        charge
    }

    fn post_charges(&mut self, root: TenantId, charges: &[Charge]) {
        let links: SmallVec<[LinkCharge; 3]> = charges.iter().map(|charge| charge.link).collect();
        for posting in ledger::postings_of(root, PLATFORM, Currency::EUR, &links).unwrap() {
            self.post(&posting);
        }
    }

    fn post(&mut self, posting: &Posting) {
        self.change(posting.from, |balance| balance.posted.0 -= posting.cents.0);
        self.change(posting.to, |balance| balance.posted.0 += posting.cents.0);
    }

    fn change_held(&mut self, account: AccountKey, cents: i64) {
        self.change(account, |balance| balance.held.0 += cents);
    }

    fn change(&mut self, account: AccountKey, change: impl FnOnce(&mut Balance)) {
        let balance = self.books.accounts.entry(account).or_default();
        change(balance);
        self.batch.state.accounts.insert(account, *balance);
    }

    /// When what comes now is received.
    const fn arrival(&self) -> Instant {
        Instant(self.now + 5)
    }

    fn push(
        &mut self,
        kind: Kind,
        tenant: TenantId,
        identity: Identity,
        body: EntryPayload,
    ) -> usize {
        let personal = Personal {
            destination: Some("4930123456".into()),
            ..Personal::default()
        };
        let key = [7; 32];
        let (at, received_at) = (Instant(self.now), self.arrival());
        self.batch.records.push(JournalEntry {
            seq: Seq(0),
            kind,
            tenant,
            content: hash::content_digest(&key, &[identity.id.as_bytes()]),
            identity,
            at,
            received_at,
            body,
            personal_digest: hash::personal_digest(&key, &personal),
            personal: Some(personal),
        });
        self.batch.records.len() - 1
    }
}
