//! Parts of mails on their way out: to a file of the reader's, or into the frame as `data:` URLs.

use std::collections::HashMap;

use crate::mailbox::Letter;
use crate::mailbox::letter::part_body;
use crate::mailbox::structure::{Kind, Part};

/// `Content-Disposition: attachment` with a name that any client reads (RFC 6266 §4.3, Appendix D): plain ASCII for old ones,
/// RFC 8187 for the others. `name` is made safe already; here it only must not break the field.
pub(super) fn disposition(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut extended = String::with_capacity(name.len());
    for letter in name.chars() {
        let fits = letter.is_ascii() && !letter.is_ascii_control() && !matches!(letter, '"' | '\\' | '%');
        plain.push(if fits { letter } else { '_' });
        let mut bytes = [0; 4];
        for &byte in letter.encode_utf8(&mut bytes).as_bytes() {
            // attr-char of RFC 8187 §3.2.1.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                extended.push(char::from(byte));
            } else {
                extended.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}")
}

/// The type a part is saved with: its own where no browser can run it, else bytes.
pub(super) fn media_type(part: &Part) -> &'static str {
    HARMLESS.iter().find(|&&harmless| harmless == part.media_type).copied().unwrap_or("application/octet-stream")
}

/// A `data:` URL for each picture that the HTML of this message may name by its Content-ID (RFC 2392).
pub(super) fn pictures(message: &[u8], letter: &Letter) -> HashMap<String, String> {
    let mut pictures = HashMap::new();
    let mut left = MOST_PICTURE_BYTES;
    for part in &letter.structure.parts {
        let Some(id) = part.content_id.as_deref().filter(|_| part.kind == Kind::Leaf) else { continue };
        let Some(media_type) = PICTURES.iter().find(|&&picture| picture == part.media_type) else { continue };
        if part.encoded_len() > left {
            continue;
        }
        left = left.saturating_sub(part.encoded_len());
        let id = id.trim_matches(['<', '>']).to_owned();
        pictures.entry(id).or_insert_with(|| format!("data:{media_type};base64,{}", base64(&part_body(message, part))));
    }
    pictures
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4usize {
            let value = (group >> (18 - 6 * digit)) & 63;
            // Invariant: six bits index 64 letters.
            text.push(if digit <= chunk.len() { char::from(ALPHABET[value as usize]) } else { '=' });
        }
    }
    text
}

/// Types that a browser only ever shows or saves. SVG and HTML are not among them: they can hold scripts.
const HARMLESS: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/json",
    "message/rfc822",
    "text/calendar",
    "text/csv",
    "text/plain",
];

/// Pictures that may stand in the frame.
const PICTURES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"];

/// Encoded bytes of all pictures put into one frame; those beyond stay attachments.
const MOST_PICTURE_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disposition_holds_any_name() {
        for (name, field) in [
            ("report.pdf", "attachment; filename=\"report.pdf\""),
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("a\"b\\c.txt", "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
            ("ré.pdf", "attachment; filename=\"r_.pdf\"; filename*=UTF-8''r%C3%A9.pdf"),
            (
                "a\r\nSet-Cookie: x",
                "attachment; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x",
            ),
            ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
        ] {
            assert_eq!(disposition(name), field, "{name:?}");
        }
    }

    #[test]
    fn base64_is_as_rfc_4648_lists_it() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
