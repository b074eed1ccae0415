//! What the clients print, and why they fail.
//!
//! Everything goes through [`Paper`], so that a closed pipe ends a client quietly and colour is used only where a person
//! sees it. What a server sent is shown through [`visible`]: it cannot move the cursor of a terminal.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;
use sportello_service::figure;

/// A place to print on: standard output or standard error.
pub struct Paper {
    out: BufWriter<Box<dyn Write>>,
    ink: Ink,
}

impl Paper {
    /// Standard output.
    pub fn stdout() -> Self {
        Self { ink: Ink::on(&io::stdout()), out: BufWriter::with_capacity(64 * 1024, Box::new(io::stdout())) }
    }

    /// Standard error.
    pub fn stderr() -> Self {
        Self { ink: Ink::on(&io::stderr()), out: BufWriter::new(Box::new(io::stderr())) }
    }

    /// How this paper is written on.
    pub fn ink(&self) -> Ink {
        self.ink
    }

    /// A line of text, seen at once.
    pub fn line(&mut self, text: impl fmt::Display) -> Result<(), Failed> {
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).map_err(Failed::printing)
    }

    /// Text without an end of line, seen at once.
    pub fn text(&mut self, text: impl fmt::Display) -> Result<(), Failed> {
        write!(self.out, "{text}").and_then(|()| self.out.flush()).map_err(Failed::printing)
    }

    /// Bytes as they are; seen after [`Paper::flush`] or the next line.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.out.write_all(bytes).map_err(Failed::printing)
    }

    /// One line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failed> {
        let text = serde_json::to_string(value).map_err(|error| Failed::new(format!("cannot write JSON: {error}")))?;
        self.line(text)
    }

    /// Lets everything be seen.
    pub fn flush(&mut self) -> Result<(), Failed> {
        self.out.flush().map_err(Failed::printing)
    }
}

/// Whether colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text only.
    Plain,
    /// Text with ANSI colours.
    Colour,
}

impl Ink {
    fn on(stream: &impl IsTerminal) -> Self {
        // https://no-color.org: any value but an empty one.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if stream.is_terminal() && !refused && !dumb { Self::Colour } else { Self::Plain }
    }

    /// The text in this style, or as it is.
    pub fn paint(self, style: Style, text: impl fmt::Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Colour => format!("\x1b[{}m{text}\x1b[0m", style.code()),
        }
    }
}

/// What a text is, not how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Heading,
    /// What matters least.
    Faint,
    /// A client's side.
    Client,
    /// A channel.
    Channel,
    /// A thread.
    Thread,
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Faint => "2",
            Self::Client => "36",
            Self::Channel => "33",
            Self::Thread => "35",
            Self::Good => "32",
            Self::Bad => "1;31",
        }
    }
}

/// Text from elsewhere with every control character replaced, so that a terminal shows it and obeys nothing in it.
pub fn visible(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// The same for bytes that may not be UTF-8.
pub fn visible_bytes(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes))
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    figure::grouped(number, ',')
}

/// `17 B`, `1.5 KiB`, `640 MiB`: three figures are enough to see.
pub fn byte_size(bytes: u64) -> String {
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 999.5 {
            break;
        }
        value /= 1_024.0;
        unit = larger;
    }
    if value < 99.5 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A client that could not do what it was asked: what is said about it, and the exit code.
#[derive(Debug)]
pub struct Failed {
    /// One sentence for a person; empty says nothing.
    pub message: String,
    /// 1 unless a program's own code is passed on.
    pub code: u8,
}

impl Failed {
    /// Failed with exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The same with another exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    fn printing(error: io::Error) -> Self {
        match error.kind() {
            // What reads us has seen enough: say nothing, and end as a program that SIGPIPE ends (128 + 13).
            io::ErrorKind::BrokenPipe => Self { message: String::new(), code: 141 },
            _ => Self::new(format!("cannot print: {error}")),
        }
    }
}

impl<E: std::error::Error> From<E> for Failed {
    /// The error and every cause behind it, in one sentence.
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (102_400, "100 KiB"),
            (1_023 * 1_024, "1.0 MiB"),
            (50 << 20, "50.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(byte_size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn a_terminal_is_told_nothing_by_a_server() {
        assert_eq!(visible("a\x1b[2Jb\r\n"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
        assert_eq!(visible_bytes(b"\xff\x9b31m\xc2\x9b"), "\u{fffd}\u{fffd}31m\u{fffd}");
    }

    #[test]
    fn plain_ink_adds_nothing() {
        assert_eq!(Ink::Plain.paint(Style::Bad, "x"), "x");
        assert_eq!(Ink::Colour.paint(Style::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }

    #[test]
    fn a_failure_names_every_cause() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let failed = Failed::from(Outer(io::Error::other("inner")));
        assert_eq!((failed.message.as_str(), failed.code), ("outer: inner", 1));
    }
}
