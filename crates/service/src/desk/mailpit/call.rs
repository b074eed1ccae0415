//! Which call of Mailpit's API a request's path names.

use crate::desk::form::{Plus, decoded};
use crate::mailbox::MessageId;

/// Everything of Mailpit's API that this desk knows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::desk) enum Call {
    /// `/api/v1/messages`.
    Messages,
    /// `/api/v1/search`.
    Search,
    /// `/api/v1/send`.
    Send,
    /// `/api/v1/tags`.
    Tags,
    /// `/api/v1/tags/{tag}`.
    Tag(String),
    /// `/api/v1/message/{ID}`.
    Message(Which),
    /// `/api/v1/message/{ID}/headers`.
    Headers(Which),
    /// `/api/v1/message/{ID}/raw`.
    Raw(Which),
    /// `/api/v1/message/{ID}/part/{PartID}`.
    Part(Which, usize),
    /// `/api/v1/info`.
    Info,
    /// `/api/v1/webui`.
    WebUi,
    /// `/view/{ID}.html`.
    Html(Which),
    /// `/view/{ID}.txt`.
    Text(Which),
    /// `/livez`: the process answers.
    Alive,
    /// `/readyz`: mail can be taken.
    Ready,
    /// Something that Mailpit has and this server has not, and what to say of it.
    NotBuilt(&'static str),
}

/// Which message a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) enum Which {
    /// The newest.
    Latest,
    /// This one.
    Id(MessageId),
    /// None that there ever was.
    Nothing,
}

impl Which {
    fn of(text: &str) -> Self {
        if text == "latest" { Self::Latest } else { text.parse().map_or(Self::Nothing, Self::Id) }
    }
}

impl Call {
    /// The call that these segments of a path name.
    pub(in crate::desk) fn of(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["api", "v1", rest @ ..] => Self::below_v1(rest)?,
            ["api", "events"] => {
                Self::NotBuilt("there is no WebSocket here; GET /api/v1/events gives the same as server-sent events")
            }
            ["view", name] => match name.rsplit_once('.') {
                Some((id, "html")) => Self::Html(Which::of(id)),
                Some((id, "txt")) => Self::Text(Which::of(id)),
                _ => return None,
            },
            ["livez"] => Self::Alive,
            ["readyz"] => Self::Ready,
            _ => return None,
        })
    }

    fn below_v1(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["messages"] => Self::Messages,
            ["search"] => Self::Search,
            ["send"] => Self::Send,
            ["tags"] => Self::Tags,
            ["tags", tag] => Self::Tag(decoded(tag.as_bytes(), Plus::Itself)),
            ["info"] => Self::Info,
            ["webui"] => Self::WebUi,
            ["message", id] => Self::Message(Which::of(id)),
            ["message", id, "headers"] => Self::Headers(Which::of(id)),
            ["message", id, "raw"] => Self::Raw(Which::of(id)),
            ["message", id, "part", part] => Self::Part(Which::of(id), part.parse().unwrap_or(usize::MAX)),
            ["message", _, "part", _, "thumb"] => Self::NotBuilt("this server makes no thumbnails of attachments"),
            ["message", _, "html-check"] => Self::NotBuilt("this server does not check HTML against mail programs"),
            ["message", _, "link-check"] => Self::NotBuilt("this server does not follow the links of a message"),
            ["message", _, "sa-check"] => Self::NotBuilt("this server has no SpamAssassin"),
            ["message", _, "release"] => Self::NotBuilt("this server catches mail and sends none on"),
            ["chaos"] => Self::NotBuilt("this server does not fail on purpose"),
            _ => return None,
        })
    }

    /// The methods it answers, as the `Allow` field lists them (RFC 9110 §10.2.1).
    pub(in crate::desk) fn allow(&self) -> &'static str {
        match self {
            Self::Messages => "GET, HEAD, PUT, DELETE",
            Self::Search => "GET, HEAD, DELETE",
            Self::Send => "POST",
            Self::Tags => "GET, HEAD, PUT",
            Self::Tag(_) => "PUT, DELETE",
            Self::NotBuilt(_) => "GET, HEAD, POST, PUT",
            _ => "GET, HEAD",
        }
    }
}
