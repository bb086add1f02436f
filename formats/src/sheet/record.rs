//! Records of a sheet, one by one: where each begins and ends, and its cells.
//!
//! A line break inside quotes belongs to its cell; but a quote that nobody closes must not swallow
//! the rest of a file: after [`BREAKS_MAX`] line breaks, or at the file's end, its first line is a
//! record by itself, and broken.

use csv_core::{ReadRecordResult, Terminator};

/// Line breaks inside the quotes of one record.
const BREAKS_MAX: usize = 20;

/// The cells of one record.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// As written, with its spaces.
    pub fn get(&self, index: usize) -> Option<&str> {
        let start = if index == 0 {
            0
        } else {
            *self.ends.get(index - 1)?
        };
        self.text.get(start..*self.ends.get(index)?)
    }
    /// Without spaces around it; `None`: there is nothing in it.
    pub fn filled(&self, index: usize) -> Option<&str> {
        self.get(index)
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    }
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// From 1: where it begins.
    pub line: u64,
    pub cells: &'a Cells,
    /// As in the file, without the line's end.
    pub raw: &'a str,
    /// A quote is opened and not closed.
    pub is_open: bool,
}

impl<'a> Record<'a> {
    pub fn cell(&self, index: usize) -> Option<&'a str> {
        self.cells.filled(index)
    }
    pub fn named(&self, columns: &[impl AsRef<str>], name: &str) -> Option<&'a str> {
        columns
            .iter()
            .position(|column| column.as_ref() == name)
            .and_then(|index| self.cell(index))
    }
}

/// Reads a text record by record; blank ones are left out.
#[derive(Debug)]
pub struct Records<'t> {
    rest: &'t str,
    line: u64,
    delimiter: u8,
    csv: csv_core::Reader,
    cells: Cells,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<'t> Records<'t> {
    pub fn new(text: &'t str, delimiter: u8) -> Self {
        let csv = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .build();
        Self {
            rest: text,
            line: 1,
            delimiter,
            csv,
            cells: Cells::default(),
            bytes: vec![0; 1024],
            ends: vec![0; 64],
        }
    }

    /// Lends each record until the next one is asked for.
    pub fn read(&mut self) -> Option<Record<'_>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = end_of(self.rest.as_bytes(), self.delimiter, true);
            let (record, rest) = self.rest.split_at_checked(end.at)?;
            self.rest = rest;
            let line = self.line;
            self.line += record.bytes().filter(|&byte| byte == b'\n').count() as u64;
            let raw = record.trim();
            if raw.is_empty() {
                continue;
            }
            self.split(record.trim_end_matches(['\r', '\n']));
            if !self.cells.is_blank() {
                return Some(Record {
                    line,
                    cells: &self.cells,
                    raw,
                    is_open: end.is_open,
                });
            }
        }
    }

    /// The cells of `record`, into `self.cells`.
    fn split(&mut self, record: &str) {
        self.csv.reset();
        let (mut input, mut written, mut ended) = (record.as_bytes(), 0, 0);
        loop {
            let (result, read, out, ends) =
                self.csv
                    .read_record(input, &mut self.bytes[written..], &mut self.ends[ended..]);
            input = &input[read..];
            written += out;
            ended += ends;
            match result {
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                // Once more, without any input: that is the end.
                ReadRecordResult::InputEmpty => input = &[],
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        self.cells.text.clear();
        self.cells
            .text
            .push_str(&String::from_utf8_lossy(&self.bytes[..written]));
        self.cells.ends.clear();
        self.cells.ends.extend_from_slice(&self.ends[..ended]);
    }
}

/// Where the record at the start of `bytes` ends, with its line break.
struct End {
    at: usize,
    is_open: bool,
    /// No line break ends it.
    is_cut: bool,
}

/// `finished`: nothing more will be written to the file.
fn end_of(bytes: &[u8], delimiter: u8, finished: bool) -> End {
    let (mut quoted, mut at_start, mut first_break, mut breaks) = (false, true, None, 0);
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        index += 1;
        if quoted {
            match byte {
                b'"' if bytes.get(index) == Some(&b'"') => index += 1,
                b'"' => quoted = false,
                b'\n' => {
                    first_break.get_or_insert(index);
                    breaks += 1;
                }
                _ => {}
            }
            if breaks > BREAKS_MAX {
                break;
            }
        } else if byte == b'\n' {
            return End {
                at: index,
                is_open: false,
                is_cut: false,
            };
        } else {
            quoted = byte == b'"' && at_start;
            at_start = byte == delimiter;
        }
    }
    match first_break {
        Some(at) if quoted && (finished || breaks > BREAKS_MAX) => End {
            at,
            is_open: true,
            is_cut: false,
        },
        _ => End {
            at: bytes.len(),
            is_open: quoted,
            is_cut: true,
        },
    }
}

