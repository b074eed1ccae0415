//! What has not moved: this server against another binary of it, in turns.

use std::path::PathBuf;

use super::http::{self, Shape};
use crate::error::Error;
use crate::harness::Harness;
use crate::result::Finding;

/// Which binary stands for what was before.
const BEFORE: &str = "SPORTELLO_BEFORE";

/// The row `shape` against the binary that `SPORTELLO_BEFORE` names.
pub(crate) fn run(harness: &Harness, shape: &Shape) -> Result<Finding, Error> {
    let program = std::env::var_os(BEFORE).map(PathBuf::from).filter(|program| program.is_file());
    let program = program.ok_or_else(|| Error::not_so(format!("{BEFORE}=/path/to/sportello says against what")))?;
    http::against_other(harness, shape, &program)
}
