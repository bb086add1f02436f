//! An event that is charged in several steps: which links are open after each, and how the steps
//! hang together.
//!
//! A usage event's own record and every later rating or void of it is a step. The event's record
//! leads to the last one ([`super::Amendment`]), each to the one before it. Most events have one
//! step and nothing open: their bodies end where they always ended, so that records from before
//! read as such.

use super::counted::Restated;
use super::{Place, Seq};
use compact_str::CompactString;
use rating::TenantId;
use rating::ids::ApiKeyId;
use rating::usage::Counter;
use serde::{Deserialize, Serialize};

/// A link of an event that is not charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLink {
    /// Who buys on it.
    pub buyer: TenantId,
    /// Stable: why.
    pub reason: CompactString,
}

/// Whose request a record came of, and how it hangs together with others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trail {
    /// The key of the request; `None`: of the server itself, or recorded before keys were.
    pub key: Option<ApiKeyId>,
    /// Of usage that is charged, or taken back, in several steps, or behind a change of prices.
    pub steps: Option<Box<Steps>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// Links that are open after this step, from the customer's own up.
    pub open: Vec<OpenLink>,
    /// The step before, if it was not the event's own record.
    pub previous: Option<Seq>,
    /// The event whose lower links this one corrects; those above stand with that one.
    pub corrects: Option<Seq>,
    /// Of its charges that do not count in the first segment of their counters, or from which it
    /// does not follow what these were charged so far.
    pub places: Vec<Place>,
}

/// As it was before there were places, and is without any.
#[derive(Serialize, Deserialize)]
struct First<L> {
    open: L,
    previous: Option<Seq>,
    corrects: Option<Seq>,
}

/// With places, `P` as they are packed.
#[derive(Serialize, Deserialize)]
struct Placed<L, P> {
    open: L,
    previous: Option<Seq>,
    corrects: Option<Seq>,
    places: Vec<P>,
}

impl<P> Placed<Vec<OpenLink>, P> {
    fn steps(self, place: impl Fn(P) -> Place) -> Box<Steps> {
        let Self {
            open,
            previous,
            corrects,
            places,
        } = self;
        Box::new(Steps {
            open,
            previous,
            corrects,
            places: places.into_iter().map(place).collect(),
        })
    }
}

/// A place before there was more to it, and where nothing is restated.
#[derive(Serialize, Deserialize)]
struct Plain {
    buyer: TenantId,
    number: u32,
    cell: u32,
    start: Option<Counter>,
}

impl From<&Place> for Plain {
    fn from(
        &Place {
            buyer,
            number,
            cell,
            start,
            restated: _,
        }: &Place,
    ) -> Self {
        Self {
            buyer,
            number,
            cell,
            start,
        }
    }
}

impl Plain {
    fn place(self, restated: Option<Restated>) -> Place {
        let Self {
            buyer,
            number,
            cell,
            start,
        } = self;
        Place {
            buyer,
            number,
            cell,
            start,
            restated,
        }
    }
}

/// The last field of a packed body: absent, or what it holds, the key, and the steps.
pub(super) mod tail {
    use super::{First, OpenLink, Placed, Plain, Restated, Steps, Trail};
    use rating::ids::ApiKeyId;
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{Serialize, SerializeTuple, Serializer};

    /// No steps.
    const ALONE: u8 = 0;
    /// Without places.
    const STEPS: u8 = 1;
    const WITH_PLACES: u8 = 2;
    const RESTATED: u8 = 3;
    /// Beside one of those: the key comes first.
    const WITH_KEY: u8 = 16;

    fn form_of(steps: Option<&Steps>) -> u8 {
        match steps {
            None => ALONE,
            Some(steps) if steps.places.is_empty() => STEPS,
            Some(steps) if steps.places.iter().all(|place| place.restated.is_none()) => WITH_PLACES,
            Some(_) => RESTATED,
        }
    }

