//! The preview of an import as it is printed, and whether its refused rows stop the import.

use super::arguments::Args;
use crate::{Ended, counted};
use anyhow::bail;
use decks::{Change, Preview};
use std::io::Write;

impl Args {
    /// Beside the preview: where that is one JSON object, nothing else stands there.
    pub(super) fn say(&self, line: &str, out: &mut impl Write) -> anyhow::Result<()> {
        match self.json {
            true => writeln!(std::io::stderr(), "{line}")?,
            false => writeln!(out, "{line}")?,
        }
        Ok(())
    }

    /// A dry run that found rows which would stop the import says so by its exit code.
    pub(super) fn ended(&self, preview: &Preview) -> Ended {
        if self.dry_run && preview.refused > 0 && !self.skip_refused {
            Ended::Findings
        } else {
            Ended::Well
        }
    }

    /// Refused rows stop an import, unless told otherwise.
    pub(super) fn check_refused(&self, preview: &Preview) -> anyhow::Result<()> {
        if preview.refused == 0 || self.skip_refused || self.dry_run {
            return Ok(());
        }
        bail!(
            "{} cannot be read, so nothing was imported: fix the rows above, or import the others \
                with --skip-refused (prefixes of refused rows keep their previous rates)",
            rows(preview.refused)
        )
    }
}

/// What is wrong is named after what was shown.
pub(super) fn show_and_check(
    args: &Args,
    preview: &Preview,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    show(args, preview, out)?;
    out.flush()?;
    args.check_refused(preview)
}

/// What the deck changes of increments, and what it does not say of them.
fn show_increments(preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    let Preview {
        increments_changed,
        increments_kept,
        increments_unsaid,
        ..
    } = preview;
    if *increments_changed > 0 {
        writeln!(
            out,
            "{} with different increments than before (as 60/60 -> 1/1 below)",
            counted(*increments_changed as u64, "prefix")
        )?;
    }
    if *increments_kept > 0 {
        let prefixes = counted(*increments_kept as u64, "prefix");
        writeln!(
            out,
            "the deck has no increments: unchanged for {prefixes} (set others with --increments \
                FIRST/NEXT)"
        )?;
    }
    if *increments_unsaid > 0 {
        writeln!(
            out,
            "the deck has no increments: {} new, billed by the second (1/1; set others with \
                --increments FIRST/NEXT)",
            counted(*increments_unsaid as u64, "prefix")
        )?;
    }
    Ok(())
}

/// What the deck changes beside prices and increments, what it does not say of it, and what it
/// leaves without a price for a time.
fn show_terms(preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    let Preview {
        terms_changed,
        terms_kept,
        blocked,
        opened,
        blocked_kept,
        gaps,
        ..
    } = preview;
    let prefixes = |count: usize| counted(count as u64, "prefix");
    if *terms_changed > 0 {
        writeln!(
            out,
            "{} with different fees, minimums or free time than before (in brackets below)",
            prefixes(*terms_changed)
        )?;
    }
    if *terms_kept > 0 {
        writeln!(
            out,
            "the deck does not cover all fees, minimums and free time: those of {} are unchanged",
            prefixes(*terms_kept)
        )?;
    }
    if *blocked + *opened > 0 {
        writeln!(
            out,
            "newly blocked: {}; unblocked: {}",
            prefixes(*blocked),
            prefixes(*opened)
        )?;
    }
    if *blocked_kept > 0 {
        let prefixes = prefixes(*blocked_kept);
        writeln!(
            out,
            "the deck does not say which prefixes are blocked: still blocked, at the new price: \
                {prefixes} (unblock with a column Blocked or Status)"
        )?;
    }
    if *gaps > 0 {
        writeln!(
            out,
            "{} without a price for some time between other prices (shown below)",
            prefixes(*gaps)
        )?;
    }
    Ok(())
}

/// What of a change is neither price nor increment.
fn beside(change: &Change) -> String {
    let terms = change
        .old_terms
        .iter()
        .zip(&change.new_terms)
        .map(|(old, new)| format!("  ({old} -> {new})"));
    let gap = change
        .gap_from
        .iter()
        .zip(&change.gap_until)
        .map(|(from, until)| format!("  no price from {from} until {until}"));
    terms.chain(gap).collect()
}

/// Which calls a price is for, if not all to its prefix.
fn only_for(change: &Change) -> String {
    let jurisdiction = change.jurisdiction.value().map(|value| format!(" {value}"));
    let origins = Some(&change.origins)
        .filter(|origins| !origins.is_empty())
        .map(|origins| format!(" from {}", origins.join(", ")));
    jurisdiction.into_iter().chain(origins).collect()
}

fn show(args: &Args, preview: &Preview, out: &mut impl Write) -> anyhow::Result<()> {
    if args.json {
        writeln!(out, "{}", serde_json::to_string(preview)?)?;
        return Ok(());
    }
    let Preview {
        new,
        changed,
        increased,
        decreased,
        closed,
        ended,
        spared,
        renamed,
        unchanged,
        refused,
        duplicates,
        ..
    } = preview;
    writeln!(
        out,
        "{new} new, {changed} changed ({increased} increased, {decreased} decreased), {closed} \
            closed, {renamed} renamed, {unchanged} unchanged; {} refused, {duplicates} duplicate",
        rows(*refused)
    )?;
    if *ended > 0 {
        writeln!(
            out,
            "{} already expired and not imported",
            if *ended == 1 {
                "1 price is".to_owned()
            } else {
                format!("{ended} prices are")
            }
        )?;
    }
    if *spared > 0 {
        let spared = counted(*spared as u64, "prefix");
        writeln!(
            out,
            "unchanged although not in the deck: {spared} (refused rows may have meant them)"
        )?;
    }
    show_increments(preview, out)?;
    show_terms(preview, out)?;
    for change in &preview.samples {
        let billed = change
            .old_increments
            .iter()
            .zip(&change.new_increments)
            .map(|(old, new)| format!("  {old} -> {new}"))
            .next();
        let price = |price: Option<rating::money::Rate>| {
            price.map_or_else(|| "-".to_owned(), |price| price.to_string())
        };
        let kind = format!("{:?}", change.kind).to_lowercase();
        writeln!(
            out,
            "  {kind:<10} {:<12} {:<32} {:>10} -> {}{}{}{}",
            change.prefix,
            change.destination,
            price(change.old_price),
            price(change.new_price),
            billed.unwrap_or_default(),
            beside(change),
            only_for(change)
        )?;
    }
    for refusal in &preview.refusals {
        let column = if refusal.column.is_empty() {
            String::new()
        } else {
            format!(", {}", refusal.column)
        };
        writeln!(
            out,
            "  refused    line {}{column}: {} ({})",
            refusal.line, refusal.detail, refusal.code
        )?;
    }
    if preview.refusals.len() < *refused {
        writeln!(
            out,
            "  refused    … and {} more",
            refused - preview.refusals.len()
        )?;
    }
    if !preview.ignored_columns.is_empty() {
        writeln!(
            out,
            "  ignored columns: {}",
            preview.ignored_columns.join(", ")
        )?;
    }
    Ok(())
}

fn rows(count: usize) -> String {
    counted(count as u64, "row")
}
