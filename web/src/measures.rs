//! What is counted of requests and usage. A measure is looked up by its labels once, not per
//! request.

use axum::http::{Method, StatusCode};
use metering::requests::{EventAnswer, Outcome};
use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    histogram,
};
use prepare::failures;
use problem::Code;
use rating::Currency;
use smallvec::SmallVec;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, RwLock};
use std::time::Duration;

const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "other"];
const OUTCOMES: [&str; 5] = ["rated", "partly_rated", "duplicate", "unrated", "rejected"];
/// Refusals that somebody is woken for: counted from 0 on, so that the first one is a change.
const REFUSALS: [Code; 5] = [
    Code::RateLimited,
    Code::Overloaded,
    Code::Unavailable,
    Code::Timeout,
    Code::Internal,
];

/// What each measure is, and its unit.
pub fn describe() {
    describe_counter!(
        "centwise_http_requests_total",
        "Requests answered, by method, route and status."
    );
    describe_histogram!(
        "centwise_http_request_seconds",
        Unit::Seconds,
        "Time that a request took, by route."
    );
    describe_counter!(
        "centwise_refusals_total",
        "Requests refused, by the code of the problem."
    );
    describe_counter!(
        "centwise_rate_limited_total",
        "Requests refused because a key's limit was reached, by limit."
    );
    describe_counter!(
        "centwise_usage_events_total",
        "Usage events answered, by outcome."
    );
    describe_counter!(
        "centwise_usage_debited_cents_total",
        "What customers were charged for usage, in minor units by currency; what is taken back \
            later is not taken off."
    );
    describe_gauge!(
        "centwise_build_info",
        "Always 1: version of the program, and of the tables."
    );
    describe_gauge!(
        "centwise_clock_stepped",
        "1: the clock has stepped, and no money is written until somebody accepts it."
    );
    describe_gauge!(
        "centwise_restored",
        "1: restored from a backup; payouts, automatic top-ups and deliveries are held."
    );
    describe_gauge!(
        "centwise_ready",
        "1: the server takes usage, as /health/ready says."
    );
    describe_gauge!(
        "centwise_oldest_waiting_seconds",
        Unit::Seconds,
        "How long the oldest command of a queue or lane waits."
    );
    describe_gauge!("centwise_waiting", "Commands that wait in a queue or lane.");
    describe_counter!(
        "centwise_task_panics_total",
        "Panics of background tasks and batches, by task; each starts again."
    );
    describe_gauge!(
        "centwise_unrated_events",
        "Usage events kept without a price."
    );
    describe_gauge!("centwise_holds_open", "Open holds.");
    describe_gauge!(
        "centwise_deliveries",
        "Webhooks and e-mails that did not arrive yet: waiting, or failed for good."
    );
    describe_gauge!(
        "centwise_payouts_open",
        "Payouts that are due, or on their way."
    );
    describe_gauge!(
        "centwise_payments_failed_in_a_row",
        "Payments that failed since the last one that succeeded."
    );
    describe_counter!(
        "centwise_connections_refused_total",
        "Connections beyond the limit: answered for health and measures alone, or closed."
    );
    describe_counter!(
        "centwise_database_errors_total",
        "Statements and batches that the database failed at for good."
    );
    describe_gauge!(
        "centwise_database_connections",
        "Connections to the database, in use and idle."
    );
    describe_gauge!(
        "centwise_backup_age_seconds",
        Unit::Seconds,
        "Age of the newest backup in the directory of backups."
    );
    describe_gauge!(
        "centwise_disk_free_bytes",
        Unit::Bytes,
        "Room on the disk of the embedded database."
    );
    metrics_process::Collector::default().describe();
}

/// Handles by a label, made when it is first seen. There are only so many of each.
struct Family<K, M>(RwLock<HashMap<K, M>>);

impl<K, M> Default for Family<K, M> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K, M> std::fmt::Debug for Family<K, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Family")
    }
}

impl<K: Hash + Eq, M: Clone> Family<K, M> {
    fn get<Q: Hash + Eq + ?Sized + ToOwned<Owned: Into<K>>>(
        &self,
        key: &Q,
        make: impl FnOnce() -> M,
    ) -> M
    where
        K: Borrow<Q>,
    {
        if let Ok(known) = self.0.read()
            && let Some(measure) = known.get(key)
        {
            return measure.clone();
        }
        let measure = make();
        if let Ok(mut known) = self.0.write() {
            known.insert(key.to_owned().into(), measure.clone());
        }
        measure
    }
}

