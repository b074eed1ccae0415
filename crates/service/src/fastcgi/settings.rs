//! What is said of an application: where it is, which paths are its scripts, what it is told, how long it may take.

use std::path::PathBuf;
use std::time::Duration;

use sportello_wire::http1::target::is_hidden_name;
use thiserror::Error;

use super::Address;
use crate::web::Path;

/// Checked settings of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens.
    pub address: Address,
    /// The folder that scripts are looked for in: absolute.
    pub root: PathBuf,
    /// The same folder as the application names it, where that has it elsewhere: absolute.
    pub seen_as: Option<PathBuf>,
    /// Which paths are scripts.
    pub scripts: Scripts,
    /// Further parameters; each is in place of one of that name that would be made here.
    pub params: Vec<(Box<str>, Box<str>)>,
    /// How long each wait is.
    pub timeouts: Timeouts,
    /// Requests that one worker asks it at once; more wait for [`Timeouts::connect`].
    pub requests_most: usize,
    /// Idle connections that one worker keeps.
    pub idle_most: usize,
    /// How long one is kept.
    pub idle_age: Duration,
}

/// Which paths are scripts. Made by [`Scripts::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripts {
    pub(super) split: Box<[u8]>,
    /// Whether a path goes on behind a script.
    pub(super) path_info: bool,
    pub(super) index: Option<Box<[u8]>>,
    /// Names beneath the root.
    pub(super) fallback: Option<Box<[u8]>>,
}

/// What names no scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadScripts {
    /// The end of their names.
    #[error("what scripts end in begins with a dot and has no slash, such as \".php\"")]
    Split,
    /// The script of a folder.
    #[error("the script of a folder is a name without a slash that ends as scripts do, such as \"index.php\"")]
    Index,
    /// The script in place of one that is not there.
    #[error("the script in place of what is not there is a path that ends as scripts do, such as \"/index.php\"")]
    Fallback,
}

/// How long each wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a place among its requests, and for a connection.
    pub connect: Duration,
    /// From the end of a request to the head of its answer; and, before that, for it to take more of the request.
    pub head: Duration,
    /// From one piece of its answer to the next.
    pub between: Duration,
}

impl Scripts {
    /// What they end in, such as `.php`.
    pub fn end(&self) -> &str {
        // It was text.
        std::str::from_utf8(&self.split).unwrap_or_default()
    }

    /// Scripts end in `split`; `index` is the script of a folder.
    ///
    /// # Errors
    /// When there are no such scripts.
    pub fn new(split: &str, index: Option<&str>) -> Result<Self, BadScripts> {
        let is_part = |text: &str| !text.bytes().any(|byte| matches!(byte, b'/' | b'\\' | 0));
        if split.len() < 2 || !split.starts_with('.') || !is_part(split) {
            return Err(BadScripts::Split);
        }
        let is_index = |name: &&str| is_part(name) && !name.starts_with('.') && name.ends_with(split);
        if index.is_some_and(|name| !is_index(&name)) {
            return Err(BadScripts::Index);
        }
        let index = index.map(|name| name.as_bytes().into());
        Ok(Self { split: split.as_bytes().into(), path_info: false, index, fallback: None })
    }

    /// The same, with what lies behind a script's name left for the script.
    #[must_use]
    pub fn with_path_info(self) -> Self {
        Self { path_info: true, ..self }
    }

    /// The same, with the script that is run where a path leads to none: `/index.php`.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_fallback(self, path: &str) -> Result<Self, BadScripts> {
        let is_normal = Path::from_normal(path.as_bytes()).is_ok_and(|read| read.normal() == path.as_bytes());
        let names = path.strip_prefix('/').unwrap_or_default().as_bytes();
        if !is_normal || !names.ends_with(&self.split) || names.split(|&byte| byte == b'/').any(is_hidden_name) {
            return Err(BadScripts::Fallback);
        }
        Ok(Self { fallback: Some(names.into()), ..self })
    }
}

impl Settings {
    /// PHP at `address`, its scripts beneath `root`, and all else as it is usual.
    pub fn of(address: Address, root: PathBuf) -> Self {
        Self {
            address,
            root,
            seen_as: None,
            scripts: Scripts {
                split: b".php".as_slice().into(),
                path_info: false,
                index: Some(b"index.php".as_slice().into()),
                fallback: None,
            },
            params: Vec::new(),
            timeouts: Timeouts::default(),
            requests_most: 128,
            idle_most: 0,
            idle_age: Duration::from_secs(10),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), head: Duration::from_secs(60), between: Duration::from_secs(60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_named_by_their_end() {
        assert!(Scripts::new(".php", Some("index.php")).is_ok() && Scripts::new(".pl", None).is_ok());
        for split in ["", ".", "php", "/x.php", ".p/hp", ".p\\hp", ".p\0"] {
            assert_eq!(Scripts::new(split, None), Err(BadScripts::Split), "{split:?}");
        }
        for index in ["", ".php", "index.html", "a/index.php", "../index.php", "index.php/"] {
            assert_eq!(Scripts::new(".php", Some(index)), Err(BadScripts::Index), "{index:?}");
        }
        let with = |path: &str| Scripts::new(".php", None).unwrap().with_fallback(path);
        assert!(with("/index.php").is_ok() && with("/a/b.php").is_ok());
        for path in ["", "index.php", "/index.html", "/../index.php", "//index.php", "/.php", "/.a/index.php"] {
            assert_eq!(with(path), Err(BadScripts::Fallback), "{path:?}");
        }
    }
}
