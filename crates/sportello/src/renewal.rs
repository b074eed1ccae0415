//! The running server, by other settings: which channels stay, which come, which go.
//!
//! A channel stays when it listens where it did and its protocol is the same: its connections live on, whatever else of it changes.
//! One that speaks another protocol at the same place, or asks clients otherwise who they are, takes over the listening sockets, so that
//! nobody finds the port closed; the connections of the one before end. Knows nothing of files.

use std::collections::{HashMap, HashSet};
use std::mem::{self, Discriminant};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sportello_net::{Channel, Next, RenewError, tls};
use sportello_service::certificates::{Keyring, KeyringError, Wanted};
use sportello_service::picture::ConfigurationView;
use sportello_service::run::Runner;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::{Begins, Door, Role, Settings};
use crate::generation::Generation;
use crate::server::{Server, StartError, bind_one, sends, view};

/// How long opening folders and logs may take, and how long reading certificates: a dead disk must hold neither the next reload nor
/// the end of the server.
const OPENING: Duration = Duration::from_secs(20);

/// Why the server goes on as it was.
#[derive(Debug, Error)]
pub enum Refused {
    /// A new port, a folder or the terms of a channel are not to be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A channel would listen where one of this server does, by a wider or narrower address.
    #[error(
        "the {name} channel cannot listen on {address} while this server listens on {other}: restart it, or choose another port"
    )]
    Overlap {
        /// The channel.
        name: String,
        /// Where it would listen.
        address: SocketAddr,
        /// Where the server does.
        other: SocketAddr,
    },
    /// There is no certificate.
    #[error("there are no certificates for the channels with TLS")]
    Certificates(#[from] KeyringError),
    /// A folder, a file or a log does not answer.
    #[error("what sites and certificates need could not be opened within {} s: a disk does not answer", OPENING.as_secs())]
    Slow,
    /// A worker cannot take it over.
    #[error(transparent)]
    Workers(#[from] RenewError),
}

/// What becomes of one door.
enum Fate {
    /// The channel of this number stays.
    Stays(usize),
    /// It takes over the sockets of the channel of this number.
    TakesOver(usize),
    New,
}

impl Server {
    /// Goes on by `settings`, which `configuration` said. What changed, one line each.
    ///
    /// # Errors
    /// When something of it cannot be; then nothing has changed.
    pub(crate) async fn renew(
        &mut self,
        settings: &Settings,
        configuration: ConfigurationView,
    ) -> Result<Vec<String>, Refused> {
        let fates = self.fates(&settings.channels);
        let mut doors = settings.channels.clone();
        let mut next = Vec::new();
        for (door, fate) in doors.iter_mut().zip(&fates) {
            let (step, channel) = self.step(door, fate, settings.workers)?;
            door.channel = channel;
            next.push(step);
        }
        next.extend(self.command_line.clone().map(Next::Kept));
        let before = self.house.now();
        let runner = before.runner.with(settings.programs.clone());
        let mut generation = self.generation(settings, &doors, runner, before).await?;
        if let Some(own) = &self.command_line {
            generation = generation.with_command_line(own.index);
        }
        let view = view(settings, Some(configuration), &doors, &generation, self.command_line.as_ref());
        let bounds = (settings.most_connections, settings.most_per_source);
        let house = Arc::clone(&self.house);
        let swap = move || {
            generation.begin_logs();
            house.replace(Arc::new(generation));
            house.observatory.replace(view);
        };
        let keyring = self.encryption.keyring();
        let wanted = wanted_within(keyring, settings.certificates.clone()).await;
        let renewed = match wanted {
            Ok(()) => self.workers.renew(next, bounds, swap).await.map_err(Refused::from),
            refused => refused,
        };
        if let Err(refused) = renewed {
            // What was wanted before was to be had.
            if let Err(error) = wanted_within(keyring, self.certificates.clone()).await {
                tracing::error!(%error, "the certificates of before cannot be made again: those in use stay");
            }
            return Err(refused);
        }
        if let Err(error) = self.procurement.renew(settings.acme.clone(), keyring, &self.shared) {
            tracing::error!(%error, "no certificate is obtained until the next reload: there is no thread for it");
        }
        self.workers.bans().set(settings.ban_rule());
        if let Err(error) = self.sending.renew(sends(settings)) {
            tracing::error!(%error, "no mail is sent until the next reload: there is no thread for it");
        }
        self.procurement.shows_kept().await;
        let changes = self.changes(&doors);
        (self.doors, self.asked) = (doors, settings.channels.clone());
        self.certificates = settings.certificates.clone();
        Ok(changes)
    }

    /// The generation of these settings, made on a thread that may wait for a disk.
    async fn generation(
        &self,
        settings: &Settings,
        doors: &[Door],
        runner: Runner,
        before: Arc<Generation>,
    ) -> Result<Generation, Refused> {
        let (settings, doors) = (settings.clone(), doors.to_vec());
        let (encryption, logs) = (self.encryption.clone(), self.house.access_logs.clone());
        let addresses = self.shared.addresses.clone();
        let make =
            move || Generation::new(&settings, &doors, (runner, &addresses), (&encryption, &logs), Some(&before));
        match timeout(OPENING, spawn_blocking(make)).await {
            Ok(Ok(made)) => Ok(made?),
            Ok(Err(error)) => Err(StartError::Io("open what the sites need", error.into()).into()),
            Err(_) => Err(Refused::Slow),
        }
    }

    /// What becomes of each door: each channel of now is at most one's.
    fn fates(&self, doors: &[Door]) -> Vec<Fate> {
        let mut taken = HashSet::new();
        let mut fate = |door: &Door| {
            let of_now = self.doors.iter().zip(&self.asked);
            let mut there = of_now.filter(|(now, asked)| is_there(now, asked, door));
            let Some((now, _)) = there.find(|(now, _)| taken.insert(now.channel.index)) else { return Fate::New };
            if kind(now) == kind(door) { Fate::Stays(now.channel.index) } else { Fate::TakesOver(now.channel.index) }
        };
        doors.iter().map(&mut fate).collect()
    }

    /// What the workers are to do for a door, and the channel that it will have.
    fn step(&mut self, door: &Door, fate: &Fate, workers: usize) -> Result<(Next, Channel), Refused> {
        let of_now = |index: usize| self.doors.iter().find(|now| now.channel.index == index).map(|now| &now.channel);
        let fresh = self.next_index;
        Ok(match *fate {
            Fate::Stays(index) => {
                let address = of_now(index).map_or(door.channel.address, |now| now.address);
                let channel = Channel { index, address, ..door.channel.clone() };
                (Next::Kept(channel.clone()), channel)
            }
            Fate::TakesOver(from) => {
                let address = of_now(from).map_or(door.channel.address, |now| now.address);
                self.next_index += 1;
                let channel = Channel { index: fresh, address, ..door.channel.clone() };
                (Next::TakenOver { from, channel: channel.clone() }, channel)
            }
            Fate::New => {
                self.refuse_overlap(&door.channel)?;
                self.next_index += 1;
                let listener = bind_one(door, Channel { index: fresh, ..door.channel.clone() }, workers)?;
                let channel = listener.channel().clone();
                (Next::New(listener), channel)
            }
        })
    }

    /// Two that overlap cannot both listen, not even while one goes.
    fn refuse_overlap(&self, channel: &Channel) -> Result<(), Refused> {
        let (address, port) = (channel.address, channel.address.port());
        let overlaps = |other: &SocketAddr| {
            let (one, two) = (address.ip(), other.ip());
            let wide = one.is_unspecified() || two.is_unspecified();
            other.port() == port && (one == two || one.is_ipv4() == two.is_ipv4() && wide)
        };
        match self.doors.iter().map(|now| now.channel.address).find(overlaps) {
            Some(other) => Err(Refused::Overlap { name: channel.name.clone(), address, other }),
            None => Ok(()),
        }
    }

    /// What is different from now on, for people.
    fn changes(&self, then: &[Door]) -> Vec<String> {
        let find = |doors: &'_ [Door], index: usize| doors.iter().position(|door| door.channel.index == index);
        let told = |door: &Door| format!("{} at {}", door.channel.name, door.channel.address);
        let mut changes = Vec::new();
        for door in then {
            match find(&self.doors, door.channel.index).and_then(|at| self.doors.get(at)) {
                None => changes.push(format!("new channel {}", told(door))),
                Some(now) if now.channel != door.channel || now.tls != door.tls => {
                    changes.push(format!("changed channel {}", told(door)))
                }
                Some(_) => {}
            }
        }
        let gone = self.doors.iter().filter(|now| find(then, now.channel.index).is_none());
        changes.extend(gone.map(|now| format!("channel {} is no more", told(now))));
        changes
    }
}

/// Has these certificates, or gives up and leaves those of before.
async fn wanted_within(keyring: &Keyring, wanted: Wanted) -> Result<(), Refused> {
    match timeout(OPENING, keyring.want(wanted)).await {
        Ok(wanted) => Ok(wanted?),
        Err(_) => Err(Refused::Slow),
    }
}

/// Whether a door is where a channel of now listens; any free port is where the channel of the same name has found one.
fn is_there(now: &Door, asked: &Door, door: &Door) -> bool {
    let (wanted, its) = (door.channel.address, asked.channel.address);
    match wanted.port() {
        0 => wanted == its && door.channel.name == asked.channel.name,
        _ => wanted == now.channel.address,
    }
}

/// What a connection is served by; one of another kind cannot go on. A client that was asked otherwise who it is, perhaps not at all, must
/// not stay; other terms of TLS are for handshakes to come.
fn kind(door: &Door) -> (Discriminant<Role>, Option<AskedWho<'_>>) {
    let asked = door.tls.as_ref().map(|tls| (tls.begins, &tls.settings.client, &tls.settings.clients));
    (mem::discriminant(&door.role), asked)
}

/// When TLS begins, and how clients are asked who they are: everywhere, and for single names.
type AskedWho<'d> = (Begins, &'d tls::Client, &'d HashMap<String, tls::Client>);
