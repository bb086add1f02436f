//! How the countries of the world dial: what is dialled before a number, how long national numbers
//! are, and which are in use.

use std::borrow::Cow;
use std::sync::LazyLock;

/// ISO 3166 code, country code, international prefixes, national prefix, possible national lengths,
/// other prefixes that stand for the national one, codes of carriers that may follow it. Prefixes
/// are digits and classes: `001[145689]`.
const TERRITORIES: &str = include_str!("../../data/territories.csv");

/// Country code, how national numbers are written (`bare`: with nothing before them; `prefixed`),
/// their digits, and how those in use begin, by three digits. Written by `derive.py`.
const NATIONAL_NUMBERS: &str = include_str!("../../data/national_numbers.csv");

static BY_CODE: LazyLock<Vec<Option<Territory>>> = LazyLock::new(|| {
    let mut table: Vec<Option<Territory>> = (0..26 * 26).map(|_| None).collect();
    for line in TERRITORIES.lines().skip(1) {
        if let Some((index, territory)) = Territory::read(line)
            && let Some(slot) = table.get_mut(index)
        {
            *slot = Some(territory);
        }
    }
    table
});

/// How one country dials.
#[derive(Debug)]
pub(super) struct Territory {
    pub(super) iso2: &'static str,
    pub(super) country_code: &'static str,
    international: Vec<&'static str>,
    /// Empty: none.
    pub(super) national: &'static str,
    /// Bit n: national numbers may have n digits.
    lengths: u32,
    also_national: Vec<&'static str>,
    carriers: Vec<&'static str>,
}

impl Territory {
    fn read(line: &'static str) -> Option<(usize, Self)> {
        let mut columns = line.split(',');
        let iso2 = columns.next()?;
        let country_code = columns.next()?;
        let mut words = || {
            columns
                .next()
                .map(|column| column.split_ascii_whitespace().collect::<Vec<_>>())
        };
        let (international, national, lengths, also_national, carriers) =
            (words()?, words()?, words()?, words()?, words()?);
        let national = national.first().copied().unwrap_or_default();
        let lengths = lengths
            .into_iter()
            .filter_map(|n| n.parse::<u32>().ok())
            .fold(0, |set, n| set | (1_u32 << n.min(31)));
        Some((
            code_index(iso2)?,
            Self {
                iso2,
                country_code,
                international,
                national,
                lengths,
                also_national,
                carriers,
            },
        ))
    }

    pub(super) fn of(country: Option<&str>) -> Option<&'static Self> {
        BY_CODE.get(code_index(country?)?)?.as_ref()
    }

    pub(super) fn has_length(&self, digits: usize) -> bool {
        digits < 32 && self.lengths & (1 << digits) != 0
    }

    /// Has no number of the country so many digits?
    pub(super) fn is_too_long(&self, digits: usize) -> bool {
        digits > self.lengths.checked_ilog2().unwrap_or(31) as usize
    }

    pub(super) fn plan(&self) -> Option<&'static Plan> {
        PLANS
            .get(self.country_code.parse::<usize>().ok()?)?
            .as_ref()
    }

    /// What follows each prefix that stands for the national one, the longest first.
    pub(super) fn behind_national<'t>(&self, digits: &'t str) -> impl Iterator<Item = &'t str> {
        let prefixes = self
            .also_national
            .iter()
            .chain([&self.national])
            .filter(|prefix| !prefix.is_empty());
        let mut rests: Vec<&str> = prefixes
            .filter_map(|prefix| digits.strip_prefix(*prefix))
            .filter(|rest| begins_a_number(rest))
            .collect();
        rests.sort_unstable_by_key(|rest| rest.len());
        rests.into_iter()
    }

    /// What follows a carrier's code.
    pub(super) fn behind_carrier<'t>(&self, digits: &'t str) -> impl Iterator<Item = &'t str> {
        self.carriers
            .iter()
            .filter_map(move |pattern| after_pattern(pattern, digits))
    }

    /// What follows the longest international prefix that fits, if a country code may follow: `000`
    /// is no call abroad.
    pub(super) fn after_international<'t>(&self, digits: &'t str) -> Option<&'t str> {
        self.international
            .iter()
            .filter_map(|pattern| after_pattern(pattern, digits))
            .filter(|rest| begins_a_number(rest))
            .min_by_key(|rest| rest.len())
    }
}

