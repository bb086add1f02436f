//! A deck laid over a card, prefix by prefix: the one computation behind preview and import.
//!
//! A row without a date replaces what its prefix had. A row from a date on leaves the rate in force
//! until then (an announced increase) and takes the place of whatever was announced before. A full
//! deck closes the prefixes it does not name: at once, or from its earliest date if all its rows
//! have one. A row that says it is deleted closes its prefix from its date on, in a partial deck
//! too. A full deck closes nothing that a refused row may have meant ([`crate::deck::Spared`]).
//! Whatever has ended by [`Import::at`] is left out: the versions before remember it.
//!
//! Rates that a deck cannot say (other meters, windows, other attributes, no prefixes) are not
//! touched.

use super::deck::{Deck, DeckRow};
use super::entry::{Entry, Key, Numbered, TermsId};
use super::keep;
use super::preview::{Change, Import, Kind, Mode, Preview};
use super::terms::{Jurisdiction, Terms};
use rating::Instant;
use rating::card::{CardDoc, Rate};
use rating::money::Rate as Amount;
use std::cmp::Ordering;

/// The outcome of a merge, beside the prices of each prefix.
pub(super) struct Merged<'d> {
    pub terms: Numbered<'d>,
    /// Rates of the card that stay as they are.
    pub untouched: Vec<u32>,
    pub preview: Preview,
}

/// May a deck replace it? Rates by origin only by a deck that has prices by origin.
pub(super) fn is_of_deck(rate: &Rate, meter: &str, by_origin: bool) -> Option<Jurisdiction> {
    let origin = by_origin || rate.origin_prefixes.is_empty();
    let plain = rate.meter == meter
        && !rate.prefixes.is_empty()
        && origin
        && rate.window.is_none()
        && rate.priority == 0;
    if plain { Jurisdiction::of(rate) } else { None }
}

/// Prefix by prefix in order, and of each only what is at hand: `laid` is lent what becomes of it,
/// in order of its beginning.
pub(super) fn merge<'a>(
    base: &'a CardDoc,
    deck: &'a Deck,
    import: &Import<'_>,
    mut laid: impl FnMut(&[Entry<'a>], &Numbered<'a>),
) -> Merged<'a> {
    let mut merged = Merged {
        terms: Numbered::new(&deck.terms),
        untouched: Vec::new(),
        preview: Preview::default(),
    };
    let Merged {
        terms,
        untouched,
        preview,
    } = &mut merged;
    let mut old = OldPrices::of(base, import, deck.has_origins(), terms, untouched);
    let mut rows = deck.rows.iter().peekable();
    let closing = match import.mode {
        Mode::Partial => None,
        Mode::Full => Some(
            deck.rows
                .iter()
                .map(|row| deck.period(row).from.unwrap_or(Instant::MIN))
                .min()
                .unwrap_or(Instant::MIN),
        ),
    };
    let (mut before, mut new, mut out) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(key) = [old.key(), rows.peek().map(|row| key(deck, row))]
        .into_iter()
        .flatten()
        .min()
    {
        old.take(key, &mut before);
        new.clear();
        while let Some(row) = rows.next_if(|row| self::key(deck, row) == key) {
            add_row(deck, row, &mut new);
        }
        keep::keep(
            &before,
            &mut new,
            (deck.says, import.at),
            base,
            terms,
            preview,
        );
        let spared = new.is_empty() && closing.is_some() && deck.spared.has(key.0);
        let prices = Prices { base, terms };
        out.clear();
        let kind = lay(
            &before,
            &new,
            closing.filter(|_| !spared),
            import.at,
            &prices,
            &mut out,
        );
        let kind = if spared { Kind::Spared } else { kind };
        let gap = if kind.is_news() {
            gap(&before, &out, import.at)
        } else {
            None
        };
        preview.count(kind, gap, || prices.sample(kind, &before, &new, gap));
        preview.increments_changed += usize::from(prices.increments(&before, &new).is_some());
        preview.increments_unsaid += usize::from(kind == Kind::New && !deck.says.increments);
        preview.terms_changed += usize::from(prices.others(&before, &new).is_some());
        laid(&out, terms);
    }
    preview.about(deck);
    merged
}

