//! Histories that begin where something was taken once: a few acts in order, and random operations
//! between them.

use super::subtree::{BETWEEN, LOWER_RETAIL, RETAIL, Subtree, Terms};
use super::{Market, graduated, list, volume};
use centwise_tests::served::Asking;
use rating::{Instant, TenantId};
use serde_json::json;

/// `a` and `b` are customers of the root, `c` is one of `s`, the reseller below it; `""` is the
/// root.
type Whose = &'static str;

pub struct Story {
    pub name: &'static str,
    pub terms: Terms,
    november: &'static [Act],
    december: &'static [Act],
}

#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// The platform's switch reports a call, or how many seats there are.
    Calls(Whose),
    Seats(Whose, u64),
    Pays(Whose, i64),
    /// The platform gives the root this share from now on.
    Gives(u16),
    /// The root gives the reseller below it this share from now on, sells to it at a card, or with
    /// next to nothing charged.
    Shares(u16),
    SellsAt(usize),
    SellsBelowCost,
    /// The root reports SMS.
    Sends(Whose, u64),
    /// A key below the platform reports seats of a customer, with a later time.
    CountsLater(Whose, Whose, u64),
    /// The root changes the price of SMS on a card.
    SmsPerUnit(usize, &'static str),
    SmsByVolume(usize),
    /// What the first minute of a month costs on a card, the rest of it does not.
    CallsByTiers(usize),
    /// A key below the platform reports its switch's next call before it does, as a short one, or a
    /// call of its own.
    Guesses(Whose, Whose),
    CallsOwn(Whose, Whose),
    /// The root voids the last call that the platform reported, or what it reported itself.
    VoidsCall,
    VoidsOwn,
    /// The root sets a call aside.
    Holds(Whose),
}

use Act::*;

