//! Slow requests: a line in the server's log for each that took as long as its site or channel says, with what is known of where the time
//! went.
//!
//! Bounded by [`TOLD_MOST`] lines of each worker in [`WINDOW`]; how many more there were is told with the next one.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use sportello_service::web::Notes;
use tokio::time::Instant;
use tracing::warn;

use super::access::Said;

/// One request that took long.
#[derive(Clone, Copy, Debug)]
pub struct Slow<'a> {
    /// The channel it came over.
    pub channel: &'a str,
    /// The site's first name.
    pub site: &'a str,
    /// Who asked, as far as that is believed.
    pub client: IpAddr,
    /// The method.
    pub method: &'a [u8],
    /// The target as it was sent.
    pub target: &'a [u8],
    /// What was answered, and when.
    pub said: Said,
    /// What was found out on its way.
    pub notes: Option<&'a Notes>,
}

/// Lines of one worker …
const TOLD_MOST: u32 = 10;
/// … in this time.
const WINDOW: Duration = Duration::from_secs(10);
/// Bytes of a target that are told.
const TARGET_MOST: usize = 256;

/// Where the time of a request went, as far as that is known; each part but the last is told in its own figure, all in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Phases {
    /// From its first byte to the end of its head: the client.
    head: Option<u64>,
    /// In the queue of a program.
    queued: Option<u64>,
    /// Until there was a connection to whom we asked.
    connect: Option<u64>,
    /// From then on until the head of its answer.
    first_byte: Option<u64>,
    /// From the answer's head to its last byte: whoever sends it and whoever reads it.
    body: Option<u64>,
}

impl Phases {
    fn of(said: &Said, notes: &Notes) -> Self {
        let between = |from: Instant, to: Instant| milliseconds(to.saturating_duration_since(from));
        let asked = notes.asked();
        let connected = asked.as_ref().and_then(|asked| asked.connected);
        let heard = asked.as_ref().and_then(|asked| asked.heard).map(|(moment, _)| moment);
        Self {
            head: notes.read().map(|read| between(said.started, read)),
            queued: notes.queued().map(milliseconds),
            connect: asked.as_ref().zip(connected).map(|(asked, connected)| between(asked.began, connected)),
            first_byte: connected.zip(heard).map(|(connected, heard)| between(connected, heard)),
            body: notes.answered().map(|answered| between(answered, said.ended)),
        }
    }
}

/// How long a request took, but for a body without end (events, tunnels): that is meant to last.
pub fn took(said: &Said, notes: Option<&Notes>) -> Duration {
    let answered = notes.filter(|notes| notes.is_endless()).and_then(Notes::answered);
    answered.unwrap_or(said.ended).saturating_duration_since(said.started)
}

/// Tells of one slow request, unless many are told of already.
pub fn told(slow: &Slow<'_>) {
    let Some(untold) = BOUND.with_borrow_mut(|bound| bound.admit(Instant::now())) else { return };
    let phases = slow.notes.map(|notes| Phases::of(&slow.said, notes)).unwrap_or_default();
    let target = slow.target.get(..TARGET_MOST).unwrap_or(slow.target);
    let asked = slow.notes.and_then(Notes::asked);
    warn!(
        channel = slow.channel,
        site = slow.site,
        route = slow.notes.and_then(Notes::route).as_deref(),
        client = %slow.client,
        method = %String::from_utf8_lossy(slow.method),
        target = %String::from_utf8_lossy(target),
        status = slow.said.status,
        bytes = slow.said.bytes,
        ms = milliseconds(took(&slow.said, slow.notes)),
        head_ms = phases.head,
        queued_ms = phases.queued,
        upstream = asked.as_ref().map(|asked| &*asked.upstream),
        connect_ms = phases.connect,
        first_byte_ms = phases.first_byte,
        body_ms = phases.body,
        untold = (untold > 0).then_some(untold),
        "a request was slow"
    );
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

thread_local! {
    static BOUND: RefCell<Bound> = const { RefCell::new(Bound { began: None, told: 0, untold: 0 }) };
}

/// How many were told in the window of now.
#[derive(Debug)]
struct Bound {
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Bound {
    /// Whether one more may be told, and how many were not since the last one.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            (self.began, self.told) = (Some(now), 0);
        }
        if self.told >= TOLD_MOST {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told = self.told.saturating_add(1);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use sportello_service::web::{Answer, Body, Tunnel};

    use super::*;

    #[test]
    fn so_many_are_told_in_a_window_and_the_next_one_says_how_many_were_not() {
        let (mut bound, now) = (Bound { began: None, told: 0, untold: 0 }, Instant::now());
        for _ in 0..TOLD_MOST {
            assert_eq!(bound.admit(now), Some(0));
        }
        assert_eq!((bound.admit(now), bound.admit(now + WINDOW - Duration::from_millis(1))), (None, None));
        assert_eq!((bound.admit(now + WINDOW), bound.admit(now + WINDOW)), (Some(2), Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_request_is_told_by_where_it_went() {
        let started = Instant::now();
        let pass = |ms| tokio::time::advance(Duration::from_millis(ms));
        let notes = Notes::default();
        pass(3).await;
        notes.is_read(Instant::now());
        pass(5).await;
        notes.asks(&"http://a".into());
        pass(7).await;
        notes.is_connected();
        pass(11).await;
        notes.heard(200);
        notes.is_answered(&Answer::empty(200));
        pass(13).await;
        let said = Said { status: 200, bytes: 0, started, ended: Instant::now(), is_whole: true };
        let phases = Phases::of(&said, &notes);
        let expect = Phases { head: Some(3), queued: None, connect: Some(7), first_byte: Some(11), body: Some(13) };
        assert_eq!((phases, took(&said, Some(&notes)).as_millis()), (expect, 39));
        assert_eq!(Phases::of(&said, &Notes::default()), Phases::default());
        // A tunnel lasts as long as it is wanted: what counts is how long it took to be there.
        let stream = Box::new(tokio::io::duplex(1).0);
        let tunnel = Body::Tunnel(Tunnel { stream, first: bytes::Bytes::new(), idle: Duration::ZERO });
        let ended = said.ended;
        notes.is_answered(&Answer::empty(101).over(tunnel));
        pass(1_000).await;
        let said = Said { ended: Instant::now(), ..said };
        assert_eq!(took(&said, Some(&notes)), ended - started);
    }
}
