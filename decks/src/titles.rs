//! What a title of a column means: the names that ASTPP, MagnusBilling, A2Billing, Kazoo,
//! IvozProvider, CallWithUs and 46Labs write, the common union of them, and the usual words in
//! English, German, French, Spanish and Italian.

use super::field::Field;
use formats::sheet::units::{self, Unit};
use rating::Quantity;

/// Names in small letters and digits alone, without accents.
const NAMES: &[(Field, &str)] = &[
    (
        Field::Prefix,
        "prefix code dialprefix dialcode dialcodes dialingcode dialingcodes codes prefixes \
         breakout destinationcode destinationcodes destinationprefix destinationprefixes \
         destprefix destcode vorwahl vorwahlen prafix \
         praefix zielvorwahl rufnummernprafix prefixe indicatif indicatifs prefijo prefijos \
         codigo codigos prefisso \
         prefissi codice codici prefixo prefixos",
    ),
    (
        Field::AreaCode,
        "areacode areacodes ortsvorwahl ortsvorwahlen",
    ),
    (Field::Npanxx, "npanxx npa npanxxs"),
    (Field::Nxx, "nxx"),
    (
        Field::CountryCode,
        "countrycode cc landervorwahl laendervorwahl landesvorwahl landervorwahlen indicatifpays \
            codepays codigopais \
         codigodepais codicepaese prefissopaese",
    ),
    (
        Field::Origin,
        "origin originprefix originprefixes origincode origincodes origination originationcode \
            originationcodes \
         originationprefix originationprefixes sourceprefix sourceprefixes fromprefix ursprung \
         herkunft herkunftsvorwahl origine \
         indicatiforigine origen prefijoorigen prefissoorigine",
    ),
    (
        Field::Destination,
        "destination destinationname name ratename description area areaname countryname country \
            ziel zielname \
         zielland zielgebiet bezeichnung beschreibung land pays nom libelle destino pais nombre \
         descripcion \
         destinazione paese nome descrizione descricao bestemming",
    ),
    (
        Field::Price,
        "rate rates rateinitial ratecost cost price tariff sellrate sellprice ijrate \
            indeterminaterate preis tarif \
         entgelt kosten verkaufspreis prix cout precio tarifa coste costo prezzo tariffa preco \
         custo prijs tarief \
         newrate newrates newprice neuerpreis neuertarif nouveauprix nouveautarif nuevoprecio \
         nuevatarifa nuovoprezzo nuovatariffa",
    ),
    (
        Field::PriceInterstate,
        "interrate interstaterate interstate",
    ),
    (
        Field::PriceIntrastate,
        "intrarate intrastaterate intrastate",
    ),
    (
        Field::ConnectFee,
        "connectfee connectioncost connectcharge connectioncharge connectionfee connectcost \
            ratesurcharge setupfee \
         setupcharge setup callsetup callsetupfee callsetupcharge surcharge flagfall \
         verbindungsgebuhr \
         verbindungsgebuehr einrichtungsgebuhr einrichtungsgebuehr einrichtungspreis \
         verbindungsentgelt verbindungspreis verbindungsaufbau fraisdeconnexion fraisconnexion \
         fraisdetablissement miserelation miseenrelation fraisdemiseenrelation establecimiento \
         establecimientodellamada \
         cuotadeestablecimiento costedeestablecimiento costedeconexion costodeconexion \
         cargodeestablecimiento cargodeconexion cuotadeconexion \
         scattoallarisposta scattorisposta costodiconnessione costoconnessione",
    ),
    (Field::DisconnectFee, "disconnectcharge disconnectfee"),
    (
        Field::Initial,
        "initialincrement initblock initialbillingtime initialbillingincrement initialblock \
            initialperiod \
         initialinterval rateminimum minimum duration firstincrement firstinterval initial \
         mintime ersttakt erstertakt \
         anfangstakt premierincrement incrementinitial palierinitial premierpalier \
         incrementoinicial primerincremento \
         bloqueinicial incrementoiniziale primoincremento \
         interval1 intervall1 intervalle1 intervalo1 intervallo1 increment1 takt1 1takt",
    ),
    (
        Field::Next,
        "subsequentincrement nextincrement next subsequent subsequentinterval nextinterval \
            additionalincrement \
         folgetakt incrementsuivant paliersuivant incrementosiguiente incrementosubsiguiente \
         incrementosuccessivo \
         intervaln interval2 intervalln intervall2 intervalle2 intervalo2 intervallo2 incrementn \
         increment2 taktn takt2 2takt",
    ),
    (
        Field::Increments,
        "increment increments billing billingblock billingincrement billingincrements \
            billinginterval rateincrement chargeperiod interval pulse \
         takt taktung abrechnungstakt palier incremento incrementos incrementi",
    ),
    (
        Field::FreeIfShorterThan,
        "gracetime graceperiod ratenochargetime nochargetime minimaltimecharge freeifshorterthan",
    ),
    (
        Field::MinimumDuration,
        "minimumduration minduration mindestdauer dureeminimale duracionminima duratabase \
            durataminima",
    ),
    (
        Field::Included,
        "included includedseconds includedtime freeseconds freiesekunden inklusivsekunden",
    ),
    (
        Field::EffectiveFrom,
        "effectivefrom effectivedate effective startdate validfrom activationdate fromdate \
            gultigab gueltigab gultigvon \
         gueltigvon wirksamab ab startdatum valableapartirdu valabledu dateeffet datedeffet \
         dateentreeenvigueur \
         datedebut apartirdu fechaefectiva fechadevigencia fechavigencia vigentedesde validodesde \
         fechainicio \
         fechadeinicio desde validodal validoda datadecorrenza decorrenza datainizio invigoredal",
    ),
    (
        Field::EffectiveUntil,
        "effectiveuntil effectiveto enddate stopdate validto validuntil validtill expirationdate \
            expirydate expiredate \
         expiringdate expiry expiration expires expireson todate gultigbis gueltigbis bis \
         enddatum ablaufdatum \
         valablejusquau datefin datedefin dateexpiration datedexpiration validohasta vigentehasta \
         fechafin fechadefin \
         hasta fechadevencimiento fechadeexpiracion validofino validofinoal datafine datascadenza \
         scadenza",
    ),
    (Field::Direction, "direction"),
    (
        Field::Blocked,
        "blocked block gesperrt bloque bloqueado bloccato",
    ),
    (
        Field::Status,
        "status ratestatus rowstatus codestatus state action change changetype estado statut stato",
    ),
    (
        Field::Currency,
        "currency currencycode curr ccy wahrung waehrung devise monnaie moneda divisa valuta moeda",
    ),
    (
        Field::Unit,
        "unit rateunit priceunit billingunit per einheit unite unidad unita",
    ),
    (
        Field::Label,
        "isocountrycode countryiso isocode iso iso2 iso3 region continent comment comments note \
            notes remark remarks nota notas \
         bemerkung bemerkungen anmerkung anmerkungen hinweis hinweise kommentar kommentare \
         remarque remarques commentaire commentaires \
         comentario comentarios observacion observaciones commento commenti osservazioni",
    ),
    (
        Field::Unsupported,
        "stepchargea stepchargeb stepchargec chargea chargeb chargec additionalblockcharge \
            announcetimecorrection \
         packageoffer",
    ),
];