/// Of a route, by method and status.
#[derive(Debug, Clone)]
struct OfRoute {
    requests: Arc<Family<(&'static str, u16), Counter>>,
    seconds: Known<Histogram>,
}

/// Handles do not say what they are.
#[derive(Clone)]
struct Known<T>(T);

impl<T> std::fmt::Debug for Known<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

/// As many routes as there are, each with the measures that it had use for.
#[derive(Debug, Default)]
pub struct Measures {
    routes: Family<Arc<str>, OfRoute>,
    refusals: Family<Code, Counter>,
    events: Family<&'static str, Counter>,
    debited: Family<Currency, Counter>,
}

impl Measures {
    /// Those that are known beforehand begin at 0.
    pub fn begun() -> Self {
        let measures = Self::default();
        OUTCOMES
            .iter()
            .for_each(|outcome| measures.of_outcome(outcome).increment(0));
        REFUSALS
            .iter()
            .for_each(|&code| measures.of_refusal(code).increment(0));
        failures::begin();
        measures
    }

    /// `route` as it is matched, never as it is asked for: there are only so many. `refused`: the
    /// problem's code.
    pub fn request(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        refused: Option<Code>,
        took: Duration,
    ) {
        let (method, status) = (method_name(method), status.as_u16());
        let of = self.routes.get(route, || OfRoute {
            requests: Arc::default(),
            seconds: Known(
                histogram!("centwise_http_request_seconds", "route" => route.to_owned()),
            ),
        });
        let requests = of.requests.get(
            &(method, status),
            || counter!("centwise_http_requests_total", "method" => method, "route" => route.to_owned(), "status" => status.to_string()),
        );
        requests.increment(1);
        of.seconds.0.record(took.as_secs_f64());
        if let Some(code) = refused {
            self.of_refusal(code).increment(1);
        }
    }

    /// Usage as it was answered.
    pub fn usage(&self, answers: &[EventAnswer], counts: [usize; OUTCOMES.len()]) {
        for (outcome, count) in OUTCOMES.iter().zip(counts) {
            if count > 0 {
                self.of_outcome(outcome).increment(count as u64);
            }
        }
        let mut debited = SmallVec::<[(Currency, u64); 2]>::new();
        for answer in answers {
            let Outcome::Rated(posted) = &answer.outcome else {
                continue;
            };
            let cents = u64::try_from(posted.debit.0).unwrap_or(0);
            match debited
                .iter_mut()
                .find(|(currency, _)| *currency == posted.currency)
            {
                Some((_, sum)) => *sum = sum.saturating_add(cents),
                None => debited.push((posted.currency, cents)),
            }
        }
        for (currency, cents) in debited {
            let measure =
                || counter!("centwise_usage_debited_cents_total", "currency" => currency.code());
            self.debited.get(&currency, measure).increment(cents);
        }
    }

    fn of_outcome(&self, outcome: &'static str) -> Counter {
        self.events.get(
            &outcome,
            || counter!("centwise_usage_events_total", "outcome" => outcome),
        )
    }

    fn of_refusal(&self, code: Code) -> Counter {
        self.refusals.get(
            &code,
            || counter!("centwise_refusals_total", "code" => code.as_str()),
        )
    }
}

fn method_name(method: &Method) -> &'static str {
    METHODS
        .iter()
        .find(|name| **name == method.as_str())
        .copied()
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_labels() {
        for (method, label) in [
            (Method::GET, "GET"),
            (Method::DELETE, "DELETE"),
            (Method::HEAD, "other"),
            (Method::TRACE, "other"),
        ] {
            assert_eq!(method_name(&method), label);
        }
    }

    #[test]
    fn a_measure_is_looked_up_once() {
        let measures = Measures::begun();
        for _ in 0..2 {
            measures.request(
                &Method::GET,
                "/v1/holds",
                StatusCode::OK,
                None,
                Duration::from_millis(1),
            );
            measures.request(
                &Method::GET,
                "/v1/holds",
                StatusCode::CONFLICT,
                Some(Code::HoldOver),
                Duration::from_millis(1),
            );
        }
        let route = measures.routes.0.read().unwrap()["/v1/holds"].clone();
        assert_eq!(
            (
                measures.routes.0.read().unwrap().len(),
                route.requests.0.read().unwrap().len()
            ),
            (1, 2)
        );
        assert_eq!(
            measures.refusals.0.read().unwrap().len(),
            REFUSALS.len() + 1
        );
    }
}
