//! The server on 127.0.0.1, and what a test can do to it.

use crate::hooks::{Delivery, Message, public};
use crate::params::{self, Params};
use crate::refusal::{Answer, Refusal};
use crate::state::{Behaviour, Fault, Seen, State};
use crate::{acts, routes};
use anyhow::Context as _;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Shared = Arc<Mutex<State>>;

/// Stops when it is dropped.
#[derive(Debug)]
pub struct FakeStripe {
    address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeStripe {
    /// # Errors
    /// No port of 127.0.0.1 can be listened on.
    pub async fn start(now_secs: i64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Shared::new(Mutex::new(State::at(now_secs)));
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.shared)
    }

    pub fn set_now(&self, secs: i64) {
        self.state().now = secs;
    }

    /// The next `times` requests to paths that begin so (`/refunds`) meet this fault.
    pub fn fault(&self, path: &str, fault: Fault, times: u32) {
        self.state().faults.push((path.to_owned(), fault, times));
    }

    /// Requests so far to paths that begin so, by this method.
    pub fn seen(&self, method: &str, path: &str) -> Vec<Seen> {
        self.state()
            .log
            .iter()
            .filter(|seen| seen.method == method && seen.path.starts_with(path))
            .cloned()
            .collect()
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// There is none.
    pub fn object(&self, id: &str) -> anyhow::Result<Value> {
        told(self.state().get(id))
    }

    /// All objects of a kind (`payment_intent`), newest first.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.state().all(kind, |_| true)
    }

    /// What the moves of the balance come to.
    pub fn balance(&self, currency: &str) -> i64 {
        self.state().balance(currency)
    }

    // --- The payer

    /// Pays on an open page; the payment. With [`Behaviour::Sepa`] it is processing until it is
    /// settled.
    ///
    /// # Errors
    /// The page is over.
    pub fn pay(&self, session: &str, behaviour: &Behaviour) -> anyhow::Result<String> {
        told(acts::pay(&mut self.state(), session, behaviour))
    }

    /// Pays on an open page another amount, in this currency (`usdc`), as Stripe counts; the
    /// payment.
    ///
    /// # Errors
    /// There is no such page.
    pub fn pay_as(&self, session: &str, amount: i64, currency: &str) -> anyhow::Result<String> {
        told(acts::pay_as(&mut self.state(), session, amount, currency))
    }

    /// Payments in other currencies are converted to this one, two for one; the fee is taken in it.
    pub fn settles_in(&self, currency: &str) {
        self.state().settles_in = Some(currency.to_owned());
    }

    /// Tries to pay on an open page, in vain; the payment.
    ///
    /// # Errors
    /// There is no such page.
    pub fn try_to_pay(&self, session: &str) -> anyhow::Result<String> {
        let mut state = self.state();
        let id = told(acts::intent_of(&mut state, session))?;
        state.set(session, json!({"payment_intent": id}));
        acts::decline(&mut state, &id, "card_declined", "insufficient_funds");
        Ok(id)
    }

    /// Lets the page run out of time.
    ///
    /// # Errors
    /// The page is over already.
    pub fn expire(&self, session: &str) -> anyhow::Result<()> {
        told(acts::expire(&mut self.state(), session)).map(|_| ())
    }

    // --- The bank

    /// A direct debit arrives, or does not.
    pub fn settle(&self, payment: &str, ok: bool) {
        acts::settle(&mut self.state(), payment, ok);
    }

