//! Chains of sellers whose customers pay, or do not: what each withholds, and that no commission is
//! paid from nothing.

use super::*;
use proptest::prelude::*;

/// platform ← upper ← lower ← 4 and 5; upper ← 6; upper ← other ← 8.
const PLATFORM: TenantId = TenantId(1);
const UPPER: TenantId = TenantId(2);
const LOWER: TenantId = TenantId(3);
const OTHER: TenantId = TenantId(7);
const SELLERS: [TenantId; 3] = [UPPER, LOWER, OTHER];
const CUSTOMERS: [TenantId; 4] = [TenantId(4), TenantId(5), TenantId(6), TenantId(8)];

/// From a tenant's own seller up, without the platform.
fn above(tenant: TenantId) -> Vec<TenantId> {
    match tenant.0 {
        4 | 5 => vec![LOWER, UPPER],
        8 => vec![OTHER, UPPER],
        2 => vec![],
        _ => vec![UPPER],
    }
}

/// Books as small as can be.
#[derive(Debug, Clone, Default)]
struct Books {
    balances: HashMap<TenantId, i64>,
    came_in: HashMap<TenantId, i64>,
    /// Of the platform, by customer.
    revenue: HashMap<TenantId, i64>,
    /// By seller and customer.
    commission: HashMap<(TenantId, TenantId), i64>,
    /// The same, of what a seller lost in single sales and those below it gained.
    passed: HashMap<(TenantId, TenantId), i64>,
    /// The same, of what a seller gained in single sales.
    gained: HashMap<(TenantId, TenantId), i64>,
    /// What each tenant was charged.
    charged: HashMap<TenantId, i64>,
    paid_out: HashMap<TenantId, i64>,
}

impl Books {
    fn pay_in(&mut self, tenant: TenantId, cents: i64) {
        *self.balances.entry(tenant).or_default() += cents;
        *self.came_in.entry(tenant).or_default() += cents;
    }

    fn void(&mut self, customer: TenantId, prices: &[i64], first: usize) {
        let back: Vec<i64> = prices.iter().map(|cents| -cents).collect();
        self.post(customer, &back, first);
        self.pass(customer, prices, first, -1);
    }

    /// Prices from the customer's link up; of the links from `first` on.
    fn sell(&mut self, customer: TenantId, prices: &[i64], first: usize) {
        self.post(customer, prices, first);
        self.pass(customer, prices, first, 1);
    }

    fn pass(&mut self, customer: TenantId, prices: &[i64], first: usize, sign: i64) {
        let charged = |link: usize| if link < first { 0 } else { prices[link] };
        for (link, seller) in above(customer).into_iter().enumerate() {
            let (lost, gained) = (
                charged(link + 1) - charged(link),
                charged(0) - charged(link),
            );
            *self.passed.entry((seller, customer)).or_default() += sign * lost.min(gained).max(0);
            *self.gained.entry((seller, customer)).or_default() += sign * (-lost).max(0);
        }
    }

    fn post(&mut self, customer: TenantId, prices: &[i64], first: usize) {
        let mut chain = vec![customer];
        chain.extend(above(customer));
        chain.push(PLATFORM);
        for (link, &cents) in chain.windows(2).zip(prices).skip(first) {
            *self.balances.entry(link[0]).or_default() -= cents;
            if link[0] == customer {
                *self.charged.entry(customer).or_default() += cents;
            } else {
                *self.commission.entry((link[0], customer)).or_default() -= cents;
            }
            if link[1] == PLATFORM {
                *self.revenue.entry(customer).or_default() += cents;
            } else {
                *self.balances.entry(link[1]).or_default() += cents;
                *self.commission.entry((link[1], customer)).or_default() += cents;
            }
        }
    }

