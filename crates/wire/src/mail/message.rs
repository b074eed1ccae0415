//! What a list of messages shows of one: who, to whom, about what, when.
//!
//! Read once, while the message arrives, from its header block; junk gives empty strings, never an error. Bounded by:
//! [`Summary::LONGEST`] per field, [`Gatherer::MOST`] bytes of header looked at.

use crate::mail::header::{self, Field, Fields};
use crate::mail::{date, encoded_word};

/// The fields a list shows, decoded for people; empty where the message has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The From field.
    pub from: String,
    /// The To field.
    pub to: String,
    /// The Subject field.
    pub subject: String,
    /// The Date field, seconds since 1970.
    pub date_unix: Option<u64>,
    /// The Message-ID field, its angle brackets kept.
    pub message_id: String,
}

impl Summary {
    /// The most bytes of UTF-8 in each text.
    pub const LONGEST: usize = 512;

    /// Reads the header at the start of `message`, if it has one. Of a field that comes twice the first counts.
    pub fn of(message: &[u8]) -> Self {
        let mut summary = Self::default();
        if header::begins(message) == Some(false) {
            return summary;
        }
        for field in Fields::new(message) {
            // The length alone tells most of the other fields apart.
            match field.name.len() {
                2 if field.is("to") => take(&mut summary.to, &field),
                4 if field.is("from") => take(&mut summary.from, &field),
                4 if field.is("date") && summary.date_unix.is_none() => summary.date_unix = date::parse(field.body),
                7 if field.is("subject") => take(&mut summary.subject, &field),
                10 if field.is("message-id") => take(&mut summary.message_id, &field),
                _ => {}
            }
        }
        summary
    }
}

fn take(into: &mut String, field: &Field<'_>) {
    if into.is_empty() {
        *into = encoded_word::decode(field.body, Summary::LONGEST);
    }
}

/// Reads the [`Summary`] of a message that comes in pieces. Copies only a header that does not come in one piece.
#[derive(Debug)]
pub struct Gatherer {
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// The header has not ended; these are its bytes so far.
    Header(Vec<u8>),
    /// The header is over.
    Done(Box<Summary>),
}

impl Default for Gatherer {
    fn default() -> Self {
        Self { progress: Progress::Header(Vec::new()) }
    }
}

impl Gatherer {
    /// How many bytes of a header are looked at. A hundred Received fields fit.
    pub const MOST: usize = 64 * 1024;

    /// Takes the next piece of the message, header or body.
    pub fn push(&mut self, piece: &[u8]) {
        let Progress::Header(header) = &mut self.progress else { return };
        if header.is_empty() {
            let piece = piece.get(..Self::MOST).unwrap_or(piece);
            if header::end(piece).is_some() || piece.len() == Self::MOST {
                self.progress = Progress::Done(Box::new(Summary::of(piece)));
            } else {
                header.extend_from_slice(piece);
            }
            return;
        }
        // The empty line may have begun in what is here already.
        let from = header.len().saturating_sub(3);
        let room = Self::MOST.saturating_sub(header.len());
        header.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let ended = header.starts_with(b"\r\n") || header.get(from..).is_some_and(header::has_empty_line);
        if ended || header.len() >= Self::MOST {
            self.progress = Progress::Done(Box::new(Summary::of(header)));
        }
    }

    /// The message is over.
    pub fn finish(self) -> Summary {
        match self.progress {
            Progress::Header(header) => Summary::of(&header),
            Progress::Done(summary) => *summary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Received: from a\r\n\tby b; x\r\n\
        FROM: =?utf-8?Q?Andr=C3=A9?= <andre@example.org>\r\n\
        To: Bob <bob@example.org>,\r\n  Carol <carol@example.org>\r\n\
        Subject: =?utf-8?B?Y2Fmw6k=?=\r\n\
        Subject: the second does not count\r\n\
        Date: Sun, 6 Nov 1994 08:49:37 +0000\r\n\
        Message-ID: <1@example.org>\r\n\
        \r\n\
        Subject: this is text\r\n\r\n";

    fn expected() -> Summary {
        Summary {
            from: "André <andre@example.org>".into(),
            to: "Bob <bob@example.org>, Carol <carol@example.org>".into(),
            subject: "café".into(),
            date_unix: Some(784_111_777),
            message_id: "<1@example.org>".into(),
        }
    }

    #[test]
    fn a_message_in_one_piece() {
        assert_eq!(Summary::of(MESSAGE), expected());
        assert_eq!(Summary::of(b""), Summary::default());
        assert_eq!(Summary::of(b"no header at all\r\nSubject: x\r\n"), Summary::default());
        assert_eq!(Summary::of(b"\r\nFrom: in the body\r\n"), Summary::default());
    }

    #[test]
    fn a_message_in_pieces_of_every_length() {
        for length in 1..MESSAGE.len() {
            let mut gatherer = Gatherer::default();
            MESSAGE.chunks(length).for_each(|piece| gatherer.push(piece));
            assert_eq!(gatherer.finish(), expected(), "pieces of {length}");
        }
    }

    #[test]
    fn a_header_without_end_is_looked_at_up_to_the_limit_and_no_further() {
        for (filler, expect) in [(Gatherer::MOST - 9, "a"), (Gatherer::MOST, "")] {
            for length in [7, 1_000, 1_000_000] {
                let mut message = b"X:".to_vec();
                message.resize(filler - 2, b'x');
                message.extend_from_slice(b"\r\nTo: a\r\nFrom: b\r\n\r\n");
                let mut gatherer = Gatherer::default();
                message.chunks(length).for_each(|piece| gatherer.push(piece));
                let summary = gatherer.finish();
                assert_eq!(
                    (summary.to.as_str(), summary.from.as_str()),
                    (expect, ""),
                    "{filler} in pieces of {length}"
                );
            }
        }
    }

    #[test]
    fn a_text_is_cut_at_its_limit() {
        let at = format!("Subject: {}\r\n", "s".repeat(Summary::LONGEST));
        assert_eq!(Summary::of(at.as_bytes()).subject.len(), Summary::LONGEST);
        assert!(!Summary::of(at.as_bytes()).subject.ends_with('…'));
        let beyond = format!("Subject: {}\r\n", "s".repeat(Summary::LONGEST + 1));
        assert!(Summary::of(beyond.as_bytes()).subject.ends_with('…'));
    }
}
