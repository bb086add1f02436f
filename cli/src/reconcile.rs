//! `centwise reconcile`: asks a running server to compare the payment provider's balance with the
//! books.

use super::Ended;
use super::client::{Call, Trust};
use reports::reconciliation::ReconciliationBody;
use std::io::Write;

/// Compare the payment provider's balance with the posted amounts: exit code 0, or 1 and the
/// differences
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of days to look back
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// URL of the server
    #[arg(long, env = "CENTWISE_URL", value_name = "http[s]://HOST:PORT")]
    url: String,
    /// API key of a platform administrator
    #[arg(long, env = "CENTWISE_KEY", hide_env_values = true, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    trust: Trust,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let found: ReconciliationBody = super::runtime()?.block_on(async {
        let mut server = args.trust.endpoint(&args.url, &args.key)?.connect().await?;
        server
            .send(&Call::get(&format!(
                "/v1/payments/reconciliation?days={}",
                args.days
            )))
            .await?
            .json()
    })?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        writeln!(
            out,
            "{} payments compared, {} movements, {} of them not for top-ups",
            found.payments, found.moves, found.foreign
        )?;
        for one in &found.listed {
            writeln!(
                out,
                "{} {}: {} at the provider, {} posted",
                one.id, one.currency, one.provider_cents, one.posted_cents
            )?;
        }
        for one in &found.uncounted {
            writeln!(
                out,
                "{} {}: {} in the provider's units, fee {}: not counted",
                one.id, one.currency, one.amount, one.fee
            )?;
        }
        writeln!(
            out,
            "{}",
            if found.ok {
                "no differences".to_owned()
            } else {
                format!("{} differences", found.differences)
            }
        )?;
    }
    out.flush()?;
    Ok(if found.ok {
        Ended::Well
    } else {
        Ended::Findings
    })
}
