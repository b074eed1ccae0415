//! Connections to mail servers.
//!
//! A host's addresses are tried as RFC 8305 has it: families in turns, each next one beside those that are slow. An address that is not to be dialled is
//! passed over ([`may_be_dialled`]), and whoever meets us there leaves. Bounded by [`ADDRESSES_MOST`] of a host and [`CONNECT`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::lookup::{Unknown, records};
use super::ourselves::{Ourselves, may_be_dialled};
use crate::dns::{Dns, Found, Kind, Proof, Record};
use crate::proxy::dial::first_of;
use crate::web::Network;

/// The addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) known: Vec<IpAddr>,
    pub(super) proof: Proof,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum NoConnection {
    /// The host has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// None that may be dialled.
    #[error("{0} has no address but {1}, which is not of the Internet; sending {{ allow … }} lets it be dialled")]
    Private(String, IpAddr),
    /// We are there ourselves.
    #[error("{0} is this server itself")]
    Ourselves(SocketAddr),
    /// Nobody knows.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Nobody answers.
    #[error("no connection to {0}: {1}")]
    Io(String, #[source] io::Error),
    /// Nobody answers in time.
    #[error("no connection to {0} in time")]
    TimedOut(String),
}

/// Addresses of one host that are tried.
pub(super) const ADDRESSES_MOST: usize = 8;
/// How long all of them may take.
const CONNECT: Duration = Duration::from_secs(30);

/// Who may be dialled, and from where.
#[derive(Clone, Copy)]
pub(super) struct Dialling<'a> {
    pub(super) ourselves: &'a Ourselves,
    /// Networks that are let besides the Internet; `None`: all.
    pub(super) allowed: Option<&'a [Network]>,
    /// Our address, for each family that has one.
    pub(super) sources: &'a [IpAddr],
}

/// The addresses of a host, in the order in which they are tried.
pub(super) async fn addresses(host: &str, dns: &dyn Dns) -> Result<Addresses, NoConnection> {
    let (six, four) = tokio::join!(records(dns, host, Kind::Aaaa), records(dns, host, Kind::A));
    // One family is enough.
    let (six, four) = match (six, four) {
        (Err(error), Err(_)) => return Err(error.into()),
        (six, four) => (six.ok(), four.ok()),
    };
    let is_validated = |found: &Found| found.records.is_empty() || found.proof == Proof::Validated;
    let proof = if six.iter().chain(&four).all(is_validated) { Proof::Validated } else { Proof::None };
    let of = |found: Option<Found>| {
        found.map(|found| found.records).unwrap_or_default().into_iter().filter_map(|record| match record {
            Record::A(address) => Some(IpAddr::V4(address)),
            Record::Aaaa(address) => Some(IpAddr::V6(address)),
            _ => None,
        })
    };
    let (mut six, mut four) = (of(six), of(four));
    let mut known = Vec::new();
    // RFC 8305 §4: families in turns.
    while known.len() < ADDRESSES_MOST {
        let before = known.len();
        known.extend(six.next());
        known.extend(four.next());
        if known.len() == before {
            break;
        }
    }
    known.truncate(ADDRESSES_MOST);
    if known.is_empty() {
        return Err(NoConnection::NoAddress(host.to_owned()));
    }
    Ok(Addresses { known, proof })
}

/// Opens a connection to one of a host's addresses.
pub(super) async fn dial(
    host: &str,
    known: &[IpAddr],
    port: u16,
    dialling: Dialling<'_>,
) -> Result<TcpStream, NoConnection> {
    let is_let = |address: &&IpAddr| dialling.allowed.is_none_or(|allowed| may_be_dialled(**address, allowed));
    let sockets: Vec<SocketAddr> = known.iter().filter(is_let).map(|address| SocketAddr::new(*address, port)).collect();
    if let (true, Some(private)) = (sockets.is_empty(), known.first()) {
        return Err(NoConnection::Private(host.to_owned(), *private));
    }
    let (ours, others): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|socket| dialling.ourselves.is_at(*socket, None));
    if let (true, Some(us)) = (others.is_empty(), ours.first()) {
        return Err(NoConnection::Ourselves(*us));
    }
    let sources = dialling.sources.to_vec();
    let connecting = first_of(&others, move |peer| Box::pin(connect(peer, sources.clone())));
    let stream = match timeout(CONNECT, connecting).await {
        Ok(connected) => connected.map_err(|error| NoConnection::Io(host.to_owned(), error))?,
        Err(_) => return Err(NoConnection::TimedOut(host.to_owned())),
    };
    let failed = |error| NoConnection::Io(host.to_owned(), error);
    let (peer, local) = (stream.peer_addr().map_err(failed)?, stream.local_addr().map_err(failed)?);
    if dialling.ourselves.is_at(peer, Some(local.ip())) {
        return Err(NoConnection::Ourselves(peer));
    }
    Ok(stream)
}

