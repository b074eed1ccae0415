//! How a program ended, and what it wrote.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use sportello_service::failure::Class;
use sportello_service::run::{Exit, Limits};

use crate::place::{Place, check_gone, run, text};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case!(exits),
    case!(signals),
    case!(words),
    case!(unknown),
    case!(broken),
    case!(many_at_once),
    case!(background),
];

async fn exits(place: Place) {
    let runner = place.runner();
    for code in [0u8, 1, 75, 255] {
        let outcome = run(&runner, "do", &[&format!("exit {code}")]).await.unwrap();
        assert_eq!(outcome.exit, Exit::Code(code));
        assert!(outcome.stdout.is_empty() && outcome.stderr.is_empty());
    }
    let view = runner.view();
    assert_eq!((view.running, view.queued, view.finished), (0, 0, 4));
    assert_eq!(view.names, ["do", "broken", "cat", "ls", "env"]);
    runner.close();
}

async fn signals(place: Place) {
    let runner = place.runner();
    for (name, number) in [("TERM", 15u8), ("KILL", 9), ("SEGV", 11)] {
        let outcome = run(&runner, "do", &[&format!("ulimit -c 0; kill -{name} $$")]).await.unwrap();
        assert_eq!(outcome.exit, Exit::Signal(number), "{name}");
    }
}

async fn words(place: Place) {
    let runner = place.runner();
    let outcome = run(&runner, "DO", &["echo out; echo first >&2; echo last >&2; exit 3"]).await.unwrap();
    assert_eq!((outcome.exit, text(&outcome)), (Exit::Code(3), "out\n"));
    assert_eq!(outcome.stderr, b"first\nlast\n");
    assert_eq!(outcome.last_words().as_deref(), Some("last"));
    // Only the end of the diagnostics is kept.
    let outcome = run(&runner, "do", &["head -c 300000 /dev/zero >&2; echo end >&2"]).await.unwrap();
    assert_eq!(outcome.stderr.len(), 4096);
    assert!(outcome.stderr.ends_with(b"\0end\n"));
}

async fn unknown(place: Place) {
    let runner = place.runner();
    assert_eq!(run(&runner, "nothing", &[]).await.unwrap_err().class, Class::NotFound);
    assert!(runner.has("Do") && !runner.has("nothing"));
}

/// It was there when it was configured, and cannot be executed now.
async fn broken(place: Place) {
    let runner = place.runner();
    let failure = run(&runner, "broken", &[]).await.unwrap_err();
    assert_eq!(failure.class, Class::Internal);
    assert!(failure.source.is_some());
    assert!(!failure.public.contains('/'), "{}", failure.public);
    assert_eq!(run(&runner, "do", &["exit 0"]).await.unwrap().exit, Exit::Code(0));
}

/// None of the first ones ends before all of them have begun.
async fn many_at_once(place: Place) {
    const MANY: usize = 40;
    let runner = place.runner();
    let (begun, go) = (place.fifo("begun"), place.fifo("go"));
    let open = |fifo: &str| File::options().read(true).write(true).open(fifo).unwrap();
    let (mut begins, mut goes) = (open(&begun), open(&go));
    let gate = std::thread::spawn(move || {
        begins.read_exact(&mut vec![0; "x\n".len() * Limits::default().parallel]).unwrap();
        goes.write_all(&[b'\n'; MANY]).unwrap();
        (begins, goes)
    });
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = (0..MANY)
        .map(|number| {
            let (runner, begun, go) = (runner.clone(), begun.clone(), go.clone());
            local.spawn_local(async move {
                let script = "echo x > \"$1\"; read line < \"$2\"; echo $3";
                let outcome = run(&runner, "do", &[script, &begun, &go, &number.to_string()]).await.unwrap();
                assert_eq!(text(&outcome), format!("{number}\n"));
            })
        })
        .collect();
    local
        .run_until(async {
            for task in tasks {
                task.await.unwrap();
            }
        })
        .await;
    drop(gate.join().unwrap());
}

/// A descendant that keeps the standard output open does not hold the answer, and is killed: in the group, out of the group, and
/// having lost its parent.
async fn background(place: Place) {
    let runner = place.runner();
    for script in [
        "sleep 60 & echo $!",
        "setsid sleep 60 & echo $!",
        "(setsid sleep 60 & echo $!)",
        "trap '' TERM; sleep 60 & echo $!",
    ] {
        let outcome = run(&runner, "do", &[script]).await.unwrap();
        assert_eq!(outcome.exit, Exit::Code(0));
        assert!(outcome.took < Duration::from_secs(30));
        check_gone(text(&outcome));
    }
}
