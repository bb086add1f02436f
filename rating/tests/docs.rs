//! Every card of `docs/rate-card.md` is read and compiled, and every row of the tables below it is
//! priced, in the order of the page. The card of `README.md` is compiled.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use rating::aggregate::{self, Report};
use rating::card::{Aggregation, CardDoc};
use rating::compile::CompiledCard;
use rating::usage::{Counter, CounterId, Number, Unrated, Usage};
use rating::validate::parse_card;
use rating::{Instant, Quantity};
use std::collections::HashMap;

const PAGE: &str = include_str!("../../docs/rate-card.md");
const README: &str = include_str!("../../README.md");
/// Of a row that names no instant.
const AT: &str = "2026-11-20T09:00:00Z";

#[test]
fn the_page_says_what_the_code_does() {
    let (mut cards, mut rows) = (0, 0);
    for (number, block) in PAGE.split("```json\n").enumerate().skip(1) {
        let (json, after) = block.split_once("```").unwrap();
        let doc = parse_card(json.as_bytes())
            .unwrap_or_else(|mistakes| panic!("card {number}: {mistakes:?}\n{json}"));
        let mut page = Page {
            card: CompiledCard::compile(&doc).unwrap(),
            doc,
            reports: HashMap::new(),
        };
        cards += 1;
        for row in after
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter(|row| row.contains('='))
        {
            let (usage, costs) = row.split_once("` | ").unwrap();
            let costs = costs.trim_end_matches(" |").trim_matches('`');
            assert_eq!(page.price(usage), costs, "card {number}: {usage}");
            rows += 1;
        }
    }
    assert!(cards >= 17 && rows >= 40, "{cards} cards, {rows} rows");
}

#[test]
fn the_card_of_the_readme_compiles() {
    let blocks = README
        .split("```json\n")
        .skip(1)
        .filter_map(|block| block.split_once("```"));
    let cards: Vec<&str> = blocks
        .map(|(json, _)| json)
        .filter(|json| json.contains("\"rates\""))
        .collect();
    assert_eq!(cards.len(), 1);
    let doc = parse_card(cards[0].as_bytes()).unwrap();
    assert_eq!(
        CompiledCard::compile(&doc).unwrap().currency(),
        doc.currency
    );
}

/// A usage of a row: what the counter took, when, and the attribute it may be counted by.
type Reported = (Instant, Quantity, Option<String>);

struct Page {
    doc: CardDoc,
    card: CompiledCard,
    reports: HashMap<CounterId, Vec<Reported>>,
}

impl Page {
    /// The exact amount in major units, or the code of an event without a price.
    fn price(&mut self, row: &str) -> String {
        let pairs: Vec<(&str, &str)> = row
            .split(' ')
            .map(|pair| pair.split_once('=').unwrap())
            .collect();
        let get = |name: &str| {
            pairs
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| *value)
        };
        let named = ["meter", "quantity", "amount", "at", "to", "from"];
        let attributes: Vec<(String, String)> = pairs
            .iter()
            .filter(|(name, _)| !named.contains(name))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let meter = get("meter").unwrap_or(&self.doc.rates[0].meter).to_owned();
        let terms = self.doc.meters.get(&meter);
        let usage = Usage {
            meter: &meter,
            is_call: terms.is_none()
                && self
                    .doc
                    .rates
                    .iter()
                    .any(|rate| rate.meter == meter && rate.call.is_some()),
            aggregation: terms.map_or(Aggregation::Sum, |terms| terms.aggregation),
            at: get("at").unwrap_or(AT).parse().unwrap(),
            quantity: get("quantity").unwrap_or("1").parse().unwrap(),
            amount: get("amount").map(|amount| amount.parse().unwrap()),
            number: Number::International,
            destination: get("to").map(|number| number.trim_start_matches('+')),
            origin: get("from").map(|number| number.trim_start_matches('+')),
            attributes: &attributes,
        };
        let unique_by = terms
            .and_then(|terms| terms.unique_by.as_deref())
            .and_then(get)
            .map(str::to_owned);
        self.charge(&usage, unique_by)
            .unwrap_or_else(|unrated| unrated.code().to_owned())
    }

    fn charge(&mut self, usage: &Usage<'_>, unique_by: Option<String>) -> Result<String, Unrated> {
        let measured = self.card.measure(usage)?;
        let (mut before, mut after) = (Counter::default(), Counter::default());
        if let Some(id) = measured.counter {
            let reports = self.reports.entry(id).or_default();
            before = counter(usage.aggregation, reports);
            reports.push((usage.at, measured.billed, unique_by));
            after = counter(usage.aggregation, reports);
        }
        let priced = self.card.price(&measured, usage, &before, &after)?;
        Ok(priced.exact.in_major(self.card.currency()))
    }
}

fn counter(aggregation: Aggregation, reports: &[Reported]) -> Counter {
    let reports: Vec<Report<'_>> = reports
        .iter()
        .map(|(at, quantity, by)| Report {
            at: *at,
            quantity: *quantity,
            unique_by: by.as_deref(),
            level: 0,
        })
        .collect();
    aggregate::over(aggregation, &reports, Instant::MIN, Instant::MAX).unwrap()
}
