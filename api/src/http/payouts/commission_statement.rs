//! `/v1/commissions/statement`: everything that moved a reseller's balance in one month, to the
//! cent; `/v1/commissions/payable`: what of it can be paid out.

use crate::http::balances::accounts::currency_of;
use crate::http::balances::entries::{self, EntryBody};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use payments::payouts::{
    Because, CommissionAccount, Cover, Month, MonthView, Payouts, default_settings, moves,
};
use rating::Cents;
use schema::words;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::catalog::{MoveKind, PayoutMethod};
use store::journal::{JournalEntry, Seq};
use tenants::{Tenant, TenantKind};
use web::auth::{Access, MayRead, tenant_by_id, tenant_named};
use web::page::{List, PageQuery};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

/// Records read at once for a file.
const CSV_ROWS_AT_ONCE: usize = 1_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementOfMonthQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// In the platform's time zone.
    #[param(example = "2026-11")]
    pub month: String,
    /// Default: of the reseller's agreement.
    pub currency: Option<String>,
    /// `json` (default) or `csv`: the whole month as one file, whose last row is the closing
    /// balance.
    #[serde(default)]
    #[param(value_type = Option<words::ReportFormat>, inline, example = "json")]
    pub format: Format,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// What moved the balance, summed up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatementSum {
    /// `charges_received`, `charges_paid`, `top_up`, `adjustment`, `refund`, `dispute`, `payout` or
    /// `payment`.
    #[schema(value_type = words::StatementSumKind, example = "charges_received")]
    pub kind: MoveKind,
    /// Positive: into the balance.
    #[schema(example = 400)]
    pub cents: i64,
    #[schema(example = 1)]
    pub entries: u64,
}

/// One move of the balance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatementLine {
    #[serde(flatten)]
    pub entry: EntryBody,
    /// Of a charge: from the buyer below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pub received_cents: Option<i64>,
    /// Of a charge: to the seller above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 300)]
    pub paid_cents: Option<i64>,
}

/// opening + Σ sums = closing, at any instant; once `closed` nothing is added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommissionStatement {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = "2026-11")]
    pub month: String,
    /// Whose months these are.
    #[schema(example = "UTC")]
    pub time_zone: String,
    #[schema(format = DateTime)]
    pub from: String,
    /// Exclusive.
    #[schema(format = DateTime)]
    pub until: String,
    pub closed: bool,
    #[schema(example = 0)]
    pub opening_cents: i64,
    #[schema(example = 100)]
    pub closing_cents: i64,
    /// Charges received − charges paid.
    #[schema(example = 100)]
    pub commission_cents: i64,
    /// The same from the beginning up to the end of this month.
    #[schema(example = 100)]
    pub accrued_cents: i64,
    pub sums: Vec<StatementSum>,
    /// Oldest first.
    #[serde(flatten)]
    pub lines: List<StatementLine>,
}

/// The reseller of a request, and its balance.
pub async fn reseller_named(
    app: &App,
    access: &Access,
    name: &str,
    currency: Option<&str>,
) -> Result<(Arc<Tenant>, CommissionAccount), ApiProblem> {
    let reseller = tenant_named(app, access, name).await?;
    if reseller.kind != TenantKind::Reseller {
        return Err(ApiProblem::field(
            "invalid_field",
            "reseller",
            "expected a reseller",
        ));
    }
    let commission_account =
        Payouts::commission_account(&reseller, currency_of(app, &reseller, currency).await?);
    Ok((reseller, commission_account))
}

pub fn zone_name(app: &App, month: Month) -> String {
    app.payouts
        .calendar()
        .zone_of(month)
        .iana_name()
        .unwrap_or("UTC")
        .to_owned()
}

/// Read a reseller's statement of a month: every charge, top-up, refund, dispute and payout
#[utoipa::path(get, path = "/v1/commissions/statement", tag = "money", params(StatementOfMonthQuery),
    responses((status = 200, description = "As JSON page by page, or as one CSV file",
        content((CommissionStatement = "application/json"), (String = "text/csv")))))]
