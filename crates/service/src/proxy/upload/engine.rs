//! The same body where an engine frames it (HTTP/2): a piece is handed over as its windows open, and the next one asked for then.
//!
//! Bounded by one piece here, and by what the engine holds for one stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::super::fault::Fault;
use super::{Phase, Stop, Upload};

impl Upload {
    /// Begins, or begins anew where it [is repeatable](Upload::is_repeatable). Whether there is nothing to send behind the head.
    pub(in super::super) fn begin_unframed(&mut self) -> bool {
        self.begin(Vec::new());
        self.unframe();
        if self.phase == Phase::Taken && self.piece.is_empty() {
            self.phase = Phase::Done;
        }
        self.phase == Phase::Done
    }

    /// Goes on as [`Upload::poll`] does, on the stream of an engine.
    pub(in super::super) fn poll_engine(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
    ) -> Poll<Result<(), Fault>> {
        if self.refused || self.phase == Phase::Done {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.poll_hand_over(context, stream)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Stop::Client(broken)) => Poll::Ready(Err(Fault::Body(broken))),
            Err(Stop::Refused) => {
                self.refused = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_hand_over(&mut self, context: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Poll<Result<(), Stop>> {
        loop {
            match (self.piece.is_empty(), self.phase) {
                (_, Phase::Done) => return Poll::Ready(Ok(())),
                (true, Phase::Taking) => {
                    ready!(self.poll_take(context)?);
                    self.unframe();
                    continue;
                }
                (true, Phase::Taken) => {
                    stream.send_data(Bytes::new(), true).map_err(|_| Stop::Refused)?;
                    self.phase = Phase::Done;
                    continue;
                }
                (false, _) => {}
            }
            stream.reserve_capacity(self.piece.len());
            if stream.capacity() == 0 {
                // None: the stream is closed for us, by a reset or with its connection.
                match ready!(stream.poll_capacity(context)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Err(Stop::Refused)),
                }
            }
            let now = self.piece.split_to(stream.capacity().min(self.piece.len()));
            let (count, is_last) = (now.len() as u64, self.piece.is_empty() && self.phase == Phase::Taken);
            stream.send_data(now, is_last).map_err(|_| Stop::Refused)?;
            self.written = self.written.saturating_add(count);
            if is_last {
                self.phase = Phase::Done;
            }
        }
    }

    /// The engine frames.
    fn unframe(&mut self) {
        self.out.clear();
        self.out_written = 0;
        self.tail = b"";
    }
}
