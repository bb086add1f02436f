//! A payment provider in memory: what its pages, payers and banks do is said by the test. It
//! forgets no key and tells what happened as events, which the test delivers as it likes.

use provider::{
    BalanceMove, CallKey, Charge, ChargeRequest, CheckoutRequest, CustomerRequest, Decline,
    Dispute, DisputeStatus, Event, Fee, ForeignPayment, Hook, HookError, MoveKind, MoveSum, Object,
    Page, Payee, PayeeRequest, Payment, PaymentStatus, Provider, ProviderError, Refund,
    RefundRequest, RefundStatus, Result, Session, SessionStatus, Transfer, TransferRequest,
};
use rating::{Cents, Currency, Instant};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// What goes wrong with the next calls that move money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Carried out, and the answer lost.
    Lost,
    /// Not carried out, and nobody knows.
    Down,
    /// Refused for good.
    Refused,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    sessions: BTreeMap<String, Session>,
    payments: BTreeMap<String, Payment>,
    /// Those in a currency that is not ours.
    abroad: BTreeMap<String, ForeignPayment>,
    /// By key: what was asked, and what it made.
    keys: HashMap<String, (String, String)>,
    events: Vec<Event>,
    moves: Vec<BalanceMove>,
    faults: Vec<Fault>,
    refund_fee: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Double(Arc<Mutex<State>>);

impl State {
    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}_{:04}", self.next)
    }
    fn tell(&mut self, kind: &str, object: Object) {
        let id = self.id("evt");
        let created_at = Instant(i64::try_from(self.next).unwrap());
        self.events.push(Event {
            id,
            kind: kind.to_owned(),
            object,
            created_at,
            live: false,
            account: None,
        });
    }
    fn moved(&mut self, kind: MoveKind, source: &str, cents: i64, fee: i64) {
        let (id, created_at) = (self.id("txn"), Instant(i64::try_from(self.next).unwrap()));
        let sum = MoveSum::Counted {
            cents: Cents(cents),
            fee: Cents(fee),
            currency: Currency::EUR,
        };
        self.moves.push(BalanceMove {
            id,
            kind,
            source: Some(source.to_owned()),
            sum,
            created_at,
        });
    }
    /// Carries a call out once for its key.
    fn once(
        &mut self,
        key: &CallKey,
        asked: String,
        work: impl FnOnce(&mut Self) -> Result<String>,
    ) -> Result<String> {
        let fault = self.faults.pop();
        match fault {
            Some(Fault::Down) => return Err(ProviderError::Unknown("down".to_owned())),
            Some(Fault::Refused) => {
                return Err(ProviderError::Refused {
                    code: "no".to_owned(),
                    detail: "no".to_owned(),
                });
            }
            _ => {}
        }
        let made = match self.keys.get(&key.0) {
            Some((before, made)) => {
                assert_eq!(
                    *before, asked,
                    "the key {} came again with other words",
                    key.0
                );
                made.clone()
            }
            None => {
                let made = work(self)?;
                self.keys.insert(key.0.clone(), (asked, made.clone()));
                made
            }
        };
        if fault == Some(Fault::Lost) {
            Err(ProviderError::Unknown("lost".to_owned()))
        } else {
            Ok(made)
        }
    }
    fn charge(&mut self, payment: &str) -> &mut Charge {
        self.payments
            .get_mut(payment)
            .unwrap()
            .charge
            .as_mut()
            .unwrap()
    }
    fn arrive(&mut self, id: &str) {
        let payment = self.payments.get_mut(id).unwrap();
        (payment.status, payment.received) = (PaymentStatus::Succeeded, payment.cents);
        let (cents, fee) = (
            payment.cents,
            Fee {
                cents: Cents(payment.cents.0 / 50),
                currency: Currency::EUR,
            },
        );
        let (refunds, disputes) = (Vec::new(), Vec::new());
        payment.charge = Some(Charge {
            id: format!("ch_{id}"),
            cents,
            fees: vec![fee],
            is_fraud: false,
            refunds,
            disputes,
        });
        self.moved(MoveKind::Charge, &format!("ch_{id}"), cents.0, fee.cents.0);
        self.tell("charge.succeeded", Object::OfPayment(id.to_owned()));
        self.tell("payment_intent.succeeded", Object::Payment(id.to_owned()));
    }
}

