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
            (false, 16, 65_536),
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

#[test]
fn one_byte_more_than_is_read_first_must_tell_its_length() {
    on_a_worker(async {
        let house = House::new([Reply::Say(says(HELLO))]);
        let body = Told { told: false, ..Told::of(UNTOLD_MOST as usize / 4096 + 1, 4096) }.incoming();
        let fastcgi = house.fastcgi(house.settings());
        assert_eq!(ask(&fastcgi, post(body)).await.0, 411);
        assert!(house.seen.borrow().is_empty(), "nobody was asked");
        assert_eq!(fastcgi.held.available_permits() as u64, HELD_MOST / SMALL, "and nothing is held");
    });
}

#[test]
fn a_body_that_breaks_off_is_not_passed_on_as_one_that_ended() {
    on_a_worker(async {
        for (pieces, each, reaches) in [(1, 10, false), (10, 60_000, true)] {
            for broken in [Broken::Left, Broken::Malformed] {
                let house = House::new([Reply::Say(says(HELLO))]);
                let body = Told { broken: Some(broken), ..Told::of(pieces, each) }.incoming();
                assert_eq!(ask(&house.fastcgi(house.settings()), post(body)).await.0, 400);
                while reaches && house.seen.borrow().is_empty() {
                    tokio::task::yield_now().await;
                }
                assert!(house.seen.borrow().iter().all(|seen| !seen.is_whole));
            }
        }
    });
}

#[test]
fn so_much_is_held_for_bodies_and_not_more() {
    on_a_worker(async {
        let house = House::new([Reply::Say(says(HELLO))]);
        let fastcgi = house.fastcgi(house.settings());
        let units = u32::try_from(UNTOLD_MOST / SMALL).unwrap();
        let most = u32::try_from(HELD_MOST / SMALL).unwrap();
        let held = fastcgi.held.try_acquire_many(most - units + 1).unwrap();
        let untold = || post(Told { told: false, ..Told::of(1, 10) }.incoming());
        assert_eq!(ask(&fastcgi, untold()).await.0, 503, "there is no room for it");
        drop(held);
        assert_eq!(ask(&fastcgi, untold()).await.0, 200);
    });
}

#[test]
fn an_application_that_does_not_read_slows_the_client_down() {
    on_a_simulated_clock(async {
        let house = House::new([Reply::Ignore]);
        let body = Told::of(10_000, 60_000);
        let asked = Rc::clone(&body.asked);
        let answer = ask(&house.fastcgi(house.settings()), post(body.incoming())).await;
        assert_eq!(answer.0, 504);
        assert!(asked.get() < 100, "{} pieces were taken from the client", asked.get());
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
