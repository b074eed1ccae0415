//! Names of mailboxes as names of folders and files: Maildir++'s `.Archive.2024`, and back.
//!
//! A level of the hierarchy is `/` in a mailbox's name and `.` in a file's. What is not ASCII is in the modified UTF-7 of
//! RFC 3501 §5.1.3, as other servers write it; a `.` or `\` within a level is `\2e` or `\5c`, as Dovecot's listescape
//! plugin has it. A name that is read is one level beneath where it stands: no `/`, no NUL, never `.` or `..`.
//! Bounded by [`LONGEST`].

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The most bytes of a mailbox's name that is read.
pub const LONGEST: usize = 255;

/// RFC 3501 §5.1.3: `,` instead of `/`, no padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The name of the file for a mailbox, without the `.` that a folder of Maildir++ begins with.
pub fn to_file(mailbox: &str) -> String {
    // Where a level is empty, a name made of dots alone could come out.
    let flat = mailbox.split('/').any(str::is_empty);
    let mut escaped = String::with_capacity(mailbox.len());
    for letter in mailbox.chars() {
        match letter {
            '/' if !flat => escaped.push('.'),
            '/' => escaped.push_str("\\2f"),
            '.' => escaped.push_str("\\2e"),
            '\\' => escaped.push_str("\\5c"),
            letter => escaped.push(letter),
        }
    }
    to_utf7(&escaped)
}

/// The mailbox that a file's name means; the `.` of a folder of Maildir++ was taken off. `None`: it means none.
pub fn of_file(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    // Some servers write the name as it is.
    let name = of_utf7(name).unwrap_or_else(|| name.to_owned());
    let levels: Option<Vec<String>> = name.split('.').map(level).collect();
    let mailbox = levels?.join("/");
    let fits = (1..=LONGEST).contains(&mailbox.len()) && !mailbox.chars().any(char::is_control);
    fits.then_some(mailbox)
}

/// One level, its escapes undone.
fn level(text: &str) -> Option<String> {
    let mut read = text.to_owned();
    for (escape, meant) in [("\\2e", "."), ("\\2f", "/"), ("\\5c", "\\")] {
        read = read.replace(escape, meant);
    }
    // `..` and its like.
    (!text.is_empty()).then_some(read)
}

/// RFC 3501 §5.1.3.
pub fn to_utf7(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, written: &mut String| {
        if !shifted.is_empty() {
            written.push('&');
            written.push_str(&BASE64.encode(&*shifted));
            written.push('-');
            shifted.clear();
        }
    };
    for letter in text.chars() {
        if matches!(letter, ' '..='~') {
            flush(&mut shifted, &mut written);
            written.push(letter);
            if letter == '&' {
                written.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(letter.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut shifted, &mut written);
    written
}

/// The text that modified UTF-7 means; `None` where it is none.
pub fn of_utf7(written: &str) -> Option<String> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, shifted)) = rest.split_once('&') {
        text.push_str(plain);
        let (encoded, behind) = shifted.split_once('-')?;
        rest = behind;
        if encoded.is_empty() {
            text.push('&');
            continue;
        }
        let bytes = BASE64.decode(encoded).ok()?;
        let (pairs, odd) = bytes.as_chunks::<2>();
        if !odd.is_empty() {
            return None;
        }
        let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
        for letter in char::decode_utf16(units) {
            text.push(letter.ok()?);
        }
    }
    text.push_str(rest);
    (written.is_ascii()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for (mailbox, file) in [
            ("Inbox", "Inbox"),
            ("Archive/2024", "Archive.2024"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("v1.0/a\\b", "v1\\2e0.a\\5cb"),
            ("/", "\\2f"),
            ("a//b", "a\\2f\\2fb"),
            ("..", "\\2e\\2e"),
            ("台北/日本語", "&U,BTFw-.&ZeVnLIqe-"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(to_file(mailbox), file);
            assert_eq!(of_file(file.as_bytes()).as_deref(), Some(mailbox));
        }
        assert_eq!(of_utf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(), Some("~peter/mail/台北/日本語"), "RFC 3501");
    }

    #[test]
    fn what_others_write_is_read_and_nothing_leads_out() {
        for (file, mailbox) in [
            ("Entwürfe", Some("Entwürfe")),
            ("a&b", Some("a&b")),
            ("a&AAA-b", None),
            ("", None),
            (".", None),
            ("..", None),
            ("a.", None),
            (".a", None),
            ("a..b", None),
            ("a\nb", None),
        ] {
            assert_eq!(of_file(file.as_bytes()).as_deref(), mailbox, "{file:?}");
        }
        assert_eq!(of_file(b"a\xff"), None);
        assert_eq!(of_file(&[b'a'; LONGEST]).map(|name| name.len()), Some(LONGEST));
        assert_eq!(of_file(&[b'a'; LONGEST + 1]), None);
        for mailbox in ["/", "//", "...", "a/..", "../a", "."] {
            let file = to_file(mailbox);
            assert!(!file.contains('/') && !file.starts_with('.') && file != "..", "{file}");
        }
    }
}