fn code_index(country: &str) -> Option<usize> {
    let letter = |byte: u8| {
        byte.is_ascii_alphabetic()
            .then(|| usize::from(byte.to_ascii_uppercase() - b'A'))
    };
    match country.as_bytes() {
        [first, second] => Some(letter(*first)? * 26 + letter(*second)?),
        _ => None,
    }
}

/// What follows a pattern of digits and `[classes]` at the start of `digits`.
fn after_pattern<'t>(pattern: &str, digits: &'t str) -> Option<&'t str> {
    let (mut pattern, mut rest) = (pattern, digits);
    while let Some(first) = pattern.bytes().next() {
        let digit = rest.get(..1)?;
        let fits = if first == b'[' {
            let (class, after) = pattern[1..].split_once(']')?;
            pattern = after;
            class.contains(digit)
        } else {
            let fits = pattern.starts_with(digit);
            pattern = &pattern[1..];
            fits
        };
        if !fits {
            return None;
        }
        rest = &rest[1..];
    }
    Some(rest)
}

/// The numbering plan behind a country code, of all countries that share it; or behind a code of no
/// country (800: freephone).
#[derive(Debug, Default)]
pub(super) struct Plan {
    is_of_a_country: bool,
    /// Empty: none, or not the same in all of them.
    pub(super) national: &'static str,
    lengths: u32,
    bare: Vec<InUse>,
    prefixed: Vec<InUse>,
}

impl Plan {
    pub(super) fn has_length(&self, digits: usize) -> bool {
        digits < 32 && self.lengths & (1 << digits) != 0
    }

    /// Digits of the shortest national number.
    pub(super) fn shortest(&self) -> usize {
        self.lengths.trailing_zeros() as usize
    }

    /// How well digits with nothing before them fit as a national number. Where nothing ever stands
    /// before one, by their length.
    pub(super) fn fit_bare(&self, digits: &str) -> Fit {
        let is_closed = self.national.is_empty() && !digits.starts_with('0');
        match () {
            () if self.is_bare(digits) => Fit::InUse,
            () if is_closed && self.has_length(digits.len()) => Fit::Possible,
            () => Fit::No,
        }
    }

    fn is_bare(&self, national: &str) -> bool {
        self.bare.iter().any(|numbers| numbers.has(national))
    }

    /// Is it a national number in use?
    pub(super) fn is_in_use(&self, national: &str) -> bool {
        self.is_bare(national) || self.prefixed.iter().any(|numbers| numbers.has(national))
    }
}

/// How national numbers of some lengths begin: a bit for each of their first three digits.
#[derive(Debug)]
struct InUse {
    lengths: u32,
    begins: [u64; 16],
}

impl InUse {
    fn read(lengths: &str, ranges: &str) -> Option<Self> {
        let lengths = lengths.split(' ').try_fold(0, |set, n| {
            Some(set | (1_u32 << n.parse::<u32>().ok()?.min(31)))
        })?;
        let mut begins = [0; 16];
        for range in ranges.split(' ') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for begin in first.parse::<usize>().ok()?..=last.parse().ok()? {
                *begins.get_mut(begin / 64)? |= 1 << (begin % 64);
            }
        }
        Some(Self { lengths, begins })
    }

    fn has(&self, national: &str) -> bool {
        let has_length = national.len() < 32 && self.lengths & (1 << national.len()) != 0;
        let begin = || national.get(..3)?.parse::<usize>().ok();
        has_length
            && begin().is_some_and(|begin| {
                self.begins
                    .get(begin / 64)
                    .is_some_and(|bits| bits & (1 << (begin % 64)) != 0)
            })
    }
}

