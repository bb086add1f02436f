//! Bodies and personal parts of a batch, packed side by side in one piece of memory.

use crate::codec::pack_into;
use crate::{JournalEntry, Result};

/// A rated event over two links, body and personal part: about this many bytes.
const RECORD_BYTES: usize = 256;

#[derive(Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    /// Per record: end of its body, end of its personal part.
    ends: Vec<(usize, usize)>,
}

impl Packed {
    pub fn of(records: &[JournalEntry]) -> Result<Self> {
        let mut bytes = Vec::with_capacity(records.len() * RECORD_BYTES);
        let mut ends = Vec::with_capacity(records.len());
        for record in records {
            pack_into(&record.body, &mut bytes)?;
            let body = bytes.len();
            if let Some(personal) = &record.personal {
                pack_into(personal, &mut bytes)?;
            }
            ends.push((body, bytes.len()));
        }
        Ok(Self { bytes, ends })
    }

    pub fn body(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1);
        &self.bytes[start..self.ends[index].0]
    }

    /// Empty for a record without one.
    pub fn personal(&self, index: usize) -> &[u8] {
        let (body, personal) = self.ends[index];
        &self.bytes[body..personal]
    }
}