pub async fn get_commission_statement(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<StatementOfMonthQuery>,
) -> Result<Response, ApiProblem> {
    let (reseller, commission_account) =
        reseller_named(&app, &key, &query.reseller, query.currency.as_deref()).await?;
    let month = query
        .month
        .parse()
        .map_err(|error: payments::payouts::BadMonth| {
            ApiProblem::field("invalid_field", "month", error.to_string())
        })?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(Seq), page.limit()?);
    let view = app
        .payouts
        .month(commission_account, month, app.clock.now())
        .await?;
    if query.format == Format::Csv {
        return Ok(csv(app, commission_account, view, &reseller.external_id));
    }
    let (records, has_more) = app
        .payouts
        .records_of(commission_account, &view, after, limit)
        .await?;
    let last = records.last().map(|record| record.seq.0);
    let lines = List::new(
        lines(&app, &records, commission_account).await?,
        has_more,
        last,
    );
    Ok(Json(statement(&app, &reseller, commission_account, &view, lines)).into_response())
}

fn statement(
    app: &App,
    reseller: &Tenant,
    commission_account: CommissionAccount,
    view: &MonthView,
    lines: List<StatementLine>,
) -> CommissionStatement {
    CommissionStatement {
        reseller: reseller.external_id.clone(),
        currency: commission_account.account.currency.code(),
        month: view.month.to_string(),
        time_zone: zone_name(app, view.month),
        from: view.from.to_string(),
        until: view.until.to_string(),
        closed: view.is_closed,
        opening_cents: view.opening.0,
        closing_cents: view.closing.0,
        commission_cents: view.commission.0,
        accrued_cents: view.accrued.0,
        sums: view
            .sums
            .iter()
            .map(|(&kind, sum)| StatementSum {
                kind,
                cents: sum.cents.0,
                entries: sum.entries,
            })
            .collect(),
        lines,
    }
}

async fn lines(
    app: &App,
    records: &[JournalEntry],
    commission_account: CommissionAccount,
) -> Result<Vec<StatementLine>, ApiProblem> {
    let mut lines = Vec::with_capacity(records.len());
    let voided = entries::Voided::by(app, records).await?;
    for record in records {
        let Some(entry) =
            entries::of_record(app, record, commission_account.account, &voided).await?
        else {
            continue;
        };
        let moved = moves(record, commission_account.account)
            .map_err(|error| ApiProblem::internal(&error))?;
        let of = |kind| {
            moved
                .iter()
                .find(|(moved, _)| *moved == kind)
                .map(|(_, cents)| cents.0)
        };
        let (received_cents, paid_cents) = (
            of(MoveKind::ChargesReceived),
            of(MoveKind::ChargesPaid).map(|cents| -cents),
        );
        lines.push(StatementLine {
            entry,
            received_cents,
            paid_cents,
        });
    }
    Ok(lines)
}

/// Where a file is.
enum Part {
    Opening,
    Behind(Seq, Cents),
    End,
}

/// Row by row, so that a month of any length takes no memory. A file that broke off has no closing
/// row.
fn csv(
    app: App,
    commission_account: CommissionAccount,
    view: MonthView,
    reseller: &str,
) -> Response {
    let name = format!(
        "attachment; filename=\"commission-{reseller}-{}.csv\"",
        view.month
    );
    let rows = stream::try_unfold(
        (app, view, Part::Opening),
        move |(app, view, part)| async move {
            let written = match part {
                Part::Opening => (opening_rows(&view)?, Part::Behind(view.after, view.opening)),
                Part::Behind(after, balance) => {
                    some_rows(&app, commission_account, &view, after, balance).await?
                }
                Part::End => return Ok::<_, std::io::Error>(None),
            };
            Ok(Some((written.0, (app, view, written.1))))
        },
    );
    let mut response = Body::from_stream(rows).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

const CSV_COLUMNS: [&str; 12] = [
    "posted_at",
    "kind",
    "cents",
    "balance_cents",
    "received_cents",
    "paid_cents",
    "id",
    "source",
    "customer",
    "meter",
    "quantity",
    "reason",
];

/// A text that others chose: a spreadsheet would work out one that begins as a formula does
/// (OWASP, CSV injection), and shows the apostrophe as none.
fn no_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

fn opening_rows(view: &MonthView) -> std::io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(CSV_COLUMNS)?;
    rows.write_record(balance_row(&view.from.to_string(), "opening", view.opening))?;
    rows.into_inner()
        .map_err(|error| std::io::Error::other(error.to_string()))
}

