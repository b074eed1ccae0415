//! The thread `acme`, on which certificates are obtained from a CA for what the keyring wants.
//!
//! It is there only where a CA is configured; a reload with other settings for it starts it anew. When it ends, an order under way is dropped: it counts as failed, and proofs over HTTP
//! and TLS end with the server; a record in the DNS may be left. Bounded by the engine, which it runs.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sportello_service::certificates::Keyring;
use sportello_service::certificates::acme::{self, Agent, Asks, Dns, Engine, Handle, House, Premises};
use sportello_service::run::{Program, Runner};
use sportello_store::Store;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::server::Shared;

/// How certificates are obtained.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From whom, and how names are proved.
    pub engine: acme::Settings,
    /// Who vouches for the CA's own server, in PEM; without it those whom the machine trusts.
    pub root: Option<Vec<u8>>,
    /// What makes records in the DNS, and how long they take to be seen.
    pub dns: Option<(Program, Duration)>,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let dns = |settings: &Self| settings.dns.as_ref().map(|(program, wait)| (program.path().to_owned(), *wait));
        self.engine == other.engine && self.root == other.root && dns(self) == dns(other)
    }
}

/// The thread, where one is wanted, and by which settings it runs.
pub struct Procurement {
    settings: Option<Settings>,
    obtainer: Option<Obtainer>,
}

impl Procurement {
    /// Starts the thread, if there are settings for it.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(settings: Option<Settings>, keyring: &Keyring, shared: &Shared) -> io::Result<Self> {
        let start = |settings: &Settings| Obtainer::start(settings.clone(), keyring, &shared.store, &shared.runner);
        let obtainer = settings.as_ref().map(start).transpose()?;
        Ok(Self { settings, obtainer })
    }

    /// Goes on by other settings. The same ones interrupt nothing.
    ///
    /// # Errors
    /// As [`Procurement::start`]; then nothing is obtained.
    pub fn renew(&mut self, settings: Option<Settings>, keyring: &Keyring, shared: &Shared) -> io::Result<()> {
        if self.settings == settings {
            return Ok(());
        }
        // One after the other: they write the same rows.
        self.settings = None;
        if let Some(obtainer) = self.obtainer.take() {
            obtainer.close();
            // Of an order that was under way.
            keyring.end_challenges();
        }
        *self = Self::start(settings, keyring, shared)?;
        Ok(())
    }

    /// Completes when the certificates that are kept are in use, when it is clear that they will not be soon, or after [`SHOWN`].
    pub async fn shows_kept(&self) {
        if let Some(obtainer) = &self.obtainer {
            until(obtainer.is_known.clone()).await;
        }
    }

    /// Ends the thread.
    pub fn close(self) {
        if let Some(obtainer) = self.obtainer {
            obtainer.close();
        }
    }
}

/// The thread.
struct Obtainer {
    keyring: Keyring,
    /// Whether what is kept is in use, or cannot be.
    is_known: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// How long to wait when it cannot even begin.
const AGAIN: Duration = Duration::from_secs(60);
/// How long a start waits for the certificates that are kept: a store that does not answer keeps no site from being there, with a stand-in.
const SHOWN: Duration = Duration::from_secs(5);

impl Obtainer {
    fn start(settings: Settings, keyring: &Keyring, store: &Store, runner: &Runner) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().thread_name("acme").enable_all().build()?;
        let (handle, asks) = Handle::new();
        let (stop, stopped) = oneshot::channel();
        let (known, is_known) = watch::channel(false);
        let (own, store, runner) = (keyring.clone(), store.clone(), runner.clone());
        let asked = handle.clone();
        let thread = thread::Builder::new().name("acme".to_owned()).spawn(move || {
            let premises = || {
                let dns = settings.dns.clone().map(|(program, wait)| Dns { runner: runner.clone(), program, wait });
                Premises { store: store.clone(), keyring: own.clone(), dns }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = obtain(&settings, premises, asks, &known) => {}
                    () = pass_on(&own, &handle, &known) => {}
                    _ = stopped => {}
                }
            });
            // A name that is being looked up is waited for by nobody.
            runtime.shutdown_background();
        })?;
        keyring.obtained_by(Some(asked));
        Ok(Self { keyring: keyring.clone(), is_known, stop, thread })
    }

    /// Ends the thread.
    fn close(self) {
        self.keyring.obtained_by(None);
        // It may have ended by itself.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the thread that obtains certificates panicked");
        }
    }
}

/// Waits for this to be known, [`SHOWN`] at most.
async fn until(mut is_known: watch::Receiver<bool>) {
    // A thread that has ended will show nothing: that is an answer too.
    if timeout(SHOWN, is_known.wait_for(|is_known| *is_known)).await.is_err() {
        tracing::warn!("what is kept of certificates is not read yet: stand-ins are shown until it is");
    }
}

/// Tells the engine what is wanted, now and whenever that changes. From the first time on, what is kept is in use.
async fn pass_on(keyring: &Keyring, handle: &Handle, known: &watch::Sender<bool>) {
    let mut orders = keyring.orders();
    loop {
        let sets = orders.borrow_and_update().to_vec();
        handle.want(sets).await;
        known.send_replace(true);
        if orders.changed().await.is_err() {
            // The keyring is gone, and nothing else will be wanted.
            return;
        }
    }
}

/// Runs the engine in such a house. What it cannot begin with is `known` at once, and tried again.
async fn obtain<H: House>(settings: &Settings, house: impl Fn() -> H, asks: Asks, known: &watch::Sender<bool>) {
    let roots = loop {
        match acme::trusted(settings.root.as_deref()) {
            Ok(roots) => break roots,
            Err(error) => tracing::error!(%error, "no certificate can be obtained"),
        }
        known.send_replace(true);
        tokio::time::sleep(AGAIN).await;
    };
    let agent = match Agent::new(roots) {
        Ok(agent) => Arc::new(agent),
        Err(error) => return tracing::error!(%error, "no certificate can be obtained"),
    };
    let engine = loop {
        match Engine::open(house(), settings.engine.clone(), Arc::clone(&agent) as _).await {
            Ok(engine) => break engine,
            Err(error) => tracing::error!(%error, "nothing is ordered, since what was kept of it cannot be read"),
        }
        known.send_replace(true);
        tokio::time::sleep(AGAIN).await;
    };
    engine.run(asks).await;
}

#[cfg(test)]
mod tests;
