//! Why a request has no answer of the application, or only a part of one.

use std::io;

use sportello_wire::fastcgi::answer::{self, Status};
use sportello_wire::fastcgi::head;
use thiserror::Error;
use tracing::{debug, error, warn};

use super::Address;
use super::script::Script;
use crate::spool;
use crate::web::{Answer, Broken};

/// Seconds after which whoever found no place may ask again.
const RETRY_AFTER: &str = "5";

/// Why.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// No place among the requests of this worker.
    #[error("too many requests wait for the application")]
    Full,
    /// It takes no connection.
    #[error("the application cannot be reached")]
    Connect(#[source] io::Error),
    /// Its name cannot be resolved.
    #[error("the application's name has no address")]
    Unresolved,
    /// It took no connection in time.
    #[error("the application did not take a connection in time")]
    ConnectTimeout,
    /// It did not begin its answer in time, or takes no more of the request, or says no more.
    #[error("the application was silent for too long")]
    Silent,
    /// It closed the connection without an answer, or in the middle of one.
    #[error("the application closed the connection before its answer was whole")]
    Closed,
    /// The connection broke.
    #[error("the connection to the application failed")]
    Io(#[source] io::Error),
    /// What it says is no answer to what was asked.
    #[error("the application's records cannot be read")]
    Records(#[from] answer::Error),
    /// What it says begins with no head.
    #[error("the head of the application's answer cannot be passed on")]
    Head(#[from] head::Error),
    /// It refuses.
    #[error("the application did not take the request: {0:?}")]
    Refused(Status),
    /// More or less than it announced.
    #[error("the application's answer is not as long as it says")]
    Length,
    /// The client's body did not come whole.
    #[error("the body of the request did not come whole")]
    Body(#[source] Broken),
    /// The body cannot be kept until it is whole.
    #[error("there is no place for the body of the request")]
    Spool(#[source] spool::Fault),
    /// A parameter does not fit into a record.
    #[error("a field of the request is too long for the application")]
    TooLong,
    /// A fault of ours.
    #[error("a thread for blocking work ended")]
    Internal,
}

impl Fault {
    fn status(&self) -> u16 {
        match self {
            Self::Full | Self::Refused(Status::Overloaded) | Self::Spool(spool::Fault::Full) => 503,
            Self::ConnectTimeout | Self::Silent => 504,
            Self::Body(Broken::TooLarge) | Self::Spool(spool::Fault::TooLarge) => 413,
            // RFC 4918 §11.5.
            Self::Spool(spool::Fault::Disk) => 507,
            Self::Body(_) => 400,
            Self::TooLong => 431,
            Self::Internal | Self::Spool(_) => 500,
            _ => 502,
        }
    }

    /// The answer that says it to the client, and nothing of the application.
    pub(super) fn answer(&self) -> Answer {
        let text = match self.status() {
            503 => "503 The application has too much to do at the moment.\n",
            504 => "504 The application did not answer in time.\n",
            413 => "413 The body of the request is too large.\n",
            400 => "400 The body of the request did not come whole.\n",
            431 => "431 A field of the request is too long for the application.\n",
            507 => "507 There is no room for the body of the request at the moment.\n",
            500 => "500 Something is wrong here.\n",
            _ => "502 The application gave no answer that can be passed on.\n",
        };
        let mut answer = Answer::bytes(self.status(), "text/plain; charset=utf-8", text);
        if self.status() == 503 {
            // Cannot fail: a name and a value as they should be.
            let _ = answer.fields.add("retry-after", RETRY_AFTER);
        }
        answer
    }

    /// Tells it in the log, once for each request.
    pub(super) fn log(&self, address: &Address, script: &Script) {
        let script = String::from_utf8_lossy(&script.names);
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        let source = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match self {
            Self::Body(_) | Self::TooLong | Self::Spool(spool::Fault::TooLarge) => {
                debug!(%address, %script, fault = %self, source, "a request was not passed to the application");
            }
            Self::Internal | Self::Spool(spool::Fault::Disk | spool::Fault::Io(_)) => {
                error!(%address, %script, fault = %self, source, "a request was not passed to the application");
            }
            Self::Full | Self::Spool(_) => {
                warn!(%address, %script, fault = %self, source, "a request was not passed to the application");
            }
            _ => warn!(%address, %script, fault = %self, source, "a request failed at the application"),
        }
    }
}

impl From<spool::Fault> for Fault {
    fn from(fault: spool::Fault) -> Self {
        match fault {
            spool::Fault::Broken(broken) => Self::Body(broken),
            other => Self::Spool(other),
        }
    }
}

/// What a body that breaks in the middle is told as.
impl From<&Fault> for Broken {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Records(_) | Fault::Length | Fault::Head(_) => Self::Malformed,
            _ => Self::Left,
        }
    }
}
