//! What an answer says of a file: its validators, its media type, what caches may do with it.

use std::sync::Arc;

use sportello_wire::date;
use sportello_wire::http1::answer::AnswerHead;
use sportello_wire::http1::coding::Coding;
use sportello_wire::http1::condition::{Outcome, Validators};
use sportello_wire::http1::range::Selected;

use super::validators::FileValidators;
use crate::web::Fields;

/// The fields of every answer with content of one version of one file, but for length and range.
#[derive(Clone, Debug)]
pub struct Description {
    pub(super) validators: FileValidators,
    pub(super) media_type: &'static str,
    /// The value of Cache-Control.
    pub(super) caching: Arc<str>,
    /// The coding it is in.
    pub(super) coding: Option<Coding>,
    /// Whether the file has other forms.
    pub(super) varies: Varies,
    /// Whether its length is known before it is sent.
    pub(super) extent: Extent,
}

/// Whether what is sent depends on what the client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varies {
    /// All are given the same.
    No,
    /// It does.
    ByCoding,
}

/// Whether the length of what is sent is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It is; then a part of it can be asked for.
    Known,
    /// It is made while it is sent.
    AsItComes,
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

    /// What an outcome comes to for this form. Several parts of an encoded one are not put together: whoever decodes by Content-Encoding
    /// would decode the lines between them too. Nor is there a part of what has no length yet. RFC 9110 §14.2 lets a server send the
    /// whole instead.
    pub(super) fn allowed(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Send(Selected::Parts(_)) if self.coding.is_some() => Outcome::Send(Selected::Whole),
            Outcome::Send(_) if self.extent == Extent::AsItComes => Outcome::Send(Selected::Whole),
            outcome => outcome,
        }
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
        if let Some(coding) = self.coding {
            let _ = fields.add("content-encoding", coding.name());
        }
        self.describe(fields);
    }

    /// The fields of a 304 (RFC 9110 §15.4.5), which are those of a multipart 206 too.
    pub(super) fn describe(&self, fields: &mut Fields) {
        if !self.validators.etag.is_empty() {
            let _ = fields.add("etag", self.validators.etag.to_vec());
        }
        let _ = fields.add("last-modified", date::imf_fixdate(self.validators.modified).to_vec());
        if self.extent == Extent::Known {
            let _ = fields.add("accept-ranges", "bytes");
        }
        if self.varies == Varies::ByCoding {
            let _ = fields.add("vary", "accept-encoding");
        }
        // Checked when the rule was made.
        let _ = fields.add("cache-control", self.caching.as_bytes().to_vec());
        let _ = fields.add("x-content-type-options", "nosniff");
    }
}
