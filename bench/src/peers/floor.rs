//! The floor: a bare loop that receives requests and sends answers of the same length, knowing nothing of either. What it
//! costs is what the kernel takes.
//!
//! It runs as a process of its own (the hidden sub-command `floor`), so that it is measured as the servers are.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind};
use crate::harness::Harness;
use crate::rounds::Contender;

/// Starts the floor under `exchange`.
pub(crate) fn start(harness: &Harness, exchange: &Exchange) -> Result<Contender, Error> {
    let own = std::env::current_exe().doing(|| "finding this program".to_owned())?;
    let close = if exchange.kind == Kind::NewEach { "1" } else { "0" };
    let sizes = [exchange.requests.iter().map(Vec::len).max().unwrap_or(0) as u64, exchange.answer]
        .map(|size| size.to_string());
    let arguments = [vec!["floor".to_owned()], sizes.to_vec(), vec![close.to_owned()]].concat();
    let mut process = harness.start("floor", own, &arguments, |command| {
        command.stdout(Stdio::piped());
    })?;
    let stdout = process.child().stdout.take().ok_or_else(|| Error::not_so("the floor has no output"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).doing(|| "reading the floor's port".to_owned())?;
    let port = line.trim().parse().map_err(|_| Error::not_so("the floor did not start"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Contender::new("bare recv+send", address, process))
}

/// One connection of the floor.
struct Served {
    stream: TcpStream,
    /// Bytes received of a request that is not whole yet.
    received: u64,
    /// Bytes to be sent.
    owed: u64,
}

/// Answers each `request` bytes with `answer` bytes, until it is stopped. Prints its port first.
pub(crate) fn serve(request: u64, answer: u64, kind: Kind) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(|| "listening".to_owned())?;
    listener.set_nonblocking(true).doing(|| "listening".to_owned())?;
    let port = listener.local_addr().doing(|| "listening".to_owned())?.port();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{port}").and_then(|()| out.flush()).doing(|| "telling the port".to_owned())?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing(|| "making an epoll".to_owned())?;
    let doing = || "watching a socket".to_owned();
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).doing(doing)?;
    let mut served: HashMap<u64, Served> = HashMap::new();
    let mut events: Vec<Event> = Vec::with_capacity(256);
    let bytes = vec![b'x'; (answer as usize).min(1 << 20)];
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).doing(|| "polling".to_owned()),
        }
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).doing(doing)?;
                    let key = stream.as_raw_fd() as u64;
                    epoll::add(&epoll, &stream, EventData::new_u64(key), EventFlags::IN).doing(doing)?;
                    served.insert(key, Served { stream, received: 0, owed: 0 });
                }
                continue;
            }
            let Some(one) = served.get_mut(&key) else { continue };
            let was_owed = one.owed > 0;
            let goes_on = one.serve(request, answer, &bytes);
            if !goes_on || (kind == Kind::NewEach && one.owed == 0) {
                served.remove(&key);
            } else if was_owed != (one.owed > 0) {
                let wish = if one.owed > 0 { EventFlags::OUT } else { EventFlags::IN };
                epoll::modify(&epoll, &one.stream, EventData::new_u64(key), wish).doing(doing)?;
            }
        }
    }
}

/// No descriptor has this number.
const LISTENER: u64 = u64::MAX;

impl Served {
    /// Receives once and sends what is owed as far as it goes; whether the connection goes on.
    fn serve(&mut self, request: u64, answer: u64, bytes: &[u8]) -> bool {
        if self.owed == 0 {
            let mut buffer = [0_u8; 16 * 1024];
            match rustix::net::recv(&self.stream, buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((_, 0)) => return false,
                Ok((_, count)) => self.received += count as u64,
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Err(_) => return false,
            }
            self.owed = self.received / request * answer;
            self.received %= request;
        }
        while self.owed > 0 {
            let part = bytes.get(..bytes.len().min(self.owed as usize)).unwrap_or(bytes);
            match rustix::net::send(&self.stream, part, SendFlags::NOSIGNAL) {
                Ok(count) => self.owed -= count as u64,
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
