//! What a large price list takes of the server's memory, and that it gives it back.

use crate::process::Process;
use hyper::Method;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

const ROWS: usize = 50_000;
/// Beside the file itself; rows, names and prices take about a quarter of it.
const BYTES_PER_ROW_MAX: usize = 400;
/// Of what the preview took, in its end.
const KEPT_MAX: usize = 8 << 20;

/// Nothing in it is said twice: a destination of its own and a price of its own for each prefix.
fn price_list(rows: usize) -> String {
    let mut text = "Destination,Prefix,Rate,Increment\n".to_owned();
    for row in 0..rows {
        writeln!(
            text,
            "Destination {row:07},{},0.{row:07}1,60/1",
            10_000_000 + row * 7
        )
        .unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_takes_a_few_words_a_row_and_gives_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path()).await;
    process
        .admin
        .post(
            "/v1/rate-cards",
            json!({"name": "large", "currency": "EUR"}),
        )
        .await
        .ok();
    let preview = async |rows: usize| {
        let import = "/v1/rate-cards/large/import?preview=true";
        let answer = process
            .admin
            .sending("text/csv")
            .ask(Method::POST, import, price_list(rows).into())
            .await
            .unwrap()
            .ok();
        assert_eq!(
            (&answer["preview"]["new"], &answer["preview"]["refused"]),
            (&json!(rows), &json!(0))
        );
    };
    // What the first one of any size takes.
    preview(100).await;
    let (Some(peak), Some(used)) = (process.memory("VmHWM"), process.memory("VmRSS")) else {
        eprintln!("skipped: this system does not tell the memory of a process");
        return;
    };
    preview(ROWS).await;
    // The system counts by threads, and adds up now and then: the peak may seem to have fallen.
    let took = process.memory("VmHWM").unwrap().saturating_sub(peak);
    let most = price_list(ROWS).len() + ROWS * BYTES_PER_ROW_MAX;
    assert!(
        took <= most,
        "a preview of {ROWS} rows took {took} bytes, expected at most {most}"
    );
    // The allocator gives back what has been free for a while, when it is asked for something.
    for _ in 0..300 {
        if process.memory("VmRSS").unwrap() <= used + KEPT_MAX {
            return;
        }
        process.admin.get("/v1/rate-cards").await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!(
        "{} bytes are kept of the {took} that a preview took",
        process.memory("VmRSS").unwrap().saturating_sub(used)
    );
}
