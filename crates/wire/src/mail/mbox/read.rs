//! Messages out of one file, as it comes.
//!
//! A message begins at a line `From …` that stands first or behind an empty line. Where the file's first such line has a date,
//! all must have one: a sentence that begins with `From here` in a file whose writer quotes nothing is then text. Bounded by
//! [`LONGEST_HEAD`] bytes of a line, which is all that is ever held.

use super::{FROM, FromLine, STATUS, X_STATUS};
use crate::mail::marks::Marks;

/// How much of a line is looked at: a longer one begins no message and is no field of ours.
const LONGEST_HEAD: usize = 1024;

/// What [`Reader::push`] came upon.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// There is something before the first message: this may be no such file. Said once.
    Stray,
    /// A message begins.
    Begin {
        /// What the line before it says.
        line: FromLine,
        /// Where that line begins in the input, bytes from its start.
        offset: u64,
    },
    /// The next bytes of the message, without quotes, and without the fields that keep its flags.
    Text(&'a [u8]),
    /// The message is over.
    End {
        /// Its flags.
        marks: Marks,
        /// Where the next one begins, or the input ends.
        offset: u64,
    },
}

/// Reads one file.
#[derive(Debug)]
pub struct Reader {
    /// Bytes that were taken.
    taken: u64,
    /// Where the line that is held began.
    line_offset: u64,
    held: Vec<u8>,
    place: Place,
    /// An empty line, or nothing, was before this line.
    behind_gap: bool,
    /// Whether a line that begins a message has a date; known behind the first one.
    dated: Option<bool>,
    message: Option<Message>,
    has_strayed: bool,
}

/// Where in the input the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the head of a line, which is gathered.
    Head,
    /// Behind so many `>` that they were given out, all but one, which is held with what is behind it.
    Quotes,
    /// In a line that is text.
    Text,
    /// In a line that is left out.
    LeftOut,
}

/// The message that is being read.
#[derive(Debug)]
struct Message {
    in_header: bool,
    /// Lines of the header so far, up to two.
    lines: u8,
    fields: Fields,
    /// The field that ended here is left out with what is folded under it.
    leaves_out: bool,
    marks: Marks,
    /// Whether the first line ended with CR LF.
    has_cr: Option<bool>,
    /// The last byte that was given out was a CR.
    behind_cr: bool,
    /// The LF of a last line, which may have been added by whoever wrote the file.
    lf: &'static [u8],
    /// An empty line, which may be the one behind the message.
    gap: &'static [u8],
}

/// Whose are the fields that keep flags?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fields {
    /// Anybody's: all are left out.
    Anybodys,
    /// The first line is Status.
    OursPerhaps,
    /// The first two lines are as we write them: all others are the message's own.
    Ours,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            taken: 0,
            line_offset: 0,
            held: Vec::new(),
            place: Place::Head,
            behind_gap: true,
            dated: None,
            message: None,
            has_strayed: false,
        }
    }
}

impl Reader {
    /// Takes the next bytes of the file. What the sink refuses ends it.
    pub fn push<E>(&mut self, mut input: &[u8], sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        while !input.is_empty() {
            let line_end = memchr::memchr(b'\n', input).map(|at| at + 1);
            let mut end = line_end.unwrap_or(input.len());
            match self.place {
                Place::Head | Place::Quotes => {
                    let room = LONGEST_HEAD.saturating_sub(self.held.len());
                    end = end.min(room);
                    let (piece, rest) = input.split_at(end);
                    input = rest;
                    self.taken = self.taken.saturating_add(piece.len() as u64);
                    let ends = piece.ends_with(b"\n");
                    if self.held.is_empty() && ends {
                        self.head(piece, sink)?;
                        continue;
                    }
                    self.held.extend_from_slice(piece);
                    if ends || self.held.len() >= LONGEST_HEAD {
                        let mut held = std::mem::take(&mut self.held);
                        self.head(&held, sink)?;
                        let kept = if self.place == Place::Quotes { undecided(&held) } else { held.len() };
                        held.drain(..kept);
                        self.held = held;
                    }
                }
                place @ (Place::Text | Place::LeftOut) => {
                    let (piece, rest) = input.split_at(end);
                    input = rest;
                    self.taken = self.taken.saturating_add(piece.len() as u64);
                    if place == Place::Text {
                        self.text(piece, sink)?;
                    }
                    if piece.ends_with(b"\n") {
                        self.next_line();
                    }
                }
            }
        }
        Ok(())
    }

