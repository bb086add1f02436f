//! What happened at Stripe, by its own account: events, and the moves of our balance there.

use super::client::Client;
use super::{amounts, event, secs, unreadable};
use crate::{BalanceMove, Event, MoveKind, MoveSum, Page, Result};
use miniserde::Deserialize;
use miniserde::json::Value;
use rating::Instant;
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_core::balance_transaction::{ListBalanceTransaction, RetrieveBalanceTransaction};
use stripe_core::event::ListEvent;
use stripe_shared::BalanceTransaction;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

/// Of one answer.
const PAGE: i64 = 100;

pub async fn ping(client: &Client) -> Result<()> {
    client
        .read(&RetrieveForMyAccountBalance::new())
        .await
        .map(|_| ())
}

pub async fn events(client: &Client, since: Instant, after: Option<&str>) -> Result<Page<Event>> {
    let mut list = ListEvent::new()
        .created(RangeQueryTs::gte(secs(since)))
        .limit(PAGE);
    if let Some(after) = after {
        list = list.starting_after(after);
    }
    let page = client.read(&list).await?;
    let next = next(
        page.has_more,
        page.data.last().map(|event| event.id.as_str()),
    );
    let named = |event: &stripe_shared::Event| event::is_event_id(event.id.as_str());
    let data = page
        .data
        .into_iter()
        .filter(named)
        .map(listed)
        .collect::<Result<_>>()?;
    Ok(Page { data, next })
}

fn listed(listed: stripe_shared::Event) -> Result<Event> {
    // Two libraries for JSON: the one that reads answers has no other way out.
    let object = serde_json::from_str(&miniserde::json::to_string(&listed.data.object))
        .map_err(|_| unreadable("an event"))?;
    let kind = listed.type_.as_str().to_owned();
    Ok(Event {
        object: event::about(&kind, &object, listed.account.as_deref()),
        id: listed.id.as_str().to_owned(),
        kind,
        created_at: Instant::from_secs(listed.created),
        live: listed.livemode,
        account: listed.account,
    })
}

pub async fn moves(
    client: &Client,
    from: Instant,
    until: Instant,
    after: Option<&str>,
) -> Result<Page<BalanceMove>> {
    let period = RangeBoundsTs {
        gte: Some(secs(from)),
        lt: Some(secs(until)),
        ..Default::default()
    };
    let mut list = ListBalanceTransaction::new()
        .created(RangeQueryTs::Bounds(period))
        .limit(PAGE);
    if let Some(after) = after {
        list = list.starting_after(after);
    }
    let page = client.read(&list).await?;
    let next = next(
        page.has_more,
        page.data.last().map(|entry| entry.id.as_str()),
    );
    let mut data = Vec::with_capacity(page.data.len());
    for entry in page.data {
        let mut found = moved(entry);
        if found.kind == MoveKind::Transfer
            && found
                .source
                .as_deref()
                .is_some_and(|source| source.starts_with("trr_"))
        {
            found.source = transfer_behind(client, &found.id).await?;
        }
        data.push(found);
    }
    Ok(Page { data, next })
}

fn moved(entry: BalanceTransaction) -> BalanceMove {
    let code = entry.currency.to_string();
    let sum = match (
        amounts::from_stripe(entry.amount, &code),
        amounts::from_stripe(entry.fee, &code),
    ) {
        (Ok((cents, currency)), Ok((fee, _))) => MoveSum::Counted {
            cents,
            fee,
            currency,
        },
        _ => MoveSum::Uncounted {
            amount: entry.amount,
            fee: entry.fee,
            currency: code,
        },
    };
    let source = entry.source.map(|source| source.id().as_str().to_owned());
    BalanceMove {
        id: entry.id.as_str().to_owned(),
        kind: kind(entry.type_.as_str(), source.as_deref().unwrap_or_default()),
        source,
        sum,
        created_at: Instant::from_secs(entry.created),
    }
}

/// Of an entry with its source in it, what is asked for.
#[derive(Deserialize)]
struct Sourced {
    source: Option<Value>,
}

/// The transfer that an entry of the balance sends back.
async fn transfer_behind(client: &Client, entry: &str) -> Result<Option<String>> {
    let request = RetrieveBalanceTransaction::new(entry).expand(vec!["source".to_owned()]);
    let found: Sourced = client.read_as(&request).await?;
    Ok(match found.source {
        Some(Value::Object(reversal)) => match reversal.get("transfer") {
            Some(Value::String(transfer)) => Some(transfer.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// <https://docs.stripe.com/reports/balance-transaction-types>; disputes are adjustments, told
/// apart by their source.
fn kind(kind: &str, source: &str) -> MoveKind {
    match kind {
        "charge" | "payment" => MoveKind::Charge,
        "refund" | "payment_refund" | "refund_failure" | "payment_failure_refund" => {
            MoveKind::Refund
        }
        "payment_reversal" => MoveKind::Dispute,
        "adjustment" if source.starts_with("dp_") || source.starts_with("du_") => MoveKind::Dispute,
        "transfer" | "transfer_refund" | "transfer_cancel" | "transfer_failure" => {
            MoveKind::Transfer
        }
        "adjustment" => MoveKind::Adjustment,
        "payout" | "payout_cancel" | "payout_failure" | "topup" | "topup_reversal" => {
            MoveKind::ToBank
        }
        _ => MoveKind::Other,
    }
}

fn next(has_more: bool, last: Option<&str>) -> Option<String> {
    last.filter(|_| has_more).map(str::to_owned)
}
