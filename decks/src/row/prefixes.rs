//! Whose price a row is: its prefixes, their name, and whether they are sold.

use super::{BadCell, CUT, NAME_BYTES_MAX, Reader};
use crate::bad::{self, Bad};
use crate::field::Field;
use crate::words::{self, Status};
use crate::{cells, names, npanxx, titles};
use formats::sheet::{Cells, shown};
use std::borrow::Cow;

impl Reader<'_> {
    pub(super) fn prefixes(&self, cells: &Cells) -> Result<Vec<Box<str>>, BadCell> {
        let code = self.cell(cells, Field::CountryCode);
        let column = self.columns.prefix();
        let filled = column.and_then(|(field, index)| Some((field, index, cells.filled(index)?)));
        let (field, index, cell) = match (filled, code) {
            (Some(found), _) => found,
            (None, Some((index, _))) => (Field::AreaCode, index, ""),
            (None, None) => {
                return Err((
                    column.map(|(_, index)| index),
                    ("missing_prefix", "expected a prefix".to_owned()),
                ));
            }
        };
        let code = code.map(|(_, code)| code);
        let read = match (field, code) {
            (Field::Npanxx, Some(code)) if !npanxx::is_country_code(code) => {
                Err(npanxx::not_its_code(code))
            }
            (Field::Npanxx, _) if self.cell(cells, Field::Nxx).is_some() => npanxx::with_exchange(
                cell,
                self.cell(cells, Field::Nxx).map_or("", |(_, nxx)| nxx),
            ),
            (Field::Npanxx, _) => {
                npanxx::prefixes(cell, titles::is_area_alone(&self.columns.title(index)))
            }
            (Field::AreaCode, Some(code)) => cells::areas(cell, code),
            _ => cells::prefixes(cell, code),
        };
        let read = read.and_then(|prefixes| self.check_jurisdiction(cells, prefixes));
        read.map_err(|bad| (Some(index), bad))
    }

    /// Prices by jurisdiction are of the North American plan, whose country code is 1.
    pub(super) fn check_jurisdiction(
        &self,
        cells: &Cells,
        prefixes: Vec<Box<str>>,
    ) -> Result<Vec<Box<str>>, Bad> {
        let has = |field: Field| self.cell(cells, field).is_some();
        match prefixes.iter().find(|prefix| !prefix.starts_with('1')) {
            Some(other) if has(Field::PriceInterstate) || has(Field::PriceIntrastate) => {
                let detail = format!(
                    "{} has a price by jurisdiction and does not begin with 1: if it is an area \
                        of the North American plan, state its column as `npanxx` (--map)",
                    shown(other)
                );
                Err(("invalid_prefix", detail))
            }
            _ => Ok(prefixes),
        }
    }

    /// Prefixes of the calling number, in order; none: any.
    pub(super) fn origin(&self, cells: &Cells) -> Result<Vec<String>, BadCell> {
        match self.cell(cells, Field::Origin) {
            None => Ok(Vec::new()),
            Some((_, any)) if ["any", "all", "*"].contains(&any.to_lowercase().as_str()) => {
                Ok(Vec::new())
            }
            Some((index, cell)) => {
                let read = cells::origins(cell).map_err(|(code, detail)| {
                    let expected = format!(
                        "cannot read {}: expected prefixes of the calling number, or `any`",
                        shown(cell)
                    );
                    (
                        Some(index),
                        (
                            code,
                            if code == bad::AMBIGUOUS_PREFIX {
                                detail
                            } else {
                                expected
                            },
                        ),
                    )
                })?;
                let mut origins: Vec<String> = read.into_iter().map(String::from).collect();
                origins.sort_unstable();
                origins.dedup();
                Ok(origins)
            }
        }
    }

    /// A label for people: a long one is cut and says so, and costs no row its price. One that says
    /// something of the price does.
    pub(super) fn name<'c>(
        &self,
        cells: &'c Cells,
        status: Status,
    ) -> Result<Cow<'c, str>, BadCell> {
        let at = |index: Option<usize>| {
            index
                .and_then(|index| cells.filled(index))
                .unwrap_or_default()
        };
        let finest = self.columns.index(Field::Destination);
        for index in finest
            .into_iter()
            .chain(self.columns.country)
            .chain(self.columns.other_names.iter().copied())
        {
            if let Some(word) = names::says_of_price(at(Some(index)), status != Status::Open) {
                return Err((Some(index), names::not_read(at(Some(index)), &word)));
            }
        }
        let name = names::joined(at(self.columns.country), at(finest));
        if name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
            return Ok(name);
        }
        let mut kept: String = name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if kept.len() > NAME_BYTES_MAX {
            kept.truncate(kept.floor_char_boundary(NAME_BYTES_MAX - CUT.len()));
            kept.push_str(CUT);
        }
        Ok(Cow::Owned(kept))
    }

    pub(super) fn status(&self, cells: &Cells) -> Result<Status, BadCell> {
        let status = match self.cell(cells, Field::Status) {
            Some((index, cell)) => words::status(cell).map_err(|bad| (Some(index), bad))?,
            None => Status::Open,
        };
        let blocked = match self.cell(cells, Field::Blocked) {
            Some((index, cell)) => words::flag(cell).map_err(|bad| (Some(index), bad))?,
            None => false,
        };
        Ok(if blocked && status == Status::Open {
            Status::Blocked
        } else {
            status
        })
    }
}
