//! From a file, or a piece of one, to rows.

use super::texts::Texts;
use super::{Args, Format};
use anyhow::{Context, anyhow, bail};
use formats::input::cdr::Options;
use formats::input::table::{Column, ColumnMap};
use formats::input::{self, Row};
use formats::sheet;
use problem::{Code, Problem};
use std::borrow::Cow;
use web::write::read_json;

/// How a file is read, as the arguments and the map say.
#[derive(Debug)]
pub enum Reading {
    Ndjson,
    Table(ColumnMap),
    FreeswitchJson(Options),
    FreeswitchCsv(Options),
    Asterisk(Options),
}

impl Reading {
    /// `file`: at least its first line.
    pub fn of(args: &Args, file: &[u8]) -> anyhow::Result<Self> {
        let map = args.map.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display()))
        });
        let map = map.transpose()?;
        if let Some(kind) = sheet::without_rows(file) {
            bail!(
                "{} is {kind}, not rows of text: decompress it or save it as CSV, and send that",
                args.file.display()
            );
        }
        Ok(match args.format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Table(column_map(args, map.as_deref(), file)?),
            Format::Freeswitch if input::freeswitch::is_json(file) => {
                Self::FreeswitchJson(options(args, map.as_deref())?)
            }
            Format::Freeswitch => Self::FreeswitchCsv(options(args, map.as_deref())?),
            Format::Asterisk => Self::Asterisk(options(args, map.as_deref())?),
        })
    }

    /// How a file is read, as a digest: by another format, map, zone or customer its rows may mean
    /// something else.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn digest(args: &Args) -> anyhow::Result<String> {
        let map = args.map.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display()))
        });
        let map = map.transpose()?.unwrap_or_default();
        let asked = format!("{:?} {:?} {:?} ", args.format, args.zone, args.customer);
        Ok(blake3::hash(&[asked.as_bytes(), &map].concat())
            .to_hex()
            .as_str()
            .to_owned())
    }

    /// The whole rows of a file, and how many lines at its end are not whole. `finished`: they
    /// count all the same.
    pub fn rows(&self, file: &[u8], finished: bool) -> anyhow::Result<(Vec<Row>, u64)> {
        let file = if sheet::is_rewritten(file) {
            Cow::Owned(sheet::text_of(file).into_owned().into_bytes())
        } else {
            Cow::Borrowed(file)
        };
        let whole = if finished {
            file.len()
        } else {
            self.whole_len(&file)
        };
        let (whole, rest) = file.split_at_checked(whole).unwrap_or((&file, &[]));
        let mut rows = self
            .parse(whole)
            .map_err(|problem| anyhow!("{}", problem.detail))?;
        let mut unfinished = u64::from(!rest.trim_ascii().is_empty());
        if !finished && rows.last().is_some_and(is_cut) {
            rows.pop();
            unfinished += 1;
        }
        Ok((rows, unfinished))
    }

    /// The texts of a file's rows. What is not whole at its end is none of them: somebody who mends
    /// the last refused row would send half a row with it.
    pub fn texts<'a>(&self, args: &'a Args, file: &'a [u8], rows: &[Row]) -> Texts<'a> {
        if let Self::FreeswitchJson(_) = self {
            return Texts::of_records(&args.file, input::freeswitch::texts(file));
        }
        let whole = |file: &[u8]| {
            if args.whole {
                file.len()
            } else {
                self.whole_len(file)
            }
        };
        let text = if sheet::is_rewritten(file) {
            let mut text = sheet::text_of(file).into_owned().into_bytes();
            text.truncate(whole(&text));
            Cow::Owned(text)
        } else {
            Cow::Borrowed(file.get(..whole(file)).unwrap_or(file))
        };
        Texts::new(&args.file, text, 1, rows)
    }

    /// Rows that may be a leg of a call whose other leg is in another file.
    pub fn legs_elsewhere(&self, file: &[u8]) -> u64 {
        match self {
            Self::FreeswitchCsv(options) if !options.both_legs => {
                input::freeswitch_csv::lone_legs(file, options).map_or(0, |count| count as u64)
            }
            _ => 0,
        }
    }

    pub fn parse(&self, file: &[u8]) -> Result<Vec<Row>, Problem> {
        match self {
            Self::Ndjson => Ok(input::ndjson::rows(file)),
            Self::Table(map) => input::table::parse(file, map),
            Self::FreeswitchJson(options) => input::freeswitch::parse(file, options),
            Self::FreeswitchCsv(options) => input::freeswitch_csv::parse(file, options),
            Self::Asterisk(options) => input::asterisk::parse(file, options),
        }
    }

    /// Is one call in two records, of which one is none?
    pub fn has_legs(&self) -> bool {
        matches!(self, Self::FreeswitchCsv(options) | Self::Asterisk(options) if !options.both_legs)
    }

    /// Bytes that are whole records. A JSON object says itself where it ends.
    pub fn whole_len(&self, file: &[u8]) -> usize {
        match self {
            Self::FreeswitchJson(_) => file.len(),
            Self::Ndjson => {
                let lines = file
                    .iter()
                    .rposition(|&byte| byte == b'\n')
                    .map_or(0, |at| at + 1);
                let last = file.get(lines..).unwrap_or_default();
                if serde_json::from_slice::<serde::de::IgnoredAny>(last).is_ok() {
                    file.len()
                } else {
                    lines
                }
            }
            Self::Table(_) => sheet::complete_len(file, self.delimiter(file)),
            Self::FreeswitchCsv(_) | Self::Asterisk(_) => sheet::complete_len(file, b','),
        }
    }

    fn delimiter(&self, file: &[u8]) -> u8 {
        let stated = if let Self::Table(map) = self {
            map.delimiter
        } else {
            None
        };
        let text = sheet::text_of(file);
        let (named, text, _) = sheet::separator_line(&text);
        sheet::delimiter(stated.or(named), text).unwrap_or(b',')
    }

    /// Bytes of the line of titles that every piece of the file is read with.
    pub fn titles_len(&self, file: &[u8]) -> usize {
        match self {
            Self::Table(map) if map.headless != Some(true) => {
                let delimiter = self.delimiter(file);
                let lines = file
                    .split_inclusive(|&byte| byte == b'\n')
                    .scan(0, |end, line| {
                        *end += line.len();
                        Some(*end)
                    });
                // Blank lines above are none of the file's records, and `sep=;` is none either.
                let is_filled = |lines: &[u8]| {
                    !sheet::separator_line(&sheet::text_of(lines))
                        .1
                        .trim()
                        .is_empty()
                };
                let named = |end: &usize| {
                    sheet::complete_len(&file[..*end], delimiter) > 0 && is_filled(&file[..*end])
                };
                lines.into_iter().find(named).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// A record that ends in the middle.
fn is_cut(row: &Row) -> bool {
    matches!(row, Row::Refused { problem, .. } if problem.code == Code::IncompleteRecord)
}

fn usable<T: serde::de::DeserializeOwned>(map: &[u8]) -> anyhow::Result<T> {
    if map.trim_ascii_start().starts_with(b"[") {
        bail!("the map is not usable: expected an object, found a list");
    }
    read_json(map).map_err(|refused| crate::not_usable(&refused))
}

fn options(args: &Args, map: Option<&[u8]>) -> anyhow::Result<Options> {
    let mut options: Options = map.map(usable).transpose()?.unwrap_or_default();
    if args.zone.is_some() {
        options.zone = args.zone.clone();
    }
    if !args.customer.is_empty() {
        // As over HTTP: several may stand in one, between commas. No column is called so.
        let names = args
            .customer
            .iter()
            .flat_map(|names| names.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty());
        options.customer = names.map(str::to_owned).collect();
    }
    Ok(options)
}

/// The meter that the records of a switch are read for.
pub(super) fn meter_of_calls(args: &Args) -> anyhow::Result<Option<String>> {
    if !matches!(args.format, Format::Freeswitch | Format::Asterisk) {
        return Ok(None);
    }
    let map = args.map.as_ref().map(|path| {
        std::fs::read(path).with_context(|| format!("cannot read the map {}", path.display()))
    });
    Ok(Some(options(args, map.transpose()?.as_deref())?.meter))
}

/// Without a map the columns are those of the same name as an event's fields.
fn column_map(args: &Args, map: Option<&[u8]>, file: &[u8]) -> anyhow::Result<ColumnMap> {
    let mut columns = match map {
        Some(map) => usable(map)?,
        None => ColumnMap::by_names(file).map_err(|problem| anyhow!("{}", problem.detail))?,
    };
    if args.zone.is_some() {
        columns.zone = args.zone.clone();
    }
    if args.customer.len() > 1 {
        bail!(
            "--customer is given {} times: with --format csv, a file has one customer column",
            args.customer.len()
        );
    }
    if let Some(name) = args.customer.first() {
        columns
            .columns
            .insert("customer".to_owned(), Column::Name(name.clone()));
    }
    Ok(columns)
}
