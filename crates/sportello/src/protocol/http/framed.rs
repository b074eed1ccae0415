//! What a service answers, as a message: status, fields, framing, body.

use sportello_net::Ended;
use sportello_service::web::{Answer, Body};
use sportello_wire::http1::answer::{AnswerHead, Said};
use sportello_wire::http1::{Head, Method, Version};
use tokio::time::Instant;

use super::exchange::Exchange;
use super::memory::Arrival;
use super::session::{End, Next, Session};
use super::told::{self, Asked};
use super::{COPY_BELOW, clock};
use crate::observe::access;

/// Where an answer begins in all that its connection is sent, and when its request came.
pub(super) struct Beginning {
    bytes: u64,
    started: Instant,
}

impl Session<'_> {
    /// Sends one answer; small ones wait in the outbox. Returns what becomes of the connection.
    pub(super) async fn send(
        &mut self,
        head: &Head<'_>,
        answer: Answer,
        next: Next,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        let mut exchange = Exchange::without_body(self.connection);
        self.send_while(head, answer, next, arrival, &mut exchange).await
    }

    /// As [`Session::send`], while the rest of the request may come.
    pub(super) async fn send_while(
        &mut self,
        head: &Head<'_>,
        answer: Answer,
        next: Next,
        arrival: Arrival,
        exchange: &mut Exchange,
    ) -> Result<Next, Ended> {
        // Without chunks, only the end of the connection ends what has no length (RFC 9112 §6.3 (8)).
        let endless = matches!(&answer.body, Body::Pieces(pieces) if pieces.left().is_none());
        let next = match next {
            Next::Request if endless && head.version == Version::Http10 => Next::End(End::Done),
            next => next,
        };
        let before = self.outbox.bytes().len();
        let beginning = self.beginning(arrival);
        let said = if matches!(answer.body, Body::Tunnel(_)) { Said::Upgrade } else { next.said(head) };
        begin(self.outbox.open(), head, &answer, said);
        let head_length = (self.outbox.bytes().len() - before) as u64;
        let Answer { status, fields, body } = answer;
        // They are written; what they lie in is not kept for as long as a body, or a tunnel, may last.
        drop(fields);
        let body = if has_body(head, status) { body } else { Body::Empty };
        let sent = match self.add_body(body) {
            Ok(length) => Ok(length),
            // Large, and few answers that have waited for something are.
            Err(body) => Box::pin(self.send_body(head, body, exchange)).await,
        };
        let sent = sent.map(|length| head_length + length);
        let told = self.said(&beginning, status, &sent);
        told::answered((self.connection, &self.service), &Asked::of(head), exchange.notes(), told);
        sent.map(|_| next)
    }

    /// To be noted before an answer begins.
    pub(super) fn beginning(&self, arrival: Arrival) -> Beginning {
        Beginning { bytes: self.connection.bytes().1 + self.outbox.bytes().len() as u64, started: arrival.began }
    }

    /// What is told of an answer with so many bytes, or of as many as went before it broke off.
    pub(super) fn said(&self, beginning: &Beginning, status: u16, sent: &Result<u64, Ended>) -> access::Said {
        let went = self.connection.bytes().1.saturating_sub(beginning.bytes);
        match sent {
            Ok(bytes) => access::Said::now(status, *bytes, beginning.started),
            Err(_) => access::Said::cut(status, went, beginning.started),
        }
    }

    /// Adds a body that goes out together with its head, and says how many bytes it had; gives back any other.
    fn add_body(&mut self, body: Body) -> Result<u64, Body> {
        match body {
            Body::Empty => Ok(0),
            Body::Bytes(bytes) if bytes.len() < COPY_BELOW => {
                self.outbox.open().extend_from_slice(&bytes);
                Ok(bytes.len() as u64)
            }
            body => Err(body),
        }
    }

    /// Sends the body, and says how many bytes it had.
    async fn send_body(&mut self, head: &Head<'_>, body: Body, exchange: &mut Exchange) -> Result<u64, Ended> {
        match body {
            Body::Empty => Ok(0),
            Body::Bytes(bytes) => {
                self.connection.write_parts(&[self.outbox.bytes(), &bytes]).await?;
                self.outbox.clear();
                Ok(bytes.len() as u64)
            }
            Body::Stored(stored) => {
                let length = stored.content.length();
                self.send_content(&stored.file, &stored.content).await?;
                Ok(length)
            }
            Body::File { file, start, length } => {
                self.flush().await?;
                self.connection.send_file(&file, start, length).await?;
                Ok(length)
            }
            Body::Pieces(pieces) => self.flow(head, pieces, exchange).await,
            Body::Tunnel(tunnel) => self.tunnel(tunnel).await,
        }
    }
}

