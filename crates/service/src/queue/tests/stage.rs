//! A store, a dispatcher over it, and a carrier that does what a script says. Time goes by only when the test lets it, and
//! never while the store is still at work.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use sportello_store::queue::{Answer, Entry, Options, Outgoing, Priority, Recipient, Speaker, To};
use sportello_store::{
    Accept, Envelope, ListPage, MailboxId, Origin, Place, Quota, Settings, Store, StoredBody, Summary,
};
use sportello_wire::mail::Status;
use sportello_wire::mail::status::Class;
use tokio::sync::oneshot;
use tokio::time::{Instant, advance, sleep};

use crate::clock::Clock;
use crate::queue::carrier::{Batch, Carried, Carrier, Destination, Fate, Reach, Reports};
use crate::queue::dispatch::Shared;
use crate::queue::{Counted, Dispatcher, Figures, Home, House, Schedule};

/// What the carrier does with a batch.
pub(super) struct Act {
    pub(super) fates: Vec<Fate>,
    pub(super) reach: Reach,
    pub(super) reports: Reports,
    pub(super) takes: Duration,
}

impl Act {
    /// The same for everyone, at once.
    pub(super) fn answers(fate: Fate) -> Self {
        Self { fates: vec![fate; 100], reach: Reach::Spoke, reports: Reports::Ours, takes: Duration::ZERO }
    }
}

pub(super) fn unreached() -> Act {
    Act { reach: Reach::Unreached, ..Act::answers(later()) }
}

pub(super) fn delivered() -> Fate {
    Fate::Delivered(answer(Class::Success, "250 2.0.0 ok"))
}

pub(super) fn later() -> Fate {
    Fate::Deferred(answer(Class::Transient, "451 4.2.1 later"))
}

pub(super) fn failed(text: &str) -> Fate {
    Fate::Failed(answer(Class::Permanent, text))
}

fn answer(class: Class, text: &str) -> Answer {
    let status = Status::of_reply(text[..3].parse().unwrap(), &text.as_bytes()[4..]);
    Answer { by: Speaker::Server, status: status.unwrap_or(Status::new(class, 0, 0)), text: text.to_owned() }
}

/// One try.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) at: Duration,
    pub(super) destination: String,
    pub(super) sender: String,
    pub(super) recipients: Vec<String>,
    pub(super) prefix: Vec<u8>,
    pub(super) was_kept: bool,
}

type Play = Box<dyn Fn(&Batch, usize) -> Act>;

/// The carrier, and what it saw.
#[derive(Clone)]
pub(super) struct Script(Rc<Seen>);

struct Seen {
    play: Play,
    began: Instant,
    tries: RefCell<Vec<Try>>,
    reaches: RefCell<Vec<Reach>>,
    at_once: Cell<u32>,
    most_at_once: Cell<u32>,
    figures: Arc<Figures>,
}

impl Script {
    pub(super) fn tries(&self) -> Vec<Try> {
        self.0.tries.borrow().clone()
    }

    pub(super) fn reaches(&self) -> Vec<Reach> {
        self.0.reaches.borrow().clone()
    }

    pub(super) fn most_at_once(&self) -> u32 {
        self.0.most_at_once.get()
    }

    pub(super) fn figures(&self) -> Counted {
        self.0.figures.read()
    }
}

impl Carrier for Script {
    type Kept = ();

