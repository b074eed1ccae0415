//! Heads as HTTP/2 has them: of a request, written anew from what was understood ([`forward`]), and of an answer, without what is of one
//! connection.
//!
//! Bounded by [`HEAD`](super::super::exchange::HEAD), of whose bytes the engine knows.

use std::borrow::Cow;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request as Head, header};
use sportello_wire::http1::client::{Announced, Error, Unwritable};

use super::super::address::Speech;
use super::super::exchange::HEAD;
use super::super::settings::Settings;
use super::super::upstream::Upstream;
use super::super::{forward, received};
use crate::web::{Fields, Request};

/// The head of a request.
pub(super) fn request(
    request: &Request,
    settings: &Settings,
    upstream: &Upstream,
    body: Announced,
) -> Result<Head<()>, Unwritable> {
    let target = request.target();
    let host = forward::host(request, settings, upstream.member.address.authority());
    let mut head = begin(upstream, &request.verb, &target, host)?;
    let headers = head.headers_mut();
    forward::fields(request, settings, |name, value| {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unwritable)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Unwritable)?;
        headers.try_append(name, value).map(drop).map_err(|_| Unwritable)
    })?;
    if let Announced::Length(length) = body {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(head)
}

/// A head without fields.
pub(super) fn begin(upstream: &Upstream, verb: &[u8], target: &[u8], host: &[u8]) -> Result<Head<()>, Unwritable> {
    let mut head = Head::new(());
    *head.version_mut() = http::Version::HTTP_2;
    *head.method_mut() = Method::from_bytes(verb).map_err(|_| Unwritable)?;
    // RFC 9113 §8.5: it has another form, and nobody is connected through here.
    if head.method() == Method::CONNECT {
        return Err(Unwritable);
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match upstream.member.address.speech {
        Speech::Plain => Scheme::HTTP,
        Speech::Encrypted => Scheme::HTTPS,
    });
    // RFC 9113 §8.3.1: it takes the place of Host.
    parts.authority = Some(Authority::try_from(host).map_err(|_| Unwritable)?);
    parts.path_and_query = Some(PathAndQuery::try_from(&*encoded(target)).map_err(|_| Unwritable)?);
    *head.uri_mut() = Uri::from_parts(parts).map_err(|_| Unwritable)?;
    Ok(head)
}

/// The target with what RFC 3986 has in no path or query encoded, for strict readers; many clients send it as it is.
fn encoded(target: &[u8]) -> Cow<'_, [u8]> {
    let is_foreign = |byte: &u8| matches!(byte, b'<' | b'>' | b'`' | b'"' | b'{' | b'}');
    if !target.iter().any(is_foreign) {
        return Cow::Borrowed(target);
    }
    let mut out = Vec::with_capacity(target.len().saturating_add(32));
    for &byte in target {
        if is_foreign(&byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    out.into()
}

/// The fields of an answer, without those of one connection, which HTTP/2 does not have, those that frame the message, and the date.
pub(super) fn fields(headers: &HeaderMap) -> Result<Fields, Error> {
    if headers.len() > HEAD.fields {
        return Err(Error::ManyFields(HEAD.fields));
    }
    let mut fields = Fields::new();
    for (name, value) in headers {
        let name = name.as_str();
        if !received::stays_behind(name.as_bytes()) {
            let value = Bytes::copy_from_slice(value.as_bytes());
            fields.add(Bytes::copy_from_slice(name.as_bytes()), value).map_err(|_| Error::Field)?;
        }
    }
    Ok(fields)
}

/// The length that an answer promises; the engine sees to it that as many bytes come (RFC 9113 §8.1.1), and that several are equal.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_target_holds_is_encoded() {
        for (target, expect) in
            [("/a?b=c", "/a?b=c"), ("/a|b^c?[d]", "/a|b^c?[d]"), ("/<`>?\"{}\"", "/%3C%60%3E?%22%7B%7D%22")]
        {
            let encoded = encoded(target.as_bytes());
            assert_eq!(encoded, expect.as_bytes());
            assert_eq!(
                PathAndQuery::try_from(&*encoded).map(|target| target.to_string()).as_deref().ok(),
                Some(expect)
            );
        }
    }

    #[test]
    fn an_answer_has_so_many_fields_and_no_more() {
        let mut headers = HeaderMap::new();
        for _ in 0..HEAD.fields {
            headers.append("x", HeaderValue::from_static("y"));
        }
        assert_eq!(fields(&headers).map(|fields| fields.len()), Ok(HEAD.fields));
        headers.append("x", HeaderValue::from_static("y"));
        assert_eq!(fields(&headers), Err(Error::ManyFields(HEAD.fields)));
    }
}
