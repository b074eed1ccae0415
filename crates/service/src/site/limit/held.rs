//! An answer that is under way as long as its body comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};

use super::Place;
use crate::web::{Answer, Body, Broken, Pieces, Tunnel, Wire};

/// The same answer, which keeps these places until its last piece; one in memory or in a file gives them back now.
pub(in crate::site) fn holding(answer: Answer, places: Vec<Place>) -> Answer {
    if places.is_empty() {
        return answer;
    }
    let body = match answer.body {
        Body::Pieces(inner) => Body::Pieces(Box::new(Held { inner, _places: places })),
        Body::Tunnel(Tunnel { stream, first, idle }) => {
            Body::Tunnel(Tunnel { stream: Box::new(Held { inner: stream, _places: places }), first, idle })
        }
        other @ (Body::Empty | Body::Bytes(_) | Body::File { .. } | Body::Stored(_)) => other,
    };
    Answer { body, ..answer }
}

struct Held<I: ?Sized> {
    _places: Vec<Place>,
    inner: Box<I>,
}

impl Pieces for Held<dyn Pieces> {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.inner.poll_piece(context)
    }

    fn left(&self) -> Option<u64> {
        self.inner.left()
    }

    fn is_endless(&self) -> bool {
        self.inner.is_endless()
    }
}

impl AsyncRead for Held<dyn Wire> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_read(context, into)
    }
}

impl AsyncWrite for Held<dyn Wire> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(context)
    }
}
