//! `centwise resume`: what to look through after a restore, and the word that it was done.

use super::client::{Call, Endpoint};
use super::{Ended, counted};
use api::http::operation::restoration::RestorationBody;
use std::io::Write;

/// Show what to review after a restore; with --confirm, resume payouts, automatic top-ups and
/// deliveries
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Confirm that the list has been reviewed, and resume payouts, top-ups and deliveries
    #[arg(long)]
    confirm: bool,
    /// Reason for the audit log
    #[arg(long, requires = "confirm", value_name = "TEXT")]
    reason: Option<String>,
    /// URL of the server
    #[arg(long, env = "CENTWISE_URL", value_name = "http://HOST:PORT")]
    url: String,
    /// API key of a platform administrator
    #[arg(long, env = "CENTWISE_KEY", hide_env_values = true, value_name = "KEY")]
    key: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let (before, after): (RestorationBody, Option<RestorationBody>) =
        super::runtime()?.block_on(async {
            let mut server = Endpoint::new(&args.url, &args.key)?.connect().await?;
            let before: RestorationBody =
                server.send(&Call::get("/v1/restoration")).await?.json()?;
            if !(args.confirm && before.is_held) {
                return anyhow::Ok((before, None));
            }
            let reason = serde_json::json!({ "reason": args.reason });
            let after = server
                .send(&Call::post(
                    "/v1/restoration/resume",
                    "application/json",
                    reason.to_string(),
                ))
                .await?
                .json()?;
            Ok((before, Some(after)))
        })?;
    let is_held = after.as_ref().unwrap_or(&before).is_held;
    if args.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string(after.as_ref().unwrap_or(&before))?
        )?;
    } else if after.is_some() {
        writeln!(out, "payouts, automatic top-ups and deliveries go on")?;
    } else if is_held {
        checklist(&before, out)?;
    } else {
        writeln!(out, "nothing is held")?;
    }
    out.flush()?;
    Ok(Ended::Well)
}

/// What a backup does not know, in the order in which it does harm.
fn checklist(held: &RestorationBody, out: &mut impl Write) -> anyhow::Result<()> {
    let backup_at = held.backup_at.as_deref().unwrap_or_default();
    let restored_at = held.restored_at.as_deref().unwrap_or_default();
    writeln!(
        out,
        "restored at {restored_at}, from a backup of {backup_at}: what happened since is not in it."
    )?;
    writeln!(
        out,
        "Payouts, automatic top-ups and deliveries are held. Look through this, then: centwise \
            resume --confirm"
    )?;
    writeln!(out)?;
    writeln!(
        out,
        "1. Keys that were revoked since are valid again, keys made since are unknown. Valid are:"
    )?;
    for key in &held.valid_keys {
        let scope = serde_json::to_value(key.scope)?;
        writeln!(
            out,
            "   {} {:?} ({})",
            key.id,
            key.name,
            scope.as_str().unwrap_or_default()
        )?;
    }
    writeln!(out, "   Revoke again: POST /v1/api-keys/KEY/revoke")?;
    writeln!(
        out,
        "2. Nobody sends these again: top-ups and adjustments by hand, tenants, agreements, rate \
            cards, meters. Make them again."
    )?;
    writeln!(
        out,
        "3. Usage: let every sender send again what it sent since {backup_at}; what is there \
            already charges nothing."
    )?;
    writeln!(
        out,
        "4. Payments of the provider are fetched by the server. centwise reconcile names what \
            differs."
    )?;
    let open = counted(u64::try_from(held.open_payouts).unwrap_or(0), "payout");
    writeln!(
        out,
        "5. Payouts and SEPA files made since are unknown, {open} had begun or were due. When the \
            rest is done, compare the"
    )?;
    writeln!(
        out,
        "   bank's statement and the provider's transfers with GET /v1/payouts, and enter each \
            that was paid with its cents:"
    )?;
    writeln!(
        out,
        "   POST /v1/payouts {{\"reseller\":…,\"period\":…,\"cents\":…,\"reference\":…}}"
    )?;
    Ok(())
}
