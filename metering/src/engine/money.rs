//! Money moved by hand, steps of payments, and balances.

use super::Engine;
use crate::command::{Command, CommandResult, out_of_step};
use crate::execution::SWEEP_HOLDS_MAX;
use crate::named::Named;
use crate::requests::{MoneyAnswer, MoveMoney, PaymentPosted, PostPayment};
use journal::{Identity, Namespace, StateKeys};
use ledger::{AccountKey, Balance};
use prepare::failures::journal_problem;
use problem::Problem;
use rating::{Cents, TenantId};
use std::collections::BTreeSet;

impl Engine {
    pub async fn move_money(&self, command: MoveMoney) -> Result<MoneyAnswer, Problem> {
        let source = command.account.tenant.to_string();
        let identity = Identity {
            root: command.root,
            reporter: None,
            namespace: Namespace::Money,
            source: source.into(),
            id: command.key.clone(),
        };
        match self
            .submit_one(Command::Money {
                named: Named::new(identity, &*self.journal),
                command: Box::new(command),
                received_at: self.now(),
            })
            .await?
        {
            CommandResult::Money(answer) => answer,
            _ => Err(out_of_step()),
        }
    }

    /// A step of a payment or payout, posted once under its name.
    pub async fn post_payment(&self, command: PostPayment) -> Result<PaymentPosted, Problem> {
        let identity = Identity {
            root: command.root,
            reporter: None,
            namespace: Namespace::Payment,
            source: command.source.clone(),
            id: command.key.clone(),
        };
        let work = Command::Payment {
            named: Named::new(identity, &*self.journal),
            command: Box::new(command),
            received_at: self.now(),
        };
        match self.submit_one(work).await? {
            CommandResult::Payment(answer) => answer,
            _ => Err(out_of_step()),
        }
    }

    /// The balance now: what holds that are over still set aside is already out of `held`.
    pub async fn balance(&self, account: AccountKey) -> Result<Balance, Problem> {
        let keys = StateKeys {
            accounts: vec![account],
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        let mut balance = state.accounts.get(&account).copied().unwrap_or_default();
        if balance.held > Cents::ZERO {
            let over = self
                .journal
                .expired_holds(self.now(), usize::MAX)
                .await
                .map_err(journal_problem)?;
            for hold in over {
                balance.held = Cents(balance.held.0.saturating_sub(hold.amount(account).0));
            }
        }
        Ok(balance)
    }

    /// Posted balances and what is held, of many accounts at once; each is zero that was never
    /// posted to.
    pub async fn balances(
        &self,
        accounts: &[AccountKey],
    ) -> Result<Vec<(AccountKey, Balance)>, Problem> {
        let keys = StateKeys {
            accounts: accounts.to_vec(),
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        Ok(accounts
            .iter()
            .map(|account| {
                (
                    *account,
                    state.accounts.get(account).copied().unwrap_or_default(),
                )
            })
            .collect())
    }

    /// Wakes the committer, so that holds that are over are recorded as such without other traffic.
    pub async fn sweep_holds(&self) -> Result<(), Problem> {
        if self.may_write().is_err() {
            return Ok(());
        }
        let over = self
            .journal
            .expired_holds(self.now(), SWEEP_HOLDS_MAX)
            .await
            .map_err(journal_problem)?;
        let roots: BTreeSet<TenantId> = over.iter().map(|hold| hold.root).collect();
        self.submit(
            roots
                .into_iter()
                .map(|root| Command::Sweep { root })
                .collect(),
        )
        .await
        .map(drop)
    }
}
