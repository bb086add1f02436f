//! One record that FreeSWITCH posts: the variables of a channel and the profiles of its caller.

use super::cdr::{Call, Length, Options, SecondsField, Times};
use super::fields;
use super::freeswitch_legs::{Channel, Named};
use super::legs::{self, Leg, SECOND_LEG};
use super::rawjson::Pairs;
use super::when::{self, Moment, epoch};
use crate::sheet::shown;
use crate::{UsageEvent, numbers};
use percent_encoding::percent_decode_str;
use problem::{Code, Problem};
use rating::{Instant, Quantity};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Names of one object of a record (real ones have some 200 variables).
pub(crate) const NAMES_MAX: usize = 4096;
pub(crate) type Object<'a> = Pairs<'a, NAMES_MAX>;

/// The caller profiles of the first stretch that dialled a number (and not `park`, say), and of the
/// last one. A transfer adds one, with the next `profile_index`; where they are not all numbered,
/// the switch lists them newest first.
pub(crate) fn profiles(flow: &str) -> (Option<Object<'_>>, Option<Object<'_>>) {
    let stretches: Vec<&str> = match flow.starts_with('[') {
        true => serde_json::from_str::<Vec<&RawValue>>(flow)
            .unwrap_or_default()
            .into_iter()
            .map(RawValue::get)
            .collect(),
        false => vec![flow],
    };
    let stretches = newest_first(stretches);
    let dials = |stretch: &&str| {
        let dialled = profile(stretch).and_then(|profile| profile.scalar("destination_number"));
        dialled.is_some_and(|text| numbers::normalise(&text, None).is_some())
    };
    let first = stretches
        .iter()
        .copied()
        .rfind(dials)
        .or(stretches.last().copied());
    let last = if stretches.len() > 1 {
        stretches.first().copied()
    } else {
        None
    };
    (first.and_then(profile), last.and_then(profile))
}

pub(crate) fn newest_first(mut stretches: Vec<&str>) -> Vec<&str> {
    let number = |stretch: &&str| {
        Object::read(stretch)
            .ok()?
            .scalar("profile_index")?
            .parse::<u64>()
            .ok()
    };
    if stretches.iter().all(|stretch| number(stretch).is_some()) {
        stretches.sort_by_key(|stretch| std::cmp::Reverse(number(stretch)));
    }
    stretches
}

pub(crate) fn profile(stretch: &str) -> Option<Object<'_>> {
    Object::read(Object::read(stretch).ok()?.get("caller_profile")?).ok()
}

/// When the call was answered.
pub(crate) enum Answer {
    At(Instant),
    /// The switch says 0.
    Never,
    Unsaid,
}

/// One posted record.
pub(crate) struct Post<'a> {
    variables: Object<'a>,
    /// Of the stretch of the call flow with the number that was dialled.
    profile: Option<Object<'a>>,
    /// Of the last one, if there are several: the call was transferred.
    last: Option<Object<'a>>,
    url_encoded: bool,
}

impl<'a> Post<'a> {
    pub(crate) fn read(raw: &'a str, url_encoded: bool) -> Option<Self> {
        let record = Object::read(raw).ok()?;
        let variables = Object::read(record.get("variables")?).ok()?;
        let (profile, last) = record.get("callflow").map(profiles).unwrap_or_default();
        Some(Self {
            variables,
            profile,
            last,
            url_encoded,
        })
    }

    fn decoded(&self, value: Cow<'a, str>) -> Cow<'a, str> {
        if !self.url_encoded || !value.contains('%') {
            return value;
        }
        // A lone % in a value that was not encoded leaves it as it is.
        match percent_decode_str(&value).decode_utf8() {
            Ok(decoded) => Cow::Owned(decoded.into_owned()),
            Err(_) => value,
        }
    }

    /// A variable that is there and not empty.
    pub(crate) fn var(&self, name: &str) -> Option<Cow<'a, str>> {
        self.variables.scalar(name).map(|value| self.decoded(value))
    }

