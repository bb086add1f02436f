//! Random histories against the laws of the books: Σ accounts = 0, held = Σ open holds ≥ 0,
//! balance = Σ entries, no limit passed, each hold ends once, a refusal changes nothing.

use super::*;
use crate::{
    HoldState, Posted, Posting, Refusal, adjustment, hold_amounts, postings_of, reclassification,
    reversed, splits_of, top_up,
};
use proptest::prelude::*;
use rating::Exact;
use rating::fast::FastMap;

/// Expires every open hold among these that is over; the positions of those that ended.
fn expire_due(books: &mut Books, holds: &mut [Hold], now: Instant) -> Vec<usize> {
    let due = |hold: &Hold| hold.state == HoldState::Open && hold.is_over(now);
    let due = (0..holds.len()).filter(|&index| due(&holds[index]));
    let due: Vec<usize> = due.collect();
    for &index in &due {
        books.expire(&mut holds[index], now).unwrap();
    }
    due
}

#[derive(Debug, Clone)]
enum Step {
    Charge {
        deep: bool,
        cents: [i64; 3],
    },
    Place {
        deep: bool,
        thousandths: [i64; 3],
        secs: i64,
    },
    Extend {
        hold: usize,
        thousandths: [i64; 3],
        secs: i64,
    },
    Capture {
        hold: usize,
        cents: [i64; 3],
    },
    Release {
        hold: usize,
    },
    Expire {
        hold: usize,
    },
    Sweep,
    Wait {
        secs: i64,
    },
    TopUp {
        tenant: i64,
        cents: i64,
    },
    Adjust {
        tenant: i64,
        cents: i64,
    },
    Reverse {
        posted: usize,
    },
    /// A balance goes to the book, whatever is held on it.
    Reclassify {
        tenant: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cents = || [-20_i64..60, -20_i64..60, -20_i64..60];
    let thousandths = || [-5_000_i64..60_000, -5_000_i64..60_000, -5_000_i64..60_000];
    let index = || 0_usize..64;
    let step = prop_oneof![
        5 => (any::<bool>(), cents()).prop_map(|(deep, cents)| Step::Charge { deep, cents }),
        4 => (any::<bool>(), thousandths(), 0_i64..30).prop_map(|(deep, thousandths, secs)| Step::Place { deep, thousandths, secs }),
        2 => (index(), thousandths(), 0_i64..30).prop_map(|(hold, thousandths, secs)| Step::Extend { hold, thousandths, secs }),
        3 => (index(), cents()).prop_map(|(hold, cents)| Step::Capture { hold, cents }),
        1 => index().prop_map(|hold| Step::Release { hold }),
        1 => index().prop_map(|hold| Step::Expire { hold }),
        1 => Just(Step::Sweep),
        2 => (0_i64..20).prop_map(|secs| Step::Wait { secs }),
        2 => (2_i64..=5, 0_i64..200).prop_map(|(tenant, cents)| Step::TopUp { tenant, cents }),
        1 => (2_i64..=5, -40_i64..40).prop_map(|(tenant, cents)| Step::Adjust { tenant, cents }),
        1 => index().prop_map(|posted| Step::Reverse { posted }),
        1 => (2_i64..=5).prop_map(|tenant| Step::Reclassify { tenant }),
    ];
    prop::collection::vec(step, 1..30)
}

/// Of buyers 2 to 5: credit limit, and whether usage beyond it is refused.
fn terms() -> impl Strategy<Value = Vec<(Option<i64>, bool)>> {
    prop::collection::vec((prop::option::weighted(0.8, 0_i64..50), any::<bool>()), 4)
}

fn by_reseller() -> impl Strategy<Value = Settlement> {
    prop_oneof![Just(Settlement::Reseller), Just(Settlement::ResellerShared)]
}

/// The books beside everything that ever happened to them, kept the slow and obvious way.
struct History {
    books: Books,
    limits: Vec<Limit>,
    reseller_collected: usize,
    by_reseller: Settlement,
    now: Instant,
    holds: Vec<Hold>,
    /// How often each hold ended.
    ends: Vec<u32>,
    entries: FastMap<AccountKey, i64>,
    posted: Vec<Vec<Posting>>,
}

type Law = Result<(), TestCaseError>;

impl History {
    fn new(
        terms: Vec<(Option<i64>, bool)>,
        reseller_collected: usize,
        by_reseller: Settlement,
    ) -> Self {
        let (holds, ends, posted) = (Vec::new(), Vec::new(), Vec::new());
        let (books, entries) = (books(&[]), FastMap::default());
        let mut new = Self {
            books,
            limits: Vec::new(),
            reseller_collected,
            by_reseller,
            now: NOW,
            holds,
            ends,
            entries,
            posted,
        };
        let limit = |((credit_limit, refuse), tenant): ((Option<i64>, bool), i64)| Limit {
            account: new.paying(tenant),
            credit_limit: credit_limit.map(Cents),
            refuse,
        };
        new.limits = terms.into_iter().zip(2..).map(limit).collect();
        new
    }