fn balance_row(at: &str, kind: &str, balance: Cents) -> [String; 12] {
    let mut row = <[String; 12]>::default();
    (row[0], row[1], row[3]) = (at.to_owned(), kind.to_owned(), balance.to_string());
    row
}

async fn some_rows(
    app: &App,
    commission_account: CommissionAccount,
    view: &MonthView,
    after: Seq,
    mut balance: Cents,
) -> std::io::Result<(Vec<u8>, Part)> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a statement broke off");
        std::io::Error::other("the statement broke off")
    };
    let read = app
        .payouts
        .records_of(commission_account, view, Some(after), CSV_ROWS_AT_ONCE)
        .await;
    let (records, has_more) = read.map_err(|error| failed(&error))?;
    let shown = lines(app, &records, commission_account)
        .await
        .map_err(|refused| failed(&refused.problem))?;
    let mut rows = csv::Writer::from_writer(Vec::new());
    for StatementLine {
        entry,
        received_cents,
        paid_cents,
    } in shown
    {
        balance = balance
            .checked_add(Cents(entry.cents))
            .map_err(|error| failed(&error))?;
        let number = |cents: Option<i64>| cents.map(|cents| cents.to_string()).unwrap_or_default();
        let quantity = entry.quantity.unwrap_or_default();
        let (cents, now) = (entry.cents.to_string(), balance.to_string());
        rows.write_record([
            entry.posted_at,
            entry.kind.to_owned(),
            cents,
            now,
            number(received_cents),
            number(paid_cents),
            no_formula(entry.id),
            no_formula(entry.source),
            no_formula(entry.customer),
            no_formula(entry.meter),
            quantity,
            no_formula(entry.reason),
        ])?;
    }
    let next = match records.last() {
        Some(last) if has_more => Part::Behind(last.seq, balance),
        _ => {
            rows.write_record(balance_row(&view.until.to_string(), "closing", balance))?;
            Part::End
        }
    };
    Ok((
        rows.into_inner()
            .map_err(|error| failed(&error.to_string()))?,
        next,
    ))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PayableQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// Default: of the reseller's payout settings, else of its agreement.
    pub currency: Option<String>,
}

/// What a customer, or a reseller below, owes, or what somebody above lost on it, and what of the
/// commission is withheld because of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WithheldBody {
    #[schema(example = "acme-42")]
    pub customer: String,
    /// `unpaid`: it owes this. `sold_below_cost`: a seller above, or the platform, lost on what it
    /// used; of the reseller itself: what it got back for its own purchases above what it had paid.
    /// `overpaid`: more was paid out to it than it earned by now; that is waited for.
    #[schema(value_type = words::WithheldBecause, example = "unpaid")]
    pub because: &'static str,
    /// How far below zero it is. With `sold_below_cost` what this reseller bears, and not what
    /// others lost.
    #[schema(example = 4000)]
    pub shortfall_cents: i64,
    #[schema(example = 1000)]
    pub withheld_cents: i64,
}

