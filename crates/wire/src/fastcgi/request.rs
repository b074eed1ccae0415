//! A request as it goes out: BEGIN_REQUEST, its parameters, its body (FastCGI 1.0 §5.1 to §5.3).
//!
//! A pair of name and value always lies in one record. The specification lets a stream be cut anywhere, but PHP reads each record of
//! parameters by itself. So a pair that is longer than a record is refused ([`TooLong`]).

use thiserror::Error;

use super::{HEADER, RECORD_MOST, REQUEST, VERSION, kind, pairs};

/// Who closes the connection after the answer (§5.1, FCGI_KEEP_CONN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The application does.
    Close,
    /// Nobody: it is used again.
    Keep,
}

/// A parameter that does not fit into one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a parameter is longer than {RECORD_MOST} bytes")]
pub struct TooLong;

/// Writes the record that begins a request to a responder.
pub fn begin(after: After, out: &mut Vec<u8>) {
    header(kind::BEGIN_REQUEST, HEADER, out);
    let flags = match after {
        After::Close => 0,
        After::Keep => KEEP_CONN,
    };
    out.extend_from_slice(&[0, RESPONDER, flags, 0, 0, 0, 0, 0]);
}

/// The parameters of a request, as they are written.
#[derive(Debug)]
pub struct Params<'o> {
    out: &'o mut Vec<u8>,
    record: Vec<u8>,
}

impl<'o> Params<'o> {
    /// To be written to the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, record: Vec::new() }
    }

    /// One parameter.
    ///
    /// # Errors
    /// When it does not fit into a record; then it is not written.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), TooLong> {
        let length = pairs::length(name, value);
        if length > RECORD_MOST {
            return Err(TooLong);
        }
        if self.record.len().saturating_add(length) > RECORD_MOST {
            self.flush();
        }
        pairs::write(name, value, &mut self.record).ok_or(TooLong)
    }

    /// That was all: the empty record that ends the stream (§3.3).
    pub fn end(mut self) {
        self.flush();
        header(kind::PARAMS, 0, self.out);
    }

    fn flush(&mut self) {
        if !self.record.is_empty() {
            header(kind::PARAMS, self.record.len(), self.out);
            self.out.append(&mut self.record);
        }
    }
}

/// Writes a piece of the body in as many records as it takes; an empty piece is none.
pub fn stdin(piece: &[u8], out: &mut Vec<u8>) {
    for content in piece.chunks(RECORD_MOST) {
        header(kind::STDIN, content.len(), out);
        out.extend_from_slice(content);
    }
}

/// Writes the end of the body: an empty record.
pub fn end_of_stdin(out: &mut Vec<u8>) {
    header(kind::STDIN, 0, out);
}

/// `length` is at most [`RECORD_MOST`]. Nothing is padded.
fn header(kind: u8, length: usize, out: &mut Vec<u8>) {
    let [.., high, low] = length.to_be_bytes();
    let [id_high, id_low] = REQUEST.to_be_bytes();
    out.extend_from_slice(&[VERSION, kind, id_high, id_low, high, low, 0, 0]);
}

/// §5.1, FCGI_RESPONDER.
const RESPONDER: u8 = 1;
/// §5.1.
const KEEP_CONN: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The types and contents of the records in `bytes`.
    fn records(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut records = Vec::new();
        while let Some((&[1, kind, 0, 1, high, low, padding, 0], rest)) = bytes.split_first_chunk::<8>() {
            let (content, rest) = rest.split_at(usize::from(high) << 8 | usize::from(low));
            records.push((kind, content.to_vec()));
            bytes = &rest[usize::from(padding)..];
        }
        assert!(bytes.is_empty());
        records
    }

    #[test]
    fn a_whole_request_is_what_the_specification_shows() {
        let mut out = Vec::new();
        begin(After::Keep, &mut out);
        let mut params = Params::new(&mut out);
        params.add(b"A", b"bc").unwrap();
        params.add(b"D", b"").unwrap();
        params.end();
        stdin(b"body", &mut out);
        stdin(b"", &mut out);
        end_of_stdin(&mut out);
        let expect: [(u8, &[u8]); 5] =
            [(1, &[0, 1, 1, 0, 0, 0, 0, 0]), (4, b"\x01\x02Abc\x01\x00D"), (4, b""), (5, b"body"), (5, b"")];
        assert_eq!(records(&out), expect.map(|(kind, content)| (kind, content.to_vec())));
        out.clear();
        begin(After::Close, &mut out);
        assert_eq!(records(&out), [(1, vec![0, 1, 0, 0, 0, 0, 0, 0])]);
    }

    #[test]
    fn a_pair_lies_in_one_record_or_nowhere() {
        // 1 + 4 + 1 bytes around the value.
        let longest = RECORD_MOST - 6;
        let mut out = Vec::new();
        let mut params = Params::new(&mut out);
        params.add(b"S", b"first").unwrap();
        params.add(b"L", &vec![b'x'; longest]).unwrap();
        assert_eq!(params.add(b"L", &vec![b'x'; longest + 1]), Err(TooLong));
        params.add(b"T", b"last").unwrap();
        params.end();
        let lengths: Vec<usize> = records(&out).iter().map(|(_, content)| content.len()).collect();
        assert_eq!(lengths, [8, RECORD_MOST, 7, 0]);
    }

    #[test]
    fn a_long_piece_takes_several_records() {
        for (length, expect) in [(RECORD_MOST, &[RECORD_MOST][..]), (RECORD_MOST + 1, &[RECORD_MOST, 1])] {
            let mut out = Vec::new();
            stdin(&vec![b'x'; length], &mut out);
            assert_eq!(records(&out).iter().map(|(_, content)| content.len()).collect::<Vec<_>>(), expect);
        }
    }
}
