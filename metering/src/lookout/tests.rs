use super::*;
use ledger::Balance;

fn account(id: i64) -> AccountKey {
    AccountKey::balance(TenantId(id), Currency::EUR)
}

/// A batch that leaves these balances behind, in cents.
fn batch(balances: &[(i64, i64)]) -> Batch {
    let mut batch = Batch::default();
    batch.state.accounts = balances
        .iter()
        .map(|&(id, cents)| {
            (
                account(id),
                Balance {
                    posted: Cents(cents),
                    held: Cents::ZERO,
                },
            )
        })
        .collect();
    batch
}

fn after(lookout: &Lookout, balances: &[(i64, i64)]) {
    lookout.tell(lookout.look(&batch(balances), &[]));
}

fn told(lookout: &Lookout, purpose: Purpose) -> Vec<i64> {
    let mut told: Vec<i64> = lookout
        .take_crossed(purpose)
        .into_iter()
        .map(|account| account.tenant.0)
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn a_crossing_is_told_once_each_way() {
    let lookout = Lookout::default();
    lookout.set_marks(
        Purpose::LowBalance,
        [(account(1), Cents(500)), (account(2), Cents(500))],
    );
    after(&lookout, &[(1, 501), (2, 500), (3, 0)]);
    assert_eq!(
        told(&lookout, Purpose::LowBalance),
        [1, 2],
        "what was told of a new mark is not known; without one never"
    );
    after(&lookout, &[(1, 502), (2, 400)]);
    assert!(
        told(&lookout, Purpose::LowBalance).is_empty(),
        "it was told"
    );
    lookout.set_marks(
        Purpose::LowBalance,
        [(account(2), Cents(500)), (account(3), Cents(0))],
    );
    after(&lookout, &[(2, 300), (3, 0)]);
    assert_eq!(told(&lookout, Purpose::LowBalance), [3], "only what is new");
    after(&lookout, &[(2, 900)]);
    assert_eq!(told(&lookout, Purpose::LowBalance), [2], "it rose");
    after(&lookout, &[(2, 1)]);
    assert_eq!(told(&lookout, Purpose::LowBalance), [2]);
}

#[test]
fn nothing_is_told_before_the_commit_or_of_a_batch_that_failed() {
    let lookout = Lookout::default();
    lookout.set_marks(Purpose::TopUp, [(account(1), Cents(500))]);
    let lost = lookout.look(&batch(&[(1, 100)]), &[]);
    assert!(told(&lookout, Purpose::TopUp).is_empty());
    drop(lost);
    after(&lookout, &[(1, 200)]);
    assert_eq!(told(&lookout, Purpose::TopUp), [1]);
}

#[test]
fn batches_that_look_before_the_one_before_is_told_miss_no_rise() {
    let lookout = Lookout::default();
    lookout.set_marks(Purpose::LowBalance, [(account(1), Cents(500))]);
    let [first, second] = [100, 900].map(|cents| lookout.look(&batch(&[(1, cents)]), &[]));
    lookout.tell(first);
    lookout.tell(second);
    assert_eq!(told(&lookout, Purpose::LowBalance), [1], "once, for both");
    after(&lookout, &[(1, 100)]);
    assert_eq!(told(&lookout, Purpose::LowBalance), [1]);
}

#[test]
fn every_balance_can_be_used_up() {
    let lookout = Lookout::default();
    after(&lookout, &[(1, 0)]);
    assert!(
        told(&lookout, Purpose::Exhausted).is_empty(),
        "nobody listens"
    );
    lookout.set_marks(Purpose::Exhausted, []);
    after(&lookout, &[(1, 0), (2, 1), (3, -5)]);
    assert_eq!(told(&lookout, Purpose::Exhausted), [1, 3]);
    lookout.mark(Purpose::Exhausted, account(1), None, false);
    lookout.mark(Purpose::Exhausted, account(3), Some(Cents(-100)), false);
    after(&lookout, &[(1, -10), (3, -99)]);
    assert!(
        told(&lookout, Purpose::Exhausted).is_empty(),
        "postpaid, or within its limit"
    );
    after(&lookout, &[(3, -100)]);
    assert_eq!(told(&lookout, Purpose::Exhausted), [3]);
    after(&lookout, &[(3, -99)]);
    assert_eq!(told(&lookout, Purpose::Exhausted), [3]);
}

#[test]
fn purposes_do_not_know_of_each_other() {
    let lookout = Lookout::default();
    lookout.set_marks(Purpose::LowBalance, [(account(1), Cents(500))]);
    lookout.set_marks(Purpose::TopUp, [(account(1), Cents(100))]);
    after(&lookout, &[(1, 300)]);
    assert_eq!(
        (
            told(&lookout, Purpose::LowBalance),
            told(&lookout, Purpose::TopUp)
        ),
        (vec![1], vec![])
    );
    after(&lookout, &[(1, 100)]);
    assert_eq!(
        (
            told(&lookout, Purpose::LowBalance),
            told(&lookout, Purpose::TopUp)
        ),
        (vec![], vec![1])
    );
}

#[test]
fn other_accounts_of_a_tenant_are_nobodys_balance() {
    let lookout = Lookout::default();
    lookout.set_marks(Purpose::Exhausted, []);
    let mut other = Batch::default();
    other.state.accounts.insert(
        AccountKey::external(TenantId(1), Currency::EUR),
        Balance {
            posted: Cents(-5),
            held: Cents::ZERO,
        },
    );
    lookout.tell(lookout.look(&other, &[]));
    assert!(told(&lookout, Purpose::Exhausted).is_empty());
}

#[tokio::test]
async fn who_waits_is_woken() {
    let lookout = Lookout::default();
    lookout.set_marks(Purpose::TopUp, [(account(1), Cents(500))]);
    let waiting = tokio::spawn({
        let lookout = lookout.clone();
        async move { lookout.crossed(Purpose::TopUp).await }
    });
    tokio::task::yield_now().await;
    after(&lookout, &[(1, 5)]);
    assert_eq!(waiting.await.unwrap(), [account(1)]);
}
