//! A start beside an engine whose store is slow, fails, or never answers; time is simulated.

use std::cell::Cell;
use std::fs;
use std::future::pending;
use std::path::PathBuf;
use std::rc::Rc;

use sportello_service::certificates::acme::{Client, Clock, HouseError, News, Proof};
use sportello_service::certificates::{Group, Signer, Wanted};
use tokio::time::sleep;

use super::*;

/// A house whose store takes its time, and in which nothing is ordered: it is never done with noting an order.
#[derive(Clone)]
struct Slow {
    takes: Duration,
    kept: Result<Vec<(String, Vec<u8>)>, HouseError>,
    /// Whether it was told how the names stand.
    is_told: Rc<Cell<bool>>,
}

impl House for Slow {
    fn clock(&self) -> Clock {
        Clock::system()
    }

    async fn kept(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, HouseError> {
        sleep(self.takes / READINGS).await;
        self.kept.clone()
    }

    async fn keep(&self, _: &str, _: Vec<u8>) -> Result<(), HouseError> {
        pending().await
    }

    async fn forget(&self, _: &str) -> Result<(), HouseError> {
        pending().await
    }

    fn tell(&self, news: Vec<News>) {
        assert_eq!(news.iter().map(|news| news.names.as_slice()).collect::<Vec<_>>(), [[NAME]]);
        self.is_told.set(true);
    }

    async fn prove(&self, _: &Proof) -> Result<(), HouseError> {
        pending().await
    }

    async fn until_seen(&self, _: &[Proof]) {}

    async fn unprove(&self, _: &Proof) {}
}

const NAME: &str = "a.example.org";
/// How often an engine reads before it shows something.
const READINGS: u32 = 2;
const MOMENT: Duration = Duration::from_millis(10);

/// A keyring that wants a certificate, on a store in a folder that goes away.
struct Place {
    folder: PathBuf,
    keyring: Keyring,
    settings: Settings,
}

impl Place {
    async fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sportello-acme-{}-{name}", std::process::id()));
        let store = Store::open(sportello_store::Settings::new(folder.clone())).unwrap();
        let keyring = Keyring::new(store, "laptop");
        let group = Group { names: vec![NAME.to_owned()], files: Vec::new(), signer: Signer::Acme };
        keyring.want(Wanted { groups: vec![group], ..Wanted::default() }).await.unwrap();
        let root = keyring.root().await.unwrap().map(String::into_bytes);
        let client = Client { directory: "https://ca.test/directory".to_owned(), email: None, external: None };
        let engine = acme::Settings { client, ways: Vec::new() };
        Self { folder, keyring, settings: Settings { engine, root, dns: None } }
    }

    /// Waits as a start does, beside what the thread does in a house like this.
    async fn begin(&self, house: &Slow) {
        let (handle, asks) = Handle::new();
        let (known, is_known) = watch::channel(false);
        tokio::select! {
            () = obtain(&self.settings, || house.clone(), asks, &known) => panic!("the engine ends before its handle"),
            () = pass_on(&self.keyring, &handle, &known) => panic!("the keyring is there"),
            () = until(is_known) => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_until_what_is_kept_is_in_use_but_not_for_a_store_that_does_not_answer() {
    let place = Place::new("slow").await;
    for (takes, is_told) in
        [(Duration::ZERO, true), (SHOWN - MOMENT, true), (SHOWN + MOMENT, false), (Duration::MAX / 2, false)]
    {
        let house = Slow { takes, kept: Ok(Vec::new()), is_told: Rc::default() };
        place.begin(&house).await;
        assert_eq!(house.is_told.get(), is_told, "{takes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_what_cannot_be_read_or_for_a_thread_that_has_ended() {
    let place = Place::new("broken").await;
    let refusal = HouseError("the disk is broken".to_owned());
    let house = Slow { takes: MOMENT, kept: Err(refusal), is_told: Rc::default() };
    timeout(SHOWN / 2, place.begin(&house)).await.expect("it is known that nothing can be read");
    assert!(!house.is_told.get());

    let no_root = Settings { root: Some(b"no certificate".to_vec()), ..place.settings.clone() };
    let unrooted = Place { settings: no_root, keyring: place.keyring.clone(), folder: place.folder.clone() };
    timeout(SHOWN / 2, unrooted.begin(&house)).await.expect("it is known that no CA can be trusted");

    let (known, is_known) = watch::channel(false);
    drop(known);
    timeout(SHOWN / 2, until(is_known)).await.expect("it is known that nobody reads");
}
