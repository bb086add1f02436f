//! `serve --demo`: the reference chain, ready to try.
//!
//! The platform sells to "Muster Telecom" by a wholesale card, and to "Nord Voice" for 25 %
//! commission; Nord Voice sells on to "Kiel Connect" for 25 % commission. Each reseller has
//! customers with 50.00 EUR prepaid. Planted once: a restart finds it and prints its keys again.

use anyhow::{Context, bail};
use api::opening::PLATFORM;
use api::seed::Seeder;
use api::server::Running;
use ledger::AccountKey;
use metering::requests::{MoneyKind, MoveMoney};
use rating::card::{CallTerms, CardDoc, MeterTerms, Model, PriceModel, Rate, Step};
use rating::{Cents, Currency, Instant, Quantity, money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use tenants::{Pricing, Scope, Tenant, TenantKind};

const FIRST_RESELLER: &str = "muster-telecom";
const PREPAID: Cents = Cents(5000);
const COMMISSION: Pricing = Pricing::Commission {
    commission_bp: tenants::agreement::COMMISSION_BP_DEFAULT,
};
/// The demo's keys, beside its database, so that a restart can print them again.
const KEYS_FILE: &str = "demo-keys.json";

/// Prices per minute of call, and per api_call, booking, sms.
const WHOLESALE: [&str; 4] = ["0.30", "0.10", "1.00", "0.05"];
const RETAIL: [&str; 4] = ["0.40", "0.15", "1.50", "0.08"];
const METERS: [(&str, &str); 4] = [
    ("call", "second"),
    ("api_call", "request"),
    ("booking", "booking"),
    ("sms", "message"),
];

/// Secrets of keys that only exist in a demo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keys {
    platform_admin: String,
    muster_telecom_admin: String,
    muster_telecom_usage: String,
}

/// Plants what is missing, and prints keys and commands to paste. `directory` holds the database.
pub async fn start(
    running: &Running,
    directory: &Path,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot create the directory {}", directory.display()))?;
    let file = directory.join(KEYS_FILE);
    let platform = running
        .app
        .catalog
        .platform()
        .await?
        .context("the database has no platform")?;
    refuse_others_books(running, &platform).await?;
    seed(running, &platform).await?;
    let keys = match kept_keys(running, &file).await? {
        Some(keys) => keys,
        None => make_keys(running, &platform, &file).await?,
    };
    running.app.invalidate();
    print(running, &keys, out)
}

/// The demo's tenants, and its keys in a file, are nothing for an installation with tenants of its
/// own.
async fn refuse_others_books(running: &Running, platform: &Tenant) -> anyhow::Result<()> {
    let records = &running.app.catalog;
    let has_tenants = !records
        .children(platform.id, None, 1)
        .await?
        .data
        .is_empty();
    if has_tenants
        && records
            .tenant_by_external_id(platform, FIRST_RESELLER)
            .await?
            .is_none()
    {
        bail!(
            "this installation already has tenants; --demo needs an empty one: choose another \
                place with --data-dir or --database-url"
        );
    }
    Ok(())
}

/// Every step looks first whether it was taken: a start that was interrupted is finished by the
/// next one.
async fn seed(running: &Running, platform: &Tenant) -> anyhow::Result<()> {
    let seeder = Seeder::new(
        &running.app.catalog,
        &running.app.clock,
        platform.id,
        "demo",
    );
    seeder.meters(&meters()).await?;
    let rate_card = seeder
        .card(platform, "Wholesale", &card(WHOLESALE)?)
        .await?;
    let reseller = |seller, id, name, pricing| {
        seeder.ensure(seller, TenantKind::Reseller, (id, name), pricing, None)
    };
    let muster = reseller(
        platform,
        FIRST_RESELLER,
        "Muster Telecom",
        Pricing::Wholesale { rate_card },
    )
    .await?;
    let nord = reseller(platform, "nord-voice", "Nord Voice", COMMISSION).await?;
    let kiel = reseller(&nord, "kiel-connect", "Kiel Connect", COMMISSION).await?;
    let shops: [(&Tenant, &[(&str, &str)]); 3] = [
        (&muster, &[("acme-42", "Acme GmbH"), ("beta-7", "Beta KG")]),
        (&nord, &[("gamma-1", "Gamma OHG")]),
        (&kiel, &[("delta-3", "Delta e.K.")]),
    ];
    for (seller, customers) in shops {
        let rate_card = seeder.card(seller, "Retail", &card(RETAIL)?).await?;
        for customer in customers {
            let pricing = Pricing::Wholesale { rate_card };
            let customer = seeder
                .ensure(
                    seller,
                    TenantKind::Customer,
                    *customer,
                    pricing,
                    Some(Cents::ZERO),
                )
                .await?;
            running.app.invalidate();
            top_up(running, &customer).await?;
        }
    }
    Ok(())
}

