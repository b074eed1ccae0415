//! `POST send`: a message made from JSON and stored as one that came over SMTP is: on disk before the answer.
//!
//! Bounded by the request's body, which the protocol bounds, by the recipients an envelope may have, and by the names below.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Named;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use sportello_store::{Accept, Envelope, Incoming, MessageId, Origin, Place, Store, Summary};
use sportello_wire::date::mail_date;
use sportello_wire::mail::message::Summary as Read;
use sportello_wire::mail::{Address, ForwardPath};
use sportello_wire::smtp::client::canonical_lines;

use super::shape::{Mailbox, SendRequest, SentFile};
use crate::desk::Request;
use crate::failure::{Class, Failure};
use crate::mailbox::decode;
use crate::mailbox::structure::Encoding;

/// Stores the message that `sent` describes.
pub(super) async fn store(store: &Store, request: &Request, sent: SendRequest) -> Result<MessageId, Failure> {
    let envelope = envelope(&sent)?;
    // A message is never more than a little longer than the JSON that it was made from.
    let mut body = store.begin(Some(request.body.len() as u64))?;
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let stamp = Stamp {
        id: body.id().to_string(),
        unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX),
        sender: envelope.sender.clone(),
        peer: request.peer.ip().to_string(),
    };
    let (message, summary) =
        tokio::task::spawn_blocking(move || build(&stamp, sent)).await.map_err(Failure::internal)??;
    write(&mut body, &message).await?;
    let origin = Origin { peer: request.peer, helo: String::new(), channel: "desk".to_owned(), connection: 0 };
    let places = vec![Place::CAUGHT];
    Ok(store.accept(Accept { envelope, origin, summary, body, places, queue: Vec::new(), trace: None }).await?.id)
}

async fn write(body: &mut Incoming, message: &Bytes) -> Result<(), Failure> {
    for piece in message.chunks(PIECE) {
        body.write(piece).await?;
    }
    Ok(())
}

/// From whom and to whom; every address is one that SMTP would take.
fn envelope(sent: &SendRequest) -> Result<Envelope, Failure> {
    let sender = checked("From", &sent.from.email)?;
    let mut recipients = Vec::new();
    for (field, mailboxes) in [("To", &sent.to), ("Cc", &sent.cc)] {
        for mailbox in mailboxes {
            recipients.push(checked(field, &mailbox.email)?);
        }
    }
    for email in &sent.bcc {
        recipients.push(checked("Bcc", email)?);
    }
    for mailbox in &sent.reply_to {
        checked("Reply-To", &mailbox.email)?;
    }
    match recipients.len() {
        0 => Err(bad("no recipient: name one in To, Cc or Bcc")),
        1..=Envelope::MOST_RECIPIENTS => Ok(Envelope { sender, recipients }),
        _ => Err(Failure::new(Class::TooLarge, format!("at most {} recipients", Envelope::MOST_RECIPIENTS))),
    }
}

fn checked(field: &str, email: &str) -> Result<String, Failure> {
    let email = email.trim();
    // RFC 5321 §4.1.1.3: `Postmaster` alone is a recipient too.
    let known = Address::parse(email.as_bytes()).is_ok()
        || field != "From"
            && ForwardPath::parse(format!("<{email}>").as_bytes()).is_ok_and(|(_, rest)| rest.is_empty());
    if known { Ok(email.to_owned()) } else { Err(bad(format!("invalid {field} address: {email}"))) }
}

/// What is known of a message before it is made.
struct Stamp {
    id: String,
    unix_ms: u64,
    sender: String,
    peer: String,
}

/// The whole message, and what a list shows of it.
fn build(stamp: &Stamp, sent: SendRequest) -> Result<(Bytes, Summary), Failure> {
    let named = |mailboxes: &[Mailbox]| mailboxes.iter().map(person).collect::<Vec<_>>();
    let mut builder = MessageBuilder::new()
        .header("Date", Raw::new(mail_date(stamp.unix_ms / 1000)))
        .from(person(&sent.from))
        .subject(sent.subject.as_str());
    for (field, mailboxes) in [("To", &sent.to), ("Cc", &sent.cc), ("Reply-To", &sent.reply_to)] {
        if !mailboxes.is_empty() {
            builder = builder.header(field, Named::new_list(named(mailboxes)));
        }
    }
    let mut has_id = false;
    for (name, value) in &sent.headers {
        check_header(name, value)?;
        // The builder knows this one by this spelling only, and would add another.
        let is_id = name.eq_ignore_ascii_case("Message-ID");
        let name = if is_id { "Message-ID" } else { name.as_str() };
        has_id |= is_id;
        builder = if is_list_of_ids(name) && value.is_ascii() {
            builder.header(name, Raw::new(value.as_str()))
        } else {
            builder.header(name, Text::new(value.as_str()))
        };
    }
    if !has_id {
        builder = builder.message_id(format!("{}.{}@sportello.localhost", stamp.unix_ms, stamp.id));
    }
    if !sent.text.is_empty() || sent.html.is_empty() {
        builder = builder.text_body(sent.text.as_str());
    }
    if !sent.html.is_empty() {
        builder = builder.html_body(sent.html.as_str());
    }
    for file in &sent.attachments {
        builder = attached(builder, file)?;
    }
    let made = builder.write_to_vec().map_err(Failure::internal)?;
    let text = canonical_lines(&made);
    let summary = summary(Read::of(&text));
    let mut message = trace(stamp).into_bytes();
    message.extend_from_slice(&text);
    Ok((message.into(), summary))
}

