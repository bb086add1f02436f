//! Edge histories: whatever the live path accepts, opening accepts. Every command with amounts at
//! the bounds, just below and above them, and at the ends of a 64-bit number, on accounts that
//! stand there; then a crash, and the file is opened again: it opens, `verify` finds the books
//! right, and every balance is what the live path had.
//!
//! `EDGE_HISTORIES` sets how many (default 200), `EDGE_SEED` where they begin.

use crate::histories::number;
use crate::world::{Backend, World, one_rate, per_unit};
use centwise_tests::dice::Dice;
use journal::{
    Batch, EntryPayload, Identity, JournalEntry, Kind, Namespace, Seq, State, StateKeys,
};
use journal_sqlite::JournalOptions;
use ledger::{AccountKey, AccountKind, Balance, Posting};
use metering::requests::{MoneyKind, PostPayment};
use rating::{Cents, Currency, Instant, TenantId};
use serde_json::json;

const HISTORIES: u64 = 200;
const OPERATIONS: u64 = 14;
const EVENT: i64 = Cents::EVENT_MAX.0;
const BALANCE: i64 = Cents::BALANCE_MAX.0;
/// Where accounts that many share begin to take small moves only, and the largest of those.
const SHARED: i64 = 4_000_000_000_000_000_000;
const SMALL: i64 = 1_000_000_000;
const EUR: Currency = Currency::EUR;
const CUSTOMERS: [&str; 6] = ["plain", "prepaid", "strict", "deep", "dear", "own-book"];
const OTHERS: [&str; 3] = ["shop", "agent", "sub"];

fn options(dice: &mut Dice) -> JournalOptions {
    JournalOptions {
        recent_records_max: 64,
        fan_out: 2,
        pending_records_max: dice.one(&[1, 7, 100]),
    }
}

/// Two roots, one of which stands where the build before the bounds could bring it; customers near
/// their bounds.
async fn stage() -> World {
    let options = JournalOptions {
        recent_records_max: 64,
        fan_out: 2,
        pending_records_max: 100,
    };
    let world = World::with(Backend::Sqlite, options).await;
    world.meter("cost", json!({ "unit": "euro" })).await;
    let card = |factor: &str| {
        let mut doc = one_rate("cost", json!({ "model": "cost_plus", "factor": factor }));
        // A hundred of them come to the bound of an event.
        doc["rates"]
            .as_array_mut()
            .unwrap()
            .push(per_unit("sms", "1000000000")["rates"][0].clone());
        doc
    };
    world.card("platform", "half", card("0.5")).await;
    world
        .reseller("shop", "platform", json!({ "card": "half" }))
        .await;
    world
        .reseller("agent", "platform", json!({ "commission_bp": 5000 }))
        .await;
    world
        .reseller(
            "sub",
            "agent",
            json!({ "commission_bp": 3333, "credit_limit": BALANCE }),
        )
        .await;
    for (owner, name, factor) in [
        ("shop", "retail-shop", "1"),
        ("sub", "retail-sub", "1"),
        ("agent", "retail-agent", "92"),
    ] {
        world.card(owner, name, card(factor)).await;
    }
    let limited = |limit: i64, on_exhausted: &str| json!({ "card": "retail-shop", "credit_limit": limit, "on_exhausted": on_exhausted });
    world
        .customer("plain", "shop", json!({ "card": "retail-shop" }))
        .await;
    world.customer("prepaid", "shop", limited(0, "post")).await;
    world
        .customer("strict", "shop", limited(BALANCE, "refuse"))
        .await;
    world
        .customer(
            "own-book",
            "shop",
            json!({ "card": "retail-shop", "collect": "reseller" }),
        )
        .await;
    world
        .customer("deep", "sub", json!({ "card": "retail-sub" }))
        .await;
    world
        .customer("dear", "agent", json!({ "card": "retail-agent" }))
        .await;
    for (name, sign) in [("plain", -1), ("strict", -1), ("deep", -1), ("prepaid", 1)] {
        for step in 1..BALANCE / EVENT {
            let key = format!("{name}-{step}");
            world
                .move_money(MoneyKind::Adjustment, name, sign * EVENT, EUR, &key)
                .await
                .unwrap();
        }
    }
    beyond(&world).await;
    world
}

