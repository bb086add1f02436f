//! What `health-check` says of payments.

use super::finding::{Check, Status};
use api::payment_settings::PaymentSettings;
use payments::rows::look::PaymentsLook;
use provider::Provider as _;
use rating::Instant;

/// Of a server that has a provider, this long without a message is worth a look.
const QUIET_SECS: i64 = 7 * 86_400;

/// Nothing where there neither is a provider nor ever was one.
pub fn judged(look: &PaymentsLook, is_configured: bool, now: Instant) -> Vec<Check> {
    if !is_configured && *look == PaymentsLook::default() {
        return Vec::new();
    }
    let PaymentsLook {
        late,
        stuck,
        last_told_at,
        in_suspense,
        disputed,
        waiting_refunds,
    } = *look;
    let when = |is_bad: bool| if is_bad { Status::Warning } else { Status::Ok };
    let heard = last_told_at.map_or_else(
        || "no message received yet".to_owned(),
        |at| format!("last message at {at}"),
    );
    let quiet = last_told_at.is_some_and(|at| at.plus_secs(QUIET_SECS) < now);
    vec![
        Check {
            name: "webhooks",
            status: when(late + stuck > 0 || quiet),
            detail: format!("{late} waiting, {stuck} given up; {heard}"),
        },
        Check {
            name: "suspense",
            status: when(in_suspense > 0),
            detail: format!(
                "{in_suspense} payments that match no top-up (GET /v1/payments/suspense)"
            ),
        },
        Check {
            name: "payments",
            status: when(waiting_refunds > 0),
            detail: format!(
                "{waiting_refunds} refunds pending for long, {disputed} payments disputed"
            ),
        },
    ]
}

/// Whether the provider accepts the key; nothing without one.
pub fn provider(settings: &PaymentSettings) -> anyhow::Result<Option<Check>> {
    let check = |status, detail| {
        Some(Check {
            name: "provider",
            status,
            detail,
        })
    };
    let provider = match settings.provider() {
        Ok(Some(provider)) => provider,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(check(Status::Failure, format!("{error:#}"))),
    };
    let mode = if provider.is_live() {
        "live"
    } else {
        "sandbox"
    };
    Ok(match super::runtime()?.block_on(provider.ping()) {
        Ok(()) if settings.stripe_webhook_secrets.is_empty() => check(
            Status::Warning,
            format!(
                "the key is valid ({mode}), but no webhook secret is set \
                    (CENTWISE_STRIPE_WEBHOOK_SECRETS)"
            ),
        ),
        Ok(()) => check(Status::Ok, format!("the key is valid ({mode})")),
        Err(error) => check(Status::Warning, error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let now = Instant::from_secs(1_000_000);
        let worst = |look: PaymentsLook| {
            judged(&look, true, now)
                .iter()
                .map(|check| check.status)
                .max()
        };
        let heard = PaymentsLook {
            last_told_at: Some(now),
            ..PaymentsLook::default()
        };
        assert_eq!(worst(heard), Some(Status::Ok));
        assert!(judged(&PaymentsLook::default(), false, now).is_empty());
        for bad in [
            PaymentsLook { late: 1, ..heard },
            PaymentsLook { stuck: 1, ..heard },
            PaymentsLook {
                in_suspense: 1,
                ..heard
            },
            PaymentsLook {
                waiting_refunds: 1,
                ..heard
            },
            PaymentsLook {
                last_told_at: Some(now.plus_secs(-QUIET_SECS - 1)),
                ..heard
            },
        ] {
            assert_eq!(worst(bad), Some(Status::Warning), "{bad:?}");
        }
        assert_eq!(
            worst(PaymentsLook {
                disputed: 1,
                ..heard
            }),
            Some(Status::Ok)
        );
    }
}
