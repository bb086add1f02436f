//! What people write in notes and titles: understood as a whole, or refused in words that help.

use super::super::{DeckOptions, parse};
use super::tests::{berlin, told};
use crate::input::table::Column;

/// Each of them passed as meaning nothing: a note of which any word is not known to mean nothing is refused.
#[test]
fn a_note_is_understood_as_a_whole_or_refused() {
    for note in [
        "excl. Sat",
        "only CLI",
        "x2",
        "0.05",
        "ceased",
        "not available",
        "nuit",
        "solo fine settimana",
        "HT",
        "GBP",
        "min",
        "60",
        "Sa/So",
        "zzgl.",
        "nur Mobil",
        "nicht verfügbar",
        "eingestellt",
        "indisponible",
        "hors service",
        "week-end",
        "no disponible",
        "sólo noche",
        "sin IVA",
        "non disponibile",
        "IVA esclusa",
        "notte",
        "festivi",
        "EUR",
        "US$",
        "euros",
        "×2",
        "1.5x",
        "+10",
        "double",
        "half",
        "*",
        "see note 1",
        "call us for price",
        "EEA origin",
        "from EU",
        "Montag",
        "dimanche",
        "sábado",
        "domenica",
        "via Frankfurt",
        "valid",
        "effective",
        "Christmas",
    ] {
        let deck = format!("Prefix;Rate;Notes\n9991;0.02;{note}\n");
        let refused = parse(deck.as_bytes(), &berlin()).unwrap().refused;
        assert_eq!(refused.first().map(|row| &*row.code), Some("unread_note"), "{note}");
        assert!(refused[0].detail.contains(&format!("`{note}`")) && refused[0].detail.contains("--ignore-column `Notes`"), "{refused:?}");
        let left_out = DeckOptions { ignore_columns: vec![Column::Name("Notes".into())], ..berlin() };
        assert_eq!(told(&deck, &left_out), ["9991  0.02/60 1/1"], "{note}");
    }
    for (title, cell, is_read) in [
        ("Region", "Europe", true),
        ("Region", "Western Europe", true),
        ("Region", "HT", true),
        ("Region", "EEA", true),
        ("Region", "Zone 2", true),
        ("Region", "Naher Osten", true),
        ("Region", "Moyen-Orient", true),
        ("Region", "Medio", false),
        ("Region", "EEA origin", false),
        ("Region", "GBP", false),
        ("Region", "2", false),
        ("Region", "Zone 0.05", false),
        ("Region", "blocked", false),
        ("Continent", "North America", true),
        ("ISO", "HT", true),
        ("ISO3", "HTI", true),
        ("ISO3", "CHE", true),
        ("ISO Code", "USD", false),
        ("ISO Code", "x2", false),
        ("Country ISO", "DE peak", false),
    ] {
        let deck = format!("Prefix,Rate,{title}\n9991,0.02,{cell}\n");
        let want = if is_read { "9991  0.02/60 1/1".to_owned() } else { format!("line 2 {title}: unread_note") };
        assert_eq!(told(&deck, &berlin()), [want], "{title} {cell}");
    }
}
