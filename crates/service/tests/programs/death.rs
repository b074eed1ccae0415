//! Who dies, and who dies with whom.

use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use sportello_service::failure::Class;
use sportello_service::run::{Exit, Runner};

use crate::place::{Place, check_gone, heard, run};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case!(client_leaves),
    case!(spawner_dies),
    case!(many_wait_for_a_spawner),
    case!(spawner_without_descriptors),
    case!(server_dies),
    case!(runner_closes),
    case!(signals_to_the_spawner),
];

/// The argument by which this binary is a server that runs one program until it is killed.
pub(crate) const SERVER: &str = "a-server-to-be-killed";

/// Writes its id and that of a descendant in a session of its own, then stays.
const STAY: &str = "setsid sleep 60 & echo $$ $! > \"$1\"; trap '' TERM; sleep 60; sleep 60";

async fn client_leaves(place: Place) {
    let runner = place.runner();
    let fifo = place.fifo("pids");
    let pids = tokio::select! {
        outcome = run(&runner, "do", &[STAY, &fifo]) => panic!("it stays: {outcome:?}"),
        pids = heard(&fifo) => pids,
    };
    pids.split_whitespace().for_each(check_gone);
    assert_eq!(runner.view().running, 0);
    assert_eq!(run(&runner, "do", &["exit 7"]).await.unwrap().exit, Exit::Code(7));
}

async fn spawner_dies(place: Place) {
    let runner = place.runner();
    for round in 0..3 {
        let fifo = place.fifo(&format!("pids-{round}"));
        let spawner = runner.view().spawner_pid.unwrap();
        let (failure, pids) = tokio::join!(async { run(&runner, "do", &[STAY, &fifo]).await.unwrap_err() }, async {
            let pids = heard(&fifo).await;
            kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), Signal::KILL).unwrap();
            pids
        });
        assert_eq!(failure.class, Class::Internal);
        pids.split_whitespace().for_each(check_gone);
        assert_eq!(run(&runner, "do", &["exit 7"]).await.unwrap().exit, Exit::Code(7));
        assert_ne!(runner.view().spawner_pid, Some(spawner));
    }
}

/// However many wait for the new spawner, it is given one line for all of this runtime.
async fn many_wait_for_a_spawner(place: Place) {
    let runner = place.runner();
    let kill = || {
        let spawner = Pid::from_raw(runner.view().spawner_pid.unwrap().cast_signed()).unwrap();
        kill_process(spawner, Signal::KILL).unwrap();
    };
    assert_eq!(run(&runner, "do", &["exit 7"]).await.unwrap().exit, Exit::Code(7));
    let with_one_line = descriptors(&runner).len();
    let fifo = place.fifo("pid");
    let (failure, ()) = tokio::join!(async { run(&runner, "do", &[STAY, &fifo]).await.unwrap_err() }, async {
        heard(&fifo).await;
        kill();
    });
    assert_eq!(failure.class, Class::Internal);
    let local = tokio::task::LocalSet::new();
    let runs: Vec<_> = (0..10).map(|_| local.spawn_local(run(&runner, "do", &["exit 7"]))).collect();
    local
        .run_until(async {
            for run in runs {
                assert_eq!(run.await.unwrap().unwrap().exit, Exit::Code(7));
            }
        })
        .await;
    assert_eq!(descriptors(&runner).len(), with_one_line);
}

