//! Rows as `copy … (format binary)` takes them (PostgreSQL's documentation, "COPY", "Binary
//! Format").

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Rows of one table in one piece of memory.
#[derive(Debug)]
pub struct Rows {
    bytes: Vec<u8>,
    columns: i16,
    pub count: u64,
}

impl Rows {
    /// `bytes`: about as many as there will be.
    pub fn new(columns: i16, bytes: usize) -> Self {
        let mut rows = Self {
            bytes: Vec::with_capacity(bytes),
            columns,
            count: 0,
        };
        rows.bytes.extend_from_slice(SIGNATURE);
        rows
    }

    /// Begins a row: the columns follow in their order.
    pub fn row(&mut self) {
        self.count += 1;
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
    }
    pub fn big(&mut self, value: i64) {
        self.value(Some(&value.to_be_bytes()));
    }
    pub fn small(&mut self, value: i16) {
        self.value(Some(&value.to_be_bytes()));
    }
    /// Text and bytes alike; `None` is null. A value is far below 2 GiB: a request's body is.
    pub fn value(&mut self, value: Option<&[u8]>) {
        self.bytes
            .extend_from_slice(&value.map_or(-1, |value| value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }
    /// No more will come.
    pub fn end(&mut self) {
        self.bytes.extend_from_slice(&END);
    }
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
