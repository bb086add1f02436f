//! Connections: accept, serve HTTP/1.1, and stop gracefully (no new connections, open requests
//! finish, the engine drains what was accepted).

use crate::config::Config;
use crate::notifier::Notifier;
use crate::opening::{self, Opened};
use crate::reload::{self, Reread};
use crate::{http, payouts, restoration, upkeep, watchdog};
use anyhow::Context as _;
use clock::Clock;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metering::engine::NotDrained;
use notices::delivery_worker::DeliveryWorker;
use std::net::SocketAddr;
use std::time::Duration;
use supervisor::{CancellationToken, CutOff, Until};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use web::request::Peer;
use web::slots::{self, Guest, Slot, Slots};
use web::state::App;
use web::timekeeper;

const HEADER_COUNT_MAX: usize = 64;
/// Request line and headers of one request, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;
const HEADER_READ_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after `accept` failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What still reads gets this long before the process ends.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// SIGTERM and SIGINT, from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// # Errors
    /// They cannot be awaited.
    pub fn expect() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP, which ends no process from the moment this is made.
///
/// # Errors
/// It cannot be awaited.
pub fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot wait for SIGHUP")
}

/// A server at work.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    pub app: App,
    /// The platform's first key, on the first start over an empty directory.
    pub admin_key: Option<String>,
    deliveries: DeliveryWorker,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), NotDrained>>,
}

/// Opens the database and serves until [`Running::stop`] or a signal passed to [`Running::until`].
///
/// # Errors
/// The database or the address cannot be opened.
pub async fn serve(config: &Config, clock: Clock) -> anyhow::Result<Running> {
    // Before anything is made: the first admin key is shown once, and not if the address is taken.
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let Opened { app, admin_key } = opening::open(config, clock).await?;
    let moved = app
        .engine
        .reclassify()
        .await
        .context("cannot move balances to the books of resellers that collect themselves")?;
    if moved > 0 {
        tracing::info!(
            moved,
            "balances moved to the books of resellers that collect themselves"
        );
    }
    let notifier = Notifier::new(config, &app)?;
    let deliveries = notifier.deliveries.clone();
    let (stop, stopped) = watch::channel(false);
    let server = Server {
        listener,
        app: app.clone(),
        notifier,
        slots: Slots::new(config.connections_max),
        drain_secs_max: config.drain_secs_max,
        engine_drain_time_max: Duration::from_secs(config.engine_drain_secs_max),
    };
    let task = tokio::spawn(server.run(stopped));
    tracing::info!(%address, "listening");
    Ok(Running {
        address,
        app,
        admin_key,
        deliveries,
        stop,
        task,
    })
}

impl Running {
    /// `http://127.0.0.1:8080`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until a signal comes, then stops gracefully; at each hangup what `reread` gives takes
    /// the place of the secrets.
    ///
    /// # Errors
    /// As [`Running::stop`].
    pub async fn until(
        self,
        mut signals: Signals,
        mut hangups: Signal,
        reread: impl Fn() -> anyhow::Result<Reread>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = signals.any() => return self.stop().await,
                _ = hangups.recv() => reload::reload(&self.app, &self.deliveries, reread()),
            }
        }
    }

    /// No new connections; open requests finish; what the engine accepted is committed.
    ///
    /// # Errors
    /// Something of that was not finished in its time; the process should end all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _nobody_listens = self.stop.send(true);
        let stopped = self.task.await.context("the server did not stop cleanly")?;
        // What is stuck keeps its connection.
        if stopped.is_ok()
            && tokio::time::timeout(CLOSE_TIME_MAX, self.app.catalog.close())
                .await
                .is_err()
        {
            tracing::warn!("database still in use: keep its write-ahead log with it");
        }
        stopped.context("the engine did not finish what it had taken")
    }
}

struct Server {
    listener: TcpListener,
    app: App,
    notifier: Notifier,
    slots: Slots,
    drain_secs_max: u64,
    engine_drain_time_max: Duration,
}

