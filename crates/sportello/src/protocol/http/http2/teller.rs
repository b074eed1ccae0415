//! Tells of each stream once, whatever becomes of it: answered, taken back, broken off, or dropped with its connection.
//!
//! Counts what of an answer the engine was given, which is all that is known of what went.

use std::cell::Cell;

use http::request::Parts;
use http::{HeaderValue, header};
use sportello_service::web::Notes;
use sportello_wire::http1::target::Host;
use tokio::time::Instant;

use super::super::Service;
use super::super::told::{self, Asked};
use super::Shared;
use super::answer::Headers;
use crate::observe::access;

/// What is known of a request when it is told of, which is when this is dropped.
pub(super) struct Teller<'s> {
    shared: &'s Shared,
    service: &'s Service,
    head: &'s Parts,
    notes: Option<&'s Notes>,
    started: Instant,
    /// What was answered, once that has gone.
    status: Cell<Option<u16>>,
    /// Bytes of content that have gone.
    bytes: Cell<u64>,
    is_whole: Cell<bool>,
}

/// What is told where the client took its request back, or left, before it had an answer.
const LEFT: u16 = 499;
/// What is told where no answer could be made of what a service gave.
const UNFIT: u16 = 500;

impl<'s> Teller<'s> {
    pub(super) fn new(
        shared: &'s Shared,
        service: &'s Service,
        head: &'s Parts,
        notes: Option<&'s Notes>,
        started: Instant,
    ) -> Self {
        let (status, bytes, is_whole) = (Cell::new(None), Cell::new(0), Cell::new(false));
        Self { shared, service, head, notes, started, status, bytes, is_whole }
    }

    /// The head of the answer has gone.
    pub(super) fn begun(&self, status: u16) {
        self.status.set(Some(status));
    }

    /// So much of its content has gone.
    pub(super) fn went(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_add(bytes as u64));
    }

    /// All of it has gone.
    pub(super) fn answered(self) {
        self.shared.answered.set(self.shared.answered.get() + 1);
        self.is_whole.set(true);
    }

    /// The client took it back.
    pub(super) fn taken_back(self) {
        self.shared.taken_back.set(self.shared.taken_back.get() + 1);
    }

    /// The rest of the answer does not come, or is not taken.
    pub(super) fn broken_off(self) {
        self.status.set(self.status.get().or(Some(UNFIT)));
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        let uri = &self.head.uri;
        let host = uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = host.or_else(|| self.head.headers.get(header::HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
        let asked = Asked {
            method: self.head.method.as_str().as_bytes(),
            target: uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).as_bytes(),
            host,
            named: Host::parse(host),
            protocol: "HTTP/2.0",
            fields: &Headers(&self.head.headers),
        };
        let status = self.status.get().unwrap_or(LEFT);
        let said = access::Said::now(status, self.bytes.get(), self.started);
        let said = access::Said { is_whole: self.is_whole.get(), ..said };
        told::answered((&self.shared.stream.connection(), self.service), &asked, self.notes, said);
    }
}
