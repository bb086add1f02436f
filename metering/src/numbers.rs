//! Telephone numbers as the digits that a rate card's prefixes are matched against.
//!
//! Order of the rules, for what is left of `"Name" <sip:USER@host;params>` or `tel:` and separators:
//! 1. `+`: the rest is international; so are a country code and what follows before and after a `(0)`.
//! 2. The country's own international prefix (`011` in the US, `00` in most), the longest that fits; but `00` alone where only then
//!    a number that is possible follows, because switches write it for `+` (a number behind both is one of no country: [`doubt`]).
//! 3. `00`; and `011` where no country is known.
//! 4. The country's national prefix (`0` in most): the country code takes its place. A national
//!    prefix that is not `0` (Russia's 8, America's 1) only if what follows has a length that is
//!    possible there, because an international number may begin with that digit.
//! 5. A leading 0 in a country without national prefix belongs to the number (Italy).
//! 6. Ten digits NPA-NXX-XXXX in a country of the North American plan: 1 goes before them.
//! 7. Where a country dials nothing before its national numbers, or may leave it out: digits that are one, and that are no
//!    number abroad, by their length; the country code goes before them. Where both are possible, they are those of no country
//!    ([`doubt`]).
//!    Anything else stays as it is: numbers that come as bare international digits, and short numbers ([`is_short`]).
//! 8. A national prefix behind the country code (`+49 0151`) is left out, where the plan of that country has one and
//!    no number of it begins so.
//!
//! What holds no number (`voicemail`, `anonymous`, `*98`) is `None`: the event has no destination to
//! match by prefix; a rate without prefixes may still match it. What means a number and is not wholly understood is refused where
//! it comes in ([`is_garbled`]).
//! Not covered: carrier selection inside a country (Brazil), Argentina's mobile 15.

mod garbled;

pub use garbled::is_garbled;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Digits of the longest number that is looked at; a longer one is no number.
pub const DIGITS_MAX: usize = 32;

/// ISO 3166 code, country code, international prefixes, national prefix, possible national lengths.
const TERRITORIES: &str = include_str!("../data/territories.csv");

static BY_CODE: LazyLock<Vec<Option<Territory>>> = LazyLock::new(|| {
    let mut table: Vec<Option<Territory>> = (0..26 * 26).map(|_| None).collect();
    for line in TERRITORIES.lines().skip(1) {
        if let Some((index, territory)) = Territory::read(line)
            && let Some(slot) = table.get_mut(index)
        {
            *slot = Some(territory);
        }
    }
    for line in BARE.lines().skip(1) {
        if let Some((index, bare)) = Bare::read(line)
            && let Some(Some(territory)) = table.get_mut(index)
        {
            territory.bare.push(bare);
        }
    }
    table
});

/// How one country dials.
#[derive(Debug)]
struct Territory {
    country_code: &'static str,
    /// Digits and classes: `001[145689]`.
    international: Vec<&'static str>,
    /// Empty: none.
    national: &'static str,
    /// Bit n: national numbers may have n digits.
    lengths: u32,
    /// National numbers that are dialled with nothing before them.
    bare: Vec<Bare>,
}

impl Territory {
    fn read(line: &'static str) -> Option<(usize, Self)> {
        let mut columns = line.split(',');
        let index = code_index(columns.next()?)?;
        let country_code = columns.next()?;
        let international = columns.next()?.split_ascii_whitespace().collect();
        let national = columns.next()?;
        let lengths =
            columns.next()?.split_ascii_whitespace().filter_map(|n| n.parse::<u32>().ok()).fold(0, |set, n| set | (1_u32 << n.min(31)));
        Some((index, Self { country_code, international, national, lengths, bare: Vec::new() }))
    }