/// RFC 9110 §6.4.1: neither an answer to HEAD nor a 204 or 304 has content.
fn has_body(head: &Head<'_>, status: u16) -> bool {
    head.method != Method::Head && !matches!(status, 204 | 304)
}

/// Writes the head of an answer, up to its empty line.
fn begin(out: &mut Vec<u8>, head: &Head<'_>, answer: &Answer, said: Said) {
    let mut writer = AnswerHead::begin(out, answer.status, &clock::second().date);
    for (name, value) in answer.fields.lines() {
        // What stands in Fields may be sent.
        writer.checked_field(name, value);
    }
    match &answer.body {
        // RFC 9110 §8.6: none in a 204; in a 304 it would be that of the 200.
        _ if matches!(answer.status, 204 | 304) => {}
        Body::Empty => writer.length(0),
        Body::Bytes(bytes) => writer.length(bytes.len() as u64),
        Body::Stored(stored) => writer.length(stored.content.length()),
        Body::File { length, .. } => writer.length(*length),
        Body::Pieces(pieces) => match pieces.left() {
            Some(length) => writer.length(length),
            None if head.version == Version::Http11 => writer.lines("transfer-encoding: chunked\r\n"),
            None => {}
        },
        Body::Tunnel(_) => {}
    }
    writer.end(said);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sportello_service::web::{Live, Pieces, Ready};
    use sportello_wire::http1::Limits;
    use sportello_wire::http1::head::parse;
    use tokio::sync::mpsc;

    use super::*;

    fn written(request: &str, answer: &Answer) -> String {
        let head = parse(request.as_bytes(), &Limits::default()).unwrap().unwrap();
        let mut out = Vec::new();
        begin(&mut out, &head, answer, Said::Nothing);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_body_has_its_framing() {
        let new = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let old = "GET / HTTP/1.0\r\n\r\n";
        let over = |pieces: Box<dyn Pieces>| Answer::empty(200).over(Body::Pieces(pieces));
        let stream = || over(Box::new(Live::new(mpsc::channel(1).1)));
        let known = || over(Box::new(Ready::new([Bytes::from_static(b"abcd")])));
        let empty = Answer::empty;
        for (request, answer, holds, lacks) in [
            (new, Answer::bytes(200, "text/plain", "abc"), "content-length: 3\r\n", "transfer-encoding"),
            (new, known(), "content-length: 4\r\n", "transfer-encoding"),
            (new, stream(), "transfer-encoding: chunked\r\n", "content-length"),
            (old, stream(), "200 OK\r\n", "transfer-encoding"),
            (new, empty(301), "content-length: 0\r\n", "transfer-encoding"),
            (new, empty(204), "204 No Content\r\n", "content-length"),
            (new, empty(304), "304 Not Modified\r\n", "content-length"),
        ] {
            let text = written(request, &answer);
            assert!(text.contains(holds) && !text.contains(lacks), "{text}");
        }
    }

    #[test]
    fn no_content_where_none_may_be() {
        let request = |method| format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        for (method, status, expect) in
            [("GET", 200, true), ("HEAD", 200, false), ("GET", 204, false), ("GET", 304, false)]
        {
            let request = request(method);
            let head = parse(request.as_bytes(), &Limits::default()).unwrap().unwrap();
            assert_eq!(has_body(&head, status), expect, "{method} {status}");
        }
    }
}
