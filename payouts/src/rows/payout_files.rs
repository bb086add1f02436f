//! Files for the bank: which payouts go out together, from which account, and when.

use super::PayoutRows;
use super::payout_settings::{BankAccount, bank_of};
use super::payouts::{Payout, replace_logged};
use catalog::{Actor, Change, Result, audit, conflict};
use db::sql::{change, corrupt, distinct, read, statements, write};
use rating::ids::PayoutFileId;
use rating::{Cents, Currency, Instant, TenantId};
use serde_json::json;

macro_rules! columns {
    () => {
        "id, root_id, currency, execution_on, holder, iban, bic, payouts, cents, created_at, xml"
    };
}

statements! {
    INSERT = concat!("insert into payout_files (", columns!(), ") values ($1, $2, $3, $4, $5, $6, \
        $7, $8, $9, $10, $11) on conflict do nothing");
    BY_ID = concat!("select ", columns!(), " from payout_files where id = $1");
}

#[derive(Clone, PartialEq, Eq)]
pub struct PayoutFile {
    pub id: PayoutFileId,
    /// The platform's.
    pub root: TenantId,
    pub currency: Currency,
    /// ISO 8601: when the bank shall carry it out.
    pub execution_on: String,
    /// Where the money is taken from.
    pub debtor: BankAccount,
    pub payouts: i64,
    pub cents: Cents,
    pub created_at: Instant,
    /// What the bank gets. It names accounts in full.
    pub xml: String,
}

impl std::fmt::Debug for PayoutFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayoutFile")
            .field("id", &self.id)
            .field("payouts", &self.payouts)
            .field("cents", &self.cents)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct FileRow {
    id: i64,
    root_id: i64,
    currency: String,
    execution_on: String,
    holder: String,
    iban: String,
    bic: Option<String>,
    payouts: i64,
    cents: i64,
    created_at: i64,
    xml: String,
}

impl FileRow {
    fn file(self) -> Result<PayoutFile> {
        Ok(PayoutFile {
            id: PayoutFileId(self.id),
            root: TenantId(self.root_id),
            currency: self.currency.parse().map_err(corrupt)?,
            execution_on: self.execution_on,
            debtor: bank_of(Some(self.holder), Some(self.iban), self.bic)
                .ok_or_else(|| corrupt("a file without an account"))?,
            payouts: self.payouts,
            cents: Cents(self.cents),
            created_at: Instant(self.created_at),
            xml: self.xml,
        })
    }
}

impl PayoutRows<'_> {
    /// Stores a file, and every payout of it as it is from now on.
    ///
    /// # Errors
    /// `Conflict`: one of them has changed since; nothing is stored.
    pub async fn create_payout_file(
        self,
        actor: &Actor,
        file: &PayoutFile,
        payouts: &[(Payout, Payout)],
    ) -> Result<()> {
        write!(self.0, |tx| {
            let roots: Vec<TenantId> = payouts
                .iter()
                .map(|(before, _)| before.root)
                .chain([file.root])
                .collect();
            for root in distinct(&roots) {
                tx.lock_log(root).await?;
            }
            let PayoutFile {
                id,
                root,
                currency,
                execution_on,
                debtor,
                payouts: count,
                cents,
                created_at,
                xml,
            } = file;
            let (holder, iban, bic) = (
                debtor.holder.as_str(),
                debtor.iban.as_str(),
                debtor.bic.as_deref(),
            );
            let (currency, on, at) = (currency.code(), execution_on.as_str(), created_at.micros());
            if change!(
                &mut *tx,
                INSERT,
                id.0,
                root.0,
                currency,
                on,
                holder,
                iban,
                bic,
                *count,
                cents.0,
                at,
                xml.as_str()
            )? == 0
            {
                return Err(conflict("id", "it is taken"));
            }
            for (before, after) in payouts {
                if !replace_logged(tx, actor, before, after, "file").await? {
                    return Err(conflict(
                        "payouts",
                        "one of them changed meanwhile; send the request again",
                    ));
                }
            }
            let after = Some(
                json!({ "payouts": count, "cents": cents, "currency": currency, "execution_on": on, "debtor": debtor.masked() }),
            );
            let change = Change {
                tenant: *root,
                root: *root,
                resource: "payout_file",
                id: id.to_string(),
                action: "create",
                before: None,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }

    pub async fn payout_file(self, id: PayoutFileId) -> Result<Option<PayoutFile>> {
        read!(self.0, fetch_optional as FileRow, BY_ID, id.0)?
            .map(FileRow::file)
            .transpose()
    }
}