impl Server {
    async fn run(self, mut stopped: watch::Receiver<bool>) -> Result<(), NotDrained> {
        let router = http::router(&self.app);
        let spare_service = TowerToHyperService::new(slots::for_health_alone(router.clone()));
        let service = TowerToHyperService::new(router);
        let connections = GracefulShutdown::new();
        let builder = builder();
        start_tasks(&self.app, self.notifier);
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stopped.changed() => break,
            };
            let Some((stream, peer)) = ready(stream).await else {
                continue;
            };
            let (slot, service) = match self.slots.take() {
                Some(slot @ Slot::Ordinary(_)) => (slot, service.clone()),
                Some(slot @ Slot::Spare(_)) => (slot, spare_service.clone()),
                None => continue,
            };
            let guest = if let Slot::Ordinary(stay) = &slot {
                Some(stay.guest())
            } else {
                None
            };
            let connection = connections.watch(builder.serve_connection(
                TokioIo::new(stream),
                FromPeer {
                    peer,
                    guest,
                    service,
                },
            ));
            tokio::spawn(async move {
                let makes_room = async {
                    match &slot {
                        Slot::Ordinary(stay) => stay.ends().await,
                        Slot::Spare(_) => std::future::pending().await,
                    }
                };
                tokio::select! {
                    ended = connection => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "connection ended");
                        }
                    }
                    () = makes_room => tracing::debug!("connection without a key closed to make \
                        room"),
                }
                drop(slot);
            });
        }
        drop(self.listener);
        let drain_time_max = Duration::from_secs(self.drain_secs_max);
        let (tasks, requests) = tokio::join!(
            self.app.supervisor.stop(Until::Shutdown, drain_time_max),
            tokio::time::timeout(drain_time_max, connections.shutdown()),
        );
        if let Err(CutOff(tasks)) = tasks {
            tracing::warn!(
                tasks,
                secs = self.drain_secs_max,
                "some background tasks did not finish their round in time"
            );
        }
        if requests.is_err() {
            tracing::warn!(
                secs = self.drain_secs_max,
                "some requests did not finish in time"
            );
        }
        if tokio::time::timeout(CLOSE_TIME_MAX, self.app.key_uses.write(&self.app.catalog))
            .await
            .is_err()
        {
            tracing::warn!("writing the last uses of keys timed out");
        }
        let drained = self.app.engine.drain(self.engine_drain_time_max).await;
        if let Err(CutOff(tasks)) = self
            .app
            .supervisor
            .stop(Until::Drained, CLOSE_TIME_MAX)
            .await
        {
            tracing::warn!(tasks, "some watch tasks did not stop in time");
        }
        match &drained {
            Ok(()) => tracing::info!("stopped"),
            Err(error) => {
                tracing::error!(%error, "engine did not finish; requests without a response may be \
                    sent again")
            }
        }
        drained
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIME_MAX)
        .max_headers(HEADER_COUNT_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(true);
    builder
}

/// Each request knows where its connection comes from.
struct FromPeer<S> {
    peer: SocketAddr,
    /// Of an ordinary connection.
    guest: Option<Guest>,
    service: S,
}

impl<S: Service<hyper::Request<Incoming>>> Service<hyper::Request<Incoming>> for FromPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(Peer(self.peer));
        if let Some(guest) = &self.guest {
            request.extensions_mut().insert(guest.clone());
        }
        self.service.call(request)
    }
}

