//! What the title of a column says of what stands in it. A title is understood when each of its
//! words is: what is not known may be a unit, a part of a call, or another amount than what was
//! used. The words are English, German, French, Spanish and Italian, with some of Portuguese and
//! Dutch; small letters, without accents.

use crate::sheet::units;

/// Joints and articles, which say nothing.
const JOINTS: &str = "of the in and de des der die das du d l la le les el los del della dell \
    dello di do da von vom um am und en et y e och van het";

/// Of a length of time.
const TIMES: &str = "duration dur length len elapsed talk talktime sessiontime time \
     dauer gesamtdauer gesprachsdauer gespraechsdauer verbindungsdauer anrufdauer nutzungsdauer \
     abrechnungsdauer zeit \
     gesprachszeit gespraechszeit abrechnungszeit \
     duree temps duracion tiempo durata tempo duracao duur gespreksduur";

/// Of a quantity in the meter's unit, whatever that is.
const QUANTITIES: &str = "quantity qty volume usage used use consumed consumption total menge \
    verbrauch nutzung gesamt \
     quantite consommation utilisation totale cantidad consumo uso quantita utilizzo quantidade \
     hoeveelheid";

/// What such a length is of, and what has been done with it. Alone they are not one: `Call` is the
/// number of a call, `Billed` an amount.
const OF_LENGTHS: &str = "call billed billable bill billing chargeable charged rated conversation \
    session acct acctsession connected connection \
     abgerechnet abgerechnete verrechnet verrechnete berechnet berechnete \
     appel communication facture facturee facturees facturable \
     llamada conversacion facturada facturado facturadas facturados \
     chiamata conversazione fatturata fatturato fatturate fatturati \
     chamada";

/// Of things that are counted one by one, whatever they are: in a meter that is no call.
const COUNTS: &str = "count number units unit pieces items events calls messages parts part \
    segments segment anzahl einheiten stuck stueck teile \
     segmente nombre unites numero unidades unita n";

/// Of an amount in major units.
const AMOUNTS: &str = "amount amt total grand sum subtotal value price cost costs charge charges \
    charged sales revenue turnover paid invoiced \
     billed net \
     betrag summe gesamt gesamtbetrag gesamtsumme preis gesamtpreis kosten entgelt umsatz wert \
     netto nettobetrag rechnungsbetrag \
     bestellwert bestellbetrag buchungsbetrag zahlbetrag \
     montant somme prix cout couts total valeur \
     importe monto suma precio coste costo valor \
     importo somma prezzo totale valore \
     montante preco custo bedrag prijs totaal";

/// Of amounts too, where the title is of nothing else: `Transaction fee` is what somebody took of
/// the amount.
const FEES: &str = "fee fees";

/// What an amount is of. Alone they name it by its number: `Order`, `Invoice`.
const OF_AMOUNTS: &str = "sale order booking payment transaction invoice bill zahlung buchung \
    bestellung rechnung vente paiement commande facture \
     venta pago pedido factura vendita pagamento ordine fattura";

/// What holds a field of an event, or stands for it, and says nothing of it.
const CONTAINERS: &str = "data event events record records cdr call usage billing metering value \
    val details detail info payload body object \
     properties attributes session";

/// The last part of such a place, which stands for those before it.
const STANDS_FOR: &str = "value val";

/// Of an instant.
const INSTANTS: &str = "at on time date datetime timestamp ts stamp day hour call calldate \
    calltime event usage session acct transaction order \
     booking payment created occurred recorded sent ordered used happened performed when local \
     gesendet versendet bestellt gebucht ortszeit envoye enviado inviato datum zeit uhrzeit \
     datumzeit zeitpunkt zeitstempel tag anruf anrufdatum anrufzeit gesprach gespraech buchung \
     buchungsdatum \
     heure horodatage jour appel moment fecha hora dia llamada ora giorno chiamata chamada tijd \
     data";

/// When something began.
const BEGINS: &str = "start started starts begin began begins beginning begun from since answer \
    answered connect connected established setup \
     beginn anfang startzeit anrufbeginn gesprachsbeginn gespraechsbeginn verbindungsbeginn ab \
     begonnen angenommen \
     debut commencement inicio comienzo inizio inicia desde aanvang";