    /// The file is over.
    pub fn finish<E>(mut self, sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.head(&held, sink)?;
        }
        let offset = self.taken;
        self.end(offset, sink)
    }

    /// The head of a line, whole if it ends with LF or with the file.
    fn head<E>(&mut self, head: &[u8], sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let is_whole = head.ends_with(b"\n");
        let goes_on = std::mem::replace(&mut self.place, Place::Text) == Place::Quotes;
        if !goes_on && let Some(line) = self.begins(head) {
            let offset = self.line_offset;
            self.end(offset, sink)?;
            self.message = Some(Message::new());
            self.next_line();
            return sink(Event::Begin { line, offset });
        }
        let is_gap = !goes_on && matches!(head, b"\n" | b"\r\n");
        if self.message.is_none() && !is_gap && !std::mem::replace(&mut self.has_strayed, true) {
            sink(Event::Stray)?;
        }
        if let Some(message) = &mut self.message
            && !goes_on
            && message.leaves_out(head)
        {
            self.place = Place::LeftOut;
        } else if is_gap && let Some(message) = &mut self.message {
            message.has_cr.get_or_insert(head.len() == 2);
            let lf = std::mem::take(&mut message.lf);
            let before = std::mem::replace(&mut message.gap, if head.len() == 1 { b"\n" } else { b"\r\n" });
            if before.is_empty() {
                message.lf = lf;
            } else {
                give(&[lf, before].concat(), sink)?;
            }
        } else if head.len() >= LONGEST_HEAD && undecided(head) < head.len() {
            // One of them is held: whether it goes will be seen.
            self.text(head.get(..undecided(head)).unwrap_or_default(), sink)?;
            self.place = Place::Quotes;
            return Ok(());
        } else {
            let text = head.strip_prefix(b">").filter(|text| is_quoted(text)).unwrap_or(head);
            self.text(text, sink)?;
        }
        if is_whole {
            self.next_line();
            self.behind_gap = is_gap;
        }
        Ok(())
    }

    /// The line that begins a message, if this is one.
    fn begins(&mut self, head: &[u8]) -> Option<FromLine> {
        let text = head.strip_prefix(FROM).filter(|_| self.behind_gap && head.len() < LONGEST_HEAD)?;
        let line = FromLine::read(text);
        if *self.dated.get_or_insert(line.seconds.is_some()) && line.seconds.is_none() {
            return None;
        }
        Some(line)
    }

    /// Bytes of a line of the message.
    fn text<E>(&mut self, piece: &[u8], sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(message) = &mut self.message else { return Ok(()) };
        let (lf, gap) = (std::mem::take(&mut message.lf), std::mem::take(&mut message.gap));
        if !gap.is_empty() || !lf.is_empty() {
            give(&[lf, gap].concat(), sink)?;
        }
        let behind_cr = std::mem::replace(&mut message.behind_cr, piece.ends_with(b"\r"));
        let Some(line) = piece.strip_suffix(b"\n") else { return give(piece, sink) };
        let ends_with_cr = line.last().map_or(behind_cr, |last| *last == b'\r');
        // Where we wrote the file, also the LF of a message without a line end.
        let may_be_added = message.has_cr.unwrap_or(ends_with_cr || message.fields == Fields::Ours);
        message.has_cr.get_or_insert(ends_with_cr);
        if may_be_added && !ends_with_cr {
            message.lf = b"\n";
            return give(line, sink);
        }
        give(piece, sink)
    }

    fn next_line(&mut self) {
        self.place = Place::Head;
        self.line_offset = self.taken;
        self.behind_gap = false;
    }

    /// Ends the message that there is. The empty line behind it is not its own, nor is, in a message of lines that end with
    /// CR LF, the LF before that line.
    fn end<E>(&mut self, offset: u64, sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(message) = self.message.take() else { return Ok(()) };
        if message.gap.is_empty() {
            give(message.lf, sink)?;
        }
        sink(Event::End { marks: message.marks, offset })
    }
}

impl Message {
    fn new() -> Self {
        Self {
            in_header: true,
            lines: 0,
            fields: Fields::Anybodys,
            leaves_out: false,
            marks: Marks::NONE,
            has_cr: None,
            behind_cr: false,
            lf: b"",
            gap: b"",
        }
    }

    /// Whether this line of the header keeps flags: then they are noted, and it is not the message's own.
    fn leaves_out(&mut self, head: &[u8]) -> bool {
        if !self.in_header {
            return false;
        }
        if matches!(head, b"\n" | b"\r\n") {
            self.in_header = false;
            return false;
        }
        if matches!(head, [b' ' | b'\t', ..]) {
            return self.leaves_out;
        }
        let colon = memchr::memchr(b':', head).unwrap_or(head.len());
        let (name, body) = head.split_at(colon);
        let name = name.trim_ascii_end().to_ascii_lowercase();
        let place = self.lines;
        self.lines = place.saturating_add(1).min(2);
        let read = match (name.as_slice(), self.fields, place) {
            (_, Fields::Ours, _) => None,
            (STATUS, _, _) => {
                self.fields = if place == 0 { Fields::OursPerhaps } else { Fields::Anybodys };
                Some(Marks::of_status(body))
            }
            (X_STATUS, fields, _) => {
                self.fields = if fields == Fields::OursPerhaps && place == 1 { Fields::Ours } else { Fields::Anybodys };
                Some(Marks::of_x_status(body))
            }
            _ => None,
        };
        self.marks = self.marks.with(read.unwrap_or_default());
        // We fold none: what follows ours is the message's own, however it begins.
        self.leaves_out = read.is_some() && self.fields != Fields::Ours;
        read.is_some()
    }
}

/// Where the last of the `>` stands that a line begins with, if what is behind it may become `From `; else the line's end.
fn undecided(head: &[u8]) -> usize {
    let quotes = head.iter().take_while(|byte| **byte == b'>').count();
    let is_open = head.get(quotes..).is_some_and(|rest| rest.len() < FROM.len() && FROM.starts_with(rest));
    if is_open { quotes.saturating_sub(1) } else { head.len() }
}

/// Whether what is behind a `>` shows that it was put there.
fn is_quoted(text: &[u8]) -> bool {
    let quotes = text.iter().take_while(|byte| **byte == b'>').count();
    text.get(quotes..).is_some_and(|text| text.starts_with(FROM))
}

fn give<E>(text: &[u8], sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
    if text.is_empty() { Ok(()) } else { sink(Event::Text(text)) }
}
