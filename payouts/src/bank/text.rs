//! Text in a payment file: the characters that every bank of SEPA takes (EPC217-08), and no more of
//! them than fit.

/// `Max70Text` of names.
pub const NAME_CHARS_MAX: usize = 70;
/// `Max140Text`: what the payee reads.
pub const ENTRY_CHARS_MAX: usize = 140;

/// Letters, digits and `/ - ? : ( ) . , ' +` and spaces, at most `chars_max`; others become the
/// nearest of these. Never begins or ends with a slash, nor has two of them in a row.
pub fn sepa(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'Ä' => out.push_str("Ae"),
            'Ö' => out.push_str("Oe"),
            'Ü' => out.push_str("Ue"),
            'ß' => out.push_str("ss"),
            '&' => out.push('+'),
            '_' => out.push('-'),
            c if is_taken(c) => out.push(c),
            c if c.is_whitespace() => out.push(' '),
            c => match deunicode::deunicode_char(c)
                .map(str::trim)
                .filter(|near| !near.is_empty())
            {
                Some(near) => out.extend(
                    near.chars()
                        .map(|near| if is_taken(near) { near } else { '.' }),
                ),
                None => out.push('.'),
            },
        }
    }
    while out.contains("//") {
        out = out.replace("//", "/");
    }
    let cut: String = out
        .trim_matches([' ', '/'])
        .chars()
        .take(chars_max)
        .collect();
    cut.trim_end_matches([' ', '/']).to_owned()
}

fn is_taken(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c)
}

/// An id of ours as the schema's `Max35Text`: `pyt_01…` → `pyt-01…`.
pub fn id(id: impl std::fmt::Display) -> String {
    sepa(&id.to_string(), 35)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_readable() {
        for (text, want) in [
            ("Müller & Söhne", "Mueller + Soehne"),
            ("Café Ørsted Łódź", "Cafe Orsted Lodz"),
            ("a//b///c/", "a/b/c"),
            ("pyt_01", "pyt-01"),
            ("x\ny", "x y"),
            ("<tag>", ".tag."),
            ("/", ""),
        ] {
            assert_eq!(sepa(text, 70), want);
        }
        assert_eq!(sepa(&"ä".repeat(70), 70).len(), 70);
    }

    proptest! {
        #[test]
        fn nothing_leaves_that_a_bank_refuses(text in any::<String>(), most in 1..140_usize) {
            let found = sepa(&text, most);
            prop_assert!(found.chars().count() <= most && found.chars().all(is_taken), "{found:?}");
            prop_assert!(!found.contains("//") && !found.starts_with('/') && !found.ends_with('/'));
            prop_assert_eq!(sepa(&found, most), found);
        }
    }
}
