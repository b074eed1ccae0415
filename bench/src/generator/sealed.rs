//! A kept connection over TLS 1.3 whose answers are counted and not decrypted: the heads of records tell how much they hold
//! (RFC 8446 §5.2), so the load costs a fraction of what its server spends.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ClientConnection;
use rustls::pki_types::ServerName;

use super::tls::{self, Socket};
use crate::error::{Doing, Error};

/// The client's side, after the handshake.
pub(super) struct Sealed {
    session: ClientConnection,
    records: Records,
}

impl Sealed {
    /// Shakes hands, sends `request` and decrypts its answer of `answer` bytes. The socket does not wait from then on.
    pub(super) fn open(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &ServerName<'static>,
        request: &[u8],
        answer: u64,
    ) -> Result<(OwnedFd, Self), Error> {
        let mut stream = tls::connect(address, config, name)?;
        stream.write_all(request).doing(|| "sending a request".to_owned())?;
        let mut bytes = vec![0; usize::try_from(answer).unwrap_or(usize::MAX)];
        stream.read_exact(&mut bytes).doing(|| "receiving an answer".to_owned())?;
        let (session, stream) = stream.into_parts();
        stream.set_nonblocking(true).doing(|| "making a socket non-blocking".to_owned())?;
        Ok((stream.into(), Self { session, records: Records::default() }))
    }

    /// Encrypts `request` and sends it.
    pub(super) fn send(&mut self, socket: &OwnedFd, request: &[u8]) -> Result<(), Error> {
        self.session.writer().write_all(request).doing(|| "encrypting a request".to_owned())?;
        self.session.write_tls(&mut Socket::of(socket)).doing(|| "sending".to_owned())?;
        if self.session.wants_write() { Err(Error::not_so("a request did not fit into the socket")) } else { Ok(()) }
    }

    /// How many decrypted bytes the records hold that end in `bytes`.
    pub(super) fn count(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        self.records.count(bytes)
    }
}

/// Where in a record a stream is.
#[derive(Debug, Default)]
struct Records {
    head: [u8; HEAD],
    /// Bytes of `head` that are here.
    here: usize,
    /// Bytes of the record's content that are not.
    left: usize,
}

/// Type, version and length.
const HEAD: usize = 5;
const APPLICATION_DATA: u8 = 23;
/// The tag of AES-GCM and the byte of the type, which the length counts.
const SEAL: u64 = 17;

impl Records {
    fn count(&mut self, mut bytes: &[u8]) -> Result<u64, Error> {
        let mut plain = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.here < HEAD {
                if let Some(place) = self.head.get_mut(self.here) {
                    *place = *first;
                }
                self.here += 1;
                bytes = rest;
                let [kind, _, _, high, low] = self.head;
                if self.here == HEAD {
                    self.left = usize::from(u16::from_be_bytes([high, low]));
                    if kind != APPLICATION_DATA {
                        return Err(Error::not_so("a record that is no answer"));
                    }
                }
                continue;
            }
            let step = self.left.min(bytes.len());
            bytes = bytes.get(step..).unwrap_or_default();
            self.left -= step;
            if self.left == 0 {
                self.here = 0;
                let [_, _, _, high, low] = self.head;
                plain += u64::from(u16::from_be_bytes([high, low])).saturating_sub(SEAL);
            }
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_wherever_they_are_cut() {
        let record = |plain: u8| {
            let mut record = vec![APPLICATION_DATA, 3, 3, 0, plain + 17];
            record.resize(HEAD + usize::from(plain) + 17, 0xAA);
            record
        };
        let stream = [record(100), record(0), record(7)].concat();
        for step in 1..=stream.len() {
            let mut records = Records::default();
            let counted: u64 = stream.chunks(step).map(|piece| records.count(piece).unwrap_or(u64::MAX)).sum();
            assert_eq!((counted, records.here, records.left), (107, 0, 0), "{step}");
        }
        assert!(Records::default().count(&[21, 3, 3, 0, 19]).is_err(), "an alert");
    }
}
