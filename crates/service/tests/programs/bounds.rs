//! Each bound at its value and one above; time with clocks made short.

use std::time::Duration;

use sportello_service::failure::Class;
use sportello_service::run::{Exit, Limits, Outcome};

use crate::place::{Place, check_gone, heard, run, text};
use crate::{Case, case};

pub(crate) const CASES: &[Case] =
    &[case!(output), case!(time), case!(time_ignored), case!(queue), case!(queue_time), case!(arguments)];

const SHORT: Duration = Duration::from_millis(200);

/// Times to try one after the other: in one of them a program begins, however busy the machine is.
fn times() -> impl Iterator<Item = Duration> {
    (0..7).map(|power| SHORT * 2u32.pow(power))
}

async fn output(place: Place) {
    let runner = place.runner_with(Limits { output: 100_000, ..Limits::default() });
    let outcome = run(&runner, "do", &["head -c 100000 /dev/zero"]).await.unwrap();
    assert_eq!(outcome.stdout.len(), 100_000);
    let failure = run(&runner, "do", &["head -c 100001 /dev/zero"]).await.unwrap_err();
    assert_eq!(failure.class, Class::TooLarge);
    // Without an end: killed at the bound.
    let fifo = place.fifo("pid");
    let (failure, pid) = tokio::join!(
        async { run(&runner, "do", &["echo $$ > \"$1\"; exec cat /dev/zero", &fifo]).await.unwrap_err() },
        heard(&fifo)
    );
    assert_eq!(failure.class, Class::TooLarge);
    check_gone(&pid);
}

async fn time(place: Place) {
    let script = "trap 'echo bye >&2; exit 1' TERM; echo $$; while :; do sleep 0.01; done";
    let outcome = timed_out(&place, Limits::default(), script).await;
    assert_eq!(outcome.last_words().as_deref(), Some("bye"));
}

async fn time_ignored(place: Place) {
    let limits = Limits { grace: SHORT, ..Limits::default() };
    timed_out(&place, limits, "trap '' TERM; echo $$; sleep 60 & wait; sleep 60").await;
}

/// What came of a script that says its process id and then outstays its time.
async fn timed_out(place: &Place, limits: Limits, script: &str) -> Outcome {
    for timeout in times() {
        let runner = place.runner_with(Limits { timeout, ..limits });
        let outcome = run(&runner, "do", &[script]).await.unwrap();
        assert_eq!(outcome.exit, Exit::TimedOut);
        assert!(outcome.took >= timeout);
        if !outcome.stdout.is_empty() {
            check_gone(text(&outcome));
            return outcome;
        }
    }
    panic!("it never began");
}

/// One runs, one waits, the next is refused at once.
async fn queue(place: Place) {
    let runner = place.runner_with(Limits { parallel: 1, queue: 1, ..Limits::default() });
    let (begun, go) = (place.fifo("begun"), place.fifo("go"));
    let first = run(&runner, "do", &["echo x > \"$1\"; read line < \"$2\"", &begun, &go]);
    let rest = async {
        heard(&begun).await;
        let second = run(&runner, "do", &["exit 0"]);
        tokio::pin!(second);
        assert!(polled_once(second.as_mut()).await.is_none(), "the second waits");
        let view = runner.view();
        assert_eq!((view.running, view.queued), (1, 1));
        assert_eq!(run(&runner, "do", &["exit 0"]).await.unwrap_err().class, Class::Busy);
        // Another program has places of its own.
        assert_eq!(run(&runner, "ls", &["/"]).await.unwrap().exit, Exit::Code(0));
        tokio::task::spawn_blocking(move || std::fs::write(go, "x\n").unwrap()).await.unwrap();
        assert_eq!(second.await.unwrap().exit, Exit::Code(0));
    };
    let (first, ()) = tokio::join!(first, rest);
    assert_eq!(first.unwrap().exit, Exit::Code(0));
}

async fn queue_time(place: Place) {
    let runner = place.runner_with(Limits { parallel: 1, queue_wait: SHORT, ..Limits::default() });
    let (begun, go) = (place.fifo("begun"), place.fifo("go"));
    let first = run(&runner, "do", &["echo x > \"$1\"; read line < \"$2\"", &begun, &go]);
    let rest = async {
        heard(&begun).await;
        assert_eq!(run(&runner, "do", &["exit 0"]).await.unwrap_err().class, Class::Busy);
        assert_eq!(runner.view().queued, 0);
        tokio::task::spawn_blocking(move || std::fs::write(go, "x\n").unwrap()).await.unwrap();
    };
    assert_eq!(tokio::join!(first, rest).0.unwrap().exit, Exit::Code(0));
}

async fn arguments(place: Place) {
    let runner = place.runner();
    let most = Limits::default().arguments;
    // "exit 0", and the NUL behind each.
    let fill = "x".repeat(most - 8);
    assert_eq!(run(&runner, "do", &["exit 0", &fill]).await.unwrap().exit, Exit::Code(0));
    let failure = run(&runner, "do", &["exit 0", &format!("{fill}x")]).await.unwrap_err();
    assert_eq!(failure.class, Class::TooLarge);
    // Within the bound, yet more than one message to the spawner holds.
    let failure = run(&runner, "do", &vec![""; 60_000]).await.unwrap_err();
    assert_eq!(failure.class, Class::TooLarge);
}

/// Polls once.
async fn polled_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
