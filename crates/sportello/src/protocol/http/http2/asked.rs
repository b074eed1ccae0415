//! A request of HTTP/2 as services take it.

use std::rc::Rc;

use bytes::Bytes;
use sportello_service::web::{Fields, Incoming, Path, Request, Scheme};
use sportello_wire::http1::target::{self, Host};
use sportello_wire::http1::{Method, Refusal};

use super::super::{Service, memory, neutral};
use super::Stream;

/// A request that is answered by a status alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) status: u16,
    pub(super) sentence: String,
}

fn unfit(status: u16, sentence: &str) -> Unfit {
    Unfit { status, sentence: sentence.to_owned() }
}

/// The request of this head.
///
/// # Errors
/// When it cannot be one for a server of ours.
pub(super) fn request(
    head: &http::request::Parts,
    body: Incoming,
    stream: &Stream,
    service: &Service,
) -> Result<Request, Unfit> {
    let method = method(head.method.as_str());
    if head.method == http::Method::CONNECT {
        return Err(unfit(405, "this server is no proxy for others"));
    }
    if head.headers.len() > service.limits.head.fields {
        return Err(unfit(431, "the request has too many fields"));
    }
    misdirected(head, stream.connection().secured().is_some())?;
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if target.len() > service.limits.head.request_line {
        return Err(unfit(414, "the path is too long"));
    }
    if target == "*" {
        return Err(unfit(
            if method == Method::Options { 204 } else { 400 },
            "only OPTIONS may ask for the server itself",
        ));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !path.starts_with('/') || !visible(target) {
        return Err(unfit(400, "the path is malformed"));
    }
    let path = Path::parse(path.as_bytes()).map_err(|bad| unfit(400, &bad.to_string()))?;
    let client = neutral::client(&stream.connection());
    Ok(Request {
        method,
        verb: Bytes::copy_from_slice(head.method.as_str().as_bytes()),
        scheme: if client.secured.is_some() { Scheme::Https } else { Scheme::Http },
        authority: Bytes::copy_from_slice(named(head)?),
        path,
        query: query.map(|query| Bytes::copy_from_slice(query.as_bytes())),
        fields: fields(head)?,
        client,
        body,
        upgrade: None,
        notes: Rc::default(),
    })
}

/// RFC 9110 §7.4, as over HTTP/1.1: whether the scheme that is asked for is not that of the connection. The engine tells `:scheme` only where
/// there is an `:authority`; elsewhere it is taken from the connection.
///
/// # Errors
/// When it is none that a server of ours has (RFC 9113 §8.3.1 leaves others to gateways).
pub(super) fn misdirected(head: &http::request::Parts, is_secured: bool) -> Result<Option<Refusal>, Unfit> {
    let Some(scheme) = head.uri.scheme_str() else { return Ok(None) };
    let scheme = if scheme.eq_ignore_ascii_case("http") {
        target::Scheme::Http
    } else if scheme.eq_ignore_ascii_case("https") {
        target::Scheme::Https
    } else {
        return Err(unfit(400, "this server serves http and https"));
    };
    Ok(memory::of_another_scheme(Some(scheme), is_secured))
}

/// RFC 9113 §8.3.1: `:authority` takes the place of Host, and the two do not differ.
pub(super) fn named(head: &http::request::Parts) -> Result<&[u8], Unfit> {
    let mut hosts = head.headers.get_all(http::header::HOST).iter();
    let host = hosts.next();
    let named = match (head.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(unfit(400, "the request names two hosts"));
        }
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => return Err(unfit(400, "the request names no host")),
    };
    if hosts.next().is_some() || Host::parse(named).is_none() {
        return Err(unfit(400, "the host is malformed"));
    }
    Ok(named)
}

/// The fields but for those that concern the connection, which h2 refuses, and those that stand elsewhere. Cookie crumbs are put together
/// (RFC 9113 §8.2.3).
fn fields(head: &http::request::Parts) -> Result<Fields, Unfit> {
    let mut fields = Fields::new();
    let mut crumbs: Vec<&[u8]> = Vec::new();
    for (name, value) in &head.headers {
        match name.as_str() {
            "host" | "content-length" | "te" | "expect" | "trailer" => {}
            "cookie" => crumbs.push(value.as_bytes()),
            name => {
                let value = Bytes::copy_from_slice(value.as_bytes());
                fields
                    .add(Bytes::copy_from_slice(name.as_bytes()), value)
                    .map_err(|bad| unfit(400, &bad.to_string()))?;
            }
        }
    }
    if !crumbs.is_empty() {
        fields.add("cookie", crumbs.join(&b"; "[..])).map_err(|bad| unfit(400, &bad.to_string()))?;
    }
    Ok(fields)
}

fn method(verb: &str) -> Method {
    match verb {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => Method::Other,
    }
}
