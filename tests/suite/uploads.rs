//! Bodies that come slowly, or never to their end.

use crate::http_world::{Market, call};
use crate::served::Served;
use api::config::Config;
use hyper::Method;
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DECK: &str = "Destination,Prefix,Rate,Increment\nAtlantis,4991,0.50,60/60\n";

/// The beginning of a request that says of itself that it is longer.
async fn begun(address: SocketAddr, path: &str, key: &str, framing: &str, body: &str) -> TcpStream {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{framing}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Half a price list of one key kept everybody else's from being imported, for half a minute each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_price_list_keeps_nobody_waiting() {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        body_bytes_max: 4096,
        ..Config::default()
    };
    let market = Market::over(Served::with(config).await).await;
    let path = format!(
        "/v1/rate-cards/{}/import?preview=true&mode=partial",
        market.id("retail")
    );
    let other = format!(
        "/v1/rate-cards/{}/import?preview=true&mode=partial",
        market.id("retail-2")
    );
    let (address, list) = (
        market.served.running.address,
        DECK.to_owned() + &"x,4992,0.1,60/60\n".repeat(400),
    );
    let length = format!(
        "content-type: text/csv\r\ncontent-length: {}",
        2 * list.len()
    );
    let mut halves = Vec::new();
    for key in [
        market.secret("muster admin"),
        market.secret("agent admin"),
        market.served.running.admin_key.as_deref().unwrap(),
    ] {
        for _ in 0..2 {
            halves.push(begun(address, &path, key, &length, &list).await);
        }
    }
    for (by, path) in [("muster admin", &path), ("agent admin", &other)] {
        let answer = market
            .by(by)
            .sending("text/csv")
            .ask(Method::POST, path, list.clone().into())
            .await
            .unwrap();
        assert_eq!(answer.code(), "200", "{by}: {answer:?}");
    }
    let answer = market
        .admin()
        .sending("text/csv")
        .ask(Method::POST, &path, list.clone().into())
        .await
        .unwrap();
    assert_eq!(answer.code(), "200", "{answer:?}");
    // Whoever goes on is dealt with in the end.
    let mut half = halves.swap_remove(0);
    half.write_all(list.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    half.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

/// The caller's fault, and none of the server's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let market = Market::new().await;
    let (address, key) = (
        market.served.running.address,
        market.served.running.admin_key.as_deref().unwrap(),
    );
    let event = call("cut", "acme-42", "60").to_string();
    let import = format!(
        "/v1/rate-cards/{}/import?preview=true&mode=partial",
        market.id("retail")
    );
    let cut = |bytes: usize| format!("content-length: {bytes}");
    for (path, kind) in [
        ("/v1/usage-events", "application/json"),
        ("/v1/tenants", "application/json"),
        ("/v1/ingest/asterisk?zone=UTC", "text/csv"),
        (&import, "text/csv"),
    ] {
        for (framing, body) in [
            (cut(event.len() + 10), event.as_str()),
            (cut(20 << 20), &event),
            (
                "transfer-encoding: chunked".to_owned(),
                "zz\r\nno length\r\n",
            ),
            ("transfer-encoding: chunked".to_owned(), "10\r\nbroken off"),
        ] {
            if framing == cut(20 << 20) && path != import {
                // Refused for what it says of its length.
                continue;
            }
            let framing = format!("content-type: {kind}\r\n{framing}");
            let mut stream = begun(address, path, key, &framing, body).await;
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 400"),
                "{path} {framing} {body}: {answer}"
            );
            assert!(
                answer.contains("\"code\":\"invalid_request\""),
                "{path} {framing} {body}: {answer}"
            );
        }
    }
    assert_eq!(market.balance("acme-42").await, 5000);
    let known = market
        .admin()
        .post("/v1/usage-events", json!([call("cut", "acme-42", "60")]))
        .await
        .ok();
    assert_eq!(
        known["data"][0]["status"], "rated",
        "nothing was taken before"
    );
}
