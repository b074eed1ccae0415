//! Bodies as they come: a piece at a time, asked for one by one, so that whoever is slow slows the other side down and
//! nothing is gathered between them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;

/// Where the pieces of a body come from.
pub trait Pieces {
    /// The next piece, never an empty one; `None`: that was all. After an error or the end it is not asked again.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>>;

    /// How many bytes are still to come, where that is known: then exactly as many come, or it breaks.
    fn left(&self) -> Option<u64>;

    /// Whether it has no end of its own, as events have not: whoever stops asking has had all there was.
    fn is_endless(&self) -> bool {
        false
    }
}

/// A body that did not come whole. What came of it is no message: it must not be passed on as one that ended well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// Whoever sends it left, or was too slow.
    #[error("the sender of the body left before its end")]
    Left,
    /// It is not framed as it should be.
    #[error("the body is not well-formed")]
    Malformed,
    /// It has more bytes than it may.
    #[error("the body is larger than it may be")]
    TooLarge,
}

/// The body of a request or of an answer.
#[derive(Default)]
pub enum Incoming {
    /// None.
    #[default]
    Empty,
    /// One that comes.
    Pieces(Box<dyn Pieces>),
}

impl Incoming {
    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Pieces(pieces) => pieces.left(),
        }
    }

    /// The next piece; `None`: that was all.
    ///
    /// # Errors
    /// When it does not come whole.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Empty => Ok(None),
            Self::Pieces(pieces) => poll_fn(|context| pieces.poll_piece(context)).await.transpose(),
        }
    }

    /// All of it, if it has at most `most` bytes.
    ///
    /// # Errors
    /// When it has more, or does not come whole.
    pub async fn whole(mut self, most: u64) -> Result<Bytes, Broken> {
        if self.left().is_some_and(|left| left > most) {
            return Err(Broken::TooLarge);
        }
        let mut first: Option<Bytes> = None;
        let mut more: Option<Vec<u8>> = None;
        let mut total = 0u64;
        while let Some(piece) = self.piece().await? {
            total = total.saturating_add(piece.len() as u64);
            if total > most {
                return Err(Broken::TooLarge);
            }
            match (&first, &mut more) {
                (None, _) => first = Some(piece),
                (Some(_), Some(more)) => more.extend_from_slice(&piece),
                (Some(first), None) => more = Some([&first[..], &piece[..]].concat()),
            }
        }
        Ok(more.map(Bytes::from).or(first).unwrap_or_default())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("Empty"),
            Self::Pieces(pieces) => write!(formatter, "Pieces({:?} left)", pieces.left()),
        }
    }
}

/// Pieces that are there already.
pub struct Ready(VecDeque<Bytes>);

impl Ready {
    /// These, without the empty ones.
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl Pieces for Ready {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn left(&self) -> Option<u64> {
        Some(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// Pieces as somebody makes them, for as long as it goes on (server-sent events).
pub struct Live(mpsc::Receiver<Bytes>);

impl Live {
    /// What is sent to the other end; that must not be empty.
    pub fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self(pieces)
    }
}

impl Pieces for Live {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }

    fn left(&self) -> Option<u64> {
        None
    }

    fn is_endless(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(pieces: &[&'static str]) -> Incoming {
        Incoming::Pieces(Box::new(Ready::new(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())))))
    }

    #[tokio::test]
    async fn a_body_is_taken_whole_at_its_bound_and_not_beyond() {
        for (pieces, most, expect) in [
            (&[][..], 0, Ok("")),
            (&["", "ab", "", "c"], 3, Ok("abc")),
            (&["ab", "c"], 2, Err(Broken::TooLarge)),
            (&["abc"], 2, Err(Broken::TooLarge)),
        ] {
            let whole = ready(pieces).whole(most).await;
            assert_eq!(whole.as_deref(), expect.map(str::as_bytes).as_ref().map(|bytes| *bytes), "{pieces:?}");
        }
        assert_eq!(Incoming::Empty.whole(0).await, Ok(Bytes::new()));
    }
}
