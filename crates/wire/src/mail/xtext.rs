//! xtext (RFC 3461 §4): any text written in the characters that a parameter of MAIL or RCPT may have.
//!
//! `+` and two upper-case hexadecimal digits stand for one byte. Bounded by: what it is given; it writes at most three bytes
//! for one.

use std::fmt::Write;

/// `text` as xtext: `+`, `=`, spaces, control characters and what is not ASCII become `+XX`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' | 0..=32 | 127.. => {
                // Writing into a String cannot fail.
                let _ = write!(encoded, "+{byte:02X}");
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// What xtext says; `None` when it is none, or says no UTF-8.
pub fn decode(xtext: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(xtext.len());
    let mut rest = xtext.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        match first {
            b'+' => {
                let (digits, others) = rest.split_at_checked(2)?;
                let digit = |at: usize| match digits.get(at)? {
                    byte @ b'0'..=b'9' => Some(byte - b'0'),
                    // RFC 3461 §4: upper case only.
                    byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
                    _ => None,
                };
                decoded.push(digit(0)? << 4 | digit(1)?);
                rest = others;
            }
            b'=' | 0..=32 | 127.. => return None,
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for (text, xtext) in [
            ("", ""),
            ("QQ314159", "QQ314159"),
            ("Bob@Example.COM", "Bob@Example.COM"),
            ("a+b=c d", "a+2Bb+3Dc+20d"),
            ("é\r\n\u{7f}", "+C3+A9+0D+0A+7F"),
        ] {
            assert_eq!(encode(text), xtext);
            assert_eq!(decode(xtext).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_xtext_is_refused() {
        for xtext in ["+", "+4", "+4g", "+4a", "a=b", "a b", "é", "+FF", "\u{7f}"] {
            assert_eq!(decode(xtext), None, "{xtext:?}");
        }
    }
}
