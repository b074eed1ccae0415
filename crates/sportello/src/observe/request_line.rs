//! The log's line of one request. Requests often come several at once on one connection: what a line has in common with the
//! latest one is copied, not written anew.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::line::{Form, LineWriter};
use super::request::Done;

/// Writes request lines; keeps the parts of the latest one.
#[derive(Debug)]
pub(super) struct RequestLines {
    writer: LineWriter,
    clock: WallClock,
    /// The millisecond, since 1970, of `opening`.
    moment: Duration,
    connection: Option<u64>,
    /// Time, level, `request`, the channel, the id up to the request's number.
    opening: Vec<u8>,
    verb: Vec<u8>,
    /// From behind the request's number up to the object's value: the client, the verb.
    client: Vec<u8>,
    /// The two moments of which `closing` tells the distance.
    span: Option<(Instant, Instant)>,
    outcome: String,
    bytes: u64,
    /// From behind the object to the end: the outcome, its bytes, the time taken.
    closing: Vec<u8>,
    object: Vec<u8>,
    /// From behind the request's number to the end, while all of it is the same.
    rest: Vec<u8>,
}

/// Who asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) channel: &'a str,
    pub(super) connection: u64,
    pub(super) request: u64,
    pub(super) peer: SocketAddr,
}

impl RequestLines {
    pub(super) fn new(form: Form) -> Self {
        Self {
            writer: LineWriter::new(form),
            clock: WallClock::now(),
            moment: Duration::ZERO,
            connection: None,
            opening: Vec::new(),
            verb: Vec::new(),
            client: Vec::new(),
            span: None,
            outcome: String::new(),
            bytes: 0,
            closing: Vec::new(),
            object: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Looks at the wall clock again: it may have been set.
    pub(super) fn look_at_clock(&mut self) {
        self.clock = WallClock::now();
    }

    /// Appends one line.
    pub(super) fn write(&mut self, into: &mut Vec<u8>, asker: Asker<'_>, done: &Done<'_>, object: &[u8]) {
        let mut same = self.object == object;
        if self.span != Some((done.started, done.ended)) {
            self.tell_time(done);
            self.close(done);
            same = false;
        } else if self.bytes != done.bytes || self.outcome != done.outcome {
            self.close(done);
            same = false;
        }
        if self.connection != Some(asker.connection) {
            self.open(asker);
            self.name(asker, done.verb);
            same = false;
        } else if self.verb != done.verb {
            self.name(asker, done.verb);
            same = false;
        }
        if !same {
            self.gather(object);
        }
        into.extend_from_slice(&self.opening);
        self.writer.id_end(into, asker.request);
        into.extend_from_slice(&self.rest);
    }

    fn gather(&mut self, object: &[u8]) {
        self.object.clear();
        self.object.extend_from_slice(object);
        self.rest.clear();
        self.rest.extend_from_slice(&self.client);
        self.writer.value(&mut self.rest, object);
        self.rest.extend_from_slice(&self.closing);
    }

    fn open(&mut self, asker: Asker<'_>) {
        self.connection = Some(asker.connection);
        self.opening.clear();
        self.writer.begin_at(&mut self.opening, self.moment, "info", b"request");
        self.writer.text(&mut self.opening, "channel", asker.channel.as_bytes());
        self.writer.id_begin(&mut self.opening, asker.connection);
    }

    fn name(&mut self, asker: Asker<'_>, verb: &[u8]) {
        self.verb.clear();
        self.verb.extend_from_slice(verb);
        self.client.clear();
        self.writer.peer(&mut self.client, asker.peer);
        self.writer.text(&mut self.client, "verb", verb);
        self.writer.name(&mut self.client, "object");
    }

    fn tell_time(&mut self, done: &Done<'_>) {
        self.span = Some((done.started, done.ended));
        let moment = self.clock.at(done.ended);
        if moment.as_millis() != self.moment.as_millis() {
            self.moment = moment;
            // The opening tells the time.
            self.connection = None;
        }
    }

    fn close(&mut self, done: &Done<'_>) {
        done.outcome.clone_into(&mut self.outcome);
        self.bytes = done.bytes;
        self.closing.clear();
        self.writer.text(&mut self.closing, "outcome", done.outcome.as_bytes());
        self.writer.number(&mut self.closing, "bytes", done.bytes);
        self.writer.number(&mut self.closing, "us", done.took_us());
        self.writer.end(&mut self.closing);
    }
}

/// One look at both clocks, so that further moments cost one look at one.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    instant: Instant,
    wall: Duration,
}

impl WallClock {
    pub(super) fn now() -> Self {
        // A clock before 1970 shows 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), wall }
    }

    /// The wall clock's time at a moment, since 1970.
    pub(super) fn at(&self, moment: Instant) -> Duration {
        match moment.checked_duration_since(self.instant) {
            Some(later) => self.wall.saturating_add(later),
            None => self.wall.saturating_sub(self.instant.saturating_duration_since(moment)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_what_would_be_written() {
        for form in [Form::Text, Form::Json] {
            let mut kept = RequestLines::new(form);
            let began = kept.clock.instant;
            let clock = kept.clock;
            let later = |ms: u64| began + Duration::from_millis(ms);
            let line = |lines: &mut RequestLines, connection: u64, request: u64, verb: &[u8], from: u64, to: u64| {
                let outcome = if request == 2 { "404" } else { "200" };
                let peer = SocketAddr::from(([127, 0, 0, 1], connection as u16));
                let asker = Asker { channel: "web", connection, request, peer };
                let (started, ended) = (later(from), later(to));
                let done = Done { verb, object: b"/x", outcome, bytes: request / 3, started, ended, failed: false };
                let mut into = Vec::new();
                lines.write(&mut into, asker, &done, if request < 4 { b"/x y" } else { b"/z" });
                String::from_utf8(into).unwrap()
            };
            let requests: [(u64, u64, &[u8], u64, u64); 11] = [
                (1, 1, b"GET", 0, 1),
                (1, 2, b"GET", 0, 1),
                (1, 3, b"HEAD", 0, 1),
                (1, 3, b"HEAD", 0, 1),
                (1, 4, b"HEAD", 0, 1),
                (1, 5, b"HEAD", 0, 1),
                (2, 1, b"HEAD", 0, 1),
                (2, 2, b"HEAD", 1, 1),
                (2, 3, b"HEAD", 1, 9),
                (1, 4, b"GET", 9, 9),
                (1, 5, b"GET", 9, 2000),
            ];
            for (connection, request, verb, from, to) in requests {
                let mut fresh = RequestLines::new(form);
                fresh.clock = clock;
                let expect = line(&mut fresh, connection, request, verb, from, to);
                assert_eq!(line(&mut kept, connection, request, verb, from, to), expect);
                assert!(
                    expect.contains(&format!("{connection}.{request}"))
                        && expect.ends_with(match form {
                            Form::Text => "\n",
                            Form::Json => "}\n",
                        })
                );
            }
        }
    }
}
