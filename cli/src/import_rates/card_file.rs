//! `import-rates --out`: the merged card written to a file, without a server.

use super::arguments::{Args, CALL};
use super::preview::show_and_check;
use crate::{Ended, counted};
use anyhow::{Context, bail};
use rating::card::CardDoc;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Each thing is let go of when the next is made of it: file, deck, card.
pub(super) fn write_card(
    args: &Args,
    file: Vec<u8>,
    path: &PathBuf,
    out: &mut impl Write,
) -> anyhow::Result<Ended> {
    if args.meter != CALL {
        bail!(
            "a price list has prices of calls, by the minute, and without a server it is not known \
                what the meter {:?} counts: omit --meter, or import into a card on the server \
                (--card), where the meter must count seconds. Other prices, such as those of \
                messages, are written as a rate card (docs/rate-card.md)",
            args.meter
        );
    }
    let (base, import) = (args.new_card(), args.laid_over());
    let deck = args.deck(&file, &base)?;
    drop(file);
    if args.dry_run {
        let preview = decks::preview(&base, &deck, &import);
        show_and_check(args, &preview, out)?;
        return Ok(args.ended(&preview));
    }
    let (card, preview) = decks::lay_over(&base, &deck, &import);
    drop(deck);
    show_and_check(args, &preview, out)?;
    let mistakes = rating::compile::CompiledCard::compile(&card)
        .err()
        .unwrap_or_default();
    if let Some(first) = mistakes.first() {
        bail!(
            "the deck does not produce a valid card: {} at {}: {}",
            first.code,
            first.path,
            first.message
        );
    }
    write_json(&card, path).with_context(|| format!("cannot write {}", path.display()))?;
    args.say(
        &format!(
            "wrote {} to {}",
            counted(card.rates.len() as u64, "rate"),
            path.display()
        ),
        out,
    )?;
    Ok(Ended::Well)
}

/// Rate by rate, and never as a whole in memory.
fn write_json(card: &CardDoc, path: &PathBuf) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, card)?;
    file.flush()
}