    fn balance(&self, tenant: TenantId) -> i64 {
        self.balances.get(&tenant).copied().unwrap_or_default()
    }
    fn paid_out(&self, seller: TenantId) -> i64 {
        self.paid_out.get(&seller).copied().unwrap_or_default()
    }
    /// Through its customers, without what it buys for itself.
    fn earned(&self, seller: TenantId) -> i64 {
        self.commission
            .iter()
            .filter(|((of, _), _)| *of == seller)
            .map(|(_, cents)| cents)
            .sum()
    }
    /// Bought for itself.
    fn own(&self, seller: TenantId) -> i64 {
        self.charged.get(&seller).copied().unwrap_or_default()
    }
    fn accrued(&self, seller: TenantId) -> i64 {
        self.earned(seller) - self.own(seller)
    }
    fn revenue(&self, customer: TenantId) -> i64 {
        self.revenue.get(&customer).copied().unwrap_or_default()
    }
    fn came_in(&self, tenant: TenantId) -> i64 {
        self.came_in.get(&tenant).copied().unwrap_or_default()
    }
    /// What came in for a customer's usage, less the platform's part of it: commission can come
    /// from that alone.
    fn left(&self, customer: TenantId) -> i64 {
        let paid_for = self
            .came_in(customer)
            .min(self.charged.get(&customer).copied().unwrap_or_default());
        (paid_for - self.revenue(customer).max(0)).max(0)
    }

    /// As it is read from a database: who is below zero, and every reseller.
    fn shares(&self) -> Shares {
        let tenants = CUSTOMERS
            .iter()
            .filter(|&&customer| self.balance(customer) < 0)
            .chain(&SELLERS);
        let debtors = tenants.map(|&tenant| Debtor {
            tenant,
            sellers: above(tenant),
            balance: Cents(self.balance(tenant)),
            paid_out: Cents(self.paid_out(tenant)),
            losses: self.losses(tenant),
        });
        let mut earned: HashMap<TenantId, Earned> = HashMap::new();
        for seller in SELLERS {
            let (kept, given) = (
                Cents(self.accrued(seller) + self.own(seller).max(0)),
                Cents((-self.own(seller)).max(0)),
            );
            earned.insert(
                seller,
                Earned {
                    kept,
                    given,
                    paid_out: Cents(self.paid_out(seller)),
                    ..Earned::default()
                },
            );
        }
        for (&(seller, customer), &cents) in &self.commission {
            let below = above(customer)
                .into_iter()
                .take_while(|&one| one != seller)
                .map(Through::Reseller);
            for through in [Through::Customer(customer), Through::Reseller(customer)]
                .into_iter()
                .chain(below)
            {
                let earned = earned.entry(seller).or_default();
                earned.through.entry(through).or_default().0 += cents;
                earned.gained.entry(through).or_default().0 += self
                    .gained
                    .get(&(seller, customer))
                    .copied()
                    .unwrap_or_default();
            }
        }
        withhold(debtors.collect(), &self.losses(PLATFORM), &earned).unwrap()
    }

    fn losses(&self, seller: TenantId) -> Vec<Loss> {
        let below = |customer: TenantId| {
            above(customer)
                .into_iter()
                .take_while(|&one| one != seller)
                .collect::<Vec<_>>()
        };
        let earned: Vec<(TenantId, i64)> = match seller {
            PLATFORM => self
                .revenue
                .iter()
                .map(|(&customer, &cents)| (customer, cents))
                .collect(),
            _ => self
                .commission
                .iter()
                .filter(|((of, _), _)| *of == seller)
                .map(|((_, customer), cents)| (*customer, *cents))
                .collect(),
        };
        let passed = |customer| {
            self.passed
                .get(&(seller, customer))
                .copied()
                .unwrap_or_default()
        };
        let lost = earned
            .into_iter()
            .map(|(customer, cents)| (customer, (-cents).max(0), passed(customer)));
        let lost = lost.filter(|(_, cents, passed)| *cents > 0 || *passed > 0);
        let loss = |(customer, cents, passed)| Loss {
            customer,
            sellers: below(customer),
            cents: Cents(cents),
            passed: Cents(passed),
        };
        let mut losses: Vec<Loss> = lost.map(loss).collect();
        losses.sort_by_key(|loss| loss.customer);
        losses
    }

    fn withheld(&self, seller: TenantId) -> i64 {
        self.shares()
            .get(&seller)
            .into_iter()
            .flatten()
            .map(|one| one.cents.0)
            .sum()
    }

    /// Signed: below zero it is a debt.
    fn payable(&self, seller: TenantId) -> i64 {
        let withheld = self.withheld(seller);
        let open = self.accrued(seller) - withheld - self.paid_out(seller);
        open.min(self.balance(seller) - withheld)
    }

