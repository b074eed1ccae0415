//! `ask`: another server says who may go on (forward authentication, as nginx's auth_request and Caddy's forward_auth).
//!
//! It is asked by a GET with the client's fields and no body, which tells in `X-Forwarded-Method`, `-Uri`, `-Host`, `-Proto` and `-For` what
//! the client wants. With a 2xx the request goes on, fields of that answer that are named take the place of the client's own of
//! these names, and its cookies are given to the client ([`Cookies`]); any other answer is the client's. Whoever cannot be asked lets nobody pass: 502, 503, 504. Knows nothing of sessions and
//! passwords. Bounded by: [`Ask::within`] in time, [`BODY_MOST`] of an answer that is passed on, [`COPIED_MOST`] of what is copied.

mod cookies;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use sportello_wire::http1::Method;
use thiserror::Error;
use tokio::time::timeout;

use super::change::How;
use super::ours::Ours;
use super::walk::Known;
use super::{FieldChange, Of};
use crate::proxy::{Proxy, is_claim};
use crate::web::{Answer, Body, Fields, Incoming, Notes, Path, Request, Says, trace};

pub(super) use cookies::Cookies;

/// The largest body of an answer that is passed on to the client: a page that says why not.
pub(super) const BODY_MOST: u64 = 256 * 1024;
/// The most bytes of values that are copied onto a request, and of cookies that are given to the client.
pub(super) const COPIED_MOST: usize = 16 * 1024;

/// A question to another server.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who is asked, by its place in [`Description::proxies`](super::Description::proxies). Must believe what this server tells of its
    /// clients: nothing else reaches it.
    pub proxy: usize,
    /// What is asked for.
    pub target: Question,
    /// How long all of it may take.
    pub within: Duration,
    /// What is copied from an answer that lets pass.
    pub copies: Vec<FieldCopy>,
    /// The copied field that says who it is, in lower case.
    pub account: Option<Box<str>>,
}

/// The path and the query that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    path: Path,
    query: Option<Bytes>,
}

/// What cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what is asked for is a path, perhaps with a query, of visible ASCII: \"/auth\"")]
pub struct BadQuestion;

/// A field of the answer that becomes a field of the request. Both names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCopy {
    from: Box<str>,
    to: Box<str>,
}

/// A field that cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadCopy {
    /// RFC 9110 §5.1, or the server's own.
    #[error(transparent)]
    Change(#[from] super::BadChange),
    /// It would be taken out again, as any that a client sends.
    #[error("{0} tells of the client, which proxy writes itself and believes of nobody else")]
    Claim(Box<str>),
}

impl Question {
    /// Reads `/auth` or `/auth?for=a`.
    ///
    /// # Errors
    /// When no server can be asked for it.
    pub fn parse(written: &str) -> Result<Self, BadQuestion> {
        if !written.starts_with('/') || !written.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(BadQuestion);
        }
        let (path, query) = written.split_once('?').map_or((written, None), |(path, query)| (path, Some(query)));
        let path = Path::parse(path.as_bytes()).map_err(|_| BadQuestion)?;
        Ok(Self { path, query: query.map(|query| Bytes::copy_from_slice(query.as_bytes())) })
    }
}

impl FieldCopy {
    /// The field `from` of the answer, as the field `to` of the request.
    ///
    /// # Errors
    /// When there can be no such field, or nobody would see it.
    pub fn new(from: &str, to: &str) -> Result<Self, BadCopy> {
        for name in [from, to] {
            FieldChange::new(Of::Request, name, How::Remove)?;
        }
        let copy = Self { from: from.to_ascii_lowercase().into(), to: to.to_ascii_lowercase().into() };
        if is_claim(&copy.to) { Err(BadCopy::Claim(to.into())) } else { Ok(copy) }
    }

    /// What it becomes.
    pub fn to(&self) -> &str {
        &self.to
    }
}

impl Ask {
    /// Asks: the cookies that the client gets with whatever answers it, else its answer.
    pub(super) async fn take(
        &self,
        proxy: Option<&Rc<Proxy>>,
        request: &mut Request,
        known: &mut Known,
        peer: Peer,
    ) -> Result<Cookies, Result<Answer, Ours>> {
        // Whatever becomes of it: nobody says of himself what only the other server may say.
        request.fields.retain(|name, _| !self.copies.iter().any(|copy| is_spelled(name, &copy.to)));
        let Some(proxy) = proxy else { return Err(Err(Ours::new(502, UNASKED))) };
        let question = self.question(request, known, peer);
        let client = known.address();
        let asked = async {
            let fault = |fault: crate::proxy::Fault| {
                Ours::new(if fault.status() < 500 { 502 } else { fault.status() }, UNASKED)
            };
            let answer = Rc::clone(proxy).ask(question, client).await.map_err(fault)?;
            if matches!(answer.status, 200..=299) {
                self.copied(&answer.fields).map(Ok)
            } else {
                held(answer).await.map(Err)
            }
        };
        match timeout(self.within, asked).await {
            Err(_) => Err(Err(Ours::new(504, UNASKED))),
            Ok(Err(ours)) => Err(Err(ours)),
            Ok(Ok(Err(answer))) => Err(Ok(answer)),
            Ok(Ok(Ok((copied, cookies)))) => {
                for (name, value) in copied.lines() {
                    request.fields.add_parsed(name.clone(), value.clone());
                }
                if let Some(name) = self.account.as_deref().and_then(|field| copied.text(field)) {
                    known.set_account(name.into());
                }
                Ok(cookies)
            }
        }
    }