fn key<'d>(deck: &'d Deck, row: &'d DeckRow) -> Key<'d> {
    (&row.prefix, row.jurisdiction, deck.origin(row))
}

/// What a card has of the prefixes that a deck may replace, in order of prefix, jurisdiction,
/// origin and begin.
struct OldPrices<'a> {
    base: &'a CardDoc,
    /// By rate.
    rates: Vec<Option<(Jurisdiction, TermsId)>>,
    /// Rate, and which of its prefixes.
    prices: std::iter::Peekable<std::vec::IntoIter<(u32, u32)>>,
}

impl<'a> OldPrices<'a> {
    fn of(
        base: &'a CardDoc,
        import: &Import<'_>,
        by_origin: bool,
        terms: &mut Numbered<'_>,
        untouched: &mut Vec<u32>,
    ) -> Self {
        let (mut rates, mut prices) = (Vec::with_capacity(base.rates.len()), Vec::new());
        for (rate, number) in base.rates.iter().zip(0_u32..) {
            let jurisdiction = is_of_deck(rate, import.meter, by_origin);
            match jurisdiction {
                Some(_) => prices.extend(
                    (0_u32..)
                        .zip(&rate.prefixes)
                        .map(|(prefix, _)| (number, prefix)),
                ),
                None => untouched.push(number),
            }
            let mut id =
                || Terms::of(rate).map_or(TermsId::Own(number), |of| TermsId::Deck(terms.of(of)));
            rates.push(jurisdiction.map(|jurisdiction| (jurisdiction, id())));
        }
        let mut old = Self {
            base,
            rates,
            prices: Vec::new().into_iter().peekable(),
        };
        prices.sort_by(|a, b| old.order(*a, *b));
        old.prices = prices.into_iter().peekable();
        old
    }

    fn entry(&self, (number, prefix): (u32, u32)) -> Option<Entry<'a>> {
        let rate = self.base.rates.get(number as usize)?;
        let (jurisdiction, terms) = (*self.rates.get(number as usize)?)?;
        Some(Entry {
            prefix: rate.prefixes.get(prefix as usize)?,
            jurisdiction,
            origin: &rate.origin_prefixes,
            name: rate.name.as_deref().unwrap_or_default(),
            terms,
            rate: Some(number),
            from: rate.effective_from,
            until: rate.effective_until,
        })
    }

    fn order(&self, a: (u32, u32), b: (u32, u32)) -> Ordering {
        let of = |entry: Option<Entry<'a>>| entry.map(|entry| (entry.key(), entry.begins()));
        of(self.entry(a)).cmp(&of(self.entry(b)))
    }

    fn key(&mut self) -> Option<Key<'a>> {
        let next = *self.prices.peek()?;
        self.entry(next).map(|entry| entry.key())
    }

    /// Those of this key, which come next if there are any.
    fn take(&mut self, key: Key<'_>, into: &mut Vec<Entry<'a>>) {
        into.clear();
        while let Some(entry) = self
            .prices
            .peek()
            .copied()
            .and_then(|next| self.entry(next))
            .filter(|entry| entry.key() == key)
        {
            into.push(entry);
            self.prices.next();
        }
    }
}

/// The deck's rows are sorted; each ends where the next of its prefix begins.
fn add_row<'a>(deck: &'a Deck, row: &'a DeckRow, entries: &mut Vec<Entry<'a>>) {
    let period = deck.period(row);
    let entry = Entry {
        prefix: &row.prefix,
        jurisdiction: row.jurisdiction,
        origin: deck.origin(row),
        name: deck.name(row),
        terms: TermsId::Deck(row.terms),
        rate: None,
        from: period.from,
        until: if period.closes {
            Some(period.from.unwrap_or(Instant::MIN))
        } else {
            period.until
        },
    };
    if let Some(before) = entries.last_mut() {
        before.until = Some(before.ends().min(entry.begins()));
    }
    entries.push(entry);
}