    fn profile(&self, name: &str) -> Option<Cow<'a, str>> {
        self.profile
            .as_ref()
            .and_then(|profile| profile.scalar(name))
            .map(|value| self.decoded(value))
    }

    /// Created to reach somebody for another channel of the same call.
    fn is_second_leg(&self) -> bool {
        let is_of_other = || {
            self.var("call_uuid")
                .is_some_and(|call| Some(call) != self.var("uuid"))
        };
        self.is_outbound()
            && (self.originator().is_some()
                || is_of_other()
                || self.bridge_role() == Some("originatee".into()))
    }

    fn is_outbound(&self) -> bool {
        self.is_directed("outbound")
    }

    fn is_directed(&self, direction: &str) -> bool {
        self.var("direction")
            .is_some_and(|said| said.trim().eq_ignore_ascii_case(direction))
    }

    fn channel(&self) -> Channel<'a, impl Fn(&str) -> Option<Cow<'a, str>>> {
        Channel {
            own: self.var("uuid").unwrap_or_default(),
            get: |name: &str| self.var(name),
        }
    }

    /// The channel that this one was made for.
    fn originator(&self) -> Option<Named<'a>> {
        self.channel().originator()
    }

    fn second_half(&self) -> Option<Named<'a>> {
        self.channel().second_half()
    }

    /// Which of the two legs asked for the bridge.
    fn bridge_role(&self) -> Option<Cow<'a, str>> {
        self.var("last_bridge_role")
    }

    /// The other leg that the record names, and by what.
    fn other(&self) -> Option<Named<'a>> {
        self.channel().bridged()
    }

    /// The second half of a channel; made for another one, whatever its direction says; or bridged
    /// with another, and nothing says whether it is a call of its own: made to reach somebody, or
    /// one that came in and that another asked for, without having reached anybody itself; or one
    /// that the switch placed to connect two telephones.
    fn alone(&self) -> Option<Problem> {
        if let Some((name, other)) = self.second_half() {
            return Some(legs::alone(
                name,
                &other,
                "half of a loopback channel, and not known to be the first",
            ));
        }
        if let Some((name, other)) = self.originator() {
            return Some(legs::alone(
                name,
                &other,
                "a leg that was made for another one",
            ));
        }
        let (name, other) = self.other()?;
        let role = self.bridge_role();
        let has_reached = || {
            self.var("originate_disposition")
                .is_some_and(|said| said == "SUCCESS")
                || self.var("originated_legs").is_some()
        };
        let what = match self.is_outbound() {
            true if role != Some("originator".into()) => {
                "an outbound leg that was bridged with another"
            }
            // Click to call: its number is that of the telephone that rang first.
            true => {
                let why = "the switch placed this call itself and connected it with another: \
                    which of the two numbers was called is not known";
                return Some(legs::refused(name, &other, why));
            }
            false if role == Some("originatee".into()) && !has_reached() => {
                "a leg that came in, and that another one asked for"
            }
            _ => return None,
        };
        Some(legs::alone(name, &other, what))
    }

    /// Where a second leg that was answered went.
    fn reached(&self, options: &Options) -> Option<String> {
        let is_answered = || {
            let is_long = self
                .seconds(options.seconds)
                .is_ok_and(|seconds| seconds > Quantity::ZERO);
            is_long && matches!(self.answer(), Ok(Answer::At(_)))
        };
        let named = || {
            options
                .destination
                .as_deref()
                .and_then(|name| self.var(name).or_else(|| self.profile(name)))
        };
        let number = || named().or_else(|| self.profile("destination_number"));
        if self.is_second_leg() && is_answered() {
            number().map(Cow::into_owned)
        } else {
            None
        }
    }

    pub(crate) fn leg(&self, options: &Options) -> Leg {
        let (originator, half_of) = (self.originator(), self.second_half());
        let is_made = originator.is_some() || half_of.is_some();
        let came_in = self
            .other()
            .filter(|_| self.is_directed("inbound") && !is_made);
        Leg {
            own: self.var("uuid").unwrap_or_default().into_owned(),
            others: self.channel().others(),
            is_outbound: self.is_outbound() || originator.is_some(),
            half_of: half_of.map(|(_, first)| first.into_owned()),
            came_in: came_in.map(|(name, other)| (name, other.into_owned())),
            alone: self.alone(),
            over_trunk: ["sip_gateway_name", "sip_gateway"]
                .into_iter()
                .any(|name| self.var(name).is_some()),
            reached: self.reached(options),
            ..Leg::default()
        }
    }

    fn answer(&self) -> Result<Answer, Problem> {
        let again = self
            .epoch_of([("answer_epoch", 0), ("answer_uepoch", 6)])?
            .filter(|at| *at > Instant::MIN);
        match (
            self.epoch_of([("answer_uepoch", 6), ("answer_epoch", 0)])?,
            again,
        ) {
            (Some(at), _) if at > Instant::MIN => Ok(Answer::At(at)),
            (Some(_), Some(again)) => {
                let detail = format!(
                    "`answer_epoch` is {again}, and `answer_uepoch` 0: the record contradicts \
                        itself and is not charged"
                );
                Err(Problem::field(Code::Contradiction, "answer_epoch", detail))
            }
            (Some(_), None) => Ok(Answer::Never),
            (None, _) => Ok(Answer::Unsaid),
        }
    }

    /// The first of these variables that is there.
    fn epoch_of(&self, names: [(&str, u32); 2]) -> Result<Option<Instant>, Problem> {
        let Some((name, decimals, text)) = names
            .into_iter()
            .find_map(|(name, decimals)| Some((name, decimals, self.var(name)?)))
        else {
            return Ok(None);
        };
        let invalid = || {
            fields::invalid(
                name,
                format_args!(
                    "cannot read {}: expected a time since 1970 in digits",
                    shown(&text)
                ),
            )
        };
        let at = epoch(&text, decimals).ok_or_else(invalid)?;
        // 0: it has not happened.
        if at > Instant::MIN && !when::is_likely(at) {
            let unit = if decimals == 0 {
                "seconds"
            } else {
                "microseconds"
            };
            let detail = format_args!("{} is {at}: expected {unit} since 1970", shown(&text));
            return Err(fields::invalid(name, detail));
        }
        Ok(Some(at))
    }

    /// Do the seconds fit with the rest of the record? Of a call that was transferred they end with
    /// the transfer.
    fn check_length(
        &self,
        answer: Instant,
        seconds: Quantity,
        field: SecondsField,
    ) -> Result<(), Problem> {
        let billed = Length {
            seconds,
            field: name_of(field),
            may_be_shorter: true,
        };
        let time = |names| {
            Ok(self
                .epoch_of(names)?
                .filter(|at| *at > Instant::MIN)
                .map(Moment::of))
        };
        let times = Times {
            names: ["start_epoch", "answer_epoch", "end_epoch"],
            start: time([("start_uepoch", 6), ("start_epoch", 0)])?,
            answer: Moment::of(answer),
            end: time([("end_uepoch", 6), ("end_epoch", 0)])?,
            duration: self
                .var("duration")
                .map(|duration| fields::quantity("duration", &duration))
                .transpose()?,
        };
        times.check(billed)?;
        // Told twice, in microseconds and in seconds.
        if let Some(again) = self
            .epoch_of([("answer_epoch", 0), ("answer_uepoch", 6)])?
            .filter(|again| again.plus_secs(2) < answer || answer.plus_secs(2) < *again)
        {
            let detail = format!(
                "`answer_epoch` is {again}, and `answer_uepoch` {answer}: the record contradicts \
                    itself and is not charged"
            );
            return Err(Problem::field(Code::Contradiction, "answer_epoch", detail));
        }
        Ok(())
    }

    /// The switch tells them in seconds, milliseconds and microseconds.
    fn seconds(&self, field: SecondsField) -> Result<Quantity, Problem> {
        const TOLD: [(&str, i128); 3] =
            [("billsec", 1), ("billmsec", 1000), ("billusec", 1_000_000)];
        let told = |(name, per_second): (&'static str, i128)| {
            let Some(text) = self.var(name) else {
                return Ok(None);
            };
            let expected = || {
                fields::invalid(
                    name,
                    format_args!("cannot read {}: expected a whole number", shown(&text)),
                )
            };
            let whole: u64 = text.parse().map_err(|_| expected())?;
            let seconds = Quantity(i128::from(whole) * (Quantity::ONE / per_second));
            Ok(Some(Length {
                seconds,
                field: name,
                may_be_shorter: true,
            }))
        };
        let name = name_of(field);
        let mut billed = None;
        for one in TOLD.into_iter().filter(|(one, _)| *one == name) {
            billed = told(one)?;
        }
        let billed = billed.ok_or_else(|| fields::missing(name))?;
        for other in TOLD.into_iter().filter(|(one, _)| *one != name) {
            told(other)?.map_or(Ok(()), |again| billed.is_also(again))?;
        }
        Ok(billed.seconds)
    }

    /// The event, or why the record is none.
    pub(crate) fn event(
        &self,
        raw: &'a str,
        options: &Options,
    ) -> Result<Result<UsageEvent, String>, Problem> {
        let id = self
            .var("uuid")
            .ok_or_else(|| fields::missing("uuid"))?
            .into_owned();
        if !options.both_legs && self.is_second_leg() {
            return Ok(Err(SECOND_LEG.to_owned()));
        }
        let not_answered = || {
            Ok(Err(format!(
                "not answered: {}",
                self.var("hangup_cause").unwrap_or_default()
            )))
        };
        let answer = self.answer()?;
        if matches!(answer, Answer::Never) {
            return not_answered();
        }
        let seconds = self.seconds(options.seconds)?;
        if seconds == Quantity::ZERO {
            return not_answered();
        }
        let Answer::At(at) = answer else {
            return Err(fields::missing("answer_uepoch"));
        };
        self.check_length(at, seconds, options.seconds)?;
        let destination = self.profile("destination_number");
        let last = self
            .last
            .as_ref()
            .and_then(|last| last.scalar("destination_number"))
            .map(|value| self.decoded(value));
        let transferred_to = last.filter(|last| Some(last) != destination.as_ref());
        let attributes = vec![
            ("direction", self.var("direction")),
            ("hangup_cause", self.var("hangup_cause")),
            ("transferred_to", transferred_to),
        ];
        let origin = self.profile("caller_id_number");
        let call = Call {
            id,
            at,
            seconds,
            destination,
            called: Some("destination_number"),
            origin,
            attributes,
            raw,
        };
        call.into_event(options, |name| {
            self.var(name).or_else(|| self.profile(name))
        })
        .map(Ok)
    }
}

pub(crate) fn name_of(field: SecondsField) -> &'static str {
    match field {
        SecondsField::Billsec => "billsec",
        SecondsField::Billmsec => "billmsec",
    }
}
