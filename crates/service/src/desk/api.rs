//! The JSON beneath the pages. Shapes are documented on `/api` (`reference.rs`) and tested against it.

use bytes::Bytes;
use serde::Serialize;
use sportello_store::MessageRow;

use super::format;
use crate::mailbox::letter::Origin;
use crate::mailbox::structure::{Disposition, Encoding, Kind};
use crate::mailbox::{Letter, saved_name};
use crate::web::Answer;

/// `GET /api/v1/messages`.
#[derive(Serialize)]
pub(super) struct MessageList {
    /// Newest first.
    pub messages: Vec<MessageSummary>,
    /// How many there are in all.
    pub total: u64,
    /// How many of them are unread.
    pub unread: u64,
    /// The `before` of the next page; null on the last one.
    pub next: Option<u32>,
}

/// A message in a list.
#[derive(Serialize)]
pub(super) struct MessageSummary {
    id: String,
    uid: u32,
    seen: bool,
    size: u64,
    received: String,
    sender: String,
    recipients: Vec<String>,
    from: String,
    to: String,
    subject: String,
    date_unix: Option<i64>,
    message_id: String,
    peer: String,
}

impl MessageSummary {
    /// What a list tells of a row.
    pub(super) fn of(row: &MessageRow) -> Self {
        Self {
            id: row.id.to_string(),
            uid: row.uid.0,
            seen: row.flags.seen(),
            size: row.size,
            received: format::rfc3339(row.received_ms),
            sender: row.envelope.sender.clone(),
            recipients: row.envelope.recipients.clone(),
            from: row.summary.from.clone(),
            to: row.summary.to.clone(),
            subject: row.summary.subject.clone(),
            date_unix: row.summary.date_unix,
            message_id: row.summary.message_id.clone(),
            peer: row.origin.peer.to_string(),
        }
    }
}

/// `GET /api/v1/message/ID`.
#[derive(Serialize)]
pub(super) struct MessageDetail {
    #[serde(flatten)]
    summary: MessageSummary,
    headers: Vec<(String, String)>,
    text: Option<String>,
    text_made_from_html: bool,
    html: Option<String>,
    parts: Vec<PartDetail>,
    attachments: Vec<usize>,
    cut: bool,
}

#[derive(Serialize)]
struct PartDetail {
    number: usize,
    parent: Option<usize>,
    kind: &'static str,
    media_type: String,
    charset: Option<String>,
    name: String,
    content_id: Option<String>,
    disposition: &'static str,
    encoding: &'static str,
    encoded_bytes: usize,
}

impl MessageDetail {
    /// All that is told of a message.
    pub(super) fn of(row: &MessageRow, letter: Letter) -> Self {
        let parts = letter
            .structure
            .parts
            .iter()
            .map(|part| PartDetail {
                number: part.number,
                parent: part.parent,
                kind: match part.kind {
                    Kind::Leaf => "leaf",
                    Kind::Multipart => "multipart",
                    Kind::Message => "message",
                },
                media_type: part.media_type.clone(),
                charset: part.charset.clone(),
                name: saved_name(part),
                content_id: part.content_id.clone(),
                disposition: match part.disposition {
                    Disposition::Inline => "inline",
                    Disposition::Attachment => "attachment",
                },
                encoding: match part.encoding {
                    Encoding::Identity => "identity",
                    Encoding::Base64 => "base64",
                    Encoding::QuotedPrintable => "quoted-printable",
                },
                encoded_bytes: part.encoded_len(),
            })
            .collect();
        Self {
            summary: MessageSummary::of(row),
            headers: letter.fields.into_iter().map(|field| (field.name, field.value)).collect(),
            text_made_from_html: letter.text.as_ref().is_some_and(|text| text.origin == Origin::MadeFromHtml),
            text: letter.text.map(|text| text.text),
            html: letter.html.map(|html| html.text),
            parts,
            attachments: letter.attachments,
            cut: letter.cut,
        }
    }
}

/// `DELETE`.
#[derive(Serialize)]
pub(super) struct Deleted {
    /// How many messages are gone.
    pub deleted: usize,
}

/// Any failure.
#[derive(Serialize)]
pub(super) struct Refusal<'a> {
    /// Why, in a sentence.
    pub error: &'a str,
}

/// A value as an answer.
pub(super) fn json(status: u16, value: &impl Serialize) -> Answer {
    // Invariant: what is serialised here has text keys and no other way to fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    Answer::bytes(status, "application/json", Bytes::from(text))
}