/// Ends of names that are one word (`ratepermin`, `perminuterate`), and the seconds that they say.
const JOINED: [(&str, i64); 7] = [
    ("perminute", 60),
    ("permin", 60),
    ("persecond", 1),
    ("persec", 1),
    ("minuten", 60),
    ("minute", 60),
    ("sekunden", 1),
];

/// Of a title: what it means and in which unit. `None`: it is not known.
pub fn meaning(title: &str) -> Option<(Field, Unit)> {
    let says_more = units::has_sign(title);
    let whole =
        |(field, unit): (Field, Unit)| (!says_more || field.is_of_words()).then_some((field, unit));
    meaning_of_words(title).and_then(whole)
}

/// Of a title of areas of the North American plan, without their exchanges.
pub fn is_area_alone(title: &str) -> bool {
    folded(title) == "npa"
}

fn meaning_of_words(title: &str) -> Option<(Field, Unit)> {
    let spaced = units::spaced(title);
    if let Some(field) = named(&spaced)
        .or_else(|| named(spaced.strip_suffix("(s)")?).filter(|field| field.is_duration()))
    {
        return Some((field, Unit::default()));
    }
    if folded(&spaced) == "ppm" {
        return Some((
            Field::Price,
            Unit {
                seconds: Some(Quantity::whole(60)),
                ..Unit::default()
            },
        ));
    }
    let (unit, rest) = units::of_title(&spaced)?;
    if rest.is_empty() {
        return (unit.is_of_money() && unit.seconds.is_some()).then_some((Field::Price, unit));
    }
    named(&rest)
        .map(|field| (field, unit))
        .or_else(|| joined(&rest, unit).filter(|_| !has_letter(&rest)))
}

