//! Whether what the documents point at exists: files, headings, and symbols of the code.
//!
//! Three forms are checked. A relative link must lead to a file or folder, and its `#anchor` to a heading. A link whose text
//! is code (``[`Listener::bind`](crates/net/src/listener.rs)``) promises that the file defines `bind`. Inline code that
//! begins with one of the tree's folders (`crates/net/src/sys.rs`, `crates/net/src/sys.rs::tcp_info`) must exist.
//! Links to other hosts are not followed: a test must not depend on them.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::markdown::{self, Document};
use crate::step::Note;
use crate::tree;

/// Checks every Markdown file of the tree.
pub(crate) fn check(root: &Path) -> Result<Note, String> {
    let mut checker = Checker { root, documents: HashMap::new(), broken: Vec::new(), checked: 0 };
    for file in tree::files(root, "md")? {
        checker.document(&file)?;
    }
    if checker.broken.is_empty() {
        return Ok(Note::of(format!("{} references", checker.checked)));
    }
    Err(format!("{} broken references\n{}", checker.broken.len(), checker.broken.join("\n")))
}

struct Checker<'a> {
    root: &'a Path,
    documents: HashMap<PathBuf, Document>,
    broken: Vec<String>,
    checked: usize,
}

impl Checker<'_> {
    fn document(&mut self, file: &Path) -> Result<(), String> {
        let document = markdown::parse(&tree::read(self.root, file)?);
        for link in &document.links {
            let result = self.link(file, &document, &link.text, &link.target);
            self.note(file, link.line, result);
        }
        for code in &document.codes {
            let result = self.code(&code.text);
            self.note(file, code.line, result);
        }
        Ok(())
    }

    fn note(&mut self, file: &Path, line: usize, result: Result<Checked, String>) {
        match result {
            Ok(Checked::Yes) => self.checked += 1,
            Ok(Checked::NotOurs) => {}
            Err(reason) => self.broken.push(format!("{}:{line}: {reason}", file.display())),
        }
    }

    fn link(&mut self, from: &Path, own: &Document, text: &str, target: &str) -> Result<Checked, String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return Ok(Checked::NotOurs);
        }
        let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
        if path.is_empty() {
            return match anchor {
                Some(anchor) if own.anchors.iter().any(|each| each == anchor) => Ok(Checked::Yes),
                _ => Err(format!("there is no heading for `{target}` in this document")),
            };
        }
        let file = normal(&from.parent().unwrap_or(Path::new("")).join(path));
        if !self.root.join(&file).exists() {
            return Err(format!("`{target}` leads nowhere: there is no {}", file.display()));
        }
        if let Some(anchor) = anchor
            && file.extension().is_some_and(|end| end == "md")
            && !self.other(&file)?.anchors.iter().any(|each| each == anchor)
        {
            return Err(format!("{} has no heading for `#{anchor}`", file.display()));
        }
        let code = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        match code {
            Some(name) if name.ends_with(".rs") => match file.ends_with(name) {
                true => Ok(Checked::Yes),
                false => Err(format!("`{name}` is not the name of {}", file.display())),
            },
            Some(symbol) if file.extension().is_some_and(|end| end == "rs") && !symbol.contains('/') => {
                self.symbol(&file, symbol)
            }
            _ => Ok(Checked::Yes),
        }
    }

    fn other(&mut self, file: &Path) -> Result<&Document, String> {
        if !self.documents.contains_key(file) {
            let document = markdown::parse(&tree::read(self.root, file)?);
            self.documents.insert(file.to_owned(), document);
        }
        self.documents.get(file).ok_or_else(|| format!("{} is not readable", file.display()))
    }

    fn code(&self, text: &str) -> Result<Checked, String> {
        let is_path = FOLDERS.iter().any(|folder| text.starts_with(folder));
        if !is_path || text.contains([' ', '*', '…', '{', '<']) {
            return Ok(Checked::NotOurs);
        }
        let (path, symbol) = text.split_once("::").map_or((text, None), |(path, symbol)| (path, Some(symbol)));
        if !self.root.join(path).exists() {
            return Err(format!("`{text}`: there is no {path}"));
        }
        symbol.map_or(Ok(Checked::Yes), |symbol| self.symbol(Path::new(path), symbol))
    }

    /// The last segment must be defined in the file, and every segment before it must be spoken of there.
    fn symbol(&self, file: &Path, symbol: &str) -> Result<Checked, String> {
        let source = tree::read(self.root, file)?;
        let bare = symbol.split('(').next().unwrap_or(symbol).trim_end_matches('!');
        let mut segments: Vec<&str> = bare.split("::").collect();
        let last = segments.pop().unwrap_or(bare);
        if !defines(&source, last) {
            return Err(format!("{} does not define `{last}` (of `{symbol}`)", file.display()));
        }
        let module = |segment: &str| file.components().any(|part| part.as_os_str().to_string_lossy().contains(segment));
        match segments.iter().find(|segment| !source.contains(**segment) && !module(segment)) {
            Some(segment) => Err(format!("{} does not speak of `{segment}` (of `{symbol}`)", file.display())),
            None => Ok(Checked::Yes),
        }
    }
}

enum Checked {
    Yes,
    NotOurs,
}

const FOLDERS: [&str; 6] = ["crates/", "docs/", "tests/", "xtask/", "bench/", ".ci/"];

/// Whether Rust source defines an item, variant or field of this name.
fn defines(source: &str, name: &str) -> bool {
    source.lines().any(|line| {
        let line = line.trim_start();
        let Some(at) = line.find(name) else { return false };
        let (before, after) = line.split_at(at);
        let after = after.get(name.len()..).unwrap_or("");
        let ends = !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let keyword = KEYWORDS.iter().any(|keyword| before.trim_end().ends_with(keyword));
        // A variant or a field stands at the beginning of its line, or after its visibility.
        let bare = before.is_empty() || before.starts_with("pub") && before.ends_with([' ']);
        let member = bare && (after.is_empty() || after.starts_with([',', '(', ':', ' ']));
        ends && (keyword && before.ends_with(' ') || member)
    })
}

const KEYWORDS: [&str; 9] = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!"];

/// Resolves `.` and `..` by name.
fn normal(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_definitions() {
        let source = "pub(crate) struct Session {\n    pub peer: u8,\n}\nenum E {\n    BareLf,\n}\n    async fn feed(&self) {}\nlet fed = feed(1);\nconst LIMIT: u8 = 1;";
        for (name, expect) in [
            ("Session", true),
            ("peer", true),
            ("BareLf", true),
            ("feed", true),
            ("LIMIT", true),
            ("fed", false),
            ("Sess", false),
        ] {
            assert_eq!(defines(source, name), expect, "{name}");
        }
    }

    #[test]
    fn resolves_dots() {
        assert_eq!(normal(Path::new("docs/../crates/./net")), Path::new("crates/net"));
    }
}
