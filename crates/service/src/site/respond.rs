//! `respond`: a fixed answer.

use bytes::Bytes;
use thiserror::Error;

use crate::web::{Answer, Body};

/// A status and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    status: u16,
    text: Bytes,
    media_type: Box<str>,
}

/// What cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRespond {
    /// RFC 9110 §15.
    #[error("{0} ends no request; there are 200 to 599")]
    Status(u16),
    /// RFC 9110 §6.4.1.
    #[error("an answer with the status {0} has no text")]
    Text(u16),
    /// What no field may hold.
    #[error("this is no media type; write \"text/html\" or another one")]
    MediaType,
}

impl Respond {
    /// The media type where none is named.
    const USUAL: &str = "text/plain; charset=utf-8";

    /// A status, and a text of a media type; plain where none is named.
    ///
    /// # Errors
    /// When such an answer cannot be sent.
    pub fn new(status: u16, text: &str, media_type: Option<&str>) -> Result<Self, BadRespond> {
        if !(200..=599).contains(&status) {
            return Err(BadRespond::Status(status));
        }
        if matches!(status, 204 | 205 | 304) && !text.is_empty() {
            return Err(BadRespond::Text(status));
        }
        let is_one = |text: &str| {
            text.is_ascii()
                && !text.chars().any(char::is_control)
                && text.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty())
        };
        if media_type.is_some_and(|text| !is_one(text)) {
            return Err(BadRespond::MediaType);
        }
        Ok(Self {
            status,
            text: Bytes::copy_from_slice(text.as_bytes()),
            media_type: media_type.unwrap_or(Self::USUAL).into(),
        })
    }

    /// The answer.
    pub(super) fn answer(&self) -> Answer {
        let answer = Answer::empty(self.status);
        if self.text.is_empty() {
            return answer;
        }
        let media_type = self.media_type.clone().into_string();
        let answer = answer.with("content-type", media_type).with("x-content-type-options", "nosniff");
        answer.over(Body::Bytes(self.text.clone()))
    }

    /// As it is told.
    pub fn told(&self) -> String {
        format!("{}: {} bytes that are written there", self.status, self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_answered() {
        for (status, text, media_type, expect) in [
            (200, "pong", None, Ok(())),
            (204, "", None, Ok(())),
            (599, "", None, Ok(())),
            (199, "", None, Err(BadRespond::Status(199))),
            (600, "", None, Err(BadRespond::Status(600))),
            (204, "a", None, Err(BadRespond::Text(204))),
            (304, "a", None, Err(BadRespond::Text(304))),
            (200, "a", Some("text/html"), Ok(())),
            (200, "a", Some("html"), Err(BadRespond::MediaType)),
            (200, "a", Some("text/html\r\nx: y"), Err(BadRespond::MediaType)),
        ] {
            assert_eq!(Respond::new(status, text, media_type).map(|_| ()), expect, "{status} {text} {media_type:?}");
        }
    }
}
