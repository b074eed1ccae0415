//! Whole sessions: an input is what a client does, step by step, on a socket pair and in simulated time.
//!
//! A byte is sent as it is, but for 0xFF, which begins a step of another kind: with a byte below 0x80 so many half seconds
//! pass, with 0xFE the client shuts down its sending side, with 0xFF a byte 0xFF is sent. Bounded by: the target's longest input,
//! [`DEADLINES`], and [`LAST`] of simulated time after the last step.

pub(crate) mod command;
pub(crate) mod http;
pub(crate) mod smtp;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use sportello_net::deadline::TICK;
use sportello_net::simulation::{Client, Simulation};
use sportello_net::{Connection, Deadlines, Speaker};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::pieces::seed;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DEADLINES: Deadlines = Deadlines {
    handshake: Duration::from_secs(10),
    first_byte: seconds(3),
    idle: seconds(4),
    between_bytes: seconds(3),
    request: seconds(12),
    write: seconds(3),
    minimum_rate: 1,
    rate_grace: seconds(6),
};

/// Within this a session must have ended when its client does nothing more: the longest wait for it, what it lingers, and the two
/// seconds that work for a client which is half closed may take.
const LAST: Duration = seconds(12 + 2 + 2);
/// Most of simulated time that a client's waits may take together.
const WAITS: Duration = seconds(60);

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    ShutDown,
}

fn steps(data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = data.iter().copied();
    while let Some(byte) = rest.next() {
        let other = match (byte, if byte == 0xff { rest.next() } else { None }) {
            (0xff, Some(halves @ 0..0x80)) => Step::Wait(Duration::from_millis(500) * u32::from(halves)),
            (0xff, Some(0xfe)) => Step::ShutDown,
            _ => {
                bytes.push(byte);
                continue;
            }
        };
        if !bytes.is_empty() {
            steps.push(Step::Send(std::mem::take(&mut bytes)));
        }
        steps.push(other);
    }
    if !bytes.is_empty() {
        steps.push(Step::Send(bytes));
    }
    steps
}

/// All that a client sends.
fn sent(data: &[u8]) -> Vec<u8> {
    let bytes = |step| match step {
        Step::Send(bytes) => bytes,
        _ => Vec::new(),
    };
    steps(data).into_iter().flat_map(bytes).collect()
}

/// How a client sends the bytes of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    AtOnce,
    ByteByByte,
}

/// An event loop with a simulation on it, kept from one input to the next.
struct Loop {
    // First to go: an event loop does not end while its clock is held.
    simulation: Simulation,
    tasks: LocalSet,
    runtime: Runtime,
}

impl Loop {
    fn new(speaker: Speaker) -> Self {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let tasks = LocalSet::new();
        let channel = sportello_net::simulation::channel(speaker, DEADLINES);
        let simulation = tasks.block_on(&runtime, async { Simulation::new(channel) });
        Self { simulation, tasks, runtime }
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.tasks.block_on(&self.runtime, work)
    }

    /// Lets a client do what `data` says; what it heard, when the session has ended.
    fn play<F>(&self, data: &[u8], pace: Pace, serve: impl FnOnce(Connection) -> F) -> Vec<u8>
    where
        F: Future<Output = ()> + 'static,
    {
        self.block_on(async {
            let mut client = self.simulation.connect(serve);
            client.settle().await;
            let mut left = WAITS;
            for step in steps(data) {
                match step {
                    Step::Send(bytes) if pace == Pace::AtOnce => drop(client.send(bytes).await),
                    Step::Send(bytes) => {
                        for byte in bytes {
                            if !client.send([byte]).await {
                                break;
                            }
                        }
                    }
                    Step::Wait(time) => {
                        client.pass(time.min(left)).await;
                        left = left.saturating_sub(time);
                    }
                    Step::ShutDown => client.shut_down().await,
                }
            }
            end(client, seed(data).is_multiple_of(16)).await
        })
    }
}

/// The client does nothing more, or says that it has no more to send. What it heard.
async fn end(mut client: Client, silent: bool) -> Vec<u8> {
    if !silent {
        client.shut_down().await;
    }
    let mut left = LAST;
    while !client.has_ended() && !left.is_zero() {
        client.pass(TICK).await;
        left = left.saturating_sub(TICK);
    }
    assert!(client.has_ended() || !silent, "the session outlives its deadlines");
    let mut heard = client.heard();
    heard.extend(client.leave().await);
    heard
}

/// A folder of this process, in memory where the machine has such a place. Those of processes that are dead are removed first: a
/// search that ends with a finding removes nothing.
fn folder(name: &str) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let above = if memory.is_dir() { memory } else { std::env::temp_dir() };
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(&above));
    let folder = above.join(format!("{PREFIX}{}-{name}", std::process::id()));
    FOLDERS.lock().unwrap().push(folder.clone());
    LEAVING.with(|_| {});
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// How the folders' names begin; the process's number follows.
const PREFIX: &str = "sportello-fuzz-";

/// The folders that this process made.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

thread_local! {
    /// libFuzzer ends the process from within: what is left to us is what the C library does for the main thread at exit.
    static LEAVING: Leaving = const { Leaving };
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        clean();
    }
}

/// Removes them, at the end.
pub(crate) fn clean() {
    for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Removes the folders of processes that do not live any more.
fn sweep(above: &Path) {
    for entry in std::fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if number.is_some_and(|number| !Path::new("/proc").join(number.to_string()).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_sequence_of_steps() {
        let expect = vec![
            Step::Send(b"a\r\n".to_vec()),
            Step::Wait(Duration::from_millis(1_000)),
            Step::Send(vec![b'b', 0xff]),
            Step::ShutDown,
        ];
        assert_eq!(steps(b"a\r\n\xff\x02b\xff\xff\xff\xfe"), expect);
        assert_eq!(sent(b"a\xff\x02b\xff\xff\xff\xfe\xff"), b"ab\xff\xff");
    }

    #[test]
    fn only_the_folders_of_the_dead_are_swept() {
        let above = folder("swept");
        let [dead, own, other] = ["sportello-fuzz-4294967295-mail", "sportello-fuzz-1-mail", "sportello-fuzz-x"];
        [dead, own, other].iter().for_each(|name| std::fs::create_dir(above.join(name)).unwrap());
        sweep(&above);
        assert_eq!([dead, own, other].map(|name| above.join(name).exists()), [false, true, true]);
    }
}
