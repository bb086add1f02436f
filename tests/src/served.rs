//! A server to talk to over HTTP: in this process for most tests, as a process of its own for those
//! that kill it.

use crate::{NOW, instant};
use api::config::Config;
use api::payment_settings::PaymentSettings;
use api::server::{self, Running};
use clock::Clock;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use payments::rows::PaymentRows;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use test_stripe::FakeStripe;
use web::limits::LimitSettings;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// JSON, or the text as it is.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The problem's stable code, or the status alone.
    pub fn code(&self) -> String {
        match self.body["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }
}

/// One request on a connection of its own.
#[derive(Debug, Clone)]
pub struct Asking {
    address: SocketAddr,
    key: Option<String>,
    /// For every write; a fresh one each time unless the test gives it.
    idempotency_key: Option<String>,
    content_type: &'static str,
    /// Of the payment provider.
    signature: Option<String>,
}

impl Asking {
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self {
            address,
            key: Some(key.to_owned()),
            idempotency_key: None,
            content_type: "application/json",
            signature: None,
        }
    }
    /// The same of another server.
    pub fn at(&self, server: &Served) -> Self {
        Self {
            address: server.admin.address,
            ..self.clone()
        }
    }
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self {
            key: key.map(str::to_owned),
            ..self.clone()
        }
    }
    pub fn once(&self, idempotency_key: &str) -> Self {
        Self {
            idempotency_key: Some(idempotency_key.to_owned()),
            ..self.clone()
        }
    }
    pub fn sending(&self, content_type: &'static str) -> Self {
        Self {
            content_type,
            ..self.clone()
        }
    }

    pub fn signed(&self, signature: &str) -> Self {
        Self {
            signature: Some(signature.to_owned()),
            ..self.clone()
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Bytes::new()).await.unwrap()
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body.to_string().into())
            .await
            .unwrap()
    }

    /// An error: the server is gone; whether it took the request is unknown.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "test")
            .header(header::CONTENT_TYPE, self.content_type);
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(signature) = &self.signature {
            request = request.header("Stripe-Signature", signature);
        }
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        drop(sender);
        let _closed = connection.await;
        let text = String::from_utf8(bytes.to_vec())?;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        Ok(Answer { status, body, text })
    }
}

/// A server in this process, on a free port, at [`NOW`].
#[derive(Debug)]
pub struct Served {
    pub running: Running,
    pub admin: Asking,
    /// Where it is paid.
    pub stripe: Arc<FakeStripe>,
    books: Arc<Books>,
}

/// The database of a test; gone with the last server over it.
#[derive(Debug)]
enum Books {
    Embedded(tempfile::TempDir),
    Postgres(test_postgres::Database),
    /// What a backup of one was restored into.
    Restored(transfer::backup::Scratch),
}

impl Served {
    /// Over an embedded database of its own.
    pub async fn new() -> Self {
        Self::over(Books::Embedded(tempfile::tempdir().unwrap())).await
    }

    /// Over a database of its own on PostgreSQL; `None` (having said so) where there is none.
    pub async fn postgres() -> Option<Self> {
        Some(Self::over(Books::Postgres(test_postgres::database().await?)).await)
    }

