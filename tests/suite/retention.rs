//! Old months go on PostgreSQL: the books stay right, what is resent is never charged twice, and a
//! run that was cut short anywhere is finished by the next.

use crate::world::{Backend, World, instant, postgres_is_here};
use catalog::{CatalogError, TenantPatch};
use journal::{Check, StateKeys};
use journal_postgres::PostgresJournal;
use journal_postgres::retention::{PATIENCE, Plan, Retention, RetentionError};
use ledger::AccountKey;
use problem::Problem;
use rating::{Currency, TenantId};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const DAY: i64 = 86_400;
/// With windows of 35 days.
pub const KEEP: u32 = 3;

/// Usage, voids, holds and money from November to March. The second reseller's customer is quiet
/// from December on.
async fn five_months() -> Option<World> {
    if !postgres_is_here().await {
        return None;
    }
    let world = World::reference(Backend::Postgres).await;
    world.call("beta", "120").id("quiet").text().await;
    for month in 0..5 {
        if month > 0 {
            world.pass(30 * DAY);
        }
        let events: Vec<_> = (0..7)
            .map(|n| world.call("acme-42", "61").id(&format!("m{month}-{n}")))
            .collect();
        assert!(
            world
                .batch(&events)
                .await
                .iter()
                .all(|answer| answer.starts_with("rated"))
        );
        world
            .send("acme-43", "sms", "1.3")
            .id(&format!("s{month}"))
            .text()
            .await;
        assert_eq!(
            world
                .call("acme-43", "60")
                .id(&format!("h{month}"))
                .hold(600)
                .await
                .unwrap()
                .amounts
                .len(),
            1
        );
        world
            .call("acme-43", "30")
            .id(&format!("c{month}"))
            .on_hold(&format!("h{month}"))
            .text()
            .await;
        world.void(&format!("m{month}-3")).text().await;
        world.top_up("acme-42", 1000).await;
    }
    Some(world)
}

async fn retention(world: &World) -> Retention {
    Retention::open(&world.db).await.unwrap()
}

async fn planned(world: &World) -> Plan {
    retention(world)
        .await
        .plan(world.now(), KEEP)
        .await
        .unwrap()
}

/// The whole command.
async fn drop_old(world: &World) -> Vec<String> {
    let (retention, plan) = (retention(world).await, planned(world).await);
    retention.fold(&plan, false, &world.actor()).await.unwrap();
    retention.drop_months(world.now(), PATIENCE).await.unwrap()
}

async fn wrong(world: &World) -> Vec<Check> {
    transfer::audit::verify(&world.db)
        .await
        .unwrap()
        .into_iter()
        .filter(|check| !check.ok)
        .collect()
}

pub async fn sound(world: &World) {
    assert_eq!(wrong(world).await, []);
}

async fn begun_at_openings(world: &World) -> u64 {
    transfer::audit::verify(&world.db)
        .await
        .unwrap()
        .iter()
        .find(|check| check.name == "openings")
        .unwrap()
        .examined
}

/// Every account of the world, as another process finds it.
async fn balances(world: &World) -> String {
    let ids: Vec<TenantId> = world
        .tenants
        .lock()
        .unwrap()
        .values()
        .map(|tenant| tenant.id)
        .collect();
    let kinds = [
        AccountKey::balance,
        AccountKey::book,
        AccountKey::income,
        AccountKey::revenue,
        AccountKey::external,
    ];
    let accounts: Vec<AccountKey> = ids
        .iter()
        .flat_map(|id| kinds.map(|of| of(*id, Currency::EUR)))
        .collect();
    let journal: Arc<dyn journal::Journal> =
        Arc::new(PostgresJournal::open(&world.db).await.unwrap());
    let state = journal
        .load(&StateKeys {
            accounts: accounts.clone(),
            ..StateKeys::default()
        })
        .await
        .unwrap();
    let of = |account: &AccountKey| state.accounts.get(account).copied().unwrap_or_default();
    accounts
        .iter()
        .map(|account| format!("{account} {:?}\n", of(account)))
        .collect()
}

