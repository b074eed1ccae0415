//! The head that goes upstream: written anew from what was understood, never passed through.
//!
//! Fields of one connection stay behind (RFC 9110 §7.6.1); who asked, over what and for which host is told by `X-Forwarded-*` and
//! `Forwarded` (RFC 7239). What a client says of itself there is believed, and added to, only where it is trusted and only in the fields
//! that it is known to write; otherwise it is taken out, also where it is spelled with underscores, which many applications cannot tell
//! from hyphens.

use std::io::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use sportello_wire::http1::client::{Announced, RequestHead, Unwritable};
use sportello_wire::http1::{Method, field};

use super::settings::{Host, Settings};
use crate::web::{Fields, Incoming, Request};

/// How the body of a request to an upstream is announced.
pub(super) fn announced(request: &Request) -> Announced {
    match request.body.left() {
        // RFC 9110 §8.6: methods that are about a body say that there is none.
        Some(0) => match &*request.verb {
            b"POST" | b"PUT" | b"PATCH" => Announced::Length(0),
            _ => Announced::Nothing,
        },
        Some(length) => Announced::Length(length),
        None => Announced::Chunks,
    }
}

/// Whether a request came through this server so often that it may lead to itself (RFC 9110 §7.6.3). Others may have the same name.
pub(super) fn is_loop(request: &Request) -> bool {
    let ours = |part: &&[u8]| part.ends_with(b" sportello");
    request.fields.values("via").flat_map(field::list).filter(ours).count() > PASSES_MOST
}

/// So often may a request pass through servers of this name.
pub(super) const PASSES_MOST: usize = 10;

/// Whether the same request may be made twice (RFC 9110 §9.2.2).
pub(super) fn is_idempotent(request: &Request) -> bool {
    match request.method {
        Method::Get | Method::Head | Method::Options | Method::Put | Method::Delete => true,
        Method::Post | Method::Other => false,
    }
}

/// The protocol to ask the upstream for. None that is HTTP or TLS itself: what were said in it would pass by every rule.
pub(super) fn upgrade(request: &Request) -> Option<&Bytes> {
    let protocol = &request.upgrade.as_ref()?.protocol;
    let is_plain = matches!(request.body, Incoming::Empty) && request.method == Method::Get;
    let passes_by = [&b"h2"[..], b"http", b"tls"]
        .iter()
        .any(|begin| protocol.get(..begin.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(begin)));
    (is_plain && !passes_by).then_some(protocol)
}

/// Writes the head. `host` is the upstream's own authority.
pub(super) fn head(
    request: &Request,
    settings: &Settings,
    upstream: &str,
    body: Announced,
) -> Result<Vec<u8>, Unwritable> {
    let mut out = Vec::with_capacity(1024);
    let path = request.path.encoded();
    let host = host(request, settings, upstream);
    let mut head = RequestHead::begin(&mut out, &request.verb, path, request.query.as_deref(), host)?;
    fields(request, settings, |name, value| head.field(name, value))?;
    head.announce(body);
    if let Some(protocol) = upgrade(request) {
        head.field("connection", b"upgrade")?;
        head.field("upgrade", protocol)?;
    }
    head.end();
    Ok(out)
}

/// Gives each field that goes upstream to `each`, in whatever form it goes.
pub(super) fn fields(
    request: &Request,
    settings: &Settings,
    mut each: impl FnMut(&str, &[u8]) -> Result<(), Unwritable>,
) -> Result<(), Unwritable> {
    let is_trusted = is_trusted(settings, request.client.peer.ip());
    let is_believed = |name: &str| is_trusted && settings.says.iter().any(|says| says.names(name));
    for (name, value) in request.fields.iter() {
        if !stays_behind(name) && (!tells_of_client(name) || is_believed(name)) && !is_written_here(name) {
            each(name, value)?;
        }
    }
    let mut value = Vec::with_capacity(128);
    for (name, written) in TOLD {
        value.clear();
        written(request, if is_believed(name) { &request.fields } else { NONE }, &mut value);
        if !value.is_empty() {
            each(name, &value)?;
        }
    }
    Ok(())
}

/// What Host says, which HTTP/2 calls `:authority`; `upstream` is the upstream's own.
pub(super) fn host<'h>(request: &'h Request, settings: &'h Settings, upstream: &'h str) -> &'h [u8] {
    match &settings.host {
        Host::Client if !request.authority.is_empty() => &request.authority,
        Host::Client | Host::Upstream => upstream.as_bytes(),
        Host::Fixed(host) => host,
    }
}

fn is_trusted(settings: &Settings, peer: IpAddr) -> bool {
    settings.trusted.iter().any(|network| network.has(peer))
}

/// RFC 9110 §7.6.1, and what frames the message. `proxy` would become a setting of CGI programs (httpoxy).
pub(super) fn stays_behind(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "expect"
            | "host"
            | "keep-alive"
            | "proxy"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a field claims who the client is, however it is spelled.
pub(crate) fn tells_of_client(name: &str) -> bool {
    let alike = |begin: &str| {
        name.len() >= begin.len()
            && name.bytes().zip(begin.bytes()).all(|(byte, expect)| byte == expect || (byte == b'_' && expect == b'-'))
    };
    match name.as_bytes().first() {
        Some(b'x') => alike("x-forwarded-") || (name.len() == 9 && alike("x-real-ip")),
        Some(b'f') => name == "forwarded",
        _ => false,
    }
}

fn is_written_here(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x' | b'f' | b'v') => TOLD.iter().any(|(told, _)| *told == name),
        _ => false,
    }
}

type Written = fn(&Request, &Fields, &mut Vec<u8>);

const NONE: &Fields = &Fields::new();

/// What is told of the client, and of us. Each adds to what is believed of what was said before.
const TOLD: [(&str, Written); 5] = [
    ("x-forwarded-for", |request, before, out| {
        join(before, "x-forwarded-for", out);
        let _ = write!(out, "{}", request.client.peer.ip().to_canonical());
    }),
    ("x-forwarded-proto", |request, before, out| {
        let said = before.value("x-forwarded-proto").filter(|said| !said.is_empty());
        out.extend_from_slice(said.unwrap_or(request.scheme.name().as_bytes()));
    }),
    ("x-forwarded-host", |request, before, out| {
        let said = before.value("x-forwarded-host").filter(|said| !said.is_empty());
        out.extend_from_slice(said.unwrap_or(&request.authority));
    }),
    ("forwarded", |request, before, out| {
        join(before, "forwarded", out);
        // RFC 7239 §4, §6: an IPv6 address stands in brackets and quotes. Writing to memory does not fail.
        let _ = match request.client.peer.ip().to_canonical() {
            IpAddr::V4(address) => write!(out, "for={address}"),
            IpAddr::V6(address) => write!(out, "for=\"[{address}]\""),
        };
        // A host holds neither a quote nor a backslash: it was checked against its grammar.
        if !request.authority.is_empty() && !request.authority.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(&request.authority);
            out.push(b'"');
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(request.scheme.name().as_bytes());
    }),
    // RFC 9110 §7.6.3. Whoever asked is not asked for trust: it is about the way, not about who came.
    ("via", |request, _, out| {
        join(&request.fields, "via", out);
        out.extend_from_slice(b"1.1 sportello");
    }),
];

/// All values of a field, each with a comma behind it.
fn join(fields: &Fields, name: &str, out: &mut Vec<u8>) {
    for value in fields.values(name).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
}

#[cfg(test)]
mod tests;
