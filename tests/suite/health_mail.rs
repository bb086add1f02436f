//! The e-mail of `health-check`: once when what it finds changes, wherever it is run from.

use crate::receiver::MailServer;
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

/// Nobody listens there.
const GONE: &str = "postgres://u:geheim@127.0.0.1:1/nodb";

async fn looked(here: &Path, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .args(["health-check", "--wait-secs", "1"])
        .current_dir(here)
        .env_clear()
        .envs(settings.iter().copied());
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A service has a data directory, and runs in `/`: it wrote every five minutes.
#[tokio::test]
async fn what_was_told_is_kept_in_the_data_directory() {
    let (data, here, mails) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        MailServer::start().await,
    );
    let settings = [
        ("CENTWISE_DATABASE_URL", GONE),
        ("CENTWISE_DATA_DIR", data.path().to_str().unwrap()),
        ("CENTWISE_SMTP_URL", mails.url.as_str()),
        ("CENTWISE_MAIL_FROM", "billing@example.com"),
        ("CENTWISE_HEALTH_EMAIL", "ops@example.com"),
    ];
    for _ in 0..3 {
        let looked = looked(here.path(), &settings).await;
        assert_eq!(looked.status.code(), Some(2), "{looked:?}");
        assert!(!said(&looked).contains("e-mail"), "{looked:?}");
    }
    let sent = mails.mails();
    assert!(
        sent.len() == 1
            && sent[0].0[0].contains("ops@example.com")
            && sent[0].1.contains("FAILURE"),
        "{sent:?}"
    );
    assert!(data.path().join("health-check.json").exists());
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);

    let elsewhere = here.path().join("no/such/file");
    let looked = looked(
        here.path(),
        &[
            &settings[..],
            &[("CENTWISE_HEALTH_STATE", elsewhere.to_str().unwrap())],
        ]
        .concat(),
    )
    .await;
    assert_eq!(mails.mails().len(), 2);
    let said = said(&looked);
    assert!(
        said.contains("was sent, but that could not be recorded") && !said.contains("was not sent"),
        "{said}"
    );
}

/// It was seen when the first alarm went nowhere.
#[tokio::test]
async fn who_is_written_to_is_checked_at_once() {
    let here = tempfile::tempdir().unwrap();
    let mail = [
        ("CENTWISE_SMTP_URL", "smtp://127.0.0.1:1"),
        ("CENTWISE_MAIL_FROM", "billing@example.com"),
    ];
    for (address, mail, expected) in [
        ("nonsense", &mail[..], "expected one address"),
        ("a@b.example,d@e.example", &mail, "expected one address"),
        (
            "ops@example.com",
            &[],
            "needs a mail server: set CENTWISE_SMTP_URL and CENTWISE_MAIL_FROM",
        ),
    ] {
        let settings = [
            &[
                ("CENTWISE_HEALTH_EMAIL", address),
                ("CENTWISE_DATABASE_URL", GONE),
            ][..],
            mail,
        ]
        .concat();
        let refused = looked(here.path(), &settings).await;
        let said = said(&refused);
        assert_eq!(
            (refused.status.code(), refused.stdout.len()),
            (Some(2), 0),
            "{address}: {refused:?}"
        );
        assert!(
            said.contains("CENTWISE_HEALTH_EMAIL") && said.contains(expected),
            "{address}: {said}"
        );
    }
}