/// Bytes of a growing file that are whole records; what comes after them is still being written.
pub fn complete_len(bytes: &[u8], delimiter: u8) -> usize {
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        let end = end_of(rest, delimiter, false);
        if end.is_cut {
            break;
        }
        whole += end.at;
    }
    whole
}

/// The one of `,` `;` tab `|` that the first line with any of them has most of, outside quotes; a
/// comma if there is none.
pub fn delimiter_of(text: &str) -> u8 {
    /// Above the titles of a price list stand a few lines of their own.
    const LINES_MAX: usize = 30;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .take(LINES_MAX)
        .find_map(delimiter_in)
        .unwrap_or(b',')
}

fn delimiter_in(line: &str) -> Option<u8> {
    let count = |c: u8| {
        line.split('"')
            .step_by(2)
            .flat_map(str::bytes)
            .filter(|&b| b == c)
            .count()
    };
    [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&c| count(c))
        .filter(|&most| count(most) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> Vec<String> {
        let (mut records, mut told) = (Records::new(text, b','), Vec::new());
        while let Some(r) = records.read() {
            let open = if r.is_open { "!" } else { "" };
            told.push(format!(
                "{}{open} {}",
                r.line,
                r.cells
                    .iter()
                    .collect::<Vec<_>>()
                    .join("|")
                    .replace('\n', "⏎")
            ));
        }
        told
    }

    #[test]
    fn records_and_their_lines() {
        for (text, want) in [
            ("a,b\n\nc,\"d\"\"e\"\r\n", vec!["1 a|b", "3 c|d\"e"]),
            ("a,\"b\nc\",d\ne", vec!["1 a|b⏎c|d", "3 e"]),
            ("a,\"b\nc,d\ne,f\n", vec!["1! a|b", "2 c|d", "3 e|f"]),
            ("a,b\"c\",d\n", vec!["1 a|b\"c\"|d"]),
            (" , \n,,\n x", vec!["3  x"]),
            ("a,\"b", vec!["1! a|b"]),
        ] {
            assert_eq!(told(text), want, "{text}");
        }
    }

    #[test]
    fn a_quote_that_nobody_closes_costs_its_line_only() {
        let text = format!("a,\"b\n{}", "c,d\n".repeat(40));
        let told = told(&text);
        assert_eq!(
            (told.len(), told[0].as_str(), told[1].as_str()),
            (41, "1! a|b", "2 c|d")
        );
        assert_eq!(complete_len(text.as_bytes(), b','), text.len());
    }

    #[test]
    fn what_is_still_being_written_is_told() {
        for (text, want) in [
            ("a,b\nc", 4),
            ("a,b\nc\n", 6),
            ("a,b\nc,\"d\n", 4),
            ("a,b\nc,\"d\ne\"\n", 12),
            ("", 0),
            ("a", 0),
        ] {
            assert_eq!(complete_len(text.as_bytes(), b','), want, "{text}");
        }
    }

    #[test]
    fn the_delimiter_is_found() {
        for (text, want) in [
            ("a;b;c,d\n", b';'),
            ("a|b\n", b'|'),
            ("a\tb", b'\t'),
            ("\"a;b;c\",d", b','),
            ("a", b','),
            ("Price list 2026\na;b", b';'),
        ] {
            assert_eq!(delimiter_of(text), want, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn every_cell_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a-z\",; é\n]{0,6}", 2..5), 1..6)) {
            let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let text: String = rows.iter().map(|row| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n").collect();
            prop_assert_eq!(complete_len(text.as_bytes(), b','), text.len());
            let mut records = Records::new(&text, b',');
            for row in rows.iter().filter(|row| row.iter().any(|cell| !cell.trim().is_empty())) {
                let record = records.read().unwrap();
                prop_assert_eq!(record.cells.iter().collect::<Vec<_>>(), row.iter().map(String::as_str).collect::<Vec<_>>());
            }
            prop_assert!(records.read().is_none());
        }
    }
}
