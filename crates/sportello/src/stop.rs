//! How the server stops: no new work, what is in flight finishes within the grace, and it is said what was waited for.

use std::future;
use std::io::{self, Write};
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use sportello_net::{ConnectionReport, Workers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::server::Server;

/// The signals that ask something of the server.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop.
    Stop,
    /// To read the configuration again.
    Reload,
}

/// What SIGHUP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The end, as for every program whose terminal goes away.
    Ends,
    /// The question to read the configuration again.
    Reloads,
}

impl Signals {
    /// Listens for SIGINT and SIGTERM from now on, and for SIGHUP where that asks for something.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn listen(hangup: Hangup) -> io::Result<Self> {
        let hangup = match hangup {
            Hangup::Ends => None,
            Hangup::Reloads => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    /// Waits for one of them. Dropping the future loses none.
    pub async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            () = hangup => Asked::Reload,
        }
    }

    /// Waits for one that asks to stop.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// How long those whose grace is over may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Stops the server: at once when nothing is in flight, at the latest after `grace`, and sooner when another signal comes.
pub async fn stop(mut signals: Signals, server: Server, grace: Duration) {
    let (workers, began) = (server.workers.clone(), Instant::now());
    workers.drain().await;
    let mut all_ended = pin!(joined(server.threads));
    let waited_for = in_flight(&workers).await;
    if !waited_for.is_empty() {
        say(&format!(
            "stopping: waiting for {}, at most {} s (Ctrl-C again: now)",
            requests(waited_for.len()),
            grace.as_secs()
        ));
        waited_for.iter().for_each(|report| say(&one(report)));
    }
    let finished = tokio::select! {
        () = &mut all_ended => true,
        () = tokio::time::sleep(grace) => false,
        () = signals.stop() => false,
    };
    if finished {
        if !waited_for.is_empty() {
            say("all finished");
        }
    } else {
        let cut = in_flight(&workers).await;
        workers.end_grace().await;
        if !cut.is_empty() {
            say(&format!("the grace is over: {} cut short", requests(cut.len())));
            cut.iter().for_each(|report| say(&one(report)));
        }
        let _ = tokio::time::timeout(LAST_WORDS, &mut all_ended).await;
    }
    server.procurement.close();
    let left = grace.saturating_sub(began.elapsed());
    server.sending.close(if finished { left } else { LAST_WORDS });
    server.house.access_logs.flush(LAST_WORDS);
    server.attendant.close();
    server.shared.close().await;
    say("Sportello stopped");
}

/// Completes when all these threads have ended. Never, when nobody can wait for them: then the grace ends the wait.
async fn joined(threads: Vec<thread::JoinHandle<()>>) {
    let (ended, all_ended) = oneshot::channel();
    let waiting = thread::Builder::new().name("drain".to_owned()).spawn(move || {
        // One that panicked has ended too.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = ended.send(());
    });
    if let Err(error) = waiting {
        say(&format!("cannot tell when the workers end: {error}"));
    }
    if all_ended.await.is_err() {
        future::pending().await
    }
}

/// The connections that are within a request.
async fn in_flight(workers: &Workers) -> Vec<ConnectionReport> {
    // The first look only gives those who idle the time to hear that it is over.
    let _ = workers.report(1).await;
    let mut reports = workers.report(MOST_NAMED).await;
    reports.retain(|report| report.in_request);
    reports
}

/// The most connections that are named one by one.
const MOST_NAMED: usize = 20;

fn one(report: &ConnectionReport) -> String {
    format!("  {:<10} {:<22} {}", report.channel.name, report.peer.to_string(), report.doing)
}

fn requests(count: usize) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

fn say(text: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{text}");
}
