//! Mail coming in: one SMTP session per connection.
//!
//! `session` moves bytes between the connection and the state machine of `sportello_wire::smtp::server`; `delivery` takes one
//! message to the store. Where mail is only caught, every recipient is taken and goes into the one inbox; else `office` is asked who
//! may log in and what an address means, and `sorting` holds where the message goes. 250 is said when the message is on disk, not
//! before. Bounded by: the session's [`Limits`], the source's rates and
//! its share of the disk ([`Policy`]), the channel's deadlines, the store's memory and disk.

mod admission;
mod arrival;
mod delivery;
mod held;
mod login;
mod office;
mod policy;
mod refusals;
mod session;
mod sorting;

use std::sync::Arc;

use sportello_net::tls::Terms;
use sportello_net::{Buffer, Connection};
use sportello_service::conversations::Conversations;
use sportello_store::Store;
use sportello_wire::mail::Domain;
pub use sportello_wire::smtp::server::Limits;
use sportello_wire::smtp::server::Role;

pub use self::office::Office;
pub use self::policy::{Domains, Local, Policy, Purpose, Settings};
pub use self::refusals::{Reason, Refusals};
use self::session::{Conversation, Parting};
use crate::current::Current;

/// What every session of a channel has in common.
#[derive(Clone, Debug)]
pub struct Service {
    store: Store,
    hostname: Arc<str>,
    limits: Arc<Limits>,
    policy: Arc<Policy>,
    conversations: Conversations,
    /// On what terms a client may ask for TLS.
    terms: Option<Arc<Terms>>,
    /// Whom to ask, where mail is more than caught.
    office: Option<Office>,
    role: Role,
}

impl Service {
    /// A service that keeps mail in `store`, and sessions in `conversations` when asked to, and greets as `hostname`; what is
    /// no domain name becomes `localhost`. `policy` is the channel's, the same for all workers.
    pub fn new(store: Store, hostname: &str, policy: Arc<Policy>, conversations: Conversations) -> Self {
        let mut limits = policy.limits.clone();
        // A command is read into one buffer.
        limits.command_line = limits.command_line.min(Buffer::CAPACITY);
        let hostname = match Domain::parse(hostname.as_bytes()) {
            Ok(domain) if domain.is_ascii() => hostname.into(),
            _ => "localhost".into(),
        };
        Self {
            store,
            hostname,
            limits: limits.into(),
            policy,
            conversations,
            terms: None,
            office: None,
            role: Role::Capture,
        }
    }

    /// One whose mail goes where `office` says.
    #[must_use]
    pub fn asking(self, office: Office, purpose: Purpose) -> Self {
        let role = match purpose {
            Purpose::Exchange => Role::Exchange,
            Purpose::Submission => Role::Submission,
        };
        Self { office: Some(office), role, ..self }
    }

    /// One that offers STARTTLS on these terms, where there are any.
    #[must_use]
    pub fn offering(self, terms: Option<Arc<Terms>>) -> Self {
        Self { terms, ..self }
    }
}

/// Serves one connection to its end. Dropping the future closes the connection; a message that is just being stored may then
/// be stored or not, and the client, which has read no 250, sends it again.
pub fn serve(connection: Connection, service: impl Into<Current<Service>>) -> impl Future<Output = ()> {
    converse(connection, service.into())
}

async fn converse(connection: Connection, service: Current<Service>) {
    let mut conversation = Conversation::new(connection, service);
    if conversation.run().await == Parting::Close {
        // In a box, so that no session has to be large for its last moments.
        Box::pin(conversation.into_connection().close()).await;
    }
}

#[cfg(test)]
mod tests;
