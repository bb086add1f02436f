//! The text of a file, whatever its encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Bytes looked at to tell UTF-16 that does not say so.
const LOOKED_AT_BYTES: usize = 512;

/// Without a byte order mark. UTF-16 by its mark, or by every other byte being zero; otherwise line
/// by line UTF-8, or else Windows-1252 (Latin-1 and a little more): a switch that writes a caller's
/// name in it spoils no other line. Lines that end with a carriage return alone are ended by a line
/// feed instead.
pub fn text_of(file: &[u8]) -> Cow<'_, str> {
    let text = decoded(file);
    if ends_in_returns(&text) {
        Cow::Owned(text.replace('\r', "\n"))
    } else {
        text
    }
}

/// No line feed, and something behind a carriage return: how old Macs ended lines.
fn ends_in_returns(text: &str) -> bool {
    let behind = |text: &str| {
        text.split_once('\r')
            .is_some_and(|(_, rest)| !rest.trim().is_empty())
    };
    !text.as_bytes().contains(&b'\n') && behind(text)
}

/// Is it read only as a whole, and not as its bytes are: another encoding, or lines without line
/// feeds?
pub fn is_rewritten(file: &[u8]) -> bool {
    is_utf16(file) || has_only_returns(file)
}

/// Do its lines end with carriage returns alone?
pub fn has_only_returns(file: &[u8]) -> bool {
    !file.contains(&b'\n') && file.contains(&b'\r') && ends_in_returns(&decoded(file))
}

fn decoded(file: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, rest)) = utf16(file) {
        return encoding.decode_without_bom_handling(rest).0;
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    match std::str::from_utf8(file) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(
            file.split_inclusive(|&byte| byte == b'\n')
                .map(line)
                .collect(),
        ),
    }
}

fn line(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(
        |_| WINDOWS_1252.decode_without_bom_handling(bytes).0,
        Cow::Borrowed,
    )
}

/// What a file is in which nothing is a row, by its first bytes.
pub fn without_rows(file: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 7] = [
        (b"\x1f\x8b", "compressed (gzip)"),
        (b"PK\x03\x04", "a spreadsheet or another packed file (zip)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet (xls)"),
        (b"\xfd7zXZ\0", "compressed (xz)"),
        (b"\x28\xb5\x2f\xfd", "compressed (zstd)"),
        (b"BZh", "compressed (bzip2)"),
        (b"%PDF-", "a PDF"),
    ];
    const MARKUP: [(&[u8], &str); 4] = [
        (b"<?xml", "XML"),
        (
            b"<cdr",
            "XML (mod_xml_cdr; records of mod_json_cdr are read)",
        ),
        (b"<!doctype", "HTML"),
        (b"<html", "HTML"),
    ];
    let begins = |file: &[u8], first: &[u8]| {
        file.get(..first.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(first))
    };
    let text = file
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(file)
        .trim_ascii_start();
    let packed = KINDS.iter().find(|(first, _)| file.starts_with(first));
    packed
        .or_else(|| MARKUP.iter().find(|(first, _)| begins(text, first)))
        .map(|(_, kind)| *kind)
}

/// The last line, if no line feed ends it: its writer may have been in the middle of it.
pub fn has_cut_end(file: &[u8]) -> bool {
    let is_cut = |text: &str| {
        !text
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .trim()
            .is_empty()
    };
    if is_rewritten(file) {
        return is_cut(&text_of(file));
    }
    let last = file
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    !last.trim_ascii().is_empty()
}

/// Such a file cannot be read from somewhere in its middle.
pub fn is_utf16(file: &[u8]) -> bool {
    utf16(file).is_some()
}

fn utf16(file: &[u8]) -> Option<(&'static Encoding, &[u8])> {
    if let Some((encoding, mark)) = Encoding::for_bom(file) {
        return Some((encoding, file.get(mark..).unwrap_or_default()))
            .filter(|_| encoding != UTF_8);
    }
    let head = file
        .get(..file.len().min(LOOKED_AT_BYTES))
        .unwrap_or_default();
    let zeros = |parity: usize| {
        head.iter()
            .skip(parity)
            .step_by(2)
            .filter(|&&byte| byte == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    let most =
        |zeros: usize, others: usize| others == 0 && zeros * 4 > head.len() && head.len() > 3;
    match (most(odd, even), most(even, odd)) {
        (true, _) => Some((UTF_16LE, file)),
        (_, true) => Some((UTF_16BE, file)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let text = "Straße;0,5 €\nÖlmühle;1\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let cp1252 = WINDOWS_1252.encode(text).0.into_owned();
        let half = [b"caf\xe9;1\n".as_slice(), "Straße;2\n".as_bytes()].concat();
        for (bytes, want) in [
            (text.as_bytes().to_vec(), text),
            ([b"\xef\xbb\xbf", text.as_bytes()].concat(), text),
            ([b"\xff\xfe", &le[..]].concat(), text),
            ([b"\xfe\xff", &be[..]].concat(), text),
            (le, text),
            (be, text),
            (cp1252, text),
            (half, "café;1\nStraße;2\n"),
            (Vec::new(), ""),
            (b"a,b\rc,d\r".to_vec(), "a,b\nc,d\n"),
            (b"a,b\rc,d".to_vec(), "a,b\nc,d"),
            (b"a,b\r".to_vec(), "a,b\r"),
            (b"a,\rb\nc\r".to_vec(), "a,\rb\nc\r"),
        ] {
            assert_eq!(text_of(&bytes), want, "{bytes:?}");
        }
    }
}