/// Lays the rows of one prefix over what it had; what changed, if anything.
fn lay<'a>(
    old: &[Entry<'a>],
    new: &[Entry<'a>],
    closing: Option<Instant>,
    at: Instant,
    prices: &Prices<'_>,
    out: &mut Vec<Entry<'a>>,
) -> Kind {
    let begin = out.len();
    let cut = match new.first() {
        Some(first) => Some(first.begins()),
        None => closing,
    };
    let lives = |entry: &Entry<'_>| entry.begins() < entry.ends() && entry.ends() > at;
    let kept = old
        .iter()
        .enumerate()
        .filter(|(_, entry)| new.is_empty() || entry.begins() <= at)
        .map(|(index, entry)| {
            // Until what was announced, if that is now given up: then until the deck's own first day.
            let announced = old.get(index + 1).is_some_and(|next| {
                !new.is_empty() && next.begins() > at && entry.until == next.from
            });
            let until = if announced { None } else { entry.until };
            Entry {
                until: cut
                    .filter(|cut| *cut < until.unwrap_or(Instant::MAX))
                    .or(until),
                ..*entry
            }
        });
    out.extend(kept.chain(new.iter().copied()).filter(lives));
    let same_terms = same(old, &out[begin..], at, |entry| entry.terms);
    if same_terms && same(old, &out[begin..], at, |entry| entry.name) {
        // Nothing changes: the card's own entries stay, whatever date the deck repeats.
        out.truncate(begin);
        out.extend(old.iter().filter(|entry| entry.ends() > at));
        let has_ended = out.len() == begin && new.iter().any(|entry| !entry.is_closing());
        return if has_ended {
            Kind::Ended
        } else {
            Kind::Unchanged
        };
    }
    let is_closed = out.len() == begin || new.last().is_some_and(Entry::is_closing);
    match (same_terms, is_closed) {
        (true, _) => Kind::Renamed,
        (false, true) => Kind::Closed,
        (false, false) => prices.kind(old, new),
    }
}

/// Do two timelines say the same from `at` on?
fn same<'a, T: PartialEq>(
    a: &[Entry<'a>],
    b: &[Entry<'a>],
    at: Instant,
    what: impl Fn(&Entry<'a>) -> T,
) -> bool {
    let flat = |entries: &[Entry<'a>]| {
        let mut pieces: Vec<(Instant, Instant, T)> = Vec::with_capacity(entries.len());
        for entry in entries.iter().filter(|entry| entry.ends() > at) {
            let (from, until, value) = (entry.begins().max(at), entry.ends(), what(entry));
            match pieces.last_mut() {
                Some(last) if last.1 == from && last.2 == value => last.1 = until,
                _ => pieces.push((from, until, value)),
            }
        }
        pieces
    };
    flat(a) == flat(b)
}

/// The first time from `at` on without a price between two prices, or between what was in force and
/// what is to come: nobody could call, or nobody would pay. Both lists are in order.
fn gap(before: &[Entry<'_>], after: &[Entry<'_>], at: Instant) -> Option<(Instant, Instant)> {
    let was_in_force = before
        .iter()
        .any(|entry| entry.begins() <= at && at < entry.ends());
    let mut since = if was_in_force { Some(at) } else { None };
    for entry in after {
        let begins = entry.begins().max(at);
        if let Some(since) = since.filter(|since| *since < begins) {
            return Some((since, begins));
        }
        since = Some(entry.ends().max(at));
    }
    None
}

struct Prices<'p> {
    base: &'p CardDoc,
    terms: &'p Numbered<'p>,
}

impl Prices<'_> {
    fn of(&self, entry: &Entry<'_>) -> Option<Amount> {
        match entry.terms {
            TermsId::Deck(number) => self.terms.get(number).map(|terms| terms.price),
            TermsId::Own(rate) => self
                .base
                .rates
                .get(rate as usize)?
                .call
                .as_ref()?
                .steps
                .first()
                .map(|step| step.price),
        }
    }

    /// The last price before and the last price after.
    fn both(&self, old: &[Entry<'_>], new: &[Entry<'_>]) -> (Option<Amount>, Option<Amount>) {
        (
            old.last().and_then(|entry| self.of(entry)),
            new.last().and_then(|entry| self.of(entry)),
        )
    }

    /// The last increments before and the last after, if they are others.
    fn increments(&self, old: &[Entry<'_>], new: &[Entry<'_>]) -> Option<[String; 2]> {
        let of = |entries: &[Entry<'_>]| {
            entries
                .last()
                .filter(|entry| !entry.is_closing())
                .and_then(|entry| keep::increments(self.base, self.terms, entry.terms))
        };
        let (old, new) = (of(old)?, of(new)?);
        (old != new).then(|| [old, new].map(keep::written))
    }

    /// Likewise of what is neither price nor increment.
    fn others(&self, old: &[Entry<'_>], new: &[Entry<'_>]) -> Option<[String; 2]> {
        let of = |entries: &[Entry<'_>]| {
            entries
                .last()
                .filter(|entry| !entry.is_closing())
                .map(|entry| entry.terms)
        };
        let (old, new) = (of(old)?, of(new)?);
        if old == new {
            return None;
        }
        let [old, new] = [old, new].map(|terms| keep::others(self.base, self.terms, terms));
        (old != new).then_some([old, new])
    }

    fn is_blocked(&self, entries: &[Entry<'_>]) -> bool {
        let last = entries.last().filter(|entry| !entry.is_closing());
        last.and_then(|entry| keep::of(self.base, self.terms, entry.terms))
            .is_some_and(|terms| terms.blocked)
    }

    fn kind(&self, old: &[Entry<'_>], new: &[Entry<'_>]) -> Kind {
        let (was_blocked, is_blocked) = (self.is_blocked(old), self.is_blocked(new));
        match self.both(old, new) {
            _ if old.is_empty() => Kind::New,
            _ if new.is_empty() => Kind::Closed,
            _ if was_blocked != is_blocked => {
                if is_blocked {
                    Kind::Blocked
                } else {
                    Kind::Opened
                }
            }
            (old, new) if old < new => Kind::Increased,
            (old, new) if old > new => Kind::Decreased,
            _ => Kind::Changed,
        }
    }

    fn sample(
        &self,
        kind: Kind,
        old: &[Entry<'_>],
        new: &[Entry<'_>],
        gap: Option<(Instant, Instant)>,
    ) -> Change {
        let (old_price, new_price) = self.both(old, new);
        let new_price = match kind {
            Kind::Spared => old_price,
            Kind::Closed => None,
            _ => new_price,
        };
        let shown = new.last().or(old.last());
        let [old_increments, new_increments] = self
            .increments(old, new)
            .map_or([None, None], |both| both.map(Some));
        let [old_terms, new_terms] = self
            .others(old, new)
            .map_or([None, None], |both| both.map(Some));
        Change {
            kind,
            prefix: shown.map_or("", |entry| entry.prefix).to_owned(),
            destination: shown.map_or("", |entry| entry.name).to_owned(),
            jurisdiction: shown.map_or(Jurisdiction::Any, |entry| entry.jurisdiction),
            origins: shown.map_or(&[][..], |entry| entry.origin).to_vec(),
            old_price,
            new_price,
            old_increments,
            new_increments,
            old_terms,
            new_terms,
            gap_from: gap.map(|(from, _)| from),
            gap_until: gap.map(|(_, until)| until),
            effective_from: new.last().and_then(|entry| entry.from),
        }
    }
}
