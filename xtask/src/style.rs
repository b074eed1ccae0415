//! The part of the style that a machine can hold: lengths, forbidden words, and where `unsafe` may be.

use std::path::Path;

use crate::step::Note;
use crate::tree;

/// Checks every Rust file of the tree.
pub(crate) fn check(root: &Path) -> Result<Note, String> {
    let files = tree::files(root, "rs")?;
    let mut faults = Vec::new();
    for file in &files {
        let text = tree::read(root, file)?;
        for (line, fault) in source(file, &text) {
            faults.push(format!("{}:{line}: {fault}", file.display()));
        }
    }
    if faults.is_empty() {
        return Ok(Note::of(format!("{} files", files.len())));
    }
    Err(format!("{} faults of style\n{}", faults.len(), faults.join("\n")))
}

/// The most lines of a file that are not tests.
const LINES: usize = 600;
/// The one file that may hold unsafe code.
const UNSAFE: &str = "crates/net/src/sys.rs";
/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];
/// Pieces of source that no file may hold, and why. Written in halves, so that this file does not hold them.
const FORBIDDEN: [(&str, &str); 6] = [
    (concat!("tod", "o!("), "what is not built is refused, not promised"),
    (concat!("unimplemen", "ted!("), "what is not built is refused, not promised"),
    (concat!("// TO", "DO"), "what is not built is refused, not promised"),
    (concat!("// FIX", "ME"), "a known fault is fixed or told"),
    (concat!("#[igno", "re"), "a test that does not run is not a test"),
    (concat!("fn get", "_"), "no `get_`"),
];

fn source(file: &Path, text: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let path = file.to_string_lossy();
    let is_test = path.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
    let code = code_lines(text);
    if !is_test && code > LINES {
        faults.push((LINES, format!("{code} lines that are not tests; the most is {LINES}: look for the second idea")));
    }
    if !is_test && !text.starts_with("//!") {
        faults.push((1, "a module opens with what it is (`//!`)".to_owned()));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if EMPTY_NAMES.iter().any(|name| *name == stem) {
        faults.push((1, format!("`{stem}` names no idea")));
    }
    if is_crate_root(&path) && !path.starts_with("crates/net/") && !text.contains("#![forbid(unsafe_code)]") {
        faults.push((1, "the crate does not forbid unsafe code".to_owned()));
    }
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        for (piece, reason) in FORBIDDEN {
            if line.contains(piece) {
                faults.push((index + 1, format!("`{piece}`: {reason}")));
            }
        }
        let in_code = index < code && !is_test;
        if in_code && path != UNSAFE && opens_unsafe(line) {
            faults.push((index + 1, format!("unsafe code outside {UNSAFE}")));
        }
        if in_code && line.contains(EXPECT) && !line.trim_start().starts_with("//") && !is_justified(&lines, index) {
            faults.push((index + 1, "an `expect` without `// Invariant:`".to_owned()));
        }
    }
    faults
}

/// The lines before the module of tests, or all.
fn code_lines(text: &str) -> usize {
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        if previous.trim() == "#[cfg(test)]" && line.trim_start().starts_with("mod ") && line.contains('{') {
            return index;
        }
        previous = line;
    }
    text.lines().count()
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("src/main.rs")
}

/// In halves, like the forbidden pieces.
const EXPECT: &str = concat!(".exp", "ect(");
const OPENINGS: [&str; 4] =
    [concat!("uns", "afe {"), concat!("uns", "afe fn"), concat!("uns", "afe impl"), concat!("uns", "afe extern")];

fn opens_unsafe(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("//") && OPENINGS.iter().any(|form| line.contains(form))
}

/// An `// Invariant:` on the line itself or on one of the lines just above it.
fn is_justified(lines: &[&str], index: usize) -> bool {
    let above = index.saturating_sub(5);
    lines.get(above..=index).is_some_and(|near| near.iter().any(|line| line.contains("Invariant:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[&str]) {
        let faults: Vec<String> = source(Path::new(path), text).into_iter().map(|(_, fault)| fault).collect();
        assert_eq!(faults.len(), expect.len(), "{path}: {faults:?}");
        for (fault, expect) in faults.iter().zip(expect) {
            assert!(fault.contains(expect), "{fault}");
        }
    }

    #[test]
    fn finds_each_fault() {
        let long = format!("//! x\n{}", "let a = 1;\n".repeat(LINES - 1));
        check("crates/wire/src/a.rs", &long, &[]);
        check("crates/wire/src/a.rs", &format!("{long}let b = 1;\n"), &["601 lines"]);
        check("crates/wire/src/a.rs", &format!("{long}#[cfg(test)]\nmod tests {{\n}}\n"), &["601 lines"]);
        check("crates/wire/src/a/tests.rs", &format!("{long}let b = 1;\n"), &[]);
        check("crates/wire/src/utils.rs", "fn a() {}", &["opens with", "names no idea"]);
        check("crates/wire/src/lib.rs", "//! x", &["does not forbid"]);
        check("crates/net/src/lib.rs", "//! x", &[]);
        check("crates/net/src/sys.rs", "//! x\nunsafe { a() }", &[]);
        check("crates/net/src/worker.rs", "//! x\nlet a = unsafe { a() };", &["unsafe code outside"]);
        check("crates/net/src/worker.rs", "//! x\n// Invariant: one\na.expect(\"b\");", &[]);
        check("crates/net/src/worker.rs", "//! x\na.expect(\"b\");", &["Invariant"]);
        check("crates/net/src/worker.rs", concat!("//! x\ntod", "o!();"), &["refused, not promised"]);
    }
}
