//! What was said to another server and by it, as text for people.
//!
//! Never the text of a message, only its length, and nothing of what AUTH says. Bounded by [`BEGIN`] and [`END`]: what is between the beginning and the end of
//! a long conversation is left out.

use std::collections::VecDeque;

/// The conversation so far.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    begin: String,
    end: VecDeque<String>,
    end_bytes: usize,
    left_out: bool,
    /// What was said on our side is secret.
    secret: bool,
}

/// Bytes of its beginning that are kept.
const BEGIN: usize = 5 * 1024;
/// Bytes of its end that are kept.
const END: usize = 2 * 1024;
/// Characters of a line.
const LINE: usize = 300;

impl Transcript {
    /// Words of our own.
    pub(super) fn note(&mut self, text: &str) {
        self.line("*", text);
    }

    /// Commands that leave.
    pub(super) fn said(&mut self, commands: &[u8]) {
        let text = String::from_utf8_lossy(commands);
        for line in text.split_terminator("\r\n") {
            if self.secret {
                self.line(">", "(secret)");
            } else if let Some((auth, rest)) =
                line.split_once(' ').filter(|(word, _)| word.eq_ignore_ascii_case("AUTH"))
            {
                let mechanism = rest.split(' ').next().unwrap_or_default();
                self.line(">", &format!("{auth} {mechanism} (secret)"));
            } else {
                self.line(">", line);
            }
        }
    }

    /// Lines that came.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for line in text.split_terminator("\r\n") {
            // What a server says back of a proof of identity is not for everybody either.
            let shown = if self.secret && line.starts_with("334") { "334 (secret)" } else { line };
            self.line("<", shown);
        }
    }

    /// From now on, until it is told otherwise, what we say is secret.
    pub(super) fn keep_secret(&mut self, secret: Secret) {
        self.secret = secret == Secret::Yes;
    }

    fn line(&mut self, mark: &str, text: &str) {
        let shown: String =
            text.chars().take(LINE).map(|character| if character.is_control() { '?' } else { character }).collect();
        let more = if text.chars().nth(LINE).is_some() { " …" } else { "" };
        let line = format!("{mark} {shown}{more}\n");
        if self.end.is_empty() && !self.left_out && self.begin.len() + line.len() <= BEGIN {
            self.begin += &line;
            return;
        }
        self.end_bytes += line.len();
        self.end.push_back(line);
        while self.end_bytes > END {
            let Some(oldest) = self.end.pop_front() else { break };
            self.end_bytes -= oldest.len();
            self.left_out = true;
        }
    }

    /// All of it.
    pub(super) fn text(self) -> String {
        let between = if self.left_out { "* …\n" } else { "" };
        let end: String = self.end.into_iter().collect();
        self.begin + between + &end
    }
}

/// Whether what follows is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_kept() {
        let mut transcript = Transcript::default();
        transcript.said(b"EHLO a\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n");
        transcript.keep_secret(Secret::Yes);
        transcript.heard(b"334 cj1y\r\n235 Ok\r\n");
        transcript.said(b"cGFzcw==\r\n");
        transcript.keep_secret(Secret::No);
        transcript.said(b"QUIT\r\n");
        let text = transcript.text();
        assert_eq!(text, "> EHLO a\n> AUTH PLAIN (secret)\n< 334 (secret)\n< 235 Ok\n> (secret)\n> QUIT\n");
    }

    #[test]
    fn it_is_bounded_and_shows_beginning_and_end() {
        let mut transcript = Transcript::default();
        for at in 0..10_000 {
            transcript.heard(format!("250-line {at}\x1b[2J\r\n").as_bytes());
        }
        transcript.note(&"ü".repeat(LINE + 1));
        let text = transcript.text();
        assert!(text.len() <= BEGIN + END + 8, "{}", text.len());
        assert!(text.starts_with("< 250-line 0?[2J\n") && text.contains("* …\n< 250-line 99"), "{text}");
        assert!(text.ends_with(&format!("* {} …\n", "ü".repeat(LINE))));
    }
}
