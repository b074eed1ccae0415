//! A configured executable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;
use thiserror::Error;

use super::parameter::Template;

/// An executable that clients may run by its name. Made only by [`Program::new`], which checks that it can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    path: PathBuf,
    /// What it does, in one line, for HELP and COMMAND DOCS.
    pub summary: Option<String>,
    /// Its words and what its clients add to them.
    pub template: Template,
    /// The bounds on each of its runs.
    pub limits: Limits,
}

/// Bounds on the runs of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time of one run.
    pub timeout: Duration,
    /// How long after TERM until KILL.
    pub grace: Duration,
    /// Bytes of arguments, each with the NUL behind it. The kernel takes no argument beyond 128 KiB.
    pub arguments: usize,
    /// Bytes of standard input.
    pub stdin: usize,
    /// Bytes of standard output; a program that writes more is killed.
    pub output: usize,
    /// Last bytes of standard error that are kept.
    pub stderr: usize,
    /// Runs at once.
    pub parallel: usize,
    /// Runs that wait for a place.
    pub queue: usize,
    /// How long one may wait.
    pub queue_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            arguments: 96 << 10,
            stdin: 16 << 20,
            output: 1 << 20,
            stderr: 4 << 10,
            parallel: 16,
            queue: 64,
            queue_wait: Duration::from_secs(10),
        }
    }
}

/// Why something cannot be a program. Each is a sentence for the person who starts the server.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// No `=`.
    #[error("a command is written NAME=PATH, for example hello=/usr/local/bin/hello, not '{0}'")]
    Form(String),
    /// The name is not of the form it must have.
    #[error("the command name '{0}' must begin with a letter and hold at most {most} letters, digits, '_', '.' and '-'", most = Program::NAME)]
    Name(String),
    /// The name belongs to a built-in.
    #[error("the command name '{0}' is taken by a built-in command; choose another")]
    Reserved(String),
    /// The name was given before; names differ not only by the case of their letters.
    #[error("the command name '{0}' is given twice")]
    Twice(String),
    /// The path is relative.
    #[error("the path of command '{0}' must begin with '/', and {1} does not")]
    Relative(String, PathBuf),
    /// The file cannot be looked at.
    #[error("the program of command '{0}' cannot be used: {1}: {2}")]
    Missing(String, PathBuf, std::io::Error),
    /// A folder, a device, …
    #[error("the program of command '{0}' is not a regular file: {1}")]
    NotFile(String, PathBuf),
    /// No permission to execute.
    #[error("the program of command '{0}' may not be executed by this user (chmod +x?): {1}")]
    NotExecutable(String, PathBuf),
}

impl Program {
    /// The most characters of a name.
    pub const NAME: usize = 64;

    /// Reads `NAME=PATH` and looks at the file. `reserved`: names that no program may take, whatever the case of their letters.
    pub fn parse(written: &str, reserved: &[&str]) -> Result<Self, ProgramError> {
        let (name, path) = written.split_once('=').ok_or_else(|| ProgramError::Form(written.to_owned()))?;
        Self::new(name, path, reserved)
    }

    /// Looks at the file and at the name. `reserved` as for [`Program::parse`]. Clients may give any arguments, and the usual
    /// [`Limits`] hold, until the fields say otherwise.
    pub fn new(name: &str, path: impl Into<PathBuf>, reserved: &[&str]) -> Result<Self, ProgramError> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if name.len() > Self::NAME
            || !name.starts_with(|first: char| first.is_ascii_alphabetic())
            || !name.bytes().all(letters)
        {
            return Err(ProgramError::Name(name.to_owned()));
        }
        let name = name.to_owned();
        if reserved.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            return Err(ProgramError::Reserved(name));
        }
        let path = path.into();
        if !path.is_absolute() {
            return Err(ProgramError::Relative(name, path));
        }
        match std::fs::metadata(&path) {
            Err(error) => return Err(ProgramError::Missing(name, path, error)),
            Ok(metadata) if !metadata.is_file() => return Err(ProgramError::NotFile(name, path)),
            Ok(_) => {}
        }
        if rustix::fs::access(&path, Access::EXEC_OK).is_err() {
            return Err(ProgramError::NotExecutable(name, path));
        }
        Ok(Self { name, path, summary: None, template: Template::default(), limits: Limits::default() })
    }

    /// Reads several, and refuses a name given twice.
    pub fn parse_all<'a>(
        written: impl IntoIterator<Item = &'a str>,
        reserved: &[&str],
    ) -> Result<Vec<Self>, ProgramError> {
        let mut programs: Vec<Self> = Vec::new();
        for written in written {
            let program = Self::parse(written, reserved)?;
            if programs.iter().any(|other| other.name.eq_ignore_ascii_case(&program.name)) {
                return Err(ProgramError::Twice(program.name));
            }
            programs.push(program);
        }
        Ok(programs)
    }

    /// Its name as configured. Clients may write it in letters of either case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expect: &str) {
        let found = Program::parse(written, &["PING", "MAIL"]).map(|program| program.name);
        let found = found.unwrap_or_else(|error| error.to_string());
        assert!(found.contains(expect), "{written}: {found}");
    }

    #[test]
    fn what_can_be_a_program() {
        check("hello=/bin/sh", "hello");
        check("A.b_c-9=/bin/sh", "A.b_c-9");
        check("hello", "NAME=PATH");
        check("=/bin/sh", "must begin with a letter");
        check("1a=/bin/sh", "must begin with a letter");
        check("a b=/bin/sh", "must begin with a letter");
        check("é=/bin/sh", "must begin with a letter");
        check(&format!("{}=/bin/sh", "x".repeat(64)), "xxxx");
        check(&format!("{}=/bin/sh", "x".repeat(65)), "must begin with a letter and hold at most 64");
        check("ping=/bin/sh", "built-in");
        check("a=sh", "must begin with '/'");
        check("a=", "must begin with '/'");
        check("a=/no/such/file", "cannot be used");
        check("a=/bin", "not a regular file");
        check("a=/etc/passwd", "may not be executed");
    }

    #[test]
    fn a_name_is_given_once() {
        let twice = Program::parse_all(["a=/bin/sh", "A=/bin/cat"], &[]);
        assert!(matches!(twice, Err(ProgramError::Twice(name)) if name == "A"));
        assert_eq!(Program::parse_all(["a=/bin/sh", "b=/bin/sh"], &[]).unwrap().len(), 2);
    }
}
