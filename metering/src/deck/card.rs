//! From the merge to a rate card: prefixes of one destination with the same terms are one rate.
//!
//! Keys never contain a price. A rate that stays keeps its key; a new one is named after its
//! destination (`germany-mobile`), and if that name is taken by another of its terms, after its first
//! prefix too (`germany-mobile-4915`), or by its date (`germany-mobile@2026-12-01`). Without a
//! destination's name each prefix is a rate of its own (`p4915`).

use super::merge::{Entry, Import, Merged, Preview, TermsId, merge};
use super::{Deck, Jurisdiction};
use rating::Instant;
use rating::card::{CardDoc, Rate};
use std::collections::{HashMap, HashSet};

/// Bytes of a name that go into a key.
const SLUG_BYTES_MAX: usize = 100;

/// What [`to_card`] would do.
pub fn preview(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> Preview {
    merge(base, deck, import).preview
}

/// The card with the deck laid over it. Rates of the card that a deck cannot say come first, unchanged.
pub fn to_card(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> CardDoc {
    lay_over(base, deck, import).0
}

/// [`to_card`] and its [`preview`] by one merge.
pub fn lay_over(base: &CardDoc, deck: &Deck, import: &Import<'_>) -> (CardDoc, Preview) {
    let merged = merge(base, deck, import);
    let mut rates: Vec<Rate> = merged.untouched.iter().filter_map(|&index| base.rates.get(index as usize)).cloned().collect();
    let groups = groups(&merged.entries);
    let mut keys = Keys::new(&rates, &groups, base);
    rates.reserve(groups.len());
    for group in &groups {
        rates.push(rate(group, &mut keys, base, &merged, import.meter));
    }
    let (zone, fallback, meters) = (base.zone.clone(), base.fallback.clone(), base.meters.clone());
    (CardDoc { currency: base.currency, zone, fallback, meters, rates }, merged.preview)
}

/// What the prefixes of one rate have in common. An unnamed destination is its prefix.
type Common<'a> = (&'a str, Jurisdiction, &'a [String], TermsId, Option<Instant>, Option<Instant>);

struct Group<'a> {
    /// In order.
    prefixes: Vec<&'a str>,
    /// Of the first prefix.
    first: Entry<'a>,
}

fn groups<'a>(entries: &[Entry<'a>]) -> Vec<Group<'a>> {
    let mut index: HashMap<Common<'a>, usize> = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for entry in entries {
        if !entry.name.is_empty() {
            let common = (entry.name, entry.jurisdiction, entry.origin, entry.terms, entry.from, entry.until);
            let at = *index.entry(common).or_insert(groups.len());
            if let Some(group) = groups.get_mut(at) {
                group.prefixes.push(entry.prefix);
                continue;
            }
        }
        groups.push(Group { prefixes: vec![entry.prefix], first: *entry });
    }
    groups
}

fn rate(group: &Group<'_>, keys: &mut Keys, base: &CardDoc, merged: &Merged<'_>, meter: &str) -> Rate {
    let first = &group.first;
    let template = match first.terms {
        TermsId::Own(number) => base.rates.get(number as usize).cloned().unwrap_or_else(|| blank(meter)),
        TermsId::Deck(number) => {
            let terms = merged.terms.get(number as usize).copied().unwrap_or_default();
            let (rounding, counted) = (terms.beside.rounding, terms.beside.counted);
            Rate { call: Some(terms.to_call().into()), blocked: terms.blocked, rounding, counted, ..blank(meter) }
        }
    };
    Rate {
        key: keys.of(group, base),
        prefixes: group.prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
        origin_prefixes: first.origin.to_vec(),
        attributes: first.jurisdiction.value().map(|value| (Jurisdiction::ATTRIBUTE.to_owned(), value.to_owned())).into_iter().collect(),
        name: Some(first.name.to_owned()).filter(|name| !name.is_empty()),
        effective_from: first.from,
        effective_until: first.until,
        ..template
    }
}

fn blank(meter: &str) -> Rate {
    Rate {
        key: String::new(),
        meter: meter.to_owned(),
        prefixes: Vec::new(),
        origin_prefixes: Vec::new(),
        attributes: Default::default(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: None,
        price: None,
        counted: false,
        rounding: None,
    }
}

/// The keys in use: of rates that are not touched, and of rates that stay.
struct Keys {
    used: HashSet<String>,
    /// Rates of the card whose key their first group takes over.
    staying: HashSet<u32>,
}

impl Keys {
    fn new(untouched: &[Rate], groups: &[Group<'_>], base: &CardDoc) -> Self {
        let staying: HashSet<u32> = groups.iter().filter_map(|group| group.first.rate).collect();
        let kept = staying.iter().filter_map(|&rate| base.rates.get(rate as usize));
        let used = untouched.iter().chain(kept).map(|rate| rate.key.clone()).collect();
        Self { used, staying }
    }

    fn of(&mut self, group: &Group<'_>, base: &CardDoc) -> String {
        let first = &group.first;
        if let Some(number) = first.rate
            && self.staying.remove(&number)
            && let Some(rate) = base.rates.get(number as usize)
        {
            return rate.key.clone();
        }
        let stem = stem(first);
        let date = first.from.map(|from| format!("@{}", from.timestamp().strftime("%Y-%m-%d")));
        let (dated, prefixed) = (date.iter().map(|date| format!("{stem}{date}")), format!("{stem}-{}", first.prefix));
        let wanted = std::iter::once(stem.clone()).chain(dated).chain(std::iter::once(prefixed.clone()));
        let numbered = (2_u32..).map(|n| format!("{prefixed}{}-{n}", date.as_deref().unwrap_or_default()));
        let key = wanted.chain(numbered).find(|key| !self.used.contains(key)).unwrap_or(prefixed);
        self.used.insert(key.clone());
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
