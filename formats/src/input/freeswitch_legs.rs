//! What FreeSWITCH's records say of the other channels of a call, in its JSON and in columns of
//! that name.

use std::borrow::Cow;

/// A variable, and the channel that it names.
pub(super) type Named<'a> = (&'static str, Cow<'a, str>);

/// The channel that this one was made for.
const ORIGINATORS: [&str; 3] = [
    "originating_leg_uuid",
    "originator",
    "ent_originate_aleg_uuid",
];
/// The channel that this one was connected to.
const BRIDGED: [&str; 5] = [
    "bridge_uuid",
    "signal_bond",
    "last_bridge_to",
    "other_leg_unique_id",
    "originate_signal_bond",
];
/// The other half of a loopback channel; the second half also says which made it.
const HALVES: [&str; 2] = ["other_loopback_from_uuid", "other_loopback_leg_uuid"];

/// Looks variables of one channel up, those that are not empty.
pub(super) struct Channel<'a, Get> {
    pub own: Cow<'a, str>,
    pub get: Get,
}

impl<'a, Get: Fn(&str) -> Option<Cow<'a, str>>> Channel<'a, Get> {
    /// The first of these variables that names another channel.
    fn other(&self, names: &[&'static str]) -> Option<Named<'a>> {
        names
            .iter()
            .filter_map(|name| Some((*name, (self.get)(name)?)))
            .find(|(_, other)| *other != self.own)
    }

    pub fn originator(&self) -> Option<Named<'a>> {
        self.other(&ORIGINATORS)
    }

    pub fn bridged(&self) -> Option<Named<'a>> {
        self.other(&BRIDGED)
    }

    /// A loopback channel has two halves, and each has a record of the one call that goes through
    /// it. The second one, or one that does not say which it is.
    pub fn second_half(&self) -> Option<Named<'a>> {
        let is = |half: &str| {
            (self.get)("loopback_leg").is_some_and(|leg| leg.trim().eq_ignore_ascii_case(half))
        };
        match self.other(&HALVES) {
            _ if is("A") => None,
            None if is("B") => Some(("loopback_leg", Cow::Borrowed("B"))),
            other => other,
        }
    }

    /// All that it names, by whatever.
    pub fn others(&self) -> Vec<String> {
        let names = ORIGINATORS
            .iter()
            .chain(&BRIDGED)
            .chain(&HALVES)
            .chain(&["call_uuid", "bleg_uuid"]);
        names
            .filter_map(|name| (self.get)(name))
            .map(Cow::into_owned)
            .collect()
    }
}
