//! TLS on a connection: the handshake, reading, and what must be sent before more is written.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use super::write::Sending;
use super::{Connection, Ended, Socket, Wait};
use crate::buffer::Buffer;
use crate::deadline::{Deadline, ticks};
use crate::registry::Phase;
use crate::tls::{FillError, Secured, Session, Taken, Terms, UNSENT_MOST};

impl Connection {
    /// Shakes hands on these terms; from here on everything is encrypted. Nothing that was read before may be used after it.
    ///
    /// # Errors
    /// When the two do not agree, when that takes too long, and when its source has shaken hands too often.
    pub async fn secure(&mut self, terms: &Terms) -> Result<Arc<Secured>, Ended> {
        let result = self.shake_hands(terms).await;
        let counters = &self.entry.lane.counters;
        match &result {
            Ok(secured) if secured.resumed => counters.resumed.add(1),
            Ok(_) => counters.handshakes.add(1),
            Err(_) => counters.unsecured.add(1),
        }
        if let Err(Ended::NotTls) = result {
            self.tls = None;
        }
        result
    }

    async fn shake_hands(&mut self, terms: &Terms) -> Result<Arc<Secured>, Ended> {
        terms.admit(self.peer().ip()).map_err(|_| Ended::TooOften)?;
        self.register()?;
        self.tls = Some(Box::new(Session::new()));
        let due = self.registry.now().saturating_add(ticks(self.channel.deadlines.handshake));
        let wait = Wait { due, kind: Deadline::Handshake, until: Phase::Over };
        self.entry.forget_wait();
        poll_fn(|context| self.poll_handshake(context, terms, wait)).await?;
        self.entry.arrived(self.registry.now());
        let secured = self.tls.as_mut().and_then(|session| session.agree()).ok_or(Ended::Closed)?;
        self.entry.secure(Arc::clone(&secured));
        Ok(secured)
    }

    /// Whether it is encrypted.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What both ends of this encrypted connection know, and nobody who sits between two others (`tls-exporter`, RFC 9266).
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.tls.as_ref()?.binding()
    }

    /// What was agreed on, where it is encrypted.
    pub fn secured(&self) -> Option<&Arc<Secured>> {
        self.tls.as_ref()?.agreed()
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>, terms: &Terms, wait: Wait) -> Poll<Result<(), Ended>> {
        loop {
            if self.entry.killed.get() {
                return Poll::Ready(Err(Ended::Killed));
            }
            self.send_on(context)?;
            let (Socket::Registered(stream), Some(session)) = (&self.socket, &mut self.tls) else {
                return Poll::Ready(Err(Ended::Closed));
            };
            if !session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if stream.poll_read_ready(context)?.is_pending() {
                return match self.pending(context, wait) {
                    Some(ended) => Poll::Ready(Err(ended)),
                    None => Poll::Pending,
                };
            }
            match session.fill(stream, Some(terms)) {
                Ok(0) => return Poll::Ready(Err(Ended::Closed)),
                result => filled(result)?,
            }
        }
    }

    /// As [`Connection::poll_bytes`], where it is encrypted.
    pub(super) fn poll_bytes_secure(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Ended>> {
        loop {
            // What was answered goes on its way while more is waited for.
            self.send_on(context)?;
            let (Socket::Registered(stream), Some(session)) = (&self.socket, &mut self.tls) else {
                return Poll::Ready(Err(Ended::Closed));
            };
            let Some(room) = buffer.room() else { return Poll::Ready(Ok(0)) };
            match session.take(room) {
                Taken::Bytes(count) => {
                    self.received(count);
                    return Poll::Ready(Ok(count));
                }
                Taken::End => return Poll::Ready(Ok(0)),
                Taken::Nothing => {}
            }
            if self.ask_socket {
                // Readiness was put aside; what is there is read past the reactor, which spends no budget by itself.
                let budget = ready!(poll_proceed(context));
                match session.fill_at_once(stream) {
                    Err(FillError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => self.ask_socket = false,
                    result => filled(result)?,
                }
                budget.made_progress();
                continue;
            }
            ready!(stream.poll_read_ready(context))?;
            filled(session.fill(stream, None))?;
        }
    }

    /// Whether something that was written is encrypted and not yet with the kernel.
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.has_unsent())
    }

    /// Sends what is encrypted, as far as the socket takes it; the rest when it takes more. How many bytes that were.
    pub(super) fn send_on(&mut self, context: &mut Context<'_>) -> Result<usize, Ended> {
        let (Socket::Registered(stream), Some(session)) = (&self.socket, &mut self.tls) else { return Ok(0) };
        let mut sent = 0;
        while session.has_unsent() {
            match stream.poll_write_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break,
            }
            match session.flush(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => sent += result?,
            }
        }
        Ok(sent)
    }

    /// Waits until all that is encrypted is with the kernel. It counted as moved when it was given to be encrypted.
    pub(super) async fn send_all_encrypted(&mut self, pace: &Sending) -> Result<(), Ended> {
        while self.has_unsent() {
            let flush =
                self.when_writable(pace, |stream, session| session.map_or(Ok(0), |session| session.flush(stream)));
            flush.await?;
        }
        Ok(())
    }

    /// Sends what was written and says that this was all (RFC 8446 §6.1); what then ends was ended, not cut off. Nothing where nothing
    /// is encrypted: there the kernel has all of it.
    ///
    /// # Errors
    /// When the peer does not read.
    pub async fn end(&mut self) -> Result<(), Ended> {
        let pace = self.begin_sending();
        self.send_all_encrypted(&pace).await?;
        if let Some(session) = &mut self.tls {
            session.end();
        }
        self.send_all_encrypted(&pace).await
    }

    /// As [`Connection::end`], as far as the socket takes it now: for a peer that has kept us waiting for too long already. Not for what only
    /// the end of the connection ends, and that did not go whole.
    pub fn end_at_once(&mut self) {
        if let (Socket::Registered(stream), Some(session)) = (&self.socket, &mut self.tls) {
            session.end();
            // Who does not read it is not told.
            let _ = session.flush(stream);
        }
    }

    /// As [`Connection::send_file`], where it is encrypted.
    pub(super) async fn send_file_encrypted(&mut self, file: &File, start: u64, length: u64) -> Result<(), Ended> {
        let end = start.saturating_add(length);
        let mut offset = start;
        let mut piece = vec![0; UNSENT_MOST];
        let mut pace = self.begin_sending();
        while offset < end {
            let step = usize::try_from(end - offset).unwrap_or(UNSENT_MOST).min(UNSENT_MOST);
            let count = file.read_at(&mut piece[..step], offset)?;
            if count == 0 {
                return Err(Ended::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            self.write_parts_at(pace, &[&piece[..count]]).await?;
            pace.moved += count as u64;
            offset += count as u64;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn filled(result: Result<usize, FillError>) -> Result<(), Ended> {
    match result {
        Ok(_) => Ok(()),
        Err(FillError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(FillError::Io(error)) => Err(error.into()),
        Err(FillError::Tls(error)) => Err(Ended::Tls(error)),
        Err(FillError::NotTls) => Err(Ended::NotTls),
        Err(FillError::Failed) => Err(Ended::Closed),
    }
}
