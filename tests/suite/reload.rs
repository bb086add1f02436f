//! SIGHUP: secrets that lie in files are read again, all of them or none.

use crate::process::Process;
use hmac::{Hmac, KeyInit, Mac};
use rating::Instant;
use sha2::Sha256;
use std::path::PathBuf;
use std::time::Duration;

const TIME_MAX: Duration = Duration::from_secs(60);

/// A server whose secrets lie in files, and what it says.
struct Reloading {
    server: Process,
    dir: tempfile::TempDir,
}

impl Reloading {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for (name, secret) in FILES {
            std::fs::write(file(name), secret).unwrap();
        }
        let files = [file("hook"), file("key"), file("smtp")];
        let settings = [
            ("CENTWISE_STRIPE_WEBHOOK_SECRETS_FILE", files[0].as_str()),
            ("CENTWISE_STRIPE_SECRET_KEY_FILE", &files[1]),
            ("CENTWISE_SMTP_URL_FILE", &files[2]),
            ("CENTWISE_MAIL_FROM", "a@example.com"),
            ("CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS", "whsec_connected"),
            ("CENTWISE_PUBLIC_URL", "https://billing.example.com"),
            ("CENTWISE_STRIPE_API_URL", "http://127.0.0.1:1/"),
        ];
        let said = std::fs::File::create(dir.path().join("stderr")).unwrap();
        let server =
            Process::start_saying(&dir.path().join("data"), None, &settings, said.into()).await;
        Self { server, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, secret: &str) {
        std::fs::write(self.path(name), secret).unwrap();
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap()
    }

    /// SIGHUP; what it says of it.
    async fn hangup(&self) -> String {
        let before = self.said().len();
        self.server.signal("-HUP").await;
        let told = async {
            loop {
                let said = self.said().split_off(before);
                if let Some(line) = said.lines().find(|line| line.contains("reloaded")) {
                    return line.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIME_MAX, told)
            .await
            .expect("it says what became of it")
    }

    /// What a message signed with this secret is answered.
    async fn hears(&self, secret: &str) -> String {
        self.hears_at("/v1/webhooks/stripe", secret).await
    }

    async fn hears_at(&self, path: &str, secret: &str) -> String {
        let clock = self.server.admin.get("/v1/clock").await.ok();
        let now: Instant = clock["time"].as_str().unwrap().parse().unwrap();
        let (time, body) = (
            now.micros() / 1_000_000,
            serde_json::json!({ "id": "evt_1", "type": "balance.available", "livemode": false }),
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{body}").as_bytes());
        let signature: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.server
            .admin
            .signed(&format!("t={time},v1={signature}"))
            .post(path, body)
            .await
            .code()
    }
}

const FILES: [(&str, &str); 3] = [
    ("hook", "whsec_old\n"),
    ("key", "sk_test_old"),
    ("smtp", "smtps://u:geheim@127.0.0.1:1"),
];
const FORGED: &str = "400 invalid_signature";

#[tokio::test]
async fn a_hangup_reads_secrets_of_files_again() {
    let reloading = Reloading::start().await;
    assert_eq!(
        (
            reloading.hears("whsec_old").await.as_str(),
            reloading.hears("whsec_new").await.as_str()
        ),
        ("200", FORGED)
    );

    reloading.write("hook", "whsec_new,whsec_next\n");
    let said = reloading.hangup().await;
    for variable in [
        "CENTWISE_STRIPE_WEBHOOK_SECRETS",
        "CENTWISE_STRIPE_SECRET_KEY",
        "CENTWISE_SMTP_URL",
    ] {
        assert!(said.contains(variable), "{said}");
    }
    assert!(!said.contains("CONNECT"), "it lies in no file: {said}");
    for (secret, want) in [
        ("whsec_new", "200"),
        ("whsec_next", "200"),
        ("whsec_old", FORGED),
    ] {
        assert_eq!(reloading.hears(secret).await, want, "{secret}");
    }
    assert_eq!(
        reloading
            .hears_at("/v1/webhooks/stripe-connect", "whsec_connected")
            .await,
        "200",
        "what lies in no file stays"
    );
    assert_eq!(
        reloading
            .hears_at("/v1/webhooks/stripe-connect", "whsec_new")
            .await,
        FORGED
    );
    assert!(reloading.server.stop().await);
}

#[tokio::test]
async fn of_secrets_that_are_wrong_none_is_taken() {
    let reloading = Reloading::start().await;
    let file = |name: &str| FILES.iter().find(|(known, _)| *known == name).unwrap().1;
    for (name, secret, variable) in [
        ("hook", "geheim-1", "CENTWISE_STRIPE_WEBHOOK_SECRETS"),
        ("hook", "whsec_new,", "CENTWISE_STRIPE_WEBHOOK_SECRETS"),
        ("hook", "\n", "CENTWISE_STRIPE_WEBHOOK_SECRETS"),
        ("key", "geheim-2", "CENTWISE_STRIPE_SECRET_KEY"),
        ("key", "sk_live_geheim", "CENTWISE_STRIPE_SECRET_KEY"),
        (
            "smtp",
            "http://u:geheim@mail.example.com",
            "CENTWISE_SMTP_URL",
        ),
    ] {
        // The other one is right, and does not count either.
        reloading.write("hook", "whsec_new");
        reloading.write(name, secret);
        let said = reloading.hangup().await;
        assert!(
            said.contains(variable) && said.contains("ERROR"),
            "{secret}: {said}"
        );
        assert_eq!(
            (
                reloading.hears("whsec_old").await.as_str(),
                reloading.hears("whsec_new").await.as_str()
            ),
            ("200", FORGED),
            "{secret}"
        );
        reloading.write(name, file(name));
    }
    std::fs::remove_file(reloading.path("key")).unwrap();
    let said = reloading.hangup().await;
    assert!(said.contains("CENTWISE_STRIPE_SECRET_KEY_FILE"), "{said}");

    // Set right, it is taken.
    reloading.write("key", "sk_test_new");
    reloading.write("hook", "whsec_new");
    assert!(reloading.hangup().await.contains("INFO"));
    assert_eq!(
        (
            reloading.hears("whsec_old").await.as_str(),
            reloading.hears("whsec_new").await.as_str()
        ),
        (FORGED, "200")
    );
    let said = reloading.said();
    assert!(
        ["geheim", "whsec_new", "whsec_old", "sk_test", "sk_live_g"]
            .iter()
            .all(|secret| !said.contains(secret)),
        "{said}"
    );
    assert!(reloading.server.stop().await);
}

#[tokio::test]
async fn without_files_a_hangup_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = std::fs::File::create(dir.path().join("stderr")).unwrap();
    let reloading = Reloading {
        server: Process::start_saying(&dir.path().join("data"), None, &[], stderr.into()).await,
        dir,
    };
    let line = reloading.hangup().await;
    assert!(
        line.contains("WARN")
            && line.contains("no secret of Stripe or of the mail server is in a file"),
        "{line}"
    );
    assert_eq!(
        reloading.server.admin.get("/health/ready").await.status,
        200
    );
    assert!(reloading.server.stop().await);
}
