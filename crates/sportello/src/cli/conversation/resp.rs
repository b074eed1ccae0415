//! Requests to a command channel and their answers.

use std::io::{self, Write};

use sportello_wire::resp::client::{self, Answers, Limits, Value};
use thiserror::Error;

use super::{Conversation, Deadlines};
use crate::cli::place::{Place, Way};

/// A connection to a command channel.
#[derive(Debug)]
pub struct Commands {
    conversation: Conversation,
    answers: Answers,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Conversation(#[from] super::Error),
    /// The answer cannot be read.
    #[error("{0} gave an answer that cannot be read")]
    Answer(Way, #[source] client::Error),
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// The answer is of another kind than this command gives.
    #[error("{0} gave an answer of an unexpected kind to {1}")]
    Kind(Way, String),
    /// What was received cannot be kept.
    #[error("what was received cannot be written")]
    Kept(#[source] io::Error),
    /// The answer should be JSON of a known shape and is not.
    #[error("{0} gave an answer to {1} that this version of sportello cannot read")]
    Json(Way, String, #[source] serde_json::Error),
}

impl Commands {
    /// Connects.
    pub fn open(place: &Place, deadlines: Deadlines) -> Result<Self, Error> {
        Ok(Self { conversation: Conversation::open(place, deadlines)?, answers: Answers::new(Limits::default()) })
    }

    /// Connects to the command channel of a server, by its socket where there is one.
    pub fn reach(way: &Way, deadlines: Deadlines) -> Result<Self, Error> {
        Ok(Self { conversation: Conversation::reach(way, deadlines)?, answers: Answers::new(Limits::default()) })
    }

    /// The connection beneath.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// One request and its answer, which may be an error of the server's.
    pub fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value, Error> {
        let mut request = Vec::new();
        client::write_request(words, &mut request);
        // A server that refuses a long request answers and closes before it has read it all: its answer says more than ours.
        let sent = self.conversation.send(&request);
        loop {
            let taken = self.answers.take(self.conversation.held());
            let (used, answer) = taken.map_err(|error| Error::Answer(self.conversation.way().clone(), error))?;
            self.conversation.consume(used);
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if let Err(error) = self.conversation.receive_more() {
                sent?;
                return Err(error.into());
            }
        }
    }

    /// One request whose answer is a string of bytes.
    pub fn bytes<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Vec<u8>, Error> {
        match self.ask(words)? {
            Value::Bulk(bytes) | Value::Simple(bytes) => Ok(bytes),
            Value::Error(error) => Err(Error::Refused(crate::cli::paper::visible_bytes(&error))),
            _ => Err(Error::Kind(self.conversation.way().clone(), what(words))),
        }
    }

    /// One request whose answer is a number of things.
    pub fn count<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<u64, Error> {
        match self.ask(words)? {
            Value::Integer(number) => Ok(number.unsigned_abs()),
            Value::Error(error) => Err(Error::Refused(crate::cli::paper::visible_bytes(&error))),
            _ => Err(Error::Kind(self.conversation.way().clone(), what(words))),
        }
    }

    /// One request whose answer is a string of bytes that may be too large to be held: it goes to `into` as it comes. How many
    /// bytes that were. A connection on which this failed is of no use.
    pub fn copy<W: AsRef<[u8]>>(&mut self, words: &[W], into: &mut impl Write) -> Result<u64, Error> {
        let mut request = Vec::new();
        client::write_request(words, &mut request);
        self.conversation.send(&request)?;
        let broken = |way: &Way| Error::Kind(way.clone(), what(words));
        let way = self.conversation.way().clone();
        let end = loop {
            match self.conversation.held().iter().position(|byte| *byte == b'\n') {
                Some(end) => break end,
                None if self.conversation.held().len() > LONGEST_LINE => return Err(broken(&way)),
                None => self.conversation.receive_more()?,
            }
        };
        let line = self.conversation.held().get(..end).unwrap_or_default().trim_ascii_end().to_vec();
        self.conversation.consume(end + 1);
        let length = match line.split_first() {
            Some((b'$', digits)) => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()),
            Some((b'-', error)) => return Err(Error::Refused(crate::cli::paper::visible_bytes(error))),
            _ => None,
        };
        let length = length.ok_or_else(|| broken(&way))?;
        let mut left = length;
        while left > 0 {
            if self.conversation.held().is_empty() {
                self.conversation.receive_more()?;
            }
            let held = self.conversation.held();
            let piece = held.get(..usize::try_from(left).unwrap_or(usize::MAX).min(held.len())).unwrap_or_default();
            into.write_all(piece).map_err(Error::Kept)?;
            let count = piece.len();
            self.conversation.consume(count);
            left -= count as u64;
        }
        while self.conversation.held().len() < 2 {
            self.conversation.receive_more()?;
        }
        let ended = self.conversation.held().starts_with(b"\r\n");
        self.conversation.consume(2);
        if ended { Ok(length) } else { Err(broken(&way)) }
    }

    /// One request whose answer is JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self, words: &[&str]) -> Result<T, Error> {
        let bytes = self.bytes(words)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Json(self.conversation.way().clone(), what(words), error))
    }
}

/// The longest line that an answer may begin with.
const LONGEST_LINE: usize = 64 * 1024;

fn what<W: AsRef<[u8]>>(words: &[W]) -> String {
    words.first().map(|word| crate::cli::paper::visible_bytes(word.as_ref())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A server that reads one request of `length` bytes and answers with these pieces.
    fn server(length: usize, pieces: &'static [&'static str]) -> (Place, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string().parse().unwrap();
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; length];
            stream.read_exact(&mut request).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
            }
            request
        });
        (place, thread.unwrap())
    }

    fn check(pieces: &'static [&'static str], expect: Result<&str, &str>) {
        let (place, thread) = server(14, pieces);
        let outcome = Commands::open(&place, Deadlines::default()).unwrap().bytes(&["PING"]);
        let outcome = outcome.map_err(|error| error.to_string());
        match (&outcome, expect) {
            (Ok(bytes), Ok(text)) => assert_eq!(bytes, text.as_bytes()),
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            _ => panic!("{outcome:?}"),
        }
        assert_eq!(thread.join().unwrap(), b"*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn an_answer_is_read_whole_or_it_is_said_why_not() {
        check(&["+PONG\r\n"], Ok("PONG"));
        check(&["$5", "\r\nab", "cde\r", "\n"], Ok("abcde"));
        check(&["-ERR \x1b[2J\r\n"], Err("ERR \u{fffd}[2J"));
        check(&[":1\r\n"], Err("unexpected kind to PING"));
        check(&["HTTP/1.1 400 Bad Request\r\n"], Err("cannot be read"));
        check(&["$5\r\nab"], Err("closed the connection"));
        check(&[], Err("closed the connection"));
    }

    #[test]
    fn a_large_answer_is_copied_as_it_comes() {
        for (pieces, expect) in [
            (["$5\r", "\nab", "cd", "e\r\n"].as_slice(), Ok("abcde")),
            (&["$0\r\n\r\n"], Ok("")),
            (&["-ERR no such thing\r\n"], Err("ERR no such thing")),
            (&["$-1\r\n"], Err("unexpected kind")),
            (&["$99999999999999999999\r\n"], Err("unexpected kind")),
            (&["$2\r\nabc\r\n"], Err("unexpected kind")),
            (&["$5\r\nab"], Err("closed the connection")),
        ] {
            let (place, thread) = server(14, pieces);
            let mut kept = Vec::new();
            let copied = Commands::open(&place, Deadlines::default()).unwrap().copy(&["PING"], &mut kept);
            match (copied.map_err(|error| error.to_string()), expect) {
                (Ok(length), Ok(text)) => assert_eq!((length, kept.as_slice()), (text.len() as u64, text.as_bytes())),
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (other, _) => panic!("{other:?}"),
            }
            thread.join().unwrap();
        }
    }
}
