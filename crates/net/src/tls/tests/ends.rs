//! The end of what is said: it arrives whole, and that it was the end arrives too.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::AsyncWrite;

use super::*;
use crate::connection::{Ended, Moved, Patience, Stream, Wants};

const WAIT: Duration = Duration::from_secs(30);
/// More than the socket and what is encrypted take.
const MUCH: usize = 1_000_000;
/// Many pieces of what is encrypted at once.
const FILE: usize = 3_000_000;

/// Writes [`MUCH`] bytes as an exchange does.
async fn step_through(connection: &mut Connection) -> Result<(), Ended> {
    let much = vec![b'y'; MUCH];
    let (mut written, mut pace) = (0, connection.pace());
    let mut idle = Buffer::new();
    poll_fn(|context| {
        while written < MUCH || connection.has_unsent() {
            let wants = Wants { read: Some(&mut idle), write: &[&much[written..]], patience: Patience::Silence };
            match ready!(connection.poll_step(context, wants, &mut pace))? {
                Moved::Written(count) => written += count,
                Moved::Read(_) => return Poll::Ready(Err(Ended::Closed)),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// How a session writes much and ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Ended,
    Closed,
    /// As an engine that owns its bytes.
    Streamed,
    /// A word, to a client that is not waited for.
    AtOnce,
    /// A file.
    Filed,
}

async fn say_much(connection: Connection, terms: Terms, told: Told, ending: Ending) {
    let mut connection = Box::new(connection);
    connection.secure(&terms).await.unwrap();
    let end = match ending {
        Ending::Ended => match step_through(&mut connection).await {
            Ok(()) => connection.end().await,
            Err(ended) => Err(ended),
        },
        Ending::Closed => {
            // What the socket and the encryption take at once.
            let mut written = 0;
            while let Ok(count @ 1..) = connection.try_write(&[b'y'; 10_000]) {
                written += count;
            }
            told.borrow_mut().push(written.to_string());
            connection.close().await;
            Ok(())
        }
        Ending::AtOnce => {
            assert_eq!(connection.try_write(b"late").unwrap(), 4);
            connection.end_at_once();
            Ok(())
        }
        Ending::Filed => {
            let path = std::env::temp_dir().join(format!("sportello-tls-{}", std::process::id()));
            std::fs::write(&path, vec![b'y'; FILE]).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            connection.send_file(&file, 0, FILE as u64).await
        }
        Ending::Streamed => {
            let mut stream = Stream::new(connection, Buffer::new());
            stream.work();
            let much = vec![b'y'; MUCH];
            let mut written = 0;
            poll_fn(|context| {
                while written < MUCH {
                    match Pin::new(&mut stream).poll_write(context, &much[written..]) {
                        Poll::Ready(Ok(count)) => written += count,
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(stream.ended().unwrap_or(Ended::Closed))),
                        Poll::Pending => {
                            return stream.wait(context).map_or(Poll::Pending, |ended| Poll::Ready(Err(ended)));
                        }
                    }
                }
                match stream.poll_send(context) {
                    Poll::Pending => stream.wait(context).map_or(Poll::Pending, |ended| Poll::Ready(Err(ended))),
                    sent => sent,
                }
            })
            .await
        }
    };
    told.borrow_mut().push(end.map_or_else(|ended| ended.to_string(), |()| "all".to_owned()));
}

/// A client that has shaken hands with a session that says much, and reads nothing by itself.
async fn listener(simulation: &Simulation, authority: &Authority, told: &Told, ending: Ending) -> Visitor {
    let terms = Terms::new(&house(authority), &settings(&Client::Anyone, 60), &[], &Tickets::default()).unwrap();
    let config = Arc::new(authority.trusted().with_no_client_auth());
    let said = Rc::clone(told);
    let client = simulation.connect_from(UNIX_PEER, |connection| say_much(connection, terms, said, ending));
    let name = ServerName::try_from("a.example").unwrap();
    let mut visitor = Visitor { client, session: ClientConnection::new(config, name).unwrap() };
    for is_last in [false, true] {
        let mut out = Vec::new();
        visitor.session.write_tls(&mut out).unwrap();
        if is_last {
            visitor.client.shut_ear();
        }
        visitor.client.send(out).await;
        let heard = visitor.client.heard();
        visitor.hear(heard).unwrap();
    }
    visitor
}

/// Reads what has come, up to about `most`; how many bytes of it were said.
fn take(visitor: &mut Visitor, most: usize) -> usize {
    let (mut come, mut said) = (0, 0);
    while come < most {
        let count = visitor.client.listen(10_000);
        if count == 0 {
            break;
        }
        come += count;
        let heard = visitor.client.heard();
        visitor.hear(heard).unwrap();
        said += visitor.read().len();
    }
    said
}

#[test]
fn what_is_written_arrives_whole_before_the_connection_ends() {
    let authority = Authority::new();
    for ending in [Ending::Ended, Ending::Closed, Ending::Streamed] {
        simulation::run(channel(), async |simulation| {
            let told = Told::default();
            let mut visitor = listener(simulation, &authority, &told, ending).await;
            // It reads a little now and then, in time.
            let mut total = 0;
            while !visitor.client.has_ended() {
                visitor.client.pass(Duration::from_secs(1)).await;
                total += take(&mut visitor, 30_000);
                visitor.client.settle().await;
            }
            total += take(&mut visitor, usize::MAX);
            let expect = told.borrow().iter().find_map(|told| told.parse().ok()).unwrap_or(MUCH);
            assert_eq!(total, expect, "{ending:?} {told:?}");
            let is_told = matches!(visitor.session.reader().read(&mut [0]), Ok(0));
            assert_eq!(is_told, !matches!(ending, Ending::Streamed), "{ending:?}: close_notify");
        });
    }
}

#[test]
fn what_is_encrypted_and_not_read_is_given_up_in_time() {
    let authority = Authority::new();
    for ending in [Ending::Ended, Ending::Closed, Ending::Streamed] {
        let patient = Deadlines { rate_grace: WAIT * 2, write: WAIT, ..Deadlines::default() };
        simulation::run(Channel { deadlines: patient, ..channel() }, async |simulation| {
            let told = Told::default();
            let mut visitor = listener(simulation, &authority, &told, ending).await;
            // A deadline may be a tick early, and two late.
            visitor.client.pass(WAIT - TICK * 2).await;
            assert!(!visitor.client.has_ended(), "{ending:?} {told:?}");
            visitor.client.pass(TICK * 4).await;
            assert!(visitor.client.has_ended(), "{ending:?} {told:?}");
        });
    }
}

#[test]
fn who_is_not_waited_for_is_told_that_it_was_the_end() {
    let authority = Authority::new();
    simulation::run(channel(), async |simulation| {
        let mut visitor = listener(simulation, &authority, &Told::default(), Ending::AtOnce).await;
        visitor.client.settle().await;
        assert!(visitor.client.has_ended());
        assert_eq!(take(&mut visitor, usize::MAX), 4);
        assert!(matches!(visitor.session.reader().read(&mut [0]), Ok(0)), "close_notify");
    });
}

#[test]
fn a_file_is_sent_at_one_pace_however_many_pieces_it_has() {
    let authority = Authority::new();
    let deadlines = Deadlines { rate_grace: WAIT, minimum_rate: 60_000, ..Deadlines::default() };
    // Above the rate all of it comes; at half of it, each piece comes within its own grace, and the whole does not.
    for (each_second, expect) in [(70_000, "all"), (30_000, "TimedOut")] {
        simulation::run(Channel { deadlines, ..channel() }, async |simulation| {
            let told = Told::default();
            let mut visitor = listener(simulation, &authority, &told, Ending::Filed).await;
            let mut total = 0;
            while !visitor.client.has_ended() {
                visitor.client.pass(Duration::from_secs(1)).await;
                total += take(&mut visitor, each_second);
                visitor.client.settle().await;
            }
            total += take(&mut visitor, usize::MAX);
            let is_whole = total == FILE;
            assert_eq!(is_whole, expect == "all", "{total} {told:?}");
        });
    }
}