/// Fields whose ids are no text and are never encoded (RFC 5322 §3.6.4).
fn is_list_of_ids(name: &str) -> bool {
    ["Message-ID", "In-Reply-To", "References"].iter().any(|field| field.eq_ignore_ascii_case(name))
}

fn attached<'a>(builder: MessageBuilder<'a>, file: &'a SentFile) -> Result<MessageBuilder<'a>, Failure> {
    let (media_type, bytes) = (media_type(file)?, content(file)?);
    if file.file_name.chars().any(char::is_control) {
        return Err(bad(format!("not the name of a file: {:?}", file.file_name)));
    }
    let id = file.content_id.trim_matches(['<', '>', ' ']);
    if id.is_empty() {
        return Ok(builder.attachment(media_type, file.file_name.as_str(), bytes));
    }
    check_header("Content-ID", id)?;
    let named = ContentType::new(media_type).attribute("name", file.file_name.as_str());
    Ok(builder.inline(named, id, bytes))
}

/// The fields a server writes at the final delivery (RFC 5321 §4.4).
fn trace(stamp: &Stamp) -> String {
    let Stamp { id, unix_ms, sender, peer } = stamp;
    let literal = if peer.contains(':') { format!("[IPv6:{peer}]") } else { format!("[{peer}]") };
    let date = mail_date(unix_ms / 1000);
    format!(
        "Return-Path: <{sender}>\r\nReceived: from {literal}\r\n\tby desk.localhost with HTTP id {id};\r\n\t{date}\r\n"
    )
}

fn summary(read: Read) -> Summary {
    Summary {
        from: read.from,
        to: read.to,
        subject: read.subject,
        date_unix: read.date_unix.and_then(|seconds| i64::try_from(seconds).ok()),
        message_id: read.message_id,
    }
}

fn person(mailbox: &Mailbox) -> Named<'static> {
    let name = Some(mailbox.name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
    Named::new_address(name, mailbox.email.trim().to_owned())
}

/// A field that may be added: its name is one (RFC 5322 §3.6.8), it is none that the message has already, and its value
/// cannot begin another.
fn check_header(name: &str, value: &str) -> Result<(), Failure> {
    let is_name = (1..=MOST_NAME).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, 33..=57 | 59..=126));
    if !is_name {
        return Err(bad(format!("not the name of a header field: {name:?}")));
    }
    if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(bad(format!("cannot overwrite header: {name:?}")));
    }
    if value.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(bad(format!("the value of the header {name:?} holds a control character")));
    }
    Ok(())
}

fn media_type(file: &SentFile) -> Result<String, Failure> {
    let given = file.content_type.trim();
    if given.is_empty() {
        return Ok(mime_guess::from_path(&file.file_name).first_or_octet_stream().essence_str().to_owned());
    }
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match given.split_once('/') {
        // RFC 2045 §5.1. A composite type would have to be taken apart.
        Some((kind, sub)) if is_token(kind) && is_token(sub) && !is_composite(kind) => Ok(given.to_ascii_lowercase()),
        _ => Err(bad(format!("not a media type for an attachment: {given:?}"))),
    }
}

fn is_composite(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("multipart") || kind.eq_ignore_ascii_case("message")
}

/// The bytes of a file. Browsers give `data:image/png;base64,…` where Base64 is asked for.
fn content(file: &SentFile) -> Result<Vec<u8>, Failure> {
    let text = file.content.rsplit(',').next().unwrap_or_default().trim();
    let digits = text.trim_end_matches('=');
    let whole = text.len().is_multiple_of(4) && text.len().saturating_sub(digits.len()) <= 2;
    // RFC 4648 §3.3: what is not of the alphabet is refused.
    if !whole || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/') {
        return Err(bad(format!("the content of the attachment {:?} is not Base64", file.file_name)));
    }
    Ok(decode::body(Encoding::Base64, text.as_bytes(), text.len()).content)
}

fn bad(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Class::BadRequest, sentence)
}

/// Fields that are made from the rest of the request, or by the server.
const OURS: &[&str] = &[
    "To",
    "From",
    "Cc",
    "Bcc",
    "Reply-To",
    "Date",
    "Subject",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Mime-Version",
    "Received",
    "Return-Path",
];

/// The longest name of a field; with its colon it fits a line (RFC 5322 §2.1.1).
const MOST_NAME: usize = 76;

/// Bytes given to the store at once.
const PIECE: usize = 64 * 1024;
