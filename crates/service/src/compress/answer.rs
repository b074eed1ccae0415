//! Any answer, made smaller where it may be: a listing, an error page, what an upstream or a program said.
//!
//! What is left alone: what has a content coding, what says `no-transform` (RFC 9111 §5.2.2.6), a part (206), what has no content, and
//! bodies without an end. A 304 says what the answer would that it stands for. Bounded as all of [`super`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use sportello_wire::http1::Method;
use sportello_wire::http1::coding::{Coding, Liking, Order};
use sportello_wire::http1::field;

use super::stream::{PIECE, Source, aside};
use super::{Compression, Encoded, Level, Place, encode};
use crate::web::{Answer, Body, Broken, Fields, Request};

/// What a client wants, as far as it decides about codings.
#[derive(Debug)]
pub struct Wanted {
    /// Its method.
    pub method: Method,
    /// Its Accept-Encoding.
    pub liking: Liking,
    /// Its If-None-Match: the forms that it has.
    pub tags: Vec<Bytes>,
}

impl Wanted {
    /// What this request wants.
    pub fn of(request: &Request) -> Self {
        Self {
            method: request.method,
            liking: Liking::of(request.fields.values("accept-encoding")),
            tags: request.fields.values("if-none-match").map(Bytes::copy_from_slice).collect(),
        }
    }

    fn has(&self, tag: &[u8]) -> bool {
        self.tags.iter().flat_map(|value| field::list(value)).any(|listed| listed == tag)
    }
}

/// The answer in the coding that the client likes best. Whether one was chosen or not, one that might have been says `Vary:
/// Accept-Encoding`.
pub async fn compressed(answer: Answer, wanted: &Wanted, compression: &Compression) -> Answer {
    let is_unchanged = answer.status == 304 && may_stand_for_encoded(&answer, compression);
    if !is_unchanged && !may_be_changed(&answer, compression) {
        return answer;
    }
    let mut answer = answer;
    vary(&mut answer.fields);
    let codings: Vec<Coding> = compression.codings().collect();
    let order: Order = wanted.liking.order(&codings);
    let Some(level) = order.iter().find_map(|coding| compression.level(coding)) else { return answer };
    if is_unchanged {
        unchanged(&mut answer.fields, wanted);
        return answer;
    }
    let (body, is_smaller) = match answer.body {
        // RFC 9110 §9.3.2: HEAD says what GET would.
        Body::Empty => (Body::Empty, wanted.method == Method::Head),
        Body::Bytes(bytes) => in_memory(bytes, level).await,
        Body::File { file, start, length } => match Place::take(level, Some(length)) {
            Some(place) => {
                let stretch = Stretch { file, at: start, end: start.saturating_add(length) };
                (Body::Pieces(Box::new(Encoded::read(Box::new(stretch), place))), true)
            }
            None => (Body::File { file, start, length }, false),
        },
        Body::Stored(stored) => match Place::take(level, Some(stored.content.length())) {
            Some(place) => (Body::Pieces(Box::new(Encoded::passed(stored.into_pieces(), place))), true),
            None => (Body::Stored(stored), false),
        },
        Body::Pieces(pieces) => match Place::take(level, pieces.left()) {
            Some(place) => (Body::Pieces(Box::new(Encoded::passed(pieces, place))), true),
            None => (Body::Pieces(pieces), false),
        },
        tunnel @ Body::Tunnel(_) => (tunnel, false),
    };
    answer.body = body;
    if is_smaller {
        encoded_now(&mut answer.fields, level.coding());
    }
    answer
}

fn may_be_changed(answer: &Answer, compression: &Compression) -> bool {
    let length = match &answer.body {
        Body::Empty => None,
        Body::Bytes(bytes) => Some(bytes.len() as u64),
        Body::Stored(stored) => Some(stored.content.length()),
        Body::File { length, .. } => Some(*length),
        Body::Pieces(pieces) if pieces.is_endless() => return false,
        Body::Pieces(pieces) => pieces.left(),
        Body::Tunnel(_) => return false,
    };
    let Some(media_type) = answer.fields.text("content-type") else { return false };
    !matches!(answer.status, 100..=199 | 204 | 205 | 206 | 304)
        && !answer.fields.has("content-range")
        && is_left_open(&answer.fields)
        && !is_of_events(media_type)
        && compression.takes(media_type, length)
}

/// Whether the answer that a 304 stands for may have been encoded. Most of them do not say of which type it is.
fn may_stand_for_encoded(answer: &Answer, compression: &Compression) -> bool {
    let takes = |media_type: &str| !is_of_events(media_type) && compression.takes(media_type, None);
    is_left_open(&answer.fields) && answer.fields.text("content-type").is_none_or(takes)
}

