//! A new connection to an application.
//!
//! Bounded by the caller's deadline, and by [`TRIED`] addresses of one name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::sleep;

use super::Address;
use super::fault::Fault;
use crate::web::Wire;

/// Addresses of one name that are tried.
const TRIED: usize = 4;
/// A Unix socket whose queue is full says so at once and tells nobody when there is room (man 2 connect, EAGAIN): it is asked again.
const ASKED_AGAIN: Duration = Duration::from_millis(10);

/// Connects; forever, where the application has no room.
pub(super) async fn connect(address: &Address) -> Result<Box<dyn Wire>, Fault> {
    match address {
        Address::Unix(path) => loop {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(ASKED_AGAIN).await,
                Err(error) => return Err(Fault::Connect(error)),
            }
        },
        Address::Tcp(host, port) => {
            // Written as an address it is not looked up.
            let found: Vec<SocketAddr> =
                lookup_host((&**host, *port)).await.map_err(|_| Fault::Unresolved)?.take(TRIED).collect();
            let mut failed = Fault::Unresolved;
            for address in found {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        // Whole records are written at once; none shall wait for an acknowledgement.
                        stream.set_nodelay(true).map_err(Fault::Connect)?;
                        return Ok(Box::new(stream));
                    }
                    Err(error) => failed = Fault::Connect(error),
                }
            }
            Err(failed)
        }
    }
}
