//! Decks over HTTP: in one step or not at all, and nothing closed by a row that was refused.

use super::*;

const DECK: &str =
    "Destination,Prefix,Rate\nAtlantis,4991,0.50\nAtlantis Mobile,49915,0.60\nLyonesse,4992,0.30\n";
const PATH: &str = "/v1/rate-cards/retail/import?owner=muster&initial=60&next=60";

impl Service {
    async fn deck(&self, more: &str, deck: &str) -> Answer {
        let admin = self.admin.clone();
        self.with_headers(
            &admin,
            "POST",
            &format!("{PATH}{more}"),
            &[("content-type", "text/csv")],
            deck.to_owned(),
        )
        .await
    }

    async fn versions(&self) -> Vec<String> {
        let admin = self.admin.clone();
        let list = self
            .get(&admin, "/v1/rate-cards/retail/versions?owner=muster")
            .await
            .ok();
        let told = |v: &Value| {
            format!(
                "{} {}",
                v["number"],
                v["status"].as_str().unwrap_or_default()
            )
        };
        list["data"].as_array().unwrap().iter().map(told).collect()
    }

    /// What a minute costs at an instant.
    async fn cents(&self, destination: &str, at: &str) -> Value {
        let admin = self.admin.clone();
        let ask = json!({"customer": "acme-42", "meter": "call", "quantity": "60", "destination": destination, "at": at});
        self.post(&admin, "/v1/price", ask).await.ok()["debit_cents"].clone()
    }
}

/// new, changed, closed, spared, unchanged
fn counts(answer: &Value) -> [u64; 5] {
    ["new", "changed", "closed", "spared", "unchanged"]
        .map(|name| answer["preview"][name].as_u64().unwrap())
}

#[tokio::test]
async fn the_same_deck_again_changes_nothing_and_a_later_one_keeps_earlier_prices() {
    let service = Service::reference().await;
    let first = service
        .deck("&mode=partial&effective_from=2026-11-01T00:00:00Z", DECK)
        .await;
    assert_eq!(
        (first.status.as_u16(), counts(&first.body)),
        (201, [3, 0, 0, 0, 1]),
        "{}",
        first.body
    );
    let again = service.deck("&mode=partial", DECK).await;
    assert_eq!(
        (
            again.status.as_u16(),
            counts(&again.body),
            again.body.get("version")
        ),
        (200, [0, 0, 0, 0, 4], None)
    );
    assert_eq!(service.versions().await, ["1 published", "2 published"]);

    let next = DECK
        .replace("0.50", "0.70")
        .replace("Lyonesse,4992,0.30", "Avalon,4993,0.20");
    let later = "&effective_from=2026-11-20T10:00:00Z";
    let preview = service
        .deck(&format!("{later}&preview=true"), &next)
        .await
        .ok();
    assert_eq!(counts(&preview), [1, 1, 2, 0, 1], "{preview}");
    let done = service.deck(later, &next).await;
    assert_eq!(
        (
            done.status.as_u16(),
            &done.body["preview"],
            &done.body["version"]["number"]
        ),
        (201, &preview["preview"], &json!(3))
    );
    for (destination, before, after) in [("+499100000001", 50, 70), ("+499150000001", 60, 60)] {
        assert_eq!(
            service.cents(destination, "2026-11-20T09:59:59Z").await,
            before,
            "{destination}"
        );
        assert_eq!(
            service.cents(destination, "2026-11-20T10:00:00Z").await,
            after,
            "{destination}"
        );
    }
    assert_eq!(
        service.cents("+499200000001", "2026-11-20T09:59:59Z").await,
        30
    );
}

#[tokio::test]
async fn refused_rows_stop_an_import_or_keep_their_rates() {
    let service = Service::reference().await;
    service
        .deck("&effective_from=2026-11-01T00:00:00Z", DECK)
        .await
        .ok();
    let broken = DECK
        .replace("0.60", "six")
        .replace("Lyonesse,4992,0.30\n", "");
    let refused = service.deck("", &broken).await;
    assert_eq!(refused.code(), (422, "invalid_deck"));
    assert_eq!(
        (
            &refused.body["errors"][0]["field"],
            &refused.body["errors"][0]["code"]
        ),
        (&json!("line 3 Rate"), &json!("invalid_price"))
    );
    assert_eq!(
        service.versions().await,
        ["1 published", "2 published"],
        "neither a version nor a draft"
    );
    let skipped = service
        .deck("&skip_refused=true", &broken.replace("0.50", "0.55"))
        .await
        .ok();
    assert_eq!(counts(&skipped), [0, 1, 1, 1, 0], "{skipped}");
    assert_eq!(
        service.cents("+499150000001", NOW).await,
        60,
        "not read, so as before"
    );
    assert_eq!(service.cents("+499100000001", NOW).await, 55);
}

