//! The engine against a CA of ours, with a clock that stands until it is moved: a day takes milliseconds.

mod cases;
mod home;
mod stub;
mod trouble;

use std::time::Duration;

use super::{Client, Engine, Handle, Settings, Way};
use home::Home;
use stub::Stub;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn settings(ways: &[Way]) -> Settings {
    let directory = "https://ca.test/directory".to_owned();
    let client = Client { directory, email: Some("ops@example.org".to_owned()), external: None };
    Settings { client, ways: ways.to_vec() }
}

/// A server's life: the engine runs while `life` goes on, and is dropped when it ends, wherever it is then.
async fn live(home: &Home, ca: &Stub, settings: Settings, life: impl AsyncFnOnce(Handle)) {
    let (handle, asks) = Handle::new();
    let engine = Engine::open(home.clone(), settings, ca.client()).await.unwrap();
    tokio::select! {
        () = engine.run(asks) => panic!("the engine ends before its handles"),
        () = life(handle) => {}
    }
}

fn sets(sets: &[&[&str]]) -> Vec<Vec<String>> {
    sets.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect()
}

/// Lets time go by.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
