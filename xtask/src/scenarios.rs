//! The scenarios: each a folder of `tests/scenarios` with a README that says what it proves and a `run.py` that drives the
//! real binary. Here they are only found, started with the binary's path, bounded in time, and their last line kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Child;
use crate::faults::Tools;
use crate::install;
use crate::step::Note;
use crate::tree;

/// The scenario that `cargo xtask crash` runs.
pub(crate) const CRASH: &str = "09_crash";

/// How long a scenario may take, unless its README has a line `Ceiling: N s`.
const CEILING: Duration = Duration::from_secs(180);

/// How many times as long a scenario may take when it was asked for by itself, with a length of one's own.
const LONG: u32 = 20;

/// One folder.
pub(crate) struct Scenario {
    /// `03_http`.
    pub(crate) name: String,
    folder: PathBuf,
    ceiling: Duration,
}

/// All of them, in order.
pub(crate) fn all(root: &Path) -> Result<Vec<Scenario>, String> {
    let folder = root.join("tests/scenarios");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if !path.join("run.py").is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let readme = fs::read_to_string(path.join("README.md"))
            .map_err(|error| format!("tests/scenarios/{name}/README.md, which says what it proves: {error}"))?;
        found.push(Scenario { name, folder: path, ceiling: ceiling(&readme) });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Scenario {
    /// Whether a person's word means this one: its name, or its number.
    pub(crate) fn is_called(&self, word: &str) -> bool {
        self.name == word || self.name.split('_').next() == Some(word)
    }

    /// Whether it makes the kernel fail, and so needs what is built for that.
    pub(crate) fn uses_the_seam(&self) -> bool {
        fs::read_to_string(self.folder.join("run.py")).is_ok_and(|text| text.contains("from seam import"))
    }

    /// Runs it quietly; its output is kept beside the build and shown when it fails.
    pub(crate) fn run(&self, root: &Path, binary: &Path, tools: Option<&Tools>) -> Result<Note, String> {
        let result = self.child(root, binary, tools, &[]).run(self.ceiling);
        let folder = tree::target(root).join("scenarios");
        let log = folder.join(format!("{}.log", self.name));
        let text = match &result {
            Ok(text) | Err(text) => text,
        };
        fs::create_dir_all(&folder).and_then(|()| fs::write(&log, text)).map_err(|error| error.to_string())?;
        let output = result.map_err(|text| tail(&text))?;
        let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
        Ok(Note::of(last.trim()))
    }

    /// Runs it for long; what it printed.
    pub(crate) fn run_long(
        &self,
        root: &Path,
        binary: &Path,
        tools: Option<&Tools>,
        environment: &[(&str, String)],
    ) -> Result<String, String> {
        self.child(root, binary, tools, environment).run(self.ceiling.saturating_mul(LONG))
    }

    /// Runs it with its output shown as it comes.
    pub(crate) fn run_shown(
        &self,
        root: &Path,
        binary: &Path,
        tools: Option<&Tools>,
        environment: &[(&str, String)],
    ) -> Result<(), String> {
        self.child(root, binary, tools, environment).run_shown(self.ceiling.saturating_mul(LONG))
    }

    fn child(&self, root: &Path, binary: &Path, tools: Option<&Tools>, environment: &[(&str, String)]) -> Child {
        let mut child = Child::new(install::python(root))
            .arguments(&["-u", "-B"])
            .arguments(&[self.folder.join("run.py")])
            .folder(&self.folder)
            .variable("SPORTELLO", binary)
            .variable("SCREENSHOTS", tree::target(root).join("screenshots"))
            .variable("PYTHONPATH", root.join("tests/scenarios"))
            .variable("NODE_PATH", install::node_path(root))
            .with_own_group();
        for (name, path) in tools.iter().flat_map(|tools| tools.variables()) {
            child = child.variable(name, path);
        }
        for (name, value) in environment {
            child = child.variable(name, value);
        }
        child
    }
}

/// The `Ceiling: N s` of a README.
fn ceiling(readme: &str) -> Duration {
    let number = readme.lines().find_map(|line| line.strip_prefix("Ceiling: ")?.strip_suffix(" s")?.parse().ok());
    number.map_or(CEILING, Duration::from_secs)
}

/// The first line, which says how it ended, and the last ones, which say why.
fn tail(text: &str) -> String {
    const LAST: usize = 40;
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.first().copied().unwrap_or("");
    let from = lines.len().saturating_sub(LAST).max(1);
    let last = lines.get(from..).unwrap_or(&[]);
    format!("{first}\n{}", last.join("\n"))
}
