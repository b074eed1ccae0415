//! MONITOR: every request of the command channels, as it comes, shown to whoever watches.
//!
//! A worker formats a request once and hands the line to each monitor's queue. It finds the monitors in a list of its own, which
//! it reads anew only when one has come or gone: no lock on the way of a request, and one load where nobody watches.
//!
//! Bounded by [`MOST`] monitors, and for each [`LINES`] lines or [`QUEUED`] bytes that wait. What does not fit is dropped,
//! counted, and told in the stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The most monitors at once.
pub(super) const MOST: usize = 16;
/// The most lines that wait for one monitor …
const LINES: usize = 1024;
/// … and the most bytes of them.
const QUEUED: usize = 256 << 10;
/// The most bytes of one line; the words that no longer fit are counted.
const LINE: usize = 4 << 10;
/// Lines that a monitor takes at once.
const TAKEN: usize = 256;

/// All monitors of the process.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    /// Grows whenever one comes or goes.
    generation: AtomicU64,
    taps: Mutex<Vec<Arc<Tap>>>,
}

/// The way to one monitor.
#[derive(Debug)]
struct Tap {
    lines: mpsc::Sender<Bytes>,
    queued: AtomicUsize,
    dropped: AtomicU64,
}

/// One monitor's end. Dropping it ends the watching.
pub(super) struct Feed {
    monitors: Arc<Monitors>,
    tap: Arc<Tap>,
    lines: mpsc::Receiver<Bytes>,
    taken: Vec<Bytes>,
}

/// A worker's own list of the monitors.
pub(super) struct Audience {
    monitors: Arc<Monitors>,
    generation: Cell<u64>,
    taps: RefCell<Rc<[Arc<Tap>]>>,
}

impl Monitors {
    /// One more. `None`: there are [`MOST`].
    pub(super) fn watch(self: &Arc<Self>) -> Option<Feed> {
        let (sender, lines) = mpsc::channel(LINES);
        let tap = Arc::new(Tap { lines: sender, queued: AtomicUsize::new(0), dropped: AtomicU64::new(0) });
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        if taps.len() >= MOST {
            return None;
        }
        taps.push(Arc::clone(&tap));
        self.generation.fetch_add(1, Ordering::Release);
        drop(taps);
        Some(Feed { monitors: Arc::clone(self), tap, lines, taken: Vec::new() })
    }
}

impl Audience {
    pub(super) fn new(monitors: Arc<Monitors>) -> Self {
        Self { monitors, generation: Cell::new(0), taps: RefCell::new(Rc::new([])) }
    }

    /// Whether anybody watches.
    pub(super) fn is_there(&self) -> bool {
        let generation = self.monitors.generation.load(Ordering::Acquire);
        if generation != self.generation.get() {
            let taps = self.monitors.taps.lock().unwrap_or_else(PoisonError::into_inner);
            self.taps.replace(taps.iter().cloned().collect());
            self.generation.set(generation);
        }
        !self.taps.borrow().is_empty()
    }

    /// Shows a request to all who watch: `+seconds.micros [0 address] "word" "word"`, as Redis writes it.
    pub(super) fn tell(&self, peer: &str, words: &[Box<[u8]>]) {
        let line = Bytes::from(line(peer, words));
        for tap in self.taps.borrow().iter() {
            tap.push(line.clone());
        }
    }

    /// The monitors, to become one.
    pub(super) fn monitors(&self) -> &Arc<Monitors> {
        &self.monitors
    }
}

