//! Columns of notes and labels. What they say is not read as part of the price, so a note passes
//! only if each of its words is known to mean nothing for a price. Free prose is not: whoever knows
//! that it means nothing leaves the column out.

use super::titles::folded;
use super::words::{self, Status};
use rating::Currency;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Bytes of a note that is looked at: a longer one is prose.
const NOTE_BYTES_MAX: usize = 200;

/// Of a column of notes, by its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Codes of countries and states, of two or letters.
    Codes,
    /// Parts of the world.
    Places,
    Prose,
}

impl Holds {
    pub fn of(title: &str) -> Self {
        let title = folded(title);
        match title.as_str() {
            "region" | "continent" => Self::Places,
            "state" => Self::Codes,
            iso if iso.contains("iso") => Self::Codes,
            _ => Self::Prose,
        }
    }
}

/// Names of parts of the world, in small letters without accents, as all words here.
const PLACES: &str = "europe european europa african africa afrique afrika asia asian asien asie \
    america americas american amerika amerique nordamerika \
     sudamerika mittelamerika lateinamerika oceania oceanie ozeanien pacific pazifik pacifique \
     pacifico caribbean karibik caraibes caribe caraibi \
     osteuropa westeuropa nordeuropa sudeuropa mitteleuropa north south east west eastern western \
     northern southern northeast northwest southeast \
     southwest central centre middle latin sub saharan far nord sud ost est ouest norte sur oeste \
     este ovest oriente orient oriental \
     naher osten emea apac latam nafta cis gus mena gcc gulf eu eea ewr eee uk usa us uae row \
     world worldwide welt monde mundo mondo global \
     nordic nordics scandinavia skandinavien balkans balkan baltic baltics baltikum benelux dach \
     iberia maghreb levant antarctica antarktis international";

const COUNTRIES: &str = "afghanistan albania algeria andorra angola anguilla antigua barbuda \
    argentina armenia aruba ascension australia austria azerbaijan \
     bahamas bahrain bangladesh barbados belarus belgium belize benin bermuda bhutan bolivia \
     bosnia herzegovina botswana brazil british virgin brunei \
     bulgaria burkina faso burundi cambodia cameroon canada cape verde cayman chad chile china \
     colombia comoros congo cook costa rica croatia cuba \
     curacao cyprus czech republic democratic czechia denmark djibouti dominica dominican ecuador \
     egypt salvador el equatorial guinea eritrea estonia \
     eswatini ethiopia falkland faroe fiji finland france french polynesia gabon gambia georgia \
     germany ghana gibraltar greece greenland grenada \
     guadeloupe guam guatemala guernsey guyana guiana haiti honduras hong kong hungary iceland \
     india indonesia iran iraq ireland isle man israel italy \
     ivory coast jamaica japan jersey jordan kazakhstan kenya kiribati korea kosovo kuwait \
     kyrgyzstan laos latvia lebanon lesotho liberia libya \
     liechtenstein lithuania luxembourg macau macao macedonia madagascar malawi malaysia maldives \
     mali malta marshall martinique mauritania mauritius \
     mayotte mexico micronesia moldova monaco mongolia montenegro montserrat morocco mozambique \
     myanmar namibia nauru nepal netherlands antilles new \
     caledonia zealand nicaragua niger nigeria niue norfolk norway oman pakistan palau palestine \
     panama papua paraguay peru philippines poland portugal \
     puerto qatar reunion romania russia russian federation rwanda saint st kitts nevis lucia \
     vincent grenadines samoa san marino sao tome principe saudi \
     arabia senegal serbia seychelles sierra leone singapore slovakia slovenia solomon somalia \
     sudan spain sri lanka suriname swaziland sweden \
     switzerland syria taiwan tajikistan tanzania thailand timor togo tokelau tonga trinidad \
     tobago tunisia turkey turkmenistan turks caicos tuvalu \
     uganda ukraine united arab emirates kingdom states uruguay uzbekistan vanuatu vatican \
     venezuela vietnam wallis futuna yemen zambia zimbabwe \
     deutschland osterreich schweiz frankreich italien spanien allemagne autriche suisse italie \
     espagne alemania francia italia espana germania austria";

/// Kinds of destinations and routes, and words between others.
const WORDS: &str = "mobile mobiles mobil movil moviles cellular cellulare cellulari mobili \
    portable gsm fixed fixe fixes fijo fijos fisso fissi festnetz landline \
     geographic national nacional nazionale proper rest other others sonstige autres otros altri \
     various area areas city cities region regions \
     zone zones zona country countries land pays pais paese capital province state island islands \
     satellite satellit satelite \
     route routes routing carrier carriers operator operators operateur operador operatore \
     network networks netz reseau red rete provider \
     providers supplier vendor partner interconnect direct standard premium silver gold platinum \
     white grey gray quality wholesale retail \
     termination terminierung terminaison terminacion terminazione cli guaranteed passthrough \
     voip sip tdm pstn isdn code codes prefix prefixes \
     breakout vorwahl indicatif prefijo prefisso via and of the und der die das des et le la les \
     y e del de di";

