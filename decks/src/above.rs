//! Lines above the titles of a deck. Every word of them is understood, and agrees with how the
//! prices are read, or it stops the import: a currency, cents, a unit of time, an increment, a fee,
//! a tax, a date, and whatever else nobody thought of.

use super::columns::{self, Columns};
use super::field::Field;
use super::options::DeckOptions;
use super::{titles, words};
use formats::input::when::Clock;
use formats::sheet::units::{self, Unit};
use formats::sheet::{Cells, shown};
use problem::{Code, Problem};
use rating::{Currency, Instant, Quantity};

/// Lines above the columns' names (titles, notes).
pub const LINES_ABOVE_MAX: usize = 20;

/// What a line may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Increments,
    /// Nothing that is said of it is understood here.
    Other,
    Tax,
    /// Says of a tax that it is not in the prices.
    WithoutTax,
    Month,
    /// A currency, whose name is not enough.
    Money,
}

/// Beginnings of words in small letters, without accents. A `.` ends a word.
const WORDS: &[(Topic, &str)] = &[
    (
        Topic::Increments,
        "billing. billed. increment round pulse. interval takt abrechn facturation. facturacion. \
            palier increment fatturazione. scatti. sekundengenau minutengenau",
    ),
    (
        Topic::Other,
        "valid. validity. effective. expir until. gultig gueltig wirksam valable. vigen vigueur. \
            vigor. valido. valida. decorrenza. starting. \
         fee. fees. surcharge setup. connection. connect. gebuhr gebuehr discount rabatt markup. \
         margin. minimum mindest minimo. minima. \
         peak. offpeak. weekend weekday night nacht sonn included. inklusiv free. gratis. \
         percent. prozent. thousand. per1000. mille. mill. mills.",
    ),
    (
        Topic::Tax,
        "vat. tax. taxes. mwst ust. umsatzsteuer mehrwertsteuer tva. iva. gst. ttc. brutto. gross.",
    ),
    (
        Topic::WithoutTax,
        "excl exkl zzgl. plus. ohne. hors. ht. sin. senza. without. net. netto. before. escl.",
    ),
    (
        Topic::Month,
        "january. february. march. april. may. june. july. august. september. october. november. \
            december. jan. feb. mar. apr. jun. jul. \
         aug. sep. sept. oct. nov. dec. januar. februar. marz. maerz. mai. juni. juli. oktober. \
         dezember. okt. dez. janvier. fevrier. mars. \
         avril. juin. juillet. aout. septembre. octobre. novembre. decembre. enero. febrero. \
         marzo. abril. mayo. junio. julio. agosto. \
         septiembre. octubre. noviembre. diciembre. gennaio. febbraio. aprile. maggio. giugno. \
         luglio. settembre. ottobre. dicembre.",
    ),
    (
        Topic::Money,
        "dollar pound. pounds. sterling. franc. francs. franken. krona. kronor. krone. kroner. \
            kronen. zloty. rupee peso. pesos. rubel. ruble. rubles. \
         yen. yuan. dirham lira. shekel rand. reais. forint. koruna.",
    ),
];

/// Words that say nothing of a price, in small letters, without accents.
const HARMLESS: &str = "price prices pricelist list rate rates ratesheet ratecard sheet card deck \
    tariff tariffs pricing preis preise preisliste \
     liste tarif tarife tarifblatt prix tarifs precio precios tarifa tarifas lista prezzo prezzi \
     tariffa tariffe listino of for the our all to in per \
     and von fur fuer und alle unsere der die das de du des la le les et tous toutes nos pour del \
     por para y todos todas los las di dei delle per e \
     tutti tutte i pro par por en al alla aux au il lo los el are is sono sind sont son est \
     currency wahrung waehrung devise \
     monnaie moneda divisa valuta moeda route routes routing destination destinations ziel ziele \
     zielrufnummern rufnummern destino destinos destinazioni \
     termination terminierung terminaison terminacion terminazione voice wholesale retail \
     outbound a z az aktuell aktuelle current";

fn is_harmless(word: &str) -> bool {
    HARMLESS.split_ascii_whitespace().any(|known| known == word)
}

fn topic(word: &str) -> Option<Topic> {
    let fits = |known: &str| {
        known
            .strip_suffix('.')
            .map_or_else(|| word.starts_with(known), |whole| word == whole)
    };
    WORDS
        .iter()
        .find(|(_, words)| words.split_ascii_whitespace().any(fits))
        .map(|(topic, _)| *topic)
}

/// What one cell says.
#[derive(Debug, Default)]
struct Said {
    unit: Unit,
    speaks_of_increments: bool,
    increments: Option<(Quantity, Quantity)>,
    /// Other numbers than years.
    numbers: usize,
    is_odd: bool,
}

