//! What a load balancer is told: within two seconds, whatever the database does.

use crate::http_world::call;
use crate::moves::centwise;
use crate::process::Process;
use crate::served::{Answer, Asking, Served};
use api::config::Config;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long an answer is kept.
const FRESH: Duration = Duration::from_millis(1100);

async fn ready(admin: &Asking) -> Answer {
    let since = Instant::now();
    let answer = admin.get("/health/ready").await;
    assert!(
        since.elapsed() < ANSWER_TIME_MAX,
        "{:?}: {answer:?}",
        since.elapsed()
    );
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_file_is_gone_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let process = Process::start_with(&data, None, &[]).await;
    assert_eq!(ready(&process.admin).await.code(), "200");
    std::fs::rename(&data, dir.path().join("moved")).unwrap();
    tokio::time::sleep(FRESH).await;
    let refused = ready(&process.admin).await;
    assert_eq!(refused.code(), "503 not_writable", "{refused:?}");
    assert!(refused.text.contains("removed or replaced"), "{refused:?}");
    std::fs::rename(dir.path().join("moved"), &data).unwrap();
    tokio::time::sleep(FRESH).await;
    assert_eq!(ready(&process.admin).await.code(), "200");
    assert!(process.stop().await);
}

/// Between a server and its database; while it is held nothing goes through, and nobody is told.
struct Way {
    address: SocketAddr,
    held: Arc<AtomicBool>,
}

impl Way {
    async fn to(database: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, held) = (
            listener.local_addr().unwrap(),
            Arc::new(AtomicBool::new(false)),
        );
        let way = Self {
            address,
            held: Arc::clone(&held),
        };
        tokio::spawn(async move {
            while let Ok((ours, _)) = listener.accept().await {
                let theirs = TcpStream::connect(database).await.unwrap();
                let ((our_in, our_out), (their_in, their_out)) =
                    (ours.into_split(), theirs.into_split());
                for (mut from, mut into) in [(our_in, their_out), (their_in, our_out)] {
                    let held = Arc::clone(&held);
                    tokio::spawn(async move {
                        let mut bytes = [0; 16 * 1024];
                        while let Ok(read @ 1..) =
                            tokio::io::AsyncReadExt::read(&mut from, &mut bytes).await
                        {
                            while held.load(Ordering::SeqCst) {
                                tokio::time::sleep(Duration::from_millis(20)).await;
                            }
                            if into.write_all(&bytes[..read]).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            }
        });
        way
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_database_hangs_is_not_ready() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let (user, place) = database.url().rsplit_once('@').unwrap();
    let (address, name) = place.split_once('/').unwrap();
    let way = Way::to(address.replace("localhost", "127.0.0.1").parse().unwrap()).await;
    let url = format!("{user}@{}/{name}", way.address);
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_with(dir.path(), Some(&url), &[]).await;
    process
        .admin
        .post("/v1/usage-events", call("before", "acme-42", "60"))
        .await
        .ok();
    assert_eq!(ready(&process.admin).await.code(), "200");
    way.held.store(true, Ordering::SeqCst);
    tokio::time::sleep(FRESH).await;
    // However many ask.
    let answers = futures_util::future::join_all((0..8).map(|_| ready(&process.admin))).await;
    for refused in answers {
        assert_eq!(refused.code(), "503 not_writable", "{refused:?}");
        assert!(refused.text.contains("has not answered"), "{refused:?}");
    }
    way.held.store(false, Ordering::SeqCst);
    let since = Instant::now();
    while ready(&process.admin).await.code() != "200" {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "it does not come back"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(process.stop().await);
}

/// As on a full disk: it answers, and takes small changes of rows that are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_usage_is_not_taken_is_not_ready() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_with(dir.path(), Some(database.url()), &[]).await;
    let admin = &process.admin;
    let send = async |id: String| {
        admin
            .post("/v1/usage-events", call(&id, "acme-42", "60"))
            .await
            .code()
    };
    assert_eq!(
        (
            send("before".to_owned()).await.as_str(),
            ready(admin).await.code().as_str()
        ),
        ("201", "200")
    );
    let mut disk = PgConnection::connect(database.url()).await.unwrap();
    let full = "create function full_disk() returns trigger as $$ begin raise exception 'no space \
        left' using errcode = '53100'; end $$ \
                language plpgsql; create trigger full_disk before insert on records for each row \
                execute function full_disk()";
    disk.execute(full).await.unwrap();
    for n in 0..3 {
        assert_eq!(send(format!("lost-{n}")).await, "503 unavailable");
    }
    let refused = ready(admin).await;
    assert_eq!(refused.code(), "503 not_writable", "{refused:?}");
    assert!(
        refused.text.contains("the last batches were not committed"),
        "{refused:?}"
    );
    disk.execute("drop trigger full_disk on records")
        .await
        .unwrap();
    assert_eq!(
        (
            send("lost-0".to_owned()).await.as_str(),
            ready(admin).await.code().as_str()
        ),
        ("201", "200")
    );

    let name = database.url().rsplit('/').next().unwrap();
    disk.execute(sqlx::AssertSqlSafe(format!(
        "alter database {name} set default_transaction_read_only = on"
    )))
    .await
    .unwrap();
    disk.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = \
        current_database() and pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    tokio::time::sleep(FRESH).await;
    let refused = ready(admin).await;
    assert_eq!(refused.code(), "503 not_writable", "{refused:?}");
    process.stop().await;
}

/// SQLite writes on into it, and nobody will ever find it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_into_a_removed_file_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let process = Process::start_with(&data, None, &[]).await;
    let at = clock::Clock::system().now().plus_secs(-3600).to_string();
    let event = |id: &str| json!({ "id": id, "customer": "acme-42", "meter": "call", "quantity": "60", "destination": "+4930123456", "at": at });
    process
        .admin
        .post("/v1/usage-events", event("before"))
        .await
        .ok();
    std::fs::remove_dir_all(&data).unwrap();
    assert_eq!(
        process
            .admin
            .post("/v1/usage-events", event("after"))
            .await
            .code(),
        "503 unavailable"
    );
    process.stop().await;
}

/// A connection that is taken and not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_is_not_healthy() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://centwise:geheim@{}/centwise",
        silent.local_addr().unwrap()
    );
    let looked = centwise(&["health-check", "--wait-secs", "1", "--database-url", &url]).await;
    let said = String::from_utf8_lossy(&looked.stdout);
    assert_eq!(looked.status.code(), Some(2), "{looked:?}");
    assert!(
        said.contains("has not answered within 1 s") && !said.contains("geheim"),
        "{said}"
    );
}

/// A connection on which a key was shown, and that is kept open.
fn with_a_key(address: &str, key: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /v1/meters HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
    )
    .unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    stream
}

