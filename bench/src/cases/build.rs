//! How long a clean release build takes, with nothing compiled before (the packages are downloaded already).

use std::process::Command;
use std::time::Instant;

use crate::error::{Doing, Error};
use crate::harness::Harness;
use crate::peers::sportello::workspace;
use crate::result::{Finding, Unit};

pub(crate) fn clean(harness: &Harness) -> Result<Finding, Error> {
    let target = harness.folder("build")?;
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(workspace());
        command
    };
    let fetched = cargo(&["fetch", "--quiet"]).status().doing(|| "fetching the packages".to_owned())?;
    let began = Instant::now();
    let built = harness
        .everywhere(|| {
            cargo(&["build", "--release", "--quiet", "-p", "sportello", "--target-dir"]).arg(&target).status()
        })?
        .doing(|| "building".to_owned())?;
    if !fetched.success() || !built.success() {
        return Err(Error::not_so("sportello does not build"));
    }
    Ok(Finding::bounded(Unit::Seconds, began.elapsed().as_secs_f64(), 240.0, Vec::new()))
}
