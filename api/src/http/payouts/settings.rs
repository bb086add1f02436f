//! `/v1/tenants/{tenant}/payout-settings` and `…/payee`: how a reseller is paid, and to where.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use hyper::Uri;
use payouts::rows::{BankAccount, PayoutMethod, PayoutRows, PayoutSettings};
use payouts::{bank_account, default_settings};
use problem::Code;
use rating::{Cents, Currency};
use schema::words;
use serde::{Deserialize, Serialize};
use tenants::{Tenant, TenantKind};
use web::auth::{MayOperate, MayRead, MayWrite, tenant_named};
use web::problem::ApiProblem;
use web::state::App;
use web::write::{Done, Write};

const HOLD_BACK_DAYS_MAX: u16 = 366;
const URL_BYTES_MAX: usize = 2048;

/// A bank account, as shown in responses.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BankBody {
    #[schema(example = "Muster Telecom GmbH")]
    pub holder: String,
    /// Partly masked.
    #[schema(example = "DE89…3000")]
    pub iban: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "COBADEFFXXX")]
    pub bic: Option<String>,
}

impl From<&BankAccount> for BankBody {
    fn from(bank: &BankAccount) -> Self {
        Self {
            holder: bank.holder.clone(),
            iban: bank.masked(),
            bic: bank.bic.clone(),
        }
    }
}

/// The reseller's account at the payment provider.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PayeeBody {
    #[schema(example = "acct_1")]
    pub id: String,
    /// Whether the provider allows transfers to it.
    pub transfers_enabled: bool,
    /// Whether money can be paid out from it.
    pub payouts_enabled: bool,
    /// Information that the provider still requires from the reseller.
    pub requirements: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PayoutSettings)]
pub struct SettingsBody {
    #[schema(example = "muster-telecom")]
    pub tenant: String,
    /// False: nothing has been set yet; these are the defaults, and nothing is paid out.
    pub stored: bool,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// `stripe` or `bank`.
    #[schema(value_type = words::PayoutMethod, example = "bank")]
    pub method: PayoutMethod,
    #[schema(example = 14)]
    pub hold_back_days: u16,
    #[schema(example = 2500)]
    pub minimum_cents: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<PayeeBody>,
}

/// A bank account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBank {
    pub holder: String,
    pub iban: String,
    /// Required outside the European Economic Area.
    pub bic: Option<String>,
}

/// Fields to change. Omitted fields stay as they are.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "bank", "bank": {"holder": "Muster Telecom GmbH", "iban": "DE89370400440532013000"}}))]
pub struct SettingsChange {
    /// ISO 4217. Default: the currency of the reseller's agreement.
    pub currency: Option<String>,
    /// `stripe` or `bank`. Default: `bank`.
    #[schema(value_type = Option<words::PayoutMethod>, example = "bank")]
    pub method: Option<PayoutMethod>,
    /// Days after the end of a month. Default: 14.
    pub hold_back_days: Option<u16>,
    /// Smaller amounts are carried forward. Default: 2500.
    pub minimum_cents: Option<i64>,
    pub bank: Option<NewBank>,
}

/// Where the reseller should return to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"return_url": "https://console.example/payouts"}))]
pub struct PayeeRequestBody {
    /// Where the reseller is sent after the provider's pages.
    pub return_url: String,
    /// Where an expired link leads. Default: `return_url`.
    pub refresh_url: Option<String>,
    /// ISO 3166-1 alpha-2. Default: the tenant's.
    pub country: Option<String>,
}

/// The provider's onboarding page for a reseller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OnboardingBody {
    /// Valid for a few minutes and a single use.
    pub url: String,
    pub payee: PayeeBody,
}

fn payee_of(settings: &PayoutSettings) -> Option<PayeeBody> {
    Some(PayeeBody {
        id: settings.payee.clone()?,
        transfers_enabled: settings.transfers_enabled,
        payouts_enabled: settings.payouts_enabled,
        requirements: settings.requirements.clone(),
    })
}

fn shown(tenant: &Tenant, settings: &PayoutSettings) -> SettingsBody {
    SettingsBody {
        tenant: tenant.external_id.clone(),
        stored: settings.version > 0,
        currency: settings.currency.code(),
        method: settings.method,
        hold_back_days: settings.hold_back_days,
        minimum_cents: settings.minimum.0,
        bank: settings.bank.as_ref().map(BankBody::from),
        payee: payee_of(settings),
    }
}

/// Stored, or the defaults.
async fn settings_of(
    app: &App,
    tenant: &Tenant,
    method: PayoutMethod,
) -> Result<PayoutSettings, ApiProblem> {
    match tenant.kind {
        TenantKind::Customer => {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "tenant",
                "expected a reseller, or the platform",
            ));
        }
        TenantKind::Reseller | TenantKind::Platform => {}
    }
    if let Some(stored) = PayoutRows::of(&app.catalog)
        .payout_settings(tenant.id)
        .await?
    {
        return Ok(stored);
    }
    let currency = match tenant.kind {
        TenantKind::Platform => Currency::EUR,
        _ => {
            app.sources
                .currency_of(tenant, None, app.clock.now())
                .await?
        }
    };
    Ok(default_settings(tenant, currency, method))
}

