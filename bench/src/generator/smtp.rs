//! Mails: `smtp-source` of Postfix as the load of the message rates, one mail to check by, and our own thousand senders
//! of large mails, which take turns by the chunk.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::error::{Doing, Error};
use crate::harness::START;

/// The domain that both servers take mail for.
pub(crate) const DOMAIN: &str = "bench.test";

/// Whether a session is used for one mail or for many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// `smtp-source` as it is: connect, one mail, QUIT.
    NewEach,
    /// `smtp-source -d`: the next mail goes over the same connection.
    Kept,
}

/// Sends `messages` of `length` bytes over `sessions` sessions at a time; returns when the last 250 has come.
pub(crate) fn source(
    address: SocketAddr,
    sessions: u32,
    kind: Sessions,
    messages: u64,
    length: u32,
) -> Result<(), Error> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "smtp-source"]);
    if kind == Sessions::Kept {
        command.arg("-d");
    }
    command
        .args(["-s", &sessions.to_string(), "-m", &messages.to_string(), "-l", &length.to_string()])
        .args(["-M", DOMAIN, "-f", "sender@bench.test", "-t", "inbox@bench.test"])
        .arg(format!("{}:{}", address.ip(), address.port()))
        .stdin(Stdio::null());
    let output = command.output().doing(|| "starting smtp-source (package postfix)".to_owned())?;
    // smtp-source goes on after a refusal, and says so.
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&output.stderr).chars().take(500).collect();
    Err(Error::not_so(format!("smtp-source against {address}: {}: {said}", output.status)))
}

/// Delivers one mail, as a person would.
pub(crate) fn deliver(address: SocketAddr, mail: &str) -> Result<(), Error> {
    let stream = TcpStream::connect(address).doing(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(START)).doing(|| "setting a timeout".to_owned())?;
    let mut lines = BufReader::new(stream.try_clone().doing(|| "sharing a socket".to_owned())?);
    let mut stream = stream;
    let steps = ["", HELLO, MAIL, RCPT, DATA, &format!("{mail}.\r\n"), "QUIT\r\n"];
    for (step, wanted) in steps.iter().zip(["220", "250", "250", "250", "354", "250", "221"]) {
        stream.write_all(step.as_bytes()).doing(|| "sending a mail".to_owned())?;
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).doing(|| "reading a reply".to_owned())?;
            if !line.starts_with(wanted) {
                return Err(Error::not_so(format!("{address} answered {line:?} instead of {wanted}")));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
    }
    Ok(())
}

const HELLO: &str = "EHLO bench.test\r\n";
const MAIL: &str = "MAIL FROM:<sender@bench.test>\r\n";
const RCPT: &str = "RCPT TO:<inbox@bench.test>\r\n";
const DATA: &str = "DATA\r\n";
const HEADER: &str = "From: <sender@bench.test>\r\nTo: <inbox@bench.test>\r\nSubject: large\r\n\r\n";

/// How a crowd of senders fared.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) accepted: usize,
    /// Replies other than the one expected, each sender's first.
    pub(crate) refused: Vec<String>,
    pub(crate) took: Duration,
}

/// `senders` connections at once, each sending one mail of `length` bytes, in chunks as the server takes them.
pub(crate) fn crowd(address: SocketAddr, senders: usize, length: usize) -> Result<Crowd, Error> {
    let body = body(length);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing(|| "making an epoll".to_owned())?;
    let mut all = Vec::with_capacity(senders);
    for index in 0..senders {
        let socket = connect(address)?;
        epoll::add(&epoll, &socket, EventData::new_u64(index as u64), EventFlags::IN)
            .doing(|| "watching a sender".to_owned())?;
        all.push(Sender { socket, step: Step::Greeting, reply: Vec::new() });
    }
    let mut crowd = Crowd::default();
    let began = Instant::now();
    let mut open = senders;
    let mut events: Vec<Event> = Vec::with_capacity(256);
    let pause = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    while open > 0 {
        if began.elapsed() > CROWD_CEILING {
            return Err(Error::not_so(format!("{open} senders were not done after {CROWD_CEILING:?}")));
        }
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).doing(|| "polling".to_owned()),
        }
        for event in &events {
            let index = event.data.u64();
            let Some(sender) = all.get_mut(index as usize) else { continue };
            sender.advance(&body)?;
            match &sender.step {
                Step::Done => crowd.accepted += 1,
                Step::Refused(reply) => crowd.refused.push(reply.clone()),
                step => {
                    let wish = if matches!(step, Step::Body(_)) { EventFlags::OUT } else { EventFlags::IN };
                    epoll::modify(&epoll, &sender.socket, EventData::new_u64(index), wish)
                        .doing(|| "watching a sender".to_owned())?;
                    continue;
                }
            }
            open -= 1;
            epoll::delete(&epoll, &sender.socket).doing(|| "leaving the epoll".to_owned())?;
        }
    }
    crowd.took = began.elapsed();
    Ok(crowd)
}

