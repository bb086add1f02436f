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

fn after(balance_monitor: &BalanceMonitor, balances: &[(i64, i64)]) {
    balance_monitor.tell(balance_monitor.look(&batch(balances), &[]));
}

fn told(balance_monitor: &BalanceMonitor, purpose: Purpose) -> Vec<i64> {
    let mut told: Vec<i64> = balance_monitor
        .take_crossed(purpose)
        .into_iter()
        .map(|account| account.tenant.0)
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn a_crossing_is_told_once_each_way() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(
        Purpose::LowBalance,
        [(account(1), Cents(500)), (account(2), Cents(500))],
    );
    after(&balance_monitor, &[(1, 501), (2, 500), (3, 0)]);
    assert_eq!(
        told(&balance_monitor, Purpose::LowBalance),
        [1, 2],
        "what was told of a new mark is not known; without one never"
    );
    after(&balance_monitor, &[(1, 502), (2, 400)]);
    assert!(
        told(&balance_monitor, Purpose::LowBalance).is_empty(),
        "it was told"
    );
    balance_monitor.set_thresholds(
        Purpose::LowBalance,
        [(account(2), Cents(500)), (account(3), Cents(0))],
    );
    after(&balance_monitor, &[(2, 300), (3, 0)]);
    assert_eq!(
        told(&balance_monitor, Purpose::LowBalance),
        [3],
        "only what is new"
    );
    after(&balance_monitor, &[(2, 900)]);
    assert_eq!(told(&balance_monitor, Purpose::LowBalance), [2], "it rose");
    after(&balance_monitor, &[(2, 1)]);
    assert_eq!(told(&balance_monitor, Purpose::LowBalance), [2]);
}

#[test]
fn nothing_is_told_before_the_commit_or_of_a_batch_that_failed() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(Purpose::TopUp, [(account(1), Cents(500))]);
    let lost = balance_monitor.look(&batch(&[(1, 100)]), &[]);
    assert!(told(&balance_monitor, Purpose::TopUp).is_empty());
    drop(lost);
    after(&balance_monitor, &[(1, 200)]);
    assert_eq!(told(&balance_monitor, Purpose::TopUp), [1]);
}

#[test]
fn batches_that_look_before_the_one_before_is_told_miss_no_rise() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(Purpose::LowBalance, [(account(1), Cents(500))]);
    let [first, second] = [100, 900].map(|cents| balance_monitor.look(&batch(&[(1, cents)]), &[]));
    balance_monitor.tell(first);
    balance_monitor.tell(second);
    assert_eq!(
        told(&balance_monitor, Purpose::LowBalance),
        [1],
        "once, for both"
    );
    after(&balance_monitor, &[(1, 100)]);
    assert_eq!(told(&balance_monitor, Purpose::LowBalance), [1]);
}

#[test]
fn every_balance_can_be_used_up() {
    let balance_monitor = BalanceMonitor::default();
    after(&balance_monitor, &[(1, 0)]);
    assert!(
        told(&balance_monitor, Purpose::Exhausted).is_empty(),
        "nobody listens"
    );
    balance_monitor.set_thresholds(Purpose::Exhausted, []);
    after(&balance_monitor, &[(1, 0), (2, 1), (3, -5)]);
    assert_eq!(told(&balance_monitor, Purpose::Exhausted), [1, 3]);
    balance_monitor.set_threshold(Purpose::Exhausted, account(1), None, false);
    balance_monitor.set_threshold(Purpose::Exhausted, account(3), Some(Cents(-100)), false);
    after(&balance_monitor, &[(1, -10), (3, -99)]);
    assert!(
        told(&balance_monitor, Purpose::Exhausted).is_empty(),
        "postpaid, or within its limit"
    );
    after(&balance_monitor, &[(3, -100)]);
    assert_eq!(told(&balance_monitor, Purpose::Exhausted), [3]);
    after(&balance_monitor, &[(3, -99)]);
    assert_eq!(told(&balance_monitor, Purpose::Exhausted), [3]);
}

#[test]
fn purposes_do_not_know_of_each_other() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(Purpose::LowBalance, [(account(1), Cents(500))]);
    balance_monitor.set_thresholds(Purpose::TopUp, [(account(1), Cents(100))]);
    after(&balance_monitor, &[(1, 300)]);
    assert_eq!(
        (
            told(&balance_monitor, Purpose::LowBalance),
            told(&balance_monitor, Purpose::TopUp)
        ),
        (vec![1], vec![])
    );
    after(&balance_monitor, &[(1, 100)]);
    assert_eq!(
        (
            told(&balance_monitor, Purpose::LowBalance),
            told(&balance_monitor, Purpose::TopUp)
        ),
        (vec![], vec![1])
    );
}

#[test]
fn other_accounts_of_a_tenant_are_nobodys_balance() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(Purpose::Exhausted, []);
    let mut other = Batch::default();
    other.state.accounts.insert(
        AccountKey::external(TenantId(1), Currency::EUR),
        Balance {
            posted: Cents(-5),
            held: Cents::ZERO,
        },
    );
    balance_monitor.tell(balance_monitor.look(&other, &[]));
    assert!(told(&balance_monitor, Purpose::Exhausted).is_empty());
}

#[tokio::test]
async fn who_waits_is_woken() {
    let balance_monitor = BalanceMonitor::default();
    balance_monitor.set_thresholds(Purpose::TopUp, [(account(1), Cents(500))]);
    let waiting = tokio::spawn({
        let balance_monitor = balance_monitor.clone();
        async move { balance_monitor.crossed(Purpose::TopUp).await }
    });
    tokio::task::yield_now().await;
    after(&balance_monitor, &[(1, 5)]);
    assert_eq!(waiting.await.unwrap(), [account(1)]);
}