/// Written by the journal itself: what events cannot bring about any more, or only in years.
async fn beyond(world: &World) {
    let (shop, agent) = (world.tenant("shop").id, world.tenant("agent").id);
    let moves = [
        (
            shop,
            AccountKey::suspense(shop, EUR),
            AccountKey::revenue(shop, EUR),
            SHARED - EVENT - EVENT / 2,
        ),
        (
            shop,
            AccountKey::balance(shop, EUR),
            AccountKey::expense(shop, EUR),
            SHARED - EVENT,
        ),
        (
            agent,
            AccountKey::suspense(agent, EUR),
            AccountKey::balance(agent, EUR),
            i64::MAX - 2 * SMALL,
        ),
        (
            agent,
            AccountKey::expense(agent, EUR),
            AccountKey::revenue(agent, EUR),
            i64::MAX - 3 * SMALL,
        ),
    ];
    let mut batch = Batch {
        committed_at: world.now(),
        ..Batch::default()
    };
    for (index, (root, from, to, cents)) in moves.into_iter().enumerate() {
        batch.records.push(by_hand(
            root,
            &format!("beyond-{index}"),
            Posting {
                from,
                to,
                cents: Cents(cents),
            },
            world.now(),
        ));
        batch.state.accounts.insert(
            from,
            Balance {
                posted: Cents(-cents),
                held: Cents::ZERO,
            },
        );
        batch.state.accounts.insert(
            to,
            Balance {
                posted: Cents(cents),
                held: Cents::ZERO,
            },
        );
    }
    world.journal.commit(batch).await.unwrap();
}

fn by_hand(root: TenantId, id: &str, posting: Posting, at: Instant) -> JournalEntry {
    let body = EntryPayload {
        currency: Some(EUR),
        postings: vec![posting],
        reason: "before the bounds".to_owned(),
        ..EntryPayload::default()
    };
    let identity = Identity {
        root,
        reporter: None,
        namespace: Namespace::Money,
        source: "".into(),
        id: id.to_owned(),
    };
    let (seq, kind, content, digest) = (Seq(0), Kind::Adjustment, [0; 16], [0; 16]);
    JournalEntry {
        seq,
        kind,
        tenant: root,
        identity,
        at,
        received_at: at,
        content,
        body,
        personal: None,
        personal_digest: digest,
    }
}

/// One history under way.
struct Play<'a> {
    world: &'a World,
    dice: Dice,
    events: u64,
    holds: u64,
    /// What it was answered, so that a failure can be told.
    told: Vec<String>,
}

impl Play<'_> {
    fn cents(&mut self) -> i64 {
        let near = self.dice.one(&[0, 1, -1, SMALL, EVENT / 2]);
        match self.dice.below(10) {
            0 => self.dice.one(&[i64::MAX, i64::MIN, i64::MAX - 1, SHARED]),
            1 => BALANCE + near,
            2..8 => EVENT.saturating_add(near),
            8 => SMALL + near % SMALL,
            _ => near,
        }
    }
    fn signed(&mut self) -> i64 {
        let cents = self.cents();
        if self.dice.below(2) == 0 {
            cents
        } else {
            cents.checked_neg().unwrap_or(cents)
        }
    }
    /// In euros and cents, as far as an amount goes.
    fn amount(&mut self) -> String {
        let cents = self.cents().clamp(0, 100_000_000_000_000_000);
        let sign = if self.dice.below(8) == 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", cents / 100, cents % 100)
    }
    fn event(&mut self, id: &str) -> crate::speak::Sending<'_> {
        let (customer, sms) = (self.dice.one(&CUSTOMERS), self.dice.below(3) == 0);
        let (amount, pieces) = (self.amount(), self.dice.one(&[1, 99, 100, 101, 1_000_000]));
        match sms {
            true => self.world.send(customer, "sms", &pieces.to_string()).id(id),
            false => self
                .world
                .send(customer, "cost", "1")
                .amount(&amount)
                .id(id),
        }
    }
    fn fresh(&mut self) -> String {
        self.events += 1;
        format!("e{}", self.events)
    }
    fn known(&mut self) -> String {
        format!("e{}", 1 + self.dice.below(self.events.max(1)))
    }
    fn hold(&mut self) -> String {
        format!("h{}", 1 + self.dice.below(self.holds.max(1)))
    }

    async fn step(&mut self, number: u64) {
        let key = format!("k{number}");
        let said = match self.dice.below(20) {
            0..7 => {
                let id = self.fresh();
                self.event(&id).text().await
            }
            7 => {
                let id = self.known();
                self.world.void(&id).text().await
            }
            8 => {
                let (id, new) = (self.known(), self.fresh());
                let (world, event) = (self.world, self.event(&new));
                world.void(&id).corrected(&event).await
            }
            9..12 => self.money(&key).await,
            12..15 => {
                self.holds += 1;
                let (id, as_much) = (format!("h{}", self.holds), self.dice.below(3) == 0);
                let (world, event) = (self.world, self.event(&id));
                world.hold_text(if as_much {
                    event.hold_as_much(300).await
                } else {
                    event.hold(300).await
                })
            }
            15 => {
                let (hold, pieces) = (self.hold(), self.dice.one(&["1", "100", "101"]));
                self.world.extend(&hold, &key, pieces, 300).await
            }
            16 => {
                let hold = self.hold();
                self.world.release(&hold, &key).await
            }
            17 => {
                let (hold, id) = (self.hold(), self.fresh());
                self.event(&id).on_hold(&hold).text().await
            }
            18 => {
                self.world.pass(200);
                self.world.engine.sweep_holds().await.unwrap();
                String::new()
            }
            _ => self.payment(&key).await,
        };
        assert!(
            ![
                "broken_chain",
                "account_not_loaded",
                "held_mismatch",
                "internal"
            ]
            .iter()
            .any(|fault| said.contains(fault)),
            "{said}"
        );
        self.told.push(said);
    }

    async fn money(&mut self, key: &str) -> String {
        let (adjusts, by_customer) = (self.dice.below(2) == 0, self.dice.below(3) > 0);
        let name = if by_customer {
            self.dice.one(&CUSTOMERS)
        } else {
            self.dice.one(&OTHERS)
        };
        let kind = if adjusts {
            MoneyKind::Adjustment
        } else {
            MoneyKind::TopUp
        };
        let cents = self.signed();
        match self.world.move_money(kind, name, cents, EUR, key).await {
            Ok(answer) => format!("{} balance {}", answer.cents, answer.balance),
            Err(problem) => problem.code.to_string(),
        }
    }

    async fn payment(&mut self, key: &str) -> String {
        let tenant = self.world.tenant(self.dice.one(&CUSTOMERS));
        let (root, of) = (tenant.root, AccountKey::balance(tenant.id, EUR));
        let other = self.dice.one(&[
            AccountKey::external(root, EUR),
            AccountKey::suspense(root, EUR),
            AccountKey::disputed(tenant.id, EUR),
        ]);
        let (from, to) = if self.dice.below(2) == 0 {
            (of, other)
        } else {
            (other, of)
        };
        let mut postings = vec![Posting {
            from,
            to,
            cents: Cents(self.signed()),
        }];
        if self.dice.below(3) == 0 {
            postings.push(Posting {
                from: AccountKey::expense(root, EUR),
                to: of,
                cents: Cents(self.signed()),
            });
        }
        let kind = self
            .dice
            .one(&[Kind::TopUp, Kind::Refund, Kind::Dispute, Kind::Payment]);
        let (key, limits, reason, source) =
            (key.to_owned(), Vec::new(), String::new(), "stripe".into());
        let command = PostPayment {
            source,
            key,
            root,
            tenant: tenant.id,
            currency: EUR,
            kind,
            postings,
            limits,
            reason,
        };
        match self.world.engine.post_payment(command).await {
            Ok(_) => "posted".to_owned(),
            Err(problem) => problem.code.to_string(),
        }
    }
}

