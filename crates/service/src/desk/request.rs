//! A request to the desk: small, and read whole before it is looked at.

use std::net::SocketAddr;

use bytes::Bytes;

/// One request, its body already read whole (the protocol bounds it).
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, … as sent; HTTP methods are case-sensitive (RFC 9110 §9.1).
    pub method: String,
    /// The path of the target, still percent-encoded, beginning with `/`.
    pub path: String,
    /// The query without its `?`, still percent-encoded.
    pub query: Option<String>,
    /// Field lines in the order they came, names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// The client.
    pub peer: SocketAddr,
}

impl Request {
    /// The first value of a field (`name` in lower case), where it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        std::str::from_utf8(value).ok()
    }
}