    fn pay_out(&mut self, seller: TenantId) {
        let cents = self.payable(seller).max(0);
        *self.balances.entry(seller).or_default() -= cents;
        *self.paid_out.entry(seller).or_default() += cents;
    }

    /// `upper 150 of 1000 by 4`.
    fn told(&self) -> String {
        let line = |(seller, shares): (&TenantId, &Vec<Withheld>)| {
            let name = if *seller == UPPER {
                "upper"
            } else if *seller == LOWER {
                "lower"
            } else {
                "other"
            };
            let lines = shares.iter().map(|one| {
                format!(
                    "{name} {} of {} by {}",
                    one.cents, one.shortfall, one.tenant.0
                )
            });
            lines.collect::<Vec<_>>().join(", ")
        };
        self.shares()
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

const FOUR: TenantId = CUSTOMERS[0];
const FIVE: TenantId = CUSTOMERS[1];
const SIX: TenantId = CUSTOMERS[2];

#[test]
fn sellers_bear_it_from_the_customers_own_upward_and_the_platform_last() {
    // 1000 = 250 lower + 150 upper + 600 platform.
    for (came_in, want) in [
        (0, "upper 150 of 1000 by 4, lower 250 of 1000 by 4"),
        (600, "upper 150 of 400 by 4, lower 250 of 400 by 4"),
        (700, "upper 50 of 300 by 4, lower 250 of 300 by 4"),
        (800, "lower 200 of 200 by 4"),
        (1000, ""),
        (5000, ""),
    ] {
        let mut books = Books::default();
        books.sell(FOUR, &[1000, 750, 600], 0);
        books.pay_in(FOUR, came_in);
        assert_eq!(books.told(), want, "{came_in} came in");
    }
}

#[test]
fn each_customer_is_borne_by_its_own_commission() {
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 750, 600], 0);
    books.sell(FIVE, &[400, 300, 200], 0);
    books.pay_in(FIVE, 390);
    books.sell(SIX, &[1000, 600], 0);
    books.pay_in(SIX, 1000);
    assert_eq!(
        books.told(),
        "upper 150 of 1000 by 4, lower 250 of 1000 by 4, lower 10 of 10 by 5"
    );
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (90, 500));
    books.pay_in(FOUR, 1000);
    assert_eq!(
        (books.payable(LOWER), books.payable(UPPER)),
        (340, 650),
        "it pays later"
    );
}

#[test]
fn what_is_given_back_after_the_payout_is_a_debt() {
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 750, 600], 0);
    books.pay_in(FOUR, 1000);
    books.pay_out(LOWER);
    books.pay_out(UPPER);
    assert_eq!((books.paid_out(LOWER), books.paid_out(UPPER)), (250, 150));
    // A refund, or a lost dispute.
    books.pay_in(FOUR, -300);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (-250, -50));
    // Later commission is set off against it. The debt of the one below is not the other's, but it
    // waits for it with what it earned through that one.
    books.sell(FIVE, &[400, 300, 200], 0);
    books.pay_in(FIVE, 400);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (-150, 0));
    assert!(
        books.told().contains("upper 50 of 150 by 3"),
        "{}",
        books.told()
    );
    books.sell(SIX, &[400, 200], 0);
    books.pay_in(SIX, 400);
    assert_eq!(
        (books.payable(LOWER), books.payable(UPPER)),
        (-150, 100),
        "no more than the debt"
    );
    books.void(SIX, &[400, 200], 0);
    books.pay_in(SIX, -400);
    books.pay_in(FOUR, 300);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (100, 100));
    // A void takes from everybody.
    books.void(FIVE, &[400, 300, 200], 0);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (0, 0));
}

#[test]
fn what_was_paid_out_is_not_there_again_for_those_above() {
    let mut books = Books::default();
    books.sell(FOUR, &[800, 0, 0], 0);
    books.pay_in(FOUR, 800);
    books.pay_out(LOWER);
    // Nobody pays for this: the lower one bears it with what it has got already, and the upper one
    // earned it from nothing.
    books.sell(FOUR, &[500, 500, 0], 0);
    assert_eq!(books.told(), "upper 500 of 500 by 3, lower 500 of 500 by 4");
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (-500, 0));
    books.pay_in(FOUR, 500);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (0, 500));
}