async fn ready(
    accepted: std::io::Result<(TcpStream, SocketAddr)>,
) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok((stream, peer)) => stream.set_nodelay(true).is_ok().then_some((stream, peer)),
        Err(error) => {
            tracing::warn!(%error, "accepting a connection failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Everything that runs beside requests.
fn start_tasks(app: &App, notifier: Notifier) {
    let supervised = |name, until, task: fn(App, CancellationToken) -> BoxFuture<'static, ()>| {
        let supervisor = app.supervisor.clone();
        let app = app.clone();
        supervisor.run(name, until, move |token| task(app.clone(), token));
    };
    supervised("upkeep", Until::Shutdown, |app, token| {
        Box::pin(upkeep::keep_up(app, token))
    });
    supervised("payments", Until::Shutdown, |app, token| {
        Box::pin(async move { app.payments.work(token).await })
    });
    supervised("payouts", Until::Shutdown, |app, token| {
        Box::pin(payouts::keep_up(app, token))
    });
    supervised("restoration", Until::Shutdown, |app, token| {
        Box::pin(restoration::watch(app, token))
    });
    app.supervisor
        .run("notices", Until::Shutdown, move |token| {
            notifier.clone().run(token)
        });
    supervised("watchdog", Until::Drained, |app, token| {
        Box::pin(watchdog::watch(app, token))
    });
    supervised("clock", Until::Drained, |app, token| {
        Box::pin(timekeeper::watch(app, token))
    });
    supervised("records", Until::Drained, |app, token| {
        Box::pin(async move { app.engine.directory().watch(token).await })
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[tokio::test]
    async fn serves_on_any_free_port_and_stops_with_an_idle_connection_open() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: directory.path().to_owned(),
            ..Config::default()
        };
        let running = serve(&config, Clock::system()).await.unwrap();
        assert!(running.admin_key.is_some());
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        assert!(
            ask(&mut stream, "/health/ready")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            ask(&mut stream, "/v1/tenants")
                .await
                .starts_with("HTTP/1.1 401")
        );
        let address = running.address;
        tokio::time::timeout(Duration::from_secs(5), running.stop())
            .await
            .unwrap()
            .unwrap();
        assert!(
            TcpStream::connect(address).await.is_err(),
            "nobody accepts any more"
        );
        assert_eq!(
            stream.read(&mut [0; 1]).await.unwrap_or_default(),
            0,
            "the idle connection is closed"
        );
        let again = serve(&config, Clock::system()).await.unwrap();
        assert_eq!(again.admin_key, None, "the key is shown once");
        again.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_background_task_that_panics_is_counted_and_one_that_keeps_panicking_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: directory.path().to_owned(),
            ..Config::default()
        };
        let running = serve(&config, Clock::system()).await.unwrap();
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        running
            .app
            .supervisor
            .run("test_task", Until::Shutdown, |_| async {
                panic!("on purpose")
            });
        // Three panics take three seconds.
        let down = async {
            loop {
                let answer = ask(&mut stream, "/health/ready").await;
                if !answer.starts_with("HTTP/1.1 200") {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(60), down)
            .await
            .unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("test_task: on purpose"),
            "{answer}"
        );
        assert!(
            ask(&mut stream, "/health/live")
                .await
                .starts_with("HTTP/1.1 200"),
            "a restart by the balancer may help, not by the unit"
        );
        let measures = running.app.metrics.render();
        assert!(
            measures.contains("centwise_task_panics_total{task=\"test_task\"} 3"),
            "{measures}"
        );
        running.stop().await.unwrap();
    }

    /// Who copies the file alone has all of it.
    #[tokio::test]
    async fn a_stopped_server_leaves_nothing_beside_the_file() {
        let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = |at: &tempfile::TempDir| Config {
            listen,
            data_dir: at.path().to_owned(),
            ..Config::default()
        };
        let running = serve(&config(&directory), Clock::system()).await.unwrap();
        let platform = running.app.platform;
        let log = directory.path().join("centwise.db-wal");
        assert!(
            log.metadata().unwrap().len() > 0,
            "what was written stands in the log first"
        );
        running.stop().await.unwrap();
        assert_eq!(log.metadata().map_or(0, |log| log.len()), 0);
        std::fs::copy(
            directory.path().join("centwise.db"),
            copy.path().join("centwise.db"),
        )
        .unwrap();
        let again = serve(&config(&copy), Clock::system()).await.unwrap();
        assert_eq!(
            (again.app.platform, again.admin_key.clone()),
            (platform, None)
        );
        again.stop().await.unwrap();
    }
}
