//! `centwise admin-key`: a way back in for whoever holds the database and no key.

use super::Ended;
use super::database::{Database, explained};
use anyhow::bail;
use api::database_url::Place;
use api::seed::Seeder;
use catalog::Catalog;
use clock::Clock;
use db::{Db, PostgresOptions};
use std::io::Write;
use tenants::Scope;

/// What the audit log says of it.
const REASON: &str = "centwise admin-key";

/// Create a new platform admin key directly in the database
///
/// Use this if the admin keys are lost or leaked. The audit log records the key and its origin.
/// With the embedded database the server must be stopped; with PostgreSQL it may run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Name of the key
    #[arg(
        long,
        default_value = "made by centwise admin-key",
        value_name = "TEXT"
    )]
    name: String,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let place = args.database.existing()?;
    let (id, secret) = super::runtime()?.block_on(async {
        let db = match &place {
            Place::File(file) => Db::open_sqlite(file)
                .await
                .map_err(|error| explained(error.into()))?,
            Place::Postgres(url) => Db::open_postgres(url, &PostgresOptions::existing()).await?,
        };
        let catalog = Catalog::new(&db);
        let Some(platform) = catalog.platform().await? else {
            bail!("the database has no platform: create it with `centwise serve`")
        };
        let (clock, scope) = (Clock::system(), Scope::PlatformAdmin);
        let made = Seeder::new(&catalog, &clock, platform.id, REASON)
            .key(&platform, scope, &args.name, None)
            .await;
        db.close().await;
        made
    })?;
    writeln!(
        out,
        "{id}: new platform admin key (shown once, keep it): {secret}"
    )?;
    writeln!(
        out,
        "revoke lost or leaked keys: POST /v1/api-keys/KEY/revoke"
    )?;
    Ok(Ended::Well)
}
