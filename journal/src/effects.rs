//! What an entry moves, worked out in one place: statements, commission, earnings, stored states
//! and the audit all read it here.

use crate::{EntryPayload, JournalEntry};
use ledger::{AccountKey, Posting, Refusal};
use rating::{Cents, TenantId};
use smallvec::SmallVec;

/// One account's side of a charge or of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    pub account: AccountKey,
    /// Positive: into the account. A charge of zero cents moves zero.
    pub cents: Cents,
    pub kind: EffectKind,
}

/// Which side of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectKind {
    /// The buyer's side of a link's charge.
    ChargePaid,
    /// The seller's side of a link's charge.
    ChargeReceived,
    /// Either side of a posting of the entry's own: a top-up, an adjustment, a payout and the like.
    Posted,
}

pub type Effects = SmallVec<[Effect; 6]>;

/// Both sides of every charge and every posting, in the entry's order: they sum to zero. Holds move
/// nothing. `platform`: the seller of the root's own link; `None` takes it from the charges.
///
/// # Errors
/// The charges are not links of one chain, or an amount has no negative.
pub fn effects(
    root: TenantId,
    platform: Option<TenantId>,
    body: &EntryPayload,
) -> Result<Effects, Refusal> {
    let links = || body.charges.iter().map(|charge| charge.link);
    let platform = platform.unwrap_or_else(|| ledger::platform_in(root, links()));
    if body.currency.is_some() && !body.charges.is_empty() {
        ledger::check_chain(root, platform, links())?;
    }
    let mut effects = Effects::new();
    for (posting, [paid, received]) in sides(root, platform, body) {
        let Posting { from, to, cents } = posting;
        for (account, cents, kind) in [(from, cents.checked_neg()?, paid), (to, cents, received)] {
            effects.push(Effect {
                account,
                cents,
                kind,
            });
        }
    }
    Ok(effects)
}

impl JournalEntry {
    /// Every account this entry moved, held or charged (also by zero cents); sorted, without
    /// repeats.
    pub fn accounts(&self) -> SmallVec<[AccountKey; 6]> {
        let links = self.body.charges.iter().map(|charge| charge.link);
        let platform = ledger::platform_in(self.identity.root, links);
        let mut accounts: SmallVec<[AccountKey; 6]> =
            sides(self.identity.root, platform, &self.body)
                .flat_map(|(posting, _)| [posting.from, posting.to])
                .chain(self.body.held.iter().map(|&(account, _)| account))
                .collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

/// What moves from where to where, charges first: their cents may be zero or negative.
fn sides(
    root: TenantId,
    platform: TenantId,
    body: &EntryPayload,
) -> impl Iterator<Item = (Posting, [EffectKind; 2])> {
    let charged = body.currency.into_iter().flat_map(move |currency| {
        body.charges.iter().map(move |charge| Posting {
            from: charge.link.buyer_account(currency),
            to: charge.link.seller_account(root, platform, currency),
            cents: charge.link.cents,
        })
    });
    let of_charges = [EffectKind::ChargePaid, EffectKind::ChargeReceived];
    charged.map(move |posting| (posting, of_charges)).chain(
        body.postings
            .iter()
            .map(|&posting| (posting, [EffectKind::Posted; 2])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Charge, ChargePricing, EntryPayload};
    use ledger::{LinkCharge, Settlement};
    use rating::usage::Counter;
    use rating::{AgreementId, Carry, Currency, Exact, Quantity};

    const EUR: Currency = Currency::EUR;
    const PLATFORM: TenantId = TenantId(1);
    const ROOT: TenantId = TenantId(2);
    const RESELLER: TenantId = TenantId(3);
    const CUSTOMER: TenantId = TenantId(4);

    fn charge(buyer: TenantId, seller: TenantId, settlement: Settlement, cents: i64) -> Charge {
        Charge {
            link: LinkCharge {
                buyer,
                seller,
                settlement,
                cents: Cents(cents),
            },
            agreement: AgreementId(1),
            pricing: ChargePricing::Commission {
                commission_bp: 2500,
            },
            billed: Quantity::default(),
            counter: None,
            before: Counter::default(),
            after: Counter::default(),
            exact: Exact::ZERO,
            local: Exact::ZERO,
            carry: Carry::ZERO,
        }
    }

    fn charged(charges: &[(TenantId, TenantId, Settlement, i64)]) -> EntryPayload {
        let charges = charges
            .iter()
            .map(|&(buyer, seller, settlement, cents)| charge(buyer, seller, settlement, cents));
        EntryPayload {
            currency: Some(EUR),
            charges: charges.collect(),
            ..EntryPayload::default()
        }
    }

    #[track_caller]
    fn check(body: &EntryPayload, want: &[(AccountKey, i64, EffectKind)]) {
        let found = effects(ROOT, Some(PLATFORM), body).unwrap();
        assert_eq!(effects(ROOT, None, body), Ok(found.clone()));
        let found: Vec<_> = found
            .iter()
            .map(|effect| (effect.account, effect.cents.0, effect.kind))
            .collect();
        assert_eq!(found, want);
        assert_eq!(found.iter().map(|(_, cents, _)| cents).sum::<i64>(), 0);
    }

    #[test]
    fn every_link_moves_its_cents_from_its_buyer_to_its_seller() {
        use EffectKind::{ChargePaid, ChargeReceived};
        let body = charged(&[
            (CUSTOMER, RESELLER, Settlement::Reseller, 400),
            (RESELLER, ROOT, Settlement::Platform, -3),
            (ROOT, PLATFORM, Settlement::Platform, 0),
        ]);
        check(
            &body,
            &[
                (AccountKey::book(CUSTOMER, EUR), -400, ChargePaid),
                (AccountKey::income(RESELLER, EUR), 400, ChargeReceived),
                (AccountKey::balance(RESELLER, EUR), 3, ChargePaid),
                (AccountKey::balance(ROOT, EUR), -3, ChargeReceived),
                // Nothing moves, and both have an entry of it.
                (AccountKey::balance(ROOT, EUR), 0, ChargePaid),
                (AccountKey::revenue(ROOT, EUR), 0, ChargeReceived),
            ],
        );
    }

    #[test]
    fn postings_of_its_own_follow_as_what_they_are() {
        let (external, balance) = (
            AccountKey::external(ROOT, EUR),
            AccountKey::balance(CUSTOMER, EUR),
        );
        let body = EntryPayload {
            postings: vec![Posting {
                from: external,
                to: balance,
                cents: Cents(5000),
            }],
            ..charged(&[])
        };
        check(
            &body,
            &[
                (external, -5000, EffectKind::Posted),
                (balance, 5000, EffectKind::Posted),
            ],
        );
    }

    #[test]
    fn charges_that_are_no_chain_move_nothing() {
        let gap = charged(&[
            (CUSTOMER, RESELLER, Settlement::Platform, 400),
            (ROOT, PLATFORM, Settlement::Platform, 300),
        ]);
        assert_eq!(effects(ROOT, None, &gap), Err(Refusal::BrokenChain));
        let least = charged(&[(ROOT, PLATFORM, Settlement::Platform, i64::MIN)]);
        assert_eq!(effects(ROOT, None, &least), Err(Refusal::Overflow));
    }
}
