//! A body in the relaxed form that signatures are over (RFC 6376 §3.4.4): white space made one space, none at the end of a line, no
//! empty line at the end of all.
//!
//! A line of nothing but spaces is an empty one, since spaces go before lines do. Takes a body in pieces and gives it out in pieces.
//! Bounded by: [`PIECE`]; how many line ends wait is counted, not kept.

/// A body on its way into its relaxed form.
#[derive(Debug)]
pub struct Relaxed {
    /// Line ends that are written only when something follows them.
    breaks: u64,
    /// Whether white space waits in the same way, behind them.
    space: Waits,
    /// Whether the last byte was a CR.
    carriage: Waits,
    is_empty: bool,
    piece: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Yes,
    No,
}

/// The most bytes that are given out at once.
pub const PIECE: usize = 8 << 10;

impl Default for Relaxed {
    fn default() -> Self {
        Self::new()
    }
}

impl Relaxed {
    /// Of nothing so far.
    pub fn new() -> Self {
        Self { breaks: 0, space: Waits::No, carriage: Waits::No, is_empty: true, piece: Vec::new() }
    }

    /// Takes the next bytes of the body.
    pub fn take(&mut self, mut bytes: &[u8], mut give: impl FnMut(&[u8])) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.carriage == Waits::Yes {
                self.carriage = Waits::No;
                if first == b'\n' {
                    self.breaks = self.breaks.saturating_add(1);
                    self.space = Waits::No;
                    bytes = rest;
                    continue;
                }
                // A CR alone is a byte like others.
                self.text(b"\r", &mut give);
            }
            match first {
                b'\r' => (self.carriage, bytes) = (Waits::Yes, rest),
                b' ' | b'\t' => (self.space, bytes) = (Waits::Yes, rest),
                _ => {
                    let end = memchr::memchr3(b'\r', b' ', b'\t', bytes).unwrap_or(bytes.len());
                    let (now, later) = bytes.split_at(end);
                    self.text(now, &mut give);
                    bytes = later;
                }
            }
        }
        self.give_out(&mut give);
    }

    /// The body is at its end.
    pub fn finish(mut self, mut give: impl FnMut(&[u8])) {
        if self.carriage == Waits::Yes {
            self.text(b"\r", &mut give);
        }
        if !self.is_empty {
            self.put(b"\r\n", &mut give);
        }
        self.give_out(&mut give);
    }

    fn text(&mut self, text: &[u8], give: &mut impl FnMut(&[u8])) {
        self.is_empty = false;
        while self.breaks > 0 {
            self.breaks -= 1;
            self.put(b"\r\n", give);
        }
        if self.space == Waits::Yes {
            self.space = Waits::No;
            self.put(b" ", give);
        }
        self.put(text, give);
    }

    fn put(&mut self, bytes: &[u8], give: &mut impl FnMut(&[u8])) {
        for bytes in bytes.chunks(PIECE) {
            if self.piece.len() + bytes.len() > PIECE {
                self.give_out(give);
            }
            self.piece.extend_from_slice(bytes);
        }
    }

    fn give_out(&mut self, give: &mut impl FnMut(&[u8])) {
        if !self.piece.is_empty() {
            give(&self.piece);
            self.piece.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relaxed(body: &[u8], piece: usize) -> Vec<u8> {
        let (mut relaxed, mut given) = (Relaxed::new(), Vec::new());
        let mut give = |bytes: &[u8]| {
            assert!(bytes.len() <= PIECE);
            given.extend_from_slice(bytes);
        };
        for bytes in body.chunks(piece) {
            relaxed.take(bytes, &mut give);
        }
        relaxed.finish(&mut give);
        given
    }

    #[test]
    fn bodies() {
        for (body, expect) in [
            ("", ""),
            ("\r\n", ""),
            (" \t\r\n\r\n", ""),
            ("a", "a\r\n"),
            ("a\r\n", "a\r\n"),
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("a\r\n  \r\n\r\n\r\n", "a\r\n"),
            ("a\r\n \t\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
            ("\r\n\r\na", "\r\n\r\na\r\n"),
            ("\t a\r\n b ", " a\r\n b\r\n"),
            ("a\rb\nc\r", "a\rb\nc\r\r\n"),
            ("a\r\r\n", "a\r\r\n"),
            ("a \r b", "a \r b\r\n"),
        ] {
            for piece in 1..=body.len().max(1) {
                let given = relaxed(body.as_bytes(), piece);
                assert_eq!(String::from_utf8_lossy(&given), expect, "{body:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn its_form_is_its_own_form() {
        let mut seed = 1_u64;
        for _ in 0..5_000 {
            let mut body = Vec::new();
            for _ in 0..30 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let alphabet = b"ab \t\r\n\r\n";
                body.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            let once = relaxed(&body, 7);
            assert_eq!(relaxed(&once, 30), once, "{:?}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn many_line_ends_are_counted_and_not_kept() {
        let body = [b"\r\n".repeat(PIECE), b"x".repeat(PIECE + 1)].concat();
        assert_eq!(relaxed(&body, 1_000), [body.as_slice(), b"\r\n"].concat());
    }
}
