//! A provider that pays commission out, in memory: it keeps keys as the real ones do, and fails as
//! it is told.

use async_trait::async_trait;
use provider::*;
use rating::{Cents, Currency, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// What becomes of the next call that moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is not done, and nobody can know.
    RequestLost,
    /// Definitive.
    Refused,
    /// It is done, and the caller dies waiting.
    Hangs,
    /// It was not asked at all.
    NotSent,
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<Fault>,
    /// By key.
    transfers: BTreeMap<String, Transfer>,
    reversals: BTreeMap<String, Cents>,
    /// What the payees' account has.
    funds: i64,
    enabled: bool,
    payees: BTreeMap<String, Payee>,
    calls: usize,
}

#[derive(Debug, Default)]
pub struct Payer(Mutex<State>);

impl Payer {
    pub fn fails(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.extend(faults);
    }
    pub fn enable(&self, enabled: bool) {
        let mut state = self.0.lock().unwrap();
        state.enabled = enabled;
        state.payees.values_mut().for_each(|payee| {
            (payee.transfers_enabled, payee.payouts_enabled) = (enabled, enabled)
        });
    }
    /// The payee took its money out.
    pub fn empty(&self) {
        self.0.lock().unwrap().funds = 0;
    }
    /// `reference cents` of every transfer there is, `-cents` of what came back.
    pub fn transfers(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let line = |transfer: &Transfer| {
            format!(
                "{}{}",
                transfer.cents,
                if transfer.reversed.0 > 0 {
                    " reversed"
                } else {
                    ""
                }
            )
        };
        state.transfers.values().map(line).collect()
    }
    pub fn payees(&self) -> usize {
        self.0.lock().unwrap().payees.len()
    }
    /// Calls that would move money.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// Once so many calls have come in, and done what they do.
    pub async fn was_called(&self, calls: usize) {
        while self.calls() < calls {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        state.faults.pop_front()
    }
}

fn unknown<T>() -> Result<T> {
    Err(ProviderError::Unknown("the connection broke".to_owned()))
}

async fn told<T>(fault: Option<Fault>, done: impl FnOnce() -> Result<T>) -> Result<T> {
    match fault {
        Some(Fault::Refused) => Err(ProviderError::Refused {
            code: "balance_insufficient".into(),
            detail: "not enough".into(),
        }),
        Some(Fault::NotSent) => Err(ProviderError::NotSent("the circuit is open".to_owned())),
        Some(Fault::RequestLost) => unknown(),
        Some(Fault::AnswerLost) => done().and_then(|_| unknown()),
        Some(Fault::Hangs) => {
            done()?;
            std::future::pending().await
        }
        None => done(),
    }
}

#[async_trait]
impl Provider for Payer {
    fn is_live(&self) -> bool {
        false
    }
    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn create_payee(&self, key: &CallKey, request: &PayeeRequest) -> Result<Payee> {
        let mut state = self.0.lock().unwrap();
        if request.country == "XX" {
            return Err(ProviderError::Refused {
                code: "country_unsupported".into(),
                detail: "XX".into(),
            });
        }
        let (id, enabled) = (format!("acct_{}", request.reference), state.enabled);
        let requirements = if enabled {
            Vec::new()
        } else {
            vec!["external_account".to_owned()]
        };
        let payee = Payee {
            id,
            transfers_enabled: enabled,
            payouts_enabled: enabled,
            requirements,
        };
        Ok(state.payees.entry(key.0.clone()).or_insert(payee).clone())
    }
    async fn payee(&self, id: &str) -> Result<Payee> {
        let state = self.0.lock().unwrap();
        state
            .payees
            .values()
            .find(|payee| payee.id == id)
            .cloned()
            .ok_or(ProviderError::NotFound)
    }
    async fn onboarding_url(
        &self,
        payee: &str,
        _return_url: &str,
        _refresh_url: &str,
    ) -> Result<String> {
        Ok(format!("https://connect.example/{payee}"))
    }

