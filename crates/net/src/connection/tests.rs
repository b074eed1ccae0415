//! Every deadline, just before it and at it, in simulated time.

use std::cell::RefCell;
use std::time::Duration;

use super::*;
use crate::channel::Speaker;
use crate::deadline::{Deadlines, TICK};
use crate::simulation::{self, Client, Simulation};

const SECOND: Duration = Duration::from_secs(1);

/// Each is told from the others by its length.
pub(super) const DEADLINES: Deadlines = Deadlines {
    handshake: Duration::from_secs(10),
    first_byte: Duration::from_secs(11),
    idle: Duration::from_secs(12),
    between_bytes: Duration::from_secs(13),
    request: Duration::from_secs(100),
    write: Duration::from_secs(14),
    minimum_rate: 10,
    rate_grace: Duration::from_secs(30),
};

fn channel(deadlines: Deadlines) -> Channel {
    simulation::channel(Speaker::ClientWhenItWants, deadlines)
}

/// How a session ended, by its own account.
type End = Rc<RefCell<Option<String>>>;

fn connect<F>(simulation: &Simulation, talk: impl FnOnce(Connection) -> F + 'static) -> (Client, End)
where
    F: Future<Output = Result<(), Ended>> + 'static,
{
    let end = End::default();
    let told = Rc::clone(&end);
    let client = simulation.connect(async move |connection| {
        let result = talk(connection).await;
        *told.borrow_mut() = Some(match result {
            Ok(()) => "done".to_owned(),
            Err(Ended::TimedOut(deadline)) => format!("{deadline:?}"),
            Err(ended) => ended.to_string(),
        });
    });
    (client, end)
}

/// Answers lines with a dot.
async fn lines(mut connection: Connection) -> Result<(), Ended> {
    let mut buffer = Buffer::new();
    loop {
        if connection.idle(&mut buffer).await? == 0 {
            return Ok(());
        }
        while !buffer.filled().contains(&b'\n') {
            if connection.read(&mut buffer).await? == 0 {
                return Ok(());
            }
            if buffer.is_full() {
                buffer.consume(usize::MAX);
            }
        }
        buffer.consume(usize::MAX);
        connection.write_all(b".").await?;
    }
}

/// Passes all of `time` but one tick, then that; the session must end by `deadline` with the last tick and not before.
async fn ends_at(client: &mut Client, end: &End, time: Duration, deadline: Deadline) {
    client.pass(time - TICK).await;
    assert_eq!(*end.borrow(), None, "{deadline:?} is met too early");
    client.pass(TICK).await;
    assert_eq!(end.borrow().as_deref(), Some(format!("{deadline:?}").as_str()));
}

#[test]
fn no_first_byte_comes() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        ends_at(&mut client, &end, DEADLINES.first_byte, Deadline::FirstByte).await;
    });
}

#[test]
fn no_further_request_comes() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        for _ in 0..3 {
            client.pass(DEADLINES.first_byte - TICK).await;
            client.send("x\n").await;
        }
        assert_eq!(client.heard(), b"...");
        ends_at(&mut client, &end, DEADLINES.idle, Deadline::Idle).await;
    });
}

#[test]
fn a_request_stops_in_its_middle() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        client.send("half").await;
        client.pass(DEADLINES.between_bytes - TICK).await;
        client.send("more").await;
        ends_at(&mut client, &end, DEADLINES.between_bytes, Deadline::BetweenBytes).await;
    });
}

#[test]
fn a_request_creeps() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        // Ten bytes buy a second each time: 30 s of grace, and 4 s for 40 bytes.
        for _ in 0..4 {
            client.send("0123456789").await;
            client.pass(SECOND * 8).await;
        }
        ends_at(&mut client, &end, SECOND * 2, Deadline::Rate).await;
    });
}

#[test]
fn a_request_that_keeps_up_takes_too_long() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        for _ in 0..99 {
            assert!(client.send([b'x'; 100]).await);
            client.pass(SECOND).await;
        }
        ends_at(&mut client, &end, SECOND, Deadline::Request).await;
    });
}

/// More than the socket takes.
static MUCH: [u8; 4 * 1024 * 1024] = [b'y'; 4 * 1024 * 1024];

async fn talker(mut connection: Connection) -> Result<(), Ended> {
    connection.write_all(&MUCH).await
}

#[test]
fn an_answer_is_not_read() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, talker);
        client.shut_ear();
        ends_at(&mut client, &end, DEADLINES.write, Deadline::Write).await;
    });
}

#[test]
fn an_answer_is_read_slowly() {
    simulation::run(channel(Deadlines { minimum_rate: 1_000_000, ..DEADLINES }), async |simulation| {
        let (mut client, end) = connect(simulation, talker);
        client.shut_ear();
        // It reads often enough, and yet too little: a socket's buffer each time, less than a second's worth.
        for _ in 0..3 {
            client.pass(SECOND * 10).await;
            assert!(client.listen(usize::MAX) < 500_000);
            client.settle().await;
        }
        assert_eq!(*end.borrow(), None);
        client.pass(SECOND * 2).await;
        assert_eq!(end.borrow().as_deref(), Some("Write"));
    });
}

#[test]
fn an_answer_that_is_read_in_time_arrives_whole() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, talker);
        client.shut_ear();
        let mut total = 0;
        while end.borrow().is_none() {
            client.pass(DEADLINES.write - TICK).await;
            total += client.listen(usize::MAX);
            client.settle().await;
        }
        total += client.listen(usize::MAX);
        assert_eq!((total, end.borrow().as_deref()), (MUCH.len(), Some("done")));
    });
}

async fn closer(connection: Connection) -> Result<(), Ended> {
    connection.close().await;
    Ok(())
}

