//! What the title of a column that is stated (`columns`) says all the same: it must agree with how
//! the column is read.

use super::field::Field;
use super::options::{DeckOptions, ValidTo};
use formats::input::titles::{instants, words};
use formats::input::when::{DateForm, is_utc};
use formats::sheet::shown;
use formats::sheet::units::{self, Unit};
use problem::{Code, Problem};

/// What titles of prices and fees are made of, besides their units. Any other word may be a unit, a
/// tax, an hour of the day, or another sum: `Cost (millicents)`, `Rate Peak`, `Markup`.
const OF_MONEY: &str = "rate rates price prices pricing cost costs tariff tariffs charge amount \
    value fee quote offer \
     conditions terms our your new now sell selling sale buy buying purchase customer client \
     reseller vendor supplier carrier wholesale retail agreed contract \
     standard normal base basic net outbound outgoing termination voice calling international \
     destination usage talk \
     preis preise tarif tarife entgelt kosten gebuhr gebuehr angebot konditionen unser unsere ihr \
     neu neuer neue verkauf verkaufspreis einkauf einkaufspreis \
     ek vk netto minutenpreis listenpreis endpreis kunde kunden handler haendler \
     prix cout tarifs notre votre nouveau vente achat client \
     precio precios tarifa tarifas coste costo nuestro su nuevo venta compra cliente \
     prezzo prezzi tariffa tariffe nostro nuovo vendita acquisto \
     preco custo prijs tarief the of de du la le el il der die das del della unit a z list";

/// Of what is due once for a call, besides those.
const OF_FEES: &str = "connect connection setup call flag fall surcharge disconnect establishment \
     verbindung verbindungs verbindungsgebuhr verbindungsentgelt verbindungsaufbau aufbau \
     einrichtung anruf \
     connexion etablissement mise en relation appel conexion establecimiento llamada connessione \
     scatto risposta alla chiamata";

/// Of lengths of time, besides their units.
const OF_TIMES: &str = "min dur increment increments interval intervals initial first next \
    subsequent following additional second further minimum \
     duration length billing billed bill billable block blocks pulse step steps period charge \
     charged chargeable call rounding round up \
     grace free included inclusive time seconds rate \
     takt taktung erst erster ersttakt folge folgetakt anfangstakt mindest mindestdauer dauer \
     abrechnung abrechnungstakt inklusive frei freie anruf \
     palier paliers premier suivant initiale duree minimale facturation appel gratuit inclus \
     incremento incrementos intervalo inicial primer siguiente duracion minima facturacion \
     llamada gratis incluido \
     incrementi intervallo iniziale primo successivo durata fatturazione chiamata incluso scatto \
     of de di du la le el der die das the";

/// Of dates, besides those of instants.
const OF_DATES: &str = "change changed last through effective effect valid validity activation \
    active applies apply in force new price prices rate rates \
     expiry expiration expires expire expiring expired termination \
     gultig gueltig gultigkeit gueltigkeit wirksam kraft gultigab gultigbis ablauf ablaufdatum \
     preis preise tarif \
     effet valable vigueur application expiration prix tarif \
     efectiva efectivo vigencia vigente valido valida vencimiento expiracion precio tarifa \
     decorrenza validita vigore scadenza prezzo tariffa applicazione";

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// What the title of a column that is stated says of its numbers. Each of its words is known, or
/// whoever states `per` and `cents` says what a price is (`cents`: a fee).
///
/// # Errors
/// `ambiguous_unit`: it says more of them than a unit.
pub fn unit_of(field: Field, title: &str, options: &DeckOptions) -> Result<Unit, Problem> {
    if !field.is_money() && !field.is_duration() {
        return Ok(Unit::default());
    }
    let is_stated =
        field.is_money() && options.cents.is_some() && (!field.is_price() || options.per.is_some());
    let refused = || {
        if field.is_duration() {
            says_more_of_time(title)
        } else {
            says_more(field, title)
        }
    };
    let Some((unit, rest)) = units::of_title(title) else {
        return if is_stated {
            Ok(Unit::default())
        } else {
            Err(refused())
        };
    };
    // `1st increment`, `Palier n°2`.
    let rest = if field.is_duration() {
        without_ordinals(&rest)
    } else {
        rest
    };
    let is_known = |word: &String| match (field.is_duration(), field.is_price()) {
        (true, _) => is_in(OF_TIMES, word),
        (false, true) => is_in(OF_MONEY, word),
        (false, false) => is_in(OF_MONEY, word) || is_in(OF_FEES, word),
    };
    match !units::has_sign(title) && words(&rest).iter().all(is_known) {
        true => Ok(unit),
        false if is_stated => Ok(Unit::default()),
        false => Err(refused()),
    }
}

