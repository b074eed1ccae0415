//! Which thing of the desk a request names. Paths of the desk need no percent-encoding, so one that has any names nothing.

use std::str::FromStr;

use crate::mailbox::MessageId;
use crate::web::Request;

/// Everything the desk can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The picture of the server.
    First,
    /// The list of messages, from the one after `before`.
    Inbox { before: Option<u64> },
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
    /// The form that deletes all messages.
    DeleteAll,
    /// The page about the JSON API.
    Reference,
    /// A file of ours, its name and the version asked for.
    Asset { version: String, name: String },
    /// `GET /api/v1/status`.
    ApiStatus,
    /// `GET /api/v1/events`.
    ApiEvents,
    /// `GET` and `DELETE /api/v1/messages`.
    ApiMessages,
    /// `GET` and `DELETE /api/v1/message/ID`.
    ApiMessage { id: MessageId },
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
            ["inbox"] => Self::Inbox { before: query(request, "before") },
            ["inbox", "delete-all"] => Self::DeleteAll,
            ["inbox", id] => Self::Message { id: message_id(id)?, view: View::Main },
            ["inbox", id, "text"] => Self::Message { id: message_id(id)?, view: View::Text },
            ["inbox", id, "headers"] => Self::Message { id: message_id(id)?, view: View::Headers },
            ["inbox", id, "tree"] => Self::Message { id: message_id(id)?, view: View::Tree },
            ["inbox", id, "attachments"] => Self::Message { id: message_id(id)?, view: View::Attachments },
            ["inbox", id, "source"] => Self::Message { id: message_id(id)?, view: View::Source },
            ["inbox", id, "html"] => Self::Frame { id: message_id(id)? },
            ["inbox", id, "raw"] | ["api", "v1", "message", id, "raw"] => Self::Raw { id: message_id(id)? },
            ["inbox", id, "part", number] => Self::Part { id: message_id(id)?, number: number.parse().ok()? },
            ["inbox", id, "delete"] => Self::Delete { id: message_id(id)? },
            ["inbox", id, "unread"] => Self::Unread { id: message_id(id)? },
            ["api", "v1", "status"] => Self::ApiStatus,
            ["api", "v1", "events"] => Self::ApiEvents,
            ["api", "v1", "messages"] => Self::ApiMessages,
            ["api", "v1", "message", id] => Self::ApiMessage { id: message_id(id)? },
            _ => return None,
        })
    }

    /// The methods it answers, as the `Allow` field lists them (RFC 9110 §10.2.1).
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Delete { .. } | Self::Unread { .. } | Self::DeleteAll => "POST",
            Self::ApiMessages | Self::ApiMessage { .. } => "GET, HEAD, DELETE",
            _ => "GET, HEAD",
        }
    }

    /// Whether it speaks JSON, also when it fails.
    pub(super) fn is_api(path: &str) -> bool {
        path.starts_with("/api/")
    }
}

/// One value of the query, where it is there and of its type.
pub(super) fn query<T: FromStr>(request: &Request, name: &str) -> Option<T> {
    let pairs = request.query.as_deref()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1.parse().ok()
}

fn message_id(text: &str) -> Option<MessageId> {
    text.parse().ok()
}

/// One more than the deepest route has, so that a longer path matches none.
const MOST_SEGMENTS: usize = 6;
