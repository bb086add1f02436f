//! An event that is charged in several steps: which links are open after each, and how the steps hang together.
//!
//! A usage event's own record and every later rating or void of it is a step. The event's record leads to the last one
//! ([`super::Amendment`]), each to the one before it. Most events have one step and nothing open: their bodies end where
//! they always ended, so that records from before read as such.

use super::counted::Restated;
use super::{Place, Seq};
use compact_str::CompactString;
use rating::TenantId;
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

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// Links that are open after this step, from the customer's own up.
    pub open: Vec<OpenLink>,
    /// The step before, if it was not the event's own record.
    pub previous: Option<Seq>,
    /// The event whose lower links this one corrects; those above stand with that one.
    pub corrects: Option<Seq>,
    /// Of its charges that do not count in the first segment of their counters, or from which it does not follow what these
    /// were charged so far.
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
        let Self { open, previous, corrects, places } = self;
        Box::new(Steps { open, previous, corrects, places: places.into_iter().map(place).collect() })
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
    fn from(&Place { buyer, number, cell, start, restated: _ }: &Place) -> Self {
        Self { buyer, number, cell, start }
    }
}

impl Plain {
    fn place(self, restated: Option<Restated>) -> Place {
        let Self { buyer, number, cell, start } = self;
        Place { buyer, number, cell, start, restated }
    }
}

/// The last field of a packed body: absent, or its version and the value.
pub(super) mod tail {
    use super::{First, OpenLink, Placed, Plain, Restated, Steps};
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{Serialize, SerializeTuple, Serializer};

    /// Without places.
    const VERSION: u8 = 1;
    const WITH_PLACES: u8 = 2;
    const RESTATED: u8 = 3;

    pub fn serialize<S: Serializer>(steps: &Option<Box<Steps>>, serializer: S) -> Result<S::Ok, S::Error> {
        // A unit takes no bytes.
        let Some(steps) = steps else { return ().serialize(serializer) };
        let Steps { open, previous, corrects, places } = steps.as_ref();
        let (previous, corrects) = (*previous, *corrects);
        let mut tuple = serializer.serialize_tuple(2)?;
        if places.is_empty() {
            tuple.serialize_element(&VERSION)?;
            tuple.serialize_element(&First { open, previous, corrects })?;
        } else if places.iter().all(|place| place.restated.is_none()) {
            let places = places.iter().map(Plain::from).collect();
            tuple.serialize_element(&WITH_PLACES)?;
            tuple.serialize_element(&Placed { open, previous, corrects, places })?;
        } else {
            let places = places.iter().map(|place| (Plain::from(place), place.restated)).collect();
            tuple.serialize_element(&RESTATED)?;
            tuple.serialize_element(&Placed { open, previous, corrects, places })?;
        }
        tuple.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Steps>>, D::Error> {
        deserializer.deserialize_tuple(2, Tail)
    }

    struct Tail;

    impl<'de> Visitor<'de> for Tail {
        type Value = Option<Box<Steps>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the steps of an event, or the end")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
            match fields.next_element::<u8>() {
                // The body ends here.
                Err(_) | Ok(None) => Ok(None),
                Ok(Some(VERSION)) => {
                    let first = fields.next_element::<First<_>>()?;
                    let with = |First { open, previous, corrects }| Box::new(Steps { open, previous, corrects, places: Vec::new() });
                    Ok(first.map(with))
                }
                Ok(Some(WITH_PLACES)) => {
                    let placed = fields.next_element::<Placed<Vec<OpenLink>, Plain>>()?;
                    Ok(placed.map(|placed| placed.steps(|plain| plain.place(None))))
                }
                Ok(Some(RESTATED)) => {
                    let placed = fields.next_element::<Placed<Vec<OpenLink>, (Plain, Option<Restated>)>>()?;
                    Ok(placed.map(|placed| placed.steps(|(plain, restated)| plain.place(restated))))
                }
                Ok(Some(version)) => Err(A::Error::custom(format_args!("steps of version {version}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Body;
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
        member: Option<String>,
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
            member: Some("m".to_owned()),
        };
        let old = postcard::to_allocvec(&before).unwrap();
        let body: Body = postcard::from_bytes(&old).unwrap();
        assert_eq!(
            (body.reason.as_str(), body.refers_to, body.member.as_deref(), &body.steps),
            ("no_rate", Some(Seq(7)), Some("m"), &None)
        );
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
    }

    #[test]
    fn steps_read_back_and_half_of_them_do_not() {
        let open = vec![OpenLink { buyer: TenantId(4), reason: "no_rate".into() }];
        let first = Steps { open, previous: Some(Seq(9)), corrects: None, places: Vec::new() };
        let place = Place { buyer: TenantId(4), number: 1, cell: 0, start: None, restated: None };
        let now = Charged { by: None, sum: Exact(-7), least: Some(Exact::ZERO) };
        let restated = Place { restated: Some(Restated { before: Some(Charged::default()), now }), ..place };
        for steps in [first.clone(), placed(&first, vec![place]), placed(&first, vec![place, restated])] {
            let body = Body { steps: Some(Box::new(steps)), ..Body::default() };
            let packed = postcard::to_allocvec(&body).unwrap();
            assert_eq!(postcard::from_bytes::<Body>(&packed).unwrap(), body);
            assert!(postcard::from_bytes::<Body>(&packed[..packed.len() - 2]).is_err());
            let mut later = packed;
            let at = postcard::to_allocvec(&Body::default()).unwrap().len();
            later[at] = 4;
            assert!(postcard::from_bytes::<Body>(&later).is_err(), "of a version that is not known");
        }
    }

    fn placed(first: &Steps, places: Vec<Place>) -> Steps {
        Steps { places, ..first.clone() }
    }

    #[test]
    fn places_are_packed_as_before_they_could_be_restated() {
        #[derive(Serialize)]
        struct Before(Vec<OpenLink>, Option<Seq>, Option<Seq>, Vec<(TenantId, u32, u32, Option<Counter>)>);
        let start = Some(Counter { quantity: rating::Quantity(5), events: 1 });
        let place = Place { buyer: TenantId(4), number: 3, cell: 2, start, restated: None };
        let steps = placed(&Steps { previous: Some(Seq(9)), ..Steps::default() }, vec![place]);
        let mut old = postcard::to_allocvec(&Body::default()).unwrap();
        old.push(2);
        old.extend(postcard::to_allocvec(&Before(Vec::new(), steps.previous, None, vec![(TenantId(4), 3, 2, start)])).unwrap());
        let body = Body { steps: Some(Box::new(steps)), ..Body::default() };
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
        assert_eq!(postcard::from_bytes::<Body>(&old).unwrap(), body);
    }

    #[test]
    fn steps_without_places_are_packed_as_before_there_were_any() {
        #[derive(Serialize)]
        struct Before(Vec<OpenLink>, Option<Seq>, Option<Seq>);
        let steps = Steps { previous: Some(Seq(9)), corrects: Some(Seq(7)), ..Steps::default() };
        let mut old = postcard::to_allocvec(&Body::default()).unwrap();
        old.push(1);
        old.extend(postcard::to_allocvec(&Before(Vec::new(), steps.previous, steps.corrects)).unwrap());
        let body = Body { steps: Some(Box::new(steps)), ..Body::default() };
        assert_eq!(postcard::to_allocvec(&body).unwrap(), old);
        assert_eq!(postcard::from_bytes::<Body>(&old).unwrap(), body);
    }
}
