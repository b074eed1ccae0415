//! The bodies of requests.

use std::task::{Context, Poll};

use super::*;
use crate::web::Pieces;

/// A body that tells its length, or does not; and breaks off at its end, or does not.
struct Told {
    pieces: usize,
    each: usize,
    told: bool,
    broken: Option<Broken>,
    asked: Rc<Cell<usize>>,
}

impl Told {
    fn of(pieces: usize, each: usize) -> Self {
        Self { pieces, each, told: true, broken: None, asked: Rc::default() }
    }

    fn incoming(self) -> Incoming {
        Incoming::Pieces(Box::new(self))
    }
}

impl Pieces for Told {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.pieces == 0 {
            return Poll::Ready(self.broken.take().map(Err));
        }
        self.pieces -= 1;
        self.asked.set(self.asked.get() + 1);
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; self.each]))))
    }

    fn left(&self) -> Option<u64> {
        self.told.then(|| (self.pieces * self.each) as u64)
    }
}

fn post(body: Incoming) -> Request {
    Request { body, ..request("POST", "/") }
}

#[test]
fn a_body_arrives_whole_with_its_length() {
    on_a_worker(async {
        for (told, pieces, each) in [
            (true, 1, 1),
            (true, 1, SMALL as usize),
            (true, 65, 1024),
            (true, 100, 70_000),
            (false, 1, 1),
            (false, 16, 4096),
            (false, 17, 4096),
            (false, 33, 65_536),
        ] {
            let house = House::new([Reply::Say(says(HELLO))]);
            let body = Told { told, ..Told::of(pieces, each) }.incoming();
            let answer = ask(&house.fastcgi(house.settings()), post(body)).await;
            assert_eq!(answer.2, Ok("hello".into()), "{told} {pieces} {each}");
            let seen = house.seen(0);
            assert_eq!((seen.body.len(), seen.is_whole), (pieces * each, true));
            assert_eq!(seen.params["CONTENT_LENGTH"], (pieces * each).to_string());
        }
    });
}

/// A body of which so much comes, and then nothing until it is let go on or dropped.
struct Slow {
    first: Option<Bytes>,
    rest: Option<Bytes>,
    gate: Rc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    waker: RefCell<Option<std::task::Waker>>,
}

impl Gate {
    fn open(&self) {
        self.is_open.set(true);
        self.waker.take().into_iter().for_each(std::task::Waker::wake);
    }
}

impl Slow {
    /// All but the last byte come at once.
    fn of(length: u64) -> (Self, Rc<Gate>) {
        let bytes = Bytes::from((0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        let gate = Rc::<Gate>::default();
        let rest = bytes.slice(bytes.len() - 1..);
        (Self { first: Some(bytes.slice(..bytes.len() - 1)), rest: Some(rest), gate: Rc::clone(&gate) }, gate)
    }
}

impl Pieces for Slow {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if !self.gate.is_open.get() {
            *self.gate.waker.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.rest.take().map(Ok))
    }

    fn left(&self) -> Option<u64> {
        Some([&self.first, &self.rest].into_iter().flatten().map(|bytes| bytes.len() as u64).sum())
    }
}

async fn reaches(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn clients_that_send_slowly_keep_no_process_of_the_application() {
    on_a_worker(async {
        for (length, told) in [(2, true), (SMALL, true), (SMALL + 1, true), (1 << 20, false)] {
            let house = House::new([Reply::Say(says(HELLO)), Reply::Say(says(HELLO)), Reply::Say(says(HELLO))]);
            // One process, and more slow clients than that.
            let fastcgi = house.fastcgi(Settings { requests_most: 1, ..house.settings() });
            let mut gates = Vec::new();
            let mut asked = Vec::new();
            for _ in 0..2 {
                let (body, gate) = Slow::of(length);
                let body: Box<dyn Pieces> = if told { Box::new(body) } else { Box::new(Untold(body)) };
                let fastcgi = Rc::clone(&fastcgi);
                let of = post(Incoming::Pieces(body));
                asked.push(spawn_local(async move { ask(&fastcgi, of).await }));
                gates.push(gate);
            }
            reaches(|| gates.iter().all(|gate| gate.waker.borrow().is_some())).await;
            assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 200, "{length}");
            assert_eq!(house.seen.borrow().len(), 1, "and nobody else was begun");
            gates.iter().for_each(|gate| gate.open());
            for one in asked {
                assert_eq!(one.await.unwrap().0, 200);
            }
            let expect: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            for number in [1, 2] {
                let seen = house.seen(number);
                assert!(seen.is_whole && seen.body == expect);
                assert_eq!(seen.params["CONTENT_LENGTH"], length.to_string());
            }
            reaches(|| fastcgi.spool.taken() == (0, 0)).await;
        }
    });
}

/// The same body, with a length that nobody tells.
struct Untold(Slow);

impl Pieces for Untold {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.0.poll_piece(context)
    }