/// Once: its key stays the same.
async fn top_up(running: &Running, customer: &Tenant) -> anyhow::Result<()> {
    let money = MoveMoney {
        kind: MoneyKind::TopUp,
        key: format!("demo-{}", customer.external_id),
        account: AccountKey::balance(customer.id, Currency::EUR),
        root: customer.root,
        cents: PREPAID,
        reason: "demo".to_owned(),
    };
    running
        .app
        .engine
        .move_money(money)
        .await
        .with_context(|| format!("cannot top up {}", customer.external_id))?;
    Ok(())
}

/// The keys of an earlier start, if the file is there and of this database.
async fn kept_keys(running: &Running, file: &Path) -> anyhow::Result<Option<Keys>> {
    let kept = std::fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Keys>(&bytes).ok());
    let Some(keys) = kept else { return Ok(None) };
    let known = running
        .app
        .catalog
        .key_by_hash(&tenants::key::hash(&keys.platform_admin))
        .await?;
    Ok(known.filter(|key| key.revoked_at.is_none()).map(|_| keys))
}

async fn make_keys(running: &Running, platform: &Tenant, file: &Path) -> anyhow::Result<Keys> {
    let records = &running.app.catalog;
    let muster = records
        .tenant_by_external_id(platform, FIRST_RESELLER)
        .await?
        .context("the demo's reseller no longer exists")?;
    let seeder = Seeder::new(records, &running.app.clock, platform.id, "demo");
    let keys = Keys {
        platform_admin: seeder
            .key(platform, Scope::PlatformAdmin, "demo: platform admin", None)
            .await?
            .1,
        muster_telecom_admin: seeder
            .key(&muster, Scope::TenantAdmin, "demo: Muster Telecom", None)
            .await?
            .1,
        muster_telecom_usage: seeder
            .key(
                &muster,
                Scope::UsageWrite,
                "demo: Muster Telecom's switch",
                None,
            )
            .await?
            .1,
    };
    write_private(file, &serde_json::to_vec_pretty(&keys)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(keys)
}

/// Readable by the owner only.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(bytes)
}

fn print(running: &Running, keys: &Keys, out: &mut impl Write) -> anyhow::Result<()> {
    let (url, key) = (running.url(), &keys.platform_admin);
    let now = running.app.clock.now();
    let id = format!("demo-call-{}", now.micros() / 1_000_000);
    let at = Instant::from_secs(now.micros() / 1_000_000 - 600);
    let event = serde_json::json!({
        "id": id, "customer": "acme-42", "meter": "call", "quantity": "600", "at": at, "destination": "+4930123456",
    });
    let send = format!(
        "curl -s {url}/v1/usage-events -H 'Authorization: Bearer {key}' -H 'Content-Type: \
            application/json' -d '{event}'"
    );
    writeln!(
        out,
        "\nThe demo: {PLATFORM} -> muster-telecom (wholesale) -> acme-42, beta-7"
    )?;
    writeln!(
        out,
        "          {PLATFORM} -> nord-voice (25 % commission) -> gamma-1"
    )?;
    writeln!(
        out,
        "                                   nord-voice -> kiel-connect (25 % commission) -> delta-3"
    )?;
    writeln!(out, "  key of the platform:               {key}")?;
    writeln!(
        out,
        "  key of Muster Telecom:             {}",
        keys.muster_telecom_admin
    )?;
    writeln!(
        out,
        "  key of Muster Telecom's switch:    {} (sends usage only)",
        keys.muster_telecom_usage
    )?;
    writeln!(
        out,
        "\n# 1. A call of 10 minutes: acme-42 pays 4.00, the platform gets 3.00, Muster Telecom \
            1.00\n{send}"
    )?;
    writeln!(out, "\n# 2. The same call again: nothing changes\n{send}")?;
    writeln!(
        out,
        "\n# 3. Why?\ncurl -s {url}/v1/usage-events/default/{id} -H 'Authorization: Bearer {key}'\n"
    )?;
    out.flush()?;
    Ok(())
}

fn meters() -> Vec<(&'static str, MeterTerms)> {
    let terms = |unit: &str| MeterTerms {
        unit: unit.to_owned(),
        aggregation: rating::card::Aggregation::Sum,
        unique_by: None,
    };
    METERS
        .iter()
        .map(|&(name, unit)| (name, terms(unit)))
        .collect()
}