#[test]
fn what_is_sold_below_cost_is_borne_by_those_below_first() {
    // Bought at 300 and sold at 1: the money came in, and the platform's part goes first.
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 1, 300], 0);
    books.pay_in(FOUR, 1000);
    assert_eq!(books.told(), "lower 299 of 299 by 4");
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (700, -299));
    books.pay_in(UPPER, 199);
    assert_eq!(
        (books.told().as_str(), books.payable(LOWER)),
        ("lower 100 of 100 by 4", 899)
    );
    // What it earned from another pays for it as well.
    books.sell(SIX, &[400, 300], 0);
    books.pay_in(SIX, 400);
    assert_eq!((books.told().as_str(), books.payable(LOWER)), ("", 999));
}

#[test]
fn what_the_platform_lost_is_borne_like_any_loss() {
    // Charged at a commission of 250 of 1000, given back at 100.
    let mut books = Books::default();
    books.sell(SIX, &[1000, 750], 0);
    books.sell(SIX, &[-1000, -900], 0);
    assert_eq!(
        (books.told().as_str(), books.payable(UPPER)),
        ("upper 150 of 150 by 6", 0)
    );
    // The customer buys something else, and pays: the platform has its part.
    books.sell(SIX, &[1000, 900], 0);
    books.pay_in(SIX, 1000);
    assert_eq!((books.told().as_str(), books.payable(UPPER)), ("", 250));
    // Who gained bears it: the lower one gave back what it had got.
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 800, 600], 0);
    books.sell(FOUR, &[-1000, -800, -720], 0);
    assert_eq!(books.told(), "upper 120 of 120 by 4");
    // Both gained; and after a payout it is a debt.
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 800, 600], 0);
    books.pay_in(FOUR, 1000);
    books.pay_out(LOWER);
    books.sell(FOUR, &[-1000, -900, -720], 0);
    assert_eq!(books.told(), "upper 20 of 20 by 4, lower 100 of 100 by 4");
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (-200, 0));
}

#[test]
fn what_a_seller_gets_back_for_its_own_purchases_is_no_commission() {
    let mut books = Books::default();
    books.sell(UPPER, &[500], 0);
    books.sell(UPPER, &[-600], 0);
    assert_eq!(
        (books.told().as_str(), books.payable(UPPER)),
        ("upper 100 of 100 by 2", 0)
    );
    books.sell(SIX, &[400, 300], 0);
    books.pay_in(SIX, 400);
    assert_eq!(books.payable(UPPER), 100, "what it earned it gets");
}

#[test]
fn a_payout_does_not_hide_a_loss_that_is_sold_downwards() {
    let mut books = Books::default();
    books.sell(SIX, &[1000, 750], 0);
    books.pay_in(SIX, 1000);
    books.pay_out(UPPER);
    // Nobody pays for this. The upper one has 250 on its balance for it, and loses as much on what
    // the lower one sells.
    books.sell(CUSTOMERS[3], &[1000, 1000, 750], 0);
    books.sell(FOUR, &[1000, 500, 750], 0);
    books.pay_in(FOUR, 1000);
    assert_eq!((books.paid_out(UPPER), books.balance(UPPER)), (250, 0));
    assert_eq!(
        (books.payable(LOWER), books.payable(UPPER)),
        (250, -250),
        "what came in for it less the platform's part"
    );
    // It waits for no more than that, and never owes it.
    books.pay_in(UPPER, 100);
    assert_eq!(books.payable(LOWER), 350);
    books.pay_out(LOWER);
    books.pay_in(UPPER, -100);
    assert_eq!(books.payable(LOWER), 0);
    books.pay_in(CUSTOMERS[3], 1000);
    assert_eq!((books.payable(LOWER), books.payable(UPPER)), (150, 0));
}