#[test]
fn a_closing_connection_lingers_for_two_seconds_or_so_many_bytes() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, closer);
        for _ in 0..19 {
            assert!(client.send("x").await);
            client.pass(TICK).await;
        }
        assert!(client.is_over() && end.borrow().is_none());
        client.pass(TICK).await;
        assert_eq!(end.borrow().as_deref(), Some("done"));

        let (mut client, end) = connect(simulation, closer);
        let sent = LINGER_BYTES as usize - 1;
        assert!(client.send(vec![b'x'; sent]).await && end.borrow().is_none());
        assert!(client.send("x").await);
        assert_eq!(end.borrow().as_deref(), Some("done"));
    });
}

#[test]
fn a_wait_that_was_given_up_does_not_end_the_next_one() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, async |mut connection: Connection| {
            let mut buffer = Buffer::new();
            // What a session does that waits for its client or for something else, and then for that something alone.
            let _ = tokio::time::timeout(SECOND, connection.idle(&mut buffer)).await;
            tokio::time::sleep(SECOND * 30).await;
            connection.write_all(b".").await?;
            connection.idle(&mut buffer).await?;
            Ok(())
        });
        while client.listen(1) == 0 {
            tokio::time::advance(TICK).await;
            tokio::task::yield_now().await;
        }
        client.settle().await;
        // It began within a tick, so this is as exact as a deadline is.
        client.pass(DEADLINES.first_byte - TICK * 2).await;
        assert_eq!(*end.borrow(), None);
        client.pass(TICK * 2).await;
        assert_eq!(end.borrow().as_deref(), Some("FirstByte"));
    });
}

#[test]
fn leaving_stopping_and_killing_are_noticed_while_work_is_done() {
    type Act = fn(&Simulation, &Client);
    let cases: [(Act, &str); 2] = [
        (|simulation, _| simulation.end_grace(), "the server stops"),
        (|simulation, client| assert!(simulation.kill(client.id())), "the connection was closed from this side"),
    ];
    for (act, expect) in cases {
        simulation::run(channel(DEADLINES), async |simulation| {
            let (client, end) = connect(simulation, async |mut connection: Connection| Err(connection.left().await));
            tokio::task::yield_now().await;
            act(simulation, &client);
            client.leave().await;
            assert_eq!(end.borrow().as_deref(), Some(expect));
        });
    }
}

#[test]
fn a_report_tells_simulated_ages() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, _end) = connect(simulation, lines);
        client.pass(SECOND * 5).await;
        client.send("x\n").await;
        client.pass(SECOND * 3).await;
        let [report] = &simulation.report()[..] else { panic!("one connection") };
        assert_eq!((report.age, report.idle), (SECOND * 8, SECOND * 3));
        assert_eq!(report.credentials.unwrap().process, std::process::id());
        client.leave().await;
        assert!(simulation.report().is_empty());
    });
}

/// What a connection that waits for its next request takes, without its task and the reactor's part. Both are in the gaps that
/// aligned allocations leave, as far as they fit.
#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 112, "a connection takes {} bytes", size_of::<Connection>());
    assert!(size_of::<Entry>() <= 120, "its entry takes {} bytes", size_of::<Entry>());
    simulation::run(channel(DEADLINES), async |simulation| {
        let (client, _end) = connect(simulation, async |mut connection: Connection| {
            let request = connection.request();
            assert!(size_of_val(&request) <= 24, "its wait takes {} bytes", size_of_val(&request));
            Ok(())
        });
        client.leave().await;
    });
}

/// Answers whatever comes with a dot, keeping nothing between.
async fn dots(mut connection: Connection) -> Result<(), Ended> {
    while !connection.request().await?.is_empty() {
        connection.set_doing("a dot");
        connection.write_all(b".").await?;
    }
    Ok(())
}

#[test]
fn a_session_that_keeps_nothing_has_the_same_deadlines() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, dots);
        ends_at(&mut client, &end, DEADLINES.first_byte, Deadline::FirstByte).await;
        let (mut client, end) = connect(simulation, dots);
        for _ in 0..3 {
            client.send("x").await;
            client.pass(DEADLINES.idle - TICK).await;
        }
        assert_eq!(client.heard(), b"...");
        client.send("x").await;
        ends_at(&mut client, &end, DEADLINES.idle, Deadline::Idle).await;
    });
}

#[test]
fn a_changed_channel_holds_from_the_next_request_on() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut client, end) = connect(simulation, lines);
        assert!(client.send("a\n").await);
        let longer = Deadlines { idle: 3 * DEADLINES.idle, ..DEADLINES };
        simulation.change(Channel { name: "other".into(), ..channel(longer) });
        assert_eq!(simulation.report()[0].channel.name, "other");
        client.pass(DEADLINES.idle - SECOND).await;
        // It waits as it began to, and then as it is to now.
        assert!(client.send("b\n").await);
        ends_at(&mut client, &end, longer.idle, Deadline::Idle).await;
    });
}

#[test]
fn a_channel_that_is_taken_away_ends_who_idles_and_lets_a_request_finish() {
    simulation::run(channel(DEADLINES), async |simulation| {
        let (mut idle, idle_end) = connect(simulation, lines);
        let (mut busy, busy_end) = connect(simulation, lines);
        assert!(idle.send("a\n").await && busy.send("half").await);
        simulation.take_away();
        idle.settle().await;
        busy.settle().await;
        assert_eq!(idle_end.borrow().as_deref(), Some("the server stops"));
        assert_eq!(*busy_end.borrow(), None);
        busy.heard();
        assert!(busy.send(" a line\n").await);
        assert_eq!(busy.heard(), b".");
        assert_eq!(busy_end.borrow().as_deref(), Some("the server stops"));
    });
}