    /// What a tenant pays with.
    fn paying(&self, tenant: i64) -> AccountKey {
        let links = [self.charges(true, [0; 3]), self.charges(false, [0; 3])].concat();
        links
            .iter()
            .find(|link| link.buyer == TenantId(tenant))
            .unwrap()
            .buyer_account(EUR)
    }

    fn charges(&self, deep: bool, cents: [i64; 3]) -> Vec<LinkCharge> {
        match deep {
            true => settled(
                &[4, 3, 2, 1],
                self.reseller_collected,
                self.by_reseller,
                &cents,
            ),
            false => settled(
                &[5, 2, 1],
                self.reseller_collected.min(2),
                self.by_reseller,
                &cents[..2],
            ),
        }
    }

    fn amounts(&self, deep: bool, thousandths: [i64; 3]) -> Amounts {
        let exacts = thousandths.map(|part| Exact(i128::from(part) * (Exact::PER_CENT / 1_000)));
        hold_amounts(
            ROOT,
            PLATFORM,
            EUR,
            self.charges(deep, [0; 3]).into_iter().zip(exacts),
        )
        .unwrap()
    }

    fn available(&self, limit: &Limit) -> i64 {
        self.books
            .balance(limit.account)
            .unwrap()
            .available(limit.credit_limit)
            .unwrap()
            .map_or(i64::MAX, |cents| cents.0)
    }

    fn run(&mut self, step: &Step) -> Law {
        let (before, holds_before) = (snapshot(&self.books), self.holds.clone());
        if self.apply(step)?.is_err() {
            prop_assert_eq!(snapshot(&self.books), before, "a refusal changes nothing");
            prop_assert_eq!(&self.holds, &holds_before);
        }
        self.check_books()
    }

    fn apply(&mut self, step: &Step) -> Result<Result<(), Refusal>, TestCaseError> {
        let hold = |index: usize| index.checked_rem(self.holds.len());
        Ok(match *step {
            Step::Charge { deep, cents } => self.charge(deep, cents)?,
            Step::Place {
                deep,
                thousandths,
                secs,
            } => self.place(deep, thousandths, secs)?,
            Step::Extend {
                hold: index,
                thousandths,
                secs,
            } => hold(index).map_or(Ok(Ok(())), |index| self.extend(index, thousandths, secs))?,
            Step::Capture { hold: index, cents } => {
                hold(index).map_or(Ok(Ok(())), |index| self.capture(index, cents))?
            }
            Step::Release { hold: index } => hold(index).map_or(Ok(()), |index| {
                self.books
                    .release(&mut self.holds[index], self.now)
                    .map(|()| self.ends[index] += 1)
            }),
            Step::Expire { hold: index } => hold(index).map_or(Ok(()), |index| {
                self.books
                    .expire(&mut self.holds[index], self.now)
                    .map(|()| self.ends[index] += 1)
            }),
            Step::Sweep => {
                let ended = expire_due(&mut self.books, &mut self.holds, self.now);
                ended.into_iter().for_each(|index| self.ends[index] += 1);
                Ok(())
            }
            Step::Wait { secs } => {
                self.now = self.now.plus_secs(secs);
                Ok(())
            }
            Step::TopUp { tenant, cents } => top_up(ROOT, self.paying(tenant), Cents(cents))
                .and_then(|posting| self.post(vec![posting])),
            Step::Adjust { tenant, cents } => {
                adjustment(ROOT, self.paying(tenant), Cents(cents), "by hand")
                    .and_then(|posting| self.post(vec![posting]))
            }
            Step::Reverse { posted: index } => match index.checked_rem(self.posted.len()) {
                Some(index) => self.post(reversed(&self.posted[index]).to_vec()),
                None => Ok(()),
            },
            Step::Reclassify { tenant } => {
                let balance = self.books.balance(balance_of(tenant)).unwrap().posted;
                match reclassification(TenantId(tenant), EUR, balance).unwrap() {
                    Some(posting) => self.post(vec![posting]),
                    None => Ok(()),
                }
            }
        })
    }

