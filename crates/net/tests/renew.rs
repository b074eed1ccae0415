//! Other channels while clients are there: what a reload relies on.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sportello_net::limit::Limit;
use sportello_net::{
    Buffer, Channel, Connection, Deadlines, Ended, Failed, Listener, Next, RenewError, Serve, Speaker, Workers,
};

/// Answers each line with it, the channel's name and number, and the generation of now.
struct Teller {
    source: Arc<AtomicU64>,
    now: Rc<Cell<u64>>,
}

impl Serve for Teller {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        tell(connection, Rc::clone(&self.now))
    }

    fn renew(&self) {
        self.now.set(self.source.load(Ordering::Relaxed));
    }
}

async fn tell(mut connection: Connection, now: Rc<Cell<u64>>) {
    let mut buffer = Buffer::new();
    loop {
        match connection.idle(&mut buffer).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(Ended::Stopping) => {
                let _ = connection.write_all(b"bye\n").await;
                return connection.close().await;
            }
            Err(_) => return,
        }
        let generation = now.get();
        while !buffer.filled().ends_with(b"\n") {
            match connection.read(&mut buffer).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(buffer.filled()).trim_end().to_owned();
        buffer.consume(usize::MAX);
        let Channel { name, index, .. } = connection.channel();
        let last = if connection.is_stopping() { " last" } else { "" };
        let answer = format!("{line} {name}{index} {generation}{last}\n");
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        connection.count_request(Failed::No);
    }
}

struct House {
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
    generation: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
}

const COUNT: usize = 2;

impl House {
    fn open(channels: impl IntoIterator<Item = Channel>) -> Self {
        let listeners = channels.into_iter().map(|channel| Listener::bind(channel, COUNT).unwrap()).collect();
        let generation = Arc::new(AtomicU64::new(0));
        let source = Arc::clone(&generation);
        let make = move |_: &Workers, _| Teller { now: Rc::default(), source: Arc::clone(&source) };
        let (workers, threads) = Workers::start(listeners, Limit::new(100, 100), make).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { workers, threads, generation, runtime }
    }

    /// Where the channel of this number listens.
    fn address(&self, index: usize) -> SocketAddr {
        self.workers.channels().iter().find(|report| report.channel.index == index).unwrap().channel.address
    }

    fn renew(&self, next: Vec<Next>) -> Result<(), RenewError> {
        let swap = || _ = self.generation.fetch_add(1, Ordering::Relaxed);
        self.runtime.block_on(self.workers.renew(next, (100, 100), swap))
    }

    fn names(&self) -> Vec<String> {
        let name = |channel: &Channel| format!("{}{}", channel.name, channel.index);
        self.workers.channels().iter().map(|report| name(&report.channel)).collect()
    }

