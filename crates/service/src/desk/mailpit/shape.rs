//! The JSON of Mailpit's API v1: the names and types that its clients read.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::excerpt::Excerpt;
use super::people::Person;

/// `GET messages`, `GET search`.
#[derive(Debug, Serialize)]
pub(super) struct MessagesSummary {
    /// Messages in the mailbox.
    pub total: u64,
    /// Unread ones of them.
    pub unread: u64,
    /// Messages in this answer; Mailpit keeps it for old clients.
    pub count: usize,
    /// Messages that the question matches.
    pub messages_count: u64,
    /// Unread ones of them.
    pub messages_unread: u64,
    /// How many were passed over.
    pub start: u64,
    /// Every tag in use.
    pub tags: Vec<String>,
    /// Newest first.
    pub messages: Vec<MessageSummary>,
}

/// A message in a list.
#[derive(Debug, Serialize)]
pub(super) struct MessageSummary {
    #[serde(rename = "ID")]
    pub id: String,
    /// Without its angle brackets.
    #[serde(rename = "MessageID")]
    pub message_id: String,
    #[serde(rename = "Read")]
    pub read: bool,
    #[serde(flatten, serialize_with = "told")]
    pub excerpt: Arc<Excerpt>,
    #[serde(rename = "Subject")]
    pub subject: String,
    /// When it was taken (RFC 3339).
    #[serde(rename = "Created")]
    pub created: String,
    #[serde(rename = "Tags")]
    pub tags: Vec<String>,
    #[serde(rename = "Size")]
    pub size: u64,
}

/// An excerpt is shared with all who read it, and so it is never copied.
fn told<S: Serializer>(excerpt: &Arc<Excerpt>, serializer: S) -> Result<S::Ok, S::Error> {
    excerpt.as_ref().serialize(serializer)
}

/// `GET message/{ID}`.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "MessageID")]
    pub message_id: String,
    #[serde(flatten)]
    pub people: super::people::People,
    #[serde(rename = "ReturnPath")]
    pub return_path: String,
    #[serde(rename = "Subject")]
    pub subject: String,
    #[serde(rename = "ListUnsubscribe")]
    pub list_unsubscribe: ListUnsubscribe,
    /// Its Date field, else when it was taken.
    #[serde(rename = "Date")]
    pub date: String,
    #[serde(rename = "Tags")]
    pub tags: Vec<String>,
    #[serde(rename = "Text")]
    pub text: String,
    #[serde(rename = "HTML")]
    pub html: String,
    #[serde(rename = "Size")]
    pub size: u64,
    /// What is shown within the message.
    #[serde(rename = "Inline")]
    pub inline: Vec<Attachment>,
    /// What is sent along with it.
    #[serde(rename = "Attachments")]
    pub attachments: Vec<Attachment>,
}

/// What the List-Unsubscribe fields say (RFC 2369, RFC 8058).
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListUnsubscribe {
    pub header: String,
    pub links: Vec<String>,
    pub errors: String,
    pub header_post: String,
}

/// A part that can be saved.
#[derive(Debug, Serialize)]
pub(super) struct Attachment {
    #[serde(rename = "PartID")]
    pub part_id: String,
    #[serde(rename = "FileName")]
    pub file_name: String,
    #[serde(rename = "ContentType")]
    pub content_type: String,
    #[serde(rename = "ContentID")]
    pub content_id: String,
    /// Bytes once decoded.
    #[serde(rename = "Size")]
    pub size: usize,
    #[serde(rename = "Checksums")]
    pub checksums: Checksums,
}

/// Hexadecimal digests of a part once decoded.
#[derive(Debug, Serialize)]
pub(super) struct Checksums {
    #[serde(rename = "MD5")]
    pub md5: String,
    #[serde(rename = "SHA1")]
    pub sha1: String,
    #[serde(rename = "SHA256")]
    pub sha256: String,
}

/// `GET info`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Info {
    pub version: String,
    /// This server asks nobody what the latest version is; it names its own.
    pub latest_version: String,
    pub database: String,
    /// Bytes of the messages.
    pub database_size: u64,
    pub messages: u64,
    pub unread: u64,
    pub tags: std::collections::BTreeMap<String, u64>,
    pub runtime_stats: RuntimeStats,
}

