//! One message as it stands in a file of many.

use super::FROM;
use crate::date::asctime;
use crate::mail::marks::Marks;

/// Writes one message, piece by piece.
#[derive(Debug)]
pub struct Writer {
    at: At,
}

/// Where in a message the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the beginning of a line, or behind any number of `>` there, and so many letters of `From `.
    LineStart(usize),
    Within,
}

impl Writer {
    /// Begins: the line before the message, and its flags.
    pub fn begin(sender: &str, seconds: u64, marks: Marks, into: &mut Vec<u8>) -> Self {
        let sender = sender.split(|letter: char| letter.is_whitespace() || letter.is_control()).next();
        let sender = sender.filter(|sender| !sender.is_empty()).unwrap_or("MAILER-DAEMON");
        let (status, more) = (marks.to_status(), marks.to_x_status());
        let head = format!("From {sender} {}\nStatus: {status}\nX-Status: {more}\n", asctime(seconds));
        into.extend_from_slice(head.as_bytes());
        Self { at: At::LineStart(0) }
    }

    /// Appends the next piece of the message to `into`.
    pub fn text(&mut self, mut piece: &[u8], into: &mut Vec<u8>) {
        while let Some(&byte) = piece.first() {
            let At::LineStart(held) = self.at else {
                let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
                let (line, rest) = piece.split_at(end);
                into.extend_from_slice(line);
                piece = rest;
                if line.ends_with(b"\n") {
                    self.at = At::LineStart(0);
                }
                continue;
            };
            // One `>` more among those at the beginning of a line is the same wherever it is put, so only `From ` is held.
            if FROM.get(held) == Some(&byte) {
                self.at = At::LineStart(held + 1);
                piece = piece.get(1..).unwrap_or_default();
                if held + 1 == FROM.len() {
                    into.extend_from_slice(b">From ");
                    self.at = At::Within;
                }
                continue;
            }
            into.extend_from_slice(FROM.get(..held).unwrap_or_default());
            self.at = At::Within;
            if byte == b'>' && held == 0 {
                into.push(byte);
                piece = piece.get(1..).unwrap_or_default();
                self.at = At::LineStart(0);
            }
        }
    }

    /// The end. `last` is the message's last byte: a line that has not ended is ended.
    pub fn end(self, last: Option<u8>, into: &mut Vec<u8>) {
        if let At::LineStart(held) = self.at {
            into.extend_from_slice(FROM.get(..held).unwrap_or_default());
        }
        into.extend_from_slice(if matches!(last, None | Some(b'\n')) { b"\n" } else { b"\n\n" });
    }
}