/// A mail of about `length` bytes, with its end.
fn body(length: usize) -> Vec<u8> {
    let line = [&[b'X'; 76][..], b"\r\n"].concat();
    let mut body = HEADER.as_bytes().to_vec();
    while body.len() < length {
        body.extend_from_slice(&line);
    }
    body.extend_from_slice(b".\r\n");
    body
}

struct Sender {
    socket: OwnedFd,
    step: Step,
    reply: Vec<u8>,
}

/// What a sender waits for.
#[derive(Debug)]
enum Step {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    Data,
    /// Bytes of the body sent so far.
    Body(usize),
    Accepted,
    Done,
    Refused(String),
}

impl Sender {
    fn advance(&mut self, body: &[u8]) -> Result<(), Error> {
        if let Step::Body(sent) = self.step {
            let end = body.len().min(sent + CHUNK);
            match rustix::net::send(&self.socket, body.get(sent..end).unwrap_or_default(), SendFlags::NOSIGNAL) {
                Ok(count) if sent + count == body.len() => self.step = Step::Accepted,
                Ok(count) => self.step = Step::Body(sent + count),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // What the server said before it closed is told.
                Err(_) => self.step = Step::Accepted,
            }
            return Ok(());
        }
        let mut bytes = [0; 4096];
        match rustix::net::recv(&self.socket, bytes.as_mut_slice(), RecvFlags::empty()) {
            Ok((_, 0)) => self.step = Step::Refused("closed".to_owned()),
            Ok((_, count)) => {
                self.reply.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.replied()?;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => self.step = Step::Refused(error.to_string()),
        }
        Ok(())
    }

    /// Goes on when the reply is whole: when its last line has no `-` after the code.
    fn replied(&mut self) -> Result<(), Error> {
        let whole = self.reply.ends_with(b"\r\n");
        let last = self.reply.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if !whole || last.get(3) == Some(&b'-') {
            return Ok(());
        }
        let (wanted, next, then): (&[u8], &str, Step) = match self.step {
            Step::Greeting => (b"220", HELLO, Step::Hello),
            Step::Hello => (b"250", MAIL, Step::Mail),
            Step::Mail => (b"250", RCPT, Step::Rcpt),
            Step::Rcpt => (b"250", DATA, Step::Data),
            Step::Data => (b"354", "", Step::Body(0)),
            _ => (b"250", "QUIT\r\n", Step::Done),
        };
        if !last.starts_with(wanted) {
            self.step = Step::Refused(String::from_utf8_lossy(&self.reply).trim_end().to_owned());
            return Ok(());
        }
        self.reply.clear();
        self.step = then;
        if next.is_empty() {
            return Ok(());
        }
        rustix::net::send(&self.socket, next.as_bytes(), SendFlags::NOSIGNAL)
            .map(drop)
            .doing(|| "sending a command".to_owned())
    }
}

fn connect(address: SocketAddr) -> Result<OwnedFd, Error> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .doing(|| "making a socket".to_owned())?;
    rustix::net::connect(&socket, &address).doing(|| format!("connecting to {address}"))?;
    rustix::io::ioctl_fionbio(&socket, true).doing(|| "making a socket non-blocking".to_owned())?;
    Ok(socket)
}

/// What one sender sends before the next has its turn.
const CHUNK: usize = 32 * 1024;
/// The longest that a crowd may take.
const CROWD_CEILING: Duration = Duration::from_secs(600);
