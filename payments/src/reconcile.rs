//! Compares what the provider says of its balance of ours with what is posted.

use crate::payment_outcome::Seen;
use crate::rows::{Payment, PaymentRows};
use crate::service::{PaymentService, provider_problem, unread};
use journal::{Identity, Namespace};
use ledger::AccountKey;
use problem::{Code, Problem};
use provider::{BalanceMove, MoveKind, MoveSum, ProviderError};
use rating::{Cents, Currency, Instant, TenantId};
use std::collections::BTreeSet;

/// Pages of moves that one comparison reads.
const PAGES_MAX: usize = 1_000;
/// Differences that are listed; further ones are counted.
const LISTED_MAX: usize = 100;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Moves of the provider in the period.
    pub moves: u64,
    /// Payments compared.
    pub payments: u64,
    /// Moves that belong to no payment or payout of ours.
    pub foreign: u64,
    pub differences: u64,
    pub listed: Vec<Difference>,
    /// Moves that the books cannot count.
    pub uncounted: u64,
    /// The first of them.
    pub uncounted_listed: Vec<BalanceMove>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The provider's id: a payment, a transfer, or a move that nobody knows.
    pub id: String,
    pub currency: Currency,
    /// Net, as the provider has it.
    pub provider: Cents,
    /// Net, as it is posted.
    pub posted: Cents,
}

impl Reconciled {
    fn differs(&mut self, difference: Difference) {
        self.differences += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(difference);
        }
    }
}

impl PaymentService {
    /// Every payment that moved the provider's balance in `[from, until)`: what it has come to
    /// there by now, and here.
    ///
    /// # Errors
    /// `provider_unavailable`, `unavailable`.
    pub async fn reconcile(&self, from: Instant, until: Instant) -> Result<Reconciled, Problem> {
        let moves = self.moves(from, until).await?;
        let mut found = Reconciled {
            moves: moves.len() as u64,
            ..Reconciled::default()
        };
        let mut payments = BTreeSet::new();
        for charge in moves
            .iter()
            .filter(|one| one.kind == MoveKind::Charge)
            .filter_map(|one| one.source.as_deref())
        {
            if let Some(payment) = self.payment_behind_charge(charge).await? {
                payments.insert(payment);
            }
        }
        payments.extend(
            PaymentRows::of(&self.catalog)
                .payments_changed(from, until)
                .await
                .map_err(unread)?,
        );
        let mut known = BTreeSet::new();
        for payment in &payments {
            self.compare(payment, &mut known, &mut found).await?;
        }
        let mut transfers = BTreeSet::new();
        for one in &moves {
            let is_known = one
                .source
                .as_ref()
                .is_some_and(|source| known.contains(source));
            let MoveSum::Counted {
                cents,
                fee,
                currency,
            } = &one.sum
            else {
                found.uncounted += 1;
                if found.uncounted_listed.len() < LISTED_MAX {
                    found.uncounted_listed.push(one.clone());
                }
                continue;
            };
            match (one.kind, &one.source) {
                (MoveKind::Charge | MoveKind::Refund | MoveKind::Dispute, _) if is_known => {}
                (MoveKind::Transfer, Some(transfer)) => drop(transfers.insert(transfer)),
                (
                    MoveKind::Refund
                    | MoveKind::Dispute
                    | MoveKind::Adjustment
                    | MoveKind::Transfer,
                    _,
                ) => {
                    let net = cents.checked_sub(*fee).map_err(too_large)?;
                    found.differs(Difference {
                        id: one.id.clone(),
                        currency: *currency,
                        provider: net,
                        posted: Cents::ZERO,
                    });
                }
                (MoveKind::Charge | MoveKind::ToBank | MoveKind::Other, _) => found.foreign += 1,
            }
        }
        for transfer in transfers {
            self.compare_transfer(transfer, &mut found).await?;
        }
        Ok(found)
    }

    /// What was sent to a reseller and not taken back, there and here.
    async fn compare_transfer(&self, id: &str, found: &mut Reconciled) -> Result<(), Problem> {
        let shown = match self.provider()?.transfer_by_id(id).await {
            Ok(shown) => shown,
            Err(ProviderError::NotFound) => return Ok(()),
            Err(error) => return Err(provider_problem(&error)),
        };
        let provider = shown.reversed.checked_sub(shown.cents).map_err(too_large)?;
        let payout = match &self.payouts {
            Some(payouts) => payouts
                .payout_behind(&shown)
                .await
                .map_err(|error| Problem::new(Code::Unavailable, error.to_string()))?,
            None => None,
        };
        let posted = match &payout {
            Some(payout) => {
                self.net_of(
                    &payouts::steps(payout).collect::<Vec<_>>(),
                    payout.root,
                    payout.currency,
                )
                .await?
            }
            None => Cents::ZERO,
        };
        if provider != posted {
            found.differs(Difference {
                id: id.to_owned(),
                currency: shown.currency,
                provider,
                posted,
            });
        }
        Ok(())
    }