pub const STORIES: [Story; 13] = [
    Story {
        name: "a commission of a commission",
        terms: Terms::Approved,
        november: &[
            Pays("c", 5000),
            Calls("c"),
            Shares(10_000),
            Calls("c"),
            Shares(2500),
            Calls("c"),
        ],
        december: &[Shares(9999), Calls("c")],
    },
    Story {
        name: "a commission of any price",
        terms: Terms::FreeRetail,
        november: &[
            Pays("c", 5000),
            Shares(10_000),
            Calls("c"),
            SellsBelowCost,
            Calls("c"),
        ],
        december: &[Shares(5000), Calls("c")],
    },
    Story {
        name: "given back at another share of the platform's",
        terms: Terms::Approved,
        november: &[
            Seats("a", 10),
            Gives(0),
            Seats("a", 0),
            Gives(2500),
            Seats("b", 5),
            Gives(0),
            Seats("b", 0),
        ],
        december: &[],
    },
    Story {
        name: "given back at another share of the root's",
        terms: Terms::Approved,
        november: &[Shares(10_000), Seats("c", 20), Shares(0), Seats("c", 0)],
        december: &[Shares(10_000), Sends("c", 50), Shares(0), VoidsOwn],
    },
    Story {
        name: "given back of another price",
        terms: Terms::Approved,
        november: &[
            Pays("c", 90_000),
            Calls("c"),
            SellsAt(BETWEEN),
            Seats("c", 20),
            Shares(10_000),
            Seats("c", 0),
            SellsAt(BETWEEN),
        ],
        december: &[
            Shares(0),
            Seats("c", 20),
            SellsAt(BETWEEN),
            Seats("c", 1),
            Shares(0),
            Seats("c", 0),
        ],
    },
    Story {
        name: "a cheaper tier of a new version",
        terms: Terms::FreeRetail,
        november: &[
            SmsPerUnit(RETAIL, "0.01"),
            Sends("a", 9),
            SmsByVolume(RETAIL),
            Sends("a", 9),
            Calls("a"),
            VoidsOwn,
        ],
        december: &[
            SmsByVolume(RETAIL),
            Sends("b", 9),
            Gives(5000),
            Sends("b", 9),
            VoidsOwn,
        ],
    },
    Story {
        name: "a cheaper tier below another reseller",
        terms: Terms::Wholesale,
        november: &[
            SmsPerUnit(LOWER_RETAIL, "0.01"),
            Sends("c", 9),
            SmsByVolume(LOWER_RETAIL),
            Shares(0),
            Sends("c", 9),
        ],
        december: &[
            Shares(10_000),
            Sends("c", 9),
            Shares(0),
            Sends("c", 9),
            VoidsOwn,
        ],
    },
    Story {
        name: "seats reported away from below",
        terms: Terms::Wholesale,
        november: &[
            Pays("a", 9000),
            Seats("a", 20),
            CountsLater("a", "a", 0),
            Seats("c", 5),
            CountsLater("s", "c", 0),
        ],
        december: &[CountsLater("", "b", 0), Seats("b", 5)],
    },
    Story {
        name: "seats of several customers",
        terms: Terms::Prepaid,
        november: &[
            Seats("a", 10),
            Seats("b", 20),
            Seats("c", 5),
            CountsLater("", "b", 1),
        ],
        december: &[CountsLater("", "a", 10), Seats("b", 5), Seats("a", 2)],
    },
    Story {
        name: "a loss behind a past payout",
        terms: Terms::Wholesale,
        november: &[Pays("a", 8000), Sends("a", 1000)],
        december: &[
            Sends("b", 1000),
            SellsBelowCost,
            Sends("c", 500),
            Pays("c", 5000),
        ],
    },
    Story {
        name: "voids on credit",
        terms: Terms::Prepaid,
        november: &[
            Pays("a", 400),
            Calls("a"),
            VoidsCall,
            Calls("a"),
            VoidsCall,
            Calls("a"),
            VoidsCall,
        ],
        december: &[Pays("c", 400), Calls("c"), VoidsCall, Calls("c"), VoidsCall],
    },
    Story {
        name: "a guessed call that moves others",
        terms: Terms::Floor,
        november: &[
            CallsByTiers(RETAIL),
            Guesses("", "a"),
            CallsOwn("", "a"),
            Calls("a"),
            Guesses("a", "a"),
            Calls("a"),
        ],
        december: &[
            Guesses("a", "a"),
            CallsOwn("a", "a"),
            Calls("a"),
            CallsByTiers(LOWER_RETAIL),
            Guesses("s", "c"),
            Calls("c"),
        ],
    },
    Story {
        name: "holds on credit",
        terms: Terms::Prepaid,
        november: &[
            Sends("b", 1000),
            Pays("c", 900),
            SellsBelowCost,
            Holds("c"),
            Calls("c"),
        ],
        december: &[Holds("c")],
    },
];