static PLANS: LazyLock<Vec<Option<Plan>>> = LazyLock::new(|| {
    let mut plans: Vec<Option<Plan>> = (0..1000).map(|_| None).collect();
    for territory in BY_CODE.iter().flatten() {
        let Some(slot) = territory
            .country_code
            .parse()
            .ok()
            .and_then(|code: usize| plans.get_mut(code))
        else {
            continue;
        };
        let plan = slot.get_or_insert_with(|| Plan {
            is_of_a_country: true,
            national: territory.national,
            ..Plan::default()
        });
        plan.lengths |= territory.lengths;
        if plan.national != territory.national {
            plan.national = "";
        }
    }
    NATIONAL_NUMBERS.lines().skip(1).for_each(|line| {
        add_in_use(&mut plans, line);
    });
    plans
});

/// `None`: the line cannot be read.
fn add_in_use(plans: &mut [Option<Plan>], line: &str) -> Option<()> {
    let columns: [&str; 4] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
    let [code, written, lengths, ranges] = columns;
    let numbers = InUse::read(lengths, ranges)?;
    let plan = plans
        .get_mut(code.parse::<usize>().ok()?)?
        .get_or_insert_default();
    if !plan.is_of_a_country {
        plan.lengths |= numbers.lengths;
    }
    let of = if written == "bare" {
        &mut plan.bare
    } else {
        &mut plan.prefixed
    };
    of.push(numbers);
    Some(())
}

/// The plan of the code that international digits begin with, the code, and what follows it. No
/// code begins with another.
fn any_plan_of(digits: &str) -> Option<(&'static Plan, &str, &str)> {
    (1..=3).find_map(|len| {
        let (code, rest) = digits.split_at_checked(len)?;
        Some((
            PLANS
                .get(code.parse::<usize>().ok()?)?
                .as_ref()
                .filter(|_| !code.starts_with('0'))?,
            code,
            rest,
        ))
    })
}

/// Likewise, if it is the code of a country.
pub(super) fn plan_of(digits: &str) -> Option<(&'static Plan, &str, &str)> {
    any_plan_of(digits).filter(|(plan, ..)| plan.is_of_a_country)
}

/// How well digits fit as a number with a country code, as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    /// By their length.
    Possible,
    /// Numbers that begin so are in use.
    InUse,
}

pub(super) fn fit(digits: &str) -> Fit {
    let Some((plan, code, national)) = any_plan_of(digits) else {
        return Fit::No;
    };
    match () {
        () if code == "1" && !is_north_american(national) => Fit::No,
        () if plan.is_in_use(national) => Fit::InUse,
        () if plan.has_length(national.len()) => Fit::Possible,
        () => Fit::No,
    }
}

/// NPA-NXX-XXXX: ten digits, area and exchange begin with 2 to 9.
pub(super) fn is_north_american(digits: &str) -> bool {
    digits.len() == 10 && is_north_american_prefix(digits)
}

/// Areas of the North American plan begin with 2 to 9.
fn is_no_area(code: &str, national: &str) -> bool {
    code == "1" && national.starts_with(['0', '1'])
}

/// Likewise, behind a prefix of calls abroad: a national prefix behind the country code is taken
/// out.
pub(super) fn fit_behind_prefix(digits: &str) -> Fit {
    fit(digits).max(fit(&without_trunk(Cow::Borrowed(digits))))
}

/// What follows the national prefix behind a country code: `49 0151` is `151` there. A prefix that
/// is not a zero only if what follows has a length that is possible, and the whole has not.
fn behind_trunk<'t>(plan: &Plan, national: &'t str) -> Option<&'t str> {
    let rest = national
        .strip_prefix(plan.national)
        .filter(|rest| !plan.national.is_empty() && begins_a_number(rest))?;
    (plan.national.starts_with('0')
        || (plan.has_length(rest.len()) && !plan.has_length(national.len())))
    .then_some(rest)
}

