//! What an answer says of a file: its validators, its media type, what caches may do with it.

use std::sync::Arc;

use sportello_wire::date;
use sportello_wire::http1::answer::AnswerHead;
use sportello_wire::http1::condition::Validators;

use super::validators::FileValidators;

/// The fields of every answer with content of one version of one file, but for length and range.
#[derive(Clone, Debug)]
pub struct Description {
    pub(super) validators: FileValidators,
    pub(super) media_type: &'static str,
    /// The value of Cache-Control.
    pub(super) caching: Arc<str>,
}

impl Description {
    /// What the conditions of a request are compared with.
    pub fn validators(&self) -> Validators<'_> {
        self.validators.borrowed()
    }

    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Writes the fields of a 200 or 206 but for length and range.
    pub fn write_with_type(&self, head: &mut AnswerHead<'_>) {
        // What is refused here is left out; neither a tag of hex digits nor a media type of the table is.
        let _ = head.field("content-type", self.media_type.as_bytes());
        self.write(head);
    }

    /// Writes the fields of a 304 (RFC 9110 §15.4.5), which are those of a multipart 206 too.
    pub fn write(&self, head: &mut AnswerHead<'_>) {
        if !self.validators.etag.is_empty() {
            let _ = head.field("etag", &self.validators.etag);
        }
        let _ = head.field("last-modified", &date::imf_fixdate(self.validators.modified));
        head.lines("accept-ranges: bytes\r\n");
        // Checked when the rule was made.
        let _ = head.field("cache-control", self.caching.as_bytes());
        head.lines("x-content-type-options: nosniff\r\n");
    }
}
