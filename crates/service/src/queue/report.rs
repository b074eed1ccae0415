//! The report to a sender: a message of our own, for a mailbox here or for the queue.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::time::{Duration, UNIX_EPOCH};

use sportello_store::queue::{Entry, Options, Outgoing, Priority, Recipient, Script, To};
use sportello_store::{Accept, Envelope, Error, Origin, Store, StoredBody, Summary};
use sportello_wire::mail::header::{self, Fields};
use sportello_wire::mail::report::{Action, OnRecipient, Report, Returned, Written};
use sportello_wire::mail::{Notify, Ret};
use sportello_wire::smtp::server::BodyType;

use super::decide::Told;
use super::house::Home;

/// The largest message that comes back whole.
const MOST_RETURNED: u64 = 64 << 10;
/// The most bytes of a header that come back.
const MOST_HEADER: usize = 32 << 10;

/// What a report is on.
pub(super) struct Subject<'a> {
    pub(super) entry: &'a Entry,
    pub(super) told: &'a [Told],
    pub(super) body: Option<&'a StoredBody>,
}

/// A report, ready to be accepted; `None` where nobody has the sender's address. Never on mail of the null sender, which is
/// a report itself (RFC 5321 §4.5.5): that is the caller's to know.
pub(super) async fn make(
    store: &Store,
    (by, home): (&str, Home),
    subject: Subject<'_>,
    now_ms: u64,
) -> Result<Option<Accept>, Error> {
    let (places, elsewhere) = match home {
        Home::Here(places) => (places, None),
        Home::Elsewhere(destination, address) => (Vec::new(), Some((destination, address))),
        Home::Nowhere => return Ok(None),
    };
    let mut body = store.begin(None)?;
    let written = write(by, &body.id().to_string(), &subject, now_ms).await;
    if elsewhere.is_none() {
        // RFC 5321 §4.4: the server of the final delivery.
        body.write(b"Return-Path: <>\r\n").await?;
    }
    body.write(&written.bytes).await?;
    let sender = &subject.entry.sender;
    let queue = elsewhere.map(|(destination, address)| Outgoing {
        sender: String::new(),
        recipients: vec![To { destination, recipient: Recipient { address, notify: Notify::NEVER, original: None } }],
        options: Options {
            script: if written.is_international { Script::Utf8 } else { Script::Ascii },
            body: if written.is_eight_bit { BodyType::EightBitMime } else { BodyType::SevenBit },
            ..Options::default()
        },
        priority: Priority::Normal,
    });
    let summary = Summary {
        from: written.from,
        to: sender.clone(),
        subject: written.subject.to_owned(),
        date_unix: i64::try_from(now_ms / 1000).ok(),
        message_id: written.message_id,
    };
    let origin = Origin {
        peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        helo: by.to_owned(),
        channel: "queue".to_owned(),
        connection: 0,
    };
    let envelope = Envelope { sender: String::new(), recipients: vec![sender.clone()] };
    Ok(Some(Accept { envelope, origin, summary, body, places, queue: queue.into_iter().collect(), trace: None }))
}

async fn write(by: &str, id: &str, subject: &Subject<'_>, now_ms: u64) -> Written {
    let Subject { entry, told, body } = subject;
    let is_failure = told.iter().any(|told| told.action == Action::Failed);
    // RFC 3461 §4.3: RET is about failures. What is not made of lines does not fit into a message of lines.
    let may_be_whole =
        is_failure && entry.options.ret != Some(Ret::Headers) && entry.options.body != BodyType::BinaryMime;
    let original = match body {
        Some(body) => beginning(body).await,
        None => Vec::new(),
    };
    let is_whole = body.is_some_and(|body| body.length() == original.len() as u64);
    let returned = if may_be_whole && is_whole { Returned::Message(&original) } else { header_of(&original) };
    let message_id = Fields::new(&original).find(|field| field.is("Message-ID")).map(|field| field.text(900));
    let recipients: Vec<OnRecipient<'_>> = told
        .iter()
        .map(|told| OnRecipient {
            address: &told.recipient.address,
            original: told.recipient.original.as_deref(),
            action: told.action,
            status: told.answer.status,
            server: told.server.as_deref(),
            text: &told.answer.text,
            until: told.until_ms.map(|ms| ms / 1000),
        })
        .collect();
    Report {
        by,
        to: &entry.sender,
        id,
        seconds: now_ms / 1000,
        arrived: entry.created_ms / 1000,
        envelope_id: entry.options.envelope_id.as_deref(),
        message_id: message_id.as_deref(),
        recipients: &recipients,
        returned,
    }
    .write()
}

/// The whole message if it is small enough to come back, else as much as a header may have.
async fn beginning(body: &StoredBody) -> Vec<u8> {
    let most = if body.length() <= MOST_RETURNED { MOST_RETURNED } else { MOST_HEADER as u64 };
    let length = usize::try_from(body.length().min(most)).unwrap_or(MOST_HEADER);
    match body {
        StoredBody::Memory(bytes) => bytes.get(..length).unwrap_or_default().to_vec(),
        StoredBody::File { file, .. } => {
            let file = std::sync::Arc::clone(file);
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, 0).map(|()| bytes)
            });
            match read.await {
                Ok(Ok(bytes)) => bytes,
                // What cannot be read is not told of.
                Ok(Err(_)) | Err(_) => Vec::new(),
            }
        }
    }
}

/// Its header, whole lines of it.
fn header_of(message: &[u8]) -> Returned<'_> {
    let end = header::end(message).unwrap_or(message.len()).min(MOST_HEADER);
    let header = message.get(..end).unwrap_or_default();
    let end = header.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let header = header.get(..end).unwrap_or_default();
    // Without the empty line at its end.
    Returned::Header(header.strip_suffix(b"\r\n").filter(|header| header.ends_with(b"\r\n")).unwrap_or(header))
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(moment: std::time::SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis().try_into().unwrap_or(u64::MAX)
}