fn without_ordinals(words: &str) -> String {
    const ENDS: [&str; 11] = ["", "st", "nd", "rd", "th", "er", "e", "o", "a", "º", "ª"];
    let is_ordinal = |word: &str| {
        word.strip_prefix(['1', '2'])
            .is_some_and(|end| ENDS.contains(&end))
    };
    words
        .split(' ')
        .filter(|word| !is_ordinal(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn says_more_of_time(title: &str) -> Problem {
    let detail = format!(
        "{title:?} says something of its numbers that is not understood: give the column another \
            title, or leave it out (`ignore_columns`) and \
         state `initial` and `next` for all rows"
    );
    Problem::field(Code::AmbiguousUnit, "columns", detail)
}

fn says_more(field: Field, title: &str) -> Problem {
    let how = if field.is_price() {
        "what a price is for and whether it is in cents (`per`, `cents`)"
    } else {
        "whether it is in cents (`cents`)"
    };
    let detail = format!(
        "{title:?} says something of its numbers that is not understood: state {how}, or give the \
            column another title"
    );
    Problem::field(Code::AmbiguousUnit, "columns", detail)
}

/// A column stated as whole prefixes whose title says that they are none.
///
/// # Errors
/// `ambiguous_column`.
pub fn check_prefixes(field: Field, title: &str) -> Result<(), Problem> {
    const NOT_WHOLE: &str = "national local domestic without ohne sans sin senza orts ortsvorwahl \
        mcc mnc mccmnc lrn lata ocn excluded \
         excluding exclude blocked barred except ausgenommen gesperrt exclus";
    if field != Field::Prefix {
        return Ok(());
    }
    let Some(word) = words(title).into_iter().find(|word| is_in(NOT_WHOLE, word)) else {
        return Ok(());
    };
    let detail = format!(
        "the title {} says by {} that these are no whole prefixes that are sold: state the column \
            as `area_code` beside a `country_code`, or give \
         it another title",
        shown(title),
        shown(&word)
    );
    Err(Problem::field(
        Code::AmbiguousColumn,
        "columns.prefix",
        detail,
    ))
}

/// What the title of a column of dates that is stated says of them is known, and agrees with how
/// they are read.
///
/// # Errors
/// `ambiguous_zone`, `ambiguous_date`.
pub fn check_dates(field: Field, title: &str, options: &DeckOptions) -> Result<(), Problem> {
    const EXCLUSIVE: [&str; 4] = ["exclusive", "exklusive", "exclus", "excluido"];
    const INCLUSIVE: [&str; 4] = ["inclusive", "inklusive", "inclus", "incluido"];
    let zone = options.zone.as_deref();
    let refused = |code, what: &str| {
        let detail = format!(
            "the title {} {what}; give the column another title if it is read rightly all the same",
            shown(title)
        );
        Err(Problem::field(
            code,
            format!("columns.{}", field.name()),
            detail,
        ))
    };
    let of_the_end = |list: &[&str]| {
        words(title)
            .iter()
            .any(|word| list.iter().any(|known| word.starts_with(known)))
    };
    let (is_exclusive, is_inclusive) = (of_the_end(&EXCLUSIVE), of_the_end(&INCLUSIVE));
    let is_other_end = |of: ValidTo| match of {
        ValidTo::Day => is_exclusive,
        ValidTo::Instant => is_inclusive,
    };
    if (is_exclusive || is_inclusive) && options.valid_to.is_none_or(is_other_end) {
        return refused(
            Code::AmbiguousDate,
            "says whether the last day counts: say so by `valid_to`",
        );
    }
    let is_known = |word: &String| {
        is_in(OF_DATES, word)
            || EXCLUSIVE
                .iter()
                .chain(&INCLUSIVE)
                .any(|known| word.starts_with(known))
    };
    let rest: Vec<String> = words(title)
        .into_iter()
        .filter(|word| !is_known(word))
        .collect();
    let said = instants(&rest.join(" "), zone);
    if said.is_utc && zone.is_some_and(|zone| !is_utc(zone)) {
        return refused(
            Code::AmbiguousZone,
            "names the zone UTC, and the dates are read in the card's zone",
        );
    }
    let is_other = match options.date_form {
        DateForm::DayFirst => said.day_first == Some(false),
        DateForm::MonthFirst => said.day_first == Some(true),
        _ => false,
    };
    if is_other {
        return refused(
            Code::AmbiguousDate,
            "names another order of day and month than `date_form`",
        );
    }
    if if field == Field::EffectiveFrom {
        said.ends
    } else {
        said.begins
    } {
        return refused(Code::AmbiguousDate, "says the other end of the time");
    }
    if let Some(word) = said
        .unknown
        .or_else(|| units::has_sign(title).then(|| "a sign".to_owned()))
    {
        return refused(
            Code::AmbiguousDate,
            &format!(
                "says something of its dates that is not understood, by {}",
                shown(&word)
            ),
        );
    }
    Ok(())
}

/// A title that is stated stands over one column.
pub fn check_once(field: Field, name: &str, titles: &[&str]) -> Result<(), Problem> {
    if titles
        .iter()
        .filter(|title| title.trim().eq_ignore_ascii_case(name.trim()))
        .count()
        < 2
    {
        return Ok(());
    }
    let field = field.name();
    let detail = format!(
        "several columns are called {}: state `{field}` by its number from 0",
        shown(name)
    );
    Err(Problem::field(
        Code::AmbiguousColumn,
        format!("columns.{field}"),
        detail,
    ))
}
