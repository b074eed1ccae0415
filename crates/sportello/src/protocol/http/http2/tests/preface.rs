//! How a connection becomes one of HTTP/2, and how it waits; in simulated time.

use sportello_net::Speaker;
use sportello_net::deadline::TICK;
use sportello_net::simulation::{self, Simulation};
use sportello_service::certificates::Answers;

use super::super::super::sites::Sites;
use super::super::super::{Limits, Served};
use super::*;

fn check(act: impl AsyncFnOnce(&Simulation, &mut simulation::Client)) {
    simulation::run(simulation::channel(Speaker::Client, Deadlines::default()), async |simulation| {
        let service = Service {
            served: Rc::new(Served::Sites(Sites::default())),
            limits: Limits::default(),
            answers: Answers::default(),
            terms: None,
            https: None,
        };
        let mut client =
            simulation.connect(|connection| super::super::super::serve(Box::new(connection), Rc::new(service)));
        act(simulation, &mut client).await;
        client.leave().await;
    });
}

#[test]
fn a_preface_may_come_in_pieces() {
    for size in 1..PREFACE.len() {
        check(async |_, client| {
            let said = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(PING, 0, 0, &[7; 8])].concat();
            for piece in said.chunks(size) {
                assert!(client.send(piece).await);
            }
            let heard = client.heard();
            assert_eq!(heard.get(3), Some(&SETTINGS), "in pieces of {size}");
            assert!(heard.ends_with(&frame(PING, ACK, 0, &[7; 8])), "in pieces of {size}");
        });
    }
}

#[test]
fn what_only_begins_like_it_is_the_other_version() {
    for (said, expect) in [
        ("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 421 "),
        ("PRI / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 421 "),
        ("PRI * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400 "),
        ("PRI * HTTP/2.0\r\nHost: localhost\r\n\r\n", "HTTP/1.1 505 "),
        ("P\n", "HTTP/1.1 400 "),
    ] {
        check(async |_, client| {
            for byte in said.bytes() {
                client.send([byte]).await;
            }
            let heard = String::from_utf8_lossy(&client.heard()).into_owned();
            assert!(heard.starts_with(expect), "{said:?}: {heard}");
        });
    }
}

#[test]
fn a_part_of_it_is_waited_for_as_a_head_is() {
    check(async |_, client| {
        let deadlines = Deadlines::default();
        client.send("PRI * ").await;
        client.pass(deadlines.rate_grace - Duration::from_secs(1)).await;
        client.send("HTTP").await;
        assert!(!client.has_ended());
        client.pass(deadlines.between_bytes + Duration::from_secs(1)).await;
        assert!(client.has_ended());
        assert!(client.heard().starts_with(b"HTTP/1.1 408 "));
    });
    check(async |_, client| {
        client.send("PRI").await;
        client.shut_down().await;
        assert!(client.has_ended());
    });
}

/// Time passes for a session that does not wait for its client.
async fn drift(time: Duration) {
    let mut passed = Duration::ZERO;
    while passed < time {
        tokio::time::advance(TICK).await;
        passed += TICK;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// The frames in what was heard, by their kinds.
fn kinds(mut heard: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, ..] = *heard {
        kinds.push(kind);
        heard = heard.get(9 + u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    kinds
}

#[test]
fn a_window_that_opens_by_drops_is_given_up() {
    for (drop, steps, is_given_up) in [(1u32, 3, true), (40, 6, false)] {
        check(async |_, client| {
            // SETTINGS_INITIAL_WINDOW_SIZE
            client.send([PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat()).await;
            client.send_some(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &asking("GET", "/a")));
            for _ in 0..steps {
                drift(Duration::from_secs(25)).await;
                client.send_some(&frame(WINDOW_UPDATE, 0, 1, &drop.to_be_bytes()));
            }
            drift(TICK).await;
            client.listen(usize::MAX);
            let kinds = kinds(&client.heard());
            assert!(kinds.contains(&DATA), "something was taken: {kinds:?}");
            assert_eq!(kinds.contains(&RESET), is_given_up, "{drop}: {kinds:?}");
        });
    }
}

fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, ACK, 0, &[])].concat()
}

#[test]
fn who_is_silent_is_left_on_time_and_told() {
    let asked = frame(HEADERS, END_STREAM | END_HEADERS, 1, &asking("GET", "/a"));
    for more in [&[][..], &asked] {
        check(async |_, client| {
            client.send([&hello()[..], more].concat()).await;
            client.pass(Deadlines::default().idle - Duration::from_secs(1)).await;
            assert!(!client.has_ended());
            assert!(!kinds(&client.heard()).contains(&GO_AWAY));
            // The connection lingers until the client has closed too.
            client.pass(Duration::from_secs(5)).await;
            assert!(client.has_ended());
            assert_eq!(kinds(&client.heard()), [GO_AWAY]);
        });
    }
}

#[test]
fn who_does_not_say_that_it_has_heard_of_a_stop_is_sent_away() {
    check(async |simulation, client| {
        client.send(hello()).await;
        simulation.drain();
        client.pass(Duration::from_millis(300)).await;
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &asking("GET", "/a"))).await;
        let heard = kinds(&client.heard());
        assert!(heard.contains(&GO_AWAY) && heard.contains(&DATA), "what crosses it is answered: {heard:?}");
        client.pass(HEARD_MOST + Duration::from_secs(4)).await;
        assert!(client.has_ended());
        assert_eq!(kinds(&client.heard()).last(), Some(&GO_AWAY));
    });
}

#[test]
fn who_waits_to_be_asked_for_its_body_is_asked() {
    check(async |_, client| {
        client.send(hello()).await;
        client.heard();
        let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")];
        let fields = [&fields[..], &[("expect", "100-continue")]].concat();
        client.send_some(&frame(HEADERS, END_HEADERS, 1, &block(&fields)));
        drift(TICK).await;
        client.listen(usize::MAX);
        let heard = kinds(&client.heard());
        assert_eq!(heard.iter().filter(|kind| **kind == HEADERS).count(), 2, "{heard:?}");
    });
}
