//! Tables that are copied row by row, all their columns: the schema says which.

use super::seqs::Seqs;
use catalog::OF_RECORDS;
use db::{Result, SqlError};
use futures_util::TryStreamExt;
use journal::Seq;
use journal_postgres::Rows;
use journal_postgres::import::{Form, Import};
use journal_sqlite::export::Export;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// Rows, and about as many bytes, sent at once.
const CHUNK_ROWS: u64 = 5_000;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    /// The table of the source, or a list that is made from others there.
    pub source: &'static str,
    /// The same in the target.
    pub target: &'static str,
}

const fn same(name: &'static str) -> Table {
    Table {
        name,
        source: name,
        target: name,
    }
}

/// In an order that foreign keys allow.
pub(super) const TABLES: &[Table] = &[
    // Without what either keeps for itself.
    Table {
        name: "meta",
        source: "(select name, value from meta where name not in ('index_secret', \
            'states_through'))",
        target: "(select name from meta where name not in ('identity_secret', 'moving', \
            'platform'))",
    },
    same("tenants"),
    Table {
        name: "versions",
        source: "(select id as root_id, 1 as version, 0 as entries from tenants where id = \
            root_id)",
        target: "versions",
    },
    Table {
        name: "root_names",
        source: "(select external_id, root_id from tenants where id = root_id)",
        target: "root_names",
    },
    same("rate_cards"),
    same("card_versions"),
    same("agreements"),
    same("meters"),
    same("api_keys"),
    Table {
        name: "key_hashes",
        source: "(select hash, root_id from api_keys)",
        target: "key_hashes",
    },
    same("audit_log"),
    same("audit_heads"),
    same("idempotency"),
    same("column_maps"),
    same("settings"),
    same("top_ups"),
    same("payments"),
    same("refunds"),
    same("provider_events"),
    same("webhook_endpoints"),
    same("contacts"),
    same("notices"),
    same("deliveries"),
    same("balance_thresholds"),
    // Worked out again from the journal, whose seqs are others there.
    Table {
        name: "commission_months",
        source: "(select * from commission_months where 1 = 0)",
        target: "commission_months",
    },
    Table {
        name: "commission_positions",
        source: "(select * from commission_positions where 1 = 0)",
        target: "commission_positions",
    },
    Table {
        name: "commission_customers",
        source: "(select * from commission_customers where 1 = 0)",
        target: "commission_customers",
    },
    same("payout_settings"),
    same("payouts"),
    same("payout_files"),
    // Counting goes on from the next look there: seqs are others.
    Table {
        name: "auto_top_ups",
        source: concat!(
            "(select root_id, tenant_id, currency, state, threshold_cents, amount_cents, \
                month_max_cents, customer, method, pause, kept_id,",
            " open_id, month, month_cents, day, day_failures, failures, not_before, next_at, \
                created_at, updated_at, null as seen_seq,",
            " other_cents from auto_top_ups)"
        ),
        target: "auto_top_ups",
    },
    same("reclassifications"),
];

pub(super) async fn copy(
    export: &Export,
    import: &Import,
    table: &Table,
    seqs: &Seqs,
    copied: &mut dyn FnMut(u64),
) -> Result<()> {
    let columns = import.columns(table.name).await?;
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let width = i16::try_from(columns.len()).map_err(|e| SqlError::corrupt(e.to_string()))?;
    let mut rows = export.rows(table.source, &names);
    let mut chunk = Rows::new(width, 0);
    while let Some(row) = rows.try_next().await? {
        chunk.row();
        for (index, (name, form)) in columns.iter().enumerate() {
            if table.name == "audit_log" && name == "resource_id" {
                chunk.value(Some(resource_id(&row, index, seqs)?.as_bytes()));
            } else {
                value(&mut chunk, &row, index, *form)
                    .map_err(|e| SqlError::corrupt(format!("{}.{name}: {e}", table.name)))?;
            }
        }
        if chunk.count == CHUNK_ROWS || chunk.bytes().len() >= CHUNK_BYTES {
            copied(chunk.count);
            import
                .copy(
                    table.name,
                    &names,
                    std::mem::replace(&mut chunk, Rows::new(width, 0)),
                )
                .await?;
        }
    }
    if chunk.count > 0 {
        copied(chunk.count);
        import.copy(table.name, &names, chunk).await?;
    }
    Ok(())
}

/// As it is; but PostgreSQL keeps no NUL in a text.
fn value(to: &mut Rows, row: &SqliteRow, index: usize, form: Form) -> Result<()> {
    match form {
        Form::Big => match row.try_get_unchecked::<Option<i64>, _>(index)? {
            Some(value) => to.big(value),
            None => to.value(None),
        },
        Form::Bytes => to.value(row.try_get_unchecked::<Option<&[u8]>, _>(index)?),
        Form::Text => match row.try_get_unchecked::<Option<&str>, _>(index)? {
            Some(text) if text.contains('\0') => {
                return Err(SqlError::corrupt(
                    "a text with the character U+0000, which PostgreSQL does not keep",
                ));
            }
            text => to.value(text.map(str::as_bytes)),
        },
    }
    Ok(())
}

/// The seq of the record that an entry tells of, translated.
fn resource_id(row: &SqliteRow, index: usize, seqs: &Seqs) -> Result<String> {
    let (resource, id): (&str, &str) = (
        row.try_get_unchecked("resource")?,
        row.try_get_unchecked(index)?,
    );
    let old = if OF_RECORDS.contains(&resource) {
        id.parse().ok().map(Seq)
    } else {
        None
    };
    let new = old.map(|old| seqs.of(old)).transpose()?.flatten();
    Ok(new.map_or_else(|| id.to_owned(), |new| new.0.to_string()))
}