#[test]
fn a_reseller_that_buys_for_nothing_is_short_itself() {
    // Sold below what it costs, or not charged to the customer at all.
    for (prices, first) in [([0, 1000, 750], 0), ([77, 1000, 750], 1)] {
        let mut books = Books::default();
        books.sell(FOUR, &prices, first);
        assert_eq!(books.told(), "upper 250 of 1000 by 3");
        books.pay_in(LOWER, 900);
        assert_eq!(books.told(), "upper 100 of 100 by 3");
    }
    // Its balance stands on commission from a customer who never pays.
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 0, 0], 0);
    books.sell(FIVE, &[0, 1000, 750], 0);
    assert_eq!(books.balance(LOWER), 0);
    assert_eq!(
        books.told(),
        "upper 250 of 1000 by 3, lower 1000 of 1000 by 4"
    );
    // Or it was paid out before.
    let mut books = Books::default();
    books.sell(FOUR, &[1000, 0, 0], 0);
    books.pay_in(FOUR, 1000);
    books.pay_out(LOWER);
    books.sell(FIVE, &[0, 1000, 750], 0);
    assert_eq!(
        (books.told().as_str(), books.payable(UPPER)),
        ("upper 250 of 1000 by 3", 0)
    );
}

#[test]
fn without_the_history_the_whole_sum_stands_for_any_customer() {
    let debtor = |tenant, balance| Debtor {
        tenant,
        sellers: vec![UPPER],
        balance: Cents(balance),
        paid_out: Cents::ZERO,
        losses: vec![],
    };
    let unknown = HashMap::from([(
        UPPER,
        Earned {
            unknown: Some(Cents(100)),
            ..Earned::default()
        },
    )]);
    let shares = withhold(vec![debtor(SIX, -70), debtor(FIVE, -70)], &[], &unknown).unwrap();
    let of = |tenant, cents| Withheld {
        tenant,
        because: Because::Unpaid,
        shortfall: Cents(70),
        cents: Cents(cents),
    };
    assert_eq!(shares[&UPPER], [of(FIVE, 70), of(SIX, 30)]);
    let least = withhold(vec![debtor(SIX, i64::MIN)], &[], &unknown);
    assert_eq!(least, Err(Overflow));
}

#[derive(Debug, Clone)]
enum Step {
    /// A customer, or a reseller for itself; prices from its link up, the first link that is
    /// charged.
    Sell(usize, [i64; 3], usize),
    /// Customers and resellers; never taken back here.
    PayIn(usize, i64),
    PayOut(usize),
    /// The n-th sale was never made.
    Void(usize),
}

/// `fair`: nobody sells below cost, and every link is charged. Else prices may be below zero: what
/// was charged under other terms is given back.
fn steps(fair: bool) -> impl Strategy<Value = Vec<Step>> {
    let price = if fair {
        (0..2000_i64).boxed()
    } else {
        prop_oneof![3 => 0..2000_i64, 1 => -2000..0_i64].boxed()
    };
    let prices = prop::collection::vec(price, 3).prop_map(move |mut prices| {
        if fair {
            prices.sort_unstable_by(|a, b| b.cmp(a));
        }
        [prices[0], prices[1], prices[2]]
    });
    let (buyers, first) = if fair { (4_usize, 1_usize) } else { (7, 2) };
    let step = prop_oneof![
        4 => (0..buyers, prices, 0..first).prop_map(|(customer, prices, first)| Step::Sell(customer, prices, first)),
        3 => (0..7_usize, 1..3000_i64).prop_map(|(tenant, cents)| Step::PayIn(tenant, cents)),
        2 => (0..3_usize).prop_map(Step::PayOut),
        1 => (0..20_usize).prop_map(Step::Void),
    ];
    prop::collection::vec(step, 1..60)
}

fn tenant(index: usize) -> TenantId {
    *CUSTOMERS
        .get(index)
        .unwrap_or_else(|| &SELLERS[index - CUSTOMERS.len()])
}

/// A sale, and what it charged from which link on.
type Sale = (TenantId, Vec<i64>, usize);

fn play(books: &mut Books, sales: &mut Vec<Sale>, step: &Step) {
    match *step {
        Step::Sell(customer, prices, first) => {
            let customer = tenant(customer);
            let links = above(customer).len() + 1;
            let sale = (customer, prices[..links].to_vec(), first.min(links - 1));
            books.sell(sale.0, &sale.1, sale.2);
            sales.push(sale);
        }
        Step::PayIn(index, cents) => books.pay_in(tenant(index), cents),
        Step::PayOut(seller) => books.pay_out(SELLERS[seller]),
        Step::Void(sale) if sale < sales.len() => {
            let (customer, prices, first) = sales.swap_remove(sale);
            books.void(customer, &prices, first);
        }
        Step::Void(_) => {}
    }
}