/// International digits without a national prefix behind the country code.
pub(super) fn without_trunk(digits: Cow<'_, str>) -> Cow<'_, str> {
    let found = plan_of(&digits).and_then(|(plan, code, national)| {
        Some(format!("{code}{}", behind_trunk(plan, national)?))
    });
    found.map_or(digits, Cow::Owned)
}

/// An area code behind its country's code, without the zero that is dialled inside the country
/// only.
pub fn without_trunk_prefix<'t>(country_code: &str, area: &'t str) -> &'t str {
    let plan = plan_of(country_code).filter(|(.., rest)| rest.is_empty());
    plan.and_then(|(plan, ..)| behind_trunk(plan, area).filter(|_| plan.national.starts_with('0')))
        .unwrap_or(area)
}

/// Does a prefix stop at the zero that is dialled inside the country only (`490`), so that no
/// number begins with it?
pub fn ends_in_trunk_prefix(prefix: &str) -> bool {
    plan_of(prefix).is_some_and(|(plan, _, area)| {
        !area.is_empty() && plan.national.starts_with('0') && area.bytes().all(|b| b == b'0')
    })
}

/// A prefix of international digits without it.
pub fn prefix_without_trunk(prefix: &str) -> Cow<'_, str> {
    let found = plan_of(prefix).filter(|(plan, ..)| plan.national.starts_with('0'));
    let found =
        found.and_then(|(plan, code, area)| Some(format!("{code}{}", behind_trunk(plan, area)?)));
    found.map_or(Cow::Borrowed(prefix), Cow::Owned)
}

/// A prefix as the numbers that are meant by it arrive: `490` is 49, `49030` is 4930.
pub fn prefix_as_arriving(prefix: &str) -> Cow<'_, str> {
    if ends_in_trunk_prefix(prefix) {
        return prefix.trim_end_matches('0').into();
    }
    prefix_without_trunk(prefix)
}

/// The country code that international digits begin with, and what follows it, if a number may
/// begin so.
pub fn behind_country_code(prefix: &str) -> Option<(&str, &str)> {
    let (_, code, rest) = plan_of(prefix)?;
    let is_none = rest.is_empty() || is_no_area(code, rest);
    (!is_none).then_some((code, rest))
}

/// Digits that no country's code begins, nor one of none (883): `030123456` of a customer without a
/// country.
pub fn is_of_no_country(digits: &str) -> bool {
    super::digits::is_number(digits) && any_plan_of(digits).is_none()
}

/// What follows `00`, if a country code may.
pub fn behind_international(prefix: &str) -> Option<&str> {
    prefix
        .strip_prefix("00")
        .filter(|rest| begins_a_number(rest))
}

/// May it be a prefix of numbers of the North American plan, without the 1: an area, and an
/// exchange behind it?
pub fn is_north_american_prefix(digits: &str) -> bool {
    let at = |index: usize| digits.as_bytes().get(index).copied();
    let begins = |index: usize| at(index).is_none_or(|digit| digit >= b'2');
    (3..=10).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && begins(0)
        && begins(3)
}

/// Is it a code such as 49 (of a country) or 883 (of none)?
pub fn is_country_code(digits: &str) -> bool {
    super::digits::is_number(digits)
        && any_plan_of(digits).is_some_and(|(.., rest)| rest.is_empty())
}

/// Is it the code of a country, and nothing behind it? Codes of three digits are also numbers of
/// their own (995, 998: ambulances).
pub fn is_code_alone(digits: &str) -> bool {
    digits.len() < 3 && is_country_code(digits)
}

pub(super) fn begins_a_number(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('0')
}