impl Double {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
    /// The next calls that move money go wrong like this, the first first.
    pub fn faults(&self, faults: &[Fault]) {
        self.state().faults = faults.iter().rev().copied().collect();
    }
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }
    pub fn sessions(&self) -> usize {
        self.state().sessions.len()
    }
    /// What the provider holds for us.
    pub fn balance(&self) -> i64 {
        let net = |one: &BalanceMove| match &one.sum {
            MoveSum::Counted { cents, fee, .. } => cents.0 - fee.0,
            MoveSum::Uncounted { .. } => 0,
        };
        self.state().moves.iter().map(net).sum()
    }

    /// The payer is done with the page: the money is there (card) or on its way (SEPA). The
    /// payment's id.
    pub fn pay(&self, session: &str, by_card: bool) -> String {
        let mut state = self.state();
        let id = state.id("pi");
        let session_now = state.sessions.get_mut(session).unwrap();
        assert_eq!(session_now.status, SessionStatus::Open);
        (session_now.status, session_now.payment, session_now.url) =
            (SessionStatus::Complete, Some(id.clone()), None);
        let (cents, reference) = (session_now.cents, session_now.reference.clone());
        let payment = blank(&id, cents, reference);
        state.payments.insert(id.clone(), payment);
        if by_card {
            state.arrive(&id);
        }
        state.tell(
            "checkout.session.completed",
            Object::Session(session.to_owned()),
        );
        id
    }
    /// What became of a payment on its way.
    pub fn settle(&self, session: &str, well: bool) {
        let mut state = self.state();
        let id = state.sessions[session].payment.clone().unwrap();
        if well {
            state.arrive(&id);
            state.tell(
                "checkout.session.async_payment_succeeded",
                Object::Session(session.to_owned()),
            );
        } else {
            let payment = state.payments.get_mut(&id).unwrap();
            payment.status = PaymentStatus::Open;
            payment.failure = Some(Decline {
                code: "insufficient_funds".to_owned(),
                reason: None,
                is_hard: false,
                needs_payer: false,
            });
            state.tell("payment_intent.payment_failed", Object::Payment(id));
            state.tell(
                "checkout.session.async_payment_failed",
                Object::Session(session.to_owned()),
            );
        }
    }
    pub fn expire(&self, session: &str) {
        let mut state = self.state();
        state.sessions.get_mut(session).unwrap().status = SessionStatus::Expired;
        state.tell(
            "checkout.session.expired",
            Object::Session(session.to_owned()),
        );
    }
    /// What is taken for each refund from now on.
    pub fn refund_fee(&self, cents: i64) {
        self.state().refund_fee = cents;
    }
    /// The payer's holder told its bank that it was fraud.
    pub fn report_fraud(&self, payment: &str) {
        let mut state = self.state();
        state.charge(payment).is_fraud = true;
        state.tell(
            "radar.early_fraud_warning.created",
            Object::FraudOf(payment.to_owned()),
        );
    }
    /// A payment that names this top-up, in a currency that is not ours.
    pub fn stray_abroad(&self, reference: &str, amount: i64) -> String {
        let mut state = self.state();
        let id = state.id("pi");
        let (reference, currency) = (Some(reference.to_owned()), "usdc".to_owned());
        state.abroad.insert(
            id.clone(),
            ForeignPayment {
                id: id.clone(),
                reference,
                currency,
                amount,
                live: false,
            },
        );
        state.tell("payment_intent.succeeded", Object::Payment(id.clone()));
        id
    }
    /// Somebody gives back on the provider's own pages.
    pub fn refund_there(&self, payment: &str, cents: i64) -> String {
        self.refunded(payment, cents, None)
    }
    fn refunded(&self, payment: &str, cents: i64, reference: Option<String>) -> String {
        let mut state = self.state();
        state.refunded(payment, cents, reference)
    }
    pub fn fail_refund(&self, payment: &str, refund: &str) {
        let mut state = self.state();
        let found = state
            .charge(payment)
            .refunds
            .iter_mut()
            .find(|one| one.id == refund)
            .unwrap();
        found.status = RefundStatus::Failed;
        let cents = found.cents.0;
        state.moved(MoveKind::Refund, refund, cents, 0);
        state.tell("refund.failed", Object::OfPayment(payment.to_owned()));
    }
    /// The payer's bank disputes; `withdrawn`: it takes the money at once.
    pub fn dispute(&self, payment: &str, cents: i64, status: DisputeStatus) -> String {
        let mut state = self.state();
        let id = state.id("dp");
        let dispute = Dispute {
            id: id.clone(),
            cents: Cents(cents),
            status,
            withdrawn: Cents::ZERO,
            fee: Cents::ZERO,
        };
        state.charge(payment).disputes.push(dispute);
        state.tell(
            "charge.dispute.created",
            Object::OfPayment(payment.to_owned()),
        );
        id
    }
    pub fn withdraw(&self, payment: &str, dispute: &str) {
        let mut state = self.state();
        let found = state
            .charge(payment)
            .disputes
            .iter_mut()
            .find(|one| one.id == dispute)
            .unwrap();
        (found.withdrawn, found.fee) = (found.cents, Cents(2000));
        let cents = found.cents.0;
        state.moved(MoveKind::Dispute, dispute, -cents, 2000);
        state.tell(
            "charge.dispute.funds_withdrawn",
            Object::OfPayment(payment.to_owned()),
        );
    }
    pub fn close(&self, payment: &str, dispute: &str, won: bool) {
        let mut state = self.state();
        let found = state
            .charge(payment)
            .disputes
            .iter_mut()
            .find(|one| one.id == dispute)
            .unwrap();
        found.status = if won {
            DisputeStatus::Won
        } else {
            DisputeStatus::Lost
        };
        let back = if won {
            std::mem::take(&mut found.withdrawn).0
        } else {
            0
        };
        state.tell(
            "charge.dispute.closed",
            Object::OfPayment(payment.to_owned()),
        );
        if back > 0 {
            state.moved(MoveKind::Dispute, dispute, back, 0);
            state.tell(
                "charge.dispute.funds_reinstated",
                Object::OfPayment(payment.to_owned()),
            );
        }
    }
    /// A payment that says it is of this top-up, for another amount.
    pub fn stray(&self, reference: &str, cents: i64) -> String {
        let mut state = self.state();
        let id = state.id("pi");
        state.payments.insert(
            id.clone(),
            blank(&id, Cents(cents), Some(reference.to_owned())),
        );
        let session = state.id("cs");
        let page = Session {
            id: session.clone(),
            status: SessionStatus::Complete,
            payment: Some(id.clone()),
            ..page_of(&session, reference, cents)
        };
        state.sessions.insert(session, page);
        state.arrive(&id);
        id
    }
}