    fn charge(
        &mut self,
        deep: bool,
        cents: [i64; 3],
    ) -> Result<Result<(), Refusal>, TestCaseError> {
        let charges = self.charges(deep, cents);
        let room: Vec<i64> = self
            .limits
            .iter()
            .map(|limit| self.available(limit))
            .collect();
        let result = self.books.charge(&event(&charges, &self.limits));
        let moves = postings_of(ROOT, PLATFORM, EUR, &charges).unwrap();
        let short =
            self.limits.iter().zip(room).position(|(limit, room)| {
                limit.refuse && debit(&moves, limit.account) > room.max(0)
            });
        match (&result, short) {
            (Err(Refusal::Exhausted { account, .. }), Some(index)) => {
                prop_assert_eq!(*account, self.limits[index].account)
            }
            (Ok(_), None) => {}
            other => prop_assert!(
                false,
                "refused exactly when an account cannot pay: {:?}",
                other
            ),
        }
        let debit: i64 = splits_of(&charges)
            .unwrap()
            .iter()
            .map(|(_, cents)| cents.0)
            .sum();
        prop_assert_eq!(debit, cents[0], "the parts sum to the customer's debit");
        Ok(result.map(|posted| self.note(&posted, moves.to_vec())))
    }

    fn place(
        &mut self,
        deep: bool,
        thousandths: [i64; 3],
        secs: i64,
    ) -> Result<Result<(), Refusal>, TestCaseError> {
        let customer = TenantId(if deep { 4 } else { 5 });
        let id = HoldId(self.holds.len() as i64 + 1);
        let hold = Hold::new(
            id,
            ROOT,
            customer,
            self.now,
            self.now.plus_secs(secs),
            self.amounts(deep, thousandths),
        );
        let covered = self.books.check_cover(&hold.amounts, &self.limits);
        let result = self.books.place_hold(&hold, &self.limits, self.now);
        prop_assert_eq!(result.is_ok(), covered.is_ok() && secs > 0);
        if result.is_ok() {
            for limit in self
                .limits
                .iter()
                .filter(|limit| hold.amount(limit.account) > Cents::ZERO)
            {
                prop_assert!(
                    self.available(limit) >= 0,
                    "a hold beyond the limit of {}",
                    limit.account
                );
            }
            self.holds.push(hold);
            self.ends.push(0);
        }
        Ok(result)
    }

    fn extend(
        &mut self,
        index: usize,
        thousandths: [i64; 3],
        secs: i64,
    ) -> Result<Result<(), Refusal>, TestCaseError> {
        let totals = self.amounts(self.holds[index].customer == TenantId(4), thousandths);
        let (until, before) = (self.now.plus_secs(secs), self.holds[index].clone());
        let result = self.books.extend_hold(
            &mut self.holds[index],
            totals,
            until,
            &self.limits,
            self.now,
        );
        for limit in &self.limits {
            let more = self.holds[index].amount(limit.account) > before.amount(limit.account);
            prop_assert!(
                !more || self.available(limit) >= 0,
                "extended beyond the limit of {}",
                limit.account
            );
        }
        Ok(result)
    }

    fn capture(
        &mut self,
        index: usize,
        cents: [i64; 3],
    ) -> Result<Result<(), Refusal>, TestCaseError> {
        let charges = self.charges(self.holds[index].customer == TenantId(4), cents);
        let held = self.holds[index].clone();
        let open = held.state == HoldState::Open && self.now < held.expires_at;
        let result = self.books.capture(
            &event(&charges, &self.limits),
            &mut self.holds[index],
            self.now,
        );
        prop_assert_eq!(result.is_ok(), open, "captures of open holds always post");
        Ok(result.map(|posted| {
            let moves = postings_of(ROOT, PLATFORM, EUR, &charges).unwrap();
            for &(account, over) in &posted.over_hold {
                assert_eq!(over.0, debit(&moves, account) - held.amount(account).0);
            }
            self.ends[index] += 1;
            self.note(&posted, moves.to_vec());
        }))
    }

