//! Records in order of arrival, made into batches of PostgreSQL: of a piece of them that lies in
//! one month, every root's part.

use super::seqs::Seqs;
use db::{Result, SqlError};
use journal::{Batch, Kind, Seq};
use journal_postgres::Month;
use journal_postgres::import::Import;
use journal_sqlite::export::Line;
use rating::TenantId;
use rating::fast::FastMap;
use std::collections::HashMap;

/// Records of one transaction.
const PIECE_RECORDS_MAX: usize = 20_000;
/// Records of one root in it, and so of one batch.
const BATCH_RECORDS_MAX: usize = 5_000;

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub batch: Batch,
    /// Where each of its records is to be.
    pub placed: Vec<Seq>,
}

#[derive(Debug)]
pub(super) struct Pieces {
    /// Of each root: the seq of its next record.
    next: HashMap<TenantId, i64>,
    seqs: Seqs,
    piece: Piece,
    /// Records of each root in the piece.
    of_root: FastMap<TenantId, usize>,
    /// Of arrival and of commit, in the piece: what is dropped together was written together.
    months: Option<(Month, Month)>,
}

impl Pieces {
    /// `numbers`: of the roots.
    pub(super) fn new(numbers: HashMap<TenantId, i64>, seqs: Seqs) -> Self {
        let next = numbers
            .into_iter()
            .map(|(root, number)| (root, Import::first_seq(number).0))
            .collect();
        Self {
            next,
            seqs,
            piece: Piece::default(),
            of_root: FastMap::default(),
            months: None,
        }
    }

    /// The piece before this line, if it is whole.
    pub(super) fn add(&mut self, line: Line) -> Result<Option<Piece>> {
        let Line {
            mut record,
            committed_at,
            unrated,
        } = line;
        let (old, root) = (record.seq, record.identity.root);
        let months = Some((Month::of(record.received_at), Month::of(committed_at)));
        let full = self.piece.placed.len() == PIECE_RECORDS_MAX
            || self.of_root.get(&root) == Some(&BATCH_RECORDS_MAX);
        let whole = full || (self.months.is_some() && self.months != months);
        let before = if whole { self.take() } else { None };
        self.months = months;

        let next = self.next.get_mut(&root).ok_or_else(|| {
            SqlError::corrupt(format!("record {} is of {root}, which has no chain", old.0))
        })?;
        let seq = Seq(*next);
        *next += 1;
        self.seqs.push(seq)?;
        let index = self.piece.placed.len();
        let batch = &mut self.piece.batch;
        if let Some(named) = record.body.refers_to {
            let missing = || {
                SqlError::corrupt(format!(
                    "record {} refers to {}, which is not there",
                    old.0, named.0
                ))
            };
            let named = self.seqs.of(named)?.ok_or_else(missing)?;
            record.body.refers_to = Some(named);
            if matches!(record.kind, Kind::Void | Kind::RatedLater) {
                batch.amendments.push((named, record.kind, index));
            }
        }
        if let Some(steps) = &mut record.body.trail.steps {
            for named in [&mut steps.previous, &mut steps.corrects]
                .into_iter()
                .flatten()
            {
                let missing = || {
                    SqlError::corrupt(format!(
                        "record {} names {}, which is not there",
                        old.0, named.0
                    ))
                };
                *named = self.seqs.of(*named)?.ok_or_else(missing)?;
            }
        }
        if unrated {
            batch.unrated.push(index);
        }
        // The last commit of its records.
        batch.committed_at = batch.committed_at.max(committed_at);
        record.seq = seq;
        batch.records.push(record);
        self.piece.placed.push(seq);
        *self.of_root.entry(root).or_default() += 1;
        Ok(before)
    }

    fn take(&mut self) -> Option<Piece> {
        self.of_root.clear();
        let piece = std::mem::take(&mut self.piece);
        (!piece.placed.is_empty()).then_some(piece)
    }

    /// What is left, and where every record is.
    pub(super) fn finish(mut self) -> (Option<Piece>, Seqs) {
        (self.take(), self.seqs)
    }
}