/// Paid, payable, and what there is to pay it from: what came in for usage less the platform's
/// part, and what the sellers paid in themselves.
fn sums(books: &Books) -> (i64, i64, i64) {
    let paid = SELLERS.iter().map(|&seller| books.paid_out(seller)).sum();
    let payable = SELLERS
        .iter()
        .map(|&seller| books.payable(seller).max(0))
        .sum();
    let left: i64 = CUSTOMERS.iter().map(|&customer| books.left(customer)).sum();
    let own: i64 = SELLERS.iter().map(|&seller| books.came_in(seller)).sum();
    (paid, payable, left + own)
}

proptest! {
    #[test]
    fn a_sale_at_a_profit_pays_commission_from_what_came_in_less_the_platforms_part(steps in steps(true)) {
        let (mut books, mut sales) = (Books::default(), Vec::new());
        for step in &steps {
            play(&mut books, &mut sales, step);
            let shares = books.shares();
            let entitled: i64 = SELLERS.iter().map(|&seller| books.accrued(seller) - books.withheld(seller)).sum();
            let left: i64 = CUSTOMERS.iter().map(|&customer| books.left(customer)).sum();
            prop_assert!(entitled <= left, "{entitled} of {left}: {shares:?}");
            // Nobody withholds more than it earned, nor all of them more than is missing.
            for seller in SELLERS {
                prop_assert!((0..=books.accrued(seller).max(0)).contains(&books.withheld(seller)));
            }
            for customer in CUSTOMERS {
                let borne: i64 = shares.values().flatten().filter(|one| one.tenant == customer).map(|one| one.cents.0).sum();
                let earned: i64 = books.commission.iter().filter(|((_, of), _)| *of == customer).map(|(_, cents)| cents).sum();
                prop_assert_eq!(borne, earned.min((-books.balance(customer)).max(0)));
            }
        }
    }

    #[test]
    fn whatever_is_sold_below_cost_or_in_part_no_more_is_paid_than_came_in(steps in steps(false)) {
        let (mut books, mut sales) = (Books::default(), Vec::new());
        for step in &steps {
            play(&mut books, &mut sales, step);
            let (paid, payable, most) = sums(&books);
            // What was paid for good reason and is lost since, and nobody waits for.
            let lost = |seller| (books.paid_out(seller) + books.withheld(seller) - books.accrued(seller)).clamp(0, books.paid_out(seller));
            let shares = books.shares();
            let waits = |seller| {
                let lines = shares.values().flatten().filter(|one| one.because == Because::Overpaid && one.tenant == seller);
                lines.map(|one| one.cents.0).sum::<i64>()
            };
            let debt: i64 = SELLERS.iter().map(|&seller| (lost(seller) - waits(seller)).max(0)).sum();
            prop_assert!(payable == 0 || paid + payable - debt <= most, "{paid} + {payable} - \
                {debt} of {most}: {books:?}");
            let came_in: i64 = books.came_in.values().sum();
            prop_assert!(paid + payable <= came_in, "{paid} + {payable} of {came_in}: {books:?}");
            // The platform's books are at zero with it.
            let held: i64 = books.balances.values().sum::<i64>() + books.revenue.values().sum::<i64>();
            prop_assert_eq!(held, came_in - paid);
        }
    }

    /// Nothing is voided, nothing that came in is taken back, and nobody uses more than it paid for
    /// where sellers earned something already: then nobody owes anything back, whatever was paid
    /// out before.
    #[test]
    fn what_was_paid_out_hides_no_loss(steps in steps(false)) {
        let (mut books, mut sales) = (Books::default(), Vec::new());
        for step in &steps {
            let (before, sales_before) = (books.clone(), sales.clone());
            play(&mut books, &mut sales, step);
            if matches!(step, Step::Void(_)) || CUSTOMERS.iter().any(|&customer| books.left(customer) < before.left(customer)) {
                (books, sales) = (before, sales_before);
                continue;
            }
            let (paid, payable, most) = sums(&books);
            prop_assert!(paid + payable <= most, "{paid} + {payable} of {most}: {:?} {books:?}", books.shares());
        }
    }
}
