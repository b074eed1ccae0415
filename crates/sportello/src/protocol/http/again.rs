//! Requests that were read lately. Clients say the same again, byte for byte, and a program that pipelines says it many times in
//! one read: then to read it, to check its host and to choose its site would come to what it came to before.
//!
//! Holds only what depends on nothing but these bytes and the channel's reach: GET and HEAD without body, condition, range and
//! expectation that were admitted, and the order in which their client takes the forms of a file. Whether the file is still the same is asked each time. Bounded by [`KEPT`] heads of at most
//! [`HEAD_MOST`] bytes for each worker and channel.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use sportello_service::files::Files;
use sportello_service::site::Tally;
use sportello_wire::http1::coding::Order;
use sportello_wire::http1::target::Target;
use sportello_wire::http1::{Head, Method, Persistence, Version};

use super::guard::Reach;

/// Heads that are kept; each is compared with what arrives, so a few.
const KEPT: usize = 4;
/// Longer heads are not kept.
const HEAD_MOST: usize = 1024;

/// The requests that were read lately.
#[derive(Default)]
pub(super) struct Recent {
    heads: Vec<Plain>,
    /// The one that was found last.
    latest: usize,
    /// The one that makes room for the next.
    oldest: usize,
}

/// A request that asks for a file and nothing else.
pub(super) struct Plain {
    bytes: Box<[u8]>,
    verb: Range<usize>,
    object: Range<usize>,
    path: Range<usize>,
    reach: Reach,
    pub(super) files: Rc<Files>,
    pub(super) order: Order,
    /// What it is counted in.
    pub(super) tally: Arc<Tally>,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) persistence: Persistence,
}

/// Where a request leads: the folder, the order of forms, and what it is counted in.
type Found<'f> = (&'f Rc<Files>, Order, &'f Arc<Tally>);

impl Recent {
    /// The request that `input` begins with, if it was read lately over a channel of this reach.
    pub(super) fn find(&mut self, input: &[u8], reach: Reach) -> Option<&Plain> {
        let fits = |plain: &Plain| plain.reach == reach && input.starts_with(&plain.bytes);
        if !self.heads.get(self.latest).is_some_and(fits) {
            self.latest = self.heads.iter().position(fits)?;
        }
        self.heads.get(self.latest)
    }

    /// Keeps the request that `input` began with and `head` was read from.
    pub(super) fn keep(&mut self, input: &[u8], head: &Head<'_>, found: Found<'_>, reach: Reach) {
        let Some(plain) = Plain::of(input, head, found, reach) else { return };
        match self.heads.get_mut(self.oldest) {
            Some(place) => *place = plain,
            None => self.heads.push(plain),
        }
        self.latest = self.oldest;
        self.oldest = (self.oldest + 1) % KEPT;
    }
}

impl Plain {
    fn of(input: &[u8], head: &Head<'_>, (files, order, tally): Found<'_>, reach: Reach) -> Option<Self> {
        let bytes = input.get(..head.length).filter(|bytes| bytes.len() <= HEAD_MOST)?;
        let Target::Path { path, .. } = head.target else { return None };
        let place = |part: &[u8]| {
            let start = (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
            let range = start..start.checked_add(part.len())?;
            (bytes.get(range.clone()) == Some(part)).then_some(range)
        };
        Some(Self {
            verb: place(head.verb)?,
            object: place(head.raw_target)?,
            path: place(path)?,
            bytes: bytes.into(),
            reach,
            files: Rc::clone(files),
            order,
            tally: Arc::clone(tally),
            method: head.method,
            version: head.version,
            persistence: head.persistence,
        })
    }

    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn verb(&self) -> &[u8] {
        self.bytes.get(self.verb.clone()).unwrap_or_default()
    }

    /// The target as it was sent.
    pub(super) fn object(&self) -> &[u8] {
        self.bytes.get(self.object.clone()).unwrap_or_default()
    }

    pub(super) fn path(&self) -> &[u8] {
        self.bytes.get(self.path.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use sportello_service::files::{Root, Settings};
    use sportello_wire::http1::Limits;
    use sportello_wire::http1::head::parse;

    use super::*;

    fn files() -> Rc<Files> {
        Rc::new(Files::new(Arc::new(Root::open(&std::env::temp_dir()).unwrap()), Settings::default()))
    }

    fn keep(recent: &mut Recent, input: &[u8], files: &Rc<Files>) {
        let head = parse(input, &Limits::default()).unwrap().unwrap();
        recent.keep(input, &head, (files, Order::PLAIN, &Arc::default()), Reach::Network);
    }

    fn request(target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
    }

    #[test]
    fn the_same_bytes_are_known_again_and_no_others() {
        let (mut recent, files) = (Recent::default(), files());
        let input = request("/a%20b?c");
        keep(&mut recent, &[&input[..], b"GET /more"].concat(), &files);
        for rest in [&b""[..], b"GET", b"\r\n", b"\0"] {
            let plain = recent.find(&[&input[..], rest].concat(), Reach::Network);
            let plain = plain.unwrap();
            assert_eq!((plain.verb(), plain.object(), plain.path()), (&b"GET"[..], &b"/a%20b?c"[..], &b"/a%20b"[..]));
            assert_eq!((plain.length(), plain.method), (input.len(), Method::Get));
            assert_eq!((plain.version, plain.persistence), (Version::Http11, Persistence::Close));
            assert!(Rc::ptr_eq(&plain.files, &files));
        }
        assert!(recent.find(&input, Reach::Loopback).is_none());
        for at in 0..input.len() {
            assert!(recent.find(&input[..at], Reach::Network).is_none(), "cut at {at}");
            let mut other = input.clone();
            other[at] ^= 0x20;
            assert!(recent.find(&other, Reach::Network).is_none(), "changed at {at}");
        }
    }

    #[test]
    fn a_few_are_kept_and_none_that_is_long() {
        let (mut recent, files) = (Recent::default(), files());
        for number in 0..=KEPT {
            keep(&mut recent, &request(&format!("/{number}")), &files);
        }
        assert!(recent.find(&request("/0"), Reach::Network).is_none());
        for number in 1..=KEPT {
            assert!(recent.find(&request(&format!("/{number}")), Reach::Network).is_some(), "{number}");
        }
        let long = |length: usize| request(&"/".repeat(length - request("").len()));
        for (length, kept) in [(HEAD_MOST, true), (HEAD_MOST + 1, false)] {
            keep(&mut recent, &long(length), &files);
            assert_eq!(recent.find(&long(length), Reach::Network).is_some(), kept);
        }
    }
}