/// When it ended.
const ENDS: &str = "end ended ends stop stopped finish finished hangup hungup disconnect \
    disconnected until till to \
     ende schluss endzeit gesprachsende gespraechsende anrufende verbindungsende bis beendet fin \
     fine termine final hasta einde eind";

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// A title without the articles that an apostrophe shortens: `Durée d'appel` says nothing of days.
pub fn without_elisions(title: &str) -> String {
    let is_apostrophe = |c: &char| *c == '\'' || *c == '’';
    let chars: Vec<char> = title.chars().collect();
    let at = |index: Option<usize>| index.and_then(|index| chars.get(index));
    let is_elided = |index: usize| {
        let is_article = at(Some(index)).is_some_and(|c| "dlDL".contains(*c))
            && at(Some(index + 1)).is_some_and(is_apostrophe);
        let begins = at(index.checked_sub(1)).is_none_or(|c| !c.is_alphanumeric());
        is_article && begins && at(Some(index + 2)).is_some_and(|c| c.is_alphabetic())
    };
    (0..chars.len())
        .map(|index| if is_elided(index) { ' ' } else { chars[index] })
        .collect()
}

/// The words of a title in small letters, without accents: `RatePerMin` and `rate_per_min` are
/// three.
pub fn words(title: &str) -> Vec<String> {
    let folded = deunicode::deunicode(&units::spaced(title)).to_lowercase();
    folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A place of `data` as the title of a field: its parts, without those that only hold it, or stand
/// for it at its end.
pub fn of_place(place: &str, field: &str) -> String {
    let says_nothing = |part: &str, list: &str| words(part).iter().all(|word| is_in(list, word));
    // An amount is a value by itself.
    let stands_for = |part: &&str| field != "amount" && says_nothing(part, STANDS_FOR);
    let mut parts: Vec<&str> = place.split('.').collect();
    let own = parts.pop().filter(|part| !stands_for(part));
    parts.retain(|part| !says_nothing(part, CONTAINERS));
    parts.into_iter().chain(own).collect::<Vec<_>>().join(" ")
}

/// A word that is known, or two written as one (`billsec`): as what. Nothing: neither.
fn known<'w>(word: &'w str, is_one: &dyn Fn(&str) -> bool) -> Vec<&'w str> {
    if is_in(JOINTS, word) || is_one(word) {
        return vec![word];
    }
    let joined = |at: usize| {
        word.split_at_checked(at)
            .filter(|(a, b)| a.len() > 2 && b.len() > 1 && is_one(a) && is_one(b))
    };
    (3..word.len())
        .find_map(joined)
        .map_or(Vec::new(), |(a, b)| vec![a, b])
}

fn is_known(word: &str, lists: &[&str]) -> bool {
    !known(word, &|word| lists.iter().any(|list| is_in(list, word))).is_empty()
}

/// The first word of a title that is not known; or the first one, if none of them says by itself
/// what is meant. `says`: whether a word does, `of`: whether it says what that is of.
fn unknown(title: &str, says: &dyn Fn(&str) -> bool, of: &dyn Fn(&str) -> bool) -> Option<String> {
    let words = words(title);
    let is_one = |word: &str| says(word) || of(word);
    if let Some(word) = words.iter().find(|word| known(word, &is_one).is_empty()) {
        return Some(word.clone());
    }
    let is_said = words
        .iter()
        .any(|word| known(word, &is_one).into_iter().any(says));
    words
        .into_iter()
        .find(|_| !is_said)
        .or_else(|| foreign_sign(title))
}

/// The first word of a title of quantities that is not known. `meter`: the one that is stated for
/// all rows; where it is no call, whether it counts seconds is not known, and what a length of time
/// would be of it.
pub fn unknown_of_lengths(title: &str, meter: Option<&str>) -> Option<String> {
    let is_unit = |word: &str| {
        units::of(word).is_some_and(|unit| !unit.is_of_money() && unit.seconds.is_some())
    };
    // The unit of a meter of its own is often its name.
    let own = meter
        .filter(|meter| *meter != crate::input::fields::METER)
        .map(words)
        .unwrap_or_default();
    let is_own = |word: &str| {
        own.iter()
            .any(|own| own == word || word.strip_suffix('s') == Some(own))
    };
    let is_count = |word: &str| !own.is_empty() && is_in(COUNTS, word);
    let is_time = |word: &str| own.is_empty() && (is_in(TIMES, word) || is_unit(word));
    let says =
        |word: &str| is_in(QUANTITIES, word) || is_time(word) || is_own(word) || is_count(word);
    unknown(title, &says, &|word| is_in(OF_LENGTHS, word))
}

