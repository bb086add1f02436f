//! What titles say, and cells that say nothing.

use super::tests::{CALLS, outcomes};

/// Each was charged as what calls nobody outside: 0.00 by a rate without prefixes.
#[test]
fn a_destination_that_says_nobody_is_refused() {
    let map = |more: &str| {
        format!(
            r#"{{"columns":{{"id":"id","at":"at","quantity":"s","destination":"to"{more}}},{CALLS}}}"#
        )
    };
    let file =
        |to: &str, more: &str| format!("id,at,s,to,x\na,2026-11-20 09:00:00,60,\"{to}\",{more}\n");
    let of = |to: &str| outcomes(&file(to, ""), &map(""));
    for to in [
        "", " ", "-", "--", "n/a", "N/A", "NULL", "null", "(null)", "None", "\\N", "#N/A", "#NV",
        "#REF!", "?", ".", "+", "NaN", "unknown",
    ] {
        assert_eq!(of(to), ["missing_field"], "{to}");
    }
    for to in [
        "Germany",
        "germany",
        "GERMANY",
        "Deutschland Mobil",
        "Deutschland-Mobil",
        "UK",
        "Zone 1",
        "Zone1",
        "Berlin (mobile)",
        "Germany - Mobile 2",
        "S Korea",
        "national",
        "Directory enquiries",
        "Voice of Germany",
        "Parkistan",
    ] {
        assert_eq!(of(to), ["invalid_number"], "{to}");
    }
    for to in [
        "voicemail",
        "Voicemail",
        "anonymous",
        "s",
        "h",
        "s-NOANSWER",
        "conf-12",
        "ivr2",
        "queue 600",
        "queue-sales",
        "vmu1001",
        "park",
        "valet_park",
        "*98",
        "**1001",
        "#31#",
        "*any",
        "sip:alice@pbx.example",
        "alice@10.20.30.40",
        "1001",
        "112",
        "+4930123456",
        "030/1234567",
    ] {
        assert_eq!(of(to), ["60"], "{to}");
    }
    // What helps: another value for such rows, or no column at all.
    let constant = map("").replace(r#""meter":"call""#, r#""meter":"call","destination":"s""#);
    assert_eq!(outcomes(&file("", ""), &constant), ["60"]);
    assert_eq!(
        outcomes(
            &file("", ""),
            &map("").replace(r#","destination":"to""#, "")
        ),
        ["60"]
    );
    // Of several meters in one file, others than calls need none.
    let several = map(r#","meter":"x""#);
    for (meter, want) in [
        ("storage", "60"),
        ("call", "missing_field"),
        ("Call", "missing_field"),
    ] {
        assert_eq!(outcomes(&file("", meter), &several), [want], "{meter}");
    }
    // What was not answered is no usage, wherever it went.
    let skipping = map("").replacen('{', r#"{"skip_zero":true,"#, 1);
    assert_eq!(
        outcomes("id,at,s,to\na,2026-11-20 09:00:00,0,\n17,,,\n", &skipping),
        ["skipped", "skipped"]
    );
}

/// Of two calls alike the second was a duplicate, and all others had an id that was reported
/// already.
#[test]
fn an_id_that_lost_its_digits_is_none() {
    let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
    let of =
        |id: &str, map: &str| outcomes(&format!("id,at,s,n\n{id},2026-11-20 09:00:00,60,1\n"), map);
    for id in [
        "1.79618E+12",
        "\"1,79618E+12\"",
        "1.79618e+12",
        "1.79618E12",
        "2E+15",
        "-",
        "N/A",
        "n/a",
        "NULL",
        "None",
        "#REF!",
        "#N/A",
        "#NAME?",
        "#WERT!",
        "\\N",
        "?",
        "undefined",
        "00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(of(id, &map), ["invalid_field"], "{id}");
    }
    for id in [
        "0",
        "7",
        "1795165644.0",
        "6f5902ac-0001-4a0b-9c00-000000000001",
        "123e4567",
        "12345e67-e89b-12d3-a456-426614174000",
        "a-1",
        "na-1",
    ] {
        assert_eq!(of(id, &map), ["60"], "{id}");
    }
    // A part of one.
    let composite = map.replace(r#""id":"id""#, r#""id":["id","n"]"#);
    for (id, want) in [
        ("1.79618E+12", "invalid_field"),
        ("#REF!", "invalid_field"),
        ("-", "invalid_field"),
        ("", "missing_field"),
        ("1795165644.0", "60"),
    ] {
        assert_eq!(of(id, &composite), [want], "{id}");
    }
    let last = map.replace(r#""id":"id""#, r#""id":["n","id"]"#);
    for (id, want) in [("1.79618E+12", "invalid_field"), ("-", "60"), ("", "60")] {
        assert_eq!(of(id, &last), [want], "{id}");
    }
}

/// `-` was shown, whatever stood there.
#[test]
fn what_is_refused_shows_its_value_and_what_helps() {
    let detail = |id: &str, seconds: &str, more: &str| {
        let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{more}{CALLS}}}"#);
        let file = format!("id,at,s\n{id},2026-11-20 09:00:00,{seconds}\n");
        match super::parse(file.as_bytes(), &serde_json::from_str(&map).unwrap())
            .unwrap()
            .remove(1)
        {
            crate::input::row::Row::Refused { problem, .. } => problem.detail,
            row => format!("{row:?}"),
        }
    };
    for id in ["null", "N/A", "?", "None", "undefined"] {
        assert!(
            detail(id, "60", "").contains(&format!("`{id}` says nothing")),
            "{}",
            detail(id, "60", "")
        );
    }
    for seconds in ["60 s", "60sec", "1m", "1h"] {
        let said = detail("a", seconds, "");
        assert!(
            said.contains(seconds) && said.contains("`duration_form`: seconds"),
            "{said}"
        );
        assert!(
            detail("a", seconds, r#""duration_form":"seconds","#).starts_with("Event"),
            "{seconds}"
        );
    }
    for seconds in ["5 GB", "x", "1,5"] {
        assert!(
            !detail("a", seconds, "").contains("duration_form"),
            "{seconds}"
        );
    }
}

/// It was charged as one second.
#[test]
fn how_long_a_call_lasted_is_not_its_amount() {
    let of = |meter: &str| {
        let map = format!(
            r#"{{"columns":{{"id":"id","at":"at","amount":"amount"}},"constants":{{"meter":"{meter}","customer":"c"}},"zone":"UTC"}}"#
        );
        outcomes("id,at,amount\na,2026-11-20 09:00:00,7\n", &map)
    };
    assert_eq!(of("call"), ["missing_field"]);
    assert_eq!(of("booking"), ["1 7"]);
}

/// Titles that files have: each was refused.
#[test]
fn usual_titles_are_known() {
    let utc = r#","zone":"UTC""#;
    let times = |title: &str, zone: &str| {
        let map = format!(
            r#"{{"columns":{{"id":"id","at":"{title}","quantity":"s"}},"constants":{{"meter":"call","customer":"c"}}{zone}}}"#
        );
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
    for title in [
        "Created and ended",
        "Local number",
        "Sent bytes",
        "Setup fee",
    ] {
        assert_eq!(times(title, utc), ["file: ambiguous_column"], "{title}");
    }
    let counted = |field: &str, title: &str, meter: &str| {
        let map = format!(
            r#"{{"columns":{{"id":"id","at":"at","{field}":"{title}"}},"constants":{{"meter":"{meter}","customer":"c"}}{utc}}}"#
        );
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
        assert_eq!(
            counted("quantity", title, "call"),
            ["file: ambiguous_unit"],
            "{title}"
        );
    }
    for title in [
        "Durée (d)",
        "Durée d",
        "Call",
        "Session",
        "Billed",
        "Chiamata",
        "Bill",
    ] {
        assert!(
            ["file: ambiguous_unit", "ambiguous_unit"]
                .contains(&counted("quantity", title, "call")[0].as_str()),
            "{title}"
        );
    }
    for title in [
        "Grand total",
        "Fee",
        "Total fee",
        "Order total",
        "Rechnungsbetrag",
        "Invoice amount",
        "Montant de la facture",
    ] {
        assert_eq!(counted("amount", title, "booking"), ["1 60"], "{title}");
    }
    // The number of a paper is no amount, and a fee for one is not what it is about.
    for title in [
        "Order",
        "Invoice",
        "Rechnung",
        "Facture",
        "Factura",
        "Fattura",
        "Bill",
        "Booking",
        "Transaction",
        "Transaction fee",
        "Setup fee",
    ] {
        assert_eq!(
            counted("amount", title, "booking"),
            ["file: ambiguous_unit"],
            "{title}"
        );
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
        assert!(
            of(title, zone)[0].starts_with("file: ambiguous"),
            "{title} {zone}: {:?}",
            of(title, zone)
        );
    }
}
