//! What the title of a column says of what stands in it. A title is understood when each of its words is: what is not known may be a
//! unit, a part of a call, or another amount than what was used. The words are English, German, French, Spanish and Italian, with
//! some of Portuguese and Dutch; small letters, without accents.

use crate::sheet::units;

/// Joints and articles, which say nothing.
const JOINTS: &str =
    "of the in de des der die das du d l la le les el los del della dell dello di do da von vom um am en et y e och van het";

/// Of a length of time, or of another quantity in the meter's unit.
const LENGTHS: &str = "duration dur length len quantity qty volume usage used use consumed consumption elapsed total call billed billable \
     bill billing chargeable charged talk talktime conversation session sessiontime acct acctsession connected connection time \
     dauer gesamtdauer gesprachsdauer gespraechsdauer verbindungsdauer anrufdauer nutzungsdauer menge verbrauch nutzung zeit gesprachszeit \
     gespraechszeit gesamt abgerechnet abgerechnete verrechnet verrechnete berechnet berechnete \
     duree temps quantite appel communication facturee facturable consommation utilisation totale \
     duracion tiempo cantidad llamada conversacion facturada facturado facturable consumo uso \
     durata tempo quantita chiamata conversazione fatturata utilizzo \
     duracao quantidade chamada duur gespreksduur hoeveelheid";

/// Of things that are counted one by one, whatever they are: in a meter that is no call.
const COUNTS: &str =
    "count number units unit pieces items events calls messages anzahl einheiten stuck stueck nombre unites numero unidades unita n";

/// Of an amount in major units.
const AMOUNTS: &str = "amount amt total sum subtotal value price cost costs charge charges charged sale sales revenue turnover order booking \
     payment paid transaction invoice invoiced bill billed net \
     betrag summe gesamt gesamtbetrag gesamtsumme preis gesamtpreis kosten entgelt umsatz wert netto nettobetrag rechnungsbetrag \
     bestellwert bestellbetrag buchungsbetrag zahlbetrag zahlung buchung bestellung rechnung \
     montant somme prix cout couts total valeur vente paiement commande facture \
     importe monto suma precio coste costo valor venta pago pedido factura \
     importo somma prezzo totale valore vendita pagamento ordine fattura \
     montante preco custo bedrag prijs totaal";

/// Of an instant.
const INSTANTS: &str = "at on time date datetime timestamp ts stamp day hour call calldate calltime event usage session acct transaction order \
     booking payment created occurred recorded when \
     datum zeit uhrzeit datumzeit zeitpunkt zeitstempel tag anruf anrufdatum anrufzeit gesprach gespraech buchung buchungsdatum \
     heure horodatage jour appel moment fecha hora dia llamada ora giorno chiamata chamada tijd data";

/// When something began.
const BEGINS: &str = "start started starts begin began begins beginning begun from since answer answered connect connected established \
     beginn anfang startzeit anrufbeginn gesprachsbeginn gespraechsbeginn verbindungsbeginn ab begonnen angenommen \
     debut commencement inicio comienzo inizio inicia desde aanvang";