impl Said {
    fn of(text: &str) -> Self {
        let mut said = Self {
            is_odd: text.contains(['%', '¢', '‰']) || has_date(text),
            ..Self::default()
        };
        let words = units::words(text);
        let plain: Vec<String> = words
            .iter()
            .map(|word| deunicode::deunicode(word).to_lowercase())
            .collect();
        let (mut taxed, mut untaxed, mut month) = (false, false, false);
        let mut index = 0;
        while let (Some(&word), Some(folded)) = (words.get(index), plain.get(index)) {
            let before = index
                .checked_sub(1)
                .and_then(|before| plain.get(before))
                .map_or("", String::as_str);
            if let Some(pair) = pair(words.get(index..).unwrap_or_default()) {
                said.is_odd |= said.increments.is_some_and(|other| other != pair);
                said.increments = Some(pair);
                index += 3;
                continue;
            }
            index += 1;
            if word.bytes().any(|b| b.is_ascii_digit()) {
                said.numbers += usize::from(!is_year(word));
                said.is_odd |=
                    word.bytes().any(|b| b.is_ascii_alphabetic()) && units::split(word).is_some();
                continue;
            }
            match topic(folded) {
                Some(Topic::Increments) => said.speaks_of_increments = true,
                Some(Topic::Other) => said.is_odd = true,
                Some(Topic::Tax) => taxed = true,
                Some(Topic::WithoutTax) => untaxed = true,
                Some(Topic::Month) => month = true,
                Some(Topic::Money) => said.add(currency_named(before, folded).map(of_currency)),
                None => said.add_unit(word, before),
            }
        }
        let has_number = words
            .iter()
            .any(|word| word.bytes().any(|b| b.is_ascii_digit()));
        said.is_odd |= (taxed && !untaxed) || (month && has_number);
        said
    }

    /// `None`: it is not understood.
    fn add(&mut self, unit: Option<Unit>) {
        match unit.and_then(|unit| self.unit.and(unit)) {
            Some(unit) => self.unit = unit,
            None => self.is_odd = true,
        }
    }

    /// A unit, or a word that is known to say nothing of a price.
    fn add_unit(&mut self, word: &str, before: &str) {
        /// Words in capitals that are codes of currencies too.
        const WORDS: [&str; 6] = ["ALL", "TOP", "TRY", "MAD", "CUP", "PEN"];
        if WORDS.contains(&word) && !["in", "en", "a"].contains(&before) {
            return;
        }
        let letter = if before == "/" { units::of(word) } else { None };
        if let Some(unit) = letter
            .or_else(|| units::of_word(word).or_else(|| units::currency(word).map(of_currency)))
        {
            self.add(Some(unit));
        } else {
            self.is_odd |= word != "/" && !is_harmless(&deunicode::deunicode(word).to_lowercase());
        }
    }

    fn speaks(&self) -> bool {
        self.is_odd
            || self.numbers > 0
            || self.speaks_of_increments
            || self.increments.is_some()
            || self.unit != Unit::default()
    }

    /// Is it how the prices are read anyway?
    fn agrees(&self, options: &DeckOptions, columns: &Columns) -> bool {
        let increments = match self.increments {
            Some((initial, next)) => {
                let stated = options.initial == Some(initial) && options.next == Some(next);
                // `Sheet 1/2` is none.
                stated
                    || (self.speaks_of_increments
                        && options.initial.is_none()
                        && options.next.is_none()
                        && !columns.has_increments())
            }
            None => !self.speaks_of_increments,
        };
        let minute = Quantity::whole(60);
        let reads_as = |unit: Unit, seconds: Quantity| {
            unit.seconds.or(options.per).unwrap_or(minute) == seconds
        };
        let seconds = self.unit.seconds.is_none_or(|seconds| {
            columns.index(Field::Unit).is_none()
                && columns
                    .units_of_prices()
                    .all(|unit| reads_as(unit, seconds))
        });
        let minor = !self.unit.is_minor
            || options.cents == Some(true)
            || columns.units_of_money().all(|unit| unit.is_minor);
        !self.is_odd && self.numbers == 0 && increments && seconds && minor
    }
}

fn of_currency(currency: Currency) -> Unit {
    Unit {
        currency: Some(currency),
        ..Unit::default()
    }
}

