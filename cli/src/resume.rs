//! `centwise resume`: what to look through after a restore, and the word that it was done.

use super::client::{Call, Trust};
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
    let (before, after): (RestorationBody, Option<RestorationBody>) =
        super::runtime()?.block_on(async {
            let mut server = args.trust.endpoint(&args.url, &args.key)?.connect().await?;
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
        writeln!(
            out,
            "payouts, automatic top-ups and deliveries have resumed"
        )?;
    } else if is_held {
        checklist(&before, out)?;
    } else {
        writeln!(out, "nothing is on hold")?;
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
        "restored at {restored_at}, from a backup of {backup_at}: later changes are not in it."
    )?;
    writeln!(
        out,
        "Payouts, automatic top-ups and deliveries are held. Review this list, then run: centwise \
            resume --confirm"
    )?;
    writeln!(out)?;
    writeln!(
        out,
        "1. Keys revoked since then are valid again; keys created since then are unknown. Valid \
            keys:"
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
        "2. These are not resent automatically: manual top-ups and adjustments, tenants, \
            agreements, rate cards, meters. Enter them again."
    )?;
    writeln!(
        out,
        "3. Usage: have every sender resend everything since {backup_at}; events that already \
            exist are not charged again."
    )?;
    writeln!(
        out,
        "4. The server fetches the provider's payments. centwise reconcile lists the differences."
    )?;
    let open = counted(u64::try_from(held.open_payouts).unwrap_or(0), "payout");
    writeln!(
        out,
        "5. Payouts and SEPA files created since then are unknown; {open} had begun or were due. \
            When the rest is done, compare the"
    )?;
    writeln!(
        out,
        "   bank's statement and the provider's transfers with GET /v1/payouts, and enter each \
            one paid since then with its cents:"
    )?;
    writeln!(
        out,
        "   POST /v1/payouts {{\"reseller\":…,\"period\":…,\"cents\":…,\"reference\":…}}"
    )?;
    Ok(())
}
