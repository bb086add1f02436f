//! What titles say.

use super::tests::outcomes;

/// Titles that files have: each was refused.
#[test]
fn usual_titles_are_known() {
    let utc = r#","zone":"UTC""#;
    let times = |title: &str, zone: &str| {
        let map =
            format!(r#"{{"columns":{{"id":"id","at":"{title}","quantity":"s"}},"constants":{{"meter":"call","customer":"c"}}{zone}}}"#);
        outcomes(&format!("id;{title};s\na;2026-11-20 09:00:00;60\n"), &map)
    };
    for title in [
        "Date and time",
        "Datum und Uhrzeit",
        "Date et heure",
        "Fecha y hora",
        "Sent",
        "Sent at",
        "sent_at",
        "Gesendet am",
        "Ordered at",
        "Local time",
        "Start (local time)",
        "Ortszeit",
        "Setup time",
    ] {
        assert_eq!(times(title, utc), ["60"], "{title}");
    }
    assert_eq!(times("Local time", ""), ["zone_required"]);
    for title in ["Created and ended", "Local number", "Sent bytes", "Setup fee"] {
        assert_eq!(times(title, utc), ["file: ambiguous_column"], "{title}");
    }
    let counted = |field: &str, title: &str, meter: &str| {
        let map =
            format!(r#"{{"columns":{{"id":"id","at":"at","{field}":"{title}"}},"constants":{{"meter":"{meter}","customer":"c"}}{utc}}}"#);
        outcomes(&format!("id;at;{title}\na;2026-11-20 09:00:00;60\n"), &map)
    };
    for title in [
        "Durée d'appel",
        "Durée d’appel",
        "Secondi fatturati",
        "Secondes facturées",
        "Segundos facturados",
        "Abrechnungsdauer",
        "Rated duration",
    ] {
        assert_eq!(counted("quantity", title, "call"), ["60"], "{title}");
    }
    for title in ["SMS parts", "Segments", "Parts"] {
        assert_eq!(counted("quantity", title, "sms"), ["60"], "{title}");
        assert_eq!(counted("quantity", title, "call"), ["file: ambiguous_unit"], "{title}");
    }
    for title in ["Durée (d)", "Durée d", "Call", "Session", "Billed", "Chiamata", "Bill"] {
        assert!(["file: ambiguous_unit", "ambiguous_unit"].contains(&counted("quantity", title, "call")[0].as_str()), "{title}");
    }
    for title in ["Grand total", "Fee", "Total fee", "Order total", "Rechnungsbetrag", "Invoice amount", "Montant de la facture"] {
        assert_eq!(counted("amount", title, "booking"), ["1 60"], "{title}");
    }
    // The number of a paper is no amount, and a fee for one is not what it is about.
    for title in
        ["Order", "Invoice", "Rechnung", "Facture", "Factura", "Fattura", "Bill", "Booking", "Transaction", "Transaction fee", "Setup fee"]
    {
        assert_eq!(counted("amount", title, "booking"), ["file: ambiguous_unit"], "{title}");
    }
}

#[test]
fn a_place_in_a_title_is_that_of_the_zone() {
    let of = |title: &str, zone: &str| {
        let map = format!(
            r#"{{"columns":{{"id":"id","at":"{title}","quantity":"s"}},"constants":{{"meter":"call","customer":"c"}},"zone":"{zone}"}}"#
        );
        outcomes(&format!("id;{title};s\na;2026-11-20 09:00:00;60\n"), &map)
    };
    assert_eq!(of("Start (Berlin)", "Europe/Berlin"), ["60"]);
    assert_eq!(of("Start (Europe/Berlin)", "Europe/Berlin"), ["60"]);
    for (title, zone) in [
        ("Start (Berlin)", "Europe/London"),
        ("Start (Berlin)", "UTC"),
        ("Start (Berlin)", "Europe/Paris"),
        ("Start (Europe/London)", "Europe/Berlin"),
        ("Start Europe", "Europe/Berlin"),
        ("Start (New)", "America/New_York"),
    ] {
        assert!(of(title, zone)[0].starts_with("file: ambiguous"), "{title} {zone}: {:?}", of(title, zone));
    }
}
