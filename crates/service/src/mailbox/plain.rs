//! A letter as plain text: what `MAIL READ` answers and a terminal shows.

use std::fmt::Write as _;

use super::letter::{Letter, saved_name};
use super::name::shown_lines;

/// The fields people read, an empty line, the text, and a line for each attachment. Lines end with `\n`; control characters,
/// which a terminal would obey, are gone.
pub fn plain(letter: &Letter) -> String {
    let mut plain = String::new();
    for name in ["From", "To", "Cc", "Date", "Subject"] {
        if let Some(value) = letter.field(name) {
            let _ = writeln!(plain, "{name}: {value}");
        }
    }
    plain.push('\n');
    if let Some(text) = &letter.text {
        let text = shown_lines(&text.text);
        plain.push_str(text.trim_end());
        plain.push('\n');
    }
    for part in letter.attachments.iter().filter_map(|&number| letter.part(number)) {
        let (name, bytes) = (saved_name(part), part.encoded_len());
        let _ = writeln!(plain, "[attachment {}: {name}, {}, {bytes} bytes as sent]", part.number, part.media_type);
    }
    if letter.cut {
        plain.push_str("[there is more in this message than is shown here]\n");
    }
    plain
}