/// `US Dollars`, `Pounds sterling`. Others share their names: they are not guessed.
fn currency_named(before: &str, word: &str) -> Option<Currency> {
    let code = match (before, word) {
        ("us" | "usa" | "american", _) if word.starts_with("dollar") => "USD",
        ("british" | "uk", "pound" | "pounds") | (_, "sterling") => "GBP",
        ("swiss", _) if word.starts_with("franc") => "CHF",
        (_, "franken") => "CHF",
        (_, "yen") => "JPY",
        (_, "zloty") => "PLN",
        _ => return None,
    };
    code.parse().ok()
}

/// `60/1`.
fn pair(words: &[&str]) -> Option<(Quantity, Quantity)> {
    let [initial, "/", next, ..] = words else {
        return None;
    };
    let number = |text: &str| {
        if text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().ok().map(Quantity::whole)
        } else {
            None
        }
    };
    Some((number(initial)?, number(next)?))
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|b| b.is_ascii_digit())
}

/// `2026-12-01`, `1.12.26`, `20261201`, `12/2026`.
fn has_date(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit() && !"./-".contains(c))
        .any(|piece| {
            let parts: Vec<&str> = piece
                .split(['.', '/', '-'])
                .filter(|part| !part.is_empty())
                .collect();
            let is_small = |part: &&str| part.len() <= 2;
            match &parts[..] {
                [a, b, c] => {
                    is_small(b)
                        && ((is_year(a) && is_small(c))
                            || (is_small(a) && (is_small(c) || is_year(c))))
                }
                [a, b] => (is_year(a) && is_small(b)) || (is_small(a) && is_year(b)),
                [one] => one.len() == 8 && one.get(..4).is_some_and(is_year),
                _ => false,
            }
        })
}

/// What the lines above the titles say of all rows, where nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Above {
    pub increments: Option<(Quantity, Quantity)>,
    pub from: Option<Instant>,
}

/// `Effective date: 2026-12-01`, in one cell or two. `None`: it is something else; of `immediately`
/// there is no date.
fn begin_in(line: &Cells, clock: &Clock) -> Option<Option<Instant>> {
    let cells: Vec<&str> = line
        .iter()
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    let (title, value) = match &cells[..] {
        [one] => one.split_once(':')?,
        [title, value] => (title.trim_end_matches(':'), *value),
        _ => return None,
    };
    titles::meaning(title)
        .filter(|(field, unit)| *field == Field::EffectiveFrom && *unit == Unit::default())?;
    if words::is_at_once(value) {
        return Some(None);
    }
    clock.read("date", value).ok().map(Some)
}

/// `lines` stand above the titles, which are the line of that number of the file.
pub fn check(
    lines: &[Cells],
    titles: u64,
    options: &DeckOptions,
    columns: &Columns,
    clock: &Clock,
) -> Result<Above, Problem> {
    let mut above = Above::default();
    let mut begins: Option<Option<Instant>> = None;
    for line in lines.iter().take(LINES_ABOVE_MAX + 1) {
        let begin = begin_in(line, clock).filter(|_| columns.index(Field::EffectiveFrom).is_none());
        if let Some(begin) = begin.filter(|begin| begins.is_none_or(|before| before == *begin)) {
            begins = Some(begin);
            above.from = begin;
            continue;
        }
        for cell in line.iter().map(str::trim).filter(|cell| !cell.is_empty()) {
            above.increments = check_cell(cell, above.increments, titles, options, columns)?;
        }
    }
    Ok(above)
}

/// What is known of the increments behind this cell.
fn check_cell(
    cell: &str,
    increments: Option<(Quantity, Quantity)>,
    titles: u64,
    options: &DeckOptions,
    columns: &Columns,
) -> Result<Option<(Quantity, Quantity)>, Problem> {
    let said = Said::of(cell);
    let skipped = titles.saturating_sub(1);
    if let (Some(named), Some(card)) = (said.unit.currency, options.currency)
        && named != card
    {
        let foreign = columns::foreign(cell, named, card);
        let detail = format!(
            "{}; a line above that means nothing for the prices is left out by `skip_lines` \
                (--skip-lines {skipped})",
            foreign.detail
        );
        return Err(Problem { detail, ..foreign });
    }
    let contradicts = said
        .increments
        .is_some_and(|said| increments.is_some_and(|before| before != said));
    if contradicts || (said.speaks() && !said.agrees(options, columns)) {
        let detail = format!(
            "{} stands above the titles and may be part of the price: state what it says \
                (`cents`, `per`, `initial` and `next` in --map; a date of all rows as `Effective \
                date: 2026-12-01`, or in the order that --date-order says), or, if it means \
                nothing for the prices, leave the lines above out by `skip_lines` (--skip-lines \
                {skipped})",
            shown(cell)
        );
        return Err(Problem::field(Code::UnknownLine, "skip_lines", detail));
    }
    Ok(said.increments.or(increments))
}
