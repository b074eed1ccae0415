//! The body of a stream while it comes. What a service has taken is given back to the windows, and nothing before: a slow service slows
//! its client down.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use sportello_net::Deadlines;
use sportello_service::web::{Broken, Incoming, Pieces};
use tokio::time::{Instant, Sleep};

use super::super::UNREAD_MOST;
use super::{Shared, WORTH_OF_BYTE};

/// The service's end.
struct Coming(Rc<RefCell<Body>>);

/// The stream's own end: what no service took is read past, for a client that is told to stop forgets the answer it has.
pub(super) struct Rest(Rc<RefCell<Body>>);

struct Body {
    shared: Rc<Shared>,
    stream: RecvStream,
    left: Option<u64>,
    patience: Patience,
    /// Runs while it is asked, and since when.
    silence: Option<(Pin<Box<Sleep>>, Instant)>,
}

/// How long the client may say nothing when it is asked: so long for each piece, and in sum no longer than bytes at the least rate allow,
/// nor than a request may take, as over HTTP/1.1.
struct Patience {
    step: Duration,
    /// What is left for all steps, and what it is at most.
    left: Duration,
    most: Duration,
    /// What a byte that comes adds to it.
    for_byte: Duration,
    /// What is left for all of the body, whatever comes.
    whole: Duration,
}

impl Patience {
    fn new(deadlines: &Deadlines) -> Self {
        let most = deadlines.between_bytes.saturating_add(deadlines.rate_grace);
        let for_byte = Duration::from_secs(1).checked_div(deadlines.minimum_rate).unwrap_or(Duration::MAX);
        Self { step: deadlines.between_bytes, left: most, most, for_byte, whole: deadlines.request }
    }

    /// For how long the next piece may be waited for.
    fn now(&self) -> Duration {
        self.step.min(self.left).min(self.whole)
    }

    fn waited(&mut self, time: Duration, bytes: usize) {
        self.whole = self.whole.saturating_sub(time);
        let earned = self.for_byte.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.left = self.left.saturating_sub(time).saturating_add(earned).min(self.most);
    }
}

/// What a service is given of the body of this request, and what is left of it behind the answer.
pub(super) fn incoming(
    shared: &Rc<Shared>,
    stream: RecvStream,
    headers: &http::HeaderMap,
    deadlines: &Deadlines,
) -> (Incoming, Option<Rest>) {
    if stream.is_end_stream() {
        return (Incoming::Empty, None);
    }
    // The engine sees to it that as many bytes come (RFC 9113 §8.1.1).
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Rc::new(RefCell::new(Body {
        shared: Rc::clone(shared),
        stream,
        left: length,
        patience: Patience::new(deadlines),
        silence: None,
    }));
    (Incoming::Pieces(Box::new(Coming(Rc::clone(&body)))), Some(Rest(body)))
}

impl Rest {
    /// Reads past what is left, if it is little.
    pub(super) async fn skip(self) {
        let mut skipped = 0;
        while skipped <= UNREAD_MOST {
            match poll_fn(|context| self.0.borrow_mut().poll_piece(context)).await {
                Some(Ok(piece)) => skipped = skipped.saturating_add(piece.len() as u64),
                Some(Err(_)) | None => return,
            }
        }
    }
}

impl Pieces for Coming {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.0.borrow_mut().poll_piece(context)
    }

    fn left(&self) -> Option<u64> {
        self.0.borrow().left
    }
}

impl Body {
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience.now();
        let (silence, _) = self.silence.get_or_insert_with(|| (Box::pin(tokio::time::sleep(patience)), Instant::now()));
        silence.as_mut().poll(context)
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.stream.poll_data(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    self.shared.earn((piece.len() as u64).saturating_mul(WORTH_OF_BYTE));
                    // It cannot fail: so much was received.
                    let _ = self.stream.flow_control().release_capacity(piece.len());
                    // Nothing is no sign of life.
                    if piece.is_empty() {
                        continue;
                    }
                    if let Some((_, since)) = self.silence.take() {
                        self.patience.waited(since.elapsed(), piece.len());
                    }
                    self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let malformed = error.reason() == Some(Reason::PROTOCOL_ERROR);
                    let broken = if malformed { Broken::Malformed } else { Broken::Left };
                    return Poll::Ready(Some(Err(broken)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(self.poll_silence(context));
                    return Poll::Ready(Some(Err(Broken::Left)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_for_a_piece_for_a_rate_and_for_the_whole() {
        let seconds = Duration::from_secs;
        let deadlines = Deadlines {
            between_bytes: seconds(30),
            rate_grace: seconds(20),
            minimum_rate: 100,
            request: seconds(100),
            ..Deadlines::default()
        };
        let mut patience = Patience::new(&deadlines);
        // At a good rate, a piece may take what a piece may take, until the whole has taken too long.
        for _ in 0..3 {
            assert_eq!(patience.now(), seconds(30));
            patience.waited(seconds(29), 10_000);
        }
        assert_eq!(patience.now(), seconds(100 - 3 * 29));
        patience.waited(seconds(12), 10_000);
        assert_eq!(patience.now(), seconds(1));
        patience.waited(seconds(1), 10_000);
        assert_eq!(patience.now(), Duration::ZERO);
        // Below the rate, it ends before.
        let mut patience = Patience::new(&deadlines);
        patience.waited(seconds(29), 100);
        patience.waited(seconds(20), 0);
        assert_eq!(patience.now(), seconds(2));
    }
}