    fn post(&mut self, postings: Vec<Posting>) -> Result<(), Refusal> {
        let posted = self.books.post(&postings)?;
        self.note(&posted, postings);
        Ok(())
    }

    fn note(&mut self, posted: &Posted, postings: Vec<Posting>) {
        for entry in &posted.entries {
            *self.entries.entry(entry.account).or_default() += entry.cents.0;
            assert_eq!(
                self.entries[&entry.account], entry.balance.0,
                "the balance after the entry"
            );
        }
        self.posted.push(postings);
    }

    fn check_books(&self) -> Law {
        let mut sum = 0;
        for account in all_accounts() {
            let (posted, held) = state(&self.books, account);
            let open = self
                .holds
                .iter()
                .filter(|hold| hold.state == HoldState::Open);
            prop_assert_eq!(
                held,
                open.map(|hold| hold.amount(account).0).sum::<i64>(),
                "held on {}",
                account
            );
            prop_assert!(held >= 0);
            prop_assert_eq!(
                posted,
                self.entries.get(&account).copied().unwrap_or(0),
                "entries of {}",
                account
            );
            sum += posted;
        }
        prop_assert_eq!(sum, 0, "the accounts sum to zero");
        for (hold, ends) in self.holds.iter().zip(&self.ends) {
            prop_assert_eq!(
                u32::from(hold.state != HoldState::Open),
                *ends,
                "each hold ends once"
            );
        }
        Ok(())
    }
}

/// What the moves take from an account, all in all.
fn debit(moves: &[Posting], account: AccountKey) -> i64 {
    let side = |posting: &Posting| {
        posting.cents.0 * (i64::from(posting.from == account) - i64::from(posting.to == account))
    };
    moves.iter().map(side).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_of_the_books_hold_after_every_step(
        steps in steps(), terms in terms(), reseller_collected in 0_usize..=3, by_reseller in by_reseller()
    ) {
        let mut history = History::new(terms, reseller_collected, by_reseller);
        for step in &steps {
            history.run(step)?;
        }
    }

    /// One prepaid account with `on_exhausted: refuse`, usage and holds mixed, captures within
    /// their holds.
    #[test]
    fn a_prepaid_account_never_passes_its_limit(start in 0_i64..300, credit in 0_i64..100, steps in prop::collection::vec((0_u8..5, 0_i64..120, 0_i64..4), 1..40)) {
        let limits = [Limit { account: balance_of(5), credit_limit: Some(Cents(credit)), refuse: true }];
        let (mut books, mut holds, mut now) = (books(&[(balance_of(5), start)]), Vec::<Hold>::new(), NOW);
        for (kind, cents, secs) in steps {
            let last = holds.last_mut();
            let usage = |cents: i64| charges(&[5, 1], 0, &[cents]);
            match (kind, last) {
                (0 | 1, _) => drop(books.charge(&event(&usage(cents), &limits))),
                (2, _) => {
                    let (id, end) = (HoldId(holds.len() as i64 + 1), now.plus_secs(secs));
                    let hold = Hold::new(id, ROOT, TenantId(5), now, end, if cents > 0 { amounts(&[(5, cents)]) } else { Amounts::new() });
                    if books.place_hold(&hold, &limits, now).is_ok() {
                        holds.push(hold);
                    }
                }
                (3, Some(hold)) => {
                    let within = usage(cents.min(hold.amount(balance_of(5)).0));
                    drop(books.capture(&event(&within, &limits), hold, now));
                }
                _ => {
                    now = now.plus_secs(secs);
                    expire_due(&mut books, &mut holds, now);
                }
            }
            let (posted, held) = state(&books, balance_of(5));
            prop_assert!(posted - held + credit >= 0 && held >= 0, "{} − {} + {}", posted, held, credit);
        }
    }
}
