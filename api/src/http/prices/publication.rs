//! What is asked of prices when they are published, and never again: a card that is stored is read
//! as it was.

use catalog::{LIST_ROWS_MAX, RateCard};
use prepare::measure::FALLBACKS_MAX;
use prepare::prefixes;
use rating::Instant;
use rating::below_zero::prices_below_zero;
use rating::card::{CardDoc, MeterTerms, Rate};
use rating::validate::{MISTAKES_MAX, Mistake, meters, sense};
use rating::window::{Window, Zone};
use std::collections::{BTreeMap, HashMap};
use web::problem::{ApiProblem, FieldError};
use web::state::App;

/// Versions of fallback cards that are looked at.
const FALLBACK_VERSIONS_MAX: usize = 200;
/// Prices below zero named at once.
const BELOW_ZERO_NAMED_MAX: usize = 20;

/// Meters, fallback, what a card of before does not say, and whether it gives away what is not its
/// owner's. `before`: the version that these prices were laid over; what it says already is not
/// asked again, but for prices below zero and for whether fallback cards end. `from`: when it comes
/// into force.
///
/// # Errors
/// `invalid_card` with every mistake.
pub async fn check(
    app: &App,
    card: &RateCard,
    doc: &CardDoc,
    before: Option<&CardDoc>,
    from: Instant,
) -> Result<(), ApiProblem> {
    let known: HashMap<&str, &Rate> = before
        .into_iter()
        .flat_map(|before| &before.rates)
        .map(|rate| (rate.key.as_str(), rate))
        .collect();
    let is_new = |rate: &Rate| {
        known
            .get(rate.key.as_str())
            .is_none_or(|before| *before != rate)
    };
    let mut bad = sense::check(doc, is_new);
    bad.extend(meters::check(
        doc,
        &meters_of(app).await?,
        meters::Known::All,
        is_new,
    ));
    for (index, rate) in doc
        .rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| is_new(rate))
    {
        if rate
            .price
            .as_ref()
            .is_some_and(|price| price.model.amount_from() == Some(None))
        {
            bad.push(mistake(
                format!("rates[{index}].price.amount_from"),
                "missing_field",
                "expected `amount` or `quantity`: draft it again",
            ));
        }
    }
    if card.owner != app.platform {
        bad.extend(prices_below_zero(doc, BELOW_ZERO_NAMED_MAX));
    }
    if let Some(name) = doc
        .fallback
        .as_ref()
        .filter(|_| before.is_none_or(|before| before.fallback != doc.fallback))
    {
        bad.extend(fallback(app, card, name).await?);
    }
    if bad.is_empty() {
        bad.extend(endless(app, card, doc, from).await?);
    }
    if bad.is_empty() {
        Ok(())
    } else {
        Err(bad.into())
    }
}

fn mistake(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Mistake {
    Mistake {
        path: path.into(),
        code,
        message: message.into(),
    }
}

/// What a draft says that can never be: prefixes that no number begins with, and windows whose
/// years are all over before the version begins. A window that is in force as it stands, and was
/// over, is what a year before left.
pub fn never(doc: &CardDoc, in_force: Option<&CardDoc>, from: Instant) -> Vec<Mistake> {
    let mut bad = prefixes::mistakes(doc);
    let known: HashMap<&str, &Rate> = in_force
        .into_iter()
        .flat_map(|doc| &doc.rates)
        .map(|rate| (rate.key.as_str(), rate))
        .collect();
    let is_new = |rate: &Rate| {
        known
            .get(rate.key.as_str())
            .is_none_or(|before| before.window != rate.window)
    };
    bad.extend(over(doc, from, is_new));
    bad
}

fn over(doc: &CardDoc, from: Instant, asks: impl Fn(&Rate) -> bool) -> Vec<Mistake> {
    let Some(zone) = Zone::named(&doc.zone) else {
        return Vec::new();
    };
    let is_over = |rate: &Rate| {
        let window = rate
            .window
            .as_deref()
            .filter(|window| !window.years.is_empty());
        window.is_some_and(|window| {
            Window::compile(window).is_ok_and(|compiled| compiled.is_over(&zone, from))
        })
    };
    let found = doc
        .rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| asks(rate) && is_over(rate));
    let message = |rate: &Rate| {
        let years: Vec<String> = rate
            .window
            .iter()
            .flat_map(|window| &window.years)
            .map(ToString::to_string)
            .collect();
        format!(
            "{} is over when the version begins ({from}): expected a later year",
            years.join(", ")
        )
    };
    found
        .map(|(index, rate)| {
            mistake(
                format!("rates[{index}].window.years"),
                "window_over",
                message(rate),
            )
        })
        .take(MISTAKES_MAX)
        .collect()
}