/// Read a reseller's payout settings
#[utoipa::path(get, path = "/v1/tenants/{tenant}/payout-settings", tag = "payouts",
    params(("tenant" = String, Path, description = "External id or `ten_…`")), responses((status = 200, body = SettingsBody)))]
pub async fn get_payout_settings(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
) -> Result<Json<SettingsBody>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    Ok(Json(shown(
        &tenant,
        &settings_of(&app, &tenant, PayoutMethod::Bank).await?,
    )))
}

/// Change a reseller's payout settings, or the platform's own bank account
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/payout-settings", tag = "payouts",
    params(("tenant" = String, Path, description = "External id or `ten_…`")), request_body = SettingsChange,
    responses((status = 200, body = SettingsBody)))]
pub async fn change_payout_settings(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let app = &app;
    let tenant = &*tenant_named(app, &key, &name).await?;
    let change: SettingsChange = write.read()?;
    let work = |actor| async move {
        let settings = change.applied_to(settings_of(app, tenant, PayoutMethod::Bank).await?)?;
        let stored = PayoutRows::of(&app.catalog)
            .put_payout_settings(&actor, &settings)
            .await?;
        Ok(Done::ok(shown(tenant, &stored)))
    };
    let again = |_| async move {
        Ok(Done::ok(shown(
            tenant,
            &settings_of(app, tenant, PayoutMethod::Bank).await?,
        )))
    };
    write.once(app, &key, work, again).await
}

impl SettingsChange {
    fn applied_to(self, mut settings: PayoutSettings) -> Result<PayoutSettings, ApiProblem> {
        if let Some(code) = self.currency {
            let bad = |error: rating::money::BadCurrency| {
                ApiProblem::field(Code::InvalidField, "currency", error.to_string())
            };
            settings.currency = code.parse().map_err(bad)?;
        }
        settings.method = self.method.unwrap_or(settings.method);
        settings.hold_back_days = self.hold_back_days.unwrap_or(settings.hold_back_days);
        settings.minimum = self.minimum_cents.map_or(settings.minimum, Cents);
        if let Some(NewBank { holder, iban, bic }) = self.bank {
            let bad = |bad: payouts::BadAccount| {
                ApiProblem::field(
                    Code::InvalidField,
                    format!("bank.{}", bad.field),
                    bad.expected,
                )
            };
            settings.bank = Some(bank_account(&holder, &iban, bic.as_deref()).map_err(bad)?);
        }
        if settings.hold_back_days > HOLD_BACK_DAYS_MAX {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "hold_back_days",
                format!("expected at most {HOLD_BACK_DAYS_MAX}"),
            ));
        }
        if settings.minimum < Cents(1) {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "minimum_cents",
                "expected at least 1",
            ));
        }
        if settings.method == PayoutMethod::Bank
            && settings.bank.is_some()
            && settings.currency != Currency::EUR
        {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "currency",
                "bank transfers are in EUR",
            ));
        }
        Ok(settings)
    }
}

/// Open a reseller's account at the payment provider, or continue its onboarding
///
/// For the platform's operator and for the reseller itself.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/payee", tag = "payouts",
    params(("tenant" = String, Path, description = "External id or `ten_…`")), request_body = PayeeRequestBody,
    responses((status = 200, body = OnboardingBody)))]
pub async fn onboard_payee(
    State(app): State<App>,
    key: MayWrite,
    Path(name): Path<String>,
    write: Write,
) -> Result<Json<OnboardingBody>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    if !key.is_platform_admin() && key.key.tenant != tenant.id {
        return Err(ApiProblem::new(
            Code::Forbidden,
            "only the reseller itself, or the platform's operator, may open its account",
        ));
    }
    if tenant.kind != TenantKind::Reseller {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "tenant",
            "expected a reseller",
        ));
    }
    let asked: PayeeRequestBody = write.read()?;
    let return_url = page_url("return_url", &asked.return_url)?;
    let refresh_url = asked
        .refresh_url
        .as_deref()
        .map_or(Ok(return_url), |url| page_url("refresh_url", url))?;
    let country = asked.country.as_deref().or(tenant.country.as_deref());
    if country
        .is_some_and(|code| code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "country",
            "expected an ISO 3166-1 alpha-2 code in capitals, such as DE",
        ));
    }
    let fresh = settings_of(&app, &tenant, PayoutMethod::Stripe).await?;
    let opened = app
        .payouts
        .onboard(
            &write.actor(&app, &key, None),
            fresh,
            country,
            return_url,
            refresh_url,
        )
        .await?;
    let payee = payee_of(&opened.settings)
        .ok_or_else(|| ApiProblem::internal(&"an account without an id"))?;
    Ok(Json(OnboardingBody {
        url: opened.url,
        payee,
    }))
}

/// An address that a browser may be sent to: `https`, or `http` on this machine.
fn page_url<'a>(field: &'static str, text: &'a str) -> Result<&'a str, ApiProblem> {
    let uri = text
        .parse::<Uri>()
        .ok()
        .filter(|_| text.len() <= URL_BYTES_MAX);
    let ok = uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        _ => false,
    });
    if ok {
        Ok(text)
    } else {
        Err(ApiProblem::field(
            Code::InvalidField,
            field,
            "expected an address such as https://console.example/payouts",
        ))
    }
}