    fn drain(self) {
        self.runtime.block_on(self.workers.drain());
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn channel(name: &str, index: usize) -> Channel {
    Channel {
        index,
        name: name.into(),
        address: "127.0.0.1:0".parse().unwrap(),
        loopback: true,
        speaker: Speaker::ClientWhenItWants,
        deadlines: Deadlines::default(),
        most_connections: 100,
        backlog: 100,
    }
}

fn listener(name: &str, index: usize) -> Next {
    Next::New(Listener::bind(channel(name, index), COUNT).unwrap())
}

fn client(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).unwrap();
    stream.write_all(b"\n").unwrap();
    hear(stream)
}

/// The next line.
fn hear(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn channels_come_change_and_go_and_connections_stay() {
    let house = House::open([channel("a", 0), channel("b", 1)]);
    let (a, b) = (house.address(0), house.address(1));
    let mut clients: Vec<_> = (0..10).map(|_| client(a)).collect();
    for client in &mut clients {
        assert_eq!(ask(client, "1"), "1 a0 0");
    }
    let (mut idle, mut busy) = (client(b), client(b));
    assert_eq!(ask(&mut idle, "1"), "1 b1 0");
    busy.write_all(b"half a ").unwrap();
    while house.runtime.block_on(house.workers.report(99)).iter().all(|report| report.bytes_in != 7) {}

    house.renew(vec![listener("c", 2), Next::Kept(channel("z", 0))]).unwrap();
    assert_eq!(house.names(), ["c2", "z0"]);
    assert_eq!(house.address(0), a);
    for client in &mut clients {
        assert_eq!(ask(client, "2"), "2 z0 1");
    }
    assert_eq!(ask(&mut client(house.address(2)), "1"), "1 c2 1");
    assert_eq!(hear(&mut idle), "bye");
    // What was begun goes on with what it began with, and is the last.
    assert_eq!(ask(&mut busy, "line"), "half a line b1 0 last");
    assert_eq!(hear(&mut busy), "bye");
    assert!(TcpStream::connect(b).is_err());
    // A request is counted when its answer is out.
    while (0..COUNT).map(|worker| house.workers.requests(worker)).sum::<u64>() < 23 {
        thread::yield_now();
    }
    drop((clients, idle, busy));
    house.drain();
}

#[test]
fn another_channel_takes_over_the_sockets_of_one_without_a_moment_of_deafness() {
    let house = House::open([channel("a", 0)]);
    let address = house.address(0);
    let mut idle = client(address);
    assert_eq!(ask(&mut idle, "1"), "1 a0 0");
    for index in 1..20 {
        let spoken: Vec<_> = (0..5).map(|_| client(address)).collect();
        let speaker = if index % 2 == 0 { Speaker::Client } else { Speaker::ClientWhenItWants };
        let other = Channel { speaker, backlog: 50 + index as i32, ..channel("n", index) };
        house.renew(vec![Next::TakenOver { from: index - 1, channel: other }]).unwrap();
        assert_eq!((house.names(), house.address(index)), (vec![format!("n{index}")], address));
        assert_eq!(ask(&mut client(address), "2"), format!("2 n{index} {index}"));
        drop(spoken);
    }
    assert_eq!(hear(&mut idle), "bye");
    drop(idle);
    house.drain();
}

#[test]
fn whoever_is_queued_on_a_channel_that_goes_is_served() {
    let house = House::open([Channel { most_connections: 1, ..channel("a", 0) }, channel("b", 1)]);
    let mut first = client(house.address(0));
    assert_eq!(ask(&mut first, "1"), "1 a0 0");
    // These have no place, and wait in the kernel's queue.
    let mut queued: Vec<_> = (0..5).map(|_| client(house.address(0))).collect();
    for client in &mut queued {
        client.write_all(b"2\n").unwrap();
    }
    house
        .renew(vec![Next::Kept(Channel { most_connections: 9, ..channel("a", 0) }), Next::Kept(channel("b", 1))])
        .unwrap();
    for client in &mut queued {
        let heard = hear(client);
        // The places are there a moment before each worker is told.
        assert!(heard == "2 a0 1" || heard == "2 a0 0", "{heard}");
    }
    let mut latest: Vec<_> = (0..3).map(|_| client(house.address(0))).collect();
    for client in &mut latest {
        client.write_all(b"3\n").unwrap();
    }
    house.renew(vec![Next::Kept(channel("b", 1))]).unwrap();
    for client in &mut latest {
        let heard = hear(client);
        assert!(["3 a0 1", "3 a0 1 last", "3 a0 2", "3 a0 2 last"].contains(&&*heard), "{heard}");
    }
    drop((first, queued, latest));
    house.drain();
}

#[test]
fn what_cannot_be_leaves_all_as_it_was() {
    let house = House::open([channel("a", 0)]);
    let mut kept = client(house.address(0));
    assert_eq!(ask(&mut kept, "1"), "1 a0 0");
    for wrong in [Next::Kept(channel("x", 7)), Next::TakenOver { from: 7, channel: channel("x", 8) }] {
        let error = house.renew(vec![Next::Kept(channel("y", 0)), listener("new", 2), wrong]).unwrap_err();
        assert_eq!(error.to_string(), "there is no channel 7 to keep");
    }
    // A listener of too few sockets: the second worker has none.
    let narrow = Listener::bind(channel("narrow", 3), COUNT - 1).unwrap();
    let address = narrow.channel().address;
    let error = house.renew(vec![Next::Kept(channel("y", 0)), Next::New(narrow)]).unwrap_err();
    assert!(matches!(error, RenewError::Worker(1, _)), "{error}");
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(house.names(), ["a0"]);
    assert_eq!(ask(&mut kept, "2"), "2 a0 0");
    drop(kept);
    let workers = house.workers.clone();
    house.drain();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(workers.renew(vec![Next::Kept(channel("y", 0))], (1, 1), || ()));
    assert!(matches!(ended, Err(RenewError::Stopping)), "{ended:?}");
}

#[test]
fn the_bound_of_all_connections_changes() {
    let house = House::open([channel("a", 0)]);
    let mut first = client(house.address(0));
    assert_eq!(ask(&mut first, "1"), "1 a0 0");
    let bound = |all| house.runtime.block_on(house.workers.renew(vec![Next::Kept(channel("a", 0))], (all, 1), || ()));
    bound(1).unwrap();
    let mut waiting = client(house.address(0));
    waiting.write_all(b"2\n").unwrap();
    // The first one's answer does not come later than what the other one would have had.
    assert_eq!(ask(&mut first, "3"), "3 a0 0");
    assert_eq!(house.runtime.block_on(house.workers.report(9)).len(), 1);
    bound(2).unwrap();
    assert_eq!(hear(&mut waiting), "2 a0 0");
    drop((first, waiting));
    house.drain();
}
