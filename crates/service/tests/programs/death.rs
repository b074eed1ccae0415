//! Who dies, and who dies with whom.

use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sportello_service::failure::Class;
use sportello_service::run::Exit;

use crate::place::{Place, check_gone, heard, run};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case!(client_leaves),
    case!(spawner_dies),
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