impl Subtree {
    /// What comes next in its story this month.
    fn next_act(&self, now: Instant) -> Option<Act> {
        let story = self.story?;
        let acts = if now.to_string().starts_with("2026-11") {
            story.november
        } else {
            story.december
        };
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
            Calls(of) => {
                self.platform_reports_of(market, self.of(of), None, now)
                    .await
            }
            Seats(of, count) => self.platform_counts(market, self.of(of), count, now).await,
            Pays(of, cents) => self.customer_pays_some(market, self.of(of), cents).await,
            Gives(share) => self.platform_gives(market, share, now).await,
            Shares(share) => {
                let terms = json!({ "buyer": self.called("s"), "commission_bp": share, "credit_limit_cents": 0 });
                self.agree_anew(&root, &key, terms, now).await;
            }
            SellsAt(card) => {
                let terms = json!({ "buyer": self.called("s"), "rate_card": self.cards[card], "credit_limit_cents": 0 });
                self.agree_anew(&root, &key, terms, now).await;
            }
            SellsBelowCost => self.sell_below_cost(&root, &key, now).await,
            Sends(of, count) => {
                let id = self.fresh("own");
                let sms = json!({ "id": id, "customer": self.called(of), "meter": "sms", "at": now.to_string(), "quantity": count.to_string() });
                self.report_event(&root, &key, sms).await;
            }
            Guesses(by, of) => {
                let mut guess = self.usage(&self.next_call(), &self.called(of), now);
                guess["quantity"] = json!(self.dice.one(&["1", "0.000000001", "60"]));
                let (by, key) = self.key_of(by);
                self.report_event(&by, &key, guess).await;
            }
            CallsOwn(by, of) => {
                let own = self.fresh("own");
                let call = self.usage(&own, &self.called(of), now);
                let (by, key) = self.key_of(by);
                self.report_event(&by, &key, call).await;
            }
            CountsLater(by, of, count) => {
                let (by, key) = self.key_of(by);
                self.count_seats(&by, &key, &self.called(of), count, now.plus_secs(240))
                    .await;
            }
            SmsPerUnit(card, price) => {
                let (card, doc) = (
                    self.cards[card].clone(),
                    list("0.40", "0.15", "1.50", price, "8"),
                );
                self.publish(&root, &key, &card, doc).await;
            }
            CallsByTiers(card) => {
                let (card, doc) = (
                    self.cards[card].clone(),
                    graduated(list("0.40", "0.15", "1.50", "0.08", "8"), "call"),
                );
                self.publish(&root, &key, &card, doc).await;
            }
            SmsByVolume(card) => {
                let (card, doc) = (
                    self.cards[card].clone(),
                    volume(list("0.40", "0.15", "1.50", "0.08", "8"), "sms"),
                );
                self.publish(&root, &key, &card, doc).await;
            }
            VoidsCall => {
                let id = self.calls.last().map(|call| call.id.clone());
                self.void(&root, &key, id).await;
            }
            VoidsOwn => {
                let reported = self.reported.clone();
                let id = (!reported.is_empty()).then(|| self.some(&reported));
                self.void(&root, &key, id).await;
            }
            Holds(of) => {
                self.place_hold(market, &root, &key, &self.called(of), now)
                    .await
            }
        }
    }

    fn key_of(&self, whose: Whose) -> (String, Asking) {
        let name = self.called(whose);
        let key = self
            .holders
            .iter()
            .find(|holder| holder.tenant == name)
            .map(|holder| holder.key.clone())
            .unwrap();
        (name, key)
    }

    fn called(&self, whose: Whose) -> String {
        if whose.is_empty() {
            self.name.clone()
        } else {
            format!("{}-{whose}", self.name)
        }
    }

    fn of(&self, whose: Whose) -> (String, TenantId) {
        let name = self.called(whose);
        self.honest
            .iter()
            .find(|(customer, _)| *customer == name)
            .cloned()
            .unwrap()
    }

    async fn sell_below_cost(&mut self, root: &str, key: &Asking, now: Instant) {
        let name = self.fresh("card");
        let card = key
            .post(
                "/v1/rate-cards",
                json!({ "name": name, "currency": "EUR", "owner": root }),
            )
            .await
            .ok();
        let card = card["id"].as_str().unwrap().to_owned();
        self.publish(
            root,
            key,
            &card,
            list("0.0001", "0.0001", "0.001", "0.0001", "0.01"),
        )
        .await;
        self.agree_anew(
            root,
            key,
            json!({ "buyer": self.called("s"), "rate_card": card, "credit_limit_cents": 0 }),
            now,
        )
        .await;
    }

    async fn void(&mut self, who: &str, key: &Asking, id: Option<String>) {
        let Some(id) = id else { return };
        let once = key.once(&self.fresh("void"));
        let answer = once
            .post(
                &format!("/v1/usage-events/default/{id}/void"),
                json!({ "reason": "not made" }),
            )
            .await;
        self.note(format!("{who} voids {id}"), &answer);
    }
}
