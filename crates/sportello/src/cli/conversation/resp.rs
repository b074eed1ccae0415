//! Requests to a command channel and their answers.

use sportello_wire::resp::client::{self, Answers, Limits, Value};
use thiserror::Error;

use super::{Conversation, Deadlines};
use crate::cli::place::Place;

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
    Answer(Place, #[source] client::Error),
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// The answer is of another kind than this command gives.
    #[error("{0} gave an answer of an unexpected kind to {1}")]
    Kind(Place, String),
    /// The answer should be JSON of a known shape and is not.
    #[error("{0} gave an answer to {1} that this version of sportello cannot read")]
    Json(Place, String, #[source] serde_json::Error),
}

impl Commands {
    /// Connects.
    pub fn open(place: &Place, deadlines: Deadlines) -> Result<Self, Error> {
        Ok(Self { conversation: Conversation::open(place, deadlines)?, answers: Answers::new(Limits::default()) })
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
            let (used, answer) = taken.map_err(|error| Error::Answer(self.conversation.place().clone(), error))?;
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
            _ => Err(Error::Kind(self.conversation.place().clone(), what(words))),
        }
    }

    /// One request whose answer is JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self, words: &[&str]) -> Result<T, Error> {
        let bytes = self.bytes(words)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Json(self.conversation.place().clone(), what(words), error))
    }
}

fn what<W: AsRef<[u8]>>(words: &[W]) -> String {
    words.first().map(|word| crate::cli::paper::visible_bytes(word.as_ref())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
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
}
