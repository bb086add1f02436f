//! What is counted of requests and usage. A measure is looked up by its labels once, not per request.

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const OUTCOMES: [&str; 5] = ["rated", "partly_rated", "duplicate", "unrated", "rejected"];

/// As many routes as there are, each with the measures that it had use for.
#[derive(Debug, Default)]
pub struct Measures {
    routes: RwLock<HashMap<Arc<str>, Arc<OfRoute>>>,
    events: [OnceLock<Known<Counter>>; OUTCOMES.len()],
}

#[derive(Debug)]
struct OfRoute {
    requests: [[OnceLock<Known<Counter>>; CLASSES.len()]; METHODS.len()],
    seconds: Known<Histogram>,
}

/// Handles do not say what they are.
struct Known<T>(T);

impl<T> std::fmt::Debug for Known<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

impl Measures {
    /// `route` as it is matched, never as it is asked for: there are only so many.
    pub fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let of = self.of(route);
        let (method, class) = (method_index(method), class_index(status));
        let requests = of.requests[method][class].get_or_init(|| {
            let route = route.to_owned();
            Known(counter!("centwise_http_requests_total", "method" => METHODS[method], "route" => route, "status" => CLASSES[class]))
        });
        requests.0.increment(1);
        of.seconds.0.record(took.as_secs_f64());
    }

    /// Events answered: rated, partly rated, duplicate, unrated, rejected.
    pub fn events(&self, counts: [usize; OUTCOMES.len()]) {
        for ((place, outcome), count) in self.events.iter().zip(OUTCOMES).zip(counts) {
            if count > 0 {
                let events = place.get_or_init(|| Known(counter!("centwise_usage_events_total", "outcome" => outcome)));
                events.0.increment(count as u64);
            }
        }
    }

    fn of(&self, route: &str) -> Arc<OfRoute> {
        if let Ok(routes) = self.routes.read()
            && let Some(of) = routes.get(route)
        {
            return Arc::clone(of);
        }
        let of = Arc::new(OfRoute {
            requests: Default::default(),
            seconds: Known(histogram!("centwise_http_request_seconds", "route" => route.to_owned())),
        });
        if let Ok(mut routes) = self.routes.write() {
            routes.insert(Arc::from(route), Arc::clone(&of));
        }
        of
    }
}

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1)
}

fn class_index(status: StatusCode) -> usize {
    match status.as_u16() {
        200..=299 => 0,
        300..=399 => 1,
        400..=499 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_statuses_have_their_labels() {
        for (method, label) in [(Method::GET, "GET"), (Method::POST, "POST"), (Method::PATCH, "PATCH"), (Method::DELETE, "other")] {
            assert_eq!(METHODS[method_index(&method)], label);
        }
        for (status, label) in [(201, "2xx"), (304, "3xx"), (404, "4xx"), (503, "5xx")] {
            assert_eq!(CLASSES[class_index(StatusCode::from_u16(status).unwrap())], label);
        }
    }

    #[test]
    fn a_route_is_looked_up_once() {
        let measures = Measures::default();
        let first = measures.of("/v1/holds");
        assert!(Arc::ptr_eq(&first, &measures.of("/v1/holds")));
        measures.request(&Method::GET, "/v1/holds", StatusCode::OK, Duration::from_millis(1));
        measures.events([1, 0, 0, 0, 2]);
        assert_eq!(measures.routes.read().unwrap().len(), 1);
    }
}
