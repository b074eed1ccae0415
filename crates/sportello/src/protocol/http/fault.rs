//! What a client reads when its request was not carried out: a small page, JSON where it prefers that, plain text where its
//! request could not be read.

use bytes::Bytes;
use sportello_service::failure::{Class, Failure};
use sportello_service::files::{Batch, Files, Form, preferred_form};
use sportello_service::page;
use sportello_service::status::said;
use sportello_service::web::{Answer, Body};
use sportello_wire::http1::Refusal;
use sportello_wire::http1::answer::{AnswerHead, Said};
use sportello_wire::http1::field::Lines;
use tracing::{debug, error};

use super::budget::Spent;
use super::clock;
use super::guard::Foreign;

/// A request that cannot be read; the connection ends with this.
pub(super) fn refused(out: &mut Vec<u8>, refusal: Refusal) {
    plain(out, refusal.status(), &format!("{refusal}\n"));
}

/// What came over a channel with TLS is in plain text.
pub(super) fn not_tls(out: &mut Vec<u8>) {
    plain(out, 400, "this port speaks HTTPS: ask for https://, not http://\n");
}

/// The rest of a request did not come in time.
pub(super) fn timed_out(out: &mut Vec<u8>) {
    plain(out, 408, "the request did not arrive in time\n");
}

fn plain(out: &mut Vec<u8>, status: u16, text: &str) {
    let mut head = AnswerHead::begin(out, status, &clock::second().date);
    head.lines("content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n");
    head.length(text.len() as u64);
    head.end(Said::Close);
    out.extend_from_slice(text.as_bytes());
}

/// A request that failed, in the form the client prefers. Logs the cause, once.
pub(super) fn failed(lines: &impl Lines, failure: &Failure) -> Answer {
    let status = said(failure.class).http;
    match (&failure.source, failure.class) {
        (Some(source), Class::Internal) => error!(status, cause = %chain(&**source), "request failed"),
        (Some(source), _) => debug!(status, cause = %chain(&**source), "request failed"),
        (None, _) => {}
    }
    let answer = page(lines, status, &failure.public);
    if status == 503 { answer.with("retry-after", "1") } else { answer }
}

/// A body for which there is no memory now (RFC 9110 §15.6.4).
pub(super) fn spent(lines: &impl Lines, spent: Spent) -> Answer {
    page(lines, 503, &spent.to_string()).with("retry-after", "1")
}

/// A request that is for no one here, or that another website may have begun.
pub(super) fn foreign(lines: &impl Lines, foreign: Foreign) -> Answer {
    match foreign {
        Foreign::Host => page(lines, 421, "this port answers to localhost, 127.0.0.1 and [::1] only"),
        Foreign::Site => page(lines, 421, "no site of that name is served on this port"),
        Foreign::Connection => {
            page(lines, 421, "this site asks its clients for certificates: connect to it by its own name")
        }
        Foreign::Nameless => page(lines, 404, "this port serves sites by their names; send a Host field"),
        Foreign::Origin => page(lines, 403, "this port does not answer to pages of other sites"),
    }
}

/// An answer in the site's own clothes: its page takes the place of ours, the status and the other fields stay. A page that
/// cannot be sent is left out, so none can lead to another.
pub(super) async fn dressed(answer: Answer, lines: &impl Lines, files: &Files, batch: Batch) -> Answer {
    // A program that wants JSON gets JSON.
    if answer.status < 400 || preferred_form(lines.values_of("accept")) == Form::Json {
        return answer;
    }
    let Some(page) = files.error_page(answer.status, batch).await else { return answer };
    let mut answer = answer;
    answer.fields.remove("content-type");
    let body = Body::Bytes(Bytes::copy_from_slice(page.body()));
    answer.with("content-type", page.description().media_type()).over(body)
}

/// Whether a method that this server does nothing with is one of RFC 9110 §9.3 or RFC 5789.
pub(super) fn is_common(verb: &[u8]) -> bool {
    matches!(verb, b"TRACE" | b"PATCH")
}

/// An answer of ours that says with its status alone that something is wrong, with a page that says it in words. Somebody else's has a
/// body, if of no bytes, and stays as it is.
pub(super) fn worded(lines: &impl Lines, answer: Answer) -> Answer {
    if answer.status < 400 || !matches!(answer.body, Body::Empty) {
        return answer;
    }
    let mut worded = page(lines, answer.status, sentence(answer.status));
    for (name, value) in answer.fields.lines() {
        // The words have a type of their own.
        if &name[..] != b"content-type" {
            worded.fields.add_parsed(name.clone(), value.clone());
        }
    }
    worded
}

fn sentence(status: u16) -> &'static str {
    match status {
        401 => "say who you are first",
        403 => "this may not be had",
        404 => "there is nothing here",
        405 => "this cannot be done here",
        413 => "the request is larger than it may be",
        429 => "there were too many requests; come back later",
        502 => "the server behind this one did not answer as it should",
        503 => "this cannot be answered now; come back later",
        504 => "the server behind this one took too long",
        _ => "the request was not carried out",
    }
}

/// A page with a status and a sentence.
pub(super) fn page(lines: &impl Lines, status: u16, sentence: &str) -> Answer {
    page::page(preferred_form(lines.values_of("accept")), status, sentence)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sportello_wire::http1::Limits;
    use sportello_wire::http1::head::parse;

    fn body(fields: &str, sentence: &str) -> String {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = parse(input.as_bytes(), &Limits::default()).unwrap().unwrap();
        let Body::Bytes(bytes) = page(&head.fields, 404, sentence).body else { panic!("no body") };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn faults_are_told_in_the_form_asked_for_and_escaped() {
        let html = body("", "<b>\"&");
        assert!(html.contains("<h1>Not Found</h1>") && html.contains("&lt;b&gt;&quot;&amp;"), "{html}");
        let json: serde_json::Value = serde_json::from_str(&body("Accept: application/json\r\n", "\"")).unwrap();
        assert_eq!((&json["status"], &json["error"]), (&404.into(), &"\"".into()));
    }

    #[test]
    fn a_body_without_memory_is_to_come_again() {
        let head = parse(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", &Limits::default()).unwrap().unwrap();
        let answer = spent(&head.fields, Spent);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.fields.text("retry-after"), Some("1"));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_closes() {
        let mut out = Vec::new();
        refused(&mut out, Refusal::Foreign("SSH"));
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 400 Bad Request\r\n") && text.contains("\r\nconnection: close\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\nthis port speaks HTTP, not SSH\n"), "{text}");
    }
}
