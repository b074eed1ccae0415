//! PING as redis-benchmark's PING_MBULK sends it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::error::{Doing, Error};
use crate::harness::START;

/// One request.
pub(crate) const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// Sends `depth` PINGs at once, checks the answers byte for byte and returns their length.
pub(crate) fn answer(address: SocketAddr, depth: u64) -> Result<u64, Error> {
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    let answers = PONG.repeat(depth);
    check(address, &PING.repeat(depth), &answers)?;
    Ok(answers.len() as u64)
}

/// Sends `request` and checks that the answer begins with `answer`, byte for byte.
pub(crate) fn check(address: SocketAddr, request: &[u8], answer: &[u8]) -> Result<(), Error> {
    let mut stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    stream.write_all(request).doing(|| "sending commands".to_owned())?;
    let mut received = vec![0; answer.len()];
    stream.read_exact(&mut received).doing(|| "receiving answers".to_owned())?;
    if received != answer {
        let said = String::from_utf8_lossy(&received).into_owned();
        return Err(Error::not_so(format!("{address} answers {said:?}")));
    }
    Ok(())
}