    fn left(&self) -> Option<u64> {
        None
    }
}

#[test]
fn a_body_that_breaks_off_reaches_nobody() {
    on_a_worker(async {
        for (pieces, each) in [(1, 10), (10, 60_000)] {
            for broken in [Broken::Left, Broken::Malformed] {
                let house = House::new([]);
                let fastcgi = house.fastcgi(house.settings());
                let body = Told { broken: Some(broken), ..Told::of(pieces, each) }.incoming();
                assert_eq!(ask(&fastcgi, post(body)).await.0, 400);
                assert!(house.seen.borrow().is_empty());
                reaches(|| fastcgi.spool.taken() == (0, 0)).await;
            }
        }
    });
}

#[test]
fn so_much_is_held_in_memory_and_what_is_beyond_is_put_aside() {
    on_a_worker(async {
        for told in [true, false] {
            let house = House::new([Reply::Say(says(HELLO))]);
            // No file: so memory is all there is.
            let fastcgi = house.spooling(house.settings(), Bounds { files: 0, ..AMPLE });
            let small = || post(Told { told, ..Told::of(1, 10) }.incoming());
            let held = fastcgi.held.try_acquire_many(u32::try_from(HELD_MOST / SMALL).unwrap()).unwrap();
            let (status, fields, _) = ask(&fastcgi, small()).await;
            assert_eq!((status, fields.contains("retry-after: ")), (503, true), "{fields}");
            let fastcgi = house.fastcgi(house.settings());
            let also = fastcgi.held.try_acquire_many(u32::try_from(HELD_MOST / SMALL).unwrap()).unwrap();
            assert_eq!(ask(&fastcgi, small()).await.0, 200);
            drop((held, also));
        }
    });
}

#[test]
fn what_finds_no_room_is_refused_and_said_to_be_tried_again_where_that_helps() {
    on_a_worker(async {
        let bounds = |bytes, keep_free| Bounds { bytes, files: 100, keep_free };
        for (told, bounds, expect) in [
            // Half of all is for one.
            (true, bounds(200_000, 0), 200),
            (true, bounds(199_999, 0), 413),
            (false, bounds(199_999, 0), 413),
            (true, bounds(1 << 30, u64::MAX), 507),
        ] {
            let house = House::new([Reply::Say(says(HELLO))]);
            let fastcgi = house.spooling(house.settings(), bounds);
            let body = Told { told, ..Told::of(10, 10_000) }.incoming();
            assert_eq!(ask(&fastcgi, post(body)).await.0, expect, "{told} {bounds:?}");
            assert_eq!(house.seen.borrow().len(), usize::from(expect == 200));
            reaches(|| fastcgi.spool.taken() == (0, 0)).await;
        }
    });
}

#[test]
fn a_client_that_leaves_in_its_body_frees_what_it_took() {
    on_a_worker(async {
        let house = House::new([]);
        let fastcgi = house.fastcgi(house.settings());
        let (body, gate) = Slow::of(1 << 20);
        let of = post(Incoming::Pieces(Box::new(body)));
        let asking = Rc::clone(&fastcgi);
        let asked = spawn_local(async move { ask(&asking, of).await });
        reaches(|| gate.waker.borrow().is_some()).await;
        assert_eq!(fastcgi.spool.taken(), ((1 << 20) - 1, 1));
        asked.abort();
        reaches(|| fastcgi.spool.taken() == (0, 0)).await;
        assert!(house.seen.borrow().is_empty());
    });
}

#[test]
fn an_application_that_does_not_read_is_given_up_and_the_body_with_it() {
    on_a_simulated_clock(async {
        let house = House::new([Reply::Ignore]);
        let fastcgi = house.fastcgi(house.settings());
        assert_eq!(ask(&fastcgi, post(Told::of(200, 60_000).incoming())).await.0, 504);
        reaches(|| fastcgi.spool.taken() == (0, 0)).await;
    });
}

#[test]
fn a_client_that_does_not_read_slows_the_application_down() {
    on_a_worker(async {
        let piece = record(6, &[b'x'; 60_000]);
        let begun = [record(6, b"A: b\n\n"), piece].concat();
        let house = House::new([Reply::Repeat(begun)]);
        let fastcgi = house.fastcgi(house.settings());
        let answer = fastcgi.answer(request("GET", "/"), &Asked::default()).await.unwrap();
        let Body::Pieces(mut pieces) = answer.body else { panic!("no pieces") };
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(house.written.get() < 4 << 20, "{} bytes", house.written.get());
        for _ in 0..200 {
            let piece = std::future::poll_fn(|context| pieces.poll_piece(context)).await.unwrap().unwrap();
            assert!(!piece.is_empty() && piece.len() <= 64 * 1024);
        }
        drop(pieces);
        while house.closed.get() == 0 {
            tokio::task::yield_now().await;
        }
    });
}
