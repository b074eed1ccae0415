//! The command line's own channel: a Unix socket in the state folder, which only the server's user may open.
//!
//! It speaks the command protocol, as the TCP channels do: one administration, whatever the way to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sportello_net::{Channel, Deadlines, Listener, PathError, Speaker, UNIX_PEER};

/// Its name, among the channels and in what is shown.
pub const NAME: &str = "socket";
/// The most connections: people and their scripts, not clients.
const MOST: usize = 64;

/// Where it is.
pub fn path(state: &Path) -> PathBuf {
    state.join("command.sock")
}

/// Listens. The state folder must be there, and ours.
///
/// # Errors
/// When the path is too long for a socket, or the kernel refuses.
pub fn listen(state: &Path, index: usize, workers: usize) -> Result<Listener, PathError> {
    let hour = Duration::from_secs(3_600);
    let channel = Channel {
        index,
        name: NAME.to_owned(),
        address: UNIX_PEER,
        loopback: true,
        speaker: Speaker::ClientWhenItWants,
        deadlines: Deadlines {
            first_byte: hour,
            idle: hour,
            request: Duration::from_secs(120),
            ..Deadlines::default()
        },
        most_connections: MOST,
        backlog: 64,
    };
    Listener::unix(channel, &path(state), workers)
}
