//! The header of a message, changed as it passes: fields dropped, fields added, authors noted.
//!
//! What follows the header is passed on by reference. Knows neither who may send as whom nor what time it is: it is told what to add,
//! and tells whom the message says it is from. Bounded by: [`LONGEST_FIELD`] octets held, whatever the header's length.

use thiserror::Error;

use super::address::Address;
use super::author;
use super::header::{self, Field, Fields};

/// Octets of a field that is looked into; of longer ones only the name is.
pub const LONGEST_FIELD: usize = 16 * 1024;
/// Octets at the start that may be held until it is known whether there is a header; no name of a field is longer.
const BEGINNING: usize = 256;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Mail from another server: it is left as it is but for Authentication-Results that say they are ours (RFC 8601 §5).
    Arriving {
        /// Who we are in this field.
        authserv_id: Box<str>,
    },
    /// Mail that somebody hands in: Bcc and Return-Path are dropped, and so is what says that we have judged it. What must be there
    /// and is not is added (RFC 6409 §8). Its header must be one.
    Submitted {
        /// Who we are in Authentication-Results.
        authserv_id: Box<str>,
        /// The fields to add where they are missing, without line ends: From, Date and Message-ID.
        missing: Box<Missing>,
    },
}

/// What is added where it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The sender of the envelope; without one a message without From is refused.
    pub from: Option<Address>,
    /// Now, as RFC 5322 §3.3 writes it.
    pub date: String,
    /// With its angle brackets.
    pub message_id: String,
}

/// Why a message cannot be sent so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A line of the header is no field: one reader would end the header there, another would not.
    #[error("a line of the header is no field")]
    NotAField,
    /// RFC 5322 §3.6: From comes once.
    #[error("the header has more than one From field")]
    Authors,
    /// The From field is longer than [`LONGEST_FIELD`].
    #[error("the From field is too long")]
    TooLong,
    /// The From field is no list of addresses.
    #[error("the From field is malformed")]
    From(#[source] author::Error),
    /// There is none, and nobody to name in it.
    #[error("the header has no From field")]
    NoAuthor,
}

/// Changes one message.
#[derive(Debug)]
pub struct Rewriter {
    plan: Plan,
    state: State,
    /// What has come of the field under way, as far as it is held.
    held: Vec<u8>,
    authors: Option<Vec<Address>>,
    has_date: bool,
    has_message_id: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Whether there is a header is not known.
    Beginning,
    /// At the start of a line, behind a field that is treated so.
    LineStart(Treatment),
    /// Within a line of a field.
    Line(Treatment),
    /// Behind the CR of the empty line.
    EmptyLine,
    /// The header is over.
    Over,
}

/// What becomes of the octets of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Hold,
    Pass,
    Drop,
}

impl Rewriter {
    /// One that follows this plan.
    pub fn new(plan: Plan) -> Self {
        let (state, held) = (State::Beginning, Vec::new());
        Self { plan, state, held, authors: None, has_date: false, has_message_id: false }
    }

    /// Takes the next octets of the message. Appends what is to be written first to `out`; what is to be written behind that, as it
    /// is, is returned.
    pub fn push<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Fault> {
        if self.state == State::Over {
            return Ok(piece);
        }
        if self.state != State::Beginning {
            return self.header(piece, out);
        }
        let (first, rest) = piece.split_at(piece.len().min(BEGINNING.saturating_sub(self.held.len())));
        self.held.extend_from_slice(first);
        let begins = header::begins(&self.held);
        if begins.is_none() && self.held.len() < BEGINNING {
            return Ok(b"");
        }
        let beginning = std::mem::take(&mut self.held);
        if begins != Some(true) {
            self.without_header(&beginning, out)?;
            return Ok(rest);
        }
        self.state = State::LineStart(Treatment::Pass);
        let body = self.header(&beginning, out)?;
        if self.state == State::Over {
            out.extend_from_slice(body);
            return Ok(rest);
        }
        self.header(rest, out)
    }

    /// The message is over, perhaps within its header. Appends what is left to be written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.state {
            State::Over => Ok(()),
            State::Beginning => {
                let beginning = std::mem::take(&mut self.held);
                if header::begins(&beginning) == Some(true) {
                    self.state = State::LineStart(Treatment::Pass);
                    self.header(&beginning, out)?;
                    return self.finish(out);
                }
                self.without_header(&beginning, out)
            }
            _ => {
                self.end_field(out)?;
                self.end_header(out)?;
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }

    /// Whom the From field names, once the header is over. Nobody where it was not looked for.
    pub fn authors(&self) -> &[Address] {
        self.authors.as_deref().unwrap_or_default()
    }

