//! One HTTP request and its answer, the body handed on piece by piece.

use sportello_wire::http1::client::{self, Asked, Body, Head, Limits, Request, Unwritable};
use thiserror::Error;

use super::Conversation;
use crate::cli::place::Way;

/// Why there is no answer, or not all of it.
#[derive(Debug, Error)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Conversation(#[from] super::Error),
    /// The request cannot be written.
    #[error("the request cannot be sent")]
    Request(#[from] Unwritable),
    /// The answer cannot be read.
    #[error("{0} gave an answer that cannot be read")]
    Answer(Way, #[source] client::Error),
    /// The connection ended before the body did.
    #[error("{0} closed the connection before the end")]
    Truncated(Way),
    /// The server wants another protocol, or sends interim answers without end.
    #[error("{0} does not come to its answer")]
    Interim(Way),
}

/// An answer whose head has been read and whose body has not.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The head.
    pub head: Head,
    body: Body,
    conversation: &'a mut Conversation,
    ended: bool,
    /// How much of what is held was handed out last.
    handed_out: usize,
}

/// Sends a GET request and reads the head of its answer. Interim answers (RFC 9110 §15.2) are passed over.
pub fn get<'a>(conversation: &'a mut Conversation, request: &Request<'_>) -> Result<Answer<'a>, Error> {
    const INTERIM_MOST: usize = 10;
    let mut bytes = Vec::new();
    client::write_request(request, &mut bytes)?;
    conversation.send(&bytes)?;
    for _ in 0..INTERIM_MOST {
        let head = head(conversation)?;
        if head.status >= 200 {
            let body = head.body(Asked::ForBody).map_err(|error| Error::Answer(conversation.way().clone(), error))?;
            return Ok(Answer { head, body, conversation, ended: false, handed_out: 0 });
        }
    }
    Err(Error::Interim(conversation.way().clone()))
}

fn head(conversation: &mut Conversation) -> Result<Head, Error> {
    loop {
        let parsed = match conversation.held() {
            [] => Ok(None),
            held => Head::parse(held, &Limits::default()),
        };
        match parsed.map_err(|error| Error::Answer(conversation.way().clone(), error))? {
            Some((head, used)) => {
                conversation.consume(used);
                return Ok(head);
            }
            None => conversation.receive_more()?,
        }
    }
}

impl Answer<'_> {
    /// The next piece of the body; empty at its end. An error where the connection ends before the body does.
    pub fn piece(&mut self) -> Result<&[u8], Error> {
        self.conversation.consume(std::mem::take(&mut self.handed_out));
        loop {
            if self.ended || self.body.is_done() {
                return Ok(&[]);
            }
            if self.conversation.held().is_empty() && self.conversation.receive()? == 0 {
                self.ended = true;
                self.body.closed().map_err(|_| Error::Truncated(self.conversation.way().clone()))?;
                return Ok(&[]);
            }
            let step = self.body.step(self.conversation.held());
            let step = step.map_err(|error| Error::Answer(self.conversation.way().clone(), error))?;
            if step.data.is_empty() {
                self.conversation.consume(step.used);
            } else {
                self.handed_out = step.used;
                return Ok(self.conversation.held().get(step.data).unwrap_or_default());
            }
        }
    }

    /// The whole body, if it is at most this long; `None` if it is longer.
    pub fn whole(&mut self, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut whole = Vec::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(Some(whole));
            }
            if piece.len() > most - whole.len() {
                return Ok(None);
            }
            whole.extend_from_slice(piece);
        }
    }
}
