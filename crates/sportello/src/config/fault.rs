//! Something wrong with a configuration: where, what, and what to write instead.

use super::source::Span;

/// One thing that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether the server would start all the same.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong, in a sentence without its full stop.
    pub message: String,
    /// A few words for the place itself; none where the message says it all.
    pub label: String,
    /// What to write.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub also: Vec<(Span, String)>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server does not start with it.
    Error,
    /// It may not be what was meant.
    Warning,
}

impl Severity {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Fault {
    /// Something with which the server does not start.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            message: message.into(),
            label: String::new(),
            help: None,
            also: vec![],
        }
    }

    /// Something that may not be what was meant.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// With a few words for the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what to write.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that belongs to it.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// Whether any of them keeps the server from starting.
pub fn any_error(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.severity == Severity::Error)
}
