//! One attempt at one webhook: connect (to public addresses only), send, read the status and
//! nothing else.

use crate::address::{BadUrl, Reach};
use http_body_util::Full;
use http_client::{HttpsConnector, NoTls, TlsClient};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// From the first packet to the status.
pub const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(15);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
const AGENT: &str = concat!("Centwise/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("{0}")]
    Url(#[from] BadUrl),
    #[error("no answer within 15 s")]
    TimedOut,
    #[error("no connection (name, address, or certificate)")]
    NotConnected,
    #[error("the connection broke before there was an answer")]
    Broken,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Poster {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    reach: Reach,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    pub url: String,
    pub id: String,
    pub timestamp_secs: i64,
    pub signature: String,
    pub body: Bytes,
}

impl Poster {
    /// # Errors
    /// There is no TLS.
    pub fn new(reach: Reach) -> Result<Self, NoTls> {
        let tls = TlsClient::new()?;
        let mut http = HttpConnector::new_with_resolver(Resolver(reach));
        http.set_connect_timeout(Some(CONNECT_TIME_MAX));
        let connector = if reach == Reach::PrivateToo {
            tls.https_or_http(http)
        } else {
            tls.https_only(http)
        };
        // No connection is kept: an answer's body is not read, and the next notice may be hours
        // away.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self { client, reach })
    }

    /// The status it was answered with. Redirections are answers like others: they are not
    /// followed.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, webhook: &WebhookRequest) -> Result<StatusCode, NoAnswer> {
        let uri = self.reach.check(&webhook.url)?;
        let request = request(uri, webhook).ok_or(BadUrl::Malformed)?;
        match tokio::time::timeout(ATTEMPT_TIME_MAX, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response.status()),
            Ok(Err(error)) if error.is_connect() => Err(NoAnswer::NotConnected),
            Ok(Err(_)) => Err(NoAnswer::Broken),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }
}

fn request(uri: Uri, webhook: &WebhookRequest) -> Option<Request<Full<Bytes>>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header("content-type", "application/json")
        .header("user-agent", AGENT)
        .header("webhook-id", &webhook.id)
        .header("webhook-timestamp", webhook.timestamp_secs)
        .header("webhook-signature", &webhook.signature);
    request.body(Full::new(webhook.body.clone())).ok()
}

/// The system's resolver, without addresses that are out of reach: what it leaves is what is
/// connected to.
#[derive(Debug, Clone, Copy)]
pub struct Resolver(Reach);

type Addresses = std::vec::IntoIter<SocketAddr>;

impl tower::Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            // The connector puts the port in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                Err(io::Error::other("no public address"))
            } else {
                Ok(allowed.into_iter())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn request(url: String) -> WebhookRequest {
        WebhookRequest {
            url,
            id: "ntc_1".into(),
            timestamp_secs: 1,
            signature: "v1,x".into(),
            body: Bytes::from_static(b"{}"),
        }
    }

    #[tokio::test]
    async fn names_of_this_host_are_out_of_reach() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let poster = Poster::new(Reach::PublicOnly).unwrap();
        for (url, want) in [
            (
                format!("https://localhost:{port}/"),
                NoAnswer::Url(BadUrl::NotPublic),
            ),
            (
                format!("https://127.0.0.1:{port}/"),
                NoAnswer::Url(BadUrl::NotPublic),
            ),
            (
                format!("http://localhost:{port}/"),
                NoAnswer::Url(BadUrl::NotHttps),
            ),
        ] {
            assert_eq!(poster.post(&request(url)).await, Err(want));
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "nobody connected");
    }

    #[tokio::test]
    async fn who_hangs_up_gave_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { drop(listener.accept().await) });
        let poster = Poster::new(Reach::PrivateToo).unwrap();
        assert_eq!(
            poster.post(&request(url.clone())).await,
            Err(NoAnswer::Broken)
        );
        assert_eq!(
            poster.post(&request(url)).await,
            Err(NoAnswer::NotConnected),
            "nobody listens any more"
        );
    }
}
