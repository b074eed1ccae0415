//! Answers that need no waiting: small files in memory that are asked for plainly, as [`memory`](super::super::memory) gives them over
//! HTTP/1.1. No task, and no request made of the head.
//!
//! What is not as plain as that is left to [`answer`](super::answer). Bounded by [`COPY_BELOW`] bytes of content, and by [`KEPT`] answers
//! that each worker keeps ready.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, DATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use sportello_service::files::{Batch, HotFile, represent};
use sportello_wire::http1::condition::Outcome;
use sportello_wire::http1::range::Selected;
use sportello_wire::http1::target::Host;

use super::super::clock::{self, Second};
use super::super::guard::{self, Claim};
use super::super::{COPY_BELOW, Served, Service, memory};
use super::answer::Headers;
use super::{Shared, asked};

/// How far an answer came.
pub(super) enum Given {
    /// All of it is with the engine; so many bytes of content.
    Whole(usize),
    /// The client has no room for its content, which is to follow.
    Begun(SendStream<Bytes>, Bytes),
    /// Nobody wants it any more.
    TakenBack,
}

/// An answer that is ready but for its date.
struct Ready {
    file: Rc<HotFile>,
    second: u64,
    fields: HeaderMap,
    content: Bytes,
}

/// Answers that each worker keeps; files that are asked for at the same time are few.
const KEPT: usize = 16;

thread_local! {
    static READY: RefCell<Vec<Ready>> = const { RefCell::new(Vec::new()) };
}

/// Answers a request whose answer is in memory; `None`: it is not.
pub(super) fn answer(
    shared: &Shared,
    service: &Service,
    (head, body): (&Parts, &RecvStream),
    respond: &mut SendResponse<Bytes>,
    batch: Batch,
) -> Option<Given> {
    let file = find(shared, service, head, batch).filter(|_| body.is_end_stream())?;
    let (fields, content) = ready(file, &clock::second())?;
    let mut response = Response::new(());
    *response.headers_mut() = fields;
    let is_last = head.method == http::Method::HEAD || content.is_empty();
    let Ok(mut stream) = respond.send_response(response, is_last) else { return Some(Given::TakenBack) };
    if is_last {
        return Some(Given::Whole(0));
    }
    let length = content.len();
    stream.reserve_capacity(length);
    if stream.capacity() < length {
        return Some(Given::Begun(stream, content));
    }
    let sent = stream.send_data(content, true);
    Some(if sent.is_ok() { Given::Whole(length) } else { Given::TakenBack })
}

/// The file that this head asks for, if request and site are as plain as that.
fn find(shared: &Shared, service: &Service, head: &Parts, batch: Batch) -> Option<Rc<HotFile>> {
    let Served::Sites(sites) = &*service.served else { return None };
    let is_plain = matches!(head.method, http::Method::GET | http::Method::HEAD)
        && service.terms.is_none()
        && service.https.is_none()
        && asked::misdirected(head, shared.stream.connection().secured().is_some())
            .is_ok_and(|refusal| refusal.is_none())
        && head.headers.len() <= service.limits.head.fields
        && !head.headers.keys().any(selects);
    let target = head.uri.path_and_query().filter(|_| is_plain)?;
    if target.as_str().len() > service.limits.head.request_line {
        return None;
    }
    let host = asked::named(head).ok()?;
    let headers = Headers(&head.headers);
    let claim = Claim { host, named: Host::parse(host), origins: Some(&headers) };
    let site = guard::site(&claim, memory::reach(&shared.stream.connection()), sites).ok()?;
    let files = site.plain()?;
    let order = files.order(head.headers.get_all(ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes));
    let file = files.hot(target.path().as_bytes(), order, batch)?;
    (file.body().len() < COPY_BELOW).then_some(file)
}

/// Whether a field changes what is answered, or how.
fn selects(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("if-") || matches!(name, "range" | "expect" | "content-length")
}

/// The fields and the content of a 200 with this file.
fn ready(file: Rc<HotFile>, second: &Second) -> Option<(HeaderMap, Bytes)> {
    READY.with_borrow_mut(|all| {
        let at = all.iter().position(|ready| Rc::ptr_eq(&ready.file, &file));
        let at = match at {
            Some(at) => at,
            None => {
                // The oldest makes room.
                if all.len() >= KEPT {
                    all.remove(0);
                }
                all.push(Ready::new(file)?);
                all.len() - 1
            }
        };
        let ready = all.get_mut(at)?;
        if ready.second != second.unix {
            ready.fields.insert(DATE, HeaderValue::from_bytes(&second.date).ok()?);
            ready.second = second.unix;
        }
        Some((ready.fields.clone(), ready.content.clone()))
    })
}

impl Ready {
    fn new(file: Rc<HotFile>) -> Option<Self> {
        let mut fields = HeaderMap::with_capacity(8);
        for (name, value) in represent(Outcome::Send(Selected::Whole), file.description()).fields.lines() {
            let value = HeaderValue::from_maybe_shared(value.clone()).ok()?;
            fields.append(HeaderName::from_bytes(name).ok()?, value);
        }
        let content = Bytes::copy_from_slice(file.body());
        fields.insert(CONTENT_LENGTH, (content.len() as u64).into());
        Some(Self { file, second: 0, fields, content })
    }
}
