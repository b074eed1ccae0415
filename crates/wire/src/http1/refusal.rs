//! Why a message is refused, each with the status that tells the peer so.
//!
//! After any of these the framing of what follows is unknown: answer, then close (RFC 9112 §9.3).

use thiserror::Error;

/// A message this server does not take. Its text is for the peer: it names the fault and nothing of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another protocol speaks to this port.
    #[error("this port speaks HTTP, not {0}")]
    Foreign(&'static str),
    /// A line ends in LF without CR (RFC 9112 §2.2 allows to accept it; two readers may differ, so it is refused).
    #[error("a line ends in LF without CR")]
    BareLf,
    /// CR not followed by LF (RFC 9112 §2.2).
    #[error("CR without LF")]
    BareCr,
    /// The method is not a token (RFC 9110 §9.1).
    #[error("the method is not a token")]
    BadMethod,
    /// The method is longer than any this server knows (RFC 9112 §3).
    #[error("the method is unknown")]
    LongMethod,
    /// CONNECT makes tunnels, and this is not a proxy.
    #[error("CONNECT is not offered here")]
    Connect,
    /// The request line is not `method SP target SP version` (RFC 9112 §3).
    #[error("the request line is not `METHOD target HTTP/1.1`")]
    BadRequestLine,
    /// The target is none of the forms of RFC 9112 §3.2 that a server takes.
    #[error("the request target is malformed")]
    BadTarget,
    /// An `https:` target over a connection without TLS (RFC 9110 §7.4).
    #[error("an https: target, and this port is not secured")]
    SecureTarget,
    /// An `http:` target over a connection with TLS, which is another origin's (RFC 9110 §4.3.1, §7.4).
    #[error("an http: target, and this port is secured")]
    PlainTarget,
    /// A version other than 1.0 and 1.1.
    #[error("this server speaks HTTP/1.1 and HTTP/1.0")]
    BadVersion,
    /// The request line passes its limit.
    #[error("the request line is too long")]
    LongRequestLine,
    /// The head passes its limit in bytes.
    #[error("the request head is too long")]
    LongHead,
    /// More field lines than the limit.
    #[error("too many header fields")]
    ManyFields,
    /// A field line begins with white space (RFC 9112 §5.2).
    #[error("a header field is folded over lines")]
    Folded,
    /// White space between name and colon (RFC 9112 §5.1).
    #[error("white space before the colon of a header field")]
    SpaceBeforeColon,
    /// A field name that is no token, or is empty.
    #[error("a header field name is malformed")]
    BadFieldName,
    /// A control character in a field value (RFC 9110 §5.5).
    #[error("a control character in a header field")]
    BadFieldValue,
    /// HTTP/1.1 without Host (RFC 9112 §3.2).
    #[error("the Host field is missing")]
    NoHost,
    /// More than one Host (RFC 9112 §3.2).
    #[error("more than one Host field")]
    TwoHosts,
    /// Host is not `host [":" port]` (RFC 9110 §7.2).
    #[error("the Host field is malformed")]
    BadHost,
    /// Content-Length together with Transfer-Encoding (RFC 9112 §6.1).
    #[error("Content-Length together with Transfer-Encoding")]
    LengthAndCoding,
    /// More than one Content-Length. RFC 9112 §6.3 allows to merge equal ones; a front end that takes the first and one that
    /// takes the last agree on none but refused ones.
    #[error("more than one Content-Length")]
    TwoLengths,
    /// Content-Length is not digits, or passes 64 bits (RFC 9110 §8.6).
    #[error("the Content-Length is malformed")]
    BadLength,
    /// Transfer-Encoding other than exactly `chunked`, or given twice (RFC 9112 §6.1).
    #[error("the Transfer-Encoding is not exactly `chunked`")]
    BadCoding,
    /// Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1).
    #[error("Transfer-Encoding in HTTP/1.0")]
    CodingInOld,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    #[error("an expectation other than 100-continue")]
    BadExpectation,
    /// The chunked coding is broken (RFC 9112 §7.1).
    #[error("the chunked body is malformed")]
    BadChunk,
    /// The body passes its limit.
    #[error("the body is too large")]
    LargeBody,
    /// Chunk extensions pass their limit.
    #[error("too much chunk framing")]
    LongChunkFraming,
    /// Trailers pass their limit in bytes or in fields.
    #[error("too many trailer fields")]
    LongTrailers,
    /// A trailer field that a reader could take for one of the head's (RFC 9110 §6.5.1).
    #[error("a trailer field that may only stand in the head")]
    ForbiddenTrailer,
}

impl Refusal {
    /// The status code that says it.
    pub fn status(self) -> u16 {
        match self {
            Self::LargeBody => 413,
            Self::LongRequestLine => 414,
            Self::BadExpectation => 417,
            Self::SecureTarget | Self::PlainTarget => 421,
            Self::LongHead | Self::ManyFields | Self::LongTrailers => 431,
            Self::LongMethod | Self::Connect => 501,
            Self::BadVersion => 505,
            _ => 400,
        }
    }
}
