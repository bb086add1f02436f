//! From the merge to a rate card: prefixes of one destination with the same terms are one rate.
//!
//! Keys never contain a price. A rate that stays keeps its key; a new one is named after its
//! destination (`germany-mobile`), and if that name is taken by another of its terms, after its
//! first prefix too (`germany-mobile-4915`), or by its date (`germany-mobile@2026-12-01`). Without
//! a destination's name each prefix is a rate of its own (`p4915`).

use super::deck::Deck;
use super::entry::{Entry, TermsId};
use super::intern::{Places, Texts};
use super::merge::{Merged, merge};
use super::preview::{Import, Preview};
use super::rate::{blank, with_terms};
use super::screen::Screen;
use super::terms::Jurisdiction;
use rating::Instant;
use rating::card::{CallTerms, CardDoc, Rate};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Bytes of a name that go into a key.
const SLUG_BYTES_MAX: usize = 100;

/// What [`to_card`] would do.
pub fn preview(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> Preview {
    merge(base, deck, import, |_, _| {}).preview
}

/// [`preview`], and whether the card of it is surely valid. If so, it need not be made to know
/// that.
pub fn preview_and_screen(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> (Preview, bool) {
    let mut screen = Screen::new(base, deck, import);
    let preview = merge(base, deck, import, |laid, terms| {
        screen.look_at(laid, terms)
    })
    .preview;
    (preview, screen.finish())
}

/// The card with the deck laid over it. Rates of the card that a deck cannot say come first,
/// unchanged.
pub fn to_card(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> CardDoc {
    lay_over(base, deck, import).0
}

/// [`to_card`] and its [`preview`] by one merge.
pub fn lay_over(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> (CardDoc, Preview) {
    let mut entries = Vec::with_capacity(deck.rows.len());
    let merged = merge(base, deck, import, |laid, _| {
        entries.extend_from_slice(laid)
    });
    let mut rates: Vec<Rate> = merged
        .untouched
        .iter()
        .filter_map(|&index| base.rates.get(index as usize))
        .cloned()
        .collect();
    let groups = Groups::of(&entries);
    let mut keys = Keys::new(&rates, &groups, base);
    let mut calls = HashMap::new();
    rates.reserve_exact(groups.starts.len());
    for group in groups.iter() {
        rates.push(rate(
            &group,
            &mut keys,
            &mut calls,
            base,
            &merged,
            import.meter,
        ));
    }
    let (zone, fallback, meters) = (
        base.zone.clone(),
        base.fallback.clone(),
        base.meters.clone(),
    );
    (
        CardDoc {
            currency: base.currency,
            zone,
            fallback,
            meters,
            rates,
        },
        merged.preview,
    )
}

/// What the prefixes of one rate have in common. An unnamed destination is its prefix.
type Common<'a> = (
    &'a str,
    Jurisdiction,
    &'a [String],
    TermsId,
    Option<Instant>,
    Option<Instant>,
);

fn common<'a>(entry: &Entry<'a>) -> Common<'a> {
    (
        entry.name,
        entry.jurisdiction,
        entry.origin,
        entry.terms,
        entry.from,
        entry.until,
    )
}

/// Entries by what they have in common, in order of the first of each.
struct Groups<'e, 'a> {
    entries: &'e [Entry<'a>],
    /// Entries by number: those of a group stand together, in order.
    distinct_values: Vec<u32>,
    /// Where each group begins among them.
    starts: Vec<u32>,
}

/// The prefixes of one rate.
struct Group<'e, 'a> {
    first: &'e Entry<'a>,
    entries: &'e [Entry<'a>],
    distinct_values: &'e [u32],
}

impl<'a> Group<'_, 'a> {
    fn prefixes(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.distinct_values.iter().map(|&distinct_value| {
            self.entries
                .get(distinct_value as usize)
                .map_or("", |entry| entry.prefix)
        })
    }
}

