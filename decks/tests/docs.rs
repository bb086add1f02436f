//! The deck of `docs/rate-decks.md` becomes the card beside it.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use decks::{DeckOptions, Import, Mode};
use rating::Instant;
use rating::card::CardDoc;
use rating::validate::parse_card;

const DECKS: &str = include_str!("../../docs/rate-decks.md");

#[test]
fn the_deck_becomes_the_card() {
    let found: Vec<_> = blocks(DECKS).collect();
    let [("csv deck", csv), ("json card", json)] = found[..] else {
        panic!("{found:?}")
    };
    let card = parse_card(json.as_bytes()).unwrap();
    let options = DeckOptions {
        zone: Some(card.zone.clone()),
        currency: Some(card.currency),
        ..DeckOptions::default()
    };
    let deck = decks::parse(csv.as_bytes(), &options).unwrap();
    assert_eq!((deck.refused.as_slice(), deck.duplicates), (&[][..], 0));
    let base = CardDoc {
        rates: Vec::new(),
        ..card.clone()
    };
    let at: Instant = "2026-11-20T09:00:00Z".parse().unwrap();
    assert_eq!(
        decks::to_card(
            &base,
            &deck,
            &Import {
                mode: Mode::Full,
                meter: "call",
                at
            }
        ),
        card
    );
}

/// What stands after the fence, and the text between the fences.
fn blocks(page: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    page.split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap())
}
