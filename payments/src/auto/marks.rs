//! The thresholds of automatic top-ups as marks of the engine's lookout: the debit that reaches one
//! wakes who tops up.

use crate::rows::{AutoTopUp, PaymentRows};
use crate::service::{PaymentService, unread};
use ledger::AccountKey;
use metering::balance_monitor::Purpose;
use problem::Problem;
use rating::Cents;

impl PaymentService {
    /// Marks every balance whose automatic top-up is on. Other processes' changes count from their
    /// next time on.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn mark_auto(&self) -> Result<(), Problem> {
        let (mut marks, mut last) = (Vec::new(), None);
        loop {
            let rows = PaymentRows::of(&self.catalog)
                .auto_top_ups_on(last.as_ref())
                .await
                .map_err(unread)?;
            marks.extend(
                rows.iter()
                    .map(|row| (AccountKey::balance(row.tenant, row.currency), mark_of(row))),
            );
            match rows.into_iter().last() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
        self.engine
            .balance_monitor()
            .set_thresholds(Purpose::TopUp, marks);
        Ok(())
    }

    /// Looks at the balances that reached their thresholds since the last time; how many those
    /// were.
    pub(super) async fn crossed(&self) -> usize {
        let crossed = self.engine.balance_monitor().take_crossed(Purpose::TopUp);
        self.top_up_crossed(&crossed).await;
        crossed.len()
    }

    pub(crate) async fn top_up_crossed(&self, accounts: &[AccountKey]) {
        for account in accounts {
            self.log_failed(
                self.top_up_if_low(account.tenant, account.currency)
                    .await
                    .map(drop),
            );
        }
    }
}

/// Where usage must bring the balance: what something else took is no reason to charge.
fn mark_of(auto: &AutoTopUp) -> Cents {
    auto.threshold
        .checked_sub(auto.other)
        .unwrap_or(auto.threshold)
}
