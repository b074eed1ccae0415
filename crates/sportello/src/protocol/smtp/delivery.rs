//! One message on its way from MAIL to the store.
//!
//! Knows no connection. What the store refuses becomes the reply the client reads; what is our own fault is logged here, once.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use sportello_net::Connection;
use sportello_service::failure::Class;
use sportello_service::status::said;
use sportello_store::queue::Outgoing;
use sportello_store::{Accept, Envelope, Error, Incoming, MessageId, Origin, Place, Store, Summary};
use sportello_wire::mail::header;
use sportello_wire::mail::message::Gatherer;
use sportello_wire::smtp::server::{self, Hello, Last, Reply, Session, Trace};
use tokio::time::Instant;

use super::Service;
use super::held::Held;
use super::sorting::Sorting;

/// A message that is coming. Dropping it forgets what has come.
#[derive(Debug)]
pub(super) struct Delivery {
    incoming: Incoming,
    /// What it holds of its source's share of the disk, where that is counted.
    held: Option<Held>,
    summary: Gatherer,
    opening: Option<Opening>,
    /// Where it goes, if not simply into the one inbox.
    sorting: Option<Box<Sorting>>,
}

/// Our fields, and the first bytes of the text while these do not tell whether the text has a header of its own. Where it has
/// none, as when a person types `Hello`, an empty line parts the two, or the text would be read as more header.
#[derive(Debug)]
struct Opening {
    fields: Vec<u8>,
    text: Vec<u8>,
}

impl Opening {
    /// How many bytes of text may be held back; no name of a field is longer.
    const MOST: usize = 256;
}

/// Where a message goes.
struct Goal {
    places: Vec<Place>,
    queue: Vec<Outgoing>,
    trace: Option<String>,
}

impl Goal {
    /// Into the one inbox.
    fn caught() -> Self {
        Self { places: vec![Place::CAUGHT], queue: Vec::new(), trace: None }
    }
}

/// What the log will say of a message; it outlives a [`Delivery`] that was refused in its middle.
#[derive(Debug)]
pub(super) struct Label {
    /// When MAIL came.
    pub(super) started: Instant,
    /// `alice@example.com → bob@example.org +2`.
    pub(super) who: String,
    /// Octets of text so far, as the client sent them.
    pub(super) size: u64,
}

impl Delivery {
    /// Asks the source's share and the store for a place, at MAIL (RFC 1870 §6.1 on `size`).
    pub(super) fn begin(service: &Service, source: Option<IpAddr>, size: Option<u64>) -> Result<Self, Reply> {
        let mut held = source.map(|source| Held::new(service.policy.share(source), &service.policy));
        cover(&mut held, size.unwrap_or(0))?;
        match service.store.begin(size) {
            Ok(incoming) => Ok(Self { incoming, held, summary: Gatherer::default(), opening: None, sorting: None }),
            Err(error) => Err(refused("begin", &error)),
        }
    }

    /// Goes where this will say.
    pub(super) fn sorted(self, sorting: Sorting) -> Self {
        Self { sorting: Some(Box::new(sorting)), ..self }
    }

    /// Where it goes, if not simply into the one inbox.
    pub(super) fn sorting(&mut self) -> Option<&mut Sorting> {
        self.sorting.as_deref_mut()
    }

    /// Makes the fields that come before the text, when the envelope is whole.
    pub(super) fn open(&mut self, service: &Service, session: &Session, connection: &Connection) {
        let (Some(hello), Some(envelope)) = (session.hello(), session.envelope()) else { return };
        let id = self.incoming.id().to_string();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let last = match &mut self.sorting {
            Some(sorting) => {
                sorting.open(&service.hostname, &id, &envelope.mail, seconds);
                if sorting.goes_on() { Last::No } else { Last::Yes }
            }
            None => Last::Yes,
        };
        let trace = Trace {
            hello,
            peer: connection.peer().ip(),
            by: &service.hostname,
            id: &id,
            envelope,
            secured: connection.secured().map(|secured| (secured.version, &*secured.suite)),
            authenticated: session.identity().is_some(),
            last,
            seconds,
        };
        self.opening = Some(Opening { fields: trace.to_bytes(), text: Vec::new() });
    }

    /// Takes the next bytes of the text; returns when the store has them.
    pub(super) async fn write(&mut self, text: &[u8]) -> Result<(), Reply> {
        if self.sorting.is_some() {
            return self.sort(text).await;
        }
        self.summary.push(text);
        let Some(mut opening) = self.opening.take() else { return self.store(text).await };
        let (first, rest) = text.split_at(text.len().min(Opening::MOST.saturating_sub(opening.text.len())));
        opening.text.extend_from_slice(first);
        let begins = header::begins(&opening.text);
        if begins.is_none() && opening.text.len() < Opening::MOST {
            self.opening = Some(opening);
            return Ok(());
        }
        if begins != Some(true) {
            opening.fields.extend_from_slice(b"\r\n");
        }
        opening.fields.append(&mut opening.text);
        self.store(&opening.fields).await?;
        self.store(rest).await
    }

    /// As [`Delivery::write`], where the header is changed as it passes.
    async fn sort(&mut self, text: &[u8]) -> Result<(), Reply> {
        let Some(sorting) = &mut self.sorting else { return Ok(()) };
        let mut fields = self.opening.take().map(|opening| opening.fields).unwrap_or_default();
        let ours = fields.len();
        let rest = sorting.write(text, &mut fields).await?;
        self.summary.push(fields.get(ours..).unwrap_or_default());
        self.summary.push(rest);
        self.store(&fields).await?;
        self.store(rest).await
    }

