//! Server-sent events: one producer for all who watch, and none when nobody does.
//!
//! The producer is a task of the worker that the first watcher came to. It ends when the last watcher has left; when the
//! server stops, the protocol ends their streams. If its worker goes down, all streams end with it and the browsers come
//! back to another worker.
//! Bounded by [`MOST_WATCHERS`], by [`PENDING`] events for each of them (a slow one misses pictures), and by
//! [`MOST_SAMPLES`] of history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use sportello_store::{MailboxId, Store};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::picture::{Observer, Picture};

/// Who watches, and what they are told.
#[derive(Clone)]
pub(super) struct Events {
    inner: Arc<Inner>,
}

/// What a watcher wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Pictures and mail.
    Everything,
    /// Only that the mail changed.
    Mail,
}

struct Inner {
    store: Store,
    observer: Observer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watchers: Vec<Watcher>,
    producer: Producer,
    history: VecDeque<Sample>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Producer {
    #[default]
    Absent,
    Running,
}

struct Watcher {
    wants: Wants,
    sender: mpsc::Sender<Bytes>,
}

/// The counts of one moment, from which rates are plotted; kept so that a page opened again has its plot at once.
#[derive(Clone, Serialize)]
struct Sample {
    now_ms: u64,
    channels: Vec<(String, u64, u64, u64)>,
}

impl Events {
    /// Events of this store and this server.
    pub(super) fn new(store: Store, observer: Observer) -> Self {
        Self { inner: Arc::new(Inner { store, observer, state: Mutex::default() }) }
    }

    /// A new watcher's events; `None` when all places are taken. Dropping the receiver is leaving.
    pub(super) fn watch(&self, wants: Wants) -> Option<mpsc::Receiver<Bytes>> {
        let (sender, receiver) = mpsc::channel(PENDING);
        let mut state = self.inner.state();
        state.watchers.retain(|watcher| !watcher.sender.is_closed());
        if state.watchers.len() >= MOST_WATCHERS {
            return None;
        }
        let mut hello = String::from("retry: 2000\n\n");
        if wants == Wants::Everything {
            hello.push_str(&event("history", &state.history));
        }
        // A new channel has room for its first event.
        let _ = sender.try_send(hello.into());
        state.watchers.push(Watcher { wants, sender });
        if state.producer == Producer::Absent {
            state.producer = Producer::Running;
            let mut ending = Ending { watched: Some(Arc::clone(&self.inner)) };
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                inner.produce().await;
                // It ended by itself, under the lock: another producer may run by now.
                ending.disarm();
            });
        }
        Some(receiver)
    }
}

/// If the producer is dropped or panics, nobody waits for it in vain.
struct Ending {
    watched: Option<Arc<Inner>>,
}

impl Ending {
    fn disarm(&mut self) {
        self.watched = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(inner) = &self.watched else { return };
        let mut state = inner.state();
        state.watchers.clear();
        if state.producer == Producer::Running {
            state.producer = Producer::Absent;
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in a State can be left half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn produce(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = self.store.changes();
        let mut quiet = 0u32;
        loop {
            ticks.tick().await;
            let Some(wanted) = self.wanted() else { return };
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                self.send(Wants::Mail, event("mail", &self.mail().await));
                quiet = 0;
            }
            if wanted == Wants::Everything
                && let Ok(mut picture) = timeout(OBSERVING, (self.observer)()).await
            {
                self.remember(&picture);
                picture.connections.truncate(SHOWN_CONNECTIONS);
                self.send(Wants::Everything, event("picture", &picture));
            }
            quiet = quiet.saturating_add(1);
            if quiet >= TICKS_OF_QUIET {
                // A comment: keeps the connection from idling out, and finds out who has left.
                self.send(Wants::Mail, ": still here\n\n".to_owned());
                quiet = 0;
            }
        }
    }

    /// What those who are left want; `None` ends the producer.
    fn wanted(&self) -> Option<Wants> {
        let mut state = self.state();
        state.watchers.retain(|watcher| !watcher.sender.is_closed());
        if state.watchers.is_empty() {
            // Said under the lock: whoever watches next starts the next producer.
            if state.producer == Producer::Running {
                state.producer = Producer::Absent;
            }
            return None;
        }
        let everything = state.watchers.iter().any(|watcher| watcher.wants == Wants::Everything);
        Some(if everything { Wants::Everything } else { Wants::Mail })
    }

    fn send(&self, kind: Wants, event: String) {
        let event = Bytes::from(event);
        for watcher in &self.state().watchers {
            if kind == Wants::Mail || watcher.wants == Wants::Everything {
                let _ = watcher.sender.try_send(event.clone());
            }
        }
    }

    fn remember(&self, picture: &Picture) {
        let mut state = self.state();
        if state.history.back().is_some_and(|last| picture.now_ms.saturating_sub(last.now_ms) < SAMPLE_MS) {
            return;
        }
        if state.history.len() >= MOST_SAMPLES {
            state.history.pop_front();
        }
        let channels = picture
            .channels
            .iter()
            .map(|channel| (channel.name.clone(), channel.requests, channel.bytes_in, channel.bytes_out))
            .collect();
        state.history.push_back(Sample { now_ms: picture.now_ms, channels });
    }

    async fn mail(&self) -> MailState {
        let inbox = self.store.mailbox_by_id(MailboxId::INBOX).await.ok().flatten();
        inbox.map_or_else(MailState::default, |inbox| MailState {
            messages: inbox.messages,
            unread: inbox.unseen,
            change: inbox.highest_modseq.0,
        })
    }
}

/// What a `mail` event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct MailState {
    messages: u64,
    unread: u64,
    change: u64,
}

/// One event as text (HTML Living Standard, server-sent events §9.2.5). JSON has no line breaks of its own.
fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// Connections that a picture event carries; `GET /api/v1/status` has them all.
pub(super) const SHOWN_CONNECTIONS: usize = 100;

/// The most who may watch at the same time.
pub(super) const MOST_WATCHERS: usize = 64;

/// Events that may wait for one watcher.
const PENDING: usize = 8;

/// How often a picture is made.
const TICK: Duration = Duration::from_millis(500);

/// How long making one may take.
const OBSERVING: Duration = Duration::from_secs(2);

/// Fifteen seconds.
const TICKS_OF_QUIET: u32 = 30;

/// The least time between two samples of history.
const SAMPLE_MS: u64 = 900;

/// Five minutes of history.
const MOST_SAMPLES: usize = 300;