    fn of(country: Option<&str>) -> Option<&'static Self> {
        BY_CODE.get(code_index(country?)?)?.as_ref()
    }

    fn has_length(&self, digits: usize) -> bool {
        digits < 32 && self.lengths & (1 << digits) != 0
    }

    /// May bare digits be a number of the country, as far as those that are known tell?
    fn bare_of(&self, digits: &str) -> Option<&Bare> {
        self.bare.iter().find(|bare| bare.is_of(digits))
    }

    /// Are bare digits a number of the country, where they are none abroad? Where nothing is dialled before national numbers, the
    /// length tells.
    fn is_bare_national(&self, digits: &str) -> bool {
        let is_closed = self.national.is_empty() && !digits.starts_with('0');
        let is_long = digits.len() >= INTERNATIONAL_DIGITS_MIN;
        (self.bare_of(digits).is_some() || (is_closed && is_long && self.has_length(digits.len()))) && !is_possible(digits)
    }

    /// What follows the longest international prefix that fits, if a country code may follow: `000` is no call abroad.
    fn after_international<'t>(&self, digits: &'t str) -> Option<&'t str> {
        self.international
            .iter()
            .filter_map(|pattern| after_pattern(pattern, digits))
            .filter(|rest| begins_a_number(rest))
            .min_by_key(|rest| rest.len())
    }
}

fn code_index(country: &str) -> Option<usize> {
    let letter = |byte: u8| byte.is_ascii_alphabetic().then(|| usize::from(byte.to_ascii_uppercase() - b'A'));
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

/// The numbering plan behind a country code, of all countries that share it.
#[derive(Debug, Default)]
struct Plan {
    /// Empty: none, or not the same in all of them.
    national: &'static str,
    lengths: u32,
}

static PLANS: LazyLock<Vec<Option<Plan>>> = LazyLock::new(|| {
    let mut plans: Vec<Option<Plan>> = (0..1000).map(|_| None).collect();
    for territory in BY_CODE.iter().flatten() {
        let Some(slot) = territory.country_code.parse().ok().and_then(|code: usize| plans.get_mut(code)) else { continue };
        let plan = slot.get_or_insert_with(|| Plan { national: territory.national, lengths: 0 });
        plan.lengths |= territory.lengths;
        if plan.national != territory.national {
            plan.national = "";
        }
    }
    plans
});

/// The plan of the country code that international digits begin with, and what follows it. No code begins with another.
fn plan_of(digits: &str) -> Option<(&'static Plan, &str, &str)> {
    (1..=3).find_map(|len| {
        let (code, rest) = digits.split_at_checked(len)?;
        Some((PLANS.get(code.parse::<usize>().ok()?)?.as_ref().filter(|_| !code.starts_with('0'))?, code, rest))
    })
}

/// What follows the national prefix behind a country code: `49 0151` is `151` there. A prefix that is not a zero only if
/// what follows has a length that is possible, and the whole has not.
fn behind_trunk<'t>(plan: &Plan, national: &'t str) -> Option<&'t str> {
    let rest = national.strip_prefix(plan.national).filter(|rest| !plan.national.is_empty() && begins_a_number(rest))?;
    let has = |digits: usize| digits < 32 && plan.lengths & (1 << digits) != 0;
    (plan.national.starts_with('0') || (has(rest.len()) && !has(national.len()))).then_some(rest)
}

/// International digits without a national prefix behind the country code.
fn without_trunk(digits: Cow<'_, str>) -> Cow<'_, str> {
    let found = plan_of(&digits).and_then(|(plan, code, national)| Some(format!("{code}{}", behind_trunk(plan, national)?)));
    found.map_or(digits, Cow::Owned)
}

/// An area code behind its country's code, without the zero that is dialled inside the country only.
pub fn without_trunk_prefix<'t>(country_code: &str, area: &'t str) -> &'t str {
    let plan = plan_of(country_code).filter(|(.., rest)| rest.is_empty());
    plan.and_then(|(plan, ..)| behind_trunk(plan, area).filter(|_| plan.national.starts_with('0'))).unwrap_or(area)
}

/// Does a prefix stop at the zero that is dialled inside the country only (`490`), so that no number begins with it?
pub fn ends_in_trunk_prefix(prefix: &str) -> bool {
    plan_of(prefix).is_some_and(|(plan, _, area)| !area.is_empty() && plan.national.starts_with('0') && area.bytes().all(|b| b == b'0'))
}

