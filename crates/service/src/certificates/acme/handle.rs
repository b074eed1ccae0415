//! How the rest of the house speaks with the engine.

use std::time::SystemTime;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// A handle. Clones speak with the same engine, which ends when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Asked>);

/// What the engine is asked, by the handles that were made with it.
#[derive(Debug)]
pub struct Asks(pub(super) mpsc::Receiver<Asked>);

/// One question.
#[derive(Debug)]
pub(super) enum Asked {
    Want(Vec<Vec<String>>, oneshot::Sender<()>),
    Renew(String, oneshot::Sender<Result<(), RenewError>>),
}

/// Why a certificate is not ordered now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenewError {
    /// It is not ours to order.
    #[error("no certificate is obtained by ACME for this name")]
    Unknown,
    /// The bounds of an hour are reached, until then.
    #[error("this name was ordered too often in the last hour")]
    TooOften(SystemTime),
    /// The CA is down, or has asked to be left alone, until then.
    #[error("the CA has refused or failed, and is left alone for a while")]
    Resting(SystemTime),
    /// The engine is gone, or busy with an order.
    #[error("certificates are not obtained at the moment, try later")]
    Busy,
}

/// Questions that wait while an order is under way.
const WAITING: usize = 16;

impl Handle {
    /// A handle, and what the engine is to be run with.
    pub fn new() -> (Self, Asks) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), Asks(asked))
    }

    /// Wants a certificate for each of these sets of names, and no others. Returns when what is kept of them is shown, which an order under
    /// way holds up. Dropping this future leaves the engine to want them, or not.
    pub async fn want(&self, sets: Vec<Vec<String>>) {
        let (shown, is_shown) = oneshot::channel();
        // An engine that is gone wants and shows nothing.
        if self.0.send(Asked::Want(sets, shown)).await.is_ok() {
            let _ = is_shown.await;
        }
    }

    /// Orders anew what has this name, as soon as the order under way is done.
    ///
    /// # Errors
    /// When it is not ordered.
    pub async fn renew(&self, name: &str) -> Result<(), RenewError> {
        let (told, answer) = oneshot::channel();
        self.0.try_send(Asked::Renew(name.to_owned(), told)).map_err(|_| RenewError::Busy)?;
        answer.await.unwrap_or(Err(RenewError::Busy))
    }
}
