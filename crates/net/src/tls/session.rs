//! One connection's TLS: what was decrypted and not yet taken, what was encrypted and not yet sent.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::pki_types::CertificateDer;
use rustls::server::{Acceptor, ServerConnection};
use rustls::{Error as TlsError, HandshakeKind, ProtocolVersion};
use tokio::net::TcpStream;

use super::{Terms, UNSENT_MOST};

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The name that the client asked for, in lower case.
    pub name: Option<String>,
    /// The protocol that was agreed on, by its ALPN name.
    pub protocol: Option<Vec<u8>>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The name of the cipher suite.
    pub suite: String,
    /// Whether it goes on with what an earlier handshake agreed on.
    pub resumed: bool,
    /// The client's own certificate, checked against the authorities that are asked for.
    pub client: Option<CertificateDer<'static>>,
}

/// A session whose handshake is under way or over.
pub(crate) struct Session {
    state: State,
    /// Whether something has come.
    begun: bool,
    agreed: Option<Arc<Secured>>,
}

enum State {
    /// Nothing but the client's greeting is read.
    Greeting(Acceptor),
    Agreed(ServerConnection),
    /// Between the two, and after a greeting that was none.
    Failed,
}

/// What was taken of the decrypted bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Bytes(usize),
    /// The peer said that it sends nothing more.
    End,
    /// There are none yet.
    Nothing,
}

/// What begins every record of a handshake (RFC 8446 §5.1), and a greeting of SSL 2.0.
const BEGINNINGS: [u8; 2] = [0x16, 0x80];

/// The socket as rustls reads and writes it: what is not there yet is an error of kind `WouldBlock`.
struct Raw<'s>(&'s TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The socket past the reactor.
struct AtOnce<'s>(&'s TcpStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.0, buffer, RecvFlags::DONTWAIT)?.0)
    }
}

/// The socket, and the first byte that comes.
struct Beginning<'s> {
    raw: Raw<'s>,
    first: Option<u8>,
}

impl Read for Beginning<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(buffer)?;
        self.first = self.first.or(buffer.first().copied().filter(|_| count > 0));
        Ok(count)
    }
}

impl Session {
    pub(crate) fn new() -> Self {
        Self { state: State::Greeting(Acceptor::default()), begun: false, agreed: None }
    }