fn page_of(id: &str, reference: &str, cents: i64) -> Session {
    Session {
        id: id.to_owned(),
        reference: Some(reference.to_owned()),
        url: Some(format!("https://pay.example/{id}")),
        status: SessionStatus::Open,
        payment: None,
        cents: Cents(cents),
        currency: Some(Currency::EUR),
        customer: None,
        expires_at: Instant::MAX,
        live: false,
    }
}

fn blank(id: &str, cents: Cents, reference: Option<String>) -> Payment {
    Payment {
        id: id.to_owned(),
        reference,
        cents,
        received: Cents::ZERO,
        currency: Currency::EUR,
        status: PaymentStatus::Processing,
        customer: None,
        method: None,
        failure: None,
        charge: None,
        live: false,
    }
}

impl State {
    fn refunded(&mut self, payment: &str, cents: i64, reference: Option<String>) -> String {
        let id = self.id("re");
        let refund = Refund {
            id: id.clone(),
            reference,
            cents: Cents(cents),
            status: RefundStatus::Succeeded,
        };
        let fee = self.refund_fee;
        self.charge(payment).refunds.push(refund);
        self.charge(payment).fees.push(Fee {
            cents: Cents(fee),
            currency: Currency::EUR,
        });
        self.moved(MoveKind::Refund, &id, -cents, fee);
        self.tell("refund.created", Object::OfPayment(payment.to_owned()));
        self.tell("charge.refunded", Object::OfPayment(payment.to_owned()));
        id
    }
}

