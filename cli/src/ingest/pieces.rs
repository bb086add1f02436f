//! Pieces of a followed file: how much of one is whole, and what must be read with it.

use super::rows::Reading;
use anyhow::bail;
use formats::input::Row;
use problem::Code;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read and sent at a time.
pub const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// How far back the other leg of a call is looked for.
pub const LEGS_BYTES: u64 = 64 * 1024;

/// Where no row of a piece can be read by options that have read none yet, it is they that are
/// wrong, and not the rows. `changed`: others have.
///
/// # Errors
/// What is wrong, and the option that helps; nothing was sent.
pub fn check_first(file: &Path, rows: &[Row], changed: bool) -> anyhow::Result<()> {
    let refused = rows.iter().filter_map(|row| {
        if let Row::Refused { line, problem, .. } = row {
            Some((*line, problem))
        } else {
            None
        }
    });
    let Some((line, first)) = refused
        .clone()
        .next()
        .filter(|_| !rows.iter().any(|row| matches!(row, Row::Event { .. })))
    else {
        return Ok(());
    };
    let mut by_code: BTreeMap<&str, u64> = BTreeMap::new();
    refused.for_each(|(_, problem)| *by_code.entry(problem.code.as_str()).or_default() += 1);
    let counts: Vec<String> = by_code
        .iter()
        .map(|(code, count)| format!("{count} {code}"))
        .collect();
    let helps = match (first.code, first.field.as_deref()) {
        (Code::ZoneRequired, _) => "--zone sets the zone of times without one",
        (_, Some("customer")) => "--customer names the column or variable of the customer",
        _ => "--format tells which program wrote the file, --map which columns or variables it has",
    };
    let which = if changed { "no new row" } else { "no row" };
    let since = if changed {
        " (the options differ from those used for the previous rows)"
    } else {
        ""
    };
    bail!(
        "{which} of {} can be read ({}), so nothing was sent, and the position is unchanged: line \
            {line}: {}; {helps}{since}",
        file.display(),
        counts.join(", "),
        first.detail
    )
}

/// Bytes of whole records. To a rotated file nothing is added, so that a quote which is open stays
/// so: only its last line may be cut.
pub fn whole_len(reading: &Reading, piece: &[u8], is_old: bool) -> usize {
    let whole = reading.whole_len(piece);
    let is_last = is_old && (piece.len() as u64) < CHUNK_BYTES;
    let lines = || {
        piece
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1)
    };
    if is_last { whole.max(lines()) } else { whole }
}

pub fn titles_of(reading: &Reading, mut first: Vec<u8>) -> Vec<u8> {
    first.truncate(reading.titles_len(&first));
    first
}

/// Whole records before `offset`.
pub fn lines_above(file: &mut File, offset: u64) -> std::io::Result<Vec<u8>> {
    let from = offset.saturating_sub(LEGS_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut above = Vec::new();
    Read::by_ref(file)
        .take(offset - from)
        .read_to_end(&mut above)?;
    if from > 0 {
        let first = above
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(above.len(), |at| at + 1);
        above.drain(..first);
    }
    // From within a quoted cell nothing can be read.
    if formats::sheet::complete_len(&above, b',') != above.len() {
        above.clear();
    }
    Ok(above)
}

/// Enough of the file to find its titles in.
pub fn first_lines(file: &mut File) -> std::io::Result<Vec<u8>> {
    const FIRST_BYTES: u64 = 64 * 1024;
    file.seek(SeekFrom::Start(0))?;
    let mut first = Vec::new();
    file.take(FIRST_BYTES).read_to_end(&mut first)?;
    Ok(first)
}
