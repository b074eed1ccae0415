//! Workers over real sockets: what a session loop relies on.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use sportello_net::limit::Limit;
use sportello_net::{
    Buffer, Channel, Connection, Deadlines, Ended, Failed, Listener, PathError, Serve, Speaker, UNIX_PEER, Workers,
};

/// Answers each line with itself; `panic` panics; `wait` answers when the client has left, into a log of its own.
struct Echo;

impl Serve for Echo {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        echo(connection)
    }
}

async fn echo(mut connection: Connection) {
    let mut buffer = Buffer::new();
    loop {
        match connection.idle(&mut buffer).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(Ended::Stopping) => {
                let _ = connection.write_all(b"bye\n").await;
                return connection.close().await;
            }
            Err(Ended::TimedOut(_)) => {
                let _ = connection.write_all(b"late\n").await;
                return;
            }
            Err(_) => return,
        }
        while !buffer.filled().ends_with(b"\n") {
            match connection.read(&mut buffer).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
        }
        let line = buffer.filled().to_vec();
        buffer.consume(line.len());
        connection.set_doing("echo");
        match line.as_slice() {
            b"panic\n" => panic!("asked to"),
            b"wait\n" => {
                let ended = connection.left().await;
                assert!(matches!(ended, Ended::Closed | Ended::Stopping | Ended::Killed), "{ended:?}");
                let _ = connection.write_all(b"left\n").await;
                return;
            }
            _ => {}
        }
        if connection.write_parts(&[&line, b"", b"."]).await.is_err() {
            return;
        }
        connection.count_request(Failed::No);
    }
}

