//! The lines of a message from a file, as the store has them: ended by CR LF.
//!
//! Files of mail on Unix mostly have LF alone, and then every line is given its CR. A message whose first line ends with CR LF
//! is taken as it is, byte for byte, whatever stands in it: it was written by a program that means its bytes. Holds nothing.

/// Turns one message's lines.
#[derive(Debug, Default)]
pub struct LineEnds {
    style: Style,
    /// The last byte that came was a CR.
    behind_cr: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Style {
    /// The first line has not ended.
    #[default]
    Unknown,
    /// As they are.
    Kept,
    /// An LF that no CR precedes is given one.
    Turned,
}

impl LineEnds {
    /// Appends the next piece of the message to `into`.
    pub fn push(&mut self, piece: &[u8], into: &mut Vec<u8>) {
        let mut rest = piece;
        while self.style != Style::Kept {
            let Some(at) = memchr::memchr(b'\n', rest) else { break };
            let (before, after) = rest.split_at(at);
            let has_cr = before.last().map_or(self.behind_cr, |last| *last == b'\r');
            if self.style == Style::Unknown {
                self.style = if has_cr { Style::Kept } else { Style::Turned };
            }
            into.extend_from_slice(before);
            into.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            rest = after.get(1..).unwrap_or_default();
            self.behind_cr = false;
        }
        into.extend_from_slice(rest);
        self.behind_cr = rest.last().map_or(self.behind_cr, |last| *last == b'\r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_cr_lf() {
        for (text, expect) in [
            ("a\nb\n\nc", "a\r\nb\r\n\r\nc"),
            ("a\nb\r\nc\n", "a\r\nb\r\nc\r\n"),
            ("a\r\nb\nc\r\rd\n", "a\r\nb\nc\r\rd\n"),
            ("\na", "\r\na"),
            ("a\r\r\n\n", "a\r\r\n\n"),
            ("no end", "no end"),
            ("", ""),
        ] {
            for length in 1..=text.len().max(1) {
                let (mut ends, mut turned) = (LineEnds::default(), Vec::new());
                text.as_bytes().chunks(length).for_each(|piece| ends.push(piece, &mut turned));
                assert_eq!(String::from_utf8_lossy(&turned), expect, "{text:?} in pieces of {length}");
            }
        }
    }
}