    /// Whether the two have not agreed yet, or something of the agreement is still to be sent.
    pub(crate) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Agreed(session) => session.is_handshaking() || session.wants_write(),
            _ => true,
        }
    }

    /// `tls-exporter` (RFC 9266 §2): what both ends of this session know, and nobody between two others. TLS 1.3 only, in which that
    /// is always so.
    pub(crate) fn binding(&self) -> Option<[u8; 32]> {
        let State::Agreed(session) = &self.state else { return None };
        if session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
    }

    /// Appends decrypted bytes to `room`, as many as it has capacity for.
    pub(crate) fn take(&mut self, room: &mut Vec<u8>) -> Taken {
        let State::Agreed(session) = &mut self.state else { return Taken::Nothing };
        let mut reader = session.reader();
        let taken = match reader.fill_buf() {
            Ok([]) => return Taken::End,
            Ok(bytes) => {
                let count = bytes.len().min(room.capacity() - room.len());
                room.extend_from_slice(&bytes[..count]);
                count
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Taken::Nothing,
            // The peer closed without saying so (RFC 8446 §6.1): as good as its end, for a protocol that frames its messages.
            Err(_) => return Taken::End,
        };
        reader.consume(taken);
        Taken::Bytes(taken)
    }

    /// Reads from the socket what is there, and decrypts it. `Ok(0)`: the peer closed.
    pub(crate) fn fill(&mut self, stream: &TcpStream, terms: Option<&Terms>) -> Result<usize, FillError> {
        let mut raw = Raw(stream);
        match &mut self.state {
            State::Agreed(session) => fill(session, &mut raw, stream),
            State::Greeting(acceptor) => {
                let mut raw = Beginning { raw, first: None };
                let count = acceptor.read_tls(&mut raw)?;
                let Beginning { mut raw, first } = raw;
                if !self.begun && first.is_some_and(|first| !BEGINNINGS.contains(&first)) {
                    self.state = State::Failed;
                    return Err(FillError::NotTls);
                }
                self.begun = true;
                match acceptor.accept() {
                    Ok(None) => {}
                    Ok(Some(accepted)) => {
                        let Some(terms) = terms else { return Err(FillError::Failed) };
                        let config = terms.choose(&accepted.client_hello());
                        self.state = State::Failed;
                        match accepted.into_connection(config) {
                            Ok(mut session) => {
                                session.set_buffer_limit(Some(UNSENT_MOST));
                                let _ = flush(&mut session, stream);
                                self.state = State::Agreed(session);
                            }
                            Err((error, mut alert)) => {
                                let _ = alert.write_all(&mut raw);
                                return Err(error.into());
                            }
                        }
                    }
                    Err((error, mut alert)) => {
                        let _ = alert.write_all(&mut raw);
                        self.state = State::Failed;
                        return Err(error.into());
                    }
                }
                Ok(count)
            }
            State::Failed => Err(FillError::Failed),
        }
    }

    /// As [`Session::fill`] after the handshake, past the reactor, which may have forgotten that something is there.
    pub(crate) fn fill_at_once(&mut self, stream: &TcpStream) -> Result<usize, FillError> {
        match &mut self.state {
            State::Agreed(session) => fill(session, &mut AtOnce(stream), stream),
            State::Greeting(_) | State::Failed => Err(FillError::Failed),
        }
    }

    /// Encrypts as much of `parts` as may wait for the socket, and sends what the socket takes; how many bytes of `parts` that
    /// were, 0 where only something from before was sent. An error of kind `WouldBlock`: the socket takes nothing now.
    pub(crate) fn give(&mut self, stream: &TcpStream, parts: &[&[u8]]) -> io::Result<usize> {
        let State::Agreed(session) = &mut self.state else { return Err(io::ErrorKind::NotConnected.into()) };
        flush(session, stream)?;
        if session.wants_write() {
            // Some of it went: the peer reads.
            return Ok(0);
        }
        let mut given = 0;
        for part in parts {
            let count = session.writer().write(part)?;
            given += count;
            if count < part.len() {
                break;
            }
        }
        match flush(session, stream) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(given),
        }
    }

    /// Whether something is encrypted and not sent.
    pub(crate) fn has_unsent(&self) -> bool {
        matches!(&self.state, State::Agreed(session) if session.wants_write())
    }

    /// Sends of what is encrypted as much as the socket takes; how many bytes. An error of kind `WouldBlock`: none.
    pub(crate) fn flush(&mut self, stream: &TcpStream) -> io::Result<usize> {
        match &mut self.state {
            State::Agreed(session) => flush(session, stream),
            _ => Ok(0),
        }
    }

    /// Says behind what is encrypted that nothing more will be (RFC 8446 §6.1); to be sent as that is.
    pub(crate) fn end(&mut self) {
        if let State::Agreed(session) = &mut self.state {
            session.send_close_notify();
        }
    }

    /// What was agreed on, at the end of the handshake.
    pub(crate) fn agree(&mut self) -> Option<Arc<Secured>> {
        self.agreed = self.secured().map(Arc::new);
        self.agreed.clone()
    }

    /// What was agreed on, once it was.
    pub(crate) fn agreed(&self) -> Option<&Arc<Secured>> {
        self.agreed.as_ref()
    }

    fn secured(&self) -> Option<Secured> {
        let State::Agreed(session) = &self.state else { return None };
        Some(Secured {
            name: session.server_name().map(str::to_owned),
            protocol: session.alpn_protocol().map(<[u8]>::to_vec),
            version: match session.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "TLSv1.3",
                _ => "TLSv1.2",
            },
            suite: session.negotiated_cipher_suite()?.suite().as_str()?.to_owned(),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            client: session.peer_certificates().and_then(|chain| chain.first()).map(|own| own.clone().into_owned()),
        })
    }
}

fn fill(session: &mut ServerConnection, raw: &mut impl Read, stream: &TcpStream) -> Result<usize, FillError> {
    let count = session.read_tls(raw)?;
    let processed = session.process_new_packets();
    // Also the alert that says what was wrong, as far as it can be said.
    let _ = flush(session, stream);
    processed?;
    Ok(count)
}

fn flush(session: &mut ServerConnection, stream: &TcpStream) -> io::Result<usize> {
    let mut sent = 0;
    while session.wants_write() {
        match session.write_tls(&mut Raw(stream)) {
            Ok(count) => sent += count,
            Err(error) if sent > 0 && error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Why nothing could be read.
#[derive(Debug)]
pub(crate) enum FillError {
    Io(io::Error),
    Tls(TlsError),
    /// What came begins no handshake.
    NotTls,
    /// It has failed before.
    Failed,
}

impl From<io::Error> for FillError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TlsError> for FillError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}
