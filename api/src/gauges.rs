//! Measures of what is there, read when somebody asks for them or now and then: what waits in the
//! database, its connections, the process, the disk, the newest backup.

use crate::{backups, watchdog};
use catalog::Standing;
use db::schema_version;
use metrics::gauge;
use rating::Instant;
use web::state::App;
use web::timekeeper;

/// What waits in the database is counted this often, in seconds.
pub const EVERY_SECS: u64 = 15;

/// Of this process, at once.
pub async fn of_process(app: &App) {
    watchdog::measure(app);
    let schema = schema_version::known().to_string();
    gauge!("centwise_build_info", "version" => env!("CARGO_PKG_VERSION"), "schema" => schema)
        .set(1.0);
    gauge!("centwise_clock_stepped").set(flag(app.clock.stepped().is_some()));
    gauge!("centwise_restored").set(flag(app.held.is_held()));
    let is_ready = watchdog::ready(app).is_ok()
        && timekeeper::may_write(&app.clock).is_ok()
        && app.readiness.ready(&app.catalog, &app.clock).await.is_ok();
    gauge!("centwise_ready").set(flag(is_ready));
    let (open, idle) = app.catalog.connections();
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    gauge!("centwise_database_connections", "state" => "used")
        .set(f64::from(open.saturating_sub(idle)));
    gauge!("centwise_database_connections", "state" => "idle").set(f64::from(idle));
    metrics_process::Collector::default().collect();
    of_disk(app);
}

/// Counts of the database: the server looks now and then, whoever asks for measures does not wait
/// for it.
///
/// # Errors
/// It did not answer.
pub async fn of_database(app: &App) -> Result<(), catalog::CatalogError> {
    let Standing {
        unrated,
        holds,
        deliveries_waiting,
        deliveries_failed,
        payouts,
        failed_payments,
    } = app.catalog.standing().await?;
    gauge!("centwise_unrated_events").set(counted(unrated));
    gauge!("centwise_holds_open").set(counted(holds));
    gauge!("centwise_deliveries", "state" => "waiting").set(counted(deliveries_waiting));
    gauge!("centwise_deliveries", "state" => "failed").set(counted(deliveries_failed));
    gauge!("centwise_payouts_open").set(counted(payouts));
    gauge!("centwise_payments_failed_in_a_row").set(counted(failed_payments));
    Ok(())
}

/// Without a directory there is no measure; where it has no backup, or cannot be read, the newest
/// is older than any.
fn of_disk(app: &App) {
    if let Some(dir) = &app.backup_dir {
        let age =
            |newest: Instant| counted((app.clock.now().micros() - newest.micros()) / 1_000_000);
        let newest = backups::newest(dir).ok().flatten();
        gauge!("centwise_backup_age_seconds").set(newest.map_or(f64::INFINITY, age));
    }
    if let Some(free) = app.data_dir.as_deref().and_then(free_bytes) {
        gauge!("centwise_disk_free_bytes").set(counted(i64::try_from(free).unwrap_or(i64::MAX)));
    }
}

/// What a process without rights may still write.
pub fn free_bytes(dir: &std::path::Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Measures are floats, and no money.
#[expect(clippy::cast_precision_loss, reason = "a measure for a drawing")]
fn counted(count: i64) -> f64 {
    count as f64
}