/// A card of the four meters: calls per second at a price per minute, the others per unit.
fn card(prices: [&str; 4]) -> anyhow::Result<CardDoc> {
    let mut rates = Vec::new();
    for ((meter, _), price) in METERS.iter().zip(prices) {
        rates.push(rate(meter, price.parse()?));
    }
    Ok(CardDoc {
        currency: Currency::EUR,
        zone: "Europe/Berlin".to_owned(),
        fallback: None,
        meters: BTreeMap::new(),
        rates,
    })
}

fn rate(meter: &str, price: money::Rate) -> Rate {
    let is_call = meter == "call";
    let step = Step {
        from: Quantity::ZERO,
        price,
        per: Quantity::whole(60),
        increment: None,
        fixed_fee: None,
    };
    let per_unit = Model::PerUnit {
        unit_price: price,
        per: Quantity::whole(1),
    };
    let model = PriceModel {
        model: per_unit,
        allowance: None,
        percent_discount: None,
        maximum_spend: None,
        minimum_spend: None,
        convert: None,
    };
    Rate {
        key: meter.to_owned(),
        meter: meter.to_owned(),
        prefixes: Vec::new(),
        origin_prefixes: Vec::new(),
        attributes: BTreeMap::new(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: is_call.then(|| {
            CallTerms {
                steps: vec![step],
                ..CallTerms::default()
            }
            .into()
        }),
        price: (!is_call).then(|| model.into()),
        counted: false,
        rounding: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Call, Endpoint};
    use api::config::Config;
    use api::server;
    use clock::Clock;

    /// Starts the demo over a directory; the server and what was printed.
    async fn demo(directory: &Path) -> (Running, String) {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: directory.to_owned(),
            ..Config::default()
        };
        let running = server::serve(&config, Clock::system()).await.unwrap();
        let mut printed = Vec::new();
        start(&running, directory, &mut printed).await.unwrap();
        (running, String::from_utf8(printed).unwrap())
    }

    fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
        text.split_once(before)
            .unwrap()
            .1
            .split_once(after)
            .unwrap()
            .0
    }

    async fn answer(running: &Running, key: &str, call: Call<'_>) -> String {
        let mut connection = Endpoint::new(&running.url(), key)
            .unwrap()
            .connect()
            .await
            .unwrap();
        String::from_utf8(connection.send(&call).await.unwrap().ok().unwrap().to_vec()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_printed_call_is_split_once_also_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (running, printed) = demo(directory.path()).await;
        let (key, event) = (
            between(&printed, "Bearer ", "'"),
            between(&printed, "-d '", "'"),
        );
        let send = || Call::post("/v1/usage-events", "application/json", event.to_owned());
        let first = answer(&running, key, send()).await;
        let want = r#""debit_cents":400,"splits":[{"tenant":"platform","cents":300},{"tenant":"muster-telecom","cents":100}],"balance_cents":4600"#;
        assert!(
            first.contains(want) && first.contains(r#""status":"rated""#),
            "{first}"
        );
        running.stop().await.unwrap();

        let (running, again) = demo(directory.path()).await;
        assert_eq!(between(&again, "Bearer ", "'"), key, "the same keys");
        let second = answer(&running, key, send()).await;
        assert!(
            second.contains(want) && second.contains(r#""status":"duplicate""#),
            "{second}"
        );
        let id = between(event, r#""id":""#, r#"""#);
        let path = format!("/v1/usage-events/default/{id}");
        assert_eq!(
            between(&printed, &running_path(&printed), "'").trim(),
            format!("{path} -H")
        );
        assert!(
            answer(&running, key, Call::get(&path))
                .await
                .contains(r#""cents":300"#)
        );
        for (customer, cents) in [
            ("beta-7", 5000),
            ("gamma-1", 5000),
            ("delta-3", 5000),
            ("muster-telecom", 100),
        ] {
            let account = answer(
                &running,
                key,
                Call::get(&format!("/v1/accounts/{customer}")),
            )
            .await;
            assert!(
                account.contains(&format!(r#""posted_cents":{cents},"#)),
                "{account}"
            );
        }
        running.stop().await.unwrap();
    }

    /// What stands before the path in the third command.
    fn running_path(printed: &str) -> String {
        let url = between(printed, "curl -s ", "/v1/");
        format!("# 3. Why?\ncurl -s {url}")
    }
}