/// The same of amounts.
pub fn unknown_of_amounts(title: &str) -> Option<String> {
    let of = |word: &str| is_in(OF_AMOUNTS, word);
    let is_of_something = words(title).iter().any(|word| {
        known(word, &|word| of(word) || is_in(FEES, word))
            .into_iter()
            .any(of)
    });
    unknown(
        title,
        &|word| is_in(AMOUNTS, word) || (!is_of_something && is_in(FEES, word)),
        &of,
    )
}

/// `-Amount`, `Amount *`.
fn foreign_sign(title: &str) -> Option<String> {
    units::has_sign(title).then(|| "a sign".to_owned())
}

/// What a title says of the instants under it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Instants {
    pub begins: bool,
    pub ends: bool,
    /// `UTC`.
    pub is_utc: bool,
    /// Milliseconds, seconds: since 1970.
    pub millis: bool,
    pub seconds: bool,
    pub epoch: bool,
    /// Does the day stand before the month, or behind it?
    pub day_first: Option<bool>,
    pub unknown: Option<String>,
}

/// The words of a zone that a title may repeat: those of its place, or of the whole.
fn zone_words(zone: Option<&str>, title: &[String]) -> Vec<String> {
    let city = zone
        .and_then(|zone| zone.rsplit('/').next())
        .map(words)
        .unwrap_or_default();
    let is_said = city.iter().all(|word| title.contains(word));
    zone.filter(|_| is_said).map(words).unwrap_or_default()
}

