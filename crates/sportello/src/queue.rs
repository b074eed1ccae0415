//! The thread `queue`, on which mail for other servers is sent.
//!
//! It is there only where a domain does more than catch; a reload with other settings for it starts it anew. When it is asked to end it
//! begins nothing more and lets what is under way end, for as long as its owner waits; what is dropped then is sent again after the
//! next start. Bounded by the dispatcher, which it runs.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sportello_service::clock::Clock;
use sportello_service::directory::{Addresses, Delivery, MailDomains, Refusal, Room};
use sportello_service::dkim::Signer;
use sportello_service::outbound::{self, Outbound};
use sportello_service::queue::{self, Destination, Dispatcher, Figures, Home, House, Schedule};
use sportello_store::queue::Entry;
use sportello_store::{AccountId, Error, Place, Quota, Store, StoredBody};
use sportello_wire::mail::{Address, Domain, ForwardPath, ReversePath};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it leaves.
    pub outbound: outbound::Settings,
    /// Who is here: reports to them stay here.
    pub mail: Arc<MailDomains>,
}

/// The thread, where one is wanted, and by which settings it runs.
pub struct Sending {
    /// Those of the server; the domains are the settings'.
    addresses: Addresses,
    store: Store,
    signer: Signer,
    figures: Arc<Figures>,
    settings: Option<Settings>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<()>,
}

/// How long to wait when it cannot even begin.
const AGAIN: Duration = Duration::from_secs(60);
/// How long what is under way may take when a reload starts the thread anew.
const PATIENCE: Duration = Duration::from_secs(5);
/// The mailbox for reports (RFC 9051 §5.1).
const INBOX: &str = "INBOX";

impl Sending {
    /// Starts the thread, if any domain does more than catch.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(settings: Settings, addresses: Addresses, store: Store, signer: Signer) -> io::Result<Self> {
        let mut sending = Self { addresses, store, signer, figures: Arc::default(), settings: None, running: None };
        sending.begin(settings)?;
        Ok(sending)
    }

    /// Goes on by other settings. The same ones interrupt nothing.
    ///
    /// # Errors
    /// As [`Sending::start`]; then nothing is sent.
    pub fn renew(&mut self, settings: Settings) -> io::Result<()> {
        let is_same = |before: &Settings| before.outbound == settings.outbound && before.mail == settings.mail;
        if self.settings.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        self.end(PATIENCE);
        self.begin(settings)
    }

    /// What was counted since the server began.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Ends the thread: what is under way has so long.
    pub fn close(mut self, grace: Duration) {
        self.end(grace);
    }

    fn begin(&mut self, settings: Settings) -> io::Result<()> {
        self.settings = None;
        if !settings.mail.only_capture() {
            let runtime =
                tokio::runtime::Builder::new_current_thread().thread_name("queue-names").enable_all().build()?;
            let (stop, stopped) = oneshot::channel();
            let (outbound, figures) = (settings.outbound.clone(), Arc::clone(&self.figures));
            let office = Office {
                name: outbound.host_name.clone(),
                addresses: self.addresses.with(Arc::clone(&settings.mail)),
                store: self.store.clone(),
                signer: self.signer.clone(),
            };
            let thread = thread::Builder::new().name("queue".to_owned()).spawn(move || {
                runtime.block_on(send(outbound, office, figures, stopped));
                // A name that is being looked up is waited for by nobody.
                runtime.shutdown_background();
            })?;
            self.running = Some(Running { stop, thread });
        }
        self.settings = Some(settings);
        Ok(())
    }

    fn end(&mut self, grace: Duration) {
        let Some(Running { stop, thread }) = self.running.take() else { return };
        // It may have ended by itself.
        let _ = stop.send(grace);
        if thread.join().is_err() {
            tracing::error!("the thread that sends mail panicked");
        }
    }
}

