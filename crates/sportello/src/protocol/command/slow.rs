//! SLOWLOG: the requests that took longest to carry out, for the whole process.
//!
//! The log's lock is taken only when a request was slow. Bounded by [`Settings::length`] entries, each of at most 32 words of
//! 128 bytes, a name and an address.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sportello_net::Connection;
use sportello_wire::resp::{Arguments, Reply};

use super::builtin::Builtin;
use super::dispatch::subcommand;
use super::help;
use super::session::address;

/// What is kept of slow requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A request that took at least so long is kept.
    pub slower_than: Duration,
    /// How many are kept; the oldest give way. 0: none.
    pub length: usize,
}

impl Default for Settings {
    /// What Redis does: 10 ms, 128 entries.
    fn default() -> Self {
        Self { slower_than: Duration::from_millis(10), length: 128 }
    }
}

impl Settings {
    /// Whether a request that took so long is to be kept.
    pub(super) fn want(&self, took: Duration) -> bool {
        took >= self.slower_than && self.length > 0
    }
}

/// The slow requests of all workers.
#[derive(Debug, Default)]
pub(super) struct SlowLog {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    /// The newest first.
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    /// When it was answered, since 1970.
    at: Duration,
    took: Duration,
    words: Vec<Box<[u8]>>,
    peer: String,
    name: String,
}

impl SlowLog {
    /// Keeps one that [`Settings::want`] says is slow, as one of at most `length`.
    pub(super) fn keep(&self, length: usize, connection: &Connection, took: Duration, words: Vec<Box<[u8]>>) {
        self.keep_of(length, (address(connection.peer()), connection.name()), took, words);
    }

    fn keep_of(&self, length: usize, (peer, name): (String, String), took: Duration, words: Vec<Box<[u8]>>) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut kept = self.kept();
        let id = kept.next;
        kept.next = id.wrapping_add(1);
        kept.entries.truncate(length.saturating_sub(1));
        kept.entries.push_front(Entry { id, at, took, words, peer, name });
    }

    /// `SLOWLOG GET [count] | LEN | RESET | HELP`
    pub(super) fn command(&self, builtin: &Builtin, arguments: &Arguments<'_>, reply: &mut Reply) {
        let Some(subcommand) = subcommand(builtin, arguments, reply) else { return };
        match subcommand.name {
            "GET" => match count(arguments.at(2)) {
                Some(count) => self.show(count, reply),
                None => reply.error("ERR", "count should be greater than or equal to -1"),
            },
            "LEN" => reply.count(self.kept().entries.len() as u64),
            "RESET" => {
                self.kept().entries.clear();
                reply.ok();
            }
            _ => help::subcommands(builtin, reply),
        }
    }

    /// As Redis shows an entry: its number, when (s since 1970), how long (µs), the words, the client's address and name.
    fn show(&self, most: usize, reply: &mut Reply) {
        let kept = self.kept();
        reply.array(kept.entries.len().min(most));
        for entry in kept.entries.iter().take(most) {
            reply.array(6);
            reply.count(entry.id);
            reply.count(entry.at.as_secs());
            reply.count(u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX));
            reply.array(entry.words.len());
            entry.words.iter().for_each(|word| reply.bulk(word));
            reply.text(&entry.peer);
            reply.text(&entry.name);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many are asked for: 10 unless told, all for -1.
fn count(written: Option<&[u8]>) -> Option<usize> {
    match written {
        None => Some(10),
        Some(b"-1") => Some(usize::MAX),
        Some(written) => std::str::from_utf8(written).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(length: usize, slow: usize) -> SlowLog {
        let log = SlowLog::default();
        for number in 0..slow {
            let words = vec![b"nap".as_slice().into(), number.to_string().into_bytes().into()];
            log.keep_of(length, ("127.0.0.1:1".into(), "me".into()), Duration::from_micros(7), words);
        }
        log
    }

    #[test]
    fn the_newest_are_kept_up_to_the_length() {
        for (length, slow, kept, last) in [(3, 3, 3, 2), (3, 4, 3, 3), (1, 9, 1, 8)] {
            let log = log(length, slow);
            let entries = &log.kept().entries;
            assert_eq!((entries.len(), entries.front().map(|entry| entry.id)), (kept, Some(last)));
        }
    }

    #[test]
    fn slow_is_what_took_as_long_as_is_said() {
        let settings = Settings { slower_than: Duration::from_micros(5), length: 1 };
        assert!(settings.want(Duration::from_micros(5)));
        assert!(!settings.want(Duration::from_nanos(4_999)));
        assert!(!Settings { length: 0, ..settings }.want(Duration::MAX));
    }

    #[test]
    fn an_entry_has_the_shape_that_clients_read() {
        let log = log(2, 1);
        let at = log.kept().entries.front().map(|entry| entry.at.as_secs()).unwrap_or_default();
        let mut reply = Reply::new();
        log.show(9, &mut reply);
        let shown = String::from_utf8_lossy(reply.bytes()).replace("\r\n", " ");
        assert_eq!(shown, format!("*1 *6 :0 :{at} :7 *2 $3 nap $1 0 $11 127.0.0.1:1 $2 me "));
    }

    #[test]
    fn a_count_is_none_or_more_or_all() {
        for (written, expect) in [
            (None, Some(10)),
            (Some("-1"), Some(usize::MAX)),
            (Some("0"), Some(0)),
            (Some("-2"), None),
            (Some("x"), None),
        ] {
            assert_eq!(count(written.map(str::as_bytes)), expect, "{written:?}");
        }
    }
}
