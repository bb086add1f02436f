//! The hash chain: one BLAKE3 chain per root over the rows of every committed batch.
//!
//! A batch's hash covers the root's previous hash, the batch's own number and time, and every one
//! of its rows except `personal`, which enters only by its keyed digest: erasing the personal
//! columns and the person's key leaves the chain whole.

use crate::{JournalEntry, Personal};
use rating::{Instant, TenantId};
use smallvec::SmallVec;

/// Hash before a root's first batch.
pub const GENESIS: [u8; 32] = [0; 32];
/// Changes whenever the canonical bytes do.
const DOMAIN: &[u8] = b"centwise batch 1";
/// In the byte of the namespace: a reporter follows.
pub const REPORTED: u8 = 0x80;
const PERSONAL: u8 = 1;
const CONTENT: u8 = 2;

/// One row as it is stored: the input of the chain.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub seq: i64,
    pub kind: u8,
    pub tenant: i64,
    pub root: i64,
    /// Of a reporter that is not the platform.
    pub reporter: Option<i64>,
    pub namespace: u8,
    pub source: &'a str,
    pub id: &'a str,
    pub at_us: i64,
    pub received_us: i64,
    pub content: &'a [u8],
    /// The body as packed, not as parsed: the chain outlives new fields.
    pub body: &'a [u8],
    pub personal_digest: &'a [u8],
}

impl<'a> Row<'a> {
    pub fn of(record: &'a JournalEntry, body: &'a [u8]) -> Self {
        Self {
            seq: record.seq.0,
            kind: record.kind as u8,
            tenant: record.tenant.0,
            root: record.identity.root.0,
            reporter: record.identity.reporter.map(|reporter| reporter.0),
            namespace: record.identity.namespace as u8,
            source: &record.identity.source,
            id: &record.identity.id,
            at_us: record.at.micros(),
            received_us: record.received_at.micros(),
            content: &record.content,
            body,
            personal_digest: &record.personal_digest,
        }
    }

    /// What names it alone; everything else is empty.
    pub const fn of_identity(
        seq: i64,
        root: i64,
        reporter: Option<i64>,
        namespace: u8,
        source: &'a str,
        id: &'a str,
    ) -> Self {
        let (kind, tenant, at_us, received_us) = (0, 0, 0, 0);
        let (content, body, personal_digest) = (&[], &[], &[]);
        Self {
            seq,
            kind,
            tenant,
            root,
            reporter,
            namespace,
            source,
            id,
            at_us,
            received_us,
            content,
            body,
            personal_digest,
        }
    }
}

/// Hash of one root's part of one batch, fed row by row in order of seq.
#[derive(Debug, Clone)]
pub struct BatchHasher {
    hasher: blake3::Hasher,
    /// Everything is gathered here first: pieces of this size are hashed many blocks at a time.
    pending: Vec<u8>,
}

/// Bytes hashed at once; a power of two, so that every piece is a whole subtree of the hash.
const PIECE_BYTES: usize = 64 * 1024;

impl BatchHasher {
    pub fn new(previous: &[u8; 32], root: TenantId, batch: i64, committed_at: Instant) -> Self {
        let mut hasher = Self {
            hasher: blake3::Hasher::new(),
            pending: Vec::new(),
        };
        hasher.restart(previous, root, batch, committed_at);
        hasher
    }