/// A prefix of international digits without it.
pub fn prefix_without_trunk(prefix: &str) -> Cow<'_, str> {
    let found = plan_of(prefix).filter(|(plan, ..)| plan.national.starts_with('0'));
    let found = found.and_then(|(plan, code, area)| Some(format!("{code}{}", behind_trunk(plan, area)?)));
    found.map_or(Cow::Borrowed(prefix), Cow::Owned)
}

/// A prefix as the numbers that are meant by it arrive: `490` is 49, `49030` is 4930.
pub fn prefix_as_arriving(prefix: &str) -> Cow<'_, str> {
    if ends_in_trunk_prefix(prefix) {
        return prefix.trim_end_matches('0').into();
    }
    prefix_without_trunk(prefix)
}

/// The country code that international digits begin with, and what follows it, if a number may begin so.
pub fn behind_country_code(prefix: &str) -> Option<(&str, &str)> {
    let (_, code, rest) = plan_of(prefix)?;
    // Areas of the North American plan begin with 2 to 9.
    let is_none = rest.is_empty() || (code == "1" && rest.starts_with(['0', '1']));
    (!is_none).then_some((code, rest))
}

/// What follows `00`, if a country code may.
pub fn behind_international(prefix: &str) -> Option<&str> {
    prefix.strip_prefix("00").filter(|rest| begins_a_number(rest))
}

/// May it be a prefix of numbers of the North American plan, without the 1: an area, and an exchange behind it?
pub fn is_north_american_prefix(digits: &str) -> bool {
    let at = |index: usize| digits.as_bytes().get(index).copied();
    let begins = |index: usize| at(index).is_none_or(|digit| digit >= b'2');
    (3..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && begins(0) && begins(3)
}

/// Codes of no country: freephone, networks, satellites.
const GLOBAL: [&str; 9] = ["800", "808", "870", "878", "881", "882", "883", "888", "979"];

/// Is it a code such as 49 (of a country) or 883 (of none)?
pub fn is_country_code(digits: &str) -> bool {
    static CODES: LazyLock<HashSet<&str>> =
        LazyLock::new(|| BY_CODE.iter().flatten().map(|territory| territory.country_code).chain(GLOBAL).collect());
    CODES.contains(digits)
}

/// The digits of a number as sent, by the rules above. Borrows whenever nothing has to be rewritten.
pub fn normalise<'t>(text: &'t str, country: Option<&str>) -> Option<Cow<'t, str>> {
    normalise_after(text, country, &[])
}

/// Likewise, after one of `tech_prefixes` (as dialled: `1234#`, `00*`), the longest that fits, is taken off.
pub fn normalise_after<'t>(text: &'t str, country: Option<&str>, tech_prefixes: &[&str]) -> Option<Cow<'t, str>> {
    if let Some(rest) = text.strip_prefix('+')
        && is_number(rest)
    {
        return Some(without_trunk(Cow::Borrowed(rest)));
    }
    let user = user_part(text);
    let tech = tech_prefixes.iter().filter_map(|prefix| user.strip_prefix(prefix)).min_by_key(|rest| rest.len());
    let user = tech.unwrap_or(user);
    let territory = Territory::of(country);
    if is_number(user) {
        return Some(dial(user, territory));
    }
    let plain = without_separators(user, territory)?;
    if let Some(rest) = plain.strip_prefix('+') {
        return is_number(rest).then(|| Cow::Owned(without_trunk(Cow::Borrowed(rest)).into_owned()));
    }
    is_number(&plain).then(|| Cow::Owned(dial(&plain, territory).into_owned()))
}

/// Digits of the shortest number with a country's code.
pub const INTERNATIONAL_DIGITS_MIN: usize = 7;
/// Of a number with neither area nor country in the North American plan.
const NANP_LOCAL_DIGITS: usize = 7;

