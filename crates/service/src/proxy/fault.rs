//! Why a request could not be passed on, or its answer not be read.

use std::io;

use rustix::io::Errno;
use sportello_wire::http1::client;
use thiserror::Error;

use crate::web::Broken;

/// Why there is no answer of an upstream.
#[derive(Debug, Error)]
pub enum Fault {
    /// None is up.
    #[error("no upstream is up")]
    NoUpstream,
    /// As many requests as may be are passed on already.
    #[error("too many requests are under way to the upstreams")]
    Full,
    /// It came through this server again and again.
    #[error("the request came through this server too often: an upstream leads back here")]
    Loop,
    /// Its name has no address.
    #[error("the upstream's name has no address")]
    Unresolved,
    /// It takes no connection.
    #[error("the upstream cannot be reached")]
    Connect(#[source] io::Error),
    /// It does not take a connection in time.
    #[error("the upstream did not take a connection in time")]
    ConnectTimeout,
    /// It does not begin its answer in time.
    #[error("the upstream did not answer in time")]
    HeadTimeout,
    /// It takes no more of the request, or gives no more of the answer.
    #[error("the upstream stopped in the middle")]
    Stalled,
    /// It closed the connection without an answer.
    #[error("the upstream closed the connection before its answer was whole")]
    Closed,
    /// The connection broke.
    #[error("the connection to the upstream failed")]
    Io(#[source] io::Error),
    /// What it says is no answer that could be read in one way only.
    #[error("the upstream's answer cannot be read")]
    Answer(#[from] client::Error),
    /// Interim answers and nothing else.
    #[error("the upstream gives interim answers without end")]
    Interim,
    /// It names so many fields that each would have to be compared with each.
    #[error("the upstream's Connection names too many fields")]
    Nominated,
    /// It changes to a protocol that was not asked for.
    #[error("the upstream changes to a protocol that was not asked for")]
    Upgrade,
    /// It was to speak HTTP/2.
    #[error(
        "the upstream does not speak HTTP/2 over TLS; where it speaks HTTP/1.1 its address is written \"https://\""
    )]
    NotHttp2,
    /// What it says in HTTP/2 breaks the rules, or it takes its answer back.
    #[error("the upstream broke off in HTTP/2 ({0})")]
    Broke(String),
    /// It sends what no request needs.
    #[error("the upstream sends without end what nobody asked for")]
    Flood,
    /// It did not look at the request (RFC 9113 §8.7).
    #[error("the upstream refused the request before it looked at it")]
    Refused,
    /// A change of protocol, for which HTTP/2 has no way.
    #[error("the client asks for another protocol, which an upstream of HTTP/2 cannot change to")]
    NoUpgrade,
    /// The request cannot be written so that it is one request.
    #[error("the request cannot be passed on")]
    Request(#[from] client::Unwritable),
    /// The client's body did not come whole.
    #[error("the body of the request did not come whole")]
    Body(#[source] Broken),
}

impl Fault {
    /// The status that says it to the client.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoUpstream | Self::Full => 503,
            Self::ConnectTimeout | Self::HeadTimeout => 504,
            Self::Body(Broken::TooLarge) => 413,
            Self::Body(_) | Self::Request(_) => 400,
            _ => 502,
        }
    }

    /// What the client may read of it: nothing of the upstream.
    pub fn told(&self) -> &'static str {
        match self.status() {
            503 if matches!(self, Self::Full) => "the server behind this one has too much to do at the moment",
            503 => "no server for this is up at the moment",
            504 => "the server behind this one did not answer in time",
            413 => "the body of the request is too large",
            400 => "the request cannot be passed on",
            _ => "the server behind this one gave no answer that can be passed on",
        }
    }

    /// Whether it is the upstream's, and not the client's or ours.
    pub(super) fn is_upstreams(&self) -> bool {
        match self {
            Self::NoUpstream | Self::Full | Self::Loop | Self::NoUpgrade | Self::Request(_) | Self::Body(_) => false,
            // What this machine has no more of is no sign of how an upstream is.
            Self::Connect(error) => !matches!(
                Errno::from_io_error(error),
                Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM)
            ),
            _ => true,
        }
    }

    /// Whether the connection ended, by whatever hand.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Closed | Self::Io(_))
    }
}
