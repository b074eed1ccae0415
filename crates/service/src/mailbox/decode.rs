//! Undoes what was done to a body for the way: transfer encodings (RFC 2045 §6) and character sets.
//!
//! Forgiving, since it is for reading: what is not of the encoding's alphabet is passed over as RFC 2045 asks. Bounded by the
//! caller's `most`: decoding stops there.

use mail_parser::decoders::charsets::map::charset_decoder;

use super::structure::Encoding;

/// Decoded bytes, and whether `most` cut them short.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    /// What was decoded.
    pub content: T,
    /// There was more.
    pub cut: bool,
}

/// Undoes a transfer encoding, giving at most `most` bytes.
pub fn body(encoding: Encoding, bytes: &[u8], most: usize) -> Decoded<Vec<u8>> {
    match encoding {
        Encoding::Identity => {
            let content = bytes.get(..most).unwrap_or(bytes);
            Decoded { content: content.to_vec(), cut: content.len() < bytes.len() }
        }
        Encoding::Base64 => base64(bytes, most),
        Encoding::QuotedPrintable => quoted_printable(bytes, most),
    }
}

/// Bytes as text: in the character set they claim, else as UTF-8 with replacement characters.
pub fn text(charset: Option<&str>, bytes: &[u8]) -> String {
    let utf8 = |name: &str| name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8");
    if let Ok(text) = std::str::from_utf8(bytes)
        && charset.is_none_or(|name| utf8(name) || name.eq_ignore_ascii_case("us-ascii"))
    {
        return text.to_owned();
    }
    match charset.filter(|name| !name.is_empty() && !utf8(name)).and_then(|name| charset_decoder(name.as_bytes())) {
        Some(decoder) => decoder(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// RFC 2045 §6.8: "Any characters outside of the base64 alphabet are to be ignored".
fn base64(bytes: &[u8], most: usize) -> Decoded<Vec<u8>> {
    let mut content = Vec::with_capacity((bytes.len() / 4).saturating_mul(3).min(most).saturating_add(3));
    let (mut group, mut digits) = (0u32, 0u8);
    for &byte in bytes {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                // Padding ends a group; what follows is a group of its own.
                give_rest(&mut content, group, digits);
                (group, digits) = (0, 0);
                continue;
            }
            _ => continue,
        };
        if content.len() >= most {
            content.truncate(most);
            return Decoded { content, cut: true };
        }
        group = group << 6 | u32::from(value);
        digits = digits.wrapping_add(1);
        if digits == 4 {
            content.extend_from_slice(&group.to_be_bytes()[1..]);
            (group, digits) = (0, 0);
        }
    }
    give_rest(&mut content, group, digits);
    let cut = content.len() > most;
    content.truncate(most);
    Decoded { content, cut }
}

/// The one or two bytes of an unfinished group.
fn give_rest(content: &mut Vec<u8>, group: u32, digits: u8) {
    match digits {
        2 => content.push((group >> 4) as u8),
        3 => content.extend_from_slice(&((group >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

/// RFC 2045 §6.7. An `=` that begins nothing is left as it stands, and white space at the end of a line is the way's.
fn quoted_printable(bytes: &[u8], most: usize) -> Decoded<Vec<u8>> {
    let mut content = Vec::with_capacity(bytes.len().min(most));
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if content.len() >= most {
            return Decoded { content, cut: true };
        }
        rest = after;
        match byte {
            b'=' => match (after.first(), after.get(1)) {
                (Some(b'\n'), _) => rest = after.get(1..).unwrap_or_default(),
                (Some(b'\r'), Some(b'\n')) => rest = after.get(2..).unwrap_or_default(),
                (Some(&high), Some(&low)) if hex(high).is_some() && hex(low).is_some() => {
                    content.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                    rest = after.get(2..).unwrap_or_default();
                }
                _ => content.push(b'='),
            },
            b'\n' => {
                let carriage = content.last() == Some(&b'\r');
                if carriage {
                    content.pop();
                }
                while matches!(content.last(), Some(b' ' | b'\t')) {
                    content.pop();
                }
                content.extend_from_slice(if carriage { b"\r\n" } else { b"\n" });
            }
            _ => content.push(byte),
        }
    }
    let cut = content.len() > most;
    content.truncate(most);
    Decoded { content, cut }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_forgivingly_and_no_further_than_asked() {
        for (written, most, read, cut) in [
            ("aGVsbG8=", 99, "hello", false),
            ("aGVs\r\nbG8=\r\n", 99, "hello", false),
            ("aGVsbG8", 99, "hello", false),
            ("a*G!Vsb G8=", 99, "hello", false),
            ("aGk=aGk=", 99, "hihi", false),
            ("aGVsbG8=", 5, "hello", false),
            ("aGVsbG8=", 4, "hell", true),
            ("", 0, "", false),
        ] {
            let decoded = body(Encoding::Base64, written.as_bytes(), most);
            assert_eq!(decoded, Decoded { content: read.as_bytes().to_vec(), cut }, "{written}");
        }
    }

    #[test]
    fn quoted_printable_is_read_forgivingly_and_no_further_than_asked() {
        for (written, most, read, cut) in [
            ("caf=C3=A9", 99, "café", false),
            ("soft=\r\nbreak", 99, "softbreak", false),
            ("soft=\nbreak", 99, "softbreak", false),
            ("trailing  \r\nline", 99, "trailing\r\nline", false),
            ("100% = all =XY =", 99, "100% = all =XY =", false),
            ("abcde", 5, "abcde", false),
            ("abcde", 4, "abcd", true),
        ] {
            let decoded = body(Encoding::QuotedPrintable, written.as_bytes(), most);
            assert_eq!(decoded, Decoded { content: read.as_bytes().to_vec(), cut }, "{written}");
        }
    }

    #[test]
    fn text_is_read_in_the_set_it_claims() {
        for (charset, bytes, read) in [
            (None, "café".as_bytes(), "café"),
            (Some("UTF-8"), "café".as_bytes(), "café"),
            (Some("iso-8859-1"), b"caf\xe9".as_slice(), "café"),
            (Some("windows-1251"), b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
            (Some("no-such-set"), b"caf\xe9", "caf\u{fffd}"),
            (Some(""), b"caf\xe9", "caf\u{fffd}"),
            (None, b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(text(charset, bytes), read, "{charset:?}");
        }
    }
}
