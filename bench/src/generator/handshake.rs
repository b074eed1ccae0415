//! The load of handshakes: connect, shake hands, wait for the server's ticket (its last word, which says that it is done
//! too), say goodbye, and again.
//!
//! Knows no protocol above TLS. Bounded by: the connections, the time, and [`STALL`] without any handshake done.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustls::client::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};

use super::exchange;
use super::tls::{self, Resume, Socket};
use crate::error::{Doing, Error};
use crate::rounds::Meter;

/// What is agreed on, and with how many clients at a time.
pub(crate) struct Handshakes {
    /// Each handshake names one of them, in turn.
    pub(crate) names: Vec<ServerName<'static>>,
    pub(crate) connections: usize,
    pub(crate) resume: Resume,
}

/// One client; it remembers its own tickets.
struct Client {
    config: Arc<ClientConfig>,
    socket: OwnedFd,
    session: ClientConnection,
    began: Instant,
}

/// So long without a handshake means that there will be none.
const STALL: Duration = Duration::from_secs(10);

impl Handshakes {
    /// Loads `address` for `time`, and lets what is under way finish. Returns the handshakes done.
    pub(crate) fn run(&self, address: SocketAddr, time: Duration, meter: &mut Meter) -> Result<u64, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing(|| "making an epoll".to_owned())?;
        let mut drive = Drive { load: self, address, epoll, done: 0, next: 0 };
        let mut configs = Vec::new();
        for _ in 0..self.connections {
            let config = tls::client(self.resume)?;
            if self.resume == Resume::ByTicket {
                drive.gain_a_ticket(&config)?;
            }
            configs.push(config);
        }
        let end = meter.begin() + time;
        let mut clients = Vec::with_capacity(self.connections);
        for (index, config) in configs.into_iter().enumerate() {
            clients.push(Some(drive.begin(config, index)?));
        }
        drive.all(&mut clients, end, meter)?;
        meter.end();
        Ok(drive.done)
    }
}

/// One slice under way.
struct Drive<'a> {
    load: &'a Handshakes,
    address: SocketAddr,
    epoll: OwnedFd,
    done: u64,
    /// Which name is next.
    next: usize,
}

impl Drive<'_> {
    fn name(&mut self) -> Result<&ServerName<'static>, Error> {
        let turn = self.next.checked_rem(self.load.names.len()).unwrap_or(0);
        self.next = self.next.wrapping_add(1);
        self.load.names.get(turn).ok_or_else(|| Error::not_so("no names"))
    }

    /// One full handshake, whose ticket `config` keeps.
    fn gain_a_ticket(&mut self, config: &Arc<ClientConfig>) -> Result<(), Error> {
        let mut stream = tls::connect(self.address, config, self.name()?)?;
        while stream.conn.is_handshaking() || stream.conn.tls13_tickets_received() == 0 {
            let (session, socket) = (&mut stream.conn, &mut stream.sock);
            session.complete_io(socket).doing(|| "shaking hands".to_owned())?;
        }
        Ok(())
    }

    fn begin(&mut self, config: Arc<ClientConfig>, index: usize) -> Result<Client, Error> {
        let began = Instant::now();
        let session = tls::session(&config, self.name()?)?;
        let socket = exchange::connect(self.address)?;
        let mut client = Client { config, socket, session, began };
        client.send()?;
        epoll::add(&self.epoll, &client.socket, EventData::new_u64(index as u64), EventFlags::IN)
            .doing(|| "watching a socket".to_owned())?;
        Ok(client)
    }

    fn all(&mut self, clients: &mut [Option<Client>], end: Instant, meter: &mut Meter) -> Result<(), Error> {
        let mut events: Vec<Event> = Vec::with_capacity(clients.len());
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut last = Instant::now();
        while clients.iter().any(Option::is_some) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).doing(|| "polling".to_owned()),
            }
            if events.is_empty() && last.elapsed() > STALL {
                return Err(Error::not_so("no handshake for 10 s"));
            }
            for event in &events {
                let index = event.data.u64() as usize;
                let Some(place) = clients.get_mut(index) else { continue };
                let Some(client) = place else { continue };
                if !client.step(self.load.resume)? {
                    continue;
                }
                last = Instant::now();
                meter.answered(last - client.began, 1);
                self.done += 1;
                // Dropping the client closes its socket, and takes it out of the epoll.
                let Some(ended) = place.take() else { continue };
                if last < end {
                    let config = Arc::clone(&ended.config);
                    drop(ended);
                    *place = Some(self.begin(config, index)?);
                }
            }
        }
        Ok(())
    }
}

impl Client {
    /// Takes what has come; whether all is said.
    fn step(&mut self, resume: Resume) -> Result<bool, Error> {
        match self.session.read_tls(&mut Socket::of(&self.socket)) {
            Ok(0) => return Err(Error::not_so("the server closed during a handshake")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).doing(|| "receiving".to_owned()),
        }
        let processed = self.session.process_new_packets();
        processed.map_err(|error| Error::not_so(format!("a handshake failed: {error}")))?;
        self.send()?;
        if self.session.is_handshaking() || self.session.tls13_tickets_received() == 0 {
            return Ok(false);
        }
        let expected = if resume == Resume::ByTicket { HandshakeKind::Resumed } else { HandshakeKind::Full };
        if self.session.handshake_kind() != Some(expected) {
            return Err(Error::not_so(format!("a handshake was {:?}", self.session.handshake_kind())));
        }
        self.session.send_close_notify();
        self.send()?;
        Ok(true)
    }

    fn send(&mut self) -> Result<(), Error> {
        while self.session.wants_write() {
            self.session.write_tls(&mut Socket::of(&self.socket)).doing(|| "sending".to_owned())?;
        }
        Ok(())
    }
}
