//! Writing: what the socket takes now at once, the rest when it takes more, for as long as a peer may keep us waiting.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::Poll;
use std::time::Duration;

use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{Connection, Ended, Socket, Wait};
use crate::deadline::{Deadline, Tick, rate_due, ticks};
use crate::registry::Phase;
use crate::tls::Session;

/// How many bytes `sendfile` is asked for at once, so that one large answer does not keep the others waiting.
const SENDFILE_STEP: usize = 512 * 1024;
/// Slices that one `writev` takes here.
const PARTS_AT_ONCE: usize = 16;

/// The pace at which a peer takes one thing, however many steps that has.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    /// Since when it is sent.
    since: Tick,
    /// Bytes that went.
    pub(super) moved: u64,
}

impl Connection {
    /// Writes all of `bytes`. Dropping the future leaves a part written.
    ///
    /// # Errors
    /// When the peer does not read.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.write_parts(&[bytes]).await
    }

    /// Writes all parts in their order, several by one system call where the socket has room. Dropping the future leaves a
    /// part written.
    ///
    /// # Errors
    /// When the peer does not read.
    pub fn write_parts(&mut self, parts: &[&[u8]]) -> impl Future<Output = Result<(), Ended>> {
        // No future around the other one: sessions are paid for by its size.
        let pace = self.begin_sending();
        self.write_parts_at(pace, parts)
    }

    /// As [`Connection::write_parts`], as one of several steps whose pace is one.
    pub(super) async fn write_parts_at(&mut self, mut pace: Sending, parts: &[&[u8]]) -> Result<(), Ended> {
        let mut parts = parts.iter().copied();
        let mut window: [&[u8]; PARTS_AT_ONCE] = [&[]; PARTS_AT_ONCE];
        let mut held = 0;
        loop {
            while held < window.len() {
                let Some(part) = parts.next() else { break };
                if !part.is_empty() {
                    window[held] = part;
                    held += 1;
                }
            }
            if held == 0 {
                return self.send_all_encrypted(&pace).await;
            }
            let mut count = self.write_some(&window[..held], &pace).await?;
            pace.moved += count as u64;
            let mut done = 0;
            for part in &mut window[..held] {
                let step = count.min(part.len());
                *part = part.get(step..).unwrap_or_default();
                count -= step;
                done += usize::from(part.is_empty());
            }
            // Parts are emptied from the front, so the emptied ones are the first `done`.
            window.copy_within(done..held, 0);
            held -= done;
        }
    }

    /// Writes what the socket takes now, perhaps nothing.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Ended> {
        match self.write_now(&[bytes]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => Ok(result?),
        }
    }

    /// When it is dropped, its peer is told by a reset that not all came which was to come. For what only the end of the connection
    /// ends: a plain one would say that this was all.
    pub fn break_off(&self) {
        if let Socket::Registered(stream) = &self.socket {
            // A socket that cannot be told so is gone.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }

    /// Sends `length` bytes of `file` from `start` without copying them through our memory (sendfile). Reading a cold file
    /// waits for the disk on this thread, at most [`SENDFILE_STEP`] bytes at a time.
    ///
    /// # Errors
    /// When the peer does not read, and [`Ended::Io`] of kind `UnexpectedEof` when the file has become shorter.
    pub async fn send_file(&mut self, file: &File, start: u64, length: u64) -> Result<(), Ended> {
        if self.is_secure() {
            return Box::pin(self.send_file_encrypted(file, start, length)).await;
        }
        let mut pace = self.begin_sending();
        let mut offset = start;
        let end = start.saturating_add(length);
        while offset < end {
            let step = usize::try_from(end - offset).unwrap_or(SENDFILE_STEP).min(SENDFILE_STEP);
            self.register()?;
            let before = offset;
            let sent = self.when_writable(&pace, |stream, _| {
                let mut position = before;
                stream.try_io(Interest::WRITABLE, || Ok(rustix::fs::sendfile(stream, file, Some(&mut position), step)?))
            });
            let sent = sent.await?;
            if sent == 0 {
                return Err(Ended::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            offset += sent as u64;
            pace.moved += sent as u64;
            self.sent(sent);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Something begins to be sent: from now on the peer must keep up with it.
    pub(super) fn begin_sending(&self) -> Sending {
        Sending { since: self.registry.now(), moved: 0 }
    }

    async fn write_some(&mut self, parts: &[&[u8]], pace: &Sending) -> Result<usize, Ended> {
        match self.write_now(parts) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Ok(result?),
        }
        self.register()?;
        let count = self
            .when_writable(pace, |stream, session| match (session, parts) {
                (Some(session), _) => session.give(stream, parts),
                (None, [part]) => stream.try_write(part),
                (None, _) => stream.try_write_vectored(&slices(parts)[..parts.len().min(PARTS_AT_ONCE)]),
            })
            .await?;
        self.sent(count);
        Ok(count)
    }

    pub(super) fn write_now(&mut self, parts: &[&[u8]]) -> io::Result<usize> {
        if let (Socket::Registered(stream), Some(session)) = (&self.socket, &mut self.tls) {
            let count = session.give(stream, parts)?;
            self.sent(count);
            return Ok(count);
        }
        let count = match (&self.socket, parts) {
            (Socket::Fresh(socket), [part]) => rustix::net::send(socket, part, SendFlags::NOSIGNAL)?,
            (Socket::Fresh(socket), _) => rustix::io::writev(socket, &slices(parts)[..parts.len().min(PARTS_AT_ONCE)])?,
            (Socket::Registered(stream), [part]) => stream.try_write(part)?,
            (Socket::Registered(stream), _) => {
                stream.try_write_vectored(&slices(parts)[..parts.len().min(PARTS_AT_ONCE)])?
            }
            (Socket::Gone, _) => return Err(io::ErrorKind::NotConnected.into()),
        };
        self.sent(count);
        Ok(count)
    }

    /// Repeats `attempt` until the socket takes something, for as long as a peer may keep us waiting.
    pub(super) async fn when_writable(
        &mut self,
        pace: &Sending,
        mut attempt: impl FnMut(&TcpStream, Option<&mut Session>) -> io::Result<usize>,
    ) -> Result<usize, Ended> {
        let deadlines = &self.channel.deadlines;
        let progress = self.registry.now().saturating_add(ticks(deadlines.write));
        let due = progress.min(rate_due(deadlines, pace.since, pace.moved));
        let wait = Wait { due, kind: Deadline::Write, until: Phase::Over };
        self.entry.forget_wait();
        let count = poll_fn(|context| {
            if self.entry.killed.get() {
                return Poll::Ready(Err(Ended::Killed));
            }
            let Socket::Registered(stream) = &self.socket else { return Poll::Ready(Err(Ended::Closed)) };
            while let Poll::Ready(ready) = stream.poll_write_ready(context) {
                match ready.and_then(|()| attempt(stream, self.tls.as_deref_mut())) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result.map_err(Ended::from)),
                }
            }
            match self.pending(context, wait) {
                Some(ended) => Poll::Ready(Err(ended)),
                None => Poll::Pending,
            }
        })
        .await?;
        self.entry.arrived(self.registry.now());
        Ok(count)
    }
}

fn slices<'a>(parts: &[&'a [u8]]) -> [IoSlice<'a>; PARTS_AT_ONCE] {
    let mut slices = [IoSlice::new(&[]); PARTS_AT_ONCE];
    for (slice, part) in slices.iter_mut().zip(parts) {
        *slice = IoSlice::new(part);
    }
    slices
}