impl<'e, 'a> Groups<'e, 'a> {
    fn of(entries: &'e [Entry<'a>]) -> Self {
        // The first entry of each group, and which group each entry is of. Those without a name are
        // alone.
        let (mut firsts, mut group_of): (Vec<&Entry<'a>>, Vec<u32>) =
            (Vec::new(), Vec::with_capacity(entries.len()));
        let mut places = Places::default();
        for entry in entries {
            let common = common(entry);
            let is_it = |group: u32| {
                firsts
                    .get(group as usize)
                    .is_some_and(|first| self::common(first) == common)
            };
            let known = if entry.name.is_empty() {
                None
            } else {
                places.find(places.hash_of(&common), is_it)
            };
            let group = known.unwrap_or(number(firsts.len()));
            if known.is_none() {
                firsts.push(entry);
                let hash_of = |places: &Places, group: u32| {
                    firsts
                        .get(group as usize)
                        .map_or(0, |first| places.hash_of(&self::common(first)))
                };
                places.add(group, hash_of);
            }
            group_of.push(group);
        }
        let mut distinct_values: Vec<u32> = (0..number(entries.len())).collect();
        distinct_values.sort_by_key(|&distinct_value| group_of.get(distinct_value as usize));
        let same_group = |a: &u32, b: &u32| group_of.get(*a as usize) == group_of.get(*b as usize);
        let mut at = 0;
        let mut starts = Vec::with_capacity(firsts.len());
        for group in distinct_values.chunk_by(same_group) {
            starts.push(at);
            at += number(group.len());
        }
        Self {
            entries,
            distinct_values,
            starts,
        }
    }

    fn iter(&self) -> impl Iterator<Item = Group<'_, 'a>> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .copied()
            .chain([number(self.distinct_values.len())]);
        self.starts.iter().zip(ends).filter_map(|(&start, end)| {
            let distinct_values = self.distinct_values.get(start as usize..end as usize)?;
            let first = self.entries.get(*distinct_values.first()? as usize)?;
            Some(Group {
                first,
                entries: self.entries,
                distinct_values,
            })
        })
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn rate(
    group: &Group<'_, '_>,
    keys: &mut Keys,
    calls: &mut HashMap<u32, Arc<CallTerms>>,
    base: &CardDoc,
    merged: &Merged<'_>,
    meter: &str,
) -> Rate {
    let first = group.first;
    let template = match first.terms {
        TermsId::Own(number) => base
            .rates
            .get(number as usize)
            .cloned()
            .unwrap_or_else(|| blank(meter)),
        TermsId::Deck(number) => {
            let terms = merged.terms.get(number).unwrap_or_default();
            let call = calls
                .entry(number)
                .or_insert_with(|| Arc::new(terms.to_call()));
            with_terms(&terms, Arc::clone(call), blank(meter))
        }
    };
    Rate {
        key: keys.of(first, base),
        prefixes: group.prefixes().map(str::to_owned).collect(),
        origin_prefixes: first.origin.to_vec(),
        attributes: first
            .jurisdiction
            .value()
            .map(|value| (Jurisdiction::ATTRIBUTE.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        name: Some(first.name.to_owned()).filter(|name| !name.is_empty()),
        effective_from: first.from,
        effective_until: first.until,
        ..template
    }
}

/// The keys in use: of rates that are not touched, and of rates that stay.
struct Keys {
    used: Texts,
    /// Rates of the card whose key their first group takes over.
    staying: HashSet<u32>,
}

impl Keys {
    fn new(untouched: &[Rate], groups: &Groups<'_, '_>, base: &CardDoc) -> Self {
        let staying: HashSet<u32> = groups.iter().filter_map(|group| group.first.rate).collect();
        let kept = staying
            .iter()
            .filter_map(|&rate| base.rates.get(rate as usize));
        let mut used = Texts::default();
        for rate in untouched.iter().chain(kept) {
            used.of(&rate.key);
        }
        Self { used, staying }
    }

    fn of(&mut self, first: &Entry<'_>, base: &CardDoc) -> String {
        if let Some(number) = first.rate
            && self.staying.remove(&number)
            && let Some(rate) = base.rates.get(number as usize)
        {
            return rate.key.clone();
        }
        let stem = stem(first);
        let date = first
            .from
            .map(|from| format!("@{}", from.timestamp().strftime("%Y-%m-%d")));
        let (dated, prefixed) = (
            date.iter().map(|date| format!("{stem}{date}")),
            format!("{stem}-{}", first.prefix),
        );
        let wanted = std::iter::once(stem.clone())
            .chain(dated)
            .chain(std::iter::once(prefixed.clone()));
        let numbered =
            (2_u32..).map(|n| format!("{prefixed}{}-{n}", date.as_deref().unwrap_or_default()));
        let key = wanted
            .chain(numbered)
            .find(|key| self.used.find(key).is_none())
            .unwrap_or(prefixed);
        self.used.of(&key);
        key
    }
}

fn stem(entry: &Entry<'_>) -> String {
    let mut stem = slug(entry.name);
    if stem.is_empty() {
        stem = format!("p{}", entry.prefix);
    }
    if let Some(jurisdiction) = entry.jurisdiction.value() {
        stem.push('-');
        stem.push_str(jurisdiction);
    }
    if let Some(origin) = entry.origin.first() {
        stem.push_str("-from-");
        stem.push_str(origin);
    }
    stem
}

/// `Germany Mobile (T-Mobile)` → `germany-mobile-t-mobile`.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if slug.len() >= SLUG_BYTES_MAX {
            break;
        }
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

#[cfg(test)]
#[path = "kinds_tests.rs"]
mod kinds_tests;

#[cfg(test)]
#[path = "understood_tests.rs"]
mod understood_tests;

#[cfg(test)]
#[path = "names_tests.rs"]
mod names_tests;

#[cfg(test)]
#[path = "stated_tests.rs"]
mod stated_tests;