    /// Begins another root's part; the memory is used again.
    pub fn restart(
        &mut self,
        previous: &[u8; 32],
        root: TenantId,
        batch: i64,
        committed_at: Instant,
    ) {
        self.hasher.reset();
        self.pending.clear();
        self.pending.extend_from_slice(DOMAIN);
        self.pending.extend_from_slice(previous);
        for number in [root.0, batch, committed_at.micros()] {
            self.pending.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub fn row(&mut self, row: &Row<'_>) {
        let out = &mut self.pending;
        for number in [row.seq, row.tenant, row.root, row.at_us, row.received_us] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        match row.reporter {
            None => out.extend_from_slice(&[row.kind, row.namespace]),
            // As the rows without one were before there were reporters; the bit keeps the two
            // apart.
            Some(reporter) => {
                out.extend_from_slice(&[row.kind, row.namespace | REPORTED]);
                out.extend_from_slice(&reporter.to_le_bytes());
            }
        }
        for bytes in [
            row.source.as_bytes(),
            row.id.as_bytes(),
            row.content,
            row.body,
            row.personal_digest,
        ] {
            // A row is far below 4 GiB; the length in front keeps neighbours apart.
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        let whole = out.len() - out.len() % PIECE_BYTES;
        if whole > 0 {
            self.hasher.update(&out[..whole]);
            out.drain(..whole);
        }
    }

    pub fn finish(&mut self) -> [u8; 32] {
        *self.hasher.update(&self.pending).finalize().as_bytes()
    }
}

/// Digest of what names a person, under the person's key: 16 bytes, lengths included.
pub fn personal_digest(key: &[u8; 32], personal: &Personal) -> [u8; 16] {
    let [destination, origin, hint] = [
        &personal.destination,
        &personal.origin,
        &personal.customer_hint,
    ]
    .map(|text| text.as_deref());
    personal_digest_of(
        key,
        [destination, origin, hint, personal.raw.as_deref()],
        &personal.attributes,
    )
}

/// The same of its fields: destination, origin, customer hint, raw record; attributes.
pub fn personal_digest_of(
    key: &[u8; 32],
    texts: [Option<&str>; 4],
    attributes: &[(String, String)],
) -> [u8; 16] {
    let mut parts: SmallVec<[&[u8]; 12]> = SmallVec::new();
    for text in texts {
        // `None` and an empty text stay apart.
        parts.push(if text.is_some() { b"1" } else { b"0" });
        parts.push(text.unwrap_or("").as_bytes());
    }
    for (name, value) in attributes {
        parts.push(name.as_bytes());
        parts.push(value.as_bytes());
    }
    keyed(key, PERSONAL, &parts)
}

/// Digest of an event's content as parsed, in an order the caller keeps; under the person's key, so
/// that a number cannot be guessed from it.
pub fn content_digest(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    keyed(key, CONTENT, parts)
}

fn keyed(key: &[u8; 32], domain: u8, parts: &[&[u8]]) -> [u8; 16] {
    let mut input = Vec::with_capacity(1 + parts.iter().map(|part| 4 + part.len()).sum::<usize>());
    input.push(domain);
    for part in parts {
        input.extend_from_slice(&(part.len() as u32).to_le_bytes());
        input.extend_from_slice(part);
    }
    let hash = blake3::keyed_hash(key, &input);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_run_together() {
        let key = [7; 32];
        assert_ne!(
            content_digest(&key, &[b"ab", b"c"]),
            content_digest(&key, &[b"a", b"bc"])
        );
        assert_ne!(
            content_digest(&key, &[b"ab"]),
            content_digest(&[8; 32], &[b"ab"])
        );
        let none = Personal::default();
        let empty = Personal {
            destination: Some("".into()),
            ..Personal::default()
        };
        assert_ne!(personal_digest(&key, &none), personal_digest(&key, &empty));
    }

    #[test]
    fn large_parts_are_hashed_as_one_text() {
        let (content, digest) = ([3; 16], [4; 16]);
        let body = vec![7; 300];
        let mut hasher = BatchHasher::new(&[9; 32], TenantId(1), 1, Instant(1));
        hasher.row(&Row {
            body: &[1; 200_000],
            ..row(&content, &digest)
        });
        hasher.finish();
        hasher.restart(&GENESIS, TenantId(3), 1, Instant(9));
        let mut plain = [DOMAIN, &GENESIS].concat();
        [3_i64, 1, 9]
            .iter()
            .for_each(|number| plain.extend(number.to_le_bytes()));
        for seq in 0..1000 {
            hasher.row(&Row {
                seq,
                body: &body,
                ..row(&content, &digest)
            });
            [seq, 2, 3, 4, 5]
                .iter()
                .for_each(|number| plain.extend(number.to_le_bytes()));
            plain.extend([1, 1]);
            for part in [b"s", b"i", &content[..], &body, &digest] {
                plain.extend((part.len() as u32).to_le_bytes());
                plain.extend(part);
            }
        }
        assert_eq!(hasher.finish(), *blake3::hash(&plain).as_bytes());
    }

    fn row<'a>(content: &'a [u8], personal_digest: &'a [u8]) -> Row<'a> {
        Row {
            seq: 1,
            kind: 1,
            tenant: 2,
            root: 3,
            reporter: None,
            namespace: 1,
            source: "s",
            id: "i",
            at_us: 4,
            received_us: 5,
            content,
            body: &[9],
            personal_digest,
        }
    }

    #[test]
    fn every_field_enters_the_chain() {
        let row = row(&[0; 16], &[0; 16]);
        let hash = |row: &Row<'_>| {
            let mut hasher = BatchHasher::new(&GENESIS, TenantId(3), 1, Instant(9));
            hasher.row(row);
            hasher.finish()
        };
        let changed = [
            Row { seq: 2, ..row },
            Row { kind: 2, ..row },
            Row { tenant: 9, ..row },
            Row { root: 9, ..row },
            Row {
                reporter: Some(0),
                ..row
            },
            Row {
                reporter: Some(9),
                ..row
            },
            Row {
                namespace: 2,
                ..row
            },
            Row { source: "t", ..row },
            Row { id: "j", ..row },
            Row { at_us: 9, ..row },
            Row {
                received_us: 9,
                ..row
            },
            Row {
                content: &[1; 16],
                ..row
            },
            Row { body: &[8], ..row },
            Row {
                personal_digest: &[1; 16],
                ..row
            },
        ];
        for other in changed {
            assert_ne!(hash(&row), hash(&other), "{other:?}");
        }
    }
}