/// payable = accrued − withheld − paid out, at most what the balance has, at least the minimum.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PayableBody {
    #[schema(example = "muster-telecom")]
    pub reseller: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// The last month whose hold-back is over.
    #[schema(example = "2026-10")]
    pub period: String,
    #[schema(example = 14)]
    pub hold_back_days: u16,
    /// Commission from the beginning up to the end of the period.
    #[schema(example = 10000)]
    pub accrued_cents: i64,
    /// The same since then; not payable yet, and the first to bear what is withheld. Negative:
    /// voids.
    #[schema(example = 0)]
    pub later_cents: i64,
    /// Commission, of any month, from customers who have not paid: each seller up the chain
    /// withholds up to its own.
    #[schema(example = 0)]
    pub withheld_cents: i64,
    /// The largest first, at most 100.
    pub withheld_by_customer: Vec<WithheldBody>,
    /// How many there are.
    #[schema(example = 0)]
    pub withheld_customers: usize,
    /// Payouts that are due, on their way or paid.
    #[schema(example = 4000)]
    pub paid_out_cents: i64,
    /// The balance now, without what holds set aside.
    #[schema(example = 7500)]
    pub available_cents: i64,
    /// Less is carried forward.
    #[schema(example = 2500)]
    pub minimum_cents: i64,
    #[schema(example = 6000)]
    pub payable_cents: i64,
    /// What the next period begins with; negative: to be earned back first.
    #[schema(example = 0)]
    pub carried_cents: i64,
    /// What went out and is commission no more (a void, a refund, a lost dispute): it blocks
    /// payouts until later commission has made up for it.
    #[schema(example = 0)]
    pub debt_cents: i64,
}

/// Customers listed under `withheld_by_customer`.
const WITHHELD_LISTED_MAX: usize = 100;

async fn withheld_of(app: &App, cover: &Cover) -> Result<Vec<WithheldBody>, ApiProblem> {
    let mut listed = Vec::new();
    for one in cover.withheld.iter().take(WITHHELD_LISTED_MAX) {
        listed.push(WithheldBody {
            customer: tenant_by_id(app, one.tenant).await?.external_id.clone(),
            because: match one.because {
                Because::Unpaid => "unpaid",
                Because::SoldBelowCost => "sold_below_cost",
                Because::Overpaid => "overpaid",
            },
            shortfall_cents: one.shortfall.0,
            withheld_cents: one.cents.0,
        });
    }
    Ok(listed)
}

/// Read what of a reseller's commission can be paid out
#[utoipa::path(get, path = "/v1/commissions/payable", tag = "money", params(PayableQuery), responses((status = 200, body = PayableBody)))]
pub async fn get_payable(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<PayableQuery>,
) -> Result<Json<PayableBody>, ApiProblem> {
    let stored = match tenant_named(&app, &key, &query.reseller).await {
        Ok(tenant) => app.catalog_of(&key).payout_settings(tenant.id).await?,
        Err(refused) => return Err(refused),
    };
    let currency = query
        .currency
        .as_deref()
        .or(stored.as_ref().map(|settings| settings.currency.code()));
    let (reseller, commission_account) =
        reseller_named(&app, &key, &query.reseller, currency).await?;
    let mut settings = stored.unwrap_or_else(|| {
        default_settings(
            &reseller,
            commission_account.account.currency,
            PayoutMethod::Bank,
        )
    });
    settings.currency = commission_account.account.currency;
    let now = app.clock.now();
    let period = app.payouts.period_due(&settings, now);
    let (standing, cover) = app.payouts.standing(&settings, period, now).await?;
    let payable = standing
        .payable()
        .map_err(|error| ApiProblem::internal(&error))?;
    Ok(Json(PayableBody {
        reseller: reseller.external_id.clone(),
        currency: settings.currency.code(),
        period: period.to_string(),
        hold_back_days: settings.hold_back_days,
        accrued_cents: standing.accrued.0,
        later_cents: standing.later.0,
        withheld_cents: standing.withheld.0,
        withheld_by_customer: withheld_of(&app, &cover).await?,
        withheld_customers: cover.withheld.len(),
        paid_out_cents: standing.paid_out.0,
        available_cents: standing.available.0,
        minimum_cents: standing.minimum.0,
        payable_cents: payable.cents.0,
        carried_cents: payable.carried.0,
        debt_cents: payable.debt.0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, want) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("acme-42", "acme-42"),
            ("", ""),
        ] {
            assert_eq!(no_formula(text.to_owned()), want);
        }
    }
}