fn joined(rest: &str, unit: Unit) -> Option<(Field, Unit)> {
    let name = folded(rest);
    JOINED.iter().find_map(|(end, seconds)| {
        let other = name.strip_suffix(end).or_else(|| name.strip_prefix(end))?;
        let field = named(other).filter(|field| field.is_money())?;
        unit.seconds.is_none().then_some((
            field,
            Unit {
                seconds: Some(Quantity::whole(*seconds)),
                ..unit
            },
        ))
    })
}

/// Small letters and digits alone, without accents.
pub(super) fn folded(title: &str) -> String {
    let lower = deunicode::deunicode(title).to_lowercase();
    lower.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn named(title: &str) -> Option<Field> {
    // A sign of a currency is no letter, and would be lost: `Rate ($)` is a price in dollars.
    if title.contains(['$', '€', '£', '¥', '¢']) {
        return None;
    }
    let name = folded(title);
    let found = NAMES
        .iter()
        .find(|(_, names)| names.split_ascii_whitespace().any(|known| known == name))
        .map(|(field, _)| *field);
    found.filter(|field| !(field.is_money() && has_letter(title)))
}

/// `Rate S` and `Rate/s` are not rates: a letter by itself says something. That of `Rate(s)` does
/// not.
fn has_letter(title: &str) -> bool {
    let is_one = |part: &str| part.chars().filter(|c| c.is_alphanumeric()).count() == 1;
    title
        .split([' ', '\t', '\u{a0}', '\n', '\r', '/', '_', '-'])
        .any(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(title: &str, want: Option<(Field, i64)>) {
        let got = meaning(title).map(|(field, unit)| {
            (
                field,
                unit.seconds
                    .map_or(0, |s| i64::try_from(s.0 / Quantity::ONE).unwrap()),
            )
        });
        assert_eq!(got, want, "{title}");
    }

    #[test]
    fn titles_of_five_languages() {
        for (title, field, seconds) in [
            ("Prefix", Field::Prefix, 0),
            ("Dial-Code(s)", Field::Prefix, 0),
            ("Area Code", Field::AreaCode, 0),
            ("NPA-NXX", Field::Npanxx, 0),
            ("Rate_per_min", Field::Price, 60),
            ("ratepermin", Field::Price, 60),
            ("perminuterate", Field::Price, 60),
            ("RatePerSecond", Field::Price, 1),
            ("Rate/s", Field::Price, 1),
            ("Rate / s", Field::Price, 1),
            ("Price/h", Field::Price, 3600),
            ("Rate(s)", Field::Price, 0),
            ("Cost / Min (EUR)", Field::Price, 60),
            ("EUR/min", Field::Price, 60),
            ("Minutenpreis", Field::Price, 60),
            ("Preis pro Sekunde", Field::Price, 1),
            ("Prix par minute (€)", Field::Price, 60),
            ("Precio por segundo", Field::Price, 1),
            ("Prezzo al minuto", Field::Price, 60),
            ("Vorwahl", Field::Prefix, 0),
            ("Préfixe", Field::Prefix, 0),
            ("Prefijo", Field::Prefix, 0),
            ("Prefisso", Field::Prefix, 0),
            ("Gültig ab", Field::EffectiveFrom, 0),
            ("Date d'effet", Field::EffectiveFrom, 0),
            ("Expiry Date", Field::EffectiveUntil, 0),
            ("Währung", Field::Currency, 0),
            ("Included Seconds", Field::Included, 0),
            ("Minimum duration (min)", Field::MinimumDuration, 60),
            ("Second increment", Field::Increments, 1),
            ("Scatto alla risposta", Field::ConnectFee, 0),
            ("Min time", Field::Initial, 0),
            ("Rate - per minute", Field::Price, 60),
            ("Rate-per-min", Field::Price, 60),
            ("Code #", Field::Prefix, 0),
        ] {
            check(title, Some((field, seconds)));
        }
        for title in [
            "",
            "Rate (incl. VAT)",
            "Old rate",
            "Current rate",
            "Peak rate",
            "Rate per 100 min",
            "Rate 2",
            "Min",
            "Type",
            "Rate/min/sec",
            "Rate C",
            "Rate S",
            "Rate (s)",
            "Rate_s",
            "Rate A",
            "Rate ‰",
            "Cost%",
            "-Rate",
            "Rate (-)",
            "Rate *",
            "Rate +",
            "Rate -",
            "Preis/min *",
            "+ Setup fee",
            "Increment %",
            "Rate &",
            "Rate /",
            "& Rate",
            "Blocked (%)",
            "Valid to *",
        ] {
            check(title, None);
        }
    }
}
