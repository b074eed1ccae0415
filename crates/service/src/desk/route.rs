//! Which thing of the desk a request names. Paths of its pages need no percent-encoding, so one that has any names nothing.

use super::mailpit::Call;
use crate::desk::Request;
use crate::mailbox::MessageId;

/// Everything the desk can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The picture of the server.
    First,
    /// The list of messages, or of those that a search finds.
    Inbox,
    /// A message, seen one way.
    Message { id: MessageId, view: View },
    /// The document in the frame that shows a message's HTML.
    Frame { id: MessageId },
    /// A part to save.
    Part { id: MessageId, number: usize },
    /// The message to save, byte for byte.
    Raw { id: MessageId },
    /// The form that deletes a message.
    Delete { id: MessageId },
    /// The form that marks a message unread.
    Unread { id: MessageId },
    /// The form that gives a message its tags.
    SetTags { id: MessageId },
    /// The form that does something to chosen messages.
    Selected,
    /// The form that marks all messages read.
    ReadAll,
    /// The form that deletes all messages.
    DeleteAll,
    /// The mail for other servers.
    Queue,
    /// What of a message is still to be sent.
    Queued { id: MessageId },
    /// The kept SMTP sessions.
    Sessions,
    /// One of them, by its connection.
    Session { connection: u64 },
    /// The form that keeps or forgets them.
    Keep,
    /// The page about the JSON API.
    Reference,
    /// A file of ours, its name and the version asked for.
    Asset { version: String, name: String },
    /// `GET /api/v1/status`.
    ApiStatus,
    /// `GET /api/v1/events`.
    ApiEvents,
    /// `GET /metrics`.
    Metrics,
    /// A call of Mailpit's API.
    Mailpit(Call),
}

/// The ways to see a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// As HTML, or as text where there is none.
    Main,
    /// As text.
    Text,
    /// Its header fields.
    Headers,
    /// Its MIME parts.
    Tree,
    /// What can be saved.
    Attachments,
    /// Its bytes.
    Source,
}

impl Route {
    /// The route a request's target names.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let segments: Vec<&str> = request.path.strip_prefix('/')?.splitn(MOST_SEGMENTS, '/').collect();
        Some(match segments.as_slice() {
            [""] => Self::First,
            ["api"] => Self::Reference,
            ["favicon.ico"] => Self::Asset { version: String::new(), name: "icon.svg".to_owned() },
            ["assets", version, name] => Self::Asset { version: (*version).to_owned(), name: (*name).to_owned() },
            ["inbox"] => Self::Inbox,
            ["inbox", "selected"] => Self::Selected,
            ["inbox", "read-all"] => Self::ReadAll,
            ["inbox", "delete-all"] => Self::DeleteAll,
            ["queue"] => Self::Queue,
            ["queue", id] => Self::Queued { id: message_id(id)? },
            ["sessions"] => Self::Sessions,
            ["sessions", "keep"] => Self::Keep,
            ["sessions", connection] => Self::Session { connection: connection.parse().ok()? },
            ["inbox", id] => Self::Message { id: message_id(id)?, view: View::Main },
            ["inbox", id, "text"] => Self::Message { id: message_id(id)?, view: View::Text },
            ["inbox", id, "headers"] => Self::Message { id: message_id(id)?, view: View::Headers },
            ["inbox", id, "tree"] => Self::Message { id: message_id(id)?, view: View::Tree },
            ["inbox", id, "attachments"] => Self::Message { id: message_id(id)?, view: View::Attachments },
            ["inbox", id, "source"] => Self::Message { id: message_id(id)?, view: View::Source },
            ["inbox", id, "html"] => Self::Frame { id: message_id(id)? },
            ["inbox", id, "raw"] => Self::Raw { id: message_id(id)? },
            ["inbox", id, "part", number] => Self::Part { id: message_id(id)?, number: number.parse().ok()? },
            ["inbox", id, "delete"] => Self::Delete { id: message_id(id)? },
            ["inbox", id, "tags"] => Self::SetTags { id: message_id(id)? },
            ["inbox", id, "unread"] => Self::Unread { id: message_id(id)? },
            ["api", "v1", "status"] => Self::ApiStatus,
            ["api", "v1", "events"] => Self::ApiEvents,
            ["metrics"] => Self::Metrics,
            segments => Self::Mailpit(Call::of(segments)?),
        })
    }

    /// The methods it answers, as the `Allow` field lists them (RFC 9110 §10.2.1).
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Delete { .. } | Self::Unread { .. } | Self::SetTags { .. } => "POST",
            Self::Selected | Self::ReadAll | Self::DeleteAll | Self::Keep => "POST",
            Self::Mailpit(call) => call.allow(),
            _ => "GET, HEAD",
        }
    }

    /// Whether it speaks JSON, also when it fails.
    pub(super) fn is_api(path: &str) -> bool {
        let plain = ["/livez", "/readyz", "/metrics"];
        path.starts_with("/api/") || path.starts_with("/view/") || plain.contains(&path)
    }
}

fn message_id(text: &str) -> Option<MessageId> {
    text.parse().ok()
}

/// One more than the deepest route has, so that a longer path matches none.
const MOST_SEGMENTS: usize = 8;