    /// The end of [`Delivery::sort`], and where the message goes.
    async fn sorted_out(&mut self, store: &Store, mail: Option<&server::Mail>) -> Result<Goal, Reply> {
        let (Some(sorting), Some(mail)) = (&mut self.sorting, mail) else { return Ok(Goal::caught()) };
        let mut fields = self.opening.take().map(|opening| opening.fields).unwrap_or_default();
        let ours = fields.len();
        sorting.finish(&mut fields).await?;
        let (front, trace) = sorting.judge().await?;
        let places = sorting.places(store).await.map_err(|error| refused("find mailboxes", &error))?;
        let queue = sorting.queue(mail);
        self.summary.push(fields.get(ours..).unwrap_or_default());
        self.store(&fields).await?;
        if !front.is_empty() {
            cover(&mut self.held, self.incoming.len().saturating_add(front.len() as u64))?;
            self.incoming.prepend(&front).await.map_err(|error| refused("write", &error))?;
        }
        Ok(Goal { places, queue, trace })
    }

    async fn store(&mut self, bytes: &[u8]) -> Result<(), Reply> {
        cover(&mut self.held, self.incoming.len().saturating_add(bytes.len() as u64))?;
        self.incoming.write(bytes).await.map_err(|error| refused("write", &error))
    }

    /// Gives the message to the store; returns when it is on disk.
    pub(super) async fn accept(
        mut self,
        store: &Store,
        session: &Session,
        connection: &Connection,
    ) -> Result<MessageId, Reply> {
        let envelope = session.envelope().map_or_else(Envelope::default, |envelope| Envelope {
            sender: envelope.mail.sender.to_string(),
            recipients: envelope.recipients.iter().map(|recipient| recipient.path.to_string()).collect(),
        });
        let origin = Origin {
            peer: connection.peer(),
            helo: session.hello().map_or("", Hello::name).to_owned(),
            channel: connection.channel().name.clone(),
            connection: connection.id(),
        };
        let mail = session.envelope().map(|envelope| &envelope.mail);
        let goal = self.sorted_out(store, mail);
        let Goal { places, queue, trace } = Box::pin(goal).await?;
        if let Some(opening) = self.opening.take() {
            self.store(&opening.fields).await?; // an empty message
        }
        let summary = self.summary.finish();
        let summary = Summary {
            from: summary.from,
            to: summary.to,
            subject: summary.subject,
            date_unix: summary.date_unix.and_then(|seconds| i64::try_from(seconds).ok()),
            message_id: summary.message_id,
        };
        let accept = Accept { envelope, origin, summary, body: self.incoming, places, queue, trace };
        match store.accept(accept).await {
            Ok(accepted) => Ok(accepted.id),
            Err(error) => Err(refused("accept", &error)),
        }
    }
}

/// Sees to it that the source's share, where it is counted, covers `bytes`.
fn cover(held: &mut Option<Held>, bytes: u64) -> Result<(), Reply> {
    held.as_mut().map_or(Ok(()), |held| held.cover(bytes))
}

impl Label {
    /// Begins at MAIL.
    pub(super) fn new(envelope: Option<&server::Envelope>) -> Self {
        let mut label = Self { started: Instant::now(), who: String::new(), size: 0 };
        label.name(envelope);
        label
    }

    /// Names sender and recipients as they are now.
    pub(super) fn name(&mut self, envelope: Option<&server::Envelope>) {
        let Some(envelope) = envelope else { return };
        self.who = format!("<{}>", envelope.mail.sender);
        // Writing to a String does not fail.
        if let Some(first) = envelope.recipients.first() {
            let _ = write!(self.who, " → <{}>", first.path);
        }
        if let more @ 1.. = envelope.recipients.len().saturating_sub(1) {
            let _ = write!(self.who, " +{more}");
        }
    }
}

/// The reply to what the store refused, and a word in the log: whoever runs this server must know that it loses mail.
fn refused(doing: &'static str, error: &Error) -> Reply {
    let class = match Class::from(error) {
        // The session's limits lie below the store's: what passes these is a fault of ours, and no mail is lost for it.
        Class::TooLarge => Class::Internal,
        // It was there at RCPT: the next try hears there that it is not.
        Class::NotFound => Class::TryAgain,
        class => class,
    };
    let text = match class {
        Class::DiskFull => "Error: no room on the disk, try again later",
        Class::StoreFailed => "Error: the store takes no mail, try again later",
        Class::MailboxFull => "Error: the mailbox is full, try again later",
        Class::Busy => "Error: the store is busy, try again later",
        _ => "Error: the message was not stored, try again later",
    };
    if matches!(class, Class::Busy | Class::MailboxFull) {
        tracing::warn!(doing, %error, "the store refuses mail");
    } else {
        tracing::error!(doing, error = error as &dyn std::error::Error, "the store refuses mail");
    }
    let (code, enhanced) = said(class).smtp;
    Reply::new(code, enhanced, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_refuses_is_for_now_never_for_ever() {
        for (error, expect) in [
            (Error::DiskFull, "452 4.3.1"),
            (Error::OverQuota, "452 4.2.2"),
            (Error::NoMailbox, "451 4.3.0"),
            (Error::Failed("sync".into()), "451 4.3.0"),
            (Error::Closed, "451 4.3.0"),
            (Error::Busy, "451 4.3.2"),
            (Error::Spoiled, "451 4.3.0"),
            (Error::Damaged("row".into()), "451 4.3.0"),
            (Error::TooMany { what: "recipients", most: 1 }, "451 4.3.0"),
        ] {
            let reply = refused("test", &error).to_string();
            assert!(reply.starts_with(expect), "{error}: {reply}");
        }
    }
}
