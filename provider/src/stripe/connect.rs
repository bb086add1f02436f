//! Accounts that commissions are paid to, and what is paid to them.
//! <https://docs.stripe.com/connect/separate-charges-and-transfers>

use super::client::Client;
use super::{amounts, metadata, reference};
use crate::{CallKey, Payee, PayeeRequest, ProviderError, Result, Transfer, TransferRequest};
use miniserde::Deserialize;
use miniserde::json::Value;
use rating::{Cents, Currency};
use stripe_connect::account::{
    CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers,
    CreateAccountController, CreateAccountControllerFees, CreateAccountControllerFeesPayer,
    CreateAccountControllerLosses, CreateAccountControllerLossesPayments,
    CreateAccountControllerStripeDashboard, CreateAccountControllerStripeDashboardType,
    RetrieveAccount,
};
use stripe_connect::account_link::{CreateAccountLink, CreateAccountLinkType};
use stripe_connect::transfer::{CreateTransfer, RetrieveTransfer};
use stripe_connect::transfer_reversal::CreateIdTransferReversal;

pub async fn create(client: &Client, key: &CallKey, request: &PayeeRequest) -> Result<Payee> {
    let mut transfers = CreateAccountCapabilitiesTransfers::new();
    transfers.requested = Some(true);
    let mut capabilities = CreateAccountCapabilities::new();
    capabilities.transfers = Some(transfers);
    let create = CreateAccount::new()
        .country(request.country.as_str())
        .controller(controller())
        .capabilities(capabilities)
        .metadata(metadata(&request.reference));
    Ok(payee(client.write_as(key, &create).await?))
}

/// The platform answers for the account and pays its fees; Stripe asks the payee who it is, and
/// shows it what came in.
fn controller() -> CreateAccountController {
    let mut fees = CreateAccountControllerFees::new();
    fees.payer = Some(CreateAccountControllerFeesPayer::Application);
    let mut losses = CreateAccountControllerLosses::new();
    losses.payments = Some(CreateAccountControllerLossesPayments::Application);
    let mut dashboard = CreateAccountControllerStripeDashboard::new();
    dashboard.type_ = Some(CreateAccountControllerStripeDashboardType::Express);
    let mut controller = CreateAccountController::new();
    controller.fees = Some(fees);
    controller.losses = Some(losses);
    controller.stripe_dashboard = Some(dashboard);
    controller
}

pub async fn read(client: &Client, id: &str) -> Result<Payee> {
    Ok(payee(client.read_as(&RetrieveAccount::new(id)).await?))
}

/// Of an account, the largest of Stripe's objects, only what is asked for.
#[derive(Deserialize)]
struct Account {
    id: String,
    payouts_enabled: Option<bool>,
    /// `{"transfers": "active"}`
    capabilities: Option<Value>,
    requirements: Option<Requirements>,
}

#[derive(Deserialize)]
struct Requirements {
    past_due: Option<Vec<String>>,
    currently_due: Option<Vec<String>>,
}

fn payee(account: Account) -> Payee {
    let asked = account.requirements.map(|asked| {
        [asked.past_due, asked.currently_due]
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    });
    let mut requirements: Vec<String> = asked.unwrap_or_default();
    requirements.sort_unstable();
    requirements.dedup();
    let is_active = |capabilities: &Value| match capabilities {
        Value::Object(of) => {
            matches!(of.get("transfers"), Some(Value::String(status)) if status == "active")
        }
        _ => false,
    };
    Payee {
        id: account.id,
        transfers_enabled: account
            .capabilities
            .is_some_and(|capabilities| is_active(&capabilities)),
        payouts_enabled: account.payouts_enabled.unwrap_or(false),
        requirements,
    }
}

/// A new one each time: it is good for minutes, and for one visit.
pub async fn onboarding_url(
    client: &Client,
    payee: &str,
    return_url: &str,
    refresh_url: &str,
) -> Result<String> {
    let link = CreateAccountLink::new(payee, CreateAccountLinkType::AccountOnboarding)
        .return_url(return_url)
        .refresh_url(refresh_url);
    Ok(client.read(&link).await?.url)
}

pub async fn transfer(
    client: &Client,
    key: &CallKey,
    request: &TransferRequest,
) -> Result<Transfer> {
    let create = CreateTransfer::new(amounts::code(request.currency), request.payee.as_str())
        .amount(amounts::to_stripe(request.cents, request.currency)?)
        .metadata(metadata(&request.reference));
    let made = client.write(key, &create).await?;
    transferred(made).map_err(|error| ProviderError::Unknown(error.to_string()))
}

pub async fn read_transfer(client: &Client, id: &str) -> Result<Transfer> {
    transferred(client.read(&RetrieveTransfer::new(id)).await?)
}

pub async fn reverse(
    client: &Client,
    key: &CallKey,
    transfer: &str,
    cents: Cents,
    currency: Currency,
) -> Result<Transfer> {
    let amount = amounts::to_stripe(cents, currency)?;
    client
        .write(key, &CreateIdTransferReversal::new(transfer).amount(amount))
        .await?;
    read_transfer(client, transfer)
        .await
        .map_err(|error| ProviderError::Unknown(error.to_string()))
}

fn transferred(transfer: stripe_shared::Transfer) -> Result<Transfer> {
    let code = transfer.currency.to_string();
    let (cents, currency) = amounts::from_stripe(transfer.amount, &code)?;
    let (reversed, _) = amounts::from_stripe(transfer.amount_reversed, &code)?;
    Ok(Transfer {
        id: transfer.id.as_str().to_owned(),
        reference: reference(&transfer.metadata),
        cents,
        currency,
        reversed,
    })
}
