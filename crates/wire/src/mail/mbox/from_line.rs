//! The line before a message: `From ada@example.org Sun Nov  6 08:49:37 1994`.
//!
//! Written since 1975 by many hands: with a zone behind the time or the year, without seconds, without a sender.

use crate::mail::date;

/// What the line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromLine {
    /// Whom it names as the sender, at most [`FromLine::LONGEST_SENDER`] bytes; empty where it names nobody.
    pub sender: String,
    /// When the message was received, seconds since 1970, where that can be read.
    pub seconds: Option<u64>,
}

impl FromLine {
    /// The most bytes of a sender.
    pub const LONGEST_SENDER: usize = 320;

    /// Reads what is behind `From `.
    pub(super) fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let dated = (0..words.len()).find_map(|at| Some((at, moment(words.get(at..)?)?)));
        let (senders, seconds) = match dated {
            Some((at, seconds)) => (at, Some(seconds)),
            None => (words.len(), None),
        };
        let sender = words.first().filter(|_| senders > 0).copied().unwrap_or_default();
        let is_somebody = sender.len() <= Self::LONGEST_SENDER && !matches!(sender, "-" | "MAILER-DAEMON" | "???@???");
        Self { sender: if is_somebody { sender.to_owned() } else { String::new() }, seconds }
    }
}

/// `Sun Nov 6 08:49:37 [zone] 1994 [zone]`.
fn moment(words: &[&str]) -> Option<u64> {
    let [weekday, month, day, clock, rest @ ..] = words else { return None };
    let is_weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].contains(&weekday.trim_end_matches(','));
    if !is_weekday {
        return None;
    }
    let is_year = |word: &&&str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let rest = rest.get(..3).unwrap_or(rest);
    let year = rest.iter().find(is_year)?;
    let zone = rest.iter().find(|word| !is_year(word)).copied().unwrap_or("+0000");
    date::parse(format!("{day} {month} {year} {clock} {zone}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_they_are_written() {
        for (line, sender, seconds) in [
            ("ada@example.org Sun Nov  6 08:49:37 1994", "ada@example.org", Some(784_111_777)),
            ("ada@example.org  Sun Nov  6 08:49 1994", "ada@example.org", Some(784_111_740)),
            ("- Sun Nov 06 08:49:37 1994", "", Some(784_111_777)),
            ("MAILER-DAEMON Sun Nov  6 08:49:37 1994", "", Some(784_111_777)),
            ("???@??? Sun Nov 06 09:49:37 1994 +0100", "", Some(784_111_777)),
            ("1234@xxx Sun Nov 06 09:49:37 +0100 1994", "1234@xxx", Some(784_111_777)),
            ("ada Sun Nov  6 00:49:37 PST 1994 remote from here", "ada", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", "", Some(784_111_777)),
            ("Sun Sun Nov  6 08:49:37 1994", "Sun", Some(784_111_777)),
            ("here on all is well", "here", None),
            ("ada Sun Nov  6 08:49:37", "ada", None),
            ("ada Sun Nov 31 08:49:37 1994", "ada", None),
            ("", "", None),
        ] {
            let expect = FromLine { sender: sender.to_owned(), seconds };
            assert_eq!(FromLine::read(line.as_bytes()), expect, "{line}");
        }
        let long = "a".repeat(FromLine::LONGEST_SENDER);
        assert_eq!(FromLine::read(long.as_bytes()).sender, long);
        assert_eq!(FromLine::read(format!("{long}a").as_bytes()).sender, "");
    }
}
