//! Workers that die at an awkward moment: while channels change, and while they drain.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sportello_net::limit::Limit;
use sportello_net::{Buffer, Channel, Connection, Deadlines, Listener, Next, Serve, Speaker, Workers};
use tokio::runtime::{Builder, Runtime};

/// What is to happen, and to how many workers.
#[derive(Default)]
struct Plan {
    dies_at_renewal: AtomicUsize,
    dies_at_connection: AtomicUsize,
    /// Whoever is told `hold` keeps its worker until something comes here.
    held: Mutex<Option<mpsc::Receiver<()>>>,
}

struct Fragile(Arc<Plan>);

/// Takes one from a count; whether there was one.
fn takes(count: &AtomicUsize) -> bool {
    count.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Serve for Fragile {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        assert!(!takes(&self.0.dies_at_connection), "asked to die");
        echo(connection, Arc::clone(&self.0))
    }

    fn renew(&self) {
        assert!(!takes(&self.0.dies_at_renewal), "asked to die");
    }
}

async fn echo(mut connection: Connection, plan: Arc<Plan>) {
    let mut buffer = Buffer::new();
    while connection.idle(&mut buffer).await.is_ok_and(|count| count > 0) {
        let held = if buffer.filled() == b"hold" { plan.held.lock().unwrap().take() } else { None };
        let _ = connection.write_all(buffer.filled()).await;
        buffer.consume(usize::MAX);
        if let Some(held) = held {
            let _ = held.recv();
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

fn start(names: &[&str], count: usize, plan: &Arc<Plan>) -> (Workers, Vec<std::thread::JoinHandle<()>>, Runtime) {
    let channels = names.iter().enumerate().map(|(index, name)| channel(name, index));
    let listeners = channels.map(|channel| Listener::bind(channel, count).unwrap()).collect();
    let plan = Arc::clone(plan);
    let (workers, threads) =
        Workers::start(listeners, Limit::new(100, 100), move |_: &Workers, _| Fragile(Arc::clone(&plan))).unwrap();
    (workers, threads, Builder::new_current_thread().enable_all().build().unwrap())
}

fn address(workers: &Workers, index: usize) -> SocketAddr {
    workers.channels().iter().find(|report| report.channel.index == index).unwrap().channel.address
}

fn ask(address: SocketAddr, word: &[u8; 4]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(word).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, word);
    stream
}

#[test]
fn one_that_dies_of_other_channels_comes_up_with_them_and_leaves_no_port_open() {
    let plan = Arc::<Plan>::default();
    let (workers, threads, runtime) = start(&["a", "b"], 2, &plan);
    let gone = address(&workers, 1);
    plan.dies_at_renewal.store(1, Ordering::SeqCst);
    let new = Listener::bind(channel("c", 2), 2).unwrap();
    let next = vec![Next::Kept(channel("a", 0)), Next::New(new)];
    runtime.block_on(workers.renew(next, (100, 100), || ())).unwrap();
    while workers.counters().iter().all(|counters| counters.restarts.total() == 0) {}
    runtime.block_on(workers.started());
    for _ in 0..20 {
        drop((ask(address(&workers, 0), b"ping"), ask(address(&workers, 2), b"ping")));
    }
    assert!(TcpStream::connect(gone).is_err(), "a worker that died listens where nobody accepts");
    runtime.block_on(workers.drain());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn one_that_dies_while_it_drains_ends() {
    let plan = Arc::<Plan>::default();
    let (workers, threads, runtime) = start(&["a"], 1, &plan);
    let (release, held) = mpsc::channel();
    *plan.held.lock().unwrap() = Some(held);
    let holder = ask(address(&workers, 0), b"hold");
    // It waits in the kernel's queue until the worker drains it.
    let queued = TcpStream::connect(address(&workers, 0)).unwrap();
    plan.dies_at_connection.store(1, Ordering::SeqCst);
    runtime.block_on(workers.drain());
    release.send(()).unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(plan.dies_at_connection.load(Ordering::SeqCst), 0, "it did not die");
    assert!(TcpStream::connect(address(&workers, 0)).is_err());
    drop((holder, queued));
}