impl Tap {
    fn push(&self, line: Bytes) {
        let length = line.len();
        let fits = self.queued.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= QUEUED;
        if !fits || self.lines.try_send(line).is_err() {
            self.queued.fetch_sub(length, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Feed {
    /// Waits for lines and appends them to `out`. Dropping the future loses none.
    pub(super) async fn next(&mut self, out: &mut Vec<u8>) {
        // The sender lives as long as this end, so there is always a next line.
        let count = self.lines.recv_many(&mut self.taken, TAKEN).await;
        debug_assert!(count > 0);
        for line in self.taken.drain(..) {
            self.tap.queued.fetch_sub(line.len(), Ordering::Relaxed);
            out.extend_from_slice(&line);
        }
        let dropped = self.tap.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            // In the shape of a request, since clients read nothing else here; no client has port 0.
            let words =
                [b"MONITOR".as_slice().into(), b"DROPPED".as_slice().into(), dropped.to_string().into_bytes().into()];
            out.extend(line("sportello:0", &words));
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut taps = self.monitors.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|tap| !Arc::ptr_eq(tap, &self.tap));
        self.monitors.generation.fetch_add(1, Ordering::Release);
    }
}

fn line(peer: &str, words: &[Box<[u8]>]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    line_at(now, peer, words)
}

fn line_at(now: Duration, peer: &str, words: &[Box<[u8]>]) -> Vec<u8> {
    let mut line = format!("+{}.{:06} [0 {peer}]", now.as_secs(), now.subsec_micros()).into_bytes();
    for (place, word) in words.iter().enumerate() {
        // A byte takes four at most.
        if line.len() + word.len() * 4 > LINE {
            line.extend_from_slice(format!(" \"... ({} more arguments)\"", words.len() - place).as_bytes());
            break;
        }
        line.push(b' ');
        quote(word, &mut line);
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// As Redis quotes (sdscatrepr): nothing in it can end the line or move a terminal's cursor.
fn quote(word: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            other => line.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&[u8]]) -> Vec<Box<[u8]>> {
        words.iter().map(|word| Box::from(*word)).collect()
    }

    fn taken(feed: &mut Feed) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut out = Vec::new();
        runtime.block_on(feed.next(&mut out));
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_is_as_redis_writes_it() {
        let at = Duration::from_micros(1_339_518_083_107_412);
        let line = line_at(at, "127.0.0.1:60866", &words(&[b"SET", b"a \"b\"", b"\\\n\r\t\x07\x08\x00\xff"]));
        assert_eq!(
            String::from_utf8_lossy(&line),
            "+1339518083.107412 [0 127.0.0.1:60866] \"SET\" \"a \\\"b\\\"\" \"\\\\\\n\\r\\t\\a\\b\\x00\\xff\"\r\n"
        );
    }

    #[test]
    fn a_line_is_bounded() {
        let line = line_at(Duration::ZERO, "127.0.0.1:1", &words(&[[0xff; 150].as_slice(); 32]));
        assert!(line.len() <= LINE + 64, "{}", line.len());
        assert!(String::from_utf8_lossy(&line).ends_with("more arguments)\"\r\n"));
    }

    #[test]
    fn nobody_watches_until_somebody_does_and_after() {
        let monitors = Arc::new(Monitors::default());
        let audience = Audience::new(Arc::clone(&monitors));
        assert!(!audience.is_there());
        let mut feed = monitors.watch().unwrap();
        assert!(audience.is_there());
        audience.tell("127.0.0.1:1", &words(&[b"PING"]));
        assert!(taken(&mut feed).concat().ends_with("[0 127.0.0.1:1] \"PING\""));
        drop(feed);
        assert!(!audience.is_there());
    }

    #[test]
    fn one_more_than_there_may_be_is_refused() {
        let monitors = Arc::new(Monitors::default());
        let mut feeds: Vec<_> = (0..MOST).map(|_| monitors.watch().unwrap()).collect();
        assert!(monitors.watch().is_none());
        feeds.pop();
        assert!(monitors.watch().is_some());
    }

    #[test]
    fn what_a_slow_monitor_misses_is_counted_and_told() {
        let monitors = Arc::new(Monitors::default());
        let audience = Audience::new(Arc::clone(&monitors));
        let mut feed = monitors.watch().unwrap();
        assert!(audience.is_there());
        for (told, dropped) in [(LINES, 0), (LINES + 1, 1), (LINES + 1000, 1000)] {
            (0..told).for_each(|_| audience.tell("127.0.0.1:1", &words(&[b"PING"])));
            let (mut lines, mut missed) = (0, 0);
            while lines < LINES {
                for line in taken(&mut feed) {
                    match line.split_once("\"MONITOR\" \"DROPPED\" ") {
                        Some((_, count)) => missed += count.trim_matches('"').parse::<usize>().unwrap(),
                        None => lines += 1,
                    }
                }
            }
            assert_eq!((lines, missed), (LINES, dropped));
            assert_eq!(feed.tap.queued.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn the_bytes_that_wait_are_bounded() {
        let monitors = Arc::new(Monitors::default());
        let audience = Audience::new(Arc::clone(&monitors));
        let feed = monitors.watch().unwrap();
        assert!(audience.is_there());
        (0..LINES).for_each(|_| audience.tell("127.0.0.1:1", &words(&[[0xff; 128].as_slice(); 32])));
        assert!(feed.tap.queued.load(Ordering::Relaxed) <= QUEUED);
        assert!(feed.tap.dropped.load(Ordering::Relaxed) > 0);
    }
}
