//! Payment pages, and the customers whose methods they keep.

use super::client::Client;
use super::{amounts, metadata, reference, refused, secs};
use crate::{
    CallKey, CheckoutRequest, CustomerRequest, Method, ProviderError, Result, Session,
    SessionStatus,
};
use rating::{Cents, Instant};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAdaptivePricing,
    CreateCheckoutSessionAllowedPaymentMethodTypes as Allowed,
    CreateCheckoutSessionCustomerCreation, CreateCheckoutSessionLineItems,
    CreateCheckoutSessionLineItemsPriceData, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionPaymentIntentDataSetupFutureUsage, ExpireCheckoutSession,
    ListCheckoutSession, ProductData, RetrieveCheckoutSession,
};
use stripe_core::customer::CreateCustomer;
use stripe_shared::{CheckoutSession, CheckoutSessionLocale, CheckoutSessionMode};

pub async fn create(client: &Client, key: &CallKey, request: &CheckoutRequest) -> Result<Session> {
    session(client.write(key, &creation(request)?).await?)
}

fn creation(request: &CheckoutRequest) -> Result<CreateCheckoutSession> {
    let methods = amounts::methods_for(&request.methods, request.cents, request.currency)?;
    let mut create = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .client_reference_id(request.reference.as_str())
        .metadata(metadata(&request.reference))
        .line_items(vec![line(request)?])
        .payment_intent_data(payment_data(request))
        .allowed_payment_method_types(methods.iter().map(allowed).collect::<Vec<_>>())
        // The payer pays what we asked for, in our currency.
        .adaptive_pricing(adaptive_pricing_off())
        .locale(locale(request.locale.as_deref()))
        .success_url(request.success_url.as_str())
        .cancel_url(request.cancel_url.as_str())
        .expires_at(secs(request.expires_at));
    match &request.customer {
        Some(customer) => create = create.customer(customer.as_str()),
        None if request.save_method => {
            create = create.customer_creation(CreateCheckoutSessionCustomerCreation::Always)
        }
        None => {}
    }
    Ok(create)
}

fn line(request: &CheckoutRequest) -> Result<CreateCheckoutSessionLineItems> {
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(amounts::code(request.currency));
    price.unit_amount = Some(amounts::to_stripe(request.cents, request.currency)?);
    price.product_data = Some(ProductData::new(request.description.as_str()));
    let mut line = CreateCheckoutSessionLineItems::new();
    line.price_data = Some(price);
    line.quantity = Some(1);
    Ok(line)
}

fn payment_data(request: &CheckoutRequest) -> CreateCheckoutSessionPaymentIntentData {
    let mut data = CreateCheckoutSessionPaymentIntentData::new();
    data.description = Some(request.description.clone());
    data.metadata = Some(metadata(&request.reference));
    data.setup_future_usage = request
        .save_method
        .then_some(CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession);
    data
}

fn adaptive_pricing_off() -> CreateCheckoutSessionAdaptivePricing {
    let mut adaptive = CreateCheckoutSessionAdaptivePricing::new();
    adaptive.enabled = Some(false);
    adaptive
}

fn allowed(method: &Method) -> Allowed {
    match method {
        Method::Card => Allowed::Card,
        Method::SepaDebit => Allowed::SepaDebit,
    }
}

fn locale(tag: Option<&str>) -> CheckoutSessionLocale {
    match tag.unwrap_or_default() {
        "de" => CheckoutSessionLocale::De,
        "en" => CheckoutSessionLocale::En,
        "fr" => CheckoutSessionLocale::Fr,
        _ => CheckoutSessionLocale::Auto,
    }
}

pub async fn read(client: &Client, id: &str) -> Result<Session> {
    session(client.read(&RetrieveCheckoutSession::new(id)).await?)
}

/// As it is afterwards: a page that was paid meanwhile stays complete.
pub async fn expire(client: &Client, id: &str) -> Result<Session> {
    match client.read(&ExpireCheckoutSession::new(id)).await {
        Ok(expired) => session(expired),
        Err(ProviderError::Refused { .. }) => read(client, id).await,
        Err(error) => Err(error),
    }
}

pub async fn of_payment(client: &Client, payment: &str) -> Result<Option<Session>> {
    let found = client
        .read(&ListCheckoutSession::new().payment_intent(payment).limit(1))
        .await?;
    found.data.into_iter().next().map(session).transpose()
}

pub async fn create_customer(
    client: &Client,
    key: &CallKey,
    request: &CustomerRequest,
) -> Result<String> {
    let customer = client
        .write(
            key,
            &CreateCustomer::new().metadata(metadata(&request.reference)),
        )
        .await?;
    Ok(customer.id.as_str().to_owned())
}

fn session(session: CheckoutSession) -> Result<Session> {
    let status = match session.status.as_ref().map(|status| status.as_str()) {
        Some("open") => SessionStatus::Open,
        Some("complete") => SessionStatus::Complete,
        Some("expired") => SessionStatus::Expired,
        other => return Err(refused("session_status", other.unwrap_or("none"))),
    };
    let amount = session.amount_total.unwrap_or(0);
    // What cannot be counted is seen with its payment.
    let money = session
        .currency
        .and_then(|currency| amounts::from_stripe(amount, &currency.to_string()).ok());
    Ok(Session {
        id: session.id.as_str().to_owned(),
        reference: session
            .metadata
            .as_ref()
            .and_then(reference)
            .or(session.client_reference_id),
        url: session.url.filter(|_| status == SessionStatus::Open),
        status,
        payment: session
            .payment_intent
            .map(|payment| payment.id().as_str().to_owned()),
        cents: money.map_or(Cents::ZERO, |(cents, _)| cents),
        currency: money.map(|(_, currency)| currency),
        customer: session
            .customer
            .map(|customer| customer.id().as_str().to_owned()),
        expires_at: Instant::from_secs(session.expires_at),
        live: session.livemode,
    })
}