#[tokio::test]
async fn a_failed_publication_leaves_no_draft() {
    let service = Service::reference().await;
    service
        .deck("&effective_from=2026-11-01T00:00:00Z", DECK)
        .await
        .ok();
    let clash = service
        .deck(
            "&effective_from=2026-11-01T00:00:00Z",
            &DECK.replace("0.50", "0.70"),
        )
        .await;
    assert_eq!(clash.code(), (409, "conflict"));
    assert_eq!(service.versions().await, ["1 published", "2 published"]);
    assert_eq!(
        service.deck("&map={}x", DECK).await.code(),
        (422, "invalid_field")
    );
    let by_index = "&map=%7B%22columns%22%3A%7B%22prefix%22%3A0%2C%22price%22%3A1%7D%2C%22headless%22%3Atrue%7D";
    assert_eq!(
        counts(
            &service
                .deck(&format!("{by_index}&preview=true"), "4991,0.5\n")
                .await
                .ok()
        )[1..],
        [0, 2, 0, 0]
    );
}

#[tokio::test]
async fn a_deck_may_be_larger_than_other_bodies() {
    let service = Service::reference().await;
    let name = "x".repeat(1 << 20);
    let mut deck = "Destination,Prefix,Rate\n".to_owned();
    // Behind 49 no number has a 0.
    for area in 20..=37 {
        deck.push_str(&format!("{name},49{area},0.5\n"));
    }
    assert!(deck.len() > service.app.body_bytes_max);
    assert_eq!(service.deck("", &deck).await.ok()["preview"]["new"], 18);
    let admin = service.admin.clone();
    let usage = service
        .with_headers(
            &admin,
            "POST",
            "/v1/usage-events",
            &[("content-type", "application/json")],
            deck,
        )
        .await;
    assert_eq!(usage.code(), (413, "body_too_large"));
}

/// However little is sent: what is read of a large card takes its turn.
#[tokio::test]
async fn a_large_card_is_read_in_turns_by_whatever_reads_it() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let rows: String = (0..4000)
        .map(|number| format!("Atlantis {number},4991{number:04},0.5{number:04}\n"))
        .collect();
    service
        .deck("", &format!("Destination,Prefix,Rate\n{rows}"))
        .await
        .ok();
    let version = "/v1/rate-cards/retail/versions/2?owner=muster";
    let diff = "/v1/rate-cards/retail/versions/2/diff?owner=muster&against=1";
    let call = json!({"initial": "60", "next": "60", "steps": [{"from": "0", "price": "0.40", "per": "60"}]});
    let draft =
        json!({"currency": "EUR", "rates": [{"key": "call", "meter": "call", "call": call}]});
    service
        .post(&admin, "/v1/rate-cards/retail/versions?owner=muster", draft)
        .await
        .ok();
    let publish = "/v1/rate-cards/retail/versions/3/publish?owner=muster";
    let from = json!({"effective_from": "2026-12-01T00:00:00Z"});
    let turn = service
        .app
        .reading_turns
        .next_of(service.app.platform, true)
        .await
        .unwrap();
    for path in [version, diff] {
        assert_eq!(
            service.get(&admin, path).await.code(),
            (429, "rate_limited"),
            "{path}"
        );
    }
    assert_eq!(
        service
            .deck("&preview=true&mode=partial", DECK)
            .await
            .code(),
        (429, "rate_limited")
    );
    assert_eq!(
        service.post(&admin, publish, from.clone()).await.code(),
        (429, "rate_limited")
    );
    // A small one waits for nobody.
    service
        .get(&admin, "/v1/rate-cards/retail/versions/1?owner=muster")
        .await
        .ok();
    drop(turn);
    for path in [version, diff] {
        service.get(&admin, path).await.ok();
    }
    service.deck("&preview=true&mode=partial", DECK).await.ok();
    service.post(&admin, publish, from.clone()).await.ok();
}