/// When it ended.
const ENDS: &str = "end ended ends stop stopped finish finished hangup hungup disconnect disconnected until till to \
     ende schluss endzeit gesprachsende gespraechsende anrufende verbindungsende bis beendet fin fine termine final hasta einde eind";

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// The words of a title in small letters, without accents: `RatePerMin` and `rate_per_min` are three.
pub fn words(title: &str) -> Vec<String> {
    let folded = deunicode::deunicode(&units::spaced(title)).to_lowercase();
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Two known words written as one (`billsec`), or one.
fn is_known(word: &str, lists: &[&str], extra: &dyn Fn(&str) -> bool) -> bool {
    let known = |word: &str| lists.iter().any(|list| is_in(list, word)) || extra(word);
    let is_joined = |at: usize| word.split_at_checked(at).is_some_and(|(a, b)| a.len() > 2 && b.len() > 1 && known(a) && known(b));
    is_in(JOINTS, word) || known(word) || (3..word.len()).any(is_joined)
}

/// The first word of a title of quantities that is not known. `meter`: the one that is stated for all rows.
pub fn unknown_of_lengths(title: &str, meter: Option<&str>) -> Option<String> {
    let is_unit = |word: &str| units::of(word).is_some_and(|unit| !unit.is_of_money() && unit.seconds.is_some());
    // The unit of a meter of its own is often its name.
    let own = meter.filter(|meter| *meter != super::cdr::METER).map(words).unwrap_or_default();
    let is_own = |word: &str| own.iter().any(|own| own == word || word.strip_suffix('s') == Some(own));
    let lists: &[&str] = if own.is_empty() { &[LENGTHS] } else { &[LENGTHS, COUNTS] };
    let extra = |word: &str| is_unit(word) || is_own(word);
    words(title).into_iter().find(|word| !is_known(word, lists, &extra)).or_else(|| foreign_sign(title))
}

/// The same of amounts.
pub fn unknown_of_amounts(title: &str) -> Option<String> {
    words(title).into_iter().find(|word| !is_known(word, &[AMOUNTS], &|_| false)).or_else(|| foreign_sign(title))
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

/// `zone`: the one that is stated, whose name a title may repeat.
pub fn instants(title: &str, zone: Option<&str>) -> Instants {
    let mut said = Instants { unknown: foreign_sign(title), ..Instants::default() };
    let words = words(title);
    let zone = zone.map(self::words).unwrap_or_default();
    let at = |names: &[&str]| words.iter().position(|word| names.contains(&word.as_str()));
    if let (Some(day), Some(month)) = (at(&["dd", "d", "tt", "t", "jj", "gg"]), at(&["mm", "m"])) {
        said.day_first = Some(day < month);
    }
    for word in &words {
        let (ends, begins) = (is_in(ENDS, word), is_in(BEGINS, word));
        let joined = |list: &str| {
            list.split_ascii_whitespace()
                .any(|known| known.len() > 2 && word.starts_with(known) && is_known(word, &[list, INSTANTS], &|_| false))
        };
        match word.as_str() {
            "utc" | "gmt" => said.is_utc = true,
            "epoch" | "unix" | "unixtime" => said.epoch = true,
            "ms" | "millis" | "milliseconds" | "msec" => said.millis = true,
            "s" | "sec" | "secs" | "seconds" => said.seconds = true,
            "dd" | "mm" | "yy" | "yyyy" | "hh" | "ss" | "tt" | "jj" | "jjjj" | "gg" | "aaaa" | "hhmm" | "hhmmss" | "yyyymmdd" | "am"
            | "pm" => {}
            word if zone.iter().any(|named| named == word) => {}
            _ if ends => said.ends = true,
            _ if begins => said.begins = true,
            word if is_in(INSTANTS, word) || is_in(JOINTS, word) || (word.len() == 1 && said.day_first.is_some()) => {}
            _ if joined(ENDS) => said.ends = true,
            _ if joined(BEGINS) => said.begins = true,
            word if is_known(word, &[INSTANTS], &|_| false) => {}
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
        for (title, meter) in [("Tokens", "token"), ("Units", "sms"), ("SMS", "sms"), ("Count", "api_call"), ("API calls", "api_call")] {
            assert_eq!(unknown_of_lengths(title, Some(meter)), None, "{title}");
        }
    }

    #[test]
    fn amounts_are_known_by_all_their_words() {
        for title in
            ["Betrag", "Amount", "amount", "Total amount", "Preis", "Order total", "Montant", "Importe", "Importo", "Netto", "orderamount"]
        {
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
        for title in ["End time", "endtime", "Ende", "end_stamp", "Hangup", "Date de fin"] {
            assert!(instants(title, None).ends, "{title}");
        }
        assert!(instants("Start (UTC)", None).is_utc && instants("start_ms", None).millis);
        assert_eq!(instants("Start (Berlin)", Some("Europe/Berlin")).unknown, None);
        for title in ["Start (CET)", "Start (Berlin)", "Start (local)", "Start +1", "Invoice due", "Ringing"] {
            assert!(instants(title, None).unknown.is_some(), "{title}");
        }
        assert_eq!(instants("MM/DD/YYYY", None).day_first, Some(false));
    }
}
