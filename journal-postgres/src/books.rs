//! What the books of every root come to now.

use super::{audit, chain_heads};
use db::Result;
use journal::{Seq, State};
use sqlx::PgConnection;

#[derive(Debug)]
pub struct Books {
    /// Accounts, holds and carries.
    pub state: State,
    /// Records of every root.
    pub records: i64,
}

/// In this snapshot.
///
/// # Errors
/// It cannot be read.
pub async fn current_books(snapshot: &mut PgConnection) -> Result<Books> {
    let chain_heads = chain_heads::every(snapshot).await?;
    let mut state = State::default();
    for head in &chain_heads {
        let of_root = audit::stored(snapshot, head, Seq(i64::MAX)).await?.state;
        state.accounts.extend(of_root.accounts);
        state.holds.extend(of_root.holds);
        state.carries.extend(of_root.carries);
    }
    let records = chain_heads
        .iter()
        .map(|head| head.last_seq - chain_heads::first_seq(head.number) + 1)
        .sum();
    Ok(Books { state, records })
}