    /// Opens a dispute over a payment, or over a part of it; `warning_needs_response` only asks.
    /// The dispute.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn dispute(
        &self,
        payment: &str,
        cents: Option<i64>,
        status: &str,
    ) -> anyhow::Result<String> {
        told(acts::dispute(&mut self.state(), payment, cents, status))
    }

    /// An inquiry becomes serious.
    ///
    /// # Errors
    /// There is no such dispute.
    pub fn withdraw(&self, dispute: &str) -> anyhow::Result<()> {
        told(acts::withdraw(&mut self.state(), dispute, 2000))
    }

    /// Closes a dispute: `won`, `lost`, `warning_closed`.
    ///
    /// # Errors
    /// There is no such dispute.
    pub fn close_dispute(&self, dispute: &str, status: &str) -> anyhow::Result<()> {
        told(acts::close(&mut self.state(), dispute, status))
    }

    // --- Refunds

    /// New refunds wait (`pending`) until [`FakeStripe::end_refund`].
    pub fn refunds_wait(&self, wait: bool) {
        self.state().refunds_wait = wait;
    }

    /// What Stripe takes for each refund from now on.
    pub fn refund_fee(&self, cents: i64) {
        self.state().refund_fee = cents;
    }

    /// Refunds at Stripe's own pages; the refund.
    ///
    /// # Errors
    /// There is not that much left of the payment.
    pub fn refund(&self, payment: &str, cents: i64) -> anyhow::Result<String> {
        let mut state = self.state();
        let charge = told(state.get(payment))?["latest_charge"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let refund = told(acts::refund(&mut state, &charge, Some(cents), &json!({})))?;
        Ok(refund["id"].as_str().unwrap_or_default().to_owned())
    }

    /// A refund `succeeded`, `failed` or was `canceled`.
    ///
    /// # Errors
    /// There is no such refund.
    pub fn end_refund(&self, refund: &str, status: &str) -> anyhow::Result<()> {
        told(acts::end_refund(&mut self.state(), refund, status))
    }

    // --- What is done on Stripe's own pages

    /// The holder of the card told its bank that a payment was not theirs; nothing is disputed yet.
    /// The warning.
    ///
    /// # Errors
    /// There is no such payment.
    pub fn warn_of_fraud(&self, payment: &str) -> anyhow::Result<String> {
        let mut state = self.state();
        let charge = told(state.get(payment))?["latest_charge"].clone();
        let fields = json!({"object": "radar.early_fraud_warning", "charge": charge, "payment_intent": payment, "fraud_type": "unauthorized_use_of_card", "actionable": true, "livemode": false});
        let id = state.make("radar.early_fraud_warning", fields);
        let warning = told(state.get(&id))?;
        state.emit("radar.early_fraud_warning.created", &warning, None);
        Ok(id)
    }

    /// A transfer that we did not ask for; its id.
    ///
    /// # Errors
    /// Stripe refuses it.
    pub fn transfer_there(&self, cents: i64, currency: &str) -> anyhow::Result<String> {
        let transfer = told(acts::transfer(
            &mut self.state(),
            cents,
            currency,
            "acct_1",
            &json!({}),
        ))?;
        Ok(transfer["id"].as_str().unwrap_or_default().to_owned())
    }

    /// A transfer is taken back, all of it or a part.
    ///
    /// # Errors
    /// There is not that much left of it.
    pub fn reverse_there(&self, transfer: &str, cents: Option<i64>) -> anyhow::Result<()> {
        told(acts::reverse(&mut self.state(), transfer, cents)).map(|_| ())
    }

    /// A move of the balance that belongs to nothing, as Stripe counts; its id.
    pub fn adjust(&self, amount: i64, fee: i64, currency: &str) -> String {
        let mut state = self.state();
        let id = state.entry("adjustment", amount, currency, "", fee);
        state.set(&id, json!({"source": null}));
        id
    }

    // --- Methods, customers, accounts

    /// A method that is kept with a customer, without a page.
    pub fn saved_method(&self, customer: &str, behaviour: Behaviour) -> String {
        let mut state = self.state();
        let method = state.make(
            "payment_method",
            json!({"type": "card", "customer": customer}),
        );
        state.behaviours.insert(method.clone(), behaviour);
        method
    }

    pub fn behave(&self, method: &str, behaviour: Behaviour) {
        self.state().behaviours.insert(method.to_owned(), behaviour);
    }

    /// # Errors
    /// There is no such method.
    pub fn detach(&self, method: &str) -> anyhow::Result<()> {
        told(acts::detach(&mut self.state(), method)).map(|_| ())
    }

    /// The payer's bank takes back the mandate under which a method is debited.
    pub fn end_mandate(&self, method: &str) {
        let mut state = self.state();
        let id = state.make(
            "mandate",
            json!({"payment_method": method, "status": "inactive"}),
        );
        let mandate = state.get(&id).unwrap_or_default();
        state.emit("mandate.updated", &mandate, None);
    }

    /// # Errors
    /// There is no such customer.
    pub fn delete_customer(&self, customer: &str) -> anyhow::Result<()> {
        let mut state = self.state();
        let deleted = told(state.get(customer))?;
        state.set(customer, json!({"object": "deleted_customer"}));
        state.emit("customer.deleted", &deleted, None);
        Ok(())
    }

    /// Changes an account that commissions are paid to: `{"capabilities": {"transfers": "active"},
    /// "payouts_enabled": true}`.
    pub fn account(&self, id: &str, fields: Value) {
        let mut state = self.state();
        let account = state.set(id, fields);
        state.emit("account.updated", &account, Some(id));
    }

    /// Money of the account that is nobody's top-up: a payment without a page of ours.
    pub fn foreign_payment(&self, cents: i64, currency: &str) -> String {
        let mut state = self.state();
        let id = acts::new_intent(&mut state, cents, currency, &json!({}));
        acts::succeed(&mut state, &id, "card");
        id
    }

    /// From the balance there to our bank.
    pub fn pay_out(&self, cents: i64, currency: &str) {
        let mut state = self.state();
        let id = state.make(
            "payout",
            json!({"object": "payout", "amount": cents, "currency": currency}),
        );
        state.entry("payout", -cents, currency, &id, 0);
    }

    // --- Events

    /// Any event, about any object.
    pub fn emit(&self, kind: &str, object: &Value, account: Option<&str>) {
        self.state().emit(kind, object, account);
    }

    /// An event of the second form, which has nothing of its object.
    pub fn emit_thin(&self, kind: &str) -> String {
        self.state().emit_thin(kind)
    }

    /// Kinds of the events that wait.
    pub fn waiting(&self) -> Vec<String> {
        let state = self.state();
        state
            .queue
            .iter()
            .filter_map(|id| state.get(id).ok()?["type"].as_str().map(str::to_owned))
            .collect()
    }

    /// Those that wait are never delivered; they are still in the list of events.
    pub fn drop_waiting(&self) {
        self.state().queue.clear();
    }

    /// What waits, as messages to send.
    pub fn messages(&self, delivery: &Delivery) -> Vec<Message> {
        delivery.messages(&mut self.state())
    }
}