/// Sends until it is told how long what is under way may take.
async fn send(
    outbound: outbound::Settings,
    office: Office,
    figures: Arc<Figures>,
    mut stopped: oneshot::Receiver<Duration>,
) {
    let dispatcher = loop {
        match prepare(&outbound, &office, &figures) {
            Ok(dispatcher) => break dispatcher,
            Err(why) => tracing::error!(why, "no mail is sent"),
        }
        tokio::select! {
            _ = &mut stopped => return,
            () = sleep(AGAIN) => {}
        }
    };
    let (stop, told) = oneshot::channel::<()>();
    let run = dispatcher.run(async {
        let _ = told.await;
    });
    tokio::pin!(run);
    let grace = tokio::select! {
        () = &mut run => return,
        grace = &mut stopped => grace.unwrap_or_default(),
    };
    drop(stop);
    if timeout(grace, run).await.is_err() {
        tracing::warn!("mail that was being sent is sent again after the next start");
    }
}

fn prepare(
    outbound: &outbound::Settings,
    office: &Office,
    figures: &Arc<Figures>,
) -> Result<Dispatcher<Outbound, Office>, String> {
    let (office, store) = (office.clone(), office.store.clone());
    let outbound = Outbound::new(outbound.clone(), store.clone()).map_err(|error| error.to_string())?;
    let settings = queue::Settings { schedule: Schedule::default(), clock: Clock::system() };
    Ok(Dispatcher::new(store, outbound, office, settings, Arc::clone(figures)))
}

/// The house around the queue.
#[derive(Clone)]
struct Office {
    name: String,
    addresses: Addresses,
    store: Store,
    signer: Signer,
}

impl House for Office {
    fn name(&self) -> &str {
        &self.name
    }

    async fn home(&self, sender: &str) -> Result<Home, Error> {
        let Ok(address) = Address::parse(sender.as_bytes()) else { return Ok(Home::Nowhere) };
        let recipient = ForwardPath::Address(address.clone());
        // Who has no room for mail is told of mail all the same.
        let resolution = self.addresses.resolve(&recipient, &ReversePath::Null, Room::Any).await?;
        let deliveries = match resolution.outcome {
            Ok(deliveries) => deliveries,
            Err(Refusal::NotOurs) => return Ok(elsewhere(&address)),
            Err(Refusal::Unknown | Refusal::Disabled | Refusal::OverQuota) => return Ok(Home::Nowhere),
        };
        let mut places = Vec::new();
        for delivery in &deliveries {
            match delivery {
                Delivery::Mailbox { account, .. } => {
                    if let Home::Here(inbox) = self.inbox(*account).await? {
                        places.extend(inbox);
                    }
                }
                Delivery::Captured => places.push(Place { quota: Quota::Passed, ..Place::CAUGHT }),
                // A report is read by people: of one place elsewhere, where there is none here.
                Delivery::Forward { .. } | Delivery::Program { .. } => {}
            }
        }
        let onward = deliveries.iter().find_map(|delivery| match delivery {
            Delivery::Forward { address, .. } => Some(elsewhere(address)),
            _ => None,
        });
        Ok(if places.is_empty() { onward.unwrap_or(Home::Nowhere) } else { Home::Here(places) })
    }

    async fn sign(&self, entry: &Entry, body: &StoredBody) -> Result<Vec<u8>, String> {
        let (signer, sender, body) = (self.signer.clone(), entry.sender.clone(), body.clone());
        // RSA and a long message take time that connections do not have.
        match tokio::task::spawn_blocking(move || signer.sign(&sender, &body)).await {
            Ok(signed) => signed.map_err(|error| format!("it cannot be signed: {error}")),
            Err(_) => Err("it cannot be signed: the signer panicked".to_owned()),
        }
    }
}

impl Office {
    async fn inbox(&self, account: AccountId) -> Result<Home, Error> {
        let inbox = self.store.mailbox(account, INBOX).await?;
        let place = |mailbox| Place { quota: Quota::Passed, ..Place::new(mailbox) };
        Ok(inbox.map_or(Home::Nowhere, |mailbox| Home::Here(vec![place(mailbox)])))
    }
}

fn elsewhere(address: &Address) -> Home {
    Home::Elsewhere(destination(address.domain()), address.to_string())
}

/// Where mail to a domain goes, as the queue names it.
pub fn destination(domain: &Domain) -> Destination {
    Destination::new(&domain.asked_for().unwrap_or_else(|| domain.to_string()))
}