    async fn transfer(&self, key: &CallKey, request: &TransferRequest) -> Result<Transfer> {
        let fault = self.next_fault();
        told(fault, || {
            let mut state = self.0.lock().unwrap();
            if let Some(known) = state.transfers.get(&key.0) {
                assert_eq!(
                    (known.cents, known.reference.as_deref()),
                    (request.cents, Some(&*request.reference)),
                    "another call under a key"
                );
                return Ok(known.clone());
            }
            let id = format!("tr_{}", state.transfers.len() + 1);
            let (reference, cents, currency) = (
                Some(request.reference.clone()),
                request.cents,
                request.currency,
            );
            let transfer = Transfer {
                id,
                reference,
                cents,
                currency,
                reversed: Cents::ZERO,
            };
            state.funds += cents.0;
            state.transfers.insert(key.0.clone(), transfer.clone());
            Ok(transfer)
        })
        .await
    }
    async fn transfer_by_id(&self, id: &str) -> Result<Transfer> {
        let state = self.0.lock().unwrap();
        state
            .transfers
            .values()
            .find(|transfer| transfer.id == id)
            .cloned()
            .ok_or(ProviderError::NotFound)
    }
    async fn reverse_transfer(
        &self,
        key: &CallKey,
        transfer: &str,
        cents: Cents,
        _currency: Currency,
    ) -> Result<Transfer> {
        let fault = self.next_fault();
        told(fault, || {
            let mut state = self.0.lock().unwrap();
            let is_new = !state.reversals.contains_key(&key.0);
            if is_new && state.funds < cents.0 {
                return Err(ProviderError::Refused {
                    code: "insufficient_funds".into(),
                    detail: "the account has no funds".into(),
                });
            }
            if is_new {
                state.funds -= cents.0;
                state.reversals.insert(key.0.clone(), cents);
            }
            let known = state
                .transfers
                .values_mut()
                .find(|known| known.id == transfer)
                .ok_or(ProviderError::NotFound)?;
            known.reversed = if is_new {
                Cents(known.reversed.0 + cents.0)
            } else {
                known.reversed
            };
            Ok(known.clone())
        })
        .await
    }

    async fn moves(
        &self,
        from: Instant,
        _until: Instant,
        after: Option<&str>,
    ) -> Result<Page<BalanceMove>> {
        let state = self.0.lock().unwrap();
        let of = |transfer: &Transfer| BalanceMove {
            id: format!("txn_{}", transfer.id),
            kind: MoveKind::Transfer,
            source: Some(transfer.id.clone()),
            sum: MoveSum::Counted {
                cents: Cents(-transfer.cents.0),
                fee: Cents::ZERO,
                currency: transfer.currency,
            },
            created_at: from,
        };
        // A page for each.
        let skip: usize = after.map_or(0, |after| after.parse().unwrap());
        let data: Vec<BalanceMove> = state
            .transfers
            .values()
            .skip(skip)
            .take(1)
            .map(of)
            .collect();
        let next = (skip + 1 < state.transfers.len()).then(|| (skip + 1).to_string());
        Ok(Page { data, next })
    }

    async fn create_checkout(&self, _key: &CallKey, _request: &CheckoutRequest) -> Result<Session> {
        Err(ProviderError::NotFound)
    }
    async fn session(&self, _id: &str) -> Result<Session> {
        Err(ProviderError::NotFound)
    }
    async fn expire_session(&self, _id: &str) -> Result<Session> {
        Err(ProviderError::NotFound)
    }
    async fn session_of(&self, _payment: &str) -> Result<Option<Session>> {
        Ok(None)
    }
    async fn charge(&self, _key: &CallKey, _request: &ChargeRequest) -> Result<Payment> {
        Err(ProviderError::NotFound)
    }
    async fn payment(&self, _id: &str) -> Result<Payment> {
        Err(ProviderError::NotFound)
    }
    async fn payment_of(&self, _charge: &str) -> Result<Option<String>> {
        Ok(None)
    }
    async fn refund(&self, _key: &CallKey, _request: &RefundRequest) -> Result<Refund> {
        Err(ProviderError::NotFound)
    }
    async fn create_customer(&self, _key: &CallKey, _request: &CustomerRequest) -> Result<String> {
        Err(ProviderError::NotFound)
    }
    fn receive(
        &self,
        _hook: Hook,
        _signature: Option<&str>,
        _body: &[u8],
        _now: Instant,
    ) -> Result<Event, HookError> {
        Err(HookError::Unsigned)
    }
    async fn events(&self, _since: Instant, _after: Option<&str>) -> Result<Page<Event>> {
        Ok(Page {
            data: Vec::new(),
            next: None,
        })
    }
}
