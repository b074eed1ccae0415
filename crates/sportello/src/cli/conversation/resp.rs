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
        self.conversation.send(&request)?;
        loop {
            let taken = self.answers.take(self.conversation.held());
            let (used, answer) = taken.map_err(|error| Error::Answer(self.conversation.place().clone(), error))?;
            self.conversation.consume(used);
            match answer {
                Some(answer) => return Ok(answer),
                None => self.conversation.receive_more()?,
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