    async fn carry(&self, batch: Batch, kept: Option<()>) -> Carried<()> {
        let seen = &self.0;
        let number = seen.tries.borrow().len();
        seen.tries.borrow_mut().push(Try {
            at: seen.began.elapsed(),
            destination: batch.destination.to_string(),
            sender: batch.sender.clone(),
            recipients: batch.recipients.iter().map(|recipient| recipient.address.clone()).collect(),
            prefix: batch.prefix.clone(),
            was_kept: kept.is_some(),
        });
        let mut act = (seen.play)(&batch, number);
        seen.reaches.borrow_mut().push(act.reach);
        if !act.takes.is_zero() {
            seen.at_once.set(seen.at_once.get() + 1);
            seen.most_at_once.set(seen.most_at_once.get().max(seen.at_once.get()));
            sleep(act.takes).await;
            seen.at_once.set(seen.at_once.get() - 1);
        }
        act.fates.truncate(batch.recipients.len());
        let spoke = act.reach == Reach::Spoke;
        Carried {
            fates: act.fates,
            reach: act.reach,
            server: spoke.then(|| "mx.example.net [192.0.2.9]".to_owned()),
            reports: act.reports,
            conversation: "S: 220 hello".to_owned(),
            kept: spoke.then_some(()),
        }
    }

    async fn part(&self, (): ()) {}
}

struct TestHouse(Home);

impl House for TestHouse {
    fn name(&self) -> &str {
        "mail.example.org"
    }

    async fn home(&self, _: &str) -> Result<Home, sportello_store::Error> {
        Ok(self.0.clone())
    }

    async fn sign(&self, _: &Entry, _: &StoredBody) -> Result<Vec<u8>, String> {
        Ok(b"X-Signed: yes\r\n".to_vec())
    }
}

/// A folder that is removed at the end.
pub(super) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All of it, before it runs.
pub(super) struct Stage {
    pub(super) store: Store,
    pub(super) home: Home,
    folder: Folder,
    script: Script,
}

/// While it runs.
pub(super) struct Running {
    pub(super) store: Store,
    script: Script,
    shared: Rc<Shared<Script, TestHouse>>,
}

impl Stage {
    pub(super) fn new(play: impl Fn(&Batch, usize) -> Act + 'static) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sportello-queue-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self::at(Folder(std::env::temp_dir().join(name)), play)
    }

    pub(super) fn at(folder: Folder, play: impl Fn(&Batch, usize) -> Act + 'static) -> Self {
        let store = open(&folder.0);
        let script = Script(Rc::new(Seen {
            play: Box::new(play),
            began: Instant::now(),
            tries: RefCell::default(),
            reaches: RefCell::default(),
            at_once: Cell::new(0),
            most_at_once: Cell::new(0),
            figures: Arc::default(),
        }));
        let home = Home::Here(vec![Place { quota: Quota::Passed, ..Place::CAUGHT }]);
        Self { store, home, folder, script }
    }

    pub(super) async fn send(&self, sender: &str, to: &[&str]) {
        send(&self.store, sender, to, "").await;
    }

    pub(super) async fn send_with(&self, sender: &str, to: &[&str], notify: &str) {
        send(&self.store, sender, to, notify).await;
    }

    /// Runs the dispatcher while `play` plays, then stops it and waits for its end.
    pub(super) async fn run(self, play: impl AsyncFnOnce(&Running)) -> (Script, Store) {
        let script = self.script.clone();
        let (store, folder) = self.play(play, End::Stop).await;
        // What is looked at afterwards is read from open files.
        drop(folder);
        (script, store)
    }

    /// The same, and then it is dropped as it is.
    pub(super) async fn run_and_die(self, play: impl AsyncFnOnce(&Running)) -> Folder {
        let (store, folder) = self.play(play, End::Death).await;
        store.close().await;
        folder
    }

