//! Which script a path means, and what of the path is left for it.
//!
//! The path is cut behind the first name that ends as scripts do and is a file beneath the root (RFC 3875 §3.2); what lies behind is the
//! script's `PATH_INFO`, if scripts are to have one: else a rule for `/admin.php` would be slipped by as `/admin.php/`. A name that is a folder is passed through, any other ends the search: so no application is ever told a name that
//! is not there, which PHP would shorten until it finds something (`/upload/avatar.jpg/x.php`). Blocking threads only. Bounded by the
//! path: no name is looked for twice.

use sportello_wire::http1::target::is_hidden_name;

use super::Scripts;
use crate::files::{Kind, Root};

/// A script, and what is left of the path for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// Its names beneath the root, joined by `/`; begins with none.
    pub(super) names: Vec<u8>,
    /// What lies behind: empty, or from a `/` on.
    pub(super) info: Vec<u8>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A script.
    Script(Script),
    /// A folder with a script, without its slash.
    Folder,
    /// Nothing of ours.
    Nothing,
}

/// Looks for the script that `names` mean: a decoded path without its first slash. Where there is none, the one that stands in.
pub(super) fn find(root: &Root, scripts: &Scripts, names: &[u8]) -> Found {
    match (own(root, scripts, names), &scripts.fallback) {
        (Found::Nothing, Some(fallback)) if kind(root, fallback) == Some(Kind::File) => {
            Found::Script(Script { names: fallback.to_vec(), info: Vec::new() })
        }
        (found, _) => found,
    }
}

fn own(root: &Root, scripts: &Scripts, names: &[u8]) -> Found {
    for end in ends(names) {
        let (candidate, info) = names.split_at_checked(end).unwrap_or((names, b""));
        if !candidate.ends_with(&scripts.split) {
            continue;
        }
        match kind(root, candidate) {
            Some(Kind::File) if info.is_empty() || scripts.path_info => {
                return Found::Script(Script { names: candidate.to_vec(), info: info.to_vec() });
            }
            Some(Kind::File) => return Found::Nothing,
            Some(Kind::Folder) => {}
            None => return Found::Nothing,
        }
    }
    let Some(index) = &scripts.index else { return Found::Nothing };
    let folder = match names.strip_suffix(b"/") {
        Some(folder) => folder,
        None if names.is_empty() => b"",
        None => {
            let index = [names, b"/", index].concat();
            return if kind(root, &index) == Some(Kind::File) { Found::Folder } else { Found::Nothing };
        }
    };
    let index = if folder.is_empty() { index.to_vec() } else { [folder, b"/", index].concat() };
    match kind(root, &index) {
        Some(Kind::File) => Found::Script(Script { names: index, info: Vec::new() }),
        _ => Found::Nothing,
    }
}

/// Where a name ends.
fn ends(names: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'/', names).chain(std::iter::once(names.len()))
}

fn kind(root: &Root, names: &[u8]) -> Option<Kind> {
    let is_hidden = names.split(|&byte| byte == b'/').any(is_hidden_name);
    if is_hidden { None } else { root.kind(names) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_script_is_a_file_beneath_the_root_that_ends_as_scripts_do() {
        let folder = std::env::temp_dir().join(format!("sportello-scripts-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for sub in ["www/blog", "www/upload", "www/dir.php", "www/.git", "www/empty", "out"] {
            std::fs::create_dir_all(folder.join(sub)).unwrap();
        }
        for file in [
            "index.php",
            "info.php",
            "blog/index.php",
            "upload/avatar.jpg",
            "dir.php/in.php",
            ".git/x.php",
            ".php",
            "a.php5",
            "a b\u{e9}.php",
            "../out/x.php",
        ] {
            std::fs::write(folder.join("www").join(file), "<?php").unwrap();
        }
        symlink("../out/x.php", folder.join("www/out.php")).unwrap();
        symlink("../out", folder.join("www/away")).unwrap();
        symlink("info.php", folder.join("www/link.php")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.join("www/fifo.php")).status().unwrap().success());
        let root = Root::open(&folder.join("www")).unwrap();
        let alone = Scripts::new(".php", Some("index.php")).unwrap();
        let scripts = alone.clone().with_path_info();
        for (path, expect) in [
            ("info.php", Some(("info.php", ""))),
            ("info.php/a/b", Some(("info.php", "/a/b"))),
            ("info.php/", Some(("info.php", "/"))),
            ("info.php/x.php", Some(("info.php", "/x.php"))),
            ("info.php/.git/x", Some(("info.php", "/.git/x"))),
            ("", Some(("index.php", ""))),
            ("blog/", Some(("blog/index.php", ""))),
            ("blog/index.php/2024/", Some(("blog/index.php", "/2024/"))),
            ("dir.php/in.php/x", Some(("dir.php/in.php", "/x"))),
            ("link.php", Some(("link.php", ""))),
            ("a b\u{e9}.php", Some(("a b\u{e9}.php", ""))),
            // What is there and is no script of ours.
            ("upload/avatar.jpg", None),
            ("upload/avatar.jpg/x.php", None),
            ("upload/avatar.jpg/.php", None),
            ("upload/", None),
            ("empty/", None),
            ("dir.php", None),
            ("dir.php/", None),
            ("a.php5", None),
            ("fifo.php", None),
            (".php", None),
            (".git/x.php", None),
            ("info.PHP", None),
            ("info.php.", None),
            ("info.php ", None),
            ("info.php\n", None),
            // What leads out, or nowhere.
            ("out.php", None),
            ("away/x.php", None),
            ("missing.php", None),
            ("missing.php/info.php", None),
            ("missing/", None),
        ] {
            let expect = expect.map_or(Found::Nothing, |(names, info)| {
                Found::Script(Script { names: names.as_bytes().to_vec(), info: info.as_bytes().to_vec() })
            });
            assert_eq!(find(&root, &scripts, path.as_bytes()), expect, "{path:?}");
        }
        assert_eq!(find(&root, &scripts, b"blog"), Found::Folder);
        for (path, expect) in [
            ("info.php", true),
            ("dir.php/in.php", true),
            ("blog/", true),
            ("info.php/", false),
            ("info.php/x", false),
            ("info.php/info.php", false),
        ] {
            assert_eq!(find(&root, &alone, path.as_bytes()) != Found::Nothing, expect, "{path}");
        }
        assert_eq!(find(&root, &Scripts::new(".php", None).unwrap(), b"blog/"), Found::Nothing);
        for (fallback, path, expect) in [
            ("/index.php", "2024/hello", Some("index.php")),
            ("/index.php", "upload/avatar.jpg/x.php", Some("index.php")),
            ("/index.php", "info.php/a", Some("info.php")),
            ("/missing.php", "2024/hello", None),
            ("/out.php", "2024/hello", None),
        ] {
            let scripts = scripts.clone().with_fallback(fallback).unwrap();
            let found = find(&root, &scripts, path.as_bytes());
            let names = if let Found::Script(script) = found { Some(script.names) } else { None };
            assert_eq!(names.as_deref(), expect.map(str::as_bytes), "{path}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
