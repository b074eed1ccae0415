//! How long each wait is.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timeouts() -> Timeouts {
    Timeouts { connect: 2 * SECOND, head: 5 * SECOND, between: 3 * SECOND }
}

fn waiting(house: &House) -> Rc<FastCgi> {
    house.fastcgi(Settings { timeouts: timeouts(), requests_most: 1, ..house.settings() })
}

#[test]
fn the_head_of_an_answer_is_waited_for_so_long() {
    for reply in [vec![], record(6, b"Content-Type: "), record(7, b"still busy")] {
        on_a_simulated_clock(async {
            let house = House::new([Reply::SayAndStay(reply)]);
            let began = Instant::now();
            assert_eq!(ask(&waiting(&house), request("GET", "/")).await.0, 504);
            assert_eq!(began.elapsed().as_secs(), 5);
        });
    }
}

#[test]
fn each_piece_is_waited_for_so_long() {
    on_a_simulated_clock(async {
        let house = House::new([Reply::SayAndStay(record(6, HELLO.as_bytes()))]);
        let began = Instant::now();
        assert_eq!(ask(&waiting(&house), request("GET", "/")).await.2, Err(Broken::Left));
        assert_eq!(began.elapsed().as_secs(), 3);
    });
}

#[test]
fn who_writes_errors_without_end_is_not_read_for_ever() {
    on_a_worker(async {
        let house = House::new([Reply::Repeat(record(7, &[b'e'; 60_000]))]);
        let head = Duration::from_millis(50);
        let timeouts = Timeouts { head, ..timeouts() };
        let fastcgi = house.fastcgi(Settings { timeouts, ..house.settings() });
        assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 504);
    });
}

#[test]
fn a_client_that_pauses_is_not_the_applications_fault() {
    on_a_simulated_clock(async {
        let house = House::new([Reply::Say(says(HELLO))]);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        spawn_local(async move {
            for _ in 0..3 {
                sender.send(Bytes::from(vec![b'x'; 100_000])).await.unwrap();
                sleep(20 * SECOND).await;
            }
        });
        let body = Incoming::Pieces(Box::new(Slow(receiver, 300_000)));
        let answer = ask(&waiting(&house), Request { body, ..request("POST", "/") }).await;
        assert_eq!(answer.2, Ok("hello".into()));
    });
}

struct Slow(tokio::sync::mpsc::Receiver<Bytes>, u64);

impl crate::web::Pieces for Slow {
    fn poll_piece(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Bytes, Broken>>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }

    fn left(&self) -> Option<u64> {
        Some(self.1)
    }
}

#[test]
fn one_request_more_than_may_be_asked_at_once_waits_and_is_refused() {
    on_a_simulated_clock(async {
        let house = House::new([Reply::Say(says(HELLO)), Reply::Say(says(HELLO))]);
        let fastcgi = waiting(&house);
        let first = fastcgi.answer(request("GET", "/"), &Asked::default()).await.unwrap();
        let began = Instant::now();
        assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 503);
        assert_eq!(began.elapsed().as_secs(), 2);
        drop(first);
        assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 200);
    });
}

#[test]
fn an_application_whose_queue_is_full_is_waited_for_so_long() {
    on_a_simulated_clock(async {
        let house = House::new([]);
        let path = house.folder.join("full");
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _queued = UnixStream::connect(&path).await.unwrap();
        let address = Address::Unix(path);
        let fastcgi = house.fastcgi(Settings { address, timeouts: timeouts(), ..house.settings() });
        let began = Instant::now();
        assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 504);
        assert_eq!(began.elapsed().as_secs(), 2);
    });
}

#[test]
fn an_answer_without_a_body_is_there_with_its_head() {
    for idle_most in [0, 1] {
        on_a_simulated_clock(async {
            // It said its head, and goes on.
            let house = House::new([Reply::SayAndStay(record(6, b"A: b\n\n<p>"))]);
            let fastcgi = house.fastcgi(Settings { idle_most, ..house.settings() });
            let began = Instant::now();
            assert_eq!(ask(&fastcgi, request("HEAD", "/")).await, (200, "a: b".into(), Ok(String::new())));
            assert!(began.elapsed() < Duration::from_millis(500));
            sleep(Duration::from_secs(2)).await;
            assert_eq!((house.closed.get(), fastcgi.places.available_permits()), (1, house.settings().requests_most));
        });
    }
}
