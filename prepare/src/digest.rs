//! Keyed digests of parsed content: fields with their lengths, so that no two contents share bytes.

/// Room for the fields of nearly every event.
const BYTES_USUAL: usize = 256;

/// Feeds fields in a fixed order; sixteen bytes come out.
#[derive(Debug)]
pub struct Digest<'k> {
    key: &'k [u8; 32],
    bytes: Vec<u8>,
}

impl<'k> Digest<'k> {
    #[inline]
    pub fn keyed(key: &'k [u8; 32]) -> Self {
        Self {
            key,
            bytes: Vec::with_capacity(BYTES_USUAL),
        }
    }
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        // A text is far below 4 GiB; the length in front keeps neighbours apart.
        self.bytes
            .extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }
    /// Tells an absent text from an empty one.
    #[inline]
    pub fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.bytes.push(u8::from(text.is_some()));
        self.text(text.unwrap_or_default())
    }
    #[inline]
    pub fn number(&mut self, number: i128) -> &mut Self {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }
    #[inline]
    pub fn finish(&self) -> [u8; 16] {
        let hash = blake3::keyed_hash(self.key, &self.bytes);
        std::array::from_fn(|index| hash.as_bytes()[index])
    }
}
