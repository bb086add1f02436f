//! How a deck is laid over a card, and what would become of its prefixes.

use super::deck::{Deck, Refusal};
use super::terms::Jurisdiction;
use rating::Instant;
use rating::money::Rate as Amount;
use serde::{Deserialize, Serialize};

/// Changes of each kind that a preview shows.
pub const SAMPLES_MAX: usize = 10;
/// Refused rows that a preview shows.
pub const REFUSALS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The deck is the whole list.
    #[default]
    Full,
    /// What the deck does not name stays.
    Partial,
}

/// How a deck is laid over a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import<'a> {
    pub mode: Mode,
    pub meter: &'a str,
    /// When the new version comes into force.
    pub at: Instant,
}

/// What became of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    New,
    Increased,
    Decreased,
    /// Other terms at the same price.
    Changed,
    /// Not to be called any more, at whatever price.
    Blocked,
    /// Was blocked.
    Opened,
    Closed,
    /// New, and no longer in force when the import is: not imported.
    Ended,
    /// The deck does not name it, but a row was refused that may have: not closed.
    Spared,
    Renamed,
    Unchanged,
}

impl Kind {
    /// Something becomes of the prefix that was not so before.
    pub(crate) fn is_news(self) -> bool {
        !matches!(
            self,
            Self::Unchanged | Self::Ended | Self::Spared | Self::Renamed
        )
    }
}

/// One prefix of a preview. Prices per the deck's unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: Kind,
    pub prefix: String,
    pub destination: String,
    /// Of the United States: what it asks of `jurisdiction`.
    #[serde(default, skip_serializing_if = "Jurisdiction::is_any")]
    pub jurisdiction: Jurisdiction,
    /// Prefixes of the calling number; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    pub old_price: Option<Amount>,
    pub new_price: Option<Amount>,
    /// `60/1`: first and following increment, where they are others than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_increments: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_increments: Option<String>,
    /// Connect fee, minimums, free time and what else is not the price, where it is other than
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_terms: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_terms: Option<String>,
    /// A time without any price, with prices around it, that the deck makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_from: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_until: Option<Instant>,
    pub effective_from: Option<Instant>,
}

/// What an import would do. Counts are of prefixes (per jurisdiction), `refused` and `duplicates`
/// of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preview {
    pub new: usize,
    /// All of `increased`, `decreased`, `blocked`, `opened` and those with other terms.
    pub changed: usize,
    pub increased: usize,
    pub decreased: usize,
    #[serde(default)]
    pub blocked: usize,
    #[serde(default)]
    pub opened: usize,
    pub closed: usize,
    /// Prices that are over before the import is in force.
    #[serde(default)]
    pub ended: usize,
    /// Would be closed, were it not for refused rows.
    pub spared: usize,
    pub renamed: usize,
    pub unchanged: usize,
    /// Have other increments than before; they are among the others too.
    #[serde(default)]
    pub increments_changed: usize,
    /// The deck says nothing of increments: prefixes that keep those that they had, where these are
    /// not 1/1.
    #[serde(default)]
    pub increments_kept: usize,
    /// The deck says nothing of increments: new prefixes, which are billed 1/1.
    #[serde(default)]
    pub increments_unsaid: usize,
    /// Have another connect fee, other minimums or other free time than before; they are among the
    /// others too.
    #[serde(default)]
    pub terms_changed: usize,
    /// Prefixes that keep such terms because the deck says nothing of them.
    #[serde(default)]
    pub terms_kept: usize,
    /// Prefixes that stay blocked because the deck says of none whether it is.
    #[serde(default)]
    pub blocked_kept: usize,
    /// Prefixes that the deck leaves without any price for a time, with prices around it.
    #[serde(default)]
    pub gaps: usize,
    pub refused: usize,
    pub duplicates: usize,
    /// Up to [`SAMPLES_MAX`] of each kind but `unchanged` and `ended`, and as many with a time
    /// without a price.
    pub samples: Vec<Change>,
    /// The first [`REFUSALS_MAX`].
    pub refusals: Vec<Refusal>,
    pub ignored_columns: Vec<String>,
}

impl Preview {
    pub(crate) fn count(
        &mut self,
        kind: Kind,
        gap: Option<(Instant, Instant)>,
        sample: impl FnOnce() -> Change,
    ) {
        let changed = matches!(
            kind,
            Kind::Increased | Kind::Decreased | Kind::Changed | Kind::Blocked | Kind::Opened
        );
        self.changed += usize::from(changed);
        self.gaps += usize::from(gap.is_some());
        match kind {
            Kind::New => self.new += 1,
            Kind::Increased => self.increased += 1,
            Kind::Decreased => self.decreased += 1,
            Kind::Blocked => self.blocked += 1,
            Kind::Opened => self.opened += 1,
            Kind::Closed => self.closed += 1,
            Kind::Ended => self.ended += 1,
            Kind::Spared => self.spared += 1,
            Kind::Renamed => self.renamed += 1,
            Kind::Unchanged => self.unchanged += 1,
            Kind::Changed => {}
        }
        let has_room = self
            .samples
            .iter()
            .filter(|sample| sample.kind == kind)
            .count()
            < SAMPLES_MAX;
        let shows_gap = gap.is_some() && self.gaps <= SAMPLES_MAX;
        if !matches!(kind, Kind::Unchanged | Kind::Ended) && (has_room || shows_gap) {
            self.samples.push(sample());
        }
    }

    pub(crate) fn about(&mut self, deck: &Deck) {
        self.refused = deck.refused_count;
        self.duplicates = deck.duplicates;
        self.refusals = deck.refused.iter().take(REFUSALS_MAX).cloned().collect();
        self.ignored_columns.clone_from(&deck.ignored_columns);
    }
}