/// A new worker cannot be given a line; what runs for the others goes on.
async fn spawner_without_descriptors(place: Place) {
    let runner = place.runner();
    let (begun, go) = (place.fifo("begun"), place.fifo("go"));
    let first = run(&runner, "do", &["echo x > \"$1\"; read line < \"$2\"; exit 7", &begun, &go]);
    let rest = async {
        heard(&begun).await;
        // When another has ended, the spawner has closed what the first was given.
        assert_eq!(run(&runner, "do", &["exit 6"]).await.unwrap().exit, Exit::Code(6));
        let spawner = runner.view().spawner_pid.unwrap();
        let open = descriptors(&runner);
        let free = (0..).find(|number| !open.contains(number)).unwrap();
        let before = limit_descriptors(spawner, Some(free));
        let elsewhere = runner.clone();
        let failure = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&elsewhere, "do", &["exit 0"])).unwrap_err()
        });
        assert_eq!(failure.await.unwrap().class, Class::Busy);
        // Nor can a program be given its pipes.
        assert_eq!(run(&runner, "do", &["exit 0"]).await.unwrap_err().class, Class::Internal);
        limit_descriptors(spawner, before);
        let elsewhere = runner.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&elsewhere, "do", &["exit 5"])).unwrap()
        });
        assert_eq!(outcome.await.unwrap().exit, Exit::Code(5));
        tokio::task::spawn_blocking(move || std::fs::write(go, "x\n").unwrap()).await.unwrap();
        spawner
    };
    let (first, spawner) = tokio::join!(first, rest);
    assert_eq!(first.unwrap().exit, Exit::Code(7));
    assert_eq!(runner.view().spawner_pid, Some(spawner));
}

/// The numbers of the spawner's open descriptors.
fn descriptors(runner: &Runner) -> Vec<u64> {
    let folder = format!("/proc/{}/fd", runner.view().spawner_pid.unwrap());
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect()
}

/// Sets how many descriptors a process may have; how many it was.
fn limit_descriptors(process: u32, most: Option<u64>) -> Option<u64> {
    let process = Pid::from_raw(process.cast_signed());
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(process, Resource::Nofile, Rlimit { current: most, maximum }).unwrap().current
}

async fn server_dies(place: Place) {
    let fifo = place.fifo("pids");
    let mut server =
        Command::new(std::env::current_exe().unwrap()).args([SERVER, &fifo]).stdout(Stdio::piped()).spawn().unwrap();
    let pids = heard(&fifo).await;
    server.kill().unwrap();
    server.wait().unwrap();
    // The program, its descendant, and the spawner.
    assert_eq!(pids.split_whitespace().count(), 2);
    pids.split_whitespace().for_each(check_gone);
    let mut spawner = String::new();
    std::io::Read::read_to_string(&mut server.stdout.take().unwrap(), &mut spawner).unwrap();
    check_gone(&spawner);
}

/// A server that says its spawner's id and runs one program.
pub(crate) fn server() -> ExitCode {
    let place = Place::new();
    let fifo = std::env::args().nth(2).expect("a named pipe");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let runner = place.runner();
        println!("{}", runner.view().spawner_pid.expect("a spawner"));
        let _ = run(&runner, "do", &[STAY, &fifo]).await;
    });
    ExitCode::FAILURE
}

async fn runner_closes(place: Place) {
    let runner = place.runner();
    let fifo = place.fifo("pids");
    let spawner = runner.view().spawner_pid.unwrap();
    let (failure, pids) = tokio::join!(async { run(&runner, "do", &[STAY, &fifo]).await.unwrap_err() }, async {
        let pids = heard(&fifo).await;
        let closing = runner.clone();
        tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
        pids
    });
    assert_eq!(failure.class, Class::Internal);
    pids.split_whitespace().for_each(check_gone);
    check_gone(&spawner.to_string());
    assert_eq!(run(&runner, "do", &["exit 0"]).await.unwrap_err().class, Class::Internal);
    runner.close();
}

/// Ctrl-C and `systemctl stop` may reach it too: when to stop is the server's to decide.
async fn signals_to_the_spawner(place: Place) {
    let runner = place.runner();
    let spawner = runner.view().spawner_pid.unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), signal).unwrap();
        assert_eq!(run(&runner, "do", &["exit 7"]).await.unwrap().exit, Exit::Code(7));
    }
    assert_eq!(runner.view().spawner_pid, Some(spawner));
}
