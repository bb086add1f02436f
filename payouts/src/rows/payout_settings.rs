//! How resellers are paid: by which method, after how long, from which sum on, and to which
//! account.
//!
//! The platform's own row is the bank account that transfers are paid from. Every change is guarded
//! by the row's `version`: who read an older one changes nothing.

use super::PayoutRows;
use catalog::{Actor, Change, Page, Result, audit, conflict, one_more};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use rating::{Cents, Currency, Instant, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

macro_rules! columns {
    () => {
        "root_id, tenant_id, currency, method, hold_back_days, minimum_cents, holder, iban, bic, \
            country, payee, payee_generation, \
         transfers_enabled, payouts_enabled, requirements_json, payee_read_at, version, updated_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into payout_settings (", columns!(), ")",
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
            $18) on conflict do nothing"
    );
    UPDATE = concat!(
        "update payout_settings set currency = $3, method = $4, hold_back_days = $5, \
            minimum_cents = $6, holder = $7, iban = $8, bic = $9,",
        " country = $10, payee = $11, payee_generation = $12, transfers_enabled = $13, \
            payouts_enabled = $14, requirements_json = $15,",
        " payee_read_at = $16, version = $17, updated_at = $18 where root_id = $1 and tenant_id = \
            $2 and version = $19"
    );
    BY_TENANT = concat!("select ", columns!(), " from payout_settings where tenant_id = $1");
    BY_PAYEE = concat!("select ", columns!(), " from payout_settings where payee = $1 limit 1");
    LIST = concat!("select ", columns!(), " from payout_settings where tenant_id > $1 order by \
        tenant_id limit $2");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutMethod {
    /// A transfer to the reseller's account at the provider.
    Stripe,
    /// A SEPA credit transfer, by a file for the bank.
    Bank,
}

/// An account at a bank. Its `Debug` form, which may reach a log, shows no more than
/// [`BankAccount::masked`].
#[derive(Clone, PartialEq, Eq)]
pub struct BankAccount {
    pub holder: String,
    /// Electronic form: no spaces, capitals.
    pub iban: String,
    pub bic: Option<String>,
}

impl BankAccount {
    /// `DE44…2431`.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.iban.chars().collect();
        match (chars.first_chunk::<4>(), chars.last_chunk::<4>()) {
            (Some(first), Some(last)) if chars.len() > 8 => {
                first.iter().chain(&['…']).chain(last).collect()
            }
            _ => "…".to_owned(),
        }
    }
}

impl std::fmt::Debug for BankAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutSettings {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    pub method: PayoutMethod,
    /// After the end of a period.
    pub hold_back_days: u16,
    /// Less is carried forward.
    pub minimum: Cents,
    pub bank: Option<BankAccount>,
    /// ISO 3166-1 alpha-2: of the account at the provider.
    pub country: Option<String>,
    /// The account at the provider.
    pub payee: Option<String>,
    pub payee_idempotency_epoch: i64,
    /// Money may go there.
    pub transfers_enabled: bool,
    /// It can be paid out from there.
    pub payouts_enabled: bool,
    /// What the provider still asks of the payee.
    pub requirements: Vec<String>,
    pub payee_read_at: Option<Instant>,
    /// 0: not stored yet.
    pub version: i64,
    pub updated_at: Instant,
}

#[derive(sqlx::FromRow)]
struct SettingsRow {
    root_id: i64,
    tenant_id: i64,
    currency: String,
    method: String,
    hold_back_days: i64,
    minimum_cents: i64,
    holder: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
    country: Option<String>,
    payee: Option<String>,
    #[sqlx(rename = "payee_generation")]
    payee_idempotency_epoch: i64,
    transfers_enabled: i64,
    payouts_enabled: i64,
    requirements_json: String,
    payee_read_at: Option<i64>,
    version: i64,
    updated_at: i64,
}

/// The columns `holder`, `iban`, `bic` of a row that may have them.
pub(super) fn bank_of(
    holder: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
) -> Option<BankAccount> {
    Some(BankAccount {
        holder: holder?,
        iban: iban?,
        bic,
    })
}

impl SettingsRow {
    fn settings(self) -> Result<PayoutSettings> {
        Ok(PayoutSettings {
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            method: from_word(&self.method)?,
            hold_back_days: u16::try_from(self.hold_back_days).map_err(corrupt)?,
            minimum: Cents(self.minimum_cents),
            bank: bank_of(self.holder, self.iban, self.bic),
            country: self.country,
            payee: self.payee,
            payee_idempotency_epoch: self.payee_idempotency_epoch,
            transfers_enabled: self.transfers_enabled == 1,
            payouts_enabled: self.payouts_enabled == 1,
            requirements: serde_json::from_str(&self.requirements_json).map_err(corrupt)?,
            payee_read_at: self.payee_read_at.map(Instant),
            version: self.version,
            updated_at: Instant(self.updated_at),
        })
    }
}

