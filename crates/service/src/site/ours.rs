//! What the server itself says in place of an answer: a status, a sentence, and what belongs to them.

use std::borrow::Cow;

use bytes::Bytes;

use crate::failure::{Class, Failure};
use crate::files::Form;
use crate::page::page;
use crate::status::said;
use crate::web::{Answer, Broken, Fields};

/// A request that was not carried out, before it has become a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) status: u16,
    sentence: Cow<'static, str>,
    pub(super) fields: Fields,
}

impl Ours {
    pub(super) fn new(status: u16, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { status, sentence: sentence.into(), fields: Fields::new() }
    }

    /// With one more field, whose value is ours.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Bytes>) -> Self {
        // What cannot be sent is left out.
        let _ = self.fields.add(name, value);
        self
    }

    /// As the page that the client prefers.
    pub(super) fn page(&self, form: Form) -> Answer {
        let mut answer = page(form, self.status, &self.sentence);
        for (name, value) in self.fields.iter() {
            // It was in such a list before.
            let _ = answer.fields.add(name.to_owned(), Bytes::copy_from_slice(value));
        }
        answer
    }
}

impl From<Failure> for Ours {
    fn from(failure: Failure) -> Self {
        let status = said(failure.class).http;
        match (&failure.source, failure.class) {
            (Some(cause), Class::Internal) => tracing::error!(status, %cause, "request failed"),
            (Some(cause), _) => tracing::debug!(status, %cause, "request failed"),
            (None, _) => {}
        }
        let ours = Self::new(status, failure.public);
        if status == 503 { ours.with("retry-after", "1") } else { ours }
    }
}

impl From<Broken> for Ours {
    fn from(broken: Broken) -> Self {
        let status = if broken == Broken::TooLarge { 413 } else { 400 };
        Self::new(status, broken.to_string())
    }
}