    async fn play(self, play: impl AsyncFnOnce(&Running), end: End) -> (Store, Folder) {
        tokio::time::pause();
        // While a blocking task is there, time does not go by itself.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || held.recv().is_err());
        let (began, wall) = (Instant::now(), SystemTime::now());
        let settings = crate::queue::dispatch::Settings {
            schedule: Schedule::default(),
            clock: Clock::of(move || wall + began.elapsed()),
        };
        let figures = Arc::clone(&self.script.0.figures);
        let house = TestHouse(self.home);
        let dispatcher = Dispatcher::new(self.store.clone(), self.script.clone(), house, settings, figures);
        let running = Running { store: self.store.clone(), script: self.script, shared: dispatcher.shared() };
        let (stop, stopped) = oneshot::channel::<()>();
        let run = dispatcher.run(async move {
            let _ = stopped.await;
        });
        tokio::pin!(run);
        tokio::select! {
            () = &mut run => panic!("it ended by itself"),
            () = play(&running) => {}
        }
        if end == End::Stop {
            drop(stop);
            let rest = async {
                loop {
                    advance(Duration::from_secs(1)).await;
                    running.settle().await;
                }
            };
            tokio::select! {
                () = &mut run => {}
                () = rest => {}
            }
        }
        drop(release);
        assert!(holding.await.unwrap());
        tokio::time::resume();
        (self.store, self.folder)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Death,
}

impl Running {
    pub(super) async fn send(&self, sender: &str, to: &[&str]) {
        send(&self.store, sender, to, "").await;
    }

    /// Lets time go by.
    pub(super) async fn pass(&self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.settle().await;
            let now = Instant::now();
            if now >= end {
                return;
            }
            let carrying = self.script.0.at_once.get() > 0;
            let wake = self.shared.sleeps_until.get().unwrap_or(end);
            let step = if carrying { now + Duration::from_secs(1) } else { wake.max(now + Duration::from_millis(1)) };
            advance(step.min(end) - now).await;
        }
    }

    /// Returns when nothing is done but waiting for the clock.
    async fn settle(&self) {
        let mut quiet = 0;
        while quiet < 20 {
            tokio::task::yield_now().await;
            let waits = self.shared.lanes.borrow().active() as u32 == self.script.0.at_once.get();
            let sleeps = self.shared.sleeps_until.get().is_some() || self.shared.is_stopping.get();
            let attends = self.shared.is_attending();
            quiet = if waits && sleeps && !attends { quiet + 1 } else { 0 };
        }
    }

    /// The destinations that were tried, in this order.
    pub(super) fn tried(&self) -> Vec<String> {
        self.script.tries().into_iter().map(|one| one.destination).collect()
    }

    pub(super) async fn subjects(&self) -> Vec<String> {
        subjects(&self.store).await
    }
}

fn open(folder: &Path) -> Store {
    Store::open(Settings::new(folder)).unwrap()
}

async fn send(store: &Store, sender: &str, to: &[&str], notify: &str) {
    let mut body = store.begin(None).unwrap();
    body.write(b"Subject: out\r\n\r\nbody\r\n").await.unwrap();
    let recipients = to.iter().map(|address| To {
        destination: Destination::new(address.rsplit_once('@').unwrap().1),
        recipient: Recipient {
            address: (*address).to_owned(),
            notify: notify.parse().unwrap_or_default(),
            original: None,
        },
    });
    let outgoing = Outgoing {
        sender: sender.to_owned(),
        recipients: recipients.collect(),
        options: Options::default(),
        priority: Priority::Normal,
    };
    let origin = Origin {
        peer: "192.0.2.7:40000".parse().unwrap(),
        helo: "client.example.org".to_owned(),
        channel: "submission".to_owned(),
        connection: 1,
    };
    let accept = Accept {
        envelope: Envelope { sender: sender.to_owned(), recipients: Vec::new() },
        origin,
        summary: Summary::default(),
        body,
        places: Vec::new(),
        queue: vec![outgoing],
        trace: None,
    };
    store.accept(accept).await.unwrap();
}

/// The subjects of what is in the Inbox, newest first.
pub(super) async fn subjects(store: &Store) -> Vec<String> {
    let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: 200 };
    store.list(page).await.unwrap().into_iter().map(|row| row.summary.subject).collect()
}

/// The newest message of the Inbox.
pub(super) async fn newest(store: &Store) -> String {
    let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: 1 };
    let id = store.list(page).await.unwrap()[0].id;
    match store.body(id).await.unwrap().unwrap() {
        StoredBody::Memory(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        StoredBody::File { .. } => panic!("it is small"),
    }
}
