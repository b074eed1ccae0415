//! What the server and the spawner say to each other, one message per packet of Unix SOCK_SEQPACKET pairs.
//!
//! There is the control socket, with which the spawner was started, and a *line* for each worker of the server that runs programs: a
//! worker sends its orders by itself and is told of its own runs alone, so no other thread is woken for a program.
//!
//! Numbers are little-endian; a string is its length in 4 bytes and its bytes.
//!
//! ```text
//! control   server → spawner   0 line                 with the far end of a new line by SCM_RIGHTS
//!           spawner → server   1 ready   pid u32      once, first
//! line      server → spawner   1 start   id u64, count u32, argv…, count u32, NAME=value…   with [stdout, stderr, stdin?] by SCM_RIGHTS
//!                              2 term    id u64       TERM to its process group
//!                              3 finish  id u64       KILL it and whatever is left of it; nothing more will be said of it
//!           spawner → server   1 ready   pid u32      first: it has taken the line
//!                              3 failed  id u64, errno u32
//!                              4 exited  id u64, 0 code u8 | 1 signal u8
//! ```
//!
//! A run is over with `failed` or `exited`: before it says the latter, the spawner kills what is left of the process group. A line
//! that closes is a `finish` for each of its runs.

use super::outcome::Exit;

/// The most bytes of one message.
pub(super) const MESSAGE: usize = 128 << 10;

/// What the server asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take a line. Only on the control socket, where nothing else is said.
    Line,
    /// Start a program.
    Start {
        /// The server's number for this run.
        id: u64,
        /// The path, then the arguments.
        argv: Vec<Vec<u8>>,
        /// `NAME=value`.
        environment: Vec<Vec<u8>>,
    },
    /// Ask it to end.
    Term {
        /// The run.
        id: u64,
    },
    /// Kill it and what is left of it, and forget it.
    Finish {
        /// The run.
        id: u64,
    },
}

/// What the spawner tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It is there.
    Ready {
        /// Its process id.
        pid: u32,
    },
    /// The program could not be started.
    Failed {
        /// The run.
        id: u64,
        /// The operating system's error number.
        errno: u32,
    },
    /// The program ended, and its process group with it.
    Exited {
        /// The run.
        id: u64,
        /// How.
        exit: Exit,
    },
}

impl Order {
    /// As one message. `None`: it would be longer than [`MESSAGE`].
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::Line => out.push(0),
            Self::Start { id, argv, environment } => {
                out.push(1);
                out.extend_from_slice(&id.to_le_bytes());
                put_all(&mut out, argv)?;
                put_all(&mut out, environment)?;
            }
            Self::Term { id } => {
                out.push(2);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Self::Finish { id } => {
                out.push(3);
                out.extend_from_slice(&id.to_le_bytes());
            }
        }
        (out.len() <= MESSAGE).then_some(out)
    }

    /// From one message.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let mut rest = Rest(message);
        let order = match rest.byte()? {
            0 => Self::Line,
            1 => Self::Start { id: rest.id()?, argv: rest.all()?, environment: rest.all()? },
            2 => Self::Term { id: rest.id()? },
            3 => Self::Finish { id: rest.id()? },
            _ => return None,
        };
        rest.0.is_empty().then_some(order)
    }
}

impl Report {
    /// As one message.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, id, rest) = match *self {
            Self::Ready { pid } => (1, None, pid.to_le_bytes().to_vec()),
            Self::Failed { id, errno } => (3, Some(id), errno.to_le_bytes().to_vec()),
            Self::Exited { id, exit } => (
                4,
                Some(id),
                match exit {
                    Exit::Code(code) => vec![0, code],
                    Exit::Signal(signal) => vec![1, signal],
                    // Only the server knows a run's time.
                    Exit::TimedOut => vec![1, 9],
                },
            ),
        };
        let mut out = vec![kind];
        out.extend(id.iter().flat_map(|id| id.to_le_bytes()));
        out.extend(rest);
        out
    }

    /// From one message.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let mut rest = Rest(message);
        let report = match rest.byte()? {
            1 => Self::Ready { pid: rest.number()? },
            3 => Self::Failed { id: rest.id()?, errno: rest.number()? },
            4 => {
                let id = rest.id()?;
                let exit = match rest.byte()? {
                    0 => Exit::Code(rest.byte()?),
                    1 => Exit::Signal(rest.byte()?),
                    _ => return None,
                };
                Self::Exited { id, exit }
            }
            _ => return None,
        };
        rest.0.is_empty().then_some(report)
    }
}

fn put_all(out: &mut Vec<u8>, strings: &[Vec<u8>]) -> Option<()> {
    out.extend_from_slice(&u32::try_from(strings.len()).ok()?.to_le_bytes());
    for string in strings {
        out.extend_from_slice(&u32::try_from(string.len()).ok()?.to_le_bytes());
        out.extend_from_slice(string);
    }
    Some(())
}

/// What of a message is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn id(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn all(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.number()?;
        let mut strings = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(self.number()?).ok()?;
            let (string, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            strings.push(string.to_vec());
        }
        Some(strings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_understood() {
        let orders = [
            Order::Line,
            Order::Start {
                id: 7,
                argv: vec![b"/bin/x".to_vec(), Vec::new(), b"a\nb".to_vec()],
                environment: vec![b"A=b".to_vec()],
            },
            Order::Start { id: u64::MAX, argv: Vec::new(), environment: Vec::new() },
            Order::Term { id: 1 },
            Order::Finish { id: 2 },
        ];
        for order in orders {
            let message = order.encode().unwrap();
            for cut in 0..message.len() {
                assert_eq!(Order::decode(&message[..cut]), None);
            }
            assert_eq!(Order::decode(&message), Some(order));
        }
        let reports = [
            Report::Ready { pid: 1 },
            Report::Failed { id: 7, errno: 2 },
            Report::Exited { id: 7, exit: Exit::Code(75) },
            Report::Exited { id: 7, exit: Exit::Signal(15) },
        ];
        for report in reports {
            let message = report.encode();
            for cut in 0..message.len() {
                assert_eq!(Report::decode(&message[..cut]), None);
            }
            assert_eq!(Report::decode(&message), Some(report));
        }
    }

    #[test]
    fn a_message_has_a_bound() {
        let of =
            |length: usize| Order::Start { id: 1, argv: vec![vec![b'x'; length]], environment: Vec::new() }.encode();
        // Kind, id, two counts, one length.
        let frame = 1 + 8 + 4 + 4 + 4;
        assert!(of(MESSAGE - frame).is_some());
        assert!(of(MESSAGE - frame + 1).is_none());
    }
}