/// Is `text`, whose digits are `digits`, a short number: an extension, 112, a number without its area? It has too few digits
/// for a country's code before it, whatever stands there (`+112`); or it came bare, without `+`, an international or a
/// national prefix, and has fewer digits than any number behind the country code that it begins with.
pub fn is_short(text: &str, digits: &str, country: Option<&str>) -> bool {
    if !is_number(digits) {
        return false;
    }
    let is_bare = || !user_part(text).starts_with('+') && user_part(text).bytes().filter(u8::is_ascii_digit).count() == digits.len();
    let is_local = || digits.len() == NANP_LOCAL_DIGITS && Territory::of(country).is_some_and(|territory| territory.country_code == "1");
    let is_too_short = || plan_of(digits).is_some_and(|(plan, _, rest)| plan.lengths.trailing_zeros() as usize > rest.len());
    digits.len() < INTERNATIONAL_DIGITS_MIN || ((is_local() || is_too_short()) && is_bare())
}

/// National numbers that are dialled with nothing before them: ISO 3166 code, digits, and how they begin. Of countries without
/// a national prefix, or with one that may be left out, and as far as international digits may look the same.
const BARE: &str = include_str!("../data/bare_national.csv");

#[derive(Debug)]
struct Bare {
    country: &'static str,
    digits: usize,
    begins: Vec<&'static str>,
}

impl Bare {
    fn read(line: &'static str) -> Option<(usize, Self)> {
        let mut columns = line.split(',');
        let (country, digits, begins) = (columns.next()?, columns.next()?.parse().ok()?, columns.next()?);
        Some((code_index(country)?, Self { country, digits, begins: begins.split(' ').collect() }))
    }

    fn is_of(&self, digits: &str) -> bool {
        digits.len() == self.digits && self.begins.iter().any(|begin| digits.starts_with(begin))
    }
}

/// Why bare digits are not those of a country for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// They may be a number of the customer's country, although they begin as one with another country's code.
    National { country: &'static str },
    /// No number begins so, or is so long.
    NoNumber,
    /// `00` and a longer prefix of calls abroad both leave a number.
    Abroad,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::National { country } => write!(
                f,
                "the destination came without + and may be a national number of {country}, or one with a country code: send it with + and \
                 its country code"
            ),
            Self::Abroad => f.write_str(
                "the destination may be two numbers abroad, behind 00 and behind a longer prefix of the customer's country: send it with + and \
                 its country code",
            ),
            Self::NoNumber => f.write_str("the destination is no international number: none begins so, or is so long"),
        }
    }
}

/// Are `digits`, of `text` as it was sent, those of a number with a country code, if it came bare: without `+`, an
/// international or a national prefix?
pub fn doubt(text: &str, digits: &str, country: Option<&str>) -> Option<Doubt> {
    /// Of E.164.
    const INTERNATIONAL_DIGITS_MAX: usize = 15;
    let dialled = user_part(text);
    let own = Territory::of(country).filter(|_| is_number(dialled)).and_then(|territory| territory.after_international(dialled));
    if own.and_then(|own| Abroad::of(dialled, own)) == Some(Abroad::Either) {
        return Some(Doubt::Abroad);
    }
    if text.starts_with('+') || !is_number(digits) || !is_bare(text, digits) {
        return None;
    }
    // Areas of the North American plan begin with 2 to 9, and behind them are seven digits.
    let is_no_area = digits.len() > 10 && digits.strip_prefix('1').is_some_and(|area| area.starts_with(['0', '1']) || area.len() > 10);
    if is_no_area || digits.len() > INTERNATIONAL_DIGITS_MAX {
        return Some(Doubt::NoNumber);
    }
    let territory = Territory::of(country)?;
    let national = territory.bare_of(digits)?;
    (!digits.starts_with(territory.country_code)).then_some(Doubt::National { country: national.country })
}

/// Did nothing but these digits come?
fn is_bare(text: &str, digits: &str) -> bool {
    let user = user_part(text);
    !user.starts_with('+') && user.bytes().filter(u8::is_ascii_digit).eq(digits.bytes())
}

