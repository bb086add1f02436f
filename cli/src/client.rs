//! A small HTTP client over one kept-alive connection: `ingest`, `import-rates` and the benchmark
//! talk to a running server through it.

use crate::patience::{Patience, RETRIES_MAX};
use anyhow::{Context, anyhow};
use http_body_util::{BodyExt, Full};
use http_client::{NotConnected, Stream, TlsClient};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Uri};
use std::path::PathBuf;

/// How often a request is sent again that took too long: it may have been a moment's, but what
/// takes longer than the server gives will the next time, too.
const TIMEOUTS_MAX: u32 = 2;

/// The code of an answer that did not come in time.
const TIMEOUT: &str = "timeout";

/// Whose certificate a server may have.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Trust {
    /// PEM file of certificate authorities that an https server's certificate may come from, beside
    /// the public ones
    #[arg(long, env = "CENTWISE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Trust {
    #[cfg(test)]
    pub fn of(ca_file: &std::path::Path) -> Self {
        Self {
            ca_file: Some(ca_file.to_owned()),
        }
    }

    /// # Errors
    /// The URL is none of a server, or the file has no certificate.
    pub fn endpoint(&self, url: &str, key: &str) -> anyhow::Result<Endpoint> {
        let tls = match &self.ca_file {
            Some(file) => TlsClient::with_authorities(file).context("--ca-file")?,
            None => TlsClient::new()?,
        };
        Ok(Endpoint {
            url: server_url(url)?,
            key: key.to_owned(),
            tls,
        })
    }
}

/// `http://host[:port]/`, or the same with `https`.
fn server_url(text: &str) -> anyhow::Result<Uri> {
    let parsed = text.trim_end_matches('/').parse::<Uri>().ok();
    let is_of_server = |url: &Uri| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    };
    parsed.filter(is_of_server).with_context(|| {
        format!(
            "cannot use the address {text:?}: expected https://HOST[:PORT] or http://HOST[:PORT] \
                without a path"
        )
    })
}

/// A server and the key to speak to it with.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: Uri,
    key: String,
    tls: TlsClient,
}

impl Endpoint {
    /// A server whose certificate, if it has one, comes from a public authority.
    ///
    /// # Errors
    /// The URL is none of a server.
    pub fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        Trust::default().endpoint(url, key)
    }

    /// `host` or `host:port`.
    pub fn authority(&self) -> &str {
        self.url.authority().map_or("", Authority::as_str)
    }
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `http://host:port`, or the same with `https`.
    fn origin(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or_default();
        format!("{scheme}://{}", self.authority())
    }

    /// A bare connection.
    pub async fn open(&self) -> anyhow::Result<Stream> {
        let refused = match self.tls.connect(self.url.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(refused) => refused,
        };
        let origin = self.origin();
        let said = match &refused {
            NotConnected::Unreachable(_) => {
                format!("no server answers at {origin} (start one with `centwise serve`)")
            }
            NotConnected::Tls(_) if refused.is_unknown_authority() => format!(
                "the certificate of {origin} is refused: no known authority signed it (--ca-file \
                    names a file of others)"
            ),
            NotConnected::Tls(_) => format!("no secure connection to {origin}"),
        };
        Err(anyhow::Error::new(refused).context(said))
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = self.open().await?;
        let (sender, connection) = http1::handshake(stream.into_inner()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the server ended");
            }
        });
        Ok(Connection {
            sender,
            endpoint: self.clone(),
            authorization: format!("Bearer {}", self.key),
        })
    }
}

/// What the server said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    retry_after_secs: Option<u64>,
}

impl Answer {
    /// The code of the problem it is, or nothing.
    pub fn code(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Coded {
            code: String,
        }
        if self.status.is_success() {
            return String::new();
        }
        serde_json::from_slice(&self.body)
            .map(|Coded { code }| code)
            .unwrap_or_default()
    }

    /// The body, if the request went well; otherwise the problem it describes.
    pub fn ok(self) -> anyhow::Result<Bytes> {
        if self.status.is_success() {
            Ok(self.body)
        } else {
            Err(refusal(self.status, &self.body))
        }
    }

    pub fn json<T: serde::de::DeserializeOwned>(self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.ok()?).context(
            "the server's response is not what this version expects; are both the same version?",
        )
    }
}

