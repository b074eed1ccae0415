//! What is found out about a request on its way, for whoever tells of it afterwards: logs, counts, traces.
//!
//! The protocol keeps one end and the services write into the other, so that what was noted is there also when the answer never
//! comes. Knows neither who writes nor who reads. Bounded by one value for each note: of several upstreams the last one stays.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sportello_wire::http1::trace::Trace;
use tokio::time::Instant;

use super::{Answer, Body, trace};

/// The notes on one request.
#[derive(Debug, Default)]
pub struct Notes {
    address: Cell<Option<IpAddr>>,
    account: RefCell<Option<Box<str>>>,
    is_refused: Cell<bool>,
    route: RefCell<Option<Arc<str>>>,
    trace: Cell<Option<Trace>>,
    asked: RefCell<Option<Asked>>,
    read: Cell<Option<Instant>>,
    queued: Cell<Option<Duration>>,
    answered: Cell<Option<Instant>>,
    is_endless: Cell<bool>,
}

/// Somebody else who was asked for the answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who.
    pub upstream: Arc<str>,
    /// When.
    pub began: Instant,
    /// When there was a connection to it.
    pub connected: Option<Instant>,
    /// When the head of its answer was whole, and its status.
    pub heard: Option<(Instant, u16)>,
    /// Upstreams that were asked before in vain.
    pub before: u8,
}

impl Notes {
    /// Who asks, as far as it is believed; `None`: no service has looked.
    pub fn address(&self) -> Option<IpAddr> {
        self.address.get()
    }

    /// Notes who asks.
    pub fn set_address(&self, address: IpAddr) {
        self.address.set(Some(address));
    }

    /// Who logged in.
    pub fn account(&self) -> Option<Box<str>> {
        self.account.borrow().clone()
    }

    /// Notes who logged in.
    pub fn set_account(&self, account: &str) {
        *self.account.borrow_mut() = Some(account.into());
    }

    /// Whether a wrong name or password was given.
    pub fn is_login_refused(&self) -> bool {
        self.is_refused.get()
    }

    /// Notes that a wrong name or password was given.
    pub fn refuse_login(&self) {
        self.is_refused.set(true);
    }

    /// The label of the innermost route that took the request in; `None`: none did.
    pub fn route(&self) -> Option<Arc<str>> {
        self.route.borrow().clone()
    }

    /// Notes the route that took it in.
    pub fn set_route(&self, label: &Arc<str>) {
        *self.route.borrow_mut() = Some(Arc::clone(label));
    }

    /// The trace that was begun or went on here, where somebody else was told of it.
    pub fn trace(&self) -> Option<Trace> {
        self.trace.get()
    }

    /// The trace of this request: that which the client named, or a new one. The same at every call.
    pub fn trace_from(&self, named: Option<Trace>) -> Trace {
        let trace = self.trace.get().or(named).unwrap_or_else(trace::begin);
        self.trace.set(Some(trace));
        trace
    }

    /// Who was asked last.
    pub fn asked(&self) -> Option<Asked> {
        self.asked.borrow().clone()
    }

    /// Notes that somebody is asked.
    pub fn asks(&self, upstream: &Arc<str>) {
        let mut asked = self.asked.borrow_mut();
        let before = asked.as_ref().map_or(0, |last| last.before.saturating_add(1));
        let upstream = Arc::clone(upstream);
        *asked = Some(Asked { upstream, began: Instant::now(), connected: None, heard: None, before });
    }

    /// Notes that there is a connection to who is asked.
    pub fn is_connected(&self) {
        if let Some(asked) = &mut *self.asked.borrow_mut() {
            asked.connected = Some(Instant::now());
        }
    }

    /// Notes that who is asked began to answer.
    pub fn heard(&self, status: u16) {
        if let Some(asked) = &mut *self.asked.borrow_mut() {
            asked.heard = Some((Instant::now(), status));
        }
    }

    /// When the request's head was read.
    pub fn read(&self) -> Option<Instant> {
        self.read.get()
    }

    /// Notes when the request's head was read.
    pub fn is_read(&self, at: Instant) {
        self.read.set(Some(at));
    }

    /// How long it waited for a program to have room for it.
    pub fn queued(&self) -> Option<Duration> {
        self.queued.get()
    }

    /// Notes how long it waited for a program to have room for it.
    pub fn was_queued(&self, so_long: Duration) {
        self.queued.set(Some(so_long));
    }

    /// When the service gave its answer.
    pub fn answered(&self) -> Option<Instant> {
        self.answered.get()
    }

    /// Whether the answer's body lasts as long as both sides want.
    pub fn is_endless(&self) -> bool {
        self.is_endless.get()
    }

    /// Notes that the service has given its answer.
    pub fn is_answered(&self, answer: &Answer) {
        self.answered.set(Some(Instant::now()));
        self.is_endless.set(match &answer.body {
            Body::Tunnel(_) => true,
            Body::Pieces(pieces) => pieces.is_endless(),
            Body::Empty | Body::Bytes(_) | Body::Stored(_) | Body::File { .. } => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_upstream_stays_and_those_before_are_counted() {
        let notes = Notes::default();
        notes.is_connected();
        notes.heard(200);
        assert!(notes.asked().is_none());
        for (name, before) in [("a", 0), ("b", 1)] {
            notes.asks(&name.into());
            let asked = notes.asked().unwrap();
            assert_eq!((&*asked.upstream, asked.before, asked.heard), (name, before, None));
        }
        notes.heard(502);
        assert_eq!(notes.asked().and_then(|asked| asked.heard).map(|heard| heard.1), Some(502));
    }

    #[test]
    fn a_request_has_one_trace() {
        let named = Trace::begin([7; 24]);
        let (notes, other) = (Notes::default(), Notes::default());
        assert_eq!((notes.trace_from(Some(named)), notes.trace_from(None)), (named, named));
        let begun = other.trace_from(None);
        assert_eq!((other.trace_from(Some(named)), other.trace()), (begun, Some(begun)));
    }
}
