//! What came of one run of a program.

use std::time::Duration;

/// What came of one run of a program that did start.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// All it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to its standard error; the bound is [`super::Limits::stderr`].
    pub stderr: Vec<u8>,
    /// How long it waited for a place.
    pub queued: Duration,
    /// How long it ran.
    pub took: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself, with this status.
    Code(u8),
    /// A signal of this number killed it.
    Signal(u8),
    /// It was killed because its time was over.
    TimedOut,
}

impl Outcome {
    /// The last line of the diagnostics that holds anything, where it is text: what a person would want to read first.
    pub fn last_words(&self) -> Option<String> {
        let line = self.stderr.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty())?;
        Some(String::from_utf8_lossy(line).into_owned())
    }
}

/// The end of a stream: keeps the last bytes of what is pushed.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Tail {
    /// An empty one that keeps at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    /// More of the stream.
    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        let surplus = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..surplus);
    }

    /// What was kept.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_bytes() {
        let mut tail = Tail::new(4);
        tail.push(b"abcd");
        assert_eq!(tail.bytes, b"abcd");
        tail.push(b"e");
        assert_eq!(tail.bytes, b"bcde");
        tail.push(b"0123456789");
        assert_eq!(tail.into_bytes(), b"6789");
    }

    #[test]
    fn the_last_words_are_the_last_line_that_holds_anything() {
        let words = |stderr: &[u8]| {
            let outcome = Outcome {
                exit: Exit::Code(1),
                stdout: Vec::new(),
                stderr: stderr.to_vec(),
                queued: Duration::ZERO,
                took: Duration::ZERO,
            };
            outcome.last_words()
        };
        assert_eq!(words(b""), None);
        assert_eq!(words(b"\n \n"), None);
        assert_eq!(words(b"one\n two \r\n\n").as_deref(), Some("two"));
        assert_eq!(words(b"\xff").as_deref(), Some("\u{fffd}"));
    }
}
