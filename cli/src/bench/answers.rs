//! Reads the money out of an ingest answer without building a document: the load generator shares
//! its cores with the server it measures.

use memchr::memmem;

/// Calls `each(index, debit_cents, parts)` for every event of the answer, in order; parts from the
/// platform down. False: not every one of the `expected` events was posted, or the parts do not sum
/// to the debit.
pub fn each_posted(body: &[u8], expected: usize, mut each: impl FnMut(usize, i64, &[i64])) -> bool {
    let mut seen = 0;
    let mut debit = None;
    let mut parts: smallvec::SmallVec<[i64; 8]> = smallvec::SmallVec::new();
    let mut finish = |debit: Option<i64>, parts: &[i64]| {
        let Some(debit) = debit else { return true };
        each(seen, debit, parts);
        seen += 1;
        parts.iter().sum::<i64>() == debit
    };
    let mut sound = true;
    for found in memmem::find_iter(body, b"cents\":") {
        let before = &body[..found];
        let Some(value) = number(&body[found + b"cents\":".len()..]) else {
            return false;
        };
        if before.ends_with(b"\"debit_") {
            sound &= finish(debit, &parts);
            debit = Some(value);
            parts.clear();
        } else if before.ends_with(b"\"") {
            parts.push(value);
        }
    }
    sound &= finish(debit, &parts);
    sound && seen == expected && memmem::find(body, b"\"status\":\"duplicate\"").is_none()
}

fn number(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'-')
        .unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, expected: usize) -> (bool, Vec<(i64, Vec<i64>)>) {
        let mut all = Vec::new();
        let sound = each_posted(body.as_bytes(), expected, |_, debit, parts| {
            all.push((debit, parts.to_vec()))
        });
        (sound, all)
    }

    #[test]
    fn reads_debits_and_parts() {
        let one = r#"{"id":"a","status":"rated","currency":"EUR","debit_cents":400,"splits":[{"tenant":"platform","cents":300},{"tenant":"m","cents":100}],"balance_cents":4600}"#;
        let two = one
            .replace("400", "-4")
            .replace("300", "-3")
            .replace("100", "-1");
        assert_eq!(
            read(&format!("[{one},{two}]"), 2),
            (true, vec![(400, vec![300, 100]), (-4, vec![-3, -1])])
        );
        assert!(!read(one, 2).0, "an event is missing");
        assert!(
            !read(&one.replace("300", "301"), 1).0,
            "parts that do not sum to the debit"
        );
        assert!(!read(&one.replace("rated", "duplicate"), 1).0);
        assert!(!read(r#"{"id":"a","status":"unrated"}"#, 1).0);
    }
}
