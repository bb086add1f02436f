//! What every connection to a SQLite file is opened with.

use std::time::Duration;

/// Prepared statements kept per connection: every multi-row statement in every chunk size.
pub const STATEMENTS_MAX: usize = 512;
/// KiB of pages the journal's writer keeps; its hot pages are the states of the last seconds.
pub const WRITER_CACHE_KIB: u32 = 16 * 1024;
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
