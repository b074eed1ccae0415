//! What an answer says of a file: its validators, its media type, what caches may do with it.

use std::sync::Arc;

use sportello_wire::date;
use sportello_wire::http1::answer::AnswerHead;
use sportello_wire::http1::condition::Validators;

use super::validators::FileValidators;
use crate::web::Fields;

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

    /// Writes the fields of a 200 but for its length.
    pub(super) fn write_with_type(&self, head: &mut AnswerHead<'_>) {
        let mut fields = Fields::new();
        self.describe_with_type(&mut fields);
        for (name, value) in fields.iter() {
            // Invariant: what stands in Fields may be sent.
            let _ = head.field(name, value);
        }
    }

    /// The fields of a 200 or 206 but for length and range.
    pub(super) fn describe_with_type(&self, fields: &mut Fields) {
        // What is refused here is left out; neither a tag of hex digits nor a media type of the table is.
        let _ = fields.add("content-type", self.media_type);
        self.describe(fields);
    }

    /// The fields of a 304 (RFC 9110 §15.4.5), which are those of a multipart 206 too.
    pub(super) fn describe(&self, fields: &mut Fields) {
        if !self.validators.etag.is_empty() {
            let _ = fields.add("etag", self.validators.etag.to_vec());
        }
        let _ = fields.add("last-modified", date::imf_fixdate(self.validators.modified).to_vec());
        let _ = fields.add("accept-ranges", "bytes");
        // Checked when the rule was made.
        let _ = fields.add("cache-control", self.caching.as_bytes().to_vec());
        let _ = fields.add("x-content-type-options", "nosniff");
    }
}