/// `zone`: the one that is stated, whose name a title may repeat.
pub fn instants(title: &str, zone: Option<&str>) -> Instants {
    let mut said = Instants {
        unknown: foreign_sign(title),
        ..Instants::default()
    };
    let words = words(title);
    let zone = zone_words(zone, &words);
    let at = |names: &[&str]| words.iter().position(|word| names.contains(&word.as_str()));
    if let (Some(day), Some(month)) = (at(&["dd", "d", "tt", "t", "jj", "gg"]), at(&["mm", "m"])) {
        said.day_first = Some(day < month);
    }
    for word in &words {
        let (ends, begins) = (is_in(ENDS, word), is_in(BEGINS, word));
        let joined = |list: &str| {
            list.split_ascii_whitespace().any(|known| {
                known.len() > 2 && word.starts_with(known) && is_known(word, &[list, INSTANTS])
            })
        };
        match word.as_str() {
            "utc" | "gmt" => said.is_utc = true,
            "epoch" | "unix" | "unixtime" => said.epoch = true,
            "ms" | "millis" | "milliseconds" | "msec" => said.millis = true,
            "s" | "sec" | "secs" | "seconds" => said.seconds = true,
            "dd" | "mm" | "yy" | "yyyy" | "hh" | "ss" | "tt" | "jj" | "jjjj" | "gg" | "aaaa"
            | "hhmm" | "hhmmss" | "yyyymmdd" | "am" | "pm" => {}
            word if zone.iter().any(|named| named == word) => {}
            _ if ends => said.ends = true,
            _ if begins => said.begins = true,
            word if is_in(INSTANTS, word)
                || is_in(JOINTS, word)
                || (word.len() == 1 && said.day_first.is_some()) => {}
            _ if joined(ENDS) => said.ends = true,
            _ if joined(BEGINS) => said.begins = true,
            word if is_known(word, &[INSTANTS]) => {}
            word => said.unknown = said.unknown.or_else(|| Some(word.to_owned())),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_known_by_all_their_words() {
        for title in [
            "Dauer",
            "Duration",
            "dur",
            "s",
            "Seconds",
            "billsec",
            "billseconds",
            "Billed seconds",
            "Gesprächsdauer (s)",
            "Durée en secondes",
            "Duración de la llamada",
            "Durata chiamata (secondi)",
            "CallDuration",
            "call_duration",
            "acctsessiontime",
            "Talk time",
            "Quantity",
            "Menge",
            "Durée d’appel",
            "quantity",
            "time",
            "Dauer, Sek",
        ] {
            assert_eq!(unknown_of_lengths(title, None), None, "{title}");
        }
        for title in [
            "Units (6s)",
            "6s units",
            "10ths",
            "Duration x10",
            "horas",
            "ore",
            "Blöcke",
            "Einheiten",
            "Units",
            "KB",
            "GB used",
            "MiB",
            "bytes",
            "epoch",
            "End",
            "PDD",
            "Ring time",
            "Seconds since start",
            "Wait time",
            "Hold",
            "Setup time",
            "Rounded duration",
            "Seconds*10",
            "Duration incl ring",
            "-Duration",
            "Calls",
            "Rating",
        ] {
            assert!(unknown_of_lengths(title, Some("call")).is_some(), "{title}");
        }
        // Were charged as so many requests, messages.
        for (title, meter) in [
            ("Duration", "api_call"),
            ("Seconds", "sms"),
            ("billsec", "sms"),
            ("Dauer", "api_call"),
            ("time", "sms"),
        ] {
            assert!(unknown_of_lengths(title, Some(meter)).is_some(), "{title}");
        }
        for (title, meter) in [
            ("Seconds", "video_seconds"),
            ("Quantity", "video"),
            ("Menge", "sms"),
        ] {
            assert_eq!(unknown_of_lengths(title, Some(meter)), None, "{title}");
        }
        for (title, meter) in [
            ("Tokens", "token"),
            ("Units", "sms"),
            ("SMS", "sms"),
            ("Count", "api_call"),
            ("API calls", "api_call"),
        ] {
            assert_eq!(unknown_of_lengths(title, Some(meter)), None, "{title}");
        }
    }

    #[test]
    fn amounts_are_known_by_all_their_words() {
        for title in [
            "Betrag",
            "Amount",
            "amount",
            "Total amount",
            "Preis",
            "Order total",
            "Montant",
            "Importe",
            "Importo",
            "Netto",
            "orderamount",
        ] {
            assert_eq!(unknown_of_amounts(title), None, "{title}");
        }
        for title in [
            "Amount x100",
            "price_e2",
            "Amount_e6",
            "Kopeks",
            "smallest unit",
            "Amount (k)",
            "Amount 000s",
            "-Amount",
            "Storno",
            "Credit note",
            "Refunded",
            "Rabatt",
            "Discount",
            "Points",
            "Unit price",
            "Amount (incl. VAT)",
            "Gross",
            "Tax",
            "Balance",
        ] {
            assert!(unknown_of_amounts(title).is_some(), "{title}");
        }
    }

    #[test]
    fn instants_are_known_by_all_their_words() {
        for title in [
            "at",
            "Began",
            "Start",
            "Date",
            "Start time",
            "starttime",
            "calldate",
            "time-answered",
            "answer",
            "answer_stamp",
            "Datum",
            "Uhrzeit",
            "day",
            "Beginn",
            "Heure de début",
            "Fecha",
            "Hora",
            "Data",
            "Ora",
            "Date (DD/MM/YYYY)",
            "Zeitpunkt",
            "call_start",
        ] {
            let said = instants(title, None);
            assert!(said.unknown.is_none() && !said.ends, "{title} {said:?}");
        }
        for title in [
            "End time",
            "endtime",
            "Ende",
            "end_stamp",
            "Hangup",
            "Date de fin",
        ] {
            assert!(instants(title, None).ends, "{title}");
        }
        assert!(instants("Start (UTC)", None).is_utc && instants("start_ms", None).millis);
        assert_eq!(
            instants("Start (Berlin)", Some("Europe/Berlin")).unknown,
            None
        );
        for title in [
            "Start (CET)",
            "Start (Berlin)",
            "Start +1",
            "Invoice due",
            "Ringing",
        ] {
            assert!(instants(title, None).unknown.is_some(), "{title}");
        }
        assert_eq!(instants("MM/DD/YYYY", None).day_first, Some(false));
    }
}