    /// Over an embedded database of its own, with these settings, at the real time.
    pub async fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let limits = LimitSettings {
            other_per_min: 1_000_000,
            admin_per_sec: 100_000,
            ..LimitSettings::default()
        };
        let config = Config {
            data_dir: dir.path().to_owned(),
            limits,
            ..config
        };
        let running = server::serve(&config, Clock::system()).await.unwrap();
        let admin = Asking::new(running.address, running.admin_key.as_deref().unwrap());
        Self {
            running,
            admin,
            stripe: Arc::new(stand_in().await),
            books: Arc::new(Books::Embedded(dir)),
        }
    }

    /// Over an embedded database that another build left, as SQL that makes it again; `key` is its
    /// operator's.
    pub async fn left(sql: &'static str, key: &str, now: &str) -> Self {
        use sqlx::ConnectOptions;
        let (dir, stripe) = (tempfile::tempdir().unwrap(), Arc::new(stand_in().await));
        let file = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(dir.path().join("centwise.db"))
            .create_if_missing(true)
            .foreign_keys(false);
        sqlx::raw_sql(sql)
            .execute(&mut file.connect().await.unwrap())
            .await
            .unwrap();
        let books = Books::Embedded(dir);
        let running = start(&books, now, &stripe, false).await;
        let admin = Asking::new(running.address, key);
        Self {
            running,
            admin,
            stripe,
            books: Arc::new(books),
        }
    }

    /// The same database, closed and opened again.
    pub async fn restarted(self, now: &str) -> Self {
        let Self {
            running,
            admin,
            stripe,
            books,
        } = self;
        running.stop().await.unwrap();
        let running = start(&books, now, &stripe, false).await;
        let admin = Asking {
            address: running.address,
            ..admin
        };
        Self {
            running,
            admin,
            stripe,
            books,
        }
    }

    async fn over(books: Books) -> Self {
        let stripe = Arc::new(stand_in().await);
        let running = start(&books, NOW, &stripe, false).await;
        let admin = Asking::new(running.address, running.admin_key.as_deref().unwrap());
        Self {
            running,
            admin,
            stripe,
            books: Arc::new(books),
        }
    }

    /// A second server over the same database, which shares nothing else with this one.
    pub async fn beside(&self) -> Self {
        self.beside_at(NOW).await
    }

    /// The same at another instant.
    pub async fn beside_at(&self, now: &str) -> Self {
        self.beside_if(now, false).await
    }

    /// The same, and its clock is right.
    pub async fn beside_accepting(&self, now: &str) -> Self {
        self.beside_if(now, true).await
    }

    async fn beside_if(&self, now: &str, accept_clock: bool) -> Self {
        let running = start(&self.books, now, &self.stripe, accept_clock).await;
        let admin = Asking {
            address: running.address,
            ..self.admin.clone()
        };
        Self {
            running,
            admin,
            stripe: Arc::clone(&self.stripe),
            books: Arc::clone(&self.books),
        }
    }

    /// Time stands still there from now on.
    pub fn set_clock(&self, now: &str) {
        let now = instant(now);
        self.running.app.clock.set(now);
        self.stripe.set_now(now.micros() / 1_000_000);
    }

    /// Until nothing that the payment provider told waits. The server works at it too, and takes
    /// some of it away from this.
    pub async fn work_off_payments(&self) {
        let app = &self.running.app;
        for look in 1..=400 {
            let is_idle = app.payments.round().await.unwrap().is_idle();
            if is_idle
                && PaymentRows::of(&app.catalog)
                    .inbox_look(rating::Instant(0))
                    .await
                    .unwrap()
                    .waiting
                    == 0
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            if look % 50 == 0 {
                // The two were in each other's way: it is tried again a little later.
                self.set_clock(&app.clock.now().plus_secs(20).to_string());
            }
        }
        panic!("something waits for ever");
    }

    /// Its database, as an option of the command line.
    pub fn option(&self) -> [&str; 2] {
        self.books.option()
    }

    /// An empty place for a database of the same kind.
    pub async fn vacant(&self) -> Vacant {
        Vacant(match &*self.books {
            Books::Embedded(_) => Books::Embedded(tempfile::tempdir().unwrap()),
            Books::Postgres(_) | Books::Restored(_) => {
                let name = format!(
                    "restored_{}_{}",
                    std::process::id(),
                    self.admin.address.port()
                );
                Books::Restored(
                    transfer::backup::Scratch::create(self.url(), &name)
                        .await
                        .unwrap(),
                )
            }
        })
    }

    /// A server over what somebody put there; with this one's key.
    pub async fn over_restored(&self, Vacant(books): Vacant, now: &str) -> Self {
        let running = start(&books, now, &self.stripe, false).await;
        let admin = Asking {
            address: running.address,
            ..self.admin.clone()
        };
        Self {
            running,
            admin,
            stripe: Arc::clone(&self.stripe),
            books: Arc::new(books),
        }
    }

    /// Of its PostgreSQL database.
    pub fn url(&self) -> &str {
        match &*self.books {
            Books::Postgres(database) => database.url(),
            Books::Restored(database) => database.url(),
            Books::Embedded(_) => panic!("this is an embedded database"),
        }
    }
}

/// Where a database may be put.
pub struct Vacant(Books);

impl std::fmt::Debug for Vacant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vacant").field(&self.option()).finish()
    }
}

impl Vacant {
    /// As an option of the command line.
    pub fn option(&self) -> [&str; 2] {
        self.0.option()
    }
}

impl Books {
    fn option(&self) -> [&str; 2] {
        match self {
            Self::Embedded(dir) => ["--data-dir", dir.path().to_str().unwrap()],
            Self::Postgres(database) => ["--database-url", database.url()],
            Self::Restored(database) => ["--database-url", database.url()],
        }
    }
}

async fn stand_in() -> FakeStripe {
    FakeStripe::start(instant(NOW).micros() / 1_000_000)
        .await
        .unwrap()
}

async fn start(books: &Books, now: &str, stripe: &FakeStripe, accept_clock: bool) -> Running {
    let (data_dir, database_url) = match books {
        Books::Embedded(dir) => (dir.path().to_owned(), None),
        Books::Postgres(database) => (std::path::PathBuf::new(), Some(database.url().to_owned())),
        Books::Restored(database) => (std::path::PathBuf::new(), Some(database.url().to_owned())),
    };
    let limits = LimitSettings {
        other_per_min: 1_000_000,
        admin_per_sec: 100_000,
        ..LimitSettings::default()
    };
    let payments = PaymentSettings {
        public_url: Some("https://billing.example".to_owned()),
        stripe_secret_key: Some("sk_test_key".parse().unwrap()),
        stripe_webhook_secrets: vec!["whsec_1".parse().unwrap()],
        top_up_terms: vec![
            "EUR:1000-100000".parse().unwrap(),
            "USD:1000-100000".parse().unwrap(),
        ],
        stripe_api_url: stripe.url(),
        ..PaymentSettings::default()
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        listen,
        data_dir,
        database_url,
        limits,
        payments,
        webhooks_to_private: true,
        accept_clock,
        ..Config::default()
    };
    server::serve(&config, Clock::at(instant(now)))
        .await
        .unwrap()
}
