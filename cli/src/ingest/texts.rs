//! The texts of rows, so that what was refused can be sent again.

use formats::input::Row;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::Path;

/// Bytes of a row that are kept.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// The rows of a file, or of a piece of one, by their lines. Looked for only where one is asked
/// for.
#[derive(Debug)]
pub struct Texts<'a> {
    file: &'a Path,
    /// Whole lines, from `first` on.
    text: Cow<'a, [u8]>,
    first: u64,
    /// The line that each row begins with, in order.
    rows: Vec<u64>,
    /// Where each line begins.
    lines: OnceCell<Vec<usize>>,
    /// Where rows are no lines: each row by its number from 1.
    records: Option<Vec<String>>,
}

impl<'a> Texts<'a> {
    /// `first`: the number of the first line of `text`.
    pub fn new(file: &'a Path, text: Cow<'a, [u8]>, first: u64, rows: &[Row]) -> Self {
        Self {
            file,
            text,
            first,
            rows: rows.iter().map(Row::line).collect(),
            lines: OnceCell::new(),
            records: None,
        }
    }

    /// Of records that are no lines.
    pub fn of_records(file: &'a Path, records: Vec<String>) -> Self {
        Self {
            file,
            text: Cow::Borrowed(&[]),
            first: 1,
            rows: Vec::new(),
            lines: OnceCell::new(),
            records: Some(records),
        }
    }

    pub fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// From a row's line up to the next row's.
    pub fn row(&self, line: u64) -> String {
        if let Some(records) = &self.records {
            let index = usize::try_from(line)
                .ok()
                .and_then(|line| line.checked_sub(1));
            return index
                .and_then(|index| records.get(index))
                .cloned()
                .unwrap_or_default();
        }
        let next = self
            .rows
            .get(self.rows.partition_point(|other| *other <= line))
            .copied();
        let begin = |line: u64| {
            let index = usize::try_from(line.saturating_sub(self.first)).unwrap_or(usize::MAX);
            self.lines().get(index).copied().unwrap_or(self.text.len())
        };
        let (from, until) = (begin(line), next.map_or(self.text.len(), begin));
        let bytes = self
            .text
            .get(from..until.max(from).min(from + ROW_BYTES_MAX))
            .unwrap_or_default();
        formats::sheet::text_of(bytes)
            .trim_end_matches(['\n', '\r'])
            .to_owned()
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self
                .text
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
                .map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).collect()
        })
    }
}
