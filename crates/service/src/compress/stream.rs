//! A body encoded while it is sent: read or taken piece by piece, each encoded on a blocking thread when the one before it is with the
//! client. So a slow client slows the disk or the upstream down, and keeps no thread meanwhile.
//!
//! Bounded by [`STREAMS_MOST`] bodies at once in the process, `AT_ONCE` pieces at once on a worker, and `PIECE` bytes read at once.

use std::cell::OnceCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tracing::error;

use super::{Encoder, Level};
use crate::web::{Broken, Pieces};

/// Bodies that are encoded at once while they are sent; those beyond are sent as they are. Each holds an encoder's memory for as long
/// as its client takes.
pub const STREAMS_MOST: usize = 64;
/// Encodings that one worker has under way at once: the other disk threads are left to files.
pub(super) const AT_ONCE: usize = 2;
/// Bytes that are read and encoded at once: some milliseconds of work.
pub(crate) const PIECE: usize = 128 * 1024;
/// A piece of at most this length is encoded where it is; it takes less time than to pass it on.
const SMALL: usize = 1024;

static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// The right to encode one body while it is sent, and what encodes it.
pub struct Place {
    encoder: Encoder,
    _one: One,
}

/// One of [`STREAMS_MOST`].
struct One(());

impl Place {
    /// For a body of about `length` bytes, if there is a place left and memory for it.
    pub fn take(level: Level, length: Option<u64>) -> Option<Self> {
        let one = One::take()?;
        Some(Self { encoder: Encoder::new(level, length).ok()?, _one: one })
    }
}

impl One {
    fn take() -> Option<Self> {
        let more = |taken: usize| (taken < STREAMS_MOST).then_some(taken + 1);
        STREAMS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(()))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does `work` on a blocking thread, [`AT_ONCE`] at a time on this worker. Dropping the future lets work that began end by itself.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    thread_local! {
        static ASIDE: OnceCell<Arc<Semaphore>> = const { OnceCell::new() };
    }
    let turns = ASIDE.with(|turns| Arc::clone(turns.get_or_init(|| Arc::new(Semaphore::new(AT_ONCE)))));
    let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Where the bytes of a body lie. Read on blocking threads only.
pub trait Source: Send {
    /// Reads the next bytes, [`PIECE`] at most, into an empty buffer; nothing: that was all, and it is whole.
    ///
    /// # Errors
    /// When it is not.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Broken>;
}

/// A body, encoded.
pub struct Encoded {
    from: From,
    work: Work,
}

enum From {
    /// To be read, by the job itself.
    Source,
    /// To be waited for.
    Pieces(Box<dyn Pieces>),
}

/// What goes to a blocking thread and comes back.
struct Bench {
    place: Place,
    source: Option<Box<dyn Source>>,
    /// What was taken and not flushed.
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Something,
}

/// The bench, unless that was the end, and what is ready.
type Done = Result<(Option<Bench>, Vec<u8>), Broken>;

enum Work {
    Idle(Box<Bench>),
    Busy(Pin<Box<dyn Future<Output = Done>>>),
    Over,
}

impl Encoded {
    /// What is read from `source`.
    pub fn read(source: Box<dyn Source>, place: Place) -> Self {
        let bench = Bench { place, source: Some(source), held: Held::Nothing };
        Self { from: From::Source, work: Work::Idle(Box::new(bench)) }
    }

    /// What comes in pieces. Whenever nothing more is there at once, what came is made readable for the client.
    pub fn passed(pieces: Box<dyn Pieces>, place: Place) -> Self {
        let bench = Bench { place, source: None, held: Held::Nothing };
        Self { from: From::Pieces(pieces), work: Work::Idle(Box::new(bench)) }
    }

    /// What is to be done next with the bench; pending while nothing is.
    fn begin(&mut self, bench: Box<Bench>, context: &mut Context<'_>) -> Poll<Work> {
        let pieces = match &mut self.from {
            From::Source => return Poll::Ready(busy(bench, Bench::read)),
            From::Pieces(pieces) => pieces,
        };
        match pieces.poll_piece(context) {
            Poll::Ready(Some(Ok(piece))) if piece.len() <= SMALL => Poll::Ready(at_once(bench.take(&piece))),
            Poll::Ready(Some(Ok(piece))) => Poll::Ready(busy(bench, move |bench| bench.take(&piece))),
            Poll::Ready(Some(Err(broken))) => Poll::Ready(at_once(Err(broken))),
            Poll::Ready(None) => Poll::Ready(busy(bench, Bench::finish)),
            Poll::Pending if bench.held == Held::Something => Poll::Ready(busy(bench, Bench::flush)),
            Poll::Pending => {
                self.work = Work::Idle(bench);
                Poll::Pending
            }
        }
    }
}

fn busy(bench: Box<Bench>, work: impl FnOnce(Bench) -> Done + Send + 'static) -> Work {
    Work::Busy(Box::pin(async move { aside(move || work(*bench)).await.map_err(failed)? }))
}

fn at_once(done: Done) -> Work {
    Work::Busy(Box::pin(std::future::ready(done)))
}

fn failed(error: io::Error) -> Broken {
    error!(%error, "a body could not be encoded");
    Broken::Malformed
}

impl Bench {
    fn read(mut self) -> Done {
        let Some(source) = &mut self.source else { return self.finish() };
        let mut bytes = Vec::new();
        source.read(&mut bytes)?;
        if bytes.is_empty() { self.finish() } else { self.take(&bytes) }
    }

