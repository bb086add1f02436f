//! `centwise import-rates`: lays a rate deck over a card, by the server's own import: the new
//! version is made and published in one step, or nothing changes. With `--out` the same merge makes
//! a card file.

mod arguments;
mod card_file;
mod preview;
mod server_card;

pub use arguments::Args;

use super::Ended;
use anyhow::Context;
use card_file::write_card;
use server_card::change_card;
use std::io::Write;

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let file = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    match &args.out {
        Some(path) => write_card(args, file, path, out),
        None => super::runtime()?.block_on(change_card(args, file, out)),
    }
}