fn told<T>(answer: Answer<T>) -> anyhow::Result<T> {
    answer.map_err(|refusal| anyhow::anyhow!("{}", refusal.body))
}

fn locked(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| answer(shared.clone(), request));
        // A fault ends the connection with an error: that is its purpose.
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// # Errors
/// The answer is to be lost: the connection is closed.
async fn answer(
    shared: Shared,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let sent = if head.method == "POST" {
        &body[..]
    } else {
        query.as_bytes()
    };
    let (fault, outcome) = {
        let mut state = locked(&shared);
        let fault = state.fault(path.trim_start_matches("/v1"));
        (
            fault,
            take(
                &mut state,
                head.method.as_str(),
                path,
                sent,
                &head.headers,
                fault,
            ),
        )
    };
    match fault {
        Some(Fault::Lost) => anyhow::bail!("lost"),
        Some(Fault::Timeout) => std::future::pending().await,
        Some(Fault::Garbage) => response(200, "{\"object\": \"garb".into()),
        Some(Fault::Status(_)) | None => response(
            outcome.0,
            serde_json::to_string_pretty(&public(&outcome.1))?,
        ),
    }
}

fn response(status: u16, body: String) -> anyhow::Result<Response<Full<Bytes>>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body.into())
        .context("a response")
}

/// Status and answer of a request.
fn take(
    state: &mut State,
    method: &str,
    path: &str,
    sent: &[u8],
    headers: &HeaderMap,
    fault: Option<Fault>,
) -> (u16, Value) {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    let key = header("idempotency-key").filter(|_| method == "POST");
    let read = params::of(method, &parts)
        .ok_or_else(|| Refusal::missing(path))
        .and_then(|spec| params::read(sent, &spec));
    let shown = read.as_ref().map_or(Value::Null, |params| params.0.clone());
    let bare = path.trim_start_matches("/v1").to_owned();
    let seen = Seen {
        method: method.to_owned(),
        path: bare,
        key: key.clone(),
        version: header("stripe-version"),
        params: shown,
    };
    state.log.push(seen);
    if !header("authorization").is_some_and(|value| value.starts_with("Bearer sk_test_")) {
        let refusal = Refusal::new(
            401,
            "invalid_request_error",
            None,
            "Invalid API Key provided",
        );
        return (refusal.status, refusal.body);
    }
    if let Some(Fault::Status(status)) = fault {
        return (
            status,
            Refusal::new(status, "api_error", None, "injected").body,
        );
    }
    let print = format!("{method} {path} {}", String::from_utf8_lossy(sent));
    if let Some((known, status, body)) = key.as_ref().and_then(|key| state.answered.get(key)) {
        let mismatch = Refusal::new(
            400,
            "idempotency_error",
            None,
            "Keys can only be used with the same parameters they were first used with.",
        );
        return if *known == print {
            (*status, body.clone())
        } else {
            (mismatch.status, mismatch.body)
        };
    }
    let (status, body) =
        match read.and_then(|params: Params| routes::route(state, method, &parts, &params)) {
            Ok(body) => (200, body),
            Err(refusal) => (refusal.status, refusal.body),
        };
    // Stripe keeps what a request came to once it has begun to carry it out.
    if let Some(key) = key.filter(|_| matches!(status, 200 | 402)) {
        state.answered.insert(key, (print, status, body.clone()));
    }
    (status, body)
}
