//! Histories that begin where something was taken once: a few acts in order, and random operations between them.

use super::subtree::{Subtree, Terms};
use super::{Market, list};
use crate::served::Asking;
use rating::{Instant, TenantId};
use serde_json::json;

/// `a` and `b` are customers of the root, `c` is one of `s`, the reseller below it; `""` is the root.
type Whose = &'static str;

pub struct Story {
    pub name: &'static str,
    pub terms: Terms,
    november: &'static [Act],
    december: &'static [Act],
}

#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// The platform's switch reports a call.
    Calls(Whose),
    Pays(Whose, i64),
    /// The root gives the reseller below it this share from now on, or sells to it next to nothing charged.
    Shares(u16),
    SellsBelowCost,
}

use Act::*;

pub const STORIES: [Story; 2] = [
    Story {
        name: "a commission of a commission",
        terms: Terms::Approved,
        november: &[Pays("c", 5000), Calls("c"), Shares(10_000), Calls("c"), Shares(2500), Calls("c")],
        december: &[Shares(9999), Calls("c")],
    },
    Story {
        name: "a commission of any price",
        terms: Terms::FreeRetail,
        november: &[Pays("c", 5000), Shares(10_000), Calls("c"), SellsBelowCost, Calls("c")],
        december: &[Shares(5000), Calls("c")],
    },
];

impl Subtree {
    /// What comes next in its story this month.
    fn next_act(&self, now: Instant) -> Option<Act> {
        let story = self.story?;
        let acts = if now.to_string().starts_with("2026-11") { story.november } else { story.december };
        acts.get(self.told).copied()
    }

    /// Two steps of three go on with the story, as long as it lasts.
    pub fn go_on(&mut self, now: Instant) -> Option<Act> {
        let act = self.next_act(now).filter(|_| self.dice.below(3) > 0)?;
        self.told += 1;
        Some(act)
    }

    /// Little happens in a month after the end of its story.
    pub fn is_over(&mut self, now: Instant) -> bool {
        self.story.is_some() && self.next_act(now).is_none() && self.dice.below(3) > 0
    }

    pub async fn act(&mut self, market: &Market, act: Act, now: Instant) {
        let (root, key) = self.root_key();
        match act {
            Calls(of) => self.platform_reports_of(market, self.of(of), None, now).await,
            Pays(of, cents) => self.customer_pays_some(market, self.of(of), cents).await,
            Shares(share) => {
                let terms = json!({ "buyer": self.called("s"), "commission_bp": share, "credit_limit_cents": 0 });
                self.agree_anew(&root, &key, terms, now).await;
            }
            SellsBelowCost => self.sell_below_cost(&root, &key, now).await,
        }
    }

    fn called(&self, whose: Whose) -> String {
        if whose.is_empty() { self.name.clone() } else { format!("{}-{whose}", self.name) }
    }

    fn of(&self, whose: Whose) -> (String, TenantId) {
        let name = self.called(whose);
        self.honest.iter().find(|(customer, _)| *customer == name).cloned().unwrap()
    }

    async fn sell_below_cost(&mut self, root: &str, key: &Asking, now: Instant) {
        let name = self.fresh("card");
        let card = key.post("/v1/rate-cards", json!({ "name": name, "currency": "EUR", "owner": root })).await.ok();
        let card = card["id"].as_str().unwrap().to_owned();
        self.publish(root, key, &card, list("0.0001", "0.0001", "0.001", "0.0001", "0.01")).await;
        self.agree_anew(root, key, json!({ "buyer": self.called("s"), "rate_card": card, "credit_limit_cents": 0 }), now).await;
    }
}