/// Runs a statement that takes every column in order, and then what else is given.
macro_rules! put {
    ($tx:expr, $sql:expr, $row:expr, $requirements:expr $(, $more:expr)*) => {
        change!(
            &mut *$tx,
            $sql,
            $row.root.0,
            $row.tenant.0,
            $row.currency.code(),
            word(&$row.method)?,
            i64::from($row.hold_back_days),
            $row.minimum.0,
            $row.bank.as_ref().map(|bank| bank.holder.as_str()),
            $row.bank.as_ref().map(|bank| bank.iban.as_str()),
            $row.bank.as_ref().and_then(|bank| bank.bic.as_deref()),
            $row.country.as_deref(),
            $row.payee.as_deref(),
            $row.payee_idempotency_epoch,
            i64::from($row.transfers_enabled),
            i64::from($row.payouts_enabled),
            $requirements,
            $row.payee_read_at.map(Instant::micros),
            $row.version,
            $row.updated_at.micros()
            $(, $more)*
        )
    };
}

/// What the audit log shows: the bank account masked.
fn summary(settings: &PayoutSettings) -> Value {
    json!({
        "currency": settings.currency, "method": settings.method, "hold_back_days": settings.hold_back_days,
        "minimum_cents": settings.minimum, "bank": settings.bank.as_ref().map(BankAccount::masked), "payee": settings.payee,
        "transfers_enabled": settings.transfers_enabled, "payouts_enabled": settings.payouts_enabled,
    })
}

async fn settings_in(tx: &mut Tx<'_>, tenant: TenantId) -> Result<Option<PayoutSettings>> {
    look!(tx, fetch_optional as SettingsRow, BY_TENANT, tenant.0)?
        .map(SettingsRow::settings)
        .transpose()
}

impl PayoutRows<'_> {
    pub async fn payout_settings(self, tenant: TenantId) -> Result<Option<PayoutSettings>> {
        read!(self.0, fetch_optional as SettingsRow, BY_TENANT, tenant.0)?
            .map(SettingsRow::settings)
            .transpose()
    }

    /// The reseller whose account at the provider this is.
    pub async fn payout_settings_of_payee(self, payee: &str) -> Result<Option<PayoutSettings>> {
        read!(self.0, fetch_optional as SettingsRow, BY_PAYEE, payee)?
            .map(SettingsRow::settings)
            .transpose()
    }

    /// Of every tenant that has them, by id.
    pub async fn all_payout_settings(
        self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<PayoutSettings>> {
        let rows = read!(
            self.0,
            fetch_all as SettingsRow,
            LIST,
            after.map_or(0, |id| id.0),
            one_more(limit)
        )?;
        Page::of(rows, limit, SettingsRow::settings)
    }

    /// Stores what was made from the row of `settings.version` (0: from none); the row as it is
    /// then.
    ///
    /// # Errors
    /// `Conflict`: somebody else changed it since.
    pub async fn put_payout_settings(
        self,
        actor: &Actor,
        settings: &PayoutSettings,
    ) -> Result<PayoutSettings> {
        let requirements = serde_json::to_string(&settings.requirements).map_err(corrupt)?;
        write!(self.0, |tx| {
            tx.lock_log(settings.root).await?;
            let before = settings_in(tx, settings.tenant).await?;
            let next = PayoutSettings {
                version: settings.version + 1,
                updated_at: actor.at,
                ..settings.clone()
            };
            let changed = match settings.version {
                0 => put!(tx, INSERT, next, requirements.as_str())?,
                version => put!(tx, UPDATE, next, requirements.as_str(), version)?,
            };
            if changed == 0 {
                return Err(conflict(
                    "version",
                    "it has changed in the meantime; read it again",
                ));
            }
            let (tenant, root, id, after) = (
                next.tenant,
                next.root,
                next.tenant.to_string(),
                Some(summary(&next)),
            );
            let before = before.as_ref().map(summary);
            let change = Change {
                tenant,
                root,
                resource: "payout_settings",
                id,
                action: "put",
                before,
                after,
            };
            audit::append(tx, actor, &change).await?;
            Ok(next)
        })
    }
}