struct House {
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl House {
    fn open(count: usize, deadlines: Deadlines) -> Self {
        Self::with_places(count, deadlines, 100)
    }

    fn with_places(count: usize, deadlines: Deadlines, places: usize) -> Self {
        let listener = Listener::bind(channel(deadlines, places), count).unwrap();
        Self::of(listener)
    }

    fn of(listener: Listener) -> Self {
        let address = listener.channel().address;
        let limit = Limit::new(100, 100);
        let (workers, threads) = Workers::start(vec![listener], limit, |_, _| Echo).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { workers, threads, address, runtime }
    }

    fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn drain(self) {
        self.runtime.block_on(self.workers.drain());
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn channel(deadlines: Deadlines, places: usize) -> Channel {
    Channel {
        index: 0,
        name: "echo".into(),
        address: "127.0.0.1:0".parse().unwrap(),
        loopback: true,
        speaker: Speaker::ClientWhenItWants,
        deadlines,
        most_connections: places,
        backlog: 100,
    }
}

fn ask(stream: &mut (impl Read + Write), line: &str) -> io::Result<String> {
    stream.write_all(line.as_bytes())?;
    let mut answer = vec![0; line.len() + 1];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn rest(stream: &mut impl Read) -> String {
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest);
    rest
}

#[test]
fn many_connections_are_served_and_counted() {
    let house = House::open(2, Deadlines::default());
    let mut clients: Vec<_> = (0..50).map(|_| house.client()).collect();
    for client in &mut clients {
        assert_eq!(ask(client, "hello\n").unwrap(), "hello\n.");
    }
    let reports = house.runtime.block_on(house.workers.report(100));
    assert_eq!(reports.len(), 50);
    assert!(reports.iter().all(|report| report.requests == 1 && report.bytes_in == 6 && report.bytes_out == 7));
    assert!(reports.iter().all(|report| report.doing == "idle" && report.tcp.is_some()));
    for worker in 0..2 {
        let held = reports.iter().filter(|report| report.worker == worker).count();
        assert!(held >= 15, "worker {worker} holds {held} of 50");
    }
    drop(clients);
    house.drain();
}

#[test]
fn a_panic_ends_its_connection_alone() {
    let house = House::open(1, Deadlines::default());
    let (mut good, mut bad) = (house.client(), house.client());
    assert_eq!(ask(&mut good, "one\n").unwrap(), "one\n.");
    assert!(ask(&mut bad, "panic\n").is_err());
    assert_eq!(ask(&mut good, "two\n").unwrap(), "two\n.");
    assert_eq!(ask(&mut house.client(), "three\n").unwrap(), "three\n.");
    drop(good);
    house.drain();
}

#[test]
fn a_drain_tells_those_who_idle_and_waits_for_those_who_do_not() {
    let house = House::open(2, Deadlines::default());
    let (mut idle, mut busy) = (house.client(), house.client());
    assert_eq!(ask(&mut idle, "one\n").unwrap(), "one\n.");
    busy.write_all(b"half a ").unwrap();
    while house.runtime.block_on(house.workers.report(9)).iter().all(|report| report.bytes_in != 7) {}
    house.runtime.block_on(house.workers.drain());
    assert_eq!(rest(&mut idle), "bye\n");
    assert_eq!(ask(&mut busy, "line\n").unwrap(), "half a");
    assert_eq!(rest(&mut busy), " line\n.bye\n");
    // Both sides of each are closed, so both workers end by themselves.
    drop((idle, busy));
    for thread in house.threads {
        thread.join().unwrap();
    }
    assert!(TcpStream::connect(house.address).is_err());
}

#[test]
fn the_end_of_the_grace_ends_every_wait() {
    let house = House::open(1, Deadlines::default());
    let mut waiting = house.client();
    waiting.write_all(b"wait\n").unwrap();
    while house.runtime.block_on(house.workers.report(9)).iter().all(|report| report.doing != "echo") {}
    house.runtime.block_on(house.workers.drain());
    house.runtime.block_on(house.workers.end_grace());
    assert_eq!(rest(&mut waiting), "left\n");
    for thread in house.threads {
        thread.join().unwrap();
    }
}

#[test]
fn whoever_leaves_is_noticed_though_bytes_are_unread() {
    let house = House::open(1, Deadlines::default());
    let mut client = house.client();
    client.write_all(b"wait\n").unwrap();
    while house.runtime.block_on(house.workers.report(9)).iter().all(|report| report.doing != "echo") {}
    client.write_all(b"more").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "left\n");
    house.drain();
}

#[test]
fn a_connection_is_closed_from_outside() {
    let house = House::open(2, Deadlines::default());
    let mut client = house.client();
    assert_eq!(ask(&mut client, "one\n").unwrap(), "one\n.");
    let id = house.runtime.block_on(house.workers.report(9))[0].id;
    assert!(!house.runtime.block_on(house.workers.kill(id + 1)));
    assert!(house.runtime.block_on(house.workers.kill(id)));
    assert_eq!(rest(&mut client), "");
    house.drain();
}

#[test]
fn silence_has_an_end() {
    // One wait is short at a time, so that a client that is slow because the machine is busy misses no other.
    let (long, short) = (Deadlines::default(), Duration::from_millis(300));
    let house = House::open(1, Deadlines { first_byte: short, ..long });
    let mut silent = house.client();
    assert_eq!(rest(&mut silent), "late\n");
    house.drain();
    let house = House::open(1, Deadlines { idle: short, ..long });
    let mut idle = house.client();
    assert_eq!(ask(&mut idle, "one\n").unwrap(), "one\n.");
    assert_eq!(rest(&mut idle), "late\n");
    house.drain();
    let house = House::open(1, Deadlines { between_bytes: short, ..long });
    let mut stuck = house.client();
    stuck.write_all(b"half a line").unwrap();
    assert_eq!(rest(&mut stuck), "");
    house.drain();
}

#[test]
fn an_idle_worker_holds_no_place_that_another_needs() {
    let house = House::with_places(2, Deadlines::default(), 1);
    // Which worker the kernel gives a connection to is its choice, so there are several.
    for _ in 0..16 {
        assert_eq!(ask(&mut house.client(), "hello\n").unwrap(), "hello\n.");
    }
    house.drain();
}

#[test]
fn a_channel_without_a_place_left_still_drains() {
    let house = House::with_places(1, Deadlines::default(), 1);
    let mut idle = house.client();
    assert_eq!(ask(&mut idle, "one\n").unwrap(), "one\n.");
    let queued = house.client();
    house.runtime.block_on(house.workers.drain());
    assert_eq!(rest(&mut idle), "bye\n");
    drop((idle, queued));
    for thread in house.threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_unix_socket_is_a_channel_like_any_other() {
    let path = std::env::temp_dir().join(format!("sportello-workers-{}", std::process::id()));
    let listener = Listener::unix(channel(Deadlines::default(), 100), &path, 2).unwrap();
    let house = House::of(listener);
    assert!(matches!(Listener::unix(channel(Deadlines::default(), 1), &path, 1), Err(PathError::Taken(_))));
    let mut clients: Vec<_> = (0..20).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(ask(client, "hello\n").unwrap(), "hello\n.");
    }
    let reports = house.runtime.block_on(house.workers.report(100));
    assert_eq!(reports.len(), 20);
    for report in &reports {
        assert_eq!((report.peer, report.tcp), (UNIX_PEER, None));
        assert_eq!(report.credentials.unwrap().process, std::process::id());
    }
    clients[0].write_all(b"wait\n").unwrap();
    while house.runtime.block_on(house.workers.report(100)).iter().all(|report| report.doing != "echo") {}
    clients[0].shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut clients[0]), "left\n");
    house.runtime.block_on(house.workers.drain());
    assert_eq!(rest(&mut clients[1]), "bye\n");
    drop(clients);
    for thread in house.threads {
        thread.join().unwrap();
    }
    assert!(UnixStream::connect(&path).is_err() && !path.exists());
}

#[test]
fn whoever_never_stops_does_not_own_the_worker() {
    let house = House::open(1, Deadlines::default());
    let mut writer = house.client();
    let mut reader = writer.try_clone().unwrap();
    let reading = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writing = std::thread::spawn(move || {
        let lines = b"x\n".repeat(32 * 1024);
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) && writer.write_all(&lines).is_ok() {}
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    for _ in 0..20 {
        assert_eq!(ask(&mut house.client(), "hello\n").unwrap(), "hello\n.");
    }
    drop(stop);
    writing.join().unwrap();
    let _ = reading.join().unwrap();
    house.drain();
}