fn is_number(text: &str) -> bool {
    (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `"Name" <sip:USER@host;params>`, `sip:USER@host`, `tel:USER;params` → USER. Of a dial string's `PJSIP/USER@trunk` and of
/// `USER#`, whose `#` ends dialling, as well.
fn user_part(text: &str) -> &str {
    let inside = inside(text);
    let user = inside.split(['@', ';']).next().unwrap_or_default().trim();
    let dialled = || ["SIP/", "PJSIP/", "IAX2/"].iter().find_map(|channel| user.strip_prefix(channel));
    let user = if inside.contains('@') { dialled().unwrap_or(user) } else { user };
    without_end_of_dialling(user)
}

/// Of `"Name" <sip:USER@host;params>`: `USER@host;params`.
fn inside(text: &str) -> &str {
    let inside = text.rsplit_once('<').map_or(text, |(_, rest)| rest.split('>').next().unwrap_or_default()).trim();
    match inside.split_once(':') {
        Some((scheme, rest)) if ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest,
        _ => inside,
    }
}

/// `030123456#`, and `FMGL-030123456#` as FreePBX dials those that follow somebody.
fn without_end_of_dialling(user: &str) -> &str {
    /// Of the shortest number (112): `*21#`, `1#` are codes.
    const DIGITS_MIN: usize = 3;
    let Some(number) = user.strip_suffix('#') else { return user };
    let number = number.strip_prefix("FMGL-").unwrap_or(number);
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || "+ -./()".contains(c));
    if is_plain && number.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN { number.trim_end() } else { user }
}

/// `+49 (0)30`, `49(0)30`, `0049(0)30` and `01149(0)30`: the zero in brackets is dialled inside the country only, and what
/// stands before it is a country code.
fn without_trunk_zero(user: String, territory: Option<&'static Territory>) -> String {
    let Some((before, rest)) = user.split_once("(0)") else { return user };
    let digits: String = before.chars().filter(char::is_ascii_digit).collect();
    let international = [Some(digits.as_str()), digits.strip_prefix("00"), digits.strip_prefix("011")];
    let own = territory.and_then(|territory| territory.after_international(&digits));
    let Some(code) = international.into_iter().chain([own]).flatten().find(|code| is_country_code(code)) else { return user };
    format!("+{code}{}{rest}", zero_behind(code))
}

/// What the `(0)` behind a country code is: in Italy and some others it belongs to the number.
pub fn zero_behind(country_code: &str) -> &'static str {
    const KEEPING_IT: [&str; 7] = ["39", "378", "379", "225", "229", "241", "242"];
    if KEEPING_IT.contains(&country_code) { "0" } else { "" }
}

/// What stands before a number and is none of it: `9#` of `9#4930123456`, `*31#`. A code of a switch (`*98`, `*21#`) is no number.
pub fn technical_prefix(text: &str) -> Option<&str> {
    /// Digits of the shortest number that is called behind a `#` (112), and behind a `*` (or several) that is the first character.
    const DIGITS_MIN: usize = 3;
    const DIGITS_MIN_AFTER_STAR: usize = 7;
    if !text.contains(['#', '*']) {
        return None;
    }
    let user = user_part(text);
    let at = user.rfind(['#', '*'])?;
    let (prefix, number) = user.split_at_checked(at + 1)?;
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_code = |c: char| c.is_ascii_digit() || c == '#' || c == '*';
    // `**1001` picks a call up, and calls nobody.
    let is_code_alone = at == 0 || prefix.bytes().all(|b| b == b'*');
    let least = if is_code_alone { DIGITS_MIN_AFTER_STAR } else { DIGITS_MIN };
    (prefix.chars().all(is_code) && digits.len() >= least && digits.bytes().all(|b| b.is_ascii_digit())).then_some(prefix)
}

