//! TLS 1.3 as the load speaks it: one suite and one group, so that every server negotiates the same, and no certificate is
//! checked: that is the client's work, and would only slow the load down.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::net::{RecvFlags, SendFlags};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::error::{Doing, Error};
use crate::harness::START;

/// What is negotiated, for the notes.
pub(crate) const NEGOTIATED: &str = "TLS 1.3, TLS_AES_256_GCM_SHA384, X25519, a certificate with an ECDSA P-256 key";

/// Whether a client comes again with what it was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Each handshake is a full one.
    Never,
    /// By the ticket of the handshake before, wherever there is one.
    ByTicket,
}

/// A client's configuration; what it remembers it shares with nobody.
pub(crate) fn client(resume: Resume) -> Result<Arc<ClientConfig>, Error> {
    let failed = |error: rustls::Error| Error::not_so(format!("no TLS: {error}"));
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(failed)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = builder.with_no_client_auth();
    config.resumption = match resume {
        Resume::Never => Resumption::disabled(),
        Resume::ByTicket => Resumption::in_memory_sessions(16),
    };
    Ok(Arc::new(config))
}

/// A session that has said nothing yet.
pub(crate) fn session(config: &Arc<ClientConfig>, name: &ServerName<'static>) -> Result<ClientConnection, Error> {
    ClientConnection::new(Arc::clone(config), name.clone()).map_err(|error| Error::not_so(format!("no TLS: {error}")))
}

/// A name as the client sends it.
pub(crate) fn name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|_| Error::not_so(format!("no name of a server: {name}")))
}

/// A connection that waits for what it reads.
pub(crate) fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &ServerName<'static>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    stream.set_nodelay(true).doing(|| "setting TCP_NODELAY".to_owned())?;
    Ok(StreamOwned::new(session(config, name)?, stream))
}

/// A socket as rustls reads and writes it.
pub(crate) struct Socket<'s>(BorrowedFd<'s>);

impl<'s> Socket<'s> {
    pub(crate) fn of(socket: &'s impl AsFd) -> Self {
        Self(socket.as_fd())
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.0, bytes, RecvFlags::empty())?.0)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
