//! What the scenarios need to make the kernel fail: the seam (a C library that is loaded into the server) and the program
//! that replays what it recorded. Both are built beside everything else and given to every scenario.

use std::path::{Path, PathBuf};

use crate::child::Child;
use crate::{MINUTE, cargo, tree};

/// Where they are.
pub(crate) struct Tools {
    seam: PathBuf,
    replayer: PathBuf,
}

/// What the replayer is built with: what is beneath it has other features beside tests, and would be built twice.
#[derive(Clone, Copy)]
pub(crate) enum Beside {
    /// The tests of the whole tree, which are there.
    Tests,
    /// By itself.
    Nothing,
}

impl Tools {
    /// Builds what is not built.
    pub(crate) fn build(root: &Path, beside: Beside) -> Result<Self, String> {
        let target = tree::target(root);
        let tools = Self { seam: target.join("debug/seam.so"), replayer: target.join("debug/faults") };
        let what: &[&str] = match beside {
            Beside::Tests => &["--workspace", "--tests", "--bin", "faults"],
            Beside::Nothing => &["--package", "sportello-faults"],
        };
        cargo(root, &[&["build", "--quiet", "--locked"], what].concat(), MINUTE * 15)?;
        let words = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "tests/faults/seam.c", "-o"];
        Child::new("cc").arguments(&words).arguments(&[&tools.seam]).folder(root).run(MINUTE)?;
        Ok(tools)
    }

    /// How a scenario finds them.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 2] {
        [("SEAM", &self.seam), ("FAULTS", &self.replayer)]
    }
}