    /// Whether the header is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn without_header(&mut self, beginning: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.end_header(out)?;
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(beginning);
        Ok(())
    }

    fn header<'a>(&mut self, mut piece: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Fault> {
        while let Some(&first) = piece.first() {
            match self.state {
                State::LineStart(treatment) if matches!(first, b' ' | b'\t') => self.state = State::Line(treatment),
                State::LineStart(_) => {
                    self.end_field(out)?;
                    self.state = if first == b'\r' { State::EmptyLine } else { State::Line(Treatment::Hold) };
                    if first == b'\r' {
                        piece = piece.get(1..).unwrap_or_default();
                    }
                }
                State::Line(treatment) => {
                    let end = memchr::memchr(b'\n', piece).map(|at| at + 1);
                    let (line, rest) = piece.split_at(end.unwrap_or(piece.len()));
                    let treatment = self.treat(line, treatment, out)?;
                    self.state = if end.is_some() { State::LineStart(treatment) } else { State::Line(treatment) };
                    piece = rest;
                }
                State::EmptyLine => {
                    self.end_header(out)?;
                    out.extend_from_slice(b"\r\n");
                    return Ok(piece.get(1..).unwrap_or_default());
                }
                State::Beginning | State::Over => return Ok(piece),
            }
        }
        Ok(b"")
    }

    /// Part of a field.
    fn treat(&mut self, line: &[u8], treatment: Treatment, out: &mut Vec<u8>) -> Result<Treatment, Fault> {
        match treatment {
            Treatment::Drop => {}
            Treatment::Pass => out.extend_from_slice(line),
            Treatment::Hold if self.held.len().saturating_add(line.len()) <= LONGEST_FIELD => {
                self.held.extend_from_slice(line);
            }
            Treatment::Hold => {
                let kept = line.get(..LONGEST_FIELD.saturating_sub(self.held.len())).unwrap_or(line);
                self.held.extend_from_slice(kept);
                let held = std::mem::take(&mut self.held);
                let field = Fields::new(&held).next();
                return match field {
                    Some(field) if field.is("From") && self.is_submitted() => Err(Fault::TooLong),
                    Some(field) if self.is_dropped(&field) => Ok(Treatment::Drop),
                    None if self.is_submitted() => Err(Fault::NotAField),
                    field => {
                        self.note(field.as_ref());
                        out.extend_from_slice(&held);
                        out.extend_from_slice(line.get(kept.len()..).unwrap_or_default());
                        Ok(Treatment::Pass)
                    }
                };
            }
        }
        Ok(treatment)
    }

    /// A field that was held is whole.
    fn end_field(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        let field = Fields::new(&held).next();
        if self.is_submitted() {
            match &field {
                // RFC 5322 §4.5 has it; a mailbox file's first line is known everywhere.
                None if !held.starts_with(b"From ") && !held.starts_with(b">From ") => return Err(Fault::NotAField),
                Some(field) if field.is("From") => {
                    let authors = author::addresses(field.body).map_err(Fault::From)?;
                    if self.authors.replace(authors).is_some() {
                        return Err(Fault::Authors);
                    }
                }
                _ => {}
            }
        }
        if field.as_ref().is_some_and(|field| self.is_dropped(field)) {
            return Ok(());
        }
        self.note(field.as_ref());
        out.extend_from_slice(&held);
        Ok(())
    }

    fn note(&mut self, field: Option<&Field<'_>>) {
        self.has_date |= field.is_some_and(|field| field.is("Date"));
        self.has_message_id |= field.is_some_and(|field| field.is("Message-ID"));
    }

    fn is_submitted(&self) -> bool {
        matches!(self.plan, Plan::Submitted { .. })
    }

    fn is_dropped(&self, field: &Field<'_>) -> bool {
        let (Plan::Arriving { authserv_id } | Plan::Submitted { authserv_id, .. }) = &self.plan;
        match field.name.len() {
            22 if field.is("Authentication-Results") => claims(field.body, authserv_id),
            3 if field.is("Bcc") => self.is_submitted(),
            10 | 11 if field.is("Resent-Bcc") || field.is("Return-Path") => self.is_submitted(),
            _ => false,
        }
    }

    /// The header is over but for its empty line: what is missing is added.
    fn end_header(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.state = State::Over;
        let Plan::Submitted { missing, .. } = &self.plan else { return Ok(()) };
        let mut add = |name: &str, body: &str| out.extend_from_slice(format!("{name}: {body}\r\n").as_bytes());
        if self.authors.as_ref().is_none_or(Vec::is_empty) {
            if self.authors.is_some() {
                return Err(Fault::From(author::Error::Malformed));
            }
            let from = missing.from.clone().ok_or(Fault::NoAuthor)?;
            add("From", &from.to_string());
            self.authors = Some(vec![from]);
        }
        if !self.has_date {
            add("Date", &missing.date);
        }
        if !self.has_message_id {
            add("Message-ID", &missing.message_id);
        }
        Ok(())
    }
}

/// Whether an Authentication-Results field says that it is ours (RFC 8601 §2.2), or cannot be read.
fn claims(body: &[u8], authserv_id: &str) -> bool {
    let Some(body) = std::str::from_utf8(body).ok().and_then(author::behind_space) else { return true };
    let id = match body.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => body.split(|character: char| " \t\r\n;(".contains(character)).next(),
    };
    let id = id.unwrap_or_default();
    id.is_empty() || id.contains('\\') || id.eq_ignore_ascii_case(authserv_id)
}

#[cfg(test)]
mod tests;
