//! The records of an answer: STDOUT, STDERR, END_REQUEST (FastCGI 1.0 §3.3, §5.3, §5.5).
//!
//! Bytes may come in any pieces and none is kept, but for a header that was cut. What was not asked for is refused: another version, another request, another
//! type of record, a stream that goes on after its end. Padding and reserved bytes are passed over unread, as §3.3 says.

use std::ops::Range;

use thiserror::Error;

use super::{HEADER, REQUEST, VERSION, kind};

/// Why an answer cannot be read. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The first byte of a record.
    #[error("the application does not speak FastCGI 1: a record is of version {0}")]
    Version(u8),
    /// A record of another request, or of none.
    #[error("a record belongs to request {0}, which was not made")]
    Request(u16),
    /// A record that a responder does not send.
    #[error("a record is of type {0}, which is not awaited")]
    Kind(u8),
    /// A stream goes on after the empty record that ends it (§3.3).
    #[error("a stream goes on after its end")]
    AfterEnd,
    /// END_REQUEST is eight bytes (§5.5).
    #[error("the record that ends the request has {0} bytes")]
    EndLength(u16),
    /// A status of the protocol that there is not (§5.5).
    #[error("the request ended with the unknown status {0}")]
    EndStatus(u8),
}

/// How a request ended (§5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What the application returned; of a program, its exit status.
    pub application: u32,
    /// What became of the request.
    pub status: Status,
}

/// What became of a request (§5.5, protocolStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was answered.
    Complete,
    /// The application takes one request at a time on a connection, and was given two.
    Single,
    /// The application has no room for it now.
    Overloaded,
    /// The application is no responder.
    UnknownRole,
}

/// What one call found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes of the answer, as a range of the input.
    Stdout(Range<usize>),
    /// Bytes for the log.
    Stderr(Range<usize>),
    /// The end.
    End(Ended),
}

/// Takes an answer apart.
#[derive(Debug, Default)]
pub struct Records {
    at: At,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Debug)]
enum At {
    /// In a header, of which so many bytes are here.
    Header([u8; HEADER], usize),
    /// In the content of a record.
    Content { kind: u8, left: u16, padding: u8 },
    /// In what the END_REQUEST says, of which so many bytes are here.
    Ending { body: [u8; HEADER], have: usize, padding: u8 },
    /// Behind the content of a record; the second is what comes of it at its end.
    Padding(u8, Option<Ended>),
    /// Behind it all.
    Done,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stream {
    #[default]
    Open,
    Ended,
}

impl Default for At {
    fn default() -> Self {
        Self::Header([0; HEADER], 0)
    }
}

impl Records {
    /// Before the first byte of an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the answer has ended: then nothing more is taken, and what comes behind it is nobody's.
    pub fn is_done(&self) -> bool {
        matches!(self.at, At::Done)
    }

    /// Takes what it can from the front of `input`: how many bytes are dealt with (never to be given again), and the first thing that was
    /// found. Nothing found: all of the input is dealt with.
    ///
    /// # Errors
    /// When this is no answer to a request of ours.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Option<Found>), Error> {
        let mut used = 0;
        loop {
            if let At::Padding(0, ended) = self.at {
                self.at = At::default();
                if let Some(ended) = ended {
                    self.at = At::Done;
                    return Ok((used, Some(Found::End(ended))));
                }
            }
            let rest = input.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok((used, None));
            }
            match &mut self.at {
                At::Header(header, have) => {
                    used += fill(header, have, rest);
                    if *have == HEADER {
                        let header = *header;
                        self.at = self.begin(header)?;
                    }
                }
                At::Content { kind, left, padding } => {
                    let count = rest.len().min(usize::from(*left));
                    let (kind, range) = (*kind, used..used + count);
                    used += count;
                    // Invariant: the count is at most what was left, which has 16 bits.
                    *left -= count as u16;
                    if *left == 0 {
                        self.at = At::Padding(*padding, None);
                    }
                    let found = if kind == kind::STDOUT { Found::Stdout(range) } else { Found::Stderr(range) };
                    return Ok((used, Some(found)));
                }
                At::Ending { body, have, padding } => {
                    used += fill(body, have, rest);
                    if *have == HEADER {
                        self.at = At::Padding(*padding, Some(ended(*body)?));
                    }
                }
                At::Padding(left, _) => {
                    let count = rest.len().min(usize::from(*left));
                    used += count;
                    *left -= count as u8; // Invariant: at most what was left.
                }
                At::Done => return Ok((used, None)),
            }
        }
    }

    fn begin(&mut self, header: [u8; HEADER]) -> Result<At, Error> {
        let [version, kind, id_high, id_low, high, low, padding, _reserved] = header;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let (request, length) = (u16::from_be_bytes([id_high, id_low]), u16::from_be_bytes([high, low]));
        let stream = match kind {
            kind::STDOUT => &mut self.stdout,
            kind::STDERR => &mut self.stderr,
            kind::END_REQUEST => {
                return match length {
                    _ if request != REQUEST => Err(Error::Request(request)),
                    8 => Ok(At::Ending { body: [0; HEADER], have: 0, padding }),
                    _ => Err(Error::EndLength(length)),
                };
            }
            _ => return Err(Error::Kind(kind)),
        };
        if request != REQUEST {
            return Err(Error::Request(request));
        }
        if *stream == Stream::Ended {
            return Err(Error::AfterEnd);
        }
        if length == 0 {
            *stream = Stream::Ended;
            return Ok(At::Padding(padding, None));
        }
        Ok(At::Content { kind, left: length, padding })
    }
}

/// Fills `to` from `have` on; how many bytes it took.
fn fill(to: &mut [u8; HEADER], have: &mut usize, from: &[u8]) -> usize {
    let mut count = 0;
    for (place, byte) in to.iter_mut().skip(*have).zip(from) {
        *place = *byte;
        count += 1;
    }
    *have += count;
    count
}

fn ended(body: [u8; HEADER]) -> Result<Ended, Error> {
    let [a, b, c, d, status, ..] = body;
    let status = match status {
        0 => Status::Complete,
        1 => Status::Single,
        2 => Status::Overloaded,
        3 => Status::UnknownRole,
        unknown => return Err(Error::EndStatus(unknown)),
    };
    Ok(Ended { application: u32::from_be_bytes([a, b, c, d]), status })
}

#[cfg(test)]
mod tests;