/// Without spaces, dashes, dots, slashes and brackets, and without the `(0)` of `+49 (0)30`;
/// `None`: it holds something else than a number.
fn without_separators(user: &str, territory: Option<&'static Territory>) -> Option<String> {
    let user = user.replace("%2B", "+").replace("%2b", "+");
    let user = without_trunk_zero(user, territory);
    let mut plain = String::with_capacity(user.len());
    for c in user.chars() {
        match c {
            '0'..='9' => plain.push(c),
            '+' if plain.is_empty() => plain.push(c),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{2010}'..='\u{2013}' => {}
            _ => return None,
        }
    }
    Some(plain)
}

/// May digits be a number with a country code, by their length?
fn is_possible(digits: &str) -> bool {
    if let Some((code, number)) = digits.split_at_checked(3).filter(|(code, _)| GLOBAL.contains(code)) {
        // Where the length is one.
        return match code {
            "800" | "808" => number.len() == 8,
            "870" | "979" => number.len() == 9,
            _ => true,
        };
    }
    let number = without_trunk(Cow::Borrowed(digits));
    plan_of(&number).is_some_and(|(plan, code, national)| {
        // Areas of the North American plan begin with 2 to 9.
        let is_no_area = code == "1" && national.starts_with(['0', '1']);
        !is_no_area && national.len() < 32 && plan.lengths & (1 << national.len()) != 0
    })
}

/// What `00` is where calls abroad begin with more than that (`001` in Singapore): switches write it for `+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abroad {
    /// For `+`: a number that is possible stands behind it, and none behind the country's own prefix.
    Generic,
    /// Behind both.
    Either,
}

impl Abroad {
    /// `own`: what stands behind the country's own prefix. `None`: that is what counts.
    fn of(digits: &str, own: &str) -> Option<Self> {
        let generic = digits.strip_prefix("00").filter(|generic| *generic != own)?;
        match (is_possible(generic), is_possible(own)) {
            (true, false) => Some(Self::Generic),
            (true, true) => Some(Self::Either),
            _ => None,
        }
    }
}

/// Rules 2 to 8 on bare digits.
fn dial<'t>(digits: &'t str, territory: Option<&'static Territory>) -> Cow<'t, str> {
    if let Some(rest) = territory.and_then(|t| t.after_international(digits)) {
        let generic = Abroad::of(digits, rest).filter(|abroad| *abroad == Abroad::Generic);
        return without_trunk(Cow::Borrowed(generic.and_then(|_| digits.strip_prefix("00")).unwrap_or(rest)));
    }
    let generic = digits.strip_prefix("00").or_else(|| if territory.is_none() { digits.strip_prefix("011") } else { None });
    if let Some(rest) = generic.filter(|rest| begins_a_number(rest)) {
        return without_trunk(Cow::Borrowed(rest));
    }
    if let Some(territory) = territory
        && let Some(national) = national(digits, territory)
    {
        return Cow::Owned(format!("{}{national}", territory.country_code));
    }
    if let Some(territory) = territory.filter(|territory| territory.is_bare_national(digits)) {
        return Cow::Owned(format!("{}{digits}", territory.country_code));
    }
    if digits.len() < INTERNATIONAL_DIGITS_MIN { Cow::Borrowed(digits) } else { without_trunk(Cow::Borrowed(digits)) }
}

/// The national number, if `digits` are one that has to be completed by the country code.
fn national<'t>(digits: &'t str, territory: &Territory) -> Option<&'t str> {
    if territory.national.is_empty() {
        return digits.strip_prefix('0').is_some_and(begins_a_number).then_some(digits);
    }
    if territory.country_code == "1" {
        return is_north_american(digits).then_some(digits);
    }
    let rest = digits.strip_prefix(territory.national).filter(|rest| begins_a_number(rest))?;
    (territory.national.starts_with('0') || territory.has_length(rest.len())).then_some(rest)
}

fn begins_a_number(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('0')
}

/// NPA-NXX-XXXX: ten digits, area and exchange begin with 2 to 9.
fn is_north_american(digits: &str) -> bool {
    let at = |index: usize| digits.as_bytes().get(index).copied().unwrap_or(b'0');
    digits.len() == 10 && at(0) >= b'2' && at(3) >= b'2'
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
