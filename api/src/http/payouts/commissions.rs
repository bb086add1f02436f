//! `/v1/commissions`: what a reseller earned: charges received − charges paid, and what has
//! accrued.

use crate::http::balances::accounts::currency_of;
use crate::http::balances::entries::since;
use axum::Json;
use axum::extract::State;
use ledger::AccountKey;
use payments::payouts::Payouts;
use rating::{Cents, Instant, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use store::journal::{JournalEntry, Seq};
use tenants::TenantKind;
use web::auth::{MayRead, tenant_named};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommissionsQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// Default: of the reseller's agreement.
    pub currency: Option<String>,
    /// By the time of posting, inclusive.
    #[param(value_type = String, example = "2026-11-01T00:00:00Z", format = DateTime)]
    pub from: Instant,
    /// Exclusive. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

/// A reseller's part of a period.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Commission)]
pub struct CommissionBody {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    /// From its buyers, voids taken off.
    #[schema(example = 400)]
    pub received_cents: i64,
    /// To its seller, voids taken off.
    #[schema(example = 300)]
    pub paid_cents: i64,
    /// received − paid, whoever collects. The statement of a month (`/v1/commissions/statement`)
    /// has of it what the platform collects, by the months of the platform's time zone.
    #[schema(example = 100)]
    pub commission_cents: i64,
    /// As in the statement of the present month: what the platform collects, from the beginning
    /// until now. Absent while it is still being added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 100)]
    pub accrued_cents: Option<i64>,
    /// The balance now: accrued, and what was topped up, adjusted and paid out. What of it can be
    /// paid out, `/v1/commissions/payable` says.
    #[schema(example = 100)]
    pub balance_cents: i64,
}

/// Read a reseller's commission of a period
#[utoipa::path(get, path = "/v1/commissions", tag = "money", params(CommissionsQuery), responses((status = 200, body = CommissionBody)))]
pub async fn get_commission(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<CommissionsQuery>,
) -> Result<Json<CommissionBody>, ApiProblem> {
    let reseller = tenant_named(&app, &key, &query.reseller).await?;
    if reseller.kind != TenantKind::Reseller {
        return Err(ApiProblem::field(
            "invalid_field",
            "reseller",
            "expected a reseller",
        ));
    }
    let currency = currency_of(&app, &reseller, query.currency.as_deref()).await?;
    let until = query
        .until
        .unwrap_or_else(|| app.clock.now().plus_micros(1));
    let (mut records, mut turn) = (HashMap::<Seq, JournalEntry>::new(), None);
    for of in [AccountKey::balance, AccountKey::book, AccountKey::income] {
        let account = of(reseller.id, currency);
        records.extend(
            since(&app, &key, account, query.from, &mut turn)
                .await?
                .into_iter()
                .map(|record| (record.seq, record)),
        );
    }
    let within = records.values().filter(|record| record.received_at < until);
    let (received, paid) = sums(within, reseller.id).map_err(|_| ApiProblem::sum_too_large())?;
    let balance = app
        .engine
        .balance(AccountKey::balance(reseller.id, currency))
        .await?
        .posted;
    let now = app.clock.now();
    let month = app.payouts.calendar().month_of(now);
    let accrued = match app
        .payouts
        .month(Payouts::commission_account(&reseller, currency), month, now)
        .await
    {
        Ok(view) => Some(view.accrued.0),
        Err(error) => match ApiProblem::from(error) {
            // What is asked for is a period: it is answered all the same.
            refused if matches!(refused.problem.code, "unfinished" | "amount_too_large") => None,
            refused => return Err(refused),
        },
    };
    let commission = received
        .checked_sub(paid)
        .map_err(|_| ApiProblem::sum_too_large())?;
    Ok(Json(CommissionBody {
        reseller: reseller.external_id.clone(),
        currency: currency.code(),
        from: query.from.to_string(),
        until: until.to_string(),
        received_cents: received.0,
        paid_cents: paid.0,
        commission_cents: commission.0,
        accrued_cents: accrued,
        balance_cents: balance.0,
    }))
}

/// Added up wider than cents: of large charges and their voids only what is left must be a number
/// of cents.
fn sums<'a>(
    records: impl Iterator<Item = &'a JournalEntry>,
    reseller: TenantId,
) -> Result<(Cents, Cents), rating::Overflow> {
    let (mut received, mut paid) = (0_i128, 0_i128);
    for link in records.flat_map(|record| record.body.charges.iter().map(|charge| charge.link)) {
        if link.seller == reseller {
            received += i128::from(link.cents.0);
        }
        if link.buyer == reseller {
            paid += i128::from(link.cents.0);
        }
    }
    let cents = |sum: i128| i64::try_from(sum).map(Cents).map_err(|_| rating::Overflow);
    Ok((cents(received)?, cents(paid)?))
}