/// What happened since the start.
#[derive(Debug, Serialize)]
pub(super) struct RuntimeStats {
    /// Seconds.
    #[serde(rename = "Uptime")]
    pub uptime: u64,
    /// Bytes.
    #[serde(rename = "Memory")]
    pub memory: u64,
    #[serde(rename = "SMTPAccepted")]
    pub smtp_accepted: u64,
    #[serde(rename = "SMTPRejected")]
    pub smtp_rejected: u64,
    #[serde(rename = "SMTPIgnored")]
    pub smtp_ignored: u64,
}

/// `GET webui`: what of Mailpit's own pages would be switched on. Nothing is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WebUi {
    pub label: String,
    pub message_relay: MessageRelay,
    pub spam_assassin: bool,
    pub chaos_enabled: bool,
    pub duplicates_ignored: bool,
    pub hide_delete_all_button: bool,
}

/// Mail is not sent on.
#[derive(Debug, Default, Serialize)]
pub(super) struct MessageRelay {
    #[serde(rename = "Enabled")]
    pub enabled: bool,
    #[serde(rename = "SMTPServer")]
    pub smtp_server: String,
    #[serde(rename = "ReturnPath")]
    pub return_path: String,
    #[serde(rename = "AllowedRecipients")]
    pub allowed_recipients: String,
    #[serde(rename = "BlockedRecipients")]
    pub blocked_recipients: String,
    #[serde(rename = "OverrideFrom")]
    pub override_from: String,
    #[serde(rename = "PreserveMessageIDs")]
    pub preserve_message_ids: bool,
    #[serde(rename = "RecipientAllowlist")]
    pub recipient_allowlist: String,
}

/// The body of `PUT messages`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SetRead {
    #[serde(rename = "Read")]
    pub read: bool,
    #[serde(rename = "IDs")]
    pub ids: Vec<String>,
    #[serde(rename = "Search")]
    pub search: String,
}

/// The body of `DELETE messages`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chosen {
    #[serde(rename = "IDs")]
    pub ids: Vec<String>,
}

/// The body of `PUT tags`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SetTags {
    #[serde(rename = "IDs")]
    pub ids: Vec<String>,
    #[serde(rename = "Tags")]
    pub tags: Vec<String>,
}

/// The body of `PUT tags/{tag}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewName {
    pub name: String,
}

/// The body of `POST send`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SendRequest {
    #[serde(rename = "From")]
    pub from: Mailbox,
    #[serde(rename = "To")]
    pub to: Vec<Mailbox>,
    #[serde(rename = "Cc")]
    pub cc: Vec<Mailbox>,
    #[serde(rename = "Bcc")]
    pub bcc: Vec<String>,
    #[serde(rename = "ReplyTo")]
    pub reply_to: Vec<Mailbox>,
    #[serde(rename = "Subject")]
    pub subject: String,
    #[serde(rename = "Text")]
    pub text: String,
    #[serde(rename = "HTML")]
    pub html: String,
    #[serde(rename = "Attachments")]
    pub attachments: Vec<SentFile>,
    #[serde(rename = "Headers")]
    pub headers: std::collections::BTreeMap<String, String>,
    #[serde(rename = "Tags")]
    pub tags: Vec<String>,
}

/// Somebody in a `POST send`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Mailbox {
    pub name: String,
    pub email: String,
}

/// A file in a `POST send`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SentFile {
    /// Base64, with or without the beginning of a `data:` URL.
    #[serde(rename = "Content")]
    pub content: String,
    #[serde(rename = "Filename")]
    pub file_name: String,
    /// Guessed from the name when it is empty.
    #[serde(rename = "ContentType")]
    pub content_type: String,
    /// Given: the file is shown within the message.
    #[serde(rename = "ContentID")]
    pub content_id: String,
}

/// The answer to `POST send`.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    #[serde(rename = "ID")]
    pub id: String,
}

impl From<&Mailbox> for Person {
    fn from(mailbox: &Mailbox) -> Self {
        Self { name: mailbox.name.clone(), address: mailbox.email.clone() }
    }
}
