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

impl Tools {
    /// Builds what is not built.
    pub(crate) fn build(root: &Path) -> Result<Self, String> {
        let target = tree::target(root);
        let tools = Self { seam: target.join("debug/seam.so"), replayer: target.join("debug/faults") };
        cargo(root, &["build", "--quiet", "--locked", "--package", "sportello-faults"], MINUTE * 15)?;
        let words = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "tests/faults/seam.c", "-o"];
        Child::new("cc").arguments(&words).arguments(&[&tools.seam]).folder(root).run(MINUTE)?;
        Ok(tools)
    }

    /// How a scenario finds them.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 2] {
        [("SEAM", &self.seam), ("FAULTS", &self.replayer)]
    }
}
