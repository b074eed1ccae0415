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
    let mut stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    stream.write_all(&PING.repeat(depth)).doing(|| "sending PING".to_owned())?;
    let mut answers = vec![0; PONG.len() * depth];
    stream.read_exact(&mut answers).doing(|| "receiving PONG".to_owned())?;
    if answers != PONG.repeat(depth) {
        return Err(Error::not_so(format!("{address} does not answer PING with +PONG")));
    }
    Ok(answers.len() as u64)
}
