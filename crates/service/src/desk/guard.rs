//! What keeps the desk to the person in front of it: requests forged by other sites refused, and the fields that tell a
//! browser what our pages may do.
//!
//! Caught mail is private and deletable, and the desk asks for no password on loopback, so that another site open in the same
//! browser is the attacker to think of. Foreign `Host` and `Origin` on a loopback channel are refused by the protocol before.

use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::web::Answer;

/// Refuses a request that changes something and does not come from our own pages (or from no page at all: curl, scripts).
pub(super) fn refuse_forgery(request: &Request) -> Result<(), Failure> {
    if matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return Ok(());
    }
    if is_cross_site(request) || !origin_is_ours(request) {
        return Err(Failure::new(Class::Forbidden, "this request comes from another site"));
    }
    Ok(())
}

/// Whether a browser says that another site began this request (Fetch Metadata, `Sec-Fetch-Site`).
pub(super) fn is_cross_site(request: &Request) -> bool {
    fields(request, "sec-fetch-site").any(|value| value != b"same-origin" && value != b"none")
}

/// RFC 6454 §7.3: an `Origin`, where there is one, must be the authority that was asked. `null` is nobody's.
fn origin_is_ours(request: &Request) -> bool {
    fields(request, "origin").all(|origin| {
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        let host = request.field("host").unwrap_or_default();
        !host.is_empty() && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
    })
}

fn fields<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    request.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_slice())
}

/// The fields every answer of the desk carries but the frame that shows a mail's HTML.
pub(super) fn guarded(answer: Answer) -> Answer {
    answer.with("content-security-policy", PAGE_POLICY).with("cross-origin-resource-policy", "same-origin").shielded()
}

/// The fields of the frame that shows a mail's HTML: nothing runs, nothing is sent, nothing is loaded but inline pictures.
pub(super) fn framed(answer: Answer, pictures: Pictures) -> Answer {
    let policy = match pictures {
        Pictures::Inline => FRAME_POLICY,
        Pictures::Remote => FRAME_POLICY_REMOTE,
    };
    answer.with("content-security-policy", policy).with("cross-origin-resource-policy", "same-origin").shielded()
}

/// Which pictures a mail's HTML may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pictures {
    /// Those that came with it.
    Inline,
    /// Also those on other hosts: asked for by the reader, since loading one tells its sender that the mail was read.
    Remote,
}

/// Files out of mails: never a page of ours, whatever their type says.
pub(super) fn locked(answer: Answer) -> Answer {
    answer
        .with("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
        .with("cross-origin-resource-policy", "same-origin")
        .shielded()
}

impl Answer {
    fn shielded(self) -> Self {
        let cached = self.fields.has("cache-control");
        // Not `no-referrer`: with it a browser says `Origin: null` when our own forms are sent (Fetch, "append a request
        // `Origin` header"). `same-origin` tells other hosts as little.
        let answer = self
            .with("x-content-type-options", "nosniff")
            .with("referrer-policy", "same-origin")
            .with("cross-origin-opener-policy", "same-origin");
        if cached { answer } else { answer.with("cache-control", "no-store") }
    }
}

/// What a page of the desk may do.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";

/// What the HTML of a mail may do. `allow-popups` lets a link open in a tab of its own, which has no tie to this one.
pub(super) const FRAME_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The same with pictures of other hosts.
pub(super) const FRAME_POLICY_REMOTE: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     style-src 'unsafe-inline'; img-src data: http: https:; font-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'";