async fn fallback(app: &App, card: &RateCard, name: &str) -> Result<Option<Mistake>, ApiProblem> {
    let Some(found) = app.catalog.card_by_name(card.owner, name).await? else {
        let detail =
            format!("the seller has no card {name:?}: create it first, and publish its prices");
        return Ok(Some(mistake("fallback", "unknown_fallback", detail)));
    };
    if found.id == card.id {
        return Ok(Some(mistake(
            "fallback",
            "fallback_to_itself",
            "expected another card",
        )));
    }
    let differs = found.currency != card.currency;
    let detail = || {
        format!(
            "{name:?} is in {}, but this card is in {}",
            found.currency, card.currency
        )
    };
    Ok(differs.then(|| mistake("fallback", "currency_mismatch", detail())))
}

/// Fallback cards that lead back to a card before them, at some time from which these prices count:
/// nobody would ever answer. Versions count from their beginning to the next one's, as they do for
/// usage.
///
/// # Errors
/// As reading records.
pub async fn endless(
    app: &App,
    card: &RateCard,
    doc: &CardDoc,
    from: Instant,
) -> Result<Option<Mistake>, ApiProblem> {
    let Some(name) = doc.fallback.clone() else {
        return Ok(None);
    };
    let own = app.catalog.published_versions(card.id).await?;
    let until = own
        .iter()
        .filter_map(|version| version.effective_from)
        .filter(|begin| *begin > from)
        .min();
    let mut open = vec![Step {
        name,
        names: vec![card.name.clone()],
        from,
        until: until.unwrap_or(Instant::MAX),
    }];
    let mut looked_at = 0;
    while let Some(Step {
        name,
        names,
        from,
        until,
    }) = open.pop()
    {
        let chain = || {
            names
                .iter()
                .chain([&name])
                .map(|name| format!("{name:?}"))
                .collect::<Vec<_>>()
                .join(" -> ")
        };
        if names.contains(&name) {
            let detail = format!(
                "{}: the fallback cards form a cycle; remove or change the fallback of one of \
                    them",
                chain()
            );
            return Ok(Some(mistake("fallback", "fallback_cycle", detail)));
        }
        looked_at += 1;
        if names.len() > FALLBACKS_MAX || looked_at > FALLBACK_VERSIONS_MAX {
            let detail = format!(
                "{}: expected at most {FALLBACKS_MAX} fallback cards in a row",
                chain()
            );
            return Ok(Some(mistake("fallback", "too_many_fallbacks", detail)));
        }
        let Some(next) = app.catalog.card_by_name(card.owner, &name).await? else {
            continue;
        };
        let versions = app.catalog.published_versions(next.id).await?;
        for (index, version) in versions.iter().enumerate() {
            let begins = version.effective_from.unwrap_or(Instant::MAX).max(from);
            let ends = versions
                .get(index + 1)
                .and_then(|next| next.effective_from)
                .unwrap_or(Instant::MAX)
                .min(until);
            if begins >= ends {
                continue;
            }
            if let Some(behind) = app
                .catalog
                .version_doc(version.id)
                .await?
                .and_then(|doc| doc.fallback)
            {
                let names = names.iter().chain([&name]).cloned().collect();
                open.push(Step {
                    name: behind,
                    names,
                    from: begins,
                    until: ends,
                });
            }
        }
    }
    Ok(None)
}

/// A fallback card that is to be looked at, behind which others, and for which time.
struct Step {
    name: String,
    names: Vec<String>,
    from: Instant,
    until: Instant,
}

async fn meters_of(app: &App) -> Result<BTreeMap<String, MeterTerms>, ApiProblem> {
    let (mut meters, mut after) = (BTreeMap::new(), None);
    loop {
        let page = app.catalog.meters(None, after, LIST_ROWS_MAX).await?;
        after = page.data.last().map(|meter| meter.id);
        meters.extend(page.data.into_iter().map(|meter| (meter.name, meter.terms)));
        if !page.has_more {
            return Ok(meters);
        }
    }
}

/// What the card says that has no effect yet.
pub fn warnings(doc: &CardDoc) -> Vec<FieldError> {
    let said = meters::without_effect(doc)
        .into_iter()
        .chain(prefixes::warnings(doc))
        .take(MISTAKES_MAX);
    said.map(|said| FieldError {
        field: said.path,
        code: said.code.to_owned(),
        detail: said.message,
    })
    .collect()
}
