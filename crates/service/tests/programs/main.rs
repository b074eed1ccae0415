//! Programs run by a real spawner process, which is this binary executed again.
//!
//! Its own small harness: the standard one would read `--spawner` as an option of its own. `cargo test -p sportello-service
//! --test programs -- WORD` runs the cases whose name holds WORD.

// The lints make an exception for `#[test]` functions, which these are not.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bounds;
mod death;
mod given;
mod outcomes;
mod place;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use sportello_service::run::spawner;

use place::Place;

/// One case.
type Case = (&'static str, fn(Place) -> Pin<Box<dyn Future<Output = ()>>>);

/// A case by the name of its function.
#[macro_export]
macro_rules! case {
    ($name:ident) => {
        (concat!(module_path!(), "::", stringify!($name)), |place| Box::pin($name(place)))
    };
}

/// No case takes longer.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if spawner::asked_for() {
        return spawner::main();
    }
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if word.as_deref() == Some(death::SERVER) {
        return death::server();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A case that fails ends the process, and so every spawner with its programs.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::exit(1);
    }));
    let cases = [outcomes::CASES, given::CASES, bounds::CASES, death::CASES].concat();
    let mut ran = 0;
    for (name, case) in cases {
        if word.as_ref().is_some_and(|word| !name.contains(word.as_str())) {
            continue;
        }
        runtime.block_on(async {
            let ended = tokio::time::timeout(LONGEST, case(Place::new())).await;
            assert!(ended.is_ok(), "{name} took too long");
        });
        println!("test {name} ... ok");
        ran += 1;
    }
    println!("{ran} passed");
    ExitCode::SUCCESS
}