/// Every account that anything above can move.
fn accounts(world: &World) -> Vec<AccountKey> {
    use AccountKind::{Balance, Book, Disputed, Expense, External, Income, Revenue, Suspense};
    let tenants: Vec<TenantId> = world
        .tenants
        .lock()
        .unwrap()
        .values()
        .map(|tenant| tenant.id)
        .collect();
    let of = |tenant| {
        [
            Balance, Book, Income, Revenue, External, Suspense, Disputed, Expense,
        ]
        .map(|kind| AccountKey {
            tenant,
            kind,
            currency: EUR,
        })
    };
    tenants.into_iter().flat_map(of).collect()
}

async fn balances(world: &World) -> State {
    let keys = StateKeys {
        accounts: accounts(world),
        ..StateKeys::default()
    };
    world.journal.load(&keys).await.unwrap()
}

async fn history(stage: &World, seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let world = stage.opened_again(options(&mut dice)).await;
    let mut play = Play {
        world: &world,
        dice,
        events: 0,
        holds: 0,
        told: Vec::new(),
    };
    for number in 0..OPERATIONS {
        play.step(number).await;
    }
    let again = world.opened_again(options(&mut play.dice)).await;
    let (want, got) = (balances(&world).await, balances(&again).await);
    for account in accounts(&world) {
        let of = |state: &State| state.accounts.get(&account).copied().unwrap_or_default();
        assert_eq!(
            of(&got),
            of(&want),
            "seed {seed}: {account}, opened again\n{:#?}",
            play.told
        );
    }
    for check in transfer::audit::verify(&again.db).await.unwrap() {
        assert!(check.ok, "seed {seed}: {check:?}\n{:#?}", play.told);
    }
    play.told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_live_path_accepts_opening_accepts() {
    let (count, first) = (number("EDGE_HISTORIES", HISTORIES), number("EDGE_SEED", 0));
    let stage = stage().await;
    let (mut rated, mut refused) = (0, 0);
    for seed in first..first + count {
        for said in history(&stage, seed).await {
            rated += u32::from(
                said.starts_with("rated")
                    || said.starts_with("open")
                    || said == "posted"
                    || said.contains("balance "),
            );
            refused += u32::from(said.contains("too_large"));
        }
    }
    println!("{count} histories: {rated} commands moved something, {refused} met a bound");
    assert!(
        count < HISTORIES || (rated > 400 && refused > 400),
        "{rated} moved something, {refused} met a bound"
    );
}
