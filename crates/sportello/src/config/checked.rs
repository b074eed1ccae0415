//! A file, read and checked: what `serve --config`, `check` and `explain` begin with.

use std::path::Path;

use super::as_written::Written;
use super::fault::Fault;
use super::settings::Settings;
use super::source::{ReadError, Source};

/// What came of a file.
#[derive(Debug)]
pub struct Checked {
    /// Its text.
    pub source: Source,
    /// Its directives, where its grammar is sound.
    pub written: Option<Written>,
    /// What the server would run with, when nothing keeps it from starting.
    pub settings: Option<Settings>,
    /// All that is to be told of it.
    pub faults: Vec<Fault>,
}

impl Checked {
    /// The file that is meant when none is named.
    pub const USUAL: &str = "sportello.kdl";

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When there is no text to check. What is wrong with the text is in [`Checked::faults`].
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let mut faults = Vec::new();
        let source = Source::read(path, &mut faults)?;
        Ok(Self::new(source, faults))
    }

    /// Checks a text in which these faults were found already.
    pub fn new(source: Source, mut faults: Vec<Fault>) -> Self {
        let written = Written::read(&source, &mut faults);
        let settings = written.as_ref().and_then(|written| Settings::from_written(written, &mut faults));
        Self { source, written, settings, faults }
    }
}