/// Whoever holds all connections open keeps nobody from asking whether the server is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_connections_are_all_in_use_says_how_it_is() {
    let served = Served::with(Config {
        connections_max: 2,
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    })
    .await;
    let admin = &served.admin;
    // Silent ones make room.
    let _silent = [(); 200].map(|()| std::net::TcpStream::connect(served.running.address).unwrap());
    assert_eq!(admin.get("/v1/meters").await.status, 200);
    let (address, key) = (
        served.running.address.to_string(),
        served.running.admin_key.as_deref().unwrap(),
    );
    let idle = [(); 2].map(|()| with_a_key(&address, key));
    assert_eq!(admin.get("/v1/meters").await.code(), "429 overloaded");
    assert_eq!(admin.get("/health/ready").await.status, 200);
    assert_eq!(admin.get("/health/live").await.status, 200);
    let measures = admin.get("/metrics").await.text;
    assert!(
        measures.contains("centwise_connections_refused_total"),
        "{measures}"
    );
    drop(idle);
    while admin.get("/v1/meters").await.status != 200 {}
}

/// Once, and not with every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_that_all_connections_are_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("stderr");
    let stderr = std::fs::File::create(&said).unwrap();
    let server = Process::start_saying(
        &dir.path().join("data"),
        None,
        &[("CENTWISE_CONNECTIONS_MAX", "2")],
        stderr.into(),
    )
    .await;
    let address = server.url().replace("http://", "");
    let count = || {
        std::fs::read_to_string(&said)
            .unwrap()
            .matches("all connections are in use (--connections-max)")
            .count()
    };
    let idle = [(); 2].map(|()| with_a_key(&address, &server.key()));
    assert_eq!(count(), 0);
    for _ in 0..3 {
        assert_eq!(
            server.admin.get("/v1/meters").await.code(),
            "429 overloaded"
        );
    }
    assert_eq!(count(), 1);
    drop(idle);
    assert!(server.stop().await);
}
