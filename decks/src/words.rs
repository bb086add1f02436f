//! Cells of words: flags, the status of a prefix, dates that are none.

use super::bad::Bad;
use super::titles::folded;
use formats::sheet::shown;

/// What databases write for no date: `0000-00-00`, and `9999-12-31` for one that never comes.
pub fn is_never(cell: &str, is_end: bool) -> bool {
    let day = cell.trim().split(['T', ' ']).next().unwrap_or_default();
    let digits: String = day.chars().filter(char::is_ascii_digit).collect();
    let is_date = day.chars().all(|c| c.is_ascii_digit() || "-./".contains(c));
    is_date
        && (digits == "00000000"
            || (is_end && ["99991231", "31129999", "12319999"].contains(&digits.as_str())))
}

/// The price counts as soon as it is imported.
pub fn is_at_once(cell: &str) -> bool {
    const WORDS: [&str; 18] = [
        "immediately",
        "immediate",
        "immediateeffect",
        "withimmediateeffect",
        "effectiveimmediately",
        "now",
        "atonce",
        "sofort",
        "absofort",
        "immediatement",
        "effetimmediat",
        "aveceffetimmediat",
        "inmediato",
        "deinmediato",
        "inmediatamente",
        "immediato",
        "immediatamente",
        "coneffettoimmediato",
    ];
    WORDS.contains(&folded(cell).as_str())
}

pub fn flag(cell: &str) -> Result<bool, Bad> {
    match cell.to_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "blocked" | "ja" | "oui" | "si" | "sí" | "sì" => Ok(true),
        "0" | "false" | "no" | "n" | "" | "nein" | "non" => Ok(false),
        _ => Err((
            "invalid_flag",
            format!("cannot read {}: expected yes or no", shown(cell)),
        )),
    }
}

/// That alone: `inbound/outbound` is a price for both.
pub fn is_outbound(cell: &str) -> bool {
    const WORDS: [&str; 7] = [
        "outbound",
        "outgoing",
        "out",
        "ausgehend",
        "sortant",
        "saliente",
        "uscente",
    ];
    WORDS.contains(&cell.trim().to_lowercase().as_str())
}

/// What a row says of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Open,
    Blocked,
    /// Not sold any more.
    Deleted,
}

/// Words of a column such as `Status` or `Change`. Numbers mean one thing here and another there:
/// refused.
pub fn status(cell: &str) -> Result<Status, Bad> {
    const OPEN: [&str; 29] = [
        "active",
        "open",
        "opened",
        "enabled",
        "current",
        "valid",
        "new",
        "increase",
        "increased",
        "decrease",
        "decreased",
        "unchanged",
        "nochange",
        "same",
        "changed",
        "update",
        "updated",
        "effective",
        "inforce",
        "aktiv",
        "actif",
        "activo",
        "attivo",
        "neu",
        "nouveau",
        "nuevo",
        "nuovo",
        "added",
        "add",
    ];
    const BLOCKED: [&str; 7] = [
        "blocked",
        "block",
        "barred",
        "gesperrt",
        "bloque",
        "bloqueado",
        "bloccato",
    ];
    const DELETED: [&str; 26] = [
        "deleted",
        "delete",
        "removed",
        "remove",
        "closed",
        "close",
        "discontinued",
        "expired",
        "inactive",
        "disabled",
        "withdrawn",
        "terminated",
        "cancelled",
        "canceled",
        "inaktiv",
        "geloscht",
        "geloescht",
        "entfernt",
        "geschlossen",
        "supprime",
        "ferme",
        "inactif",
        "eliminado",
        "inactivo",
        "eliminato",
        "inattivo",
    ];
    match folded(cell).as_str() {
        "" => Ok(Status::Open),
        word if OPEN.contains(&word) => Ok(Status::Open),
        word if BLOCKED.contains(&word) => Ok(Status::Blocked),
        word if DELETED.contains(&word) => Ok(Status::Deleted),
        _ => Err((
            "unknown_status",
            format!(
                "cannot read {}: expected active, blocked or deleted",
                shown(cell)
            ),
        )),
    }
}