    async fn moves(&self, from: Instant, until: Instant) -> Result<Vec<BalanceMove>, Problem> {
        let (mut moves, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self
                .provider()?
                .moves(from, until, after.as_deref())
                .await
                .map_err(|error| provider_problem(&error))?;
            moves.extend(page.data);
            after = page.next;
            if after.is_none() {
                return Ok(moves);
            }
        }
        Err(Problem::new(
            Code::PeriodTooLong,
            "the provider has more transactions in this period than one reconciliation reads",
        ))
    }

    async fn compare(
        &self,
        id: &str,
        known: &mut BTreeSet<String>,
        found: &mut Reconciled,
    ) -> Result<(), Problem> {
        let shown = match self.provider()?.payment(id).await {
            Ok(shown) => shown,
            // What cannot be counted is in suspense, and among the moves that are listed.
            Err(ProviderError::NotFound | ProviderError::Uncountable(_)) => return Ok(()),
            Err(error) => return Err(provider_problem(&error)),
        };
        let row = PaymentRows::of(&self.catalog)
            .payment(id)
            .await
            .map_err(unread)?;
        let is_asked_for = row.is_some()
            || PaymentRows::of(&self.catalog)
                .top_up_by_payment(id)
                .await
                .map_err(unread)?
                .is_some();
        // Somebody else's payment on the same account: none of our business.
        if !is_asked_for && !self.is_ours(&shown).await? {
            return Ok(());
        }
        if let Some(charge) = &shown.charge {
            known.insert(charge.id.clone());
            known.extend(charge.refunds.iter().map(|refund| refund.id.clone()));
            known.extend(charge.disputes.iter().map(|dispute| dispute.id.clone()));
        }
        found.payments += 1;
        let seen = Seen::of(&shown, Cents::ZERO).map_err(too_large)?;
        let provider = seen
            .standing(true)
            .and_then(|standing| standing.net())
            .map_err(too_large)?;
        let posted = match &row {
            Some(row) => self.posted(row).await?,
            None => Cents::ZERO,
        };
        if provider != posted {
            found.differs(Difference {
                id: id.to_owned(),
                currency: shown.currency,
                provider,
                posted,
            });
        }
        let Some((currency, fees)) = Seen::fees_elsewhere(&shown).map_err(too_large)? else {
            return Ok(());
        };
        let (provider, posted) = (
            fees.checked_neg().map_err(too_large)?,
            self.posted_fees(row.as_ref(), currency).await?,
        );
        if provider != posted {
            found.differs(Difference {
                id: id.to_owned(),
                currency,
                provider,
                posted,
            });
        }
        Ok(())
    }

    async fn is_ours(&self, shown: &provider::Payment) -> Result<bool, Problem> {
        let Some(id) = shown
            .reference
            .as_ref()
            .and_then(|reference| reference.parse().ok())
        else {
            return Ok(false);
        };
        Ok(PaymentRows::of(&self.catalog)
            .top_up(id)
            .await
            .map_err(unread)?
            .is_some())
    }

    /// What the journal says of a payment, whatever its row says.
    async fn posted(&self, row: &Payment) -> Result<Cents, Problem> {
        // One more than the row knows of: a process may have died between the two.
        let step = |number| Identity {
            root: row.root,
            reporter: None,
            namespace: Namespace::Payment,
            source: crate::settlement::SOURCE.into(),
            id: format!("{}:{number}", row.id),
        };
        let steps: Vec<Identity> = (0..=row.idempotency_epoch).map(step).collect();
        self.net_of(&steps, row.root, row.currency).await
    }

    /// The same of its fees in the currency that it was converted to.
    async fn posted_fees(
        &self,
        row: Option<&Payment>,
        currency: Currency,
    ) -> Result<Cents, Problem> {
        let Some(row) = row else {
            return Ok(Cents::ZERO);
        };
        let step = |number| Identity {
            root: row.root,
            reporter: None,
            namespace: Namespace::Payment,
            source: crate::settlement::SOURCE.into(),
            id: crate::abroad::fees_key(&row.id, number),
        };
        let idempotency_epoch = row.fees.as_ref().map_or(0, |fees| fees.idempotency_epoch);
        self.net_of(
            &(0..=idempotency_epoch).map(step).collect::<Vec<_>>(),
            row.root,
            currency,
        )
        .await
    }

    /// The provider's side of what was posted under these names.
    async fn net_of(
        &self,
        steps: &[Identity],
        root: TenantId,
        currency: Currency,
    ) -> Result<Cents, Problem> {
        let found = self
            .engine
            .journal()
            .find_each(steps)
            .await
            .map_err(prepare::failures::journal_problem)?;
        let external = AccountKey::external(root, currency);
        let mut net = Cents::ZERO;
        for record in found.into_iter().flatten() {
            let nets = ledger::nets(&record.body.postings).map_err(too_large)?;
            for (_, cents) in nets.into_iter().filter(|(account, _)| *account == external) {
                net = net.checked_sub(cents).map_err(too_large)?;
            }
        }
        Ok(net)
    }
}

fn too_large(_: rating::Overflow) -> Problem {
    Problem::new(Code::Overflow, "the amounts are too large to be compared")
}
