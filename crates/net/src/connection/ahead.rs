//! What comes ahead of the client's own bytes on a connection that a proxy has made for it, and who the client then is.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::Interest;

use super::{Connection, Ended, Socket, Wait, peer_has_closed};
use crate::deadline::{Deadline, ticks};
use crate::registry::Phase;

impl Connection {
    /// Takes what comes ahead, and not a byte of what follows: shows `read` what is there, at most `most` bytes, until it says what that is
    /// and how many of these bytes it takes. To be called before anything else is read; as long as a handshake it may take.
    ///
    /// # Errors
    /// When the peer leaves before, or takes too long.
    pub async fn ahead<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&[u8]) -> Option<(usize, T)>,
    ) -> Result<T, Ended> {
        let due = self.registry.now().saturating_add(ticks(self.channel.deadlines.handshake));
        let wait = Wait { due, kind: Deadline::Handshake, until: Phase::Draining };
        self.entry.forget_wait();
        let taken = poll_fn(|context| self.poll_ahead(context, most, &mut read, wait)).await?;
        self.entry.arrived(self.registry.now());
        Ok(taken)
    }

    /// From now on the client is this one, who counts against its own source and no more against that of whoever connected.
    ///
    /// # Errors
    /// [`Ended::Crowded`] when its source holds too many connections.
    pub fn is_for(&mut self, client: SocketAddr) -> Result<(), Ended> {
        let Some(source) = self.permits.0.source(client.ip()) else {
            self.entry.lane.counters.refused.add(1);
            return Err(Ended::Crowded);
        };
        self.permits.1 = source;
        self.entry.peer.set(client);
        Ok(())
    }

    fn poll_ahead<T>(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
        read: &mut impl FnMut(&[u8]) -> Option<(usize, T)>,
        wait: Wait,
    ) -> Poll<Result<T, Ended>> {
        if self.entry.killed.get() {
            return Poll::Ready(Err(Ended::Killed));
        }
        self.register()?;
        let mut before = None;
        loop {
            let Socket::Registered(stream) = &self.socket else { return Poll::Ready(Err(Ended::Closed)) };
            if stream.poll_read_ready(context)?.is_pending() {
                return match self.pending(context, wait) {
                    Some(ended) => Poll::Ready(Err(ended)),
                    None => Poll::Pending,
                };
            }
            // Only for as long as it is looked at: who waits holds nothing.
            let mut bytes = vec![0; most];
            let looked = stream.try_io(Interest::READABLE, || {
                let (count, _) = rustix::net::recv(stream, &mut bytes[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
                let seen = bytes.get(..count).unwrap_or_default();
                let Some((length, value)) = read(seen) else {
                    // Who has closed its side stays readable for ever, and may have said the rest before it did.
                    let is_over = before.replace(count) == Some(count) && peer_has_closed(stream)?;
                    let is_over = is_over || count == 0 || count == most;
                    return Err(if is_over { io::ErrorKind::ConnectionReset } else { io::ErrorKind::WouldBlock }.into());
                };
                // They are there: this takes them all.
                rustix::net::recv(stream, &mut bytes[..length.min(count)], RecvFlags::DONTWAIT)?;
                Ok(value)
            });
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                looked => return Poll::Ready(Ok(looked?)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