/// Whether no coding is chosen and none forbidden.
fn is_left_open(fields: &Fields) -> bool {
    let mut directives = fields.values("cache-control").flat_map(field::list);
    !fields.has("content-encoding") && !directives.any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Events are for who reads them at once; many readers of them want no coding.
fn is_of_events(media_type: &str) -> bool {
    media_type.trim_start().get(..17).is_some_and(|begin| begin.eq_ignore_ascii_case("text/event-stream"))
}

/// RFC 9110 §15.4.5: the tag of a 304 is that of the 200, or no cache finds what it is to go on with (RFC 9111 §4.3.4). Who names the
/// plain form alone has that one.
fn unchanged(fields: &mut Fields, wanted: &Wanted) {
    let Some(tag) = fields.value("etag").filter(|tag| tag.starts_with(b"\"")).map(<[u8]>::to_vec) else { return };
    let weak = [b"W/", &tag[..]].concat();
    if wanted.has(&weak) || !wanted.has(&tag) {
        // Invariant: with two letters before it, it is still a value.
        let _ = fields.set("etag", weak);
    }
}

async fn in_memory(bytes: Bytes, level: Level) -> (Body, bool) {
    let plain = bytes.clone();
    match aside(move || encode(level, &bytes)).await {
        Ok(Ok(encoded)) if encoded.len() < plain.len() => (Body::Bytes(encoded.into()), true),
        _ => (Body::Bytes(plain), false),
    }
}

/// Adds Accept-Encoding to Vary (RFC 9110 §12.5.5), unless it is there or all is said to vary.
fn vary(fields: &mut Fields) {
    let is_said = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding");
    if !fields.values("vary").flat_map(field::list).any(is_said) {
        // Invariant: both are constant, and may stand in a field.
        let _ = fields.add("vary", "accept-encoding");
    }
}

/// What the fields say of another form: other bytes, so no strong tag of the plain ones (RFC 9110 §8.8.1), no sum, and no ranges.
fn encoded_now(fields: &mut Fields, coding: Coding) {
    for name in ["accept-ranges", "content-md5", "digest", "content-digest", "repr-digest", "content-length"] {
        fields.remove(name);
    }
    if let Some(tag) = fields.value("etag").map(<[u8]>::to_vec) {
        let set = match tag.as_slice() {
            [b'W', b'/', ..] => Ok(()),
            [b'"', ..] => fields.set("etag", [b"W/", &tag[..]].concat()),
            // No tag at all.
            _ => {
                fields.remove("etag");
                Ok(())
            }
        };
        // Invariant: with two letters before it, it is still a value.
        let _ = set;
    }
    let _ = fields.set("content-encoding", coding.name());
}

/// A part of a file.
struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Source for Stretch {
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Broken> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(PIECE);
        into.resize(left, 0);
        self.file.read_exact_at(into, self.at).map_err(|_| Broken::Left)?;
        self.at = self.at.saturating_add(left as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::{decoded, text};
    use super::*;
    use crate::web::{Incoming, Live, Ready};

    fn compression() -> Compression {
        Compression { levels: [Coding::Brotli, Coding::Gzip].map(Level::usual).into(), ..Compression::default() }
    }

    async fn done(answer: Answer, accept: &str) -> Answer {
        compressed(answer, &wanted(Method::Get, accept, &[]), &compression()).await
    }

    fn wanted(method: Method, accept: &str, tags: &[&'static str]) -> Wanted {
        let liking = Liking::of(std::iter::once(accept.as_bytes()));
        Wanted { method, liking, tags: tags.iter().map(|tag| Bytes::from_static(tag.as_bytes())).collect() }
    }

    fn page(length: usize) -> Answer {
        Answer::bytes(200, "text/html; charset=utf-8", text(length))
            .with("etag", "\"a\"")
            .with("accept-ranges", "bytes")
    }

    #[tokio::test]
    async fn a_page_is_made_smaller_and_says_so() {
        let answer = done(page(5000), "gzip").await;
        assert_eq!(answer.fields.text("content-encoding"), Some("gzip"));
        assert_eq!(
            (answer.fields.text("etag"), answer.fields.text("vary")),
            (Some("W/\"a\""), Some("accept-encoding"))
        );
        assert!(!answer.fields.has("accept-ranges"));
        let Body::Bytes(bytes) = answer.body else { panic!("no bytes") };
        assert_eq!(decoded(Coding::Gzip, &bytes).unwrap(), text(5000));
        assert_eq!(done(page(5000), "gzip, br").await.fields.text("content-encoding"), Some("br"));
        // Who wants it plain is told that others may have it otherwise.
        let plain = done(page(5000), "identity").await;
        assert_eq!((plain.fields.text("content-encoding"), plain.fields.text("etag")), (None, Some("\"a\"")));
        assert_eq!(plain.fields.text("vary"), Some("accept-encoding"));
    }

    #[tokio::test]
    async fn what_may_not_be_changed_is_not() {
        let event = Answer::bytes(200, "text/event-stream", text(5000));
        let typeless = Answer::empty(200).over(Body::Bytes(text(5000).into()));
        let endless = Body::Pieces(Box::new(Live::new(tokio::sync::mpsc::channel(1).1)));
        for (answer, why) in [
            (page(1023), "too small"),
            (page(5000).with("content-encoding", "identity"), "encoded"),
            (page(5000).with("cache-control", "public, No-Transform"), "forbidden"),
            (page(5000).with("content-range", "bytes 0-4999/9999"), "a part"),
            (Answer { status: 206, ..page(5000) }, "a part by its status"),
            (Answer { status: 304, ..page(5000) }.with("content-encoding", "gzip"), "no content, encoded elsewhere"),
            (Answer { status: 304, ..Answer::bytes(200, "image/png", "") }, "no content, another type"),
            (Answer::bytes(200, "image/png", text(5000)), "another type"),
            (event, "events"),
            (typeless, "no type"),
            (page(0).over(endless), "no end"),
        ] {
            let before = answer.fields.clone();
            assert_eq!(done(answer, "gzip").await.fields, before, "{why}");
        }
        let random: Vec<u8> = (0..5000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let incompressible = Answer::bytes(200, "text/plain", random.clone());
        let Body::Bytes(bytes) = done(incompressible, "gzip").await.body else { panic!("no bytes") };
        assert!(bytes.len() <= random.len());
    }

    #[tokio::test]
    async fn pieces_and_files_are_encoded_on_their_way() {
        let body = text(300_000);
        let pieces = || Body::Pieces(Box::new(Ready::new([Bytes::from(body.clone())])));
        let path = std::env::temp_dir().join(format!("sportello-compress-{}", std::process::id()));
        std::fs::write(&path, &body).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        for (given, expect) in
            [(pieces(), &body[..]), (Body::File { file, start: 1000, length: 200_000 }, &body[1000..201_000])]
        {
            let answer = done(page(0).over(given), "br").await;
            assert_eq!(answer.fields.text("content-encoding"), Some("br"));
            let Body::Pieces(encoded) = answer.body else { panic!("no pieces") };
            let encoded = Incoming::Pieces(encoded).whole(u64::MAX).await.unwrap();
            assert_eq!(decoded(Coding::Brotli, &encoded).unwrap(), expect);
        }
    }

    #[tokio::test]
    async fn tags_vary_and_head_are_as_they_should_be() {
        for (tag, expect) in [("\"a\"", Some("W/\"a\"")), ("W/\"a\"", Some("W/\"a\"")), ("a", None)] {
            let answer = Answer::bytes(200, "text/html", text(5000)).with("etag", tag);
            assert_eq!(done(answer, "gzip").await.fields.text("etag"), expect);
        }
        for (vary, expect) in [
            ("*", &["*"][..]),
            ("Cookie, Accept-Encoding", &["Cookie, Accept-Encoding"]),
            ("cookie", &["cookie", "accept-encoding"]),
        ] {
            let answer = done(page(5000).with("vary", vary), "gzip").await;
            let said: Vec<_> = answer.fields.values("vary").collect();
            assert_eq!(said, expect.iter().map(|value| value.as_bytes()).collect::<Vec<_>>());
        }
        let head = wanted(Method::Head, "gzip", &[]);
        let head = compressed(page(0).over(Body::Empty), &head, &compression()).await;
        assert_eq!(head.fields.text("content-encoding"), Some("gzip"));
    }

    #[tokio::test]
    async fn what_is_unchanged_says_what_the_whole_would() {
        let (plain, weak) = (Some("\"a\""), Some("W/\"a\""));
        for (accept, tags, expect) in [
            ("gzip", &["W/\"a\""][..], weak),
            ("gzip", &["\"b\", W/\"a\""], weak),
            ("gzip", &["\"a\"", "W/\"a\""], weak),
            ("gzip", &["\"a\""], plain),
            ("gzip", &["*"], weak),
            ("gzip", &[], weak),
            ("identity", &["\"a\""], plain),
        ] {
            let unchanged = Answer::empty(304).with("etag", "\"a\"");
            let answer = compressed(unchanged, &wanted(Method::Get, accept, tags), &compression()).await;
            let said = (answer.fields.text("etag"), answer.fields.text("vary"));
            assert_eq!(said, (expect, Some("accept-encoding")), "{accept} {tags:?}");
            assert!(!answer.fields.has("content-encoding"));
        }
    }
}