    pub fn serialize<S: Serializer>(trail: &Trail, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, steps) = (trail.key, trail.steps.as_deref());
        if key.is_none() && steps.is_none() {
            // A unit takes no bytes.
            return ().serialize(serializer);
        }
        let form = form_of(steps);
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&(form | if key.is_some() { WITH_KEY } else { 0 }))?;
        if let Some(key) = key {
            tuple.serialize_element(&key)?;
        }
        let Some(Steps {
            open,
            previous,
            corrects,
            places,
        }) = steps
        else {
            return tuple.end();
        };
        let (previous, corrects) = (*previous, *corrects);
        match form {
            STEPS => tuple.serialize_element(&First {
                open,
                previous,
                corrects,
            })?,
            WITH_PLACES => {
                let places = places.iter().map(Plain::from).collect();
                tuple.serialize_element(&Placed {
                    open,
                    previous,
                    corrects,
                    places,
                })?;
            }
            _ => {
                let places = places
                    .iter()
                    .map(|place| (Plain::from(place), place.restated))
                    .collect();
                tuple.serialize_element(&Placed {
                    open,
                    previous,
                    corrects,
                    places,
                })?;
            }
        }
        tuple.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Trail, D::Error> {
        deserializer.deserialize_tuple(3, Tail)
    }

    struct Tail;

    impl<'de> Visitor<'de> for Tail {
        type Value = Trail;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the key and the steps of a record, or the end")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Trail, A::Error> {
            let Ok(Some(form)) = fields.next_element::<u8>() else {
                // The body ends here.
                return Ok(Trail::default());
            };
            let key = if form & WITH_KEY == 0 {
                None
            } else {
                fields.next_element::<ApiKeyId>()?
            };
            let steps = match form & !WITH_KEY {
                ALONE => None,
                STEPS => {
                    let first = fields.next_element::<First<_>>()?;
                    first.map(
                        |First {
                             open,
                             previous,
                             corrects,
                         }| {
                            Box::new(Steps {
                                open,
                                previous,
                                corrects,
                                places: Vec::new(),
                            })
                        },
                    )
                }
                WITH_PLACES => {
                    let placed = fields.next_element::<Placed<Vec<OpenLink>, Plain>>()?;
                    placed.map(|placed| placed.steps(|plain| plain.place(None)))
                }
                RESTATED => {
                    let placed = fields
                        .next_element::<Placed<Vec<OpenLink>, (Plain, Option<Restated>)>>()?;
                    placed.map(|placed| placed.steps(|(plain, restated)| plain.place(restated)))
                }
                _ => return Err(A::Error::custom(format_args!("a record of form {form}"))),
            };
            Ok(Trail { key, steps })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EntryPayload;
    use super::*;
    use rating::Exact;
    use rating::segments::Charged;

    #[derive(Serialize)]
    struct Before {
        currency: Option<rating::Currency>,
        meter: CompactString,
        quantity: rating::Quantity,
        amount: Option<String>,
        charges: Vec<super::super::Charge>,
        postings: Vec<ledger::Posting>,
        reason: String,
        refers_to: Option<Seq>,
        hold: Option<rating::ids::HoldId>,
        held: Vec<(ledger::AccountKey, rating::Cents)>,
        expires_at: Option<rating::Instant>,
        distinct_value: Option<String>,
    }

    #[test]
    fn a_body_without_steps_is_packed_as_before_there_were_any() {
        let before = Before {
            currency: Some(rating::Currency::EUR),
            meter: "call".into(),
            quantity: rating::Quantity::whole(600),
            amount: None,
            charges: Vec::new(),
            postings: Vec::new(),
            reason: "no_rate".to_owned(),
            refers_to: Some(Seq(7)),
            hold: None,
            held: Vec::new(),
            expires_at: None,
            distinct_value: Some("m".to_owned()),
        };
        let old = postcard::to_allocvec(&before).unwrap();
        let body: EntryPayload = postcard::from_bytes(&old).unwrap();
        assert_eq!(
            (
                body.reason.as_str(),
                body.refers_to,
                body.distinct_value.as_deref(),
                &body.trail.steps
            ),
            ("no_rate", Some(Seq(7)), Some("m"), &None)
        );
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
    }

    #[test]
    fn steps_read_back_and_half_of_them_do_not() {
        let open = vec![OpenLink {
            buyer: TenantId(4),
            reason: "no_rate".into(),
        }];
        let first = Steps {
            open,
            previous: Some(Seq(9)),
            corrects: None,
            places: Vec::new(),
        };
        let place = Place {
            buyer: TenantId(4),
            number: 1,
            cell: 0,
            start: None,
            restated: None,
        };
        let now = Charged {
            by: None,
            sum: Exact(-7),
            least: Some(Exact::ZERO),
        };
        let restated = Place {
            restated: Some(Restated {
                before: Some(Charged::default()),
                now,
            }),
            ..place
        };
        let all = [
            None,
            Some(first.clone()),
            Some(placed(&first, vec![place])),
            Some(placed(&first, vec![place, restated])),
        ];
        let trails = all.into_iter().flat_map(|steps| {
            [None, Some(ApiKeyId(1 << 60))].map(|key| Trail {
                key,
                steps: steps.clone().map(Box::new),
            })
        });
        for trail in trails.filter(|trail| *trail != Trail::default()) {
            let body = EntryPayload {
                trail,
                ..EntryPayload::default()
            };
            let packed = postcard::to_allocvec(&body).unwrap();
            assert_eq!(postcard::from_bytes::<EntryPayload>(&packed).unwrap(), body);
            assert!(postcard::from_bytes::<EntryPayload>(&packed[..packed.len() - 2]).is_err());
            let mut later = packed;
            let at = postcard::to_allocvec(&EntryPayload::default())
                .unwrap()
                .len();
            later[at] = 4;
            assert!(
                postcard::from_bytes::<EntryPayload>(&later).is_err(),
                "of a version that is not known"
            );
        }
    }

    fn placed(first: &Steps, places: Vec<Place>) -> Steps {
        Steps {
            places,
            ..first.clone()
        }
    }

    #[test]
    fn places_are_packed_as_before_they_could_be_restated() {
        #[derive(Serialize)]
        struct Before(
            Vec<OpenLink>,
            Option<Seq>,
            Option<Seq>,
            Vec<(TenantId, u32, u32, Option<Counter>)>,
        );
        let start = Some(Counter {
            quantity: rating::Quantity(5),
            events: 1,
        });
        let place = Place {
            buyer: TenantId(4),
            number: 3,
            cell: 2,
            start,
            restated: None,
        };
        let steps = placed(
            &Steps {
                previous: Some(Seq(9)),
                ..Steps::default()
            },
            vec![place],
        );
        let mut old = postcard::to_allocvec(&EntryPayload::default()).unwrap();
        old.push(2);
        old.extend(
            postcard::to_allocvec(&Before(
                Vec::new(),
                steps.previous,
                None,
                vec![(TenantId(4), 3, 2, start)],
            ))
            .unwrap(),
        );
        let body = EntryPayload {
            trail: Trail {
                steps: Some(Box::new(steps)),
                key: None,
            },
            ..EntryPayload::default()
        };
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
        assert_eq!(postcard::from_bytes::<EntryPayload>(&old).unwrap(), body);
    }

    #[test]
    fn steps_without_places_are_packed_as_before_there_were_any() {
        #[derive(Serialize)]
        struct Before(Vec<OpenLink>, Option<Seq>, Option<Seq>);
        let steps = Steps {
            previous: Some(Seq(9)),
            corrects: Some(Seq(7)),
            ..Steps::default()
        };
        let mut old = postcard::to_allocvec(&EntryPayload::default()).unwrap();
        old.push(1);
        old.extend(
            postcard::to_allocvec(&Before(Vec::new(), steps.previous, steps.corrects)).unwrap(),
        );
        let body = EntryPayload {
            trail: Trail {
                steps: Some(Box::new(steps)),
                key: None,
            },
            ..EntryPayload::default()
        };
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
        assert_eq!(postcard::from_bytes::<EntryPayload>(&old).unwrap(), body);
    }
}
