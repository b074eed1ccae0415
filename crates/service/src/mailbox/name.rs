//! Text of strangers, made fit to be shown and to name files.
//!
//! Knows no HTML: escaping is the page's. What is taken away is what deceives the eye or a file system: control characters,
//! the marks that turn the direction of writing, folders, the characters that Windows forbids.

/// `text` on one line, without control and direction characters, at most `most` characters.
pub fn shown(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    let mut left = most;
    for letter in text.chars() {
        if is_deceptive(letter) {
            continue;
        }
        if left == 0 {
            shown.push('…');
            break;
        }
        left = left.saturating_sub(1);
        shown.push(if letter.is_whitespace() || letter.is_control() { ' ' } else { letter });
    }
    shown
}

/// Text of many lines without what deceives; line ends are `\n`, tabs stay.
pub fn shown_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' => shown.push('\n'),
            '\n' | '\t' => shown.push(letter),
            letter if is_deceptive(letter) || letter.is_control() => {}
            letter => shown.push(letter),
        }
    }
    shown
}

/// A name that a file may be saved under: one path component, at most [`MOST_NAME`] bytes, its extension kept.
pub fn file_name(sent: Option<&str>, fallback: &str) -> String {
    let sent = sent.unwrap_or_default();
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|&letter| !is_deceptive(letter) && !letter.is_control())
        .map(
            |letter| {
                if r#"<>:"|?*"#.contains(letter) || letter.is_whitespace() && letter != ' ' { '_' } else { letter }
            },
        )
        .collect();
    let clean = clean.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']);
    if clean.is_empty() {
        return fallback.to_owned();
    }
    if clean.len() <= MOST_NAME {
        return clean.to_owned();
    }
    let extension = clean.rsplit_once('.').map(|(_, extension)| extension).filter(|text| text.len() <= 24);
    match extension {
        Some(extension) => {
            let kept = MOST_NAME.saturating_sub(extension.len()).saturating_sub(1);
            format!("{}.{extension}", front(clean, kept))
        }
        None => front(clean, MOST_NAME).to_owned(),
    }
}

/// As much of a text as has room in so many bytes, no character cut in two.
fn front(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// The longest name a part is saved under, in bytes: a file system takes 255 at most, and whoever saves it may add to the name.
pub const MOST_NAME: usize = 200;

/// Characters that change how others look without being seen: the bidirectional controls (Unicode TR 36 §2.5 tells of the
/// harm), zero-width ones, and the byte-order mark. The zero-width joiners stay: scripts and emoji need them.
fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_taken_away() {
        for (sent, most, fit) in [
            ("Hello", 10, "Hello"),
            ("a\r\nBcc: x", 20, "a  Bcc: x"),
            ("exe.\u{202e}gpj", 20, "exe.gpj"),
            ("tab\there\0", 20, "tab here "),
            ("12345", 5, "12345"),
            ("123456", 5, "12345…"),
        ] {
            assert_eq!(shown(sent, most), fit);
        }
        assert_eq!(shown_lines("a\r\nb\rc\u{7}\td\u{2066}"), "a\nb\nc\td");
    }

    #[test]
    fn a_name_is_one_component_that_every_system_takes() {
        for (sent, fit) in [
            (Some("report.pdf"), "report.pdf"),
            (Some("../../etc/passwd"), "passwd"),
            (Some(r"C:\Windows\evil.exe"), "evil.exe"),
            (Some("a\"b<c>|d?.txt"), "a_b_c__d_.txt"),
            (Some("photo\u{202e}gpj.exe"), "photogpj.exe"),
            (Some("two\r\nlines.txt"), "twolines.txt"),
            (Some(".hidden"), "hidden"),
            (Some("dots..."), "dots"),
            (Some(".."), "part-1"),
            (Some("/"), "part-1"),
            (Some(""), "part-1"),
            (None, "part-1"),
            (Some("日本語.txt"), "日本語.txt"),
        ] {
            assert_eq!(file_name(sent, "part-1"), fit, "{sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let fits = format!("{}.txt", "n".repeat(MOST_NAME - 4));
        assert_eq!(file_name(Some(&fits), "x"), fits);
        let long = format!("{}.txt", "n".repeat(MOST_NAME - 3));
        assert_eq!(file_name(Some(&long), "x"), fits);
        assert_eq!(file_name(Some(&"n".repeat(MOST_NAME + 1)), "x"), "n".repeat(MOST_NAME));
        // Found by fuzzing: 120 characters of four bytes each are too long for any file system.
        let wide = file_name(Some(&format!("{}.pdf", "\u{10ffff}".repeat(120))), "x");
        assert_eq!(wide, format!("{}.pdf", "\u{10ffff}".repeat(49)));
    }
}