async fn connect(peer: SocketAddr, sources: Vec<IpAddr>) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = sources.iter().find(|source| source.is_ipv4() == peer.is_ipv4()) {
        socket.bind(SocketAddr::new(*source, 0))?;
    }
    let stream = socket.connect(peer).await?;
    // Commands leave in groups; none is to wait for an acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::outbound::table::{Table, of_address};

    const NOWHERE: Ourselves = Ourselves::NOBODY;

    #[tokio::test]
    async fn families_take_turns_and_a_host_is_bounded() {
        let address = |text: &str| of_address(text.parse().unwrap());
        let four: Vec<Record> = (1..=20).map(|at| address(&format!("192.0.2.{at}"))).collect();
        let table = Table::default().with("h", Kind::A, &four).with("h", Kind::Aaaa, &[address("2001:db8::1")]);
        let found = addresses("h", &table).await.unwrap();
        assert_eq!(found.known.len(), ADDRESSES_MOST);
        assert_eq!(
            found.known[..3],
            ["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        assert_eq!(found.proof, Proof::None);
        let failing = |kind| Table::default().address("h", "192.0.2.1").failing("h", kind);
        assert_eq!(addresses("h", &failing(Kind::Aaaa)).await.unwrap().known.len(), 1, "one family is enough");
        assert!(matches!(addresses("h", &failing(Kind::A)).await, Err(NoConnection::NoAddress(_))));
        assert!(matches!(
            addresses("h", &failing(Kind::A).failing("h", Kind::Aaaa)).await,
            Err(NoConnection::Unknown(_))
        ));
        assert!(matches!(addresses("none", &failing(Kind::A)).await, Err(NoConnection::NoAddress(_))));
        let proven = Table::default().proven("h", Kind::A, &four[..1]);
        assert_eq!(addresses("h", &proven).await.unwrap().proof, Proof::Validated);
    }

    #[tokio::test]
    async fn strangers_addresses_and_our_own_are_not_dialled() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let known = ["127.0.0.2".parse().unwrap()];
        let with = |ourselves: Ourselves, allowed: &'static [&str]| async move {
            let allowed: Vec<Network> = allowed.iter().map(|text| text.parse().unwrap()).collect();
            let dialling =
                Dialling { ourselves: &ourselves, allowed: Some(&allowed), sources: &["127.0.0.9".parse().unwrap()] };
            dial("h", &known, port, dialling).await
        };
        assert!(matches!(with(NOWHERE, &[]).await, Err(NoConnection::Private(..))));
        assert!(matches!(with(NOWHERE, &["127.0.0.3"]).await, Err(NoConnection::Private(..))));
        let stream = with(NOWHERE, &["127.0.0.0/8"]).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.9");
        let here = Ourselves::new(&[], &[SocketAddr::new(known[0], port)]);
        assert!(matches!(with(here, &["127.0.0.0/8"]).await, Err(NoConnection::Ourselves(_))));
        let everywhere = Ourselves::new(&[], &[SocketAddr::new("0.0.0.0".parse().unwrap(), port)]);
        let dialling = Dialling { ourselves: &everywhere, allowed: None, sources: &[] };
        let one: [IpAddr; 1] = ["127.0.0.1".parse().unwrap()];
        let listener = TcpListener::bind(SocketAddr::new(one[0], port)).await;
        if listener.is_ok() {
            assert!(matches!(dial("h", &one, port, dialling).await, Err(NoConnection::Ourselves(_))));
        }
    }
}