const CARRIERS: &str = "vodafone orange telekom tmobile telefonica movistar o2 bt ee virgin \
    telenor telia tele2 elisa tdc proximus kpn swisscom sunrise \
     magenta tim windtre wind iliad fastweb bouygues sfr masmovil yoigo meo altice claro entel \
     digicel airtel jio bsnl vodacom mtn glo etisalat \
     zain ooredoo stc mobily omantel turkcell turktelekom beeline mts megafon kyivstar lifecell \
     cosmote safaricom telkom maroctelecom djezzy \
     chinamobile chinaunicom chinatelecom ntt docomo kddi softbank singtel starhub maxis celcom \
     viettel mobifone vinaphone telstra optus rogers telus bell \
     verizon att sprint comcast lumen tata bics iridium inmarsat thuraya globalstar telecom tel2";

/// Words that are an average and a half elsewhere.
const PHRASES: &str = "orientemedio mediooriente moyenorient naherundmittlererosten mittlererosten";

/// Beside a word of a status.
const PRICES: &str = "rate rates price prices preis preise prix precio precios prezzo prezzi \
    tarif tarife tarifs tarifa tariffa";

fn is_in(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    [PLACES, COUNTRIES, WORDS, CARRIERS]
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
        .collect()
});

fn is_known(word: &str) -> bool {
    KNOWN.contains(word) || is_open(word)
}

/// `new`, `unchanged`: the row is in force. When it is so from is a date.
fn is_open(text: &str) -> bool {
    !["", "valid", "effective", "inforce"].contains(&text)
        && words::status(text) == Ok(Status::Open)
}

/// The first part of a note that may mean something for the price; `None`: none does.
pub fn unread(holds: Holds, note: &str) -> Option<&str> {
    let note = note.trim();
    let has_sign = note.contains(|c: char| {
        !c.is_alphanumeric() && !c.is_whitespace() && !"-–—.,;:()[]/&'’\"_".contains(c)
    });
    if has_sign || note.len() > NOTE_BYTES_MAX {
        return Some(note);
    }
    let whole = folded(note);
    let is_nothing = note.chars().all(|c| "-–—.".contains(c))
        || ["na", "none", "null", "nil"].contains(&whole.as_str());
    if is_nothing || is_open(&whole) || is_in(PHRASES, &whole) || is_code(holds, note) {
        return None;
    }
    let is_of_price = |word: &str| is_in(PRICES, &folded(word));
    let (prices, others): (Vec<&str>, Vec<&str>) =
        note.split_whitespace().partition(|word| is_of_price(word));
    if !prices.is_empty() && !others.is_empty() && others.iter().all(|word| is_open(&folded(word)))
    {
        return None;
    }
    let words = note.split(|c: char| c.is_whitespace() || "/,;()[]\"_".contains(c));
    let mut words = words
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .peekable();
    while let Some(word) = words.next() {
        let is_numbered =
            holds == Holds::Places && ["zone", "region", "tier"].contains(&folded(word).as_str());
        if is_numbered
            && words
                .next_if(|number| number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit()))
                .is_some()
        {
            continue;
        }
        // `T-Mobile` is one word, `Mobile-Vodafone` are two.
        let is_harmless = is_known(&folded(word))
            || word
                .split(['-', '–', '—', '.', ':', '&', '\'', '’'])
                .all(|part| part.is_empty() || is_known(&folded(part)));
        if !is_harmless {
            return Some(word);
        }
    }
    None
}

/// `DE`, `DEU`, `NY`; in a column of regions two capitals. A currency's code is none, but where a
/// country has the same.
fn is_code(holds: Holds, note: &str) -> bool {
    const COUNTRIES: [&str; 2] = ["CHE", "SLE"];
    let upper = note.to_ascii_uppercase();
    let is_currency = || upper.parse::<Currency>().is_ok() && !COUNTRIES.contains(&upper.as_str());
    let is_letters = note.bytes().all(|b| b.is_ascii_alphabetic());
    match holds {
        Holds::Codes => is_letters && [2, 3].contains(&note.len()) && !is_currency(),
        Holds::Places => note.len() == 2 && note.bytes().all(|b| b.is_ascii_uppercase()),
        Holds::Prose => false,
    }
}
