//! TLS of the whole server: the certificates on their thread, and on what terms each channel speaks.
//!
//! What is spoken inside, the protocols know. Bounded by what the configuration wants.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sportello_net::tls::{Terms, TermsError, Tickets};
use sportello_net::{Connection, Ended};
use sportello_service::certificates::{Keyring, KeyringError, Wanted};
use sportello_store::Store;
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::debug;

use crate::config::{Begins, Door, Role};

/// Why channels cannot be encrypted.
#[derive(Debug, Error)]
pub enum EncryptionError {
    /// There are no certificates.
    #[error("there are no certificates for the channels with TLS")]
    Certificates(#[from] KeyringError),
    /// The terms of a channel cannot be.
    #[error("the {0} channel cannot speak TLS")]
    Terms(String, #[source] TermsError),
    /// The machine refuses something.
    #[error("the thread of the certificates cannot be started")]
    Thread(#[source] io::Error),
}

/// What all workers share of TLS. A handle: clones share it.
#[derive(Clone)]
pub struct Encryption {
    keyring: Keyring,
    tickets: Arc<Tickets>,
}

/// The thread on which certificates are looked after.
pub struct Attendant {
    stop: oneshot::Sender<()>,
    /// Its other end goes with the thread.
    ended: mpsc::Receiver<Result<(), EncryptionError>>,
    thread: JoinHandle<()>,
}

/// How long the end of the server waits for a file of a certificate: its disk may not answer.
const LAST_LOOK: Duration = Duration::from_secs(3);

impl Encryption {
    /// Starts the thread `certificates`, which fills the table of certificates before this returns, and looks after it from then on.
    ///
    /// # Errors
    /// When something that is wanted is not to be had at all.
    pub fn start(store: Store, host: &str, wanted: Wanted) -> Result<(Self, Attendant), EncryptionError> {
        let keyring = Keyring::new(store, host);
        let (stop, stopped) = oneshot::channel();
        let (filled, result) = mpsc::channel();
        let kept = keyring.clone();
        let work = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // Nobody waits for more than the first word.
                Err(error) => return drop(filled.send(Err(EncryptionError::Thread(error)))),
            };
            runtime.block_on(async {
                let result = kept.want(wanted).await.map_err(EncryptionError::from);
                let _ = filled.send(result);
                // `filled` lives as long as this: its end says that the thread is about to end.
                tokio::select! {
                    () = kept.keep() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("certificates".to_owned()).spawn(work);
        let thread = thread.map_err(EncryptionError::Thread)?;
        match result.recv() {
            Ok(Ok(())) => Ok((Self { keyring, tickets: Arc::default() }, Attendant { stop, ended: result, thread })),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EncryptionError::Thread(io::Error::other("it ended at once"))),
        }
    }

    /// The certificates.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The terms of a channel, where it speaks TLS.
    ///
    /// # Errors
    /// When its authorities cannot be used.
    pub fn terms(&self, door: &Door) -> Result<Option<Arc<Terms>>, EncryptionError> {
        let Some(tls) = &door.tls else { return Ok(None) };
        let protocols: &[&[u8]] = match door.role {
            Role::Sites(_) | Role::Desk(_) => &[b"h2", b"http/1.1"],
            Role::Smtp(_) | Role::Command(_) => &[],
        };
        let terms = Terms::new(self.keyring.table(), &tls.settings, protocols, &self.tickets)
            .map_err(|error| EncryptionError::Terms(door.channel.name.clone(), error))?;
        Ok(Some(Arc::new(match tls.begins {
            Begins::AtOnce => terms,
            Begins::WhenAsked => terms.without_challenges(),
        })))
    }
}

impl Attendant {
    /// Ends the thread.
    pub fn close(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if matches!(self.ended.recv_timeout(LAST_LOOK), Err(RecvTimeoutError::Timeout)) {
            return tracing::error!("a file of a certificate cannot be read for long: its thread is left");
        }
        if self.thread.join().is_err() {
            tracing::error!("the thread of the certificates panicked");
        }
    }
}

/// What came of a handshake.
pub enum Handshake {
    /// The connection is encrypted; the session may begin.
    Done,
    /// What came is no TLS. It may be told so, in plain text.
    NotTls,
    /// There is nobody to talk to any more.
    Over,
}

/// By which a CA asks whether a name is ours; nothing else is said on such a connection (RFC 8737 §3).
const CHALLENGE: &[u8] = b"acme-tls/1";

/// Shakes hands on a connection that has just been accepted.
pub async fn shake_hands(connection: &mut Connection, terms: &Terms) -> Handshake {
    match connection.secure(terms).await {
        Ok(secured) if secured.protocol.as_deref() == Some(CHALLENGE) => Handshake::Over,
        Ok(_) => Handshake::Done,
        Err(Ended::NotTls) => Handshake::NotTls,
        Err(ended) => {
            let cause = std::error::Error::source(&ended).map(ToString::to_string);
            debug!(connection = connection.id(), %ended, cause, "a handshake failed");
            Handshake::Over
        }
    }
}