/// The problem that an answer describes.
pub fn refusal(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        problem
            .get(name)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let field = problem
        .get("field")
        .and_then(|value| value.as_str())
        .map(|field| format!(" (field {field})"))
        .unwrap_or_default();
    let mut said = format!(
        "the server answered {status}: {} {}{field}",
        text("code"),
        text("detail")
    );
    if text("code") == TIMEOUT {
        said.push_str(
            " (the server allows CENTWISE_REQUEST_SECS_MAX seconds per request, \
                --request-secs-max: increase it there)",
        );
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Denied(said).into(),
        _ => anyhow!(said),
    }
}

/// The key opens nothing, or not this: the same request will not fare better later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

/// One request: what to send, where.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub method: Method,
    pub path: &'a str,
    pub content_type: &'static str,
    pub body: Bytes,
    /// Makes the request safe to repeat.
    pub idempotency_key: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            content_type: "application/json",
            body: Bytes::new(),
            idempotency_key: None,
        }
    }
    pub fn post(path: &'a str, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            path,
            content_type,
            body: body.into(),
            idempotency_key: None,
        }
    }
    pub fn keyed(mut self, key: &'a str) -> Self {
        self.idempotency_key = Some(key);
        self
    }
}

#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    endpoint: Endpoint,
    authorization: String,
}

impl Connection {
    /// Sends once, as it is.
    pub async fn send(&mut self, call: &Call<'_>) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.path)
            .header(HOST, self.endpoint.authority())
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, call.content_type);
        if let Some(key) = call.idempotency_key {
            request = request.header(HeaderName::from_static("idempotency-key"), key);
        }
        // It may still be at the end of the answer before.
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request.body(Full::new(call.body.clone()))?)
            .await?;
        let status = response.status();
        let header = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after_secs = header.and_then(|text| text.parse().ok());
        Ok(Answer {
            status,
            body: response.into_body().collect().await?.to_bytes(),
            retry_after_secs,
        })
    }

    /// Sends, and sends again while the server says that it is too busy (429, 503) or the
    /// connection broke: every request of ours is safe to repeat. Of answers that did not come in
    /// time only the first few.
    pub async fn send_patiently(&mut self, call: &Call<'_>) -> anyhow::Result<Answer> {
        let (mut patience, mut timeouts) = (Patience::default(), 0);
        loop {
            match self.send(call).await {
                Ok(answer) if !matches!(answer.status.as_u16(), 429 | 503) => return Ok(answer),
                Ok(answer) => {
                    timeouts += u32::from(answer.code() == TIMEOUT);
                    if timeouts == TIMEOUTS_MAX
                        || !patience.after_busy(answer.retry_after_secs).await
                    {
                        return Ok(answer);
                    }
                }
                Err(error) => {
                    if !patience.after_loss().await {
                        return Err(error.context(format!(
                            "the connection to the server was lost {} times",
                            RETRIES_MAX + 1
                        )));
                    }
                    *self = self.endpoint.connect().await?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// The client of a server that says to every request that it took too long; and how many there
    /// were.
    async fn always_late() -> (Connection, Arc<AtomicU32>) {
        let body = r#"{"code":"timeout","detail":"it may or may not have been carried out; send the same request again"}"#;
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, asked) = (
            format!("http://{}", listener.local_addr().unwrap()),
            Arc::new(AtomicU32::new(0)),
        );
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            while stream.read(&mut request).await.unwrap() > 0 {
                counted.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (
            Endpoint::new(&url, "k").unwrap().connect().await.unwrap(),
            asked,
        )
    }

    /// 60 times, of half a minute each, in silence.
    #[tokio::test]
    async fn what_takes_too_long_is_not_asked_for_minutes() {
        let (mut connection, asked) = always_late().await;
        let answer = connection
            .send_patiently(&Call::get("/v1/meters"))
            .await
            .unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), TIMEOUTS_MAX);
        let said = answer.ok().unwrap_err().to_string();
        assert!(
            said.contains("timeout") && said.contains("CENTWISE_REQUEST_SECS_MAX"),
            "{said}"
        );
    }

    #[test]
    fn addresses() {
        for (url, ok) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost/", true),
            ("https://a", true),
            ("https://[::1]:8443/", true),
            ("http://", false),
            ("https://", false),
            ("https://a/?b", false),
            ("https://u:p@a", false),
            ("ftp://a", false),
            ("http://a/b", false),
            ("a:1", false),
        ] {
            assert_eq!(Endpoint::new(url, "k").is_ok(), ok, "{url}");
        }
    }
}