    /// The same client's GET for something of the other server's.
    fn question(&self, request: &Request, known: &Known, peer: Peer) -> Request {
        let mut fields = Fields::new();
        for (name, value) in request.fields.lines() {
            let kept = std::str::from_utf8(name).is_ok_and(|name| {
                is_asked_with(name) && (!is_claim(name) || matches!(peer, Peer::Believed(says) if says.names(name)))
            });
            if kept {
                fields.add_parsed(name.clone(), value.clone());
            }
        }
        // A method is a token, and a target visible ASCII: both may stand in a field.
        let _ = fields.set("x-forwarded-method", request.verb.clone());
        let _ = fields.set("x-forwarded-uri", asked_for(request, known));
        // It is of the same trace; who is asked is not noted as who answered.
        let notes = Rc::<Notes>::default();
        notes.trace_from(Some(request.notes.trace_from(trace::named(&request.fields))));
        let mut question = Request {
            method: Method::Get,
            verb: Bytes::from_static(b"GET"),
            scheme: request.scheme,
            authority: request.authority.clone(),
            path: self.target.path.clone(),
            query: self.target.query.clone(),
            fields,
            client: request.client.clone(),
            body: Incoming::Empty,
            upgrade: None,
            notes,
        };
        trace::pass_on(&mut question);
        question
    }

    /// What the request, and the client, is given of an answer that lets it pass. What is too much is no answer: half of who somebody is, is
    /// somebody else.
    fn copied(&self, answer: &Fields) -> Result<(Fields, Cookies), Ours> {
        let (mut copied, mut length) = (Fields::new(), 0usize);
        let cookies = Cookies::of(answer);
        if cookies.length() > COPIED_MOST {
            return Err(Ours::new(502, UNASKED));
        }
        for copy in &self.copies {
            for value in answer.values(&copy.from) {
                length = length.saturating_add(value.len());
                let name = Bytes::copy_from_slice(copy.to.as_bytes());
                if length > COPIED_MOST || copied.add(name, Bytes::copy_from_slice(value)).is_err() {
                    return Err(Ours::new(502, UNASKED));
                }
            }
        }
        Ok((copied, cookies))
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A proxy whose word counts, in these fields.
    Believed(Says),
    /// Anybody.
    Stranger,
}

/// What is said of every failure: nothing of the other server.
const UNASKED: &str = "who may see this cannot be asked at the moment";

/// The answer that the client gets, with all of its body.
async fn held(answer: Answer) -> Result<Answer, Ours> {
    let unfit = || Ours::new(502, UNASKED);
    let Answer { status, fields, body } = answer;
    let body = match body {
        Body::Empty => Body::Empty,
        Body::Bytes(bytes) if bytes.len() as u64 <= BODY_MOST => Body::Bytes(bytes),
        Body::Pieces(pieces) => Body::Bytes(Incoming::Pieces(pieces).whole(BODY_MOST).await.map_err(|_| unfit())?),
        _ => return Err(unfit()),
    };
    // RFC 9110 §15.4.5: nobody asked this client's question conditionally.
    if matches!(status, 100..=199 | 304) { Err(unfit()) } else { Ok(Answer { status, fields, body }) }
}

/// Whether a field of the client's says something to who is asked: not what concerns a body, a condition or a part, and not what others
/// tell of the request in place of `X-Forwarded-*`.
fn is_asked_with(name: &str) -> bool {
    const LEFT_OUT: [&str; 6] =
        ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"];
    let original = name.get(..11).is_some_and(|begin| is_spelled(begin, "x-original-"));
    !(LEFT_OUT.contains(&name) || name.starts_with("content-") || original || is_told(name))
}

fn is_told(name: &str) -> bool {
    is_spelled(name, "x-forwarded-method") || is_spelled(name, "x-forwarded-uri")
}

/// Whether an application may take `name` for `meant`: many cannot tell an underscore from a hyphen.
fn is_spelled(name: &str, meant: &str) -> bool {
    let alike = |(one, other): (u8, u8)| one == other || matches!((one, other), (b'_' | b'-', b'_' | b'-'));
    name.len() == meant.len() && name.bytes().zip(meant.bytes()).all(alike)
}

/// Path and query as the client asked for them, the path in the one form in which it is compared: `/%61` is told as `/a`, so that who is
/// asked has nothing to decode in another way.
fn asked_for(request: &Request, known: &Known) -> Vec<u8> {
    let (path, query) = match known.asked() {
        None => (Some(request.path.normal().to_vec()), request.query.as_deref()),
        Some(asked) => {
            let (path, query) = match memchr::memchr(b'?', asked) {
                Some(mark) => (asked.get(..mark), asked.get(mark.saturating_add(1)..)),
                None => (Some(asked), None),
            };
            (path.and_then(|path| Path::parse(path).ok()).map(|path| path.normal().to_vec()), query)
        }
    };
    let mut told = Vec::new();
    for &byte in path.as_deref().unwrap_or(b"/") {
        // RFC 3986 §3.3: what may stand in a path.
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            told.push(byte);
        } else {
            told.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    if let Some(query) = query {
        told.push(b'?');
        told.extend_from_slice(query);
    }
    told
}

impl fmt::Display for Ask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = String::from_utf8_lossy(self.target.path.encoded());
        write!(formatter, "asked of another server, at {path}: with 2xx the request goes on")?;
        let names: Vec<&str> = self.copies.iter().map(FieldCopy::to).collect();
        if names.is_empty() { Ok(()) } else { write!(formatter, ", with its {}", names.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
