//! Payments with all that became of them, charges of saved methods, refunds.

use super::client::Client;
use super::{amounts, failure, metadata, reference, unreadable};
use crate::{
    CallKey, Charge, ChargeRequest, Dispute, DisputeStatus, Fee, ForeignPayment, Method, Payment,
    PaymentStatus, ProviderError, Refund, RefundRequest, RefundStatus, Result,
};
use rating::{Cents, Currency};
use stripe_core::balance_transaction::RetrieveBalanceTransaction;
use stripe_core::charge::RetrieveCharge;
use stripe_core::dispute::ListDispute;
use stripe_core::payment_intent::{
    CreatePaymentIntent, CreatePaymentIntentOffSession, RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_shared::{
    BalanceTransaction, PaymentIntent, PaymentIntentAllowedPaymentMethodTypes as Allowed,
};
use stripe_types::Expandable;

/// Refunds or disputes in one answer.
const PAGE: i64 = 100;
/// Pages of refunds, and of disputes, of one payment.
const PAGES_MAX: usize = 20;

pub async fn charge(client: &Client, key: &CallKey, request: &ChargeRequest) -> Result<Payment> {
    let amount = amounts::to_stripe(request.cents, request.currency)?;
    let methods = amounts::methods_for(
        &[Method::Card, Method::SepaDebit],
        request.cents,
        request.currency,
    )?;
    let create = CreatePaymentIntent::new(amount, amounts::code(request.currency))
        .customer(request.customer.as_str())
        .payment_method(request.method.as_str())
        .allowed_payment_method_types(methods.iter().map(allowed).collect::<Vec<_>>())
        .confirm(true)
        .off_session(CreatePaymentIntentOffSession::Bool(true))
        .description(request.description.as_str())
        .metadata(metadata(&request.reference));
    let intent = client.write(key, &create).await?;
    // From here on the money may have moved: an error must not read as a refusal.
    read(client, intent.id.as_str())
        .await
        .map_err(|error| ProviderError::Unknown(error.to_string()))
}

fn allowed(method: &Method) -> Allowed {
    match method {
        Method::Card => Allowed::Card,
        Method::SepaDebit => Allowed::SepaDebit,
    }
}

pub async fn read(client: &Client, id: &str) -> Result<Payment> {
    let expand = vec!["latest_charge.balance_transaction".to_owned()];
    let intent = client
        .read(&RetrievePaymentIntent::new(id).expand(expand))
        .await?;
    if let Some(foreign) = foreign(&intent) {
        return Err(ProviderError::Uncountable(Box::new(foreign)));
    }
    let charge = paid_charge(client, &intent).await?;
    payment(intent, charge)
}

/// What the books cannot count, if it is that.
fn foreign(intent: &PaymentIntent) -> Option<ForeignPayment> {
    let currency = intent.currency.to_string();
    if [intent.amount, intent.amount_received]
        .into_iter()
        .all(|amount| amounts::from_stripe(amount, &currency).is_ok())
    {
        return None;
    }
    let received = if intent.status.as_str() == "succeeded" {
        intent.amount_received
    } else {
        0
    };
    let refunded = match &intent.latest_charge {
        Some(Expandable::Object(charge)) => charge.amount_refunded,
        _ => 0,
    };
    Some(ForeignPayment {
        id: intent.id.as_str().to_owned(),
        reference: reference(&intent.metadata),
        currency,
        amount: received.saturating_sub(refunded).max(0),
        live: intent.livemode,
    })
}

fn payment(intent: PaymentIntent, charge: Option<Charge>) -> Result<Payment> {
    let code = intent.currency.to_string();
    let (cents, currency) = amounts::from_stripe(intent.amount, &code)?;
    let (received, _) = amounts::from_stripe(intent.amount_received, &code)?;
    let status = match intent.status.as_str() {
        "requires_action" => PaymentStatus::RequiresAction,
        "processing" => PaymentStatus::Processing,
        "succeeded" => PaymentStatus::Succeeded,
        "canceled" => PaymentStatus::Canceled,
        // `requires_payment_method`, `requires_confirmation`, `requires_capture`, and what is still
        // to be invented.
        _ => PaymentStatus::Open,
    };
    Ok(Payment {
        id: intent.id.as_str().to_owned(),
        reference: reference(&intent.metadata),
        cents,
        received: if status == PaymentStatus::Succeeded {
            received
        } else {
            Cents::ZERO
        },
        currency,
        status,
        customer: intent
            .customer
            .map(|customer| customer.id().as_str().to_owned()),
        method: intent
            .payment_method
            .map(|method| method.id().as_str().to_owned()),
        failure: intent
            .last_payment_error
            .map(|error| failure::decline(&error)),
        charge,
        live: intent.livemode,
    })
}

/// The charge that brought the money, with its refunds and disputes. Those that failed brought
/// none.
async fn paid_charge(client: &Client, intent: &PaymentIntent) -> Result<Option<Charge>> {
    let charge = match &intent.latest_charge {
        None => return Ok(None),
        Some(Expandable::Object(charge)) => charge.as_ref().clone(),
        Some(Expandable::Id(id)) => client.read(&RetrieveCharge::new(id)).await?,
    };
    if charge.status.as_str() == "failed" {
        return Ok(None);
    }
    let (cents, _) = amounts::from_stripe(charge.amount, &charge.currency.to_string())?;
    let reported = |fraud: &stripe_shared::ChargeFraudDetails| {
        [&fraud.stripe_report, &fraud.user_report]
            .into_iter()
            .any(|report| report.as_deref() == Some("fraudulent"))
    };
    let is_fraud = charge.fraud_details.as_ref().is_some_and(reported);
    let mut fees: Vec<Fee> = fee_of(client, charge.balance_transaction.as_ref())
        .await?
        .into_iter()
        .collect();
    let ((refunds, of_refunds), (disputes, of_disputes)) = tokio::try_join!(
        refunds(client, intent.id.as_str()),
        disputes(client, intent.id.as_str())
    )?;
    fees.extend(of_refunds);
    fees.extend(of_disputes);
    Ok(Some(Charge {
        id: charge.id.as_str().to_owned(),
        cents,
        fees,
        is_fraud,
        refunds,
        disputes,
    }))
}

/// Of one entry of the balance; `None`: there is no entry yet, or its currency is not among ours.
async fn fee_of(
    client: &Client,
    entry: Option<&Expandable<BalanceTransaction>>,
) -> Result<Option<Fee>> {
    Ok(match entry {
        None => None,
        Some(Expandable::Object(entry)) => fee(entry),
        Some(Expandable::Id(id)) => fee(&client.read(&RetrieveBalanceTransaction::new(id)).await?),
    })
}

fn fee(entry: &BalanceTransaction) -> Option<Fee> {
    amounts::fee(entry.fee, &entry.currency.to_string()).filter(|fee| fee.cents != Cents::ZERO)
}

/// With what Stripe took for them.
async fn refunds(client: &Client, payment: &str) -> Result<(Vec<Refund>, Vec<Fee>)> {
    let (mut all, mut fees): (Vec<Refund>, Vec<Fee>) = (Vec::new(), Vec::new());
    let expand = [
        "data.balance_transaction",
        "data.failure_balance_transaction",
    ]
    .map(str::to_owned)
    .to_vec();
    for _ in 0..PAGES_MAX {
        let mut list = ListRefund::new()
            .payment_intent(payment)
            .limit(PAGE)
            .expand(expand.clone());
        if let Some(last) = all.last() {
            list = list.starting_after(last.id.as_str());
        }
        let page = client.read(&list).await?;
        let more = page.has_more && !page.data.is_empty();
        for found in page.data {
            for entry in [
                &found.balance_transaction,
                &found.failure_balance_transaction,
            ] {
                fees.extend(fee_of(client, entry.as_ref()).await?);
            }
            all.push(self::refunded(found)?);
        }
        if !more {
            return Ok((all, fees));
        }
    }
    Err(unreadable("a payment with that many refunds"))
}

fn refunded(refund: stripe_shared::Refund) -> Result<Refund> {
    let status = match refund.status.as_deref() {
        Some("succeeded") => RefundStatus::Succeeded,
        Some("failed") => RefundStatus::Failed,
        Some("canceled") => RefundStatus::Canceled,
        // `pending`, `requires_action`
        _ => RefundStatus::Pending,
    };
    let (cents, _) = amounts::from_stripe(refund.amount, &refund.currency.to_string())?;
    let reference = refund.metadata.as_ref().and_then(reference);
    Ok(Refund {
        id: refund.id.as_str().to_owned(),
        reference,
        cents,
        status,
    })
}

/// With what Stripe took for them in another currency than theirs.
async fn disputes(client: &Client, payment: &str) -> Result<(Vec<Dispute>, Vec<Fee>)> {
    let (mut all, mut fees): (Vec<Dispute>, Vec<Fee>) = (Vec::new(), Vec::new());
    for _ in 0..PAGES_MAX {
        let mut list = ListDispute::new().payment_intent(payment).limit(PAGE);
        if let Some(last) = all.last() {
            list = list.starting_after(last.id.as_str());
        }
        let page = client.read(&list).await?;
        let more = page.has_more && !page.data.is_empty();
        for found in page.data {
            let (dispute, elsewhere) = dispute(&found)?;
            all.push(dispute);
            fees.extend(elsewhere);
        }
        if !more {
            return Ok((all, fees));
        }
    }
    Err(unreadable("a payment with that many disputes"))
}

fn dispute(dispute: &stripe_shared::Dispute) -> Result<(Dispute, Vec<Fee>)> {
    let status = match dispute.status.as_str() {
        "won" | "prevented" => DisputeStatus::Won,
        "lost" => DisputeStatus::Lost,
        status if status.starts_with("warning_") => DisputeStatus::Inquiry,
        _ => DisputeStatus::Open,
    };
    let (cents, currency) = amounts::from_stripe(dispute.amount, &dispute.currency.to_string())?;
    let (mut withdrawn, mut own, mut elsewhere) = (Cents::ZERO, Cents::ZERO, Vec::new());
    for entry in &dispute.balance_transactions {
        withdrawn = sum(withdrawn, taken(entry, cents, currency))?;
        match fee(entry) {
            Some(fee) if fee.currency == currency => own = sum(own, fee.cents)?,
            other => elsewhere.extend(other),
        }
    }
    Ok((
        Dispute {
            id: dispute.id.as_str().to_owned(),
            cents,
            status,
            withdrawn,
            fee: own,
        },
        elsewhere,
    ))
}

/// What an entry of the balance has taken from us for a dispute; counted in another currency it is
/// the whole of it.
fn taken(entry: &BalanceTransaction, disputed: Cents, currency: Currency) -> Cents {
    match amounts::from_stripe(entry.amount, &entry.currency.to_string()) {
        Ok((cents, settled_in)) if settled_in == currency => Cents(-cents.0),
        _ => Cents(-entry.amount.signum() * disputed.0),
    }
}

fn sum(a: Cents, b: Cents) -> Result<Cents> {
    a.checked_add(b).map_err(|_| unreadable("an amount"))
}

pub async fn of_charge(client: &Client, charge: &str) -> Result<Option<String>> {
    let charge = client.read(&RetrieveCharge::new(charge)).await?;
    Ok(charge
        .payment_intent
        .map(|payment| payment.id().as_str().to_owned()))
}

pub async fn refund(client: &Client, key: &CallKey, request: &RefundRequest) -> Result<Refund> {
    let create = CreateRefund::new()
        .payment_intent(request.payment.as_str())
        .amount(amounts::to_stripe(request.cents, request.currency)?)
        .metadata(metadata(&request.reference));
    let made = client.write(key, &create).await?;
    refunded(made).map_err(|error| ProviderError::Unknown(error.to_string()))
}