    fn take(mut self, bytes: &[u8]) -> Done {
        let ready = self.place.encoder.take(bytes).map_err(failed)?;
        self.held = Held::Something;
        Ok((Some(self), ready))
    }

    fn flush(mut self) -> Done {
        let ready = self.place.encoder.flush().map_err(failed)?;
        self.held = Held::Nothing;
        Ok((Some(self), ready))
    }

    fn finish(self) -> Done {
        Ok((None, self.place.encoder.finish().map_err(failed)?))
    }
}

impl Pieces for Encoded {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match std::mem::replace(&mut self.work, Work::Over) {
                Work::Over => return Poll::Ready(None),
                Work::Idle(bench) => self.work = ready!(self.begin(bench, context)),
                Work::Busy(mut job) => {
                    let Poll::Ready(done) = job.as_mut().poll(context) else {
                        self.work = Work::Busy(job);
                        return Poll::Pending;
                    };
                    let (bench, ready) = match done {
                        Ok(done) => done,
                        Err(broken) => return Poll::Ready(Some(Err(broken))),
                    };
                    if let Some(bench) = bench {
                        self.work = Work::Idle(Box::new(bench));
                    }
                    if !ready.is_empty() {
                        return Poll::Ready(Some(Ok(ready.into())));
                    }
                }
            }
        }
    }

    fn left(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use sportello_wire::http1::coding::Coding;
    use tokio::sync::mpsc;

    use super::super::encoder::tests::{decoded, text};
    use super::*;
    use crate::web::{Incoming, Live, Ready};

    /// A body in memory, that breaks at its end where it is told to.
    struct Memory(Vec<u8>, usize, Option<Broken>);

    impl Source for Memory {
        fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Broken> {
            let end = (self.1 + PIECE).min(self.0.len());
            into.extend_from_slice(&self.0[self.1..end]);
            self.1 = end;
            if into.is_empty() { self.2.clone().map_or(Ok(()), Err) } else { Ok(()) }
        }
    }

    async fn gathered(encoded: Encoded) -> Result<Bytes, Broken> {
        assert_eq!(encoded.left(), None);
        Incoming::Pieces(Box::new(encoded)).whole(u64::MAX).await
    }

    fn place(coding: Coding, length: Option<u64>) -> Place {
        Place::take(Level::usual(coding), length).unwrap()
    }

    /// Tests that take places take turns.
    static PLACES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    #[tokio::test]
    async fn a_body_is_encoded_as_it_is_read() {
        let _turn = PLACES.lock().await;
        for coding in Coding::ALL {
            for length in [0, 1, PIECE, PIECE + 1, 500_000] {
                let body = text(length);
                let source = Box::new(Memory(body.clone(), 0, None));
                let encoded = Encoded::read(source, place(coding, Some(length as u64)));
                assert_eq!(decoded(coding, &gathered(encoded).await.unwrap()).unwrap(), body, "{coding:?} {length}");
            }
        }
    }

    #[tokio::test]
    async fn what_breaks_does_not_end_well() {
        let _turn = PLACES.lock().await;
        let source = Box::new(Memory(text(1000), 0, Some(Broken::Left)));
        let encoded = Encoded::read(source, place(Coding::Gzip, Some(1000)));
        assert_eq!(gathered(encoded).await, Err(Broken::Left));
    }

    #[tokio::test]
    async fn what_comes_is_passed_on_before_more_comes() {
        let _turn = PLACES.lock().await;
        for coding in Coding::ALL {
            let (sender, receiver) = mpsc::channel(1);
            let live = Box::new(Live::new(receiver));
            let encoded = Encoded::passed(live, place(coding, None));
            let mut incoming = Incoming::Pieces(Box::new(encoded));
            let mut all = Vec::new();
            for length in [10, SMALL, SMALL + 1, 50_000] {
                sender.send(text(length).into()).await.unwrap();
                // It comes though the sender waits; a test that hangs here has failed.
                all.extend_from_slice(&incoming.piece().await.unwrap().unwrap());
            }
            drop(sender);
            while let Some(piece) = incoming.piece().await.unwrap() {
                all.extend_from_slice(&piece);
            }
            let expect = [10, SMALL, SMALL + 1, 50_000].map(text).concat();
            assert_eq!(decoded(coding, &all).unwrap(), expect, "{coding:?}");
        }
    }

    #[tokio::test]
    async fn pieces_that_are_there_are_one_body() {
        let _turn = PLACES.lock().await;
        let body = text(100_000);
        let pieces = Box::new(Ready::new(body.chunks(3_000).map(Bytes::copy_from_slice)));
        let encoded = Encoded::passed(pieces, place(Coding::Zstd, None));
        assert_eq!(decoded(Coding::Zstd, &gathered(encoded).await.unwrap()).unwrap(), body);
    }

    #[tokio::test]
    async fn so_many_at_once_and_no_more() {
        let _turn = PLACES.lock().await;
        let mut places: Vec<_> = std::iter::from_fn(One::take).take(STREAMS_MOST + 1).collect();
        assert_eq!(places.len(), STREAMS_MOST);
        places.pop();
        assert!(One::take().is_some());
    }
}
