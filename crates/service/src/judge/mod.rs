//! What is to be thought of mail that arrives: who sent it, who signed it, who stands behind it, and what follows from that.
//!
//! Knows no session and no mailbox. In three steps, each when its facts are there: the client ([`Judge::connected`]), the sender
//! ([`Judge::sender`]), the message ([`Judge::message`], over what a [`Hearing`] has read of it). What follows from them is said by a
//! [`Policy`], so that recipients may have different ones. Every step leaves its part of one trace.
//!
//! DKIM, ARC and DMARC are `mail-auth`'s, which is told what we looked up and asks nobody; SPF is ours ([`spf`]).
//!
//! Bounded by: [`TIME`] for each step, [`QUESTIONS`] look-ups, and what the modules below name. Dropping a future drops its look-ups.

pub mod dmarc;
mod field;
mod hearing;
mod known;
pub mod policy;
mod questions;
pub mod signatures;
pub mod source;
pub mod spf;
mod trace;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::MessageAuthenticator;

pub use dmarc::Dmarc;
pub use hearing::{FIELDS_MOST, HEADER_LARGEST, Heard, Hearing};
pub use policy::{Action, Judging, Policy, Refusal, Rules, Treatment, Trouble};
pub use signatures::{Chain, Signature};
pub use source::Source;
pub use spf::Spf;
pub use trace::Decision;

use crate::dns::Dns;
use known::caught;
use questions::Questions;

/// How long one of the three steps may take.
pub const TIME: Duration = Duration::from_secs(7);
/// The most look-ups of one step.
pub const QUESTIONS: usize = 100;

/// Who judges.
#[derive(Clone)]
pub struct Judge {
    dns: Arc<dyn Dns>,
    engine: MessageAuthenticator,
    settings: Arc<Settings>,
}

/// What is the same for all mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// By which name we write `Authentication-Results` (RFC 8601 §2.5).
    pub server: String,
}

/// What is known of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Of its client.
    pub source: Source,
    /// Of its sender.
    pub spf: Spf,
    /// Of those who signed it.
    pub dkim: Vec<Signature>,
    /// Of those who passed it on.
    pub arc: Chain,
    /// Of its author.
    pub dmarc: Dmarc,
    server: String,
    passed_over: usize,
    refused: Option<&'static str>,
}

/// What is to be done with a message for one recipient's domain, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be done.
    pub action: Action,
    /// Every step to it.
    pub trace: Vec<Decision>,
}

/// The part of `mail-auth` that would ask name servers cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the verifier of signatures cannot be made: {0}")]
pub struct JudgeError(String);

impl std::fmt::Debug for Judge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Judge").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Judge {
    /// Judges by what `dns` says.
    pub fn new(settings: Settings, dns: Arc<dyn Dns>) -> Result<Self, JudgeError> {
        let nobody = ResolverConfig::from_name_servers(Vec::new());
        let engine = MessageAuthenticator::new(nobody, ResolverOpts::default());
        let engine = engine.map_err(|error| JudgeError(error.to_string()))?;
        Ok(Self { dns, engine, settings: Arc::new(settings) })
    }

    /// Looks at a client: its name, and what these lists say, at most [`LISTS_MOST`](source::LISTS_MOST) of them.
    pub async fn connected(&self, address: IpAddr, lists: &[String]) -> Source {
        let mut questions = self.questions();
        let (iprev, listings) =
            tokio::join!(source::iprev(&mut questions, address), source::listings(&*self.dns, TIME, address, lists),);
        Source { address, iprev, listings }
    }

    /// Looks at a sender: the address of MAIL FROM (empty for the null one), or the name in HELO.
    pub async fn sender(&self, address: IpAddr, helo: &str, mail_from: &str) -> Spf {
        let client = spf::Client { address, helo, sender: mail_from, receiver: &self.settings.server };
        let mut questions = self.questions();
        spf::check(&mut questions, client).await
    }

    /// Looks at a message that was read whole.
    pub async fn message(&self, source: Source, spf: Spf, heard: &Heard) -> Findings {
        let mut questions = self.questions();
        let signatures::Signatures { dkim, arc, passed_over } =
            signatures::verify(&mut questions, &self.engine, heard).await;
        let from = caught(|| heard.signed().map(|message| message.from)).flatten().unwrap_or_default();
        let mut questions = self.questions();
        let dmarc = dmarc::check(&mut questions, &self.engine, &from, &spf, &dkim).await;
        let server = self.settings.server.clone();
        Findings { source, spf, dkim, arc, dmarc, server, passed_over, refused: heard.refused }
    }

    fn questions(&self) -> Questions<'_> {
        Questions::new(&*self.dns, QUESTIONS, TIME)
    }
}

impl Findings {
    /// What follows.
    pub fn judge(&self, policy: &Policy) -> Judgement {
        let by_source = policy.of_source(&self.source);
        let by_sender = policy.of_sender(&self.spf);
        let by_author = policy.of_author(&self.dmarc);
        let action = by_source.max(by_sender).max(by_author);
        let trace = trace::of(self, &action);
        Judgement { action, trace }
    }

    /// The field that the message is to carry, with its line end. What of that name and by our server the message has already is
    /// somebody's lie, and must be taken out (RFC 8601 §5).
    pub fn field(&self) -> Vec<u8> {
        let mut field = field::Field::new(&self.server);
        field.source(&self.source);
        field.spf(&self.spf);
        field.signatures(&self.dkim);
        field.chain(&self.arc);
        field.dmarc(&self.dmarc);
        field.finish()
    }
}

#[cfg(test)]
mod tests;
