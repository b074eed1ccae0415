//! What holds unless something else was written, and what the machine itself says.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sportello_net::{Deadlines, Speaker};
use sportello_service::spool::Bounds;

use super::settings::{Ban, Role, Settings};

/// When whoever guesses passwords is not heard.
pub(super) const BAN: Ban = Ban { failures: 10, within: Duration::from_secs(600), lasts: Duration::from_secs(3_600) };
/// How long a stopping server lets requests finish.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Connections the kernel holds for a channel before they are accepted.
pub(super) const BACKLOG: i32 = 4_096;

/// The state folder: `$XDG_STATE_HOME/sportello`, else `~/.local/state/sportello` (XDG Base Directory §3).
pub fn default_state() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("sportello"))
}

/// The machine's own name.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// One worker for each core.
pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(Settings::MOST_WORKERS)
}

/// Connections from one client of another machine, of `most` in all.
pub(super) fn per_source(most: usize) -> usize {
    (most / 8).max(64)
}

/// A channel's share of `most` connections in all.
pub(super) fn share(role: &Role, most: usize) -> usize {
    let share = match role {
        Role::Sites(_) => most / 10 * 6,
        Role::Smtp(_) => most / 10 * 2,
        Role::Command(_) | Role::Desk(_) => most / 10,
    };
    share.max(1)
}

/// Who speaks first.
pub(super) fn speaker(role: &Role) -> Speaker {
    match role {
        Role::Sites(_) | Role::Desk(_) => Speaker::Client,
        Role::Smtp(_) => Speaker::Server,
        Role::Command(_) => Speaker::ClientWhenItWants,
    }
}

/// The waits of a channel.
pub fn deadlines(role: &Role) -> Deadlines {
    let seconds = Duration::from_secs;
    match role {
        Role::Sites(_) | Role::Desk(_) => Deadlines {
            first_byte: seconds(30),
            idle: seconds(75),
            between_bytes: seconds(20),
            request: seconds(60),
            ..Deadlines::default()
        },
        // RFC 5321 §4.5.3.2: five minutes for a command, three for a block of data.
        Role::Smtp(_) => Deadlines {
            first_byte: seconds(300),
            idle: seconds(300),
            between_bytes: seconds(180),
            request: seconds(3_600),
            write: seconds(60),
            rate_grace: seconds(180),
            minimum_rate: 64,
            ..Deadlines::default()
        },
        // Clients keep connections in pools for long.
        Role::Command(_) => Deadlines {
            first_byte: seconds(3_600),
            idle: seconds(3_600),
            between_bytes: seconds(30),
            request: seconds(120),
            ..Deadlines::default()
        },
    }
}

/// Requests that each of so many proxies passes on at once: together an eighth of the descriptors, of which connections of clients may
/// take three quarters.
pub(super) fn requests_passed_on(proxies: usize) -> usize {
    (raise_descriptor_limit() / 6).checked_div(proxies).unwrap_or_default().max(16)
}

/// What bodies of requests may take that are put aside on the disk of `store`: so many bytes, else 4 GiB. Each of them is a descriptor, of
/// which a thirty-second may be such.
pub(super) fn uploads(bytes: Option<u64>, store: &sportello_store::Settings) -> Bounds {
    let files = (raise_descriptor_limit() / 24).max(16) as u64;
    Bounds { bytes: bytes.unwrap_or(4 << 30), files, keep_free: store.disk_reserve }
}

/// Raises the number of descriptors this process may hold to what the machine lets it, and says how many connections that
/// carries: a quarter is kept for files, pipes and the store.
pub(super) fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MOST: u64 = 100_000;
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(MOST).min(MOST);
    let soft = limit.current.unwrap_or(MOST);
    let raised = Rlimit { current: Some(hard.max(soft)), maximum: limit.maximum };
    let usable = if setrlimit(Resource::Nofile, raised).is_ok() { hard.max(soft) } else { soft };
    usize::try_from(usable.min(MOST) * 3 / 4).unwrap_or(MOST as usize)
}
