//! Tables by month of arrival: made before they are needed, outside of any batch; dropped as a
//! whole.

use super::root_cache::poisoned;
use super::{Shared, sql};
use db::Result;
use db::retry::Tries;
use rating::Instant;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fmt;

const DAY_MICROS: i64 = 86_400_000_000;
const EXISTS: &str = "select to_regclass($1) is not null";
/// Another process was faster: unique violation in the catalogue, duplicate table or object.
const MADE_MEANWHILE: [&str; 4] = ["23505", "42P07", "42710", "42P17"];

/// A calendar month, UTC: year * 12 + month - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i64);

impl Month {
    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    pub fn of(at: Instant) -> Self {
        let days = at.micros().div_euclid(DAY_MICROS) + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        Self((era * 400 + year) * 12 + from_march + 2)
    }
    const fn next(self) -> Self {
        self.plus(1)
    }
    /// So many months later, or earlier.
    pub const fn plus(self, months: i64) -> Self {
        Self(self.0 + months)
    }
    /// `days_from_civil`: the first instant.
    pub const fn begins(self) -> Instant {
        let (year, from_march) = ((self.0 - 2).div_euclid(12), (self.0 - 2).rem_euclid(12));
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day = of_era * 365 + of_era / 4 - of_era / 100 + (153 * from_march + 2) / 5;
        Instant((era * 146_097 + day - 719_468) * DAY_MICROS)
    }
    fn name(self) -> String {
        format!(
            "y{:04}m{:02}",
            self.0.div_euclid(12),
            self.0.rem_euclid(12) + 1
        )
    }
    /// [`Self::name`] read back.
    fn named(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix('y')?.split_once('m')?;
        Some(Self(
            year.parse::<i64>()
                .ok()?
                .checked_mul(12)?
                .checked_add(month.parse::<i64>().ok()? - 1)?,
        ))
    }
}

/// 2026-11
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}",
            self.0.div_euclid(12),
            self.0.rem_euclid(12) + 1
        )
    }
}

/// The table of one month, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthTable {
    pub name: String,
    pub month: Month,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Seen with the others.
    Attached,
    /// Taking it out was begun, and nobody new sees it.
    Leaving,
    /// By itself.
    Out,
}

impl MonthTable {
    /// `records`, `batches` or `touched`.
    pub fn of(&self) -> &str {
        self.name.split('_').next().unwrap_or_default()
    }
}

/// The tables of every month that there is, by month.
pub async fn tables(conn: &mut PgConnection) -> Result<Vec<MonthTable>> {
    let rows: Vec<(String, bool, bool)> = sqlx::query_as(sql::MONTH_TABLES).fetch_all(conn).await?;
    let mut tables: Vec<MonthTable> = Vec::with_capacity(rows.len());
    for (name, attached, leaving) in rows {
        let place = match (attached, leaving) {
            (_, true) => Place::Leaving,
            (true, false) => Place::Attached,
            (false, false) => Place::Out,
        };
        if let Some(month) = name
            .split_once('_')
            .and_then(|(_, month)| Month::named(month))
        {
            tables.push(MonthTable { name, month, place });
        }
    }
    tables.sort_unstable_by(|a, b| (a.month, &a.name).cmp(&(b.month, &b.name)));
    Ok(tables)
}

/// Makes the tables of these months and of those that follow them.
pub async fn ensure(shared: &Shared, arrivals: &[Instant]) -> Result<()> {
    let mut wanted: Vec<Month> = arrivals
        .iter()
        .flat_map(|at| [Month::of(*at), Month::of(*at).next()])
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|month| shared.months.lock().is_ok_and(|made| !made.contains(month)));
    for month in wanted {
        let mut tries = Tries::default();
        while let Err(error) = make(shared, month).await {
            if !tries.again(&error).await {
                return Err(error.into());
            }
        }
        shared.months.lock().map_err(poisoned)?.insert(month);
    }
    Ok(())
}

async fn make(shared: &Shared, month: Month) -> Result<(), sqlx::Error> {
    let mut conn = shared.pool.acquire().await?;
    match make_tables(&mut conn, month).await {
        Err(error)
            if error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| MADE_MEANWHILE.contains(&code.as_ref())) =>
        {
            // It is there as soon as the other has committed: seen, or tried again.
            if exists(&mut conn, month).await? {
                Ok(())
            } else {
                make_tables(&mut conn, month).await
            }
        }
        done => done,
    }
}

async fn exists(conn: &mut PgConnection, month: Month) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(EXISTS)
        .bind(format!("records_{}", month.name()))
        .fetch_one(conn)
        .await
}

/// Attached rather than made in place: that waits for nobody who writes.
async fn make_tables(conn: &mut PgConnection, month: Month) -> Result<(), sqlx::Error> {
    if exists(conn, month).await? {
        return Ok(());
    }
    let (name, from, until) = (
        month.name(),
        month.begins().micros(),
        month.next().begins().micros(),
    );
    let table = |table: &str, keys: &str| {
        format!(
            "create table {table}_{name} (like {table} including defaults); {keys}; \
             alter table {table} attach partition {table}_{name} for values from ({from}) to \
             ({until});"
        )
    };
    let records = format!(
        "alter table records_{name} add primary key (root, seq); \
         create unique index records_{name}_by_key on records_{name} (root, key); \
         create index records_{name}_by_tenant on records_{name} (root, tenant, seq)"
    );
    let touched = format!(
        "alter table touched_{name} add primary key (root, tenant, kind, currency, first_seq); \
         create index touched_{name}_by_last on touched_{name} (root, tenant, kind, currency, \
         last_seq)"
    );
    let batches = format!("alter table batches_{name} add primary key (root, batch)");
    let text = [
        table("records", &records),
        table("batches", &batches),
        table("touched", &touched),
    ]
    .concat();
    let mut tx = conn.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *tx).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for text in [
            "1970-01-01",
            "1999-12-01",
            "2000-02-01",
            "2000-03-01",
            "2024-02-01",
            "2026-11-01",
            "2100-03-01",
            "9999-12-01",
        ] {
            let at: Instant = format!("{text}T00:00:00Z").parse().unwrap();
            let month = Month::of(at);
            assert_eq!(month.begins(), at, "{text}");
            assert_eq!(month.name(), format!("y{}m{}", &text[..4], &text[5..7]));
            assert_eq!(
                (Month::named(&month.name()), month.to_string().as_str()),
                (Some(month), &text[..7])
            );
            assert_eq!(
                Month::of(Instant(month.next().begins().micros() - 1)),
                month,
                "{text}"
            );
        }
    }
}
