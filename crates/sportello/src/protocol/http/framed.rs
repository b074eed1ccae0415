//! What a service answers, as a message: status, fields, framing, body.

use bytes::Bytes;
use sportello_net::Ended;
use sportello_service::web::{Answer, Body};
use sportello_wire::http1::answer::{AnswerHead, LAST_CHUNK, Said, UnsafeField, chunk};
use sportello_wire::http1::{Head, Method, Version};
use tokio::sync::mpsc;
use tracing::error;

use super::memory::{Arrival, answered};
use super::session::{End, Next, Session};
use super::{COPY_BELOW, clock, fault};

impl Session<'_> {
    /// Sends one answer; small ones wait in the outbox. Returns what becomes of the connection.
    pub(super) async fn send(
        &mut self,
        head: &Head<'_>,
        answer: Answer,
        next: Next,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        // Without chunks, only the end of the connection ends a stream (RFC 9112 §6.3 (8)).
        let endless = matches!(answer.body, Body::Stream(_)) && head.version == Version::Http10;
        let next = if endless && next == Next::Request { Next::End(End::Done) } else { next };
        let before = self.outbox.bytes().len();
        let answer = match begin(self.outbox.open(), head, &answer, next.said(head)) {
            Ok(()) => answer,
            Err(UnsafeField) => {
                error!(status = answer.status, "an answer held a field that may not be sent");
                self.outbox.open().truncate(before);
                let answer = fault::page(head, 500, "internal error");
                // Invariant: the fields of our own page are safe.
                let _ = begin(self.outbox.open(), head, &answer, next.said(head));
                answer
            }
        };
        let head_length = (self.outbox.bytes().len() - before) as u64;
        let status = answer.status;
        let sent = if has_body(head, status) { self.send_body(head, answer.body).await } else { Ok(0) };
        let bytes = head_length + *sent.as_ref().unwrap_or(&0);
        answered(self.connection, head, status, bytes, arrival.at);
        sent.map(|_| next)
    }

    /// Sends the body, and says how many bytes it had.
    async fn send_body(&mut self, head: &Head<'_>, body: Body) -> Result<u64, Ended> {
        match body {
            Body::Empty => Ok(0),
            Body::Bytes(bytes) if bytes.len() < COPY_BELOW => {
                self.outbox.open().extend_from_slice(&bytes);
                Ok(bytes.len() as u64)
            }
            Body::Bytes(bytes) => {
                self.connection.write_parts(&[self.outbox.bytes(), &bytes]).await?;
                self.outbox.clear();
                Ok(bytes.len() as u64)
            }
            Body::File { file, start, length } => {
                self.flush().await?;
                self.connection.send_file(&file, start, length).await?;
                Ok(length)
            }
            Body::Stream(pieces) => self.send_stream(head, pieces).await,
        }
    }

    /// Sends pieces as they come, until there are no more, the peer leaves or the server stops.
    async fn send_stream(&mut self, head: &Head<'_>, mut pieces: mpsc::Receiver<Bytes>) -> Result<u64, Ended> {
        let mut sent = 0;
        loop {
            self.flush().await?;
            let piece = tokio::select! {
                biased;
                piece = pieces.recv() => piece,
                ended = self.connection.left_or_stopping() => match ended {
                    Ended::Stopping => None,
                    ended => return Err(ended),
                },
            };
            let out = self.outbox.open();
            let Some(piece) = piece else { break };
            sent += piece.len() as u64;
            match head.version {
                Version::Http11 => chunk(out, &piece),
                Version::Http10 => out.extend_from_slice(&piece),
            }
        }
        if head.version == Version::Http11 {
            self.outbox.open().extend_from_slice(LAST_CHUNK);
        }
        Ok(sent)
    }
}

/// RFC 9110 §6.4.1: neither an answer to HEAD nor a 204 or 304 has content.
fn has_body(head: &Head<'_>, status: u16) -> bool {
    head.method != Method::Head && !matches!(status, 204 | 304)
}

/// Writes the head of an answer, up to its empty line.
fn begin(out: &mut Vec<u8>, head: &Head<'_>, answer: &Answer, said: Said) -> Result<(), UnsafeField> {
    let mut writer = AnswerHead::begin(out, answer.status, &clock::second().date);
    for (name, value) in &answer.fields {
        writer.field(name, value.as_bytes())?;
    }
    match &answer.body {
        // RFC 9110 §8.6: none in a 204; in a 304 it would be that of the 200.
        _ if matches!(answer.status, 204 | 304) => {}
        Body::Empty => writer.length(0),
        Body::Bytes(bytes) => writer.length(bytes.len() as u64),
        Body::File { length, .. } => writer.length(*length),
        Body::Stream(_) if head.version == Version::Http11 => writer.lines("transfer-encoding: chunked\r\n"),
        Body::Stream(_) => {}
    }
    writer.end(said);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sportello_wire::http1::Limits;
    use sportello_wire::http1::head::parse;

    fn written(request: &str, answer: &Answer) -> Result<String, UnsafeField> {
        let head = parse(request.as_bytes(), &Limits::default()).unwrap().unwrap();
        let mut out = Vec::new();
        begin(&mut out, &head, answer, Said::Nothing)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_body_has_its_framing() {
        let new = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let old = "GET / HTTP/1.0\r\n\r\n";
        let stream = || Answer { status: 200, fields: Vec::new(), body: Body::Stream(mpsc::channel(1).1) };
        let empty = |status| Answer { status, fields: Vec::new(), body: Body::Empty };
        for (request, answer, holds, lacks) in [
            (new, Answer::bytes(200, "text/plain", "abc"), "content-length: 3\r\n", "transfer-encoding"),
            (new, stream(), "transfer-encoding: chunked\r\n", "content-length"),
            (old, stream(), "200 OK\r\n", "transfer-encoding"),
            (new, empty(301), "content-length: 0\r\n", "transfer-encoding"),
            (new, empty(204), "204 No Content\r\n", "content-length"),
            (new, empty(304), "304 Not Modified\r\n", "content-length"),
        ] {
            let text = written(request, &answer).unwrap();
            assert!(text.contains(holds) && !text.contains(lacks), "{text}");
        }
    }

    #[test]
    fn an_answer_cannot_be_split() {
        let answer = Answer::bytes(200, "text/plain", "").with("location", "/\r\nset-cookie: x");
        assert_eq!(written("GET / HTTP/1.0\r\n\r\n", &answer), Err(UnsafeField));
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
