//! Whoever listens to what the server tells: a program that takes webhooks, and a mail server, both
//! on loopback.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(20);

/// One webhook as it came in.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// As a receiver checks it, by the standard's text: one of the signatures is right.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.body);
        let want = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signature.split(' ').any(|signature| signature == want)
    }
}

/// Takes webhooks: under `/slow` without ever answering, elsewhere with the next of the statuses it
/// was given, then 204.
#[derive(Clone)]
pub struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            got: Arc::default(),
            answers: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                let service = service_fn(move |request| serving.clone().take(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
    pub fn answers(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until there are so many.
    pub async fn gets(&self, count: usize) -> Vec<Got> {
        for _ in 0..PATIENCE.as_millis() / 20 {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} webhooks were expected: {:?}", self.got());
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        let (id, timestamp, signature) = (
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
        );
        let path = request.uri().path().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec();
        self.got.lock().unwrap().push(Got {
            path: path.clone(),
            id,
            timestamp,
            signature,
            body,
        });
        if path == "/slow" {
            tokio::time::sleep(FOREVER).await;
        }
        let status = self.answers.lock().unwrap().pop_front().unwrap_or(204);
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
            .headers_mut()
            .insert("location", self.url("/elsewhere").parse().unwrap());
        Ok(response)
    }
}

/// Recipients and the message as it came.
pub type Mail = (Vec<String>, String);

/// A mail server that keeps what it is given.
#[derive(Clone)]
pub struct MailServer {
    pub url: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// What it says to the next recipients, such as `550 no such user`; then it takes them.
    refusals: Arc<Mutex<VecDeque<&'static str>>>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("smtp://{}", listener.local_addr().unwrap()),
            mails: Arc::default(),
            refusals: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { drop(serving.session(stream).await) });
            }
        });
        server
    }

    pub fn refuses(&self, refusals: &[&'static str]) {
        self.refusals.lock().unwrap().extend(refusals);
    }
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    async fn session(&self, stream: TcpStream) -> std::io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 here\r\n").await?;
        let mut recipients = Vec::new();
        while let Some(line) = lines.next_line().await? {
            let answer = match line.to_ascii_uppercase() {
                verb if verb.starts_with("EHLO") => "250-here\r\n250 8BITMIME".to_owned(),
                verb if verb.starts_with("RCPT") => match self.refusals.lock().unwrap().pop_front()
                {
                    Some(refusal) => refusal.to_owned(),
                    None => {
                        recipients.push(line["RCPT TO:<".len()..].trim_end_matches('>').to_owned());
                        "250 ok".to_owned()
                    }
                },
                verb if verb.starts_with("DATA") => {
                    writing.write_all(b"354 go on\r\n").await?;
                    let mut message = String::new();
                    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                        message.push_str(&line);
                        message.push('\n');
                    }
                    self.mails
                        .lock()
                        .unwrap()
                        .push((std::mem::take(&mut recipients), message));
                    "250 kept".to_owned()
                }
                verb if verb.starts_with("QUIT") => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            writing
                .write_all(format!("{answer}\r\n").as_bytes())
                .await?;
        }
        Ok(())
    }
}
