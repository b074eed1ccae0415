//! What a client asks.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use sportello_net::tls::Secured;
use sportello_wire::http1::Method;

use super::{Fields, Incoming, Notes, Path};

/// One request.
#[derive(Debug)]
pub struct Request {
    /// The method, where it is one of RFC 9110 §9.3 that is known here.
    pub method: Method,
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub verb: Bytes,
    /// Over what it came.
    pub scheme: Scheme,
    /// The authority as it was sent, checked: a host and perhaps a port. Empty where none was named (HTTP/1.0).
    pub authority: Bytes,
    /// The path.
    pub path: Path,
    /// The query without its `?`, still percent-encoded; visible ASCII.
    pub query: Option<Bytes>,
    /// Field lines in their order, without Host and without those that concern one connection only (RFC 9110 §7.6.1).
    pub fields: Fields,
    /// Who asks.
    pub client: Client,
    /// The body.
    pub body: Incoming,
    /// The protocol that the client would rather speak, where it asks for one in a way that can be granted.
    pub upgrade: Option<Upgrade>,
    /// What is found out about it on its way.
    pub notes: Rc<Notes>,
}

/// Whether a request came encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Client {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The address and port that it came to.
    pub local: SocketAddr,
    /// What was agreed on, where it came encrypted.
    pub secured: Option<Arc<Secured>>,
}

/// Another protocol that the client asks for (RFC 9110 §7.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Its token, such as `websocket`, in lower case.
    pub protocol: Bytes,
}

impl Request {
    /// The first value of a field (`name` in lower case), where it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.text(name)
    }

    /// Path and query as they are sent on.
    pub fn target(&self) -> Vec<u8> {
        let mut target = self.path.encoded().to_vec();
        if let Some(query) = &self.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        target
    }
}
