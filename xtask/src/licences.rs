//! Whether every dependency's licence is on the list of `deny.toml`, and what can be said of advisories.
//!
//! `deny.toml` is the one list: cargo-deny reads the same file. The check itself is ours so that it needs no tool built
//! first and no network: Cargo's metadata holds each package's SPDX expression.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::child::Child;
use crate::step::Note;
use crate::tree;

/// Checks every package that the lock file names for this workspace.
pub(crate) fn check(root: &Path) -> Result<Note, String> {
    let allowed = allowed(&tree::read(root, Path::new("deny.toml"))?)?;
    let words = ["metadata", "--format-version", "1", "--locked", "--quiet"];
    let output = Child::new(tree::cargo()).arguments(&words).folder(root).run(Duration::from_secs(300))?;
    let start = output.find('{').ok_or("cargo metadata printed no JSON")?;
    let json: Value = serde_json::from_str(output.get(start..).unwrap_or("")).map_err(|error| error.to_string())?;
    let packages = json.get("packages").and_then(Value::as_array).ok_or("cargo metadata lists no packages")?;

    let mut refused = Vec::new();
    for package in packages {
        let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or("");
        let expression = text("license");
        if !satisfied(expression, &allowed) {
            refused.push(format!("{} {}: `{expression}` is not allowed by deny.toml", text("name"), text("version")));
        }
    }
    if !refused.is_empty() {
        return Err(format!("{} packages with a licence that is not allowed\n{}", refused.len(), refused.join("\n")));
    }
    // Honest about what is not done: the advisory database is a Git repository that a build machine often cannot reach.
    println!("   advisories: not checked here; where the network allows: cargo deny check advisories");
    Ok(Note::of(format!("{} packages, {} licences allowed", packages.len(), allowed.len())))
}

/// The `allow = [...]` list of deny.toml's `[licenses]`.
fn allowed(text: &str) -> Result<Vec<String>, String> {
    let section = text.split("[licenses]").nth(1).ok_or("deny.toml has no [licenses]")?;
    let list = section.split("allow").nth(1).and_then(|rest| rest.split('[').nth(1));
    let list = list.and_then(|rest| rest.split(']').next()).ok_or("deny.toml has no `allow = [...]`")?;
    let quoted = list.lines().map(|line| line.split('#').next().unwrap_or(""));
    let names: Vec<String> = quoted.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect();
    if names.is_empty() { Err("deny.toml allows no licence at all".to_owned()) } else { Ok(names) }
}

/// Whether an SPDX expression can be met with the allowed licences: OR needs one side, AND both; `/` is the old OR.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let met = any(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(name) => {
            let mut name = name.to_owned();
            if words.next_if_eq(&"WITH").is_some() {
                name = format!("{name} WITH {}", words.next().unwrap_or(""));
            }
            allowed.contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list() {
        let text = "[graph]\n[licenses]\n# why\nallow = [\n    \"MIT\", # as \"we\"\n    \"Apache-2.0\",\n]\n";
        assert_eq!(allowed(text).unwrap(), ["MIT", "Apache-2.0"]);
        assert!(allowed("[licenses]\nallow = []").is_err());
    }

    #[test]
    fn weighs_expressions() {
        let allowed: Vec<String> =
            ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (expression, expect) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND NCSA", false),
            ("Unlicense/MIT", true),
            ("Apache-2.0 WITH LLVM-exception OR Zlib", true),
            ("GPL-2.0 WITH LLVM-exception", false),
            ("", false),
            ("(MIT", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), expect, "{expression}");
        }
    }
}