async fn connection(world: &World) -> PgConnection {
    PgConnection::connect(world.url()).await.unwrap()
}

async fn months_of(world: &World, table: &str) -> Vec<String> {
    let text = format!(
        "select relname::text from pg_class where relkind = 'r' and relname like '{table}_y%' \
            order by relname"
    );
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(&mut connection(world).await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_drops_a_month_and_the_books_stay_right() {
    let Some(world) = five_months().await else {
        return;
    };
    let plan = planned(&world).await;
    assert_eq!(
        (
            plan.from.to_string().as_str(),
            plan.unrated,
            plan.open_holds
        ),
        ("2026-12-01T00:00:00Z", 0, 0)
    );
    assert_eq!(
        plan.months
            .iter()
            .map(|month| month.month.as_str())
            .collect::<Vec<_>>(),
        ["2026-11"]
    );
    assert!(
        plan.months[0].records > 10 && plan.months[0].batches > 5,
        "{plan:?}"
    );
    let before = balances(&world).await;

    assert_eq!(drop_old(&world).await, ["2026-11"]);
    for table in ["records", "batches", "touched"] {
        assert_eq!(
            months_of(&world, table).await[0],
            format!("{table}_y2026m12")
        );
    }
    sound(&world).await;
    assert_eq!(balances(&world).await, before);
    // Both resellers begin at openings; nothing of the second one's records is left.
    assert_eq!(begun_at_openings(&world).await, 2);
    assert_eq!(planned(&world).await.months.len(), 0);

    // The processes that were running go on, and so does a new one.
    let beside = world.beside().await;
    world
        .call("acme-42", "61")
        .gives("rated 80 = platform 60 + muster 20, balance 7520")
        .await;
    beside
        .call("acme-42", "61")
        .gives("rated 80 = platform 60 + muster 20, balance 7440")
        .await;
    beside
        .call("beta", "60")
        .gives("rated 40 = platform 22 + agent 8 + sub-agent 10, balance -120")
        .await;
    world
        .void("m4-1")
        .gives("-80 = platform -60 + muster -20, balance 7520")
        .await;
    sound(&world).await;

    // A month later, from the openings on.
    world.pass(31 * DAY);
    world.call("acme-43", "60").text().await;
    assert_eq!(drop_old(&world).await, ["2026-12"]);
    sound(&world).await;
    let log = world
        .catalog
        .audit_log(&world.platform, &catalog::AuditFilter::default(), None, 10)
        .await
        .unwrap()
        .data;
    let entries: Vec<_> = log
        .iter()
        .filter(|entry| entry.action == "drop_months")
        .collect();
    assert!(
        entries.len() >= 3 && entries[0].after.as_ref().unwrap()["hash"].is_string(),
        "{entries:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_charges_nothing_twice_whose_records_are_gone() {
    let Some(world) = five_months().await else {
        return;
    };
    let at = "2026-11-20T11:58:59Z";
    let first = world.call("acme-42", "61").id("m0-1").at(at);
    first
        .clone()
        .gives("duplicate 80 = platform 60 + muster 20, balance 7600")
        .await;
    drop_old(&world).await;
    // In its window it is known as before; later it is late, and nobody can have it rated: it may
    // have been, and was.
    let known = world.call("acme-42", "61").id("m4-1");
    known
        .gives("duplicate 80 = platform 60 + muster 20, balance 7600")
        .await;
    first.gives("unrated late").await;
    assert_eq!(
        world.rate_again("muster").await,
        "rated 0, before_records 1"
    );
    world
        .call("acme-42", "61")
        .id("m0-1")
        .at(at)
        .gives("unrated late again")
        .await;
    world.void("m0-2").gives("refused not_found").await;
    assert_eq!(
        world.extend("h0", "again", "10", 60).await,
        "refused not_found"
    );
    sound(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_what_late_usage_asks_for() {
    let Some(world) = five_months().await else {
        return;
    };
    let retention = retention(&world).await;
    let refused = retention.plan(world.now(), 2).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RetentionError::TooShort {
                late_days: 35,
                least: 3
            }
        ),
        "{refused}"
    );
    let window = async |days| {
        let patch = TenantPatch {
            late_window_days: Some(days),
            ..TenantPatch::default()
        };
        world
            .catalog
            .update_tenant(&world.actor(), world.tenant("acme-42").id, patch)
            .await
    };
    // Somebody lengthens a window while a run is under way: the openings are there, and nothing
    // goes.
    let plan = planned(&world).await;
    window(366).await.unwrap();
    let stopped = retention
        .fold(&plan, false, &world.actor())
        .await
        .unwrap_err();
    assert!(
        matches!(stopped, RetentionError::TooShort { least: 15, .. }),
        "{stopped}"
    );
    assert!(retention.drop_months(world.now(), PATIENCE).await.is_err());
    assert_eq!(months_of(&world, "records").await[0], "records_y2026m11");
    window(35).await.unwrap();
    assert_eq!(
        retention.drop_months(world.now(), PATIENCE).await.unwrap(),
        ["2026-11"]
    );
    // 109 days are there, and a month of them is the margin.
    let Err(CatalogError::Invalid { field, detail }) = window(82).await else {
        panic!()
    };
    assert!(
        field == "late_window_days"
            && detail.contains("at most 81")
            && detail.contains("2026-12-01"),
        "{detail}"
    );
    window(81).await.unwrap();
    sound(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_drops_nothing_that_still_wants_something() {
    if !postgres_is_here().await {
        return;
    }
    let world = World::reference(Backend::Postgres).await;
    world
        .send("acme-42", "booking", "1")
        .id("unknown")
        .at("2019-01-01T00:00:00Z")
        .text()
        .await;
    world
        .call("acme-42", "60")
        .id("open")
        .hold(3600)
        .await
        .unwrap();
    world.pass(120 * DAY);
    world.call("acme-43", "60").text().await;
    let (retention, plan) = (retention(&world).await, planned(&world).await);
    assert_eq!(
        (plan.unrated, plan.open_holds),
        (1, 0),
        "the hold is over, and the call has swept it"
    );
    let refused = retention
        .fold(&plan, false, &world.actor())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RetentionError::Unrated { count: 1 }),
        "{refused}"
    );
    assert_eq!(
        retention
            .drop_months(world.now(), PATIENCE)
            .await
            .unwrap()
            .len(),
        0
    );
    retention.fold(&plan, true, &world.actor()).await.unwrap();
    assert_eq!(
        retention.drop_months(world.now(), PATIENCE).await.unwrap(),
        ["2026-11"]
    );
    sound(&world).await;
    assert_eq!(world.rate_again("muster").await, "rated 0");

    // One that nobody has swept yet.
    let other = World::reference(Backend::Postgres).await;
    other
        .call("acme-42", "60")
        .id("open")
        .hold(3600)
        .await
        .unwrap();
    other.pass(120 * DAY);
    let plan = planned(&other).await;
    assert_eq!(plan.open_holds, 1);
    let refused = Retention::open(&other.db)
        .await
        .unwrap()
        .fold(&plan, true, &other.actor())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RetentionError::OpenHolds { count: 1 }),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_finds_a_changed_byte_of_an_opening() {
    let Some(world) = five_months().await else {
        return;
    };
    drop_old(&world).await;
    let (mut conn, root) = (connection(&world).await, world.tenant("muster").root);
    let middle = "length(totals) / 2";
    let flip = format!(
        "update openings set totals = set_byte(totals, {middle}, get_byte(totals, {middle}) # 1) \
            where root = {}",
        root.0
    );
    let changes = [
        (flip.clone(), flip),
        (
            "update openings set digest = sha256(digest)".into(),
            String::new(),
        ),
    ];
    for (change, back) in changes {
        conn.execute(AssertSqlSafe(change)).await.unwrap();
        let found = wrong(&world).await;
        let named = found
            .iter()
            .find(|check| check.name == "openings")
            .unwrap_or_else(|| panic!("{found:?}"));
        assert!(
            named
                .differences
                .iter()
                .any(|difference| difference.contains(&root.to_string())),
            "{named:?}"
        );
        if !back.is_empty() {
            conn.execute(AssertSqlSafe(back)).await.unwrap();
            sound(&world).await;
        }
    }
    // Books that are not right are not folded.
    world.pass(31 * DAY);
    let refused = retention(&world)
        .await
        .fold(&planned(&world).await, false, &world.actor())
        .await
        .unwrap_err();
    assert!(matches!(refused, RetentionError::NotSound(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_retention_is_finished_by_the_next_run() {
    let detach =
        |table: &str| format!("alter table {table} detach partition {table}_y2026m11 concurrently");
    // How far the first run came.
    let ends: [Vec<String>; 4] = [
        vec![],
        vec![detach("touched"), "drop table touched_y2026m11".into()],
        vec![
            detach("touched"),
            "drop table touched_y2026m11".into(),
            detach("records"),
        ],
        vec![detach("touched"), detach("records"), detach("batches")],
    ];
    for end in ends {
        let Some(world) = five_months().await else {
            return;
        };
        let before = balances(&world).await;
        retention(&world)
            .await
            .fold(&planned(&world).await, false, &world.actor())
            .await
            .unwrap();
        for statement in end {
            connection(&world)
                .await
                .execute(AssertSqlSafe(statement))
                .await
                .unwrap();
        }
        sound(&world).await;
        world
            .call("acme-42", "61")
            .id("m4-1")
            .gives("duplicate 80 = platform 60 + muster 20, balance 7600")
            .await;
        assert_eq!(
            retention(&world)
                .await
                .drop_months(world.now(), PATIENCE)
                .await
                .unwrap(),
            ["2026-11"]
        );
        assert_eq!(months_of(&world, "batches").await[0], "batches_y2026m12");
        sound(&world).await;
        assert_eq!(balances(&world).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_drops_nothing_before_every_root_has_its_opening() {
    let Some(world) = five_months().await else {
        return;
    };
    let retention = retention(&world).await;
    retention
        .fold(&planned(&world).await, false, &world.actor())
        .await
        .unwrap();
    // The first run ended between two roots.
    let forget = format!(
        "delete from openings where root = {}",
        world.tenant("agent").root.0
    );
    connection(&world)
        .await
        .execute(AssertSqlSafe(forget))
        .await
        .unwrap();
    sound(&world).await;
    let refused = retention
        .drop_months(world.now(), PATIENCE)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RetentionError::NotIncluded { .. }),
        "{refused}"
    );
    assert_eq!(months_of(&world, "touched").await[0], "touched_y2026m11");
    assert_eq!(drop_old(&world).await, ["2026-11"]);
    assert_eq!(begun_at_openings(&world).await, 2);
    sound(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_retention_waits_for_who_still_reads() {
    let Some(world) = five_months().await else {
        return;
    };
    let mut reader = connection(&world).await;
    let audit = "begin isolation level repeatable read read only; lock table only records, only \
        batches, only touched in access share mode";
    reader.execute(audit).await.unwrap();
    let count = "select count(*) from records";
    let seen: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    retention(&world)
        .await
        .fold(&planned(&world).await, false, &world.actor())
        .await
        .unwrap();
    let stopped = retention(&world)
        .await
        .drop_months(world.now(), 1)
        .await
        .unwrap_err();
    assert!(matches!(stopped, RetentionError::InUse { .. }), "{stopped}");
    // Half-way out: who writes is not kept waiting, and who reads still sees what was there.
    world
        .call("acme-42", "61")
        .gives("rated 80 = platform 60 + muster 20, balance 7520")
        .await;
    sound(&world).await;
    assert_eq!(
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&mut reader)
            .await
            .unwrap(),
        seen
    );
    reader.execute("commit").await.unwrap();
    assert_eq!(
        retention(&world)
            .await
            .drop_months(world.now(), PATIENCE)
            .await
            .unwrap(),
        ["2026-11"]
    );
    sound(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_servers_work_on_while_months_go() {
    let Some(world) = five_months().await else {
        return;
    };
    let beside = world.beside().await;
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let work = async |world: &World, of: &str| -> Result<(), Problem> {
        while !over.load(Ordering::SeqCst) {
            let id = format!("{of}-{}", sent.fetch_add(1, Ordering::SeqCst));
            let events: Vec<_> = ["acme-42", "acme-43", "beta"]
                .map(|customer| {
                    world
                        .send(customer, "sms", "1")
                        .id(&format!("{id}-{customer}"))
                })
                .into();
            let answers = world.batch(&events).await;
            assert!(
                answers.iter().all(|answer| answer.starts_with("rated")),
                "{answers:?}"
            );
            world
                .engine
                .balance(AccountKey::balance(world.tenant("beta").id, Currency::EUR))
                .await?;
            world
                .engine
                .locate(
                    &world.caller("platform"),
                    "default",
                    &format!("{id}-beta"),
                    None,
                )
                .await?;
        }
        Ok(())
    };
    let dropping = async {
        // Something was done before, meanwhile and after.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let dropped = drop_old(&world).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        over.store(true, Ordering::SeqCst);
        dropped
    };
    let (ours, theirs, dropped) =
        tokio::join!(work(&world, "ours"), work(&beside, "theirs"), dropping);
    ours.unwrap();
    theirs.unwrap();
    assert_eq!(dropped, ["2026-11"]);
    assert!(sent.load(Ordering::SeqCst) > 4);
    sound(&world).await;
}

/// The next batch may be dated before the last one, as it could be by builds that did not know when
/// that was.
async fn forget_when(world: &World) {
    sqlx::query("update heads set committed_us = 0")
        .execute(&mut connection(world).await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_cuts_between_batches_where_clocks_differ() {
    if !postgres_is_here().await {
        return;
    }
    let world = World::reference(Backend::Postgres).await;
    // One process writes just after midnight, and one whose clock is two seconds behind after it.
    world.pass(10 * DAY + DAY / 2 + 1);
    world
        .call("acme-42", "60")
        .id("ahead")
        .gives("rated 40 = platform 30 + muster 10, balance 4960")
        .await;
    world.pass(-2);
    forget_when(&world).await;
    world
        .call("acme-42", "60")
        .id("behind")
        .gives("rated 40 = platform 30 + muster 10, balance 4920")
        .await;
    world.pass(DAY);
    world.call("acme-42", "60").id("stays").text().await;
    world.pass(100 * DAY);
    let before = balances(&world).await;
    assert_eq!(drop_old(&world).await, ["2026-11"]);
    sound(&world).await;
    assert_eq!(balances(&world).await, before);
    // Up to the opening everything is gone, behind it everything is there.
    for id in ["ahead", "behind"] {
        world.void(id).gives("refused not_found").await;
    }
    world
        .void("stays")
        .gives("-40 = platform -30 + muster -10, balance 4920")
        .await;
    let left: i64 = sqlx::query_scalar(
        "select count(*) from records r join openings o on o.root \
        = r.root where r.seq <= o.last_seq",
    )
    .fetch_one(&mut connection(&world).await)
    .await
    .unwrap();
    assert_eq!(left, 0);

    // A clock that is hours behind would take too much with it.
    world.pass(
        instant("2027-04-01T02:00:00Z").micros() / 1_000_000 - world.now().micros() / 1_000_000,
    );
    world.call("acme-42", "60").text().await;
    world.pass(-3 * 3600);
    forget_when(&world).await;
    world.call("acme-42", "60").text().await;
    world.pass(105 * DAY);
    let refused = retention(&world)
        .await
        .plan(world.now(), KEEP)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RetentionError::Clocks { .. }),
        "{refused}"
    );
}