#[async_trait::async_trait]
impl Provider for Double {
    fn is_live(&self) -> bool {
        false
    }
    async fn ping(&self) -> Result<()> {
        Ok(())
    }
    async fn create_checkout(&self, key: &CallKey, request: &CheckoutRequest) -> Result<Session> {
        let mut state = self.state();
        let made = state.once(key, format!("{request:?}"), |state| {
            let id = state.id("cs");
            let page = Session {
                expires_at: request.expires_at,
                ..page_of(&id, &request.reference, request.cents.0)
            };
            state.sessions.insert(id.clone(), page);
            Ok(id)
        })?;
        Ok(state.sessions[&made].clone())
    }
    async fn session(&self, id: &str) -> Result<Session> {
        self.state()
            .sessions
            .get(id)
            .cloned()
            .ok_or(ProviderError::NotFound)
    }
    async fn expire_session(&self, id: &str) -> Result<Session> {
        self.expire(id);
        self.session(id).await
    }
    async fn session_of(&self, payment: &str) -> Result<Option<Session>> {
        Ok(self
            .state()
            .sessions
            .values()
            .find(|session| session.payment.as_deref() == Some(payment))
            .cloned())
    }
    async fn charge(&self, _: &CallKey, _: &ChargeRequest) -> Result<Payment> {
        Err(ProviderError::NotSent("not of these tests".to_owned()))
    }
    async fn payment(&self, id: &str) -> Result<Payment> {
        // Others get a turn between the row and this.
        tokio::task::yield_now().await;
        let state = self.state();
        if let Some(foreign) = state.abroad.get(id) {
            return Err(ProviderError::Uncountable(Box::new(foreign.clone())));
        }
        state
            .payments
            .get(id)
            .cloned()
            .ok_or(ProviderError::NotFound)
    }
    async fn payment_of(&self, charge: &str) -> Result<Option<String>> {
        Ok(charge.strip_prefix("ch_").map(str::to_owned))
    }
    async fn refund(&self, key: &CallKey, request: &RefundRequest) -> Result<Refund> {
        let mut state = self.state();
        let made = state.once(key, format!("{request:?}"), |state| {
            let charge = state.charge(&request.payment);
            let given: i64 = charge
                .refunds
                .iter()
                .filter(|one| one.status.counts())
                .map(|one| one.cents.0)
                .sum();
            if request.cents.0 > charge.cents.0 - given {
                return Err(ProviderError::Refused {
                    code: "charge_already_refunded".to_owned(),
                    detail: "too much".to_owned(),
                });
            }
            Ok(state.refunded(
                &request.payment,
                request.cents.0,
                Some(request.reference.clone()),
            ))
        })?;
        Ok(state
            .charge(&request.payment)
            .refunds
            .iter()
            .find(|one| one.id == made)
            .unwrap()
            .clone())
    }
    async fn create_customer(&self, _: &CallKey, _: &CustomerRequest) -> Result<String> {
        Err(ProviderError::NotSent("not of these tests".to_owned()))
    }
    async fn create_payee(&self, _: &CallKey, _: &PayeeRequest) -> Result<Payee> {
        Err(ProviderError::NotSent("not of these tests".to_owned()))
    }
    async fn payee(&self, _: &str) -> Result<Payee> {
        Err(ProviderError::NotFound)
    }
    async fn onboarding_url(&self, _: &str, _: &str, _: &str) -> Result<String> {
        Err(ProviderError::NotFound)
    }
    async fn transfer(&self, _: &CallKey, _: &TransferRequest) -> Result<Transfer> {
        Err(ProviderError::NotSent("not of these tests".to_owned()))
    }
    async fn transfer_by_id(&self, _: &str) -> Result<Transfer> {
        Err(ProviderError::NotFound)
    }
    async fn reverse_transfer(
        &self,
        _: &CallKey,
        _: &str,
        _: Cents,
        _: Currency,
    ) -> Result<Transfer> {
        Err(ProviderError::NotFound)
    }
    fn receive(&self, _: Hook, _: Option<&str>, _: &[u8], _: Instant) -> Result<Event, HookError> {
        Err(HookError::Unsigned)
    }
    async fn events(&self, _: Instant, after: Option<&str>) -> Result<Page<Event>> {
        let state = self.state();
        let newest: Vec<_> = state.events.iter().rev().cloned().collect();
        let from = after.map_or(0, |after| {
            newest.iter().position(|event| event.id == after).unwrap() + 1
        });
        let data: Vec<_> = newest[from..].iter().take(3).cloned().collect();
        let next = data
            .last()
            .filter(|_| from + 3 < newest.len())
            .map(|event| event.id.clone());
        Ok(Page { data, next })
    }
    async fn moves(&self, _: Instant, _: Instant, _: Option<&str>) -> Result<Page<BalanceMove>> {
        Ok(Page {
            data: self.state().moves.clone(),
            next: None,
        })
    }
}
